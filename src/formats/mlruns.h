/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_MLRUNS_H
#define IG_FORMATS_MLRUNS_H

/* The files of MLflow's file store (mlruns/): meta.yaml, and histories of metrics as lines of time,
 * value and step. Where they lie and what that means is the caller's. Thread rule: pure. */

#include "base/yaml.h"

struct ig_mlruns_point {
    double value;
    int64_t at_ms, step;
};
enum { IG_MLRUNS_POINTS_MAX = 16 << 20 };
struct ig_mlruns_points {
    struct ig_mlruns_point *items;
    size_t count, cap;
};

/* A meta.yaml: a mapping. PARSE names the line. */
enum ig_code ig_mlruns_meta_read(const struct ig_yaml **out, struct ig_str text,
                                 struct ig_arena *arena, struct ig_err *err);
/* A member's text; empty when it is absent, null or no scalar. */
struct ig_str ig_mlruns_text(const struct ig_yaml *meta, const char *key);
int64_t ig_mlruns_i64(const struct ig_yaml *meta, const char *key, int64_t absent);

/* Adds the lines of a history: "TIME VALUE" or "TIME VALUE STEP", what follows (datasets of logged
 * models) is passed over. PARSE names the line, TOO_LARGE at POINTS_MAX. */
enum ig_code ig_mlruns_points_read(struct ig_mlruns_points *out, struct ig_str text,
                                   struct ig_arena *arena, struct ig_err *err);
void ig_mlruns_point_write(struct ig_buf *out, struct ig_mlruns_point point);

/* One member of a meta.yaml that is written: a quoted text, or a number. */
void ig_mlruns_add_text(struct ig_buf *out, const char *key, struct ig_str value);
void ig_mlruns_add_i64(struct ig_buf *out, const char *key, int64_t value);

#endif
