/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_BACKGROUND_H
#define IG_FORMATS_BACKGROUND_H

/* A background population read from a CSV table by a model's schema. */

#include "formats/schema.h"
#include "kernels/explain/background.h"

enum { IG_BACKGROUND_ROWS_MAX = 100000 };

/* Owns its rows. */
struct ig_background_table {
    struct ig_background background;
};

/* `csv` (plain or gzip) is borrowed during the call. Columns that are no features are passed over,
 * a feature without a column is an error. INVALID also for a table without rows or with more than
 * IG_BACKGROUND_ROWS_MAX. */
enum ig_code ig_background_table_read(struct ig_background_table **out, struct ig_str csv,
                                      const struct ig_schema *schema, struct ig_err *err);
void ig_background_table_free(struct ig_background_table *table); /* NULL is allowed */

#endif
