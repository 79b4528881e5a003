/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_EXPLAIN_GLOBAL_IMPORTANCE_H
#define IG_KERNELS_EXPLAIN_GLOBAL_IMPORTANCE_H

/* Importance over a data set: the mean size of each player's contribution, with the 95% interval of
 * that mean (Student's t), row by row in constant memory (Welford 1962). The bits depend on the
 * order of the rows, not on how they come in batches. */

#include "base/arena.h"
#include "base/err.h"

struct ig_global_importance {
    uint32_t players_count;
    uint64_t rows_count;
    double *mean, *spread;         /* players: of |contribution|; spread: sum of squares about it */
    double *signed_mean, *largest; /* players: mean contribution; greatest |contribution| */
};

/* Arrays from the arena; NO_MEMORY. */
enum ig_code ig_global_importance_init(struct ig_global_importance *importance,
                                       uint32_t players_count, struct ig_arena *arena,
                                       struct ig_err *err);
/* One row's players_count contributions of one output. */
void ig_global_importance_add(struct ig_global_importance *importance, const double *contributions);
/* Half-width of the 95% interval of a player's mean; infinite below two rows. */
double ig_global_importance_half(const struct ig_global_importance *importance, uint32_t player);

/* The 97.5% quantile of Student's t; freedom at least 1. Within 1e-3 of the true one (exact for 1
 * and 2, else Cornish-Fisher, Abramowitz and Stegun 26.7.5). */
double ig_student_quantile(uint64_t freedom);

#endif
