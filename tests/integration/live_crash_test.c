/* SPDX-License-Identifier: Apache-2.0 */
/* kill -9 while training, registering and deploying, at moments spread by chance: whatever was
 * acknowledged is there afterwards, and the last acknowledged deployment answers. The seed is
 * printed and can be given as INGOT_SEED; INGOT_LONG=1 runs more rounds. */
#include "support/live.h"

#include "base/clock.h"
#include "base/random.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { KILL_AFTER_MAX_MS = 120, TRIES_MAX = 200 };

static struct live live;
static struct ig_rng rng;
static int rounds = 6;
static char digest[128];

/* What the server has acknowledged. */
static struct {
    int versions;                    /* of "m" */
    int alias;                       /* version of "live", 0: none */
    int deployed;                    /* version of "d", 0: none */
    int maybe_alias, maybe_deployed; /* asked for without an answer: either may hold */
    bool unanswered_version;
} known;

static int setup(void **state)
{
    (void)state;
    const char *seed = getenv("INGOT_SEED"), *long_run = getenv("INGOT_LONG");
    uint64_t number = seed ? strtoull(seed, NULL, 10) : ig_clock_ns();
    if (long_run && strcmp(long_run, "1") == 0) rounds = 60;
    print_message("INGOT_SEED=%llu\n", (unsigned long long)number);
    ig_rng_seed(&rng, number);
    live_make(&live);
    live_write_table(&live, "table.csv", 200);
    live_start(&live, NULL);
    char id[64];
    snprintf(id, sizeof id, "%s", live_submit(&live, "seed", "table.csv", 3));
    assert_string_equal(live_wait_job(&live, id), "succeeded");
    assert_int_equal(live_call(&live, "GET", "/api/v1/models/seed/versions/1", NULL), 200);
    snprintf(digest, sizeof digest, "%s", live_text(&live, "digest"));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_remove(&live);
    return 0;
}

/* Kills the server after a while, from a process of its own. */
static pid_t kill_later(void)
{
    uint64_t wait_us = ig_rng_below(&rng, KILL_AFTER_MAX_MS * 1000u);
    pid_t target = live.pid, killer = fork();
    assert_true(killer >= 0);
    if (killer == 0) {
        nanosleep(&(struct timespec){0, (long)wait_us * 1000}, NULL);
        kill(target, SIGKILL);
        _exit(0);
    }
    return killer;
}

static bool register_version(void)
{
    char body[160];
    snprintf(body, sizeof body, "{\"digest\":\"%s\"}", digest);
    known.unanswered_version = true;
    if (live_try(&live, "POST", "/api/v1/models/m/versions", body) != 201) return false;
    known.versions = (int)live_number(&live, "version");
    known.unanswered_version = false;
    return true;
}

static bool set_alias(void)
{
    char body[64];
    int version = 1 + (int)ig_rng_below(&rng, (uint64_t)known.versions);
    snprintf(body, sizeof body, "{\"version\":%d}", version);
    known.maybe_alias = version;
    if (live_try(&live, "PUT", "/api/v1/models/m/aliases/live", body) != 200) return false;
    known.alias = version;
    return true;
}

static bool deploy(void)
{
    char body[64];
    int version = 1 + (int)ig_rng_below(&rng, (uint64_t)known.versions);
    snprintf(body, sizeof body, "{\"model\":\"m\",\"version\":%d}", version);
    known.maybe_deployed = version;
    if (live_try(&live, "PUT", "/api/v1/deployments/d", body) != 200) return false;
    known.deployed = version;
    return true;
}

static void work_until_killed(void)
{
    for (int i = 0; i < TRIES_MAX; i++) {
        if (!register_version()) return;
        if (!set_alias() || !deploy()) return;
    }
}

static int served_version(void)
{
    int status = live_call(&live, "POST", "/predict-with-explanation",
                           "{\"model\":\"d\",\"features\":{\"x0\":0.5,\"colour\":\"red\"}}");
    return status == 200 ? (int)live_number(&live, "model.version") : 0;
}

static void check_all_is_there(void)
{
    char path[96];
    for (int version = 1; version <= known.versions; version++) {
        snprintf(path, sizeof path, "/api/v1/models/m/versions/%d", version);
        assert_int_equal(live_call(&live, "GET", path, NULL), 200);
        assert_string_equal(live_text(&live, "digest"), digest);
    }
    if (known.alias) {
        assert_int_equal(live_call(&live, "GET", "/api/v1/models/m/versions/live", NULL), 200);
        int version = (int)live_number(&live, "version");
        assert_true(version == known.alias || version == known.maybe_alias);
        known.alias = version;
    }
    if (known.deployed) {
        int version = served_version();
        assert_true(version == known.deployed || version == known.maybe_deployed);
        known.deployed = version;
    }
    assert_int_equal(live_call(&live, "GET", "/readyz", NULL), 200);
}

static void test_registering_and_deploying(void **state)
{
    (void)state;
    for (int i = 0; i < rounds; i++) {
        pid_t killer = kill_later();
        work_until_killed();
        assert_int_equal(waitpid(killer, NULL, 0), killer);
        live_stop(&live, SIGKILL);
        live_start(&live, NULL);
        check_all_is_there();
    }
    print_message("%d versions, %d rounds\n", known.versions, rounds);
}

/* A job is queued or running when the server dies: afterwards it is interrupted, or has run from
 * the queue, or had succeeded with its version; never anything else, never twice. */
static void test_training(void **state)
{
    (void)state;
    char id[64], path[128];
    for (int i = 0; i < rounds; i++) {
        snprintf(id, sizeof id, "%s", live_submit(&live, "trained", "table.csv", 100));
        nanosleep(&(struct timespec){0, (long)ig_rng_below(&rng, 150) * 1000000}, NULL);
        live_stop(&live, SIGKILL);
        live_start(&live, NULL);
        const char *job = live_wait_job(&live, id);
        if (strcmp(job, "succeeded") == 0) {
            snprintf(path, sizeof path, "/api/v1/models/trained/versions/%s",
                     live_text(&live, "version"));
            assert_int_equal(live_call(&live, "GET", path, NULL), 200);
            assert_string_equal(live_text(&live, "job_id"), id);
        } else if (strcmp(job, "interrupted") != 0) {
            fail_msg("job is %s: %s", job, live_body(&live));
        }
    }
}

/* No child outlives the server that started it. */
static void test_children_die_with_the_server(void **state)
{
    (void)state;
    char id[64], path[128];
    snprintf(id, sizeof id, "%s", live_submit(&live, "long", "table.csv", 100000));
    snprintf(path, sizeof path, "/api/v1/jobs/%s", id);
    for (int i = 0; i < 500; i++) {
        assert_int_equal(live_call(&live, "GET", path, NULL), 200);
        if (strcmp(live_text(&live, "state"), "running") == 0) break;
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    }
    assert_string_equal(live_text(&live, "state"), "running");
    live_stop(&live, SIGKILL);
    live_start(&live, NULL);
    assert_string_equal(live_wait_job(&live, id), "interrupted");
    assert_true(*live_text(&live, "error"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registering_and_deploying),
        cmocka_unit_test(test_training),
        cmocka_unit_test(test_children_die_with_the_server),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
