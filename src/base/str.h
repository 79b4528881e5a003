/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_STR_H
#define IG_BASE_STR_H

/* Text views and a growable byte buffer. Thread rule: a buffer belongs to one thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A view; does not own, is not NUL-terminated. */
struct ig_str {
    const char *ptr;
    size_t len;
};

#define IG_STR(literal) ((struct ig_str){"" literal, sizeof(literal) - 1})
#define IG_STR_ARGS(text) (int)(text).len, (text).ptr /* for "%.*s" */

static inline struct ig_str ig_str_view(const char *cstr) /* NULL gives an empty view */
{
    return (struct ig_str){cstr, cstr ? strlen(cstr) : 0};
}

static inline bool ig_str_eq(struct ig_str a, struct ig_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool ig_str_is(struct ig_str a, const char *cstr)
{
    return ig_str_eq(a, ig_str_view(cstr));
}

bool ig_str_eq_nocase(struct ig_str a, struct ig_str b); /* ASCII */
bool ig_str_starts(struct ig_str text, struct ig_str prefix);
bool ig_str_ends(struct ig_str text, struct ig_str suffix);
struct ig_str ig_str_trim(struct ig_str text); /* spaces, tabs, CR, LF */
/* Cuts at the first `separator`: returns what stands before it and moves *rest behind it; without
 * one, returns all and leaves *rest empty with ptr NULL. */
struct ig_str ig_str_cut(struct ig_str *rest, char separator);
/* Bytes of the well-formed UTF-8 character that `text` begins with; 0 when there is none. */
size_t ig_str_utf8_length(struct ig_str text);
bool ig_str_utf8_valid(struct ig_str text); /* strict: no surrogates, no overlong forms */
/* Locale-free; the whole text must be the number. False leaves *out untouched. */
bool ig_str_to_i64(struct ig_str text, int64_t *out);
bool ig_str_to_u64(struct ig_str text, uint64_t *out);
bool ig_str_to_f64(struct ig_str text, double *out); /* correctly rounded; accepts nan, inf, [+-] */

/* Owned bytes, always followed by a NUL once non-empty. Growth past max_bytes (or out of memory)
 * sets the sticky `overflowed` and drops the append; a caller tests it once at the end. */
struct ig_buf {
    char *ptr;
    size_t len;
    size_t cap;
    size_t max_bytes;
    bool overflowed;
};

void ig_buf_init(struct ig_buf *buf, size_t max_bytes);
void ig_buf_deinit(struct ig_buf *buf);
void ig_buf_reset(struct ig_buf *buf);                 /* keeps the memory */
bool ig_buf_reserve(struct ig_buf *buf, size_t extra); /* room for `extra` more bytes */
void ig_buf_add(struct ig_buf *buf, const void *bytes, size_t size_bytes);
void ig_buf_add_str(struct ig_buf *buf, struct ig_str text);
void ig_buf_add_cstr(struct ig_buf *buf, const char *text);
void ig_buf_add_char(struct ig_buf *buf, char character);
void ig_buf_add_u64(struct ig_buf *buf, uint64_t value);
void ig_buf_add_i64(struct ig_buf *buf, int64_t value);
void ig_buf_printf(struct ig_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
struct ig_str ig_buf_view(const struct ig_buf *buf);
/* Moves the bytes out; the caller frees them with ig_free. NULL when empty. */
char *ig_buf_take(struct ig_buf *buf);

#endif
