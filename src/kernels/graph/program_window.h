/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_GRAPH_PROGRAM_WINDOW_H
#define IG_KERNELS_GRAPH_PROGRAM_WINDOW_H

/* The sliding window of Conv and pooling over one or two spatial dimensions; one dimension is
 * two, of which the first has size 1. Immutable once planned. */

#include "kernels/graph/program_priv.h"

struct prog_window {
    int64_t in[2], out[2], kernel[2], stride[2], dilation[2];
    int64_t pad[2], pad_end[2];
    bool ceiling;
};

/* From attributes kernel_shape, strides, dilations, pads, auto_pad and ceil_mode of the node; the
 * kernel's size is `kernel` (spatial dimensions of the weights) when not NULL. False after
 * refusing.
 */
bool prog_window_plan(struct prog_plan *plan, struct prog_window *window,
                      const struct prog_tensor *in, const int64_t *kernel);
/* Gives output 0 its shape. */
bool prog_window_shape(struct prog_plan *plan, const struct prog_window *window,
                       const struct prog_tensor *in, int64_t channels);

#endif
