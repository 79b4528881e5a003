/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/tracking/metric_points.h"
#include "stores/db_testing.h"
#include "stores/statement_testing.h"
#include "stores/temp_testing.h"

#include <float.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

struct world {
    struct ig_temp temp;
    struct ig_db *db;
    struct ig_tracking *tracking;
    struct ig_arena arena;
    struct ig_str run;
};

static int setup(void **state)
{
    static struct world world;
    struct ig_err err = IG_ERR_INIT;
    struct ig_tracking_run run;
    const struct ig_tracking_run_spec spec = {.experiment = 0, .start_ms = 5};
    world.temp = ig_temp_make();
    struct ig_db_options db = ig_db_testing_options(world.temp.fd);
    ASSERT_OK(ig_db_open(&world.db, &db, &err));
    ASSERT_OK(ig_tracking_open(&world.tracking, world.db, &err));
    ig_arena_init(&world.arena, 64 << 10, 64 << 20);
    ASSERT_OK(ig_tracking_run_create(&run, world.tracking, &spec, &world.arena, &err));
    world.run = run.id;
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    ig_tracking_close(world->tracking);
    ig_db_close(world->db);
    ig_arena_deinit(&world->arena);
    ig_temp_remove(&world->temp);
    return 0;
}

static void log_points(struct world *world, const char *key, const struct ig_tracking_point *points,
                       size_t count)
{
    static struct ig_tracking_metric metrics[IG_TRACKING_METRICS_MAX];
    struct ig_err err = IG_ERR_INIT;
    for (size_t i = 0; i < count; i++)
        metrics[i] = (struct ig_tracking_metric){.key = ig_str_view(key),
                                                 .value = points[i].value,
                                                 .at_ms = points[i].at_ms,
                                                 .step = points[i].step};
    const struct ig_tracking_batch batch = {.metrics = {metrics, count}};
    ASSERT_OK(ig_tracking_log(world->tracking, world->run, &batch, &err));
}

static bool same(const struct ig_tracking_point *a, const struct ig_tracking_point *b)
{
    return a->at_ms == b->at_ms && a->step == b->step &&
           (a->value == b->value || (isnan(a->value) && isnan(b->value)));
}

/* All pages of a history, one behind the other. */
static size_t read_all(struct world *world, const char *key, size_t max,
                       struct ig_tracking_point *out)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_tracking_history page;
    struct ig_tracking_history_query query = {
        .run = world->run, .key = ig_str_view(key), .token = IG_STR(""), .max = max};
    size_t count = 0;
    do {
        ASSERT_OK(ig_tracking_history(&page, world->tracking, &query, &world->arena, &err));
        assert_true(page.points.count == max || !page.next.len);
        memcpy(out + count, page.points.items, page.points.count * sizeof *out);
        count += page.points.count;
        query.token = page.next;
    } while (page.next.len);
    return count;
}

enum { ALL_MAX = 8000 };

/* Whatever the batches, the times that overlap and the values that repeat: each once, in order. */
static void test_random_batches(void **state)
{
    static const double values[] = {0,         1.5,     -2,       NAN,   INFINITY,
                                    -INFINITY, DBL_MAX, -DBL_MAX, 1e-310};
    static struct ig_tracking_point wanted[ALL_MAX], got[ALL_MAX], batch[IG_TRACKING_METRICS_MAX];
    static const size_t sizes[] = {1, 63, 64, 65, 200, 1000, 7, 300, 1000, 64};
    static const size_t pages[] = {1, 3, 64, 500, 25000};
    struct world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    uint64_t draw = 9;
    size_t count = 0;
    for (size_t round = 0; round < sizeof sizes / sizeof *sizes; round++) {
        for (size_t i = 0; i < sizes[round]; i++) {
            draw = draw * 6364136223846793005u + 1442695040888963407u;
            uint64_t bits = draw >> 20;
            batch[i] = (struct ig_tracking_point){.at_ms = (int64_t)(bits % 11 + round * 4),
                                                  .step = (int64_t)(bits / 11 % 9) - 4,
                                                  .value = values[bits / 99 % 9]};
            size_t at = 0;
            while (at < count && !same(&wanted[at], &batch[i])) at++;
            if (at == count) wanted[count++] = batch[i];
        }
        log_points(world, "r", batch, sizes[round]);
        if (round % 3) ASSERT_OK(ig_tracking_settle(world->db, &err));
    }
    assert_true(ig_statement_number(world->db, "select count(*) from metric_chunks") > 0);
    for (size_t p = 0; p < sizeof pages / sizeof *pages; p++) {
        assert_int_equal(read_all(world, "r", pages[p], got), count);
        for (size_t i = 0; i < count; i++) {
            size_t at = 0;
            while (at < count && !same(&wanted[at], &got[i])) at++;
            assert_true(at < count);
            assert_true(i == 0 || ig_metric_by_time(&got[i - 1], &got[i]) < 0);
        }
    }
}

enum { SINGLE = 3 * IG_METRIC_PIECES_MAX };

