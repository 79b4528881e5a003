/* SPDX-License-Identifier: Apache-2.0 */
/* Thread rule: stateless over the store. */
#include "services/tracking/assessments.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/random.h"
#include "services/tracking/json_text.h"
#include "services/tracking/tracking_priv.h"

#include <math.h>
#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define COLUMNS                                                                                    \
    "id, trace, kind, name, value, source_type, source_id, span, rationale, overrides, error,"     \
    " metadata, valid, created_ms, updated_ms"
enum { NAME_MAX_CHARS = 250, ID_MAX_CHARS = 50, PAIRS_MAX = 1000 };

static const char *const KINDS[] = {"feedback", "expectation", "issue"};

struct call {
    const struct ig_assessment *given;
    const struct ig_assessment_change *change;
    struct ig_str trace, id;
    struct ig_arena *arena;
    struct ig_assessment found;
};

const char *ig_assessment_kind_name(enum ig_assessment_kind kind)
{
    return KINDS[kind];
}

/* ---- reading ---- */

static struct ig_str optional(struct ig_db_rows *rows, int column, struct ig_arena *arena)
{
    if (ig_db_is_null(rows, column)) return (struct ig_str){NULL, 0};
    return ig_db_text_dup(rows, column, arena);
}

static enum ig_code read_metadata(struct ig_tracking_pairs *out, struct ig_str text,
                                  struct ig_arena *arena, struct ig_err *err)
{
    struct ig_tracking_pair *items = NULL;
    struct ig_json json;
    size_t count = 0, cap = 0;
    *out = (struct ig_tracking_pairs){NULL, 0};
    if (!text.ptr) return IG_OK;
    ig_json_init(&json, text, arena, err);
    if (!ig_json_expect(&json, IG_JSON_OBJECT, "metadata")) return err->code;
    while (ig_json_member(&json)) {
        items = ig_arena_grow(arena, items, count, &cap, sizeof *items);
        if (!items) return ig_fail(err, IG_NO_MEMORY, "metadata");
        items[count].key = json.text;
        if (!ig_json_string(&json, &items[count].value, "metadata")) return err->code;
        count++;
    }
    *out = (struct ig_tracking_pairs){items, count};
    return err->code;
}

static enum ig_code read_row(struct ig_assessment *out, struct ig_db_rows *rows,
                             struct ig_arena *arena, struct ig_err *err)
{
    struct ig_str kind = ig_db_text(rows, 2);
    *out = (struct ig_assessment){
        .id = ig_db_text_dup(rows, 0, arena),
        .trace = ig_db_text_dup(rows, 1, arena),
        .kind = ig_str_is(kind, KINDS[IG_ASSESSMENT_ISSUE])         ? IG_ASSESSMENT_ISSUE
                : ig_str_is(kind, KINDS[IG_ASSESSMENT_EXPECTATION]) ? IG_ASSESSMENT_EXPECTATION
                                                                    : IG_ASSESSMENT_FEEDBACK,
        .name = ig_db_text_dup(rows, 3, arena),
        .value = ig_db_text_dup(rows, 4, arena),
        .source_type = ig_db_text_dup(rows, 5, arena),
        .source_id = optional(rows, 6, arena),
        .span = optional(rows, 7, arena),
        .rationale = optional(rows, 8, arena),
        .overrides = optional(rows, 9, arena),
        .error = optional(rows, 10, arena),
        .valid = ig_db_i64(rows, 12) != 0,
        .created_ms = ig_db_i64(rows, 13),
        .updated_ms = ig_db_i64(rows, 14)};
    if (arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "assessment");
    return read_metadata(&out->metadata, optional(rows, 11, arena), arena, err);
}

enum ig_code ig_assessments_read(struct ig_assessments *out, struct ig_db_tx *tx,
                                 struct ig_str trace, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    struct ig_assessment *items = NULL;
    size_t count = 0, cap = 0;
    if (ig_db_query(&rows, tx,
                    "select " COLUMNS " from assessments where trace = $1 order by created_ms, id",
                    IG_DB_VALUES(IG_DB_T(trace)), err) != IG_OK)
        return err->code;
    while (ig_db_next(rows, err)) {
        items = ig_arena_grow(arena, items, count, &cap, sizeof *items);
        if (!items)
            ig_fail(err, IG_NO_MEMORY, "assessments");
        else
            read_row(&items[count++], rows, arena, err);
        if (err->code != IG_OK) break;
    }
    ig_db_finish(rows);
    *out = (struct ig_assessments){items, count};
    return err->code;
}

