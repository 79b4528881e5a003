#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ONNX graphs that ONNX Runtime runs inside the program, next to the same library in Python: operators
that are not Ingot's own, text, several inputs, Ingot's own graphs forced to it, explanations, and a
server under many callers. The library is the wheel's."""

import csv
import glob
import gzip
import json
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
import warnings

import numpy as np
import onnx
import onnxruntime as ort
import shap
import tritonclient.grpc as grpc_client
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import StringTensorType
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline

import program

LIBRARY = glob.glob(os.path.join(os.path.dirname(ort.__file__), "capi", "libonnxruntime.so*"))[0]
SHARED = os.environ.get("INGOT_SHARED_DIR", os.path.join(program.ROOT, "..", "shared"))
RNG = np.random.default_rng(11)
os.environ["INGOT_ONNXRUNTIME_LIBRARY"] = LIBRARY


def check(name, good, detail=""):
    print("%s onnxruntime: %s%s" % ("ok" if good else "FAIL", name, "" if good else ": %s" % (detail,)))


def floats(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def graph(nodes, inputs, outputs, initialisers):
    value = h.make_tensor_value_info
    made = h.make_graph(nodes, "g", [value(*i) for i in inputs], [value(*o) for o in outputs],
                        [numpy_helper.from_array(v, k) for k, v in initialisers.items()])
    return h.make_model(made, opset_imports=[h.make_opsetid("", 20)], ir_version=9)


def flat(columns, nodes, initialisers, columns_out=2):
    """x [N, columns] -> y [N, columns_out]."""
    return graph(nodes, [("x", T.FLOAT, ["N", columns])], [("y", T.FLOAT, ["N", columns_out])], initialisers)


def lstm():
    """Five steps of three features."""
    return flat(15, [
        h.make_node("Reshape", ["x", "steps"], ["r"]),
        h.make_node("Transpose", ["r"], ["t"], perm=[1, 0, 2]),
        h.make_node("LSTM", ["t", "W", "R", "B"], ["", "last"], hidden_size=4),
        h.make_node("Squeeze", ["last", "axis"], ["s"]),
        h.make_node("Gemm", ["s", "G", "c"], ["y"])],
        {"steps": np.array([-1, 5, 3]), "W": floats(1, 16, 3), "R": floats(1, 16, 4),
         "B": floats(1, 32), "axis": np.array([0]), "G": floats(4, 2), "c": floats(2)})


def transformer():
    """Attention over four tokens of six numbers, with GELU and layer normalisation."""
    return flat(24, [
        h.make_node("Reshape", ["x", "tokens"], ["t"]),
        h.make_node("LayerNormalization", ["t", "s", "b"], ["n"]),
        h.make_node("Einsum", ["n", "Q"], ["q"], equation="nti,ij->ntj"),
        h.make_node("Einsum", ["n", "K"], ["k"], equation="nti,ij->ntj"),
        h.make_node("Einsum", ["q", "k"], ["a"], equation="nti,nui->ntu"),
        h.make_node("Softmax", ["a"], ["p"], axis=-1),
        h.make_node("Einsum", ["p", "n"], ["m"], equation="ntu,nui->nti"),
        h.make_node("Gelu", ["m"], ["g"]),
        h.make_node("Flatten", ["g"], ["f"]),
        h.make_node("Gemm", ["f", "G"], ["l"]),
        h.make_node("Softmax", ["l"], ["y"], axis=-1)],
        {"tokens": np.array([-1, 4, 6]), "s": floats(6), "b": floats(6), "Q": floats(6, 6),
         "K": floats(6, 6), "G": floats(24, 3)}, 3)


def branches():
    """Subgraphs."""
    branch = [h.make_graph([h.make_node(op, ["x"], [op])], op,
                           [], [h.make_tensor_value_info(op, T.FLOAT, None)]) for op in ("Neg", "Exp")]
    return flat(4, [
        h.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        h.make_node("Greater", ["sum", "zero"], ["positive"]),
        h.make_node("If", ["positive"], ["y"], then_branch=branch[0], else_branch=branch[1])],
        {"zero": np.array(0, np.float32)}, 4)


def several():
    """Inputs of three types; the values are float64."""
    return graph([
        h.make_node("Cast", ["i"], ["id"], to=T.DOUBLE),
        h.make_node("Cast", ["b"], ["bd"], to=T.DOUBLE),
        h.make_node("Einsum", ["d", "id"], ["p"], equation="ni,ni->ni"),
        h.make_node("Add", ["p", "bd"], ["y"])],
        [("d", T.DOUBLE, ["N", 1]), ("i", T.INT64, ["N", 1]), ("b", T.BOOL, ["N", 1])],
        [("y", T.DOUBLE, ["N", 1])], {})


def lookup():
    """Fails on an index out of range."""
    return graph([h.make_node("GatherND", ["table", "i"], ["y"])],
                 [("i", T.INT64, ["N", 1])], [("y", T.FLOAT, ["N"])],
                 {"table": floats(10)})


def write_rows(path, names, rows):
    with open(path, "w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(names)
        writer.writerows([[v if isinstance(v, str) else "%.17g" % v for v in row] for row in rows])


def session(model):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options)


def answers(model, columns):
    """Row by row, as values of one row do not depend on others."""
    run = session(model)
    count = len(next(iter(columns.values())))
    return np.array([run.run(None, {k: v[i:i + 1] for k, v in columns.items()})[-1].ravel()
                     for i in range(count)], dtype=float)


def inspect(path):
    return json.loads(program.run("inspect", path, "--format", "json"))


def check_same(name, directory, model, columns, reason):
    path, table = os.path.join(directory, "model.onnx"), os.path.join(directory, "rows.csv")
    with open(path, "wb") as out:
        out.write(model.SerializeToString())
    rows = np.column_stack([v.reshape(len(v), -1).astype(float) for v in columns.values()])
    names = list(columns) if len(columns) > 1 else ["f%d" % i for i in range(rows.shape[1])]
    if len(columns) == 1 and rows.shape[1] == 1:
        names = list(columns)
    write_rows(table, names, rows)
    facts = inspect(path)
    good = facts["engine"] == "onnxruntime" and facts["engine_version"] == ort.__version__
    check("%s is not ours: %s" % (name, reason), good and reason in facts["engine_reason"], facts)
    want, got = answers(model, columns), np.array(program.predict(path, table))
    gap = np.abs(got - want).max() if got.shape == want.shape else np.inf
    check("%s, %d rows bit-equal" % (name, len(rows)), gap == 0, gap)


def check_unknown_operators(directory):
    cases = (("LSTM", lstm(), {"x": floats(50, 15)}, "(LSTM): this operator"),
             ("attention", transformer(), {"x": floats(50, 24)}, "(LayerNormalization): this operator"),
             ("If", branches(), {"x": floats(50, 4)}, "subgraphs are not read here"),
             ("three types", several(),
              {"d": RNG.normal(size=(40, 1)), "i": RNG.integers(-9, 9, (40, 1)),
               "b": RNG.integers(0, 2, (40, 1)).astype(bool)}, "(Einsum): this operator"),
             ("lookup", lookup(), {"i": RNG.integers(0, 10, (20, 1))}, "(GatherND): this operator"))
    for case in cases:
        onnx.checker.check_model(case[1])
        check_same(case[0], directory, *case[1:])


def check_refusals(directory):
    path = os.path.join(directory, "lstm.onnx")
    with open(path, "wb") as out:
        out.write(lstm().SerializeToString())
    for engine, library, word in (("ingot", LIBRARY, "onnx_engine keeps ONNX Runtime out"),
                                  ("auto", "/nowhere/libonnxruntime.so.1", "/nowhere/libonnxruntime"),
                                  ("auto", "lib.so", "is not an absolute path"),
                                  ("some", LIBRARY, "is not auto, ingot or onnxruntime")):
        more = {"INGOT_ONNX_ENGINE": engine, "INGOT_ONNXRUNTIME_LIBRARY": library}
        done = subprocess.run([program.INGOT, "inspect", path], capture_output=True, text=True,
                              env={**os.environ, **more})
        check("refused with %s and %s" % (engine, library), done.returncode and word in done.stderr,
              done.stderr)
    x, y = floats(60, 3), RNG.integers(0, 2, 60)
    mapped = to_onnx(LogisticRegression().fit(x, y), x[:1])
    with open(path, "wb") as out:
        out.write(mapped.SerializeToString())
    os.environ["INGOT_ONNX_ENGINE"] = "onnxruntime"
    try:
        program.run("inspect", path)
        check("ZipMap", False, "taken")
    except program.Refused as refused:
        check("ZipMap is refused with advice", "options={'zipmap': False}" in str(refused), refused)
    del os.environ["INGOT_ONNX_ENGINE"]


def check_text(directory):
    """A package lists the words; the rows are words."""
    places = ["the river bank", "a bank of the city", "the old city wall", "river and wall", "a city",
              "the wall of the river", "old bank notes", "notes on the river", "city notes", "a wall"]
    labels = [0, 1, 1, 0, 1, 0, 1, 0, 1, 0]
    model = make_pipeline(TfidfVectorizer(lowercase=False), LogisticRegression()).fit(places, labels)
    made = to_onnx(model, initial_types=[("note", StringTensorType([None]))],
                   options={"zipmap": False}, target_opset=17)
    folder = os.path.join(directory, "notes")
    os.makedirs(folder)
    with open(os.path.join(folder, "model.onnx"), "wb") as out:
        out.write(made.SerializeToString())
    with open(os.path.join(folder, "ingot.yaml"), "w") as out:
        out.write("model: model.onnx\ntask: multiclass\nfeatures:\n"
                  "  - name: note\n    type: categorical\n    categories: %s\n" % json.dumps(places))
    table = os.path.join(directory, "notes.csv")
    write_rows(table, ["note"], [[p] for p in places])
    want = model.predict_proba(places)
    got = np.array(program.predict(folder, table, raw=False))
    gap = np.abs(got - want).max() if got.shape == want.shape else np.inf
    check("TfidfVectorizer over words, within %.1e" % gap, gap < 1e-6)
    check("words are a package's", inspect(folder)["engine"] == "onnxruntime")
    try:
        program.run("inspect", os.path.join(folder, "model.onnx"))
        check("a bare file of text", False, "taken")
    except program.Refused as refused:
        check("a bare file of text is refused", "lists its words as categories" in str(refused), refused)


def shared_cases():
    folder = os.path.join(SHARED, "models", "onnx")
    for name in ("ad01_int8_qdq", "kws_int8_qdq", "vww_96_int8_qdq", "sklearn_randomforest"):
        path = os.path.join(folder, name + ".onnx")
        if os.path.exists(path):
            yield name, path


def own_cases(directory):
    x, y = floats(300, 6), RNG.integers(0, 3, 300)
    for model in (RandomForestClassifier(20, max_depth=5, random_state=1).fit(x, y),
                  MLPRegressor(hidden_layer_sizes=(16, 8), random_state=1, max_iter=50).fit(x, x[:, 0] * x[:, 1])):
        path = os.path.join(directory, type(model).__name__ + ".onnx")
        options = {"zipmap": False} if hasattr(model, "classes_") else None
        with open(path, "wb") as out:
            out.write(to_onnx(model, x[:1], options=options).SerializeToString())
        yield type(model).__name__, path


def check_forced(directory):
    """Ingot's own engine and ONNX Runtime on the same files."""
    for name, path in (*own_cases(directory), *shared_cases()):
        own = inspect(path)
        width = len(own["features"])
        table = os.path.join(directory, "forced.csv")
        file = path.replace(".onnx", ".inputs.csv")
        rows = floats(40, width)
        for opened, real in ((open, file), (gzip.open, file + ".gz")):
            if os.path.exists(real):
                with opened(real, "rt") as text:
                    rows = np.loadtxt(text, delimiter=",", ndmin=2)[:5]
        write_rows(table, [f["name"] for f in own["features"]], rows)
        ours = np.array(program.predict(path, table, raw=False))
        os.environ["INGOT_ONNX_ENGINE"] = "onnxruntime"
        try:
            forced = inspect(path)
            theirs = np.array(program.predict(path, table, raw=False))
            gap = np.abs(ours - theirs).max() if ours.shape == theirs.shape else np.inf
            check("%s by both engines, within %.1e" % (name, gap),
                  own["engine"] == "ingot" and forced["engine"] == "onnxruntime" and gap <= 1e-4)
        except program.Refused as refused:
            check("%s by both engines" % name, "zipmap" in str(refused) and "sklearn_" in name, refused)
        del os.environ["INGOT_ONNX_ENGINE"]


def check_explanations(directory):
    model, x, others = transformer(), floats(2, 24), floats(6, 24)
    narrow = flat(6, [h.make_node("LayerNormalization", ["x", "s", "b"], ["n"]),
                         h.make_node("Gelu", ["n"], ["g"]), h.make_node("Gemm", ["g", "G"], ["y"])],
                  {"s": floats(6), "b": floats(6), "G": floats(6, 1)}, 1)
    files = [os.path.join(directory, f) for f in ("explained.onnx", "rows.csv", "others.csv")]
    for name, made, rows, back in (("narrow", narrow, x[:, :6], others[:, :6]), ("attention", model, x, others)):
        with open(files[0], "wb") as out:
            out.write(made.SerializeToString())
        width = rows.shape[1]
        for path, table in zip(files[1:], (rows, back)):
            write_rows(path, ["f%d" % i for i in range(width)], table.astype(float))
        run = session(made)
        if name == "attention":
            text = program.run("explain", "--model", files[0], "--input", files[1], "--background",
                               files[2], "--method", "lime", "--format", "json")
            check("LIME of %s" % name, len(text) > 100)
            continue
        function = lambda z: run.run(None, {"x": z.astype(np.float32)})[0][:, 0]
        want = shap.explainers.Exact(function, shap.maskers.Independent(back, len(back)))(rows).values
        for method, bound in (("exact", 1e-5), ("leverage", 1e-4)):
            got = np.array(program.explain(files[0], files[1], "--background", files[2], "--method",
                                           method))[:, :width]
            gap = np.abs(got - want).max()
            check("%s SHAP values beside shap's, within %.1e" % (method, gap), gap < bound)


def call(base, method, path, body=None, raw=None):
    data = raw if raw is not None else json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(base + path, data, method=method)
    request.add_header("Content-Type", "application/octet-stream" if raw is not None else "application/json")
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def deploy(base, name, model):
    digest = call(base, "POST", "/api/v1/blobs", raw=model.SerializeToString())[1]["digest"]
    call(base, "POST", "/api/v1/models", {"name": name})
    status, reply = call(base, "POST", "/api/v1/models/%s/versions" % name, {"digest": digest})
    if status != 201:
        raise program.Refused(str(reply))
    call(base, "PUT", "/api/v1/deployments/" + name, {"model": name})


def many_callers(base, rows, want):
    wrong = []

    def ask(seed):
        rng = np.random.default_rng(seed)
        for _ in range(60):
            chosen = rng.choice(len(rows), rng.integers(1, 40))
            status, reply = call(base, "POST", "/v1/models/seq:predict",
                                 {"instances": rows[chosen].astype(float).tolist()})
            if status != 200 or not np.array_equal(np.array(reply["predictions"]), want[chosen]):
                wrong.append((status, reply if status != 200 else "other numbers"))

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check("8 callers at once, %d calls in batches of any size: the same bits" % (8 * 60), not wrong, wrong[:1])


def check_skipped(base, triton):
    """A member that fails on a row is named in every reply, in streams too."""
    deploy(base, "double", graph([h.make_node("GatherND", ["table", "i"], ["y"])],
                                 [("i", T.INT64, ["N", 1])], [("y", T.FLOAT, ["N"])],
                                 {"table": np.arange(200, dtype=np.float32)}))
    status, reply = call(base, "PUT", "/api/v1/deployments/both", {"graph": {"root": {"ensemble": {
        "on_failure": "skip", "members": [{"model": "double"}, {"model": "table"}]}}}})
    check("an ensemble of both", status == 200, reply)
    tensor = grpc_client.InferInput("input", [2, 1], "FP64")
    named = []
    replies = queue.Queue()
    triton.start_stream(lambda result, error: replies.put((result, error)))
    for rows in ([[3.0], [4.0]], [[3.0], [99.0]]):
        tensor.set_data_from_numpy(np.array(rows))
        triton.async_stream_infer("both", [tensor])
        result, error = replies.get(timeout=20)
        single = triton.infer("both", [tensor])
        for got in (result, single):
            named.append(dict(got.get_response().parameters)["skipped_members"].string_param
                         if got and got.get_response().parameters else error)
    triton.stop_stream()
    check("who was left out, in single calls and streams", named == [None, None, "table/1", "table/1"], named)


def check_server(directory):
    data = os.path.join(directory, "data")
    server = subprocess.Popen([program.INGOT, "server", "--data", data, "--listen", "127.0.0.1:0"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        base = re.search(r"http://127\.0\.0\.1:\d+", server.stdout.readline()).group(0)
        model, rows = lstm(), floats(100, 15)
        deploy(base, "seq", model)
        deploy(base, "table", lookup())
        facts = call(base, "GET", "/api/v1/deployments/seq")[1]
        check("a deployment tells its engine", facts["engine"] == "onnxruntime" and
              "LSTM" in facts["engine_reason"], facts)
        triton = grpc_client.InferenceServerClient(base.split("/")[-1])
        metadata, config = triton.get_model_metadata("seq"), triton.get_model_config("seq").config
        check("tritonclient sees the platform", metadata.platform == config.platform == "onnxruntime_onnx"
              and config.backend == "onnxruntime", metadata)
        many_callers(base, rows, answers(model, {"x": rows}))
        status, reply = call(base, "POST", "/v1/models/table:predict", {"instances": [[3], [99]]})
        check("an index out of range", status == 500 and "ONNX Runtime" in reply["error"], reply)
        status, reply = call(base, "POST", "/v1/models/table:predict", {"instances": [[3]]})
        check("and the next call", status == 200, reply)
        check_skipped(base, triton)
    finally:
        server.terminate()
        server.wait(30)
    check("the server ends in order", server.returncode == 0, server.returncode)


def main():
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as directory:
        check_unknown_operators(directory)
        check_refusals(directory)
        check_text(directory)
        check_forced(directory)
        check_explanations(directory)
        check_server(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
