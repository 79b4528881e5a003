#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every export run by what it is for: ONNX files by onnx's checker and ONNX Runtime, .tflite files by LiteRT's signature runner
and TensorFlow Lite Micro with the plan of memory inside. The golden models of the field's libraries, and the small networks of the
golden generator, each next to `ingot predict` on the same floats."""

import collections
import csv
import glob
import os
import sys
import tempfile

import flatbuffers
import numpy as np
import onnx
import onnxruntime as ort
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from tflite_micro import runtime

import golden
import program

sys.path.insert(0, os.path.join(program.ROOT, "tests", "golden"))
import make_tflite  # noqa: E402

SHARED = os.environ.get("INGOT_SHARED_DIR", os.path.join(program.ROOT, "..", "shared"))
RNG = np.random.default_rng(13)
ort.set_default_logger_severity(4)
# Sums in float instead of double, over hundreds of trees.
TOLERANCE = 1e-5
# What a format cannot say, in the words of the refusal.
REASONS = ("linear models, which ONNX", "zeros count as missing and go against", "statistics of categories")


def check(name, good, detail=""):
    print("%s exports: %s%s" % ("ok" if good else "FAIL", name, "" if good else ": %s" % (detail,)))
    return good


def export(model, path, *more):
    program.run("edge", "export", model, "--output", path, *more)
    return path


def relative(got, want):
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    if got.shape != want.shape:
        return np.inf
    gap = np.abs(got - want) / np.maximum(1, np.abs(want))
    gap[np.isnan(got) & np.isnan(want)] = 0
    gap[got == want] = 0
    return float(np.max(gap, initial=0.0))


def open_onnx(path):
    """Without the saturation of 16-bit sums by which ONNX Runtime is faster on processors that lack VNNI."""
    onnx.checker.check_model(path, full_check=True)
    options = ort.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


# ---- models of rows ----

def rows_of(case, directory):
    """The case's rows as floats, and a table of exactly these for `ingot predict`."""
    with open(os.path.join(case, "input.csv"), encoding="utf-8", newline="") as stream:
        table = list(csv.reader(stream))
    xgboost = os.path.basename(os.path.dirname(case[:-1])) == "xgboost"
    named, words = golden.said_by_model(case) if xgboost else (True, {})
    header = table[0] if named else ["f%d" % i for i in range(len(table[0]))]
    with np.errstate(over="ignore"):
        rows = np.array([[float(x) if x.strip() else np.nan for x in row] for row in table[1:]]).astype(np.float32)
    path = os.path.join(directory, "rows.csv")
    with open(path, "w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(header)
        for row in rows:
            writer.writerow(["" if np.isnan(x) else words[i][int(x)] if i in words and 0 <= x < len(words[i]) else "%.17g" % x
                             for i, x in enumerate(row)])
    return rows, path


def predicted(session, rows):
    """Predictions as Ingot orders them, and what tells the class."""
    names = [o.name for o in session.get_outputs()]
    values = dict(zip(names, session.run(None, {session.get_inputs()[0].name: rows})))
    if "probabilities" in values:
        p = values["probabilities"]
        return p[:, 1:] if p.shape[1] == 2 else p
    if "label" in values:
        return values["label"].reshape(-1, 1).astype(np.float64)
    return values["variable"]


def compare_rows(name, case, model, directory, counts):
    path = os.path.join(directory, "model.onnx")
    try:
        rows, table = rows_of(case, directory)
    except ValueError:
        counts["words"] += 1
        return
    try:
        export(model, path)
    except program.Refused as refusal:
        known = any(reason in str(refusal) for reason in REASONS)
        counts["refused"] += 1
        if not known:
            check(name, False, refusal)
        return
    try:
        session = open_onnx(path)
        want = np.array(program.predict(model, table, raw=False))
        got = predicted(session, rows)
        if got.shape[1] == 1 and want.shape[1] == 2:
            want = want[:, 1:]
        worst = relative(got, want)
    except Exception as error:  # noqa: BLE001: whatever the library says is the finding
        check(name, False, str(error)[:300])
        return
    counts["same"] += worst <= TOLERANCE
    counts["worst"] = max(counts["worst"], worst)
    if worst > TOLERANCE:
        check(name, False, "worst %.3g" % worst)


def golden_models(directory):
    for library in ("xgboost", "lightgbm", "catboost", "pmml"):
        counts = collections.Counter(worst=0.0)
        for case in sorted(glob.glob(os.path.join(golden.GOLDEN, library, "*", ""))):
            models = [m for m in glob.glob(os.path.join(case, "model.*")) if not m.endswith(".yaml")]
            compare_rows("%s %s" % (library, os.path.basename(case[:-1])), case, models[0], directory, counts)
        check("%s to ONNX: %d models as ONNX Runtime runs them, worst %.1e; %d refused, %d over words alone" %
              (library, counts["same"], counts["worst"], counts["refused"], counts["words"]), counts["same"] > 5)


# ---- networks ----

def network_rows(session, count=20):
    ins = session.get_inputs()
    shapes = [[1 if isinstance(d, str) else d for d in i.shape] for i in ins]
    return [[(RNG.normal(size=shape) * 2).astype(np.float32) for shape in shapes] for _ in range(count)]


def predict_rows(path, rows):
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as table:
        np.savetxt(table, np.array([np.concatenate([x.ravel() for x in row]) for row in rows]), delimiter=",", fmt="%.17g")
        table.flush()
        return np.array(program.numbers(program.run("predict", "--model", path, "--input", table.name, "--no-header")))


def compare_network(name, source, directory, totals):
    path = export(source, os.path.join(directory, "network.onnx"))
    session = open_onnx(path)
    rows = network_rows(session)
    names = [i.name for i in session.get_inputs()]
    outs = [session.run(None, dict(zip(names, row))) for row in rows]
    got = np.array([np.concatenate([np.asarray(o).ravel() for o in out]) for out in outs])
    want = predict_rows(source, rows)
    lite = Interpreter(source)
    scales = [(d["quantization"][0], int(np.prod(d["shape"]))) for d in lite.get_output_details()]
    if all(scale == 0 for scale, _ in scales):
        worst = relative(got, want)
        totals["float"] += 1
        totals["worst"] = max(totals["worst"], worst)
        if worst > TOLERANCE:
            check(name + " to ONNX", False, "worst %.3g" % worst)
        return
    steps = np.repeat([scale if scale else 1 for scale, _ in scales], [count for _, count in scales])
    codes = np.abs(np.rint((got - want) / steps))
    totals["int8"] += 1
    totals["codes"] += codes.size
    totals["equal"] += int((codes == 0).sum())
    totals["near"] += int((codes <= 1).sum())
    if os.environ.get("VERBOSE"):
        print("   ", name, codes.size, (codes > 0).sum(), codes.max())


def networks(directory):
    totals = collections.Counter(worst=0.0)
    for name, model in make_tflite.cases().items():
        source = os.path.join(directory, name + ".tflite")
        with open(source, "wb") as out:
            out.write(model)
        try:
            compare_network(name, source, directory, totals)
        except Exception as error:  # noqa: BLE001
            check(name + " to ONNX", False, str(error)[:300])
    check("networks to ONNX: %d float ones within %.1e" % (totals["float"], totals["worst"]), totals["float"] > 20)
    share, near = totals["equal"] / totals["codes"], totals["near"] / totals["codes"]
    check("networks to QDQ: %d int8 ones, %.2f%% of %d codes equal, %.2f%% within a step" %
          (totals["int8"], 100 * share, totals["codes"], 100 * near), share > 0.99 and near > 0.999)


# ---- TensorFlow Lite ----

def run_signature(path, rows):
    """By the names of the signature, as an application calls it."""
    lite = Interpreter(path)
    run = lite.get_signature_runner("serving_default")
    ins, outs = run.get_input_details(), run.get_output_details()
    order = sorted(ins, key=lambda name: [d["index"] for d in lite.get_input_details()].index(ins[name]["index"]))
    back = [next(name for name in outs if outs[name]["index"] == d["index"]) for d in lite.get_output_details()]
    made = [run(**dict(zip(order, row))) for row in rows]
    return [[m[name] for name in back] for m in made]


def run_lite(path, rows):
    lite = Interpreter(path)
    lite.allocate_tensors()
    made = []
    for row in rows:
        for d, x in zip(lite.get_input_details(), row):
            lite.set_tensor(d["index"], x)
        lite.invoke()
        made.append([lite.get_tensor(d["index"]) for d in lite.get_output_details()])
    return made


def run_micro(model, rows, outputs):
    micro = runtime.Interpreter.from_bytes(model)
    made = []
    for row in rows:
        for k, x in enumerate(row):
            micro.set_input(x, k)
        micro.invoke()
        made.append([np.array(micro.get_output(k)) for k in range(outputs)])
    return made


def same(a, b):
    return all(np.array_equal(x, y, equal_nan=True) for p, q in zip(a, b) for x, y in zip(p, q))


def lite_rows(path, count=8):
    details = Interpreter(path).get_input_details()
    return [[RNG.integers(-128, 128, d["shape"]).astype(np.int8) if d["dtype"] == np.int8
             else (RNG.normal(size=d["shape"]) * 2).astype(np.float32) for d in details] for _ in range(count)]


def change_plan(model, change):
    """The file with another plan of memory: version, subgraph, count, offsets."""
    made = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(model, 0))
    entry = next(m for m in made.metadata if m.name in (b"OfflineMemoryAllocation", "OfflineMemoryAllocation"))
    plan = np.frombuffer(bytes(made.buffers[entry.buffer].data), np.int32).copy()
    change(plan)
    made.buffers[entry.buffer].data = np.frombuffer(plan.tobytes(), np.uint8)
    builder = flatbuffers.Builder(1024)
    builder.Finish(made.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def takes(model):
    try:
        runtime.Interpreter.from_bytes(model)
        return True
    except RuntimeError:
        return False


def check_plan(model):
    """That Micro follows the plan: it takes ours, and refuses it with a tensor too many or far beyond the arena."""
    def far(plan):
        plan[3 + np.argmax(plan[3:] >= 0)] = 1 << 30

    def more(plan):
        plan[2] += 1

    check("TensorFlow Lite Micro follows the plan of memory",
          takes(model) and not takes(change_plan(model, far)) and not takes(change_plan(model, more)))


def lites(directory):
    by_lite, by_micro = 0, 0
    for name, model in make_tflite.cases().items():
        source, path = (os.path.join(directory, name + end) for end in (".tflite", ".out.tflite"))
        with open(source, "wb") as out:
            out.write(model)
        export(source, path, "--strip-names")
        rows = lite_rows(source)
        with open(path, "rb") as made:
            exported = made.read()
        want = run_lite(source, rows)
        good = same(run_signature(path, rows), want)
        by_lite += good
        if not good:
            check(name + " by LiteRT's signature", False)
        if not name.endswith("_int8") or name in make_tflite.NOT_MICRO:
            continue
        outputs = len(want[0])
        good = same(run_micro(exported, rows, outputs), run_micro(model, rows, outputs))
        by_micro += good
        if not good:
            check(name + " by TensorFlow Lite Micro", False)
        if name == "cnn_int8":
            check_plan(exported)
    check("%d exported .tflite files as before by LiteRT's signatures, %d by TensorFlow Lite Micro" % (by_lite, by_micro),
          by_lite > 60 and by_micro > 30)


def main():
    with tempfile.TemporaryDirectory() as directory:
        golden_models(directory)
        networks(directory)
        lites(directory)


if __name__ == "__main__":
    main()
