/* SPDX-License-Identifier: Apache-2.0 */
/* A row's value in the table: its margins, then its predictions. Thread rule: that of base/lru.h.
 */
#include "services/deploy/responses.h"

#include "base/clock.h"

#include <string.h>

enum { VALUES_MAX = 4096 }; /* of a row; one with more is not kept */

/* What was put before that is too old. */
static uint64_t since_ns(const struct ig_routing *routing)
{
    uint64_t ttl_ns = (uint64_t)routing->spec.resources.cache_ttl_s * 1000000000;
    uint64_t now_ns = ig_clock_ns();
    return ttl_ns && now_ns > ttl_ns ? now_ns - ttl_ns : 0;
}

static struct ig_lru_key key_of(const struct ig_routing *routing, uint32_t node)
{
    struct ig_lru_key key;
    ig_lru_context(key.context, routing->responses,
                   (struct ig_str){(const char *)&node, sizeof node});
    return key;
}

static struct ig_str bytes_of(const double *rows, size_t row, size_t features)
{
    return (struct ig_str){(const char *)(rows + row * features), features * sizeof *rows};
}

bool ig_responses_find(struct ig_inference_result *out, const struct ig_routing *routing,
                       uint32_t node, const struct ig_inference_request *request,
                       struct ig_arena *arena)
{
    const struct ig_model *model = ig_routing_servable(routing, node)->package->model;
    size_t rows = request->rows_count, outputs = model->outputs_count;
    size_t predictions = model->predictions_count, bytes = (outputs + predictions) * sizeof(double);
    uint64_t oldest_ns = since_ns(routing);
    struct ig_lru_key key = key_of(routing, node);
    double *margins = ig_arena_array(arena, rows, outputs * sizeof *margins);
    double *predicted = ig_arena_array(arena, rows, predictions * sizeof *predicted);
    if (!margins || !predicted) return false;
    for (size_t i = 0; i < rows; i++) {
        key.bytes = bytes_of(request->rows, i, model->features_count);
        struct ig_str value = ig_lru_get(routing->responses, &key, oldest_ns, arena);
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

void ig_responses_keep(const struct ig_routing *routing, uint32_t node,
                       const struct ig_inference_request *request,
                       const struct ig_inference_result *result)
{
    double values[VALUES_MAX];
    size_t outputs = result->outputs_count, predictions = result->predictions_count;
    uint64_t oldest_ns = since_ns(routing);
    struct ig_lru_key key = key_of(routing, node);
    if (outputs + predictions > VALUES_MAX) return;
    for (size_t i = 0; i < result->rows_count; i++) {
        if (result->skipped && result->skipped[i]) continue; /* next time all may answer */
        memcpy(values, result->margins + i * outputs, outputs * sizeof *values);
        memcpy(values + outputs, result->predictions + i * predictions,
               predictions * sizeof *values);
        key.bytes = bytes_of(request->rows, i, result->features_count);
        ig_lru_put(routing->responses, &key,
                   (struct ig_str){(const char *)values, (outputs + predictions) * sizeof *values},
                   oldest_ns);
    }
}

struct ig_lru_stats ig_responses_stats(const struct ig_routing *routing)
{
    struct ig_lru_stats stats = {0};
    if (routing->responses) ig_lru_stats(routing->responses, &stats);
    return stats;
}
