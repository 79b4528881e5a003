/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX files as models: trees where the graph is trees alone, else a graph for Ingot's own program,
 * else, where an operator, attribute or type is not among Ingot's own, a model that ONNX Runtime
 * runs, if it is installed and allowed. */
#include "formats/format.h"
#include "formats/onnx/onnx.h"
#include "formats/onnx/onnx_scan.h"
#include "kernels/ort/ort.h"

static const size_t FOREIGN_BYTES = 64 << 20;

/* ModelProto begins with its IR version: field 1, a number of one byte. */
bool ig_onnx_probe(struct ig_str bytes)
{
    return bytes.len > 3 && bytes.ptr[0] == 0x08 && bytes.ptr[1] > 2 && bytes.ptr[1] < 64;
}

static enum ig_code load_own(struct ig_model **out, struct ig_str bytes, struct ig_err *err)
{
    struct ig_graph *graph = NULL;
    enum ig_code code = ig_onnx_graph(&graph, bytes, err);
    if (code != IG_OK) return code;
    code = ig_onnx_trees(out, graph, err);
    if (code == IG_UNSUPPORTED) { /* more than trees, or trees of another form */
        ig_err_clear(err);
        return ig_onnx_program(out, graph, err);
    }
    ig_graph_free(graph);
    return code;
}

/* A single column has its input's name; the columns of a wide one have none. */
static bool name_inputs(struct ig_model *model, const struct ig_foreign *foreign)
{
    struct ig_input *inputs =
        ig_arena_array(&model->arena, foreign->features_count, sizeof *inputs);
    uint32_t at = 0;
    bool single = foreign->inputs_count == foreign->features_count;
    for (uint32_t i = 0; inputs && i < foreign->inputs_count; i++)
        for (uint32_t k = 0; k < foreign->inputs[i].columns; k++, at++) {
            inputs[at].kind = foreign->inputs[i].text ? IG_INPUT_TEXT : IG_INPUT_UNKNOWN;
            if (single) inputs[at].name = ig_arena_dup(&model->arena, foreign->inputs[i].name);
        }
    model->inputs = inputs;
    return inputs != NULL;
}

static bool fill(struct ig_model *model, const struct ig_onnx_facts *facts)
{
    const struct ig_foreign *foreign = model->foreign;
    uint32_t values = foreign->values_count;
    bool probabilities = facts->probabilities || (values > 1 && foreign->beside_label);
    const char *kind = !probabilities ? "graph" : values == 1 ? "binary:graph" : "multi:graph";
    model->foreign->uneven = facts->branches;
    model->kind = IG_MODEL_FOREIGN;
    model->sum_rule = IG_SUM_F64;
    model->features_count = foreign->features_count;
    model->outputs_count = model->predictions_count = values;
    model->transform = probabilities ? IG_TRANSFORM_PROBABILITY : IG_TRANSFORM_IDENTITY;
    model->base_margin = ig_arena_zalloc(&model->arena, values * sizeof(double));
    model->objective = ig_arena_dup(&model->arena, ig_str_view(kind));
    model->source_version = ig_arena_dup(&model->arena, facts->producer);
    return model->base_margin && name_inputs(model, foreign) && !model->arena.overflowed;
}

/* The model as ONNX Runtime's, for that reason. */
static enum ig_code load_foreign(struct ig_model **out, struct ig_str bytes, struct ig_str reason,
                                 struct ig_err *err)
{
    struct ig_onnx_facts facts;
    struct ig_model *model = ig_model_new(FOREIGN_BYTES);
    if (!model) return ig_fail(err, IG_NO_MEMORY, "out of memory");
    if (ig_onnx_scan(&facts, bytes, &model->arena, err) == IG_OK &&
        ig_ort_new(&model->foreign, bytes, reason, err) == IG_OK) {
        if (!fill(model, &facts)) ig_fail(err, IG_NO_MEMORY, "the model exceeds its memory");
        if (err->code == IG_OK && ig_model_check(model, err) == IG_OK) {
            *out = model;
            return IG_OK;
        }
    }
    ig_model_free(model);
    return ig_err_code(err);
}

enum ig_code ig_onnx_load(struct ig_model **out, struct ig_str bytes, struct ig_err *err)
{
    struct ig_err own = IG_ERR_INIT, theirs = IG_ERR_INIT;
    enum ig_ort_use use;
    if (ig_ort_use(&use, err) != IG_OK) return err->code;
    if (use == IG_ORT_ALWAYS)
        return load_foreign(out, bytes, IG_STR("onnx_engine is onnxruntime"), err);
    if (load_own(out, bytes, &own) == IG_OK) return IG_OK;
    if (own.code != IG_UNSUPPORTED) {
        *err = own;
        return err->code;
    }
    if (load_foreign(out, bytes, ig_str_view(own.message), &theirs) == IG_OK) return IG_OK;
    return ig_fail(err, theirs.code, "%.240s; %.240s", own.message, theirs.message);
}
