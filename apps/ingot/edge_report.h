/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_APP_EDGE_REPORT_H
#define IG_APP_EDGE_REPORT_H

/* What `edge quantize` tells of the network that it made. */

#include "kernels/nn/nn_device.h"
#include "kernels/quantize/quantize.h"
#include "services/job/train_metrics.h"

struct ig_edge_report {
    size_t file_bytes, source_bytes;
    size_t rows_count;
    const struct ig_quantize_report *int8; /* or NULL */
    bool judged;
    struct ig_metrics before, after; /* on the rows that have labels */
    const struct ig_nn_device *device;
    struct ig_nn_estimate estimate;
};

void ig_edge_report_print(const struct ig_edge_report *report);
void ig_edge_report_print_json(const struct ig_edge_report *report);

#endif
