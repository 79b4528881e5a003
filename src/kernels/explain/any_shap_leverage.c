/* SPDX-License-Identifier: Apache-2.0 */
/* LeverageSHAP's sample (Musco and Witter, arXiv 2410.01917). A row of the regression behind SHAP
 * values has the same leverage in the mean whatever the size of its coalition, so every size from
 * 1 to M - 1 is asked for equally often, until it has no more coalitions.
 *
 * The sample is stratified by size. A coalition and its complement come as a pair, of the stratum
 * of the smaller size; a turn goes through the strata in a random order and draws a pair of each
 * that it has not had yet. Half and half have one size, so their stratum has every other turn.
 * Draws never depend on values or limits: a sample is the beginning of every longer one.
 *
 * Owns nothing; all memory is the arena's. Thread rule: as the predictor's. */
#include "kernels/explain/any_shap_priv.h"

#include "base/clock.h"

#include <string.h>

enum { BATCH = 16 }; /* pairs */

struct draws {
    const struct ig_any_game *game;
    struct ig_any_sample sample;
    uint32_t pairs_max;
    struct ig_rng rng;
    uint32_t *order;  /* players */
    uint32_t *turn;   /* sizes that are due, the last first */
    uint32_t due;     /* how many */
    uint64_t turns;   /* begun */
    uint32_t *seen;   /* a hash table of pairs: number + 1, 0 where empty */
    uint64_t mask;    /* its size - 1 */
    uint64_t *asking; /* 2 x BATCH coalitions: of the smaller size, its complement */
    double *values;   /* 2 x BATCH x values */
};

/* ---- which pair comes next ---- */

static bool is_middle(const struct draws *draws, uint32_t size)
{
    return 2 * size == draws->game->playing;
}

/* False: there are no more pairs. */
static bool begin_turn(struct draws *draws)
{
    const struct ig_any_sample *sample = &draws->sample;
    bool with_middle = draws->turns++ % 2 == 0;
    for (uint32_t size = 1; size <= sample->strata_count; size++) {
        if (ig_any_stratum_is_whole(&sample->strata[size])) continue;
        if (is_middle(draws, size) && !with_middle && draws->due) continue;
        draws->turn[draws->due++] = size;
    }
    ig_any_shuffle(&draws->rng, draws->turn, draws->due);
    return draws->due > 0;
}

/* A coalition of `size` players; of the two of a middle pair, that with player 0. */
static void pick(struct draws *draws, uint32_t size, uint64_t *set)
{
    uint32_t players = draws->game->playing, *order = draws->order;
    for (uint32_t i = 0; i < size; i++) {
        uint32_t k = i + (uint32_t)ig_rng_below(&draws->rng, players - i), held = order[i];
        order[i] = order[k];
        order[k] = held;
    }
    bool flips = is_middle(draws, size);
    for (uint32_t i = 0; flips && i < size; i++) flips = order[i] != 0;
    memset(set, 0, draws->game->words * sizeof *set);
    for (uint32_t i = 0; i < size; i++) ig_any_put(set, order[flips ? players - 1 - i : i]);
}

/* Where the set is in the table, or the empty place where it belongs. */
static uint32_t *find(const struct draws *draws, const uint64_t *set)
{
    uint32_t words = draws->game->words;
    uint64_t hash = 0;
    for (uint32_t i = 0; i < words; i++) {
        hash = (hash ^ set[i]) * 0x9e3779b97f4a7c15U;
        hash ^= hash >> 29;
    }
    for (hash &= draws->mask;; hash = (hash + 1) & draws->mask) {
        uint32_t *at = &draws->seen[hash];
        const uint64_t *other = draws->sample.sets + ((size_t)*at - 1) * words;
        if (!*at || memcmp(other, set, words * sizeof *set) == 0) return at;
    }
}

/* False: there are no more pairs. */
static bool draw(struct draws *draws)
{
    struct ig_any_sample *sample = &draws->sample;
    uint64_t *set = sample->sets + (size_t)sample->pairs_count * draws->game->words;
    uint32_t *place;
    if (!draws->due && !begin_turn(draws)) return false;
    uint32_t size = draws->turn[--draws->due];
    do {
        pick(draws, size, set);
        place = find(draws, set);
    } while (*place);
    sample->sizes[sample->pairs_count] = size;
    sample->strata[size].drawn++;
    *place = ++sample->pairs_count;
    return true;
}

/* ---- what the game says of it ---- */

static void set_y(struct draws *draws, uint32_t pair, const double *with, const double *rest)
{
    const struct ig_any_game *game = draws->game;
    struct ig_any_sample *sample = &draws->sample;
    double *y = sample->y + (size_t)pair * game->values_count;
    double lead = 2.0 * sample->sizes[pair] / game->playing - 1;
    for (uint32_t v = 0; v < game->values_count; v++)
        y[v] = (with[v] - rest[v] - lead * (game->all[v] - game->none[v])) / 2;
}

