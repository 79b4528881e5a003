/* SPDX-License-Identifier: Apache-2.0 */
/* XGBoost documents as UBJSON (draft 12, https://ubjson.org): the source that xgboost.c reads
 * through.
 *
 *   value   Z null  T F bool  i U I l L integers  d D floats  C char  S string  [ array  { object
 *   string  an integer value (its length), then the bytes; keys carry no S
 *   array   [ values ]  |  [ # count values  |  [ $ type # count payloads      (object alike)
 *
 * All numbers are big-endian. N (no-op) is passed over; H (decimal text) is refused. Every count is
 * compared with the bytes that are left before anything is done with it; a typed array of a type
 * without payload could stand for any number of elements and is refused. Open containers are kept
 * on a small stack, so nothing recurses. */
#include "formats/format.h"
#include "formats/xgboost_priv.h"

#include <string.h>

static bool fail(struct xgb_source *source, const char *what, const char *expected)
{
    ig_fail_at(source->err, IG_PARSE, source->at, "%s: expected %s", what, expected);
    return false;
}

static size_t left(const struct xgb_source *source)
{
    return source->bytes.len - source->at;
}

static bool read_byte(struct xgb_source *source, uint8_t *out, const char *what)
{
    if (left(source) == 0) return fail(source, what, "more bytes");
    *out = (uint8_t)source->bytes.ptr[source->at++];
    return true;
}

static size_t payload_bytes(uint8_t type)
{
    switch (type) {
    case 'i':
    case 'U':
    case 'C':
        return 1;
    case 'I':
        return 2;
    case 'l':
    case 'd':
        return 4;
    case 'L':
    case 'D':
        return 8;
    default:
        return 0;
    }
}

static uint64_t big_endian(const char *bytes, size_t count)
{
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++) value = value << 8 | (uint8_t)bytes[i];
    return value;
}

/* The number at `bytes` of a type with payload. */
static double decode(uint8_t type, const char *bytes, bool as_float)
{
    uint64_t raw = big_endian(bytes, payload_bytes(type));
    double value;
    switch (type) {
    case 'i':
        value = (int8_t)raw;
        break;
    case 'I':
        value = (int16_t)raw;
        break;
    case 'l':
        value = (int32_t)raw;
        break;
    case 'L':
        value = (double)(int64_t)raw;
        break;
    case 'd': {
        uint32_t word = (uint32_t)raw;
        float number;
        memcpy(&number, &word, sizeof number);
        value = (double)number;
        break;
    }
    case 'D':
        memcpy(&value, &raw, sizeof value);
        break;
    default:
        value = (double)raw;
        break;
    }
    return as_float ? (double)(float)value : value;
}

static bool is_number(uint8_t type)
{
    return type && strchr("iUIlLdD", type) != NULL;
}

/* A length or count: an integer value that the bytes left can hold `unit_bytes` times over. */
static bool read_count(struct xgb_source *source, uint64_t *out, size_t unit_bytes,
                       const char *what)
{
    uint8_t type;
    if (!read_byte(source, &type, what)) return false;
    if (!is_number(type) || type == 'd' || type == 'D') return fail(source, what, "a length");
    size_t size = payload_bytes(type);
    if (left(source) < size) return fail(source, what, "more bytes");
    double value = decode(type, source->bytes.ptr + source->at, false);
    source->at += size;
    size_t greatest = left(source) / unit_bytes;
    if (value < 0 || value > (double)greatest) {
        ig_fail_at(source->err, IG_PARSE, source->at,
                   "%s: a length of %.0f, but %zu bytes are left", what, value, left(source));
        return false;
    }
    *out = (uint64_t)value;
    return true;
}

static bool read_string(struct xgb_source *source, struct ig_str *out, const char *what)
{
    uint64_t length;
    if (!read_count(source, &length, 1, what)) return false;
    *out = (struct ig_str){source->bytes.ptr + source->at, (size_t)length};
    source->at += (size_t)length;
    return true;
}

