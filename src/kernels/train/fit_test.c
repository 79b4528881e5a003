/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/random.h"
#include "kernels/train/network_testing.h"

#include <math.h>

static struct digits digits;

static void add_epoch(void *context, const struct ig_fit_epoch *epoch)
{
    struct ig_fit_epoch *last = context;
    *last = *epoch;
}

static struct ig_network *small_cnn(bool *norms, uint64_t seed)
{
    static const struct ig_layer items[] = {
        {.kind = IG_LAYER_CONV,
         .units = 8,
         .filter = 3,
         .stride = 2,
         .batch_norm = true,
         .activation = IG_NETWORK_ACTIVATION_RELU},
        {.kind = IG_LAYER_DENSE, .units = 32, .activation = IG_NETWORK_ACTIVATION_RELU},
        {.kind = IG_LAYER_DENSE, .units = 10},
        {.kind = IG_LAYER_SOFTMAX},
    };
    struct ig_err err = IG_ERR_INIT;
    struct ig_network *network = NULL;
    if (ig_layers_make(&network, norms, &(struct ig_layers){8, 8, 1, items, 4, seed}, &err))
        fail_msg("%s", err.message);
    return network;
}

static struct ig_fit_options plain(const bool *norms)
{
    return (struct ig_fit_options){.loss = IG_FIT_SOFTMAX,
                                   .optimizer = {.kind = IG_OPTIMIZER_ADAM, .learning_rate = 0.005},
                                   .epochs = 8,
                                   .batch = 32,
                                   .seed = 3,
                                   .alpha = 1,
                                   .batch_norm = norms};
}

static struct ig_network *run(const struct ig_network *network,
                              const struct ig_fit_options *options)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_network *trained = NULL;
    if (ig_fit_run(&trained, network, &digits.train, &digits.valid, options, &err))
        fail_msg("%s", err.message);
    return trained;
}

static double test_accuracy(const struct ig_network *network)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_fit_score score;
    if (ig_fit_score(&score, network, &digits.test, IG_FIT_SOFTMAX, &err))
        fail_msg("%s", err.message);
    return score.metric;
}

static bool same_weights(const struct ig_network *a, const struct ig_network *b)
{
    for (uint32_t i = 0; i < a->tensors_count; i++)
        if (a->tensors[i].data && memcmp(a->tensors[i].data, b->tensors[i].data,
                                         ig_network_tensor_bytes(&a->tensors[i])) != 0)
            return false;
    return true;
}

static void learns_digits_again_and_again(void **state)
{
    (void)state;
    bool norms[2 * IG_LAYERS_MAX];
    struct ig_network *network = small_cnn(norms, 1);
    struct ig_fit_options options = plain(norms);
    struct ig_network *first = run(network, &options), *again = run(network, &options);
    assert_true(test_accuracy(first) >= 0.92);
    assert_true(same_weights(first, again));
    options.seed = 4;
    struct ig_network *other = run(network, &options);
    assert_false(same_weights(first, other));
    ig_network_free(network);
    ig_network_free(first);
    ig_network_free(again);
    ig_network_free(other);
}

static void stops_early_and_keeps_the_best(void **state)
{
    (void)state;
    bool norms[2 * IG_LAYERS_MAX];
    struct ig_network *network = small_cnn(norms, 1);
    struct ig_fit_options options = plain(norms);
    struct ig_fit_epoch last = {0};
    struct ig_err err = IG_ERR_INIT;
    struct ig_fit_score score;
    options.optimizer.learning_rate = 0.05; /* too much: the loss jumps about */
    options.epochs = 40;
    options.patience = 2;
    options.report = add_epoch;
    options.context = &last;
    struct ig_network *best = run(network, &options);
    assert_true(last.epoch < 40);
    assert_int_equal(ig_fit_score(&score, best, &digits.valid, IG_FIT_SOFTMAX, &err), IG_OK);
    assert_true(score.loss < last.held_out);
    options.epochs = last.epoch - options.patience; /* the best was the last of these */
    struct ig_network *shorter = run(network, &options);
    assert_true(same_weights(best, shorter));
    ig_network_free(network);
    ig_network_free(best);
    ig_network_free(shorter);
}

static size_t zeros_of(const struct ig_network *network, uint32_t layer)
{
    const struct ig_network_tensor *weights = ig_network_input(network, &network->layers[layer], 1);
    const float *values = weights->data;
    size_t zeros = 0;
    for (size_t i = 0; i < ig_network_tensor_count(weights); i++) zeros += values[i] == 0;
    return zeros;
}

