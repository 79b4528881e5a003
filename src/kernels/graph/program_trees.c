/* SPDX-License-Identifier: Apache-2.0 */
/* Tree ensembles within a graph, walked node by node: the general form. (A graph that is nothing
 * but trees becomes a model for the fast engine.) Sums run over the trees in order, in float, or in
 * double for double inputs, as ONNX Runtime's; the forms of two classes with weights of one class
 * alone are ONNX Runtime 1.32's too. The fifth form's transforms have the standard's numbers, which
 * ONNX Runtime swaps. Of two classes with weights of both, the greater score wins.
 */
#include "kernels/graph/ensemble.h"
#include "kernels/graph/program_priv.h"

#include <math.h>

struct trees {
    struct ig_ensemble ensemble;
    size_t rows, width, scores;
    struct prog_labels labels;
    bool doubles; /* accumulate in double */
};

static bool member(const struct ig_ensemble *ensemble, const struct ig_ensemble_node *node,
                   double x)
{
    for (uint32_t i = 0; i < node->count; i++)
        if (ensemble->members[node->first + i] == x) return true;
    return false;
}

static bool goes_yes(const struct ig_ensemble *ensemble, const struct ig_ensemble_node *node,
                     double x)
{
    if (node->missing_yes && isnan(x)) return true;
    switch (node->mode) {
    case IG_ENSEMBLE_LEQ:
        return x <= node->value;
    case IG_ENSEMBLE_LT:
        return x < node->value;
    case IG_ENSEMBLE_GTE:
        return x >= node->value;
    case IG_ENSEMBLE_GT:
        return x > node->value;
    case IG_ENSEMBLE_EQ:
        return x == node->value;
    case IG_ENSEMBLE_NEQ:
        return x != node->value;
    default:
        return member(ensemble, node, x);
    }
}

static const struct ig_ensemble_node *find_leaf(const struct ig_ensemble *ensemble, uint32_t root,
                                                const void *row, enum ig_tensor_type type)
{
    const struct ig_ensemble_node *node = &ensemble->nodes[root];
    while (node->mode != IG_ENSEMBLE_LEAF) {
        double x = ig_tensor_get(row, type, node->feature);
        if (type != IG_TENSOR_F64) x = (double)(float)x;
        node = &ensemble->nodes[goes_yes(ensemble, node, x) ? node->yes : node->no];
    }
    return node;
}

static double add(const struct trees *trees, double sum, double value)
{
    return trees->doubles ? sum + value : (double)((float)sum + (float)value);
}

static void add_leaf(const struct trees *trees, const struct ig_ensemble_node *leaf, double *sums,
                     uint8_t *seen)
{
    for (uint32_t i = 0; i < leaf->count; i++) {
        const struct ig_ensemble_weight *weight = &trees->ensemble.weights[leaf->first + i];
        double *sum = &sums[weight->target];
        bool first = !seen[weight->target];
        seen[weight->target] = 1;
        switch (trees->ensemble.aggregate) {
        case IG_ENSEMBLE_MIN:
            if (first || weight->value < *sum) *sum = weight->value;
            break;
        case IG_ENSEMBLE_MAX:
            if (first || weight->value > *sum) *sum = weight->value;
            break;
        default:
            *sum = add(trees, *sum, weight->value);
            break;
        }
    }
}

static void sum_row(const struct trees *trees, const void *row, enum ig_tensor_type type,
                    double *sums, uint8_t *seen)
{
    const struct ig_ensemble *ensemble = &trees->ensemble;
    for (uint32_t i = 0; i < ensemble->targets_count; i++) sums[i] = seen[i] = 0;
    for (uint32_t i = 0; i < ensemble->trees_count; i++)
        add_leaf(trees, find_leaf(ensemble, ensemble->roots[i], row, type), sums, seen);
    if (ensemble->aggregate != IG_ENSEMBLE_AVERAGE) return;
    for (uint32_t i = 0; i < ensemble->targets_count; i++) {
        sums[i] /= ensemble->trees_count;
        if (!trees->doubles) sums[i] = (double)(float)sums[i];
    }
}

static enum prog_transform transform_of(const struct ig_ensemble *ensemble)
{
    return (enum prog_transform)ensemble->transform;
}

/* One score s of two classes: [1 - s, s] when no weight is negative, else [-s, s]; logistic: both
 * logistics. */
static size_t single_class(const struct trees *trees, double sum, float *out)
{
    const struct ig_ensemble *ensemble = &trees->ensemble;
    if (ensemble->base_count > 0) sum = add(trees, sum, ensemble->base[0]);
    float score = (float)sum;
    bool logistic = ensemble->transform == IG_ENSEMBLE_LOGISTIC;
    out[0] = ensemble->weights_positive ? 1 - score : -score;
    out[1] = score;
    if (logistic) {
        out[0] = prog_logistic(-score);
        out[1] = prog_logistic(score);
    }
    return ensemble->weights_positive ? sum > 0.5 : sum > 0;
}

static size_t class_row(const struct trees *trees, double *sums, uint8_t *seen, float *out)
{
    const struct ig_ensemble *ensemble = &trees->ensemble;
    size_t best = 0;
    if (ensemble->single_class) return single_class(trees, sums[0], out);
    for (uint32_t i = 0; i < ensemble->targets_count; i++) {
        if (i < ensemble->base_count) {
            sums[i] = add(trees, sums[i], ensemble->base[i]);
            seen[i] = 1;
        }
        out[i] = (float)sums[i];
        if (seen[i] && (!seen[best] || sums[i] > sums[best])) best = i;
    }
    prog_scores(transform_of(ensemble), out, ensemble->targets_count);
    return best;
}

