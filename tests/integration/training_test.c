/* SPDX-License-Identifier: Apache-2.0 */
/* Training through the real child: table -> job -> version -> deployment -> prediction. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "services/deploy/inference.h"
#include "services/job/job.h"
#include "stores/db_testing.h"
#include "stores/temp_testing.h"

#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

struct world {
    struct ig_temp temp;
    struct ig_db *db;
    struct ig_blob_store *blobs;
    struct ig_registry *registry;
    struct ig_deploy *deploy;
    struct ig_jobs *jobs;
    struct ig_arena arena;
};

static const struct ig_principal *const who = &IG_PRINCIPAL_LOCAL;

static void open_world(struct world *world)
{
    static char program[512];
    struct ig_err err = IG_ERR_INIT;
    struct ig_db_options db = ig_db_testing_options(world->temp.fd);
    const char *build = getenv("INGOT_BUILD_DIR");
    if (!build) skip();
    snprintf(program, sizeof program, "%s/ingot", build);
    ASSERT_OK(ig_db_open(&world->db, &db, &err));
    ASSERT_OK(ig_blob_open(&world->blobs, NULL, world->temp.fd, &err));
    ASSERT_OK(ig_registry_open(&world->registry, world->db, world->blobs, &err));
    struct ig_deploy_options deploy = {
        .db = world->db, .blobs = world->blobs, .registry = world->registry};
    ASSERT_OK(ig_deploy_open(&world->deploy, &deploy, &err));
    struct ig_jobs_options jobs = {.db = world->db,
                                   .blobs = world->blobs,
                                   .registry = world->registry,
                                   .dirfd = world->temp.fd,
                                   .program = program};
    ASSERT_OK(ig_jobs_open(&world->jobs, &jobs, &err));
}

static void close_world(struct world *world)
{
    ig_jobs_close(world->jobs);
    ig_deploy_close(world->deploy);
    ig_registry_close(world->registry);
    ig_blob_close(world->blobs);
    ig_db_close(world->db);
}

static int setup(void **state)
{
    static struct world world;
    memset(&world, 0, sizeof world);
    world.temp = ig_temp_make();
    ig_arena_init(&world.arena, 64 << 10, 64 << 20);
    open_world(&world);
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

/* Uploads, submits, waits. */
static struct ig_job train(struct world *world, struct ig_str table, const char *target,
                           const char *const params[][2], size_t params_count)
{
    struct ig_err err = IG_ERR_INIT;
    char digest[IG_SHA256_HEX], id[IG_ID_SIZE];
    struct ig_job_spec spec = {.target = ig_str_view(target), .model = IG_STR("m")};
    struct ig_job job = {0};
    ig_params_defaults(&spec.params, IG_JOB_XGBOOST);
    for (size_t i = 0; i < params_count; i++)
        ASSERT_OK(ig_params_set(&spec.params, ig_str_view(params[i][0]), ig_str_view(params[i][1]),
                                &err));
    ASSERT_OK(ig_blob_put(digest, world->blobs, table, &err));
    spec.data_digest = ig_str_view(digest);
    ASSERT_OK(ig_job_submit(id, world->jobs, who, &spec, &err));
    assert_true(ig_job_wait(world->jobs, ig_str_view(id), 100000));
    ASSERT_OK(ig_job_get(&job, world->jobs, ig_str_view(id), &world->arena, &err));
    return job;
}

static void assert_state(struct world *world, const struct ig_job *job, enum ig_job_state state)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf log;
    if (job->state == state) return;
    ig_buf_init(&log, 20000);
    ig_job_read(&log, world->jobs, job->id, IG_JOB_FILE_LOG, 0, &err);
    fail_msg("job is %s: %.*s\n%s", ig_job_state_name(job->state), IG_STR_ARGS(job->error),
             log.ptr ? log.ptr : "");
}

