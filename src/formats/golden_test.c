/* SPDX-License-Identifier: Apache-2.0 */
/* Every golden case loads, and answers as the library did: margins and predictions within the
 * case's tolerance (0: bit-equal), and the same leaf of every tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "formats/package_priv.h"
#include "kernels/engine.h"
#include "model/derived.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct grid {
    double *values;
    size_t rows, columns;
};

static char *read_text(const char *path, size_t *size)
{
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

static double parse_field(struct ig_str field)
{
    double value = NAN;
    if (field.len && !ig_str_to_f64(field, &value))
        fail_msg("bad field '%.*s'", IG_STR_ARGS(field));
    return value;
}

static double parse_cell(const struct ig_feature *feature, struct ig_str field)
{
    struct ig_err err = IG_ERR_INIT;
    double value = NAN;
    if (ig_feature_parse_cell(&value, feature, field, &err) != IG_OK) fail_msg("%s", err.message);
    return value;
}

/* A file of numbers; `header` drops the first line; with a schema the cells are read by its
 * features. False when it is absent. */
static bool read_cells(struct grid *grid, const char *folder, const char *name, bool header,
                       const struct ig_schema *schema)
{
    char path[512];
    size_t size = 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    char *text = read_text(path, &size);
    *grid = (struct grid){0};
    if (!text) return false;
    grid->values = malloc((size + 2) * sizeof(double));
    struct ig_str rest = {text, size};
    size_t count = 0;
    if (header) ig_str_cut(&rest, '\n');
    while (rest.len > 0) {
        struct ig_str line = ig_str_cut(&rest, '\n');
        size_t first = count;
        while (line.ptr) {
            struct ig_str field = ig_str_trim(ig_str_cut(&line, ','));
            grid->values[count] =
                schema ? parse_cell(&schema->features[count - first], field) : parse_field(field);
            count++;
        }
        grid->columns = count - first;
        grid->rows++;
    }
    assert_int_equal(grid->rows * grid->columns, count);
    free(text);
    return true;
}

static bool read_grid(struct grid *grid, const char *folder, const char *name, bool header)
{
    return read_cells(grid, folder, name, header, NULL);
}

static double case_number(const char *folder, const char *key, double otherwise)
{
    char path[512];
    size_t size;
    snprintf(path, sizeof path, "%s/case.yaml", folder);
    char *text = read_text(path, &size);
    assert_non_null(text);
    char *at = strstr(text, key);
    double value = at ? strtod(at + strlen(key) + 1, NULL) : otherwise;
    free(text);
    return value;
}

/* Categories that a model knows by their hashes stand in the file as words, and those of cases that
 * say so. */
static void read_input(struct grid *grid, const char *folder, const struct ig_model *model)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_schema schema = {0};
    struct ig_arena arena;
    bool words = case_number(folder, "\nwords:", 0) != 0;
    for (uint32_t i = 0; model->inputs && i < model->features_count; i++)
        words = words || model->inputs[i].category_hashes || model->inputs[i].hash_coded;
    ig_arena_init(&arena, 4096, 1 << 24);
    assert_int_equal(pkg_schema_from_model(&schema, model, &arena, &err), IG_OK);
    assert_int_equal(ig_schema_index(&schema, &err), IG_OK);
    assert_true(read_cells(grid, folder, "input.csv", true, words ? &schema : NULL));
    ig_schema_deinit(&schema);
    ig_arena_deinit(&arena);
}

static const struct ig_node *walk(const struct ig_model *model, const struct ig_tree *tree,
                                  const double *row)
{
    const struct ig_node *nodes = model->nodes + tree->first_node;
    const struct ig_node *node = nodes;
    while (node->op != IG_NODE_LEAF) {
        double x = model->inputs_f32 ? (double)(float)row[node->feature] : row[node->feature];
        bool left = (node->flags & IG_NODE_DEFAULT_LEFT) != 0;
        bool missing = isnan(x) && node->missing == IG_NODE_MISSING_NAN;
        if (isnan(x) && !missing) x = 0;
        if (node->missing == IG_NODE_MISSING_ZERO && fabs(x) <= (double)1e-35F) missing = true;
        if (node->op == IG_NODE_IN && !missing) {
            const struct ig_category_set *set = &model->sets[node->extra];
            double code = model->category_truncates ? trunc(x) : floor(x);
            bool member = code >= 0 && code < set->bits &&
                          (set->words[(size_t)code / 32] >> ((size_t)code % 32) & 1);
            left = member == ((node->flags & IG_NODE_SET_LEFT) != 0);
        } else if (!missing) {
            left = node->op == IG_NODE_LT ? x < node->value : x <= node->value;
        }
        node = &nodes[left ? node->left : node->right];
    }
    return node;
}

