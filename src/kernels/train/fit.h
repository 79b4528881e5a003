/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_TRAIN_FIT_H
#define IG_KERNELS_TRAIN_FIT_H

/* Training: epochs of shuffled batches, a held-out part that says when to stop, and in the same
 * step, each where it is asked for, a teacher's answers, pruning, and simulated int8.
 *
 * Loss with a teacher: alpha * CE(label, p) + (1 - alpha) * T^2 * KL(teacher at T || student at T)
 * (Hinton, Vinyals and Dean 2015); of numbers the same mixture of squared errors. The same seed and
 * data give the same network on the same machine. Thread rule: one thread. */

#include "kernels/train/optimizer.h"
#include "kernels/train/pruning.h"

enum { IG_FIT_OUTPUTS_MAX = 1024 };

enum ig_fit_loss {
    IG_FIT_SQUARED,  /* every output is a number */
    IG_FIT_LOGISTIC, /* one logit, labels 0 and 1 */
    IG_FIT_SOFTMAX,  /* a logit a class, labels 0.. */
};

/* Rows as the network takes them. */
struct ig_fit_data {
    const float *inputs;  /* rows_count x inputs */
    const float *labels;  /* rows_count (SQUARED: x outputs); NaN: none, the teacher's answer counts
                             for it; may be NULL with a teacher */
    const float *teacher; /* rows_count x outputs: its logits, of numbers its answers; or NULL */
    size_t rows_count;
};

struct ig_fit_epoch {
    uint32_t epoch, epochs; /* from 1 */
    double train;           /* mean loss of its steps */
    double held_out;        /* mean loss without pruning's or int8's noise; NaN without such rows */
    double metric;          /* held out: share of rows right; of numbers the mean squared error */
    double zeros;           /* share, where pruning is on */
    bool int8;
};

struct ig_fit_options {
    enum ig_fit_loss loss;
    struct ig_optimizer_options optimizer;
    uint32_t epochs, batch;
    uint32_t patience; /* epochs without a better held-out loss; 0: all epochs */
    bool fresh;        /* the weights were drawn just now: outputs that are numbers start at the
                          labels' mean and spread; else they are in the labels' units already */
    bool cosine;       /* the rate falls to nothing over the epochs */
    uint64_t seed;
    double alpha;                              /* share of the labels beside a teacher */
    double temperature;                        /* 0: 1 */
    const struct ig_pruning_schedule *pruning; /* NULL: none */
    struct ig_pruning_pattern pattern;
    uint32_t int8_from; /* epochs after which int8 is simulated (1: after the first); 0: never */
    struct ig_backprop_int8 int8;
    const bool *batch_norm; /* as ig_backprop_options */
    void (*report)(void *context, const struct ig_fit_epoch *epoch);
    void *context;
};

/* A trained copy of the network. Of those epochs that count (all masks final, int8 on) the one of
 * least held-out loss is kept. `held_out` may be NULL. INVALID names the option, the row, or says
 * that training diverged. */
enum ig_code ig_fit_run(struct ig_network **out, const struct ig_network *network,
                        const struct ig_fit_data *train, const struct ig_fit_data *held_out,
                        const struct ig_fit_options *options, struct ig_err *err);

struct ig_fit_score {
    double loss, metric;
};
/* How a network does on labelled rows. */
enum ig_code ig_fit_score(struct ig_fit_score *score, const struct ig_network *network,
                          const struct ig_fit_data *data, enum ig_fit_loss loss,
                          struct ig_err *err);

/* Loss of a batch of logits and its gradient (mean over the rows), both may be NULL. */
struct ig_fit_batch {
    const float *logits;  /* rows_count x outputs */
    const float *labels;  /* or NULL */
    const float *teacher; /* or NULL */
    size_t rows_count, outputs;
    enum ig_fit_loss loss;
    double alpha, temperature;
};
double ig_fit_loss_of(const struct ig_fit_batch *batch, float *gradient, size_t *right);

#endif
