/* SPDX-License-Identifier: Apache-2.0 */
/* From margins to predictions by ONNX's own operators, and the outputs of a graph. Classifiers give
 * "label" and "probabilities" (or "scores", where the model has no probabilities), as converters of
 * the field's libraries do, all other models "variable". Stateless. */
#include "formats/onnx/onnx_write_priv.h"

static void declare(struct onnx_writer *w, const char *name, enum ig_tensor_type type,
                    uint32_t columns)
{
    const int64_t dims[] = {ONNX_OPEN_DIM, columns};
    onnx_output(w, name, type, dims, columns ? 2 : 1);
}

const char *onnx_declare_scores(struct onnx_writer *w, const struct onnx_model *m,
                                const char *scores)
{
    declare(w, "label", m->classes ? IG_TENSOR_STRING : IG_TENSOR_I64, 0);
    if (scores) declare(w, scores, IG_TENSOR_F32, m->classes_count);
    return scores;
}

const char *onnx_declare_variable(struct onnx_writer *w, const struct onnx_model *m)
{
    declare(w, "variable", IG_TENSOR_F32, m->model->predictions_count);
    return "variable";
}

/* Numbers of classes to the output "label". */
static void write_label(struct onnx_writer *w, const struct onnx_model *m, const char *numbers)
{
    if (!m->classes) {
        onnx_node(w, "Identity", numbers, NULL, "label");
        return;
    }
    const struct ig_tensor texts = {
        IG_TENSOR_STRING, 1, {m->classes_count}, m->classes_count, m->classes};
    onnx_node(w, "Gather", onnx_constant(w, "classes", &texts), numbers, "label");
}

static void write_greatest(struct onnx_writer *w, const struct onnx_model *m, const char *scores)
{
    const char *numbers = onnx_new_name(w, "greatest");
    onnx_open_node(w, "", "ArgMax", &(struct onnx_ends){{scores}, {numbers}});
    onnx_attribute_i64(w, "axis", 1);
    onnx_attribute_i64(w, "keepdims", 0);
    onnx_close_node(w);
    write_label(w, m, numbers);
}

static void write_concat(struct onnx_writer *w, const char *a, const char *b, const char *out)
{
    onnx_open_node(w, "", "Concat", &(struct onnx_ends){{a, b}, {out}});
    onnx_attribute_i64(w, "axis", 1);
    onnx_close_node(w);
}

static const char *write_softmax(struct onnx_writer *w, const char *margins, const char *out)
{
    onnx_open_node(w, "", "Softmax", &(struct onnx_ends){{margins}, {out}});
    onnx_attribute_i64(w, "axis", 1);
    onnx_close_node(w);
    return out;
}

/* 1 where a margin is over 0. */
static const char *write_sign(struct onnx_writer *w, const char *margins)
{
    static const int64_t FLAT[] = {-1};
    const char *over = onnx_node(w, "Greater", margins, onnx_constant_f32(w, 0), NULL);
    const char *flat = onnx_node(w, "Reshape", over, onnx_constant_i64s(w, "shape", FLAT, 1), NULL);
    const char *numbers = onnx_new_name(w, "numbers");
    onnx_open_node(w, "", "Cast", &(struct onnx_ends){{flat}, {numbers}});
    onnx_attribute_i64(w, "to", IG_TENSOR_I64);
    onnx_close_node(w);
    return numbers;
}

static const char *write_scaled(struct onnx_writer *w, const struct ig_model *model,
                                const char *margins)
{
    float slope = (float)model->transform_parameter;
    if (slope == 1) return margins;
    return onnx_node(w, "Mul", margins, onnx_constant_f32(w, slope), NULL);
}

static void write_classes(struct onnx_writer *w, const struct onnx_model *m, const char *margins)
{
    const struct ig_model *model = m->model;
    bool scores = model->transform == IG_TRANSFORM_ARGMAX;
    const char *out = scores ? "scores" : "probabilities";
    if (model->transform == IG_TRANSFORM_HINGE) {
        onnx_declare_scores(w, m, NULL);
        write_label(w, m, write_sign(w, margins));
        return;
    }
    onnx_declare_scores(w, m, out);
    if (model->transform == IG_TRANSFORM_SOFTMAX) {
        write_softmax(w, margins, out);
    } else if (model->transform == IG_TRANSFORM_SIGMOID) {
        const char *p = onnx_node(w, "Sigmoid", write_scaled(w, model, margins), NULL, NULL);
        write_concat(w, onnx_node(w, "Sub", onnx_constant_f32(w, 1), p, NULL), p, out);
    } else {
        bool sigmoid = model->transform == IG_TRANSFORM_SIGMOID_EACH;
        const char *scaled = sigmoid ? write_scaled(w, model, margins) : margins;
        onnx_node(w, sigmoid ? "Sigmoid" : "Identity", scaled, NULL, out);
    }
    write_greatest(w, m, out);
}

