/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_DEPLOY_H
#define IG_SERVICES_DEPLOY_DEPLOY_H

/* Deployments: a name that answers predictions by a graph of models
 * (services/deploy/routing_spec.h; one model is the smallest graph). Every graph that a deployment
 * had is a numbered revision. The row is committed before the new revision answers, and every row
 * is loaded at open, so a restart serves the last one. The revision before stays loaded (warm):
 * rollback is one row and one pointer store.
 *
 * Aliases are resolved when a revision is made, and then pinned.
 *
 * Hot path: the set of deployments is immutable and swapped whole. On an event loop
 * ig_deploy_acquire takes no lock and writes no shared memory; what it returns lives until that
 * loop's turn ends. To keep it longer (hand a call to the pool) take ig_routing_ref on the loop.
 * Retired sets are freed by a background thread after wait_quiescent returned. */

#include "services/deploy/routing.h"
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
    /* Where processes of isolated deployments come from; borrowed, and outlives this. NULL: none
     * can be isolated. */
    struct ig_replica_host *replicas;
    /* Of loaded models, in bytes; the least recently used are loaded again when they are asked for.
     * 0: all stay loaded. */
    size_t models_max_bytes;
    int dirfd; /* the data directory, borrowed; with models_max_bytes */
};

/* Loads every deployment. One that does not load becomes "failed" and the rest serve. */
enum ig_code ig_deploy_open(struct ig_deploy **out, const struct ig_deploy_options *options,
                            struct ig_err *err);
/* Loads the revisions before, for quick rollbacks, in the background. Call it once wait_quiescent
 * speaks for the loops that run. */
void ig_deploy_warm(struct ig_deploy *deploy);
/* No loop may run any more. NULL is allowed. */
void ig_deploy_close(struct ig_deploy *deploy);
/* Tells of every change of what serves, from the thread that made it and under its locks: `changed`
 * neither waits nor calls back. One at a time; NULL ends it. */
void ig_deploy_watch(struct ig_deploy *deploy, void (*changed)(void *context), void *context);
/* Removes the faces (residency.h) that neither a deployment nor a registered version needs; it is
 * done behind ig_deploy_warm as well. Worker threads. */
enum ig_code ig_deploy_collect(int64_t *removed, struct ig_deploy *deploy, bool dry_run,
                               struct ig_err *err);
/* NULL: all models stay loaded. */
struct ig_residency *ig_deploy_residency(struct ig_deploy *deploy);

/* Loop-safe. NULL when no such deployment serves. */
const struct ig_routing *ig_deploy_acquire(const struct ig_deploy *deploy, struct ig_str name);
/* The only deployment there is, or NULL: for fronts whose path names none. Loop-safe. */
const struct ig_routing *ig_deploy_acquire_only(const struct ig_deploy *deploy);
enum ig_deploy_state {
    IG_DEPLOY_ABSENT,
    IG_DEPLOY_SERVING,
    IG_DEPLOY_PAUSED, /* on request: it answers nothing */
    IG_DEPLOY_FAILED, /* it did not load */
};
/* From any thread. */
enum ig_deploy_state ig_deploy_state(struct ig_deploy *deploy, struct ig_str name);
bool ig_deploy_ready(const struct ig_deploy *deploy); /* no deployment has failed; loop-safe */
/* Calls `each` for every serving one, by name; stops when it returns false. Loop-safe. */
void ig_deploy_each(const struct ig_deploy *deploy,
                    bool (*each)(void *context, const struct ig_routing *routing), void *context);
/* From any thread: takes a reference, under a lock. The caller unrefs. NULL when none. */
const struct ig_routing *ig_deploy_get_routing(struct ig_deploy *deploy, struct ig_str name);
/* The same of all that serve; the caller unrefs each and ig_free()s the list. */
enum ig_code ig_deploy_get_all(const struct ig_routing ***out, size_t *count,
                               struct ig_deploy *deploy, struct ig_err *err);

