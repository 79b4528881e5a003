/* SPDX-License-Identifier: Apache-2.0 */
/* From an endpoint's name to an answer: the models that are tried, each in its provider's form.
 *
 * A stream's memory is one event and what it becomes. Thread rule: stateless but for counters. */
#include "services/gateway/gateway_call.h"

#include "base/clock.h"
#include "base/random.h"
#include "net/client.h"
#include "services/gateway/gateway_collect.h"
#include "services/gateway/gateway_priv.h"
#include "services/gateway/gateway_sse.h"
#include "services/gateway/gateway_trace.h"
#include "services/gateway/gateway_work.h"

#include <stdio.h>
#include <stdlib.h>

enum { SCRATCH_CHUNK = 64 << 10, SCRATCH_MAX = 64 << 20 };

static const struct ig_gateway_form *const FORMS[] = {
    [IG_GATEWAY_OPENAI] = &IG_GATEWAY_FORM_OPENAI,
    [IG_GATEWAY_AZURE] = &IG_GATEWAY_FORM_OPENAI,
    [IG_GATEWAY_DATABRICKS] = &IG_GATEWAY_FORM_OPENAI,
    [IG_GATEWAY_ANTHROPIC] = &IG_GATEWAY_FORM_ANTHROPIC,
    [IG_GATEWAY_GEMINI] = &IG_GATEWAY_FORM_GEMINI};

/* Pass-throughs: where the caller asks, where the provider is asked, and whose form it is. */
static const struct passage {
    const char *route, *path;
    const struct ig_gateway_form *form;
} PASSAGES[] = {
    [IG_GATEWAY_OPENAI_CHAT] = {"/gateway/openai/v1/chat/completions", "/chat/completions",
                                &IG_GATEWAY_FORM_OPENAI},
    [IG_GATEWAY_OPENAI_EMBEDDINGS] = {"/gateway/openai/v1/embeddings", "/embeddings",
                                      &IG_GATEWAY_FORM_OPENAI},
    [IG_GATEWAY_OPENAI_RESPONSES] = {"/gateway/openai/v1/responses", "/responses",
                                     &IG_GATEWAY_FORM_OPENAI},
    [IG_GATEWAY_OPENAI_COMPACT] = {"/gateway/openai/v1/responses/compact", "/responses/compact",
                                   &IG_GATEWAY_FORM_OPENAI},
    [IG_GATEWAY_ANTHROPIC_MESSAGES] = {"/gateway/anthropic/v1/messages", "/messages",
                                       &IG_GATEWAY_FORM_ANTHROPIC},
    [IG_GATEWAY_GEMINI_GENERATE] = {"/gateway/gemini/v1beta/models/NAME:generateContent",
                                    ":generateContent", &IG_GATEWAY_FORM_GEMINI},
    [IG_GATEWAY_GEMINI_STREAM] = {"/gateway/gemini/v1beta/models/NAME:streamGenerateContent",
                                  ":streamGenerateContent?alt=sse", &IG_GATEWAY_FORM_GEMINI},
};
enum { PASSAGES_COUNT = sizeof PASSAGES / sizeof PASSAGES[0] };

static const struct ig_gateway_form *form_of(const struct ig_gateway_work *work)
{
    return FORMS[work->provider->protocol];
}

static bool is_unified(const struct ig_gateway_work *work)
{
    return work->call->action <= IG_GATEWAY_EMBEDDINGS;
}

static bool makes_vectors(const struct ig_gateway_work *work)
{
    return work->call->action == IG_GATEWAY_EMBEDDINGS ||
           work->call->action == IG_GATEWAY_OPENAI_EMBEDDINGS;
}

/* ---- what is asked ---- */

static enum ig_code unsupported_passage(struct ig_gateway_work *work)
{
    struct ig_buf routes;
    ig_buf_init(&routes, 1024);
    for (size_t i = 0; i < PASSAGES_COUNT; i++)
        if (PASSAGES[i].form == form_of(work))
            ig_buf_printf(&routes, "%s%s", routes.len ? ", " : "", PASSAGES[i].route);
    ig_gateway_refuse(work, 400,
                      "Unsupported passthrough endpoint '%s' for %s provider. Supported endpoints: "
                      "%.*s",
                      PASSAGES[work->call->action].route, work->provider->title,
                      IG_STR_ARGS(ig_buf_view(&routes)));
    ig_buf_deinit(&routes);
    return work->err->code;
}

