/* SPDX-License-Identifier: Apache-2.0 */
/* The audit chain. Thread rule: as the database's. */
#include "services/audit/audit.h"

#include "base/clock.h"
#include "services/audit/chain.h"

/* Goes on with the chain by `entry`. */
static enum ig_code add_link(struct ig_chain *chain, const struct ig_audit_entry *entry,
                             struct ig_err *err)
{
    const struct ig_str fields[] = {entry->principal_id, entry->principal_name, entry->action,
                                    entry->object, entry->detail};
    const struct ig_chain_row row = {entry->at_ms, fields, sizeof fields / sizeof fields[0]};
    return ig_chain_add(chain, &row, err);
}

enum ig_code ig_audit_add(struct ig_db_tx *tx, const struct ig_principal *who, const char *action,
                          struct ig_str object, struct ig_str detail, struct ig_err *err)
{
    struct ig_chain chain;
    const struct ig_audit_entry entry = {
        .at_ms = ig_clock_unix_ms(),
        .principal_id = ig_str_view(who->id),
        .principal_name = ig_str_view(who->name),
        .action = ig_str_view(action),
        .object = object,
        .detail = detail,
    };
    if (ig_chain_last(&chain, tx, "select seq, hash from audit order by seq desc limit 1", err) !=
            IG_OK ||
        add_link(&chain, &entry, err) != IG_OK)
        return err->code;
    return ig_db_exec(tx,
                      "insert into audit(seq, at_ms, principal_id, principal_name, action, object,"
                      " detail, hash) values($1, $2, $3, $4, $5, $6, $7, $8)",
                      IG_DB_VALUES(IG_DB_I(chain.seq), IG_DB_I(entry.at_ms),
                                   IG_DB_T(entry.principal_id), IG_DB_T(entry.principal_name),
                                   IG_DB_T(entry.action), IG_DB_T(object), IG_DB_T(detail),
                                   IG_DB_C(chain.hash)),
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

static enum ig_code check_row(struct ig_chain *chain, struct ig_db_rows *rows, struct ig_err *err)
{
    const struct ig_audit_entry entry = {
        .seq = ig_db_i64(rows, 0),
        .at_ms = ig_db_i64(rows, 1),
        .principal_id = ig_db_text(rows, 2),
        .principal_name = ig_db_text(rows, 3),
        .action = ig_db_text(rows, 4),
        .object = ig_db_text(rows, 5),
        .detail = ig_db_text(rows, 6),
    };
    if (add_link(chain, &entry, err) != IG_OK) return err->code;
    if (entry.seq != chain->seq || !ig_str_is(ig_db_text(rows, 7), chain->hash))
        return ig_fail(err, IG_CORRUPT, "audit record %lld does not follow from the one before",
                       (long long)chain->seq);
    return IG_OK;
}

static enum ig_code verify(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct ig_chain chain = {0};
    struct ig_db_rows *rows = NULL;
    (void)context;
    enum ig_code code = ig_db_query(
        &rows, tx,
        "select seq, at_ms, principal_id, principal_name, action, object, detail, hash from audit"
        " order by seq",
        NULL, 0, err);
    while (code == IG_OK && ig_db_next(rows, err)) code = check_row(&chain, rows, err);
    ig_db_finish(rows);
    return err->code;
}

enum ig_code ig_audit_verify(struct ig_db *db, struct ig_err *err)
{
    return ig_db_read(db, verify, NULL, err);
}