static enum ig_code trace_must_be_there(struct ig_db_tx *tx, struct ig_str trace,
                                        struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select 1 from traces where id = $1", IG_DB_VALUES(IG_DB_T(trace)),
                    err) != IG_OK)
        return err->code;
    if (!ig_db_next(rows, err) && err->code == IG_OK)
        ig_fail(err, IG_NOT_FOUND, "Trace with request_id '%.*s' not found",
                IG_STR_ARGS(ig_tracking_cut(trace, 64)));
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code no_assessment(struct ig_str trace, struct ig_str id, struct ig_err *err)
{
    return ig_fail(err, IG_NOT_FOUND, "Assessment with ID '%.*s' not found for trace '%.*s'",
                   IG_STR_ARGS(ig_tracking_cut(id, 64)), IG_STR_ARGS(ig_tracking_cut(trace, 64)));
}

static enum ig_code find(struct call *call, struct ig_db_tx *tx, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select " COLUMNS " from assessments where trace = $1 and id = $2",
                    IG_DB_VALUES(IG_DB_T(call->trace), IG_DB_T(call->id)), err) != IG_OK)
        return err->code;
    bool found = ig_db_next(rows, err);
    if (found) read_row(&call->found, rows, call->arena, err);
    ig_db_finish(rows);
    if (found || err->code != IG_OK || trace_must_be_there(tx, call->trace, err) != IG_OK)
        return err->code;
    return no_assessment(call->trace, call->id, err);
}

static enum ig_code get_work(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    return find(context, tx, err);
}

enum ig_code ig_assessment_get(struct ig_assessment *out, struct ig_db *db, struct ig_str trace,
                               struct ig_str id, struct ig_arena *arena, struct ig_err *err)
{
    struct call call = {.trace = trace, .id = id, .arena = arena};
    if (ig_db_read(db, get_work, &call, err) == IG_OK) *out = call.found;
    return err->code;
}

/* ---- changes ---- */

static enum ig_code check(const struct ig_assessment *given, struct ig_err *err)
{
    const struct {
        struct ig_str text;
        size_t max;
        const char *field;
    } texts[] = {{given->id, ID_MAX_CHARS, "assessment_id"},
                 {given->name, NAME_MAX_CHARS, "assessment_name"},
                 {given->source_id, NAME_MAX_CHARS, "source_id"},
                 {given->span, ID_MAX_CHARS, "span_id"},
                 {given->overrides, ID_MAX_CHARS, "overrides"},
                 {given->rationale, IG_ASSESSMENT_TEXT_MAX, "rationale"},
                 {given->value, IG_ASSESSMENT_TEXT_MAX, "value"},
                 {given->error, IG_ASSESSMENT_TEXT_MAX, "error"}};
    size_t bytes = 0;
    for (size_t i = 0; i < COUNT(texts); i++)
        if (ig_tracking_check_length(texts[i].text, texts[i].max, texts[i].field, err) != IG_OK)
            return err->code;
    for (size_t i = 0; i < given->metadata.count; i++)
        bytes += given->metadata.items[i].key.len + given->metadata.items[i].value.len;
    if (given->metadata.count <= PAIRS_MAX && bytes <= IG_ASSESSMENT_TEXT_MAX) return IG_OK;
    return ig_fail(err, IG_INVALID, "metadata: %zu entries of %zu bytes, at most %d of %d",
                   given->metadata.count, bytes, PAIRS_MAX, IG_ASSESSMENT_TEXT_MAX);
}

