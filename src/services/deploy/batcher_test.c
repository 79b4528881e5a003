/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that join, requests that do not fit, and a batch that fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/thread.h"
#include "services/deploy/batcher.h"

#include <stdatomic.h>
#include <unistd.h>

enum { FEATURES = 2 };

static struct ig_model model = {
    .features_count = FEATURES, .outputs_count = 1, .predictions_count = 2};
static struct ig_package package = {.model = &model};
static const struct ig_servable one = {.package = &package}, other = {.package = &package};

struct caller {
    struct ig_batcher *batcher;
    const struct ig_servable *servable;
    struct ig_arena arena;
    struct ig_inference_request request;
    struct ig_inference_result result;
    struct ig_batch *batch;
    enum ig_batcher_role role;
    double rows[3 * FEATURES];
    uint64_t thread;
    atomic_bool over;
};

static void *enter(void *context)
{
    struct caller *caller = context;
    caller->role = ig_batcher_enter(&caller->batch, &caller->result, caller->batcher,
                                    caller->servable, &caller->request, &caller->arena);
    atomic_store(&caller->over, true);
    return NULL;
}

static void set_up(struct caller *caller, struct ig_batcher *batcher,
                   const struct ig_servable *servable, size_t rows, double value)
{
    *caller = (struct caller){.batcher = batcher, .servable = servable};
    for (size_t i = 0; i < rows * FEATURES; i++) caller->rows[i] = value + (double)i;
    caller->request = (struct ig_inference_request){.rows = caller->rows, .rows_count = rows};
    ig_arena_init(&caller->arena, 4096, 1 << 20);
}

static void run(struct caller *caller)
{
    struct ig_err err = IG_ERR_INIT;
    assert_int_equal(ig_thread_start(&caller->thread, "caller", enter, caller, &err), IG_OK);
}

static void start(struct caller *caller, struct ig_batcher *batcher,
                  const struct ig_servable *servable, size_t rows, double value)
{
    set_up(caller, batcher, servable, rows, value);
    run(caller);
}

static void start_until(struct caller *caller, struct ig_batcher *batcher, uint64_t deadline_ns)
{
    set_up(caller, batcher, &one, 1, 0);
    caller->request.deadline_ns = deadline_ns;
    run(caller);
}

/* True: it has come back; false: it waits in a batch, as far as a while can tell. */
static bool comes_back(struct caller *caller)
{
    for (int i = 0; i < 40 && !atomic_load(&caller->over); i++) usleep(1000);
    return atomic_load(&caller->over);
}

static void finish(struct caller *caller)
{
    ig_thread_join(caller->thread);
    ig_arena_deinit(&caller->arena);
}

static struct ig_batcher *open_batcher(size_t rows_max, uint64_t linger_ns)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_batcher *batcher = NULL;
    const struct ig_batcher_options options = {rows_max, linger_ns};
    assert_int_equal(ig_batcher_new(&batcher, &options, &err), IG_OK);
    return batcher;
}

/* Margin: a row's first cell; predictions: both; skipped: as the margin. */
static void compute(struct ig_inference_result *out, const struct ig_inference_request *request,
                    struct ig_arena *arena)
{
    double *margins = ig_arena_array(arena, request->rows_count, sizeof *margins);
    double *predictions = ig_arena_array(arena, request->rows_count, 2 * sizeof *predictions);
    uint32_t *skipped = ig_arena_array(arena, request->rows_count, sizeof *skipped);
    for (size_t i = 0; i < request->rows_count; i++) {
        skipped[i] = (uint32_t)request->rows[i * FEATURES];
        margins[i] = request->rows[i * FEATURES];
        predictions[2 * i] = request->rows[i * FEATURES];
        predictions[2 * i + 1] = request->rows[i * FEATURES + 1];
    }
    *out = (struct ig_inference_result){.rows_count = request->rows_count,
                                        .features_count = FEATURES,
                                        .outputs_count = 1,
                                        .predictions_count = 2,
                                        .margins = margins,
                                        .predictions = predictions,
                                        .skipped = skipped};
}

