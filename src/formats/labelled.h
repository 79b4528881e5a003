/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_LABELLED_H
#define IG_FORMATS_LABELLED_H

/* A CSV table as a model takes it, with the truth beside each row. */

#include "formats/schema.h"

struct ig_labelled {
    double *rows;   /* rows_count x features_count: NaN is missing, a category its code */
    double *labels; /* number of the class, or the number; NULL without a target */
    size_t rows_count;
};

/* All of the table, in the arena. `target` empty: no labels; columns that are neither features nor
 * the target are passed over. INVALID names column, row and value: a label that is missing, no
 * class of the schema (of a model that knows its classes by number alone: not 0 to classes - 1), or
 * no number. */
enum ig_code ig_labelled_read(struct ig_labelled *out, struct ig_arena *arena, struct ig_str csv,
                              const struct ig_schema *schema, struct ig_str target,
                              struct ig_err *err);

#endif
