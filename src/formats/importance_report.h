/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_IMPORTANCE_REPORT_H
#define IG_FORMATS_IMPORTANCE_REPORT_H

/* Importance of features to a model, or to several of which one answers each row: as training left
 * it in the trees (importances.def), the mean size of contributions over a table ("shap"), or the
 * harm that shuffling a column does to a metric on a labelled table ("permutation"). Pure but for
 * what the models' callbacks do. */

#include "formats/groups.h"
#include "formats/row_models.h"
#include "kernels/explain/importance.h"
#include "kernels/explain/permutation_importance.h"

struct ig_importance_spec {
    struct ig_str kind;   /* "gain", ..., "shap", "permutation"; empty: shap with a table, else gain
                           * or, where a file has none, split */
    struct ig_str csv;    /* of shap and permutation; else empty */
    struct ig_str label;  /* permutation: column of the truth; empty: the schema's target */
    struct ig_str metric; /* permutation; empty: log_loss or error for classes, else rmse */
    uint64_t seed;
    uint64_t repeats;         /* permutation; 0: 5, at most 1000 */
    struct ig_str class_name; /* shap, several outputs: of which; empty: mean over all */
    struct ig_groups groups;  /* of the features of the rows; of trees: as if each were one */
};

struct ig_importance_item {
    struct ig_str name; /* feature or group */
    double importance;
    double half;          /* half-width of its 95% interval; NaN: none */
    double sd;            /* permutation: over repeats; else NaN */
    double mean, largest; /* shap: mean contribution, greatest |contribution|; else NaN */
};

/* One of several models, with the importance of its own trees. */
struct ig_importance_part {
    struct ig_str name; /* of its node */
    struct ig_str model;
    int64_t version;
    const struct ig_package *package;       /* or its face */
    bool meta;                              /* of a stack: it reads its members' predictions */
    const struct ig_importance_item *items; /* out: by falling importance */
    size_t count;
    struct ig_str failure; /* out: why there are none; else empty */
};

struct ig_importance_report {
    struct ig_str kind;
    const char *metric;                     /* permutation; else NULL */
    const char *method;                     /* shap: of all contributions; else NULL */
    double score;                           /* permutation: of the table as it is */
    size_t rows_count;                      /* of the table; 0: none */
    const struct ig_importance_item *items; /* by falling importance; none where there are parts */
    size_t count;
    const struct ig_row_answered *answered; /* by models that are chosen among; else NULL */
    size_t answered_count;
    const struct ig_importance_part *parts; /* of the trees of several models; else NULL */
    size_t parts_count;
};

/* In the arena. Groups are the players of a shap game, and are shuffled together.
 * INVALID names the member: an unknown kind or metric, a table that is missing or has
 * no such column, a label that is no class of the model. UNSUPPORTED: the model's file has no gains
 * or covers, or the model has no trees. */
enum ig_code ig_importance_report_run(struct ig_importance_report *out,
                                      const struct ig_package *package,
                                      const struct ig_importance_spec *spec, struct ig_arena *arena,
                                      struct ig_err *err);

/* Parts: every model that the rows' models are made of, whose trees are asked. */
struct ig_importance_models {
    struct ig_row_models rows;
    struct ig_importance_part *parts; /* filled in */
    size_t parts_count;               /* 1: the report's items are its */
};

/* The same of several models. shap: of each row the contributions of what answers
 * it, sampled against rows of the table where it has no exact ones. permutation: of all as one
 * function, so a shuffled column may send a row elsewhere. Of the trees: of each model for itself,
 * for neither gains nor covers compare between models (a meta model's features are in no group);
 * fails where none has any. */
enum ig_code ig_importance_models_run(struct ig_importance_report *out,
                                      const struct ig_importance_models *models,
                                      const struct ig_importance_spec *spec, struct ig_arena *arena,
                                      struct ig_err *err);

#endif
