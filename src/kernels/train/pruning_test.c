/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/train/network_testing.h"
#include "kernels/train/pruning.h"

#include <math.h>
#include <stdlib.h>

static void schedules_are_those_of_tensorflow(void **state)
{
    (void)state;
    struct ig_table *table = testing_table("pruning/schedule.csv");
    assert_true(table->rows_count > 100);
    for (size_t i = 0; i < table->rows_count; i++) {
        const struct ig_pruning_schedule schedule = {
            testing_number(table, "kind", i) > 0 ? IG_PRUNING_CONSTANT : IG_PRUNING_POLYNOMIAL,
            testing_number(table, "initial", i),
            testing_number(table, "final", i),
            (int64_t)testing_number(table, "begin", i),
            (int64_t)testing_number(table, "end", i),
            (int64_t)testing_number(table, "frequency", i),
            testing_number(table, "power", i)};
        struct ig_err err = IG_ERR_INIT;
        const struct ig_pruning_pattern pattern = {.kind = IG_PRUNING_ELEMENTS};
        int64_t step = (int64_t)testing_number(table, "step", i);
        assert_int_equal(ig_pruning_check(&schedule, &pattern, &err), IG_OK);
        assert_int_equal(ig_pruning_due(&schedule, step), testing_number(table, "due", i) > 0);
        assert_float_equal(ig_pruning_sparsity(&schedule, step),
                           testing_number(table, "sparsity", i), 1e-7);
    }
    ig_table_free(table);
}

static void masks_are_those_of_tensorflow(void **state)
{
    (void)state;
    static float weights[256], scratch[512];
    static uint8_t mask[256], expected[256];
    struct ig_table *table = testing_table("pruning/masks.csv");
    const struct ig_column *values = ig_table_column(table, IG_STR("values"));
    assert_true(table->rows_count == 8 && values);
    for (size_t i = 0; i < table->rows_count; i++) {
        size_t rows = (size_t)testing_number(table, "rows", i);
        size_t columns = (size_t)testing_number(table, "columns", i);
        struct ig_str text = values->categories[values->codes[i]];
        for (size_t k = 0; k < rows * columns; k++) {
            double number, kept;
            assert_true(ig_str_to_f64(ig_str_cut(&text, 32), &number));
            assert_true(ig_str_to_f64(ig_str_cut(&text, 32), &kept));
            weights[k] = (float)number;
            expected[k] = kept > 0;
        }
        struct ig_pruning_pattern pattern = {IG_PRUNING_ELEMENTS,
                                             (uint32_t)testing_number(table, "block_inputs", i),
                                             (uint32_t)testing_number(table, "block_outputs", i),
                                             testing_number(table, "max", i) > 0,
                                             (uint32_t)testing_number(table, "zeros", i),
                                             (uint32_t)testing_number(table, "group", i)};
        if (pattern.block_inputs * pattern.block_outputs > 1) pattern.kind = IG_PRUNING_BLOCKS;
        if (pattern.group) pattern.kind = IG_PRUNING_M_BY_N;
        const struct ig_pruning_weights of = {weights, rows, columns, true};
        ig_pruning_mask(mask, &of, &pattern, (float)testing_number(table, "sparsity", i), scratch);
        assert_memory_equal(mask, expected, rows * columns);
    }
    ig_table_free(table);
}

static void edges_of_patterns(void **state)
{
    (void)state;
    float scratch[64];
    uint8_t mask[32];
    const float weights[] = {1, 2, 3, 4, 5, 6, 1, 1, 9, 9, 1, 2};
    const struct ig_pruning_weights of = {weights, 2, 6, true};
    const struct ig_pruning_pattern groups = {.kind = IG_PRUNING_M_BY_N, .zeros = 2, .group = 4};
    ig_pruning_mask(mask, &of, &groups, 0.5F,
                    scratch); /* groups of 4 and 2; of equals the first stay */
    assert_memory_equal(mask, ((uint8_t[]){0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1}), 12);
    const struct ig_pruning_pattern blocks = {
        .kind = IG_PRUNING_BLOCKS, .block_inputs = 4, .block_outputs = 2};
    ig_pruning_mask(mask, &of, &blocks, 0.5F, scratch); /* means 3.75 and, of the edge, 3.5 */
    assert_memory_equal(mask, ((uint8_t[]){1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0}), 12);
    const struct ig_pruning_pattern elements = {.kind = IG_PRUNING_ELEMENTS};
    ig_pruning_mask(mask, &of, &elements, 0.999F, scratch); /* one at least; ties stay together */
    assert_memory_equal(mask, ((uint8_t[]){0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0}), 12);
}

static void refuses(void **state)
{
    (void)state;
    const struct ig_pruning_schedule good = {IG_PRUNING_POLYNOMIAL, 0.1, 0.5, 0, 10, 1, 3};
    static const struct {
        struct ig_pruning_schedule schedule;
        const char *message;
    } cases[] = {
        {{IG_PRUNING_POLYNOMIAL, -0.1, 0.5, 0, 10, 1, 3}, "initial is -0.1"},
        {{IG_PRUNING_POLYNOMIAL, 0, 1, 0, 10, 1, 3}, "final is 1"},
        {{IG_PRUNING_POLYNOMIAL, 0, 0.5, -1, 10, 1, 3}, "begin is -1"},
        {{IG_PRUNING_POLYNOMIAL, 0, 0.5, 0, -1, 1, 3}, "end is -1"},
        {{IG_PRUNING_CONSTANT, 0, 0.5, 0, -2, 1, 3}, "end is -2"},
        {{IG_PRUNING_POLYNOMIAL, 0, 0.5, 5, 4, 1, 3}, "end is 4, before begin 5"},
        {{IG_PRUNING_POLYNOMIAL, 0, 0.5, 5, 5, 1, 3}, "end is 5, which is begin"},
        {{IG_PRUNING_POLYNOMIAL, 0, 0.5, 0, 10, 0, 3}, "frequency is 0"},
        {{IG_PRUNING_POLYNOMIAL, 0, 0.5, 0, 10, 1, 0}, "power is 0"},
    };
    struct ig_pruning_pattern pattern = {.kind = IG_PRUNING_ELEMENTS};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ig_err err = IG_ERR_INIT;
        assert_int_equal(ig_pruning_check(&cases[i].schedule, &pattern, &err), IG_INVALID);
        if (!strstr(err.message, cases[i].message)) fail_msg("%zu: %s", i, err.message);
    }
    struct ig_err err = IG_ERR_INIT;
    pattern.kind = IG_PRUNING_BLOCKS;
    assert_int_equal(ig_pruning_check(&good, &pattern, &err), IG_INVALID);
    pattern = (struct ig_pruning_pattern){.kind = IG_PRUNING_M_BY_N, .zeros = 4, .group = 4};
    ig_err_clear(&err);
    assert_int_equal(ig_pruning_check(&good, &pattern, &err), IG_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(schedules_are_those_of_tensorflow),
                                       cmocka_unit_test(masks_are_those_of_tensorflow),
                                       cmocka_unit_test(edges_of_patterns),
                                       cmocka_unit_test(refuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
