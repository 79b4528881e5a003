/* SPDX-License-Identifier: Apache-2.0 */
/* What goes and what stays; where a collection ends early, or fails anywhere, the next goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "services/gc/gc_priv.h"
#include "services/tracking/artifact_uploads.h"
#include "services/tracking/artifacts.h"
#include "services/tracking/logged.h"
#include "services/tracking/tracking_traces.h"
#include "stores/db_testing.h"
#include "stores/statement_testing.h"
#include "stores/temp_testing.h"

#include <fcntl.h>
#include <sys/stat.h>

static const struct ig_principal *const who = &IG_PRINCIPAL_LOCAL;
static const int64_t HOUR_MS = 3600 * 1000;

static struct world {
    struct ig_temp temp;
    struct ig_db *db;
    struct ig_blob_store *blobs;
    struct ig_tracking *tracking;
    struct ig_gc *gc;
    struct ig_arena arena;
} world;

static struct ig_err err;

static int setup(void **state)
{
    (void)state;
    err = IG_ERR_INIT;
    world = (struct world){.temp = ig_temp_make()};
    struct ig_db_options db = ig_db_testing_options(world.temp.fd);
    ASSERT_OK(ig_db_open(&world.db, &db, &err));
    ASSERT_OK(ig_blob_open(&world.blobs, NULL, world.temp.fd, &err));
    ASSERT_OK(ig_tracking_open(&world.tracking, world.db, &err));
    const struct ig_gc_options options = {.db = world.db, .blobs = world.blobs};
    ASSERT_OK(ig_gc_open(&world.gc, &options, &err));
    ig_arena_init(&world.arena, 64 << 10, 64 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_gc_close(world.gc);
    ig_tracking_close(world.tracking);
    ig_blob_close(world.blobs);
    ig_db_close(world.db);
    ig_arena_deinit(&world.arena);
    ig_temp_remove(&world.temp);
    return 0;
}

/* ---- things ---- */

static int64_t make_experiment(const char *name)
{
    int64_t id = -1;
    const struct ig_tracking_experiment_spec spec = {.name = ig_str_view(name)};
    ASSERT_OK(ig_tracking_experiment_create(&id, world.tracking, who, &spec, &err));
    return id;
}

static void put_file(struct ig_str uri, const char *name, const char *bytes)
{
    struct ig_artifact artifact = {.size_bytes = (int64_t)strlen(bytes)};
    struct ig_str directory;
    ASSERT_OK(ig_artifacts_directory(&directory, uri, "run", &err));
    const char *path = ig_arena_printf(&world.arena, "%.*s/%s", IG_STR_ARGS(directory), name);
    ASSERT_OK(ig_blob_put(artifact.digest, world.blobs, ig_str_view(bytes), &err));
    ASSERT_OK(ig_artifacts_put(world.db, who, ig_str_view(path), &artifact, &err));
}

/* A run with something in every table. */
static struct ig_tracking_run make_run(int64_t experiment, int metrics)
{
    struct ig_tracking_run run;
    const struct ig_tracking_run_spec spec = {.experiment = experiment, .start_ms = 5};
    ASSERT_OK(ig_tracking_run_create(&run, world.tracking, &spec, &world.arena, &err));
    for (int from = 0; from < metrics; from += 500) {
        struct ig_tracking_metric items[500];
        for (int i = 0; i < 500; i++)
            items[i] = (struct ig_tracking_metric){
                .key = i % 2 ? IG_STR("a") : IG_STR("b"), .value = i, .step = from + i};
        const struct ig_tracking_batch batch = {
            .metrics = {items, (size_t)(metrics - from < 500 ? metrics - from : 500)}};
        ASSERT_OK(ig_tracking_log(world.tracking, run.id, &batch, &err));
    }
    const struct ig_tracking_pair pair = {IG_STR("k"), IG_STR("v")};
    const struct ig_tracking_batch batch = {.params = {&pair, 1}, .tags = {&pair, 1}};
    ASSERT_OK(ig_tracking_log(world.tracking, run.id, &batch, &err));
    const struct ig_tracking_dataset dataset = {.name = IG_STR("d"),
                                                .digest = IG_STR("1"),
                                                .source_type = IG_STR("s"),
                                                .source = IG_STR("s"),
                                                .tags = {&pair, 1}};
    ASSERT_OK(ig_tracking_inputs_log(world.tracking, run.id,
                                     (struct ig_tracking_datasets){&dataset, 1},
                                     (struct ig_tracking_model_uses){0}, &err));
    put_file(run.artifact_root, "model/a",
             ig_arena_printf(&world.arena, "%.*s a", IG_STR_ARGS(run.id)));
    put_file(run.artifact_root, "b", "the same everywhere");
    return run;
}

