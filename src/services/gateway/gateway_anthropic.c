/* SPDX-License-Identifier: Apache-2.0 */
/* Chats in the form of Anthropic's Messages API
 * (https://docs.anthropic.com/en/api/messages), by the rules of MLflow's gateway. */
#include "services/gateway/gateway_work.h"

#include "base/clock.h"

enum { TOKENS_DEFAULT = 8192, TOKENS_MAX = 1000000, SCHEMA_DEPTH_MAX = 64 };
#define JSON_ONLY                                                                                  \
    "Respond with only a single valid JSON object. Do not include any explanatory text, markdown," \
    " or code fences before or after the JSON object."

static enum ig_code wrong(struct ig_gateway_work *work, const char *what)
{
    return ig_gateway_refuse(work, 422, "%s", what);
}

static enum ig_code no_memory(struct ig_gateway_work *work)
{
    return ig_fail(work->err, IG_NO_MEMORY, "a call of a language model");
}

/* ---- requests ---- */

static enum ig_code write_limit(struct ig_json_out *out, struct ig_gateway_work *work)
{
    int64_t tokens = ig_gateway_get_count(&work->asked, "max_tokens");
    if (tokens <= 0) tokens = ig_gateway_get_count(&work->asked, "max_completion_tokens");
    if (tokens <= 0) tokens = TOKENS_DEFAULT;
    if (tokens > TOKENS_MAX)
        return ig_gateway_refuse(work, 422, "Invalid value for max_tokens: cannot exceed %d.",
                                 TOKENS_MAX);
    ig_json_out_kv_i64(out, "max_tokens", tokens);
    return IG_OK;
}

/* Parts of a message: images that come as data are Anthropic's own, others a note. */
static enum ig_code write_part(struct ig_json_out *out, struct ig_gateway_work *work,
                               struct ig_str json)
{
    struct ig_gateway_object part, image;
    struct ig_str type, data, url;
    if (ig_gateway_need_object(&part, json, work, "A part of a message") != IG_OK)
        return work->err->code;
    if (!ig_str_is(ig_gateway_get_text(&part, "type", work->arena), "image_url")) {
        ig_json_out_raw(out, json);
        return IG_OK;
    }
    if (ig_gateway_need_object(&image, ig_gateway_get(&part, "image_url"), work, "image_url") !=
        IG_OK)
        return work->err->code;
    url = ig_gateway_get_text(&image, "url", work->arena);
    ig_json_out_object(out);
    if (!ig_gateway_data_url(&type, &data, url)) {
        const char *note =
            ig_arena_printf(work->arena, "[unsupported image reference: %.*s]",
                            (int)(url.len > 4096 ? 4096 : url.len), url.ptr ? url.ptr : "");
        ig_json_out_kv_str(out, "type", IG_STR("text"));
        ig_json_out_kv_str(out, "text", ig_str_view(note ? note : ""));
        ig_json_out_object_end(out);
        return note ? IG_OK : no_memory(work);
    }
    ig_json_out_kv_str(out, "type", IG_STR("image"));
    ig_json_out_key(out, IG_STR("source"));
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "type", IG_STR("base64"));
    ig_json_out_kv_str(out, "media_type", type);
    ig_json_out_kv_str(out, "data", data);
    ig_json_out_object_end(out);
    ig_json_out_object_end(out);
    return IG_OK;
}

static enum ig_code write_content(struct ig_json_out *out, struct ig_gateway_work *work,
                                  struct ig_str content)
{
    struct ig_gateway_array parts;
    ig_json_out_key(out, IG_STR("content"));
    if (!content.len || content.ptr[0] != '[') {
        ig_json_out_raw(out, content.ptr ? content : IG_STR("\"\""));
        return IG_OK;
    }
    if (ig_gateway_need_array(&parts, content, work, "content") != IG_OK) return work->err->code;
    ig_json_out_array(out);
    for (size_t i = 0; i < parts.count; i++)
        if (write_part(out, work, parts.items[i]) != IG_OK) return work->err->code;
    ig_json_out_array_end(out);
    return IG_OK;
}

static enum ig_code write_tool_use(struct ig_json_out *out, struct ig_gateway_work *work,
                                   struct ig_str json)
{
    struct ig_gateway_tool_call use;
    if (ig_gateway_need_call(&use, json, work) != IG_OK) return work->err->code;
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "type", IG_STR("tool_use"));
    ig_gateway_kv_raw(out, "id", ig_gateway_get(&use.call, "id"));
    ig_gateway_kv_raw(out, "name", use.name);
    ig_gateway_kv_raw(out, "input", use.arguments);
    ig_json_out_object_end(out);
    return IG_OK;
}

