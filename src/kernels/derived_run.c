/* SPDX-License-Identifier: Apache-2.0 */
/* CatBoost's hash of a combination starts at 0 and takes each part as M * (hash + M * part) modulo
 * 2^64, a category widened as a signed number. */
#include "kernels/derived_run.h"

#include "base/err.h"
#include "base/mem.h"
#include "model/derived.h"

#include <math.h>
#include <string.h>

enum {
    ROWS = 64, /* at a time: their columns stay in the cache */
    ALIGNMENT = 64,
};

struct derive_scratch {
    uint64_t *hashes; /* keys_count */
    uint32_t *places; /* tables_count */
};

#define MULTIPLIER UINT64_C(0x4906ba494954cb65)
#define UNSEEN UINT32_MAX

/* A category that is missing has a hash of its own, which no table knows. */
static uint64_t part_of(const struct ig_derived_part *part, const double *row)
{
    double x = row[part->feature];
    switch (part->ask) {
    case IG_DERIVED_ABOVE:
        return isnan(x) ? part->missing_above : (float)x > part->border;
    case IG_DERIVED_EQUAL:
        return x == (double)part->hash;
    default:
        return x >= INT32_MIN && x <= INT32_MAX ? (uint64_t)(int64_t)x : UINT64_C(1) << 40;
    }
}

static uint64_t hash_of(const struct ig_derived_key *key, const double *row)
{
    uint64_t hash = 0;
    for (uint32_t i = 0; i < key->parts_count; i++)
        hash = MULTIPLIER * (hash + MULTIPLIER * part_of(&key->parts[i], row));
    return hash;
}

static uint32_t place_of(const struct ig_derived_table *table, uint64_t hash)
{
    uint32_t low = 0, count = table->count;
    while (count > 1) {
        uint32_t half = count / 2;
        low = table->hashes[low + half] <= hash ? low + half : low;
        count -= half;
    }
    return count && table->hashes[low] == hash ? low : UNSEEN;
}

