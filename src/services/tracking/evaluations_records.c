/* SPDX-License-Identifier: Apache-2.0 */
/* Records of evaluation datasets. Each has a number in its dataset, by which pages go on; the
 * number of a record that was removed does not come again.
 *
 * Thread rule: stateless over the store. */
#include "services/tracking/evaluations.h"

#include "base/clock.h"
#include "base/json_digest.h"
#include "services/tracking/evaluations_priv.h"
#include "services/tracking/tracking_priv.h"

#include <stdio.h>

struct records_call {
    struct ig_str id;
    struct ig_evaluation_records records;
    const char (*digests)[IG_SHA256_HEX]; /* of each one's inputs */
    const struct ig_evaluation_page *page;
    const struct ig_str *ids;
    size_t ids_count;
    struct ig_arena *arena;
    struct ig_evaluation_counts counts;
    int64_t removed;
    /* Of the dataset. */
    struct ig_str name, schema, updated_by;
    int64_t last_seq, records_count, now_ms;
};

static struct ig_db_value optional(struct ig_str text)
{
    return text.ptr ? IG_DB_T(text) : IG_DB_N();
}

/* ---- writing ---- */

static enum ig_code read_dataset(struct records_call *call, struct ig_db_tx *tx, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx,
                    "select name, fields, last_seq, records, updated_by from evaluations"
                    " where id = $1",
                    IG_DB_VALUES(IG_DB_T(call->id)), err) != IG_OK)
        return err->code;
    if (ig_db_next(rows, err)) {
        call->name = ig_db_text_dup(rows, 0, call->arena);
        call->schema = ig_evaluation_optional(rows, 1, call->arena);
        call->last_seq = ig_db_i64(rows, 2);
        call->records_count = ig_db_i64(rows, 3);
    } else if (err->code == IG_OK) {
        ig_fail(err, IG_NOT_FOUND, "Evaluation dataset with id '%.*s' not found",
                IG_STR_ARGS(ig_tracking_cut(call->id, 64)));
    }
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code insert_record(struct records_call *call, struct ig_db_tx *tx, size_t i,
                                  struct ig_err *err)
{
    const struct ig_evaluation_record *record = &call->records.items[i];
    struct ig_str outputs = record->outputs_told ? record->outputs : IG_STR("{}");
    char id[IG_EVALUATION_ID_SIZE];
    ig_evaluation_new_id(id, "dr-");
    call->counts.inserted++;
    call->last_seq++;
    return ig_db_exec(
        tx,
        "insert into evaluation_records(evaluation, seq, id, inputs_sha256, inputs, outputs,"
        " expectations, tags, source, source_id, source_type, created_ms, updated_ms, created_by,"
        " updated_by) values($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13, $13)",
        IG_DB_VALUES(IG_DB_T(call->id), IG_DB_I(call->last_seq), IG_DB_C(id),
                     IG_DB_C(call->digests[i]), IG_DB_T(record->inputs), optional(outputs),
                     optional(record->expectations),
                     IG_DB_T(record->tags.ptr ? record->tags : IG_STR("{}")),
                     optional(record->source), optional(record->source_id),
                     optional(record->source_type), IG_DB_I(call->now_ms), optional(record->user)),
        err);
}

static enum ig_code update_record(struct records_call *call, struct ig_db_tx *tx, size_t i,
                                  const struct ig_evaluation_record *before, struct ig_err *err)
{
    const struct ig_evaluation_record *record = &call->records.items[i];
    struct ig_str expectations = before->expectations, tags = before->tags;
    if ((record->expectations.ptr &&
         ig_evaluation_merge(&expectations, before->expectations, record->expectations, call->arena,
                             err) != IG_OK) ||
        (record->tags.ptr &&
         ig_evaluation_merge(&tags, before->tags, record->tags, call->arena, err) != IG_OK))
        return err->code;
    call->counts.updated++;
    return ig_db_exec(
        tx,
        "update evaluation_records set outputs = $3, expectations = $4, tags = $5,"
        " updated_ms = $6, updated_by = coalesce($7, updated_by)"
        " where evaluation = $1 and seq = $2",
        IG_DB_VALUES(IG_DB_T(call->id), IG_DB_I(before->seq),
                     optional(record->outputs_told ? record->outputs : before->outputs),
                     optional(expectations), optional(tags), IG_DB_I(call->now_ms),
                     optional(record->user)),
        err);
}

