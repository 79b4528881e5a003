/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGOT_EDGE_DELTA_H
#define INGOT_EDGE_DELTA_H

/* Makes a new bundle of the one that a device has and a delta (docs/edge-format.md), as the delta's
 * bytes come, in any parts. The old bundle is read where it lies; the new one goes out upward, in
 * parts of a multiple of 8 but at the end. C99, freestanding, no heap. Whatever the delta's bytes,
 * nothing outside the old bundle is read and no byte more than was promised is written.
 *
 *     ige_delta_start(&delta, old, old_size, &sink);
 *     while (bytes come) if (ige_delta_feed(&delta, bytes, size) != IGE_DELTA_OK) give up;
 *     ige_delta_finish(&delta, where the sink put it) == IGE_DELTA_OK, then check the bundle */

#include <stddef.h>
#include <stdint.h>

enum ige_delta_status {
    IGE_DELTA_OK,
    IGE_DELTA_BROKEN,       /* no delta, or not all of it, or it leads outside */
    IGE_DELTA_OTHER_BUNDLE, /* made for another old bundle than this one */
    IGE_DELTA_WRONG_RESULT, /* what came out is not what it promised */
    IGE_DELTA_NOT_WRITTEN,  /* the sink refused */
};

/* Takes the new bundle. The functions give 0 when they have failed. */
struct ige_delta_sink {
    int (*begin)(void *context, size_t size); /* of all of it; before the first write */
    int (*write)(void *context, const void *bytes, size_t size);
    void *context;
};

enum { IGE_DELTA_HEADER_BYTES = 80, IGE_DELTA_BUFFER_BYTES = 64 };

struct ige_delta {
    const uint8_t *old;
    size_t old_size, old_at, new_size, new_at;
    struct ige_delta_sink sink;
    enum ige_delta_status status;
    uint8_t digest[32];                     /* of the new bundle */
    uint8_t header[IGE_DELTA_HEADER_BYTES]; /* as far as it has come */
    uint8_t buffer[IGE_DELTA_BUFFER_BYTES]; /* on its way to the sink */
    uint32_t header_at, buffered;
    uint32_t copy, insert, number, shift; /* of the token under way */
    uint8_t state;
};

void ige_delta_start(struct ige_delta *delta, const void *old, size_t old_size,
                     const struct ige_delta_sink *sink);
/* The first error stays. */
enum ige_delta_status ige_delta_feed(struct ige_delta *delta, const void *bytes, size_t size);
/* After the last byte. `result`: the new bundle, where the sink put it. */
enum ige_delta_status ige_delta_finish(struct ige_delta *delta, const void *result);

#endif
