#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What XGBoost 3.2.0 gives besides its exact contributions for the golden models' rows:
explainers.csv, one line a case, method and row: case, method, row (from 0), values. `saabas` is
pred_contribs with approx_contribs, `tree_interactions` is pred_interactions, output after output,
row of the matrix after row."""

import os

import numpy as np
import xgboost

HERE = os.path.dirname(os.path.abspath(__file__))
ROWS = 12
CASES = ["binary_missing", "categorical_mixed", "categorical_multiclass", "categorical_onehot",
         "categorical_partition", "dart_multiclass", "deep", "forest", "missing_depth_16",
         "softprob", "v1_7_6_categorical", "v2_1_4_dart"]


def rows_of(case):
    path = os.path.join(HERE, "xgboost", case, "input.csv")
    table = np.genfromtxt(path, delimiter=",", skip_header=1, max_rows=ROWS)
    return table.astype(np.float32)


def answers(case):
    path = os.path.join(HERE, "xgboost", case, "model.json")
    booster = xgboost.Booster({"nthread": 1}, model_file=path)
    rows = rows_of(case)
    matrix = xgboost.DMatrix(rows, feature_names=booster.feature_names, nthread=1,
                             feature_types=booster.feature_types, enable_categorical=True)
    saabas = booster.predict(matrix, pred_contribs=True, approx_contribs=True)
    yield "saabas", saabas.reshape(len(rows), -1)
    if len(rows[0]) <= 10:
        pairs = booster.predict(matrix, pred_interactions=True)
        yield "tree_interactions", pairs.reshape(len(rows), -1)


def main():
    with open(os.path.join(HERE, "explainers.csv"), "w", encoding="ascii") as out:
        for case in CASES:
            for method, found in answers(case):
                for row, values in enumerate(found):
                    fields = ["%.9g" % value for value in values]
                    out.write(",".join(["xgboost/" + case, method, str(row), *fields]) + "\n")


if __name__ == "__main__":
    main()
