/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_INFERENCE_H
#define IG_SERVICES_DEPLOY_INFERENCE_H

/* One inference on a servable: rows in, margins, predictions and (asked for) contributions out. The
 * fronts call this and never a kernel. Pure computation: loop-safe; the cost says whether it should
 * rather go to the pool. */

#include "services/deploy/explaining.h"
#include "services/explain/cache.h"

/* Shapes: rows rows_count x features_count, row-major, NaN = missing, a category = its code (-1
 * unknown), in the order of package->schema. */
struct ig_inference_request {
    const double *rows;
    size_t rows_count; /* at least 1 */
    bool explain;
    const struct ig_explain_choice *choice; /* with explain; NULL: the engine's own values */
    const struct ig_explain_ask *ask; /* instead of `choice`, of a servable that another process
                                         runs: the choice is made there */
    struct ig_explain_options options;
    struct ig_explain_cache *cache; /* of explanations by a choice; NULL: none */
    uint64_t cache_min_ns;          /* rows estimated cheaper are not looked up */
    uint64_t deadline_ns;           /* by ig_clock_ns, of waiting for another process; 0: none */
};

/* All in the call's arena. */
struct ig_inference_result {
    size_t rows_count, features_count, outputs_count, predictions_count;
    const double *margins;               /* rows x outputs */
    const double *predictions;           /* rows x predictions: after the objective's transform */
    struct ig_explanations explanations; /* with explain */
    const struct ig_explain_choice *choice; /* which explainer answered; NULL: the engine's own */
    size_t cached;                          /* rows whose explanation was there before */
    const uint32_t *skipped; /* rows: bits of the members of an ensemble that failed and were left
                                out; NULL: none was */
    bool probabilities;      /* predictions are probabilities: of class 1, or of each class */
};

/* Estimated time of the call; 0 for one that will be refused (the model has no exact explanation).
 */
uint64_t ig_inference_cost_ns(const struct ig_servable *servable,
                              const struct ig_inference_request *request);
/* NO_MEMORY when the arena is full. */
enum ig_code ig_inference_run(struct ig_inference_result *out, const struct ig_servable *servable,
                              const struct ig_inference_request *request, struct ig_arena *arena,
                              struct ig_err *err);
/* One number for a row's prediction: a regression's own, else the probability of the last class. */
double ig_inference_score(const struct ig_inference_result *result, size_t row);
/* Class index of a row's prediction: greatest probability (or margin >= 0); -1 for regression. */
int32_t ig_inference_class(const struct ig_servable *servable,
                           const struct ig_inference_result *result, size_t row);

#endif
