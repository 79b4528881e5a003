#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pairwise interactions and contributions next to the package shapiq, whose Shapley interaction
index is twice the entry beside the diagonal. Rows lie off all thresholds: shapiq takes `<=` for
XGBoost's `<`."""

import os
import sys
import tempfile
import warnings

import lightgbm
import numpy as np
import pandas as pd
import shapiq
import xgboost

import peers
import program

ROWS, TOLERANCE = 10, 2e-6


def homes():
    path = os.path.join(peers.SHARED, "data", "california_housing.csv")
    rng = np.random.default_rng(9)
    if not os.path.exists(path):
        x = rng.normal(size=(4000, 8))
        return x, x[:, 0] * x[:, 1] + x[:, 2]
    table = pd.read_csv(path).select_dtypes("number").dropna()
    target = table.pop("median_house_value") / 1e5
    return table.to_numpy(float), target.to_numpy(float)


def by_shapiq(model, row):
    found = shapiq.TreeExplainer(model=model, max_order=2, index="SII").explain(row)
    matrix = np.zeros((len(row), len(row)))
    for players, at in found.interaction_lookup.items():
        if len(players) == 2:
            matrix[players[0], players[1]] = matrix[players[1], players[0]] = found.values[at] / 2
        elif len(players) == 1:
            matrix[players[0], players[0]] = found.values[at]
    return matrix


def compare(name, model, file, rows, directory):
    count = rows.shape[1]
    path = os.path.join(directory, "rows.csv")
    peers.write_table(path, ["f%d" % j for j in range(count)], rows)
    blocks = np.array(program.explain(file, path, "--method", "tree_interactions"))
    ours = blocks.reshape(len(rows), count + 1, count + 1)[:, :-1, :-1]
    worst = 0.0
    for row, got in zip(rows, ours):
        want = by_shapiq(model, row)
        values = np.diag(want).copy()  # Shapley values: rows of our matrix add up to them
        off = ~np.eye(count, dtype=bool)
        worst = max(worst, np.abs(got - want)[off].max(), np.abs(got.sum(axis=1) - values).max())
    print("%s %s: interactions and contributions within %.1e"
          % ("ok" if worst <= TOLERANCE else "FAIL", name, worst))


def main():
    warnings.simplefilter("ignore")
    pd.set_option("future.infer_string", False)  # what shapiq's conversion expects
    x, y = homes()
    rng = np.random.default_rng(4)
    rows = x[rng.choice(len(x), ROWS)] * (1 + 1e-3 * rng.normal(size=(ROWS, x.shape[1])))
    names = ["f%d" % j for j in range(x.shape[1])]
    with tempfile.TemporaryDirectory() as directory:
        file = os.path.join(directory, "xgboost.json")
        model = xgboost.XGBRegressor(max_depth=5, n_estimators=30, n_jobs=1)
        model.fit(x, y)
        model.get_booster().feature_names = names
        model.save_model(file)
        compare("xgboost", model, file, rows, directory)
        file = os.path.join(directory, "lightgbm.txt")
        model = lightgbm.LGBMRegressor(num_leaves=31, n_estimators=30, n_jobs=1, verbose=-1)
        model.fit(pd.DataFrame(x, columns=names), y)
        model.booster_.save_model(file)
        compare("lightgbm", model, file, rows, directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