static enum ig_code find_path(const char **out, struct ig_gateway_work *work)
{
    const struct ig_gateway_form *form = form_of(work);
    const struct passage *passage = &PASSAGES[work->call->action];
    if (is_unified(work))
        *out = makes_vectors(work) ? form->embeddings_path
               : work->streams     ? form->stream_path
                                   : form->chat_path;
    else if (passage->form == form)
        *out = passage->path;
    else
        return unsupported_passage(work);
    if (*out) return IG_OK;
    return ig_gateway_refuse(work, 400, "%s has no embeddings; it has chats alone",
                             work->provider->title);
}

/* The path behind the base, with what the provider's form puts around it. */
static enum ig_code build_path(struct ig_buf *out, struct ig_gateway_work *work)
{
    const char *path = NULL;
    if (find_path(&path, work) != IG_OK) return work->err->code;
    if (work->provider->protocol == IG_GATEWAY_GEMINI) {
        ig_buf_add_char(out, '/');
        ig_client_escape(out, work->model);
    }
    ig_buf_add_cstr(out, work->batch ? ":batchEmbedContents" : path);
    ig_buf_add_cstr(out, work->query);
    return out->overflowed ? ig_fail(work->err, IG_NO_MEMORY, "a provider's path") : IG_OK;
}

static enum ig_code build_body(struct ig_buf *body, struct ig_gateway_work *work)
{
    static const char *const MODEL[] = {"model", NULL};
    const struct ig_gateway_form *form = form_of(work);
    struct ig_json_out out;
    const char *path = NULL;
    if (find_path(&path, work) != IG_OK) return work->err->code;
    ig_json_out_init(&out, body);
    if (is_unified(work)) {
        if ((makes_vectors(work) ? form->embeddings : form->chat)(&out, work) != IG_OK)
            return work->err->code;
    } else if (form == &IG_GATEWAY_FORM_OPENAI) {
        form->chat(&out, work);
    } else {
        ig_json_out_object(&out);
        if (form == &IG_GATEWAY_FORM_ANTHROPIC) ig_json_out_kv_str(&out, "model", work->model);
        ig_gateway_write_rest(&out, &work->asked, MODEL);
        ig_json_out_object_end(&out);
    }
    return body->overflowed ? ig_fail(work->err, IG_NO_MEMORY, "a provider's request") : IG_OK;
}

/* ---- answers ---- */

static enum ig_code unreadable(struct ig_gateway_work *work, const struct ig_err *why)
{
    if (why->code == IG_NO_MEMORY) return ig_fail(work->err, IG_NO_MEMORY, "%s", why->message);
    return ig_gateway_refuse(work, 502, "%s answered what is not an object of JSON: %s",
                             work->provider->title, why->message);
}

static enum ig_code take_answer(struct ig_buf *out, struct ig_gateway_work *work,
                                struct ig_str reply)
{
    const struct ig_gateway_form *form = form_of(work);
    struct ig_err err = IG_ERR_INIT;
    struct ig_gateway_object object;
    struct ig_json_out writer;
    if (ig_gateway_object_read(&object, reply, work->scratch, &err) != IG_OK)
        return unreadable(work, &err);
    ig_gateway_usage_read(&work->usage, &object, work->scratch);
    if (!is_unified(work)) {
        ig_buf_add_str(out, reply);
        return IG_OK;
    }
    ig_json_out_init(&writer, out);
    if ((makes_vectors(work) ? form->vectors : form->answer)(&writer, work, &object) != IG_OK)
        return work->err->code;
    return out->overflowed ? ig_fail(work->err, IG_NO_MEMORY, "a provider's answer") : IG_OK;
}

/* ---- streams ---- */

