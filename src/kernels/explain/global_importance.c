/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/explain/global_importance.h"

#include <math.h>

static const double Z = 1.959963984540054; /* 97.5% of a standard normal */

enum ig_code ig_global_importance_init(struct ig_global_importance *importance,
                                       uint32_t players_count, struct ig_arena *arena,
                                       struct ig_err *err)
{
    size_t bytes = (players_count + (size_t)1) * sizeof(double);
    *importance = (struct ig_global_importance){.players_count = players_count};
    importance->mean = ig_arena_zalloc(arena, bytes);
    importance->spread = ig_arena_zalloc(arena, bytes);
    importance->signed_mean = ig_arena_zalloc(arena, bytes);
    importance->largest = ig_arena_zalloc(arena, bytes);
    if (!arena->overflowed) return IG_OK;
    return ig_fail(err, IG_NO_MEMORY, "no memory for importances");
}

void ig_global_importance_add(struct ig_global_importance *importance, const double *contributions)
{
    double count = (double)++importance->rows_count;
    for (uint32_t p = 0; p < importance->players_count; p++) {
        double size = fabs(contributions[p]), off = size - importance->mean[p];
        importance->mean[p] += off / count;
        importance->spread[p] += off * (size - importance->mean[p]);
        importance->signed_mean[p] += (contributions[p] - importance->signed_mean[p]) / count;
        if (size > importance->largest[p]) importance->largest[p] = size;
    }
}

double ig_student_quantile(uint64_t freedom)
{
    double v = (double)freedom, z2 = Z * Z;
    if (freedom <= 1) return 12.706204736432095;
    if (freedom == 2) return 4.302652729696142;
    double first = (z2 + 1) / 4;
    double second = (5 * z2 * z2 + 16 * z2 + 3) / 96;
    double third = (3 * z2 * z2 * z2 + 19 * z2 * z2 + 17 * z2 - 15) / 384;
    double fourth =
        (79 * z2 * z2 * z2 * z2 + 776 * z2 * z2 * z2 + 1482 * z2 * z2 - 1920 * z2 - 945) / 92160;
    return Z * (1 + (first + (second + (third + fourth / v) / v) / v) / v);
}

double ig_global_importance_half(const struct ig_global_importance *importance, uint32_t player)
{
    uint64_t rows = importance->rows_count;
    if (rows < 2) return INFINITY;
    double variance = importance->spread[player] / (double)(rows - 1);
    return ig_student_quantile(rows - 1) * sqrt(variance / (double)rows);
}
