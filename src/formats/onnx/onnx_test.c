/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX models run against the answers of onnxruntime and of the ONNX project's own node tests
 * (tests/golden/onnx, written by make_onnx.py), and against damaged bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "formats/onnx/onnx.h"
#include "formats/onnx/onnx_wire.h"
#include "kernels/engine.h"
#include "kernels/graph/program.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENDS_MAX = 16, FILE_MAX = 4 << 20 };
enum { CASE_NAME = 1, CASE_MODEL = 2, CASE_INPUT = 3, CASE_OUTPUT = 4 };

struct sample {
    struct ig_str name, model;
    struct ig_tensor inputs[ENDS_MAX], outputs[ENDS_MAX];
    uint32_t inputs_count, outputs_count;
    struct ig_arena arena;
};

static void read_file(struct ig_buf *buf, const char *name)
{
    struct ig_err err = IG_ERR_INIT;
    ig_buf_init(buf, FILE_MAX);
    if (ig_file_read(buf, IG_FILE_CWD, name, &err) != IG_OK) fail_msg("%s: %s", name, err.message);
}

static void read_tensor(struct ig_tensor *list, uint32_t *count, struct ig_str bytes,
                        struct ig_arena *arena)
{
    struct ig_err err = IG_ERR_INIT;
    assert_true(*count < ENDS_MAX);
    if (ig_onnx_tensor(&list[(*count)++], bytes, arena, &err) != IG_OK)
        fail_msg("tensor: %s", err.message);
}

static void read_sample(struct sample *sample, struct ig_str bytes)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_onnx_wire wire = ig_onnx_wire_begin(bytes, &err);
    struct ig_onnx_field field;
    *sample = (struct sample){0};
    ig_arena_init(&sample->arena, 1 << 16, FILE_MAX);
    while (ig_onnx_wire_next(&wire, &field)) {
        if (field.number == CASE_NAME) sample->name = field.bytes;
        if (field.number == CASE_MODEL) sample->model = field.bytes;
        if (field.number == CASE_INPUT)
            read_tensor(sample->inputs, &sample->inputs_count, field.bytes, &sample->arena);
        if (field.number == CASE_OUTPUT)
            read_tensor(sample->outputs, &sample->outputs_count, field.bytes, &sample->arena);
    }
    assert_int_equal(err.code, IG_OK);
}

static double number(const struct ig_tensor *tensor, const void *data, size_t index)
{
    switch (tensor->type) {
    case IG_TENSOR_F32:
        return (double)((const float *)data)[index];
    case IG_TENSOR_F64:
        return ((const double *)data)[index];
    case IG_TENSOR_I64:
        return (double)((const int64_t *)data)[index];
    case IG_TENSOR_I32:
        return ((const int32_t *)data)[index];
    case IG_TENSOR_I8:
        return ((const int8_t *)data)[index];
    default:
        return ((const uint8_t *)data)[index];
    }
}

static bool near(double a, double b, double tolerance)
{
    if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
    return a == b || fabs(a - b) <= tolerance * (1 + fabs(b));
}

static bool same(const struct ig_tensor *expected, const void *got, double tolerance)
{
    for (size_t i = 0; i < expected->count; i++) {
        if (expected->type == IG_TENSOR_STRING) {
            if (!ig_str_eq(((const struct ig_str *)expected->data)[i],
                           ((const struct ig_str *)got)[i]))
                return false;
        } else if (!near(number(expected, got, i), number(expected, expected->data, i),
                         tolerance)) {
            return false;
        }
    }
    return true;
}

