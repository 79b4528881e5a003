/* SPDX-License-Identifier: Apache-2.0 */
/* The description is JSON, holds every route, and every reference in it leads somewhere. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/call_testing.h"
#include "api/route.h"

#include <stdio.h>

static void test_description(void **state)
{
    (void)state;
    struct ig_call_testing test;
    struct ig_json json;
    struct ig_err err = IG_ERR_INIT;
    char wanted[256];
    ig_call_testing_init(&test);
    assert_int_equal(ig_openapi_get(&test.call), IG_OK);
    assert_false(test.exchange.reply.overflowed);
    const char *text = test.exchange.reply.ptr;
    ig_json_init(&json, ig_buf_view(&test.exchange.reply), &test.exchange.arena, &err);
    assert_true(ig_json_skip(&json));
    assert_int_equal(ig_json_next(&json), IG_JSON_END);
    for (size_t i = 0; i < ig_routes_count(); i++) {
        const char *path = IG_ROUTES[i].path, *star = strchr(path, '*');
        size_t head = star ? (size_t)(star - path) : strlen(path);
        snprintf(wanted, sizeof wanted, "\"%.*s%s\":{\"", (int)head, path, star ? star + 1 : "");
        if (!strstr(text, wanted)) fail_msg("%s is missing", IG_ROUTES[i].path);
        assert_non_null(strstr(text, IG_ROUTES[i].doc));
    }
    for (const char *at = text; (at = strstr(at, "#/components/schemas/"));) {
        at += strlen("#/components/schemas/");
        snprintf(wanted, sizeof wanted, "\"%.*s\":{", (int)strcspn(at, "\""), at);
        if (!strstr(strstr(text, "\"schemas\":{"), wanted)) fail_msg("no schema %s", wanted);
    }
    ig_call_testing_deinit(&test);
}

/* A kind of node that the program reads is described. */
static void test_graph_nodes(void **state)
{
    static const char *const KINDS[] = {
#define IG_ROUTING_KIND(id, name, doc) name,
#include "services/deploy/routing_kinds.def"
#undef IG_ROUTING_KIND
    };
    (void)state;
    struct ig_call_testing test;
    char wanted[64];
    ig_call_testing_init(&test);
    assert_int_equal(ig_openapi_get(&test.call), IG_OK);
    const char *node = strstr(test.exchange.reply.ptr, "\"GraphNode\":{");
    assert_non_null(node);
    const char *end = strstr(node, "\"WhyRequest\":{");
    assert_non_null(end);
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        snprintf(wanted, sizeof wanted, "\"%s\":{\"type\":\"", KINDS[i]);
        const char *found = strstr(node, wanted);
        if (!found || found > end) fail_msg("%s is missing", KINDS[i]);
    }
    ig_call_testing_deinit(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_description),
                                       cmocka_unit_test(test_graph_nodes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
