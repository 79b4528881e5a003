/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "services/deploy/rules_priv.h"
#include "stores/temp_testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static struct ig_str colours[] = {{"red", 3}, {"green", 5}, {"greenish", 8}};
static struct ig_feature features[] = {
    {.name = {"age", 3}, .type = IG_FEATURE_NUMERIC},
    {.name = {"mean radius", 11}, .type = IG_FEATURE_NUMERIC},
    {.name = {"colour", 6},
     .type = IG_FEATURE_CATEGORICAL,
     .categories = colours,
     .categories_count = 3},
};
static struct ig_schema schema = {.features = features, .features_count = 3};
static const struct ig_rules_attribute attributes[] = {{{"user_segment", 12}, IG_RULES_TEXT},
                                                       {{"basket", 6}, IG_RULES_NUMBER}};

static struct ig_rules_spec spec_of(const struct ig_str *texts, uint32_t count)
{
    return (struct ig_rules_spec){&schema, attributes, 2, texts, count};
}

static struct ig_str find_header(void *context, struct ig_str name)
{
    if (ig_str_eq_nocase(name, IG_STR("x-plan"))) return ig_str_view(context);
    return (struct ig_str){0};
}

struct request {
    double row[3];
    struct ig_rules_value values[2];
    const char *plan, *tenant;
};

static const struct request PREMIUM = {
    {41, NAN, 1}, {{true, NAN, {"premium", 7}}, {true, 99.5, {"", 0}}}, "gold-2", "acme"};

static uint32_t first(const struct ig_rules *rules, const struct request *request)
{
    const struct ig_rules_input input = {request->row, request->values,
                                         ig_str_view(request->tenant), find_header,
                                         (void *)(uintptr_t)request->plan};
    return ig_rules_first(rules, &input);
}

static void test_holds(void **state)
{
    (void)state;
    static const struct {
        const char *rule;
        bool holds;
    } CASES[] = {
        {"age == 41", true},
        {"age != 41", false},
        {"age < 41", false},
        {"age <= 41", true},
        {"age > 40.5", true},
        {"age >= 4.2e1", false},
        {"age between 41 and 50", true},
        {"age between -1 and 40", false},
        {"age in (1, 41, 7)", true},
        {"age not in (1, 41, 7)", false},
        {"age is missing", false},
        {"age is not missing", true},
        {"`mean radius` is missing", true},
        {"`mean radius` == 1", false},
        {"`mean radius` != 1", true},
        {"not `mean radius` > 1", true},
        {"colour == 'green'", true},
        {"colour starts_with \"green\"", true},
        {"colour in (\"red\", 'greenish')", false},
        {"user_segment == \"premium\"", true},
        {"user_segment starts_with 'prem'", true},
        {"user_segment in ('basic', 'premium')", true},
        {"basket > 99", true},
        {"header(\"X-Plan\") == 'gold-2'", true},
        {"header('x-plan') starts_with 'gold'", true},
        {"header('x-none') == 'gold'", false},
        {"header('x-none') is missing", true},
        {"tenant == 'acme'", true},
        {"tenant is missing", false},
        {"age == 41 and basket > 1000 or tenant == 'acme'", true},
        {"age == 41 or basket > 1 and tenant == 'other'", true},
        {"(age == 41 or basket > 1) and tenant == 'other'", false},
        {"not (age == 41 and tenant == 'other')", true},
        {"not not age == 41", true},
        {"not age == 41 or age == 41 and not basket < 5", true},
        {"user_segment == 'pre\\'mium' or (((age > 3)))", true},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_rules *rules;
        struct ig_str text = ig_str_view(CASES[i].rule);
        const struct ig_rules_spec spec = spec_of(&text, 1);
        ASSERT_OK(ig_rules_new(&rules, &spec, &err));
        if (first(rules, &PREMIUM) != (CASES[i].holds ? 0 : 1)) fail_msg("%s", CASES[i].rule);
        ig_rules_free(rules);
    }
}

