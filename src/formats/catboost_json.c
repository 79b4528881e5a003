/* SPDX-License-Identifier: Apache-2.0 */
/* CatBoost models saved as JSON: symmetric and other trees, over numbers and categories.
 *
 * Questions about categories are found by split_index, as the library does; it runs over
 * features_info, which may stand behind the trees. Trees that are not symmetric nest; they are read
 * with a stack, as deep as the JSON reader goes. Texts and embeddings are turned by CatBoost's own
 * code; such models are refused.
 *
 * Owns nothing; the model is the caller's. Thread rule: pure. */
#include "base/json.h"
#include "formats/catboost_priv.h"
#include "formats/format.h"

#include <string.h>

struct reader {
    struct ig_json json;
    struct ig_arena scratch;
    struct cb_builder builder;
    struct cb_numbers numbers; /* of the list in hand */
    struct cb_numbers weights; /* of the leaves of one tree */
    struct {
        uint64_t *items;
        size_t count, cap;
    } keys; /* of the table in hand */
};

static bool fail(struct reader *reader, const char *message)
{
    if (reader->builder.err->code == IG_OK)
        ig_fail_at(reader->builder.err, IG_INVALID, ig_json_position(&reader->json), "%s", message);
    return false;
}

static bool fail_word(struct reader *reader, const char *what, struct ig_str word)
{
    if (reader->builder.err->code == IG_OK)
        ig_fail_at(reader->builder.err, IG_UNSUPPORTED, ig_json_position(&reader->json),
                   "%s: '%.*s' is not supported", what, (int)(word.len > 64 ? 64 : word.len),
                   word.ptr);
    return false;
}

static bool ok(const struct reader *reader)
{
    return reader->builder.err->code == IG_OK;
}

static bool read_numbers(struct reader *reader, struct cb_numbers *out, const char *what)
{
    if (!ig_json_expect(&reader->json, IG_JSON_ARRAY, what)) return false;
    while (ig_json_element(&reader->json)) {
        double value;
        if (!ig_json_f64(&reader->json, &value, what)) return false;
        if (!IG_VEC_PUSH(out, value, CB_NODES_MAX)) return fail(reader, "out of memory");
    }
    return ok(reader);
}

/* A list of floats, kept in scratch. */
static bool read_borders(struct reader *reader, const float **out, uint32_t *count,
                         const char *what)
{
    reader->numbers.count = 0;
    if (!read_numbers(reader, &reader->numbers, what)) return false;
    float *borders = ig_arena_array(&reader->scratch, reader->numbers.count + 1, sizeof *borders);
    if (!borders) return fail(reader, "out of memory");
    for (size_t i = 0; i < reader->numbers.count; i++) borders[i] = (float)reader->numbers.items[i];
    *out = borders;
    *count = (uint32_t)reader->numbers.count;
    return true;
}

static bool read_float(struct reader *reader, float *out, const char *what)
{
    double value;
    if (!ig_json_f64(&reader->json, &value, what)) return false;
    *out = (float)value;
    return true;
}

static bool read_index(struct reader *reader, uint32_t *out, const char *what)
{
    uint64_t value;
    if (!ig_json_u64(&reader->json, &value, what)) return false;
    if (value >= CB_NODES_MAX) return fail(reader, "an index is out of range");
    *out = (uint32_t)value;
    return true;
}

static bool read_name(struct reader *reader, struct ig_str *out, const char *what)
{
    struct ig_str text;
    if (!ig_json_string(&reader->json, &text, what)) return false;
    *out = ig_arena_dup(&reader->builder.model->arena, text);
    return out->ptr || fail(reader, "out of memory");
}

/* Room in scratch for the objects of the list that comes next, none of it consumed. */
static void *list_room(struct reader *reader, size_t item_bytes, const void *before,
                       const char *what)
{
    struct ig_json counting = reader->json;
    size_t count = 0;
    if (!ig_json_expect(&counting, IG_JSON_ARRAY, what)) return NULL;
    while (ig_json_element(&counting)) {
        if (!ig_json_skip(&counting)) return NULL;
        count++;
    }
    if (!ok(reader)) return NULL;
    void *room = before || count > CB_FEATURES_MAX
                     ? NULL
                     : ig_arena_array(&reader->scratch, count + 1, item_bytes);
    if (!room) fail(reader, "features_info: a list is given twice, or too long");
    return room;
}

