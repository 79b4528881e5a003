#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/golden/mlflow_sources/cases.json: what mlflow 3.17.2's server makes of the sources of model versions, for
registered_source_test. Needs mlflow-skinny==3.17.2, of whose server file the functions are taken as they stand, since importing it
would need a web server.

Of each source: whether its path only leads down, whether it is of the artifact proxy, and within which roots it lies."""

import ast
import importlib.metadata
import json
import os
import pathlib
import re
import urllib.parse

assert importlib.metadata.version("mlflow-skinny") == "3.17.2"
OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mlflow_sources", "cases.json")
WANTED = ("_validate_non_local_source_contains_relative_paths", "_iteratively_unquote", "_normalized_uri_parts",
          "_is_uri_within_root", "_is_mlflow_artifact_source")

ROOTS = ["mlflow-artifacts:/0/abc/artifacts", "mlflow-artifacts://host:80/0/abc/artifacts", "s3://bucket/a/b", "s3://bucket"]
SOURCES = """
s3://bucket/a/b
s3://bucket/a/b/
s3://bucket/a//b/c
s3://bucket/a/bc
S3://BUCKET/a/b/c
s3://bucket
s3://bucket/
s3://bucket/a/../b
s3://bucket/a/./b
s3://bucket/a/.../b
s3://bucket/a/..b/c
s3://bucket/a/%2e%2e/b
s3://bucket/a/%252e%252e/b
s3://bucket/a/%2E./b
s3://bucket/a/%2e/b
s3://bucket/%61/b/c
s3://bucket/a%2fb/c
s3://bucket/a/b%00
s3://bucket/a/b?x=../y
s3://bucket/a/b?x=1
s3://bucket/a/b#c
s3:/bucket/a
s3:bucket/a
gs://b/p;q/r
mlflow-artifacts:/0/abc/artifacts
mlflow-artifacts:/0/abc/artifacts/model
mlflow-artifacts:/0/abc/artifacts/../../x
mlflow-artifacts:/0/abc/artifactsX
mlflow-artifacts:/0/abc
mlflow-artifacts:/1/abc/artifacts/model
mlflow-artifacts://host:80/0/abc/artifacts/model
mlflow-artifacts://HOST:80/0/abc/artifacts/model
mlflow-artifacts://other/0/abc/artifacts/model
MLFLOW-ARTIFACTS:/0/abc/artifacts/m
mlflow-artifacts:0/abc/artifacts/m
mlflow-artifacts:/0/%61bc/artifacts/m
mlflow-artifacts:/0/abc%2fartifacts/m
mlflow-artifacts://host:80/..%2f..%2f..%2f..%2f
http://host/api/2.0/mlflow-artifacts/artifacts/0/abc/artifacts/m
https://host/x/api/2.0/mlflow-artifacts/artifacts/0
https://host/api/api/2.0/mlflow-artifacts/artifacts/0
http://host/api/2.0/mlflow-artifacts
http://host/api/2.0/mlflow-%61rtifacts/artifacts/x
http://host/api/2.0//mlflow-artifacts/artifacts
ftp://host/api/2.0/mlflow-artifacts/artifacts/x
http://host/models/m
hdfs://h:9000/a b/c
dbfs:/a/b
models:/churn/1
runs:/abc/model
wasbs://c@a.blob/x
s3://bucket/ü/字
s3://bucket/a%zzb/c
s3://bucket/a%2/c
"""

with open(importlib.metadata.distribution("mlflow-skinny").locate_file("mlflow/server/handlers.py"), encoding="utf-8") as file:
    tree = ast.parse(file.read())


class MlflowException(Exception):
    pass


names = {"MlflowException": lambda text, code: MlflowException(text), "INVALID_PARAMETER_VALUE": 0, "urllib": urllib, "re": re,
         "pathlib": pathlib, "os": os}
for node in tree.body:
    if isinstance(node, ast.FunctionDef) and node.name in WANTED:
        exec(compile(ast.Module([node], []), "handlers.py", "exec"), names)


def leads_down(source):
    try:
        names[WANTED[0]](source)
        return True
    except MlflowException:
        return False


cases = [{"source": source, "down": leads_down(source), "proxied": names["_is_mlflow_artifact_source"](source),
          "within": [root for root in ROOTS if names["_is_uri_within_root"](source, root)]}
         for source in SOURCES.strip().split("\n")]
os.makedirs(os.path.dirname(OUT), exist_ok=True)
with open(OUT, "w", encoding="utf-8") as out:
    json.dump(cases, out, indent=0, ensure_ascii=False)
    out.write("\n")
