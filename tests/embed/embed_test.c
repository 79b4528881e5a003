/* SPDX-License-Identifier: Apache-2.0 */
/* libingot as its users see it: the public header and the shared library, nothing else. Margins of
 * a golden case must come out bit-equal, contributions must add up to them, errors must be told. */
#include <ingot/ingot.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CASE "tests/golden/xgboost/binary_missing/"
#define EXPECT(condition) expect((condition), #condition, __LINE__)

enum { FEATURES_MAX = 64, ROWS_MAX = 512 };

static void expect(int condition, const char *text, int line)
{
    if (condition) return;
    fprintf(stderr, "embed_test.c:%d: %s\n", line, text);
    exit(1);
}

/* Numbers of a CSV file, row-major; an empty cell is NaN. Returns the rows. */
static size_t read_csv(const char *path, int has_header, double *values, size_t *columns)
{
    static char line[1 << 16];
    size_t rows = 0;
    FILE *file = fopen(path, "r");
    EXPECT(file != NULL);
    if (has_header) EXPECT(fgets(line, sizeof line, file) != NULL);
    while (rows < ROWS_MAX && fgets(line, sizeof line, file)) {
        *columns = 1;
        for (const char *comma = line; *comma; comma++) *columns += *comma == ',';
        char *at = line;
        for (size_t i = 0; i < *columns; i++) {
            char *end;
            double value = strtod(at, &end);
            values[rows * *columns + i] = end == at ? (double)NAN : value;
            at = end + (*end == ',');
        }
        rows++;
    }
    fclose(file);
    return rows;
}

static void test_golden(const struct ingot_model *model)
{
    static double rows[ROWS_MAX * FEATURES_MAX], expected[ROWS_MAX], margins[ROWS_MAX];
    static double contributions[ROWS_MAX * (FEATURES_MAX + 1)], errors[ROWS_MAX];
    size_t columns, one;
    size_t count = read_csv(CASE "input.csv", 1, rows, &columns);
    EXPECT(count > 10 && columns == ingot_model_features_count(model));
    EXPECT(read_csv(CASE "margin.csv", 0, expected, &one) == count && one == 1);
    struct ingot_workspace *work = ingot_workspace_new(model, count);
    EXPECT(work != NULL);
    EXPECT(ingot_margin(model, work, rows, count, margins) == INGOT_OK);
    EXPECT(ingot_explain(model, work, rows, count, contributions, errors) == INGOT_OK);
    for (size_t i = 0; i < count; i++) {
        double sum = 0;
        EXPECT((float)margins[i] == (float)expected[i]);
        for (size_t k = 0; k <= columns; k++) sum += contributions[i * (columns + 1) + k];
        EXPECT(fabs(sum - margins[i]) <= 1e-5 * (1 + fabs(margins[i])));
        EXPECT(errors[i] <= 1e-5 * (1 + fabs(margins[i])));
    }
    EXPECT(ingot_predict(model, work, rows, count, expected) == INGOT_OK);
    EXPECT(fabs(expected[0] - 1 / (1 + exp(-margins[0]))) < 1e-6);
    EXPECT(ingot_margin(model, work, rows, count + 1, margins) == INGOT_INVALID);
    ingot_workspace_free(work);
    EXPECT(ingot_workspace_new(model, 0) == NULL);
}

/* What may change, what is wanted; `before` is the nearest row without a wish. */
static void test_wishes(const struct ingot_explainer *explainer, const double *row,
                        const double *before, size_t columns)
{
    static double values[FEATURES_MAX];
    const char *constraints[FEATURES_MAX] = {NULL};
    struct ingot_wish wish = {.size = sizeof wish, .constraints = constraints};
    struct ingot_sampling sampling = {.size = sizeof sampling, .wish = &wish};
    struct ingot_explanation out = {.size = sizeof out, .values = values};
    struct ingot_error error = {0};
    size_t moved = columns;
    for (size_t i = 0; i < columns; i++)
        if (memcmp(&before[i], &row[i], sizeof *row)) moved = i;
    EXPECT(moved < columns);
    constraints[moved] = "immutable";
    EXPECT(ingot_explainer_run(explainer, row, 1, &sampling, &out, &error) == INGOT_OK);
    EXPECT(isnan(values[0]) || !memcmp(&values[moved], &row[moved], sizeof *row));
    constraints[moved] = "sideways";
    EXPECT(ingot_explainer_run(explainer, row, 1, &sampling, &out, &error) == INGOT_INVALID);
    EXPECT(strstr(error.message, "constraints: 'sideways'") != NULL);
    constraints[moved] = NULL;
    wish.wanted_class = 3;
    EXPECT(ingot_explainer_run(explainer, row, 1, &sampling, &out, &error) == INGOT_INVALID);
    EXPECT(strstr(error.message, "wanted_class: 3, the model has 2") != NULL);
    wish.wanted_class = 0;
    wish.size = 4;
    EXPECT(ingot_explainer_run(explainer, row, 1, &sampling, &out, &error) == INGOT_INVALID);
    EXPECT(strstr(error.message, "wish: size 4") != NULL);
}