static void prunes_under_simulated_int8(void **state)
{
    (void)state;
    bool norms[2 * IG_LAYERS_MAX];
    struct ig_network *network = small_cnn(norms, 1);
    struct ig_fit_options options = plain(norms);
    struct ig_network *trained = run(network, &options);
    struct ig_fit_epoch last = {0};
    const struct ig_pruning_schedule schedule = {IG_PRUNING_POLYNOMIAL, 0, 0.75, 0, 100, 10, 3};
    options.batch_norm = NULL;
    options.pruning = &schedule;
    options.int8_from = 6; /* masks are final by then */
    options.report = add_epoch;
    options.context = &last;
    struct ig_network *pruned = run(trained, &options);
    assert_true(last.int8 && fabs(last.zeros - 0.75) < 0.01);
    const size_t counts[] = {72, 8 * 16 * 32, 320};
    const uint32_t layers[] = {0, 2, 3};
    for (int i = 0; i < 3; i++) assert_int_equal(zeros_of(pruned, layers[i]), counts[i] * 3 / 4);
    assert_true(test_accuracy(pruned) >= 0.9); /* with a quarter of the weights */
    options.pattern =
        (struct ig_pruning_pattern){.kind = IG_PRUNING_M_BY_N, .zeros = 2, .group = 4};
    struct ig_network *groups = run(trained, &options);
    assert_int_equal(zeros_of(groups, 2), counts[1] / 2);
    assert_true(test_accuracy(groups) >= test_accuracy(trained) - 0.03);
    ig_network_free(network);
    ig_network_free(trained);
    ig_network_free(pruned);
    ig_network_free(groups);
}

/* A teacher, masks and int8 in the same step: a student of a network twice as wide. */
static void distils_prunes_and_simulates_int8_at_once(void **state)
{
    (void)state;
    static float logits[DIGITS_TRAIN * 10];
    bool norms[2 * IG_LAYERS_MAX];
    struct ig_err err = IG_ERR_INIT;
    struct ig_network *wide = small_cnn(norms, 1), *student = NULL, *small = NULL;
    struct ig_fit_options options = plain(norms);
    struct ig_network *teacher = run(wide, &options);
    struct ig_backprop *bp = NULL;
    const struct ig_backprop_options batch = {.batch_max = DIGITS_TRAIN};
    assert_int_equal(ig_backprop_new(&bp, teacher, &batch, &err), IG_OK);
    ig_backprop_forward(bp, digits.inputs, DIGITS_TRAIN, IG_BACKPROP_INFER);
    memcpy(logits, ig_backprop_values(bp, ig_backprop_logits(bp)), sizeof logits);
    ig_backprop_free(bp);
    const struct ig_layer items[] = {
        {.kind = IG_LAYER_DENSE, .units = 24, .activation = IG_NETWORK_ACTIVATION_RELU},
        {.kind = IG_LAYER_DENSE, .units = 10},
        {.kind = IG_LAYER_SOFTMAX}};
    const struct ig_layers layers = {0, 0, DIGITS_CELLS, items, 3, 5};
    assert_int_equal(ig_layers_make(&small, norms, &layers, &err), IG_OK);
    const struct ig_pruning_schedule schedule = {IG_PRUNING_POLYNOMIAL, 0, 0.5, 20, 200, 10, 3};
    const struct ig_fit_data soft = {digits.inputs, NULL, logits, DIGITS_TRAIN}; /* no label */
    options = plain(NULL);
    options.epochs = 25;
    options.alpha = 0;
    options.temperature = 3;
    options.pruning = &schedule;
    options.int8_from = 12;
    options.int8.per_tensor_dense = true;
    if (ig_fit_run(&student, small, &soft, &digits.valid, &options, &err))
        fail_msg("%s", err.message);
    assert_int_equal(zeros_of(student, 0), 64 * 24 / 2);
    assert_true(test_accuracy(student) >= 0.92);
    ig_network_free(wide);
    ig_network_free(teacher);
    ig_network_free(small);
    ig_network_free(student);
}

static void survives_without_memory(void **state)
{
    (void)state;
    bool norms[2 * IG_LAYERS_MAX];
    struct ig_network *network = small_cnn(norms, 1), *out = NULL;
    static const struct ig_pruning_schedule schedule = {IG_PRUNING_CONSTANT, 0, 0.5, 0, -1, 10, 3};
    struct ig_fit_options options = plain(norms);
    const struct ig_fit_data few = {digits.inputs, digits.labels, NULL, 8};
    options.epochs = 1;
    options.pruning = &schedule;
    uint64_t n = 1;
    for (enum ig_code code = IG_NO_MEMORY; code != IG_OK; n++) {
        struct ig_err err = IG_ERR_INIT;
        ig_mem_fail_after(n);
        code = ig_fit_run(&out, network, &few, NULL, &options, &err);
        ig_mem_fail_after(0);
        assert_true(code == IG_OK || code == IG_NO_MEMORY);
    }
    assert_true(n > 8);
    ig_network_free(out);
    ig_network_free(network);
}

