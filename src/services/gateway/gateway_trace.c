/* SPDX-License-Identifier: Apache-2.0 */
#include "services/gateway/gateway_trace.h"

#include "base/base64.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/random.h"
#include "services/gateway/gateway_priv.h"
#include "services/tracking/trace_spans.h"

#include <math.h>

static const int64_t MS = 1000000; /* in ns */

static const struct {
    const char *request, *name; /* of the whole, and of what a model was asked for */
} ACTIONS[] = {
    [IG_GATEWAY_CHAT] = {"unified/chat", "chat"},
    [IG_GATEWAY_EMBEDDINGS] = {"unified/embeddings", "embeddings"},
    [IG_GATEWAY_OPENAI_CHAT] = {"passthrough/model/openai-chat", "openai_chat"},
    [IG_GATEWAY_OPENAI_EMBEDDINGS] = {"passthrough/model/openai-embeddings", "openai_embeddings"},
    [IG_GATEWAY_OPENAI_RESPONSES] = {"passthrough/model/openai-responses", "openai_responses"},
    [IG_GATEWAY_OPENAI_COMPACT] = {"passthrough/model/openai-responses",
                                   "openai_responses_compact"},
    [IG_GATEWAY_ANTHROPIC_MESSAGES] = {"passthrough/model/anthropic-messages",
                                       "anthropic_messages"},
    [IG_GATEWAY_GEMINI_GENERATE] = {"passthrough/model/gemini-generateContent",
                                    "gemini_generate_content"},
    [IG_GATEWAY_GEMINI_STREAM] = {"passthrough/model/gemini-generateContent",
                                  "gemini_stream_generate_content"}};

/* A span's numbers, as bytes and in hex digits. */
struct name {
    unsigned char bytes[16];
    char hex[36];
    size_t count;
};

static struct name name_new(size_t count, const char *prefix)
{
    struct name name = {.count = count};
    ig_random_bytes(name.bytes, count);
    size_t used = strlen(prefix);
    memcpy(name.hex, prefix, used);
    ig_hex(name.hex + used, name.bytes, count);
    return name;
}

static void kv_base64(struct ig_json_out *out, const char *key, const struct name *name)
{
    struct ig_buf text;
    ig_buf_init(&text, 64);
    ig_base64_add(&text, (struct ig_str){(const char *)name->bytes, name->count});
    ig_json_out_kv_str(out, key, ig_buf_view(&text));
    ig_buf_deinit(&text);
}

/* Attributes are JSON in texts. */
static void kv_json(struct ig_json_out *out, const char *key, struct ig_str json)
{
    ig_json_out_kv_str(out, key, json);
}

static void kv_quoted(struct ig_json_out *out, const char *key, struct ig_str text)
{
    struct ig_json_out inner;
    struct ig_buf quoted;
    ig_buf_init(&quoted, 8 * text.len + 8);
    ig_json_out_init(&inner, &quoted);
    ig_json_out_str(&inner, text);
    kv_json(out, key, ig_buf_view(&quoted));
    ig_buf_deinit(&quoted);
}

/* What is the same in all spans, up to their attributes. */
static void open_span(struct ig_json_out *out, const struct ig_trace_span *span,
                      const struct name *trace, const struct name *id, const struct name *parent)
{
    ig_json_out_object(out);
    kv_base64(out, "trace_id", trace);
    kv_base64(out, "span_id", id);
    if (parent)
        kv_base64(out, "parent_span_id", parent);
    else
        ig_gateway_kv_text(out, "parent_span_id", (struct ig_str){NULL, 0});
    ig_json_out_kv_str(out, "name", span->name);
    ig_json_out_kv_i64(out, "start_time_unix_nano", span->start_ns);
    ig_json_out_kv_i64(out, "end_time_unix_nano", span->end_ns);
    ig_gateway_kv_raw(out, "events", IG_STR("[]"));
}

