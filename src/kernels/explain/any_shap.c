/* SPDX-License-Identifier: Apache-2.0 */
/* SHAP values of any model: checks and limits, the exact sum and permutations. Owns nothing; all
 * memory is the arena's. Thread rule: pure, as far as the predictor is. */
#include "kernels/explain/any_shap.h"

#include "base/clock.h"
#include "kernels/explain/any_shap_priv.h"

#include <math.h>
#include <string.h>

enum {
    ASK = 64, /* coalitions at once */
    EXACT_ASK = 1024,
    ROUND = 32,
    FEWEST_ORDERS = 8, /* pairs; with fewer too few gains differ, and t intervals fall short */
};

/* Student's t, 97.5%, by degrees of freedom from 1. */
static const double T_QUANTILE[] = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306,
                                    2.262,  2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
                                    2.110,  2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064,
                                    2.060,  2.056, 2.052, 2.048, 2.045, 2.042};
enum { T_COUNT = sizeof T_QUANTILE / sizeof *T_QUANTILE };

double ig_any_t_quantile(uint64_t freedom)
{
    if (freedom == 0) return INFINITY;
    if (freedom <= T_COUNT) return T_QUANTILE[freedom - 1];
    return 1.959964 + 2.37 / (double)freedom; /* within 0.003 from 31 on */
}

static uint64_t pair_evals(uint32_t players)
{
    return players > 1 ? 2 * ((uint64_t)players - 1) : 2;
}

uint64_t ig_any_shap_evals_min(enum ig_any_shap_method method, uint32_t players)
{
    if (method == IG_ANY_SHAP_EXACT) return (uint64_t)1 << players;
    if (method == IG_ANY_SHAP_PERMUTATION) return FEWEST_ORDERS * pair_evals(players);
    if (players < 6) return players > 1 ? ((uint64_t)1 << players) - 2 : 2;
    return (4 * (uint64_t)players + ROUND - 1) / ROUND * ROUND;
}

uint64_t ig_any_shap_evals_default(enum ig_any_shap_method method, uint32_t players)
{
    if (method == IG_ANY_SHAP_EXACT) return (uint64_t)1 << players;
    uint64_t fewest = ig_any_shap_evals_min(method, players);
    uint64_t usual =
        method == IG_ANY_SHAP_PERMUTATION ? 10 * pair_evals(players) : 2 * (uint64_t)players + 2048;
    return usual > fewest ? usual : fewest;
}

uint64_t ig_any_shap_evals(const struct ig_any_shap_options *options, uint32_t players)
{
    if (options->evals_max) return options->evals_max;
    return ig_any_shap_evals_default(options->method, players);
}

void ig_any_shuffle(struct ig_rng *rng, uint32_t *items, uint32_t count)
{
    for (uint32_t i = count; i > 1; i--) {
        uint32_t k = (uint32_t)ig_rng_below(rng, i), held = items[i - 1];
        items[i - 1] = items[k];
        items[k] = held;
    }
}

bool ig_any_shap_ends(struct ig_any_shap_result *out, const struct ig_any_game *game,
                      const struct ig_any_shap_options *options, uint64_t evals_max)
{
    size_t count = (size_t)game->values_count * (game->playing + (size_t)1);
    bool is_near = options->target_se > 0;
    for (size_t i = 0; is_near && i < count; i++) is_near = out->se[i] <= options->target_se;
    if (is_near)
        out->stop = IG_ANY_SHAP_TARGET;
    else if (out->evals >= evals_max)
        out->stop = IG_ANY_SHAP_EVALS;
    else if (options->deadline_ns && ig_clock_ns() >= options->deadline_ns)
        out->stop = IG_ANY_SHAP_DEADLINE;
    else
        return false;
    return true;
}

/* ---- exact ---- */

/* weights[size]: of a coalition that a player joins. */
static void size_weights(double *weights, uint32_t players)
{
    double choose = 1; /* C(players - 1, size) */
    for (uint32_t size = 0; size < players; size++) {
        weights[size] = 1 / (players * choose);
        choose = choose * (players - 1 - size) / (size + 1);
    }
}

