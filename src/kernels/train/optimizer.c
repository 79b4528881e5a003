/* SPDX-License-Identifier: Apache-2.0 */
/* SGD and Adam. Owns the moments of every parameter. */
#include "kernels/train/optimizer.h"

#include "base/arena.h"
#include "base/mem.h"

#include <math.h>

static const size_t BYTES_MAX = (size_t)1 << 31;
enum { CHUNK_BYTES = 1 << 16 };

struct moments {
    float *first, *second;
};

struct ig_optimizer {
    struct ig_arena arena;
    struct ig_optimizer_options options;
    struct ig_parameter *parameters;
    struct moments *moments;
    uint32_t count;
    double power1, power2; /* beta^steps */
};

static enum ig_code check(const struct ig_optimizer_options *o, struct ig_err *err)
{
    if (!(o->learning_rate > 0 && isfinite(o->learning_rate)))
        return ig_fail(err, IG_INVALID, "learning_rate is %g, expected a positive number",
                       o->learning_rate);
    if (!(o->momentum >= 0 && o->momentum < 1))
        return ig_fail(err, IG_INVALID, "momentum is %g, expected 0 up to 1", o->momentum);
    if (!(o->beta1 >= 0 && o->beta1 < 1 && o->beta2 >= 0 && o->beta2 < 1))
        return ig_fail(err, IG_INVALID, "betas are %g and %g, expected 0 up to 1", o->beta1,
                       o->beta2);
    if (!(o->weight_decay >= 0 && isfinite(o->weight_decay)) || !(o->epsilon >= 0))
        return ig_fail(err, IG_INVALID, "weight_decay is %g, epsilon %g", o->weight_decay,
                       o->epsilon);
    return IG_OK;
}

enum ig_code ig_optimizer_new(struct ig_optimizer **out, struct ig_backprop *backprop,
                              const struct ig_optimizer_options *options, struct ig_err *err)
{
    if (check(options, err)) return ig_err_code(err);
    struct ig_optimizer *optimizer = ig_zalloc(sizeof *optimizer);
    if (!optimizer) return ig_fail(err, IG_NO_MEMORY, "optimizer");
    ig_arena_init(&optimizer->arena, CHUNK_BYTES, BYTES_MAX);
    optimizer->options = *options;
    if (options->beta1 == 0) optimizer->options.beta1 = 0.9;
    if (options->beta2 == 0) optimizer->options.beta2 = 0.999;
    if (options->epsilon == 0) optimizer->options.epsilon = 1e-8;
    optimizer->power1 = optimizer->power2 = 1;
    optimizer->parameters = ig_backprop_parameters(backprop, &optimizer->count);
    optimizer->moments =
        ig_arena_array(&optimizer->arena, optimizer->count, sizeof(struct moments));
    for (uint32_t i = 0; i < optimizer->count && optimizer->moments; i++) {
        size_t count = optimizer->parameters[i].count;
        optimizer->moments[i].first = ig_arena_array(&optimizer->arena, count, sizeof(float));
        optimizer->moments[i].second = ig_arena_array(&optimizer->arena, count, sizeof(float));
    }
    if (optimizer->arena.overflowed) {
        ig_optimizer_free(optimizer);
        return ig_fail(err, IG_NO_MEMORY, "optimizer");
    }
    *out = optimizer;
    return IG_OK;
}

void ig_optimizer_free(struct ig_optimizer *optimizer)
{
    if (!optimizer) return;
    ig_arena_deinit(&optimizer->arena);
    ig_free(optimizer);
}

static void step_sgd(const struct ig_optimizer *o, struct ig_parameter *p, struct moments *m,
                     double rate)
{
    bool decays = p->kind == IG_PARAMETER_WEIGHTS;
    float decay = decays ? (float)o->options.weight_decay : 0,
          momentum = (float)o->options.momentum;
    for (size_t i = 0; i < p->count; i++) {
        m->first[i] = momentum * m->first[i] + p->gradients[i] + decay * p->values[i];
        p->values[i] -= (float)rate * m->first[i];
    }
}

static void step_adam(const struct ig_optimizer *o, struct ig_parameter *p, struct moments *m,
                      double rate)
{
    const struct ig_optimizer_options *options = &o->options;
    bool decays = p->kind == IG_PARAMETER_WEIGHTS;
    float beta1 = (float)options->beta1, beta2 = (float)options->beta2;
    float scale1 = (float)(rate / (1 - o->power1)), scale2 = (float)(1 / (1 - o->power2));
    float decay = decays ? (float)(rate * options->weight_decay) : 0;
    float epsilon = (float)options->epsilon;
    for (size_t i = 0; i < p->count; i++) {
        float gradient = p->gradients[i];
        m->first[i] = beta1 * m->first[i] + (1 - beta1) * gradient;
        m->second[i] = beta2 * m->second[i] + (1 - beta2) * gradient * gradient;
        p->values[i] -=
            scale1 * m->first[i] / (sqrtf(scale2 * m->second[i]) + epsilon) + decay * p->values[i];
    }
}

void ig_optimizer_step(struct ig_optimizer *o, double rate)
{
    rate *= o->options.learning_rate;
    o->power1 *= o->options.beta1;
    o->power2 *= o->options.beta2;
    for (uint32_t i = 0; i < o->count; i++) {
        struct ig_parameter *p = &o->parameters[i];
        double own = o->options.shares ? rate * o->options.shares[i] : rate;
        if (o->options.kind == IG_OPTIMIZER_ADAM)
            step_adam(o, p, &o->moments[i], own);
        else
            step_sgd(o, p, &o->moments[i], own);
        if (p->kind == IG_PARAMETER_WEIGHTS) memcpy(p->used, p->values, p->count * sizeof(float));
    }
}
