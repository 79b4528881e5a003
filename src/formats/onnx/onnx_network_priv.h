/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_ONNX_ONNX_NETWORK_PRIV_H
#define IG_FORMATS_ONNX_ONNX_NETWORK_PRIV_H

/* What the parts of the reader of networks share: graph values as they are known so far. ONNX's
 * images have their channels first, a network's last: a value of four dimensions says in which
 * order its tensor lies. Every function that can fail returns false after it has set the error,
 * which names the node. Thread rule: one thread a reader. */

#include "formats/onnx/onnx.h"
#include "model/network.h"

enum onnx_order {
    ONNX_PLAIN,      /* the tensor's dimensions are the value's */
    ONNX_LAST,       /* the value is [N, C, H, W], the tensor [N, H, W, C] */
    ONNX_FLAT_IMAGE, /* the value is such an image as [N, C * H * W], the tensor [N, H * W * C] */
};

/* int8 codes of a constant, per tensor or along an axis. */
struct onnx_codes {
    const struct ig_tensor *tensor; /* NULL: none; int8, uint8 or int32 */
    const float *scales;            /* count */
    const int32_t *zero_points;     /* count */
    uint32_t count, axis;
};

enum onnx_known { ONNX_UNKNOWN, ONNX_CONSTANT, ONNX_ACTIVATION };

struct onnx_known_value {
    enum onnx_known known;
    uint32_t uses; /* by needed nodes and outputs */
    bool is_image; /* a node that reads it takes dimension 1 for channels */
    uint32_t rank;
    int64_t dims[IG_GRAPH_RANK_MAX]; /* of the value; rows are one */
    /* ACTIVATION */
    uint32_t tensor; /* of the network */
    enum onnx_order order;
    uint32_t image[3]; /* FLAT_IMAGE: channels, height, width */
    bool is_codes;     /* between QuantizeLinear and DequantizeLinear */
    /* CONSTANT */
    const struct ig_tensor *constant; /* as it is, or the numbers that codes stand for */
    struct onnx_codes codes;
};

/* Of a network's tensor. */
struct onnx_tensor_facts {
    uint32_t layer; /* that gives it, plus 1; 0: none */
    bool pinned;    /* several values of the graph are this tensor */
    bool stepped;   /* its numbers are steps of a scale */
    float scale;
    int32_t zero_point;
    const struct onnx_codes *codes; /* of a bias: as the file has it */
};

struct onnx_net {
    const struct ig_graph *graph;
    const struct ig_graph_node *node; /* that is read */
    struct ig_graph_node end;         /* stands for an input or output that is */
    struct ig_network *network;
    struct ig_arena arena; /* what is folded on the way */
    struct ig_err *err;
    struct onnx_known_value *values;
    struct onnx_tensor_facts *facts; /* by tensor */
    size_t facts_cap;
    bool *needed; /* by node */
    int64_t opset;
};

/* Both evaluate to false, once the error is set. */
#define onnx_net_refuse(n, ...) (onnx_net_set_refused((n), __VA_ARGS__), false)
#define onnx_net_no_memory(n) (onnx_net_set_no_memory(n), false)
void onnx_net_set_refused(struct onnx_net *n, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void onnx_net_set_no_memory(struct onnx_net *n);

/* The node's inputs; NULL where one is left out. */
struct onnx_known_value *onnx_net_in(struct onnx_net *n, uint32_t index);
/* An input that must be an activation of numbers, or a constant. */
struct onnx_known_value *onnx_net_activation(struct onnx_net *n, uint32_t index);
const struct ig_tensor *onnx_net_constant(struct onnx_net *n, uint32_t index);
/* Output 0 is the same tensor in other words. */
void onnx_net_alias(struct onnx_net *n, const struct onnx_known_value *as);
void onnx_net_give_constant(struct onnx_net *n, const struct ig_tensor *tensor);

/* A tensor of the network; NONE after an error. */
uint32_t onnx_net_floats(struct onnx_net *n, const float *values, const uint32_t *dims,
                         uint32_t rank);
/* Adds a layer whose output's shape follows from its inputs, or is `dims` where given. */
bool onnx_net_layer(struct onnx_net *n, struct ig_network_layer *layer, const uint32_t *dims,
                    uint32_t rank, uint32_t *output);
/* The layer's output as the node's; the value's dimensions follow from the tensor's. */
void onnx_net_give(struct onnx_net *n, uint32_t tensor, enum onnx_order order);
/* A layer of one input and no numbers. */
bool onnx_net_simple(struct onnx_net *n, enum ig_network_op op, const struct onnx_known_value *in,
                     uint32_t *output);
/* The value as an image with channels last, reshaped if need be; or in its own dimensions. */
bool onnx_net_to_image(struct onnx_net *n, struct onnx_known_value *value);
bool onnx_net_to_plain(struct onnx_net *n, struct onnx_known_value *value);
bool onnx_net_reshape(struct onnx_net *n, uint32_t tensor, const int64_t *dims, uint32_t rank,
                      uint32_t *output);
/* The layer that gives the value, when nothing else uses it and it has no clamp yet; or NULL. */
struct ig_network_layer *onnx_net_producer(struct onnx_net *n,
                                           const struct onnx_known_value *value);
const struct ig_tensor *onnx_net_new_constant(struct onnx_net *n, enum ig_tensor_type type,
                                              const int64_t *dims, uint32_t rank);

typedef bool onnx_net_read(struct onnx_net *n);
/* How an operator is read; NULL when it has no place in a network. */
onnx_net_read *onnx_net_operator(const struct ig_graph_node *node);
bool onnx_net_read_quantize(struct onnx_net *n);
bool onnx_net_read_dequantize(struct onnx_net *n);
bool onnx_net_read_product(struct onnx_net *n);
bool onnx_net_read_conv(struct onnx_net *n);
bool onnx_net_read_pool(struct onnx_net *n);
bool onnx_net_read_normalization(struct onnx_net *n);
/* An addition to a product or convolution that has no bias yet becomes one; false when it is none
 * (no error). */
bool onnx_net_add_bias(struct onnx_net *n, const struct onnx_known_value *to,
                       const struct onnx_known_value *bias);

/* Tensors with steps become int8, layers between them int8 ones; what is float between them gets
 * QUANTIZE and DEQUANTIZE. */
bool onnx_net_finish_steps(struct onnx_net *n);

#endif
