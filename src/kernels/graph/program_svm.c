/* SPDX-License-Identifier: Apache-2.0 */
/* Support vector machines of ai.onnx.ml. Source: ONNX operators; order of the coefficients as
 * LIBSVM; probabilities by pairwise coupling (Wu, Lin, Weng, Probability Estimates for Multi-class
 * Classification by Pairwise Coupling, 2004), with LIBSVM's stopping rule. */
#include "kernels/graph/program_priv.h"

#include <math.h>

enum kernel { LINEAR, POLY, RBF, SIGMOID };
enum { ROUNDS_MAX = 100, CLASSES_MAX = 1024 };

struct svm {
    size_t rows, width, vectors, classes, pairs;
    enum kernel kernel;
    float gamma, coef0, degree;
    const float *coefficients, *support, *rho, *prob_a, *prob_b;
    size_t *starts, *counts; /* of each class's vectors */
    enum prog_transform transform;
    struct prog_labels labels;
    size_t scores; /* values of a row */
    bool one_class, positive;
};

static float kernel_of(const struct svm *svm, const float *x, const float *y, double offset)
{
    double sum = 0;
    for (size_t i = 0; i < svm->width; i++) {
        double difference = (double)x[i] - (double)y[i];
        sum += svm->kernel == RBF ? difference * difference : (double)x[i] * (double)y[i];
    }
    switch (svm->kernel) {
    case RBF:
        return (float)exp(-(double)svm->gamma * sum);
    case POLY:
        return (float)pow((double)svm->gamma * sum + (double)svm->coef0, (double)svm->degree);
    case SIGMOID:
        return (float)tanh((double)svm->gamma * sum + (double)svm->coef0);
    default:
        return (float)(sum + offset);
    }
}

static bool read_kernel(struct prog_plan *plan, struct svm *svm)
{
    static const char *const names[] = {"LINEAR", "POLY", "RBF", "SIGMOID"};
    const struct ig_graph_node *node = plan->step->node;
    struct ig_str name = ig_graph_string(node, "kernel_type", "LINEAR");
    size_t count;
    const float *parameters = ig_graph_f32s(node, "kernel_params", &count);
    size_t kind = 0;
    while (kind < 4 && !ig_str_is(name, names[kind])) kind++;
    if (kind == 4) return prog_refuse(plan, "kernel '%.*s'", IG_STR_ARGS(name));
    svm->kernel = (enum kernel)kind;
    if (parameters && count >= 3) {
        svm->gamma = parameters[0];
        svm->coef0 = parameters[1];
        svm->degree = parameters[2];
    } else if (svm->kernel != LINEAR) {
        return prog_refuse(plan, "kernel_params: %zu numbers, expected 3", count);
    }
    return prog_transform(plan, &svm->transform);
}

static void run_regressor(const struct prog_step *step, const struct prog_frame *frame)
{
    const struct svm *svm = step->state;
    const float *in = prog_data(frame, step->in[0]);
    float *out = prog_data(frame, step->out[0]);
    for (size_t row = 0; row < svm->rows; row++, in += svm->width) {
        double sum = (double)svm->rho[0];
        if (svm->vectors == 0) sum = (double)kernel_of(svm, in, svm->coefficients, sum);
        for (size_t v = 0; v < svm->vectors; v++)
            sum += (double)svm->coefficients[v] *
                   (double)kernel_of(svm, in, svm->support + v * svm->width, 0);
        float value = (float)sum;
        out[row] = svm->one_class ? (value > 0 ? 1.0F : -1.0F) : value;
    }
}