/* The value as a number for averages: true and "yes" are 1. Only numbers compare as such. */
static struct ig_db_value number_of(bool *numeric, struct ig_str value, struct ig_arena *arena)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_json json;
    double number = 0;
    *numeric = false;
    ig_json_init(&json, value, arena, &err);
    switch (ig_json_next(&json)) {
    case IG_JSON_BOOL:
        return IG_DB_F(json.boolean ? 1 : 0);
    case IG_JSON_NUMBER:
        *numeric = ig_str_to_f64(json.text, &number) && isfinite(number);
        return *numeric ? IG_DB_F(number) : IG_DB_N();
    case IG_JSON_STRING:
        if (ig_str_eq_nocase(ig_str_trim(json.text), IG_STR("yes"))) return IG_DB_F(1);
        if (ig_str_eq_nocase(ig_str_trim(json.text), IG_STR("no"))) return IG_DB_F(0);
        return IG_DB_N();
    default:
        return IG_DB_N();
    }
}

static struct ig_db_value text_or_null(struct ig_str text)
{
    return text.ptr ? IG_DB_T(text) : IG_DB_N();
}

static struct ig_db_value metadata_text(struct ig_tracking_pairs metadata, struct ig_arena *arena)
{
    struct ig_buf buf;
    struct ig_json_out out;
    if (!metadata.count) return IG_DB_N();
    ig_buf_init(&buf, (size_t)IG_ASSESSMENT_TEXT_MAX * 8); /* a byte may become \u0000 */
    ig_json_out_init(&out, &buf);
    ig_json_out_object(&out);
    for (size_t i = 0; i < metadata.count; i++) {
        ig_json_out_key(&out, metadata.items[i].key);
        ig_json_out_str(&out, metadata.items[i].value);
    }
    ig_json_out_object_end(&out);
    if (buf.overflowed) arena->overflowed = true;
    struct ig_str text = ig_arena_dup(arena, ig_buf_view(&buf));
    ig_buf_deinit(&buf);
    return IG_DB_T(text);
}

static enum ig_code put(struct ig_db_tx *tx, const struct ig_assessment *row,
                        struct ig_arena *arena, struct ig_err *err)
{
    bool numeric;
    struct ig_db_value number = number_of(&numeric, row->value, arena);
    struct ig_db_value metadata = metadata_text(row->metadata, arena);
    if (arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "assessment");
    return ig_db_exec(
        tx,
        "insert into assessments(" COLUMNS
        ", number, is_number) values($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,"
        " $15, $16, $17) on conflict (id) do update set name = excluded.name,"
        " value = excluded.value, rationale = excluded.rationale, error = excluded.error,"
        " metadata = excluded.metadata, updated_ms = excluded.updated_ms,"
        " number = excluded.number, is_number = excluded.is_number"
        " where assessments.trace = excluded.trace",
        IG_DB_VALUES(IG_DB_T(row->id), IG_DB_T(row->trace), IG_DB_C(KINDS[row->kind]),
                     IG_DB_T(row->name), IG_DB_T(row->value), IG_DB_T(row->source_type),
                     text_or_null(row->source_id), text_or_null(row->span),
                     text_or_null(row->rationale), text_or_null(row->overrides),
                     text_or_null(row->error), metadata, IG_DB_I(row->valid),
                     IG_DB_I(row->created_ms), IG_DB_I(row->updated_ms), number, IG_DB_I(numeric)),
        err);
}

static enum ig_code check_room(struct ig_db_tx *tx, struct ig_str trace, struct ig_err *err)
{
    int64_t count = 0;
    if (ig_db_get_i64(&count, tx, "select count(*) from assessments where trace = $1",
                      IG_DB_VALUES(IG_DB_T(trace)), err) != IG_OK ||
        count <= IG_ASSESSMENTS_MAX)
        return err->code;
    return ig_fail(err, IG_TOO_LARGE, "Trace '%.*s' would have %lld assessments, at most %d",
                   IG_STR_ARGS(ig_tracking_cut(trace, 64)), (long long)count, IG_ASSESSMENTS_MAX);
}

static struct ig_str new_id(struct ig_arena *arena)
{
    unsigned char random[16];
    char id[35] = "a-";
    ig_random_bytes(random, sizeof random);
    ig_hex(id + 2, random, sizeof random);
    return ig_arena_dup(arena, ig_str_view(id));
}

