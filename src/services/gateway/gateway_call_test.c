/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of models, against a provider on loopback. What is sent and answered in the forms of
 * Anthropic and Gemini is what mlflow 3.17.2's adapters give for the same input. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/gateway/gateway_call.h"
#include "services/gateway/gateway_provider_testing.h"
#include "services/gateway/gateway_testing.h"

static struct ig_fake_provider provider;
static struct ig_buf streamed;
static size_t pieces;
static struct ig_gateway_answer answer;
#define SECRET "sk-very-secret-123"
#define JSON "application/json"
#define SSE "text/event-stream"

static void reopen(bool private_allowed, unsigned timeout_ms, unsigned calls_max)
{
    const struct ig_gateway_options options = {.db = db,
                                               .tracking = tracking,
                                               .dirfd = temp.fd,
                                               .http_allowed = true,
                                               .private_allowed = private_allowed,
                                               .timeout_ms = timeout_ms,
                                               .calls_max = calls_max};
    ig_gateway_close(gateway);
    ASSERT_OK(ig_gateway_open(&gateway, &options, &err));
}

static int setup_all(void **state)
{
    setup(state);
    reopen(true, 2000, 0);
    ig_buf_init(&streamed, 8 << 20);
    return 0;
}

static int teardown_all(void **state)
{
    ig_buf_deinit(&streamed);
    return teardown(state);
}

static void serve(const struct ig_said *said, size_t count)
{
    assert_true(ig_fake_start(&provider, said, count));
}

/* A model of a provider at the fake's address; "more" is configuration besides. */
static struct ig_str model_of(const char *name, const char *of, const char *key,
                              const char *more_key, const char *more)
{
    const char *base = ig_arena_printf(&arena, "http://127.0.0.1:%u/v1/", provider.port);
    const struct ig_tracking_pair values[] = {{IG_STR("api_key"), ig_str_view(key)}};
    const struct ig_tracking_pair config[] = {{IG_STR("api_base"), ig_str_view(base)},
                                              {ig_str_view(more_key), ig_str_view(more)}};
    const struct ig_tracking_pairs secret = {values, 1}, around = {config, more ? 2 : 1};
    const struct ig_gateway_secret_spec spec = {
        .id = IG_STR(""), .name = ig_str_view(name), .values = &secret, .config = &around};
    struct ig_gateway_secret made;
    struct ig_gateway_model model;
    ASSERT_OK(ig_gateway_secret_put(&made, gateway, &IG_PRINCIPAL_LOCAL, &spec, &arena, &err));
    const struct ig_gateway_model_spec definition = {.id = IG_STR(""),
                                                     .name = ig_str_view(name),
                                                     .secret = made.id,
                                                     .provider = ig_str_view(of),
                                                     .model = IG_STR("m-1")};
    ASSERT_OK(
        ig_gateway_model_put(&model, gateway, &IG_PRINCIPAL_LOCAL, &definition, &arena, &err));
    return model.id;
}

static void endpoint_of(const char *name, const struct ig_gateway_use *uses, size_t count,
                        int64_t attempts)
{
    struct ig_gateway_endpoint made;
    const struct ig_gateway_endpoint_spec spec = {.id = IG_STR(""),
                                                  .name = ig_str_view(name),
                                                  .routing = IG_STR("REQUEST_BASED_TRAFFIC_SPLIT"),
                                                  .uses = uses,
                                                  .uses_count = count,
                                                  .has_fallback = count > 1,
                                                  .fallback_attempts = attempts,
                                                  .tracked = 1,
                                                  .experiment = -1};
    ASSERT_OK(ig_gateway_endpoint_put(&made, gateway, &IG_PRINCIPAL_LOCAL, &spec, &arena, &err));
}

/* An endpoint "e" with one model of the provider. */
static void endpoint(const char *of)
{
    const struct ig_gateway_use use = {
        .model = model_of("m", of, SECRET, "", NULL), .weight = 1, .order = -1};
    endpoint_of("e", &use, 1, -1);
}

static enum ig_code take(void *context, struct ig_str events, struct ig_err *failure)
{
    (void)context;
    pieces++;
    ig_buf_add_str(&streamed, events);
    return streamed.len > (1 << 20) ? ig_fail(failure, IG_CANCELLED, "enough") : IG_OK;
}

static enum ig_code ask(enum ig_gateway_action action, const char *body)
{
    const struct ig_gateway_call call = {.action = action,
                                         .endpoint = IG_STR("e"),
                                         .body = ig_str_view(body),
                                         .headers = "anthropic-beta: b\r\n",
                                         .take = take};
    err = IG_ERR_INIT;
    pieces = 0;
    ig_buf_reset(&streamed);
    return ig_gateway_call_model(&answer, gateway, &call, &arena, &err);
}

static const char *ask_text(enum ig_gateway_action action, const char *body)
{
    ASSERT_OK(ask(action, body));
    return ig_arena_cstr(&arena, answer.body.ptr ? answer.body : ig_buf_view(&streamed));
}

static void expect_failure(enum ig_code code, int status, const char *words,
                           enum ig_gateway_action action, const char *body)
{
    enum ig_code got = ask(action, body);
    if (got != code || answer.status != status || !strstr(err.message, words))
        fail_msg("%s %d: %s", ig_code_name(got), answer.status, err.message);
    assert_null(strstr(err.message, SECRET));
}

static void expect_in(const char *text, const char *part)
{
    if (!strstr(text, part)) fail_msg("no %s in %s", part, text);
}

#define CHAT "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define OPENAI_ANSWER                                                                              \
    "{\"id\":\"c\",\"object\":\"chat.completion\",\"created\":7,\"model\":\"m-1-x\",\"odd\":1,"    \
    "\"choices\":[{\"index\":3,\"message\":{\"role\":\"assistant\",\"content\":\"hello\"},"        \
    "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,"         \
    "\"total_tokens\":7,\"prompt_tokens_details\":{\"cached_tokens\":1}}}"

