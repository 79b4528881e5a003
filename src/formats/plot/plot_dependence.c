/* SPDX-License-Identifier: Apache-2.0 */
/* Dependence: a feature's contribution against its value, a dot a row, coloured by another feature;
 * below, a histogram of the values of all rows. Rows without a value stand in a lane of their own
 * at the left; categories are bands, by falling mean contribution, with dots spread over the band
 * by a hash. Categories of the other feature differ in shape as well as in colour. Owns nothing;
 * stateless. */
#include "formats/plot/plot_priv.h"

#include <math.h>
#include <stdlib.h>

enum {
    HEAD = 20,
    HEIGHT = 290,
    BINS_HEIGHT = 42,
    GUTTER = 66,
    LANE = 58,      /* of rows without a value */
    BANDS_MAX = 24, /* categories shown; the rest together */
    BINS_MAX = 60,
    KINDS = 6,       /* categories of the colour told apart; the last of more: all others */
    KIND_ROOM = 118, /* pixels of a category's name in the legend */
    ESTIMATE = 2000,
};

struct band {
    double sum, count; /* contributions */
    double code;       /* -1: unseen; BANDS_REST: all that are not shown */
};
static const double BANDS_REST = -2;

struct dependence {
    struct ig_plot_view *view;
    uint32_t player, other; /* other: NONE */
    struct ig_plot_scale x, y;
    double left, right, top, bottom, lane; /* lane: pixels at the left for rows without a value */
    size_t *rows;
    size_t rows_count, without; /* without: rows without a finite value */
    struct band *bands;
    size_t bands_count; /* 0: numeric */
    double colour_low, colour_high;
    double kinds[KINDS]; /* codes */
    size_t kinds_count;
    bool are_more_kinds, is_kind, any_missing, any_infinite;
};

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double own_value(const struct dependence *d, size_t row)
{
    return ig_plot_value(d->view, row, d->player);
}

/* Not drawn by its value: missing, or a number beyond the axis. */
static bool is_without(const struct dependence *d, size_t row)
{
    double value = own_value(d, row);
    return isnan(value) || (isinf(value) && !ig_plot_is_category(d->view, d->player));
}

/* A category's code as the bands know it. */
static double code_of(const struct dependence *d, uint32_t player, double value)
{
    uint32_t count = d->view->data->categories[player].count;
    return value >= 0 && value < count ? floor(value) : -1;
}

/* Band of a value; the last when it has none of its own. */
static size_t band_of(const struct dependence *d, double value)
{
    double code = code_of(d, d->player, value);
    for (size_t i = 0; i < d->bands_count; i++)
        if (d->bands[i].code == code) return i;
    return d->bands_count - 1;
}

static int compare_counts(const void *a, const void *b)
{
    const struct band *x = a, *y = b;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    return x->code < y->code ? -1 : x->code > y->code;
}

static int compare_means(const void *a, const void *b)
{
    const struct band *x = a, *y = b;
    double mean_x = x->sum / x->count, mean_y = y->sum / y->count;
    bool rest_x = x->code == BANDS_REST, rest_y = y->code == BANDS_REST;
    if (rest_x != rest_y) return rest_x ? 1 : -1;
    if (mean_x != mean_y) return mean_x > mean_y ? -1 : 1;
    return x->code < y->code ? -1 : x->code > y->code;
}

/* Counts by code in `bands` (categories, then unseen), those that occur first. */
static size_t count_codes(const struct dependence *d, uint32_t player, struct band *bands)
{
    uint32_t categories = d->view->data->categories[player].count;
    size_t used = 0;
    for (size_t i = 0; i <= categories; i++)
        bands[i] = (struct band){.code = i < categories ? (double)i : -1};
    for (size_t row = 0; row < d->view->data->rows_count; row++) {
        double value = ig_plot_value(d->view, row, player);
        if (isnan(value)) continue;
        double code = code_of(d, player, value);
        struct band *band = &bands[code < 0 ? categories : (size_t)code];
        band->count++;
        band->sum += ig_plot_phi(d->view, row, d->player);
    }
    qsort(bands, (size_t)categories + 1, sizeof *bands, compare_counts);
    while (used <= categories && bands[used].count > 0) used++;
    return used;
}

