/* SPDX-License-Identifier: Apache-2.0 */
/* Times LIME on a random ensemble of 100 trees of depth 6 over 30 features: 5,000 samples and none.
 * CPU time, the best of several runs. `--smoke` runs a small one once. */
#include "kernels/explain/lime_exact.h"
#include "kernels/tree/tree_testing.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { FEATURES = 30, TABLE_ROWS = 2000 };

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

struct bench {
    struct ig_model *model;
    struct ig_engine *engine;
    struct ig_lime_space *space;
    struct ig_lime_exact *exact;
    double *rows;
    int rows_count;
    struct ig_lime_options options;
};

static double sampled_us(const struct bench *bench, struct ig_arena *arena, struct ig_err *err)
{
    const struct ig_predictor margin = ig_predictor_margin(bench->engine);
    double start = now_us();
    for (int i = 0; i < bench->rows_count && err->code == IG_OK; i++) {
        struct ig_lime_result result;
        const struct ig_lime_input input = {bench->space, &margin, bench->rows + i * FEATURES};
        ig_lime_run(&result, &input, &bench->options, arena, err);
        ig_arena_reset(arena);
    }
    return (now_us() - start) / bench->rows_count;
}

static double exact_us(const struct bench *bench, struct ig_arena *arena, struct ig_err *err)
{
    double start = now_us();
    for (int i = 0; i < bench->rows_count && err->code == IG_OK; i++) {
        struct ig_lime_result result;
        const struct ig_lime_exact_input input = {bench->rows + i * FEATURES, 0};
        ig_lime_exact_run(&result, bench->exact, &input, &bench->options, arena, err);
        ig_arena_reset(arena);
    }
    return (now_us() - start) / bench->rows_count;
}

static void run(const struct bench *bench, int repeats, struct ig_err *err)
{
    struct ig_arena arena;
    ig_arena_init(&arena, (size_t)8 << 20, (size_t)1 << 30);
    for (uint32_t wanted = 5; wanted <= 10; wanted += 5) {
        struct bench own = *bench;
        double sampled = 1e300, exact = 1e300;
        own.options.features = wanted;
        for (int i = 0; i < repeats && err->code == IG_OK; i++) {
            double a = sampled_us(&own, &arena, err), b = exact_us(&own, &arena, err);
            sampled = a < sampled ? a : sampled;
            exact = b < exact ? b : exact;
        }
        printf("LIME %2u features   %llu samples %8.1f us   exact %8.1f us\n", wanted,
               (unsigned long long)own.options.samples, sampled, exact);
    }
    ig_arena_deinit(&arena);
}

int main(int argc, char **argv)
{
    bool smoke = argc > 1 && strcmp(argv[1], "--smoke") == 0;
    struct ig_testing_shape shape = {.features = FEATURES,
                                     .outputs = 1,
                                     .trees = smoke ? 10 : 100,
                                     .depth = 6,
                                     .leaf_percent = 3,
                                     .f32 = true};
    struct bench bench = {.rows_count = smoke ? 2 : 20,
                          .options = {.seed = 1, .samples = smoke ? 200 : 5000}};
    struct ig_err err = IG_ERR_INIT;
    uint64_t seed = 5;
    bench.model = ig_testing_model(&shape, 1);
    bench.rows = ig_zalloc_array((size_t)TABLE_ROWS * FEATURES, sizeof(double));
    for (size_t i = 0; bench.rows && i < (size_t)TABLE_ROWS * FEATURES; i++)
        bench.rows[i] = ig_testing_unit(&seed, true) * 4;
    const struct ig_background table = {bench.rows, NULL, TABLE_ROWS, FEATURES};
    if (bench.model && bench.rows && ig_engine_new(&bench.engine, bench.model, &err) == IG_OK &&
        ig_lime_space_new(&bench.space, &table, NULL, &err) == IG_OK &&
        ig_lime_exact_new(&bench.exact, bench.model, bench.space, 0, &err) == IG_OK)
        run(&bench, smoke ? 1 : 7, &err);
    else
        ig_fail(&err, IG_NO_MEMORY, "no memory");
    if (err.code != IG_OK) fprintf(stderr, "%s\n", err.message);
    ig_lime_exact_free(bench.exact);
    ig_lime_space_free(bench.space);
    ig_engine_free(bench.engine);
    ig_model_free(bench.model);
    ig_free(bench.rows);
    return err.code == IG_OK ? 0 : 1;
}
