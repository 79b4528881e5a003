#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every golden case through the command line: margins, predictions and contributions."""

import csv
import json
import math
import os
import sys
import tempfile

import program

GOLDEN = os.path.join(program.ROOT, "tests", "golden")


def facts(path):
    with open(os.path.join(path, "case.yaml"), encoding="utf-8") as lines:
        return {key: value.strip().strip('"')
                for key, value in (line.split(":", 1) for line in lines if ":" in line)}


def read(path, name):
    with open(os.path.join(path, name), encoding="utf-8") as stream:
        return program.numbers(stream.read())


def differences(got, want, tolerance):
    """How many values differ by more than tolerance x max(1, |value|), and the worst of them."""
    if len(got) != len(want) or any(len(a) != len(b) for a, b in zip(got, want)):
        return -1, "%d rows of %d fields, wanted %d of %d" % (
            len(got), len(got[0]) if got else 0, len(want), len(want[0]))
    count, worst, where = 0, 0.0, ""
    for row, (a_row, b_row) in enumerate(zip(got, want)):
        for column, (a, b) in enumerate(zip(a_row, b_row)):
            if a == b or (math.isnan(a) and math.isnan(b)):
                continue
            gap = abs(a - b) / max(1.0, abs(b))
            if not gap <= tolerance:
                count += 1
                if not gap <= worst:
                    worst = gap
                    where = "row %d, field %d: %.17g, wanted %.17g" % (row, column, a, b)
    return count, where


def said_by_model(path):
    """Whether XGBoost's file names its features, and column -> text of code 0, 1, ... where it
    carries the texts of its categories."""
    file = os.path.join(path, "model.json")
    if not os.path.exists(file):
        return True, {}
    with open(file, encoding="utf-8") as stream:
        learner = json.load(stream)["learner"]
    found = {}
    encoded = learner["gradient_booster"].get("model", {}).get("cats", {}).get("enc", [])
    for column, code in enumerate(encoded):
        letters = bytes(v & 255 for v in code.get("values", []))
        ends = code.get("offsets", [])
        if ends:
            found[column] = [letters[a:b].decode() for a, b in zip(ends, ends[1:])]
    return bool(learner.get("feature_names")), found


def table_for(path, directory):
    """input.csv as a person writes it for this model: texts where it knows the texts of categories,
    columns f0, f1, ... where it knows no names."""
    table = os.path.join(path, "input.csv")
    named, words = said_by_model(path)
    if named and not words:
        return table
    spoken = os.path.join(directory, "input.csv")
    with open(table, encoding="utf-8", newline="") as source, \
            open(spoken, "w", encoding="utf-8", newline="") as out:
        rows = csv.reader(source)
        writer = csv.writer(out)
        header = next(rows)
        writer.writerow(header if named else ["f%d" % i for i in range(len(header))])
        for row in rows:
            for column, texts in words.items():
                code = float(row[column] or "nan")
                if code in range(len(texts)):
                    row[column] = texts[int(code)]
            writer.writerow(row)
    return spoken


def check(path, model, known, directory):
    table = table_for(path, directory)
    problems = []

    def compare(what, got, want, tolerance):
        count, where = differences(got, want, tolerance)
        if count:
            problems.append("%s: %d differ, worst %s" % (what, count, where))

    file = os.path.join(path, model)
    compare("margin", program.predict(file, table), read(path, "margin.csv"),
            float(known["margin_tolerance"]))
    compare("prediction", program.predict(file, table, raw=False), read(path, "prediction.csv"),
            1e-6)
    if known["contribs"] == "true":
        compare("contribs", program.explain(file, table), read(path, "contribs.csv"), 3e-5)
    return problems


def main():
    failed = False
    for library in ("xgboost", "lightgbm"):
        for name in sorted(os.listdir(os.path.join(GOLDEN, library))):
            path = os.path.join(GOLDEN, library, name)
            known = facts(path)
            for model in sorted(f for f in os.listdir(path) if f.startswith("model.")):
                try:
                    with tempfile.TemporaryDirectory() as directory:
                        problems = check(path, model, known, directory)
                except (program.Refused, ValueError, OSError) as why:
                    problems = [str(why)]
                failed |= bool(problems)
                print("%s golden %s/%s %s%s" % ("FAIL" if problems else "ok", library, name, model,
                                                "".join("\n     " + p for p in problems)))
    return failed


if __name__ == "__main__":
    sys.exit(main())