static enum ig_code find_bands(struct dependence *d, struct ig_err *err)
{
    if (!ig_plot_is_category(d->view, d->player)) return IG_OK;
    uint32_t categories = d->view->data->categories[d->player].count;
    d->bands = ig_plot_take(d->view, (size_t)categories + 1, sizeof *d->bands, err);
    if (!d->bands) return err->code;
    d->bands_count = count_codes(d, d->player, d->bands);
    double room = d->right - d->left;
    size_t most = (size_t)fmin(BANDS_MAX, fmax(room / 24, 2));
    if (d->bands_count > most) {
        struct band rest = {.code = BANDS_REST};
        for (size_t i = most - 1; i < d->bands_count; i++) {
            rest.sum += d->bands[i].sum;
            rest.count += d->bands[i].count;
        }
        d->bands[most - 1] = rest;
        d->bands_count = most;
    }
    qsort(d->bands, d->bands_count, sizeof *d->bands, compare_means);
    return IG_OK;
}

static enum ig_code find_kinds(struct dependence *d, struct ig_err *err)
{
    uint32_t categories = d->view->data->categories[d->other].count;
    struct band *bands = ig_plot_take(d->view, (size_t)categories + 1, sizeof *bands, err);
    if (!bands) return err->code;
    size_t used = count_codes(d, d->other, bands);
    d->is_kind = true;
    d->are_more_kinds = used > KINDS;
    d->kinds_count = d->are_more_kinds ? KINDS - 1 : used;
    for (size_t i = 0; i < d->kinds_count; i++) d->kinds[i] = bands[i].code;
    return IG_OK;
}

static enum ig_code find_colours(struct dependence *d, struct ig_err *err)
{
    size_t count = 0, most = d->view->data->rows_count;
    if (d->other == IG_PLOT_NONE) return IG_OK;
    if (ig_plot_is_category(d->view, d->other)) return find_kinds(d, err);
    if (most > ESTIMATE) most = ESTIMATE;
    size_t *rows = ig_plot_take(d->view, most, sizeof *rows, err);
    double *values = ig_plot_take(d->view, most, sizeof *values, err);
    if (!rows || !values) return err->code;
    most = ig_plot_sample(rows, most, d->view->data->rows_count);
    for (size_t i = 0; i < most; i++) {
        double value = ig_plot_value(d->view, rows[i], d->other);
        if (isfinite(value)) values[count++] = value;
    }
    if (!count) return IG_OK;
    qsort(values, count, sizeof *values, compare_doubles);
    size_t cut = count / 20;
    if (!(values[count - 1 - cut] > values[cut])) cut = 0;
    d->colour_low = values[cut];
    d->colour_high = values[count - 1 - cut];
    return IG_OK;
}

/* The rows of the least and the greatest contribution are drawn, whatever the sample. */
static void add_extremes(struct dependence *d)
{
    size_t found[2] = {0}, sampled = d->rows_count;
    for (size_t row = 1; row < d->view->data->rows_count; row++) {
        double phi = ig_plot_phi(d->view, row, d->player);
        if (phi < ig_plot_phi(d->view, found[0], d->player)) found[0] = row;
        if (phi > ig_plot_phi(d->view, found[1], d->player)) found[1] = row;
    }
    for (int k = 0; k < 2; k++) {
        bool is_drawn = k && found[1] == found[0];
        for (size_t i = 0; i < sampled && !is_drawn; i++) is_drawn = d->rows[i] == found[k];
        if (!is_drawn) d->rows[d->rows_count++] = found[k];
    }
}