/* ---- features ---- */

static bool read_treatment(struct reader *reader, bool *missing_right)
{
    struct ig_str text;
    if (!ig_json_string(&reader->json, &text, "nan_value_treatment")) return false;
    *missing_right = ig_str_is(text, "AsTrue");
    /* AsIs: a missing value is above no border */
    if (*missing_right || ig_str_is(text, "AsFalse") || ig_str_is(text, "AsIs")) return true;
    return fail_word(reader, "nan_value_treatment", text);
}

static bool read_float_feature(struct reader *reader)
{
    struct ig_json *json = &reader->json;
    struct cb_builder *builder = &reader->builder;
    struct cb_float feature = {0};
    uint32_t index = UINT32_MAX;
    bool has_nans = true;
    feature.column = UINT32_MAX;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "float_features")) return false;
    while (ig_json_member(json)) {
        if (ig_str_is(json->text, "feature_index"))
            read_index(reader, &index, "feature_index");
        else if (ig_str_is(json->text, "flat_feature_index"))
            read_index(reader, &feature.column, "flat_feature_index");
        else if (ig_str_is(json->text, "feature_id"))
            read_name(reader, &feature.name, "feature_id");
        else if (ig_str_is(json->text, "has_nans"))
            ig_json_bool(json, &has_nans, "has_nans");
        else if (ig_str_is(json->text, "nan_value_treatment"))
            read_treatment(reader, &feature.missing_right);
        else if (ig_str_is(json->text, "borders"))
            read_borders(reader, &feature.borders, &feature.borders_count, "borders");
        else
            ig_json_skip(json);
        if (!ok(reader)) return false;
    }
    if (!ok(reader)) return false;
    if (index != builder->floats_count || feature.column == UINT32_MAX)
        return fail(reader, "float_features: feature_index and flat_feature_index do not count up");
    feature.missing_right = feature.missing_right && has_nans;
    builder->floats[builder->floats_count++] = feature;
    return true;
}

static bool read_values(struct reader *reader)
{
    struct cb_builder *builder = &reader->builder;
    struct cb_one_hot *one_hot = &builder->one_hots[builder->one_hots_count];
    reader->numbers.count = 0;
    if (!read_numbers(reader, &reader->numbers, "values")) return false;
    int32_t *values = ig_arena_array(&reader->scratch, reader->numbers.count + 1, sizeof *values);
    if (!values) return fail(reader, "out of memory");
    for (size_t i = 0; i < reader->numbers.count; i++) {
        double value = reader->numbers.items[i];
        if (!(value >= INT32_MIN && value <= INT32_MAX))
            return fail(reader, "values: expected 32-bit hashes");
        values[i] = (int32_t)value;
    }
    *one_hot = (struct cb_one_hot){.category = builder->categories_count,
                                   .values = values,
                                   .values_count = (uint32_t)reader->numbers.count};
    builder->one_hots_count++;
    return true;
}

static bool read_category(struct reader *reader)
{
    struct ig_json *json = &reader->json;
    struct cb_builder *builder = &reader->builder;
    struct cb_category feature = {0};
    uint32_t index = UINT32_MAX, one_hots = builder->one_hots_count;
    feature.column = UINT32_MAX;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "categorical_features")) return false;
    while (ig_json_member(json)) {
        if (ig_str_is(json->text, "feature_index"))
            read_index(reader, &index, "feature_index");
        else if (ig_str_is(json->text, "flat_feature_index"))
            read_index(reader, &feature.column, "flat_feature_index");
        else if (ig_str_is(json->text, "feature_id"))
            read_name(reader, &feature.name, "feature_id");
        else if (ig_str_is(json->text, "values") && builder->one_hots_count == one_hots)
            read_values(reader);
        else
            ig_json_skip(json);
        if (!ok(reader)) return false;
    }
    if (!ok(reader)) return false;
    if (index != builder->categories_count || feature.column == UINT32_MAX)
        return fail(reader,
                    "categorical_features: feature_index and flat_feature_index do not count up");
    builder->categories[builder->categories_count++] = feature;
    return true;
}