static void test_openai(void **state)
{
    (void)state;
    static const struct ig_said said[] = {
        {.status = "200 OK", .type = JSON, .body = OPENAI_ANSWER, .keeps = true},
        {.status = "200 OK",
         .type = JSON,
         .body =
             "{\"object\":\"list\",\"data\":[{\"embedding\":[0.5,-1],\"index\":9}],\"model\":\"v\","
             "\"usage\":{\"prompt_tokens\":3,\"total_tokens\":3}}",
         .keeps = true},
        {.status = "200 OK", .type = JSON, .body = OPENAI_ANSWER}};
    struct ig_gateway_stats stats;
    serve(said, 3);
    endpoint("openai");
    assert_string_equal(
        ask_text(IG_GATEWAY_CHAT, CHAT ",\"temperature\":0.5,\"stop\":null,\"own\":{\"a\":[1]}}"),
        "{\"id\":\"c\",\"object\":\"chat.completion\",\"created\":7,\"model\":\"m-1-x\","
        "\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\"message\":{\"role\":\"assistant\","
        "\"content\":\"hello\",\"tool_calls\":null,\"refusal\":null}}],\"usage\":"
        "{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7,\"prompt_tokens_details\":"
        "{\"cached_tokens\":1}},\"provider\":\"openai\"}");
    assert_int_equal(answer.usage.input, 5);
    assert_int_equal(answer.usage.cached, 1);
    expect_in(provider.asked[0], "POST /v1/chat/completions HTTP/1.1\r\n");
    expect_in(provider.asked[0], "Authorization: Bearer " SECRET "\r\n");
    assert_string_equal(ig_fake_body(&provider, 0),
                        "{\"model\":\"m-1\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],"
                        "\"temperature\":0.5,\"own\":{\"a\":[1]},\"n\":1}");
    assert_string_equal(ask_text(IG_GATEWAY_EMBEDDINGS, "{\"input\":[\"a\",\"b\"]}"),
                        "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"embedding\":"
                        "[0.5,-1],\"index\":0}],\"model\":\"v\",\"usage\":{\"prompt_tokens\":3,"
                        "\"total_tokens\":3}}");
    assert_string_equal(ask_text(IG_GATEWAY_OPENAI_CHAT, "{\"model\":\"e\",\"messages\":[]}"),
                        OPENAI_ANSWER);
    assert_string_equal(ig_fake_body(&provider, 2), "{\"model\":\"m-1\",\"messages\":[]}");
    expect_failure(IG_INVALID, 422, "The parameter 'model' is not permitted", IG_GATEWAY_CHAT,
                   CHAT ",\"model\":\"x\"}");
    ig_fake_stop(&provider);
    assert_int_equal(atomic_load(&provider.connections), 1); /* it was kept */
    ig_gateway_stats(&stats, gateway);
    assert_int_equal(stats.calls, 3);
    assert_int_equal(stats.failed, 0);
    assert_int_equal(stats.input_tokens, 13);
    assert_int_equal(stats.output_tokens, 4);
}

static void test_other_forms_of_openai(void **state)
{
    (void)state;
    static const struct ig_said said[] = {
        {.status = "200 OK", .type = JSON, .body = OPENAI_ANSWER}};
    serve(said, 1);
    const struct ig_gateway_use azure = {
        .model = model_of("a", "azure", SECRET, "api_version", "2024 01"),
        .weight = 1,
        .order = -1};
    endpoint_of("e", &azure, 1, -1);
    ASSERT_OK(ask(IG_GATEWAY_CHAT, CHAT "}"));
    expect_in(
        provider.asked[0],
        "POST /v1/openai/deployments/m-1/chat/completions?api-version=2024%2001 HTTP/1.1\r\n");
    expect_in(provider.asked[0], "api-key: " SECRET "\r\n");
    assert_null(strstr(ig_fake_body(&provider, 0), "\"model\""));
    ig_fake_stop(&provider);
}

#define TOOLS                                                                                      \
    ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\","       \
    "\"parameters\":{\"type\":\"object\",\"properties\":{}}}}]"
#define TALK                                                                                       \
    "{\"messages\":[{\"role\":\"system\",\"content\":\"be\\nkind\"},{\"role\":\"user\","           \
    "\"content\":[{\"type\":\"text\",\"text\":\"look\"},{\"type\":\"image_url\",\"image_url\":"    \
    "{\"url\":\"data:image/png;base64,AAA=\"}},{\"type\":\"image_url\",\"image_url\":{\"url\":"    \
    "\"http://x/y.png\"}}]},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":"     \
    "\"t1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}"  \
    "]},{\"role\":\"tool\",\"tool_call_id\":\"t1\",\"content\":\"sunny\"}]"

