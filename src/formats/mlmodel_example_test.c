/* SPDX-License-Identifier: Apache-2.0 */
/* Input examples in each of MLflow's forms, what is refused of them, and the golden rows that they
 * become. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/mlmodel.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static struct ig_str categories[] = {{"red", 3}, {"blue", 4}};
static struct ig_feature features[] = {
    {.name = {"a", 1}, .type = IG_FEATURE_NUMERIC},
    {.name = {"b", 1}, .type = IG_FEATURE_INTEGER},
    {.name = {"c", 1},
     .type = IG_FEATURE_CATEGORICAL,
     .categories = categories,
     .categories_count = 2},
};
static const struct ig_schema SCHEMA = {.features = features, .features_count = 3};
static struct ig_arena arena;
static struct ig_err err;

static int setup(void **state)
{
    (void)state;
    err = IG_ERR_INIT;
    ig_arena_init(&arena, 4096, 16 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_arena_deinit(&arena);
    return 0;
}

static void test_forms(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"columns\":[\"a\",\"b\",\"c\"],\"data\":[[1.5,2,\"blue\"],[null,3,\"red\"]]}",
        "{\"columns\":[\"c\",\"a\",\"b\"],\"index\":[0,1],\"data\":[[\"blue\",1.5,2],"
        "[\"red\",NaN,3]]}",
        "{\"dataframe_split\":{\"columns\":[\"a\",\"b\",\"c\"],\"data\":[[1.5,2,\"blue\"],"
        "[null,3,\"red\"]]},\"params\":{\"x\":[1]}}",
        "{\"inputs\":[[1.5,2,\"blue\"],[null,3,\"red\"]]}",
        "[[1.5,2,\"blue\"],[null,3,\"red\"]]",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct ig_mlmodel_rows rows = {NULL, 0};
        if (ig_mlmodel_example(&rows, &SCHEMA, ig_str_view(texts[i]), &arena, &err) != IG_OK)
            fail_msg("%s: %s", texts[i], err.message);
        assert_int_equal(rows.count, 2);
        assert_true(rows.items[0] == 1.5 && rows.items[1] == 2 && rows.items[2] == 1);
        assert_true(isnan(rows.items[3]) && rows.items[4] == 3 && rows.items[5] == 0);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"", ""},
        {"1", "expected a table or rows, found a number"},
        {"{}", "it has no rows"},
        {"[]", "it has no rows"},
        {"[[1,2]]", "a row of 2 values, the model has 3 features"},
        {"[[1,2,\"red\",4]]", "a row of more than 3 values"},
        {"[[1,2,\"green\"]]", "a string is no value of 'c'"},
        {"[[1,\"2\",\"red\"]]", "a string is no value of 'b'"},
        {"[[1,2,3]]", "a number is no value of 'c'"},
        {"[1,2,\"red\"]", "data"},
        {"{\"columns\":[\"a\",\"b\"],\"data\":[]}", "columns: 2, the model has 3 features"},
        {"{\"columns\":[\"a\",\"b\",\"d\"],\"data\":[]}", "columns: 'd' is no feature"},
        {"{\"columns\":[\"a\",\"a\",\"b\"],\"data\":[]}", "columns: 'a' is no feature, or there"},
        {"[[1,2,\"red\"]] x", ""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct ig_mlmodel_rows rows = {NULL, 0};
        enum ig_code code =
            ig_mlmodel_example(&rows, &SCHEMA, ig_str_view(bad[i].text), &arena, &err);
        if (code == IG_OK || !strstr(err.message, bad[i].why))
            fail_msg("%s: %s", bad[i].text, err.message);
        ig_err_clear(&err);
    }
}

static void test_cap(void **state)
{
    (void)state;
    struct ig_mlmodel_rows rows = {NULL, 0};
    struct ig_buf text;
    ig_buf_init(&text, 1 << 16);
    for (int i = 0; i < 100; i++) ig_buf_printf(&text, "%s[%d,2,\"red\"]", i ? "," : "[", i);
    ig_buf_add_cstr(&text, "]");
    assert_int_equal(ig_mlmodel_example(&rows, &SCHEMA, ig_buf_view(&text), &arena, &err), IG_OK);
    assert_int_equal(rows.count, IG_MLMODEL_EXAMPLE_ROWS_MAX);
    ig_buf_deinit(&text);
}

struct directory {
    const char *example; /* NULL: the file is not there */
};

static enum ig_code read_of(struct ig_str *out, void *context, struct ig_str name,
                            struct ig_err *inner)
{
    static const char model[] =
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\n"
        "max_feature_idx=1\nobjective=regression\nfeature_names=x y\nfeature_infos=[0:9] [0:9]\n"
        "tree_sizes=1\n\nTree=0\nnum_leaves=2\nnum_cat=0\nsplit_feature=0\nthreshold=1.5\n"
        "decision_type=8\nleft_child=-1\nright_child=-2\nleaf_value=1 2\nleaf_count=5 5\n"
        "internal_count=10\n\nend of trees\n";
    const struct directory *directory = context;
    if (ig_str_is(name, "model.lgb")) {
        *out = ig_str_view(model);
        return IG_OK;
    }
    assert_true(ig_str_is(name, "input_example.json"));
    if (!directory->example) return ig_fail(inner, IG_NOT_FOUND, "there is no such file");
    *out = ig_str_view(directory->example);
    return IG_OK;
}

/* A package with the example's rows as golden ones; one that is no example costs nothing else. */
static void test_golden_rows(void **state)
{
    (void)state;
    static const struct {
        const char *example, *told;
        uint32_t rows;
    } cases[] = {
        {"{\"columns\":[\"x\",\"y\"],\"data\":[[1,2],[2,3],[null,1]]}", "3 golden rows", 3},
        {"[[1,2,3]]", "not used: data: a row of more than 2 values", 0},
        {NULL, "not used: there is no such file", 0},
    };
    static const char yaml[] = "flavors:\n  lightgbm:\n    data: model.lgb\n    lgb_version: 4.0\n"
                               "saved_input_example_info:\n  artifact_path: input_example.json\n"
                               "  type: dataframe\n";
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ig_mlmodel mlmodel;
        struct ig_package *package = NULL;
        struct ig_buf zip;
        struct directory directory = {cases[i].example};
        const struct ig_mlmodel_files files = {read_of, &directory};
        ig_buf_init(&zip, 1 << 20);
        if (ig_mlmodel_read(&mlmodel, ig_str_view(yaml), &arena, &err) != IG_OK ||
            ig_mlmodel_package(&zip, &mlmodel, &files, IG_STR("m"), &arena, &err) != IG_OK ||
            ig_package_open_bytes(&package, ig_buf_view(&zip), NULL, &err) != IG_OK)
            fail_msg("%s", err.message);
        assert_int_equal(package->golden_rows_count, cases[i].rows);
        const char *metadata = ig_arena_cstr(&arena, package->metadata_json);
        if (!strstr(metadata, cases[i].told)) fail_msg("%s", metadata);
        ig_package_free(package);
        ig_buf_deinit(&zip);
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(test_forms), CASE(test_refused), CASE(test_cap),
                                       CASE(test_golden_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
