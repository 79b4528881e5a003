/* SPDX-License-Identifier: Apache-2.0 */
/* A block's rows reach the model that answers them, as it reads them, and come back by their
 * places; what fails stops the rest. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/row_models.h"

#include <string.h>

enum { ROWS = IG_ROW_BLOCK };

static struct ig_arena arena;
static struct ig_err err;
static uint32_t asked, taken;
static double answers[ROWS];

/* Every third row is the second model's; `context`: there is no way for a row. */
static enum ig_code route(void *context, uint32_t *out, const struct ig_row_span *rows,
                          struct ig_err *error)
{
    if (context) return ig_fail(error, IG_INVALID, "no way");
    for (size_t i = 0; i < rows->count; i++) out[i] = (rows->first + i) % 3 == 0;
    return IG_OK;
}

/* The first column as the model has it, and 100 more of the second model. */
static enum ig_code answer(void *context, struct ig_row_answers *out, const struct ig_row_ask *ask,
                           struct ig_arena *own, struct ig_err *error)
{
    (void)context, (void)error;
    double *values = ig_arena_array(own, ask->rows_count, sizeof *values);
    for (size_t i = 0; i < ask->rows_count; i++) values[i] = ask->rows[i * 2] + 100 * ask->model;
    asked++;
    *out = (struct ig_row_answers){values, values, NULL};
    return IG_OK;
}

static enum ig_code take(void *context, const struct ig_row_part *part, struct ig_err *error)
{
    for (size_t i = 0; i < part->count; i++) {
        answers[part->places[i]] = part->answers->margins[i];
        assert_true(part->rows[i * 2] == part->answers->margins[i] - 100 * part->model);
    }
    taken++;
    return context ? ig_fail(error, IG_INVALID, "not so") : IG_OK;
}

static void test_blocks(void **state)
{
    static const uint32_t SWAPPED[] = {1, 0};
    const struct ig_feature_map map = {.features_count = 2, .source_of = SWAPPED};
    const struct ig_schema schema = {.features_count = 2};
    const struct ig_model shape = {.features_count = 2, .outputs_count = 1};
    const struct ig_row_model list[] = {
        {IG_STR("a"), &shape, NULL}, {IG_STR("b"), &shape, &map}, {IG_STR("never"), NULL, NULL}};
    struct ig_row_models models = {&schema, list, 3, route, answer, NULL};
    struct ig_row_blocks blocks = {.models = &models, .take = take};
    static double rows[ROWS * 2];
    (void)state;
    for (size_t i = 0; i < ROWS; i++) rows[i * 2] = (double)i, rows[i * 2 + 1] = -(double)i;
    assert_true(ig_row_blocks_init(&blocks, &arena));
    struct ig_row_span span = {NULL, 1, ROWS, rows};
    assert_int_equal(ig_row_blocks_run(&blocks, &span, &err), IG_OK);
    for (size_t i = 0; i < ROWS; i++)
        assert_true(answers[i] == ((i + 1) % 3 ? (double)i : 100 - (double)i));
    assert_true(asked == 2 && taken == 2);
    blocks.context = &blocks; /* the first part is refused */
    assert_int_equal(ig_row_blocks_run(&blocks, &span, &err), IG_INVALID);
    assert_string_equal(err.message, "not so");
    assert_true(asked == 3 && taken == 3);
    ig_err_clear(&err);
    models.context = &models;
    assert_int_equal(ig_row_blocks_run(&blocks, &span, &err), IG_INVALID);
    assert_string_equal(err.message, "no way");
    assert_true(asked == 3);
    ig_err_clear(&err);
    models.route = NULL; /* all the first one's */
    blocks.context = NULL;
    assert_int_equal(ig_row_blocks_run(&blocks, &span, &err), IG_OK);
    assert_true(answers[0] == 0 && answers[ROWS - 1] == ROWS - 1);
    ig_row_blocks_deinit(&blocks);
    struct ig_row_answered *answered = ig_row_answered_new(&models, &arena);
    assert_true(ig_str_is(answered[1].name, "b") && !answered[1].rows && !answered[1].method);
}

static void test_order(void **state)
{
    static const uint32_t SOURCE[] = {2, 0, 1};
    const struct ig_feature_map same = {.features_count = 3};
    const struct ig_feature_map map = {.features_count = 3, .source_of = SOURCE};
    const double own[] = {1, 2, 3};
    double scratch[3];
    (void)state;
    assert_ptr_equal(ig_row_in_order(NULL, own, scratch), own);
    assert_ptr_equal(ig_row_in_order(&same, own, scratch), own);
    assert_memory_equal(ig_row_in_order(&map, own, scratch), ((double[]){2, 3, 1}), sizeof own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_blocks), cmocka_unit_test(test_order)};
    err = IG_ERR_INIT;
    ig_arena_init(&arena, 1 << 16, 1 << 24);
    int code = cmocka_run_group_tests(tests, NULL, NULL);
    ig_arena_deinit(&arena);
    return code;
}
