/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_COREML_COREML_H
#define IG_FORMATS_COREML_COREML_H

/* Core ML files (.mlmodel). Source: Apple's Core ML Model Specification (coremltools'
 * mlmodel/format). */

#include "model/model.h"

struct ig_schema;

/* Appends a checked model as a file to `out`, which is empty. The lowest version of the
 * specification that says it: 1, or 2 for weights in halves, 3 for int8 ones. Trees and linear
 * models take one array "features" of doubles, NaN where missing, and give "prediction", or of
 * classifiers "class" and "probabilities"; float networks take and give arrays without the
 * dimension of rows. `schema` names features and classes; it may be NULL. UNSUPPORTED, with the
 * feature, layer or transform: what Core ML cannot say. */
enum ig_code ig_coreml_write(struct ig_buf *out, const struct ig_model *model,
                             const struct ig_schema *schema, struct ig_err *err);

#endif