static void check_leaves(const char *folder, const struct ig_model *model, const struct grid *input)
{
    struct grid leaves;
    if (model->derived || !read_grid(&leaves, folder, "leaves.csv", false)) return;
    assert_int_equal(leaves.rows, input->rows);
    assert_int_equal(leaves.columns, model->trees_count);
    for (size_t row = 0; row < leaves.rows; row++)
        for (uint32_t tree = 0; tree < model->trees_count; tree++) {
            double expected = leaves.values[row * leaves.columns + tree];
            const struct ig_node *leaf =
                walk(model, &model->trees[tree], input->values + row * input->columns);
            if (leaf->source_id != (int32_t)expected)
                fail_msg("%s: row %zu, tree %u: leaf %d, expected %g", folder, row, tree,
                         leaf->source_id, expected);
        }
    free(leaves.values);
}

static void compare(const char *folder, const char *what, const struct grid *expected,
                    const double *computed, double tolerance)
{
    for (size_t i = 0; i < expected->rows * expected->columns; i++) {
        double difference = fabs(expected->values[i] - computed[i]);
        if (expected->values[i] == computed[i] ||
            (isnan(computed[i]) && isnan(expected->values[i])))
            continue;
        if (difference <= tolerance * fmax(1, fabs(expected->values[i]))) continue;
        fail_msg("%s: %s of row %zu is %.17g, expected %.17g", folder, what, i / expected->columns,
                 computed[i], expected->values[i]);
    }
}

static void check_answers(const char *folder, const struct ig_model *model, struct grid *input)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_engine *engine;
    struct grid margin, prediction;
    assert_true(read_grid(&margin, folder, "margin.csv", false));
    assert_true(read_grid(&prediction, folder, "prediction.csv", false));
    assert_int_equal(margin.columns, model->outputs_count);
    assert_int_equal(prediction.columns, model->predictions_count);
    if (ig_engine_new(&engine, model, &err) != IG_OK) fail_msg("%s: %s", folder, err.message);
    double *margins = malloc(input->rows * model->outputs_count * sizeof *margins);
    double *predictions = malloc(input->rows * model->predictions_count * sizeof *predictions);
    void *scratch =
        ig_alloc_aligned(64, ig_engine_scratch_bytes(engine, IG_ENGINE_MARGIN, input->rows) + 64);
    ig_engine_margin(engine, input->values, input->rows, margins, scratch);
    for (size_t row = 0; row < input->rows; row++)
        ig_model_transform(model, margins + row * model->outputs_count,
                           predictions + row * model->predictions_count);
    compare(folder, "margin", &margin, margins, case_number(folder, "\nmargin_tolerance:", 0));
    compare(folder, "prediction", &prediction, predictions,
            case_number(folder, "\nprediction_tolerance:", model->inputs_f32 ? 1e-6 : 1e-14));
    ig_free(scratch);
    free(margins);
    free(predictions);
    free(margin.values);
    free(prediction.values);
    ig_engine_free(engine);
}

