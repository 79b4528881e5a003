/* SPDX-License-Identifier: Apache-2.0 */
/* Batches. One that is open is in the batcher's list; its members lie on the stacks of the threads
 * that wait for it, and the leader writes the results into memory that each brought along.
 *
 * Invariant, under `lock`: a member is WAITING until its batch has ended, and its thread does not
 * go on before. Thread rule: any; leaders compute without the lock. */
#include "services/deploy/batcher.h"

#include "base/clock.h"
#include "base/mem.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

struct ig_batcher {
    struct ig_batcher_options options;
    pthread_mutex_t lock;
    pthread_cond_t joined, ended;
    struct ig_batch *open;
};

enum state { WAITING, ANSWERED, ALONE };

struct member {
    struct member *next;
    const double *rows;
    size_t rows_count;
    double *margins, *predictions;
    uint32_t *skipped;
    bool skips; /* the batch's result has some */
    enum state state;
};

struct ig_batch {
    struct ig_batch *next; /* of the open ones */
    struct ig_batcher *batcher;
    const struct ig_servable *servable;
    struct ig_inference_request own; /* the leader's */
    struct member *first, **last;    /* the others, in order */
    size_t rows_count, others_count;
    bool is_closed;
};

enum ig_code ig_batcher_new(struct ig_batcher **out, const struct ig_batcher_options *options,
                            struct ig_err *err)
{
    struct ig_batcher *batcher = ig_zalloc(sizeof *batcher);
    pthread_condattr_t monotonic;
    if (!batcher) return ig_fail(err, IG_NO_MEMORY, "batches");
    batcher->options = *options;
    pthread_mutex_init(&batcher->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&batcher->joined, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_cond_init(&batcher->ended, NULL);
    *out = batcher;
    return IG_OK;
}

void ig_batcher_free(struct ig_batcher *batcher)
{
    if (!batcher) return;
    pthread_cond_destroy(&batcher->ended);
    pthread_cond_destroy(&batcher->joined);
    pthread_mutex_destroy(&batcher->lock);
    ig_free(batcher);
}

/* Under lock; nothing when it is closed already. */
static void close_batch(struct ig_batch *batch)
{
    struct ig_batch **at = &batch->batcher->open;
    if (batch->is_closed) return;
    while (*at != batch) at = &(*at)->next;
    *at = batch->next;
    batch->is_closed = true;
    pthread_cond_broadcast(&batch->batcher->joined);
}

/* Whether who waits for the batch is answered before the own deadline, if at all. */
static bool is_soon_enough(const struct ig_batch *batch, const struct ig_inference_request *request)
{
    return !request->deadline_ns ||
           (batch->own.deadline_ns && batch->own.deadline_ns <= request->deadline_ns);
}

/* The open batch of the model, when the request fits into it. Under lock. */
static struct ig_batch *find(struct ig_batcher *batcher, const struct ig_servable *servable,
                             const struct ig_inference_request *request)
{
    struct ig_batch *batch = batcher->open;
    while (batch && (batch->servable != servable || !is_soon_enough(batch, request)))
        batch = batch->next;
    if (!batch || batch->rows_count + request->rows_count <= batcher->options.rows_max)
        return batch;
    close_batch(batch);
    return NULL;
}

static void join(struct ig_batch *batch, struct member *member)
{
    struct ig_batcher *batcher = batch->batcher;
    *batch->last = member;
    batch->last = &member->next;
    batch->rows_count += member->rows_count;
    batch->others_count++;
    pthread_cond_broadcast(&batcher->joined);
    while (member->state == WAITING) pthread_cond_wait(&batcher->ended, &batcher->lock);
}

static bool lead(struct ig_batch **out, struct ig_batcher *batcher,
                 const struct ig_servable *servable, const struct ig_inference_request *request)
{
    struct ig_batch *batch = ig_zalloc(sizeof *batch);
    if (!batch) return false;
    batch->batcher = batcher;
    batch->servable = servable;
    batch->own = *request;
    batch->last = &batch->first;
    batch->rows_count = request->rows_count;
    batch->next = batcher->open;
    batcher->open = batch;
    *out = batch;
    return true;
}

enum ig_batcher_role ig_batcher_enter(struct ig_batch **out, struct ig_inference_result *result,
                                      struct ig_batcher *batcher,
                                      const struct ig_servable *servable,
                                      const struct ig_inference_request *request,
                                      struct ig_arena *arena)
{
    const struct ig_model *model = servable->package->model;
    size_t rows = request->rows_count;
    if (rows >= batcher->options.rows_max) return IG_BATCH_ALONE;
    struct member member = {.rows = request->rows, .rows_count = rows};
    member.margins = ig_arena_array(arena, rows, model->outputs_count * sizeof(double));
    member.predictions = ig_arena_array(arena, rows, model->predictions_count * sizeof(double));
    member.skipped = ig_arena_array(arena, rows, sizeof *member.skipped);
    if (!member.margins || !member.predictions || !member.skipped) return IG_BATCH_ALONE;
    pthread_mutex_lock(&batcher->lock);
    struct ig_batch *batch = find(batcher, servable, request);
    bool leads = !batch && lead(out, batcher, servable, request);
    if (batch) join(batch, &member);
    pthread_mutex_unlock(&batcher->lock);
    if (leads) return IG_BATCH_LEADS;
    if (!batch || member.state == ALONE) return IG_BATCH_ALONE;
    *result = (struct ig_inference_result){
        .rows_count = rows,
        .features_count = model->features_count,
        .outputs_count = model->outputs_count,
        .predictions_count = model->predictions_count,
        .margins = member.margins,
        .predictions = member.predictions,
        .skipped = member.skips ? member.skipped : NULL,
        .probabilities = ig_model_gives_probabilities(model),
    };
    return IG_BATCH_ANSWERED;
}

/* Under lock, which is given up meanwhile. */
static void linger(struct ig_batch *batch)
{
    struct ig_batcher *batcher = batch->batcher;
    uint64_t now_ns = ig_clock_ns(), until_ns = now_ns + batcher->options.linger_ns;
    uint64_t deadline_ns = batch->own.deadline_ns; /* half of what is left is for the answer */
    if (deadline_ns && deadline_ns < until_ns + batcher->options.linger_ns)
        until_ns = deadline_ns > now_ns ? now_ns + (deadline_ns - now_ns) / 2 : now_ns;
    const struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000),
                                   .tv_nsec = (long)(until_ns % 1000000000)};
    if (!batcher->options.linger_ns) return;
    while (!batch->is_closed && batch->rows_count < batcher->options.rows_max &&
           pthread_cond_timedwait(&batcher->joined, &batcher->lock, &until) == 0)
        ;
}

