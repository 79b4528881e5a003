/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of what was deleted. A run goes in this order: its mark (deleted_ms = -1, from where on
 * nothing brings it back), what was logged of it piece by piece, its files' rows, itself. An
 * experiment is marked (updated_ms = -1) when no run of it is left. Thread rule: one collection at
 * a time. */
#include "services/gc/gc_priv.h"

#include "services/tracking/artifacts.h"
#include "services/tracking/tracking.h"
#include "services/tracking/tracking_traces.h"
#include "services/users/grants.h"

#include <stdio.h>
#include <string.h>

enum { PAGE = 100 };
#define PIECE "1000" /* rows of one transaction */
#define PIECE_OF(table, owner, key)                                                                \
    "delete from " table " where " owner " = $1 and (" key ") in (select " key " from " table      \
    " where " owner " = $1 limit " PIECE ")"

static const char *const RUN_PIECES[] = {
    PIECE_OF("metrics", "run", "key, at_ms, step, value, kind"), /* the first: they are counted */
    PIECE_OF("latest_metrics", "run", "key"),
    PIECE_OF("params", "run", "key"),
    PIECE_OF("run_tags", "run", "key"),
    PIECE_OF("run_input_tags", "run", "dataset, key"),
    PIECE_OF("run_inputs", "run", "dataset"),
    PIECE_OF("run_models", "run", "output, model, step"),
    PIECE_OF("trace_runs", "run", "trace"),
    NULL,
};
static const char *const MODEL_PIECES[] = {
    PIECE_OF("logged_model_metrics", "model",
             "key, at_ms, step, run, dataset_name, dataset_digest"),
    PIECE_OF("logged_model_tags", "model", "key"),
    PIECE_OF("logged_model_params", "model", "key"),
    NULL,
};
static const char *const EXPERIMENT_PIECES[] = {
    PIECE_OF("datasets", "experiment", "id"),
    PIECE_OF("experiment_tags", "experiment", "key"),
    PIECE_OF("evaluation_experiments", "experiment", "evaluation"),
    PIECE_OF("scorer_versions", "experiment", "scorer, version"),
    PIECE_OF("scorer_configs", "experiment", "scorer"),
    PIECE_OF("scorers", "experiment", "id"),
    PIECE_OF("issues", "experiment", "id"),
    NULL,
};

/* What is removed: a run, a logged model or an experiment. */
struct victim {
    const char *kind; /* of the audit's action */
    struct ig_str id; /* as a text */
    struct ig_db_value key;
    struct ig_str artifact_root;
    const char *const *pieces;
};

struct step {
    struct ig_gc_pass *pass;
    const struct victim *victim;
    const char *sql;
    struct ig_str directory;
    int64_t changes;
    bool yes;
};

/* ---- what a registered version lies in ---- */

static enum ig_code find_version(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct step *step = context;
    struct ig_db_rows *rows = NULL;
    struct ig_str rest = step->victim->artifact_root;
    struct ig_str root = ig_str_cut(&rest, '?');
    const char *low = ig_arena_printf(&step->pass->arena, "%.*s/", IG_STR_ARGS(root));
    const char *high = ig_arena_printf(&step->pass->arena, "%.*s0", IG_STR_ARGS(root));
    if (!low || !high) return ig_fail(err, IG_NO_MEMORY, "garbage collection");
    if (ig_db_query(
            &rows, tx,
            "select 1 from model_versions where location = $1"
            " or (location >= $2 and location < $3) or (model_id <> '' and model_id = $4)"
            " limit 1",
            IG_DB_VALUES(IG_DB_T(root), IG_DB_C(low), IG_DB_C(high), IG_DB_T(step->victim->id)),
            err) != IG_OK)
        return err->code;
    step->yes = ig_db_next(rows, err);
    ig_db_finish(rows);
    return err->code;
}

/* ---- removing ---- */

static enum ig_code change(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct step *step = context;
    if (ig_db_exec(tx, step->sql, &step->victim->key, 1, err) == IG_OK)
        step->changes = ig_db_changes(tx);
    return err->code;
}

