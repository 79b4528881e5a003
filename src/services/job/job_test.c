/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs with this very program as the child: run with "train-child" it plays the trainer that the
 * target column names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "services/job/job.h"
#include "services/job/job_spec.h"
#include "services/registry/world_testing.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const struct ig_principal *const who = &IG_PRINCIPAL_LOCAL;

/* The trainer's side. */

static void say(enum ig_train_event_kind kind, double progress, const char *text)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf line;
    ig_buf_init(&line, IG_TRAIN_LINE_MAX);
    const struct ig_train_event event = {.kind = kind,
                                         .progress = progress,
                                         .metrics_json =
                                             ig_str_view(kind == IG_TRAIN_ERROR ? "" : text),
                                         .message = ig_str_view(text)};
    ig_train_event_write(&line, &event);
    if (ig_file_write_all(IG_CHILD_EVENTS_FD, line.ptr, line.len, &err) != IG_OK) _exit(9);
    ig_buf_deinit(&line);
}

static void write_result(void)
{
    struct ig_err err = IG_ERR_INIT;
    char text[1024];
    if (ig_file_replace(IG_CHILD_DIR_FD, "package.zip", ig_world_model(text, -1, 1), &err) != IG_OK)
        _exit(8);
}

static int play(struct ig_str part, const struct ig_train_spec *spec)
{
    char data[64] = "";
    if (read(IG_CHILD_DATA_FD, data, sizeof data - 1) < 0) return 7;
    for (size_t i = 0; i < spec->drop.count; i++)
        dprintf(IG_CHILD_LOG_FD, "without %.*s\n", IG_STR_ARGS(spec->drop.names[i]));
    dprintf(IG_CHILD_LOG_FD, "playing %.*s with %s, rounds %lld\n", IG_STR_ARGS(part), data,
            (long long)spec->params.xgboost.rounds);
    if (ig_str_is(part, "fail")) {
        say(IG_TRAIN_ERROR, 0, "the target is constant");
        return 1;
    }
    say(IG_TRAIN_PROGRESS, 0.25, "{\"round\":1,\"loss\":0.5}");
    say(IG_TRAIN_PROGRESS, 0.5, "{\"round\":2,\"loss\":0.25}");
    if (ig_str_is(part, "hang")) {
        if (fork() == 0) dprintf(IG_CHILD_LOG_FD, "grandchild %ld\n", (long)getpid());
        for (;;) pause();
    }
    if (ig_str_is(part, "crash")) raise(SIGKILL);
    if (ig_str_is(part, "silent")) return 0;
    if (ig_str_is(part, "babble") && write(IG_CHILD_EVENTS_FD, "{oops\n", 6) != 6) return 6;
    if (ig_str_is(part, "broken")) {
        struct ig_err err = IG_ERR_INIT;
        ig_file_replace(IG_CHILD_DIR_FD, "package.zip", IG_STR("junk"), &err);
    } else if (!ig_str_is(part, "empty")) {
        write_result();
    }
    if (ig_str_is(part, "slow")) usleep(20000);
    say(IG_TRAIN_DONE, 1, "{\"auc\":0.9}");
    return 0;
}

static int child_main(const char *parent)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_train_spec spec;
    struct ig_arena arena;
    struct ig_buf text;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (strtol(parent, NULL, 10) != (long)getppid()) return 5;
    ig_arena_init(&arena, 4096, 1 << 20);
    ig_buf_init(&text, 1 << 20);
    if (ig_file_read(&text, IG_CHILD_DIR_FD, "spec.json", &err) != IG_OK) return 4;
    if (ig_train_spec_read(&spec, ig_buf_view(&text), &arena, &err) != IG_OK) return 3;
    _exit(play(spec.target, &spec));
}

/* The supervisor's side. */

struct yard {
    struct ig_world world;
    struct ig_jobs *jobs;
    char digest[IG_SHA256_HEX];
    struct ig_jobs_options options;
};

static void open_jobs(struct yard *yard)
{
    struct ig_err err = IG_ERR_INIT;
    yard->options.db = yard->world.db;
    yard->options.blobs = yard->world.blobs;
    yard->options.registry = yard->world.registry;
    yard->options.dirfd = yard->world.temp.fd;
    ASSERT_OK(ig_jobs_open(&yard->jobs, &yard->options, &err));
}