static void test_anthropic(void **state)
{
    (void)state;
    static const struct ig_said said[] = {
        {.status = "200 OK",
         .type = JSON,
         .body =
             "{\"id\":\"msg\",\"model\":\"claude\",\"role\":\"assistant\",\"type\":\"message\","
             "\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"},"
             "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{\"x\":1}}],"
             "\"stop_reason\":\"tool_use\",\"usage\":{\"input_tokens\":10,\"output_tokens\":3,"
             "\"cache_read_input_tokens\":4,\"service_tier\":\"s\"}}"}};
    serve(said, 1);
    endpoint("anthropic");
    const char *text =
        ask_text(IG_GATEWAY_CHAT, TALK TOOLS
                 ",\"stop\":[\"x\"],\"temperature\":1.5,\"n\":1,\"tool_choice\":\"required\","
                 "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"s\","
                 "\"schema\":{\"type\":\"object\",\"properties\":{\"p\":{\"type\":\"object\","
                 "\"properties\":{\"q\":{\"type\":\"string\"}},\"additionalProperties\":true}},"
                 "\"$defs\":[{\"type\":\"object\",\"properties\":{}}]}}}}");
    expect_in(provider.asked[0], "POST /v1/messages HTTP/1.1\r\n");
    expect_in(provider.asked[0],
              "x-api-key: " SECRET "\r\nanthropic-version: 2023-06-01\r\nanthropic-beta: b\r\n");
    assert_string_equal(
        ig_fake_body(&provider, 0),
        "{\"model\":\"m-1\",\"stop_sequences\":[\"x\"],\"temperature\":0.75,\"max_tokens\":8192,"
        "\"system\":\"be\\nkind\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\","
        "\"text\":\"look\"},{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":"
        "\"image/png\",\"data\":\"AAA=\"}},{\"type\":\"text\",\"text\":\"[unsupported image "
        "reference: http://x/y.png]\"}]},{\"role\":\"assistant\",\"content\":[{\"type\":"
        "\"tool_use\",\"id\":\"t1\",\"name\":\"f\",\"input\":{\"a\":1}}]},{\"role\":\"user\","
        "\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t1\",\"content\":\"sunny\"}]}],"
        "\"tools\":[{\"name\":\"f\",\"description\":\"d\",\"input_schema\":{\"type\":\"object\","
        "\"properties\":{}}}],\"tool_choice\":{\"type\":\"any\"},\"output_config\":{\"format\":"
        "{\"type\":\"json_schema\",\"schema\":{\"type\":\"object\",\"properties\":{\"p\":"
        "{\"type\":\"object\",\"properties\":{\"q\":{\"type\":\"string\"}},"
        "\"additionalProperties\":false}},\"$defs\":[{\"type\":\"object\",\"properties\":{},"
        "\"additionalProperties\":false}],\"additionalProperties\":false}}}}");
    expect_in(text, "{\"id\":\"msg\",\"object\":\"chat.completion\",\"created\":");
    expect_in(text,
              "\"model\":\"claude\",\"choices\":[{\"index\":0,\"finish_reason\":\"tool_calls\","
              "\"message\":{\"role\":\"assistant\",\"content\":\"ab\",\"tool_calls\":[{\"id\":"
              "\"t\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
              "\"{\\\"x\\\":1}\"}}],\"refusal\":null}}],\"usage\":{\"prompt_tokens\":14,"
              "\"completion_tokens\":3,\"total_tokens\":17,\"service_tier\":\"s\","
              "\"prompt_tokens_details\":{\"cached_tokens\":4}},\"provider\":\"anthropic\"}");
    ig_fake_stop(&provider);
}

