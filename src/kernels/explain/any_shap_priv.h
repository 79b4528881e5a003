/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_EXPLAIN_ANY_SHAP_PRIV_H
#define IG_KERNELS_EXPLAIN_ANY_SHAP_PRIV_H

/* The game of one row, and the methods that play it. Coalitions are bit sets of `words` words. */

#include "base/random.h"
#include "kernels/explain/any_shap.h"

#define IG_ANY_NO_SEAT UINT32_MAX

enum { IG_ANY_GAME_ROWS = 512 }; /* asked for at once */

struct ig_any_game {
    const struct ig_predictor *predictor;
    const struct ig_background *background;
    struct ig_players players; /* all of the caller's */
    const double *row;
    uint32_t *seats;  /* players: its number among those that play, or IG_ANY_NO_SEAT */
    uint32_t playing; /* M of the methods */
    uint32_t values_count;
    uint32_t words;
    uint64_t *nobody; /* the empty coalition */
    double *none;     /* v of nobody */
    double *all;      /* v of all: the value of x */
    double *rows;     /* IG_ANY_GAME_ROWS x features */
    double *asked;    /* IG_ANY_GAME_ROWS x values */
    void *scratch;
    struct ig_arena *arena;
    struct ig_err *err;
};

/* Finds who plays. */
enum ig_code ig_any_game_init(struct ig_any_game *game, const struct ig_any_shap_input *input,
                              const struct ig_any_shap_options *options);
/* Fills `none` and `all`. */
void ig_any_game_begin(struct ig_any_game *game);
/* values[count x values_count] of `count` coalitions, each `words` words. */
void ig_any_game_ask(const struct ig_any_game *game, const uint64_t *coalitions, size_t count,
                     double *values);
static inline bool ig_any_has(const uint64_t *coalition, uint32_t player)
{
    return coalition[player / 64] >> (player % 64) & 1;
}

static inline void ig_any_put(uint64_t *coalition, uint32_t player)
{
    coalition[player / 64] |= (uint64_t)1 << (player % 64);
}

/* The methods, for those that play: contributions but for the base value, se, quantile, evals and
 * stop. Stride of contributions and se: playing + 1. */
enum ig_code ig_any_shap_exact(struct ig_any_shap_result *out, struct ig_any_game *game);
enum ig_code ig_any_shap_leverage(struct ig_any_shap_result *out, struct ig_any_game *game,
                                  const struct ig_any_shap_options *options);
enum ig_code ig_any_shap_permutation(struct ig_any_shap_result *out, struct ig_any_game *game,
                                     const struct ig_any_shap_options *options);
/* Why sampling ends now, or false. */
bool ig_any_shap_ends(struct ig_any_shap_result *out, const struct ig_any_game *game,
                      const struct ig_any_shap_options *options, uint64_t evals_max);
/* Coalitions that a call may ask for. */
uint64_t ig_any_shap_evals(const struct ig_any_shap_options *options, uint32_t players);
double ig_any_t_quantile(uint64_t freedom); /* Student's t, 97.5% */
void ig_any_shuffle(struct ig_rng *rng, uint32_t *items, uint32_t count);

/* ---- the sample of leverage and its fit ---- */

/* The pairs of coalitions of `size` and M - size players. */
struct ig_any_stratum {
    double pairs_count; /* there are */
    uint32_t drawn;
};

struct ig_any_sample {
    struct ig_any_stratum *strata; /* by the smaller size, 1 to M/2 */
    uint32_t strata_count;         /* M/2 */
    uint32_t pairs_count;
    uint32_t *sizes; /* pairs: the smaller size */
    uint64_t *sets;  /* pairs x words: the coalition of that size */
    double *y;       /* pairs x values: half the difference of the pair, less an even share */
};

static inline bool ig_any_stratum_is_whole(const struct ig_any_stratum *stratum)
{
    return stratum->drawn >= stratum->pairs_count;
}

struct ig_any_fit;
/* NULL: the arena is full. */
struct ig_any_fit *ig_any_fit_new(const struct ig_any_game *game, uint32_t pairs_max);
/* Contributions, se and quantile from a sample. */
void ig_any_fit_report(struct ig_any_fit *fit, const struct ig_any_sample *sample,
                       struct ig_any_shap_result *out);

#endif
