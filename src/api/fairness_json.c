/* SPDX-License-Identifier: Apache-2.0 */
#include "api/fairness_json.h"

#include <math.h>

const char *ig_fairness_verdict_name(enum ig_fairness_verdict verdict)
{
    static const char *const NAMES[] = {
        [IG_FAIRNESS_UNKNOWN] = "unknown",
        [IG_FAIRNESS_PASS] = "pass",
        [IG_FAIRNESS_FAIL] = "fail",
        [IG_FAIRNESS_OPEN] = "open",
    };
    return NAMES[verdict];
}

static void write_number(struct ig_json_out *out, const char *key, double value)
{
    ig_json_out_key(out, ig_str_view(key));
    if (isfinite(value))
        ig_json_out_f64(out, value);
    else
        ig_json_out_null(out);
}

static void write_rate(struct ig_json_out *out, const char *key, struct ig_fairness_rate rate)
{
    ig_json_out_key(out, ig_str_view(key));
    if (isnan(rate.value)) {
        ig_json_out_null(out);
        return;
    }
    ig_json_out_object(out);
    write_number(out, "value", rate.value);
    write_number(out, "low", rate.low);
    write_number(out, "high", rate.high);
    ig_json_out_object_end(out);
}

static void write_group(struct ig_json_out *out, const struct ig_fairness_table *table,
                        struct ig_str name, const struct ig_fairness_group *group)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "group", name);
    ig_json_out_kv_i64(out, "rows", (int64_t)group->rows);
    ig_json_out_kv_bool(out, "compared", group->compared);
    write_rate(out, "selection_rate", group->selection_rate);
    if (table->has_labels) {
        ig_json_out_kv_i64(out, "labelled", (int64_t)group->labelled);
        write_rate(out, "base_rate", group->base_rate);
        write_rate(out, "true_positive_rate", group->true_positive_rate);
        write_rate(out, "false_positive_rate", group->false_positive_rate);
        write_rate(out, "precision", group->precision);
        write_rate(out, "accuracy", group->accuracy);
    }
    if (table->has_scores) write_number(out, "mean_score", group->mean_score);
    if (table->has_scores && table->has_labels) {
        write_rate(out, "calibration", group->calibration);
        write_rate(out, "brier_score", group->brier);
        write_rate(out, "calibration_error", group->calibration_error);
    }
    ig_json_out_object_end(out);
}

static void write_gap(struct ig_json_out *out, const char *key,
                      const struct ig_fairness_column *column, const struct ig_fairness_gap *gap)
{
    ig_json_out_key(out, ig_str_view(key));
    if (isnan(gap->difference.value)) {
        ig_json_out_null(out);
        return;
    }
    ig_json_out_object(out);
    write_rate(out, "difference", gap->difference);
    write_rate(out, "ratio", gap->ratio);
    ig_json_out_kv_str(out, "most", column->group_names[gap->most]);
    ig_json_out_kv_str(out, "least", column->group_names[gap->least]);
    ig_json_out_object_end(out);
}

static void write_gaps(struct ig_json_out *out, const struct ig_fairness_table *table,
                       const struct ig_fairness_column *column)
{
    const struct ig_fairness_report *report = &column->report;
    write_gap(out, "demographic_parity", column, &report->demographic_parity);
    ig_json_out_kv_str(out, "four_fifths",
                       ig_str_view(ig_fairness_verdict_name(report->four_fifths)));
    if (!table->has_labels) return;
    write_gap(out, "equal_opportunity", column, &report->equal_opportunity);
    write_gap(out, "false_positive_rate", column, &report->false_positives);
    write_rate(out, "equalized_odds_difference", report->equalized_odds_difference);
    write_rate(out, "equalized_odds_ratio", report->equalized_odds_ratio);
    write_gap(out, "precision", column, &report->precision);
    write_gap(out, "accuracy", column, &report->accuracy);
}

static void write_attributions(struct ig_json_out *out, const struct ig_fairness_column *column,
                               size_t top)
{
    ig_json_out_key(out, IG_STR("attribution_gaps"));
    ig_json_out_array(out);
    for (size_t i = 0; i < column->attributions_count && i < top; i++) {
        const struct ig_fairness_attribution *gap = &column->attributions[i];
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "feature", gap->feature);
        write_rate(out, "difference", gap->difference);
        ig_json_out_kv_str(out, "most", column->group_names[gap->most]);
        ig_json_out_kv_str(out, "least", column->group_names[gap->least]);
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
}

static void write_answered(struct ig_json_out *out, const struct ig_fairness_table *table)
{
    ig_json_out_key(out, IG_STR("answered"));
    ig_json_out_array(out);
    for (size_t i = 0; i < table->answered_count; i++) {
        if (!table->answered[i].rows) continue;
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "node", table->answered[i].name);
        ig_json_out_kv_i64(out, "rows", (int64_t)table->answered[i].rows);
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
}

void ig_fairness_write(struct ig_json_out *out, const struct ig_fairness_table *table, size_t top)
{
    ig_json_out_object(out);
    ig_json_out_kv_i64(out, "rows", (int64_t)table->rows_count);
    ig_json_out_kv_str(out, "positive", table->positive);
    if (table->answered) write_answered(out, table);
    ig_json_out_key(out, IG_STR("protected"));
    ig_json_out_array(out);
    for (size_t c = 0; c < table->columns_count; c++) {
        const struct ig_fairness_column *column = &table->columns[c];
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "column", column->name);
        ig_json_out_key(out, IG_STR("groups"));
        ig_json_out_array(out);
        for (uint32_t g = 0; g < column->groups_count; g++)
            write_group(out, table, column->group_names[g], &column->report.groups[g]);
        ig_json_out_array_end(out);
        write_gaps(out, table, column);
        if (column->attributions) write_attributions(out, column, top);
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
    ig_json_out_object_end(out);
}