enum ig_code ig_any_shap_exact(struct ig_any_shap_result *out, struct ig_any_game *game)
{
    uint32_t players = game->playing, each = game->values_count;
    size_t count = (size_t)1 << players;
    double weights[IG_ANY_SHAP_EXACT_PLAYERS + 1] = {0};
    double *values = ig_arena_array(game->arena, count * each, sizeof *values);
    uint64_t *coalitions = ig_arena_array(game->arena, (size_t)EXACT_ASK * game->words, 8);
    if (!values || !coalitions)
        return ig_fail(game->err, IG_NO_MEMORY, "no memory for %zu coalitions", count);
    size_weights(weights, players);
    for (size_t first = 0; first < count; first += EXACT_ASK) {
        size_t some = count - first < EXACT_ASK ? count - first : EXACT_ASK;
        for (size_t i = 0; i < some; i++) coalitions[i * game->words] = first + i;
        ig_any_game_ask(game, coalitions, some, values + first * each);
    }
    memcpy(values + (count - 1) * each, game->all, each * sizeof *values);
    for (size_t s = 0; s < count; s++) {
        double weight = weights[(uint32_t)__builtin_popcountll(s)];
        for (uint32_t p = 0; p < players; p++) {
            if (s >> p & 1) continue;
            const double *with = values + (s | (size_t)1 << p) * each, *without = values + s * each;
            for (uint32_t v = 0; v < each; v++)
                out->contributions[v * (players + (size_t)1) + p] +=
                    weight * (with[v] - without[v]);
        }
    }
    out->evals = count;
    out->stop = IG_ANY_SHAP_ALL;
    return IG_OK;
}

/* ---- permutations ---- */

struct orders {
    struct ig_any_game *game;
    struct ig_rng rng;
    uint32_t *order;
    uint64_t *coalitions; /* players - 1 prefixes of the order, then of its reverse */
    double *values;
    double *gains;         /* values x players: of the pair in hand */
    double *mean, *spread; /* the same shape: Welford's running mean and sum of squares */
    uint64_t pairs;
};

static void fill_prefixes(struct orders *orders)
{
    const struct ig_any_game *game = orders->game;
    uint32_t players = game->playing, words = game->words;
    uint64_t *at = orders->coalitions;
    for (int reverse = 0; reverse < 2; reverse++)
        for (uint32_t i = 1; i < players; i++, at += words) {
            uint32_t player = orders->order[reverse ? players - i : i - 1];
            if (i == 1)
                memset(at, 0, words * sizeof *at);
            else
                memcpy(at, at - words, words * sizeof *at);
            ig_any_put(at, player);
        }
}

/* Adds half the marginal gains along one direction. */
static void add_gains(struct orders *orders, const double *values, int reverse)
{
    const struct ig_any_game *game = orders->game;
    uint32_t players = game->playing, each = game->values_count;
    for (uint32_t i = 0; i < players; i++) {
        uint32_t player = orders->order[reverse ? players - 1 - i : i];
        const double *before = i == 0 ? game->none : values + (i - 1) * (size_t)each;
        const double *after = i + 1 == players ? game->all : values + i * (size_t)each;
        for (uint32_t v = 0; v < each; v++)
            orders->gains[(size_t)v * players + player] += (after[v] - before[v]) / 2;
    }
}

