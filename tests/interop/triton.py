#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The unmodified tritonclient against a running server, over HTTP and gRPC: health, metadata,
configuration, inference by JSON and by binary tensors, compressed, in streams, with explanations as
outputs, repository and errors."""

import asyncio
import glob
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time

import queue

import numpy as np
import tritonclient.grpc as grpc_client
import tritonclient.http as client
from tritonclient.grpc import service_pb2
import tritonclient.http.aio as aio
import tritonclient.utils.shared_memory as shared_memory
from tritonclient.utils import InferenceServerException

import certificates
import program

MODEL = os.path.join(program.ROOT, "tests", "golden", "xgboost", "binary_missing", "model.json")
ROWS = np.array([[4, 1, 2, 3, 4, 5], [np.nan, 2, 0.5, 1, -3, 9], [0, 0, 0, 0, 0, 0]])


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


def check_large(triton):
    """Bodies of 20 MB packed and of more than 64 MB unpacked."""
    tensors = inputs(ROWS, "FP64", True)
    noise = os.urandom(15 << 20).hex()
    for packed in ("gzip", "deflate"):
        triton.infer("m", tensors, request_compression_algorithm=packed,
                     parameters={"noise": noise})
    try:
        triton.infer("m", tensors, request_compression_algorithm="gzip",
                     parameters={"noise": "0" * (65 << 20)})
        return "a body of 65 MB was taken"
    except InferenceServerException as refused:
        return "" if "when unpacked" in str(refused) else str(refused)


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


def check_statistics(triton, by_grpc):
    before = triton.get_inference_statistics("m")["model_stats"][0]
    for _ in range(5):
        triton.infer("m", inputs(ROWS, "FP64", True))
    after = triton.get_inference_statistics()["model_stats"][0]
    rows = after["inference_count"] - before["inference_count"]
    if rows != 5 * len(ROWS) or after["inference_stats"]["compute_infer"]["ns"] <= 0:
        return "%d rows, %s" % (rows, after)
    batches = [each for each in after["batch_stats"] if each["batch_size"] == len(ROWS)]
    if len(batches) != 1 or batches[0]["compute_infer"]["count"] < 5:
        return "batches %s" % after["batch_stats"]
    for triton_of_kind in (triton, by_grpc):
        triton_of_kind.get_inference_statistics("m", "1")
        try:
            triton_of_kind.get_inference_statistics("m", "999")
            return "statistics of a version that is not there"
        except InferenceServerException as why:
            if "version 999 is not served" not in str(why):
                return str(why)
    same = by_grpc.get_inference_statistics("m", as_json=True)["model_stats"][0]
    counts = [[(int(each["batch_size"]), int(each["compute_infer"]["count"])) for each in stats]
              for stats in (after["batch_stats"], same["batch_stats"])]
    right = int(same["inference_count"]) == after["inference_count"] and counts[0] == counts[1]
    return "" if right else "grpc %s" % same


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


def check_aio(url, want, ca):
    trust = ssl.create_default_context(cafile=ca) if ca else None

    async def run():
        async with aio.InferenceServerClient(url, ssl=bool(ca), ssl_context=trust) as triton:
            got = await triton.infer("m", inputs(ROWS, "FP64", True))
            return got.as_numpy("predictions")

    gap = np.abs(asyncio.run(run()) - want).max()
    return "" if gap < 1e-6 else "predictions differ by %g" % gap


def grpc_inputs(rows, datatype):
    tensor = grpc_client.InferInput("input", list(rows.shape), datatype)
    tensor.set_data_from_numpy(rows)
    return [tensor]


def check_grpc_infer(triton, want):
    for dtype, name in ((np.float64, "FP64"), (np.float32, "FP32")):
        for packed in (None, "gzip", "deflate"):
            got = triton.infer("m", grpc_inputs(ROWS.astype(dtype), name), request_id="9",
                               compression_algorithm=packed)
            if got.get_response().id != "9":
                return "the id is lost"
            gap = np.abs(got.as_numpy("predictions") - want).max()
            if not gap < 1e-6:
                return "%s %s: predictions differ by %g" % (name, packed, gap)
    names = ["shap_values", "base_value", "margins"]
    got = triton.infer("m", grpc_inputs(ROWS, "FP64"),
                       outputs=[grpc_client.InferRequestedOutput(name) for name in names])
    values, base, margins = (got.as_numpy(name) for name in names)
    gap = np.abs(values.sum(axis=1) + base - margins).max()
    return "" if gap < 1e-5 else "contributions miss the margin by %g" % gap


def check_grpc_large(triton, want):
    """More than the loop decodes by itself, beside calls that it does."""
    many = np.repeat(ROWS, 500, axis=0)
    for _ in range(3):
        got = triton.infer("m", grpc_inputs(many, "FP64")).as_numpy("predictions")
        if np.abs(got - np.repeat(want, 500)).max() > 1e-6:
            return "predictions differ"
    return check_grpc_infer(triton, want)


def check_grpc_stream(triton, want):
    found = queue.Queue()
    triton.start_stream(lambda result, error: found.put((result, error)))
    for i in range(20):
        model = "m" if i != 10 else "none"
        triton.async_stream_infer(model, grpc_inputs(ROWS, "FP64"), request_id=str(i))
    problem = ""
    for i in range(20):
        result, error = found.get(timeout=20)
        if i == 10:
            problem = problem or ("" if "no such deployment" in str(error) else "no error: %s" % error)
        elif error or result.get_response().id != str(i):
            problem = problem or "answer %d: %s" % (i, error)
        elif not np.abs(result.as_numpy("predictions") - want).max() < 1e-6:
            problem = problem or "answer %d differs" % i
    before = triton.get_inference_statistics("m", as_json=True)["model_stats"][0]
    time.sleep(0.5)
    triton.async_stream_infer("m", grpc_inputs(ROWS, "FP64"))
    result, error = found.get(timeout=20)
    after = triton.get_inference_statistics("m", as_json=True)["model_stats"][0]
    spent = (int(after["inference_stats"]["success"]["ns"]) -
             int(before["inference_stats"]["success"]["ns"]))
    if error or spent > 0.4e9:
        problem = problem or "a request took %d ns of a stream that waited, %s" % (spent, error)
    triton.stop_stream()
    return problem


def check_grpc_model(triton):
    metadata = triton.get_model_metadata("m", "1", as_json=True)
    config = triton.get_model_config("m", as_json=True)["config"]
    if metadata["inputs"][0]["shape"] != ["-1", str(ROWS.shape[1])]:
        return "shape %s" % metadata["inputs"][0]["shape"]
    if config["input"][0]["data_type"] != "TYPE_FP64" or config["input"][0]["dims"] != ["6"]:
        return "configuration %s" % config["input"]
    if config["output"][0]["name"] != "predictions" or not config["max_batch_size"] > 1:
        return "configuration %s" % config
    if not (triton.is_server_live() and triton.is_server_ready() and triton.is_model_ready("m")):
        return "not ready"
    triton.unload_model("m")
    if triton.is_model_ready("m"):
        return "unloaded and ready"
    ready = service_pb2.RepositoryIndexRequest(ready=True)
    if len(triton._client_stub.RepositoryIndex(ready).models) != 0:
        return "the index of what serves names what does not"
    triton.load_model("m")
    if len(triton._client_stub.RepositoryIndex(ready).models) != 1:
        return "the index of what serves is empty"
    index = triton.get_model_repository_index(as_json=True)["models"]
    return "" if index[0]["state"] == "READY" else "index %s" % index


def check_grpc_errors(triton):
    cases = [("none", ROWS, "NOT_FOUND", "there is no such deployment"),
             ("none", np.repeat(ROWS, 500, axis=0), "NOT_FOUND", "there is no such deployment"),
             ("m", ROWS[:, :3], "INVALID_ARGUMENT", "expected the shape [rows, 6]")]
    for model, rows, status, message in cases:
        try:
            triton.infer(model, grpc_inputs(rows, "FP64"))
        except InferenceServerException as why:
            if message not in str(why) or status not in str(why.status()):
                return "%s: %s" % (model, why)
        else:
            return "%s: no error" % message
    return ""


def region_of(triton, name):
    status = triton.get_system_shared_memory_status(name, as_json=True) \
        if isinstance(triton, grpc_client.InferenceServerClient) \
        else triton.get_system_shared_memory_status(name)
    if isinstance(status, dict):
        status = list(status.get("regions", {}).values())
    return [(each["name"], each["key"], int(each["byte_size"])) for each in status]


def check_memory(triton, kind, want):
    """Inputs and outputs in shared memory by tritonclient's own utilities, small and large."""
    many = np.repeat(ROWS, 5000, axis=0)
    for rows, expected in ((ROWS, want), (many, np.repeat(want, 5000))):
        size, key = rows.nbytes, "/ingot-interop-%d" % os.getpid()
        handle = shared_memory.create_shared_memory_region("all", key, 2 * size)
        try:
            shared_memory.set_shared_memory_region(handle, [rows])
            triton.register_system_shared_memory("all", key, 2 * size)
            if region_of(triton, "all") != [("all", key, 2 * size)]:
                return "status %s" % region_of(triton, "all")
            tensor = kind.InferInput("input", list(rows.shape), "FP64")
            tensor.set_shared_memory("all", size)
            output = kind.InferRequestedOutput("predictions")
            output.set_shared_memory("all", 8 * len(rows), offset=size)
            for _ in range(3):
                got = triton.infer("m", [tensor], outputs=[output])
            answer = got.get_response()
            if (answer["outputs"][0].keys() & {"data", "parameters"} if isinstance(answer, dict)
                    else any(answer.raw_output_contents)):
                return "the output came with the reply, too"
            found = shared_memory.get_contents_as_numpy(handle, np.float64, [len(rows)], size)
            gap = np.abs(found - expected).max()
            if not gap < 1e-6:
                return "predictions differ by %g" % gap
            output.set_shared_memory("all", 7, offset=size)
            try:
                triton.infer("m", [tensor], outputs=[output])
                return "an output of 7 bytes was taken"
            except InferenceServerException as why:
                if "shared_memory_byte_size is 7" not in str(why):
                    return str(why)
            triton.unregister_system_shared_memory("all")
            if region_of(triton, ""):
                return "a region is left"
        finally:
            triton.unregister_system_shared_memory()
            shared_memory.destroy_shared_memory_region(handle)
    try:
        triton.register_cuda_shared_memory("gpu", b"AAAA", 0, 8)
        return "CUDA memory was taken"
    except InferenceServerException as why:
        return "" if "GPUs not supported" in str(why) else str(why)