static int64_t rows_of(const char *table)
{
    char sql[80];
    snprintf(sql, sizeof sql, "select count(*) from %s", table);
    return ig_statement_number(world.db, sql);
}

static int64_t rows_of_runs(void)
{
    ASSERT_OK(ig_tracking_settle(world.db, &err));
    return ig_statement_number(
        world.db, "select (select count(*) from metrics) + (select count(*) from latest_metrics)"
                  " + (select count(*) from metric_chunks)"
                  " + (select count(*) from params) + (select count(*) from run_tags)"
                  " + (select count(*) from run_inputs) + (select count(*) from run_input_tags)"
                  " + (select count(*) from run_models) + (select count(*) from artifacts)"
                  " + (select count(*) from runs)");
}

static struct ig_gc_report collect(const struct ig_gc_ask *ask)
{
    struct ig_gc_report report = {0};
    ASSERT_OK(ig_gc_run(&report, world.gc, who, ask, &err));
    return report;
}

static struct ig_gc_ask everything(void)
{
    int64_t now = ig_clock_unix_ms();
    return (struct ig_gc_ask){.deleted_before_ms = now + 1, .unused_before_ms = now - HOUR_MS};
}

/* As if all objects had come long ago. */
static bool make_old(void *context, const char *digest, int64_t committed_ms)
{
    (void)committed_ms;
    char path[80];
    const struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    snprintf(path, sizeof path, "blobs/%.2s/%s", digest, digest);
    assert_int_equal(utimensat(world.temp.fd, path, times, 0), 0);
    ++*(int *)context;
    return true;
}

static int age_objects(void)
{
    int count = 0;
    ASSERT_OK(ig_blob_each(world.blobs, "", make_old, &count, &err));
    return count;
}

/* ---- tests ---- */

static void test_runs(void **state)
{
    (void)state;
    struct ig_tracking_run run;
    struct ig_gc_ask ask = everything();
    struct ig_tracking_run live = make_run(0, 10), dead = make_run(0, 2300);
    ASSERT_OK(ig_tracking_run_delete(world.tracking, who, dead.id, &err));
    int64_t rows = rows_of_runs();
    ask.deleted_before_ms = ig_clock_unix_ms() - HOUR_MS;
    assert_int_equal(collect(&ask).runs, 0);
    ask = everything();
    ask.dry_run = true;
    struct ig_gc_report report = collect(&ask);
    assert_int_equal(report.runs, 1);
    assert_int_equal(report.metrics, 2300);
    assert_int_equal(report.artifacts, 2);
    assert_int_equal(rows_of_runs(), rows);
    ask.dry_run = false;
    report = collect(&ask);
    assert_true(report.done);
    assert_int_equal(report.runs, 1);
    assert_int_equal(report.metrics, 2300);
    assert_int_equal(report.artifacts, 2);
    assert_int_equal(report.objects, 0); /* they came a moment ago */
    ASSERT_FAILS(ig_tracking_run_get(&run, world.tracking, dead.id, &world.arena, &err),
                 IG_NOT_FOUND, "not found");
    ASSERT_OK(ig_tracking_run_get(&run, world.tracking, live.id, &world.arena, &err));
    assert_int_equal(run.params.count, 1);
    assert_int_equal(rows_of("metrics"), 10);
    assert_int_equal(rows_of("artifacts"), 2);
    assert_int_equal(
        ig_statement_number(world.db, "select count(*) from audit where action = 'run.purge'"), 1);
}

