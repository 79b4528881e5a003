/* SPDX-License-Identifier: Apache-2.0 */
/* "resources" of a graph: a table of numbers with their ranges, and which kind of isolation each
 * belongs to. Thread rule: pure. */
#include "services/deploy/routing_resources.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN_MAX = 64 };
enum belongs { BOTH, SHARED, ISOLATED };

static const struct count {
    const char *name;
    size_t offset;
    uint64_t least, most;
    enum belongs belongs;
} COUNTS[] = {
    {"concurrency", offsetof(struct ig_resources, concurrency), 0, 100000, SHARED},
    {"queue", offsetof(struct ig_resources, queue_max), 1, 65536, ISOLATED},
    {"idle_s", offsetof(struct ig_resources, idle_s), 1, 1000000, ISOLATED},
    {"memory_mb", offsetof(struct ig_resources, memory_mb), 32, 1 << 24, BOTH},
};
enum { COUNTS_COUNT = sizeof COUNTS / sizeof *COUNTS };

struct reading {
    struct ig_resources *out;
    struct ig_json *json;
    struct ig_err *err;
    const char *shared_only, *isolated_only; /* a member that was given */
};

static int shown(struct ig_str text)
{
    return (int)(text.len > SHOWN_MAX ? SHOWN_MAX : text.len);
}

static uint32_t *field_of(struct ig_resources *resources, const struct count *count)
{
    return (uint32_t *)(void *)((char *)resources + count->offset);
}

static void read_number(struct reading *reading, uint32_t *out, const struct count *count)
{
    char what[64];
    uint64_t number = 0;
    snprintf(what, sizeof what, "graph.resources.%s", count->name);
    if (!ig_json_u64(reading->json, &number, what)) return;
    if (number < count->least || number > count->most)
        ig_fail(reading->err, IG_INVALID, "%s: %llu, expected a number from %llu to %llu", what,
                (unsigned long long)number, (unsigned long long)count->least,
                (unsigned long long)count->most);
    *out = (uint32_t)number;
}

/* An object of numbers that `counts` knows. */
static void read_counts(struct reading *reading, const char *what, const struct count *counts,
                        size_t counts_count)
{
    if (!ig_json_expect(reading->json, IG_JSON_OBJECT, what)) return;
    while (ig_json_member(reading->json)) {
        struct ig_str key = reading->json->text;
        size_t i = 0;
        while (i < counts_count && !ig_str_is(key, strrchr(counts[i].name, '.') + 1)) i++;
        if (i == counts_count)
            ig_fail(reading->err, IG_INVALID, "%s: unknown member '%.*s'", what, shown(key),
                    key.ptr);
        else
            read_number(reading, field_of(reading->out, &counts[i]), &counts[i]);
        if (reading->err->code != IG_OK) return;
    }
}

static const struct count REPLICAS[] = {
    {"replicas.min", offsetof(struct ig_resources, replicas_min), 0, IG_RESOURCES_REPLICAS_MAX,
     ISOLATED},
    {"replicas.max", offsetof(struct ig_resources, replicas_max), 1, IG_RESOURCES_REPLICAS_MAX,
     ISOLATED},
};
static const struct count CACHE[] = {
    {"cache.max_mb", offsetof(struct ig_resources, cache_mb), 1, 1 << 20, BOTH},
    {"cache.ttl_s", offsetof(struct ig_resources, cache_ttl_s), 0, 1 << 30, BOTH},
};

static const struct count BATCHING[] = {
    {"batching.max_rows", offsetof(struct ig_resources, batch_rows), 2, 100000, ISOLATED},
    {"batching.max_delay_us", offsetof(struct ig_resources, batch_delay_us), 0, 1000000, ISOLATED},
};