static void assert_own(const struct caller *caller)
{
    assert_int_equal(caller->result.rows_count, caller->request.rows_count);
    for (size_t i = 0; i < caller->request.rows_count; i++) {
        assert_true(caller->result.margins[i] == caller->rows[i * FEATURES]);
        assert_true(caller->result.skipped[i] == caller->rows[i * FEATURES]);
        assert_true(caller->result.predictions[2 * i + 1] == caller->rows[i * FEATURES + 1]);
    }
}

static void test_each_gets_its_own(void **state)
{
    (void)state;
    struct ig_batcher *batcher = open_batcher(6, 0);
    struct caller first, second, third, elsewhere, large, next;
    struct ig_inference_request all;
    struct ig_inference_result result;
    start(&first, batcher, &one, 2, 10);
    assert_true(comes_back(&first));
    assert_int_equal(first.role, IG_BATCH_LEADS);
    start(&second, batcher, &one, 1, 20);
    assert_false(comes_back(&second));
    start(&third, batcher, &one, 3, 30);
    assert_false(comes_back(&third));
    start(&elsewhere, batcher, &other, 1, 40); /* another model */
    assert_true(comes_back(&elsewhere));
    assert_int_equal(elsewhere.role, IG_BATCH_LEADS);
    start(&large, batcher, &one, 1, 50); /* one row too many: the next batch */
    assert_true(comes_back(&large));
    assert_int_equal(large.role, IG_BATCH_LEADS);
    start(&next, batcher, &one, 1, 60);
    assert_false(comes_back(&next));

    assert_true(ig_batch_close(&all, first.batch, &first.arena));
    assert_int_equal(all.rows_count, 6);
    compute(&result, &all, &first.arena);
    ig_batch_end(&first.result, first.batch, &result);
    ig_thread_join(second.thread);
    ig_thread_join(third.thread);
    assert_int_equal(second.role, IG_BATCH_ANSWERED);
    assert_int_equal(third.role, IG_BATCH_ANSWERED);
    assert_own(&first);
    assert_own(&second);
    assert_own(&third);

    assert_true(ig_batch_close(&all, elsewhere.batch, &elsewhere.arena));
    assert_ptr_equal(all.rows, elsewhere.rows); /* alone in it: nothing is copied */
    compute(&result, &all, &elsewhere.arena);
    ig_batch_end(&elsewhere.result, elsewhere.batch, &result);
    assert_int_equal(ig_batch_fail(large.batch), 1); /* never closed, and failed */
    ig_thread_join(next.thread);
    assert_int_equal(next.role, IG_BATCH_ALONE);
    ig_arena_deinit(&second.arena);
    ig_arena_deinit(&third.arena);
    ig_arena_deinit(&next.arena);
    finish(&first);
    finish(&elsewhere);
    finish(&large);
    ig_batcher_free(batcher);
}

/* Who has to be answered earlier than the leader does not wait for it. */
static void test_earlier_deadline_does_not_join(void **state)
{
    (void)state;
    struct ig_batcher *batcher = open_batcher(6, 0);
    uint64_t now_ns = ig_clock_ns();
    struct caller first, earlier, later;
    start_until(&first, batcher, now_ns + 20000000000);
    assert_true(comes_back(&first));
    start_until(&earlier, batcher, now_ns + 10000000000);
    assert_true(comes_back(&earlier));
    assert_int_equal(earlier.role, IG_BATCH_LEADS);
    start_until(&later, batcher, now_ns + 30000000000);
    assert_false(comes_back(&later));
    ig_batch_fail(first.batch);
    ig_batch_fail(earlier.batch);
    ig_thread_join(later.thread);
    ig_arena_deinit(&later.arena);
    finish(&first);
    finish(&earlier);
    ig_batcher_free(batcher);
}

