/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/thread.h"
#include "services/tracking/metric_journal.h"
#include "stores/db_testing.h"
#include "stores/statement_testing.h"
#include "stores/temp_testing.h"

#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

enum { RUNS = 3 };

struct world {
    struct ig_temp temp;
    struct ig_db *db;
    struct ig_tracking *tracking;
    struct ig_arena arena;
    struct ig_str runs[RUNS];
};

static void open_world(struct world *world)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_db_options db = ig_db_testing_options(world->temp.fd);
    ASSERT_OK(ig_db_open(&world->db, &db, &err));
    ASSERT_OK(ig_tracking_open(&world->tracking, world->db, &err));
}

static void close_world(struct world *world)
{
    ig_tracking_close(world->tracking);
    ig_db_close(world->db);
}

static int setup(void **state)
{
    static struct world world;
    struct ig_err err = IG_ERR_INIT;
    struct ig_tracking_run run;
    const struct ig_tracking_run_spec spec = {.experiment = 0, .start_ms = 5};
    world.temp = ig_temp_make();
    open_world(&world);
    ig_arena_init(&world.arena, 64 << 10, 64 << 20);
    for (int i = 0; i < RUNS; i++) {
        ASSERT_OK(ig_tracking_run_create(&run, world.tracking, &spec, &world.arena, &err));
        world.runs[i] = run.id;
    }
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    close_world(world);
    ig_arena_deinit(&world->arena);
    ig_temp_remove(&world->temp);
    return 0;
}

static int64_t journal_rows(struct world *world)
{
    return ig_statement_number(world->db, "select count(*) from metric_journal");
}

static void log_batch(struct world *world, int run, struct ig_tracking_batch batch)
{
    struct ig_err err = IG_ERR_INIT;
    ASSERT_OK(ig_tracking_log(world->tracking, world->runs[run], &batch, &err));
}

static void log_one(struct world *world, int run, const char *key, double value, int64_t step)
{
    const struct ig_tracking_metric metric = {
        .key = ig_str_view(key), .value = value, .at_ms = 1000, .step = step};
    log_batch(world, run, (struct ig_tracking_batch){.metrics = {&metric, 1}});
}

static struct ig_tracking_points history(struct world *world, int run, const char *key)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_tracking_history page;
    const struct ig_tracking_history_query query = {
        .run = world->runs[run], .key = ig_str_view(key), .token = IG_STR(""), .max = 25000};
    ASSERT_OK(ig_tracking_history(&page, world->tracking, &query, &world->arena, &err));
    return page.points;
}

static struct ig_tracking_metrics latest(struct world *world, int run)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_tracking_run found;
    ASSERT_OK(ig_tracking_run_get(&found, world->tracking, world->runs[run], &world->arena, &err));
    return found.metrics;
}

static void test_metrics_wait_until_they_are_read(void **state)
{
    struct world *world = *state;
    const struct ig_tracking_pair param = {IG_STR("p"), IG_STR("v")};
    const struct ig_tracking_metric metric = {.key = IG_STR("m"), .value = 9, .step = 9};
    log_one(world, 0, "m", 1.5, 1);
    log_one(world, 1, "m", NAN, 1);
    log_one(world, 0, "m", 2.5, 2);
    assert_int_equal(journal_rows(world), 3);
    assert_int_equal(ig_statement_number(world->db, "select count(*) from metrics"), 0);
    close_world(world);
    open_world(world);
    assert_int_equal(journal_rows(world), 3);
    assert_int_equal(latest(world, 0).count, 1);
    assert_int_equal(journal_rows(world), 0); /* of all runs */
    assert_true(latest(world, 0).items[0].value == 2.5);
    assert_true(isnan(latest(world, 1).items[0].value));
    assert_int_equal(history(world, 0, "m").count, 2);
    /* With other things they are there at once. */
    log_batch(world, 0, (struct ig_tracking_batch){.metrics = {&metric, 1}, .params = {&param, 1}});
    assert_int_equal(journal_rows(world), 0);
    assert_true(latest(world, 0).items[0].value == 9);
}

enum { KEYS = 6, STEPS = 40 };

/* What was logged of a run: which (key, step) with which value. */
struct expected {
    bool there[RUNS][KEYS][STEPS];
};

static const char *const NAMES[KEYS] = {"b", "a", "a/deep", "loss", "zz", "\303\251t\303\251"};

static double value_of(int run, int key, int step)
{
    return step % 11 == 3 ? INFINITY : run * 1000 + key * 100 + step / 3.0;
}

