/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/tracking/tracking_priv.h"
#include "stores/db_testing.h"
#include "stores/temp_testing.h"

#include <math.h>
#include <unistd.h>

static const struct ig_principal *const who = &IG_PRINCIPAL_LOCAL;
static const struct ig_tracking_model_uses NO_MODELS;

struct world {
    struct ig_temp temp;
    struct ig_db *db;
    struct ig_tracking *tracking;
    struct ig_arena arena;
};

static int setup(void **state)
{
    static struct world world;
    struct ig_err err = IG_ERR_INIT;
    world.temp = ig_temp_make();
    struct ig_db_options db = ig_db_testing_options(world.temp.fd);
    ASSERT_OK(ig_db_open(&world.db, &db, &err));
    ASSERT_OK(ig_tracking_open(&world.tracking, world.db, &err));
    ig_arena_init(&world.arena, 64 << 10, 64 << 20);
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

static int64_t make_experiment(struct world *world, const char *name)
{
    struct ig_err err = IG_ERR_INIT;
    int64_t id = -1;
    const struct ig_tracking_experiment_spec spec = {.name = ig_str_view(name)};
    ASSERT_OK(ig_tracking_experiment_create(&id, world->tracking, who, &spec, &err));
    return id;
}

static struct ig_str make_run(struct world *world, int64_t experiment)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_tracking_run run;
    const struct ig_tracking_run_spec spec = {.experiment = experiment, .start_ms = 5};
    ASSERT_OK(ig_tracking_run_create(&run, world->tracking, &spec, &world->arena, &err));
    return run.id;
}

static struct ig_tracking_run get_run(struct world *world, struct ig_str id)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_tracking_run run = {0};
    ASSERT_OK(ig_tracking_run_get(&run, world->tracking, id, &world->arena, &err));
    return run;
}

static struct ig_tracking_metric measured(const char *key, double value, int64_t at_ms,
                                          int64_t step)
{
    return (struct ig_tracking_metric){
        .key = ig_str_view(key), .value = value, .at_ms = at_ms, .step = step};
}

static enum ig_code log_metric(struct world *world, struct ig_str run,
                               struct ig_tracking_metric metric, struct ig_err *err)
{
    const struct ig_tracking_batch batch = {.metrics = {&metric, 1}, .single = true};
    return ig_tracking_log(world->tracking, run, &batch, err);
}

static enum ig_code log_param(struct world *world, struct ig_str run, const char *key,
                              const char *value, struct ig_err *err)
{
    const struct ig_tracking_pair param = {ig_str_view(key), ig_str_view(value)};
    const struct ig_tracking_batch batch = {.params = {&param, 1}, .single = true};
    return ig_tracking_log(world->tracking, run, &batch, err);
}

static void test_experiments(void **state)
{
    struct world *world = *state;
    struct ig_tracking *tracking = world->tracking;
    struct ig_err err = IG_ERR_INIT;
    struct ig_tracking_experiment found;
    struct ig_tracking_experiment_spec spec = {.name = IG_STR("a")};
    int64_t id;
    ASSERT_OK(ig_tracking_experiment_get(&found, tracking, 0, &world->arena, &err));
    assert_true(ig_str_is(found.name, "Default"));
    assert_int_equal(make_experiment(world, "a"), 1);
    ASSERT_FAILS(ig_tracking_experiment_create(&id, tracking, who, &spec, &err), IG_EXISTS,
                 "Experiment(name=a) already exists.");
    ASSERT_OK(ig_tracking_experiment_find(&found, tracking, IG_STR("a"), &world->arena, &err));
    assert_int_equal(found.id, 1);
    assert_true(ig_str_is(found.artifact_root, "mlflow-artifacts:/1"));
    assert_true(ig_str_is(found.stage, "active"));
    assert_int_equal(make_experiment(world, "b"), 2);
    ASSERT_FAILS(ig_tracking_experiment_rename(tracking, who, 2, IG_STR("a"), &err), IG_EXISTS,
                 "already exists");
    ASSERT_OK(ig_tracking_experiment_rename(tracking, who, 2, IG_STR("c"), &err));
    ASSERT_FAILS(ig_tracking_experiment_find(&found, tracking, IG_STR("b"), &world->arena, &err),
                 IG_NOT_FOUND, "Could not find experiment with name 'b'");
    ASSERT_FAILS(ig_tracking_experiment_get(&found, tracking, 9, &world->arena, &err), IG_NOT_FOUND,
                 "No Experiment with id=9 exists");
    spec.artifact_root = IG_STR("runs:/x");
    spec.name = IG_STR("d");
    ASSERT_FAILS(ig_tracking_experiment_create(&id, tracking, who, &spec, &err), IG_INVALID,
                 "cannot be a runs:/ URI");
    ASSERT_FAILS(ig_tracking_experiment_id(&id, IG_STR("x1"), &err), IG_INVALID,
                 "Invalid experiment ID 'x1'");
    ASSERT_OK(ig_audit_verify(world->db, &err));
}

