/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluation datasets: tags, experiments, records that come again, and searches for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/tracking/evaluations.h"
#include "services/tracking/evaluations_priv.h"
#include "services/tracking/tracking_search.h"
#include "services/tracking/tracking_testing.h"

#include <stdio.h>
#include <string.h>

static struct ig_evaluation make(const char *name, const char *team, int64_t in)
{
    struct ig_evaluation made;
    const struct ig_tracking_pair tag = {IG_STR("team"), ig_str_view(team)};
    const struct ig_evaluation_spec spec = {ig_str_view(name), {&tag, 1}, &in, in >= 0};
    ASSERT_OK(ig_evaluation_create(&made, db, &spec, &arena, &err));
    return made;
}

static struct ig_evaluation get(struct ig_str id)
{
    struct ig_evaluation found;
    ASSERT_OK(ig_evaluation_get(&found, db, id, &arena, &err));
    return found;
}

static void expect_error(enum ig_code wanted, const char *words)
{
    if (err.code != wanted || !strstr(err.message, words))
        fail_msg("%s: %s", ig_code_name(err.code), err.message);
    ig_err_clear(&err);
}

static void test_datasets(void **state)
{
    (void)state;
    struct ig_evaluation made = make("first", "ml", 0), found;
    assert_int_equal(made.id.len, 34);
    assert_true(ig_str_starts(made.id, IG_STR("d-")));
    assert_int_equal(made.digest.len, 8);
    assert_null(made.schema.ptr);
    const struct ig_tracking_pair more[] = {{IG_STR("team"), IG_STR("data")},
                                            {IG_STR("mlflow.user"), IG_STR("ada")}};
    ASSERT_OK(ig_evaluation_tag(db, made.id, (struct ig_tracking_pairs){more, 2}, &err));
    ASSERT_OK(ig_evaluation_untag(db, made.id, IG_STR("mlflow.user"), &err));
    ASSERT_OK(ig_evaluation_untag(db, made.id, IG_STR("none"), &err));
    found = get(made.id);
    assert_int_equal(found.tags.count, 1);
    assert_true(ig_str_is(found.tags.items[0].value, "data"));
    const struct ig_evaluation_spec by = {IG_STR("second"), {more, 2}, NULL, 0};
    ASSERT_OK(ig_evaluation_create(&found, db, &by, &arena, &err));
    assert_true(ig_str_is(found.created_by, "ada"));
    ig_evaluation_get(&found, db, IG_STR("d-x"), &arena, &err);
    expect_error(IG_NOT_FOUND, "Evaluation dataset with id 'd-x' not found");
    ig_evaluation_tag(db, IG_STR("d-x"), (struct ig_tracking_pairs){more, 2}, &err);
    expect_error(IG_NOT_FOUND, "Could not find evaluation dataset with ID d-x");
    char name[IG_EVALUATION_NAME_MAX + 2];
    memset(name, 'n', sizeof name);
    const struct ig_evaluation_spec longer = {{name, sizeof name - 1}, {NULL, 0}, NULL, 0};
    ig_evaluation_create(&found, db, &longer, &arena, &err);
    expect_error(IG_INVALID, "'name' exceeds the maximum length of 255 characters");
    ASSERT_OK(ig_evaluation_delete(db, &IG_PRINCIPAL_LOCAL, made.id, &err));
    ASSERT_OK(ig_evaluation_delete(db, &IG_PRINCIPAL_LOCAL, made.id, &err));
    struct ig_audit_list trail;
    ASSERT_OK(ig_audit_list(&trail, db, &arena, 0, 10, &err));
    assert_true(ig_str_is(trail.items[0].action, "evaluation.delete"));
    assert_int_equal(trail.count, 1);
}

static size_t count_experiments(struct ig_str id)
{
    struct ig_evaluation_experiments found;
    ASSERT_OK(ig_evaluation_experiments(&found, db, id, &arena, &err));
    return found.count;
}

static void test_experiments(void **state)
{
    (void)state;
    const int64_t ids[] = {make_experiment("a"), make_experiment("b")}, missing = 99;
    struct ig_evaluation made = make("first", "ml", ids[0]), found;
    struct ig_evaluation_link link = {made.id, ids, 2, false};
    ASSERT_OK(ig_evaluation_link(&found, db, &link, &arena, &err));
    assert_int_equal(count_experiments(made.id), 2);
    link.remove = true;
    link.experiments_count = 1;
    ASSERT_OK(ig_evaluation_link(&found, db, &link, &arena, &err));
    ASSERT_OK(ig_evaluation_link(&found, db, &link, &arena, &err));
    assert_int_equal(count_experiments(made.id), 1);
    link = (struct ig_evaluation_link){made.id, &missing, 1, false};
    ig_evaluation_link(&found, db, &link, &arena, &err);
    expect_error(IG_NOT_FOUND, "No Experiment with id=99");
    link.id = IG_STR("d-x");
    ig_evaluation_link(&found, db, &link, &arena, &err);
    expect_error(IG_NOT_FOUND, "Dataset 'd-x' not found");
    assert_int_equal(count_experiments(IG_STR("d-x")), 0);
}

