/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_REGISTRY_REGISTRY_H
#define IG_SERVICES_REGISTRY_REGISTRY_H

/* The model registry: models, their numbered versions (each a package in the blob store), aliases.
 *
 * Names (models, aliases, deployments): [A-Za-z0-9][A-Za-z0-9._-]{0,127}. An alias is not all
 * digits, so that models:/NAME/3 is always version 3. Version numbers start at 1 and are never used
 * again. Thread-safe; worker threads only. Lists live in the caller's arena. */

#include "services/audit/audit.h"
#include "services/webhook/webhook.h"
#include "stores/blob.h"

enum { IG_NAME_MAX = 128, IG_NAME_SIZE = IG_NAME_MAX + 1 };

/* INVALID: "model name 'a b' ..."; `what` is the noun. */
enum ig_code ig_name_check(struct ig_str name, const char *what, struct ig_err *err);

struct ig_registry;

enum ig_code ig_registry_open(struct ig_registry **out, struct ig_db *db,
                              struct ig_blob_store *blobs, struct ig_err *err);
void ig_registry_close(struct ig_registry *registry); /* NULL is allowed */
/* Before any other thread calls: whom to wake behind new versions and aliases. */
void ig_registry_attach(struct ig_registry *registry, struct ig_webhooks *webhooks);
/* Behind a write of another service that added a version. */
void ig_registry_changed(struct ig_registry *registry);

/* Models. */
struct ig_registry_model {
    struct ig_str name, description;
    int64_t created_ms;
    int64_t latest_version; /* greatest existing; 0: none */
};
struct ig_registry_models {
    const struct ig_registry_model *items; /* by name */
    size_t count;
};
/* Creates it; EXISTS when there is one. */
enum ig_code ig_registry_model_create(struct ig_registry *registry, const struct ig_principal *who,
                                      struct ig_str name, struct ig_str description,
                                      struct ig_err *err);
enum ig_code ig_registry_model_get(struct ig_registry_model *out, struct ig_registry *registry,
                                   struct ig_str name, struct ig_arena *arena, struct ig_err *err);
/* Names after `after` (empty: from the start), at most 1000. */
enum ig_code ig_registry_model_list(struct ig_registry_models *out, struct ig_registry *registry,
                                    struct ig_str after, struct ig_arena *arena,
                                    struct ig_err *err);
/* With all versions and aliases. CONFLICT while one is deployed. */
enum ig_code ig_registry_model_delete(struct ig_registry *registry, const struct ig_principal *who,
                                      struct ig_str name, struct ig_err *err);

/* Versions. */
struct ig_registry_version {
    struct ig_str model;
    int64_t version;
    struct ig_str digest;       /* SHA-256 of the package, its name in the blob store */
    struct ig_str model_digest; /* SHA-256 of the model file inside */
    int64_t size_bytes;
    int64_t created_ms;
    struct ig_str job_id;       /* empty when uploaded */
    struct ig_str source;       /* "models:/NAME/NUMBER" that it was made of, or empty */
    struct ig_str metrics_json; /* one JSON object */
    struct ig_str format;       /* "xgboost-json" */
    struct ig_str state;        /* "ready" */
    struct ig_str aliases;      /* comma-separated, by name; empty when none */
};
struct ig_registry_versions {
    const struct ig_registry_version *items; /* newest first */
    size_t count;
};
struct ig_version_spec {
    struct ig_str model; /* made when absent */
    int64_t number;      /* greater than any before; 0: the next */
    struct ig_str digest;
    struct ig_str job_id;       /* or empty */
    struct ig_str source;       /* "models:/NAME/NUMBER" that it was made of, or empty */
    struct ig_str metrics_json; /* or empty: "{}" */
};
/* From a package (or bare model file) that is in the blob store. It is opened first: golden rows
 * that do not hold refuse it. *version gets its number. */
enum ig_code ig_registry_version_create(int64_t *version, struct ig_registry *registry,
                                        const struct ig_principal *who,
                                        const struct ig_version_spec *spec, struct ig_err *err);
