#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the LightGBM cases of this directory and writes what the library answers.

Usage: make_lightgbm.py [NAME...]. Run it with the current library and with every older one named in
README.md: the version that runs decides which cases are made."""

import os
import sys

import lightgbm as lgb
import numpy as np

import golden

ROOT = os.path.dirname(os.path.abspath(__file__))
wanted = set()


def table(seed, rows=500, cols=6, missing=0.1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, cols))
    x[:, 1] = np.round(x[:, 1] * 4)
    x[:, 2] = np.abs(x[:, 2]) * 1000
    x[rng.random(rows) < 0.3, 4] = 0
    z = x[:, 0] + 0.5 * x[:, 1] * (x[:, 2] > 500) - x[:, 3] * x[:, 4] + rng.normal(size=rows) / 4
    x[rng.random(x.shape) < missing] = np.nan
    return x, z


def classes(z, k):
    return np.digitize(z, np.quantile(z, np.arange(1, k) / k))


def blocks(text):
    """The header and the trees of a model file, each as a dictionary of its lines."""
    parts = text.split("\nend of trees")[0].split("\nTree=")
    return [dict(line.split("=", 1) for line in part.splitlines() if "=" in line)
            for part in parts]


def nodes(text):
    """Numerical thresholds by feature."""
    found = {}
    for tree in blocks(text)[1:]:
        if "threshold" not in tree:
            continue
        for j, cut, kind in zip(tree["split_feature"].split(), tree["threshold"].split(),
                                tree["decision_type"].split()):
            if not int(kind) & 1:
                found.setdefault(int(j), []).append(float(cut))
    return found


def finish(name, booster, x, categorical=(), notes="", rows=32, kind="gbdt", background=None):
    """Saves the model, loads it again, and writes the answers of the loaded one."""
    path = golden.new_case(ROOT, "lightgbm", name)
    file = os.path.join(path, "model.txt")
    booster.save_model(file, num_iteration=-1)
    with open(file, encoding="utf-8") as stream:
        text = stream.read()
    # What follows the trees (importances, parameters) plays no part: keep the files small.
    text = text[:text.index("end of trees") + len("end of trees\n")]
    with open(file, "w", encoding="utf-8", newline="\n") as out:
        out.write(text)
    loaded = lgb.Booster(model_file=file)
    probe = golden.adversarial(x, nodes(text), set(categorical), rows, len(name), np.float64)
    ask = {"num_threads": 1}
    margin = loaded.predict(probe, raw_score=True, **ask)
    assert np.array_equal(margin, booster.predict(probe, raw_score=True, **ask), equal_nan=True)
    single = [loaded.predict(probe[i:i + 1], raw_score=True, **ask) for i in range(rows)]
    assert np.array_equal(np.concatenate(single), margin, equal_nan=True)
    scale = loaded.current_iteration() if "\naverage_output\n" in text else 1
    margin = margin / scale
    golden.write_table(os.path.join(path, "input.csv"), probe, loaded.feature_name())
    golden.write_table(os.path.join(path, "margin.csv"), margin)
    golden.write_table(os.path.join(path, "prediction.csv"), loaded.predict(probe, **ask))
    golden.write_leaves(os.path.join(path, "leaves.csv"), loaded.predict(probe, pred_leaf=True))
    outputs = margin.reshape(rows, -1).shape[1]
    linear = "\nis_linear=1\n" in text
    gap = None
    if linear:
        notes += "; the library refuses contributions of linear trees"
    else:
        contribs = loaded.predict(probe, pred_contrib=True, **ask) / scale
        golden.write_table(os.path.join(path, "contribs.csv"), contribs, form="%.13g")
        sums = contribs.reshape(rows, outputs, -1).sum(axis=2)
        gap = np.abs(sums - margin.reshape(rows, -1)) / (1 + np.abs(sums))
        gap = float(np.max(gap[np.isfinite(gap)]))
    head = blocks(text)[0]
    facts = {
        "library": "lightgbm", "version": lgb.__version__,
        "objective": head.get("objective", "none"), "kind": kind, "features": x.shape[1],
        "outputs": outputs, "rows": rows, "margin_tolerance": 0, "contribs": gap is not None,
        "contribs_tolerance": 1e-9, "notes": notes}
    if background is not None:
        facts.update(golden.write_interventional(path, loaded, probe, margin, background,
                                                 loaded.feature_name()))
    golden.write_yaml(path, facts)
    print("%-26s %6d bytes, gap of the library's sums %s" % (name, os.path.getsize(file), gap))


def fit(params, x, y, rounds=8, categorical=(), group=None, weight=None):
    basic = {"num_threads": 1, "seed": 7, "deterministic": True, "force_row_wise": True,
             "verbosity": -1, "num_leaves": 12, "learning_rate": 0.2, "min_data_in_leaf": 8}
    basic.update(params)
    names = ["f%d" % j if j else "first_feature" for j in range(x.shape[1])]
    data = lgb.Dataset(x, y, feature_name=names, categorical_feature=list(categorical),
                       group=group, weight=weight, free_raw_data=False)
    return lgb.train(basic, data, rounds)


def simple(name, objective, seed, label, rounds=8, notes="", missing=0.1, **params):
    if wanted and name not in wanted:
        return
    x, z = table(seed, missing=missing)
    params["objective"] = objective
    finish(name, fit(params, x, label(z), rounds), x, notes=notes,
           kind=params.get("boosting", "gbdt"))


def unit(z):
    return 1 / (1 + np.exp(-z))


def objectives():
    positive = lambda z: np.exp(z / 2)
    binary = lambda z: (z > 0).astype(int)
    plain = lambda z: z
    simple("binary", "binary", 1, binary)
    simple("binary_sigmoid", "binary", 2, binary, sigmoid=2.5)
    simple("binary_unbalance", "binary", 3, lambda z: (z > 1).astype(int), is_unbalance=True)
    simple("binary_no_average", "binary", 4, binary, boost_from_average=False)
    simple("regression", "regression", 5, lambda z: z * 10 + 100,
           notes="the mean is inside the first tree's leaves")
    simple("regression_no_average", "regression", 6, lambda z: z + 10, boost_from_average=False)
    simple("regression_sqrt", "regression", 7, lambda z: z * 10, reg_sqrt=True)
    simple("multiclass", "multiclass", 8, lambda z: classes(z, 4), 4, num_class=4)
    simple("multiclassova", "multiclassova", 9, lambda z: classes(z, 3), 4, num_class=3,
           sigmoid=1.7)
    simple("poisson", "poisson", 10, lambda z: np.floor(positive(z)))
    simple("gamma", "gamma", 11, positive)
    simple("tweedie", "tweedie", 12, positive, tweedie_variance_power=1.3)
    simple("cross_entropy", "cross_entropy", 13, unit)
    simple("cross_entropy_lambda", "cross_entropy_lambda", 14, unit)
    simple("quantile", "quantile", 15, plain, alpha=0.8)
    simple("mape", "mape", 16, lambda z: z * 5 + 30)
    simple("regression_l1", "regression_l1", 17, plain)
    simple("huber", "huber", 18, plain)
    simple("fair", "fair", 19, plain)
    x, z = table(20)
    for name, objective in (("lambdarank", "lambdarank"), ("rank_xendcg", "rank_xendcg")):
        if not wanted or name in wanted:
            finish(name, fit({"objective": objective}, x, classes(z, 4), group=[25] * 20), x)


def boosters():
    binary = lambda z: (z > 0).astype(int)
    plain = lambda z: z
    dart = "the weights of dart are already inside the leaves"
    simple("dart", "binary", 30, binary, 12, boosting="dart", drop_rate=0.4, notes=dart)
    simple("dart_xgboost_mode", "regression", 31, plain, 12, boosting="dart", drop_rate=0.4,
           xgboost_dart_mode=True, notes=dart)
    average = ("average_output: margin and contribs are the library's raw_score=True and "
               "pred_contrib, which are sums, divided by the number of iterations")
    simple("rf_binary", "binary", 32, binary, 7, boosting="rf", bagging_freq=1,
           bagging_fraction=0.6, feature_fraction=0.7, notes=average)
    simple("rf_regression", "regression", 33, lambda z: z + 50, 7, boosting="rf", bagging_freq=1,
           bagging_fraction=0.6, notes=average)
    simple("rf_multiclass", "multiclass", 34, lambda z: classes(z, 3), 3, boosting="rf",
           bagging_freq=1, bagging_fraction=0.6, num_class=3, notes=average)
    simple("goss", "regression", 35, plain, data_sample_strategy="goss")
    simple("zero_as_missing", "regression", 36, plain, zero_as_missing=True,
           notes="missing type zero")
    simple("no_missing", "regression", 37, plain, use_missing=False,
           notes="missing type none: NaN counts as zero")
    simple("dense_no_missing_type", "binary", 38, binary, missing=0,
           notes="trained without missing values, asked with them")
    simple("one_leaf", "regression", 39, lambda z: z + 3, 3, min_gain_to_split=1e30,
           notes="trees of one leaf")
    simple("one_leaf_binary", "binary", 40, lambda z: (z > 1).astype(int), 3,
           min_gain_to_split=1e30)
    simple("monotone", "regression", 41, plain, monotone_constraints=[1, 0, 0, -1, 0, 0])
    simple("stumps", "regression", 42, plain, 25, num_leaves=2)
    simple("deep", "regression", 43, plain, 2, num_leaves=120, min_data_in_leaf=1,
           min_sum_hessian_in_leaf=0, notes="long paths with features repeated")
    simple("extra_trees", "regression", 44, plain, extra_trees=True)
    simple("large_values", "regression", 45, lambda z: z * 1e12, 12,
           notes="rounding differs at once when the order of summation does")
    simple("many_trees", "binary", 46, binary, 40, num_leaves=4)
    linear = "leaves are linear; a missing value among a leaf's features gives the plain leaf"
    simple("linear_tree", "regression", 47, plain, 6, linear_tree=True, num_leaves=6, notes=linear)
    simple("linear_binary", "binary", 48, binary, 6, linear_tree=True, num_leaves=6, notes=linear)


def deep_series():
    if wanted and "chains" not in wanted:
        return
    x, z = golden.peeled(60, 500, 26, 0.1, np.float64)
    booster = fit({"objective": "regression", "num_leaves": 255, "max_depth": -1,
                   "min_data_in_leaf": 1, "min_sum_hessian_in_leaf": 0}, x, z, 1)
    finish("chains", booster, x, background=x[:40],
           notes="255 leaves of 500 rows, leaf by leaf: long paths of different features")


def categories():
    rng = np.random.default_rng(50)
    x, z = table(50, rows=1500)
    for j, size in ((1, 3), (3, 40), (5, 150)):
        code = rng.integers(0, size, len(x))
        z = z + (code * 7 % 5 > 2) * (j + 1)
        x[:, j] = np.where(rng.random(len(x)) < 0.05, np.nan, code)
    columns = (1, 3, 5)
    sets = "3, 40 and 150 codes; unseen, negative, fractional and huge ones in rows"
    make = {
        "categorical": ({"objective": "regression"}, z),
        "categorical_onehot": ({"objective": "binary", "max_cat_to_onehot": 200}, z > 5),
        "categorical_multiclass": ({"objective": "multiclass", "num_class": 3}, classes(z, 3)),
        "categorical_no_missing": ({"objective": "regression", "use_missing": False}, z),
        "categorical_zero_missing": ({"objective": "regression", "zero_as_missing": True}, z),
        "categorical_linear": ({"objective": "regression", "linear_tree": True}, z),
    }
    for name, (params, y) in make.items():
        if not wanted or name in wanted:
            params.update(min_data_per_group=5, cat_smooth=1, num_leaves=10)
            finish(name, fit(params, x, y, 4, columns), x, columns, sets, rows=50)


def saved_by_older():
    """The forms v2 and v3 of the file; margins by the library that wrote it."""
    prefix = "v" + lgb.__version__.replace(".", "_") + "_"
    binary = lambda z: (z > 0).astype(int)
    simple(prefix + "binary", "binary", 60, binary)
    simple(prefix + "multiclass", "multiclass", 61, lambda z: classes(z, 3), 3, num_class=3)
    simple(prefix + "dart", "regression", 62, lambda z: z, 6, boosting="dart", drop_rate=0.4)
    simple(prefix + "rf", "regression", 63, lambda z: z + 50, 5, boosting="rf", bagging_freq=1,
           bagging_fraction=0.6)
    simple(prefix + "one_leaf", "regression", 64, lambda z: z + 3, 3, min_gain_to_split=1e30)
    x, z = table(65, rows=1000)
    x[:, 3] = np.arange(len(x)) * 37 % 70
    name = prefix + "categorical"
    finish(name, fit({"objective": "regression", "min_data_per_group": 5, "cat_smooth": 1}, x,
                     z + x[:, 3] * 7 % 5, 4, [3]), x, [3])


def main():
    wanted.update(sys.argv[1:])
    if not lgb.__version__.startswith("4."):
        saved_by_older()
        return
    for make in (objectives, boosters, deep_series, categories):
        make()


if __name__ == "__main__":
    main()