static bool run_case(const struct sample *sample, const struct ig_program *program,
                     double tolerance, char *why)
{
    const void *inputs[ENDS_MAX] = {NULL};
    void *outputs[ENDS_MAX] = {NULL};
    void *scratch = ig_alloc_aligned(64, ig_program_scratch_bytes(program));
    bool good = ig_program_inputs_count(program) == sample->inputs_count &&
                ig_program_outputs_count(program) == sample->outputs_count;
    if (!good) snprintf(why, 256, "ends differ");
    for (uint32_t i = 0; good && i < sample->inputs_count; i++) {
        const struct ig_program_port *port = ig_program_input(program, i);
        inputs[i] = sample->inputs[i].data;
        good = port->type == sample->inputs[i].type && port->count == sample->inputs[i].count;
        if (!good) snprintf(why, 256, "input %u differs", i);
    }
    for (uint32_t i = 0; good && i < sample->outputs_count; i++) {
        const struct ig_program_port *port = ig_program_output(program, i);
        outputs[i] = ig_alloc(port->count * 16 + 1);
        good = port->type == sample->outputs[i].type && port->rank == sample->outputs[i].rank &&
               port->count == sample->outputs[i].count;
        if (!good)
            snprintf(why, 256, "output %u: %s rank %u count %zu, expected %s rank %u count %zu", i,
                     ig_tensor_type_name(port->type), port->rank, port->count,
                     ig_tensor_type_name(sample->outputs[i].type), sample->outputs[i].rank,
                     sample->outputs[i].count);
    }
    if (good) ig_program_run(program, inputs, outputs, scratch);
    for (uint32_t i = 0; good && i < sample->outputs_count; i++) {
        good = same(&sample->outputs[i], outputs[i], tolerance);
        if (!good && sample->outputs[i].type != IG_TENSOR_STRING)
            for (size_t k = 0; k < sample->outputs[i].count; k++) {
                double a = number(&sample->outputs[i], outputs[i], k);
                double b = number(&sample->outputs[i], sample->outputs[i].data, k);
                if (near(a, b, tolerance)) continue;
                snprintf(why, 256, "output %u[%zu]: %.9g, expected %.9g", i, k, a, b);
                break;
            }
    }
    for (uint32_t i = 0; i < ENDS_MAX; i++) ig_free(outputs[i]);
    ig_free(scratch);
    return good;
}

static bool check_program(const struct sample *sample, double tolerance)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_graph *graph = NULL;
    struct ig_program *program = NULL;
    char why[256] = "";
    int64_t batch = 1;
    /* The inverse error function's approximation cancels: float's order of operations shows. */
    if (ig_str_ends(sample->name, IG_STR("PROBIT"))) tolerance = 1e-5;
    if (sample->inputs_count && sample->inputs[0].rank) batch = sample->inputs[0].dims[0];
    struct ig_program_options options = {.batch = batch > 0 ? batch : 1};
    bool good = ig_onnx_graph(&graph, sample->model, &err) == IG_OK &&
                ig_program_new(&program, graph, &options, &err) == IG_OK;
    if (!good) snprintf(why, sizeof why, "%.250s", err.message);
    good = good && run_case(sample, program, tolerance, why);
    if (!good) print_error("%.*s: %s\n", IG_STR_ARGS(sample->name), why);
    ig_program_free(program);
    ig_graph_free(graph);
    return good;
}

/* Index of the class that a row of int64 or text labels names. */
static size_t label_index(const struct ig_graph_node *node, const struct ig_tensor *labels,
                          size_t row)
{
    size_t count;
    size_t found = SIZE_MAX;
    const int64_t *numbers = ig_graph_i64s(node, "classlabels_int64s", &count);
    for (size_t i = 0; numbers && i < count; i++)
        if (labels->type == IG_TENSOR_I64 && numbers[i] == ((const int64_t *)labels->data)[row])
            found = i;
    const struct ig_str *texts = ig_graph_strings(node, "classlabels_strings", &count);
    for (size_t i = 0; texts && i < count; i++)
        if (labels->type == IG_TENSOR_STRING &&
            ig_str_eq(texts[i], ((const struct ig_str *)labels->data)[row]))
            found = i;
    return found;
}