/* Mixed columns with holes; the class depends on all of them. */
static struct ig_str make_table(struct world *world, size_t rows, int classes)
{
    static const char *const colours[] = {"red", "green", "blue", "a, \"quoted\" one", ""};
    struct ig_buf text;
    struct ig_rng rng;
    ig_rng_seed(&rng, 5);
    ig_buf_init(&text, 4 << 20);
    ig_buf_add_cstr(&text, "x,colour,n,y\n");
    for (size_t i = 0; i < rows; i++) {
        double x = ig_rng_unit(&rng) * 10;
        unsigned colour = (unsigned)ig_rng_below(&rng, 5), n = (unsigned)ig_rng_below(&rng, 9);
        double signal = x + (colour == 1 ? 4 : 0) + n * 0.3 + ig_rng_unit(&rng);
        if (i % 7 == 0)
            ig_buf_add_cstr(&text, ",");
        else
            ig_buf_printf(&text, "%.6g,", x);
        if (colour == 3)
            ig_buf_add_cstr(&text, "\"a, \"\"quoted\"\" one\"");
        else
            ig_buf_add_cstr(&text, colours[colour]);
        if (classes)
            ig_buf_printf(&text, ",%u,class%d\n", n, (int)(signal / 17.5 * classes));
        else
            ig_buf_printf(&text, ",%u,%.6g\n", n, signal);
    }
    assert_false(text.overflowed);
    struct ig_str copy = ig_arena_dup(&world->arena, ig_buf_view(&text));
    ig_buf_deinit(&text);
    return copy;
}

static double metric(const struct ig_job *job, const char *name)
{
    char key[40], text[400];
    snprintf(key, sizeof key, "\"%s\":", name);
    snprintf(text, sizeof text, "%.*s", IG_STR_ARGS(job->metrics_json));
    const char *at = strstr(text, key);
    if (!at) fail_msg("no %s in %s", name, text);
    return strtod(at + strlen(key), NULL);
}

static void test_train_deploy_predict(void **state)
{
    static const char *const params[][2] = {{"rounds", "60"}, {"max_depth", "4"}};
    struct world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_registry_version version;
    struct ig_inference_result result;
    struct ig_job job = train(world, make_table(world, 3000, 2), "y", params, 2);
    assert_state(world, &job, IG_JOB_SUCCEEDED);
    assert_int_equal(job.version, 1);
    assert_true(job.progress == 1);
    assert_true(metric(&job, "auc") > 0.95);
    assert_true(metric(&job, "validation_rows") == 600);

    ASSERT_OK(
        ig_registry_resolve(&version, world->registry, IG_STR("models:/m/1"), &world->arena, &err));
    assert_true(ig_str_eq(version.job_id, job.id));
    const struct ig_deployment_spec spec = {.name = IG_STR("colours"), .model = IG_STR("m")};
    ASSERT_OK(ig_deploy_set(world->deploy, who, &spec, &err));
    const struct ig_routing *routing = ig_deploy_acquire(world->deploy, IG_STR("colours"));
    assert_non_null(routing);
    const struct ig_servable *servable = routing->single;
    assert_int_equal(servable->package->schema.task, IG_TASK_BINARY);
    assert_int_equal(servable->package->golden_rows_count, 16);
    assert_true(ig_str_is(servable->package->schema.classes[1], "class1"));
    const double rows[] = {0.5, 3, 0, 9.5, 2, 8, NAN, -1, 4};
    const struct ig_inference_request request = {.rows = rows, .rows_count = 3, .explain = true};
    assert_true(ig_inference_cost_ns(servable, &request) > 0);
    ASSERT_OK(ig_inference_run(&result, servable, &request, &world->arena, &err));
    assert_true(result.probabilities);
    assert_true(result.predictions[0] < 0.2 && result.predictions[1] > 0.8);
    assert_int_equal(ig_inference_class(servable, &result, 0), 0);
    assert_int_equal(ig_inference_class(servable, &result, 1), 1);
    for (int i = 0; i < 3; i++) {
        const double *parts = result.explanations.contributions + i * 4;
        assert_true(fabs(parts[0] + parts[1] + parts[2] + parts[3] - result.margins[i]) < 1e-4);
        assert_true(result.explanations.notes[i].additivity < 1e-4);
    }
}

