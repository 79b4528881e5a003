#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the interop suite against the built program (release): the golden cases through the command
# line, a million adversarial rows, contributions, explanations against a background, graphs on ONNX
# Runtime and fairness, each next to the real libraries; the server through the clients that people
# have.
# Last line: "N passed, N failed". Without a network for the first set-up it skips and says so.
# INGOT names another program, INTEROP_PYTHON another Python that has the packages.
set -eu
cd "$(dirname "$0")/../.."

INGOT=${INGOT:-build/release/ingot}
export INGOT
if [ ! -x "$INGOT" ]; then
    echo "interop: no program at $INGOT; build the release preset first"
    exit 1
fi
python=${INTEROP_PYTHON:-build/venv/bin/python}
if [ -z "${INTEROP_PYTHON:-}" ] && ! timeout 240 sh tests/interop/setup.sh; then
    echo "interop: skipped, the Python environment could not be made (is there a network?)"
    exit 0
fi

timeout 120 sh tests/interop/setup_load.sh || echo "interop: perf_analyzer could not be had"

parts="onnx_networks golden adversarial contribs explainers indices sklearn_models foreign_graphs tflite exports \
    coreml edge_trees edge_train fairness triton load grpc_client mlflow_client mlflow_users mlflow_models s3_store"
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
# Side by side; told in their order.
printf '%s\n' $parts | xargs -P "$(nproc)" -I{} sh -c \
    "began=\$(date +%s); timeout 400 '$python' tests/interop/{}.py >'$logs/{}' 2>&1
     echo \$? \$((\$(date +%s) - began)) >'$logs/{}.end'"
passed=0 failed=0
for part in $parts; do
    read -r status seconds <"$logs/$part.end"
    echo "== $part, $seconds s"
    cat "$logs/$part"
    # A part that dies before its own verdict counts as one failure.
    if [ "$status" -ne 0 ] && ! grep -q '^FAIL ' "$logs/$part"; then
        echo "FAIL $part ended with status $status"
        failed=$((failed + 1))
    fi
    passed=$((passed + $(grep -c '^ok ' "$logs/$part" || true)))
    failed=$((failed + $(grep -c '^FAIL ' "$logs/$part" || true)))
done
echo "== bench, smoke size"
for peers in explain_peers onnx_peers; do
    if ! timeout 120 "$python" "tests/bench/$peers.py" build/release/libingot.so --smoke; then
        echo "FAIL the bench $peers"
        failed=$((failed + 1))
    fi
done
echo "== the demonstration on devices"
if ! timeout 300 tools/edge-demo; then
    echo "FAIL tools/edge-demo"
    failed=$((failed + 1))
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