bool ig_batch_close(struct ig_inference_request *out, struct ig_batch *batch,
                    struct ig_arena *arena)
{
    struct ig_batcher *batcher = batch->batcher;
    size_t features = batch->servable->package->model->features_count;
    pthread_mutex_lock(&batcher->lock);
    linger(batch);
    close_batch(batch);
    pthread_mutex_unlock(&batcher->lock);
    *out = batch->own;
    if (!batch->first) return true;
    double *rows = ig_arena_array(arena, batch->rows_count, features * sizeof *rows), *at = rows;
    if (!rows) return false;
    memcpy(at, batch->own.rows, batch->own.rows_count * features * sizeof *rows);
    at += batch->own.rows_count * features;
    for (const struct member *member = batch->first; member; member = member->next) {
        memcpy(at, member->rows, member->rows_count * features * sizeof *rows);
        at += member->rows_count * features;
    }
    out->rows = rows;
    out->rows_count = batch->rows_count;
    return true;
}

/* The members may be gone as soon as the lock is given up. */
static void dismiss(struct ig_batch *batch, enum state state)
{
    struct ig_batcher *batcher = batch->batcher;
    pthread_mutex_lock(&batcher->lock);
    close_batch(batch);
    for (struct member *member = batch->first, *next; member; member = next) {
        next = member->next;
        member->state = state;
    }
    pthread_cond_broadcast(&batcher->ended);
    pthread_mutex_unlock(&batcher->lock);
    ig_free(batch);
}

void ig_batch_end(struct ig_inference_result *own, struct ig_batch *batch,
                  const struct ig_inference_result *result)
{
    size_t outputs = result->outputs_count, predictions = result->predictions_count;
    size_t row = batch->own.rows_count;
    for (struct member *member = batch->first; member; member = member->next) {
        memcpy(member->margins, result->margins + row * outputs,
               member->rows_count * outputs * sizeof(double));
        memcpy(member->predictions, result->predictions + row * predictions,
               member->rows_count * predictions * sizeof(double));
        member->skips = result->skipped != NULL;
        if (member->skips)
            memcpy(member->skipped, result->skipped + row,
                   member->rows_count * sizeof *member->skipped);
        row += member->rows_count;
    }
    *own = *result;
    own->rows_count = batch->own.rows_count;
    dismiss(batch, ANSWERED);
}

size_t ig_batch_fail(struct ig_batch *batch)
{
    /* It may still be open. */
    pthread_mutex_lock(&batch->batcher->lock);
    close_batch(batch);
    size_t others = batch->others_count;
    pthread_mutex_unlock(&batch->batcher->lock);
    dismiss(batch, ALONE);
    return others;
}
