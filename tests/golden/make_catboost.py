#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the CatBoost cases of this directory and writes what the library answers.

Usage: make_catboost.py [NAME...]."""

import os
import sys
import tempfile

import catboost
import numpy as np
import pandas as pd

import golden

ROOT = os.path.dirname(os.path.abspath(__file__))
wanted = set(sys.argv[1:])
os.chdir(tempfile.mkdtemp())  # where the library keeps its log


def table(seed, rows=400, cols=6, missing=0.1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, cols)).astype(np.float32)
    x[:, 1] = np.round(x[:, 1] * 4)
    x[:, 2] = np.abs(x[:, 2]) * 1000
    z = x[:, 0] + 0.5 * x[:, 1] * (x[:, 2] > 500) - x[:, 3] * x[:, 4]
    x[rng.random(x.shape) < missing] = np.nan
    return x, z + rng.normal(size=rows) / 4


WORDS = ["red", "green", "blue", "dark blue", "na\u00efve", "Z\u00fcrich", "x", "3", "-1", "0.5", "True",
         "a category whose text is longer than thirty-two bytes",
         "and one that is longer than sixty-four bytes so that the long rule of the hash is used"]


def mixed(seed, rows=500, crossed=False):
    """Numbers with holes, words, and words that training never sees; crossed: what a word does depends on others."""
    rng = np.random.default_rng(seed)
    x, z = table(seed, rows)
    colour = rng.choice(WORDS, rows)
    grade = rng.integers(0, 30, rows)
    pair = rng.choice(["no", "yes"], rows)
    effect = {w: (i * 5) % 7 - 3 for i, w in enumerate(WORDS)}
    z = z + [effect[w] for w in colour] + (grade % 4) + 2 * (pair == "yes") * np.nan_to_num(x[:, 0])
    if crossed:
        z = np.asarray([(effect[w] * (g % 4 + 1)) % 5 * 3 * (p == "yes" or w < "c") for w, g, p in zip(colour, grade, pair)]) \
            + z / 8
    frame = pd.DataFrame({"n0": x[:, 0], "colour": colour, "n1": x[:, 1], "grade": grade.astype(str),
                          "pair": pair, "one": "always", "n2": x[:, 3]})
    return frame, np.asarray(z, float)


def save_mixed(name, params, seed, target, classifier=False, words_in_file=True):
    if wanted and name not in wanted:
        return
    frame, z = mixed(seed, crossed=name.startswith("combined"))
    names = list(frame.columns)
    cats = ["colour", "grade", "pair", "one"]
    y = target(z)
    pool = catboost.Pool(frame, y, cat_features=cats)
    kind = catboost.CatBoostClassifier if classifier else catboost.CatBoostRegressor
    model = kind(**{"iterations": 12, "depth": 4, "random_seed": 1, "thread_count": 1, "verbose": False,
                    "train_dir": ".", **params})
    model.fit(pool)
    path = golden.new_case(ROOT, "catboost", name)
    model.save_model(os.path.join(path, "model.json"), format="json", pool=pool if words_in_file else None)
    model.save_model(os.path.join(path, "model.cbm"))
    numbers = ["n0", "n1", "n2"]
    borders = {numbers.index(names[j]): list(cuts) for j, cuts in model.get_borders().items()
               if names[j] in numbers}
    rows = pd.DataFrame(golden.adversarial(frame[numbers].to_numpy(), borders, set(), 48, seed, np.float32),
                        columns=numbers)
    rng = np.random.default_rng(seed)
    drawn = frame.iloc[rng.integers(0, len(frame), len(rows))].reset_index(drop=True)
    for c in cats:
        rows[c] = drawn[c]
        rows.loc[rng.random(len(rows)) < 0.15, c] = "unseen " + c
    rows = rows[names]
    model.load_model(os.path.join(path, "model.json"), format="json")  # cbm may number leaves otherwise
    write_answers(path, model, catboost.Pool(rows, cat_features=cats), classifier, params, len(names))
    with open(os.path.join(path, "input.csv"), "w", newline="\n", encoding="utf-8") as out:
        out.write(",".join(names) + "\n")
        for row in rows.itertuples(index=False):
            out.write(",".join(v if isinstance(v, str) else golden.text(v) for v in row) + "\n")


def write_answers(path, model, pool, classifier, params, features):
    """What the library says of the pool's rows; the files but the model and its input."""
    rows = pool.num_row()
    raw = np.asarray(model.predict(pool, prediction_type="RawFormulaVal"), float).reshape(rows, -1)
    if classifier:
        predicted = np.asarray(model.predict_proba(pool), float)
        if raw.shape[1] == 1:
            predicted = predicted[:, 1:]
    else:
        predicted = np.asarray(model.predict(pool), float).reshape(rows, -1)
    shap = np.asarray(model.get_feature_importance(pool, type="ShapValues", thread_count=1,
                                                   shap_calc_type="Regular"), float)
    golden.write_table(os.path.join(path, "margin.csv"), raw)
    golden.write_table(os.path.join(path, "prediction.csv"), predicted)
    golden.write_table(os.path.join(path, "contribs.csv"), shap.reshape(rows, -1), form="%.9g")
    golden.write_leaves(os.path.join(path, "leaves.csv"), model.calc_leaf_indexes(pool))
    golden.write_yaml(path, {"library": "catboost", "version": catboost.__version__,
                             "objective": params["loss_function"], "features": features,
                             "outputs": raw.shape[1], "rows": rows,
                             # its sums run in another order over four trees at a time
                             "margin_tolerance": 1e-14,
                             "contribs": True, "contribs_tolerance": 1e-8})