static struct ig_evaluation_counts upsert(struct ig_str id,
                                          const struct ig_evaluation_record *records, size_t count)
{
    struct ig_evaluation_counts counts;
    ASSERT_OK(ig_evaluation_upsert(
        &counts, db, id, (struct ig_evaluation_records){records, count, false}, &arena, &err));
    return counts;
}

static struct ig_evaluation_records list(struct ig_str id, int64_t after, size_t max)
{
    struct ig_evaluation_records found;
    const struct ig_evaluation_page page = {id, after, max, 1 << 20};
    ASSERT_OK(ig_evaluation_list(&found, db, &page, &arena, &err));
    return found;
}

static void expect(struct ig_str text, const char *wanted)
{
    if (wanted ? !ig_str_is(text, wanted) : text.ptr != NULL)
        fail_msg("'%.*s', not '%s'", IG_STR_ARGS(text), wanted ? wanted : "nothing");
}

static void test_records(void **state)
{
    (void)state;
    struct ig_evaluation made = make("first", "ml", -1);
    const struct ig_evaluation_record first[] = {
        {.inputs = IG_STR("{\"q\": \"a\", \"n\": 1}"),
         .expectations = IG_STR("{\"x\":1,\"y\":{}}"),
         .tags = IG_STR("{\"t\":\"1\"}"),
         .user = IG_STR("ada")},
        {.inputs = IG_STR("{\"q\":\"b\"}"), .outputs = IG_STR("\"text\""), .outputs_told = true}};
    struct ig_evaluation_counts counts = upsert(made.id, first, 2);
    assert_int_equal(counts.inserted, 2);
    assert_int_equal(counts.updated, 0);
    struct ig_evaluation found = get(made.id);
    assert_int_equal(found.records, 2);
    expect(found.schema, "{\"inputs\":{\"q\":\"string\",\"n\":\"integer\"},\"outputs\":\"string\","
                         "\"expectations\":{\"x\":\"integer\",\"y\":\"object\"},"
                         "\"version\":\"1.0\"}");
    expect(found.updated_by, "ada");
    const struct ig_evaluation_record second[] = {{.inputs = IG_STR("{\"n\":1,\"q\":\"a\"}"),
                                                   .outputs_told = true,
                                                   .expectations = IG_STR("{\"x\":2.5,\"z\":null}"),
                                                   .tags = IG_STR("{\"u\":\"2\"}")},
                                                  {.inputs = IG_STR("{\"q\":\"c\"}")},
                                                  {.inputs = IG_STR("{ \"q\" : \"c\" }")}};
    counts = upsert(made.id, second, 3);
    assert_int_equal(counts.inserted, 1);
    assert_int_equal(counts.updated, 2);
    found = get(made.id);
    assert_int_equal(found.records, 3);
    expect(found.updated_by, NULL);
    assert_non_null(strstr(found.schema.ptr, "\"expectations\":{\"x\":\"integer\",\"y\":\"object\","
                                             "\"z\":\"null\"}"));
    struct ig_evaluation_records page = list(made.id, 0, 2);
    assert_int_equal(page.count, 2);
    assert_true(page.more);
    const struct ig_evaluation_record *record = &page.items[0];
    expect(record->inputs, "{\"q\": \"a\", \"n\": 1}");
    expect(record->outputs, NULL);
    expect(record->expectations, "{\"y\":{},\"x\":2.5,\"z\":null}");
    expect(record->tags, "{\"t\":\"1\",\"u\":\"2\"}");
    expect(record->created_by, "ada");
    expect(record->updated_by, "ada");
    expect(page.items[1].outputs, "\"text\"");
    page = list(made.id, page.items[1].seq, 2);
    assert_int_equal(page.count, 1);
    assert_false(page.more);
    expect(page.items[0].outputs, "{}");
    expect(page.items[0].tags, "{}");
    int64_t removed = 0;
    const struct ig_str ids[] = {page.items[0].id, IG_STR("dr-none"), page.items[0].id};
    ASSERT_OK(ig_evaluation_remove(&removed, db, made.id, ids, 3, &err));
    assert_int_equal(removed, 1);
    assert_int_equal(get(made.id).records, 2);
    upsert(made.id, second, 2);
    assert_true(list(made.id, 0, 9).items[2].seq > page.items[0].seq);
    ASSERT_OK(ig_evaluation_delete(db, &IG_PRINCIPAL_LOCAL, made.id, &err));
    assert_int_equal(list(made.id, 0, 9).count, 0);
}

