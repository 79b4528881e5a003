#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Small networks that `ingot edge train` makes, from trees and by themselves, next to LiteRT: the package's golden rows,
encoded here as docs/package.md says, give LiteRT's own answers; int8 ones to the bit."""

import csv
import io
import json
import math
import os
import tempfile
import urllib.request
import zipfile

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits

import program


def check(name, good, detail=""):
    print("%s edge_train: %s%s" % ("ok" if good else "FAIL", name, "" if good else ": %s" % (detail,)))


def write_table(path, data, names):
    labels = [names[int(y)] if names is not None else y for y in data.target]
    with open(path, "w", encoding="utf-8", newline="") as out:
        table = csv.writer(out)
        table.writerow(["c%d" % i for i in range(data.data.shape[1])] + ["y"])
        for row, label in zip(data.data, labels):
            table.writerow([*row, label])


def rank(knots, value):
    last, k = len(knots) - 1, 0
    if value <= knots[0]:
        return -1
    if value >= knots[last]:
        return 1
    while value >= knots[k + 1]:
        k += 1
    part = (value - knots[k]) / (knots[k + 1] - knots[k])
    return np.float32(2) * (np.float32(k) + part) / np.float32(last) - np.float32(1)


def encode(encoder, cells):
    """In float32, operation by operation, as docs/package.md says."""
    inputs, features = [], encoder["features"]
    for feature, cell in zip(features, cells):
        value, categories = np.float32(cell or math.nan), feature.get("categories", 0)
        missing = math.isnan(value) or (categories and value < 0)
        columns = [0.0] * (categories or (2 if "knots" in feature else 1))
        if not missing and categories:
            if value < categories:
                columns[int(value)] = 1.0
        elif not missing:
            columns[0] = min(max((value - np.float32(feature["mean"])) / np.float32(feature["deviation"]), -5), 5)
            if "knots" in feature:
                columns[1] = rank(np.array(feature["knots"], np.float32), value)
        inputs += columns + ([float(missing)] if feature.get("missing") else [])
    return np.array(inputs, np.float32) * np.array(encoder.get("gains", 1), np.float32)


def run(interpreter, inputs):
    given, told = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    rows = inputs.reshape(given["shape"])
    if given["dtype"] == np.int8:
        scale, zero = given["quantization"]
        steps = rows / np.float32(scale)
        rows = np.clip(np.sign(steps) * np.floor(np.abs(steps) + np.float32(0.5)) + zero, -128, 127).astype(np.int8)
    interpreter.set_tensor(given["index"], rows)
    interpreter.invoke()
    values = interpreter.get_tensor(told["index"]).ravel()
    if told["dtype"] == np.int8:
        scale, zero = told["quantization"]
        return np.float32(scale) * (values.astype(np.int32) - zero).astype(np.float32)
    return values


def fetch(address, name, version):
    def get(path):
        with urllib.request.urlopen("http://%s%s" % (address, path)) as reply:
            return reply.read()
    digest = json.loads(get("/api/v1/models/%s/versions/%d" % (name, version)))["digest"]
    return zipfile.ZipFile(io.BytesIO(get("/api/v1/blobs/%s" % digest)))


def compare(address, name, version, tolerance):
    package = fetch(address, name, version)
    encoder = json.loads(package.read("encoder.json"))
    width = len(encoder["features"])
    interpreter = Interpreter(model_content=package.read("model.tflite"))
    interpreter.allocate_tensors()
    golden = list(csv.reader(io.StringIO(package.read("golden.csv").decode())))[1:]
    worst = 0.0
    for row in golden:
        values = run(interpreter, encode(encoder, row[:width]))
        expected = np.array([float(cell) for cell in row[width:]])
        worst = max(worst, np.abs(values - expected).max() / max(1.0, np.abs(expected).max()))
    check("%s of %d bytes as LiteRT" % (name, len(package.read("model.tflite"))),
          len(golden) == 16 and worst <= tolerance, worst)


def train(address, table, name, *more):
    program.run("edge", "train", "--server", "http://%s" % address, "--data", table, "--target", "y", "--name", name,
                *more)


def some_networks(address, folder):
    cancer, digits, diabetes = (os.path.join(folder, "%s.csv" % name) for name in ("cancer", "digits", "diabetes"))
    data = load_breast_cancer()
    write_table(cancer, data, data.target_names)
    write_table(digits, load_digits(), [str(i) for i in range(10)])
    write_table(diabetes, load_diabetes(), None)
    program.run("train", "--server", "http://%s" % address, "--data", cancer, "--target", "y", "--name", "trees",
                "--param", "rounds=30")
    train(address, cancer, "pruned", "--teacher", "models:/trees/1", "--param", "epochs=10", "--param",
          "pruning=polynomial")
    compare(address, "pruned", 1, 0)
    train(address, digits, "images", "--param", "epochs=5", "--param", "input_shape=8x8x1", "--param",
          "layers=conv:8x3,depthwise:3,max_pool:2,16")
    compare(address, "images", 1, 0)
    train(address, diabetes, "numbers", "--param", "epochs=10", "--param", "pruned_neurons=0.5")
    compare(address, "numbers", 1, 0)
    train(address, cancer, "halves", "--param", "epochs=3", "--param", "quantization=float16")
    compare(address, "halves", 1, 1e-5)
    train(address, cancer, "weights", "--param", "epochs=3", "--param", "quantization=weights")
    compare(address, "weights", 1, 0.01)  # LiteRT rounds the inputs of such layers as well


def main():
    with tempfile.TemporaryDirectory() as folder:
        server, address = program.serve(os.path.join(folder, "data"), os.path.join(folder, "log"))
        try:
            some_networks(address, folder)
        finally:
            server.terminate()
            server.wait()


main()
