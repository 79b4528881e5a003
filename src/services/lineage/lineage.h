/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_LINEAGE_LINEAGE_H
#define IG_SERVICES_LINEAGE_LINEAGE_H

/* Where versions come from and where they went: version -> run or job -> data, and onward to
 * copies and deployments. It has no rows of its own: it reads what registries, tracking, jobs and
 * deployments keep, in one snapshot. Thread-safe; worker threads only; everything lives in the
 * caller's arena. */

#include "stores/db.h"

enum { IG_LINEAGE_MAX = 1000 }; /* of each list; `more` says that there are others */

struct ig_lineage_job {
    struct ig_str id, engine, target, params_json, state;
    struct ig_str data_digest; /* of the table in the blob store, or empty: a file, data_path */
    struct ig_str data_path;
    int64_t finished_ms;
};
struct ig_lineage_run {
    struct ig_str id, name, user_id, stage;
    int64_t experiment, start_ms;
};
struct ig_lineage_dataset {
    struct ig_str name, digest, source_type, source;
};
struct ig_lineage_use { /* by a deployment */
    struct ig_str deployment;
    int64_t revision;
    bool current; /* what it serves now; else the revision before, warm for a rollback */
};
struct ig_lineage_bundle { /* for devices, of a group of the fleet */
    struct ig_str group, digest;
    int64_t counter;
};
struct ig_lineage_version {
    struct ig_str model;
    int64_t version, created_ms;
    struct ig_str digest;              /* of the package; empty: nothing of it is served */
    struct ig_str source;              /* the version that it was made of, as models:/NAME/NUMBER,
                                          or as MLflow's registry has it, or empty */
    struct ig_str run, model_id, job;  /* or empty */
    const struct ig_lineage_use *uses; /* the current ones first, then by name and revision */
    size_t uses_count;
};
struct ig_lineage_versions {
    const struct ig_lineage_version *items;
    size_t count;
    bool more;
};
struct ig_lineage {
    struct ig_lineage_version of;
    const struct ig_lineage_job *job;          /* or NULL */
    const struct ig_lineage_run *run;          /* or NULL */
    const struct ig_lineage_dataset *datasets; /* that the run read */
    size_t datasets_count;
    struct ig_lineage_versions copies;       /* versions whose source is this one */
    const struct ig_lineage_bundle *bundles; /* made of it, by group, the newest first */
    size_t bundles_count;
};
/* NOT_FOUND: neither registry has the version. */
enum ig_code ig_lineage_get(struct ig_lineage *out, struct ig_db *db, struct ig_str model,
                            int64_t version, struct ig_arena *arena, struct ig_err *err);

enum ig_lineage_kind {
    IG_LINEAGE_DATA,  /* a dataset's digest, or that of a table in the blob store */
    IG_LINEAGE_RUN,   /* a run's id */
    IG_LINEAGE_JOB,   /* a job's id */
    IG_LINEAGE_MODEL, /* a logged model's id */
};
/* The versions made from it, newest first; none is no error. */
enum ig_code ig_lineage_from(struct ig_lineage_versions *out, struct ig_db *db,
                             enum ig_lineage_kind kind, struct ig_str id, struct ig_arena *arena,
                             struct ig_err *err);

#endif
