/* SPDX-License-Identifier: Apache-2.0 */
/* CatBoost's categories. A statistic (CTR) of one categorical feature is a function of its
 * category, so asking whether it is above a border is asking for a set of categories; those that
 * training has not seen share one answer, and the set holds the ones that differ from it.
 *
 * A table is keyed by (0 * M + hash * M) * M modulo 2^64 with the odd M below and the hash widened
 * as a signed number; M has an inverse, so the key gives the hash back. Statistics are computed in
 * float, in the library's order. Thread rule: one thread. */
#include "formats/catboost_priv.h"

#include "base/map.h"

#include <stdlib.h>
#include <string.h>

enum { BORDERS_MAX = 4096 }; /* asked of a table by all its CTRs; CatBoost itself makes tens */

static const char *const TYPES[CB_CTR_TYPES_COUNT] = {
    [CB_CTR_BORDERS] = "Borders",
    [CB_CTR_BUCKETS] = "Buckets",
    [CB_CTR_MEAN] = "BinarizedTargetMeanValue",
    [CB_CTR_FLOAT_MEAN] = "FloatTargetMeanValue",
    [CB_CTR_COUNTER] = "Counter",
    [CB_CTR_FREQUENCY] = "FeatureFreq",
};

bool cb_ctr_type_parse(struct ig_str name, enum cb_ctr_type *out)
{
    for (unsigned i = 0; i < CB_CTR_TYPES_COUNT; i++) {
        if (!ig_str_is(name, TYPES[i])) continue;
        *out = (enum cb_ctr_type)i;
        return true;
    }
    return false;
}

/* The category behind a table's key; false for a key that no category has. */
static bool hash_of_key(uint64_t key, uint32_t *hash)
{
    const uint64_t scrambler = 0x4906ba494954cb65;
    uint64_t inverse = scrambler; /* right for the low 3 bits; each step doubles them */
    for (int i = 0; i < 5; i++) inverse *= 2 - scrambler * inverse;
    uint64_t wide = key * inverse * inverse;
    *hash = (uint32_t)wide;
    return wide == (uint64_t)(int64_t)(int32_t)*hash;
}

