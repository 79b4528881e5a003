/* SPDX-License-Identifier: Apache-2.0 */
/* A row's value in the table: its margins, then its predictions. Thread rule: that of base/lru.h.
 */
#include "services/deploy/responses.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdatomic.h>
#include <string.h>

enum { VALUES_MAX = 4096 }; /* of a row; one with more is not kept */

struct ig_responses {
    struct ig_lru *lru;
    _Atomic uint64_t hit_ns, miss_ns;
};

enum ig_code ig_responses_new(struct ig_responses **out, size_t max_bytes, struct ig_err *err)
{
    struct ig_responses *responses = ig_zalloc(sizeof *responses);
    if (!responses) return ig_fail(err, IG_NO_MEMORY, "no memory for kept answers");
    if (ig_lru_new(&responses->lru, max_bytes, err) != IG_OK) {
        ig_free(responses);
        return err->code;
    }
    *out = responses;
    return IG_OK;
}

void ig_responses_free(struct ig_responses *responses)
{
    if (!responses) return;
    ig_lru_free(responses->lru);
    ig_free(responses);
}

static void spend(_Atomic uint64_t *sum_ns, uint64_t began_ns)
{
    atomic_fetch_add_explicit(sum_ns, ig_clock_ns() - began_ns, memory_order_relaxed);
}

/* What was put before that is too old. */
static uint64_t since_ns(const struct ig_routing *routing, uint64_t now_ns)
{
    uint64_t ttl_ns = (uint64_t)routing->spec.resources.cache_ttl_s * 1000000000;
    return ttl_ns && now_ns > ttl_ns ? now_ns - ttl_ns : 0;
}

static struct ig_lru_key key_of(const struct ig_routing *routing, uint32_t node)
{
    struct ig_lru_key key;
    ig_lru_context(key.context, routing->responses->lru,
                   (struct ig_str){(const char *)&node, sizeof node});
    return key;
}

static struct ig_str bytes_of(const double *rows, size_t row, size_t features)
{
    return (struct ig_str){(const char *)(rows + row * features), features * sizeof *rows};
}

static bool find(struct ig_inference_result *out, const struct ig_routing *routing, uint32_t node,
                 const struct ig_inference_request *request, struct ig_arena *arena,
                 uint64_t oldest_ns)
{
    const struct ig_model *model = ig_routing_servable(routing, node)->package->model;
    size_t rows = request->rows_count, outputs = model->outputs_count;
    size_t predictions = model->predictions_count, bytes = (outputs + predictions) * sizeof(double);
    struct ig_lru_key key = key_of(routing, node);
    double *margins = ig_arena_array(arena, rows, outputs * sizeof *margins);
    double *predicted = ig_arena_array(arena, rows, predictions * sizeof *predicted);
    if (!margins || !predicted) return false;
    for (size_t i = 0; i < rows; i++) {
        key.bytes = bytes_of(request->rows, i, model->features_count);
        struct ig_str value = ig_lru_get(routing->responses->lru, &key, oldest_ns, arena);
        if (value.len != bytes) return false;
        memcpy(margins + i * outputs, value.ptr, outputs * sizeof *margins);
        memcpy(predicted + i * predictions, value.ptr + outputs * sizeof *margins,
               predictions * sizeof *predicted);
    }
    *out = (struct ig_inference_result){.rows_count = rows,
                                        .features_count = model->features_count,
                                        .outputs_count = outputs,
                                        .predictions_count = predictions,
                                        .margins = margins,
                                        .predictions = predicted,
                                        .probabilities = ig_model_gives_probabilities(model)};
    return true;
}

bool ig_responses_find(struct ig_inference_result *out, const struct ig_routing *routing,
                       uint32_t node, const struct ig_inference_request *request,
                       struct ig_arena *arena)
{
    struct ig_responses *responses = routing->responses;
    uint64_t began_ns = ig_clock_ns();
    bool found = find(out, routing, node, request, arena, since_ns(routing, began_ns));
    spend(found ? &responses->hit_ns : &responses->miss_ns, began_ns);
    return found;
}

void ig_responses_keep(const struct ig_routing *routing, uint32_t node,
                       const struct ig_inference_request *request,
                       const struct ig_inference_result *result)
{
    double values[VALUES_MAX];
    size_t outputs = result->outputs_count, predictions = result->predictions_count;
    uint64_t began_ns = ig_clock_ns(), oldest_ns = since_ns(routing, began_ns);
    struct ig_lru_key key = key_of(routing, node);
    if (outputs + predictions > VALUES_MAX) return;
    for (size_t i = 0; i < result->rows_count; i++) {
        if (result->skipped && result->skipped[i]) continue; /* next time all may answer */
        memcpy(values, result->margins + i * outputs, outputs * sizeof *values);
        memcpy(values + outputs, result->predictions + i * predictions,
               predictions * sizeof *values);
        key.bytes = bytes_of(request->rows, i, result->features_count);
        ig_lru_put(routing->responses->lru, &key,
                   (struct ig_str){(const char *)values, (outputs + predictions) * sizeof *values},
                   oldest_ns);
    }
    spend(&routing->responses->miss_ns, began_ns);
}

struct ig_responses_stats ig_responses_stats(const struct ig_routing *routing)
{
    struct ig_lru_stats rows;
    struct ig_responses *responses = routing->responses;
    if (!responses) return (struct ig_responses_stats){0};
    ig_lru_stats(responses->lru, &rows);
    return (struct ig_responses_stats){
        .hits = rows.hits,
        .misses = rows.misses,
        .hit_ns = atomic_load_explicit(&responses->hit_ns, memory_order_relaxed),
        .miss_ns = atomic_load_explicit(&responses->miss_ns, memory_order_relaxed),
    };
}