static int setup(void **state)
{
    static struct yard yard;
    struct ig_err err = IG_ERR_INIT;
    memset(&yard, 0, sizeof yard);
    ig_world_open(&yard.world);
    ASSERT_OK(ig_blob_put(yard.digest, yard.world.blobs, IG_STR("a,b"), &err));
    yard.options.queued_max = 3;
    open_jobs(&yard);
    *state = &yard;
    return 0;
}

static int teardown(void **state)
{
    struct yard *yard = *state;
    ig_jobs_close(yard->jobs);
    ig_world_close(&yard->world);
    return 0;
}

static struct ig_job_spec spec_of(struct yard *yard, const char *part)
{
    struct ig_job_spec spec = {.target = ig_str_view(part),
                               .model = IG_STR("m"),
                               .data_digest = ig_str_view(yard->digest)};
    ig_params_defaults(&spec.params, IG_JOB_XGBOOST);
    return spec;
}

static struct ig_str submit(struct yard *yard, const char *part, int64_t time_limit_s)
{
    struct ig_err err = IG_ERR_INIT;
    char id[IG_ID_SIZE];
    struct ig_job_spec spec = spec_of(yard, part);
    spec.time_limit_s = time_limit_s;
    ASSERT_OK(ig_job_submit(id, yard->jobs, who, &spec, &err));
    usleep(1100); /* ids of different milliseconds sort by time */
    return ig_arena_dup(&yard->world.arena, ig_str_view(id));
}

static struct ig_job get(struct yard *yard, struct ig_str id)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_job job;
    ASSERT_OK(ig_job_get(&job, yard->jobs, id, &yard->world.arena, &err));
    return job;
}

static struct ig_job ended(struct yard *yard, struct ig_str id)
{
    assert_true(ig_job_wait(yard->jobs, id, 30000));
    return get(yard, id);
}

static void test_success(void **state)
{
    struct yard *yard = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_registry_version version;
    struct ig_buf text;
    struct ig_str id = submit(yard, "succeed", 0);
    struct ig_job job = ended(yard, id);
    assert_int_equal(job.state, IG_JOB_SUCCEEDED);
    assert_int_equal(job.version, 1);
    assert_true(job.progress == 1);
    assert_true(ig_str_is(job.metrics_json, "{\"auc\":0.9}"));
    assert_true(job.created_ms <= job.started_ms && job.started_ms <= job.finished_ms);
    assert_true(ig_str_is(job.error, ""));
    ASSERT_OK(ig_registry_version_get(&version, yard->world.registry, IG_STR("m"), 1,
                                      &yard->world.arena, &err));
    assert_true(ig_str_eq(version.job_id, id));
    assert_true(ig_str_is(version.metrics_json, "{\"auc\":0.9}"));
    ig_buf_init(&text, 1000);
    ASSERT_OK(ig_job_read(&text, yard->jobs, id, IG_JOB_FILE_LOG, 0, &err));
    assert_string_equal(text.ptr, "playing succeed with a,b, rounds 200\n");
    ig_buf_reset(&text);
    ASSERT_OK(ig_job_read(&text, yard->jobs, id, IG_JOB_FILE_LOG, 8, &err));
    assert_memory_equal(text.ptr, "succeed", 7);
    ig_buf_reset(&text);
    ASSERT_OK(ig_job_read(&text, yard->jobs, id, IG_JOB_FILE_METRICS, 0, &err));
    assert_string_equal(text.ptr, "{\"round\":1,\"loss\":0.5}\n{\"round\":2,\"loss\":0.25}\n");
    ig_buf_deinit(&text);
    ASSERT_FAILS(ig_job_cancel(yard->jobs, who, id, &err), IG_CONFLICT, "ended already: succeeded");
}