def check_classes(triton, kind, want):
    """Classes in the place of predictions: "score:index", the greatest first, two of two."""
    tensor = kind.InferInput("input", list(ROWS.shape), "FP64")
    tensor.set_data_from_numpy(ROWS)
    got = triton.infer("m", [tensor], outputs=[
        kind.InferRequestedOutput("predictions", class_count=5)]).as_numpy("predictions")
    if got.shape != (len(ROWS), 2):
        return "shape %s" % (got.shape,)
    for texts, one in zip(got, want):
        found = [text.decode().split(":") for text in texts]
        scores = {int(each[1]): float(each[0]) for each in found}
        if abs(scores[1] - one) > 2e-6 or abs(scores[0] + scores[1] - 1) > 2e-6:
            return "%s, expected %g" % (texts, one)
        if float(found[0][0]) < float(found[1][0]):
            return "%s are not in order" % texts
    try:
        triton.infer("m", [tensor], outputs=[
            kind.InferRequestedOutput("shap_values", class_count=5)])
        return "classes of shap_values"
    except InferenceServerException as why:
        return "" if "only predictions and margins" in str(why) else str(why)


def check_logging(triton, log, **more):
    """What is switched shows in the server's log, and nothing else does."""
    def told(settings):
        return settings["settings"] if "settings" in settings else settings

    def value(settings, name):
        found = told(settings)[name]
        return next(iter(found.values())) if isinstance(found, dict) else found

    before = os.path.getsize(log)
    after = triton.update_log_settings({"log_verbose_level": 1, "log_info": False}, **more)
    if value(after, "log_info") or value(after, "log_verbose_level") != 1:
        return "settings %s" % after
    triton.is_server_live()
    triton.is_model_ready("m")
    triton.update_log_settings({"log_verbose_level": 0, "log_info": True}, **more)
    triton.is_model_ready("m")
    if not value(triton.get_log_settings(**more), "log_info"):
        return "settings %s" % triton.get_log_settings(**more)
    with open(log, encoding="utf-8") as lines:
        lines.seek(before)
        calls = [line for line in lines if " DEBUG call " in line and "eady" in line]
    if len(calls) != 1:
        return "calls that were logged: %s" % calls
    try:
        triton.update_log_settings({"log_file": "/tmp/x"}, **more)
        return "another file was taken"
    except InferenceServerException as why:
        return "" if "log file location" in str(why) else str(why)


