/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_LINEAR_LINEAR_H
#define IG_KERNELS_LINEAR_LINEAR_H

/* Linear models (gblinear). Shapes as in kernels/engine.h. Stateless: nothing is prepared. */

#include "model/model.h"

void ig_linear_margin(const struct ig_model *model, const double *row, double *margins);
/* weight * x for each feature, 0 where it is missing; the base value is bias + base margin. */
void ig_linear_contributions(const struct ig_model *model, const double *row,
                             double *contributions);
void ig_linear_base(const struct ig_model *model, double *base);

#endif
