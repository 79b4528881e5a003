/* SPDX-License-Identifier: Apache-2.0 */
/* Runs with all that belongs to them, many at a time: a statement for each kind of rows, whatever
 * the number of runs. Datasets and models are few, and are read for the runs that have any.
 *
 * Thread rule: stateless. */
#include "services/tracking/tracking_priv.h"

#define ONE "($1)"
#define MANY                                                                                       \
    "("                                                                                            \
    "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, "                      \
    "$17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, "             \
    "$33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48, "             \
    "$49, $50"                                                                                     \
    ")"
/* A text for one run, and one for as many as there may be. */
#define BOTH(head, tail)                                                                           \
    {                                                                                              \
        head ONE tail, head MANY tail                                                              \
    }

static const char *const RUNS[2] = BOTH("select id, experiment, name, user_id, status, stage,"
                                        " start_ms, end_ms, artifact_root from runs where id in ",
                                        "");
static const char *const METRICS[2] =
    BOTH("select run, key, step, at_ms, value, kind from latest_metrics where run in ",
         " order by run, key");
static const char *const PARAMS[2] =
    BOTH("select run, key, value from params where run in ", " order by run, key");
static const char *const TAGS[2] =
    BOTH("select run, key, value from run_tags where run in ", " order by run, key");
static const char *const WITH_INPUTS[2] =
    BOTH("select distinct run from run_inputs where run in ", "");
static const char *const WITH_MODELS[2] =
    BOTH("select distinct run from run_models where run in ", "");

struct reading {
    struct ig_tracking_run *runs; /* in the places of their ids */
    const struct ig_str *ids;
    size_t count;
    struct ig_db_tx *tx;
    struct ig_arena *arena;
    struct ig_err *err;
};

/* The statement for the runs; the last id fills the places that are left. */
static struct ig_db_rows *query(struct reading *reading, const char *const sql[2])
{
    struct ig_db_value values[IG_TRACKING_RUNS_AT_ONCE];
    struct ig_db_rows *rows = NULL;
    bool one = reading->count == 1;
    size_t count = one ? 1 : IG_TRACKING_RUNS_AT_ONCE;
    for (size_t i = 0; i < count; i++)
        values[i] = IG_DB_T(reading->ids[i < reading->count ? i : reading->count - 1]);
    ig_db_query(&rows, reading->tx, sql[!one], values, count, reading->err);
    return rows;
}

/* The next row's run; NULL at the end. Rows of a run come one after another. */
static struct ig_tracking_run *next(struct reading *reading, struct ig_db_rows *rows,
                                    struct ig_tracking_run *last)
{
    if (reading->err->code != IG_OK || reading->arena->overflowed ||
        !ig_db_next(rows, reading->err))
        return NULL;
    struct ig_str id = ig_db_text(rows, 0);
    if (last && ig_str_eq(last->id, id)) return last;
    for (size_t i = 0; i < reading->count; i++)
        if (ig_str_eq(reading->ids[i], id)) return &reading->runs[i];
    ig_fail(reading->err, IG_INTERNAL, "a row of a run that was not asked for");
    return NULL;
}

static void read_runs(struct reading *reading)
{
    for (size_t i = 0; i < reading->count; i++) reading->runs[i] = (struct ig_tracking_run){0};
    struct ig_db_rows *rows = query(reading, RUNS);
    struct ig_arena *arena = reading->arena;
    for (struct ig_tracking_run *run = NULL; (run = next(reading, rows, run));)
        *run = (struct ig_tracking_run){
            .id = ig_db_text_dup(rows, 0, arena),
            .experiment = ig_db_i64(rows, 1),
            .name = ig_db_text_dup(rows, 2, arena),
            .user_id = ig_db_text_dup(rows, 3, arena),
            .status = ig_db_i64(rows, 4),
            .stage = ig_db_text_dup(rows, 5, arena),
            .start_ms = ig_db_i64(rows, 6),
            .end_ms = ig_db_is_null(rows, 7) ? -1 : ig_db_i64(rows, 7),
            .artifact_root = ig_db_text_dup(rows, 8, arena),
        };
    ig_db_finish(rows);
}

static void read_metrics(struct reading *reading)
{
    struct ig_db_rows *rows = query(reading, METRICS);
    struct ig_tracking_run *run = NULL, *last = NULL;
    struct ig_tracking_metric *items = NULL;
    size_t count = 0, cap = 0;
    for (; (run = next(reading, rows, last)); last = run) {
        if (run != last) {
            items = NULL;
            count = cap = 0;
        }
        items = ig_arena_grow(reading->arena, items, count, &cap, sizeof *items);
        if (!items) break;
        items[count++] = (struct ig_tracking_metric){.key = ig_db_text_dup(rows, 1, reading->arena),
                                                     .step = ig_db_i64(rows, 2),
                                                     .at_ms = ig_db_i64(rows, 3),
                                                     .value = ig_tracking_metric_value(rows, 4, 5)};
        run->metrics = (struct ig_tracking_metrics){items, count};
    }
    ig_db_finish(rows);
}

