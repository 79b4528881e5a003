/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_EXPLAIN_COUNTERFACTUAL_ANY_H
#define IG_KERNELS_EXPLAIN_COUNTERFACTUAL_ANY_H

/* Counterfactuals of any model, which is only asked for predictions: the same question as in
 * counterfactual.h under the same constraints, and no proof that nothing is nearer.
 *
 * Search: steps by gain a cost from the row over values of the background, rows of the background,
 * and drawn changes (a seed decides which) give rows that are wanted; each is made sparse (features
 * go back one by one) and then moved toward the row by bisection. Of a linear model with one output
 * the nearest change is found and proved. */

#include "kernels/explain/counterfactual.h"
#include "kernels/predictor.h"

struct ig_counterfactual_any;

struct ig_counterfactual_any_spec {
    struct ig_predictor predictor;          /* of margins; what it stands on is borrowed */
    const struct ig_background *background; /* scales and values to try; or NULL */
    const bool *categorical;                /* by feature; NULL: none */
    const uint32_t *categories;             /* how many codes, 0 unknown; or NULL */
    const double *weights; /* by feature, where the only margin is linear; borrowed; or NULL */
};

enum ig_code ig_counterfactual_any_new(struct ig_counterfactual_any **out,
                                       const struct ig_counterfactual_any_spec *spec,
                                       struct ig_err *err);
void ig_counterfactual_any_free(struct ig_counterfactual_any *any); /* NULL is allowed */
size_t ig_counterfactual_any_memory_bytes(const struct ig_counterfactual_any *any);
double ig_counterfactual_any_scale(const struct ig_counterfactual_any *any, uint32_t feature);

/* As ig_counterfactual_run; boxes count predictions, of which options->boxes_max are made about. */
enum ig_code ig_counterfactual_any_run(struct ig_counterfactual_result *out,
                                       const struct ig_counterfactual_any *any, const double *row,
                                       const struct ig_counterfactual_options *options,
                                       struct ig_arena *arena, struct ig_err *err);

#endif
