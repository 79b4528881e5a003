/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_GC_GC_H
#define IG_SERVICES_GC_GC_H

/* Garbage collection: removes for good what was deleted (runs, experiments, logged models, with all
 * that was logged of them and their files), then the objects of the blob store that no row refers
 * to.
 *
 * 1. Transactions are small, and after each of them the rest is what it was before, or less: a kill
 *    anywhere loses nothing that lives, and the next collection goes on.
 * 2. A run or experiment whose removal has begun can no longer be restored.
 * 3. What a registered model's version lies in is kept, and so is what holds it.
 * 4. An object goes only when no row refers to it and it is older than the call says; whoever
 *    refers to one that came earlier makes it young first (ig_blob_keep).
 *
 * Thread-safe; worker threads only. One collection at a time: a second is CONFLICT. */

#include "services/audit/audit.h"
#include "stores/blob.h"

struct ig_gc;

struct ig_gc_options {
    struct ig_db *db;
    struct ig_blob_store *blobs;
    /* Of a thread that collects by itself; 0: that is kept. Both 0: there is no thread. */
    uint64_t deleted_days, unused_days;
    unsigned first_ms,
        every_ms; /* its first look and the pause between two; 0: a minute, an hour */
};
enum ig_code ig_gc_open(struct ig_gc **out, const struct ig_gc_options *options,
                        struct ig_err *err);
void ig_gc_close(struct ig_gc *gc); /* ends a collection under way; NULL is allowed */

enum { IG_GC_IDS_MAX = 1000, IG_GC_SLICES = 256 };
/* Young enough that calls may still be between an object and its row. */
#define IG_GC_UNUSED_MIN_MS ((int64_t)10 * 60 * 1000)

struct ig_gc_ask {
    int64_t deleted_before_ms; /* what was deleted earlier goes */
    int64_t unused_before_ms;  /* objects that came earlier, and that nothing refers to, go */
    /* Only these; none of either: everything. An id that is not there is NOT_FOUND, one that is not
     * deleted or too young INVALID, before anything is removed. */
    const struct ig_str *runs;
    size_t runs_count;
    const int64_t *experiments;
    size_t experiments_count;
    bool no_rows;       /* objects alone */
    bool no_objects;    /* rows alone */
    unsigned slice;     /* the first of the IG_GC_SLICES parts of the objects to look at */
    uint64_t budget_ns; /* ends about then, but not before what is named is gone; 0: at the end */
    bool dry_run;       /* counts, and removes nothing */
};
struct ig_gc_report {
    int64_t runs, experiments, logged_models, traces;
    int64_t metrics;   /* values of histories */
    int64_t artifacts; /* files */
    int64_t kept;      /* runs, experiments and logged models where a registered version lies */
    int64_t objects;   /* of the blob store */
    bool done;         /* else the budget was used up: call again, with `slice` and `no_rows` */
    bool rows_done;
    unsigned slice; /* where the next call goes on */
};
enum ig_code ig_gc_run(struct ig_gc_report *out, struct ig_gc *gc, const struct ig_principal *who,
                       const struct ig_gc_ask *ask, struct ig_err *err);

#endif
