#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# MLflow's own tests against the server: mlflow_suite.sh COPY [FILE...]
# COPY is a checkout of MLflow's repository (its folder tests/ is all that is read, and no part of
# this project); FILEs are below it, without any those of the REST tests. Each test has a fresh
# `ingot server` on a directory of its own (mlflow_suite_plugin.py). PYTHON names a Python with
# mlflow, pytest, pytest-timeout, pytest-asyncio, psutil, and moto; INGOT the program; WORKERS the
# processes that run tests, where pytest-xdist is installed as well. Prints counts per file, the
# failed cases on request (FAILED=1). docs/mlflow-compatibility.md explains them.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if [ $# -lt 1 ] || [ ! -d "$1/tests/tracking" ]; then
    echo "usage: [PYTHON=...] [INGOT=...] [FAILED=1] mlflow_suite.sh COPY [FILE...]" >&2
    exit 2
fi
copy=$(cd "$1" && pwd)
shift
INGOT=${INGOT:-$here/../../build/release/ingot}
INGOT=$(cd "$(dirname "$INGOT")" && pwd)/$(basename "$INGOT")
export INGOT
[ $# -gt 0 ] || set -- tests/tracking/test_rest_tracking.py tests/tracking/test_model_registry.py \
    tests/tracking/test_mlflow_artifacts.py tests/tracking/test_client_webhooks.py

# The copy's own mlflow/ must not stand before the installed one, so the tests run from a folder of
# links.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ln -s "$copy/tests" "$work/tests"
cp "$copy/pyproject.toml" "$work/"
cd "$work"
# The tests ask for a trace as soon as its span is over, so the client has to send it at once.
MLFLOW_DISABLE_TELEMETRY=true MLFLOW_HTTP_REQUEST_MAX_RETRIES=1 PYTHONPATH="$here" \
    MLFLOW_ENABLE_ASYNC_TRACE_LOGGING=false PYTHONDONTWRITEBYTECODE=1 "${PYTHON:-python3}" -m pytest -p mlflow_suite_plugin \
    -p no:cacheprovider ${WORKERS:+-n "$WORKERS"} -q --timeout 60 --tb=short --no-showlocals --color=no \
    --junitxml="$work/result.xml" "$@" > "$work/log" 2>&1 || true
if [ ! -f "$work/result.xml" ]; then
    tail -40 "$work/log" >&2
    exit 1
fi
"${PYTHON:-python3}" - "$work/result.xml" "${FAILED:-}" << 'END'
import collections
import sys
import xml.etree.ElementTree as tree

counts = collections.defaultdict(collections.Counter)
failed = []
for case in tree.parse(sys.argv[1]).iter("testcase"):
    tags = {child.tag for child in case}
    verdict = "failed" if tags & {"failure", "error"} else "skipped" if "skipped" in tags else "passed"
    counts[case.get("classname")][verdict] += 1
    if verdict == "failed":
        failed.append("%s %s" % (case.get("classname").rsplit(".", 1)[-1], case.get("name")))
for name, count in sorted(counts.items()):
    print("%-45s %4d passed %4d failed %4d skipped" % (name, count["passed"], count["failed"], count["skipped"]))
if sys.argv[2]:
    print("\n".join(failed))
END
