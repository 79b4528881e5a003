/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_TABLE_H
#define IG_BASE_TABLE_H

/* A table in memory by columns, with types inferred: a column is numeric when every non-missing
 * cell is a number, else categorical. Missing cells: empty, NA, NaN, nan, null, None, ? (as cells,
 * exact spelling). Numbers are doubles, NaN = missing. Categories are coded 0.. in ascending byte
 * order of their text; code -1 = missing. Immutable once read. */

#include "base/csv.h"

enum ig_column_type { IG_COLUMN_NUMERIC, IG_COLUMN_CATEGORICAL };

struct ig_column {
    struct ig_str name;
    enum ig_column_type type;
    bool integral; /* numeric: every present value is an integer below 2^53 */
    size_t missing_count;
    const double *values;            /* numeric: rows_count values; else NULL */
    const int32_t *codes;            /* categorical: rows_count codes; else NULL */
    const struct ig_str *categories; /* categorical: text of each code */
    size_t categories_count;
};

struct ig_table {
    struct ig_arena *arena; /* owns everything below */
    struct ig_column *columns;
    size_t columns_count;
    size_t rows_count;
};

struct ig_table_options {
    struct ig_csv_options csv;
    bool no_header;          /* columns are named f0, f1, ... */
    size_t rows_max;         /* 0: 100 million */
    size_t memory_max_bytes; /* 0: 8 GiB */
};

/* Reads all of `csv`. Errors: a ragged row, a duplicate or empty column name, a cap. */
enum ig_code ig_table_read(struct ig_table **out, struct ig_csv *csv,
                           const struct ig_table_options *options, struct ig_err *err);
enum ig_code ig_table_read_fd(struct ig_table **out, int fd, const struct ig_table_options *options,
                              struct ig_err *err);
void ig_table_free(struct ig_table *table);
const struct ig_column *ig_table_column(const struct ig_table *table,
                                        struct ig_str name); /* or NULL */
/* Whether a cell's text means "missing". */
bool ig_table_is_missing(struct ig_str cell);

#endif
