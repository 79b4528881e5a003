# SPDX-License-Identifier: Apache-2.0
"""Runs the program's command line and reads its tables. Standard library only."""

import os
import subprocess
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
INGOT = os.environ.get("INGOT", os.path.join(ROOT, "build", "release", "ingot"))


class Refused(Exception):
    pass


def run(*arguments):
    """Standard output of one command; Refused with its message otherwise."""
    done = subprocess.run([INGOT, *arguments], capture_output=True, text=True, timeout=180)
    if done.returncode != 0:
        raise Refused("%s: status %d: %s" % (" ".join(arguments[:3]), done.returncode,
                                             done.stderr.strip()[:300]))
    return done.stdout


def numbers(text, header=False):
    lines = text.split("\n")
    return [[float(field) for field in line.split(",")] for line in lines[header:] if line]


def predict(model, table, raw=True):
    with tempfile.NamedTemporaryFile("r", suffix=".csv") as out:
        run("predict", "--model", model, "--input", table, "--output", out.name,
            *(["--raw"] if raw else []))
        return numbers(out.read())


def explain(model, table, *more):
    """Rows of contributions, bias last in each block; the header is checked for its width."""
    text = run("explain", "--model", model, "--input", table, "--format", "csv", *more)
    rows = numbers(text, header=True)
    width = len(text.split("\n", 1)[0].split(","))
    if rows and len(rows[0]) % width != 0:
        raise Refused("explain: a header of %d fields over rows of %d" % (width, len(rows[0])))
    return rows
