/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics: one block of counters a loop, on cache lines of its own. A counter has one writer, so a
 * relaxed load and store make an increment; a scrape reads them relaxed and sums. */
#include "api/metrics.h"

#include "api/route.h"
#include "base/clock.h"
#include "base/mem.h"
#include "services/deploy/residency.h"
#include "services/gateway/gateway_call.h"

#include <dirent.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ROUTES_MAX = 384, CLASSES = 6, BUCKETS = 16 };

/* Upper bounds in seconds; the last bucket is +Inf. */
static const double bounds[BUCKETS - 1] = {5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3,
                                           2e-3, 5e-3, 0.01, 0.05, 0.1,  1,    10};

typedef atomic_uint_fast64_t counter;

struct loop_metrics {
    _Alignas(64) counter requests[ROUTES_MAX][CLASSES];
    counter latency[ROUTES_MAX][BUCKETS];
    counter latency_ns[ROUTES_MAX];
    counter rows;
    counter pooled, gathered;
    uint64_t tickets; /* the loop's own */
};

struct ig_metrics {
    struct loop_metrics *loops;
    unsigned loops_count;
};

enum metric {
#define IG_METRIC(id, name, type, doc) METRIC_##id,
#include "api/metrics.def"
#undef IG_METRIC
    METRICS_COUNT
};

static const struct {
    const char *name, *type, *doc;
} table[METRICS_COUNT] = {
#define IG_METRIC(id, name, type, doc) {name, type, doc},
#include "api/metrics.def"
#undef IG_METRIC
};

enum ig_code ig_metrics_new(struct ig_metrics **out, unsigned loops, struct ig_err *err)
{
    IG_ASSERT(ig_routes_count() < ROUTES_MAX);
    size_t bytes;
    struct ig_metrics *metrics = ig_zalloc(sizeof *metrics);
    if (!metrics || !ig_mul(&bytes, loops, sizeof *metrics->loops)) goto fail;
    metrics->loops_count = loops;
    metrics->loops = ig_alloc_aligned(64, bytes);
    if (!metrics->loops) goto fail;
    memset(metrics->loops, 0, bytes);
    *out = metrics;
    return IG_OK;
fail:
    ig_free(metrics);
    return ig_fail(err, IG_NO_MEMORY, "no memory for the metrics");
}

void ig_metrics_free(struct ig_metrics *metrics)
{
    if (!metrics) return;
    ig_free(metrics->loops);
    ig_free(metrics);
}

static void add(counter *count, uint64_t more)
{
    uint64_t now = atomic_load_explicit(count, memory_order_relaxed);
    atomic_store_explicit(count, now + more, memory_order_relaxed);
}

static size_t bucket_of(uint64_t duration_ns)
{
    double seconds = (double)duration_ns * 1e-9;
    size_t bucket = 0;
    while (bucket < BUCKETS - 1 && seconds > bounds[bucket]) bucket++;
    return bucket;
}

/* Unknown routes share the last row. */
void ig_metrics_count(struct ig_metrics *metrics, const struct ig_call *call, uint64_t duration_ns,
                      uint64_t rows)
{
    struct loop_metrics *loop = &metrics->loops[call->exchange->loop % metrics->loops_count];
    size_t route = call->route ? ig_route_index(call->route) : ROUTES_MAX - 1;
    int class = call->exchange->status / 100;
    add(&loop->requests[route][class >= 0 && class < CLASSES ? class : 0], 1);
    add(&loop->latency[route][bucket_of(duration_ns)], 1);
    add(&loop->latency_ns[route], duration_ns);
    if (rows) add(&loop->rows, rows);
    if (call->in_pool) add(&loop->pooled, 1);
    if (call->gathered) add(&loop->gathered, 1);
}

uint64_t ig_metrics_ticket(struct ig_metrics *metrics, unsigned loop)
{
    unsigned index = loop % metrics->loops_count;
    return (uint64_t)index << 56 | metrics->loops[index].tickets++;
}

static uint64_t sum_of(const struct ig_metrics *metrics, size_t offset)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < metrics->loops_count; i++)
        sum += atomic_load_explicit((counter *)((char *)&metrics->loops[i] + offset),
                                    memory_order_relaxed);
    return sum;
}

#define SUM(metrics, member) sum_of((metrics), offsetof(struct loop_metrics, member))

static size_t requests_offset(size_t route, size_t class)
{
    return offsetof(struct loop_metrics, requests) + sizeof(counter) * (route * CLASSES + class);
}

static size_t latency_offset(size_t route, size_t bucket)
{
    return offsetof(struct loop_metrics, latency) + sizeof(counter) * (route * BUCKETS + bucket);
}

static void write_head(struct ig_buf *buf, enum metric metric)
{
    ig_buf_printf(buf, "# HELP %s %s\n# TYPE %s %s\n", table[metric].name, table[metric].doc,
                  table[metric].name, table[metric].type);
}

