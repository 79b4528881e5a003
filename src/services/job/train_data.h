/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_JOB_TRAIN_DATA_H
#define IG_SERVICES_JOB_TRAIN_DATA_H

/* From a table to what a booster trains on: features, labels, task, and the split.
 *
 * Every column but the target and those left out is a feature; rows without a target value are left
 * out. The task, when the objective is "auto":
 *
 *   - text target: 2 values binary, 3 to 100 multiclass, more are an error
 *   - integers: 2 different values binary, 3 to 20 multiclass, more regression
 *   - other numbers: regression
 *
 * Classes are in ascending order (text by bytes, numbers by value). A constant target is an error.
 * The validation rows are drawn by the seed, in the same share from each class. */

#include "base/table.h"
#include "formats/schema.h"
#include "services/job/job_drop.h"

enum {
    IG_TRAIN_CLASSES_MAX = 100,
    IG_TRAIN_AUTO_CLASSES_MAX = 20,
    IG_TRAIN_ROWS_MIN = 20,
    IG_TRAIN_CATEGORIES_MAX = 1 << 24 /* codes travel as floats */
};

struct ig_train_options {
    struct ig_str target;
    struct ig_drop drop;   /* columns left out */
    const char *objective; /* auto, binary, multiclass, regression */
    double validation_fraction;
    uint64_t seed;
};

struct ig_train_data {
    const struct ig_table *table; /* borrowed */
    struct ig_schema schema;      /* features, task, target, classes; indexed */
    const struct ig_column **features;
    size_t *train, *validation; /* row numbers of the table, ascending */
    size_t train_count, validation_count;
    size_t dropped_count; /* rows without a target value */
    double *labels;       /* by row number of the table: the class, or the value; NaN: none */
};

/* All of it in `arena` (maps aside: ig_train_data_deinit). INVALID errors name the column. */
enum ig_code ig_train_data_init(struct ig_train_data *out, const struct ig_table *table,
                                const struct ig_train_options *options, struct ig_arena *arena,
                                struct ig_err *err);
void ig_train_data_deinit(struct ig_train_data *data);
/* Feature values of a row in schema order: NaN = missing, a category = its code. */
void ig_train_data_row(const struct ig_train_data *data, size_t row, double *values);

#endif
