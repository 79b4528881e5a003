/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_BATCHER_H
#define IG_SERVICES_DEPLOY_BATCHER_H

/* Predictions that wait for the same model are computed as one. The first to come leads: while it
 * waits for its turn, others join; then it computes for all of them. So a batch grows with the load
 * and costs an idle model nothing, unless it is told to linger. Thread-safe; callers block. */

#include "services/deploy/inference.h"

struct ig_batcher;

struct ig_batcher_options {
    size_t rows_max;    /* of a batch; a request with as many goes alone */
    uint64_t linger_ns; /* how long a batch that is not full waits for more, at its turn */
};
enum ig_code ig_batcher_new(struct ig_batcher **out, const struct ig_batcher_options *options,
                            struct ig_err *err);
void ig_batcher_free(struct ig_batcher *batcher); /* NULL is allowed */

struct ig_batch;

enum ig_batcher_role {
    IG_BATCH_ALONE,    /* compute it as it is */
    IG_BATCH_LEADS,    /* *batch: close it at your turn, compute what that gives, then end it */
    IG_BATCH_ANSWERED, /* another thread computed it: the result is in `out` */
};
/* For a request that is not to be explained; `servable` is where its rows go. */
enum ig_batcher_role ig_batcher_enter(struct ig_batch **batch, struct ig_inference_result *out,
                                      struct ig_batcher *batcher,
                                      const struct ig_servable *servable,
                                      const struct ig_inference_request *request,
                                      struct ig_arena *arena);
/* No one joins any more: all rows as one request, in the arena. Once. False: no memory. */
bool ig_batch_close(struct ig_inference_request *out, struct ig_batch *batch,
                    struct ig_arena *arena);
/* Hands the result out, and the leader its own part; frees the batch. */
void ig_batch_end(struct ig_inference_result *own, struct ig_batch *batch,
                  const struct ig_inference_result *result);
/* It failed, closed or not: each of the others computes its own. Frees the batch; returns how many
 * they were. */
size_t ig_batch_fail(struct ig_batch *batch);

#endif
