/* SPDX-License-Identifier: Apache-2.0 */
/* Traces, their tags and metadata. The files of a trace lie below its experiment's place and go
 * with it, behind the rows: what dies in between leaves files that no trace names.
 *
 * Thread rule: stateless over the store. */
#include "services/tracking/tracking_traces.h"

#include "base/hash.h"
#include "base/random.h"
#include "services/tracking/artifacts.h"
#include "services/tracking/tracking_priv.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define LOCATION_TAG "mlflow.artifactLocation"
enum { KEY_MAX = 250, VALUE_MAX = 100000, PREVIEW_MAX = 100000 };

static const char *const STATUSES[] = {"TRACE_STATUS_UNSPECIFIED", "OK", "ERROR", "IN_PROGRESS"};
enum { STATUSES_COUNT = COUNT(STATUSES) };

struct trace_call {
    const struct ig_tracking_trace *trace;
    const struct ig_tracking_trace_end *end;
    struct ig_str id;
    struct ig_tracking_pair tag;
    struct ig_arena *arena;
    struct ig_tracking_trace found;
};

const char *ig_tracking_trace_status_name(int64_t status)
{
    return STATUSES[status > 0 && status < STATUSES_COUNT ? status : 0];
}

bool ig_tracking_trace_status_parse(int64_t *out, struct ig_str name)
{
    int64_t number = -1;
    for (int i = 0; i < STATUSES_COUNT; i++)
        if (ig_str_is(name, STATUSES[i])) number = i;
    if (ig_str_is(name, "STATE_UNSPECIFIED")) number = 0;
    if (number < 0 && !ig_str_to_i64(name, &number)) return false;
    if (number < 0 || number >= STATUSES_COUNT) return false;
    *out = number;
    return true;
}

/* ---- reading ---- */

static enum ig_code no_trace(struct ig_str id, struct ig_err *err)
{
    return ig_fail(err, IG_NOT_FOUND, "Trace with ID '%.*s' not found.",
                   IG_STR_ARGS(ig_tracking_cut(id, 64)));
}

static struct ig_str optional_text(struct ig_db_rows *rows, int column, struct ig_arena *arena)
{
    if (ig_db_is_null(rows, column)) return (struct ig_str){NULL, 0};
    return ig_db_text_dup(rows, column, arena);
}

static enum ig_code read_row(struct ig_tracking_trace *out, struct ig_db_tx *tx, struct ig_str id,
                             struct ig_arena *arena, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx,
                    "select id, experiment, status, start_ms, duration_ms, client_id,"
                    " request_preview, response_preview from traces where id = $1",
                    IG_DB_VALUES(IG_DB_T(id)), err) != IG_OK)
        return err->code;
    if (ig_db_next(rows, err))
        *out = (struct ig_tracking_trace){
            .id = ig_db_text_dup(rows, 0, arena),
            .experiment = ig_db_i64(rows, 1),
            .status = ig_db_i64(rows, 2),
            .start_ms = ig_db_i64(rows, 3),
            .duration_ms = ig_db_is_null(rows, 4) ? -1 : ig_db_i64(rows, 4),
            .client_id = optional_text(rows, 5, arena),
            .request_preview = optional_text(rows, 6, arena),
            .response_preview = optional_text(rows, 7, arena),
        };
    else if (err->code == IG_OK)
        no_trace(id, err);
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code read_pairs(struct ig_tracking_pairs *out, struct ig_db_tx *tx, const char *sql,
                               struct ig_str id, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, sql, IG_DB_VALUES(IG_DB_T(id)), err) != IG_OK) return err->code;
    ig_tracking_pairs_read(out, rows, arena, err);
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code read_trace(struct trace_call *call, struct ig_db_tx *tx, struct ig_err *err)
{
    struct ig_tracking_trace found = {.status = 0};
    if (read_row(&found, tx, call->id, call->arena, err) != IG_OK ||
        read_pairs(&found.metadata, tx,
                   "select key, value from trace_metadata where trace = $1 order by key", call->id,
                   call->arena, err) != IG_OK ||
        read_pairs(&found.tags, tx,
                   "select key, value from trace_tags where trace = $1 order by key", call->id,
                   call->arena, err) != IG_OK ||
        ig_assessments_read(&found.assessments, tx, call->id, call->arena, err) != IG_OK)
        return err->code;
    if (call->arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "trace");
    call->found = found;
    return IG_OK;
}

