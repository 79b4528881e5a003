/* SPDX-License-Identifier: Apache-2.0 */
/* The regression of LeverageSHAP and its errors.
 *
 * With psi = phi - (all - none)/M, x_S = 1_S - |S|/M and y_S = v(S) - none - |S|/M (all - none),
 * psi minimises over all coalitions the sum of w_S (y_S - x_S psi)^2, where all coalitions of size
 * s together weigh 1/(s (M - s)). The complement's x is -x, so a pair counts as one row, with the
 * mean y of both. A stratum's drawn pairs share the stratum's weight evenly. The matrix of the fit
 * lacks the direction of all ones, which psi does not have: adding it makes it positive definite.
 *
 * Errors are those of a regression estimator on a stratified sample without replacement (Sarndal,
 * Swensson and Wretman, Model Assisted Survey Sampling, 6.6 and 7.2): pair i moves the fit by
 * u_i = A^-1 x_i w_i e_i, and a stratum of which m of N pairs are drawn adds
 * (1 - m/N) m/(m - 1) sum (u_i - mean u)^2 to the variance, nothing when it is whole. What a
 * residual e_i loses to the fit is put back by its leverage h_i, as e_i/sqrt(1 - h_i) (HC2).
 *
 * If the pairs do not span (few players, few pairs), A is replaced by its mean over all samples,
 * (I - 11'/M)/M, and residuals by y: Horvitz and Thompson's estimator, unbiased, but with a greater
 * error.
 *
 * Owns nothing; all memory is the arena's. Thread rule: one thread a fit. */
#include "base/mem.h"
#include "kernels/explain/any_shap_priv.h"

#include <math.h>
#include <string.h>

struct ig_any_fit {
    const struct ig_any_game *game;
    uint32_t *by_size; /* pairs, those of a stratum together */
    uint32_t *first;   /* strata + 1: where in by_size each begins */
    double *x, *move;  /* players */
    double *gram, *factor;
    double *right, *psi; /* values x players */
    double *sum, *square;
    bool spans;
};

struct ig_any_fit *ig_any_fit_new(const struct ig_any_game *game, uint32_t pairs_max)
{
    struct ig_arena *arena = game->arena;
    size_t n = game->playing, cells = (size_t)game->values_count * n;
    struct ig_any_fit *fit = ig_arena_zalloc(arena, sizeof *fit);
    if (!fit) return NULL;
    fit->game = game;
    fit->by_size = ig_arena_array(arena, pairs_max, sizeof *fit->by_size);
    fit->first = ig_arena_array(arena, n / 2 + 2, sizeof *fit->first);
    fit->x = ig_arena_array(arena, n, sizeof(double));
    fit->move = ig_arena_array(arena, n, sizeof(double));
    fit->gram = ig_arena_array(arena, n, n * sizeof(double));
    fit->factor = ig_arena_array(arena, n, n * sizeof(double));
    fit->right = ig_arena_array(arena, cells, sizeof(double));
    fit->psi = ig_arena_array(arena, cells, sizeof(double));
    fit->sum = ig_arena_array(arena, cells, sizeof(double));
    fit->square = ig_arena_array(arena, cells, sizeof(double));
    return arena->overflowed ? NULL : fit;
}

static void order_by_size(struct ig_any_fit *fit, const struct ig_any_sample *sample)
{
    uint32_t at = 0;
    for (uint32_t size = 1; size <= sample->strata_count; size++) {
        fit->first[size] = at;
        at += sample->strata[size].drawn;
    }
    for (uint32_t i = 0; i < sample->pairs_count; i++)
        fit->by_size[fit->first[sample->sizes[i]]++] = i;
    for (uint32_t size = sample->strata_count + 1; size > 1; size--)
        fit->first[size] = fit->first[size - 1];
    fit->first[1] = 0;
}

