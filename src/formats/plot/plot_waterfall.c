/* SPDX-License-Identifier: Apache-2.0 */
/* Waterfall of one row: from the base value down to the margin, an arrow a feature, each beginning
 * where the one before ended; after the largest come all others as one. Sign is shown by the
 * arrow's direction, by the number and by colour. Owns nothing; stateless. */
#include "formats/plot/plot_priv.h"

#include <math.h>

enum { ROW = 27, BAR = 18, TIP = 6, GAP = 6, PASSES = 3 };

struct step {
    double from, to; /* running totals */
    struct ig_str name, value;
    char name_text[IG_PLOT_NUMBER_MAX], value_text[IG_PLOT_NUMBER_MAX], text[IG_PLOT_NUMBER_MAX];
    double wide; /* of the text */
};

struct waterfall {
    struct ig_plot_view *view;
    struct step *steps;
    size_t count;
    double base, end, margin;
    struct ig_plot_scale scale;
    double left, right; /* of the drawing, pixels */
    struct ig_plot_digits totals;
};

static void fill_step(struct waterfall *w, struct step *step, double *total, double phi)
{
    step->from = *total;
    *total += phi;
    step->to = *total;
    struct ig_plot_digits digits = ig_plot_digits_phi(w->view->order[0].size);
    struct ig_str text = ig_plot_number(step->text, phi, digits, true);
    step->wide = ig_plot_text_width(text, IG_PLOT_SIZE);
}

static void fill(struct waterfall *w)
{
    struct ig_plot_view *view = w->view;
    size_t row = view->options.row;
    double total = ig_plot_base(view, row);
    w->base = total;
    w->margin = ig_plot_margin(view, row);
    for (uint32_t i = 0; i < view->shown; i++) {
        struct step *step = &w->steps[i];
        uint32_t player = view->order[i].player;
        step->name = view->data->names[player];
        step->value = ig_plot_own_value(view, player, step->value_text);
        fill_step(w, step, &total, ig_plot_phi(view, row, player));
    }
    w->count = view->shown;
    if (view->others) {
        struct step *step = &w->steps[w->count++];
        step->name = ig_plot_others_name(view, step->name_text);
        fill_step(w, step, &total, ig_plot_others(view, row));
    }
    w->end = total;
}

static bool is_inside(const struct waterfall *w, const struct step *step)
{
    double length =
        fabs(ig_plot_scale_at(&w->scale, step->to) - ig_plot_scale_at(&w->scale, step->from));
    return length >= step->wide + TIP + GAP + 4;
}

/* Fits the scale between left and right so that texts beside arrow tips stay within. */
static void fit(struct waterfall *w)
{
    double low = fmin(w->base, w->margin), high = fmax(w->base, w->margin);
    for (size_t i = 0; i < w->count; i++) {
        low = fmin(low, w->steps[i].to);
        high = fmax(high, w->steps[i].to);
    }
    w->scale = ig_plot_scale_over(low, high);
    double most = (w->right - w->left) / 4, before = GAP, after = GAP;
    for (int pass = 0; pass < PASSES; pass++) {
        w->scale.from = w->left + before;
        w->scale.to = w->right - after;
        for (size_t i = 0; i < w->count; i++) {
            const struct step *step = &w->steps[i];
            if (is_inside(w, step)) continue;
            double tip = ig_plot_scale_at(&w->scale, step->to), wide = step->wide + GAP;
            if (step->to >= step->from)
                after = fmax(after, fmin(after + tip + wide - w->right, most));
            else
                before = fmax(before, fmin(before + w->left - (tip - wide), most));
        }
    }
    w->scale.from = w->left + before;
    w->scale.to = w->right - after;
}

static void draw_arrow(struct waterfall *w, const struct step *step, double y)
{
    struct ig_buf *svg = w->view->svg;
    double from = ig_plot_scale_at(&w->scale, step->from);
    double to = ig_plot_scale_at(&w->scale, step->to);
    double middle = y + BAR / 2.0, tip = fmin(TIP, fabs(to - from));
    double neck = to > from ? to - tip : to + tip;
    const char *class = step->to > step->from ? "up" : step->to < step->from ? "dn" : "n";
    ig_plot_svg_path(svg, class);
    ig_plot_svg_point(svg, 'M', from, y);
    ig_plot_svg_point(svg, 'L', neck, y);
    ig_plot_svg_point(svg, 'L', to, middle);
    ig_plot_svg_point(svg, 'L', neck, y + BAR);
    ig_plot_svg_point(svg, 'L', from, y + BAR);
    ig_plot_svg_done(svg, true);
    ig_plot_svg_tip(svg);
    ig_plot_text_add(svg, step->name);
    if (step->value.len) ig_buf_add_cstr(svg, " = ");
    ig_plot_text_add(svg, step->value);
    ig_buf_add_cstr(svg, ": ");
    ig_buf_add_cstr(svg, step->text);
    ig_buf_add_cstr(svg, ", to ");
    char text[IG_PLOT_NUMBER_MAX];
    ig_buf_add_str(svg, ig_plot_number(text, step->to, w->totals, false));
    ig_plot_svg_tip_end(svg, "path");
}

