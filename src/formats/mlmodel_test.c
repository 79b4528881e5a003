/* SPDX-License-Identifier: Apache-2.0 */
/* MLmodel files as mlflow 3.17.2 writes them, and what cannot be served. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/mlmodel.h"

#include <stdio.h>
#include <string.h>

static struct ig_arena arena;
static struct ig_err err;
static struct ig_mlmodel mlmodel;

static int setup(void **state)
{
    (void)state;
    err = IG_ERR_INIT;
    ig_arena_init(&arena, 4096, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_arena_deinit(&arena);
    return 0;
}

static void expect(enum ig_code got, enum ig_code wanted, const char *text)
{
    if (got != wanted || !strstr(err.message, text))
        fail_msg("%s '%s', expected '%s'", ig_code_name(got), err.message, text);
    ig_err_clear(&err);
}

static void read(const char *yaml, enum ig_code wanted, const char *text)
{
    expect(ig_mlmodel_read(&mlmodel, ig_str_view(yaml), &arena, &err), wanted, text);
}

/* With these inputs as the signature. */
static void read_signed(const char *inputs)
{
    char yaml[2048];
    snprintf(yaml, sizeof yaml,
             "flavors:\n  lightgbm:\n    data: model.lgb\n    model_class: lightgbm.basic.Booster\n"
             "signature:\n  inputs: '%s'\n  params: null\n",
             inputs);
    read(yaml, IG_OK, "");
}

static void test_flavors(void **state)
{
    (void)state;
    read("flavors:\n  python_function:\n    data: model.ubj\n    loader_module: mlflow.xgboost\n"
         "  xgboost:\n    code: null\n    data: model.ubj\n    model_format: ubj\n",
         IG_OK, "");
    assert_true(ig_str_is(mlmodel.flavor, "xgboost"));
    assert_true(ig_str_is(mlmodel.file, "model.ubj"));
    assert_int_equal(mlmodel.model_class.len, 0);
    assert_int_equal(mlmodel.inputs_count, 0);
    read("flavors:\n  lightgbm:\n    data: model.pkl\n", IG_UNSUPPORTED,
         "the lightgbm flavor's file 'model.pkl' is no native model file (.lgb .txt) and is not "
         "opened; log its booster: mlflow.lightgbm.log_model(model.booster_, ...)");
    read("flavors:\n  python_function:\n    model_path: model.pkl\n  sklearn:\n"
         "    pickled_model: model.pkl\n",
         IG_UNSUPPORTED,
         "the sklearn flavor holds Python objects or code, which are never opened; convert it: "
         "mlflow.onnx.log_model(skl2onnx.to_onnx(model, ");
    read("flavors:\n  spark:\n    model_data: sparkml\n", IG_UNSUPPORTED,
         "the flavor 'spark' is none that is read");
    read("flavors: []\n", IG_INVALID, "MLmodel: flavors: expected a mapping");
    read("a: [", IG_PARSE, "MLmodel: ");
}

static void test_signatures(void **state)
{
    (void)state;
    read_signed("[{\"type\": \"double\", \"name\": \"age\", \"required\": true}, {\"type\":"
                " \"long\", \"name\": \"n\", \"required\": false}]");
    assert_int_equal(mlmodel.inputs_count, 2);
    assert_true(ig_str_is(mlmodel.inputs[0].name, "age"));
    assert_int_equal(mlmodel.inputs[0].type, IG_MLMODEL_REAL);
    assert_int_equal(mlmodel.inputs[1].type, IG_MLMODEL_WHOLE);
    assert_true(mlmodel.inputs[1].optional && !mlmodel.inputs[0].optional);
    read_signed("[{\"type\": \"tensor\", \"tensor-spec\": {\"dtype\": \"float32\","
                " \"shape\": [-1, 3]}}]");
    assert_int_equal(mlmodel.inputs_count, 0);
    read("flavors:\n  onnx:\n    data: model.onnx\nsignature:\n  inputs: '{}'\n", IG_INVALID,
         "MLmodel: signature");
}

