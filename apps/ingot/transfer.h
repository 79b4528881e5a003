/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_APP_TRANSFER_H
#define IG_APP_TRANSFER_H

/* Copying what MLflow keeps, experiments with runs and files, logged models and registered models,
 * from one side to another: a server (transfer_rest.c) or an mlruns folder (transfer_folder.c).
 * What is there already is not copied again, so a copy that was ended anywhere goes on.
 *
 * Everything that is read lives in the arena that is given. Thread rule: one thread. */

#include "formats/mlruns.h"
#include "services/tracking/tracking.h"

/* On copies: what their original was, and how far they are ("FINISHED 1700000000000"). */
#define IG_TRANSFER_SOURCE_TAG "ingot.source_id"
#define IG_TRANSFER_DONE_TAG "ingot.copied"

struct ig_transfer_experiment {
    struct ig_str id, name, stage;
    struct ig_tracking_pairs tags;
};
struct ig_transfer_run {
    struct ig_str id, experiment, name, user, status, stage, artifact_uri;
    int64_t start_ms, end_ms; /* -1: not told */
    struct ig_tracking_pairs params, tags;
    struct ig_tracking_pairs metrics; /* keys alone */
    struct ig_str inputs;             /* datasets as MLflow's JSON list; empty: none */
};
struct ig_transfer_file {
    struct ig_str path;
    int64_t size_bytes;
};
struct ig_transfer_logged { /* a logged model */
    struct ig_str id, experiment, name, type, status, run, artifact_uri;
    struct ig_tracking_pairs params, tags;
};
struct ig_transfer_model { /* a registered model; aliases: name and version */
    struct ig_str name, description;
    struct ig_tracking_pairs tags, aliases;
};
struct ig_transfer_version {
    int64_t version;
    struct ig_str source, run, description, stage;
    struct ig_str model_id; /* of the logged model where a copy lies, or empty */
    struct ig_tracking_pairs tags;
};

#define IG_TRANSFER_LIST(name, type)                                                               \
    struct name {                                                                                  \
        type *items;                                                                               \
        size_t count, cap;                                                                         \
    }
IG_TRANSFER_LIST(ig_transfer_experiments, struct ig_transfer_experiment);
IG_TRANSFER_LIST(ig_transfer_runs, struct ig_transfer_run);
IG_TRANSFER_LIST(ig_transfer_files, struct ig_transfer_file);
IG_TRANSFER_LIST(ig_transfer_loggeds, struct ig_transfer_logged);
IG_TRANSFER_LIST(ig_transfer_models, struct ig_transfer_model);
IG_TRANSFER_LIST(ig_transfer_versions, struct ig_transfer_version);

/* Whose files: a run or a logged model of that side. */
struct ig_transfer_owner {
    bool is_model;
    struct ig_str id, experiment, artifact_uri;
};

struct ig_transfer_side;
struct ig_transfer_ops {
    void (*close)(struct ig_transfer_side *side);
    enum ig_code (*experiments)(struct ig_transfer_experiments *out, struct ig_transfer_side *side,
                                struct ig_arena *arena, struct ig_err *err);
    /* A page; `token` starts empty and is empty behind the last one. */
    enum ig_code (*runs)(struct ig_transfer_runs *out, struct ig_transfer_side *side,
                         struct ig_str experiment, struct ig_buf *token, struct ig_arena *arena,
                         struct ig_err *err);
    enum ig_code (*history)(struct ig_mlruns_points *out, struct ig_transfer_side *side,
                            const struct ig_transfer_run *run, struct ig_str key,
                            struct ig_arena *arena, struct ig_err *err);
    enum ig_code (*loggeds)(struct ig_transfer_loggeds *out, struct ig_transfer_side *side,
                            struct ig_str experiment, struct ig_arena *arena, struct ig_err *err);
    enum ig_code (*files)(struct ig_transfer_files *out, struct ig_transfer_side *side,
                          const struct ig_transfer_owner *owner, struct ig_arena *arena,
                          struct ig_err *err);
    enum ig_code (*fetch)(int fd, struct ig_transfer_side *side,
                          const struct ig_transfer_owner *owner, struct ig_str path,
                          struct ig_err *err);
    enum ig_code (*models)(struct ig_transfer_models *out, struct ig_transfer_side *side,
                           struct ig_arena *arena, struct ig_err *err);
    /* By number. */
    enum ig_code (*versions)(struct ig_transfer_versions *out, struct ig_transfer_side *side,
                             struct ig_str model, struct ig_arena *arena, struct ig_err *err);
    /* Where a version's files lie, whatever it was made of. */
    enum ig_code (*location)(struct ig_str *out, struct ig_transfer_side *side, struct ig_str model,
                             int64_t version, struct ig_arena *arena, struct ig_err *err);

