/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGOT_EDGE_NN_H
#define INGOT_EDGE_NN_H

/* Kernels of 8-bit networks: C99, freestanding, no heap, no state. Each takes a descriptor of plain
 * pointers that the caller has checked: shapes agree with one another and with the memory behind
 * the pointers, whose sizes are below 2^31; the kernels check nothing. Results are those of the
 * server's kernels/nn, bit by bit, in both roundings and in every variant.
 *
 * Tensors are NHWC as in TensorFlow Lite. Arrays of 32-bit numbers that come from a file are
 * little-endian and need no alignment; scratch is aligned to 4.
 *
 * Overlap. Unless said otherwise an output lies apart from all inputs. Positions of outputs,
 * numbered through rows and images, are computed in order. CONV_2D takes them in pairs, an even one
 * and the next, and reads all that a pair needs before it writes: an output position may lie over
 * inputs that no later position reads. DEPTHWISE_CONV_2D and pools take IGE_NN_GROUP at a time: a
 * group's outputs may lie over inputs that only earlier groups read. */

#include <stddef.h>
#include <stdint.h>

#ifndef IGE_NN_API
#define IGE_NN_API /* `static` where the kernels are part of another file */
#endif

enum { IGE_NN_GROUP = 4 };

enum ige_nn_rounding {
    IGE_NN_SINGLE, /* TensorFlow Lite's: a product is rounded once, half up */
    IGE_NN_DOUBLE, /* TensorFlow Lite Micro's: after the product, and after the shift */
};

/* A real multiplier: fraction * 2^(shift - 31), as TensorFlow Lite's QuantizeMultiplier makes it:
 * the fraction is in 2^30..2^31 - 1, the
 * shift in -31..30. A multiplier of 0 has any shift; one of -2 keeps its layer fast. */
struct ige_nn_multiplier {
    int32_t fraction;
    int32_t shift;
};

/* How sums become bytes. */
struct ige_nn_finish {
    const void *bias;        /* int32 a channel */
    const void *multipliers; /* int32: fractions */
    const int8_t *shifts;
    uint8_t per_channel;      /* 0: multipliers and shifts have one element for all channels */
    uint8_t sum_bits;         /* |bias| + 255 * sum of |weights| < 2^sum_bits in every channel;
                                 over 30 is slower */
    uint8_t rounding;         /* enum ige_nn_rounding */
    int8_t zero, least, most; /* of the output: zero point and clamp */
};

struct ige_nn_window {
    int32_t filter_h, filter_w, stride_h, stride_w, dilation_h, dilation_w;
    int32_t pad_h, pad_w; /* before: rows above, columns to the left */
};

/* CONV_2D and DEPTHWISE_CONV_2D. */
struct ige_nn_conv {
    const int8_t *input;   /* [images][in_h][in_w][in_c] */
    const int8_t *weights; /* [out_c][filter_h][filter_w][in_c]; depthwise
                              [filter_h][filter_w][out_c] */
    int8_t *output;        /* [images][out_h][out_w][out_c] */
    void *scratch;
    int32_t images, in_h, in_w, in_c, out_h, out_w, out_c; /* depthwise: out_c = in_c * n */
    int8_t input_zero;                                     /* what lies outside */
    struct ige_nn_window window;
    struct ige_nn_finish finish;
};

/* Its biases have the input's zero point in them: bias - zero point * sum of weights; so sum_bits
 * is of |bias| + 128 * sum of |weights|. */
struct ige_nn_fully_connected {
    const int8_t *input;   /* [rows][depth] */
    const int8_t *weights; /* [channels][depth] */
    int8_t *output;        /* [rows][channels] */
    int32_t rows, depth, channels;
    struct ige_nn_finish finish;
};

/* AVERAGE_POOL_2D, rounded half away from zero over the cells inside, and MAX_POOL_2D. Dilations
 * are not read. */
struct ige_nn_pool {
    const int8_t *input;
    int8_t *output;
    int32_t images, in_h, in_w, channels, out_h, out_w;
    struct ige_nn_window window;
    int8_t least, most;
};