static void write_plain(struct ig_buf *buf, enum metric metric, double value)
{
    write_head(buf, metric);
    ig_buf_printf(buf, "%s %.17g\n", table[metric].name, value);
}

/* Method and path of a row; the last row is for what no route took. */
static void write_route(struct ig_buf *buf, size_t route)
{
    if (route < ig_routes_count())
        ig_buf_printf(buf, "{method=\"%s\",route=\"%s\"", IG_ROUTES[route].method,
                      IG_ROUTES[route].path);
    else
        ig_buf_add_cstr(buf, "{method=\"\",route=\"\"");
}

static void write_requests(struct ig_buf *buf, const struct ig_metrics *metrics)
{
    write_head(buf, METRIC_REQUESTS);
    for (size_t route = 0; route < ROUTES_MAX; route++) {
        for (size_t class = 0; class < CLASSES; class ++) {
            uint64_t count = sum_of(metrics, requests_offset(route, class));
            if (!count) continue;
            ig_buf_add_cstr(buf, table[METRIC_REQUESTS].name);
            write_route(buf, route);
            ig_buf_printf(buf, ",status=\"%zuxx\"} %llu\n", class, (unsigned long long)count);
        }
    }
}

static void write_latency_of(struct ig_buf *buf, const struct ig_metrics *metrics, size_t route)
{
    const char *name = table[METRIC_LATENCY].name;
    uint64_t total = 0;
    for (size_t bucket = 0; bucket < BUCKETS; bucket++) {
        total += sum_of(metrics, latency_offset(route, bucket));
        ig_buf_printf(buf, "%s_bucket", name);
        write_route(buf, route);
        if (bucket < BUCKETS - 1)
            ig_buf_printf(buf, ",le=\"%g\"} %llu\n", bounds[bucket], (unsigned long long)total);
        else
            ig_buf_printf(buf, ",le=\"+Inf\"} %llu\n", (unsigned long long)total);
    }
    size_t offset = offsetof(struct loop_metrics, latency_ns) + sizeof(counter) * route;
    ig_buf_printf(buf, "%s_sum", name);
    write_route(buf, route);
    ig_buf_printf(buf, "} %.9g\n%s_count", (double)sum_of(metrics, offset) * 1e-9, name);
    write_route(buf, route);
    ig_buf_printf(buf, "} %llu\n", (unsigned long long)total);
}

static void write_latency(struct ig_buf *buf, const struct ig_metrics *metrics)
{
    write_head(buf, METRIC_LATENCY);
    for (size_t route = 0; route < ROUTES_MAX; route++) {
        uint64_t total = 0;
        for (size_t bucket = 0; bucket < BUCKETS; bucket++)
            total += sum_of(metrics, latency_offset(route, bucket));
        if (total) write_latency_of(buf, metrics, route);
    }
}

static double resident_bytes(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file) return 0;
    if (fscanf(file, "%*u %llu", &pages) != 1) pages = 0;
    fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double open_fds(void)
{
    double count = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (!dir) return 0;
    while (readdir(dir)) count++;
    closedir(dir);
    return count - 3;
}

static double serving(struct ig_app *app, struct ig_arena *arena)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_deployments list = {NULL, 0};
    double count = 0;
    if (!app->deploy || ig_deploy_list(&list, app->deploy, arena, &err) != IG_OK) return 0;
    for (size_t i = 0; i < list.count; i++) count += ig_str_is(list.items[i].state, "serving");
    return count;
}

static void write_server(struct ig_buf *buf, struct ig_app *app)
{
    struct ig_http_server *server = atomic_load(&app->server);
    struct ig_http_stats stats = {0};
    if (server) ig_http_server_stats(server, &stats);
    write_plain(buf, METRIC_REFUSED, (double)stats.requests_refused);
    write_plain(buf, METRIC_RECEIVED, (double)stats.received_bytes);
    write_plain(buf, METRIC_SENT, (double)stats.sent_bytes);
    write_plain(buf, METRIC_CONNECTIONS, (double)stats.connections_open);
    write_plain(buf, METRIC_ACCEPTED, (double)stats.connections_accepted);
    write_plain(buf, METRIC_QUEUED, (double)stats.workers_queued);
    write_plain(buf, METRIC_STREAMS, (double)stats.streams_active);
    write_plain(buf, METRIC_HANDSHAKES, (double)stats.tls_handshakes);
    write_plain(buf, METRIC_HANDSHAKES_FAILED, (double)stats.tls_failed);
}

static void write_webhooks(struct ig_buf *buf, struct ig_app *app)
{
    struct ig_webhooks_stats stats = {0};
    if (app->webhooks) ig_webhooks_stats(&stats, app->webhooks);
    write_plain(buf, METRIC_WEBHOOKS_DELIVERED, (double)stats.delivered);
    write_plain(buf, METRIC_WEBHOOKS_RETRIED, (double)stats.retried);
    write_plain(buf, METRIC_WEBHOOKS_GIVEN_UP, (double)stats.given_up);
}

