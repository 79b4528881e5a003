/* SPDX-License-Identifier: Apache-2.0 */
/* Linear models against a background. A linear margin is a sum of one term a feature, so a
 * feature's Shapley value is its term for the row less the term's mean over the background
 * (Strumbelj and Kononenko, 2014). Owns nothing; stateless. */
#include "kernels/linear/linear_shap.h"

#include <string.h>

void ig_linear_shap_mean(const struct ig_model *model, const struct ig_background *background,
                         double *mean, double *scratch)
{
    size_t values = model->outputs_count * (model->features_count + (size_t)1);
    double even = 1 / (double)background->rows_count;
    memset(mean, 0, values * sizeof *mean);
    for (size_t i = 0; i < background->rows_count; i++) {
        double weight = background->weights ? background->weights[i] : even;
        ig_linear_contributions(model, background->rows + i * model->features_count, scratch);
        for (size_t k = 0; k < values; k++) mean[k] += weight * scratch[k];
    }
    for (uint32_t o = 0; o < model->outputs_count; o++) /* no mean of it: weights round */
        mean[(o + (size_t)1) * (model->features_count + (size_t)1) - 1] =
            scratch[(o + (size_t)1) * (model->features_count + (size_t)1) - 1];
}

void ig_linear_shap_run(const struct ig_linear_shap *shap, const double *row, double *contributions,
                        double *scratch)
{
    uint32_t features = shap->model->features_count, players = shap->players.count;
    size_t outputs = shap->model->outputs_count;
    ig_linear_contributions(shap->model, row, scratch);
    memset(contributions, 0, outputs * (players + (size_t)1) * sizeof *contributions);
    for (size_t o = 0; o < outputs; o++) {
        const double *own = scratch + o * (features + (size_t)1);
        const double *mean = shap->mean + o * (features + (size_t)1);
        double *out = contributions + o * (players + (size_t)1);
        for (uint32_t f = 0; f < features; f++) {
            out[ig_player_of(&shap->players, f)] += own[f] - mean[f];
            out[players] += mean[f];
        }
        out[players] += mean[features];
    }
}
