/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "kernels/train/distill.h"
#include "kernels/train/layers.h"

#include <math.h>
#include <string.h>

/* A teacher that knows the truth: class 1 has the probability 1 / (1 + exp(-8 * (a * b - 0.1))),
 * where a and b are columns 0 and 1. */
static double truth(const double *row)
{
    return 1 / (1 + exp(-8 * (row[0] * row[1] - 0.1)));
}

static size_t no_scratch(const struct ig_predictor *predictor, size_t rows_count)
{
    (void)predictor;
    (void)rows_count;
    return 0;
}

static void run_truth(const struct ig_predictor *predictor, const double *rows, size_t rows_count,
                      double *values, void *scratch)
{
    (void)scratch;
    for (size_t i = 0; i < rows_count; i++) {
        double p = truth(rows + i * predictor->features_count);
        values[i * predictor->values_count + predictor->values_count - 1] = p;
        if (predictor->values_count == 2) values[2 * i] = 1 - p;
    }
}

static const struct ig_predictor teacher = {3, 1, NULL, run_truth, no_scratch};

static void answers_as_logits(void **state)
{
    (void)state;
    enum { ROWS = 600 }; /* more than are asked at a time */
    static double rows[ROWS * 3];
    static float logits[ROWS * 2];
    struct ig_err err = IG_ERR_INIT;
    struct ig_rng rng;
    ig_rng_seed(&rng, 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) rows[i] = 2 * ig_rng_unit(&rng) - 1;
    struct ig_predictor two = teacher;
    two.values_count = 2;
    const struct ig_predictor *kinds[] = {&teacher, &two};
    for (int kind = 0; kind < 2; kind++) {
        const struct ig_distill_ask ask = {kinds[kind], rows, ROWS, IG_FIT_LOGISTIC, 1};
        memset(logits, 0, sizeof logits);
        assert_int_equal(ig_distill_answers(logits, &ask, &err), IG_OK);
        for (size_t i = 0; i < ROWS; i++)
            assert_float_equal(logits[i], 8 * (float)(rows[3 * i] * rows[3 * i + 1] - 0.1), 1e-4);
    }
    const struct ig_distill_ask softmax = {&two, rows, ROWS, IG_FIT_SOFTMAX, 2};
    assert_int_equal(ig_distill_answers(logits, &softmax, &err), IG_OK);
    assert_float_equal(logits[2 * 599 + 1], (float)log(truth(rows + 3 * 599)), 1e-5);
    const struct ig_distill_ask numbers = {&teacher, rows, ROWS, IG_FIT_SQUARED, 1};
    assert_int_equal(ig_distill_answers(logits, &numbers, &err), IG_OK);
    assert_float_equal(logits[599], (float)truth(rows + 3 * 599), 1e-6);
    const struct ig_distill_ask wide = {&two, rows, ROWS, IG_FIT_SOFTMAX, 3};
    assert_int_equal(ig_distill_answers(logits, &wide, &err), IG_INVALID);
    assert_non_null(strstr(err.message, "2 values a row, the student 3"));
    rows[3 * 300] = NAN;
    ig_err_clear(&err);
    assert_int_equal(ig_distill_answers(logits, &numbers, &err), IG_INVALID);
    assert_non_null(strstr(err.message, "row 300 is nan"));
}

/* Columns: a, b = a with noise, c a category that says the sign of a. */
static void make_rows(double *rows, size_t count, uint64_t seed)
{
    struct ig_rng rng;
    ig_rng_seed(&rng, seed);
    for (size_t i = 0; i < count; i++) {
        double a = 2 * ig_rng_unit(&rng) - 1;
        rows[3 * i] = a;
        rows[3 * i + 1] = a + 0.2 * ig_rng_unit(&rng);
        rows[3 * i + 2] = a > 0;
    }
}

static void samples_keep_what_belongs_together(void **state)
{
    (void)state;
    enum { REAL = 500, MADE = 1000 };
    static double real[REAL * 3], made[MADE * 3], again[MADE * 3];
    const uint32_t categories[] = {0, 0, 2};
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    struct ig_encoder encoder;
    make_rows(real, REAL, 1);
    ig_arena_init(&arena, 4096, 1 << 16);
    struct ig_distill_sampling sampling = {
        {real, REAL, 3, categories, false}, &encoder, 0.5, 32, 7};
    assert_int_equal(ig_encoder_fit(&encoder, &arena, &sampling.from, &err), IG_OK);
    assert_int_equal(ig_distill_sample(made, MADE, &sampling, &err), IG_OK);
    assert_int_equal(ig_distill_sample(again, MADE, &sampling, &err), IG_OK);
    assert_memory_equal(made, again, sizeof made);
    size_t fresh = 0, signs = 0;
    double apart = 0;
    for (size_t i = 0; i < MADE; i++) {
        bool known = false;
        for (size_t r = 0; r < REAL && !known; r++)
            known = memcmp(made + 3 * i, real + 3 * r, 3 * sizeof(double)) == 0;
        fresh += !known;
        signs += (made[3 * i] > 0) == (made[3 * i + 2] > 0);
        apart += fabs(made[3 * i + 1] - made[3 * i]) / MADE;
    }
    assert_true(fresh > MADE / 2);        /* new rows */
    assert_true(signs > MADE * 97 / 100); /* in which columns go together as they did */
    assert_true(apart < 0.2);             /* 0.1 in the real ones, 0.7 if columns were shuffled */
    sampling.candidates = 0;
    assert_int_equal(ig_distill_sample(made, 1, &sampling, &err), IG_INVALID);
    sampling.candidates = 1;
    sampling.resampled = 2;
    ig_err_clear(&err);
    assert_int_equal(ig_distill_sample(made, 1, &sampling, &err), IG_INVALID);
    assert_non_null(strstr(err.message, "resampled is 2"));
    sampling.resampled = 0;
    ig_err_clear(&err);
    assert_int_equal(ig_distill_sample(made, 1, &sampling, &err), IG_OK);
    ig_arena_deinit(&arena);
}

