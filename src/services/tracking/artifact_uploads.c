/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of uploads in parts. Thread rule: none of its own; the database's. */
#include "services/tracking/artifact_uploads.h"

#include "base/clock.h"
#include "base/random.h"

#include <string.h>

static enum ig_code no_upload(struct ig_str id, struct ig_err *err)
{
    return ig_fail(err, IG_NOT_FOUND, "upload_id: no upload '%.*s' of this artifact is under way",
                   id.len > 64 ? 64 : (int)id.len, id.ptr);
}

struct call {
    struct ig_str id, path;
    int64_t number; /* of parts, or of one */
    const struct ig_artifact *object;
    struct ig_upload_parts named, found;
    struct ig_arena *arena;
};

/* The number of its parts. */
static enum ig_code find(int64_t *parts, struct ig_db_tx *tx, const struct call *call,
                         struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select parts, path from uploads where id = $1",
                    IG_DB_VALUES(IG_DB_T(call->id)), err) != IG_OK)
        return err->code;
    bool found =
        ig_db_next(rows, err) && (!call->path.ptr || ig_str_eq(ig_db_text(rows, 1), call->path));
    if (found) *parts = ig_db_i64(rows, 0);
    ig_db_finish(rows);
    if (!found && err->code == IG_OK) no_upload(call->id, err);
    return err->code;
}

static enum ig_code create(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct call *call = context;
    int64_t count = 0;
    if (ig_db_get_i64(&count, tx, "select count(*) from uploads", NULL, 0, err) != IG_OK)
        return err->code;
    if (count >= IG_UPLOADS_MAX)
        return ig_fail(err, IG_EXHAUSTED, "%lld uploads in parts are under way, at most %d may be",
                       (long long)count, IG_UPLOADS_MAX);
    return ig_db_exec(tx, "insert into uploads(id, path, parts, created_ms) values($1, $2, $3, $4)",
                      IG_DB_VALUES(IG_DB_T(call->id), IG_DB_T(call->path), IG_DB_I(call->number),
                                   IG_DB_I(ig_clock_unix_ms())),
                      err);
}

enum ig_code ig_upload_create(char id[IG_UPLOAD_ID_SIZE], struct ig_db *db, struct ig_str path,
                              int64_t parts, struct ig_err *err)
{
    unsigned char bytes[(IG_UPLOAD_ID_SIZE - 1) / 2];
    ig_random_bytes(bytes, sizeof bytes);
    ig_hex(id, bytes, sizeof bytes);
    struct call call = {.id = ig_str_view(id), .path = path, .number = parts};
    if (ig_artifacts_check_path(path, err) != IG_OK) return err->code;
    if (parts < 1 || parts > IG_UPLOAD_PARTS_MAX)
        return ig_fail(err, IG_INVALID, "num_parts: %lld, expected 1 to %d", (long long)parts,
                       IG_UPLOAD_PARTS_MAX);
    return ig_db_write(db, create, &call, err);
}

static enum ig_code expect(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct call *call = context;
    int64_t parts = 0;
    if (find(&parts, tx, call, err) != IG_OK) return err->code;
    if (call->number >= 1 && call->number <= parts) return IG_OK;
    return ig_fail(err, IG_INVALID, "part_number: %lld, the upload has parts 1 to %lld",
                   (long long)call->number, (long long)parts);
}

enum ig_code ig_upload_expects(struct ig_db *db, struct ig_str id, int64_t part, struct ig_err *err)
{
    struct call call = {.id = id, .number = part};
    return ig_db_read(db, expect, &call, err);
}

static enum ig_code put(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct call *call = context;
    if (expect(tx, context, err) != IG_OK) return err->code;
    return ig_db_exec(tx,
                      "insert into upload_parts(upload, number, digest, size_bytes)"
                      " values($1, $2, $3, $4) on conflict (upload, number) do update set"
                      " digest = excluded.digest, size_bytes = excluded.size_bytes",
                      IG_DB_VALUES(IG_DB_T(call->id), IG_DB_I(call->number),
                                   IG_DB_C(call->object->digest),
                                   IG_DB_I(call->object->size_bytes)),
                      err);
}

