/* SPDX-License-Identifier: Apache-2.0 */
/* CatBoost's binary models (.cbm), for the same models as its JSON and with the same result.
 *
 * The file is "CBM1", the size of the core, the core (FlatBuffers, TModelCore of CatBoost's
 * model.fbs), then the parts that the core names; of those only static_provider_v1 is known, the
 * tables of statistics: their number, and each with its size (TCtrValueTable of ctr_data.fbs).
 * Splits are numbers that run over the borders of floats, the one-hot values and the borders of
 * statistics. A node of a tree that is not symmetric has distances to its children; where one is
 * 0, that child is a leaf which the node's own place names.
 *
 * Owns nothing; the model is the caller's. Thread rule: pure. */
#include "formats/catboost_priv.h"
#include "formats/flat.h"
#include "formats/format.h"

#include <string.h>

enum core_field { CORE_VERSION, CORE_TREES, CORE_INFO, CORE_PARTS };
enum trees_field {
    TREES_DIMENSION,
    TREES_SPLITS,
    TREES_SIZES,
    TREES_CATEGORIES = 4,
    TREES_FLOATS,
    TREES_ONE_HOTS,
    TREES_CTRS,
    TREES_LEAF_VALUES,
    TREES_LEAF_WEIGHTS,
    TREES_STEPS,
    TREES_LEAF_IDS,
    TREES_TEXTS,
    TREES_ESTIMATED,
    TREES_SCALE,
    TREES_BIAS,
    TREES_BIASES,
    TREES_EMBEDDINGS = 18,
};
enum float_field {
    FLOAT_HAS_NANS,
    FLOAT_INDEX,
    FLOAT_COLUMN,
    FLOAT_BORDERS,
    FLOAT_NAME,
    FLOAT_NANS
};
enum category_field { CATEGORY_INDEX, CATEGORY_COLUMN, CATEGORY_NAME };
enum one_hot_field { ONE_HOT_INDEX, ONE_HOT_VALUES };
enum ctr_feature_field { CTR_FEATURE_CTR, CTR_FEATURE_BORDERS };
enum ctr_field { CTR_BASE, CTR_TARGET_BORDER, CTR_PRIOR, CTR_PRIOR_ALL, CTR_SHIFT, CTR_SCALE };
enum base_field { BASE_COMBINATION, BASE_TYPE, BASE_CLASSIFIER };
enum combination_field { COMBINATION_CATEGORIES, COMBINATION_FLOATS, COMBINATION_ONE_HOTS };
enum table_field { TABLE_BASE, TABLE_INDEX, TABLE_COUNTS, TABLE_DENOMINATOR, TABLE_CLASSES };
enum { NANS_AS_IS, NANS_AS_FALSE, NANS_AS_TRUE };

struct reader {
    struct ig_arena scratch;
    struct cb_builder builder;
    struct ig_flat_table trees; /* TModelTrees */
    struct ig_flat_vector splits, sizes, values, weights, steps, leaf_ids;
};

static bool no_memory(struct reader *reader)
{
    return cb_no_memory(&reader->builder);
}

/* Cuts a size and what it counts off the front: 4 bytes, or all ones and 8. */
static bool take_size(struct ig_str *rest, uint64_t *size)
{
    size_t bytes = 4, at = 0;
    if (rest->len >= 4 && memcmp(rest->ptr, "\xff\xff\xff\xff", 4) == 0) bytes = 8, at = 4;
    if (rest->len < at + bytes) return false;
    *size = 0;
    for (size_t i = bytes; i-- > 0;) *size = *size << 8 | (unsigned char)rest->ptr[at + i];
    *rest = (struct ig_str){rest->ptr + at + bytes, rest->len - at - bytes};
    return true;
}

static bool take_block(struct ig_str *rest, struct ig_str *block)
{
    uint64_t size;
    if (!take_size(rest, &size) || size > rest->len) return false;
    *block = (struct ig_str){rest->ptr, (size_t)size};
    *rest = (struct ig_str){rest->ptr + size, rest->len - (size_t)size};
    return true;
}

