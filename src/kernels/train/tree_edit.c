/* SPDX-License-Identifier: Apache-2.0 */
/* The working copy: three arrays by node beside the model, which stays. Stateless. */
#include "kernels/train/tree_edit.h"

#include <string.h>

enum { CHUNK = 64 * 1024 };

static void fill(struct ig_tree_edit *edit)
{
    const struct ig_model *model = edit->model;
    uint32_t width = edit->width;
    edit->splits_count = edit->leaves_count = edit->trees_count = 0;
    for (uint32_t t = 0; t < model->trees_count; t++) {
        const struct ig_tree *tree = &model->trees[t];
        double scale = tree->weight / (model->average ? (double)model->iterations_count : 1);
        for (uint32_t i = tree->first_node; i < tree->first_node + tree->nodes_count; i++) {
            const struct ig_node *node = &model->nodes[i];
            edit->kinds[i] = node->op == IG_NODE_LEAF ? IG_TREE_LEAF : IG_TREE_SPLIT;
            edit->thresholds[i] = node->value;
            if (node->op != IG_NODE_LEAF) {
                edit->splits_count++;
                continue;
            }
            const double *own = model->leaf_vectors
                                    ? model->leaf_values + (size_t)node->extra * width
                                    : &node->value;
            for (uint32_t w = 0; w < width; w++)
                edit->values[(size_t)i * width + w] = own[w] * scale;
        }
        if (tree->nodes_count == 1) continue;
        edit->trees_count++;
        edit->leaves_count += (tree->nodes_count + 1) / 2;
    }
}

enum ig_code ig_tree_edit_init(struct ig_tree_edit *edit, const struct ig_model *model,
                               struct ig_err *err)
{
    *edit = (struct ig_tree_edit){.model = model};
    ig_arena_init(&edit->arena, CHUNK, SIZE_MAX);
    if (model->kind != IG_MODEL_TREES)
        return ig_fail(err, IG_UNSUPPORTED, "only tree ensembles can be pruned");
    if (model->linear_leaves)
        return ig_fail(err, IG_UNSUPPORTED,
                       "trees whose leaves are linear models stay as they are");
    size_t count = (size_t)model->nodes_count + 1;
    edit->width = model->leaf_vectors ? model->outputs_count : 1;
    edit->kinds = ig_arena_array(&edit->arena, count, 1);
    edit->thresholds = ig_arena_array(&edit->arena, count, sizeof(double));
    edit->values = ig_arena_array(&edit->arena, count, edit->width * sizeof(double));
    if (edit->arena.overflowed || !edit->values)
        return ig_fail(err, IG_NO_MEMORY, "no memory for %u nodes", model->nodes_count);
    fill(edit);
    return IG_OK;
}

void ig_tree_edit_deinit(struct ig_tree_edit *edit)
{
    ig_arena_deinit(&edit->arena);
}

void ig_tree_edit_reset(struct ig_tree_edit *edit)
{
    fill(edit);
}

void ig_tree_edit_cut(struct ig_tree_edit *edit, uint32_t tree, uint32_t node)
{
    const struct ig_tree *own = &edit->model->trees[tree];
    uint32_t splits = 0;
    IG_ASSERT(edit->kinds[node] == IG_TREE_SPLIT);
    edit->kinds[node] = IG_TREE_LEAF;
    /* Children follow their parent, so one pass marks what is below. */
    for (uint32_t i = node; i < own->first_node + own->nodes_count; i++) {
        const struct ig_node *at = &edit->model->nodes[i];
        if (at->op == IG_NODE_LEAF || (i != node && edit->kinds[i] != IG_TREE_GONE)) continue;
        splits += i == node;
        uint32_t children[] = {own->first_node + (uint32_t)at->left,
                               own->first_node + (uint32_t)at->right};
        for (int c = 0; c < 2; c++) {
            splits += edit->kinds[children[c]] == IG_TREE_SPLIT;
            edit->kinds[children[c]] = IG_TREE_GONE;
        }
    }
    edit->splits_count -= splits;
    edit->leaves_count -= splits;
    if (node != own->first_node) return;
    edit->leaves_count--;
    edit->trees_count--;
}

