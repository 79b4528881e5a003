/* SPDX-License-Identifier: Apache-2.0 */
/* What the files hold, by field, and what is refused. The interop suite loads them by coremltools
 * and computes what they say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/proto.h"
#include "formats/coreml/coreml.h"
#include "formats/export_testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TREE_REGRESSOR = 302, GLM_CLASSIFIER = 400, TREE_CLASSIFIER = 402, NETWORK = 500 };

static bool find(struct ig_proto_field *out, struct ig_str message, uint32_t number)
{
    struct ig_proto proto;
    ig_proto_init(&proto, message);
    while (ig_proto_next(&proto, out))
        if (out->number == number) return true;
    assert_false(proto.bad);
    return false;
}

static size_t count(struct ig_str message, uint32_t number)
{
    struct ig_proto_field field;
    struct ig_proto proto;
    size_t found = 0;
    ig_proto_init(&proto, message);
    while (ig_proto_next(&proto, &field)) found += field.number == number;
    assert_false(proto.bad);
    return found;
}

/* The model's own message, of the type that is wanted. */
static struct ig_str write_model(struct ig_buf *out, const struct ig_model *model, uint32_t type,
                                 uint32_t version)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_proto_field field;
    ig_buf_init(out, IG_EXPORT_TESTING_MAX);
    if (ig_coreml_write(out, model, NULL, &err) != IG_OK) fail_msg("%s", err.message);
    assert_true(find(&field, ig_buf_view(out), 1) && field.value == version);
    assert_true(find(&field, ig_buf_view(out), 2));
    assert_int_equal(count(field.bytes, 11), type == NETWORK ? 0 : 1);
    assert_true(find(&field, ig_buf_view(out), type));
    return field.bytes;
}

static void check_trees(const char *name, uint32_t type, uint32_t transform)
{
    struct ig_model *model = ig_export_testing_load(name);
    struct ig_proto_field field, ensemble;
    struct ig_buf out;
    struct ig_str body = write_model(&out, model, type, 1);
    assert_true(find(&ensemble, body, 1));
    assert_int_equal(count(ensemble.bytes, 1), model->nodes_count);
    assert_true(find(&field, ensemble.bytes, 2) && field.value == model->outputs_count);
    assert_true(find(&field, ensemble.bytes, 3));
    assert_int_equal(field.bytes.len, model->outputs_count * sizeof(double));
    assert_memory_equal(field.bytes.ptr, model->base_margin, field.bytes.len);
    assert_true(find(&field, body, 2) && field.value == transform);
    ig_buf_deinit(&out);
    ig_model_free(model);
}

static void writes_trees(void **state)
{
    (void)state;
    check_trees("golden/xgboost/squarederror/model.json", TREE_REGRESSOR, 0);
    check_trees("golden/lightgbm/multiclass/model.txt", TREE_CLASSIFIER, 1);
    check_trees("golden/xgboost/binary_missing/model.json", TREE_CLASSIFIER, 2);
}

/* Class 0 is the reference: one row of weights less than there are classes. */
static void writes_linear_models(void **state)
{
    (void)state;
    struct ig_model *model =
        ig_export_testing_load("golden/xgboost/gblinear_multiclass/model.json");
    struct ig_buf out;
    struct ig_str body = write_model(&out, model, GLM_CLASSIFIER, 1);
    assert_int_equal(count(body, 1), model->outputs_count - 1);
    ig_buf_deinit(&out);
    ig_model_free(model);
}

static void writes_networks(void **state)
{
    (void)state;
    struct ig_model *model = ig_export_testing_load("corpus/tflite/half_weights");
    struct ig_buf out;
    struct ig_str body = write_model(&out, model, NETWORK, 2); /* halves need version 2 */
    assert_true(count(body, 1) > 0);
    ig_buf_deinit(&out);
    ig_model_free(model);
}

static void refuses_what_core_ml_cannot_say(void **state)
{
    (void)state;
    ig_export_testing_refuses(ig_coreml_write, "golden/lightgbm/categorical/model.txt",
                              "split by sets of categories");
    ig_export_testing_refuses(ig_coreml_write, "golden/lightgbm/zero_as_missing/model.txt",
                              "feature 'f1': zeros count as missing");
    ig_export_testing_refuses(ig_coreml_write, "golden/lightgbm/poisson/model.txt",
                              "transform EXP");
    ig_export_testing_refuses(ig_coreml_write, "golden/lightgbm/linear_tree/model.txt",
                              "leaves are linear models");
    ig_export_testing_refuses(ig_coreml_write, "corpus/tflite/cnn_int8", "no int8 activations");
    ig_export_testing_refuses(ig_coreml_write, "corpus/tflite/fully_connected_keep_float",
                              "products of several rows");
}

static void says_when_memory_is_out(void **state)
{
    (void)state;
    struct ig_model *model = ig_export_testing_load("corpus/tflite/half_weights");
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf out;
    ig_buf_init(&out, 100);
    assert_int_equal(ig_coreml_write(&out, model, NULL, &err), IG_NO_MEMORY);
    ig_buf_deinit(&out);
    for (uint64_t n = 1; n < 200; n++) {
        ig_err_clear(&err);
        ig_buf_init(&out, IG_EXPORT_TESTING_MAX);
        ig_mem_fail_after(n);
        enum ig_code code = ig_coreml_write(&out, model, NULL, &err);
        bool failed = ig_mem_failed();
        ig_mem_fail_after(0);
        assert_int_equal(code, failed ? IG_NO_MEMORY : IG_OK);
        ig_buf_deinit(&out);
        if (!failed) break;
    }
    ig_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_trees),
        cmocka_unit_test(writes_linear_models),
        cmocka_unit_test(writes_networks),
        cmocka_unit_test(refuses_what_core_ml_cannot_say),
        cmocka_unit_test(says_when_memory_is_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
