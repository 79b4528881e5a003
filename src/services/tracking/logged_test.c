/* SPDX-License-Identifier: Apache-2.0 */
/* Logged models, what runs say of them, and searches for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/tracking/logged.h"
#include "services/tracking/tracking_search.h"
#include "services/tracking/tracking_testing.h"

#include <math.h>
#include <string.h>

static struct ig_str make_run(void)
{
    struct ig_tracking_run run;
    const struct ig_tracking_run_spec spec = {.start_ms = 5};
    ASSERT_OK(ig_tracking_run_create(&run, tracking, &spec, &arena, &err));
    return run.id;
}

static struct ig_logged_model make(const char *name)
{
    struct ig_logged_model model;
    const struct ig_tracking_pair param = {IG_STR("depth"), IG_STR("6")},
                                  tag = {IG_STR("team"), ig_str_view(name)};
    const struct ig_logged_spec spec = {.name = ig_str_view(name),
                                        .model_type = IG_STR("tree"),
                                        .source_run = IG_STR("r"),
                                        .params = {&param, 1},
                                        .tags = {&tag, 1}};
    ASSERT_OK(ig_logged_create(&model, db, &spec, &arena, &err));
    return model;
}

static void measure(struct ig_str run, struct ig_str model, const char *dataset, int64_t step,
                    double value)
{
    const struct ig_tracking_metric metric = {.key = IG_STR("auc"),
                                              .value = value,
                                              .at_ms = 10 + step,
                                              .step = step,
                                              .model_id = model,
                                              .dataset_name = ig_str_view(dataset),
                                              .dataset_digest = IG_STR("d1")};
    const struct ig_tracking_batch batch = {.metrics = {&metric, 1}, .single = true};
    ASSERT_OK(ig_tracking_log(tracking, run, &batch, &err));
}

static void test_a_model(void **state)
{
    (void)state;
    struct ig_logged_model model = make("churn"), again;
    assert_int_equal(model.id.len, IG_LOGGED_ID);
    assert_true(ig_str_starts(model.id, IG_STR("m-")));
    assert_int_equal(model.status, IG_LOGGED_PENDING);
    assert_string_equal(
        model.artifact_root.ptr,
        ig_arena_printf(&arena, "mlflow-artifacts:/0/models/%s/artifacts", model.id.ptr));
    assert_true(ig_str_is(model.params.items[0].value, "6"));
    assert_true(ig_str_is(model.tags.items[0].value, "churn"));
    ASSERT_OK(ig_logged_finalize(&again, db, model.id, IG_LOGGED_READY, &arena, &err));
    assert_int_equal(again.status, IG_LOGGED_READY);
    const struct ig_tracking_pair tags[] = {{IG_STR("a"), IG_STR("1")}, {IG_STR("a"), IG_STR("2")}};
    ASSERT_OK(ig_logged_tag(db, model.id, (struct ig_tracking_pairs){tags, 2}, &err));
    ASSERT_OK(ig_logged_get(&again, db, model.id, false, &arena, &err));
    assert_int_equal(again.tags.count, 2);
    assert_true(ig_str_is(again.tags.items[0].value, "2"));
    ASSERT_OK(ig_logged_untag(db, model.id, IG_STR("a"), &err));
    ASSERT_FAILS(ig_logged_untag(db, model.id, IG_STR("a"), &err), IG_NOT_FOUND,
                 "No tag with key 'a' found for model with ID");
    ASSERT_OK(ig_logged_delete(db, &IG_PRINCIPAL_LOCAL, model.id, &err));
    ASSERT_FAILS(ig_logged_get(&again, db, model.id, false, &arena, &err), IG_NOT_FOUND,
                 "Logged model with ID 'm-");
    ASSERT_OK(ig_logged_get(&again, db, model.id, true, &arena, &err));
    ASSERT_FAILS(ig_logged_delete(db, &IG_PRINCIPAL_LOCAL, model.id, &err), IG_NOT_FOUND,
                 "not found");
    ASSERT_FAILS(ig_logged_finalize(&again, db, IG_STR("m-x"), 2, &arena, &err), IG_NOT_FOUND,
                 "Logged model with ID 'm-x' not found.");
}

static void test_what_is_refused(void **state)
{
    (void)state;
    struct ig_logged_model model = make("a");
    struct ig_logged_spec spec = {.name = IG_STR("a/b")};
    ASSERT_FAILS(ig_logged_create(&model, db, &spec, &arena, &err), IG_INVALID,
                 "Invalid model name ('a/b') provided.");
    spec = (struct ig_logged_spec){.experiment = 77, .name = IG_STR("a")};
    ASSERT_FAILS(ig_logged_create(&model, db, &spec, &arena, &err), IG_NOT_FOUND, "77");
    spec = (struct ig_logged_spec){.name = {NULL, 0}};
    ASSERT_OK(ig_logged_create(&model, db, &spec, &arena, &err));
    assert_true(model.name.len > 3); /* made up */
    const struct ig_tracking_pair same = {IG_STR("depth"), IG_STR("6")},
                                  other = {IG_STR("depth"), IG_STR("7")};
    model = make("b");
    ASSERT_OK(ig_logged_params(db, model.id, (struct ig_tracking_pairs){&same, 1}, &err));
    ASSERT_FAILS(ig_logged_params(db, model.id, (struct ig_tracking_pairs){&other, 1}, &err),
                 IG_INVALID, "Changing param values is not allowed.");
    const struct ig_tracking_metric metric = {.key = IG_STR("m"), .model_id = IG_STR("m-none")};
    const struct ig_tracking_batch batch = {.metrics = {&metric, 1}, .single = true};
    struct ig_tracking_run run;
    struct ig_str id = make_run();
    ASSERT_FAILS(ig_tracking_log(tracking, id, &batch, &err), IG_NOT_FOUND,
                 "Logged model with ID 'm-none' not found.");
    ASSERT_OK(ig_tracking_run_get(&run, tracking, id, &arena, &err));
    assert_int_equal(run.metrics.count, 0);
}

