/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_EDGE_EDGE_PACK_H
#define IG_SERVICES_EDGE_EDGE_PACK_H

/* A package's model as devices take it: the network that it is or can be read as, and its compact
 * form. Stateless; any thread. */

#include "formats/edge/edge_bundle.h"
#include "formats/package.h"

/* The network that a package is, or that its ONNX graph can be read as. */
struct ig_edge_source {
    const struct ig_network *network;
    const uint32_t *features; /* of each input element, the package's feature; NULL: all alike */
    struct ig_network *made;  /* owned, or NULL */
};
/* UNSUPPORTED, with the reason, for what is no network. `out` is zero before, and deinited after.
 */
enum ig_code ig_edge_source_open(struct ig_edge_source *out, const struct ig_package *package,
                                 struct ig_err *err);
void ig_edge_source_deinit(struct ig_edge_source *source);

enum ig_edge_rounding { IG_EDGE_ROUNDING_MODEL, IG_EDGE_ROUNDING_SINGLE, IG_EDGE_ROUNDING_DOUBLE };

/* How a model is made compact. */
struct ig_edge_choice {
    enum ig_compact_want leaves;    /* of trees */
    enum ig_edge_rounding rounding; /* of networks */
};
/* By the words exact, float32, int16, int8, and model, single, double; empty: int16 and model.
 * INVALID begins with "leaves: " or "rounding: ". */
enum ig_code ig_edge_choice_parse(struct ig_edge_choice *out, struct ig_str leaves,
                                  struct ig_str rounding, struct ig_err *err);

/* A model made compact: one of trees and network is set. */
struct ig_edge_pack {
    struct ig_tree_compact *trees;
    struct ig_network_compact *network;
    struct ig_edge_source source;     /* of the network */
    struct ig_network *copy;          /* of another rounding than the model's */
    const struct ig_encoder *encoder; /* of the package, which becomes the network's; or NULL */
};
/* The package outlives it. Also after a failure it is to be freed. */
enum ig_code ig_edge_pack_init(struct ig_edge_pack *pack, const struct ig_package *package,
                               const struct ig_edge_choice *choice, struct ig_err *err);
void ig_edge_pack_deinit(struct ig_edge_pack *pack);
/* Appends the compact file. */
enum ig_code ig_edge_pack_write(struct ig_buf *out, const struct ig_edge_pack *pack,
                                struct ig_err *err);

/* Appends the bundle of a package's model, to be signed; `bundle` tells all but the model. */
enum ig_code ig_edge_pack_bundle(struct ig_buf *out, const struct ig_package *package,
                                 const struct ig_edge_choice *choice, struct ig_edge_bundle bundle,
                                 struct ig_err *err);

#endif