static void *room(struct reader *reader, const struct ig_flat_vector *vector, size_t item_bytes)
{
    void *items = vector->count > CB_FEATURES_MAX
                      ? NULL
                      : ig_arena_array(&reader->scratch, vector->count + 1, item_bytes);
    if (!items) no_memory(reader);
    return items;
}

static const float *read_borders(struct reader *reader, const struct ig_flat_table *table,
                                 unsigned field, uint32_t *count)
{
    struct ig_flat_vector vector = ig_flat_vector(table, field, 4);
    float *borders = ig_arena_array(&reader->scratch, vector.count + 1, sizeof *borders);
    if (!borders) {
        no_memory(reader);
        return NULL;
    }
    for (size_t i = 0; i < vector.count; i++) borders[i] = ig_flat_item_f32(&vector, i, 0);
    *count = (uint32_t)vector.count;
    return borders;
}

/* ---- features ---- */

static bool read_float(struct reader *reader, const struct ig_flat_table *table)
{
    struct cb_builder *builder = &reader->builder;
    uint8_t treatment = ig_flat_u8(table, FLOAT_NANS, NANS_AS_IS);
    int32_t column = ig_flat_i32(table, FLOAT_COLUMN, -1);
    struct cb_float feature = {
        .name = ig_arena_dup(&builder->model->arena, ig_flat_str(table, FLOAT_NAME)),
        .column = (uint32_t)column,
        .missing_right = treatment == NANS_AS_TRUE && ig_flat_u8(table, FLOAT_HAS_NANS, 0)};
    if (treatment > NANS_AS_TRUE)
        return cb_fail(builder, "NanValueTreatment: %u is not known", treatment);
    if (column < 0 || ig_flat_i32(table, FLOAT_INDEX, -1) != (int32_t)builder->floats_count)
        return cb_fail(builder, "FloatFeatures: Index and FlatIndex do not count up");
    feature.borders = read_borders(reader, table, FLOAT_BORDERS, &feature.borders_count);
    builder->floats[builder->floats_count++] = feature;
    return feature.borders != NULL;
}

static bool read_category(struct reader *reader, const struct ig_flat_table *table)
{
    struct cb_builder *builder = &reader->builder;
    int32_t column = ig_flat_i32(table, CATEGORY_COLUMN, -1);
    if (column < 0 || ig_flat_i32(table, CATEGORY_INDEX, -1) != (int32_t)builder->categories_count)
        return cb_fail(builder, "CatFeatures: Index and FlatIndex do not count up");
    builder->categories[builder->categories_count++] = (struct cb_category){
        .name = ig_arena_dup(&builder->model->arena, ig_flat_str(table, CATEGORY_NAME)),
        .column = (uint32_t)column};
    return true;
}

static bool read_one_hot(struct reader *reader, const struct ig_flat_table *table)
{
    struct cb_builder *builder = &reader->builder;
    struct ig_flat_vector vector = ig_flat_vector(table, ONE_HOT_VALUES, 4);
    int32_t category = ig_flat_i32(table, ONE_HOT_INDEX, -1);
    int32_t *values = ig_arena_array(&reader->scratch, vector.count + 1, sizeof *values);
    if (!values) return no_memory(reader);
    if (category < 0 || category >= (int32_t)builder->categories_count)
        return cb_fail(builder, "OneHotFeatures: Index %d is none of the %u categorical features",
                       category, builder->categories_count);
    for (size_t i = 0; i < vector.count; i++) values[i] = (int32_t)ig_flat_item_u32(&vector, i, 0);
    builder->one_hots[builder->one_hots_count++] =
        (struct cb_one_hot){(uint32_t)category, values, (uint32_t)vector.count};
    return true;
}