static void test_deleting_hides(void **state)
{
    struct world *world = *state;
    struct ig_tracking *tracking = world->tracking;
    struct ig_err err = IG_ERR_INIT;
    struct ig_tracking_run run;
    int64_t id = make_experiment(world, "a");
    struct ig_str first = make_run(world, id);
    const struct ig_tracking_run_spec spec = {.experiment = id};
    const struct ig_tracking_pair tag = {IG_STR("k"), IG_STR("v")};
    ASSERT_FAILS(ig_tracking_experiment_restore(tracking, who, id, &err), IG_NOT_FOUND, "id=1");
    ASSERT_OK(ig_tracking_experiment_delete(tracking, who, id, &err));
    ASSERT_FAILS(ig_tracking_experiment_delete(tracking, who, id, &err), IG_NOT_FOUND, "id=1");
    assert_true(ig_str_is(get_run(world, first).stage, "deleted"));
    ASSERT_FAILS(ig_tracking_run_create(&run, tracking, &spec, &world->arena, &err), IG_INVALID,
                 "The experiment 1 must be in the 'active' state. Current state is deleted.");
    ASSERT_FAILS(ig_tracking_experiment_tag(tracking, id, tag, &err), IG_INVALID, "'active'");
    ASSERT_FAILS(ig_tracking_experiment_rename(tracking, who, id, IG_STR("z"), &err), IG_CONFLICT,
                 "Cannot rename");
    ASSERT_FAILS(log_param(world, first, "p", "1", &err), IG_INVALID, "The run ");
    ASSERT_OK(ig_tracking_experiment_restore(tracking, who, id, &err));
    assert_true(ig_str_is(get_run(world, first).stage, "active"));
    ASSERT_OK(ig_tracking_run_delete(tracking, who, first, &err));
    assert_true(ig_str_is(get_run(world, first).stage, "deleted"));
    ASSERT_OK(ig_tracking_run_restore(tracking, who, first, &err));
    ASSERT_OK(log_param(world, first, "p", "1", &err));
    ASSERT_FAILS(ig_tracking_run_delete(tracking, who, IG_STR("nope"), &err), IG_NOT_FOUND,
                 "Run with id=nope not found");
}

