#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the PMML cases of this directory, writes them by sklearn2pmml (or nyoka), and lets JPMML answer.

Usage: make_pmml.py [NAME...]. Needs a JVM. Cases of nyoka are made where it is installed."""

import os
import re
import sys
import tempfile
import warnings

import jpmml_evaluator
import lightgbm
import numpy as np
import pandas as pd
import xgboost
from sklearn import ensemble, linear_model, tree
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import golden

ROOT = os.path.dirname(os.path.abspath(__file__))
wanted = set(sys.argv[1:])
warnings.filterwarnings("ignore")
os.chdir(tempfile.mkdtemp())
NUMBERS = ["a", "b"]


def data(missing=False, rows=300):
    rng = np.random.default_rng(0)
    x = pd.DataFrame({"a": rng.normal(size=rows), "b": rng.normal(size=rows),
                      "c": rng.choice(["red", "green", "blue"], rows)})
    y = x.a * (x.c == "red") + x.b
    if missing:
        x.loc[::7, "a"] = np.nan
    return x, y


def thresholds(file, names):
    found = {}
    for field, value in re.findall(r'SimplePredicate field="([^"]*)" operator="[a-z]*[A-Z][a-zA-Z]*" value="([-0-9.eE]+)"',
                                   open(file).read()):
        if field in names:
            found.setdefault(names.index(field), []).append(float(value))
    return found


def rows_for(file, x, missing, seed=1):
    """Ordinary rows, then values on a threshold, a float or a double beside it, or missing."""
    rng = np.random.default_rng(seed)
    names = [c for c in x.columns if c in NUMBERS]
    cuts = thresholds(file, names)
    out = x.iloc[rng.integers(0, len(x), 48)].reset_index(drop=True).copy()
    for i in range(12, 48):
        for j, name in enumerate(names):
            dice = rng.random()
            if dice < 0.5 and cuts.get(j):
                cut = rng.choice(cuts[j])
                kind = np.float32 if rng.random() < 0.5 else np.float64
                out.loc[i, name] = float(rng.choice(golden.around(cut, kind)))
            elif dice < 0.7 and missing:
                out.loc[i, name] = np.nan
        if missing and "c" in out and rng.random() < 0.2:
            out.loc[i, "c"] = None
    return out


def answers(file, rows, other=False):
    """JPMML's predictions; of two classes the second one's probability (or the other's), of more each one's."""
    evaluator = jpmml_evaluator.make_evaluator(file)
    out = []
    for row in rows.to_dict("records"):
        given = {k: None if v is None or v != v else v for k, v in row.items()}
        got = evaluator.evaluate(given)
        shares = [v for k, v in got.items() if "prob" in k]  # of the classes, in the target's order
        values = (shares[:1] if other else shares[1:]) if len(shares) == 2 else shares if shares else [list(got.values())[0]]
        out.append([np.nan if v is None else float(v) for v in values])
    return np.asarray(out)


def text_answers(document, rows):
    with open("document.pmml", "w", encoding="utf-8") as out:
        out.write(document)
    return answers("document.pmml", rows)


def write_case(name, file, rows, facts):
    path = golden.new_case(ROOT, "pmml", name)
    with open(file, encoding="utf-8") as source:
        document = source.read()
    with open(os.path.join(path, "model.pmml"), "w", newline="\n", encoding="utf-8") as out:
        out.write(document)
    evaluator = jpmml_evaluator.make_evaluator(file)
    names = [f.getName() for f in evaluator.getInputFields()]
    order = [n for n in active_fields(document) if n in names]
    predicted = answers(file, rows[order])
    bare = re.sub('normalizationMethod="(logit|softmax|exp)"', 'normalizationMethod="none"', document)
    margin = text_answers(bare, rows[order])
    if 'normalizationMethod="logit"' in document and "probability" in document:  # else bounded by 0 and 1
        margin = np.log(predicted) - np.log(answers(file, rows[order], other=True))
    if margin.shape[1] > 1 and "RegressionTable" in bare:  # the last table's is 1 less all others
        tables = re.findall(r"<RegressionTable.*?</RegressionTable>", bare, re.S)
        first, last = bare.index(tables[0]), bare.index(tables[-1])
        turned = bare[:first] + tables[-1] + bare[first:last] + bare[last + len(tables[-1]):]
        margin[:, -1] = text_answers(turned, rows[order])[:, -1]
    if np.isnan(predicted).any():
        raise SystemExit("%s: JPMML has no prediction for some row" % name)
    with open(os.path.join(path, "input.csv"), "w", newline="\n", encoding="utf-8") as out:
        out.write(",".join(order) + "\n")
        for row in rows[order].itertuples(index=False):
            out.write(",".join(v if isinstance(v, str) else "" if v is None else golden.text(v) for v in row) + "\n")
    golden.write_table(os.path.join(path, "prediction.csv"), predicted)
    golden.write_table(os.path.join(path, "margin.csv"), margin)
    golden.write_yaml(path, {"library": "jpmml-evaluator", "version": jpmml_evaluator.__version__, **facts,
                             "features": len(order), "outputs": predicted.shape[1], "rows": len(rows),
                             "words": 1, "contribs": False})


def active_fields(document):
    schema = document[document.index("<MiningSchema>"):document.index("</MiningSchema>")]
    return [m.group(1) for m in re.finditer(r'<MiningField name="([^"]*)"([^>]*)>', schema)
            if "usageType=\"target\"" not in m.group(2)]


def save(name, estimator, x, y, before=None, missing=False, tolerance=1e-12):
    if wanted and name not in wanted:
        return
    from sklearn2pmml import PMMLPipeline, sklearn2pmml
    import sklearn2pmml as package
    pipeline = PMMLPipeline(([("before", before)] if before else []) + [("model", estimator)])
    pipeline.fit(x, y)
    sklearn2pmml(pipeline, name + ".pmml")
    rows = rows_for(name + ".pmml", x, missing)
    write_case(name, name + ".pmml", rows,
               {"producer": "sklearn2pmml " + package.__version__,
                "objective": type(estimator).__name__, "margin_tolerance": tolerance,
                "prediction_tolerance": tolerance})


def encoder():
    return ColumnTransformer([("n", "passthrough", NUMBERS), ("c", OneHotEncoder(), ["c"])])


def sklearn_cases():
    x, y = data()
    binary, classes = (y > 0).astype(int), pd.cut(y, 3, labels=["lo", "mid", "hi"]).astype(str)
    n = x[NUMBERS]
    save("decision_tree", tree.DecisionTreeRegressor(max_depth=4), n, y)
    save("decision_tree_classes", tree.DecisionTreeClassifier(max_depth=4), x, classes, before=encoder())
    save("random_forest", ensemble.RandomForestRegressor(n_estimators=5, max_depth=4, random_state=1), n, y)
    save("random_forest_binary", ensemble.RandomForestClassifier(n_estimators=5, max_depth=4, random_state=1), x,
         binary, before=encoder())
    save("gradient_boosting", ensemble.GradientBoostingRegressor(n_estimators=8, max_depth=3, random_state=1), n, y)
    save("gradient_boosting_binary", ensemble.GradientBoostingClassifier(n_estimators=8, max_depth=3, random_state=1),
         n, binary)
    save("gradient_boosting_classes", ensemble.GradientBoostingClassifier(n_estimators=4, max_depth=3, random_state=1),
         n, classes)
    save("linear", linear_model.LinearRegression(), x, y, before=encoder())
    save("linear_scaled", linear_model.LinearRegression(), n, y, before=StandardScaler())
    save("logistic", linear_model.LogisticRegression(), n, binary)
    save("logistic_classes", linear_model.LogisticRegression(), x, classes, before=encoder())


def booster_cases():
    x, y = data(missing=True)
    binary, classes = (y > 0).astype(int), pd.cut(y, 3, labels=False).astype(int)
    n = x[NUMBERS]
    light = {"n_estimators": 8, "num_leaves": 7, "verbose": -1, "random_state": 1}
    save("lightgbm", lightgbm.LGBMRegressor(**light), n, y, missing=True)
    save("lightgbm_binary", lightgbm.LGBMClassifier(**light), n, binary, missing=True)
    save("lightgbm_classes", lightgbm.LGBMClassifier(**light), n, classes, missing=True)
    save("lightgbm_poisson", lightgbm.LGBMRegressor(objective="poisson", **light), n, np.exp(y), missing=True)
    extreme = {"n_estimators": 8, "max_depth": 4, "random_state": 1}
    save("xgboost", xgboost.XGBRegressor(**extreme), n, y, missing=True, tolerance=1e-6)
    save("xgboost_binary", xgboost.XGBClassifier(**extreme), n, binary, missing=True, tolerance=1e-5)
    save("xgboost_classes", xgboost.XGBClassifier(**extreme), n, classes, missing=True, tolerance=1e-6)


def nyoka_cases():
    try:
        import nyoka
    except ImportError:
        return
    x, y = data()
    binary, n = (y > 0).astype(int), x[NUMBERS]
    for name, estimator, target, convert in [
            ("nyoka_tree", tree.DecisionTreeRegressor(max_depth=4), y, nyoka.skl_to_pmml),
            ("nyoka_forest_binary", ensemble.RandomForestClassifier(n_estimators=5, max_depth=4, random_state=1),
             binary, nyoka.skl_to_pmml),
            ("nyoka_logistic", linear_model.LogisticRegression(), binary, nyoka.skl_to_pmml)]:
        if wanted and name not in wanted:
            continue
        pipeline = Pipeline([("model", estimator)])
        pipeline.fit(n, target)
        convert(pipeline, NUMBERS, "y", name + ".pmml")
        rows = rows_for(name + ".pmml", n, False)
        write_case(name, name + ".pmml", rows,
                   {"producer": "nyoka " + nyoka.__version__, "objective": type(estimator).__name__,
                    "margin_tolerance": 1e-12, "prediction_tolerance": 1e-12})


PLAIN = """<?xml version="1.0"?>
<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4">
<Header/>
<DataDictionary>
<DataField name="a" optype="continuous" dataType="%(type)s"/>
<DataField name="b" optype="continuous" dataType="%(type)s"/>
<DataField name="c" optype="categorical" dataType="string"><Value value="red"/><Value value="green"/><Value value="blue"/></DataField>
<DataField name="y" optype="continuous" dataType="double"/>
</DataDictionary>
%(model)s
</PMML>
"""
SCHEMA = """<MiningSchema>
<MiningField name="a"%s/><MiningField name="b"/><MiningField name="c"%s/><MiningField name="y" usageType="target"/>
</MiningSchema>"""
TREE = """<TreeModel functionName="regression" missingValueStrategy="%s" noTrueChildStrategy="returnLastPrediction">
%s
<Node id="0" score="0.5" recordCount="100"><True/>
<Node id="1" score="1.25" recordCount="40">%s
<Node id="2" score="2" recordCount="15">%s</Node>
<Node id="3" score="3" recordCount="20">%s</Node>
</Node>
<Node id="4" score="-4" recordCount="60"><SimplePredicate field="a" operator="greaterOrEqual" value="0.25"/></Node>
</Node>
</TreeModel>"""
SMALL = '<SimplePredicate field="a" operator="lessThan" value="0.25"/>'
RED = '<SimplePredicate field="c" operator="equal" value="red"/>'
OTHERS = '<SimpleSetPredicate field="c" booleanOperator="isIn"><Array type="string" n="2">"green" blue</Array></SimpleSetPredicate>'
BIG = '<SimplePredicate field="b" operator="greaterThan" value="0.5"/>'
compound = lambda how, *parts: '<CompoundPredicate booleanOperator="%s">%s</CompoundPredicate>' % (how, "".join(parts))
missing = lambda field, word="isMissing": '<SimplePredicate field="%s" operator="%s"/>' % (field, word)


def form(name, model, kind="double", missing_values=True, unseen=False):
    """A document for what the producers above do not write; the answers are JPMML's all the same."""
    if wanted and name not in wanted:
        return
    with open(name + ".pmml", "w") as out:
        out.write(PLAIN % {"type": kind, "model": model})
    rows = rows_for(name + ".pmml", data()[0], missing_values)
    if unseen:
        rows.loc[::5, "c"] = "violet"
    write_case(name, name + ".pmml", rows, {"producer": "make_pmml.py", "objective": "forms",
                                            "margin_tolerance": 1e-14, "prediction_tolerance": 1e-14})


def forms():
    plain = SCHEMA % ("", "")
    for strategy in ["none", "lastPrediction"]:
        form("form_" + strategy.lower(), TREE % (strategy, plain, SMALL, RED, BIG))
    form("form_defaultchild", (TREE % ("defaultChild", plain, SMALL, RED, OTHERS)).replace(
        'id="0"', 'id="0" defaultChild="4"').replace('id="1"', 'id="1" defaultChild="3"'))
    form("form_compounds", TREE % ("none", plain, compound("or", missing("a"), SMALL),
                                   compound("surrogate", RED, "<False/>"),
                                   compound("and", missing("b", "isNotMissing"), BIG)))
    form("form_compounds_of_sets", TREE % ("lastPrediction", plain, compound("surrogate", SMALL, "<True/>"),
                                           compound("or", RED, compound_free("green"), missing("c")), BIG))
    form("form_float", TREE % ("none", plain, SMALL.replace("0.25", "0.1"), RED, BIG.replace("0.5", "0.3")), kind="float")
    form("form_replaced", TREE % ("nullPrediction", SCHEMA % (' missingValueReplacement="0.3"',
                                                            ' missingValueReplacement="red"'), SMALL, RED, OTHERS))
    form("form_invalid_as_is", TREE % ("none", SCHEMA % ("", ' invalidValueTreatment="asIs"'), SMALL, RED,
                                       OTHERS.replace("isIn", "isNotIn")), unseen=True)
    form("form_invalid_as_missing", (TREE % ("defaultChild", SCHEMA % ("", ' invalidValueTreatment="asMissing"'), SMALL,
                                             RED, OTHERS)).replace('id="0"', 'id="0" defaultChild="4"').replace(
                                                 'id="1"', 'id="1" defaultChild="2"'), unseen=True)
    segment = lambda weight, model: '<Segment weight="%s"><True/>%s</Segment>' % (weight, model)
    trees = [TREE % ("none", plain, SMALL, RED, BIG), TREE % ("none", plain, BIG, OTHERS, SMALL)]
    for method in ["sum", "average", "weightedAverage"]:
        form("form_" + method.lower(), '<MiningModel functionName="regression">%s<Targets><Target field="y" rescaleFactor="2.5" '
             'rescaleConstant="-1"/></Targets><Segmentation multipleModelMethod="%s">%s</Segmentation></MiningModel>' % (
                 plain, method, segment(1, trees[0]) + segment(3, trees[1])))
    for link in ["none", "exp", "logit"]:
        form("form_regression_" + link, '<RegressionModel functionName="regression" normalizationMethod="%s">%s'
             '<LocalTransformations><DerivedField name="scaled" optype="continuous" dataType="double"><NormContinuous field="a">'
             '<LinearNorm orig="1" norm="0"/><LinearNorm orig="3" norm="1"/></NormContinuous></DerivedField></LocalTransformations>'
             '<RegressionTable intercept="0.5"><NumericPredictor name="scaled" coefficient="2"/>'
             '<NumericPredictor name="b" coefficient="-0.25"/><CategoricalPredictor name="c" value="red" coefficient="0.75"/>'
             '<CategoricalPredictor name="c" value="blue" coefficient="-1.5"/></RegressionTable></RegressionModel>' % (link, plain),
             missing_values=False)


def compound_free(value):
    return '<SimplePredicate field="c" operator="equal" value="%s"/>' % value


def main():
    sklearn_cases()
    booster_cases()
    nyoka_cases()
    forms()


if __name__ == "__main__":
    main()