/* One of a statistic's features, or what is asked of it. */
struct element {
    struct ig_str kind;
    uint32_t category, number;
    float border;
    int64_t value;
};

static bool read_element(struct reader *reader, struct element *out)
{
    struct ig_json *json = &reader->json;
    *out = (struct element){.category = IG_MODEL_NONE, .number = IG_MODEL_NONE};
    if (!ig_json_expect(json, IG_JSON_OBJECT, "elements")) return false;
    while (ig_json_member(json)) {
        if (ig_str_is(json->text, "cat_feature_index"))
            read_index(reader, &out->category, "cat_feature_index");
        else if (ig_str_is(json->text, "float_feature_index"))
            read_index(reader, &out->number, "float_feature_index");
        else if (ig_str_is(json->text, "border"))
            read_float(reader, &out->border, "border");
        else if (ig_str_is(json->text, "value"))
            ig_json_i64(json, &out->value, "value");
        else if (ig_str_is(json->text, "combination_element"))
            ig_json_string(json, &out->kind, "combination_element");
        else
            ig_json_skip(json);
        if (!ok(reader)) return false;
    }
    return ok(reader);
}

static bool add_element(struct reader *reader, const struct element *element,
                        struct cb_combination *parts)
{
    if (ig_str_is(element->kind, "cat_feature_value"))
        parts->categories[parts->categories_count++] = element->category;
    else if (ig_str_is(element->kind, "float_feature"))
        parts->above[parts->above_count++] =
            (struct cb_part_above){element->number, element->border};
    else if (!ig_str_is(element->kind, "cat_feature_exact_value"))
        return fail_word(reader, "combination_element", element->kind);
    else if (element->value < INT32_MIN || element->value > INT32_MAX)
        return fail(reader, "elements: value: expected a 32-bit hash");
    else
        parts->equal[parts->equal_count++] =
            (struct cb_part_equal){element->category, (int32_t)element->value};
    return true;
}

static bool read_elements(struct reader *reader, struct cb_ctr *ctr)
{
    struct ig_json *json = &reader->json;
    struct cb_combination *parts = &ctr->parts;
    struct element element;
    uint32_t count = 0;
    *parts = (struct cb_combination){
        .categories = ig_arena_array(&reader->scratch, CB_PARTS_MAX, sizeof *parts->categories),
        .above = ig_arena_array(&reader->scratch, CB_PARTS_MAX, sizeof *parts->above),
        .equal = ig_arena_array(&reader->scratch, CB_PARTS_MAX, sizeof *parts->equal)};
    if (!parts->categories || !parts->above || !parts->equal) return fail(reader, "out of memory");
    if (!ig_json_expect(json, IG_JSON_ARRAY, "elements")) return false;
    while (ig_json_element(json)) {
        if (count++ == CB_PARTS_MAX) return fail(reader, "elements: too many features");
        if (!read_element(reader, &element) || !add_element(reader, &element, parts)) return false;
    }
    ctr->category = count == 1 && parts->categories_count ? parts->categories[0] : IG_MODEL_NONE;
    return ok(reader);
}

static bool read_ctr_member(struct reader *reader, struct cb_ctr *ctr)
{
    struct ig_json *json = &reader->json;
    struct ig_str text;
    if (ig_str_is(json->text, "elements")) return read_elements(reader, ctr);
    if (ig_str_is(json->text, "identifier")) return read_name(reader, &ctr->key, "identifier");
    if (ig_str_is(json->text, "ctr_type"))
        return ig_json_string(json, &text, "ctr_type") &&
               (cb_ctr_type_parse(text, &ctr->type) || fail_word(reader, "ctr_type", text));
    if (ig_str_is(json->text, "prior_numerator"))
        return read_float(reader, &ctr->prior, "prior_numerator");
    if (ig_str_is(json->text, "prior_denomerator"))
        return read_float(reader, &ctr->prior_all, "prior_denomerator");
    if (ig_str_is(json->text, "shift")) return read_float(reader, &ctr->shift, "shift");
    if (ig_str_is(json->text, "scale")) return read_float(reader, &ctr->scale, "scale");
    if (ig_str_is(json->text, "target_border_idx"))
        return read_index(reader, &ctr->target_border, "target_border_idx");
    if (ig_str_is(json->text, "borders"))
        return read_borders(reader, &ctr->borders, &ctr->borders_count, "ctrs.borders");
    return ig_json_skip(json);
}

