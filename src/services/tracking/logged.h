/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_TRACKING_LOGGED_H
#define IG_SERVICES_TRACKING_LOGGED_H

/* MLflow's logged models: what a run made, before anybody registers it. A model has a place for its
 * files in its experiment's, a status that its client sets, parameters (written once), tags, and
 * the metrics that runs logged of it, perhaps on a dataset. Errors have MLflow's words.
 *
 * Deleting hides, and is audited; the rest is logging. Thread-safe; worker threads only. What is
 * read lives in the caller's arena. */

#include "services/tracking/tracking.h"

enum { IG_LOGGED_ID = 34 }; /* "m-" and 32 hex digits */

enum ig_logged_status { /* MLflow's numbers */
                        IG_LOGGED_PENDING = 1,
                        IG_LOGGED_READY,
                        IG_LOGGED_UPLOAD_FAILED,
};
const char *ig_logged_status_name(int64_t status); /* "LOGGED_MODEL_READY" */
bool ig_logged_status_parse(int64_t *out, struct ig_str name);

struct ig_logged_model {
    struct ig_str id, name, artifact_root, model_type, source_run; /* the last two may be empty */
    int64_t experiment, status, created_ms, updated_ms;
    struct ig_tracking_pairs tags, params;
    struct ig_tracking_metrics metrics; /* all of them: by key, time, step */
};
struct ig_logged_spec {
    struct ig_str id; /* of a copy: "m-" and 32 lower-case hex digits; empty: made up */
    int64_t experiment;
    struct ig_str name; /* ptr NULL: one is made up */
    struct ig_str model_type, source_run;
    struct ig_tracking_pairs params, tags;
};
enum ig_code ig_logged_create(struct ig_logged_model *out, struct ig_db *db,
                              const struct ig_logged_spec *spec, struct ig_arena *arena,
                              struct ig_err *err);
enum ig_code ig_logged_get(struct ig_logged_model *out, struct ig_db *db, struct ig_str id,
                           bool deleted_too, struct ig_arena *arena, struct ig_err *err);
enum ig_code ig_logged_finalize(struct ig_logged_model *out, struct ig_db *db, struct ig_str id,
                                int64_t status, struct ig_arena *arena, struct ig_err *err);
enum ig_code ig_logged_delete(struct ig_db *db, const struct ig_principal *who, struct ig_str id,
                              struct ig_err *err);
/* All or nothing. */
enum ig_code ig_logged_tag(struct ig_db *db, struct ig_str id, struct ig_tracking_pairs tags,
                           struct ig_err *err);
enum ig_code ig_logged_untag(struct ig_db *db, struct ig_str id, struct ig_str key,
                             struct ig_err *err);
enum ig_code ig_logged_params(struct ig_db *db, struct ig_str id, struct ig_tracking_pairs params,
                              struct ig_err *err);

/* For services above: where its files lie, and the run that made it. NOT_FOUND. */
struct ig_logged_place {
    struct ig_str artifact_root, source_run;
};
enum ig_code ig_logged_place(struct ig_logged_place *out, struct ig_db_tx *tx, struct ig_str id,
                             struct ig_arena *arena, struct ig_err *err);
/* Adds a registered version to the tag mlflow.modelVersions, a list. */
enum ig_code ig_logged_note_version(struct ig_db_tx *tx, struct ig_str id, struct ig_str name,
                                    int64_t version, struct ig_err *err);

#endif
