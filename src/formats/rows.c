/* SPDX-License-Identifier: Apache-2.0 */
/* Maps CSV columns to features. Owns what it opened; holds one record at a time, so memory does not
 * grow with the file. Columns match by name; a model whose features have no names of their own
 * (f0.. or Column_0..) takes them by position when no name matches. */
#include "formats/rows.h"

#include "base/csv.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

enum { IGNORED = -1 };

struct ig_rows {
    struct ig_rows_options options;
    const struct ig_schema *schema;
    struct ig_csv *csv;
    int32_t *feature_by_column; /* or IGNORED */
    size_t columns_count;
    bool first_pending; /* the first record is a row, already read */
    const struct ig_str *fields;
    size_t fields_count;
};

/* Whether `drop` means this column: by its name in the header, or without one as "f2" or "2". */
static bool is_meant(const struct ig_rows *rows, const char *drop, size_t column)
{
    char text[32];
    if (!rows->options.no_header) return ig_str_is(rows->fields[column], drop);
    snprintf(text, sizeof text, "f%zu", column);
    return strcmp(drop, text) == 0 || strcmp(drop, text + 1) == 0;
}

static bool is_dropped(const struct ig_rows *rows, size_t column)
{
    for (size_t i = 0; i < rows->options.drop_count; i++)
        if (is_meant(rows, rows->options.drop[i], column)) return true;
    return false;
}

static bool names_are_generic(const struct ig_schema *schema)
{
    char name[32];
    for (uint32_t i = 0; i < schema->features_count; i++) {
        snprintf(name, sizeof name, "f%u", i);
        if (ig_str_is(schema->features[i].name, name)) continue;
        snprintf(name, sizeof name, "Column_%u", i);
        if (!ig_str_is(schema->features[i].name, name)) return false;
    }
    return true;
}

static bool any_name_matches(const struct ig_rows *rows)
{
    for (size_t i = 0; i < rows->fields_count; i++)
        if (ig_schema_feature_index(rows->schema, rows->fields[i]) >= 0) return true;
    return false;
}

static enum ig_code map_by_position(struct ig_rows *rows, struct ig_err *err)
{
    uint32_t next = 0;
    for (size_t i = 0; i < rows->columns_count; i++) {
        rows->feature_by_column[i] = IGNORED;
        if (is_dropped(rows, i)) continue;
        if (next < rows->schema->features_count) rows->feature_by_column[i] = (int32_t)next;
        next++;
    }
    if (next == rows->schema->features_count) return IG_OK;
    return ig_fail(err, IG_INVALID,
                   "%u columns, the model has %u features (columns can be dropped; "
                   "without a header they are named f0, f1, ...)",
                   next, rows->schema->features_count);
}

/* The names of features that no column gives, for a message; returns how many. */
static uint32_t missing_names(const struct ig_rows *rows, const bool *seen, char *text, size_t size)
{
    uint32_t missing = 0;
    size_t length = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < rows->schema->features_count; i++) {
        if (seen[i]) continue;
        struct ig_str name = rows->schema->features[i].name;
        if (missing++ < 5 && length < size)
            length += (size_t)snprintf(text + length, size - length, "%s'%.*s'",
                                       missing > 1 ? ", " : "", IG_STR_ARGS(name));
    }
    return missing;
}

static enum ig_code check_all_seen(const struct ig_rows *rows, const bool *seen, struct ig_err *err)
{
    char text[256];
    uint32_t missing = missing_names(rows, seen, text, sizeof text);
    if (!missing) return IG_OK;
    return ig_fail(err, IG_INVALID, "the header lacks %u of the model's features: %s%s", missing,
                   text, missing > 5 ? ", ..." : "");
}

static enum ig_code map_column(struct ig_rows *rows, size_t column, bool *seen, struct ig_err *err)
{
    struct ig_str name = rows->fields[column];
    int32_t feature = ig_schema_feature_index(rows->schema, name);
    rows->feature_by_column[column] = IGNORED;
    if (is_dropped(rows, column)) return IG_OK;
    if (feature < 0 && rows->options.ignore_others) return IG_OK;
    if (feature < 0 && rows->schema->target.len && ig_str_eq(name, rows->schema->target))
        return IG_OK;
    if (feature < 0)
        return ig_fail(err, IG_INVALID,
                       "column '%.*s' is not a feature of the model (drop it to ignore it)",
                       IG_STR_ARGS(name));
    if (seen[feature])
        return ig_fail(err, IG_INVALID, "column '%.*s' stands twice in the header",
                       IG_STR_ARGS(name));
    seen[feature] = true;
    rows->feature_by_column[column] = feature;
    return IG_OK;
}

