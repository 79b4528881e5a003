/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX graphs that are more than trees: a model that holds the graph, its sizes taken from a trial
 * plan for one row. */
#include "formats/onnx/onnx.h"
#include "kernels/graph/program.h"

static const size_t MODEL_BYTES = 64 << 20;

/* A class a row, as text or a whole number. */
static bool is_label(const struct ig_program_port *port)
{
    return port->count == 1 && (port->type == IG_TENSOR_I64 || port->type == IG_TENSOR_STRING);
}

/* Whether the values are probabilities: a classifier's, of a closing soft step, or beside a label.
 */
static bool gives_probabilities(const struct ig_graph *graph, const struct ig_program *program,
                                uint32_t values)
{
    for (uint32_t i = 0; i < ig_program_outputs_count(program); i++)
        if (values > 1 && is_label(ig_program_output(program, i))) return true;
    for (uint32_t i = 0; i < graph->nodes_count; i++) {
        struct ig_str op = graph->nodes[i].op;
        bool last = i + 1 == graph->nodes_count;
        if (ig_str_ends(op, IG_STR("Classifier")) || ig_str_is(op, "ZipMap")) return true;
        if (last && (ig_str_is(op, "Softmax") || ig_str_is(op, "Sigmoid"))) return true;
    }
    return false;
}

/* Names of single-column inputs; a lone wide input leaves features without names. */
static bool name_inputs(struct ig_model *model, const struct ig_program *program)
{
    uint32_t count = ig_program_inputs_count(program), at = 0;
    if (count != model->features_count) return true;
    model->inputs = ig_arena_zalloc(&model->arena, count * sizeof *model->inputs);
    if (!model->inputs) return false;
    for (uint32_t i = 0; i < count; i++)
        model->inputs[at++].name = ig_arena_dup(&model->arena, ig_program_input(program, i)->name);
    return true;
}

static bool fill(struct ig_model *model, const struct ig_graph *graph,
                 const struct ig_program *program, const struct ig_predictor *predictor)
{
    bool probabilities = gives_probabilities(graph, program, predictor->values_count);
    const char *kind = !probabilities                 ? "graph"
                       : predictor->values_count == 1 ? "binary:graph"
                                                      : "multi:graph";
    model->kind = IG_MODEL_GRAPH;
    model->sum_rule = IG_SUM_F64;
    model->features_count = predictor->features_count;
    model->outputs_count = model->predictions_count = predictor->values_count;
    model->iterations_count = 1;
    model->transform = probabilities ? IG_TRANSFORM_PROBABILITY : IG_TRANSFORM_IDENTITY;
    model->transform_parameter = 1;
    model->base_margin = ig_arena_zalloc(&model->arena, predictor->values_count * sizeof(double));
    model->objective = ig_arena_dup(&model->arena, ig_str_view(kind));
    model->source_version = ig_arena_dup(&model->arena, graph->producer);
    return model->base_margin && name_inputs(model, program) && !model->arena.overflowed;
}

enum ig_code ig_onnx_program(struct ig_model **out, struct ig_graph *graph, struct ig_err *err)
{
    const struct ig_program_options options = {.batch = 1};
    struct ig_program *program = NULL;
    struct ig_predictor predictor;
    struct ig_model *model = NULL;
    if (ig_program_new(&program, graph, &options, err) == IG_OK &&
        ig_program_predictor(&predictor, program, err) == IG_OK) {
        model = ig_model_new(MODEL_BYTES);
        if (!model || !fill(model, graph, program, &predictor))
            ig_fail(err, IG_NO_MEMORY, "the model exceeds its memory");
        else
            model->graph = graph;
    }
    ig_program_free(program);
    if (err->code == IG_OK && ig_model_check(model, err) == IG_OK) {
        *out = model;
        return IG_OK;
    }
    if (!model || !model->graph) ig_graph_free(graph);
    ig_model_free(model);
    return err->code;
}
