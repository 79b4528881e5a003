/* SPDX-License-Identifier: Apache-2.0 */
/* Times interventional SHAP values on random ensembles: microseconds a row one by one, CPU time,
 * the best of several runs, for backgrounds of several sizes, and what preparing took; and pairwise
 * interactions of the path-dependent game. `--smoke` runs few rows once. */
#include "kernels/tree/tree_interventional.h"
#include "kernels/tree/tree_predict_walk.h"
#include "kernels/tree/tree_testing.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

struct bench {
    const struct ig_model *model;
    size_t rows_count;
    int repeats;
    double *rows, *margins, *contributions, *additivity;
};

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static double best_us(const struct bench *bench, const struct ig_tree_interventional *self,
                      void *scratch)
{
    double best = 1e300;
    uint32_t features = bench->model->features_count;
    for (int i = 0; i < bench->repeats; i++) {
        double start = now_us();
        for (size_t row = 0; row < bench->rows_count; row++) {
            const struct ig_tree_interventional_io io = {bench->rows + row * features, 1,
                                                         bench->margins + row, bench->contributions,
                                                         bench->additivity + row};
            ig_tree_interventional_run(self, &io, scratch);
        }
        double took = (now_us() - start) / (double)bench->rows_count;
        if (took < best) best = took;
    }
    return best;
}

static bool bench_background(const char *name, const struct bench *bench, size_t count)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_tree_interventional *self = NULL;
    uint32_t features = bench->model->features_count;
    uint64_t seed = 77;
    double *rows = ig_zalloc_array(count * features, sizeof *rows);
    if (!rows) return false;
    for (size_t i = 0; i < count * features; i++) rows[i] = ig_testing_unit(&seed, true) * 4;
    const struct ig_background background = {rows, NULL, count, features};
    double start = now_us();
    if (ig_tree_interventional_new(&self, bench->model, &background, NULL, &err) != IG_OK) {
        printf("%s: %s\n", name, err.message);
        ig_free(rows);
        return false;
    }
    double made_ms = (now_us() - start) * 1e-3;
    void *scratch = ig_alloc_aligned(64, ig_tree_interventional_scratch_bytes(self));
    if (scratch)
        printf("%-16s background %6zu   one row %8.2f us   made in %8.1f ms   %s, %zu kB\n", name,
               count, best_us(bench, self, scratch), made_ms, ig_tree_interventional_variant(self),
               ig_tree_interventional_memory_bytes(self) / 1024);
    ig_free(scratch);
    ig_tree_interventional_free(self);
    ig_free(rows);
    return scratch != NULL;
}

static bool bench_interactions(const char *name, const struct bench *bench)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_tree_interventional *self = NULL;
    const struct ig_tree_interventional_options options = {.interactions = true};
    double start = now_us();
    if (ig_tree_interventional_new(&self, bench->model, NULL, &options, &err) != IG_OK) {
        printf("%s: %s\n", name, err.message);
        return false;
    }
    double made_ms = (now_us() - start) * 1e-3;
    void *scratch = ig_alloc_aligned(64, ig_tree_interventional_scratch_bytes(self));
    if (scratch)
        printf("%-16s interactions        one row %8.2f us   made in %8.1f ms   %s, %zu kB\n", name,
               best_us(bench, self, scratch), made_ms, ig_tree_interventional_variant(self),
               ig_tree_interventional_memory_bytes(self) / 1024);
    ig_free(scratch);
    ig_tree_interventional_free(self);
    return scratch != NULL;
}

static bool bench_shape(const char *name, const struct ig_testing_shape *shape, bool smoke)
{
    struct ig_model *model = ig_testing_model(shape, 1);
    size_t count = smoke ? 10 : 1000;
    struct bench bench = {.model = model, .rows_count = count, .repeats = smoke ? 1 : 7};
    bench.rows = ig_zalloc_array(count * shape->features, sizeof(double));
    bench.margins = ig_zalloc_array(count, sizeof(double));
    bench.contributions =
        ig_zalloc_array((shape->features + 1U) * (shape->features + 1U), sizeof(double));
    bench.additivity = ig_zalloc_array(count, sizeof(double));
    bool ok = model && bench.rows && bench.margins && bench.contributions && bench.additivity;
    uint64_t seed = 2;
    for (uint32_t i = 0; ok && i < model->nodes_count; i++)
        if (model->nodes[i].op == IG_NODE_LEAF)
            model->nodes[i].value = (double)(float)(model->nodes[i].value * 0.3);
    for (size_t i = 0; ok && i < count * shape->features; i++)
        bench.rows[i] = ig_testing_unit(&seed, true) * 4;
    for (size_t i = 0; ok && i < count; i++)
        ig_tree_walk_margin(model, bench.rows + i * shape->features, bench.margins + i);
    for (size_t rows = 100; ok && rows <= (smoke ? 100 : 100000); rows *= 10)
        ok = bench_background(name, &bench, rows);
    ok = ok && bench_interactions(name, &bench);
    ig_model_free(model);
    ig_free(bench.rows);
    ig_free(bench.margins);
    ig_free(bench.contributions);
    ig_free(bench.additivity);
    return ok;
}

int main(int argc, char **argv)
{
    bool smoke = argc > 1 && strcmp(argv[1], "--smoke") == 0;
    struct ig_testing_shape small = {
        .features = 30, .outputs = 1, .trees = 100, .depth = 6, .leaf_percent = 3, .f32 = true};
    struct ig_testing_shape big = {
        .features = 30, .outputs = 1, .trees = 500, .depth = 8, .leaf_percent = 18, .f32 = true};
    if (smoke) small.trees = big.trees = 10;
    bool ok = bench_shape("100x6", &small, smoke);
    ok = bench_shape("500x8", &big, smoke) && ok;
    return ok ? 0 : 1;
}
