/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_IMPORTANCE_REPORT_PRIV_H
#define IG_FORMATS_IMPORTANCE_REPORT_PRIV_H

/* The part of an importance report that is of a table. */

#include "formats/importance_report.h"

struct ig_importance_run {
    const struct ig_row_models *models;
    const struct ig_importance_spec *spec;
    struct ig_importance_report *out;
    struct ig_importance_item *items; /* out->count, unsorted */
    struct ig_table *table;
    double *rows, *labels; /* rows: in the schema's order */
    size_t rows_count;
    /* shap: called once the rows are there, before any model is asked; or NULL. */
    enum ig_code (*prepare)(struct ig_importance_run *run);
    void *context;
    struct ig_arena *arena;
    struct ig_err *err;
};

/* One unset item a player, in order. */
enum ig_code ig_importance_start_items(struct ig_importance_run *run,
                                       const struct ig_schema *schema,
                                       const struct ig_groups *groups);
enum ig_code ig_importance_no_memory(const struct ig_importance_run *run);
/* The caller frees run->table. */
enum ig_code ig_importance_shap(struct ig_importance_run *run);
enum ig_code ig_importance_permutation(struct ig_importance_run *run);
/* Rows spread over the table, as many as a background has here. */
enum ig_code ig_importance_background(struct ig_background *out, struct ig_importance_run *run);

#endif
