/* SPDX-License-Identifier: Apache-2.0 */
/* What the server has to know of a scorer's JSON (mlflow/genai/scorers/scorer_utils.py).
 *
 * Thread rule: pure. */
#include "services/tracking/scorers_priv.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static enum ig_code check_code(struct ig_str content, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_json json;
    bool named = false, code = false;
    ig_json_init(&json, content, arena, err);
    json.allow_nan = true;
    for (;;) {
        enum ig_json_event event = ig_json_next(&json);
        if (event == IG_JSON_ERROR || event == IG_JSON_END) break;
        code = code || (named && event != IG_JSON_NULL);
        named = event == IG_JSON_KEY && ig_str_is(json.text, "call_source");
    }
    if (err->code != IG_OK) {
        ig_err_clear(err);
        return ig_fail(err, IG_INVALID, "serialized_scorer must be valid JSON");
    }
    if (!code) return IG_OK;
    return ig_fail(err, IG_INVALID,
                   "Custom scorer registration (using @scorer decorator) is disabled by default "
                   "outside of Databricks tracking environments due to security concerns. Custom "
                   "scorers require arbitrary code execution during deserialization.");
}

/* The value of the member, as it stands; ptr NULL when there is none, or it is no object. */
static struct ig_str member(struct ig_str object, const char *name, enum ig_json_event kind,
                            struct ig_arena *arena)
{
    struct ig_err ignored = IG_ERR_INIT; /* it was read before */
    struct ig_str found = {NULL, 0}, value;
    struct ig_json json;
    ig_json_init(&json, object, arena, &ignored);
    json.allow_nan = true;
    if (!object.ptr || ig_json_next(&json) != IG_JSON_OBJECT) return found;
    while (ig_json_member(&json)) {
        bool is = ig_str_is(json.text, name);
        struct ig_json ahead = json;
        enum ig_json_event event = ig_json_next(&ahead);
        if (!ig_json_raw(&json, &value)) break;
        if (is && event == kind) found = value;
    }
    return found;
}

/* The text of the model as it stands in the content; ptr NULL: there is none. */
static struct ig_str find_model(struct ig_str content, struct ig_arena *arena)
{
    static const char *const holders[] = {"instructions_judge_pydantic_data",
                                          "builtin_scorer_pydantic_data",
                                          "third_party_scorer_data"};
    struct ig_str model = {NULL, 0};
    for (int depth = 0; content.ptr && !model.ptr && depth < IG_JSON_DEPTH_MAX; depth++) {
        for (size_t i = 0; !model.ptr && i < COUNT(holders); i++)
            model = member(member(content, holders[i], IG_JSON_OBJECT, arena), "model",
                           IG_JSON_STRING, arena);
        content = member(member(content, "memory_augmented_judge_data", IG_JSON_OBJECT, arena),
                         "base_judge", IG_JSON_OBJECT, arena);
    }
    return model;
}

enum ig_code ig_scorer_content_read(struct ig_str *model, struct ig_str content,
                                    struct ig_arena *arena, struct ig_err *err)
{
    struct ig_json json;
    *model = (struct ig_str){NULL, 0};
    if (check_code(content, arena, err) != IG_OK) return err->code;
    ig_json_init(&json, content, arena, err);
    json.allow_nan = true;
    if (ig_json_next(&json) != IG_JSON_OBJECT)
        return ig_fail(err, IG_INVALID, "serialized_scorer must be a JSON object");
    struct ig_str quoted = find_model(content, arena);
    if (!quoted.ptr) return IG_OK;
    ig_json_init(&json, quoted, arena, err);
    return ig_json_string(&json, model, "model") ? IG_OK : err->code;
}

enum ig_code ig_scorer_content_with(struct ig_str *out, struct ig_str content, struct ig_str model,
                                    struct ig_arena *arena, struct ig_err *err)
{
    struct ig_str old = find_model(content, arena);
    struct ig_json_out writer;
    struct ig_buf text;
    *out = content;
    if (!old.ptr) return IG_OK;
    size_t before = (size_t)(old.ptr - content.ptr);
    ig_buf_init(&text, content.len + 8 * model.len + 64);
    ig_buf_add(&text, content.ptr, before);
    ig_json_out_init(&writer, &text);
    if (model.ptr)
        ig_json_out_str(&writer, model);
    else
        ig_json_out_null(&writer);
    ig_buf_add(&text, old.ptr + old.len, content.len - before - old.len);
    *out = ig_arena_dup(arena, ig_buf_view(&text));
    if (text.overflowed || !out->ptr) ig_fail(err, IG_NO_MEMORY, "scorer");
    ig_buf_deinit(&text);
    return err->code;
}
