/* SPDX-License-Identifier: Apache-2.0 */
/* The table is read twice: by columns for the labels, and in the schema's order. Stateless. */
#include "formats/labelled.h"

#include "base/table.h"
#include "formats/rows.h"

#include <math.h>
#include <stdio.h>

enum { SHOWN_MAX = 64 };

static enum ig_code label_fails(struct ig_str target, size_t row, struct ig_str text,
                                const char *expected, struct ig_err *err)
{
    return ig_fail(err, IG_INVALID, "column '%.*s', row %zu: '%.*s' is no %s", IG_STR_ARGS(target),
                   row + 1, (int)(text.len > SHOWN_MAX ? SHOWN_MAX : text.len), text.ptr, expected);
}

static bool find_class(double *out, const struct ig_schema *schema, struct ig_str text,
                       double number)
{
    for (uint32_t i = 0; i < schema->classes_count; i++) {
        double named;
        bool same = isnan(number) ? ig_str_eq(schema->classes[i], text)
                                  : ig_str_to_f64(schema->classes[i], &named) && named == number;
        if (!same) continue;
        *out = i;
        return true;
    }
    return false;
}

static enum ig_code read_label(double *out, const struct ig_schema *schema,
                               const struct ig_column *column, size_t row, struct ig_err *err)
{
    bool numeric = column->type == IG_COLUMN_NUMERIC;
    double number = numeric ? column->values[row] : (double)NAN;
    char digits[32];
    struct ig_str text = IG_STR("");
    if (!numeric && column->codes[row] >= 0) text = column->categories[column->codes[row]];
    if (numeric && !isnan(number)) {
        snprintf(digits, sizeof digits, "%.17g", number);
        text = ig_str_view(digits);
    }
    bool classes = schema->task == IG_TASK_BINARY || schema->task == IG_TASK_MULTICLASS;
    if (!classes) {
        if (!isfinite(number)) return label_fails(column->name, row, text, "number", err);
    } else if (schema->classes_count) {
        if (!text.len || !find_class(&number, schema, text, number))
            return label_fails(column->name, row, text, "class of the model", err);
    } else if (!(number >= 0 && number == floor(number))) {
        return label_fails(column->name, row, text, "number of a class", err);
    }
    *out = number;
    return IG_OK;
}

static enum ig_code read_rows(struct ig_labelled *out, struct ig_str csv,
                              const struct ig_schema *schema, struct ig_err *err)
{
    const struct ig_rows_options options = {.ignore_others = true};
    struct ig_rows *rows = NULL;
    size_t done = 0, count = 1;
    if (ig_rows_open_bytes(&rows, csv, schema, &options, err) == IG_OK)
        while (count > 0 && done < out->rows_count) {
            if (ig_rows_next(rows, out->rows + done * schema->features_count,
                             out->rows_count - done, &count, err) != IG_OK)
                break;
            done += count;
        }
    ig_rows_close(rows);
    return err->code;
}

static enum ig_code read_labels(struct ig_labelled *out, const struct ig_table *table,
                                const struct ig_schema *schema, struct ig_str target,
                                struct ig_err *err)
{
    const struct ig_column *column = ig_table_column(table, target);
    if (!column)
        return ig_fail(err, IG_INVALID, "'%.*s' is no column of the table", IG_STR_ARGS(target));
    for (size_t row = 0; row < out->rows_count; row++)
        if (read_label(&out->labels[row], schema, column, row, err) != IG_OK) return err->code;
    return IG_OK;
}

enum ig_code ig_labelled_read(struct ig_labelled *out, struct ig_arena *arena, struct ig_str csv,
                              const struct ig_schema *schema, struct ig_str target,
                              struct ig_err *err)
{
    struct ig_csv *reader = NULL;
    struct ig_table *table = NULL;
    struct ig_labelled made = {NULL, NULL, 0};
    if (ig_csv_open_bytes(&reader, csv, NULL, err) == IG_OK &&
        ig_table_read(&table, reader, NULL, err) == IG_OK) {
        made.rows_count = table->rows_count;
        made.rows =
            ig_arena_array(arena, made.rows_count + 1, schema->features_count * sizeof(double));
        if (target.len) made.labels = ig_arena_array(arena, made.rows_count + 1, sizeof(double));
        if (!made.rows || (target.len && !made.labels))
            ig_fail(err, IG_NO_MEMORY, "no memory for %zu rows", made.rows_count);
        else if (!made.rows_count)
            ig_fail(err, IG_INVALID, "the table has no rows");
        else if (!target.len || read_labels(&made, table, schema, target, err) == IG_OK)
            read_rows(&made, csv, schema, err);
    }
    ig_table_free(table);
    ig_csv_close(reader);
    if (err->code == IG_OK) *out = made;
    return err->code;
}
