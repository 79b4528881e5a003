/* SPDX-License-Identifier: Apache-2.0 */
/* golden.csv: rows with their margins, proof that a package answers here as it did where it was
 * made.
 *
 * Header: the feature names in model order, then "margin" or "margin:0", "margin:1", ... Cells are
 * the model's own values (a category as its code, empty = missing), %.17g, so nothing is lost. */
#include "base/csv.h"
#include "base/mem.h"
#include "formats/package_priv.h"

#include <math.h>

/* One row's memory. */
struct row {
    double *values;
    double *margins;
    double *expected;
    void *scratch;
};

static bool row_init(struct row *row, const struct ig_engine *engine, struct ig_err *err)
{
    const struct ig_model *model = ig_engine_model(engine);
    size_t scratch = ig_engine_scratch_bytes(engine, IG_ENGINE_MARGIN, 1);
    row->values = ig_zalloc_array(model->features_count, sizeof(double));
    row->margins = ig_zalloc_array(model->outputs_count, sizeof(double));
    row->expected = ig_zalloc_array(model->outputs_count, sizeof(double));
    row->scratch = ig_alloc_aligned(64, scratch ? scratch : 64);
    if (row->values && row->margins && row->expected && row->scratch) return true;
    ig_fail(err, IG_NO_MEMORY, "golden rows: out of memory");
    return false;
}

static void row_deinit(struct row *row)
{
    ig_free(row->values);
    ig_free(row->margins);
    ig_free(row->expected);
    ig_free(row->scratch);
}

static void add_quoted(struct ig_buf *csv, struct ig_str name)
{
    ig_buf_add_char(csv, '"');
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '"') ig_buf_add_char(csv, '"');
        ig_buf_add_char(csv, name.ptr[i]);
    }
    ig_buf_add_char(csv, '"');
}

static void add_header(struct ig_buf *csv, const struct ig_schema *schema, uint32_t outputs)
{
    for (uint32_t i = 0; i < schema->features_count; i++) {
        add_quoted(csv, schema->features[i].name);
        ig_buf_add_char(csv, ',');
    }
    for (uint32_t i = 0; outputs > 1 && i < outputs; i++)
        ig_buf_printf(csv, "margin:%u%s", i, i + 1 < outputs ? "," : "\n");
    if (outputs == 1) ig_buf_add_cstr(csv, "margin\n");
}

enum ig_code pkg_golden_write(struct ig_buf *csv, const struct ig_package_spec *spec,
                              const struct ig_engine *engine, struct ig_err *err)
{
    const struct ig_model *model = ig_engine_model(engine);
    struct row row = {0};
    if (spec->golden_count > PKG_GOLDEN_MAX_ROWS)
        return ig_fail(err, IG_TOO_LARGE, "golden rows: %zu, at most %d", spec->golden_count,
                       PKG_GOLDEN_MAX_ROWS);
    if (!row_init(&row, engine, err)) goto out;
    add_header(csv, spec->schema, model->outputs_count);
    for (size_t i = 0; i < spec->golden_count; i++) {
        const double *values = spec->golden_rows + i * model->features_count;
        ig_engine_margin(engine, values, 1, row.margins, row.scratch);
        if (ig_engine_check(engine, row.margins, model->outputs_count, err) != IG_OK) goto out;
        for (uint32_t j = 0; j < model->features_count; j++) {
            if (!isnan(values[j])) ig_buf_printf(csv, "%.17g", values[j]);
            ig_buf_add_char(csv, ',');
        }
        for (uint32_t j = 0; j < model->outputs_count; j++)
            ig_buf_printf(csv, "%.17g%c", row.margins[j],
                          j + 1 < model->outputs_count ? ',' : '\n');
    }
    if (csv->overflowed)
        ig_fail(err, IG_TOO_LARGE, "golden.csv: more than %zu bytes", csv->max_bytes);
out:
    row_deinit(&row);
    return err->code;
}

