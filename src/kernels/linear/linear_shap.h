/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_LINEAR_LINEAR_SHAP_H
#define IG_KERNELS_LINEAR_LINEAR_SHAP_H

/* Exact SHAP values of linear models against a background: w_i (x_i - E x_i), where a missing input
 * adds nothing (kernels/linear/linear.h). A player has the sum over its features. Stateless; all
 * sums are in double precision, so they add up to a float model's margin within float rounding. */

#include "kernels/explain/background.h"
#include "kernels/linear/linear.h"

/* mean[outputs x (features + 1)]: the weighted mean of ig_linear_contributions over the background,
 * base margin last. `scratch`: as many. */
void ig_linear_shap_mean(const struct ig_model *model, const struct ig_background *background,
                         double *mean, double *scratch);

struct ig_linear_shap {
    const struct ig_model *model;
    const double *mean; /* of ig_linear_shap_mean */
    struct ig_players players;
};

/* contributions[outputs x (players + 1)], last the mean margin over the background. `scratch`:
 * outputs x (features + 1). */
void ig_linear_shap_run(const struct ig_linear_shap *shap, const double *row, double *contributions,
                        double *scratch);

#endif