/* ---- as a model ---- */

struct build {
    const struct ig_tree_edit *edit;
    struct ig_model *model;
    int32_t *places; /* by the old model's node: its new number within its tree */
};

static double rounded(const struct build *build, double value)
{
    return build->model->inputs_f32 ? (double)(float)value : value;
}

static void *copy(struct ig_arena *arena, const void *items, size_t count, size_t bytes)
{
    void *made = ig_arena_array(arena, count + 1, bytes);
    if (made && count) memcpy(made, items, count * bytes);
    return made;
}

static const struct ig_str *copy_texts(struct ig_arena *arena, const struct ig_str *texts,
                                       size_t count)
{
    struct ig_str *made = ig_arena_array(arena, count + 1, sizeof *made);
    for (size_t i = 0; made && i < count; i++) made[i] = ig_arena_dup(arena, texts[i]);
    return made;
}

static void copy_inputs(struct build *build)
{
    const struct ig_model *from = build->edit->model;
    struct ig_arena *arena = &build->model->arena;
    if (!from->inputs) return;
    struct ig_input *inputs = copy(arena, from->inputs, from->features_count, sizeof *inputs);
    build->model->inputs = inputs;
    for (uint32_t f = 0; inputs && f < from->features_count; f++) {
        const struct ig_input *own = &from->inputs[f];
        inputs[f].name = ig_arena_dup(arena, own->name);
        if (own->categories)
            inputs[f].categories = copy_texts(arena, own->categories, own->categories_count);
        if (own->category_hashes)
            inputs[f].category_hashes =
                copy(arena, own->category_hashes, own->categories_count, sizeof(uint32_t));
    }
}

static void copy_facts(struct build *build)
{
    const struct ig_model *from = build->edit->model;
    struct ig_model *model = build->model;
    model->sum_rule = from->sum_rule == IG_SUM_F64 ? IG_SUM_F64 : IG_SUM_F32_BASE_FIRST;
    model->inputs_f32 = from->inputs_f32;
    model->category_truncates = from->category_truncates;
    model->leaf_vectors = from->leaf_vectors;
    model->features_count = from->features_count;
    model->outputs_count = from->outputs_count;
    model->predictions_count = from->predictions_count;
    model->covers_counted = from->covers_counted;
    model->transform = from->transform;
    model->transform_parameter = from->transform_parameter;
    model->objective = ig_arena_dup(&model->arena, from->objective);
    model->source_version = ig_arena_dup(&model->arena, from->source_version);
    if (from->classes)
        model->classes = copy_texts(&model->arena, from->classes,
                                    from->outputs_count == 1 ? 2 : from->outputs_count);
    copy_inputs(build);
}

static bool allocate(struct build *build)
{
    const struct ig_tree_edit *edit = build->edit;
    struct ig_model *model = build->model;
    struct ig_arena *arena = &model->arena;
    size_t nodes = (size_t)edit->splits_count + edit->leaves_count;
    model->nodes = ig_arena_array(arena, nodes + 1, sizeof *model->nodes);
    model->trees = ig_arena_array(arena, (size_t)edit->trees_count + 1, sizeof *model->trees);
    model->base_margin = ig_arena_array(arena, model->outputs_count, sizeof(double));
    if (edit->model->gains) model->gains = ig_arena_array(arena, nodes + 1, sizeof(double));
    if (model->leaf_vectors)
        model->leaf_values =
            ig_arena_array(arena, (size_t)edit->leaves_count + 1, edit->width * sizeof(double));
    model->sets = ig_arena_array(arena, (size_t)edit->model->sets_count + 1, sizeof *model->sets);
    model->sets_count = edit->model->sets_count;
    build->places =
        ig_arena_array(arena, (size_t)edit->model->nodes_count + 1, sizeof *build->places);
    return !arena->overflowed;
}

