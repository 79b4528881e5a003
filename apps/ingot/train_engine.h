/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_APP_TRAIN_ENGINE_H
#define IG_APP_TRAIN_ENGINE_H

/* Shared by the training child and its engines. Thread rule: main thread. */

#include "base/table.h"
#include "formats/package.h"
#include "services/job/edge_rows.h"
#include "services/job/job_spec.h"
#include "services/job/train_data.h"
#include "trainer_xgboost.h"

struct ig_train_child {
    struct ig_arena arena;
    struct ig_train_spec spec;
    struct ig_table *table;
    struct ig_train_data data;
    double progress;
    struct ig_buf metrics; /* the final ones, one JSON object */
};

void ig_train_child_say(const struct ig_train_event *event);
/* At most 2000 of a job's steps are told: whether this one is. */
bool ig_train_child_tells(int64_t step, int64_t steps);

/* What an engine made. */
struct ig_train_made {
    struct ig_str model, encoder_json; /* as in ig_package_spec */
    const struct ig_schema *schema;
    const char *engine_version;
    const double *golden_rows;
    size_t golden_count;
};
/* The package's metadata: engine, table, parameters and metrics. */
void ig_train_child_metadata(struct ig_buf *buf, const struct ig_train_child *child,
                             const char *engine_version);
/* package.zip in the job's directory. */
enum ig_code ig_train_child_write(struct ig_train_child *child, const struct ig_train_made *made,
                                  struct ig_err *err);

/* An engine: trains on child->data, fills child->metrics, writes the package. */
enum ig_code ig_train_child_xgboost(struct ig_train_child *child, struct ig_err *err);
enum ig_code ig_train_child_edge(struct ig_train_child *child, struct ig_err *err);
/* Of the latter, with a tree ensemble for a student. */
enum ig_code ig_train_child_trees(struct ig_train_child *child, const struct ig_edge_models *models,
                                  struct ig_err *err);
/* A registered model made smaller, by `prune` or `quantize`. Their table is read by them. */
enum ig_code ig_train_child_shrink(struct ig_train_child *child, struct ig_err *err);
/* What a descriptor holds, appended. */
enum ig_code ig_train_child_read(struct ig_buf *bytes, int fd, struct ig_err *err);
/* The package that comes at a descriptor, which is closed. */
enum ig_code ig_train_child_open(struct ig_package **out, int fd, struct ig_str uri,
                                 struct ig_err *err);
/* Tells of a boosting round of a stage (or NULL), after that part of all the work. */
void ig_train_child_round(struct ig_train_child *child, const struct ig_trainer_round *round,
                          const char *stage, double part);

#endif
