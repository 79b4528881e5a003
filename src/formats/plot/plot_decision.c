/* SPDX-License-Identifier: Apache-2.0 */
/* Decision plot: a line a row, from the base value at the bottom to its margin at the top, that
 * turns at each feature by its contribution; the most important feature is the last turn. Lines are
 * coloured by where they end; chosen rows and outliers are drawn strong, lettered at their ends and
 * listed. Owns nothing; stateless. */
#include "formats/plot/plot_priv.h"

#include <math.h>
#include <stdlib.h>

enum { ROW = 27, HEAD = 22, LETTER = 11, KEY = 18, FEW = 4 };

struct key {
    size_t row;
    bool is_outlier;
};

struct decision {
    struct ig_plot_view *view;
    size_t *rows;
    size_t rows_count;
    struct key keys[IG_PLOT_KEYS_MAX];
    size_t keys_count, outliers_count;
    uint32_t steps; /* the others first, if any, then features by rising importance */
    struct ig_plot_scale scale;
    double low, high; /* margins of the drawn rows */
    double left, right, top, bottom;
    struct ig_plot_digits digits;
};

struct far {
    double distance;
    size_t row;
};

/* Contribution of a step. */
static double step_phi(const struct decision *d, size_t row, uint32_t step)
{
    const struct ig_plot_view *view = d->view;
    if (view->others && step == 0) return ig_plot_others(view, row);
    uint32_t place = view->others ? step - 1 : step;
    return ig_plot_phi(view, row, view->order[view->shown - 1 - place].player);
}

