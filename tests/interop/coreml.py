#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Core ML exports next to `ingot predict`. coremltools loads and describes the files; it predicts on Apple's systems alone, so an
evaluator written here from the text of the specification runs them: trees, linear models, and layers of networks in numpy."""

import collections
import glob
import os
import sys
import tempfile

import coremltools
import numpy as np

import exports
import golden
import program

sys.path.insert(0, os.path.join(program.ROOT, "tests", "golden"))
import make_tflite  # noqa: E402

RNG = np.random.default_rng(17)
REASONS = ("linear models, which Core ML", "zeros count as missing and go against", "split by sets of categories",
           "statistics of categories", "the objective's transform", "without logistic or softmax")
LAYER_REASONS = ("Core ML has no int8", "neither [1, channels] nor", "products of several rows", "other dimensions than",
                 "a constant of other shape", "tensors of two shapes", "joined along another", "arithmetic of constants")


def check(name, good, detail=""):
    print("%s coreml: %s%s" % ("ok" if good else "FAIL", name, "" if good else ": %s" % (detail,)))


def load(path):
    """As coremltools loads it, which also builds the model's face from the description."""
    spec = coremltools.models.utils.load_spec(path)
    model = coremltools.models.MLModel(spec, skip_model_load=True)
    assert model.get_spec().specificationVersion in (1, 2, 3)
    return spec


# ---- trees and linear models ----

def leaf_of(nodes, row):
    node = nodes[0]
    while node.nodeBehavior != 6:
        x, t = row[node.branchFeatureIndex], node.branchFeatureValue
        yes = x <= t if node.nodeBehavior == 0 else x < t
        if np.isnan(x):
            yes = node.missingValueTracksTrueChild
        node = nodes[node.trueChildNodeId if yes else node.falseChildNodeId]
    return node


def tree_sums(ensemble, rows):
    trees = collections.OrderedDict()
    for node in ensemble.nodes:
        trees.setdefault(node.treeId, {})[node.nodeId] = node
    sums = np.tile(np.array(ensemble.basePredictionValue), (len(rows), 1))
    assert sums.shape[1] == ensemble.numPredictionDimensions
    for nodes in trees.values():
        for i, row in enumerate(rows):
            for info in leaf_of(nodes, row).evaluationInfo:
                sums[i, info.evaluationIndex] += info.evaluationValue
    return sums


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def logistic(x):
    return 1 / (1 + np.exp(-x))


def evaluate_trees(model, rows):
    sums = tree_sums(model.treeEnsemble, rows)
    return [lambda x: x, softmax, logistic][model.postEvaluationTransform](sums)


def evaluate_linear(model, rows, classifier):
    weights = np.array([list(w.value) for w in model.weights])
    margins = np.nan_to_num(rows) @ weights.T + np.array(model.offset)
    if not classifier:
        return logistic(margins) if model.postEvaluationTransform == 1 else margins
    assert model.postEvaluationTransform == 0 and model.classEncoding == 0
    if margins.shape[1] == 1:
        return logistic(margins)
    return softmax(np.hstack([np.zeros((len(rows), 1)), margins]))


def evaluate_rows(spec, rows):
    kind = spec.WhichOneof("Type")
    model = getattr(spec, kind)
    assert spec.description.input[0].type.multiArrayType.shape[0] == rows.shape[1]
    if kind.endswith("Classifier"):
        labels = model.stringClassLabels.vector or model.int64ClassLabels.vector
        assert len(labels) >= 2 and spec.description.predictedProbabilitiesName == "probabilities"
    if kind.startswith("tree"):
        return evaluate_trees(model, rows)
    return evaluate_linear(model, rows, kind == "glmClassifier")


