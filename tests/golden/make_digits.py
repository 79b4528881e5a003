#!/usr/bin/env python3
"""Small images for tests of networks: scikit-learn's digits, 8 x 8 cells of 0 to 16 and the class.

Needs scikit-learn (made with 1.9.1). Writes tests/golden/networks/digits.csv: the first 900 of a seeded order.
"""
import os

import numpy as np
from sklearn.datasets import load_digits

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "networks")
os.makedirs(HERE, exist_ok=True)
data = load_digits()
order = np.random.default_rng(1).permutation(len(data.target))[:900]
with open(f"{HERE}/digits.csv", "w") as out:
    out.write(",".join(f"c{i}" for i in range(64)) + ",digit\n")
    for i in order:
        out.write(",".join(str(int(v)) for v in data.data[i]) + f",{data.target[i]}\n")
