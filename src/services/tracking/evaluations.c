/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluation datasets, their tags and experiments; records are in evaluations_records.c.
 *
 * Thread rule: stateless over the store. */
#include "services/tracking/evaluations.h"

#include "base/clock.h"
#include "base/random.h"
#include "services/tracking/evaluations_priv.h"
#include "services/tracking/tracking_priv.h"

#include <stdio.h>

struct evaluation_call {
    const struct ig_principal *who;
    const struct ig_evaluation_spec *spec;
    const struct ig_evaluation_link *link;
    struct ig_str id, key;
    struct ig_tracking_pairs tags;
    struct ig_arena *arena;
    struct ig_evaluation found;
    struct ig_evaluation_experiments experiments;
};

void ig_evaluation_digest(char out[IG_EVALUATION_DIGEST + 1], struct ig_str name, int64_t at_ms)
{
    char text[4 * IG_EVALUATION_NAME_MAX + 32], hex[IG_SHA256_HEX];
    int length = snprintf(text, sizeof text, "%.*s:%lld", IG_STR_ARGS(name), (long long)at_ms);
    ig_sha256_hex(text, (size_t)length, hex);
    snprintf(out, IG_EVALUATION_DIGEST + 1, "%.*s", IG_EVALUATION_DIGEST, hex);
}

void ig_evaluation_new_id(char out[IG_EVALUATION_ID_SIZE], const char *prefix)
{
    unsigned char random[16];
    ig_random_bytes(random, sizeof random);
    int length = snprintf(out, IG_EVALUATION_ID_SIZE, "%s", prefix);
    ig_hex(out + length, random, sizeof random);
}

struct ig_str ig_evaluation_optional(struct ig_db_rows *rows, int column, struct ig_arena *arena)
{
    if (ig_db_is_null(rows, column)) return (struct ig_str){NULL, 0};
    return ig_db_text_dup(rows, column, arena);
}

struct ig_str ig_evaluation_user(struct ig_tracking_pairs tags)
{
    for (size_t i = 0; i < tags.count; i++)
        if (ig_str_is(tags.items[i].key, "mlflow.user")) return tags.items[i].value;
    return (struct ig_str){NULL, 0};
}

/* ---- reading ---- */

static enum ig_code read_evaluation(struct evaluation_call *call, struct ig_db_tx *tx,
                                    const char *words, struct ig_err *err)
{
    struct ig_evaluation *out = &call->found;
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx,
                    "select id, name, hash, fields, records, created_ms, updated_ms, created_by,"
                    " updated_by from evaluations where id = $1",
                    IG_DB_VALUES(IG_DB_T(call->id)), err) != IG_OK)
        return err->code;
    if (ig_db_next(rows, err))
        *out = (struct ig_evaluation){.id = ig_db_text_dup(rows, 0, call->arena),
                                      .name = ig_db_text_dup(rows, 1, call->arena),
                                      .digest = ig_db_text_dup(rows, 2, call->arena),
                                      .schema = ig_evaluation_optional(rows, 3, call->arena),
                                      .records = ig_db_i64(rows, 4),
                                      .created_ms = ig_db_i64(rows, 5),
                                      .updated_ms = ig_db_i64(rows, 6),
                                      .created_by = ig_evaluation_optional(rows, 7, call->arena),
                                      .updated_by = ig_evaluation_optional(rows, 8, call->arena)};
    else if (err->code == IG_OK)
        ig_fail(err, IG_NOT_FOUND, words, IG_STR_ARGS(ig_tracking_cut(call->id, 64)));
    ig_db_finish(rows);
    if (err->code != IG_OK) return err->code;
    if (ig_db_query(&rows, tx,
                    "select key, value from evaluation_tags where evaluation = $1 order by key",
                    IG_DB_VALUES(IG_DB_T(call->id)), err) != IG_OK)
        return err->code;
    ig_tracking_pairs_read(&out->tags, rows, call->arena, err);
    ig_db_finish(rows);
    if (err->code == IG_OK && call->arena->overflowed) ig_fail(err, IG_NO_MEMORY, "dataset");
    return err->code;
}

static enum ig_code get_evaluation(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    return read_evaluation(context, tx, "Evaluation dataset with id '%.*s' not found", err);
}

enum ig_code ig_evaluation_get(struct ig_evaluation *out, struct ig_db *db, struct ig_str id,
                               struct ig_arena *arena, struct ig_err *err)
{
    struct evaluation_call call = {.id = id, .arena = arena};
    if (ig_db_read(db, get_evaluation, &call, err) == IG_OK) *out = call.found;
    return err->code;
}