static void test_what_runs_say(void **state)
{
    (void)state;
    struct ig_logged_model model = make("a");
    struct ig_tracking_run run;
    struct ig_str id = make_run();
    const struct ig_tracking_model_use use = {model.id, 3};
    const struct ig_tracking_model_uses uses = {&use, 1};
    ASSERT_OK(ig_tracking_outputs_log(tracking, id, uses, &err));
    ASSERT_OK(ig_tracking_outputs_log(tracking, id, uses, &err));
    ASSERT_OK(ig_tracking_inputs_log(tracking, id, (struct ig_tracking_datasets){0}, uses, &err));
    measure(id, model.id, "train", 1, NAN);
    measure(id, model.id, "train", 1, 0.5); /* of one time and step: the first stays */
    measure(id, model.id, "test", 2, 0.75);
    ASSERT_OK(ig_tracking_run_get(&run, tracking, id, &arena, &err));
    assert_int_equal(run.model_outputs.count, 1);
    assert_int_equal(run.model_outputs.items[0].step, 3);
    assert_int_equal(run.model_inputs.count, 1);
    assert_true(ig_str_eq(run.model_inputs.items[0].model_id, model.id));
    assert_int_equal(run.metrics.count, 1);
    assert_true(run.metrics.items[0].value == 0.75);
    ASSERT_OK(ig_logged_get(&model, db, model.id, false, &arena, &err));
    assert_int_equal(model.metrics.count, 2);
    assert_true(isnan(model.metrics.items[0].value));
    assert_true(ig_str_is(model.metrics.items[1].dataset_name, "test"));
    assert_true(ig_str_eq(model.metrics.items[1].run, id));
}

static void test_notes_of_older_clients(void **state)
{
    (void)state;
    static const char MODEL[] =
        "{\"run_id\":\"r\",\"artifact_path\":\"m\",\"utc_time_created\":\"t\",\"extra\":[1,{}],"
        "\"flavors\":{\"f\":{\"data\": \"x.ubj\",\"config\":{\"a\":1}},\"g\": null},"
        "\"model_uuid\":\"u\"}";
    static const char KEPT[] =
        "{\"run_id\":\"r\",\"artifact_path\":\"m\",\"utc_time_created\":\"t\","
        "\"flavors\":{\"f\":{\"data\":\"x.ubj\"},\"g\":null},\"model_uuid\":\"u\"}";
    struct ig_tracking_run run;
    struct ig_str id = make_run();
    ASSERT_OK(ig_tracking_model_note(tracking, id, ig_str_view(MODEL), &err));
    ASSERT_OK(ig_tracking_model_note(tracking, id, ig_str_view(MODEL), &err));
    ASSERT_OK(ig_tracking_run_get(&run, tracking, id, &arena, &err));
    for (size_t i = 0; i < run.tags.count; i++)
        if (ig_str_is(run.tags.items[i].key, "mlflow.log-model.history"))
            assert_string_equal(run.tags.items[i].value.ptr,
                                ig_arena_printf(&arena, "[%s, %s]", KEPT, KEPT));
    assert_int_equal(run.tags.count, 2);
    ASSERT_FAILS(ig_tracking_model_note(tracking, id, IG_STR("{"), &err), IG_INVALID,
                 "Malformed model info.");
    ASSERT_FAILS(ig_tracking_model_note(tracking, id, IG_STR("{\"run_id\":\"r\"}"), &err),
                 IG_INVALID, "Model json is missing mandatory fields: {'artifact_path'}");
    ASSERT_FAILS(ig_tracking_model_note(tracking, IG_STR("no"), ig_str_view(MODEL), &err),
                 IG_NOT_FOUND, "Run with id=no not found");
}

