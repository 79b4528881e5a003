/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/groups.h"

#include <string.h>

static struct ig_feature features[] = {
    {.name = {"lat", 3}}, {.name = {"age", 3}}, {.name = {"lon", 3}}, {.name = {"pay", 3}}};
static struct ig_schema schema = {.features = features, .features_count = 4};
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

/* "where: lat lon; who: age" */
static enum ig_code build(struct ig_groups *out, const char *text, struct ig_err *err)
{
    struct ig_groups_builder builder;
    struct ig_str rest = ig_str_view(text);
    *err = IG_ERR_INIT;
    if (ig_groups_begin(&builder, &schema, &arena, err) != IG_OK) return err->code;
    while (rest.len) {
        struct ig_str group = ig_str_cut(&rest, ';');
        struct ig_str name = ig_str_trim(ig_str_cut(&group, ':'));
        if (ig_groups_add(&builder, name, err) != IG_OK) return err->code;
        for (group = ig_str_trim(group); group.len;)
            if (ig_groups_add_feature(&builder, ig_str_cut(&group, ' '), err) != IG_OK)
                return err->code;
    }
    return ig_groups_end(out, &builder, err);
}

static void test_players_in_order(void **state)
{
    struct ig_groups groups;
    struct ig_err err;
    (void)state;
    assert_int_equal(build(&groups, "where: lon lat", &err), IG_OK);
    assert_int_equal(groups.players.count, 3);
    const uint32_t wanted[] = {0, 1, 0, 2};
    assert_memory_equal(groups.players.of_feature, wanted, sizeof wanted);
    assert_true(ig_str_is(groups.names[0], "where") && ig_str_is(groups.names[1], "age") &&
                ig_str_is(groups.names[2], "pay"));
    assert_int_equal(build(&groups, "age: age pay; lat: lat lon", &err), IG_OK);
    const uint32_t both[] = {0, 1, 0, 1};
    assert_memory_equal(groups.players.of_feature, both, sizeof both);
    assert_int_equal(build(&groups, "", &err), IG_OK);
    assert_null(groups.players.of_feature);
    assert_int_equal(groups.players.count, 4);
}

static void test_other_order(void **state)
{
    static const uint32_t SOURCE_OF[] = {3, 2, 0, 1};
    const struct ig_feature_map map = {.features_count = 4, .source_of = SOURCE_OF};
    struct ig_groups groups;
    struct ig_players own;
    struct ig_err err;
    (void)state;
    assert_int_equal(build(&groups, "where: lon lat", &err), IG_OK);
    assert_int_equal(ig_groups_map(&own, &groups.players, &map, &arena, &err), IG_OK);
    const uint32_t wanted[] = {2, 0, 0, 1};
    assert_int_equal(own.count, 3);
    assert_memory_equal(own.of_feature, wanted, sizeof wanted);
    assert_int_equal(ig_groups_map(&own, &groups.players, NULL, &arena, &err), IG_OK);
    assert_ptr_equal(own.of_feature, groups.players.of_feature);
    assert_int_equal(build(&groups, "", &err), IG_OK);
    assert_int_equal(ig_groups_map(&own, &groups.players, &map, &arena, &err), IG_OK);
    assert_null(own.of_feature);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"a: lat x", "groups.a: the model has no feature 'x'"},
        {"a: lat; b: lon lat", "groups.b: feature 'lat' is in a group already"},
        {"a:; b: lat", "groups.a: at least one feature is expected"},
        {"a:", "groups.a: at least one feature is expected"},
        {"a: lat; a: lon", "groups: 'a' is given twice"},
        {"pay: lat lon", "groups: 'pay' is the name of a feature outside it"},
        {"a: lat; b: age; c: lon; d: pay; e: lat", "groups: more than the model's 4 features"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ig_groups groups;
        struct ig_err err;
        assert_int_equal(build(&groups, cases[i].text, &err), IG_INVALID);
        assert_string_equal(err.message, cases[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_players_in_order),
        cmocka_unit_test(test_other_order),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
