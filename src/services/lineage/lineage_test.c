/* SPDX-License-Identifier: Apache-2.0 */
/* Lineage both ways, over both registries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/lineage/lineage.h"
#include "services/registered/registered.h"
#include "services/registry/world_testing.h"
#include "stores/statement_testing.h"

#include <stdio.h>

static struct ig_world world;
static struct ig_tracking *tracking;
static struct ig_err err;

static int setup(void **state)
{
    (void)state;
    err = IG_ERR_INIT;
    ig_world_open(&world);
    ASSERT_OK(ig_tracking_open(&tracking, world.db, &err));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_tracking_close(tracking);
    ig_world_close(&world);
    return 0;
}

static enum ig_code rename_model(struct ig_db_tx *tx, void *context, struct ig_err *inner)
{
    (void)context;
    return ig_registry_model_rename(tx, IG_STR("m"), IG_STR("new"), inner);
}

static struct ig_lineage get(const char *model, int64_t version)
{
    struct ig_lineage found = {0};
    ASSERT_OK(ig_lineage_get(&found, world.db, ig_str_view(model), version, &world.arena, &err));
    return found;
}

static struct ig_lineage_versions from(enum ig_lineage_kind kind, struct ig_str id)
{
    struct ig_lineage_versions found = {0};
    ASSERT_OK(ig_lineage_from(&found, world.db, kind, id, &world.arena, &err));
    return found;
}

/* A version that a job made, deployed twice, once of old. */
static void test_job_and_deployments(void **state)
{
    (void)state;
    assert_int_equal(ig_world_register(&world, "m", -1), 1);
    assert_int_equal(ig_world_register(&world, "m", -2), 2);
    ig_statement_write(
        world.db,
        "insert into jobs(id, state, engine, target, data_digest, data_path, model, params,"
        " time_limit_s, memory_limit_mb, principal_id, principal_name, created_ms, started_ms,"
        " finished_ms, progress, metrics, error, version) values('j', 2, 'xgboost', 't', 'dd', '',"
        " 'm', '{\"rounds\":3}', 1, 1, '', 'local', 1, 2, 3, 1, '{}', '', 1)");
    ig_statement_write(world.db, "update versions set job_id = 'j' where version = 1");
    ig_statement_write(
        world.db,
        "insert into deployments(name, model, version, ref, created_ms, updated_ms, revision)"
        " values('d', 'm', 2, '', 1, 1, 2)");
    ig_statement_write(
        world.db,
        "insert into deployments(name, model, version, ref, created_ms, updated_ms, revision)"
        " values('e', 'm', 1, '', 1, 1, 1)");
    ig_statement_write(
        world.db,
        "insert into routed(deployment, revision, model, version) values('d', 1, 'm', 1)");
    ig_statement_write(
        world.db,
        "insert into routed(deployment, revision, model, version) values('d', 2, 'm', 2)");
    ig_statement_write(
        world.db,
        "insert into routed(deployment, revision, model, version) values('e', 1, 'm', 1)");
    struct ig_lineage found = get("m", 1);
    assert_non_null(found.job);
    assert_true(ig_str_is(found.job->id, "j") && ig_str_is(found.job->state, "succeeded"));
    assert_true(ig_str_is(found.job->data_digest, "dd") && found.run == NULL);
    assert_int_equal(found.of.uses_count, 2);
    assert_true(found.of.uses[0].current && ig_str_is(found.of.uses[0].deployment, "e"));
    assert_true(!found.of.uses[1].current && ig_str_is(found.of.uses[1].deployment, "d"));
    assert_true(found.of.uses[1].revision == 1);
    struct ig_lineage_versions versions = from(IG_LINEAGE_DATA, IG_STR("dd"));
    assert_true(versions.count == 1 && versions.items[0].version == 1 && !versions.more);
    assert_int_equal(versions.items[0].uses_count, 2);
    assert_int_equal(from(IG_LINEAGE_JOB, IG_STR("j")).count, 1);
    assert_int_equal(from(IG_LINEAGE_JOB, IG_STR("none")).count, 0);
}

