/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_FLEET_FLEET_H
#define IG_SERVICES_FLEET_FLEET_H

/* A fleet of devices that run bundles (docs/fleet.md): groups of devices of one kind that trust one
 * key, bundles signed by it, rollouts in waves, and what devices say of themselves.
 *
 * The server holds no signing key: it verifies bundles as devices do. Names as in
 * services/registry; ids of devices too. Thread-safe; worker threads only. Lists live in the
 * caller's arena. */

#include "services/registry/registry.h"

struct ig_fleet;

enum {
    IG_FLEET_GROUPS_MAX = 1000,
    IG_FLEET_BUNDLES_MAX = 1000,          /* of a group */
    IG_FLEET_DEVICES_MAX = 1000000,       /* of a group */
    IG_FLEET_BUNDLE_MAX_BYTES = 16 << 20, /* of a bundle */
    IG_FLEET_LABELS_MAX = 16,
    IG_FLEET_LABEL_MAX = 64,   /* bytes of a label's name or value */
    IG_FLEET_AGENT_MAX = 64,   /* of an agent's version */
    IG_FLEET_EVENTS_MAX = 200, /* of a device, the newest */
    IG_FLEET_WAVES_MAX = 16,
    IG_FLEET_NAMED_MAX = 1000, /* devices that a rollout's waves name */
    IG_FLEET_PAGE_MAX = 1000,
    IG_FLEET_SLICES = 10000, /* a device's slice is a stable hash of its id below this */
    IG_FLEET_TOKEN_SIZE = 4 + 64 + 1,
    IG_FLEET_KEYS_MAX = 100,    /* that followed on each other in a group */
    IG_FLEET_KEY_SIZE = 16 + 1, /* of a key's number in hex */
};

enum ig_code ig_fleet_open(struct ig_fleet **out, struct ig_db *db, struct ig_blob_store *blobs,
                           struct ig_err *err);
void ig_fleet_close(struct ig_fleet *fleet); /* NULL is allowed */

struct ig_fleet_page {
    struct ig_str after; /* what comes behind this name or id; empty: from the start */
    uint64_t limit;      /* capped at IG_FLEET_PAGE_MAX; 0: that */
};

/* ---- groups ---- */

struct ig_fleet_group {
    struct ig_str name;
    struct ig_str target;     /* kind of device; empty: any */
    struct ig_str public_key; /* minisign's file */
    double drift_threshold;   /* a device drifts when its index is above this */
    int64_t created_ms;
    int64_t devices, drifting; /* how many */
};
struct ig_fleet_groups {
    const struct ig_fleet_group *items; /* by name */
    size_t count;
};
/* EXISTS when there is one. */
enum ig_code ig_fleet_group_create(struct ig_fleet *fleet, const struct ig_principal *who,
                                   const struct ig_fleet_group *spec, struct ig_err *err);
enum ig_code ig_fleet_group_get(struct ig_fleet_group *out, struct ig_fleet *fleet,
                                struct ig_str name, struct ig_arena *arena, struct ig_err *err);
enum ig_code ig_fleet_group_list(struct ig_fleet_groups *out, struct ig_fleet *fleet,
                                 const struct ig_fleet_page *page, struct ig_arena *arena,
                                 struct ig_err *err);
/* With its bundles and rollouts. CONFLICT while it has devices. */
enum ig_code ig_fleet_group_delete(struct ig_fleet *fleet, const struct ig_principal *who,
                                   struct ig_str name, struct ig_err *err);

/* ---- keys ---- */

struct ig_fleet_key {
    struct ig_str public_key; /* minisign's file */
    struct ig_str signature;  /* of that file, by the key before it */
    int64_t created_ms;
};
struct ig_fleet_keys {
    const struct ig_fleet_key *items; /* in their order */
    size_t count;
};
/* Puts a key in the place of the group's, which has signed it. CONFLICT while a rollout is open;
 * INVALID for a key that the group has or had. */
enum ig_code ig_fleet_key_rotate(struct ig_fleet *fleet, const struct ig_principal *who,
                                 struct ig_str group, const struct ig_fleet_key *key,
                                 struct ig_err *err);
/* Those that followed on the first one. */
enum ig_code ig_fleet_key_list(struct ig_fleet_keys *out, struct ig_fleet *fleet,
                               struct ig_str group, struct ig_arena *arena, struct ig_err *err);

/* ---- bundles ---- */

struct ig_fleet_bundle {
    struct ig_str digest; /* SHA-256, its name in the blob store */
    struct ig_str id, target, signature, source;
    int64_t counter, expiry_s, size_bytes, arena_bytes, created_ms;
};
struct ig_fleet_bundles {
    const struct ig_fleet_bundle *items; /* greatest counter first */
    size_t count;
};
struct ig_fleet_bundle_spec {
    struct ig_str group;
    struct ig_str digest;    /* of an uploaded bundle */
    struct ig_str signature; /* its minisig file */
    struct ig_str model;     /* registered model that it was made of; or empty */
    int64_t version;
};
/* Takes a bundle that the group's key has signed, is for its target and has not expired. CONFLICT
 * unless its counter is above all that the group has. */
enum ig_code ig_fleet_bundle_add(struct ig_fleet *fleet, const struct ig_principal *who,
                                 const struct ig_fleet_bundle_spec *spec, struct ig_err *err);
enum ig_code ig_fleet_bundle_list(struct ig_fleet_bundles *out, struct ig_fleet *fleet,
                                  struct ig_str group, struct ig_arena *arena, struct ig_err *err);
enum ig_code ig_fleet_bundle_get(struct ig_fleet_bundle *out, struct ig_fleet *fleet,
                                 struct ig_str group, struct ig_str digest, struct ig_arena *arena,
                                 struct ig_err *err);

