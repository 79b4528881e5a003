/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_ONNX_ONNX_PRIV_H
#define IG_FORMATS_ONNX_ONNX_PRIV_H

/* What the parts of the ONNX reader share. Every function returns false after it has set the
 * reader's error. Thread rule: one thread a reader. */

#include "base/map.h"
#include "base/vec.h"
#include "formats/onnx/onnx.h"
#include "formats/onnx/onnx_wire.h"

struct onnx_numbers {
    uint64_t *items; /* bits as on the wire */
    size_t count, cap;
};

struct onnx_values {
    struct ig_graph_value *items;
    size_t count, cap;
};

struct onnx_reader {
    struct ig_err *err;
    struct ig_arena *arena; /* borrowed: the graph's */
    struct ig_graph *graph;
    size_t bytes_count; /* of the file: the measure of every cap */
    struct ig_map names;
    struct onnx_values values;
    struct onnx_numbers numbers; /* a list in hand */
};

bool onnx_no_memory(struct onnx_reader *reader);
/* Appends the numbers of a field, alone or packed; `wide` is the wire type of each. */
bool onnx_numbers_add(struct onnx_reader *reader, struct onnx_numbers *numbers,
                      const struct ig_onnx_wire *wire, const struct ig_onnx_field *field,
                      enum ig_onnx_wire_type wide);
/* Text copied into the arena. */
bool onnx_text(struct onnx_reader *reader, struct ig_str *out, struct ig_str bytes);

/* A TensorProto; its name is copied too when `name` is given. */
bool onnx_tensor_read(struct onnx_reader *reader, struct ig_tensor *out, struct ig_str *name,
                      const struct ig_onnx_wire *outer, struct ig_str bytes);
/* A NodeProto. */
bool onnx_node_read(struct onnx_reader *reader, struct ig_graph_node *out,
                    const struct ig_onnx_wire *outer, struct ig_str bytes);
/* The value of a name, made when it is new. */
bool onnx_value(struct onnx_reader *reader, uint32_t *out, struct ig_str name);

float onnx_float(uint64_t bits);
double onnx_double(uint64_t bits);

#endif
