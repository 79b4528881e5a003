/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_TFLITE_TFLITE_H
#define IG_FORMATS_TFLITE_TFLITE_H

/* TensorFlow Lite files (.tflite). Source: LiteRT's schema.fbs, version 3. */

#include "model/network.h"

/* A checked network from a file's bytes. Its constants lie in `bytes`, where they are aligned for
 * their type, so these must outlive it. Memory stays within a small multiple of their length.
 * Refused, with operator or tensor in the message: more than one subgraph, operators, types and
 * versions that model/network_ops.def does not know, sparse and variable tensors. */
enum ig_code ig_tflite_network(struct ig_network **out, struct ig_str bytes, struct ig_err *err);

/* Appends a checked network as a file to `out`, which is empty: valid for LiteRT and TensorFlow
 * Lite Micro, with a signature ("serving_default") and a plan of the arena that the latter follows.
 * A convolution without bias gets one of zeros, since LiteRT asks for it. */
enum ig_code ig_tflite_write(struct ig_buf *out, const struct ig_network *network,
                             struct ig_err *err);

/* "CONV_2D" of a builtin operator's code; NULL when it has none. */
const char *ig_tflite_builtin_name(int32_t code);

#endif
