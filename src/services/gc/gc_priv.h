/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_GC_GC_PRIV_H
#define IG_SERVICES_GC_GC_PRIV_H

/* Shared by the files of garbage collection. */

#include "services/gc/gc.h"

#include <pthread.h>
#include <stdatomic.h>

struct ig_gc {
    struct ig_gc_options options;
    pthread_mutex_t running; /* by one collection */
    pthread_mutex_t wake_lock;
    pthread_cond_t wake;
    atomic_bool stopping;
    bool has_thread;
    uint64_t thread;
};

/* A collection under way. */
struct ig_gc_pass {
    struct ig_gc *gc;
    const struct ig_principal *who;
    const struct ig_gc_ask *ask;
    struct ig_gc_report *report;
    uint64_t until_ns; /* 0: no end */
    struct ig_arena arena;
};

/* Whether to end here and leave the rest to the next call. */
bool ig_gc_is_over(const struct ig_gc_pass *pass);
/* Runs, then logged models, then experiments; sets rows_done. */
enum ig_code ig_gc_rows(struct ig_gc_pass *pass, struct ig_err *err);
/* Objects by slices; sets `slice`, and `done` behind the last. */
enum ig_code ig_gc_objects(struct ig_gc_pass *pass, struct ig_err *err);

#endif
