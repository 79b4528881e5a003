/* SPDX-License-Identifier: Apache-2.0 */
/* Plans: fields in the reply's order, the calls that roots are, limits and words. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/graphql_plan.h"

#include <stdio.h>

static struct ig_arena arena;

static int setup(void **state)
{
    (void)state;
    ig_arena_init(&arena, 4096, 32 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_arena_deinit(&arena);
    return 0;
}

static struct ig_str plan(struct ig_graphql_node **out, const char *text, const char *variables)
{
    struct ig_graphql_query query = {.text = ig_str_view(text), .operation = IG_STR("")};
    struct ig_err err = IG_ERR_INIT;
    struct ig_str wrong = IG_STR("unread");
    if (ig_graphql_variables(&query.variables, ig_str_view(variables), &arena, &err) != IG_OK ||
        ig_graphql_plan(out, &wrong, &query, &arena, &err) != IG_OK)
        fail_msg("%.200s: %s", text, err.message);
    return wrong;
}

/* "a(b c)": keys as the reply has them. */
static void describe(struct ig_buf *out, const struct ig_graphql_node *node)
{
    for (; node; node = node->next) {
        ig_buf_add_str(out, node->key);
        if (node->first) {
            ig_buf_add_char(out, '(');
            describe(out, node->first);
            ig_buf_add_char(out, ')');
        }
        if (node->next) ig_buf_add_char(out, ' ');
    }
}