static void check_all(struct world *world, const struct expected *expected)
{
    for (int run = 0; run < RUNS; run++) {
        struct ig_tracking_metrics metrics = latest(world, run);
        size_t keys = 0;
        for (int key = 0; key < KEYS; key++) {
            struct ig_tracking_points points = history(world, run, NAMES[key]);
            size_t count = 0;
            for (int step = 0; step < STEPS; step++) {
                if (!expected->there[run][key][step]) continue;
                assert_true(count < points.count);
                assert_int_equal(points.items[count].step, step);
                assert_true(points.items[count++].value == value_of(run, key, step));
            }
            assert_int_equal(points.count, count);
            keys += count > 0;
            for (size_t i = 0; count && i < metrics.count; i++)
                if (ig_str_is(metrics.items[i].key, NAMES[key]))
                    assert_int_equal(metrics.items[i].step, points.items[count - 1].step);
        }
        assert_int_equal(metrics.count, keys);
    }
    ig_arena_reset(&world->arena);
}

/* Whatever runs, keys and order they come in, and whenever they are read. */
static void test_random_logging(void **state)
{
    static struct expected expected;
    struct world world = *(struct world *)*state;
    char ids[RUNS][64];
    uint64_t draw = 5;
    for (int i = 0; i < RUNS; i++) { /* the arena is emptied now and then */
        assert_true(world.runs[i].len <= sizeof ids[i]);
        memcpy(ids[i], world.runs[i].ptr, world.runs[i].len);
        world.runs[i].ptr = ids[i];
    }
    for (int round = 0; round < 120; round++) {
        struct ig_tracking_metric metrics[30];
        int run = round * 7 % RUNS;
        size_t count = 1 + (size_t)round % (sizeof metrics / sizeof *metrics);
        for (size_t i = 0; i < count; i++) {
            draw = draw * 6364136223846793005u + 1442695040888963407u;
            int key = (int)(draw >> 33) % KEYS, step = (int)(draw >> 40) % STEPS;
            expected.there[run][key][step] = true;
            metrics[i] = (struct ig_tracking_metric){.key = ig_str_view(NAMES[key]),
                                                     .value = value_of(run, key, step),
                                                     .at_ms = step,
                                                     .step = step};
        }
        log_batch(&world, run, (struct ig_tracking_batch){.metrics = {metrics, count}});
        if (round % 17 == 0) check_all(&world, &expected);
    }
    check_all(&world, &expected);
}

/* Nobody reads, and the journal does not grow without end. */
static void test_journal_is_bounded(void **state)
{
    static struct ig_tracking_metric metrics[IG_TRACKING_METRICS_MAX];
    enum { BATCHES = 2 * IG_METRIC_JOURNAL_MAX / IG_TRACKING_METRICS_MAX + 2 };
    static char names[IG_TRACKING_METRICS_MAX][16];
    struct world *world = *state;
    for (int at = 0; at < BATCHES; at++) {
        for (int i = 0; i < IG_TRACKING_METRICS_MAX; i++) {
            snprintf(names[i], sizeof names[i], "k%d", i % 100);
            metrics[i] = (struct ig_tracking_metric){
                .key = ig_str_view(names[i]), .value = i, .step = at * IG_TRACKING_METRICS_MAX + i};
        }
        log_batch(world, 0,
                  (struct ig_tracking_batch){.metrics = {metrics, IG_TRACKING_METRICS_MAX}});
        assert_true(journal_rows(world) * IG_TRACKING_METRICS_MAX <
                    IG_METRIC_JOURNAL_MAX + IG_TRACKING_METRICS_MAX);
    }
    assert_int_equal(ig_statement_number(world->db, "select count(*) from latest_metrics"), 100);
    assert_int_equal(history(world, 0, "k7").count, BATCHES * IG_TRACKING_METRICS_MAX / 100);
}

static void test_runs_that_are_gone(void **state)
{
    struct world *world = *state;
    log_one(world, 1, "m", 1, 1);
    log_one(world, 2, "m", 2, 1);
    ig_statement_write(world->db, "delete from run_tags");
    ig_statement_write(world->db,
                       "delete from runs where id in (select min(run) from metric_journal)");
    struct ig_err err = IG_ERR_INIT;
    ASSERT_OK(ig_tracking_settle(world->db, &err));
    assert_int_equal(journal_rows(world), 0);
    assert_int_equal(ig_statement_number(world->db, "select count(*) from metrics"), 1);
    assert_int_equal(ig_statement_number(world->db, "select count(*) from latest_metrics"), 1);
}