static void test_records_are_all_or_nothing(void **state)
{
    (void)state;
    struct ig_evaluation made = make("first", "ml", -1);
    struct ig_evaluation_counts counts;
    struct ig_evaluation_record records[] = {{.inputs = IG_STR("{\"q\":1}")},
                                             {.inputs = IG_STR("{\"q\":")}};
    ig_evaluation_upsert(&counts, db, made.id, (struct ig_evaluation_records){records, 2, false},
                         &arena, &err);
    assert_int_equal(err.code, IG_PARSE);
    ig_err_clear(&err);
    records[1].inputs = IG_STR("{\"q\":2}");
    records[1].expectations = IG_STR("{");
    ig_evaluation_upsert(&counts, db, made.id, (struct ig_evaluation_records){records, 2, false},
                         &arena, &err);
    assert_int_equal(err.code, IG_PARSE);
    ig_err_clear(&err);
    assert_int_equal(list(made.id, 0, 9).count, 0);
    ig_evaluation_upsert(&counts, db, IG_STR("d-x"),
                         (struct ig_evaluation_records){records, 1, false}, &arena, &err);
    expect_error(IG_NOT_FOUND, "Evaluation dataset with id 'd-x' not found");
    for (size_t after = 1; after < 30; after++) {
        ig_db_fail_after(after);
        ig_evaluation_upsert(&counts, db, made.id,
                             (struct ig_evaluation_records){records, 1, false}, &arena, &err);
        bool failed = ig_db_failed();
        ig_db_fail_after(0);
        ig_err_clear(&err);
        assert_int_equal(list(made.id, 0, 9).count, failed ? 0 : 1);
        assert_int_equal(get(made.id).records, failed ? 0 : 1);
        if (!failed) return;
    }
    fail_msg("it never went through");
}

static struct ig_tracking_found search(const char *filter, const char *order, int64_t in)
{
    struct ig_tracking_found found;
    const struct ig_str orders[] = {ig_str_view(order)};
    const struct ig_tracking_search search = {.kind = IG_TRACKING_EVALUATIONS,
                                              .experiments = &in,
                                              .experiments_count = in >= 0,
                                              .filter = ig_str_view(filter),
                                              .orders = orders,
                                              .orders_count = order[0] != '\0',
                                              .view = IG_TRACKING_ALL,
                                              .results_max = 10,
                                              .token = IG_STR("")};
    ig_tracking_search(&found, db, &search, &arena, &err);
    return found;
}

static void test_searches(void **state)
{
    (void)state;
    int64_t here = make_experiment("here");
    struct ig_evaluation a = make("alpha", "ml", here), b = make("beta", "data", -1),
                         c = make("gamma", "ml", here);
    static const struct {
        const char *filter;
        bool here;
        size_t count;
    } cases[] = {{"", false, 3},
                 {"", true, 2},
                 {"tags.team = 'ml'", false, 2},
                 {"tags.team != 'ml'", false, 1},
                 {"tags.none = 'ml'", false, 0},
                 {"name LIKE '%a%' AND tags.team ILIKE 'M%'", false, 2},
                 {"name IN ('beta', 'gamma')", true, 1},
                 {"created_time > 0 AND last_update_time >= 1", false, 3},
                 {"created_by = 'ada'", false, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ig_tracking_found found = search(cases[i].filter, "", cases[i].here ? here : -1);
        if (err.code != IG_OK || found.count != cases[i].count)
            fail_msg("%s: %zu %s", cases[i].filter, found.count, err.message);
    }
    struct ig_tracking_found found = search("", "name ASC", -1);
    assert_true(ig_str_eq(found.ids[0], a.id) && ig_str_eq(found.ids[1], b.id));
    found = search("", "name DESC", -1);
    assert_true(ig_str_eq(found.ids[0], c.id));
    static const struct {
        const char *filter, *order, *words;
    } bad[] = {{"digest = 'x'", "", "Invalid attribute key 'digest' specified"},
               {"metrics.a = 'x'", "", "Invalid identifier token 'metrics' specified"},
               {"name NOT IN ('x')", "", "Invalid comparator"},
               {"name > 'x'", "", "Invalid comparator"},
               {"created_time > 1.5", "", "Invalid value for numeric attribute 'created_time'"},
               {"name IS NULL", "", "Invalid clause(s) in filter string"},
               {"", "created_by ASC", "Invalid attribute key 'created_by' specified"},
               {"", "tags.team ASC", "Invalid order_by entity: tag"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        search(bad[i].filter, bad[i].order, -1);
        expect_error(IG_INVALID, bad[i].words);
    }
}

static void test_pages_go_on_behind_what_is_gone(void **state)
{
    (void)state;
    struct ig_tracking_search search = {.kind = IG_TRACKING_EVALUATIONS,
                                        .filter = IG_STR(""),
                                        .view = IG_TRACKING_ALL,
                                        .results_max = 2,
                                        .token = IG_STR("")};
    struct ig_tracking_found first, second;
    for (int i = 0; i < 3; i++) make("same", "ml", -1);
    ASSERT_OK(ig_tracking_search(&first, db, &search, &arena, &err));
    assert_int_equal(first.count, 2);
    ASSERT_OK(ig_evaluation_delete(db, &IG_PRINCIPAL_LOCAL, first.ids[1], &err));
    search.token = first.token;
    ASSERT_OK(ig_tracking_search(&second, db, &search, &arena, &err));
    assert_int_equal(second.count, 1);
    assert_int_equal(second.token.len, 0);
    assert_false(ig_str_eq(second.ids[0], first.ids[0]));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_datasets), TEST(test_experiments),
        TEST(test_records),  TEST(test_records_are_all_or_nothing),
        TEST(test_searches), TEST(test_pages_go_on_behind_what_is_gone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
