/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_TREE_TREE_TESTING_H
#define IG_KERNELS_TREE_TREE_TESTING_H

/* For tests and benches only: random models and rows that sit on their thresholds. */

#include "base/mem.h"
#include "model/model.h"

#include <math.h>

struct ig_testing_shape {
    uint32_t features;
    uint32_t outputs;
    uint32_t trees;
    uint32_t depth;        /* greatest */
    uint32_t leaf_percent; /* chance that a node above the greatest depth is a leaf */
    uint32_t set_percent;  /* chance that a split is a category set */
    uint32_t thresholds;   /* different values a feature; 0: any */
    uint32_t integers;     /* thresholds are 1, 2, ... up to it; 0: any numbers */
    uint32_t decimals;     /* of thresholds from -100 to 100, without f32 the double next to their
                              middles; 0: any */
    bool f32;              /* XGBoost's rules, else LightGBM's */
    bool missing_kinds;    /* all three, else NaN only */
    bool dart;
    bool leaf_vectors;
    bool linear_leaves;
    bool average;
    enum ig_sum_rule sum_rule;
};

static inline uint64_t ig_testing_u64(uint64_t *seed)
{
    uint64_t z = (*seed += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static inline uint32_t ig_testing_below(uint64_t *seed, uint32_t bound)
{
    return (uint32_t)(ig_testing_u64(seed) % bound);
}

/* Uniform in [-1, 1), rounded to float where the model does. */
static inline double ig_testing_unit(uint64_t *seed, bool f32)
{
    double unit = (double)(int64_t)ig_testing_u64(seed) * 0x1p-63;
    return f32 ? (double)(float)unit : unit;
}

static inline double ig_testing_threshold(const struct ig_testing_shape *shape, uint64_t *seed,
                                          uint32_t feature)
{
    static const double SPECIAL[] = {
        0.0, -0.0, 1.0000000180025095e-35, -1.0000000180025095e-35, 1e-40, 3e38, -3e38, INFINITY};
    uint64_t own = ig_testing_u64(seed);
    if (shape->integers) return (double)(1 + own % shape->integers);
    if (shape->decimals) {
        double power = pow(10, shape->decimals);
        double value = ((double)(own % (uint64_t)(200 * power)) - 100 * power) / power;
        return shape->f32 ? (double)(float)value : nextafter(value + 0.5 / power, INFINITY);
    }
    if (shape->thresholds) {
        own = (uint64_t)feature << 32 | (own % shape->thresholds);
        ig_testing_u64(&own);
    }
    double value = own % 16 ? ig_testing_unit(&own, shape->f32) * 4 : SPECIAL[own / 16 % 8];
    return shape->f32 ? (double)(float)value : value;
}

static inline void ig_testing_split(struct ig_model *model, const struct ig_testing_shape *shape,
                                    uint64_t *seed, struct ig_node *node)
{
    node->feature = ig_testing_below(seed, shape->features);
    node->missing = IG_NODE_MISSING_NAN;
    if (shape->missing_kinds) node->missing = (uint8_t)ig_testing_below(seed, 3);
    node->flags = (uint8_t)ig_testing_below(seed, 2);
    node->op = shape->f32 ? IG_NODE_LT : IG_NODE_LE;
    node->value = ig_testing_threshold(shape, seed, node->feature);
    node->extra = IG_MODEL_NONE;
    if (ig_testing_below(seed, 100) >= shape->set_percent) return;
    node->op = IG_NODE_IN;
    node->extra = ig_testing_below(seed, model->sets_count);
    if (!shape->f32) node->flags |= IG_NODE_SET_LEFT;
}

static inline void ig_testing_leaf(struct ig_model *model, const struct ig_testing_shape *shape,
                                   uint64_t *seed, struct ig_node *node)
{
    node->op = IG_NODE_LEAF;
    node->left = node->right = -1;
    node->value = ig_testing_unit(seed, shape->f32);
    node->extra = IG_MODEL_NONE;
    if (shape->leaf_vectors) node->extra = ig_testing_below(seed, model->leaf_values_count);
    if (shape->linear_leaves && ig_testing_below(seed, 4))
        node->extra = ig_testing_below(seed, model->linear_count);
}

/* Nodes breadth first; `cover` halves unevenly downward. */
static inline void ig_testing_tree(struct ig_model *model, const struct ig_testing_shape *shape,
                                   uint64_t *seed, struct ig_tree *tree)
{
    struct ig_node *nodes = model->nodes + model->nodes_count;
    uint32_t count = 1;
    uint32_t level_end = 1;
    uint32_t depth = 0;
    nodes[0].cover = 64;
    for (uint32_t i = 0; i < count; i++) {
        if (i == level_end) {
            depth++;
            level_end = count;
        }
        double cover = nodes[i].cover;
        if (depth == shape->depth || count > 8000 ||
            ig_testing_below(seed, 100) < shape->leaf_percent) {
            ig_testing_leaf(model, shape, seed, &nodes[i]);
            continue;
        }
        ig_testing_split(model, shape, seed, &nodes[i]);
        nodes[i].left = (int32_t)count++;
        nodes[i].right = (int32_t)count++;
        nodes[nodes[i].left].cover = cover * 0.375;
        nodes[nodes[i].right].cover = cover * 0.625;
    }
    *tree = (struct ig_tree){.first_node = model->nodes_count,
                             .nodes_count = count,
                             .output = ig_testing_below(seed, shape->outputs),
                             .weight = shape->dart ? 0.25 + ig_testing_unit(seed, true) / 8 : 1};
    if (shape->f32) tree->weight = (double)(float)tree->weight;
    model->nodes_count += count;
}

static inline void ig_testing_sides(struct ig_model *model, const struct ig_testing_shape *shape,
                                    uint64_t *seed)
{
    model->sets_count = 12;
    model->sets = ig_arena_array(&model->arena, 12, sizeof *model->sets);
    for (uint32_t i = 0; i < 12; i++) {
        uint32_t words_count = 1 + i % 3;
        uint32_t *words = ig_arena_array(&model->arena, words_count, sizeof *words);
        for (uint32_t w = 0; w < words_count; w++) words[w] = (uint32_t)ig_testing_u64(seed);
        model->sets[i] = (struct ig_category_set){words, words_count * 32 - i};
    }
    model->leaf_values_count = 50;
    model->leaf_values = ig_arena_array(&model->arena, (size_t)50 * shape->outputs, sizeof(double));
    for (uint32_t i = 0; i < 50 * shape->outputs; i++)
        model->leaf_values[i] = ig_testing_unit(seed, shape->f32);
    model->linear_count = 9;
    model->linear = ig_arena_array(&model->arena, 9, sizeof *model->linear);
    for (uint32_t i = 0; i < 9; i++) {
        uint32_t *features = ig_arena_array(&model->arena, 3, sizeof *features);
        double *coefficients = ig_arena_array(&model->arena, 3, sizeof *coefficients);
        for (uint32_t j = 0; j < 3; j++) {
            features[j] = ig_testing_below(seed, shape->features);
            coefficients[j] = ig_testing_unit(seed, false);
        }
        model->linear[i] =
            (struct ig_linear_leaf){ig_testing_unit(seed, false), features, coefficients, i % 4};
    }
}

/* A checked model; NULL when it is refused or memory is out. Freed with ig_model_free. */
static inline struct ig_model *ig_testing_model(const struct ig_testing_shape *shape, uint64_t seed)
{
    struct ig_model *model = ig_model_new((size_t)1 << 30);
    if (!model) return NULL;
    model->features_count = shape->features;
    model->outputs_count = model->predictions_count = shape->outputs;
    model->inputs_f32 = shape->f32;
    model->category_truncates = !shape->f32;
    model->sum_rule = shape->sum_rule;
    model->average = shape->average;
    model->leaf_vectors = shape->leaf_vectors;
    model->linear_leaves = shape->linear_leaves;
    model->iterations_count = shape->trees / shape->outputs + 1;
    size_t most = shape->depth > 11 ? 8010 : ((size_t)2 << shape->depth);
    model->nodes = ig_arena_array(&model->arena, most * shape->trees + 1, sizeof *model->nodes);
    model->trees = ig_arena_array(&model->arena, shape->trees + 1U, sizeof *model->trees);
    model->base_margin = ig_arena_array(&model->arena, shape->outputs, sizeof(double));
    ig_testing_sides(model, shape, &seed);
    for (uint32_t i = 0; i < shape->outputs; i++)
        model->base_margin[i] = shape->f32 ? ig_testing_unit(&seed, true) : 0;
    for (uint32_t i = 0; i < shape->trees; i++)
        ig_testing_tree(model, shape, &seed, &model->trees[model->trees_count++]);
    struct ig_err err = IG_ERR_INIT;
    if (ig_model_check(model, &err) == IG_OK) return model;
    ig_model_free(model);
    return NULL;
}

/* One input: on a threshold of the model, one unit beside it, or at an edge of the type. */
static inline double ig_testing_value(const struct ig_model *model, uint64_t *seed,
                                      uint32_t feature)
{
    static const double EDGES[] = {
        NAN,    INFINITY, -INFINITY,  0.0,  -0.0, 1.0000000180025095e-35, -1.0000000180025095e-35,
        5e-324, 16777216, 16777215.6, -0.5, -1,   2147483648.0,           3,
        31,     1e300};
    uint32_t kind = ig_testing_below(seed, 8);
    if (kind == 0) return EDGES[ig_testing_below(seed, 16)];
    if (kind == 1) return NAN;
    if (kind == 2) return ig_testing_below(seed, 100);
    if (kind == 3) return ig_testing_unit(seed, false) * 4;
    double value = 0;
    for (uint32_t i = 0; i < 50 && model->nodes_count; i++) {
        const struct ig_node *node = &model->nodes[ig_testing_below(seed, model->nodes_count)];
        value = node->value;
        if (node->op != IG_NODE_LEAF && node->feature == feature) break;
    }
    double toward = kind == 4 ? INFINITY : -INFINITY;
    if (kind > 5) return value;
    return model->inputs_f32 ? (double)nextafterf((float)value, (float)toward)
                             : nextafter(value, toward);
}

static inline void ig_testing_rows(const struct ig_model *model, uint64_t seed, size_t rows_count,
                                   double *rows)
{
    for (size_t i = 0; i < rows_count; i++)
        for (uint32_t f = 0; f < model->features_count; f++)
            rows[i * model->features_count + f] = ig_testing_value(model, &seed, f);
}

#endif