static void add_leaf(struct build *build, struct ig_node *made, const double *values)
{
    struct ig_model *model = build->model;
    made->op = IG_NODE_LEAF;
    made->left = made->right = -1;
    made->feature = made->missing = made->flags = 0;
    made->extra = IG_MODEL_NONE;
    made->value = model->leaf_vectors ? 0 : rounded(build, values[0]);
    if (!model->leaf_vectors) return;
    made->extra = model->leaf_values_count++;
    for (uint32_t w = 0; w < build->edit->width; w++)
        model->leaf_values[(size_t)made->extra * build->edit->width + w] =
            rounded(build, values[w]);
}

static void add_node(struct build *build, const struct ig_tree *from, uint32_t index)
{
    const struct ig_tree_edit *edit = build->edit;
    struct ig_model *model = build->model;
    struct ig_node *made = &model->nodes[model->nodes_count];
    *made = edit->model->nodes[index];
    if (model->gains)
        model->gains[model->nodes_count] =
            edit->kinds[index] == IG_TREE_LEAF ? 0 : edit->model->gains[index];
    model->nodes_count++;
    if (edit->kinds[index] == IG_TREE_LEAF) {
        add_leaf(build, made, edit->values + (size_t)index * edit->width);
        return;
    }
    made->left = build->places[from->first_node + (uint32_t)made->left];
    made->right = build->places[from->first_node + (uint32_t)made->right];
    if (made->op != IG_NODE_IN) {
        made->value = edit->thresholds[index];
        return;
    }
    const struct ig_category_set *set = &edit->model->sets[made->extra];
    struct ig_category_set *own = &model->sets[made->extra]; /* sets of what is gone stay empty */
    if (own->words) return;
    own->words = copy(&model->arena, set->words, (set->bits + 31) / 32, sizeof(uint32_t));
    own->bits = set->bits;
}

static void add_tree(struct build *build, uint32_t index)
{
    const struct ig_tree_edit *edit = build->edit;
    const struct ig_tree *from = &edit->model->trees[index];
    struct ig_model *model = build->model;
    uint32_t end = from->first_node + from->nodes_count;
    if (edit->kinds[from->first_node] == IG_TREE_LEAF) {
        for (uint32_t w = 0; w < edit->width; w++)
            model->base_margin[ig_tree_edit_output(edit, index, w)] +=
                edit->values[(size_t)from->first_node * edit->width + w];
        return;
    }
    struct ig_tree *tree = &model->trees[model->trees_count++];
    *tree = (struct ig_tree){.first_node = model->nodes_count, .output = from->output, .weight = 1};
    int32_t place = 0;
    for (uint32_t i = from->first_node; i < end; i++)
        if (edit->kinds[i] != IG_TREE_GONE) build->places[i] = place++;
    for (uint32_t i = from->first_node; i < end; i++) {
        if (edit->kinds[i] == IG_TREE_GONE) continue;
        add_node(build, from, i);
        model->nodes[model->nodes_count - 1].source_id = build->places[i];
    }
    tree->nodes_count = model->nodes_count - tree->first_node;
}

enum ig_code ig_tree_edit_model(struct ig_model **out, const struct ig_tree_edit *edit,
                                struct ig_err *err)
{
    const struct ig_model *from = edit->model;
    struct build build = {.edit = edit, .model = ig_model_new(SIZE_MAX)};
    if (!build.model) return ig_fail(err, IG_NO_MEMORY, "no memory for a model");
    copy_facts(&build);
    bool good = allocate(&build);
    for (uint32_t o = 0; good && o < from->outputs_count; o++)
        build.model->base_margin[o] = ig_tree_edit_base(edit, o);
    for (uint32_t t = 0; good && t < from->trees_count; t++) add_tree(&build, t);
    for (uint32_t o = 0; good && o < from->outputs_count; o++)
        build.model->base_margin[o] = rounded(&build, build.model->base_margin[o]);
    if (good && ig_model_check(build.model, err) == IG_OK) {
        IG_ASSERT(from->outputs_count > 0);
        uint32_t layer = from->leaf_vectors ? 1 : from->outputs_count;
        build.model->iterations_count = (build.model->trees_count + layer - 1) / layer;
        *out = build.model;
        return IG_OK;
    }
    if (!good) ig_fail(err, IG_NO_MEMORY, "no memory for a model of %u nodes", from->nodes_count);
    ig_model_free(build.model);
    return err->code;
}
