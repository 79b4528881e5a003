/* SPDX-License-Identifier: Apache-2.0 */
/* Bars: of one row its signed contributions; of several the mean size of each feature's, which is
 * what ranks features, one bar a cohort. Cohorts are told apart by the name at the bar's end as
 * well as by colour. Owns nothing; stateless. */
#include "formats/plot/plot_priv.h"

#include <math.h>

enum { ROW = 27, BAR = 18, THIN = 12, THIN_STEP = 15, GAP = 6, BLOCK_GAP = 10 };

struct bars {
    struct ig_plot_view *view;
    double *sizes; /* bars (shown, then the others) x cohorts */
    size_t *rows;  /* by cohort */
    uint32_t count, cohorts;
    bool is_signed, are_cohorts;
    struct ig_plot_scale scale;
    double left, right, block; /* block: height of a feature */
    struct ig_plot_digits digits;
};

static void fill(struct bars *b)
{
    const struct ig_plot_view *view = b->view;
    const struct ig_plot_data *data = view->data;
    for (size_t row = 0; row < data->rows_count; row++) {
        uint32_t cohort = b->are_cohorts ? data->cohort_of_row[row] : 0;
        b->rows[cohort]++;
        for (uint32_t i = 0; i < data->players_count; i++) {
            double phi = ig_plot_phi(view, row, view->order[i].player);
            size_t bar = i < view->shown ? i : view->shown;
            b->sizes[bar * b->cohorts + cohort] += b->is_signed ? phi : fabs(phi);
        }
    }
    for (size_t i = 0; i < (size_t)b->count * b->cohorts; i++)
        if (b->rows[i % b->cohorts]) b->sizes[i] /= (double)b->rows[i % b->cohorts];
}

/* Text at the end of a bar: the number, with cohorts their name too. */
static struct ig_str bar_text(const struct bars *b, uint32_t cohort, double size,
                              struct ig_plot_words *words)
{
    words->len = 0;
    ig_plot_words_number(words, size, b->digits, b->is_signed);
    if (b->are_cohorts) {
        ig_plot_words_put(words, " ");
        struct ig_str name = b->view->data->cohort_names[cohort];
        struct ig_str head = ig_plot_text_head(name, 18);
        ig_plot_words_add(words, head);
        if (head.len < name.len) ig_plot_words_put(words, "\u2026");
    }
    return ig_plot_words_view(words);
}

static void fit(struct bars *b)
{
    double low = 0, high = 0, before = GAP, after = GAP;
    size_t count = (size_t)b->count * b->cohorts;
    for (size_t i = 0; i < count; i++) {
        low = fmin(low, b->sizes[i]);
        high = fmax(high, b->sizes[i]);
    }
    b->digits = ig_plot_digits_phi(fmax(-low, high));
    b->scale = high > low ? ig_plot_scale_over(low, high)
                          : (struct ig_plot_scale){.low = b->is_signed ? -1 : 0, .high = 1};
    for (int pass = 0; pass < 3; pass++) {
        b->scale.from = b->left + before;
        b->scale.to = b->right - after;
        for (size_t i = 0; i < count; i++) {
            struct ig_plot_words words;
            double size = b->sizes[i], end = ig_plot_scale_at(&b->scale, size);
            struct ig_str text = bar_text(b, (uint32_t)(i % b->cohorts), size, &words);
            double wide = ig_plot_text_width(text, IG_PLOT_SIZE) + GAP;
            if (size >= 0)
                after = fmax(after, after + end + wide - b->right);
            else
                before = fmax(before, before + b->left - end + wide);
        }
    }
}

static void draw_bar(const struct bars *b, uint32_t bar, uint32_t cohort, const double ys[2])
{
    struct ig_buf *svg = b->view->svg;
    double size = b->sizes[(size_t)bar * b->cohorts + cohort];
    double zero = ig_plot_scale_at(&b->scale, 0), end = ig_plot_scale_at(&b->scale, size);
    char class[] = "c0 r";
    class[1] = (char)('0' + cohort);
    const char *paint = b->are_cohorts ? class : !b->is_signed ? "n r" : size < 0 ? "dn r" : "up r";
    struct ig_plot_words words;
    struct ig_str text = bar_text(b, cohort, size, &words);
    ig_plot_svg_rect(svg, paint,
                     (struct ig_plot_box){fmin(zero, end), ys[0], fabs(end - zero), ys[1]});
    ig_plot_svg_tip(svg);
    if (bar < b->view->shown)
        ig_plot_text_add(svg, b->view->data->names[b->view->order[bar].player]);
    else
        ig_buf_add_cstr(svg, "other features");
    ig_buf_add_cstr(svg, ": ");
    ig_plot_text_add(svg, text);
    ig_plot_svg_tip_end(svg, "rect");
    const char *sign = !b->is_signed || size == 0 ? "s" : size < 0 ? "dn e" : "up";
    ig_plot_svg_label(svg,
                      &(struct ig_plot_label){sign, size < 0 ? end - GAP : end + GAP,
                                              ys[0] + ys[1] / 2 + 4, IG_PLOT_SIZE, 0},
                      text);
}

