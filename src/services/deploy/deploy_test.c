/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/random.h"
#include "base/thread.h"
#include "services/deploy/deploy.h"
#include "services/deploy/servable_priv.h"
#include "services/registry/world_testing.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const struct ig_principal *const who = &IG_PRINCIPAL_LOCAL;

static struct ig_deploy *open_deploy(struct ig_world *world, void (*wait)(void *), void *context)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_deploy *deploy = NULL;
    struct ig_deploy_options options = {.db = world->db,
                                        .blobs = world->blobs,
                                        .registry = world->registry,
                                        .wait_quiescent = wait,
                                        .context = context,
                                        .deployments_max = 3};
    ASSERT_OK(ig_deploy_open(&deploy, &options, &err));
    return deploy;
}

static int setup(void **state)
{
    static struct ig_world world;
    ig_world_open(&world);
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    ig_world_close(*state);
    return 0;
}

static enum ig_code set(struct ig_deploy *deploy, const char *name, const char *ref,
                        struct ig_err *err)
{
    const struct ig_deployment_spec spec = {
        .name = ig_str_view(name), .model = IG_STR("m"), .ref = ig_str_view(ref)};
    return ig_deploy_set(deploy, who, &spec, err);
}

/* Which version answers: version n was registered with its margin at 1. */
static double margin(const struct ig_servable *servable)
{
    const double row = 1;
    double result;
    _Alignas(64) char scratch[1 << 16];
    IG_ASSERT(ig_engine_scratch_bytes(servable->package->engine, IG_ENGINE_MARGIN, 1) <=
              sizeof scratch);
    ig_engine_margin(servable->package->engine, &row, 1, &result, scratch);
    return result;
}

static int64_t serving(struct ig_deploy *deploy, const char *name)
{
    const struct ig_routing *routing = ig_deploy_acquire(deploy, ig_str_view(name));
    if (!routing) return 0;
    const struct ig_servable *servable = routing->single;
    assert_true(margin(servable) == (double)servable->version);
    assert_string_equal(servable->deployment, name);
    return servable->version;
}

static void test_create_update_rollback_delete(void **state)
{
    struct ig_world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_deployment deployment;
    for (int i = 1; i <= 3; i++) assert_int_equal(ig_world_register(world, "m", i), i);
    struct ig_deploy *deploy = open_deploy(world, NULL, NULL);
    assert_int_equal(serving(deploy, "d"), 0);
    assert_true(ig_deploy_ready(deploy));
    ASSERT_OK(set(deploy, "d", "1", &err));
    assert_int_equal(serving(deploy, "d"), 1);
    assert_ptr_equal(ig_deploy_acquire_only(deploy), ig_deploy_acquire(deploy, IG_STR("d")));
    ASSERT_FAILS(ig_deploy_rollback(deploy, who, IG_STR("d"), 0, IG_STR(""), &err), IG_CONFLICT,
                 "to go back to");
    const struct ig_routing *first = ig_deploy_acquire(deploy, IG_STR("d"));
    ASSERT_OK(set(deploy, "d", "", &err)); /* the latest */
    assert_int_equal(serving(deploy, "d"), 3);
    ASSERT_OK(set(deploy, "d", "3", &err)); /* again: version 1 stays the one before */
    ASSERT_OK(ig_deploy_rollback(deploy, who, IG_STR("d"), 0, IG_STR(""), &err));
    assert_int_equal(serving(deploy, "d"), 1);
    assert_ptr_equal(ig_deploy_acquire(deploy, IG_STR("d")), first); /* it was warm */
    ASSERT_OK(ig_deploy_get(&deployment, deploy, IG_STR("d"), &world->arena, &err));
    assert_int_equal(deployment.version, 1);
    assert_int_equal(deployment.previous_version, 3);
    assert_true(ig_str_is(deployment.state, "serving"));
    assert_int_equal(deployment.digest.len, 64);

    ASSERT_FAILS(ig_registry_version_delete(world->registry, who, IG_STR("m"), 1, &err),
                 IG_CONFLICT, "deployed");
    ASSERT_FAILS(ig_registry_model_delete(world->registry, who, IG_STR("m"), &err), IG_CONFLICT,
                 "deployed");
    ASSERT_OK(ig_registry_version_delete(world->registry, who, IG_STR("m"), 2, &err));
    ASSERT_OK(ig_deploy_delete(deploy, who, IG_STR("d"), &err));
    assert_int_equal(serving(deploy, "d"), 0);
    ASSERT_FAILS(ig_deploy_delete(deploy, who, IG_STR("d"), &err), IG_NOT_FOUND, "'d'");
    ASSERT_OK(ig_registry_model_delete(world->registry, who, IG_STR("m"), &err));
    ig_deploy_close(deploy);
    ASSERT_OK(ig_audit_verify(world->db, &err));
}

