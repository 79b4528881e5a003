/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_EDGE_EDGE_H
#define IG_FORMATS_EDGE_EDGE_H

/* Ingot's compact file for devices (`.ige`, docs/edge-format.md) and the C file that needs none.
 * The reader is a format like any other (formats.def); here is what writes. */

#include "base/err.h"
#include "base/str.h"
#include "kernels/quantize/network_compact.h"
#include "kernels/quantize/tree_compact.h"

/* Appends the file to `out`. IG_TOO_LARGE: `out` is full. */
enum ig_code ig_edge_write(struct ig_buf *out, const struct ig_tree_compact *compact,
                           struct ig_err *err);
/* The same of a network, with its encoder. */
enum ig_code ig_edge_write_network(struct ig_buf *out, const struct ig_network_compact *compact,
                                   struct ig_err *err);
/* The operator of a number in the file; false: there is none. */
bool ig_edge_op_of(enum ig_network_op *out, uint8_t code);
/* Appends one C99 source that includes only <stdint.h> and whose symbols begin with `name`, a C
 * identifier. */
enum ig_code ig_edge_write_c(struct ig_buf *out, const struct ig_tree_compact *compact,
                             struct ig_str name, struct ig_err *err);
/* The same of a network, with the kernels that it needs in it. IG_UNSUPPORTED: its inputs, or its
 * outputs, are not of one type. */
enum ig_code ig_edge_write_network_c(struct ig_buf *out, const struct ig_network_compact *compact,
                                     struct ig_str name, struct ig_err *err);

#endif
