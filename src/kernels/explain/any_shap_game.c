/* SPDX-License-Identifier: Apache-2.0 */
/* The game of one row against a background: coalitions become made-up rows, which the model is
 * asked for in batches; a batch may hold parts of several coalitions. Sums run over the background
 * in its order, so that values do not depend on how they were batched. Owns nothing; all memory is
 * the arena's. Thread rule: as the predictor's. */
#include "base/mem.h"
#include "kernels/explain/any_shap_priv.h"

#include <string.h>

static void *take(struct ig_any_game *game, size_t count, size_t each)
{
    return ig_arena_array(game->arena, count, each);
}

static double weight_of(const struct ig_background *background, size_t row)
{
    return background->weights ? background->weights[row] : 1 / (double)background->rows_count;
}

/* Row `made` of the batch: the players of the coalition from x, the others from the background. */
static void make_row(const struct ig_any_game *game, const uint64_t *coalition, size_t other,
                     size_t made)
{
    uint32_t features = game->predictor->features_count;
    const double *from = game->background->rows + other * features;
    double *to = game->rows + made * features;
    for (uint32_t f = 0; f < features; f++) {
        uint32_t seat = game->seats[ig_player_of(&game->players, f)];
        to[f] = seat != IG_ANY_NO_SEAT && ig_any_has(coalition, seat) ? game->row[f] : from[f];
    }
}

void ig_any_game_ask(const struct ig_any_game *game, const uint64_t *coalitions, size_t count,
                     double *values)
{
    size_t rows = game->background->rows_count, total = count * rows;
    uint32_t each = game->values_count;
    memset(values, 0, count * each * sizeof *values);
    for (size_t first = 0; first < total;) {
        size_t made = total - first < IG_ANY_GAME_ROWS ? total - first : IG_ANY_GAME_ROWS;
        for (size_t i = 0; i < made; i++)
            make_row(game, coalitions + (first + i) / rows * game->words, (first + i) % rows, i);
        game->predictor->run(game->predictor, game->rows, made, game->asked, game->scratch);
        for (size_t i = 0; i < made; i++) {
            double weight = weight_of(game->background, (first + i) % rows);
            double *to = values + (first + i) / rows * each;
            for (uint32_t v = 0; v < each; v++) to[v] += weight * game->asked[i * each + v];
        }
        first += made;
    }
}

static uint64_t bits_of(double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

/* Bits are compared, as a model of any kind may tell 0 from -0. */
static bool is_same_everywhere(const struct ig_any_game *game, uint32_t feature)
{
    uint32_t features = game->predictor->features_count;
    const double *other = game->background->rows + feature;
    for (size_t i = 0; i < game->background->rows_count; i++, other += features)
        if (bits_of(*other) != bits_of(game->row[feature])) return false;
    return true;
}

static void find_playing(struct ig_any_game *game)
{
    for (uint32_t p = 0; p < game->players.count; p++) game->seats[p] = IG_ANY_NO_SEAT;
    for (uint32_t f = 0; f < game->predictor->features_count; f++) {
        uint32_t *seat = &game->seats[ig_player_of(&game->players, f)];
        if (*seat == IG_ANY_NO_SEAT && !is_same_everywhere(game, f)) *seat = 0;
    }
    for (uint32_t p = 0; p < game->players.count; p++)
        if (game->seats[p] != IG_ANY_NO_SEAT) game->seats[p] = game->playing++;
}

enum ig_code ig_any_game_init(struct ig_any_game *game, const struct ig_any_shap_input *input,
                              const struct ig_any_shap_options *options)
{
    const struct ig_predictor *predictor = input->predictor;
    uint32_t features = predictor->features_count;
    game->predictor = predictor;
    game->background = input->background;
    game->players = (struct ig_players){NULL, features};
    if (options->players) game->players = *options->players;
    game->row = input->row;
    game->values_count = predictor->values_count;
    game->seats = take(game, game->players.count + (size_t)1, sizeof *game->seats);
    game->none = take(game, game->values_count, sizeof(double));
    game->all = take(game, game->values_count, sizeof(double));
    game->rows = take(game, (size_t)IG_ANY_GAME_ROWS * features, sizeof(double));
    game->asked = take(game, (size_t)IG_ANY_GAME_ROWS * game->values_count, sizeof(double));
    game->scratch = ig_arena_alloc_aligned(
        game->arena, predictor->scratch_bytes(predictor, IG_ANY_GAME_ROWS) + 64, 64);
    game->nobody = take(game, game->players.count / 64 + 1, sizeof *game->nobody);
    if (!game->seats || !game->none || !game->all || !game->rows || !game->asked ||
        !game->scratch || !game->nobody)
        return ig_fail(game->err, IG_NO_MEMORY, "no memory for SHAP values of %u players",
                       game->players.count);
    find_playing(game);
    game->words = game->playing / 64 + 1;
    return IG_OK;
}

void ig_any_game_begin(struct ig_any_game *game)
{
    ig_any_game_ask(game, game->nobody, 1, game->none);
    game->predictor->run(game->predictor, game->row, 1, game->all, game->scratch);
}
