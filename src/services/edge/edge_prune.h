/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_EDGE_EDGE_PRUNE_H
#define IG_SERVICES_EDGE_EDGE_PRUNE_H

/* A smaller tree model of the same form. Two of three rows decide what goes, the third judges: what
 * is told of the loss comes from rows that nothing was chosen by. What is told of the result comes
 * from the file that was written, read again. Stateless; any thread. */

#include "base/json.h"
#include "formats/package.h"
#include "kernels/quantize/tree_compact.h"

enum ig_edge_prune_form {
    IG_EDGE_PRUNE_PACKAGE, /* XGBoost's JSON, or where it has no word for the model the compact
                              file; schema and golden rows */
    IG_EDGE_PRUNE_XGBOOST, /* XGBoost's JSON */
    IG_EDGE_PRUNE_COMPACT, /* the compact file */
};

struct ig_edge_prune {
    struct ig_str csv;    /* a table with a header, plain or gzip; ptr NULL: none */
    struct ig_str target; /* its column of the truth; empty: the model's own answers */
    enum ig_compact_want leaves;
    enum ig_edge_prune_form form;
    uint64_t leaves_max, bytes_max; /* where to end, of the compact file; 0: not by it */
    double
        loss_max; /* of the rows that judge; NaN: 1 % above the model's own, without the others */
    bool whole_trees, refit;
};

struct ig_edge_prune_side {
    uint32_t trees, leaves;
    uint64_t bytes;        /* of the compact file */
    double loss, accuracy; /* of the rows that judge; NaN: there are none, or it does not apply */
};
struct ig_edge_pruned {
    struct ig_buf file;
    struct ig_edge_prune_side before, after;
    size_t fit_rows, judge_rows;
};
/* `out` is deinited by the caller, also after a failure. */
enum ig_code ig_edge_prune_run(struct ig_edge_pruned *out, const struct ig_package *package,
                               const struct ig_edge_prune *options, struct ig_err *err);
void ig_edge_pruned_deinit(struct ig_edge_pruned *pruned);
/* The report as members of the object that is open. */
void ig_edge_pruned_write(struct ig_json_out *out, const struct ig_edge_pruned *pruned);

#endif
