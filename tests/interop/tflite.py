#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""TensorFlow Lite networks next to LiteRT and TensorFlow Lite Micro: the golden generator's small models, and the MLPerf
Tiny ones where they are, each on fresh inputs through `ingot predict`, in real numbers."""

import json
import os
import sys
import tempfile

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from tflite_micro import runtime

import program

sys.path.insert(0, os.path.join(program.ROOT, "tests", "golden"))
import make_tflite  # noqa: E402

SHARED = os.environ.get("INGOT_SHARED_DIR", os.path.join(program.ROOT, "..", "shared"))
RNG = np.random.default_rng(11)
ROWS = 20
# LiteRT's default kernels compute these otherwise than TensorFlow Lite's own: a step at most.
A_STEP = ("mul_int8", "mean_int8", "requantize", "relu_n1_to_1_int8")
# int8 weights under float inputs: LiteRT rounds the inputs as well.
DYNAMIC = {"kws_float32": 0.03}


def check(name, good, detail=""):
    print("%s tflite: %s%s" % ("ok" if good else "FAIL", name, "" if good else ": %s" % (detail,)))


def real(q, detail):
    scale, zero = detail["quantization"]
    return q.astype(np.float64) if not scale else np.float64(np.float32(scale) * np.float32(q.astype(np.int32) - zero))


def some_inputs(details):
    """A row of every input, as LiteRT takes it."""
    return [RNG.integers(-128, 128, d["shape"]).astype(np.int8) if d["dtype"] == np.int8
            else (RNG.normal(size=d["shape"]) * 2).astype(np.float32) for d in details]


def as_micro(model):
    """The file as one whose numbers are rounded twice, as TensorFlow Lite Micro does."""
    made = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(model, 0))
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(b"double", np.uint8)
    entry.name, entry.buffer = "ingot.rounding", len(made.buffers)
    made.buffers.append(buffer)
    made.metadata = (made.metadata or []) + [entry]
    builder = flatbuffers.Builder(1024)
    builder.Finish(made.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def predict(path, rows):
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as table:
        np.savetxt(table, np.array(rows), delimiter=",", fmt="%.17g")
        table.flush()
        return np.array(program.numbers(program.run("predict", "--model", path, "--input", table.name, "--no-header")))


def compare_micro(name, path):
    with open(path, "rb") as file:
        model = as_micro(file.read())
    with tempfile.NamedTemporaryFile(suffix=".tflite") as out:
        out.write(model)
        out.flush()
        micro, lite = runtime.Interpreter.from_bytes(model), Interpreter(path)
        lite.allocate_tensors()
        ins, outs = lite.get_input_details(), lite.get_output_details()
        rows, want = [], []
        for _ in range(ROWS):
            given = some_inputs(ins)
            for k, x in enumerate(given):
                micro.set_input(x, k)
            micro.invoke()
            rows.append(np.concatenate([real(x, d).ravel() for x, d in zip(given, ins)]))
            want.append(np.concatenate([real(micro.get_output(k), d).ravel() for k, d in enumerate(outs)]))
        gap = np.abs(predict(out.name, rows) - np.array(want))
        check("%s as TensorFlow Lite Micro: %d values" % (name, gap.size), not (gap > 1e-9).any(), gap.max())


def compare(name, path, tolerance):
    lite = Interpreter(path)
    lite.allocate_tensors()
    ins, outs = lite.get_input_details(), lite.get_output_details()
    rows, want = [], []
    for _ in range(ROWS):
        given = some_inputs(ins)
        for d, x in zip(ins, given):
            lite.set_tensor(d["index"], x)
        lite.invoke()
        rows.append(np.concatenate([real(x, d).ravel() for x, d in zip(given, ins)]))
        want.append(np.concatenate([real(lite.get_tensor(d["index"]), d).ravel() for d in outs]))
    got, want = predict(path, rows), np.array(want)
    if got.shape != want.shape:
        check(name, False, "%s, wanted %s" % (got.shape, want.shape))
        return
    gap = np.abs(got - want)
    int8 = outs[0]["dtype"] == np.int8
    if int8:
        steps = (gap / outs[0]["quantization"][0]).round().max()
        check("%s: %d values, %d other codes, worst %d" % (name, gap.size, (gap > 1e-9).sum(), steps), steps <= tolerance, steps)
    else:
        worst = (gap / np.maximum(1, np.abs(want))).max()
        check("%s: %d values within %.1e" % (name, gap.size, worst), worst <= tolerance, worst)


def check_inspect(path):
    facts = json.loads(program.run("inspect", "--format", "json", path))
    lite = Interpreter(path)
    lite.allocate_tensors()
    d = lite.get_input_details()[0]
    said = facts["network"]["inputs"][0]
    good = said["shape"] == list(d["shape"]) and said["zero_point"] == d["quantization"][1]
    check("inspect tells shape and scale", good and abs(said["scale"] - d["quantization"][0]) < 1e-9, said)


def check_explanation(directory, path):
    """Contributions against a background add up to the difference of predictions."""
    facts = json.loads(program.run("inspect", "--format", "json", path))
    names = [f["name"] for f in facts["features"]]
    rows = RNG.normal(size=(12, len(names)))
    table = os.path.join(directory, "rows.csv")
    np.savetxt(table, rows, delimiter=",", header=",".join(names), comments="", fmt="%.17g")
    got = np.array(program.explain(path, table, "--background", table, "--method", "exact"))
    want = np.array(program.predict(path, table))
    blocks = got.reshape(len(rows), want.shape[1], len(names) + 1)
    gap = np.abs(blocks.sum(axis=2) - want).max()
    check("contributions add up, within %.1e" % gap, gap < 1e-6)


def check_quantized(directory, path):
    """A float network made int8: LiteRT runs the file, gives the same codes, and little is lost."""
    lite = Interpreter(path)
    lite.allocate_tensors()
    ins, outs = lite.get_input_details(), lite.get_output_details()
    rows = [RNG.normal(size=ins[0]["shape"]).astype(np.float32) for _ in range(200)]
    table, made = os.path.join(directory, "rows.csv"), os.path.join(directory, "made.tflite")
    np.savetxt(table, np.array(rows).reshape(len(rows), -1), delimiter=",", fmt="%.9g")
    for name, options in (("int8", ()), ("weights", ("--to", "weights")), ("float16", ("--to", "float16"))):
        rest = ("--input", table, "--no-header") if name == "int8" else ()
        program.run("edge", "quantize", "--model", path, "--output", made, *options, *rest)
        small = Interpreter(made)
        small.allocate_tensors()
        to, back = small.get_input_details()[0], small.get_output_details()[0]
        want, got, ours = [], [], []
        for row in rows[:ROWS]:
            lite.set_tensor(ins[0]["index"], row)
            lite.invoke()
            want.append(lite.get_tensor(outs[0]["index"]).ravel())
            x = row
            if name == "int8":
                scale, zero = to["quantization"]
                x = np.clip(np.rint(row / np.float32(scale)) + zero, -128, 127).astype(np.int8)
            small.set_tensor(to["index"], x)
            small.invoke()
            got.append(real(small.get_tensor(back["index"]), back).ravel())
            ours.append(real(x, to).ravel())
        gap = np.abs(predict(made, ours) - np.array(got)).max()
        check("quantized to %s: as LiteRT runs it" % name, gap < (1e-9 if name == "int8" else 0.02), gap)
        lost = np.mean((np.array(got) - np.array(want)) ** 2) / np.var(want)
        check("quantized to %s: %.1e of the variance lost" % (name, lost), lost < 0.01, lost)


def main():
    with tempfile.TemporaryDirectory() as directory:
        for name, model in make_tflite.cases().items():
            path = os.path.join(directory, name + ".tflite")
            with open(path, "wb") as out:
                out.write(model)
            int8 = not name.endswith("_float") and name not in ("dequantize", "float_border", "half_weights")
            compare(name, path, (1 if name in A_STEP else 0) if int8 else 2e-6)
            if int8 and name != "quantize" and name not in make_tflite.NOT_MICRO:
                compare_micro(name, path)
        check_quantized(directory, os.path.join(directory, "cnn_float.tflite"))
        check_inspect(os.path.join(directory, "cnn_int8.tflite"))
        check_explanation(directory, os.path.join(directory, "two_heads_int8.tflite"))
    for name in ("ad01_int8", "kws_int8", "vww_96_int8", "streaming_wakeword_int8", "ad01_float32", "kws_float32",
                 "vww_96_float32"):
        path = os.path.join(SHARED, "models", "tflite", name + ".tflite")
        if os.path.exists(path):
            compare(name, path, 0 if name.endswith("int8") else DYNAMIC.get(name, 1e-4))
            if name.endswith("int8"):
                compare_micro(name, path)


main()
