/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of artifacts and their rows.
 *
 * 1. Every path passes ig_artifacts_check_path before it reaches a statement.
 * 2. No stored path is a directory of another, so a name is either a file or a directory.
 * 3. What lies in directory D are the paths from "D/" up to, not with, "D0": '0' follows '/' in
 *    bytes, and the database orders paths by bytes.
 *
 * Thread rule: none of its own; the database's. */
#include "services/tracking/artifacts.h"

#include "base/clock.h"
#include "base/vec.h"
#include "services/tracking/tracking_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BOUND_SIZE = IG_ARTIFACT_PATH_MAX + 2 };

/* ---- paths ---- */

static bool is_control(unsigned char byte)
{
    return byte < 0x20 || byte == 0x7F;
}

static bool is_forbidden(char c)
{
    return is_control((unsigned char)c) || c == '\\' || c == '#';
}

/* "%2e" and the like, which a reader that decodes twice would take for what it stands for. */
static bool is_hidden(struct ig_str text)
{
    if (text.len < 3 || text.ptr[0] != '%') return false;
    int high = ig_hex_digit(text.ptr[1]), low = ig_hex_digit(text.ptr[2]);
    if (high < 0 || low < 0) return false;
    char c = (char)(high * 16 + low);
    return is_forbidden(c) || c == '.' || c == '/' || c == '%';
}

static enum ig_code check_segment(struct ig_str segment, struct ig_err *err)
{
    if (!segment.len) return ig_fail(err, IG_INVALID, "path: an empty segment");
    if (segment.len > IG_ARTIFACT_NAME_MAX)
        return ig_fail(err, IG_INVALID, "path: a segment of %zu bytes, at most %d are allowed",
                       segment.len, IG_ARTIFACT_NAME_MAX);
    if (ig_str_is(segment, ".") || ig_str_is(segment, ".."))
        return ig_fail(err, IG_INVALID, "path: the segment '%.*s' is not allowed",
                       IG_STR_ARGS(segment));
    for (size_t i = 0; i < segment.len; i++) {
        struct ig_str rest = {segment.ptr + i, segment.len - i};
        if (is_forbidden(segment.ptr[i]))
            return ig_fail(err, IG_INVALID,
                           "path: byte 0x%02X; control characters, '\\' and '#' are not allowed",
                           (unsigned)(unsigned char)segment.ptr[i]);
        if (is_hidden(rest))
            return ig_fail(err, IG_INVALID, "path: '%.3s' is left after decoding", rest.ptr);
    }
    return IG_OK;
}

static bool has_drive(struct ig_str path)
{
    if (path.len < 2 || path.ptr[1] != ':') return false;
    char letter = (char)(path.ptr[0] | 0x20);
    return letter >= 'a' && letter <= 'z';
}

enum ig_code ig_artifacts_check_path(struct ig_str path, struct ig_err *err)
{
    struct ig_str rest = path;
    if (!path.len || path.len > IG_ARTIFACT_PATH_MAX)
        return ig_fail(err, IG_INVALID, "path: %zu bytes, expected 1 to %d", path.len,
                       IG_ARTIFACT_PATH_MAX);
    if (!ig_str_utf8_valid(path)) return ig_fail(err, IG_INVALID, "path: not UTF-8");
    if (path.ptr[0] == '/' || has_drive(path))
        return ig_fail(err, IG_INVALID, "path: '%.*s' is absolute, expected a relative one",
                       IG_STR_ARGS(path));
    for (size_t depth = 1; rest.ptr; depth++) {
        if (depth > IG_ARTIFACT_DEPTH_MAX)
            return ig_fail(err, IG_INVALID, "path: more than %d segments", IG_ARTIFACT_DEPTH_MAX);
        if (check_segment(ig_str_cut(&rest, '/'), err) != IG_OK) return err->code;
    }
    return IG_OK;
}

/* Of a directory: its paths are those from `low` up to, not with, `high`. */
struct bounds {
    char text[2][BOUND_SIZE];
    struct ig_str low, high;
};

