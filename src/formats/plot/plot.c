/* SPDX-License-Identifier: Apache-2.0 */
/* The face of the plots: checks the data once, ranks the players, and lets the plot draw. Owns
 * nothing; scratch memory is the caller's arena. */
#include "formats/plot/plot_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 760, TOP = 10, CHOSEN_MAX = 10 };
/* Sums over any number of rows stay finite below it. */
static const double SIZE_MAX_DRAWN = 1e290;

static const struct plot {
    struct ig_plot_info info;
    enum ig_code (*draw)(struct ig_plot_view *view, struct ig_err *err);
} PLOTS[IG_PLOT_KINDS_COUNT] = {
#define IG_PLOT(id, name, rows, doc)                                                               \
    [IG_PLOT_##id] = {{#name, IG_PLOT_ROWS_##rows, doc}, ig_plot_draw_##name},
#include "formats/plot/plots.def"
#undef IG_PLOT
};

const struct ig_plot_info *ig_plot_at(enum ig_plot_kind kind)
{
    return &PLOTS[kind].info;
}

bool ig_plot_parse(struct ig_str name, enum ig_plot_kind *out)
{
    for (unsigned i = 0; i < IG_PLOT_KINDS_COUNT; i++) {
        if (!ig_str_is(name, PLOTS[i].info.name)) continue;
        *out = (enum ig_plot_kind)i;
        return true;
    }
    return false;
}

void ig_plot_list(struct ig_buf *text)
{
    for (unsigned i = 0; i < IG_PLOT_KINDS_COUNT; i++) {
        if (i) ig_buf_add_cstr(text, ", ");
        ig_buf_add_cstr(text, PLOTS[i].info.name);
    }
}

static bool is_player(const struct ig_plot_data *data, uint32_t player)
{
    return player < data->players_count || player == IG_PLOT_AUTO;
}

static enum ig_code check_options(const struct ig_plot_options *options,
                                  const struct ig_plot_data *data, struct ig_err *err)
{
    if (options->width < IG_PLOT_WIDTH_MIN || options->width > IG_PLOT_WIDTH_MAX)
        return ig_fail(err, IG_INVALID, "width: %u, %d to %d pixels are expected", options->width,
                       IG_PLOT_WIDTH_MIN, IG_PLOT_WIDTH_MAX);
    if (options->top > IG_PLOT_TOP_MAX)
        return ig_fail(err, IG_INVALID, "top: %u, at most %d is expected", options->top,
                       IG_PLOT_TOP_MAX);
    if (options->row >= data->rows_count)
        return ig_fail(err, IG_INVALID, "row: %zu, but there are %zu rows", options->row,
                       data->rows_count);
    if (!is_player(data, options->feature))
        return ig_fail(err, IG_INVALID, "feature: %u, but there are %u", options->feature,
                       data->players_count);
    if (!is_player(data, options->colour_by) && options->colour_by != IG_PLOT_NONE)
        return ig_fail(err, IG_INVALID, "colour_by: %u, but there are %u features",
                       options->colour_by, data->players_count);
    if (options->highlight_count > CHOSEN_MAX)
        return ig_fail(err, IG_INVALID, "highlight: %zu rows, at most %d are expected",
                       options->highlight_count, CHOSEN_MAX);
    if (options->outliers > CHOSEN_MAX)
        return ig_fail(err, IG_INVALID, "outliers: %u, at most %d is expected", options->outliers,
                       CHOSEN_MAX);
    for (size_t i = 0; i < options->highlight_count; i++)
        if (options->highlight[i] >= data->rows_count)
            return ig_fail(err, IG_INVALID, "highlight: row %zu, but there are %zu rows",
                           options->highlight[i], data->rows_count);
    return IG_OK;
}

static enum ig_code check_row(const struct ig_plot_view *view, size_t row, struct ig_err *err)
{
    const struct ig_plot_data *data = view->data;
    double sum = data->margins ? fabs(data->margins[row]) : 0;
    for (uint32_t i = 0; i <= data->players_count; i++) {
        double phi = ig_plot_phi(view, row, i);
        sum += fabs(phi);
        if (isfinite(phi)) continue;
        if (i == data->players_count)
            return ig_fail(err, IG_INVALID, "row %zu: base value %g, a finite number is expected",
                           row + 1, phi);
        struct ig_str name = ig_plot_text_head(data->names[i], 80);
        return ig_fail(err, IG_INVALID,
                       "row %zu: contribution of '%.*s' is %g, a finite number is expected",
                       row + 1, IG_STR_ARGS(name), phi);
    }
    if (!(sum < SIZE_MAX_DRAWN))
        return ig_fail(err, IG_INVALID, "row %zu: margin and contributions are too large to draw",
                       row + 1);
    return IG_OK;
}

static enum ig_code check_data(const struct ig_plot_view *view, struct ig_err *err)
{
    const struct ig_plot_data *data = view->data;
    for (size_t row = 0; row < data->rows_count; row++)
        if (check_row(view, row, err) != IG_OK) return err->code;
    if (!data->cohort_of_row) return IG_OK;
    if (!data->cohorts_count || data->cohorts_count > IG_PLOT_COHORTS_MAX)
        return ig_fail(err, IG_INVALID, "cohorts: %u, 1 to %d are expected", data->cohorts_count,
                       IG_PLOT_COHORTS_MAX);
    for (size_t row = 0; row < data->rows_count; row++)
        if (data->cohort_of_row[row] >= data->cohorts_count)
            return ig_fail(err, IG_INVALID, "row %zu: cohort %u, but there are %u", row + 1,
                           data->cohort_of_row[row], data->cohorts_count);
    return IG_OK;
}

static int compare_ranks(const void *a, const void *b)
{
    const struct ig_plot_rank *x = a, *y = b;
    if (x->size != y->size) return x->size > y->size ? -1 : 1;
    return x->player < y->player ? -1 : x->player > y->player;
}

static enum ig_code rank(struct ig_plot_view *view, bool one_row, struct ig_err *err)
{
    const struct ig_plot_data *data = view->data;
    size_t first = one_row ? view->options.row : 0;
    size_t end = one_row ? first + 1 : data->rows_count;
    view->order = ig_plot_take(view, data->players_count, sizeof *view->order, err);
    if (!view->order) return err->code;
    for (uint32_t i = 0; i < data->players_count; i++) view->order[i].player = i;
    for (size_t row = first; row < end; row++)
        for (uint32_t i = 0; i < data->players_count; i++)
            view->order[i].size += fabs(ig_plot_phi(view, row, i));
    for (uint32_t i = 0; i < data->players_count; i++) view->order[i].size /= (double)(end - first);
    qsort(view->order, data->players_count, sizeof *view->order, compare_ranks);
    view->shown = view->options.top < data->players_count ? view->options.top : data->players_count;
    if (data->players_count - view->shown == 1) view->shown++;
    view->others = data->players_count - view->shown;
    return IG_OK;
}

static enum ig_code prepare(struct ig_plot_view *view, enum ig_plot_kind kind, struct ig_err *err)
{
    const struct ig_plot_data *data = view->data;
    if (!data->rows_count) return ig_fail(err, IG_INVALID, "there are no rows to draw");
    if (!data->players_count) return ig_fail(err, IG_INVALID, "there are no features to draw");
    if (!view->options.width) view->options.width = WIDTH;
    if (!view->options.top) view->options.top = TOP;
    view->contributions_stride =
        data->contributions_stride ? data->contributions_stride : (size_t)data->players_count + 1;
    view->values_stride = data->values_stride ? data->values_stride : data->players_count;
    if (check_options(&view->options, data, err) != IG_OK) return err->code;
    if (check_data(view, err) != IG_OK) return err->code;
    enum ig_plot_rows rows = PLOTS[kind].info.rows;
    return rank(view, rows == IG_PLOT_ROWS_ONE, err);
}

enum ig_code ig_plot_write(struct ig_buf *svg, enum ig_plot_kind kind,
                           const struct ig_plot_data *data, const struct ig_plot_options *options,
                           struct ig_arena *arena, struct ig_err *err)
{
    struct ig_plot_view view = {.data = data, .arena = arena, .svg = svg};
    view.options = options ? *options : IG_PLOT_OPTIONS_INIT;
    size_t start = svg->len;
    if (svg->overflowed) return ig_fail(err, IG_TOO_LARGE, "the buffer for the picture is full");
    if (prepare(&view, kind, err) != IG_OK) return err->code;
    enum ig_code code = PLOTS[kind].draw(&view, err);
    if (code == IG_OK && svg->overflowed)
        code = ig_fail(err, IG_TOO_LARGE, "the picture needs more than %zu bytes", svg->max_bytes);
    if (code == IG_OK) return IG_OK;
    svg->len = start;
    svg->overflowed = false;
    if (svg->ptr) svg->ptr[start] = 0;
    return code;
}
