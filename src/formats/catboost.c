/* SPDX-License-Identifier: Apache-2.0 */
/* From what a CatBoost file says to the model.
 *
 * CatBoost reads features as floats and goes right where the value is above the border. We compare
 * doubles, so a border becomes the double at which rounding to float passes it. All nodes of a
 * symmetric tree's level test the same split; the last split of a tree is its root, as in the
 * library's own SHAP values. Questions about categories become sets of codes (catboost_ctr.c).
 *
 * Thread rule: one thread. */
#include "formats/catboost_priv.h"

#include "base/num.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What the library's predict makes of the raw sums, by loss. */
static const struct {
    const char *loss;
    enum ig_transform transform;
} LOSSES[] = {
    {"Logloss", IG_TRANSFORM_SIGMOID},
    {"CrossEntropy", IG_TRANSFORM_SIGMOID},
    {"Focal", IG_TRANSFORM_SIGMOID},
    {"MultiClass", IG_TRANSFORM_SOFTMAX},
    {"MultiClassOneVsAll", IG_TRANSFORM_SIGMOID_EACH},
    {"Poisson", IG_TRANSFORM_EXP},
    {"Tweedie", IG_TRANSFORM_EXP},
    {"MultiLogloss", IG_TRANSFORM_SIGMOID_EACH},
    {"MultiCrossEntropy", IG_TRANSFORM_SIGMOID_EACH},
    {"RMSE", IG_TRANSFORM_IDENTITY},
    {"MAE", IG_TRANSFORM_IDENTITY},
    {"Quantile", IG_TRANSFORM_IDENTITY},
    {"MultiQuantile", IG_TRANSFORM_IDENTITY},
    {"LogLinQuantile", IG_TRANSFORM_IDENTITY},
    {"MAPE", IG_TRANSFORM_IDENTITY},
    {"RMSPE", IG_TRANSFORM_IDENTITY},
    {"Huber", IG_TRANSFORM_IDENTITY},
    {"Expectile", IG_TRANSFORM_IDENTITY},
    {"Lq", IG_TRANSFORM_IDENTITY},
    {"LogCosh", IG_TRANSFORM_IDENTITY},
    {"SurvivalAft", IG_TRANSFORM_IDENTITY},
    {"Cox", IG_TRANSFORM_IDENTITY},
    {"MultiRMSE", IG_TRANSFORM_IDENTITY},
    {"MultiRMSEWithMissingValues", IG_TRANSFORM_IDENTITY},
    {"GroupQuantile", IG_TRANSFORM_IDENTITY},
    {"YetiRank", IG_TRANSFORM_IDENTITY},
    {"YetiRankPairwise", IG_TRANSFORM_IDENTITY},
    {"PairLogit", IG_TRANSFORM_IDENTITY},
    {"PairLogitPairwise", IG_TRANSFORM_IDENTITY},
    {"QueryRMSE", IG_TRANSFORM_IDENTITY},
    {"QuerySoftMax", IG_TRANSFORM_IDENTITY},
    {"QueryCrossEntropy", IG_TRANSFORM_IDENTITY},
    {"StochasticFilter", IG_TRANSFORM_IDENTITY},
    {"StochasticRank", IG_TRANSFORM_IDENTITY},
    {"LambdaMart", IG_TRANSFORM_IDENTITY},
    {"PythonUserDefinedPerObject", IG_TRANSFORM_IDENTITY},
};