static void bounds_of(struct bounds *bounds, struct ig_str directory)
{
    static const char ends[2] = {'/', '/' + 1};
    static const char last[4] = {'\xF4', '\x8F', '\xBF', '\xBF'}; /* U+10FFFF */
    if (!directory.len) { /* more of the last character than a first segment has room for */
        size_t length = 0;
        for (; length <= IG_ARTIFACT_NAME_MAX; length += sizeof last)
            memcpy(bounds->text[1] + length, last, sizeof last);
        bounds->low = IG_STR("");
        bounds->high = (struct ig_str){bounds->text[1], length};
        return;
    }
    for (int i = 0; i < 2; i++) {
        memcpy(bounds->text[i], directory.ptr, directory.len);
        bounds->text[i][directory.len] = ends[i];
    }
    bounds->low = (struct ig_str){bounds->text[0], directory.len + 1};
    bounds->high = (struct ig_str){bounds->text[1], directory.len + 1};
}

/* ---- changes ---- */

struct change {
    const struct ig_principal *who;
    struct ig_str path;
    const struct ig_artifact *artifact;
};

static enum ig_code expect_none(struct ig_db_tx *tx, const char *what, const char *sql,
                                const struct ig_db_value *values, size_t values_count,
                                struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    ig_db_query(&rows, tx, sql, values, values_count, err);
    if (err->code == IG_OK && ig_db_next(rows, err))
        ig_fail(err, IG_CONFLICT, "path: %s: there is '%.*s'", what,
                IG_STR_ARGS(ig_db_text(rows, 0)));
    ig_db_finish(rows);
    return err->code;
}

/* Keeps rule 2. */
static enum ig_code check_place(struct ig_db_tx *tx, struct ig_str path, struct ig_err *err)
{
    struct bounds bounds;
    bounds_of(&bounds, path);
    expect_none(tx, "is a directory",
                "select path from artifacts where path >= $1 and path < $2 limit 1",
                IG_DB_VALUES(IG_DB_T(bounds.low), IG_DB_T(bounds.high)), err);
    for (size_t i = 0; i < path.len && err->code == IG_OK; i++) {
        struct ig_str above = {path.ptr, i};
        if (path.ptr[i] == '/')
            expect_none(tx, "lies in a file", "select path from artifacts where path = $1",
                        IG_DB_VALUES(IG_DB_T(above)), err);
    }
    return err->code;
}

static enum ig_code put_row(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct change *change = context;
    const struct ig_artifact *artifact = change->artifact;
    char detail[IG_SHA256_HEX + 16];
    if (check_place(tx, change->path, err) != IG_OK) return err->code;
    if (ig_db_exec(tx,
                   "insert into artifacts(path, digest, size_bytes, created_ms)"
                   " values($1, $2, $3, $4) on conflict (path) do update set"
                   " digest = excluded.digest, size_bytes = excluded.size_bytes,"
                   " created_ms = excluded.created_ms",
                   IG_DB_VALUES(IG_DB_T(change->path), IG_DB_C(artifact->digest),
                                IG_DB_I(artifact->size_bytes), IG_DB_I(ig_clock_unix_ms())),
                   err) != IG_OK)
        return err->code;
    snprintf(detail, sizeof detail, "{\"digest\":\"%s\"}", artifact->digest);
    return ig_audit_add(tx, change->who, "artifact.put", change->path, ig_str_view(detail), err);
}

enum ig_code ig_artifacts_put(struct ig_db *db, const struct ig_principal *who, struct ig_str path,
                              const struct ig_artifact *artifact, struct ig_err *err)
{
    struct change change = {who, path, artifact};
    if (ig_artifacts_check_path(path, err) != IG_OK) return err->code;
    return ig_db_write(db, put_row, &change, err);
}

static enum ig_code delete_rows(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct change *change = context;
    struct bounds bounds;
    char detail[64];
    bounds_of(&bounds, change->path);
    if (ig_db_exec(tx, "delete from artifacts where path = $1 or (path >= $2 and path < $3)",
                   IG_DB_VALUES(IG_DB_T(change->path), IG_DB_T(bounds.low), IG_DB_T(bounds.high)),
                   err) != IG_OK)
        return err->code;
    if (!ig_db_changes(tx)) return IG_OK;
    snprintf(detail, sizeof detail, "{\"files\":%lld}", (long long)ig_db_changes(tx));
    return ig_audit_add(tx, change->who, "artifact.delete", change->path, ig_str_view(detail), err);
}

