/* SPDX-License-Identifier: Apache-2.0 */
/* Objects that no row refers to. The references of each are asked for after its age was read, and
 * its age is read again when it goes: an object that somebody is about to refer to is young by
 * then. Thread rule: one collection at a time. */
#include "services/gc/gc_priv.h"

#include "base/vec.h"
#include "services/tracking/artifact_uploads.h"

#include <stdio.h>
#include <string.h>

enum { SLICE_MAX = 1 << 20, BATCH = 128 };

struct old_object {
    char digest[IG_SHA256_HEX];
    bool used;
};

struct search {
    int64_t before_ms;
    struct {
        struct old_object *items;
        size_t count, cap;
    } old;
    bool overflowed;
    size_t from, to; /* of the batch that is asked for */
};

static bool note(void *context, const char *digest, int64_t committed_ms)
{
    struct search *search = context;
    struct old_object object = {.used = false};
    if (committed_ms >= search->before_ms) return true;
    memcpy(object.digest, digest, sizeof object.digest);
    search->overflowed = !IG_VEC_PUSH(&search->old, object, SLICE_MAX);
    return !search->overflowed;
}

static const char *const references[] = {
#define IG_GC_REFERENCE(table, column, doc)                                                        \
    "select 1 from " #table " where " #column " = $1 limit 1",
#include "services/gc/gc_references.def"
#undef IG_GC_REFERENCE
};

static enum ig_code find_use(struct old_object *object, struct ig_db_tx *tx, struct ig_err *err)
{
    for (size_t i = 0; !object->used && i < sizeof references / sizeof *references; i++) {
        struct ig_db_rows *rows = NULL;
        if (ig_db_query(&rows, tx, references[i], IG_DB_VALUES(IG_DB_C(object->digest)), err) !=
            IG_OK)
            return err->code;
        object->used = ig_db_next(rows, err);
        ig_db_finish(rows);
        if (err->code != IG_OK) return err->code;
    }
    return IG_OK;
}

static enum ig_code find_uses(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct search *search = context;
    for (size_t i = search->from; i < search->to; i++)
        if (find_use(&search->old.items[i], tx, err) != IG_OK) return err->code;
    return IG_OK;
}

static enum ig_code collect_batch(struct ig_gc_pass *pass, const struct search *search,
                                  struct ig_err *err)
{
    for (size_t i = search->from; i < search->to; i++) {
        const struct old_object *object = &search->old.items[i];
        bool removed = !object->used;
        if (removed && !pass->ask->dry_run &&
            ig_blob_collect(&removed, pass->gc->options.blobs, object->digest, search->before_ms,
                            err) != IG_OK)
            return err->code;
        pass->report->objects += removed;
    }
    return IG_OK;
}

static enum ig_code collect_slice(struct ig_gc_pass *pass, unsigned slice, struct ig_err *err)
{
    struct search search = {.before_ms = pass->ask->unused_before_ms};
    char start[12];
    snprintf(start, sizeof start, "%02x", slice);
    ig_blob_each(pass->gc->options.blobs, start, note, &search, err);
    if (err->code == IG_OK && search.overflowed)
        ig_fail(err, IG_NO_MEMORY, "objects that begin with %s: too many", start);
    while (err->code == IG_OK && search.to < search.old.count) {
        search.from = search.to;
        search.to = search.old.count - search.from < BATCH ? search.old.count : search.from + BATCH;
        if (ig_db_read(pass->gc->options.db, find_uses, &search, err) == IG_OK)
            collect_batch(pass, &search, err);
    }
    IG_VEC_FREE(&search.old);
    return err->code;
}

enum ig_code ig_gc_objects(struct ig_gc_pass *pass, struct ig_err *err)
{
    struct ig_gc_report *report = pass->report;
    char detail[64];
    report->slice = pass->ask->slice;
    if (!pass->ask->dry_run &&
        ig_uploads_drop(pass->gc->options.db, pass->ask->unused_before_ms, err) != IG_OK)
        return err->code;
    while (report->slice < IG_GC_SLICES && !ig_gc_is_over(pass)) {
        if (collect_slice(pass, report->slice, err) != IG_OK) return err->code;
        report->slice++;
    }
    report->done = report->slice >= IG_GC_SLICES;
    if (!report->objects || pass->ask->dry_run) return IG_OK;
    snprintf(detail, sizeof detail, "%lld", (long long)report->objects);
    return ig_audit_record(pass->gc->options.db, pass->who, "objects.collect", ig_str_view(detail),
                           err);
}
