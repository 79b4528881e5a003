/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGOT_EDGE_FILE_H
#define INGOT_EDGE_FILE_H

/* The file's numbers (docs/edge-format.md) and how they are read. */

#include "ingot_edge.h"

#ifdef IGE_NO_FLOAT
#define IGE_HAS_FLOAT 0
#else
#define IGE_HAS_FLOAT 1
#endif

#ifndef IGE_NN_ROUNDINGS
#define IGE_NN_ROUNDINGS 3
#endif
#define IGE_HAS_ROUNDING(twice) (((IGE_NN_ROUNDINGS) & ((twice) ? 2 : 1)) != 0)

enum { IGE_LEAF_F32, IGE_LEAF_F64, IGE_LEAF_I16, IGE_LEAF_I8 };
enum {
    IGE_BASE_FIRST = 1,
    IGE_AVERAGE = 2,
    IGE_TRUNCATES = 4,
    IGE_VECTORS = 8,
    IGE_SHIFTS = 16,
};
/* No leaf of a deep tree is nearer to its root. */
enum { IGE_DEEP = 3 };
enum { IGE_SOURCE_BYTES = 12, IGE_CODE = 3, IGE_TRANSFORM_PROBABILITY = 11 };
/* Of a source: how its keys are kept (bytes of a key, with buckets 4 more), and above that its bits
 * of a bucket. */
enum { IGE_KEPT = 7, IGE_BUCKETS = 4, IGE_BUCKET_SHIFT = 3 };
/* Grids 1 to 8 are of decimals, 9 to 16 of what is above their halves. */
enum { IGE_DECIMALS = 8, IGE_GRIDS = 16 };

/* A split: its fields, and the number of bytes up to its right child. */
struct ige_split {
    uint32_t threshold, skip, column;
    int left_leaf, right_leaf;
};

static inline uint32_t ige_u16(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8;
}

static inline uint32_t ige_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

#if IGE_HAS_FLOAT
static inline float ige_f32(const uint8_t *at)
{
    union {
        uint32_t u;
        float f;
    } pun;
    pun.u = ige_u32(at);
    return pun.f;
}
#endif

/* A number of 0 to 4 bytes. */
static inline uint32_t ige_get(const uint8_t *at, uint32_t bytes)
{
    uint32_t value = 0;
    if (bytes) value = at[0];
    if (bytes > 1) value |= (uint32_t)at[1] << 8;
    if (bytes > 2) value |= (uint32_t)at[2] << 16;
    if (bytes > 3) value |= (uint32_t)at[3] << 24;
    return value;
}

#define IGE_MAGNITUDE 0x7fffffffU /* of a float's bits */

/* Floats in their order as integers; both zeros are 0. */
static inline int32_t ige_order_key(uint32_t bits)
{
    return (int32_t)(bits >> 31 ? 0x80000000U - bits : bits);
}

/* 10^(grid - 1), or 2 * 10^(grid - 9), from bit 30 down, and below it the exponent of a float of
 * which a key would be less than a bit. */
static inline uint32_t ige_power(uint32_t grid)
{
    static const uint32_t POWERS[] = {0,           0x4000009cU, 0x50000099U,
                                      0x64000096U, 0x7d000093U, 0x4e20008fU,
                                      0x61a8008cU, 0x7a120089U, 0x4c4b4085U};
    return grid > IGE_DECIMALS ? POWERS[grid - IGE_DECIMALS] - 1 : POWERS[grid];
}

/* The greatest k whose k / 10^(grid - 1), rounded to a float, is at most the number: what the
 * upper half of its distance to the next float reaches. Only for k below 2^24, where that half is
 * no k itself; greater ones are greater than 2^24. */
static inline int32_t ige_near_key(uint32_t bits, uint32_t power)
{
    uint32_t negative = bits > 0x80000000U, key = 0;
    uint32_t size = (bits & IGE_MAGNITUDE) - negative; /* a negative one's neighbour towards 0 */
    uint32_t fraction = size << 8 | 0x80000080U, shift = (power & 255) - (size >> 23);
    if (shift < 32)
        key = (uint32_t)((uint64_t)fraction * (power & ~255U) >> 32) >> shift;
    else if (shift > 255)
        key = 1U << 30;
    return (int32_t)(negative ? ~key : key);
}

/* The greatest k whose k / (2 * 10^(grid - 9)) is less than the number. */
static inline int32_t ige_above_key(uint32_t bits, uint32_t power)
{
    uint32_t positive = bits - 1 < IGE_MAGNITUDE, key = 0, size = bits & IGE_MAGNITUDE;
    uint32_t fraction = size << 8 | 0x80000000U, shift = (power & 255) - (size >> 23);
    if (shift < 32)
        key = (uint32_t)(((uint64_t)fraction * (power & ~255U) - positive) >> 32) >> shift;
    else if (shift > 255)
        key = 1U << 30;
    return (int32_t)(positive ? key : ~key);
}

