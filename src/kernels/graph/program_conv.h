/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_GRAPH_PROGRAM_CONV_H
#define IG_KERNELS_GRAPH_PROGRAM_CONV_H

/* What the instruction sets' forms of Conv share: one tile of outputs, summed tap by tap. Every sum
 * is in double over the kernel's taps in order, so all forms give the same bits. */

#include "kernels/graph/program_window.h"

enum { PROG_CONV_LANES = 8, PROG_CONV_BLOCK = 4 };

struct prog_conv_tile;

struct prog_conv {
    struct prog_window window; /* always two spatial dimensions; a Conv of one has height 1 */
    size_t images, groups, in_channels, out_channels; /* channels of a group */
    void (*sum)(const struct prog_conv *conv, struct prog_conv_tile *tile);
};

/* Up to BLOCK output channels at LANES neighbouring positions of one output row. */
struct prog_conv_tile {
    const float *image;  /* first input channel of the group */
    const float *kernel; /* of the first output channel; the next lie `taps` apart */
    size_t taps, channels;
    int64_t row, column; /* of the first position in the padded input's coordinates */
    double sums[PROG_CONV_BLOCK][PROG_CONV_LANES]; /* out; those beyond `channels` are undefined */
};

/* What one tap sees at each lane; 0 in the padding. */
void prog_conv_lanes(const struct prog_window *window, const float *line, int64_t first,
                     double *lanes);
void prog_conv_sum_scalar(const struct prog_conv *conv, struct prog_conv_tile *tile);
void prog_conv_sum_avx2(const struct prog_conv *conv, struct prog_conv_tile *tile);

#endif
