/* SPDX-License-Identifier: Apache-2.0 */
/* What the forms of providers share: answers in OpenAI's form, and counts of tokens in the words of
 * any. Pure. */
#include "services/gateway/gateway_work.h"

enum ig_code ig_gateway_need_object(struct ig_gateway_object *out, struct ig_str json,
                                    struct ig_gateway_work *work, const char *what)
{
    struct ig_err err = IG_ERR_INIT;
    if (json.ptr && ig_gateway_object_read(out, json, work->arena, &err) == IG_OK) return IG_OK;
    return ig_gateway_refuse(work, 422, "%s is not an object", what);
}

enum ig_code ig_gateway_need_array(struct ig_gateway_array *out, struct ig_str json,
                                   struct ig_gateway_work *work, const char *what)
{
    struct ig_err err = IG_ERR_INIT;
    if (json.ptr && ig_gateway_array_read(out, json, work->arena, &err) == IG_OK) return IG_OK;
    return ig_gateway_refuse(work, 422, "%s is not a list", what);
}

enum ig_code ig_gateway_need_function(struct ig_gateway_object *out, struct ig_str json,
                                      struct ig_gateway_work *work)
{
    struct ig_gateway_object tool;
    if (ig_gateway_need_object(&tool, json, work, "A tool") != IG_OK) return work->err->code;
    struct ig_str type = ig_gateway_get_text(&tool, "type", work->arena);
    if (!ig_str_is(type, "function"))
        return ig_gateway_refuse(work, 422,
                                 "Only function calling tool is supported, but received tool type "
                                 "%.*s",
                                 (int)(type.len > 64 ? 64 : type.len), type.ptr ? type.ptr : "");
    return ig_gateway_need_object(out, ig_gateway_get(&tool, "function"), work,
                                  "A tool's function");
}

enum ig_code ig_gateway_need_call(struct ig_gateway_tool_call *out, struct ig_str json,
                                  struct ig_gateway_work *work)
{
    struct ig_gateway_object function, arguments;
    if (ig_gateway_need_object(&out->call, json, work, "A tool call") != IG_OK ||
        ig_gateway_need_object(&function, ig_gateway_get(&out->call, "function"), work,
                               "A tool call's function") != IG_OK)
        return work->err->code;
    out->name = ig_gateway_get(&function, "name");
    out->arguments = ig_gateway_get_text(&function, "arguments", work->arena);
    return ig_gateway_need_object(&arguments, out->arguments, work, "A tool call's arguments");
}

enum ig_code ig_gateway_odd(struct ig_gateway_work *work, const char *what)
{
    return ig_gateway_refuse(work, 502, "%s answered without a usable '%s'", work->provider->title,
                             what);
}

static bool is_among(struct ig_str name, const char *const *names)
{
    for (; *names; names++)
        if (ig_str_is(name, *names)) return true;
    return false;
}

void ig_gateway_write_rest(struct ig_json_out *out, const struct ig_gateway_object *object,
                           const char *const *but)
{
    for (size_t i = 0; i < object->count; i++) {
        const struct ig_gateway_member *item = &object->items[i];
        if (ig_str_is(item->value, "null") || is_among(item->name, but)) continue;
        ig_json_out_key(out, item->name);
        ig_json_out_raw(out, item->value);
    }
}

void ig_gateway_kv_text(struct ig_json_out *out, const char *key, struct ig_str text)
{
    ig_json_out_key(out, ig_str_view(key));
    if (text.ptr)
        ig_json_out_str(out, text);
    else
        ig_json_out_null(out);
}

void ig_gateway_kv_raw(struct ig_json_out *out, const char *key, struct ig_str json)
{
    ig_json_out_key(out, ig_str_view(key));
    ig_json_out_raw(out, json.ptr ? json : IG_STR("null"));
}

void ig_gateway_kv_count(struct ig_json_out *out, const char *key, int64_t count)
{
    ig_json_out_key(out, ig_str_view(key));
    if (count < 0)
        ig_json_out_null(out);
    else
        ig_json_out_i64(out, count);
}

void ig_gateway_write_head(struct ig_json_out *out, const struct ig_gateway_head *head)
{
    ig_json_out_object(out);
    ig_gateway_kv_text(out, "id", head->id);
    ig_json_out_kv_str(out, "object",
                       head->streams ? IG_STR("chat.completion.chunk") : IG_STR("chat.completion"));
    ig_json_out_kv_i64(out, "created", head->created);
    ig_json_out_kv_str(out, "model", head->model);
    ig_json_out_key(out, IG_STR("choices"));
    ig_json_out_array(out);
}

void ig_gateway_open_choice(struct ig_json_out *out, int64_t index, struct ig_str finish,
                            bool streams)
{
    ig_json_out_object(out);
    ig_json_out_kv_i64(out, "index", index);
    ig_gateway_kv_text(out, "finish_reason", finish);
    ig_json_out_key(out, streams ? IG_STR("delta") : IG_STR("message"));
    ig_json_out_object(out);
}

