/* SPDX-License-Identifier: Apache-2.0 */
/* A call for the mirrors is one block of memory with all that it needs, and a reference on the
 * routing. `bytes` keeps account of what waits. Thread rule: ig_mirror_call from any thread. */
#include "services/deploy/mirror.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "services/deploy/inference.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

enum { ARENA_CHUNK = 64 << 10, ARENA_MAX = 256 << 20 };

struct ig_mirror {
    struct ig_mirror_options options;
    struct ig_pool *pool;
    atomic_size_t bytes;
    atomic_uint_fast64_t taken, dropped;
};

struct job {
    struct ig_mirror *mirror;
    struct ig_mirror_call call;
    size_t bytes;
    uint32_t edges[IG_ROUTING_ARMS_MAX];
    uint32_t edges_count;
};

static void free_job(struct job *job)
{
    atomic_fetch_sub(&job->mirror->bytes, job->bytes);
    ig_routing_unref(job->call.routing);
    ig_free(job);
}

static void compare(struct ig_decision *decision, const struct ig_servable *servable,
                    const struct ig_inference_result *result, const struct ig_mirror_call *call)
{
    double sum = 0;
    for (size_t i = 0; i < result->rows_count; i++) {
        sum += ig_inference_score(result, i) - call->scores[i];
        decision->flips += ig_inference_class(servable, result, i) != call->labels[i];
    }
    decision->value = sum / (double)result->rows_count;
    ig_sha256(result->margins, result->rows_count * result->outputs_count * sizeof(double),
              decision->output_digest);
}

static void run_mirror(struct job *job, uint32_t edge, struct ig_arena *arena)
{
    const struct ig_mirror_call *call = &job->call;
    const struct ig_routing *routing = call->routing;
    const struct ig_routing_node *node = &routing->spec.nodes[call->node];
    uint32_t to = routing->spec.edges[node->first_edge + edge].to;
    const struct ig_servable *servable = ig_routing_servable(routing, to);
    const struct ig_feature_map *map = ig_routing_map(routing, to);
    uint32_t width = routing->schema->features_count;
    struct ig_inference_request request = {.rows = call->rows, .rows_count = call->rows_count};
    struct ig_inference_result result = {0};
    struct ig_err err = IG_ERR_INIT;
    char arms[IG_DECISION_ARMS_SIZE];
    size_t length = ig_routing_arm_text(arms, sizeof arms, routing, call->node, edge);
    struct ig_decision decision = {
        .kind = IG_DECISION_MIRROR,
        .at_ms = ig_clock_unix_ms(),
        .compute_ns = call->primary_ns,
        .version = servable->version,
        .revision = routing->revision,
        .rows = (uint32_t)call->rows_count,
        .status = 200,
        .request_id = call->request_id,
        .deployment = ig_str_view(routing->name),
        .model = ig_str_view(servable->members_count ? servable->node : servable->model),
        .arms = {arms, length}};
    if (!ig_feature_map_is_identity(map)) {
        double *rows = ig_arena_alloc(arena, call->rows_count * width * sizeof *rows);
        if (rows) ig_feature_map_rows(map, call->rows, call->rows_count, width, rows);
        request.rows = rows;
    }
    uint64_t started_ns = ig_clock_ns();
    if (request.rows && ig_inference_run(&result, servable, &request, arena, &err) == IG_OK)
        compare(&decision, servable, &result, call);
    else
        decision.status = 500;
    decision.latency_ns = ig_clock_ns() - started_ns;
    ig_decision_log_put_shared(job->mirror->options.log, &decision);
}

static void run_job(void *context)
{
    struct job *job = context;
    struct ig_arena arena;
    ig_arena_init(&arena, ARENA_CHUNK, ARENA_MAX);
    for (uint32_t i = 0; i < job->edges_count; i++) {
        ig_arena_reset(&arena);
        run_mirror(job, job->edges[i], &arena);
    }
    ig_arena_deinit(&arena);
    free_job(job);
}