static void read_pairs(struct reading *reading, const char *const sql[2],
                       struct ig_tracking_pairs *(*of)(struct ig_tracking_run *))
{
    struct ig_db_rows *rows = query(reading, sql);
    struct ig_tracking_run *run = NULL, *last = NULL;
    struct ig_tracking_pair *items = NULL;
    size_t count = 0, cap = 0;
    for (; (run = next(reading, rows, last)); last = run) {
        if (run != last) {
            items = NULL;
            count = cap = 0;
        }
        items = ig_arena_grow(reading->arena, items, count, &cap, sizeof *items);
        if (!items) break;
        items[count++] = (struct ig_tracking_pair){ig_db_text_dup(rows, 1, reading->arena),
                                                   ig_db_text_dup(rows, 2, reading->arena)};
        *of(run) = (struct ig_tracking_pairs){items, count};
    }
    ig_db_finish(rows);
}

static struct ig_tracking_pairs *params_of(struct ig_tracking_run *run)
{
    return &run->params;
}

static struct ig_tracking_pairs *tags_of(struct ig_tracking_run *run)
{
    return &run->tags;
}

static void mark(struct reading *reading, const char *const sql[2],
                 bool marked[IG_TRACKING_RUNS_AT_ONCE])
{
    struct ig_db_rows *rows = query(reading, sql);
    for (struct ig_tracking_run *run = NULL; (run = next(reading, rows, run));)
        marked[run - reading->runs] = true;
    ig_db_finish(rows);
}

static void read_uses(struct reading *reading)
{
    bool inputs[IG_TRACKING_RUNS_AT_ONCE] = {0}, models[IG_TRACKING_RUNS_AT_ONCE] = {0};
    mark(reading, WITH_INPUTS, inputs);
    if (reading->err->code == IG_OK) mark(reading, WITH_MODELS, models);
    for (size_t i = 0; i < reading->count && reading->err->code == IG_OK; i++) {
        struct ig_tracking_run *run = &reading->runs[i];
        if (inputs[i])
            ig_tracking_inputs_read(&run->inputs, reading->tx, run->id, reading->arena,
                                    reading->err);
        if (models[i] && reading->err->code == IG_OK)
            ig_tracking_models_read(&run->model_inputs, &run->model_outputs, reading->tx, run->id,
                                    reading->arena, reading->err);
    }
}

static enum ig_code read_all(struct reading *reading)
{
    struct ig_err *err = reading->err;
    read_runs(reading);
    if (err->code == IG_OK) read_metrics(reading);
    if (err->code == IG_OK) read_pairs(reading, PARAMS, params_of);
    if (err->code == IG_OK) read_pairs(reading, TAGS, tags_of);
    if (err->code == IG_OK) read_uses(reading);
    if (err->code == IG_OK && reading->arena->overflowed)
        ig_fail(err, IG_NO_MEMORY, "runs: more than fits into one answer");
    return err->code;
}

enum ig_code ig_tracking_run_row(struct ig_tracking_run *out, struct ig_db_tx *tx, struct ig_str id,
                                 struct ig_arena *arena, struct ig_err *err)
{
    struct ig_tracking_run run;
    struct reading reading = {&run, &id, 1, tx, arena, err};
    read_runs(&reading);
    if (err->code == IG_OK && !run.id.len) ig_tracking_no_run(id, err);
    if (err->code == IG_OK) *out = run;
    return err->code;
}

enum ig_code ig_tracking_run_read(struct ig_tracking_run *out, struct ig_db_tx *tx,
                                  struct ig_str id, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_tracking_run run;
    struct reading reading = {&run, &id, 1, tx, arena, err};
    if (read_all(&reading) != IG_OK) return err->code;
    if (!run.id.len) return ig_tracking_no_run(id, err);
    *out = run;
    return IG_OK;
}

struct runs_call {
    struct ig_tracking_run *runs;
    const struct ig_str *ids;
    size_t count;
    struct ig_arena *arena;
};

static enum ig_code get_runs(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct runs_call *call = context;
    struct reading reading = {call->runs, call->ids, call->count, tx, call->arena, err};
    return read_all(&reading);
}

enum ig_code ig_tracking_runs_get(struct ig_tracking_run *out, struct ig_tracking *tracking,
                                  const struct ig_str *ids, size_t count, struct ig_arena *arena,
                                  struct ig_err *err)
{
    struct runs_call call = {out, ids, count, arena};
    IG_ASSERT(count > 0 && count <= IG_TRACKING_RUNS_AT_ONCE);
    return ig_tracking_read(tracking->db, get_runs, &call, err);
}