/* The one object that both runs have stays, and so does what came since. */
static void test_objects(void **state)
{
    (void)state;
    char digest[IG_SHA256_HEX], kept[IG_SHA256_HEX];
    struct ig_gc_ask ask = everything();
    make_run(0, 1);
    struct ig_tracking_run dead = make_run(0, 1);
    ASSERT_OK(ig_tracking_run_delete(world.tracking, who, dead.id, &err));
    ASSERT_OK(ig_blob_put(kept, world.blobs, IG_STR("kept"), &err));
    ASSERT_OK(ig_blob_put(digest, world.blobs, IG_STR("unused"), &err));
    assert_int_equal(age_objects(), 5);
    ASSERT_OK(ig_blob_put(digest, world.blobs, IG_STR("young"), &err));
    ASSERT_OK(ig_blob_keep(world.blobs, ig_str_view(kept), &err));
    ask = everything();
    ask.dry_run = true;
    assert_int_equal(collect(&ask).objects, 1); /* rows stay, so do their objects */
    ask.dry_run = false;
    assert_int_equal(collect(&ask).objects, 2);
    assert_int_equal(age_objects(), 4);
    assert_int_equal(collect(&ask).objects, 2);
    assert_int_equal(age_objects(), 2);
    ask.unused_before_ms = ig_clock_unix_ms() - 60 * 1000;
    struct ig_gc_report report;
    ASSERT_FAILS(ig_gc_run(&report, world.gc, who, &ask, &err), IG_INVALID, "10 minutes");
}

/* Parts of an upload stay while it is under way; one that nobody ended goes with them. */
static void test_uploads(void **state)
{
    (void)state;
    char id[IG_UPLOAD_ID_SIZE];
    struct ig_artifact part = {.size_bytes = 4};
    struct ig_gc_ask ask = everything();
    ASSERT_OK(ig_upload_create(id, world.db, IG_STR("0/r/artifacts/x"), 1, &err));
    ASSERT_OK(ig_blob_put(part.digest, world.blobs, IG_STR("part"), &err));
    ASSERT_OK(ig_upload_put(world.db, ig_str_view(id), 1, &part, &err));
    assert_int_equal(age_objects(), 1);
    assert_int_equal(collect(&ask).objects, 0);
    ig_statement_write(world.db, "update uploads set created_ms = 1");
    ask.dry_run = true;
    assert_int_equal(collect(&ask).objects, 0);
    ASSERT_OK(ig_upload_expects(world.db, ig_str_view(id), 1, &err));
    ask.dry_run = false;
    assert_int_equal(collect(&ask).objects, 1);
    ASSERT_FAILS(ig_upload_expects(world.db, ig_str_view(id), 1, &err), IG_NOT_FOUND, "no upload");
}

static void test_named(void **state)
{
    (void)state;
    struct ig_gc_report report;
    struct ig_tracking_run live = make_run(0, 1), dead = make_run(0, 1), other = make_run(0, 1);
    ASSERT_OK(ig_tracking_run_delete(world.tracking, who, dead.id, &err));
    ASSERT_OK(ig_tracking_run_delete(world.tracking, who, other.id, &err));
    struct ig_str ids[] = {dead.id, live.id};
    struct ig_gc_ask ask = everything();
    ask.runs = ids;
    ask.runs_count = 2;
    ASSERT_FAILS(ig_gc_run(&report, world.gc, who, &ask, &err), IG_INVALID,
                 "is not in the 'deleted' lifecycle stage");
    ids[1] = IG_STR("nobody");
    ASSERT_FAILS(ig_gc_run(&report, world.gc, who, &ask, &err), IG_NOT_FOUND,
                 "run_ids: there is no run 'nobody'");
    ask.runs_count = 1;
    ask.deleted_before_ms -= HOUR_MS;
    ASSERT_FAILS(ig_gc_run(&report, world.gc, who, &ask, &err), IG_INVALID, "later than that");
    ask.deleted_before_ms += HOUR_MS;
    assert_int_equal(rows_of("runs"), 3);
    assert_int_equal(collect(&ask).runs, 1);
    assert_int_equal(rows_of("runs"), 2);
    const int64_t experiments[] = {0, 77};
    ask = everything();
    ask.experiments = experiments;
    ask.experiments_count = 2;
    ASSERT_FAILS(ig_gc_run(&report, world.gc, who, &ask, &err), IG_INVALID,
                 "experiment_ids: experiment 0 is not in the 'deleted'");
    ask.experiments = experiments + 1;
    ask.experiments_count = 1;
    ASSERT_FAILS(ig_gc_run(&report, world.gc, who, &ask, &err), IG_NOT_FOUND,
                 "there is no experiment '77'");
}

