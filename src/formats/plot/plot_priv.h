/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_PLOT_PLOT_PRIV_H
#define IG_FORMATS_PLOT_PLOT_PRIV_H

/* What the plots share: checked data with players ranked, the frame around a picture, its axes. */

#include "formats/plot/plot_axis.h"
#include "formats/plot/plot_svg.h"

enum {
    IG_PLOT_EDGE = 16,    /* free at the picture's sides */
    IG_PLOT_NARROW = 540, /* pictures less wide stack what stands side by side in others */
    IG_PLOT_AXIS = 24,    /* height of an axis with its numbers */
    IG_PLOT_KEYS_MAX = 20 /* rows drawn strong: chosen and outliers */
};

struct ig_plot_rank {
    double size; /* mean |contribution|, or of the one row |contribution| */
    uint32_t player;
};

/* A plot at work. Data are checked, options resolved (width, top). */
struct ig_plot_view {
    const struct ig_plot_data *data;
    struct ig_plot_options options;
    struct ig_arena *arena;
    struct ig_buf *svg;
    size_t contributions_stride, values_stride;
    struct ig_plot_rank *order; /* players_count, by falling size, ties by number */
    uint32_t shown;             /* the first of `order`, one by one */
    uint32_t others;            /* players_count - shown: never 1 */
    double top;                 /* below the heading: set by ig_plot_heading */
};

/* One function a plot. Whether `svg` took it all the caller sees. */
#define IG_PLOT(id, name, rows, doc)                                                               \
    enum ig_code ig_plot_draw_##name(struct ig_plot_view *view, struct ig_err *err);
#include "formats/plot/plots.def"
#undef IG_PLOT

/* Zeroed memory from the arena; NULL sets the error. */
void *ig_plot_take(struct ig_plot_view *view, size_t count, size_t size_bytes, struct ig_err *err);

static inline double ig_plot_phi(const struct ig_plot_view *view, size_t row, uint32_t player)
{
    return view->data->contributions[row * view->contributions_stride + player];
}

static inline double ig_plot_base(const struct ig_plot_view *view, size_t row)
{
    return ig_plot_phi(view, row, view->data->players_count);
}

double ig_plot_value(const struct ig_plot_view *view, size_t row, uint32_t player); /* NaN: none */
double ig_plot_margin(const struct ig_plot_view *view, size_t row);
/* Sum of the contributions of the players that are not shown. */
double ig_plot_others(const struct ig_plot_view *view, size_t row);
bool ig_plot_is_category(const struct ig_plot_view *view, uint32_t player);
/* A value of the player as text: borrowed, or written into `text`. */
struct ig_str ig_plot_value_text(const struct ig_plot_view *view, uint32_t player, double value,
                                 char text[IG_PLOT_NUMBER_MAX]);
/* The drawn row's value of a player, for plots of one row; empty when there is none to show. */
struct ig_str ig_plot_own_value(const struct ig_plot_view *view, uint32_t player,
                                char text[IG_PLOT_NUMBER_MAX]);
/* "3 other features". */
struct ig_str ig_plot_others_name(const struct ig_plot_view *view, char text[IG_PLOT_NUMBER_MAX]);
struct ig_str ig_plot_row_name(const struct ig_plot_view *view, size_t row,
                               char text[IG_PLOT_NUMBER_MAX]);

/* At most `most` of `rows_count` rows in ascending order, spread evenly and without a period: one
 * of each of `most` strata, by a hash of its number. Returns how many. */
size_t ig_plot_sample(size_t *rows, size_t most, size_t rows_count);

struct ig_plot_text {
    struct ig_plot_words heading, sub, desc;
};

/* Sets view->top by the lines that text.sub takes: before anything is laid out. */
void ig_plot_heading(struct ig_plot_view *view, const struct ig_plot_text *text);
/* Opens the document: title, description, sheet, background, heading. `height` is the whole
 * picture's. The heading is options.title, if there is one. */
void ig_plot_begin(struct ig_plot_view *view, double height, const struct ig_plot_text *text);
/* "<what> to OUTPUT", " · UNIT" where known. */
void ig_plot_put_output(const struct ig_plot_view *view, struct ig_plot_words *words,
                        const char *what);
void ig_plot_put_unit(const struct ig_plot_view *view, struct ig_plot_words *words);
/* "f(x) = 2 log-odds (probability 0.7)". */
void ig_plot_put_margin(const struct ig_plot_view *view, size_t row, struct ig_plot_digits digits,
                        struct ig_plot_words *words);
/* "base value E[f(x)] = 1 → f(x) = 2 log-odds (probability 0.7) · prediction yes"; says so when
 * contributions do not add up to the margin. */
void ig_plot_put_totals(const struct ig_plot_view *view, size_t row, struct ig_plot_words *words);
/* "Largest: a = 1 +0.3, b -0.2": up to three, for descriptions. */
void ig_plot_put_largest(const struct ig_plot_view *view, size_t row, struct ig_plot_words *words);
/* Digits for contributions of the given size; and for totals that differ by as much. */
struct ig_plot_digits ig_plot_digits_phi(double largest);
struct ig_plot_digits ig_plot_digits_total(double low, double high, double step);

/* Width of the labels' column: the widest wanted, but not more than `share` of the picture. */
double ig_plot_gutter(const struct ig_plot_view *view, double widest, double share);
/* Axis of margins with grid lines up to `top`, below it the link's, if there is one. Titles stand
 * left of the axis in `room` pixels (0: none). */
void ig_plot_axes(const struct ig_plot_view *view, const struct ig_plot_scale *scale, double y,
                  double top, double room);
/* Width of the axes' titles. */
double ig_plot_axes_room(const struct ig_plot_view *view);
double ig_plot_axes_height(const struct ig_plot_view *view);
/* Axis of contributions: grid, numbers, a stronger line at zero. */
void ig_plot_axis_phi(const struct ig_plot_view *view, const struct ig_plot_scale *scale, double y,
                      double top);
/* Ramp from low to high with its ends named, right-aligned at x. */
void ig_plot_ramp(const struct ig_plot_view *view, const double at[2], struct ig_str low,
                  struct ig_str high);

/* The player whose values go best with what a player's contributions leave unexplained by its own
 * value: rows sorted by that value, correlations (for categories: correlation ratios), both
 * adjusted for chance, of the other's values with the contributions within windows of 50, summed;
 * likewise whether the other is missing. NONE when nothing goes with it. As shap 0.51's
 * approximate_interactions, which leaves out categories' classes and the adjustment. */
enum ig_code ig_plot_strongest(uint32_t *other, struct ig_plot_view *view, uint32_t player,
                               struct ig_err *err);

#endif