static enum ig_code write_tool_uses(struct ig_json_out *out, struct ig_gateway_work *work,
                                    struct ig_str json)
{
    struct ig_gateway_array calls;
    if (ig_gateway_need_array(&calls, json, work, "tool_calls") != IG_OK) return work->err->code;
    ig_json_out_key(out, IG_STR("content"));
    ig_json_out_array(out);
    for (size_t i = 0; i < calls.count; i++)
        if (write_tool_use(out, work, calls.items[i]) != IG_OK) return work->err->code;
    ig_json_out_array_end(out);
    return IG_OK;
}

static void write_tool_result(struct ig_json_out *out, const struct ig_gateway_object *message)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "role", IG_STR("user"));
    ig_json_out_key(out, IG_STR("content"));
    ig_json_out_array(out);
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "type", IG_STR("tool_result"));
    ig_gateway_kv_raw(out, "tool_use_id", ig_gateway_get(message, "tool_call_id"));
    ig_gateway_kv_raw(out, "content", ig_gateway_get(message, "content"));
    ig_json_out_object_end(out);
    ig_json_out_array_end(out);
    ig_json_out_object_end(out);
}

/* User, assistant and tool; what has another role is left out, as MLflow does. */
static enum ig_code write_message(struct ig_json_out *out, struct ig_gateway_work *work,
                                  const struct ig_gateway_object *message)
{
    static const char *const BUT[] = {"content", "tool_calls", NULL};
    struct ig_str role = ig_gateway_get_text(message, "role", work->arena);
    struct ig_str calls = ig_gateway_get(message, "tool_calls");
    bool assistant = ig_str_is(role, "assistant");
    if (ig_str_is(role, "tool")) write_tool_result(out, message);
    if (!assistant && !ig_str_is(role, "user")) return IG_OK;
    ig_json_out_object(out);
    ig_gateway_write_rest(out, message, BUT);
    if ((assistant && calls.ptr
             ? write_tool_uses(out, work, calls)
             : write_content(out, work, ig_gateway_get(message, "content"))) != IG_OK)
        return work->err->code;
    ig_json_out_object_end(out);
    return IG_OK;
}

/* Texts of all system messages, and the wish for JSON, by line. */
static enum ig_code write_system(struct ig_json_out *out, struct ig_gateway_work *work,
                                 const struct ig_gateway_array *messages, bool json_only)
{
    struct ig_gateway_object message;
    struct ig_buf text;
    bool any = json_only;
    ig_buf_init(&text, IG_GATEWAY_REQUEST_MAX);
    for (size_t i = 0; i < messages->count && work->err->code == IG_OK; i++) {
        if (ig_gateway_need_object(&message, messages->items[i], work, "A message") != IG_OK) break;
        if (!ig_str_is(ig_gateway_get_text(&message, "role", work->arena), "system")) continue;
        struct ig_str content = ig_gateway_get_text(&message, "content", work->arena);
        if (!content.ptr) wrong(work, "The content of a system message is not a text");
        if (text.len) ig_buf_add_char(&text, '\n');
        ig_buf_add_str(&text, content);
        any = true;
    }
    if (json_only) ig_buf_add_cstr(&text, text.len ? "\n" JSON_ONLY : JSON_ONLY);
    if (any && work->err->code == IG_OK) ig_json_out_kv_str(out, "system", ig_buf_view(&text));
    if (text.overflowed) no_memory(work);
    ig_buf_deinit(&text);
    return work->err->code;
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
    for (size_t i = 0; i < tools.count; i++) {
        if (ig_gateway_need_function(&function, tools.items[i], work) != IG_OK)
            return work->err->code;
        struct ig_str parameters = ig_gateway_get(&function, "parameters");
        ig_json_out_object(out);
        ig_gateway_kv_raw(out, "name", ig_gateway_get(&function, "name"));
        if (ig_gateway_get(&function, "description").ptr)
            ig_gateway_kv_raw(out, "description", ig_gateway_get(&function, "description"));
        ig_gateway_kv_raw(out, "input_schema",
                          parameters.ptr ? parameters : IG_STR("{\"type\":\"object\"}"));
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
    return IG_OK;
}

static enum ig_code write_tool_choice(struct ig_json_out *out, struct ig_gateway_work *work)
{
    static const char *const WORDS[][2] = {{"none", "none"}, {"auto", "auto"}, {"required", "any"}};
    struct ig_gateway_object choice, function;
    struct ig_str json = ig_gateway_get(&work->asked, "tool_choice");
    struct ig_str word = ig_gateway_text(json, work->arena), name = {NULL, 0};
    const char *type = NULL;
    if (!json.ptr) return IG_OK;
    for (size_t i = 0; i < sizeof WORDS / sizeof WORDS[0]; i++)
        if (ig_str_is(word, WORDS[i][0])) type = WORDS[i][1];
    if (!type) {
        if (ig_gateway_need_object(&choice, json, work, "tool_choice") != IG_OK ||
            ig_gateway_need_object(&function, ig_gateway_get(&choice, "function"), work,
                                   "tool_choice.function") != IG_OK)
            return work->err->code;
        type = "tool";
        name = ig_gateway_get_text(&function, "name", work->arena);
    }
    ig_json_out_key(out, IG_STR("tool_choice"));
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "type", ig_str_view(type));
    if (name.ptr) ig_json_out_kv_str(out, "name", name);
    ig_json_out_object_end(out);
    return IG_OK;
}