/* The best method that fits, and one that is asked for. */
static void test_budgets(const struct ingot_model *model, struct ingot_explainer_options *options,
                         const double *rows)
{
    static double values[2 * (FEATURES_MAX + 1)];
    struct ingot_explanation out = {.size = sizeof out, .values = values};
    struct ingot_explainer *explainer = NULL;
    struct ingot_error error = {0};
    struct ingot_sampling sampling = {.size = 8};
    options->method = NULL;
    options->budget_us = 100000000;
    EXPECT(ingot_explainer_new(&explainer, model, options, &error) == INGOT_OK);
    EXPECT(strcmp(ingot_explainer_method(explainer), "tree_interventional") == 0);
    EXPECT(strncmp(ingot_explainer_chosen(explainer), "the best that fits: about", 25) == 0);
    EXPECT(ingot_explainer_run(explainer, rows, 2, NULL, &out, &error) == INGOT_OK);
    EXPECT(ingot_explainer_run(explainer, rows, 2, &sampling, &out, &error) == INGOT_INVALID);
    EXPECT(strstr(error.message, "sampling: size 8, expected ") != NULL);
    ingot_explainer_free(explainer);
    options->method = "leverage";
    options->budget_us = 1;
    EXPECT(ingot_explainer_new(&explainer, model, options, &error) == INGOT_OK);
    EXPECT(strstr(ingot_explainer_chosen(explainer), "it samples until 1 us") != NULL);
    EXPECT(ingot_explainer_run(explainer, rows, 2, NULL, &out, &error) == INGOT_OK);
    ingot_explainer_free(explainer);
    options->method = "exact";
    EXPECT(ingot_explainer_new(&explainer, model, options, &error) == INGOT_INVALID);
    EXPECT(strstr(error.message, "budget_us: method exact takes about ") != NULL);
    options->method = "saabas";
    EXPECT(ingot_explainer_new(&explainer, model, options, &error) == INGOT_INVALID);
    EXPECT(strstr(error.message, "background: method saabas takes none") != NULL);
    options->budget_us = 0;
}

/* Whole interactions: `halved` with twice as much beside the diagonal. */
static void test_whole(const struct ingot_model *model, struct ingot_explainer_options *options,
                       const double *rows, const double *halved, size_t columns)
{
    static double values[(FEATURES_MAX + 1) * (FEATURES_MAX + 1)];
    struct ingot_error error = {0};
    struct ingot_explainer *explainer = NULL;
    struct ingot_explanation out = {.size = sizeof out, .values = values};
    size_t stride = columns + 1;
    options->interactions = INGOT_WHOLE;
    EXPECT(ingot_explainer_new(&explainer, model, options, &error) == INGOT_OK);
    EXPECT(ingot_explainer_run(explainer, rows, 1, NULL, &out, &error) == INGOT_OK);
    for (size_t i = 0; i < stride * stride; i++)
        EXPECT(values[i] == halved[i] * (i % stride == i / stride ? 1 : 2));
    ingot_explainer_free(explainer);
    options->method = "lime";
    EXPECT(ingot_explainer_new(&explainer, model, options, &error) == INGOT_INVALID);
    EXPECT(strstr(error.message, "interactions: method lime gives none") != NULL);
    options->interactions = 2;
    EXPECT(ingot_explainer_new(&explainer, model, options, &error) == INGOT_INVALID);
    EXPECT(strstr(error.message, "interactions: 2 is neither 0 (halved) nor 1 (whole)") != NULL);
    options->interactions = INGOT_HALVED;
}

