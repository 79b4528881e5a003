/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_STATS_BANDIT_H
#define IG_KERNELS_STATS_BANDIT_H

/* Shares of a bandit's arms by what their rewards taught, so that the decision itself is a pick by
 * weight. Pure; the same seed gives the same shares. */

#include "kernels/stats/sequential.h"

struct ig_bandit {
    uint32_t arms;                    /* 2 to IG_SHARES_MAX */
    const struct ig_moments *rewards; /* by arm */
    double floor;                     /* the least share of each arm; floor * arms <= 1 */
    uint64_t seed;
};

/* Thompson sampling (Thompson 1933; Chapelle and Li 2011): a share is the probability that the arm
 * is the best. Conversions: Beta(1 + ones, 1 + zeros) of rewards 0 and 1. Else the mean's normal
 * posterior, with an arm of fewer than two rewards taken to be as uncertain as all together. By
 * 4,096 draws. The shares sum to 1 and none is below the floor. */
void ig_bandit_thompson(double *shares, const struct ig_bandit *bandit, bool conversions);
/* The arm of the greatest mean gets 1 - epsilon, and all share epsilon equally; arms without a
 * reward count as best. */
void ig_bandit_epsilon_greedy(double *shares, const struct ig_bandit *bandit, double epsilon);

#endif