static inline int32_t ige_grid_key(uint32_t bits, uint32_t grid)
{
    uint32_t power = ige_power(grid);
    return grid > IGE_DECIMALS ? ige_above_key(bits, power) : ige_near_key(bits, power);
}

/* ---- trees ---- */

#ifdef IGE_NO_TREES
#define IGE_HAS_TREES 0
static inline enum ige_status ige_trees_load(struct ige_model *model, const uint8_t *section,
                                             size_t size)
{
    (void)model;
    (void)section;
    (void)size;
    return IGE_UNSUPPORTED;
}
static inline size_t ige_trees_arena_bytes(const struct ige_model *model)
{
    (void)model;
    return 0;
}
static inline void ige_trees_allocate(struct ige_interpreter *interpreter, uint8_t *arena)
{
    (void)interpreter;
    (void)arena;
}
static inline void ige_trees_invoke(struct ige_interpreter *interpreter)
{
    (void)interpreter;
}
static inline int32_t ige_trees_class(const struct ige_interpreter *interpreter)
{
    (void)interpreter;
    return 0;
}
#else
#define IGE_HAS_TREES 1
/* The split at `at`; the model's widths are checked already. */
struct ige_split ige_read_split(const struct ige_model *model, const uint8_t *at);
enum ige_status ige_trees_load(struct ige_model *model, const uint8_t *section, size_t size);
size_t ige_trees_arena_bytes(const struct ige_model *model);
void ige_trees_allocate(struct ige_interpreter *interpreter, uint8_t *arena);
void ige_trees_invoke(struct ige_interpreter *interpreter);
int32_t ige_trees_class(const struct ige_interpreter *interpreter);
/* How many bytes a number's source has of the keys, which begin at `keys`. */
static inline uint32_t ige_keys_bytes(const uint8_t *source, const uint8_t *keys)
{
    uint32_t kept = source[9] & IGE_KEPT, count = ige_u16(source + 2);
    return kept > IGE_BUCKETS ? (kept - IGE_BUCKETS) * count + keys[0] + 2 : kept * count;
}
#endif

/* ---- networks ---- */

enum ige_op {
    IGE_OP_CONV_2D = 1,
    IGE_OP_DEPTHWISE_CONV_2D,
    IGE_OP_FULLY_CONNECTED,
    IGE_OP_AVERAGE_POOL_2D,
    IGE_OP_MAX_POOL_2D,
    IGE_OP_RESHAPE,
    IGE_OP_PAD,
    IGE_OP_ADD,
    IGE_OP_SUB,
    IGE_OP_MUL,
    IGE_OP_CONCATENATION,
    IGE_OP_SOFTMAX,
    IGE_OP_LOGISTIC,
    IGE_OP_TANH,
    IGE_OP_RELU,
    IGE_OP_RELU6,
    IGE_OP_RELU_N1_TO_1,
    IGE_OP_MEAN,
    IGE_OP_QUANTIZE,
    IGE_OP_DEQUANTIZE,
    IGE_OPS_COUNT
};
#ifndef IGE_OPS
#define IGE_OPS 0x1ffffe
#endif
#define IGE_BIT(op) ((uint32_t)1 << (op))
#define IGE_HAS_ANY(mask) (((uint32_t)(IGE_OPS) & (mask)) != 0)
#define IGE_HAS(op) IGE_HAS_ANY(IGE_BIT(op))
/* Whether a layer's operator is this one, or one of several, and the program has it at all. */
#define IGE_IS(op, this) (IGE_HAS(this) && (op) == (uint32_t)(this))
#define IGE_IS_ANY(op, mask)                                                                       \
    (IGE_HAS_ANY(mask) && (IGE_BIT(op) & (uint32_t)(IGE_OPS) & (mask)) != 0)
/* Of operators that are one kernel. */
#define IGE_OPS_TABLES 0xbe000U /* LOGISTIC, TANH, the RELUs, QUANTIZE */
#define IGE_OPS_ARITHMETIC 0x700U

enum { IGE_DOUBLE_ROUNDING = 1, IGE_PROBABILITY = 2 };
enum { IGE_VALID = 1, IGE_PER_CHANNEL = 2 };
enum { IGE_TENSOR_BYTES = 20, IGE_TENSOR_I8 = 1, IGE_TENSOR_CONSTANT = 128 };
enum { IGE_SUM_CELLS_MAX = 1 << 16, IGE_MEAN_CELLS_MAX = 1 << 23, IGE_SOFTMAX_MAX = 4095 };

