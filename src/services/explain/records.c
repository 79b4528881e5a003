/* SPDX-License-Identifier: Apache-2.0 */
/* Concurrent records share a commit.
 *
 * Thread rule: change_lock orders changes of `names`; `lock` guards it, held for a look-up only. */
#include "services/explain/records.h"

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/random.h"
#include "services/audit/chain.h"
#include "services/registry/registry.h"

#include <pthread.h>
#include <stdatomic.h>

enum { NAMES_MAX = 10000, LIST_MAX = 1000 };

struct ig_records {
    struct ig_db *db;
    pthread_mutex_t change_lock;
    pthread_rwlock_t lock;
    struct ig_map names;  /* deployments that are recorded; the values are not used */
    _Atomic size_t count; /* of names: without any, a look-up writes nothing */
};

/* ---- which deployments ---- */

enum ig_records_wanted ig_records_wanted(struct ig_records *records, struct ig_str deployment,
                                         bool wait)
{
    if (atomic_load_explicit(&records->count, memory_order_acquire) == 0) return IG_RECORDS_NO;
    if (wait)
        pthread_rwlock_rdlock(&records->lock);
    else if (pthread_rwlock_tryrdlock(&records->lock) != 0)
        return IG_RECORDS_BUSY;
    bool found = ig_map_get(&records->names, deployment) != NULL;
    pthread_rwlock_unlock(&records->lock);
    return found ? IG_RECORDS_YES : IG_RECORDS_NO;
}

static enum ig_code put_name(struct ig_records *records, struct ig_str name, bool on,
                             struct ig_err *err)
{
    bool kept = true;
    pthread_rwlock_wrlock(&records->lock);
    if (on && !ig_map_get(&records->names, name))
        kept = ig_map_put(&records->names, name, records);
    else if (!on)
        ig_map_remove(&records->names, name);
    atomic_store_explicit(&records->count, records->names.count, memory_order_release);
    pthread_rwlock_unlock(&records->lock);
    if (kept) return IG_OK;
    return ig_fail(err, IG_EXHAUSTED, "more than %d deployments are recorded", NAMES_MAX);
}

struct change {
    const struct ig_principal *who;
    struct ig_str deployment;
    bool on;
};

static enum ig_code write_change(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct change *change = context;
    const char *sql = change->on ? "insert into recorded(deployment, since_ms) values($1, $2)"
                                   " on conflict (deployment) do nothing"
                                 : "delete from recorded where deployment = $1 and $2 > 0";
    if (ig_db_exec(tx, sql, IG_DB_VALUES(IG_DB_T(change->deployment), IG_DB_I(ig_clock_unix_ms())),
                   err) != IG_OK)
        return err->code;
    return ig_audit_add(tx, change->who, change->on ? "records.on" : "records.off",
                        change->deployment, IG_STR(""), err);
}

enum ig_code ig_records_set(struct ig_records *records, const struct ig_principal *who,
                            struct ig_str deployment, bool on, struct ig_err *err)
{
    struct change change = {who, deployment, on};
    if (ig_name_check(deployment, "deployment", err) != IG_OK) return err->code;
    pthread_mutex_lock(&records->change_lock);
    if (ig_db_write(records->db, write_change, &change, err) == IG_OK)
        put_name(records, deployment, on, err);
    pthread_mutex_unlock(&records->change_lock);
    return err->code;
}

/* ---- the chain ---- */

/* Goes on with the chain by `record`. */
static enum ig_code add_link(struct ig_chain *chain, const struct ig_record *record,
                             struct ig_err *err)
{
    const struct ig_str fields[] = {record->id, record->deployment, record->content};
    const struct ig_chain_row row = {record->at_ms, fields, sizeof fields / sizeof fields[0]};
    return ig_chain_add(chain, &row, err);
}

static enum ig_code write_record(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct ig_record *record = context;
    struct ig_chain chain;
    if (ig_chain_last(&chain, tx, "select seq, hash from records order by seq desc limit 1", err) !=
            IG_OK ||
        add_link(&chain, record, err) != IG_OK)
        return err->code;
    return ig_db_exec(tx,
                      "insert into records(seq, id, at_ms, deployment, content, hash)"
                      " values($1, $2, $3, $4, $5, $6)",
                      IG_DB_VALUES(IG_DB_I(chain.seq), IG_DB_T(record->id), IG_DB_I(record->at_ms),
                                   IG_DB_T(record->deployment), IG_DB_T(record->content),
                                   IG_DB_C(chain.hash)),
                      err);
}

enum ig_code ig_records_add(char id[IG_ID_SIZE], struct ig_records *records,
                            struct ig_str deployment, struct ig_str content, struct ig_err *err)
{
    ig_id_new(id);
    struct ig_record record = {.at_ms = ig_clock_unix_ms(),
                               .id = ig_str_view(id),
                               .deployment = deployment,
                               .content = content};
    return ig_db_write(records->db, write_record, &record, err);
}

static enum ig_code check_row(struct ig_chain *chain, struct ig_db_rows *rows, struct ig_err *err)
{
    const struct ig_record record = {
        .seq = ig_db_i64(rows, 0),
        .id = ig_db_text(rows, 1),
        .at_ms = ig_db_i64(rows, 2),
        .deployment = ig_db_text(rows, 3),
        .content = ig_db_text(rows, 4),
    };
    if (add_link(chain, &record, err) != IG_OK) return err->code;
    if (record.seq != chain->seq || !ig_str_is(ig_db_text(rows, 5), chain->hash))
        return ig_fail(err, IG_CORRUPT, "record %lld does not follow from the one before",
                       (long long)chain->seq);
    return IG_OK;
}

