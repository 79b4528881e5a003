/* SPDX-License-Identifier: Apache-2.0 */
/* Streaming JSON writer. Invariant: bit `depth` of has_member tells whether the innermost container
 * already holds a value, so a comma goes before the next.
 *
 * Names, short strings and doubles are written straight behind the buffer's end while it has room
 * for the longest form; all else goes through appends. */
#include "base/json.h"

#include "base/json_priv.h"
#include "base/num.h"

#include <math.h>
#include <string.h>

void ig_json_out_init(struct ig_json_out *out, struct ig_buf *buf)
{
    *out = (struct ig_json_out){.buf = buf};
}

/* Whether a comma goes before the value that comes next; it counts as written. */
static bool wants_comma(struct ig_json_out *out)
{
    if (out->after_key) {
        out->after_key = false;
        return false;
    }
    uint64_t mask = (uint64_t)1 << (out->depth % 64);
    uint64_t *bits = &out->has_member[out->depth / 64];
    bool comma = out->depth && (*bits & mask);
    *bits |= mask;
    return comma;
}

static void before_value(struct ig_json_out *out)
{
    if (wants_comma(out)) ig_buf_add_char(out->buf, ',');
}

/* Where to write up to `size` bytes and a NUL without growing, or NULL. */
static char *spare(const struct ig_buf *buf, size_t size)
{
    bool fits = buf->ptr && !buf->overflowed && size < buf->cap - buf->len;
    return fits ? buf->ptr + buf->len : NULL;
}

static void written(struct ig_buf *buf, const char *end)
{
    buf->len = (size_t)(end - buf->ptr);
    buf->ptr[buf->len] = '\0';
}

static void open_container(struct ig_json_out *out, char bracket)
{
    before_value(out);
    IG_ASSERT(out->depth < IG_JSON_DEPTH_MAX);
    ig_buf_add_char(out->buf, bracket);
    out->depth++;
    out->has_member[out->depth / 64] &= ~((uint64_t)1 << (out->depth % 64));
}

static void close_container(struct ig_json_out *out, char bracket)
{
    IG_ASSERT(out->depth > 0 && !out->after_key);
    out->depth--;
    ig_buf_add_char(out->buf, bracket);
}

void ig_json_out_object(struct ig_json_out *out)
{
    open_container(out, '{');
}

void ig_json_out_object_end(struct ig_json_out *out)
{
    close_container(out, '}');
}

void ig_json_out_array(struct ig_json_out *out)
{
    open_container(out, '[');
}

void ig_json_out_array_end(struct ig_json_out *out)
{
    close_container(out, ']');
}

static bool plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static void escaped(struct ig_buf *buf, unsigned char c)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *found = c ? memchr(from, c, sizeof from - 1) : NULL;
    if (found) {
        ig_buf_add_char(buf, '\\');
        ig_buf_add_char(buf, to[found - from]);
    } else {
        ig_buf_printf(buf, "\\u%04x", c);
    }
}

static void quoted(struct ig_buf *buf, struct ig_str text)
{
    ig_buf_add_char(buf, '"');
    for (size_t i = 0; i < text.len;) {
        size_t run = i;
        while (run < text.len && plain((unsigned char)text.ptr[run])) run++;
        ig_buf_add(buf, text.ptr + i, run - i);
        i = run;
        if (i == text.len) break;
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < 0x80) {
            escaped(buf, c);
            i++;
            continue;
        }
        size_t length = ig_str_utf8_length((struct ig_str){text.ptr + i, text.len - i});
        ig_buf_add(buf, length ? text.ptr + i : "\xEF\xBF\xBD", length ? length : 3);
        i += length ? length : 1;
    }
    ig_buf_add_char(buf, '"');
}

enum { SHORT_MAX = 256, EXTRA = 12 /* comma, quotes, colon, one word beyond */ };

/* Copies a text that needs no escape, by words: up to 7 bytes beyond it are written too. False, and
 * nothing lasting, when it needs one. */