/* The parts of a combination, whose pairs are structs of 8 bytes. */
static bool read_parts_of(struct reader *reader, const struct ig_flat_table *combination,
                          struct cb_combination *out)
{
    struct ig_flat_vector categories = ig_flat_vector(combination, COMBINATION_CATEGORIES, 4);
    struct ig_flat_vector above = ig_flat_vector(combination, COMBINATION_FLOATS, 8);
    struct ig_flat_vector equal = ig_flat_vector(combination, COMBINATION_ONE_HOTS, 8);
    if (categories.count + above.count + equal.count > CB_PARTS_MAX)
        return cb_fail(&reader->builder, "FeatureCombination: %zu features, at most %d",
                       categories.count + above.count + equal.count, CB_PARTS_MAX);
    out->categories = room(reader, &categories, sizeof *out->categories);
    out->above = room(reader, &above, sizeof *out->above);
    out->equal = room(reader, &equal, sizeof *out->equal);
    if (!out->categories || !out->above || !out->equal) return false;
    for (size_t i = 0; i < categories.count; i++)
        out->categories[out->categories_count++] = ig_flat_item_u32(&categories, i, 0);
    for (size_t i = 0; i < above.count; i++)
        out->above[out->above_count++] =
            (struct cb_part_above){ig_flat_item_u32(&above, i, 0), ig_flat_item_f32(&above, i, 4)};
    for (size_t i = 0; i < equal.count; i++)
        out->equal[out->equal_count++] = (struct cb_part_equal){
            ig_flat_item_u32(&equal, i, 0), (int32_t)ig_flat_item_u32(&equal, i, 4)};
    return true;
}

/* TModelCtrBase: the features, the type, and both with the target's binarisation as the key under
 * which the counts are found. A combination of features has category NONE. */
static bool read_base(struct reader *reader, const struct ig_flat_table *base, struct cb_ctr *out)
{
    struct cb_builder *builder = &reader->builder;
    struct ig_flat_table combination = ig_flat_table(base, BASE_COMBINATION);
    uint8_t number = ig_flat_u8(base, BASE_TYPE, CB_CTR_BORDERS);
    out->category = IG_MODEL_NONE;
    if (number >= CB_CTR_TYPES_COUNT) return cb_fail(builder, "CtrType: %u is not known", number);
    out->type = (enum cb_ctr_type)number;
    if (!read_parts_of(reader, &combination, &out->parts)) return false;
    struct ig_str parts = cb_combination_text(builder, &out->parts);
    out->key = ig_str_view(ig_arena_printf(&reader->scratch, "%u %d %s", number,
                                           ig_flat_i32(base, BASE_CLASSIFIER, 0), parts.ptr));
    if (!parts.ptr || !out->key.ptr) return no_memory(reader);
    if (out->parts.categories_count != 1 || out->parts.above_count || out->parts.equal_count)
        return true;
    out->category = out->parts.categories[0];
    return out->category < builder->categories_count ||
           cb_fail(builder, "FeatureCombination: %u is none of the %u categorical features",
                   out->category, builder->categories_count);
}

static bool read_ctr(struct reader *reader, const struct ig_flat_table *table)
{
    struct cb_builder *builder = &reader->builder;
    struct ig_flat_table own = ig_flat_table(table, CTR_FEATURE_CTR);
    struct ig_flat_table base = ig_flat_table(&own, CTR_BASE);
    int32_t target_border = ig_flat_i32(&own, CTR_TARGET_BORDER, 0);
    struct cb_ctr ctr = {.target_border = (uint32_t)target_border,
                         .prior = ig_flat_f32(&own, CTR_PRIOR, 0),
                         .prior_all = ig_flat_f32(&own, CTR_PRIOR_ALL, 1),
                         .shift = ig_flat_f32(&own, CTR_SHIFT, 0),
                         .scale = ig_flat_f32(&own, CTR_SCALE, 1)};
    if (target_border < 0)
        return cb_fail(builder, "TargetBorderIdx: %d, expected a number from 0", target_border);
    if (!read_base(reader, &base, &ctr)) return false;
    ctr.borders = read_borders(reader, table, CTR_FEATURE_BORDERS, &ctr.borders_count);
    builder->ctrs[builder->ctrs_count++] = ctr;
    return ctr.borders != NULL;
}

static bool read_all(struct reader *reader, const struct ig_flat_vector *vector,
                     bool (*read_one)(struct reader *, const struct ig_flat_table *))
{
    for (size_t i = 0; i < vector->count; i++) {
        struct ig_flat_table table = ig_flat_item_table(vector, i);
        if (!table.flat) return cb_fail(&reader->builder, "ModelTrees: a broken offset");
        if (!read_one(reader, &table)) return false;
    }
    return true;
}