/* MEAN over neighbouring dimensions: [outer][cells][inner] to [outer][inner]. */
struct ige_nn_mean {
    const int8_t *input;
    int8_t *output;
    int32_t outer, cells, inner; /* at most 2^23 cells */
    int8_t input_zero, zero;
    uint8_t rounding;
    struct ige_nn_multiplier multiplier; /* with the division by the cells */
};

enum ige_nn_operation { IGE_NN_ADD, IGE_NN_SUB, IGE_NN_MUL };

/* output[i] of a[i % a_count] and b[i % b_count]. The output may lie over an input whose count is
 * the output's. */
struct ige_nn_arithmetic {
    const int8_t *a, *b;
    int8_t *output;
    int32_t count, a_count, b_count;
    uint8_t operation, rounding;
    int8_t a_zero, b_zero, zero, least, most;
    /* ADD, SUB: of inputs with 20 more bits, and of their sum. MUL: the last alone. */
    struct ige_nn_multiplier a_multiplier, b_multiplier, multiplier;
};

enum { IGE_NN_RANK_MAX = 6 };

struct ige_nn_pad {
    const int8_t *input;
    int8_t *output;
    int32_t rank;
    int32_t dims[IGE_NN_RANK_MAX]; /* of the input */
    int32_t before[IGE_NN_RANK_MAX], after[IGE_NN_RANK_MAX];
    int8_t zero; /* what is put around */
};

/* One input of CONCATENATION: lines of `bytes` go to every `stride` bytes, from `at` on. */
struct ige_nn_lines {
    const int8_t *input;
    int8_t *output;
    int32_t lines, bytes, stride, at;
};

/* SOFTMAX over rows, in place too. */
struct ige_nn_softmax {
    const int8_t *input;
    int8_t *output;
    int32_t rows, width; /* DOUBLE: a width of at most 4095 */
    uint8_t rounding;
    uint32_t step; /* SINGLE: the bits of the float beta * input scale, a positive number */
    /* DOUBLE: of min(beta * scale * 2^26, 2^31 - 1); differences below -radius count as nothing. */
    struct ige_nn_multiplier multiplier;
    int32_t radius;
};

/* LOGISTIC, TANH, RELU.., QUANTIZE from int8 to int8: output = table[input + 128], in place too. */
struct ige_nn_table {
    const int8_t *input;
    int8_t *output;
    const int8_t *table; /* [256] */
    int32_t count;
};

/* Bytes of scratch. Fully connected layers, and what has no function here, need none. */
IGE_NN_API int32_t ige_nn_conv_scratch_bytes(const struct ige_nn_conv *conv);

IGE_NN_API void ige_nn_conv(const struct ige_nn_conv *conv);
IGE_NN_API void ige_nn_depthwise(const struct ige_nn_conv *conv); /* no scratch */
IGE_NN_API void ige_nn_fully_connected(const struct ige_nn_fully_connected *layer);
IGE_NN_API void ige_nn_average_pool(const struct ige_nn_pool *pool);
IGE_NN_API void ige_nn_max_pool(const struct ige_nn_pool *pool);
IGE_NN_API void ige_nn_mean(const struct ige_nn_mean *mean);
IGE_NN_API void ige_nn_arithmetic(const struct ige_nn_arithmetic *arithmetic);
IGE_NN_API void ige_nn_pad(const struct ige_nn_pad *pad);
IGE_NN_API void ige_nn_lines(const struct ige_nn_lines *lines);
IGE_NN_API void ige_nn_softmax(const struct ige_nn_softmax *softmax);
IGE_NN_API void ige_nn_table(const struct ige_nn_table *table);

#ifndef IGE_NO_FLOAT
/* Nearest steps, ties away from zero; NaN becomes the zero point. */
IGE_NN_API void ige_nn_quantize(int8_t *output, const float *input, int32_t count, float scale,
                                int8_t zero);
IGE_NN_API void ige_nn_dequantize(float *output, const int8_t *input, int32_t count, float scale,
                                  int8_t zero);
#endif

#endif
