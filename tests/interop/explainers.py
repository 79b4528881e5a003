#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Explanations against a background next to shap's: trees (interventional), linear models, and any
model by enumeration, in margins and in probabilities; sampled methods within their errors; LIME
next to the package lime; interactions and Saabas' values next to XGBoost's.

Usage: explainers.py [ROWS a model, by default 40]."""

import json
import os
import sys
import tempfile
import warnings

import numpy as np
import shap
from lime import lime_tabular

import peers
import program

BACKGROUND = 60


def off_thresholds(model, x):
    """Rows moved off every threshold of the model: shap keeps thresholds as floats."""
    out = x.copy()
    for j, cuts in model.thresholds.items():
        for cut in cuts:
            near = np.abs(out[:, j] - cut) <= 1e-6 * (1 + abs(cut))
            out[near, j] = cut - 1e-3 * (1 + abs(cut))
    return out


def compare(name, got, want, tolerance):
    got, want = np.asarray(got, float), np.asarray(want, float)
    if got.shape != want.shape:
        return "%s: shape %s, wanted %s" % (name, got.shape, want.shape), ""
    gap = np.abs(got - want) / np.maximum(1, np.abs(want))
    problem = "%s: %d values beyond %g" % (name, (~(gap <= tolerance)).sum(), tolerance)
    return problem if not gap.max() <= tolerance else "", "%s %.2g" % (name, gap.max())


def by_shap(explainer, x, base):
    """Rows of class-major blocks with the base value last, as the command line prints them. The
    base values are the library's own mean margins: shap takes one intercept for all classes."""
    values = np.asarray(explainer.shap_values(x, check_additivity=False))
    outputs = len(base)
    if values.ndim == 2:
        values = values[:, :, None]
    blocks = [np.column_stack([values[:, :, k], np.full(len(x), base[k])]) for k in range(outputs)]
    return np.hstack(blocks)


def trees(model, x, others, files):
    """shap walks every pair of rows: the definition, in double but for its thresholds."""
    booster = model.booster
    explainer = shap.TreeExplainer(booster, others, feature_perturbation="interventional")
    want = by_shap(explainer, x, model.margin(others).mean(axis=0))
    got = program.explain(model.file, files[0], "--background", files[1])
    return compare("interventional", got, want, 3e-5)


def flat(values):
    """By player, or by class and player."""
    if values and isinstance(next(iter(values.values())), dict):
        return {(c, p): v for c, own in values.items() for p, v in own.items()}
    return values