static void test_order(void **state)
{
    (void)state;
    static const struct {
        const char *text, *keys;
    } cases[] = {
        {"{mlflowGetRun{run{info{status}...F info{runId status}}}}"
         "fragment F on MlflowRunExtension{data{tags{key}}info{runName}}",
         "mlflowGetRun(run(info(status runName runId) data(tags(key))))"},
        {"query($y: Boolean!){mlflowGetRun{x:__typename apiError@skip(if:$y){code}run@include(if:"
         "true){...@include(if:$y){info{userId}}}}}",
         "mlflowGetRun(x run(info(userId)))"},
        {"{test{output}...{test{o:output}}}", "test(output o)"},
        {"{mlflowGetExperiment{experiment{...A}}}fragment A on MlflowExperiment{...B name}"
         "fragment B on MlflowExperiment{...A tags{value}}",
         "mlflowGetExperiment(experiment(tags(value) name))"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ig_graphql_node *first = NULL;
        struct ig_buf buf;
        struct ig_str wrong = plan(&first, cases[i].text, "{\"y\":true}");
        ig_buf_init(&buf, 4096);
        describe(&buf, first);
        if (wrong.ptr || !ig_str_is(ig_buf_view(&buf), cases[i].keys))
            fail_msg("%s: %.*s %s", cases[i].text, IG_STR_ARGS(wrong), buf.ptr ? buf.ptr : "");
        ig_buf_deinit(&buf);
    }
}

static void test_bodies(void **state)
{
    (void)state;
    static const struct {
        const char *text, *variables, *body;
    } cases[] = {
        {"{mlflowGetRun(input:{runId:\"a\\\"b\"}){__typename}}", "", "{\"run_id\":\"a\\\"b\"}"},
        {"query($i:MlflowGetRunInput){mlflowGetRun(input:$i){__typename}}",
         "{\"i\":{\"runUuid\":\"u\",\"runId\":null}}", "{\"run_uuid\":\"u\"}"},
        {"query($i:MlflowGetRunInput){mlflowGetRun(input:$i){__typename}}", "{}", "{}"},
        {"query($e:[String],$m:Int=7){mlflowSearchRuns(input:{experimentIds:$e,maxResults:$m,"
         "runViewType:DELETED_ONLY,orderBy:\"x\"}){__typename}}",
         "{\"e\":[\"1\",\"2\"]}",
         "{\"experiment_ids\":[\"1\",\"2\"],\"max_results\":7,\"run_view_type\":"
         "\"DELETED_ONLY\",\"order_by\":[\"x\"]}"},
        {"query($v:MlflowViewType,$m:LongString){mlflowSearchModelVersions(input:{maxResults:$m})"
         "{__typename}}",
         "{\"m\":\"5000000000\"}", "{\"max_results\":5000000000}"},
        {"query($n:String!){__type(name:$n){kind}}", "{\"n\":\"Query\"}", "{\"name\":\"Query\"}"},
        {"{test(inputString:\"t\"){output}}", "", "{\"input_string\":\"t\"}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ig_graphql_node *first = NULL;
        struct ig_str wrong = plan(&first, cases[i].text, cases[i].variables);
        if (wrong.ptr || !ig_str_is(first->body, cases[i].body))
            fail_msg("%s: %.*s %.*s", cases[i].text, IG_STR_ARGS(wrong),
                     first ? (int)first->body.len : 0, first ? first->body.ptr : "");
    }
}

static void expect_wrong(const char *text, const char *variables, const char *words)
{
    struct ig_graphql_node *first = NULL;
    struct ig_str wrong = plan(&first, text, variables);
    if (!wrong.ptr || !strstr(wrong.ptr, words))
        fail_msg("%s: '%.*s', not '%s'", text, IG_STR_ARGS(wrong), words);
}

static void test_words(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"{a}", "Cannot query field 'a' on type 'Query'."},
        {"mutation{mlflowGetRun{run{info{status}}}}", "on type 'Mutation'."},
        {"{mlflowGetRun{run{name}}}", "Cannot query field 'name' on type 'MlflowRunExtension'."},
        {"{mlflowGetRun}", "Field 'mlflowGetRun' of type 'MlflowGetRunResponse' must have a"},
        {"{mlflowGetRun{run}}", "Field 'run' of type 'MlflowRunExtension' must have a selection"},
        {"{mlflowGetRun{apiError}}", "Field 'apiError' of type 'ApiError' must have a selection"},
        {"{test{output{x}}}", "Field 'output' must not have a selection"},
        {"{test{__typename{x}}}", "Field '__typename' must not have a selection"},
        {"{test(x:1){output}}", "Unknown argument 'x' on field 'Query.test'."},
        {"{test{output(x:1)}}", "Unknown argument 'x' on field 'Test.output'."},
        {"{__schema}", "Field '__schema' of type '__Schema' must have a selection"},
        {"{__schema(x:1){description}}", "Unknown argument 'x' on field 'Query.__schema'."},
        {"mutation{__schema{description}}", "Cannot query field '__schema' on type 'Mutation'."},
        {"{__type{kind}}", "Field '__type' argument 'name' of type 'String!' is required, but it"},
        {"{__type(name:null){kind}}", "Expected value of type 'String!', found null."},
        {"{__type(name:3){kind}}", "String cannot represent a non string value: 3"},
        {"{__type(name:\"Test\"){fields(x:1){name}}}",
         "Unknown argument 'x' on field '__Type.fields'."},
        {"{__type(name:\"Test\"){kind(includeDeprecated:true)}}",
         "Unknown argument 'includeDeprecated' on field '__Type.kind'."},
        {"{__schema{types{fields{type{fields{type{interfaces{name}}}}}}}}",
         "Maximum introspection depth exceeded"},
        {"{mlflowGetRun(input:3){__typename}}", "Expected value of type 'MlflowGetRunInput'"},
        {"{mlflowGetRun(input:{x:3}){__typename}}", "Field 'x' is not defined by type"},
        {"{mlflowGetRun(input:{runId:3}){__typename}}",
         "String cannot represent a non string value: 3"},
        {"{mlflowSearchRuns(input:{maxResults:\"3\"}){__typename}}",
         "Int cannot represent non-integer value: \"3\""},
        {"{mlflowSearchRuns(input:{maxResults:3000000000}){__typename}}",
         "Int cannot represent non 32-bit signed integer value: 3000000000"},
        {"{mlflowSearchRuns(input:{runViewType:MOST}){__typename}}",
         "Value 'MOST' does not exist in 'MlflowViewType' enum."},
        {"{mlflowSearchRuns(input:{experimentIds:[\"1\",null]}){__typename}}",
         "String cannot represent a non string value: null"},
        {"{mlflowGetRun(input:$x){__typename}}", "Variable '$x' is not defined."},
        {"query Q{mlflowGetRun(input:$x){__typename}}", "not defined by operation 'Q'."},
        {"{mlflowSearchRuns(input:{runViewType:1}){__typename}}",
         "Enum 'MlflowViewType' cannot represent: 1"},
        {"query Q($x:A!){test{output}}", "Variable '$x' of required type 'A!' was not provided."},
        {"query Q($n:A!){test{output}}", "Variable '$n' of non-null type 'A!' must not be null."},
        {"{...F}", "Unknown fragment 'F'."},
        {"{...F}fragment F on Nothing{a}", "Unknown type 'Nothing'."},
        {"{...on Test{output}}", "objects of type 'Query' can never be of type 'Test'."},
        {"{test@x{output}}", "Unknown directive '@x'."},
        {"query@x{test{output}}", "Unknown directive '@x'."},
        {"{test@skip{output}}", "Directive '@skip' argument 'if' of type 'Boolean!' is required."},
        {"{t:test{output}t:mlflowGetRun{__typename}}", "Fields 't' conflict"},
        {"{test(inputString:\"a\"){output}test(inputString:\"b\"){output}}", "'test' conflict"},
        {"{test{output}}query A{test{output}}", "This anonymous operation must be the only"},
        {"query A{test{output}}query B{test{output}}", "Must provide operation name"},
        {"fragment F on Test{output}", "Must provide an operation."},
        {"subscription{a}", "Schema is not configured to execute subscription operation."},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_wrong(cases[i].text, "{\"n\":null}", cases[i].words);
    struct ig_graphql_query query = {.text = IG_STR("query A{test{output}}"),
                                     .operation = IG_STR("B")};
    struct ig_graphql_node *first = NULL;
    struct ig_err err = IG_ERR_INIT;
    struct ig_str wrong;
    assert_int_equal(ig_graphql_plan(&first, &wrong, &query, &arena, &err), IG_OK);
    assert_string_equal(wrong.ptr, "Unknown operation named 'B'.");
}

/* The text with the middle several times; nothing when *words is empty. */
static void expect_limit(const char *before, const char *middle, size_t times, const char *behind,
                         const char *words)
{
    struct ig_graphql_node *first = NULL;
    struct ig_buf buf;
    ig_buf_init(&buf, 1 << 20);
    ig_buf_add_cstr(&buf, before);
    for (size_t i = 0; i < times; i++)
        for (const char *at = middle; *at; at++)
            if (*at == '#')
                ig_buf_add_u64(&buf, i);
            else
                ig_buf_add_char(&buf, *at);
    ig_buf_add_cstr(&buf, behind);
    struct ig_str wrong = plan(&first, buf.ptr, "");
    if (!words[0] != !wrong.ptr || (wrong.ptr && !strstr(wrong.ptr, words)))
        fail_msg("%zu of %s: '%.*s', not '%s'", times, middle, IG_STR_ARGS(wrong), words);
    ig_buf_deinit(&buf);
}

static void test_limits(void **state)
{
    (void)state;
    expect_limit("{", "k#:test{output}", 10, "}", "");
    expect_limit("{", "k#:test{output}", 11, "}", "at most 10 root fields, got 11 root fields.");
    expect_limit("{test{", "k#:output ", 10, "}}", "");
    expect_limit("{test{...{", "k#:output ", 11, "}}}", "at most 10 aliases, got 11 aliases.");
    expect_limit("{", "a{", 9, "b}}}}}}}}}}", "Cannot query field 'a'");
    expect_limit("{", "a{", 10, "b}}}}}}}}}}}", "Query exceeds maximum depth of 10");
    expect_limit("{test{", "output ", 999, "}}", "");
    expect_limit("{test{", "output ", 1000, "}}", "maximum total selections of 1000");
    /* Each of five fragments is spread ten times in the one before. */
    expect_limit("{...A}fragment A on Q{", "k#{...B}", 10,
                 "}fragment B on Q{a{...C}b{...C}c{...C}d{...C}e{...C}f{...C}g{...C}}"
                 "fragment C on Q{a{...D}b{...D}c{...D}d{...D}}fragment D on Q{a b c d}",
                 "maximum total selections of 1000");
    expect_limit("{test{output ...A}}fragment A on Test{output a{...A}", "", 0, "}",
                 "Query exceeds maximum depth of 10");
    expect_limit("{test{output}}fragment A on Test{", "...{...A}", 4000, "output}", "");
    expect_limit("{x{...A y{...A y{...A y{...A y{...A y{...A}}}}}}}fragment A on X{", "...{...A}",
                 4900, "z}", "maximum total selections of 1000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order), cmocka_unit_test(test_bodies),
                                       cmocka_unit_test(test_words), cmocka_unit_test(test_limits)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