static enum ig_code get_trace(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    return read_trace(context, tx, err);
}

enum ig_code ig_tracking_trace_get(struct ig_tracking_trace *out, struct ig_db *db,
                                   struct ig_str id, struct ig_arena *arena, struct ig_err *err)
{
    struct trace_call call = {.id = id, .arena = arena};
    if (ig_db_read(db, get_trace, &call, err) == IG_OK) *out = call.found;
    return err->code;
}

/* ---- changes ---- */

static enum ig_code check_pairs(struct ig_tracking_pairs pairs, const char *list,
                                struct ig_err *err)
{
    char field[64];
    for (size_t i = 0; err->code == IG_OK && i < pairs.count; i++) {
        snprintf(field, sizeof field, "%s[%zu].key", list, i);
        if (!pairs.items[i].key.len)
            return ig_fail(err, IG_INVALID, "Missing value for required parameter '%s'.", field);
        if (ig_tracking_check_length(pairs.items[i].key, KEY_MAX, field, err) != IG_OK) break;
        snprintf(field, sizeof field, "%s[%zu].value", list, i);
        ig_tracking_check_length(pairs.items[i].value, VALUE_MAX, field, err);
    }
    return err->code;
}

/* It becomes a part of a path. */
enum ig_code ig_tracking_trace_id_check(struct ig_str id, struct ig_err *err)
{
    bool good = id.len > 0 && id.len <= IG_TRACKING_TRACE_ID_MAX;
    for (size_t i = 0; good && i < id.len; i++) {
        char c = id.ptr[i], letter = (char)(c | 0x20);
        good = (letter >= 'a' && letter <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    }
    if (good) return IG_OK;
    return ig_fail(err, IG_INVALID,
                   "Invalid value \"%.*s\" for parameter 'trace_id' supplied: expected 1 to %d "
                   "letters, digits, '-' and '_'",
                   IG_STR_ARGS(ig_tracking_cut(id, 60)), IG_TRACKING_TRACE_ID_MAX);
}

static enum ig_code put_pairs(struct ig_db_tx *tx, const char *sql, struct ig_str id,
                              struct ig_tracking_pairs pairs, struct ig_err *err)
{
    for (size_t i = 0; err->code == IG_OK && i < pairs.count; i++)
        ig_db_exec(
            tx, sql,
            IG_DB_VALUES(IG_DB_T(id), IG_DB_T(pairs.items[i].key), IG_DB_T(pairs.items[i].value)),
            err);
    return err->code;
}

static enum ig_code put_tags(struct ig_db_tx *tx, struct ig_str id, struct ig_tracking_pairs tags,
                             struct ig_err *err)
{
    return put_pairs(tx,
                     "insert into trace_tags(trace, key, value) values($1, $2, $3)"
                     " on conflict (trace, key) do update set value = excluded.value",
                     id, tags, err);
}

static enum ig_code put_metadata(struct ig_db_tx *tx, struct ig_str id,
                                 struct ig_tracking_pairs metadata, struct ig_err *err)
{
    return put_pairs(tx,
                     "insert into trace_metadata(trace, key, value) values($1, $2, $3)"
                     " on conflict (trace, key) do update set value = excluded.value",
                     id, metadata, err);
}

static struct ig_db_value optional(struct ig_str text)
{
    return text.ptr ? IG_DB_T(text) : IG_DB_N();
}

static enum ig_code put_row(struct ig_db_tx *tx, struct ig_str id,
                            const struct ig_tracking_trace *trace, struct ig_err *err)
{
    if (ig_db_exec(
            tx,
            "insert into traces(id, experiment, status, start_ms, duration_ms, client_id,"
            " request_preview, response_preview, told)"
            " values($1, $2, $3, $4, $5, $6, $7, $8, 1) on conflict (id) do update set"
            " told = 1, status = excluded.status, start_ms = excluded.start_ms,"
            " duration_ms = coalesce(excluded.duration_ms, traces.duration_ms),"
            " client_id = coalesce(excluded.client_id, traces.client_id),"
            " request_preview = coalesce(excluded.request_preview, traces.request_preview),"
            " response_preview = coalesce(excluded.response_preview, traces.response_preview)"
            " where traces.experiment = excluded.experiment",
            IG_DB_VALUES(IG_DB_T(id), IG_DB_I(trace->experiment), IG_DB_I(trace->status),
                         IG_DB_I(trace->start_ms),
                         trace->duration_ms < 0 ? IG_DB_N() : IG_DB_I(trace->duration_ms),
                         optional(trace->client_id), optional(trace->request_preview),
                         optional(trace->response_preview)),
            err) != IG_OK)
        return err->code;
    if (ig_db_changes(tx)) return IG_OK;
    return ig_fail(err, IG_EXISTS, "Trace with ID '%.*s' is of another experiment.",
                   IG_STR_ARGS(id));
}

enum ig_code ig_tracking_trace_place_of(struct ig_str *out, struct ig_db_tx *tx, int64_t experiment,
                                        struct ig_str id, struct ig_arena *arena,
                                        struct ig_err *err)
{
    char below[IG_TRACKING_TRACE_ID_MAX + 32];
    snprintf(below, sizeof below, "traces/%.*s", IG_STR_ARGS(id));
    return ig_tracking_artifact_root(out, tx, experiment, ig_str_view(below), arena, err);
}

static enum ig_code put_assessments(struct trace_call *call, struct ig_db_tx *tx,
                                    struct ig_err *err)
{
    const struct ig_assessments told = call->trace->assessments;
    for (size_t i = 0; err->code == IG_OK && i < told.count; i++) {
        struct ig_assessment assessment = told.items[i], made;
        assessment.trace = call->id;
        ig_assessment_put(&made, tx, &assessment, call->arena, err);
    }
    return err->code;
}

static enum ig_code put_trace(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct trace_call *call = context;
    const struct ig_tracking_trace *trace = call->trace;
    struct ig_tracking_pair place = {.key = IG_STR(LOCATION_TAG)};
    const struct ig_tracking_pairs places = {&place, 1};
    if (ig_tracking_experiment_must_be_active(tx, trace->experiment, err) != IG_OK ||
        ig_tracking_trace_place_of(&place.value, tx, trace->experiment, call->id, call->arena,
                                   err) != IG_OK ||
        put_row(tx, call->id, trace, err) != IG_OK ||
        put_metadata(tx, call->id, trace->metadata, err) != IG_OK ||
        put_tags(tx, call->id, trace->tags, err) != IG_OK ||
        put_tags(tx, call->id, places, err) != IG_OK || put_assessments(call, tx, err) != IG_OK)
        return err->code;
    return read_trace(call, tx, err);
}

enum ig_code ig_tracking_trace_put(struct ig_tracking_trace *out, struct ig_db *db,
                                   const struct ig_tracking_trace *trace, struct ig_arena *arena,
                                   struct ig_err *err)
{
    unsigned char random[16];
    char id[IG_TRACKING_TRACE_ID + 1] = "tr-";
    struct trace_call call = {.trace = trace, .id = trace->id, .arena = arena};
    if (!call.id.len) {
        ig_random_bytes(random, sizeof random);
        ig_hex(id + 3, random, sizeof random);
        call.id = ig_str_view(id);
    }
    if (ig_tracking_trace_id_check(call.id, err) != IG_OK ||
        ig_tracking_check_length(trace->request_preview, PREVIEW_MAX, "request_preview", err) !=
            IG_OK ||
        ig_tracking_check_length(trace->response_preview, PREVIEW_MAX, "response_preview", err) !=
            IG_OK ||
        ig_tracking_check_length(trace->client_id, KEY_MAX, "client_request_id", err) != IG_OK ||
        check_pairs(trace->metadata, "trace_metadata", err) != IG_OK ||
        check_pairs(trace->tags, "tags", err) != IG_OK)
        return err->code;
    if (ig_db_write(db, put_trace, &call, err) == IG_OK) *out = call.found;
    return err->code;
}

static enum ig_code end_trace(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct trace_call *call = context;
    const struct ig_tracking_trace_end *end = call->end;
    if (ig_db_exec(tx,
                   "update traces set status = $2, duration_ms = case when start_ms > $3 then 0"
                   " else $3 - start_ms end where id = $1",
                   IG_DB_VALUES(IG_DB_T(end->id), IG_DB_I(end->status), IG_DB_I(end->end_ms)),
                   err) != IG_OK)
        return err->code;
    if (!ig_db_changes(tx)) return no_trace(end->id, err);
    if (put_metadata(tx, end->id, end->metadata, err) != IG_OK ||
        put_tags(tx, end->id, end->tags, err) != IG_OK)
        return err->code;
    return read_trace(call, tx, err);
}

enum ig_code ig_tracking_trace_end(struct ig_tracking_trace *out, struct ig_db *db,
                                   const struct ig_tracking_trace_end *end, struct ig_arena *arena,
                                   struct ig_err *err)
{
    struct trace_call call = {.end = end, .id = end->id, .arena = arena};
    if (check_pairs(end->metadata, "request_metadata", err) != IG_OK ||
        check_pairs(end->tags, "tags", err) != IG_OK)
        return err->code;
    if (ig_db_write(db, end_trace, &call, err) == IG_OK) *out = call.found;
    return err->code;
}

static enum ig_code must_be_there(struct ig_db_tx *tx, struct ig_str id, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select 1 from traces where id = $1", IG_DB_VALUES(IG_DB_T(id)),
                    err) != IG_OK)
        return err->code;
    if (!ig_db_next(rows, err) && err->code == IG_OK) no_trace(id, err);
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code tag_trace(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct trace_call *call = context;
    const struct ig_tracking_pairs tags = {&call->tag, 1};
    if (must_be_there(tx, call->id, err) != IG_OK) return err->code;
    return put_tags(tx, call->id, tags, err);
}

