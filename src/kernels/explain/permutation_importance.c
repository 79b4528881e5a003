/* SPDX-License-Identifier: Apache-2.0 */
/* A block of rows at a time is copied with the player's columns taken from other rows; what the
 * metric needs of each row is kept, so the model is asked once a row and repeat. */
#include "kernels/explain/permutation_importance.h"

#include "base/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_ROWS = IG_PERMUTATION_BLOCK, REPEATS = 5 };

static const double Z = 1.959963984540054; /* 97.5% of a standard normal */

static const struct {
    const char *name;
    bool of_classes;
} METRICS[] = {
    [IG_LOSS_LOG_LOSS] = {"log_loss", true},
    [IG_LOSS_ERROR] = {"error", true},
    [IG_LOSS_AUC] = {"auc", true},
    [IG_LOSS_MAE] = {"mae", false},
    [IG_LOSS_MSE] = {"mse", false},
    [IG_LOSS_RMSE] = {"rmse", false},
    [IG_LOSS_R2] = {"r2", false},
};

struct ranked {
    double score;
    bool positive;
};

struct run {
    const struct ig_permutation_input *input;
    enum ig_loss metric;
    uint32_t features;
    double *losses;  /* rows: the row's loss; AUC: its score */
    double *rises;   /* rows: sum over repeats of the rises it had, and of those it gave */
    double *before;  /* rows: losses of the rows as they are */
    uint32_t *order; /* rows: whose columns a row gets */
    struct ranked *ranked;
    double *block, *values;
    double variance; /* of the labels */
    struct ig_err *err;
};

const char *ig_loss_name(enum ig_loss metric)
{
    return METRICS[metric].name;
}

bool ig_loss_parse(struct ig_str name, enum ig_loss *out)
{
    for (int i = 0; i < IG_LOSSES_COUNT; i++) {
        if (!ig_str_is(name, METRICS[i].name)) continue;
        *out = (enum ig_loss)i;
        return true;
    }
    return false;
}

bool ig_loss_is_of_classes(enum ig_loss metric)
{
    return METRICS[metric].of_classes;
}

static bool is_mean(enum ig_loss metric)
{
    return metric != IG_LOSS_AUC && metric != IG_LOSS_RMSE;
}

/* ---- metrics ---- */

static double class_loss(struct run *run, const double *values, double label)
{
    uint32_t count = run->input->model->values_count, class = (uint32_t)label, best = 0;
    double p = count == 1 ? (class ? values[0] : 1 - values[0]) : values[class];
    if (run->metric == IG_LOSS_AUC) return values[count - 1];
    if (run->metric == IG_LOSS_LOG_LOSS) {
        if (!(p >= 0 && p <= 1))
            ig_fail(run->err, IG_INVALID, "metric: log_loss, but %g is no probability", p);
        return -log(fmax(p, 1e-15));
    }
    if (count == 1) return (values[0] > 0.5) != (class == 1);
    for (uint32_t i = 1; i < count; i++)
        if (values[i] > values[best]) best = i;
    return best != class;
}

static double loss_of(struct run *run, const double *values, double label)
{
    if (METRICS[run->metric].of_classes) return class_loss(run, values, label);
    double off = values[0] - label;
    return run->metric == IG_LOSS_MAE ? fabs(off) : off * off;
}

static int compare_ranked(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    return (x->score > y->score) - (x->score < y->score);
}

/* Mann and Whitney: ranks of the positive rows, equal scores sharing their mean rank. */
static double auc_of(const struct run *run)
{
    size_t rows = run->input->rows_count;
    double ranks = 0, positives = 0;
    for (size_t i = 0; i < rows; i++)
        run->ranked[i] = (struct ranked){run->losses[i], run->input->labels[i] == 1};
    qsort(run->ranked, rows, sizeof *run->ranked, compare_ranked);
    for (size_t i = 0, end; i < rows; i = end) {
        size_t hits = 0;
        for (end = i; end < rows && run->ranked[end].score == run->ranked[i].score; end++)
            hits += run->ranked[end].positive;
        ranks += (double)hits * ((double)(i + end + 1) / 2);
        positives += (double)hits;
    }
    double negatives = (double)rows - positives;
    return (ranks - positives * (positives + 1) / 2) / (positives * negatives);
}