/* Few labels, each drawn by the truth: a student of the teacher comes nearer to it than one of the
 * labels does. */
static void a_student_of_few_labels(void **state)
{
    (void)state;
    enum { REAL = 120, MADE = 1200, TEST = 1000, ALL = REAL + MADE };
    static double rows[ALL * 3], test[TEST * 3];
    static float inputs[ALL * 3], labels[ALL], logits[ALL], test_inputs[TEST * 3],
        test_logits[TEST];
    struct ig_err err = IG_ERR_INIT;
    struct ig_rng rng;
    struct ig_network *network = NULL, *alone = NULL, *student = NULL;
    ig_rng_seed(&rng, 3);
    for (size_t i = 0; i < 3 * REAL; i++) rows[i] = 2 * ig_rng_unit(&rng) - 1;
    for (size_t i = 0; i < 3 * TEST; i++) test[i] = 2 * ig_rng_unit(&rng) - 1;
    struct ig_arena arena;
    struct ig_encoder encoder;
    ig_arena_init(&arena, 4096, 1 << 16);
    const struct ig_distill_sampling sampling = {{rows, REAL, 3, NULL, false}, &encoder, 0.7, 2, 5};
    assert_int_equal(ig_encoder_fit(&encoder, &arena, &sampling.from, &err), IG_OK);
    assert_int_equal(ig_distill_sample(rows + 3 * REAL, MADE, &sampling, &err), IG_OK);
    ig_encoder_run(&encoder, rows, ALL, inputs);
    ig_encoder_run(&encoder, test, TEST, test_inputs);
    for (size_t i = 0; i < ALL; i++)
        labels[i] = i < REAL ? (float)(ig_rng_unit(&rng) < truth(rows + 3 * i)) : NAN;
    const struct ig_distill_ask ask = {&teacher, rows, ALL, IG_FIT_LOGISTIC, 1};
    const struct ig_distill_ask ask_test = {&teacher, test, TEST, IG_FIT_LOGISTIC, 1};
    assert_int_equal(ig_distill_answers(logits, &ask, &err), IG_OK);
    assert_int_equal(ig_distill_answers(test_logits, &ask_test, &err), IG_OK);
    const struct ig_layer items[] = {
        {.kind = IG_LAYER_DENSE, .units = 16, .activation = IG_NETWORK_ACTIVATION_RELU},
        {.kind = IG_LAYER_DENSE, .units = 1},
        {.kind = IG_LAYER_LOGISTIC}};
    bool norms[2 * IG_LAYERS_MAX];
    assert_int_equal(
        ig_layers_make(&network, norms, &(struct ig_layers){0, 0, 3, items, 3, 1}, &err), IG_OK);
    struct ig_fit_options options = {.loss = IG_FIT_LOGISTIC,
                                     .epochs = 60,
                                     .batch = 32,
                                     .seed = 1,
                                     .cosine = true,
                                     .optimizer = {.learning_rate = 0.01},
                                     .alpha = 1};
    const struct ig_fit_data hard = {inputs, labels, NULL, REAL},
                             soft = {inputs, labels, logits, ALL};
    assert_int_equal(ig_fit_run(&alone, network, &hard, NULL, &options, &err), IG_OK);
    options.epochs = 15;
    options.alpha = 0.1;
    options.temperature = 2;
    assert_int_equal(ig_fit_run(&student, network, &soft, NULL, &options, &err), IG_OK);
    const struct ig_fit_data judged = {test_inputs, NULL, test_logits, TEST};
    struct ig_fit_score by_labels, by_teacher;
    assert_int_equal(ig_fit_score(&by_labels, alone, &judged, IG_FIT_LOGISTIC, &err), IG_OK);
    assert_int_equal(ig_fit_score(&by_teacher, student, &judged, IG_FIT_LOGISTIC, &err), IG_OK);
    if (!(by_teacher.loss < 0.3 * by_labels.loss))
        fail_msg("divergence from the truth %g, of labels alone %g", by_teacher.loss,
                 by_labels.loss);
    ig_network_free(network);
    ig_network_free(alone);
    ig_network_free(student);
    ig_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(answers_as_logits),
                                       cmocka_unit_test(samples_keep_what_belongs_together),
                                       cmocka_unit_test(a_student_of_few_labels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