/* The case as a package, its input as golden rows: what is written opens, and every row agrees. */
static void check_package(const char *folder, const struct ig_model *model, struct ig_str bytes,
                          const struct grid *input)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_package *package = NULL;
    struct ig_schema schema = {0};
    struct ig_arena arena;
    struct ig_buf zip;
    ig_arena_init(&arena, 4096, 1 << 24);
    ig_buf_init(&zip, 1 << 26);
    assert_int_equal(pkg_schema_from_model(&schema, model, &arena, &err), IG_OK);
    const struct ig_package_spec spec = {.model_bytes = bytes,
                                         .schema = &schema,
                                         .golden_rows = input->values,
                                         .golden_count = input->rows};
    if (ig_package_write(&zip, &spec, &err) != IG_OK ||
        ig_package_open_bytes(&package, ig_buf_view(&zip), NULL, &err) != IG_OK)
        fail_msg("%s: %s", folder, err.message);
    assert_int_equal(package->golden_rows_count, input->rows);
    assert_int_equal(package->schema.task, schema.task);
    ig_package_free(package);
    ig_buf_deinit(&zip);
    ig_arena_deinit(&arena);
}

static void check_file(const char *folder, const char *name)
{
    char path[512];
    size_t size;
    struct grid input;
    struct ig_model *model;
    struct ig_err err = IG_ERR_INIT;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    char *bytes = read_text(path, &size);
    if (!bytes) return;
    if (ig_format_load(&model, (struct ig_str){bytes, size}, NULL, &err) != IG_OK)
        fail_msg("%s: %s at byte %lld", path, err.message, (long long)err.at_byte);
    read_input(&input, folder, model);
    assert_int_equal(input.columns, model->features_count);
    check_leaves(folder, model, &input);
    check_answers(folder, model, &input);
    check_package(folder, model, (struct ig_str){bytes, size}, &input);
    free(bytes);
    free(input.values);
    ig_model_free(model);
}

static void check_cases(const char *area, size_t at_least)
{
    char path[256];
    char folder[520];
    size_t cases = 0;
    snprintf(path, sizeof path, "tests/golden/%s", area);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.') continue;
        snprintf(folder, sizeof folder, "%s/%.200s", path, entry->d_name);
        check_file(folder, "model.json");
        check_file(folder, "model.ubj");
        check_file(folder, "model.txt");
        check_file(folder, "model.cbm");
        check_file(folder, "model.pmml");
        cases++;
    }
    closedir(dir);
    assert_true(cases >= at_least);
}

static void test_xgboost_cases(void **state)
{
    (void)state;
    check_cases("xgboost", 40);
}

/* The words that a data frame's codes stand for come with the model. */
static void test_words_of_codes(void **state)
{
    static const char *const words[] = {"red", "green", "blue", "ein Wort", "na\xc3\xafv"};
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model;
    size_t size;
    (void)state;
    char *bytes = read_text("tests/golden/xgboost/categorical_words/model.ubj", &size);
    assert_non_null(bytes);
    assert_int_equal(ig_format_load(&model, (struct ig_str){bytes, size}, NULL, &err), IG_OK);
    assert_int_equal(model->inputs[3].categories_count, 5);
    for (size_t i = 0; i < 5; i++) assert_true(ig_str_is(model->inputs[3].categories[i], words[i]));
    assert_int_equal(model->inputs[2].categories_count, 0);
    ig_model_free(model);
    free(bytes);
}

static void test_lightgbm_cases(void **state)
{
    (void)state;
    check_cases("lightgbm", 40);
}

static void test_catboost_cases(void **state)
{
    (void)state;
    check_cases("catboost", 29);
}

static void test_pmml_cases(void **state)
{
    (void)state;
    check_cases("pmml", 36);
}

static struct ig_model *load_case(const char *folder, const char *name)
{
    char path[512];
    size_t size;
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    char *bytes = read_text(path, &size);
    assert_non_null(bytes);
    if (ig_format_load(&model, (struct ig_str){bytes, size}, NULL, &err) != IG_OK)
        fail_msg("%s: %s", path, err.message);
    free(bytes);
    return model;
}

static bool same_node(const struct ig_node *a, const struct ig_node *b)
{
    return a->op == b->op && a->missing == b->missing && a->flags == b->flags &&
           a->feature == b->feature && a->extra == b->extra && a->left == b->left &&
           a->right == b->right && a->source_id == b->source_id && a->value == b->value &&
           a->cover == b->cover;
}