/* The first of them, TTextFeature or TEmbeddingFeature: {Index, FlatIndex, FeatureId, ...}. */
static bool refuse_features(struct reader *reader, unsigned field, const char *kind)
{
    struct ig_flat_vector features = ig_flat_vector(&reader->trees, field, 4);
    if (!features.count) return true;
    struct ig_flat_table first = ig_flat_item_table(&features, 0);
    if (!first.flat) return cb_fail(&reader->builder, "ModelTrees: a broken offset");
    return cb_refuse_feature(&reader->builder, kind, ig_flat_str(&first, CATEGORY_NAME),
                             ig_flat_i32(&first, CATEGORY_COLUMN, -1));
}

static bool read_features(struct reader *reader)
{
    struct cb_builder *builder = &reader->builder;
    const struct ig_flat_table *trees = &reader->trees;
    struct ig_flat_vector floats = ig_flat_vector(trees, TREES_FLOATS, 4);
    struct ig_flat_vector categories = ig_flat_vector(trees, TREES_CATEGORIES, 4);
    struct ig_flat_vector one_hots = ig_flat_vector(trees, TREES_ONE_HOTS, 4);
    struct ig_flat_vector ctrs = ig_flat_vector(trees, TREES_CTRS, 4);
    if (!refuse_features(reader, TREES_TEXTS, "text") ||
        !refuse_features(reader, TREES_EMBEDDINGS, "embedding"))
        return false;
    if (ig_flat_vector(trees, TREES_ESTIMATED, 4).count)
        return cb_fail(builder, "ModelTrees: estimated features without texts and embeddings");
    builder->floats = room(reader, &floats, sizeof *builder->floats);
    builder->categories = room(reader, &categories, sizeof *builder->categories);
    builder->one_hots = room(reader, &one_hots, sizeof *builder->one_hots);
    builder->ctrs = room(reader, &ctrs, sizeof *builder->ctrs);
    return builder->floats && builder->categories && builder->one_hots && builder->ctrs &&
           read_all(reader, &floats, read_float) && read_all(reader, &categories, read_category) &&
           read_all(reader, &one_hots, read_one_hot) && read_all(reader, &ctrs, read_ctr);
}

/* ---- trees ---- */

static bool read_leaves(struct reader *reader)
{
    struct cb_builder *builder = &reader->builder;
    int32_t outputs = ig_flat_i32(&reader->trees, TREES_DIMENSION, 0);
    reader->values = ig_flat_vector(&reader->trees, TREES_LEAF_VALUES, 8);
    reader->weights = ig_flat_vector(&reader->trees, TREES_LEAF_WEIGHTS, 8);
    size_t count = reader->values.count;
    if (count > CB_NODES_MAX)
        return cb_fail(builder, "LeafValues: %zu values, at most %d", count, CB_NODES_MAX);
    if (outputs <= 0 || count % (uint32_t)outputs || !count)
        return cb_fail(builder, "LeafValues: %zu values, expected rows of ApproxDimension %d",
                       count, outputs);
    builder->model->outputs_count = (uint32_t)outputs;
    if (reader->weights.count && reader->weights.count != count / (uint32_t)outputs)
        return cb_fail(builder, "LeafWeights: %zu weights of %zu leaves", reader->weights.count,
                       count / (uint32_t)outputs);
    builder->model->covers_counted = !reader->weights.count;
    return true;
}

/* Copies `count` leaves' values behind those of the trees before, as JSON has them. Each has its
 * own: were they shared, a short file could ask for any amount. */
static bool keep_values(struct reader *reader, size_t first_leaf, size_t count)
{
    size_t outputs = reader->builder.model->outputs_count;
    if (count * outputs > reader->values.count - reader->builder.values.count)
        return cb_fail(&reader->builder,
                       "the trees have more leaves than LeafValues has rows (%zu)",
                       reader->values.count / outputs);
    for (size_t i = first_leaf * outputs; i < (first_leaf + count) * outputs; i++)
        if (!IG_VEC_PUSH(&reader->builder.values, ig_flat_item_f64(&reader->values, i),
                         CB_NODES_MAX))
            return no_memory(reader);
    return true;
}

