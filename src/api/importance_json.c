/* SPDX-License-Identifier: Apache-2.0 */
#include "api/importance_json.h"

#include <math.h>

static void write_number(struct ig_json_out *out, const char *key, double value)
{
    if (isnan(value)) return;
    ig_json_out_key(out, ig_str_view(key));
    ig_json_out_f64(out, value);
}

static void write_item(struct ig_json_out *out, const struct ig_importance_item *item)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "feature", item->name);
    ig_json_out_kv_f64(out, "importance", item->importance);
    if (isfinite(item->half)) {
        ig_json_out_kv_f64(out, "low", item->importance - item->half);
        ig_json_out_kv_f64(out, "high", item->importance + item->half);
    }
    write_number(out, "sd", item->sd);
    write_number(out, "mean_contribution", item->mean);
    write_number(out, "max_contribution", item->largest);
    ig_json_out_object_end(out);
}

static void write_items(struct ig_json_out *out, const struct ig_importance_item *items,
                        size_t count, size_t top)
{
    ig_json_out_key(out, IG_STR("features"));
    ig_json_out_array(out);
    for (size_t i = 0; i < count && i < top; i++) write_item(out, &items[i]);
    ig_json_out_array_end(out);
}

static void write_answered(struct ig_json_out *out, const struct ig_importance_report *report)
{
    ig_json_out_key(out, IG_STR("answered"));
    ig_json_out_array(out);
    for (size_t i = 0; i < report->answered_count; i++) {
        const struct ig_row_answered *one = &report->answered[i];
        if (!one->rows) continue;
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "node", one->name);
        ig_json_out_kv_i64(out, "rows", (int64_t)one->rows);
        if (one->method) ig_json_out_kv_str(out, "method", ig_str_view(one->method));
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
}

static void write_parts(struct ig_json_out *out, const struct ig_importance_report *report,
                        size_t top)
{
    ig_json_out_key(out, IG_STR("models"));
    ig_json_out_array(out);
    for (size_t i = 0; i < report->parts_count; i++) {
        const struct ig_importance_part *part = &report->parts[i];
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "node", part->name);
        ig_json_out_kv_str(out, "model", part->model);
        ig_json_out_kv_i64(out, "version", part->version);
        if (part->failure.len)
            ig_json_out_kv_str(out, "failure", part->failure);
        else
            write_items(out, part->items, part->count, top);
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
}

void ig_importance_write(struct ig_json_out *out, const struct ig_importance_report *report,
                         size_t top)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "kind", report->kind);
    if (report->method) ig_json_out_kv_str(out, "method", ig_str_view(report->method));
    if (report->metric) {
        ig_json_out_kv_str(out, "metric", ig_str_view(report->metric));
        ig_json_out_kv_f64(out, "score", report->score);
    }
    if (report->rows_count) ig_json_out_kv_i64(out, "rows", (int64_t)report->rows_count);
    if (report->answered) write_answered(out, report);
    if (report->parts)
        write_parts(out, report, top);
    else
        write_items(out, report->items, report->count, top);
    ig_json_out_object_end(out);
}