def sampled(model, files):
    """Four methods for any model on the first rows: the sampled ones within five of their errors."""
    found = {}
    groups = []
    names, size = model.names, -(-len(model.names) // 10)  # at most ten players
    for start in range(0, len(names), size):
        groups += ["--group", "g%d=%s" % (start, ",".join(names[start:start + size]))]
    for method in ("exact", "tree_interventional", "leverage", "permutation"):
        samples = ("--samples", "640") if method in ("leverage", "permutation") else ()
        text = program.run("explain", "--model", model.file, "--input", files[2], "--background",
                           files[1], "--method", method, "--format", "json", *samples, *groups)
        found[method] = [json.loads(line)["explanation"] for line in text.splitlines()]
    worst = 0
    for method in ("tree_interventional", "leverage", "permutation"):
        for one, exact in zip(found[method], found["exact"]):
            values, errors = flat(one["shap_values"]), flat(one.get("standard_errors", {}))
            for player, value in flat(exact["shap_values"]).items():
                error = errors.get(player, 0)
                apart = abs(values[player] - value)
                if not apart <= 5 * error + 1e-5 * max(1, abs(value)):
                    return "%s: %s is %g, exact %g, error %g" % (
                        method, player, values[player], value, error), ""
                worst = max(worst, apart)
    return "", "sampled within %.2g" % worst


def interactions(model, x, others, files):
    """XGBoost's own pairwise interactions of the first rows."""
    want = model.booster.predict(model.matrix(model.lent(x[:3]), model.names),
                                 pred_interactions=True)
    want = want.reshape(3, -1).astype(float)
    got = program.explain(model.file, files[2], "--method", "tree_interactions")
    return compare("interactions", got, want, 3e-5)


def approximate(model, x, others, files):
    """XGBoost's changes of the mean along a row's paths."""
    want = model.booster.predict(model.matrix(model.lent(x[:3]), model.names), pred_contribs=True,
                                 approx_contribs=True).reshape(3, -1).astype(float)
    got = program.explain(model.file, files[2], "--method", "saabas")
    return compare("saabas", got, want, 3e-5)


def linear(model, x, others, files):
    weights = json.loads(model.booster.save_raw("json"))["learner"]["gradient_booster"]["model"]
    weights = np.array(weights["weights"], float)[:-1]
    values = weights * (x - others.mean(axis=0))
    base = model.margin(others).mean()
    want = np.column_stack([values, np.full(len(x), base)])
    explainer = shap.LinearExplainer((weights, 0), others)
    problem, _ = compare("shap's linear", values, explainer.shap_values(x), 1e-9)
    if problem:
        return problem, ""
    got = program.explain(model.file, files[0], "--background", files[1])
    return compare("linear", got, want, 3e-5)


def probability(model, x, others, files):
    """shap enumerates all coalitions of the probability of a model of few features."""
    def predict(rows):
        return model.booster.predict(model.matrix(model.lent(rows), model.names)).astype(float)
    masker = shap.maskers.Independent(others, max_samples=len(others))
    values = shap.explainers.Exact(predict, masker)(x)
    want = np.column_stack([values.values, values.base_values])
    got = program.explain(model.file, files[0], "--background", files[1], "--method", "exact",
                          "--unit", "probability")
    return compare("probability", got, want, 3e-5)


def surrogates(model, x, others, files):
    """The package lime with many samples, our samples, and the limit without samples: each
    coefficient within five standard errors of the limit."""
    samples, count = 50000, x.shape[1]
    theirs = lime_tabular.LimeTabularExplainer(others, mode="regression", random_state=3)
    options = ["--background", files[1], "--surrogate-features", str(count), "--samples",
               str(samples), "--format", "json"]
    found = {}
    for method in ("lime", "lime_exact"):
        text = program.run("explain", "--model", model.file, "--input", files[2], "--method",
                           method, *options)
        found[method] = [json.loads(line)["explanation"]["surrogate"] for line in text.splitlines()]
    worst = 0
    for row, (ours, limit) in enumerate(zip(found["lime"], found["lime_exact"])):
        peer = theirs.explain_instance(x[row], lambda rows: model.margin(rows)[:, 0],
                                       num_features=count, num_samples=samples).local_exp[1]
        exact = {term["feature"]: term["coefficient"] for term in limit}
        errors = {term["feature"]: term["standard_error"] for term in ours}
        pairs = [(model.names[j], value) for j, value in peer]
        pairs += [(term["feature"], term["coefficient"]) for term in ours]
        for name, value in pairs:
            score = abs(value - exact[name]) / (errors[name] + 1e-9)
            worst = max(worst, score)
            if not score <= 5:
                return "lime: %s is %g, the limit %g, error %g" % (
                    name, value, exact[name], errors[name]), ""
    return "", "lime within %.1f errors" % worst


def few_features(table, count):
    return table[0][:, :count], table[1], table[2][:count], set()


def plan():
    # shap leaves out the weights of dart's trees and the classes of a LightGBM booster.
    kept = {"xgb_homes", "xgb_poisson", "lgb_gems", "xgb_cover"}
    for name, kind, _, params, table, rounds in peers.plan():
        if name in kept:
            plain = np.nan_to_num(table[0])
            yield name, kind, params, (plain, table[1], table[2], set()), rounds, (trees, sampled)
            if name == "xgb_homes":
                yield "xgb_pairs", kind, params, (plain, *table[1:3], set()), 40, (interactions, approximate)
        if name == "xgb_linear":
            yield name, kind, params, (np.nan_to_num(table[0]), *table[1:]), rounds, (linear,)
        if name == "xgb_dart_higgs":
            few = few_features(table, 8)
            params = {"objective": "binary:logistic", "tree_method": "hist", "max_depth": 5}
            yield "xgb_gaps", kind, params, few, 30, (trees, probability, interactions,
                                                         approximate)
            few = (np.nan_to_num(few[0]), *few[1:])  # the package lime takes no missing values
            yield "xgb_few", kind, params, few, 30, (trees, probability, surrogates, interactions)


def check(model, parts, rows, directory):
    rng = np.random.default_rng(5)
    pick = rng.choice(len(model.base), rows + BACKGROUND, replace=False)
    table = off_thresholds(model, np.asarray(model.base, float)[pick])
    if model.dtype is np.float32:
        table = table.astype(np.float32).astype(float)
    x, others = table[:rows], table[rows:]
    files = [os.path.join(directory, name) for name in ("rows.csv", "others.csv", "few.csv")]
    for file, values in zip(files, (x, others, x[:3])):
        peers.write_table(file, model.names, values)
    problems, figures = [], []
    for part in parts:
        problem, figure = (part(model, files) if part is sampled
                           else part(model, x, others, files))
        problems.append(problem)
        figures.append(figure)
    return "; ".join(p for p in problems if p), ", ".join(f for f in figures if f)


def main():
    warnings.filterwarnings("ignore")
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    failed = False
    with tempfile.TemporaryDirectory() as directory:
        for name, kind, params, table, rounds, parts in plan():
            model = kind(name, directory, params, table, rounds)
            try:
                problem, figures = check(model, parts, rows, directory)
            except (program.Refused, ValueError, OSError) as why:
                problem, figures = str(why), ""
            failed |= bool(problem)
            print("%s explainers %s: %s %s" % ("FAIL" if problem else "ok", name, figures, problem),
                  flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