static bool read_ctr(struct reader *reader)
{
    struct cb_ctr ctr = {.category = IG_MODEL_NONE, .prior_all = 1, .scale = 1};
    if (!ig_json_expect(&reader->json, IG_JSON_OBJECT, "ctrs")) return false;
    while (ig_json_member(&reader->json))
        if (!read_ctr_member(reader, &ctr)) return false;
    if (!ok(reader)) return false;
    reader->builder.ctrs[reader->builder.ctrs_count++] = ctr;
    return true;
}

static bool read_word(struct reader *reader)
{
    struct ig_json *json = &reader->json;
    struct cb_word word = {0};
    uint64_t hash = 0;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "cat_features_hash")) return false;
    while (ig_json_member(json)) {
        if (ig_str_is(json->text, "hash"))
            ig_json_u64(json, &hash, "hash");
        else if (ig_str_is(json->text, "value"))
            read_name(reader, &word.text, "value");
        else
            ig_json_skip(json);
        if (!ok(reader)) return false;
    }
    if (hash > UINT32_MAX) return fail(reader, "cat_features_hash: expected 32-bit hashes");
    word.hash = (uint32_t)hash;
    reader->builder.words[reader->builder.words_count++] = word;
    return ok(reader);
}

static bool read_list(struct reader *reader, bool (*read_one)(struct reader *), const char *what)
{
    if (!ig_json_expect(&reader->json, IG_JSON_ARRAY, what)) return false;
    while (ig_json_element(&reader->json))
        if (!read_one(reader)) return false;
    return ok(reader);
}

#define READ_LIST(reader, list, read_one, what)                                                    \
    do {                                                                                           \
        (list) = list_room(reader, sizeof *(list), list, what);                                    \
        if (list) read_list(reader, read_one, what);                                               \
    } while (0)

/* The first of a list that is to be empty. */
static bool refuse_features(struct reader *reader, const char *list, const char *kind)
{
    struct ig_json *json = &reader->json;
    struct ig_str name = {NULL, 0};
    int64_t column = 0;
    if (!ig_json_expect(json, IG_JSON_ARRAY, list)) return false;
    if (!ig_json_element(json)) return ok(reader);
    if (!ig_json_expect(json, IG_JSON_OBJECT, list)) return false;
    while (ig_json_member(json)) {
        if (ig_str_is(json->text, "feature_id"))
            ig_json_string(json, &name, "feature_id");
        else if (ig_str_is(json->text, "flat_feature_index"))
            ig_json_i64(json, &column, "flat_feature_index");
        else
            ig_json_skip(json);
    }
    return ok(reader) && cb_refuse_feature(&reader->builder, kind, name, column);
}

static bool read_features(struct reader *reader)
{
    struct ig_json *json = &reader->json;
    struct cb_builder *builder = &reader->builder;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "features_info")) return false;
    while (ig_json_member(json)) {
        struct ig_str name = json->text;
        if (ig_str_is(name, "float_features")) {
            READ_LIST(reader, builder->floats, read_float_feature, "float_features");
        } else if (ig_str_is(name, "categorical_features")) {
            builder->one_hots =
                list_room(reader, sizeof *builder->one_hots, NULL, "categorical_features");
            READ_LIST(reader, builder->categories, read_category, "categorical_features");
        } else if (ig_str_is(name, "ctrs")) {
            READ_LIST(reader, builder->ctrs, read_ctr, "ctrs");
        } else if (ig_str_is(name, "cat_features_hash")) {
            READ_LIST(reader, builder->words, read_word, "cat_features_hash");
        } else if (ig_str_is(name, "text_features")) {
            refuse_features(reader, "text_features", "text");
        } else if (ig_str_is(name, "embedding_features")) {
            refuse_features(reader, "embedding_features", "embedding");
        } else {
            ig_json_skip(json);
        }
        if (!ok(reader)) return false;
    }
    return ok(reader);
}

/* ---- tables of statistics ---- */