static void test_tasks(void **state)
{
    static const char *const params[][2] = {{"rounds", "25"}, {"early_stopping", "5"}};
    struct world *world = *state;
    struct ig_job job = train(world, make_table(world, 1500, 4), "y", params, 2);
    assert_state(world, &job, IG_JOB_SUCCEEDED);
    assert_true(metric(&job, "accuracy") > 0.6);
    job = train(world, make_table(world, 1500, 0), "y", params, 2);
    assert_state(world, &job, IG_JOB_SUCCEEDED);
    assert_int_equal(job.version, 2);
    assert_true(metric(&job, "r2") > 0.6);
}

static void test_early_stopping_cuts(void **state)
{
    static const char *const params[][2] = {
        {"rounds", "400"}, {"early_stopping", "3"}, {"learning_rate", "1"}};
    struct world *world = *state;
    struct ig_job job = train(world, make_table(world, 800, 2), "y", params, 3);
    assert_state(world, &job, IG_JOB_SUCCEEDED);
    assert_true(metric(&job, "rounds") < 100);
}

static void test_clear_errors(void **state)
{
    struct world *world = *state;
    struct ig_str table = make_table(world, 100, 2);
    struct ig_job job = train(world, table, "wage", NULL, 0);
    assert_state(world, &job, IG_JOB_FAILED);
    assert_true(
        ig_str_is(job.error, "target 'wage' is no column of the table; it has 4: x, colour, n, y"));
    job = train(world, IG_STR("a,b\n1,2\n1,3,4\n"), "b", NULL, 0);
    assert_state(world, &job, IG_JOB_FAILED);
    assert_non_null(strstr(job.error.ptr, "3"));
    static const char *const params[][2] = {{"objective", "regression"}};
    job = train(world, table, "y", params, 1);
    assert_state(world, &job, IG_JOB_FAILED);
    assert_true(ig_str_is(job.error, "objective regression does not suit target 'y': it is text"));
}

static void test_memory_limit(void **state)
{
    struct world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_job_spec spec = {.target = IG_STR("y"), .model = IG_STR("m"), .memory_limit_mb = 64};
    char digest[IG_SHA256_HEX], id[IG_ID_SIZE];
    struct ig_buf text;
    struct ig_job job;
    struct ig_rng rng;
    ig_rng_seed(&rng, 1);
    ig_buf_init(&text, 64 << 20);
    for (int i = 0; i < 150; i++) ig_buf_printf(&text, "c%d,", i);
    ig_buf_add_cstr(&text, "y\n");
    for (int row = 0; row < 60000; row++) { /* 72 MB of doubles */
        for (int i = 0; i < 150; i++) ig_buf_printf(&text, "%d,", (int)ig_rng_below(&rng, 100));
        ig_buf_printf(&text, "%d\n", row % 2);
    }
    assert_false(text.overflowed);
    ig_params_defaults(&spec.params, IG_JOB_XGBOOST);
    ASSERT_OK(ig_blob_put(digest, world->blobs, ig_buf_view(&text), &err));
    ig_buf_deinit(&text);
    spec.data_digest = ig_str_view(digest);
    ASSERT_OK(ig_job_submit(id, world->jobs, who, &spec, &err));
    assert_true(ig_job_wait(world->jobs, ig_str_view(id), 60000));
    ASSERT_OK(ig_job_get(&job, world->jobs, ig_str_view(id), &world->arena, &err));
    assert_state(world, &job, IG_JOB_FAILED);
    if (!strstr(job.error.ptr, "memory limit")) fail_msg("%s", job.error.ptr);
}

