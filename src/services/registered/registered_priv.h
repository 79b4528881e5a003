/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_REGISTERED_REGISTERED_PRIV_H
#define IG_SERVICES_REGISTERED_REGISTERED_PRIV_H

/* Shared by the files of the registry. */

#include "services/registered/registered.h"
#include "services/tracking/tracking_check.h"

#define IG_REGISTERED_SERVABLE_TAG "ingot.servable"
#define IG_REGISTERED_PROMPT_TAG "mlflow.prompt.is_prompt"

/* What MLflow allows. */
enum ig_code ig_registered_check_name(struct ig_str name, const char *field, struct ig_err *err);
enum ig_code ig_registered_check_description(struct ig_str text, struct ig_err *err);
enum ig_code ig_registered_check_tag(struct ig_tracking_pair tag, struct ig_err *err);
enum ig_code ig_registered_check_tags(struct ig_tracking_pairs tags, struct ig_err *err);
enum ig_code ig_registered_check_alias(struct ig_str alias, struct ig_err *err);
enum ig_code ig_registered_check_new_alias(struct ig_str alias, struct ig_err *err); /* reserved */
enum ig_code ig_registered_version_number(int64_t *out, struct ig_str text, struct ig_err *err);
const char *ig_registered_stage_name(int64_t stage);
enum ig_code ig_registered_stage_parse(int64_t *out, struct ig_str name, struct ig_err *err);
/* Whether the tags make a prompt of a model: the last of the tag counts. */
bool ig_registered_is_prompt(struct ig_tracking_pairs tags);

/* True with the first row's first column; false when there is no row, or with *err. */
bool ig_registered_ask(int64_t *out, struct ig_db_tx *tx, const char *sql,
                       const struct ig_db_value *values, size_t values_count, struct ig_err *err);
/* The model's id; NOT_FOUND. */
enum ig_code ig_registered_model_id(int64_t *id, struct ig_db_tx *tx, struct ig_str name,
                                    struct ig_err *err);
enum ig_code ig_registered_model_touch(struct ig_db_tx *tx, int64_t id, int64_t now_ms,
                                       struct ig_err *err);
enum ig_code ig_registered_audit(struct ig_db_tx *tx, const struct ig_principal *who,
                                 const char *action, struct ig_str name, int64_t version,
                                 struct ig_err *err); /* version 0: of the model */
/* Of a version by its row; all it has. */
enum ig_code ig_registered_version_read(struct ig_registered_version *out, struct ig_db_tx *tx,
                                        int64_t id, struct ig_arena *arena, struct ig_err *err);
/* The row of a version; NOT_FOUND. */
enum ig_code ig_registered_version_id(int64_t *id, struct ig_db_tx *tx, struct ig_str name,
                                      int64_t version, struct ig_err *err);
enum ig_code ig_registered_latest_read(struct ig_registered_versions *out, struct ig_db_tx *tx,
                                       int64_t model, struct ig_arena *arena, struct ig_err *err);
/* The row of the version that an alias names; "latest" names the last. */
enum ig_code ig_registered_alias_read(int64_t *id, struct ig_db_tx *tx, struct ig_str name,
                                      struct ig_str alias, struct ig_err *err);

/* Where a new version's files lie. */
struct ig_registered_source {
    struct ig_str source, run, location, model_id;
};
/* INVALID when the source is not where the run, or the version that it names, lies. */
enum ig_code ig_registered_source_resolve(struct ig_registered_source *out, struct ig_db_tx *tx,
                                          const struct ig_registered_version_spec *spec,
                                          struct ig_arena *arena, struct ig_err *err);
/* What webhooks are told of a change, in its transaction (registered_events.c). */
enum ig_code ig_registered_tell_model(struct ig_db_tx *tx, const struct ig_registered_spec *spec,
                                      struct ig_err *err);
enum ig_code ig_registered_tell_version(struct ig_db_tx *tx,
                                        const struct ig_registered_version_spec *spec,
                                        const struct ig_registered_source *source, int64_t version,
                                        struct ig_err *err);
/* A value's ptr NULL: the tag was removed; version 0: it is the model's. */
enum ig_code ig_registered_tell_tag(struct ig_db_tx *tx, struct ig_str name, int64_t version,
                                    struct ig_tracking_pair tag, struct ig_err *err);
enum ig_code ig_registered_tell_alias(struct ig_db_tx *tx, struct ig_str name, struct ig_str alias,
                                      int64_t version, struct ig_err *err); /* 0: removed */
/* A write that may tell them something. */
enum ig_code ig_registered_write(const struct ig_registered_by *by, ig_db_work *work, void *call,
                                 struct ig_err *err);

/* What can be served of a new version's files. */
struct ig_registered_package {
    struct ig_str location;     /* of the files that were looked at; empty: none */
    char digest[IG_SHA256_HEX]; /* of a package in the blob store; empty: none could be made */
    struct ig_version_facts facts;
    struct ig_str why; /* it could not, when an MLmodel is there; else empty */
};
/* Looks at the files and makes the package; whatever fails is `why`. Not within a transaction. */
void ig_registered_package_make(struct ig_registered_package *out,
                                const struct ig_registered_by *by,
                                const struct ig_registered_version_spec *spec);

/* Of the texts alone: whether a URI's path is absolute and without "." and "..", however often it
 * is decoded; whether it is of the artifact proxy, by its own scheme or as a URL; whether it lies
 * within `root`, of the same scheme and authority. */
bool ig_registered_source_leads_down(struct ig_str source, struct ig_arena *arena);
bool ig_registered_source_is_proxied(struct ig_str source, struct ig_arena *arena);
bool ig_registered_source_within(struct ig_str uri, struct ig_str root, struct ig_arena *arena);

#endif
