/* SPDX-License-Identifier: Apache-2.0 */
/* What webhooks are told of models, versions, tags and aliases: MLflow's payloads. Prompts have
 * events of their own; which a model is, its tags say.
 *
 * Thread rule: stateless, within the caller's transaction. */
#include "services/registered/registered_priv.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>

enum { DATA_MAX_BYTES = 16 << 20 };
static const char PROMPT_TEXT_TAG[] = "mlflow.prompt.text",
                  PROMPT_TYPE_TAG[] = "_mlflow_prompt_type";

struct telling {
    struct ig_db_tx *tx;
    enum ig_webhook_event event;
    struct ig_buf buf;
    struct ig_json_out out;
};

/* False: nobody asked, or *err. */
static bool begin(struct telling *telling, struct ig_db_tx *tx, enum ig_webhook_event event,
                  struct ig_err *err)
{
    bool wanted = false;
    if (ig_webhook_wanted(&wanted, tx, event, err) != IG_OK || !wanted) return false;
    *telling = (struct telling){.tx = tx, .event = event};
    ig_buf_init(&telling->buf, DATA_MAX_BYTES);
    ig_json_out_init(&telling->out, &telling->buf);
    ig_json_out_object(&telling->out);
    return true;
}

static enum ig_code end(struct telling *telling, struct ig_err *err)
{
    ig_json_out_object_end(&telling->out);
    if (telling->buf.overflowed) ig_fail(err, IG_NO_MEMORY, "webhook's payload");
    if (err->code == IG_OK)
        ig_webhook_emit(telling->tx, telling->event, ig_buf_view(&telling->buf), err);
    ig_buf_deinit(&telling->buf);
    return err->code;
}

static void write_or_null(struct ig_json_out *out, const char *key, struct ig_str text)
{
    ig_json_out_key(out, ig_str_view(key));
    if (text.len)
        ig_json_out_str(out, text);
    else
        ig_json_out_null(out);
}

static void write_version(struct ig_json_out *out, int64_t version)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)version);
    ig_json_out_kv_str(out, "version", ig_str_view(text));
}

/* Of a key that comes again the last counts; a prompt's own tags are not told. */
static void write_tags(struct ig_json_out *out, struct ig_tracking_pairs tags, bool prompt)
{
    ig_json_out_key(out, IG_STR("tags"));
    ig_json_out_object(out);
    for (size_t i = 0; i < tags.count; i++) {
        struct ig_str key = tags.items[i].key;
        bool last = true;
        for (size_t k = i + 1; last && k < tags.count; k++)
            last = !ig_str_eq(key, tags.items[k].key);
        bool own = ig_str_is(key, IG_REGISTERED_PROMPT_TAG) || ig_str_is(key, PROMPT_TYPE_TAG) ||
                   ig_str_is(key, PROMPT_TEXT_TAG);
        if (!last || (prompt && own)) continue;
        ig_json_out_key(out, key);
        ig_json_out_str(out, tags.items[i].value);
    }
    ig_json_out_object_end(out);
}

enum ig_code ig_registered_tell_model(struct ig_db_tx *tx, const struct ig_registered_spec *spec,
                                      struct ig_err *err)
{
    struct telling telling;
    bool prompt = ig_registered_is_prompt(spec->tags);
    if (!begin(&telling, tx, prompt ? IG_WEBHOOK_PROMPT_CREATED : IG_WEBHOOK_MODEL_CREATED, err))
        return err->code;
    ig_json_out_kv_str(&telling.out, "name", spec->name);
    write_tags(&telling.out, spec->tags, prompt);
    ig_json_out_kv_str(&telling.out, "description", spec->description);
    return end(&telling, err);
}

enum ig_code ig_registered_tell_version(struct ig_db_tx *tx,
                                        const struct ig_registered_version_spec *spec,
                                        const struct ig_registered_source *source, int64_t version,
                                        struct ig_err *err)
{
    struct telling telling;
    struct ig_str template = IG_STR("");
    bool prompt = ig_registered_is_prompt(spec->tags);
    if (!begin(&telling, tx,
               prompt ? IG_WEBHOOK_PROMPT_VERSION_CREATED : IG_WEBHOOK_VERSION_CREATED, err))
        return err->code;
    for (size_t i = 0; i < spec->tags.count; i++)
        if (ig_str_is(spec->tags.items[i].key, PROMPT_TEXT_TAG))
            template = spec->tags.items[i].value;
    ig_json_out_kv_str(&telling.out, "name", spec->name);
    write_version(&telling.out, version);
    if (prompt) {
        write_or_null(&telling.out, "template", template);
    } else {
        ig_json_out_kv_str(&telling.out, "source", source->source);
        write_or_null(&telling.out, "run_id", source->run);
    }
    write_tags(&telling.out, spec->tags, prompt);
    write_or_null(&telling.out, "description", spec->description);
    return end(&telling, err);
}

static enum ig_code find_prompt(bool *out, struct ig_db_tx *tx, struct ig_str name,
                                struct ig_err *err)
{
    int64_t found;
    *out = ig_registered_ask(&found, tx,
                             "select 1 from registered_tags t join registered_models m"
                             " on m.id = t.model where m.name = $1 and t.key = $2"
                             " and lower(t.value) = 'true'",
                             IG_DB_VALUES(IG_DB_T(name), IG_DB_C(IG_REGISTERED_PROMPT_TAG)), err);
    return err->code;
}

enum ig_code ig_registered_tell_tag(struct ig_db_tx *tx, struct ig_str name, int64_t version,
                                    struct ig_tracking_pair tag, struct ig_err *err)
{
    struct telling telling;
    bool prompt, set = tag.value.ptr != NULL;
    enum ig_webhook_event event;
    if (find_prompt(&prompt, tx, name, err) != IG_OK) return err->code;
    if (!prompt && !version) return IG_OK; /* MLflow has no event of a model's tags */
    if (!prompt)
        event = set ? IG_WEBHOOK_VERSION_TAG_SET : IG_WEBHOOK_VERSION_TAG_DELETED;
    else if (version)
        event = set ? IG_WEBHOOK_PROMPT_VERSION_TAG_SET : IG_WEBHOOK_PROMPT_VERSION_TAG_DELETED;
    else
        event = set ? IG_WEBHOOK_PROMPT_TAG_SET : IG_WEBHOOK_PROMPT_TAG_DELETED;
    if (!begin(&telling, tx, event, err)) return err->code;
    ig_json_out_kv_str(&telling.out, "name", name);
    if (version) write_version(&telling.out, version);
    ig_json_out_kv_str(&telling.out, "key", tag.key);
    if (set) ig_json_out_kv_str(&telling.out, "value", tag.value);
    return end(&telling, err);
}

enum ig_code ig_registered_tell_alias(struct ig_db_tx *tx, struct ig_str name, struct ig_str alias,
                                      int64_t version, struct ig_err *err)
{
    struct telling telling;
    bool prompt;
    if (find_prompt(&prompt, tx, name, err) != IG_OK) return err->code;
    enum ig_webhook_event set = prompt ? IG_WEBHOOK_PROMPT_ALIAS_CREATED : IG_WEBHOOK_ALIAS_CREATED;
    enum ig_webhook_event gone =
        prompt ? IG_WEBHOOK_PROMPT_ALIAS_DELETED : IG_WEBHOOK_ALIAS_DELETED;
    if (!begin(&telling, tx, version ? set : gone, err)) return err->code;
    ig_json_out_kv_str(&telling.out, "name", name);
    ig_json_out_kv_str(&telling.out, "alias", alias);
    if (version) write_version(&telling.out, version);
    return end(&telling, err);
}