static void test_restart_serves_the_last(void **state)
{
    struct ig_world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_deployments list;
    for (int i = 1; i <= 2; i++) ig_world_register(world, "m", i);
    ASSERT_OK(ig_registry_alias_set(world->registry, who, IG_STR("m"), IG_STR("best"), 2, &err));
    struct ig_deploy *deploy = open_deploy(world, NULL, NULL);
    ASSERT_OK(set(deploy, "b", "1", &err));
    ASSERT_OK(set(deploy, "a", "1", &err));
    ASSERT_OK(set(deploy, "b", "best", &err));
    ig_deploy_close(deploy);
    ASSERT_OK(ig_registry_alias_set(world->registry, who, IG_STR("m"), IG_STR("best"), 1, &err));
    deploy = open_deploy(world, NULL, NULL);
    assert_int_equal(serving(deploy, "a"), 1);
    assert_int_equal(serving(deploy, "b"), 2); /* the alias was pinned */
    assert_null(ig_deploy_acquire_only(deploy));
    ASSERT_OK(ig_deploy_list(&list, deploy, &world->arena, &err));
    assert_int_equal(list.count, 2);
    assert_true(ig_str_is(list.items[1].ref, "best"));
    ASSERT_OK(ig_deploy_rollback(deploy, who, IG_STR("b"), 0, IG_STR(""), &err));
    assert_int_equal(serving(deploy, "b"), 1);
    ig_deploy_close(deploy);
}

static void wait_until_warm(struct ig_world *world, struct ig_deploy *deploy)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_deployment deployment = {0};
    for (int i = 0; i < 2000 && !deployment.previous_warm; i++) {
        usleep(5000);
        ASSERT_OK(ig_deploy_get(&deployment, deploy, IG_STR("d"), &world->arena, &err));
    }
    assert_true(deployment.previous_warm);
}

/* Its package is gone, so only a loaded version can come back. */
static void test_restart_warms_the_one_before(void **state)
{
    struct ig_world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    char digest[IG_SHA256_HEX];
    for (int i = 1; i <= 2; i++) ig_world_register(world, "m", i);
    struct ig_deploy *deploy = open_deploy(world, NULL, NULL);
    ASSERT_OK(set(deploy, "d", "1", &err));
    memcpy(digest, ig_deploy_acquire(deploy, IG_STR("d"))->single->digest, sizeof digest);
    ASSERT_OK(set(deploy, "d", "2", &err));
    ig_deploy_close(deploy);
    deploy = open_deploy(world, NULL, NULL);
    assert_int_equal(serving(deploy, "d"), 2);
    ig_deploy_warm(deploy);
    wait_until_warm(world, deploy);
    ASSERT_OK(ig_blob_delete(world->blobs, ig_str_view(digest), &err));
    ASSERT_OK(ig_deploy_rollback(deploy, who, IG_STR("d"), 0, IG_STR(""), &err));
    assert_int_equal(serving(deploy, "d"), 1);
    ig_deploy_close(deploy);
}

