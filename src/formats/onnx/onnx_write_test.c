/* SPDX-License-Identifier: Apache-2.0 */
/* Models written as ONNX and read again answer as they did: the golden models of the field's
 * libraries, and networks. Whether ONNX Runtime takes the files, the interop suite tries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "formats/export_testing.h"
#include "formats/onnx/onnx.h"
#include "kernels/engine.h"
#include "kernels/train/encoder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROWS = 64 };

/* Numbers that are floats: some on thresholds, some missing, some whole. */
static double *make_rows(const struct ig_model *model, bool missing)
{
    size_t features = model->features_count;
    uint64_t state = 7;
    double *rows = ig_alloc(ROWS * features * sizeof *rows);
    assert_non_null(rows);
    for (size_t i = 0; i < ROWS * features; i++) {
        uint64_t bits = state = state * 6364136223846793005U + 1442695040888963407U;
        double unit = (double)(bits >> 40) / (double)(1 << 24);
        rows[i] = (double)(float)(bits & 64 ? unit * 4 - 2 : (double)(bits >> 33 & 15));
        if (missing && (bits >> 20 & 7) == 0) rows[i] = (double)NAN;
        if (model->kind == IG_MODEL_TREES && model->nodes_count && (bits >> 24 & 3) == 0) {
            const struct ig_node *node = &model->nodes[(bits >> 32) % model->nodes_count];
            if (node->op == IG_NODE_LT || node->op == IG_NODE_LE)
                rows[i] = (double)(float)node->value;
        }
    }
    return rows;
}

static double *predict(const struct ig_model *model, const double *rows)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_engine *engine = NULL;
    if (ig_engine_new(&engine, model, &err) != IG_OK) fail_msg("%s", err.message);
    double *margins = ig_alloc(ROWS * model->outputs_count * sizeof *margins);
    double *predictions = ig_alloc(ROWS * model->predictions_count * sizeof *predictions);
    void *scratch =
        aligned_alloc(64, (ig_engine_scratch_bytes(engine, IG_ENGINE_MARGIN, ROWS) + 127) & ~63UL);
    assert_true(margins && predictions && scratch);
    ig_engine_predict(engine, rows, ROWS,
                      (struct ig_engine_scores){.margins = margins, .predictions = predictions},
                      scratch);
    free(scratch);
    ig_free(margins);
    ig_engine_free(engine);
    return predictions;
}

static void write_model(struct ig_buf *out, const struct ig_model *model)
{
    struct ig_err err = IG_ERR_INIT;
    ig_buf_init(out, IG_EXPORT_TESTING_MAX);
    if (ig_onnx_write(out, model, NULL, &err) != IG_OK) fail_msg("%s", err.message);
}

/* The last of each row: of two classes both, of one the same. */
static void check_same(const char *name, const struct ig_model *model, const struct ig_model *again,
                       double tolerance)
{
    double *rows = make_rows(model, model->kind != IG_MODEL_NETWORK);
    assert_int_equal(model->features_count, again->features_count);
    double *want = predict(model, rows), *got = predict(again, rows);
    uint32_t wide = model->predictions_count, width = again->predictions_count;
    for (size_t r = 0; r < ROWS; r++)
        for (uint32_t k = 1; k <= wide && k <= width; k++) {
            double a = got[r * width + width - k], b = want[r * wide + wide - k];
            if (!(fabs(a - b) <= tolerance * fmax(1, fabs(b))))
                fail_msg("%s: row %zu: %.9g, wanted %.9g", name, r, a, b);
        }
    ig_free(rows);
    ig_free(want);
    ig_free(got);
}

static struct ig_model *there_and_back(const char *name, double tolerance)
{
    struct ig_model *model = ig_export_testing_load(name);
    struct ig_buf out;
    write_model(&out, model);
    struct ig_model *again = ig_export_testing_parse(ig_buf_view(&out));
    check_same(name, model, again, tolerance);
    ig_buf_deinit(&out);
    ig_model_free(model);
    return again;
}

/* Plain trees come back as trees, so contributions can be asked for. */
static void writes_trees(void **state)
{
    (void)state;
    static const char *const names[] = {
        "golden/xgboost/stumps/model.json",        "golden/lightgbm/binary/model.txt",
        "golden/lightgbm/rf_multiclass/model.txt", "golden/lightgbm/dart/model.txt",
        "golden/lightgbm/no_missing/model.txt",    "golden/catboost/multiclass/model.json",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct ig_model *again = there_and_back(names[i], 1e-5);
        if (again->kind != IG_MODEL_TREES) fail_msg("%s is no model of trees", names[i]);
        ig_model_free(again);
    }
}