/* ---- devices ---- */

/* What a device says of a bundle (fleet_states.def). */
enum ig_fleet_state {
#define IG_FLEET_STATE(id, name, ends, doc) IG_FLEET_##id,
#include "services/fleet/fleet_states.def"
#undef IG_FLEET_STATE
    IG_FLEET_STATES_COUNT
};
const char *ig_fleet_state_name(enum ig_fleet_state state);

struct ig_fleet_label {
    struct ig_str name, value;
};
struct ig_fleet_device {
    struct ig_str id, group, target, agent, digest, state, word;
    const struct ig_fleet_label *labels; /* by name */
    size_t labels_count;
    int64_t created_ms, seen_ms; /* seen_ms 0: never */
    int64_t counter, trial;      /* of the model in use and on trial; 0: none */
    int64_t revoked_ms;          /* 0: it may call */
    int64_t slice;
    int64_t telemetry_seq, telemetry_lost; /* newest record taken; records that never came */
    double drift;                          /* greatest index of its last day; -1: not known */
    int64_t drift_feature;                 /* which feature's; -1: the score's */
};
struct ig_fleet_devices {
    const struct ig_fleet_device *items; /* by id */
    size_t count;
};
struct ig_fleet_device_spec {
    struct ig_str id; /* empty: one is made */
    struct ig_str group;
    struct ig_str target; /* empty: the group's */
    const struct ig_fleet_label *labels;
    size_t labels_count;
};
struct ig_fleet_registered {
    char id[IG_NAME_SIZE];
    char token[IG_FLEET_TOKEN_SIZE]; /* shown once, kept as its hash */
};
enum ig_code ig_fleet_device_register(struct ig_fleet_registered *out, struct ig_fleet *fleet,
                                      const struct ig_principal *who,
                                      const struct ig_fleet_device_spec *spec, struct ig_err *err);
/* A new token in place of the one before; the device may call again. */
enum ig_code ig_fleet_device_renew(struct ig_fleet_registered *out, struct ig_fleet *fleet,
                                   const struct ig_principal *who, struct ig_str id,
                                   struct ig_err *err);
/* Its token is good for nothing from now on; the device stays listed. */
enum ig_code ig_fleet_device_revoke(struct ig_fleet *fleet, const struct ig_principal *who,
                                    struct ig_str id, struct ig_err *err);
enum ig_code ig_fleet_device_delete(struct ig_fleet *fleet, const struct ig_principal *who,
                                    struct ig_str id, struct ig_err *err);
enum ig_code ig_fleet_device_get(struct ig_fleet_device *out, struct ig_fleet *fleet,
                                 struct ig_str id, struct ig_arena *arena, struct ig_err *err);
struct ig_fleet_filter {
    struct ig_fleet_page page;
    struct ig_str group, state;  /* empty: all */
    struct ig_fleet_label label; /* name empty: all */
    bool drifting;
};
enum ig_code ig_fleet_device_list(struct ig_fleet_devices *out, struct ig_fleet *fleet,
                                  const struct ig_fleet_filter *filter, struct ig_arena *arena,
                                  struct ig_err *err);
/* Whose token it is: UNAUTHENTICATED for an unknown device, a revoked one and another's token. */
enum ig_code ig_fleet_device_authenticate(struct ig_fleet_device *out, struct ig_fleet *fleet,
                                          struct ig_str id, struct ig_str token,
                                          struct ig_arena *arena, struct ig_err *err);

struct ig_fleet_event {
    int64_t at_ms, counter;
    struct ig_str state, word;
};
struct ig_fleet_events {
    const struct ig_fleet_event *items; /* newest first */
    size_t count;
};
enum ig_code ig_fleet_device_history(struct ig_fleet_events *out, struct ig_fleet *fleet,
                                     struct ig_str id, struct ig_arena *arena, struct ig_err *err);

/* ---- what devices ask and say ---- */

struct ig_fleet_check {
    struct ig_str digest; /* of the bundle that it runs; or empty */
    int64_t counter, trial;
    struct ig_str agent; /* its version; or empty */
    struct ig_str key;   /* number of the key that it trusts, in hex; or empty */
};
struct ig_fleet_offer {
    bool update; /* else it has what it should */
    struct ig_fleet_bundle bundle;
    bool delta; /* there is a delta from the bundle that it runs */
    int64_t delta_bytes;
    int64_t telemetry_seq;
    struct ig_fleet_keys keys; /* that it is to trust from now on, one after the other */
};
enum ig_code ig_fleet_check_in(struct ig_fleet_offer *out, struct ig_fleet *fleet,
                               const struct ig_fleet_device *device,
                               const struct ig_fleet_check *check, struct ig_arena *arena,
                               struct ig_err *err);

struct ig_fleet_report {
    int64_t counter;
    struct ig_str state, word; /* of fleet_states.def and fleet_words.def; word may be empty */
};
/* Says the same again: nothing changes. */
enum ig_code ig_fleet_device_report(struct ig_fleet *fleet, const struct ig_fleet_device *device,
                                    const struct ig_fleet_report *report, struct ig_err *err);
/* The blob of a bundle of the device's group, or with `from` of the delta between two. */
enum ig_code ig_fleet_download(char digest[IG_SHA256_HEX], struct ig_fleet *fleet,
                               const struct ig_fleet_device *device, struct ig_str bundle,
                               struct ig_str from, struct ig_err *err);

struct ig_fleet_counts {
    int64_t devices, seen_last_hour, drifting;
    int64_t by_state[IG_FLEET_STATES_COUNT + 1]; /* the last: said nothing yet */
};
enum ig_code ig_fleet_count(struct ig_fleet_counts *out, struct ig_fleet *fleet,
                            struct ig_err *err);

#endif
