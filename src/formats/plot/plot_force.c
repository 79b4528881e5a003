/* SPDX-License-Identifier: Apache-2.0 */
/* Forces of one row: on the margin's axis, what raises it is stacked left of f(x) and points right,
 * what lowers it is stacked right of f(x) and points left; the largest touch f(x). Below, both
 * sides are listed by number, so that names never collide. Owns nothing; stateless. */
#include "formats/plot/plot_priv.h"

#include <math.h>

enum { BAND = 36, TIP = 7, LINE = 20, MARKS = 40, GAP = 6, SIDES = 2 };

struct push {
    double size; /* >= 0 */
    struct ig_str name, value;
    char name_text[IG_PLOT_NUMBER_MAX], value_text[IG_PLOT_NUMBER_MAX], text[IG_PLOT_NUMBER_MAX];
};

struct side {
    struct push *pushes; /* by falling size, the others last */
    size_t count;
    double total;
};

struct force {
    struct ig_plot_view *view;
    struct side sides[SIDES]; /* raise, lower */
    double base, margin;
    struct ig_plot_scale scale;
    struct ig_plot_digits phis, totals;
    double room; /* of the axes' titles */
};

static void add_push(struct force *f, struct push push, double phi)
{
    struct side *side = &f->sides[phi < 0];
    struct push *kept = &side->pushes[side->count++];
    *kept = push;
    kept->size = fabs(phi);
    side->total += kept->size;
    (void)ig_plot_number(kept->text, phi, f->phis, true);
}

/* The others of each side by themselves: what raises does not hide what lowers. */
static void add_others(struct force *f)
{
    const struct ig_plot_view *view = f->view;
    double sums[SIDES] = {0};
    uint32_t counts[SIDES] = {0};
    for (uint32_t i = view->shown; i < view->data->players_count; i++) {
        double phi = ig_plot_phi(view, view->options.row, view->order[i].player);
        if (phi == 0) continue;
        sums[phi < 0] += phi;
        counts[phi < 0]++;
    }
    for (int k = 0; k < SIDES; k++) {
        if (!counts[k]) continue;
        struct ig_plot_words words = {0};
        ig_plot_words_count(&words, counts[k], "other feature");
        add_push(f, (struct push){0}, sums[k]);
        struct push *push = &f->sides[k].pushes[f->sides[k].count - 1];
        push->name = ig_plot_text_head(ig_plot_words_view(&words), IG_PLOT_NUMBER_MAX - 1);
        for (size_t i = 0; i < push->name.len; i++) push->name_text[i] = push->name.ptr[i];
        push->name.ptr = push->name_text;
    }
}

static void fill(struct force *f)
{
    const struct ig_plot_view *view = f->view;
    size_t row = view->options.row;
    f->base = ig_plot_base(view, row);
    f->margin = ig_plot_margin(view, row);
    f->phis = ig_plot_digits_phi(view->order[0].size);
    for (uint32_t i = 0; i < view->shown; i++) {
        uint32_t player = view->order[i].player;
        double phi = ig_plot_phi(view, row, player);
        if (phi == 0) continue;
        struct push push = {.name = view->data->names[player]};
        push.value = ig_plot_own_value(view, player, push.value_text);
        add_push(f, push, phi);
        struct side *side = &f->sides[phi < 0];
        /* The text moved with the struct. */
        if (push.value.ptr == push.value_text)
            side->pushes[side->count - 1].value.ptr = side->pushes[side->count - 1].value_text;
    }
    add_others(f);
}

static void fit(struct force *f)
{
    double low = fmin(f->base, f->margin - f->sides[0].total);
    double high = fmax(f->base, f->margin + f->sides[1].total);
    f->scale = ig_plot_scale_over(low, high);
    f->room = fmin(ig_plot_axes_room(f->view), f->view->options.width / 5.0);
    f->scale.from = IG_PLOT_EDGE + f->room + 10 + TIP;
    f->scale.to = f->view->options.width - IG_PLOT_EDGE - TIP;
    f->totals = ig_plot_digits_total(f->base, f->margin,
                                     fmax(fabs(f->margin - f->base), f->view->order[0].size));
}

