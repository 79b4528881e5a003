/* SPDX-License-Identifier: Apache-2.0 */
/* Cells of each feature and the trees over cells. */
#include "base/mem.h"
#include "kernels/explain/counterfactual_priv.h"
#include "kernels/tree/tree_predict_walk.h"
#include "kernels/tree/tree_shap_leaf.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const size_t ARENA_MAX = (size_t)2 << 30;

struct builder {
    struct ig_counterfactual_space *space;
    const uint32_t *categories_count;
    bool *is_category,
        *has_zero; /* features; has_zero: some node takes values near 0 for missing */
    uint32_t masks_count;
    struct ig_err *err;
};

static enum ig_code no_memory(struct ig_err *err)
{
    return ig_fail(err, IG_NO_MEMORY, "no memory for counterfactuals");
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The least value that goes right. */
static double boundary(const struct ig_model *model, const struct ig_node *node)
{
    if (node->op == IG_NODE_LT) return node->value;
    return model->inputs_f32 ? (double)nextafterf((float)node->value, INFINITY)
                             : nextafter(node->value, INFINITY);
}

static bool survey(struct builder *builder)
{
    const struct ig_model *model = builder->space->model;
    for (uint32_t i = 0; i < model->nodes_count; i++) {
        const struct ig_node *node = &model->nodes[i];
        if (node->op == IG_NODE_LEAF) continue;
        uint32_t *count = &builder->space->features[node->feature].nodes_count;
        if (*count && builder->is_category[node->feature] != (node->op == IG_NODE_IN)) {
            ig_fail(builder->err, IG_UNSUPPORTED,
                    "counterfactual: feature %u is split by sets and by thresholds", node->feature);
            return false;
        }
        ++*count;
        builder->is_category[node->feature] = node->op == IG_NODE_IN;
        builder->has_zero[node->feature] |= node->missing == IG_NODE_MISSING_ZERO;
    }
    return true;
}

/* Codes that some set names, when the caller knows no count. */
static uint32_t codes_of(const struct builder *builder, uint32_t feature)
{
    const struct ig_model *model = builder->space->model;
    uint32_t count = builder->categories_count ? builder->categories_count[feature] : 0;
    for (uint32_t i = 0; count == 0 && i < model->nodes_count; i++) {
        const struct ig_node *node = &model->nodes[i];
        if (node->op != IG_NODE_IN || node->feature != feature) continue;
        const struct ig_category_set *set = &model->sets[node->extra];
        for (uint32_t code = set->bits; code-- > 0;)
            if (set->words[code / 32] >> code % 32 & 1) {
                if (code + 1 > count) count = code + 1;
                break;
            }
    }
    return count;
}

static bool add_cuts(struct builder *builder)
{
    struct ig_counterfactual_space *space = builder->space;
    const struct ig_model *model = space->model;
    for (uint32_t f = 0; f < model->features_count; f++) {
        struct cf_feature *own = &space->features[f];
        if (builder->is_category[f]) continue;
        own->lows = ig_arena_array(&space->arena, own->nodes_count + (size_t)3, sizeof(double));
        if (!own->lows) return false;
        own->lows[own->cells++] = -INFINITY;
        if (!builder->has_zero[f]) continue;
        own->lows[own->cells++] = -IG_TREE_ZERO;
        own->lows[own->cells++] = nextafter(IG_TREE_ZERO, INFINITY);
    }
    for (uint32_t i = 0; i < model->nodes_count; i++) {
        const struct ig_node *node = &model->nodes[i];
        struct cf_feature *own = &space->features[node->feature];
        if (node->op != IG_NODE_LEAF && own->lows) own->lows[own->cells++] = boundary(model, node);
    }
    return true;
}

static bool find_cells(struct builder *builder)
{
    struct ig_counterfactual_space *space = builder->space;
    if (!add_cuts(builder)) return false;
    for (uint32_t f = 0; f < space->model->features_count; f++) {
        struct cf_feature *own = &space->features[f];
        uint32_t count = own->cells;
        if (builder->is_category[f]) {
            own->cells = codes_of(builder, f) + 1;
        } else {
            qsort(own->lows, count, sizeof *own->lows, compare_doubles);
            own->cells = 1;
            for (uint32_t i = 1; i < count; i++)
                if (own->lows[i] > own->lows[own->cells - 1])
                    own->lows[own->cells++] = own->lows[i];
        }
        own->is_masked = builder->is_category[f] || builder->has_zero[f];
        if (own->is_masked) builder->masks_count += own->nodes_count * ((own->cells + 63) / 64);
    }
    space->masks = ig_arena_zalloc(&space->arena, (builder->masks_count + (size_t)1) * 8);
    builder->masks_count = 0;
    return space->masks != NULL;
}

/* A value of the cell, as a row may hold it. */
static double value_in(const struct cf_feature *feature, uint32_t cell)
{
    if (!feature->lows) return cell + 1 == feature->cells ? -1.0 : (double)cell;
    if (cell > 0) return feature->lows[cell];
    return feature->cells > 1 ? -INFINITY : 0;
}

static void fill_decision(struct builder *builder, struct cf_node *own, const struct ig_node *node)
{
    struct ig_counterfactual_space *space = builder->space;
    const struct cf_feature *feature = &space->features[node->feature];
    own->missing_left = ig_tree_goes_left(space->model, node, NAN);
    if (!feature->is_masked) {
        double cut = boundary(space->model, node);
        uint32_t low = 0, high = feature->cells;
        while (low < high) { /* the first cell from `cut` on */
            uint32_t mid = low + (high - low) / 2;
            if (feature->lows[mid] < cut)
                low = mid + 1;
            else
                high = mid;
        }
        own->cut = low;
        return;
    }
    own->mask = builder->masks_count;
    builder->masks_count += (feature->cells + 63) / 64;
    for (uint32_t cell = 0; cell < feature->cells; cell++)
        if (ig_tree_goes_left(space->model, node, value_in(feature, cell)))
            space->masks[own->mask + cell / 64] |= (uint64_t)1 << cell % 64;
}

/* One tree of one output; children lie behind their parents. */
static void add_tree(struct builder *builder, const struct ig_tree *tree, uint32_t output)
{
    struct ig_counterfactual_space *space = builder->space;
    const struct ig_node *nodes = space->model->nodes + tree->first_node;
    uint32_t first = space->nodes_count;
    space->trees[space->trees_count++] = (struct cf_tree){first, output};
    if (tree->depth > space->depth_max) space->depth_max = tree->depth;
    space->nodes[first].parent = CF_NONE;
    for (uint32_t i = 0; i < tree->nodes_count; i++) {
        struct cf_node *own = &space->nodes[first + i];
        uint32_t parent = own->parent;
        *own =
            (struct cf_node){.feature = CF_NONE, .mask = CF_NONE, .parent = i ? parent : CF_NONE};
        if (nodes[i].op == IG_NODE_LEAF) {
            own->value = own->least = own->most =
                ig_tree_shap_leaf_value(space->model, tree, &nodes[i], output);
            continue;
        }
        own->feature = nodes[i].feature;
        own->left = first + (uint32_t)nodes[i].left;
        own->right = first + (uint32_t)nodes[i].right;
        space->nodes[own->left].parent = space->nodes[own->right].parent = first + i;
        fill_decision(builder, own, &nodes[i]);
    }
    for (uint32_t i = tree->nodes_count; i-- > 0;) {
        struct cf_node *own = &space->nodes[first + i];
        if (own->feature == CF_NONE) continue;
        const struct cf_node *left = &space->nodes[own->left], *right = &space->nodes[own->right];
        own->least = fmin(left->least, right->least);
        own->most = fmax(left->most, right->most);
    }
    space->nodes_count += tree->nodes_count;
}

static bool compile(struct builder *builder)
{
    struct ig_counterfactual_space *space = builder->space;
    const struct ig_model *model = space->model;
    size_t each = model->leaf_vectors ? model->outputs_count : 1, nodes, trees;
    if (!ig_mul(&nodes, model->nodes_count, each) || !ig_mul(&trees, model->trees_count, each) ||
        nodes >= CF_MISSING)
        return false;
    space->nodes = ig_arena_array(&space->arena, nodes + 1, sizeof *space->nodes);
    space->trees = ig_arena_array(&space->arena, trees + 1, sizeof *space->trees);
    if (space->arena.overflowed) return false;
    for (uint32_t t = 0; t < model->trees_count; t++) {
        uint32_t masks = builder->masks_count;
        for (uint32_t o = 0; o < each; o++) {
            builder->masks_count = masks; /* the same decisions for every output */
            add_tree(builder, &model->trees[t], model->leaf_vectors ? o : model->trees[t].output);
        }
    }
    return true;
}

/* ---- scales ---- */

static double median_of(double *sorted, size_t count)
{
    qsort(sorted, count, sizeof *sorted, compare_doubles);
    return count % 2 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

/* Median absolute deviation, else standard deviation; 0 when all are equal. */
double cf_spread(const struct ig_background *background, uint32_t feature, double *scratch)
{
    size_t count = 0;
    double mean = 0, squares = 0;
    for (size_t i = 0; i < background->rows_count; i++) {
        double value = background->rows[i * background->features_count + feature];
        if (isfinite(value)) scratch[count++] = value;
    }
    if (count == 0) return 0;
    double middle = median_of(scratch, count);
    for (size_t i = 0; i < count; i++) {
        double off = scratch[i] - middle;
        mean += off / (double)count;
        squares += off * off / (double)count;
        scratch[i] = fabs(off);
    }
    double deviation = median_of(scratch, count);
    return deviation > 0 ? deviation : sqrt(fmax(0, squares - mean * mean));
}

/* Half the distance between the quartiles of the thresholds. */
static double cut_spread(const struct cf_feature *feature)
{
    uint32_t cuts = feature->cells - 1;
    if (!feature->lows || cuts < 2) return 0;
    return (feature->lows[1 + cuts * 3 / 4 - (cuts * 3 / 4 == cuts)] -
            feature->lows[1 + cuts / 4]) /
           2;
}

static bool find_scales(struct ig_counterfactual_space *space,
                        const struct ig_background *background)
{
    double *scratch = NULL;
    if (background) scratch = ig_zalloc_array(background->rows_count, sizeof *scratch);
    if (background && !scratch) return false;
    for (uint32_t f = 0; f < space->model->features_count; f++) {
        struct cf_feature *own = &space->features[f];
        double scale = background ? cf_spread(background, f, scratch) : 0;
        if (!(scale > 0)) scale = cut_spread(own);
        own->scale = scale > 0 && isfinite(scale) ? scale : 1;
    }
    ig_free(scratch);
    return true;
}

enum ig_code ig_counterfactual_space_new(struct ig_counterfactual_space **out,
                                         const struct ig_engine *engine,
                                         const struct ig_background *background,
                                         const uint32_t *categories_count, struct ig_err *err)
{
    const struct ig_model *model = ig_engine_model(engine);
    if (model->kind != IG_MODEL_TREES || model->linear_leaves)
        return ig_fail(err, IG_UNSUPPORTED,
                       "counterfactual: the model is no ensemble of trees with constant leaves");
    if (background && background->features_count != model->features_count)
        return ig_fail(err, IG_INVALID, "background: %u features, the model has %u",
                       background->features_count, model->features_count);
    struct ig_counterfactual_space *space = ig_zalloc(sizeof *space);
    if (!space) return no_memory(err);
    ig_arena_init(&space->arena, 1 << 16, ARENA_MAX);
    space->engine = engine;
    space->model = model;
    size_t features = model->features_count + (size_t)1;
    struct builder builder = {space,
                              categories_count,
                              ig_arena_zalloc(&space->arena, features),
                              ig_arena_zalloc(&space->arena, features),
                              0,
                              err};
    space->features = ig_arena_zalloc(&space->arena, features * sizeof *space->features);
    if (space->arena.overflowed || !survey(&builder) || !find_cells(&builder) ||
        !compile(&builder) || !find_scales(space, background)) {
        ig_counterfactual_space_free(space);
        return err->code == IG_OK ? no_memory(err) : err->code;
    }
    *out = space;
    return IG_OK;
}

void ig_counterfactual_space_free(struct ig_counterfactual_space *space)
{
    if (!space) return;
    ig_arena_deinit(&space->arena);
    ig_free(space);
}

size_t ig_counterfactual_space_memory_bytes(const struct ig_counterfactual_space *space)
{
    return sizeof *space + space->arena.held_bytes;
}

double ig_counterfactual_scale(const struct ig_counterfactual_space *space, uint32_t feature)
{
    return space->features[feature].scale;
}