static bool read_hash_map(struct reader *reader)
{
    struct ig_json *json = &reader->json;
    double number;
    uint64_t key;
    reader->keys.count = reader->numbers.count = 0;
    if (!ig_json_expect(json, IG_JSON_ARRAY, "hash_map")) return false;
    for (;;) {
        enum ig_json_event event = ig_json_next(json);
        if (event == IG_JSON_ARRAY_END) return true;
        bool good = false;
        if (event == IG_JSON_STRING && ig_str_to_u64(json->text, &key))
            good = IG_VEC_PUSH(&reader->keys, key, CB_NODES_MAX);
        else if (event == IG_JSON_NUMBER && ig_str_to_f64(json->text, &number))
            good = IG_VEC_PUSH(&reader->numbers, number, CB_NODES_MAX);
        if (!good) return fail(reader, "hash_map: expected hashes in quotes, each with its counts");
    }
}

static bool keep_table(struct reader *reader, struct cb_table *table, uint64_t stride)
{
    size_t keys = reader->keys.count, numbers = reader->numbers.count;
    if (!stride || stride - 1 > UINT32_MAX || !keys != !numbers ||
        (keys && (numbers % keys || numbers / keys != stride - 1)))
        return fail(reader, "ctr_data: hash_map does not hold hash_stride values a category");
    uint64_t *kept = ig_arena_array(&reader->scratch, keys + 1, sizeof *kept);
    double *counts = ig_arena_array(&reader->scratch, numbers + 1, sizeof *counts);
    const double **rows = ig_arena_array(&reader->scratch, keys + 1, sizeof *rows);
    if (!kept || !counts || !rows) return fail(reader, "out of memory");
    if (keys) memcpy(kept, reader->keys.items, keys * sizeof *kept);
    if (keys) memcpy(counts, reader->numbers.items, numbers * sizeof *counts);
    table->keys = kept;
    for (size_t i = 0; i < keys; i++) rows[i] = counts + i * (size_t)(stride - 1);
    table->rows = rows;
    table->count = (uint32_t)keys;
    table->stride = (uint32_t)(stride - 1);
    reader->builder.tables[reader->builder.tables_count++] = *table;
    return true;
}

static bool read_table(struct reader *reader, struct ig_str key)
{
    struct ig_json *json = &reader->json;
    struct cb_table table = {.key = ig_arena_dup(&reader->scratch, key)};
    uint64_t stride = 0;
    reader->keys.count = reader->numbers.count = 0;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "ctr_data")) return false;
    while (ig_json_member(json)) {
        if (ig_str_is(json->text, "hash_map"))
            read_hash_map(reader);
        else if (ig_str_is(json->text, "hash_stride"))
            ig_json_u64(json, &stride, "hash_stride");
        else if (ig_str_is(json->text, "counter_denominator"))
            ig_json_i64(json, &table.denominator, "counter_denominator");
        else
            ig_json_skip(json);
        if (!ok(reader)) return false;
    }
    return ok(reader) && keep_table(reader, &table, stride);
}

static bool read_tables(struct reader *reader)
{
    struct ig_json *json = &reader->json, counting;
    size_t count = 0;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "ctr_data")) return false;
    counting = *json;
    while (ig_json_member(&counting)) {
        if (!ig_json_skip(&counting)) return false;
        count++;
    }
    if (!ok(reader)) return false;
    if (reader->builder.tables || count > CB_FEATURES_MAX)
        return fail(reader, "ctr_data: given twice, or too long");
    reader->builder.tables =
        ig_arena_array(&reader->scratch, count + 1, sizeof *reader->builder.tables);
    if (!reader->builder.tables) return fail(reader, "out of memory");
    while (ig_json_member(json))
        if (!read_table(reader, json->text)) return false;
    return ok(reader);
}

/* ---- trees ---- */

