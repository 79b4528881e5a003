/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_MODEL_NETWORK_H
#define IG_MODEL_NETWORK_H

/* A small neural network: typed tensors and layers in the order in which they run. What training,
 * quantization, pruning, the exporters and the kernels share; no file format. Conventions are
 * TensorFlow Lite's: activations NHWC, convolution weights OHWI, depthwise weights 1HWC, fully
 * connected weights [outputs, inputs]; dimension 0 of an activation is the batch, 1 as a rule.
 *
 * A network is made by hand (ig_network_add_tensor, ig_network_add_layer) or by a reader, then
 * validated by ig_network_check, and not changed after. Thread rule: a checked network is
 * immutable.
 *
 * Quantization: real = scale * (q - zero point). Source: LiteRT 8-bit quantization specification.
 */

#include "base/arena.h"
#include "base/err.h"

enum {
    IG_NETWORK_RANK_MAX = 6,
    IG_NETWORK_TENSORS_MAX = 16384,
    IG_NETWORK_LAYERS_MAX = 8192,
    IG_NETWORK_LAYER_INPUTS_MAX = 256,
    IG_NETWORK_ELEMENTS_MAX = 1 << 28,    /* of a tensor */
    IG_NETWORK_PRODUCTS_I8_MAX = 1 << 16, /* of one int8 sum: it fits 32 bits */
};
#define IG_NETWORK_NONE UINT32_MAX

enum ig_network_type {
    IG_NETWORK_F32,
    IG_NETWORK_F16, /* IEEE half, as uint16_t: constants alone, read by DEQUANTIZE */
    IG_NETWORK_I8,
    IG_NETWORK_I32, /* biases of int8 layers alone */
    IG_NETWORK_TYPES_COUNT,
};

/* Scales and zero points: one pair (per tensor), or one for each index of a dimension. */
struct ig_network_quantization {
    const float *scales;        /* count */
    const int32_t *zero_points; /* count */
    uint32_t count;             /* 0: not quantized */
    uint32_t dimension;         /* of the tensor; 0 when count is 1 */
};

struct ig_network_tensor {
    struct ig_str name; /* may be empty */
    enum ig_network_type type;
    uint32_t rank;
    uint32_t dims[IG_NETWORK_RANK_MAX]; /* >= 1 */
    const void *data; /* a constant's elements, row-major, aligned for their type; NULL: a layer or
                         the caller gives them */
    struct ig_network_quantization quantization;
};

enum ig_network_op {
#define IG_NETWORK_OP(name, inputs_min, inputs_max, doc) IG_NETWORK_##name,
#include "model/network_ops.def"
#undef IG_NETWORK_OP
    IG_NETWORK_OPS_COUNT
};

/* Clamps of a layer's output. */
enum ig_network_activation {
    IG_NETWORK_ACTIVATION_NONE,
    IG_NETWORK_ACTIVATION_RELU,
    IG_NETWORK_ACTIVATION_RELU_N1_TO_1,
    IG_NETWORK_ACTIVATION_RELU6,
    IG_NETWORK_ACTIVATIONS_COUNT,
};

enum ig_network_padding {
    IG_NETWORK_PADDING_SAME,  /* ceil(size / stride) cells; what lacks is around, the odd one behind
                               */
    IG_NETWORK_PADDING_VALID, /* windows that lie inside */
};

/* The window of convolutions and pools. A convolution's filter size is its weights', whatever
 * filter_h and filter_w say; a pool has no dilation (0 or 1). */
struct ig_network_window {
    enum ig_network_padding padding;
    uint32_t stride_h, stride_w;     /* >= 1 */
    uint32_t dilation_h, dilation_w; /* >= 1 of convolutions */
    uint32_t filter_h, filter_w;     /* >= 1 of pools */
};

/* Fields that an operator does not name are 0. */
struct ig_network_layer {
    enum ig_network_op op;
    const uint32_t *inputs; /* tensors; NONE where the bias is left out */
    uint32_t inputs_count;
    uint32_t output;
    enum ig_network_activation activation; /* convolutions, FULLY_CONNECTED, pools, ADD, SUB, MUL,
                                              CONCATENATION (NONE) */
    struct ig_network_window window;       /* convolutions and pools */
    uint32_t pads[IG_NETWORK_RANK_MAX][2]; /* PAD: cells before and behind, by dimension */
    uint32_t axis;                         /* CONCATENATION */
    uint32_t axes;                         /* MEAN: bit d = dimension d goes */
    bool keep_dims; /* MEAN: as 1; FULLY_CONNECTED: the output keeps all dimensions but the last */
    float beta;     /* SOFTMAX: > 0 */
};

