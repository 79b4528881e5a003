#!/usr/bin/env python3
"""Golden values of minimal cost-complexity pruning: scikit-learn's trees and the paths that they are pruned along.

Needs scikit-learn (made with 1.9.1). Writes tests/golden/pruning/trees.csv (a node a line: its values are a leaf's
mean, or its classes' shares) and paths.csv (alpha, and the leaves of the tree fitted with a little more than it).
"""
import os

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pruning")
CASES = [("regression", DecisionTreeRegressor, load_diabetes, {"min_samples_leaf": 8}),
         ("binary", DecisionTreeClassifier, load_breast_cancer, {}),
         ("multiclass", DecisionTreeClassifier, load_iris, {"max_depth": 6})]


def write_case(name, kind, load, options, trees, paths):
    data = load()
    rows, labels = data.data.astype(np.float32), data.target
    tree = kind(random_state=0, **options).fit(rows, labels).tree_
    for node in range(tree.node_count):
        values = " ".join("%.17g" % value for value in tree.value[node].ravel())
        trees.write(f"{name},{node},{tree.children_left[node]},{tree.children_right[node]},{max(tree.feature[node], 0)},"
                    f"{tree.threshold[node]:.17g},{tree.weighted_n_node_samples[node]:.17g},{values}\n")
    path = kind(random_state=0, **options).cost_complexity_pruning_path(rows, labels)
    # Equal ones in a row are one step; the last alpha leaves the root.
    alphas = [alpha for alpha, after in zip(path.ccp_alphas, list(path.ccp_alphas[1:]) + [np.inf])
              if after - alpha > 1e-9]
    for alpha in alphas:
        small = kind(random_state=0, ccp_alpha=alpha + 1e-10, **options).fit(rows, labels)
        paths.write(f"{name},{alpha:.17g},{small.get_n_leaves()}\n")


def main():
    os.makedirs(HERE, exist_ok=True)
    with open(f"{HERE}/trees.csv", "w") as trees, open(f"{HERE}/paths.csv", "w") as paths:
        trees.write("case,node,left,right,feature,threshold,cover,values\n")
        paths.write("case,alpha,leaves\n")
        for case in CASES:
            write_case(*case, trees, paths)


main()
