/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_FLEET_FLEET_TELEMETRY_H
#define IG_SERVICES_FLEET_FLEET_TELEMETRY_H

/* Telemetry of devices: sketches of inputs and scores by device, bundle and day, and how far a
 * device's rows are from those it is compared with: the bundle's baseline where there is one, else
 * all other devices of the group. */

#include "services/fleet/fleet.h"

enum {
    IG_FLEET_UPLOAD_MAX_BYTES = 64 << 10,
    IG_FLEET_BASELINE_MAX_BYTES = 1 << 20,
    IG_FLEET_SKETCH_DAYS = 90,      /* older ones go */
    IG_FLEET_DRIFT_ROWS = 50,       /* fewer rows say nothing */
    IG_FLEET_SKETCHES_MAX = 100000, /* of a device */
};

struct ig_fleet_upload {
    int64_t seq;      /* newest record that is here; the device need not send it again */
    int64_t taken;    /* new records */
    int64_t repeated; /* that were here already, and count once */
    int64_t lost;     /* between the last upload and this one */
    int64_t ignored;  /* of kinds or bundles that are not known here, or that do not add up */
};
/* The same again changes nothing. INVALID: bytes that are no records, or whose numbers do not rise;
 * nothing is taken then. EXHAUSTED: the device has too many sketches. */
enum ig_code ig_fleet_telemetry_add(struct ig_fleet_upload *out, struct ig_fleet *fleet,
                                    const struct ig_fleet_device *device, struct ig_str bytes,
                                    struct ig_err *err);

struct ig_fleet_drift_part {
    int64_t feature; /* -1: the score */
    int64_t rows, missing;
    double low, high; /* NaN: no value */
    double index;     /* population stability index; NaN: too few rows to tell */
};
struct ig_fleet_drift {
    int64_t counter, day; /* day since 1970; 0: there is no telemetry */
    bool baseline;        /* compared with the bundle's; else with the group */
    double index;         /* the greatest of all; -1: not known */
    double threshold;
    const struct ig_fleet_drift_part *parts; /* by feature, the score last */
    size_t count;
};
/* Of the newest day. */
enum ig_code ig_fleet_drift_get(struct ig_fleet_drift *out, struct ig_fleet *fleet,
                                struct ig_str device, struct ig_arena *arena, struct ig_err *err);
/* What the group's bundle with this counter is compared with: sketches of its training rows, as
 * records (ingot edge sketch). Replaces those before. */
enum ig_code ig_fleet_baseline_set(struct ig_fleet *fleet, const struct ig_principal *who,
                                   struct ig_str group, struct ig_str bundle, struct ig_str bytes,
                                   struct ig_err *err);

#endif