/* Below: worker threads only. */
struct ig_deployment {
    struct ig_str name;
    struct ig_str model;      /* where the graph's defaults lead; of an ensemble its first member */
    struct ig_str ref;        /* what was asked for: a number, an alias, or empty (the latest) */
    int64_t version;          /* what it resolved to */
    int64_t previous_version; /* of the revision before; 0: none */
    struct ig_str previous_model;
    int64_t revision, previous_revision; /* 0: none */
    bool previous_warm;                  /* it is loaded */
    struct ig_str graph;                 /* JSON, every model pinned */
    struct ig_str digest;                /* of the model's package */
    int64_t created_ms, updated_ms;
    struct ig_str state; /* "serving", "paused", "failed" */
    struct ig_str error; /* of a failed one */
    /* What runs the model: "ingot", or another library with its version and why; empty while it is
     * not loaded. */
    struct ig_str engine, engine_version, engine_reason;
    bool paused;
};
struct ig_deployments {
    const struct ig_deployment *items; /* by name */
    size_t count;
};
enum ig_version_policy {
    IG_VERSIONS_DEFAULT, /* the one asked for */
    IG_VERSIONS_LATEST,  /* and the latest of the model */
    IG_VERSIONS_ALL,     /* and all there are */
    IG_VERSIONS_LISTED,  /* and these */
};
enum { IG_DEPLOY_VERSIONS_MAX = 32 };

struct ig_deployment_spec {
    struct ig_str name;
    const struct ig_routing_spec *graph; /* or NULL, and then: */
    struct ig_str model;
    struct ig_str ref; /* version number, alias, or empty for the latest */
    /* The model becomes the candidate of a canary, against what serves now (or against the stable
     * side of the canary that serves now). Without a model: another percentage for the candidate
     * there is. 100 %: the model alone. */
    bool canary;
    uint32_t canary_basis_points;
    /* Which other versions of the model answer requests that name them, as of now. */
    enum ig_version_policy policy;
    uint32_t latest;
    const int64_t *versions;
    uint32_t versions_count;
    struct ig_str why; /* for the history; may be empty */
};
enum { IG_DEPLOY_WHY_MAX = 1000 }; /* bytes */

/* Creates it or swaps its graph atomically; serves the new one when it returns. */
enum ig_code ig_deploy_set(struct ig_deploy *deploy, const struct ig_principal *who,
                           const struct ig_deployment_spec *spec, struct ig_err *err);
/* Back to the revision before (0), or to any earlier one; the one that served becomes the one
 * before. CONFLICT when there is none. */
enum ig_code ig_deploy_rollback(struct ig_deploy *deploy, const struct ig_principal *who,
                                struct ig_str name, int64_t revision, struct ig_str why,
                                struct ig_err *err);
/* One arm takes the place of its node: "candidate" of a canary, an arm of a split or bandit, a
 * mirror of a shadow. */
struct ig_deploy_promotion {
    struct ig_str name;
    struct ig_str node; /* empty: the only one that has such an arm */
    struct ig_str arm;  /* empty: "candidate" */
    struct ig_str why;
};
enum ig_code ig_deploy_promote(struct ig_deploy *deploy, const struct ig_principal *who,
                               const struct ig_deploy_promotion *promotion, struct ig_err *err);
/* A paused deployment stays loaded and answers nothing. */
enum ig_code ig_deploy_pause(struct ig_deploy *deploy, const struct ig_principal *who,
                             struct ig_str name, bool paused, struct ig_str why,
                             struct ig_err *err);
enum ig_code ig_deploy_delete(struct ig_deploy *deploy, const struct ig_principal *who,
                              struct ig_str name, struct ig_err *err);
enum ig_code ig_deploy_get(struct ig_deployment *out, struct ig_deploy *deploy, struct ig_str name,
                           struct ig_arena *arena, struct ig_err *err);
enum ig_code ig_deploy_list(struct ig_deployments *out, struct ig_deploy *deploy,
                            struct ig_arena *arena, struct ig_err *err);

struct ig_deployment_change {
    int64_t seq, revision; /* which served from then on */
    struct ig_str action;  /* "create", "update", "rollback", "promote", "pause", "resume" */
    struct ig_str principal_id, principal_name, why;
    struct ig_str graph; /* of the revision */
    int64_t at_ms;
};
struct ig_deployment_changes {
    const struct ig_deployment_change *items; /* newest first */
    size_t count;
};
enum { IG_DEPLOY_HISTORY_MAX = 200 };
enum ig_code ig_deploy_history(struct ig_deployment_changes *out, struct ig_deploy *deploy,
                               struct ig_str name, struct ig_arena *arena, struct ig_err *err);

#endif
