/* SPDX-License-Identifier: Apache-2.0 */
/* Issues; their lists are kept as JSON.
 *
 * Thread rule: stateless over the store. */
#include "services/tracking/issues.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/random.h"
#include "services/tracking/tracking_priv.h"

#include <stdio.h>

enum { ID_SIZE = 37, LIST_BYTES_MAX = 1 << 20 };

struct issue_call {
    const struct ig_issue *spec;
    struct ig_str id, causes, categories; /* lists as JSON; empty: none */
    struct ig_arena *arena;
    struct ig_issue found;
};

/* ---- reading ---- */

static enum ig_code read_texts(struct ig_issue_texts *out, struct ig_str text,
                               struct ig_arena *arena, struct ig_err *err)
{
    struct ig_str *items = NULL;
    size_t count = 0, cap = 0;
    struct ig_json json;
    if (!text.len) return IG_OK;
    ig_json_init(&json, text, arena, err);
    ig_json_expect(&json, IG_JSON_ARRAY, "list");
    while (err->code == IG_OK && ig_json_element(&json)) {
        items = ig_arena_grow(arena, items, count, &cap, sizeof *items);
        if (!items) return ig_fail(err, IG_NO_MEMORY, "issue");
        ig_json_string(&json, &items[count++], "list");
    }
    *out = (struct ig_issue_texts){items, count};
    return err->code;
}

static enum ig_code get_issue(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct issue_call *call = context;
    struct ig_issue found = {.experiment = 0};
    struct ig_str causes = IG_STR(""), categories = IG_STR("");
    struct ig_arena *arena = call->arena;
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx,
                    "select id, experiment, name, description, status, severity, causes,"
                    " categories, source_run, created_by, created_ms, "
                    "updated_ms, " IG_TRACKING_ISSUE_TRACES("$1") " from issues where id = $1",
                    IG_DB_VALUES(IG_DB_T(call->id)), err) != IG_OK)
        return err->code;
    if (ig_db_next(rows, err)) {
        found = (struct ig_issue){.id = ig_db_text_dup(rows, 0, arena),
                                  .experiment = ig_db_i64(rows, 1),
                                  .name = ig_db_text_dup(rows, 2, arena),
                                  .description = ig_db_text_dup(rows, 3, arena),
                                  .status = ig_db_text_dup(rows, 4, arena),
                                  .severity = ig_db_text_dup(rows, 5, arena),
                                  .source_run = ig_db_text_dup(rows, 8, arena),
                                  .created_by = ig_db_text_dup(rows, 9, arena),
                                  .created_ms = ig_db_i64(rows, 10),
                                  .updated_ms = ig_db_i64(rows, 11),
                                  .traces_count = ig_db_i64(rows, 12)};
        causes = ig_db_text_dup(rows, 6, arena);
        categories = ig_db_text_dup(rows, 7, arena);
    } else if (err->code == IG_OK) {
        ig_fail(err, IG_NOT_FOUND, "Issue with ID '%.*s' not found",
                IG_STR_ARGS(ig_tracking_cut(call->id, 64)));
    }
    ig_db_finish(rows);
    if (err->code != IG_OK || read_texts(&found.causes, causes, arena, err) != IG_OK ||
        read_texts(&found.categories, categories, arena, err) != IG_OK)
        return err->code;
    if (arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "issue");
    call->found = found;
    return IG_OK;
}

enum ig_code ig_issue_get(struct ig_issue *out, struct ig_db *db, struct ig_str id,
                          struct ig_arena *arena, struct ig_err *err)
{
    struct issue_call call = {.id = id, .arena = arena};
    if (ig_db_read(db, get_issue, &call, err) == IG_OK) *out = call.found;
    return err->code;
}

/* ---- changes ---- */

static enum ig_code check_word(struct ig_str word, const char *field, const char *words,
                               struct ig_err *err)
{
    struct ig_str rest = ig_str_view(words);
    if (!word.len) return IG_OK;
    while (rest.ptr)
        if (ig_str_eq(ig_str_cut(&rest, ' '), word)) return IG_OK;
    return ig_fail(err, IG_INVALID,
                   "Invalid value \"%.*s\" for parameter '%s' supplied: expected one of %s",
                   IG_STR_ARGS(ig_tracking_cut(word, 60)), field, words);
}

static enum ig_code check(const struct ig_issue *spec, struct ig_err *err)
{
    if (check_word(spec->status, "status", "pending rejected resolved", err) != IG_OK ||
        check_word(spec->severity, "severity", "not_an_issue low medium high", err) != IG_OK ||
        ig_tracking_check_length(spec->name, IG_ISSUE_NAME_MAX, "name", err) != IG_OK ||
        ig_tracking_check_length(spec->description, IG_ISSUE_DESCRIPTION_MAX, "description", err) !=
            IG_OK)
        return err->code;
    return ig_tracking_check_length(spec->created_by, IG_ISSUE_USER_MAX, "created_by", err);
}

