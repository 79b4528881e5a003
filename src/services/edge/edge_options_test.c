/* SPDX-License-Identifier: Apache-2.0 */
/* Which options formats and models take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/edge/edge_options.h"
#include "stores/temp_testing.h"

enum {
    LEAVES = 1 << IG_EDGE_OPTION_LEAVES,
    ROUNDING = 1 << IG_EDGE_OPTION_ROUNDING,
    NAME = 1 << IG_EDGE_OPTION_NAME,
    STRIP_NAMES = 1 << IG_EDGE_OPTION_STRIP_NAMES,
};

static struct ig_err err;

static void test_names(void **state)
{
    (void)state;
    enum ig_edge_option found = IG_EDGE_OPTIONS_COUNT;
    for (unsigned i = 0; i < IG_EDGE_OPTIONS_COUNT; i++) {
        const char *name = ig_edge_option_name((enum ig_edge_option)i, IG_EDGE_OF_REQUESTS);
        assert_true(ig_edge_option_parse(&found, ig_str_view(name)));
        assert_int_equal(found, i);
    }
    assert_string_equal(ig_edge_option_name(IG_EDGE_OPTION_STRIP_NAMES, IG_EDGE_OF_CLI),
                        "--strip-names");
    assert_false(ig_edge_option_parse(&found, IG_STR("strip-names")));
}

static void test_formats(void **state)
{
    (void)state;
    const struct ig_model trees = {.kind = IG_MODEL_TREES};
    err = IG_ERR_INIT;
    assert_int_equal(ig_edge_options_of(IG_EDGE_FORMAT_C), LEAVES | ROUNDING | NAME);
    assert_int_equal(ig_edge_options_of(IG_EDGE_FORMAT_IGE), LEAVES | ROUNDING);
    assert_int_equal(ig_edge_options_of(IG_EDGE_FORMAT_ENCODER), NAME);
    assert_int_equal(ig_edge_options_of(IG_EDGE_FORMAT_TFLITE), STRIP_NAMES);
    assert_int_equal(ig_edge_options_of(IG_EDGE_FORMAT_ONNX), 0);
    assert_int_equal(ig_edge_options_of(IG_EDGE_FORMAT_MLMODEL), 0);
    ASSERT_OK(ig_edge_options_check(0, IG_EDGE_OF_CLI, IG_EDGE_FORMAT_ONNX, &trees, &err));
    ASSERT_FAILS(ig_edge_options_check(LEAVES, IG_EDGE_OF_CLI, IG_EDGE_FORMAT_ONNX, &trees, &err),
                 IG_INVALID, "--leaves: format onnx takes none; it is for c, ige");
    ASSERT_FAILS(
        ig_edge_options_check(STRIP_NAMES, IG_EDGE_OF_REQUESTS, IG_EDGE_FORMAT_C, &trees, &err),
        IG_INVALID, "strip_names: format c takes none; it is for tflite");
}

static void test_models(void **state)
{
    (void)state;
    const struct ig_model trees = {.kind = IG_MODEL_TREES}, network = {.kind = IG_MODEL_NETWORK},
                          graph = {.kind = IG_MODEL_GRAPH}, linear = {.kind = IG_MODEL_LINEAR};
    const enum ig_edge_format c = IG_EDGE_FORMAT_C;
    err = IG_ERR_INIT;
    ASSERT_OK(ig_edge_options_check(LEAVES | NAME, IG_EDGE_OF_CLI, c, &trees, &err));
    ASSERT_OK(ig_edge_options_check(ROUNDING | NAME, IG_EDGE_OF_CLI, c, &network, &err));
    ASSERT_OK(ig_edge_options_check(ROUNDING, IG_EDGE_OF_CLI, c, &graph, &err));
    ASSERT_OK(ig_edge_options_check(LEAVES | ROUNDING, IG_EDGE_OF_CLI, c, &linear, &err));
    ASSERT_FAILS(ig_edge_options_check(LEAVES, IG_EDGE_OF_REQUESTS, c, &network, &err), IG_INVALID,
                 "leaves: it is for trees, the model is a network");
    ASSERT_FAILS(ig_edge_options_check(LEAVES, IG_EDGE_OF_CLI, c, &graph, &err), IG_INVALID,
                 "--leaves: it is for trees, the model is a network");
    ASSERT_FAILS(ig_edge_options_check(ROUNDING, IG_EDGE_OF_CLI, c, &trees, &err), IG_INVALID,
                 "--rounding: it is for networks, the model is trees");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
