/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_DEPLOY_H
#define IG_SERVICES_DEPLOY_DEPLOY_H

/* Deployments: a name that answers predictions with one model version. The row is committed before
 * the new version answers, and every row is loaded at open, so a restart serves the last
 * deployment. The version before stays loaded (warm): rollback is one row and one pointer store.
 *
 * An alias is resolved when the deployment is created or updated and then pinned.
 *
 * Hot path: the set of deployments is immutable and swapped whole. On an event loop
 * ig_deploy_acquire takes no lock and writes no shared memory; what it returns lives until that
 * loop's turn ends. To keep it longer (hand a call to the pool) take ig_servable_ref on the loop.
 * Retired sets are freed by a background thread after wait_quiescent returned. */

#include "services/deploy/servable.h"
#include "services/registry/registry.h"

struct ig_deploy;

struct ig_deploy_options {
    struct ig_db *db;
    struct ig_blob_store *blobs;
    struct ig_registry *registry;
    /* Returns once no event loop can still hold what it acquired before the call; NULL: no loops.
     */
    void (*wait_quiescent)(void *context);
    void *context;
    unsigned deployments_max; /* 0: 1000 */
    size_t tables_max_bytes;  /* of the explainers of one loaded model; 0: 1 GiB */
};

/* Loads every deployment. One that does not load becomes "failed" and the rest serve. */
enum ig_code ig_deploy_open(struct ig_deploy **out, const struct ig_deploy_options *options,
                            struct ig_err *err);
/* Loads the versions before, for quick rollbacks, in the background. Call it once wait_quiescent
 * speaks for the loops that run. */
void ig_deploy_warm(struct ig_deploy *deploy);
/* No loop may run any more. NULL is allowed. */
void ig_deploy_close(struct ig_deploy *deploy);

/* Loop-safe. NULL when no such deployment serves. */
const struct ig_servable *ig_deploy_acquire(const struct ig_deploy *deploy, struct ig_str name);
/* The only deployment there is, or NULL: for fronts whose path names none. Loop-safe. */
const struct ig_servable *ig_deploy_acquire_only(const struct ig_deploy *deploy);
/* It exists but did not load. Loop-safe. */
bool ig_deploy_failed(const struct ig_deploy *deploy, struct ig_str name);
bool ig_deploy_ready(const struct ig_deploy *deploy); /* no deployment has failed; loop-safe */
/* Calls `each` for every serving one, by name; stops when it returns false. Loop-safe. */
void ig_deploy_each(const struct ig_deploy *deploy,
                    bool (*each)(void *context, const struct ig_servable *servable), void *context);
/* From any thread: takes a reference, under a lock. The caller unrefs. NULL when none. */
const struct ig_servable *ig_deploy_get_servable(struct ig_deploy *deploy, struct ig_str name);

/* Below: worker threads only. */
struct ig_deployment {
    struct ig_str name, model;
    struct ig_str ref;        /* what was asked for: a number, an alias, or empty (the latest) */
    int64_t version;          /* what it resolved to */
    int64_t previous_version; /* warm, for rollback; 0: none */
    struct ig_str previous_model;
    bool previous_warm; /* it is loaded */
    struct ig_str digest;
    int64_t created_ms, updated_ms;
    struct ig_str state; /* "serving", "failed" */
    struct ig_str error; /* of a failed one */
};
struct ig_deployments {
    const struct ig_deployment *items; /* by name */
    size_t count;
};
struct ig_deployment_spec {
    struct ig_str name;
    struct ig_str model;
    struct ig_str ref; /* version number, alias, or empty for the latest */
};
/* Creates it or swaps its version atomically; serves the new one when it returns. */
enum ig_code ig_deploy_set(struct ig_deploy *deploy, const struct ig_principal *who,
                           const struct ig_deployment_spec *spec, struct ig_err *err);
/* Back to the version before (and that one becomes the one before). CONFLICT when there is none. */
enum ig_code ig_deploy_rollback(struct ig_deploy *deploy, const struct ig_principal *who,
                                struct ig_str name, struct ig_err *err);
enum ig_code ig_deploy_delete(struct ig_deploy *deploy, const struct ig_principal *who,
                              struct ig_str name, struct ig_err *err);
enum ig_code ig_deploy_get(struct ig_deployment *out, struct ig_deploy *deploy, struct ig_str name,
                           struct ig_arena *arena, struct ig_err *err);
enum ig_code ig_deploy_list(struct ig_deployments *out, struct ig_deploy *deploy,
                            struct ig_arena *arena, struct ig_err *err);

#endif
