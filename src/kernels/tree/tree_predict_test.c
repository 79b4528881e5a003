/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/tree/tree_predict.h"
#include "kernels/tree/tree_predict_walk.h"
#include "kernels/tree/tree_testing.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS = 150 };

static const struct {
    const char *name;
    enum ig_isa isa;
    bool (*usable)(void);
} KERNELS[] = {
#define IG_TREE_KERNEL(name, isa, usable, layout, rank, find, doc) {#name, IG_ISA_##isa, usable},
#include "kernels/tree/kernels.def"
#undef IG_TREE_KERNEL
};
enum { KERNELS_COUNT = sizeof KERNELS / sizeof *KERNELS };

static bool seen[KERNELS_COUNT];

static void note_variant(const char *name)
{
    for (int i = 0; i < KERNELS_COUNT; i++)
        if (strcmp(KERNELS[i].name, name) == 0) seen[i] = true;
}

/* Every instruction set, batch sizes that leave rests: bits equal to the plain walk. */
static void check_variants(const struct ig_model *model, const double *rows, const double *expected)
{
    size_t outputs = model->outputs_count;
    double *margins = ig_alloc(ROWS * outputs * sizeof(double));
    for (unsigned isa = 0; isa <= (unsigned)ig_cpu_isa(); isa++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_tree_predict *predict = NULL;
        assert_int_equal(ig_tree_predict_new(&predict, model, (enum ig_isa)isa, &err), IG_OK);
        note_variant(ig_tree_predict_variant(predict));
        static const size_t BATCHES[] = {1, 3, 8, 37, 101};
        size_t at = 0;
        for (size_t b = 0; b < 5; b++) {
            size_t bytes = ig_tree_predict_scratch_bytes(predict, BATCHES[b]);
            void *scratch = ig_alloc_aligned(64, bytes);
            memset(scratch, 0xff, bytes); /* its contents must not matter */
            ig_tree_predict_run(predict, rows + at * model->features_count, BATCHES[b],
                                margins + at * outputs, scratch);
            ig_free(scratch);
            at += BATCHES[b];
        }
        assert_int_equal(at, ROWS);
        if (memcmp(margins, expected, ROWS * outputs * sizeof(double)) != 0)
            fail_msg("%s (%s) differs", ig_tree_predict_variant(predict),
                     ig_isa_name((enum ig_isa)isa));
        ig_tree_predict_free(predict);
    }
    ig_free(margins);
}

static void check_shape(const struct ig_testing_shape *shape, uint64_t seed)
{
    struct ig_model *model = ig_testing_model(shape, seed);
    assert_non_null(model);
    double *rows = ig_alloc((size_t)ROWS * model->features_count * sizeof(double));
    double *expected = ig_alloc((size_t)ROWS * model->outputs_count * sizeof(double));
    ig_testing_rows(model, seed + 1, ROWS, rows);
    for (size_t i = 0; i < ROWS; i++)
        ig_tree_walk_margin(model, rows + i * model->features_count,
                            expected + i * model->outputs_count);
    check_variants(model, rows, expected);
    ig_free(expected);
    ig_free(rows);
    ig_model_free(model);
}

/* The shapes that take different ways through the predictor. */
static const struct ig_testing_shape SHAPES[] = {
    {.features = 6,
     .outputs = 2,
     .trees = 11,
     .depth = 4,
     .set_percent = 100, /* no numeric split: nothing is ranked */
     .leaf_percent = 20,
     .sum_rule = IG_SUM_F64},
    {.features = 3, .outputs = 1, .trees = 5, .depth = 0, .f32 = true},
    {.features = 30, .outputs = 1, .trees = 100, .depth = 6, .f32 = true},
    {.features = 60, .outputs = 1, .trees = 40, .depth = 6, .f32 = true}, /* more columns than 32 */
    {.features = 30, .outputs = 1, .trees = 20, .depth = 8, .f32 = true, .leaf_percent = 10},
    {.features = 28,
     .outputs = 3,
     .trees = 33,
     .depth = 6,
     .leaf_percent = 20,
     .sum_rule = IG_SUM_F64},
    {.features = 5, .outputs = 1, .trees = 9, .depth = 14, .f32 = true, .leaf_percent = 35},
    {.features = 5,
     .outputs = 2,
     .trees = 17,
     .depth = 18,
     .leaf_percent = 40,
     .missing_kinds = true,
     .sum_rule = IG_SUM_F64},
    {.features = 12,
     .outputs = 1,
     .trees = 40,
     .depth = 5,
     .missing_kinds = true,
     .sum_rule = IG_SUM_F64,
     .average = true},
    {.features = 12,
     .outputs = 4,
     .trees = 40,
     .depth = 5,
     .f32 = true,
     .set_percent = 30,
     .dart = true,
     .sum_rule = IG_SUM_F32_BASE_LAST},
    {.features = 12,
     .outputs = 1,
     .trees = 40,
     .depth = 7,
     .set_percent = 15,
     .missing_kinds = true,
     .sum_rule = IG_SUM_F64,
     .leaf_percent = 10},
    {.features = 12, .outputs = 1, .trees = 30, .depth = 6, .f32 = true, .set_percent = 40},
    {.features = 12,
     .outputs = 1,
     .trees = 30,
     .depth = 6,
     .set_percent = 100,
     .sum_rule = IG_SUM_F64},
    {.features = 9, .outputs = 5, .trees = 11, .depth = 4, .f32 = true, .leaf_vectors = true},
    {.features = 9,
     .outputs = 2,
     .trees = 21,
     .depth = 4,
     .linear_leaves = true,
     .sum_rule = IG_SUM_F64},
    {.features = 60, .outputs = 1, .trees = 30, .depth = 6, .f32 = true, .thresholds = 20},
    {.features = 100, .outputs = 1, .trees = 30, .depth = 6, .f32 = true},
    {.features = 400, .outputs = 1, .trees = 30, .depth = 7, .f32 = true},
    {.features = 400, .outputs = 1, .trees = 30, .depth = 7, .sum_rule = IG_SUM_F64},
    {.features = 3, .outputs = 1, .trees = 7, .depth = 0, .f32 = true},
    {.features = 3, .outputs = 2, .trees = 0, .depth = 1, .f32 = true},
    {.features = 1, .outputs = 1, .trees = 1, .depth = 1, .sum_rule = IG_SUM_F64},
    {.features = 2, .outputs = 1, .trees = 70, .depth = 3, .f32 = true, .dart = true},
};

