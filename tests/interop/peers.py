# SPDX-License-Identifier: Apache-2.0
"""The models that the interop suite trains with the libraries, and adversarial rows for them.

Real tables come from INGOT_SHARED_DIR (by default ../shared beside the source); where they are
absent, synthetic tables of the same shape stand in."""

import json
import os

import lightgbm as lgb
import numpy as np
import pandas as pd
import xgboost as xgb

import program

SHARED = os.environ.get("INGOT_SHARED_DIR", os.path.join(program.ROOT, "..", "shared"))
FLOAT_MAX = np.finfo(np.float32).max
CODES = [-1.0, -0.5, 0.5, 2.5, 31.0, 32.0, 64.0, 1000.0, 16777215.0, 16777216.0, 3e9, 1e20]


class Model:
    """One trained model: its file, its training table, and the library's answers."""

    def __init__(self, name, file, base, names, codes, thresholds):
        self.name, self.file, self.base, self.names = name, file, base, names
        self.codes, self.thresholds = codes, thresholds
        self.explains = True

    def margin(self, x):
        raise NotImplementedError

    def contribs(self, x):
        raise NotImplementedError


class XgboostModel(Model):
    dtype = np.float32

    def __init__(self, name, directory, params, table, rounds):
        base, y, names, codes = table
        self.types = ["c" if j in codes else "q" for j in range(base.shape[1])]
        params = {"nthread": 1, "seed": 1, **params}
        trained = xgb.train(params, self.matrix(base.astype(np.float32), names, y), rounds)
        file = os.path.join(directory, name + (".ubj" if "ubj" in name else ".json"))
        trained.save_model(file)
        self.booster = xgb.Booster({"nthread": 1}, model_file=file)
        self.linear = params.get("booster") == "gblinear"
        super().__init__(name, file, base.astype(np.float32), names, codes,
                         {} if self.linear else self.cuts(trained))

    def matrix(self, x, names, y=None):
        return xgb.DMatrix(x, y, feature_names=names, feature_types=self.types,
                           enable_categorical=True, nthread=1)

    @staticmethod
    def cuts(booster):
        gradient = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]
        found = {}
        for tree in gradient.get("gbtree", gradient)["model"]["trees"]:
            for left, j, cut, kind in zip(tree["left_children"], tree["split_indices"],
                                          tree["split_conditions"], tree["split_type"]):
                if left != -1 and not kind:
                    found.setdefault(j, set()).add(np.float32(cut))
        return {j: np.array(sorted(cuts), np.float32) for j, cuts in found.items()}

    def edges(self):
        """A DMatrix refuses infinities; trees treat them as the greatest floats (see lent)."""
        beyond = [] if self.linear else [np.inf, -np.inf, FLOAT_MAX, -FLOAT_MAX]
        return [0.0, -0.0, 1e-45, -1e-45, 1.1754942e-38, *beyond]

    def lent(self, x):
        return np.where(np.isinf(x), np.copysign(FLOAT_MAX, x), x).astype(np.float32)

    def margin(self, x):
        d = self.matrix(self.lent(x), self.names)
        return self.booster.predict(d, output_margin=True).reshape(len(x), -1).astype(float)

    def contribs(self, x):
        d = self.matrix(self.lent(x), self.names)
        return self.booster.predict(d, pred_contribs=True).reshape(len(x), -1).astype(float)


class LightgbmModel(Model):
    dtype = np.float64

    def __init__(self, name, directory, params, table, rounds):
        base, y, names, codes = table
        params = {"num_threads": 1, "seed": 1, "verbosity": -1, "deterministic": True, **params}
        data = lgb.Dataset(base, y, feature_name=names, categorical_feature=sorted(codes),
                           params={"verbosity": -1}, free_raw_data=False)
        file = os.path.join(directory, name + ".txt")
        lgb.train(params, data, rounds).save_model(file, num_iteration=-1)
        self.booster = lgb.Booster(model_file=file)
        self.scale = rounds if params.get("boosting") == "rf" else 1
        super().__init__(name, file, base, names, codes, self.cuts(file))
        self.explains = not params.get("linear_tree")

    @staticmethod
    def cuts(file):
        found = {}
        with open(file, encoding="utf-8") as lines:
            for line in lines:
                key, _, value = line.partition("=")
                if key == "split_feature":
                    features = [int(j) for j in value.split()]
                elif key == "threshold":
                    cuts = [float(cut) for cut in value.split()]
                elif key == "decision_type":
                    for j, cut, kind in zip(features, cuts, value.split()):
                        if not int(kind) & 1:
                            found.setdefault(j, set()).add(cut)
        return {j: np.array(sorted(cuts)) for j, cuts in found.items()}

    def edges(self):
        return [0.0, -0.0, 5e-324, 1e-36, -1e-36, 1e-35, 1.0000000180025095e-35,
                1.0000000180025098e-35, np.inf, -np.inf, 1.7976931348623157e308]

    def margin(self, x):
        """The mean over iterations for random forests, whose raw_score is the sum."""
        out = self.booster.predict(x, raw_score=True, num_threads=1) / self.scale
        return out.reshape(len(x), -1)

    def contribs(self, x):
        out = self.booster.predict(x, pred_contrib=True, num_threads=1) / self.scale
        return out.reshape(len(x), -1)


