/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGOT_EDGE_SLOTS_H
#define INGOT_EDGE_SLOTS_H

/* Two places for a model in flash, and which of them is in use. A new model is written into the
 * other place, checked there (ige_bundle_check), and runs on trial: unless it is confirmed within
 * its starts, the device goes back to the model before. Power may fail at any write or erasure, and
 * within one: what was in use stays so, until the one record that says otherwise is whole.
 *
 * Flash: two slots of slot_bytes at slots[0] and slots[1], a multiple of the sector, and two
 * sectors for records. Erased bytes are 0xff. Writes go upward to erased bytes, a multiple of 8
 * each.
 *
 *     start:   ige_slots_start(&slots), then run slots.bundle when it says IGE_BUNDLE_OK
 *     update:  ige_slots_begin, ige_slots_write..., ige_slots_finish, then start anew
 *     proved:  ige_slots_confirm */

#include "ingot_edge_bundle.h"

enum { IGE_SLOTS_TRIES = 3, IGE_SLOTS_RECORD_BYTES = 32, IGE_SLOTS_NONE = 0xff };

/* The flash, readable where it lies. The functions give 0 when they have failed. */
struct ige_flash {
    const uint8_t *slots[2];
    const uint8_t *records[2];                      /* a sector each */
    size_t slot_bytes, sector_bytes, records_bytes; /* records_bytes: of each sector of records */
    int (*erase)(void *context, const uint8_t *sector);
    int (*write)(void *context, const uint8_t *place, const void *bytes, size_t size);
    void *context;
};

struct ige_slots {
    const struct ige_flash *flash;
    struct ige_device device; /* counter: that of the confirmed model */
    uint32_t sequence;        /* of the last record */
    uint8_t active, trial;    /* slots, or IGE_SLOTS_NONE */
    uint8_t tries;            /* starts that the trial has left */
    struct ige_bundle bundle; /* what runs */
    uint32_t written;         /* bytes of an update under way */
};

/* Reads the records, counts a start of a trial, goes back from a failed one, and tells what to run.
 * IGE_BUNDLE_BROKEN: there is no model yet. The device's counter is found in the flash. */
enum ige_bundle_status ige_slots_start(struct ige_slots *slots, const struct ige_flash *flash,
                                       const struct ige_device *device);
/* Erases the slot that is not in use; an earlier trial ends. 0: flash failed, or it is too small.
 */
int ige_slots_begin(struct ige_slots *slots, size_t size);
/* The next part of the bundle; `size` a multiple of 8 but at the end. 0: flash failed, or too much.
 */
int ige_slots_write(struct ige_slots *slots, const void *bytes, size_t size);
/* The bundle of the confirmed model, from which a delta starts, and its size; NULL: there is none.
 */
const uint8_t *ige_slots_confirmed(const struct ige_slots *slots, uint32_t *size);
/* Where the update's bundle lies. */
const uint8_t *ige_slots_incoming(const struct ige_slots *slots);
/* Checks what was written and makes it the trial of the next starts. */
enum ige_bundle_status ige_slots_finish(struct ige_slots *slots,
                                        const uint8_t signature[IGE_SIGNATURE_BYTES]);
/* What runs on trial has proved itself. 0: there is no trial, or flash failed. */
int ige_slots_confirm(struct ige_slots *slots);

#endif
