#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ONNX files in Ingot's own engine beside ONNX Runtime, in one run: the same files and rows, both
through their C interfaces by ctypes with arguments made beforehand, one thread each, interleaved,
the run with the median CPU time. Prints a Markdown table; fails where the answers differ too much.

Usage: onnx_peers.py LIBINGOT [--smoke]"""

import ctypes
import functools
import glob
import json
import os
import sys
import tempfile
import time
import warnings

import numpy as np
import onnx
import onnxruntime
import skl2onnx
import sklearn
import xgboost
from onnx import TensorProto
from onnx import helper as h
from onnx import numpy_helper
from sklearn.ensemble import RandomForestClassifier

FEATURES = 30
DIFFERENCE_MAX = 1e-5  # of |ours - theirs| / max(1, |theirs|): ONNX Runtime sums in float
POINTER, SIZE, NUMBER = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int


class Ingot:
    """A model of the embeddable library."""

    def __init__(self, library, path):
        self.library, self.model = library, POINTER()
        if library.ingot_model_open_file(ctypes.byref(self.model), path.encode(), None, None):
            raise SystemExit("the library does not open " + path)

    def prepare(self, rows):
        """A call that answers these rows, and where its answers will be."""
        rows = np.ascontiguousarray(rows.reshape(len(rows), -1), float)
        out = np.zeros((len(rows), self.library.ingot_model_predictions_count(self.model)))
        work = POINTER(self.library.ingot_workspace_new(self.model, SIZE(len(rows))))
        call = functools.partial(self.library.ingot_predict, self.model, work,
                                 POINTER(rows.ctypes.data), SIZE(len(rows)),
                                 POINTER(out.ctypes.data))
        call.keep = rows
        return call, out


class Runtime:
    """A session of ONNX Runtime. Functions are reached by their place in struct OrtApi, which is
    append-only (onnxruntime_c_api.h)."""

    TYPES = {"CreateEnv": (3, NUMBER, ctypes.c_char_p, POINTER),
             "CreateSession": (7, POINTER, ctypes.c_char_p, POINTER, POINTER),
             "Run": (9, POINTER, POINTER, POINTER, POINTER, SIZE, POINTER, SIZE, POINTER),
             "CreateSessionOptions": (10, POINTER),
             "SetIntraOpNumThreads": (24, POINTER, NUMBER),
             "SetInterOpNumThreads": (25, POINTER, NUMBER),
             "CreateTensorWithDataAsOrtValue": (49, POINTER, POINTER, SIZE, POINTER, SIZE, NUMBER,
                                                POINTER),
             "CreateCpuMemoryInfo": (69, NUMBER, NUMBER, POINTER)}

    def __init__(self, path):
        folder = os.path.join(os.path.dirname(onnxruntime.__file__), "capi")
        library = ctypes.CDLL(glob.glob(os.path.join(folder, "libonnxruntime.so*"))[0])
        library.OrtGetApiBase.restype = ctypes.POINTER(POINTER)
        get = ctypes.CFUNCTYPE(POINTER, ctypes.c_uint32)(library.OrtGetApiBase()[0])
        self.entries = ctypes.cast(get(16), ctypes.POINTER(POINTER))
        self.functions = {}
        options, env = self.made("CreateSessionOptions"), self.made("CreateEnv", 4, b"bench")
        self.do("SetIntraOpNumThreads", options, 1)
        self.do("SetInterOpNumThreads", options, 1)
        self.session = self.made("CreateSession", env, path.encode(), options)
        self.memory = self.made("CreateCpuMemoryInfo", 0, 0)
        described = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.input = (ctypes.c_char_p * 1)(described.get_inputs()[0].name.encode())
        self.output = (ctypes.c_char_p * 1)(described.get_outputs()[-1].name.encode())
        self.width = described.get_outputs()[-1].shape[-1]

    def function(self, name):
        if name not in self.functions:
            place, *types = self.TYPES[name]
            self.functions[name] = ctypes.CFUNCTYPE(POINTER, *types)(self.entries[place])
        return self.functions[name]

    def do(self, name, *arguments):
        if self.function(name)(*arguments):
            raise SystemExit("ONNX Runtime refuses " + name)

    def made(self, name, *arguments):
        out = POINTER()
        self.do(name, *arguments, ctypes.addressof(out))
        return out

    def tensor(self, array):
        dims = (ctypes.c_int64 * array.ndim)(*array.shape)
        return self.made("CreateTensorWithDataAsOrtValue", self.memory, array.ctypes.data,
                         array.nbytes, ctypes.addressof(dims), array.ndim, TensorProto.FLOAT)

    def prepare(self, rows):
        rows = np.ascontiguousarray(rows, np.float32)
        out = np.zeros((len(rows), self.width), np.float32)
        ins = (POINTER * 1)(self.tensor(rows))
        outs = (POINTER * 1)(self.tensor(out))
        address = lambda array: POINTER(ctypes.addressof(array))
        call = functools.partial(self.function("Run"), self.session, None, address(self.input),
                                 address(ins), SIZE(1), address(self.output), SIZE(1),
                                 address(outs))
        call.keep = (rows, ins, outs)
        return call, out


def boosted(trees, depth, rng):
    """XGBoost's trees as one TreeEnsembleRegressor."""
    x = rng.normal(size=(20000, FEATURES)).astype(np.float32)
    y = x[:, 0] * x[:, 1] + np.sin(3 * x[:, 2]) + 0.3 * x[:, 3:].sum(1) + rng.normal(size=len(x))
    booster = xgboost.train({"max_depth": depth, "nthread": 1, "tree_method": "hist", "eta": 0.1},
                            xgboost.DMatrix(x, y), trees)
    grown = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"]
    nodes = {name: [] for name in ("treeids", "nodeids", "featureids", "values", "modes",
                                   "truenodeids", "falsenodeids", "missing_value_tracks_true")}
    leaves = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
    for number, tree in enumerate(grown):
        left, right = np.array(tree["left_children"]), np.array(tree["right_children"])
        values, leaf = np.array(tree["split_conditions"], float), left < 0
        nodes["treeids"] += [number] * len(left)
        nodes["nodeids"] += range(len(left))
        nodes["featureids"] += np.where(leaf, 0, tree["split_indices"]).tolist()
        nodes["values"] += np.where(leaf, 0, values).tolist()
        nodes["modes"] += np.where(leaf, "LEAF", "BRANCH_LT").tolist()
        nodes["truenodeids"] += np.maximum(left, 0).tolist()
        nodes["falsenodeids"] += np.maximum(right, 0).tolist()
        nodes["missing_value_tracks_true"] += np.where(leaf, 0, tree["default_left"]).tolist()
        leaves["treeids"] += [number] * int(leaf.sum())
        leaves["nodeids"] += np.flatnonzero(leaf).tolist()
        leaves["ids"] += [0] * int(leaf.sum())
        leaves["weights"] += values[leaf].tolist()
    node = h.make_node("TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", n_targets=1,
                       base_values=[0.5], **{"nodes_" + k: v for k, v in nodes.items()},
                       **{"target_" + k: v for k, v in leaves.items()})
    return model([node], [FEATURES], 1, {})