/* A layer of the file. */
struct ige_layer {
    const uint8_t *tensors; /* numbers of its output and its inputs, 2 bytes each */
    const uint8_t *numbers; /* what only its operator has */
    const uint8_t *next;
    uint8_t op, inputs;
};

/* A window along one side of its input and output. */
struct ige_side {
    uint32_t in, out, filter, stride, dilation;
};

/* What a MEAN sums up: [outer][cells][inner]. */
struct ige_mean_shape {
    uint32_t outer, cells, inner;
};

#ifdef IGE_NO_NETWORKS
static inline int ige_is_network(const struct ige_model *model)
{
    (void)model;
    return 0;
}
static inline void ige_set_trees(struct ige_model *model)
{
    (void)model;
}
static inline enum ige_status ige_network_load(struct ige_model *model, const uint8_t *section,
                                               size_t size)
{
    (void)model;
    (void)section;
    (void)size;
    return IGE_UNSUPPORTED;
}
static inline size_t ige_network_arena_bytes(const struct ige_model *model)
{
    (void)model;
    return 0;
}
static inline uint32_t ige_inputs_count(const struct ige_model *model)
{
    (void)model;
    return 1;
}
static inline uint32_t ige_outputs_count(const struct ige_model *model)
{
    (void)model;
    return 1;
}
static inline struct ige_tensor ige_network_end(const struct ige_interpreter *interpreter,
                                                uint32_t index)
{
    (void)index;
    return interpreter->input;
}
static inline void ige_network_invoke(struct ige_interpreter *interpreter)
{
    (void)interpreter;
}
static inline int32_t ige_network_class(const struct ige_interpreter *interpreter)
{
    (void)interpreter;
    return 0;
}
#else
static inline int ige_is_network(const struct ige_model *model)
{
    return !IGE_HAS_TREES || model->network.tensors != NULL;
}
static inline void ige_set_trees(struct ige_model *model)
{
    model->network.tensors = NULL;
}
static inline uint32_t ige_inputs_count(const struct ige_model *model)
{
    return ige_is_network(model) ? model->network.inputs : 1;
}
static inline uint32_t ige_outputs_count(const struct ige_model *model)
{
    return ige_is_network(model) ? model->network.outputs : 1;
}
static inline const uint8_t *ige_tensor_at(const struct ige_network *network, uint32_t index)
{
    return network->tensors + index * IGE_TENSOR_BYTES;
}
static inline uint32_t ige_dim(const uint8_t *tensor, uint32_t index)
{
    return ige_u16(tensor + 12 + 2 * index);
}
/* Its last dimension. */
static inline uint32_t ige_last_dim(const uint8_t *tensor)
{
    return tensor[1] ? ige_dim(tensor, tensor[1] - 1U) : 1;
}
/* Of a checked tensor. */
uint32_t ige_count(const uint8_t *tensor);
/* The layer at `at`, within `left` bytes; op 0: it is none. */
struct ige_layer ige_layer_at(const uint8_t *at, size_t left);
/* The rows (0) or columns (1) of a window, whose 8 bytes begin at `window`. */
struct ige_side ige_side(const uint8_t *in, const uint8_t *out, const uint8_t *window,
                         uint32_t columns);
/* Cells that padding adds before the first. */
uint32_t ige_pad_before(const struct ige_side *side, uint32_t valid);
/* 0 when the dimensions that go are no neighbours. */
int ige_mean_shape(struct ige_mean_shape *shape, const uint8_t *tensor, uint32_t axes);
enum ige_status ige_network_load(struct ige_model *model, const uint8_t *section, size_t size);
size_t ige_network_arena_bytes(const struct ige_model *model);
/* Input `index`, and behind the inputs the outputs. */
struct ige_tensor ige_network_end(const struct ige_interpreter *interpreter, uint32_t index);
void ige_network_invoke(struct ige_interpreter *interpreter);
int32_t ige_network_class(const struct ige_interpreter *interpreter);
#endif

/* ---- encoders ---- */

#ifndef IGE_ENCODERS
#define IGE_HAS_ENCODERS 0
#else
#define IGE_HAS_ENCODERS 1
/* A feature of the section. */
struct ige_encoded {
    const uint8_t *numbers; /* mean, deviation and the knots; floats */
    const uint8_t *next;
    uint32_t categories, columns; /* columns: that of what is missing included */
    uint32_t knots, missing;
};
struct ige_encoded ige_encoded_at(const uint8_t *at);
/* Behind ige_network_load. */
enum ige_status ige_encoder_load(struct ige_model *model, const uint8_t *section, size_t size);
/* The network's input of the interpreter's row. */
void ige_encoder_run(const struct ige_interpreter *interpreter);
static inline int ige_has_encoder(const struct ige_model *model)
{
    return ige_is_network(model) && model->network.encoder != NULL;
}
#endif

#endif