static size_t class_of(const struct ig_model *model, const double *margins,
                       const double *predictions)
{
    size_t best = 0;
    if (model->predictions_count == 1) return margins[0] > 0;
    for (uint32_t i = 1; i < model->predictions_count; i++)
        if (predictions[i] > predictions[best]) best = i;
    return best;
}

static size_t models_count; /* cases that became models of trees */

/* One row by the engine: scores equal the last output's, the class equals the first's. */
static bool check_row(const struct sample *sample, const struct ig_graph *graph,
                      const struct ig_model *model, const double *margins, size_t row)
{
    const struct ig_tensor *scores = &sample->outputs[sample->outputs_count - 1];
    size_t width = scores->count / (size_t)sample->inputs[0].dims[0];
    double predictions[16];
    bool good = model->predictions_count <= 16;
    ig_model_transform(model, margins, predictions);
    for (uint32_t i = 0; good && i < model->predictions_count; i++) {
        size_t column = model->predictions_count == width ? i : width - 1;
        double expected = number(scores, scores->data, row * width + column);
        good = near(predictions[i], expected, 1e-6);
        if (!good)
            print_error("%.*s: row %zu: %.9g, expected %.9g\n", IG_STR_ARGS(sample->name), row,
                        predictions[i], expected);
    }
    if (!good || sample->outputs_count == 1) return good;
    size_t label = label_index(&graph->nodes[0], &sample->outputs[0], row);
    good = label == class_of(model, margins, predictions);
    if (!good) print_error("%.*s: row %zu: class\n", IG_STR_ARGS(sample->name), row);
    return good;
}

/* Exact SHAP values of a row add up to its margins. */
static bool explains_row(const struct ig_engine *engine, const double *row)
{
    const struct ig_model *model = ig_engine_model(engine);
    size_t players = model->features_count + (size_t)1;
    double additivity = 1;
    double *contributions = ig_zalloc_array(players * model->outputs_count, sizeof(double));
    double *margins = ig_zalloc_array(model->outputs_count, sizeof(double));
    void *scratch =
        ig_alloc_aligned(64, ig_engine_scratch_bytes(engine, IG_ENGINE_CONTRIBUTIONS, 1) + 64);
    const struct ig_engine_io io = {row, 1, contributions, &additivity, margins};
    bool good = ig_engine_explains(engine);
    if (good) ig_engine_explain(engine, &io, scratch);
    for (uint32_t i = 0; good && i < model->outputs_count; i++) {
        double sum = 0;
        for (size_t k = 0; k < players; k++) sum += contributions[i * players + k];
        good = near(sum, margins[i], 1e-5);
    }
    ig_free(contributions);
    ig_free(margins);
    ig_free(scratch);
    return good && additivity < 1e-2;
}

static bool check_engine(const struct sample *sample, const struct ig_graph *graph,
                         const struct ig_model *model)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_engine *engine = NULL;
    const struct ig_tensor *input = &sample->inputs[0];
    size_t rows = (size_t)input->dims[0];
    if (ig_engine_new(&engine, model, &err) != IG_OK) fail_msg("engine: %s", err.message);
    double *values = ig_alloc(input->count * sizeof *values);
    double *margins = ig_alloc(rows * model->outputs_count * sizeof *margins);
    void *scratch =
        ig_alloc_aligned(64, ig_engine_scratch_bytes(engine, IG_ENGINE_MARGIN, rows) + 64);
    for (size_t i = 0; i < input->count; i++) values[i] = number(input, input->data, i);
    ig_engine_margin(engine, values, rows, margins, scratch);
    bool good = true;
    for (size_t row = 0; good && row < rows; row++)
        good = check_row(sample, graph, model, margins + row * model->outputs_count, row) &&
               explains_row(engine, values + row * model->features_count);
    ig_free(values);
    ig_free(margins);
    ig_free(scratch);
    ig_engine_free(engine);
    return good;
}