/* Up to BATCH pairs. */
static void draw_batch(struct draws *draws)
{
    const struct ig_any_game *game = draws->game;
    uint32_t words = game->words, first = draws->sample.pairs_count, some = 0;
    size_t each = game->values_count;
    memset(draws->asking, 0, (size_t)2 * BATCH * words * sizeof *draws->asking);
    for (; some < BATCH && first + some < draws->pairs_max && draw(draws); some++) {
        const uint64_t *set = draws->sample.sets + (size_t)(first + some) * words;
        uint64_t *rest = draws->asking + (2 * (size_t)some + 1) * words;
        memcpy(rest - words, set, words * sizeof *set);
        for (uint32_t p = 0; p < game->playing; p++)
            if (!ig_any_has(set, p)) ig_any_put(rest, p);
    }
    ig_any_game_ask(game, draws->asking, 2 * (size_t)some, draws->values);
    for (uint32_t i = 0; i < some; i++)
        set_y(draws, first + i, draws->values + 2 * i * each, draws->values + (2 * i + 1) * each);
}

static bool allocate(struct draws *draws, struct ig_arena *arena)
{
    const struct ig_any_game *game = draws->game;
    struct ig_any_sample *sample = &draws->sample;
    size_t pairs = draws->pairs_max, each = game->values_count;
    sample->strata_count = game->playing / 2;
    sample->strata =
        ig_arena_array(arena, sample->strata_count + (size_t)1, sizeof *sample->strata);
    sample->sizes = ig_arena_array(arena, pairs, sizeof *sample->sizes);
    sample->sets = ig_arena_array(arena, pairs, game->words * sizeof *sample->sets);
    sample->y = ig_arena_array(arena, pairs, each * sizeof *sample->y);
    for (draws->mask = 1; draws->mask < 2 * pairs;) draws->mask = 2 * draws->mask + 1;
    draws->seen = ig_arena_array(arena, draws->mask + 1, sizeof *draws->seen);
    draws->order = ig_arena_array(arena, game->playing, sizeof *draws->order);
    draws->turn = ig_arena_array(arena, game->playing, sizeof *draws->turn);
    draws->asking = ig_arena_array(arena, (size_t)2 * BATCH, game->words * sizeof *draws->asking);
    draws->values = ig_arena_array(arena, (size_t)2 * BATCH, each * sizeof *draws->values);
    return !arena->overflowed;
}

static void set_out(struct draws *draws, uint64_t seed)
{
    struct ig_any_stratum *strata = draws->sample.strata;
    uint32_t players = draws->game->playing;
    double choose = 1;
    ig_rng_seed(&draws->rng, seed);
    for (uint32_t i = 0; i < players; i++) draws->order[i] = i;
    for (uint32_t size = 1; size <= draws->sample.strata_count; size++) {
        choose = choose * (players - size + 1) / size;
        strata[size].pairs_count = is_middle(draws, size) ? choose / 2 : choose;
    }
}

/* There are 2^(M - 1) - 1 pairs. */
static uint32_t pairs_within(uint64_t evals_max, uint32_t players)
{
    uint64_t pairs =
        evals_max < IG_ANY_SHAP_LEVERAGE_EVALS ? evals_max / 2 : IG_ANY_SHAP_LEVERAGE_EVALS / 2;
    if (players < 32 && pairs > ((uint64_t)1 << (players - 1)) - 1)
        pairs = ((uint64_t)1 << (players - 1)) - 1;
    return (uint32_t)pairs;
}

static bool is_whole(const struct ig_any_sample *sample)
{
    for (uint32_t size = 1; size <= sample->strata_count; size++)
        if (!ig_any_stratum_is_whole(&sample->strata[size])) return false;
    return true;
}

enum ig_code ig_any_shap_leverage(struct ig_any_shap_result *out, struct ig_any_game *game,
                                  const struct ig_any_shap_options *options)
{
    uint32_t players = game->playing;
    uint32_t pairs_max = pairs_within(ig_any_shap_evals(options, players), players);
    uint64_t fewest = ig_any_shap_evals_min(IG_ANY_SHAP_LEVERAGE, players);
    uint64_t look = fewest; /* evaluations after which to look at the errors */
    struct draws draws = {.game = game, .pairs_max = pairs_max};
    struct ig_any_fit *fit = ig_any_fit_new(game, pairs_max);
    if (!fit || !allocate(&draws, game->arena))
        return ig_fail(game->err, IG_NO_MEMORY, "no memory for a regression on %u players",
                       players);
    set_out(&draws, options->seed);
    for (bool ended = false; !ended;) {
        draw_batch(&draws);
        out->evals = 2 * (uint64_t)draws.sample.pairs_count;
        bool is_last = draws.sample.pairs_count == pairs_max;
        bool is_late = options->deadline_ns && ig_clock_ns() >= options->deadline_ns;
        if (!is_last && (out->evals < fewest || (out->evals < look && !is_late))) continue;
        /* Errors are looked at when there is a quarter more. */
        look = out->evals + out->evals / 4;
        ig_any_fit_report(fit, &draws.sample, out);
        ended = ig_any_shap_ends(out, game, options, 2 * (uint64_t)pairs_max);
    }
    if (is_whole(&draws.sample)) out->stop = IG_ANY_SHAP_ALL;
    return IG_OK;
}