/* Interactions add up to contributions; a surrogate says how it fits. */
static void test_other_forms(const struct ingot_model *model,
                             struct ingot_explainer_options *options, const double *rows,
                             size_t columns)
{
    static double values[(FEATURES_MAX + 1) * (FEATURES_MAX + 1)], errors[FEATURES_MAX + 1];
    struct ingot_error error = {0};
    struct ingot_explainer *explainer = NULL;
    struct ingot_fit fit = {0};
    struct ingot_explanation out = {.size = sizeof out, .values = values};
    double margin, sum = 0;
    struct ingot_workspace *work = ingot_workspace_new(model, 1);
    EXPECT(ingot_margin(model, work, rows, 1, &margin) == INGOT_OK);
    ingot_workspace_free(work);
    options->method = "tree_interactions_interventional";
    EXPECT(ingot_explainer_new(&explainer, model, options, &error) == INGOT_OK);
    EXPECT(ingot_explainer_form(explainer) == INGOT_INTERACTIONS);
    EXPECT(ingot_explainer_row_size(explainer) == (columns + 1) * (columns + 1));
    EXPECT(ingot_explainer_run(explainer, rows, 1, NULL, &out, &error) == INGOT_OK);
    for (size_t i = 0; i < (columns + 1) * (columns + 1); i++) sum += values[i];
    EXPECT(fabs(sum - margin) < 1e-5);
    ingot_explainer_free(explainer);
    test_whole(model, options, rows, values, columns);
    options->method = "lime";
    EXPECT(ingot_explainer_new(&explainer, model, options, &error) == INGOT_OK);
    EXPECT(ingot_explainer_form(explainer) == INGOT_SURROGATE);
    EXPECT(ingot_explainer_row_size(explainer) == columns + 1);
    out.standard_errors = errors;
    out.fits = &fit;
    EXPECT(ingot_explainer_run(explainer, rows, 1, NULL, &out, &error) == INGOT_OK);
    EXPECT(fabs(fit.explained - margin) < 1e-5 && fit.r2 > 0 && fit.r2 <= 1);
    sum = 0;
    for (size_t i = 0; i <= columns; i++) {
        sum += values[i];
        EXPECT((errors[i] > 0) == (i < columns && values[i] != 0));
    }
    EXPECT(fabs(sum - fit.local) < 1e-9);
    struct ingot_sampling sampling = {.size = sizeof sampling, .surrogate_features = 2};
    EXPECT(ingot_explainer_run(explainer, rows, 1, &sampling, &out, &error) == INGOT_OK);
    size_t chosen = 0;
    for (size_t i = 0; i < columns; i++) chosen += values[i] != 0;
    EXPECT(chosen == 2);
    sampling.output = 2;
    EXPECT(ingot_explainer_run(explainer, rows, 1, &sampling, &out, &error) == INGOT_INVALID);
    EXPECT(strstr(error.message, "output: 2, the model has 1") != NULL);
    ingot_explainer_free(explainer);
    options->method = "counterfactual";
    options->group_of_feature = NULL;
    double distance = -1, moved = margin;
    out.distances = &distance;
    EXPECT(ingot_explainer_new(&explainer, model, options, &error) == INGOT_OK);
    EXPECT(ingot_explainer_form(explainer) == INGOT_COUNTERFACTUAL);
    EXPECT(ingot_explainer_row_size(explainer) == columns);
    EXPECT(ingot_explainer_run(explainer, rows, 1, NULL, &out, &error) == INGOT_OK);
    work = ingot_workspace_new(model, 1);
    EXPECT(ingot_margin(model, work, values, 1, &moved) == INGOT_OK);
    ingot_workspace_free(work);
    EXPECT(distance > 0 && (moved > 0) != (margin > 0));
    test_wishes(explainer, rows, values, columns);
    ingot_explainer_free(explainer);
}

/* All features as one group have all splits; two groups share them. */
static void test_importance_groups(const struct ingot_model *model, const double *splits)
{
    uint32_t features = ingot_model_features_count(model), groups[FEATURES_MAX] = {0};
    double sum = 0, found[2];
    struct ingot_error error;
    for (uint32_t i = 0; i < features; i++) sum += splits[i];
    EXPECT(ingot_importance_groups(model, "split", groups, 1, found, &error) == INGOT_OK);
    EXPECT(found[0] == sum);
    groups[0] = 1;
    EXPECT(ingot_importance_groups(model, "split", groups, 2, found, &error) == INGOT_OK);
    EXPECT(found[1] == splits[0] && found[0] == sum - splits[0]);
    EXPECT(ingot_importance_groups(model, "split", groups, 1, found, &error) == INGOT_INVALID);
}