def compare_rows(name, case, model, directory, counts):
    path = os.path.join(directory, "model.mlmodel")
    try:
        rows, table = exports.rows_of(case, directory)
    except ValueError:
        counts["words"] += 1
        return
    try:
        exports.export(model, path)
    except program.Refused as refusal:
        counts["refused"] += 1
        if not any(reason in str(refusal) for reason in REASONS):
            check(name, False, refusal)
        return
    want = np.array(program.predict(model, table, raw=False))
    with np.errstate(over="ignore"):
        got = evaluate_rows(load(path), rows.astype(np.float64))
    if got.shape[1] == 1 and want.shape[1] == 2:
        want = want[:, 1:]
    worst = exports.relative(got, want)
    counts["worst"] = max(counts["worst"], worst)
    counts["same"] += worst <= exports.TOLERANCE
    if worst > exports.TOLERANCE:
        check(name, False, "worst %.3g" % worst)


# ---- networks: blobs of [channels, height, width] ----

def weights_of(params, shape):
    if params.floatValue:
        return np.array(params.floatValue).reshape(shape)
    if params.float16Value:
        return np.frombuffer(params.float16Value, np.float16).astype(np.float64).reshape(shape)
    q = params.quantization.linearQuantization
    each = [-1] + [1] * (len(shape) - 1)
    codes = np.frombuffer(params.rawValue, np.uint8).astype(np.float64).reshape(shape)
    return codes * np.array(q.scale).reshape(each) + np.array(q.bias).reshape(each)


def padded(x, amounts, value):
    (a, b), (c, d) = [(e.startEdgeSize, e.endEdgeSize) for e in amounts.borderAmounts]
    return np.pad(x, ((0, 0), (a, b), (c, d)), constant_values=value)


def windows(x, kernel, stride, dilation=(1, 1)):
    """[channels, rows, columns, kernel rows, kernel columns]"""
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
    seen = np.lib.stride_tricks.sliding_window_view(x, reach, axis=(1, 2))
    return seen[:, ::stride[0], ::stride[1], ::dilation[0], ::dilation[1]]


def convolution(p, x):
    assert p.WhichOneof("ConvolutionPaddingType") == "valid" and not p.isDeconvolution
    w = weights_of(p.weights, (p.outputChannels, p.kernelChannels, *p.kernelSize))
    seen = windows(padded(x, p.valid.paddingAmounts, 0), p.kernelSize, p.stride, p.dilationFactor)
    outs, each = p.outputChannels // p.nGroups, x.shape[0] // p.nGroups
    y = np.concatenate([np.einsum("crsij,ocij->ors", seen[g * each:(g + 1) * each], w[g * outs:(g + 1) * outs])
                        for g in range(p.nGroups)])
    return y + weights_of(p.bias, (-1, 1, 1)) if p.hasBias else y


def pooling(p, x):
    if p.globalPooling:
        return x.mean(axis=(1, 2), keepdims=True)
    if p.type == 0:
        return windows(padded(x, p.valid.paddingAmounts, -np.inf), p.kernelSize, p.stride).max(axis=(3, 4))
    assert p.avgPoolExcludePadding
    cells = windows(padded(np.ones_like(x), p.valid.paddingAmounts, 0), p.kernelSize, p.stride).sum(axis=(3, 4))
    return windows(padded(x, p.valid.paddingAmounts, 0), p.kernelSize, p.stride).sum(axis=(3, 4)) / cells


def activation(p, x):
    kind = p.WhichOneof("NonlinearityType")
    return {"linear": lambda: p.linear.alpha * x + p.linear.beta, "ReLU": lambda: np.maximum(x, 0),
            "tanh": lambda: np.tanh(x), "sigmoid": lambda: logistic(x)}[kind]()


def reshaped(p, x):
    c, h, w = p.targetShape
    return x.transpose(1, 2, 0).reshape(h, w, c).transpose(2, 0, 1)


def flattened(p, x):
    assert p.mode == 1
    return x.transpose(1, 2, 0).reshape(-1, 1, 1)


def inner_product(p, x):
    assert x.shape == (p.inputChannels, 1, 1)
    y = weights_of(p.weights, (p.outputChannels, p.inputChannels)) @ x.ravel()
    return (y + weights_of(p.bias, (-1,)) if p.hasBias else y).reshape(-1, 1, 1)


