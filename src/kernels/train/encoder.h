/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_TRAIN_ENCODER_H
#define IG_KERNELS_TRAIN_ENCODER_H

/* From a table's rows to what a network takes: numbers scaled to mean 0 and deviation 1 and clipped
 * (an outlier would take all the steps of an int8 input), on demand their rank as well, a column a
 * category, a column for "missing" where training has seen that. A missing number is its mean, an
 * unknown category nothing at all. Each input is then times its gain, which spreads the steps of an
 * int8 tensor over inputs as the network needs them. All in float, operation by operation as
 * devices do it (apps/edge/ingot_edge_encoder.c): a row's numbers are rounded to it first.
 * Immutable once fitted. */

#include "base/json.h"

enum { IG_ENCODER_INPUTS_MAX = 1 << 16, IG_ENCODER_KNOTS = 33, IG_ENCODER_CLIP = 5 };
#define IG_ENCODER_GAIN_LEAST 0x1p-20
#define IG_ENCODER_GAIN_MOST 0x1p20

struct ig_encoder_feature {
    uint32_t categories; /* codes 0..categories - 1; 0: a number */
    bool missing;        /* has a column for it, the last of its own */
    uint32_t first;      /* input */
    float mean, deviation;
    uint32_t knots_count;          /* 0: no column of ranks */
    float knots[IG_ENCODER_KNOTS]; /* quantiles of the different values seen, ascending */
};

struct ig_encoder {
    struct ig_encoder_feature *features;
    const float *gains; /* inputs_count; NULL: all are 1 */
    uint32_t features_count, inputs_count;
};

struct ig_encoder_rows {
    const double *values; /* rows_count x features_count; NaN is missing, a code below 0 too */
    size_t rows_count;
    uint32_t features_count;
    const uint32_t *categories; /* features_count; NULL: all are numbers */
    bool ranks; /* a second column a number: its place among the values seen, -1 to 1; what trees
                   split, a network then finds in few steps of int8, however long the tail is */
};

/* In the arena. INVALID names the feature. */
enum ig_code ig_encoder_fit(struct ig_encoder *encoder, struct ig_arena *arena,
                            const struct ig_encoder_rows *rows, struct ig_err *err);
/* inputs[rows_count x inputs_count], all finite. */
void ig_encoder_run(const struct ig_encoder *encoder, const double *rows, size_t rows_count,
                    float *inputs);

/* What the inputs are to be multiplied by from now on, beside the gains that there are: gains
 * [inputs_count]. INVALID: a product is out of range. */
enum ig_code ig_encoder_add_gains(struct ig_encoder *encoder, struct ig_arena *arena,
                                  const float *gains, struct ig_err *err);

/* Inputs of a feature. */
uint32_t ig_encoder_columns(const struct ig_encoder_feature *feature);

/* What stands beside the network in its package: one JSON object, which reads back to the same
 * encoder bit for bit. The reader takes any bytes: an unknown member, a number out of its range, or
 * more than IG_ENCODER_INPUTS_MAX inputs is an error that names it. */
void ig_encoder_write(struct ig_json_out *out, const struct ig_encoder *encoder);
enum ig_code ig_encoder_read(struct ig_encoder *encoder, struct ig_arena *arena, struct ig_str json,
                             struct ig_err *err);

#endif