static void write_gateway(struct ig_buf *buf, struct ig_app *app)
{
    struct ig_gateway_stats stats = {0};
    if (app->gateway) ig_gateway_stats(&stats, app->gateway);
    write_plain(buf, METRIC_GATEWAY_CALLS, (double)stats.calls);
    write_plain(buf, METRIC_GATEWAY_FAILED, (double)stats.failed);
    write_plain(buf, METRIC_GATEWAY_INPUT, (double)stats.input_tokens);
    write_plain(buf, METRIC_GATEWAY_OUTPUT, (double)stats.output_tokens);
}

static void write_fleet(struct ig_buf *buf, struct ig_app *app)
{
    struct ig_fleet_counts counts = {0};
    struct ig_err err = IG_ERR_INIT;
    if (app->fleet && ig_fleet_count(&counts, app->fleet, &err) != IG_OK) return;
    write_head(buf, METRIC_FLEET_DEVICES);
    for (int i = 0; i <= IG_FLEET_STATES_COUNT; i++)
        ig_buf_printf(buf, "%s{state=\"%s\"} %lld\n", table[METRIC_FLEET_DEVICES].name,
                      i < IG_FLEET_STATES_COUNT ? ig_fleet_state_name((enum ig_fleet_state)i)
                                                : "none",
                      (long long)counts.by_state[i]);
    write_plain(buf, METRIC_FLEET_SEEN, (double)counts.seen_last_hour);
    write_plain(buf, METRIC_FLEET_DRIFTING, (double)counts.drifting);
}

static void write_services(struct ig_buf *buf, struct ig_app *app, struct ig_arena *arena)
{
    struct ig_decision_stats decisions = {0};
    struct ig_mirror_stats mirrored = {0};
    struct ig_db_stats db = {0};
    if (app->decisions) ig_decision_log_stats(app->decisions, &decisions);
    if (app->db) ig_db_stats(app->db, &db);
    struct ig_lru_stats cache = {0};
    if (app->explain_cache) ig_explain_cache_stats(app->explain_cache, &cache);
    write_plain(buf, METRIC_CACHE_HITS, (double)cache.hits);
    write_plain(buf, METRIC_CACHE_MISSES, (double)cache.misses);
    write_plain(buf, METRIC_CACHE_EVICTED, (double)cache.evicted);
    write_plain(buf, METRIC_CACHE_ENTRIES, (double)cache.entries);
    write_plain(buf, METRIC_CACHE_BYTES, (double)cache.bytes);
    write_plain(buf, METRIC_DECISIONS, (double)decisions.accepted);
    write_plain(buf, METRIC_DECISIONS_DROPPED, (double)decisions.dropped);
    if (app->mirror) ig_mirror_stats(app->mirror, &mirrored);
    write_plain(buf, METRIC_MIRRORED, (double)mirrored.taken);
    write_plain(buf, METRIC_MIRROR_DROPPED, (double)mirrored.dropped);
    write_plain(buf, METRIC_TRACES_DROPPED, (double)ig_traces_dropped(app->traces));
    write_webhooks(buf, app);
    write_gateway(buf, app);
    write_fleet(buf, app);
    write_plain(buf, METRIC_DEPLOYMENTS, serving(app, arena));
    struct ig_residency_stats residency = {0};
    if (app->deploy && ig_deploy_residency(app->deploy))
        ig_residency_stats(&residency, ig_deploy_residency(app->deploy));
    write_plain(buf, METRIC_RESIDENT_MODELS, (double)residency.resident);
    write_plain(buf, METRIC_RESIDENT_BYTES, (double)residency.bytes);
    write_plain(buf, METRIC_MODEL_LOADS, (double)residency.loads);
    write_plain(buf, METRIC_COMMITS, (double)db.commits);
    write_plain(buf, METRIC_WRITES, (double)db.writes);
}

void ig_metrics_scrape(struct ig_buf *buf, struct ig_app *app, struct ig_arena *arena)
{
    write_requests(buf, app->metrics);
    write_latency(buf, app->metrics);
    write_server(buf, app);
    write_plain(buf, METRIC_ROWS, (double)SUM(app->metrics, rows));
    write_plain(buf, METRIC_POOLED, (double)SUM(app->metrics, pooled));
    write_plain(buf, METRIC_GATHERED, (double)SUM(app->metrics, gathered));
    write_services(buf, app, arena);
    ig_metrics_models(buf, app);
    write_plain(buf, METRIC_CPU, (double)ig_clock_cpu_ns() * 1e-9);
    write_plain(buf, METRIC_RESIDENT, resident_bytes());
    write_plain(buf, METRIC_FDS, open_fds());
    write_plain(buf, METRIC_START, (double)app->started_ms * 1e-3);
}