static bool read_split(struct reader *reader, struct cb_split *out)
{
    struct ig_json *json = &reader->json;
    uint32_t feature = UINT32_MAX, number = UINT32_MAX;
    struct ig_str type = IG_STR("FloatFeature");
    bool has_border = false;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "splits")) return false;
    while (ig_json_member(json)) {
        if (ig_str_is(json->text, "float_feature_index"))
            read_index(reader, &feature, "float_feature_index");
        else if (ig_str_is(json->text, "split_index"))
            read_index(reader, &number, "split_index");
        else if (ig_str_is(json->text, "border"))
            has_border = read_float(reader, &out->border, "border");
        else if (ig_str_is(json->text, "split_type"))
            ig_json_string(json, &type, "split_type");
        else
            ig_json_skip(json);
        if (!ok(reader)) return false;
    }
    if (!ok(reader)) return false;
    out->numbered = ig_str_is(type, "OneHotFeature") || ig_str_is(type, "OnlineCtr");
    out->number = out->numbered ? number : feature;
    if (!out->numbered && !ig_str_is(type, "FloatFeature"))
        return fail_word(reader, "split_type", type);
    if (out->numbered && number == UINT32_MAX)
        return fail(reader, "splits: split_index is missing");
    if (!out->numbered && (feature == UINT32_MAX || !has_border))
        return fail(reader, "splits: float_feature_index or border is missing");
    return true;
}

/* What the first tree tells: how many outputs the model has. */
static bool settle_outputs(struct reader *reader, size_t leaves, size_t values)
{
    uint32_t *outputs = &reader->builder.model->outputs_count;
    if (!*outputs && values % leaves == 0) *outputs = (uint32_t)(values / leaves);
    return (*outputs && values == leaves * *outputs) ||
           fail(reader, "leaf_values: not as many as the tree has leaves and the model outputs");
}

static bool read_tree(struct reader *reader)
{
    struct ig_json *json = &reader->json;
    struct cb_numbers *values = &reader->builder.values;
    struct cb_split splits[CB_DEPTH_MAX];
    uint32_t depth = 0;
    size_t values_before = values->count;
    bool has_weights = false;
    reader->weights.count = 0;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "oblivious_trees")) return false;
    while (ig_json_member(json)) {
        if (ig_str_is(json->text, "leaf_values")) {
            read_numbers(reader, values, "leaf_values");
        } else if (ig_str_is(json->text, "leaf_weights")) {
            has_weights = read_numbers(reader, &reader->weights, "leaf_weights");
        } else if (ig_str_is(json->text, "splits")) {
            if (ig_json_next(json) == IG_JSON_NULL) continue; /* a lone leaf */
            if (depth) return fail(reader, "splits: given twice");
            while (ok(reader) && ig_json_element(json)) {
                if (depth == CB_DEPTH_MAX) return fail(reader, "splits: more than 16 in a tree");
                if (!read_split(reader, &splits[depth++])) return false;
            }
        } else {
            ig_json_skip(json);
        }
        if (!ok(reader)) return false;
    }
    size_t leaves = (size_t)1 << depth;
    if (!ok(reader) || !settle_outputs(reader, leaves, values->count - values_before)) return false;
    if (has_weights && reader->weights.count != leaves)
        return fail(reader, "leaf_weights: not as many as the tree has leaves");
    reader->builder.model->covers_counted |= !has_weights;
    return cb_builder_add_symmetric(&reader->builder, splits, depth,
                                    values_before / reader->builder.model->outputs_count,
                                    has_weights ? reader->weights.items : NULL);
}

/* A node that is being read; its place is within its tree. */
struct open_node {
    uint32_t place;
    struct cb_split split;
    double weight;
    size_t first_value, values_count;
    bool has_split, has_weight;
};

struct branches {
    struct reader *reader;
    size_t first_node;
    struct open_node open[IG_JSON_DEPTH_MAX];
    size_t depth;
};

static struct ig_node *node_at(struct branches *branches, uint32_t place)
{
    return &branches->reader->builder.nodes.items[branches->first_node + place];
}

static bool open_node(struct branches *branches)
{
    struct reader *reader = branches->reader;
    const struct ig_node node = {.op = IG_NODE_LEAF, .left = -1, .right = -1};
    struct open_node open = {.place =
                                 (uint32_t)(reader->builder.nodes.count - branches->first_node)};
    if (!ig_json_expect(&reader->json, IG_JSON_OBJECT, "trees")) return false;
    if (branches->depth == IG_JSON_DEPTH_MAX) return fail(reader, "trees: too deep");
    if (!IG_VEC_PUSH(&reader->builder.nodes, node, CB_NODES_MAX))
        return fail(reader, "out of memory");
    branches->open[branches->depth++] = open;
    return true;
}