static bool read_symmetric(struct reader *reader)
{
    struct cb_builder *builder = &reader->builder;
    struct cb_split splits[CB_DEPTH_MAX];
    size_t first_split = 0, first_leaf = 0;
    size_t all_leaves = reader->values.count / builder->model->outputs_count;
    double *weights = ig_arena_array(&reader->scratch, reader->weights.count + 1, sizeof *weights);
    if (!weights) return no_memory(reader);
    for (size_t i = 0; i < reader->weights.count; i++)
        weights[i] = ig_flat_item_f64(&reader->weights, i);
    for (size_t t = 0; t < reader->sizes.count; t++) {
        uint32_t depth = ig_flat_item_u32(&reader->sizes, t, 0);
        if (depth > CB_DEPTH_MAX || depth > reader->splits.count - first_split ||
            (size_t)1 << depth > all_leaves - first_leaf)
            return cb_fail(builder, "TreeSizes[%zu]: %u splits, beyond TreeSplits or LeafValues", t,
                           depth);
        for (uint32_t i = 0; i < depth; i++)
            splits[i] = (struct cb_split){
                .numbered = true, .number = ig_flat_item_u32(&reader->splits, first_split + i, 0)};
        if (!keep_values(reader, first_leaf, (size_t)1 << depth) ||
            !cb_builder_add_symmetric(builder, splits, depth, first_leaf,
                                      reader->weights.count ? weights + first_leaf : NULL))
            return false;
        first_split += depth;
        first_leaf += (size_t)1 << depth;
    }
    return true;
}

/* A child that is to be added: the step it stands at, or whose leaf it is. */
struct pending {
    uint32_t step;
    int32_t parent; /* -1: the root */
    bool left, leaf;
};

struct walk {
    struct reader *reader;
    uint32_t first_step, end_step;
    size_t first_node;
    int32_t inner_count, leaves_count; /* both numbered in preorder, as JSON has them */
    struct {
        struct pending *items;
        size_t count, cap;
    } pending;
};

static bool add_leaf(struct walk *walk, struct ig_node *node, uint32_t step)
{
    struct reader *reader = walk->reader;
    uint32_t outputs = reader->builder.model->outputs_count;
    uint32_t value = ig_flat_item_u32(&reader->leaf_ids, step, 0), leaf = value / outputs;
    if (value >= reader->values.count || value % outputs)
        return cb_fail(&reader->builder, "NonSymmetricNodeIdToLeafId[%u]: %u is no leaf", step,
                       value);
    node->extra = (uint32_t)(reader->builder.values.count / outputs);
    node->source_id = walk->leaves_count++;
    node->cover = reader->weights.count ? ig_flat_item_f64(&reader->weights, leaf) : 1;
    return keep_values(reader, leaf, 1);
}

static bool add_step(struct walk *walk, struct ig_node *node, uint32_t step, int32_t place)
{
    struct reader *reader = walk->reader;
    struct cb_builder *builder = &reader->builder;
    const struct cb_split split = {.numbered = true,
                                   .number = ig_flat_item_u32(&reader->splits, step, 0)};
    node->op = IG_NODE_LE; /* which question it asks, its split tells */
    node->extra = (uint32_t)builder->splits.count;
    node->source_id = walk->inner_count++;
    if (!IG_VEC_PUSH(&builder->splits, split, CB_NODES_MAX)) return no_memory(reader);
    for (int right = 1; right >= 0; right--) { /* the left one comes off the stack first */
        uint32_t distance = ig_flat_item_u16(&reader->steps, step, right ? 2 : 0);
        if (distance >= walk->end_step - step)
            return cb_fail(builder, "NonSymmetricStepNodes[%u]: a child beyond its tree", step);
        const struct pending child = {step + distance, place, !right, !distance};
        if (!IG_VEC_PUSH(&walk->pending, child, CB_NODES_MAX)) return no_memory(reader);
    }
    return true;
}

