#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Freezes what shap and LeverageSHAP answer for games that kernels/explain and kernels/linear play.

Usage: make_any_shap.py LEVERAGESHAP, a checkout of github.com/rtealwitter/leverageshap. Needs shap,
scikit-learn, numpy and scipy; writes beneath any_shap/ and linear_shap/, see README.md."""

import importlib
import os
import subprocess
import sys
import types
from math import comb

import numpy as np
import shap
import sklearn
from shap.utils._legacy import DenseData
from sklearn.datasets import make_classification, make_friedman1
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPRegressor

ROOT = os.path.dirname(os.path.abspath(__file__))
LEVERAGE_SEEDS, SHAP_SEEDS = 400, 100
M = 12


def write(area, folder, **files):
    folder = os.path.join(ROOT, area, folder)
    os.makedirs(folder, exist_ok=True)
    for name, value in files.items():
        if isinstance(value, str):
            path, text = name + ".yaml", value
        else:
            path = name + ".csv"
            text = "".join(",".join("%.17g" % x for x in np.atleast_1d(row)) + "\n" for row in value)
        with open(os.path.join(folder, path), "w", encoding="utf-8") as file:
            file.write(text)


# ---- LeverageSHAP, without the plots and data sets that its package imports

SEED = [0]


def load_leverage(root):
    for name, path in (("leverageshap", "leverageshap"),
                       ("leverageshap.estimators", "leverageshap/estimators")):
        package = types.ModuleType(name)
        package.__path__ = [os.path.join(root, path)]
        sys.modules[name] = package
    utils = types.ModuleType("leverageshap.utils")
    utils.Game = None
    sys.modules["leverageshap.utils"] = utils
    module = importlib.import_module("leverageshap.estimators.leverage_shap")
    sampler = module.CoalitionSampler

    class Seeded(sampler):  # its own seed is a constant
        def __init__(self, *args, random_state=None, **named):
            super().__init__(*args, random_state=SEED[0], **named)

    module.CoalitionSampler = Seeded
    commit = subprocess.run(["git", "-C", root, "rev-parse", "HEAD"], capture_output=True,
                            text=True).stdout.strip() or "unknown"
    return module.LeverageSHAP, os.environ.get("LEVERAGESHAP_COMMIT", commit)


class Table:
    """A game by the table of its values, coalition by bit mask."""

    def __init__(self, values):
        self.values = values

    def value(self, rows):
        return self.values[(np.asarray(rows, dtype=np.int64) << np.arange(M)).sum(axis=1)]

    def edge_cases(self):
        return self.values[0], self.values[-1]

    def exact(self):
        masks = np.arange(1 << M)
        sizes = np.array([bin(m).count("1") for m in masks])
        out = []
        for i in range(M):
            without = masks[(masks >> i) & 1 == 0]
            weights = np.array([1 / (M * comb(M - 1, s)) for s in sizes[without]])
            out.append(weights @ (self.values[without | 1 << i] - self.values[without]))
        return np.array(out)


def table_of(predict, row, background):
    bits = (np.arange(1 << M)[:, None] >> np.arange(M)) & 1 == 1
    values = sum(predict(np.where(bits, row, other)) for other in background) / len(background)
    return Table(np.round(values, 6))


def rms(errors):
    return float(np.sqrt(np.mean(np.square(errors))))


def peers(game, leverage):
    """Root mean square errors at equal numbers of coalitions besides nobody and all."""
    exact, lines = game.exact(), []
    ask = lambda rows: game.value(np.asarray(rows) > 0.5)
    nobody, everyone = np.zeros((1, M)), np.ones((1, M))
    for evals in (128, 320, 1000, 2 * M + 2048):
        errors = [], [], []
        for seed in range(LEVERAGE_SEEDS):
            SEED[0] = seed
            errors[0].append(leverage(M, game).shap_values(evals + 2) - exact)
        for seed in range(SHAP_SEEDS):
            np.random.seed(seed)
            kernel = shap.KernelExplainer(ask, nobody)
            values = kernel.shap_values(everyone[0], nsamples=evals, l1_reg=False, silent=True)
            errors[1].append(np.ravel(values) - exact)
            permutation = shap.PermutationExplainer(ask, nobody, seed=seed)
            most = evals // (2 * M) * 2 * M + 1
            values = permutation(everyone, max_evals=most, silent=True).values
            errors[2].append(np.ravel(values) - exact)
        lines.append([evals] + [rms(e) for e in errors])
    return lines


def make_games(leverage, commit):
    x, y = make_friedman1(2000, n_features=M, noise=0.5, random_state=M)
    xc, yc = make_classification(2000, n_features=M, n_informative=M - 3, n_redundant=2,
                                 random_state=M)
    boosted = GradientBoostingRegressor(n_estimators=100, max_depth=5, random_state=0).fit(x, y)
    net = MLPRegressor(hidden_layer_sizes=(32, 32), max_iter=500, random_state=0).fit(x, y)
    forest = RandomForestClassifier(50, max_depth=8, random_state=0).fit(xc, yc)
    games = {"boosted": table_of(boosted.predict, x[0], x[1000:1010]),
             "net": table_of(net.predict, x[1], x[1000:1010]),
             "forest": table_of(lambda z: forest.predict_proba(z)[:, 1], xc[0], xc[1000:1010])}
    for name, game in games.items():
        expected = shap.ExactExplainer(lambda rows: game.value(np.asarray(rows) > 0.5),
                                       np.zeros((1, M)))(np.ones((1, M))).values
        write("any_shap", name, table=game.values, expected=expected, peers=peers(game, leverage),
              case=f"shap: \"{shap.__version__}\"\nleverageshap: \"{commit}\"\n"
                   f"scikit_learn: \"{sklearn.__version__}\"\nplayers: {M}\n"
                   f"leverage_seeds: {LEVERAGE_SEEDS}\nshap_seeds: {SHAP_SEEDS}\n")


# ---- shap's KernelExplainer over all coalitions


def polynomial(x):
    n = x.shape[1]
    near, far, other = np.roll(x, -1, 1), np.roll(x, -2, 1), np.roll(x, -5, 1)
    total = (x * np.arange(1, n + 1) / n + x * near + 4 * x * near * far * other).sum(axis=1)
    total += np.where(x[:, 3] > 0, x[:, 4], -x[:, 5])
    return np.column_stack([total, np.tanh(total)])


def make_kernel():
    for name, features, groups in (("kernel", 10, None),
                                   ("kernel_groups", 7, [0, 1, 2, 0, 3, 1, 4])):
        rng = np.random.default_rng(features)
        background, row = rng.normal(size=(4, features)), rng.normal(size=features)
        weights = np.array([0.4, 0.3, 0.2, 0.1])
        players = np.arange(features) if groups is None else np.array(groups)
        members = [np.flatnonzero(players == p) for p in range(players.max() + 1)]
        data = DenseData(background, [str(p) for p in range(len(members))], members,
                         weights.copy())
        explainer = shap.KernelExplainer(polynomial, data)
        values = explainer.shap_values(row, nsamples=2 ** len(members), l1_reg=False, silent=True)
        expected = [list(np.asarray(values)[..., v].ravel()) + [explainer.expected_value[v]]
                    for v in range(2)]
        write("any_shap", name, row=[row], background=background, weights=weights,
              players=players, expected=expected,
              case=f"shap: \"{shap.__version__}\"\ntolerance: 1e-9\n")


# ---- shap's LinearExplainer


def make_linear():
    x, y = make_friedman1(300, n_features=6, noise=0.5, random_state=6)
    xc, yc = make_classification(300, n_features=6, n_informative=4, n_classes=3, random_state=7)
    for name, x, model in (("regression", x, LinearRegression().fit(x, y)),
                           ("classes", xc, LogisticRegression().fit(xc, yc))):
        background, rows = x[:50], x[50:55]
        explainer = shap.LinearExplainer(model, shap.maskers.Independent(background,
                                                                         max_samples=50))
        values = np.asarray(explainer.shap_values(rows)).reshape(len(rows), 6, -1)
        base = np.ravel(explainer.expected_value)
        expected = [[*values[i, :, o], base[o]] for i in range(len(rows)) for o in range(len(base))]
        write("linear_shap", name, weights=np.vstack([np.atleast_2d(model.coef_).T,
                                                      np.atleast_1d(model.intercept_)]),
              background=background, rows=rows, expected=expected,
              case=f"shap: \"{shap.__version__}\"\nscikit_learn: \"{sklearn.__version__}\"\n"
                   "tolerance: 1e-12\n")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    make_kernel()
    make_linear()
    make_games(*load_leverage(sys.argv[1]))


main()
