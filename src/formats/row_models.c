/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of rows are parted by the model that answers each. Thread rule: one thread for each
 * ig_row_blocks. */
#include "formats/row_models.h"

#include "formats/groups.h"

#include <string.h>

static const size_t ANSWERS_MAX_BYTES = (size_t)1 << 32;

struct ig_row_answered *ig_row_answered_new(const struct ig_row_models *models,
                                            struct ig_arena *arena)
{
    struct ig_row_answered *answered =
        ig_arena_array(arena, models->models_count, sizeof *answered);
    for (uint32_t i = 0; answered && i < models->models_count; i++)
        answered[i] = (struct ig_row_answered){.name = ig_arena_dup(arena, models->models[i].name)};
    return answered;
}

bool ig_row_blocks_init(struct ig_row_blocks *blocks, struct ig_arena *arena)
{
    size_t bytes = blocks->models->schema->features_count * sizeof(double) + 1;
    blocks->own = ig_arena_array(arena, IG_ROW_BLOCK, bytes);
    blocks->mapped = ig_arena_array(arena, IG_ROW_BLOCK, bytes);
    blocks->model_of = ig_arena_array(arena, IG_ROW_BLOCK, sizeof *blocks->model_of);
    blocks->places = ig_arena_array(arena, IG_ROW_BLOCK, sizeof *blocks->places);
    ig_arena_init(&blocks->answers, 1 << 20, ANSWERS_MAX_BYTES);
    return !arena->overflowed;
}

void ig_row_blocks_deinit(struct ig_row_blocks *blocks)
{
    ig_arena_deinit(&blocks->answers);
}

static enum ig_code ask_model(struct ig_row_blocks *blocks, const struct ig_row_span *rows,
                              uint32_t index, struct ig_err *err)
{
    const struct ig_row_models *models = blocks->models;
    const struct ig_feature_map *map = models->models[index].map;
    uint32_t width = models->schema->features_count;
    struct ig_row_answers answers = {0};
    size_t count = 0;
    for (size_t i = 0; i < rows->count; i++) {
        if (blocks->model_of[i] != index) continue;
        memcpy(blocks->own + count * width, rows->values + i * width, width * sizeof(double));
        blocks->places[count++] = i;
    }
    if (count == 0) return IG_OK;
    struct ig_row_ask ask = {index, blocks->own, count, blocks->explain,
                             blocks->players ? &blocks->players[index] : NULL};
    if (map && !ig_feature_map_is_identity(map)) {
        ig_feature_map_rows(map, blocks->own, count, width, blocks->mapped);
        ask.rows = blocks->mapped;
    }
    ig_arena_reset(&blocks->answers);
    if (models->answer(models->context, &answers, &ask, &blocks->answers, err) != IG_OK)
        return err->code;
    const struct ig_row_part part = {index, count, ask.rows, blocks->places, &answers};
    return blocks->take(blocks->context, &part, err);
}

enum ig_code ig_row_blocks_run(struct ig_row_blocks *blocks, const struct ig_row_span *rows,
                               struct ig_err *err)
{
    const struct ig_row_models *models = blocks->models;
    IG_ASSERT(rows->count <= IG_ROW_BLOCK);
    if (models->route)
        models->route(models->context, blocks->model_of, rows, err);
    else
        memset(blocks->model_of, 0, rows->count * sizeof *blocks->model_of);
    for (uint32_t i = 0; i < models->models_count && err->code == IG_OK; i++)
        ask_model(blocks, rows, i, err);
    return err->code;
}

enum ig_code ig_row_players(const struct ig_players **out, const struct ig_row_models *models,
                            const struct ig_players *players, struct ig_arena *arena,
                            struct ig_err *err)
{
    *out = NULL;
    if (!players->of_feature) return IG_OK;
    struct ig_players *own = ig_arena_array(arena, models->models_count, sizeof *own);
    if (!own) return ig_fail(err, IG_NO_MEMORY, "no memory for %u models", models->models_count);
    for (uint32_t i = 0; i < models->models_count; i++)
        if (ig_groups_map(&own[i], players, models->models[i].map, arena, err) != IG_OK)
            return err->code;
    *out = own;
    return IG_OK;
}

const double *ig_row_in_order(const struct ig_feature_map *map, const double *own, double *scratch)
{
    if (!map || !map->source_of) return own;
    for (uint32_t f = 0; f < map->features_count; f++) scratch[map->source_of[f]] = own[f];
    return scratch;
}
