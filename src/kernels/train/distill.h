/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_TRAIN_DISTILL_H
#define IG_KERNELS_TRAIN_DISTILL_H

/* A teacher's part in training a student: its answers as logits, and rows beyond the table's for
 * it to answer. The loss that joins both is of kernels/train/fit.h. */

#include "base/arena.h"
#include "kernels/predictor.h"
#include "kernels/train/encoder.h"
#include "kernels/train/fit.h"

/* What a teacher says of rows, as the student's loss takes it: logits[rows_count x outputs]. The
 * predictor gives predictions: of classes probabilities, whose logarithms are the logits (of two
 * classes in one output, log(p / (1 - p))), of numbers the numbers. INVALID when its values do not
 * fit the loss or are none, with the row. */
struct ig_distill_ask {
    const struct ig_predictor *teacher;
    const double *rows;
    size_t rows_count;
    enum ig_fit_loss loss;
    size_t outputs;
};
enum ig_code ig_distill_answers(float *logits, const struct ig_distill_ask *ask,
                                struct ig_err *err);

struct ig_distill_sampling {
    struct ig_encoder_rows from;      /* real rows */
    const struct ig_encoder *encoder; /* fitted to them: the scales of distances */
    double resampled;                 /* probability of a cell: 0 to 1 */
    uint32_t candidates;              /* rows that a cell's new value may come from, 1..1024 */
    uint64_t seed;
};
/* Synthetic rows: a real row, some of whose cells are drawn anew, one after the other, from the
 * row most like it of a few random ones, not looking at the cell itself: every column by its
 * distribution given the others, as far as the table knows it. INVALID names the option. */
enum ig_code ig_distill_sample(double *rows, size_t rows_count,
                               const struct ig_distill_sampling *sampling, struct ig_err *err);

#endif