static enum ig_code count_rows(int64_t *sum, struct ig_db_tx *tx, const char *sql,
                               const struct step *step, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, sql, &step->victim->key, 1, err) != IG_OK) return err->code;
    if (ig_db_next(rows, err)) *sum += ig_db_i64(rows, 0);
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code drop_files(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct step *step = context;
    return ig_artifacts_drop(&step->changes, tx, step->directory, err);
}

/* Again and again until nothing is left; the sum. */
static enum ig_code repeat(int64_t *sum, struct step *step, ig_db_work *work, struct ig_err *err)
{
    do {
        step->changes = 0;
        if (ig_gc_is_over(step->pass) ||
            ig_db_write(step->pass->gc->options.db, work, step, err) != IG_OK)
            return err->code;
        *sum += step->changes;
    } while (step->changes);
    return IG_OK;
}

static enum ig_code remove_last(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct step *step = context;
    char action[32];
    if (change(tx, step, err) != IG_OK || !step->changes) return err->code;
    snprintf(action, sizeof action, "%s.purge", step->victim->kind);
    return ig_audit_add(tx, step->pass->who, action, step->victim->id, IG_STR(""), err);
}

#define CHUNKS " from metric_chunks where run = $1 order by key, first_ms, seq limit 20"

/* Counts the values in them. */
static enum ig_code drop_chunks(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct step *step = context;
    if (count_rows(&step->changes, tx,
                   "select cast(coalesce(sum(c.points_count), 0) as bigint)"
                   " from (select points_count" CHUNKS ") c",
                   step, err) != IG_OK)
        return err->code;
    return ig_db_exec(tx,
                      "delete from metric_chunks where run = $1 and (key, first_ms, seq) in"
                      " (select key, first_ms, seq" CHUNKS ")",
                      &step->victim->key, 1, err);
}

/* All but the row itself; false: the budget is used up, or an error. */
static bool remove_parts(struct ig_gc_pass *pass, const struct victim *victim, struct ig_err *err)
{
    struct step step = {.pass = pass, .victim = victim};
    struct ig_err elsewhere = IG_ERR_INIT; /* files of another store are not ours */
    int64_t ignored = 0;
    if (victim->pieces == RUN_PIECES &&
        (ig_tracking_settle(pass->gc->options.db, err) != IG_OK ||
         repeat(&pass->report->metrics, &step, drop_chunks, err) != IG_OK))
        return false;
    for (size_t i = 0; victim->pieces[i]; i++) {
        bool counted = i == 0 && victim->pieces == RUN_PIECES;
        step.sql = victim->pieces[i];
        if (repeat(counted ? &pass->report->metrics : &ignored, &step, change, err) != IG_OK)
            return false;
    }
    if (ig_artifacts_directory(&step.directory, victim->artifact_root, "run", &elsewhere) ==
            IG_OK &&
        repeat(&pass->report->artifacts, &step, drop_files, err) != IG_OK)
        return false;
    return !ig_gc_is_over(pass);
}

static enum ig_code count_parts(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct step *step = context;
    struct ig_gc_report *report = step->pass->report;
    struct ig_err elsewhere = IG_ERR_INIT;
    struct ig_str directory;
    if (step->victim->pieces == RUN_PIECES)
        count_rows(&report->metrics, tx,
                   "select (select count(*) from metrics where run = $1) + cast(coalesce((select"
                   " sum(points_count) from metric_chunks where run = $1), 0) as bigint)",
                   step, err);
    if (err->code != IG_OK ||
        ig_artifacts_directory(&directory, step->victim->artifact_root, "run", &elsewhere) != IG_OK)
        return err->code;
    return ig_artifacts_count(&report->artifacts, tx, directory, err);
}

/* `mark` may be NULL: nothing could bring it back. */
static enum ig_code purge(int64_t *sum, struct ig_gc_pass *pass, const struct victim *victim,
                          const char *mark, const char *last, struct ig_err *err)
{
    struct step step = {.pass = pass, .victim = victim, .sql = mark};
    struct ig_db *db = pass->gc->options.db;
    if (ig_db_read(db, find_version, &step, err) != IG_OK) return err->code;
    if (step.yes) {
        pass->report->kept++;
        return IG_OK;
    }
    if (pass->ask->dry_run) {
        ++*sum;
        return ig_tracking_read(db, count_parts, &step, err);
    }
    if (mark && (ig_db_write(db, change, &step, err) != IG_OK || !step.changes)) return err->code;
    if (!remove_parts(pass, victim, err)) return err->code;
    step.sql = last;
    if (ig_db_write(db, remove_last, &step, err) == IG_OK) *sum += step.changes;
    return err->code;
}

