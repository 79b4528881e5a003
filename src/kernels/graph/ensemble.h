/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_GRAPH_ENSEMBLE_H
#define IG_KERNELS_GRAPH_ENSEMBLE_H

/* A node TreeEnsembleClassifier, TreeEnsembleRegressor (ai.onnx.ml 1 to 4) or TreeEnsemble (5) in
 * one plain form: what the graph program walks and what a reader turns into a model of trees. All
 * arrays belong to the arena that they were read into.
 *
 * Source: ONNX operators ai.onnx.ml; what the text leaves open is as in ONNX Runtime. */

#include "model/graph.h"

enum ig_ensemble_mode {
    IG_ENSEMBLE_LEQ,
    IG_ENSEMBLE_LT,
    IG_ENSEMBLE_GTE,
    IG_ENSEMBLE_GT,
    IG_ENSEMBLE_EQ,
    IG_ENSEMBLE_NEQ,
    IG_ENSEMBLE_MEMBER,
    IG_ENSEMBLE_LEAF,
};

enum ig_ensemble_transform {
    IG_ENSEMBLE_NONE,
    IG_ENSEMBLE_SOFTMAX,
    IG_ENSEMBLE_LOGISTIC,
    IG_ENSEMBLE_SOFTMAX_ZERO,
    IG_ENSEMBLE_PROBIT,
};

enum ig_ensemble_aggregate {
    IG_ENSEMBLE_AVERAGE,
    IG_ENSEMBLE_SUM,
    IG_ENSEMBLE_MIN,
    IG_ENSEMBLE_MAX
};

struct ig_ensemble_node {
    double value; /* threshold */
    uint32_t feature;
    uint32_t yes, no; /* nodes; both greater than this node's index */
    uint32_t first;   /* leaf: into weights; MEMBER: into members */
    uint32_t count;
    uint8_t mode;
    bool missing_yes; /* NaN goes to `yes` */
};

struct ig_ensemble_weight {
    double value;
    uint32_t target; /* < targets_count */
};

struct ig_ensemble {
    struct ig_ensemble_node *nodes; /* trees one after another, each root first */
    uint32_t *roots;                /* trees_count */
    struct ig_ensemble_weight *weights;
    double *members;
    double *base; /* base_count: 0, 1 or targets_count */
    uint32_t nodes_count, trees_count, weights_count, members_count, base_count;
    uint32_t targets_count;
    uint32_t features_count; /* greatest feature + 1 */
    bool classifier;
    bool single_class;     /* two labels, all weights of one class: scores are of class 1 alone */
    bool weights_positive; /* no weight is below 0 */
    bool doubles;          /* thresholds, weights and base came as doubles */
    const int64_t *labels; /* targets_count, or NULL */
    const struct ig_str *labels_text;
    enum ig_ensemble_transform transform;
    enum ig_ensemble_aggregate aggregate;
};

/* Fails with the node's name and the attribute at fault. */
enum ig_code ig_ensemble_read(struct ig_ensemble *out, const struct ig_graph_node *node,
                              struct ig_arena *arena, struct ig_err *err);

#endif
