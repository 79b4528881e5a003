/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/job/edge_train.h"
#include "services/job/edge_train_testing.h"

#include <math.h>

struct told {
    size_t epochs;
    double last;
};

static void report(void *context, const struct ig_edge_progress *progress)
{
    struct told *told = context;
    assert_true(progress->part > told->last && progress->part <= 1);
    told->last = progress->part;
    told->epochs++;
}

static enum ig_code run(struct ig_edge_result *result, struct edge_world *world,
                        const struct ig_package *teacher, const struct ig_package *source,
                        struct ig_err *err)
{
    struct told told = {0};
    const struct ig_edge_request request = {
        .data = &world->data,
        .params = &world->params.edge,
        .models = {.teachers = {teacher}, .teachers_count = teacher != NULL, .source = source},
        .report = report,
        .context = &told};
    if (teacher) edge_world_set(world, "teacher", "models:/t/1");
    enum ig_code code = ig_edge_train_run(result, &request, &world->arena, err);
    if (code == IG_OK && world->params.edge.epochs) assert_true(told.epochs && told.last == 1);
    return code;
}

static const struct ig_edge_stage *stage_of(const struct ig_edge_result *result, const char *name)
{
    for (size_t i = 0; i < result->stages_count; i++)
        if (strcmp(result->stages[i].name, name) == 0) return &result->stages[i];
    fail_msg("no stage %s", name);
    return NULL;
}

static double metric(const struct ig_edge_result *result, const char *stage, enum ig_metric metric)
{
    return stage_of(result, stage)->metrics.values[metric];
}

/* What stands in the file is what was judged. */
static struct ig_package *package_of(const struct ig_edge_result *result)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_package *package = NULL;
    struct ig_buf zip;
    const struct ig_package_spec spec = {.model_bytes = ig_buf_view(&result->model),
                                         .schema = result->schema,
                                         .encoder_json = ig_buf_view(&result->encoder),
                                         .golden_rows = result->golden,
                                         .golden_count = result->golden_count};
    ig_buf_init(&zip, 16 << 20);
    ASSERT_OK(ig_package_write(&zip, &spec, &err));
    ASSERT_OK(ig_package_open_bytes(&package, ig_buf_view(&zip), NULL, &err));
    assert_int_equal(package->golden_rows_count, result->golden_count);
    ig_buf_deinit(&zip);
    return package;
}

static void everything_in_one_step(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct edge_world world;
    struct ig_edge_result result;
    edge_world_open(&world, 400, IG_TASK_BINARY);
    struct ig_package *teacher = edge_teacher("noyes");
    edge_world_set(&world, "epochs", "12");
    edge_world_set(&world, "early_stopping", "0");
    edge_world_set(&world, "alpha", "0.5");
    edge_world_set(&world, "pruning", "polynomial");
    edge_world_set(&world, "quantization_aware", "on");
    edge_world_set(&world, "layers", "16,16");
    edge_world_set(&world, "synthetic_rows", "300");
    ASSERT_OK(run(&result, &world, teacher, NULL, &err));
    assert_int_equal(result.stages_count, 4);
    assert_true(metric(&result, "hard_labels", IG_METRIC_ACCURACY) > 0.85);
    double teachers = metric(&result, "teacher", IG_METRIC_ACCURACY);
    assert_true(teachers > 0.6 && teachers < 1);
    assert_true(metric(&result, "student", IG_METRIC_ACCURACY) > teachers - 0.03);
    assert_true(metric(&result, "int8", IG_METRIC_ACCURACY) > teachers - 0.03);
    assert_float_equal(stage_of(&result, "student")->sparsity, 0.5, 0.01);
    assert_true(stage_of(&result, "int8")->sparsity >= 0.49);
    assert_true(stage_of(&result, "int8")->bytes < stage_of(&result, "student")->bytes);
    assert_true(stage_of(&result, "hard_labels")->sparsity < 0.01);
    assert_int_equal(stage_of(&result, "teacher")->bytes, teacher->model_bytes);
    assert_true(result.quantized && result.quantization.layers_count > 0);
    assert_int_equal(result.synthetic_rows, 300);
    struct ig_package *package = package_of(&result);
    assert_int_equal(package->schema.features_count, 2);
    ig_package_free(package);
    ig_edge_result_deinit(&result);
    ig_package_free(teacher);
    edge_world_close(&world);
}

