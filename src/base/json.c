/* SPDX-License-Identifier: Apache-2.0 */
/* JSON (RFC 8259) pull reader and streaming writer.
 *
 * Reader invariants: 1. at never passes end. 2. depth < IG_JSON_DEPTH_MAX and bit depth-1 of
 * in_object tells whether the innermost container is an object. 3. `expect` says what the grammar
 * allows next. */
#include "base/json.h"

#include "base/hash.h"
#include "base/json_priv.h"
#include "base/num.h"

#include <math.h>
#include <string.h>

enum { WANT_VALUE, WANT_VALUE_OR_END, WANT_KEY, WANT_KEY_OR_END, WANT_COMMA_OR_END, WANT_NOTHING };

void ig_json_init(struct ig_json *json, struct ig_str input, struct ig_arena *arena,
                  struct ig_err *err)
{
    const char *start = input.ptr ? input.ptr : "";
    *json = (struct ig_json){.start = start,
                             .at = start,
                             .end = start + input.len,
                             .arena = arena,
                             .err = err,
                             .expect = WANT_VALUE};
}

static bool in_object(const struct ig_json *json)
{
    int bit = json->depth - 1;
    return json->depth > 0 && (json->in_object[bit / 64] >> (bit % 64) & 1);
}

static enum ig_json_event fail(struct ig_json *json, const char *at, const char *what)
{
    ig_fail_at(json->err, IG_PARSE, at - json->start, "JSON: %s at byte %lld", what,
               (long long)(at - json->start));
    json->expect = WANT_NOTHING;
    return IG_JSON_ERROR;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static const char *behind_space(const char *at, const char *end)
{
    while (at < end && is_space(*at)) at++;
    return at;
}

static void skip_space(struct ig_json *json)
{
    json->at = behind_space(json->at, json->end);
}

static void value_done(struct ig_json *json)
{
    json->expect = json->depth ? WANT_COMMA_OR_END : WANT_NOTHING;
}

static enum ig_json_event open_container(struct ig_json *json, bool object)
{
    if (json->depth == IG_JSON_DEPTH_MAX) return fail(json, json->at, "nested deeper than 128");
    json->at++;
    int bit = json->depth++;
    uint64_t mask = (uint64_t)1 << (bit % 64);
    if (object)
        json->in_object[bit / 64] |= mask;
    else
        json->in_object[bit / 64] &= ~mask;
    json->expect = object ? WANT_KEY_OR_END : WANT_VALUE_OR_END;
    return object ? IG_JSON_OBJECT : IG_JSON_ARRAY;
}

static enum ig_json_event close_container(struct ig_json *json)
{
    bool object = in_object(json);
    json->at++;
    json->depth--;
    value_done(json);
    return object ? IG_JSON_OBJECT_END : IG_JSON_ARRAY_END;
}

static const char *skip_digits(const char *p, const char *end)
{
    while (p < end && (unsigned char)(*p - '0') < 10) p++;
    return p;
}

static bool word(struct ig_json *json, const char *text)
{
    size_t length = strlen(text);
    if ((size_t)(json->end - json->at) < length || memcmp(json->at, text, length) != 0)
        return false;
    json->at += length;
    return true;
}

static enum ig_json_event number_done(struct ig_json *json, const char *end)
{
    json->text = (struct ig_str){json->at, (size_t)(end - json->at)};
    json->at = end;
    value_done(json);
    return IG_JSON_NUMBER;
}

static enum ig_json_event number(struct ig_json *json)
{
    const char *p = json->at, *end = json->end;
    if (*p == '-') p++;
    const char *digits = p;
    p = p < end && *p == '0' ? p + 1 : skip_digits(p, end);
    if (p == digits) return fail(json, p, "a digit was expected");
    if (p < end && *p == '.') {
        digits = ++p;
        p = skip_digits(p, end);
        if (p == digits) return fail(json, p, "a digit was expected after '.'");
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-')) p++;
        digits = p;
        p = skip_digits(p, end);
        if (p == digits) return fail(json, p, "a digit was expected in the exponent");
    }
    return number_done(json, p);
}

/* NaN, Infinity and -Infinity, where they are allowed. */
static bool number_word(struct ig_json *json, const char **end)
{
    static const struct ig_str words[] = {{"NaN", 3}, {"Infinity", 8}, {"-Infinity", 9}};
    struct ig_str rest = {json->at, (size_t)(json->end - json->at)};
    bool may = json->allow_nan && (rest.ptr[0] == 'N' || rest.ptr[0] == 'I' ||
                                   (rest.len > 1 && rest.ptr[0] == '-' && rest.ptr[1] == 'I'));
    if (!may) return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (!ig_str_starts(rest, words[i])) continue;
        *end = json->at + words[i].len;
        return true;
    }
    return false;
}