static struct ig_logged_model make_model(int64_t experiment)
{
    struct ig_logged_model model;
    const struct ig_tracking_pair pair = {IG_STR("k"), IG_STR("v")};
    const struct ig_logged_spec spec = {
        .experiment = experiment, .name = IG_STR("m"), .params = {&pair, 1}, .tags = {&pair, 1}};
    ASSERT_OK(ig_logged_create(&model, world.db, &spec, &world.arena, &err));
    put_file(model.artifact_root, "MLmodel", "flavors: {}");
    return model;
}

/* What stays of two experiments when one goes. */
static const struct {
    const char *table;
    int64_t rows;
} LEFT[] = {
    {"experiments", 2},   {"datasets", 1},        {"runs", 1},
    {"logged_models", 1}, {"artifacts", 3},       {"spans", 1},
    {"assessments", 1},   {"evaluations", 1},     {"evaluation_experiments", 1},
    {"scorers", 1},       {"scorer_versions", 1}, {"scorer_configs", 0},
    {"issues", 1},
};

static void test_experiments(void **state)
{
    (void)state;
    int64_t dead = make_experiment("dead"), live = make_experiment("live");
    struct ig_gc_ask ask = everything();
    make_run(dead, 5);
    make_run(live, 5);
    struct ig_logged_model gone = make_model(live);
    make_model(dead);
    make_model(live);
    ig_statement_write(
        world.db,
        "insert into traces(id, experiment, status, start_ms) values('t', 1, 1, 1), ('u', 2, 1, "
        "1)");
    ig_statement_write(world.db,
                       "insert into spans(trace, id, name, status, start_ns, content) values"
                       " ('t', 's', 'n', 'OK', 1, '{}'), ('u', 's', 'n', 'OK', 1, '{}')");
    ig_statement_write(
        world.db,
        "insert into assessments(id, trace, kind, name, value, is_number, source_type, valid,"
        " created_ms, updated_ms) values ('a', 't', 'feedback', 'n', '1', 0, 'HUMAN', 1, 1, 1),"
        " ('b', 'u', 'feedback', 'n', '1', 0, 'HUMAN', 1, 1, 1)");
    ig_statement_write(world.db, "insert into trace_tags(trace, key, value) values('t', 'k', 'v')");
    ig_statement_write(
        world.db,
        "insert into evaluations(id, name, hash, records, last_seq, created_ms, updated_ms)"
        " values('d', 'd', 'h', 0, 0, 1, 1)");
    ig_statement_write(
        world.db,
        "insert into evaluation_experiments(evaluation, experiment) values('d', 1), ('d', 2)");
    ig_statement_write(
        world.db, "insert into scorers(id, experiment, name) values('s', 1, 's'), ('t', 2, 's')");
    ig_statement_write(
        world.db, "insert into scorer_versions(scorer, version, experiment, content, created_ms)"
                  " values('s', 1, 1, '{}', 1), ('s', 2, 1, '{}', 1), ('t', 1, 2, '{}', 1)");
    ig_statement_write(
        world.db,
        "insert into scorer_configs(scorer, id, experiment, sample_rate) values('s', 'c', 1, 0.5)");
    ig_statement_write(
        world.db, "insert into issues(id, experiment, name, description, status, severity, causes,"
                  " categories, source_run, created_by, created_ms, updated_ms) values"
                  " ('i', 1, 'n', 'd', 'pending', '', '', '', '', '', 1, 1),"
                  " ('j', 2, 'n', 'd', 'pending', '', '', '', '', '', 1, 1)");
    ASSERT_OK(ig_tracking_experiment_delete(world.tracking, who, dead, &err));
    ASSERT_OK(ig_logged_delete(world.db, who, gone.id, &err));
    ask = everything();
    struct ig_gc_report report = collect(&ask);
    assert_int_equal(report.experiments, 1);
    assert_int_equal(report.runs, 1);
    assert_int_equal(report.logged_models, 2);
    assert_int_equal(report.traces, 1);
    for (size_t i = 0; i < sizeof LEFT / sizeof LEFT[0]; i++)
        assert_int_equal(rows_of(LEFT[i].table), LEFT[i].rows);
    assert_int_equal(make_experiment("dead"), 3);
    ASSERT_OK(ig_tracking_experiment_delete(world.tracking, who, 3, &err));
    ask = everything();
    assert_int_equal(collect(&ask).experiments, 1);
    assert_int_equal(make_experiment("dead"), 4); /* an id never comes again */
}

