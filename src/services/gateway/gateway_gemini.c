/* SPDX-License-Identifier: Apache-2.0 */
/* Chats and embeddings in the form of Gemini's API (https://ai.google.dev/api/generate-content), by
 * the rules of MLflow's gateway. */
#include "services/gateway/gateway_work.h"

#include "base/clock.h"
#include "base/hash.h"

#include <stdio.h>

/* Names of generationConfig, in OpenAI's words and in Gemini's. */
static const struct {
    const char *asked, *own;
} CONFIG[] = {{"stop", "stopSequences"},
              {"n", "candidateCount"},
              {"max_tokens", "maxOutputTokens"},
              {"top_k", "topK"},
              {"top_p", "topP"},
              {"frequency_penalty", "frequencyPenalty"},
              {"presence_penalty", "presencePenalty"},
              {"temperature", "temperature"}};
enum { CONFIG_COUNT = sizeof CONFIG / sizeof CONFIG[0] };

/* ---- requests ---- */

static void write_text_part(struct ig_json_out *out, struct ig_str json)
{
    ig_json_out_object(out);
    ig_gateway_kv_raw(out, "text", json.ptr ? json : IG_STR("\"\""));
    ig_json_out_object_end(out);
}

/* Texts, and images that come as data; other images are a note, what else there is passes. */
static enum ig_code write_part(struct ig_json_out *out, struct ig_gateway_work *work,
                               struct ig_str json)
{
    struct ig_gateway_object part, image;
    struct ig_str media, data;
    if (ig_gateway_need_object(&part, json, work, "A part of a message") != IG_OK)
        return work->err->code;
    struct ig_str type = ig_gateway_get_text(&part, "type", work->arena);
    if (ig_str_is(type, "text")) {
        write_text_part(out, ig_gateway_get(&part, "text"));
        return IG_OK;
    }
    if (!ig_str_is(type, "image_url")) {
        ig_json_out_raw(out, json);
        return IG_OK;
    }
    if (ig_gateway_need_object(&image, ig_gateway_get(&part, "image_url"), work, "image_url") !=
        IG_OK)
        return work->err->code;
    struct ig_str url = ig_gateway_get_text(&image, "url", work->arena);
    ig_json_out_object(out);
    if (ig_gateway_data_url(&media, &data, url)) {
        ig_json_out_key(out, IG_STR("inlineData"));
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "mimeType", media);
        ig_json_out_kv_str(out, "data", data);
        ig_json_out_object_end(out);
    } else {
        const char *note =
            ig_arena_printf(work->arena, "[unsupported image reference: %.*s]",
                            (int)(url.len > 4096 ? 4096 : url.len), url.ptr ? url.ptr : "");
        ig_json_out_kv_str(out, "text", ig_str_view(note ? note : ""));
    }
    ig_json_out_object_end(out);
    return IG_OK;
}

static enum ig_code write_parts(struct ig_json_out *out, struct ig_gateway_work *work,
                                struct ig_str content)
{
    struct ig_gateway_array parts;
    if (!content.len || content.ptr[0] != '[') {
        write_text_part(out, content);
        return IG_OK;
    }
    if (ig_gateway_need_array(&parts, content, work, "content") != IG_OK) return work->err->code;
    for (size_t i = 0; i < parts.count; i++)
        if (write_part(out, work, parts.items[i]) != IG_OK) return work->err->code;
    return IG_OK;
}

/* What a call of a tool is named, by the messages before the one that answers it. */
struct names {
    struct ig_gateway_member *items; /* id, name as JSON */
    size_t count, cap;
};

