/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_REGISTERED_REGISTERED_H
#define IG_SERVICES_REGISTERED_REGISTERED_H

/* MLflow's model registry: names with numbered versions that say where a model's files lie, stages,
 * aliases and tags, with MLflow's rules, limits and words.
 *
 * What the server itself loads stands in services/registry. A new version whose files lie among the
 * server's artifacts, with an MLmodel that names a native model file, becomes a version there too,
 * of the same name and number; the tag ingot.servable says "yes", or "no: " and why. See there.
 *
 * A version's number is never another's. Every change is audited. Versions are named by texts, as
 * clients send them: INVALID unless a whole number. Thread-safe; worker threads only. What is read
 * lives in the caller's arena. */

#include "services/registered/source_pattern.h"
#include "services/registry/registry.h"
#include "services/tracking/tracking.h"
#include "services/webhook/webhook.h"

enum {
    IG_REGISTERED_NAME_MAX = 256,         /* characters */
    IG_REGISTERED_DESCRIPTION_MAX = 5000, /* characters */
    IG_REGISTERED_SOURCE_MAX = 2048,      /* characters of a source, and of a run's link */
    IG_REGISTERED_TAG_MAX = 100000,       /* characters of a value */
    IG_REGISTERED_ALIAS_MAX = 255,        /* characters */
};

enum ig_registered_stage { /* the last of each comes with its model */
                           IG_REGISTERED_NONE,
                           IG_REGISTERED_STAGING,
                           IG_REGISTERED_PRODUCTION,
                           IG_REGISTERED_ARCHIVED,
                           IG_REGISTERED_STAGES_COUNT,
};

struct ig_registered_stages { /* named by clients */
    const struct ig_str *items;
    size_t count;
};

struct ig_registered_version {
    struct ig_str name;
    int64_t id; /* of its row, for searches */
    int64_t version, created_ms, updated_ms;
    struct ig_str description, stage, source, run, run_link;
    struct ig_str location; /* where its files lie: the source, or that of the version or logged
                               model that it names */
    struct ig_str model_id; /* of the logged model, or empty */
    struct ig_str package;  /* digest of what is served; empty: it cannot be */
    struct ig_tracking_pairs tags;
    const struct ig_str *aliases; /* by name */
    size_t aliases_count;
};
struct ig_registered_versions {
    const struct ig_registered_version *items;
    size_t count;
};
struct ig_registered_model {
    struct ig_str name, description;
    int64_t created_ms, updated_ms;
    struct ig_tracking_pairs tags;
    struct ig_tracking_pairs aliases;     /* by name; the value is the version's number */
    struct ig_registered_versions latest; /* of each stage, by stage */
};

/* Who changes what. */
struct ig_registered_by {
    struct ig_db *db;
    const struct ig_principal *who;
    struct ig_arena *arena;
    struct ig_blob_store *blobs;  /* of artifacts; NULL: nothing that is registered is served */
    struct ig_webhooks *webhooks; /* that are told; NULL: later, when they look again */
    const struct ig_source_pattern *sources; /* that new versions may have; NULL: any */
};

/* Models. */
struct ig_registered_spec {
    struct ig_str name, description;
    struct ig_tracking_pairs tags;
};
enum ig_code ig_registered_create(struct ig_registered_model *out,
                                  const struct ig_registered_by *by,
                                  const struct ig_registered_spec *spec, struct ig_err *err);
enum ig_code ig_registered_get(struct ig_registered_model *out, struct ig_db *db,
                               struct ig_str name, struct ig_arena *arena, struct ig_err *err);
/* By the id that a search found. */
enum ig_code ig_registered_get_by_id(struct ig_registered_model *out, struct ig_db *db, int64_t id,
                                     struct ig_arena *arena, struct ig_err *err);
enum ig_code ig_registered_rename(struct ig_registered_model *out,
                                  const struct ig_registered_by *by, struct ig_str name,
                                  struct ig_str new_name, struct ig_err *err);
