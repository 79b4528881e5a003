/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_LIGHTGBM_PRIV_H
#define IG_FORMATS_LIGHTGBM_PRIV_H

/* The trees of a LightGBM text file, and what its objective line means. Thread rule: one thread. */

#include "base/vec.h"
#include "model/model.h"

struct lgb_numbers {
    double *items;
    size_t count, cap;
};

/* The lines of one tree: views of the file, ptr NULL where the line is absent. */
struct lgb_tree_lines {
    struct ig_str num_leaves, num_cat, split_feature, split_gain, threshold, decision_type,
        left_child, right_child, leaf_value, leaf_weight, leaf_count, internal_weight,
        internal_count, cat_boundaries, cat_threshold, is_linear, leaf_const, num_features,
        leaf_features, leaf_coeff;
};

/* The growing parts of a model until they are moved into its arena. */
struct lgb_builder {
    struct ig_err *err;
    size_t bytes_count; /* of the file: the measure of every cap */
    struct {
        struct ig_node *items;
        size_t count, cap;
    } nodes;
    struct {
        struct ig_tree *items;
        size_t count, cap;
    } trees;
    struct {
        struct lgb_set {
            size_t first_word;
            uint32_t words_count;
        } * items;
        size_t count, cap;
    } sets;
    struct {
        uint32_t *items;
        size_t count, cap;
    } words, linear_features;
    struct {
        struct lgb_linear {
            double constant;
            size_t first;
            uint32_t count;
        } * items;
        size_t count, cap;
    } linear;
    struct lgb_numbers coefficients;
    struct lgb_numbers gains;     /* by node, while every tree has them */
    bool gains_lack, covers_lack; /* some tree has none */
    /* Lines of the tree in hand. */
    struct lgb_numbers split_feature, split_gain, threshold, decision_type, left_child, right_child,
        leaf_value, leaf_cover, internal_cover, cat_boundaries, cat_threshold, leaf_const,
        num_features, leaf_features, leaf_coeff;
};

void lgb_builder_deinit(struct lgb_builder *builder);
bool lgb_builder_add_tree(struct lgb_builder *builder, const struct lgb_tree_lines *lines);
bool lgb_builder_finish(struct lgb_builder *builder, struct ig_model *model);

/* Space-separated numbers; false with err set (`what` names the line). */
bool lgb_parse_numbers(struct lgb_numbers *out, struct ig_str line, const char *what,
                       struct ig_err *err);

struct lgb_objective {
    enum ig_transform transform;
    double parameter;
};

/* The line behind "objective=", e.g. "binary sigmoid:1"; empty means a custom one (identity). */
bool lgb_objective_parse(struct lgb_objective *out, struct ig_str line, struct ig_err *err);

#endif