/* Whether a training child of process `parent` lives. */
static bool has_child(pid_t parent)
{
    char wanted[48], path[300];
    int length = snprintf(wanted, sizeof wanted, "train-child%c%ld", 0, (long)parent);
    bool found = false;
    DIR *dir = opendir("/proc");
    assert_non_null(dir);
    for (struct dirent *entry; !found && (entry = readdir(dir));) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_buf text;
        snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
        ig_buf_init(&text, 100000);
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
            ig_file_read(&text, IG_FILE_CWD, path, &err) == IG_OK && text.len)
            found = memmem(text.ptr, text.len, wanted, (size_t)length + 1) != NULL;
        ig_buf_deinit(&text);
    }
    closedir(dir);
    return found;
}

static _Noreturn void be_server(struct world *world, struct ig_str table)
{
    struct ig_err err = IG_ERR_INIT;
    char digest[IG_SHA256_HEX], id[IG_ID_SIZE];
    struct ig_job_spec spec = {.target = IG_STR("y"), .model = IG_STR("m")};
    open_world(world);
    ig_params_defaults(&spec.params, IG_JOB_XGBOOST);
    spec.params.xgboost.rounds = 100000;
    spec.params.xgboost.early_stopping = 0;
    if (ig_blob_put(digest, world->blobs, table, &err) != IG_OK) _exit(2);
    spec.data_digest = ig_str_view(digest);
    if (ig_job_submit(id, world->jobs, who, &spec, &err) != IG_OK) _exit(3);
    for (;;) pause();
}

static void test_child_dies_with_the_server(void **state)
{
    struct world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_job_list list = {0};
    struct ig_str table = make_table(world, 3000, 2);
    int status;
    close_world(world);
    pid_t server = fork();
    assert_true(server >= 0);
    if (server == 0) be_server(world, table);
    for (int i = 0; i < 6000 && !has_child(server); i++) usleep(5000);
    assert_true(has_child(server));
    kill(server, SIGKILL);
    assert_int_equal(waitpid(server, &status, 0), server);
    for (int i = 0; i < 2000 && has_child(server); i++) usleep(5000);
    assert_false(has_child(server));
    open_world(world);
    ASSERT_OK(ig_job_list(&list, world->jobs, IG_STR(""), 0, &world->arena, &err));
    assert_int_equal(list.count, 1);
    assert_state(world, &list.items[0], IG_JOB_INTERRUPTED);
}

static void train_shared(struct world *world, const char *file, const char *target,
                         const char *score, double least)
{
    static const char *const params[][2] = {{"rounds", "50"}};
    struct ig_err err = IG_ERR_INIT;
    const char *shared = getenv("INGOT_SHARED_DIR"), *source = getenv("INGOT_SOURCE_DIR");
    char path[1024];
    struct ig_buf bytes;
    if (shared)
        snprintf(path, sizeof path, "%s/data/%s", shared, file);
    else
        snprintf(path, sizeof path, "%s/../shared/data/%s", source ? source : ".", file);
    if (access(path, R_OK) != 0) skip();
    ig_buf_init(&bytes, 64 << 20);
    ASSERT_OK(ig_file_read(&bytes, IG_FILE_CWD, path, &err));
    struct ig_job job = train(world, ig_buf_view(&bytes), target, params, 1);
    ig_buf_deinit(&bytes);
    assert_state(world, &job, IG_JOB_SUCCEEDED);
    if (!(metric(&job, score) > least)) fail_msg("%s: %.*s", file, IG_STR_ARGS(job.metrics_json));
}

static void test_shared_tables(void **state)
{
    train_shared(*state, "adult.csv.gz", "income", "auc", 0.92);
    train_shared(*state, "california_housing.csv", "median_house_value", "r2", 0.75);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_train_deploy_predict, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tasks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_early_stopping_cuts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_clear_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_child_dies_with_the_server, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shared_tables, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