STAGES = ["REQUEST_START", "QUEUE_START", "COMPUTE_START", "COMPUTE_INPUT_END",
          "COMPUTE_OUTPUT_START", "COMPUTE_END", "REQUEST_END"]


def check_traces(triton, kind, directory, stages):
    """Three traces of each second call, in a file of the form that Triton's own tools read."""
    def value(settings, name):
        found = settings.get("settings", settings)[name]
        return found["value"][0] if isinstance(found, dict) else found

    more = {"as_json": True} if kind is grpc_client else {}
    before = set(glob.glob(os.path.join(directory, "trace.json.*")))
    wanted = {"trace_level": ["TIMESTAMPS"], "trace_rate": "2", "trace_count": "3"}
    after = triton.update_trace_settings(model_name="m", settings=wanted, **more)
    if value(after, "trace_count") != "3" or value(after, "trace_file") != "traces/trace.json":
        return "settings %s" % after
    tensor = kind.InferInput("input", list(ROWS.shape), "FP64")
    tensor.set_data_from_numpy(ROWS)
    for i in range(8):
        triton.infer("m", [tensor], request_id="call %d" % i)
    for _ in range(50):
        new = set(glob.glob(os.path.join(directory, "trace.json.[0-9]*"))) - before
        if new:
            break
        time.sleep(0.1)
    if len(new) != 1:
        return "files %s" % new
    with open(new.pop(), encoding="utf-8") as lines:
        found = json.load(lines)
    heads = [each for each in found if "model_name" in each]
    if [each["request_id"] for each in heads] != ["call 1", "call 3", "call 5"]:
        return "traces %s" % heads
    for head in heads:
        times = [(each["timestamps"][0]["name"], each["timestamps"][0]["ns"]) for each in found
                 if each["id"] == head["id"] and "timestamps" in each]
        if sorted(each[0] for each in times) != sorted(STAGES + stages):
            return "timestamps %s" % times
        if sorted(each[1] for each in times) != [each[1] for each in times]:
            return "times are not in order: %s" % times
    both = triton.update_trace_settings("m", {"trace_level": ["TIMESTAMPS", "TENSORS"],
                                              "trace_rate": "1", "trace_count": "1"}, **more)
    levels = both["settings"]["trace_level"]["value"] if more else both["trace_level"]
    if sorted(levels) != ["TENSORS", "TIMESTAMPS"]:
        return "settings %s" % both
    before = set(glob.glob(os.path.join(directory, "trace.json.*")))
    expected = triton.infer("m", [tensor]).as_numpy("predictions")
    for _ in range(50):
        new = set(glob.glob(os.path.join(directory, "trace.json.[0-9]*"))) - before
        if new:
            break
        time.sleep(0.1)
    with open(new.pop(), encoding="utf-8") as lines:
        told = {each["activity"]: each["tensor"] for each in json.load(lines) if "activity" in each
                and each["tensor"]["name"] in ("input", "predictions")}
    sent = told["TENSOR_QUEUE_INPUT"]
    if sent["shape"] != "%d,%d" % ROWS.shape or sent["dtype"] != "FP64":
        return "tensor %s" % sent
    data = np.array([float(x) for x in sent["data"].split(",")])
    if not np.array_equal(data, ROWS.ravel(), equal_nan=True):
        return "tensor %s" % sent
    given = [float(x) for x in told["TENSOR_BACKEND_OUTPUT"]["data"].split(",")]
    if not np.array_equal(np.array(given), expected.ravel()):
        return "tensor %s" % given
    if value(triton.get_trace_settings("m", **more), "trace_count") != "0":
        return "settings %s" % triton.get_trace_settings("m", **more)
    triton.update_trace_settings("m", {"trace_level": None, "trace_rate": None,
                                       "trace_count": None}, **more)
    if value(triton.get_trace_settings("m", **more), "trace_rate") != "1000":
        return "settings %s" % triton.get_trace_settings("m", **more)
    for settings, message in (({"trace_file": "/tmp/x"}, "trace file location"),
                              ({"trace_level": ["TENSOR"]}, "expected OFF, TIMESTAMPS or TENSORS"),
                              ({"trace_rate": "0"}, "trace_rate: '0'")):
        try:
            triton.update_trace_settings(settings=settings)
            return "%s was taken" % settings
        except InferenceServerException as why:
            if message not in str(why):
                return str(why)
    return ""


