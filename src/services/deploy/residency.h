/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_RESIDENCY_H
#define IG_SERVICES_DEPLOY_RESIDENCY_H

/* Many models in bounded memory: a deployment then holds what a model looks like (its face), and
 * the model is loaded when it is asked for, off the event loops; the least recently used make room.
 * An ensemble comes and goes as one: while it is here, so are its members. A package is loaded once
 * for all deployments and ensembles that have it. Faces are kept in DIR/faces, so that a start
 * reads no model at all, until nothing needs them any more. Thread-safe. */

#include "services/deploy/servable_priv.h"

struct ig_residency;

struct ig_residency_options {
    int dirfd; /* the data directory, borrowed */
    struct ig_servable_source source;
    size_t memory_max_bytes; /* one model or ensemble alone may take more */
};
enum ig_code ig_residency_open(struct ig_residency **out,
                               const struct ig_residency_options *options, struct ig_err *err);
/* No servable of it may be left. NULL is allowed. */
void ig_residency_close(struct ig_residency *residency);

/* A servable that is only pointed at: its `residency` is set, its package a face. The model is
 * loaded once, and so verified, before its face is known. Worker threads. */
enum ig_code ig_residency_point(const struct ig_servable **out, struct ig_residency *residency,
                                struct ig_str deployment, const struct ig_registry_version *version,
                                struct ig_err *err);
/* An ensemble whose members are pointed at: likewise, and so found to fit together. */
enum ig_code ig_residency_combine(const struct ig_servable **out, struct ig_residency *residency,
                                  struct ig_str node,
                                  const struct ig_servable_combination *combination,
                                  struct ig_err *err);
/* The model itself, with a reference; loaded first with `load`, on worker threads alone. NULL
 * without err: it is not here. Without `load` loop-safe (one short lock). */
const struct ig_servable *ig_residency_get(const struct ig_servable *pointed, bool load,
                                           struct ig_err *err);

/* Whether something needs the face of that name: a package's digest, an ensemble's resident_key. */
typedef bool ig_residency_need(void *context, const char *name, struct ig_err *err);
/* Removes the faces that nothing needs, and what killed servers left of others; a face that is
 * removed too much is made again. `dry_run` only counts. No deployment may be built meanwhile. */
enum ig_code ig_residency_collect(int64_t *removed, struct ig_residency *residency,
                                  ig_residency_need *need, void *context, bool dry_run,
                                  struct ig_err *err);

struct ig_residency_stats {
    uint64_t resident, loads, unloads; /* of packages */
    uint64_t bytes;                    /* of all that is here */
};
/* Worker threads. */
void ig_residency_stats(struct ig_residency_stats *out, struct ig_residency *residency);

#endif
