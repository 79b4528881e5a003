/* SPDX-License-Identifier: Apache-2.0 */
/* Views and growable buffers. Invariant: buf.len < buf.cap whenever buf.ptr is set (room for the
 * NUL). */
#include "base/str.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/num.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static unsigned char lower(char character)
{
    return (unsigned char)(character >= 'A' && character <= 'Z' ? character + 32 : character);
}

/* Eight bytes, capitals lowered: 0x80 marks them, and two bits below is the one that they lack. */
static uint64_t lower_word(uint64_t word)
{
    uint64_t low = word & 0x7F7F7F7F7F7F7F7F;
    uint64_t from_a = low + 0x3F3F3F3F3F3F3F3F, above_z = low + 0x2525252525252525;
    return word | (from_a & ~above_z & ~word & 0x8080808080808080) >> 2;
}

static bool same_word(const char *a, const char *b)
{
    uint64_t words[2];
    memcpy(&words[0], a, sizeof words[0]);
    memcpy(&words[1], b, sizeof words[1]);
    return words[0] == words[1] || lower_word(words[0]) == lower_word(words[1]);
}

bool ig_str_eq_nocase(struct ig_str a, struct ig_str b)
{
    size_t i = 0;
    if (a.len != b.len) return false;
    for (; a.len - i >= sizeof(uint64_t); i += sizeof(uint64_t))
        if (!same_word(a.ptr + i, b.ptr + i)) return false;
    for (; i < a.len; i++)
        if (a.ptr[i] != b.ptr[i] && lower(a.ptr[i]) != lower(b.ptr[i])) return false;
    return true;
}

bool ig_str_starts(struct ig_str text, struct ig_str prefix)
{
    return text.len >= prefix.len && ig_str_eq((struct ig_str){text.ptr, prefix.len}, prefix);
}

bool ig_str_ends(struct ig_str text, struct ig_str suffix)
{
    if (text.len < suffix.len) return false;
    return ig_str_eq((struct ig_str){text.ptr + (text.len - suffix.len), suffix.len}, suffix);
}

static bool is_space(char character)
{
    return character == ' ' || character == '\t' || character == '\r' || character == '\n';
}

struct ig_str ig_str_trim(struct ig_str text)
{
    while (text.len && is_space(text.ptr[text.len - 1])) text.len--;
    while (text.len && is_space(text.ptr[0])) {
        text.ptr++;
        text.len--;
    }
    return text;
}

struct ig_str ig_str_cut(struct ig_str *rest, char separator)
{
    struct ig_str all = *rest;
    const char *found = all.len ? memchr(all.ptr, separator, all.len) : NULL;
    if (!found) {
        *rest = (struct ig_str){NULL, 0};
        return all;
    }
    size_t head = (size_t)(found - all.ptr);
    *rest = (struct ig_str){found + 1, all.len - head - 1};
    return (struct ig_str){all.ptr, head};
}

/* After the table of RFC 3629. */
size_t ig_str_utf8_length(struct ig_str text)
{
    const unsigned char *p = (const unsigned char *)text.ptr;
    if (!text.len) return 0;
    if (p[0] < 0x80) return 1;
    size_t length = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    if (p[0] < 0xC2 || p[0] > 0xF4 || text.len < length) return 0;
    for (size_t i = 1; i < length; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    if (p[0] == 0xE0 && p[1] < 0xA0) return 0;
    if (p[0] == 0xED && p[1] > 0x9F) return 0;
    if (p[0] == 0xF0 && p[1] < 0x90) return 0;
    if (p[0] == 0xF4 && p[1] > 0x8F) return 0;
    return length;
}

static size_t ascii_words(struct ig_str text)
{
    uint64_t word;
    size_t at = 0;
    for (; text.len - at >= sizeof word; at += sizeof word) {
        memcpy(&word, text.ptr + at, sizeof word);
        if (word & 0x8080808080808080u) break;
    }
    return at;
}

bool ig_str_utf8_valid(struct ig_str text)
{
    for (size_t at = ascii_words(text), length; at < text.len; at += length) {
        length = ig_str_utf8_length((struct ig_str){text.ptr + at, text.len - at});
        if (!length) return false;
    }
    return true;
}

bool ig_str_to_u64(struct ig_str text, uint64_t *out)
{
    if (text.len == 0) return false;
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
        if (__builtin_mul_overflow(value, 10, &value)) return false;
        if (__builtin_add_overflow(value, (uint64_t)(text.ptr[i] - '0'), &value)) return false;
    }
    *out = value;
    return true;
}

