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
    ig_json_out_key(out, IG_STR("features"));
    ig_json_out_array(out);
    for (size_t i = 0; i < report->count && i < top; i++) write_item(out, &report->items[i]);
    ig_json_out_array_end(out);
    ig_json_out_object_end(out);
}
