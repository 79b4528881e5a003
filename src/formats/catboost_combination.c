/* SPDX-License-Identifier: Apache-2.0 */
/* CatBoost's statistics of combinations of features: columns that are computed from a row
 * (model/derived.h), which the trees then split as numbers.
 *
 * In its SHAP values CatBoost lets splits that rest on the same categorical features play as one,
 * whatever else their combinations ask, and divides what they get equally among those. Thread rule:
 * one thread. */
#include "formats/catboost_priv.h"

#include "base/map.h"
#include "model/derived.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES_MAX = 8192 };
static const uint64_t NO_KEY = UINT64_MAX; /* of an empty place; JSON has those too */

struct ig_str cb_combination_text(struct cb_builder *builder, const struct cb_combination *parts)
{
    struct ig_buf text;
    ig_buf_init(&text, TEXT_BYTES_MAX);
    for (uint32_t i = 0; i < parts->categories_count; i++)
        ig_buf_printf(&text, "%u ", parts->categories[i]);
    for (uint32_t i = 0; i < parts->above_count; i++)
        ig_buf_printf(&text, "%u>%a ", parts->above[i].number, (double)parts->above[i].border);
    for (uint32_t i = 0; i < parts->equal_count; i++)
        ig_buf_printf(&text, "%u=%d ", parts->equal[i].category, parts->equal[i].value);
    struct ig_str kept = {NULL, 0};
    if (!text.overflowed) kept = ig_arena_dup(builder->scratch, ig_buf_view(&text));
    ig_buf_deinit(&text);
    return kept;
}

static bool check_parts(struct cb_builder *builder, const struct cb_combination *parts)
{
    if (!parts->categories_count)
        return cb_fail(builder, "ctrs: a combination without a categorical feature");
    for (uint32_t i = 0; i < parts->categories_count; i++)
        if (parts->categories[i] >= builder->categories_count)
            return cb_fail(builder, "ctrs: %u is none of the %u categorical features",
                           parts->categories[i], builder->categories_count);
    for (uint32_t i = 0; i < parts->equal_count; i++)
        if (parts->equal[i].category >= builder->categories_count)
            return cb_fail(builder, "ctrs: %u is none of the %u categorical features",
                           parts->equal[i].category, builder->categories_count);
    for (uint32_t i = 0; i < parts->above_count; i++)
        if (parts->above[i].number >= builder->floats_count)
            return cb_fail(builder, "ctrs: %u is none of the %u numeric features",
                           parts->above[i].number, builder->floats_count);
    return true;
}

bool cb_combinations_place(struct cb_builder *builder)
{
    struct ig_model *model = builder->model;
    for (uint32_t i = 0; i < builder->ctrs_count; i++) {
        struct cb_ctr *ctr = &builder->ctrs[i];
        if (ctr->category != IG_MODEL_NONE) continue;
        if (!check_parts(builder, &ctr->parts)) return false;
        ctr->column = model->features_count++;
        model->inputs[ctr->column] = (struct ig_input){.kind = IG_INPUT_NUMERIC};
        builder->combinations_count++;
    }
    return true;
}

/* The model in the making; arrays are in the arena of `model`. */
struct deriving {
    struct cb_builder *builder;
    struct ig_model *model;
    uint32_t features_count;
    struct ig_derived *derived;
    struct ig_derived_key *keys;
    struct ig_derived_table *tables;
    struct ig_derived_column *columns;
    struct ig_derived_player *players;
    uint32_t *player_of;
    struct ig_map key_by_text, player_by_text; /* value: index + 1 */
    uint32_t *table_of;                        /* of the builder's; IG_MODEL_NONE: none yet */
    uint32_t **order;                          /* of each table: the builder's rows by hash */
};

static void *room(struct deriving *d, size_t count, size_t item_bytes)
{
    void *items = ig_arena_array(&d->model->arena, count + 1, item_bytes);
    if (!items) cb_no_memory(d->builder);
    return items;
}

static bool derive_ranks(struct deriving *d)
{
    const struct cb_builder *builder = d->builder;
    struct ig_derived_ranks *ranks = room(d, d->features_count, sizeof *ranks);
    if (!ranks) return false;
    for (uint32_t i = 0; i < builder->categories_count; i++) {
        const struct cb_category *category = &builder->categories[i];
        uint32_t *hashes = room(d, category->hashes_count, sizeof *hashes);
        if (!hashes) return false;
        if (category->hashes_count)
            memcpy(hashes, category->hashes, category->hashes_count * sizeof *hashes);
        ranks[category->column] = (struct ig_derived_ranks){true, hashes, category->hashes_count};
    }
    d->derived->ranks = ranks;
    return true;
}

