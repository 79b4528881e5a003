/* SPDX-License-Identifier: Apache-2.0 */
/* OpenAI's form of chats and embeddings, which is the unified one too: what is sent is what was
 * asked, and answers are put in the order and with the members that MLflow gives. */
#include "services/gateway/gateway_work.h"

/* ---- requests ---- */

static bool names_model(const struct ig_gateway_work *work)
{
    return !*work->query; /* at Azure the path does */
}

/* {"stream_options": {"include_usage": true, ...}}: what is counted comes with the last event. */
static void write_stream_options(struct ig_json_out *out, struct ig_gateway_work *work)
{
    static const char *const NONE[] = {NULL};
    struct ig_err err = IG_ERR_INIT;
    struct ig_gateway_object options = {NULL, 0};
    struct ig_str given = ig_gateway_get(&work->asked, "stream_options");
    if (given.ptr) ig_gateway_object_read(&options, given, work->arena, &err);
    ig_json_out_key(out, IG_STR("stream_options"));
    ig_json_out_object(out);
    ig_gateway_write_rest(out, &options, NONE);
    if (!ig_gateway_get(&options, "include_usage").ptr)
        ig_json_out_kv_bool(out, "include_usage", true);
    ig_json_out_object_end(out);
}

static enum ig_code write_asked(struct ig_json_out *out, struct ig_gateway_work *work)
{
    static const char *const BUT[] = {"model", "stream_options", NULL};
    bool unified = work->call->action == IG_GATEWAY_CHAT;
    bool counts = work->streams &&
                  (unified || (work->call->action == IG_GATEWAY_OPENAI_CHAT && work->tracked));
    struct ig_str options = ig_gateway_get(&work->asked, "stream_options");
    ig_json_out_object(out);
    if (names_model(work)) ig_json_out_kv_str(out, "model", work->model);
    ig_gateway_write_rest(out, &work->asked, BUT);
    if (unified && !ig_gateway_get(&work->asked, "n").ptr) ig_json_out_kv_i64(out, "n", 1);
    if (counts)
        write_stream_options(out, work);
    else if (options.ptr)
        ig_gateway_kv_raw(out, "stream_options", options);
    ig_json_out_object_end(out);
    return work->err->code;
}

/* ---- answers ---- */

static struct ig_str or_empty(struct ig_str text)
{
    return text.ptr ? text : IG_STR("");
}

/* A choice's message, or what a stream adds to it. */
static enum ig_code write_choice(struct ig_json_out *out, struct ig_gateway_work *work,
                                 struct ig_str json, int64_t at)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_gateway_object choice, message;
    const char *inside = work->streams ? "delta" : "message";
    if (ig_gateway_object_read(&choice, json, work->scratch, &err) != IG_OK)
        return ig_gateway_odd(work, "choices");
    struct ig_str said = ig_gateway_get(&choice, inside);
    if (!said.ptr || ig_gateway_object_read(&message, said, work->scratch, &err) != IG_OK)
        return ig_gateway_odd(work, inside);
    int64_t index = work->streams ? ig_gateway_get_count(&choice, "index") : at;
    ig_gateway_open_choice(out, index < 0 ? at : index,
                           ig_gateway_get_text(&choice, "finish_reason", work->scratch),
                           work->streams);
    ig_gateway_kv_raw(out, "role", ig_gateway_get(&message, "role"));
    ig_gateway_kv_raw(out, "content", ig_gateway_get(&message, "content"));
    ig_gateway_kv_raw(out, "tool_calls", ig_gateway_get(&message, "tool_calls"));
    if (!work->streams) ig_gateway_kv_raw(out, "refusal", ig_gateway_get(&message, "refusal"));
    ig_json_out_object_end(out);
    ig_json_out_object_end(out);
    return IG_OK;
}

static enum ig_code write_answer(struct ig_json_out *out, struct ig_gateway_work *work,
                                 const struct ig_gateway_object *reply)
{
    static const char *const COUNTED[] = {"prompt_tokens", "completion_tokens", "total_tokens",
                                          NULL};
    struct ig_err err = IG_ERR_INIT;
    struct ig_gateway_array choices;
    struct ig_gateway_object usage;
    struct ig_str told = ig_gateway_get(reply, "choices"), counts = ig_gateway_get(reply, "usage");
    if (!told.ptr || ig_gateway_array_read(&choices, told, work->scratch, &err) != IG_OK)
        return ig_gateway_odd(work, "choices");
    bool counted = counts.ptr && counts.ptr[0] == '{' &&
                   ig_gateway_object_read(&usage, counts, work->scratch, &err) == IG_OK;
    int64_t created = ig_gateway_get_count(reply, "created");
    const struct ig_gateway_head head = {
        .id = ig_gateway_get_text(reply, "id", work->scratch),
        .model = or_empty(ig_gateway_get_text(reply, "model", work->scratch)),
        .created = created < 0 ? 0 : created,
        .streams = work->streams};
    ig_gateway_write_head(out, &head);
    for (size_t i = 0; i < choices.count; i++)
        if (write_choice(out, work, choices.items[i], (int64_t)i) != IG_OK) return work->err->code;
    if (!counted) usage = (struct ig_gateway_object){NULL, 0};
    ig_gateway_write_foot(out, work, counted || !work->streams ? &usage : NULL, COUNTED);
    return IG_OK;
}

/* An event of a failure in the middle is {"error": ...}. */
static enum ig_code write_event(struct ig_json_out *out, bool *told, struct ig_gateway_work *work,
                                const struct ig_gateway_object *event)
{
    *told = true;
    return write_answer(out, work, event);
}

static enum ig_code write_vectors(struct ig_json_out *out, struct ig_gateway_work *work,
                                  const struct ig_gateway_object *reply)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_gateway_array data;
    struct ig_gateway_object item;
    struct ig_str told = ig_gateway_get(reply, "data");
    if (!told.ptr || ig_gateway_array_read(&data, told, work->scratch, &err) != IG_OK)
        return ig_gateway_odd(work, "data");
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "object", IG_STR("list"));
    ig_json_out_key(out, IG_STR("data"));
    ig_json_out_array(out);
    for (size_t i = 0; i < data.count; i++) {
        if (ig_gateway_object_read(&item, data.items[i], work->scratch, &err) != IG_OK ||
            !ig_gateway_get(&item, "embedding").ptr)
            return ig_gateway_odd(work, "embedding");
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "object", IG_STR("embedding"));
        ig_gateway_kv_raw(out, "embedding", ig_gateway_get(&item, "embedding"));
        ig_json_out_kv_i64(out, "index", (int64_t)i);
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
    ig_json_out_kv_str(out, "model", or_empty(ig_gateway_get_text(reply, "model", work->scratch)));
    ig_json_out_key(out, IG_STR("usage"));
    ig_json_out_object(out);
    ig_gateway_kv_count(out, "prompt_tokens", work->usage.input);
    ig_gateway_kv_count(out, "total_tokens", work->usage.total);
    ig_json_out_object_end(out);
    ig_json_out_object_end(out);
    return IG_OK;
}

const struct ig_gateway_form IG_GATEWAY_FORM_OPENAI = {.chat_path = "/chat/completions",
                                                       .stream_path = "/chat/completions",
                                                       .embeddings_path = "/embeddings",
                                                       .chat = write_asked,
                                                       .answer = write_answer,
                                                       .event = write_event,
                                                       .embeddings = write_asked,
                                                       .vectors = write_vectors};
