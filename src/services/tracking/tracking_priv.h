/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_TRACKING_TRACKING_PRIV_H
#define IG_SERVICES_TRACKING_TRACKING_PRIV_H

/* Shared by the files of tracking.
 *
 * Metrics in the tables: kind 0 has its value; 1 is NaN, value NULL, or 0 in the history, where
 * it is of the key; 2 and 3 are the infinities, value the greatest and the least double, so that
 * SQL compares them. */

#include "base/lru.h"
#include "services/tracking/assessments.h"
#include "services/tracking/tracking.h"
#include "services/tracking/tracking_check.h"

#include <stdatomic.h>

enum {
    IG_TRACKING_CHANGE_COUNTS = 4096,
    IG_TRACKING_TEXTS_BYTES = 16 << 20,
};

struct ig_tracking {
    struct ig_db *db;
    struct ig_lru *texts; /* run_texts.h */
    _Atomic uint64_t all_changes, run_changes[IG_TRACKING_CHANGE_COUNTS];
};

/* Behind a commit by which a run, or with an empty id any number of them, may look different, and
 * before its answer. */
void ig_tracking_changed(struct ig_tracking *tracking, struct ig_str run);
/* Every write by which a run, or with an empty id any number of them, may look different. */
enum ig_code ig_tracking_write(struct ig_tracking *tracking, struct ig_str run, ig_db_work *work,
                               void *context, struct ig_err *err);

#define IG_TRACKING_RUN_NAME "mlflow.runName"

/* Metrics of a run of this experiment, and which of them are the latest. */
enum ig_code ig_tracking_metrics_put(struct ig_db_tx *tx, struct ig_str run, int64_t experiment,
                                     struct ig_tracking_metrics metrics, struct ig_err *err);
/* NOT_FOUND, in the words of every call that names a run. */
enum ig_code ig_tracking_no_run(struct ig_str id, struct ig_err *err);
/* With its tags; NOT_FOUND. */
enum ig_code ig_tracking_experiment_read(struct ig_tracking_experiment *out, struct ig_db_tx *tx,
                                         int64_t id, struct ig_arena *arena, struct ig_err *err);
/* INVALID when it is deleted. */
enum ig_code ig_tracking_experiment_must_be_active(struct ig_db_tx *tx, int64_t id,
                                                   struct ig_err *err);
/* A run alone, and with all that belongs to it; NOT_FOUND. */
enum ig_code ig_tracking_run_row(struct ig_tracking_run *out, struct ig_db_tx *tx, struct ig_str id,
                                 struct ig_arena *arena, struct ig_err *err);
enum ig_code ig_tracking_run_read(struct ig_tracking_run *out, struct ig_db_tx *tx,
                                  struct ig_str id, struct ig_arena *arena, struct ig_err *err);
enum ig_code ig_tracking_inputs_read(struct ig_tracking_datasets *out, struct ig_db_tx *tx,
                                     struct ig_str run, struct ig_arena *arena, struct ig_err *err);
enum ig_code ig_tracking_models_read(struct ig_tracking_model_uses *inputs,
                                     struct ig_tracking_model_uses *outputs, struct ig_db_tx *tx,
                                     struct ig_str run, struct ig_arena *arena, struct ig_err *err);
/* Where `below` the experiment's own place artifacts lie, as a URI; a query stays at the end. */
enum ig_code ig_tracking_artifact_root(struct ig_str *out, struct ig_db_tx *tx, int64_t experiment,
                                       struct ig_str below, struct ig_arena *arena,
                                       struct ig_err *err);
/* "calm-heron-417": for people to tell things apart, never a key. */
void ig_tracking_invent_name(char name[64]);
/* Adds a metric to the logged model that it names; NOT_FOUND. One that is there stays. */
enum ig_code ig_logged_metric_put(struct ig_db_tx *tx, struct ig_str run,
                                  const struct ig_tracking_metric *metric, struct ig_err *err);
/* NOT_FOUND, or INVALID when it is deleted. Its experiment, unless NULL. */
enum ig_code ig_tracking_run_must_be_active(struct ig_db_tx *tx, struct ig_str id,
                                            int64_t *experiment, struct ig_err *err);
/* Sets a tag; the tag of the name renames the run. */
enum ig_code ig_tracking_run_tag_put(struct ig_db_tx *tx, struct ig_str id,
                                     struct ig_tracking_pair tag, struct ig_err *err);
/* A trace's id becomes a part of a path; INVALID. */
enum ig_code ig_tracking_trace_id_check(struct ig_str id, struct ig_err *err);
enum ig_code ig_tracking_trace_place_of(struct ig_str *out, struct ig_db_tx *tx, int64_t experiment,
                                        struct ig_str id, struct ig_arena *arena,
                                        struct ig_err *err);
/* All of a trace, in the order in which they were made. */
/* How many traces have an assessment that is this issue. */
#define IG_TRACKING_ISSUE_TRACES(id)                                                               \
    "(select count(distinct a.trace) from assessments a where a.kind = 'issue' and a.name = " id ")"

enum ig_code ig_assessments_read(struct ig_assessments *out, struct ig_db_tx *tx,
                                 struct ig_str trace, struct ig_arena *arena, struct ig_err *err);
/* Makes one, or changes that of the same id and trace; EXISTS when it is of another trace. */
enum ig_code ig_assessment_put(struct ig_assessment *out, struct ig_db_tx *tx,
                               const struct ig_assessment *given, struct ig_arena *arena,
                               struct ig_err *err);
double ig_tracking_metric_stands_for(double stored, int64_t kind);
double ig_tracking_metric_value(struct ig_db_rows *rows, int value_column, int kind_column);
struct ig_db_value ig_tracking_metric_stored(double value, int64_t *kind);

#endif
