#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Explanations beside shap's C extension, XGBoost's own interactions and lime, in one run: the same
model, rows and background; process CPU time, interleaved, medians. Prints a Markdown table.

Usage: explain_peers.py LIBINGOT [--smoke]"""

import ctypes
import os
import statistics
import sys
import tempfile
import time
import warnings

import numpy as np
import shap
import xgboost
from lime import lime_tabular

FEATURES, ROWS = 20, 20


class Options(ctypes.Structure):
    _fields_ = [("size", ctypes.c_uint32), ("probability", ctypes.c_uint32),
                ("method", ctypes.c_char_p), ("background", ctypes.c_void_p),
                ("background_rows", ctypes.c_uint64), ("group_of_feature", ctypes.c_void_p),
                ("groups_count", ctypes.c_uint64), ("memory_max_bytes", ctypes.c_uint64),
                ("budget_us", ctypes.c_uint64), ("interactions", ctypes.c_uint32),
                ("reserved", ctypes.c_uint32)]


class Explanation(ctypes.Structure):
    _fields_ = [("size", ctypes.c_uint32), ("reserved", ctypes.c_uint32),
                ("values", ctypes.c_void_p), ("standard_errors", ctypes.c_void_p),
                ("additivity_errors", ctypes.c_void_p), ("fits", ctypes.c_void_p),
                ("distances", ctypes.c_void_p)]


class Ingot:
    """A method of the embeddable library, prepared once; a call explains one row."""

    def __init__(self, library, model, method, background):
        self.library = library
        self.background = background
        options = Options(ctypes.sizeof(Options), 0, method.encode())
        if background is not None:
            options.background = background.ctypes.data
            options.background_rows = len(background)
        self.explainer = ctypes.c_void_p()
        if library.ingot_explainer_new(ctypes.byref(self.explainer), model, ctypes.byref(options),
                                       None):
            raise SystemExit("no explainer " + method)
        self.values = np.zeros(library.ingot_explainer_row_size(self.explainer))
        self.out = Explanation(ctypes.sizeof(Explanation), 0, self.values.ctypes.data)

    def __call__(self, row):
        self.library.ingot_explainer_run(self.explainer, ctypes.c_void_p(row.ctypes.data),
                                         ctypes.c_size_t(1), None, ctypes.byref(self.out), None)
        return self.values


def cpu_us(call, rows, least_s):
    """Microseconds of CPU a row, over at least this time."""
    start, done = time.process_time(), 0
    while done == 0 or time.process_time() - start < least_s:
        call(rows[done % len(rows)])
        done += 1
    return (time.process_time() - start) / done * 1e6


def compare(name, ours, theirs, rows, agree, smoke):
    runs = 1 if smoke else 5
    least = 0 if smoke else 0.15
    pairs = [(cpu_us(ours, rows, least), cpu_us(theirs, rows, least)) for _ in range(runs)]
    us, them = (statistics.median(p[i] for p in pairs) for i in (0, 1))
    print("| %s | %.1f | %.1f | **%.0f** | %s |" % (name, us, them, them / us, agree(rows[0])),
          flush=True)


def table(library, model, booster, x, background, smoke):
    warnings.simplefilter("ignore")
    path = shap.TreeExplainer(booster)
    against = shap.TreeExplainer(booster, background, feature_perturbation="interventional")
    rows = [np.ascontiguousarray(r, float) for r in x[:ROWS]]
    mine = {name: Ingot(library, model, name, background if needs else None)
            for name, needs in (("tree_path_dependent", False), ("tree_interventional", True),
                                ("tree_interactions", False), ("lime", True),
                                ("lime_exact", True))}

    def within(name, wanted, keep):
        def agree(row):
            got = mine[name](row)
            gap = np.max(np.abs(keep(got) - wanted(row)))
            return "within %.1e" % gap
        return agree

    values = lambda got: got[:-1]
    compare("path-dependent, one row", mine["tree_path_dependent"],
            lambda r: path.shap_values(r[None]), rows,
            within("tree_path_dependent", lambda r: path.shap_values(r[None])[0], values), smoke)
    compare("interventional, %d background rows" % len(background), mine["tree_interventional"],
            lambda r: against.shap_values(r[None]), rows,
            within("tree_interventional", lambda r: against.shap_values(r[None])[0], values), smoke)
    matrix = lambda got: got.reshape(FEATURES + 1, -1)[:-1, :-1]
    own = lambda r: booster.predict(xgboost.DMatrix(r[None]), pred_interactions=True)
    compare("interactions (shap)", mine["tree_interactions"],
            lambda r: path.shap_interaction_values(r[None]), rows,
            within("tree_interactions", lambda r: path.shap_interaction_values(r[None])[0], matrix),
            smoke)
    compare("interactions (xgboost)", mine["tree_interactions"], own, rows,
            within("tree_interactions", lambda r: own(r)[0][:-1, :-1], matrix), smoke)
    lime = lime_tabular.LimeTabularExplainer(background, mode="regression", random_state=1)
    margin = lambda z: booster.predict(xgboost.DMatrix(z), output_margin=True)
    explain = lambda r: lime.explain_instance(r, margin, num_features=10, num_samples=5000)
    compare("LIME, 5000 samples", mine["lime"], explain, rows, lambda r: "sampled", smoke)
    compare("LIME, exact (lime: 5000 samples)", mine["lime_exact"], explain, rows,
            lambda r: "no sampling error", smoke)


def main():
    library = ctypes.CDLL(sys.argv[1])
    library.ingot_explainer_row_size.restype = ctypes.c_size_t
    smoke = "--smoke" in sys.argv
    rng = np.random.default_rng(5)
    x = rng.normal(size=(20000, FEATURES))
    y = x[:, 0] * x[:, 1] + np.sin(3 * x[:, 2]) + 0.3 * x[:, 3:].sum(1) + rng.normal(size=20000)
    x = np.round(x, 3)
    print("\n| 100 trees of depth 6, %d features | Ingot, CPU us | peer, CPU us | ratio of CPU | "
          "results |\n|---|---|---|---|---|" % FEATURES)
    booster = xgboost.train({"max_depth": 6, "nthread": 1, "tree_method": "hist"},
                            xgboost.DMatrix(x, y), 100)
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "model.json")
        booster.save_model(path)
        model = ctypes.c_void_p()
        if library.ingot_model_open_file(ctypes.byref(model), path.encode(), None, None):
            raise SystemExit("the library does not open the model")
        table(library, model, booster, x, np.ascontiguousarray(x[1000:1100]), smoke)
    print("\nshap %s, xgboost %s, lime 0.2.0.1, one thread; calls through Python on both sides."
          % (shap.__version__, xgboost.__version__))


if __name__ == "__main__":
    main()