static enum ig_code write_call(struct ig_json_out *out, struct ig_gateway_work *work,
                               struct names *names, struct ig_str json)
{
    struct ig_gateway_tool_call use;
    if (ig_gateway_need_call(&use, json, work) != IG_OK) return work->err->code;
    names->items =
        ig_arena_grow(work->arena, names->items, names->count, &names->cap, sizeof *names->items);
    if (!names->items) return ig_fail(work->err, IG_NO_MEMORY, "a call of a language model");
    names->items[names->count++] =
        (struct ig_gateway_member){ig_gateway_get_text(&use.call, "id", work->arena), use.name};
    ig_json_out_object(out);
    ig_json_out_key(out, IG_STR("functionCall"));
    ig_json_out_object(out);
    ig_gateway_kv_raw(out, "id", ig_gateway_get(&use.call, "id"));
    ig_gateway_kv_raw(out, "name", use.name);
    ig_gateway_kv_raw(out, "args", use.arguments);
    ig_json_out_object_end(out);
    if (ig_gateway_get(&use.call, "thought_signature").ptr)
        ig_gateway_kv_raw(out, "thoughtSignature", ig_gateway_get(&use.call, "thought_signature"));
    ig_json_out_object_end(out);
    return IG_OK;
}

static void open_content(struct ig_json_out *out, const char *role)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "role", ig_str_view(role));
    ig_json_out_key(out, IG_STR("parts"));
    ig_json_out_array(out);
}

static void close_content(struct ig_json_out *out)
{
    ig_json_out_array_end(out);
    ig_json_out_object_end(out);
}

/* An object as it is; other JSON, and text, as the member of one. */
static void write_result(struct ig_json_out *out, struct ig_gateway_work *work, struct ig_str json)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_gateway_object object;
    struct ig_json reader;
    struct ig_str text = ig_gateway_text(json, work->arena);
    ig_json_out_key(out, IG_STR("response"));
    if (text.ptr && ig_gateway_object_read(&object, text, work->arena, &err) == IG_OK) {
        ig_json_out_raw(out, ig_str_trim(text));
        return;
    }
    ig_err_clear(&err);
    ig_json_init(&reader, text.ptr ? text : IG_STR(""), work->arena, &err);
    bool is_json = ig_json_skip(&reader) && ig_json_next(&reader) == IG_JSON_END;
    ig_json_out_object(out);
    ig_gateway_kv_raw(out, "result", is_json ? ig_str_trim(text) : json);
    ig_json_out_object_end(out);
}

static enum ig_code write_response(struct ig_json_out *out, struct ig_gateway_work *work,
                                   const struct names *names,
                                   const struct ig_gateway_object *message)
{
    struct ig_str id = ig_gateway_get_text(message, "tool_call_id", work->arena);
    size_t at = names->count;
    while (at > 0 && !ig_str_eq(names->items[at - 1].name, id)) at--;
    if (!at)
        return ig_gateway_refuse(work, 422,
                                 "Invalid tool message: tool_call_id=%.*s does not match any tool "
                                 "call in a preceding assistant message.",
                                 (int)(id.len > 64 ? 64 : id.len), id.ptr ? id.ptr : "");
    ig_json_out_object(out);
    ig_json_out_key(out, IG_STR("functionResponse"));
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "id", id);
    ig_gateway_kv_raw(out, "name", names->items[at - 1].value);
    write_result(out, work, ig_gateway_get(message, "content"));
    ig_json_out_object_end(out);
    ig_json_out_object_end(out);
    return IG_OK;
}

static enum ig_code write_said(struct ig_json_out *out, struct ig_gateway_work *work,
                               struct names *names, const struct ig_gateway_object *message)
{
    struct ig_gateway_array calls = {NULL, 0};
    bool model = ig_str_is(ig_gateway_get_text(message, "role", work->arena), "assistant");
    struct ig_str json = ig_gateway_get(message, "tool_calls");
    if (model && json.ptr && ig_gateway_need_array(&calls, json, work, "tool_calls") != IG_OK)
        return work->err->code;
    open_content(out, model ? "model" : "user");
    for (size_t i = 0; i < calls.count; i++)
        if (write_call(out, work, names, calls.items[i]) != IG_OK) return work->err->code;
    if (!calls.count && write_parts(out, work, ig_gateway_get(message, "content")) != IG_OK)
        return work->err->code;
    close_content(out);
    return IG_OK;
}