static void neurons_go_and_the_rest_learns_again(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct edge_world world;
    struct ig_edge_result result;
    edge_world_open(&world, 400, IG_TASK_REGRESSION);
    edge_world_set(&world, "epochs", "20");
    edge_world_set(&world, "early_stopping", "0");
    edge_world_set(&world, "pruned_neurons", "0.5");
    edge_world_set(&world, "quantization", "weights");
    ASSERT_OK(run(&result, &world, NULL, NULL, &err));
    assert_int_equal(result.stages_count, 3);
    const struct ig_edge_stage *before = stage_of(&result, "student_before_removal");
    const struct ig_edge_stage *after = stage_of(&result, "student");
    assert_true(after->bytes * 10 < before->bytes * 6);
    assert_true(after->metrics.values[IG_METRIC_R2] > 0.9);
    assert_true(metric(&result, "weights", IG_METRIC_R2) > 0.9);
    ig_package_free(package_of(&result));
    ig_edge_result_deinit(&result);
    edge_world_close(&world);
}

/* A float network is registered, then quantized, then gone on from. */
static void a_source_is_gone_on_from(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct edge_world world;
    struct ig_edge_result result, again;
    edge_world_open(&world, 400, IG_TASK_MULTICLASS);
    edge_world_set(&world, "epochs", "15");
    edge_world_set(&world, "quantization", "none");
    ASSERT_OK(run(&result, &world, NULL, NULL, &err));
    assert_int_equal(result.stages_count, 1);
    double accuracy = metric(&result, "student", IG_METRIC_ACCURACY);
    assert_true(accuracy > 0.8);
    struct ig_package *source = package_of(&result);
    edge_world_set(&world, "epochs", "0");
    edge_world_set(&world, "quantization", "int8");
    ASSERT_OK(run(&again, &world, NULL, source, &err));
    assert_true(metric(&again, "student", IG_METRIC_ACCURACY) == accuracy);
    assert_true(metric(&again, "int8", IG_METRIC_ACCURACY) > accuracy - 0.05);
    struct ig_package *int8 = package_of(&again);
    ig_edge_result_deinit(&again);
    edge_world_set(&world, "epochs", "5");
    edge_world_set(&world, "pruning", "constant");
    edge_world_set(&world, "sparsity_pattern", "2:4");
    edge_world_set(&world, "quantization", "float16");
    ASSERT_OK(run(&again, &world, NULL, source, &err));
    assert_true(metric(&again, "float16", IG_METRIC_ACCURACY) > accuracy - 0.1);
    assert_true(stage_of(&again, "student")->sparsity > 0.45);
    ig_package_free(package_of(&again));
    ig_edge_result_deinit(&again);
    ASSERT_FAILS(run(&again, &world, NULL, int8, &err), IG_UNSUPPORTED, "source: it is quantized");
    ig_edge_result_deinit(&again);
    ig_package_free(int8);
    ig_package_free(source);
    ig_edge_result_deinit(&result);
    edge_world_close(&world);
}

/* Which of two quarters of a 4 x 4 picture is bright. */
static void images_go_through_windows(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf text;
    struct ig_rng rng;
    struct edge_world world;
    struct ig_edge_result result;
    ig_rng_seed(&rng, 5);
    ig_buf_init(&text, 1 << 20);
    for (int i = 0; i < 16; i++) ig_buf_printf(&text, "p%d,", i);
    ig_buf_add_cstr(&text, "y\n");
    for (int row = 0; row < 200; row++) {
        bool left = row % 2;
        for (int i = 0; i < 16; i++)
            ig_buf_printf(&text, "%.2f,", ig_rng_unit(&rng) * (left == (i % 4 < 2) ? 16 : 6));
        ig_buf_printf(&text, "%s\n", left ? "left" : "right");
    }
    edge_world_read(&world, ig_buf_view(&text));
    ig_buf_deinit(&text);
    edge_world_set(&world, "input_shape", "4x4x1");
    edge_world_set(&world, "layers", "conv:4x3,max_pool:2,8");
    edge_world_set(&world, "batch_norm", "on");
    edge_world_set(&world, "epochs", "12");
    ASSERT_OK(run(&result, &world, NULL, NULL, &err));
    assert_true(metric(&result, "int8", IG_METRIC_ACCURACY) > 0.85);
    struct ig_package *package = package_of(&result);
    assert_int_equal(package->model->network->tensors[package->model->network->inputs[0]].rank, 4);
    ig_package_free(package);
    ig_edge_result_deinit(&result);
    edge_world_close(&world);
}

