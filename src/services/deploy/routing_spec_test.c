/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/deploy/routing_spec.h"
#include "stores/temp_testing.h"

#include <stdio.h>
#include <string.h>

/* The canonical text of a graph, in `out`. */
static enum ig_code canonical(struct ig_buf *out, const char *json, struct ig_err *err)
{
    struct ig_arena arena;
    struct ig_routing_spec spec;
    ig_arena_init(&arena, 16 << 10, 8 << 20);
    ig_buf_reset(out);
    if (ig_routing_spec_read(&spec, ig_str_view(json), &arena, err) == IG_OK) {
        struct ig_json_out text;
        ig_json_out_init(&text, out);
        ig_routing_spec_write(&text, &spec);
        ig_buf_add_char(out, 0);
    }
    ig_arena_deinit(&arena);
    return err->code;
}

static const struct {
    const char *given, *written;
} GRAPHS[] = {
    {"{\"root\":{\"model\":\"m\"}}", "{\"root\":\"root\",\"nodes\":{\"root\":{\"model\":\"m\"}}}"},
    {"{\"resources\":{\"concurrency\":8},\"root\":{\"model\":\"m\"}}",
     "{\"root\":\"root\",\"nodes\":{\"root\":{\"model\":\"m\"}},\"resources\":{\"concurrency\":8}"
     "}"},
    {"{\"root\": \"a\", \"nodes\": {\"a\": {\"version\": 3, \"model\": \"m\"}}}",
     "{\"root\":\"a\",\"nodes\":{\"a\":{\"model\":\"m\",\"version\":3,\"ref\":\"3\"}}}"},
    {"{\"root\":{\"model\":\"m\",\"version\":\"champion\"}}",
     "{\"root\":\"root\",\"nodes\":{\"root\":{\"model\":\"m\",\"ref\":\"champion\"}}}"},
    {"{\"root\":{\"canary\":{\"canary_percent\":0.5,\"candidate\":{\"model\":\"m\",\"version\":2},"
     "\"stable\":{\"model\":\"m\",\"version\":1}}}}",
     "{\"root\":\"root\",\"nodes\":{\"root\":{\"canary\":{\"stable\":\"root.stable\",\"candidate\":"
     "\"root.candidate\",\"canary_percent\":0.5}},\"root.stable\":{\"model\":\"m\",\"version\":1,"
     "\"ref\":\"1\"},\"root.candidate\":{\"model\":\"m\",\"version\":2,\"ref\":\"2\"}}}"},
    {"{\"root\":{\"ensemble\":{\"combine\":\"mean\",\"members\":[\"a\",{\"node\":{\"model\":\"n\"},"
     "\"weight\":2}]}},\"nodes\":{\"a\":{\"model\":\"m\"}}}",
     "{\"root\":\"root\",\"nodes\":{\"root\":{\"ensemble\":{\"combine\":\"mean\",\"members\":[{"
     "\"weight\":1,\"node\":\"a\"},{\"weight\":2,\"node\":\"root.member2\"}]}},\"a\":{\"model\":"
     "\"m\"},\"root.member2\":{\"model\":\"n\"}}}"},
    {"{\"context\":{\"user_segment\":\"text\",\"basket\":\"number\"},\"root\":{\"segment\":{"
     "\"default\":\"b\",\"rules\":[{\"name\":\"rich\",\"when\":\"basket > 3\",\"then\":\"a\"},{"
     "\"when\":\"tenant == 'x'\",\"then\":\"b\"}]}},\"nodes\":{\"a\":{\"model\":\"m\"},\"b\":{"
     "\"model\":\"n\"}}}",
     "{\"root\":\"root\",\"nodes\":{\"root\":{\"segment\":{\"rules\":[{\"name\":\"rich\",\"when\":"
     "\"basket > 3\",\"then\":\"a\"},{\"when\":\"tenant == 'x'\",\"then\":\"b\"}],\"default\":"
     "\"b\"}},\"a\":{\"model\":\"m\"},\"b\":{\"model\":\"n\"}},\"context\":{\"user_segment\":"
     "\"text\",\"basket\":\"number\"}}"},
    {"{\"root\":{\"shadow\":{\"mirrors\":[{\"name\":\"new\",\"node\":\"b\"},{\"name\":\"newer\","
     "\"node\":\"c\",\"percent\":12.34}],\"primary\":\"a\"}},\"nodes\":{\"a\":{\"model\":\"m\"},"
     "\"b\":{\"model\":\"m\",\"version\":2},\"c\":{\"model\":\"m\",\"version\":3}}}",
     "{\"root\":\"root\",\"nodes\":{\"root\":{\"shadow\":{\"primary\":\"a\",\"mirrors\":[{\"name\":"
     "\"new\",\"percent\":100,\"node\":\"b\"},{\"name\":\"newer\",\"percent\":12.34,\"node\":"
     "\"c\"}]}},\"a\":{\"model\":\"m\"},\"b\":{\"model\":\"m\",\"version\":2,\"ref\":\"2\"},\"c\":{"
     "\"model\":\"m\",\"version\":3,\"ref\":\"3\"}}}"},
    {"{\"root\":{\"versions\":{\"others\":[{\"model\":\"m\",\"version\":1},\"b\"],\"default\":{"
     "\"model\":\"m\"}}},\"nodes\":{\"b\":{\"model\":\"m\",\"version\":2}}}",
     "{\"root\":\"root\",\"nodes\":{\"root\":{\"versions\":{\"default\":\"root.default\","
     "\"others\":[{"
     "\"node\":\"root.member1\"},{\"node\":\"b\"}]}},\"root.default\":{\"model\":\"m\"},"
     "\"root.member1\":{\"model\":\"m\",\"version\":1,\"ref\":\"1\"},\"b\":{\"model\":\"m\","
     "\"version\":2,\"ref\":\"2\"}}}"},
    {"{\"root\":{\"bandit\":{\"policy\":\"epsilon_greedy\",\"epsilon\":0.2,\"arms\":[{\"name\":"
     "\"x\",\"node\":\"a\"},{\"name\":\"y\",\"node\":\"b\"}],\"salt\":\"s\"}},\"nodes\":{\"a\":{"
     "\"model\":\"m\"},\"b\":{\"model\":\"n\"}}}",
     "{\"root\":\"root\",\"nodes\":{\"root\":{\"bandit\":{\"salt\":\"s\",\"policy\":"
     "\"epsilon_greedy\",\"reward\":\"conversion\",\"metric\":\"reward\",\"epsilon\":0.2,\"floor\":"
     "0.01,\"arms\":[{\"name\":\"x\",\"node\":\"a\"},{\"name\":\"y\",\"node\":\"b\"}]}},\"a\":{"
     "\"model\":\"m\"},\"b\":{\"model\":\"n\"}}}"},
    {"{\"root\":{\"ensemble\":{\"on_failure\":\"skip\",\"members\":[\"a\",\"b\"]}},\"nodes\":{"
     "\"a\":{\"model\":\"m\"},\"b\":{\"model\":\"n\"}}}",
     "{\"root\":\"root\",\"nodes\":{\"root\":{\"ensemble\":{\"combine\":\"mean\",\"on_failure\":"
     "\"skip\",\"members\":[{\"weight\":1,\"node\":\"a\"},{\"weight\":1,\"node\":\"b\"}]}},\"a\":{"
     "\"model\":\"m\"},\"b\":{\"model\":\"n\"}}}"},
    {"{\"root\":{\"ensemble\":{\"members\":[{\"node\":\"a\",\"timeout_ms\":50},{\"timeout_ms\":"
     "600000,"
     "\"weight\":2,\"node\":\"b\"}]}},\"nodes\":{\"a\":{\"model\":\"m\"},\"b\":{\"model\":\"n\"}}}",
     "{\"root\":\"root\",\"nodes\":{\"root\":{\"ensemble\":{\"combine\":\"mean\",\"members\":[{"
     "\"weight\":1,\"timeout_ms\":50,\"node\":\"a\"},{\"weight\":2,\"timeout_ms\":600000,\"node\":"
     "\"b\"}]}},\"a\":{\"model\":\"m\"},\"b\":{\"model\":\"n\"}}}"},
    {"{\"root\":{\"ensemble\":{\"on_failure\":\"fail\",\"members\":[\"a\"]}},\"nodes\":{\"a\":{"
     "\"model\":\"m\"}}}",
     "{\"root\":\"root\",\"nodes\":{\"root\":{\"ensemble\":{\"combine\":\"mean\",\"members\":[{"
     "\"weight\":1,\"node\":\"a\"}]}},\"a\":{\"model\":\"m\"}}}"},
    {"{\"resources\":{\"isolation\":\"process\",\"replicas\":{\"min\":0,\"max\":4},\"cpu\":1.5},"
     "\"root\":{\"model\":\"m\"}}",
     "{\"root\":\"root\",\"nodes\":{\"root\":{\"model\":\"m\"}},\"resources\":{\"isolation\":"
     "\"process\",\"replicas\":{\"min\":0,\"max\":4},\"queue\":256,\"idle_s\":60,\"cpu\":1.5}}"},
    {"{\"resources\":{\"cache\":{\"max_mb\":4}},\"root\":{\"model\":\"m\"}}",
     "{\"root\":\"root\",\"nodes\":{\"root\":{\"model\":\"m\"}},\"resources\":{\"cache\":{\"max_"
     "mb\":4,"
     "\"ttl_s\":0}}}"},
    {"{\"resources\":{\"cpu\":3,\"instance\":\"small\"},\"root\":{\"model\":\"m\"}}",
     "{\"root\":\"root\",\"nodes\":{\"root\":{\"model\":\"m\"}},\"resources\":{\"instance\":"
     "\"small\","
     "\"memory_mb\":1024,\"cpu\":3}}"},
};