/* Answers of tools that follow each other are one turn of the user's. */
static enum ig_code write_contents(struct ig_json_out *out, struct ig_gateway_work *work,
                                   const struct ig_gateway_object *messages, size_t count)
{
    struct names names = {NULL, 0, 0};
    bool answering = false;
    ig_json_out_key(out, IG_STR("contents"));
    ig_json_out_array(out);
    for (size_t i = 0; i < count; i++) {
        struct ig_str role = ig_gateway_get_text(&messages[i], "role", work->arena);
        bool tool = ig_str_is(role, "tool");
        bool said = ig_str_is(role, "user") || ig_str_is(role, "assistant");
        if (said && answering) close_content(out);
        if (tool && !answering) open_content(out, "user");
        answering = tool || (answering && !said);
        if (said && write_said(out, work, &names, &messages[i]) != IG_OK) return work->err->code;
        if (tool && write_response(out, work, &names, &messages[i]) != IG_OK)
            return work->err->code;
    }
    if (answering) close_content(out);
    ig_json_out_array_end(out);
    return IG_OK;
}

static enum ig_code write_messages(struct ig_json_out *out, struct ig_gateway_work *work)
{
    struct ig_gateway_array list;
    bool any = false;
    if (ig_gateway_need_array(&list, ig_gateway_get(&work->asked, "messages"), work, "messages") !=
        IG_OK)
        return work->err->code;
    struct ig_gateway_object *messages =
        ig_arena_array(work->arena, list.count ? list.count : 1, sizeof *messages);
    if (!messages) return ig_fail(work->err, IG_NO_MEMORY, "a call of a language model");
    for (size_t i = 0; i < list.count; i++)
        if (ig_gateway_need_object(&messages[i], list.items[i], work, "A message") != IG_OK)
            return work->err->code;
    if (write_contents(out, work, messages, list.count) != IG_OK) return work->err->code;
    for (size_t i = 0; i < list.count; i++) {
        if (!ig_str_is(ig_gateway_get_text(&messages[i], "role", work->arena), "system")) continue;
        if (!any) {
            ig_json_out_key(out, IG_STR("system_instruction"));
            ig_json_out_object(out);
            ig_json_out_key(out, IG_STR("parts"));
            ig_json_out_array(out);
        }
        any = true;
        write_text_part(out, ig_gateway_get(&messages[i], "content"));
    }
    if (any) close_content(out);
    return IG_OK;
}

static enum ig_code write_config(struct ig_json_out *out, struct ig_gateway_work *work)
{
    struct ig_gateway_object format = {NULL, 0}, schema = {NULL, 0};
    struct ig_str wanted = ig_gateway_get(&work->asked, "response_format");
    struct ig_str tokens = ig_gateway_get(&work->asked, "max_completion_tokens");
    for (size_t i = 0; i < CONFIG_COUNT; i++)
        if (strcmp(CONFIG[i].asked, CONFIG[i].own) != 0 &&
            ig_gateway_get(&work->asked, CONFIG[i].own).ptr)
            return ig_gateway_refuse(work, 422, "Invalid parameter %s. Use %s instead.",
                                     CONFIG[i].own, CONFIG[i].asked);
    if (wanted.ptr && ig_gateway_need_object(&format, wanted, work, "response_format") != IG_OK)
        return work->err->code;
    struct ig_str type = ig_gateway_get_text(&format, "type", work->arena);
    ig_json_out_key(out, IG_STR("generationConfig"));
    ig_json_out_object(out);
    for (size_t i = 0; i < CONFIG_COUNT; i++) {
        struct ig_str value = ig_gateway_get(&work->asked, CONFIG[i].asked);
        if (!value.ptr && strcmp(CONFIG[i].asked, "max_tokens") == 0) value = tokens;
        if (!value.ptr && strcmp(CONFIG[i].asked, "n") == 0) value = IG_STR("1");
        if (value.ptr) ig_gateway_kv_raw(out, CONFIG[i].own, value);
    }
    bool shaped = ig_str_is(type, "json_schema");
    if (shaped) {
        if (ig_gateway_need_object(&schema, ig_gateway_get(&format, "json_schema"), work,
                                   "response_format.json_schema") != IG_OK)
            return work->err->code;
        ig_gateway_kv_raw(out, "responseJsonSchema", ig_gateway_get(&schema, "schema"));
    }
    if (shaped || ig_str_is(type, "json_object"))
        ig_json_out_kv_str(out, "responseMimeType", IG_STR("application/json"));
    ig_json_out_object_end(out);
    return IG_OK;
}