static void draw_number(struct waterfall *w, const struct step *step, double y)
{
    double from = ig_plot_scale_at(&w->scale, step->from);
    double to = ig_plot_scale_at(&w->scale, step->to);
    bool up = step->to >= step->from;
    const char *sign = up ? (step->to > step->from ? "up" : "s") : "dn e";
    struct ig_plot_label label = {sign, up ? to + GAP : to - GAP, y, IG_PLOT_SIZE, 0};
    if (is_inside(w, step)) {
        label.class = "o m";
        label.x = (from + to) / 2 + (up ? -TIP / 2.0 : TIP / 2.0);
    } else if (up && label.x + step->wide > w->right) {
        label.class = "up e";
        label.x = from - GAP;
    } else if (!up && label.x - step->wide < w->left) {
        label.class = "dn";
        label.x = from + GAP;
    }
    ig_plot_svg_label(w->view->svg, &label, ig_str_view(step->text));
}

static void draw_step(struct waterfall *w, const struct step *step, double y)
{
    struct ig_plot_label label = {"e", w->left - 12, y + ROW / 2.0 + 4, IG_PLOT_SIZE,
                                  w->left - 12 - IG_PLOT_EDGE};
    ig_plot_svg_pair(w->view->svg, &label, step->name, step->value);
    double at = ig_plot_scale_at(&w->scale, step->to), bar = y + (ROW - BAR) / 2.0;
    double first = fmin(ig_plot_scale_at(&w->scale, step->from), at) - GAP;
    if (step->to < step->from && !is_inside(w, step)) first -= step->wide + GAP;
    if (first > w->left)
        ig_plot_svg_line(w->view->svg, "g", (double[]){w->left - GAP, y + ROW / 2.0},
                         (double[]){first, y + ROW / 2.0});
    draw_arrow(w, step, bar);
    ig_plot_svg_line(w->view->svg, "a", (double[]){at, bar + BAR}, (double[]){at, bar + ROW});
    draw_number(w, step, y + ROW / 2.0 + 4);
}

/* A row for a total: its name, a stroke at its place, its number beside. */
static void draw_total(struct waterfall *w, const char *name, double total, double y)
{
    struct ig_buf *svg = w->view->svg;
    char text[IG_PLOT_NUMBER_MAX];
    struct ig_str number = ig_plot_number(text, total, w->totals, false);
    double at = ig_plot_scale_at(&w->scale, total), middle = y + ROW / 2.0;
    bool left = at + GAP + ig_plot_text_width(number, IG_PLOT_SIZE) * 1.1 > w->right;
    ig_plot_svg_label(svg,
                      &(struct ig_plot_label){"w e", w->left - 12, middle + 4, IG_PLOT_SIZE * 1.06,
                                              w->left - 12 - IG_PLOT_EDGE},
                      ig_str_view(name));
    ig_plot_svg_rect(svg, "n", (struct ig_plot_box){at - 0.5, middle - BAR / 2.0, 1, BAR});
    ig_plot_svg_close(svg);
    ig_plot_svg_label(svg,
                      &(struct ig_plot_label){left ? "w e" : "w", left ? at - GAP : at + GAP,
                                              middle + 4, IG_PLOT_SIZE, 0},
                      number);
}

static void draw(struct waterfall *w)
{
    struct ig_plot_view *view = w->view;
    struct ig_plot_text text = {0};
    ig_plot_put_output(view, &text.heading, "Contributions");
    ig_plot_put_totals(view, view->options.row, &text.sub);
    ig_plot_words_put(&text.desc, "Waterfall: ");
    ig_plot_words_add(&text.desc, ig_plot_words_view(&text.sub));
    ig_plot_words_put(&text.desc, ". ");
    ig_plot_put_largest(view, view->options.row, &text.desc);
    ig_plot_heading(view, &text);
    double rows = (double)(w->count + 2) * ROW, bottom = view->top + rows + 6;
    ig_plot_begin(view, bottom + ig_plot_axes_height(view) + 8, &text);
    ig_plot_axes(view, &w->scale, bottom, view->top, w->left - 12 - IG_PLOT_EDGE);
    double base = ig_plot_scale_at(&w->scale, w->base);
    ig_plot_svg_line(view->svg, "d", (double[]){base, view->top + 4}, (double[]){base, bottom});
    draw_total(w, "base value E[f(x)]", w->base, view->top);
    for (size_t i = 0; i < w->count; i++)
        draw_step(w, &w->steps[i], view->top + (double)(i + 1) * ROW);
    draw_total(w, "f(x)", w->margin, view->top + rows - ROW);
    ig_plot_svg_end(view->svg);
}

enum ig_code ig_plot_draw_waterfall(struct ig_plot_view *view, struct ig_err *err)
{
    struct waterfall w = {.view = view};
    w.steps = ig_plot_take(view, (size_t)view->shown + 1, sizeof *w.steps, err);
    if (!w.steps) return err->code;
    fill(&w);
    double widest = ig_plot_text_width(IG_STR("base value E[f(x)]"), IG_PLOT_SIZE * 1.06);
    widest = fmax(widest, ig_plot_axes_room(view));
    for (size_t i = 0; i < w.count; i++)
        widest =
            fmax(widest, ig_plot_svg_pair_width(w.steps[i].name, w.steps[i].value, IG_PLOT_SIZE));
    w.left = ig_plot_gutter(view, widest, 0.42);
    w.right = view->options.width - IG_PLOT_EDGE;
    w.totals =
        ig_plot_digits_total(w.base, w.margin, fmax(fabs(w.margin - w.base), view->order[0].size));
    fit(&w);
    draw(&w);
    return IG_OK;
}
