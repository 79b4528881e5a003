# SPDX-License-Identifier: Apache-2.0
"""The unmodified MLflow client and its model registry against a running server: what people write, by the
client's own methods, and MLflow's words where it refuses. Used by mlflow_client.py."""

import urllib.request

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException


def numbers(found):
    return [(version.name, int(version.version)) for version in found]


def fetch(url):
    with urllib.request.urlopen(url, timeout=30) as reply:
        return reply.read(), reply.headers


def check_models(check, expect_error):
    client = MlflowClient()
    made = client.create_registered_model("churn", tags={"team": "a"}, description="who leaves")
    check("create_registered_model", (made.name, made.tags, made.description) ==
          ("churn", {"team": "a"}, "who leaves"), made)
    expect_error("a name taken", "Registered Model (name=churn) already exists.",
                 lambda: client.create_registered_model("churn"))
    expect_error("a name with a slash", "Names cannot contain '/' or ':'.",
                 lambda: client.create_registered_model("a/b"))
    expect_error("no such model", "Registered Model with name=none not found",
                 lambda: client.get_registered_model("none"))
    client.set_registered_model_tag("churn", "team", "b")
    client.set_registered_model_tag("churn", "more", "x")
    client.delete_registered_model_tag("churn", "more")
    got = client.update_registered_model("churn", "who stays")
    check("update_registered_model", got.description == "who stays" and got.tags == {"team": "b"}, got)
    client.rename_registered_model("churn", "stay")
    check("rename_registered_model", client.get_registered_model("stay").tags == {"team": "b"})
    client.rename_registered_model("stay", "churn")


def check_versions(check, expect_error):
    client = MlflowClient()
    with mlflow.start_run() as run:
        mlflow.log_text("a model", "model/MLmodel")
    place = run.info.artifact_uri + "/model"
    first = client.create_model_version("churn", place, run.info.run_id, tags={"k": "v"}, description="one")
    check("create_model_version", (first.version in (1, "1"), first.source, first.run_id, first.status,
                                   first.current_stage, first.tags["k"], first.description) ==
          (True, place, run.info.run_id, "READY", "None", "v", "one"), first)
    check("a version that cannot be served says why", first.tags["ingot.servable"].startswith("no: MLmodel"), first)
    second = client.create_model_version("churn", "s3://bucket/models/2")
    third = mlflow.register_model("runs:/%s/model" % run.info.run_id, "churn", tags={"third": "yes"})
    copied = client.copy_model_version("models:/churn/1", "copies")
    check("copy_model_version", copied.source == "models:/churn/1" and copied.run_id == run.info.run_id, copied)
    check("its files lie where the first's do",
          client.get_model_version_download_uri("copies", copied.version) == place)
    check("register_model", int(third.version) == 3 and third.run_id == run.info.run_id, third)
    expect_error("a source outside of its run", "must identify the resource that contains the source",
                 lambda: client.create_model_version("churn", "mlflow-artifacts:/0/other", run.info.run_id))
    expect_error("a source that leads up", "Invalid model version source",
                 lambda: client.create_model_version("churn", "s3://bucket/a/../b"))
    expect_error("no such version", "Model Version (name=churn, version=9) not found",
                 lambda: client.get_model_version("churn", 9))
    client.set_model_version_tag("churn", "2", "note", "good")
    client.set_model_version_tag("churn", "2", "other", "bad")
    client.delete_model_version_tag("churn", "2", "other")
    got = client.update_model_version("churn", 2, "two")
    check("update_model_version", got.description == "two" and got.tags == {"note": "good"}, got)
    body, _ = fetch(mlflow.get_tracking_uri() + "/model-versions/get-artifact?name=churn&version=1&path=MLmodel")
    check("get-artifact of a version", body == b"a model", body)
    check("download of a version", mlflow.artifacts.load_text("models:/churn/1/MLmodel") == "a model")
    return int(second.version)


def check_aliases(check, expect_error, second):
    client = MlflowClient()
    client.set_registered_model_alias("churn", "champion", second)
    client.set_registered_model_alias("churn", "old", "1")
    got = client.get_model_version_by_alias("churn", "champion")
    check("get_model_version_by_alias", int(got.version) == second and got.aliases == ["champion"], got)
    got = client.get_registered_model("churn").aliases
    check("aliases of a model", {k: int(v) for k, v in got.items()} == {"champion": second, "old": 1}, got)
    got = mlflow.artifacts.load_text("models:/churn@old/MLmodel")
    check("download by alias", got == "a model", got)
    client.delete_registered_model_alias("churn", "old")
    expect_error("an alias that is gone", "Registered model alias old not found.",
                 lambda: client.get_model_version_by_alias("churn", "old"))
    expect_error("a reserved alias", "alias name (case insensitive) is reserved",
                 lambda: client.set_registered_model_alias("churn", "Latest", 1))
    expect_error("a version as an alias", "Version alias name 'v1' is reserved.",
                 lambda: client.set_registered_model_alias("churn", "v1", 1))


