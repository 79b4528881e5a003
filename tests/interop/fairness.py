#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`ingot fairness` next to the package fairlearn: rates by group, disparities, intersections, on
the decisions of an XGBoost model and on those of a table."""

import json
import os
import sys
import tempfile

import numpy as np
import pandas as pd
import fairlearn.metrics as fair
import xgboost
from sklearn.metrics import accuracy_score, precision_score

import peers
import program

TOLERANCE = 1e-12


def disparities(truth, decided, groups):
    """fairlearn's own figures, named as ours."""
    frame = fair.MetricFrame(
        metrics={"selection_rate": fair.selection_rate, "true_positive_rate": fair.true_positive_rate,
                 "false_positive_rate": fair.false_positive_rate, "accuracy": accuracy_score,
                 "precision": lambda y, d: precision_score(y, d, zero_division=np.nan)},
        y_true=truth, y_pred=decided, sensitive_features=groups)
    keys = {"sensitive_features": groups}
    return frame.by_group, {
        ("demographic_parity", "difference"):
            fair.demographic_parity_difference(truth, decided, **keys),
        ("demographic_parity", "ratio"): fair.demographic_parity_ratio(truth, decided, **keys),
        ("equal_opportunity", "difference"):
            fair.equal_opportunity_difference(truth, decided, **keys),
        ("equal_opportunity", "ratio"): fair.equal_opportunity_ratio(truth, decided, **keys),
        ("equalized_odds_difference",): fair.equalized_odds_difference(truth, decided, **keys),
        ("equalized_odds_ratio",): fair.equalized_odds_ratio(truth, decided, **keys),
    }


def compare(name, report, truth, decided, groups):
    by_group, figures = disparities(truth, decided, groups)
    ours = {g["group"]: g for g in report["groups"]}
    problems, worst = [], 0.0
    if set(ours) != set(by_group.index):
        problems.append("groups %s" % sorted(set(ours) ^ set(by_group.index)))
    for group, row in by_group.iterrows():
        for metric, want in row.items():
            got = ours.get(group, {}).get(metric)
            got = np.nan if got is None else got["value"]
            gap = 0 if np.isnan(want) and np.isnan(got) else abs(got - want)
            worst = max(worst, gap)
            if not gap <= TOLERANCE:
                problems.append("%s of %s: %r, wanted %r" % (metric, group, got, want))
    for path, want in figures.items():
        got = report[path[0]]
        for step in path[1:]:
            got = got[step]
        got = got["value"] if isinstance(got, dict) else got
        worst = max(worst, abs(got - want))
        if not abs(got - want) <= TOLERANCE:
            problems.append("%s: %r, wanted %r" % (".".join(path), got, want))
    if problems:
        print("FAIL %s: %s" % (name, "; ".join(problems)))
    else:
        print("ok %s: %d groups, worst gap %.1e" % (name, len(by_group), worst))


def census():
    """Features, truth and protected columns: the census table, or one made up alike."""
    path = os.path.join(peers.SHARED, "data", "adult.csv.gz")
    if os.path.exists(path):
        table = pd.read_csv(path)
        truth = (table["income"].str.strip() == ">50K").astype(int).to_numpy()
        return table.select_dtypes("number"), truth, table[["sex", "race"]]
    rng = np.random.default_rng(3)
    features = pd.DataFrame(rng.normal(size=(20000, 5)), columns=list("abcde"))
    groups = pd.DataFrame({"sex": rng.choice(["F", "M"], 20000),
                           "race": rng.choice(["x", "y", "z"], 20000, p=[0.6, 0.3, 0.1])})
    z = features["a"] + (groups["sex"] == "M") + 0.5 * rng.normal(size=20000)
    return features, (z > 0.8).astype(int).to_numpy(), groups


def of_table(truth, groups, directory):
    rng = np.random.default_rng(7)
    decided = np.where(rng.random(len(truth)) < 0.2, 1 - truth, truth)
    path = os.path.join(directory, "scored.csv")
    groups.assign(y=truth, d=decided).to_csv(path, index=False)
    report = json.loads(program.run("fairness", "--input", path, "--protected", "sex,race",
                                    "--label", "y", "--decision", "d", "--intersections",
                                    "--min-rows", "1", "--format", "json"))
    columns = {c["column"]: c for c in report["protected"]}
    for name in ("sex", "race"):
        compare("fairness of a table by " + name, columns[name], truth, decided, groups[name])
    both = groups["sex"] + " & " + groups["race"]
    compare("fairness of a table by sex & race", columns["sex & race"], truth, decided, both)


def of_model(features, truth, groups, directory):
    """The library's own decisions and contributions, grouped by pandas."""
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 4, "nthread": 1},
                            xgboost.DMatrix(features, truth), 40)
    model = os.path.join(directory, "model.json")
    path = os.path.join(directory, "rows.csv")
    booster.save_model(model)
    features.assign(y=truth, **groups).to_csv(path, index=False)
    report = json.loads(program.run("fairness", "--input", path, "--model", model, "--protected",
                                    "sex", "--label", "y", "--positive", "1", "--format", "json"))
    decided = (booster.predict(xgboost.DMatrix(features)) >= 0.5).astype(int)
    column = report["protected"][0]
    compare("fairness of a model by sex", column, truth, decided, groups["sex"])
    phi = booster.predict(xgboost.DMatrix(features), pred_contribs=True)[:, :-1]
    means = pd.DataFrame(phi.astype(float), columns=features.columns).groupby(groups["sex"]).mean()
    want = (means.max() - means.min()).to_dict()
    got = {g["feature"]: g["difference"]["value"] for g in column["attribution_gaps"]}
    worst = max(abs(got[f] - want[f]) for f in want)
    print("%s attribution gaps by sex: worst %.1e" % ("ok" if worst < 1e-5 else "FAIL", worst))


def main():
    features, truth, groups = census()
    with tempfile.TemporaryDirectory() as directory:
        of_table(truth, groups, directory)
        of_model(features, truth, groups, directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