bool prog_plan_svm_regressor(struct prog_plan *plan)
{
    const struct prog_tensor *in = prog_need(plan, 0, IG_TENSOR_F32);
    struct svm *svm = in ? prog_state(plan, sizeof *svm) : NULL;
    const struct ig_graph_node *node = plan->step->node;
    int64_t rows;
    int64_t width;
    size_t coefficients;
    size_t support;
    size_t rho;
    size_t expected;
    if (!svm || !prog_matrix(plan, in, &rows, &width) || !read_kernel(plan, svm)) return false;
    int64_t vectors = ig_graph_i64(node, "n_supports", 0);
    svm->coefficients = ig_graph_f32s(node, "coefficients", &coefficients);
    svm->support = ig_graph_f32s(node, "support_vectors", &support);
    svm->rho = ig_graph_f32s(node, "rho", &rho);
    svm->one_class = ig_graph_i64(node, "one_class", 0) != 0;
    svm->rows = (size_t)rows;
    svm->width = (size_t)width;
    svm->vectors = vectors > 0 ? (size_t)vectors : 0;
    if (svm->vectors == 0) svm->kernel = LINEAR;
    if (!svm->rho || !svm->coefficients || !ig_mul(&expected, svm->vectors, svm->width) ||
        support < expected || coefficients < (svm->vectors ? svm->vectors : svm->width))
        return prog_refuse(plan, "its lists do not fit %lld columns", (long long)width);
    plan->step->run = run_regressor;
    return prog_shape(plan, prog_out(plan, 0), IG_TENSOR_F32, (int64_t[]){rows, 1}, 2);
}

/* Scratch of a row: the kernel of each vector, the pairs' scores, then for probabilities the
 * pairwise matrix, Q, Qp and p. */
struct row {
    float *kernels, *pairs, *pairwise, *q, *qp, *p;
    uint32_t *votes;
};

static struct row row_of(const struct svm *svm, void *scratch)
{
    struct row row;
    size_t square = svm->classes * svm->classes;
    row.kernels = scratch;
    row.pairs = row.kernels + svm->vectors;
    row.pairwise = row.pairs + svm->pairs;
    row.q = row.pairwise + square;
    row.qp = row.q + square;
    row.p = row.qp + svm->classes;
    row.votes = (uint32_t *)(void *)(row.p + svm->classes);
    return row;
}

static float pair_score(const struct svm *svm, const float *kernels, size_t i, size_t j)
{
    const float *of_i = svm->coefficients + (j - 1) * svm->vectors;
    const float *of_j = svm->coefficients + i * svm->vectors;
    double sum = 0;
    for (size_t v = svm->starts[i]; v < svm->starts[i] + svm->counts[i]; v++)
        sum += (double)of_i[v] * (double)kernels[v];
    for (size_t v = svm->starts[j]; v < svm->starts[j] + svm->counts[j]; v++)
        sum += (double)of_j[v] * (double)kernels[v];
    return (float)sum;
}

static size_t vote(const struct svm *svm, const struct row *row)
{
    size_t pair = 0;
    size_t best = 0;
    for (size_t i = 0; i < svm->classes; i++) row->votes[i] = 0;
    for (size_t i = 0; i < svm->classes; i++)
        for (size_t j = i + 1; j < svm->classes; j++, pair++) {
            double sum = (double)pair_score(svm, row->kernels, i, j) + (double)svm->rho[pair];
            row->pairs[pair] = (float)sum;
            row->votes[sum > 0 ? i : j]++;
        }
    for (size_t i = 1; i < svm->classes; i++)
        if (row->votes[i] > row->votes[best]) best = i;
    return best;
}

static void pairwise_matrix(const struct svm *svm, const struct row *row)
{
    size_t pair = 0;
    for (size_t i = 0; i < svm->classes; i++)
        for (size_t j = i + 1; j < svm->classes; j++, pair++) {
            float value =
                1 - prog_logistic(row->pairs[pair] * svm->prob_a[pair] + svm->prob_b[pair]);
            if (value < 1e-7F) value = 1e-7F;
            if (value > 1 - 1e-7F) value = 1 - 1e-7F;
            row->pairwise[i * svm->classes + j] = value;
            row->pairwise[j * svm->classes + i] = 1 - value;
        }
}

static void fill_q(const struct svm *svm, const struct row *row)
{
    size_t n = svm->classes;
    for (size_t i = 0; i < n; i++) {
        row->p[i] = 1.0F / (float)n;
        row->q[i * n + i] = 0;
        for (size_t j = 0; j < n; j++) {
            if (j == i) continue;
            float r = row->pairwise[j * n + i];
            row->q[i * n + i] += r * r;
            row->q[i * n + j] = -r * row->pairwise[i * n + j];
        }
    }
}