static bool fill_key(struct deriving *d, const struct cb_combination *parts,
                     struct ig_derived_key *out)
{
    const struct cb_builder *builder = d->builder;
    uint32_t count = parts->categories_count + parts->above_count + parts->equal_count, at = 0;
    struct ig_derived_part *items = room(d, count, sizeof *items);
    if (!items) return false;
    for (uint32_t i = 0; i < parts->categories_count; i++)
        items[at++] =
            (struct ig_derived_part){.ask = IG_DERIVED_CATEGORY,
                                     .feature = builder->categories[parts->categories[i]].column};
    for (uint32_t i = 0; i < parts->above_count; i++) {
        const struct cb_float *number = &builder->floats[parts->above[i].number];
        items[at++] = (struct ig_derived_part){.ask = IG_DERIVED_ABOVE,
                                               .feature = number->column,
                                               .border = parts->above[i].border,
                                               .missing_above = number->missing_right};
    }
    for (uint32_t i = 0; i < parts->equal_count; i++)
        items[at++] = (struct ig_derived_part){
            .ask = IG_DERIVED_EQUAL,
            .feature = builder->categories[parts->equal[i].category].column,
            .hash = parts->equal[i].value};
    *out = (struct ig_derived_key){items, count};
    return true;
}

static bool find_key(struct deriving *d, const struct cb_combination *parts, uint32_t *out)
{
    struct ig_str text = cb_combination_text(d->builder, parts);
    if (!text.ptr) return cb_no_memory(d->builder);
    uint32_t known = (uint32_t)(uintptr_t)ig_map_get(&d->key_by_text, text);
    if (!known) {
        if (!fill_key(d, parts, &d->keys[d->derived->keys_count])) return false;
        known = ++d->derived->keys_count;
        if (!ig_map_put(&d->key_by_text, text, (void *)(uintptr_t)known))
            return cb_no_memory(d->builder);
    }
    *out = known - 1;
    return true;
}