static int hex4(const char *p)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        int nibble = ig_hex_digit(p[i]);
        if (nibble < 0) return -1;
        value = value * 16 + nibble;
    }
    return value;
}

static char *put_utf8(char *out, uint32_t point)
{
    if (point < 0x80) {
        *out++ = (char)point;
    } else if (point < 0x800) {
        *out++ = (char)(0xC0 | point >> 6);
        *out++ = (char)(0x80 | (point & 0x3F));
    } else if (point < 0x10000) {
        *out++ = (char)(0xE0 | point >> 12);
        *out++ = (char)(0x80 | (point >> 6 & 0x3F));
        *out++ = (char)(0x80 | (point & 0x3F));
    } else {
        *out++ = (char)(0xF0 | point >> 18);
        *out++ = (char)(0x80 | (point >> 12 & 0x3F));
        *out++ = (char)(0x80 | (point >> 6 & 0x3F));
        *out++ = (char)(0x80 | (point & 0x3F));
    }
    return out;
}

/* One escape at `in` (behind the backslash); returns the input behind it, or NULL. */
static const char *unescape(const char *in, const char *end, char **out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *found = *in ? strchr(from, *in) : NULL;
    if (found) {
        *(*out)++ = to[found - from];
        return in + 1;
    }
    if (*in != 'u' || end - in < 5) return NULL;
    int unit = hex4(in + 1);
    if (unit < 0 || (unit >= 0xDC00 && unit <= 0xDFFF)) return NULL;
    in += 5;
    uint32_t point = (uint32_t)unit;
    if (unit >= 0xD800 && unit <= 0xDBFF) {
        if (end - in < 6 || in[0] != '\\' || in[1] != 'u') return NULL;
        int low = hex4(in + 2);
        if (low < 0xDC00 || low > 0xDFFF) return NULL;
        point = 0x10000 + ((uint32_t)(unit - 0xD800) << 10) + (uint32_t)(low - 0xDC00);
        in += 6;
    }
    *out = put_utf8(*out, point);
    return in;
}

static bool unescape_all(struct ig_json *json, struct ig_str raw)
{
    char *copy = ig_arena_alloc(json->arena, raw.len + 1);
    if (!copy) {
        ig_fail_at(json->err, IG_NO_MEMORY, raw.ptr - json->start,
                   "JSON: out of memory for a string");
        return false;
    }
    const char *in = raw.ptr, *end = raw.ptr + raw.len;
    char *out = copy;
    while (in < end) {
        if (*in != '\\') {
            *out++ = *in++;
            continue;
        }
        const char *next = unescape(in + 1, end, &out);
        if (!next) {
            fail(json, in, "bad escape");
            return false;
        }
        in = next;
    }
    json->text = (struct ig_str){copy, (size_t)(out - copy)};
    return true;
}

static const char *skip_plain(const char *p, const char *end)
{
    while (end - p >= 8) {
        uint64_t word;
        memcpy(&word, p, sizeof word);
        uint64_t special = ig_json_special_bytes(word);
        if (special) return p + __builtin_ctzll(special) / 8;
        p += 8;
    }
    return p;
}

