/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_ONNX_ONNX_WRITE_PRIV_H
#define IG_FORMATS_ONNX_ONNX_WRITE_PRIV_H

/* What the parts of the ONNX writer share: nodes, constants and ends are appended to the graph as
 * they come. Names live in the writer's arena. Growth that fails sticks (onnx_write_failed); what
 * is appended after is dropped. Thread rule: one thread a writer. */

#include "base/proto.h"
#include "formats/onnx/onnx.h"
#include "formats/schema.h"
#include "model/network.h"

enum { ONNX_OPSET = 13, ONNX_ML_OPSET = 3, ONNX_ML_OPSET_SETS = 5 };
enum { ONNX_OPEN_DIM = -1 }; /* of a value: any number of rows */
#define ONNX_ML "ai.onnx.ml"

struct onnx_writer {
    struct ig_buf graph, inputs, outputs;
    struct ig_arena arena;
    struct ig_err *err;
    uint32_t names_count;
    uint32_t ml_opset; /* 0: the domain is not used */
    size_t node, attribute;
    const char *node_op, *node_domain; /* of the node that is open */
};

bool onnx_write_failed(const struct onnx_writer *w);
/* A new name: "/word_3". No input or output has one that begins so. */
const char *onnx_new_name(struct onnx_writer *w, const char *word);

/* A node: opened with its inputs (NULL: left out) and outputs, then attributes, then closed. */
struct onnx_ends {
    const char *in[4], *out[2];
};
void onnx_open_node(struct onnx_writer *w, const char *domain, const char *op,
                    const struct onnx_ends *ends);
void onnx_open_node_of(struct onnx_writer *w, const char *op, const char *const *inputs,
                       uint32_t count, const char *output);
void onnx_close_node(struct onnx_writer *w);
void onnx_attribute_i64(struct onnx_writer *w, const char *name, int64_t value);
void onnx_attribute_f32(struct onnx_writer *w, const char *name, float value);
void onnx_attribute_text(struct onnx_writer *w, const char *name, const char *value);
void onnx_attribute_i64s(struct onnx_writer *w, const char *name, const int64_t *values,
                         size_t count);
void onnx_attribute_f32s(struct onnx_writer *w, const char *name, const float *values,
                         size_t count);
void onnx_attribute_texts(struct onnx_writer *w, const char *name, const struct ig_str *values,
                          size_t count);
void onnx_attribute_tensor(struct onnx_writer *w, const char *name, const struct ig_tensor *value);
/* A node of one or two inputs and no attributes; gives its output, a new name when `out` is NULL.
 */
const char *onnx_node(struct onnx_writer *w, const char *op, const char *a, const char *b,
                      const char *out);

/* An initialiser of a new name. */
const char *onnx_constant(struct onnx_writer *w, const char *word, const struct ig_tensor *value);
const char *onnx_constant_f32s(struct onnx_writer *w, const char *word, const float *values,
                               int64_t count);
const char *onnx_constant_i64s(struct onnx_writer *w, const char *word, const int64_t *values,
                               int64_t count);
const char *onnx_constant_f32(struct onnx_writer *w, float value); /* of rank 0 */

void onnx_input(struct onnx_writer *w, const char *name, enum ig_tensor_type type,
                const int64_t *dims, uint32_t rank);
void onnx_output(struct onnx_writer *w, const char *name, enum ig_tensor_type type,
                 const int64_t *dims, uint32_t rank);

/* ---- models ---- */

struct onnx_model {
    const struct ig_model *model;
    const struct ig_str *classes; /* texts, classes_count; NULL: numbers from 0 */
    uint32_t classes_count;       /* 0: no classifier */
};

#define ONNX_INPUT "input"
/* The graph's outputs "label" and "probabilities" or "scores", declared. */
const char *onnx_declare_scores(struct onnx_writer *w, const struct onnx_model *m,
                                const char *scores);
/* "variable", declared. */
const char *onnx_declare_variable(struct onnx_writer *w, const struct onnx_model *m);
/* From margins [rows, outputs] to the model's predictions, which are declared. */
void onnx_write_transform(struct onnx_writer *w, const struct onnx_model *m, const char *margins);

bool onnx_write_trees(struct onnx_writer *w, const struct onnx_model *m);
bool onnx_write_linear(struct onnx_writer *w, const struct onnx_model *m);
struct ig_encoder;
/* `encoder`: what makes its input from a table's rows, or NULL. */
bool onnx_write_network(struct onnx_writer *w, const struct ig_network *network,
                        const struct ig_encoder *encoder);
/* The input "input" of features, and what the encoder makes of it; NULL: out of memory. */
const char *onnx_write_encoder(struct onnx_writer *w, const struct ig_encoder *encoder);

/* A feature for messages: its name, or "feature 3"; in the arena. */
const char *onnx_feature_name(struct onnx_writer *w, const struct ig_model *model,
                              uint32_t feature);

#endif
