#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/golden/onnx/*.bin: ONNX models with inputs and the answers of onnxruntime (pipelines, trees, odd forms)
or of the ONNX project itself (its backend node tests). Run in a venv with

    onnx==1.23.2 onnxruntime==1.32.0 skl2onnx==1.20.0 scikit-learn==1.9.1 pandas
    onnxmltools==1.16.0 xgboost==3.2.0 lightgbm==4.7.0

A bundle is a protobuf message: field 1 a case of {1 name, 2 model, 3 input TensorProto ..., 4 output TensorProto ...}.
"""
import os
import re
import warnings

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper

warnings.filterwarnings("ignore")
ort.set_default_logger_severity(4)
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
OPS = set(re.findall(r'^IG_OP\("[^"]*", "(\w+)"', open(os.path.join(ROOT, "src/kernels/graph/ops.def")).read(), re.M))
TYPES = {T.FLOAT, T.DOUBLE, T.INT64, T.INT32, T.BOOL, T.UINT8, T.INT8, T.STRING}
CASE_BYTES_MAX = 12000
SETTLED = re.compile("Reshape|Reduce|Squeeze|Unsqueeze|Clip|BatchNorm|Dropout")
# What those tests ask beyond the operators' supported forms.
LEFT_OUT = re.compile(
    r"training|_3d|3d_|expanded|_int8|_int16|uint|bfloat|float16|float8|e4m3|e5m2|int4|float4|blocked|nhwc|"
    r"ceil_last_window|default_mask|equal_string|not_[24]d|allowzero|empty_set|bool_inputs|pow_types|with_argmax|no_zipmap|default_axes_keepdims_random_float|identity_opt|identity_sequence|string_concat")


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def case(name, model, inputs, outputs):
    body = field(1, name.encode()) + field(2, model)
    for number, arrays in ((3, inputs), (4, outputs)):
        for array in arrays:
            body += field(number, numpy_helper.from_array(np.asarray(array)).SerializeToString())
    return field(1, body)


def write(name, cases):
    with open(os.path.join(HERE, "onnx", name), "wb") as file:
        file.write(b"".join(cases))
    print(name, len(cases), "cases", sum(map(len, cases)), "bytes")


def plain(output):
    if isinstance(output, list):  # ZipMap: rows of {label: score}
        return np.array([[row[k] for k in row] for row in output], np.float32)
    if output.dtype.kind in "OU":
        return output.astype(object)
    return output


def answers(model, inputs):
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    feed = dict(zip([i.name for i in session.get_inputs()], inputs))
    return [plain(o) for o in session.run(None, feed)]


def golden(name, model, inputs):
    data = model.SerializeToString()
    return case(name, data, inputs, answers(data, inputs))


def settle(inputs, model):
    """Shapes and axes that a test gives as inputs become initialisers, as they are in real models."""
    settled = onnx.ModelProto()
    settled.CopyFrom(model)
    graph = settled.graph
    kept = []
    for value, array in list(zip(list(graph.input), inputs)):
        places = [(n.op_type, list(n.input).index(value.name)) for n in graph.node if value.name in n.input]
        if any(SETTLED.match(op) and place > 0 for op, place in places):
            graph.initializer.append(numpy_helper.from_array(np.asarray(array), value.name))
            graph.input.remove(value)
        else:
            kept.append(array)
    return kept, settled


def node_cases():
    from onnx.backend.test.case.node import collect_testcases
    cases = []
    for test in collect_testcases(None):
        model = test.model
        if LEFT_OUT.search(test.name) or not {n.op_type for n in model.graph.node} <= OPS or model.functions:
            continue
        for inputs, outputs in test.data_sets:
            inputs, model = settle(list(inputs), model)
            arrays = list(inputs) + list(outputs)
            if not all(isinstance(a, np.ndarray) or np.isscalar(a) for a in arrays):
                continue
            types = {v.type.tensor_type.elem_type for v in list(model.graph.input) + list(model.graph.output)}
            if not types <= TYPES:
                continue
            data = model.SerializeToString()
            one = case(test.name, data, inputs, outputs)
            if len(one) <= CASE_BYTES_MAX:
                cases.append((test.name, one))
    return [one for _, one in sorted(cases)]


def ml(op, inputs, outputs, shapes, **attributes):
    node = h.make_node(op, list(inputs), list(outputs), domain="ai.onnx.ml", **attributes)
    graph = h.make_graph([node], op, [h.make_tensor_value_info(n, t, s) for n, (t, s) in inputs.items()],
                         [h.make_tensor_value_info(n, t, s) for n, (t, s) in zip(outputs, shapes)])
    version = 5 if op == "TreeEnsemble" else 3
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 15), h.make_opsetid("ai.onnx.ml", version)],
                        ir_version=8, producer_name="ingot-golden")


MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]
ROWS = np.array([[-1, 0.5], [0, 1], [1, np.nan], [np.nan, -2], [0.5, 0.5], [2, 2], [-0.0, 1e30]], np.float32)


def stumps(modes, tracks=0, real=np.float32):
    """Two trees of three nodes and one of five, all with the given modes in turn."""
    keys = ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids",
            "missing_value_tracks_true")
    lists = {k: [] for k in keys}
    leaves = []
    shape = [[(0, 0, 0.5, 1, 2), None, None], [(0, 1, 1.0, 1, 2), None, None],
             [(0, 0, 0.0, 1, 4), (1, 1, 0.5, 2, 3), None, None, None]]
    at = 0
    for tree, nodes in enumerate(shape):
        for node, split in enumerate(nodes):
            lists["treeids"].append(tree)
            lists["nodeids"].append(node)
            lists["featureids"].append(split[1] if split else 0)
            lists["modes"].append(modes[at % len(modes)] if split else "LEAF")
            lists["values"].append(split[2] if split else 0.0)
            lists["truenodeids"].append(split[3] if split else 0)
            lists["falsenodeids"].append(split[4] if split else 0)
            lists["missing_value_tracks_true"].append(tracks if split else 0)
            at += split is not None
            if not split:
                leaves.append((tree, node))
    out = {"nodes_" + k: v for k, v in lists.items()}
    if real is np.float64:
        out["nodes_values_as_tensor"] = numpy_helper.from_array(np.array(out.pop("nodes_values"), real), "v")
    return out, leaves


def ensemble(name, kind, weights, ids, modes, **attributes):
    tracks, real = attributes.pop("tracks", 0), attributes.pop("real", np.float32)
    nodes, leaves = stumps(modes, tracks, real)
    classify = kind == "TreeEnsembleClassifier"
    prefix = "class_" if classify else "target_"
    pairs = [(leaf, i) for leaf in leaves for i in ids]
    values = [weights[k % len(weights)] for k in range(len(pairs))]
    nodes.update({prefix + "treeids": [p[0][0] for p in pairs], prefix + "nodeids": [p[0][1] for p in pairs],
                  prefix + "ids": [p[1] for p in pairs], prefix + "weights": values})
    elem = T.FLOAT
    if real is np.float64:
        nodes[prefix + "weights_as_tensor"] = numpy_helper.from_array(np.array(nodes.pop(prefix + "weights"), real), "w")
        elem = T.DOUBLE
    count = len(attributes.get("classlabels_int64s", attributes.get("classlabels_strings", [0] * attributes.get(
        "n_targets", 1))))
    outputs, shapes = ["Z"], [(T.FLOAT, [None, count])]
    if classify:
        outputs = ["Y", "Z"]
        shapes.insert(0, (T.STRING if "classlabels_strings" in attributes else T.INT64, [None]))
    model = ml(kind, {"X": (elem, [None, 2])}, outputs, shapes, **nodes, **attributes)
    return golden(name, model, [ROWS.astype(real)])


def fifth_form(transform, aggregate):
    """TreeEnsemble with a set of members, a shared leaf, two trees and two targets."""
    def tensor(values, kind):
        return numpy_helper.from_array(np.array(values, kind), "t")
    model = ml("TreeEnsemble", {"X": (T.FLOAT, [None, 2])}, ["Z"], [(T.FLOAT, [None, 2])], n_targets=2,
               aggregate_function=aggregate, post_transform=transform, tree_roots=[0, 3],
               nodes_modes=tensor([6, 0, 3, 1], np.uint8), nodes_featureids=[0, 1, 0, 1],
               nodes_splits=tensor([0, 0.5, 0.25, 1.5], np.float32), nodes_truenodeids=[1, 0, 2, 4],
               nodes_trueleafs=[0, 1, 1, 1], nodes_falsenodeids=[2, 1, 3, 5], nodes_falseleafs=[0, 1, 1, 1],
               nodes_missing_value_tracks_true=[0, 1, 0, 0], membership_values=tensor([1, 2, 0.5, np.nan], np.float32),
               leaf_targetids=[0, 1, 0, 1, 0, 1], leaf_weights=tensor([0.5, -0.25, 1.5, 2, -1, 0.75], np.float32))
    name = f"fifth form transform {transform} aggregate {aggregate}"
    if transform in (0, 3):
        return golden(name, model, [ROWS])
    # ONNX Runtime 1.32 takes the numbers of SOFTMAX and LOGISTIC for each other; the scores are its own.
    plain_model = onnx.ModelProto()
    plain_model.CopyFrom(model)
    for attribute in plain_model.graph.node[0].attribute:
        if attribute.name == "post_transform":
            attribute.i = 0
    scores = answers(plain_model.SerializeToString(), [ROWS])[0].astype(np.float64)
    if transform == 1:
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        scores = powers / powers.sum(axis=1, keepdims=True)
    else:
        scores = 1 / (1 + np.exp(-scores))
    return case(name, model.SerializeToString(), [ROWS], [scores.astype(np.float32)])


def tree_cases():
    mixed, positive = [0.3, -0.7, 0.25, 0.5, -0.1], [0.3, 0.05, 0.25, 0.125, 0.1]
    regressor, classifier = "TreeEnsembleRegressor", "TreeEnsembleClassifier"
    cases = []
    for mode in MODES:
        for tracks in (0, 1):
            cases.append(ensemble(f"mode {mode} tracks {tracks}", regressor, mixed, [0], [mode], tracks=tracks,
                                  n_targets=1))
    cases.append(ensemble("modes mixed", regressor, mixed, [0], MODES, n_targets=1))
    for function in ("SUM", "AVERAGE", "MIN", "MAX"):
        cases.append(ensemble(f"aggregate {function}", regressor, mixed, [0], MODES[:4], n_targets=1,
                              aggregate_function=function))
        cases.append(ensemble(f"aggregate {function} of two", regressor, mixed, [0, 1], MODES[:4], n_targets=2,
                              aggregate_function=function, base_values=[0.5, -0.25]))
    for transform in ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"):
        cases.append(ensemble(f"regressor {transform}", regressor, positive, [0], MODES[:2], n_targets=1,
                              post_transform=transform, base_values=[0.125]))
        cases.append(ensemble(f"regressor of two {transform}", regressor, positive, [0, 1], MODES[:2], n_targets=2,
                              post_transform=transform))
        cases.append(ensemble(f"classifier of three {transform}", classifier, positive, [0, 1, 2], MODES[:2],
                              classlabels_int64s=[7, 8, 9], post_transform=transform))
        cases.append(ensemble(f"classifier of three with base {transform}", classifier, positive, [0, 1, 2], MODES[:2],
                              classlabels_strings=["a", "b", "c"], post_transform=transform,
                              base_values=[0.125, -0.25, 0.5]))
        if transform == "PROBIT":
            continue
        for base in ([], [0.125]):
            for weights in (mixed, positive):
                extra = {"base_values": base} if base else {}
                sign = "positive" if weights is positive else "mixed"
                cases.append(ensemble(f"one class {sign} base {len(base)} {transform}", classifier, weights, [0],
                                      MODES[:4], classlabels_int64s=[5, 6], post_transform=transform, **extra))
    cases += [fifth_form(0, aggregate) for aggregate in (0, 1, 2, 3)] + [fifth_form(t, 1) for t in (1, 2, 3)]
    cases.append(ensemble("doubles regressor", regressor, mixed, [0], MODES[:4], n_targets=1, real=np.float64))
    cases.append(ensemble("doubles classifier", classifier, mixed, [0, 1, 2], MODES[:4], real=np.float64,
                          classlabels_int64s=[1, 2, 3], post_transform="SOFTMAX"))
    return cases


def pipelines():
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from sklearn import compose, datasets, ensemble as se, impute, linear_model, neural_network
    from sklearn import pipeline, preprocessing, svm, tree
    iris, y = datasets.load_iris(return_X_y=True)
    iris = iris.astype(np.float32)
    cancer, c = datasets.load_breast_cancer(return_X_y=True)
    cancer = cancer[:, :8].astype(np.float32)
    diabetes, d = datasets.load_diabetes(return_X_y=True)
    diabetes = diabetes.astype(np.float32)
    holed = iris.copy()
    holed[::7, 1] = np.nan
    words = np.array(["setosa", "versicolor", "virginica"])[y]
    pipe = pipeline.make_pipeline
    models = [
        ("logistic of two", linear_model.LogisticRegression(max_iter=5000), cancer, c, False),
        ("logistic of three", linear_model.LogisticRegression(max_iter=500), iris, y, False),
        ("logistic with zipmap", linear_model.LogisticRegression(max_iter=500), iris, y, True),
        ("logistic of words", linear_model.LogisticRegression(max_iter=500), iris, words, False),
        ("svc of two", svm.SVC(), iris, (y > 0) * 1, False),
        ("svc of three", svm.SVC(), iris, y, False),
        ("svc with probabilities", svm.SVC(probability=True, random_state=0), iris, y, False),
        ("svc of polynomials", svm.SVC(kernel="poly"), iris, y, False),
        ("svr", svm.SVR(), diabetes, d, False),
        ("linear svr", svm.LinearSVR(random_state=0), iris, y, False),
        ("forest of two", se.RandomForestClassifier(5, max_depth=4, random_state=0), cancer, c, False),
        ("forest of three", se.RandomForestClassifier(5, max_depth=4, random_state=0), iris, y, True),
        ("forest of words", se.RandomForestClassifier(5, max_depth=3, random_state=0), iris, words, False),
        ("extra trees", se.ExtraTreesRegressor(5, max_depth=4, random_state=0), diabetes, d, False),
        ("boosting of two", se.GradientBoostingClassifier(n_estimators=8, random_state=0), cancer, c, False),
        ("boosting of three", se.GradientBoostingClassifier(n_estimators=5, random_state=0), iris, y, False),
        ("boosting regressor", se.GradientBoostingRegressor(n_estimators=8, random_state=0), diabetes, d, False),
        ("tree", tree.DecisionTreeClassifier(max_depth=4, random_state=0), iris, y, False),
        ("scaler and ridge", pipe(preprocessing.StandardScaler(), linear_model.Ridge()), diabetes, d, False),
        ("minmax and lasso", pipe(preprocessing.MinMaxScaler(), linear_model.Lasso(0.1)), diabetes, d, False),
        ("scaler and forest", pipe(preprocessing.StandardScaler(), se.RandomForestClassifier(3, max_depth=3,
                                                                                            random_state=0)), iris, y, False),
        ("imputer and logistic", pipe(impute.SimpleImputer(), linear_model.LogisticRegression(max_iter=500)), holed, y,
         False),
        ("normaliser and logistic", pipe(preprocessing.Normalizer(), linear_model.LogisticRegression()), iris, y, False),
        ("binarizer and logistic", pipe(preprocessing.Binarizer(threshold=2.0), linear_model.LogisticRegression()),
         iris, y, False),
        ("perceptron classifier", neural_network.MLPClassifier(hidden_layer_sizes=(12, 6), max_iter=200, random_state=0), iris, y, False),
        ("perceptron regressor", neural_network.MLPRegressor(hidden_layer_sizes=(8,), activation="tanh", max_iter=200, random_state=0),
         diabetes, d / 100, False),
    ]
    cases = []
    for name, model, x, target, zipmap in models:
        model.fit(x, target)
        options = None if zipmap or not hasattr(model, "classes_") else {id(model): {"zipmap": False}}
        onx = to_onnx(model, x[:1], options=options, target_opset=17)
        cases.append(golden(name, onx, [x[::11][:12]]))
    cases += table_pipelines(compose, linear_model, pipeline, preprocessing, to_onnx, FloatTensorType, StringTensorType)
    return cases


def table_pipelines(compose, linear_model, pipeline, preprocessing, to_onnx, floats, strings):
    import pandas
    random = np.random.default_rng(5)
    count = 60
    frame = pandas.DataFrame({"age": random.normal(40, 10, count).astype(np.float32),
                              "town": random.choice(["rome", "oslo", "lima"], count)})
    target = (frame.age + 8 * (frame.town == "oslo") > 42) * 1
    table = compose.ColumnTransformer([("n", preprocessing.StandardScaler(), ["age"]),
                                       ("t", preprocessing.OneHotEncoder(handle_unknown="ignore"), ["town"])])
    model = pipeline.make_pipeline(table, linear_model.LogisticRegression()).fit(frame, target)
    onx = to_onnx(model, initial_types=[("age", floats([None, 1])), ("town", strings([None, 1]))], target_opset=17,
                  options={id(model): {"zipmap": False}})
    rows = frame[:8]
    towns = rows[["town"]].to_numpy().astype(object)
    towns[3, 0] = "nowhere"
    return [golden("table of words and numbers", onx, [rows[["age"]].to_numpy(), towns])]


def boosters():
    """XGBoost and LightGBM models through onnxmltools."""
    import lightgbm
    import onnxmltools
    import xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType
    from sklearn import datasets
    iris, y = datasets.load_iris(return_X_y=True)
    diabetes, d = datasets.load_diabetes(return_X_y=True)
    iris, diabetes = iris.astype(np.float32), diabetes.astype(np.float32)
    holed = iris.copy()
    holed[::5, 1] = np.nan
    small, leaves = {"max_depth": 3}, {"num_leaves": 7, "verbose": -1}
    from_xgboost, from_lightgbm = onnxmltools.convert_xgboost, onnxmltools.convert_lightgbm
    models = [("xgboost of two", xgboost.XGBClassifier(n_estimators=5, **small), holed, (y > 0) * 1, from_xgboost),
              ("xgboost of three", xgboost.XGBClassifier(n_estimators=4, **small), holed, y, from_xgboost),
              ("xgboost regressor", xgboost.XGBRegressor(n_estimators=5, **small), diabetes, d, from_xgboost),
              ("lightgbm of two", lightgbm.LGBMClassifier(n_estimators=5, **leaves), iris, (y > 0) * 1, from_lightgbm),
              ("lightgbm of three", lightgbm.LGBMClassifier(n_estimators=4, **leaves), iris, y, from_lightgbm),
              ("lightgbm regressor", lightgbm.LGBMRegressor(n_estimators=5, **leaves), diabetes, d, from_lightgbm)]
    cases = []
    for name, model, x, target, convert in models:
        flat = {"zipmap": False} if convert is from_lightgbm else {}
        onx = convert(model.fit(x, target), initial_types=[("x", FloatTensorType([None, x.shape[1]]))],
                      target_opset=15, **flat)
        cases.append(golden(name, onx, [x[::11][:12]]))
    return cases


if __name__ == "__main__":
    os.makedirs(os.path.join(HERE, "onnx"), exist_ok=True)
    write("nodes.bin", node_cases())
    write("trees.bin", tree_cases())
    write("pipelines.bin", pipelines())
    write("boosters.bin", boosters())
