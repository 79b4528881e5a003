/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_COREML_COREML_PRIV_H
#define IG_FORMATS_COREML_COREML_PRIV_H

/* What the parts of the Core ML writer share. Thread rule: one thread a writer. */

#include "base/arena.h"
#include "base/proto.h"
#include "formats/coreml/coreml.h"
#include "formats/schema.h"
#include "model/network.h"

enum { COREML_FLOAT32 = 65568, COREML_DOUBLE = 65600 }; /* ArrayFeatureType.ArrayDataType */
enum { COREML_VERSION = 1, COREML_VERSION_HALVES = 2, COREML_VERSION_QUANTIZED = 3 };

struct coreml_writer {
    struct ig_buf description, body; /* fields of ModelDescription; the model's own message */
    struct ig_arena arena;
    struct ig_err *err;
    uint32_t version;
    uint32_t type; /* field of Model that `body` is */
    const struct ig_model *model;
    const struct ig_str *classes; /* texts, classes_count; NULL: numbers from 0 */
    uint32_t classes_count;       /* 0: no classifier */
};

bool coreml_no_memory(struct coreml_writer *w);
bool coreml_refuse(struct coreml_writer *w, const char *what);
const char *coreml_feature_name(struct coreml_writer *w, uint32_t feature);

/* Fields of the description: an array, a number. */
void coreml_input_array(struct coreml_writer *w, const char *name, uint32_t type,
                        const uint32_t *dims, uint32_t rank);
void coreml_output_array(struct coreml_writer *w, const char *name, uint32_t type,
                         const uint32_t *dims, uint32_t rank);
/* "class" and "probabilities", and the labels as fields of `body`. */
void coreml_classifier(struct coreml_writer *w);
/* "prediction": a number, or an array of several. */
void coreml_regressor(struct coreml_writer *w, uint32_t values);

bool coreml_write_trees(struct coreml_writer *w);
bool coreml_write_linear(struct coreml_writer *w);
bool coreml_write_network(struct coreml_writer *w, const struct ig_network *network);

#endif
