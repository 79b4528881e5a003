/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/train/encoder.h"

#include <math.h>

static void encodes_a_table(void **state)
{
    (void)state;
    const double values[] = {
        1, 0, NAN, 5, /* a number, 3 categories, a number and a category that are missing at times
                       */
        3, 2, 10,  5, 1, 1, 20, 5, 3, 1, 30, 5,
    };
    const uint32_t categories[] = {0, 3, 0, 0};
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    struct ig_encoder encoder;
    float inputs[14];
    ig_arena_init(&arena, 4096, 1 << 16);
    const struct ig_encoder_rows rows = {values, 4, 4, categories, false};
    assert_int_equal(ig_encoder_fit(&encoder, &arena, &rows, &err), IG_OK);
    assert_int_equal(encoder.inputs_count, 1 + 3 + 2 + 1);
    ig_encoder_run(&encoder, values, 2, inputs);
    const float spread = (float)sqrt(200.0 / 3);
    const float expected[14] = {-1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 1, -10 / spread, 0, 0};
    for (int i = 0; i < 14; i++) assert_float_equal(inputs[i], expected[i], 1e-6);
    const double strange[] = {1e9, 7, 20, NAN, -1e9, -1, 20, 6}; /* outliers, categories unseen */
    ig_encoder_run(&encoder, strange, 2, inputs);
    const float clipped[14] = {5, 0, 0, 0, 0, 0, 0, -5, 0, 0, 0, 0, 0, 1};
    for (int i = 0; i < 14; i++) assert_float_equal(inputs[i], clipped[i], 1e-6);
    const double codes[] = {0, -1, 1, 0}; /* a code below 0 is missing */
    const uint32_t two = 2;
    const struct ig_encoder_rows coded = {codes, 4, 1, &two, false};
    assert_int_equal(ig_encoder_fit(&encoder, &arena, &coded, &err), IG_OK);
    assert_int_equal(encoder.inputs_count, 3);
    ig_encoder_run(&encoder, codes, 2, inputs);
    const float missing[6] = {1, 0, 0, 0, 0, 1};
    for (int i = 0; i < 6; i++) assert_float_equal(inputs[i], missing[i], 0);
    ig_arena_deinit(&arena);
}

static void ranks_follow_the_different_values(void **state)
{
    (void)state;
    enum { ROWS = 400 };
    double values[ROWS * 2];
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    struct ig_encoder encoder;
    float inputs[8];
    for (int i = 0; i < ROWS; i++) { /* mostly 0, with a long tail; and one value alone */
        values[2 * i] = i < 300 ? 0 : (i - 299) * (i - 299);
        values[2 * i + 1] = 3;
    }
    values[2 * 5] = NAN;
    ig_arena_init(&arena, 4096, 1 << 16);
    const struct ig_encoder_rows rows = {values, ROWS, 2, NULL, true};
    assert_int_equal(ig_encoder_fit(&encoder, &arena, &rows, &err), IG_OK);
    assert_int_equal(encoder.inputs_count, 2 + 1 + 1); /* one value has no ranks */
    const double asked[] = {-5, 3, 2500, 3, 1e9, 3, NAN, 3};
    for (int i = 0; i < 4; i++) {
        ig_encoder_run(&encoder, asked + 2 * i, 1, inputs);
        const float expected[] = {-1, 0, 1, 0}; /* 2500 is the middle of 101 different values */
        assert_float_equal(inputs[1], expected[i], 0.02);
        assert_float_equal(inputs[2], i == 3, 0);
    }
    ig_arena_deinit(&arena);
}

