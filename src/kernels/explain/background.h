/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_EXPLAIN_BACKGROUND_H
#define IG_KERNELS_EXPLAIN_BACKGROUND_H

/* The rows that an explanation compares with, and who plays in its game: plain borrowed views. */

#include <stddef.h>
#include <stdint.h>

/* A reference population. A feature that is absent from a coalition takes its value from a row of
 * the background; the game is the weighted mean over its rows. */
struct ig_background {
    const double *rows;    /* rows_count x features_count, NaN = missing, a category = its code */
    const double *weights; /* rows_count, positive, summing to 1; NULL: all equal */
    size_t rows_count;     /* at least 1 */
    uint32_t features_count;
};

/* Groups: features of one player enter and leave a coalition together. */
struct ig_players {
    const uint32_t
        *of_feature; /* features_count players, each < count; NULL: feature i is player i */
    uint32_t count;  /* with of_feature NULL: the number of features */
};

static inline uint32_t ig_player_of(const struct ig_players *players, uint32_t feature)
{
    return players->of_feature ? players->of_feature[feature] : feature;
}

#endif
