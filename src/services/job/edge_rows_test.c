/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/job/edge_train_testing.h"

#include <math.h>

enum { X, COLOUR }; /* the table's columns; colours: blue, green, red */

static struct ig_edge_rows_options options_of(const struct edge_world *world,
                                              const struct ig_package *teacher)
{
    return (struct ig_edge_rows_options){
        .data = &world->data,
        .params = &world->params.edge,
        .models = {.teachers = {teacher}, .teachers_count = teacher != NULL}};
}

static void the_teacher_answers_in_its_own_order(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct edge_world world;
    struct ig_edge_rows rows;
    edge_world_open(&world, 200, IG_TASK_BINARY);
    struct ig_package *teacher = edge_teacher("noyes");
    edge_world_set(&world, "synthetic_rows", "50");
    const struct ig_edge_rows_options options = options_of(&world, teacher);
    ASSERT_OK(ig_edge_rows_init(&rows, &options, &world.arena, &err));
    assert_int_equal(rows.loss, IG_FIT_LOGISTIC);
    assert_int_equal(rows.train.real, 150);
    assert_int_equal(rows.train.count, 200);
    assert_int_equal(rows.held_out.count, 50);
    assert_int_equal(rows.inputs_count, 2 + 1 + 3); /* ranks, missing, three colours */
    for (size_t i = 0; i < rows.train.count; i++) {
        const double *row = rows.train.rows + 2 * i;
        double expected = (row[X] <= 4 ? -2 : 2) + (row[COLOUR] == 2 ? 1 : 0);
        assert_float_equal(rows.train.answers[i], expected, 1e-4);
        assert_true(isnan(rows.train.labels[i]) == (i >= rows.train.real));
    }
    struct ig_metrics metrics;
    const struct ig_predictor predictor = ig_edge_rows_teacher(&rows);
    ASSERT_OK(ig_edge_rows_judge(&metrics, &rows, &predictor, &err));
    assert_true(metrics.values[IG_METRIC_ACCURACY] > 0.7 && metrics.values[IG_METRIC_ACCURACY] < 1);
    ig_package_free(teacher);
    edge_world_close(&world);
}

static void several_teachers_answer_as_their_mean(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct edge_world world;
    struct ig_edge_rows one, two;
    edge_world_open(&world, 100, IG_TASK_BINARY);
    struct ig_package *teacher = edge_teacher("noyes"), *other = edge_teacher("noyes");
    ((struct ig_model *)other->model)->base_margin[0] = 1; /* its answers are higher */
    ig_engine_free(other->engine);
    other->engine = NULL;
    ASSERT_OK(ig_engine_new(&other->engine, other->model, &err));
    edge_world_set(&world, "synthetic_rows", "0");
    struct ig_edge_rows_options options = options_of(&world, teacher);
    ASSERT_OK(ig_edge_rows_init(&one, &options, &world.arena, &err));
    options.models.teachers[1] = other;
    options.models.teachers_count = 2;
    ASSERT_OK(ig_edge_rows_init(&two, &options, &world.arena, &err));
    for (size_t i = 0; i < one.train.real; i++) {
        double first = 1 / (1 + exp(-(double)one.train.answers[i]));
        double second = 1 / (1 + exp(-(double)one.train.answers[i] - 1));
        double mean = 1 / (1 + exp(-(double)two.train.answers[i]));
        assert_true(fabs(mean - (first + second) / 2) < 1e-6);
    }
    ig_package_free(other);
    ig_package_free(teacher);
    edge_world_close(&world);
}

static void what_does_not_fit_is_named(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct edge_world world;
    struct ig_edge_rows rows;
    edge_world_open(&world, 100, IG_TASK_BINARY);
    struct ig_package *teacher = edge_teacher("noyep");
    struct ig_edge_rows_options options = options_of(&world, teacher);
    ASSERT_FAILS(ig_edge_rows_init(&rows, &options, &world.arena, &err), IG_INVALID, "teacher: ");
    options.models.teachers_count = 0;
    options.pixels = 4;
    ASSERT_FAILS(ig_edge_rows_init(&rows, &options, &world.arena, &err), IG_INVALID,
                 "'input_shape': 4 pixels, the table has 2 columns");
    options.pixels = 2;
    ASSERT_FAILS(ig_edge_rows_init(&rows, &options, &world.arena, &err), IG_INVALID,
                 "column 'x' is not a number throughout");
    ig_package_free(teacher);
    edge_world_close(&world);
    edge_world_open(&world, 100, IG_TASK_REGRESSION);
    teacher = edge_teacher("noyes");
    options = options_of(&world, teacher);
    ASSERT_FAILS(ig_edge_rows_init(&rows, &options, &world.arena, &err), IG_INVALID, "teacher: ");
    ig_package_free(teacher);
    edge_world_close(&world);
}

static void no_more_rows_than_asked_for(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct edge_world world;
    struct ig_edge_rows rows;
    edge_world_open(&world, 120, IG_TASK_MULTICLASS);
    edge_world_set(&world, "ranks", "off");
    const struct ig_edge_rows_options options = options_of(&world, NULL);
    ASSERT_OK(ig_edge_rows_init(&rows, &options, &world.arena, &err));
    assert_int_equal(rows.loss, IG_FIT_SOFTMAX);
    assert_int_equal(rows.outputs, 3);
    assert_int_equal(rows.train.count, rows.train.real);
    assert_null(rows.train.answers);
    assert_int_equal(rows.inputs_count, 1 + 1 + 3);
    edge_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_teacher_answers_in_its_own_order),
        cmocka_unit_test(several_teachers_answer_as_their_mean),
        cmocka_unit_test(what_does_not_fit_is_named),
        cmocka_unit_test(no_more_rows_than_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