static enum ig_code choose(struct dependence *d, struct ig_err *err)
{
    struct ig_plot_view *view = d->view;
    const struct ig_plot_options *options = &view->options;
    d->player = options->feature == IG_PLOT_AUTO ? view->order[0].player : options->feature;
    d->other = options->colour_by;
    if (d->other == IG_PLOT_AUTO && ig_plot_strongest(&d->other, view, d->player, err) != IG_OK)
        return err->code;
    size_t rows = view->data->rows_count;
    d->rows = ig_plot_take(view, IG_PLOT_DOTS_MAX + 2, sizeof *d->rows, err);
    if (!d->rows) return err->code;
    d->rows_count = ig_plot_sample(d->rows, IG_PLOT_DOTS_MAX, rows);
    add_extremes(d);
    for (size_t row = 0; row < rows; row++) {
        if (is_without(d, row)) d->without++;
        if (is_without(d, row) && !isnan(own_value(d, row))) d->any_infinite = true;
    }
    for (size_t i = 0; i < d->rows_count && d->other != IG_PLOT_NONE; i++)
        d->any_missing |= isnan(ig_plot_value(view, d->rows[i], d->other));
    return IG_OK;
}

static void fit(struct dependence *d)
{
    double low = INFINITY, high = -INFINITY, least = 0, most = 0;
    for (size_t row = 0; row < d->view->data->rows_count; row++) {
        double value = own_value(d, row);
        if (!isfinite(value)) continue;
        low = fmin(low, value);
        high = fmax(high, value);
    }
    for (size_t i = 0; i < d->rows_count; i++) {
        double phi = ig_plot_phi(d->view, d->rows[i], d->player);
        least = fmin(least, phi);
        most = fmax(most, phi);
    }
    d->y = ig_plot_scale_over(least, most);
    /* Far apart values: halved, since their difference may be no number. */
    if (!(low <= high) || d->bands_count) low = 0, high = 1;
    if (!isfinite(high - low)) low = -1e300, high = 1e300;
    d->x = ig_plot_scale_over(low, high);
    d->x.from = d->left + d->lane + 8;
    d->x.to = d->right - 8;
}

static double spread(size_t row, uint64_t salt)
{
    uint64_t number = (row + 1) * 0x9E3779B97F4A7C15 ^ salt;
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9;
    number = (number ^ number >> 27) * 0x94D049BB133111EB;
    return (double)(number >> 11) / 9007199254740992.0 - 0.5;
}

static double band_width(const struct dependence *d)
{
    return (d->right - d->left - d->lane) / (double)d->bands_count;
}

static double place_x(const struct dependence *d, size_t row)
{
    double value = own_value(d, row);
    if (d->bands_count && !is_without(d, row)) {
        double width = band_width(d);
        return d->left + d->lane + width * ((double)band_of(d, value) + 0.5 + 0.6 * spread(row, 1));
    }
    if (is_without(d, row)) return d->left + (LANE - 12) * (0.5 + 0.7 * spread(row, 1));
    return fmin(fmax(ig_plot_scale_at(&d->x, value), d->x.from), d->x.to);
}

static const char *kind_class(size_t kind)
{
    static const char *const CLASSES[KINDS] = {"c0", "c1", "c2", "c3", "c4", "c5"};
    return CLASSES[kind];
}

static size_t kind_of(const struct dependence *d, double value)
{
    double code = code_of(d, d->other, value);
    for (size_t i = 0; i < d->kinds_count; i++)
        if (d->kinds[i] == code) return i;
    return KINDS - 1;
}

static void draw_mark(const struct dependence *d, size_t row)
{
    struct ig_buf *svg = d->view->svg;
    double x = place_x(d, row);
    double y = ig_plot_scale_at(&d->y, ig_plot_phi(d->view, row, d->player));
    if (d->other == IG_PLOT_NONE) {
        ig_plot_svg_dot(svg, "n", x, y);
        return;
    }
    double value = ig_plot_value(d->view, row, d->other);
    if (isnan(value)) {
        ig_plot_svg_cross(svg, x, y);
    } else if (d->is_kind) {
        size_t kind = kind_of(d, value);
        ig_plot_svg_glyph(svg, kind_class(kind), (unsigned)kind, (double[]){x, y});
    } else {
        double share = (value - d->colour_low) / (d->colour_high - d->colour_low);
        ig_plot_svg_dot(svg, ig_plot_svg_ramp(isnan(share) ? 0.5 : share), x, y);
    }
}

