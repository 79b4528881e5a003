/* SPDX-License-Identifier: Apache-2.0 */
/* Every golden case with contributions: SHAP values as the library computed them, and additive; and
 * of those with a background the interventional ones, as shap computed them.
 * XGBoost computes in float, so its cases give a tolerance; where a library computes in double, the
 * engine's own bound of 1e-5*max(1,|value|) holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "formats/format.h"
#include "formats/package_priv.h"
#include "kernels/engine.h"
#include "kernels/tree/tree_interventional.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned cases_checked, interventional_checked;

static char *slurp(const char *folder, const char *name, size_t *size)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    char *text = malloc(*size + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, *size, file), *size);
    text[*size] = '\0';
    fclose(file);
    return text;
}

static double cell(const struct ig_feature *feature, struct ig_str text)
{
    struct ig_err err = IG_ERR_INIT;
    double value = NAN;
    if (ig_feature_parse_cell(&value, feature, text, &err) != IG_OK) fail_msg("%s", err.message);
    return value;
}

/* The rows of a file as the model's schema reads them: categories that it knows by their hashes
 * stand there as words. The caller frees them. */
static double *words(char *text, size_t size, const struct ig_model *model, size_t *count)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_schema schema = {0};
    struct ig_arena arena;
    double *values = malloc((size + 2) * sizeof *values);
    assert_non_null(values);
    *count = 0;
    ig_arena_init(&arena, 4096, 1 << 24);
    assert_int_equal(pkg_schema_from_model(&schema, model, &arena, &err), IG_OK);
    assert_int_equal(ig_schema_index(&schema, &err), IG_OK);
    struct ig_str rest = {text, size};
    ig_str_cut(&rest, '\n');
    while (rest.len > 0) {
        struct ig_str line = ig_str_cut(&rest, '\n');
        for (uint32_t i = 0; i < schema.features_count; i++)
            values[(*count)++] = cell(&schema.features[i], ig_str_cut(&line, ','));
    }
    ig_schema_deinit(&schema);
    ig_arena_deinit(&arena);
    return values;
}

static bool has_hashes(const struct ig_model *model)
{
    for (uint32_t i = 0; model->inputs && i < model->features_count; i++)
        if (model->inputs[i].category_hashes || model->inputs[i].hash_coded) return true;
    return false;
}

/* Numbers of a file of lines, empty fields as NaN; the caller frees them. */
static double *numbers(char *text, size_t size, bool header, size_t *count)
{
    double *values = malloc((size + 2) * sizeof *values);
    assert_non_null(values);
    *count = 0;
    char *at = header ? strchr(text, '\n') + 1 : text;
    while (*at) {
        size_t length = strcspn(at, ",\n");
        values[(*count)++] = length ? strtod(at, NULL) : NAN;
        at += length;
        if (*at) at++;
    }
    return values;
}

static double tolerance_of(const char *folder, const char *key)
{
    size_t size;
    char *text = slurp(folder, "case.yaml", &size);
    assert_non_null(text);
    const char *at = strstr(text, key);
    assert_non_null(at);
    double tolerance = strtod(strchr(at, ':') + 1, NULL);
    free(text);
    return fmax(tolerance, 1e-5);
}

static void check_values(const char *folder, const double *values, const double *expected,
                         size_t count, double tolerance)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabs(values[i] - expected[i]) <= tolerance * fmax(1, fabs(expected[i]))))
            fail_msg("%s: value %zu is %.9g, expected %.9g", folder, i, values[i], expected[i]);
}

static void check_row(const char *folder, const struct ig_engine *engine, const double *row,
                      const double *expected)
{
    const struct ig_model *model = ig_engine_model(engine);
    size_t stride = model->features_count + (size_t)1;
    double *values = malloc(model->outputs_count * stride * sizeof *values);
    double *margins = malloc(model->outputs_count * sizeof *margins);
    double additivity = -1;
    void *scratch =
        ig_alloc_aligned(64, ig_engine_scratch_bytes(engine, IG_ENGINE_CONTRIBUTIONS, 1) + 64);
    const struct ig_engine_io io = {.rows = row,
                                    .rows_count = 1,
                                    .contributions = values,
                                    .additivity = &additivity,
                                    .margins = margins};
    ig_engine_explain(engine, &io, scratch);
    double greatest = 0;
    for (size_t o = 0; o < model->outputs_count; o++) greatest = fmax(greatest, fabs(margins[o]));
    if (!(additivity >= 0 && additivity <= 1e-5 * (1 + greatest)))
        fail_msg("%s: additivity error %g at margin %g", folder, additivity, greatest);
    check_values(folder, values, expected, model->outputs_count * stride,
                 tolerance_of(folder, "\ncontribs_tolerance:"));
    ig_free(scratch);
    free(values);
    free(margins);
}