struct stream {
    struct ig_gateway_work *work;
    struct ig_gateway_sse sse;
    struct ig_buf out;
    struct ig_gateway_collector collector; /* while it is traced */
    bool told;                             /* something of it has been taken */
    size_t events;
};

static enum ig_gateway_events events_of(enum ig_gateway_action action)
{
    switch (action) {
    case IG_GATEWAY_OPENAI_RESPONSES:
    case IG_GATEWAY_OPENAI_COMPACT:
        return IG_GATEWAY_EVENTS_RESPONSES;
    case IG_GATEWAY_ANTHROPIC_MESSAGES:
        return IG_GATEWAY_EVENTS_ANTHROPIC;
    case IG_GATEWAY_GEMINI_STREAM:
        return IG_GATEWAY_EVENTS_GEMINI;
    default:
        return IG_GATEWAY_EVENTS_CHAT;
    }
}

static bool hand_over(struct stream *stream, struct ig_str events)
{
    struct ig_gateway_work *work = stream->work;
    stream->told = true;
    return work->call->take(work->call->context, events, work->err) == IG_OK;
}

/* {"error": {"message": ...}} in the midst of a stream. */
static bool is_failure(struct ig_gateway_work *work, const struct ig_gateway_object *event)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_gateway_object error;
    struct ig_str json = ig_gateway_get(event, "error"), said = {NULL, 0};
    if (!json.ptr) return false;
    if (ig_gateway_object_read(&error, json, work->scratch, &err) == IG_OK)
        said = ig_gateway_get_text(&error, "message", work->scratch);
    if (!said.ptr) said = json;
    said = ig_gateway_scrub(said, work);
    ig_gateway_refuse(work, 502, "%.*s", (int)(said.len > 400 ? 400 : said.len), said.ptr);
    return true;
}

/* What the caller is told is OpenAI's, whoever answers. */
static void collect_told(struct stream *stream)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_gateway_object event;
    struct ig_str told = ig_buf_view(&stream->out);
    ig_str_cut(&told, ' ');
    if (ig_gateway_object_read(&event, told, stream->work->scratch, &err) == IG_OK)
        ig_gateway_collect(&stream->collector, &event, stream->work->scratch);
}

static bool take_event(struct stream *stream, struct ig_str text)
{
    struct ig_gateway_work *work = stream->work;
    struct ig_err err = IG_ERR_INIT;
    struct ig_gateway_object event;
    struct ig_json_out writer;
    bool told = false;
    ig_arena_reset(work->scratch);
    if (ig_gateway_object_read(&event, text, work->scratch, &err) != IG_OK) return true;
    stream->events++;
    ig_gateway_usage_read(&work->usage, &event, work->scratch);
    if (!is_unified(work)) {
        if (work->tracked) ig_gateway_collect(&stream->collector, &event, work->scratch);
        return true;
    }
    if (is_failure(work, &event)) return false;
    ig_buf_reset(&stream->out);
    ig_buf_add_cstr(&stream->out, "data: ");
    ig_json_out_init(&writer, &stream->out);
    if (form_of(work)->event(&writer, &told, work, &event) != IG_OK) return false;
    if (!told) return true;
    if (work->tracked) collect_told(stream);
    ig_buf_add_cstr(&stream->out, "\n\n");
    if (stream->out.overflowed || work->scratch->overflowed) {
        ig_fail(work->err, IG_NO_MEMORY, "an event of a provider's");
        return false;
    }
    return hand_over(stream, ig_buf_view(&stream->out));
}

static bool take_bytes(void *context, struct ig_str bytes)
{
    struct stream *stream = context;
    struct ig_str event;
    if (!is_unified(stream->work) && !hand_over(stream, bytes)) return false;
    while (ig_gateway_sse_next(&stream->sse, &bytes, &event))
        if (!take_event(stream, event)) return false;
    if (!stream->sse.overlong || !is_unified(stream->work)) return true;
    ig_gateway_refuse(stream->work, 502, "%s sent an event of more than %d bytes",
                      stream->work->provider->title, IG_GATEWAY_EVENT_MAX);
    return false;
}