static void draw_dot(const struct dependence *d, size_t row)
{
    struct ig_buf *svg = d->view->svg;
    char text[IG_PLOT_NUMBER_MAX];
    draw_mark(d, row);
    ig_plot_svg_tip(svg);
    ig_plot_text_add(svg, ig_plot_text_head(ig_plot_row_name(d->view, row, text), 40));
    ig_buf_add_cstr(svg, ": ");
    ig_plot_text_add(svg, ig_plot_text_head(
                              ig_plot_value_text(d->view, d->player, own_value(d, row), text), 40));
    ig_buf_add_cstr(svg, ", ");
    double phi = ig_plot_phi(d->view, row, d->player);
    double size = fmax(fabs(d->y.low), fabs(d->y.high));
    ig_buf_add_str(svg, ig_plot_number(text, phi, ig_plot_digits_phi(size), true));
    if (d->other != IG_PLOT_NONE) {
        double value = ig_plot_value(d->view, row, d->other);
        ig_buf_add_cstr(svg, "; ");
        ig_plot_text_add(svg,
                         ig_plot_text_head(ig_plot_value_text(d->view, d->other, value, text), 40));
    }
    ig_plot_svg_tip_end(svg, "path");
}

static void draw_axis_y(const struct dependence *d)
{
    struct ig_buf *svg = d->view->svg;
    struct ig_plot_ticks ticks;
    ig_plot_ticks_nice(&ticks, &d->y, 44, false);
    for (unsigned i = 0; i < ticks.count; i++) {
        const struct ig_plot_tick *tick = &ticks.ticks[i];
        ig_plot_svg_line(svg, tick->value == 0 ? "a" : "g", (double[]){d->left, tick->at},
                         (double[]){d->right, tick->at});
        ig_plot_svg_label(
            svg, &(struct ig_plot_label){"t e", d->left - 8, tick->at + 4, IG_PLOT_SMALL, 0},
            ig_str_view(tick->text));
    }
}

/* A bar of the histogram, with how many rows it stands for. */
static void draw_bin(const struct dependence *d, const double range[2], double count, double most)
{
    double high = BINS_HEIGHT * count / most, base = d->bottom + BINS_HEIGHT + 6;
    char text[IG_PLOT_NUMBER_MAX];
    if (!(count > 0)) return;
    high = fmax(high, 0.75);
    ig_plot_svg_rect(d->view->svg, "vn r",
                     (struct ig_plot_box){range[0], base - high, range[1] - range[0], high});
    ig_plot_svg_tip(d->view->svg);
    ig_buf_add_str(d->view->svg, ig_plot_number(text, count, IG_PLOT_COUNT, false));
    ig_buf_add_cstr(d->view->svg, count == 1 ? " row" : " rows");
    ig_plot_svg_tip_end(d->view->svg, "rect");
}

/* Whole numbers of a small range get a bin each. */
static size_t find_bins(const struct dependence *d, struct ig_plot_scale *bins)
{
    const struct ig_plot_data *data = d->view->data;
    bool are_whole = d->x.high - d->x.low < BINS_MAX;
    for (size_t row = 0; row < data->rows_count && are_whole; row++) {
        double value = own_value(d, row);
        are_whole = !isfinite(value) || value == floor(value);
    }
    size_t count = (size_t)fmin(fmax(sqrt((double)data->rows_count), 8), BINS_MAX * 2.0 / 3);
    if (!are_whole) return count;
    count = (size_t)(ceil(d->x.high) - floor(d->x.low)) + 1;
    bins->low = floor(d->x.low) - 0.5;
    bins->high = bins->low + (double)count;
    bins->from = ig_plot_scale_at(&d->x, bins->low);
    bins->to = ig_plot_scale_at(&d->x, bins->high);
    return count;
}

