/* SPDX-License-Identifier: Apache-2.0 */
/* What is sampled, into which file it goes, and that each is a whole JSON array. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"
#include "services/deploy/traces.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char dir[32];
static int dirfd = -1;
static struct ig_traces *traces;
static struct ig_err err;
static struct ig_buf text;

static int setup(void **state)
{
    (void)state;
    err = IG_ERR_INIT;
    snprintf(dir, sizeof dir, "/tmp/ingot-traces-XXXXXX");
    ig_buf_init(&text, 64 << 20);
    if (!mkdtemp(dir) || ig_dir_open(&dirfd, IG_FILE_CWD, dir, &err) != IG_OK) return -1;
    return ig_traces_open(&traces, dirfd, &err) == IG_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    ig_traces_close(traces);
    ig_file_close(&dirfd);
    ig_dir_remove_tree(IG_FILE_CWD, dir, &err);
    ig_buf_deinit(&text);
    return 0;
}

/* -2: leave it, -3: clear it. */
static void set(const char *model, int64_t level, int64_t rate, int64_t count, int64_t frequency)
{
    const int64_t values[] = {level, rate, count, frequency};
    struct ig_trace_change change = {0};
    for (int i = 0; i < IG_TRACE_FIELDS_COUNT; i++) {
        change.values[i] = values[i];
        change.how[i] = values[i] == -2   ? IG_TRACE_KEEP
                        : values[i] == -3 ? IG_TRACE_CLEAR
                                          : IG_TRACE_SET;
    }
    assert_int_equal(ig_traces_update(traces, ig_str_view(model), &change, &err), IG_OK);
}

static void note(const char *deployment, int times)
{
    const struct ig_decision decision = {
        .deployment = ig_str_view(deployment), .version = 3, .before_ns = 30, .compute_ns = 40};
    const struct ig_trace_tensor tensors[] = {
        {"TENSOR_QUEUE_INPUT", "FP64", IG_STR("in\"put"), IG_STR("1,2"), IG_STR("0.5,-1")},
        {"TENSOR_BACKEND_OUTPUT", "BYTES", IG_STR("labels"), IG_STR("1"), IG_STR("a\nb")}};
    struct ig_buf lines;
    ig_buf_init(&lines, 1 << 20);
    for (int i = 0; i < 2; i++) ig_trace_tensor_write(&lines, &tensors[i]);
    struct ig_trace trace = {.receive = "HTTP_RECV",
                             .send = "HTTP_SEND",
                             .request_id = IG_STR("a\"b"),
                             .received_ns = 1000,
                             .taken_ns = 1010,
                             .decoded_ns = 1020,
                             .done_ns = 1080,
                             .sent_ns = 1090,
                             .decisions = &decision,
                             .decisions_count = 1};
    for (int i = 0; i < times; i++) {
        trace.sample = ig_traces_sample(traces, decision.deployment);
        trace.tensors = trace.sample.level & IG_TRACE_TENSORS ? &lines : NULL;
        if (trace.sample.level) ig_traces_note(traces, &trace);
    }
    ig_buf_deinit(&lines);
}

/* How many traces a file holds; -1 when there is none. */
static int count_in(const char *name)
{
    struct ig_arena arena;
    struct ig_json json;
    char path[64];
    int count = 0;
    ig_traces_flush(traces);
    err = IG_ERR_INIT;
    snprintf(path, sizeof path, "traces/%s", name);
    if (ig_file_read(&text, dirfd, path, &err) != IG_OK) {
        assert_int_equal(err.code, IG_NOT_FOUND);
        err = IG_ERR_INIT;
        return -1;
    }
    ig_arena_init(&arena, 4096, 1 << 20);
    ig_json_init(&json, ig_buf_view(&text), &arena, &err);
    assert_int_equal(ig_json_next(&json), IG_JSON_ARRAY);
    assert_true(ig_json_skip_open(&json));
    assert_int_equal(ig_json_next(&json), IG_JSON_END);
    ig_arena_deinit(&arena);
    for (const char *at = text.ptr; (at = strstr(at, "\"HTTP_RECV_START\"")); at++) count++;
    return count;
}

static void test_off(void **state)
{
    (void)state;
    struct ig_trace_setting now;
    struct stat info;
    assert_false(ig_traces_on(traces));
    assert_false(ig_traces_on(NULL));
    note("d", 5000);
    ig_traces_get(&now, traces, IG_STR("d"));
    assert_int_equal(now.values[IG_TRACE_LEVEL], 0);
    assert_int_equal(now.values[IG_TRACE_RATE], 1000);
    assert_int_equal(now.values[IG_TRACE_COUNT], -1);
    assert_int_equal(now.values[IG_TRACE_LOG_FREQUENCY], 0);
    ig_traces_flush(traces);
    assert_int_not_equal(fstatat(dirfd, "traces", &info, 0), 0);
}

#define AT(name, ns) ",{\"id\":1,\"timestamps\":[{\"name\":\"" name "\",\"ns\":" ns "}]}"