static void test_dropped_columns_reach_the_child(void **state)
{
    static const struct ig_str dropped[] = {{"id", 2}, {"sa\"y", 4}};
    struct yard *yard = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf text;
    char id[IG_ID_SIZE];
    struct ig_job_spec spec = spec_of(yard, "succeed");
    spec.drop = (struct ig_drop){dropped, 2};
    ASSERT_OK(ig_job_submit(id, yard->jobs, who, &spec, &err));
    struct ig_job job = ended(yard, ig_str_view(id));
    assert_int_equal(job.state, IG_JOB_SUCCEEDED);
    assert_true(ig_str_is(job.drop_json, "[\"id\",\"sa\\\"y\"]"));
    ig_buf_init(&text, 1000);
    ASSERT_OK(ig_job_read(&text, yard->jobs, ig_str_view(id), IG_JOB_FILE_LOG, 0, &err));
    assert_non_null(strstr(text.ptr, "without id\nwithout sa\"y\n"));
    ig_buf_deinit(&text);
    assert_true(ig_str_is(ended(yard, submit(yard, "succeed", 0)).drop_json, "[]"));
    spec.target = IG_STR("id");
    ASSERT_FAILS(ig_job_submit(id, yard->jobs, who, &spec, &err), IG_INVALID,
                 "drop: 'id' is the target");
}

static void test_failures_say_why(void **state)
{
    static const struct {
        const char *part, *error;
    } cases[] = {
        {"fail", "the target is constant"},
        {"crash", "the trainer was killed"},
        {"silent", "ended with status 0 and no result"},
        {"babble", "said something odd"},
        {"empty", "package.zip"},
    };
    struct yard *yard = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ig_job job = ended(yard, submit(yard, cases[i].part, 0));
        assert_int_equal(job.state, IG_JOB_FAILED);
        if (!strstr(job.error.ptr, cases[i].error))
            fail_msg("%s: %s", cases[i].part, job.error.ptr);
        assert_int_equal(job.version, 0);
    }
    assert_int_equal(ended(yard, submit(yard, "broken", 0)).state, IG_JOB_FAILED);
    assert_int_equal(ended(yard, submit(yard, "succeed", 0)).version, 1); /* no number was used */
}

static void wait_for_progress(struct yard *yard, struct ig_str id)
{
    for (int i = 0; i < 3000 && get(yard, id).progress < 0.5; i++) usleep(5000);
    struct ig_job job = get(yard, id);
    assert_int_equal(job.state, IG_JOB_RUNNING);
    assert_true(job.progress == 0.5);
    assert_true(ig_str_is(job.metrics_json, "{\"round\":2,\"loss\":0.25}"));
}

/* The grandchild's number from the log. */
static pid_t grandchild(struct yard *yard, struct ig_str id)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf text;
    const char *at = NULL;
    pid_t pid = 0;
    ig_buf_init(&text, 1000);
    for (int i = 0; i < 1000 && !at; i++) {
        ig_buf_reset(&text);
        ASSERT_OK(ig_job_read(&text, yard->jobs, id, IG_JOB_FILE_LOG, 0, &err));
        at = strstr(text.ptr, "grandchild ");
        if (!at) usleep(5000);
    }
    assert_non_null(at);
    pid = (pid_t)strtol(at + 11, NULL, 10);
    ig_buf_deinit(&text);
    return pid;
}

/* A process that ended but was not yet collected has no command line. */
static bool is_alive(pid_t pid)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf text;
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/cmdline", (long)pid);
    ig_buf_init(&text, 10000);
    bool alive = ig_file_read(&text, IG_FILE_CWD, path, &err) == IG_OK && text.len > 0;
    ig_buf_deinit(&text);
    return alive;
}

static void test_queue_and_cancel(void **state)
{
    struct yard *yard = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_job_list list;
    struct ig_job_spec spec = spec_of(yard, "succeed");
    char id[IG_ID_SIZE];
    struct ig_str running = submit(yard, "hang", 0);
    wait_for_progress(yard, running);
    struct ig_str second = submit(yard, "succeed", 0), third = submit(yard, "succeed", 0);
    submit(yard, "succeed", 0);
    ASSERT_FAILS(ig_job_submit(id, yard->jobs, who, &spec, &err), IG_EXHAUSTED, "at most 3");
    assert_int_equal(get(yard, second).state, IG_JOB_QUEUED);
    ASSERT_OK(ig_job_cancel(yard->jobs, who, third, &err)); /* queued: never starts */
    assert_int_equal(get(yard, third).state, IG_JOB_CANCELLED);
    pid_t orphan = grandchild(yard, running);
    ASSERT_OK(ig_job_cancel(yard->jobs, who, running, &err));
    assert_int_equal(ended(yard, running).state, IG_JOB_CANCELLED);
    for (int i = 0; i < 400 && is_alive(orphan); i++) usleep(5000);
    assert_false(is_alive(orphan)); /* the whole group is gone */
    assert_int_equal(ended(yard, second).state, IG_JOB_SUCCEEDED);
    ASSERT_OK(ig_job_list(&list, yard->jobs, IG_STR(""), 0, &yard->world.arena, &err));
    assert_int_equal(list.count, 4);
    assert_true(ig_str_eq(list.items[3].id, running)); /* newest first */
    ASSERT_OK(ig_job_list(&list, yard->jobs, second, 5, &yard->world.arena, &err));
    assert_int_equal(list.count, 1);
    ASSERT_FAILS(ig_job_cancel(yard->jobs, who, IG_STR("nothing"), &err), IG_NOT_FOUND,
                 "'nothing'");
}