bool cb_fail(struct cb_builder *builder, const char *format, ...)
{
    char message[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (builder->err->code == IG_OK) ig_fail(builder->err, IG_INVALID, "%s", message);
    return false;
}

bool cb_refuse_feature(struct cb_builder *builder, const char *kind, struct ig_str name,
                       int64_t column)
{
    char text[80];
    if (name.len)
        snprintf(text, sizeof text, "'%.*s'", (int)(name.len > 64 ? 64 : name.len), name.ptr);
    else
        snprintf(text, sizeof text, "of column %lld", (long long)column);
    if (builder->err->code == IG_OK)
        ig_fail(builder->err, IG_UNSUPPORTED,
                "the %s feature %s is turned into numbers by code of CatBoost's own: turn it into "
                "columns of numbers before training (bag of words, TF-IDF, the embedding's "
                "components), and train on those",
                kind, text);
    return false;
}

bool cb_no_memory(struct cb_builder *builder)
{
    if (builder->err->code == IG_OK) ig_fail(builder->err, IG_NO_MEMORY, "out of memory");
    return false;
}

void cb_builder_deinit(struct cb_builder *builder)
{
    IG_VEC_FREE(&builder->splits);
    IG_VEC_FREE(&builder->trees);
    IG_VEC_FREE(&builder->nodes);
    IG_VEC_FREE(&builder->values);
}

bool cb_builder_set_loss(struct cb_builder *builder, struct ig_str loss)
{
    size_t i = 0;
    while (i < sizeof LOSSES / sizeof *LOSSES && !ig_str_is(loss, LOSSES[i].loss)) i++;
    if (i == sizeof LOSSES / sizeof *LOSSES) {
        if (builder->err->code == IG_OK)
            ig_fail(builder->err, IG_UNSUPPORTED, "loss_function: '%.*s' is not supported",
                    (int)(loss.len > 64 ? 64 : loss.len), loss.ptr);
        return false;
    }
    builder->model->objective = ig_arena_dup(&builder->model->arena, loss);
    builder->model->transform = LOSSES[i].transform;
    return true;
}

/* ---- trees ---- */

bool cb_builder_end_tree(struct cb_builder *builder, size_t first_node)
{
    struct ig_node *nodes = &builder->nodes.items[first_node];
    size_t count = builder->nodes.count - first_node;
    struct ig_tree tree = {
        .first_node = (uint32_t)first_node, .nodes_count = (uint32_t)count, .weight = 1};
    for (size_t i = count; i-- > 0;)
        if (nodes[i].op != IG_NODE_LEAF)
            nodes[i].cover = nodes[nodes[i].left].cover + nodes[nodes[i].right].cover;
    return IG_VEC_PUSH(&builder->trees, tree, CB_NODES_MAX) || cb_no_memory(builder);
}

/* Level by level: node i of a full tree has the children 2i + 1 and 2i + 2. */
bool cb_builder_add_symmetric(struct cb_builder *builder, const struct cb_split *splits,
                              uint32_t depth, size_t first_value, const double *weights)
{
    uint32_t inner = (1U << depth) - 1, leaves = 1U << depth;
    size_t first_node = builder->nodes.count, first_split = builder->splits.count;
    if (first_node + inner + leaves > CB_NODES_MAX) return cb_fail(builder, "too many nodes");
    for (uint32_t i = 0; i < depth; i++)
        if (!IG_VEC_PUSH(&builder->splits, splits[i], CB_NODES_MAX)) return cb_no_memory(builder);
    for (uint32_t i = 0; i < inner + leaves; i++) {
        struct ig_node node = {.op = IG_NODE_LEAF, .left = -1, .right = -1};
        node.source_id = (int32_t)(i < inner ? i : i - inner);
        if (i < inner) {
            uint32_t level = 31 - (uint32_t)__builtin_clz(i + 1);
            node.op = IG_NODE_LE;
            node.extra = (uint32_t)(first_split + depth - 1 - level);
            node.left = (int32_t)(2 * i + 1);
            node.right = (int32_t)(2 * i + 2);
        } else {
            node.cover = weights ? weights[i - inner] : 1;
            node.extra = (uint32_t)(first_value + (i - inner));
        }
        if (!IG_VEC_PUSH(&builder->nodes, node, CB_NODES_MAX)) return cb_no_memory(builder);
    }
    return cb_builder_end_tree(builder, first_node);
}

/* ---- features ---- */

static bool settle_features(struct cb_builder *builder)
{
    struct ig_model *model = builder->model;
    uint32_t count = builder->floats_count + builder->categories_count;
    if (!count) return cb_fail(builder, "features_info: the model has no features");
    bool *taken = ig_arena_array(builder->scratch, count, sizeof *taken);
    model->features_count = count;
    model->inputs =
        ig_arena_array(&model->arena, count + (size_t)builder->ctrs_count, sizeof *model->inputs);
    if (!model->inputs || !taken) return cb_no_memory(builder);
    for (uint32_t i = 0; i < count; i++) {
        bool number = i < builder->floats_count;
        uint32_t column = number ? builder->floats[i].column
                                 : builder->categories[i - builder->floats_count].column;
        if (column >= count || taken[column])
            return cb_fail(builder, "features_info: the columns of the features have gaps");
        taken[column] = true;
        if (number)
            model->inputs[column] =
                (struct ig_input){.name = builder->floats[i].name, .kind = IG_INPUT_NUMERIC};
    }
    return cb_categories_collect(builder) && cb_combinations_place(builder);
}

/* ---- splits ---- */

/* What the nodes of one split have in common. */
static void border_node(float border, uint32_t column, struct ig_node *out)
{
    bool included;
    out->value = ig_num_last_to_f32(border, &included);
    out->op = included ? IG_NODE_LE : IG_NODE_LT;
    out->missing = IG_NODE_MISSING_NAN;
    out->feature = column;
}

static bool number_node(struct cb_builder *builder, const struct cb_split *split,
                        struct ig_node *out)
{
    if (split->number >= builder->floats_count)
        return cb_fail(builder, "splits: float_feature_index %u is beyond features_info",
                       split->number);
    const struct cb_float *feature = &builder->floats[split->number];
    border_node(split->border, feature->column, out);
    out->flags = feature->missing_right ? 0 : IG_NODE_DEFAULT_LEFT;
    return true;
}

/* Members of a set go right, or left; a missing category goes where an unseen one does. */
static void set_node(const struct cb_builder *builder, uint32_t category, uint32_t set,
                     bool members_right, struct ig_node *out)
{
    out->op = IG_NODE_IN;
    out->missing = IG_NODE_MISSING_NAN;
    out->flags = members_right ? IG_NODE_DEFAULT_LEFT : IG_NODE_SET_LEFT;
    out->feature = builder->categories[category].column;
    out->extra = set;
}

/* Where the numbers of each source of splits begin, in the file's order: floats, one-hot features,
 * CTRs. */
struct settling {
    struct cb_builder *builder;
    uint32_t *starts; /* sources_count + 1 */
    uint32_t sources_count;
    struct ig_node *numbered; /* by number; op LEAF: not made yet */
    struct {
        struct ig_category_set *items;
        size_t count, cap;
    } sets;
};

static bool count_numbers(struct settling *settling)
{
    struct cb_builder *b = settling->builder;
    uint32_t floats = b->floats_count, one_hots = b->one_hots_count;
    uint64_t total = 0;
    settling->sources_count = floats + one_hots + b->ctrs_count;
    settling->starts =
        ig_arena_array(b->scratch, settling->sources_count + (size_t)1, sizeof *settling->starts);
    if (!settling->starts) return cb_no_memory(b);
    for (uint32_t i = 0; i < settling->sources_count; i++) {
        settling->starts[i] = (uint32_t)total;
        if (i < floats)
            total += b->floats[i].borders_count;
        else if (i < floats + one_hots)
            total += b->one_hots[i - floats].values_count;
        else
            total += b->ctrs[i - floats - one_hots].borders_count;
        if (total > CB_NODES_MAX) return cb_fail(b, "features_info: too many borders");
    }
    settling->starts[settling->sources_count] = (uint32_t)total;
    settling->numbered = ig_arena_array(b->scratch, total + 1, sizeof *settling->numbered);
    if (!settling->numbered) return cb_no_memory(b);
    for (uint64_t i = 0; i < total; i++)
        settling->numbered[i] = (struct ig_node){.op = IG_NODE_LEAF, .extra = IG_MODEL_NONE};
    return true;
}

static bool add_set(struct settling *settling, struct ig_category_set set)
{
    return IG_VEC_PUSH(&settling->sets, set, CB_NODES_MAX) || cb_no_memory(settling->builder);
}

static bool one_hot_node(struct settling *settling, const struct cb_one_hot *one_hot,
                         uint32_t value, struct ig_node *out)
{
    struct cb_builder *builder = settling->builder;
    uint32_t code = (uint32_t)cb_category_code(&builder->categories[one_hot->category],
                                               (uint32_t)one_hot->values[value]);
    uint32_t *words = ig_arena_array(&builder->model->arena, code / 32 + (size_t)1, sizeof *words);
    if (!words) return cb_no_memory(builder);
    words[code / 32] = 1U << code % 32;
    set_node(builder, one_hot->category, (uint32_t)settling->sets.count, true, out);
    return add_set(settling, (struct ig_category_set){words, code + 1});
}

static bool ctr_node(struct settling *settling, const struct cb_ctr *ctr, uint32_t border,
                     struct ig_node *out)
{
    struct cb_builder *builder = settling->builder;
    struct ig_category_set set;
    bool members_above;
    if (ctr->category == IG_MODEL_NONE) {
        border_node(ctr->borders[border], ctr->column, out);
        out->flags = IG_NODE_DEFAULT_LEFT;
        return true;
    }
    if (!cb_ctr_set(builder, ctr, ctr->borders[border], &set, &members_above)) return false;
    set_node(builder, ctr->category, (uint32_t)settling->sets.count, members_above, out);
    return add_set(settling, set);
}

static bool make_numbered(struct settling *settling, uint32_t number, struct ig_node *out)
{
    struct cb_builder *b = settling->builder;
    uint32_t low = 0, high = settling->sources_count, floats = b->floats_count;
    while (high - low > 1) { /* the last source that begins at or before it */
        uint32_t middle = low + (high - low) / 2;
        if (settling->starts[middle] <= number)
            low = middle;
        else
            high = middle;
    }
    uint32_t within = number - settling->starts[low];
    if (low < floats) {
        const struct cb_split split = {.number = low, .border = b->floats[low].borders[within]};
        return number_node(b, &split, out);
    }
    low -= floats;
    if (low < b->one_hots_count) return one_hot_node(settling, &b->one_hots[low], within, out);
    return ctr_node(settling, &b->ctrs[low - b->one_hots_count], within, out);
}

static bool make_node(struct settling *settling, const struct cb_split *split, struct ig_node *out)
{
    uint32_t total = settling->starts[settling->sources_count];
    if (!split->numbered) return number_node(settling->builder, split, out);
    if (!settling->numbered || split->number >= total)
        return cb_fail(settling->builder,
                       "splits: split_index %u is beyond the %u of features_info", split->number,
                       total);
    struct ig_node *known = &settling->numbered[split->number];
    if (known->op == IG_NODE_LEAF && !make_numbered(settling, split->number, known)) return false;
    *out = *known;
    return true;
}

static bool settle_nodes(struct settling *settling)
{
    struct cb_builder *builder = settling->builder;
    for (size_t i = 0; i < builder->nodes.count; i++) {
        struct ig_node *node = &builder->nodes.items[i], made = {.extra = IG_MODEL_NONE};
        if (node->op == IG_NODE_LEAF) continue;
        if (!make_node(settling, &builder->splits.items[node->extra], &made)) return false;
        made.cover = node->cover;
        made.left = node->left;
        made.right = node->right;
        made.source_id = node->source_id;
        *node = made;
    }
    return true;
}

static bool settle_splits(struct cb_builder *builder)
{
    struct settling settling = {.builder = builder};
    struct ig_model *model = builder->model;
    bool good = count_numbers(&settling) && settle_nodes(&settling);
    model->sets_count = (uint32_t)settling.sets.count;
    if (good && model->sets_count) {
        model->sets = ig_arena_array(&model->arena, model->sets_count, sizeof *model->sets);
        good = model->sets || cb_no_memory(builder);
        if (good) memcpy(model->sets, settling.sets.items, model->sets_count * sizeof *model->sets);
    }
    IG_VEC_FREE(&settling.sets);
    return good;
}

/* ---- leaves and the rest ---- */

static bool settle_leaves(struct cb_builder *builder)
{
    struct ig_model *model = builder->model;
    for (size_t i = 0; i < builder->values.count; i++) builder->values.items[i] *= builder->scale;
    model->leaf_vectors = model->outputs_count > 1;
    for (size_t i = 0; i < builder->nodes.count && !model->leaf_vectors; i++) {
        struct ig_node *node = &builder->nodes.items[i];
        if (node->op != IG_NODE_LEAF) continue;
        node->value = builder->values.items[node->extra];
        node->extra = IG_MODEL_NONE;
    }
    if (!model->leaf_vectors) return true;
    model->leaf_values =
        ig_arena_array(&model->arena, builder->values.count, sizeof *model->leaf_values);
    if (!model->leaf_values) return cb_no_memory(builder);
    memcpy(model->leaf_values, builder->values.items,
           builder->values.count * sizeof *model->leaf_values);
    model->leaf_values_count = (uint32_t)(builder->values.count / model->outputs_count);
    return true;
}

static bool settle_bias(struct cb_builder *builder)
{
    struct ig_model *model = builder->model;
    if (builder->bias && builder->bias_count != model->outputs_count)
        return cb_fail(builder, "scale_and_bias: not as many biases as the model has outputs");
    model->base_margin =
        ig_arena_array(&model->arena, model->outputs_count, sizeof *model->base_margin);
    if (!model->base_margin) return cb_no_memory(builder);
    if (builder->bias)
        memcpy(model->base_margin, builder->bias, builder->bias_count * sizeof *builder->bias);
    return true;
}

bool cb_builder_finish(struct cb_builder *builder)
{
    struct ig_model *model = builder->model;
    if (!builder->trees.count) return cb_fail(builder, "oblivious_trees: missing");
    if (!settle_features(builder) || !settle_splits(builder) || !settle_leaves(builder) ||
        !settle_bias(builder))
        return false;
    model->sum_rule = IG_SUM_F64;
    model->predictions_count = model->outputs_count;
    model->iterations_count = model->trees_count = (uint32_t)builder->trees.count;
    model->nodes_count = (uint32_t)builder->nodes.count;
    model->trees = ig_arena_array(&model->arena, model->trees_count, sizeof *model->trees);
    model->nodes = ig_arena_array(&model->arena, model->nodes_count, sizeof *model->nodes);
    if (!model->trees || !model->nodes) return cb_no_memory(builder);
    memcpy(model->trees, builder->trees.items, model->trees_count * sizeof *model->trees);
    memcpy(model->nodes, builder->nodes.items, model->nodes_count * sizeof *model->nodes);
    return ig_model_check(model, builder->err) == IG_OK &&
           (!builder->combinations_count || cb_combinations_derive(builder));
}