static void test_damaged_package_fails_alone(void **state)
{
    struct ig_world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_deployment deployment;
    char path[200];
    for (int i = 1; i <= 2; i++) ig_world_register(world, "m", i);
    struct ig_deploy *deploy = open_deploy(world, NULL, NULL);
    ASSERT_OK(set(deploy, "a", "1", &err));
    ASSERT_OK(set(deploy, "b", "2", &err));
    const char *digest = ig_deploy_acquire(deploy, IG_STR("a"))->single->digest;
    snprintf(path, sizeof path, "%s/blobs/%.2s/%s", world->temp.path, digest, digest);
    ig_deploy_close(deploy);
    chmod(path, 0600);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "X", 1, 40), 1);
    close(fd);
    deploy = open_deploy(world, NULL, NULL);
    assert_int_equal(serving(deploy, "b"), 2);
    assert_int_equal(serving(deploy, "a"), 0);
    assert_false(ig_deploy_ready(deploy));
    assert_int_equal(ig_deploy_state(deploy, IG_STR("a")), IG_DEPLOY_FAILED);
    assert_int_equal(ig_deploy_state(deploy, IG_STR("b")), IG_DEPLOY_SERVING);
    assert_int_equal(ig_deploy_state(deploy, IG_STR("c")), IG_DEPLOY_ABSENT);
    ASSERT_OK(ig_deploy_get(&deployment, deploy, IG_STR("a"), &world->arena, &err));
    assert_true(ig_str_is(deployment.state, "failed"));
    assert_non_null(strstr(deployment.error.ptr, "hash to"));
    ASSERT_OK(set(deploy, "a", "2", &err));
    assert_true(ig_deploy_ready(deploy));
    ig_deploy_close(deploy);
}

static void test_bad_requests(void **state)
{
    struct ig_world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_deployment deployment;
    ig_world_register(world, "m", 1);
    struct ig_deploy *deploy = open_deploy(world, NULL, NULL);
    ASSERT_FAILS(set(deploy, "../d", "1", &err), IG_INVALID, "deployment name '../d'");
    ASSERT_FAILS(set(deploy, "d", "2", &err), IG_NOT_FOUND, "no version 2");
    ASSERT_FAILS(set(deploy, "d", "x", &err), IG_NOT_FOUND, "no alias 'x'");
    ASSERT_FAILS(ig_deploy_get(&deployment, deploy, IG_STR("d"), &world->arena, &err), IG_NOT_FOUND,
                 "deployment 'd' does not exist");
    ASSERT_FAILS(ig_deploy_rollback(deploy, who, IG_STR("d"), 0, IG_STR(""), &err), IG_NOT_FOUND,
                 "'d'");
    ASSERT_OK(set(deploy, "a", "1", &err));
    ASSERT_OK(set(deploy, "b", "1", &err));
    ASSERT_OK(set(deploy, "c", "1", &err));
    ASSERT_FAILS(set(deploy, "d", "1", &err), IG_EXHAUSTED, "at most 3");
    ig_deploy_close(deploy);
}

static void test_nth_call_and_allocation_fail(void **state)
{
    struct ig_world *world = *state;
    for (int i = 1; i <= 2; i++) ig_world_register(world, "m", i);
    struct ig_deploy *deploy = open_deploy(world, NULL, NULL);
    for (int kind = 0; kind < 2; kind++) {
        int64_t before = serving(deploy, "d");
        bool refused = true;
        for (uint64_t n = 1; refused; n++) {
            struct ig_err err = IG_ERR_INIT;
            assert_true(n < 400);
            if (kind == 0)
                ig_db_fail_after(n);
            else
                ig_mem_fail_after(n);
            enum ig_code code = set(deploy, "d", before == 1 ? "2" : "1", &err);
            refused = kind == 0 ? ig_db_failed() : ig_mem_failed();
            ig_db_fail_after(0);
            ig_mem_fail_after(0);
            if (refused && code == IG_OK) break; /* refused in the reaper's absence of need */
            if (refused) assert_int_equal(code, kind == 0 ? IG_IO : IG_NO_MEMORY);
            if (refused) assert_int_equal(serving(deploy, "d"), before);
        }
        assert_int_equal(serving(deploy, "d"), before == 1 ? 2 : 1);
    }
    ig_deploy_close(deploy);
}

/* Loops that acquire, compute and turn, against a thread that swaps. A freed set shows under
 * AddressSanitizer, a missing barrier under ThreadSanitizer. */
enum { LOOPS = 3 };

struct loops {
    struct ig_deploy *deploy;
    atomic_uint turns[LOOPS];
    atomic_bool ended[LOOPS];
    atomic_bool stop;
};
struct loop {
    struct loops *all;
    int index;
};

static void wait_for_turns(void *context)
{
    struct loops *loops = context;
    for (int i = 0; i < LOOPS; i++) {
        unsigned before = atomic_load(&loops->turns[i]);
        while (atomic_load(&loops->turns[i]) == before && !atomic_load(&loops->ended[i]))
            usleep(50);
    }
}

