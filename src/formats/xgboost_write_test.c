/* SPDX-License-Identifier: Apache-2.0 */
/* What is written reads back as a model of the same decisions and margins. That libxgboost reads it
 * so too is in tests/interop/edge_trees.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/format.h"
#include "formats/xgboost_write.h"
#include "kernels/tree/tree_predict_walk.h"
#include "kernels/tree/tree_testing.h"

enum { ROWS = 500, FILE_MAX = 64 << 20 };

static struct ig_model *round_trip(const struct ig_model *model)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *back = NULL;
    const struct ig_format *format = NULL;
    struct ig_buf file;
    ig_buf_init(&file, FILE_MAX);
    if (ig_xgboost_write(&file, model, &err) != IG_OK ||
        ig_format_load(&back, ig_buf_view(&file), &format, &err) != IG_OK)
        fail_msg("%s", err.message);
    assert_string_equal(format->name, "xgboost-json");
    ig_buf_deinit(&file);
    return back;
}

/* Finite floats, as XGBoost takes them; categories whole. */
static double cell(const struct ig_model *model, uint64_t *seed, uint32_t feature)
{
    double value = (double)(float)ig_testing_value(model, seed, feature);
    if (isnan(value)) return value;
    if (!(fabs(value) < 1e38)) return 3;
    return model->sets_count ? floor(value) : value;
}

static void check_margins(const struct ig_model *model, double tolerance)
{
    struct ig_model *back = round_trip(model);
    double row[16], margins[4], read[4];
    uint64_t seed = 9;
    assert_int_equal(back->outputs_count, model->outputs_count);
    for (uint32_t i = 0; i < back->nodes_count; i++) /* which libxgboost takes for granted */
        assert_true(back->nodes[i].op == IG_NODE_LEAF ||
                    back->nodes[i].right == back->nodes[i].left + 1);
    assert_int_equal(back->features_count, model->features_count);
    for (int i = 0; i < ROWS; i++) {
        for (uint32_t f = 0; f < model->features_count; f++) row[f] = cell(model, &seed, f);
        ig_tree_walk_margin(model, row, margins);
        ig_tree_walk_margin(back, row, read);
        for (uint32_t o = 0; o < model->outputs_count; o++) {
            double expected = margins[o] * model->transform_parameter;
            if (!(fabs(read[o] - expected) <= tolerance * (1 + fabs(expected))))
                fail_msg("row %d, output %u: %.17g, expected %.17g", i, o, read[o], expected);
        }
    }
    ig_model_free(back);
}

static const struct ig_testing_shape SHAPE = {.features = 6,
                                              .outputs = 1,
                                              .trees = 30,
                                              .depth = 6,
                                              .leaf_percent = 10,
                                              .f32 = true,
                                              .sum_rule = IG_SUM_F32_BASE_FIRST};

static void test_xgboosts_own_stay_bit_equal(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct ig_testing_shape shape = SHAPE;
        shape.set_percent = seed % 2 ? 30 : 0;
        shape.dart = seed % 3 == 0;
        shape.outputs = seed % 4 == 0 ? 3 : 1;
        struct ig_model *model = ig_testing_model(&shape, seed);
        model->transform = shape.outputs > 1 ? IG_TRANSFORM_SOFTMAX : IG_TRANSFORM_SIGMOID;
        for (uint32_t o = 0; o < shape.outputs; o++)
            model->base_margin[o] = shape.outputs > 1 ? 0.25 : 0; /* a score has it exactly */
        check_margins(model, 0);
        ig_model_free(model);
    }
}

static void test_others_come_close(void **state)
{
    (void)state;
    static const enum ig_transform TRANSFORMS[] = {IG_TRANSFORM_IDENTITY, IG_TRANSFORM_SIGMOID,
                                                   IG_TRANSFORM_EXP, IG_TRANSFORM_SIGMOID_EACH};
    for (uint64_t seed = 1; seed <= 24; seed++) {
        struct ig_testing_shape shape = SHAPE;
        shape.f32 = false;
        shape.sum_rule = IG_SUM_F64;
        shape.outputs = seed % 2 ? 1 : 3;
        shape.leaf_vectors = seed % 6 == 0;
        shape.average = seed % 3 == 0;
        shape.set_percent = seed % 5 ? 0 : 30;
        struct ig_model *model = ig_testing_model(&shape, seed);
        model->transform = TRANSFORMS[seed % 4];
        if (shape.outputs == 1 && model->transform == IG_TRANSFORM_SIGMOID)
            model->transform_parameter = 0.5;
        if (seed % 2 == 0) model->trees_count -= 4; /* outputs have different numbers */
        for (uint32_t o = 0; o < shape.outputs; o++) model->base_margin[o] = 0.3 * o - 0.7;
        check_margins(model, 1e-5);
        ig_model_free(model);
    }
}

static void refused(const struct ig_model *model, const char *message)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf file;
    ig_buf_init(&file, FILE_MAX);
    assert_int_equal(ig_xgboost_write(&file, model, &err), IG_UNSUPPORTED);
    if (!strstr(err.message, message)) fail_msg("'%s', expected '%s'", err.message, message);
    ig_buf_deinit(&file);
}

static void test_refusals(void **state)
{
    (void)state;
    struct ig_testing_shape shape = SHAPE;
    struct ig_model *model = ig_testing_model(&shape, 1);
    model->transform = IG_TRANSFORM_SORT;
    refused(model, "no objective of XGBoost predicts by SORT");
    model->transform = IG_TRANSFORM_IDENTITY;
    model->nodes[0].missing = IG_NODE_MISSING_ZERO;
    refused(model, "zeros that count as missing");
    model->linear_leaves = true;
    refused(model, "constant leaves");
    model->linear_leaves = false;
    ig_model_free(model);
}

static void test_memory_fails(void **state)
{
    (void)state;
    struct ig_model *model = ig_testing_model(&SHAPE, 1);
    for (uint64_t after = 1;; after++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_buf file;
        ig_buf_init(&file, FILE_MAX);
        ig_mem_fail_after(after);
        enum ig_code code = ig_xgboost_write(&file, model, &err);
        bool failed = ig_mem_failed();
        ig_mem_fail_after(0);
        ig_buf_deinit(&file);
        if (!failed) break;
        assert_true(code == IG_NO_MEMORY || code == IG_TOO_LARGE);
    }
    ig_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_xgboosts_own_stay_bit_equal),
        cmocka_unit_test(test_others_come_close),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_memory_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