static enum ig_code end_stream(struct stream *stream)
{
    struct ig_gateway_work *work = stream->work;
    struct ig_str event;
    if (ig_gateway_sse_last(&stream->sse, &event)) take_event(stream, event);
    if (work->err->code == IG_OK && !stream->events && is_unified(work))
        ig_gateway_refuse(work, 502, "%s answered a stream without an event",
                          work->provider->title);
    if (work->err->code != IG_OK || !work->tracked) return work->err->code;
    ig_arena_reset(work->scratch);
    ig_buf_reset(&stream->out);
    ig_gateway_collector_write(&stream->out, &stream->collector, work->scratch);
    if (stream->out.len && stream->out.len <= IG_GATEWAY_TRACED_MAX)
        work->collected = ig_arena_dup(work->arena, ig_buf_view(&stream->out));
    return IG_OK;
}

/* ---- one try ---- */

static enum ig_code try_model(struct ig_buf *answer, bool *told, struct ig_gateway_work *work,
                              struct ig_gateway *gateway, const struct ig_gateway_model *model)
{
    struct stream stream = {.work = work};
    struct ig_buf body, path, reply;
    struct ig_gateway_post post = {0};
    ig_buf_init(&body, 2 * IG_GATEWAY_REQUEST_MAX);
    ig_buf_init(&path, 8192);
    ig_buf_init(&reply, IG_GATEWAY_ANSWER_MAX);
    ig_buf_init(&stream.out, 8 * IG_GATEWAY_EVENT_MAX);
    ig_gateway_sse_init(&stream.sse);
    ig_gateway_collector_init(&stream.collector, events_of(work->call->action),
                              IG_GATEWAY_TRACED_MAX);
    if (ig_gateway_target(work, gateway, model) == IG_OK && build_body(&body, work) == IG_OK &&
        build_path(&path, work) == IG_OK) {
        post = (struct ig_gateway_post){.path = path.ptr, .body = ig_buf_view(&body)};
        if (work->streams) post.take = take_bytes;
        post.context = &stream;
        ig_gateway_send(&reply, gateway, work, &post);
        if (work->err->code == IG_OK && work->streams) end_stream(&stream);
        if (work->err->code == IG_OK && !work->streams)
            take_answer(answer, work, ig_buf_view(&reply));
    }
    *told = stream.told;
    ig_gateway_work_wipe(work);
    ig_gateway_collector_deinit(&stream.collector);
    ig_gateway_sse_deinit(&stream.sse);
    ig_buf_deinit(&stream.out);
    ig_buf_deinit(&reply);
    ig_buf_deinit(&path);
    ig_buf_deinit(&body);
    return work->err->code;
}

/* ---- which models ---- */

struct plan {
    const struct ig_gateway_mapping *models[IG_GATEWAY_MODELS_MAX + 1];
    struct ig_gateway_attempt attempts[IG_GATEWAY_MODELS_MAX + 1];
    size_t count, tried;
};

static int by_order(const void *left, const void *right)
{
    const struct ig_gateway_mapping *a = *(const struct ig_gateway_mapping *const *)left;
    const struct ig_gateway_mapping *b = *(const struct ig_gateway_mapping *const *)right;
    uint64_t first = (uint64_t)a->order, second = (uint64_t)b->order; /* -1: last */
    if (first != second) return first < second ? -1 : 1;
    return a < b ? -1 : a > b;
}

/* Weights count in hundredths, as MLflow's do. */
static uint64_t weight_of(const struct ig_gateway_mapping *mapping)
{
    return mapping->weight > 0 && mapping->weight < 1e6 ? (uint64_t)(mapping->weight * 100) : 0;
}

static const struct ig_gateway_mapping *choose(const struct ig_gateway_endpoint *endpoint)
{
    const struct ig_gateway_mapping *first = NULL;
    uint64_t sum = 0, at = 0;
    struct ig_rng rng;
    for (size_t i = 0; i < endpoint->mappings_count; i++) {
        const struct ig_gateway_mapping *mapping = &endpoint->mappings[i];
        if (mapping->fallback || !mapping->model.secret.ptr) continue;
        if (!first) first = mapping;
        sum += weight_of(mapping);
    }
    if (!first || !endpoint->routing.ptr || !sum) return first;
    ig_random_bytes(&at, sizeof at);
    ig_rng_seed(&rng, at);
    at = ig_rng_below(&rng, sum);
    for (size_t i = 0; i < endpoint->mappings_count; i++) {
        const struct ig_gateway_mapping *mapping = &endpoint->mappings[i];
        if (mapping->fallback || !mapping->model.secret.ptr) continue;
        if (at < weight_of(mapping)) return mapping;
        at -= weight_of(mapping);
    }
    return first;
}

