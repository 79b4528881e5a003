/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_ROW_MODELS_H
#define IG_FORMATS_ROW_MODELS_H

/* Several models answer the rows of one table, each row by one of them: what reports on whatever
 * decides have in common. All have the same features, task and classes. Pure but for what the
 * callbacks do. */

#include "base/table.h"
#include "formats/package.h"
#include "kernels/composite.h"
#include "kernels/explain/background.h"

struct ig_row_model {
    struct ig_str name;               /* in the report; where there are several */
    const struct ig_model *model;     /* its shape is enough; NULL: it never answers */
    const struct ig_feature_map *map; /* from rows of the table's schema; NULL: it takes them so */
};

/* Rows in the order of the schema, that stand for rows of the table from `first` on. */
struct ig_row_span {
    const struct ig_table *table;
    size_t first, count;
    const double *values;
};

struct ig_row_ask {
    uint32_t model;
    const double *rows; /* in its own order */
    size_t rows_count;
    bool explain;
    const struct ig_players *players; /* with `explain`: in its own order; NULL: each feature */
};

struct ig_row_answers {
    const double *margins;       /* rows x outputs */
    const double *predictions;   /* rows x predictions */
    const double *contributions; /* with `explain`: rows x outputs x (players + 1); NULL: the model
                                    has no exact ones */
};

struct ig_row_models {
    const struct ig_schema *schema; /* of the table's rows */
    const struct ig_row_model *models;
    uint32_t models_count;
    /* Whose each row is; NULL: all are the first one's. */
    enum ig_code (*route)(void *context, uint32_t *out, const struct ig_row_span *rows,
                          struct ig_err *err);
    /* In `arena`, which is reset after each block of rows. */
    enum ig_code (*answer)(void *context, struct ig_row_answers *out, const struct ig_row_ask *ask,
                           struct ig_arena *arena, struct ig_err *err);
    void *context;
};

/* How many rows one of several models answered. */
struct ig_row_answered {
    struct ig_str name;
    size_t rows;
    const char *method; /* of its contributions; NULL: none were asked for */
};

/* All zero, by model; NULL: no memory. */
struct ig_row_answered *ig_row_answered_new(const struct ig_row_models *models,
                                            struct ig_arena *arena);

/* ---- block by block ---- */

enum { IG_ROW_BLOCK = 256 };

/* What one model answered of a block. */
struct ig_row_part {
    uint32_t model;
    size_t count;
    const double *rows;   /* in the model's own order */
    const size_t *places; /* in the block, ascending */
    const struct ig_row_answers *answers;
};

struct ig_row_blocks {
    const struct ig_row_models *models;
    bool explain;
    const struct ig_players *players; /* by model, as ig_row_players made them; or NULL */
    enum ig_code (*take)(void *context, const struct ig_row_part *part, struct ig_err *err);
    void *context;
    /* its own: */
    double *own, *mapped;
    uint32_t *model_of;
    size_t *places;
    struct ig_arena answers;
};

/* The first five are set by the caller; the rest comes from `arena`. False: no memory. */
bool ig_row_blocks_init(struct ig_row_blocks *blocks, struct ig_arena *arena);
void ig_row_blocks_deinit(struct ig_row_blocks *blocks);
/* Asks each model for its rows among at most IG_ROW_BLOCK, and gives what it says to `take`. */
enum ig_code ig_row_blocks_run(struct ig_row_blocks *blocks, const struct ig_row_span *rows,
                               struct ig_err *err);

/* The players of each model in its own order, in the arena; *out NULL: there are no groups. */
enum ig_code ig_row_players(const struct ig_players **out, const struct ig_row_models *models,
                            const struct ig_players *players, struct ig_arena *arena,
                            struct ig_err *err);

/* One output's contributions (or anything by feature) in the schema's order: `own`, or `scratch` of
 * as many features. */
const double *ig_row_in_order(const struct ig_feature_map *map, const double *own, double *scratch);

#endif
