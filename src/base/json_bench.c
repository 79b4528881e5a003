/* SPDX-License-Identifier: Apache-2.0 */
/* Reading an inference request and writing its reply with 40 contributions. `--smoke` runs a few.
 */
#include "base/clock.h"
#include "base/json.h"
#include "base/random.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FEATURES = 40, ROUNDS = 40 };

struct bench {
    struct ig_buf request, reply;
    struct ig_arena arena;
    char names[FEATURES][32];
    double values[FEATURES];
};

static void write_request(struct bench *bench)
{
    struct ig_json_out out;
    ig_json_out_init(&out, &bench->request);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "model", IG_STR("income"));
    ig_json_out_key(&out, IG_STR("features"));
    ig_json_out_object(&out);
    for (int i = 0; i < FEATURES; i++) {
        if (i % 4 == 3)
            ig_json_out_kv_str(&out, bench->names[i], IG_STR("Exec-managerial"));
        else
            ig_json_out_kv_f64(&out, bench->names[i], floor(1000 * bench->values[i]) / 10);
    }
    ig_json_out_object_end(&out);
    ig_json_out_object_end(&out);
}

static void write_reply(struct bench *bench)
{
    struct ig_json_out out;
    ig_buf_reset(&bench->reply);
    ig_json_out_init(&out, &bench->reply);
    ig_json_out_object(&out);
    ig_json_out_kv_f64(&out, "prediction", bench->values[0]);
    ig_json_out_key(&out, IG_STR("explanation"));
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("shap_values"));
    ig_json_out_object(&out);
    for (int i = 0; i < FEATURES; i++) ig_json_out_kv_f64(&out, bench->names[i], bench->values[i]);
    ig_json_out_object_end(&out);
    ig_json_out_kv_f64(&out, "base_value", bench->values[1]);
    ig_json_out_kv_str(&out, "method", IG_STR("tree_shap"));
    ig_json_out_object_end(&out);
    ig_json_out_object_end(&out);
}

static void read_request(struct bench *bench)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_json json;
    ig_arena_reset(&bench->arena);
    ig_json_init(&json, ig_buf_view(&bench->request), &bench->arena, &err);
    double sum = 0, value;
    enum ig_json_event event;
    while ((event = ig_json_next(&json)) != IG_JSON_END) {
        IG_ASSERT(event != IG_JSON_ERROR);
        if (event == IG_JSON_NUMBER && ig_str_to_f64(json.text, &value)) sum += value;
    }
    IG_ASSERT(sum > 0);
}

static void report(const char *what, struct bench *bench, void (*run)(struct bench *), size_t bytes,
                   int times)
{
    double best = INFINITY;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = ig_clock_ns();
        for (int i = 0; i < times; i++) run(bench);
        double ns = (double)(ig_clock_ns() - start) / times;
        if (ns < best) best = ns;
    }
    printf("%-32s %6zu bytes %8.0f ns %7.0f MB/s\n", what, bytes, best, (double)bytes * 1e3 / best);
}

int main(int argc, char **argv)
{
    int times = argc > 1 && strcmp(argv[1], "--smoke") == 0 ? 10 : 3000;
    static struct bench bench;
    struct ig_rng rng;
    ig_rng_seed(&rng, 11);
    ig_buf_init(&bench.request, 1 << 16);
    ig_buf_init(&bench.reply, 1 << 16);
    ig_arena_init(&bench.arena, 1 << 16, 1 << 20);
    for (int i = 0; i < FEATURES; i++) {
        snprintf(bench.names[i], sizeof bench.names[i], "feature_name_%d", i);
        bench.values[i] = ig_rng_unit(&rng);
    }
    write_request(&bench);
    write_reply(&bench);
    report("read a request of 40 features", &bench, read_request, bench.request.len, times);
    report("write a reply of 40 doubles", &bench, write_reply, bench.reply.len, times);
    ig_buf_deinit(&bench.request);
    ig_buf_deinit(&bench.reply);
    ig_arena_deinit(&bench.arena);
    return 0;
}
