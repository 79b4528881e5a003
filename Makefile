# The verbs of the project. Everything else is in CMakePresets.json and tools/.
#   make          build build/release/ingot
#   make run      set up, build, start the server, run the main job on real data   [ONCE=1] [DATA=f.csv TARGET=column [DROP=column,column]]
#   make test     build with sanitizers and pass every test
#   make check    format, layers, sizes, static analysis, a second compiler
#   make edge-demo  boosted trees to a Cortex-M4: distilled, pruned, int8, run by LiteRT and on the emulated device
#   make bench    our figures beside the peers'
#   make fuzz     every fuzz target for FUZZ_SECONDS
#   make test-long, make fresh, make coverage, make setup, make clean
SHELL := /bin/bash
.DEFAULT_GOAL := build
JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 60
ONCE ?=
DATA ?=
TARGET ?=
DROP ?=
PORT ?= 8080

.PHONY: build run edge-demo test check bench fuzz test-long fresh coverage setup clean
.PHONY: setup-product setup-test

setup-product:
	@tools/setup product

setup-test setup:
	@tools/setup product test

build/%/build.ninja:
	@cmake --preset $* >/dev/null

build: setup-product build/release/build.ninja
	@cmake --build build/release -j $(JOBS) --target ingot

run: build
	@ONCE='$(ONCE)' DATA='$(DATA)' TARGET='$(TARGET)' DROP='$(DROP)' PORT='$(PORT)' tools/run

edge-demo: setup-test build/release/build.ninja
	@cmake --build build/release -j $(JOBS) --target ingot
	@tools/edge-demo $(DATA) $(TARGET)

test: setup-test build/dev/build.ninja
	@cmake --build build/dev -j $(JOBS)
	@ctest --test-dir build/dev -j $(JOBS) --output-on-failure --no-tests=error

check: setup-test build/dev/build.ninja
	@tools/check

bench: setup-test build/release/build.ninja
	@cmake --build build/release -j $(JOBS)
	@tools/bench

fuzz: setup-test
	@tools/fuzz $(FUZZ_SECONDS)

test-long: setup-test build/release/build.ninja
	@tools/test-long

coverage: setup-test build/coverage/build.ninja
	@tools/coverage

fresh:
	@tools/fresh

clean:
	@rm -rf build