/* The names found, joined. */
static const char *names(struct ig_tracking_search search)
{
    static const int64_t experiment = 0;
    struct ig_tracking_found found;
    const char *text = "";
    search.kind = IG_TRACKING_LOGGED;
    search.experiments = &experiment;
    search.experiments_count = 1;
    if (!search.results_max) search.results_max = 50;
    do {
        if (ig_tracking_search(&found, db, &search, &arena, &err) != IG_OK)
            fail_msg("%s", err.message);
        for (size_t i = 0; i < found.count; i++) {
            struct ig_logged_model model;
            ASSERT_OK(ig_logged_get(&model, db, found.ids[i], false, &arena, &err));
            text = ig_arena_printf(&arena, "%s%.*s", text, IG_STR_ARGS(model.name));
        }
        search.token = found.token;
    } while (found.token.len);
    return text;
}

#define FILTER(text) names((struct ig_tracking_search){.filter = IG_STR(text)})

static void test_search(void **state)
{
    (void)state;
    struct ig_str run = make_run();
    struct ig_logged_model a = make("a"), b = make("b"), c = make("c"), d = make("d");
    measure(run, a.id, "train", 1, 0.9);
    measure(run, a.id, "test", 2, 0.6);
    measure(run, b.id, "train", 1, 0.8);
    measure(run, b.id, "test", 2, 0.7);
    measure(run, c.id, "train", 2, NAN);
    ASSERT_OK(ig_logged_finalize(&d, db, d.id, IG_LOGGED_READY, &arena, &err));
    assert_int_equal(strlen(FILTER("")), 4);
    assert_string_equal(FILTER("name = 'b'"), "b");
    assert_string_equal(FILTER("status = 'READY' AND model_type ILIKE 'TREE'"), "d");
    assert_string_equal(FILTER("name IN ('c') AND source_run_id != 'x'"), "c");
    assert_string_equal(FILTER("params.depth = 6 AND tags.`team` LIKE 'a%'"), "a");
    assert_string_equal(FILTER("metrics.auc > 0.85"), "a");
    assert_string_equal(FILTER("creation_time < 5"), "");
    const struct ig_tracking_of_dataset test = {IG_STR("test"), IG_STR("d1")},
                                        none = {IG_STR("test"), IG_STR("d2")};
    assert_string_equal(names((struct ig_tracking_search){.filter = IG_STR("metrics.auc < 0.65"),
                                                          .datasets = &test,
                                                          .datasets_count = 1}),
                        "a");
    assert_string_equal(names((struct ig_tracking_search){.filter = IG_STR("metrics.auc > 0.75"),
                                                          .datasets = &test,
                                                          .datasets_count = 1}),
                        "");
    assert_string_equal(names((struct ig_tracking_search){
                            .filter = IG_STR(""), .datasets = &none, .datasets_count = 1}),
                        "");
    struct ig_tracking_logged_order order = {IG_STR("metrics.auc"), true, {IG_STR(""), IG_STR("")}};
    struct ig_tracking_search search = {
        .filter = IG_STR(""), .logged_orders = &order, .orders_count = 1, .results_max = 1};
    assert_string_equal(names(search), "bacd"); /* NaN, then nothing */
    order.dataset.name = IG_STR("train");
    assert_string_equal(names(search), "abcd");
    order = (struct ig_tracking_logged_order){IG_STR("name"), true, {IG_STR(""), IG_STR("")}};
    assert_string_equal(names(search), "dcba");
    ASSERT_OK(ig_logged_delete(db, &IG_PRINCIPAL_LOCAL, b.id, &err));
    assert_string_equal(names(search), "dca");
}

static void refuse(struct ig_tracking_search search, const char *message)
{
    static const int64_t experiment = 0;
    struct ig_tracking_found found;
    search.kind = IG_TRACKING_LOGGED;
    search.experiments = &experiment;
    search.experiments_count = 1;
    search.results_max = 5;
    err = IG_ERR_INIT;
    ASSERT_FAILS(ig_tracking_search(&found, db, &search, &arena, &err), IG_INVALID, message);
}

static void test_bad_searches(void **state)
{
    (void)state;
    struct ig_tracking_logged_order order = {IG_STR("params.x"), false, {IG_STR(""), IG_STR("")}};
    refuse((struct ig_tracking_search){.filter = IG_STR("metric.a > 1")},
           "Invalid entity type: 'metric'. Expected one of ['attributes', 'metrics', 'params', "
           "'tags'].");
    refuse((struct ig_tracking_search){.filter = IG_STR("params.a > '1'")},
           "Invalid comparison operator for parameters.a: '>'");
    refuse((struct ig_tracking_search){.filter = IG_STR("metrics.a LIKE 'x'")}, "metric");
    refuse((struct ig_tracking_search){.filter = IG_STR("tags.a IS NULL")}, "Invalid clause(s)");
    refuse((struct ig_tracking_search){.filter = IG_STR(""),
                                       .logged_orders = &order,
                                       .orders_count = 1},
           "Invalid order by field name: params.x. Only metrics are supported.");
    order.field = IG_STR("flavor");
    refuse((struct ig_tracking_search){.filter = IG_STR(""),
                                       .logged_orders = &order,
                                       .orders_count = 1},
           "Invalid order by field name: flavor");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_model, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_runs_say, setup, teardown),
        cmocka_unit_test_setup_teardown(test_notes_of_older_clients, setup, teardown),
        cmocka_unit_test_setup_teardown(test_search, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_searches, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