static bool open_child(struct branches *branches, bool left)
{
    struct ig_node *parent = node_at(branches, branches->open[branches->depth - 1].place);
    int32_t *child = left ? &parent->left : &parent->right;
    if (*child >= 0) return fail(branches->reader, "trees: a child is given twice");
    *child = (int32_t)(branches->reader->builder.nodes.count - branches->first_node);
    return open_node(branches);
}

/* One number, or a list of them. */
static bool read_value(struct branches *branches, struct open_node *open)
{
    struct reader *reader = branches->reader;
    struct cb_numbers *values = &reader->builder.values;
    struct ig_json peek = reader->json;
    double value;
    open->first_value = values->count;
    if (ig_json_next(&peek) == IG_JSON_ARRAY) {
        if (!read_numbers(reader, values, "value")) return false;
    } else if (!ig_json_f64(&reader->json, &value, "value") ||
               !IG_VEC_PUSH(values, value, CB_NODES_MAX)) {
        return fail(reader, "out of memory");
    }
    open->values_count = values->count - open->first_value;
    return true;
}

static bool read_node_member(struct branches *branches)
{
    struct reader *reader = branches->reader;
    struct open_node *open = &branches->open[branches->depth - 1];
    struct ig_str name = reader->json.text;
    if (ig_str_is(name, "left") || ig_str_is(name, "right"))
        return open_child(branches, ig_str_is(name, "left"));
    if (ig_str_is(name, "split")) return open->has_split = read_split(reader, &open->split);
    if (ig_str_is(name, "weight"))
        return open->has_weight = ig_json_f64(&reader->json, &open->weight, "weight");
    if (ig_str_is(name, "value") && !open->values_count) return read_value(branches, open);
    return ig_json_skip(&reader->json);
}

static bool close_node(struct branches *branches)
{
    struct reader *reader = branches->reader;
    struct cb_builder *builder = &reader->builder;
    const struct open_node *open = &branches->open[--branches->depth];
    struct ig_node *node = node_at(branches, open->place);
    bool children = node->left >= 0 && node->right >= 0, leaf = node->left < 0 && node->right < 0;
    if (leaf ? open->has_split || !open->values_count
             : !children || !open->has_split || open->values_count)
        return fail(reader, "trees: expected a value, or a split with left and right");
    if (leaf) {
        if (!settle_outputs(reader, 1, open->values_count)) return false;
        node->extra = (uint32_t)(open->first_value / builder->model->outputs_count);
        node->cover = open->has_weight ? open->weight : 1;
        builder->model->covers_counted |= !open->has_weight;
        return true;
    }
    node->op = IG_NODE_LE; /* which question it asks, its split tells */
    node->extra = (uint32_t)builder->splits.count;
    return IG_VEC_PUSH(&builder->splits, open->split, CB_NODES_MAX) ||
           fail(reader, "out of memory");
}

static bool number_nodes(struct branches *branches)
{
    struct cb_builder *builder = &branches->reader->builder;
    int32_t inner = 0, leaves = 0;
    for (size_t i = branches->first_node; i < builder->nodes.count; i++) {
        struct ig_node *node = &builder->nodes.items[i];
        node->source_id = node->op == IG_NODE_LEAF ? leaves++ : inner++;
    }
    return cb_builder_end_tree(builder, branches->first_node);
}

static bool read_branches(struct reader *reader)
{
    struct branches branches = {.reader = reader, .first_node = reader->builder.nodes.count};
    if (!open_node(&branches)) return false;
    while (branches.depth > 0) {
        if (ig_json_member(&reader->json)) {
            if (!read_node_member(&branches)) return false;
        } else if (!ok(reader) || !close_node(&branches)) {
            return false;
        }
    }
    return number_nodes(&branches);
}

/* ---- the rest ---- */

static bool read_scale(struct reader *reader)
{
    struct ig_json *json = &reader->json;
    reader->numbers.count = 0;
    bool good = ig_json_expect(json, IG_JSON_ARRAY, "scale_and_bias") && ig_json_element(json) &&
                ig_json_f64(json, &reader->builder.scale, "scale_and_bias") &&
                ig_json_element(json) && read_numbers(reader, &reader->numbers, "scale_and_bias") &&
                !ig_json_element(json) && ok(reader);
    if (!good) return fail(reader, "scale_and_bias: expected [scale, [bias, ...]]");
    double *bias = ig_arena_array(&reader->scratch, reader->numbers.count + 1, sizeof *bias);
    if (!bias) return fail(reader, "out of memory");
    if (reader->numbers.count)
        memcpy(bias, reader->numbers.items, reader->numbers.count * sizeof *bias);
    reader->builder.bias = bias;
    reader->builder.bias_count = reader->numbers.count;
    return true;
}

