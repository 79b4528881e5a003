/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a background population into one growing array. Thread rule:
 * pure; the result is immutable. */
#include "formats/background.h"

#include "base/mem.h"
#include "formats/rows.h"

enum { BLOCK_ROWS = 256, CHUNK_BYTES = 1 << 16 };

static const size_t MEMORY_MAX = (size_t)2 << 30;

/* Room for another block, doubling. */
static double *grow(struct ig_background_table *table, size_t *cap, struct ig_err *err)
{
    struct ig_background *background = &table->background;
    size_t features = background->features_count, cells, bytes;
    if (background->rows_count + BLOCK_ROWS <= *cap) return (double *)(uintptr_t)background->rows;
    size_t rows = *cap ? *cap * 2 : BLOCK_ROWS;
    if (!ig_mul(&cells, rows, features) || !ig_mul(&bytes, cells, sizeof(double)) ||
        bytes > MEMORY_MAX) {
        ig_fail(err, IG_TOO_LARGE, "background: %zu rows of %zu features exceed 2 GiB", rows,
                features);
        return NULL;
    }
    double *fresh = ig_realloc((void *)(uintptr_t)background->rows, bytes);
    if (!fresh) {
        ig_fail(err, IG_NO_MEMORY, "background: no memory for %zu rows", rows);
        return NULL;
    }
    background->rows = fresh;
    *cap = rows;
    return fresh;
}

static enum ig_code read_rows(struct ig_background_table *table, struct ig_rows *rows,
                              struct ig_err *err)
{
    struct ig_background *background = &table->background;
    size_t cap = 0, count = 1;
    while (count > 0) {
        double *values = grow(table, &cap, err);
        if (!values) return err->code;
        if (ig_rows_next(rows, values + background->rows_count * background->features_count,
                         BLOCK_ROWS, &count, err) != IG_OK)
            return err->code;
        background->rows_count += count;
        if (background->rows_count > IG_BACKGROUND_ROWS_MAX)
            return ig_fail(err, IG_INVALID, "more than %d rows", IG_BACKGROUND_ROWS_MAX);
    }
    if (background->rows_count == 0) return ig_fail(err, IG_INVALID, "the table has no rows");
    return IG_OK;
}

enum ig_code ig_background_table_read(struct ig_background_table **out, struct ig_str csv,
                                      const struct ig_schema *schema, struct ig_err *err)
{
    struct ig_rows_options options = {.ignore_others = true};
    struct ig_rows *rows = NULL;
    struct ig_background_table *table = ig_zalloc(sizeof *table);
    if (!table) return ig_fail(err, IG_NO_MEMORY, "background: no memory");
    table->background.features_count = schema->features_count;
    if (ig_rows_open_bytes(&rows, csv, schema, &options, err) == IG_OK) read_rows(table, rows, err);
    ig_rows_close(rows);
    if (err->code == IG_OK) {
        *out = table;
        return IG_OK;
    }
    if (err->code != IG_NO_MEMORY && err->code != IG_TOO_LARGE) ig_err_prefix(err, "background");
    ig_background_table_free(table);
    return err->code;
}

void ig_background_table_free(struct ig_background_table *table)
{
    if (!table) return;
    ig_free((void *)(uintptr_t)table->background.rows);
    ig_free(table);
}
