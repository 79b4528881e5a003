/* SPDX-License-Identifier: Apache-2.0 */
/* Batch normalization, over all but the channels. Averages move as Keras's do; the epsilon is its.
 * Sums are in double: a batch of images has many cells. Source: Ioffe and Szegedy 2015. */
#include "kernels/train/backprop_priv.h"

#include <math.h>

static const float EPSILON = 1e-3F, MOMENTUM = 0.9F;

static void batch_moments(const float *values, size_t rows, uint32_t channels, uint32_t c,
                          double moments[2])
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < rows; i++) sum += (double)values[i * channels + c];
    double mean = sum / (double)rows;
    for (size_t i = 0; i < rows; i++) {
        double difference = (double)values[i * channels + c] - mean;
        squares += difference * difference;
    }
    moments[0] = mean;
    moments[1] = squares / (double)rows;
}

static size_t rows_of(const struct ig_backprop *bp, const struct bp_layer *layer)
{
    return bp->rows_count * layer->out->count / layer->norm->gain->channels;
}

void bp_norm_forward(struct ig_backprop *bp, const struct bp_layer *layer)
{
    const struct bp_norm *norm = layer->norm;
    uint32_t channels = norm->gain->channels;
    size_t rows = rows_of(bp, layer);
    float *out = layer->out->values;
    for (uint32_t c = 0; c < channels; c++) {
        double moments[2] = {(double)norm->mean[c], (double)norm->variance[c]};
        if (bp->mode == IG_BACKPROP_TRAIN) {
            batch_moments(out, rows, channels, c, moments);
            norm->mean[c] = MOMENTUM * norm->mean[c] + (1 - MOMENTUM) * (float)moments[0];
            norm->variance[c] = MOMENTUM * norm->variance[c] + (1 - MOMENTUM) * (float)moments[1];
        }
        norm->center[c] = (float)moments[0];
        norm->inverse[c] = (float)(1 / sqrt(moments[1] + (double)EPSILON));
    }
    for (size_t i = 0; i < rows; i++)
        for (uint32_t c = 0; c < channels; c++) {
            size_t at = i * channels + c;
            norm->normed[at] = (out[at] - norm->center[c]) * norm->inverse[c];
            out[at] = norm->gain->values[c] * norm->normed[at] + layer->bias->values[c];
        }
}

void bp_norm_backward(struct ig_backprop *bp, const struct bp_layer *layer)
{
    const struct bp_norm *norm = layer->norm;
    uint32_t channels = norm->gain->channels;
    size_t rows = rows_of(bp, layer);
    float *gradient = layer->out->gradients;
    for (uint32_t c = 0; c < channels; c++) {
        double sum = 0, product = 0;
        for (size_t i = 0; i < rows; i++) {
            size_t at = i * channels + c;
            sum += (double)gradient[at];
            product += (double)gradient[at] * (double)norm->normed[at];
        }
        norm->gain->gradients[c] += (float)product;
        layer->bias->gradients[c] += (float)sum;
        float mean = 0, slope = 0, scale = norm->gain->values[c] * norm->inverse[c];
        if (bp->mode == IG_BACKPROP_TRAIN) { /* the moments depend on every row */
            mean = (float)(sum / (double)rows);
            slope = (float)(product / (double)rows);
        }
        for (size_t i = 0; i < rows; i++) {
            size_t at = i * channels + c;
            gradient[at] = scale * (gradient[at] - mean - slope * norm->normed[at]);
        }
    }
}

void bp_norm_fold(const struct bp_layer *layer)
{
    const struct bp_norm *norm = layer->norm;
    struct ig_parameter *weights = layer->weights;
    size_t each = weights->count / weights->channels;
    for (size_t i = 0; i < weights->count; i++) {
        size_t c = weights->interleaved ? i % weights->channels : i / each;
        weights->values[i] *= norm->gain->values[c] / sqrtf(norm->variance[c] + EPSILON);
        weights->used[i] = weights->values[i];
    }
    for (uint32_t c = 0; c < weights->channels; c++) {
        float scale = norm->gain->values[c] / sqrtf(norm->variance[c] + EPSILON);
        layer->bias->values[c] -= scale * norm->mean[c];
        norm->gain->values[c] = 1;
    }
}
