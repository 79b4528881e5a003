/* SPDX-License-Identifier: Apache-2.0 */
/* Which engine a file gets, and packages on ONNX Runtime, by the fake library
 * (tests/support/ort_testing.c): it takes words of the producer's name as the model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "formats/onnx/onnx_testing.h"
#include "formats/package.h"
#include "kernels/ort/ort.h"
#include "model/foreign.h"

#include <ingot/ingot.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char library[512];

static void use(const char *engine, const char *path)
{
    struct ig_err err = IG_ERR_INIT;
    if (ig_ort_setup(engine, path, &err) != IG_OK) fail_msg("%s", err.message);
}

static enum ig_code load(struct ig_model **out, const char *words, const char *ops,
                         struct ig_str more, struct ig_err *err)
{
    struct ig_buf bytes;
    test_onnx_model(&bytes, words, ops, more);
    *err = IG_ERR_INIT;
    enum ig_code code = ig_format_load(out, ig_buf_view(&bytes), NULL, err);
    ig_buf_deinit(&bytes);
    return code;
}

static void expect(const struct ig_err *err, const char *message)
{
    if (!strstr(err->message, message)) fail_msg("'%s', expected '%s'", err->message, message);
}

static void test_own_operators_stay_ours(void **state)
{
    (void)state;
    struct ig_err err;
    struct ig_model *model = NULL;
    use("auto", library);
    assert_int_equal(load(&model, "plain", "Relu Exp", (struct ig_str){0}, &err), IG_OK);
    assert_int_equal(model->kind, IG_MODEL_GRAPH);
    assert_null(model->foreign);
    ig_model_free(model);
    use("onnxruntime", library);
    assert_int_equal(load(&model, "plain", "Relu Exp", (struct ig_str){0}, &err), IG_OK);
    assert_int_equal(model->kind, IG_MODEL_FOREIGN);
    assert_true(ig_str_is(model->foreign->reason, "onnx_engine is onnxruntime"));
    ig_model_free(model);
}

static void test_unknown_operators_go_to_the_library(void **state)
{
    (void)state;
    struct ig_err err;
    struct ig_model *model = NULL;
    use("auto", library);
    if (load(&model, "label", "Relu GridSample", (struct ig_str){0}, &err) != IG_OK)
        fail_msg("%s", err.message);
    assert_int_equal(model->kind, IG_MODEL_FOREIGN);
    assert_true(ig_str_is(model->foreign->reason,
                          "node '' (GridSample): this operator is not among Ingot's own"));
    assert_int_equal(model->features_count, 3);
    assert_int_equal(model->outputs_count, 2);
    assert_int_equal(model->transform, IG_TRANSFORM_PROBABILITY); /* beside a label */
    assert_true(ig_str_is(model->objective, "multi:graph"));
    assert_true(ig_str_is(model->source_version, "label"));
    ig_model_free(model);
}

static void test_what_an_unknown_operator_says_without_it(void **state)
{
    (void)state;
    struct ig_err err;
    struct ig_model *model = NULL;
    use("ingot", "");
    assert_int_equal(load(&model, "plain", "GridSample", (struct ig_str){0}, &err), IG_UNSUPPORTED);
    assert_string_equal(err.message,
                        "onnx: node '' (GridSample): this operator is not among Ingot's own; "
                        "onnx_engine keeps ONNX Runtime out");
    use("auto", "/nowhere/libonnxruntime.so");
    assert_int_equal(load(&model, "plain", "GridSample", (struct ig_str){0}, &err), IG_UNSUPPORTED);
    expect(&err, "(GridSample): this operator is not among Ingot's own; /nowhere/libonnxruntime");
    use("auto", library);
    assert_int_equal(load(&model, "broken", "GridSample", (struct ig_str){0}, &err),
                     IG_UNSUPPORTED);
    expect(&err, "not among Ingot's own; ONNX Runtime 1.99.0: model: this model is broken");
}

static void test_data_elsewhere_is_never_opened(void **state)
{
    (void)state;
    struct ig_err err;
    struct ig_model *model = NULL;
    struct ig_buf tensor, more;
    ig_buf_init(&tensor, 64);
    ig_buf_init(&more, 256);
    test_onnx_bytes(&tensor, 8, IG_STR("weights"));
    test_onnx_varint(&tensor, 14, 1);
    test_onnx_bytes(&more, 5, ig_buf_view(&tensor));
    static const char *const engines[] = {"auto", "onnxruntime"};
    for (int i = 0; i < 2; i++) {
        use(engines[i], library);
        assert_int_equal(load(&model, "plain", "GridSample", ig_buf_view(&more), &err),
                         IG_UNSUPPORTED);
        expect(&err, "another file");
    }
    ig_buf_deinit(&tensor);
    ig_buf_deinit(&more);
}

static void test_the_face_tells_the_runtime(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_package *package = NULL, *face = NULL;
    struct ig_buf bytes, packed;
    use("auto", library);
    ig_buf_init(&packed, 1 << 16);
    test_onnx_model(&bytes, "plain", "GridSample", (struct ig_str){0});
    assert_int_equal(ig_package_open_bytes(&package, ig_buf_view(&bytes), NULL, &err), IG_OK);
    assert_true(ig_str_is(package->runtime, "onnxruntime"));
    ig_package_face_write(&packed, package);
    assert_int_equal(ig_package_face_read(&face, ig_buf_view(&packed), &err), IG_OK);
    assert_int_equal(face->model->kind, IG_MODEL_FOREIGN);
    assert_null(face->model->foreign);
    assert_true(ig_str_is(face->runtime, "onnxruntime"));
    assert_true(ig_str_is(face->runtime_version, "1.99.0"));
    assert_true(ig_str_eq(face->runtime_reason, package->model->foreign->reason));
    ig_package_free(face);
    ig_package_free(package);
    ig_buf_deinit(&bytes);
    ig_buf_deinit(&packed);
}