static void test_what_anthropic_does_otherwise(void **state)
{
    (void)state;
    static const struct ig_said said[] = {
        {.status = "200 OK",
         .type = JSON,
         .body = "{\"content\":[],\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":4}}"}};
    serve(said, 1);
    endpoint("anthropic");
    ASSERT_OK(ask(IG_GATEWAY_CHAT, CHAT ",\"response_format\":{\"type\":\"json_object\"}}"));
    expect_in(ig_fake_body(&provider, 0), "\"system\":\"Respond with only a single valid JSON");
    ASSERT_OK(ask(IG_GATEWAY_CHAT,
                  CHAT ",\"max_completion_tokens\":9,\"tool_choice\":{\"type\":\"function\","
                       "\"function\":{\"name\":\"f\"}},\"response_format\":{\"type\":"
                       "\"json_schema\",\"json_schema\":{\"schema\":{\"type\":\"object\"}}}}"));
    assert_string_equal(ig_fake_body(&provider, 1),
                        "{\"model\":\"m-1\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\","
                        "\"content\":\"hi\"}],\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\"}}");
    ASSERT_OK(ask(IG_GATEWAY_ANTHROPIC_MESSAGES, "{\"model\":\"e\",\"max_tokens\":4}"));
    assert_string_equal(ig_fake_body(&provider, 2), "{\"model\":\"m-1\",\"max_tokens\":4}");
    assert_int_equal(answer.usage.input, 14);
    static const char *const wrong[][2] = {
        {CHAT ",\"temperature\":1,\"top_p\":1}", "Cannot set both 'temperature' and 'top_p'"},
        {CHAT ",\"n\":2}", "Received value: '2'"},
        {CHAT ",\"max_tokens\":1000001}", "cannot exceed 1000000"},
        {CHAT ",\"tools\":[{\"type\":\"uc_function\"}]}", "received tool type uc_function"},
        {CHAT ",\"tools\":7}", "tools is not a list"},
        {"{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"arguments\":"
         "\"[\"}}]}]}",
         "A tool call's arguments is not an object"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        expect_failure(IG_INVALID, 422, wrong[i][1], IG_GATEWAY_CHAT, wrong[i][0]);
    expect_failure(IG_INVALID, 400, "Anthropic has no embeddings", IG_GATEWAY_EMBEDDINGS,
                   "{\"input\":\"a\"}");
    expect_failure(IG_INVALID, 400,
                   "Unsupported passthrough endpoint '/gateway/openai/v1/chat/completions' for "
                   "Anthropic provider. Supported endpoints: /gateway/anthropic/v1/messages",
                   IG_GATEWAY_OPENAI_CHAT, "{\"model\":\"e\"}");
    ig_fake_stop(&provider);
}

static void test_gemini(void **state)
{
    (void)state;
    static const struct ig_said said[] = {
        {.status = "200 OK",
         .type = JSON,
         .body =
             "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"},{\"functionCall\":{"
             "\"name\":"
             "\"f\",\"args\":{\"x\":1}},\"thoughtSignature\":\"z\"}]},\"finishReason\":\"STOP\"},"
             "{\"content\":{\"parts\":[{\"text\":\"b\"}]},\"finishReason\":\"MAX_TOKENS\"},"
             "{\"finishReason\":\"SAFETY\"}],\"usageMetadata\":{\"promptTokenCount\":4,"
             "\"candidatesTokenCount\":2,\"totalTokenCount\":6,\"thoughtsTokenCount\":1}}"},
        {.status = "200 OK", .type = JSON, .body = "{\"embedding\":{\"values\":[1,2]}}"},
        {.status = "200 OK",
         .type = JSON,
         .body = "{\"embeddings\":[{\"values\":[1]},{\"values\":[2]}]}"},
        {.status = "200 OK", .type = JSON, .body = "{\"candidates\":[]}"}};
    serve(said, 4);
    endpoint("gemini");
    const char *text =
        ask_text(IG_GATEWAY_CHAT, TALK TOOLS
                 ",\"stop\":[\"x\"],\"max_completion_tokens\":9,\"response_format\":{\"type\":"
                 "\"json_schema\",\"json_schema\":{\"schema\":{\"a\":1}}},\"tool_choice\":"
                 "{\"type\":\"function\",\"function\":{\"name\":\"f\"}}}");
    expect_in(provider.asked[0], "POST /v1/m-1:generateContent HTTP/1.1\r\n");
    expect_in(provider.asked[0], "x-goog-api-key: " SECRET "\r\n");
    assert_string_equal(
        ig_fake_body(&provider, 0),
        "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"look\"},{\"inlineData\":"
        "{\"mimeType\":\"image/png\",\"data\":\"AAA=\"}},{\"text\":\"[unsupported image reference: "
        "http://x/y.png]\"}]},{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"id\":\"t1\","
        "\"name\":\"f\",\"args\":{\"a\":1}}}]},{\"role\":\"user\",\"parts\":[{\"functionResponse\":"
        "{\"id\":\"t1\",\"name\":\"f\",\"response\":{\"result\":\"sunny\"}}}]}],"
        "\"system_instruction\":{\"parts\":[{\"text\":\"be\\nkind\"}]},\"generationConfig\":"
        "{\"stopSequences\":[\"x\"],\"candidateCount\":1,\"maxOutputTokens\":9,"
        "\"responseJsonSchema\":{\"a\":1},\"responseMimeType\":\"application/json\"},\"tools\":"
        "[{\"functionDeclarations\":[{\"name\":\"f\",\"description\":\"d\","
        "\"parametersJsonSchema\":{\"type\":\"object\",\"properties\":{}}}]}],\"toolConfig\":"
        "{\"functionCallingConfig\":{\"mode\":\"ANY\",\"allowedFunctionNames\":[\"f\"]}}}");
    expect_in(text, "\"model\":\"m-1\",\"choices\":[{\"index\":0,\"finish_reason\":\"tool_calls\","
                    "\"message\":{\"role\":\"assistant\",\"content\":\"a\",\"tool_calls\":[{\"id\":"
                    "\"call_");
    expect_in(text, "\"arguments\":\"{\\\"x\\\":1}\"},\"thought_signature\":\"z\"}],\"refusal\":"
                    "null}},{\"index\":1,\"finish_reason\":\"length\",\"message\":{\"role\":"
                    "\"assistant\",\"content\":\"b\",\"tool_calls\":null,\"refusal\":null}}],"
                    "\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2,\"total_tokens\":6,"
                    "\"thoughtsTokenCount\":1},\"provider\":\"gemini\"}");
    expect_in(ask_text(IG_GATEWAY_EMBEDDINGS, "{\"input\":\"a\"}"), "\"embedding\":[1,2],");
    expect_in(provider.asked[1], "POST /v1/m-1:embedContent HTTP/1.1\r\n");
    assert_string_equal(ig_fake_body(&provider, 1), "{\"content\":{\"parts\":[{\"text\":\"a\"}]}}");
    expect_in(ask_text(IG_GATEWAY_EMBEDDINGS, "{\"input\":[\"a\",\"b\"]}"),
              "{\"object\":\"embedding\",\"embedding\":[2],\"index\":1}");
    expect_in(provider.asked[2], "POST /v1/m-1:batchEmbedContents HTTP/1.1\r\n");
    ASSERT_OK(ask(IG_GATEWAY_GEMINI_GENERATE, "{\"contents\":[]}"));
    assert_string_equal(ig_fake_body(&provider, 3), "{\"contents\":[]}");
    expect_failure(IG_INVALID, 422, "Invalid parameter topK. Use top_k instead.", IG_GATEWAY_CHAT,
                   CHAT ",\"topK\":1}");
    expect_failure(IG_INVALID, 422, "tool_call_id=t9 does not match", IG_GATEWAY_CHAT,
                   "{\"messages\":[{\"role\":\"tool\",\"tool_call_id\":\"t9\",\"content\":\"\"}]}");
    expect_failure(IG_INVALID, 422, "input: Gemini takes texts", IG_GATEWAY_EMBEDDINGS,
                   "{\"input\":[1]}");
    ig_fake_stop(&provider);
}

/* ---- streams ---- */

#define OPENAI_EVENTS                                                                              \
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"x\","      \
    "\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"he\"}}]}\n\n"       \
    "data:{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"x\","       \
    "\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7}}"   \
    "\r\n\r\ndata: [DONE]\n\n"

static void test_streams(void **state)
{
    (void)state;
    static const struct ig_said said[] = {{.status = "200 OK", .type = SSE, .body = OPENAI_EVENTS}};
    serve(said, 1);
    endpoint("openai");
    assert_string_equal(
        ask_text(IG_GATEWAY_CHAT, CHAT ",\"stream\":true}"),
        "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"x\","
        "\"choices\":[{\"index\":0,\"finish_reason\":null,\"delta\":{\"role\":\"assistant\","
        "\"content\":\"he\",\"tool_calls\":null}}],\"usage\":null,\"provider\":\"openai\"}\n\n"
        "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"x\","
        "\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7},"
        "\"provider\":\"openai\"}\n\n");
    assert_int_equal(answer.usage.total, 7);
    assert_int_equal(pieces, 2);
    expect_in(ig_fake_body(&provider, 0), "\"stream_options\":{\"include_usage\":true}");
    assert_string_equal(ask_text(IG_GATEWAY_OPENAI_CHAT, "{\"stream\":true}"), OPENAI_EVENTS);
    assert_int_equal(answer.usage.total, 7);
    expect_in(ig_fake_body(&provider, 1), "\"stream_options\":{\"include_usage\":true}");
    ASSERT_OK(ask(IG_GATEWAY_OPENAI_RESPONSES, "{\"stream\":true}"));
    expect_in(provider.asked[2], "POST /v1/responses HTTP/1.1\r\n");
    assert_null(strstr(ig_fake_body(&provider, 2), "stream_options"));
    ig_fake_stop(&provider);
}

static void test_stream_of_anthropic(void **state)
{
    (void)state;
    static const struct ig_said said[] = {
        {.status = "200 OK",
         .type = SSE,
         .body =
             "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"i\","
             "\"model\":\"c\",\"usage\":{\"input_tokens\":6,\"cache_read_input_tokens\":1}}}\n\n"
             "data: {\"type\":\"ping\"}\n\n"
             "data: "
             "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\","
             "\"text\":\"hi\"}}\n\n"
             "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":"
             "\"tool_use\",\"id\":\"t\",\"name\":\"f\"}}\n\n"
             "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":"
             "\"input_json_delta\",\"partial_json\":\"{}\"}}\n\n"
             "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":"
             "{\"output_tokens\":2}}\n\ndata: {\"type\":\"message_stop\"}\n\n"}};
    serve(said, 1);
    endpoint("anthropic");
    const char *text = ask_text(IG_GATEWAY_CHAT, CHAT ",\"stream\":true}");
    assert_int_equal(pieces, 4);
    expect_in(ig_fake_body(&provider, 0), "\"stream\":true");
    expect_in(text, "data: {\"id\":\"i\",\"object\":\"chat.completion.chunk\",\"created\":");
    expect_in(text, "\"delta\":{\"role\":null,\"content\":\"hi\",\"tool_calls\":null}}],\"usage\":"
                    "null,\"provider\":\"anthropic\"}\n\n");
    expect_in(text, "\"tool_calls\":[{\"index\":0,\"id\":\"t\",\"type\":\"function\",\"function\":"
                    "{\"name\":\"f\",\"arguments\":null}}]");
    expect_in(text, "\"tool_calls\":[{\"index\":0,\"id\":null,\"type\":null,\"function\":{\"name\":"
                    "null,\"arguments\":\"{}\"}}]");
    expect_in(text, "\"finish_reason\":\"stop\",\"delta\":{\"role\":null,\"content\":null,"
                    "\"tool_calls\":null}}],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,"
                    "\"total_tokens\":9,\"prompt_tokens_details\":{\"cached_tokens\":1}}");
    ig_fake_stop(&provider);
}

static void test_stream_of_gemini(void **state)
{
    (void)state;
    static const struct ig_said said[] = {
        {.status = "200 OK",
         .type = SSE,
         .body =
             "data: "
             "{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"id\":\"1\",\"name\":"
             "\"f\",\"args\":{}}}]}}]}\n\n"
             "data: "
             "{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"id\":\"2\",\"name\":"
             "\"g\",\"args\":{}}}]}}]}\n\n"
             "data: {\"candidates\":[{\"finishReason\":\"STOP\",\"index\":0}],\"usageMetadata\":"
             "{\"promptTokenCount\":1,\"candidatesTokenCount\":2,\"totalTokenCount\":3}}"}};
    serve(said, 1);
    endpoint("gemini");
    const char *text = ask_text(IG_GATEWAY_CHAT, CHAT ",\"stream\":true}");
    assert_int_equal(pieces, 3);
    expect_in(provider.asked[0], "POST /v1/m-1:streamGenerateContent?alt=sse HTTP/1.1\r\n");
    expect_in(text, "\"tool_calls\":[{\"index\":0,\"id\":\"1\",");
    expect_in(text, "\"tool_calls\":[{\"index\":1,\"id\":\"2\",");
    expect_in(text,
              "\"finish_reason\":\"tool_calls\",\"delta\":{\"role\":\"assistant\",\"content\":"
              "\"\",\"tool_calls\":null}}],\"usage\":{\"prompt_tokens\":1,");
    ASSERT_OK(ask(IG_GATEWAY_GEMINI_STREAM, "{}"));
    assert_int_equal(answer.usage.total, 3);
    ig_fake_stop(&provider);
}

/* ---- failures ---- */

static void test_failures(void **state)
{
    (void)state;
    static const struct {
        struct ig_said said;
        int status;
        const char *words;
    } cases[] = {
        {{.status = "429 Slow",
          .type = JSON,
          .body = "{\"error\":{\"message\":\"slow down, " SECRET "\"}}"},
         429,
         "slow down, ***"},
        {{.status = "401 No", .type = JSON, .body = "[{\"error\":{\"message\":\"bad key\"}}]"},
         401,
         "bad key"},
        {{.status = "400 No", .type = JSON, .body = "{\"message\":\"why\"}"}, 400, "why"},
        {{.status = "500 No", .type = "text/plain", .body = "out of order"}, 500, "out of order"},
        {{.status = "503 No", .type = "text/html", .body = "<html>"},
         502,
         "Received content type: text/html"},
        {{.status = "302 Found",
          .type = JSON,
          .body = "{}",
          .headers = "Location: http://127.0.0.1:1/\r\n"},
         502,
         "status 302, which is not followed"},
        {{.status = "200 OK", .type = JSON, .body = "{\"choices\":"},
         502,
         "what is not an object of JSON"},
        {{.status = "200 OK", .type = JSON, .body = "[]"}, 502, "what is not an object of JSON"},
        {{.status = "200 OK", .type = JSON, .body = "{}"},
         502,
         "OpenAI answered without a usable 'choices'"},
        {{.status = "200 OK", .type = JSON, .body = "{\"choices\":[7]}"},
         502,
         "without a usable 'choices'"},
        {{.status = "200 OK", .type = JSON, .body = "{\"choices\":[{}]}"},
         502,
         "without a usable 'message'"},
        {{.status = "200 OK", .type = JSON, .body = "{\"choices\":[]}", .promised = 99},
         502,
         "broke: closed by the server"},
        {{.status = "200 OK", .type = JSON, .body = "0123456789abcdef", .again = 1 << 21},
         502,
         "over 16777216 bytes"},
        {{.status = NULL, .body = ""}, 502, "broke: closed by the server"},
    };
    enum { COUNT = sizeof cases / sizeof cases[0] };
    struct ig_said said[COUNT];
    for (size_t i = 0; i < COUNT; i++) said[i] = cases[i].said;
    serve(said, COUNT);
    endpoint("openai");
    for (size_t i = 0; i < COUNT; i++)
        expect_failure(cases[i].status < 500 ? IG_INVALID : IG_UNAVAILABLE, cases[i].status,
                       cases[i].words, IG_GATEWAY_CHAT, CHAT "}");
    ig_fake_stop(&provider);
}

static void test_a_slow_one(void **state)
{
    (void)state;
    static const struct ig_said said[] = {
        {.status = "200 OK", .type = JSON, .body = "{}", .late_ms = 500}};
    serve(said, 1);
    endpoint("openai");
    reopen(true, 150, 0);
    expect_failure(IG_UNAVAILABLE, 504, "answers nothing", IG_GATEWAY_CHAT, CHAT "}");
    ig_fake_stop(&provider);
}

static void test_broken_streams(void **state)
{
    (void)state;
    static const struct {
        struct ig_said said;
        int status;
        const char *words;
        size_t pieces;
    } cases[] = {
        {{.status = "200 OK", .type = SSE, .body = OPENAI_EVENTS, .promised = 9999},
         502,
         "broke: closed by the server",
         2},
        {{.status = "200 OK",
          .type = SSE,
          .body = "data: {\"error\":{\"message\":\"overloaded\"}}\n\n"},
         502,
         "overloaded",
         0},
        {{.status = "200 OK", .type = SSE, .body = "data: {\"choices\":3}\n\n"},
         502,
         "without a usable 'choices'",
         0},
        {{.status = "200 OK", .type = SSE, .body = "hello\n"}, 502, "a stream without an event", 0},
        {{.status = "200 OK", .type = SSE, .body = "data: 0123456789abcdef", .again = 100000},
         502,
         "an event of more than 1048576 bytes",
         0},
        {{.status = "429 Slow", .type = JSON, .body = "{\"error\":\"slow\"}"}, 429, "slow", 0},
        {{.status = "500 No", .type = "text/html", .body = "<b>no</b>"}, 500, "<b>no</b>", 0},
    };
    enum { COUNT = sizeof cases / sizeof cases[0] };
    struct ig_said said[COUNT];
    for (size_t i = 0; i < COUNT; i++) said[i] = cases[i].said;
    serve(said, COUNT);
    endpoint("openai");
    for (size_t i = 0; i < COUNT; i++) {
        expect_failure(cases[i].status < 500 ? IG_INVALID : IG_UNAVAILABLE, cases[i].status,
                       cases[i].words, IG_GATEWAY_CHAT, CHAT ",\"stream\":true}");
        assert_int_equal(pieces, cases[i].pieces);
    }
    ig_fake_stop(&provider);
}

/* A caller that has enough ends the stream, however long it is; what has gone by is not kept. */
static void test_a_long_stream(void **state)
{
    (void)state;
    static const struct ig_said said[] = {
        {.status = "200 OK", .type = SSE, .body = OPENAI_EVENTS, .again = 1 << 16}};
    serve(said, 1);
    endpoint("openai");
    assert_int_equal(ask(IG_GATEWAY_OPENAI_CHAT, "{\"stream\":true}"), IG_CANCELLED);
    assert_true(streamed.len > (1 << 20) && streamed.len < (2 << 20));
    ig_fake_stop(&provider);
}

static void test_addresses(void **state)
{
    (void)state;
    static const struct ig_said said[] = {
        {.status = "200 OK", .type = JSON, .body = OPENAI_ANSWER}};
    serve(said, 1);
    endpoint("openai");
    reopen(false, 2000, 0);
    expect_failure(IG_UNAVAILABLE, 502, "is not a public address", IG_GATEWAY_CHAT, CHAT "}");
    assert_int_equal(atomic_load(&provider.connections), 0);
    ig_fake_stop(&provider);
    reopen(true, 2000, 0);
    expect_failure(IG_UNAVAILABLE, 502, "cannot reach 127.0.0.1 port", IG_GATEWAY_CHAT, CHAT "}");
}

/* ---- which models ---- */

static struct ig_gateway_use use_of(const char *name, const char *key, bool fallback, double weight,
                                    int64_t order)
{
    return (struct ig_gateway_use){.model = model_of(name, "openai", key, "", NULL),
                                   .fallback = fallback,
                                   .weight = weight,
                                   .order = order};
}

static void expect_key(size_t number, const char *key)
{
    expect_in(provider.asked[number], ig_arena_printf(&arena, "Bearer %s\r\n", key));
}

static void test_fallbacks(void **state)
{
    (void)state;
    static const struct ig_said said[] = {
        {.status = "500 No", .type = JSON, .body = "{\"error\":\"a\"}"},
        {.status = "429 No", .type = JSON, .body = "{\"error\":\"b\"}"},
        {.status = "200 OK", .type = JSON, .body = OPENAI_ANSWER},
        {.status = "500 No", .type = JSON, .body = "{\"error\":\"a\"}"},
        {.status = "200 OK", .type = SSE, .body = OPENAI_EVENTS},
        {.status = "200 OK", .type = SSE, .body = OPENAI_EVENTS, .promised = 9999},
        {.status = "500 No", .type = JSON, .body = "{\"error\":\"c\"}"},
        {.status = "503 No", .type = JSON, .body = "{\"error\":\"d\"}"}};
    serve(said, 8);
    const struct ig_gateway_use uses[] = {
        use_of("a", "key-a", false, 1, -1), use_of("b", "key-b", true, 1, 2),
        use_of("c", "key-c", true, 1, 1), use_of("d", "key-d", true, 1, -1)};
    endpoint_of("e", uses, 4, 2);
    ASSERT_OK(ask(IG_GATEWAY_CHAT, CHAT "}"));
    expect_key(0, "key-a");
    expect_key(1, "key-c");
    expect_key(2, "key-b");
    ASSERT_OK(ask(IG_GATEWAY_CHAT, CHAT ",\"stream\":true}"));
    expect_key(4, "key-c");
    expect_failure(IG_UNAVAILABLE, 502, "broke", IG_GATEWAY_CHAT, CHAT ",\"stream\":true}");
    assert_int_equal(atomic_load(&provider.asked_count),
                     6); /* a stream that began is not retried */
    expect_failure(IG_UNAVAILABLE, 503, "All 3 fallback attempts failed. Last error: 503: d",
                   IG_GATEWAY_CHAT, CHAT "}");
    assert_int_equal(atomic_load(&provider.asked_count), 9);
    ig_fake_stop(&provider);
}

static void test_weights(void **state)
{
    (void)state;
    static const struct ig_said said[] = {
        {.status = "200 OK", .type = JSON, .body = OPENAI_ANSWER}};
    size_t first = 0;
    serve(said, 1);
    const struct ig_gateway_use uses[] = {use_of("a", "key-a", false, 0.25, -1),
                                          use_of("b", "key-b", false, 0, -1),
                                          use_of("c", "key-c", false, 0.75, -1)};
    endpoint_of("e", uses, 3, -1);
    for (size_t i = 0; i < IG_ASKED_MAX; i++) {
        ASSERT_OK(ask(IG_GATEWAY_CHAT, CHAT "}"));
        first += strstr(provider.asked[i], "key-a") != NULL;
        assert_null(strstr(provider.asked[i], "key-b"));
    }
    assert_in_range(first, 1, 40); /* 16 of 64 are due; beyond it is one in 10^8 */
    ig_fake_stop(&provider);
}

static enum ig_code take_one_more(void *context, struct ig_str events, struct ig_err *failure)
{
    struct ig_err inner = IG_ERR_INIT;
    struct ig_gateway_answer ignored;
    const struct ig_gateway_call *call = context;
    (void)events;
    (void)failure;
    assert_int_equal(ig_gateway_call_model(&ignored, gateway, call, &arena, &inner), IG_EXHAUSTED);
    expect_in(inner.message, "1 calls of language models are under way");
    return IG_OK;
}

static void test_the_most_at_once(void **state)
{
    (void)state;
    static const struct ig_said said[] = {{.status = "200 OK", .type = SSE, .body = OPENAI_EVENTS}};
    serve(said, 1);
    endpoint("openai");
    reopen(true, 2000, 1);
    struct ig_gateway_call call = {.action = IG_GATEWAY_CHAT,
                                   .endpoint = IG_STR("e"),
                                   .body = IG_STR(CHAT ",\"stream\":true}"),
                                   .take = take_one_more,
                                   .context = &call};
    ASSERT_OK(ig_gateway_call_model(&answer, gateway, &call, &arena, &err));
    ASSERT_OK(ig_gateway_call_model(&answer, gateway, &call, &arena, &err));
    ig_fake_stop(&provider);
}

static void test_what_is_no_endpoint(void **state)
{
    (void)state;
    struct ig_gateway_model made;
    static const struct ig_said said[] = {
        {.status = "200 OK", .type = JSON, .body = OPENAI_ANSWER}};
    expect_failure(IG_NOT_FOUND, 0, "GatewayEndpoint not found (name='e')", IG_GATEWAY_CHAT,
                   CHAT "}");
    expect_failure(IG_INVALID, 400, "Invalid JSON payload", IG_GATEWAY_CHAT, "{");
    serve(said, 1);
    err = IG_ERR_INIT;
    const struct ig_gateway_use use = use_of("a", "key-a", true, 1, -1);
    endpoint_of("e", &use, 1, -1);
    expect_failure(IG_NOT_FOUND, 0, "Endpoint 'e' has no PRIMARY models configured",
                   IG_GATEWAY_CHAT, CHAT "}");
    ig_fake_stop(&provider);
    const struct ig_gateway_model_spec unknown = {.id = IG_STR(""),
                                                  .name = IG_STR("x"),
                                                  .secret = IG_STR("s-1"),
                                                  .provider = IG_STR("bedrock"),
                                                  .model = IG_STR("y")};
    err = IG_ERR_INIT;
    assert_int_equal(
        ig_gateway_model_put(&made, gateway, &IG_PRINCIPAL_LOCAL, &unknown, &arena, &err),
        IG_INVALID);
    expect_in(err.message, "Provider 'bedrock' is not supported. Supported are: anthropic, azure,");
}

static void test_bases(void **state)
{
    (void)state;
    static const struct {
        const char *base, *words; /* NULL: taken */
    } cases[] = {{"https://x", NULL},
                 {"", NULL},
                 {"http://x", "Invalid Gateway secret api_base scheme: 'http'"},
                 {"ftp://x", "begins with https://"},
                 {"https://", "must include a hostname"},
                 {"https:///p", "must include a hostname"},
                 {"https://a:b@x", "scheme, host, port and path alone"},
                 {"https://x/?q", "scheme, host, port and path alone"},
                 {"https://x/ y", "scheme, host, port and path alone"}};
    ig_gateway_close(gateway);
    open_gateway();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct ig_tracking_pair value = {IG_STR("api_key"), IG_STR("k")};
        const struct ig_tracking_pair config = {IG_STR("api_base"), ig_str_view(cases[i].base)};
        const struct ig_tracking_pairs values = {&value, 1}, around = {&config, 1};
        const char *name = ig_arena_printf(&arena, "s%zu", i);
        struct ig_gateway_secret made;
        const struct ig_gateway_secret_spec spec = {
            .id = IG_STR(""), .name = ig_str_view(name), .values = &values, .config = &around};
        err = IG_ERR_INIT;
        ig_gateway_secret_put(&made, gateway, &IG_PRINCIPAL_LOCAL, &spec, &arena, &err);
        if (!cases[i].words)
            ASSERT_OK(err.code);
        else
            expect_in(err.message, cases[i].words);
    }
}

/* ---- traces ---- */

struct texts {
    const char *sql;
    char text[4][2048];
    size_t count;
};

static enum ig_code read_texts(struct ig_db_tx *tx, void *context, struct ig_err *failure)
{
    struct texts *texts = context;
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, texts->sql, NULL, 0, failure) != IG_OK) return failure->code;
    while (texts->count < 4 && ig_db_next(rows, failure))
        snprintf(texts->text[texts->count++], sizeof texts->text[0], "%.*s",
                 IG_STR_ARGS(ig_db_text(rows, 0)));
    ig_db_finish(rows);
    return failure->code;
}