bool ig_str_to_i64(struct ig_str text, int64_t *out)
{
    bool negative = text.len && text.ptr[0] == '-';
    uint64_t magnitude;
    struct ig_str digits = negative ? (struct ig_str){text.ptr + 1, text.len - 1} : text;
    if (!ig_str_to_u64(digits, &magnitude)) return false;
    if (magnitude > (uint64_t)INT64_MAX + negative) return false;
    *out = (int64_t)(negative ? 0 - magnitude : magnitude);
    return true;
}

bool ig_str_to_f64(struct ig_str text, double *out)
{
    return ig_num_parse_f64(text, out);
}

void ig_buf_init(struct ig_buf *buf, size_t max_bytes)
{
    *buf = (struct ig_buf){.max_bytes = max_bytes};
}

void ig_buf_deinit(struct ig_buf *buf)
{
    ig_free(buf->ptr);
    *buf = (struct ig_buf){.max_bytes = buf->max_bytes};
}

void ig_buf_reset(struct ig_buf *buf)
{
    buf->len = 0;
    buf->overflowed = false;
}

static bool grow(struct ig_buf *buf, size_t extra)
{
    size_t need;
    if (buf->overflowed) return false;
    if (!ig_add(&need, buf->len, extra) || need > buf->max_bytes || !ig_add(&need, need, 1)) {
        buf->overflowed = true;
        return false;
    }
    size_t cap = buf->cap * 2 > 64 ? buf->cap * 2 : 64;
    if (cap > buf->max_bytes + 1) cap = buf->max_bytes + 1;
    if (cap < need) cap = need;
    char *grown = ig_realloc(buf->ptr, cap);
    if (!grown) {
        buf->overflowed = true;
        return false;
    }
    buf->ptr = grown;
    buf->cap = cap;
    return true;
}

static inline bool reserve(struct ig_buf *buf, size_t extra)
{
    bool fits = !buf->overflowed && buf->cap - buf->len > extra; /* never with cap 0 */
    return fits || grow(buf, extra);
}

bool ig_buf_reserve(struct ig_buf *buf, size_t extra)
{
    return reserve(buf, extra);
}

static inline void add(struct ig_buf *buf, const void *bytes, size_t size_bytes)
{
    if (!reserve(buf, size_bytes)) return;
    if (size_bytes) memcpy(buf->ptr + buf->len, bytes, size_bytes);
    buf->len += size_bytes;
    buf->ptr[buf->len] = '\0';
}

void ig_buf_add(struct ig_buf *buf, const void *bytes, size_t size_bytes)
{
    add(buf, bytes, size_bytes);
}

void ig_buf_add_str(struct ig_buf *buf, struct ig_str text)
{
    add(buf, text.ptr, text.len);
}

void ig_buf_add_cstr(struct ig_buf *buf, const char *text)
{
    ig_buf_add(buf, text, strlen(text));
}

void ig_buf_add_char(struct ig_buf *buf, char character)
{
    if (!reserve(buf, 1)) return;
    buf->ptr[buf->len++] = character;
    buf->ptr[buf->len] = '\0';
}

void ig_buf_add_u64(struct ig_buf *buf, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    add(buf, digits + at, sizeof digits - at);
}

void ig_buf_add_i64(struct ig_buf *buf, int64_t value)
{
    if (value < 0) ig_buf_add_char(buf, '-');
    ig_buf_add_u64(buf, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void ig_buf_printf(struct ig_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    IG_ASSERT(length >= 0);
    if (ig_buf_reserve(buf, (size_t)length)) {
        vsnprintf(buf->ptr + buf->len, (size_t)length + 1, format, again);
        buf->len += (size_t)length;
    }
    va_end(again);
}

struct ig_str ig_buf_view(const struct ig_buf *buf)
{
    return (struct ig_str){buf->ptr, buf->len};
}

char *ig_buf_take(struct ig_buf *buf)
{
    char *bytes = buf->ptr;
    *buf = (struct ig_buf){.max_bytes = buf->max_bytes};
    return bytes;
}