static enum ig_code make_plan(struct plan *plan, const struct ig_gateway_endpoint *endpoint,
                              struct ig_err *err)
{
    plan->count = plan->tried = 0;
    plan->models[0] = choose(endpoint);
    if (!plan->models[0])
        return ig_fail(err, IG_NOT_FOUND, "Endpoint '%.*s' has no PRIMARY models configured",
                       IG_STR_ARGS(endpoint->name));
    plan->count = 1;
    for (size_t i = 0; endpoint->has_fallback && i < endpoint->mappings_count; i++)
        if (endpoint->mappings[i].fallback && endpoint->mappings[i].model.secret.ptr)
            plan->models[plan->count++] = &endpoint->mappings[i];
    qsort(plan->models + 1, plan->count - 1, sizeof(void *), by_order);
    if (endpoint->fallback_attempts > 0 && (size_t)endpoint->fallback_attempts + 1 < plan->count)
        plan->count = (size_t)endpoint->fallback_attempts + 1;
    return IG_OK;
}

/* ---- the call ---- */

static enum ig_code read_asked(struct ig_gateway_work *work)
{
    struct ig_err err = IG_ERR_INIT;
    bool gemini_streams = work->call->action == IG_GATEWAY_GEMINI_STREAM;
    bool never = makes_vectors(work) || work->call->action == IG_GATEWAY_GEMINI_GENERATE;
    if (ig_gateway_object_read(&work->asked, work->call->body, work->arena, &err) != IG_OK)
        return err.code == IG_NO_MEMORY
                   ? ig_fail(work->err, IG_NO_MEMORY, "%s", err.message)
                   : ig_gateway_refuse(work, 400, "Invalid JSON payload: %s", err.message);
    if (is_unified(work) && !work->call->has_model && ig_gateway_get(&work->asked, "model").ptr)
        return ig_gateway_refuse(work, 422,
                                 "The parameter 'model' is not permitted to be passed. The route "
                                 "being queried already defines a model instance.");
    work->streams =
        gemini_streams || (!never && ig_str_is(ig_gateway_get(&work->asked, "stream"), "true"));
    return IG_OK;
}

static bool goes_on(const struct ig_gateway_work *work, bool told)
{
    return !told && work->err->code != IG_CANCELLED && work->err->code != IG_NO_MEMORY;
}

static void note(struct plan *plan, const struct ig_gateway_work *work, int64_t began_ms)
{
    const char *failure =
        work->err->code == IG_OK ? NULL : ig_arena_printf(work->arena, "%s", work->err->message);
    plan->attempts[plan->tried++] =
        (struct ig_gateway_attempt){.provider = work->provider ? work->provider->name : "unknown",
                                    .model = work->model,
                                    .began_ms = began_ms,
                                    .ended_ms = ig_clock_unix_ms(),
                                    .usage = work->usage,
                                    .failure = failure};
}

/* Each model of the plan until one answers. */
static enum ig_code try_all(struct ig_buf *answer, struct ig_gateway_work *asked,
                            struct ig_gateway *gateway, struct plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_gateway_work work = *asked;
        int64_t began_ms = ig_clock_unix_ms();
        bool told = false;
        work.err = &err;
        ig_buf_reset(answer);
        try_model(answer, &told, &work, gateway, &plan->models[i]->model);
        note(plan, &work, began_ms);
        asked->usage = work.usage;
        asked->collected = work.collected;
        asked->status = work.status;
        if (err.code == IG_OK) return IG_OK;
        bool more = goes_on(&work, told);
        if (more && i + 1 < plan->count) continue;
        if (more && plan->count > 1)
            return ig_fail(asked->err, err.code,
                           "All %zu fallback attempts failed. Last error: %d: %s", plan->count,
                           work.status ? work.status : ig_code_http_status(err.code), err.message);
        *asked->err = err;
        return err.code;
    }
    return asked->err->code;
}