def save(name, params, seed, target, missing=0.1, names=None):
    if wanted and name not in wanted:
        return
    x, z = table(seed, missing=missing)
    y = target(z)
    kind = catboost.CatBoostClassifier if params["loss_function"] in (
        "Logloss", "CrossEntropy", "MultiClass", "MultiClassOneVsAll") else catboost.CatBoostRegressor
    trained = kind(iterations=12, depth=4, random_seed=1, thread_count=1, verbose=False,
                   train_dir=".", **params)
    trained.fit(catboost.Pool(x, y, feature_names=names))
    path = golden.new_case(ROOT, "catboost", name)
    file = os.path.join(path, "model.json")
    trained.save_model(file, format="json")
    trained.save_model(os.path.join(path, "model.cbm"))
    model = kind()
    model.load_model(file, format="json")
    borders = {j: [b for b in cuts] for j, cuts in model.get_borders().items()}
    rows = golden.adversarial(x, borders, set(), 48, seed, np.float32).astype(float)
    # Halfway between two floats: a double that the library rounds before it compares.
    for i, (j, cuts) in enumerate(sorted(borders.items())):
        cut = np.float32(cuts[0])
        rows[i, j] = (float(cut) + float(np.nextafter(cut, np.float32(np.inf)))) / 2
    pool = catboost.Pool(rows, feature_names=names)
    golden.write_table(os.path.join(path, "input.csv"), rows, names or [str(j) for j in range(x.shape[1])])
    write_answers(path, model, pool, kind is catboost.CatBoostClassifier, params, x.shape[1])


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
    # Trees that are not symmetric.
    grown = lambda loss, policy, **more: {"loss_function": loss, "grow_policy": policy, **more}
    save("depthwise", grown("RMSE", "Depthwise"), 12, lambda z: z)
    save("lossguide", grown("Logloss", "Lossguide", max_leaves=9), 13, binary)
    save("depthwise_multiclass", grown("MultiClass", "Depthwise"), 14, classes)
    save("lossguide_missing_max", grown("RMSE", "Lossguide", nan_mode="Max"), 15, lambda z: z)
    # Categories: one by one, and by their statistics.
    one_hot = lambda loss, **more: {"loss_function": loss, "one_hot_max_size": 64, **more}
    simple = lambda loss, **more: {"loss_function": loss, "one_hot_max_size": 2,
                                   "max_ctr_complexity": 1, **more}
    save_mixed("one_hot", one_hot("RMSE"), 21, lambda z: z)
    save_mixed("one_hot_hashes", one_hot("Logloss"), 22, binary, True, words_in_file=False)
    save_mixed("one_hot_lossguide", one_hot("RMSE", grow_policy="Lossguide"), 23, lambda z: z)
    save_mixed("ctr", simple("RMSE"), 24, lambda z: z)
    save_mixed("ctr_binary", simple("Logloss"), 25, binary, True)
    save_mixed("ctr_multiclass", simple("MultiClass"), 26, classes, True, words_in_file=False)
    save_mixed("ctr_depthwise", simple("Logloss", grow_policy="Depthwise"), 27, binary, True)
    for seed, kind in enumerate(["Buckets", "BinarizedTargetMeanValue", "Counter"], 28):
        save_mixed("ctr_" + kind.lower(), simple("RMSE", simple_ctr=[kind + ":TargetBorderCount=3"
                   if kind == "Buckets" else kind]), seed, lambda z: z)
    # Statistics of combinations of categories, one-hot values and numbers.
    combined = lambda loss, **more: {"loss_function": loss, "one_hot_max_size": 2, "max_ctr_complexity": 4,
                                     "boosting_type": "Ordered", **more}
    save_mixed("combined", combined("RMSE", depth=6), 31, lambda z: z)
    save_mixed("combined_binary", combined("Logloss", nan_mode="Max"), 32, lambda z: (z > 4).astype(int), True, words_in_file=False)
    save_mixed("combined_multiclass", combined("MultiClass", boosting_type="Plain"), 33, lambda z: np.digitize(z, [2, 6]), True)
    save_mixed("combined_types", combined("RMSE", combinations_ctr=[
        "Buckets:TargetBorderCount=3", "BinarizedTargetMeanValue", "Counter"]), 34, lambda z: z)


if __name__ == "__main__":
    main()