/* The mirrors whose share this request is in. */
static uint32_t choose(uint32_t edges[IG_ROUTING_ARMS_MAX], const struct ig_mirror_call *call)
{
    static const unsigned char KEY[16] = "mirror";
    const struct ig_routing_node *node = &call->routing->spec.nodes[call->node];
    uint64_t hash = ig_siphash(KEY, call->request_id.ptr, call->request_id.len);
    uint32_t bucket = (uint32_t)((hash >> 32) * IG_ROUTING_WHOLE >> 32), count = 0;
    for (uint32_t i = 1; i < node->edges_count && count < IG_ROUTING_ARMS_MAX; i++)
        if (bucket < call->routing->spec.edges[node->first_edge + i].basis_points)
            edges[count++] = i;
    return count;
}

static void *place(char **at, const void *bytes, size_t size)
{
    void *to = *at;
    if (size) memcpy(to, bytes, size);
    *at += (size + 15) & ~(size_t)15;
    return to;
}

static struct job *new_job(struct ig_mirror *mirror, const struct ig_mirror_call *call)
{
    size_t rows = call->rows_count * call->routing->schema->features_count * sizeof(double);
    size_t scores = call->rows_count * sizeof(double), labels = call->rows_count * sizeof(int32_t);
    size_t bytes = sizeof(struct job) + rows + scores + labels + call->request_id.len + 5 * 16;
    size_t waiting = atomic_fetch_add(&mirror->bytes, bytes);
    struct job *job = waiting + bytes <= mirror->options.bytes_max ? ig_zalloc(bytes) : NULL;
    if (!job) {
        atomic_fetch_sub(&mirror->bytes, bytes);
        return NULL;
    }
    char *at = (char *)job + ((sizeof *job + 15) & ~(size_t)15);
    *job = (struct job){.mirror = mirror, .call = *call, .bytes = bytes};
    job->call.rows = place(&at, call->rows, rows);
    job->call.scores = place(&at, call->scores, scores);
    job->call.labels = place(&at, call->labels, labels);
    job->call.request_id.ptr = place(&at, call->request_id.ptr, call->request_id.len);
    ig_routing_ref(call->routing);
    return job;
}

void ig_mirror_call(struct ig_mirror *mirror, const struct ig_mirror_call *call)
{
    uint32_t edges[IG_ROUTING_ARMS_MAX], count = choose(edges, call);
    if (!count) return;
    struct job *job = new_job(mirror, call);
    if (job) {
        memcpy(job->edges, edges, sizeof edges);
        job->edges_count = count;
        if (ig_pool_submit(mirror->pool, run_job, job)) {
            atomic_fetch_add_explicit(&mirror->taken, count, memory_order_relaxed);
            return;
        }
        free_job(job);
    }
    atomic_fetch_add_explicit(&mirror->dropped, count, memory_order_relaxed);
}

enum ig_code ig_mirror_open(struct ig_mirror **out, const struct ig_mirror_options *options,
                            struct ig_err *err)
{
    struct ig_mirror *mirror = ig_zalloc(sizeof *mirror);
    if (!mirror) return ig_fail(err, IG_NO_MEMORY, "mirrors");
    mirror->options = *options;
    if (!mirror->options.threads) mirror->options.threads = 1;
    if (!mirror->options.queue_max) mirror->options.queue_max = 1024;
    if (!mirror->options.bytes_max) mirror->options.bytes_max = (size_t)64 << 20;
    if (ig_pool_new(&mirror->pool, "mirror", mirror->options.threads, mirror->options.queue_max,
                    err) != IG_OK) {
        ig_free(mirror);
        return err->code;
    }
    *out = mirror;
    return IG_OK;
}

void ig_mirror_close(struct ig_mirror *mirror)
{
    if (!mirror) return;
    ig_pool_free(mirror->pool);
    ig_free(mirror);
}

void ig_mirror_stats(struct ig_mirror *mirror, struct ig_mirror_stats *out)
{
    *out = (struct ig_mirror_stats){atomic_load(&mirror->taken), atomic_load(&mirror->dropped)};
}
