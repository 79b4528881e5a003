/* SPDX-License-Identifier: Apache-2.0 */
/* The logging extension of the Open Inference Protocol. Each level is switched by itself;
 * log_verbose_level is 0 or 1, the one level of debugging. Lines go to stderr with times in ISO
 * 8601, which a request cannot change. */
#include "api/oip_settings.h"
#include "api/route.h"
#include "base/log.h"

enum { LEVELS = IG_LOG_ERROR + 1, SHOWN_MAX = 64 };

static const char *const NAMES[LEVELS] = {[IG_LOG_DEBUG] = "log_verbose_level",
                                          [IG_LOG_INFO] = "log_info",
                                          [IG_LOG_WARN] = "log_warning",
                                          [IG_LOG_ERROR] = "log_error"};

struct wanted {
    bool given[LEVELS], on[LEVELS];
};

static enum ig_code read_level(struct wanted *out, int level, const struct ig_oip_setting *setting,
                               struct ig_err *err)
{
    int64_t number = 0;
    if (!setting->count) return IG_OK; /* null leaves it */
    out->given[level] = true;
    if (level != IG_LOG_DEBUG) return ig_oip_setting_flag(&out->on[level], setting, err);
    if (ig_oip_setting_number(&number, setting, 0, UINT32_MAX, err) != IG_OK) return err->code;
    out->on[level] = number > 0;
    return IG_OK;
}

static enum ig_code read_setting(struct wanted *out, const struct ig_oip_setting *setting,
                                 struct ig_err *err)
{
    struct ig_str name = setting->name;
    for (int i = 0; i < LEVELS; i++)
        if (ig_str_is(name, NAMES[i])) return read_level(out, i, setting, err);
    if (ig_str_is(name, "log_file")) {
        if (!setting->count) return IG_OK;
        return ig_fail(err, IG_UNSUPPORTED,
                       "log file location can not be updated through network protocol");
    }
    if (ig_str_is(name, "log_format")) {
        if (!setting->count || ig_str_is(setting->values[0], "ISO8601")) return IG_OK;
        return ig_fail(
            err, IG_UNSUPPORTED,
            "log_format: '%.*s', lines always have ISO8601 times; text or json is a "
            "setting of the server",
            (int)(setting->values[0].len > SHOWN_MAX ? SHOWN_MAX : setting->values[0].len),
            setting->values[0].ptr);
    }
    return ig_fail(err, IG_INVALID, "%.*s: there is no such setting",
                   (int)(name.len > SHOWN_MAX ? SHOWN_MAX : name.len), name.ptr);
}

enum ig_code ig_oip_logging_update(struct ig_call *call, const struct ig_oip_settings *settings)
{
    struct wanted wanted = {0};
    for (size_t i = 0; i < settings->count; i++)
        if (read_setting(&wanted, &settings->items[i], &call->err) != IG_OK) return call->err.code;
    for (int i = 0; i < LEVELS; i++) {
        if (!wanted.given[i] || wanted.on[i] == ig_log_is_on((enum ig_log_level)i)) continue;
        /* Whether it is said or not, the last line before silence says who wanted it. */
        ig_log(IG_LOG_WARN, "log setting changed", IG_LOG_C("setting", NAMES[i]),
               IG_LOG_C("value", wanted.on[i] ? "on" : "off"), IG_LOG_C("by", call->who.name));
        ig_log_enable((enum ig_log_level)i, wanted.on[i]);
    }
    return IG_OK;
}

enum ig_code ig_oip_logging_get(struct ig_call *call)
{
    struct ig_json_out out;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "log_file", IG_STR(""));
    for (int i = IG_LOG_INFO; i < LEVELS; i++)
        ig_json_out_kv_bool(&out, NAMES[i], ig_log_is_on((enum ig_log_level)i));
    ig_json_out_kv_i64(&out, NAMES[IG_LOG_DEBUG], ig_log_is_on(IG_LOG_DEBUG));
    ig_json_out_kv_str(&out, "log_format", IG_STR("ISO8601"));
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_oip_logging_set(struct ig_call *call)
{
    struct ig_oip_settings settings;
    if (ig_oip_settings_read(&settings, call->exchange->body, call->arena, &call->err) != IG_OK ||
        ig_oip_logging_update(call, &settings) != IG_OK)
        return call->err.code;
    return ig_oip_logging_get(call);
}