    /* The experiment of that name, active, made when it is not there. */
    enum ig_code (*put_experiment)(struct ig_str *id, struct ig_transfer_side *side,
                                   const struct ig_transfer_experiment *experiment,
                                   struct ig_arena *arena, struct ig_err *err);
    enum ig_code (*delete_experiment)(struct ig_transfer_side *side, struct ig_str id,
                                      struct ig_err *err);
    /* The copy of a run in an experiment of this side; id empty: there is none. */
    enum ig_code (*find_run)(struct ig_transfer_run *out, struct ig_transfer_side *side,
                             struct ig_str experiment, struct ig_str source, struct ig_arena *arena,
                             struct ig_err *err);
    /* Makes it, or (id given) lets a deleted one be logged to. */
    enum ig_code (*make_run)(struct ig_transfer_run *out, struct ig_transfer_side *side,
                             struct ig_str experiment, const struct ig_transfer_run *run,
                             struct ig_arena *arena, struct ig_err *err);
    /* All values of a key at once. */
    enum ig_code (*log)(struct ig_transfer_side *side, const struct ig_transfer_run *to,
                        struct ig_str key, const struct ig_mlruns_points *points,
                        struct ig_err *err);
    /* Parameters, tags, datasets, then status and end. */
    enum ig_code (*end_run)(struct ig_transfer_side *side, const struct ig_transfer_run *to,
                            const struct ig_transfer_run *run, struct ig_err *err);
    enum ig_code (*put_logged)(struct ig_transfer_logged *out, struct ig_transfer_side *side,
                               struct ig_str experiment, const struct ig_transfer_logged *logged,
                               struct ig_arena *arena, struct ig_err *err);
    enum ig_code (*put_file)(struct ig_transfer_side *side, const struct ig_transfer_owner *owner,
                             const struct ig_transfer_file *file, int fd, struct ig_err *err);
    enum ig_code (*put_model)(struct ig_transfer_side *side, const struct ig_transfer_model *model,
                              struct ig_err *err);
    enum ig_code (*put_version)(struct ig_transfer_side *side, struct ig_str model,
                                const struct ig_transfer_version *version, struct ig_err *err);
    enum ig_code (*put_alias)(struct ig_transfer_side *side, struct ig_str model,
                              struct ig_tracking_pair alias, struct ig_err *err);
};
struct ig_transfer_side {
    const struct ig_transfer_ops *ops;
};

struct ig_client;
/* MLflow's paths of a server behind a client, which stays the caller's. */
enum ig_code ig_transfer_rest_open(struct ig_transfer_side **out, struct ig_client *client,
                                   struct ig_err *err);
/* `write`: made when it is not there. */
enum ig_code ig_transfer_folder_open(struct ig_transfer_side **out, const char *path, bool write,
                                     struct ig_err *err);
void ig_transfer_close(struct ig_transfer_side *side); /* NULL is allowed */

/* What was found at one side, and of that at the other. */
struct ig_transfer_counts {
    int64_t experiments, runs, params, tags, metrics, loggeds, files, bytes, models, versions;
};
struct ig_transfer_result {
    struct ig_transfer_counts from, to;
    int64_t skipped; /* runs that were there already */
};
/* Copies everything; *result also tells of a copy that failed. `note` is called now and then. */
enum ig_code ig_transfer_copy(struct ig_transfer_result *result, struct ig_transfer_side *from,
                              struct ig_transfer_side *to,
                              void (*note)(const struct ig_transfer_result *result),
                              struct ig_err *err);

#endif