enum ig_code ig_upload_put(struct ig_db *db, struct ig_str id, int64_t part,
                           const struct ig_artifact *object, struct ig_err *err)
{
    struct call call = {.id = id, .number = part, .object = object};
    return ig_db_write(db, put, &call, err);
}

/* An entity tag's text. */
static struct ig_str unquote(struct ig_str tag)
{
    bool quoted = tag.len >= 2 && tag.ptr[0] == '"' && tag.ptr[tag.len - 1] == '"';
    return quoted ? (struct ig_str){tag.ptr + 1, tag.len - 2} : tag;
}

static enum ig_code read_parts(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct call *call = context;
    struct ig_db_rows *rows = NULL;
    int64_t parts;
    if (find(&parts, tx, call, err) != IG_OK) return err->code;
    struct ig_upload_part *items = ig_arena_array(call->arena, call->named.count, sizeof *items);
    if (!items) return ig_fail(err, IG_NO_MEMORY, "parts of an upload");
    if (ig_db_query(&rows, tx,
                    "select number, digest from upload_parts where upload = $1 order by number",
                    IG_DB_VALUES(IG_DB_T(call->id)), err) != IG_OK)
        return err->code;
    size_t count = 0;
    while (count < call->named.count && ig_db_next(rows, err)) {
        const struct ig_upload_part *named = &call->named.items[count];
        if (ig_db_i64(rows, 0) != named->number ||
            !ig_str_eq(ig_db_text(rows, 1), unquote(named->digest)))
            continue;
        items[count++] =
            (struct ig_upload_part){named->number, ig_db_text_dup(rows, 1, call->arena)};
    }
    ig_db_finish(rows);
    if (err->code == IG_OK && call->arena->overflowed)
        ig_fail(err, IG_NO_MEMORY, "parts of an upload");
    if (err->code == IG_OK && count < call->named.count)
        ig_fail(err, IG_INVALID,
                "parts[%zu]: part %lld did not come, is not the one with this etag, or does not "
                "follow the part before it",
                count, (long long)call->named.items[count].number);
    call->found = (struct ig_upload_parts){items, count};
    return err->code;
}

enum ig_code ig_upload_parts(struct ig_upload_parts *out, struct ig_db *db,
                             const struct ig_upload *upload, struct ig_upload_parts named,
                             struct ig_arena *arena, struct ig_err *err)
{
    struct call call = {.id = upload->id, .path = upload->path, .named = named, .arena = arena};
    if (!named.count) return ig_fail(err, IG_INVALID, "parts: none, expected at least one");
    enum ig_code code = ig_db_read(db, read_parts, &call, err);
    if (code == IG_OK) *out = call.found;
    return code;
}

static enum ig_code end(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct call *call = context;
    int64_t parts;
    if (find(&parts, tx, call, err) != IG_OK ||
        ig_db_exec(tx, "delete from upload_parts where upload = $1",
                   IG_DB_VALUES(IG_DB_T(call->id)), err) != IG_OK)
        return err->code;
    return ig_db_exec(tx, "delete from uploads where id = $1", IG_DB_VALUES(IG_DB_T(call->id)),
                      err);
}

enum ig_code ig_upload_end(struct ig_db *db, const struct ig_upload *upload, struct ig_err *err)
{
    struct call call = {.id = upload->id, .path = upload->path};
    return ig_db_write(db, end, &call, err);
}

static enum ig_code drop(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const int64_t *before_ms = context;
    if (ig_db_exec(tx,
                   "delete from upload_parts where upload in"
                   " (select id from uploads where created_ms < $1)",
                   IG_DB_VALUES(IG_DB_I(*before_ms)), err) != IG_OK)
        return err->code;
    return ig_db_exec(tx, "delete from uploads where created_ms < $1",
                      IG_DB_VALUES(IG_DB_I(*before_ms)), err);
}

enum ig_code ig_uploads_drop(struct ig_db *db, int64_t before_ms, struct ig_err *err)
{
    return ig_db_write(db, drop, &before_ms, err);
}