static enum ig_code put_record(struct records_call *call, struct ig_db_tx *tx, size_t i,
                               struct ig_err *err)
{
    struct ig_evaluation_record before = {.seq = 0};
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx,
                    "select seq, outputs, expectations, tags from evaluation_records"
                    " where evaluation = $1 and inputs_sha256 = $2",
                    IG_DB_VALUES(IG_DB_T(call->id), IG_DB_C(call->digests[i])), err) != IG_OK)
        return err->code;
    if (ig_db_next(rows, err))
        before = (struct ig_evaluation_record){
            .seq = ig_db_i64(rows, 0),
            .outputs = ig_evaluation_optional(rows, 1, call->arena),
            .expectations = ig_evaluation_optional(rows, 2, call->arena),
            .tags = ig_evaluation_optional(rows, 3, call->arena)};
    ig_db_finish(rows);
    if (err->code != IG_OK) return err->code;
    if (call->records.items[i].user.ptr) call->updated_by = call->records.items[i].user;
    return before.seq ? update_record(call, tx, i, &before, err) : insert_record(call, tx, i, err);
}

static enum ig_code upsert(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct records_call *call = context;
    char digest[IG_EVALUATION_DIGEST + 1];
    call->now_ms = ig_clock_unix_ms();
    if (read_dataset(call, tx, err) != IG_OK) return err->code;
    for (size_t i = 0; i < call->records.count; i++)
        if (put_record(call, tx, i, err) != IG_OK) return err->code;
    if (ig_evaluation_schema(&call->schema, call->schema, call->records, call->arena, err) != IG_OK)
        return err->code;
    if (call->arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "records");
    ig_evaluation_digest(digest, call->name, call->now_ms);
    return ig_db_exec(tx,
                      "update evaluations set hash = $2, fields = $3, records = $4, last_seq = $5,"
                      " updated_ms = $6, updated_by = $7 where id = $1",
                      IG_DB_VALUES(IG_DB_T(call->id), IG_DB_C(digest), optional(call->schema),
                                   IG_DB_I(call->records_count + (int64_t)call->counts.inserted),
                                   IG_DB_I(call->last_seq), IG_DB_I(call->now_ms),
                                   optional(call->updated_by)),
                      err);
}

static enum ig_code check_record(const struct ig_evaluation_record *record, size_t i,
                                 struct ig_err *err)
{
    const struct {
        const char *name;
        struct ig_str text;
    } texts[] = {{"inputs", record->inputs},
                 {"outputs", record->outputs},
                 {"expectations", record->expectations},
                 {"tags", record->tags},
                 {"source", record->source}};
    for (size_t j = 0; j < sizeof texts / sizeof texts[0]; j++)
        if (texts[j].text.len > IG_EVALUATION_RECORD_MAX)
            return ig_fail(err, IG_INVALID, "records[%zu].%s: %zu bytes, expected at most %d", i,
                           texts[j].name, texts[j].text.len, IG_EVALUATION_RECORD_MAX);
    if (record->user.ptr)
        ig_tracking_check_length(record->user, IG_EVALUATION_NAME_MAX, "mlflow.user", err);
    return err->code;
}

enum ig_code ig_evaluation_upsert(struct ig_evaluation_counts *out, struct ig_db *db,
                                  struct ig_str id, struct ig_evaluation_records records,
                                  struct ig_arena *arena, struct ig_err *err)
{
    struct records_call call = {.id = id, .records = records, .arena = arena};
    char(*digests)[IG_SHA256_HEX] = ig_arena_array(arena, records.count + 1, sizeof *digests);
    if (!digests) return ig_fail(err, IG_NO_MEMORY, "records");
    if (records.count > IG_EVALUATION_RECORDS_MAX)
        return ig_fail(err, IG_INVALID, "records: %zu given, expected at most %d", records.count,
                       IG_EVALUATION_RECORDS_MAX);
    for (size_t i = 0; i < records.count; i++) {
        unsigned char digest[IG_SHA256_BYTES];
        struct ig_arena scratch;
        if (check_record(&records.items[i], i, err) != IG_OK) return err->code;
        ig_arena_init(&scratch, 16 << 10, 64 << 20);
        if (ig_json_digest(digest, records.items[i].inputs, &scratch, err) == IG_OK)
            ig_hex(digests[i], digest, sizeof digest);
        ig_arena_deinit(&scratch);
        if (err->code != IG_OK) return err->code;
    }
    call.digests = (const char(*)[IG_SHA256_HEX])digests;
    if (ig_db_write(db, upsert, &call, err) == IG_OK) *out = call.counts;
    return err->code;
}

