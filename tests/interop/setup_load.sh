#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Puts Triton's perf_analyzer into build/perf_analyzer, with the two libraries that it links: from
# tritonclient's wheel of 2.45.0 (later ones have none, and the package perf-analyzer wants a newer C library
# than Debian 12 has), the wheel of CUDA's runtime, and Debian's libb64. Does nothing when they are there.
# Needs a network, and apt-get for the last.
set -eu
cd "$(dirname "$0")/../.."

home=build/perf_analyzer
[ -x "$home/perf_analyzer" ] && exit 0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
build/venv/bin/pip download --quiet --disable-pip-version-check --no-deps --dest "$scratch" \
    tritonclient==2.45.0 nvidia-cuda-runtime-cu12==12.9.79
(cd "$scratch" && apt-get download libb64-0d > /dev/null && dpkg -x libb64-0d_*.deb .)
for wheel in "$scratch"/*.whl; do python3 -m zipfile -e "$wheel" "$scratch"; done
mkdir -p "$home"
cp "$scratch"/usr/lib/*/libb64.so.0d "$scratch"/nvidia/cuda_runtime/lib/libcudart.so.12 "$home"
cp "$scratch"/tritonclient-2.45.0.data/data/bin/perf_analyzer "$home/part"
chmod +x "$home/part"
mv "$home/part" "$home/perf_analyzer"