/* Of one target only PROBIT is applied. */
static void target_row(const struct trees *trees, double *sums, float *out)
{
    const struct ig_ensemble *ensemble = &trees->ensemble;
    uint32_t count = ensemble->targets_count;
    for (uint32_t i = 0; i < count; i++) {
        if (ensemble->base_count == count) sums[i] = add(trees, sums[i], ensemble->base[i]);
        out[i] = (float)sums[i];
    }
    if (count > 1 || ensemble->transform == IG_ENSEMBLE_PROBIT)
        prog_scores(transform_of(ensemble), out, count);
}

/* Scratch: sums, a row's scores, marks of what was seen. */
static void run_trees(const struct prog_step *step, const struct prog_frame *frame)
{
    const struct trees *trees = step->state;
    uint32_t targets = trees->ensemble.targets_count;
    enum ig_tensor_type type = step->in[0]->type;
    const char *in = prog_data(frame, step->in[0]);
    size_t row_bytes = trees->width * ig_tensor_type_bytes(type);
    double *sums = frame->scratch;
    float *scores = (float *)(void *)(sums + targets);
    uint8_t *seen = (uint8_t *)(scores + targets + 1);
    uint32_t port = trees->ensemble.classifier ? 1 : 0;
    void *out = prog_optional(frame, step->out, step->out_count, port);
    bool wide = out && step->out[port]->type == IG_TENSOR_F64;
    for (size_t row = 0; row < trees->rows; row++, in += row_bytes) {
        sum_row(trees, in, type, sums, seen);
        if (trees->ensemble.classifier)
            prog_label_set(&trees->labels, prog_data(frame, step->out[0]), row,
                           class_row(trees, sums, seen, scores));
        else
            target_row(trees, sums, scores);
        for (size_t i = 0; out && i < targets; i++)
            if (wide)
                ((double *)out)[row * targets + i] = sums[i];
            else
                ((float *)out)[row * targets + i] = scores[i];
    }
}

static bool check_forms(struct prog_plan *plan, const struct trees *trees)
{
    const struct ig_ensemble *ensemble = &trees->ensemble;
    if (ensemble->features_count > trees->width)
        return prog_refuse(plan, "feature %u of %zu columns", ensemble->features_count - 1,
                           trees->width);
    if (ensemble->classifier && ensemble->targets_count < 2)
        return prog_refuse(plan, "one class alone");
    if (ensemble->classifier && ensemble->targets_count == 2 && ensemble->base_count == 2)
        return prog_refuse(plan, "two classes with two base values: runtimes disagree on it");
    if (!ensemble->single_class) return true;
    if (ensemble->weights[0].target != 0)
        return prog_refuse(plan, "weights of the second class alone: runtimes disagree on it");
    return ensemble->transform != IG_ENSEMBLE_PROBIT ||
           prog_refuse(plan, "PROBIT of one score for two classes");
}

static bool shape_outputs(struct prog_plan *plan, struct trees *trees, bool wide)
{
    const struct ig_ensemble *ensemble = &trees->ensemble;
    int64_t dims[2] = {(int64_t)trees->rows, ensemble->targets_count};
    trees->labels =
        (struct prog_labels){ensemble->labels, ensemble->labels_text, ensemble->targets_count};
    plan->step->scratch_bytes =
        (ensemble->targets_count + (size_t)1) * (sizeof(double) + sizeof(float) + 1) + 8;
    if (!ensemble->classifier)
        return prog_shape(plan, prog_out(plan, 0), wide ? IG_TENSOR_F64 : IG_TENSOR_F32, dims, 2);
    return prog_shape(plan, prog_out(plan, 0),
                      ensemble->labels_text ? IG_TENSOR_STRING : IG_TENSOR_I64, dims, 1) &&
           prog_shape(plan, prog_out(plan, 1), IG_TENSOR_F32, dims, 2);
}

bool prog_plan_trees(struct prog_plan *plan)
{
    const struct prog_tensor *in = prog_need(plan, 0, IG_TENSOR_NONE);
    struct trees *trees = in ? prog_state(plan, sizeof *trees) : NULL;
    int64_t rows;
    int64_t width;
    if (!trees || !prog_matrix(plan, in, &rows, &width)) return false;
    if (!prog_numeric(in->type)) return prog_refuse(plan, "not for text");
    if (ig_ensemble_read(&trees->ensemble, plan->step->node, plan->arena, plan->err) != IG_OK)
        return false;
    trees->rows = (size_t)rows;
    trees->width = (size_t)width;
    trees->doubles = in->type == IG_TENSOR_F64;
    /* TreeEnsemble gives its input's type, without a transform then; the older ones give floats. */
    bool wide = prog_is(plan, "TreeEnsemble") && trees->doubles;
    if (wide && trees->ensemble.transform != IG_ENSEMBLE_NONE)
        return prog_refuse(plan, "a post transform in double precision");
    plan->step->run = run_trees;
    return check_forms(plan, trees) && shape_outputs(plan, trees, wide);
}
