/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's webhooks. A page's token is the id of its last webhook. */
#include "api/mlflow_request.h"
#include "api/rest.h"
#include "api/route.h"
#include "services/webhook/webhook.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
enum { WORD_MAX = 64, PAGE_MAX = 1000, PAGE_USUAL = 100 };

/* Protobuf's names of enumerations are in capitals. */
static void write_word(struct ig_json_out *out, const char *key, const char *word)
{
    char text[WORD_MAX];
    size_t length = 0;
    for (; word[length] && length < sizeof text; length++)
        text[length] = word[length] >= 'a' && word[length] <= 'z' ? (char)(word[length] - 'a' + 'A')
                                                                  : word[length];
    ig_json_out_kv_str(out, key, (struct ig_str){text, length});
}

static void write_webhook(struct ig_json_out *out, const struct ig_webhook *webhook)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "webhook_id", webhook->id);
    ig_json_out_kv_str(out, "name", webhook->name);
    if (webhook->description.len) ig_json_out_kv_str(out, "description", webhook->description);
    ig_json_out_kv_str(out, "url", webhook->url);
    ig_json_out_key(out, IG_STR("events"));
    ig_json_out_array(out);
    for (size_t i = 0; i < webhook->events_count; i++) {
        ig_json_out_object(out);
        write_word(out, "entity", ig_webhook_entity(webhook->events[i]));
        write_word(out, "action", ig_webhook_action(webhook->events[i]));
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
    ig_json_out_kv_str(out, "status", webhook->disabled ? IG_STR("DISABLED") : IG_STR("ACTIVE"));
    ig_json_out_kv_i64(out, "creation_timestamp", webhook->created_ms);
    ig_json_out_kv_i64(out, "last_updated_timestamp", webhook->updated_ms);
    ig_json_out_object_end(out);
}

static enum ig_code reply(struct ig_call *call, enum ig_code code, const struct ig_webhook *webhook)
{
    struct ig_json_out out;
    if (code != IG_OK) return code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("webhook"));
    write_webhook(&out, webhook);
    ig_json_out_object_end(&out);
    return IG_OK;
}

/* Of a request to make or change one; what is an empty text there is not told. */
static enum ig_code read_spec(struct ig_call *call, struct ig_webhook_spec *spec, bool all)
{
    struct ig_tracking_pairs events = {0};
    const struct ig_mlflow_field fields[] = {
        {"name", IG_MLFLOW_TEXT, &spec->name, all},
        {"url", IG_MLFLOW_TEXT, &spec->url, all},
        {"events", IG_MLFLOW_EVENTS, &events, all},
        {"description", IG_MLFLOW_TEXT, &spec->description, false},
        {"secret", IG_MLFLOW_TEXT, &spec->secret, false},
        {"status", IG_MLFLOW_WORD, &spec->status, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    enum ig_webhook_event *items = ig_arena_array(call->arena, events.count + 1, sizeof *items);
    if (!items) return ig_fail(&call->err, IG_NO_MEMORY, "webhook's events");
    for (size_t i = 0; i < events.count; i++)
        if (ig_webhook_event_parse(&items[i], events.items[i].key, events.items[i].value,
                                   &call->err) != IG_OK)
            return call->err.code;
    spec->events = items;
    spec->events_count = events.count;
    if (!spec->name.len) spec->name.ptr = NULL;
    if (!spec->url.len) spec->url.ptr = NULL;
    if (!spec->status.len) spec->status.ptr = NULL;
    return IG_OK;
}

enum ig_code ig_mlflow_webhook_create(struct ig_call *call)
{
    struct ig_webhook_spec spec = {0};
    struct ig_webhook webhook;
    if (read_spec(call, &spec, true) != IG_OK) return call->err.code;
    return reply(call,
                 ig_webhook_create(&webhook, call->app->webhooks, &call->who, &spec, call->arena,
                                   &call->err),
                 &webhook);
}

static enum ig_code check_token(struct ig_str token, struct ig_err *err)
{
    bool good = !token.len || token.len == IG_ID_SIZE - 1;
    for (size_t i = 0; good && i < token.len; i++)
        good = (token.ptr[i] >= '0' && token.ptr[i] <= '9') ||
               (token.ptr[i] >= 'a' && token.ptr[i] <= 'z');
    if (good) return IG_OK;
    return ig_fail(err, IG_INVALID, "Invalid page token '%.*s'",
                   token.len > WORD_MAX ? WORD_MAX : (int)token.len, token.ptr);
}

enum ig_code ig_mlflow_webhook_list(struct ig_call *call)
{
    int64_t max = 0;
    struct ig_str token = IG_STR("");
    struct ig_webhook_list list;
    struct ig_json_out out;
    const struct ig_mlflow_field fields[] = {{"max_results", IG_MLFLOW_I64, &max, false},
                                             {"page_token", IG_MLFLOW_TEXT, &token, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK ||
        check_token(token, &call->err) != IG_OK)
        return call->err.code;
    if (max == 0) max = PAGE_USUAL;
    if (max < 1 || max > PAGE_MAX)
        return ig_fail(&call->err, IG_INVALID, "max_results must be between 1 and %d.", PAGE_MAX);
    if (ig_webhook_page(&list, call->app->webhooks, token, (size_t)max, call->arena, &call->err) !=
        IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("webhooks"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < list.count; i++) write_webhook(&out, &list.items[i]);
    ig_json_out_array_end(&out);
    if (list.more) ig_json_out_kv_str(&out, "next_page_token", list.items[list.count - 1].id);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_mlflow_webhook_get(struct ig_call *call)
{
    struct ig_webhook webhook;
    return reply(
        call,
        ig_webhook_get(&webhook, call->app->webhooks, call->params[0], call->arena, &call->err),
        &webhook);
}

enum ig_code ig_mlflow_webhook_update(struct ig_call *call)
{
    struct ig_webhook_spec spec = {0};
    struct ig_webhook webhook;
    const struct ig_webhook_change change = {&call->who, call->params[0], &spec};
    if (read_spec(call, &spec, false) != IG_OK) return call->err.code;
    return reply(call,
                 ig_webhook_update(&webhook, call->app->webhooks, &change, call->arena, &call->err),
                 &webhook);
}

enum ig_code ig_mlflow_webhook_delete(struct ig_call *call)
{
    if (ig_webhook_delete(call->app->webhooks, &call->who, call->params[0], &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

static void write_trial(struct ig_json_out *out, const struct ig_webhook_trial *trial)
{
    bool good = trial->status >= 200 && trial->status < 300;
    ig_json_out_object(out);
    ig_json_out_kv_bool(out, "success", good);
    if (trial->status) {
        ig_json_out_kv_i64(out, "response_status", trial->status);
        ig_json_out_kv_str(out, "response_body", trial->reply);
    } else {
        ig_json_out_kv_str(out, "error_message", trial->error);
    }
    ig_json_out_object_end(out);
}

enum ig_code ig_mlflow_webhook_test(struct ig_call *call)
{
    struct ig_tracking_pair words = {{NULL, 0}, {NULL, 0}};
    enum ig_webhook_event event;
    struct ig_webhook_trial trial;
    struct ig_json_out out;
    const struct ig_mlflow_field fields[] = {{"event", IG_MLFLOW_EVENT, &words, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK ||
        (words.key.ptr &&
         ig_webhook_event_parse(&event, words.key, words.value, &call->err) != IG_OK) ||
        ig_webhook_try(&trial, call->app->webhooks, call->params[0], words.key.ptr ? &event : NULL,
                       call->arena, &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("result"));
    write_trial(&out, &trial);
    ig_json_out_object_end(&out);
    return IG_OK;
}