static struct texts texts_of(const char *sql)
{
    struct texts texts = {.sql = sql};
    ASSERT_OK(ig_db_read(db, read_texts, &texts, &err));
    return texts;
}

static void test_traces(void **state)
{
    (void)state;
    static const struct ig_said said[] = {
        {.status = "429 No", .type = JSON, .body = "{\"error\":\"a\"}"},
        {.status = "200 OK", .type = JSON, .body = OPENAI_ANSWER}};
    serve(said, 2);
    const struct ig_gateway_use uses[] = {use_of("a", "key-a", false, 1, -1),
                                          use_of("b", "key-b", true, 1, 2)};
    endpoint_of("e", uses, 2, -1);
    ASSERT_OK(ask(IG_GATEWAY_CHAT, CHAT "}"));
    struct texts spans = texts_of("select content from spans order by case when parent is null"
                                  " then 0 else 1 end, status");
    assert_int_equal(spans.count, 3);
    expect_in(spans.text[0], "\"parent_span_id\":null,\"name\":\"gateway/e\",");
    expect_in(spans.text[0], "\"status\":{\"code\":\"STATUS_CODE_OK\",\"message\":\"\"}");
    expect_in(spans.text[0], "\"endpoint_name\":\"\\\"e\\\"\",\"mlflow.spanInputs\":\"{\\\"messages"
                             "\\\":[");
    expect_in(spans.text[0], "\"mlflow.spanOutputs\":\"{\\\"id\\\":\\\"c\\\",");
    expect_in(spans.text[1], "\"status\":{\"code\":\"STATUS_CODE_ERROR\",\"message\":\"a\"}");
    expect_in(spans.text[2], "\"name\":\"provider/openai/m-1\",");
    expect_in(spans.text[2], "\"method\":\"\\\"chat\\\"\",\"mlflow.chat.tokenUsage\":\"{\\\"input_"
                             "tokens\\\": 5, \\\"output_tokens\\\": 2, \\\"total_tokens\\\": 7, "
                             "\\\"cache_read_input_tokens\\\": 1}\"");
    struct texts where = texts_of("select e.name from traces t join experiments e on e.id ="
                                  " t.experiment");
    assert_int_equal(where.count, 1);
    assert_string_equal(where.text[0], "gateway/e");
    struct texts metadata = texts_of("select value from trace_metadata where key in"
                                     " ('mlflow.gateway.requestType', 'mlflow.trace.tokenUsage')"
                                     " order by key");
    assert_string_equal(metadata.text[0], "unified/chat");
    expect_in(metadata.text[1], "\"input_tokens\": 5, ");
    for (size_t i = 0; i < spans.count; i++) assert_null(strstr(spans.text[i], "key-"));
    ig_fake_stop(&provider);
}

