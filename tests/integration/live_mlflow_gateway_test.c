/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of language models over HTTP, at the paths of MLflow's gateway. */
#include "support/live.h"

#include "services/gateway/gateway_provider_testing.h"

#include <signal.h>
#include <stdio.h>

#define API "/api/3.0/mlflow/gateway/"
#define JSON "application/json"
#define ANSWER                                                                                     \
    "{\"id\":\"c\",\"created\":7,\"model\":\"x\",\"choices\":[{\"message\":{\"role\":"             \
    "\"assistant\",\"content\":\"hello\"}}],\"usage\":{\"prompt_tokens\":5,"                       \
    "\"completion_tokens\":2}}"
#define EVENT                                                                                      \
    "data: {\"id\":\"c\",\"created\":7,\"model\":\"x\",\"choices\":[{\"index\":0,\"delta\":"       \
    "{\"content\":\"he\"}}]}\n\n"
#define CHAT "{\"model\":\"e\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static struct live live;
static struct ig_fake_provider provider;
static const char *const PRIVATE[] = {"--set", "gateway_http=true", "--set", "gateway_private=true",
                                      NULL};

static int setup(void **state)
{
    static const struct ig_said none[] = {{.status = NULL, .body = ""}};
    (void)state;
    live_make(&live);
    live_start(&live, PRIVATE);
    assert_true(ig_fake_start(&provider, none, 1));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_fake_stop(&provider);
    live_remove(&live);
    return 0;
}

/* What the provider says to the requests that come. */
static void serve(const struct ig_said *said, size_t count)
{
    provider.said = said;
    provider.said_count = count;
    atomic_store(&provider.asked_count, 0);
}

/* Endpoint "e" at the fake, as MLflow's clients make one. */
static void make(const char *of)
{
    char body[512], id[64];
    snprintf(
        body, sizeof body,
        "{\"secret_name\":\"s\",\"secret_value\":{\"api_key\":\"sk-hush-hush\"},\"auth_config\":"
        "{\"api_base\":\"http://127.0.0.1:%u/v1\"}}",
        provider.port);
    EXPECT(200, "POST", API "secrets/create", body);
    snprintf(id, sizeof id, "%s", live_text(&live, "secret.secret_id"));
    snprintf(body, sizeof body,
             "{\"name\":\"m\",\"secret_id\":\"%s\",\"provider\":\"%s\",\"model_name\":\"g\"}", id,
             of);
    EXPECT(200, "POST", API "model-definitions/create", body);
    snprintf(id, sizeof id, "%s", live_text(&live, "model_definition.model_definition_id"));
    snprintf(body, sizeof body,
             "{\"name\":\"e\",\"model_configs\":[{\"model_definition_id\":\"%s\",\"linkage_type\":"
             "\"PRIMARY\"}]}",
             id);
    EXPECT(200, "POST", API "endpoints/create", body);
}

static void expect_detail(int status, const char *path, const char *body, const char *words)
{
    EXPECT(status, "POST", path, body);
    if (!strstr(live_body(&live), words)) fail_msg("%s: %s", path, live_body(&live));
    assert_null(strstr(live_body(&live), "hush"));
}