static void test_every_variant_equals_the_walk(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++)
        for (uint64_t seed = 1; seed <= 2; seed++) check_shape(&SHAPES[i], seed * 1000 + i);
}

static struct ig_testing_shape random_shape(uint64_t *seed)
{
    struct ig_testing_shape shape = {
        .features = 1 + ig_testing_below(seed, ig_testing_below(seed, 3) ? 40 : 150),
        .outputs = ig_testing_below(seed, 4) ? 1 : 3,
        .trees = 1 + ig_testing_below(seed, 60),
        .depth = ig_testing_below(seed, 14),
        .leaf_percent = ig_testing_below(seed, 2) * 30,
        .set_percent = ig_testing_below(seed, 3) ? 0 : 25,
        .thresholds = ig_testing_below(seed, 2) * (1 + ig_testing_below(seed, 300)),
        .f32 = ig_testing_below(seed, 2),
    };
    if (shape.depth > 9) shape.leaf_percent = 35;
    shape.missing_kinds = !shape.f32 && ig_testing_below(seed, 2);
    shape.sum_rule = IG_SUM_F64;
    if (shape.f32) shape.sum_rule = (enum ig_sum_rule)ig_testing_below(seed, 2);
    return shape;
}

/* On thresholds, one unit beside, NaN, infinities, both zeros, strange codes: 3,000 rows, or a
 * million with INGOT_LONG=1. */
static void test_random_models_on_adversarial_rows(void **state)
{
    (void)state;
    uint64_t seed = 123;
    size_t wanted = getenv("INGOT_LONG") ? 1000000 : 3000;
    for (size_t rows = 0; rows < wanted; rows += ROWS) {
        struct ig_testing_shape shape = random_shape(&seed);
        check_shape(&shape, ig_testing_u64(&seed));
    }
}

static void test_every_usable_kernel_was_used(void **state)
{
    (void)state;
    for (int i = 0; i < KERNELS_COUNT; i++)
        if (KERNELS[i].isa <= ig_cpu_isa() && !seen[i] &&
            (!KERNELS[i].usable || KERNELS[i].usable()))
            fail_msg("%s was not run", KERNELS[i].name);
}

static void test_allocation_failures_are_reported(void **state)
{
    (void)state;
    struct ig_model *model = ig_testing_model(&SHAPES[0], 5);
    assert_non_null(model);
    enum ig_code code = IG_NO_MEMORY;
    for (uint64_t n = 1; code != IG_OK; n++) {
        assert_true(n < 100);
        struct ig_err err = IG_ERR_INIT;
        struct ig_tree_predict *predict = NULL;
        ig_mem_fail_after(n);
        code = ig_tree_predict_new(&predict, model, ig_cpu_isa(), &err);
        bool failed = ig_mem_failed();
        ig_mem_fail_after(0);
        if (code == IG_OK) {
            assert_false(failed);
            ig_tree_predict_free(predict);
        } else {
            assert_int_equal(code, IG_NO_MEMORY);
            assert_null(predict);
        }
    }
    ig_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_variant_equals_the_walk),
        cmocka_unit_test(test_random_models_on_adversarial_rows),
        cmocka_unit_test(test_every_usable_kernel_was_used),
        cmocka_unit_test(test_allocation_failures_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
