/* SPDX-License-Identifier: Apache-2.0 */
/* Real ONNX networks and a forest from the shared folder (INGOT_SHARED_DIR, or ../shared), with the
 * answers that came with them. Skipped where the folder is absent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "formats/format.h"
#include "formats/onnx/onnx.h"
#include "kernels/graph/program.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { FILE_MAX = 1 << 23 };

static const char *shared_file(const char *name)
{
    static char path[1024];
    const char *folder = getenv("INGOT_SHARED_DIR");
    const char *source = getenv("INGOT_SOURCE_DIR");
    if (folder)
        snprintf(path, sizeof path, "%s/models/onnx/%s", folder, name);
    else
        snprintf(path, sizeof path, "%s/../shared/models/onnx/%s", source ? source : ".", name);
    return path;
}

/* The whole file, unpacked when it is gzip; false when there is none. */
static bool read_file(struct ig_buf *buf, const char *name)
{
    char chunk[16384];
    int length;
    gzFile file = gzopen(shared_file(name), "rb");
    if (!file) return false;
    ig_buf_init(buf, FILE_MAX);
    while ((length = gzread(file, chunk, sizeof chunk)) > 0) ig_buf_add(buf, chunk, (size_t)length);
    gzclose(file);
    assert_false(buf->overflowed);
    return true;
}

/* Next number of the text; false at its end. */
static bool next_number(struct ig_str *text, double *out)
{
    size_t length = 0;
    while (text->len && memchr(",\n\r ", text->ptr[0], 4)) {
        text->ptr++;
        text->len--;
    }
    while (length < text->len && !memchr(",\n\r ", text->ptr[length], 4)) length++;
    if (length == 0) return false;
    assert_true(ig_str_to_f64((struct ig_str){text->ptr, length}, out));
    text->ptr += length;
    text->len -= length;
    return true;
}

struct world {
    struct ig_buf bytes;
    struct ig_graph *graph;
    struct ig_program *program;
    struct ig_predictor predictor;
    double *row, *values;
    void *scratch;
};

static void open_world(struct world *world, const char *name)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_program_options options = {.batch = 1};
    *world = (struct world){0};
    if (!read_file(&world->bytes, name)) skip();
    if (ig_onnx_graph(&world->graph, ig_buf_view(&world->bytes), &err) != IG_OK ||
        ig_program_new(&world->program, world->graph, &options, &err) != IG_OK ||
        ig_program_predictor(&world->predictor, world->program, &err) != IG_OK)
        fail_msg("%s: %s", name, err.message);
    world->row = ig_alloc(world->predictor.features_count * sizeof(double));
    world->values = ig_alloc(world->predictor.values_count * sizeof(double));
    world->scratch = ig_alloc_aligned(64, world->predictor.scratch_bytes(&world->predictor, 1));
}

static void run_row(struct world *world)
{
    world->predictor.run(&world->predictor, world->row, 1, world->values, world->scratch);
}

static void close_world(struct world *world)
{
    ig_free(world->row);
    ig_free(world->values);
    ig_free(world->scratch);
    ig_program_free(world->program);
    ig_graph_free(world->graph);
    ig_buf_deinit(&world->bytes);
}

/* Rows of a CSV through the network: every answer is the same int8 step as ONNX Runtime's. */
static void run_rows(const char *stem, const char *inputs)
{
    struct world world;
    struct ig_buf in, out;
    char name[128];
    size_t rows = 0;
    double expected;
    snprintf(name, sizeof name, "%s.onnx", stem);
    open_world(&world, name);
    assert_true(read_file(&in, inputs));
    snprintf(name, sizeof name, "%s.outputs.csv", stem);
    assert_true(read_file(&out, name));
    struct ig_str rest = ig_buf_view(&in);
    struct ig_str answers = ig_buf_view(&out);
    for (; next_number(&rest, &world.row[0]); rows++) {
        for (uint32_t i = 1; i < world.predictor.features_count; i++)
            assert_true(next_number(&rest, &world.row[i]));
        run_row(&world);
        for (uint32_t i = 0; i < world.predictor.values_count; i++) {
            assert_true(next_number(&answers, &expected));
            if (fabs(world.values[i] - expected) > 1e-5 * fabs(expected))
                fail_msg("%s: row %zu, value %u: %.9g, expected %.9g", stem, rows, i,
                         world.values[i], expected);
        }
    }
    assert_true(rows > 0);
    assert_false(next_number(&answers, &expected));
    ig_buf_deinit(&in);
    ig_buf_deinit(&out);
    close_world(&world);
}