static int compare_u32(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static bool find_player(struct deriving *d, const struct ig_derived_key *key, uint32_t *out)
{
    uint32_t features[CB_PARTS_MAX], categories = 0, count = 0;
    for (uint32_t i = 0; i < key->parts_count; i++)
        if (key->parts[i].ask == IG_DERIVED_CATEGORY)
            features[categories++] = key->parts[i].feature;
    qsort(features, categories, sizeof *features, compare_u32);
    for (uint32_t i = 0; i < categories; i++)
        if (!count || features[i] != features[count - 1]) features[count++] = features[i];
    *out = features[0];
    if (count == 1) return true;
    struct ig_str text = ig_arena_dup(
        d->builder->scratch, (struct ig_str){(const char *)features, count * sizeof *features});
    if (!text.ptr) return cb_no_memory(d->builder);
    uint32_t known = (uint32_t)(uintptr_t)ig_map_get(&d->player_by_text, text);
    if (!known) {
        uint32_t *kept = room(d, count, sizeof *kept);
        if (!kept) return false;
        memcpy(kept, features, count * sizeof *kept);
        d->players[d->derived->players_count] = (struct ig_derived_player){kept, count};
        known = ++d->derived->players_count;
        if (!ig_map_put(&d->player_by_text, text, (void *)(uintptr_t)known))
            return cb_no_memory(d->builder);
    }
    *out = known - 1;
    return true;
}

static int compare_keys(const void *left, const void *right, void *keys)
{
    uint64_t a = ((const uint64_t *)keys)[*(const uint32_t *)left];
    uint64_t b = ((const uint64_t *)keys)[*(const uint32_t *)right];
    return (a > b) - (a < b);
}

static bool find_table(struct deriving *d, const struct cb_ctr *ctr, uint32_t key, uint32_t *out)
{
    const struct cb_table *source = &d->builder->tables[ctr->table];
    uint32_t *known = &d->table_of[ctr->table];
    *out = *known;
    if (*known != IG_MODEL_NONE)
        return d->tables[*known].key == key ||
               cb_fail(d->builder, "ctrs: two combinations share one table");
    uint32_t *order = ig_arena_array(d->builder->scratch, source->count + (size_t)1, sizeof *order);
    uint64_t *hashes = room(d, source->count, sizeof *hashes);
    if (!order || !hashes) return cb_no_memory(d->builder);
    uint32_t count = 0;
    for (uint32_t i = 0; i < source->count; i++)
        if (source->keys[i] != NO_KEY) order[count++] = i;
    qsort_r(order, count, sizeof *order, compare_keys, (void *)source->keys);
    for (uint32_t i = 0; i < count; i++) hashes[i] = source->keys[order[i]];
    *out = *known = d->derived->tables_count++;
    d->tables[*known] = (struct ig_derived_table){hashes, count, key};
    d->order[*known] = order;
    return true;
}

static bool derive_column(struct deriving *d, const struct cb_ctr *ctr)
{
    const struct cb_table *source = cb_ctr_table(d->builder, ctr);
    struct ig_derived_column *column = &d->columns[ctr->column - d->features_count];
    uint32_t key = 0;
    if (!source || !find_key(d, &ctr->parts, &key) || !find_table(d, ctr, key, &column->table) ||
        !find_player(d, &d->keys[key], &d->player_of[ctr->column]))
        return false;
    uint32_t count = d->tables[column->table].count;
    float *values = room(d, count, sizeof *values);
    if (!values) return false;
    for (uint32_t i = 0; i < count; i++)
        values[i] = cb_ctr_value(ctr, source, source->rows[d->order[column->table][i]]);
    column->values = values;
    column->unseen = cb_ctr_unseen(ctr, source);
    return true;
}

static bool begin(struct deriving *d)
{
    const struct cb_builder *builder = d->builder;
    uint32_t combinations = builder->combinations_count;
    size_t tables = builder->tables_count + (size_t)1, players = d->features_count;
    d->derived = room(d, 1, sizeof *d->derived);
    d->keys = room(d, combinations, sizeof *d->keys);
    d->tables = room(d, tables, sizeof *d->tables);
    d->columns = room(d, combinations, sizeof *d->columns);
    d->players = room(d, players + combinations, sizeof *d->players);
    d->player_of = room(d, players + combinations, sizeof *d->player_of);
    uint32_t *singles = room(d, players, sizeof *singles);
    d->table_of = ig_arena_array(builder->scratch, tables, sizeof *d->table_of);
    d->order = ig_arena_array(builder->scratch, tables, sizeof *d->order);
    if (d->model->arena.overflowed || builder->scratch->overflowed) return false;
    for (size_t i = 0; i < tables; i++) d->table_of[i] = IG_MODEL_NONE;
    for (uint32_t i = 0; i < d->features_count; i++) {
        singles[i] = d->player_of[i] = i;
        d->players[i] = (struct ig_derived_player){&singles[i], 1};
    }
    *d->derived = (struct ig_derived){.keys = d->keys,
                                      .tables = d->tables,
                                      .columns = d->columns,
                                      .players = d->players,
                                      .player_of = d->player_of,
                                      .columns_count = combinations,
                                      .players_count = d->features_count};
    return true;
}

/* What both models say of themselves. */
static bool copy_face(struct deriving *d)
{
    const struct ig_model *trees = d->builder->model;
    struct ig_model *model = d->model;
    model->kind = IG_MODEL_DERIVED;
    model->sum_rule = trees->sum_rule;
    model->features_count = d->features_count;
    model->outputs_count = trees->outputs_count;
    model->predictions_count = trees->predictions_count;
    model->iterations_count = trees->iterations_count;
    model->covers_counted = trees->covers_counted;
    model->transform = trees->transform;
    model->transform_parameter = trees->transform_parameter;
    model->objective = ig_arena_dup(&model->arena, trees->objective);
    model->source_version = ig_arena_dup(&model->arena, trees->source_version);
    model->base_margin = room(d, model->outputs_count, sizeof *model->base_margin);
    model->inputs = room(d, model->features_count, sizeof *model->inputs);
    if (!model->base_margin || !model->inputs) return false;
    memcpy(model->base_margin, trees->base_margin,
           model->outputs_count * sizeof *model->base_margin);
    for (uint32_t i = 0; i < model->features_count; i++) {
        bool category = d->derived->ranks[i].categorical;
        model->inputs[i] =
            (struct ig_input){.name = ig_arena_dup(&model->arena, trees->inputs[i].name),
                              .kind = category ? IG_INPUT_CATEGORICAL : IG_INPUT_NUMERIC,
                              .hash_coded = category};
    }
    return true;
}

static bool derive(struct deriving *d)
{
    struct cb_builder *builder = d->builder;
    if (!begin(d) || !derive_ranks(d) || !copy_face(d)) return cb_no_memory(builder);
    for (uint32_t i = 0; i < builder->ctrs_count; i++)
        if (builder->ctrs[i].category == IG_MODEL_NONE && !derive_column(d, &builder->ctrs[i]))
            return false;
    return !d->model->arena.overflowed || cb_no_memory(builder);
}

bool cb_combinations_derive(struct cb_builder *builder)
{
    struct deriving d = {.builder = builder,
                         .model = ig_model_new(builder->model->arena.max_bytes),
                         .features_count =
                             builder->model->features_count - builder->combinations_count};
    if (!d.model) return cb_no_memory(builder);
    ig_map_init(&d.key_by_text, builder->combinations_count);
    ig_map_init(&d.player_by_text, builder->combinations_count);
    bool good = derive(&d);
    ig_map_deinit(&d.key_by_text);
    ig_map_deinit(&d.player_by_text);
    if (!good) {
        ig_model_free(d.model);
        return false;
    }
    d.derived->trees = builder->model;
    d.model->derived = d.derived;
    builder->model = d.model;
    return ig_model_check(d.model, builder->err) == IG_OK;
}
