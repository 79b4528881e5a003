/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_REGISTRY_REGISTRY_PRIV_H
#define IG_SERVICES_REGISTRY_REGISTRY_PRIV_H

/* Shared by the files of the registry. */

#include "services/registry/registry.h"

struct ig_registry {
    struct ig_db *db;
    struct ig_blob_store *blobs;
    struct ig_webhooks *webhooks; /* or NULL */
};

enum ig_code ig_registry_model_must_exist(struct ig_db_tx *tx, struct ig_str name,
                                          struct ig_err *err);
/* Why there is no such version: UNSUPPORTED when MLflow's registry has one, else NOT_FOUND. */
enum ig_code ig_registry_absent(struct ig_db_tx *tx, struct ig_str model, int64_t version,
                                struct ig_err *err);
enum ig_code ig_registry_version_read(struct ig_registry_version *out, struct ig_db_tx *tx,
                                      struct ig_str model, int64_t version, struct ig_arena *arena,
                                      struct ig_err *err);

#endif
