/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_TRACKING_TRACKING_H
#define IG_SERVICES_TRACKING_TRACKING_H

/* Experiments and their runs, with MLflow's rules, limits and words: what a run was given
 * (parameters, written once), what it measured (metrics, a history by step), what it read
 * (datasets), and tags. Errors name fields as MLflow's requests do.
 *
 * Deleting hides: a deleted experiment or run keeps its rows and can be restored. Making, renaming,
 * deleting and restoring an experiment and deleting and restoring a run is audited; logging is not.
 * Thread-safe; worker threads only, but for what goes on without its caller. What is read lives in
 * the caller's arena. */

#include "services/audit/audit.h"
#include "stores/db.h"

enum {
    IG_TRACKING_KEY_MAX = 250,    /* characters of a key of parameters, metrics, tags */
    IG_TRACKING_NAME_MAX = 500,   /* characters of an experiment's name */
    IG_TRACKING_PARAM_MAX = 6000, /* characters of a value; longer ones are cut */
    IG_TRACKING_TAG_MAX = 8000,   /* of a run's tag; longer ones are cut */
    IG_TRACKING_EXPERIMENT_TAG_MAX = 20000,
    IG_TRACKING_METRICS_MAX = 1000, /* of one batch */
    IG_TRACKING_PARAMS_MAX = 100,
    IG_TRACKING_TAGS_MAX = 100,
    IG_TRACKING_ENTITIES_MAX = 1000, /* of all three together */
    IG_TRACKING_DATASETS_MAX = 1000, /* of one call; logged models too */
    IG_TRACKING_HISTORY_MAX = 25000, /* values of one page */
    IG_TRACKING_RUN_ID = 32,         /* hex digits */
};

struct ig_tracking;

/* Makes the experiment 0, "Default", when there is none. */
enum ig_code ig_tracking_open(struct ig_tracking **out, struct ig_db *db, struct ig_err *err);
void ig_tracking_close(struct ig_tracking *tracking); /* NULL is allowed */

struct ig_tracking_pair { /* a tag or a parameter */
    struct ig_str key, value;
};
struct ig_tracking_pairs {
    const struct ig_tracking_pair *items; /* by key */
    size_t count;
};

/* Reads key and value of all rows, in the query's order. */
enum ig_code ig_tracking_pairs_read(struct ig_tracking_pairs *out, struct ig_db_rows *rows,
                                    struct ig_arena *arena, struct ig_err *err);

/* Experiments. */
struct ig_tracking_experiment {
    int64_t id;
    struct ig_str name, artifact_root;
    struct ig_str stage; /* "active" or "deleted" */
    int64_t created_ms, updated_ms;
    struct ig_tracking_pairs tags;
};
struct ig_tracking_experiment_spec {
    struct ig_str name;
    struct ig_str artifact_root; /* empty: "mlflow-artifacts:/ID" */
    struct ig_tracking_pairs tags;
};
/* A word of a client as an id; INVALID when it is no whole number. */
enum ig_code ig_tracking_experiment_id(int64_t *out, struct ig_str text, struct ig_err *err);
enum ig_code ig_tracking_experiment_create(int64_t *id, struct ig_tracking *tracking,
                                           const struct ig_principal *who,
                                           const struct ig_tracking_experiment_spec *spec,
                                           struct ig_err *err);
/* Deleted ones too, here and by name. */
enum ig_code ig_tracking_experiment_get(struct ig_tracking_experiment *out,
                                        struct ig_tracking *tracking, int64_t id,
                                        struct ig_arena *arena, struct ig_err *err);
enum ig_code ig_tracking_experiment_find(struct ig_tracking_experiment *out,
                                         struct ig_tracking *tracking, struct ig_str name,
                                         struct ig_arena *arena, struct ig_err *err);
enum ig_code ig_tracking_experiment_rename(struct ig_tracking *tracking,
                                           const struct ig_principal *who, int64_t id,
                                           struct ig_str name, struct ig_err *err);
/* With all its runs. NOT_FOUND when it is deleted already, or not deleted. */
enum ig_code ig_tracking_experiment_delete(struct ig_tracking *tracking,
                                           const struct ig_principal *who, int64_t id,
                                           struct ig_err *err);
enum ig_code ig_tracking_experiment_restore(struct ig_tracking *tracking,
                                            const struct ig_principal *who, int64_t id,
                                            struct ig_err *err);
