/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_TRAIN_PRUNING_H
#define IG_KERNELS_TRAIN_PRUNING_H

/* Weights of least magnitude become zero while a network trains, by a schedule, and stay zero:
 * schedules and masks as TensorFlow Model Optimization 0.8 defines them. Of dense and convolution
 * weights; biases, gains and depthwise filters are left alone.
 *
 * Zeros make a file smaller where it is packed, and a network faster only where kernels know of
 * them: kernels/train/shrink.h removes whole channels. */

#include "kernels/train/backprop.h"

enum ig_pruning_kind { IG_PRUNING_POLYNOMIAL, IG_PRUNING_CONSTANT };

struct ig_pruning_schedule {
    enum ig_pruning_kind kind;
    double initial, final; /* sparsities in [0, 1); of the constant kind `final` alone */
    int64_t begin, end;    /* steps, both inclusive; end -1 of the constant kind: for ever */
    int64_t frequency;     /* masks change every so many steps: 100 there */
    double power;          /* 3 there */
};

enum ig_pruning_pattern_kind {
    IG_PRUNING_ELEMENTS,
    IG_PRUNING_BLOCKS, /* of dense weights; convolutions are pruned by element */
    IG_PRUNING_M_BY_N, /* `zeros` of each `group` inputs; the schedule says only when */
};

struct ig_pruning_pattern {
    enum ig_pruning_pattern_kind kind;
    uint32_t block_inputs, block_outputs;
    bool block_max;        /* judged by the greatest magnitude, else by the mean */
    uint32_t zeros, group; /* 2 of 4 */
};

/* INVALID names the field. */
enum ig_code ig_pruning_check(const struct ig_pruning_schedule *schedule,
                              const struct ig_pruning_pattern *pattern, struct ig_err *err);
bool ig_pruning_due(const struct ig_pruning_schedule *schedule, int64_t step);
/* In single precision, as there. */
float ig_pruning_sparsity(const struct ig_pruning_schedule *schedule, int64_t step);

struct ig_pruning_weights {
    const float *values; /* rows x columns: outputs x (the filter's cells x inputs) */
    size_t rows, columns;
    bool dense; /* blocks apply */
};
/* mask[rows x columns]: 1 = kept; scratch[2 * rows * columns]. */
void ig_pruning_mask(uint8_t *mask, const struct ig_pruning_weights *weights,
                     const struct ig_pruning_pattern *pattern, float sparsity, float *scratch);

/* Masks of a network in training. */
struct ig_pruning;
/* Borrows the backprop; copies the rest. Zeros that the weights have are no masks. */
enum ig_code ig_pruning_new(struct ig_pruning **out, struct ig_backprop *backprop,
                            const struct ig_pruning_schedule *schedule,
                            const struct ig_pruning_pattern *pattern, struct ig_err *err);
void ig_pruning_free(struct ig_pruning *pruning);
/* Before the forward pass of a step: new masks where they are due, and the weights under them. */
void ig_pruning_step(struct ig_pruning *pruning, int64_t step);
/* After an optimizer's step: what is masked is zero again. */
void ig_pruning_apply(struct ig_pruning *pruning);
/* Share of zeros in the weights that are pruned. */
double ig_pruning_zeros(const struct ig_pruning *pruning);

#endif
