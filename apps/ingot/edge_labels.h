/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_APP_EDGE_LABELS_H
#define IG_APP_EDGE_LABELS_H

/* Labels that stand beside the rows of --input, and how a model does by them. */

#include "cli.h"

#include "formats/package.h"
#include "kernels/predictor.h"
#include "services/job/train_metrics.h"

struct ig_edge_labels {
    double *values; /* count: the class, or the number; NaN: none. In the arena; NULL: no column */
    size_t count;
};

/* Of the column that --label names; without it of the package's target, where the rows have such a
 * column. INVALID names the row of a class that the package does not know. */
enum ig_code ig_edge_labels_read(struct ig_edge_labels *out, const struct ig_cli *cli,
                                 const struct ig_package *package, struct ig_arena *arena,
                                 struct ig_err *err);
/* Of rows[count x features] that have a label. */
enum ig_code ig_edge_labels_judge(struct ig_metrics *out, const struct ig_edge_labels *labels,
                                  const struct ig_schema *schema,
                                  const struct ig_predictor *predictor, const double *rows,
                                  struct ig_err *err);

#endif