static enum ig_code read_experiments(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct evaluation_call *call = context;
    struct ig_db_rows *rows = NULL;
    int64_t *items = NULL;
    size_t count = 0, cap = 0;
    if (ig_db_query(&rows, tx,
                    "select experiment from evaluation_experiments where evaluation = $1"
                    " order by experiment",
                    IG_DB_VALUES(IG_DB_T(call->id)), err) != IG_OK)
        return err->code;
    while (ig_db_next(rows, err)) {
        items = ig_arena_grow(call->arena, items, count, &cap, sizeof *items);
        if (!items) ig_fail(err, IG_NO_MEMORY, "experiments");
        if (!items) break;
        items[count++] = ig_db_i64(rows, 0);
    }
    ig_db_finish(rows);
    call->experiments = (struct ig_evaluation_experiments){items, count};
    return err->code;
}

enum ig_code ig_evaluation_experiments(struct ig_evaluation_experiments *out, struct ig_db *db,
                                       struct ig_str id, struct ig_arena *arena, struct ig_err *err)
{
    struct evaluation_call call = {.id = id, .arena = arena};
    if (ig_db_read(db, read_experiments, &call, err) == IG_OK) *out = call.experiments;
    return err->code;
}

/* ---- changes ---- */

static enum ig_code check_tags(struct ig_tracking_pairs tags, struct ig_err *err)
{
    for (size_t i = 0; err->code == IG_OK && i < tags.count; i++) {
        if (!tags.items[i].key.len)
            return ig_fail(err, IG_INVALID, "Missing value for required parameter 'tags.key'.");
        if (ig_tracking_check_length(tags.items[i].key, IG_EVALUATION_NAME_MAX, "tags.key", err) ==
            IG_OK)
            ig_tracking_check_length(tags.items[i].value, IG_EVALUATION_TAG_MAX, "tags.value", err);
    }
    return err->code;
}

static enum ig_code put_tags(struct ig_db_tx *tx, struct ig_str id, struct ig_tracking_pairs tags,
                             struct ig_err *err)
{
    for (size_t i = 0; err->code == IG_OK && i < tags.count; i++)
        ig_db_exec(
            tx,
            "insert into evaluation_tags(evaluation, key, value) values($1, $2, $3)"
            " on conflict (evaluation, key) do update set value = excluded.value",
            IG_DB_VALUES(IG_DB_T(id), IG_DB_T(tags.items[i].key), IG_DB_T(tags.items[i].value)),
            err);
    return err->code;
}

static enum ig_code find_experiment(struct ig_db_tx *tx, int64_t id, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select 1 from experiments where id = $1", IG_DB_VALUES(IG_DB_I(id)),
                    err) != IG_OK)
        return err->code;
    if (!ig_db_next(rows, err) && err->code == IG_OK)
        ig_fail(err, IG_NOT_FOUND, "No Experiment with id=%lld", (long long)id);
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code put_experiments(struct ig_db_tx *tx, const struct ig_evaluation_link *link,
                                    struct ig_err *err)
{
    for (size_t i = 0; err->code == IG_OK && i < link->experiments_count; i++) {
        const struct ig_db_value values[] = {IG_DB_T(link->id), IG_DB_I(link->experiments[i])};
        if (link->remove)
            ig_db_exec(tx,
                       "delete from evaluation_experiments where evaluation = $1"
                       " and experiment = $2",
                       values, 2, err);
        else if (find_experiment(tx, link->experiments[i], err) == IG_OK)
            ig_db_exec(tx,
                       "insert into evaluation_experiments(evaluation, experiment) values($1, $2)"
                       " on conflict (evaluation, experiment) do nothing",
                       values, 2, err);
    }
    return err->code;
}

static enum ig_code create_evaluation(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct evaluation_call *call = context;
    const struct ig_evaluation_spec *spec = call->spec;
    const struct ig_evaluation_link link = {call->id, spec->experiments, spec->experiments_count,
                                            false};
    int64_t now = ig_clock_unix_ms();
    struct ig_str user = ig_evaluation_user(spec->tags);
    char digest[IG_EVALUATION_DIGEST + 1];
    ig_evaluation_digest(digest, spec->name, now);
    if (ig_db_exec(tx,
                   "insert into evaluations(id, name, hash, records, last_seq, created_ms,"
                   " updated_ms, created_by, updated_by) values($1, $2, $3, 0, 0, $4, $4, $5, $5)",
                   IG_DB_VALUES(IG_DB_T(call->id), IG_DB_T(spec->name), IG_DB_C(digest),
                                IG_DB_I(now), user.ptr ? IG_DB_T(user) : IG_DB_N()),
                   err) != IG_OK ||
        put_tags(tx, call->id, spec->tags, err) != IG_OK ||
        put_experiments(tx, &link, err) != IG_OK)
        return err->code;
    return get_evaluation(tx, call, err);
}

