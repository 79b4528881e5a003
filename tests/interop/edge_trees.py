#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pruned tree models next to the real libraries: what `ingot edge prune` writes is loaded by XGBoost and gives Ingot's
margins bit for bit; a smaller file keeps what the model was worth; scikit-learn's own pruning on the same rows."""

import json
import os
import subprocess
import sys
import tempfile

os.environ["OMP_NUM_THREADS"] = "1"  # XGBoost and scikit-learn each bring an OpenMP, whose threads spin

import numpy as np
import xgboost
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.ensemble import RandomForestClassifier

import program

FOLDER = tempfile.mkdtemp()
# In a process of its own: LightGBM and XGBoost each bring an OpenMP, which do not get on.
LIGHTGBM = """
import sys, lightgbm, numpy
data = numpy.load(sys.argv[1])
names = ["f%d" % i for i in range(data["rows"].shape[1])]
options = {"objective": "binary", "verbose": -1, "num_threads": 1, "sigmoid": 0.7}
made = lightgbm.train(options, lightgbm.Dataset(data["rows"], data["labels"], feature_name=names), 50)
made.save_model(sys.argv[2])
"""


def check(name, good, detail=""):
    print("%s edge_trees: %s%s" % ("ok" if good else "FAIL", name, "" if good else ": %s" % (detail,)))


def path(name):
    return os.path.join(FOLDER, name)


def write_table(name, rows, labels=None):
    head = ["f%d" % i for i in range(rows.shape[1])] + (["y"] if labels is not None else [])
    with open(path(name), "w", encoding="utf-8") as out:
        out.write(",".join(head) + "\n")
        for i, row in enumerate(rows):
            cells = [repr(float(x)) for x in row] + ([repr(float(labels[i]))] if labels is not None else [])
            out.write(",".join(cells) + "\n")
    return path(name)


def parts(load, seed=3):
    data = load()
    order = np.random.default_rng(seed).permutation(len(data.target))
    rows, labels = data.data[order].astype(np.float32), data.target[order].astype(float)
    first, second = len(order) // 2, len(order) * 3 // 4
    return (rows[:first], labels[:first]), (rows[first:second], labels[first:second]), (rows[second:], labels[second:])


def names(rows):
    return ["f%d" % i for i in range(rows.shape[1])]


def train_xgboost(train, objective, classes=0, rounds=60, **more):
    options = {"objective": objective, "max_depth": 5, "eta": 0.3, "nthread": 1, **more}
    if classes:
        options["num_class"] = classes
    matrix = xgboost.DMatrix(train[0], train[1], feature_names=names(train[0]))
    return xgboost.train(options, matrix, rounds)


def same_margins(name, made, rows):
    booster = xgboost.Booster(model_file=made)
    theirs = booster.predict(xgboost.DMatrix(rows, feature_names=names(rows)), output_margin=True)
    ours = np.array(program.numbers(program.run("predict", "--model", made, "--raw", "--input",
                                                write_table("rows.csv", rows))))
    check("%s: XGBoost's margins are Ingot's" % name, np.array_equal(theirs.reshape(len(rows), -1), ours),
          np.abs(theirs.reshape(len(rows), -1) - ours).max())


def prune(model, held, *options):
    made = path("small.json")
    text = program.run("edge", "prune", model, "--input", write_table("held.csv", *held), "--target", "y", "--output",
                       made, "--format", "json", *options)
    return made, json.loads(text)


def loss(objective, made, rows, labels):
    booster = xgboost.Booster(model_file=made)
    values = booster.predict(xgboost.DMatrix(rows, feature_names=names(rows)))
    if values.ndim > 1:
        return -np.log(np.maximum(values[np.arange(len(labels)), labels.astype(int)], 1e-9)).mean()
    if objective.startswith("binary"):
        values = np.clip(values, 1e-7, 1 - 1e-7)
        return -(labels * np.log(values) + (1 - labels) * np.log(1 - values)).mean()
    return ((values - labels) ** 2).mean()


def boosted():
    for load, objective, classes, leaves, size in ((load_breast_cancer, "binary:logistic", 0, "80", "700"),
                                                   (load_digits, "multi:softprob", 10, "1200", "9000"),
                                                   (load_diabetes, "reg:squarederror", 0, "400", "1500")):
        train, held, test = parts(load)
        train_xgboost(train, objective, classes, 20 if classes else 60).save_model(path("model.json"))
        before = loss(objective, path("model.json"), *test)
        for options in ((), ("--refit",), ("--drop-trees",), ("--leaves-at-most", leaves),
                        ("--bytes-at-most", size, "--refit")):
            name = "%s %s" % (objective, " ".join(options))
            made, report = prune(path("model.json"), held, *options)
            same_margins(name, made, test[0])
            check("%s: smaller" % name, report["after"]["leaves"] < report["before"]["leaves"], report)
            after = loss(objective, made, *test)
            # Some dozens of rows judge, so what they promise is rough.
            limit = 1.4 if "--leaves-at-most" not in options else 9
            check("%s: the test loss holds" % name, after < before * limit, (before, after))


def others():
    train, held, test = parts(load_breast_cancer)
    np.savez(path("train.npz"), rows=train[0], labels=train[1])
    subprocess.run([sys.executable, "-c", LIGHTGBM, path("train.npz"), path("model.txt")], check=True)
    made, _ = prune(path("model.txt"), held, "--leaves-at-most", "200")
    same_margins("LightGBM", made, test[0])
    train_xgboost(train, "binary:logistic", rounds=1, num_parallel_tree=20, subsample=0.6,
                  eta=1.0).save_model(path("forest.json"))
    made, report = prune(path("forest.json"), held, "--drop-trees", "--leaves-at-most", "60")
    same_margins("a forest", made, test[0])
    check("a forest: fewer trees", report["after"]["trees"] < 20, report)


def next_to_scikit_learn():
    """A forest of scikit-learn's pruned by its own ccp_alpha, and by Ingot to as many leaves, on the same test rows."""
    from skl2onnx import to_onnx
    train, held, test = parts(load_breast_cancer)
    forest = RandomForestClassifier(30, random_state=0).fit(*train)
    pruned = RandomForestClassifier(30, random_state=0, ccp_alpha=0.01).fit(*train)
    with open(path("forest.onnx"), "wb") as out:
        out.write(to_onnx(forest, train[0][:1], options={"zipmap": False}).SerializeToString())
    leaves = sum(tree.get_n_leaves() for tree in pruned.estimators_)
    made = path("small.ige")
    text = program.run("edge", "prune", path("forest.onnx"), "--input", write_table("held.csv", held[0]),
                       "--leaves-at-most", str(leaves), "--refit", "--output", made, "--format", "json")
    answers = np.array(program.numbers(program.run("predict", "--model", made, "--no-header", "--input",
                                                   path_without_header(test[0]))))
    ours = (answers.argmax(axis=1) == test[1]).mean() if answers.shape[1] > 1 else ((answers[:, 0] > 0.5) ==
                                                                                  test[1]).mean()
    theirs = pruned.score(*test)
    check("a forest of %d leaves: %.3f right, scikit-learn's %.3f" % (json.loads(text)["after"]["leaves"], ours, theirs),
          ours >= theirs - 0.03, (ours, theirs))


def path_without_header(rows):
    with open(path("bare.csv"), "w", encoding="utf-8") as out:
        for row in rows:
            out.write(",".join(repr(float(x)) for x in row) + "\n")
    return path("bare.csv")


boosted()
others()
next_to_scikit_learn()