static void test_reads_and_writes(void **state)
{
    (void)state;
    struct ig_buf text, again;
    ig_buf_init(&text, 1 << 20);
    ig_buf_init(&again, 1 << 20);
    for (size_t i = 0; i < sizeof GRAPHS / sizeof *GRAPHS; i++) {
        struct ig_err err = IG_ERR_INIT;
        ASSERT_OK(canonical(&text, GRAPHS[i].given, &err));
        assert_string_equal(text.ptr, GRAPHS[i].written);
        ASSERT_OK(canonical(&again, text.ptr, &err));
        assert_string_equal(again.ptr, text.ptr);
    }
    ig_buf_deinit(&text);
    ig_buf_deinit(&again);
}

#define AB "\"nodes\":{\"a\":{\"model\":\"m\"},\"b\":{\"model\":\"n\"}}}"
#define LONG20 "abcdefghijklmnopqrst"
#define LONG LONG20 LONG20 LONG20 LONG20 LONG20 LONG20
#define ARM(name, weight) "{\"name\":\"" name "\",\"weight\":" weight ",\"node\":\"a\"}"

static const struct {
    const char *given, *message;
} REFUSED[] = {
    {"", ""},
    {"[]", "graph"},
    {"{}", "graph.root: missing"},
    {"{\"root\":\"a\"}", "graph.root: there is no node 'a' in graph.nodes"},
    {"{\"root\":7}", "graph.root: a node is expected: the name of one, or an object"},
    {"{\"root\":{}}", "graph.root: an empty node"},
    {"{\"root\":{\"modle\":\"m\"}}",
     "graph.root: unknown kind of node 'modle'; known are model, ensemble, segment, split, canary, "
     "bandit, shadow, versions"},
    {"{\"root\":{\"version\":1}}", "graph.root.model: missing"},
    {"{\"root\":{\"model\":\"m\",\"version\":0}}", "graph.root.version: 0, expected 1 or more"},
    {"{\"root\":{\"model\":\"m\",\"split\":{}}}", "graph.root: unknown member 'split'"},
    {"{\"root\":{\"model\":\"m\"},\"extra\":1}",
     "graph: unknown member 'extra'; known are root, nodes, context, resources"},
    {"{\"root\":{\"model\":\"m\"},\"resources\":{\"gpu\":0.25}}",
     "graph.resources.gpu: 0.25, but models run on the CPU here"},
    {"{\"root\":{\"model\":\"m\"},\"resources\":{\"cpus\":1}}",
     "graph.resources: unknown member 'cpus'"},
    {"{\"root\":{\"model\":\"m\"},\"resources\":{\"cpu\":0}}",
     "graph.resources.cpu: 0, expected a number of cores from 0.01 to 1024"},
    {"{\"root\":{\"model\":\"m\"},\"resources\":{\"isolation\":\"thread\"}}",
     "graph.resources.isolation: 'thread', expected shared or process"},
    {"{\"root\":{\"model\":\"m\"},\"resources\":{\"replicas\":2}}",
     "graph.resources.replicas: needs isolation process"},
    {"{\"root\":{\"model\":\"m\"},\"resources\":{\"isolation\":\"process\",\"concurrency\":2}}",
     "graph.resources.concurrency: of shared models"},
    {"{\"root\":{\"model\":\"m\"},\"resources\":{\"isolation\":\"process\",\"replicas\":0}}",
     "graph.resources.replicas: 0, expected a number from 1 to 64"},
    {"{\"root\":{\"model\":\"m\"},\"resources\":{\"isolation\":\"process\",\"replicas\":{\"min\":3,"
     "\"max\":2}}}",
     "graph.resources.replicas: min 3 is more than max 2"},
    {"{\"root\":{\"model\":\"m\"},\"resources\":{\"cache\":{\"ttl_s\":1}}}",
     "graph.resources.cache.max_mb: missing"},
    {"{\"root\":{\"model\":\"m\"},\"resources\":{\"cache\":{\"size\":1}}}",
     "graph.resources.cache: unknown member 'size'"},
    {"{\"root\":{\"model\":\"m\"},\"resources\":{\"batching\":{\"max_rows\":8}}}",
     "graph.resources.batching: needs isolation process"},
    {"{\"root\":{\"model\":\"m\"},\"resources\":{\"isolation\":\"process\",\"batching\":{\"max_"
     "rows\":1}}}",
     "graph.resources.batching.max_rows: 1, expected a number from 2 to 100000"},
    {"{\"root\":{\"model\":\"m\"},\"resources\":{\"instance\":\"huge\"}}",
     "graph.resources.instance: there is no instance type 'huge'; known are nano, "},
    {"{\"root\":{\"model\":\"m\"},\"resources\":{\"memory_mb\":1}}",
     "graph.resources.memory_mb: 1, expected a number from 32 to 16777216"},
    {"{\"root\":{\"model\":\"m\"},\"resources\":{\"concurrency\":-1}}",
     "graph.resources.concurrency"},
    {"{\"root\":{\"model\":\"m\"},\"root\":{\"model\":\"m\"}}", "graph.root: given twice"},
    {"{\"root\":\"a\"," AB, "graph.nodes.b: nothing leads to it"},
    {"{\"root\":{\"split\":{\"arms\":[" ARM("x", "50") "," ARM("y", "49.99") "]}}," AB,
     "graph.nodes.root: the weights are 99.99% together, not 100%"},
    {"{\"root\":{\"split\":{\"arms\":[" ARM("x", "33.333") "," ARM("y", "66.667") "]}}," AB,
     "graph.root.split.arms[0].weight: 33.333, expected a percentage from 0 to 100 in steps of "
     "0.01"},
    {"{\"root\":{\"split\":{\"arms\":[" ARM("x", "-1") "]}}," AB,
     "graph.root.split.arms[0].weight: -1, expected a percentage"},
    {"{\"root\":{\"split\":{\"arms\":[" ARM("x", "100") "]}}," AB,
     "graph.nodes.root: 1 arms, at least 2 are expected"},
    {"{\"root\":{\"split\":{\"arms\":[" ARM("x", "50") "," ARM("x", "50") "]}}," AB,
     "graph.root.split.arms[1]: the name 'x' is there already"},
    {"{\"root\":{\"split\":{\"arms\":[{\"name\":\"x\",\"node\":\"a\"}]}}," AB,
     "graph.root.split.arms[0].weight: missing"},
    {"{\"root\":{\"split\":{\"arms\":[{\"name\":\"x\",\"weight\":50}]}}," AB,
     "graph.root.split.arms[0].node: missing"},
    {"{\"root\":{\"split\":{\"arms\":[\"a\",\"b\"]}}," AB,
     "graph.root.split.arms[0]: an object is expected"},
    {"{\"root\":{\"canary\":{\"stable\":\"a\",\"canary_percent\":5}}," AB,
     "graph.root.canary.candidate: missing"},
    {"{\"root\":{\"canary\":{\"stable\":\"a\",\"candidate\":\"b\",\"canary_percent\":101}}," AB,
     "graph.root.canary.canary_percent: 101, expected a percentage"},
    {"{\"root\":{\"segment\":{\"rules\":[{\"when\":\"x > 1\",\"then\":\"a\"}]}}," AB,
     "graph.nodes.root.segment.default: missing"},
    {"{\"root\":{\"segment\":{\"default\":\"a\"}}," AB,
     "graph.nodes.root.segment.rules: at least one is expected"},
    {"{\"root\":{\"segment\":{\"rules\":[{\"then\":\"a\"}],\"default\":\"b\"}}," AB,
     "graph.root.segment.rules[0].when: missing"},
    {"{\"root\":{\"versions\":{\"others\":[\"a\"]}}," AB,
     "graph.nodes.root.versions.default: missing"},
    {"{\"root\":{\"versions\":{\"default\":\"a\",\"others\":[{\"canary\":{\"stable\":\"a\","
     "\"candidate\":\"b\"}}]}}," AB,
     "graph.nodes.root: 'root.member1' is a canary, expected a model"},
    {"{\"root\":{\"shadow\":{\"primary\":\"a\"}}," AB,
     "graph.nodes.root.shadow.mirrors: at least one is expected"},
    {"{\"root\":{\"shadow\":{\"mirrors\":[{\"name\":\"x\",\"node\":\"b\"}]}}," AB,
     "graph.nodes.root.shadow.primary: missing"},
    {"{\"root\":{\"ensemble\":{\"combine\":\"avg\",\"members\":[\"a\",\"b\"]}}," AB,
     "graph.root.ensemble.combine: 'avg', expected one of mean"},
    {"{\"root\":{\"ensemble\":{\"combine\":\"stack\",\"members\":[\"a\",\"b\"]}}," AB,
     "graph.nodes.root: combining by stack needs a meta model"},
    {"{\"root\":{\"ensemble\":{\"combine\":\"mean\",\"members\":[\"a\"],\"meta\":\"b\"}}," AB,
     "graph.nodes.root: combining by mean takes no meta model"},
    {"{\"root\":{\"ensemble\":{\"combine\":\"mean\",\"members\":[]}}}",
     "graph.nodes.root: 0 members, expected 1 to"},
    {"{\"root\":{\"ensemble\":{\"members\":[{\"node\":\"a\",\"weight\":0},\"b\"]}}," AB,
     "graph.nodes.root: member 1 has weight 0, expected a positive number"},
    {"{\"root\":{\"ensemble\":{\"members\":[{\"canary\":{\"stable\":\"a\",\"candidate\":\"b\"}}]}}"
     "," AB,
     "graph.nodes.root: 'root.member1' is a canary, but only models and ensembles can be members; "
     "put the canary above"},
    {"{\"root\":{\"ensemble\":{\"on_failure\":\"wait\",\"members\":[\"a\",\"b\"]}}," AB,
     "graph.root.ensemble.on_failure: 'wait', expected fail or skip"},
    {"{\"root\":{\"ensemble\":{\"on_failure\":\"skip\",\"combine\":\"stack\",\"members\":[\"a\"],"
     "\"meta\":\"b\"}}," AB,
     "graph.nodes.root.ensemble.on_failure: skip, but combining by stack needs the predictions of "
     "every member"},
    {"{\"root\":{\"ensemble\":{\"members\":[\"a\",{\"ensemble\":{\"on_failure\":\"skip\","
     "\"members\":"
     "[\"b\"]}}]}}," AB,
     "graph.nodes.root.member2.ensemble.on_failure: skip, but it is a member of 'root'"},
    {"{\"root\":{\"ensemble\":{\"members\":[{\"node\":\"a\",\"timeout_ms\":0},\"b\"]}}," AB,
     "graph.root.ensemble.members[0].timeout_ms: 0, expected a number from 1 to 600000"},
    {"{\"root\":{\"ensemble\":{\"members\":[\"a\",{\"node\":\"b\",\"timeout_ms\":1.5}]}}," AB,
     "graph.root.ensemble.members[1].timeout_ms: "},
    {"{\"root\":{\"versions\":{\"default\":\"a\",\"others\":[{\"node\":\"b\",\"timeout_ms\":9}]}}"
     "," AB,
     "graph.root.versions.others[0]: unknown member 'timeout_ms'"},
    {"{\"root\":{\"bandit\":{\"floor\":0.6,\"arms\":[{\"name\":\"x\",\"node\":\"a\"},{\"name\":"
     "\"y\",\"node\":\"b\"}]}}," AB,
     "graph.nodes.root: a floor of 0.6 for each of 2 arms is more than 1"},
    {"{\"root\":{\"bandit\":{\"policy\":\"ucb\"}}," AB,
     "graph.root.bandit.policy: 'ucb', expected one of thompson, epsilon_greedy"},
    {"{\"root\":{\"bandit\":{\"epsilon\":1.5}}," AB,
     "graph.root.bandit.epsilon: 1.5, expected 0 to 1"},
    {"{\"root\":{\"model\":\"m\"},\"context\":{\"x\":\"int\"}}",
     "graph.context.x: 'int', expected text or number"},
    {"{\"root\":\"p\",\"nodes\":{\"p\":{\"canary\":{\"stable\":\"q\",\"candidate\":\"q\"}},\"q\":{"
     "\"canary\":{\"stable\":\"p\",\"candidate\":{\"model\":\"m\"}}}}}",
     "graph.nodes.p: a cycle: p -> q -> p"},
    {"{\"root\":\"p\",\"nodes\":{\"p\":{\"model\":\"m\"},\"p\":{\"model\":\"m\"}}}",
     "graph.nodes.p: the name is there already"},
    {"{\"root\":{\"model\":\"m\"}} x", ""},
    {"{\"root\":{\"shadow\":{\"primary\":\"a\",\"mirrors\":[{\"name\":\"x\",\"percent\":101,"
     "\"node\":\"b\"}]}}," AB,
     "graph.root.shadow.mirrors[0].percent: 101, expected a percentage"},
    {"{\"root\":\"" LONG "\",\"nodes\":{\"" LONG "\":{\"split\":{\"arms\":[{\"name\":\"" LONG
     "\",\"weight\":50,\"node\":{\"model\":\"m\"}},{\"name\":\"y\",\"weight\":50,\"node\":{"
     "\"model\":"
     "\"n\"}}]}}}}",
     "graph.nodes." LONG ": its name and that of branch 1 are 240 bytes together, at most 229"},
};