static void open_attributes(struct ig_json_out *out, const struct ig_trace_span *span,
                            const char *failure)
{
    ig_json_out_key(out, IG_STR("status"));
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "code",
                       failure ? IG_STR("STATUS_CODE_ERROR") : IG_STR("STATUS_CODE_OK"));
    ig_json_out_kv_str(out, "message", ig_str_view(failure ? failure : ""));
    ig_json_out_object_end(out);
    ig_json_out_key(out, IG_STR("attributes"));
    ig_json_out_object(out);
    kv_quoted(out, "mlflow.traceRequestId", span->trace);
    kv_quoted(out, "mlflow.spanType", span->type);
}

static struct ig_str close_span(struct ig_json_out *out, struct ig_arena *arena)
{
    ig_json_out_object_end(out);
    ig_gateway_kv_raw(out, "links", IG_STR("[]"));
    ig_json_out_object_end(out);
    return ig_arena_dup(arena, ig_buf_view(out->buf));
}

static struct ig_trace_span span_new(const struct name *trace, const struct name *id,
                                     const struct name *parent, const char *failure)
{
    struct ig_trace_span span = {.trace = ig_str_view(trace->hex),
                                 .id = ig_str_view(id->hex),
                                 .status = failure ? IG_STR("ERROR") : IG_STR("OK")};
    if (parent) span.parent = ig_str_view(parent->hex);
    for (int i = 0; i < IG_TRACE_TOKENS_COUNT; i++) span.tokens[i] = -1;
    for (int i = 0; i < IG_TRACE_COSTS_COUNT; i++) span.costs[i] = NAN;
    return span;
}

static void fill_root(struct ig_trace_span *span, const struct ig_gateway_traced *traced,
                      const struct name *trace, const struct name *id, struct ig_arena *arena)
{
    const struct ig_gateway_attempt *last = &traced->attempts[traced->attempts_count - 1];
    const char *name = ig_arena_printf(arena, "gateway/%.*s", IG_STR_ARGS(traced->endpoint->name));
    struct ig_json_out out;
    struct ig_buf text;
    *span = span_new(trace, id, NULL, last->failure);
    span->name = ig_str_view(name);
    span->type = IG_STR("UNKNOWN");
    span->start_ns = traced->attempts[0].began_ms * MS;
    span->end_ns = last->ended_ms * MS;
    if (traced->inputs.len <= IG_GATEWAY_TRACED_MAX) span->inputs = traced->inputs;
    if (traced->outputs.len <= IG_GATEWAY_TRACED_MAX) span->outputs = traced->outputs;
    ig_buf_init(&text, 16 * IG_GATEWAY_TRACED_MAX);
    ig_json_out_init(&out, &text);
    open_span(&out, span, trace, id, NULL);
    open_attributes(&out, span, last->failure);
    kv_quoted(&out, "endpoint_id", traced->endpoint->id);
    kv_quoted(&out, "endpoint_name", traced->endpoint->name);
    if (span->inputs.ptr) kv_json(&out, "mlflow.spanInputs", span->inputs);
    if (span->outputs.ptr) kv_json(&out, "mlflow.spanOutputs", span->outputs);
    span->content = close_span(&out, arena);
    ig_buf_deinit(&text);
}

static void kv_usage(struct ig_json_out *out, const int64_t tokens[IG_TRACE_TOKENS_COUNT],
                     struct ig_arena *arena)
{
    static const char *const NAMES[IG_TRACE_TOKENS_COUNT] = {
        "input_tokens", "output_tokens", "total_tokens", "cache_read_input_tokens",
        "cache_creation_input_tokens"};
    const char *text = "";
    for (int i = 0; i < IG_TRACE_TOKENS_COUNT && text; i++)
        if (tokens[i] >= 0)
            text = ig_arena_printf(arena, "%s%s\"%s\": %lld", text, *text ? ", " : "", NAMES[i],
                                   (long long)tokens[i]);
    if (text && *text) text = ig_arena_printf(arena, "{%s}", text);
    if (text && *text) kv_json(out, "mlflow.chat.tokenUsage", ig_str_view(text));
}

