/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_PREDICTOR_H
#define IG_KERNELS_PREDICTOR_H

/* A model as a function from rows to values: all that the methods for any model ask of one. A plain
 * value that borrows what it stands on; thread-safe as long as its context is. */

#include "kernels/engine.h"

struct ig_predictor {
    uint32_t features_count;
    uint32_t values_count; /* a row */
    const void *context;
    /* values[rows_count x values_count]; `scratch` is 64-byte aligned and holds at least
     * scratch_bytes(predictor, rows_count). */
    void (*run)(const struct ig_predictor *predictor, const double *rows, size_t rows_count,
                double *values, void *scratch);
    size_t (*scratch_bytes)(const struct ig_predictor *predictor, size_t rows_count);
};

/* Margins: outputs_count values a row. */
struct ig_predictor ig_predictor_margin(const struct ig_engine *engine);
/* Predictions after the objective's transform: predictions_count values a row. */
struct ig_predictor ig_predictor_response(const struct ig_engine *engine);

#endif
