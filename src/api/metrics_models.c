/* SPDX-License-Identifier: Apache-2.0 */
/* Counters by deployment under the names that Triton's dashboards know, from what the decision log
 * counted. Times are microseconds; what comes before the inference is compute_input. */
#include "api/metrics.h"

#include "api/oip_model.h"
#include "base/mem.h"
#include "services/deploy/replica_set.h"
#include "services/deploy/responses.h"

/* What is told of a deployment: one row here and one value in counts_of. */
enum {
    ANSWERED,
    FAILED,
    ROWS,
    RUN,
    REQUEST_US,
    QUEUE_US,
    INPUT_US,
    INFER_US,
    OUTPUT_US,
    COUNTERS_COUNT
};

static const struct {
    const char *name, *labels, *doc;
} COUNTERS[COUNTERS_COUNT] = {
    [ANSWERED] = {"nv_inference_request_success", "", "Calls that were answered."},
    [FAILED] = {"nv_inference_request_failure", ",reason=\"OTHER\"",
                "Calls that failed by our fault."},
    [ROWS] = {"nv_inference_count", "", "Rows that were answered."},
    [RUN] = {"nv_inference_exec_count", "", "Inferences that were run."},
    [REQUEST_US] = {"nv_inference_request_duration_us", "",
                    "Time of the calls that were answered."},
    [QUEUE_US] = {"nv_inference_queue_duration_us", "", "Of that, in a queue: none."},
    [INPUT_US] = {"nv_inference_compute_input_duration_us", "", "Of that, before the inference."},
    [INFER_US] = {"nv_inference_compute_infer_duration_us", "", "Of that, the inference."},
    [OUTPUT_US] = {"nv_inference_compute_output_duration_us", "", "Of that, behind the inference."},
};

static void counts_of(uint64_t out[COUNTERS_COUNT], const struct ig_learned_totals *totals)
{
    uint64_t known = totals->before_ns + totals->compute_ns;
    out[ANSWERED] = out[RUN] = totals->answers;
    out[FAILED] = totals->errors;
    out[ROWS] = totals->rows;
    out[REQUEST_US] = totals->latency_ns / 1000;
    out[QUEUE_US] = 0; /* calls do not queue apart from being read */
    out[INPUT_US] = totals->before_ns / 1000;
    out[INFER_US] = totals->compute_ns / 1000;
    out[OUTPUT_US] = totals->latency_ns > known ? (totals->latency_ns - known) / 1000 : 0;
}

static void write_line(struct ig_buf *buf, size_t counter, const struct ig_routing *routing,
                       const struct ig_learned_totals *totals)
{
    uint64_t counts[COUNTERS_COUNT];
    counts_of(counts, totals);
    ig_buf_printf(buf, "%s{model=\"%s\",version=\"%lld\"%s} %llu\n", COUNTERS[counter].name,
                  routing->name, (long long)ig_oip_version(routing), COUNTERS[counter].labels,
                  (unsigned long long)counts[counter]);
}

/* And of an isolated one: a row here, a value in measure. */
enum { RUNNING, BUSY, WAITING, CRASHED, CPU_SECONDS, MEMORY, REPLICAS_COUNT };

static const struct {
    const char *name, *type, *doc;
} REPLICAS[REPLICAS_COUNT] = {
    [RUNNING] = {"ingot_replicas", "gauge", "Processes of isolated deployments."},
    [BUSY] = {"ingot_replicas_busy", "gauge", "Of those, with a call under way."},
    [WAITING] = {"ingot_replicas_waiting_calls", "gauge", "Calls that wait for a process."},
    [CRASHED] = {"ingot_replicas_failed_total", "counter", "Processes that ended by themselves."},
    [CPU_SECONDS] = {"ingot_replicas_cpu_seconds_total", "counter", "CPU time of their calls."},
    [MEMORY] = {"ingot_replicas_resident_bytes", "gauge", "Memory, as each said at its last call."},
};

static void measure(double out[REPLICAS_COUNT], struct ig_replicas *replicas)
{
    struct ig_replicas_stats stats = {0};
    if (replicas) ig_replicas_stats(&stats, replicas);
    out[RUNNING] = stats.running;
    out[BUSY] = stats.busy;
    out[WAITING] = stats.waiting;
    out[CRASHED] = (double)stats.crashed;
    out[CPU_SECONDS] = (double)stats.cpu_ns * 1e-9;
    out[MEMORY] = (double)stats.memory_bytes;
}