/* What fits into a segment: name and number, name, its place in the list, nothing. */
static void draw_inside(const struct force *f, const struct push *push, size_t place,
                        const double range[2], double y)
{
    char text[IG_PLOT_NUMBER_MAX];
    double room = fabs(range[1] - range[0]) - TIP - 8;
    double wide = ig_plot_text_width(push->name, IG_PLOT_SIZE);
    struct ig_plot_label label = {"o m", (range[0] + range[1]) / 2, y, IG_PLOT_SIZE, 0};
    if (wide <= room && room > 0) {
        label.y = y - 3;
        ig_plot_svg_label(f->view->svg, &label, push->name);
        label.y = y + 11;
        if (ig_plot_text_width(ig_str_view(push->text), IG_PLOT_SIZE) <= room)
            ig_plot_svg_label(f->view->svg, &label, ig_str_view(push->text));
        return;
    }
    struct ig_str number = ig_plot_number(text, (double)place, (struct ig_plot_digits){0}, false);
    label.y = y + 4;
    if (ig_plot_text_width(number, IG_PLOT_SIZE) <= room + 6)
        ig_plot_svg_label(f->view->svg, &label, number);
}

static void draw_tooltip(const struct force *f, const struct push *push)
{
    struct ig_buf *svg = f->view->svg;
    ig_plot_svg_tip(svg);
    ig_plot_text_add(svg, push->name);
    if (push->value.len) ig_buf_add_cstr(svg, " = ");
    ig_plot_text_add(svg, push->value);
    ig_buf_add_cstr(svg, ": ");
    ig_buf_add_cstr(svg, push->text);
    ig_plot_svg_tip_end(svg, "path");
}

/* Away from f(x); edges between segments are arrow tips that all point the same way. The outermost
 * edge is straight. */
static void draw_side(const struct force *f, int number, double y)
{
    const struct side *side = &f->sides[number];
    double away = number ? 1 : -1, total = f->margin;
    for (size_t i = 0; i < side->count; i++) {
        const struct push *push = &side->pushes[i];
        double range[2] = {ig_plot_scale_at(&f->scale, total), 0};
        total += away * push->size;
        range[1] = ig_plot_scale_at(&f->scale, total);
        double near = range[0] + away * TIP, far = range[1] + away * TIP, notch = range[1];
        if (i + 1 == side->count) far = notch = away > 0 ? fmax(notch, near) : fmin(notch, near);
        struct ig_buf *svg = f->view->svg;
        ig_plot_svg_path(svg, number ? "dn i" : "up i");
        ig_plot_svg_point(svg, 'M', near, y);
        ig_plot_svg_point(svg, 'L', range[0], y + BAND / 2.0);
        ig_plot_svg_point(svg, 'L', near, y + BAND);
        ig_plot_svg_point(svg, 'L', far, y + BAND);
        ig_plot_svg_point(svg, 'L', notch, y + BAND / 2.0);
        ig_plot_svg_point(svg, 'L', far, y);
        ig_plot_svg_done(svg, true);
        draw_tooltip(f, push);
        draw_inside(f, push, i + 1, range, y + BAND / 2.0);
    }
}

/* A total above the band, with a line to the axis that leaves the band free; texts are kept within
 * the picture. */
static void draw_mark(const struct force *f, const char *class, const char *name, double total,
                      double y)
{
    struct ig_buf *svg = f->view->svg;
    struct ig_plot_words words = {0};
    ig_plot_words_put(&words, name);
    ig_plot_words_number(&words, total, f->totals, false);
    double at = ig_plot_scale_at(&f->scale, total), band = f->view->top + MARKS;
    double half = ig_plot_text_width(ig_plot_words_view(&words), IG_PLOT_SIZE * 1.06) / 2;
    double x = fmin(fmax(at, IG_PLOT_EDGE + half), f->view->options.width - IG_PLOT_EDGE - half);
    ig_plot_svg_label(svg, &(struct ig_plot_label){class, x, y, IG_PLOT_SIZE, 0},
                      ig_plot_words_view(&words));
    /* Below the other's text. */
    double other = ig_plot_scale_at(&f->scale, f->margin);
    double top = fabs(other - at) < 60 ? f->view->top + 35 : y + 4;
    ig_plot_svg_line(svg, "d", (double[]){at, top}, (double[]){at, band});
    ig_plot_svg_line(svg, "d", (double[]){at, band + BAND}, (double[]){at, band + BAND + GAP});
}