/* Where a case is trees alone, the engine gives what the graph does. */
static bool check_model(const struct sample *sample, double tolerance)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_graph *graph = NULL;
    struct ig_model *model = NULL;
    (void)tolerance;
    if (ig_onnx_graph(&graph, sample->model, &err) != IG_OK) fail_msg("%s", err.message);
    bool good = true;
    if (ig_onnx_trees(&model, graph, &err) == IG_OK) {
        models_count++;
        assert_true(ig_onnx_is_trees(graph));
        good = check_engine(sample, graph, model);
    } else {
        assert_int_equal(err.code, IG_UNSUPPORTED);
        assert_false(ig_onnx_is_trees(graph));
    }
    ig_model_free(model);
    ig_graph_free(graph);
    return good;
}

static size_t graphs_count; /* cases that became models of a graph */

/* Where a graph takes one table of numbers, the engine gives row by row what the last float output
 * holds. */
static bool check_rows_of(const struct sample *sample, const struct ig_model *model)
{
    const struct ig_tensor *input = &sample->inputs[0];
    const struct ig_tensor *scores = &sample->outputs[sample->outputs_count - 1];
    size_t rows = (size_t)input->dims[0], width = model->outputs_count;
    struct ig_engine *engine = NULL;
    struct ig_err err = IG_ERR_INIT;
    bool good = true;
    if (scores->type != IG_TENSOR_F32 || scores->count != rows * width ||
        input->count != rows * model->features_count)
        return true; /* another shape */
    if (ig_engine_new(&engine, model, &err) != IG_OK) fail_msg("engine: %s", err.message);
    double *values = ig_zalloc_array(input->count, sizeof *values);
    double *margins = ig_zalloc_array(rows * width, sizeof *margins);
    void *scratch =
        ig_alloc_aligned(64, ig_engine_scratch_bytes(engine, IG_ENGINE_MARGIN, rows) + 64);
    for (size_t i = 0; i < input->count; i++) values[i] = number(input, input->data, i);
    ig_engine_margin(engine, values, rows, margins, scratch);
    for (size_t i = 0; i < rows * width; i++)
        good = good && near(margins[i], number(scores, scores->data, i), 1e-5);
    assert_false(ig_engine_explains(engine));
    graphs_count++;
    ig_free(values);
    ig_free(margins);
    ig_free(scratch);
    ig_engine_free(engine);
    return good;
}

static bool check_graph_model(const struct sample *sample, double tolerance)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_graph *graph = NULL;
    struct ig_model *model = NULL;
    (void)tolerance;
    if (ig_onnx_graph(&graph, sample->model, &err) != IG_OK) fail_msg("%s", err.message);
    bool good = true;
    if (ig_onnx_program(&model, graph, &err) == IG_OK) {
        assert_int_equal(model->kind, IG_MODEL_GRAPH);
        good = sample->inputs_count != 1 || check_rows_of(sample, model);
        ig_model_free(model);
    } else {
        assert_int_equal(err.code, IG_UNSUPPORTED);
    }
    if (!good) print_error("%.*s: the engine differs\n", IG_STR_ARGS(sample->name));
    return good;
}

typedef bool check_fn(const struct sample *sample, double tolerance);

static void run_bundle(const char *file, double tolerance, size_t least, check_fn *check)
{
    struct ig_buf buf;
    struct ig_err err = IG_ERR_INIT;
    struct ig_onnx_field field;
    size_t count = 0;
    size_t bad = 0;
    read_file(&buf, file);
    struct ig_onnx_wire wire = ig_onnx_wire_begin(ig_buf_view(&buf), &err);
    while (ig_onnx_wire_next(&wire, &field)) {
        struct sample sample;
        read_sample(&sample, field.bytes);
        bad += !check(&sample, tolerance);
        count++;
        ig_arena_deinit(&sample.arena);
    }
    ig_buf_deinit(&buf);
    if (bad) fail_msg("%s: %zu of %zu cases differ", file, bad, count);
    assert_true(count >= least);
}