static void test_first_wins(void **state)
{
    (void)state;
    const struct ig_str texts[] = {IG_STR("age > 60"), IG_STR("age > 40"), IG_STR("basket > 1")};
    const struct ig_rules_spec spec = spec_of(texts, 3);
    struct ig_err err = IG_ERR_INIT;
    struct ig_rules *rules;
    struct request request = PREMIUM;
    ASSERT_OK(ig_rules_new(&rules, &spec, &err));
    assert_int_equal(first(rules, &request), 1);
    request.row[0] = 61;
    assert_int_equal(first(rules, &request), 0);
    request.row[0] = NAN;
    assert_int_equal(first(rules, &request), 2);
    request.values[1].present = false;
    assert_int_equal(first(rules, &request), 3);
    ig_rules_free(rules);
}

static void test_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *rule, *message;
    } CASES[] = {
        {"", "rules[0]: it ends where the name of a feature or attribute is expected"},
        {"agee > 1", "rules[0]: byte 0: 'agee' is neither a feature nor declared in graph.context"},
        {"age", "rules[0]: it ends where a comparison"},
        {"age = 4", "rules[0]: byte 4: unexpected '=', equality is =="},
        {"age == 'x'", "rules[0]: byte 7: 'x' where a number is expected"},
        {"age starts_with 'x'", "rules[0]: byte 16: 'age' is a number, not text"},
        {"age > 1e999", "rules[0]: byte 6: '1e999' is no number"},
        {"age > 12x", "rules[0]: byte 6: '12x' is no number"},
        {"age between 3 and 2", "rules[0]: byte 12: nothing lies between 3 and 2"},
        {"age in ()", "rules[0]: byte 8: ')' where a number is expected"},
        {"age in (1 2)", "rules[0]: byte 10: '2' where ',' or ')' is expected"},
        {"user_segment > 'a'", "rules[0]: byte 15: 'user_segment' is text, it is compared by"},
        {"user_segment == premium", "rules[0]: byte 16: 'premium' where a text in quotes"},
        {"colour == 'blue'", "rules[0]: byte 10: feature 'colour' has no category 'blue'"},
        {"colour starts_with 'z'",
         "rules[0]: byte 19: feature 'colour' has no category that begins with 'z'"},
        {"user_segment == 'open", "rules[0]: byte 16: ' opens a text that has no end"},
        {"header(plan) == 'x'", "rules[0]: byte 7: 'plan' where a header's name in quotes"},
        {"(age > 1", "rules[0]: it ends inside parentheses"},
        {"age > 1)", "rules[0]: byte 7: ')' closes nothing"},
        {"age > 1 age < 4", "rules[0]: byte 8: 'age' where 'and', 'or' or the end is expected"},
        {"age > 1 and", "rules[0]: it ends where the name"},
        {"age not 4", "rules[0]: byte 8: '4' where 'in' is expected"},
        {"age is null", "rules[0]: byte 7: 'null' where 'missing' is expected"},
        {"age > 1 && age < 3", "rules[0]: byte 8: unexpected '&'"},
        {"age > 3 and age < 2", "rules[0]: no request reaches it: it never holds"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_rules *rules = NULL;
        struct ig_str text = ig_str_view(CASES[i].rule);
        const struct ig_rules_spec spec = spec_of(&text, 1);
        assert_int_equal(ig_rules_new(&rules, &spec, &err), IG_INVALID);
        assert_null(rules);
        if (strncmp(err.message, CASES[i].message, strlen(CASES[i].message)) != 0)
            fail_msg("%s: %s", CASES[i].rule, err.message);
    }
}