static enum ig_code write_tool_choice(struct ig_json_out *out, struct ig_gateway_work *work)
{
    struct ig_gateway_object choice, function;
    struct ig_str json = ig_gateway_get(&work->asked, "tool_choice"), name = {NULL, 0};
    struct ig_str word = ig_gateway_text(json, work->arena);
    if (!json.ptr || ig_str_is(word, "auto")) return IG_OK;
    if (!word.ptr) {
        if (ig_gateway_need_object(&choice, json, work, "tool_choice") != IG_OK ||
            ig_gateway_need_object(&function, ig_gateway_get(&choice, "function"), work,
                                   "tool_choice.function") != IG_OK)
            return work->err->code;
        name = ig_gateway_get_text(&function, "name", work->arena);
    }
    ig_json_out_key(out, IG_STR("toolConfig"));
    ig_json_out_object(out);
    ig_json_out_key(out, IG_STR("functionCallingConfig"));
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "mode", ig_str_is(word, "none") ? IG_STR("NONE") : IG_STR("ANY"));
    if (name.ptr) {
        ig_json_out_key(out, IG_STR("allowedFunctionNames"));
        ig_json_out_array(out);
        ig_json_out_str(out, name);
        ig_json_out_array_end(out);
    }
    ig_json_out_object_end(out);
    ig_json_out_object_end(out);
    return IG_OK;
}

static enum ig_code write_tools(struct ig_json_out *out, struct ig_gateway_work *work)
{
    struct ig_gateway_array tools;
    struct ig_gateway_object function;
    struct ig_str json = ig_gateway_get(&work->asked, "tools");
    if (!json.ptr) return IG_OK;
    if (ig_gateway_need_array(&tools, json, work, "tools") != IG_OK) return work->err->code;
    ig_json_out_key(out, IG_STR("tools"));
    ig_json_out_array(out);
    ig_json_out_object(out);
    ig_json_out_key(out, IG_STR("functionDeclarations"));
    ig_json_out_array(out);
    for (size_t i = 0; i < tools.count; i++) {
        if (ig_gateway_need_function(&function, tools.items[i], work) != IG_OK)
            return work->err->code;
        ig_json_out_object(out);
        ig_gateway_kv_raw(out, "name", ig_gateway_get(&function, "name"));
        if (ig_gateway_get(&function, "description").ptr)
            ig_gateway_kv_raw(out, "description", ig_gateway_get(&function, "description"));
        if (ig_gateway_get(&function, "parameters").ptr)
            ig_gateway_kv_raw(out, "parametersJsonSchema", ig_gateway_get(&function, "parameters"));
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
    ig_json_out_object_end(out);
    ig_json_out_array_end(out);
    return write_tool_choice(out, work);
}

static enum ig_code write_chat(struct ig_json_out *out, struct ig_gateway_work *work)
{
    ig_json_out_object(out);
    if (write_messages(out, work) != IG_OK || write_config(out, work) != IG_OK ||
        write_tools(out, work) != IG_OK)
        return work->err->code;
    ig_json_out_object_end(out);
    return IG_OK;
}

/* ---- answers ---- */

static const char *const COUNTED[] = {"promptTokenCount", "candidatesTokenCount", "totalTokenCount",
                                      "cachedContentTokenCount", NULL};

/* In small letters, but for the one that OpenAI has another word for. */
static struct ig_str finish_of(struct ig_str reason, struct ig_gateway_work *work)
{
    if (!reason.len) return (struct ig_str){NULL, 0};
    if (ig_str_is(reason, "MAX_TOKENS")) return IG_STR("length");
    char *text = ig_arena_cstr(work->scratch, reason);
    for (char *at = text; at && *at; at++)
        if (*at >= 'A' && *at <= 'Z') *at = (char)(*at | 0x20);
    return ig_str_view(text);
}

static struct ig_str signature_of(const struct ig_gateway_object *part,
                                  const struct ig_gateway_object *call)
{
    static const char *const NAMES[] = {"thoughtSignature", "thought_signature"};
    struct ig_str found = {NULL, 0};
    for (size_t i = 0; i < 2 && !found.ptr; i++) found = ig_gateway_get(part, NAMES[i]);
    for (size_t i = 0; i < 2 && !found.ptr; i++) found = ig_gateway_get(call, NAMES[i]);
    return found;
}

/* A call without an id gets one of what it says, so that its answer can name it. */
static void write_call_id(struct ig_json_out *out, const struct ig_gateway_object *call)
{
    struct ig_str id = ig_gateway_get(call, "id");
    struct ig_str name = ig_gateway_get(call, "name"), arguments = ig_gateway_get(call, "args");
    char hex[IG_SHA256_HEX], made[40];
    unsigned char digest[IG_SHA256_BYTES];
    struct ig_str key = {name.ptr ? name.ptr : "", name.len};
    if (id.ptr) {
        ig_gateway_kv_raw(out, "id", id);
        return;
    }
    ig_hmac_sha256(digest, key, arguments.ptr ? arguments : IG_STR("{}"));
    ig_hex(hex, digest, 16);
    snprintf(made, sizeof made, "call_%.32s", hex);
    ig_json_out_kv_str(out, "id", ig_str_view(made));
}

static enum ig_code write_answered_call(struct ig_json_out *out, struct ig_gateway_work *work,
                                        const struct ig_gateway_object *part, int64_t number)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_gateway_object call;
    if (ig_gateway_object_read(&call, ig_gateway_get(part, "functionCall"), work->scratch, &err) !=
        IG_OK)
        return ig_gateway_odd(work, "functionCall");
    struct ig_str arguments = ig_gateway_get(&call, "args"), signature = signature_of(part, &call);
    ig_json_out_object(out);
    if (work->streams) ig_json_out_kv_i64(out, "index", number);
    write_call_id(out, &call);
    ig_json_out_kv_str(out, "type", IG_STR("function"));
    ig_json_out_key(out, IG_STR("function"));
    ig_json_out_object(out);
    ig_gateway_kv_raw(out, "name", ig_gateway_get(&call, "name"));
    ig_json_out_kv_str(out, "arguments", arguments.ptr ? arguments : IG_STR("{}"));
    ig_json_out_object_end(out);
    if (signature.ptr) ig_gateway_kv_raw(out, "thought_signature", signature);
    ig_json_out_object_end(out);
    return IG_OK;
}

