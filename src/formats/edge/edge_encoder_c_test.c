/* SPDX-License-Identifier: Apache-2.0 */
/* The encoder's C file, compiled by the strictest words, gives what the server gives a network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "formats/edge/edge_c_testing.h"
#include "formats/edge/edge_encoder_c.h"
#include "kernels/nn/nn_fixed.h"

#include <math.h>
#include <string.h>

enum { ROWS = 300, FEATURES = 4, INPUTS_MAX = 16 };

static double table[ROWS * FEATURES];
static struct ig_feature features[FEATURES] = {
    {.name = {"a */ \"b\"\n", 9}}, {.name = {"b", 1}}, {.name = {"c", 1}}, {.name = {"d", 1}}};
static const struct ig_schema schema = {.features = features, .features_count = FEATURES};

static int setup(void **state)
{
    struct ig_rng rng;
    ig_rng_seed(&rng, 1);
    for (int i = 0; i < ROWS; i++) {
        double *row = table + i * FEATURES;
        row[0] = i % 11 ? (double)(float)(ig_rng_unit(&rng) * 100 - 30) : NAN;
        row[1] = (double)ig_rng_below(&rng, 4);
        row[2] = (double)(float)ig_rng_unit(&rng);
        row[3] = i % 13 ? (double)ig_rng_below(&rng, 2) : -1;
    }
    return ig_c_testing_setup(state);
}

static void (*build(const struct ig_edge_encoder *made, const char *name))(const float *, void *)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf text;
    void (*run)(const float *, void *) = NULL;
    ig_buf_init(&text, 1 << 20);
    if (ig_edge_encoder_c_write(&text, made, &err)) fail_msg("%s", err.message);
    void *handle = ig_c_testing_load(ig_buf_view(&text), name); /* stays to the end */
    ig_buf_deinit(&text);
    *(void **)&run = ig_c_testing_symbol(handle, "risk_encode");
    return run;
}

static void check_rows(const struct ig_encoder *encoder, const struct ig_network_tensor *input,
                       void (*run)(const float *, void *))
{
    const double strange[] = {1e30, 9, -1e30, 0, INFINITY, -3, NAN, NAN, -30, 3, 1, 7};
    for (int i = 0; i < ROWS + 3; i++) {
        const double *row = i < ROWS ? table + i * FEATURES : strange + (i - ROWS) * FEATURES;
        float narrow[FEATURES], expected[INPUTS_MAX];
        union {
            float f32[INPUTS_MAX];
            int8_t i8[INPUTS_MAX];
        } given;
        double wide[FEATURES];
        for (int f = 0; f < FEATURES; f++) wide[f] = (double)(narrow[f] = (float)row[f]);
        ig_encoder_run(encoder, wide, 1, expected);
        run(narrow, &given);
        for (uint32_t k = 0; k < encoder->inputs_count; k++) {
            const struct ig_network_quantization *q = &input->quantization;
            if (input->type == IG_NETWORK_I8)
                assert_int_equal(given.i8[k],
                                 nn_quantize(expected[k], q->scales[0], q->zero_points[0]));
            else
                assert_true(given.f32[k] == expected[k]);
        }
    }
}

static void the_c_file_gives_the_inputs(void **state)
{
    (void)state;
    static const uint32_t categories[FEATURES] = {0, 4, 0, 2};
    const float scale = 0.0371F;
    const int32_t zero = -19;
    struct ig_err err = IG_ERR_INIT;
    struct ig_encoder encoder;
    struct ig_arena arena;
    ig_arena_init(&arena, 4096, 1 << 20);
    const struct ig_encoder_rows rows = {table, ROWS, FEATURES, categories, true};
    assert_int_equal(ig_encoder_fit(&encoder, &arena, &rows, &err), IG_OK);
    assert_true(encoder.inputs_count <= INPUTS_MAX);
    struct ig_network_tensor input = {.type = IG_NETWORK_F32};
    struct ig_edge_encoder made = {&encoder, &input, &schema, IG_STR("risk")};
    check_rows(&encoder, &input, build(&made, "float"));
    input.type = IG_NETWORK_I8;
    input.quantization = (struct ig_network_quantization){&scale, &zero, 1, 0};
    check_rows(&encoder, &input, build(&made, "int8"));
    const struct ig_encoder_rows plain = {table, ROWS, FEATURES, categories, false};
    assert_int_equal(ig_encoder_fit(&encoder, &arena, &plain, &err), IG_OK); /* without ranks */
    check_rows(&encoder, &input, build(&made, "plain"));
    ig_arena_deinit(&arena);
}

static void names_are_checked(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_encoder encoder = {.features_count = 1};
    const struct ig_network_tensor input = {.type = IG_NETWORK_F32};
    struct ig_edge_encoder made = {&encoder, &input, &schema, IG_STR("1x")};
    struct ig_buf text;
    ig_buf_init(&text, 1 << 10);
    assert_int_equal(ig_edge_encoder_c_write(&text, &made, &err), IG_INVALID);
    assert_non_null(strstr(err.message, "name: '1x'"));
    struct ig_err other = IG_ERR_INIT;
    made.name = IG_STR("x");
    assert_int_equal(ig_edge_encoder_c_write(&text, &made, &other), IG_INVALID);
    assert_non_null(strstr(other.message, "4 features in the schema, 1 of the encoder"));
    ig_buf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_c_file_gives_the_inputs),
        cmocka_unit_test(names_are_checked),
    };
    return cmocka_run_group_tests(tests, setup, ig_c_testing_teardown);
}
