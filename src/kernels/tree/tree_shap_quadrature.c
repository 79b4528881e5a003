/* SPDX-License-Identifier: Apache-2.0 */
/* Gauss-Legendre rules: Newton's method on the Legendre polynomial, from the usual cosine start
 * (Abramowitz and Stegun 25.4.30; Press et al., gauleg). Stateless. */
#include "kernels/tree/tree_shap_priv.h"

#include <math.h>

struct legendre {
    double value;
    double slope;
};

static struct legendre legendre(uint32_t degree, double x)
{
    double older = 1;
    double value = x;
    for (uint32_t k = 2; k <= degree; k++) {
        double next = ((2.0 * k - 1) * x * value - (k - 1.0) * older) / k;
        older = value;
        value = next;
    }
    return (struct legendre){value, degree * (x * value - older) / (x * x - 1)};
}

void ig_tree_shap_quadrature(uint32_t count, double *points, double *weights)
{
    IG_ASSERT(count > 0);
    const double pi = 3.14159265358979323846;
    for (uint32_t i = 0; i < count; i++) {
        double x = -cos(pi * (i + 0.75) / (count + 0.5));
        struct legendre p = legendre(count, x);
        for (int step = 0; step < 12; step++) {
            x -= p.value / p.slope;
            p = legendre(count, x);
        }
        points[i] = 0.5 * (1 + x);
        weights[i] = 1 / ((1 - x * x) * p.slope * p.slope);
    }
}