enum ig_code ig_tracking_trace_tag(struct ig_db *db, struct ig_str id, struct ig_tracking_pair tag,
                                   struct ig_err *err)
{
    struct trace_call call = {.id = id, .tag = tag};
    const struct ig_tracking_pairs tags = {&tag, 1};
    if (check_pairs(tags, "tags", err) != IG_OK) return err->code;
    return ig_db_write(db, tag_trace, &call, err);
}

static enum ig_code untag_trace(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct trace_call *call = context;
    if (must_be_there(tx, call->id, err) != IG_OK ||
        ig_db_exec(tx, "delete from trace_tags where trace = $1 and key = $2",
                   IG_DB_VALUES(IG_DB_T(call->id), IG_DB_T(call->tag.key)), err) != IG_OK)
        return err->code;
    if (ig_db_changes(tx)) return IG_OK;
    return ig_fail(err, IG_NOT_FOUND, "No trace tag with key '%.*s' for trace with ID '%.*s'",
                   IG_STR_ARGS(ig_tracking_cut(call->tag.key, 60)), IG_STR_ARGS(call->id));
}

enum ig_code ig_tracking_trace_untag(struct ig_db *db, struct ig_str id, struct ig_str key,
                                     struct ig_err *err)
{
    struct trace_call call = {.id = id, .tag = {.key = key}};
    return ig_db_write(db, untag_trace, &call, err);
}

