#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Models that the unmodified MLflow client logs and registers, deployed and asked here: predictions over
/invocations beside the library's own and beside pyfunc's, bit for bit; what is no native model file, refused
with what to do; logged models as the client makes, finds and loads them."""

import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import warnings

import program

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"

try:
    import lightgbm
    import mlflow
    import mlflow.lightgbm
    import mlflow.onnx
    import mlflow.sklearn
    import mlflow.xgboost
    import numpy
    import pandas
    import xgboost
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from mlflow.models import infer_signature
    from skl2onnx import to_onnx
    from sklearn.ensemble import GradientBoostingClassifier
except ImportError as error:
    print("mlflow_models: skipped, %s" % error)
    sys.exit(0)

warnings.filterwarnings("ignore")
failed = 0
NAMES = ["age", "income band", "size"]
ROWS = 300


def check(name, good, detail=""):
    global failed
    failed += not good
    print("%s mlflow models: %s%s" % ("ok" if good else "FAIL", name, "" if good else ": %r" % (detail,)), flush=True)


def table():
    rng = numpy.random.default_rng(7)
    rows = pandas.DataFrame({"age": rng.normal(40, 12, ROWS), "income band": rng.integers(0, 9, ROWS),
                             "size": rng.normal(size=ROWS).astype("float32")})
    noise = rng.normal(size=ROWS)
    return rows, ((rows["age"] > 40) + (rows["income band"] > 4) + noise > 1).astype(int)


def cli(url, *arguments):
    done = subprocess.run([program.INGOT, *arguments], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "INGOT_SERVER": url})
    return done.returncode, done.stdout + done.stderr


def ask(url, deployment, rows):
    """Predictions by pandas' own split form, as MLflow's scoring clients send it."""
    body = json.dumps({"dataframe_split": json.loads(rows.to_json(orient="split", double_precision=15))})
    request = urllib.request.Request("%s/models/%s/invoke" % (url, deployment), body.encode(),
                                     {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return numpy.array(json.loads(reply.read())["predictions"], dtype=float)
    except urllib.error.HTTPError as error:
        return error.read()[:300]


def tags_of(client, name, version):
    return client.get_model_version(name, str(version)).tags


def deploy(url, deployment, uri):
    code, said = cli(url, "deploy", deployment, "--model", uri)
    check("deploy %s as %s" % (uri, deployment), code == 0, said[-300:])


def exact(rows):
    """The rows as they are after one trip through JSON's decimals."""
    return pandas.DataFrame({name: rows[name] for name in NAMES})


def check_xgboost(url, rows, target):
    client = MlflowClient()
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 4}, xgboost.DMatrix(rows, target), 12)
    with mlflow.start_run() as run:
        mlflow.log_param("rounds", 12)
        info = mlflow.xgboost.log_model(booster, name="model", signature=infer_signature(rows, booster.predict(
            xgboost.DMatrix(rows))), input_example=rows[:2], registered_model_name="xgb",
            pip_requirements=["xgboost"])
        mlflow.log_metric("auc", 0.9, model_id=info.model_id)
    check("xgboost: servable", tags_of(client, "xgb", 1).get("ingot.servable") == "yes", tags_of(client, "xgb", 1))
    code, card = cli(url, "model", "card", "xgb", "1")
    check("xgboost: the input example is golden rows", code == 0 and "| golden rows | 2, reproduced" in card, card)
    client.set_registered_model_alias("xgb", "champion", "1")
    deploy(url, "xgb", "models:/xgb@champion")
    wanted = booster.predict(xgboost.DMatrix(rows)).astype(float)
    got = ask(url, "xgb", rows)
    check("xgboost: predictions bit for bit", numpy.array_equal(numpy.float32(got), numpy.float32(wanted)), got)
    loaded = mlflow.pyfunc.load_model("models:/xgb@champion").predict(rows)
    check("xgboost: load_model back by the alias", numpy.array_equal(loaded, booster.predict(
        xgboost.DMatrix(rows))), loaded[:3])
    logged = mlflow.get_logged_model(info.model_id)
    check("logged model", logged.status == "READY" and logged.source_run_id == run.info.run_id and
          logged.metrics[0].key == "auc" and json.loads(logged.tags["mlflow.modelVersions"])[0] ==
          {"name": "xgb", "version": 1}, (logged.status, logged.source_run_id, logged.metrics, logged.tags))
    found = mlflow.search_logged_models(["0"], filter_string="metrics.auc > 0.5 AND name = 'model'",
                                        order_by=[{"field_name": "metrics.auc", "ascending": False}],
                                        output_format="list")
    check("search_logged_models", [model.model_id for model in found] == [info.model_id], found)
    outputs = client.get_run(run.info.run_id).outputs.model_outputs
    check("outputs of the run", [output.model_id for output in outputs] == [info.model_id], outputs)
    again = mlflow.xgboost.load_model("runs:/%s/model" % run.info.run_id)
    check("load_model by the run", again.num_boosted_rounds() == 12)
    return run.info.run_id, info.model_id, booster


