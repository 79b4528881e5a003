/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_JSON_H
#define IG_BASE_JSON_H

/* JSON (RFC 8259): a pull reader over bytes in memory and a streaming writer.
 *
 * The reader never recurses, caps depth, checks UTF-8 strictly, and reports the byte position of an
 * error. Strings without escapes are views of the input; others are unescaped into the arena.
 * Thread rule: a reader or writer belongs to one thread. */

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum ig_json_event {
    IG_JSON_ERROR, /* err is set */
    IG_JSON_END,   /* the one top-level value is over and only white space followed */
    IG_JSON_NULL,
    IG_JSON_BOOL,
    IG_JSON_NUMBER,
    IG_JSON_STRING,
    IG_JSON_ARRAY,      /* [ */
    IG_JSON_ARRAY_END,  /* ] */
    IG_JSON_OBJECT,     /* { */
    IG_JSON_OBJECT_END, /* } */
    IG_JSON_KEY,        /* a member's name; its value follows */
};

enum { IG_JSON_DEPTH_MAX = 128 };

struct ig_json {
    const char *start, *at, *end;
    struct ig_arena *arena; /* for unescaped strings; borrowed */
    struct ig_err *err;
    struct ig_str text; /* of KEY and STRING (unescaped) and NUMBER (as written) */
    bool boolean;       /* of BOOL */
    bool allow_nan; /* accept NaN, Infinity, -Infinity as numbers, as Python's json writes them */
    int depth;
    int expect;                                 /* private: grammar state */
    uint64_t in_object[IG_JSON_DEPTH_MAX / 64]; /* private: one bit a level */
};

/* `input`, `arena` and `err` outlive the reader. A UTF-8 byte order mark is refused. */
void ig_json_init(struct ig_json *json, struct ig_str input, struct ig_arena *arena,
                  struct ig_err *err);
enum ig_json_event ig_json_next(struct ig_json *json);
/* After KEY (or inside an array): reads the next event and fails unless it is `event`; `what` names
 * the field in the message. For a string, its text is in json->text. */
bool ig_json_expect(struct ig_json *json, enum ig_json_event event, const char *what);
/* The next value as a number of the given kind; false with err set when it is another or out of
 * range. */
bool ig_json_f64(struct ig_json *json, double *out, const char *what);
bool ig_json_i64(struct ig_json *json, int64_t *out, const char *what);
bool ig_json_u64(struct ig_json *json, uint64_t *out, const char *what);
bool ig_json_bool(struct ig_json *json, bool *out, const char *what);
bool ig_json_string(struct ig_json *json, struct ig_str *out, const char *what);
/* Passes over the value that comes next (or, after ARRAY/OBJECT was read with `opened` true, its
 * rest). */
bool ig_json_skip(struct ig_json *json);
bool ig_json_skip_open(struct ig_json *json);
/* The same, with *out the value as it stands. */
bool ig_json_raw(struct ig_json *json, struct ig_str *out);
/* In an object: true with json->text = the next member's name; false at its end or on error. */
bool ig_json_member(struct ig_json *json);
/* In an array: true when another element follows (nothing of it is consumed); false at ']'
 * (consumed) or on error. */
bool ig_json_element(struct ig_json *json);
/* In an array: reads at most so many of the elements that come next, as long as they are numbers
 * that ig_num_scan_f64 reads, and returns how many; ig_json_element goes on behind them. */
size_t ig_json_numbers(struct ig_json *json, double *out, size_t count_max);
size_t ig_json_position(const struct ig_json *json);      /* bytes consumed */
const char *ig_json_event_name(enum ig_json_event event); /* "a number" */

/* Writer: appends to a buffer; commas and colons are its own business. Depth over IG_JSON_DEPTH_MAX
 * and misuse are broken invariants. Doubles are written shortest-exact; NaN and infinities as null.
 */
struct ig_json_out {
    struct ig_buf *buf; /* borrowed; its overflow flag is the writer's error state */
    int depth;
    bool after_key;
    uint64_t has_member[IG_JSON_DEPTH_MAX / 64 + 1];
};

void ig_json_out_init(struct ig_json_out *out, struct ig_buf *buf);
void ig_json_out_object(struct ig_json_out *out);
void ig_json_out_object_end(struct ig_json_out *out);
void ig_json_out_array(struct ig_json_out *out);
void ig_json_out_array_end(struct ig_json_out *out);
void ig_json_out_key(struct ig_json_out *out, struct ig_str key);
void ig_json_out_str(struct ig_json_out *out, struct ig_str value); /* bad UTF-8 becomes U+FFFD */
void ig_json_out_f64(struct ig_json_out *out, double value);
void ig_json_out_f32(struct ig_json_out *out, float value);
void ig_json_out_i64(struct ig_json_out *out, int64_t value);
void ig_json_out_u64(struct ig_json_out *out, uint64_t value);
void ig_json_out_bool(struct ig_json_out *out, bool value);
void ig_json_out_null(struct ig_json_out *out);
void ig_json_out_raw(struct ig_json_out *out, struct ig_str json); /* one value, already JSON */

/* Key and value at once; `key` is a C string. */
void ig_json_out_kv_str(struct ig_json_out *out, const char *key, struct ig_str value);
void ig_json_out_kv_f64(struct ig_json_out *out, const char *key, double value);
void ig_json_out_kv_i64(struct ig_json_out *out, const char *key, int64_t value);
void ig_json_out_kv_bool(struct ig_json_out *out, const char *key, bool value);

#endif