/* Of one drawn pair; a middle pair is half the stratum of its size. */
static double weight_of(const struct ig_any_fit *fit, const struct ig_any_sample *sample,
                        uint32_t size)
{
    uint32_t n = fit->game->playing;
    double shared = (double)size * (n - size) * sample->strata[size].drawn;
    return (2 * size == n ? 1 : 2) / shared;
}

static void set_x(struct ig_any_fit *fit, const uint64_t *set, uint32_t size)
{
    uint32_t n = fit->game->playing;
    double part = (double)size / n;
    for (uint32_t p = 0; p < n; p++) fit->x[p] = (ig_any_has(set, p) ? 1 : 0) - part;
}

static const double *y_of(const struct ig_any_fit *fit, const struct ig_any_sample *sample,
                          uint32_t pair)
{
    return sample->y + (size_t)pair * fit->game->values_count;
}

static double dot(const double *a, const double *b, uint32_t n)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* ---- solving ---- */

static void add_up_rows(struct ig_any_fit *fit, const struct ig_any_sample *sample)
{
    uint32_t n = fit->game->playing, each = fit->game->values_count;
    memset(fit->gram, 0, (size_t)n * n * sizeof *fit->gram);
    memset(fit->right, 0, (size_t)each * n * sizeof *fit->right);
    for (uint32_t at = 0; at < sample->pairs_count; at++) {
        uint32_t pair = fit->by_size[at], size = sample->sizes[pair];
        const double *y = y_of(fit, sample, pair);
        double weight = weight_of(fit, sample, size);
        set_x(fit, sample->sets + (size_t)pair * fit->game->words, size);
        for (uint32_t i = 0; i < n; i++) {
            double scaled = weight * fit->x[i], *row = fit->gram + (size_t)i * n;
            for (uint32_t k = 0; k <= i; k++) row[k] += scaled * fit->x[k];
            for (uint32_t v = 0; v < each; v++) fit->right[(size_t)v * n + i] += scaled * y[v];
        }
    }
}

/* Of gram + scale * ones, by Cholesky; false when a pivot vanishes. */
static bool factorise(struct ig_any_fit *fit)
{
    uint32_t n = fit->game->playing;
    double scale = 1.0 / n; /* as great as the gram's other directions */
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k <= i; k++) {
            double *li = fit->factor + (size_t)i * n, *lk = fit->factor + (size_t)k * n;
            double sum = fit->gram[(size_t)i * n + k] + scale - dot(li, lk, k);
            if (i == k && !(sum > 1e-10 * scale)) return false;
            li[k] = i == k ? sqrt(sum) : sum / lk[k];
        }
    return true;
}

static void set_mean_gram(struct ig_any_fit *fit)
{
    double n = fit->game->playing;
    for (uint32_t i = 0; i < fit->game->playing; i++)
        for (uint32_t k = 0; k <= i; k++)
            fit->gram[(size_t)i * fit->game->playing + k] = ((i == k ? 1 : 0) - 1 / n) / n;
}

static void solve(const struct ig_any_fit *fit, const double *right, double *out)
{
    uint32_t n = fit->game->playing;
    const double *factor = fit->factor;
    for (uint32_t i = 0; i < n; i++) {
        const double *row = factor + (size_t)i * n;
        out[i] = (right[i] - dot(row, out, i)) / row[i];
    }
    for (uint32_t i = n; i-- > 0;) {
        double known = out[i] /= factor[(size_t)i * n + i];
        const double *row = factor + (size_t)i * n;
        for (uint32_t j = 0; j < i; j++) out[j] -= row[j] * known;
    }
}

/* ---- errors ---- */