/* An object or a list of a schema that is being written. */
struct level {
    struct ig_gateway_object object;
    struct ig_gateway_array list;
    size_t at;
    bool is_list, closed;
};

static bool open_level(struct level *level, struct ig_json_out *out, struct ig_str json,
                       struct ig_arena *arena)
{
    struct ig_err err = IG_ERR_INIT;
    *level = (struct level){.is_list = json.ptr[0] == '['};
    if (level->is_list) {
        ig_json_out_array(out);
        return ig_gateway_array_read(&level->list, json, arena, &err) == IG_OK;
    }
    ig_json_out_object(out);
    if (ig_gateway_object_read(&level->object, json, arena, &err) != IG_OK) return false;
    level->closed = ig_str_is(ig_gateway_get_text(&level->object, "type", arena), "object");
    return !level->closed || ig_gateway_get(&level->object, "properties").ptr;
}

static void close_level(const struct level *level, struct ig_json_out *out)
{
    if (level->closed) ig_json_out_kv_bool(out, "additionalProperties", false);
    if (level->is_list)
        ig_json_out_array_end(out);
    else
        ig_json_out_object_end(out);
}

/* The next value of a level, its name written; ptr NULL at the end. */
static struct ig_str next_value(struct level *level, struct ig_json_out *out)
{
    if (level->is_list)
        return level->at < level->list.count ? level->list.items[level->at++]
                                             : (struct ig_str){NULL, 0};
    while (level->at < level->object.count) {
        const struct ig_gateway_member *item = &level->object.items[level->at++];
        if (level->closed && ig_str_is(item->name, "additionalProperties")) continue;
        ig_json_out_key(out, item->name);
        return item->value;
    }
    return (struct ig_str){NULL, 0};
}

/* Closed at every object, as Anthropic wants schemas. False: an object has no properties, so that
 * it cannot be (or it is nested too deeply): the model answers as it likes, as with MLflow. */
static bool write_schema(struct ig_json_out *out, struct ig_str schema, struct ig_arena *arena)
{
    struct level levels[SCHEMA_DEPTH_MAX];
    size_t depth = 0;
    if (!schema.len || schema.ptr[0] != '{') return false;
    if (!open_level(&levels[depth++], out, schema, arena)) return false;
    while (depth) {
        struct ig_str value = next_value(&levels[depth - 1], out);
        if (!value.ptr) {
            close_level(&levels[--depth], out);
        } else if (value.ptr[0] != '{' && value.ptr[0] != '[') {
            ig_json_out_raw(out, value);
        } else if (depth == SCHEMA_DEPTH_MAX || !open_level(&levels[depth++], out, value, arena)) {
            return false;
        }
    }
    return true;
}

