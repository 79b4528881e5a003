/* SPDX-License-Identifier: Apache-2.0 */
/* The label column is read as a row of one feature, whose categories are the classes. Thread rule:
 * one thread. */
#include "services/edge/edge_quantize.h"

#include "base/mem.h"
#include "formats/rows.h"

#include <math.h>
#include <string.h>

enum { BLOCK_ROWS = 1024 };

static bool classifies(const struct ig_schema *schema)
{
    return schema->task == IG_TASK_BINARY || schema->task == IG_TASK_MULTICLASS;
}

static enum ig_code read_values(struct ig_edge_labels *out, struct ig_rows *rows,
                                const struct ig_schema *column, struct ig_arena *arena,
                                struct ig_err *err)
{
    double block[BLOCK_ROWS];
    size_t count = 0, cap = 0, got = 0;
    double *values = NULL;
    for (;;) {
        if (ig_rows_next(rows, block, BLOCK_ROWS, &got, err) != IG_OK) return err->code;
        if (got == 0) break;
        for (size_t i = 0; i < got; i++) {
            if (column->features[0].type == IG_FEATURE_CATEGORICAL && block[i] < 0)
                return ig_fail(err, IG_INVALID,
                               "row %zu: '%.*s' holds a class that the model lacks", count + 1,
                               IG_STR_ARGS(column->features[0].name));
            values = ig_arena_grow(arena, values, count, &cap, sizeof *values);
            if (!values) return ig_fail(err, IG_NO_MEMORY, "labels");
            values[count++] = block[i];
        }
    }
    *out = (struct ig_edge_labels){values, count};
    return IG_OK;
}

/* A wanted column that is not there is an error, the package's own is passed over. */
static enum ig_code read_column(struct ig_edge_labels *out, struct ig_str csv,
                                struct ig_schema *column, bool wanted, struct ig_arena *arena,
                                struct ig_err *err)
{
    const struct ig_rows_options options = {.ignore_others = true};
    struct ig_err own = IG_ERR_INIT;
    struct ig_rows *rows = NULL;
    if (ig_rows_open_bytes(&rows, csv, column, &options, &own) == IG_OK)
        read_values(out, rows, column, arena, err);
    else if (wanted)
        *err = own;
    ig_rows_close(rows);
    if (err->code != IG_OK) ig_err_prefix(err, "label");
    return err->code;
}

enum ig_code ig_edge_labels_read(struct ig_edge_labels *out, struct ig_str csv,
                                 struct ig_str wanted, const struct ig_schema *schema,
                                 struct ig_arena *arena, struct ig_err *err)
{
    struct ig_feature feature = {.name = wanted.len ? wanted : schema->target};
    struct ig_schema column = {.features = &feature, .features_count = 1};
    *out = (struct ig_edge_labels){0};
    if (!feature.name.len) return IG_OK;
    if (classifies(schema)) {
        feature.type = IG_FEATURE_CATEGORICAL;
        feature.categories = schema->classes;
        feature.categories_count = schema->classes_count;
    }
    if (ig_schema_index(&column, err) == IG_OK)
        read_column(out, csv, &column, wanted.len > 0, arena, err);
    ig_schema_deinit(&column);
    return err->code;
}

/* ---- judging ---- */

static enum ig_code metrics_of(struct ig_metrics *out, const struct ig_schema *schema,
                               const double *labels, const double *values, size_t count,
                               struct ig_err *err)
{
    if (schema->task == IG_TASK_BINARY) return ig_metrics_binary(out, labels, values, count, err);
    if (schema->task == IG_TASK_MULTICLASS)
        ig_metrics_multiclass(out, labels, values, count, schema->classes_count);
    else
        ig_metrics_regression(out, labels, values, count);
    return IG_OK;
}

enum ig_code ig_edge_labels_judge(struct ig_metrics *out, const struct ig_edge_labels *labels,
                                  const struct ig_schema *schema,
                                  const struct ig_predictor *predictor, const double *rows,
                                  struct ig_err *err)
{
    uint32_t each = predictor->values_count;
    uint32_t expected = schema->task == IG_TASK_MULTICLASS ? schema->classes_count : 1;
    size_t kept = 0;
    if (each != expected)
        return ig_fail(err, IG_UNSUPPORTED, "label: a model of %u outputs is not judged", each);
    double *truth = ig_zalloc_array(labels->count + 1, sizeof *truth);
    double *values = ig_zalloc_array(labels->count + 1, each * sizeof *values);
    void *scratch = ig_alloc_aligned(64, predictor->scratch_bytes(predictor, 1) + 64);
    enum ig_code code = truth && values && scratch ? IG_OK : ig_fail(err, IG_NO_MEMORY, "metrics");
    for (size_t i = 0; i < labels->count && code == IG_OK; i++) {
        if (isnan(labels->values[i])) continue;
        truth[kept] = labels->values[i];
        predictor->run(predictor, rows + i * predictor->features_count, 1, values + kept++ * each,
                       scratch);
    }
    if (code == IG_OK) code = metrics_of(out, schema, truth, values, kept, err);
    ig_free(scratch);
    ig_free(values);
    ig_free(truth);
    return code;
}