static void fill_attempt(struct ig_trace_span *span, const struct ig_gateway_attempt *attempt,
                         enum ig_gateway_action action, const struct name names[3],
                         struct ig_arena *arena)
{
    const struct ig_gateway_usage *usage = &attempt->usage;
    const int64_t tokens[] = {usage->input, usage->output, usage->total, usage->cached,
                              usage->created};
    struct ig_json_out out;
    struct ig_buf text;
    *span = span_new(&names[0], &names[1], &names[2], attempt->failure);
    span->name = ig_str_view(
        ig_arena_printf(arena, "provider/%s/%.*s", attempt->provider, IG_STR_ARGS(attempt->model)));
    span->type = IG_STR("LLM");
    span->start_ns = attempt->began_ms * MS;
    span->end_ns = attempt->ended_ms * MS;
    span->model = attempt->model;
    span->provider = ig_str_view(attempt->provider);
    memcpy(span->tokens, tokens, sizeof tokens);
    ig_buf_init(&text, 64 << 10);
    ig_json_out_init(&out, &text);
    open_span(&out, span, &names[0], &names[1], &names[2]);
    open_attributes(&out, span, attempt->failure);
    kv_quoted(&out, "mlflow.llm.provider", span->provider);
    kv_quoted(&out, "mlflow.llm.model", span->model);
    kv_quoted(&out, action <= IG_GATEWAY_EMBEDDINGS ? "method" : "action",
              ig_str_view(ACTIONS[action].name));
    kv_usage(&out, tokens, arena);
    span->content = close_span(&out, arena);
    ig_buf_deinit(&text);
}

static enum ig_code put(struct ig_gateway *gateway, const struct ig_gateway_traced *traced,
                        const struct ig_trace_span *spans, size_t count, struct ig_arena *arena,
                        struct ig_err *err)
{
    const struct ig_trace_spans_batch batch = {.experiment = traced->endpoint->experiment,
                                               .run = IG_STR(""),
                                               .spans = spans,
                                               .count = count};
    const struct ig_tracking_pair metadata[] = {
        {IG_STR("mlflow.gateway.endpointId"), traced->endpoint->id},
        {IG_STR("mlflow.gateway.requestType"), ig_str_view(ACTIONS[traced->action].request)}};
    const struct ig_tracking_trace trace = {.id = spans[0].trace,
                                            .experiment = traced->endpoint->experiment,
                                            .status = ig_str_is(spans[0].status, "OK") ? 1 : 2,
                                            .start_ms = spans[0].start_ns / MS,
                                            .duration_ms =
                                                (spans[0].end_ns - spans[0].start_ns) / MS,
                                            .metadata = {metadata, 2}};
    struct ig_tracking_trace made;
    if (ig_trace_spans_put(gateway->db, &batch, arena, err) != IG_OK) return err->code;
    return ig_tracking_trace_put(&made, gateway->db, &trace, arena, err);
}

void ig_gateway_trace(struct ig_gateway *gateway, const struct ig_gateway_traced *traced,
                      struct ig_arena *arena)
{
    struct ig_err err = IG_ERR_INIT;
    struct name trace = name_new(16, "tr-"), root = name_new(8, "");
    size_t count = traced->attempts_count;
    struct ig_trace_span *spans = ig_arena_array(arena, count + 1, sizeof *spans);
    struct name(*names)[3] = ig_arena_array(arena, count + 1, sizeof *names);
    if (!spans || !names || !count) return;
    fill_root(&spans[0], traced, &trace, &root, arena);
    for (size_t i = 0; i < count; i++) {
        names[i][0] = trace;
        names[i][1] = name_new(8, "");
        names[i][2] = root;
        fill_attempt(&spans[i + 1], &traced->attempts[i], traced->action, names[i], arena);
    }
    if (arena->overflowed)
        ig_fail(&err, IG_NO_MEMORY, "a trace of the gateway's");
    else
        put(gateway, traced, spans, count + 1, arena, &err);
    if (err.code != IG_OK) ig_log_err(IG_LOG_WARN, "gateway_call_untraced", &err);
}
