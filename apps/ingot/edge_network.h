/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_APP_EDGE_NETWORK_H
#define IG_APP_EDGE_NETWORK_H

/* The network that a package is, or that its ONNX graph can be read as. */

#include "formats/package.h"

struct ig_edge_network {
    const struct ig_network *network;
    const uint32_t *features; /* of each input element, the package's feature; NULL: all alike */
    struct ig_network *made;  /* owned, or NULL */
};
/* UNSUPPORTED, with the reason, for what is no network. `out` is zero before, and deinited after.
 */
enum ig_code ig_edge_network_open(struct ig_edge_network *out, const struct ig_package *package,
                                  struct ig_err *err);
void ig_edge_network_deinit(struct ig_edge_network *network);

#endif
