#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The unmodified MLflow client against a running server: a run that logs files, and what is made of
them; artifacts up, down, listed, deleted; names that the client and the server refuse; the model
registry (mlflow_registry.py) and its webhooks (mlflow_webhooks.py)."""

import json
import os
import random
import sys
import tempfile
import urllib.parse

import program

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

try:
    import mlflow
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    import mlflow_registry
    import mlflow_webhooks
except ImportError as error:
    print("mlflow_client: skipped, %s" % error)
    sys.exit(0)

RUN = "0123456789abcdef0123456789abcdef"
failed = 0


def check(name, good, detail=""):
    global failed
    failed += not good
    print("%s mlflow: %s%s" % ("ok" if good else "FAIL", name, "" if good else ": %r" % (detail,)))


def expect_error(name, code, call):
    try:
        got = call()
    except MlflowException as error:
        check(name, code in str(error) or error.error_code == code, str(error)[:300])
        return
    check(name, False, got)


def entries(files):
    return [(entry.path, entry.is_dir, entry.file_size) for entry in files]


def read_tree(directory):
    found = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, directory)] = file.read()
    return found


def write_tree(directory, files):
    for name, content in files.items():
        path = os.path.join(directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)


def check_repository(directory):
    """What the client does without a run: its repository of an mlflow-artifacts:/ URI."""
    files = {"a b%.txt": b"x", "empty": b"", "c+d&e=f;g": b"odd",
             os.path.join("sub", "\u00fc \u5b57", "f.bin"): os.urandom(5 << 20)}
    source = os.path.join(directory, "source")
    write_tree(source, files)
    repository = get_artifact_repository("mlflow-artifacts:/0/%s/artifacts" % RUN)
    check("an empty directory", repository.list_artifacts() == [])
    try:
        repository.log_artifacts(source, "top")
        check("log_artifacts", True)
    except MlflowException as error:
        check("log_artifacts", False, str(error)[:300])
    got = entries(repository.list_artifacts())
    check("the top", got == [("top", True, None)], got)
    got = entries(repository.list_artifacts("top"))
    want = sorted(("top/" + name, False, len(content)) for name, content in files.items()
                  if os.sep not in name) + [("top/sub", True, None)]
    check("a directory", sorted(got, key=str) == sorted(want, key=str), got)
    check("a file lists as empty", repository.list_artifacts("top/empty") == [])
    check("download of a tree", read_tree(repository.download_artifacts("top")) == files)
    repository.delete_artifacts("top/sub")
    check("delete of a directory", "top/sub" not in [f.path for f in repository.list_artifacts("top")])
    expect_error("a way out", "Invalid artifact path",
                 lambda: repository.log_artifact(os.path.join(source, "empty"), "../x"))
    expect_error("what is not there", "404", lambda: repository.download_artifacts("none"))


def check_run(url, directory):
    """What people write: a run, its files by the fluent interface, and all of it read again."""
    note = os.path.join(directory, "note.txt")
    write_tree(directory, {"note.txt": b"a note\n"})
    with mlflow.start_run() as run:
        mlflow.log_param("depth", 3)
        mlflow.log_metric("loss", 0.5)
        mlflow.log_text("hello", "texts/a b.txt")
        mlflow.log_dict({"a": 1}, "config.json")
        mlflow.log_artifact(note)
        mlflow.log_artifact(note, "texts")
    client, name = MlflowClient(), run.info.run_id
    check("the run's place", run.info.artifact_uri == "mlflow-artifacts:/0/%s/artifacts" % name,
          run.info.artifact_uri)
    got = entries(client.list_artifacts(name))
    check("list_artifacts", got[1:] == [("note.txt", False, 7), ("texts", True, None)] and
          got[0][0] == "config.json", got)
    got = [entry.path for entry in client.list_artifacts(name, "texts")]
    check("list_artifacts of a directory", got == ["texts/a b.txt", "texts/note.txt"], got)
    got = read_tree(client.download_artifacts(name, ""))
    check("download_artifacts", got.get("texts/a b.txt") == b"hello" and
          got.get("note.txt") == b"a note\n" and len(got) == 4, got)
    check("load_text", mlflow.artifacts.load_text(run.info.artifact_uri + "/texts/a b.txt") == "hello")
    check("load_dict", mlflow.artifacts.load_dict("runs:/%s/config.json" % name) == {"a": 1})
    ask = urllib.parse.urlencode({"run_uuid": name, "path": "texts/a b.txt"})
    body, headers = mlflow_registry.fetch("%s/get-artifact?%s" % (url, ask))
    check("get-artifact", body == b"hello" and headers["X-Content-Type-Options"] == "nosniff" and
          headers["Content-Disposition"] == "attachment; filename*=UTF-8''a%20b.txt", headers.items())
    client.log_text(name, "other", "texts/a b.txt")
    check("a file written anew", mlflow.artifacts.load_text("runs:/%s/texts/a b.txt" % name) == "other")


def check_parts(directory):
    """Uploads in parts by the client's own threads, into a run's directory and back."""
    names = ("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE",
             "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE")
    content = random.Random(3).randbytes((12 << 20) + 17)
    write_tree(directory, {"big.bin": content})
    os.environ.update(zip(names, ("true", str(1 << 20), str(5 << 20))))
    try:
        with mlflow.start_run() as run:
            mlflow.log_artifact(os.path.join(directory, "big.bin"), "parts")
    finally:
        for name in names:
            del os.environ[name]
    got = read_tree(MlflowClient().download_artifacts(run.info.run_id, "parts"))
    check("an upload in parts", got == {"big.bin": content}, {key: len(got[key]) for key in got})


def check_histories(url):
    """Charts of the console: the values of several runs at once, whole and sampled, as the client logged them."""
    client, runs = MlflowClient(), []
    for length in (40, 7):
        with mlflow.start_run() as run:
            for step in range(length):
                mlflow.log_metric("curve", step / 2, step=step)
        runs.append(run.info.run_id)

    def ask(path, **arguments):
        body, _ = mlflow_registry.fetch("%s/ajax-api/2.0/mlflow/metrics/%s?%s" %
                        (url, path, urllib.parse.urlencode(arguments, doseq=True)))
        return [(metric["run_id"], metric["step"], metric["value"]) for metric in json.loads(body)["metrics"]]

    wanted = [(run, metric.step, metric.value) for run in sorted(runs)
              for metric in client.get_metric_history(run, "curve")]
    got = ask("get-history-bulk", run_id=runs, metric_key="curve")
    check("get-history-bulk", got == wanted and len(got) == 47, got)
    got = ask("get-history-bulk-interval", run_ids=runs, metric_key="curve", max_results=10)
    check("get-history-bulk-interval", [step for _, step, _ in got] ==
          [0, 4, 8, 12, 16, 20, 24, 28, 32, 39] + list(range(7)), got)


def check_traces():
    """What a traced function leaves: its trace with its spans, found, tagged, deleted."""
    experiment = mlflow.set_experiment("traced").experiment_id
    flush = getattr(mlflow, "flush_trace_async_logging", None)

    @mlflow.trace(name="double")
    def double(number):
        return 2 * number

    check("a traced function", [double(1), double(2)] == [2, 4])
    if flush:
        flush()
    client = MlflowClient()
    found = client.search_traces([experiment], filter_string="name = 'double' AND status = 'OK'")
    check("search_traces", len(found) == 2 and found[0].info.timestamp_ms >= found[1].info.timestamp_ms, found)
    trace = client.get_trace(found[0].info.request_id)
    check("the spans of a trace", [span.name for span in trace.data.spans] == ["double"] and
          trace.data.spans[0].outputs == 4, trace)
    client.set_trace_tag(trace.info.request_id, "note", "good")
    found = client.search_traces([experiment], filter_string="tags.note = 'good'")
    check("a tag of a trace", [one.info.request_id for one in found] == [trace.info.request_id], found)
    client.delete_trace_tag(trace.info.request_id, "note")
    check("a tag that is gone", client.search_traces([experiment], filter_string="tags.note = 'good'") == [])
    count = client.delete_traces(experiment, trace_ids=[trace.info.request_id]) if hasattr(trace.info, "trace_id") \
        else client.delete_traces(experiment, request_ids=[trace.info.request_id])
    check("delete_traces", count == 1 and len(client.search_traces([experiment])) == 1, count)


def check_evaluations():
    """Evaluation datasets, scorers and issues, of clients 3.x."""
    client = MlflowClient()
    store = client._tracking_client.store
    experiment = client.create_experiment("evaluations")
    made = client.create_dataset("questions", experiment_id=experiment, tags={"team": "ml"})
    counts = store.upsert_dataset_records(made.dataset_id, [
        {"inputs": {"q": "a", "n": 1}, "expectations": {"x": 1}}, {"inputs": {"q": "b"}, "outputs": "text"}])
    check("records added", counts == {"inserted": 2, "updated": 0}, counts)
    counts = store.upsert_dataset_records(made.dataset_id, [{"inputs": {"n": 1, "q": "a"}, "expectations": {"y": 2}}])
    check("a record told again", counts == {"inserted": 0, "updated": 1}, counts)
    records, token = store._load_dataset_records(made.dataset_id, max_results=1)
    check("a page of records", records[0].expectations == {"x": 1, "y": 2} and token, records)
    records, token = store._load_dataset_records(made.dataset_id, max_results=9, page_token=token)
    check("the next page", [one.outputs for one in records] == ["text"] and not token, records)
    found = client.search_datasets(experiment_ids=[experiment], filter_string="tags.team = 'ml'")
    check("search_datasets", [one.dataset_id for one in found] == [made.dataset_id], found)
    check("the schema of a dataset", json.loads(found[0].schema)["inputs"] == {"q": "string", "n": "integer"}, found)
    client.delete_dataset(made.dataset_id)
    expect_error("a dataset that is gone", "RESOURCE_DOES_NOT_EXIST", lambda: client.get_dataset(made.dataset_id))
    scorer = json.dumps({"builtin_scorer_pydantic_data": {"model": "openai:/m"}})
    for version in (1, 2):
        check("register_scorer", store.register_scorer(experiment, "s", scorer).scorer_version == version)
    check("list_scorers", [one.scorer_version for one in store.list_scorers(experiment)] == [2])
    store.delete_scorer(experiment, "s", version=2)
    check("get_scorer", store.get_scorer(experiment, "s").scorer_version == 1)
    issue = store.create_issue(experiment_id=experiment, name="slow", description="it takes long")
    check("search_issues", [one.issue_id for one in store.search_issues(
        experiment_id=experiment, filter_string="status = 'pending'")] == [issue.issue_id])


def main():
    with tempfile.TemporaryDirectory() as directory:
        server, address = program.serve(os.path.join(directory, "data"), os.path.join(directory, "log"),
                                        ("--set", "webhook_http=true", "--set", "webhook_private=true"))
        try:
            mlflow.set_tracking_uri("http://" + address)
            check_repository(directory)
            check_run("http://" + address, directory)
            check_parts(directory)
            check_histories("http://" + address)
            check_traces()
            if hasattr(MlflowClient, "create_dataset"):
                check_evaluations()
            mlflow_registry.run_checks(check, expect_error)
            if hasattr(MlflowClient, "create_webhook"):
                mlflow_webhooks.run_checks(check, expect_error)
        finally:
            server.terminate()
            server.wait(30)
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
