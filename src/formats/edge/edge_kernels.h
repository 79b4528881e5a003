/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_EDGE_EDGE_KERNELS_H
#define IG_FORMATS_EDGE_EDGE_KERNELS_H

/* The text of the device runtime's kernels (apps/edge/ingot_edge_nn*), which the build reads. */

#include <stddef.h>

struct ig_edge_kernel {
    const char *name; /* "ingot_edge_nn_conv.c" */
    const unsigned char *text;
    size_t size;
};

extern const struct ig_edge_kernel ig_edge_kernels[]; /* until a name that is NULL */

#endif
