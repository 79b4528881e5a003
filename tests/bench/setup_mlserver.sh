#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes build/venv-mlserver, where tools/bench-http finds MLServer: its pins do not go with those of
# build/venv. Does nothing when it is there. Needs python3 (3.9 to 3.12) with venv, and a network.
set -eu
cd "$(dirname "$0")/../.."

venv=build/venv-mlserver
pins="$venv/pins.txt"
apart="mlserver-xgboost==1.7.1 xgboost==3.2.0"
wanted=$(cat tests/bench/requirements_mlserver.txt; echo "$apart")

if [ -f "$pins" ] && [ "$(cat "$pins")" = "$wanted" ]; then
    exit 0
fi
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r tests/bench/requirements_mlserver.txt
# shellcheck disable=SC2086 # two packages
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps $apart
printf '%s\n' "$wanted" > "$pins"