def check_keys(triton, by_grpc, want):
    """With keys: who may change settings and register memory, and whose a region is."""
    os.environ["INGOT_API_KEY"] = program.run("key", "create", "boss", "--scope", "admin").strip()
    headers = {}
    for name, scopes in (("reader", "read,infer"), ("near", "infer,memory"),
                         ("far", "infer,memory")):
        key = program.run("key", "create", name, "--scope", scopes).strip()
        headers[name] = {"authorization": "Bearer " + key}
    key = "/ingot-interop-keys-%d" % os.getpid()
    handle = shared_memory.create_shared_memory_region("all", key, ROWS.nbytes)
    shared_memory.set_shared_memory_region(handle, [ROWS])
    problem = ""

    def refused(what, call, *arguments, **more):
        try:
            call(*arguments, **more)
            return "%s was allowed" % what
        except InferenceServerException as why:
            known = ("lacks the scope", "Unable to find shared memory region")
            return "" if any(each in str(why) for each in known) else "%s: %s" % (what, why)

    try:
        for each, kind in ((triton, client), (by_grpc, grpc_client)):
            each.get_log_settings(headers=headers["reader"])
            problem = problem or refused("log", each.update_log_settings, {"log_info": False},
                                         headers=headers["reader"])
            each.get_trace_settings(headers=headers["reader"])
            problem = problem or refused("trace", each.update_trace_settings, None,
                                         {"trace_rate": "1"}, headers=headers["reader"])
            problem = problem or refused("register", each.register_system_shared_memory, "all",
                                         key, ROWS.nbytes, headers=headers["reader"])
            each.register_system_shared_memory("all", key, ROWS.nbytes, headers=headers["near"])
            tensor = kind.InferInput("input", list(ROWS.shape), "FP64")
            tensor.set_shared_memory("all", ROWS.nbytes)
            got = each.infer("m", [tensor], headers=headers["near"]).as_numpy("predictions")
            if not np.abs(got - want).max() < 1e-6:
                problem = problem or "predictions differ"
            problem = problem or refused("another's region", each.infer, "m", [tensor],
                                         headers=headers["far"])
            each.unregister_system_shared_memory(headers=headers["far"])
            each.infer("m", [tensor], headers=headers["near"])
            each.unregister_system_shared_memory(headers=headers["near"])
    finally:
        shared_memory.destroy_shared_memory_region(handle)
    return problem