void ig_gateway_write_foot(struct ig_json_out *out, const struct ig_gateway_work *work,
                           const struct ig_gateway_object *usage, const char *const *but)
{
    const struct ig_gateway_usage *counts = &work->usage;
    ig_json_out_array_end(out);
    ig_json_out_key(out, IG_STR("usage"));
    if (usage) {
        ig_json_out_object(out);
        ig_gateway_kv_count(out, "prompt_tokens", counts->input);
        ig_gateway_kv_count(out, "completion_tokens", counts->output);
        ig_gateway_kv_count(out, "total_tokens", counts->total);
        ig_gateway_write_rest(out, usage, but);
        if (work->provider->protocol >= IG_GATEWAY_ANTHROPIC && counts->cached >= 0) {
            ig_json_out_key(out, IG_STR("prompt_tokens_details"));
            ig_json_out_object(out);
            ig_json_out_kv_i64(out, "cached_tokens", counts->cached);
            ig_json_out_object_end(out);
        }
        if (work->provider->protocol >= IG_GATEWAY_ANTHROPIC && counts->created >= 0)
            ig_json_out_kv_i64(out, "cache_creation_input_tokens", counts->created);
        ig_json_out_object_end(out);
    } else {
        ig_json_out_null(out);
    }
    ig_json_out_kv_str(out, "provider", ig_str_view(work->provider->name));
    ig_json_out_object_end(out);
}

/* ---- counts ---- */

static const struct {
    const char *input, *output, *total;
} COUNTS[] = {{"prompt_tokens", "completion_tokens", "total_tokens"},
              {"input_tokens", "output_tokens", "total_tokens"},
              {"promptTokenCount", "candidatesTokenCount", "totalTokenCount"}};
static const char *const DETAILS[] = {"prompt_tokens_details", "input_tokens_details"};

static void take_count(int64_t *out, const struct ig_gateway_object *object, const char *name)
{
    int64_t count = ig_gateway_get_count(object, name);
    if (count >= 0) *out = count;
}

/* Anthropic's input is what no cache gave or took. */
static void add_cached(struct ig_gateway_usage *usage, const struct ig_gateway_object *object)
{
    if (ig_gateway_get_count(object, "input_tokens") < 0 ||
        (usage->cached < 0 && usage->created < 0))
        return;
    if (usage->cached > 0 && usage->cached < INT64_MAX / 4) usage->input += usage->cached;
    if (usage->created > 0 && usage->created < INT64_MAX / 4) usage->input += usage->created;
}

static void read_counts(struct ig_gateway_usage *usage, struct ig_str json, struct ig_arena *arena)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_gateway_object object, details;
    int64_t total = -1;
    if (!json.ptr || ig_gateway_object_read(&object, json, arena, &err) != IG_OK) return;
    for (size_t i = 0; i < sizeof COUNTS / sizeof COUNTS[0]; i++) {
        take_count(&usage->input, &object, COUNTS[i].input);
        take_count(&usage->output, &object, COUNTS[i].output);
        take_count(&total, &object, COUNTS[i].total);
    }
    take_count(&usage->cached, &object, "cachedContentTokenCount");
    bool of_anthropic = ig_gateway_get(&object, "cache_read_input_tokens").ptr ||
                        ig_gateway_get(&object, "cache_creation_input_tokens").ptr;
    take_count(&usage->cached, &object, "cache_read_input_tokens");
    take_count(&usage->created, &object, "cache_creation_input_tokens");
    if (of_anthropic) add_cached(usage, &object);
    for (size_t i = 0; i < sizeof DETAILS / sizeof DETAILS[0]; i++) {
        struct ig_str text = ig_gateway_get(&object, DETAILS[i]);
        if (text.ptr && ig_gateway_object_read(&details, text, arena, &err) == IG_OK)
            take_count(&usage->cached, &details, "cached_tokens");
        ig_err_clear(&err);
    }
    if (usage->input > INT64_MAX / 2 || usage->output > INT64_MAX / 2)
        usage->input = usage->output = -1;
    if (total < 0 && usage->input >= 0 && usage->output >= 0) total = usage->input + usage->output;
    if (total >= 0) usage->total = total;
}

void ig_gateway_usage_read(struct ig_gateway_usage *usage, const struct ig_gateway_object *told,
                           struct ig_arena *arena)
{
    static const char *const INSIDE[] = {"response", "message"};
    struct ig_err err = IG_ERR_INIT;
    struct ig_gateway_object inner;
    read_counts(usage, ig_gateway_get(told, "usage"), arena);
    read_counts(usage, ig_gateway_get(told, "usageMetadata"), arena);
    for (size_t i = 0; i < sizeof INSIDE / sizeof INSIDE[0]; i++) {
        struct ig_str text = ig_gateway_get(told, INSIDE[i]);
        if (text.len && text.ptr[0] == '{' &&
            ig_gateway_object_read(&inner, text, arena, &err) == IG_OK)
            read_counts(usage, ig_gateway_get(&inner, "usage"), arena);
        ig_err_clear(&err);
    }
}

bool ig_gateway_data_url(struct ig_str *type, struct ig_str *data, struct ig_str url)
{
    struct ig_str scheme = IG_STR("data:"), base64 = IG_STR("base64,");
    if (!ig_str_starts(url, scheme)) return false;
    struct ig_str rest = {url.ptr + scheme.len, url.len - scheme.len};
    *type = ig_str_cut(&rest, ';');
    if (!type->len || !rest.ptr || !ig_str_starts(rest, base64)) return false;
    *data = (struct ig_str){rest.ptr + base64.len, rest.len - base64.len};
    return true;
}