enum ig_code ig_artifacts_delete(struct ig_db *db, const struct ig_principal *who,
                                 struct ig_str path, struct ig_err *err)
{
    struct change change = {who, path, NULL};
    if (ig_artifacts_check_path(path, err) != IG_OK) return err->code;
    return ig_db_write(db, delete_rows, &change, err);
}

enum ig_code ig_artifacts_drop(int64_t *dropped, struct ig_db_tx *tx, struct ig_str directory,
                               struct ig_err *err)
{
    struct bounds bounds;
    bounds_of(&bounds, directory);
    if (ig_db_exec(tx,
                   "delete from artifacts where path in (select path from artifacts"
                   " where path >= $1 and path < $2 limit 1000)",
                   IG_DB_VALUES(IG_DB_T(bounds.low), IG_DB_T(bounds.high)), err) == IG_OK)
        *dropped = ig_db_changes(tx);
    return err->code;
}

/* ---- reading ---- */

enum ig_code ig_artifacts_count(int64_t *sum, struct ig_db_tx *tx, struct ig_str directory,
                                struct ig_err *err)
{
    struct bounds bounds;
    int64_t count = 0;
    bounds_of(&bounds, directory);
    ig_db_get_i64(&count, tx, "select count(*) from artifacts where path >= $1 and path < $2",
                  IG_DB_VALUES(IG_DB_T(bounds.low), IG_DB_T(bounds.high)), err);
    *sum += count;
    return err->code;
}

struct finding {
    struct ig_str path;
    struct ig_artifact artifact;
};

static enum ig_code read_row(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct finding *finding = context;
    struct ig_db_rows *rows = NULL;
    ig_db_query(&rows, tx, "select digest, size_bytes, created_ms from artifacts where path = $1",
                IG_DB_VALUES(IG_DB_T(finding->path)), err);
    if (err->code == IG_OK && ig_db_next(rows, err)) {
        snprintf(finding->artifact.digest, sizeof finding->artifact.digest, "%.*s",
                 IG_STR_ARGS(ig_db_text(rows, 0)));
        finding->artifact.size_bytes = ig_db_i64(rows, 1);
        finding->artifact.created_ms = ig_db_i64(rows, 2);
    } else {
        ig_fail(err, IG_NOT_FOUND, "there is no artifact '%.*s'", IG_STR_ARGS(finding->path));
    }
    ig_db_finish(rows);
    return err->code;
}

enum ig_code ig_artifacts_get(struct ig_artifact *out, struct ig_db *db, struct ig_str path,
                              struct ig_err *err)
{
    struct finding finding = {.path = path};
    if (ig_artifacts_check_path(path, err) != IG_OK) return err->code;
    if (ig_db_read(db, read_row, &finding, err) != IG_OK) return err->code;
    *out = finding.artifact;
    return IG_OK;
}

struct run_call {
    struct ig_str run, uri;
    struct ig_arena *arena;
};

static enum ig_code read_run(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct run_call *call = context;
    struct ig_db_rows *rows = NULL;
    ig_db_query(&rows, tx, "select artifact_root from runs where id = $1",
                IG_DB_VALUES(IG_DB_T(call->run)), err);
    if (err->code == IG_OK && ig_db_next(rows, err)) {
        call->uri = ig_db_text_dup(rows, 0, call->arena);
        if (!call->uri.ptr) ig_fail(err, IG_NO_MEMORY, "artifacts of a run");
    } else {
        ig_tracking_no_run(call->run, err);
    }
    ig_db_finish(rows);
    return err->code;
}

enum ig_code ig_artifacts_directory(struct ig_str *out, struct ig_str uri, const char *field,
                                    struct ig_err *err)
{
    static const struct ig_str scheme = {"mlflow-artifacts:/", 18};
    if (!ig_str_starts(uri, scheme))
        return ig_fail(err, IG_INVALID, "%s: its artifacts are at '%.*s', not here", field,
                       IG_STR_ARGS(uri));
    struct ig_str rest = {uri.ptr + scheme.len, uri.len - scheme.len};
    struct ig_str path = ig_str_cut(&rest, '?');
    while (path.len && path.ptr[path.len - 1] == '/') path.len--;
    if (ig_artifacts_check_path(path, err) == IG_OK) *out = path;
    return err->code;
}