/* How a 32-bit sum becomes 8 bits: multiplied by a 31-bit fraction and shifted, rounded once at the
 * end (TensorFlow Lite with XNNPACK, Arm NN) or after each step (TensorFlow Lite Micro, CMSIS-NN).
 * Results differ by a step or two, so it belongs to the network. */
enum ig_network_rounding { IG_NETWORK_ROUNDING_SINGLE, IG_NETWORK_ROUNDING_DOUBLE };

struct ig_network {
    struct ig_arena arena; /* owns all below, but for data that lies elsewhere and outlives it */
    struct ig_network_tensor *tensors;
    struct ig_network_layer *layers;
    uint32_t *inputs; /* tensors that the caller gives */
    uint32_t *outputs;
    uint32_t tensors_count, layers_count, inputs_count, outputs_count;
    size_t tensors_cap, layers_cap;
    enum ig_network_rounding rounding;
    struct ig_str description; /* may be empty */
};

/* An empty network whose arena holds at most max_bytes; NULL when out of memory. */
struct ig_network *ig_network_new(size_t max_bytes);
void ig_network_free(struct ig_network *network);
/* A copy that shares nothing; NULL when out of memory. */
struct ig_network *ig_network_dup(const struct ig_network *network, size_t max_bytes);

/* Building. Names, scales and zero points are copied, `data` is not: take it from the arena where
 * the network is to own it (ig_network_keep). Each gives the new index, or NONE at a limit or out
 * of memory; the failure sticks (arena.overflowed) and ig_network_check reports it. */
uint32_t ig_network_add_tensor(struct ig_network *network, const struct ig_network_tensor *tensor);
/* Copies the inputs. */
uint32_t ig_network_add_layer(struct ig_network *network, const struct ig_network_layer *layer);
const void *ig_network_keep(struct ig_network *network, const void *data, size_t size_bytes);
bool ig_network_set_inputs(struct ig_network *network, const uint32_t *tensors, uint32_t count);
bool ig_network_set_outputs(struct ig_network *network, const uint32_t *tensors, uint32_t count);

/* Checks all that kernels and exporters rely on: limits; indices; that each tensor has one source
 * and layers stand in their order; types and shapes of every layer; the quantization rules. The
 * message names the layer and its operator. */
enum ig_code ig_network_check(const struct ig_network *network, struct ig_err *err);

/* What a layer's output must look like. Inputs must be tensors that ig_network_check accepts. For
 * RESHAPE it is the output's own shape, which must hold as many elements. */
enum ig_code ig_network_infer(const struct ig_network *network,
                              const struct ig_network_layer *layer,
                              uint32_t dims[IG_NETWORK_RANK_MAX], uint32_t *rank,
                              struct ig_err *err);
/* Cells that padding adds before the first, of a window along one side. `filter` is in cells. */
uint32_t ig_network_pad_before(enum ig_network_padding padding, uint32_t size, uint32_t filter,
                               uint32_t stride, uint32_t dilation);
/* Rows and columns of the filter of a convolution or pool. */
void ig_network_filter(const struct ig_network *network, const struct ig_network_layer *layer,
                       uint32_t *filter_h, uint32_t *filter_w);

/* Product of the dimensions, and with the size of an element; of a checked tensor. */
size_t ig_network_tensor_count(const struct ig_network_tensor *tensor);
size_t ig_network_tensor_bytes(const struct ig_network_tensor *tensor);
/* At least what a copy holds: the arena, and constants wherever they lie. Of a checked network. */
size_t ig_network_bytes(const struct ig_network *network);
/* A layer's input, or NULL where it has none there. */
const struct ig_network_tensor *ig_network_input(const struct ig_network *network,
                                                 const struct ig_network_layer *layer,
                                                 uint32_t index);
size_t ig_network_type_bytes(enum ig_network_type type);
const char *ig_network_type_name(enum ig_network_type type);                   /* "int8" */
const char *ig_network_op_name(enum ig_network_op op);                         /* "CONV_2D" */
const char *ig_network_activation_name(enum ig_network_activation activation); /* "relu6" */
/* Whether the one output holds probabilities: a softmax's or logistic's, in whatever shape and
 * type.
 */
bool ig_network_gives_probabilities(const struct ig_network *network);
/* The float that IEEE half bits stand for, exactly. */
float ig_network_f16(uint16_t bits);

#endif