static void test_nests_deeply(void **state)
{
    (void)state;
    char text[IG_RULE_MAX_BYTES];
    struct ig_err err = IG_ERR_INIT;
    struct ig_rules *rules;
    struct ig_str rule = {text, 0};
    for (int depth = 60; depth <= 300; depth += 240) {
        rule.len = 0;
        for (int i = 0; i < depth; i++) text[rule.len++] = '(';
        rule.len += (size_t)snprintf(text + rule.len, 16, "age > 1");
        for (int i = 0; i < depth; i++) text[rule.len++] = ')';
        const struct ig_rules_spec spec = spec_of(&rule, 1);
        enum ig_code code = ig_rules_new(&rules, &spec, &err);
        assert_int_equal(code, depth == 60 ? IG_OK : IG_INVALID);
        if (code == IG_OK) ig_rules_free(rules);
    }
    assert_non_null(strstr(err.message, "nested deeper than 64"));
}

static void test_dead_rules(void **state)
{
    (void)state;
    static const struct {
        const char *rules[3];
        int dead; /* -1: none */
    } CASES[] = {
        {{"age > 40", "age > 50"}, 1},
        {{"age > 50", "age > 40"}, -1},
        {{"age >= 40", "age < 40", "age is missing"}, -1},
        {{"age >= 40", "age < 40", "age == 3"}, 2},
        {{"age != 3", "age == 3", "basket > 1"}, 2},
        {{"colour in ('red','green')", "colour == 'red' and age > 3"}, 1},
        {{"colour == 'red'", "colour != 'red'", "basket > 1"}, 2},
        {{"user_segment starts_with 'pre'", "user_segment == 'premium'"}, 1},
        {{"user_segment == 'premium'", "user_segment starts_with 'premium'"}, -1},
        {{"user_segment starts_with 'a'", "not user_segment starts_with 'ab'"}, -1},
        {{"header('A') == 'x'", "header('a') == 'x'"}, 1},
        {{"age > 1 or basket > 1", "age > 2 and basket > 2"}, 1},
        {{"age > 1 and basket > 1", "age > 2", "basket > 2"}, -1},
        {{"age between 1 and 2", "age > 1 and age < 2"}, 1},
        {{"age > 1 and age < 2", "age between 1 and 2"}, -1},
        {{"tenant == 'a'", "tenant in ('a')"}, 1},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_rules *rules = NULL;
        struct ig_str texts[3];
        uint32_t count = 0;
        char expected[64];
        for (; count < 3 && CASES[i].rules[count]; count++)
            texts[count] = ig_str_view(CASES[i].rules[count]);
        const struct ig_rules_spec spec = spec_of(texts, count);
        enum ig_code code = ig_rules_new(&rules, &spec, &err);
        if (CASES[i].dead < 0) {
            if (code != IG_OK) fail_msg("case %zu: %s", i, err.message);
            ig_rules_free(rules);
            continue;
        }
        assert_int_equal(code, IG_INVALID);
        snprintf(expected, sizeof expected, "rules[%d]: no request reaches it", CASES[i].dead);
        if (strncmp(err.message, expected, strlen(expected)) != 0)
            fail_msg("case %zu: %s", i, err.message);
    }
}

/* ---- random rules against every request of a grid ---- */

static size_t write_test(char *text, size_t size, struct ig_rng *rng)
{
    static const char *const SIGNS[] = {"==", "!=", "<", "<=", ">", ">="};
    static const char *const TEXTS[] = {"user_segment == 'a'",
                                        "user_segment starts_with 'a'",
                                        "user_segment in ('b', 'ab')",
                                        "user_segment is missing",
                                        "colour == 'red'",
                                        "colour starts_with 'green'",
                                        "colour is not missing",
                                        "basket is missing"};
    if (ig_rng_below(rng, 2))
        return (size_t)snprintf(text, size, "%s", TEXTS[ig_rng_below(rng, 8)]);
    return (size_t)snprintf(text, size, "%s %s %d", ig_rng_below(rng, 2) ? "age" : "basket",
                            SIGNS[ig_rng_below(rng, 6)], (int)ig_rng_below(rng, 3));
}

static struct ig_str write_rule(char *text, size_t size, struct ig_rng *rng)
{
    size_t length = 0, tests = 1 + ig_rng_below(rng, 3);
    for (size_t i = 0; i < tests; i++) {
        if (i)
            length += (size_t)snprintf(text + length, size - length, "%s",
                                       ig_rng_below(rng, 2) ? " and " : " or ");
        if (!ig_rng_below(rng, 4)) length += (size_t)snprintf(text + length, size - length, "not ");
        length += write_test(text + length, size - length, rng);
    }
    return (struct ig_str){text, length};
}

