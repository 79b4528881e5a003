#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the CatBoost cases of this directory and writes what the library answers.

Usage: make_catboost.py [NAME...]."""

import os
import sys
import tempfile

import catboost
import numpy as np

import golden

ROOT = os.path.dirname(os.path.abspath(__file__))
wanted = set(sys.argv[1:])
scratch = tempfile.mkdtemp()


def table(seed, rows=400, cols=6, missing=0.1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, cols)).astype(np.float32)
    x[:, 1] = np.round(x[:, 1] * 4)
    x[:, 2] = np.abs(x[:, 2]) * 1000
    z = x[:, 0] + 0.5 * x[:, 1] * (x[:, 2] > 500) - x[:, 3] * x[:, 4]
    x[rng.random(x.shape) < missing] = np.nan
    return x, z + rng.normal(size=rows) / 4


def save(name, params, seed, target, missing=0.1, names=None):
    if wanted and name not in wanted:
        return
    x, z = table(seed, missing=missing)
    y = target(z)
    kind = catboost.CatBoostClassifier if params["loss_function"] in (
        "Logloss", "CrossEntropy", "MultiClass", "MultiClassOneVsAll") else catboost.CatBoostRegressor
    trained = kind(iterations=12, depth=4, random_seed=1, thread_count=1, verbose=False,
                   train_dir=scratch, **params)
    trained.fit(catboost.Pool(x, y, feature_names=names))
    path = golden.new_case(ROOT, "catboost", name)
    file = os.path.join(path, "model.json")
    trained.save_model(file, format="json")
    model = kind()
    model.load_model(file, format="json")
    borders = {j: [b for b in cuts] for j, cuts in model.get_borders().items()}
    rows = golden.adversarial(x, borders, set(), 48, seed, np.float32).astype(float)
    # Halfway between two floats: a double that the library rounds before it compares.
    for i, (j, cuts) in enumerate(sorted(borders.items())):
        cut = np.float32(cuts[0])
        rows[i, j] = (float(cut) + float(np.nextafter(cut, np.float32(np.inf)))) / 2
    pool = catboost.Pool(rows, feature_names=names)
    raw = np.asarray(model.predict(pool, prediction_type="RawFormulaVal"), float)
    raw = raw.reshape(len(rows), -1)
    if kind is catboost.CatBoostClassifier:
        predicted = np.asarray(model.predict_proba(pool), float)
        if raw.shape[1] == 1:
            predicted = predicted[:, 1:]
    else:
        predicted = np.asarray(model.predict(pool), float).reshape(len(rows), -1)
    shap = np.asarray(model.get_feature_importance(pool, type="ShapValues", thread_count=1,
                                                   shap_calc_type="Regular"), float)
    header = names or [str(j) for j in range(x.shape[1])]
    golden.write_table(os.path.join(path, "input.csv"), rows, header)
    golden.write_table(os.path.join(path, "margin.csv"), raw)
    golden.write_table(os.path.join(path, "prediction.csv"), predicted)
    golden.write_table(os.path.join(path, "contribs.csv"), shap.reshape(len(rows), -1), form="%.9g")
    golden.write_leaves(os.path.join(path, "leaves.csv"), model.calc_leaf_indexes(pool))
    golden.write_yaml(path, {"library": "catboost", "version": catboost.__version__,
                             "objective": params["loss_function"], "features": x.shape[1],
                             "outputs": raw.shape[1], "rows": len(rows),
                             # its sums run in another order over four trees at a time
                             "margin_tolerance": 1e-14,
                             "contribs": True, "contribs_tolerance": 1e-8})


def main():
    binary = lambda z: (z > 0).astype(int)
    classes = lambda z: np.digitize(z, [-1, 1])
    named = ["first feature", "f1", "f2", "f3", "f4", "f5"]
    save("regression", {"loss_function": "RMSE"}, 1, lambda z: z)
    save("regression_no_missing", {"loss_function": "RMSE"}, 2, lambda z: z, missing=0)
    save("missing_max", {"loss_function": "RMSE", "nan_mode": "Max"}, 3, lambda z: z)
    save("mae", {"loss_function": "MAE"}, 4, lambda z: z)
    save("quantile", {"loss_function": "Quantile:alpha=0.8"}, 5, lambda z: z)
    save("poisson", {"loss_function": "Poisson"}, 6, lambda z: np.round(np.exp(z / 3)))
    save("tweedie", {"loss_function": "Tweedie:variance_power=1.5"}, 7, lambda z: np.exp(z / 3))
    save("binary", {"loss_function": "Logloss"}, 8, binary, names=named)
    save("cross_entropy", {"loss_function": "CrossEntropy"}, 9, lambda z: 1 / (1 + np.exp(-z)))
    save("multiclass", {"loss_function": "MultiClass"}, 10, classes)
    save("one_vs_all", {"loss_function": "MultiClassOneVsAll"}, 11, classes)


if __name__ == "__main__":
    main()