static void runs_node_tests(void **state)
{
    (void)state;
    run_bundle("tests/golden/onnx/nodes.bin", 1e-5, 100, check_program);
}

static void runs_tree_forms(void **state)
{
    (void)state;
    run_bundle("tests/golden/onnx/trees.bin", 1e-6, 50, check_program);
}

static void runs_pipelines(void **state)
{
    (void)state;
    run_bundle("tests/golden/onnx/pipelines.bin", 1e-5, 20, check_program);
}

static void runs_boosters(void **state)
{
    (void)state;
    run_bundle("tests/golden/onnx/boosters.bin", 1e-6, 6, check_program);
    models_count = 0;
    run_bundle("tests/golden/onnx/boosters.bin", 0, 6, check_model);
    print_message("%zu of boosters.bin are models\n", models_count);
    assert_true(models_count >= 4);
}

static void turns_trees_into_models(void **state)
{
    (void)state;
    models_count = 0;
    run_bundle("tests/golden/onnx/trees.bin", 0, 50, check_model);
    print_message("%zu of trees.bin are models\n", models_count);
    assert_true(models_count >= 25);
    models_count = 0;
    run_bundle("tests/golden/onnx/pipelines.bin", 0, 20, check_model);
    print_message("%zu of pipelines.bin are models\n", models_count);
    assert_true(models_count >= 7);
}

/* Whatever bytes are damaged: an error with a message, or a graph that passes its check. */
static size_t shares_count; /* trees that give probabilities as they are */

static bool check_shares(const struct sample *sample, double tolerance)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_graph *graph = NULL;
    struct ig_model *model = NULL;
    (void)tolerance;
    if (ig_onnx_graph(&graph, sample->model, &err) != IG_OK) fail_msg("%s", err.message);
    if (ig_onnx_trees(&model, graph, &err) == IG_OK &&
        model->transform == IG_TRANSFORM_PROBABILITY) {
        print_message("shares: %.*s\n", IG_STR_ARGS(sample->name));
        shares_count++;
    }
    ig_model_free(model);
    ig_graph_free(graph);
    return true;
}

/* Forests' files don't say that their scores are probabilities; the leaves do. */
static void tells_probabilities_of_forests(void **state)
{
    (void)state;
    shares_count = 0;
    run_bundle("tests/golden/onnx/trees.bin", 0, 50, check_shares);
    assert_int_equal(shares_count, 1); /* positive weights of one class, no base */
    shares_count = 0;
    run_bundle("tests/golden/onnx/pipelines.bin", 0, 20, check_shares);
    assert_int_equal(shares_count, 4); /* three forests and a tree */
}

static bool survives(struct ig_str bytes)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_graph *graph = NULL;
    if (ig_onnx_graph(&graph, bytes, &err) != IG_OK) return err.message[0] != '\0';
    struct ig_err again = IG_ERR_INIT;
    struct ig_program *program = NULL;
    struct ig_program_options options = {.batch = 1, .max_bytes = 1 << 22};
    bool good = ig_graph_check(graph, &again) == IG_OK;
    if (ig_program_new(&program, graph, &options, &again) != IG_OK) good = good && again.message[0];
    ig_program_free(program);
    ig_graph_free(graph);
    return good;
}

static bool check_damage(const struct sample *sample, double tolerance)
{
    (void)tolerance;
    size_t length = sample->model.len;
    char *bytes = ig_alloc(length + 1);
    if (!bytes || length == 0) return false;
    bool good = true;
    for (size_t cut = 0; good && cut < length; cut += 1 + length / 24)
        good = survives((struct ig_str){sample->model.ptr, cut});
    uint32_t seed = 12345;
    for (unsigned i = 0; good && i < 12; i++) {
        memcpy(bytes, sample->model.ptr, length);
        for (unsigned k = 0; k < 3; k++) {
            seed = seed * 1664525 + 1013904223;
            bytes[(seed >> 8) % length] = (char)(seed >> 24);
        }
        good = survives((struct ig_str){bytes, length});
    }
    ig_free(bytes);
    return good;
}