static void test_refuses(void **state)
{
    (void)state;
    struct ig_buf text;
    ig_buf_init(&text, 1 << 20);
    for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++) {
        struct ig_err err = IG_ERR_INIT;
        enum ig_code code = canonical(&text, REFUSED[i].given, &err);
        if (code != IG_INVALID && code != IG_PARSE)
            fail_msg("%s: code %d %s", REFUSED[i].given, code, err.message);
        if (strncmp(err.message, REFUSED[i].message, strlen(REFUSED[i].message)) != 0)
            fail_msg("%s\n  gave: %s", REFUSED[i].given, err.message);
    }
    ig_buf_deinit(&text);
}

static void test_limits(void **state)
{
    (void)state;
    struct ig_buf json, text;
    ig_buf_init(&json, 1 << 20);
    ig_buf_init(&text, 1 << 20);
    /* A chain of canaries: each candidate is the next. */
    for (int depth = 14; depth <= 20; depth += 6) {
        struct ig_err err = IG_ERR_INIT;
        ig_buf_reset(&json);
        ig_buf_add_cstr(&json, "{\"root\":");
        for (int i = 0; i < depth; i++)
            ig_buf_add_cstr(&json, "{\"canary\":{\"stable\":{\"model\":\"m\"},\"candidate\":");
        ig_buf_add_cstr(&json, "{\"model\":\"m\"}");
        for (int i = 0; i < depth; i++) ig_buf_add_cstr(&json, "}}");
        ig_buf_add_cstr(&json, "}");
        ig_buf_add_char(&json, 0);
        enum ig_code code = canonical(&text, json.ptr, &err);
        if (depth == 14)
            assert_int_equal(code, IG_OK);
        else
            assert_non_null(strstr(err.message, "more than 16 nodes deep"));
    }
    struct ig_err err = IG_ERR_INIT;
    ig_buf_reset(&json);
    ig_buf_add_cstr(&json, "{\"root\":{\"split\":{\"arms\":[");
    for (int i = 0; i < 70; i++)
        ig_buf_printf(&json, "%s{\"name\":\"a%d\",\"weight\":1,\"node\":{\"model\":\"m\"}}",
                      i ? "," : "", i);
    ig_buf_add_cstr(&json, "]}}}");
    ig_buf_add_char(&json, 0);
    assert_int_equal(canonical(&text, json.ptr, &err), IG_INVALID);
    assert_non_null(strstr(err.message, "more than 64 nodes"));
    ig_buf_deinit(&json);
    ig_buf_deinit(&text);
}