static void write_sorted(struct onnx_writer *w, uint32_t count, const char *margins)
{
    const int64_t k = count;
    onnx_open_node(w, "", "TopK",
                   &(struct onnx_ends){{margins, onnx_constant_i64s(w, "count", &k, 1)},
                                       {"variable", onnx_new_name(w, "places")}});
    onnx_attribute_i64(w, "axis", 1);
    onnx_attribute_i64(w, "largest", 0);
    onnx_close_node(w);
}

static const char *write_slice(struct onnx_writer *w, const char *from, int64_t start, int64_t end)
{
    static const int64_t AXIS[] = {1};
    const char *out = onnx_new_name(w, "columns");
    onnx_open_node(w, "", "Slice",
                   &(struct onnx_ends){{from, onnx_constant_i64s(w, "start", &start, 1),
                                        onnx_constant_i64s(w, "end", &end, 1),
                                        onnx_constant_i64s(w, "axis", AXIS, 1)},
                                       {out}});
    onnx_close_node(w);
    return out;
}

/* x0, then 1e-6 + softplus(x) more each. */
static void write_expectiles(struct onnx_writer *w, uint32_t count, const char *margins)
{
    static const int64_t AXIS = 1;
    const struct ig_tensor axis = {IG_TENSOR_I64, 0, {0}, 1, &AXIS};
    const char *steps = onnx_new_name(w, "steps");
    const char *rest = onnx_node(w, "Softplus", write_slice(w, margins, 1, count), NULL, NULL);
    rest = onnx_node(w, "Add", rest, onnx_constant_f32(w, 1e-6F), NULL);
    write_concat(w, write_slice(w, margins, 0, 1), rest, steps);
    onnx_node(w, "CumSum", steps, onnx_constant(w, "axis", &axis), "variable");
}

static void write_hinge(struct onnx_writer *w, const char *margins, const char *out)
{
    const char *over = onnx_node(w, "Greater", margins, onnx_constant_f32(w, 0), NULL);
    onnx_open_node(w, "", "Cast", &(struct onnx_ends){{over}, {out}});
    onnx_attribute_i64(w, "to", IG_TENSOR_F32);
    onnx_close_node(w);
}

static void write_values(struct onnx_writer *w, const struct onnx_model *m, const char *margins)
{
    const char *out = onnx_declare_variable(w, m);
    switch (m->model->transform) {
    case IG_TRANSFORM_EXP:
        onnx_node(w, "Exp", margins, NULL, out);
        return;
    case IG_TRANSFORM_LOG1P_EXP:
        onnx_node(w, "Softplus", margins, NULL, out);
        return;
    case IG_TRANSFORM_SIGNED_SQUARE:
        onnx_node(w, "Mul", margins, onnx_node(w, "Abs", margins, NULL, NULL), out);
        return;
    case IG_TRANSFORM_SORT:
        write_sorted(w, m->model->outputs_count, margins);
        return;
    case IG_TRANSFORM_CUMULATIVE_SOFTPLUS:
        write_expectiles(w, m->model->outputs_count, margins);
        return;
    case IG_TRANSFORM_SIGMOID:
    case IG_TRANSFORM_SIGMOID_EACH: /* of a single output */
        onnx_node(w, "Sigmoid", write_scaled(w, m->model, margins), NULL, out);
        return;
    case IG_TRANSFORM_HINGE:
        write_hinge(w, margins, out);
        return;
    default:
        onnx_node(w, "Identity", margins, NULL, out);
        return;
    }
}

void onnx_write_transform(struct onnx_writer *w, const struct onnx_model *m, const char *margins)
{
    if (m->classes_count)
        write_classes(w, m, margins);
    else
        write_values(w, m, margins);
}
