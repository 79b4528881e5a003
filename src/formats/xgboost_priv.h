/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_XGBOOST_PRIV_H
#define IG_FORMATS_XGBOOST_PRIV_H

/* The one face that an XGBoost document shows to its reader, whether it is JSON or UBJSON, and the
 * trees' arrays as read. Every function returns false after it has set the source's error. Thread
 * rule: one thread. */

#include "base/json.h"
#include "base/vec.h"
#include "model/model.h"

struct xgb_numbers {
    double *items;
    size_t count, cap;
};

struct xgb_source;

struct xgb_source_ops {
    bool (*object)(struct xgb_source *source, const char *what);
    /* True with the next member's name; false at the object's end or on error. */
    bool (*member)(struct xgb_source *source, struct ig_str *key);
    bool (*array)(struct xgb_source *source, const char *what);
    /* True when another element follows; false at the array's end or on error. */
    bool (*element)(struct xgb_source *source);
    bool (*text)(struct xgb_source *source, struct ig_str *out, const char *what);
    /* A whole array of numbers or booleans; with `as_float` each is rounded once to float. */
    bool (*numbers)(struct xgb_source *source, struct xgb_numbers *out, bool as_float,
                    const char *what);
    bool (*skip)(struct xgb_source *source);
    /* After the document: nothing may follow. */
    bool (*end)(struct xgb_source *source);
    size_t (*position)(const struct xgb_source *source);
};

enum { XGB_DEPTH_MAX = 64 };

/* An open container of a UBJSON document. */
struct xgb_ubjson_level {
    uint64_t left; /* elements still to come when counted */
    uint8_t type;  /* marker of all elements, or 0 */
    bool counted;
    bool object;
};

struct xgb_source {
    const struct xgb_source_ops *ops;
    struct ig_arena *arena; /* of unescaped strings; borrowed */
    struct ig_err *err;
    struct ig_str bytes;
    struct ig_json json;
    size_t at; /* UBJSON: next byte */
    uint32_t depth;
    struct xgb_ubjson_level levels[XGB_DEPTH_MAX];
};

void xgb_source_json(struct xgb_source *source, struct ig_str bytes, struct ig_arena *arena,
                     struct ig_err *err);
void xgb_source_ubjson(struct xgb_source *source, struct ig_str bytes, struct ig_arena *arena,
                       struct ig_err *err);

/* A tree's arrays; the fields of the same names in the file. */
struct xgb_tree_arrays {
    struct xgb_numbers left_children, right_children, split_indices, split_conditions, default_left,
        sum_hessian, loss_changes, base_weights, leaf_weights, split_type, categories,
        categories_nodes, categories_segments, categories_sizes;
    int64_t size_leaf_vector;
    int64_t nodes_count; /* tree_param.num_nodes, -1 when absent */
};

/* The growing parts of a model: owned by the builder until they are copied into the arena. */
struct xgb_builder {
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
        struct xgb_set {
            size_t first_word;
            uint32_t bits;
        } * items;
        size_t count, cap;
    } sets;
    struct {
        uint32_t *items;
        size_t count, cap;
    } words;
    struct xgb_numbers gains;       /* by node, while every tree has them */
    bool gains_lack, covers_lack;   /* some tree has none */
    struct xgb_numbers leaf_values; /* rows of leaf_vector_size */
    int64_t leaf_vector_size;       /* 0 before the first tree, then 1 for scalar leaves */
    struct {
        int32_t *items;
        size_t count, cap;
    } order; /* old node ids in their new order */
    struct {
        int32_t *items;
        size_t count, cap;
    } new_id; /* by old id, -1 = not reached */
};

void xgb_builder_deinit(struct xgb_builder *builder);
/* Adds the tree: validates the arrays, drops unreachable (pruned) nodes, orders the others so that
 * children follow their parent (the file's order where it already is so). */
bool xgb_builder_add_tree(struct xgb_builder *builder, const struct xgb_tree_arrays *arrays);
/* Moves everything into the model's arena. */
bool xgb_builder_finish(struct xgb_builder *builder, struct ig_model *model);

/* What an objective's name means; see xgboost_objective.c. */
struct xgb_objective {
    enum ig_transform transform;
    enum xgb_link { XGB_LINK_NONE, XGB_LINK_LOGIT, XGB_LINK_LOG, XGB_LINK_SOFTPLUS } link;
};

/* `version` is major * 100 + minor, e.g. 107. False when the objective is unknown. */
bool xgb_objective_find(struct ig_str name, int64_t version, struct xgb_objective *out);
/* base[count]: from response to margin, in float as XGBoost does it. False with err set. */
bool xgb_objective_link(const struct xgb_objective *objective, int64_t version, float *base,
                        size_t count, struct ig_err *err);

/* Reads a whole document into a new model. */
enum ig_code xgb_read(struct ig_model **out, struct xgb_source *source, struct ig_err *err);

#endif
