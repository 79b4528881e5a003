#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Users of MLflow's unmodified clients: names and passwords from MLFLOW_TRACKING_USERNAME and
_PASSWORD, what each may do with what, what each finds, and, where the whole of MLflow is installed
with its part for users (mlflow[auth]), AuthServiceClient. Without it the same routes are called."""

import os
import subprocess
import sys
import tempfile

import program

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"

try:
    import requests
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
except ImportError as error:
    print("mlflow_users: skipped, %s" % error)
    sys.exit(0)
try:
    from mlflow.server.auth.client import AuthServiceClient
except ImportError:
    AuthServiceClient = None

PASSWORD = "correct horse battery"
failed = 0


def check(name, good, detail=""):
    global failed
    failed += not good
    print("%s mlflow users: %s%s" % ("ok" if good else "FAIL", name, "" if good else ": %r" % (detail,)))


def expect_error(name, code, call):
    try:
        got = call()
    except MlflowException as error:
        check(name, error.error_code == code, str(error)[:300])
        return
    check(name, False, got)


def sign_in(name, password=PASSWORD):
    if name is None:
        os.environ.pop("MLFLOW_TRACKING_USERNAME", None)
        os.environ.pop("MLFLOW_TRACKING_PASSWORD", None)
        return
    os.environ["MLFLOW_TRACKING_USERNAME"] = name
    os.environ["MLFLOW_TRACKING_PASSWORD"] = password


class Routes:
    """What AuthServiceClient calls, where it is not installed."""

    def __init__(self, url):
        self.url = url

    def call(self, method, path, **body):
        asks = {"params": body} if method == "GET" else {"json": body}
        who = (os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"])
        reply = requests.request(method, "%s/api/%s" % (self.url, path), auth=who, timeout=30, **asks)
        if reply.status_code != 200:
            raise MlflowException(reply.text)
        return reply.json()

    def create_user(self, username, password):
        self.call("POST", "2.0/mlflow/users/create", username=username, password=password)

    def grant_user_permission(self, username, resource_type, resource_id, permission):
        self.call("POST", "3.0/mlflow/users/permissions/grant", username=username,
                  resource_type=resource_type, resource_id=resource_id, permission=permission)

    def revoke_user_permission(self, username, resource_type, resource_id):
        self.call("POST", "3.0/mlflow/users/permissions/revoke", username=username,
                  resource_type=resource_type, resource_id=resource_id)

    def update_user_password(self, username, password):
        self.call("PATCH", "2.0/mlflow/users/update-password", username=username, password=password)

    def delete_user(self, username):
        self.call("DELETE", "2.0/mlflow/users/delete", username=username)


def check_tracking(url, auth):
    client = MlflowClient(url)
    sign_in(None)
    expect_error("nobody may search", "UNAUTHENTICATED", client.search_experiments)
    sign_in("ann", "wrong password")
    expect_error("a wrong password", "UNAUTHENTICATED", client.search_experiments)
    sign_in("ann")
    experiment = client.create_experiment("of ann")
    run = client.create_run(experiment).info.run_id
    client.log_metric(run, "m", 1.0)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        client.log_artifact(run, file.name)
    check("who makes an experiment may log in it", client.get_run(run).data.metrics == {"m": 1.0})
    sign_in("bob")
    expect_error("another may not see it", "PERMISSION_DENIED", lambda: client.get_run(run))
    expect_error("nor log", "PERMISSION_DENIED", lambda: client.log_metric(run, "m", 2.0))
    expect_error("nor list files", "PERMISSION_DENIED", lambda: client.list_artifacts(run))
    check("nor find it", [e.name for e in client.search_experiments()] == [])
    check("nor its runs", list(client.search_runs([experiment])) == [])
    sign_in("ann")
    auth.grant_user_permission("bob", "experiment", experiment, "READ")
    sign_in("bob")
    check("until its maker says so", client.get_run(run).info.run_id == run)
    check("then it is found", [e.name for e in client.search_experiments()] == ["of ann"])
    check("and its runs", [r.info.run_id for r in client.search_runs([experiment])] == [run])
    expect_error("to read is not to log", "PERMISSION_DENIED",
                 lambda: client.log_batch(run, params=[]) or client.set_tag(run, "a", "b"))
    sign_in("ann")
    auth.revoke_user_permission("bob", "experiment", experiment)
    sign_in("bob")
    expect_error("what is taken away is gone", "PERMISSION_DENIED", lambda: client.get_run(run))


def check_registry(url, auth):
    client = MlflowClient(url)
    sign_in("ann")
    for i in range(7):
        client.create_registered_model("ann %d" % i)
    sign_in("bob")
    for i in range(3):
        client.create_registered_model("bob %d" % i)
    names, token = [], None
    while True:
        page = client.search_registered_models(max_results=2, page_token=token)
        names += [m.name for m in page]
        token = page.token
        if not token:
            break
        check("pages of models are full", len(page) == 2, len(page))
    check("models of others are not found", names == ["bob 0", "bob 1", "bob 2"], names)
    expect_error("nor seen", "PERMISSION_DENIED", lambda: client.get_registered_model("ann 0"))
    sign_in("ops")
    auth.grant_user_permission("bob", "registered_model", "ann 0", "EDIT")
    sign_in("bob")
    client.set_registered_model_tag("ann 0", "a", "b")
    check("what is given may be changed", client.get_registered_model("ann 0").tags == {"a": "b"})
    expect_error("but not deleted", "PERMISSION_DENIED", lambda: client.delete_registered_model("ann 0"))
    sign_in("ann")
    client.delete_registered_model("ann 0")


def check_roles(auth):
    sign_in("ops")
    role = auth.create_role("default", "readers", description="those who look")
    grant = auth.add_role_permission(role.id, "registered_model", "*", "READ")
    auth.assign_role("bob", role.id)
    got = auth.get_user_permission("bob", "registered_model", "ann 1")
    check("a role gives", got.permission == "READ" and not got.allowed, got.permission)
    check("its users are told", len(auth.list_role_users(role.id)) == 1)
    sign_in("bob")
    check("a user sees its roles", [r.name for r in auth.list_user_roles("bob")] == ["readers"])
    expect_error("but makes none", "PERMISSION_DENIED", lambda: auth.create_role("default", "mine"))
    sign_in("ops")
    client = MlflowClient(auth.tracking_uri)
    client.register_prompt("asked", "What is {{it}}?")
    prompts = auth.add_role_permission(role.id, "prompt", "*", "EDIT")
    check("of prompts alone", [auth.get_user_permission("bob", kind, name).permission
                               for kind, name in (("prompt", "asked"), ("registered_model", "ann 1"))]
          == ["EDIT", "READ"])
    auth.remove_role_permission(prompts.id)
    client.delete_prompt_version("asked", "1")
    client.delete_prompt("asked")
    auth.update_role_permission(grant.id, "DENY")
    check("DENY takes", auth.get_user_permission("bob", "registered_model", "bob 0").permission
          == "NO_PERMISSIONS")
    auth.unassign_role("bob", role.id)
    auth.delete_role(role.id)
    check("until the role is taken",
          auth.get_user_permission("bob", "registered_model", "bob 0").permission == "MANAGE")
    check("the user is told", auth.get_user("bob").username == "bob")
    auth.update_user_admin("bob", True)
    check("an administrator may do all",
          auth.get_user("bob").is_admin)
    auth.update_user_admin("bob", False)


def check_passwords(url, auth):
    client = MlflowClient(url)
    sign_in("ops")
    auth.update_user_password("bob", "another horse battery")
    sign_in("bob")
    expect_error("the old password ends", "UNAUTHENTICATED", client.search_experiments)
    sign_in("bob", "another horse battery")
    check("the new one is taken", client.search_experiments() is not None)
    sign_in("ops")
    auth.delete_user("bob")
    sign_in("bob", "another horse battery")
    expect_error("a deleted user is nobody", "UNAUTHENTICATED", client.search_experiments)


def main():
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "data")
        subprocess.run([program.INGOT, "user", "create", "ops", "--admin", "--data", data],
                       input=PASSWORD + "\n", text=True, check=True)
        server, address = program.serve(data, os.path.join(folder, "log"),
                                        ["--set", "default_permission=NO_PERMISSIONS"])
        try:
            url = "http://" + address
            auth = AuthServiceClient(url) if AuthServiceClient else Routes(url)
            sign_in("ops")
            auth.create_user("ann", PASSWORD)
            auth.create_user("bob", PASSWORD)
            check_tracking(url, auth)
            check_registry(url, auth)
            if AuthServiceClient:
                check_roles(auth)
            check_passwords(url, auth)
        finally:
            server.terminate()
            server.wait()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
