/* SPDX-License-Identifier: Apache-2.0 */
/* Bucket i holds magnitudes in (MIN * g^i, MIN * g^(i+1)] with g = (1 + e) / (1 - e); its answer is
 * the point whose relative distance to both ends is e. */
#include "kernels/stats/sketch.h"

#include <math.h>

enum { DECILES = 10 };

static double log_ratio(void)
{
    return log((1 + IG_SKETCH_ERROR) / (1 - IG_SKETCH_ERROR));
}

static size_t bucket_of(double magnitude)
{
    double index = ceil(log(magnitude / IG_SKETCH_MIN) / log_ratio()) - 1;
    if (!(index > 0)) return 0;
    return index < IG_SKETCH_BUCKETS - 1 ? (size_t)index : IG_SKETCH_BUCKETS - 1;
}

static double middle_of(size_t bucket)
{
    return IG_SKETCH_MIN * exp((double)(bucket + 1) * log_ratio()) * (1 - IG_SKETCH_ERROR);
}

void ig_sketch_add(struct ig_sketch *sketch, double value)
{
    if (isnan(value)) return;
    sketch->count++;
    sketch->sum += value;
    if (fabs(value) < IG_SKETCH_MIN)
        sketch->zeros++;
    else if (value > 0)
        sketch->positive[bucket_of(value)]++;
    else
        sketch->negative[bucket_of(-value)]++;
}

void ig_sketch_merge(struct ig_sketch *sketch, const struct ig_sketch *other)
{
    sketch->count += other->count;
    sketch->zeros += other->zeros;
    sketch->sum += other->sum;
    for (size_t i = 0; i < IG_SKETCH_BUCKETS; i++) {
        sketch->positive[i] += other->positive[i];
        sketch->negative[i] += other->negative[i];
    }
}

double ig_sketch_quantile(const struct ig_sketch *sketch, double q)
{
    if (!sketch->count) return NAN;
    double rank = q * (double)(sketch->count - 1);
    uint64_t seen = 0;
    for (size_t i = IG_SKETCH_BUCKETS; i-- > 0;) {
        seen += sketch->negative[i];
        if ((double)seen > rank) return -middle_of(i);
    }
    seen += sketch->zeros;
    if ((double)seen > rank) return 0;
    for (size_t i = 0; i < IG_SKETCH_BUCKETS; i++) {
        seen += sketch->positive[i];
        if ((double)seen > rank) return middle_of(i);
    }
    return middle_of(IG_SKETCH_BUCKETS - 1);
}

uint64_t ig_sketch_above(const struct ig_sketch *sketch, double value)
{
    uint64_t above = 0;
    if (value >= IG_SKETCH_MIN) {
        for (size_t i = bucket_of(value) + 1; i < IG_SKETCH_BUCKETS; i++)
            above += sketch->positive[i];
        return above;
    }
    for (size_t i = 0; i < IG_SKETCH_BUCKETS; i++) above += sketch->positive[i];
    if (value > -IG_SKETCH_MIN) return above;
    above += sketch->zeros;
    for (size_t i = 0; i < bucket_of(-value); i++) above += sketch->negative[i];
    return above;
}

static double share(uint64_t count, uint64_t all)
{
    return ((double)count + 0.5) / ((double)all + 0.5 * DECILES);
}

double ig_sketch_psi(const struct ig_sketch *base, const struct ig_sketch *other)
{
    double psi = 0;
    uint64_t base_above = base->count, other_above = other->count;
    if (!base->count || !other->count) return NAN;
    for (int i = 1; i <= DECILES; i++) {
        uint64_t base_next = 0, other_next = 0;
        if (i < DECILES) {
            double cut = ig_sketch_quantile(base, (double)i / DECILES);
            base_next = ig_sketch_above(base, cut);
            other_next = ig_sketch_above(other, cut);
        }
        double expected = share(base_above - base_next, base->count);
        double found = share(other_above - other_next, other->count);
        psi += (found - expected) * log(found / expected);
        base_above = base_next;
        other_above = other_next;
    }
    return psi;
}
