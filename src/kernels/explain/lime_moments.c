/* SPDX-License-Identifier: Apache-2.0 */
/* Weighted sums of products of (1, z, y) over LIME's samples. z is 0 or 1, so a row of sums adds
 * the weighted samples that have its z: some samples at a time, and of a row as many sums as
 * registers hold. A sum's terms come in the order of the samples, however they are cut. */
#include "kernels/explain/lime_priv.h"

#include <string.h>

typedef double pair __attribute__((vector_size(16)));
enum { LANES = 8, SAMPLES = 64 };

static size_t stride_of(uint32_t n)
{
    return (n + (size_t)2 + LANES - 1) / LANES * LANES;
}

size_t ig_lime_add_bytes(uint32_t n)
{
    return SAMPLES * stride_of(n) * sizeof(double);
}

/* Sums `first` .. `first` + LANES of row i, as far as there are any. */
static void add_row(struct ig_lime_moments *m, uint32_t i, size_t first, const double *rows,
                    const uint32_t *having, uint32_t count)
{
    const size_t size = m->n + (size_t)2, stride = stride_of(m->n);
    const size_t own = size - first < LANES ? size - first : LANES;
    double *sums = m->sums + i * size + first;
    pair all[LANES / 2] = {0};
    memcpy(all, sums, own * sizeof(double));
    pair a = all[0], b = all[1], c = all[2], d = all[3];
    for (uint32_t s = 0; s < count; s++) {
        const pair *row = (const pair *)(rows + having[s] * stride + first);
        a += row[0];
        b += row[1];
        c += row[2];
        d += row[3];
    }
    all[0] = a, all[1] = b, all[2] = c, all[3] = d;
    memcpy(sums, all, own * sizeof(double));
}

/* At most SAMPLES of them. `rows` becomes weight * (1, z, y). */
static void add_some(struct ig_lime_moments *m, const struct ig_lime_samples *samples, double *rows)
{
    const uint32_t n = m->n, count = (uint32_t)samples->count;
    const size_t size = n + (size_t)2, stride = stride_of(n);
    uint32_t having[SAMPLES] = {0};
    for (uint32_t s = 0; s < count; s++) {
        const double weights[2] = {0, samples->weight[s]};
        double *row = rows + s * stride;
        row[0] = weights[1];
        for (uint32_t f = 0; f < n; f++) row[f + 1] = weights[samples->z[s * (size_t)n + f]];
        row[n + 1] = weights[1] * samples->y[s];
        for (size_t k = size; k < stride; k++) row[k] = 0;
        m->sums[size * size - 1] += row[n + 1] * samples->y[s];
    }
    for (uint32_t i = 0; i <= n; i++) {
        uint32_t have = 0;
        for (uint32_t s = 0; s < count; s++) {
            having[have] = s;
            have += i == 0 || samples->z[s * (size_t)n + i - 1];
        }
        for (size_t first = i / LANES * LANES; first < size; first += LANES)
            add_row(m, i, first, rows, having, have);
    }
}

void ig_lime_add(struct ig_lime_moments *moments, const struct ig_lime_samples *samples,
                 void *scratch)
{
    struct ig_lime_samples some = *samples;
    for (size_t left = samples->count; left > 0; left -= some.count) {
        some.count = left < SAMPLES ? left : SAMPLES;
        add_some(moments, &some, scratch);
        some.z += some.count * moments->n;
        some.y += some.count;
        some.weight += some.count;
    }
}

void ig_lime_mirror(struct ig_lime_moments *m)
{
    const size_t size = m->n + (size_t)2;
    for (size_t i = 0; i < size; i++)
        for (size_t k = 0; k < i; k++) m->sums[i * size + k] = m->sums[k * size + i];
}