static bool add_node(struct walk *walk, struct pending at)
{
    struct reader *reader = walk->reader;
    struct cb_builder *builder = &reader->builder;
    struct ig_node node = {.op = IG_NODE_LEAF, .left = -1, .right = -1};
    int32_t place = (int32_t)(builder->nodes.count - walk->first_node);
    /* Steps that are shared would make a tree of any size. */
    if ((uint32_t)place > 2 * (walk->end_step - walk->first_step))
        return cb_fail(builder, "NonSymmetricStepNodes: a node has two parents");
    bool leaf = at.leaf || (!ig_flat_item_u16(&reader->steps, at.step, 0) &&
                            !ig_flat_item_u16(&reader->steps, at.step, 2));
    if (leaf ? !add_leaf(walk, &node, at.step) : !add_step(walk, &node, at.step, place))
        return false;
    if (!IG_VEC_PUSH(&builder->nodes, node, CB_NODES_MAX)) return no_memory(reader);
    if (at.parent < 0) return true;
    struct ig_node *parent = &builder->nodes.items[walk->first_node + (size_t)at.parent];
    *(at.left ? &parent->left : &parent->right) = place;
    return true;
}

static bool walk_tree(struct walk *walk)
{
    struct cb_builder *builder = &walk->reader->builder;
    const struct pending root = {.step = walk->first_step, .parent = -1};
    walk->first_node = builder->nodes.count;
    walk->inner_count = walk->leaves_count = 0;
    walk->pending.count = 0;
    if (!IG_VEC_PUSH(&walk->pending, root, CB_NODES_MAX)) return no_memory(walk->reader);
    while (walk->pending.count > 0)
        if (!add_node(walk, walk->pending.items[--walk->pending.count])) return false;
    return cb_builder_end_tree(builder, walk->first_node);
}

static bool read_branched(struct reader *reader)
{
    struct cb_builder *builder = &reader->builder;
    struct walk walk = {.reader = reader};
    size_t steps = reader->steps.count;
    bool good =
        reader->leaf_ids.count == steps && reader->splits.count == steps && steps < CB_NODES_MAX;
    if (!good)
        return cb_fail(builder, "NonSymmetricStepNodes: %zu, but %zu splits and %zu leaf ids",
                       steps, reader->splits.count, reader->leaf_ids.count);
    for (size_t t = 0; good && t < reader->sizes.count; t++) {
        uint32_t size = ig_flat_item_u32(&reader->sizes, t, 0);
        walk.first_step = walk.end_step;
        good = (size > 0 && size <= steps - walk.first_step) ||
               cb_fail(builder, "TreeSizes[%zu]: %u nodes, beyond NonSymmetricStepNodes", t, size);
        if (!good) break;
        walk.end_step = walk.first_step + size;
        good = walk_tree(&walk);
    }
    IG_VEC_FREE(&walk.pending);
    return good;
}

static bool read_bias(struct reader *reader)
{
    struct cb_builder *builder = &reader->builder;
    struct ig_flat_vector biases = ig_flat_vector(&reader->trees, TREES_BIASES, 8);
    double single = ig_flat_f64(&reader->trees, TREES_BIAS, 0);
    builder->scale = ig_flat_f64(&reader->trees, TREES_SCALE, 1);
    builder->bias_count = biases.count ? biases.count : single != 0;
    if (!builder->bias_count) return true;
    double *bias = ig_arena_array(&reader->scratch, builder->bias_count, sizeof *bias);
    if (!bias) return no_memory(reader);
    bias[0] = single;
    for (size_t i = 0; i < biases.count; i++) bias[i] = ig_flat_item_f64(&biases, i);
    builder->bias = bias;
    return true;
}

static bool read_trees(struct reader *reader)
{
    reader->splits = ig_flat_vector(&reader->trees, TREES_SPLITS, 4);
    reader->sizes = ig_flat_vector(&reader->trees, TREES_SIZES, 4);
    reader->steps = ig_flat_vector(&reader->trees, TREES_STEPS, 4);
    reader->leaf_ids = ig_flat_vector(&reader->trees, TREES_LEAF_IDS, 4);
    return read_leaves(reader) && read_bias(reader) &&
           (reader->steps.count ? read_branched(reader) : read_symmetric(reader));
}

