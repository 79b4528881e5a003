/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_QUANTIZE_QUANTIZE_H
#define IG_KERNELS_QUANTIZE_QUANTIZE_H

/* Post-training quantization: an int8 network from a float one and some rows of what it will see.
 *
 * Ranges of activations come from bounded histograms, by the calibrator that leaves the least error
 * of the outputs on rows held out, chosen for one tensor after the other; all by min-max is where
 * the search begins, so it is never worse there. Equalization, gains of the inputs, bias correction
 * and tuning of the weights are kept where they help, by the same measure. Weights: per channel of
 * convolutions, per tensor of dense layers (as older TensorFlow Lite Micro expects); biases int32.
 *
 * Operators: those of kernels/train/backprop.h. Thread rule: one thread. */

#include "base/json.h"
#include "kernels/quantize/histogram.h"
#include "kernels/train/fit.h"

struct ig_quantize_options {
    const float *rows; /* rows_count x elements of the input: calibration, a fair sample of what is
                          to come (a range that they do not reach is cut off) */
    size_t rows_count;
    const float *held_out; /* NULL: every fourth of `rows`, which calibrates
                              once the choice is made */
    size_t held_out_count;
    bool per_channel_dense;
    bool no_equalization, no_correction, no_tuning;
    bool gains;      /* whoever makes the inputs can multiply each by a gain */
    bool float_ends; /* inputs and outputs stay float32, by QUANTIZE and DEQUANTIZE */
    bool symmetric;  /* zero points are 0, but where an operator prescribes another */
    int calibrator;  /* of all tensors; -1: chosen */
    enum ig_network_rounding rounding;
};

struct ig_quantize_tensor {
    uint32_t tensor; /* of the float network */
    enum ig_calibrator calibrator;
    struct ig_range range;
};

struct ig_quantize_layer {
    uint32_t layer;
    double error; /* of its output on the held-out rows, as below */
};

/* Errors: mean squared difference from the float network over the float values' variance. */
struct ig_quantize_report {
    size_t float_bytes, int8_bytes; /* constants, with their scales */
    double error_min_max, error;    /* of the logits */
    bool equalized, gained, corrected, tuned;
    struct ig_quantize_tensor *tensors; /* in the arena */
    uint32_t tensors_count;
    struct ig_quantize_layer *layers; /* in the arena */
    uint32_t layers_count;
    uint32_t worst_layer; /* index in layers */
};
/* As members of the object that is open, but the tensors; `layers`: with the error of each. */
void ig_quantize_report_write(struct ig_json_out *out, const struct ig_quantize_report *report,
                              bool layers);

/* The network passes ig_network_check. INVALID names the option. */
struct ig_quantize_result {
    struct ig_network *network;
    const float *gains; /* in the arena: what its inputs are to be multiplied by; NULL: 1 */
    struct ig_quantize_report report;
};
enum ig_code ig_quantize_run(struct ig_quantize_result *out, struct ig_arena *arena,
                             const struct ig_network *network,
                             const struct ig_quantize_options *options, struct ig_err *err);

/* The int8 network of a simulation whose ranges are known (after training under it, too). */
struct ig_quantize_form {
    bool float_ends;
    enum ig_network_rounding rounding;
};
enum ig_code ig_quantize_emit(struct ig_network **out, struct ig_backprop *backprop,
                              const struct ig_quantize_form *form, struct ig_err *err);

#endif