/* One at a time, and sometimes a few at once. */
static enum ig_code put_pieces(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct ig_tracking_metric metrics[10];
    size_t count;
    for (int i = 0; i < SINGLE && err->code == IG_OK; i += (int)count) {
        for (count = 0; count < (i % 7 ? 1u : 10u) && i + (int)count < SINGLE; count++)
            metrics[count] = (struct ig_tracking_metric){.key = IG_STR("s"),
                                                         .value = (i + (int)count) / 3.0,
                                                         .at_ms = 1000 + i + (int)count,
                                                         .step = i + (int)count};
        ig_tracking_metrics_put(tx, *(struct ig_str *)context, 0,
                                (struct ig_tracking_metrics){metrics, count}, err);
    }
    return err->code;
}

/* What comes by itself is packed now and then, and nothing is lost or doubled by it. */
static void test_pieces_become_chunks(void **state)
{
    static struct ig_tracking_point got[SINGLE + 1];
    struct world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    ASSERT_OK(ig_db_write(world->db, put_pieces, &world->run, &err));
    int64_t large =
        ig_statement_number(world->db, "select cast(sum(points_count) as bigint) from metric_chunks"
                                       " where points_count >= 512");
    int64_t small =
        ig_statement_number(world->db, "select count(*) from metrics") +
        ig_statement_number(world->db, "select cast(coalesce(sum(points_count), 0) as bigint)"
                                       " from metric_chunks where points_count < 512");
    assert_int_equal(large + small, SINGLE);
    assert_in_range(small, 0, 2 * IG_METRIC_PIECES_MAX);
    assert_int_equal(read_all(world, "s", 25000, got), SINGLE);
    for (int i = 0; i < SINGLE; i++)
        assert_true(got[i].step == i && got[i].at_ms == 1000 + i && got[i].value == i / 3.0);
}

static enum ig_code damage(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    (void)context;
    return ig_db_exec(tx, "update metric_chunks set points = $1",
                      IG_DB_VALUES(IG_DB_B(IG_STR("short"))), err);
}

static void test_damaged_chunk(void **state)
{
    static struct ig_tracking_point points[IG_METRIC_CHUNK_MIN];
    struct world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_tracking_history page;
    const struct ig_tracking_history_query query = {
        .run = world->run, .key = IG_STR("d"), .token = IG_STR(""), .max = 10};
    for (int i = 0; i < IG_METRIC_CHUNK_MIN; i++) points[i].at_ms = i;
    log_points(world, "d", points, IG_METRIC_CHUNK_MIN);
    ASSERT_OK(ig_tracking_settle(world->db, &err));
    ASSERT_OK(ig_db_write(world->db, damage, NULL, &err));
    ASSERT_FAILS(ig_tracking_history(&page, world->tracking, &query, &world->arena, &err),
                 IG_CORRUPT, "has 5 bytes");
}

struct waiting {
    struct ig_tracking_logging logging; /* first */
    struct ig_err err;
    pthread_mutex_t lock;
    pthread_cond_t told;
    int code; /* -1: not yet */
};

static void tell(struct ig_tracking_logging *logging, enum ig_code code)
{
    struct waiting *waiting = (struct waiting *)logging;
    pthread_mutex_lock(&waiting->lock);
    waiting->code = (int)code;
    pthread_cond_signal(&waiting->told);
    pthread_mutex_unlock(&waiting->lock);
}

static int log_later(struct waiting *waiting)
{
    waiting->code = -1;
    ig_err_clear(&waiting->err);
    if (ig_tracking_log_later(&waiting->logging) != IG_OK) return (int)waiting->err.code;
    pthread_mutex_lock(&waiting->lock);
    while (waiting->code < 0) pthread_cond_wait(&waiting->told, &waiting->lock);
    pthread_mutex_unlock(&waiting->lock);
    return waiting->code;
}

static void test_logging_without_waiting(void **state)
{
    static struct ig_tracking_point got[4];
    struct world *world = *state;
    const struct ig_tracking_metric metric = {
        .key = IG_STR("later"), .value = 7, .at_ms = 3, .step = 1};
    const struct ig_tracking_metric early = {.key = IG_STR("later"), .at_ms = -1};
    struct waiting waiting = {.lock = PTHREAD_MUTEX_INITIALIZER, .told = PTHREAD_COND_INITIALIZER};
    waiting.logging = (struct ig_tracking_logging){.tracking = world->tracking,
                                                   .id = world->run,
                                                   .batch = {.metrics = {&metric, 1}},
                                                   .err = &waiting.err,
                                                   .done = tell};
    assert_int_equal(log_later(&waiting), IG_OK);
    assert_int_equal(read_all(world, "later", 10, got), 1);
    assert_true(got[0].value == 7);
    waiting.logging.batch.metrics.items = &early; /* refused before it is queued */
    assert_int_equal(log_later(&waiting), IG_INVALID);
    waiting.logging.batch.metrics.items = &metric;
    waiting.logging.id = IG_STR("nope");
    assert_int_equal(log_later(&waiting), IG_NOT_FOUND);
    assert_non_null(strstr(waiting.err.message, "nope"));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_random_batches),
        CASE(test_pieces_become_chunks),
        CASE(test_damaged_chunk),
        CASE(test_logging_without_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
