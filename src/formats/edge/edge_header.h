/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_EDGE_EDGE_HEADER_H
#define IG_FORMATS_EDGE_EDGE_HEADER_H

/* What a bundle says of itself (docs/edge-format.md), without its model. */

#include "base/err.h"
#include "base/str.h"

enum { IG_EDGE_HEADER_BYTES = 112 };

struct ig_edge_header {
    struct ig_str id, target; /* views of the bundle; target empty: any */
    uint64_t counter, expiry; /* expiry: seconds since 1970; 0: never */
    uint32_t arena_bytes, model_at, model_bytes;
};

/* CORRUPT: no bundle of a version that is known, not all of one, or texts that are none. */
enum ig_code ig_edge_header_read(struct ig_edge_header *out, struct ig_str bundle,
                                 struct ig_err *err);
/* The same model under another counter and expiry, to be signed anew; `bundle` holds a good one. */
void ig_edge_header_renew(struct ig_buf *bundle, uint64_t counter, uint64_t expiry);

#endif
