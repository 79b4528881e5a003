# SPDX-License-Identifier: Apache-2.0
"""Shared by the generators: adversarial rows and the files of a case (see README.md)."""

import os
import shutil

import numpy as np

FLOAT32_EDGES = [0.0, -0.0, 1e-45, -1e-45, 1.1754942e-38, 3.4028235e38, -3.4028235e38]
FLOAT64_EDGES = [0.0, -0.0, 5e-324, -5e-324, 1e-35, -1e-35, 1.0000000180025095e-35,
                 1e-36, 1.7976931348623157e308, np.inf, -np.inf]
CODE_EDGES = [-1.0, -0.5, 0.5, 2.5, 31.0, 32.0, 33.0, 63.0, 64.0, 1000.0, 16777215.0,
              16777216.0, 2147483647.0, 3e9, 1e20]


def around(value, dtype):
    """The value with its neighbours one unit in the last place below and above."""
    value = dtype(value)
    with np.errstate(over="ignore"):
        return [value, np.nextafter(value, dtype(-np.inf)), np.nextafter(value, dtype(np.inf))]


def adversarial(base, thresholds, categorical, rows, seed, dtype):
    """Rows drawn from base in which about half of the fields are replaced by values on the
    thresholds of their feature, one ulp beside them, missing, or at the edges of the type.
    thresholds: feature -> list of values; categorical: set of feature indices."""
    rng = np.random.default_rng(seed)
    out = base[rng.integers(0, len(base), rows)].astype(dtype)
    edges = FLOAT32_EDGES if dtype is np.float32 else FLOAT64_EDGES
    for row in out[rows // 4:]:
        for j in range(len(row)):
            dice = rng.random()
            if dice < 0.12:
                row[j] = np.nan
            elif dice < 0.24:
                row[j] = rng.choice(CODE_EDGES if j in categorical else edges)
            elif dice < 0.6 and thresholds.get(j):
                row[j] = rng.choice(around(rng.choice(thresholds[j]), dtype))
    out[-1, :] = np.nan
    return out


def text(value):
    if np.isnan(value):
        return ""
    return repr(float(value))


def write_table(path, table, header=None, form="%.17g"):
    table = np.asarray(table)
    if table.ndim == 1:
        table = table.reshape(-1, 1)
    with open(path, "w", newline="\n") as out:
        if header:
            out.write(",".join(header) + "\n")
        for row in table:
            out.write(",".join(text(v) if header else form % v for v in row) + "\n")


def write_leaves(path, leaves):
    leaves = np.asarray(leaves).reshape(len(leaves), -1).astype(int)
    with open(path, "w", newline="\n") as out:
        for row in leaves:
            out.write(",".join(map(str, row)) + "\n")


def peeled(seed, rows, cols, missing, dtype):
    """A table whose target names the first feature above a bound: trees peel off one feature after
    the other, so their paths are long and of different features."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, cols)).astype(dtype)
    above = x > 1.3
    first = np.where(above.any(axis=1), above.argmax(axis=1), cols)
    z = first + rng.normal(size=rows) / 50
    x[rng.random(x.shape) < missing] = np.nan
    return x, z


def write_interventional(path, model, probe, margin, background, header):
    """What shap's interventional values of the ordinary rows are, which are the first quarter: shap
    holds thresholds as floats, so the others might go astray. The tolerance of the case."""
    import shap  # here, since only a few cases need it

    ordinary = probe[:len(probe) // 4]
    explainer = shap.TreeExplainer(model, background, feature_perturbation="interventional")
    values = explainer.shap_values(ordinary, check_additivity=False)
    base = np.full((len(ordinary), 1), float(np.ravel(explainer.expected_value)[0]))
    apart = np.abs(values.sum(axis=1) + base[:, 0] - margin[:len(ordinary)])
    assert np.max(apart / (1 + np.abs(margin[:len(ordinary)]))) < 1e-5, np.max(apart)
    write_table(os.path.join(path, "background.csv"), background, header)
    write_table(os.path.join(path, "interventional.csv"), np.hstack([values, base]), form="%.13g")
    return {"shap": shap.__version__, "interventional_tolerance": 1e-5}


def path_dependent(model, probe, margin):
    """The same as XGBoost's pred_contribs by shap in double, for paths too long for its floats."""
    import shap

    explainer = shap.TreeExplainer(model)
    base = float(np.ravel(explainer.expected_value)[0])
    explainer.model.model_type = "internal"  # or shap asks the library
    values = explainer.shap_values(probe, check_additivity=False)
    apart = np.abs(values.sum(axis=1) + base - margin)
    assert np.max(apart / (1 + np.abs(margin))) < 1e-5, np.max(apart)
    return np.hstack([values, np.full((len(probe), 1), base)])


def new_case(root, library, name):
    path = os.path.join(root, library, name)
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def write_yaml(path, facts):
    with open(os.path.join(path, "case.yaml"), "w", newline="\n") as out:
        for key, value in facts.items():
            if isinstance(value, str):
                value = '"%s"' % value
            elif isinstance(value, bool):
                value = str(value).lower()
            out.write("%s: %s\n" % (key, value))