/* What a candidate says. */
struct said {
    struct ig_gateway_object *parts;
    size_t parts_count, calls;
    struct ig_buf text;
};

static enum ig_code read_parts(struct said *said, struct ig_gateway_work *work,
                               const struct ig_gateway_object *candidate)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_gateway_object content = {NULL, 0};
    struct ig_gateway_array list = {NULL, 0};
    struct ig_str json = ig_gateway_get(candidate, "content");
    if (json.ptr && ig_gateway_object_read(&content, json, work->scratch, &err) != IG_OK)
        return ig_gateway_odd(work, "content");
    json = ig_gateway_get(&content, "parts");
    if (json.ptr && ig_gateway_array_read(&list, json, work->scratch, &err) != IG_OK)
        return ig_gateway_odd(work, "parts");
    said->parts = ig_arena_array(work->scratch, list.count ? list.count : 1, sizeof *said->parts);
    if (!said->parts) return ig_fail(work->err, IG_NO_MEMORY, "an answer of Gemini's");
    said->parts_count = list.count;
    for (size_t i = 0; i < list.count; i++) {
        if (ig_gateway_object_read(&said->parts[i], list.items[i], work->scratch, &err) != IG_OK)
            return ig_gateway_odd(work, "parts");
        struct ig_str text = ig_gateway_get_text(&said->parts[i], "text", work->scratch);
        said->calls += ig_gateway_get(&said->parts[i], "functionCall").ptr != NULL;
        if (text.ptr) ig_buf_add_str(&said->text, text);
    }
    if (said->text.overflowed) return ig_fail(work->err, IG_NO_MEMORY, "an answer of Gemini's");
    return IG_OK;
}

/* How many calls of tools the stream has had of a candidate. */
static int64_t *calls_of(struct ig_gateway_work *work, int64_t index)
{
    int64_t last = IG_GATEWAY_CALLS_OF_STREAM_MAX - 1;
    return &work->calls[index < last ? index : last];
}

