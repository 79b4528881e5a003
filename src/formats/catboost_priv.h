/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_CATBOOST_PRIV_H
#define IG_FORMATS_CATBOOST_PRIV_H

/* What a CatBoost file says, between its two readers (JSON and cbm) and the model. The readers fill
 * a builder, cb_builder_finish turns it into the model. Thread rule: one thread. */

#include "base/json.h"
#include "base/vec.h"
#include "model/model.h"

struct cb_numbers {
    double *items;
    size_t count, cap;
};

/* CatBoost combines the splits of a tree at most. */
enum { CB_PARTS_MAX = 64 };
enum { CB_DEPTH_MAX = 16, CB_FEATURES_MAX = 1 << 20, CB_NODES_MAX = 1 << 28 };

struct cb_float {
    struct ig_str name;
    uint32_t column;    /* flat index: its place in a row */
    bool missing_right; /* nan_value_treatment AsTrue, and the feature had missing values */
    const float *borders;
    uint32_t borders_count;
};

/* A category is known by the low half of the CityHash64 of its text; its code here is the rank of
 * that hash among those which the model tells apart. */
struct cb_category {
    struct ig_str name;
    uint32_t column;
    uint32_t *hashes; /* ascending; by cb_categories_collect */
    uint32_t hashes_count;
};

/* Categories that are compared one by one. */
struct cb_one_hot {
    uint32_t category; /* index of its feature among the categorical ones */
    const int32_t *values;
    uint32_t values_count;
};

enum cb_ctr_type {
    CB_CTR_BORDERS,
    CB_CTR_BUCKETS,
    CB_CTR_MEAN,
    CB_CTR_FLOAT_MEAN,
    CB_CTR_COUNTER,
    CB_CTR_FREQUENCY,
    CB_CTR_TYPES_COUNT
};

/* What training counted for each category of a feature. */
struct cb_table {
    struct ig_str key;    /* what a CTR names it by */
    const uint64_t *keys; /* of its categories: their hashes, scrambled as CatBoost does */
    const double **rows;  /* of each key its `stride` counts */
    uint32_t count, stride;
    int64_t denominator;
    uint32_t category; /* its feature, by cb_categories_collect; IG_MODEL_NONE: no CTR uses it */
    uint32_t *codes;   /* of its categories; IG_MODEL_NONE for a key that no category has */
};

struct cb_part_above {
    uint32_t number; /* which float */
    float border;
};

struct cb_part_equal {
    uint32_t category;
    int32_t value;
};

/* What a statistic is of; in the order in which CatBoost hashes it. */
struct cb_combination {
    uint32_t *categories;
    struct cb_part_above *above;
    struct cb_part_equal *equal;
    uint32_t categories_count, above_count, equal_count;
};

/* A statistic of a categorical feature: (in class + prior) / (all + prior), shifted and scaled. */
struct cb_ctr {
    uint32_t category; /* IG_MODEL_NONE for a combination of features */
    struct cb_combination parts;
    uint32_t column; /* of a combination: of the trees */
    enum cb_ctr_type type;
    struct ig_str key;
    uint32_t table; /* by cb_categories_collect; IG_MODEL_NONE when the file lacks it */
    uint32_t target_border;
    float prior, prior_all, shift, scale;
    const float *borders;
    uint32_t borders_count;
};

struct cb_split {
    bool numbered;   /* `number` runs over the borders of floats, one-hot values, borders of CTRs */
    uint32_t number; /* else: which float; right where it is above the border */
    float border;
};

/* The text of a hash. */
struct cb_word {
    uint32_t hash;
    struct ig_str text;
};

struct cb_builder {
    struct ig_err *err;
    struct ig_model *model;
    struct ig_arena *scratch; /* borrowed: holds the arrays below */
    struct cb_float *floats;
    struct cb_category *categories;
    struct cb_one_hot *one_hots;
    struct cb_ctr *ctrs;
    struct cb_table *tables;
    struct cb_word *words; /* NULL when the file has hashes alone */
    uint32_t floats_count, categories_count, one_hots_count, ctrs_count, tables_count;
    uint32_t combinations_count; /* CTRs that are of several features */
    size_t words_count;
    struct {
        struct cb_split *items;
        size_t count, cap;
    } splits;
    struct {
        struct ig_tree *items;
        size_t count, cap;
    } trees;
    struct {
        struct ig_node
            *items; /* extra: of a split its place in `splits`, of a leaf its row of values */
        size_t count, cap;
    } nodes;
    struct cb_numbers values; /* of leaves, as they come: rows of the model's outputs_count */
    const double *bias;       /* NULL: none given */
    size_t bias_count;
    double scale;
    uint64_t work, work_max; /* of making sets, in entries of tables */
};

void cb_builder_deinit(struct cb_builder *builder); /* the vectors; not the model nor the arena */
/* A tree that asks splits[0..depth) in the order of the bits of a leaf's number, the last one at
 * the root; `weights` of its 2^depth leaves, or NULL; its values are rows from first_value. */
bool cb_builder_add_symmetric(struct cb_builder *builder, const struct cb_split *splits,
                              uint32_t depth, size_t first_value, const double *weights);
/* Ends a tree whose nodes the reader pushed from first_node on, in preorder with children's
 * indices and leaves' covers set: sums the covers. */
bool cb_builder_end_tree(struct cb_builder *builder, size_t first_node);
/* By its `type`, e.g. "RMSE". */
bool cb_builder_set_loss(struct cb_builder *builder, struct ig_str loss);
/* The object of training parameters that comes next: its loss_function. */
bool cb_read_params(struct cb_builder *builder, struct ig_json *json);
bool cb_builder_finish(struct cb_builder *builder); /* the checked model */
bool cb_fail(struct cb_builder *builder, const char *format, ...)
    __attribute__((format(printf, 2, 3))); /* INVALID; false */
bool cb_no_memory(struct cb_builder *builder);
/* UNSUPPORTED: a text or embedding feature; without a name told by its column. */
bool cb_refuse_feature(struct cb_builder *builder, const char *kind, struct ig_str name,
                       int64_t column);

bool cb_ctr_type_parse(struct ig_str name, enum cb_ctr_type *out);
/* Fills each categorical feature's hashes and the model's inputs of them, and ties CTRs to tables.
 */
bool cb_categories_collect(struct cb_builder *builder);
/* The code of a hash; -1 when the model does not know it. */
int32_t cb_category_code(const struct cb_category *category, uint32_t hash);
/* What a CTR is for a category of these counts, and for one that training has not seen. */
float cb_ctr_value(const struct cb_ctr *ctr, const struct cb_table *table, const double *counts);
float cb_ctr_unseen(const struct cb_ctr *ctr, const struct cb_table *table);
/* The CTR's table, when it is there and has the numbers that the type asks for, and its use stays
 * within the work that the file's length allows; else NULL. */
const struct cb_table *cb_ctr_table(struct cb_builder *builder, const struct cb_ctr *ctr);
/* The same text for the same parts, in scratch; ptr NULL: no memory. */
struct ig_str cb_combination_text(struct cb_builder *builder, const struct cb_combination *parts);
/* Gives each combination a column behind the features. */
bool cb_combinations_place(struct cb_builder *builder);
/* Makes builder->model the trees of one that derives the columns of the combinations. */
bool cb_combinations_derive(struct cb_builder *builder);
/* Where a CTR is above a border: its set, and whether members are those above it. */
bool cb_ctr_set(struct cb_builder *builder, const struct cb_ctr *ctr, float border,
                struct ig_category_set *out, bool *members_above);

#endif