def run_layer(layer, ins):
    kind = layer.WhichOneof("layer")
    p, x = getattr(layer, kind), ins[0]
    if kind == "permute":
        assert p.axis[0] == 0
        return x.transpose([a - 1 for a in p.axis[1:]])
    if kind == "unary":
        assert p.type == 7
        return np.maximum(p.alpha, p.scale * x + p.shift)
    if kind in ("scale", "bias"):
        by = weights_of(p.scale if kind == "scale" else p.bias, (-1, 1, 1))
        return x * by if kind == "scale" else x + by
    return {"convolution": lambda: convolution(p, x), "pooling": lambda: pooling(p, x), "activation": lambda: activation(p, x),
            "innerProduct": lambda: inner_product(p, x), "softmax": lambda: softmax(x.T).T,
            "padding": lambda: padded(x, p.paddingAmounts, p.constant.value), "add": lambda: ins[0] + ins[1],
            "multiply": lambda: ins[0] * ins[1], "reshape": lambda: reshaped(p, x), "flatten": lambda: flattened(p, x),
            "concat": lambda: np.concatenate(ins)}[kind]()


def evaluate_network(spec, row):
    blobs = {}
    for feature, x in zip(spec.description.input, row):
        shape = list(feature.type.multiArrayType.shape)
        blobs[feature.name] = x.astype(np.float64).reshape(shape if len(shape) == 3 else shape + [1, 1])
    for layer in spec.neuralNetwork.layers:
        made = run_layer(layer, [blobs[name] for name in layer.input])
        blobs[layer.output[0]] = made
    outs = []
    for feature in spec.description.output:
        assert np.prod(feature.type.multiArrayType.shape) == blobs[feature.name].size
        outs.append(blobs[feature.name].ravel())
    return np.concatenate(outs)


def compare_network(name, source, directory, counts):
    path = os.path.join(directory, "network.mlmodel")
    try:
        exports.export(source, path)
    except program.Refused as refusal:
        counts["refused"] += 1
        if not any(reason in str(refusal) for reason in LAYER_REASONS):
            check(name, False, refusal)
        return
    spec = load(path)
    shapes = [list(f.type.multiArrayType.shape) for f in spec.description.input]
    rows = [[(RNG.normal(size=shape) * 2).astype(np.float32) for shape in shapes] for _ in range(10)]
    got = np.array([evaluate_network(spec, row) for row in rows])
    worst = exports.relative(got, exports.predict_rows(source, rows))
    counts["worst"] = max(counts["worst"], worst)
    counts["same"] += worst <= exports.TOLERANCE
    counts["version %d" % spec.specificationVersion] += 1
    if worst > exports.TOLERANCE:
        check(name, False, "worst %.3g" % worst)


def main():
    with tempfile.TemporaryDirectory() as directory:
        for library in ("xgboost", "lightgbm", "catboost", "pmml"):
            counts = collections.Counter(worst=0.0)
            for case in sorted(glob.glob(os.path.join(golden.GOLDEN, library, "*", ""))):
                models = [m for m in glob.glob(os.path.join(case, "model.*")) if not m.endswith(".yaml")]
                compare_rows("%s %s" % (library, os.path.basename(case[:-1])), case, models[0], directory, counts)
            check("%s: %d models by the specification, worst %.1e; %d refused, %d over words alone" %
                  (library, counts["same"], counts["worst"], counts["refused"], counts["words"]), counts["same"] > 5)
        counts = collections.Counter(worst=0.0)
        for name, model in make_tflite.cases().items():
            source = os.path.join(directory, name + ".tflite")
            with open(source, "wb") as out:
                out.write(model)
            try:
                compare_network(name, source, directory, counts)
            except (AssertionError, KeyError, ValueError) as error:
                check(name, False, repr(error))
        check("networks: %d by the specification, worst %.1e; %d refused" % (counts["same"], counts["worst"], counts["refused"]),
              counts["same"] > 20)
        for to, version in (("weights", 3), ("float16", 2)):
            small, counts = os.path.join(directory, to + ".tflite"), collections.Counter(worst=0.0)
            program.run("edge", "quantize", "--model", os.path.join(directory, "cnn_float.tflite"), "--to", to, "--output", small)
            compare_network(to, small, directory, counts)
            check("%s stay small, in version %d, worst %.1e" % (to, version, counts["worst"]),
                  counts["same"] and counts["version %d" % version])


main()
