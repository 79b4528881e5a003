/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_ONNX_ONNX_INLINE_H
#define IG_FORMATS_ONNX_ONNX_INLINE_H

/* ONNX models whose weights lie in files beside them (onnx.proto: TensorProto.external_data), as
 * MLflow saves them unless told otherwise, made into one file. */

#include "base/err.h"
#include "base/str.h"

/* The bytes of a file beside the model, as `location` names it: the reader judges where that leads.
 * They stay until the next call. */
typedef enum ig_code ig_onnx_read(struct ig_str *out, void *context, struct ig_str location,
                                  struct ig_err *err);

/* Writes the model with the data of the graph's own initializers inside. `out` stays empty when
 * nothing lies outside, or when the bytes are no ONNX model: what reads them says so better. */
enum ig_code ig_onnx_inline(struct ig_buf *out, struct ig_str model, ig_onnx_read *read,
                            void *context, struct ig_err *err);

#endif