enum ig_code ig_registry_version_get(struct ig_registry_version *out, struct ig_registry *registry,
                                     struct ig_str model, int64_t version, struct ig_arena *arena,
                                     struct ig_err *err);
/* Whether some version's package is that object. */
enum ig_code ig_registry_has_package(bool *out, struct ig_registry *registry, struct ig_str digest,
                                     struct ig_err *err);
enum ig_code ig_registry_version_list(struct ig_registry_versions *out,
                                      struct ig_registry *registry, struct ig_str model,
                                      struct ig_arena *arena, struct ig_err *err);
/* CONFLICT while deployed or named by an alias. */
enum ig_code ig_registry_version_delete(struct ig_registry *registry,
                                        const struct ig_principal *who, struct ig_str model,
                                        int64_t version, struct ig_err *err);

/* For services above that create a version inside their own write: check first (opens the package,
 * on the caller's thread), then add in the transaction. */
struct ig_version_facts {
    char model_digest[IG_SHA256_HEX];
    char format[32];
    uint64_t size_bytes;
};
enum ig_code ig_registry_version_check(struct ig_version_facts *out, struct ig_registry *registry,
                                       const struct ig_version_spec *spec, struct ig_err *err);
enum ig_code ig_registry_version_add(int64_t *version, struct ig_db_tx *tx,
                                     const struct ig_principal *who,
                                     const struct ig_version_spec *spec,
                                     const struct ig_version_facts *facts, struct ig_err *err);

/* MLflow's registry (services/registered) names models and versions too. A name is one model and a
 * number one version in both: numbers come from one sequence a name, aliases are one table, and a
 * registered version that is served has a version here of its name and number, whose package's
 * digest it keeps. The rest of both is their own. For that service, inside its own write: */
/* Removes a version of this digest, if it is there. CONFLICT while it is deployed. */
enum ig_code ig_registry_version_drop(struct ig_db_tx *tx, struct ig_str model, int64_t version,
                                      struct ig_str digest, struct ig_err *err);
/* Removes the model unless it has versions. */
enum ig_code ig_registry_model_drop(struct ig_db_tx *tx, struct ig_str model, struct ig_err *err);
/* With aliases and all else, if it is there. EXISTS when the new name is taken, INVALID when it is
 * no name here, CONFLICT while a version is deployed. */
enum ig_code ig_registry_model_rename(struct ig_db_tx *tx, struct ig_str from, struct ig_str to,
                                      struct ig_err *err);

/* Aliases. */
struct ig_registry_alias {
    struct ig_str alias;
    int64_t version;
};
struct ig_registry_aliases {
    const struct ig_registry_alias *items; /* by alias */
    size_t count;
};
/* Sets or moves it. */
enum ig_code ig_registry_alias_set(struct ig_registry *registry, const struct ig_principal *who,
                                   struct ig_str model, struct ig_str alias, int64_t version,
                                   struct ig_err *err);
enum ig_code ig_registry_alias_delete(struct ig_registry *registry, const struct ig_principal *who,
                                      struct ig_str model, struct ig_str alias, struct ig_err *err);
enum ig_code ig_registry_alias_list(struct ig_registry_aliases *out, struct ig_registry *registry,
                                    struct ig_str model, struct ig_arena *arena,
                                    struct ig_err *err);

/* UNSUPPORTED says why a version of MLflow's registry cannot be served.
 * "models:/NAME/VERSION-OR-ALIAS", "models:/NAME@ALIAS", or "models:/NAME" (the latest version). */
enum ig_code ig_registry_resolve(struct ig_registry_version *out, struct ig_registry *registry,
                                 struct ig_str uri, struct ig_arena *arena, struct ig_err *err);
/* The same with its parts: `ref` is a number, an alias, or empty for the latest. */
enum ig_code ig_registry_find(struct ig_registry_version *out, struct ig_registry *registry,
                              struct ig_str model, struct ig_str ref, struct ig_arena *arena,
                              struct ig_err *err);

#endif