/* Adds what a pair moves, and its square, to `sum` and `square`. */
static void add_move(struct ig_any_fit *fit, const struct ig_any_sample *sample, uint32_t pair,
                     double weight)
{
    uint32_t n = fit->game->playing, each = fit->game->values_count;
    const double *y = y_of(fit, sample, pair);
    set_x(fit, sample->sets + (size_t)pair * fit->game->words, sample->sizes[pair]);
    solve(fit, fit->x, fit->move);
    double kept = 1 - (fit->spans ? weight * dot(fit->x, fit->move, n) : 0);
    double scale = weight / sqrt(fmax(kept, 1e-6));
    for (uint32_t v = 0; v < each; v++) {
        double *sum = fit->sum + (size_t)v * n, *square = fit->square + (size_t)v * n;
        double fitted = fit->spans ? dot(fit->x, fit->psi + (size_t)v * n, n) : 0;
        double scaled = scale * (y[v] - fitted);
        for (uint32_t p = 0; p < n; p++) {
            double move = fit->move[p] * scaled;
            sum[p] += move;
            square[p] += move * move;
        }
    }
}

/* Adds the stratum's part to the variances, which lie in `se`. */
static void add_stratum(struct ig_any_fit *fit, const struct ig_any_sample *sample, uint32_t size,
                        double *se)
{
    const struct ig_any_stratum *stratum = &sample->strata[size];
    uint32_t n = fit->game->playing, each = fit->game->values_count;
    size_t cells = (size_t)each * n;
    double drawn = stratum->drawn, weight = weight_of(fit, sample, size);
    memset(fit->sum, 0, cells * sizeof *fit->sum);
    memset(fit->square, 0, cells * sizeof *fit->square);
    for (uint32_t at = fit->first[size]; at < fit->first[size + 1]; at++)
        add_move(fit, sample, fit->by_size[at], weight);
    double scale = (1 - drawn / stratum->pairs_count) * drawn / (drawn - 1);
    for (uint32_t v = 0; v < each; v++)
        for (uint32_t p = 0; p < n; p++) {
            size_t from = (size_t)v * n + p;
            double spread = fit->square[from] - fit->sum[from] * fit->sum[from] / drawn;
            se[v * (n + (size_t)1) + p] += scale * (spread < 0 ? 0 : spread); /* NaN stays */
        }
}

/* Pairs of strata that are not whole, less what the fit and the strata's means take. */
static uint64_t freedom(const struct ig_any_fit *fit, const struct ig_any_sample *sample)
{
    uint64_t pairs = 0, taken = fit->spans ? fit->game->playing - 1 : 0;
    for (uint32_t size = 1; size <= sample->strata_count; size++) {
        if (ig_any_stratum_is_whole(&sample->strata[size])) continue;
        pairs += sample->strata[size].drawn;
        taken++;
    }
    return pairs > taken ? pairs - taken : pairs > 0;
}

static void find_errors(struct ig_any_fit *fit, const struct ig_any_sample *sample,
                        struct ig_any_shap_result *out)
{
    uint32_t n = fit->game->playing, each = fit->game->values_count;
    size_t cells = each * (n + (size_t)1);
    memset(out->se, 0, cells * sizeof *out->se);
    for (uint32_t size = 1; size <= sample->strata_count; size++)
        if (!ig_any_stratum_is_whole(&sample->strata[size]))
            add_stratum(fit, sample, size, out->se);
    for (size_t i = 0; i < cells; i++) out->se[i] = sqrt(out->se[i]);
    uint64_t free = freedom(fit, sample);
    out->quantile = free ? ig_any_t_quantile(free) : 0;
}

void ig_any_fit_report(struct ig_any_fit *fit, const struct ig_any_sample *sample,
                       struct ig_any_shap_result *out)
{
    const struct ig_any_game *game = fit->game;
    uint32_t n = game->playing;
    order_by_size(fit, sample);
    add_up_rows(fit, sample);
    fit->spans = factorise(fit);
    if (!fit->spans) {
        set_mean_gram(fit);
        IG_ASSERT(factorise(fit));
    }
    for (uint32_t v = 0; v < game->values_count; v++) {
        double *psi = fit->psi + (size_t)v * n, even = (game->all[v] - game->none[v]) / n;
        solve(fit, fit->right + (size_t)v * n, psi);
        for (uint32_t p = 0; p < n; p++)
            out->contributions[v * (n + (size_t)1) + p] = psi[p] + even;
    }
    find_errors(fit, sample, out);
}