static void test_time_limit(void **state)
{
    struct yard *yard = *state;
    struct ig_job job = ended(yard, submit(yard, "hang", 1));
    assert_int_equal(job.state, IG_JOB_FAILED);
    assert_true(ig_str_is(job.error, "the time limit of 1 s was reached"));
}

static void test_close_interrupts_and_queue_survives(void **state)
{
    struct yard *yard = *state;
    struct ig_str running = submit(yard, "hang", 0);
    wait_for_progress(yard, running);
    struct ig_str queued = submit(yard, "succeed", 0);
    ig_jobs_close(yard->jobs);
    open_jobs(yard);
    struct ig_job job = get(yard, running);
    assert_int_equal(job.state, IG_JOB_INTERRUPTED);
    assert_non_null(strstr(job.error.ptr, "the server ended"));
    assert_int_equal(ended(yard, queued).state, IG_JOB_SUCCEEDED);
}

static bool exists(struct yard *yard, struct ig_str id, const char *file)
{
    char name[64];
    struct stat info;
    snprintf(name, sizeof name, "jobs/%.*s/%s", IG_STR_ARGS(id), file);
    return fstatat(yard->world.temp.fd, name, &info, 0) == 0;
}

static void test_package_goes_with_the_end(void **state)
{
    struct yard *yard = *state;
    static const char *const parts[] = {"succeed", "broken"};
    for (size_t i = 0; i < 2; i++) {
        struct ig_str id = submit(yard, parts[i], 0);
        ended(yard, id);
        ig_jobs_close(yard->jobs); /* the row ends before the file does */
        open_jobs(yard);
        assert_true(exists(yard, id, "log"));
        assert_false(exists(yard, id, "package.zip"));
    }
}

static enum ig_code age(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    return ig_db_exec(tx, "update jobs set finished_ms = finished_ms - 172800000 where id = $1",
                      IG_DB_VALUES(IG_DB_T(*(struct ig_str *)context)), err);
}