/* The first rows of the input, beside shap's values of them. */
static void check_interventional(const char *folder, const struct ig_engine *engine,
                                 const double *inputs)
{
    const struct ig_model *model = ig_engine_model(engine);
    struct ig_err err = IG_ERR_INIT;
    struct ig_tree_interventional *shap = NULL;
    size_t size, values_count, rows_size, rows_count;
    char *text = slurp(folder, "interventional.csv", &size);
    if (!text) return;
    char *rows_text = slurp(folder, "background.csv", &rows_size);
    assert_non_null(rows_text);
    double *expected = numbers(text, size, false, &values_count);
    double *rows = numbers(rows_text, rows_size, true, &rows_count);
    size_t stride = model->features_count + (size_t)1, count = values_count / stride;
    const struct ig_background background = {.rows = rows,
                                             .rows_count = rows_count / model->features_count,
                                             .features_count = model->features_count};
    assert_int_equal(model->outputs_count, 1);
    assert_true(count > 0 && background.rows_count > 0);
    if (ig_tree_interventional_new(&shap, model, &background, NULL, &err) != IG_OK)
        fail_msg("%s: %s", folder, err.message);
    double *values = malloc(values_count * sizeof *values);
    double *margins = malloc(count * sizeof *margins);
    double *additivity = malloc(count * sizeof *additivity);
    void *scratch =
        ig_alloc_aligned(64, ig_tree_interventional_scratch_bytes(shap) +
                                 ig_engine_scratch_bytes(engine, IG_ENGINE_MARGIN, count) + 64);
    ig_engine_margin(engine, inputs, count, margins, scratch);
    const struct ig_tree_interventional_io io = {inputs, count, margins, values, additivity};
    ig_tree_interventional_run(shap, &io, scratch);
    check_values(folder, values, expected, values_count,
                 tolerance_of(folder, "\ninterventional_tolerance:"));
    interventional_checked++;
    ig_free(scratch);
    free(values);
    free(margins);
    free(additivity);
    free(expected);
    free(rows);
    free(text);
    free(rows_text);
    ig_tree_interventional_free(shap);
}

static void check_case(const char *folder, const char *model_name)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model = NULL;
    struct ig_engine *engine = NULL;
    size_t size, inputs_size, expected_size, inputs_count, expected_count;
    char *bytes = slurp(folder, model_name, &size);
    char *inputs_text = slurp(folder, "input.csv", &inputs_size);
    char *expected_text = slurp(folder, "contribs.csv", &expected_size);
    if (!bytes || !inputs_text || !expected_text) goto out;
    if (ig_format_load(&model, (struct ig_str){bytes, size}, NULL, &err) != IG_OK ||
        ig_engine_new(&engine, model, &err) != IG_OK)
        fail_msg("%s: %s", folder, err.message);
    double *inputs = has_hashes(model) ? words(inputs_text, inputs_size, model, &inputs_count)
                                       : numbers(inputs_text, inputs_size, true, &inputs_count);
    double *expected = numbers(expected_text, expected_size, false, &expected_count);
    size_t stride = model->outputs_count * (model->features_count + (size_t)1);
    size_t rows = expected_count / stride;
    assert_true(rows > 0);
    assert_int_equal(rows * stride, expected_count);
    assert_true(rows * model->features_count <= inputs_count);
    for (size_t i = 0; i < rows; i++)
        check_row(folder, engine, inputs + i * model->features_count, expected + i * stride);
    check_interventional(folder, engine, inputs);
    cases_checked++;
    free(inputs);
    free(expected);
out:
    ig_engine_free(engine);
    ig_model_free(model);
    free(bytes);
    free(inputs_text);
    free(expected_text);
}

static void check_library(const char *name, const char *model_name, unsigned at_least)
{
    const char *source = getenv("INGOT_SOURCE_DIR");
    char root[256];
    snprintf(root, sizeof root, "%s/tests/golden/%s", source ? source : ".", name);
    DIR *dir = opendir(root);
    assert_non_null(dir);
    cases_checked = interventional_checked = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        char folder[512];
        if (entry->d_name[0] == '.') continue;
        snprintf(folder, sizeof folder, "%s/%s", root, entry->d_name);
        check_case(folder, model_name);
    }
    closedir(dir);
    assert_true(cases_checked >= at_least);
}

static void test_xgboost(void **state)
{
    (void)state;
    check_library("xgboost", "model.json", 33);
    assert_int_equal(interventional_checked, 2);
}

static void test_lightgbm(void **state)
{
    (void)state;
    check_library("lightgbm", "model.txt", 32);
    assert_int_equal(interventional_checked, 1);
}

static void test_catboost(void **state)
{
    (void)state;
    check_library("catboost", "model.json", 29);
    check_library("catboost", "model.cbm", 29);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_xgboost),
        cmocka_unit_test(test_lightgbm),
        cmocka_unit_test(test_catboost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