static void next_pair(struct orders *orders)
{
    struct ig_any_game *game = orders->game;
    uint32_t players = game->playing;
    size_t prefixes = players - 1, cells = (size_t)game->values_count * players;
    for (uint32_t i = 0; i < players; i++) orders->order[i] = i;
    ig_any_shuffle(&orders->rng, orders->order, players);
    fill_prefixes(orders);
    for (size_t first = 0; first < 2 * prefixes; first += ASK) {
        size_t some = 2 * prefixes - first < ASK ? 2 * prefixes - first : ASK;
        ig_any_game_ask(game, orders->coalitions + first * game->words, some,
                        orders->values + first * game->values_count);
    }
    memset(orders->gains, 0, cells * sizeof *orders->gains);
    add_gains(orders, orders->values, 0);
    add_gains(orders, orders->values + prefixes * game->values_count, 1);
    orders->pairs++;
    for (size_t i = 0; i < cells; i++) {
        double apart = orders->gains[i] - orders->mean[i];
        orders->mean[i] += apart / (double)orders->pairs;
        orders->spread[i] += apart * (orders->gains[i] - orders->mean[i]);
    }
}

static void report(struct ig_any_shap_result *out, const struct orders *orders)
{
    uint32_t players = orders->game->playing;
    double pairs = (double)orders->pairs;
    for (uint32_t v = 0; v < orders->game->values_count; v++)
        for (uint32_t p = 0; p < players; p++) {
            size_t from = (size_t)v * players + p, to = v * (players + (size_t)1) + p;
            out->contributions[to] = orders->mean[from];
            out->se[to] = sqrt(orders->spread[from] / (pairs - 1) / pairs);
        }
    out->quantile = ig_any_t_quantile(orders->pairs - 1);
}

enum ig_code ig_any_shap_permutation(struct ig_any_shap_result *out, struct ig_any_game *game,
                                     const struct ig_any_shap_options *options)
{
    uint32_t players = game->playing;
    size_t prefixes = players - (size_t)1, cells = (size_t)game->values_count * players;
    struct ig_arena *arena = game->arena;
    uint64_t evals_max = ig_any_shap_evals(options, players);
    struct orders orders = {.game = game};
    ig_rng_seed(&orders.rng, options->seed);
    orders.order = ig_arena_array(arena, players, sizeof *orders.order);
    orders.coalitions = ig_arena_array(arena, 2 * prefixes * game->words + 1, 8);
    orders.values = ig_arena_array(arena, 2 * prefixes * game->values_count + 1, sizeof(double));
    orders.gains = ig_arena_array(arena, cells, sizeof(double));
    orders.mean = ig_arena_array(arena, cells, sizeof(double));
    orders.spread = ig_arena_array(arena, cells, sizeof(double));
    if (arena->overflowed)
        return ig_fail(game->err, IG_NO_MEMORY, "no memory for orders of %u players", players);
    uint64_t look = ig_any_shap_evals_min(IG_ANY_SHAP_PERMUTATION, players), fewest = look;
    for (bool ended = false; !ended;) {
        next_pair(&orders);
        out->evals += pair_evals(players);
        bool is_last = out->evals + pair_evals(players) > evals_max;
        bool is_late = options->deadline_ns && ig_clock_ns() >= options->deadline_ns;
        if (out->evals < fewest || (!is_last && out->evals < look && !is_late)) continue;
        look = out->evals + out->evals / 4;
        report(out, &orders);
        ended = ig_any_shap_ends(out, game, options, evals_max - (pair_evals(players) - 1));
    }
    return IG_OK;
}

/* ---- the face ---- */

static bool asks_for_all(const struct ig_any_shap_options *options, uint32_t players)
{
    if (options->method == IG_ANY_SHAP_EXACT || players < 2) return true;
    if (players > IG_ANY_SHAP_EXACT_PLAYERS) return false;
    uint64_t all = (uint64_t)1 << players;
    if (all - 2 <= ig_any_shap_evals_min(options->method, players)) return true;
    return all <= ig_any_shap_evals(options, players) && !options->deadline_ns &&
           options->target_se <= 0;
}