/* ---- which ---- */

struct page {
    struct ig_gc_pass *pass;
    const char *sql; /* id, artifact_root of those behind $2, by id; $1: deleted before, $3 */
    struct ig_str after;
    struct ig_db_value third;
    struct victim items[PAGE];
    size_t count;
};

static enum ig_code read_page(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct page *page = context;
    struct ig_arena *arena = &page->pass->arena;
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, page->sql,
                    IG_DB_VALUES(IG_DB_I(page->pass->ask->deleted_before_ms), IG_DB_T(page->after),
                                 page->third),
                    err) != IG_OK)
        return err->code;
    while (page->count < PAGE && ig_db_next(rows, err)) {
        struct victim *item = &page->items[page->count++];
        item->id = ig_db_text_dup(rows, 0, arena);
        item->key = IG_DB_T(item->id);
        item->artifact_root = ig_db_text_dup(rows, 1, arena);
    }
    ig_db_finish(rows);
    if (arena->overflowed) ig_fail(err, IG_NO_MEMORY, "garbage collection");
    return err->code;
}

typedef enum ig_code purge_one(struct ig_gc_pass *pass, struct victim *victim, struct ig_err *err);

/* Every one of them, unless the budget ends. */
static enum ig_code purge_pages(struct ig_gc_pass *pass, const char *sql, struct ig_db_value third,
                                purge_one *one, struct ig_err *err)
{
    struct page page = {.pass = pass, .sql = sql, .third = third};
    char after[64] = "";
    do {
        ig_arena_reset(&pass->arena);
        page.count = 0;
        page.after = ig_str_view(after);
        if (ig_db_read(pass->gc->options.db, read_page, &page, err) != IG_OK) return err->code;
        for (size_t i = 0; i < page.count && !ig_gc_is_over(pass); i++) {
            snprintf(after, sizeof after, "%.*s", IG_STR_ARGS(page.items[i].id));
            if (one(pass, &page.items[i], err) != IG_OK) return err->code;
        }
    } while (page.count == PAGE && !ig_gc_is_over(pass));
    return IG_OK;
}

static enum ig_code purge_run(struct ig_gc_pass *pass, struct victim *victim, struct ig_err *err)
{
    victim->kind = "run";
    victim->pieces = RUN_PIECES;
    return purge(&pass->report->runs, pass, victim,
                 "update runs set deleted_ms = -1 where id = $1 and stage = 'deleted'",
                 "delete from runs where id = $1 and deleted_ms = -1", err);
}

static enum ig_code purge_model(struct ig_gc_pass *pass, struct victim *victim, struct ig_err *err)
{
    victim->kind = "logged_model";
    victim->pieces = MODEL_PIECES;
    return purge(&pass->report->logged_models, pass, victim, NULL,
                 "delete from logged_models where id = $1", err);
}

static enum ig_code purge_traces(struct ig_gc_pass *pass, int64_t experiment, struct ig_err *err)
{
    const struct ig_tracking_trace_deletion all = {
        .experiment = experiment, .until_ms = INT64_MAX, .max = IG_TRACKING_TRACES_DELETED_MAX};
    size_t count = 1;
    while (count && !ig_gc_is_over(pass)) {
        if (ig_tracking_traces_delete(&count, pass->gc->options.db, pass->who, &all, &pass->arena,
                                      err) != IG_OK)
            return err->code;
        pass->report->traces += (int64_t)count;
    }
    return IG_OK;
}

static enum ig_code count_rest(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct step *step = context;
    return ig_db_get_i64(
        &step->changes, tx, step->sql,
        IG_DB_VALUES(step->victim->key, IG_DB_I(step->pass->ask->deleted_before_ms)), err);
}

static const char LAST_ID[] =
    "insert into last_ids(name, id) values('experiments', $1) on conflict (name) do update set"
    " id = case when excluded.id > last_ids.id then excluded.id else last_ids.id end";

