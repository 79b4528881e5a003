/* SPDX-License-Identifier: Apache-2.0 */
/* YAML trees as JSON. The parser's cap on depth bounds the stack. */
#include "base/yaml.h"

#include <math.h>

static void write_scalar(struct ig_json_out *out, const struct ig_yaml *node)
{
    struct ig_str text = node->text;
    int64_t integer;
    double number;
    bool is_true = ig_str_is(text, "true"), plain = !node->quoted;
    if (plain && (text.len == 0 || ig_str_is(text, "null") || ig_str_is(text, "~")))
        ig_json_out_null(out);
    else if (plain && (is_true || ig_str_is(text, "false")))
        ig_json_out_bool(out, is_true);
    else if (plain && ig_str_to_i64(text, &integer))
        ig_json_out_i64(out, integer);
    else if (plain && ig_str_to_f64(text, &number) && isfinite(number))
        ig_json_out_f64(out, number);
    else
        ig_json_out_str(out, text);
}

static void open(struct ig_json_out *out, const struct ig_yaml *node)
{
    if (node->kind == IG_YAML_MAPPING)
        ig_json_out_object(out);
    else
        ig_json_out_array(out);
}

static void close(struct ig_json_out *out, const struct ig_yaml *node)
{
    if (node->kind == IG_YAML_MAPPING)
        ig_json_out_object_end(out);
    else
        ig_json_out_array_end(out);
}

void ig_yaml_write_json(struct ig_json_out *out, const struct ig_yaml *root)
{
    const struct ig_yaml *open_nodes[IG_YAML_DEPTH_MAX], *next[IG_YAML_DEPTH_MAX];
    int depth = 0;
    const struct ig_yaml *node = root;
    for (;;) {
        if (node->kind == IG_YAML_SCALAR) {
            write_scalar(out, node);
        } else {
            open(out, node);
            open_nodes[depth] = node;
            next[depth++] = node->first;
        }
        while (depth && !next[depth - 1]) close(out, open_nodes[--depth]);
        if (!depth) return;
        node = next[depth - 1];
        next[depth - 1] = node->next;
        if (open_nodes[depth - 1]->kind == IG_YAML_MAPPING) ig_json_out_key(out, node->key);
    }
}
