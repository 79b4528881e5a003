# SPDX-License-Identifier: Apache-2.0
"""Runs the program's command line and reads its tables. Standard library only."""

import os
import re
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


def serve(data, log, more=()):
    """A server on a free port over the directory `data`: its process, and "127.0.0.1:PORT"."""
    with open(log, "w", encoding="utf-8") as lines:
        server = subprocess.Popen([INGOT, "server", "--data", data, "--listen", "127.0.0.1:0", *more],
                                  stdout=subprocess.PIPE, stderr=lines, text=True)
    line = server.stdout.readline()
    found = re.search(r"(https?://)?(127\.0\.0\.1:\d+)", line)
    if not found:
        raise Refused("the server said: %r" % line)
    return server, found.group(2)


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
