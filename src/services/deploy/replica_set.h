/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_REPLICA_SET_H
#define IG_SERVICES_DEPLOY_REPLICA_SET_H

/* The processes of an isolated deployment. Each runs the whole graph and takes one call at a time;
 * a call waits for a free one. There are as many as resources say: the least always, more while
 * calls wait, none while there is nothing to do where the least is 0. One that ends is replaced,
 * with growing pauses while it keeps ending; its call is tried once more on another.
 *
 * Thread-safe. Calls block, so they come from threads that may: the set's own pool has one for each
 * replica there can be. */

#include "base/thread.h"
#include "services/deploy/inference.h"

struct ig_replicas;
struct ig_replica_host; /* what all sets of a server share */

struct ig_replica_host_options {
    const char *program; /* is started as `PROGRAM replica PID`; NULL: this program itself */
    int dirfd;           /* the data directory, borrowed */
    const char *blobs;   /* as `where` of ig_blob_options; borrowed, or NULL */
};
enum ig_code ig_replica_host_open(struct ig_replica_host **out,
                                  const struct ig_replica_host_options *options,
                                  struct ig_err *err);
/* Waits until every set has ended, which no one may hold any more. NULL is allowed. */
void ig_replica_host_close(struct ig_replica_host *host);

struct ig_replicas_spec {
    const struct ig_resources *resources;
    struct ig_str deployment;
    struct ig_str graph;          /* JSON, every model pinned */
    const struct ig_str *digests; /* by node: of a model's package; else empty */
    size_t digests_count;
    size_t tables_max_bytes;
};

/* Returns once the first replica has loaded its models, or with what it says of them. One reference
 * is the caller's. */
enum ig_code ig_replicas_new(struct ig_replicas **out, struct ig_replica_host *host,
                             const struct ig_replicas_spec *spec, struct ig_err *err);
struct ig_replicas *ig_replicas_ref(struct ig_replicas *replicas);
/* The last one ends the processes, in the background. NULL is allowed. */
void ig_replicas_unref(struct ig_replicas *replicas);

/* What the nodes are, for ig_replica_face_read; lives as long as the set. */
struct ig_str ig_replicas_faces(const struct ig_replicas *replicas);
struct ig_pool *ig_replicas_pool(struct ig_replicas *replicas);

/* As ig_inference_run, of a servable with replicas. UNAVAILABLE: no process could be had, or two
 * ended over this call; DEADLINE: none was free in time, or the model took too long and its process
 * was ended. */
enum ig_code ig_replicas_run(struct ig_inference_result *out, const struct ig_servable *servable,
                             const struct ig_inference_request *request, struct ig_arena *arena,
                             struct ig_err *err);

struct ig_replicas_stats {
    uint32_t running, busy, starting, waiting;
    uint64_t calls, started, crashed, cpu_ns;
    uint64_t memory_bytes; /* of all that run, as each last said */
    char failure[200];     /* why the latest one that ended did so; empty: none has */
    int32_t pids[IG_RESOURCES_REPLICAS_MAX]; /* of the running */
};
void ig_replicas_stats(struct ig_replicas_stats *out, struct ig_replicas *replicas);

#endif