static enum ig_code write_calls(struct ig_json_out *out, struct ig_gateway_work *work,
                                const struct said *said, int64_t index)
{
    int64_t *number = calls_of(work, index);
    ig_json_out_key(out, IG_STR("tool_calls"));
    if (!said->calls) {
        ig_json_out_null(out);
        return IG_OK;
    }
    ig_json_out_array(out);
    for (size_t i = 0; i < said->parts_count; i++)
        if (ig_gateway_get(&said->parts[i], "functionCall").ptr &&
            write_answered_call(out, work, &said->parts[i], (*number)++) != IG_OK)
            return work->err->code;
    ig_json_out_array_end(out);
    return IG_OK;
}

static enum ig_code write_candidate(struct ig_json_out *out, struct ig_gateway_work *work,
                                    struct said *said, const struct ig_gateway_object *candidate,
                                    int64_t index)
{
    struct ig_str text = {NULL, 0},
                  reason = ig_gateway_get_text(candidate, "finishReason", work->scratch);
    if (read_parts(said, work, candidate) != IG_OK) return work->err->code;
    if (!work->streams && !said->calls && !said->text.len) return IG_OK;
    if (!work->streams && !reason.ptr) reason = IG_STR("STOP");
    struct ig_str finish = finish_of(reason, work);
    bool called = said->calls || (work->streams && *calls_of(work, index));
    if (called && ig_str_is(finish, "stop")) finish = IG_STR("tool_calls");
    if (said->text.len || !said->calls)
        text = said->text.len ? ig_buf_view(&said->text) : IG_STR("");
    ig_gateway_open_choice(out, index, finish, work->streams);
    ig_json_out_kv_str(out, "role", IG_STR("assistant"));
    ig_gateway_kv_text(out, "content", text);
    if (write_calls(out, work, said, index) != IG_OK) return work->err->code;
    if (!work->streams) ig_gateway_kv_text(out, "refusal", (struct ig_str){NULL, 0});
    ig_json_out_object_end(out);
    ig_json_out_object_end(out);
    return IG_OK;
}

static enum ig_code write_candidates(struct ig_json_out *out, struct ig_gateway_work *work,
                                     const struct ig_gateway_array *candidates)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_gateway_object candidate;
    for (size_t i = 0; i < candidates->count; i++) {
        struct said said = {0};
        if (ig_gateway_object_read(&candidate, candidates->items[i], work->scratch, &err) != IG_OK)
            return ig_gateway_odd(work, "candidates");
        int64_t index = work->streams ? ig_gateway_get_count(&candidate, "index") : -1;
        ig_buf_init(&said.text, IG_GATEWAY_ANSWER_MAX);
        write_candidate(out, work, &said, &candidate, index < 0 ? (int64_t)i : index);
        ig_buf_deinit(&said.text);
        if (work->err->code != IG_OK) break;
    }
    return work->err->code;
}

static enum ig_code write_answer(struct ig_json_out *out, struct ig_gateway_work *work,
                                 const struct ig_gateway_object *reply)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_gateway_array candidates = {NULL, 0};
    struct ig_gateway_object usage = {NULL, 0};
    struct ig_str told = ig_gateway_get(reply, "candidates");
    struct ig_str counts = ig_gateway_get(reply, "usageMetadata");
    int64_t now_s = ig_clock_unix_ms() / 1000;
    char id[48];
    if (told.ptr && ig_gateway_array_read(&candidates, told, work->scratch, &err) != IG_OK)
        return ig_gateway_odd(work, "candidates");
    if (counts.ptr && ig_gateway_object_read(&usage, counts, work->scratch, &err) != IG_OK)
        return ig_gateway_odd(work, "usageMetadata");
    snprintf(id, sizeof id, work->streams ? "gemini-chat-stream-%lld" : "gemini-chat-%lld",
             (long long)now_s);
    const struct ig_gateway_head head = {
        .id = ig_str_view(id), .model = work->model, .created = now_s, .streams = work->streams};
    ig_gateway_write_head(out, &head);
    if (write_candidates(out, work, &candidates) != IG_OK) return work->err->code;
    ig_gateway_write_foot(out, work, counts.ptr || !work->streams ? &usage : NULL, COUNTED);
    return IG_OK;
}