/* Two chains, the second of which ends where the first begins: deep only one behind the other. */
static void test_joined_chains(void **state)
{
    (void)state;
    for (int length = 7; length <= 9; length += 2) {
        struct ig_buf json, text;
        struct ig_err err = IG_ERR_INIT;
        ig_buf_init(&json, 1 << 20);
        ig_buf_init(&text, 1 << 20);
        ig_buf_add_cstr(&json, "{\"root\":{\"canary\":{\"stable\":\"x0\",\"candidate\":\"y0\"}},"
                               "\"nodes\":{\"m\":{\"model\":\"m\"}");
        for (int i = 0; i < 2 * length; i++) {
            char chain = i < length ? 'x' : 'y';
            ig_buf_printf(&json, ",\"%c%d\":{\"canary\":{\"stable\":\"m\",\"candidate\":", chain,
                          i % length);
            if (i == length - 1)
                ig_buf_add_cstr(&json, "{\"model\":\"n\"}}}");
            else if (i == 2 * length - 1)
                ig_buf_add_cstr(&json, "\"x0\"}}");
            else
                ig_buf_printf(&json, "\"%c%d\"}}", chain, i % length + 1);
        }
        ig_buf_add_cstr(&json, "}}");
        ig_buf_add_char(&json, 0);
        enum ig_code code = canonical(&text, json.ptr, &err);
        if (length == 7) /* root, 14 canaries, a model */
            assert_int_equal(code, IG_OK);
        else
            assert_non_null(strstr(err.message, "more than 16 nodes deep"));
        ig_buf_deinit(&json);
        ig_buf_deinit(&text);
    }
}

static void test_prune(void **state)
{
    (void)state;
    struct ig_arena arena;
    struct ig_routing_spec spec;
    struct ig_err err = IG_ERR_INIT;
    ig_arena_init(&arena, 16 << 10, 1 << 20);
    ASSERT_OK(ig_routing_spec_read(&spec, ig_str_view(GRAPHS[4].given), &arena, &err));
    assert_int_equal(spec.nodes_count, 3);
    int32_t candidate = ig_routing_spec_find(&spec, IG_STR("root.candidate"));
    assert_int_equal(candidate, 2);
    struct ig_routing_node root = spec.nodes[0];
    spec.nodes[0] = spec.nodes[candidate];
    spec.nodes[0].name = root.name;
    spec.nodes[0].edges_count = 0;
    ASSERT_OK(ig_routing_spec_prune(&spec, &arena, &err));
    assert_int_equal(spec.nodes_count, 1);
    assert_int_equal(spec.nodes[0].version, 2);
    ig_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_and_writes),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_joined_chains),
        cmocka_unit_test(test_prune),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
