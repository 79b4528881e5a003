/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_JOB_EDGE_TRAIN_H
#define IG_SERVICES_JOB_EDGE_TRAIN_H

/* A small network from a table, as the engine `edge` makes it: by labels or a teacher, pruned, with
 * neurons removed, in int8; each stage judged on rows held out. Thread rule: one thread. */

#include "kernels/nn/nn_device.h"
#include "kernels/quantize/quantize.h"
#include "services/job/edge_rows.h"

enum { IG_EDGE_STAGES_MAX = 6 };

struct ig_edge_progress {
    const char *stage; /* "hard_labels", "student", ... */
    double part;       /* of all the work, 0 to 1 */
    const struct ig_fit_epoch *epoch;
};

struct ig_edge_request {
    const struct ig_train_data *data;
    const struct ig_edge_params *params; /* ig_edge_plan_check has accepted them */
    struct ig_edge_models models;
    void (*report)(void *context, const struct ig_edge_progress *progress);
    void *context;
};

struct ig_edge_stage {
    const char *name; /* teacher, hard_labels, student_before_removal, student, then int8, float16
                         or weights; of trees student_before_pruning, student, compact */
    struct ig_metrics metrics;
    uint64_t bytes;  /* of the model file */
    double sparsity; /* zeros among weights; NaN: no network */
};

struct ig_edge_result {
    struct ig_buf model;                             /* a .tflite file */
    struct ig_buf encoder;                           /* JSON; empty when the rows are the inputs */
    const struct ig_schema *schema;                  /* the source's, or the table's */
    struct ig_edge_stage stages[IG_EDGE_STAGES_MAX]; /* the last is the file's */
    size_t stages_count;
    int64_t epochs; /* of the last training */
    size_t train_rows, validation_rows, synthetic_rows;
    bool quantized;                         /* to int8, with a report: */
    struct ig_quantize_report quantization; /* in the arena */
    struct ig_nn_estimate estimate;         /* of the file on the device that was asked for */
    double *golden; /* rows of the schema, in the arena; to be written into the package */
    size_t golden_count;
};

/* What it points to lies in `arena` and in the request. ig_edge_result_deinit follows in any case.
 */
enum ig_code ig_edge_train_run(struct ig_edge_result *out, const struct ig_edge_request *request,
                               struct ig_arena *arena, struct ig_err *err);
void ig_edge_result_deinit(struct ig_edge_result *result);
/* Members of an open object: the last stage's metrics, sizes, and the table of stages. */
void ig_edge_result_write(struct ig_json_out *out, const struct ig_edge_result *result);
/* The table of stages alone. */
void ig_edge_stages_write(struct ig_json_out *out, const struct ig_edge_stage *stages,
                          size_t count);

#endif
