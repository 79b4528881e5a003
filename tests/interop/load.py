#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Triton's perf_analyzer, unmodified, against a running server: over HTTP and gRPC, with and without
shared memory, in streams, with several rows a call. What it measures is the machine's business; that it
measures at all, without an error and with the server's own statistics, is the check.

The program comes in tritonclient's wheel of 2.45.0 (setup_load.sh puts it into build/perf_analyzer); it
links CUDA's runtime and libb64. PERF_ANALYZER names another one. Where it cannot run, that is said."""

import os
import re
import subprocess
import sys
import tempfile

import program

HOME = os.path.join(program.ROOT, "build", "perf_analyzer")
TOOL = os.environ.get("PERF_ANALYZER", os.path.join(HOME, "perf_analyzer"))
MODEL = os.path.join(program.ROOT, "tests", "golden", "xgboost", "binary_missing", "model.json")
SETTINGS = dict(os.environ, LD_LIBRARY_PATH=HOME)
RUNS = [("http", "none", []), ("http", "system", []), ("grpc", "none", []), ("grpc", "system", []),
        ("grpc", "none", ["--streaming", "--async"]), ("http", "none", ["--async"]),
        ("http", "none", ["--request-rate-range", "200"]),
        ("grpc", "none", ["--trace-level", "TIMESTAMPS", "--trace-rate", "10", "--trace-count", "3"])]


def analyze(url, protocol, memory, more):
    """What is wrong with one run; "" when nothing is."""
    arguments = [TOOL, "-m", "m", "-u", url, "-i", protocol, "--shared-memory", memory, "-b", "3",
                 "--measurement-mode", "count_windows", "--measurement-request-count", "50",
                 "-s", "999", "--max-trials", "10", *more]
    if not any(each.startswith("--request-rate") for each in more):
        arguments += ["--concurrency-range", "2"]
    done = subprocess.run(arguments, env=SETTINGS, capture_output=True, text=True, timeout=100)
    told = done.stdout + done.stderr
    client = re.search(r"Client:.*?Request count: (\d+)", told, re.S)
    server = re.search(r"Server:.*?Inference count: (\d+).*?Successful request count: (\d+)"
                       r".*?compute infer (\d+) usec", told, re.S)
    if done.returncode != 0 or not client or not server:
        return "status %d: %s" % (done.returncode, told.strip()[-600:])
    rows, requests = int(server.group(1)), int(server.group(2))
    if int(client.group(1)) < 50 or not requests or rows != 3 * requests:
        return "%s requests seen, %d requests and %d rows counted" % (client.group(1), requests,
                                                                     rows)
    return ""


def why_not():
    if not os.path.exists(TOOL):
        return "there is no %s" % TOOL
    done = subprocess.run([TOOL, "--version"], env=SETTINGS, capture_output=True, text=True,
                          timeout=20)
    return "" if "Perf Analyzer Version" in done.stdout + done.stderr else done.stderr.strip()


def main():
    reason = why_not()
    if reason:
        print("skipped: perf_analyzer cannot run here: %s" % reason)
        return False
    failed = False
    with tempfile.TemporaryDirectory() as directory:
        server, url = program.serve(os.path.join(directory, "data"),
                                    os.path.join(directory, "log"))
        try:
            os.environ["INGOT_SERVER"] = "http://" + url
            program.run("model", "register", "m", MODEL)
            program.run("deploy", "m", "--model", "models:/m/1")
            for protocol, memory, more in RUNS:
                problem = analyze(url, protocol, memory, more)
                failed |= bool(problem)
                print("%s perf_analyzer %s, shared memory %s %s %s" % (
                    "FAIL" if problem else "ok", protocol, memory, " ".join(more), problem),
                      flush=True)
        finally:
            server.terminate()
            server.wait(20)
    return failed


if __name__ == "__main__":
    sys.exit(main())
