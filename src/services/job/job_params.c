/* SPDX-License-Identifier: Apache-2.0 */
/* Training parameters from params.def. Thread rule: pure. */
#include "services/job/job_params.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct ig_param_info PARAMS[] = {
#define IG_PARAM(name, type, standard, least, greatest, doc)                                       \
    {#name, IG_PARAM_##type, standard, least, greatest, doc},
#include "services/job/params.def"
#undef IG_PARAM
};
enum { PARAMS_COUNT = sizeof PARAMS / sizeof PARAMS[0] };

static const size_t OFFSETS[] = {
#define IG_PARAM(name, type, standard, least, greatest, doc) offsetof(struct ig_train_params, name),
#include "services/job/params.def"
#undef IG_PARAM
};

static const char *const OBJECTIVES[] = {"auto", "binary", "multiclass", "regression"};
enum { OBJECTIVES_COUNT = sizeof OBJECTIVES / sizeof OBJECTIVES[0] };

size_t ig_params_count(void)
{
    return PARAMS_COUNT;
}

const struct ig_param_info *ig_param_at(size_t index)
{
    IG_ASSERT(index < PARAMS_COUNT);
    return &PARAMS[index];
}

static enum ig_code set_text(const char **out, const struct ig_param_info *info,
                             struct ig_str value, struct ig_err *err)
{
    for (size_t i = 0; i < OBJECTIVES_COUNT; i++) {
        if (!ig_str_is(value, OBJECTIVES[i])) continue;
        *out = OBJECTIVES[i];
        return IG_OK;
    }
    return ig_fail(err, IG_INVALID, "parameter '%s': value '%.*s' is not one of %s", info->name,
                   value.len > 40 ? 40 : (int)value.len, value.len ? value.ptr : "", info->doc);
}

static enum ig_code set_number(void *out, const struct ig_param_info *info, struct ig_str value,
                               struct ig_err *err)
{
    bool integer = info->type == IG_PARAM_INT;
    int64_t whole = 0;
    double real = 0;
    bool good = integer ? ig_str_to_i64(value, &whole) : ig_str_to_f64(value, &real);
    if (integer) real = (double)whole;
    if (!good || isnan(real) || real < info->least || real > info->greatest)
        return ig_fail(err, IG_INVALID,
                       "parameter '%s': value '%.*s' is not %s from %.10g to %.10g", info->name,
                       value.len > 40 ? 40 : (int)value.len, value.len ? value.ptr : "",
                       integer ? "an integer" : "a number", info->least, info->greatest);
    if (integer)
        memcpy(out, &whole, sizeof whole);
    else
        memcpy(out, &real, sizeof real);
    return IG_OK;
}

static enum ig_code unknown(struct ig_str name, struct ig_err *err)
{
    char known[300] = "";
    size_t at = 0;
    for (size_t i = 0; i < PARAMS_COUNT && at < sizeof known; i++) {
        size_t length = strlen(PARAMS[i].name);
        if (at + length + 3 > sizeof known) break;
        if (at) {
            memcpy(known + at, ", ", 2);
            at += 2;
        }
        memcpy(known + at, PARAMS[i].name, length + 1);
        at += length;
    }
    return ig_fail(err, IG_INVALID, "parameter '%.*s' is unknown, expected one of %s",
                   name.len > 40 ? 40 : (int)name.len, name.len ? name.ptr : "", known);
}

enum ig_code ig_params_set(struct ig_train_params *params, struct ig_str name, struct ig_str value,
                           struct ig_err *err)
{
    for (size_t i = 0; i < PARAMS_COUNT; i++) {
        char *member = (char *)params + OFFSETS[i];
        if (!ig_str_is(name, PARAMS[i].name)) continue;
        if (PARAMS[i].type == IG_PARAM_TEXT)
            return set_text((const char **)(void *)member, &PARAMS[i], value, err);
        return set_number(member, &PARAMS[i], value, err);
    }
    return unknown(name, err);
}

void ig_params_defaults(struct ig_train_params *params)
{
    struct ig_err err = IG_ERR_INIT;
    memset(params, 0, sizeof *params);
    for (size_t i = 0; i < PARAMS_COUNT; i++)
        IG_ASSERT(ig_params_set(params, ig_str_view(PARAMS[i].name),
                                ig_str_view(PARAMS[i].standard), &err) == IG_OK);
}

void ig_params_write(struct ig_json_out *out, const struct ig_train_params *params)
{
    ig_json_out_object(out);
    for (size_t i = 0; i < PARAMS_COUNT; i++) {
        const char *member = (const char *)params + OFFSETS[i];
        int64_t whole;
        double real;
        const char *text;
        switch (PARAMS[i].type) {
        case IG_PARAM_INT:
            memcpy(&whole, member, sizeof whole);
            ig_json_out_kv_i64(out, PARAMS[i].name, whole);
            break;
        case IG_PARAM_REAL:
            memcpy(&real, member, sizeof real);
            ig_json_out_kv_f64(out, PARAMS[i].name, real);
            break;
        case IG_PARAM_TEXT:
            memcpy(&text, member, sizeof text);
            ig_json_out_kv_str(out, PARAMS[i].name, ig_str_view(text));
            break;
        }
    }
    ig_json_out_object_end(out);
}

enum ig_code ig_params_read(struct ig_train_params *params, struct ig_json *json)
{
    if (!ig_json_expect(json, IG_JSON_OBJECT, "params")) return json->err->code;
    while (ig_json_member(json)) {
        struct ig_str name = json->text;
        enum ig_json_event event = ig_json_next(json);
        if (event == IG_JSON_ERROR) break;
        if (event != IG_JSON_NUMBER && event != IG_JSON_STRING)
            return ig_fail_at(json->err, IG_INVALID, ig_json_position(json),
                              "parameter '%.*s': expected a number or a string, got %s",
                              name.len > 40 ? 40 : (int)name.len, name.ptr,
                              ig_json_event_name(event));
        if (ig_params_set(params, name, json->text, json->err) != IG_OK) break;
    }
    return json->err->code;
}
