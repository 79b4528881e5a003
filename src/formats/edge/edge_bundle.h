/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_EDGE_EDGE_BUNDLE_H
#define IG_FORMATS_EDGE_EDGE_BUNDLE_H

/* Bundles: a compact model, trees or a network, on its way to devices, with what it needs and
 * golden rows (docs/edge-format.md). They are signed as minisign signs files
 * (formats/edge/minisign.h). */

#include "formats/edge/edge.h"

enum { IG_EDGE_ID_MAX = 32, IG_EDGE_TARGET_MAX = 16 };

struct ig_edge_bundle {
    const struct ig_tree_compact *compact; /* or: */
    const struct ig_network_compact *network;
    struct ig_str id;     /* which model it is, for people */
    struct ig_str target; /* kind of device; empty: any */
    uint64_t counter;     /* a device takes only greater ones; at least 1 */
    uint64_t expiry;      /* seconds since 1970; 0: never */
};

/* Appends the bundle. Golden rows of trees lie on thresholds, beside them, and miss values; those
 * of networks are noise. */
enum ig_code ig_edge_bundle_write(struct ig_buf *out, const struct ig_edge_bundle *bundle,
                                  struct ig_err *err);
/* Bytes of arena that the device's runtime asks for, of trees. */
uint32_t ig_edge_arena_bytes(const struct ig_tree_compact *compact);

#endif