static void trees_are_no_source(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct edge_world world;
    struct ig_edge_result result;
    edge_world_open(&world, 100, IG_TASK_BINARY);
    struct ig_package *trees = edge_teacher("noyes");
    ASSERT_FAILS(run(&result, &world, NULL, trees, &err), IG_UNSUPPORTED,
                 "source: lightgbm is no network");
    ig_edge_result_deinit(&result);
    ig_package_free(trees);
    edge_world_close(&world);
}

static void metrics_hold_the_table_of_stages(void **state)
{
    (void)state;
    struct ig_json_out out;
    struct ig_buf text;
    struct ig_quantize_layer layer = {4, 0.125};
    struct ig_edge_result result = {.stages_count = 2, .epochs = 3, .quantized = true};
    result.quantization = (struct ig_quantize_report){.float_bytes = 80,
                                                      .int8_bytes = 30,
                                                      .error_min_max = 0.5,
                                                      .error = 0.25,
                                                      .gained = true,
                                                      .layers = &layer,
                                                      .layers_count = 1};
    result.estimate =
        (struct ig_nn_estimate){ig_nn_device_find("cortex-m3"), 40, 7, 5, true, 9, NAN};
    for (int i = 0; i < IG_METRICS_COUNT; i++)
        result.stages[0].metrics.values[i] = result.stages[1].metrics.values[i] = NAN;
    result.stages[0].name = "teacher";
    result.stages[0].sparsity = NAN;
    result.stages[1] = (struct ig_edge_stage){
        .name = "student", .metrics = result.stages[0].metrics, .bytes = 7, .sparsity = 0.5};
    result.stages[1].metrics.values[IG_METRIC_R2] = 0.25;
    ig_buf_init(&text, 1 << 12);
    ig_json_out_init(&out, &text);
    ig_json_out_object(&out);
    ig_edge_result_write(&out, &result);
    ig_json_out_object_end(&out);
    ig_buf_add_char(&text, 0);
    assert_string_equal(
        text.ptr, "{\"r2\":0.25,\"bytes\":7,\"encoder_bytes\":0,\"sparsity\":0.5,"
                  "\"epochs\":3,\"train_rows\":0,\"validation_rows\":0,"
                  "\"synthetic_rows\":0,\"quantization\":{\"float_bytes\":80,\"int8_bytes\":30,"
                  "\"error\":0.25,\"error_min_max\":0.5,\"equalized\":false,"
                  "\"bias_corrected\":false,\"input_gains\":true,\"tuned\":false,"
                  "\"worst_layer\":4,\"layers\":[{\"layer\":4,\"error\":0.125}]},"
                  "\"estimate\":{\"device\":\"cortex-m3\",\"ram_bytes\":40,"
                  "\"flash_bytes\":7,\"products\":5,\"instructions\":9},\"stages\":[{\"stage\":"
                  "\"teacher\",\"bytes\":0},"
                  "{\"stage\":\"student\",\"r2\":0.25,\"bytes\":7,\"sparsity\":0.5}]}");
    ig_buf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_in_one_step),
        cmocka_unit_test(neurons_go_and_the_rest_learns_again),
        cmocka_unit_test(a_source_is_gone_on_from),
        cmocka_unit_test(images_go_through_windows),
        cmocka_unit_test(trees_are_no_source),
        cmocka_unit_test(metrics_hold_the_table_of_stages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
