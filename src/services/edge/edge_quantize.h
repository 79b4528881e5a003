/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_EDGE_EDGE_QUANTIZE_H
#define IG_SERVICES_EDGE_EDGE_QUANTIZE_H

/* A smaller file of a package's network: all int8, or floats at work with weights of fewer bits;
 * with what that cost. Stateless; any thread. */

#include "kernels/nn/nn_device.h"
#include "kernels/predictor.h"
#include "kernels/quantize/quantize.h"
#include "kernels/quantize/weights.h"
#include "kernels/train/encoder.h"
#include "services/edge/edge_pack.h"
#include "services/job/train_metrics.h"

/* Labels that stand beside rows. */
struct ig_edge_labels {
    double *values; /* count: the class, or the number; NaN: none. In the arena; NULL: no column */
    size_t count;
};
/* Of the column `wanted` of a table with a header, or when that is empty of the schema's target,
 * where the table has such a column. INVALID names the row of a class that the schema does not
 * know. */
enum ig_code ig_edge_labels_read(struct ig_edge_labels *out, struct ig_str csv,
                                 struct ig_str wanted, const struct ig_schema *schema,
                                 struct ig_arena *arena, struct ig_err *err);
/* How a model does by rows[count x features] that have a label. */
enum ig_code ig_edge_labels_judge(struct ig_metrics *out, const struct ig_edge_labels *labels,
                                  const struct ig_schema *schema,
                                  const struct ig_predictor *predictor, const double *rows,
                                  struct ig_err *err);

enum ig_edge_quantize_to { IG_EDGE_TO_INT8, IG_EDGE_TO_WEIGHTS, IG_EDGE_TO_FLOAT16 };

struct ig_edge_quantize {
    enum ig_edge_quantize_to to;
    int calibrator; /* of enum ig_calibrator; -1: chosen for each tensor */
    enum ig_network_rounding rounding;
    bool float_ends, symmetric;
    bool packaged; /* the encoder goes with the network, which may then ask for gains in it */
    const struct ig_nn_device *device; /* for which instructions are estimated */
    const double *rows;                /* rows_count x features, as the package takes them; int8
                                          needs them */
    size_t rows_count;
    struct ig_edge_labels labels; /* of all rows, or none */
};
/* By the words that `ingot edge quantize` and jobs have for it; INVALID names the parameter. */
enum ig_code ig_edge_quantize_parse(struct ig_edge_quantize *out, const char *to,
                                    const char *calibrator, const char *rounding,
                                    const char *device, struct ig_err *err);

struct ig_edge_quantized {
    struct ig_arena arena;
    struct ig_edge_source source;
    struct ig_network *made;
    struct ig_encoder encoder; /* of the package, with gains; where it has one */
    struct ig_buf file;        /* TensorFlow Lite's */
    size_t source_bytes, rows_count;
    bool has_int8, judged;
    struct ig_quantize_report int8;
    struct ig_metrics before, after; /* on the rows that have labels */
    struct ig_nn_estimate estimate;
};
/* The package outlives it. `out` is deinited by the caller, also after a failure. */
enum ig_code ig_edge_quantize_run(struct ig_edge_quantized *out, const struct ig_package *package,
                                  const struct ig_edge_quantize *options, struct ig_err *err);
void ig_edge_quantized_deinit(struct ig_edge_quantized *quantized);
/* A package with the source's schema and encoder, and golden rows spread over the given ones.
 * UNSUPPORTED for a network whose rows come in another order than the source's. */
enum ig_code ig_edge_quantized_package(struct ig_buf *zip,
                                       const struct ig_edge_quantized *quantized,
                                       const struct ig_package *package,
                                       const struct ig_edge_quantize *options,
                                       struct ig_str metadata_json, struct ig_err *err);
/* The report as members of the object that is open; `layers`: with the error of each. */
void ig_edge_quantized_write(struct ig_json_out *out, const struct ig_edge_quantized *quantized,
                             bool layers);

#endif