static bool settled(const struct svm *svm, const struct row *row, float *total)
{
    size_t n = svm->classes;
    float error = 0;
    *total = 0;
    for (size_t i = 0; i < n; i++) {
        row->qp[i] = 0;
        for (size_t j = 0; j < n; j++) row->qp[i] += row->q[i * n + j] * row->p[j];
        *total += row->p[i] * row->qp[i];
    }
    for (size_t i = 0; i < n; i++) error = fmaxf(error, fabsf(row->qp[i] - *total));
    return error < 0.005F / (float)n;
}

static void couple(const struct svm *svm, const struct row *row)
{
    size_t n = svm->classes;
    float total;
    fill_q(svm, row);
    for (unsigned round = 0; round < ROUNDS_MAX && !settled(svm, row, &total); round++)
        for (size_t i = 0; i < n; i++) {
            float own = row->q[i * n + i];
            float step = (total - row->qp[i]) / own;
            row->p[i] += step;
            total = (total + step * (step * own + 2 * row->qp[i])) / (1 + step) / (1 + step);
            for (size_t j = 0; j < n; j++) {
                row->qp[j] = (row->qp[j] + step * row->q[i * n + j]) / (1 + step);
                row->p[j] /= 1 + step;
            }
        }
}

/* Two classes without probabilities: the one score s as [-s, s], [1 - s, s] or two logistics. */
static void two_scores(const struct svm *svm, float score, float *out)
{
    bool logistic = svm->transform == PROG_LOGISTIC;
    out[0] = logistic ? prog_logistic(-score) : 1 - score;
    out[1] = logistic ? prog_logistic(score) : score;
    if (svm->transform == PROG_NONE) out[0] = -score;
}

static void score_row(const struct svm *svm, const struct row *row, float *out)
{
    const float *from = row->pairs;
    if (svm->prob_a) {
        pairwise_matrix(svm, row);
        couple(svm, row);
        from = row->p;
    } else if (svm->classes == 2) {
        two_scores(svm, row->pairs[0], out);
        return;
    }
    for (size_t i = 0; i < svm->scores; i++) out[i] = from[i];
    prog_scores(svm->transform, out, svm->scores);
}

/* Without support vectors: one linear function a class. */
static size_t linear_row(const struct svm *svm, const float *in, float *out)
{
    size_t best = 0;
    for (size_t i = 0; i < svm->classes; i++) {
        out[i] = kernel_of(svm, in, svm->coefficients + i * svm->width, (double)svm->rho[0]);
        if (out[i] > out[best]) best = i;
    }
    float greatest = out[best];
    if (svm->classes == 2 && (svm->positive ? greatest >= 0.5F : greatest > 0)) best = 1;
    prog_scores(svm->transform, out, svm->classes);
    return best;
}

static void run_classifier(const struct prog_step *step, const struct prog_frame *frame)
{
    const struct svm *svm = step->state;
    float *in = frame->scratch;
    struct row row = row_of(svm, in + step->in[0]->count);
    void *labels = prog_data(frame, step->out[0]);
    float *out = prog_data(frame, step->out[1]);
    prog_floats(in, prog_data(frame, step->in[0]), step->in[0]->type, step->in[0]->count);
    for (size_t r = 0; r < svm->rows; r++, in += svm->width, out += svm->scores) {
        size_t label;
        if (svm->vectors == 0) {
            label = linear_row(svm, in, out);
        } else {
            for (size_t v = 0; v < svm->vectors; v++)
                row.kernels[v] = kernel_of(svm, in, svm->support + v * svm->width, 0);
            label = vote(svm, &row);
            score_row(svm, &row, out);
        }
        prog_label_set(&svm->labels, labels, r, label);
    }
}

