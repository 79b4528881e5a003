#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the XGBoost cases of this directory and writes what the library answers.

Usage: make_xgboost.py [NAME...]. Run it once with the current library and once with every
older one named in README.md: the version that runs decides which cases are made."""

import json
import os
import sys

import numpy as np
import xgboost as xgb

import golden

ROOT = os.path.dirname(os.path.abspath(__file__))
VERSION = xgb.__version__
SERIES = tuple(int(part) for part in VERSION.split(".")[:2])
NEWEST = SERIES >= (3, 0)
wanted = set()


def table(seed, rows=400, cols=6, missing=0.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, cols)).astype(np.float32)
    x[:, 1] = np.round(x[:, 1] * 4)
    x[:, 2] = np.abs(x[:, 2]) * 1000
    z = x[:, 0] + 0.5 * x[:, 1] * (x[:, 2] > 500) - x[:, 3] * x[:, 4] + rng.normal(size=rows) / 4
    x[rng.random(x.shape) < missing] = np.nan
    return x, z


def classes(z, k):
    return np.digitize(z, np.quantile(z, np.arange(1, k) / k))


def matrix(x, y=None, types=None, named=True, **extra):
    names = ["f%d" % j if j else "first feature" for j in range(x.shape[1])] if named else None
    if types:
        extra["enable_categorical"] = True
    return xgb.DMatrix(x, y, feature_names=names, feature_types=types, nthread=1, **extra)


def nodes(document):
    """Thresholds by feature and the kind of the booster, from the JSON document."""
    booster = document["learner"]["gradient_booster"]
    inner = booster.get("gbtree", booster)
    found = {}
    for tree in inner.get("model", {}).get("trees", []):
        kinds = tree.get("split_type") or [0] * len(tree["left_children"])
        for left, j, cond, kind in zip(tree["left_children"], tree["split_indices"],
                                       tree["split_conditions"], kinds):
            if left != -1 and not kind:
                found.setdefault(j, []).append(np.float32(cond))
    return booster["name"], found


def finish(name, booster, x, types=None, ubj=False, named=True, notes="", rows=32, leaves=True,
           background=None):
    """Saves the model, loads it again, and writes the answers of the loaded one."""
    if wanted and name not in wanted:
        return
    path = golden.new_case(ROOT, "xgboost", name)
    file = os.path.join(path, "model.json")
    booster.save_model(file)
    loaded = xgb.Booster({"nthread": 1}, model_file=file)
    with open(file, encoding="utf-8") as stream:
        document = json.load(stream)
    kind, thresholds = nodes(document)
    categorical = {j for j, t in enumerate(types or []) if t == "c"}
    probe = golden.adversarial(x, thresholds, categorical, rows, len(name), np.float32)
    d = matrix(probe, types=types, named=named)
    margin = loaded.predict(d, output_margin=True)
    header = d.feature_names or ["f%d" % j for j in range(x.shape[1])]
    golden.write_table(os.path.join(path, "input.csv"), probe, header)
    golden.write_table(os.path.join(path, "margin.csv"), margin.reshape(rows, -1))
    golden.write_table(os.path.join(path, "prediction.csv"), loaded.predict(d).reshape(rows, -1))
    if ubj:
        booster.save_model(os.path.join(path, "model.ubj"))
        again = xgb.Booster({"nthread": 1}, model_file=os.path.join(path, "model.ubj"))
        assert np.array_equal(again.predict(d, output_margin=True), margin)
    try:
        contribs = loaded.predict(d, pred_contribs=True)
        worst = np.abs(contribs.sum(axis=-1).reshape(margin.shape) - margin)
        gap = float(np.max(worst / (1 + np.abs(margin))))
        if gap > 1e-5 and background is not None:  # floats do not hold such long paths
            contribs = golden.path_dependent(loaded, probe, margin)
            notes += "; the library's contributions are %.0e apart from the margin: shap's" % gap
            gap = 0.0
        if gap > 1e-4:  # 2.x answers nonsense for vector leaves instead of refusing them
            gap = None
            notes = (notes + "; " if notes else "") + "the library's contributions do not add up"
        else:
            golden.write_table(os.path.join(path, "contribs.csv"), contribs.reshape(rows, -1),
                               form="%.9g")
    except xgb.core.XGBoostError as why:
        gap = None
        notes = (notes + " " if notes else "") + "the library refuses contributions"
        print(name, "contribs:", str(why).splitlines()[0][:100])
    if leaves and kind != "gblinear":
        golden.write_leaves(os.path.join(path, "leaves.csv"), loaded.predict(d, pred_leaf=True))
    facts = {"library": "xgboost", "version": VERSION,
             "objective": document["learner"]["objective"]["name"], "kind": kind,
             "features": x.shape[1], "outputs": margin.reshape(rows, -1).shape[1], "rows": rows,
             "margin_tolerance": 0,
             "contribs": gap is not None, "contribs_tolerance": 3e-5,
             "base_score": document["learner"]["learner_model_param"]["base_score"],
             "notes": notes}
    if background is not None:
        facts.update(golden.write_interventional(path, loaded, probe, margin, background, header))
    golden.write_yaml(path, facts)
    print("%-28s %6d bytes, gap of the library's sums %s" % (name, os.path.getsize(file), gap))


def fit(params, x, y, rounds=8, types=None, named=True, weights=None, **extra):
    basic = {"nthread": 1, "seed": 7, "max_depth": 4, "eta": 0.3, "tree_method": "hist"}
    basic.update(params)
    if basic.get("booster") == "gblinear":
        for key in ("max_depth", "tree_method"):
            basic.pop(key)
    d = matrix(x, y, types=types, named=named, **extra)
    return xgb.train(basic, d, rounds)


def simple(name, objective, seed, label, rounds=8, missing=0.1, ubj=False, notes="", **params):
    x, z = table(seed, missing=missing)
    params["objective"] = objective
    finish(name, fit(params, x, label(z), rounds), x, ubj=ubj, notes=notes)


def unit(z):
    return 1 / (1 + np.exp(-z))


def main_series():
    positive = lambda z: np.exp(z / 2)
    binary = lambda z: z > 0
    simple("binary_missing", "binary:logistic", 1, binary, missing=0.25, ubj=True)
    simple("squarederror", "reg:squarederror", 2, lambda z: z * 100, ubj=True)
    simple("softprob", "multi:softprob", 3, lambda z: classes(z, 4), 3, num_class=4, ubj=True)
    simple("softmax", "multi:softmax", 4, lambda z: classes(z, 3), 3, num_class=3)
    simple("poisson", "count:poisson", 5, lambda z: np.floor(positive(z)))
    simple("gamma", "reg:gamma", 6, positive)
    simple("tweedie", "reg:tweedie", 7, positive, tweedie_variance_power=1.3)
    simple("hinge", "binary:hinge", 8, binary)
    simple("logitraw", "binary:logitraw", 9, binary)
    simple("reg_logistic", "reg:logistic", 10, unit)
    simple("squaredlogerror", "reg:squaredlogerror", 11, positive)
    simple("pseudohuber", "reg:pseudohubererror", 12, lambda z: z)
    simple("exact_method", "binary:logistic", 13, binary, tree_method="exact")
    simple("approx_method", "reg:squarederror", 14, lambda z: z, tree_method="approx")
    simple("absoluteerror", "reg:absoluteerror", 15, lambda z: z * 10,
           notes="leaves refreshed by the median")
    simple("quantile", "reg:quantileerror", 16, lambda z: z, 5,
           quantile_alpha=[0.1, 0.5, 0.9], notes="three outputs, one for each alpha")
    simple("quantile_one", "reg:quantileerror", 17, lambda z: z, quantile_alpha=0.7)
    try:
        simple("expectile", "reg:expectileerror", 18, lambda z: z, 5,
               expectile_alpha=[0.1, 0.5, 0.9])
    except xgb.core.XGBoostError as why:
        print("expectile: not in", VERSION, str(why).splitlines()[-1][:80])
    simple("dart_binary", "binary:logistic", 19, binary, 12, booster="dart", rate_drop=0.3,
           ubj=True, notes="a tree adds leaf x weight_drop, both float32")
    simple("dart_multiclass", "multi:softprob", 20, lambda z: classes(z, 3), 6, booster="dart",
           rate_drop=0.4, num_class=3)
    simple("forest", "binary:logistic", 21, binary, 1, num_parallel_tree=12, eta=1,
           subsample=0.7, colsample_bynode=0.6, notes="random forest, no averaging at inference")
    simple("forest_multiclass", "multi:softprob", 22, lambda z: classes(z, 3), 2,
           num_parallel_tree=3, num_class=3, subsample=0.7, max_depth=3)
    simple("one_leaf", "binary:logistic", 23, lambda z: z > 0.5, 4, gamma=1e9,
           notes="every tree is one leaf")
    simple("one_leaf_multiclass", "multi:softprob", 24, lambda z: classes(z, 3), 2, gamma=1e9,
           num_class=3)
    simple("stumps", "reg:squarederror", 25, lambda z: z, 20, max_depth=1)
    simple("deep", "reg:squarederror", 26, lambda z: z, 1, max_depth=16, eta=1, reg_lambda=0,
           min_child_weight=0, notes="depth up to 16, features repeated on a path")
    simple("lossguide", "binary:logistic", 27, binary, 4, grow_policy="lossguide", max_leaves=24,
           max_depth=0)
    simple("base_score_binary", "binary:logistic", 28, binary, 4, base_score=0.2)
    simple("base_score_regression", "reg:squarederror", 29, lambda z: z + 1230, 4,
           base_score=1234.5)
    simple("base_score_poisson", "count:poisson", 30, lambda z: np.floor(positive(z)), 4,
           base_score=2.5)
    simple("monotone", "reg:squarederror", 31, lambda z: z,
           monotone_constraints="(1,0,0,-1,0,0)")
    simple("large_values", "reg:squarederror", 32, lambda z: z * 1e12, 6,
           notes="rounding differs at once when the order of summation does")
    simple("many_trees", "binary:logistic", 33, binary, 40, max_depth=2, eta=0.1)
    for name, objective, label, more in (
            ("gblinear_regression", "reg:squarederror", lambda z: z, {}),
            ("gblinear_binary", "binary:logistic", binary, {}),
            ("gblinear_multiclass", "multi:softprob", lambda z: classes(z, 3), {"num_class": 3})):
        simple(name, objective, 34, label, 10, booster="gblinear", updater="coord_descent",
               ubj=name == "gblinear_multiclass", **more)


def deep_series():
    for name, depth in (("missing_depth_16", 16), ("missing_depth_22", 22)):
        if wanted and name not in wanted:
            continue
        x, z = golden.peeled(depth, 500, 26, 0.15, np.float32)
        booster = fit({"objective": "reg:squarederror", "max_depth": depth, "eta": 0.7,
                       "reg_lambda": 0, "min_child_weight": 0, "gamma": 1}, x, z, 2)
        finish(name, booster, x, background=x[:40],
               notes="trees of depth %d, 15%% missing" % depth)


def ranking():
    x, z = table(40, missing=0.1)
    for name, objective in (("rank_ndcg", "rank:ndcg"), ("rank_pairwise", "rank:pairwise")):
        finish(name, fit({"objective": objective}, x, classes(z, 4), 6,
                         qid=np.repeat(np.arange(20), 20)), x)


def survival():
    x, z = table(41, missing=0.1)
    time = np.exp(z / 2)
    censored = np.arange(len(z)) % 3 == 0
    finish("aft", fit({"objective": "survival:aft"}, x, None, 6, label_lower_bound=time,
                      label_upper_bound=np.where(censored, np.inf, time)), x)
    finish("cox", fit({"objective": "survival:cox"}, x, np.where(censored, -time, time), 6), x)


def categories():
    rng = np.random.default_rng(42)
    x, z = table(42, missing=0.1)
    types = ["q"] * 6
    for j, size in ((1, 4), (3, 12), (5, 80)):
        code = rng.integers(0, size, len(x))
        z += (code * 7 % 5 > 2) * (j + 1) / 2
        x[:, j] = code
        types[j] = "c"
    x[rng.random(x.shape) < 0.1] = np.nan
    notes = "categories of 4, 12 and 80 codes; unseen, negative, fractional and huge ones in rows"
    for name, limit in (("categorical_onehot", 100), ("categorical_partition", 1),
                        ("categorical_mixed", 5)):
        finish(name, fit({"objective": "binary:logistic", "max_cat_to_onehot": limit}, x, z > 4,
                         types=types), x, types, ubj=name == "categorical_mixed", notes=notes,
               rows=48)
    finish("categorical_multiclass", fit({"objective": "multi:softprob", "num_class": 3,
                                          "max_cat_to_onehot": 1}, x, classes(z, 3), 3,
                                         types=types), x, types, notes=notes)
    finish("categorical_dart", fit({"objective": "reg:squarederror", "booster": "dart",
                                    "rate_drop": 0.3}, x, z, 8, types=types), x, types)


def string_categories():
    """Pandas categories that are words: the model carries them, the rows hold their codes."""
    import pandas as pd
    rng = np.random.default_rng(43)
    x, z = table(43)
    words = ["red", "green", "blue", "ein Wort", "naïve"]
    code = rng.integers(0, len(words), len(x))
    frame = pd.DataFrame({"f%d" % j if j else "first feature": x[:, j] for j in range(6)})
    frame["f3"] = pd.Categorical.from_codes(code, words)
    y = z + (code == 2) * 3 - (code == 4)
    d = xgb.DMatrix(frame, y, enable_categorical=True, nthread=1)
    booster = xgb.train({"nthread": 1, "max_depth": 4, "max_cat_to_onehot": 3}, d, 6)
    codes = x.copy()
    codes[:, 3] = code
    types = ["c" if j == 3 else "float" for j in range(6)]
    same = booster.predict(matrix(codes, types=types), output_margin=True)
    assert np.array_equal(booster.predict(d, output_margin=True), same)
    finish("categorical_words", booster, codes, types, ubj=True,
           notes="words of f3 are in cats; input.csv holds their codes")


def targets():
    x, z = table(44, missing=0.1)
    y = np.stack([z, np.abs(z), x[:, 2] / 1000], axis=1)
    y = np.nan_to_num(y)
    for name, strategy in (("targets_each_tree", "one_output_per_tree"),
                           ("targets_vector_leaf", "multi_output_tree")):
        finish(name, fit({"objective": "reg:squarederror", "multi_strategy": strategy}, x, y, 4),
               x, ubj=True, leaves=strategy[0] == "o")
    finish("labels_each_tree", fit({"objective": "binary:logistic"}, x, y > 0.3, 4), x)
    finish("softprob_vector_leaf", fit({"objective": "multi:softprob", "num_class": 3,
                                        "multi_strategy": "multi_output_tree"}, x, classes(z, 3),
                                       3), x, leaves=False)
    finish("unnamed", fit({"objective": "reg:squarederror", "max_depth": 3}, x, z, 4,
                          named=False), x, named=False, ubj=True,
           notes="no feature names in the file")


def saved_by_older():
    """What the forms before 3.0 look like; margins by the library that wrote the file."""
    prefix = "v" + VERSION.replace(".", "_") + "_"
    ubj = SERIES >= (1, 6)
    if SERIES in ((1, 3), (2, 0)) and not wanted:  # forms close to their neighbours': fewer cases
        wanted.update(prefix + name for name in ("binary", "dart", "quantile",
                                                 "targets_vector_leaf"))
    binary = lambda z: z > 0
    simple(prefix + "binary", "binary:logistic", 51, binary, missing=0.2, ubj=ubj)
    simple(prefix + "squarederror", "reg:squarederror", 52, lambda z: z * 10, base_score=0.5)
    simple(prefix + "softprob", "multi:softprob", 53, lambda z: classes(z, 3), 3, num_class=3)
    simple(prefix + "poisson", "count:poisson", 54, lambda z: np.floor(np.exp(z / 2)), 4)
    simple(prefix + "dart", "binary:logistic", 55, binary, 8, booster="dart", rate_drop=0.3)
    simple(prefix + "gblinear", "reg:squarederror", 56, lambda z: z, 5, booster="gblinear",
           updater="coord_descent")
    if SERIES >= (1, 6):
        simple(prefix + "absoluteerror", "reg:absoluteerror", 57, lambda z: z, 4)
        x, z = table(58)
        x[:, 3] = np.arange(len(x)) % 7
        types = ["c" if j == 3 else "q" for j in range(6)]
        finish(prefix + "categorical",
               fit({"objective": "reg:squarederror", "max_cat_to_onehot": 1}, x,
                   z + (x[:, 3] % 3), 4, types=types), x, types, ubj=True)
    if SERIES >= (2, 0):
        simple(prefix + "quantile", "reg:quantileerror", 59, lambda z: z, 3,
               quantile_alpha=[0.2, 0.8])
        x, z = table(60, missing=0.1)
        finish(prefix + "targets_vector_leaf",
               fit({"objective": "reg:squarederror", "multi_strategy": "multi_output_tree"}, x,
                   np.stack([z, np.abs(z)], axis=1), 3), x, ubj=True, leaves=False,
               notes="vector leaves lie in base_weights")


def main():
    wanted.update(sys.argv[1:])
    if NEWEST:
        for make in (main_series, deep_series, ranking, survival, categories, string_categories, targets):
            make()
    else:
        saved_by_older()


if __name__ == "__main__":
    main()