static bool is_key(const struct decision *d, size_t row)
{
    for (size_t i = 0; i < d->keys_count; i++)
        if (d->keys[i].row == row) return true;
    return false;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static int compare_far(const void *a, const void *b)
{
    const struct far *x = a, *y = b;
    if (x->distance != y->distance) return x->distance > y->distance ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* The rows whose ways lie farthest from the median way, summed over the steps. */
static enum ig_code find_outliers(struct decision *d, struct ig_err *err)
{
    size_t count = d->view->data->rows_count;
    if (!d->view->options.outliers) return IG_OK;
    double *totals = ig_plot_take(d->view, count, sizeof *totals, err);
    double *sorted = ig_plot_take(d->view, count, sizeof *sorted, err);
    struct far *far = ig_plot_take(d->view, count, sizeof *far, err);
    if (!totals || !sorted || !far) return err->code;
    for (size_t row = 0; row < count; row++) {
        totals[row] = ig_plot_base(d->view, row);
        far[row].row = row;
    }
    for (uint32_t step = 0; step < d->steps; step++) {
        for (size_t row = 0; row < count; row++) {
            totals[row] += step_phi(d, row, step);
            sorted[row] = totals[row];
        }
        qsort(sorted, count, sizeof *sorted, compare_doubles);
        double median = sorted[(count - 1) / 2];
        for (size_t row = 0; row < count; row++) far[row].distance += fabs(totals[row] - median);
    }
    qsort(far, count, sizeof *far, compare_far);
    for (size_t i = 0; i < count && d->outliers_count < d->view->options.outliers; i++) {
        if (is_key(d, far[i].row)) continue;
        d->keys[d->keys_count++] = (struct key){far[i].row, true};
        d->outliers_count++;
    }
    return IG_OK;
}

static enum ig_code choose_rows(struct decision *d, struct ig_err *err)
{
    const struct ig_plot_options *options = &d->view->options;
    for (size_t i = 0; i < options->highlight_count; i++)
        if (!is_key(d, options->highlight[i]))
            d->keys[d->keys_count++] = (struct key){options->highlight[i], false};
    if (find_outliers(d, err) != IG_OK) return err->code;
    d->rows = ig_plot_take(d->view, IG_PLOT_LINES_MAX, sizeof *d->rows, err);
    if (!d->rows) return err->code;
    size_t most = IG_PLOT_LINES_MAX - d->keys_count;
    d->rows_count = ig_plot_sample(
        d->rows, d->view->data->rows_count <= IG_PLOT_LINES_MAX ? IG_PLOT_LINES_MAX : most,
        d->view->data->rows_count);
    /* Strong rows are drawn by themselves, after the others. */
    size_t kept = 0;
    for (size_t i = 0; i < d->rows_count; i++)
        if (!is_key(d, d->rows[i])) d->rows[kept++] = d->rows[i];
    d->rows_count = kept;
    return IG_OK;
}

static void include_row(struct decision *d, size_t row, double range[2])
{
    double total = ig_plot_base(d->view, row);
    range[0] = fmin(range[0], total);
    range[1] = fmax(range[1], total);
    for (uint32_t step = 0; step < d->steps; step++) {
        total += step_phi(d, row, step);
        range[0] = fmin(range[0], total);
        range[1] = fmax(range[1], total);
    }
    d->low = fmin(d->low, total);
    d->high = fmax(d->high, total);
}

static void fit(struct decision *d)
{
    double range[2] = {INFINITY, -INFINITY};
    d->low = INFINITY;
    d->high = -INFINITY;
    for (size_t i = 0; i < d->rows_count; i++) include_row(d, d->rows[i], range);
    for (size_t i = 0; i < d->keys_count; i++) include_row(d, d->keys[i].row, range);
    d->scale = ig_plot_scale_over(range[0], range[1]);
    d->scale.from = d->left + 8;
    d->scale.to = d->right - 8;
    d->digits = ig_plot_digits_total(range[0], range[1], (range[1] - range[0]) / 10);
}

static double level(const struct decision *d, uint32_t step)
{
    return d->bottom - (double)step * ROW;
}

static const char *line_class(const struct decision *d, double end)
{
    return ig_plot_svg_ramp(d->high > d->low ? (end - d->low) / (d->high - d->low) : 0.5);
}

/* The line's path, open; returns where it ends. */
static double put_path(const struct decision *d, size_t row, const char *class)
{
    struct ig_buf *svg = d->view->svg;
    double total = ig_plot_base(d->view, row);
    ig_plot_svg_path(svg, class);
    ig_plot_svg_point(svg, 'M', ig_plot_scale_at(&d->scale, total), d->bottom);
    for (uint32_t step = 0; step < d->steps; step++) {
        total += step_phi(d, row, step);
        ig_plot_svg_point(svg, 'L', ig_plot_scale_at(&d->scale, total), level(d, step + 1));
    }
    ig_plot_svg_done(svg, false);
    return ig_plot_scale_at(&d->scale, total);
}

static double draw_line(const struct decision *d, size_t row)
{
    struct ig_buf *svg = d->view->svg;
    double total = ig_plot_base(d->view, row);
    char text[IG_PLOT_NUMBER_MAX];
    for (uint32_t step = 0; step < d->steps; step++) total += step_phi(d, row, step);
    double end = put_path(d, row, line_class(d, total));
    ig_plot_svg_tip(svg);
    ig_plot_text_add(svg, ig_plot_row_name(d->view, row, text));
    ig_buf_add_cstr(svg, ": f(x) = ");
    ig_buf_add_str(svg, ig_plot_number(text, ig_plot_margin(d->view, row), d->digits, false));
    ig_plot_svg_tip_end(svg, "path");
    return end;
}

/* Letters above the ends of strong lines, side by side: in order of the ends, each pushed right
 * where it would touch the one before, all pulled left where they would leave the picture. */
static void draw_letters(const struct decision *d, const double *ends)
{
    size_t order[IG_PLOT_KEYS_MAX], n = d->keys_count;
    double at[IG_PLOT_KEYS_MAX];
    for (size_t i = 0; i < n; i++) {
        size_t place = i;
        for (; place && ends[order[place - 1]] > ends[i]; place--) order[place] = order[place - 1];
        order[place] = i;
    }
    for (size_t i = 0; i < n; i++)
        at[i] = i ? fmax(ends[order[i]], at[i - 1] + LETTER) : ends[order[i]];
    double limit = d->view->options.width - IG_PLOT_EDGE - LETTER / 2.0;
    for (size_t i = n; i-- > 0; limit = at[i] - LETTER) at[i] = fmin(at[i], limit);
    for (size_t i = 0; i < n; i++) {
        const char letter[] = {(char)('A' + order[i])};
        ig_plot_svg_line(d->view->svg, "a", (double[]){at[i], d->top - 7},
                         (double[]){ends[order[i]], d->top});
        ig_plot_svg_label(d->view->svg,
                          &(struct ig_plot_label){"w m", at[i], d->top - 10, IG_PLOT_SIZE, 0},
                          (struct ig_str){letter, 1});
    }
}

static void draw_keys(const struct decision *d, double y)
{
    char text[IG_PLOT_NUMBER_MAX];
    for (size_t i = 0; i < d->keys_count; i++, y += KEY) {
        const char letter[] = {(char)('A' + i)};
        struct ig_plot_words words = {0};
        size_t row = d->keys[i].row;
        ig_plot_svg_label(d->view->svg,
                          &(struct ig_plot_label){"w m", IG_PLOT_EDGE + 6, y, IG_PLOT_SIZE, 0},
                          (struct ig_str){letter, 1});
        ig_plot_words_name(&words, ig_plot_row_name(d->view, row, text));
        ig_plot_words_put(&words, d->keys[i].is_outlier ? " (outlier): " : ": ");
        ig_plot_put_margin(d->view, row, d->digits, &words);
        ig_plot_svg_label(d->view->svg,
                          &(struct ig_plot_label){NULL, IG_PLOT_EDGE + 20, y, IG_PLOT_SIZE,
                                                  d->view->options.width - 2 * IG_PLOT_EDGE - 20},
                          ig_plot_words_view(&words));
    }
}

/* The feature of a step; its value beside it when there is but one row. */
static void draw_name(const struct decision *d, uint32_t step)
{
    const struct ig_plot_view *view = d->view;
    char text[IG_PLOT_NUMBER_MAX];
    bool is_others = view->others && step == 0, is_one = view->data->rows_count == 1;
    double y = level(d, step) - ROW / 2.0 + 4;
    struct ig_plot_label label = {is_others ? "e s" : "e", d->left - 12, y, IG_PLOT_SIZE,
                                  d->left - 12 - IG_PLOT_EDGE};
    if (is_others) {
        ig_plot_svg_label(view->svg, &label, ig_plot_others_name(view, text));
        return;
    }
    uint32_t player = view->order[view->shown - 1 - (view->others ? step - 1 : step)].player;
    ig_plot_svg_pair(view->svg, &label, view->data->names[player],
                     is_one ? ig_plot_own_value(view, player, text) : IG_STR(""));
}

static void draw_lines(const struct decision *d)
{
    struct ig_buf *svg = d->view->svg;
    double ends[IG_PLOT_KEYS_MAX];
    for (uint32_t step = 0; step <= d->steps; step++)
        ig_plot_svg_line(svg, "g", (double[]){d->left, level(d, step)},
                         (double[]){d->right, level(d, step)});
    double base = ig_plot_base(d->view, d->keys_count ? d->keys[0].row : d->rows[0]);
    double at = ig_plot_scale_at(&d->scale, base);
    ig_plot_svg_line(svg, "d", (double[]){at, d->top}, (double[]){at, d->bottom});
    ig_plot_svg_group(svg, d->rows_count <= FEW ? "k" : "l");
    for (size_t i = 0; i < d->rows_count; i++) (void)draw_line(d, d->rows[i]);
    ig_plot_svg_ungroup(svg);
    ig_plot_svg_group(svg, "z");
    for (size_t i = 0; i < d->keys_count; i++) {
        (void)put_path(d, d->keys[i].row, NULL);
        ig_plot_svg_close(svg);
    }
    ig_plot_svg_ungroup(svg);
    ig_plot_svg_group(svg, "k");
    for (size_t i = 0; i < d->keys_count; i++) ends[i] = draw_line(d, d->keys[i].row);
    ig_plot_svg_ungroup(svg);
    draw_letters(d, ends);
}

static void describe(const struct decision *d, struct ig_plot_text *text)
{
    const struct ig_plot_view *view = d->view;
    size_t all = view->data->rows_count, drawn = d->rows_count + d->keys_count;
    ig_plot_put_output(view, &text->heading, "Decision paths: contributions");
    if (all == 1) {
        ig_plot_put_totals(view, 0, &text->sub);
    } else {
        ig_plot_words_count(&text->sub, all, "row");
        if (drawn < all) {
            ig_plot_words_put(&text->sub, ", ");
            ig_plot_words_number(&text->sub, (double)drawn, IG_PLOT_COUNT, false);
            ig_plot_words_put(&text->sub, " drawn (an even sample)");
        }
        ig_plot_words_put(&text->sub, ", from the base value up to f(x)");
        ig_plot_words_put(&text->sub, " \u00b7 colour: f(x)");
    }
    ig_plot_words_put(&text->desc, "Decision plot: ");
    ig_plot_words_add(&text->desc, ig_plot_words_view(&text->sub));
    ig_plot_words_put(&text->desc, ". f(x) of the drawn rows from ");
    ig_plot_words_number(&text->desc, d->low, d->digits, false);
    ig_plot_words_put(&text->desc, " to ");
    ig_plot_words_number(&text->desc, d->high, d->digits, false);
    ig_plot_put_unit(view, &text->desc);
    ig_plot_words_put(&text->desc, "; last and most important: ");
    ig_plot_words_name(&text->desc, view->data->names[view->order[0].player]);
    ig_plot_words_put(&text->desc, ".");
}

static double widest_name(const struct ig_plot_view *view)
{
    char text[IG_PLOT_NUMBER_MAX];
    double widest =
        view->others ? ig_plot_text_width(ig_plot_others_name(view, text), IG_PLOT_SIZE) : 0;
    for (uint32_t i = 0; i < view->shown; i++) {
        uint32_t player = view->order[i].player;
        struct ig_str value =
            view->data->rows_count == 1 ? ig_plot_own_value(view, player, text) : IG_STR("");
        widest =
            fmax(widest, ig_plot_svg_pair_width(view->data->names[player], value, IG_PLOT_SIZE));
    }
    return widest;
}

enum ig_code ig_plot_draw_decision(struct ig_plot_view *view, struct ig_err *err)
{
    struct decision d = {.view = view, .steps = view->shown + (view->others > 0)};
    if (choose_rows(&d, err) != IG_OK) return err->code;
    d.left = ig_plot_gutter(view, fmax(widest_name(view), ig_plot_axes_room(view)), 0.36);
    d.right = view->options.width - IG_PLOT_EDGE;
    fit(&d);
    struct ig_plot_text text = {0};
    describe(&d, &text);
    ig_plot_heading(view, &text);
    d.top = view->top + (d.keys_count ? HEAD : 4);
    d.bottom = d.top + (double)d.steps * ROW;
    double axes = d.bottom + ig_plot_axes_height(view) + 4;
    double keys = d.keys_count ? (double)d.keys_count * KEY + 14 : 0;
    ig_plot_begin(view, axes + keys + 4, &text);
    ig_plot_axes(view, &d.scale, d.bottom, d.top, d.left - 12 - IG_PLOT_EDGE);
    for (uint32_t step = 0; step < d.steps; step++) draw_name(&d, step);
    draw_lines(&d);
    draw_keys(&d, axes + 20);
    ig_plot_svg_end(view->svg);
    return IG_OK;
}
