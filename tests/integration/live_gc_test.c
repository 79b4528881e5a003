/* SPDX-License-Identifier: Apache-2.0 */
/* Garbage collection of the real program: through the server and on its directory, its refusals,
 * and kill -9 in the middle, after which the next collection ends the work and what lives is whole.
 * The seed is printed and can be given as INGOT_SEED. */
#include "support/live.h"

#include "base/clock.h"
#include "base/random.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define API "/api/2.0/mlflow/"
enum { BATCHES = 4, METRICS = 1000, ROUNDS = 5 };

static struct live live;
static struct ig_rng rng;

static int setup(void **state)
{
    (void)state;
    const char *seed = getenv("INGOT_SEED");
    uint64_t number = seed ? strtoull(seed, NULL, 10) : ig_clock_ns();
    print_message("INGOT_SEED=%llu\n", (unsigned long long)number);
    ig_rng_seed(&rng, number);
    live_make(&live);
    live_start(&live, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_remove(&live);
    return 0;
}

/* A run with a long history and a file. */
static void make_run(char id[40], const char *experiment)
{
    static char body[METRICS * 64];
    char path[128];
    snprintf(body, sizeof body, "{\"experiment_id\":\"%s\"}", experiment);
    EXPECT(200, "POST", API "runs/create", body);
    snprintf(id, 40, "%s", live_text(&live, "run.info.run_id"));
    for (int batch = 0; batch < BATCHES; batch++) {
        int at = snprintf(body, sizeof body, "{\"run_id\":\"%s\",\"metrics\":[", id);
        for (int i = 0; i < METRICS; i++)
            at += snprintf(body + at, sizeof body - (size_t)at,
                           "%s{\"key\":\"m\",\"value\":%d,\"timestamp\":1,\"step\":%d}",
                           i ? "," : "", i, batch * METRICS + i);
        snprintf(body + at, sizeof body - (size_t)at, "]}");
        EXPECT(200, "POST", API "runs/log-batch", body);
    }
    snprintf(path, sizeof path, "/api/2.0/mlflow-artifacts/artifacts/%s/%s/artifacts/a.txt",
             experiment, id);
    EXPECT(200, "PUT", path, id);
}

static void delete_run(const char *id)
{
    char body[80];
    snprintf(body, sizeof body, "{\"run_id\":\"%s\"}", id);
    EXPECT(200, "POST", API "runs/delete", body);
}

static void assert_whole(const char *id)
{
    char path[160];
    snprintf(path, sizeof path, API "metrics/get-history?run_id=%s&metric_key=m&max_results=25000",
             id);
    EXPECT(200, "GET", path, NULL);
    size_t count = 0;
    for (const char *at = live_body(&live); (at = strstr(at, "\"step\"")); at++) count++;
    assert_int_equal(count, BATCHES * METRICS);
    snprintf(path, sizeof path, "/get-artifact?run_id=%s&path=a.txt", id);
    EXPECT(200, "GET", path, NULL);
    assert_string_equal(live_body(&live), id);
}

static bool is_there(const char *id)
{
    char path[96];
    snprintf(path, sizeof path, API "runs/get?run_id=%s", id);
    int status = live_call(&live, "GET", path, NULL);
    assert_true(status == 200 || status == 404);
    return status == 200;
}

/* Counts the objects; with `old` each as if it had come long ago. */
static int visit_objects(bool old)
{
    const struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    int count = 0;
    for (int i = 0; i < 256; i++) {
        char path[160];
        snprintf(path, sizeof path, "%s/data/blobs/%02x", live.dir, i);
        DIR *dir = opendir(path);
        if (!dir) continue;
        for (struct dirent *entry; (entry = readdir(dir));) {
            if (entry->d_name[0] == '.') continue;
            if (old) assert_int_equal(utimensat(dirfd(dir), entry->d_name, times, 0), 0);
            count++;
        }
        closedir(dir);
    }
    return count;
}

static void test_both_ways(void **state)
{
    (void)state;
    static struct live_run run;
    char alive[40], dead[40], other[40], ids[96];
    make_run(alive, "0");
    make_run(dead, "0");
    make_run(other, "0");
    delete_run(dead);
    delete_run(other);
    visit_objects(true);
    live_run(&run, &live, (const char *const[]){"gc", "--run-ids", alive, NULL});
    assert_int_equal(run.code, 1);
    assert_non_null(strstr(run.err, "is not in the 'deleted' lifecycle stage"));
    live_run(&run, &live, (const char *const[]){"gc", "--older-than", "7x", NULL});
    assert_int_equal(run.code, 2);
    assert_non_null(strstr(run.err, "--older-than: '7x' is not a time as 7d"));
    live_run(&run, &live, (const char *const[]){"gc", "--unused-older-than", "5m", NULL});
    assert_int_equal(run.code, 2);
    live_run(&run, &live, (const char *const[]){"gc", "--dry-run", "--format", "json", NULL});
    assert_int_equal(run.code, 0);
    assert_non_null(strstr(run.out, "\"runs\": 2, "));
    assert_non_null(strstr(run.out, "\"metrics\": 8000, "));
    assert_true(is_there(dead));
    live_run(&run, &live, (const char *const[]){"gc", "--older-than", "1h", NULL});
    assert_true(is_there(dead));
    snprintf(ids, sizeof ids, "%s, ", dead);
    live_run(&run, &live, (const char *const[]){"gc", "--run-ids", ids, "--format", "json", NULL});
    assert_non_null(strstr(run.out, "\"runs\": 1, "));
    assert_non_null(strstr(run.out, "\"objects\": 1, "));
    assert_false(is_there(dead));
    live_stop(&live, SIGTERM);
    live_run(&run, &live, (const char *const[]){"gc", "--data", live_path(&live, "data"), NULL});
    assert_int_equal(run.code, 0);
    assert_non_null(strstr(run.out, "removed\n         1  runs\n"));
    assert_int_equal(visit_objects(false), 1);
    live_start(&live, NULL);
    assert_false(is_there(other));
    assert_whole(alive);
    live_run(&run, &live, (const char *const[]){"gc", "--data", live_path(&live, "data"), NULL});
    assert_int_equal(run.code, 1);
    assert_non_null(strstr(run.err, "leave --data out"));
}

static void test_refusals(void **state)
{
    (void)state;
    EXPECT(400, "POST", "/api/v1/gc", "{\"older_than_s\":-1}");
    assert_string_equal(live_text(&live, "error.field"), "older_than_s");
    EXPECT(400, "POST", "/api/v1/gc", "{\"unused_older_than_s\":599}");
    EXPECT(400, "POST", "/api/v1/gc", "{\"next\":257}");
    EXPECT(400, "POST", "/api/v1/gc", "{\"run_ids\":[1]}");
    EXPECT(400, "POST", "/api/v1/gc", "{\"experiment_ids\":[\"x\"]}");
    EXPECT(404, "POST", "/api/v1/gc", "{\"experiment_ids\":[\"99\"]}");
    EXPECT(200, "POST", "/api/v1/gc", NULL);
    assert_string_equal(live_text(&live, "done"), "true");
}

static void test_kill(void **state)
{
    (void)state;
    char alive[40], dead[ROUNDS][40];
    make_run(alive, "0");
    for (int round = 0; round < ROUNDS; round++) {
        make_run(dead[round], "0");
        delete_run(dead[round]);
        visit_objects(true);
        pid_t target = live.pid, killer = fork();
        assert_true(killer >= 0);
        if (killer == 0) {
            nanosleep(&(struct timespec){0, (long)ig_rng_below(&rng, 60) * 1000000}, NULL);
            kill(target, SIGKILL);
            _exit(0);
        }
        live_try(&live, "POST", "/api/v1/gc", "{}");
        waitpid(killer, NULL, 0);
        live_stop(&live, SIGKILL);
        live_start(&live, NULL);
        ig_rng_u64(&rng); /* the child drew from a copy */
        assert_whole(alive);
    }
    EXPECT(200, "POST", "/api/v1/gc", "{}");
    for (int round = 0; round < ROUNDS; round++) assert_false(is_there(dead[round]));
    assert_whole(alive);
    EXPECT(200, "POST", "/api/v1/gc", "{}");
    assert_int_equal(live_number(&live, "metrics"), 0);
    assert_int_equal(live_number(&live, "objects"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_both_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kill, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
