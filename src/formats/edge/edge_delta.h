/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_EDGE_EDGE_DELTA_H
#define IG_FORMATS_EDGE_EDGE_DELTA_H

/* Binary deltas between bundles (docs/edge-format.md), which devices apply
 * (apps/edge/ingot_edge_delta.h). */

#include "base/err.h"
#include "base/str.h"

enum { IG_EDGE_DELTA_HEADER_BYTES = 80 };

/* Appends the delta that makes `new` of `old`. TOO_LARGE: one of them has 1 GiB or more. */
enum ig_code ig_edge_delta_write(struct ig_buf *out, struct ig_str old, struct ig_str new,
                                 struct ig_err *err);

#endif