def forest(trees, depth, rng):
    """Scikit-learn's forest of three classes through skl2onnx."""
    x = rng.normal(size=(5000, FEATURES)).astype(np.float32)
    y = np.digitize(x[:, 0] * x[:, 1] + x[:, 2:8].sum(1), (-1.5, 1.5))
    grown = RandomForestClassifier(trees, max_depth=depth, random_state=1).fit(x, y)
    return skl2onnx.to_onnx(grown, x[:1], options={"zipmap": False})


def model(nodes, shape, columns_out, weights):
    value = functools.partial(h.make_tensor_value_info, elem_type=TensorProto.FLOAT)
    made = h.make_graph(nodes, "g", [value("x", shape=["N"] + shape)],
                        [value("y", shape=["N", columns_out])],
                        [numpy_helper.from_array(v, k) for k, v in weights.items()])
    return h.make_model(made, ir_version=9, opset_imports=[h.make_opsetid("", 17),
                                                           h.make_opsetid("ai.onnx.ml", 3)])


def scaled(rng, *shape):
    """Weights that keep values near 1."""
    return (rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)


def perceptron(widths, rng):
    nodes, weights, last = [], {}, "x"
    for i, (before, after) in enumerate(zip(widths, widths[1:])):
        weights.update({"w%d" % i: scaled(rng, after, before), "b%d" % i: scaled(rng, after)})
        final = i == len(widths) - 2
        nodes.append(h.make_node("Gemm", [last, "w%d" % i, "b%d" % i], ["y" if final else "s%d" % i],
                                 transB=1))
        last = "r%d" % i
        if not final:
            nodes.append(h.make_node("Relu", ["s%d" % i], [last]))
    return model(nodes, [widths[0]], widths[-1], weights)