/* A number is both the least and the most. */
static void read_replicas(struct reading *reading)
{
    static const struct count ALL = {"replicas", 0, 1, IG_RESOURCES_REPLICAS_MAX, ISOLATED};
    struct ig_resources *out = reading->out;
    struct ig_json ahead = *reading->json;
    struct ig_err ignored = IG_ERR_INIT;
    ahead.err = &ignored;
    if (ig_json_next(&ahead) == IG_JSON_NUMBER) {
        read_number(reading, &out->replicas_max, &ALL);
        out->replicas_min = out->replicas_max;
        return;
    }
    out->replicas_max = 0;
    read_counts(reading, "graph.resources.replicas", REPLICAS, 2);
    if (!out->replicas_max) out->replicas_max = out->replicas_min ? out->replicas_min : 1;
    if (reading->err->code == IG_OK && out->replicas_min > out->replicas_max)
        ig_fail(reading->err, IG_INVALID, "graph.resources.replicas: min %u is more than max %u",
                out->replicas_min, out->replicas_max);
}

static void read_batching(struct reading *reading)
{
    read_counts(reading, "graph.resources.batching", BATCHING, 2);
    if (reading->err->code == IG_OK && !reading->out->batch_rows)
        ig_fail(reading->err, IG_INVALID, "graph.resources.batching.max_rows: missing");
}

static void read_cache(struct reading *reading)
{
    read_counts(reading, "graph.resources.cache", CACHE, 2);
    if (reading->err->code == IG_OK && !reading->out->cache_mb)
        ig_fail(reading->err, IG_INVALID, "graph.resources.cache.max_mb: missing");
}

static void read_isolation(struct reading *reading)
{
    struct ig_str text;
    if (!ig_json_string(reading->json, &text, "graph.resources.isolation")) return;
    reading->out->isolated = ig_str_is(text, "process");
    if (!reading->out->isolated && !ig_str_is(text, "shared"))
        ig_fail(reading->err, IG_INVALID,
                "graph.resources.isolation: '%.*s', expected shared or process", shown(text),
                text.ptr);
}

static void read_cpu(struct reading *reading)
{
    double cores = 0;
    if (!ig_json_f64(reading->json, &cores, "graph.resources.cpu")) return;
    if (!(cores >= 0.01 && cores <= 1024))
        ig_fail(reading->err, IG_INVALID,
                "graph.resources.cpu: %g, expected a number of cores from 0.01 to 1024", cores);
    else
        reading->out->cpu_thousandths = (uint32_t)lrint(cores * 1000);
}

static void read_instance(struct reading *reading)
{
    struct ig_str name;
    if (ig_json_string(reading->json, &name, "graph.resources.instance"))
        ig_instance_find(&reading->out->instance, name, "graph.resources.instance", reading->err);
}

/* A GPU is a share of one; where there is none, as on every machine of this program, it cannot be
 * had. */
static void read_gpu(struct reading *reading)
{
    double gpu = 0;
    if (ig_json_f64(reading->json, &gpu, "graph.resources.gpu") && gpu != 0)
        ig_fail(reading->err, IG_INVALID,
                "graph.resources.gpu: %g, but models run on the CPU here; leave it out", gpu);
}

static void read_member(struct reading *reading, struct ig_str key)
{
    for (size_t i = 0; i < COUNTS_COUNT; i++) {
        const struct count *count = &COUNTS[i];
        if (!ig_str_is(key, count->name)) continue;
        if (count->belongs == SHARED) reading->shared_only = count->name;
        if (count->belongs == ISOLATED) reading->isolated_only = count->name;
        read_number(reading, field_of(reading->out, count), count);
        return;
    }
    if (ig_str_is(key, "isolation")) {
        read_isolation(reading);
    } else if (ig_str_is(key, "replicas")) {
        reading->isolated_only = "replicas";
        read_replicas(reading);
    } else if (ig_str_is(key, "batching")) {
        reading->isolated_only = "batching";
        read_batching(reading);
    } else if (ig_str_is(key, "cache")) {
        read_cache(reading);
    } else if (ig_str_is(key, "instance")) {
        read_instance(reading);
    } else if (ig_str_is(key, "cpu")) {
        read_cpu(reading);
    } else if (ig_str_is(key, "gpu")) {
        read_gpu(reading);
    } else {
        ig_fail(reading->err, IG_INVALID,
                "graph.resources: unknown member '%.*s'; known are isolation, concurrency, "
                "replicas, queue, idle_s, batching, instance, memory_mb, cpu, gpu, cache",
                shown(key), key.ptr);
    }
}

