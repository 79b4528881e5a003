#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The unmodified tritonclient against a running server: health, metadata, configuration, inference
by JSON and by binary tensors, compressed, with explanations as outputs, repository and errors."""

import asyncio
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
import tritonclient.http as client
import tritonclient.http.aio as aio
from tritonclient.utils import InferenceServerException

import program

MODEL = os.path.join(program.ROOT, "tests", "golden", "xgboost", "binary_missing", "model.json")
ROWS = np.array([[4, 1, 2, 3, 4, 5], [np.nan, 2, 0.5, 1, -3, 9], [0, 0, 0, 0, 0, 0]])


def start(data):
    server = subprocess.Popen([program.INGOT, "server", "--data", data, "--listen", "127.0.0.1:0"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    line = server.stdout.readline()
    found = re.search(r"(http://)?(127\.0\.0\.1:\d+)", line)
    if not found:
        raise program.Refused("the server said: %r" % line)
    return server, found.group(2)


def inputs(rows, datatype, binary):
    tensor = client.InferInput("input", list(rows.shape), datatype)
    tensor.set_data_from_numpy(rows, binary_data=binary)
    return [tensor]


def outputs(names, binary):
    return [client.InferRequestedOutput(name, binary_data=binary) for name in names]


def check_infer(triton, want):
    for dtype, name in ((np.float64, "FP64"), (np.float32, "FP32")):
        for binary in (False, True):
            if not binary and np.isnan(ROWS).any():
                rows, expected = ROWS[[0, 2]].astype(dtype), want[[0, 2]]
            else:
                rows, expected = ROWS.astype(dtype), want
            for packed in (None, "gzip", "deflate"):
                got = triton.infer("m", inputs(rows, name, binary), request_id="7",
                                   request_compression_algorithm=packed,
                                   response_compression_algorithm=packed)
                if got.get_response()["id"] != "7":
                    return "the id is lost"
                gap = np.abs(got.as_numpy("predictions") - expected).max()
                if not gap < 1e-6:
                    return "%s binary %s %s: predictions differ by %g" % (name, binary, packed, gap)
    return ""


def check_explained(triton):
    names = ["shap_values", "base_value", "margins"]
    for binary in (False, True):
        got = triton.infer("m", inputs(ROWS, "FP64", True), outputs=outputs(names, binary))
        values, base, margins = (got.as_numpy(name) for name in names)
        if values.shape != ROWS.shape:
            return "shap_values have the shape %s" % (values.shape,)
        gap = np.abs(values.sum(axis=1) + base - margins).max()
        if not gap < 1e-5:
            return "contributions miss the margin by %g" % gap
    return ""


def check_model(triton):
    metadata = triton.get_model_metadata("m", "1")
    config = triton.get_model_config("m")
    names = {tensor["name"] for tensor in metadata["inputs"]}
    if not all(tensor["name"] in names for tensor in config["input"]):
        return "the configuration names other inputs"
    if metadata["inputs"][0]["shape"] != [-1, ROWS.shape[1]]:
        return "shape %s" % metadata["inputs"][0]["shape"]
    ready = triton.is_server_live() and triton.is_server_ready() and triton.is_model_ready("m")
    if not ready or triton.is_model_ready("none"):
        return "readiness is wrong"
    return "" if "binary_tensor_data" in triton.get_server_metadata()["extensions"] else "extensions"


def check_repository(triton):
    index = triton.get_model_repository_index()
    if [(m["name"], m["state"]) for m in index] != [("m", "READY")]:
        return "index %s" % index
    triton.unload_model("m")
    if triton.is_model_ready("m"):
        return "unloaded and ready"
    triton.load_model("m")
    return "" if triton.is_model_ready("m") else "loaded and not ready"


def check_errors(triton):
    cases = [("none", ROWS, "FP64", "there is no such deployment"),
             ("m", ROWS[:, :3], "FP64", "expected the shape [rows, 6]")]
    for model, rows, datatype, message in cases:
        try:
            triton.infer(model, inputs(rows, datatype, True))
        except InferenceServerException as why:
            if message not in str(why):
                return "%s: %s" % (model, why)
        else:
            return "%s: no error" % message
    return ""


def check_aio(url, want):
    async def run():
        async with aio.InferenceServerClient(url) as triton:
            got = await triton.infer("m", inputs(ROWS, "FP64", True))
            return got.as_numpy("predictions")

    gap = np.abs(asyncio.run(run()) - want).max()
    return "" if gap < 1e-6 else "predictions differ by %g" % gap


def main():
    failed = False
    with tempfile.TemporaryDirectory() as directory:
        table = os.path.join(directory, "rows.csv")
        names = ["first feature"] + ["f%d" % i for i in range(1, 6)]
        with open(table, "w", encoding="utf-8") as out:
            out.write(",".join(names) + "\n")
            for row in ROWS:
                out.write(",".join("" if np.isnan(v) else repr(float(v)) for v in row) + "\n")
        want = np.array(program.predict(MODEL, table, raw=False), float)[:, -1]
        server, url = start(os.path.join(directory, "data"))
        try:
            os.environ["INGOT_SERVER"] = "http://" + url
            program.run("model", "register", "m", MODEL)
            program.run("deploy", "m", "--model", "models:/m/1")
            triton = client.InferenceServerClient(url)
            for name, check in (("infer", lambda: check_infer(triton, want)),
                                ("explanations as outputs", lambda: check_explained(triton)),
                                ("metadata and configuration", lambda: check_model(triton)),
                                ("repository", lambda: check_repository(triton)),
                                ("errors", lambda: check_errors(triton)),
                                ("aio", lambda: check_aio(url, want))):
                try:
                    problem = check()
                except (InferenceServerException, program.Refused, KeyError) as why:
                    problem = repr(why)
                failed |= bool(problem)
                print("%s tritonclient http: %s %s" % ("FAIL" if problem else "ok", name, problem),
                      flush=True)
            triton.close()
        finally:
            server.terminate()
            server.wait(20)
    return failed


if __name__ == "__main__":
    sys.exit(main())