static enum ig_code remove_experiment(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct step *step = context;
    if (ig_db_exec(tx, LAST_ID, &step->victim->key, 1, err) != IG_OK ||
        ig_grants_drop(tx, IG_OBJECT_EXPERIMENT, step->victim->id, err) != IG_OK ||
        ig_grants_drop_scorers(tx, step->victim->id, err) != IG_OK)
        return err->code;
    return remove_last(tx, step, err);
}

/* When it has no run any more, and no registered version lies in it. */
static enum ig_code purge_experiment(struct ig_gc_pass *pass, struct victim *victim,
                                     struct ig_err *err)
{
    struct ig_db *db = pass->gc->options.db;
    struct step step = {.pass = pass, .victim = victim};
    struct ig_gc_ask all = *pass->ask;
    int64_t id = 0;
    if (!ig_str_to_i64(victim->id, &id)) return IG_OK;
    victim->kind = "experiment";
    victim->key = IG_DB_I(id);
    victim->pieces = EXPERIMENT_PIECES;
    step.sql = "select count(*) from runs where experiment = $1 and"
               " (stage <> 'deleted' or coalesce(deleted_ms, 0) >= $2 or exists (select 1 from "
               "model_versions v"
               " where v.location >= runs.artifact_root and v.location <"
               " runs.artifact_root || '0'))";
    if (ig_db_read(db, find_version, &step, err) != IG_OK ||
        ig_db_read(db, count_rest, &step, err) != IG_OK)
        return err->code;
    if (step.yes || step.changes) {
        pass->report->kept++;
        return IG_OK;
    }
    if (pass->ask->dry_run) {
        pass->report->experiments++;
        return IG_OK;
    }
    step.sql = "update experiments set updated_ms = -1 where id = $1 and stage = 'deleted' and"
               " not exists (select 1 from runs where experiment = $1)";
    if (ig_db_write(db, change, &step, err) != IG_OK || !step.changes) return err->code;
    all.deleted_before_ms = INT64_MAX;
    struct ig_gc_pass within = *pass;
    within.ask = &all;
    ig_arena_init(&within.arena, 16 << 10, 16 << 20);
    purge_pages(&within,
                "select id, artifact_root from logged_models where $1 >= 0 and id > $2"
                " and experiment = $3 order by id limit 100",
                victim->key, purge_model, err);
    if (err->code == IG_OK) purge_traces(&within, id, err);
    ig_arena_deinit(&within.arena);
    if (err->code != IG_OK || !remove_parts(pass, victim, err)) return err->code;
    step.sql = "delete from experiments where id = $1 and updated_ms = -1";
    if (ig_db_write(db, remove_experiment, &step, err) == IG_OK)
        pass->report->experiments += step.changes;
    return err->code;
}

/* ---- by name ---- */

struct question {
    const char *sql; /* stage, when it was deleted, artifact_root */
    struct ig_db_value key;
    struct ig_arena *arena;
    struct ig_str stage, artifact_root;
    int64_t deleted_ms;
    bool found;
};

static enum ig_code ask_row(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct question *question = context;
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, question->sql, &question->key, 1, err) != IG_OK) return err->code;
    question->found = ig_db_next(rows, err);
    if (question->found) {
        question->stage = ig_db_text_dup(rows, 0, question->arena);
        question->deleted_ms = ig_db_i64(rows, 1);
        question->artifact_root = ig_db_text_dup(rows, 2, question->arena);
    }
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code check_one(struct question *question, struct ig_gc_pass *pass, const char *what,
                              struct ig_str id, struct ig_err *err)
{
    question->arena = &pass->arena;
    if (ig_db_read(pass->gc->options.db, ask_row, question, err) != IG_OK) return err->code;
    if (!question->found)
        return ig_fail(err, IG_NOT_FOUND, "%s_ids: there is no %s '%.*s'", what, what,
                       IG_STR_ARGS(id));
    if (!ig_str_is(question->stage, "deleted"))
        return ig_fail(err, IG_INVALID,
                       "%s_ids: %s %.*s is not in the 'deleted' lifecycle stage; only what was "
                       "deleted can be removed for good",
                       what, what, IG_STR_ARGS(id));
    if (question->deleted_ms >= pass->ask->deleted_before_ms)
        return ig_fail(err, IG_INVALID, "%s_ids: %s %.*s was deleted later than that", what, what,
                       IG_STR_ARGS(id));
    return IG_OK;
}