/* ---- tables of statistics ---- */

static double count_at(const struct ig_flat_vector *bytes, size_t at, bool sum)
{
    if (sum)
        return (double)ig_flat_item_f32(&(struct ig_flat_vector){bytes->flat, bytes->at + at, 1, 4},
                                        0, 0);
    struct ig_flat_vector word = {bytes->flat, bytes->at + at, 1, 4};
    return (double)(int32_t)ig_flat_item_u32(&word, 0, 0);
}

/* Buckets are 12 bytes, a key and the number of its counts; all ones is an empty bucket. Counts are
 * 4 bytes each; the mean's first one is a float. */
static bool read_counts(struct reader *reader, const struct ig_flat_table *own,
                        enum cb_ctr_type type, struct cb_table *table)
{
    struct cb_builder *builder = &reader->builder;
    bool mean = type == CB_CTR_MEAN || type == CB_CTR_FLOAT_MEAN;
    bool counter = type == CB_CTR_COUNTER || type == CB_CTR_FREQUENCY;
    struct ig_flat_vector index = ig_flat_vector(own, TABLE_INDEX, 1);
    struct ig_flat_vector blob = ig_flat_vector(own, TABLE_COUNTS, 1);
    int32_t classes = mean ? 2 : counter ? 1 : ig_flat_i32(own, TABLE_CLASSES, 0);
    if (classes <= 0 || index.count % 12 || blob.count % 4)
        return cb_fail(builder, "TCtrValueTable: %zu bytes of keys, %zu of counts, %d classes",
                       index.count, blob.count, classes);
    size_t buckets = index.count / 12, stride = (size_t)classes, rows = blob.count / 4 / stride;
    uint64_t *keys = ig_arena_array(&reader->scratch, buckets + 1, sizeof *keys);
    double *counts = ig_arena_array(&reader->scratch, rows * stride + 1, sizeof *counts);
    const double **row_of = ig_arena_array(&reader->scratch, buckets + 1, sizeof *row_of);
    if (!keys || !counts || !row_of) return no_memory(reader);
    for (size_t i = 0; i < rows * stride; i++)
        counts[i] = count_at(&blob, i * 4, mean && i % 2 == 0);
    index.item_bytes = 12;
    index.count = buckets;
    for (size_t i = 0; i < buckets; i++) {
        uint64_t key = ig_flat_item_u64(&index, i, 0);
        uint32_t row = ig_flat_item_u32(&index, i, 8);
        if (key == UINT64_MAX) continue;
        if (row >= rows)
            return cb_fail(builder, "TCtrValueTable: bucket %zu has counts %u of %zu", i, row,
                           rows);
        keys[table->count] = key;
        row_of[table->count++] = counts + (size_t)row * stride;
    }
    table->keys = keys;
    table->rows = row_of;
    table->stride = (uint32_t)stride;
    table->denominator = ig_flat_i32(own, TABLE_DENOMINATOR, 0);
    return true;
}

static bool read_table(struct reader *reader, struct ig_str block)
{
    struct cb_builder *builder = &reader->builder;
    struct ig_flat flat;
    struct ig_flat_table own = ig_flat_root(&flat, block);
    struct ig_flat_table base = ig_flat_table(&own, TABLE_BASE);
    struct cb_table table = {0};
    struct cb_ctr named = {0};
    if (!read_base(reader, &base, &named)) return false;
    table.key = named.key;
    if (!read_counts(reader, &own, named.type, &table)) return false;
    if (flat.bad) return cb_fail(builder, "TCtrValueTable: a broken offset");
    builder->tables[builder->tables_count++] = table;
    return true;
}