struct link_call {
    const struct ig_str *ids;
    size_t count;
    struct ig_str run;
};

static enum ig_code link_traces(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct link_call *call = context;
    if (ig_tracking_run_must_be_active(tx, call->run, NULL, err) != IG_OK) return err->code;
    for (size_t i = 0; err->code == IG_OK && i < call->count; i++)
        if (ig_tracking_trace_id_check(call->ids[i], err) == IG_OK)
            ig_db_exec(tx,
                       "insert into trace_runs(trace, run) values($1, $2)"
                       " on conflict (trace, run) do nothing",
                       IG_DB_VALUES(IG_DB_T(call->ids[i]), IG_DB_T(call->run)), err);
    return err->code;
}

enum ig_code ig_tracking_traces_link(struct ig_db *db, const struct ig_str *ids, size_t count,
                                     struct ig_str run, struct ig_err *err)
{
    struct link_call call = {ids, count, run};
    if (count > IG_TRACKING_TRACES_LINKED_MAX)
        return ig_fail(err, IG_INVALID,
                       "Cannot link more than %d traces to a run in a single request. Provided "
                       "%zu traces.",
                       IG_TRACKING_TRACES_LINKED_MAX, count);
    return ig_db_write(db, link_traces, &call, err);
}

struct place_call {
    struct ig_str id, place;
    struct ig_arena *arena;
};

static enum ig_code find_place(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct place_call *call = context;
    struct ig_tracking_trace trace = {.experiment = 0};
    if (read_row(&trace, tx, call->id, call->arena, err) != IG_OK) return err->code;
    return ig_tracking_trace_place_of(&call->place, tx, trace.experiment, call->id, call->arena,
                                      err);
}

