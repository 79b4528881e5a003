/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_QUANTIZE_HISTOGRAM_H
#define IG_KERNELS_QUANTIZE_HISTOGRAM_H

/* What a tensor's numbers were, in bounded memory however many there are: a histogram whose range
 * doubles when a number lies outside, two bins becoming one. From it come the ranges that int8 is
 * to cover. A plain value; starts as {0}. */

#include "kernels/quantize/steps.h"

enum { IG_HISTOGRAM_BINS = 2048 };

struct ig_histogram {
    uint64_t bins[IG_HISTOGRAM_BINS];
    uint64_t count;
    double low, width;        /* of the first bin; of each */
    struct ig_range ends;     /* seen */
    struct ig_range averages; /* of each batch's ends, moving */
};

/* A batch of numbers; what is not finite is left out. */
void ig_histogram_add(struct ig_histogram *histogram, const float *values, size_t count);

enum ig_calibrator {
#define IG_CALIBRATOR(name, word, doc) IG_CALIBRATE_##name,
#include "kernels/quantize/calibrators.def"
#undef IG_CALIBRATOR
    IG_CALIBRATORS_COUNT
};
const char *ig_calibrator_name(enum ig_calibrator calibrator); /* "min_max" */

/* The range that a calibrator would have int8 cover; of an empty histogram 0 to 0. */
struct ig_range ig_histogram_range(const struct ig_histogram *histogram,
                                   enum ig_calibrator calibrator);

#endif
