/* SPDX-License-Identifier: Apache-2.0 */
/* Post transforms and labels that the classifiers of ai.onnx.ml share, and the linear models.
 * Source: ONNX operators ai.onnx.ml; where the text is silent (one score for two classes), as ONNX
 * Runtime 1.32 answers. */
#include "kernels/graph/program_priv.h"

#include <math.h>

float prog_logistic(float value)
{
    float half = 1 / (1 + expf(-fabsf(value)));
    return value < 0 ? 1 - half : half;
}

/* Winitzki's approximation of the inverse error function, as ONNX Runtime has it. */
float prog_probit(float value)
{
    float x = 2 * value - 1;
    float sign = x < 0 ? -1.0F : 1.0F;
    float log_term = logf((1 - x) * (1 + x));
    float half = 2 / (3.14159F * 0.147F) + 0.5F * log_term;
    float root = -half + sqrtf(half * half - 1 / 0.147F * log_term);
    return 1.41421356F * (sign * sqrtf(root));
}

static void softmax(float *scores, size_t count, bool keep_zeros)
{
    float greatest = scores[0];
    for (size_t i = 1; i < count; i++)
        if (scores[i] > greatest) greatest = scores[i];
    float zero = expf(-greatest);
    float sum = 0;
    for (size_t i = 0; i < count; i++) {
        if (keep_zeros && fabsf(scores[i]) <= 0.0000001F) {
            scores[i] *= zero;
            continue;
        }
        scores[i] = expf(scores[i] - greatest);
        sum += scores[i];
    }
    for (size_t i = 0; i < count; i++) scores[i] /= sum;
}

void prog_scores(enum prog_transform transform, float *scores, size_t count)
{
    if (transform == PROG_SOFTMAX || transform == PROG_SOFTMAX_ZERO) {
        softmax(scores, count, transform == PROG_SOFTMAX_ZERO);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (transform == PROG_LOGISTIC) scores[i] = prog_logistic(scores[i]);
        if (transform == PROG_PROBIT) scores[i] = prog_probit(scores[i]);
    }
}