/* The string's bytes between its quotes, checked but for what its escapes say. */
static bool string_bounds(struct ig_json *json, const char **closing, bool *escaped, bool *wide)
{
    const char *start = json->at + 1, *p = start, *end = json->end;
    for (;; p++) {
        p = skip_plain(p, end);
        if (p == end) break;
        unsigned char c = (unsigned char)*p;
        if (c == '"') {
            *closing = p;
            return true;
        }
        if (c < 0x20) return fail(json, p, "control character in a string"), false;
        *wide |= c >= 0x80;
        if (c != '\\') continue;
        *escaped = true;
        if (++p == end) break;
        if ((unsigned char)*p < 0x20) return fail(json, p, "control character in a string"), false;
        *wide |= (unsigned char)*p >= 0x80;
    }
    return fail(json, start - 1, "string without an end"), false;
}

static bool string(struct ig_json *json)
{
    bool escaped = false, wide = false;
    const char *closing = NULL, *start = json->at + 1;
    if (!string_bounds(json, &closing, &escaped, &wide)) return false;
    struct ig_str raw = {start, (size_t)(closing - start)};
    if (wide && !ig_str_utf8_valid(raw)) return fail(json, start, "invalid UTF-8"), false;
    json->at = closing + 1;
    json->text = raw;
    return !escaped || unescape_all(json, raw);
}

static enum ig_json_event value(struct ig_json *json)
{
    char c = *json->at;
    if (c == '{' || c == '[') return open_container(json, c == '{');
    if (c == '"') {
        if (!string(json)) return IG_JSON_ERROR;
        value_done(json);
        return IG_JSON_STRING;
    }
    const char *end;
    if (number_word(json, &end)) return number_done(json, end);
    if (c == '-' || (c >= '0' && c <= '9')) return number(json);
    enum ig_json_event event = c == 'n' ? IG_JSON_NULL : IG_JSON_BOOL;
    if (c == 't' ? word(json, "true") : c == 'f' ? word(json, "false") : word(json, "null")) {
        json->boolean = c == 't';
        value_done(json);
        return event;
    }
    return fail(json, json->at, "a value was expected");
}

static enum ig_json_event key(struct ig_json *json)
{
    if (*json->at != '"') return fail(json, json->at, "a member name in quotes was expected");
    if (!string(json)) return IG_JSON_ERROR;
    skip_space(json);
    if (json->at == json->end || *json->at != ':') return fail(json, json->at, "':' was expected");
    json->at++;
    json->expect = WANT_VALUE;
    return IG_JSON_KEY;
}

enum ig_json_event ig_json_next(struct ig_json *json)
{
    if (json->err->code != IG_OK) return IG_JSON_ERROR;
    skip_space(json);
    if (json->expect == WANT_NOTHING)
        return json->at == json->end ? IG_JSON_END
                                     : fail(json, json->at, "more bytes after the value");
    if (json->at == json->end) return fail(json, json->at, "unexpected end of input");
    char closer = in_object(json) ? '}' : ']';
    if (json->expect == WANT_COMMA_OR_END) {
        if (*json->at == closer) return close_container(json);
        if (*json->at != ',')
            return fail(json, json->at, "',' or the container's end was expected");
        json->at++;
        skip_space(json);
        if (json->at == json->end) return fail(json, json->at, "unexpected end of input");
        json->expect = closer == '}' ? WANT_KEY : WANT_VALUE;
    }
    if (json->expect == WANT_KEY_OR_END || json->expect == WANT_VALUE_OR_END)
        if (*json->at == closer) return close_container(json);
    if (json->expect == WANT_KEY || json->expect == WANT_KEY_OR_END) return key(json);
    return value(json);
}

const char *ig_json_event_name(enum ig_json_event event)
{
    static const char *const names[] = {
        "an error", "the end",        "null",      "a boolean",       "a number", "a string",
        "an array", "an array's end", "an object", "an object's end", "a member"};
    return names[event];
}

static bool refuse(struct ig_json *json, enum ig_json_event got, const char *wanted,
                   const char *what)
{
    if (got != IG_JSON_ERROR)
        ig_fail_at(json->err, IG_INVALID, json->at - json->start,
                   "%s: expected %s, found %s (before byte %lld)", what, wanted,
                   ig_json_event_name(got), (long long)(json->at - json->start));
    return false;
}

