/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_STATS_SKETCH_H
#define IG_KERNELS_STATS_SKETCH_H

/* A quantile sketch of fixed size (DDSketch: Masson, Rim, Lee, VLDB 2019): buckets of constant
 * ratio, so every quantile is within IG_SKETCH_ERROR of a value at that rank, relative to it.
 * Values of magnitude below IG_SKETCH_MIN count as 0, above IG_SKETCH_MAX as that. A plain struct:
 * zeroed it is empty, and a copy is a copy. Adding takes a few nanoseconds. Not thread-safe. */

#include <stddef.h>
#include <stdint.h>

enum { IG_SKETCH_BUCKETS = 1040 }; /* each of positive and negative values */
#define IG_SKETCH_ERROR 0.02
#define IG_SKETCH_MIN 1e-9
#define IG_SKETCH_MAX 1e9

struct ig_sketch {
    uint64_t count, zeros;
    double sum;
    uint32_t positive[IG_SKETCH_BUCKETS], negative[IG_SKETCH_BUCKETS];
};

void ig_sketch_add(struct ig_sketch *sketch, double value); /* NaN is not counted */
/* What both hold, as if added to one. */
void ig_sketch_merge(struct ig_sketch *sketch, const struct ig_sketch *other);
/* The value at rank q (0 to 1) of those added; NaN of an empty one. */
double ig_sketch_quantile(const struct ig_sketch *sketch, double q);
/* How many are above the value, to the bucket. */
uint64_t ig_sketch_above(const struct ig_sketch *sketch, double value);
/* Population stability index of two sketches over the deciles of `base`: 0 the same, 0.1 moderate,
 * 0.25 a strong shift by the usual reading. Each share is smoothed by half a value. NaN when one is
 * empty. */
double ig_sketch_psi(const struct ig_sketch *base, const struct ig_sketch *other);

#endif
