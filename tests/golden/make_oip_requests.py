#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes requests of the Open Inference Protocol as its clients make them into tests/corpus/oip and
tests/corpus/oip_proto, where oip_test reads them. An argument names the client, since their packages
do not go together: triton (tritonclient 2.73.0), mlserver (1.7.1) or kserve (0.21.0).

A file of oip is two bytes, how much of the body is JSON (65535: all of it), and the body."""

import os
import struct
import sys

import numpy as np

CORPUS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "corpus")
ROWS = np.array([[1.5, -2], [2, 6]])


def write(kind, name, content):
    with open(os.path.join(CORPUS, kind, name), "wb") as out:
        out.write(content)


def write_body(name, body, json_bytes=None):
    body = body if isinstance(body, bytes) else body.encode()
    write("oip", name, struct.pack("<H", 0xffff if json_bytes is None else json_bytes) + body)


def triton():
    import tritonclient.grpc as by_grpc
    import tritonclient.http as by_http
    from tritonclient.grpc import service_pb2
    from tritonclient.grpc._utils import _get_inference_request as grpc_request
    from tritonclient.http._utils import _get_inference_request as http_request

    rest = {"request_id": "7", "sequence_id": 0, "sequence_start": False, "sequence_end": False,
            "priority": 0, "timeout": None}
    for name in ("shared_memory", "classification"):
        shared = name == "shared_memory"
        asked = []
        for kind in (by_http, by_grpc):
            tensor = kind.InferInput("x", [1, 2], "FP32")
            if shared:
                tensor.set_shared_memory("in", 8, offset=16)
                outputs = [kind.InferRequestedOutput("margins")]
                outputs[0].set_shared_memory("out", 64, offset=8)
            else:
                tensor.set_data_from_numpy(ROWS[:1].astype(np.float32))
                outputs = [kind.InferRequestedOutput("predictions", class_count=3),
                           kind.InferRequestedOutput("margins")]
            asked.append(([tensor], outputs))
        write_body(name, *http_request(inputs=asked[0][0], outputs=asked[0][1],
                                       custom_parameters=None, **rest))
        write("oip_proto", name, grpc_request(
            model_name="m", model_version="3", inputs=asked[1][0], outputs=asked[1][1],
            parameters=None, **rest).SerializeToString())
    log = service_pb2.LogSettingsRequest()
    log.settings["log_info"].bool_param = False
    log.settings["log_verbose_level"].uint32_param = 3
    log.settings["log_format"].string_param = "ISO8601"
    log.settings["log_file"].SetInParent()
    write("oip_proto", "log_settings", log.SerializeToString())
    trace = service_pb2.TraceSettingRequest(model_name="m")
    trace.settings["trace_level"].value.extend(["TIMESTAMPS", "TENSORS"])
    trace.settings["trace_rate"].value.extend(["10"])
    trace.settings["trace_count"].SetInParent()
    write("oip_proto", "trace_setting", trace.SerializeToString())


def mlserver():
    import pandas as pd
    from mlserver.codecs import NumpyRequestCodec, PandasCodec
    from mlserver.grpc.converters import ModelInferRequestConverter

    frame = pd.DataFrame(ROWS, columns=["age", "n"])
    frame["n"] = frame["n"].astype(int)
    for name, request in (("numpy", NumpyRequestCodec.encode_request(ROWS)),
                          ("pandas", PandasCodec.encode_request(frame))):
        write_body("mlserver_" + name, request.model_dump_json(exclude_none=True))
        for raw in (False, True):
            message = ModelInferRequestConverter.from_types(request, "m", "3", use_raw=raw)
            write("oip_proto", "mlserver_%s%s" % (name, "_raw" if raw else ""),
                  message.SerializeToString())


def kserve():
    import orjson
    from kserve import InferInput, InferRequest

    for binary in (False, True):
        tensor = InferInput("x", list(ROWS.shape), "FP64")
        tensor.set_data_from_numpy(ROWS, binary_data=binary)
        request = InferRequest("m", [tensor], request_id="7", model_version="3")
        body, json_bytes = request.to_rest()
        name = "kserve_binary" if binary else "kserve"
        write_body(name, body if isinstance(body, bytes) else orjson.dumps(body), json_bytes)
        write("oip_proto", name, request.to_grpc().SerializeToString())


{"triton": triton, "mlserver": mlserver, "kserve": kserve}[sys.argv[1]]()