/* With further operators it is a graph. */
static void writes_other_models(void **state)
{
    (void)state;
    static const char *const names[] = {
        "golden/lightgbm/categorical/model.txt",
        "golden/lightgbm/binary_sigmoid/model.txt",
        "golden/xgboost/categorical_mixed/model.json",
        "golden/lightgbm/poisson/model.txt",
        "golden/lightgbm/regression_sqrt/model.txt",
        "golden/xgboost/gblinear_multiclass/model.json",
        "golden/lightgbm/cross_entropy_lambda/model.txt",
        "golden/lightgbm/multiclassova/model.txt",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        ig_model_free(there_and_back(names[i], 1e-5));
}

static void writes_networks(void **state)
{
    (void)state;
    static const char *const names[] = {
        "corpus/tflite/concatenation_float", "corpus/tflite/float_border",
        "corpus/tflite/half_weights",        "corpus/tflite/fully_connected_keep_float",
        "corpus/tflite/mul_broadcast_float", "corpus/tflite/conv_int8",
        "corpus/tflite/softmax_rows_int8",   "corpus/tflite/pad_int8",
        "corpus/tflite/add_constant_int8",   "corpus/tflite/depthwise_spread_int8",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        ig_model_free(there_and_back(names[i], 1e-5));
}

/* Three numbers with ranks and missing values, and five categories: the fourteen inputs of the
 * network. */
static void writes_encoders(void **state)
{
    (void)state;
    static const uint32_t categories[] = {0, 0, 0, 5};
    static double values[ROWS * 4];
    struct ig_model *model = ig_export_testing_load("corpus/tflite/half_weights");
    struct ig_err err = IG_ERR_INIT;
    struct ig_encoder encoder;
    struct ig_buf out;
    uint64_t bits = 3;
    for (size_t i = 0; i < ROWS * (size_t)4; i++) {
        bits = bits * 6364136223846793005U + 1442695040888963407U;
        double unit = (double)(bits >> 40) / (double)(1 << 24);
        values[i] = (double)(float)(i % 4 == 3 ? floor(unit * 5) : 100 * unit * unit);
        if (i % 4 != 3 && (bits >> 33 & 7) == 0) values[i] = (double)NAN;
    }
    const struct ig_encoder_rows rows = {values, ROWS, 4, categories, true};
    if (ig_encoder_fit(&encoder, &model->arena, &rows, &err) != IG_OK) fail_msg("%s", err.message);
    assert_int_equal(encoder.inputs_count, model->features_count);
    model->encoder = &encoder;
    model->features_count = 4;
    values[3] = -1;  /* no category at all */
    values[7] = 5;   /* one that it does not know */
    values[0] = 1e9; /* beyond the clip and the last knot */
    write_model(&out, model);
    struct ig_model *again = ig_export_testing_parse(ig_buf_view(&out));
    assert_int_equal(again->features_count, 4);
    double *want = predict(model, values), *got = predict(again, values);
    for (size_t i = 0; i < (size_t)ROWS * model->predictions_count; i++)
        assert_true(fabs(got[i] - want[i]) <= 2e-5 * fmax(1, fabs(want[i])));
    ig_free(want);
    ig_free(got);
    ig_buf_deinit(&out);
    ig_model_free(again);
    ig_model_free(model);
}

static void refuses_what_onnx_cannot_say(void **state)
{
    (void)state;
    ig_export_testing_refuses(ig_onnx_write, "golden/lightgbm/linear_tree/model.txt",
                              "leaves are linear models");
    ig_export_testing_refuses(ig_onnx_write, "golden/lightgbm/zero_as_missing/model.txt",
                              "zeros count as missing");
    ig_export_testing_refuses(ig_onnx_write, "golden/catboost/combined_binary/model.json",
                              "statistics of categories");
}

static void says_when_memory_is_out(void **state)
{
    (void)state;
    static const char *const names[] = {"golden/lightgbm/categorical/model.txt",
                                        "corpus/tflite/cnn_int8"};
    for (size_t i = 0; i < 2; i++) {
        struct ig_model *model = ig_export_testing_load(names[i]);
        struct ig_err err = IG_ERR_INIT;
        struct ig_buf out;
        ig_buf_init(&out, 1000);
        assert_int_equal(ig_onnx_write(&out, model, NULL, &err), IG_NO_MEMORY);
        ig_buf_deinit(&out);
        for (uint64_t n = 1; n < 200; n++) {
            ig_err_clear(&err);
            ig_buf_init(&out, IG_EXPORT_TESTING_MAX);
            ig_mem_fail_after(n);
            enum ig_code code = ig_onnx_write(&out, model, NULL, &err);
            bool failed = ig_mem_failed();
            ig_mem_fail_after(0);
            assert_int_equal(code, failed ? IG_NO_MEMORY : IG_OK);
            ig_buf_deinit(&out);
            if (!failed) break;
        }
        ig_model_free(model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_trees),
        cmocka_unit_test(writes_other_models),
        cmocka_unit_test(writes_networks),
        cmocka_unit_test(writes_encoders),
        cmocka_unit_test(refuses_what_onnx_cannot_say),
        cmocka_unit_test(says_when_memory_is_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
