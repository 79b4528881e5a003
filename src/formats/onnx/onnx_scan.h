/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_ONNX_ONNX_SCAN_H
#define IG_FORMATS_ONNX_ONNX_SCAN_H

/* What has to be known of an ONNX file before another library opens it, whatever its operators. */

#include "base/arena.h"
#include "base/err.h"

struct ig_onnx_facts {
    bool probabilities;     /* a classifier's node, or a last step that gives probabilities */
    bool branches;          /* subgraphs: If, Loop, Scan and their like */
    struct ig_str producer; /* "skl2onnx 1.19.1"; in the arena */
};

/* Walks every message that may hold a tensor, through subgraphs and functions, without recursion.
 * UNSUPPORTED: a tensor's data lies in another file, which would be opened by a path that the model
 * names. PARSE: malformed, or nested more than 64 deep. */
enum ig_code ig_onnx_scan(struct ig_onnx_facts *out, struct ig_str bytes, struct ig_arena *arena,
                          struct ig_err *err);

#endif
