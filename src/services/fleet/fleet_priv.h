/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_FLEET_FLEET_PRIV_H
#define IG_SERVICES_FLEET_FLEET_PRIV_H

/* Shared by the files of the fleet. Functions that take a transaction belong into one. */

#include "services/fleet/fleet_rollout.h"

struct ig_fleet {
    struct ig_db *db;
    struct ig_blob_store *blobs;
};

/* A note for the trail: {"digest": ..., "why": ...}, empty members left out. */
enum ig_code ig_fleet_audit(struct ig_db_tx *tx, const struct ig_principal *who, const char *action,
                            struct ig_str object, struct ig_str why, struct ig_err *err);
/* Whom the trail names when the fleet stops a rollout by itself. */
extern const struct ig_principal IG_FLEET_ITSELF;

enum ig_code ig_fleet_not_there(const char *what, struct ig_str name, struct ig_err *err);
/* NOT_FOUND when there is no such group. */
enum ig_code ig_fleet_need_group(struct ig_db_tx *tx, struct ig_str name, struct ig_err *err);
size_t ig_fleet_limit(const struct ig_fleet_page *page);

/* The number of a public key, and of the key that made a signature. */
enum ig_code ig_fleet_key_number(char out[IG_FLEET_KEY_SIZE], struct ig_str public_key,
                                 struct ig_err *err);
enum ig_code ig_fleet_signer_number(char out[IG_FLEET_KEY_SIZE], struct ig_str signature,
                                    struct ig_err *err);
/* Keys of a group that follow on the one of this number, or all when it is empty. */
enum ig_code ig_fleet_find_keys(struct ig_fleet_keys *out, struct ig_db_tx *tx, struct ig_str group,
                                struct ig_str after, struct ig_arena *arena, struct ig_err *err);

/* A bundle by digest, or with an empty one by counter. NOT_FOUND. */
enum ig_code ig_fleet_find_bundle(struct ig_fleet_bundle *out, struct ig_db_tx *tx,
                                  struct ig_str group, const struct ig_fleet_bundle *key,
                                  struct ig_arena *arena, struct ig_err *err);
/* The delta between two bundles of a group that are there, made when it is asked for the first
 * time; *size_bytes 0: it would save too little. */
enum ig_code ig_fleet_delta(char digest[IG_SHA256_HEX], int64_t *size_bytes, struct ig_fleet *fleet,
                            struct ig_str from, struct ig_str to, struct ig_err *err);

/* What a device should have: the open rollout's bundle when it is its turn, else that of the newest
 * one that is done. *out stays as it is when there is none. */
struct ig_fleet_due {
    struct ig_str rollout, digest; /* in the arena */
    int64_t counter;
};
enum ig_code ig_fleet_due(struct ig_fleet_due *out, struct ig_db_tx *tx,
                          const struct ig_fleet_device *device, struct ig_arena *arena,
                          struct ig_err *err);
/* Keeps what a device said of the bundle with this counter; may stop its rollout. */
enum ig_code ig_fleet_rollout_tell(struct ig_db_tx *tx, const struct ig_fleet_device *device,
                                   const struct ig_fleet_report *report, struct ig_arena *arena,
                                   struct ig_err *err);
/* Opens the next wave of the group's rollout when the last one has had its time. */
enum ig_code ig_fleet_rollout_soak(struct ig_db_tx *tx, struct ig_str group, struct ig_arena *arena,
                                   struct ig_err *err);

#endif
