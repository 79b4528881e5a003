/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_SERVABLE_PRIV_H
#define IG_SERVICES_DEPLOY_SERVABLE_PRIV_H

/* Loading a model version into memory, and the counted life of what was loaded. */

#include "services/deploy/servable.h"
#include "services/registry/registry.h"

struct ig_servable_source {
    struct ig_blob_store *blobs;
    size_t tables_max_bytes; /* of all its explainers; 0: 1 GiB */
};

/* Reads and verifies the package, makes it ready, checks its golden rows. One reference is the
 * caller's. */
enum ig_code ig_servable_load(const struct ig_servable **out,
                              const struct ig_servable_source *source, struct ig_str deployment,
                              const struct ig_registry_version *version, struct ig_err *err);

/* The model that `lender` has, with explainers of its own, as a deployment's: takes a reference on
 * the lender. */
enum ig_code ig_servable_lend(const struct ig_servable **out, const struct ig_servable *lender,
                              size_t tables_max_bytes, struct ig_str deployment,
                              const struct ig_registry_version *version, struct ig_err *err);

/* A package in memory as a servable, which frees it. Its digest stays empty. */
enum ig_code ig_servable_own(const struct ig_servable **out, struct ig_package *package,
                             struct ig_str model, int64_t version, size_t tables_max_bytes,
                             struct ig_err *err);

/* What another process runs, or what is loaded when it is asked for: takes the face (which it
 * frees, also when it fails) and a reference on the replicas. */
struct ig_servable_elsewhere {
    struct ig_package *face;
    struct ig_replicas *replicas; /* or NULL, and then: */
    uint32_t node;
    struct ig_residency *residency;
    struct ig_str resident_key;
};
enum ig_code ig_servable_point(const struct ig_servable **out,
                               const struct ig_servable_elsewhere *elsewhere,
                               struct ig_str deployment, const struct ig_registry_version *version,
                               struct ig_err *err);

/* An ensemble as a servable of its own: `node` is its name in the deployment's graph, the members'
 * schemas are to fit the first one's. Takes a reference on each member and on the meta model. */
struct ig_servable_combination {
    enum ig_combine combine;
    const struct ig_servable_member *members;
    size_t members_count;
    const struct ig_servable *meta; /* or NULL */
    bool skips;                     /* members that fail are left out; of kernels/composite.h */
    const struct ig_servable_elsewhere
        *elsewhere; /* where it runs, as its members do; NULL: here */
};
enum ig_code ig_servable_combine(const struct ig_servable **out, struct ig_str node,
                                 const struct ig_servable_combination *combination,
                                 size_t tables_max_bytes, struct ig_err *err);

#endif
