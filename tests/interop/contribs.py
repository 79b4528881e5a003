#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Contributions of `explain` against the libraries' pred_contribs, and their additivity.

Usage: contribs.py [ROWS a model, by default 200]. Limits: 3e-5 x max(1, |value|) against the
library, and a sum within 1e-5 x (1 + |margin|) of the margin in every row."""

import os
import sys
import tempfile

import numpy as np

import peers
import program


def check(model, rows, seed, directory):
    x = peers.adversarial(model, rows, seed)
    x[: rows // 2] = model.base[: rows // 2]
    table = os.path.join(directory, "rows.csv")
    peers.write_table(table, model.names, x)
    want = model.contribs(x)
    margin = model.margin(x)
    got = np.array(program.explain(model.file, table), float)
    if got.shape != want.shape:
        return "shape %s, wanted %s" % (got.shape, want.shape), ""
    gap = np.abs(got - want) / np.maximum(1, np.abs(want))
    sums = got.reshape(rows, margin.shape[1], -1).sum(axis=2)
    rest = np.abs(sums - margin) / (1 + np.abs(margin))
    figures = "worst gap %.2g, additivity %.2g" % (gap.max(), rest.max())
    problem = ""
    if not gap.max() <= 3e-5:
        problem += "%d values beyond 3e-5; " % (~(gap <= 3e-5)).sum()
    if not rest.max() <= 1e-5:
        problem += "%d sums beyond 1e-5; " % (~(rest <= 1e-5)).sum()
    return problem, figures


def main():
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    failed = False
    with tempfile.TemporaryDirectory() as directory:
        for seed, (name, kind, _, params, table, rounds) in enumerate(peers.plan()):
            model = kind(name, directory, params, table, rounds)
            if not model.explains:
                continue
            try:
                problem, figures = check(model, rows, seed, directory)
            except (program.Refused, ValueError, OSError) as why:
                problem, figures = str(why), ""
            failed |= bool(problem)
            print("%s contribs %s: %d rows, %s %s" % (
                "FAIL" if problem else "ok", name, rows, figures, problem), flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
