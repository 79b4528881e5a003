/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_YAML_H
#define IG_BASE_YAML_H

/* YAML documents as a tree in an arena (libyaml events underneath). One document; anchors and
 * aliases, tags and merge keys are refused; duplicate keys are an error. Caps: depth, nodes, bytes.
 */

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"

enum { IG_YAML_DEPTH_MAX = 32 };

enum ig_yaml_kind { IG_YAML_SCALAR, IG_YAML_SEQUENCE, IG_YAML_MAPPING };

struct ig_yaml {
    enum ig_yaml_kind kind;
    bool quoted;                 /* scalar: was quoted, so it is a string whatever it looks like */
    int line;                    /* 1-based */
    struct ig_str text;          /* scalar */
    struct ig_str key;           /* when a member of a mapping */
    const struct ig_yaml *first; /* sequence, mapping: children in order */
    const struct ig_yaml *next;  /* next sibling */
    size_t count;                /* children */
};

/* `*out` lives in the arena. */
enum ig_code ig_yaml_parse(const struct ig_yaml **out, struct ig_str input, struct ig_arena *arena,
                           struct ig_err *err);
/* A mapping's member or NULL. */
const struct ig_yaml *ig_yaml_get(const struct ig_yaml *mapping, const char *key);
/* Typed reads of a scalar; the error names `what` and the line. */
enum ig_code ig_yaml_str(struct ig_str *out, const struct ig_yaml *node, const char *what,
                         struct ig_err *err);
enum ig_code ig_yaml_f64(double *out, const struct ig_yaml *node, const char *what,
                         struct ig_err *err);
enum ig_code ig_yaml_i64(int64_t *out, const struct ig_yaml *node, const char *what,
                         struct ig_err *err);
enum ig_code ig_yaml_bool(bool *out, const struct ig_yaml *node, const char *what,
                          struct ig_err *err);
/* The same document as JSON: plain null, ~, true, false and finite numbers are what they look like,
 * every other scalar is a string. */
void ig_yaml_write_json(struct ig_json_out *out, const struct ig_yaml *root);
/* Appends a scalar as a double-quoted YAML string that any YAML reader takes as that string; bytes
 * that are no UTF-8 become U+FFFD. */
void ig_yaml_add_quoted(struct ig_buf *buf, struct ig_str text);

#endif