static void test_registered_stay(void **state)
{
    (void)state;
    int64_t id = make_experiment("e");
    struct ig_tracking_run used = make_run(id, 1);
    make_run(id, 1);
    ig_statement_write(
        world.db,
        "insert into registered_models(id, name, description, created_ms, updated_ms, last_version)"
        " values(1, 'm', '', 1, 1, 1)");
    ig_statement_write(
        world.db,
        "insert into model_versions(id, model, version, description, stage, source, location, run,"
        " run_link, created_ms, updated_ms) select 1, 1, 1, '', 0, '', artifact_root || '/model', "
        "'',"
        " '', 1, 1 from runs where id = (select min(path) from (select substr(path, 3, 32) as path"
        " from artifacts) p)");
    (void)used;
    ASSERT_OK(ig_tracking_experiment_delete(world.tracking, who, id, &err));
    struct ig_gc_ask ask = everything();
    struct ig_gc_report report = collect(&ask);
    assert_int_equal(report.runs, 1);
    assert_int_equal(report.experiments, 0);
    assert_int_equal(report.kept, 2); /* the run, and its experiment */
    assert_int_equal(rows_of("runs"), 1);
    ASSERT_OK(ig_tracking_experiment_restore(world.tracking, who, id, &err));
    ASSERT_OK(ig_tracking_experiment_delete(world.tracking, who, id, &err));
    ig_statement_write(world.db, "delete from model_versions");
    ask = everything();
    report = collect(&ask);
    assert_int_equal(report.runs, 1);
    assert_int_equal(report.experiments, 1);
    assert_int_equal(report.kept, 0);
}

static void test_begun_is_not_restored(void **state)
{
    (void)state;
    struct ig_tracking_run run = make_run(0, 1);
    ASSERT_OK(ig_tracking_run_delete(world.tracking, who, run.id, &err));
    ig_statement_write(world.db, "update runs set deleted_ms = -1");
    ASSERT_FAILS(ig_tracking_run_restore(world.tracking, who, run.id, &err), IG_NOT_FOUND,
                 "not found");
    int64_t id = make_experiment("e");
    ASSERT_OK(ig_tracking_experiment_delete(world.tracking, who, id, &err));
    ig_statement_write(world.db, "update experiments set updated_ms = -1 where id = 1");
    ASSERT_FAILS(ig_tracking_experiment_restore(world.tracking, who, id, &err), IG_NOT_FOUND,
                 "No Experiment");
    struct ig_gc_ask ask = everything();
    assert_int_equal(collect(&ask).experiments, 1);
}

/* Whatever call to the store fails, what lives is whole, and the next collection ends the work. */
static void test_failing_anywhere(void **state)
{
    (void)state;
    struct ig_gc_report report;
    make_run(0, 3);
    int64_t live_rows = rows_of_runs(), failures = 0;
    for (uint64_t at = 1;; at++) {
        int64_t id = make_experiment("dead");
        make_run(id, 3);
        make_model(id);
        ASSERT_OK(ig_tracking_experiment_delete(world.tracking, who, id, &err));
        struct ig_gc_ask ask = everything();
        ask.no_objects = at % 2 == 0;
        ig_db_fail_after(at);
        enum ig_code code = ig_gc_run(&report, world.gc, who, &ask, &err);
        bool failed = ig_db_failed();
        ig_db_fail_after(0);
        if (!failed) assert_int_equal(code, IG_OK);
        failures += failed;
        ig_err_clear(&err);
        ask = everything();
        ask.no_objects = true;
        assert_true(collect(&ask).rows_done);
        assert_int_equal(rows_of_runs(), live_rows);
        assert_int_equal(rows_of("experiments"), 1);
        assert_int_equal(rows_of("logged_models"), 0);
        if (!failed) break;
    }
    assert_in_range(failures, 20, 10000);
}