static bool check_header(const struct ig_package *package, const struct ig_str *fields,
                         size_t count, struct ig_err *err)
{
    const struct ig_schema *schema = &package->schema;
    size_t expected = (size_t)schema->features_count + package->model->outputs_count;
    if (count != expected) {
        ig_fail(err, IG_CORRUPT, "golden.csv: %zu columns, expected %zu", count, expected);
        return false;
    }
    for (uint32_t i = 0; i < schema->features_count; i++) {
        if (ig_str_eq(fields[i], schema->features[i].name)) continue;
        ig_fail(err, IG_CORRUPT, "golden.csv: column '%.*s', expected '%.*s'",
                (int)(fields[i].len < 80 ? fields[i].len : 80), fields[i].ptr,
                IG_STR_ARGS(schema->features[i].name));
        return false;
    }
    return true;
}

static bool parse_row(const struct ig_package *package, struct row *row,
                      const struct ig_str *fields, struct ig_err *err)
{
    uint32_t features = package->model->features_count;
    size_t count = (size_t)features + package->model->outputs_count;
    for (size_t i = 0; i < count; i++) {
        double *cell = i < features ? &row->values[i] : &row->expected[i - features];
        *cell = NAN;
        if (fields[i].len == 0 && i < features) continue;
        if (ig_str_to_f64(fields[i], cell)) continue;
        ig_fail(err, IG_CORRUPT, "golden row %u: '%.*s' is not a number",
                package->golden_rows_count, (int)(fields[i].len < 80 ? fields[i].len : 80),
                fields[i].ptr);
        return false;
    }
    return true;
}

static bool agrees(double expected, double computed, double tolerance)
{
    return expected == computed || fabs(expected - computed) <= tolerance;
}

static bool check_row(const struct ig_package *package, struct row *row, double tolerance,
                      struct ig_err *err)
{
    ig_engine_margin(package->engine, row->values, 1, row->margins, row->scratch);
    if (ig_engine_check(package->engine, row->margins, package->model->outputs_count, err) !=
        IG_OK) {
        ig_err_prefix(err, "golden row %u", package->golden_rows_count);
        return false;
    }
    for (uint32_t i = 0; i < package->model->outputs_count; i++) {
        if (agrees(row->expected[i], row->margins[i], tolerance)) continue;
        ig_fail(err, IG_CORRUPT, "golden row %u: margin %.17g expected, %.17g computed (output %u)",
                package->golden_rows_count, row->expected[i], row->margins[i], i);
        return false;
    }
    return true;
}

enum ig_code pkg_golden_check(struct ig_package *package, struct ig_str bytes, double tolerance,
                              struct ig_err *err)
{
    struct ig_csv_options options = {.separator = ','};
    size_t columns = (size_t)package->model->features_count + package->model->outputs_count;
    const struct ig_str *fields;
    struct ig_csv *csv = NULL;
    struct row row = {0};
    size_t count;
    options.fields_max = columns + 1;
    options.record_max_bytes = bytes.len + 1;
    if (!row_init(&row, package->engine, err)) goto out;
    if (ig_csv_open_bytes(&csv, bytes, &options, err) != IG_OK) goto out;
    if (!ig_csv_next(csv, &fields, &count, err) || !check_header(package, fields, count, err)) {
        ig_fail(err, IG_CORRUPT, "golden.csv: no header");
        goto out;
    }
    while (ig_csv_next(csv, &fields, &count, err)) {
        if (package->golden_rows_count == PKG_GOLDEN_MAX_ROWS)
            ig_fail(err, IG_TOO_LARGE, "golden.csv: more than %d rows", PKG_GOLDEN_MAX_ROWS);
        else if (count != columns)
            ig_fail(err, IG_CORRUPT, "golden row %u: %zu cells, expected %zu",
                    package->golden_rows_count, count, columns);
        else if (parse_row(package, &row, fields, err))
            check_row(package, &row, tolerance, err);
        if (err->code != IG_OK) goto out;
        package->golden_rows_count++;
    }
out:
    ig_csv_close(csv);
    row_deinit(&row);
    return err->code;
}
