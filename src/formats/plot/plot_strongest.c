/* SPDX-License-Identifier: Apache-2.0 */
/* Which feature to colour a dependence plot by. Owns nothing; scratch is the arena. */
#include "formats/plot/plot_priv.h"

#include <math.h>
#include <stdlib.h>

enum { ROWS_MAX = 10000, WINDOW = 50, CLASSES = 32 };
static const double LEAST = 1e-9;

struct entry {
    double value, phi;
    size_t row;
};

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    bool no_x = isnan(x->value), no_y = isnan(y->value);
    if (no_x != no_y) return no_x ? 1 : -1;
    if (!no_x && x->value != y->value) return x->value < y->value ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* Share of variance explained by `parameters` beyond a mean, less what chance explains. */
static double adjusted(double share, double n, double parameters)
{
    if (!(n - parameters - 1 > 0)) return 0;
    double left = 1 - (1 - share) * (n - 1) / (n - parameters - 1);
    return left > 0 ? sqrt(left) : 0;
}

struct window {
    const struct entry *entries;
    size_t count;
    double others[WINDOW]; /* the other player's values */
};

static double correlation(const struct window *w)
{
    double n = 0, mx = 0, my = 0, sxx = 0, syy = 0, sxy = 0;
    for (size_t i = 0; i < w->count; i++) {
        if (!isfinite(w->others[i])) continue;
        double dx = w->others[i] - mx, dy = w->entries[i].phi - my;
        n++;
        mx += dx / n;
        my += dy / n;
        sxx += dx * (w->others[i] - mx);
        syy += dy * (w->entries[i].phi - my);
        sxy += dx * (w->entries[i].phi - my);
    }
    double both = sxx * syy;
    return both > 0 && isfinite(both) ? adjusted(sxy * sxy / both, n, 1) * n / (double)w->count : 0;
}

/* Correlation ratio: variance between the means of the other's categories. */
static double ratio(const struct window *w)
{
    double sums[CLASSES] = {0}, counts[CLASSES] = {0}, sum = 0, squares = 0, n = 0, classes = 0;
    for (size_t i = 0; i < w->count; i++) {
        double value = w->others[i], phi = w->entries[i].phi;
        if (isnan(value)) continue;
        /* Rarer categories and unseen ones share a class. */
        size_t class = value >= 0 && value < CLASSES - 1 ? (size_t)value : CLASSES - 1;
        sums[class] += phi;
        counts[class]++;
        sum += phi;
        squares += phi * phi;
        n++;
    }
    if (!(n > 0)) return 0;
    double total = squares - sum * sum / n, between = -sum * sum / n;
    for (size_t k = 0; k < CLASSES; k++) {
        if (!(counts[k] > 0)) continue;
        between += sums[k] * sums[k] / counts[k];
        classes++;
    }
    if (!(total > squares * LEAST)) return 0;
    return adjusted(fmin(between / total, 1), n, classes - 1) * n / (double)w->count;
}

static double strength(const struct ig_plot_view *view, uint32_t other, const struct entry *entries,
                       size_t count)
{
    size_t width = count / 10 > WINDOW ? WINDOW : count / 10 ? count / 10 : 1;
    double values = 0, missing = 0;
    for (size_t at = 0; at < count; at += width) {
        struct window w = {.entries = entries + at, .count = count - at};
        if (w.count > width) w.count = width;
        for (size_t i = 0; i < w.count; i++)
            w.others[i] = ig_plot_value(view, entries[at + i].row, other);
        values += ig_plot_is_category(view, other) ? ratio(&w) : correlation(&w);
        for (size_t i = 0; i < w.count; i++) w.others[i] = isnan(w.others[i]);
        missing += correlation(&w);
    }
    return fmax(values, missing);
}

enum ig_code ig_plot_strongest(uint32_t *other, struct ig_plot_view *view, uint32_t player,
                               struct ig_err *err)
{
    size_t rows = view->data->rows_count, most = rows < ROWS_MAX ? rows : ROWS_MAX;
    size_t *sample = ig_plot_take(view, most, sizeof *sample, err);
    struct entry *entries = ig_plot_take(view, most, sizeof *entries, err);
    if (!sample || !entries) return err->code;
    size_t count = ig_plot_sample(sample, most, rows);
    double size = 0, best = LEAST;
    for (size_t i = 0; i < count; i++)
        size = fmax(size, fabs(ig_plot_phi(view, sample[i], player)));
    for (size_t i = 0; i < count; i++) {
        entries[i].row = sample[i];
        entries[i].value = ig_plot_value(view, sample[i], player);
        entries[i].phi = size > 0 ? ig_plot_phi(view, sample[i], player) / size : 0;
    }
    qsort(entries, count, sizeof *entries, compare_entries);
    *other = IG_PLOT_NONE;
    for (uint32_t i = 0; i < view->data->players_count; i++) {
        if (i == player) continue;
        double found = strength(view, i, entries, count);
        if (!(found > best)) continue;
        best = found;
        *other = i;
    }
    return IG_OK;
}