static enum ig_code write_event(struct ig_json_out *out, bool *told, struct ig_gateway_work *work,
                                const struct ig_gateway_object *event)
{
    *told = true;
    return write_answer(out, work, event);
}

/* ---- embeddings ---- */

static void write_content(struct ig_json_out *out, struct ig_str text)
{
    ig_json_out_key(out, IG_STR("content"));
    ig_json_out_object(out);
    ig_json_out_key(out, IG_STR("parts"));
    ig_json_out_array(out);
    write_text_part(out, text);
    close_content(out);
}

/* One text, or several as a batch, which has another path. */
static enum ig_code write_embeddings(struct ig_json_out *out, struct ig_gateway_work *work)
{
    struct ig_gateway_array texts;
    struct ig_str input = ig_gateway_get(&work->asked, "input");
    if (ig_gateway_is_text(input))
        texts = (struct ig_gateway_array){&input, 1};
    else if (ig_gateway_need_array(&texts, input, work, "input") != IG_OK)
        return work->err->code;
    for (size_t i = 0; i < texts.count; i++)
        if (!ig_gateway_is_text(texts.items[i]))
            return ig_gateway_refuse(work, 422, "input: Gemini takes texts, no tokens");
    bool batch = work->batch = texts.count != 1;
    const char *name = ig_arena_printf(work->arena, "models/%.*s", IG_STR_ARGS(work->model));
    if (!name) return ig_fail(work->err, IG_NO_MEMORY, "a call of a language model");
    ig_json_out_object(out);
    if (batch) {
        ig_json_out_key(out, IG_STR("requests"));
        ig_json_out_array(out);
    }
    for (size_t i = 0; i < texts.count; i++) {
        if (batch) {
            ig_json_out_object(out);
            ig_json_out_kv_str(out, "model", ig_str_view(name));
        }
        write_content(out, texts.items[i]);
        if (batch) ig_json_out_object_end(out);
    }
    if (batch) ig_json_out_array_end(out);
    ig_json_out_object_end(out);
    return IG_OK;
}

static enum ig_code write_vectors(struct ig_json_out *out, struct ig_gateway_work *work,
                                  const struct ig_gateway_object *reply)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_gateway_array list;
    struct ig_gateway_object item;
    struct ig_str one = ig_gateway_get(reply, "embedding");
    struct ig_str several = ig_gateway_get(reply, "embeddings");
    if (one.ptr && !several.ptr)
        list = (struct ig_gateway_array){&one, 1};
    else if (!several.ptr || ig_gateway_array_read(&list, several, work->scratch, &err) != IG_OK)
        return ig_gateway_odd(work, "embeddings");
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "object", IG_STR("list"));
    ig_json_out_key(out, IG_STR("data"));
    ig_json_out_array(out);
    for (size_t i = 0; i < list.count; i++) {
        if (ig_gateway_object_read(&item, list.items[i], work->scratch, &err) != IG_OK ||
            !ig_gateway_get(&item, "values").ptr)
            return ig_gateway_odd(work, "values");
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "object", IG_STR("embedding"));
        ig_gateway_kv_raw(out, "embedding", ig_gateway_get(&item, "values"));
        ig_json_out_kv_i64(out, "index", (int64_t)i);
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
    ig_json_out_kv_str(out, "model", work->model);
    ig_json_out_key(out, IG_STR("usage"));
    ig_json_out_raw(out, IG_STR("{\"prompt_tokens\":null,\"total_tokens\":null}"));
    ig_json_out_object_end(out);
    return IG_OK;
}

const struct ig_gateway_form IG_GATEWAY_FORM_GEMINI = {.chat_path = ":generateContent",
                                                       .stream_path =
                                                           ":streamGenerateContent?alt=sse",
                                                       .embeddings_path = ":embedContent",
                                                       .chat = write_chat,
                                                       .answer = write_answer,
                                                       .event = write_event,
                                                       .embeddings = write_embeddings,
                                                       .vectors = write_vectors};