enum ig_code ig_artifacts_of_run(struct ig_str *uri, struct ig_str *directory, struct ig_db *db,
                                 struct ig_str run, struct ig_arena *arena, struct ig_err *err)
{
    struct run_call call = {.run = run, .arena = arena};
    if (ig_db_read(db, read_run, &call, err) != IG_OK) return err->code;
    if (ig_artifacts_directory(directory, call.uri, "run_id", err) == IG_OK) *uri = call.uri;
    return err->code;
}

struct listing {
    struct bounds bounds; /* of the directory */
    struct bounds below;  /* of the subdirectory met last */
    struct ig_str from;   /* where the scan goes on */
    struct ig_arena *arena;
    struct {
        struct ig_artifact_entry *items;
        size_t count, cap;
    } entries;
};

static enum ig_code add_entry(struct listing *listing, struct ig_artifact_entry entry,
                              struct ig_err *err)
{
    if (listing->entries.count == IG_ARTIFACT_LIST_MAX)
        return ig_fail(err, IG_TOO_LARGE, "path: a directory of more than %d entries",
                       IG_ARTIFACT_LIST_MAX);
    entry.name = ig_arena_dup(listing->arena, entry.name);
    if (!entry.name.ptr || !IG_VEC_PUSH(&listing->entries, entry, IG_ARTIFACT_LIST_MAX))
        return ig_fail(err, IG_NO_MEMORY, "list of artifacts");
    return IG_OK;
}

/* The entry of the current row. True for a subdirectory: the scan then goes on behind it. */
static bool take_row(struct listing *listing, struct ig_db_rows *rows, struct ig_err *err)
{
    struct ig_str path = ig_db_text(rows, 0), low = listing->bounds.low;
    struct ig_str name = {path.ptr + low.len, path.len - low.len};
    const char *slash = memchr(name.ptr, '/', name.len);
    struct ig_artifact_entry entry = {name, slash != NULL, ig_db_i64(rows, 1)};
    if (slash) {
        entry.name.len = (size_t)(slash - name.ptr);
        entry.size_bytes = 0;
        bounds_of(&listing->below, (struct ig_str){path.ptr, low.len + entry.name.len});
        listing->from = listing->below.high;
    }
    return add_entry(listing, entry, err) == IG_OK && slash;
}

/* One scan for the files up to a subdirectory, the next from behind it: what a subdirectory holds
 * is not read. */
static enum ig_code scan(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct listing *listing = context;
    bool again = true;
    while (again && err->code == IG_OK) {
        struct ig_db_rows *rows = NULL;
        again = false;
        ig_db_query(&rows, tx,
                    "select path, size_bytes from artifacts where path >= $1 and path < $2"
                    " order by path",
                    IG_DB_VALUES(IG_DB_T(listing->from), IG_DB_T(listing->bounds.high)), err);
        while (!again && err->code == IG_OK && ig_db_next(rows, err))
            again = take_row(listing, rows, err);
        ig_db_finish(rows);
    }
    return err->code;
}

static int compare_entries(const void *a, const void *b)
{
    struct ig_str x = ((const struct ig_artifact_entry *)a)->name;
    struct ig_str y = ((const struct ig_artifact_entry *)b)->name;
    int order = memcmp(x.ptr, y.ptr, x.len < y.len ? x.len : y.len);
    return order ? order : (x.len > y.len) - (x.len < y.len);
}

enum ig_code ig_artifacts_list(struct ig_artifact_list *out, struct ig_db *db,
                               struct ig_str directory, struct ig_arena *arena, struct ig_err *err)
{
    struct listing listing = {.arena = arena};
    struct ig_artifact_entry *items;
    if (directory.len && ig_artifacts_check_path(directory, err) != IG_OK) return err->code;
    bounds_of(&listing.bounds, directory);
    listing.from = listing.bounds.low;
    if (ig_db_read(db, scan, &listing, err) != IG_OK) goto out;
    items = ig_arena_array(arena, listing.entries.count + 1, sizeof *items);
    if (!items) {
        ig_fail(err, IG_NO_MEMORY, "list of artifacts");
        goto out;
    }
    size_t count = listing.entries.count;
    if (count) {
        memcpy(items, listing.entries.items, count * sizeof *items);
        qsort(items, count, sizeof *items, compare_entries);
    }
    *out = (struct ig_artifact_list){items, count};
out:
    IG_VEC_FREE(&listing.entries);
    return err->code;
}
