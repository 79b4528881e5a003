/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_MODEL_GRAPH_H
#define IG_MODEL_GRAPH_H

/* A small dataflow graph of tensor operators, as ONNX describes it, with every name resolved to the
 * index of a value. Readers fill it, ig_graph_check validates it, kernels/graph runs it. Immutable
 * after the check; owned by its arena.
 *
 * Source: ONNX IR specification; operators keep their ONNX names, domains and attributes. */

#include "base/arena.h"
#include "base/err.h"

enum { IG_GRAPH_RANK_MAX = 8 };
#define IG_GRAPH_NONE UINT32_MAX

/* ONNX's numbers. */
enum ig_tensor_type {
    IG_TENSOR_NONE = 0,
    IG_TENSOR_F32 = 1,
    IG_TENSOR_U8 = 2,
    IG_TENSOR_I8 = 3,
    IG_TENSOR_I32 = 6,
    IG_TENSOR_I64 = 7,
    IG_TENSOR_STRING = 8, /* elements are struct ig_str */
    IG_TENSOR_BOOL = 9,   /* one byte, 0 or 1 */
    IG_TENSOR_F64 = 11,
};

struct ig_tensor {
    enum ig_tensor_type type;
    uint32_t rank;
    int64_t dims[IG_GRAPH_RANK_MAX]; /* >= 0 */
    size_t count;                    /* their product; 1 at rank 0 */
    const void *data;                /* row-major, native byte order */
};

enum ig_attribute_kind {
    IG_ATTRIBUTE_F32 = 1,
    IG_ATTRIBUTE_I64 = 2,
    IG_ATTRIBUTE_STRING = 3,
    IG_ATTRIBUTE_TENSOR = 4,
    IG_ATTRIBUTE_F32S = 6,
    IG_ATTRIBUTE_I64S = 7,
    IG_ATTRIBUTE_STRINGS = 8,
};

struct ig_attribute {
    struct ig_str name;
    enum ig_attribute_kind kind;
    size_t count; /* elements of the lists; 1 for the single kinds */
    union {
        const float *f32;
        const int64_t *i64;
        const struct ig_str *strings;
        const struct ig_tensor *tensor;
    };
};

/* A value that flows along an edge. */
struct ig_graph_value {
    struct ig_str name;
    const struct ig_tensor *initialiser; /* NULL when a node or the caller gives it */
    bool declared;                       /* type, rank and dims below were in the file */
    enum ig_tensor_type type;
    uint32_t rank;
    int64_t dims[IG_GRAPH_RANK_MAX]; /* -1: symbolic or unknown */
};

struct ig_graph_node {
    struct ig_str name, op, domain; /* domain is empty for ai.onnx */
    uint32_t *inputs;               /* values; IG_GRAPH_NONE where an optional input is left out */
    uint32_t *outputs;
    uint32_t inputs_count, outputs_count;
    struct ig_attribute *attributes;
    uint32_t attributes_count;
};

struct ig_graph_opset {
    struct ig_str domain;
    int64_t version;
};

struct ig_graph {
    struct ig_arena arena; /* owns all below */
    struct ig_graph_node *nodes;
    struct ig_graph_value *values;
    uint32_t *inputs; /* values that the caller gives; initialisers are not among them */
    uint32_t *outputs;
    struct ig_graph_opset *opsets;
    uint32_t nodes_count, values_count, inputs_count, outputs_count, opsets_count;
    struct ig_str producer; /* "skl2onnx 1.19.1"; for messages */
};

/* An empty graph whose arena holds at most max_bytes; NULL when out of memory. */
struct ig_graph *ig_graph_new(size_t max_bytes);
void ig_graph_free(struct ig_graph *graph);
/* Checks every index, that each value has one source and that a node's inputs come from the
 * caller, an initialiser or an earlier node, and tensor sizes. The message names the node. */
enum ig_code ig_graph_check(const struct ig_graph *graph, struct ig_err *err);

/* Opset version of a domain; 0 when the graph imports none ("ai.onnx" is ""). */
int64_t ig_graph_opset(const struct ig_graph *graph, struct ig_str domain);
/* NULL when the node has none of this name. */
const struct ig_attribute *ig_graph_attribute(const struct ig_graph_node *node, const char *name);
/* The single attribute's value, or the fallback when it is absent or of another kind. */
int64_t ig_graph_i64(const struct ig_graph_node *node, const char *name, int64_t fallback);
float ig_graph_f32(const struct ig_graph_node *node, const char *name, float fallback);
struct ig_str ig_graph_string(const struct ig_graph_node *node, const char *name,
                              const char *fallback);
/* The list and its length, or NULL and 0 when absent or of another kind. */
const int64_t *ig_graph_i64s(const struct ig_graph_node *node, const char *name, size_t *count);
const float *ig_graph_f32s(const struct ig_graph_node *node, const char *name, size_t *count);
const struct ig_str *ig_graph_strings(const struct ig_graph_node *node, const char *name,
                                      size_t *count);

size_t ig_tensor_type_bytes(enum ig_tensor_type type);     /* 0 when unknown */
const char *ig_tensor_type_name(enum ig_tensor_type type); /* "float32" */
/* An element as a number, and a number as an element: NaN and what an integer cannot hold become
 * its least value (a byte: 0), a bool is 1 unless 0. Not of text. */
double ig_tensor_get(const void *data, enum ig_tensor_type type, size_t index);
void ig_tensor_put(void *data, enum ig_tensor_type type, size_t index, double value);
/* Product of the dimensions; false when one is negative or the product overflows or exceeds
 * 2^31 elements. */
bool ig_tensor_size(size_t *count, const int64_t *dims, uint32_t rank);

#endif
