/* SPDX-License-Identifier: Apache-2.0 */
/* Training parameters from the engines' tables. Thread rule: pure. */
#include "services/job/job_params.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const ENGINE_NAMES[] = {
#define X(id, name) name,
    IG_JOB_ENGINES(X)
#undef X
};

#define IG_PARAM(name, type, standard, least, greatest, choices, doc)                              \
    {#name, IG_PARAM_##type, standard, least, greatest, choices, doc},
static const struct ig_param_info XGBOOST[] = {
#include "services/job/params.def"
};
static const struct ig_param_info EDGE[] = {
#include "services/job/edge_params.def"
};
static const struct ig_param_info PRUNE[] = {
#include "services/job/prune_params.def"
};
static const struct ig_param_info QUANTIZE[] = {
#include "services/job/quantize_params.def"
};
#undef IG_PARAM

#define IG_PARAM(name, type, standard, least, greatest, choices, doc)                              \
    offsetof(struct ig_job_params, xgboost.name),
static const size_t XGBOOST_OFFSETS[] = {
#include "services/job/params.def"
};
#undef IG_PARAM
#define IG_PARAM(name, type, standard, least, greatest, choices, doc)                              \
    offsetof(struct ig_job_params, edge.name),
static const size_t EDGE_OFFSETS[] = {
#include "services/job/edge_params.def"
};
#undef IG_PARAM
#define IG_PARAM(name, type, standard, least, greatest, choices, doc)                              \
    offsetof(struct ig_job_params, prune.name),
static const size_t PRUNE_OFFSETS[] = {
#include "services/job/prune_params.def"
};
#undef IG_PARAM
#define IG_PARAM(name, type, standard, least, greatest, choices, doc)                              \
    offsetof(struct ig_job_params, quantize.name),
static const size_t QUANTIZE_OFFSETS[] = {
#include "services/job/quantize_params.def"
};
#undef IG_PARAM

static const struct {
    const struct ig_param_info *items;
    const size_t *offsets;
    size_t count;
} TABLES[] = {
    [IG_JOB_XGBOOST] = {XGBOOST, XGBOOST_OFFSETS, sizeof XGBOOST / sizeof XGBOOST[0]},
    [IG_JOB_EDGE] = {EDGE, EDGE_OFFSETS, sizeof EDGE / sizeof EDGE[0]},
    [IG_JOB_PRUNE] = {PRUNE, PRUNE_OFFSETS, sizeof PRUNE / sizeof PRUNE[0]},
    [IG_JOB_QUANTIZE] = {QUANTIZE, QUANTIZE_OFFSETS, sizeof QUANTIZE / sizeof QUANTIZE[0]},
};

const char *ig_job_engine_name(enum ig_job_engine engine)
{
    return ENGINE_NAMES[engine];
}

enum ig_code ig_job_engine_parse(enum ig_job_engine *out, struct ig_str name, struct ig_err *err)
{
    *out = IG_JOB_XGBOOST;
    for (int i = 0; i < IG_JOB_ENGINES_COUNT; i++) {
        if (!ig_str_is(name, ENGINE_NAMES[i])) continue;
        *out = (enum ig_job_engine)i;
        return IG_OK;
    }
    if (!name.len) return IG_OK;
    return ig_fail(err, IG_INVALID,
                   "job engine '%.*s' is unknown, expected xgboost, edge, prune or quantize",
                   name.len > 40 ? 40 : (int)name.len, name.ptr);
}

bool ig_job_engine_shrinks(enum ig_job_engine engine)
{
    return engine == IG_JOB_PRUNE || engine == IG_JOB_QUANTIZE;
}

const char *ig_params_source(const struct ig_job_params *params)
{
    switch (params->engine) {
    case IG_JOB_EDGE:
        return params->edge.source.text;
    case IG_JOB_PRUNE:
        return params->prune.source.text;
    case IG_JOB_QUANTIZE:
        return params->quantize.source.text;
    default:
        return NULL;
    }
}

size_t ig_params_count(enum ig_job_engine engine)
{
    return TABLES[engine].count;
}

const struct ig_param_info *ig_param_at(enum ig_job_engine engine, size_t index)
{
    IG_ASSERT(index < TABLES[engine].count);
    return &TABLES[engine].items[index];
}

static size_t value_bytes(enum ig_param_type type, const char *member)
{
    return type == IG_PARAM_INT    ? sizeof(int64_t)
           : type == IG_PARAM_REAL ? sizeof(double)
                                   : strlen(member) + 1;
}

bool ig_param_equal(const struct ig_job_params *a, const struct ig_job_params *b,
                    enum ig_job_engine engine, size_t index)
{
    const char *one = (const char *)a + TABLES[engine].offsets[index];
    const char *other = (const char *)b + TABLES[engine].offsets[index];
    enum ig_param_type type = TABLES[engine].items[index].type;
    size_t bytes = value_bytes(type, one);
    return bytes == value_bytes(type, other) && memcmp(one, other, bytes) == 0;
}

static bool is_choice(const struct ig_param_info *info, struct ig_str value)
{
    struct ig_str rest = ig_str_view(info->choices);
    while (rest.len)
        if (ig_str_eq(ig_str_cut(&rest, '|'), value)) return true;
    return false;
}

static enum ig_code set_text(char *out, const struct ig_param_info *info, struct ig_str value,
                             struct ig_err *err)
{
    bool choice = info->type == IG_PARAM_CHOICE;
    size_t size = choice ? IG_PARAM_WORD_SIZE : IG_PARAM_STRING_SIZE;
    if (choice && !is_choice(info, value))
        return ig_fail(err, IG_INVALID, "parameter '%s': value '%.*s' is not one of %s", info->name,
                       value.len > 40 ? 40 : (int)value.len, value.len ? value.ptr : "",
                       info->choices);
    if (value.len >= size || (value.len && memchr(value.ptr, 0, value.len)))
        return ig_fail(err, IG_INVALID, "parameter '%s': expected a text of at most %zu bytes",
                       info->name, size - 1);
    if (value.len) memcpy(out, value.ptr, value.len);
    out[value.len] = 0;
    return IG_OK;
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

static enum ig_code set_member(struct ig_job_params *params, enum ig_job_engine engine, size_t at,
                               struct ig_str value, struct ig_err *err)
{
    const struct ig_param_info *info = &TABLES[engine].items[at];
    char *member = (char *)params + TABLES[engine].offsets[at];
    return info->type == IG_PARAM_INT || info->type == IG_PARAM_REAL
               ? set_number(member, info, value, err)
               : set_text(member, info, value, err);
}

static enum ig_code unknown(enum ig_job_engine engine, struct ig_str name, struct ig_err *err)
{
    char known[360] = ""; /* within a message's length */
    size_t at = 0;
    for (size_t i = 0; i < TABLES[engine].count; i++) {
        size_t length = strlen(TABLES[engine].items[i].name);
        if (at + length + sizeof ", ..." > sizeof known) {
            memcpy(known + at, ", ...", sizeof ", ...");
            break;
        }
        if (at) {
            memcpy(known + at, ", ", 2);
            at += 2;
        }
        memcpy(known + at, TABLES[engine].items[i].name, length + 1);
        at += length;
    }
    return ig_fail(err, IG_INVALID, "parameter '%.*s' is unknown, expected one of %s",
                   name.len > 40 ? 40 : (int)name.len, name.len ? name.ptr : "", known);
}

enum ig_code ig_params_set(struct ig_job_params *params, struct ig_str name, struct ig_str value,
                           struct ig_err *err)
{
    for (size_t i = 0; i < TABLES[params->engine].count; i++)
        if (ig_str_is(name, TABLES[params->engine].items[i].name))
            return set_member(params, params->engine, i, value, err);
    return unknown(params->engine, name, err);
}

void ig_params_defaults(struct ig_job_params *params, enum ig_job_engine engine)
{
    struct ig_err err = IG_ERR_INIT;
    memset(params, 0, sizeof *params);
    params->engine = engine;
    for (int e = 0; e < IG_JOB_ENGINES_COUNT; e++)
        for (size_t i = 0; i < TABLES[e].count; i++)
            IG_ASSERT(set_member(params, (enum ig_job_engine)e, i,
                                 ig_str_view(TABLES[e].items[i].standard), &err) == IG_OK);
}

const char *ig_params_changed(const struct ig_job_params *params, const char *const *names)
{
    struct ig_job_params standard;
    enum ig_job_engine engine = params->engine;
    ig_params_defaults(&standard, engine);
    for (; *names; names++)
        for (size_t i = 0; i < TABLES[engine].count; i++)
            if (strcmp(TABLES[engine].items[i].name, *names) == 0 &&
                !ig_param_equal(params, &standard, engine, i))
                return *names;
    return NULL;
}

void ig_params_write(struct ig_json_out *out, const struct ig_job_params *params)
{
    ig_json_out_object(out);
    for (size_t i = 0; i < TABLES[params->engine].count; i++) {
        const struct ig_param_info *info = &TABLES[params->engine].items[i];
        const char *member = (const char *)params + TABLES[params->engine].offsets[i];
        int64_t whole;
        double real;
        switch (info->type) {
        case IG_PARAM_INT:
            memcpy(&whole, member, sizeof whole);
            ig_json_out_kv_i64(out, info->name, whole);
            break;
        case IG_PARAM_REAL:
            memcpy(&real, member, sizeof real);
            ig_json_out_kv_f64(out, info->name, real);
            break;
        case IG_PARAM_CHOICE:
        case IG_PARAM_STRING:
            ig_json_out_kv_str(out, info->name, ig_str_view(member));
            break;
        }
    }
    ig_json_out_object_end(out);
}

enum ig_code ig_params_read(struct ig_job_params *params, struct ig_json *json)
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