bool ig_json_expect(struct ig_json *json, enum ig_json_event event, const char *what)
{
    enum ig_json_event got = ig_json_next(json);
    return got == event || refuse(json, got, ig_json_event_name(event), what);
}

bool ig_json_f64(struct ig_json *json, double *out, const char *what)
{
    if (!ig_json_expect(json, IG_JSON_NUMBER, what)) return false;
    double value = 0;
    char last = json->text.ptr[json->text.len - 1];
    bool read = ig_num_parse_f64(json->text, &value);
    if (!read || (isinf(value) && last != 'y')) {
        ig_fail_at(json->err, IG_INVALID, json->at - json->start,
                   "%s: '%.*s' is beyond the range of a double", what,
                   (int)(json->text.len < 40 ? json->text.len : 40), json->text.ptr);
        return false;
    }
    *out = value;
    return true;
}

bool ig_json_i64(struct ig_json *json, int64_t *out, const char *what)
{
    if (!ig_json_expect(json, IG_JSON_NUMBER, what)) return false;
    return ig_str_to_i64(json->text, out) || refuse(json, IG_JSON_NUMBER, "an integer", what);
}

bool ig_json_u64(struct ig_json *json, uint64_t *out, const char *what)
{
    if (!ig_json_expect(json, IG_JSON_NUMBER, what)) return false;
    return ig_str_to_u64(json->text, out) ||
           refuse(json, IG_JSON_NUMBER, "a non-negative integer", what);
}

bool ig_json_bool(struct ig_json *json, bool *out, const char *what)
{
    if (!ig_json_expect(json, IG_JSON_BOOL, what)) return false;
    *out = json->boolean;
    return true;
}

bool ig_json_string(struct ig_json *json, struct ig_str *out, const char *what)
{
    if (!ig_json_expect(json, IG_JSON_STRING, what)) return false;
    *out = json->text;
    return true;
}

static bool skip_to_depth(struct ig_json *json, int depth)
{
    while (json->depth > depth)
        if (ig_json_next(json) == IG_JSON_ERROR) return false;
    return true;
}

bool ig_json_skip(struct ig_json *json)
{
    int depth = json->depth;
    return ig_json_next(json) != IG_JSON_ERROR && skip_to_depth(json, depth);
}

bool ig_json_skip_open(struct ig_json *json)
{
    return skip_to_depth(json, json->depth - 1);
}

bool ig_json_raw(struct ig_json *json, struct ig_str *out)
{
    const char *from = json->at;
    if (!ig_json_skip(json)) return false;
    while (from < json->at && strchr(" \t\r\n:,", *from)) from++;
    *out = (struct ig_str){from, (size_t)(json->at - from)};
    return true;
}

bool ig_json_member(struct ig_json *json)
{
    return ig_json_next(json) == IG_JSON_KEY;
}

bool ig_json_element(struct ig_json *json)
{
    if (json->err->code != IG_OK) return false;
    skip_space(json);
    if (json->at < json->end && *json->at == ']' && json->expect != WANT_VALUE) {
        close_container(json);
        return false;
    }
    if (json->expect == WANT_COMMA_OR_END) {
        if (json->at == json->end || *json->at != ',') {
            fail(json, json->at, "',' or ']' was expected");
            return false;
        }
        json->at++;
        json->expect = WANT_VALUE;
    }
    return true;
}

size_t ig_json_numbers(struct ig_json *json, double *out, size_t count_max)
{
    const char *end = json->end;
    bool comma = json->expect == WANT_COMMA_OR_END;
    size_t count = 0;
    IG_ASSERT(json->depth && !in_object(json));
    if (json->err->code != IG_OK) return 0;
    for (; count < count_max; count++) {
        const char *at = behind_space(json->at, end);
        if (comma && (at == end || *at != ',')) break;
        if (comma) at = behind_space(at + 1, end);
        at = ig_num_scan_f64(at, end, &out[count]);
        if (!at) break;
        json->at = at;
        comma = true;
    }
    if (count) json->expect = WANT_COMMA_OR_END;
    return count;
}

size_t ig_json_position(const struct ig_json *json)
{
    return (size_t)(json->at - json->start);
}