static void test_old_directories_go(void **state)
{
    struct yard *yard = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf text;
    struct ig_str old = submit(yard, "succeed", 0), young = submit(yard, "fail", 0);
    assert_int_equal(ended(yard, old).state, IG_JOB_SUCCEEDED);
    ended(yard, young);
    ASSERT_OK(ig_db_write(yard->world.db, age, &old, &err)); /* by two days */
    assert_int_equal(mkdirat(yard->world.temp.fd, "jobs/another", 0700), 0);
    static const struct {
        unsigned keep_days;
        bool kept;
    } cases[] = {{0, true}, {3, true}, {1, false}, {1, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ig_jobs_close(yard->jobs);
        yard->options.keep_days = cases[i].keep_days;
        open_jobs(yard);
        assert_int_equal(exists(yard, old, "log"), cases[i].kept);
        assert_int_equal(exists(yard, old, ""), cases[i].kept);
        assert_true(exists(yard, young, "log"));
        assert_true(exists(yard, IG_STR("another"), ""));
    }
    assert_int_equal(get(yard, old).state, IG_JOB_SUCCEEDED);
    ig_buf_init(&text, 100);
    ASSERT_OK(ig_job_read(&text, yard->jobs, old, IG_JOB_FILE_LOG, 0, &err));
    assert_int_equal(text.len, 0);
    ig_buf_deinit(&text);
}

/* What makes a registered model smaller goes without a table and a target, and says of what. */
static void test_shrinking(void **state)
{
    struct yard *yard = *state;
    struct ig_err err = IG_ERR_INIT;
    char id[IG_ID_SIZE];
    struct ig_job_spec spec = spec_of(yard, "succeed");
    assert_int_equal(ig_world_register(&yard->world, "trees", -1), 1);
    ig_params_defaults(&spec.params, IG_JOB_PRUNE);
    ASSERT_FAILS(ig_job_submit(id, yard->jobs, who, &spec, &err), IG_INVALID,
                 "parameter 'source': expected a registered model");
    ASSERT_OK(ig_params_set(&spec.params, IG_STR("source"), IG_STR("models:/trees"), &err));
    ASSERT_OK(ig_params_set(&spec.params, IG_STR("refit"), IG_STR("on"), &err));
    spec.data_digest = IG_STR("");
    ASSERT_FAILS(ig_job_submit(id, yard->jobs, who, &spec, &err), IG_INVALID, "there is none");
    spec.target = IG_STR("");
    ASSERT_FAILS(ig_job_submit(id, yard->jobs, who, &spec, &err), IG_INVALID,
                 "parameter 'refit': it needs a table");
    ASSERT_OK(ig_params_set(&spec.params, IG_STR("refit"), IG_STR("off"), &err));
    ASSERT_FAILS(ig_job_submit(id, yard->jobs, who, &spec, &err), IG_INVALID,
                 "leaves_at_most or bytes_at_most says when to end");
    ASSERT_OK(ig_params_set(&spec.params, IG_STR("leaves_at_most"), IG_STR("1"), &err));
    static const struct ig_str DROPPED[] = {{"x", 1}};
    spec.drop = (struct ig_drop){DROPPED, 1};
    ASSERT_FAILS(ig_job_submit(id, yard->jobs, who, &spec, &err), IG_INVALID, "drop: ");
    spec.drop = (struct ig_drop){NULL, 0};
    ASSERT_OK(ig_job_submit(id, yard->jobs, who, &spec, &err));
    struct ig_job job = ended(yard, ig_str_view(id));
    struct ig_registry_version version;
    assert_int_equal(job.state, IG_JOB_SUCCEEDED);
    ASSERT_OK(ig_registry_version_get(&version, yard->world.registry, job.model, job.version,
                                      &yard->world.arena, &err));
    assert_true(ig_str_is(version.source, "models:/trees/1"));
    assert_non_null(strstr(job.params_json.ptr, "\"source\":\"models:/trees/1\""));
    ig_params_defaults(&spec.params, IG_JOB_QUANTIZE);
    ASSERT_OK(ig_params_set(&spec.params, IG_STR("source"), IG_STR("models:/trees/1"), &err));
    ASSERT_FAILS(ig_job_submit(id, yard->jobs, who, &spec, &err), IG_INVALID,
                 "parameter 'to': int8 needs a table");
}

static void test_bad_specs(void **state)
{
    struct yard *yard = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_job job;
    char id[IG_ID_SIZE];
    struct ig_job_spec spec = spec_of(yard, "succeed");
    spec.model = IG_STR("a/b");
    ASSERT_FAILS(ig_job_submit(id, yard->jobs, who, &spec, &err), IG_INVALID, "model name 'a/b'");
    enum ig_job_engine engine;
    ASSERT_FAILS(ig_job_engine_parse(&engine, IG_STR("magic"), &err), IG_INVALID, "'magic'");
    spec = spec_of(yard, "");
    ASSERT_FAILS(ig_job_submit(id, yard->jobs, who, &spec, &err), IG_INVALID, "job target");
    spec = spec_of(yard, "succeed");
    spec.memory_limit_mb = 3;
    ASSERT_FAILS(ig_job_submit(id, yard->jobs, who, &spec, &err), IG_INVALID, "memory_limit_mb: 3");
    spec = spec_of(yard, "succeed");
    spec.time_limit_s = -1;
    ASSERT_FAILS(ig_job_submit(id, yard->jobs, who, &spec, &err), IG_INVALID, "time_limit_s: -1");
    spec = spec_of(yard, "succeed");
    spec.data_digest = IG_STR("0000000000000000000000000000000000000000000000000000000000000000");
    ASSERT_FAILS(ig_job_submit(id, yard->jobs, who, &spec, &err), IG_NOT_FOUND, "blob 0000");
    spec.data_digest = IG_STR("");
    ASSERT_FAILS(ig_job_submit(id, yard->jobs, who, &spec, &err), IG_INVALID, "either a data");
    spec.data_path = IG_STR("/etc/passwd");
    ASSERT_FAILS(ig_job_submit(id, yard->jobs, who, &spec, &err), IG_DENIED, "data_roots");
    ASSERT_FAILS(
        ig_job_get(&job, yard->jobs, IG_STR("../../../../../../etc/x"), &yard->world.arena, &err),
        IG_NOT_FOUND, "does not exist");
}

static void test_data_roots(void **state)
{
    struct yard *yard = *state;
    struct ig_err err = IG_ERR_INIT;
    char id[IG_ID_SIZE], path[200];
    const char *roots[] = {yard->world.temp.path};
    struct ig_job_spec spec = spec_of(yard, "succeed");
    ASSERT_OK(ig_file_replace(yard->world.temp.fd, "t.csv", IG_STR("c,d"), &err));
    ig_jobs_close(yard->jobs);
    yard->options.data_roots = roots;
    yard->options.data_roots_count = 1;
    open_jobs(yard);
    spec.data_digest = IG_STR("");
    static const char *const bad[] = {"/../../etc/passwd", "x/t.csv", ""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(path, sizeof path, "%s%s", yard->world.temp.path, bad[i]);
        spec.data_path = ig_str_view(path);
        assert_int_not_equal(ig_job_submit(id, yard->jobs, who, &spec, &err), IG_OK);
        ig_err_clear(&err);
    }
    snprintf(path, sizeof path, "%s/t.csv", yard->world.temp.path);
    spec.data_path = ig_str_view(path);
    ASSERT_OK(ig_job_submit(id, yard->jobs, who, &spec, &err));
    assert_int_equal(ended(yard, ig_str_view(id)).state, IG_JOB_SUCCEEDED);
}

static void test_nth_call_and_allocation_fail(void **state)
{
    struct yard *yard = *state;
    for (int kind = 0; kind < 2; kind++) {
        bool refused = true;
        for (uint64_t n = 1; refused; n++) {
            struct ig_err err = IG_ERR_INIT;
            char id[IG_ID_SIZE];
            struct ig_job_spec spec = spec_of(yard, "fail");
            ig_jobs_close(yard->jobs); /* so that no other thread takes the refusals */
            yard->jobs = NULL;
            assert_true(n < 100);
            if (kind == 0)
                ig_db_fail_after(n);
            else
                ig_mem_fail_after(n);
            enum ig_code code = ig_jobs_open(&yard->jobs, &yard->options, &err);
            refused = kind == 0 ? ig_db_failed() : ig_mem_failed();
            ig_db_fail_after(0);
            ig_mem_fail_after(0);
            if (code != IG_OK) {
                assert_true(refused);
                assert_int_equal(code, kind == 0 ? IG_IO : IG_NO_MEMORY);
                ig_err_clear(&err);
                open_jobs(yard);
            }
            ASSERT_OK(ig_job_submit(id, yard->jobs, who, &spec, &err));
            assert_int_equal(ended(yard, ig_str_view(id)).state, IG_JOB_FAILED);
        }
    }
}

/* The server's part is forked, runs jobs, reports each acknowledged end, and is killed. */
static _Noreturn void crash_server(struct yard *yard, int pipe)
{
    struct ig_err err = IG_ERR_INIT;
    ig_world_start(&yard->world);
    open_jobs(yard);
    for (;;) {
        struct ig_str id = submit(yard, "slow", 0);
        struct ig_job job = ended(yard, id);
        if (write(pipe, &job.version, sizeof job.version) != sizeof job.version) _exit(2);
        if (ig_job_get(&job, yard->jobs, id, &yard->world.arena, &err) != IG_OK) _exit(3);
    }
}

static void test_kill_loses_nothing_acknowledged(void **state)
{
    int rounds = getenv("INGOT_LONG") ? 200 : 8;
    struct yard *yard = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_rng rng;
    int64_t newest = 0, version;
    struct ig_job_list list;
    ig_rng_seed(&rng, 8);
    for (int round = 0; round < rounds; round++) {
        int ends[2], status;
        ig_jobs_close(yard->jobs);
        ig_world_stop(&yard->world);
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) crash_server(yard, ends[1]);
        close(ends[1]);
        struct pollfd first = {.fd = ends[0], .events = POLLIN};
        if (round % 2) poll(&first, 1, 20000); /* else it may well die before its first end */
        usleep((useconds_t)ig_rng_below(&rng, 100000));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        while (read(ends[0], &version, sizeof version) == sizeof version) newest = version;
        close(ends[0]);
        ig_world_start(&yard->world);
        open_jobs(yard);
        for (int64_t at = 1; at <= newest; at++) {
            struct ig_registry_version found;
            ASSERT_OK(ig_registry_version_get(&found, yard->world.registry, IG_STR("m"), at,
                                              &yard->world.arena, &err));
        }
        ASSERT_OK(ig_job_list(&list, yard->jobs, IG_STR(""), 1, &yard->world.arena, &err));
        if (list.count) ended(yard, list.items[0].id); /* what was queued runs to its end */
    }
    assert_true(newest > 0);
    ASSERT_OK(ig_job_list(&list, yard->jobs, IG_STR(""), 1000, &yard->world.arena, &err));
    for (size_t i = 0; i < list.count; i++) {
        assert_true(ig_job_state_final(list.items[i].state));
        assert_int_equal(list.items[i].state == IG_JOB_SUCCEEDED, list.items[i].version > 0);
    }
    ASSERT_OK(ig_audit_verify(yard->world.db, &err));
}