static bool class_vectors(struct prog_plan *plan, struct svm *svm)
{
    size_t count;
    const int64_t *list = ig_graph_i64s(plan->step->node, "vectors_per_class", &count);
    svm->starts = ig_arena_array(plan->arena, svm->classes + 1, sizeof *svm->starts);
    svm->counts = ig_arena_array(plan->arena, svm->classes + 1, sizeof *svm->counts);
    if (!svm->starts || !svm->counts) return prog_no_memory(plan);
    if (count && count != svm->classes)
        return prog_refuse(plan, "vectors_per_class: %zu numbers for %zu classes", count,
                           svm->classes);
    for (size_t i = 0; i < count; i++) {
        if (list[i] < 0 || list[i] > INT32_MAX)
            return prog_refuse(plan, "vectors_per_class: %lld", (long long)list[i]);
        svm->starts[i] = svm->vectors;
        svm->counts[i] = (size_t)list[i];
        svm->vectors += svm->counts[i];
    }
    return true;
}

static bool classifier_lists(struct prog_plan *plan, struct svm *svm)
{
    const struct ig_graph_node *node = plan->step->node;
    size_t coefficients;
    size_t support;
    size_t rho;
    size_t prob_a;
    size_t prob_b;
    size_t expected;
    size_t needed;
    svm->coefficients = ig_graph_f32s(node, "coefficients", &coefficients);
    svm->support = ig_graph_f32s(node, "support_vectors", &support);
    svm->rho = ig_graph_f32s(node, "rho", &rho);
    svm->prob_a = ig_graph_f32s(node, "prob_a", &prob_a);
    svm->prob_b = ig_graph_f32s(node, "prob_b", &prob_b);
    bool sized = ig_mul(&expected, svm->vectors, svm->width) &&
                 ig_mul(&needed, svm->vectors ? svm->classes - 1 : svm->classes,
                        svm->vectors ? svm->vectors : svm->width);
    if (!sized || !svm->coefficients || coefficients < needed || support < expected ||
        rho < (svm->vectors ? svm->pairs : 1) || prob_a != prob_b ||
        (svm->prob_a && prob_a < svm->pairs))
        return prog_refuse(plan, "its lists do not fit %zu classes, %zu vectors, %zu columns",
                           svm->classes, svm->vectors, svm->width);
    svm->positive = true;
    for (size_t i = 0; i < coefficients; i++)
        if (!(svm->coefficients[i] >= 0)) svm->positive = false;
    return true;
}

bool prog_plan_svm_classifier(struct prog_plan *plan)
{
    const struct prog_tensor *in = prog_need(plan, 0, IG_TENSOR_NONE);
    struct svm *svm = in ? prog_state(plan, sizeof *svm) : NULL;
    int64_t rows;
    int64_t width;
    if (!svm || !prog_matrix(plan, in, &rows, &width) || !read_kernel(plan, svm)) return false;
    if (!prog_numeric(in->type)) return prog_refuse(plan, "not for text");
    if (!prog_labels(plan, "classlabels_ints", "classlabels_strings", &svm->labels)) return false;
    svm->rows = (size_t)rows;
    svm->width = (size_t)width;
    svm->classes = svm->labels.count;
    if (svm->classes < 2 || svm->classes > CLASSES_MAX)
        return prog_refuse(plan, "%zu classes are not in 2..%d", svm->classes, CLASSES_MAX);
    svm->pairs = svm->classes * (svm->classes - 1) / 2;
    if (!class_vectors(plan, svm) || !classifier_lists(plan, svm)) return false;
    if (svm->vectors == 0) svm->kernel = LINEAR;
    bool paired = svm->vectors && !svm->prob_a;
    if (paired && svm->classes == 2 && svm->transform == PROG_PROBIT)
        return prog_refuse(plan, "PROBIT of one score for two classes");
    svm->scores = paired && svm->classes > 2 ? svm->pairs : svm->classes;
    size_t floats =
        in->count + svm->vectors + svm->pairs + 2 * svm->classes * svm->classes + 3 * svm->classes;
    plan->step->scratch_bytes = floats * sizeof(float);
    plan->step->run = run_classifier;
    if (!prog_out(plan, 0) || !prog_out(plan, 1)) return prog_refuse(plan, "an output is left out");
    int64_t dims[2] = {rows, (int64_t)svm->scores};
    return prog_shape(plan, prog_out(plan, 0), svm->labels.texts ? IG_TENSOR_STRING : IG_TENSOR_I64,
                      dims, 1) &&
           prog_shape(plan, prog_out(plan, 1), IG_TENSOR_F32, dims, 2);
}