/* Time that the numbers decide is never a loop's. */
static void test_subgraphs_are_uneven(void **state)
{
    (void)state;
    struct ig_buf graph, attribute, node, more;
    struct ig_buf *const all[] = {&graph, &attribute, &node, &more};
    use("auto", library);
    for (int i = 0; i < 4; i++) ig_buf_init(all[i], 1 << 10);
    test_onnx_value(&graph, 12, "inner", 1);
    test_onnx_bytes(&attribute, 6, ig_buf_view(&graph));
    test_onnx_bytes(&node, 4, IG_STR("Loop"));
    test_onnx_bytes(&node, 5, ig_buf_view(&attribute));
    test_onnx_bytes(&more, 1, ig_buf_view(&node));
    struct ig_err err;
    struct ig_model *model = NULL;
    struct ig_engine *engine = NULL;
    assert_int_equal(load(&model, "plain", "GridSample", ig_buf_view(&more), &err), IG_OK);
    assert_int_equal(ig_engine_new(&engine, model, &err), IG_OK);
    assert_true(ig_engine_cost_ns(engine, IG_ENGINE_MARGIN, 1) >= 10000000);
    ig_engine_free(engine);
    ig_model_free(model);
    for (int i = 0; i < 4; i++) ig_buf_deinit(all[i]);
}

static void test_a_package_lends_its_words(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_str towns[] = {IG_STR("Rome"), IG_STR("Ulm")}, streets[] = {IG_STR("High Street")};
    struct ig_feature features[] = {
        {.name = IG_STR("town"),
         .type = IG_FEATURE_CATEGORICAL,
         .categories = towns,
         .categories_count = 2},
        {.name = IG_STR("street"),
         .type = IG_FEATURE_CATEGORICAL,
         .categories = streets,
         .categories_count = 1},
    };
    const struct ig_schema schema = {.features = features, .features_count = 2};
    struct ig_package *package = NULL;
    struct ig_buf bytes, zip;
    use("auto", library);
    test_onnx_model(&bytes, "text", "GridSample", (struct ig_str){0});
    assert_int_equal(ig_package_open_bytes(&package, ig_buf_view(&bytes), NULL, &err),
                     IG_UNSUPPORTED);
    expect(&err, "feature 0 '' is text: a package whose ingot.yaml lists its words");
    err = IG_ERR_INIT;
    const double golden[] = {0, 0, 1, 0, NAN, -1};
    const struct ig_package_spec spec = {.model_bytes = ig_buf_view(&bytes),
                                         .schema = &schema,
                                         .golden_rows = golden,
                                         .golden_count = 3};
    ig_buf_init(&zip, 1 << 20);
    if (ig_package_write(&zip, &spec, &err) != IG_OK) fail_msg("%s", err.message);
    if (ig_package_open_bytes(&package, ig_buf_view(&zip), NULL, &err) != IG_OK)
        fail_msg("%s", err.message);
    assert_int_equal(package->golden_rows_count, 3);
    assert_true(package->memory_bytes > bytes.len);
    void *scratch =
        ig_alloc_aligned(64, ig_engine_scratch_bytes(package->engine, IG_ENGINE_MARGIN, 3));
    double margins[3];
    ig_engine_margin(package->engine, golden, 3, margins, scratch);
    assert_true(margins[0] == 15 && margins[1] == 14 && margins[2] == 0);
    ig_free(scratch);
    ig_package_free(package);
    ig_buf_deinit(&bytes);
    ig_buf_deinit(&zip);
}

static void test_the_embeddable_library_tells_failures(void **state)
{
    (void)state;
    struct ingot_model *model = NULL;
    struct ingot_error error = {0};
    struct ig_buf bytes;
    double margins[2];
    use("auto", library);
    test_onnx_model(&bytes, "thirteen", "GridSample", (struct ig_str){0});
    assert_int_equal(ingot_model_open_bytes(&model, bytes.ptr, bytes.len, NULL, &error), INGOT_OK);
    struct ingot_workspace *work = ingot_workspace_new(model, 2);
    assert_int_equal(ingot_margin(model, work, (double[]){1, 2, 3, 4, 5, 6}, 2, margins), INGOT_OK);
    assert_true(margins[0] == 6 && margins[1] == 15);
    assert_int_equal(ingot_margin(model, work, (double[]){1, 2, 3, 13, 5, 6}, 2, margins),
                     INGOT_FAILED);
    assert_int_equal(ingot_predict(model, work, (double[]){13, 2, 3}, 1, margins), INGOT_FAILED);
    ingot_workspace_free(work);
    ingot_model_free(model);
    ig_buf_deinit(&bytes);
}

static int find_library(void **state)
{
    (void)state;
    const char *build = getenv("INGOT_BUILD_DIR");
    snprintf(library, sizeof library, "%s/fake_ort.so", build ? build : "");
    return build ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_an_unknown_operator_says_without_it), /* before it is loaded */
        cmocka_unit_test(test_own_operators_stay_ours),
        cmocka_unit_test(test_unknown_operators_go_to_the_library),
        cmocka_unit_test(test_data_elsewhere_is_never_opened),
        cmocka_unit_test(test_the_face_tells_the_runtime),
        cmocka_unit_test(test_subgraphs_are_uneven),
        cmocka_unit_test(test_a_package_lends_its_words),
        cmocka_unit_test(test_the_embeddable_library_tells_failures),
    };
    return cmocka_run_group_tests(tests, find_library, NULL);
}