static void test_params(void **state)
{
    char long_text[600];
    memset(long_text, '1', sizeof long_text);
    struct ig_err err = IG_ERR_INIT;
    struct ig_job_params params;
    (void)state;
    ig_params_defaults(&params, IG_JOB_XGBOOST);
    assert_int_equal(params.xgboost.rounds, 200);
    assert_true(params.xgboost.learning_rate == 0.1);
    assert_string_equal(params.xgboost.objective.text, "auto");
    ASSERT_OK(ig_params_set(&params, IG_STR("max_depth"), IG_STR("9"), &err));
    assert_int_equal(params.xgboost.max_depth, 9);
    ASSERT_FAILS(ig_params_set(&params, IG_STR("max_depth"), IG_STR("99"), &err), IG_INVALID,
                 "parameter 'max_depth': value '99' is not an integer from 1 to 16");
    ASSERT_FAILS(ig_params_set(&params, IG_STR("subsample"), IG_STR("nan"), &err), IG_INVALID,
                 "a number from 0.01 to 1");
    ASSERT_FAILS(ig_params_set(&params, IG_STR("rounds"), IG_STR("1.5"), &err), IG_INVALID,
                 "an integer");
    ASSERT_FAILS(ig_params_set(&params, IG_STR("objective"), IG_STR("x"), &err), IG_INVALID,
                 "value 'x' is not one of auto");
    ASSERT_FAILS(ig_params_set(&params, IG_STR("depth"), IG_STR("1"), &err), IG_INVALID,
                 "parameter 'depth' is unknown, expected one of rounds, learning_rate, max_depth");
    ig_params_defaults(&params, IG_JOB_EDGE);
    ASSERT_OK(ig_params_set(&params, IG_STR("sparsity_pattern"), IG_STR("2:4"), &err));
    assert_string_equal(params.edge.sparsity_pattern.text, "2:4");
    ASSERT_FAILS(ig_params_set(&params, IG_STR("optimizer"), IG_STR("adam|sgd"), &err), IG_INVALID,
                 "value 'adam|sgd' is not one of adam|sgd");
    ASSERT_FAILS(ig_params_set(&params, IG_STR("layers"), (struct ig_str){long_text, 600}, &err),
                 IG_INVALID, "parameter 'layers': expected a text of at most 511 bytes");
    ASSERT_FAILS(ig_params_set(&params, IG_STR("gamma"), IG_STR("1"), &err), IG_INVALID,
                 "parameter 'gamma' is unknown, expected one of layers, ");
    for (int e = 0; e < IG_JOB_ENGINES_COUNT; e++) {
        enum ig_job_engine engine = (enum ig_job_engine)e;
        for (size_t i = 0; i < ig_params_count(engine); i++)
            assert_true(strlen(ig_param_at(engine, i)->doc) > 5);
    }
}

