/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/predictor.h"
#include "kernels/tree/tree_testing.h"

enum { ROWS = 9, FEATURES = 5 };

static const struct ig_testing_shape SHAPE = {
    .features = FEATURES, .outputs = 1, .trees = 12, .depth = 4, .f32 = true};

static void gives_margins_and_responses(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model = ig_testing_model(&SHAPE, 7);
    struct ig_engine *engine;
    assert_non_null(model);
    model->transform = IG_TRANSFORM_SIGMOID;
    assert_int_equal(ig_engine_new(&engine, model, &err), IG_OK);
    const struct ig_predictor margin = ig_predictor_margin(engine);
    const struct ig_predictor response = ig_predictor_response(engine);
    double rows[ROWS * FEATURES], margins[ROWS], responses[ROWS], wanted[ROWS];
    uint64_t seed = 3;
    for (size_t i = 0; i < ROWS * FEATURES; i++)
        rows[i] = ig_testing_value(model, &seed, (uint32_t)(i % FEATURES));
    assert_int_equal(margin.features_count, FEATURES);
    assert_int_equal(margin.values_count, 1);
    assert_int_equal(response.values_count, 1);
    void *scratch = ig_alloc_aligned(64, response.scratch_bytes(&response, ROWS) + 64);
    margin.run(&margin, rows, ROWS, margins, scratch);
    response.run(&response, rows, ROWS, responses, scratch);
    ig_engine_margin(engine, rows, ROWS, wanted, scratch);
    assert_memory_equal(margins, wanted, sizeof margins);
    for (size_t i = 0; i < ROWS; i++) {
        double one;
        ig_model_transform(model, &wanted[i], &one);
        assert_memory_equal(&one, &responses[i], sizeof one);
        assert_true(responses[i] != margins[i]);
    }
    ig_free(scratch);
    ig_engine_free(engine);
    ig_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(gives_margins_and_responses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