def check_classifier(url, rows, target):
    model = xgboost.XGBClassifier(n_estimators=8, max_depth=3).fit(rows, target)
    with mlflow.start_run():
        mlflow.xgboost.log_model(model, name="model", signature=infer_signature(rows, target),
                                 registered_model_name="xgb", pip_requirements=["xgboost"])
    deploy(url, "xgbc", "models:/xgb/2")
    got = ask(url, "xgbc", rows)
    wanted = model.predict_proba(rows)[:, 1]
    check("XGBClassifier: probabilities bit for bit", numpy.array_equal(numpy.float32(got), wanted), got)


def check_lightgbm(url, rows, target):
    client = MlflowClient()
    booster = lightgbm.train({"objective": "binary", "verbose": -1}, lightgbm.Dataset(rows, target), 12)
    with mlflow.start_run():
        mlflow.lightgbm.log_model(booster, name="model", signature=infer_signature(rows, booster.predict(rows)),
                                  registered_model_name="lgb", pip_requirements=["lightgbm"])
    deploy(url, "lgb", "models:/lgb/1")
    got, wanted = ask(url, "lgb", rows), booster.predict(rows)
    check("lightgbm: predictions bit for bit", numpy.array_equal(got, wanted), (got[:3], wanted[:3]))
    wrapped = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(rows, target)
    with mlflow.start_run():
        mlflow.lightgbm.log_model(wrapped, name="model", registered_model_name="lgb", pip_requirements=["lightgbm"],
                                  serialization_format="cloudpickle")
    tag = tags_of(client, "lgb", 2)["ingot.servable"]
    check("LGBMClassifier: refused with the hint", "model.booster_" in tag and tag.startswith("no: "), tag)
    check("the version before serves on", int(client.get_latest_versions("lgb")[0].version) == 2 and
          numpy.array_equal(ask(url, "lgb", rows), wanted))


def check_onnx(url, rows, target):
    features = rows.to_numpy("float32")
    model = GradientBoostingClassifier(n_estimators=8, max_depth=3).fit(features, target)
    converted = to_onnx(model, features[:1], options={"zipmap": False})
    singles = rows.astype("float32")
    with mlflow.start_run():
        mlflow.onnx.log_model(converted, name="model", signature=infer_signature(singles, target),
                              registered_model_name="onnx", pip_requirements=["onnx"])
    deploy(url, "onnx", "models:/onnx/1")
    got = ask(url, "onnx", singles)
    import onnxruntime
    session = onnxruntime.InferenceSession(converted.SerializeToString(), providers=["CPUExecutionProvider"])
    wanted = session.run(["probabilities"], {session.get_inputs()[0].name: features})[0][:, 1]
    check("onnx: probabilities within two steps of float of ONNX Runtime's",
          isinstance(got, numpy.ndarray) and numpy.abs(got.ravel() - wanted).max() <= 2.4e-7,
          got if isinstance(got, bytes) else numpy.abs(got.ravel() - wanted).max())
    check_network(url, singles)