def check_stages(check, expect_error):
    client = MlflowClient()
    client.transition_model_version_stage("churn", 1, "production")
    got = client.transition_model_version_stage("churn", 2, "Production", archive_existing_versions=True)
    check("transition_model_version_stage", got.current_stage == "Production" and
          client.get_model_version("churn", 1).current_stage == "Archived", got)
    got = [(int(v.version), v.current_stage) for v in client.get_latest_versions("churn")]
    check("get_latest_versions", sorted(got) == [(1, "Archived"), (2, "Production"), (3, "None")], got)
    got = numbers(client.get_latest_versions("churn", ["production"]))
    check("get_latest_versions of a stage", got == [("churn", 2)], got)
    expect_error("no such stage", "Invalid Model Version stage: nope",
                 lambda: client.transition_model_version_stage("churn", 1, "nope"))


def check_searches(check, expect_error):
    client = MlflowClient()
    for i in range(5):
        client.create_registered_model("other %d" % i, tags={"parity": "even" if i % 2 == 0 else "odd"})
    got = [model.name for model in client.search_registered_models("name LIKE 'other%'", order_by=["name DESC"])]
    check("search_registered_models", got == ["other %d" % i for i in (4, 3, 2, 1, 0)], got)
    got = [model.name for model in client.search_registered_models("tags.parity = 'odd'")]
    check("search by a tag", got == ["other 1", "other 3"], got)
    page, names = client.search_registered_models(max_results=3), []
    while True:
        names += [model.name for model in page]
        if not page.token:
            break
        page = client.search_registered_models(max_results=3, page_token=page.token)
    check("pages", names == sorted(names) and len(names) == 7, names)
    got = client.search_registered_models("name = 'churn'")[0]
    check("latest versions of what was found", {v.current_stage for v in got.latest_versions} ==
          {"Archived", "Production", "None"}, got)
    got = numbers(client.search_model_versions("name = 'churn'", order_by=["version_number ASC"]))
    check("search_model_versions", got == [("churn", 1), ("churn", 2), ("churn", 3)], got)
    got = numbers(client.search_model_versions("name = 'churn' AND version_number > 1 AND tags.note = 'good'"))
    check("versions by number and tag", got == [("churn", 2)], got)
    got = numbers(client.search_model_versions("source_path LIKE 's3://%'"))
    check("versions by source", got == [("churn", 2)], got)
    run = client.get_model_version("churn", 1).run_id
    got = sorted(numbers(client.search_model_versions("run_id = '%s'" % run)))
    check("versions by run", got == [("churn", 1), ("churn", 3), ("copies", 1)], got)
    expect_error("a filter with OR", "Invalid clause(s) in filter string",
                 lambda: client.search_registered_models("name = 'a' OR name = 'b'"))
    expect_error("an unknown key", "Invalid attribute key 'nope' specified",
                 lambda: client.search_model_versions("nope = 'a'"))


def check_prompts(check, expect_error):
    if not hasattr(mlflow, "genai"):  # clients of the 2.x line
        return
    prompt = mlflow.genai.register_prompt(name="greet", template="Hello {{name}}")
    check("register_prompt", prompt.version == 1, prompt)
    check("a prompt is no model", "greet" not in [m.name for m in MlflowClient().search_registered_models()])
    got = [found.name for found in MlflowClient().search_prompts()]
    check("search_prompts", got == ["greet"], got)
    got = mlflow.genai.load_prompt("prompts:/greet/1").format(name="you")
    check("load_prompt", got == "Hello you", got)
    expect_error("a model of a prompt's name", "already taken by a prompt",
                 lambda: MlflowClient().create_registered_model("greet"))


def check_deletion(check, expect_error):
    client = MlflowClient()
    client.delete_model_version("churn", 3)
    expect_error("a deleted version", "Model Version (name=churn, version=3) not found",
                 lambda: client.get_model_version("churn", 3))
    check("numbers do not come again", int(client.create_model_version("churn", "s3://b/c").version) == 4)
    client.delete_registered_model("churn")
    expect_error("a deleted model", "Registered Model with name=churn not found",
                 lambda: client.get_registered_model("churn"))
    check("its name is free", client.create_registered_model("churn").name == "churn")


def run_checks(check, expect_error):
    check_models(check, expect_error)
    second = check_versions(check, expect_error)
    check_aliases(check, expect_error, second)
    check_stages(check, expect_error)
    check_searches(check, expect_error)
    try:
        check_prompts(check, expect_error)
    except (AttributeError, ImportError, MlflowException) as error:
        check("prompts", False, str(error)[:300])
    check_deletion(check, expect_error)