static void draw_histogram(const struct dependence *d)
{
    double counts[BINS_MAX + 2] = {0}, most = (double)d->without;
    struct ig_plot_scale bins = d->x;
    size_t count = d->bands_count ? d->bands_count : find_bins(d, &bins);
    for (size_t row = 0; row < d->view->data->rows_count; row++) {
        double value = own_value(d, row);
        if (is_without(d, row)) continue;
        size_t bin = 0;
        if (d->bands_count) {
            bin = band_of(d, value);
        } else {
            double share = (value - bins.low) / (bins.high - bins.low) * (double)count;
            bin = share > 0 ? (size_t)fmin(share, (double)(count - 1)) : 0;
        }
        most = fmax(most, ++counts[bin]);
    }
    double first = d->bands_count ? d->left + d->lane : bins.from;
    double width = d->bands_count ? band_width(d) : (bins.to - bins.from) / (double)count;
    /* Bars that stand for one value each are thin. */
    bool is_one = d->bands_count || bins.high - bins.low == (double)count;
    double gap = is_one ? fmax(width * 0.15, (width - 44) / 2) : fmin(width * 0.1, 1);
    for (size_t i = 0; i < count; i++) {
        double range[2] = {first + width * (double)i + gap, first + width * (double)(i + 1) - gap};
        if (range[0] < d->left + d->lane) range[0] = d->left + d->lane;
        if (range[1] > d->right) range[1] = d->right;
        draw_bin(d, range, counts[i], most);
    }
    if (d->lane > 0)
        draw_bin(d, (double[]){d->left + 6, d->left + LANE - 18}, (double)d->without, most);
}

static struct ig_str band_name(const struct dependence *d, const struct band *band,
                               char text[IG_PLOT_NUMBER_MAX])
{
    if (band->code == BANDS_REST) return IG_STR("others");
    return ig_plot_value_text(d->view, d->player, band->code, text);
}

static bool are_slanted(const struct dependence *d)
{
    char text[IG_PLOT_NUMBER_MAX];
    for (size_t i = 0; i < d->bands_count; i++)
        if (ig_plot_text_width(band_name(d, &d->bands[i], text), IG_PLOT_SMALL) > band_width(d) - 6)
            return true;
    return false;
}

enum {
    SLANT_ROOM = 128,
    TITLE = 18
}; /* pixels along a slanted name; below all: the axis's title */

/* Height below the histogram. */
static double axis_height(const struct dependence *d)
{
    if (!are_slanted(d)) return IG_PLOT_AXIS + TITLE;
    double widest = 0;
    char text[IG_PLOT_NUMBER_MAX];
    for (size_t i = 0; i < d->bands_count; i++)
        widest = fmax(widest, ig_plot_text_width(band_name(d, &d->bands[i], text), IG_PLOT_SMALL));
    return fmin(widest, SLANT_ROOM) * 0.71 + 22 + TITLE;
}

static void draw_band_names(const struct dependence *d, double y)
{
    struct ig_buf *svg = d->view->svg;
    char text[IG_PLOT_NUMBER_MAX];
    bool slanted = are_slanted(d);
    for (size_t i = 0; i < d->bands_count; i++) {
        double x = d->left + d->lane + band_width(d) * ((double)i + 0.5);
        struct ig_str name = band_name(d, &d->bands[i], text);
        struct ig_plot_label label = {"t m", x, y + 15, IG_PLOT_SMALL, 0};
        if (!slanted) {
            ig_plot_svg_label(svg, &label, name);
            continue;
        }
        ig_buf_add_cstr(svg, "<g transform=\"translate(");
        ig_plot_svg_number(svg, x + 3);
        ig_buf_add_char(svg, ' ');
        ig_plot_svg_number(svg, y + 13);
        ig_buf_add_cstr(svg, ")rotate(-45)\">");
        label =
            (struct ig_plot_label){"t e", 0, 0, IG_PLOT_SMALL, fmin(SLANT_ROOM, (x - 10) * 1.41)};
        ig_plot_svg_label(svg, &label, name);
        ig_plot_svg_ungroup(svg);
    }
}