static double score_of(const struct run *run)
{
    size_t rows = run->input->rows_count;
    double sum = 0;
    if (run->metric == IG_LOSS_AUC) return auc_of(run);
    for (size_t i = 0; i < rows; i++) sum += run->losses[i];
    double mean = sum / (double)rows;
    if (run->metric == IG_LOSS_RMSE) return sqrt(mean);
    return run->metric == IG_LOSS_R2 ? 1 - mean / run->variance : mean;
}

/* How much worse `score` is than `base`. */
static double worse_by(enum ig_loss metric, double base, double score)
{
    bool greater_is_better = metric == IG_LOSS_AUC || metric == IG_LOSS_R2;
    return greater_is_better ? base - score : score - base;
}

/* ---- rows ---- */

/* Losses of all rows, `player`'s columns from run->order; UINT32_MAX: none. */
static void measure(struct run *run, uint32_t player)
{
    const struct ig_permutation_input *input = run->input;
    const struct ig_permutation_model *model = input->model;
    const struct ig_players none = {0};
    const struct ig_players *players = input->players ? input->players : &none;
    for (size_t first = 0; first < input->rows_count; first += BLOCK_ROWS) {
        size_t left = input->rows_count - first, count = left < BLOCK_ROWS ? left : BLOCK_ROWS;
        memcpy(run->block, input->rows + first * run->features,
               count * run->features * sizeof(double));
        for (uint32_t f = 0; player != UINT32_MAX && f < run->features; f++) {
            if (ig_player_of(players, f) != player) continue;
            for (size_t i = 0; i < count; i++)
                run->block[i * run->features + f] =
                    input->rows[(size_t)run->order[first + i] * run->features + f];
        }
        if (model->run(model->context, run->values, run->block, first, count, run->err) != IG_OK)
            return;
        for (size_t i = 0; i < count; i++)
            run->losses[first + i] =
                loss_of(run, run->values + i * model->values_count, input->labels[first + i]);
    }
}

static void shuffle(struct run *run, struct ig_rng *rng)
{
    size_t rows = run->input->rows_count;
    for (size_t i = 0; i < rows; i++) run->order[i] = (uint32_t)i;
    for (size_t i = rows; i-- > 1;) {
        size_t other = (size_t)ig_rng_below(rng, i + 1);
        uint32_t kept = run->order[i];
        run->order[i] = run->order[other];
        run->order[other] = kept;
    }
}

static double half_of(const struct run *run, uint32_t repeats)
{
    size_t rows = run->input->rows_count;
    double mean = 0, spread = 0, n = (double)rows;
    if (!is_mean(run->metric)) return NAN;
    for (size_t i = 0; i < rows; i++) mean += run->rises[i] / n;
    for (size_t i = 0; i < rows; i++) {
        double off = run->rises[i] - mean;
        spread += off * off;
    }
    double half = Z * sqrt(spread / (n - 1) / n) / repeats;
    return run->metric == IG_LOSS_R2 ? half / run->variance : half;
}

static void solve_player(struct run *run, struct ig_permutation_result *out, uint32_t player,
                         uint32_t repeats, struct ig_rng *rng)
{
    size_t rows = run->input->rows_count;
    double mean = 0, spread = 0;
    memset(run->rises, 0, rows * sizeof *run->rises);
    for (uint32_t r = 0; r < repeats; r++) {
        shuffle(run, rng);
        measure(run, player);
        if (run->err->code != IG_OK) return;
        double rise = worse_by(run->metric, out->score, score_of(run)), off = rise - mean;
        mean += off / (r + 1);
        spread += off * (rise - mean);
        for (size_t i = 0; i < rows; i++) {
            double rise_here = run->losses[i] - run->before[i];
            run->rises[i] += rise_here;
            run->rises[run->order[i]] += rise_here;
        }
    }
    out->mean[player] = mean;
    out->sd[player] = sqrt(spread / repeats);
    out->half[player] = half_of(run, repeats);
}