static bool read_loss(struct cb_builder *builder, struct ig_json *json)
{
    struct ig_str text;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "loss_function")) return false;
    while (ig_json_member(json)) {
        bool type = ig_str_is(json->text, "type");
        if (type ? !ig_json_string(json, &text, "loss_function.type") ||
                       !cb_builder_set_loss(builder, text)
                 : !ig_json_skip(json))
            return false;
    }
    return builder->err->code == IG_OK;
}

bool cb_read_params(struct cb_builder *builder, struct ig_json *json)
{
    if (!ig_json_expect(json, IG_JSON_OBJECT, "model_info.params")) return false;
    while (ig_json_member(json)) {
        bool loss = ig_str_is(json->text, "loss_function");
        if (loss ? !read_loss(builder, json) : !ig_json_skip(json)) return false;
    }
    return builder->err->code == IG_OK;
}

/* model_info.params, all else passed over. */
static bool read_info(struct reader *reader)
{
    struct ig_json *json = &reader->json;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "model_info")) return false;
    while (ig_json_member(json)) {
        bool params = ig_str_is(json->text, "params");
        if (params ? !cb_read_params(&reader->builder, json) : !ig_json_skip(json)) return false;
    }
    return ok(reader);
}

static bool read_model(struct reader *reader)
{
    struct ig_json *json = &reader->json;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "model")) return false;
    while (ig_json_member(json)) {
        if (ig_str_is(json->text, "features_info"))
            read_features(reader);
        else if (ig_str_is(json->text, "oblivious_trees"))
            read_list(reader, read_tree, "oblivious_trees");
        else if (ig_str_is(json->text, "trees"))
            read_list(reader, read_branches, "trees");
        else if (ig_str_is(json->text, "ctr_data"))
            read_tables(reader);
        else if (ig_str_is(json->text, "scale_and_bias"))
            read_scale(reader);
        else if (ig_str_is(json->text, "model_info"))
            read_info(reader);
        else
            ig_json_skip(json);
        if (!ok(reader)) return false;
    }
    return ok(reader) && (ig_json_next(json) == IG_JSON_END || ok(reader));
}

bool ig_catboost_json_probe(struct ig_str bytes)
{
    struct ig_str head = {bytes.ptr, bytes.len < 128 ? bytes.len : 128};
    struct ig_str start = ig_str_trim(head);
    return start.len && *start.ptr == '{' &&
           (memmem(head.ptr, head.len, "\"features_info\"", 15) ||
            memmem(head.ptr, head.len, "\"ctr_data\"", 10) ||
            memmem(head.ptr, head.len, "\"oblivious_trees\"", 17));
}

enum ig_code ig_catboost_json_load(struct ig_model **out, struct ig_str bytes, struct ig_err *err)
{
    struct reader reader = {.builder = {.err = err, .scale = 1}};
    struct ig_model *model = ig_model_new(((size_t)1 << 22) + bytes.len * 64);
    if (!model) return ig_fail(err, IG_NO_MEMORY, "out of memory");
    ig_arena_init(&reader.scratch, 64 << 10, ((size_t)1 << 20) + bytes.len * 64);
    ig_json_init(&reader.json, bytes, &reader.scratch, err);
    reader.json.allow_nan = true;
    reader.builder.model = model;
    reader.builder.scratch = &reader.scratch;
    bool good = read_model(&reader) && cb_builder_finish(&reader.builder);
    cb_builder_deinit(&reader.builder);
    IG_VEC_FREE(&reader.numbers);
    IG_VEC_FREE(&reader.weights);
    IG_VEC_FREE(&reader.keys);
    ig_arena_deinit(&reader.scratch);
    if (good)
        *out = reader.builder.model;
    else
        ig_model_free(reader.builder.model);
    return err->code;
}
