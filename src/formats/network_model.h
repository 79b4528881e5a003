/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_NETWORK_MODEL_H
#define IG_FORMATS_NETWORK_MODEL_H

/* A network as a model that is served: a row is the elements of all inputs in order, as real
 * numbers, and the values are those of all outputs. */

#include "model/model.h"
#include "model/network.h"

/* Memory of a model for each number of its inputs. */
enum { IG_NETWORK_MODEL_FEATURE_BYTES = 128 };

/* Makes `model`, whose network is set and checked, a model, and checks it. `most` numbers may go in
 * and come out. */
enum ig_code ig_network_model_fill(struct ig_model *model, struct ig_str version, size_t most,
                                   struct ig_err *err);

#endif