/* ---- the call ---- */

static enum ig_code check(struct run *run)
{
    const struct ig_permutation_input *input = run->input;
    uint32_t values = input->model->values_count, classes = values == 1 ? 2 : values;
    double mean = 0, positives = 0, n = (double)input->rows_count;
    if (input->rows_count < 2 || input->rows_count > UINT32_MAX)
        return ig_fail(run->err, IG_INVALID, "%zu rows, at least 2 are needed", input->rows_count);
    for (size_t i = 0; i < input->rows_count; i++) {
        double label = input->labels[i];
        bool is_class = label >= 0 && label < classes && label == floor(label);
        if (METRICS[run->metric].of_classes && !is_class)
            return ig_fail(run->err, IG_INVALID, "label: row %zu: %g is no class of the model",
                           i + 1, label);
        mean += label / n;
        positives += label == 1;
    }
    if (run->metric == IG_LOSS_AUC && (classes != 2 || positives == 0 || positives == n))
        return ig_fail(run->err, IG_INVALID, "metric: auc needs rows of exactly two classes");
    for (size_t i = 0; i < input->rows_count; i++)
        run->variance += (input->labels[i] - mean) * (input->labels[i] - mean) / n;
    if (run->metric == IG_LOSS_R2 && !(run->variance > 0))
        return ig_fail(run->err, IG_INVALID, "metric: r2 needs labels that differ");
    return IG_OK;
}

static enum ig_code prepare(struct run *run, struct ig_permutation_result *out,
                            struct ig_arena *arena)
{
    const struct ig_permutation_input *input = run->input;
    size_t rows = input->rows_count;
    out->players_count =
        input->players && input->players->of_feature ? input->players->count : run->features;
    out->mean = ig_arena_array(arena, out->players_count, sizeof *out->mean);
    out->sd = ig_arena_array(arena, out->players_count, sizeof *out->sd);
    out->half = ig_arena_array(arena, out->players_count, sizeof *out->half);
    run->losses = ig_arena_array(arena, rows, sizeof *run->losses);
    run->before = ig_arena_array(arena, rows, sizeof *run->before);
    run->rises = ig_arena_array(arena, rows, sizeof *run->rises);
    run->order = ig_arena_array(arena, rows, sizeof *run->order);
    if (run->metric == IG_LOSS_AUC) run->ranked = ig_arena_array(arena, rows, sizeof *run->ranked);
    run->block = ig_arena_array(arena, BLOCK_ROWS, run->features * sizeof(double) + 1);
    run->values = ig_arena_array(arena, BLOCK_ROWS, input->model->values_count * sizeof(double));
    if (!arena->overflowed) return IG_OK;
    return ig_fail(run->err, IG_NO_MEMORY, "no memory for importances over %zu rows", rows);
}

enum ig_code ig_permutation_importance_run(struct ig_permutation_result *out,
                                           const struct ig_permutation_input *input,
                                           const struct ig_permutation_options *options,
                                           struct ig_arena *arena, struct ig_err *err)
{
    struct ig_rng rng;
    uint32_t repeats = options->repeats ? options->repeats : REPEATS;
    struct run run = {.input = input,
                      .metric = options->metric,
                      .features = input->model->features_count,
                      .err = err};
    if (check(&run) != IG_OK || prepare(&run, out, arena) != IG_OK) return err->code;
    ig_rng_seed(&rng, options->seed);
    measure(&run, UINT32_MAX);
    if (err->code != IG_OK) return err->code;
    memcpy(run.before, run.losses, input->rows_count * sizeof *run.losses);
    out->score = score_of(&run);
    for (uint32_t p = 0; p < out->players_count && err->code == IG_OK; p++)
        solve_player(&run, out, p, repeats, &rng);
    return err->code;
}
