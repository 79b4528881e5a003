/* SPDX-License-Identifier: Apache-2.0 */
/* What MLflow allows as names, tags, aliases, stages and numbers, and its words when it does not.
 *
 * Thread rule: pure. */
#include "services/registered/registered_priv.h"

#include <string.h>

static const char *const STAGES[IG_REGISTERED_STAGES_COUNT] = {"None", "Staging", "Production",
                                                               "Archived"};

enum ig_code ig_registered_check_name(struct ig_str name, const char *field, struct ig_err *err)
{
    if (!ig_str_trim(name).len)
        return ig_fail(err, IG_INVALID, "Missing value for required parameter '%s'.", field);
    if (memchr(name.ptr, '/', name.len) || memchr(name.ptr, ':', name.len))
        return ig_fail(err, IG_INVALID,
                       "Invalid model name '%.*s'. Names cannot contain '/' or ':'.",
                       IG_STR_ARGS(ig_tracking_cut(name, 100)));
    if (ig_tracking_check_path(name, "name", err) != IG_OK) return err->code;
    return ig_tracking_check_length(name, IG_REGISTERED_NAME_MAX, field, err);
}

enum ig_code ig_registered_check_description(struct ig_str text, struct ig_err *err)
{
    return ig_tracking_check_length(text, IG_REGISTERED_DESCRIPTION_MAX, "description", err);
}

enum ig_code ig_registered_check_tag(struct ig_tracking_pair tag, struct ig_err *err)
{
    if (ig_tracking_check_key(tag.key, "key", err) != IG_OK) return err->code;
    return ig_tracking_check_length(tag.value, IG_REGISTERED_TAG_MAX, "value", err);
}

enum ig_code ig_registered_check_tags(struct ig_tracking_pairs tags, struct ig_err *err)
{
    for (size_t i = 0; i < tags.count; i++)
        if (ig_registered_check_tag(tags.items[i], err) != IG_OK) return err->code;
    return IG_OK;
}

static bool is_alias_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || (unsigned char)c >= 0x80;
}

enum ig_code ig_registered_check_alias(struct ig_str alias, struct ig_err *err)
{
    if (!alias.len) return ig_fail(err, IG_INVALID, "Registered model alias name cannot be empty.");
    for (size_t i = 0; i < alias.len; i++)
        if (!is_alias_byte(alias.ptr[i]))
            return ig_fail(err, IG_INVALID,
                           "Invalid alias name: '%.*s'. Names may only contain alphanumerics, "
                           "underscores (_), and dashes (-).",
                           IG_STR_ARGS(ig_tracking_cut(alias, 100)));
    return ig_tracking_check_length(alias, IG_REGISTERED_ALIAS_MAX, "Registered model alias name",
                                    err);
}

enum ig_code ig_registered_check_new_alias(struct ig_str alias, struct ig_err *err)
{
    bool version = alias.len > 1 && (alias.ptr[0] == 'v' || alias.ptr[0] == 'V');
    if (ig_registered_check_alias(alias, err) != IG_OK) return err->code;
    if (ig_str_eq_nocase(alias, IG_STR("latest")))
        return ig_fail(err, IG_INVALID, "'latest' alias name (case insensitive) is reserved.");
    for (size_t i = 1; version && i < alias.len; i++)
        version = alias.ptr[i] >= '0' && alias.ptr[i] <= '9';
    if (version)
        return ig_fail(err, IG_INVALID, "Version alias name '%.*s' is reserved.",
                       IG_STR_ARGS(alias));
    return IG_OK;
}

enum ig_code ig_registered_version_number(int64_t *out, struct ig_str text, struct ig_err *err)
{
    if (ig_str_to_i64(ig_str_trim(text), out)) return IG_OK;
    return ig_fail(err, IG_INVALID, "Parameter 'version' must be an integer, got '%.*s'.",
                   IG_STR_ARGS(ig_tracking_cut(text, 64)));
}

const char *ig_registered_stage_name(int64_t stage)
{
    IG_ASSERT(stage >= 0 && stage < IG_REGISTERED_STAGES_COUNT);
    return STAGES[stage];
}

enum ig_code ig_registered_stage_parse(int64_t *out, struct ig_str name, struct ig_err *err)
{
    for (int stage = 0; stage < IG_REGISTERED_STAGES_COUNT; stage++) {
        if (!ig_str_eq_nocase(name, ig_str_view(STAGES[stage]))) continue;
        *out = stage;
        return IG_OK;
    }
    return ig_fail(err, IG_INVALID,
                   "Invalid Model Version stage: %.*s. Value must be one of None, Staging, "
                   "Production, Archived.",
                   IG_STR_ARGS(ig_tracking_cut(name, 64)));
}

bool ig_registered_is_prompt(struct ig_tracking_pairs tags)
{
    bool prompt = false;
    for (size_t i = 0; i < tags.count; i++)
        if (ig_str_is(tags.items[i].key, IG_REGISTERED_PROMPT_TAG))
            prompt = ig_str_eq_nocase(tags.items[i].value, IG_STR("true"));
    return prompt;
}