/* A version of MLflow's clients: its run, what that read, and the version copied from it. */
static void test_run_and_copies(void **state)
{
    (void)state;
    const struct ig_registered_by by = {
        .db = world.db, .who = &IG_PRINCIPAL_LOCAL, .arena = &world.arena};
    const struct ig_tracking_dataset data[] = {{.name = IG_STR("train"),
                                                .digest = IG_STR("abc"),
                                                .source_type = IG_STR("local"),
                                                .source = IG_STR("a.csv")},
                                               {.name = IG_STR("eval"),
                                                .digest = IG_STR("def"),
                                                .source_type = IG_STR("local"),
                                                .source = IG_STR("b.csv")}};
    const struct ig_tracking_run_spec run_spec = {.name = IG_STR("r"), .user_id = IG_STR("u")};
    struct ig_tracking_run run = {.id = IG_STR("")};
    struct ig_registered_model model;
    struct ig_registered_version version;
    ASSERT_OK(ig_tracking_run_create(&run, tracking, &run_spec, &world.arena, &err));
    ASSERT_OK(ig_tracking_inputs_log(tracking, run.id, (struct ig_tracking_datasets){data, 2},
                                     (struct ig_tracking_model_uses){NULL, 0}, &err));
    const struct ig_registered_spec spec = {IG_STR("a"), IG_STR(""), {NULL, 0}};
    ASSERT_OK(ig_registered_create(&model, &by, &spec, &err));
    struct ig_registered_version_spec first = {.name = IG_STR("a"),
                                               .source = IG_STR("s3://b/m"),
                                               .description = IG_STR(""),
                                               .run_link = IG_STR(""),
                                               .run = run.id};
    ASSERT_OK(ig_registered_version_create(&version, &by, &first, &err));
    first.source = IG_STR("models:/a/1");
    ASSERT_OK(ig_registered_version_create(&version, &by, &first, &err));
    struct ig_lineage found = get("a", 1);
    assert_true(found.run && ig_str_eq(found.run->id, run.id) && ig_str_is(found.run->name, "r"));
    assert_true(found.datasets_count == 2 && ig_str_is(found.datasets[1].digest, "def"));
    assert_true(found.job == NULL && found.of.digest.len == 0);
    assert_true(found.copies.count == 1 && found.copies.items[0].version == 2);
    assert_int_equal(from(IG_LINEAGE_RUN, run.id).count, 2);
    assert_int_equal(from(IG_LINEAGE_DATA, IG_STR("def")).count, 2);
    assert_int_equal(from(IG_LINEAGE_MODEL, IG_STR("m-0")).count, 0);
}

/* A version made of another, also after that has another name. */
static void test_made_of(void **state)
{
    (void)state;
    assert_int_equal(ig_world_register(&world, "m", -1), 1);
    assert_int_equal(ig_world_register(&world, "mm", -2), 1);
    ig_statement_write(world.db, "update versions set source = 'models:/m/1' where model = 'mm'");
    assert_true(ig_str_is(get("mm", 1).of.source, "models:/m/1"));
    struct ig_lineage found = get("m", 1);
    assert_true(found.copies.count == 1 && ig_str_is(found.copies.items[0].model, "mm"));
    ig_statement_write(
        world.db, "insert into fleet_groups(name, target, public_key, drift_threshold, created_ms)"
                  " values('meters', '', 'k', 1, 1)");
    ig_statement_write(
        world.db,
        "insert into fleet_bundles(group_name, counter, digest, id, target, signature, source,"
        " expiry_s, size_bytes, arena_bytes, created_ms)"
        " values('meters', 7, 'bb', 'm', '', 's', 'models:/m/1', 0, 1, 1, 1)");
    ASSERT_OK(ig_db_write(world.db, rename_model, NULL, &err));
    assert_true(ig_str_is(get("mm", 1).of.source, "models:/new/1"));
    found = get("new", 1);
    assert_true(found.copies.count == 1 && found.bundles_count == 1);
    assert_true(found.bundles[0].counter == 7 && ig_str_is(found.bundles[0].group, "meters"));
}

static void test_refused(void **state)
{
    (void)state;
    struct ig_lineage found;
    struct ig_lineage_versions versions;
    ASSERT_FAILS(ig_lineage_get(&found, world.db, IG_STR("m"), 1, &world.arena, &err), IG_NOT_FOUND,
                 "model 'm' has no version 1");
    ASSERT_FAILS(
        ig_lineage_from(&versions, world.db, IG_LINEAGE_RUN, IG_STR(""), &world.arena, &err),
        IG_INVALID, "id: it is empty");
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(test_job_and_deployments), CASE(test_run_and_copies),
                                       CASE(test_made_of), CASE(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