/* Field by field: a struct may have holes. */
static bool same_tree(const struct ig_tree *a, const struct ig_tree *b)
{
    return a->first_node == b->first_node && a->nodes_count == b->nodes_count &&
           a->leaves_count == b->leaves_count && a->depth == b->depth && a->output == b->output &&
           a->weight == b->weight;
}

static void check_same(const char *folder, const struct ig_model *a, const struct ig_model *b)
{
    assert_int_equal(a->features_count, b->features_count);
    assert_int_equal(a->outputs_count, b->outputs_count);
    assert_int_equal(a->transform, b->transform);
    assert_int_equal(a->trees_count, b->trees_count);
    assert_int_equal(a->nodes_count, b->nodes_count);
    assert_int_equal(a->sets_count, b->sets_count);
    assert_int_equal(a->leaf_values_count, b->leaf_values_count);
    assert_int_equal(a->covers_counted, b->covers_counted);
    for (uint32_t i = 0; i < a->trees_count; i++)
        if (!same_tree(&a->trees[i], &b->trees[i])) fail_msg("%s: another tree %u", folder, i);
    for (uint32_t i = 0; i < a->nodes_count; i++)
        if (!same_node(&a->nodes[i], &b->nodes[i])) fail_msg("%s: another node %u", folder, i);
    for (uint32_t i = 0; i < a->sets_count; i++) {
        assert_int_equal(a->sets[i].bits, b->sets[i].bits);
        assert_memory_equal(a->sets[i].words, b->sets[i].words, (a->sets[i].bits + 31) / 32 * 4);
    }
    for (uint32_t i = 0; i < a->features_count; i++) {
        const struct ig_input *left = &a->inputs[i], *right = &b->inputs[i];
        assert_true(ig_str_eq(left->name, right->name) && left->kind == right->kind);
        assert_int_equal(left->categories_count, right->categories_count);
        for (uint32_t k = 0; k < left->categories_count; k++)
            assert_int_equal(left->category_hashes[k], right->category_hashes[k]);
    }
}

/* Their trees too, and every number that the columns of these hold. */
static void check_same_columns(const char *folder, const struct ig_derived *a,
                               const struct ig_derived *b)
{
    check_same(folder, a->trees, b->trees);
    assert_int_equal(a->keys_count, b->keys_count);
    assert_int_equal(a->players_count, b->players_count);
    assert_int_equal(a->columns_count, b->columns_count);
    for (uint32_t i = 0; i < a->columns_count; i++) {
        const struct ig_derived_table *left = &a->tables[a->columns[i].table];
        const struct ig_derived_table *right = &b->tables[b->columns[i].table];
        assert_int_equal(left->count, right->count);
        assert_int_equal(left->key, right->key);
        assert_memory_equal(left->hashes, right->hashes, left->count * sizeof *left->hashes);
        assert_memory_equal(a->columns[i].values, b->columns[i].values,
                            left->count * sizeof *a->columns[i].values);
        assert_true(a->columns[i].unseen == b->columns[i].unseen);
    }
}

/* The two ways in which CatBoost saves a model give one and the same here. */
static void test_catboost_json_and_cbm(void **state)
{
    char folder[520];
    size_t cases = 0, derived = 0;
    (void)state;
    DIR *dir = opendir("tests/golden/catboost");
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.') continue;
        snprintf(folder, sizeof folder, "tests/golden/catboost/%.200s", entry->d_name);
        struct ig_model *json = load_case(folder, "model.json");
        struct ig_model *cbm = load_case(folder, "model.cbm");
        check_same(folder, json, cbm);
        assert_true(!json->derived == !cbm->derived);
        if (json->derived) {
            check_same_columns(folder, json->derived, cbm->derived);
            derived++;
        }
        ig_model_free(json);
        ig_model_free(cbm);
        cases++;
    }
    closedir(dir);
    assert_true(cases >= 29 && derived >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_xgboost_cases),  cmocka_unit_test(test_lightgbm_cases),
        cmocka_unit_test(test_catboost_cases), cmocka_unit_test(test_catboost_json_and_cbm),
        cmocka_unit_test(test_pmml_cases),     cmocka_unit_test(test_words_of_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
