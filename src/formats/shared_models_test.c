/* SPDX-License-Identifier: Apache-2.0 */
/* Real models from the shared folder (INGOT_SHARED_DIR, or ../shared), with the answers that came
 * with them. Skipped where the folder is absent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "formats/format.h"
#include "kernels/engine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum answers { MARGINS = 1, PREDICTIONS = 2 };

struct sample {
    const char *model;
    const char *inputs;
    const char *expected;
    size_t skip_inputs; /* leading columns of the inputs to leave out */
    int answers;        /* columns of the expected file, in this order */
    double tolerance;   /* relative; 0: bit-equal */
    uint32_t trees, features, outputs;
};

static const struct sample samples[] = {
    {"xgboost/adult_binary.json", "xgboost/adult_binary.inputs.csv",
     "xgboost/adult_binary.pred.csv", 0, 3, 0, 60, 14, 1},
    {"xgboost/adult_binary.ubj", "xgboost/adult_binary.inputs.csv", "xgboost/adult_binary.pred.csv",
     0, 3, 0, 60, 14, 1},
    {"xgboost/california_reg.json", "xgboost/california_reg.inputs.csv",
     "xgboost/california_reg.pred.csv", 0, 3, 0, 100, 9, 1},
    {"xgboost/california_reg.ubj", "xgboost/california_reg.inputs.csv",
     "xgboost/california_reg.pred.csv", 0, 3, 0, 100, 9, 1},
    {"xgboost/kserve_iris.json", "xgboost/kserve_iris.inputs.csv", "xgboost/kserve_iris.pred.csv",
     0, 3, 0, 100, 4, 10},
    {"xgboost/kserve_iris.ubj", "xgboost/kserve_iris.inputs.csv", "xgboost/kserve_iris.pred.csv", 0,
     3, 0, 100, 4, 10},
    {"xgboost/agaricus_binary.json", "xgboost/agaricus_binary.inputs.csv",
     "xgboost/agaricus_binary.pred.csv", 0, 3, 0, 20, 127, 1},
    {"lightgbm/multiclass5.txt", "lightgbm/multiclass5.inputs.tsv", "lightgbm/multiclass5.raw.tsv",
     1, MARGINS, 0, 50, 28, 5},
    {"lightgbm/multiclass5.txt", "lightgbm/multiclass5.inputs.tsv", "lightgbm/multiclass5.prob.tsv",
     1, PREDICTIONS, 1e-15, 50, 28, 5},
    {"lightgbm/iris_rf.txt", "lightgbm/iris_rf.inputs.libsvm", "lightgbm/iris_rf.pred.tsv", 1,
     MARGINS, 0, 30, 4, 1},
    {"lightgbm/mtpl_poisson.txt", "lightgbm/mtpl_poisson.inputs.tsv",
     "lightgbm/mtpl_poisson.pred.txt", 0, PREDICTIONS, 1e-15, 100, 9, 1},
    {"lightgbm/nyc_taxi_fare.txt", "lightgbm/nyc_taxi_fare.inputs.csv",
     "lightgbm/nyc_taxi_fare.raw_pred.csv", 0, 3, 0, 100, 5, 1},
    {"lightgbm/airline_delay_categorical.txt", "lightgbm/airline_delay_categorical.inputs.csv",
     "lightgbm/airline_delay_categorical.raw_pred.csv", 0, 3, 0, 100, 6, 1},
    {"lightgbm/mtpl2_small_categorical.txt", "lightgbm/mtpl2_small_categorical.inputs.csv",
     "lightgbm/mtpl2_small_categorical.raw_pred.csv", 0, 3, 0, 200, 15, 1},
};

static const char *shared_file(const char *name)
{
    static char path[1024];
    const char *folder = getenv("INGOT_SHARED_DIR");
    const char *source = getenv("INGOT_SOURCE_DIR");
    if (folder)
        snprintf(path, sizeof path, "%s/models/%s", folder, name);
    else
        snprintf(path, sizeof path, "%s/../shared/models/%s", source ? source : ".", name);
    return path;
}

/* False when there is no such file. */
static bool read_file(struct ig_buf *buf, const char *name)
{
    struct ig_err err = IG_ERR_INIT;
    ig_buf_init(buf, 1 << 26);
    return ig_file_read(buf, IG_FILE_CWD, shared_file(name), &err) == IG_OK;
}