static void numbers_in_their_own_units(void **state)
{
    (void)state;
    enum { ROWS = 400 };
    static float inputs[ROWS * 2], labels[ROWS * 2];
    struct ig_rng rng;
    ig_rng_seed(&rng, 1);
    for (int i = 0; i < ROWS; i++) {
        float a = inputs[2 * i] = (float)ig_rng_unit(&rng),
              b = inputs[2 * i + 1] = (float)ig_rng_unit(&rng);
        labels[2 * i] = 50000 + 3000 * a * b;
        labels[2 * i + 1] = 1000 * (a - b);
    }
    const struct ig_layer items[] = {
        {.kind = IG_LAYER_DENSE, .units = 16, .activation = IG_NETWORK_ACTIVATION_RELU},
        {.kind = IG_LAYER_DENSE, .units = 2}};
    bool norms[2 * IG_LAYERS_MAX];
    struct ig_err err = IG_ERR_INIT;
    struct ig_network *network = NULL, *trained = NULL, *more = NULL;
    const struct ig_fit_data data = {inputs, labels, NULL, ROWS};
    struct ig_fit_options options = plain(NULL);
    struct ig_fit_score score, after;
    options.loss = IG_FIT_SQUARED;
    options.epochs = 40;
    options.optimizer.learning_rate = 0.03;
    options.cosine = true;
    options.fresh = true;
    assert_int_equal(
        ig_layers_make(&network, norms, &(struct ig_layers){0, 0, 2, items, 2, 1}, &err), IG_OK);
    assert_int_equal(ig_fit_run(&trained, network, &data, &data, &options, &err), IG_OK);
    assert_int_equal(ig_fit_score(&score, trained, &data, IG_FIT_SQUARED, &err), IG_OK);
    assert_true(sqrt(score.loss) < 80);
    options.fresh = false; /* goes on where it was */
    options.epochs = 1;
    options.optimizer.learning_rate = 1e-5;
    assert_int_equal(ig_fit_run(&more, trained, &data, &data, &options, &err), IG_OK);
    assert_int_equal(ig_fit_score(&after, more, &data, IG_FIT_SQUARED, &err), IG_OK);
    assert_true(fabs(after.loss - score.loss) < 0.05 * score.loss);
    ig_network_free(network);
    ig_network_free(trained);
    ig_network_free(more);
}

static void check_loss(struct ig_fit_batch batch, float *logits, size_t count)
{
    float gradient[8];
    ig_fit_loss_of(&batch, gradient, NULL);
    for (size_t i = 0; i < count; i++) {
        const float step = 1e-3F;
        float kept = logits[i];
        logits[i] = kept + step;
        double above = ig_fit_loss_of(&batch, NULL, NULL);
        logits[i] = kept - step;
        double below = ig_fit_loss_of(&batch, NULL, NULL);
        logits[i] = kept;
        assert_float_equal(gradient[i], (float)((above - below) / (2 * (double)step)), 2e-4);
    }
}

