#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Importances as XGBoost 3.2.0 and LightGBM 4.7.0 give them for the golden models:
importance.csv, one line a case and kind: case, kind, the value of each feature."""

import glob
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
KINDS = {"split": "weight", "gain": "gain", "total_gain": "total_gain", "cover": "cover",
         "total_cover": "total_cover"}


def of_xgboost(path):
    import xgboost
    booster = xgboost.Booster(model_file=path)
    count = booster.num_features()
    names = booster.feature_names or ["f%d" % i for i in range(count)]
    for kind, theirs in KINDS.items():
        scores = booster.get_score(importance_type=theirs)
        yield kind, [scores.get(name, 0.0) for name in names]


def of_lightgbm(path):
    import lightgbm
    booster = lightgbm.Booster(model_file=path)
    yield "split", booster.feature_importance("split")
    yield "total_gain", booster.feature_importance("gain")


def lines(library, read, file):
    for path in sorted(glob.glob(os.path.join(HERE, library, "*", file))):
        case = os.path.relpath(os.path.dirname(path), HERE)
        # XGBoost 3.2.0 crashes on vector leaves of 2.x, which have no covers.
        if "gblinear" in case or "v2" in case and "vector_leaf" in case:
            continue
        try:
            found = list(read(path))
        except Exception as problem:  # a form that the current library refuses
            print("left out", case, str(problem).split("\n")[0], file=sys.stderr)
            continue
        for kind, values in found:
            yield ",".join([case, kind] + ["%.17g" % v for v in values]) + "\n"


LIBRARIES = {"xgboost": (of_xgboost, "model.json"), "lightgbm": (of_lightgbm, "model.txt")}


def main():
    """A process each: the two libraries do not go together."""
    if len(sys.argv) > 1:
        sys.stdout.writelines(lines(sys.argv[1], *LIBRARIES[sys.argv[1]]))
        sys.stdout.flush()
        os._exit(0)  # without the library's own clean-up, which can fail
    with open(os.path.join(HERE, "importance.csv"), "w") as out:
        for library in LIBRARIES:
            subprocess.run([sys.executable, __file__, library], stdout=out, check=True)


if __name__ == "__main__":
    main()