static enum ig_code write_format(struct ig_json_out *out, struct ig_gateway_work *work,
                                 const struct ig_gateway_object *format)
{
    struct ig_gateway_object wrapped;
    struct ig_json_out inner;
    struct ig_buf schema;
    if (ig_gateway_need_object(&wrapped, ig_gateway_get(format, "json_schema"), work,
                               "response_format.json_schema") != IG_OK)
        return work->err->code;
    ig_buf_init(&schema, IG_GATEWAY_REQUEST_MAX);
    ig_json_out_init(&inner, &schema);
    if (write_schema(&inner, ig_gateway_get(&wrapped, "schema"), work->arena) &&
        !schema.overflowed) {
        ig_json_out_key(out, IG_STR("output_config"));
        ig_json_out_object(out);
        ig_json_out_key(out, IG_STR("format"));
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "type", IG_STR("json_schema"));
        ig_gateway_kv_raw(out, "schema", ig_buf_view(&schema));
        ig_json_out_object_end(out);
        ig_json_out_object_end(out);
    }
    ig_buf_deinit(&schema);
    return IG_OK;
}

static enum ig_code check(struct ig_gateway_work *work)
{
    int64_t n = ig_gateway_get_count(&work->asked, "n");
    if (ig_gateway_get(&work->asked, "top_p").ptr &&
        ig_gateway_get(&work->asked, "temperature").ptr)
        return wrong(work, "Cannot set both 'temperature' and 'top_p' parameters.");
    if (ig_gateway_get(&work->asked, "n").ptr && n != 1)
        return ig_gateway_refuse(
            work, 422, "'n' must be '1' for the Anthropic provider. Received value: '%lld'.",
            (long long)n);
    return IG_OK;
}

static enum ig_code write_messages(struct ig_json_out *out, struct ig_gateway_work *work,
                                   bool json_only)
{
    struct ig_gateway_array messages;
    struct ig_gateway_object message;
    if (ig_gateway_need_array(&messages, ig_gateway_get(&work->asked, "messages"), work,
                              "messages") != IG_OK ||
        write_system(out, work, &messages, json_only) != IG_OK)
        return work->err->code;
    ig_json_out_key(out, IG_STR("messages"));
    ig_json_out_array(out);
    for (size_t i = 0; i < messages.count; i++)
        if (ig_gateway_need_object(&message, messages.items[i], work, "A message") != IG_OK ||
            write_message(out, work, &message) != IG_OK)
            return work->err->code;
    ig_json_out_array_end(out);
    return IG_OK;
}

static enum ig_code write_chat(struct ig_json_out *out, struct ig_gateway_work *work)
{
    static const char *const BUT[] = {"model",           "stop",
                                      "max_tokens",      "n",
                                      "messages",        "max_completion_tokens",
                                      "temperature",     "tools",
                                      "tool_choice",     "stream_options",
                                      "response_format", NULL};
    struct ig_gateway_object format = {NULL, 0};
    struct ig_str wanted = ig_gateway_get(&work->asked, "response_format"), type;
    struct ig_str stop = ig_gateway_get(&work->asked, "stop");
    struct ig_str warmth = ig_gateway_get(&work->asked, "temperature");
    double temperature;
    if (check(work) != IG_OK ||
        (wanted.ptr && ig_gateway_need_object(&format, wanted, work, "response_format") != IG_OK))
        return work->err->code;
    type = ig_gateway_get_text(&format, "type", work->arena);
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "model", work->model);
    ig_gateway_write_rest(out, &work->asked, BUT);
    if (stop.ptr) ig_gateway_kv_raw(out, "stop_sequences", stop);
    /* Anthropic's goes to 1, OpenAI's to 2. */
    if (warmth.ptr && ig_str_to_f64(warmth, &temperature))
        ig_json_out_kv_f64(out, "temperature", 0.5 * temperature);
    if (write_limit(out, work) != IG_OK ||
        write_messages(out, work, ig_str_is(type, "json_object")) != IG_OK ||
        write_tools(out, work) != IG_OK || write_tool_choice(out, work) != IG_OK ||
        (ig_str_is(type, "json_schema") && write_format(out, work, &format) != IG_OK))
        return work->err->code;
    ig_json_out_object_end(out);
    return IG_OK;
}

/* ---- answers ---- */

static const char *const COUNTED[] = {"input_tokens", "output_tokens", "cache_read_input_tokens",
                                      "cache_creation_input_tokens", NULL};

static struct ig_str finish_of(struct ig_str reason)
{
    if (!reason.ptr) return reason;
    if (ig_str_is(reason, "max_tokens")) return IG_STR("length");
    return ig_str_is(reason, "tool_use") ? IG_STR("tool_calls") : IG_STR("stop");
}

