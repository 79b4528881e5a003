/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_QUANTIZE_QUANTIZE_TUNE_H
#define IG_KERNELS_QUANTIZE_QUANTIZE_TUNE_H

/* Weights and biases of a simulated int8 network that learn, in a few small steps, to give the
 * float network's own logits on rows without labels: which way a weight is rounded is then decided
 * by what it does to the output. Weights of zero stay zero. */

#include "kernels/train/backprop.h"

struct ig_quantize_lesson {
    const float *rows;   /* rows_count x elements of the input */
    const float *logits; /* of the float network on them */
    size_t rows_count;
    double variance; /* of its logits */
    uint32_t batch;  /* the simulated network's batch_max */
    uint64_t seed;
};

/* Ranges of activations stay. Does nothing, and says so, where one pass over the rows would take
 * too long. INVALID: as ig_optimizer_new. */
enum ig_code ig_quantize_tune(bool *tuned, struct ig_backprop *simulated,
                              const struct ig_quantize_lesson *lesson, struct ig_err *err);

#endif