static enum ig_code name_run(struct victim *out, struct ig_gc_pass *pass, struct ig_str id,
                             struct ig_err *err)
{
    struct question question = {
        .sql = "select stage, coalesce(deleted_ms, 0), artifact_root from runs where id = $1",
        .key = IG_DB_T(id)};
    if (id.len > 64) return ig_fail(err, IG_INVALID, "run_ids: an id of more than 64 characters");
    if (check_one(&question, pass, "run", id, err) != IG_OK) return err->code;
    *out = (struct victim){.id = id, .key = IG_DB_T(id), .artifact_root = question.artifact_root};
    return IG_OK;
}

static enum ig_code name_experiment(struct victim *out, struct ig_gc_pass *pass, int64_t id,
                                    struct ig_err *err)
{
    struct question question = {
        .sql = "select stage, updated_ms, artifact_root from experiments where id = $1",
        .key = IG_DB_I(id)};
    const char *text = ig_arena_printf(&pass->arena, "%lld", (long long)id);
    if (!text) return ig_fail(err, IG_NO_MEMORY, "garbage collection");
    if (check_one(&question, pass, "experiment", ig_str_view(text), err) != IG_OK) return err->code;
    *out = (struct victim){.id = ig_str_view(text), .artifact_root = question.artifact_root};
    return IG_OK;
}

static const char RUNS_OF_ONE[] =
    "select id, artifact_root from runs where stage = 'deleted' and coalesce(deleted_ms, 0) < $1"
    " and id > $2 and experiment = $3 order by id limit 100";

/* All are checked before the first goes. */
static enum ig_code purge_named(struct ig_gc_pass *pass, struct ig_err *err)
{
    const struct ig_gc_ask *ask = pass->ask;
    struct victim victim;
    for (unsigned round = 0; round < 2; round++) {
        for (size_t i = 0; i < ask->runs_count && !ig_gc_is_over(pass); i++) {
            ig_arena_reset(&pass->arena);
            if (name_run(&victim, pass, ask->runs[i], err) != IG_OK ||
                (round && purge_run(pass, &victim, err) != IG_OK))
                return err->code;
        }
        for (size_t i = 0; i < ask->experiments_count && !ig_gc_is_over(pass); i++) {
            ig_arena_reset(&pass->arena);
            if (name_experiment(&victim, pass, ask->experiments[i], err) != IG_OK ||
                (round && purge_pages(pass, RUNS_OF_ONE, IG_DB_I(ask->experiments[i]), purge_run,
                                      err) != IG_OK))
                return err->code;
            ig_arena_reset(&pass->arena);
            if (round && (name_experiment(&victim, pass, ask->experiments[i], err) != IG_OK ||
                          purge_experiment(pass, &victim, err) != IG_OK))
                return err->code;
        }
    }
    return IG_OK;
}

enum ig_code ig_gc_rows(struct ig_gc_pass *pass, struct ig_err *err)
{
    const struct ig_db_value none = IG_DB_I(0);
    if (pass->ask->runs_count || pass->ask->experiments_count) {
        purge_named(pass, err);
    } else if (purge_pages(pass,
                           "select id, artifact_root from runs where stage = 'deleted'"
                           " and coalesce(deleted_ms, 0) < $1 and id > $2 and $3 = 0"
                           " order by id limit 100",
                           none, purge_run, err) == IG_OK &&
               purge_pages(pass,
                           "select id, artifact_root from logged_models where stage = 'deleted'"
                           " and updated_ms < $1 and id > $2 and $3 = 0 order by id limit 100",
                           none, purge_model, err) == IG_OK) {
        purge_pages(pass,
                    "select cast(id as text), artifact_root from experiments"
                    " where stage = 'deleted' and updated_ms < $1 and cast(id as text) > $2"
                    " and $3 = 0 order by cast(id as text) limit 100",
                    none, purge_experiment, err);
    }
    pass->report->rows_done = err->code == IG_OK && !ig_gc_is_over(pass);
    return err->code;
}