enum ig_code ig_tracking_trace_place(struct ig_str *out, struct ig_db *db, struct ig_str id,
                                     struct ig_arena *arena, struct ig_err *err)
{
    struct place_call call = {.id = id, .arena = arena};
    if (ig_db_read(db, find_place, &call, err) == IG_OK) *out = call.place;
    return err->code;
}

/* ---- deletion ---- */

struct deletion_call {
    const struct ig_tracking_trace_deletion *deletion;
    struct ig_arena *arena;
    struct ig_str *ids, *places;
    size_t count;
};

/* One that is asked for and there; its number is call->count. */
static enum ig_code choose(struct deletion_call *call, struct ig_db_rows *rows, struct ig_err *err)
{
    if (ig_db_next(rows, err)) call->ids[call->count++] = ig_db_text_dup(rows, 0, call->arena);
    return err->code;
}

static enum ig_code choose_all(struct deletion_call *call, struct ig_db_tx *tx, struct ig_err *err)
{
    const struct ig_tracking_trace_deletion *deletion = call->deletion;
    struct ig_db_rows *rows = NULL;
    for (size_t i = 0; deletion->ids && err->code == IG_OK && i < deletion->ids_count; i++) {
        if (ig_db_query(&rows, tx, "select id from traces where experiment = $1 and id = $2",
                        IG_DB_VALUES(IG_DB_I(deletion->experiment), IG_DB_T(deletion->ids[i])),
                        err) != IG_OK)
            return err->code;
        choose(call, rows, err);
        ig_db_finish(rows);
    }
    if (deletion->ids || err->code != IG_OK) return err->code;
    if (ig_db_query(
            &rows, tx,
            "select id from traces where experiment = $1 and start_ms <= $2 order by start_ms, id"
            " limit $3",
            IG_DB_VALUES(IG_DB_I(deletion->experiment), IG_DB_I(deletion->until_ms),
                         IG_DB_I((int64_t)deletion->max)),
            err) != IG_OK)
        return err->code;
    for (size_t before = SIZE_MAX; before != call->count && err->code == IG_OK;) {
        before = call->count;
        choose(call, rows, err);
    }
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code delete_traces(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    static const char *const statements[] = {
        "delete from trace_runs where trace = $1",     "delete from trace_tags where trace = $1",
        "delete from assessments where trace = $1",    "delete from spans where trace = $1",
        "delete from trace_metadata where trace = $1", "delete from traces where id = $1"};
    struct deletion_call *call = context;
    size_t kept = 0;
    call->count = 0;
    if (choose_all(call, tx, err) != IG_OK) return err->code;
    for (size_t i = 0; i < call->count; i++) {
        for (size_t j = 0; j < COUNT(statements); j++)
            if (ig_db_exec(tx, statements[j], IG_DB_VALUES(IG_DB_T(call->ids[i])), err) != IG_OK)
                return err->code;
        if (!ig_db_changes(tx)) continue; /* named twice */
        if (ig_tracking_trace_place_of(&call->places[kept++], tx, call->deletion->experiment,
                                       call->ids[i], call->arena, err) != IG_OK)
            return err->code;
    }
    call->count = kept;
    if (call->arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "traces to delete");
    return IG_OK;
}

enum ig_code ig_tracking_traces_delete(size_t *count, struct ig_db *db,
                                       const struct ig_principal *who,
                                       const struct ig_tracking_trace_deletion *deletion,
                                       struct ig_arena *arena, struct ig_err *err)
{
    size_t max = deletion->ids ? deletion->ids_count : deletion->max;
    struct deletion_call call = {.deletion = deletion, .arena = arena};
    IG_ASSERT(max <= IG_TRACKING_TRACES_DELETED_MAX);
    call.ids = ig_arena_array(arena, max, sizeof *call.ids);
    call.places = ig_arena_array(arena, max, sizeof *call.places);
    if (max && (!call.ids || !call.places)) return ig_fail(err, IG_NO_MEMORY, "traces to delete");
    if (ig_db_write(db, delete_traces, &call, err) != IG_OK) return err->code;
    for (size_t i = 0; err->code == IG_OK && i < call.count; i++) {
        struct ig_err elsewhere = IG_ERR_INIT; /* files of another store are not ours */
        struct ig_str directory;
        if (ig_artifacts_directory(&directory, call.places[i], "trace", &elsewhere) == IG_OK)
            ig_artifacts_delete(db, who, directory, err);
    }
    *count = call.count;
    return err->code;
}