/* A stump on two features of these names, as LightGBM writes it. */
static struct ig_package *open_stump(const char *names)
{
    struct ig_package *package = NULL;
    char text[1024];
    int length = snprintf(
        text, sizeof text,
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx="
        "1\n"
        "objective=regression\nfeature_names=%s\nfeature_infos=[0:9] "
        "[0:9]\ntree_sizes=1\n\nTree=0\n"
        "num_leaves=2\nnum_cat=0\nsplit_feature=0\nthreshold=1.5\ndecision_type=8\nleft_child=-1\n"
        "right_child=-2\nleaf_value=1 2\nleaf_count=5 5\ninternal_count=10\n\nend of trees\n",
        names);
    if (ig_package_open_bytes(&package, (struct ig_str){text, (size_t)length}, NULL, &err) != IG_OK)
        fail_msg("%s", err.message);
    return package;
}

static void check_schema(const char *names, const char *inputs, enum ig_code wanted,
                         const char *text)
{
    struct ig_package *package = open_stump(names);
    struct ig_schema schema;
    read_signed(inputs);
    expect(ig_mlmodel_schema(&schema, &mlmodel, package, &arena, &err), wanted, text);
    if (wanted == IG_OK) {
        assert_true(ig_str_is(schema.features[0].name, "a b"));
        assert_true(ig_str_is(schema.features[1].name, "c"));
        assert_int_equal(schema.features[1].type, IG_FEATURE_INTEGER);
    }
    ig_package_free(package);
}

#define A "{\"type\":\"double\",\"name\":\"a b\"}"
#define C "{\"type\":\"long\",\"name\":\"c\"}"

static void test_schemas(void **state)
{
    (void)state;
    check_schema("a_b c", "[" A "," C "]", IG_OK, "");
    check_schema("a_b c", "[" C "," A "]", IG_OK, "");
    check_schema("Column_0 Column_1", "[" A "," C "]", IG_OK, "");
    check_schema("a_b d", "[" A "," C "]", IG_UNSUPPORTED,
                 "the model file's feature 'd' is none of the signature's inputs");
    check_schema("a_b c", "[" A "]", IG_UNSUPPORTED,
                 "the signature has 1 inputs, the model file 2 features");
    check_schema("a_b c", "[" A "," A "]", IG_UNSUPPORTED, "'a b': no name, or there twice");
    check_schema(
        "a_b c", "[" A ",{\"type\":\"string\",\"name\":\"c\"}]", IG_UNSUPPORTED,
        "the signature's input 'c' is of type string, the model file's feature is numeric");
}

/* Of the features of a stump: "named", and "value" where a missing one is refused too. */
static const char *requirements(const char *inputs)
{
    static char text[64];
    size_t used = 0;
    struct ig_package *package = open_stump("a_b c");
    struct ig_schema schema = {0};
    text[0] = '\0';
    read_signed(inputs);
    expect(ig_mlmodel_schema(&schema, &mlmodel, package, &arena, &err), IG_OK, "");
    for (uint32_t i = 0; i < schema.features_count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s ",
                                 schema.features[i].required ? "value"
                                 : schema.features[i].named  ? "name"
                                                             : "none");
    ig_package_free(package);
    return text;
}

static void test_optional_inputs(void **state)
{
    (void)state;
    assert_string_equal(requirements("[" A "," C "]"), "name value ");
    assert_string_equal(requirements("[{\"type\":\"double\",\"name\":\"a b\",\"required\":false},"
                                     "{\"type\":\"long\",\"name\":\"c\",\"required\":false}]"),
                        "none none ");
    assert_string_equal(
        requirements("[" A ",{\"type\":\"boolean\",\"name\":\"c\",\"optional\":true}]"),
        "name none ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_flavors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_signatures, setup, teardown),
        cmocka_unit_test_setup_teardown(test_schemas, setup, teardown),
        cmocka_unit_test_setup_teardown(test_optional_inputs, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