static void draw_block(const struct bars *b, uint32_t bar, double y)
{
    const struct ig_plot_view *view = b->view;
    char text[IG_PLOT_NUMBER_MAX];
    struct ig_plot_label label = {"e", b->left - 12, y + b->block / 2 + 4, IG_PLOT_SIZE,
                                  b->left - 12 - IG_PLOT_EDGE};
    if (bar == view->shown) {
        label.class = "e s";
        ig_plot_svg_label(view->svg, &label, ig_plot_others_name(view, text));
    } else {
        uint32_t player = view->order[bar].player;
        ig_plot_svg_pair(view->svg, &label, view->data->names[player],
                         b->is_signed ? ig_plot_own_value(view, player, text) : IG_STR(""));
    }
    double step = b->are_cohorts ? THIN_STEP : BAR, high = b->are_cohorts ? THIN : BAR;
    double first = y + (b->block - step * b->cohorts) / 2;
    for (uint32_t cohort = 0; cohort < b->cohorts; cohort++)
        draw_bar(b, bar, cohort, (double[]){first + step * cohort, high});
}

static void describe(const struct bars *b, struct ig_plot_text *text)
{
    const struct ig_plot_view *view = b->view;
    if (b->is_signed) {
        ig_plot_put_output(view, &text->heading, "Contributions");
        ig_plot_put_totals(view, view->options.row, &text->sub);
        ig_plot_words_put(&text->desc, "Bar plot of contributions: ");
        ig_plot_words_add(&text->desc, ig_plot_words_view(&text->sub));
        ig_plot_words_put(&text->desc, ". ");
        ig_plot_put_largest(view, view->options.row, &text->desc);
        return;
    }
    ig_plot_put_output(view, &text->heading, "Mean size of contributions");
    ig_plot_words_put(&text->sub, "mean |contribution|");
    if (view->data->unit.len) ig_plot_words_put(&text->sub, ",");
    ig_plot_put_unit(view, &text->sub);
    ig_plot_words_put(&text->sub, " \u00b7 ");
    ig_plot_words_count(&text->sub, view->data->rows_count, "row");
    for (uint32_t i = 0; b->are_cohorts && i < b->cohorts; i++) {
        ig_plot_words_put(&text->sub, i ? ", " : ": ");
        ig_plot_words_name(&text->sub, view->data->cohort_names[i]);
        ig_plot_words_put(&text->sub, " ");
        ig_plot_words_number(&text->sub, (double)b->rows[i], IG_PLOT_COUNT, false);
    }
    ig_plot_words_put(&text->desc, "Bar plot of feature importance: ");
    ig_plot_words_add(&text->desc, ig_plot_words_view(&text->sub));
    ig_plot_words_put(&text->desc, ". Most important: ");
    for (uint32_t i = 0; i < view->shown && i < 3; i++) {
        if (i) ig_plot_words_put(&text->desc, ", ");
        ig_plot_words_name(&text->desc, view->data->names[view->order[i].player]);
        ig_plot_words_put(&text->desc, " ");
        ig_plot_words_number(&text->desc, view->order[i].size, b->digits, false);
    }
    ig_plot_words_put(&text->desc, ".");
}

static double widest_name(const struct bars *b)
{
    const struct ig_plot_view *view = b->view;
    char text[IG_PLOT_NUMBER_MAX];
    double widest =
        view->others ? ig_plot_text_width(ig_plot_others_name(view, text), IG_PLOT_SIZE) : 0;
    for (uint32_t i = 0; i < view->shown; i++) {
        uint32_t player = view->order[i].player;
        struct ig_str value = b->is_signed ? ig_plot_own_value(view, player, text) : IG_STR("");
        widest =
            fmax(widest, ig_plot_svg_pair_width(view->data->names[player], value, IG_PLOT_SIZE));
    }
    return widest;
}

enum ig_code ig_plot_draw_bar(struct ig_plot_view *view, struct ig_err *err)
{
    const struct ig_plot_data *data = view->data;
    struct bars b = {.view = view, .count = view->shown + (view->others > 0), .cohorts = 1};
    b.is_signed = data->rows_count == 1;
    b.are_cohorts = !b.is_signed && data->cohort_of_row;
    if (b.are_cohorts) b.cohorts = data->cohorts_count;
    b.rows = ig_plot_take(view, b.cohorts, sizeof *b.rows, err);
    b.sizes = b.rows ? ig_plot_take(view, (size_t)b.count * b.cohorts, sizeof(double), err) : NULL;
    if (!b.sizes) return err->code;
    b.block = b.are_cohorts ? THIN_STEP * b.cohorts + BLOCK_GAP : ROW;
    b.left = ig_plot_gutter(view, widest_name(&b), 0.42);
    b.right = view->options.width - IG_PLOT_EDGE;
    fill(&b);
    fit(&b);
    struct ig_plot_text text = {0};
    describe(&b, &text);
    ig_plot_heading(view, &text);
    double bottom = view->top + b.block * b.count + 4;
    ig_plot_begin(view, bottom + IG_PLOT_AXIS + 4, &text);
    ig_plot_axis_phi(view, &b.scale, bottom, view->top);
    for (uint32_t i = 0; i < b.count; i++) draw_block(&b, i, view->top + b.block * i);
    ig_plot_svg_end(view->svg);
    return IG_OK;
}