def check_all(url, folder, want, ca):
    """Every check, over TLS when the name of a CA's file is given. Whether one failed."""
    failed = False
    log, traces = os.path.join(folder, "log"), os.path.join(folder, "data", "traces")
    triton = client.InferenceServerClient(url, ssl=bool(ca),
                                          ssl_options={"ca_certs": ca} if ca else None)
    by_grpc = grpc_client.InferenceServerClient(url, ssl=bool(ca), root_certificates=ca)
    for name, check in (("http: infer", lambda: check_infer(triton, want)),
                        ("http: large packed bodies", lambda: check_large(triton)),
                        ("http: explanations as outputs", lambda: check_explained(triton)),
                        ("http: metadata and configuration", lambda: check_model(triton)),
                        ("statistics", lambda: check_statistics(triton, by_grpc)),
                        ("http: repository", lambda: check_repository(triton)),
                        ("http: errors", lambda: check_errors(triton)),
                        ("http: aio", lambda: check_aio(url, want, ca)),
                        ("http: shared memory",
                         lambda: check_memory(triton, client, want)),
                        ("grpc: shared memory",
                         lambda: check_memory(by_grpc, grpc_client, want)),
                        ("http: log settings", lambda: check_logging(triton, log)),
                        ("grpc: log settings",
                         lambda: check_logging(by_grpc, log, as_json=True)),
                        ("http: traces",
                         lambda: check_traces(triton, client, traces,
                                              ["HTTP_RECV_START", "HTTP_RECV_END",
                                               "HTTP_SEND_START", "HTTP_SEND_END"])),
                        ("grpc: traces",
                         lambda: check_traces(by_grpc, grpc_client, traces,
                                              ["GRPC_WAITREAD_START",
                                               "GRPC_WAITREAD_END"])),
                        ("http: classes", lambda: check_classes(triton, client, want)),
                        ("grpc: classes",
                         lambda: check_classes(by_grpc, grpc_client, want)),
                        ("grpc: infer", lambda: check_grpc_infer(by_grpc, want)),
                        ("grpc: large messages", lambda: check_grpc_large(by_grpc, want)),
                        ("grpc: stream", lambda: check_grpc_stream(by_grpc, want)),
                        ("grpc: models", lambda: check_grpc_model(by_grpc)),
                        ("grpc: errors", lambda: check_grpc_errors(by_grpc)),
                        ("keys", lambda: check_keys(triton, by_grpc, want))):
        try:
            problem = check()
        except (InferenceServerException, program.Refused, KeyError, queue.Empty) as why:
            problem = repr(why)
        failed |= bool(problem)
        print("%s tritonclient %s%s %s" % ("FAIL" if problem else "ok", "over TLS, " if ca else "",
                                           name, problem), flush=True)
    triton.close()
    by_grpc.close()
    return failed


