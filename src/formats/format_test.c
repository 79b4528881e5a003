/* SPDX-License-Identifier: Apache-2.0 */
/* The table of formats, the choice by bytes, and what becomes of each seed file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "formats/format.h"

#include <stdio.h>
#include <string.h>

static void test_table(void **state)
{
    (void)state;
    assert_true(ig_formats_count() >= 3);
    for (size_t i = 0; i < ig_formats_count(); i++) {
        const struct ig_format *format = ig_format_at(i);
        assert_ptr_equal(ig_format_by_name(ig_str_view(format->name)), format);
        assert_true(strlen(format->doc) > 10 && strlen(format->file_name) > 3);
    }
    assert_null(ig_format_at(ig_formats_count()));
    assert_null(ig_format_by_name(IG_STR("pickle")));
}

static void expect_format(struct ig_str bytes, const char *name)
{
    const struct ig_format *format = ig_format_probe(bytes);
    if (name) {
        assert_non_null(format);
        assert_string_equal(format->name, name);
    } else {
        assert_null(format);
    }
}

static void test_probe(void **state)
{
    (void)state;
    expect_format(IG_STR(" {\n \"learner\": 1"), "xgboost-json");
    expect_format(IG_STR("{\"version\":[1],\"learner\":{}}"), "xgboost-json");
    expect_format(IG_STR("{L\0\0\0\0\0\0\0\7learner{"), "xgboost-ubjson");
    expect_format(IG_STR("tree\nversion=v3\n"), "lightgbm");
    expect_format(IG_STR("tree\r\nversion=v3\r\n"), "lightgbm");
    expect_format(IG_STR("tree\nnum_class=1\n"), "lightgbm");
    expect_format(IG_STR("CBM1\4\0\0\0"), "catboost-cbm");
    expect_format(IG_STR("<?xml version='1.0'?>\n<PMML version='4.4'>"), "pmml");
    expect_format(IG_STR("<html>"), NULL);
    expect_format(IG_STR(""), NULL);
    expect_format(IG_STR("{"), NULL);
    expect_format(IG_STR("{\"a\":1}"), NULL);
    expect_format(IG_STR("trees are green"), NULL);
    expect_format(IG_STR("\x80\4\x95"), NULL);
}

static void expect_advice(struct ig_str bytes, const char *advice)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model = NULL;
    assert_int_equal(ig_format_load(&model, bytes, NULL, &err), IG_UNSUPPORTED);
    if (!strstr(err.message, advice)) fail_msg("'%s', expected '%s'", err.message, advice);
}

static void test_advice_for_other_files(void **state)
{
    (void)state;
    expect_advice(IG_STR("binf\0\0"), "XGBoost's old binary format");
    expect_advice(IG_STR("\x80\4\x95"), "a Python pickle");
    expect_advice(IG_STR("a,b\n1,2\n"), "expected XGBoost JSON or UBJSON, LightGBM text, CatBoost "
                                        "JSON or cbm, PMML, ONNX or TensorFlow "
                                        "Lite");
}

static const struct {
    const char *file;
    enum ig_code code;
    const char *message;
} seeds[] = {
    {"xgboost_json/plain.json", IG_OK, ""},
    {"xgboost_json/softprob.json", IG_OK, ""},
    {"xgboost_json/categorical.json", IG_OK, ""},
    {"xgboost_json/dart.json", IG_OK, ""},
    {"xgboost_json/dart_old.json", IG_OK, ""},
    {"xgboost_json/linear.json", IG_OK, ""},
    {"xgboost_json/vector.json", IG_OK, ""},
    {"xgboost_json/pruned.json", IG_OK, ""},
    {"xgboost_json/special.json", IG_INVALID, "xgboost-json: tree 0, node 2: leaf value nan"},
    {"xgboost_json/cycle.json", IG_INVALID, "xgboost-json: tree 0: left_children[1] is 0"},
    {"xgboost_json/claims.json", IG_TOO_LARGE, "xgboost-json: num_class or num_target 2000000000"},
    {"ubjson/plain.ubj", IG_OK, ""},
    {"ubjson/softprob.ubj", IG_OK, ""},
    {"ubjson/categorical.ubj", IG_OK, ""},
    {"ubjson/untyped.ubj", IG_OK, ""},
    {"ubjson/dart_old.ubj", IG_OK, ""},
    {"ubjson/linear.ubj", IG_OK, ""},
    {"ubjson/vector.ubj", IG_OK, ""},
    {"ubjson/cycle.ubj", IG_INVALID, "xgboost-ubjson: tree 0: left_children[1] is 0"},
    {"lightgbm/plain.txt", IG_OK, ""},
    {"lightgbm/one_leaf.txt", IG_OK, ""},
    {"lightgbm/linear.txt", IG_OK, ""},
    {"lightgbm/crlf.txt", IG_OK, ""},
    {"lightgbm/rf.txt", IG_OK, ""},
    {"lightgbm/multi.txt", IG_OK, ""},
    {"lightgbm/cut.txt", IG_PARSE, "lightgbm: no line 'end of trees'"},
    {"lightgbm/claims.txt", IG_INVALID, "lightgbm: tree 0: num_leaves 2000000000"},
    {"lightgbm/cycle.txt", IG_INVALID, "lightgbm: tree 0, node 1: child out of order: 0"},
};

static void test_seed_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
        char path[256];
        struct ig_err err = IG_ERR_INIT;
        struct ig_model *model = NULL;
        struct ig_buf buf;
        ig_buf_init(&buf, 1 << 20);
        snprintf(path, sizeof path, "tests/corpus/%s", seeds[i].file);
        assert_int_equal(ig_file_read(&buf, IG_FILE_CWD, path, &err), IG_OK);
        enum ig_code code = ig_format_load(&model, ig_buf_view(&buf), NULL, &err);
        if (code != seeds[i].code || !strstr(err.message, seeds[i].message))
            fail_msg("%s: %s '%s'", path, ig_code_name(code), err.message);
        ig_buf_deinit(&buf);
        ig_model_free(model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_probe),
        cmocka_unit_test(test_advice_for_other_files),
        cmocka_unit_test(test_seed_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