static enum ig_code verify(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    int64_t *count = context;
    struct ig_chain chain = {0};
    struct ig_db_rows *rows = NULL;
    *count = 0;
    enum ig_code code = ig_db_query(
        &rows, tx, "select seq, id, at_ms, deployment, content, hash from records order by seq",
        NULL, 0, err);
    while (code == IG_OK && ig_db_next(rows, err)) {
        code = check_row(&chain, rows, err);
        if (code == IG_OK) *count = chain.seq;
    }
    ig_db_finish(rows);
    return err->code;
}

enum ig_code ig_records_verify(int64_t *count, struct ig_records *records, struct ig_err *err)
{
    return ig_db_read(records->db, verify, count, err);
}

/* ---- reading ---- */

struct listing {
    struct ig_str id; /* one, with its content; empty: a list */
    int64_t before;
    size_t limit;
    struct ig_arena *arena;
    struct ig_record_list list;
};

static enum ig_code read_list(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct listing *listing = context;
    struct ig_arena *arena = listing->arena;
    struct ig_db_rows *rows = NULL;
    size_t count = 0;
    struct ig_record *items = ig_arena_array(arena, listing->limit, sizeof *items);
    if (!items) return ig_fail(err, IG_NO_MEMORY, "list of records");
    enum ig_code code = ig_db_query(
        &rows, tx,
        "select seq, id, at_ms, deployment, case when $1 = '' then '' else content end, hash"
        " from records where ($1 = '' or id = $1) and seq < $2 order by seq desc limit $3",
        IG_DB_VALUES(IG_DB_T(listing->id), IG_DB_I(listing->before),
                     IG_DB_I((int64_t)listing->limit)),
        err);
    while (code == IG_OK && count < listing->limit && ig_db_next(rows, err))
        items[count++] = (struct ig_record){
            .seq = ig_db_i64(rows, 0),
            .id = ig_db_text_dup(rows, 1, arena),
            .at_ms = ig_db_i64(rows, 2),
            .deployment = ig_db_text_dup(rows, 3, arena),
            .content = ig_db_text_dup(rows, 4, arena),
            .hash = ig_db_text_dup(rows, 5, arena),
        };
    ig_db_finish(rows);
    if (arena->overflowed) ig_fail(err, IG_NO_MEMORY, "list of records");
    if (err->code == IG_OK) listing->list = (struct ig_record_list){items, count};
    return err->code;
}

enum ig_code ig_records_get(struct ig_record *out, struct ig_records *records, struct ig_str id,
                            struct ig_arena *arena, struct ig_err *err)
{
    struct listing listing = {.id = id, .before = INT64_MAX, .limit = 1, .arena = arena};
    if (id.len != IG_ID_SIZE - 1)
        return ig_fail(err, IG_NOT_FOUND, "record '%.*s' does not exist",
                       (int)(id.len > 64 ? 64 : id.len), id.ptr);
    if (ig_db_read(records->db, read_list, &listing, err) != IG_OK) return err->code;
    if (listing.list.count == 0)
        return ig_fail(err, IG_NOT_FOUND, "record '%.*s' does not exist", IG_STR_ARGS(id));
    *out = listing.list.items[0];
    return IG_OK;
}

enum ig_code ig_records_list(struct ig_record_list *out, struct ig_records *records, int64_t before,
                             size_t limit, struct ig_arena *arena, struct ig_err *err)
{
    struct listing listing = {.id = IG_STR(""),
                              .before = before > 0 ? before : INT64_MAX,
                              .limit = limit == 0 || limit > LIST_MAX ? LIST_MAX : limit,
                              .arena = arena};
    if (ig_db_read(records->db, read_list, &listing, err) == IG_OK) *out = listing.list;
    return err->code;
}

/* ---- life ---- */

static enum ig_code load_names(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    enum ig_code code = ig_db_query(&rows, tx, "select deployment from recorded", NULL, 0, err);
    while (code == IG_OK && ig_db_next(rows, err))
        code = put_name(context, ig_db_text(rows, 0), true, err);
    ig_db_finish(rows);
    return err->code;
}

enum ig_code ig_records_open(struct ig_records **out, struct ig_db *db, struct ig_err *err)
{
    struct ig_records *records = ig_zalloc(sizeof *records);
    if (!records) return ig_fail(err, IG_NO_MEMORY, "records");
    records->db = db;
    pthread_mutex_init(&records->change_lock, NULL);
    pthread_rwlock_init(&records->lock, NULL);
    ig_map_init(&records->names, NAMES_MAX);
    if (ig_db_read(db, load_names, records, err) == IG_OK) {
        *out = records;
        return IG_OK;
    }
    ig_records_close(records);
    return err->code;
}

void ig_records_close(struct ig_records *records)
{
    if (!records) return;
    ig_map_deinit(&records->names);
    pthread_rwlock_destroy(&records->lock);
    pthread_mutex_destroy(&records->change_lock);
    ig_free(records);
}