static void draw_axis_x(const struct dependence *d)
{
    struct ig_buf *svg = d->view->svg;
    double y = d->bottom + BINS_HEIGHT + 6;
    ig_plot_svg_line(svg, "a", (double[]){d->left, y}, (double[]){d->right, y});
    if (d->lane > 0) {
        double edge = d->left + LANE - 6;
        ig_plot_svg_line(svg, "d", (double[]){edge, d->top}, (double[]){edge, y});
        ig_plot_svg_label(
            svg,
            &(struct ig_plot_label){"t m", d->left + (LANE - 12) / 2.0, y + 15, IG_PLOT_SMALL, 0},
            IG_STR("missing"));
    }
    struct ig_plot_label title = {"s m", (d->left + d->right) / 2, y + axis_height(d) - 3,
                                  IG_PLOT_SIZE, d->right - d->left};
    ig_plot_svg_label(svg, &title, d->view->data->names[d->player]);
    if (d->bands_count) {
        draw_band_names(d, y);
        return;
    }
    struct ig_plot_ticks ticks;
    ig_plot_ticks_nice(&ticks, &d->x, 70, true);
    for (unsigned i = 0; i < ticks.count && d->without < d->view->data->rows_count; i++) {
        const struct ig_plot_tick *tick = &ticks.ticks[i];
        ig_plot_svg_line(svg, "a", (double[]){tick->at, y}, (double[]){tick->at, y + 4});
        ig_plot_svg_label(svg, &(struct ig_plot_label){"t m", tick->at, y + 15, IG_PLOT_SMALL, 0},
                          ig_str_view(tick->text));
    }
}

/* Shapes and colours of the other feature's categories, in as many lines as they need, when asked
 * to; returns where the last line is. */
static double put_kinds(const struct dependence *d, double x, double y, bool is_drawn)
{
    struct ig_buf *svg = d->view->svg;
    char text[IG_PLOT_NUMBER_MAX];
    double right = d->view->options.width - IG_PLOT_EDGE;
    for (size_t i = 0; i < d->kinds_count + d->are_more_kinds; i++) {
        size_t kind = i < d->kinds_count ? i : KINDS - 1;
        struct ig_str name = i < d->kinds_count
                                 ? ig_plot_value_text(d->view, d->other, d->kinds[i], text)
                                 : IG_STR("others");
        double wide = fmin(ig_plot_text_width(name, IG_PLOT_SMALL), KIND_ROOM);
        if (x + 11 + wide > right && x > IG_PLOT_EDGE) {
            x = IG_PLOT_EDGE;
            y += HEAD - 3;
        }
        if (is_drawn) {
            struct ig_plot_label label = {"t", x + 11, y, IG_PLOT_SMALL, KIND_ROOM};
            ig_plot_svg_group(svg, "q");
            ig_plot_svg_glyph(svg, kind_class(kind), (unsigned)kind, (double[]){x + 4, y - 4});
            ig_plot_svg_close(svg);
            ig_plot_svg_ungroup(svg);
            ig_plot_svg_label(svg, &label, name);
        }
        x += 11 + wide + 14;
    }
    return y;
}

/* Likewise the whole legend; `y` is its first line. */
static double put_legend(const struct dependence *d, double y, bool is_drawn)
{
    struct ig_plot_view *view = d->view;
    struct ig_buf *svg = view->svg;
    double right = view->options.width - IG_PLOT_EDGE, x = IG_PLOT_EDGE;
    bool is_narrow = view->options.width < IG_PLOT_NARROW;
    char low[IG_PLOT_NUMBER_MAX], high[IG_PLOT_NUMBER_MAX];
    struct ig_plot_words words = {0};
    ig_plot_words_put(&words, "colour: ");
    ig_plot_words_name(&words, view->data->names[d->other]);
    struct ig_plot_label label = {"t", x, y, IG_PLOT_SMALL,
                                  view->options.width * (is_narrow ? 0.7 : 0.36)};
    if (is_drawn) ig_plot_svg_label(svg, &label, ig_plot_words_view(&words));
    x += fmin(ig_plot_text_width(ig_plot_words_view(&words), IG_PLOT_SMALL), label.room) + 16;
    if (d->any_missing) {
        if (is_drawn) {
            label = (struct ig_plot_label){"t", x + 9, y, IG_PLOT_SMALL, 0};
            ig_plot_svg_group(svg, "p");
            ig_plot_svg_cross(svg, x + 2, y - 4);
            ig_plot_svg_close(svg);
            ig_plot_svg_ungroup(svg);
            ig_plot_svg_label(svg, &label, IG_STR("missing"));
        }
        x += 9 + ig_plot_text_width(IG_STR("missing"), IG_PLOT_SMALL) + 14;
    }
    if (d->is_kind) return put_kinds(d, x, y, is_drawn);
    if (is_narrow) y += HEAD - 3;
    if (is_drawn)
        ig_plot_ramp(view, (double[]){right, y}, ig_plot_number_alone(low, d->colour_low),
                     ig_plot_number_alone(high, d->colour_high));
    return y;
}

