/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGOT_EDGE_BUNDLE_H
#define INGOT_EDGE_BUNDLE_H

/* A signed model as it comes to a device (docs/edge-format.md): the model, what it needs, and rows
 * with the outputs that it must give. Thread rule: as ingot_edge.h. */

#include "ingot_edge.h"
#include "ingot_edge_sign.h"

enum ige_bundle_status {
    IGE_BUNDLE_OK,
    IGE_BUNDLE_BROKEN,        /* no bundle, or not all of it */
    IGE_BUNDLE_OTHER_KEY,     /* signed by a key that the device does not hold */
    IGE_BUNDLE_BAD_SIGNATURE, /* its bytes are not what was signed */
    IGE_BUNDLE_WRONG_TARGET,  /* for another kind of device */
    IGE_BUNDLE_EXPIRED,
    IGE_BUNDLE_REPLAYED,      /* its counter is not above that of the model in use */
    IGE_BUNDLE_TOO_LARGE,     /* it needs more memory than there is */
    IGE_BUNDLE_BAD_MODEL,     /* the runtime refuses the model */
    IGE_BUNDLE_WRONG_ANSWERS, /* a row's outputs are not those of the bundle, bit for bit */
};

/* What the device is. */
struct ige_device {
    const uint8_t *key; /* IGE_KEY_BYTES: whose models it takes */
    const char *target; /* its kind; a bundle without a target is for all */
    uint64_t counter;   /* of the model in use; 0: there is none */
    uint64_t now;       /* seconds since 1970; 0: it has no clock, and nothing expires */
    void *arena;        /* for models; aligned to 8 */
    size_t arena_bytes;
};

struct ige_bundle {
    const uint8_t *model, *id; /* id: 32 bytes, zero-padded text */
    const uint8_t *rows;
    uint32_t model_bytes, rows_count, arena_bytes;
    uint64_t counter, expiry;
};

/* Checks all of it, in the order of the words above. The bundle's pointers are into `bytes`. */
enum ige_bundle_status ige_bundle_check(struct ige_bundle *bundle, const void *bytes, size_t size,
                                        const uint8_t signature[IGE_SIGNATURE_BYTES],
                                        const struct ige_device *device);
/* Only the places of its parts, for one that was checked before. */
enum ige_bundle_status ige_bundle_open(struct ige_bundle *bundle, const void *bytes, size_t size);
/* Loads the model and runs the bundle's rows. */
enum ige_bundle_status ige_bundle_try(const struct ige_bundle *bundle, void *arena,
                                      size_t arena_bytes);

#endif
