/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_EDGE_EDGE_ENCODER_C_H
#define IG_FORMATS_EDGE_EDGE_ENCODER_C_H

/* The encoder of a network's package as C99 source, for devices that take rows of the table. */

#include "formats/schema.h"
#include "kernels/train/encoder.h"
#include "model/network.h"

struct ig_edge_encoder {
    const struct ig_encoder *encoder;
    const struct ig_network_tensor *input; /* of the network: float32 or int8 */
    const struct ig_schema *schema;        /* names, for its comments; NULL: none */
    struct ig_str name;                    /* prefix of its symbols: a C identifier */
};

/* Appends a file that includes only <stdint.h> and gives NAME_encode(row, inputs): `row` has a
 * float a column, NaN where it is missing, categories as their codes; `inputs` are what the server
 * gives the network, bit for bit. INVALID names what cannot be written. */
enum ig_code ig_edge_encoder_c_write(struct ig_buf *out, const struct ig_edge_encoder *encoder,
                                     struct ig_err *err);

/* The same as a part of another file, which has <stdint.h>: NAME_encode is static. The name is one.
 */
void ig_edge_encoder_c_put(struct ig_buf *out, const struct ig_edge_encoder *encoder);

#endif