static void count(struct ig_gateway *gateway, const struct ig_gateway_usage *usage, bool failed)
{
    atomic_fetch_add(&gateway->calls, 1);
    if (failed) atomic_fetch_add(&gateway->failed, 1);
    if (usage->input > 0) atomic_fetch_add(&gateway->input_tokens, (uint64_t)usage->input);
    if (usage->output > 0) atomic_fetch_add(&gateway->output_tokens, (uint64_t)usage->output);
}

static enum ig_code run(struct ig_gateway_answer *out, struct ig_gateway *gateway,
                        struct ig_gateway_work *work)
{
    struct ig_gateway_endpoint endpoint;
    struct plan plan;
    struct ig_buf answer;
    if (read_asked(work) != IG_OK ||
        ig_gateway_endpoint_get(&endpoint, gateway, IG_STR(""), work->call->endpoint, work->arena,
                                work->err) != IG_OK ||
        make_plan(&plan, &endpoint, work->err) != IG_OK)
        return work->err->code;
    work->tracked = endpoint.tracked;
    ig_buf_init(&answer, 2 * IG_GATEWAY_ANSWER_MAX);
    uint64_t began_ns = ig_clock_ns();
    try_all(&answer, work, gateway, &plan);
    out->waited_ns = ig_clock_ns() - began_ns;
    count(gateway, &work->usage, work->err->code != IG_OK);
    if (work->err->code == IG_OK && !work->streams) {
        out->body = ig_arena_dup(work->arena, ig_buf_view(&answer));
        if (!out->body.ptr) ig_fail(work->err, IG_NO_MEMORY, "a provider's answer");
    }
    ig_buf_deinit(&answer);
    const struct ig_gateway_traced traced = {.endpoint = &endpoint,
                                             .action = work->call->action,
                                             .inputs = work->call->body,
                                             .outputs = work->streams ? work->collected : out->body,
                                             .attempts = plan.attempts,
                                             .attempts_count = plan.tried};
    ig_arena_reset(work->scratch); /* a trace that has no room hurts no answer */
    if (endpoint.tracked && endpoint.experiment >= 0)
        ig_gateway_trace(gateway, &traced, work->scratch);
    return work->err->code;
}

enum ig_code ig_gateway_call_model(struct ig_gateway_answer *out, struct ig_gateway *gateway,
                                   const struct ig_gateway_call *call, struct ig_arena *arena,
                                   struct ig_err *err)
{
    struct ig_arena scratch;
    struct ig_gateway_work work = {.call = call,
                                   .arena = arena,
                                   .scratch = &scratch,
                                   .err = err,
                                   .usage = {-1, -1, -1, -1, -1}};
    *out = (struct ig_gateway_answer){.usage = work.usage};
    if (atomic_fetch_add(&gateway->calls_running, 1) >= gateway->calls_max) {
        atomic_fetch_sub(&gateway->calls_running, 1);
        return ig_fail(err, IG_EXHAUSTED,
                       "%u calls of language models are under way, which is the most "
                       "(gateway_calls)",
                       gateway->calls_max);
    }
    ig_arena_init(&scratch, SCRATCH_CHUNK, SCRATCH_MAX);
    run(out, gateway, &work);
    ig_arena_deinit(&scratch);
    atomic_fetch_sub(&gateway->calls_running, 1);
    out->usage = work.usage;
    out->status = work.status;
    return err->code;
}

void ig_gateway_stats(struct ig_gateway_stats *out, const struct ig_gateway *gateway)
{
    *out = (struct ig_gateway_stats){.calls = atomic_load(&gateway->calls),
                                     .failed = atomic_load(&gateway->failed),
                                     .input_tokens = atomic_load(&gateway->input_tokens),
                                     .output_tokens = atomic_load(&gateway->output_tokens)};
}