/* Slices, one after the other, until it says that it is done. */
static void test_budget(void **state)
{
    (void)state;
    char digest[IG_SHA256_HEX], text[16];
    struct ig_gc_ask ask = everything();
    int64_t removed = 0, calls = 0;
    for (int i = 0; i < 40; i++) {
        snprintf(text, sizeof text, "%d", i);
        ASSERT_OK(ig_blob_put(digest, world.blobs, ig_str_view(text), &err));
    }
    struct ig_tracking_run run = make_run(0, 1500);
    ASSERT_OK(ig_tracking_run_delete(world.tracking, who, run.id, &err));
    assert_int_equal(age_objects(), 42);
    ask = everything();
    ask.budget_ns = 300 * 1000;
    for (bool done = false; !done; calls++) {
        struct ig_gc_report report = collect(&ask);
        assert_true(calls < 100000);
        removed += report.objects;
        done = report.done;
        ask.no_rows = report.rows_done;
        ask.slice = report.slice;
        ask.budget_ns += 100 * 1000; /* a slow machine comes to an end as well */
    }
    assert_int_equal(removed, 42);
    assert_true(calls > 2);
    assert_int_equal(rows_of_runs(), 0);
}

static void test_by_itself(void **state)
{
    (void)state;
    struct ig_gc *gc = NULL;
    struct ig_tracking_run run = make_run(0, 1), young = make_run(0, 1);
    ASSERT_OK(ig_tracking_run_delete(world.tracking, who, run.id, &err));
    ASSERT_OK(ig_tracking_run_delete(world.tracking, who, young.id, &err));
    ig_statement_write(world.db,
                       "update runs set deleted_ms = 1 where id = (select min(id) from runs)");
    age_objects();
    const struct ig_gc_options options = {.db = world.db,
                                          .blobs = world.blobs,
                                          .deleted_days = 1,
                                          .unused_days = 1,
                                          .first_ms = 1,
                                          .every_ms = 1};
    ASSERT_OK(ig_gc_open(&gc, &options, &err));
    for (int i = 0; i < 2000 && age_objects() > 2; i++) usleep(5000);
    ig_gc_close(gc);
    assert_int_equal(rows_of("runs"), 1);
    assert_int_equal(age_objects(), 2);
}

/* Every column that holds digests of objects is asked for. The others: of what lies inside a
 * package, of MLflow's datasets, what of a version was checked, reported or approved, and bundles
 * of fleet_bundles. */
static void test_references_are_complete(void **state)
{
    (void)state;
    if (!ig_db_testing_is_sqlite()) return;
    int64_t found = ig_statement_number(
        world.db,
        "select count(*) from sqlite_master t, pragma_table_info(t.name) c where t.type = 'table'"
        " and (c.name like '%digest%' or c.name = 'package')"
        " and t.name || '.' || c.name not in ("
#define IG_GC_REFERENCE(table, column, doc) "'" #table "." #column "',"
#include "services/gc/gc_references.def"
#undef IG_GC_REFERENCE
        "'versions.model_digest', 'datasets.digest', 'logged_model_metrics.dataset_digest',"
        " 'version_checks.digest', 'version_approvals.digest', 'version_reports.digest',"
        " 'fleet_devices.digest', 'fleet_rollouts.digest', 'fleet_deltas.from_digest',"
        " 'fleet_deltas.to_digest')");
    assert_int_equal(found, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_runs),
        TEST(test_objects),
        TEST(test_uploads),
        TEST(test_named),
        TEST(test_experiments),
        TEST(test_registered_stay),
        TEST(test_begun_is_not_restored),
        TEST(test_failing_anywhere),
        TEST(test_budget),
        TEST(test_by_itself),
        TEST(test_references_are_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
