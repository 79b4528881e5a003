/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's file store, as mlflow/store/tracking/file_store.py reads and writes it. Thread rule:
 * pure. */
#include "formats/mlruns.h"

#include "base/num.h"

enum ig_code ig_mlruns_meta_read(const struct ig_yaml **out, struct ig_str text,
                                 struct ig_arena *arena, struct ig_err *err)
{
    const struct ig_yaml *root;
    if (ig_yaml_parse(&root, text, arena, err) != IG_OK) return err->code;
    if (root->kind != IG_YAML_MAPPING)
        return ig_fail(err, IG_PARSE, "a mapping was expected, as 'name: value'");
    *out = root;
    return IG_OK;
}

struct ig_str ig_mlruns_text(const struct ig_yaml *meta, const char *key)
{
    const struct ig_yaml *node = ig_yaml_get(meta, key);
    if (!node || node->kind != IG_YAML_SCALAR) return IG_STR("");
    if (!node->quoted && (ig_str_is(node->text, "null") || ig_str_is(node->text, "~")))
        return IG_STR("");
    return node->text;
}

int64_t ig_mlruns_i64(const struct ig_yaml *meta, const char *key, int64_t absent)
{
    int64_t value = absent;
    ig_str_to_i64(ig_mlruns_text(meta, key), &value);
    return value;
}

static bool read_line(struct ig_mlruns_point *out, struct ig_str line)
{
    struct ig_str at = ig_str_cut(&line, ' '), value = ig_str_cut(&line, ' ');
    struct ig_str step = ig_str_cut(&line, ' ');
    *out = (struct ig_mlruns_point){.step = 0};
    if (!ig_str_to_i64(at, &out->at_ms) || !ig_num_parse_f64(value, &out->value)) return false;
    return !step.len || ig_str_to_i64(step, &out->step);
}

enum ig_code ig_mlruns_points_read(struct ig_mlruns_points *out, struct ig_str text,
                                   struct ig_arena *arena, struct ig_err *err)
{
    for (unsigned number = 1; text.len; number++) {
        struct ig_mlruns_point point;
        struct ig_str line = ig_str_trim(ig_str_cut(&text, '\n'));
        if (!line.len) continue;
        if (!read_line(&point, line))
            return ig_fail(err, IG_PARSE, "line %u: '%.*s' is not a time, a value and a step",
                           number, line.len > 80 ? 80 : (int)line.len, line.ptr);
        if (out->count == IG_MLRUNS_POINTS_MAX)
            return ig_fail(err, IG_TOO_LARGE, "more than %d values", IG_MLRUNS_POINTS_MAX);
        out->items = ig_arena_grow(arena, out->items, out->count, &out->cap, sizeof *out->items);
        if (!out->items) return ig_fail(err, IG_NO_MEMORY, "a history");
        out->items[out->count++] = point;
    }
    return IG_OK;
}

/* Python's float() reads every form of it. */
void ig_mlruns_point_write(struct ig_buf *out, struct ig_mlruns_point point)
{
    char text[IG_NUM_TEXT_MAX];
    ig_num_format_f64(text, point.value);
    ig_buf_printf(out, "%lld %s %lld\n", (long long)point.at_ms, text, (long long)point.step);
}

void ig_mlruns_add_text(struct ig_buf *out, const char *key, struct ig_str value)
{
    ig_buf_printf(out, "%s: ", key);
    ig_yaml_add_quoted(out, value);
    ig_buf_add_char(out, '\n');
}

void ig_mlruns_add_i64(struct ig_buf *out, const char *key, int64_t value)
{
    ig_buf_printf(out, "%s: %lld\n", key, (long long)value);
}