def check_network(url, rows):
    """Its weights are over a kilobyte, so MLflow saves them in a file of their own."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
    rng = numpy.random.default_rng(3)
    weights = [numpy_helper.from_array(rng.normal(size=shape).astype("float32") / 8, name) for name, shape in
               (("w1", (3, 256)), ("w2", (256, 1)))]
    nodes = [helper.make_node("MatMul", ["x", "w1"], ["h"]), helper.make_node("Relu", ["h"], ["r"]),
             helper.make_node("MatMul", ["r", "w2"], ["y"])]
    graph = helper.make_graph(nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])], weights)
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    session = onnxruntime.InferenceSession(network.SerializeToString(), providers=["CPUExecutionProvider"])
    wanted = session.run(None, {"x": rows.to_numpy()})[0].ravel()
    with mlflow.start_run() as run:
        info = mlflow.onnx.log_model(network, name="net", signature=infer_signature(rows, wanted),
                                     registered_model_name="net", pip_requirements=["onnx"])
    files = [entry.path for entry in MlflowClient().list_logged_model_artifacts(info.model_id)]
    check("a network's weights lie beside it", len(files) > 5, files)
    deploy(url, "net", "models:/net/1")
    got = ask(url, "net", rows)
    near = isinstance(got, numpy.ndarray) and numpy.abs(got.ravel() - wanted).max() <= 1e-5 * numpy.abs(wanted).max()
    check("a network with its weights in another file", near, got)
    code, said = cli(url, "inspect", "runs:/%s/net" % run.info.run_id)
    check("inspect it by its run", code == 0 and "income band" in said, said[:300])


def check_sklearn(url, rows, target):
    model = GradientBoostingClassifier(n_estimators=3).fit(rows, target)
    with mlflow.start_run():
        mlflow.sklearn.log_model(model, name="model", signature=infer_signature(rows, target),
                                 registered_model_name="skl", pip_requirements=["scikit-learn"],
                                 serialization_format="cloudpickle")
    tag = tags_of(MlflowClient(), "skl", 1)["ingot.servable"]
    check("sklearn: kept, and said why not", tag.startswith("no: the sklearn flavor") and "skl2onnx" in tag, tag)
    code, said = cli(url, "deploy", "skl", "--model", "models:/skl/1")
    check("sklearn: the deployment says it too", code != 0 and "never opened" in said and "skl2onnx" in said, said)
    back = mlflow.sklearn.load_model("models:/skl/1")
    check("sklearn: load_model back", numpy.array_equal(back.predict(rows), model.predict(rows)))


def check_uris(url, rows, run, booster, directory):
    path = os.path.join(directory, "rows.csv")
    rows.to_csv(path, index=False, float_format="%.17g")
    wanted = booster.predict(xgboost.DMatrix(rows), output_margin=True)
    for uri in ("models:/xgb@champion", "models:/xgb/1", "runs:/%s/model" % run):
        code, said = cli(url, "predict", "--model", uri, "--input", path, "--raw")
        margins = [float(line) for line in said.split()] if code == 0 else said
        check("predict --model %s" % uri.split(run)[0], code == 0 and numpy.array_equal(
            numpy.float32(margins), wanted), said[:200])
        code, said = cli(url, "inspect", uri)
        check("inspect --model %s" % uri.split(run)[0], code == 0 and "income band" in said, said[:200])
    deploy(url, "byrun", "runs:/%s/model" % run)
    code, said = cli(url, "model", "alias", "xgb", "shadow", "--version", "2")
    check("an alias made here", code == 0, said)
    check("is the client's", int(MlflowClient().get_model_version_by_alias("xgb", "shadow").version) == 2)
    try:
        MlflowClient().delete_model_version("xgb", "1")
        check("a deployed version is not deleted", False)
    except MlflowException as error:
        check("a deployed version is not deleted", "is deployed" in str(error), str(error))


def main():
    with tempfile.TemporaryDirectory() as directory:
        server, address = program.serve(os.path.join(directory, "data"), os.path.join(directory, "log"))
        url = "http://" + address
        try:
            mlflow.set_tracking_uri(url)
            rows, target = table()
            rows = exact(rows)
            run, _, booster = check_xgboost(url, rows, target)
            check_classifier(url, rows, target)
            check_lightgbm(url, rows, target)
            check_onnx(url, rows, target)
            check_sklearn(url, rows, target)
            check_uris(url, rows, run, booster, directory)
        finally:
            server.terminate()
            server.wait(30)
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