enum ig_code ig_tracking_experiment_tag(struct ig_tracking *tracking, int64_t id,
                                        struct ig_tracking_pair tag, struct ig_err *err);
enum ig_code ig_tracking_experiment_untag(struct ig_tracking *tracking, int64_t id,
                                          struct ig_str key, struct ig_err *err);

/* Runs. */
enum ig_tracking_status { /* MLflow's numbers */
                          IG_TRACKING_RUNNING = 1,
                          IG_TRACKING_SCHEDULED,
                          IG_TRACKING_FINISHED,
                          IG_TRACKING_FAILED,
                          IG_TRACKING_KILLED,
};
const char *ig_tracking_status_name(int64_t status); /* "RUNNING" */
bool ig_tracking_status_parse(int64_t *out, struct ig_str name);

struct ig_tracking_metric {
    struct ig_str key;
    double value; /* NaN and infinities too */
    int64_t at_ms, step;
    /* Of the logged model that it is of, empty: of the run alone; then perhaps of a dataset. */
    struct ig_str model_id, dataset_name, dataset_digest;
    struct ig_str run; /* of a logged model's that was read */
};
struct ig_tracking_metrics {
    const struct ig_tracking_metric *items;
    size_t count;
};
struct ig_tracking_dataset {
    int64_t id; /* of a dataset that was read */
    struct ig_str name, digest, source_type, source;
    struct ig_str schema, profile; /* ptr NULL: not told */
    struct ig_tracking_pairs tags; /* of this run's reading it */
};
struct ig_tracking_datasets {
    const struct ig_tracking_dataset *items; /* in the order in which they were first logged */
    size_t count;
};
struct ig_tracking_model_use { /* of a logged model by a run */
    struct ig_str model_id;
    int64_t step; /* of an output */
};
struct ig_tracking_model_uses {
    const struct ig_tracking_model_use *items; /* by model and step */
    size_t count;
};
struct ig_tracking_run {
    struct ig_str id;
    int64_t experiment;
    struct ig_str name, user_id;
    int64_t status; /* enum ig_tracking_status */
    struct ig_str stage;
    int64_t start_ms, end_ms; /* end_ms -1: not told */
    struct ig_str artifact_root;
    struct ig_tracking_metrics
        metrics; /* the latest of each key: greatest step, then time, value */
    struct ig_tracking_pairs params, tags;
    struct ig_tracking_datasets inputs;
    struct ig_tracking_model_uses model_inputs, model_outputs;
};
struct ig_tracking_run_spec {
    struct ig_str id; /* of a copy: 32 lower-case hex digits, EXISTS when taken; empty: made up */
    int64_t experiment;
    struct ig_str name;    /* empty: that of the tag mlflow.runName, else one is made up */
    struct ig_str user_id; /* may be empty */
    int64_t start_ms;
    struct ig_tracking_pairs tags; /* values may be longer than those set later, as with MLflow */
};
struct ig_tracking_run_update {
    struct ig_str id;
    int64_t status;     /* 0: stays */
    int64_t end_ms;     /* -1: stays */
    struct ig_str name; /* empty: stays */
};
enum ig_code ig_tracking_run_create(struct ig_tracking_run *out, struct ig_tracking *tracking,
                                    const struct ig_tracking_run_spec *spec, struct ig_arena *arena,
                                    struct ig_err *err);
/* Deleted ones too. */
enum ig_code ig_tracking_run_get(struct ig_tracking_run *out, struct ig_tracking *tracking,
                                 struct ig_str id, struct ig_arena *arena, struct ig_err *err);
/* Many at a time, each in the place of its id; of one that is not there the id is empty. */
enum { IG_TRACKING_RUNS_AT_ONCE = 50 };
enum ig_code ig_tracking_runs_get(struct ig_tracking_run *out, struct ig_tracking *tracking,
                                  const struct ig_str *ids, size_t count, struct ig_arena *arena,
                                  struct ig_err *err);
enum ig_code ig_tracking_run_update(struct ig_tracking_run *out, struct ig_tracking *tracking,
                                    const struct ig_tracking_run_update *update,
                                    struct ig_arena *arena, struct ig_err *err);
enum ig_code ig_tracking_run_delete(struct ig_tracking *tracking, const struct ig_principal *who,
                                    struct ig_str id, struct ig_err *err);
enum ig_code ig_tracking_run_restore(struct ig_tracking *tracking, const struct ig_principal *who,
                                     struct ig_str id, struct ig_err *err);
