/* SPDX-License-Identifier: Apache-2.0 */
/* Times margins for one row and for batches, and the lowering, by instruction set. Best of several
 * runs over 2,000 different rows. --smoke runs once. */
#include "base/clock.h"
#include "kernels/tree/tree_predict.h"
#include "kernels/tree/tree_testing.h"

#include <stdio.h>
#include <string.h>

enum { ROWS = 2000 };

static const struct {
    const char *name;
    struct ig_testing_shape shape;
} MODELS[] = {
    {"100x6 float", {.features = 30, .outputs = 1, .trees = 100, .depth = 6, .f32 = true}},
    {"100x6 float, 250 bins",
     {.features = 30, .outputs = 1, .trees = 100, .depth = 6, .thresholds = 250, .f32 = true}},
    {"500x8 float", {.features = 30, .outputs = 1, .trees = 500, .depth = 8, .f32 = true}},
    {"100x6 float, 200 features",
     {.features = 200, .outputs = 1, .trees = 100, .depth = 6, .f32 = true}},
    {"100x6 double",
     {.features = 28, .outputs = 1, .trees = 100, .depth = 6, .sum_rule = IG_SUM_F64}},
    {"100 uneven trees, double",
     {.features = 28,
      .outputs = 1,
      .trees = 100,
      .depth = 14,
      .leaf_percent = 28,
      .sum_rule = IG_SUM_F64}},
    {"100x6 float, 20% category splits",
     {.features = 30, .outputs = 1, .trees = 100, .depth = 6, .set_percent = 20, .f32 = true}},
    {"100x6 float, 10 outputs",
     {.features = 30, .outputs = 10, .trees = 100, .depth = 6, .f32 = true}},
};

struct times {
    uint64_t one_ns;
    uint64_t batch_ns;
};

static void keep_best(uint64_t *best, uint64_t since)
{
    uint64_t took = ig_clock_ns() - since;
    if (took < *best) *best = took;
}

static struct times measure(const struct ig_tree_predict *predict, const struct ig_model *model,
                            const double *rows, int rounds)
{
    struct times best = {UINT64_MAX, UINT64_MAX};
    double *margins = ig_alloc(ROWS * model->outputs_count * sizeof *margins);
    void *scratch = ig_alloc_aligned(64, ig_tree_predict_scratch_bytes(predict, ROWS));
    for (int round = 0; round < rounds; round++) {
        uint64_t start = ig_clock_ns();
        for (size_t i = 0; i < ROWS; i++)
            ig_tree_predict_run(predict, rows + i * model->features_count, 1,
                                margins + i * model->outputs_count, scratch);
        keep_best(&best.one_ns, start);
        start = ig_clock_ns();
        ig_tree_predict_run(predict, rows, ROWS, margins, scratch);
        keep_best(&best.batch_ns, start);
    }
    ig_free(margins);
    ig_free(scratch);
    return best;
}

static void bench(const char *name, const struct ig_model *model, const double *rows, int rounds)
{
    for (unsigned isa = 0; isa <= (unsigned)ig_cpu_isa(); isa++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_tree_predict *predict = NULL;
        uint64_t start = ig_clock_ns();
        if (ig_tree_predict_new(&predict, model, (enum ig_isa)isa, &err) != IG_OK) return;
        uint64_t new_ns = ig_clock_ns() - start;
        struct times best = measure(predict, model, rows, rounds);
        printf("%-34s %-18s one row %8.3f us   batch %8.3f us/row   new %6.2f ms   %6zu KB\n", name,
               ig_tree_predict_variant(predict), (double)best.one_ns / ROWS / 1e3,
               (double)best.batch_ns / ROWS / 1e3, (double)new_ns / 1e6,
               ig_tree_predict_memory_bytes(predict) / 1024);
        ig_tree_predict_free(predict);
    }
}

int main(int argc, char **argv)
{
    bool smoke = argc > 1 && strcmp(argv[1], "--smoke") == 0;
    for (size_t i = 0; i < sizeof MODELS / sizeof *MODELS; i++) {
        struct ig_model *model = ig_testing_model(&MODELS[i].shape, 42);
        if (!model) return 1;
        double *rows = ig_alloc((size_t)ROWS * model->features_count * sizeof *rows);
        uint64_t seed = 7;
        for (size_t j = 0; j < (size_t)ROWS * model->features_count; j++)
            rows[j] = ig_testing_unit(&seed, false) * 4;
        bench(MODELS[i].name, model, rows, smoke ? 1 : 15);
        ig_free(rows);
        ig_model_free(model);
        if (smoke) break;
    }
    return 0;
}