static void write_call(struct ig_json_out *out, const struct ig_gateway_object *block)
{
    struct ig_str input = ig_gateway_get(block, "input");
    ig_json_out_object(out);
    ig_gateway_kv_raw(out, "id", ig_gateway_get(block, "id"));
    ig_json_out_kv_str(out, "type", IG_STR("function"));
    ig_json_out_key(out, IG_STR("function"));
    ig_json_out_object(out);
    ig_gateway_kv_raw(out, "name", ig_gateway_get(block, "name"));
    ig_json_out_kv_str(out, "arguments", input.ptr ? input : IG_STR("{}"));
    ig_json_out_object_end(out);
    ig_json_out_object_end(out);
}

/* Texts and thoughts of all blocks as one, then what tools are asked for. */
static enum ig_code write_blocks(struct ig_json_out *out, struct ig_gateway_work *work,
                                 const struct ig_gateway_array *blocks)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_gateway_object block;
    struct ig_buf text;
    size_t calls = 0;
    ig_buf_init(&text, IG_GATEWAY_ANSWER_MAX);
    for (size_t i = 0; i < blocks->count; i++) {
        if (ig_gateway_object_read(&block, blocks->items[i], work->scratch, &err) != IG_OK) break;
        struct ig_str type = ig_gateway_get_text(&block, "type", work->scratch);
        calls += ig_str_is(type, "tool_use");
        if (ig_str_is(type, "text") || ig_str_is(type, "thinking"))
            ig_buf_add_str(&text, ig_gateway_get_text(&block,
                                                      ig_str_is(type, "text") ? "text" : "thinking",
                                                      work->scratch));
    }
    ig_gateway_kv_text(out, "content", text.len ? ig_buf_view(&text) : (struct ig_str){NULL, 0});
    bool overflowed = text.overflowed;
    ig_buf_deinit(&text);
    if (overflowed || err.code == IG_NO_MEMORY) return no_memory(work);
    if (err.code != IG_OK) return ig_gateway_odd(work, "content");
    ig_json_out_key(out, IG_STR("tool_calls"));
    if (!calls) {
        ig_json_out_null(out);
        return IG_OK;
    }
    ig_json_out_array(out);
    for (size_t i = 0; i < blocks->count; i++)
        if (ig_gateway_object_read(&block, blocks->items[i], work->scratch, &err) == IG_OK &&
            ig_str_is(ig_gateway_get_text(&block, "type", work->scratch), "tool_use"))
            write_call(out, &block);
    ig_json_out_array_end(out);
    return IG_OK;
}

static enum ig_code write_answer(struct ig_json_out *out, struct ig_gateway_work *work,
                                 const struct ig_gateway_object *reply)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_gateway_array blocks;
    struct ig_gateway_object usage = {NULL, 0};
    struct ig_str content = ig_gateway_get(reply, "content"), told = ig_gateway_get(reply, "usage");
    struct ig_str model = ig_gateway_get_text(reply, "model", work->scratch);
    if (!content.ptr || ig_gateway_array_read(&blocks, content, work->scratch, &err) != IG_OK)
        return ig_gateway_odd(work, "content");
    if (told.ptr && ig_gateway_object_read(&usage, told, work->scratch, &err) != IG_OK)
        return ig_gateway_odd(work, "usage");
    const struct ig_gateway_head head = {.id = ig_gateway_get_text(reply, "id", work->scratch),
                                         .model = model.ptr ? model : work->model,
                                         .created = ig_clock_unix_ms() / 1000};
    ig_gateway_write_head(out, &head);
    ig_gateway_open_choice(
        out, 0, finish_of(ig_gateway_get_text(reply, "stop_reason", work->scratch)), false);
    ig_gateway_kv_raw(out, "role", ig_gateway_get(reply, "role"));
    if (write_blocks(out, work, &blocks) != IG_OK) return work->err->code;
    ig_json_out_key(out, IG_STR("refusal"));
    ig_json_out_null(out);
    ig_json_out_object_end(out);
    ig_json_out_object_end(out);
    ig_gateway_write_foot(out, work, &usage, COUNTED);
    return IG_OK;
}

/* ---- streams ---- */

