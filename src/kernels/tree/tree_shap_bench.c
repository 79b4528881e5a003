/* SPDX-License-Identifier: Apache-2.0 */
/* Times exact SHAP values on random ensembles: microseconds a row, one row a call and all rows in
 * one, CPU time, best of several runs, on each instruction set. `--smoke` runs each once on few
 * rows, `--top` takes the greatest instruction set only. */
#include "base/mem.h"
#include "kernels/tree/tree_predict_walk.h"
#include "kernels/tree/tree_shap.h"
#include "kernels/tree/tree_testing.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

struct options {
    size_t rows_count;
    int repeats;
    bool top;
};

struct bench {
    const struct ig_tree_shap *shap;
    struct ig_tree_shap_io io;
    void *scratch;
};

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static void run_one_by_one(const struct bench *bench)
{
    const uint32_t features = 30;
    for (size_t i = 0; i < bench->io.rows_count; i++) {
        struct ig_tree_shap_io io = bench->io;
        io.rows += i * features;
        io.rows_count = 1;
        io.margins += i;
        io.contributions += i * (features + 1);
        io.additivity += i;
        ig_tree_shap_run(bench->shap, &io, bench->scratch);
    }
}

static void run_all(const struct bench *bench)
{
    ig_tree_shap_run(bench->shap, &bench->io, bench->scratch);
}

static double best_us(const struct bench *bench, void (*run)(const struct bench *), int repeats)
{
    double best = 1e300;
    for (int i = 0; i < repeats; i++) {
        double start = now_us();
        run(bench);
        double took = (now_us() - start) / (double)bench->io.rows_count;
        if (took < best) best = took;
    }
    return best;
}

static bool bench_variant(const char *name, struct bench *bench, const struct ig_model *model,
                          enum ig_isa isa, int repeats)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_tree_shap *shap = NULL;
    double start = now_us();
    if (ig_tree_shap_new(&shap, model, isa, &err) != IG_OK) {
        printf("%s: %s\n", name, err.message);
        return false;
    }
    double made_ms = (now_us() - start) * 1e-3;
    bench->shap = shap;
    bench->scratch = ig_alloc_aligned(64, ig_tree_shap_scratch_bytes(shap, bench->io.rows_count));
    if (bench->scratch) {
        double one = best_us(bench, run_one_by_one, repeats);
        double all = best_us(bench, run_all, repeats);
        printf(
            "%-22s %-7s %-6s one row %8.2f us   batch %8.3f us/row   made in %5.2f ms   %zu kB\n",
            name, ig_tree_shap_variant(shap), ig_tree_shap_is_double(shap) ? "double" : "float",
            one, all, made_ms, ig_tree_shap_memory_bytes(shap) / 1024);
    }
    bool ok = bench->scratch != NULL;
    ig_free(bench->scratch);
    ig_tree_shap_free(shap);
    return ok;
}

/* Leaves as small as boosting leaves them, so that lanes are float unless asked otherwise. */
static void scale_leaves(struct ig_model *model, double scale)
{
    for (uint32_t i = 0; i < model->nodes_count; i++) {
        struct ig_node *node = &model->nodes[i];
        if (node->op == IG_NODE_LEAF) node->value = (double)(float)(node->value * scale);
    }
}

static bool bench_shape(const char *name, const struct ig_testing_shape *shape, double scale,
                        const struct options *options)
{
    struct ig_model *model = ig_testing_model(shape, 1);
    size_t count = options->rows_count;
    double *rows = ig_zalloc_array(count * shape->features, sizeof *rows);
    double *margins = ig_zalloc_array(count, sizeof *margins);
    double *contributions = ig_zalloc_array(count * (shape->features + 1U), sizeof *margins);
    double *additivity = ig_zalloc_array(count, sizeof *additivity);
    bool ok = model && rows && margins && contributions && additivity;
    if (ok) {
        uint64_t seed = 2;
        uint32_t leaves = 0;
        scale_leaves(model, scale);
        for (uint32_t t = 0; t < model->trees_count; t++) leaves += model->trees[t].leaves_count;
        for (size_t i = 0; i < count * shape->features; i++)
            rows[i] = ig_testing_unit(&seed, true) * 4;
        for (size_t i = 0; i < count; i++)
            ig_tree_walk_margin(model, rows + i * shape->features, margins + i);
        printf("%s: %u leaves, %u features\n", name, leaves, shape->features);
        struct bench bench = {.io = {rows, count, margins, contributions, additivity}};
        for (int isa = (int)ig_cpu_isa(); ok && isa >= (options->top ? (int)ig_cpu_isa() : 0);
             isa--)
            ok = bench_variant(name, &bench, model, (enum ig_isa)isa, options->repeats);
    }
    ig_model_free(model);
    ig_free(rows);
    ig_free(margins);
    ig_free(contributions);
    ig_free(additivity);
    return ok;
}

int main(int argc, char **argv)
{
    bool smoke = argc > 1 && strcmp(argv[1], "--smoke") == 0;
    bool top = argc > 1 && strcmp(argv[1], "--top") == 0;
    struct options options = {smoke ? 20 : 2000, smoke ? 1 : 15, top};
    struct ig_testing_shape small = {
        .features = 30, .outputs = 1, .trees = 100, .depth = 6, .leaf_percent = 3, .f32 = true};
    struct ig_testing_shape big = {
        .features = 30, .outputs = 1, .trees = 500, .depth = 8, .leaf_percent = 18, .f32 = true};
    struct ig_testing_shape doubles = small;
    doubles.f32 = false;
    doubles.sum_rule = IG_SUM_F64;
    bool ok = bench_shape("100x6", &small, 0.3, &options);
    ok = bench_shape("500x8", &big, 0.1, &options) && ok;
    ok = bench_shape("100x6 LightGBM", &doubles, 0.3, &options) && ok;
    ok = bench_shape("100x6 large leaves", &small, 1e4, &options) && ok;
    return ok ? 0 : 1;
}