static void test_spec_and_events_round_trip(void **state)
{
    static const struct ig_str dropped[] = {{"id", 2}, {"a \"b\"", 5}};
    struct ig_err err = IG_ERR_INIT;
    struct ig_train_spec spec = {.job_id = IG_STR("j"),
                                 .target = IG_STR("a \"b\"\n"),
                                 .model = IG_STR("m"),
                                 .data_digest = IG_STR("d"),
                                 .time_limit_s = 5,
                                 .memory_limit_mb = 99};
    struct ig_train_spec back;
    struct ig_train_event event;
    struct ig_arena arena;
    struct ig_buf text;
    (void)state;
    ig_arena_init(&arena, 4096, 1 << 20);
    ig_buf_init(&text, 10000);
    ig_params_defaults(&spec.params, IG_JOB_XGBOOST);
    spec.params.xgboost.gamma = 0.3;
    spec.drop = (struct ig_drop){dropped, 2};
    ig_train_spec_write(&text, &spec);
    ASSERT_OK(ig_train_spec_read(&back, ig_buf_view(&text), &arena, &err));
    assert_true(ig_str_eq(back.target, spec.target));
    assert_true(back.params.xgboost.gamma == 0.3);
    assert_int_equal(back.drop.count, 2);
    assert_true(ig_drop_has(&back.drop, IG_STR("a \"b\"")));
    assert_false(ig_drop_has(&back.drop, IG_STR("i")));
    assert_int_equal(back.memory_limit_mb, 99);
    assert_int_equal(back.params.xgboost.rounds, 200);
    ASSERT_FAILS(ig_train_spec_read(&back, IG_STR("{\"x\":1}"), &arena, &err), IG_INVALID, "'x'");
    assert_false(back.has_data);
    spec.has_data = true;
    ig_params_defaults(&spec.params, IG_JOB_EDGE);
    ASSERT_OK(ig_params_set(&spec.params, IG_STR("teacher"), IG_STR("models:/t/1"), &err));
    ig_buf_reset(&text);
    ig_train_spec_write(&text, &spec);
    ASSERT_OK(ig_train_spec_read(&back, ig_buf_view(&text), &arena, &err));
    assert_int_equal(back.params.engine, IG_JOB_EDGE);
    assert_true(back.has_data);
    assert_string_equal(back.params.edge.teacher.text, "models:/t/1");
    assert_string_equal(back.params.edge.layers.text, "32,32");

    ASSERT_OK(ig_train_event_read(
        &event,
        IG_STR("{\"event\":\"progress\",\"progress\":0.5,\"metrics\":{\"a\":[1,{}]},"
               "\"later\":null}"),
        &arena, &err));
    assert_int_equal(event.kind, IG_TRAIN_PROGRESS);
    assert_true(ig_str_is(event.metrics_json, "{\"a\":[1,{}]}"));
    ASSERT_FAILS(ig_train_event_read(&event, IG_STR("{\"event\":\"dance\"}"), &arena, &err),
                 IG_INVALID, "'dance'");
    ASSERT_FAILS(
        ig_train_event_read(&event, IG_STR("{\"event\":\"done\",\"progress\":2}"), &arena, &err),
        IG_INVALID, "progress");
    ig_buf_deinit(&text);
    ig_arena_deinit(&arena);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_params),
        cmocka_unit_test(test_spec_and_events_round_trip),
        CASE(test_success),
        CASE(test_dropped_columns_reach_the_child),
        CASE(test_failures_say_why),
        CASE(test_queue_and_cancel),
        CASE(test_time_limit),
        CASE(test_close_interrupts_and_queue_survives),
        CASE(test_package_goes_with_the_end),
        CASE(test_old_directories_go),
        CASE(test_shrinking),
        CASE(test_bad_specs),
        CASE(test_data_roots),
        CASE(test_nth_call_and_allocation_fail),
        CASE(test_kill_loses_nothing_acknowledged),
    };
    if (argc == 3 && strcmp(argv[1], "train-child") == 0) return child_main(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
