/* SPDX-License-Identifier: Apache-2.0 */
/* Streams as one answer. The answers are those of mlflow 3.17.2's gateway (tracing_utils.py) for
 * the same events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/gateway/gateway_collect.h"

#include <stdio.h>

static struct ig_arena scratch;
static struct ig_buf out;

static int setup(void **state)
{
    (void)state;
    ig_arena_init(&scratch, 4096, 4 << 20);
    ig_buf_init(&out, 8 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_buf_deinit(&out);
    ig_arena_deinit(&scratch);
    return 0;
}

static void add(struct ig_gateway_collector *collector, const char *event)
{
    struct ig_gateway_object object;
    struct ig_err err = IG_ERR_INIT;
    ig_arena_reset(&scratch); /* nothing of an event is kept by its place */
    struct ig_str copy = ig_arena_dup(&scratch, ig_str_view(event));
    assert_int_equal(ig_gateway_object_read(&object, copy, &scratch, &err), IG_OK);
    ig_gateway_collect(collector, &object, &scratch);
}

static const char *end(struct ig_gateway_collector *collector)
{
    ig_buf_reset(&out);
    ig_buf_add_cstr(&out, "");
    ig_gateway_collector_write(&out, collector, &scratch);
    ig_gateway_collector_deinit(collector);
    return out.len ? out.ptr : "";
}

static const struct {
    enum ig_gateway_events kind;
    const char *events[16], *answer;
} cases[] = {
    {IG_GATEWAY_EVENTS_CHAT,
     {"{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"x\""
      ",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"he\"}"
      ",\"finish_reason\":null}]}",
      "{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"x\""
      ",\"choices\":[{\"index\":1,\"delta\":{\"content\":\"\\u00fc\"},\"finish_reason\""
      ":null},{\"index\":0,\"delta\":{\"content\":\"llo\"},\"finish_reason\":\"length\""
      "}]}",
      "{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"x\""
      ",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"t\","
      "\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\"\"}"
      "}]},\"finish_reason\":null}]}",
      "{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"x\""
      ",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":"
      "{\"arguments\":\":1}\"}},{\"index\":1,\"id\":\"u\",\"function\":{\"name\":\"g\","
      "\"arguments\":\"\"}}]},\"finish_reason\":\"tool_calls\"}]}",
      "{\"id\":\"d\",\"object\":\"chat.completion.chunk\",\"created\":8,\"model\":\"y\""
      ",\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_t"
      "okens\":7}}"},
     "{\"id\":\"d\",\"object\":\"chat.completion\",\"created\":8,\"model\":\"y\",\"choi"
     "ces\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"hello\",\"t"
     "ool_calls\":[{\"id\":\"t\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"a"
     "rguments\":\"{\\\"a\\\":1}\"}},{\"id\":\"u\",\"type\":\"function\",\"function\":{"
     "\"name\":\"g\",\"arguments\":\"\"}}]},\"finish_reason\":\"tool_calls\"},{\"index"
     "\":1,\"message\":{\"role\":\"assistant\",\"content\":\"ü\"},\"finish_reason\":\"s"
     "top\"}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7"
     "}}"},
    {IG_GATEWAY_EVENTS_ANTHROPIC,
     {"{\"type\":\"message_start\",\"message\":{\"id\":\"i\",\"model\":\"c\",\"role\":"
      "\"assistant\",\"usage\":{\"input_tokens\":6,\"cache_read_input_tokens\":1,\"outp"
      "ut_tokens\":1,\"odd\":null}}}",
      "{\"type\":\"ping\"}",
      "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text"
      "\",\"text\":\"h\"}}",
      "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\""
      ",\"text\":\"i\"}}",
      "{\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":\"tool"
      "_use\",\"id\":\"t\",\"name\":\"f\"}}",
      "{\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"input_json_d"
      "elta\",\"partial_json\":\"{\\\"a\\\":\"}}",
      "{\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"input_json_d"
      "elta\",\"partial_json\":\"1}\"}}",
      "{\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool"
      "_use\",\"id\":\"u\",\"name\":\"g\"}}",
      "{\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_d"
      "elta\",\"partial_json\":\"{\\\"cut\"}}",
      "{\"type\":\"content_block_delta\",\"index\":9,\"delta\":{\"type\":\"text_delta\""
      ",\"text\":\"of none\"}}",
      "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"stop_sequence\",\"stop_"
      "sequence\":\"END\"},\"usage\":{\"output_tokens\":2}}",
      "{\"type\":\"message_stop\"}"},
     "{\"id\":\"i\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":"
     "\"text\",\"text\":\"hi\"},{\"type\":\"tool_use\",\"id\":\"u\",\"name\":\"g\",\"in"
     "put\":{}},{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{\"a\":1}}"
     "],\"model\":\"c\",\"stop_reason\":\"stop_sequence\",\"stop_sequence\":\"END\",\"u"
     "sage\":{\"input_tokens\":6,\"cache_read_input_tokens\":1,\"output_tokens\":2}}"},
    {IG_GATEWAY_EVENTS_GEMINI,
     {"{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"},{\"functionCall\":{\""
      "name\":\"f\",\"args\":{\"x\":1}}}],\"role\":\"model\"}}],\"usageMetadata\":{\"pr"
      "omptTokenCount\":1}}",
      "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"b\"},{\"functionCall\":{\""
      "name\":\"f\",\"args\":{}}}]},\"finishReason\":\"STOP\",\"index\":0},{\"content\""
      ":{\"parts\":[{\"text\":\"z\"}]},\"index\":1}],\"usageMetadata\":{\"promptTokenCo"
      "unt\":1,\"candidatesTokenCount\":2}}"},
     "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"ab\"},{\"functionCall\":{\""
     "name\":\"f\",\"args\":{\"x\":1}}},{\"functionCall\":{\"name\":\"f\",\"args\":{}}}"
     "],\"role\":\"model\"},\"finishReason\":\"STOP\",\"index\":0},{\"content\":{\"part"
     "s\":[{\"text\":\"z\"}],\"role\":\"model\"},\"finishReason\":null,\"index\":1}],\""
     "usageMetadata\":{\"promptTokenCount\":1,\"candidatesTokenCount\":2}}"},
    {IG_GATEWAY_EVENTS_RESPONSES,
     {"{\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"output\":[]}}",
      "{\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"output\":[{\"type"
      "\":\"message\"}]}}"},
     "{\"id\":\"r\",\"output\":[{\"type\":\"message\"}]}"},
};