static void survives_damage(void **state)
{
    (void)state;
    run_bundle("tests/golden/onnx/pipelines.bin", 0, 20, check_damage);
}

static void serves_graphs(void **state)
{
    (void)state;
    graphs_count = 0;
    run_bundle("tests/golden/onnx/pipelines.bin", 0, 20, check_graph_model);
    run_bundle("tests/golden/onnx/boosters.bin", 0, 4, check_graph_model);
    assert_true(graphs_count >= 15);
}

static void refuses(void **state)
{
    static const struct {
        struct ig_str bytes;
        const char *message;
    } cases[] = {
        {{"", 0}, "no graph"},
        {{"\x08\x08", 2}, "no graph"},
        {{"\x08", 1}, "end within a number"},
        {{"\x3a\x05\x0a", 3}, "longer than what is left"},
        {{"\x3b", 1}, "a type that is none"},
        {{"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12}, "more than ten bytes"},
        {{"\x3a\x00", 2}, "no output"},
        /* graph { node { attribute { g {} } } } */
        {{"\x3a\x06\x0a\x04\x2a\x02\x32\x00", 8}, "subgraphs"},
        /* graph { initializer { data_type: 1 data_location: EXTERNAL } } */
        {{"\x3a\x06\x2a\x04\x10\x01\x70\x01", 8}, "another file"},
        /* graph { initializer { dims: 2^40 data_type: 1 } } */
        {{"\x3a\x0b\x2a\x09\x08\x80\x80\x80\x80\x80\x20\x10\x01", 13}, "no size"},
        /* graph { initializer { dims: 9 data_type: 1 } } */
        {{"\x3a\x06\x2a\x04\x08\x09\x10\x01", 8}, "do not fit its shape"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_graph *graph = NULL;
        assert_int_not_equal(ig_onnx_graph(&graph, cases[i].bytes, &err), IG_OK);
        if (!strstr(err.message, cases[i].message))
            fail_msg("%zu: '%s', expected '%s'", i, err.message, cases[i].message);
    }
}

static void fails_cleanly_without_memory(void **state)
{
    (void)state;
    struct ig_buf buf;
    struct ig_err err = IG_ERR_INIT;
    struct ig_onnx_field field;
    struct sample sample;
    read_file(&buf, "tests/golden/onnx/trees.bin");
    struct ig_onnx_wire wire = ig_onnx_wire_begin(ig_buf_view(&buf), &err);
    assert_true(ig_onnx_wire_next(&wire, &field));
    read_sample(&sample, field.bytes);
    bool failed = true;
    for (uint64_t n = 1; failed; n++) {
        struct ig_err each = IG_ERR_INIT;
        struct ig_graph *graph = NULL;
        struct ig_program *program = NULL;
        struct ig_model *model = NULL;
        struct ig_program_options options = {.batch = 1};
        ig_mem_fail_after(n);
        if (ig_onnx_graph(&graph, sample.model, &each) == IG_OK &&
            ig_program_new(&program, graph, &options, &each) == IG_OK)
            ig_onnx_trees(&model, graph, &each);
        failed = ig_mem_failed();
        ig_mem_fail_after(0);
        assert_int_equal(each.code, failed ? IG_NO_MEMORY : IG_OK);
        ig_model_free(model);
        ig_program_free(program);
        ig_graph_free(graph);
    }
    ig_arena_deinit(&sample.arena);
    ig_buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_node_tests),
        cmocka_unit_test(runs_tree_forms),
        cmocka_unit_test(runs_pipelines),
        cmocka_unit_test(serves_graphs),
        cmocka_unit_test(runs_boosters),
        cmocka_unit_test(turns_trees_into_models),
        cmocka_unit_test(tells_probabilities_of_forests),
        cmocka_unit_test(survives_damage),
        cmocka_unit_test(refuses),
        cmocka_unit_test(fails_cleanly_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
