/* SPDX-License-Identifier: Apache-2.0 */
/* Quantization's report. Stateless. */
#include "services/edge/edge_quantize.h"

static void write_int8(struct ig_json_out *out, const struct ig_quantize_report *report,
                       bool layers)
{
    ig_json_out_kv_i64(out, "float_bytes", (int64_t)report->float_bytes);
    ig_json_out_kv_i64(out, "int8_bytes", (int64_t)report->int8_bytes);
    ig_json_out_kv_f64(out, "error", report->error);
    ig_json_out_kv_f64(out, "error_min_max", report->error_min_max);
    ig_json_out_kv_bool(out, "equalized", report->equalized);
    ig_json_out_kv_bool(out, "bias_corrected", report->corrected);
    ig_json_out_kv_bool(out, "input_gains", report->gained);
    ig_json_out_kv_bool(out, "tuned", report->tuned);
    if (report->layers_count)
        ig_json_out_kv_i64(out, "worst_layer", report->layers[report->worst_layer].layer);
    if (!layers) return;
    ig_json_out_key(out, IG_STR("layers"));
    ig_json_out_array(out);
    for (uint32_t i = 0; i < report->layers_count; i++) {
        ig_json_out_object(out);
        ig_json_out_kv_i64(out, "layer", report->layers[i].layer);
        ig_json_out_kv_f64(out, "error", report->layers[i].error);
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
}

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
    if (quantized->has_int8) write_int8(out, &quantized->int8, layers);
    if (quantized->judged) {
        write_metrics(out, "before", &quantized->before);
        write_metrics(out, "after", &quantized->after);
    }
    ig_nn_estimate_write(out, &quantized->estimate);
}