static void test_runs(void **state)
{
    struct world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_tracking_run run;
    const struct ig_tracking_pair named = {IG_STR("mlflow.runName"), IG_STR("n")};
    struct ig_tracking_run_spec spec = {.user_id = IG_STR("u"), .start_ms = 7, .tags = {&named, 1}};
    ASSERT_OK(ig_tracking_run_create(&run, world->tracking, &spec, &world->arena, &err));
    assert_int_equal(run.id.len, IG_TRACKING_RUN_ID);
    assert_true(ig_str_is(run.name, "n"));
    assert_int_equal(run.status, IG_TRACKING_RUNNING);
    assert_int_equal(run.end_ms, -1);
    assert_true(ig_str_starts(run.artifact_root, IG_STR("mlflow-artifacts:/0/")));
    assert_true(ig_str_ends(run.artifact_root, IG_STR("/artifacts")));
    spec.name = IG_STR("other");
    ASSERT_FAILS(ig_tracking_run_create(&run, world->tracking, &spec, &world->arena, &err),
                 IG_INVALID, "different values");
    const struct ig_tracking_run_update update = {
        .id = run.id, .status = IG_TRACKING_FAILED, .end_ms = 9, .name = IG_STR("m")};
    ASSERT_OK(ig_tracking_run_update(&run, world->tracking, &update, &world->arena, &err));
    run = get_run(world, update.id);
    assert_int_equal(run.status, IG_TRACKING_FAILED);
    assert_int_equal(run.end_ms, 9);
    assert_true(ig_str_is(run.name, "m"));
    assert_int_equal(run.tags.count, 1);
    assert_true(ig_str_is(run.tags.items[0].value, "m"));
    assert_true(make_run(world, 0).len && get_run(world, make_run(world, 0)).name.len);
    ASSERT_FAILS(ig_tracking_run_untag(world->tracking, update.id, IG_STR("nope"), &err),
                 IG_NOT_FOUND, "No tag with name: nope in run with id ");
    ASSERT_OK(ig_tracking_run_untag(world->tracking, update.id, named.key, &err));
}

static void test_params_once(void **state)
{
    struct world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_str run = make_run(world, 0);
    char longer[IG_TRACKING_PARAM_MAX + 2];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    ASSERT_OK(log_param(world, run, "p", "1", &err));
    ASSERT_OK(log_param(world, run, "p", "1", &err));
    ASSERT_FAILS(log_param(world, run, "p", "2", &err), IG_INVALID,
                 "Param with key='p' was already logged with value='1'");
    ASSERT_OK(log_param(world, run, "long", longer, &err));
    ASSERT_OK(log_param(world, run, "empty", "", &err));
    struct ig_tracking_run got = get_run(world, run);
    assert_int_equal(got.params.count, 3);
    assert_int_equal(got.params.items[1].value.len, IG_TRACKING_PARAM_MAX);
}

static void test_latest_metric(void **state)
{
    const struct ig_tracking_metric logged[] = {measured("m", 1, 10, 5), measured("m", 2, 9, 5),
                                                measured("m", 3, 99, 4), measured("m", 4, 10, 5),
                                                measured("m", -1, 10, 5)};
    struct world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_str run = make_run(world, 0);
    for (size_t i = 0; i < sizeof logged / sizeof logged[0]; i++)
        ASSERT_OK(log_metric(world, run, logged[i], &err));
    struct ig_tracking_run got = get_run(world, run);
    assert_int_equal(got.metrics.count, 1);
    assert_true(got.metrics.items[0].value == 4);
    ASSERT_OK(log_metric(world, run, measured("m", NAN, 10, 6), &err));
    ASSERT_OK(log_metric(world, run, measured("n", INFINITY, 1, 1), &err));
    ASSERT_OK(log_metric(world, run, measured("n", -INFINITY, 1, 1), &err));
    got = get_run(world, run);
    assert_int_equal(got.metrics.count, 2);
    assert_true(isnan(got.metrics.items[0].value));
    assert_true(got.metrics.items[1].value == (double)INFINITY);
    ASSERT_FAILS(log_metric(world, run, measured("m", 1, -1, 0), &err), IG_INVALID,
                 "Invalid value -1 for parameter 'timestamp'");
}

