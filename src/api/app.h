/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_APP_H
#define IG_API_APP_H

/* What the fronts stand on: the open services and the settings of access. Filled by the program
 * before the server starts, read-only afterwards. */

#include "services/auth/auth.h"
#include "services/deploy/decision_log.h"
#include "services/deploy/deploy.h"
#include "services/deploy/learning.h"
#include "services/deploy/mirror.h"
#include "services/deploy/regions.h"
#include "services/deploy/rollout.h"
#include "services/deploy/traces.h"
#include "services/explain/backgrounds.h"
#include "services/explain/cache.h"
#include "services/explain/reasons.h"
#include "services/explain/records.h"
#include "services/fleet/fleet.h"
#include "services/gateway/gateway.h"
#include "services/gc/gc.h"
#include "services/job/job.h"
#include "services/registered/source_pattern.h"
#include "services/registry/registry.h"
#include "services/tracking/artifacts.h"
#include "services/tracking/tracking.h"
#include "services/users/users.h"

struct ig_gather;
struct ig_http_server;
struct ig_metrics;
struct ig_router;

struct ig_app {
    struct ig_db *db;
    struct ig_blob_store *blobs;
    struct ig_auth *auth;
    struct ig_users *users;
    struct ig_registry *registry;
    struct ig_tracking *tracking;
    struct ig_webhooks *webhooks;
    struct ig_source_pattern *model_sources; /* NULL: any */
    struct ig_gateway *gateway;
    struct ig_gc *gc;
    struct ig_fleet *fleet;
    struct ig_jobs *jobs;
    struct ig_backgrounds *backgrounds;
    struct ig_reasons *reasons;
    struct ig_records *records;
    struct ig_explain_cache *explain_cache;
    struct ig_deploy *deploy;
    struct ig_learning *learning;
    struct ig_decision_log *decisions;
    struct ig_gather *gather;   /* NULL: each call is computed by itself */
    struct ig_mirror *mirror;   /* NULL: shadows do nothing */
    struct ig_regions *regions; /* NULL: shared memory is off */
    struct ig_rollouts *rollouts;
    struct ig_traces *traces; /* NULL: nothing is traced */
    struct ig_metrics *metrics;
    struct ig_router *router;
    struct ig_http_server *_Atomic server; /* NULL until it listens */
    const struct ig_str *hosts;            /* names that a Host header may hold, without port */
    size_t hosts_count;
    const struct ig_str *origins; /* foreign origins that may call, "https://console.example" */
    size_t origins_count;
    unsigned char form_key[IG_SHA256_BYTES]; /* of api/form_token.h, by chance */
    bool tls;                                /* spoken on the server's port */
    uint64_t blob_max_bytes;                 /* of one upload */
    uint64_t inline_max_ns;                  /* costlier inference goes to the pool */
    uint64_t cache_min_ns;                   /* explanations that cost less a row are not cached */
    size_t rows_max;                         /* rows of one inference call */
    bool _Atomic draining;                   /* shutting down: not ready any more */
    int64_t started_ms;
};

#endif
