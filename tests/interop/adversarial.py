#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A million adversarial rows: the program's margins against the libraries', bit for bit.

Usage: adversarial.py [THOUSANDS of rows, by default 1000]."""

import os
import sys
import tempfile
import time

import numpy as np

import peers
import program


def same_bits(a, b):
    return (a.view(np.int64) == b.view(np.int64)) | (np.isnan(a) & np.isnan(b))


def check(model, rows, seed, directory):
    x = peers.adversarial(model, rows, seed)
    table = os.path.join(directory, "rows.csv")
    peers.write_table(table, model.names, x)
    want = np.ascontiguousarray(model.margin(x), float)
    start = time.monotonic()
    got = np.array(program.predict(model.file, table), float)
    took = time.monotonic() - start
    if got.shape != want.shape:
        return "shape %s, wanted %s" % (got.shape, want.shape), took
    equal = same_bits(got, want).all(axis=1)
    if equal.all():
        return "", took
    row = int(np.argmin(equal))
    return "%d of %d rows differ; row %d: %s, wanted %s" % (
        (~equal).sum(), rows, row, got[row].tolist(), want[row].tolist()), took


def main():
    share = float(sys.argv[1]) / 1000 if len(sys.argv) > 1 else 1
    failed, total = False, 0
    with tempfile.TemporaryDirectory() as directory:
        for seed, (name, kind, thousands, params, table, rounds) in enumerate(peers.plan()):
            model = kind(name, directory, params, table, rounds)
            rows = max(int(thousands * 1000 * share), 1)
            try:
                problem, took = check(model, rows, seed, directory)
            except (program.Refused, ValueError, OSError) as why:
                problem, took = str(why), 0
            total += rows
            failed |= bool(problem)
            print("%s adversarial %s: %d rows in %.1f s %s" % (
                "FAIL" if problem else "ok", name, rows, took, problem), flush=True)
    print("%d rows in all" % total)
    return failed


if __name__ == "__main__":
    sys.exit(main())