static void draw_list(const struct force *f, int number, double y)
{
    const struct side *side = &f->sides[number];
    struct ig_buf *svg = f->view->svg;
    double width = f->view->options.width, left = IG_PLOT_EDGE, right = width - IG_PLOT_EDGE;
    if (width >= IG_PLOT_NARROW && number) left = width / 2 + 12;
    if (width >= IG_PLOT_NARROW && !number) right = width / 2 - 12;
    struct ig_plot_words words = {0};
    ig_plot_words_put(&words, number ? "\u25c0 lower f(x): " : "\u25b6 raise f(x): ");
    ig_plot_words_number(&words, number ? -side->total : side->total, f->phis, true);
    ig_plot_svg_label(svg,
                      &(struct ig_plot_label){number ? "w dn" : "w up", left, y, IG_PLOT_SIZE, 0},
                      ig_plot_words_view(&words));
    for (size_t i = 0; i < side->count; i++) {
        const struct push *push = &side->pushes[i];
        char text[IG_PLOT_NUMBER_MAX];
        struct ig_str place =
            ig_plot_number(text, (double)(i + 1), (struct ig_plot_digits){0}, false);
        double wide = ig_plot_text_width(ig_str_view(push->text), IG_PLOT_SIZE);
        y += LINE;
        ig_plot_svg_label(svg, &(struct ig_plot_label){"s e", left + 16, y, IG_PLOT_SIZE, 0},
                          place);
        struct ig_plot_label label = {NULL, left + 24, y, IG_PLOT_SIZE, right - wide - left - 36};
        ig_plot_svg_pair(svg, &label, push->name, push->value);
        label = (struct ig_plot_label){number ? "dn e" : "up e", right, y, IG_PLOT_SIZE, 0};
        ig_plot_svg_label(svg, &label, ig_str_view(push->text));
    }
}

static void draw(const struct force *f)
{
    struct ig_plot_view *view = f->view;
    struct ig_plot_text text = {0};
    ig_plot_put_output(view, &text.heading, "Forces on the prediction: contributions");
    ig_plot_put_totals(view, view->options.row, &text.sub);
    ig_plot_words_put(&text.desc, "Force plot: ");
    ig_plot_words_add(&text.desc, ig_plot_words_view(&text.sub));
    ig_plot_words_put(&text.desc, ". What raises f(x) adds up to ");
    ig_plot_words_number(&text.desc, f->sides[0].total, f->phis, true);
    ig_plot_words_put(&text.desc, ", what lowers it to ");
    ig_plot_words_number(&text.desc, -f->sides[1].total, f->phis, true);
    ig_plot_words_put(&text.desc, ". ");
    ig_plot_put_largest(view, view->options.row, &text.desc);
    ig_plot_heading(view, &text);
    double band = view->top + MARKS, axis = band + BAND + GAP;
    double list = axis + ig_plot_axes_height(view) + 26;
    double first = ((double)f->sides[0].count + 1) * LINE;
    double second = ((double)f->sides[1].count + 1) * LINE;
    bool is_narrow = view->options.width < IG_PLOT_NARROW;
    double lists = is_narrow ? first + second + GAP : fmax(first, second);
    ig_plot_begin(view, list + lists - LINE + 16, &text);
    ig_plot_axes(view, &f->scale, axis, axis - 4, f->room);
    if (!f->sides[0].count && !f->sides[1].count)
        ig_plot_svg_label(view->svg,
                          &(struct ig_plot_label){"s m", view->options.width / 2.0,
                                                  band + BAND / 2.0 + 4, IG_PLOT_SIZE, 0},
                          IG_STR("no feature contributes"));
    draw_side(f, 0, band);
    draw_side(f, 1, band);
    draw_mark(f, "s m", "base value ", f->base, view->top + 14);
    draw_mark(f, "w m", "f(x) = ", f->margin, view->top + 31);
    draw_list(f, 0, list);
    draw_list(f, 1, is_narrow ? list + first + GAP : list);
    ig_plot_svg_end(view->svg);
}

enum ig_code ig_plot_draw_force(struct ig_plot_view *view, struct ig_err *err)
{
    struct force f = {.view = view};
    for (int k = 0; k < SIDES; k++) {
        f.sides[k].pushes =
            ig_plot_take(view, (size_t)view->shown + 1, sizeof *f.sides[k].pushes, err);
        if (!f.sides[k].pushes) return err->code;
    }
    fill(&f);
    fit(&f);
    draw(&f);
    return IG_OK;
}
