/* SPDX-License-Identifier: Apache-2.0 */
/* The audit chain. hash = SHA-256 over the previous record's hash and every field of this one, each
 * preceded by its length, so no two different records have the same input. The writer is single, so
 * max(seq) + 1 is the next number. Thread rule: as the database's. */
#include "services/audit/audit.h"

#include "base/clock.h"
#include "base/hash.h"

#include <stdio.h>
#include <string.h>

static void hash_text(struct ig_sha256 *hash, struct ig_str text)
{
    char length[32];
    int digits = snprintf(length, sizeof length, "%zu:", text.len);
    ig_sha256_update(hash, length, (size_t)digits);
    if (text.len) ig_sha256_update(hash, text.ptr, text.len);
}

static enum ig_code chain(char hex[IG_SHA256_HEX], struct ig_str previous,
                          const struct ig_audit_entry *entry, struct ig_err *err)
{
    unsigned char digest[IG_SHA256_BYTES];
    char numbers[64];
    struct ig_sha256 *hash = ig_sha256_new();
    if (!hash) return ig_fail(err, IG_NO_MEMORY, "audit record");
    snprintf(numbers, sizeof numbers, "%lld %lld", (long long)entry->seq, (long long)entry->at_ms);
    hash_text(hash, previous);
    hash_text(hash, ig_str_view(numbers));
    hash_text(hash, entry->principal_id);
    hash_text(hash, entry->principal_name);
    hash_text(hash, entry->action);
    hash_text(hash, entry->object);
    hash_text(hash, entry->detail);
    ig_sha256_final(hash, digest);
    ig_sha256_free(hash);
    ig_hex(hex, digest, sizeof digest);
    return IG_OK;
}

enum ig_code ig_audit_add(struct ig_db_tx *tx, const struct ig_principal *who, const char *action,
                          struct ig_str object, struct ig_str detail, struct ig_err *err)
{
    char previous[IG_SHA256_HEX] = "", hash[IG_SHA256_HEX];
    struct ig_db_rows *rows = NULL;
    struct ig_audit_entry entry = {
        .seq = 1,
        .at_ms = ig_clock_unix_ms(),
        .principal_id = ig_str_view(who->id),
        .principal_name = ig_str_view(who->name),
        .action = ig_str_view(action),
        .object = object,
        .detail = detail,
    };
    enum ig_code code = ig_db_query(
        &rows, tx, "select seq, hash from audit order by seq desc limit 1", NULL, 0, err);
    if (code != IG_OK) return code;
    if (ig_db_next(rows, err)) {
        struct ig_str last = ig_db_text(rows, 1);
        entry.seq = ig_db_i64(rows, 0) + 1;
        if (last.len == IG_SHA256_HEX - 1) memcpy(previous, last.ptr, last.len);
    }
    ig_db_finish(rows);
    code = err->code;
    if (code == IG_OK) code = chain(hash, ig_str_view(previous), &entry, err);
    if (code != IG_OK) return code;
    return ig_db_exec(tx,
                      "insert into audit(seq, at_ms, principal_id, principal_name, action, object,"
                      " detail, hash) values($1, $2, $3, $4, $5, $6, $7, $8)",
                      IG_DB_VALUES(IG_DB_I(entry.seq), IG_DB_I(entry.at_ms),
                                   IG_DB_T(entry.principal_id), IG_DB_T(entry.principal_name),
                                   IG_DB_T(entry.action), IG_DB_T(object), IG_DB_T(detail),
                                   IG_DB_C(hash)),
                      err);
}

struct record {
    const struct ig_principal *who;
    const char *action;
    struct ig_str object;
};

static enum ig_code write_record(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct record *record = context;
    return ig_audit_add(tx, record->who, record->action, record->object, IG_STR(""), err);
}

enum ig_code ig_audit_record(struct ig_db *db, const struct ig_principal *who, const char *action,
                             struct ig_str object, struct ig_err *err)
{
    struct record record = {who, action, object};
    return ig_db_write(db, write_record, &record, err);
}