enum ig_code ig_resources_read(struct ig_resources *out, struct ig_json *json)
{
    struct ig_resources own = {
        .replicas_min = 1,
        .replicas_max = 1,
        .queue_max = IG_RESOURCES_QUEUE,
        .idle_s = IG_RESOURCES_IDLE_S,
    };
    struct reading reading = {.out = &own, .json = json, .err = json->err};
    if (!ig_json_expect(json, IG_JSON_OBJECT, "graph.resources")) return json->err->code;
    while (ig_json_member(json)) {
        read_member(&reading, json->text);
        if (json->err->code != IG_OK) return json->err->code;
    }
    if (json->err->code != IG_OK) return json->err->code;
    if (own.isolated && reading.shared_only)
        return ig_fail(json->err, IG_INVALID,
                       "graph.resources.%s: of shared models; processes take one call each, so say "
                       "replicas",
                       reading.shared_only);
    if (!own.isolated && reading.isolated_only)
        return ig_fail(json->err, IG_INVALID,
                       "graph.resources.%s: needs isolation process, models are shared here",
                       reading.isolated_only);
    if (own.instance && !own.memory_mb) own.memory_mb = own.instance->memory_mb;
    if (own.instance && !own.cpu_thousandths) own.cpu_thousandths = own.instance->cpu_thousandths;
    if (!own.isolated) own.replicas_min = own.replicas_max = own.queue_max = own.idle_s = 0;
    *out = own;
    return IG_OK;
}

bool ig_resources_given(const struct ig_resources *resources)
{
    return resources->isolated || resources->concurrency || resources->memory_mb ||
           resources->cpu_thousandths || resources->cache_mb;
}

void ig_resources_write(struct ig_json_out *out, const struct ig_resources *resources)
{
    ig_json_out_object(out);
    if (resources->isolated) {
        ig_json_out_kv_str(out, "isolation", IG_STR("process"));
        ig_json_out_key(out, IG_STR("replicas"));
        ig_json_out_object(out);
        ig_json_out_kv_i64(out, "min", resources->replicas_min);
        ig_json_out_kv_i64(out, "max", resources->replicas_max);
        ig_json_out_object_end(out);
        ig_json_out_kv_i64(out, "queue", resources->queue_max);
        ig_json_out_kv_i64(out, "idle_s", resources->idle_s);
    }
    if (resources->batch_rows) {
        ig_json_out_key(out, IG_STR("batching"));
        ig_json_out_object(out);
        ig_json_out_kv_i64(out, "max_rows", resources->batch_rows);
        ig_json_out_kv_i64(out, "max_delay_us", resources->batch_delay_us);
        ig_json_out_object_end(out);
    }
    if (resources->concurrency) ig_json_out_kv_i64(out, "concurrency", resources->concurrency);
    if (resources->instance)
        ig_json_out_kv_str(out, "instance", ig_str_view(resources->instance->name));
    if (resources->memory_mb) ig_json_out_kv_i64(out, "memory_mb", resources->memory_mb);
    if (resources->cpu_thousandths)
        ig_json_out_kv_f64(out, "cpu", resources->cpu_thousandths / 1000.0);
    if (resources->cache_mb) {
        ig_json_out_key(out, IG_STR("cache"));
        ig_json_out_object(out);
        ig_json_out_kv_i64(out, "max_mb", resources->cache_mb);
        ig_json_out_kv_i64(out, "ttl_s", resources->cache_ttl_s);
        ig_json_out_object_end(out);
    }
    ig_json_out_object_end(out);
}
