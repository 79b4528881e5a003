#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/golden/mlflow_search/cases.json: what mlflow 3.17.2 (with sqlparse 0.6.1) makes of filters and orders, for
tracking_filter_test. Needs mlflow-skinny==3.17.2, sqlparse==0.6.1.

A verdict is "ok" and the comparisons as TYPE KEY OP VALUE, or "error" and the message up to where Python shows a set, a list or a
whole clause."""

import json
import os

import sqlparse
import mlflow
from mlflow.exceptions import MlflowException
from mlflow.utils.search_utils import (SearchExperimentsUtils, SearchModelUtils, SearchModelVersionUtils,
                                       SearchUtils)

assert (mlflow.__version__, sqlparse.__version__) == ("3.17.2", "0.6.1")
OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mlflow_search", "cases.json")

RUNS = """
metric.acc >= 0.94
metrics.acc > 1
metrics.acc = -1.5e-3
metrics.`top 5` != .5
metrics."m" < 2.
metric.a<=0.5
params.m!='tru'
params.lr = '0.1'
params."lr" = "0.1"
parameters.`a b` = 'x'
param.a.b.c = 'x'
tags.version='commit-hash'
tags.mlflow.parentRunId = 'abc'
tags."mlflow.source.name" ILIKE '%Train%'
tag.x LIKE 'a_b%'
tags.x like 'lower'
tags.`k-1` = "it's"
tags.k = 'it''s'
tags.k = 'a\\'b'
params.k = 'C:\\'
params.k = 'a AND b'
params.k = '= > <'
`params`.k = 'v'
params.k IS NULL
tags.k is not null
tags."a.b" IS NOT NULL AND params.k = 'v'
attribute.status = 'FINISHED'
attributes.artifact_uri LIKE 's3://%'
attr.start_time > 1234
run.status != 'FAILED'
start_time > 1664067852747
end_time <= 5
created < 10
attributes.Created >= 10
run_name = 'x'
attributes.`run name` = 'x'
attributes.`Run Name` ILIKE '%x%'
user_id = 'me'
run_id = 'abc'
attributes.run_id IN ('a', 'b')
run_id NOT IN ("a", 'b',)
run_id IN ('one')
dataset.name = 'iris'
datasets.digest LIKE 'a%'
dataset.context IN ('train', "eval")
metrics.acc > 0.9 AND params.lr = '0.1' and tags.a = 'b'
metrics.a > 1   AND\\n metrics.b < 2

metric.acc >= '0.94'
metrics.acc > abc
metrics.acc LIKE 'x'
metrics.a IS NULL
start_time IS NULL
params.acc = 0.94
params.acc = LR
params.acc = `LR`
params.acc > '1'
tags.acc < 'x'
tags.acc = 3
acc = 0.94
model.lr = '0.1'
xyz.acc > 1
attribute.nope = 'x'
attribute.start_time = 'abc'
start_time LIKE 'x'
status > 'a'
status = 3
status IN ('a', 'b')
params.a IN ('a', 'b')
run_id IN ()
run_id IN (1, 2)
run_id IN 'a'
dataset.size = 'x'
dataset.name = 3
dataset.name > 'a'
metrics.a > 1 OR metrics.b > 2
(metrics.a > 1)
metrics.a > 1; metrics.b > 2
metrics.a
metrics.a >
> 3
params.a = 'x
params.a == 'x'
params.a <> 'x'
params.a NOT LIKE 'x'
metrics.a > 1, metrics.b > 2
"""

EXPERIMENTS = """
name = 'x'
name LIKE 'x%'
name ILIKE '%X'
attribute.name != "y"
creation_time > 10
last_update_time <= 20
tags.k = 'v'
tag.`a b` LIKE 'v%'
tags.k IS NULL
tags.k IS NOT NULL AND name = 'x'

name = 3
name IN ('a', 'b')
attributes.name = 'x'
metrics.a > 1
params.a = 'x'
start_time > 1
creation_time = 'x'
name IS NULL
name > 'a'
tags.k > 'v'
"""

MODELS = """
name = 'x'
name != "x"
name LIKE 'x%'
attribute.name ILIKE '%X'
name IN ('a', 'b')
name NOT IN ('a')
tags.k = 'v'
tag.`a b` != 'v'
tags."a b" LIKE 'v%'
tags.`mlflow.prompt.is_prompt` != 'true'
name = 'x' AND tags.k ILIKE 'v'

name = 3
name > 'a'
tags.k > 'v'
tags.k IN ('a', 'b')
tags.k = 3
version_number = 3
run_id = 'x'
attributes.name = 'x'
metrics.a = 1
params.a = 'x'
name = 'x' OR name = 'y'
name
"""

VERSIONS = """
name = 'x'
name IN ('a', 'b')
run_id = 'abc'
run_id IN ('a', 'b')
run_id NOT IN ("a")
source_path LIKE 's3://%'
version_number = 3
version_number >= 10
version_number < '5'
attribute.version_number != 2
tags.k ILIKE 'v'
name = 'x' and version_number > 1