static void *unref_later(void *context)
{
    const struct ig_routing *routing = context;
    IG_ASSERT(margin(routing->single) == (double)routing->single->version);
    ig_routing_unref(routing);
    return NULL;
}

static void *loop_main(void *context)
{
    struct loop *loop = context;
    struct ig_err err = IG_ERR_INIT;
    for (unsigned i = 0; !atomic_load(&loop->all->stop); i++) {
        const struct ig_routing *routing = ig_deploy_acquire(loop->all->deploy, IG_STR("d"));
        IG_ASSERT(routing && margin(routing->single) == (double)routing->single->version);
        if (i % 50 == 0) { /* handed to another thread, that outlives the turn */
            uint64_t thread;
            IG_ASSERT(ig_thread_start(&thread, "pool", unref_later,
                                      (void *)(uintptr_t)ig_routing_ref(routing), &err) == IG_OK);
            atomic_fetch_add(&loop->all->turns[loop->index], 1);
            ig_thread_join(thread);
        }
        atomic_fetch_add(&loop->all->turns[loop->index], 1);
    }
    atomic_store(&loop->all->ended[loop->index], true);
    return NULL;
}

static void test_swaps_beside_loops(void **state)
{
    struct ig_world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    static struct loops loops;
    struct loop each[LOOPS];
    uint64_t threads[LOOPS];
    memset(&loops, 0, sizeof loops);
    for (int i = 1; i <= 4; i++) ig_world_register(world, "m", i);
    loops.deploy = open_deploy(world, wait_for_turns, &loops);
    ASSERT_OK(set(loops.deploy, "d", "1", &err));
    for (int i = 0; i < LOOPS; i++) {
        each[i] = (struct loop){&loops, i};
        ASSERT_OK(ig_thread_start(&threads[i], "loop", loop_main, &each[i], &err));
    }
    for (int i = 0; i < 40; i++) {
        char ref[8];
        snprintf(ref, sizeof ref, "%d", i % 4 + 1);
        if (i % 5 == 4)
            ASSERT_OK(ig_deploy_rollback(loops.deploy, who, IG_STR("d"), 0, IG_STR(""), &err));
        else
            ASSERT_OK(set(loops.deploy, "d", ref, &err));
        const struct ig_routing *held = ig_deploy_get_routing(loops.deploy, IG_STR("d"));
        assert_non_null(held);
        ig_routing_unref(held);
    }
    atomic_store(&loops.stop, true);
    for (int i = 0; i < LOOPS; i++) ig_thread_join(threads[i]);
    ig_deploy_close(loops.deploy);
}

/* A loop that does nothing but its work: whether it ever slept. */
struct sleepless {
    struct loops *all;
    int index;
    long slept;
};

static void *work_main(void *context)
{
    struct sleepless *own = context;
    struct rusage before, after;
    getrusage(RUSAGE_THREAD, &before);
    while (!atomic_load(&own->all->stop)) {
        const struct ig_routing *routing = ig_deploy_acquire(own->all->deploy, IG_STR("d"));
        IG_ASSERT(routing && margin(routing->single) == (double)routing->single->version);
        atomic_fetch_add(&own->all->turns[own->index], 1);
    }
    getrusage(RUSAGE_THREAD, &after);
    own->slept = after.ru_nvcsw - before.ru_nvcsw;
    atomic_store(&own->all->ended[own->index], true);
    return NULL;
}

/* How often the loops slept beside swaps and rollbacks. */
static long sleeps_beside_swaps(struct ig_deploy *deploy, struct loops *loops)
{
    struct ig_err err = IG_ERR_INIT;
    struct sleepless each[LOOPS];
    uint64_t threads[LOOPS];
    long slept = 0;
    loops->deploy = deploy;
    for (int i = 0; i < LOOPS; i++) {
        each[i] = (struct sleepless){loops, i, -1};
        ASSERT_OK(ig_thread_start(&threads[i], "loop", work_main, &each[i], &err));
    }
    for (int i = 0; i < 30; i++) {
        char ref[8];
        snprintf(ref, sizeof ref, "%d", 2 + i % 3);
        if (i % 2)
            ASSERT_OK(ig_deploy_rollback(deploy, who, IG_STR("d"), 0, IG_STR(""), &err));
        else
            ASSERT_OK(set(deploy, "d", ref, &err));
    }
    atomic_store(&loops->stop, true);
    for (int i = 0; i < LOOPS; i++) ig_thread_join(threads[i]);
    for (int i = 0; i < LOOPS; i++) slept += each[i].slept;
    return slept;
}