static bool exists_request(const struct ig_rules *rules, uint32_t rule)
{
    static const double NUMBERS[] = {NAN, -1, 0, 0.5, 1, 1.5, 2, 3};
    static const char *const SEGMENTS[] = {NULL, "a", "b", "ab", "ax", "x"};
    for (int age = 0; age < 8; age++)
        for (int basket = 0; basket < 8; basket++)
            for (int segment = 0; segment < 6; segment++)
                for (int colour = 0; colour < 5; colour++) {
                    const struct request request = {
                        {NUMBERS[age], NAN, colour == 4 ? (double)NAN : colour - 1},
                        {{SEGMENTS[segment] != NULL, NAN, ig_str_view(SEGMENTS[segment])},
                         {basket != 0, NUMBERS[basket], IG_STR("")}},
                        NULL,
                        NULL};
                    if (first(rules, &request) == rule) return true;
                }
    return false;
}

static void test_dead_rules_by_brute_force(void **state)
{
    (void)state;
    struct ig_rng rng;
    char texts[4][256];
    int dead = 0, live = 0;
    ig_rng_seed(&rng, 20);
    for (int round = 0; round < 400; round++) {
        struct ig_str rules_texts[4];
        struct ig_rules rules = {0};
        struct ig_err err = IG_ERR_INIT;
        ig_arena_init(&rules.arena, 8 << 10, 1 << 20);
        rules.sources = ig_arena_array(&rules.arena, IG_RULES_SOURCES_MAX, sizeof *rules.sources);
        rules.tests = ig_arena_array(&rules.arena, 64, sizeof *rules.tests);
        rules.programs = ig_arena_array(&rules.arena, 4, sizeof *rules.programs);
        const struct ig_rules_spec spec = spec_of(NULL, 0);
        for (uint32_t i = 0; i < 4; i++) {
            bool says;
            rules_texts[i] = write_rule(texts[i], sizeof texts[i], &rng);
            ASSERT_OK(ig_rules_compile(&rules, &spec, rules_texts[i], &err));
            ASSERT_OK(ig_rules_is_live(&says, &rules, i, &err));
            bool is = exists_request(&rules, i);
            if (says != is)
                fail_msg("round %d: rule %u '%s' is %s", round, i, texts[i], is ? "live" : "dead");
            dead += !is;
            live += is;
        }
        ig_arena_deinit(&rules.arena);
    }
    assert_true(dead > 100 && live > 100);
}

/* Many independent names: the search gives up in bounded time and lets the rule pass. */
static void test_gives_up(void **state)
{
    (void)state;
    char texts[60][64];
    struct ig_str rules_texts[61];
    struct ig_err err = IG_ERR_INIT;
    struct ig_rules *rules;
    for (int i = 0; i < 60; i++)
        rules_texts[i] = (struct ig_str){
            texts[i],
            (size_t)snprintf(texts[i], sizeof texts[i],
                             "header('h%d') == 'x' and header('h%d') == 'x'", i, (i * 7 + 1) % 60)};
    rules_texts[60] = IG_STR("age > 1");
    const struct ig_rules_spec spec = spec_of(rules_texts, 61);
    ASSERT_OK(ig_rules_new(&rules, &spec, &err));
    ig_rules_free(rules);
}

static int set_up(void **state)
{
    struct ig_err err = IG_ERR_INIT;
    (void)state;
    return ig_schema_index(&schema, &err) == IG_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    ig_schema_deinit(&schema);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holds),      cmocka_unit_test(test_first_wins),
        cmocka_unit_test(test_refuses),    cmocka_unit_test(test_nests_deeply),
        cmocka_unit_test(test_dead_rules), cmocka_unit_test(test_dead_rules_by_brute_force),
        cmocka_unit_test(test_gives_up),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
