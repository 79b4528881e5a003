/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_LOG_H
#define IG_BASE_LOG_H

/* Structured log to stderr, one line an event, text or JSON. Fields are name/value pairs. Lines are
 * written with one write() each, so threads and children do not mix. Thread-safe. */

#include "base/err.h"
#include "base/str.h"

enum ig_log_level { IG_LOG_DEBUG, IG_LOG_INFO, IG_LOG_WARN, IG_LOG_ERROR };

void ig_log_setup(enum ig_log_level least, bool json);
/* One level by itself. */
void ig_log_enable(enum ig_log_level level, bool on);
bool ig_log_is_on(enum ig_log_level level);
bool ig_log_level_parse(struct ig_str text, enum ig_log_level *out); /* debug, info, warn, error */

struct ig_log_field {
    const char *name;
    enum { IG_LOG_STR, IG_LOG_I64, IG_LOG_F64 } kind;
    struct ig_str text;
    int64_t integer;
    double real;
};

#define IG_LOG_S(n, v) ((struct ig_log_field){.name = (n), .kind = IG_LOG_STR, .text = (v)})
#define IG_LOG_C(n, v) IG_LOG_S(n, ig_str_view(v))
#define IG_LOG_I(n, v) ((struct ig_log_field){.name = (n), .kind = IG_LOG_I64, .integer = (v)})
#define IG_LOG_F(n, v) ((struct ig_log_field){.name = (n), .kind = IG_LOG_F64, .real = (v)})

/* ig_log(IG_LOG_INFO, "deployed", IG_LOG_C("model", name), IG_LOG_I("version", 3)); at least one
 * field. */
#define ig_log(level, event, ...)                                                                  \
    ig_log_write((level), (event), (const struct ig_log_field[]){__VA_ARGS__},                     \
                 sizeof((const struct ig_log_field[]){__VA_ARGS__}) / sizeof(struct ig_log_field))
void ig_log_write(enum ig_log_level level, const char *event, const struct ig_log_field *fields,
                  size_t fields_count);
void ig_log_err(enum ig_log_level level, const char *event, const struct ig_err *err);

#endif
