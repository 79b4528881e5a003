/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_FAIRNESS_REPORT_H
#define IG_FORMATS_FAIRNESS_REPORT_H

/* Bias of decisions over a CSV table: rows are grouped by protected columns, decided by a model, a
 * score column or a decision column, and compared by kernels/stats/fairness.h. With a model also
 * the attribution gap: by how much a feature's mean contribution differs between groups. Pure. */

#include "formats/row_models.h"
#include "kernels/stats/fairness.h"

enum {
    IG_FAIRNESS_COLUMNS_MAX = 8,
    IG_FAIRNESS_GROUPS_MAX = 256, /* of one column, or of an intersection */
    IG_FAIRNESS_VALUES_MAX = 12,  /* a numeric column with more values is cut into quartiles */
};

struct ig_fairness_spec {
    const struct ig_str *columns; /* protected ones */
    size_t columns_count;         /* 1 to IG_FAIRNESS_COLUMNS_MAX */
    bool intersections;           /* also by all columns at once */
    struct ig_str label;          /* column of the truth; or empty */
    struct ig_str positive;       /* its favourable value; empty: the schema's last class, or 1 */
    struct ig_str decision;       /* column of decisions, by the same value; or empty */
    struct ig_str score;          /* column of probabilities; or empty */
    double threshold;             /* a score from it on is a positive decision */
    size_t rows_min;              /* groups below it are reported, not compared; 0: 30 */
    bool attributions;            /* with a model that has exact contributions */
};

/* Of one feature, between the groups of its greatest and least mean contribution (95%, Welch). */
struct ig_fairness_attribution {
    struct ig_str feature;
    uint32_t most, least;
    struct ig_fairness_rate difference; /* in margin units */
};

struct ig_fairness_column {
    struct ig_str name; /* "sex", "sex & race" */
    const struct ig_str *group_names;
    uint32_t groups_count;
    struct ig_fairness_report report;
    const struct ig_fairness_attribution *attributions; /* by falling difference; or NULL */
    uint32_t attributions_count;
};

struct ig_fairness_table {
    size_t rows_count;
    struct ig_str positive; /* as it was understood */
    bool has_labels, has_scores;
    struct ig_fairness_column *columns;
    size_t columns_count;
    const struct ig_row_answered *answered; /* by models that are chosen among; else NULL */
    size_t answered_count;
};

/* As ig_fairness_table_run, with models instead of a package; `models` may be NULL. Contributions
 * are those of the model that answered the row; UNSUPPORTED: it has no exact ones. */
enum ig_code ig_fairness_models_run(struct ig_fairness_table *out, struct ig_str csv,
                                    const struct ig_fairness_spec *spec,
                                    const struct ig_row_models *models, struct ig_arena *arena,
                                    struct ig_err *err);

/* Reads `csv` (plain or gzip, borrowed during the call); the report lives in `arena`. `package` may
 * be NULL when the table holds decisions or scores. Multi-class models: the decision is whether the
 * predicted class is `positive`, the score its probability. INVALID names the column and value: an
 * unknown or missing one, more than IG_FAIRNESS_GROUPS_MAX groups, a score outside 0..1. */
enum ig_code ig_fairness_table_run(struct ig_fairness_table *out, struct ig_str csv,
                                   const struct ig_fairness_spec *spec,
                                   const struct ig_package *package, struct ig_arena *arena,
                                   struct ig_err *err);

#endif
