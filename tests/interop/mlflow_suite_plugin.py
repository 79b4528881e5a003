# SPDX-License-Identifier: Apache-2.0
"""A pytest plugin for MLflow's own tests: wherever they start MLflow's server, in a thread or as a
process, they get `ingot server` on a fresh data directory instead. INGOT names the program. The
tests themselves come from a copy of MLflow's repository that is no part of this project; see
mlflow_suite.sh."""

import configparser
import contextlib
import os
import subprocess
import sys
import tempfile
from unittest import mock

import pytest

INGOT = os.environ["INGOT"]
LOOPBACK = "127.0.0.1"
_popen = subprocess.Popen


def settings(env):
    """What MLflow's server has in its environment about webhooks, its gateway and sources of
    versions, as settings of ours."""
    out = []
    if env.get("MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS", "").lower() in ("1", "true"):
        out += ["--set", "webhook_private=true"]
    if "http" in env.get("MLFLOW_WEBHOOK_ALLOWED_SCHEMES", "").split(","):
        out += ["--set", "webhook_http=true"]
    if env.get("MLFLOW_GATEWAY_API_BASE_ALLOW_PRIVATE_IPS", "").lower() in ("1", "true"):
        out += ["--set", "gateway_private=true"]
    if "http" in env.get("MLFLOW_GATEWAY_API_BASE_ALLOWED_SCHEMES", "").split(","):
        out += ["--set", "gateway_http=true"]
    for name, setting in (("MLFLOW_WEBHOOK_REQUEST_TIMEOUT", "webhook_timeout_s"),
                          ("MLFLOW_WEBHOOK_REQUEST_MAX_RETRIES", "webhook_retries"),
                          ("MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX",
                           "model_source_pattern")):
        if env.get(name):
            out += ["--set", "%s=%s" % (setting, env[name])]
    return out


class Server:
    """One server with a directory of its own, both gone at exit."""

    def __init__(self, app=None, port=0, env=None, auth=None):
        self.directory = tempfile.TemporaryDirectory(prefix="ingot-mlflow-")
        self.log = open(os.path.join(self.directory.name, "log"), "w")
        command = [INGOT, "server", "--data", os.path.join(self.directory.name, "data"),
                   "--listen", "%s:%d" % (LOOPBACK, port)]
        passphrase = os.environ.get("MLFLOW_CRYPTO_KEK_PASSPHRASE")
        if passphrase:  # MLflow's server has it in its environment, ours in a file
            path = os.path.join(self.directory.name, "passphrase")
            with open(path, "w") as file:
                file.write(passphrase)
            command += ["--set", "secrets_passphrase_file=" + path]
        command += settings(os.environ if env is None else env)
        if auth is not None:
            self.add_admin(auth)
            command += ["--set", "default_permission=" + auth.get("default_permission", "READ")]
        self.process = _popen(
            command,
            stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline().split()
        if not line:
            raise RuntimeError("ingot server ended before it listened")
        self.url = next(word for word in line if word.startswith("http://")).rstrip("/")
        self.port = int(self.url.rsplit(":", 1)[1])

    def add_admin(self, auth):
        """What MLflow's server does at its first start with users: the administrator of its
        configuration."""
        subprocess.run([INGOT, "user", "create", auth["admin_username"], "--admin", "--data",
                        os.path.join(self.directory.name, "data")],
                       input=auth["admin_password"] + "\n", text=True, check=True)

    def close(self):
        self.process.terminate()
        self.process.communicate()
        self.log.close()
        self.directory.cleanup()

    def __enter__(self):
        """The tests of MLflow's command line share the store with their server; ours ask it."""
        import mlflow

        mlflow.set_tracking_uri(self.url)
        os.environ["MLFLOW_TRACKING_URI"] = self.url
        return self.url

    def __exit__(self, *_):
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        self.close()


def auth_of(app, env):
    """The section of basic_auth.ini that MLflow's server with users would read; else None."""
    if "auth" not in (app or ""):
        return None
    config = configparser.ConfigParser()
    config["mlflow"] = {"admin_username": "admin", "admin_password": "password1234"}
    config.read((env or {}).get("MLFLOW_AUTH_CONFIG_PATH", ""))
    return config["mlflow"]


@contextlib.contextmanager
def init_server(*_, app=None, extra_env=None, **__):
    with Server(env={**os.environ, **(extra_env or {})}, auth=auth_of(app, extra_env)) as url:
        yield url


class ServerProcess:
    """What a test that runs `mlflow server` in a process of its own needs of it."""

    def __init__(self, port, env, auth):
        self.server = Server(port=port, env=env, auth=auth)
        self.pid = self.server.process.pid
        self.returncode = None

    def poll(self):
        return self.server.process.poll()

    def terminate(self):
        self.server.process.terminate()

    kill = terminate

    def wait(self, timeout=None):
        self.returncode = self.server.process.wait(timeout)
        return self.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.close()


def server_port(command):
    """The port of an `mlflow server` command, None for any other."""
    if not isinstance(command, (list, tuple)):
        return None
    words = [part for word in command for part in str(word).split("=", 1)]
    if "mlflow" not in words or "server" not in words or "--port" not in words:
        return None
    return int(words[words.index("--port") + 1])


class Popen(_popen):
    def __new__(cls, args, *more, **named):
        port = server_port(args)
        if port is None:
            return super().__new__(cls)
        env = named.get("env")
        return ServerProcess(port, env, auth_of("auth" if "basic-auth" in args else None, env))


IN_PROCESS = ("tests/tracking/fluent/", "tests/tracking/test_tracking.py",
              "tests/tracking/test_log_image.py", "tests/tracking/test_log_figure.py")


@pytest.fixture(autouse=True)
def ingot_instead_of_a_store(request):
    """Tests of the client's own functions open MLflow's store in their process; ours ask a server."""
    if not request.node.nodeid.startswith(IN_PROCESS):
        yield
        return
    request.getfixturevalue("tracking_uri_mock")
    with Server():
        yield


def postpone_stores():
    """Fixtures make databases for MLflow's server, which takes seconds, and which hardly a test asks:
    they are made when one does."""
    from mlflow.server import handlers
    from mlflow.store.tracking import sqlalchemy_store

    class Postponed(sqlalchemy_store.SqlAlchemyStore):
        def __init__(self, *args, **named):
            self.engine = mock.Mock()
            self.wanted = args, named

        def __getattr__(self, name):
            args, named = self.__dict__.pop("wanted", (None, None))
            if args is None:
                raise AttributeError(name)
            super().__init__(*args, **named)
            return getattr(self, name)

    sqlalchemy_store.SqlAlchemyStore = Postponed
    handlers.initialize_backend_stores = lambda *_, **__: None


def pytest_sessionstart(session):
    sys.path.insert(0, str(session.config.rootpath))
    from tests.tracking import integration_test_utils

    postpone_stores()
    integration_test_utils.ServerThread = Server
    integration_test_utils._init_server = init_server
    subprocess.Popen = Popen
