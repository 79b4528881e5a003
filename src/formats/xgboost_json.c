/* SPDX-License-Identifier: Apache-2.0 */
/* XGBoost documents as JSON: the source that xgboost.c reads through, over the pull reader of base.
 *
 * Numbers are rounded once to float, as XGBoost's own reader does; NaN and Infinity are accepted,
 * since both XGBoost and Python write them so. */
#include "formats/xgboost_priv.h"

#include "base/num.h"
#include "formats/format.h"

#include <math.h>
#include <string.h>

static bool fail(struct xgb_source *source, const char *what, const char *expected,
                 enum ig_json_event got)
{
    if (got != IG_JSON_ERROR)
        ig_fail_at(source->err, IG_PARSE, ig_json_position(&source->json),
                   "%s: expected %s, found %s", what, expected, ig_json_event_name(got));
    return false;
}

static bool json_object(struct xgb_source *source, const char *what)
{
    enum ig_json_event event = ig_json_next(&source->json);
    return event == IG_JSON_OBJECT || fail(source, what, "an object", event);
}

static bool json_member(struct xgb_source *source, struct ig_str *key)
{
    if (!ig_json_member(&source->json)) return false;
    *key = source->json.text;
    return true;
}

static bool json_array(struct xgb_source *source, const char *what)
{
    enum ig_json_event event = ig_json_next(&source->json);
    return event == IG_JSON_ARRAY || fail(source, what, "an array", event);
}

static bool json_element(struct xgb_source *source)
{
    return ig_json_element(&source->json);
}

static bool json_text(struct xgb_source *source, struct ig_str *out, const char *what)
{
    enum ig_json_event event = ig_json_next(&source->json);
    if (event != IG_JSON_STRING && event != IG_JSON_NUMBER)
        return fail(source, what, "a string", event);
    *out = source->json.text;
    return true;
}

static const double powers_of_ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                       1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                       1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* Text of up to 15 digits and a small exponent: the double is then correctly rounded by one
 * multiplication or division (Clinger). False when it is not such a number. */
static bool parse_short(struct ig_str text, double *out)
{
    const char *at = text.ptr;
    const char *end = text.ptr + text.len;
    bool negative = at < end && *at == '-';
    at += negative;
    int64_t mantissa = 0;
    int digits = 0;
    int exponent = 0;
    bool fraction = false;
    for (; at < end && digits <= 15; at++) {
        if (*at == '.') {
            fraction = true;
            continue;
        }
        if (*at < '0' || *at > '9') break;
        mantissa = mantissa * 10 + (*at - '0');
        digits += mantissa != 0;
        exponent -= fraction;
    }
    if (digits > 15) return false;
    if (at < end && (*at | 32) == 'e') {
        struct ig_str tail = {at + 1, (size_t)(end - at - 1)};
        int64_t written;
        if (tail.len > 1 && *tail.ptr == '+') tail = (struct ig_str){tail.ptr + 1, tail.len - 1};
        if (tail.len > 4 || !ig_str_to_i64(tail, &written)) return false;
        exponent += (int)written;
        at = end;
    }
    if (at != end || exponent < -22 || exponent > 22) return false;
    double value = (double)mantissa;
    value = exponent < 0 ? value / powers_of_ten[-exponent] : value * powers_of_ten[exponent];
    *out = negative ? -value : value;
    return true;
}

/* Exactly between two floats: rounding the double could differ from rounding the text. */
static bool is_float_tie(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (bits & 0x1FFFFFFFU) == 0x10000000U;
}

static bool parse_number(struct ig_str text, bool as_float, double *out)
{
    double value;
    float rounded;
    if (parse_short(text, &value) &&
        (!as_float || (!is_float_tie(value) && (value == 0 || fabs(value) > 1e-30)))) {
        *out = as_float ? (double)(float)value : value;
        return true;
    }
    if (!as_float) return ig_num_parse_f64(text, out);
    if (!ig_num_parse_f32(text, &rounded)) return false;
    *out = (double)rounded;
    return true;
}

static bool json_numbers(struct xgb_source *source, struct xgb_numbers *out, bool as_float,
                         const char *what)
{
    struct ig_json *json = &source->json;
    out->count = 0;
    if (!json_array(source, what)) return false;
    for (;;) {
        enum ig_json_event event = ig_json_next(json);
        double value = 0;
        if (event == IG_JSON_ARRAY_END) return true;
        if (event == IG_JSON_BOOL) {
            value = json->boolean;
        } else if (event != IG_JSON_NUMBER) {
            return fail(source, what, "a number", event);
        } else if (!parse_number(json->text, as_float, &value)) {
            ig_fail_at(source->err, IG_PARSE, ig_json_position(json), "%s: '%.*s' is not a number",
                       what, (int)(json->text.len < 64 ? json->text.len : 64), json->text.ptr);
            return false;
        }
        if (!IG_VEC_PUSH(out, value, source->bytes.len + 1)) {
            ig_fail(source->err, IG_NO_MEMORY, "%s: no memory for %zu numbers", what, out->count);
            return false;
        }
    }
}

static bool json_skip(struct xgb_source *source)
{
    return ig_json_skip(&source->json);
}

static bool json_end(struct xgb_source *source)
{
    enum ig_json_event event = ig_json_next(&source->json);
    return event == IG_JSON_END || fail(source, "document", "its end", event);
}

static size_t json_position(const struct xgb_source *source)
{
    return ig_json_position(&source->json);
}

static const struct xgb_source_ops json_ops = {
    .object = json_object,
    .member = json_member,
    .array = json_array,
    .element = json_element,
    .text = json_text,
    .numbers = json_numbers,
    .skip = json_skip,
    .end = json_end,
    .position = json_position,
};

void xgb_source_json(struct xgb_source *source, struct ig_str bytes, struct ig_arena *arena,
                     struct ig_err *err)
{
    *source = (struct xgb_source){.ops = &json_ops, .arena = arena, .err = err, .bytes = bytes};
    ig_json_init(&source->json, bytes, arena, err);
    source->json.allow_nan = true;
}

bool ig_xgboost_json_probe(struct ig_str bytes)
{
    struct ig_str text = ig_str_trim(bytes);
    if (text.len < 2 || *text.ptr != '{') return false;
    text = ig_str_trim((struct ig_str){text.ptr + 1, text.len - 1});
    return text.len > 0 && *text.ptr == '"' && memmem(text.ptr, text.len, "\"learner\"", 9) != NULL;
}

enum ig_code ig_xgboost_json_load(struct ig_model **out, struct ig_str bytes, struct ig_err *err)
{
    struct xgb_source source;
    struct ig_arena arena;
    ig_arena_init(&arena, 16 * 1024, 65536 + bytes.len * 2);
    xgb_source_json(&source, bytes, &arena, err);
    enum ig_code code = xgb_read(out, &source, err);
    ig_arena_deinit(&arena);
    return code;
}