def check_curl(url, ca):
    """ALPN as curl asks for it, and what it says without the CA."""
    failed = False
    for options, trusted, wanted in ((["--http2"], True, "200 2"), (["--http1.1"], True, "200 1.1"),
                                     (["--tls-max", "1.2"], True, "200 2"), ([], False, "000 0")):
        done = subprocess.run(["curl", "-s", "-m", "10", "-o", os.devnull, "-w",
                               "%{http_code} %{http_version}", *options,
                               *(["--cacert", ca] if trusted else []),
                               "https://%s/v2/health/ready" % url],
                              capture_output=True, text=True, timeout=30)
        good = done.stdout == wanted and done.returncode == (0 if trusted else 60)
        failed |= not good
        print("%s curl %s%s" % ("ok" if good else "FAIL", " ".join(options) or "without the CA",
                                "" if good else ": %r %d" % (done.stdout, done.returncode)),
              flush=True)
    return failed


def serve_and_check(folder, want, ca=None, certificate=None, key=None):
    os.mkdir(folder)
    more = ["--set", "tls_certificate=" + certificate, "--set", "tls_key=" + key] if ca else []
    server, url = program.serve(os.path.join(folder, "data"), os.path.join(folder, "log"), more)
    os.environ["INGOT_SERVER"] = ("https://" if ca else "http://") + url
    if ca:
        os.environ["INGOT_CA"] = ca
    try:
        program.run("model", "register", "m", MODEL)
        program.run("deploy", "m", "--model", "models:/m/1")
        failed = check_curl(url, ca) if ca else False
        return check_all(url, folder, want, ca) or failed
    finally:
        server.terminate()
        server.wait(20)


def main():
    with tempfile.TemporaryDirectory() as directory:
        table = os.path.join(directory, "rows.csv")
        names = ["first feature"] + ["f%d" % i for i in range(1, 6)]
        with open(table, "w", encoding="utf-8") as out:
            out.write(",".join(names) + "\n")
            for row in ROWS:
                out.write(",".join("" if np.isnan(v) else repr(float(v)) for v in row) + "\n")
        want = np.array(program.predict(MODEL, table, raw=False), float)[:, -1]
        failed = serve_and_check(os.path.join(directory, "plain"), want)
        files = certificates.make(directory)
        return serve_and_check(os.path.join(directory, "tls"), want, *files) or failed


if __name__ == "__main__":
    sys.exit(main())