static int compare_hashes(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static int compare_words(const void *left, const void *right)
{
    return compare_hashes(&((const struct cb_word *)left)->hash,
                          &((const struct cb_word *)right)->hash);
}

int32_t cb_category_code(const struct cb_category *category, uint32_t hash)
{
    const uint32_t *found =
        category->hashes_count
            ? bsearch(&hash, category->hashes, category->hashes_count, sizeof hash, compare_hashes)
            : NULL;
    return found ? (int32_t)(found - category->hashes) : -1;
}

/* Ties each CTR of a single feature to its table, and the table to the feature. */
static bool tie(struct cb_builder *builder)
{
    struct ig_map tables;
    bool good = true;
    ig_map_init(&tables, (size_t)builder->tables_count + 1);
    for (uint32_t i = 0; good && i < builder->tables_count; i++) {
        builder->tables[i].category = IG_MODEL_NONE;
        good = ig_map_put(&tables, builder->tables[i].key, &builder->tables[i]) ||
               cb_no_memory(builder);
    }
    for (uint32_t i = 0; good && i < builder->ctrs_count; i++) {
        struct cb_ctr *ctr = &builder->ctrs[i];
        struct cb_table *table = ctr->key.ptr ? ig_map_get(&tables, ctr->key) : NULL;
        ctr->table = table ? (uint32_t)(table - builder->tables) : IG_MODEL_NONE;
        if (ctr->category == IG_MODEL_NONE) continue;
        if (ctr->category >= builder->categories_count) { /* JSON may name it before them all */
            good = cb_fail(builder,
                           "ctrs: cat_feature_index %u is none of the %u categorical features",
                           ctr->category, builder->categories_count);
            continue;
        }
        if (!table) continue;
        if (table->category != IG_MODEL_NONE && table->category != ctr->category)
            good = cb_fail(builder, "ctrs: two features share one table");
        table->category = ctr->category;
    }
    ig_map_deinit(&tables);
    return good;
}

/* Appends a hash to its feature's list, or only counts it while the list has no memory. */
static void add_hash(struct cb_builder *builder, uint32_t category, uint32_t hash)
{
    struct cb_category *own = &builder->categories[category];
    if (own->hashes) own->hashes[own->hashes_count] = hash;
    own->hashes_count++;
}

static void add_hashes(struct cb_builder *builder)
{
    uint32_t hash;
    for (uint32_t i = 0; i < builder->categories_count; i++)
        builder->categories[i].hashes_count = 0;
    for (uint32_t i = 0; i < builder->one_hots_count; i++)
        for (uint32_t v = 0; v < builder->one_hots[i].values_count; v++)
            add_hash(builder, builder->one_hots[i].category,
                     (uint32_t)builder->one_hots[i].values[v]);
    for (uint32_t i = 0; i < builder->tables_count; i++) {
        const struct cb_table *table = &builder->tables[i];
        if (table->category == IG_MODEL_NONE) continue;
        for (uint32_t k = 0; k < table->count; k++)
            if (hash_of_key(table->keys[k], &hash)) add_hash(builder, table->category, hash);
    }
}

static bool collect(struct cb_builder *builder)
{
    add_hashes(builder);
    for (uint32_t i = 0; i < builder->categories_count; i++) {
        struct cb_category *category = &builder->categories[i];
        category->hashes = ig_arena_array(&builder->model->arena,
                                          category->hashes_count + (size_t)1, sizeof(uint32_t));
        if (!category->hashes) return cb_no_memory(builder);
    }
    add_hashes(builder);
    for (uint32_t i = 0; i < builder->categories_count; i++) {
        struct cb_category *category = &builder->categories[i];
        uint32_t unique = 0;
        qsort(category->hashes, category->hashes_count, sizeof(uint32_t), compare_hashes);
        for (uint32_t k = 0; k < category->hashes_count; k++)
            if (!k || category->hashes[k] != category->hashes[k - 1])
                category->hashes[unique++] = category->hashes[k];
        category->hashes_count = unique;
    }
    return true;
}

static bool code_tables(struct cb_builder *builder)
{
    builder->work_max = 1 << 20;
    for (uint32_t i = 0; i < builder->tables_count; i++) {
        struct cb_table *table = &builder->tables[i];
        builder->work_max += (uint64_t)table->count * BORDERS_MAX;
        if (table->category == IG_MODEL_NONE) continue;
        table->codes =
            ig_arena_array(builder->scratch, table->count + (size_t)1, sizeof *table->codes);
        if (!table->codes) return cb_no_memory(builder);
        for (uint32_t k = 0; k < table->count; k++) {
            uint32_t hash;
            bool known = hash_of_key(table->keys[k], &hash);
            table->codes[k] =
                known ? (uint32_t)cb_category_code(&builder->categories[table->category], hash)
                      : IG_MODEL_NONE;
        }
    }
    return true;
}

/* The texts of all codes, when the file has every one. */
static bool name_categories(struct cb_builder *builder, const struct cb_category *category,
                            struct ig_input *input)
{
    struct ig_str *texts =
        ig_arena_array(&builder->model->arena, category->hashes_count + (size_t)1, sizeof *texts);
    if (!texts) return cb_no_memory(builder);
    for (uint32_t i = 0; i < category->hashes_count; i++) {
        const struct cb_word wanted = {.hash = category->hashes[i]};
        const struct cb_word *word =
            bsearch(&wanted, builder->words, builder->words_count, sizeof wanted, compare_words);
        if (!word) return true;
        texts[i] = ig_arena_dup(&builder->model->arena, word->text);
    }
    if (builder->model->arena.overflowed) return cb_no_memory(builder);
    input->categories = texts;
    return true;
}

bool cb_categories_collect(struct cb_builder *builder)
{
    if (builder->words_count)
        qsort(builder->words, builder->words_count, sizeof *builder->words, compare_words);
    if (!tie(builder) || !collect(builder) || !code_tables(builder)) return false;
    for (uint32_t i = 0; i < builder->categories_count; i++) {
        const struct cb_category *category = &builder->categories[i];
        struct ig_input *input = &builder->model->inputs[category->column];
        *input = (struct ig_input){.name = category->name,
                                   .kind = IG_INPUT_CATEGORICAL,
                                   .category_hashes = category->hashes,
                                   .categories_count = category->hashes_count};
        if (builder->words_count && category->hashes_count &&
            !name_categories(builder, category, input))
            return false;
    }
    return true;
}

static float statistic(const struct cb_ctr *ctr, float in_class, float all)
{
    float mean = (in_class + ctr->prior) / (all + ctr->prior_all);
    return (mean + ctr->shift) * ctr->scale;
}

float cb_ctr_unseen(const struct cb_ctr *ctr, const struct cb_table *table)
{
    bool counter = ctr->type == CB_CTR_COUNTER || ctr->type == CB_CTR_FREQUENCY;
    return statistic(ctr, 0, counter ? (float)table->denominator : 0);
}

float cb_ctr_value(const struct cb_ctr *ctr, const struct cb_table *table, const double *counts)
{
    double in_class = 0, all = 0;
    switch (ctr->type) {
    case CB_CTR_MEAN:
    case CB_CTR_FLOAT_MEAN:
        return statistic(ctr, (float)counts[0], (float)counts[1]);
    case CB_CTR_COUNTER:
    case CB_CTR_FREQUENCY:
        return statistic(ctr, (float)counts[0], (float)table->denominator);
    case CB_CTR_BUCKETS:
        in_class = counts[ctr->target_border];
        for (uint32_t i = 0; i < table->stride; i++) all += counts[i];
        break;
    default:
        for (uint32_t i = 0; i < table->stride; i++) {
            all += counts[i];
            if (i > ctr->target_border) in_class += counts[i];
        }
    }
    return statistic(ctr, (float)in_class, (float)all);
}

/* That the table has the numbers which the CTR's type asks for. */
static bool check_table(struct cb_builder *builder, const struct cb_ctr *ctr,
                        const struct cb_table *table)
{
    bool mean = ctr->type == CB_CTR_MEAN || ctr->type == CB_CTR_FLOAT_MEAN;
    bool counter = ctr->type == CB_CTR_COUNTER || ctr->type == CB_CTR_FREQUENCY;
    if (mean || counter)
        return table->stride == (mean ? 2U : 1U) ||
               cb_fail(builder, "ctr_data: %u numbers a category for type %s, expected %d",
                       table->stride, TYPES[ctr->type], mean ? 2 : 1);
    uint32_t least = ctr->target_border + (ctr->type == CB_CTR_BORDERS);
    return least < table->stride ||
           cb_fail(builder, "ctrs: target_border_idx %u, but the table counts %u classes",
                   ctr->target_border, table->stride);
}

const struct cb_table *cb_ctr_table(struct cb_builder *builder, const struct cb_ctr *ctr)
{
    if (ctr->table == IG_MODEL_NONE) {
        cb_fail(builder, "ctr_data: no table of type %s for the ctr of key '%.*s'",
                TYPES[ctr->type], (int)(ctr->key.len > 64 ? 64 : ctr->key.len), ctr->key.ptr);
        return NULL;
    }
    const struct cb_table *table = &builder->tables[ctr->table];
    if (!check_table(builder, ctr, table)) return NULL;
    builder->work += table->count;
    if (builder->work <= builder->work_max) return table;
    cb_fail(builder, "ctrs: more than %d borders for each table", BORDERS_MAX);
    return NULL;
}

bool cb_ctr_set(struct cb_builder *builder, const struct cb_ctr *ctr, float border,
                struct ig_category_set *out, bool *members_above)
{
    const struct cb_table *table = cb_ctr_table(builder, ctr);
    if (!table) return false;
    const struct cb_category *category = &builder->categories[ctr->category];
    size_t words_count = ((size_t)category->hashes_count + 31) / 32;
    uint32_t *words = ig_arena_array(&builder->model->arena, words_count + 1, sizeof *words);
    if (!words) return cb_no_memory(builder);
    *members_above = !(cb_ctr_unseen(ctr, table) > border);
    for (uint32_t i = 0; i < table->count; i++) {
        uint32_t code = table->codes[i];
        if (code == IG_MODEL_NONE) continue;
        float value = cb_ctr_value(ctr, table, table->rows[i]);
        if ((value > border) == *members_above) words[code / 32] |= 1U << code % 32;
    }
    *out = (struct ig_category_set){words, category->hashes_count};
    return true;
}
