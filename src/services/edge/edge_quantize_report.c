/* SPDX-License-Identifier: Apache-2.0 */
/* Quantization's report. Stateless. */
#include "services/edge/edge_quantize.h"

static void write_metrics(struct ig_json_out *out, const char *key,
                          const struct ig_metrics *metrics)
{
    ig_json_out_key(out, ig_str_view(key));
    ig_json_out_object(out);
    ig_metrics_write(out, metrics);
    ig_json_out_object_end(out);
}

void ig_edge_quantized_write(struct ig_json_out *out, const struct ig_edge_quantized *quantized,
                             bool layers)
{
    ig_json_out_kv_i64(out, "file_bytes", (int64_t)quantized->file.len);
    ig_json_out_kv_i64(out, "source_bytes", (int64_t)quantized->source_bytes);
    if (quantized->rows_count) ig_json_out_kv_i64(out, "rows", (int64_t)quantized->rows_count);
    if (quantized->has_int8) ig_quantize_report_write(out, &quantized->int8, layers);
    if (quantized->judged) {
        write_metrics(out, "before", &quantized->before);
        write_metrics(out, "after", &quantized->after);
    }
    ig_nn_estimate_write(out, &quantized->estimate);
}