static void test_full_ones_go_alone(void **state)
{
    (void)state;
    struct ig_batcher *batcher = open_batcher(3, 0);
    struct caller caller;
    start(&caller, batcher, &one, 3, 1);
    finish(&caller);
    assert_int_equal(caller.role, IG_BATCH_ALONE);
    ig_batcher_free(batcher);
}

static void test_linger(void **state)
{
    (void)state;
    struct ig_batcher *batcher = open_batcher(2, 20000000000);
    struct caller leader, joins;
    struct ig_inference_request all;
    struct ig_inference_result result;
    start(&leader, batcher, &one, 1, 1);
    assert_true(comes_back(&leader));
    start(&joins, batcher, &one, 1, 5);
    uint64_t started_ns = ig_clock_ns();
    assert_true(ig_batch_close(&all, leader.batch, &leader.arena)); /* until it is full */
    assert_true(ig_clock_ns() - started_ns < 10000000000);
    assert_int_equal(all.rows_count, 2);
    compute(&result, &all, &leader.arena);
    ig_batch_end(&leader.result, leader.batch, &result);
    ig_thread_join(joins.thread);
    assert_own(&joins);
    ig_arena_deinit(&joins.arena);
    finish(&leader);
    ig_batcher_free(batcher);
}

static void *close_it(void *context)
{
    struct caller *leader = context;
    struct ig_inference_request all;
    ig_batch_close(&all, leader->batch, &leader->arena);
    return NULL;
}

/* A request that does not fit closes the batch: its leader waits no longer for others. */
static void test_closed_one_does_not_linger(void **state)
{
    (void)state;
    struct ig_batcher *batcher = open_batcher(3, 20000000000);
    struct ig_err err = IG_ERR_INIT;
    struct caller leader, next;
    uint64_t thread, started_ns = ig_clock_ns();
    start(&leader, batcher, &one, 2, 1);
    assert_true(comes_back(&leader));
    assert_int_equal(ig_thread_start(&thread, "closes", close_it, &leader, &err), IG_OK);
    usleep(20000);
    start(&next, batcher, &one, 2, 5);
    assert_true(comes_back(&next));
    assert_int_equal(next.role, IG_BATCH_LEADS);
    ig_thread_join(thread);
    assert_true(ig_clock_ns() - started_ns < 10000000000);
    ig_batch_fail(leader.batch);
    ig_batch_fail(next.batch);
    finish(&leader);
    finish(&next);
    ig_batcher_free(batcher);
}

static void test_linger_leaves_time_to_answer(void **state)
{
    (void)state;
    struct ig_batcher *batcher = open_batcher(2, 20000000000);
    const double row[FEATURES] = {1, 2};
    uint64_t started_ns = ig_clock_ns();
    const struct ig_inference_request own = {
        .rows = row, .rows_count = 1, .deadline_ns = started_ns + 1000000000};
    struct ig_inference_request all;
    struct ig_inference_result result;
    struct ig_batch *batch;
    struct ig_arena arena;
    ig_arena_init(&arena, 4096, 1 << 20);
    assert_int_equal(ig_batcher_enter(&batch, &result, batcher, &one, &own, &arena),
                     IG_BATCH_LEADS);
    assert_true(ig_batch_close(&all, batch, &arena));
    uint64_t took_ns = ig_clock_ns() - started_ns;
    assert_true(took_ns > 200000000 && took_ns < 10000000000);
    ig_batch_fail(batch);
    ig_arena_deinit(&arena);
    ig_batcher_free(batcher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_gets_its_own),
        cmocka_unit_test(test_earlier_deadline_does_not_join),
        cmocka_unit_test(test_full_ones_go_alone),
        cmocka_unit_test(test_linger),
        cmocka_unit_test(test_closed_one_does_not_linger),
        cmocka_unit_test(test_linger_leaves_time_to_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
