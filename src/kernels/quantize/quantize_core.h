/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_QUANTIZE_QUANTIZE_CORE_H
#define IG_KERNELS_QUANTIZE_QUANTIZE_CORE_H

/* Quantization of networks whose ends are not for int8: a scaler in front, which brings numbers of
 * many sizes to one, and what follows the last layer that can be quantized. */

#include "kernels/quantize/quantize.h"

/* As ig_quantize_run; what prescribes a zero point counts as not to be quantized where they are to
 * be 0. Leading ADD, SUB and MUL by constants stay float, and so do the layers from
 * the first on that cannot be quantized, when they stand on one tensor; the network then has float
 * ends, with QUANTIZE and DEQUANTIZE inside. Rows are those of the whole network, and layers of the
 * report are counted in it. */
enum ig_code ig_quantize_core_run(struct ig_quantize_result *out, struct ig_arena *arena,
                                  const struct ig_network *network,
                                  const struct ig_quantize_options *options, struct ig_err *err);

#endif
