/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_TRAIN_BACKPROP_H
#define IG_KERNELS_TRAIN_BACKPROP_H

/* A float network that runs batches forward and gradients backward: what training, pruning and
 * quantization stand on. It takes its weights from an ig_network and gives a new one back
 * (ig_backprop_export); between the two they change.
 *
 * Operators: convolutions, FULLY_CONNECTED, pools, RESHAPE, PAD, ADD of equal shapes, SOFTMAX,
 * LOGISTIC, TANH and the clamps; one input, one output. Batch normalization stands behind layers
 * that are named for it, before their activation, and is folded into their weights and bias.
 *
 * int8 can be simulated: weights and activations are rounded to its steps in the forward pass, and
 * gradients pass straight through within the range.
 *
 * Thread rule: one thread at a time. After `new` nothing allocates but export. */

#include "kernels/quantize/steps.h"

struct ig_backprop;

struct ig_backprop_options {
    uint32_t batch_max;
    const bool *batch_norm; /* layers_count of the network: which are followed by one; NULL: none */
    size_t max_bytes;       /* 0: 1 GiB */
};

/* Borrows the network, which ig_network_check has accepted. UNSUPPORTED names a layer that cannot
 * be trained, or the library that is missing. */
enum ig_code ig_backprop_new(struct ig_backprop **out, const struct ig_network *network,
                             const struct ig_backprop_options *options, struct ig_err *err);
/* Whether layers of this operator can be trained. */
bool ig_backprop_trains(enum ig_network_op op);
void ig_backprop_free(struct ig_backprop *backprop);
const struct ig_network *ig_backprop_network(const struct ig_backprop *backprop);

enum ig_parameter_kind { IG_PARAMETER_WEIGHTS, IG_PARAMETER_BIAS, IG_PARAMETER_GAIN };

struct ig_parameter {
    enum ig_parameter_kind kind;
    uint32_t tensor; /* of the network; NONE of a batch norm's gain */
    uint32_t layer;  /* the first that uses it */
    size_t count;
    uint32_t channels; /* outputs of the layer */
    bool interleaved;  /* channel of element i is i % channels (depthwise), else i / (count / it) */
    float *values;
    float *gradients; /* of the last backward */
    float *used;      /* what the forward pass takes: values, or their int8 steps */
};
struct ig_parameter *ig_backprop_parameters(struct ig_backprop *backprop, uint32_t *count);

enum ig_backprop_mode {
    IG_BACKPROP_INFER, /* batch norm by its moving averages */
    IG_BACKPROP_TRAIN, /* by the batch, whose averages are kept; ranges of activations are followed
                        */
};
/* rows[rows_count x elements of the input], 1..batch_max of them. */
void ig_backprop_forward(struct ig_backprop *backprop, const float *rows, uint32_t rows_count,
                         enum ig_backprop_mode mode);
/* A tensor's values of the last forward, rows_count x elements; of an activation. */
const float *ig_backprop_values(const struct ig_backprop *backprop, uint32_t tensor);
/* Gradients of all parameters, from those of one tensor: gradient[rows_count x elements]. */
void ig_backprop_backward(struct ig_backprop *backprop, uint32_t tensor, const float *gradient);
/* Of an activation after backward; of the input too. */
const float *ig_backprop_gradients(const struct ig_backprop *backprop, uint32_t tensor);

/* What losses look at: the input of a last SOFTMAX or LOGISTIC, else the output. */
uint32_t ig_backprop_logits(const struct ig_backprop *backprop);
uint32_t ig_backprop_input(const struct ig_backprop *backprop);
uint32_t ig_backprop_output(const struct ig_backprop *backprop);
size_t ig_backprop_elements(const struct ig_backprop *backprop, uint32_t tensor); /* a row's */

/* int8 in the forward pass. Ranges of activations are followed in TRAIN by moving averages of each
 * batch's least and most, or set. Batch norms are folded first. */
struct ig_backprop_int8 {
    bool weights, activations;
    bool per_tensor_dense; /* one scale for all of a FULLY_CONNECTED's weights */
    bool frozen;           /* ranges stay as they are */
};
void ig_backprop_simulate(struct ig_backprop *backprop, const struct ig_backprop_int8 *options);
/* One a tensor of the network, shared along pools and reshapes; least > most: not known yet, the
 * tensor is left as it is. */
struct ig_range *ig_backprop_ranges(struct ig_backprop *backprop);
/* The tensor whose range and steps a tensor has: itself, or what it is a pool or reshape of. */
uint32_t ig_backprop_root(const struct ig_backprop *backprop, uint32_t tensor);

/* Scales of a layer's int8 weights, as the ranges and parameters stand: one a channel, or one. */
uint32_t ig_backprop_weight_scales(const struct ig_backprop *backprop, uint32_t layer,
                                   float *scales);

/* Sees each layer's sums before batch norm and activation: rows_count x elements. */
struct ig_backprop_observer {
    void (*see)(void *context, uint32_t layer, const float *sums);
    void *context;
};
void ig_backprop_observe(struct ig_backprop *backprop, const struct ig_backprop_observer *observer);

/* Batch norms become part of weights and biases, for good: afterwards there are none. */
void ig_backprop_fold(struct ig_backprop *backprop);
/* Everything that training changes: parameters, averages, ranges. */
size_t ig_backprop_state_count(const struct ig_backprop *backprop);
void ig_backprop_save(const struct ig_backprop *backprop, float *state);
void ig_backprop_restore(struct ig_backprop *backprop, const float *state);
/* A network of its own with the weights as they are (not their int8 steps); folds first. */
enum ig_code ig_backprop_export(struct ig_network **out, struct ig_backprop *backprop,
                                struct ig_err *err);

#endif