source_path IN ('a', 'b')
version_number = 1.5
version_number = 'x'
version_number LIKE '1%'
source_path = 3
run_id > 'a'
tags.k < 'x'
creation_timestamp > 5
last_updated_timestamp = 5
metrics.a = 1
"""

RUN_ORDERS = """
metrics.a
metrics.a DESC
metrics.`a b` asc
params."x y" DESC
tags.k ASC
start_time
attributes.start_time DESC
attribute.end_time asc
created DESC
run_id
status desc
tags.mlflow.user DESC

metrics.a foo
metrics.a, metrics.b
acc DESC
xyz.a
attributes.nope DESC
metrics.a DESC x
"""

EXPERIMENT_ORDERS = """
name
name DESC
attribute.creation_time ASC
last_update_time desc
experiment_id

nope
metrics.a
name foo
"""


MODEL_ORDERS = """
name
name DESC
timestamp asc
last_updated_timestamp DESC

nope
version_number
name foo
"""

VERSION_ORDERS = """
name
name DESC
version_number asc
creation_timestamp DESC
attribute.last_updated_timestamp ASC

nope
run_id
name foo
"""


def cut(error):
    text = "error " + str(getattr(error, "message", error))
    for mark in ("{", "filter string: ", "Got value (", "different type in list"):
        before, found, _ = text.partition(mark)
        text = before + ("" if mark == "{" else found)
    return text


def show(term):
    value = term["value"]
    op = term["comparator"].upper()
    if value is None:
        value = ""
    elif isinstance(value, tuple):
        value = "|".join(value)
    elif term["type"] == "metric" or not isinstance(value, str):
        value = "%.17g" % float(value)
    return "%s %s %s %s" % (term["type"], term["key"], op, value)


def check_registry(utils, term):
    """As the store's _get_search_registered_model_filter_query and _get_search_model_versions_filter_clauses."""
    op, kind, key, value = term["comparator"].upper(), term["type"], term["key"], term["value"]
    if kind == "tag":
        if op not in ("=", "!=", "LIKE", "ILIKE"):
            raise MlflowException("Invalid comparator for tag: " + op)
    elif key == "version_number":
        if op not in utils.VALID_NUMERIC_ATTRIBUTE_COMPARATORS:
            raise MlflowException("Invalid comparator for attribute %s: %s" % (key, op))
        try:
            assert not isinstance(value, float)
            term["value"] = int(value)
        except (AssertionError, TypeError, ValueError):
            raise MlflowException("Invalid value for numeric attribute '%s': %r" % (key, value)) from None
    elif (op not in ("=", "!=", "LIKE", "ILIKE", "IN", "NOT IN")
          or (op in ("IN", "NOT IN") and key not in ("run_id", "name"))):
        raise MlflowException("Invalid comparator for attribute: " + op)


def check(utils, term):
    if utils in (SearchModelUtils, SearchModelVersionUtils):
        return check_registry(utils, term)
    op, kind, key = term["comparator"].upper(), term["type"], term["key"]
    known = utils.is_tag(kind, op)
    if utils is SearchUtils:
        known = (known or utils.is_metric(kind, op) or utils.is_param(kind, op) or utils.is_dataset(kind, op)
                 or utils.is_attribute(kind, key, op))
    elif kind == "attribute":  # as the store's _get_search_experiments_filter_clauses
        known = utils.is_string_attribute(kind, key, op) or utils.is_numeric_attribute(kind, key, op)
    assert known


def of_filter(utils, text):
    try:
        terms = utils.parse_search_filter(text)
        for term in terms:
            check(utils, term)
        return "ok " + " & ".join(show(term) for term in terms)
    except Exception as error:
        return cut(error)


def of_order(parse, text):
    try:
        kind, key, ascending = parse(text)
        return "ok %s %s %s" % (kind, key, "asc" if ascending else "desc")
    except Exception as error:
        return cut(error)


cases = []
for name, block, judge in (
        ("runs", RUNS, lambda text: of_filter(SearchUtils, text)),
        ("experiments", EXPERIMENTS, lambda text: of_filter(SearchExperimentsUtils, text)),
        ("models", MODELS, lambda text: of_filter(SearchModelUtils, text)),
        ("versions", VERSIONS, lambda text: of_filter(SearchModelVersionUtils, text)),
        ("order_models", MODEL_ORDERS, lambda text: of_order(
            lambda order: ("attribute", *SearchUtils.parse_order_by_for_search_registered_models(order)), text)),
        ("order_versions", VERSION_ORDERS,
         lambda text: of_order(SearchModelVersionUtils.parse_order_by_for_search_model_versions, text)),
        ("order_runs", RUN_ORDERS, lambda text: of_order(SearchUtils.parse_order_by_for_search_runs, text)),
        ("order_experiments", EXPERIMENT_ORDERS,
         lambda text: of_order(SearchExperimentsUtils.parse_order_by_for_search_experiments, text))):
    for line in block.strip().split("\n"):
        text = line.replace("\\n", "\n").replace("\\\\", "\\")
        if text:
            cases.append({"kind": name, "text": text, "verdict": judge(text)})
with open(OUT, "w", encoding="utf-8") as out:
    json.dump(cases, out, indent=0, ensure_ascii=False)
    out.write("\n")
