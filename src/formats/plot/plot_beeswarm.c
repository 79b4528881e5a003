/* SPDX-License-Identifier: Apache-2.0 */
/* Beeswarm: a lane a feature, a dot a row at its contribution, dots of one column stacked about the
 * lane's middle. Colour is the feature's value between its 5th and 95th percentile; beside the lane
 * stand the mean size of the contributions and, where values and contributions go together, which
 * way, so that the picture reads without colour. Owns nothing; stateless. */
#include "formats/plot/plot_priv.h"

#include <math.h>
#include <stdlib.h>

enum { ROW = 36, HEAD = 18, COLUMN = 66, RAMP = 190, ESTIMATE = 2000, EXTREMES = 2 };
static const double DOT = 4.6, TOGETHER = 0.3;

struct lane {
    uint32_t player;           /* players_count: the others together */
    size_t extremes[EXTREMES]; /* rows of the least and greatest contribution, besides the drawn */
    size_t extremes_count;
    double low, high; /* values of the ramp's ends; low == high: no order */
    bool is_category;
    int way;     /* 1, -1: higher values raise, lower f(x); 0: neither */
    double size; /* mean |contribution| */
};

struct swarm {
    struct ig_plot_view *view;
    size_t *rows; /* drawn in every lane */
    size_t rows_count;
    struct lane *lanes;
    size_t lanes_count;
    double *sorted; /* ESTIMATE values */
    size_t *estimate;
    size_t estimate_count;
    uint32_t *columns; /* dots by column of pixels */
    size_t columns_count;
    struct ig_plot_scale scale;
    double left, right;
    bool any_category, any_missing, any_value, any_way;
};

static double lane_phi(const struct swarm *s, const struct lane *lane, size_t row)
{
    return lane->player < s->view->data->players_count ? ig_plot_phi(s->view, row, lane->player)
                                                       : ig_plot_others(s->view, row);
}