static void test_form(void **state)
{
    (void)state;
    set("", 1, 1, 1, -2);
    note("d", 1);
    assert_int_equal(count_in("trace.json.0"), 1);
    assert_string_equal(text.ptr,
                        "[{\"id\":1,\"model_name\":\"d\",\"model_version\":3,\"request_id\":"
                        "\"a\\\"b\"}" AT("HTTP_RECV_START", "1000") AT("HTTP_RECV_END", "1010")
                            AT("REQUEST_START", "1010") AT("QUEUE_START", "1020")
                                AT("COMPUTE_START", "1030") AT("COMPUTE_INPUT_END", "1030")
                                    AT("COMPUTE_OUTPUT_START", "1070") AT("COMPUTE_END", "1080")
                                        AT("REQUEST_END", "1080") AT("HTTP_SEND_START", "1080")
                                            AT("HTTP_SEND_END", "1090") "]\n");
}

/* Each third call, twice; then no more until the count is set again. */
static void test_rate_and_count(void **state)
{
    (void)state;
    struct ig_trace_setting now;
    set("", 1, 3, 2, -2);
    assert_true(ig_traces_on(traces));
    note("d", 5);
    ig_traces_get(&now, traces, IG_STR(""));
    assert_int_equal(now.values[IG_TRACE_COUNT], 1);
    assert_int_equal(count_in("trace.json.0"), -1);
    note("d", 10);
    assert_int_equal(count_in("trace.json.0"), 2);
    assert_int_equal(count_in("trace.json"), -1);
    set("", -2, -2, 1, -2);
    note("d", 3);
    assert_int_equal(count_in("trace.json.1"), 1);
}

/* So many a file; what is left when the setting changes goes into one, too. */
static void test_frequency(void **state)
{
    (void)state;
    set("", 1, 1, -1, 2);
    note("d", 5);
    assert_int_equal(count_in("trace.json.0"), 2);
    assert_int_equal(count_in("trace.json.1"), 2);
    assert_int_equal(count_in("trace.json.2"), -1);
    set("", 0, -2, -2, -2);
    assert_int_equal(count_in("trace.json.2"), 1);
    note("d", 5);
    set("", 1, -2, -2, 1);
    note("d", IG_TRACES_FILES_MAX);
    ig_traces_flush(traces);
    assert_int_equal(count_in("trace.json.256"), -1);
    assert_int_equal(count_in("trace.json.2"), 1);
}

/* Without a frequency all go into one file, an array at any time. */
static void test_one_file(void **state)
{
    (void)state;
    set("", 1, 1, -1, -2);
    note("d", 2);
    assert_int_equal(count_in("trace.json"), -1);
    set("", -2, -2, -2, -2);
    assert_int_equal(count_in("trace.json"), 2);
    note("d", 2000); /* more than is kept in memory */
    assert_true(count_in("trace.json") > 300);
    set("", 0, -2, -2, -2);
    assert_int_equal(count_in("trace.json"), 2002);
    assert_int_equal(ig_traces_dropped(traces), 0);
}

/* What cannot be written is counted, and the next file is tried again. */
static void test_no_file(void **state)
{
    (void)state;
    char path[64];
    set("", 1, 1, -1, 2);
    snprintf(path, sizeof path, "%s/traces", dir);
    FILE *in_the_way = fopen(path, "w");
    assert_non_null(in_the_way);
    fclose(in_the_way);
    note("d", 2);
    ig_traces_flush(traces);
    assert_int_equal(ig_traces_dropped(traces), 2);
    assert_int_equal(remove(path), 0);
    note("d", 2);
    assert_int_equal(count_in("trace.json.1"), 2);
    assert_int_equal(ig_traces_dropped(traces), 2);
    assert_int_equal(ig_traces_dropped(NULL), 0);
}

/* A deployment's own values, the others being those of all. */
static void test_models(void **state)
{
    (void)state;
    struct ig_trace_setting now;
    char name[16];
    set("d", 1, -2, -2, -2);
    ig_traces_get(&now, traces, IG_STR("d"));
    assert_int_equal(now.values[IG_TRACE_RATE], 1000);
    set("", -2, 1, 4, 1);
    ig_traces_get(&now, traces, IG_STR("d"));
    assert_true(now.values[IG_TRACE_RATE] == 1 && now.values[IG_TRACE_COUNT] == 4);
    note("other", 3);
    note("d", 1);
    assert_int_equal(count_in("trace.json.0"), 1);
    assert_int_equal(count_in("trace.json.1"), -1);
    set("d", -3, -2, -2, -2);
    assert_false(ig_traces_on(traces));
    for (int i = 0; i < IG_TRACES_MODELS_MAX; i++) {
        snprintf(name, sizeof name, "m%d", i);
        set(name, 1, -2, -2, -2);
    }
    const struct ig_trace_change change = {.how = {IG_TRACE_SET}};
    assert_int_equal(ig_traces_update(traces, IG_STR("more"), &change, &err), IG_EXHAUSTED);
}

