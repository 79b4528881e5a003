/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_TRAIN_BACKPROP_PRIV_H
#define IG_KERNELS_TRAIN_BACKPROP_PRIV_H

/* What the parts of backprop share. */

#include "base/arena.h"
#include "kernels/train/backprop.h"

struct bp_tensor {
    size_t count;     /* elements of a row */
    float *values;    /* batch_max x count; NULL of constants */
    float *gradients; /* the same */
    uint8_t *passes;  /* under simulated int8: whether an element's gradient passes */
    uint32_t root;    /* whose steps it has */
    struct ig_steps fixed;
    bool has_fixed;
};

/* A batch norm: out = gain * (sum - mean) / sqrt(variance + epsilon) + bias of the layer. */
struct bp_norm {
    struct ig_parameter *gain;
    float *mean, *variance; /* moving averages */
    float *inverse;         /* 1 / sqrt(variance + epsilon) of the last forward */
    float *center;          /* the mean taken in it */
    float *normed;          /* batch_max x elements */
};

struct bp_geometry { /* of windows */
    uint32_t in_h, in_w, in_c, out_h, out_w, out_c, filter_h, filter_w;
    uint32_t stride_h, stride_w, dilation_h, dilation_w, pad_h, pad_w;
};

struct bp_layer {
    const struct ig_network_layer *layer;
    struct bp_tensor *in, *other, *out; /* other: second addend */
    struct ig_parameter *weights, *bias;
    struct bp_norm *norm; /* NULL: none, or folded */
    struct bp_geometry geometry;
    enum ig_network_activation activation;
    void (*forward)(struct ig_backprop *bp, const struct bp_layer *layer);
    void (*backward)(struct ig_backprop *bp, const struct bp_layer *layer);
};

struct ig_backprop {
    struct ig_arena arena;
    const struct ig_network *network;
    struct bp_tensor *tensors;
    struct bp_layer *layers;
    struct ig_parameter *parameters;
    uint32_t parameters_count;
    struct ig_range *ranges; /* by tensor; those of roots count */
    uint32_t batch_max, rows_count, logits;
    enum ig_backprop_mode mode;
    struct ig_backprop_int8 int8;
    struct ig_backprop_observer observer;
    float *columns, *column_gradients; /* im2col of some images */
    uint32_t columns_images;
};

/* backprop_product.c */
void bp_dense_forward(struct ig_backprop *bp, const struct bp_layer *layer);
void bp_dense_backward(struct ig_backprop *bp, const struct bp_layer *layer);
void bp_conv_forward(struct ig_backprop *bp, const struct bp_layer *layer);
void bp_conv_backward(struct ig_backprop *bp, const struct bp_layer *layer);
void bp_depthwise_forward(struct ig_backprop *bp, const struct bp_layer *layer);
void bp_depthwise_backward(struct ig_backprop *bp, const struct bp_layer *layer);
/* backprop_map.c */
void bp_average_forward(struct ig_backprop *bp, const struct bp_layer *layer);
void bp_average_backward(struct ig_backprop *bp, const struct bp_layer *layer);
void bp_max_forward(struct ig_backprop *bp, const struct bp_layer *layer);
void bp_max_backward(struct ig_backprop *bp, const struct bp_layer *layer);
void bp_copy_forward(struct ig_backprop *bp, const struct bp_layer *layer);
void bp_copy_backward(struct ig_backprop *bp, const struct bp_layer *layer);
void bp_pad_forward(struct ig_backprop *bp, const struct bp_layer *layer);
void bp_pad_backward(struct ig_backprop *bp, const struct bp_layer *layer);
void bp_add_forward(struct ig_backprop *bp, const struct bp_layer *layer);
void bp_add_backward(struct ig_backprop *bp, const struct bp_layer *layer);
void bp_softmax_forward(struct ig_backprop *bp, const struct bp_layer *layer);
void bp_softmax_backward(struct ig_backprop *bp, const struct bp_layer *layer);
void bp_logistic_forward(struct ig_backprop *bp, const struct bp_layer *layer);
void bp_logistic_backward(struct ig_backprop *bp, const struct bp_layer *layer);
void bp_tanh_forward(struct ig_backprop *bp, const struct bp_layer *layer);
void bp_tanh_backward(struct ig_backprop *bp, const struct bp_layer *layer);
/* backprop_norm.c */
void bp_norm_forward(struct ig_backprop *bp, const struct bp_layer *layer);
void bp_norm_backward(struct ig_backprop *bp, const struct bp_layer *layer);
void bp_norm_fold(const struct bp_layer *layer);
/* backprop_int8.c */
void bp_int8_weights(struct ig_backprop *bp);
void bp_int8_input(struct ig_backprop *bp);
/* Clamps the layer's output, rounds it where int8 is simulated, and remembers what passes. */
void bp_finish_forward(struct ig_backprop *bp, const struct bp_layer *layer);
void bp_finish_backward(struct ig_backprop *bp, const struct bp_layer *layer);

/* Where cell (y, x) of the output looks at the input: false outside. */
static inline bool bp_cell(const struct bp_geometry *g, uint32_t out, uint32_t at, bool rows,
                           uint32_t *in)
{
    int64_t place = rows ? (int64_t)out * g->stride_h + (int64_t)at * g->dilation_h - g->pad_h
                         : (int64_t)out * g->stride_w + (int64_t)at * g->dilation_w - g->pad_w;
    *in = (uint32_t)place;
    return place >= 0 && place < (rows ? g->in_h : g->in_w);
}

#endif
