/* SPDX-License-Identifier: Apache-2.0 */
/* Thread rule: pure. */
#include "api/oip_settings.h"

#include <stdio.h>

enum { SHOWN_MAX = 64 };

static int shown(struct ig_str text)
{
    return (int)(text.len > SHOWN_MAX ? SHOWN_MAX : text.len);
}

static bool add_value(struct ig_oip_setting *setting, struct ig_str value, struct ig_err *err)
{
    if (setting->count < IG_OIP_SETTING_VALUES_MAX) {
        setting->values[setting->count++] = value;
        return true;
    }
    ig_fail(err, IG_INVALID, "%.*s: more than %d values", shown(setting->name), setting->name.ptr,
            IG_OIP_SETTING_VALUES_MAX);
    return false;
}

static enum ig_code read_value(struct ig_oip_setting *setting, struct ig_json *json)
{
    struct ig_str text;
    switch (ig_json_next(json)) {
    case IG_JSON_NULL:
        break;
    case IG_JSON_BOOL:
        add_value(setting, json->boolean ? IG_STR("true") : IG_STR("false"), json->err);
        break;
    case IG_JSON_NUMBER:
    case IG_JSON_STRING:
        add_value(setting, json->text, json->err);
        break;
    case IG_JSON_ARRAY:
        while (ig_json_element(json))
            if (!ig_json_string(json, &text, "a value") || !add_value(setting, text, json->err))
                break;
        break;
    case IG_JSON_ERROR:
        break;
    default:
        ig_fail(json->err, IG_INVALID,
                "%.*s: expected null, true, false, a number, a text or texts", shown(setting->name),
                setting->name.ptr);
    }
    return json->err->code;
}

enum ig_code ig_oip_settings_read(struct ig_oip_settings *out, struct ig_str body,
                                  struct ig_arena *arena, struct ig_err *err)
{
    struct ig_json json;
    *out = (struct ig_oip_settings){0};
    if (!body.len) return IG_OK;
    ig_json_init(&json, body, arena, err);
    if (!ig_json_expect(&json, IG_JSON_OBJECT, "the body")) return err->code;
    while (ig_json_member(&json)) {
        if (out->count == IG_OIP_SETTINGS_MAX)
            return ig_fail(err, IG_INVALID, "more than %d settings", IG_OIP_SETTINGS_MAX);
        struct ig_oip_setting *setting = &out->items[out->count++];
        setting->name = json.text;
        if (read_value(setting, &json) != IG_OK) return err->code;
    }
    if (err->code == IG_OK) (void)ig_json_next(&json); /* nothing may follow */
    return err->code;
}

static enum ig_code fail_value(const struct ig_oip_setting *setting, const char *wanted,
                               struct ig_err *err)
{
    struct ig_str value = setting->count ? setting->values[0] : IG_STR("null");
    if (setting->count > 1)
        return ig_fail(err, IG_INVALID, "%.*s: %zu values, expected %s", shown(setting->name),
                       setting->name.ptr, setting->count, wanted);
    return ig_fail(err, IG_INVALID, "%.*s: '%.*s', expected %s", shown(setting->name),
                   setting->name.ptr, shown(value), value.ptr, wanted);
}

enum ig_code ig_oip_setting_flag(bool *out, const struct ig_oip_setting *setting,
                                 struct ig_err *err)
{
    bool on = setting->count == 1 && ig_str_is(setting->values[0], "true");
    if (!on && (setting->count != 1 || !ig_str_is(setting->values[0], "false")))
        return fail_value(setting, "true or false", err);
    *out = on;
    return IG_OK;
}

enum ig_code ig_oip_setting_number(int64_t *out, const struct ig_oip_setting *setting, int64_t min,
                                   int64_t max, struct ig_err *err)
{
    int64_t number;
    char wanted[64];
    if (setting->count == 1 && ig_str_to_i64(setting->values[0], &number) && number >= min &&
        number <= max) {
        *out = number;
        return IG_OK;
    }
    snprintf(wanted, sizeof wanted, "a whole number from %lld to %lld", (long long)min,
             (long long)max);
    return fail_value(setting, wanted, err);
}