static void losses_and_their_gradients(void **state)
{
    (void)state;
    float logits[6] = {0.3F, -1.2F, 2, 0.1F, 0.5F, -0.4F};
    const float teacher[6] = {1, 0, -1, 2, 2.5F, -3}, classes[2] = {2, NAN},
                numbers[6] = {1, 2, 3, 4, 5, 6};
    const float two[6] = {1, 0, NAN, 1, 1, 0};
    for (double alpha = 0; alpha <= 1; alpha += 0.25)
        for (double temperature = 1; temperature < 9; temperature *= 2) {
            check_loss((struct ig_fit_batch){logits, classes, teacher, 2, 3, IG_FIT_SOFTMAX, alpha,
                                             temperature},
                       logits, 6);
            check_loss((struct ig_fit_batch){logits, NULL, teacher, 2, 3, IG_FIT_SOFTMAX, alpha,
                                             temperature},
                       logits, 6);
            check_loss((struct ig_fit_batch){logits, two, teacher, 6, 1, IG_FIT_LOGISTIC, alpha,
                                             temperature},
                       logits, 6);
            check_loss((struct ig_fit_batch){logits, numbers, teacher, 2, 3, IG_FIT_SQUARED, alpha,
                                             temperature},
                       logits, 6);
        }
    /* by hand: T^2 * KL at T = 2 of two classes */
    const float z = 0.4F, t = -1;
    const struct ig_fit_batch one = {&z, NULL, &t, 1, 1, IG_FIT_LOGISTIC, 0, 2};
    double p = 1 / (1 + exp(-0.2)), q = 1 / (1 + exp(0.5));
    double kl = 4 * (q * log(q / p) + (1 - q) * log((1 - q) / (1 - p)));
    assert_float_equal((float)ig_fit_loss_of(&one, NULL, NULL), (float)kl, 1e-6);
    size_t right;
    const float labels[2] = {2, 0};
    const struct ig_fit_batch hard = {logits, labels, NULL, 2, 3, IG_FIT_SOFTMAX, 0, 1};
    const double sum = exp(0.3) + exp(-1.2) + exp(2), other = exp(0.1) + exp(0.5) + exp(-0.4);
    double ce = (log(sum) - 2 + log(other) - 0.1) / 2;
    assert_float_equal((float)ig_fit_loss_of(&hard, NULL, &right), (float)ce, 1e-5);
    assert_int_equal(right, 1);
}

static void refuses(void **state)
{
    (void)state;
    bool norms[2 * IG_LAYERS_MAX];
    struct ig_network *network = small_cnn(norms, 1), *out = NULL;
    static const struct ig_pruning_schedule late = {
        IG_PRUNING_POLYNOMIAL, 0, 0.5, 0, 100000, 10, 3};
    const struct {
        struct ig_fit_options options;
        const char *message;
    } cases[] = {
        {{.epochs = 0, .batch = 8}, "epochs is 0"},
        {{.epochs = 1, .batch = 0}, "batch is 0"},
        {{.epochs = 1, .batch = 8, .alpha = 2}, "alpha is 2"},
        {{.epochs = 1, .batch = 8, .temperature = -1}, "temperature is -1"},
        {{.epochs = 1, .batch = 8, .loss = IG_FIT_LOGISTIC}, "10 outputs do not fit"},
        {{.epochs = 1, .batch = 8, .loss = IG_FIT_SOFTMAX}, "learning_rate is 0"},
        {{.epochs = 2, .batch = 8, .loss = IG_FIT_SOFTMAX, .int8_from = 2}, "int8_from is 2"},
        {{.epochs = 2, .batch = 8, .loss = IG_FIT_SOFTMAX, .pruning = &late},
         "pruning reaches its end"},
        {{.epochs = 2,
          .batch = 8,
          .loss = IG_FIT_SOFTMAX,
          .optimizer = {IG_OPTIMIZER_SGD, .learning_rate = 1e30}},
         "training diverged"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ig_err err = IG_ERR_INIT;
        assert_int_equal(ig_fit_run(&out, network, &digits.valid, NULL, &cases[i].options, &err),
                         IG_INVALID);
        if (!strstr(err.message, cases[i].message)) fail_msg("%zu: %s", i, err.message);
    }
    const struct ig_fit_options good = plain(norms);
    float kept = digits.labels[0];
    const float bad_labels[] = {10, -1, 1.5F, NAN};
    for (int i = 0; i < 4; i++) {
        struct ig_err err = IG_ERR_INIT;
        digits.labels[0] = bad_labels[i];
        assert_int_equal(ig_fit_run(&out, network, &digits.train, NULL, &good, &err), IG_INVALID);
        assert_non_null(strstr(err.message, "training row 0: label"));
    }
    digits.labels[0] = kept;
    digits.inputs[65] = NAN;
    struct ig_err err = IG_ERR_INIT;
    assert_int_equal(ig_fit_run(&out, network, &digits.train, NULL, &good, &err), IG_INVALID);
    assert_non_null(strstr(err.message, "row 1: input 1 is nan"));
    testing_digits(&digits);
    ig_network_free(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(losses_and_their_gradients),
                                       cmocka_unit_test(learns_digits_again_and_again),
                                       cmocka_unit_test(stops_early_and_keeps_the_best),
                                       cmocka_unit_test(prunes_under_simulated_int8),
                                       cmocka_unit_test(distils_prunes_and_simulates_int8_at_once),
                                       cmocka_unit_test(survives_without_memory),
                                       cmocka_unit_test(numbers_in_their_own_units),
                                       cmocka_unit_test(refuses)};
    testing_digits(&digits);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
