/* SPDX-License-Identifier: Apache-2.0 */
/* Losses of margins with their first two derivatives. Stateless. */
#include "kernels/train/tree_loss.h"

#include <math.h>

enum loss { SQUARED, LOGISTIC, SOFTMAX, POISSON };

static enum loss loss_of(const struct ig_model *model)
{
    switch (model->transform) {
    case IG_TRANSFORM_SIGMOID:
    case IG_TRANSFORM_SIGMOID_EACH:
        return LOGISTIC;
    case IG_TRANSFORM_SOFTMAX:
    case IG_TRANSFORM_ARGMAX:
        return SOFTMAX;
    case IG_TRANSFORM_EXP:
        return POISSON;
    default:
        return SQUARED;
    }
}

static bool names(struct ig_str text, const char *word)
{
    size_t length = strlen(word);
    for (size_t i = 0; i + length <= text.len; i++)
        if (memcmp(text.ptr + i, word, length) == 0) return true;
    return false;
}

bool ig_tree_loss_takes_labels(const struct ig_model *model)
{
    if (loss_of(model) != SQUARED || model->transform == IG_TRANSFORM_PROBABILITY) return true;
    return model->transform == IG_TRANSFORM_IDENTITY && !names(model->objective, "rank") &&
           !names(model->objective, "quantile") && !names(model->objective, "xendcg");
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static void softmax(const double *margins, uint32_t count, double *out)
{
    double greatest = margins[0], sum = 0;
    for (uint32_t o = 1; o < count; o++) greatest = fmax(greatest, margins[o]);
    for (uint32_t o = 0; o < count; o++) sum += out[o] = exp(margins[o] - greatest);
    for (uint32_t o = 0; o < count; o++) out[o] /= sum;
}

void ig_tree_loss_answer(const struct ig_model *model, const double *margins, double *labels)
{
    enum loss loss = loss_of(model);
    if (loss == SOFTMAX) {
        softmax(margins, model->outputs_count, labels);
        return;
    }
    for (uint32_t o = 0; o < model->outputs_count; o++)
        labels[o] = loss == LOGISTIC  ? sigmoid(model->transform_parameter * margins[o])
                    : loss == POISSON ? exp(margins[o])
                                      : margins[o];
}

/* One output; softmax is over all of them. */
static double each(enum loss loss, double slope, double margin, double label, double out[2])
{
    if (loss == LOGISTIC) {
        double x = slope * margin, p = sigmoid(x);
        out[0] = slope * (p - label);
        out[1] = slope * slope * p * (1 - p);
        return fmax(x, 0) + log1p(exp(-fabs(x))) - label * x;
    }
    if (loss == POISSON) {
        double mean = exp(margin);
        out[0] = mean - label;
        out[1] = mean;
        return mean - label * margin;
    }
    out[0] = 2 * (margin - label);
    out[1] = 2;
    return (margin - label) * (margin - label);
}

static double softmax_loss(const double *margins, const double *labels, uint32_t count,
                           double *gradients, double *hessians)
{
    double greatest = margins[0], sum = 0, fit = 0;
    for (uint32_t o = 1; o < count; o++) greatest = fmax(greatest, margins[o]);
    for (uint32_t o = 0; o < count; o++) {
        sum += exp(margins[o] - greatest);
        fit += labels[o] * (margins[o] - greatest);
    }
    for (uint32_t o = 0; o < count && gradients && hessians; o++) {
        double p = exp(margins[o] - greatest) / sum;
        gradients[o] = p - labels[o];
        hessians[o] = p * (1 - p);
    }
    return log(sum) - fit;
}

double ig_tree_loss_run(const struct ig_tree_loss_batch *batch, double *gradients, double *hessians)
{
    const struct ig_model *model = batch->model;
    uint32_t outputs = model->outputs_count;
    enum loss loss = loss_of(model);
    double total = 0, out[2];
    for (size_t i = 0; i < batch->rows_count; i++) {
        size_t at = i * outputs;
        if (loss == SOFTMAX) {
            total +=
                softmax_loss(batch->margins + at, batch->labels + at, outputs,
                             gradients ? gradients + at : NULL, hessians ? hessians + at : NULL);
            continue;
        }
        for (uint32_t o = 0; o < outputs; o++, at++) {
            total +=
                each(loss, model->transform_parameter, batch->margins[at], batch->labels[at], out);
            if (!gradients || !hessians) continue;
            gradients[at] = out[0];
            hessians[at] = out[1];
        }
    }
    return batch->rows_count ? total / (double)batch->rows_count : 0;
}

static uint32_t likeliest(const double *values, uint32_t count, double middle)
{
    uint32_t best = 0;
    if (count == 1) return values[0] > middle;
    for (uint32_t o = 1; o < count; o++)
        if (values[o] > values[best]) best = o;
    return best;
}

double ig_tree_loss_accuracy(const struct ig_tree_loss_batch *batch)
{
    const struct ig_model *model = batch->model;
    uint32_t outputs = model->outputs_count;
    bool probability = model->transform == IG_TRANSFORM_PROBABILITY;
    size_t right = 0;
    if (!ig_model_gives_probabilities(model) && model->transform != IG_TRANSFORM_ARGMAX)
        return (double)NAN;
    for (size_t i = 0; i < batch->rows_count; i++)
        right += likeliest(batch->margins + i * outputs, outputs, probability ? 0.5 : 0) ==
                 likeliest(batch->labels + i * outputs, outputs, 0.5);
    return batch->rows_count ? (double)right / (double)batch->rows_count : 0;
}
