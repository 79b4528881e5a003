/* SPDX-License-Identifier: Apache-2.0 */
/* Quantization's report, as text and as JSON. */
#include "edge_report.h"

#include "base/json.h"

#include <math.h>
#include <stdio.h>

enum { TEXT_MAX = 1 << 26 };

static void print_int8(const struct ig_quantize_report *report)
{
    printf("constants      %zu bytes, as floats %zu\n", report->int8_bytes, report->float_bytes);
    printf("error          %.3g of the outputs' variance, by min-max %.3g\n", report->error,
           report->error_min_max);
    printf("equalized      %s\nbias corrected %s\n", report->equalized ? "yes" : "no",
           report->corrected ? "yes" : "no");
    for (uint32_t i = 0; i < report->layers_count; i++)
        printf("layer %-4u     %.3g%s\n", report->layers[i].layer, report->layers[i].error,
               i == report->worst_layer ? "  (worst)" : "");
}

static void print_metrics(const struct ig_edge_report *report)
{
    for (int i = 0; i < IG_METRICS_COUNT; i++)
        if (!isnan(report->after.values[i]))
            printf("%-14s %.6g, before %.6g\n", ig_metric_name((enum ig_metric)i),
                   report->after.values[i], report->before.values[i]);
}

void ig_edge_report_print(const struct ig_edge_report *report)
{
    const struct ig_nn_estimate *estimate = &report->estimate;
    printf("file           %zu bytes, before %zu\n", report->file_bytes, report->source_bytes);
    if (report->rows_count) printf("rows           %zu\n", report->rows_count);
    if (report->int8) print_int8(report->int8);
    if (report->judged) print_metrics(report);
    printf("on a device    %s, estimated\n", report->device->name);
    printf("  RAM          %zu bytes of activations\n", estimate->ram_bytes);
    printf("  flash        %zu bytes\n", estimate->flash_bytes);
    printf("  instructions %.0f a row, for %llu products in %s\n", estimate->instructions,
           (unsigned long long)estimate->products, estimate->int8 ? "int8" : "float");
    if (isnan(estimate->energy_microjoule))
        printf("  energy       no figure for this device\n");
    else
        printf("  energy       %.3g uJ a row\n", estimate->energy_microjoule);
}

static void write_int8(struct ig_json_out *out, const struct ig_quantize_report *report)
{
    ig_json_out_kv_i64(out, "float_bytes", (int64_t)report->float_bytes);
    ig_json_out_kv_i64(out, "int8_bytes", (int64_t)report->int8_bytes);
    ig_json_out_kv_f64(out, "error", report->error);
    ig_json_out_kv_f64(out, "error_min_max", report->error_min_max);
    ig_json_out_kv_bool(out, "equalized", report->equalized);
    ig_json_out_kv_bool(out, "bias_corrected", report->corrected);
    if (report->layers_count)
        ig_json_out_kv_i64(out, "worst_layer", report->layers[report->worst_layer].layer);
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

static void write_device(struct ig_json_out *out, const struct ig_edge_report *report)
{
    const struct ig_nn_estimate *estimate = &report->estimate;
    ig_json_out_key(out, IG_STR("estimate"));
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "device", ig_str_view(report->device->name));
    ig_json_out_kv_i64(out, "ram_bytes", (int64_t)estimate->ram_bytes);
    ig_json_out_kv_i64(out, "flash_bytes", (int64_t)estimate->flash_bytes);
    ig_json_out_kv_i64(out, "products", (int64_t)estimate->products);
    ig_json_out_kv_f64(out, "instructions", estimate->instructions);
    if (!isnan(estimate->energy_microjoule))
        ig_json_out_kv_f64(out, "energy_microjoule", estimate->energy_microjoule);
    ig_json_out_object_end(out);
}

void ig_edge_report_print_json(const struct ig_edge_report *report)
{
    struct ig_json_out out;
    struct ig_buf buf;
    ig_buf_init(&buf, TEXT_MAX);
    ig_json_out_init(&out, &buf);
    ig_json_out_object(&out);
    ig_json_out_kv_i64(&out, "file_bytes", (int64_t)report->file_bytes);
    ig_json_out_kv_i64(&out, "source_bytes", (int64_t)report->source_bytes);
    if (report->rows_count) ig_json_out_kv_i64(&out, "rows", (int64_t)report->rows_count);
    if (report->int8) write_int8(&out, report->int8);
    if (report->judged) {
        write_metrics(&out, "before", &report->before);
        write_metrics(&out, "after", &report->after);
    }
    write_device(&out, report);
    ig_json_out_object_end(&out);
    printf("%.*s\n", IG_STR_ARGS(ig_buf_view(&buf)));
    ig_buf_deinit(&buf);
}