static enum ig_code check(const struct ig_any_shap_options *options, uint32_t players,
                          struct ig_err *err)
{
    if (options->method == IG_ANY_SHAP_EXACT && players > IG_ANY_SHAP_EXACT_PLAYERS)
        return ig_fail(err, IG_INVALID,
                       "method: exact takes at most %d features or groups, here are %u",
                       IG_ANY_SHAP_EXACT_PLAYERS, players);
    if (options->method == IG_ANY_SHAP_LEVERAGE && players > IG_ANY_SHAP_LEVERAGE_PLAYERS)
        return ig_fail(err, IG_INVALID,
                       "method: leverage takes at most %d features or groups, here are %u",
                       IG_ANY_SHAP_LEVERAGE_PLAYERS, players);
    uint64_t fewest = ig_any_shap_evals_min(options->method, players);
    if (!asks_for_all(options, players) && options->evals_max && options->evals_max < fewest)
        return ig_fail(err, IG_INVALID, "samples: %llu are too few for %u players, at least %llu",
                       (unsigned long long)options->evals_max, players, (unsigned long long)fewest);
    return IG_OK;
}

static bool allocate_result(struct ig_any_shap_result *out, const struct ig_any_game *game,
                            uint32_t players)
{
    out->contributions = ig_arena_array(game->arena, players + (size_t)1,
                                        game->values_count * sizeof *out->contributions);
    out->se =
        ig_arena_array(game->arena, players + (size_t)1, game->values_count * sizeof *out->se);
    if (out->contributions && out->se) return true;
    ig_fail(game->err, IG_NO_MEMORY, "no memory for SHAP values of %u players", players);
    return false;
}

static enum ig_code play(struct ig_any_shap_result *out, struct ig_any_game *game,
                         const struct ig_any_shap_options *options)
{
    ig_any_game_begin(game);
    if (asks_for_all(options, game->playing)) return ig_any_shap_exact(out, game);
    if (options->method == IG_ANY_SHAP_LEVERAGE) return ig_any_shap_leverage(out, game, options);
    return ig_any_shap_permutation(out, game, options);
}

/* From those that play to all players. A sum of parts may be some units off the value: the
 * difference is shared evenly. */
static void seat(struct ig_any_shap_result *out, const struct ig_any_shap_result *from,
                 const struct ig_any_game *game)
{
    uint32_t players = game->players.count, playing = game->playing;
    for (uint32_t v = 0; v < game->values_count; v++) {
        const double *own = from->contributions + v * (playing + (size_t)1);
        const double *se = from->se + v * (playing + (size_t)1);
        size_t first = v * (players + (size_t)1);
        double sum = game->none[v];
        for (uint32_t i = 0; i < playing; i++) sum += own[i];
        double share = playing ? (game->all[v] - sum) / playing : 0;
        for (uint32_t p = 0; p < players; p++) {
            uint32_t at = game->seats[p];
            if (at == IG_ANY_NO_SEAT) continue;
            out->contributions[first + p] = own[at] + share;
            out->se[first + p] = se[at];
        }
        out->contributions[first + players] = game->none[v];
    }
}

enum ig_code ig_any_shap_run(struct ig_any_shap_result *out, const struct ig_any_shap_input *input,
                             const struct ig_any_shap_options *options, struct ig_arena *arena,
                             struct ig_err *err)
{
    struct ig_any_game game = {.arena = arena, .err = err};
    struct ig_any_shap_result playing = {0}, own = {0};
    if (input->background->features_count != input->predictor->features_count)
        return ig_fail(err, IG_INVALID, "background: it has %u features, the model has %u",
                       input->background->features_count, input->predictor->features_count);
    if (ig_any_game_init(&game, input, options) != IG_OK) return err->code;
    if (check(options, game.playing, err) != IG_OK) return err->code;
    if (!allocate_result(&playing, &game, game.playing) ||
        !allocate_result(&own, &game, game.players.count) ||
        play(&playing, &game, options) != IG_OK)
        return err->code;
    seat(&own, &playing, &game);
    own.value = game.all;
    own.quantile = playing.quantile;
    own.playing = game.playing;
    own.evals = playing.evals;
    own.stop = playing.stop;
    *out = own;
    return IG_OK;
}