static void test_damaged_row(void **state)
{
    struct world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    log_one(world, 0, "m", 1, 1);
    ig_statement_write(world->db, ig_db_testing_is_sqlite()
                                      ? "update metric_journal set points = x'050061'"
                                      : "update metric_journal set points = '\\x050061'");
    ASSERT_FAILS(ig_tracking_settle(world->db, &err), IG_CORRUPT, "ends too early");
    assert_int_equal(journal_rows(world), 1); /* and nothing is thrown away */
}

/* Whichever call to the store fails: all of it is settled, or nothing, and a reader is told. */
static void test_failing_anywhere(void **state)
{
    enum { EACH = 6 };
    struct world *world = *state;
    struct ig_tracking_run run;
    bool failed = true;
    int64_t failures = 0;
    for (uint64_t at = 1; failed; at++, failures += failed) {
        struct ig_err err = IG_ERR_INIT;
        for (int i = 0; i < EACH; i++) log_one(world, i % 2, i % 3 ? "m" : "n", i, (int64_t)at);
        ig_db_fail_after(at);
        enum ig_code code =
            ig_tracking_run_get(&run, world->tracking, world->runs[0], &world->arena, &err);
        failed = ig_db_failed();
        ig_db_fail_after(0);
        assert_int_equal(code, failed ? IG_IO : IG_OK);
        int64_t left = journal_rows(world);
        assert_true(left == 0 || (failed && left == EACH));
        for (int i = 0; i < 2; i++)
            assert_int_equal(history(world, i, "m").count + history(world, i, "n").count,
                             EACH / 2 * at);
    }
    assert_in_range(failures, 15, 1000);
}

struct user {
    struct world *world;
    int run;
    bool seen; /* all that it logged, each time it looked */
};

static void *log_and_look(void *context)
{
    struct user *user = context;
    struct ig_arena arena;
    user->seen = true;
    ig_arena_init(&arena, 64 << 10, 16 << 20);
    for (int i = 0; i < 20; i++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_tracking_history page;
        const struct ig_tracking_metric metric = {.key = IG_STR("c"), .value = i, .step = i};
        const struct ig_tracking_batch batch = {.metrics = {&metric, 1}};
        const struct ig_tracking_history_query query = {.run = user->world->runs[user->run],
                                                        .key = IG_STR("c"),
                                                        .token = IG_STR(""),
                                                        .max = 1000};
        user->seen =
            user->seen &&
            ig_tracking_log(user->world->tracking, query.run, &batch, &err) == IG_OK &&
            ig_tracking_history(&page, user->world->tracking, &query, &arena, &err) == IG_OK &&
            page.points.count == (size_t)i + 1;
        ig_arena_reset(&arena);
    }
    ig_arena_deinit(&arena);
    return NULL;
}

static void test_everybody_sees_their_own(void **state)
{
    struct ig_err err = IG_ERR_INIT;
    struct user users[RUNS];
    uint64_t threads[RUNS];
    for (int i = 0; i < RUNS; i++) {
        users[i] = (struct user){.world = *state, .run = i};
        ASSERT_OK(ig_thread_start(&threads[i], "user", log_and_look, &users[i], &err));
    }
    for (int i = 0; i < RUNS; i++) ig_thread_join(threads[i]);
    for (int i = 0; i < RUNS; i++) assert_true(users[i].seen);
}

/* A disk that takes no more, by a limit on the size of files. */
static void test_read_of_a_full_disk(void **state)
{
    struct world *world = *state;
    struct rlimit kept, none;
    log_one(world, 0, "m", 1.5, 1);
    log_one(world, 0, "m", 2.5, 2);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &kept), 0);
    none = (struct rlimit){.rlim_cur = 1, .rlim_max = kept.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    size_t points = history(world, 0, "m").count;
    struct ig_tracking_metrics metrics = latest(world, 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &kept), 0);
    assert_int_equal(points, 2);
    assert_int_equal(metrics.count, 1);
    assert_true(metrics.items[0].value == 2.5);
    if (ig_db_testing_is_sqlite()) assert_int_equal(journal_rows(world), 2);
    assert_int_equal(history(world, 0, "m").count, 2);
    assert_int_equal(journal_rows(world), 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_metrics_wait_until_they_are_read),
        CASE(test_random_logging),
        CASE(test_journal_is_bounded),
        CASE(test_runs_that_are_gone),
        CASE(test_damaged_row),
        CASE(test_failing_anywhere),
        CASE(test_read_of_a_full_disk),
        CASE(test_everybody_sees_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
