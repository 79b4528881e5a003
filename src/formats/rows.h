/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_ROWS_H
#define IG_FORMATS_ROWS_H

/* The rows of a CSV table in a model's feature order, block by block. */

#include "formats/schema.h"

struct ig_rows;

struct ig_rows_options {
    bool no_header;          /* columns are in the model's order */
    const char *const *drop; /* columns to leave out: names, or without a header "f2" or "2" */
    size_t drop_count;
    bool ignore_others; /* pass over columns that are no features; else only over the target */
};

/* Reads the header. Errors name the columns that are missing or unknown. `schema`, `fd`, `bytes`
 * and the options' texts outlive the reader; `options` may be NULL. */
enum ig_code ig_rows_open_fd(struct ig_rows **out, int fd, const struct ig_schema *schema,
                             const struct ig_rows_options *options, struct ig_err *err);
enum ig_code ig_rows_open_bytes(struct ig_rows **out, struct ig_str bytes,
                                const struct ig_schema *schema,
                                const struct ig_rows_options *options, struct ig_err *err);
void ig_rows_close(struct ig_rows *rows); /* NULL is allowed */
/* Up to `max` rows of features_count doubles into `values`; *count is 0 at the end. Missing cells
 * are NaN, categories their codes. */
enum ig_code ig_rows_next(struct ig_rows *rows, double *values, size_t max, size_t *count,
                          struct ig_err *err);

#endif
