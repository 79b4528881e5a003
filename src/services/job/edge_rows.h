/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_JOB_EDGE_ROWS_H
#define IG_SERVICES_JOB_EDGE_ROWS_H

/* A table as a small model's training takes it: rows in the order of the student's schema, its
 * inputs, labels, the teacher's answers, and synthetic rows that it answers too. Thread rule: one
 * thread. */

#include "formats/package.h"
#include "formats/schema_map.h"
#include "kernels/train/distill.h"
#include "services/job/job_params.h"
#include "services/job/train_data.h"
#include "services/job/train_metrics.h"

struct ig_edge_part {
    double *rows; /* count x features of the student's schema */
    float *inputs;
    float *labels;  /* NaN behind the real ones */
    double *truth;  /* labels of the real ones in full */
    float *answers; /* the teacher's, as logits; NULL without one */
    size_t real, count;
};

/* The mean of its members' predictions. */
struct ig_edge_teacher {
    struct ig_predictor members[IG_JOB_TEACHERS_MAX]; /* of rows as each takes them */
    struct ig_feature_map maps[IG_JOB_TEACHERS_MAX];
    size_t count;
    uint32_t width; /* features of the student's */
};

/* Where rows are answered from, or gone on from. */
struct ig_edge_models {
    const struct ig_package *teachers[IG_JOB_TEACHERS_MAX];
    size_t teachers_count;
    const struct ig_package *source; /* or NULL */
};

struct ig_edge_rows {
    const struct ig_schema *schema; /* the source's, or the table's */
    enum ig_fit_loss loss;
    uint32_t outputs;
    struct ig_encoder encoder; /* the source's, or fitted here */
    bool encoded;              /* else the rows are the inputs (a source without an encoder) */
    uint32_t inputs_count;
    bool taught;
    struct ig_edge_teacher teacher;
    struct ig_edge_part train, held_out;
};

struct ig_edge_rows_options {
    const struct ig_train_data *data;
    const struct ig_edge_params *params;
    struct ig_edge_models models;
    uint32_t pixels; /* inputs of an image, or 0 */
};

enum { IG_EDGE_GOLDEN_MAX = 16 };

/* Arrays in `arena`; borrows the rest, and is not moved after. INVALID names what does not fit. */
enum ig_code ig_edge_rows_init(struct ig_edge_rows *out, const struct ig_edge_rows_options *options,
                               struct ig_arena *arena, struct ig_err *err);
/* The teacher as a function of the student's rows. */
struct ig_predictor ig_edge_rows_teacher(const struct ig_edge_rows *rows);
/* Rows spread over those held out, for a package to answer as it does here. */
enum ig_code ig_edge_rows_golden(double **out, size_t *count, const struct ig_edge_rows *rows,
                                 struct ig_arena *arena, struct ig_err *err);
/* How a function of the student's rows does on the held-out ones, or on the real rows of training
 * where there are none. */
enum ig_code ig_edge_rows_judge(struct ig_metrics *out, const struct ig_edge_rows *rows,
                                const struct ig_predictor *predictor, struct ig_err *err);

#endif