enum ig_code ig_registered_describe(struct ig_registered_model *out,
                                    const struct ig_registered_by *by, struct ig_str name,
                                    struct ig_str description, struct ig_err *err);
/* With its versions, tags and aliases. */
enum ig_code ig_registered_delete(const struct ig_registered_by *by, struct ig_str name,
                                  struct ig_err *err);
enum ig_code ig_registered_tag(const struct ig_registered_by *by, struct ig_str name,
                               struct ig_tracking_pair tag, struct ig_err *err);
/* A tag that is not there is no error; nor is an alias below. */
enum ig_code ig_registered_untag(const struct ig_registered_by *by, struct ig_str name,
                                 struct ig_str key, struct ig_err *err);
enum ig_code ig_registered_alias(const struct ig_registered_by *by, struct ig_str name,
                                 struct ig_str alias, struct ig_str version, struct ig_err *err);
enum ig_code ig_registered_unalias(const struct ig_registered_by *by, struct ig_str name,
                                   struct ig_str alias, struct ig_err *err);
/* The last version of each of these stages; of all when there are none. */
enum ig_code ig_registered_latest(struct ig_registered_versions *out, struct ig_db *db,
                                  struct ig_str name, struct ig_registered_stages stages,
                                  struct ig_arena *arena, struct ig_err *err);

/* Versions. */
struct ig_registered_version_spec {
    struct ig_str name, source, description, run_link;
    struct ig_str run, model_id; /* ptr NULL: not told */
    struct ig_tracking_pairs tags;
};
/* NAME of a source models:/NAME/VERSION, models:/NAME/STAGE or models:/NAME@ALIAS; "" of others. */
struct ig_str ig_registered_source_model(struct ig_str source);
enum ig_code ig_registered_version_create(struct ig_registered_version *out,
                                          const struct ig_registered_by *by,
                                          const struct ig_registered_version_spec *spec,
                                          struct ig_err *err);
enum ig_code ig_registered_version_get(struct ig_registered_version *out, struct ig_db *db,
                                       struct ig_str name, struct ig_str version,
                                       struct ig_arena *arena, struct ig_err *err);
/* "latest", whatever its case, is the last version. */
enum ig_code ig_registered_version_find(struct ig_registered_version *out, struct ig_db *db,
                                        struct ig_str name, struct ig_str alias,
                                        struct ig_arena *arena, struct ig_err *err);
enum ig_code ig_registered_version_get_by_id(struct ig_registered_version *out, struct ig_db *db,
                                             int64_t id, struct ig_arena *arena,
                                             struct ig_err *err);
enum ig_code ig_registered_version_describe(struct ig_registered_version *out,
                                            const struct ig_registered_by *by, struct ig_str name,
                                            struct ig_str version, struct ig_str description,
                                            struct ig_err *err);
struct ig_registered_move {
    struct ig_str name, version, stage;
    bool archive; /* those that were in the stage */
};
enum ig_code ig_registered_version_move(struct ig_registered_version *out,
                                        const struct ig_registered_by *by,
                                        const struct ig_registered_move *move, struct ig_err *err);
/* With its tags and aliases. */
enum ig_code ig_registered_version_delete(const struct ig_registered_by *by, struct ig_str name,
                                          struct ig_str version, struct ig_err *err);
enum ig_code ig_registered_version_tag(const struct ig_registered_by *by, struct ig_str name,
                                       struct ig_str version, struct ig_tracking_pair tag,
                                       struct ig_err *err);
enum ig_code ig_registered_version_untag(const struct ig_registered_by *by, struct ig_str name,
                                         struct ig_str version, struct ig_str key,
                                         struct ig_err *err);

/* Computes what the gates of a model check of a version (services/approval), but for what is
 * reported: golden rows, and metrics of its training, its run or its logged model. Each finding is
 * kept, good or bad. NOT_FOUND: neither registry has the version. */
enum ig_code ig_registered_check(const struct ig_registered_by *by, struct ig_str name,
                                 int64_t version, struct ig_err *err);

#endif