static enum ig_code map_by_name(struct ig_rows *rows, struct ig_err *err)
{
    bool *seen = ig_zalloc_array(rows->schema->features_count + 1, sizeof *seen);
    if (!seen) return ig_fail(err, IG_NO_MEMORY, "no memory for the header");
    for (size_t i = 0; i < rows->columns_count; i++)
        if (map_column(rows, i, seen, err) != IG_OK) goto out;
    check_all_seen(rows, seen, err);
out:
    ig_free(seen);
    return err->code;
}

static enum ig_code check_drops(const struct ig_rows *rows, struct ig_err *err)
{
    for (size_t i = 0; i < rows->options.drop_count; i++) {
        const char *drop = rows->options.drop[i];
        bool found = false;
        for (size_t k = 0; k < rows->columns_count && !found; k++) found = is_meant(rows, drop, k);
        if (!found) return ig_fail(err, IG_INVALID, "there is no column '%s' to drop", drop);
    }
    return IG_OK;
}

static enum ig_code read_header(struct ig_rows *rows, struct ig_err *err)
{
    bool no_header = rows->options.no_header;
    if (!ig_csv_next(rows->csv, &rows->fields, &rows->fields_count, err)) {
        if (err->code != IG_OK) return err->code;
        if (no_header) return IG_OK;
        return ig_fail(err, IG_PARSE, "the table is empty, a header was expected");
    }
    rows->columns_count = rows->fields_count;
    rows->feature_by_column = ig_zalloc_array(rows->columns_count, sizeof(int32_t));
    if (!rows->feature_by_column) return ig_fail(err, IG_NO_MEMORY, "no memory for the header");
    if (check_drops(rows, err) != IG_OK) return err->code;
    rows->first_pending = no_header;
    if (no_header || (names_are_generic(rows->schema) && !any_name_matches(rows)))
        return map_by_position(rows, err);
    return map_by_name(rows, err);
}

static enum ig_code open_rows(struct ig_rows **out, struct ig_rows *rows, struct ig_err *err)
{
    if (rows->csv) read_header(rows, err);
    if (err->code != IG_OK) {
        ig_rows_close(rows);
        return err->code;
    }
    *out = rows;
    return IG_OK;
}

static struct ig_rows *new_rows(const struct ig_schema *schema,
                                const struct ig_rows_options *options, struct ig_err *err)
{
    struct ig_rows *rows = ig_zalloc(sizeof *rows);
    if (!rows) {
        ig_fail(err, IG_NO_MEMORY, "no memory for reading rows");
        return NULL;
    }
    if (options) rows->options = *options;
    rows->schema = schema;
    return rows;
}

enum ig_code ig_rows_open_fd(struct ig_rows **out, int fd, const struct ig_schema *schema,
                             const struct ig_rows_options *options, struct ig_err *err)
{
    struct ig_rows *rows = new_rows(schema, options, err);
    if (!rows) return err->code;
    ig_csv_open_fd(&rows->csv, fd, NULL, err);
    return open_rows(out, rows, err);
}

enum ig_code ig_rows_open_bytes(struct ig_rows **out, struct ig_str bytes,
                                const struct ig_schema *schema,
                                const struct ig_rows_options *options, struct ig_err *err)
{
    struct ig_rows *rows = new_rows(schema, options, err);
    if (!rows) return err->code;
    ig_csv_open_bytes(&rows->csv, bytes, NULL, err);
    return open_rows(out, rows, err);
}

void ig_rows_close(struct ig_rows *rows)
{
    if (!rows) return;
    if (rows->csv) ig_csv_close(rows->csv);
    ig_free(rows->feature_by_column);
    ig_free(rows);
}

static enum ig_code parse_record(struct ig_rows *rows, double *values, struct ig_err *err)
{
    if (rows->fields_count != rows->columns_count)
        return ig_fail(err, IG_PARSE, "line %llu has %zu fields, %zu were expected",
                       (unsigned long long)ig_csv_line(rows->csv), rows->fields_count,
                       rows->columns_count);
    for (size_t i = 0; i < rows->columns_count; i++) {
        int32_t feature = rows->feature_by_column[i];
        if (feature == IGNORED) continue;
        if (ig_feature_parse_cell(&values[feature], &rows->schema->features[feature],
                                  rows->fields[i], err) == IG_OK)
            continue;
        ig_err_prefix(err, "line %llu", (unsigned long long)ig_csv_line(rows->csv));
        return err->code;
    }
    return IG_OK;
}

enum ig_code ig_rows_next(struct ig_rows *rows, double *values, size_t max, size_t *count,
                          struct ig_err *err)
{
    size_t done = 0;
    while (done < max) {
        if (!rows->first_pending &&
            !ig_csv_next(rows->csv, &rows->fields, &rows->fields_count, err))
            break;
        rows->first_pending = false;
        if (!rows->fields_count) break;
        if (parse_record(rows, values + done * rows->schema->features_count, err) != IG_OK) break;
        done++;
    }
    if (err->code != IG_OK) return err->code;
    *count = done;
    return IG_OK;
}