enum ig_code ig_evaluation_create(struct ig_evaluation *out, struct ig_db *db,
                                  const struct ig_evaluation_spec *spec, struct ig_arena *arena,
                                  struct ig_err *err)
{
    char id[IG_EVALUATION_ID_SIZE];
    struct evaluation_call call = {.spec = spec, .arena = arena};
    ig_evaluation_new_id(id, "d-");
    call.id = ig_str_view(id);
    if (ig_tracking_check_length(spec->name, IG_EVALUATION_NAME_MAX, "name", err) != IG_OK ||
        check_tags(spec->tags, err) != IG_OK)
        return err->code;
    if (ig_db_write(db, create_evaluation, &call, err) == IG_OK) *out = call.found;
    return err->code;
}

static enum ig_code delete_evaluation(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    static const char *const statements[] = {
        "delete from evaluation_records where evaluation = $1",
        "delete from evaluation_tags where evaluation = $1",
        "delete from evaluation_experiments where evaluation = $1",
        "delete from evaluations where id = $1"};
    struct evaluation_call *call = context;
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++)
        if (ig_db_exec(tx, statements[i], IG_DB_VALUES(IG_DB_T(call->id)), err) != IG_OK)
            return err->code;
    if (!ig_db_changes(tx)) return IG_OK;
    return ig_audit_add(tx, call->who, "evaluation.delete", call->id, IG_STR(""), err);
}

enum ig_code ig_evaluation_delete(struct ig_db *db, const struct ig_principal *who,
                                  struct ig_str id, struct ig_err *err)
{
    struct evaluation_call call = {.who = who, .id = id};
    return ig_db_write(db, delete_evaluation, &call, err);
}

static enum ig_code tag_evaluation(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct evaluation_call *call = context;
    if (read_evaluation(call, tx, "Could not find evaluation dataset with ID %.*s", err) != IG_OK)
        return err->code;
    return put_tags(tx, call->id, call->tags, err);
}

enum ig_code ig_evaluation_tag(struct ig_db *db, struct ig_str id, struct ig_tracking_pairs tags,
                               struct ig_err *err)
{
    struct ig_arena arena;
    struct evaluation_call call = {.id = id, .tags = tags, .arena = &arena};
    if (check_tags(tags, err) != IG_OK) return err->code;
    ig_arena_init(&arena, 16 << 10, 64 << 20);
    ig_db_write(db, tag_evaluation, &call, err);
    ig_arena_deinit(&arena);
    return err->code;
}

static enum ig_code untag_evaluation(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct evaluation_call *call = context;
    return ig_db_exec(tx, "delete from evaluation_tags where evaluation = $1 and key = $2",
                      IG_DB_VALUES(IG_DB_T(call->id), IG_DB_T(call->key)), err);
}

enum ig_code ig_evaluation_untag(struct ig_db *db, struct ig_str id, struct ig_str key,
                                 struct ig_err *err)
{
    struct evaluation_call call = {.id = id, .key = key};
    return ig_db_write(db, untag_evaluation, &call, err);
}

static enum ig_code link_evaluation(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct evaluation_call *call = context;
    if (read_evaluation(call, tx, "Dataset '%.*s' not found", err) != IG_OK ||
        put_experiments(tx, call->link, err) != IG_OK)
        return err->code;
    call->found.updated_ms = ig_clock_unix_ms();
    return ig_db_exec(tx, "update evaluations set updated_ms = $2 where id = $1",
                      IG_DB_VALUES(IG_DB_T(call->id), IG_DB_I(call->found.updated_ms)), err);
}

enum ig_code ig_evaluation_link(struct ig_evaluation *out, struct ig_db *db,
                                const struct ig_evaluation_link *link, struct ig_arena *arena,
                                struct ig_err *err)
{
    struct evaluation_call call = {.id = link->id, .link = link, .arena = arena};
    if (ig_db_write(db, link_evaluation, &call, err) == IG_OK) *out = call.found;
    return err->code;
}
