#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes build/venv with the pinned Python packages that the interop suite and the golden
# generators run against. Does nothing when they are there. Needs python3 with venv, and a network.
set -eu
cd "$(dirname "$0")/../.."

venv=build/venv
pins="$venv/pins.txt"
wanted=$(cat tests/interop/requirements.txt; echo xgboost==3.2.0)

if [ -f "$pins" ] && [ "$(cat "$pins")" = "$wanted" ]; then
    exit 0
fi
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r tests/interop/requirements.txt
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps xgboost==3.2.0
printf '%s\n' "$wanted" > "$pins"