/* ---- reading ---- */

static struct ig_evaluation_record record_of(struct ig_db_rows *rows, struct ig_arena *arena)
{
    return (struct ig_evaluation_record){
        .seq = ig_db_i64(rows, 0),
        .id = ig_db_text_dup(rows, 1, arena),
        .inputs = ig_db_text_dup(rows, 2, arena),
        .outputs = ig_evaluation_optional(rows, 3, arena),
        .expectations = ig_evaluation_optional(rows, 4, arena),
        .tags = ig_evaluation_optional(rows, 5, arena),
        .source = ig_evaluation_optional(rows, 6, arena),
        .source_id = ig_evaluation_optional(rows, 7, arena),
        .source_type = ig_evaluation_optional(rows, 8, arena),
        .created_ms = ig_db_i64(rows, 9),
        .updated_ms = ig_db_i64(rows, 10),
        .created_by = ig_evaluation_optional(rows, 11, arena),
        .updated_by = ig_evaluation_optional(rows, 12, arena),
    };
}

static enum ig_code list(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct records_call *call = context;
    const struct ig_evaluation_page *page = call->page;
    struct ig_evaluation_record *items = NULL;
    struct ig_db_rows *rows = NULL;
    size_t count = 0, cap = 0, bytes = 0;
    bool more = false;
    if (ig_db_query(
            &rows, tx,
            "select seq, id, inputs, outputs, expectations, tags, source, source_id,"
            " source_type, created_ms, updated_ms, created_by, updated_by"
            " from evaluation_records where evaluation = $1 and seq > $2 order by seq"
            " limit $3",
            IG_DB_VALUES(IG_DB_T(page->id), IG_DB_I(page->after), IG_DB_I((int64_t)page->max + 1)),
            err) != IG_OK)
        return err->code;
    while (ig_db_next(rows, err)) {
        more = count == page->max || (count && bytes > page->bytes_max);
        if (more) break;
        items = ig_arena_grow(call->arena, items, count, &cap, sizeof *items);
        if (!items) ig_fail(err, IG_NO_MEMORY, "records");
        if (!items) break;
        items[count] = record_of(rows, call->arena);
        bytes += items[count].inputs.len + items[count].outputs.len +
                 items[count].expectations.len + items[count].tags.len + items[count].source.len;
        count++;
    }
    ig_db_finish(rows);
    if (err->code == IG_OK && call->arena->overflowed) ig_fail(err, IG_NO_MEMORY, "records");
    call->records = (struct ig_evaluation_records){items, count, more};
    return err->code;
}

enum ig_code ig_evaluation_list(struct ig_evaluation_records *out, struct ig_db *db,
                                const struct ig_evaluation_page *page, struct ig_arena *arena,
                                struct ig_err *err)
{
    struct records_call call = {.page = page, .arena = arena};
    if (ig_db_read(db, list, &call, err) == IG_OK) *out = call.records;
    return err->code;
}

/* ---- removing ---- */

static enum ig_code remove_records(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct records_call *call = context;
    call->removed = 0;
    for (size_t i = 0; i < call->ids_count; i++) {
        if (ig_db_exec(tx, "delete from evaluation_records where evaluation = $1 and id = $2",
                       IG_DB_VALUES(IG_DB_T(call->id), IG_DB_T(call->ids[i])), err) != IG_OK)
            return err->code;
        call->removed += ig_db_changes(tx);
    }
    if (!call->removed) return IG_OK;
    return ig_db_exec(tx, "update evaluations set records = records - $2 where id = $1",
                      IG_DB_VALUES(IG_DB_T(call->id), IG_DB_I(call->removed)), err);
}

enum ig_code ig_evaluation_remove(int64_t *removed, struct ig_db *db, struct ig_str id,
                                  const struct ig_str *records, size_t records_count,
                                  struct ig_err *err)
{
    struct records_call call = {.id = id, .ids = records, .ids_count = records_count};
    if (records_count > IG_EVALUATION_RECORDS_MAX)
        return ig_fail(err, IG_INVALID, "dataset_record_ids: %zu given, expected at most %d",
                       records_count, IG_EVALUATION_RECORDS_MAX);
    if (ig_db_write(db, remove_records, &call, err) == IG_OK) *removed = call.removed;
    return err->code;
}