static void describe(const struct dependence *d, struct ig_plot_text *text)
{
    const struct ig_plot_view *view = d->view;
    struct ig_plot_words what = {0};
    char low[IG_PLOT_NUMBER_MAX], high[IG_PLOT_NUMBER_MAX];
    ig_plot_words_put(&what, "Contribution of ");
    ig_plot_words_name(&what, view->data->names[d->player]);
    ig_plot_put_output(view, &what, "");
    ig_plot_words_add(&text->heading, ig_plot_words_view(&what));
    ig_plot_words_put(&text->sub, "upwards: contribution");
    if (view->data->unit.len) ig_plot_words_put(&text->sub, ",");
    ig_plot_put_unit(view, &text->sub);
    ig_plot_words_put(&text->sub, " \u00b7 to the right: value \u00b7 ");
    ig_plot_words_count(&text->sub, view->data->rows_count, "row");
    if (d->rows_count < view->data->rows_count) {
        ig_plot_words_put(&text->sub, ", ");
        ig_plot_words_number(&text->sub, (double)d->rows_count, IG_PLOT_COUNT, false);
        ig_plot_words_put(&text->sub, " drawn (an even sample and the extremes)");
    }
    ig_plot_words_put(&text->desc, "Dependence plot. ");
    ig_plot_words_add(&text->desc, ig_plot_words_view(&what));
    ig_plot_words_put(&text->desc, ": from ");
    struct ig_plot_digits digits = ig_plot_digits_phi(fmax(fabs(d->y.low), fabs(d->y.high)));
    ig_plot_words_add(&text->desc, ig_plot_number(low, d->y.low, digits, true));
    ig_plot_words_put(&text->desc, " to ");
    ig_plot_words_add(&text->desc, ig_plot_number(high, d->y.high, digits, true));
    ig_plot_put_unit(view, &text->desc);
    ig_plot_words_put(&text->desc, " over ");
    ig_plot_words_count(&text->desc, view->data->rows_count, "row");
    if (d->without) {
        ig_plot_words_put(&text->desc, ", ");
        ig_plot_words_count(&text->desc, d->without, "row");
        ig_plot_words_put(&text->desc, " without a value");
    }
    if (d->other != IG_PLOT_NONE) {
        ig_plot_words_put(&text->desc, "; coloured by ");
        ig_plot_words_name(&text->desc, view->data->names[d->other]);
    }
    ig_plot_words_put(&text->desc, ".");
}

enum ig_code ig_plot_draw_dependence(struct ig_plot_view *view, struct ig_err *err)
{
    if (!view->data->values)
        return ig_fail(err, IG_INVALID, "a dependence plot needs the features' values");
    struct dependence d = {.view = view, .left = GUTTER};
    d.right = view->options.width - IG_PLOT_EDGE;
    if (choose(&d, err) != IG_OK) return err->code;
    d.lane = d.without ? LANE : 0;
    if (find_bands(&d, err) != IG_OK || find_colours(&d, err) != IG_OK) return err->code;
    fit(&d);
    struct ig_plot_text text = {0};
    describe(&d, &text);
    ig_plot_heading(view, &text);
    d.top = d.other == IG_PLOT_NONE ? view->top : put_legend(&d, view->top + 7, false) + 12;
    d.bottom = d.top + HEIGHT;
    d.y.from = d.bottom - 8;
    d.y.to = d.top + 8;
    ig_plot_begin(view, d.bottom + BINS_HEIGHT + 6 + axis_height(&d) + 4, &text);
    draw_axis_y(&d);
    if (d.other != IG_PLOT_NONE) (void)put_legend(&d, view->top + 7, true);
    draw_histogram(&d);
    draw_axis_x(&d);
    ig_plot_svg_group(view->svg, d.is_kind ? "p q" : "p");
    for (size_t i = 0; i < d.rows_count; i++) draw_dot(&d, d.rows[i]);
    ig_plot_svg_ungroup(view->svg);
    ig_plot_svg_end(view->svg);
    return IG_OK;
}
