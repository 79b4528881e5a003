/* SPDX-License-Identifier: Apache-2.0 */
/* Scorers: versions, what their content may say, and which traces they are to look at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/tracking/scorers.h"
#include "services/tracking/scorers_priv.h"
#include "services/tracking/tracking_testing.h"
#include "stores/statement_testing.h"

#include <string.h>

#define JUDGE(model) "{\"instructions_judge_pydantic_data\": {\"model\": \"" model "\"}}"

static struct ig_scorer add(int64_t in, const char *name, const char *content)
{
    struct ig_scorer made;
    const struct ig_scorer scorer = {.name = ig_str_view(name), .content = ig_str_view(content)};
    ASSERT_OK(ig_scorer_register(&made, db, &(struct ig_scorer_by){&IG_PRINCIPAL_LOCAL, in},
                                 &scorer, &arena, &err));
    return made;
}

static void expect_error(enum ig_code wanted, const char *words)
{
    if (err.code != wanted || !strstr(err.message, words))
        fail_msg("%s: %s", ig_code_name(err.code), err.message);
    ig_err_clear(&err);
}

static struct ig_scorers last(const int64_t *experiments, size_t count, bool strict)
{
    struct ig_scorers found = {NULL, 0};
    const struct ig_scorer_list list = {experiments, count, !count, strict};
    ig_scorer_last(&found, db, &list, &arena, &err);
    return found;
}

static void test_versions(void **state)
{
    (void)state;
    const int64_t in = make_experiment("a"), other = make_experiment("b");
    struct ig_scorer first = add(in, "s", "{\"a\": 1}"), second = add(in, "s", "{\"a\": 2}"), got;
    struct ig_scorers all;
    add(other, "s", "{}");
    add(in, "r", "{}");
    assert_int_equal(first.version, 1);
    assert_int_equal(first.id.len, 36);
    assert_int_equal(second.version, 2);
    assert_true(ig_str_eq(first.id, second.id));
    struct ig_scorer_ref ref = {in, IG_STR("s"), IG_SCORER_ANY_VERSION};
    ASSERT_OK(ig_scorer_get(&got, db, &ref, &arena, &err));
    assert_true(ig_str_is(got.content, "{\"a\": 2}"));
    ref.version = 1;
    ASSERT_OK(ig_scorer_get(&got, db, &ref, &arena, &err));
    assert_true(ig_str_is(got.content, "{\"a\": 1}"));
    ASSERT_OK(ig_scorer_versions(&all, db, &ref, &arena, &err));
    assert_int_equal(all.count, 2);
    assert_int_equal(all.items[1].version, 2);
    all = last(&in, 1, true);
    assert_int_equal(all.count, 2);
    assert_true(ig_str_is(all.items[0].name, "r"));
    assert_int_equal(all.items[1].version, 2);
    assert_int_equal(last(NULL, 0, false).count, 3);
    ASSERT_OK(ig_scorer_delete(db, &IG_PRINCIPAL_LOCAL, &ref, &err));
    ig_scorer_get(&got, db, &ref, &arena, &err);
    expect_error(IG_NOT_FOUND, "Scorer with name 's' and version 1 not found for experiment 1.");
    ig_scorer_delete(db, &IG_PRINCIPAL_LOCAL, &ref, &err);
    expect_error(IG_NOT_FOUND, "Scorer with name 's' and version 1 not found for experiment 1.");
    assert_int_equal(add(in, "s", "{}").version, 3);
    ref.version = IG_SCORER_ANY_VERSION;
    ASSERT_OK(ig_scorer_delete(db, &IG_PRINCIPAL_LOCAL, &ref, &err));
    ig_scorer_versions(&all, db, &ref, &arena, &err);
    expect_error(IG_NOT_FOUND, "Scorer with name 's' not found for experiment 1.");
    struct ig_audit_list trail;
    ASSERT_OK(ig_audit_list(&trail, db, &arena, 0, 10, &err));
    assert_true(ig_str_is(trail.items[0].object, "1/s"));
    assert_true(ig_str_is(trail.items[1].object, "1/s/1"));
}

static void test_experiments(void **state)
{
    (void)state;
    const int64_t in = make_experiment("a"), missing = 99;
    struct ig_scorer made;
    const struct ig_scorer scorer = {.name = IG_STR("s"), .content = IG_STR("{}")};
    add(in, "s", "{}");
    ASSERT_OK(ig_tracking_experiment_delete(tracking, &IG_PRINCIPAL_LOCAL, in, &err));
    ig_scorer_register(&made, db, &(struct ig_scorer_by){&IG_PRINCIPAL_LOCAL, in}, &scorer, &arena,
                       &err);
    expect_error(IG_INVALID, "active");
    ig_scorer_register(&made, db, &(struct ig_scorer_by){&IG_PRINCIPAL_LOCAL, missing}, &scorer,
                       &arena, &err);
    expect_error(IG_NOT_FOUND, "No Experiment with id=99");
    last(&missing, 1, true);
    expect_error(IG_NOT_FOUND, "No Experiment with id=99");
    assert_int_equal(last(&in, 1, false).count, 0);
    assert_int_equal(last(&missing, 1, false).count, 0);
    assert_int_equal(last(NULL, 0, false).count, 0);
}

static void test_content(void **state)
{
    (void)state;
    static const struct {
        const char *content, *model, *words;
    } cases[] = {
        {"{}", NULL, NULL},
        {JUDGE("gateway:/e"), "gateway:/e", NULL},
        {"{\"builtin_scorer_pydantic_data\": {\"model\": \"m\"}}", "m", NULL},
        {"{\"third_party_scorer_data\": {\"a\": [1], \"model\": \"m\"}}", "m", NULL},
        {"{\"memory_augmented_judge_data\": {\"base_judge\": " JUDGE("n") "}}", "n", NULL},
        {"{\"model\": \"m\", \"builtin_scorer_pydantic_data\": {\"model\": null}}", NULL, NULL},
        {"{\"call_source\": null}", NULL, NULL},
        {"{\"a\": \"call_source\"}", NULL, NULL},
        {"{\"a\": [{\"call_source\": \"x\"}]}", NULL, "Custom scorer registration"},
        {"{\"call_source\": {}}", NULL, "Custom scorer registration"},
        {"{\"a\": NaN}", NULL, NULL},
        {"{", NULL, "serialized_scorer must be valid JSON"},
        {"", NULL, "serialized_scorer must be valid JSON"},
        {"[]", NULL, "serialized_scorer must be a JSON object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ig_str model = {NULL, 0};
        ig_scorer_content_read(&model, ig_str_view(cases[i].content), &arena, &err);
        if (cases[i].words) {
            expect_error(IG_INVALID, cases[i].words);
            continue;
        }
        if (err.code != IG_OK || (cases[i].model ? !ig_str_is(model, cases[i].model) : !!model.ptr))
            fail_msg("%s: %.*s %s", cases[i].content, IG_STR_ARGS(model), err.message);
    }
    struct ig_scorer made, scorer = {.name = IG_STR(" "), .content = IG_STR("{}")};
    ig_scorer_register(&made, db, &(struct ig_scorer_by){&IG_PRINCIPAL_LOCAL, 0}, &scorer, &arena,
                       &err);
    expect_error(IG_INVALID, "Scorer name cannot be empty or contain only whitespace.");
    scorer = (struct ig_scorer){.name = IG_STR("s"), .content = IG_STR(JUDGE(" "))};
    ig_scorer_register(&made, db, &(struct ig_scorer_by){&IG_PRINCIPAL_LOCAL, 0}, &scorer, &arena,
                       &err);
    expect_error(IG_INVALID, "Scorer model cannot be empty");
}

static enum ig_code add_endpoint(struct ig_db_tx *tx, void *context, struct ig_err *inner)
{
    (void)context;
    return ig_db_exec(tx,
                      "insert into gateway_endpoints(id, name, fallback, tracked, created_ms,"
                      " updated_ms) values('e-1', 'e', 0, 0, 1, 1)",
                      NULL, 0, inner);
}

static void test_configs(void **state)
{
    (void)state;
    struct ig_scorer unknown = {.name = IG_STR("s"), .content = IG_STR(JUDGE("gateway:/e"))};
    ig_scorer_register(&unknown, db, &(struct ig_scorer_by){&IG_PRINCIPAL_LOCAL, 0}, &unknown,
                       &arena, &err);
    expect_error(IG_NOT_FOUND, "GatewayEndpoint not found (name='e')");
    ASSERT_OK(ig_db_write(db, add_endpoint, NULL, &err));
    struct ig_scorer scorer = add(0, "s", JUDGE("gateway:/e"));
    const struct ig_scorer_ref ref = {0, IG_STR("s"), IG_SCORER_ANY_VERSION},
                               none = {0, IG_STR("x"), IG_SCORER_ANY_VERSION};
    struct ig_scorer_config config = {.sample_rate = 0.5, .filter = IG_STR("status = 'OK'")}, made;
    struct ig_scorer_configs found;
    ASSERT_OK(ig_scorer_config_put(&made, db, &ref, &config, &arena, &err));
    assert_true(ig_str_eq(made.scorer, scorer.id));
    assert_int_equal(made.id.len, 32);
    config = (struct ig_scorer_config){.sample_rate = 0.75};
    ASSERT_OK(ig_scorer_config_put(&made, db, &ref, &config, &arena, &err));
    const struct ig_str ids[] = {IG_STR("none"), scorer.id};
    ASSERT_OK(ig_scorer_configs(&found, db, ids, 2, &arena, &err));
    assert_int_equal(found.count, 1);
    assert_true(found.items[0].sample_rate == 0.75);
    assert_true(ig_str_eq(found.items[0].id, made.id));
    assert_null(found.items[0].filter.ptr);
    config.sample_rate = 1.5;
    ig_scorer_config_put(&made, db, &ref, &config, &arena, &err);
    expect_error(IG_INVALID, "sample_rate must be between 0.0 and 1.0, got 1.5");
    config = (struct ig_scorer_config){.sample_rate = 1, .filter = IG_STR("status OK")};
    ig_scorer_config_put(&made, db, &ref, &config, &arena, &err);
    expect_error(IG_INVALID, "OK");
    config = (struct ig_scorer_config){.sample_rate = 1};
    ig_scorer_config_put(&made, db, &none, &config, &arena, &err);
    expect_error(IG_NOT_FOUND, "Scorer with name 'x' not found for experiment 0.");
    add(0, "s", JUDGE("openai:/m"));
    ig_scorer_config_put(&made, db, &ref, &config, &arena, &err);
    expect_error(IG_INVALID, "Scorer 's' does not use a gateway model.");
    config.sample_rate = 0;
    ASSERT_OK(ig_scorer_config_put(&made, db, &ref, &config, &arena, &err));
    ASSERT_OK(ig_scorer_delete(db, &IG_PRINCIPAL_LOCAL, &ref, &err));
    ASSERT_OK(ig_scorer_configs(&found, db, ids, 2, &arena, &err));
    assert_int_equal(found.count, 0);
}

static void expect_content(const char *content)
{
    const struct ig_scorer_ref ref = {0, IG_STR("s"), 1};
    struct ig_scorers found;
    struct ig_scorer one;
    ASSERT_OK(ig_scorer_get(&one, db, &ref, &arena, &err));
    assert_string_equal(ig_arena_cstr(&arena, one.content), content);
    ASSERT_OK(ig_scorer_versions(&found, db, &ref, &arena, &err));
    assert_string_equal(ig_arena_cstr(&arena, found.items[0].content), content);
    found = last(NULL, 0, false);
    const int64_t of = 0;
    found = last(&of, 1, false);
    assert_string_equal(ig_arena_cstr(&arena, found.items[0].content), content);
}

/* Endpoints are kept by id, told by name, and bound. */
static void test_endpoints(void **state)
{
    (void)state;
    const struct ig_scorer_ref ref = {0, IG_STR("s"), IG_SCORER_ANY_VERSION};
    ASSERT_OK(ig_db_write(db, add_endpoint, NULL, &err));
    struct ig_scorer made = add(0, "s", JUDGE("gateway:/e"));
    assert_true(ig_str_is(made.content, JUDGE("gateway:/e")));
    assert_int_equal(ig_statement_number(db,
                                         "select count(*) from scorer_versions where content like"
                                         " '%gateway:/e-1%'"),
                     1);
    assert_int_equal(
        ig_statement_number(db, "select count(*) from gateway_bindings b join scorers s"
                                " on s.id = b.resource where b.endpoint = 'e-1' and b.type ="
                                " 'scorer'"),
        1);
    expect_content(JUDGE("gateway:/e"));
    ig_statement_write(db, "update gateway_endpoints set name = 'renamed'");
    expect_content(JUDGE("gateway:/renamed"));
    ig_statement_write(db, "delete from gateway_bindings");
    ig_statement_write(db, "delete from gateway_endpoints");
    expect_content("{\"instructions_judge_pydantic_data\": {\"model\": null}}");
    ASSERT_OK(ig_db_write(db, add_endpoint, NULL, &err));
    add(0, "s", JUDGE("gateway:/e"));
    add(0, "s", JUDGE("gateway:/e"));
    assert_int_equal(ig_statement_number(db, "select count(*) from gateway_bindings"), 1);
    ASSERT_OK(ig_scorer_delete(db, &IG_PRINCIPAL_LOCAL, &ref, &err));
    assert_int_equal(ig_statement_number(db, "select count(*) from gateway_bindings"), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(test_versions), TEST(test_experiments),
                                       TEST(test_content), TEST(test_configs),
                                       TEST(test_endpoints)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