static void skip_noops(struct xgb_source *source)
{
    while (left(source) && source->bytes.ptr[source->at] == 'N') source->at++;
}

static struct xgb_ubjson_level *top(struct xgb_source *source)
{
    return source->depth ? &source->levels[source->depth - 1] : NULL;
}

/* The marker of the value that comes next; a typed container's elements carry none. */
static bool read_marker(struct xgb_source *source, uint8_t *out, const char *what)
{
    struct xgb_ubjson_level *level = top(source);
    if (level && level->type) {
        *out = level->type;
        return true;
    }
    skip_noops(source);
    return read_byte(source, out, what);
}

/* Behind [ or {: the optional type and count. */
static bool open_level(struct xgb_source *source, bool object, const char *what)
{
    struct xgb_ubjson_level level = {.object = object};
    if (source->depth == XGB_DEPTH_MAX) return fail(source, what, "less nesting");
    if (left(source) && source->bytes.ptr[source->at] == '$') {
        source->at++;
        if (!read_byte(source, &level.type, what)) return false;
        if (payload_bytes(level.type) == 0 && level.type != 'S' && level.type != '[' &&
            level.type != '{')
            return fail(source, what, "elements of a type with a payload");
        if (!left(source) || source->bytes.ptr[source->at] != '#')
            return fail(source, what, "'#' behind the type");
    }
    if (left(source) && source->bytes.ptr[source->at] == '#') {
        source->at++;
        size_t unit = payload_bytes(level.type);
        level.counted = true;
        if (!read_count(source, &level.left, unit ? unit : 1, what)) return false;
    }
    source->levels[source->depth++] = level;
    return true;
}

/* True when another member or element follows; at the container's end closes it. */
static bool more(struct xgb_source *source, const char *what)
{
    struct xgb_ubjson_level *level = top(source);
    if (level->counted) {
        if (level->left > 0) {
            level->left--;
            return true;
        }
        source->depth--;
        return false;
    }
    skip_noops(source);
    if (!left(source)) return fail(source, what, "its end");
    if (source->bytes.ptr[source->at] != (level->object ? '}' : ']')) return true;
    source->at++;
    source->depth--;
    return false;
}

static bool ubjson_object(struct xgb_source *source, const char *what)
{
    uint8_t marker;
    if (!read_marker(source, &marker, what)) return false;
    if (marker != '{') return fail(source, what, "an object");
    return open_level(source, true, what);
}

static bool ubjson_member(struct xgb_source *source, struct ig_str *key)
{
    return more(source, "object") && read_string(source, key, "name of a member");
}

static bool ubjson_array(struct xgb_source *source, const char *what)
{
    uint8_t marker;
    if (!read_marker(source, &marker, what)) return false;
    if (marker != '[') return fail(source, what, "an array");
    return open_level(source, false, what);
}

static bool ubjson_element(struct xgb_source *source)
{
    return more(source, "array");
}

static bool ubjson_text(struct xgb_source *source, struct ig_str *out, const char *what)
{
    uint8_t marker;
    if (!read_marker(source, &marker, what)) return false;
    if (marker == 'S') return read_string(source, out, what);
    if (!is_number(marker)) return fail(source, what, "a string");
    size_t size = payload_bytes(marker);
    if (left(source) < size) return fail(source, what, "more bytes");
    char *text = ig_arena_printf(source->arena, "%.17g",
                                 decode(marker, source->bytes.ptr + source->at, false));
    source->at += size;
    *out = ig_str_view(text);
    if (text) return true;
    ig_fail(source->err, IG_NO_MEMORY, "%s: out of memory", what);
    return false;
}

static bool push(struct xgb_source *source, struct xgb_numbers *out, double value, const char *what)
{
    if (IG_VEC_PUSH(out, value, source->bytes.len)) return true;
    ig_fail(source->err, IG_NO_MEMORY, "%s: no memory for %zu numbers", what, out->count);
    return false;
}