static struct ig_str next_field(struct ig_str *line)
{
    struct ig_str field = {line->ptr, 0};
    while (field.len < line->len && !memchr(", \t", line->ptr[field.len], 3)) field.len++;
    *line = field.len == line->len
                ? (struct ig_str){0}
                : (struct ig_str){line->ptr + field.len + 1, line->len - field.len - 1};
    return field;
}

/* Numbers of a line into row[count], NaN where empty or absent; "7:1.5" is field 7. Returns how
 * many. */
static size_t parse_line(struct ig_str line, double *row, size_t count, size_t skip)
{
    size_t fields = 0;
    line = ig_str_trim(line);
    for (size_t i = 0; i < count; i++) row[i] = NAN;
    while (line.ptr) {
        struct ig_str field = next_field(&line);
        struct ig_str value = field;
        int64_t index = (int64_t)fields - (int64_t)skip;
        struct ig_str key = ig_str_cut(&value, ':');
        if (value.ptr)
            assert_true(ig_str_to_i64(key, &index));
        else
            value = field;
        fields++;
        if (index < 0 || (size_t)index >= count || value.len == 0) continue;
        assert_true(ig_str_to_f64(value, &row[index]));
    }
    return fields;
}

static bool is_header(struct ig_str text)
{
    double value;
    struct ig_str line = ig_str_trim(ig_str_cut(&text, '\n'));
    struct ig_str field = next_field(&line);
    return field.len && !ig_str_to_f64(field, &value);
}

static void compare(const struct sample *sample, size_t row, double expected, double computed,
                    double tolerance)
{
    double difference = fabs(expected - computed);
    if (expected == computed || difference <= tolerance * fmax(1e-3, fabs(expected))) return;
    fail_msg("%s: row %zu: %.17g, expected %.17g", sample->model, row, computed, expected);
}

static void check_row(const struct sample *sample, const struct ig_engine *engine, size_t row,
                      struct ig_str input, struct ig_str expected)
{
    const struct ig_model *model = ig_engine_model(engine);
    double values[256];
    double margins[16];
    double answers[32];
    double predictions[16];
    size_t at = 0;
    void *scratch = ig_alloc_aligned(64, ig_engine_scratch_bytes(engine, IG_ENGINE_MARGIN, 1) + 64);
    parse_line(input, values, model->features_count, sample->skip_inputs);
    parse_line(expected, answers, 32, 0);
    ig_engine_margin(engine, values, 1, margins, scratch);
    ig_model_transform(model, margins, predictions);
    for (uint32_t i = 0; (sample->answers & MARGINS) && i < model->outputs_count; i++, at++) {
        double answer = model->inputs_f32 ? (double)(float)answers[at] : answers[at];
        compare(sample, row, answer, margins[i], sample->tolerance);
    }
    for (uint32_t i = 0; (sample->answers & PREDICTIONS) && i < model->predictions_count; i++, at++)
        compare(sample, row, answers[at], predictions[i], model->inputs_f32 ? 1e-6 : 1e-15);
    ig_free(scratch);
}

static void check_sample(const struct sample *sample, struct ig_str model_bytes)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model;
    struct ig_engine *engine;
    struct ig_buf inputs;
    struct ig_buf expected;
    if (ig_format_load(&model, model_bytes, NULL, &err) != IG_OK)
        fail_msg("%s: %s", sample->model, err.message);
    assert_int_equal(model->trees_count, sample->trees);
    assert_int_equal(model->features_count, sample->features);
    assert_int_equal(model->outputs_count, sample->outputs);
    assert_int_equal(ig_engine_new(&engine, model, &err), IG_OK);
    assert_true(read_file(&inputs, sample->inputs));
    assert_true(read_file(&expected, sample->expected));
    struct ig_str input = ig_buf_view(&inputs);
    struct ig_str answer = ig_buf_view(&expected);
    if (is_header(input)) ig_str_cut(&input, '\n');
    if (is_header(answer)) ig_str_cut(&answer, '\n');
    size_t rows = 0;
    for (; answer.len > 0 && input.len > 0; rows++)
        check_row(sample, engine, rows, ig_str_cut(&input, '\n'), ig_str_cut(&answer, '\n'));
    assert_true(rows >= 30);
    ig_buf_deinit(&inputs);
    ig_buf_deinit(&expected);
    ig_engine_free(engine);
    ig_model_free(model);
}

static void test_shared_models(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        struct ig_buf bytes;
        bool found = read_file(&bytes, samples[i].model);
        if (found) check_sample(&samples[i], ig_buf_view(&bytes));
        ig_buf_deinit(&bytes);
        if (!found) skip();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shared_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