def read_table(name, target, drop=(), scale=1.0):
    """Features as doubles (words as codes), target, names, and the indices of coded columns."""
    path = os.path.join(SHARED, "data", name)
    if not os.path.exists(path):
        return synthetic(target)
    frame = pd.read_csv(path).drop(columns=list(drop))
    y = frame.pop(target)
    if not pd.api.types.is_numeric_dtype(y):
        y = pd.Categorical(y).codes
    codes = set()
    for j, column in enumerate(frame.columns):
        if not pd.api.types.is_numeric_dtype(frame[column]):
            code = pd.Categorical(frame[column]).codes.astype(float)
            code[code < 0] = np.nan
            frame[column] = code
            codes.add(j)
    return frame.to_numpy(float), np.asarray(y, float) / scale, list(frame.columns), codes


def synthetic(seed, rows=10000):
    rng = np.random.default_rng(len(seed))
    x = rng.normal(size=(rows, 10))
    x[:, 3] = rng.integers(0, 50, rows)
    z = x[:, 0] + x[:, 1] * x[:, 2] + (x[:, 3] * 7 % 5 > 2)
    x[rng.random(x.shape) < 0.05] = np.nan
    return x, (z > z.mean()).astype(float), ["f%d" % j for j in range(10)], {3}


def plan():
    """Name, class, share of the rows in thousands, parameters, table, rounds."""
    adult = read_table("adult.csv.gz", "income")
    homes = read_table("california_housing.csv", "median_house_value", scale=1e5)
    cover = read_table("covertype_10k.csv", "Cover_Type")
    kinds = len(np.unique(cover[1]))
    cover = (cover[0], np.unique(cover[1], return_inverse=True)[1], cover[2], cover[3])
    higgs = read_table("higgs_7k.csv", "signal")
    bike = read_table("bike_hourly.csv", "cnt", drop=["dteday"])
    gems = read_table("diamonds.csv.gz", "price", scale=1000)
    tree = {"tree_method": "hist", "max_depth": 6}
    forest = {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.7, "objective": "binary"}
    classes = {"num_class": kinds}
    return [
        ("xgb_adult", XgboostModel, 130, {"objective": "binary:logistic", **tree}, adult, 100),
        ("xgb_onehot_ubj", XgboostModel, 60,
         {"objective": "binary:logistic", "max_cat_to_onehot": 100, **tree}, adult, 50),
        ("xgb_homes", XgboostModel, 150,
         {"objective": "reg:squarederror", "tree_method": "hist", "max_depth": 8}, homes, 100),
        ("xgb_cover", XgboostModel, 30, {"objective": "multi:softprob", **classes, **tree}, cover,
         15),
        ("xgb_dart_higgs", XgboostModel, 50,
         {"objective": "binary:logistic", "booster": "dart", "rate_drop": 0.2, **tree}, higgs, 40),
        ("xgb_poisson", XgboostModel, 80, {"objective": "count:poisson", **tree}, bike, 60),
        ("xgb_linear", XgboostModel, 20,
         {"objective": "reg:squarederror", "booster": "gblinear"}, (*bike[:3], set()),
         20),
        ("lgb_adult", LightgbmModel, 130, {"objective": "binary"}, adult, 100),
        ("lgb_linear_homes", LightgbmModel, 70,
         {"objective": "regression", "linear_tree": True}, homes, 60),
        ("lgb_zero_bike", LightgbmModel, 100,
         {"objective": "poisson", "zero_as_missing": True}, bike, 80),
        ("lgb_gems", LightgbmModel, 100, {"objective": "regression", "use_missing": False}, gems,
         100),
        ("lgb_cover", LightgbmModel, 30, {"objective": "multiclass", **classes}, cover, 15),
        ("lgb_forest", LightgbmModel, 50, forest, higgs, 40),
    ]


def adversarial(model, rows, seed):
    """Rows of the training table in which about half of the fields lie on a threshold of the
    model or one ulp beside it, are missing, or are at an edge of the type."""
    rng = np.random.default_rng(seed)
    out = model.base[rng.integers(0, len(model.base), rows)].copy()
    kind = model.dtype
    for j in range(out.shape[1]):
        dice = rng.random(rows)
        cuts = model.thresholds.get(j)
        if cuts is not None:
            pick = np.flatnonzero(dice < 0.4)
            value = rng.choice(cuts, len(pick))
            side = rng.integers(0, 3, len(pick))
            value = np.where(side == 1, np.nextafter(value, kind(-np.inf)), value)
            out[pick, j] = np.where(side == 2, np.nextafter(value, kind(np.inf)), value)
        out[(dice >= 0.4) & (dice < 0.47), j] = np.nan
        pick = np.flatnonzero((dice >= 0.47) & (dice < 0.54))
        out[pick, j] = rng.choice(CODES if j in model.codes else model.edges(), len(pick))
    return out


def write_table(path, names, x):
    with open(path, "w", encoding="utf-8", newline="\n") as out:
        out.write(",".join(names) + "\n")
        for start in range(0, len(x), 10000):
            rows = x[start:start + 10000].astype(float).tolist()
            text = "\n".join(",".join(map(repr, row)) for row in rows)
            out.write(text.replace("nan", "") + "\n")
