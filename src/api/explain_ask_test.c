/* SPDX-License-Identifier: Apache-2.0 */
/* Names become numbers; each refusal names its member. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/explain_ask.h"

#include <math.h>
#include <string.h>

static struct ig_str classes[] = {{"no", 2}, {"yes", 3}, {"maybe", 5}};
static struct ig_feature features[] = {{.name = {"age", 3}, .type = IG_FEATURE_INTEGER}};
static struct ig_model model = {.features_count = 1, .outputs_count = 3, .predictions_count = 3};
static struct ig_package package = {.schema = {.features = features,
                                               .features_count = 1,
                                               .task = IG_TASK_MULTICLASS,
                                               .classes = classes,
                                               .classes_count = 3},
                                    .model = &model};
static struct ig_arena arena;
static struct ig_err err;
static const char *field;
static struct ig_explain_asked asked;
static const struct ig_feature_map *map;

static enum ig_code ask(const struct ig_explain_request *explain)
{
    const struct ig_predict_request request = {.rows_count = 2, .explain = *explain};
    const struct ig_explain_subject subject = {&package, map};
    err = IG_ERR_INIT;
    field = NULL;
    return ig_explain_ask_read(&asked, &request, &subject, &arena, &field, &err);
}

static struct ig_explain_request plain(void)
{
    return (struct ig_explain_request){.wanted_low = NAN, .wanted_high = NAN};
}

static void test_names(void **state)
{
    struct ig_explain_request request = plain();
    (void)state;
    assert_int_equal(ask(&request), IG_OK);
    assert_true(ig_explain_ask_is_plain(&asked.ask) && !asked.ask.method_given);
    assert_int_equal(asked.ask.options.output, IG_EXPLAIN_PREDICTED);
    request.class_name = IG_STR("yes");
    request.method = IG_STR("lime");
    request.unit = IG_STR("probability");
    request.budget_us = 7;
    assert_int_equal(ask(&request), IG_OK);
    assert_int_equal(asked.ask.options.output, 1);
    assert_int_equal(asked.ask.method, IG_EXPLAINER_LIME);
    assert_true(asked.ask.probability && asked.ask.budget_ns == 7000);
    assert_false(ig_explain_ask_is_plain(&asked.ask));
    assert_null(asked.ask.options.counterfactual);
}

static void test_interactions(void **state)
{
    struct ig_explain_request request = plain();
    (void)state;
    request.method = IG_STR("tree_interactions");
    assert_int_equal(ask(&request), IG_OK);
    assert_false(asked.whole_interactions);
    request.interactions = IG_STR("halved");
    assert_int_equal(ask(&request), IG_OK);
    assert_false(asked.whole_interactions);
    request.interactions = IG_STR("whole");
    assert_int_equal(ask(&request), IG_OK);
    assert_true(asked.whole_interactions);
    request.interactions = IG_STR("half");
    assert_int_equal(ask(&request), IG_INVALID);
    assert_string_equal(err.message, "interactions: 'half' is neither halved nor whole");
}

static void test_counterfactual(void **state)
{
    struct ig_explain_request request = plain();
    (void)state;
    request.method = IG_STR("counterfactual");
    request.wanted_class = IG_STR("maybe");
    request.wanted_high = 0.5;
    assert_int_equal(ask(&request), IG_OK);
    const struct ig_counterfactual_ask *own = asked.ask.options.counterfactual;
    assert_ptr_equal(own, &asked.counterfactual);
    assert_true(own->class == 2 && !own->has_low && own->has_high && own->high == 0.5);
    assert_true(own->constraints[0].step == 1); /* whole numbers */
}

/* What was read in the order of the rows is told in the model's. */
static void test_other_order(void **state)
{
    static const uint32_t SOURCE_OF[] = {2, 0, 1}, PLAYERS[] = {0, 1, 0};
    const struct ig_feature_map swapped = {.features_count = 3, .source_of = SOURCE_OF};
    struct ig_counterfactual_constraint items[3] = {{.immutable = true}, {0}, {.only_up = true}};
    struct ig_explain_request request = plain();
    (void)state;
    map = &swapped;
    request.method = IG_STR("counterfactual");
    request.groups.players = (struct ig_players){PLAYERS, 2};
    request.constraints.items = items;
    assert_int_equal(ask(&request), IG_OK);
    map = NULL;
    const struct ig_counterfactual_ask *own = asked.ask.options.counterfactual;
    assert_memory_equal(asked.ask.players.of_feature, ((const uint32_t[]){0, 0, 1}),
                        sizeof PLAYERS);
    assert_int_equal(asked.ask.players.count, 2);
    assert_true(own->constraints[0].only_up && !own->constraints[0].immutable);
    assert_true(own->constraints[1].immutable && !own->constraints[2].immutable);
}

static void test_refusals(void **state)
{
    struct ig_explain_request request = plain();
    (void)state;
#define REFUSED(member, value, name)                                                               \
    do {                                                                                           \
        request = plain();                                                                         \
        request.member = value;                                                                    \
        assert_int_equal(ask(&request), IG_INVALID);                                               \
        assert_string_equal(field, name);                                                          \
    } while (0)
    REFUSED(method, IG_STR("shap"), "method");
    assert_non_null(strstr(err.message, "method: unknown method 'shap'; known: "));
    REFUSED(unit, IG_STR("percent"), "unit");
    REFUSED(class_name, IG_STR("never"), "class");
    REFUSED(target_se, NAN, "target_se");
    request = plain();
    request.method = IG_STR("counterfactual");
    request.wanted_class = IG_STR("never");
    assert_int_equal(ask(&request), IG_INVALID);
    assert_string_equal(field, "wanted_class");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),          cmocka_unit_test(test_interactions),
        cmocka_unit_test(test_counterfactual), cmocka_unit_test(test_other_order),
        cmocka_unit_test(test_refusals),
    };
    ig_arena_init(&arena, 1 << 12, 1 << 16);
    int code = cmocka_run_group_tests(tests, NULL, NULL);
    ig_arena_deinit(&arena);
    return code;
}