static enum ig_code begin(struct ig_gateway_work *work, const struct ig_gateway_object *event)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_gateway_object message;
    struct ig_str json = ig_gateway_get(event, "message");
    if (!json.ptr || ig_gateway_object_read(&message, json, work->scratch, &err) != IG_OK)
        return ig_gateway_odd(work, "message");
    struct ig_str id = ig_gateway_get_text(&message, "id", work->scratch);
    struct ig_str model = ig_gateway_get_text(&message, "model", work->scratch);
    if (id.ptr) work->id = ig_arena_dup(work->arena, id);
    if (model.ptr) work->answering = ig_arena_dup(work->arena, model);
    return IG_OK;
}

/* Which of the stream's tool calls a block is; a new one when it opens one. */
static int64_t call_number(struct ig_gateway_work *work, int64_t block, bool opens)
{
    for (size_t i = 0; i < work->calls_count; i++)
        if (work->calls[i] == block) return (int64_t)i;
    if (!opens || work->calls_count == IG_GATEWAY_CALLS_OF_STREAM_MAX) return 0;
    work->calls[work->calls_count] = block;
    return (int64_t)work->calls_count++;
}

static void write_call_delta(struct ig_json_out *out, const struct ig_gateway_object *content,
                             int64_t number, bool opens)
{
    struct ig_str none = {NULL, 0};
    ig_json_out_key(out, IG_STR("tool_calls"));
    ig_json_out_array(out);
    ig_json_out_object(out);
    ig_json_out_kv_i64(out, "index", number);
    ig_gateway_kv_raw(out, "id", opens ? ig_gateway_get(content, "id") : none);
    ig_gateway_kv_text(out, "type", opens ? IG_STR("function") : none);
    ig_json_out_key(out, IG_STR("function"));
    ig_json_out_object(out);
    ig_gateway_kv_raw(out, "name", opens ? ig_gateway_get(content, "name") : none);
    ig_gateway_kv_raw(out, "arguments", opens ? none : ig_gateway_get(content, "partial_json"));
    ig_json_out_object_end(out);
    ig_json_out_object_end(out);
    ig_json_out_array_end(out);
}

static enum ig_code write_event(struct ig_json_out *out, bool *told, struct ig_gateway_work *work,
                                const struct ig_gateway_object *event)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_gateway_object content = {NULL, 0}, usage = {NULL, 0};
    struct ig_str none = {NULL, 0}, type = ig_gateway_get_text(event, "type", work->scratch);
    bool ends = ig_str_is(type, "message_delta"), starts = ig_str_is(type, "content_block_start");
    *told = false;
    if (ig_str_is(type, "message_start")) return begin(work, event);
    if (!ends && !starts && !ig_str_is(type, "content_block_delta")) return IG_OK;
    struct ig_str json = ig_gateway_get(event, starts ? "content_block" : "delta");
    if (json.ptr && ig_gateway_object_read(&content, json, work->scratch, &err) != IG_OK)
        return ig_gateway_odd(work, starts ? "content_block" : "delta");
    struct ig_str kind = ig_gateway_get_text(&content, "type", work->scratch);
    bool opens = starts && ig_str_is(kind, "tool_use");
    const struct ig_gateway_head head = {.id = work->id,
                                         .model =
                                             work->answering.ptr ? work->answering : work->model,
                                         .created = ig_clock_unix_ms() / 1000,
                                         .streams = true};
    ig_gateway_write_head(out, &head);
    ig_gateway_open_choice(
        out, 0, finish_of(ig_gateway_get_text(&content, "stop_reason", work->scratch)), true);
    ig_gateway_kv_text(out, "role", none);
    bool is_call = opens || ig_str_is(kind, "input_json_delta");
    ig_gateway_kv_raw(out, "content", is_call ? none : ig_gateway_get(&content, "text"));
    if (is_call)
        write_call_delta(out, &content,
                         call_number(work, ig_gateway_get_count(event, "index"), opens), opens);
    else
        ig_gateway_kv_raw(out, "tool_calls", none);
    ig_json_out_object_end(out);
    ig_json_out_object_end(out);
    json = ig_gateway_get(event, "usage");
    if (json.ptr) ig_gateway_object_read(&usage, json, work->scratch, &err);
    ig_gateway_write_foot(out, work, ends ? &usage : NULL, COUNTED);
    *told = true;
    return IG_OK;
}

const struct ig_gateway_form IG_GATEWAY_FORM_ANTHROPIC = {.chat_path = "/messages",
                                                          .stream_path = "/messages",
                                                          .chat = write_chat,
                                                          .answer = write_answer,
                                                          .event = write_event};