enum ig_code ig_assessment_put(struct ig_assessment *out, struct ig_db_tx *tx,
                               const struct ig_assessment *given, struct ig_arena *arena,
                               struct ig_err *err)
{
    struct ig_assessment row = *given;
    int64_t now_ms = ig_clock_unix_ms();
    if (check(given, err) != IG_OK) return err->code;
    if (!row.id.len) row.id = new_id(arena);
    if (!row.created_ms) row.created_ms = now_ms;
    if (!row.updated_ms) row.updated_ms = now_ms;
    if (row.overrides.ptr) {
        if (ig_db_exec(tx, "update assessments set valid = 0 where trace = $1 and id = $2",
                       IG_DB_VALUES(IG_DB_T(row.trace), IG_DB_T(row.overrides)), err) != IG_OK)
            return err->code;
        if (!ig_db_changes(tx)) return no_assessment(row.trace, row.overrides, err);
    }
    if (put(tx, &row, arena, err) != IG_OK) return err->code;
    if (!ig_db_changes(tx))
        return ig_fail(err, IG_EXISTS, "Assessment with ID '%.*s' is of another trace.",
                       IG_STR_ARGS(row.id));
    if (check_room(tx, row.trace, err) == IG_OK) *out = row;
    return err->code;
}

static enum ig_code is_new(struct ig_db_tx *tx, struct ig_str id, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select 1 from assessments where id = $1", IG_DB_VALUES(IG_DB_T(id)),
                    err) != IG_OK)
        return err->code;
    if (ig_db_next(rows, err))
        ig_fail(err, IG_EXISTS, "Assessment with ID '%.*s' already exists.",
                IG_STR_ARGS(ig_tracking_cut(id, 64)));
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code create_work(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct call *call = context;
    if (trace_must_be_there(tx, call->given->trace, err) != IG_OK ||
        is_new(tx, call->given->id, err) != IG_OK)
        return err->code;
    return ig_assessment_put(&call->found, tx, call->given, call->arena, err);
}

enum ig_code ig_assessment_create(struct ig_assessment *out, struct ig_db *db,
                                  const struct ig_assessment *assessment, struct ig_arena *arena,
                                  struct ig_err *err)
{
    struct call call = {.given = assessment, .arena = arena};
    if (ig_db_write(db, create_work, &call, err) == IG_OK) *out = call.found;
    return err->code;
}

static enum ig_code merge(struct ig_tracking_pairs *into, struct ig_tracking_pairs more,
                          struct ig_arena *arena, struct ig_err *err)
{
    struct ig_tracking_pair *items = ig_arena_array(arena, into->count + more.count, sizeof *items);
    size_t count = into->count;
    if (!more.count) return IG_OK;
    if (!items) return ig_fail(err, IG_NO_MEMORY, "metadata");
    if (count) memcpy(items, into->items, count * sizeof *items);
    for (size_t i = 0; i < more.count; i++) {
        size_t at = 0;
        while (at < count && !ig_str_eq(items[at].key, more.items[i].key)) at++;
        items[at] = more.items[i];
        if (at == count) count++;
    }
    *into = (struct ig_tracking_pairs){items, count};
    return IG_OK;
}

static enum ig_code check_kind(const struct ig_assessment *found, const struct ig_assessment *value,
                               struct ig_err *err)
{
    if (found->kind == value->kind) return IG_OK;
    if (value->kind == IG_ASSESSMENT_EXPECTATION)
        return ig_fail(err, IG_INVALID,
                       "Cannot update expectation value on a Feedback assessment.");
    return ig_fail(err, IG_INVALID, "Cannot update feedback value on an Expectation assessment.");
}

static enum ig_code update_work(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct call *call = context;
    const struct ig_assessment_change *change = call->change;
    if (find(call, tx, err) != IG_OK) return err->code;
    struct ig_assessment *row = &call->found;
    if (change->value) {
        if (check_kind(row, change->value, err) != IG_OK) return err->code;
        row->value = change->value->value;
        row->error = change->value->error;
    }
    if (change->name.ptr) row->name = change->name;
    if (change->rationale.ptr) row->rationale = change->rationale;
    row->updated_ms = ig_clock_unix_ms();
    if (merge(&row->metadata, change->metadata, call->arena, err) != IG_OK ||
        check(row, err) != IG_OK)
        return err->code;
    return put(tx, row, call->arena, err);
}