static bool read_tables(struct reader *reader, struct ig_str *rest)
{
    struct cb_builder *builder = &reader->builder;
    uint64_t count;
    struct ig_str block;
    if (!take_size(rest, &count) || count > rest->len / 4 || count > CB_FEATURES_MAX)
        return cb_fail(builder,
                       "static_provider_v1: its number of tables is not there, or too big");
    builder->tables = ig_arena_array(&reader->scratch, (size_t)count + 1, sizeof *builder->tables);
    if (!builder->tables) return no_memory(reader);
    for (uint64_t i = 0; i < count; i++) {
        if (!take_block(rest, &block))
            return cb_fail(builder, "static_provider_v1: table %llu is cut off",
                           (unsigned long long)i);
        if (!read_table(reader, block)) return false;
    }
    return true;
}

/* ---- the file ---- */

static bool read_info(struct reader *reader, const struct ig_flat_table *core)
{
    struct ig_flat_vector info = ig_flat_vector(core, CORE_INFO, 4);
    for (size_t i = 0; i < info.count; i++) {
        struct ig_flat_table pair = ig_flat_item_table(&info, i);
        if (!ig_str_is(ig_flat_str(&pair, 0), "params")) continue;
        struct ig_json json;
        ig_json_init(&json, ig_flat_str(&pair, 1), &reader->scratch, reader->builder.err);
        json.allow_nan = true;
        if (!cb_read_params(&reader->builder, &json)) return false;
    }
    return true;
}

static bool read_parts(struct reader *reader, const struct ig_flat_table *core, struct ig_str rest)
{
    struct ig_flat_vector parts = ig_flat_vector(core, CORE_PARTS, 4);
    for (size_t i = 0; i < parts.count; i++) {
        struct ig_str name = ig_flat_item_str(&parts, i);
        if (!ig_str_is(name, "static_provider_v1") || reader->builder.tables)
            return cb_fail(&reader->builder, "ModelPartIds: '%.*s' is not supported, or twice",
                           (int)(name.len > 64 ? 64 : name.len), name.ptr);
        if (!read_tables(reader, &rest)) return false;
    }
    return true;
}

static bool read_model(struct reader *reader, struct ig_str bytes)
{
    struct cb_builder *builder = &reader->builder;
    struct ig_str rest = {bytes.ptr + 4, bytes.len - 4}, block;
    struct ig_flat flat;
    if (!take_block(&rest, &block)) return cb_fail(builder, "the core is cut off");
    struct ig_flat_table core = ig_flat_root(&flat, block);
    struct ig_str version = ig_flat_str(&core, CORE_VERSION);
    if (!flat.bad && !ig_str_is(version, "FlabuffersModel_v1"))
        return cb_fail(builder, "FormatVersion: '%.*s', expected FlabuffersModel_v1",
                       (int)(version.len > 64 ? 64 : version.len), version.ptr);
    reader->trees = ig_flat_table(&core, CORE_TREES);
    bool good = read_features(reader) && read_parts(reader, &core, rest) && read_trees(reader) &&
                read_info(reader, &core);
    if (flat.bad) {
        *builder->err = IG_ERR_INIT;
        return cb_fail(builder, "the core has a broken offset");
    }
    return good && cb_builder_finish(builder);
}

bool ig_catboost_cbm_probe(struct ig_str bytes)
{
    return ig_str_starts(bytes, IG_STR("CBM1"));
}

enum ig_code ig_catboost_cbm_load(struct ig_model **out, struct ig_str bytes, struct ig_err *err)
{
    struct reader reader = {.builder = {.err = err, .scale = 1}};
    if (!ig_catboost_cbm_probe(bytes)) return ig_fail(err, IG_INVALID, "expected CBM1");
    struct ig_model *model = ig_model_new(((size_t)1 << 22) + bytes.len * 64);
    if (!model) return ig_fail(err, IG_NO_MEMORY, "out of memory");
    ig_arena_init(&reader.scratch, 64 << 10, ((size_t)1 << 20) + bytes.len * 64);
    reader.builder.model = model;
    reader.builder.scratch = &reader.scratch;
    bool good = read_model(&reader, bytes);
    cb_builder_deinit(&reader.builder);
    ig_arena_deinit(&reader.scratch);
    if (good)
        *out = reader.builder.model;
    else
        ig_model_free(reader.builder.model);
    return err->code;
}
