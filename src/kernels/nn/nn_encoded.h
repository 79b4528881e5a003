/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_NN_NN_ENCODED_H
#define IG_KERNELS_NN_NN_ENCODED_H

/* A network behind an encoder, as a function of a table's rows: the one-hot columns, scales and
 * ranks are made row by row, then the network runs. */

#include "kernels/nn/nn.h"
#include "kernels/train/encoder.h"

struct ig_nn_encoded {
    const struct ig_nn *nn;           /* takes the encoder's inputs_count */
    const struct ig_encoder *encoder; /* both borrowed */
};

/* Borrows `encoded`. Features are the encoder's, values the network's. */
struct ig_predictor ig_nn_encoded_predictor(const struct ig_nn_encoded *encoded);

#endif
