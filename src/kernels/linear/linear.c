/* SPDX-License-Identifier: Apache-2.0 */
/* Margins and contributions of linear models, summed as XGBoost's gblinear does: in float, bias and
 * base margin first, then feature after feature, missing ones left out. Owns nothing; stateless. */
#include "kernels/linear/linear.h"

#include <math.h>

static float sum_f32(const struct ig_model *model, const double *row, uint32_t output)
{
    uint32_t outputs = model->outputs_count;
    const double *weight = model->weights + output;
    float bias = (float)weight[(size_t)model->features_count * outputs];
    float sum = bias + (float)model->base_margin[output];
    for (uint32_t i = 0; i < model->features_count; i++) {
        float x = (float)row[i];
        if (!isnan(x)) sum += x * (float)weight[(size_t)i * outputs];
    }
    return sum;
}

static double sum_f64(const struct ig_model *model, const double *row, uint32_t output)
{
    uint32_t outputs = model->outputs_count;
    const double *weight = model->weights + output;
    double sum = weight[(size_t)model->features_count * outputs] + model->base_margin[output];
    for (uint32_t i = 0; i < model->features_count; i++)
        if (!isnan(row[i])) sum += row[i] * weight[(size_t)i * outputs];
    return sum;
}

void ig_linear_margin(const struct ig_model *model, const double *row, double *margins)
{
    for (uint32_t o = 0; o < model->outputs_count; o++)
        margins[o] = model->inputs_f32 ? (double)sum_f32(model, row, o) : sum_f64(model, row, o);
}

void ig_linear_base(const struct ig_model *model, double *base)
{
    uint32_t outputs = model->outputs_count;
    const double *biases = model->weights + (size_t)model->features_count * outputs;
    for (uint32_t o = 0; o < outputs; o++) base[o] = biases[o] + model->base_margin[o];
}

void ig_linear_contributions(const struct ig_model *model, const double *row, double *contributions)
{
    uint32_t outputs = model->outputs_count;
    uint32_t features = model->features_count;
    const double *biases = model->weights + (size_t)features * outputs;
    for (uint32_t o = 0; o < outputs; o++) {
        double *out = contributions + (size_t)o * (features + 1);
        for (uint32_t i = 0; i < features; i++) {
            double x = model->inputs_f32 ? (double)(float)row[i] : row[i];
            out[i] = isnan(x) ? 0 : x * model->weights[(size_t)i * outputs + o];
        }
        out[features] = biases[o] + model->base_margin[o];
    }
}