/* Of a stream the trace has what its events add up to. */
static void test_traces_of_streams(void **state)
{
    (void)state;
    static const struct ig_said said[] = {
        {.status = "200 OK", .type = SSE, .body = OPENAI_EVENTS},
        {.status = "200 OK", .type = SSE, .body = OPENAI_EVENTS},
        {.status = "200 OK", .type = SSE, .body = "data: {\"error\":{\"message\":\"a\"}}\n\n"}};
    serve(said, 3);
    endpoint("openai");
    ASSERT_OK(ask(IG_GATEWAY_CHAT, CHAT ",\"stream\":true}"));
    ASSERT_OK(ask(IG_GATEWAY_OPENAI_CHAT, "{\"stream\":true}"));
    expect_failure(IG_UNAVAILABLE, 502, "a", IG_GATEWAY_CHAT, CHAT ",\"stream\":true}");
    err = IG_ERR_INIT;
    struct texts spans = texts_of("select content from spans where parent is null order by id");
    assert_int_equal(spans.count, 3);
    size_t told = 0, failed = 0;
    for (size_t i = 0; i < 3; i++) {
        if (strstr(spans.text[i], "STATUS_CODE_OK")) {
            expect_in(spans.text[i],
                      "\"mlflow.spanOutputs\":\"{\\\"id\\\":\\\"c\\\",\\\"object\\\":"
                      "\\\"chat.completion\\\",\\\"created\\\":7,\\\"model\\\":\\\"x\\\","
                      "\\\"choices\\\":[{\\\"index\\\":0,\\\"message\\\":{\\\"role\\\":"
                      "\\\"assistant\\\",\\\"content\\\":\\\"he\\\"},\\\"finish_reason\\\":"
                      "\\\"stop\\\"}],\\\"usage\\\":{\\\"prompt_tokens\\\":5,");
            told++;
        } else {
            assert_null(strstr(spans.text[i], "spanOutputs"));
            failed++;
        }
    }
    assert_int_equal(told, 2);
    assert_int_equal(failed, 1);
    ig_fake_stop(&provider);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup_all, teardown_all)
    const struct CMUnitTest tests[] = {CASE(test_openai),
                                       CASE(test_other_forms_of_openai),
                                       CASE(test_anthropic),
                                       CASE(test_what_anthropic_does_otherwise),
                                       CASE(test_gemini),
                                       CASE(test_streams),
                                       CASE(test_stream_of_anthropic),
                                       CASE(test_stream_of_gemini),
                                       CASE(test_failures),
                                       CASE(test_a_slow_one),
                                       CASE(test_broken_streams),
                                       CASE(test_a_long_stream),
                                       CASE(test_addresses),
                                       CASE(test_fallbacks),
                                       CASE(test_weights),
                                       CASE(test_the_most_at_once),
                                       CASE(test_what_is_no_endpoint),
                                       CASE(test_bases),
                                       CASE(test_traces),
                                       CASE(test_traces_of_streams)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