static void test_calls(void **state)
{
    (void)state;
    static const struct ig_said said[] = {
        {.status = "200 OK", .type = JSON, .body = ANSWER},
        {.status = "200 OK", .type = JSON, .body = ANSWER},
        {.status = "200 OK", .type = JSON, .body = ANSWER},
        {.status = "200 OK", .type = JSON, .body = "{\"output\":[]}"},
        {.status = "429 No",
         .type = JSON,
         .body = "{\"error\":{\"message\":\"key sk-hush-hush is tired\"}}"}};
    serve(said, 5);
    make("openai");
    EXPECT(200, "POST", "/gateway/mlflow/v1/chat/completions", CHAT "}");
    assert_string_equal(live_text(&live, "choices.0.message.content"), "hello");
    assert_string_equal(live_text(&live, "provider"), "openai");
    EXPECT(200, "POST", "/gateway/e/mlflow/invocations",
           "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    EXPECT(200, "POST", "/api/2.0/mlflow/gateway-proxy",
           "{\"gateway_path\":\"gateway/e/invocations\",\"json_data\":{\"messages\":[{\"role\":"
           "\"user\",\"content\":\"hi\"}]}}");
    EXPECT(200, "POST", "/gateway/openai/v1/responses", "{\"model\":\"e\",\"input\":\"x\"}");
    assert_string_equal(live_body(&live), "{\"output\":[]}");
    assert_string_equal(ig_fake_body(&provider, 3), "{\"model\":\"g\",\"input\":\"x\"}");
    expect_detail(429, "/gateway/openai/v1/chat/completions", CHAT "}",
                  "{\"detail\":\"key *** is tired\"}");
    EXPECT(200, "GET", "/metrics", NULL);
    assert_non_null(strstr(live_body(&live), "\ningot_gateway_calls_total 5\n"));
    assert_non_null(strstr(live_body(&live), "\ningot_gateway_failed_total 1\n"));
    assert_non_null(strstr(live_body(&live), "\ningot_gateway_input_tokens_total 15\n"));
    EXPECT(200, "GET", "/api/2.0/mlflow/gateway-proxy?gateway_path=api/2.0/endpoints", NULL);
    assert_string_equal(live_text(&live, "endpoints.0.name"), "e");
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *path, *body, *words;
    } cases[] = {
        {404, "/gateway/mlflow/v1/chat/completions", CHAT "}",
         "{\"detail\":{\"error_code\":\"RESOURCE_DOES_NOT_EXIST\",\"message\":\"GatewayEndpoint "
         "not found (name='e')\"}}"},
        {400, "/gateway/mlflow/v1/chat/completions", "{\"messages\":[]}",
         "{\"detail\":\"Missing required 'model' parameter in request body\"}"},
        {400, "/gateway/mlflow/v1/chat/completions", "{", "{\"detail\":\"Invalid JSON payload: "},
        {400, "/gateway/mlflow/v1/chat/completions", "{\"model\":\"e\"}",
         "Invalid chat payload: messages: "},
        {400, "/gateway/mlflow/v1/chat/completions", "{\"model\":\"e\",\"messages\":[{}]}",
         "an object with a 'role'"},
        {400, "/gateway/mlflow/v1/chat/completions", CHAT ",\"temperature\":2.5}",
         "temperature: '2.5' is not a number from 0 to 2"},
        {400, "/gateway/mlflow/v1/chat/completions", CHAT ",\"n\":1.5}",
         "n: '1.5' is not a whole number from 1"},
        {400, "/gateway/mlflow/v1/chat/completions", CHAT ",\"stream\":1}",
         "stream: true or false"},
        {400, "/gateway/e/mlflow/invocations", "{}", "must be either chat or embeddings"},
        {400, "/gateway/e/mlflow/invocations", "{\"input\":7}", "Invalid embeddings payload"},
        {400, "/gateway/anthropic/v1/messages", "{}", "Missing required 'model'"},
        {404, "/gateway/gemini/v1beta/models/e:generateContent", "{}", "GatewayEndpoint not found"},
        {404, "/gateway/gemini/v1beta/models/e:other", "{}", "NAME:generateContent"},
        {404, "/gateway/elsewhere", "{}", "detail"},
        {400, "/api/2.0/mlflow/gateway-proxy", "{}", "must specify a gateway_path."},
        {400, "/api/2.0/mlflow/gateway-proxy", "{\"gateway_path\":\"foo/bar\"}",
         "\"error_code\":\"INVALID_PARAMETER_VALUE\",\"message\":\"Invalid gateway_path: foo/bar "
         "for method: POST"},
        {400, "/api/2.0/mlflow/gateway-proxy", "{\"gateway_path\":\"gateway//invocations\"}",
         "Invalid gateway_path: "},
        {400, "/api/2.0/mlflow/gateway-proxy", "{\"gateway_path\":\"gateway/a/b/invocations\"}",
         "Invalid gateway_path: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_detail(cases[i].status, cases[i].path, cases[i].body, cases[i].words);
    EXPECT(400, "GET", "/api/2.0/mlflow/gateway-proxy?gateway_path=hello/world", NULL);
    assert_non_null(strstr(live_body(&live), "Invalid gateway_path: hello/world for method: GET"));
}

static void test_streams(void **state)
{
    (void)state;
    static const struct ig_said said[] = {
        {.status = "200 OK", .type = "text/event-stream", .body = EVENT, .again = 3},
        {.status = "200 OK", .type = "text/event-stream", .body = EVENT, .promised = 9999},
        {.status = "503 No", .type = JSON, .body = "{\"error\":\"away\"}"}};
    serve(said, 3);
    EXPECT(200, "POST", "/gateway/mlflow/v1/chat/completions", CHAT ",\"stream\":true}");
    assert_string_equal(live.reply.content_type, "text/event-stream");
    assert_non_null(strstr(live_body(&live), "\"content\":\"he\""));
    EXPECT(200, "POST", "/gateway/openai/v1/chat/completions", CHAT ",\"stream\":true}");
    assert_memory_equal(live_body(&live), EVENT, strlen(EVENT));
    assert_non_null(strstr(live_body(&live), "data: {\"error\":{\"message\":\"OpenAI: the "));
    expect_detail(503, "/gateway/openai/v1/chat/completions", CHAT ",\"stream\":true}",
                  "{\"detail\":\"away\"}");
}

/* Whoever goes away while a model thinks leaves no call behind, nor does a server that ends. */
static void test_gone(void **state)
{
    (void)state;
    static const struct ig_said said[] = {
        {.status = "200 OK", .type = JSON, .body = ANSWER, .late_ms = 600}};
    struct ig_client *client;
    struct ig_client_reply reply;
    struct ig_err err = IG_ERR_INIT;
    const struct ig_client_options options = {.io_timeout_ms = 100};
    const struct ig_client_call call = {.method = "POST",
                                        .path = "/gateway/mlflow/v1/chat/completions",
                                        .content_type = JSON,
                                        .body = IG_STR(CHAT "}")};
    serve(said, 1);
    ig_buf_init(&reply.body, 1 << 16);
    assert_int_equal(ig_client_new(&client, live.url, &options, &err), IG_OK);
    assert_int_equal(ig_client_call(client, &call, &reply, &err), IG_TIMEOUT);
    ig_client_free(client);
    ig_buf_deinit(&reply.body);
    bool ended = false;
    for (int i = 0; i < 100 && !ended; i++, usleep(10000)) {
        EXPECT(200, "GET", "/metrics", NULL);
        ended = strstr(live_body(&live), "\ningot_gateway_failed_total 4\n") != NULL;
    }
    assert_true(ended);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_calls), cmocka_unit_test(test_streams),
                                       cmocka_unit_test(test_gone)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