enum ig_code ig_tracking_run_untag(struct ig_tracking *tracking, struct ig_str id,
                                   struct ig_str key, struct ig_err *err);

/* What a run logs, all or nothing. */
struct ig_tracking_batch {
    struct ig_tracking_metrics metrics;
    struct ig_tracking_pairs params, tags;
    bool single; /* one thing by a call of its own: errors name "key", not "params[0].key" */
};
enum ig_code ig_tracking_log(struct ig_tracking *tracking, struct ig_str id,
                             const struct ig_tracking_batch *batch, struct ig_err *err);
/* The same without waiting, as by ig_db_write_later: OK means that `done` will run, with the
 * verdict; all that is pointed to has to live until then. */
struct ig_tracking_logging {
    struct ig_tracking *tracking;
    struct ig_str id;
    struct ig_tracking_batch batch;
    struct ig_err *err;
    void (*done)(struct ig_tracking_logging *logging, enum ig_code code);
    struct ig_db_pending pending; /* private */
};
enum ig_code ig_tracking_log_later(struct ig_tracking_logging *logging);

/* What a run reads, all or nothing. Named again, a dataset and its tags stay as they are. */
enum ig_code ig_tracking_inputs_log(struct ig_tracking *tracking, struct ig_str run,
                                    struct ig_tracking_datasets datasets,
                                    struct ig_tracking_model_uses models, struct ig_err *err);
/* The logged models that it made. */
enum ig_code ig_tracking_outputs_log(struct ig_tracking *tracking, struct ig_str run,
                                     struct ig_tracking_model_uses models, struct ig_err *err);
/* The datasets that the runs of an experiment read, each once with each context (the input's tag
 * mlflow.data.context), by name, digest and context: at most `max`. */
struct ig_tracking_dataset_use {
    struct ig_str name, digest;
    struct ig_str context; /* ptr NULL: not told */
};
struct ig_tracking_dataset_uses {
    const struct ig_tracking_dataset_use *items;
    size_t count;
};
enum ig_code ig_tracking_datasets_of(struct ig_tracking_dataset_uses *out,
                                     struct ig_tracking *tracking, int64_t experiment, size_t max,
                                     struct ig_arena *arena, struct ig_err *err);
/* Adds what was told of a model (JSON, as clients of 2.x send it) to the run's tag
 * mlflow.log-model.history. */
enum ig_code ig_tracking_model_note(struct ig_tracking *tracking, struct ig_str run,
                                    struct ig_str model_json, struct ig_err *err);

/* Reads metrics: all that were logged before are where `work`, which runs once, looks for them.
 * Logging only notes them, so a read may write first; where the disk takes no more it goes without.
 */
enum ig_code ig_tracking_read(struct ig_db *db, ig_db_work *work, void *context,
                              struct ig_err *err);
/* The same before several reads. */
enum ig_code ig_tracking_settle(struct ig_db *db, struct ig_err *err);

/* The history of one metric, by time, then step, then value (NaN counts as 0). */
struct ig_tracking_history_query {
    struct ig_str run, key;
    struct ig_str token; /* empty: from the start */
    size_t max;          /* values, at least 1 */
    bool lenient;        /* a run that is not there has no values, else it is NOT_FOUND */
};
struct ig_tracking_point {
    int64_t at_ms, step;
    double value; /* NaN and infinities too */
};
struct ig_tracking_points {
    const struct ig_tracking_point *items;
    size_t count;
};
struct ig_tracking_history {
    struct ig_tracking_points points;
    struct ig_str next; /* the token of the next page; empty: there is none */
};
enum ig_code ig_tracking_history(struct ig_tracking_history *out, struct ig_tracking *tracking,
                                 const struct ig_tracking_history_query *query,
                                 struct ig_arena *arena, struct ig_err *err);

/* At most `max` values of the history between two steps, evenly spaced among all of them by step,
 * then time, then value: the first of as many equal parts (NTILE), and the last value of all. A run
 * that is not there has none. */
struct ig_tracking_sample_query {
    struct ig_str run, key;
    int64_t start_step, end_step; /* both within */
    size_t max;                   /* at least 1 */
};
enum ig_code ig_tracking_history_sample(struct ig_tracking_points *out,
                                        struct ig_tracking *tracking,
                                        const struct ig_tracking_sample_query *query,
                                        struct ig_arena *arena, struct ig_err *err);

#endif