/* -1 is none of the categories that the trees tell apart. */
static double rank_of(const struct ig_derived_ranks *ranks, double x)
{
    uint32_t low = 0, high = ranks->count;
    if (!ranks->categorical || isnan(x)) return x;
    if (!(x >= INT32_MIN && x <= INT32_MAX)) return -1;
    uint32_t hash = (uint32_t)(int32_t)x;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (ranks->hashes[middle] < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low < ranks->count && ranks->hashes[low] == hash ? (double)low : -1;
}

static void derive_row(const struct ig_derived *derived, const double *row, double *columns,
                       const struct derive_scratch *scratch)
{
    uint32_t features = derived->trees->features_count - derived->columns_count;
    for (uint32_t i = 0; i < features; i++) columns[i] = rank_of(&derived->ranks[i], row[i]);
    for (uint32_t i = 0; i < derived->keys_count; i++)
        scratch->hashes[i] = hash_of(&derived->keys[i], row);
    for (uint32_t i = 0; i < derived->tables_count; i++)
        scratch->places[i] = place_of(&derived->tables[i], scratch->hashes[derived->tables[i].key]);
    for (uint32_t i = 0; i < derived->columns_count; i++) {
        const struct ig_derived_column *column = &derived->columns[i];
        uint32_t place = scratch->places[column->table];
        columns[features + i] = (double)(place == UNSEEN ? column->unseen : column->values[place]);
    }
}

static void fold(const struct ig_derived *derived, uint32_t features_count, const double *players,
                 double *features)
{
    for (uint32_t f = 0; f < features_count; f++) features[f] = 0;
    features[features_count] = players[derived->players_count];
    for (uint32_t p = 0; p < derived->players_count; p++) {
        const struct ig_derived_player *player = &derived->players[p];
        for (uint32_t i = 0; i < player->count; i++)
            features[player->features[i]] += players[p] / player->count;
    }
}

/* For up to ROWS rows. */
struct scratch {
    struct derive_scratch derive;
    double *columns, *margins, *players;
    void *kernel;
    size_t bytes;
};

static void *cut(char *base, size_t *at, size_t bytes)
{
    void *part = base ? base + *at : NULL;
    *at += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return part;
}

static struct scratch scratch_of(struct ig_derived_kernels kernels, void *memory)
{
    const struct ig_derived *derived = kernels.model->derived;
    struct scratch out = {0};
    size_t columns = derived->trees->features_count, outputs = derived->trees->outputs_count;
    size_t predict = ig_tree_predict_scratch_bytes(kernels.predict, ROWS);
    size_t shap = kernels.shap ? ig_tree_shap_scratch_bytes(kernels.shap, ROWS) : 0;
    out.derive.hashes = cut(memory, &out.bytes, derived->keys_count * sizeof(uint64_t));
    out.derive.places = cut(memory, &out.bytes, derived->tables_count * sizeof(uint32_t));
    out.columns = cut(memory, &out.bytes, ROWS * columns * sizeof(double));
    out.margins = cut(memory, &out.bytes, ROWS * outputs * sizeof(double));
    out.players =
        cut(memory, &out.bytes, ROWS * outputs * (derived->players_count + 1) * sizeof(double));
    out.kernel = cut(memory, &out.bytes, predict > shap ? predict : shap);
    return out;
}

size_t ig_derived_scratch_bytes(struct ig_derived_kernels kernels)
{
    return scratch_of(kernels, NULL).bytes;
}

static void derive(struct ig_derived_kernels kernels, const double *rows, size_t rows_count,
                   const struct scratch *own)
{
    const struct ig_derived *derived = kernels.model->derived;
    for (size_t i = 0; i < rows_count; i++)
        derive_row(derived, rows + i * kernels.model->features_count,
                   own->columns + i * derived->trees->features_count, &own->derive);
}

void ig_derived_predict(struct ig_derived_kernels kernels, const double *rows, size_t rows_count,
                        double *margins, void *scratch)
{
    IG_ASSERT(scratch);
    const struct scratch own = scratch_of(kernels, scratch);
    for (size_t at = 0; at < rows_count; at += ROWS) {
        size_t count = rows_count - at < ROWS ? rows_count - at : ROWS;
        derive(kernels, rows + at * kernels.model->features_count, count, &own);
        ig_tree_predict_run(kernels.predict, own.columns, count,
                            margins + at * kernels.model->outputs_count, own.kernel);
    }
}

void ig_derived_explain(struct ig_derived_kernels kernels, const struct ig_engine_io *io,
                        void *scratch)
{
    const struct ig_model *model = kernels.model;
    const struct ig_derived *derived = model->derived;
    IG_ASSERT(scratch);
    const struct scratch own = scratch_of(kernels, scratch);
    size_t outputs = model->outputs_count, values = model->features_count + (size_t)1;
    for (size_t at = 0; at < io->rows_count; at += ROWS) {
        size_t count = io->rows_count - at < ROWS ? io->rows_count - at : ROWS;
        const struct ig_tree_shap_io shap = {own.columns, count, own.margins, own.players,
                                             io->additivity + at};
        derive(kernels, io->rows + at * model->features_count, count, &own);
        ig_tree_predict_run(kernels.predict, own.columns, count, own.margins, own.kernel);
        ig_tree_shap_run(kernels.shap, &shap, own.kernel);
        if (io->margins)
            memcpy(io->margins + at * outputs, own.margins, count * outputs * sizeof(double));
        for (size_t i = 0; i < count * outputs; i++)
            fold(derived, model->features_count,
                 own.players + i * (derived->players_count + (size_t)1),
                 io->contributions + (at * outputs + i) * values);
    }
}

enum ig_code ig_derived_reference(const struct ig_model *model, const double *row,
                                  double *contributions, struct ig_err *err)
{
    const struct ig_derived *derived = model->derived;
    const struct ig_players players = {derived->player_of, derived->players_count};
    size_t values = derived->players_count + (size_t)1;
    struct derive_scratch scratch = {
        ig_zalloc_array(derived->keys_count + (size_t)1, sizeof(uint64_t)),
        ig_zalloc_array(derived->tables_count + (size_t)1, sizeof(uint32_t))};
    double *columns = ig_zalloc_array(derived->trees->features_count, sizeof *columns);
    double *own = ig_zalloc_array(model->outputs_count * values, sizeof *own);
    if (!scratch.hashes || !scratch.places || !columns || !own) {
        ig_fail(err, IG_NO_MEMORY, "no memory to explain a row");
        goto out;
    }
    derive_row(derived, row, columns, &scratch);
    if (ig_tree_shap_reference(derived->trees, &players, columns, own, err) != IG_OK) goto out;
    for (uint32_t o = 0; o < model->outputs_count; o++)
        fold(derived, model->features_count, own + o * values,
             contributions + o * (model->features_count + (size_t)1));
out:
    ig_free(scratch.hashes);
    ig_free(scratch.places);
    ig_free(columns);
    ig_free(own);
    return err->code;
}
