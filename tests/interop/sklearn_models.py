#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Models trained by scikit-learn, converted to ONNX: predictions, and explanations against a
background next to shap's on the original models."""

import os
import sys
import tempfile
import warnings

import numpy as np
import shap
from skl2onnx import to_onnx
from sklearn.ensemble import (ExtraTreesRegressor, GradientBoostingRegressor,
                              HistGradientBoostingClassifier, HistGradientBoostingRegressor,
                              RandomForestClassifier, RandomForestRegressor)
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeRegressor

import peers
import program

ROWS, BACKGROUND, TOLERANCE = 15, 40, 2e-5


def tables():
    """Of floats, which ONNX models take."""
    homes = peers.read_table("california_housing.csv", "median_house_value", scale=1e5)
    adult = peers.read_table("adult.csv.gz", "income")
    for x, y, _, _ in (homes, adult):
        keep = ~np.isnan(x).any(axis=1)
        yield x[keep][:4000].astype(np.float32).astype(float), y[keep][:4000]


def models(homes, adult):
    options = {"random_state": 3, "max_depth": 6}
    for kind in (RandomForestRegressor, ExtraTreesRegressor, GradientBoostingRegressor):
        yield kind(n_estimators=20, **options).fit(*homes), homes[0]
    yield DecisionTreeRegressor(**options).fit(*homes), homes[0]
    yield RandomForestClassifier(n_estimators=20, **options).fit(*adult), adult[0]


def with_gaps(homes, adult):
    """Trained on tables with missing values, whose way the trees have learned. (Of forests, skl2onnx
    1.20.0 does not write it down.)"""
    for kind, (x, y) in ((HistGradientBoostingRegressor, homes),
                         (HistGradientBoostingClassifier, adult)):
        x = np.where(np.random.default_rng(6).random(x.shape) < 0.15, np.nan, x)
        yield kind(max_iter=20, max_depth=5, random_state=3).fit(x, y), x


def by_shap(model, background, rows):
    """Class after class, base value last."""
    explainer = shap.TreeExplainer(model, background, feature_perturbation="interventional")
    values = np.asarray(explainer.shap_values(rows, check_additivity=False))
    base = np.atleast_1d(explainer.expected_value)
    if values.ndim == 2:
        values = values[:, :, None]
    return np.hstack([np.column_stack([values[:, :, k], np.full(len(rows), base[k])])
                      for k in range(values.shape[2])])


def check(model, x, directory):
    name = type(model).__name__
    rng = np.random.default_rng(8)
    names = ["f%d" % j for j in range(x.shape[1])]
    x = x * (1 + 1e-3 * rng.normal(size=x.shape))  # off thresholds, which ONNX rounds to floats
    x = x.astype(np.float32).astype(float)
    rows = x[rng.choice(len(x), ROWS)]
    others = x[rng.choice(len(x), BACKGROUND)]
    files = [os.path.join(directory, f) for f in ("model.onnx", "rows.csv", "others.csv")]
    options = {"zipmap": False} if hasattr(model, "classes_") else None
    with open(files[0], "wb") as out:
        out.write(to_onnx(model, x[:1].astype(np.float32), options=options).SerializeToString())
    peers.write_table(files[1], names, rows)
    peers.write_table(files[2], names, others)
    want = by_shap(model, others, rows)
    got = np.array(program.explain(files[0], files[1], "--background", files[2]))
    if got.shape[1] * 2 == want.shape[1]:
        want = want[:, got.shape[1]:]  # one output stands for the second of two classes
    gap = np.abs(got - want).max() if got.shape == want.shape else np.inf
    answer = model.predict_proba(rows)[:, -1] if options else model.predict(rows)
    predicted = np.array(program.predict(files[0], files[1], raw=False))[:, -1]
    apart = np.abs(predicted - answer).max()
    good = gap <= TOLERANCE * (1 + np.abs(want).max()) and apart <= TOLERANCE * (
        1 + np.abs(answer).max())
    print("%s scikit-learn %s through ONNX: contributions within %.1e, predictions within %.1e"
          % ("ok" if good else "FAIL", name, gap, apart))


def networks(homes, adult):
    """What stays a graph: no trees, so any-model explanations."""
    yield make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(16, 8), random_state=1)).fit(*homes), homes
    yield make_pipeline(StandardScaler(), SVR()).fit(homes[0][:500], homes[1][:500]), homes
    yield make_pipeline(StandardScaler(), MLPClassifier(hidden_layer_sizes=(16,), random_state=1)).fit(*adult), adult
    yield make_pipeline(StandardScaler(), LogisticRegression()).fit(*adult), adult


def check_graph(model, x, directory):
    name = "+".join(type(step).__name__ for _, step in model.steps)
    rng = np.random.default_rng(8)
    names = ["f%d" % j for j in range(x.shape[1])]
    rows, others = x[rng.choice(len(x), 3)], x[rng.choice(len(x), 20)]
    files = [os.path.join(directory, f) for f in ("graph.onnx", "rows.csv", "others.csv")]
    options = {"zipmap": False} if hasattr(model, "classes_") else None
    with open(files[0], "wb") as out:
        out.write(to_onnx(model, x[:1].astype(np.float32), options=options).SerializeToString())
    peers.write_table(files[1], names, rows)
    peers.write_table(files[2], names, others)
    function = (lambda z: model.predict_proba(z)[:, 1]) if options else model.predict
    wanted = function(rows)
    predicted = np.array(program.predict(files[0], files[1], raw=False))[:, -1]
    sampler = shap.explainers.Exact(function, shap.maskers.Independent(others, len(others)))
    want = sampler(rows).values
    got = np.array(program.explain(files[0], files[1], "--background", files[2], "--method",
                                   "exact"))
    values = got[:, -(x.shape[1] + 1):-1]
    gap, apart = np.abs(values - want).max(), np.abs(predicted - wanted).max()
    scale = 1 + np.abs(wanted).max()
    print("%s scikit-learn %s through ONNX: exact values within %.1e, predictions within %.1e"
          % ("ok" if gap <= 1e-4 * scale and apart <= 1e-4 * scale else "FAIL", name, gap, apart))


def main():
    warnings.simplefilter("ignore")
    homes, adult = tables()
    with tempfile.TemporaryDirectory() as directory:
        for model, x in [*models(homes, adult), *with_gaps(homes, adult)]:
            check(model, x, directory)
        for model, table in networks(homes, adult):
            check_graph(model, table[0], directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