def images(rng):
    """The shape of a reader of handwritten digits: 28x28 to ten classes."""
    weights = {"k1": scaled(rng, 8, 1, 5, 5), "k2": scaled(rng, 16, 8, 5, 5),
               "w": scaled(rng, 10, 256), "b": scaled(rng, 10)}
    nodes = [h.make_node("Conv", ["x", "k1"], ["c1"], pads=[2] * 4),
             h.make_node("Relu", ["c1"], ["r1"]),
             h.make_node("MaxPool", ["r1"], ["p1"], kernel_shape=[2, 2], strides=[2, 2]),
             h.make_node("Conv", ["p1", "k2"], ["c2"], pads=[2] * 4),
             h.make_node("Relu", ["c2"], ["r2"]),
             h.make_node("MaxPool", ["r2"], ["p2"], kernel_shape=[3, 3], strides=[3, 3]),
             h.make_node("Flatten", ["p2"], ["f"]),
             h.make_node("Gemm", ["f", "w", "b"], ["l"], transB=1),
             h.make_node("Softmax", ["l"], ["y"], axis=-1)]
    return model(nodes, [1, 28, 28], 10, weights)


def cases(smoke):
    """(name, model, rows, numbers of rows a call)"""
    rng = np.random.default_rng(8)
    few = lambda count: count // 20 if smoke else count
    rows = rng.normal(size=(few(2000), FEATURES))
    whole, small = (1, len(rows)), (1, 8, 32)
    yield "XGBoost, 100 trees of depth 6", boosted(few(100), 6, rng), rows, whole
    yield "XGBoost, 500 trees of depth 8", boosted(few(500), 8, rng), rows, whole
    yield "random forest, 100 trees of depth 8, 3 classes", forest(few(100), 8, rng), rows, whole
    yield "MLP 30-64-32-1", perceptron([30, 64, 32, 1], rng), rows, small + whole[1:]
    yield "MLP 128-256-256-10", perceptron([128, 256, 256, 10], rng), \
        rng.normal(size=(few(400), 128)), small + (few(400),)
    yield "convolutions, 28x28 to 10", images(rng), rng.normal(size=(few(100), 1, 28, 28)), small + (few(100),)


def measure(calls, rows_count, least_s):
    """(CPU, wall), microseconds a row, over at least this much CPU time."""
    cpu, wall, done = time.process_time(), time.perf_counter(), 0
    while done == 0 or time.process_time() - cpu < least_s:
        for call in calls:
            call()
        done += rows_count
    return (time.process_time() - cpu) / done * 1e6, (time.perf_counter() - wall) / done * 1e6


def answers(prepared):
    """Of all calls, one row after the other."""
    for call, _ in prepared:
        if call():
            raise SystemExit("a call failed")
    return np.concatenate([out for _, out in prepared]).astype(float)


def compare(name, peers, rows, at_once, smoke):
    blocks = [rows[i:i + at_once] for i in range(0, len(rows), at_once)]
    both = [[peer.prepare(block) for block in blocks] for peer in peers]
    ours, theirs = (answers(prepared) for prepared in both)
    gap = np.max(np.abs(ours - theirs) / np.maximum(1, np.abs(theirs)))
    calls = [[call for call, _ in prepared] for prepared in both]
    least_s, runs = (0, 1) if smoke else (0.1, 7)
    pairs = [[measure(c, len(rows), least_s) for c in calls] for _ in range(runs)]
    (us, us_wall), (them, them_wall) = (sorted(p[i] for p in pairs)[runs // 2] for i in (0, 1))
    print("| %s | %s | %.3f | %.3f | %.3f | %.3f | **%.1f** | %s |"
          % (name, "one" if at_once == 1 else at_once, us, us_wall, them, them_wall, them / us,
             "within %.1e" % gap if gap else "equal bits"), flush=True)
    if not gap <= DIFFERENCE_MAX:
        raise SystemExit("%s: answers differ by %g, more than %g" % (name, gap, DIFFERENCE_MAX))


def main():
    os.environ["INGOT_ONNX_ENGINE"] = "ingot"
    library = ctypes.CDLL(sys.argv[1])
    library.ingot_workspace_new.restype = POINTER
    smoke = "--smoke" in sys.argv
    warnings.simplefilter("ignore")
    print("\n| ONNX file | rows a call | Ingot, CPU us a row | wall | ONNX Runtime, CPU us a row | wall "
          "| ratio of CPU | results |\n|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "model.onnx")
        for name, made, rows, calls in cases(smoke):
            onnx.save(made, path)
            peers = Ingot(library, path), Runtime(path)
            for at_once in calls:
                compare(name, peers, rows, at_once, smoke)
        empty = functools.partial(library.ingot_model_predictions_count, peers[0].model)
        call_us = measure([empty] * 1000, 1000, 0 if smoke else 0.1)[0]
    print("\nonnxruntime %s, xgboost %s, scikit-learn %s, skl2onnx %s; one thread; C interfaces by ctypes "
          "on both sides, where a call that does nothing takes %.2f us."
          % (onnxruntime.__version__, xgboost.__version__, sklearn.__version__,
             skl2onnx.__version__, call_us))


if __name__ == "__main__":
    main()