static bool copy_plain(char *out, struct ig_str text)
{
    uint64_t special = 0;
    for (size_t i = 0; i < text.len; i += 8) {
        uint64_t word = 0x2020202020202020u;
        if (text.len - i >= 8)
            memcpy(&word, text.ptr + i, sizeof word);
        else
            for (size_t k = text.len - i; k > 0; k--)
                word = word << 8 | (unsigned char)text.ptr[i + k - 1];
        memcpy(out + i, &word, sizeof word);
        special |= ig_json_special_bytes(word);
    }
    return !special;
}

/* A string with what stands around it: false when the plain way is not open. */
static bool short_string(struct ig_json_out *out, struct ig_str text, bool key)
{
    char *at = text.len <= SHORT_MAX ? spare(out->buf, text.len + EXTRA) : NULL;
    if (!at) return false;
    uint64_t mask = (uint64_t)1 << (out->depth % 64);
    bool comma = !out->after_key && out->depth && (out->has_member[out->depth / 64] & mask);
    if (!copy_plain(at + comma + 1, text)) {
        out->buf->ptr[out->buf->len] = '\0';
        return false;
    }
    wants_comma(out);
    if (comma) *at++ = ',';
    *at++ = '"';
    at += text.len;
    *at++ = '"';
    if (key) *at++ = ':';
    written(out->buf, at);
    return true;
}

void ig_json_out_key(struct ig_json_out *out, struct ig_str key)
{
    IG_ASSERT(!out->after_key);
    if (!short_string(out, key, true)) {
        before_value(out);
        quoted(out->buf, key);
        ig_buf_add_char(out->buf, ':');
    }
    out->after_key = true;
}

void ig_json_out_str(struct ig_json_out *out, struct ig_str value)
{
    if (short_string(out, value, false)) return;
    before_value(out);
    quoted(out->buf, value);
}

/* A value of `size` bytes; all of `text` is copied, since a fixed size needs no call. */
static void add_short(struct ig_json_out *out, const char text[IG_NUM_TEXT_MAX], size_t size)
{
    char *at = spare(out->buf, IG_NUM_TEXT_MAX + 1);
    if (!at) {
        before_value(out);
        ig_buf_add(out->buf, text, size);
        return;
    }
    if (wants_comma(out)) *at++ = ',';
    memcpy(at, text, IG_NUM_TEXT_MAX);
    written(out->buf, at + size);
}

void ig_json_out_f64(struct ig_json_out *out, double value)
{
    char text[IG_NUM_TEXT_MAX] = "null";
    add_short(out, text, isfinite(value) ? ig_num_format_f64(text, value) : 4);
}

void ig_json_out_f32(struct ig_json_out *out, float value)
{
    char text[IG_NUM_TEXT_MAX] = "null";
    add_short(out, text, isfinite(value) ? ig_num_format_f32(text, value) : 4);
}

void ig_json_out_i64(struct ig_json_out *out, int64_t value)
{
    before_value(out);
    ig_buf_add_i64(out->buf, value);
}

void ig_json_out_u64(struct ig_json_out *out, uint64_t value)
{
    before_value(out);
    ig_buf_add_u64(out->buf, value);
}

void ig_json_out_bool(struct ig_json_out *out, bool value)
{
    before_value(out);
    ig_buf_add_cstr(out->buf, value ? "true" : "false");
}

void ig_json_out_null(struct ig_json_out *out)
{
    before_value(out);
    ig_buf_add(out->buf, "null", 4);
}

void ig_json_out_raw(struct ig_json_out *out, struct ig_str json)
{
    before_value(out);
    ig_buf_add_str(out->buf, json);
}

void ig_json_out_kv_str(struct ig_json_out *out, const char *key, struct ig_str value)
{
    ig_json_out_key(out, ig_str_view(key));
    ig_json_out_str(out, value);
}

void ig_json_out_kv_f64(struct ig_json_out *out, const char *key, double value)
{
    ig_json_out_key(out, ig_str_view(key));
    ig_json_out_f64(out, value);
}

void ig_json_out_kv_i64(struct ig_json_out *out, const char *key, int64_t value)
{
    ig_json_out_key(out, ig_str_view(key));
    ig_json_out_i64(out, value);
}

void ig_json_out_kv_bool(struct ig_json_out *out, const char *key, bool value)
{
    ig_json_out_key(out, ig_str_view(key));
    ig_json_out_bool(out, value);
}