/* Against a background: trees, and the same by enumerating coalitions of groups. */
static void test_explainers(const struct ingot_model *model)
{
    static double rows[ROWS_MAX * FEATURES_MAX], values[2][4 * (FEATURES_MAX + 1)];
    static double errors[4 * (FEATURES_MAX + 1)], additivity[4];
    uint32_t groups[FEATURES_MAX];
    size_t columns, count = read_csv(CASE "input.csv", 1, rows, &columns);
    struct ingot_error error = {0};
    struct ingot_explainer *explainer = NULL;
    struct ingot_explainer_options options = {.size = sizeof options};
    for (size_t i = 0; i < columns; i++) groups[i] = (uint32_t)(i % 3);
    options.background = rows + 4 * columns;
    options.background_rows = count - 4;
    options.group_of_feature = groups;
    options.groups_count = 3;
    for (int i = 0; i < 2; i++) {
        struct ingot_explanation out = {.size = sizeof out,
                                        .values = values[i],
                                        .standard_errors = errors,
                                        .additivity_errors = additivity};
        options.method = i ? "exact" : NULL;
        EXPECT(ingot_explainer_new(&explainer, model, &options, &error) == INGOT_OK);
        EXPECT(strcmp(ingot_explainer_method(explainer), i ? "exact" : "tree_interventional") == 0);
        EXPECT(ingot_explainer_players_count(explainer) == 3);
        EXPECT(ingot_explainer_values_count(explainer) == 1);
        EXPECT(ingot_explainer_run(explainer, rows, 4, NULL, &out, &error) == INGOT_OK);
        for (int k = 0; k < 4; k++) EXPECT(additivity[k] < 1e-5);
        for (int k = 0; k < 16; k++) EXPECT(errors[k] == 0);
        ingot_explainer_free(explainer);
    }
    for (int i = 0; i < 16; i++) EXPECT(fabs(values[0][i] - values[1][i]) < 1e-5);
    options.method = "leverage";
    options.group_of_feature = NULL;
    EXPECT(ingot_explainer_new(&explainer, model, &options, &error) == INGOT_OK);
    struct ingot_sampling sampling = {.size = sizeof sampling, .seed = 3, .samples = 1};
    struct ingot_explanation out = {.size = sizeof out, .values = values[0]};
    EXPECT(ingot_explainer_run(explainer, rows, 1, &sampling, &out, &error) == INGOT_INVALID);
    EXPECT(strstr(error.message, "samples: 1 are too few") != NULL);
    ingot_explainer_free(explainer);
    test_budgets(model, &options, rows);
    test_other_forms(model, &options, rows, columns);
    double splits[FEATURES_MAX];
    EXPECT(ingot_importance(model, "split", splits, &error) == INGOT_OK && splits[0] > 0);
    EXPECT(ingot_importance(model, "best", splits, &error) == INGOT_INVALID);
    test_importance_groups(model, splits);
    options.method = "guess";
    EXPECT(ingot_explainer_new(&explainer, model, &options, &error) == INGOT_INVALID);
    groups[0] = 3;
    options.method = NULL;
    options.group_of_feature = groups;
    EXPECT(ingot_explainer_new(&explainer, model, &options, &error) == INGOT_INVALID);
    ingot_explainer_free(NULL);
}

static void test_names(const struct ingot_model *model)
{
    const char *first = ingot_model_feature_name(model, 0);
    EXPECT(first && ingot_model_feature_index(model, first) == 0);
    EXPECT(ingot_model_feature_index(model, "no such feature") == -1);
    EXPECT(ingot_model_feature_name(model, UINT32_MAX) == NULL);
    EXPECT(ingot_model_category_code(model, UINT32_MAX, "x") == -1);
    EXPECT(strcmp(ingot_model_format(model), "xgboost-json") == 0);
    EXPECT(strlen(ingot_model_digest(model)) == 64);
    EXPECT(ingot_model_outputs_count(model) == 1);
    EXPECT(ingot_model_predictions_count(model) == 1);
    EXPECT(ingot_model_class_name(model, 99) == NULL);
}

static void test_errors(void)
{
    struct ingot_error error = {0};
    struct ingot_model *model = NULL;
    EXPECT(ingot_model_open_file(&model, "no/such/file", NULL, &error) == INGOT_NOT_FOUND);
    EXPECT(strstr(error.message, "no/such/file") != NULL);
    EXPECT(ingot_model_open_bytes(&model, "{\"learner\":", 11, NULL, &error) == INGOT_INVALID);
    EXPECT(error.message[0] && model == NULL);
    EXPECT(ingot_model_open_bytes(&model, "", 0, NULL, NULL) != INGOT_OK);
    ingot_model_free(NULL);
    ingot_workspace_free(NULL);
}

int main(void)
{
    struct ingot_error error = {0};
    struct ingot_model *model = NULL;
    struct ingot_options options = {.size = sizeof options, .file_max_bytes = 10};
    EXPECT(ingot_version()[0]);
    EXPECT(ingot_model_open_file(&model, CASE "model.json", &options, &error) == INGOT_NO_MEMORY);
    if (ingot_model_open_file(&model, CASE "model.json", NULL, &error) != INGOT_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    test_golden(model);
    test_explainers(model);
    test_names(model);
    ingot_model_free(model);
    test_errors();
    return 0;
}