static double lane_value(const struct swarm *s, const struct lane *lane, size_t row)
{
    return lane->player < s->view->data->players_count ? ig_plot_value(s->view, row, lane->player)
                                                       : NAN;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The ramp's ends: percentiles, wider ones when most values are equal. */
static void find_ends(const struct swarm *s, struct lane *lane)
{
    static const double SHARES[] = {0.05, 0.01, 0};
    size_t count = 0;
    for (size_t i = 0; i < s->estimate_count; i++) {
        double value = lane_value(s, lane, s->estimate[i]);
        if (!isnan(value)) s->sorted[count++] = value;
    }
    if (!count) return;
    qsort(s->sorted, count, sizeof(double), compare_doubles);
    for (size_t i = 0; i < sizeof SHARES / sizeof *SHARES; i++) {
        size_t from = (size_t)(SHARES[i] * (double)(count - 1));
        lane->low = s->sorted[from];
        lane->high = s->sorted[count - 1 - from];
        if (lane->high > lane->low) return;
    }
}

static bool is_drawn(const struct swarm *s, size_t row)
{
    size_t low = 0, high = s->rows_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->rows[middle] < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->rows_count && s->rows[low] == row;
}

/* Correlation of value and contribution over all rows: 1, -1, or 0 when it is weak. */
static int direction(const struct swarm *s, const struct lane *lane)
{
    if (lane->is_category || !(lane->high > lane->low)) return 0;
    double n = 0, mx = 0, my = 0, sxx = 0, syy = 0, sxy = 0;
    double size = s->view->order[0].size;
    for (size_t row = 0; row < s->view->data->rows_count; row++) {
        double x = lane_value(s, lane, row), y = lane_phi(s, lane, row) / size;
        if (isnan(x)) continue;
        /* Clipped as the colours are, so that one far value does not decide. */
        x = (fmin(fmax(x, lane->low), lane->high) - lane->low) / (lane->high - lane->low);
        double dx = x - mx, dy = y - my;
        n++;
        mx += dx / n;
        my += dy / n;
        sxx += dx * (x - mx);
        syy += dy * (y - my);
        sxy += dx * (y - my);
    }
    double r = sxx > 0 && syy > 0 ? sxy / sqrt(sxx * syy) : 0;
    return r > TOGETHER ? 1 : r < -TOGETHER ? -1 : 0;
}

static void fill_lane(struct swarm *s, size_t number)
{
    const struct ig_plot_data *data = s->view->data;
    struct lane *lane = &s->lanes[number];
    bool is_own = number < s->view->shown;
    lane->player = is_own ? s->view->order[number].player : data->players_count;
    lane->is_category = is_own && ig_plot_is_category(s->view, lane->player);
    size_t least = 0, most = 0;
    double low = INFINITY, high = -INFINITY;
    for (size_t row = 0; row < data->rows_count; row++) {
        double phi = lane_phi(s, lane, row);
        lane->size += fabs(phi) / (double)data->rows_count;
        if (phi < low) low = phi, least = row;
        if (phi > high) high = phi, most = row;
    }
    if (!is_drawn(s, least)) lane->extremes[lane->extremes_count++] = least;
    if (!is_drawn(s, most) && most != least) lane->extremes[lane->extremes_count++] = most;
    find_ends(s, lane);
    lane->way = direction(s, lane);
}

static size_t lane_row(const struct swarm *s, const struct lane *lane, size_t i)
{
    return i < s->rows_count ? s->rows[i] : lane->extremes[i - s->rows_count];
}

static size_t lane_rows(const struct swarm *s, const struct lane *lane)
{
    return s->rows_count + lane->extremes_count;
}

static size_t column_of(const struct swarm *s, double x)
{
    double column = (x - s->left) / DOT;
    if (!(column > 0)) return 0;
    return column < (double)s->columns_count ? (size_t)column : s->columns_count - 1;
}

/* Distance between stacked dots, so that the fullest column stays in its lane. */
static double lane_step(const struct swarm *s, const struct lane *lane)
{
    uint32_t most = 1;
    for (size_t i = 0; i < s->columns_count; i++) s->columns[i] = 0;
    for (size_t i = 0; i < lane_rows(s, lane); i++) {
        double x = ig_plot_scale_at(&s->scale, lane_phi(s, lane, lane_row(s, lane, i)));
        uint32_t dots = ++s->columns[column_of(s, x)];
        if (dots > most) most = dots;
    }
    for (size_t i = 0; i < s->columns_count; i++) s->columns[i] = 0;
    return fmin(DOT, (ROW - 8.0) / most);
}

static const char *dot_class(const struct lane *lane, double value)
{
    if (lane->is_category) return "vn";
    if (!(lane->high > lane->low)) return isinf(value) ? "vn" : ig_plot_svg_ramp(0.5);
    if (isinf(value)) return ig_plot_svg_ramp(value > 0 ? 1 : 0);
    return ig_plot_svg_ramp((value - lane->low) / (lane->high - lane->low));
}

static void draw_dot(struct swarm *s, const struct lane *lane, size_t row, double middle,
                     double step)
{
    struct ig_buf *svg = s->view->svg;
    double phi = lane_phi(s, lane, row), value = lane_value(s, lane, row);
    double x = ig_plot_scale_at(&s->scale, phi);
    uint32_t place = s->columns[column_of(s, x)]++;
    uint32_t level = (place + 1) / 2;
    double y = middle + level * (place % 2 ? -step : step);
    bool is_own = lane->player < s->view->data->players_count;
    if (is_own && isnan(value) && s->view->data->values) {
        ig_plot_svg_cross(svg, x, y);
    } else {
        ig_plot_svg_dot(svg, isnan(value) ? "vn" : dot_class(lane, value), x, y);
    }
    char text[IG_PLOT_NUMBER_MAX];
    ig_plot_svg_tip(svg);
    ig_plot_text_add(svg, ig_plot_text_head(ig_plot_row_name(s->view, row, text), 40));
    ig_buf_add_cstr(svg, ": ");
    if (is_own && s->view->data->values) {
        ig_plot_text_add(
            svg, ig_plot_text_head(ig_plot_value_text(s->view, lane->player, value, text), 40));
        ig_buf_add_cstr(svg, ", ");
    }
    struct ig_plot_digits digits = ig_plot_digits_phi(s->view->order[0].size);
    ig_buf_add_str(svg, ig_plot_number(text, phi, digits, true));
    ig_plot_svg_tip_end(svg, "path");
}

static void note_kinds(struct swarm *s, const struct lane *lane)
{
    if (lane->player == s->view->data->players_count || !s->view->data->values) return;
    for (size_t i = 0; i < lane_rows(s, lane); i++) {
        double value = lane_value(s, lane, lane_row(s, lane, i));
        s->any_missing |= isnan(value);
        s->any_category |= !isnan(value) && lane->is_category;
        s->any_value |= !isnan(value) && !lane->is_category;
    }
}

static void draw_lane(struct swarm *s, size_t number, double y)
{
    struct ig_plot_view *view = s->view;
    struct ig_buf *svg = view->svg;
    const struct lane *lane = &s->lanes[number];
    char text[IG_PLOT_NUMBER_MAX];
    double middle = y + ROW / 2.0, step = lane_step(s, lane);
    bool is_own = number < view->shown;
    struct ig_plot_label label = {is_own ? "e" : "e s", s->left - 12, middle + 4, IG_PLOT_SIZE,
                                  s->left - 12 - IG_PLOT_EDGE};
    struct ig_str name = is_own ? view->data->names[lane->player] : ig_plot_others_name(view, text);
    ig_plot_svg_line(svg, "g", (double[]){s->left, middle}, (double[]){s->right, middle});
    ig_plot_svg_label(svg, &label, name);
    ig_plot_svg_group(svg, "p");
    for (size_t i = 0; i < lane_rows(s, lane); i++)
        draw_dot(s, lane, lane_row(s, lane, i), middle, step);
    ig_plot_svg_ungroup(svg);
    double right = view->options.width - IG_PLOT_EDGE;
    label = (struct ig_plot_label){"s e", right - 16, middle + 4, IG_PLOT_SIZE, 0};
    ig_plot_svg_label(
        svg, &label,
        ig_plot_number(text, lane->size, ig_plot_digits_phi(view->order[0].size), false));
    if (!lane->way) return;
    label =
        (struct ig_plot_label){lane->way > 0 ? "up e" : "dn e", right, middle + 4, IG_PLOT_SIZE, 0};
    ig_plot_svg_label(svg, &label, lane->way > 0 ? IG_STR("\u25b2") : IG_STR("\u25bc"));
}

/* What the colours and signs mean: on the line above the lanes. */
static void draw_legend(const struct swarm *s, double y)
{
    struct ig_plot_view *view = s->view;
    double right = view->options.width - IG_PLOT_EDGE, x = IG_PLOT_EDGE;
    bool is_narrow = view->options.width < IG_PLOT_NARROW;
    double below = is_narrow ? y + HEAD : y, ramp = right - COLUMN;
    ig_plot_svg_label(view->svg, &(struct ig_plot_label){"t e", right, below, IG_PLOT_SMALL, 0},
                      IG_STR("mean |\u03c6|"));
    if (s->any_value)
        ig_plot_ramp(view, (double[]){ramp, below}, IG_STR("value low"), IG_STR("high"));
    if (s->any_value && !is_narrow) ramp -= RAMP;
    struct ig_str names[] = {IG_STR("category"), IG_STR("missing")};
    bool kinds[] = {s->any_category, s->any_missing};
    for (int i = 0; i < 2; i++) {
        if (!kinds[i]) continue;
        ig_plot_svg_group(view->svg, "p");
        if (i)
            ig_plot_svg_cross(view->svg, x + 3, y - 4);
        else
            ig_plot_svg_dot(view->svg, "vn", x + 3, y - 4);
        ig_plot_svg_close(view->svg);
        ig_plot_svg_ungroup(view->svg);
        ig_plot_svg_label(view->svg, &(struct ig_plot_label){"t", x + 10, y, IG_PLOT_SMALL, 0},
                          names[i]);
        x += 10 + ig_plot_text_width(names[i], IG_PLOT_SMALL) + 12;
    }
    struct ig_str ways = IG_STR("\u25b2\u25bc higher values raise, lower f(x)");
    if (s->any_way && x + ig_plot_text_width(ways, IG_PLOT_SMALL) < ramp)
        ig_plot_svg_label(view->svg, &(struct ig_plot_label){"t", x, y, IG_PLOT_SMALL, 0}, ways);
}

static void describe(const struct swarm *s, struct ig_plot_text *text)
{
    const struct ig_plot_view *view = s->view;
    ig_plot_put_output(view, &text->heading, "Contributions");
    if (view->data->unit.len) {
        ig_plot_put_unit(view, &text->sub);
        ig_plot_words_put(&text->sub, " \u00b7 ");
    }
    ig_plot_words_count(&text->sub, view->data->rows_count, "row");
    if (s->rows_count < view->data->rows_count) {
        ig_plot_words_put(&text->sub, ", drawn: an even sample of ");
        ig_plot_words_number(&text->sub, (double)s->rows_count, IG_PLOT_COUNT, false);
        ig_plot_words_put(&text->sub, " and each feature's extremes");
    }
    ig_plot_words_put(&text->desc, "Beeswarm of contributions: ");
    ig_plot_words_add(&text->desc, ig_plot_words_view(&text->sub));
    ig_plot_words_put(&text->desc, ". Largest mean sizes: ");
    for (uint32_t i = 0; i < view->shown && i < 3; i++) {
        int way = s->lanes[i].way;
        if (i) ig_plot_words_put(&text->desc, ", ");
        ig_plot_words_name(&text->desc, view->data->names[s->lanes[i].player]);
        ig_plot_words_put(&text->desc, " ");
        ig_plot_words_number(&text->desc, view->order[i].size,
                             ig_plot_digits_phi(view->order[0].size), false);
        if (way)
            ig_plot_words_put(&text->desc, way > 0 ? " (higher values raise f(x))"
                                                   : " (higher values lower f(x))");
    }
    ig_plot_words_put(&text->desc, ".");
}

static void fit(struct swarm *s)
{
    double low = 0, high = 0, widest = 0;
    char text[IG_PLOT_NUMBER_MAX];
    struct ig_plot_view *view = s->view;
    for (size_t number = 0; number < s->lanes_count; number++) {
        const struct lane *lane = &s->lanes[number];
        fill_lane(s, number);
        note_kinds(s, lane);
        s->any_way |= lane->way != 0;
        for (size_t i = 0; i < lane_rows(s, lane); i++) {
            double phi = lane_phi(s, lane, lane_row(s, lane, i));
            low = fmin(low, phi);
            high = fmax(high, phi);
        }
        struct ig_str name = number < view->shown ? view->data->names[lane->player]
                                                  : ig_plot_others_name(view, text);
        widest = fmax(widest, ig_plot_text_width(name, IG_PLOT_SIZE));
    }
    s->left = ig_plot_gutter(view, widest, 0.36);
    s->right = view->options.width - IG_PLOT_EDGE - COLUMN;
    s->scale = ig_plot_scale_over(low, high);
    s->scale.from = s->left + 6;
    s->scale.to = s->right - 6;
}

static enum ig_code allocate(struct swarm *s, struct ig_err *err)
{
    size_t rows = s->view->data->rows_count, most = IG_PLOT_DOTS_MAX / s->lanes_count;
    s->lanes = ig_plot_take(s->view, s->lanes_count, sizeof *s->lanes, err);
    s->columns_count = (size_t)(s->view->options.width / DOT) + 1;
    s->rows = ig_plot_take(s->view, most, sizeof *s->rows, err);
    s->estimate = ig_plot_take(s->view, ESTIMATE, sizeof *s->estimate, err);
    s->sorted = ig_plot_take(s->view, ESTIMATE, sizeof *s->sorted, err);
    s->columns = ig_plot_take(s->view, s->columns_count, sizeof *s->columns, err);
    if (!s->lanes || !s->rows || !s->estimate || !s->sorted || !s->columns) return err->code;
    s->rows_count = ig_plot_sample(s->rows, most, rows);
    s->estimate_count = ig_plot_sample(s->estimate, ESTIMATE, rows);
    return IG_OK;
}

enum ig_code ig_plot_draw_beeswarm(struct ig_plot_view *view, struct ig_err *err)
{
    struct swarm s = {.view = view, .lanes_count = (size_t)view->shown + (view->others > 0)};
    if (allocate(&s, err) != IG_OK) return err->code;
    fit(&s);
    struct ig_plot_text text = {0};
    describe(&s, &text);
    ig_plot_heading(view, &text);
    bool is_narrow = view->options.width < IG_PLOT_NARROW;
    double top = view->top + (is_narrow ? 2 * HEAD : HEAD),
           bottom = top + ROW * (double)s.lanes_count;
    ig_plot_begin(view, bottom + IG_PLOT_AXIS + 4, &text);
    draw_legend(&s, view->top + 8);
    ig_plot_axis_phi(view, &s.scale, bottom, top);
    for (size_t i = 0; i < s.lanes_count; i++) draw_lane(&s, i, top + ROW * (double)i);
    ig_plot_svg_end(view->svg);
    return IG_OK;
}
