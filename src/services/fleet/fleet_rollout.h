/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_FLEET_FLEET_ROLLOUT_H
#define IG_SERVICES_FLEET_FLEET_ROLLOUT_H

/* Rollouts: a bundle comes to the devices of its group wave by wave, and stops by itself when too
 * many of them go back or refuse. Of a group one is open (running, paused) at most; the newest that
 * is done is what all its devices should have. */

#include "base/json.h"
#include "services/fleet/fleet.h"

/* A wave is a share of the devices by their slice, or devices by name; it adds to those before. */
struct ig_fleet_wave {
    double percent; /* (0, 100]; 0: by name */
    const struct ig_str *devices;
    size_t devices_count;
};
struct ig_fleet_plan {
    const struct ig_fleet_wave *waves;
    size_t waves_count;
    int64_t soak_s;      /* the next wave begins by itself after so long; 0: when told to */
    double halt_percent; /* stops when more of those that ended have failed */
    int64_t halt_min;    /* and at least so many */
};

/* {"waves": [10, ["a", "b"], 100], "soak_s": 0, "halt_percent": 5, "halt_min": 1} and back. The
 * reader takes the array of waves alone. INVALID names the member. */
enum ig_code ig_fleet_waves_read(struct ig_fleet_plan *out, struct ig_json *json);
void ig_fleet_waves_write(struct ig_json_out *out, const struct ig_fleet_plan *plan);
enum ig_code ig_fleet_plan_check(const struct ig_fleet_plan *plan, struct ig_err *err);
/* Whether a device is in one of the first `waves` waves. */
bool ig_fleet_plan_has(const struct ig_fleet_plan *plan, int64_t waves, struct ig_str device,
                       int64_t slice);
int64_t ig_fleet_slice(struct ig_str device);
/* Whether so many failures among those that ended are too many. */
bool ig_fleet_plan_halts(const struct ig_fleet_plan *plan, int64_t confirmed, int64_t failed);

struct ig_fleet_rollout {
    struct ig_str id, group, digest;
    struct ig_str state;  /* running, paused, halted, aborted, done */
    struct ig_str reason; /* why it stands still; or empty */
    int64_t counter;
    struct ig_fleet_plan plan;
    int64_t wave; /* the waves up to this one are open; from 1 */
    int64_t wave_ms, created_ms, changed_ms;
    int64_t by_state[IG_FLEET_STATES_COUNT]; /* devices */
};
struct ig_fleet_rollouts {
    const struct ig_fleet_rollout *items; /* newest first */
    size_t count;
};
struct ig_fleet_rollout_spec {
    struct ig_str group, digest;
    struct ig_fleet_plan plan;
};
/* CONFLICT while one of the group is open, or when the bundle is not the newest of what was rolled
 * out: to go back, sign the old model with a greater counter. */
enum ig_code ig_fleet_rollout_start(char id[IG_ID_SIZE], struct ig_fleet *fleet,
                                    const struct ig_principal *who,
                                    const struct ig_fleet_rollout_spec *spec, struct ig_err *err);
enum ig_code ig_fleet_rollout_get(struct ig_fleet_rollout *out, struct ig_fleet *fleet,
                                  struct ig_str id, struct ig_arena *arena, struct ig_err *err);
enum ig_code ig_fleet_rollout_list(struct ig_fleet_rollouts *out, struct ig_fleet *fleet,
                                   struct ig_str group, struct ig_arena *arena, struct ig_err *err);
struct ig_fleet_action {
    struct ig_str action; /* pause, resume (a halted one too), advance, abort */
    struct ig_str why;
};
enum ig_code ig_fleet_rollout_act(struct ig_fleet *fleet, const struct ig_principal *who,
                                  struct ig_str id, const struct ig_fleet_action *action,
                                  struct ig_err *err);

struct ig_fleet_member {
    struct ig_str device, state, word;
    int64_t at_ms;
};
struct ig_fleet_members {
    const struct ig_fleet_member *items; /* by device */
    size_t count;
};
/* How it stands with each device that has been offered the bundle. */
enum ig_code ig_fleet_rollout_members(struct ig_fleet_members *out, struct ig_fleet *fleet,
                                      struct ig_str id, const struct ig_fleet_page *page,
                                      struct ig_arena *arena, struct ig_err *err);

#endif
