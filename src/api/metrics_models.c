/* SPDX-License-Identifier: Apache-2.0 */
/* Counters by deployment under the names that Triton's dashboards know, from what the decision log
 * counted. Times are microseconds; what comes before the inference is compute_input. */
#include "api/metrics.h"

#include "api/oip_model.h"
#include "base/lru.h"
#include "base/mem.h"
#include "services/deploy/replica_set.h"

static const struct {
    const char *name, *labels, *doc;
    size_t offset; /* into struct ig_learned_totals */
    uint64_t divisor;
} COUNTERS[] = {
    {"nv_inference_request_success", "", "Calls that were answered.",
     offsetof(struct ig_learned_totals, answers), 1},
    {"nv_inference_request_failure", ",reason=\"OTHER\"", "Calls that failed by our fault.",
     offsetof(struct ig_learned_totals, errors), 1},
    {"nv_inference_count", "", "Rows that were answered.", offsetof(struct ig_learned_totals, rows),
     1},
    {"nv_inference_exec_count", "", "Inferences that were run.",
     offsetof(struct ig_learned_totals, answers), 1},
    {"nv_inference_request_duration_us", "", "Time of the calls that were answered.",
     offsetof(struct ig_learned_totals, latency_ns), 1000},
    {"nv_inference_compute_input_duration_us", "", "Of that, before the inference.",
     offsetof(struct ig_learned_totals, before_ns), 1000},
    {"nv_inference_compute_infer_duration_us", "", "Of that, the inference.",
     offsetof(struct ig_learned_totals, compute_ns), 1000},
};
enum { COUNTERS_COUNT = sizeof COUNTERS / sizeof *COUNTERS };

static double running(const struct ig_replicas_stats *stats)
{
    return stats->running;
}

static double busy(const struct ig_replicas_stats *stats)
{
    return stats->busy;
}

static double waiting(const struct ig_replicas_stats *stats)
{
    return stats->waiting;
}

static double failed(const struct ig_replicas_stats *stats)
{
    return (double)stats->crashed;
}

static double cpu_seconds(const struct ig_replicas_stats *stats)
{
    return (double)stats->cpu_ns * 1e-9;
}

static double memory(const struct ig_replicas_stats *stats)
{
    return (double)stats->memory_bytes;
}

static void write_line(struct ig_buf *buf, size_t counter, const struct ig_routing *routing,
                       const struct ig_learned_totals *totals)
{
    const char *at = (const char *)totals + COUNTERS[counter].offset;
    uint64_t value = *(const uint64_t *)(const void *)at / COUNTERS[counter].divisor;
    ig_buf_printf(buf, "%s{model=\"%s\",version=\"%lld\"%s} %llu\n", COUNTERS[counter].name,
                  routing->name, (long long)ig_oip_version(routing), COUNTERS[counter].labels,
                  (unsigned long long)value);
}

static const struct {
    const char *name, *type, *doc;
    double (*value)(const struct ig_replicas_stats *stats);
} REPLICAS[] = {
    {"ingot_replicas", "gauge", "Processes of isolated deployments.", running},
    {"ingot_replicas_busy", "gauge", "Of those, with a call under way.", busy},
    {"ingot_replicas_waiting_calls", "gauge", "Calls that wait for a process.", waiting},
    {"ingot_replicas_failed_total", "counter", "Processes that ended by themselves.", failed},
    {"ingot_replicas_cpu_seconds_total", "counter", "CPU time of their calls.", cpu_seconds},
    {"ingot_replicas_resident_bytes", "gauge", "Memory, as each said at its last call.", memory},
};
enum { REPLICAS_COUNT = sizeof REPLICAS / sizeof *REPLICAS };

static void write_replicas(struct ig_buf *buf, const struct ig_routing **routings, size_t count)
{
    for (size_t i = 0; i < REPLICAS_COUNT; i++) {
        bool has_head = false;
        for (size_t r = 0; r < count; r++) {
            struct ig_replicas_stats stats;
            if (!routings[r]->replicas) continue;
            if (!has_head)
                ig_buf_printf(buf, "# HELP %s %s\n# TYPE %s %s\n", REPLICAS[i].name,
                              REPLICAS[i].doc, REPLICAS[i].name, REPLICAS[i].type);
            has_head = true;
            ig_replicas_stats(&stats, routings[r]->replicas);
            ig_buf_printf(buf, "%s{deployment=\"%s\"} %.9g\n", REPLICAS[i].name, routings[r]->name,
                          REPLICAS[i].value(&stats));
        }
    }
}

/* Rows by deployment that keeps answers, under Triton's names. */
static void write_caches(struct ig_buf *buf, const struct ig_routing **routings, size_t count)
{
    static const char *const NAMES[2] = {"nv_cache_num_hits_per_model",
                                         "nv_cache_num_misses_per_model"};
    for (int i = 0; i < 2; i++) {
        bool has_head = false;
        for (size_t r = 0; r < count; r++) {
            struct ig_lru_stats stats;
            if (!routings[r]->responses) continue;
            if (!has_head)
                ig_buf_printf(buf, "# HELP %s Rows whose answer was %s.\n# TYPE %s counter\n",
                              NAMES[i], i ? "computed" : "kept", NAMES[i]);
            has_head = true;
            ig_lru_stats(routings[r]->responses, &stats);
            ig_buf_printf(buf, "%s{model=\"%s\",version=\"%lld\"} %llu\n", NAMES[i],
                          routings[r]->name, (long long)ig_oip_version(routings[r]),
                          (unsigned long long)(i ? stats.misses : stats.hits));
        }
    }
}

void ig_metrics_models(struct ig_buf *buf, struct ig_app *app)
{
    const struct ig_routing **routings = NULL;
    struct ig_err err = IG_ERR_INIT;
    size_t count = 0;
    if (!app->deploy || !app->learning ||
        ig_deploy_get_all(&routings, &count, app->deploy, &err) != IG_OK)
        return;
    for (size_t i = 0; i < COUNTERS_COUNT && count; i++) {
        ig_buf_printf(buf, "# HELP %s %s\n# TYPE %s counter\n", COUNTERS[i].name, COUNTERS[i].doc,
                      COUNTERS[i].name);
        for (size_t r = 0; r < count; r++) {
            struct ig_learned_totals totals;
            ig_learning_totals(&totals, app->learning, ig_str_view(routings[r]->name));
            write_line(buf, i, routings[r], &totals);
        }
    }
    write_replicas(buf, routings, count);
    write_caches(buf, routings, count);
    for (size_t r = 0; r < count; r++) ig_routing_unref(routings[r]);
    ig_free(routings);
}