static void test_answers(void **state)
{
    (void)state;
    struct ig_gateway_collector collector;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ig_gateway_collector_init(&collector, cases[i].kind, 1 << 20);
        for (const char *const *event = cases[i].events; *event; event++) add(&collector, *event);
        assert_string_equal(end(&collector), cases[i].answer);
    }
}

static void test_the_most(void **state)
{
    (void)state;
    static const char PIECE[] = "{\"choices\":[{\"delta\":{\"content\":\"0123456789\"}}]}";
    struct ig_gateway_collector collector;
    for (size_t most = 29; most <= 30; most++) {
        ig_gateway_collector_init(&collector, IG_GATEWAY_EVENTS_CHAT, most);
        for (size_t i = 0; i < 3; i++) add(&collector, PIECE);
        const char *text = end(&collector);
        assert_int_equal(*text != '\0', most == 30);
    }
    for (int over = 0; over < 2; over++) {
        ig_gateway_collector_init(&collector, IG_GATEWAY_EVENTS_CHAT, 1 << 20);
        for (int i = IG_GATEWAY_CHOICES_MAX - !over; i >= 0; i--) {
            char text[64];
            snprintf(text, sizeof text, "{\"choices\":[{\"index\":%d}]}", i);
            add(&collector, text);
        }
        assert_int_equal(*end(&collector) != '\0', !over);
    }
    for (int over = 0; over < 2; over++) {
        ig_gateway_collector_init(&collector, IG_GATEWAY_EVENTS_GEMINI, 1 << 20);
        for (int i = 0; i < IG_GATEWAY_PARTS_MAX + over; i++)
            add(&collector, "{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{}}]}}]}");
        assert_int_equal(*end(&collector) != '\0', !over);
    }
}

static void test_odd_events(void **state)
{
    (void)state;
    static const char *const events[] = {
        "{}",
        "{\"choices\":7,\"id\":[],\"usage\":null,\"candidates\":{},\"type\":1}",
        "{\"choices\":[1,null,{\"index\":-4,\"delta\":[]}],\"candidates\":[1,{\"content\":[]}]}",
        "{\"type\":\"message_start\",\"message\":3}",
        "{\"type\":\"message_delta\",\"delta\":[],\"usage\":\"x\"}",
        "{\"type\":\"content_block_start\",\"content_block\":0}",
        "{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":9}}",
        "{\"type\":\"response.completed\"}"};
    static const char *const answers[] = {
        "{\"id\":null,\"object\":\"chat.completion\",\"created\":null,\"model\":null,\"choices\":[{"
        "\"index\":2,\"message\":{\"role\":\"assistant\",\"content\":null},\"finish_reason\":"
        "\"stop\"}]}",
        "",
        "{\"id\":null,\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"text\","
        "\"text\":\"\"}],\"model\":null,\"stop_reason\":null,\"stop_sequence\":null}",
        "{\"candidates\":[{\"content\":{\"parts\":[],\"role\":\"model\"},\"finishReason\":null,"
        "\"index\":1}]}"};
    for (int kind = IG_GATEWAY_EVENTS_CHAT; kind <= IG_GATEWAY_EVENTS_GEMINI; kind++) {
        struct ig_gateway_collector collector;
        ig_gateway_collector_init(&collector, (enum ig_gateway_events)kind, 1 << 20);
        for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) add(&collector, events[i]);
        assert_string_equal(end(&collector), answers[kind]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_most, setup, teardown),
        cmocka_unit_test_setup_teardown(test_odd_events, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
