/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_ONNX_ONNX_H
#define IG_FORMATS_ONNX_ONNX_H

/* ONNX model files (ModelProto, IR version 3 and later), read without a protobuf library. Safe on
 * any bytes: memory stays within a small multiple of their length. Data in other files, subgraphs,
 * sparse and 16-bit tensors are refused with a message that names them. */

#include "model/graph.h"
#include "model/model.h"

struct ig_network;
struct ig_schema;

/* The caller frees the graph with ig_graph_free. The last step is ig_graph_check. The bytes may go
 * after the call. */
enum ig_code ig_onnx_graph(struct ig_graph **out, struct ig_str bytes, struct ig_err *err);
/* True when the graph is one tree ensemble with nothing else that computes (Identity, Cast of its
 * labels, ZipMap may follow) in a form that struct ig_model can hold. */
bool ig_onnx_is_trees(const struct ig_graph *graph);
/* The model of such a graph; a graph that is none is IG_UNSUPPORTED with the reason. */
enum ig_code ig_onnx_trees(struct ig_model **out, const struct ig_graph *graph, struct ig_err *err);
/* A model of any graph of numbers that the program can run; takes the graph over, on failure too.
 */
enum ig_code ig_onnx_program(struct ig_model **out, struct ig_graph *graph, struct ig_err *err);
/* One TensorProto message: data_type, dims and any of its data fields. */
enum ig_code ig_onnx_tensor(struct ig_tensor *out, struct ig_str bytes, struct ig_arena *arena,
                            struct ig_err *err);

/* A graph as a network that can be quantized and exported. Images have their channels last in it:
 * `features` tells of each element of its inputs which one of the graph's it is, NULL when all lie
 * alike; the array is the network's. */
struct ig_onnx_network {
    struct ig_network *network;
    uint32_t *features;
};
/* Float networks, and int8 ones as QuantizeLinear and DequantizeLinear say them; rows are one, and
 * outputs that are labels are left out. UNSUPPORTED names the node and its operator. */
enum ig_code ig_onnx_network(struct ig_onnx_network *out, const struct ig_graph *graph,
                             struct ig_err *err);

/* Appends a checked model as a file to `out`, which is empty, valid for ONNX Runtime and onnx's
 * checker. Trees, linear models: one input "input" [rows, features] of floats, where a NaN is
 * missing and a category is its code; outputs "label" and "probabilities" (or "scores") of
 * classifiers, "variable" of others. Decisions are the model's own for every float; sums are in
 * float. Networks keep their inputs' order of dimensions; int8 ones become pairs of QuantizeLinear
 * and DequantizeLinear, with float ends. `schema` names features and classes; it may be NULL.
 * UNSUPPORTED, with the feature or layer: what ONNX cannot say. */
enum ig_code ig_onnx_write(struct ig_buf *out, const struct ig_model *model,
                           const struct ig_schema *schema, struct ig_err *err);

#endif