static void reads_what_it_wrote(void **state)
{
    (void)state;
    const double values[] = {1.1, 0, NAN, 3, 2, 10, 1e-9, 1, 20.0 / 3, 3e17, 1, -0.1};
    const uint32_t categories[] = {0, 3, 0};
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    struct ig_encoder encoder, again;
    struct ig_json_out out;
    struct ig_buf text;
    ig_arena_init(&arena, 4096, 1 << 20);
    ig_buf_init(&text, 1 << 16);
    const struct ig_encoder_rows rows = {values, 4, 3, categories, true};
    assert_int_equal(ig_encoder_fit(&encoder, &arena, &rows, &err), IG_OK);
    ig_json_out_init(&out, &text);
    ig_encoder_write(&out, &encoder);
    if (ig_encoder_read(&again, &arena, ig_buf_view(&text), &err)) fail_msg("%s", err.message);
    assert_true(again.inputs_count == encoder.inputs_count && again.features_count == 3);
    float a[32], b[32];
    ig_encoder_run(&encoder, values, 4, a);
    ig_encoder_run(&again, values, 4, b);
    assert_memory_equal(a, b, 4 * encoder.inputs_count * sizeof *a);
    float gains[8];
    assert_true(encoder.inputs_count <= 8 && !again.gains);
    for (uint32_t k = 0; k < encoder.inputs_count; k++) gains[k] = 0.3F * (float)(k + 1);
    assert_int_equal(ig_encoder_add_gains(&encoder, &arena, gains, &err), IG_OK);
    assert_int_equal(ig_encoder_add_gains(&encoder, &arena, gains, &err), IG_OK);
    ig_buf_reset(&text);
    ig_json_out_init(&out, &text);
    ig_encoder_write(&out, &encoder);
    if (ig_encoder_read(&again, &arena, ig_buf_view(&text), &err)) fail_msg("%s", err.message);
    ig_encoder_run(&again, values, 4, b);
    for (uint32_t i = 0; i < 4 * encoder.inputs_count; i++) {
        float gain = gains[i % encoder.inputs_count];
        assert_true(b[i] == a[i] * (gain * gain));
    }
    gains[0] = 1e30F;
    assert_int_equal(ig_encoder_add_gains(&encoder, &arena, gains, &err), IG_INVALID);
    ig_err_clear(&err);
    static const struct {
        const char *json, *message;
    } cases[] = {
        {"[]", "encoder"},
        {"{\"version\":2,\"features\":[{}]}", "version 2 of an encoder"},
        {"{\"features\":[{}]}", "version 0 of an encoder"},
        {"{\"version\":1}", "no features"},
        {"{\"version\":1,\"colour\":1}", "no 'colour'"},
        {"{\"version\":1,\"features\":[{\"median\":1}]}", "no 'median'"},
        {"{\"version\":1,\"features\":[{\"deviation\":0}]}", "deviation 0"},
        {"{\"version\":1,\"features\":[{\"categories\":0}]}", "categories is 0"},
        {"{\"version\":1,\"features\":[{\"knots\":[1]}]}", "1 knots"},
        {"{\"version\":1,\"features\":[{\"knots\":[1,1]}]}", "knot 1 is 1"},
        {"{\"version\":1,\"features\":[{\"categories\":65000},{\"categories\":65000}]}",
         "feature 1: more than"},
        {"{\"version\":1,\"features\":[{\"knots\":[-3e38,3e38]}]}", "knot 1 is 3e+38"},
        {"{\"version\":1,\"features\":[{}],\"gains\":[1,1]}", "2 gains of 1 inputs"},
        {"{\"version\":1,\"features\":[{}],\"gains\":[0]}", "gain 0 is 0"},
        {"{\"version\":1,\"features\":[{}]} x", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ig_err_clear(&err);
        assert_int_not_equal(ig_encoder_read(&again, &arena, ig_str_view(cases[i].json), &err),
                             IG_OK);
        if (!strstr(err.message, cases[i].message)) fail_msg("%zu: %s", i, err.message);
    }
    ig_buf_deinit(&text);
    ig_arena_deinit(&arena);
}

static void refuses(void **state)
{
    (void)state;
    struct ig_arena arena;
    struct ig_encoder encoder;
    const double values[] = {1, INFINITY};
    const uint32_t many = IG_ENCODER_INPUTS_MAX + 1;
    ig_arena_init(&arena, 4096, 1 << 16);
    struct ig_err err = IG_ERR_INIT;
    struct ig_encoder_rows rows = {values, 1, 2, NULL, true};
    assert_int_equal(ig_encoder_fit(&encoder, &arena, &rows, &err), IG_INVALID);
    assert_non_null(strstr(err.message, "feature 1: row 0 is inf"));
    rows = (struct ig_encoder_rows){values, 1, 1, &many, false};
    ig_err_clear(&err);
    assert_int_equal(ig_encoder_fit(&encoder, &arena, &rows, &err), IG_UNSUPPORTED);
    rows.features_count = 0;
    ig_err_clear(&err);
    assert_int_equal(ig_encoder_fit(&encoder, &arena, &rows, &err), IG_INVALID);
    ig_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_a_table), cmocka_unit_test(ranks_follow_the_different_values),
        cmocka_unit_test(reads_what_it_wrote), cmocka_unit_test(refuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