static enum ig_code write_texts(struct ig_str *out, struct ig_issue_texts texts, const char *field,
                                struct ig_arena *arena, struct ig_err *err)
{
    struct ig_json_out json;
    struct ig_buf buf;
    *out = IG_STR("");
    if (!texts.count) return IG_OK;
    if (texts.count > IG_ISSUE_LIST_MAX)
        return ig_fail(err, IG_INVALID, "%s: %zu given, expected at most %d", field, texts.count,
                       IG_ISSUE_LIST_MAX);
    ig_buf_init(&buf, LIST_BYTES_MAX);
    ig_json_out_init(&json, &buf);
    ig_json_out_array(&json);
    for (size_t i = 0; i < texts.count; i++) ig_json_out_str(&json, texts.items[i]);
    ig_json_out_array_end(&json);
    *out = ig_arena_dup(arena, ig_buf_view(&buf));
    if (buf.overflowed)
        ig_fail(err, IG_INVALID, "%s: more than %d bytes", field, LIST_BYTES_MAX);
    else if (!out->ptr)
        ig_fail(err, IG_NO_MEMORY, "issue");
    ig_buf_deinit(&buf);
    return err->code;
}

static enum ig_code create_issue(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct issue_call *call = context;
    const struct ig_issue *spec = call->spec;
    struct ig_tracking_run run;
    if (ig_tracking_experiment_must_be_active(tx, spec->experiment, err) != IG_OK ||
        (spec->source_run.len &&
         ig_tracking_run_row(&run, tx, spec->source_run, call->arena, err) != IG_OK) ||
        ig_db_exec(tx,
                   "insert into issues(id, experiment, name, description, status, severity, causes,"
                   " categories, source_run, created_by, created_ms, updated_ms)"
                   " values($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)",
                   IG_DB_VALUES(IG_DB_T(call->id), IG_DB_I(spec->experiment), IG_DB_T(spec->name),
                                IG_DB_T(spec->description),
                                IG_DB_T(spec->status.len ? spec->status : IG_STR("pending")),
                                IG_DB_T(spec->severity), IG_DB_T(call->causes),
                                IG_DB_T(call->categories), IG_DB_T(spec->source_run),
                                IG_DB_T(spec->created_by), IG_DB_I(ig_clock_unix_ms())),
                   err) != IG_OK)
        return err->code;
    return get_issue(tx, call, err);
}

enum ig_code ig_issue_create(struct ig_issue *out, struct ig_db *db, const struct ig_issue *spec,
                             struct ig_arena *arena, struct ig_err *err)
{
    struct issue_call call = {.spec = spec, .arena = arena};
    unsigned char random[16];
    char id[ID_SIZE] = "iss-";
    if (check(spec, err) != IG_OK ||
        write_texts(&call.causes, spec->causes, "root_causes", arena, err) != IG_OK ||
        write_texts(&call.categories, spec->categories, "categories", arena, err) != IG_OK)
        return err->code;
    ig_random_bytes(random, sizeof random);
    ig_hex(id + 4, random, sizeof random);
    call.id = ig_str_view(id);
    if (ig_db_write(db, create_issue, &call, err) == IG_OK) *out = call.found;
    return err->code;
}

static enum ig_code update_issue(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct issue_call *call = context;
    const struct ig_issue *spec = call->spec;
    if (ig_db_exec(tx,
                   "update issues set name = case $2 when '' then name else $2 end,"
                   " description = case $3 when '' then description else $3 end,"
                   " status = case $4 when '' then status else $4 end,"
                   " severity = case $5 when '' then severity else $5 end, updated_ms = $6"
                   " where id = $1",
                   IG_DB_VALUES(IG_DB_T(call->id), IG_DB_T(spec->name), IG_DB_T(spec->description),
                                IG_DB_T(spec->status), IG_DB_T(spec->severity),
                                IG_DB_I(ig_clock_unix_ms())),
                   err) != IG_OK)
        return err->code;
    return get_issue(tx, call, err);
}

enum ig_code ig_issue_update(struct ig_issue *out, struct ig_db *db, const struct ig_issue *spec,
                             struct ig_arena *arena, struct ig_err *err)
{
    struct issue_call call = {.spec = spec, .id = spec->id, .arena = arena};
    if (check(spec, err) != IG_OK) return err->code;
    if (ig_db_write(db, update_issue, &call, err) == IG_OK) *out = call.found;
    return err->code;
}