bool prog_transform(struct prog_plan *plan, enum prog_transform *out)
{
    static const char *const names[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
    struct ig_str name = ig_graph_string(plan->step->node, "post_transform", "NONE");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (ig_str_is(name, names[i])) {
            *out = (enum prog_transform)i;
            return true;
        }
    return prog_refuse(plan, "post_transform '%.*s'", IG_STR_ARGS(name));
}

bool prog_labels(struct prog_plan *plan, const char *numbers, const char *texts,
                 struct prog_labels *out)
{
    *out = (struct prog_labels){0};
    out->texts = ig_graph_strings(plan->step->node, texts, &out->count);
    if (!out->texts) out->numbers = ig_graph_i64s(plan->step->node, numbers, &out->count);
    return out->texts || out->numbers || prog_refuse(plan, "no class labels");
}

void prog_label_set(const struct prog_labels *labels, void *out, size_t row, size_t label)
{
    if (!out) return;
    if (labels->texts)
        ((struct ig_str *)out)[row] = labels->texts[label];
    else
        ((int64_t *)out)[row] = labels->numbers[label];
}

struct linear {
    size_t rows, width, targets, scores; /* scores: values of a row, 2 for one target */
    const float *coefficients, *intercepts;
    enum prog_transform transform;
    struct prog_labels labels;
    bool classifier;
};

static void dot_rows(const struct linear *linear, const void *in, enum ig_tensor_type type,
                     size_t row, float *out)
{
    for (size_t t = 0; t < linear->targets; t++) {
        double sum = 0;
        for (size_t i = 0; i < linear->width; i++)
            sum += (double)(float)ig_tensor_get(in, type, row * linear->width + i) *
                   (double)linear->coefficients[t * linear->width + i];
        if (linear->intercepts) sum += (double)linear->intercepts[t];
        out[t] = (float)sum;
    }
}

static size_t greatest_of(const float *scores, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (scores[i] > scores[best]) best = i;
    return best;
}

/* One score for two classes: [1 - s, s], or the two logistics. */
static void two_scores(enum prog_transform transform, float score, float *out)
{
    bool logistic = transform == PROG_LOGISTIC;
    out[0] = logistic ? prog_logistic(-score) : 1 - score;
    out[1] = logistic ? prog_logistic(score) : score;
}

static void run_linear(const struct prog_step *step, const struct prog_frame *frame)
{
    const struct linear *linear = step->state;
    const void *in = prog_data(frame, step->in[0]);
    uint32_t port = linear->classifier ? 1 : 0;
    void *labels = linear->classifier ? prog_data(frame, step->out[0]) : NULL;
    float *out = prog_optional(frame, step->out, step->out_count, port);
    float *scores = frame->scratch;
    for (size_t row = 0; row < linear->rows; row++) {
        dot_rows(linear, in, step->in[0]->type, row, scores);
        if (linear->classifier) {
            size_t label =
                linear->targets == 1 ? scores[0] > 0 : greatest_of(scores, linear->targets);
            prog_label_set(&linear->labels, labels, row, label);
        }
        if (linear->scores > linear->targets)
            two_scores(linear->transform, scores[0], scores);
        else
            prog_scores(linear->transform, scores, linear->targets);
        for (size_t i = 0; out && i < linear->scores; i++) *out++ = scores[i];
    }
}

static bool linear_shapes(struct prog_plan *plan, const struct linear *linear)
{
    int64_t dims[2] = {(int64_t)linear->rows, (int64_t)linear->scores};
    enum ig_tensor_type type = linear->labels.texts ? IG_TENSOR_STRING : IG_TENSOR_I64;
    plan->step->scratch_bytes = (linear->scores + 1) * sizeof(float);
    if (!linear->classifier) return prog_shape(plan, prog_out(plan, 0), IG_TENSOR_F32, dims, 2);
    return prog_shape(plan, prog_out(plan, 0), type, dims, 1) &&
           prog_shape(plan, prog_out(plan, 1), IG_TENSOR_F32, dims, 2);
}

bool prog_plan_linear(struct prog_plan *plan)
{
    const struct prog_tensor *in = prog_need(plan, 0, IG_TENSOR_NONE);
    struct linear *linear = in ? prog_state(plan, sizeof *linear) : NULL;
    const struct ig_graph_node *node = plan->step->node;
    int64_t rows;
    int64_t width;
    size_t coefficients;
    size_t intercepts;
    if (!linear || !prog_matrix(plan, in, &rows, &width)) return false;
    if (!prog_numeric(in->type)) return prog_refuse(plan, "not for text");
    linear->classifier = prog_is(plan, "LinearClassifier");
    linear->coefficients = ig_graph_f32s(node, "coefficients", &coefficients);
    linear->intercepts = ig_graph_f32s(node, "intercepts", &intercepts);
    linear->rows = (size_t)rows;
    linear->width = (size_t)width;
    linear->targets = intercepts ? intercepts : (size_t)ig_graph_i64(node, "targets", 1);
    size_t expected;
    if (!linear->coefficients || linear->targets == 0 ||
        !ig_mul(&expected, linear->targets, linear->width) || coefficients != expected)
        return prog_refuse(plan, "%zu coefficients for %lld columns", coefficients,
                           (long long)width);
    linear->scores = linear->targets;
    if (linear->classifier) {
        if (!prog_labels(plan, "classlabels_ints", "classlabels_strings", &linear->labels))
            return false;
        if (linear->targets == 1) linear->scores = 2;
        if (linear->labels.count != linear->scores)
            return prog_refuse(plan, "%zu labels for %zu scores", linear->labels.count,
                               linear->scores);
    }
    if (!prog_transform(plan, &linear->transform)) return false;
    if (linear->scores > linear->targets && linear->transform == PROG_PROBIT)
        return prog_refuse(plan, "PROBIT of one score for two classes");
    plan->step->run = run_linear;
    return linear_shapes(plan, linear);
}