/* The parts of a call are traces below its own, and name the models that computed them. */
static void test_parts(void **state)
{
    (void)state;
    const struct ig_decision parts[] = {
        {.deployment = IG_STR("d"), .model = IG_STR("a"), .version = 1, .before_ns = 5},
        {.deployment = IG_STR("d"), .model = IG_STR("b"), .version = 2, .before_ns = 9}};
    struct ig_trace trace = {.receive = "GRPC_WAITREAD",
                             .received_ns = 100,
                             .done_ns = 120,
                             .decisions = parts,
                             .decisions_count = 2};
    set("", 1, 1, 1, -2);
    trace.sample = ig_traces_sample(traces, IG_STR("d"));
    ig_traces_note(traces, &trace);
    assert_int_equal(count_in("trace.json.0"), 0);
    assert_non_null(strstr(text.ptr, "{\"id\":2,\"model_name\":\"a\",\"model_version\":1,"
                                     "\"parent_id\":1}"));
    assert_non_null(strstr(text.ptr, "{\"id\":3,\"timestamps\":[{\"name\":\"COMPUTE_START\","
                                     "\"ns\":109}]}"));
    assert_non_null(strstr(text.ptr, "{\"id\":1,\"timestamps\":[{\"name\":\"GRPC_WAITREAD_START\","
                                     "\"ns\":100}]}"));
    assert_null(strstr(text.ptr, "SEND"));
}

/* Tensors go with times or alone, each as an object of the trace's id. */
static void test_tensors(void **state)
{
    (void)state;
    static const char INPUT[] = "{\"id\":1,\"activity\":\"TENSOR_QUEUE_INPUT\",\"tensor\":{"
                                "\"name\":\"in\\\"put\",\"data\":\"0.5,-1\",\"shape\":\"1,2\","
                                "\"dtype\":\"FP64\"}}";
    set("", IG_TRACE_TENSORS, 1, 1, -2);
    note("d", 2);
    assert_int_equal(count_in("trace.json.0"), 0); /* none has times */
    assert_non_null(strstr(text.ptr, INPUT));
    assert_non_null(strstr(text.ptr, "\"data\":\"a\\nb\",\"shape\":\"1\",\"dtype\":\"BYTES\"}}]"));
    assert_null(strstr(text.ptr, "timestamps"));
    set("", IG_TRACE_TENSORS | IG_TRACE_TIMESTAMPS, 1, 1, -2);
    note("d", 1);
    assert_int_equal(count_in("trace.json.1"), 1);
    assert_non_null(strstr(text.ptr, "\"id\":2,\"activity\":\"TENSOR_BACKEND_OUTPUT\""));
    assert_non_null(strstr(text.ptr, "\"name\":\"HTTP_SEND_END\""));
}

/* What is sampled and not noted yet is waited for, whatever becomes of the settings. */
static void test_sampled_is_awaited(void **state)
{
    (void)state;
    const struct ig_decision decision = {.deployment = IG_STR("d"), .version = 1};
    struct ig_trace trace = {
        .receive = "HTTP_RECV", .received_ns = 5, .decisions = &decision, .decisions_count = 1};
    struct ig_trace_sample samples[3];
    set("d", IG_TRACE_TIMESTAMPS, 1, 2, -2);
    for (int i = 0; i < 3; i++) samples[i] = ig_traces_sample(traces, IG_STR("d"));
    assert_true(samples[0].level && samples[1].level && !samples[2].level);
    trace.sample = samples[0];
    ig_traces_note(traces, &trace);
    assert_int_equal(count_in("trace.json.0"), -1);
    trace.sample = samples[1];
    ig_traces_note(traces, &trace);
    assert_int_equal(count_in("trace.json.0"), 2);
    set("d", IG_TRACE_TIMESTAMPS, 1, 5, -2);
    trace.sample = ig_traces_sample(traces, IG_STR("d"));
    set("d", -3, -3, -3, -2); /* it has no setting of its own any more, and that of all is off */
    ig_traces_note(traces, &trace);
    assert_int_equal(count_in("trace.json.1"), 1);
    /* Too much of a tensor: the times stay. */
    struct ig_buf lost;
    ig_buf_init(&lost, 1);
    ig_buf_add_str(&lost, IG_STR("more"));
    set("", IG_TRACE_TENSORS | IG_TRACE_TIMESTAMPS, 1, 1, -2);
    trace.sample = ig_traces_sample(traces, IG_STR("d"));
    trace.tensors = &lost;
    ig_traces_note(traces, &trace);
    assert_int_equal(count_in("trace.json.2"), 1);
    assert_null(strstr(text.ptr, "tensor"));
    assert_int_equal(ig_traces_dropped(traces), 1);
    ig_buf_deinit(&lost);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(test_off),
                                       TEST(test_form),
                                       TEST(test_rate_and_count),
                                       TEST(test_frequency),
                                       TEST(test_one_file),
                                       TEST(test_models),
                                       TEST(test_no_file),
                                       TEST(test_parts),
                                       TEST(test_tensors),
                                       TEST(test_sampled_is_awaited)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
