/* SPDX-License-Identifier: Apache-2.0 */
/* Formats by name and by ending, and what their options change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/edge/edge_export.h"
#include "stores/temp_testing.h"

#define TREES "tests/golden/xgboost/binary_missing/model.json"
#define NETWORK "tests/corpus/tflite/cnn_int8"

static struct ig_err err;
static struct ig_package *trees, *network;

static int setup(void **state)
{
    (void)state;
    err = IG_ERR_INIT;
    ASSERT_OK(ig_package_open(&trees, IG_FILE_CWD, TREES, NULL, &err));
    ASSERT_OK(ig_package_open(&network, IG_FILE_CWD, NETWORK, NULL, &err));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_package_free(trees);
    ig_package_free(network);
    return 0;
}

static void test_formats(void **state)
{
    (void)state;
    enum ig_edge_format format;
    for (int i = 0; i < IG_EDGE_FORMATS_COUNT; i++) {
        const struct ig_edge_format_info *info = ig_edge_format_info((enum ig_edge_format)i);
        char file[64];
        snprintf(file, sizeof file, "model%s", info->ending);
        ASSERT_OK(ig_edge_format_parse(&format, ig_str_view(info->name), &err));
        assert_int_equal(format, i);
        assert_true(ig_edge_format_of_file(&format, ig_str_view(file)));
        assert_int_equal(format, i);
    }
    assert_false(ig_edge_format_of_file(&format, IG_STR("model.zip")));
    ASSERT_FAILS(ig_edge_format_parse(&format, IG_STR("zip"), &err), IG_INVALID,
                 "format: 'zip' is not one of encoder, c, ige, mlmodel, onnx, tflite");
}

static size_t size_of(const struct ig_package *package, const struct ig_edge_export *options,
                      const char *text)
{
    struct ig_buf out;
    ig_buf_init(&out, 1 << 22);
    ASSERT_OK(ig_edge_export_write(&out, package, options, &err));
    ig_buf_add_char(&out, 0);
    if (text) assert_non_null(strstr(out.ptr, text));
    size_t size = out.len - 1;
    ig_buf_deinit(&out);
    return size;
}

static void test_options(void **state)
{
    (void)state;
    struct ig_edge_export options = {.format = IG_EDGE_FORMAT_C,
                                     .choice = {IG_COMPACT_WANT_INT16, IG_EDGE_ROUNDING_MODEL},
                                     .name = IG_STR("risk")};
    assert_true(size_of(trees, &options, "risk_margins(") > 0);
    options.format = IG_EDGE_FORMAT_IGE;
    size_t words = size_of(trees, &options, NULL);
    options.choice.leaves = IG_COMPACT_WANT_INT8;
    assert_true(size_of(trees, &options, NULL) < words);
    options.format = IG_EDGE_FORMAT_TFLITE;
    size_t named = size_of(network, &options, NULL);
    options.strip_names = true;
    assert_true(size_of(network, &options, NULL) < named);
    options.format = IG_EDGE_FORMAT_ONNX;
    assert_true(size_of(trees, &options, NULL) > 0 && size_of(network, &options, NULL) > 0);
    options.format = IG_EDGE_FORMAT_MLMODEL;
    assert_true(size_of(trees, &options, NULL) > 0);
    assert_false(ig_edge_export_encoded(network, IG_EDGE_FORMAT_TFLITE));
}

static void test_refused(void **state)
{
    (void)state;
    struct ig_buf out;
    struct ig_edge_export options = {.format = IG_EDGE_FORMAT_TFLITE, .name = IG_STR("1x")};
    ig_buf_init(&out, 1 << 20);
    ASSERT_FAILS(ig_edge_export_write(&out, trees, &options, &err), IG_UNSUPPORTED,
                 "the model is no network");
    options.format = IG_EDGE_FORMAT_ENCODER;
    ASSERT_FAILS(ig_edge_export_write(&out, network, &options, &err), IG_UNSUPPORTED,
                 "the model has no encoder");
    options.format = IG_EDGE_FORMAT_C;
    ASSERT_FAILS(ig_edge_export_write(&out, trees, &options, &err), IG_INVALID,
                 "name: '1x' is no C identifier");
    ig_buf_deinit(&out);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(test_formats), CASE(test_options), CASE(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
