/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_TRAIN_OPTIMIZER_H
#define IG_KERNELS_TRAIN_OPTIMIZER_H

/* Steps down the gradient: SGD with momentum, as PyTorch's, and Adam (Kingma and Ba 2015) with
 * decoupled weight decay (Loshchilov and Hutter 2019). Decay is of weights alone. */

#include "kernels/train/backprop.h"

enum ig_optimizer_kind { IG_OPTIMIZER_ADAM, IG_OPTIMIZER_SGD };

struct ig_optimizer_options {
    enum ig_optimizer_kind kind;
    double learning_rate;
    double momentum;     /* SGD */
    double beta1, beta2; /* Adam; 0: 0.9 and 0.999 */
    double epsilon;      /* Adam; 0: 1e-8 */
    double weight_decay;
    const double *shares; /* of the learning rate, one a parameter, borrowed; NULL: 1 */
};

struct ig_optimizer;
/* Borrows the backprop. INVALID names the option. */
enum ig_code ig_optimizer_new(struct ig_optimizer **out, struct ig_backprop *backprop,
                              const struct ig_optimizer_options *options, struct ig_err *err);
void ig_optimizer_free(struct ig_optimizer *optimizer);
/* One step by the gradients of the last backward; `rate` multiplies the learning rate. */
void ig_optimizer_step(struct ig_optimizer *optimizer, double rate);

#endif