static bool read_number(struct xgb_source *source, struct xgb_numbers *out, bool as_float,
                        const char *what)
{
    uint8_t marker;
    if (!read_marker(source, &marker, what)) return false;
    if (marker == 'T' || marker == 'F') return push(source, out, marker == 'T', what);
    if (!is_number(marker)) return fail(source, what, "a number");
    size_t size = payload_bytes(marker);
    if (left(source) < size) return fail(source, what, "more bytes");
    double value = decode(marker, source->bytes.ptr + source->at, as_float);
    source->at += size;
    return push(source, out, value, what);
}

static bool ubjson_numbers(struct xgb_source *source, struct xgb_numbers *out, bool as_float,
                           const char *what)
{
    out->count = 0;
    if (!ubjson_array(source, what)) return false;
    while (more(source, what))
        if (!read_number(source, out, as_float, what)) return false;
    return source->err->code == IG_OK;
}

/* Opens a container or passes a value without elements. */
static bool skip_value(struct xgb_source *source)
{
    uint8_t marker;
    struct ig_str text;
    if (!read_marker(source, &marker, "value")) return false;
    if (marker == '{' || marker == '[') return open_level(source, marker == '{', "value");
    if (marker == 'S') return read_string(source, &text, "string");
    if (marker == 'Z' || marker == 'T' || marker == 'F') return true;
    size_t size = payload_bytes(marker);
    if (size == 0) return fail(source, "value", "a known marker");
    if (left(source) < size) return fail(source, "value", "more bytes");
    source->at += size;
    return true;
}

static bool ubjson_skip(struct xgb_source *source)
{
    uint32_t depth = source->depth;
    struct ig_str key;
    if (!skip_value(source)) return false;
    while (source->depth > depth) {
        struct xgb_ubjson_level *level = top(source);
        if (level->counted && payload_bytes(level->type) && !level->object) {
            source->at += (size_t)level->left * payload_bytes(level->type);
            source->depth--;
            continue;
        }
        bool object = level->object;
        if (!more(source, "value")) {
            if (source->err->code != IG_OK) return false;
            continue;
        }
        if ((object && !read_string(source, &key, "name of a member")) || !skip_value(source))
            return false;
    }
    return true;
}

static bool ubjson_end(struct xgb_source *source)
{
    skip_noops(source);
    return left(source) == 0 || fail(source, "document", "its end");
}

static size_t ubjson_position(const struct xgb_source *source)
{
    return source->at;
}

static const struct xgb_source_ops ubjson_ops = {
    .object = ubjson_object,
    .member = ubjson_member,
    .array = ubjson_array,
    .element = ubjson_element,
    .text = ubjson_text,
    .numbers = ubjson_numbers,
    .skip = ubjson_skip,
    .end = ubjson_end,
    .position = ubjson_position,
};

void xgb_source_ubjson(struct xgb_source *source, struct ig_str bytes, struct ig_arena *arena,
                       struct ig_err *err)
{
    *source = (struct xgb_source){.ops = &ubjson_ops, .arena = arena, .err = err, .bytes = bytes};
}

bool ig_xgboost_ubjson_probe(struct ig_str bytes)
{
    return bytes.len > 2 && bytes.ptr[0] == '{' && memchr("iUIlL$#", bytes.ptr[1], 7) != NULL &&
           memmem(bytes.ptr, bytes.len, "learner", 7) != NULL;
}

enum ig_code ig_xgboost_ubjson_load(struct ig_model **out, struct ig_str bytes, struct ig_err *err)
{
    struct xgb_source source;
    struct ig_arena arena;
    ig_arena_init(&arena, 16 * 1024, 65536 + bytes.len * 8);
    xgb_source_ubjson(&source, bytes, &arena, err);
    enum ig_code code = xgb_read(out, &source, err);
    ig_arena_deinit(&arena);
    return code;
}