static void test_keys(void **state)
{
    static const struct {
        const char *key, *text;
    } bad[] = {{"", "Missing value for required parameter 'key'"},
               {"a*b", "Names may only contain"},
               {"a\nb", "Names may only contain"},
               {"a//b", "would resolve to 'a/b'"},
               {"./a", "would resolve to 'a'"},
               {"a/../b", "would resolve to 'b'"},
               {"../a", "would resolve to '../a'"},
               {"/a", "would resolve to '/a'"},
               {"a/", "would resolve to 'a'"},
               {".", "would resolve to '.'"}};
    static const char *const good[] = {"a", "a/b c", "a.b-c_d:e", "caf\xc3\xa9", ".a"};
    struct world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_str run = make_run(world, 0);
    char longer[IG_TRACKING_KEY_MAX + 2];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ASSERT_FAILS(log_param(world, run, bad[i].key, "v", &err), IG_INVALID, bad[i].text);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        ASSERT_OK(log_param(world, run, good[i], "v", &err));
    memset(longer, 'k', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    ASSERT_FAILS(log_param(world, run, longer, "v", &err), IG_INVALID,
                 "'key' exceeds the maximum length of 250 characters");
    longer[IG_TRACKING_KEY_MAX] = '\0';
    ASSERT_OK(log_param(world, run, longer, "v", &err));
}

static void test_batch_is_atomic(void **state)
{
    struct world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_str run = make_run(world, 0);
    static struct ig_tracking_metric metrics[IG_TRACKING_METRICS_MAX + 1];
    struct ig_tracking_pair params[2] = {{IG_STR("p"), IG_STR("1")}, {IG_STR("q"), IG_STR("1")}};
    const struct ig_tracking_pair tag = {IG_STR("mlflow.runName"), IG_STR("renamed")};
    for (size_t i = 0; i <= IG_TRACKING_METRICS_MAX; i++)
        metrics[i] = measured("m", (double)i, 1, (int64_t)i);
    ASSERT_OK(log_param(world, run, "q", "0", &err));
    struct ig_tracking_batch batch = {.metrics = {metrics, 3}, .params = {params, 2}};
    ASSERT_FAILS(ig_tracking_log(world->tracking, run, &batch, &err), IG_INVALID,
                 "'key': 'q', 'old_value': '0', 'new_value': '1'");
    assert_int_equal(get_run(world, run).params.count, 1);
    assert_int_equal(get_run(world, run).metrics.count, 0);
    params[1].key = params[0].key;
    ASSERT_FAILS(ig_tracking_log(world->tracking, run, &batch, &err), IG_INVALID,
                 "Duplicate parameter keys have been submitted: ['p']");
    batch = (struct ig_tracking_batch){.metrics = {metrics, IG_TRACKING_METRICS_MAX + 1}};
    ASSERT_FAILS(ig_tracking_log(world->tracking, run, &batch, &err), IG_INVALID,
                 "at most 1000 metrics. Got 1001 metrics");
    batch.metrics.count = IG_TRACKING_METRICS_MAX;
    batch.tags = (struct ig_tracking_pairs){&tag, 1};
    ASSERT_FAILS(ig_tracking_log(world->tracking, run, &batch, &err), IG_INVALID,
                 "at most 1000 metrics, params, and tags. Got 1001");
    batch.metrics.count--;
    ASSERT_OK(ig_tracking_log(world->tracking, run, &batch, &err));
    assert_true(get_run(world, run).metrics.items[0].value == 998);
    assert_true(ig_str_is(get_run(world, run).name, "renamed"));
}

static void test_history(void **state)
{
    struct world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_str run = make_run(world, 0);
    struct ig_tracking_history page = {0};
    struct ig_tracking_history_query query = {.run = run, .key = IG_STR("m"), .max = 4};
    int64_t last = -1;
    size_t seen = 0, sum = 0;
    for (int64_t i = 0; i < 10; i++) {
        struct ig_tracking_metric metric = measured(query.key.ptr, (double)i, i / 3, 9 - i);
        ASSERT_OK(log_metric(world, run, metric, &err));
        ASSERT_OK(log_metric(world, run, metric, &err)); /* dropped */
    }
    for (int i = 0; i < 12; i++) { /* half of them dropped */
        static const double values[] = {-2.5, NAN, 1e300, INFINITY, -0.1, -INFINITY};
        ASSERT_OK(log_metric(world, run, measured(query.key.ptr, values[i % 6], 3, 5), &err));
    }
    do {
        ASSERT_OK(ig_tracking_history(&page, world->tracking, &query, &world->arena, &err));
        assert_true(page.points.count > 0 && page.points.count <= 4);
        for (size_t i = 0; i < page.points.count; i++, seen++) {
            int64_t place = page.points.items[i].at_ms * 100 + page.points.items[i].step;
            assert_true(place >= last);
            last = place;
            sum += isfinite(page.points.items[i].value) ? 0 : 1;
        }
        query.token = page.next;
    } while (page.next.len);
    assert_int_equal(seen, 16);
    assert_int_equal(sum, 3);
    static const char *const wrong[] = {"1.2", "1.2.3.x", "1.2.3.-1", "1.2.3.4.5"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        query.token = ig_str_view(wrong[i]);
        ASSERT_FAILS(ig_tracking_history(&page, world->tracking, &query, &world->arena, &err),
                     IG_INVALID, "parameter 'page_token'");
    }
    query.token = IG_STR("");
    query.run = IG_STR("nope");
    ASSERT_FAILS(ig_tracking_history(&page, world->tracking, &query, &world->arena, &err),
                 IG_NOT_FOUND, "Run with id=nope not found");
}

static void test_inputs(void **state)
{
    struct world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_str first = make_run(world, 0), second = make_run(world, 0);
    const struct ig_tracking_pair tag = {IG_STR("mlflow.data.context"), IG_STR("training")};
    struct ig_tracking_dataset dataset = {.name = IG_STR("d"),
                                          .digest = IG_STR("abc"),
                                          .source_type = IG_STR("local"),
                                          .source = IG_STR("{}"),
                                          .profile = IG_STR("p"),
                                          .tags = {&tag, 1}};
    const struct ig_tracking_datasets datasets = {&dataset, 1};
    ASSERT_OK(ig_tracking_inputs_log(world->tracking, first, datasets, NO_MODELS, &err));
    dataset.tags.count = 0;
    dataset.source = IG_STR("other");
    ASSERT_OK(ig_tracking_inputs_log(world->tracking, first, datasets, NO_MODELS, &err));
    ASSERT_OK(ig_tracking_inputs_log(world->tracking, second, datasets, NO_MODELS, &err));
    struct ig_tracking_run run = get_run(world, first);
    assert_int_equal(run.inputs.count, 1);
    assert_true(ig_str_is(run.inputs.items[0].source, "{}"));
    assert_null(run.inputs.items[0].schema.ptr);
    assert_true(ig_str_is(run.inputs.items[0].profile, "p"));
    assert_int_equal(run.inputs.items[0].tags.count, 1);
    run = get_run(world, second);
    assert_int_equal(run.inputs.count, 1);
    assert_int_equal(run.inputs.items[0].tags.count, 0);
    dataset.digest = IG_STR("0123456789012345678901234567890123456");
    ASSERT_FAILS(ig_tracking_inputs_log(world->tracking, first, datasets, NO_MODELS, &err),
                 IG_INVALID, "'digest' exceeds the maximum length of 36 characters");
}

static void assert_pairs(struct ig_tracking_pairs a, struct ig_tracking_pairs b)
{
    assert_int_equal(a.count, b.count);
    for (size_t i = 0; i < a.count; i++)
        assert_true(ig_str_eq(a.items[i].key, b.items[i].key) &&
                    ig_str_eq(a.items[i].value, b.items[i].value));
}

/* Read together, runs are what they are alone, each in the place of its id. */
static void test_runs_together(void **state)
{
    enum { RUNS = 4, GONE = 2 };
    static const char *const keys[] = {"a", "b", "c"};
    struct world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_tracking_run runs[RUNS];
    struct ig_str ids[RUNS];
    struct ig_tracking_dataset dataset = {.name = IG_STR("d"),
                                          .digest = IG_STR("abc"),
                                          .source_type = IG_STR("local"),
                                          .source = IG_STR("{}")};
    for (size_t i = 0; i < RUNS; i++) {
        ids[i] = i == GONE ? IG_STR("0123456789abcdef0123456789abcdef") : make_run(world, 0);
        for (size_t k = 0; i != GONE && k < 3; k++) {
            double value = (double)(10 * i + k);
            ASSERT_OK(log_metric(world, ids[i], measured(keys[k], value, 1, 1), &err));
            ASSERT_OK(log_param(world, ids[i], keys[k], i ? "later" : "first", &err));
        }
    }
    ASSERT_OK(ig_tracking_inputs_log(world->tracking, ids[3],
                                     (struct ig_tracking_datasets){&dataset, 1}, NO_MODELS, &err));
    ASSERT_OK(ig_tracking_runs_get(runs, world->tracking, ids, RUNS, &world->arena, &err));
    assert_int_equal(runs[GONE].id.len, 0);
    for (size_t i = 0; i < RUNS; i++) {
        if (i == GONE) continue;
        struct ig_tracking_run alone = get_run(world, ids[i]);
        assert_true(ig_str_eq(runs[i].id, ids[i]) && ig_str_eq(runs[i].name, alone.name));
        assert_int_equal(runs[i].metrics.count, 3);
        for (size_t k = 0; k < 3; k++) {
            assert_true(ig_str_is(runs[i].metrics.items[k].key, keys[k]));
            assert_true(runs[i].metrics.items[k].value == (double)(10 * i + k));
        }
        assert_int_equal(runs[i].params.count, 3);
        assert_pairs(runs[i].params, alone.params);
        assert_true(runs[i].tags.count > 0);
        assert_pairs(runs[i].tags, alone.tags);
        assert_int_equal(runs[i].inputs.count, i == 3);
    }
}

/* Batches of every length around the sizes of statements, keys and steps that come twice, in one
 * batch and in two: the same as one by one, which the second run is given. */
static void test_batches_as_single(void **state)
{
    struct world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    static struct ig_tracking_metric items[IG_TRACKING_METRICS_MAX];
    static const size_t sizes[] = {1, 9, 10, 11, 49, 50, 51, 60, 121, 1000};
    struct ig_str a = make_run(world, 0), b = make_run(world, 0);
    uint64_t draw = 42;
    for (size_t round = 0; round < sizeof sizes / sizeof *sizes; round++) {
        for (size_t i = 0; i < sizes[round]; i++) {
            static const char *const keys[] = {"k", "l", "m/n", "o", "p", "q", "r"};
            draw = draw * 6364136223846793005u + 1442695040888963407u;
            unsigned at = (unsigned)(draw >> 33);
            double value = at % 11 == 0 ? NAN : at % 13 == 0 ? INFINITY : (double)(at % 5) - 2;
            items[i] =
                measured(keys[at % 7], value, (int64_t)(at / 7 % 3), (int64_t)(at / 21 % 40));
            ASSERT_OK(log_metric(world, b, items[i], &err));
        }
        const struct ig_tracking_batch batch = {.metrics = {items, sizes[round]}};
        ASSERT_OK(ig_tracking_log(world->tracking, a, &batch, &err));
        struct ig_tracking_run x = get_run(world, a), y = get_run(world, b);
        assert_int_equal(x.metrics.count, y.metrics.count);
        for (size_t i = 0; i < x.metrics.count; i++) {
            const struct ig_tracking_metric *p = &x.metrics.items[i], *q = &y.metrics.items[i];
            assert_true(ig_str_eq(p->key, q->key) && p->step == q->step && p->at_ms == q->at_ms);
            assert_true(p->value == q->value || (isnan(p->value) && isnan(q->value)));
            struct ig_tracking_history h, g;
            struct ig_tracking_history_query query = {.run = a, .key = p->key, .max = 25000};
            ASSERT_OK(ig_tracking_history(&h, world->tracking, &query, &world->arena, &err));
            query.run = b;
            ASSERT_OK(ig_tracking_history(&g, world->tracking, &query, &world->arena, &err));
            assert_int_equal(h.points.count, g.points.count);
        }
    }
}

/* Values of one step and time: each is kept once. */
static void test_repeated_metrics(void **state)
{
    enum { BATCH = 1000, COUNT = 3 * BATCH };
    static struct ig_tracking_metric metrics[BATCH];
    struct world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_str run = make_run(world, 0);
    struct ig_tracking_history page;
    const struct ig_tracking_batch batch = {.metrics = {metrics, BATCH}};
    const struct ig_tracking_history_query query = {
        .run = run, .key = IG_STR("m"), .token = IG_STR(""), .max = 2 * COUNT};
    for (int i = 0; i < 2 * COUNT; i++) { /* the second half repeats the first */
        double value = i % COUNT;
        metrics[i % BATCH] = measured("m", value == 7 ? NAN : value == 8 ? INFINITY : value, 5, 3);
        if (i % BATCH == BATCH - 1) ASSERT_OK(ig_tracking_log(world->tracking, run, &batch, &err));
    }
    ASSERT_OK(ig_tracking_history(&page, world->tracking, &query, &world->arena, &err));
    assert_int_equal(page.points.count, COUNT);
    assert_true(page.points.items[0].value == 0); /* by value: NaN counts as 0 */
    assert_true(isnan(page.points.items[1].value) && isinf(page.points.items[COUNT - 1].value));
    for (int i = 9; i < COUNT; i++) assert_true(page.points.items[i - 1].value == i);
}

/* MLflow's own statement (_sample_rows_with_window_functions) for SQLite, without the last value.
 */
static enum ig_code sample_by_sql(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct ig_buf *out = context;
    struct ig_db_rows *rows = NULL;
    int64_t max = (int64_t)out->len;
    ig_buf_reset(out);
    ig_db_query_once(&rows, tx,
                     "select step, value from (select *, row_number() over (partition by bucket"
                     " order by step, at_ms, value) as n from (select step, at_ms, value,"
                     " ntile($1) over (order by step, at_ms, value) as bucket from metrics where"
                     " key = 's' and step >= 3)) where n = 1 order by step, at_ms, value",
                     IG_DB_VALUES(IG_DB_I(max)), err);
    while (err->code == IG_OK && ig_db_next(rows, err))
        ig_buf_printf(out, "%lld:%g ", (long long)ig_db_i64(rows, 0), ig_db_f64(rows, 1));
    ig_db_finish(rows);
    return err->code;
}

static void test_samples(void **state)
{
    enum { COUNT = 97, LAST = 32 };
    struct world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    if (!ig_db_testing_is_sqlite()) skip();
    struct ig_str run = make_run(world, 0);
    struct ig_buf wanted, got;
    ig_buf_init(&wanted, 1 << 16);
    ig_buf_init(&got, 1 << 16);
    for (int i = 0; i < COUNT; i++) { /* three values a step, in no order; each a row */
        ASSERT_OK(log_metric(world, run, measured("s", i, 5, (i * 31 % COUNT) / 3), &err));
        ASSERT_OK(ig_tracking_settle(world->db, &err));
    }
    for (size_t max = 1; max <= COUNT + 3; max++) {
        const struct ig_tracking_sample_query query = {
            .run = run, .key = IG_STR("s"), .start_step = 3, .end_step = LAST, .max = max};
        struct ig_tracking_points sample = {NULL, 0};
        ASSERT_OK(
            ig_tracking_history_sample(&sample, world->tracking, &query, &world->arena, &err));
        assert_int_equal(sample.count, max < COUNT - 9 ? max : COUNT - 9);
        assert_int_equal(sample.items[sample.count - 1].step, LAST);
        wanted.len = max; /* tells it how many */
        ASSERT_OK(ig_db_read(world->db, sample_by_sql, &wanted, &err));
        ig_buf_reset(&got);
        for (size_t i = 0; i < sample.count; i++)
            ig_buf_printf(&got, "%lld:%g ", (long long)sample.items[i].step, sample.items[i].value);
        struct ig_str rest = ig_buf_view(&wanted), mine = ig_buf_view(&got);
        for (size_t i = 0; i + 1 < sample.count; i++) /* the last is the last of all */
            assert_true(ig_str_eq(ig_str_cut(&rest, ' '), ig_str_cut(&mine, ' ')));
    }
    ig_buf_deinit(&wanted);
    ig_buf_deinit(&got);
}

static void expect_artifacts(struct world *world, const char *location, const char *wanted)
{
    static int number;
    char name[16], text[256];
    struct ig_err err = IG_ERR_INIT;
    int64_t id;
    snprintf(name, sizeof name, "at%d", number++);
    const struct ig_tracking_experiment_spec spec = {.name = ig_str_view(name),
                                                     .artifact_root = ig_str_view(location)};
    ASSERT_OK(ig_tracking_experiment_create(&id, world->tracking, who, &spec, &err));
    struct ig_str run = make_run(world, id);
    snprintf(text, sizeof text, wanted, IG_STR_ARGS(run));
    struct ig_str root = get_run(world, run).artifact_root;
    if (!ig_str_is(root, text)) fail_msg("%.*s, not %s", IG_STR_ARGS(root), text);
}

/* As MLflow's append_to_uri_path has them. */
static void test_artifact_roots(void **state)
{
    struct world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    int64_t id;
    struct ig_tracking_experiment_spec spec = {.name = IG_STR("x")};
    char here[1024], wanted[1100];
    expect_artifacts(world, "s3://b/p", "s3://b/p/%.*s/artifacts");
    expect_artifacts(world, "s3://b/p/", "s3://b/p/%.*s/artifacts");
    expect_artifacts(world, "s3://b", "s3://b/%.*s/artifacts");
    expect_artifacts(world, "s3://b/p?x=1", "s3://b/p/%.*s/artifacts?x=1");
    expect_artifacts(world, "s3://b?x=1/2", "s3://b/%.*s/artifacts?x=1/2");
    expect_artifacts(world, "mlflow-artifacts:/?x", "mlflow-artifacts:/%.*s/artifacts?x");
    expect_artifacts(world, "mlflow-artifacts:?x", "mlflow-artifacts:%.*s/artifacts?x");
    expect_artifacts(world, "mlflow-artifacts:/0?", "mlflow-artifacts:/0/%.*s/artifacts");
    expect_artifacts(world, "/tmp/a?b", "/tmp/a?b/%.*s/artifacts");
    expect_artifacts(world, "file:a", "file:a/%.*s/artifacts");
    assert_non_null(getcwd(here, sizeof here));
    snprintf(wanted, sizeof wanted, "%s/my_place:1/%%.*s/artifacts", here);
    expect_artifacts(world, "my_place:1", wanted);
    spec.artifact_root = IG_STR("s3://b/p?x=1#f");
    ASSERT_FAILS(ig_tracking_experiment_create(&id, world->tracking, who, &spec, &err), IG_INVALID,
                 "expected a URI without a fragment");
    spec.artifact_root = IG_STR("s3://b/p?x=%2e%2E/y");
    ASSERT_FAILS(ig_tracking_experiment_create(&id, world->tracking, who, &spec, &err), IG_INVALID,
                 "Invalid query string");
}

static void test_nth_call_fails(void **state)
{
    struct world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_str run = make_run(world, 0);
    bool refused = true;
    for (uint64_t n = 1; refused; n++) {
        char key[24];
        assert_true(n < 100);
        snprintf(key, sizeof key, "p%d", (int)n);
        const struct ig_tracking_pair param = {ig_str_view(key), IG_STR("v")};
        const struct ig_tracking_metric metric = measured(key, 1, 1, 1);
        const struct ig_tracking_batch batch = {.metrics = {&metric, 1}, .params = {&param, 1}};
        ig_err_clear(&err);
        ig_db_fail_after(n);
        enum ig_code code = ig_tracking_log(world->tracking, run, &batch, &err);
        refused = ig_db_failed();
        ig_db_fail_after(0);
        assert_int_equal(code, refused ? IG_IO : IG_OK);
        assert_int_equal(get_run(world, run).params.count, refused ? 0 : 1);
        assert_int_equal(get_run(world, run).metrics.count, refused ? 0 : 1);
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_experiments),
        CASE(test_deleting_hides),
        CASE(test_runs),
        CASE(test_params_once),
        CASE(test_latest_metric),
        CASE(test_keys),
        CASE(test_batch_is_atomic),
        CASE(test_history),
        CASE(test_runs_together),
        CASE(test_inputs),
        CASE(test_nth_call_fails),
        CASE(test_repeated_metrics),
        CASE(test_batches_as_single),
        CASE(test_artifact_roots),
        CASE(test_samples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