static void runs_int8_networks(void **state)
{
    (void)state;
    run_rows("kws_int8_qdq", "kws_int8_qdq.inputs.csv");
    run_rows("ad01_int8_qdq", "ad01_int8_qdq.inputs.csv");
}

static void runs_mobile_network(void **state)
{
    (void)state;
    run_rows("vww_96_int8_qdq", "vww_96_int8_qdq.inputs.csv.gz");
}

static void read_tensor(struct ig_tensor *tensor, struct ig_arena *arena, const char *stem,
                        unsigned index)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf buf;
    char name[64];
    snprintf(name, sizeof name, "mnist-8.%s_%u.pb", stem, index);
    assert_true(read_file(&buf, name));
    assert_int_equal(ig_onnx_tensor(tensor, ig_buf_view(&buf), arena, &err), IG_OK);
    ig_buf_deinit(&buf);
}

/* The answers that came with the model are another runtime's: ONNX Runtime is within 8e-4. */
static void runs_mnist(void **state)
{
    (void)state;
    struct world world;
    struct ig_arena arena;
    open_world(&world, "mnist-8.onnx");
    ig_arena_init(&arena, 1 << 14, 1 << 20);
    for (unsigned i = 0; i < 3; i++) {
        struct ig_tensor input, output;
        read_tensor(&input, &arena, "input", i);
        read_tensor(&output, &arena, "output", i);
        assert_int_equal(input.count, world.predictor.features_count);
        assert_int_equal(output.count, world.predictor.values_count);
        for (size_t k = 0; k < input.count; k++)
            world.row[k] = (double)((const float *)input.data)[k];
        run_row(&world);
        for (size_t k = 0; k < output.count; k++) {
            double expected = (double)((const float *)output.data)[k];
            if (fabs(world.values[k] - expected) > 1e-3)
                fail_msg("image %u: %.9g, expected %.9g", i, world.values[k], expected);
        }
    }
    ig_arena_deinit(&arena);
    close_world(&world);
}

static size_t greatest(const double *values, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (values[i] > values[best]) best = i;
    return best;
}

/* The forest's labels (0, 1, 2), as a graph and as a model of trees. */
static void reads_the_forest(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct world world;
    struct ig_buf in, out;
    struct ig_model *model = NULL;
    struct ig_engine *engine = NULL;
    const struct ig_format *format = NULL;
    double predictions[3], margins[3], label;
    open_world(&world, "sklearn_randomforest.onnx");
    if (ig_format_load(&model, ig_buf_view(&world.bytes), &format, &err) != IG_OK ||
        ig_engine_new(&engine, model, &err) != IG_OK)
        fail_msg("%s", err.message);
    assert_string_equal(format->name, "onnx");
    assert_int_equal(model->outputs_count, 3);
    assert_true(ig_str_is(model->objective, "multi:TreeEnsembleClassifier"));
    struct ig_predictor response = ig_predictor_response(engine);
    void *scratch = ig_alloc_aligned(64, response.scratch_bytes(&response, 1) + 64);
    assert_true(read_file(&in, "../xgboost/kserve_iris.inputs.csv"));
    assert_true(read_file(&out, "sklearn_randomforest.labels.csv"));
    struct ig_str rest = ig_buf_view(&in);
    struct ig_str answers = ig_buf_view(&out);
    ig_str_cut(&rest, '\n');
    size_t rows = 0;
    for (; next_number(&answers, &label); rows++) {
        for (uint32_t i = 0; i < 4; i++) assert_true(next_number(&rest, &world.row[i]));
        run_row(&world);
        assert_int_equal(greatest(world.values, 3), (size_t)label);
        response.run(&response, world.row, 1, predictions, scratch);
        assert_int_equal(greatest(predictions, 3), (size_t)label);
        ig_engine_margin(engine, world.row, 1, margins, scratch);
        for (uint32_t i = 0; i < 3; i++) assert_true(margins[i] == world.values[i]);
    }
    assert_int_equal(rows, 30);
    ig_free(scratch);
    ig_engine_free(engine);
    ig_model_free(model);
    ig_buf_deinit(&in);
    ig_buf_deinit(&out);
    close_world(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_mnist),
        cmocka_unit_test(runs_int8_networks),
        cmocka_unit_test(runs_mobile_network),
        cmocka_unit_test(reads_the_forest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
