/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_GRAPH_PROGRAM_CONV_H
#define IG_KERNELS_GRAPH_PROGRAM_CONV_H

/* What the instruction sets' forms of Conv share: one tile of outputs, summed tap by tap. Every sum
 * is in double over the kernel's taps in order, to which the bias is added before it is rounded
 * once: all forms give the same bits. A product of two floats is exact in double, so a fused
 * multiply-add does as well. */

#include "kernels/graph/program_window.h"

enum { PROG_CONV_LANES = 8, PROG_CONV_BLOCK = 8 };

struct prog_conv_tile;

struct prog_conv {
    struct prog_window window; /* always two spatial dimensions; a Conv of one has height 1 */
    size_t images, groups, in_channels, out_channels; /* channels of a group */
    size_t taps;
    /* Each line of an image is laid out anew, padding and all: the columns that are a stride apart
     * are neighbours, `part` floats a remainder. What a column of the kernel sees at the output's
     * columns begins at views[column]. */
    size_t part, line;
    const size_t *views;
    const double *kernels; /* constant weights, a block of channels after the other; or NULL */
    void (*fill)(const struct prog_conv *conv, const struct prog_conv_tile *tile);
};

/* Up to BLOCK output channels at LANES neighbouring positions of one output row. */
struct prog_conv_tile {
    const float *lines;   /* [in_channels][window.in[0]][line], from the first position's column */
    const double *kernel; /* [taps][BLOCK], those beyond `channels` 0 */
    size_t channels, lanes; /* that are there */
    int64_t row;            /* of the kernel's top in the image's coordinates */
    double bias[PROG_CONV_BLOCK];
    float *out; /* of the first channel; the others' are a plane apart */
    size_t plane;
};

void prog_conv_fill_scalar(const struct prog_conv *conv, const struct prog_conv_tile *tile);
void prog_conv_fill_avx2(const struct prog_conv *conv, const struct prog_conv_tile *tile);
void prog_conv_fill_avx512(const struct prog_conv *conv, const struct prog_conv_tile *tile);

#endif
