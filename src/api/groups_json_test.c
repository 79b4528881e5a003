/* SPDX-License-Identifier: Apache-2.0 */
/* Groups from a request's JSON, and where in it they are wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/groups_json.h"

#include <string.h>

static struct ig_feature features[] = {
    {.name = {"lat", 3}}, {.name = {"age", 3}}, {.name = {"lon", 3}}};
static struct ig_schema schema = {.features = features, .features_count = 3};
static struct ig_arena arena;

static int setup(void **state)
{
    struct ig_err err = IG_ERR_INIT;
    (void)state;
    ig_arena_init(&arena, 4096, 1 << 16);
    return ig_schema_index(&schema, &err) == IG_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    ig_schema_deinit(&schema);
    ig_arena_deinit(&arena);
    return 0;
}

static enum ig_code read_text(struct ig_groups *out, const char *text, struct ig_err *err)
{
    struct ig_json json;
    *err = IG_ERR_INIT;
    ig_json_init(&json, ig_str_view(text), &arena, err);
    return ig_groups_json_read(out, &json, &schema);
}

static void test_read(void **state)
{
    struct ig_groups groups;
    struct ig_err err;
    (void)state;
    assert_int_equal(read_text(&groups, "{\"where\":[\"lon\",\"lat\"]}", &err), IG_OK);
    assert_int_equal(groups.players.count, 2);
    assert_true(ig_str_is(groups.names[0], "where") && ig_str_is(groups.names[1], "age"));
    assert_int_equal(read_text(&groups, "{}", &err), IG_OK);
    assert_null(groups.players.of_feature);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *text, *message;
        int64_t at_byte;
    } CASES[] = {
        {"{\"a\":[\"x\"]}", "groups.a: the model has no feature 'x'", 9},
        {"{\"a\":[],\"b\":[\"lat\"]}", "groups.a: at least one feature is expected", 12},
        {"{\"age\":[\"lat\"]}", "groups: 'age' is the name of a feature outside it", 15},
        {"{\"a\":\"lat\"}", "groups: expected an array, found a string", 10},
        {"[\"lat\"]", "groups: expected an object, found an array", 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct ig_groups groups;
        struct ig_err err;
        assert_int_equal(read_text(&groups, CASES[i].text, &err), IG_INVALID);
        assert_memory_equal(err.message, CASES[i].message, strlen(CASES[i].message));
        assert_int_equal(err.at_byte, CASES[i].at_byte);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