enum ig_code ig_assessment_update(struct ig_assessment *out, struct ig_db *db,
                                  const struct ig_assessment_change *change, struct ig_arena *arena,
                                  struct ig_err *err)
{
    struct call call = {.change = change, .trace = change->trace, .id = change->id, .arena = arena};
    if (ig_db_write(db, update_work, &call, err) == IG_OK) *out = call.found;
    return err->code;
}

static enum ig_code delete_work(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct call *call = context;
    const struct ig_db_value values[] = {IG_DB_T(call->trace), IG_DB_T(call->id)};
    if (ig_db_exec(tx,
                   "update assessments set valid = 1 where trace = $1 and id = (select overrides"
                   " from assessments where trace = $1 and id = $2)",
                   values, 2, err) != IG_OK)
        return err->code;
    return ig_db_exec(tx, "delete from assessments where trace = $1 and id = $2", values, 2, err);
}

enum ig_code ig_assessment_delete(struct ig_db *db, struct ig_str trace, struct ig_str id,
                                  struct ig_err *err)
{
    struct call call = {.trace = trace, .id = id};
    return ig_db_write(db, delete_work, &call, err);
}

/* ---- those that were told as one text ---- */

struct carry {
    ig_assessments_reader *read;
    struct ig_arena arena; /* of one trace */
    struct ig_str trace, content;
    struct ig_assessments found;
    char after[ID_MAX_CHARS * 4 + 1]; /* traces up to this one are done */
};

static enum ig_code next_told(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct carry *carry = context;
    struct ig_db_rows *rows = NULL;
    carry->trace = IG_STR("");
    if (ig_db_query(&rows, tx,
                    "select a.trace, a.content from assessments_told a join traces t on t.id ="
                    " a.trace where a.trace > $1 order by a.trace limit 1",
                    IG_DB_VALUES(IG_DB_C(carry->after)), err) != IG_OK)
        return err->code;
    if (ig_db_next(rows, err)) {
        carry->trace = ig_db_text_dup(rows, 0, &carry->arena);
        carry->content = ig_db_text_dup(rows, 1, &carry->arena);
    }
    ig_db_finish(rows);
    return err->code;
}

/* As they were told: which of them are valid is told as well. */
static enum ig_code put_told(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct carry *carry = context;
    int64_t now_ms = ig_clock_unix_ms();
    for (size_t i = 0; i < carry->found.count; i++) {
        struct ig_assessment row = carry->found.items[i];
        row.trace = carry->trace;
        if (!row.id.len) row.id = new_id(&carry->arena);
        if (!row.created_ms) row.created_ms = now_ms;
        if (!row.updated_ms) row.updated_ms = row.created_ms;
        if (check(&row, err) != IG_OK || put(tx, &row, &carry->arena, err) != IG_OK)
            return err->code;
    }
    return ig_db_exec(tx, "delete from assessments_told where trace = $1",
                      IG_DB_VALUES(IG_DB_T(carry->trace)), err);
}

static enum ig_code carry_one(struct carry *carry, struct ig_db *db, struct ig_err *err)
{
    struct ig_err why = IG_ERR_INIT;
    snprintf(carry->after, sizeof carry->after, "%.*s", IG_STR_ARGS(carry->trace));
    enum ig_code code = carry->read(&carry->found, carry->content, &carry->arena, &why);
    if (code == IG_OK) code = ig_db_write(db, put_told, carry, &why);
    if (code == IG_OK) return IG_OK;
    if (code != IG_INVALID && code != IG_PARSE && code != IG_TOO_LARGE)
        return ig_fail(err, code, "%s", why.message);
    ig_log(IG_LOG_WARN, "assessments_unread", IG_LOG_S("trace", carry->trace),
           IG_LOG_C("why", why.message));
    return IG_OK;
}

enum ig_code ig_assessments_carry(struct ig_db *db, ig_assessments_reader *read, struct ig_err *err)
{
    struct carry carry = {.read = read};
    ig_arena_init(&carry.arena, 64 << 10, (size_t)256 << 20);
    while (ig_db_read(db, next_told, &carry, err) == IG_OK && carry.trace.len &&
           carry_one(&carry, db, err) == IG_OK)
        ig_arena_reset(&carry.arena);
    ig_arena_deinit(&carry.arena);
    return err->code;
}