/* Swaps load models, write rows, wait and free; the loops beside them give up their cores of their
 * own will not once, so they waited for no lock. A page of the program that has to come from disk
 * makes them sleep as well, so a round without counts. */
static void test_swaps_block_no_loop(void **state)
{
    struct ig_world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    static struct loops loops;
    long slept = 1;
    for (int i = 1; i <= 4; i++) ig_world_register(world, "m", i);
    struct ig_deploy *deploy = open_deploy(world, wait_for_turns, &loops);
    ASSERT_OK(set(deploy, "d", "1", &err));
    for (int round = 0; round < 3 && slept; round++) {
        atomic_store(&loops.stop, false);
        for (int i = 0; i < LOOPS; i++) atomic_store(&loops.ended[i], false);
        slept = sleeps_beside_swaps(deploy, &loops);
    }
    assert_int_equal(slept, 0);
    ig_deploy_close(deploy);
}

/* The child registers and deploys, reporting each acknowledged version, until it is killed. */
static _Noreturn void crash_child(struct ig_world *world, int pipe)
{
    struct ig_deploy_options options = {0};
    struct ig_deploy *deploy = NULL;
    struct ig_err err = IG_ERR_INIT;
    ig_world_start(world);
    options = (struct ig_deploy_options){
        .db = world->db, .blobs = world->blobs, .registry = world->registry};
    if (ig_deploy_open(&deploy, &options, &err) != IG_OK) _exit(2);
    for (;;) {
        struct ig_registry_versions versions;
        if (ig_registry_version_list(&versions, world->registry, IG_STR("m"), &world->arena,
                                     &err) != IG_OK)
            _exit(3);
        int64_t next = versions.count ? versions.items[0].version + 1 : 1;
        if (ig_world_register(world, "m", (double)next) != next) _exit(4);
        if (set(deploy, "d", "", &err) != IG_OK) _exit(5);
        if (write(pipe, &next, sizeof next) != sizeof next) _exit(6);
    }
}

static void test_kill_serves_what_was_acknowledged(void **state)
{
    int rounds = getenv("INGOT_LONG") ? 300 : 15;
    struct ig_world *world = *state;
    struct ig_rng rng;
    struct ig_err err = IG_ERR_INIT;
    struct ig_registry_version latest;
    int64_t acknowledged = 0, at;
    ig_rng_seed(&rng, 3);
    ig_world_register(world, "m", 1); /* so that round one has a model to list */
    for (int round = 0; round < rounds; round++) {
        int ends[2], status;
        ig_world_stop(world);
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) crash_child(world, ends[1]);
        close(ends[1]);
        struct pollfd first = {.fd = ends[0], .events = POLLIN};
        if (round % 2) poll(&first, 1, 20000); /* else it may well die before */
        usleep((useconds_t)ig_rng_below(&rng, 60000));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        while (read(ends[0], &at, sizeof at) == sizeof at) acknowledged = at;
        close(ends[0]);
        ig_world_start(world);
        struct ig_deploy *deploy = open_deploy(world, NULL, NULL);
        assert_true(ig_deploy_ready(deploy));
        /* a version that was registered but not yet deployed may be newer */
        ASSERT_OK(ig_registry_find(&latest, world->registry, IG_STR("m"), IG_STR(""), &world->arena,
                                   &err));
        assert_in_range(serving(deploy, "d"), acknowledged, latest.version);
        ig_deploy_close(deploy);
        ASSERT_OK(ig_audit_verify(world->db, &err));
    }
    assert_true(acknowledged > 3);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_create_update_rollback_delete),
        CASE(test_restart_serves_the_last),
        CASE(test_restart_warms_the_one_before),
        CASE(test_damaged_package_fails_alone),
        CASE(test_bad_requests),
        CASE(test_nth_call_and_allocation_fail),
        CASE(test_swaps_beside_loops),
        CASE(test_swaps_block_no_loop),
        CASE(test_kill_serves_what_was_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