struct listing {
    struct ig_arena *arena;
    int64_t before;
    size_t limit;
    struct ig_audit_list list;
};

static enum ig_code read_list(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct listing *listing = context;
    struct ig_arena *arena = listing->arena;
    struct ig_db_rows *rows = NULL;
    size_t at = 0;
    struct ig_audit_entry *items = ig_arena_array(arena, listing->limit, sizeof *items);
    if (!items) return ig_fail(err, IG_NO_MEMORY, "audit list");
    enum ig_code code = ig_db_query(
        &rows, tx,
        "select seq, at_ms, principal_id, principal_name, action, object, detail from audit"
        " where seq < $1 order by seq desc limit $2",
        IG_DB_VALUES(IG_DB_I(listing->before), IG_DB_I((int64_t)listing->limit)), err);
    while (code == IG_OK && at < listing->limit && ig_db_next(rows, err)) {
        items[at++] = (struct ig_audit_entry){
            .seq = ig_db_i64(rows, 0),
            .at_ms = ig_db_i64(rows, 1),
            .principal_id = ig_db_text_dup(rows, 2, arena),
            .principal_name = ig_db_text_dup(rows, 3, arena),
            .action = ig_db_text_dup(rows, 4, arena),
            .object = ig_db_text_dup(rows, 5, arena),
            .detail = ig_db_text_dup(rows, 6, arena),
        };
    }
    ig_db_finish(rows);
    if (arena->overflowed) ig_fail(err, IG_NO_MEMORY, "audit list");
    if (err->code == IG_OK) listing->list = (struct ig_audit_list){items, at};
    return err->code;
}

enum ig_code ig_audit_list(struct ig_audit_list *out, struct ig_db *db, struct ig_arena *arena,
                           int64_t before, size_t limit, struct ig_err *err)
{
    struct listing listing = {arena, before > 0 ? before : INT64_MAX, limit, {0}};
    if (listing.limit == 0 || listing.limit > 1000) listing.limit = 1000;
    enum ig_code code = ig_db_read(db, read_list, &listing, err);
    if (code == IG_OK) *out = listing.list;
    return code;
}

static enum ig_code check_row(char previous[IG_SHA256_HEX], int64_t seq, struct ig_db_rows *rows,
                              struct ig_err *err)
{
    char hash[IG_SHA256_HEX];
    struct ig_audit_entry entry = {
        .seq = ig_db_i64(rows, 0),
        .at_ms = ig_db_i64(rows, 1),
        .principal_id = ig_db_text(rows, 2),
        .principal_name = ig_db_text(rows, 3),
        .action = ig_db_text(rows, 4),
        .object = ig_db_text(rows, 5),
        .detail = ig_db_text(rows, 6),
    };
    enum ig_code code = chain(hash, ig_str_view(previous), &entry, err);
    if (code != IG_OK) return code;
    if (entry.seq != seq || !ig_str_is(ig_db_text(rows, 7), hash))
        return ig_fail(err, IG_CORRUPT, "audit record %lld does not follow from the one before",
                       (long long)seq);
    memcpy(previous, hash, sizeof hash);
    return IG_OK;
}

static enum ig_code verify(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    char previous[IG_SHA256_HEX] = "";
    struct ig_db_rows *rows = NULL;
    int64_t seq = 0;
    (void)context;
    enum ig_code code = ig_db_query(
        &rows, tx,
        "select seq, at_ms, principal_id, principal_name, action, object, detail, hash from audit"
        " order by seq",
        NULL, 0, err);
    while (code == IG_OK && ig_db_next(rows, err)) code = check_row(previous, ++seq, rows, err);
    ig_db_finish(rows);
    return err->code;
}

enum ig_code ig_audit_verify(struct ig_db *db, struct ig_err *err)
{
    return ig_db_read(db, verify, NULL, err);
}