static void write_replicas(struct ig_buf *buf, const struct ig_routing **routings, size_t count)
{
    for (size_t i = 0; i < REPLICAS_COUNT; i++) {
        bool has_head = false;
        for (size_t r = 0; r < count; r++) {
            double values[REPLICAS_COUNT];
            if (!routings[r]->replicas) continue;
            if (!has_head)
                ig_buf_printf(buf, "# HELP %s %s\n# TYPE %s %s\n", REPLICAS[i].name,
                              REPLICAS[i].doc, REPLICAS[i].name, REPLICAS[i].type);
            has_head = true;
            measure(values, routings[r]->replicas);
            ig_buf_printf(buf, "%s{deployment=\"%s\"} %.9g\n", REPLICAS[i].name, routings[r]->name,
                          values[i]);
        }
    }
}

/* Only calls of isolated deployments wait. */
static void write_pending(struct ig_buf *buf, const struct ig_routing **routings, size_t count)
{
    if (count)
        ig_buf_printf(buf, "# HELP nv_inference_pending_request_count Calls that wait for a "
                           "process.\n# TYPE nv_inference_pending_request_count gauge\n");
    for (size_t r = 0; r < count; r++) {
        double values[REPLICAS_COUNT];
        measure(values, routings[r]->replicas);
        ig_buf_printf(buf,
                      "nv_inference_pending_request_count{model=\"%s\",version=\"%lld\"} %.0f\n",
                      routings[r]->name, (long long)ig_oip_version(routings[r]), values[WAITING]);
    }
}

static uint64_t hits(const struct ig_responses_stats *stats)
{
    return stats->hits;
}

static uint64_t misses(const struct ig_responses_stats *stats)
{
    return stats->misses;
}

static uint64_t hit_us(const struct ig_responses_stats *stats)
{
    return stats->hit_ns / 1000;
}

static uint64_t miss_us(const struct ig_responses_stats *stats)
{
    return stats->miss_ns / 1000;
}

static const struct {
    const char *name, *doc;
    uint64_t (*value)(const struct ig_responses_stats *stats);
} CACHES[] = {
    {"nv_cache_num_hits_per_model", "Rows whose answer was kept.", hits},
    {"nv_cache_num_misses_per_model", "Rows whose answer was computed.", misses},
    {"nv_cache_hit_duration_per_model", "Microseconds of looking up kept answers.", hit_us},
    {"nv_cache_miss_duration_per_model",
     "Microseconds of looking up answers that were not kept, and of keeping them.", miss_us},
};
enum { CACHES_COUNT = sizeof CACHES / sizeof *CACHES };

/* By deployment that keeps answers. */
static void write_caches(struct ig_buf *buf, const struct ig_routing **routings, size_t count)
{
    for (size_t i = 0; i < CACHES_COUNT; i++) {
        bool has_head = false;
        for (size_t r = 0; r < count; r++) {
            if (!routings[r]->responses) continue;
            if (!has_head)
                ig_buf_printf(buf, "# HELP %s %s\n# TYPE %s counter\n", CACHES[i].name,
                              CACHES[i].doc, CACHES[i].name);
            has_head = true;
            struct ig_responses_stats stats = ig_responses_stats(routings[r]);
            ig_buf_printf(buf, "%s{model=\"%s\",version=\"%lld\"} %llu\n", CACHES[i].name,
                          routings[r]->name, (long long)ig_oip_version(routings[r]),
                          (unsigned long long)CACHES[i].value(&stats));
        }
    }
}

static void write_loads(struct ig_buf *buf, const struct ig_routing **routings, size_t count)
{
    if (count)
        ig_buf_printf(buf, "# HELP nv_model_load_duration_secs Seconds that loading the "
                           "deployment's revision took.\n"
                           "# TYPE nv_model_load_duration_secs gauge\n");
    for (size_t r = 0; r < count; r++)
        ig_buf_printf(buf, "nv_model_load_duration_secs{model=\"%s\",version=\"%lld\"} %.9g\n",
                      routings[r]->name, (long long)ig_oip_version(routings[r]),
                      (double)routings[r]->load_ns * 1e-9);
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
    write_pending(buf, routings, count);
    write_replicas(buf, routings, count);
    write_caches(buf, routings, count);
    write_loads(buf, routings, count);
    for (size_t r = 0; r < count; r++) ig_routing_unref(routings[r]);
    ig_free(routings);
}
