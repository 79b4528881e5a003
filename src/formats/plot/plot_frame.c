/* SPDX-License-Identifier: Apache-2.0 */
/* What pictures have in common: heading, description, axes, legend, and the words for values,
 * players and rows. Owns nothing; stateless. */
#include "formats/plot/plot_priv.h"

#include <math.h>
#include <string.h>

/* Contributions that miss the margin by more than this share are said to. */
static const double ADDITIVITY = 1e-3;
enum { SUB = 43, LINE = 16, LINES_MAX = 3 };
static const double WIDEST = 1.06;

void *ig_plot_take(struct ig_plot_view *view, size_t count, size_t size_bytes, struct ig_err *err)
{
    void *memory = ig_arena_array(view->arena, count ? count : 1, size_bytes);
    if (!memory) (void)ig_fail(err, IG_NO_MEMORY, "no memory for the picture");
    return memory;
}

double ig_plot_value(const struct ig_plot_view *view, size_t row, uint32_t player)
{
    const double *values = view->data->values;
    return values ? values[row * view->values_stride + player] : NAN;
}

double ig_plot_margin(const struct ig_plot_view *view, size_t row)
{
    if (view->data->margins) return view->data->margins[row];
    double sum = ig_plot_base(view, row);
    for (uint32_t i = 0; i < view->data->players_count; i++) sum += ig_plot_phi(view, row, i);
    return sum;
}

double ig_plot_others(const struct ig_plot_view *view, size_t row)
{
    double sum = 0;
    for (uint32_t i = view->shown; i < view->data->players_count; i++)
        sum += ig_plot_phi(view, row, view->order[i].player);
    return sum;
}

bool ig_plot_is_category(const struct ig_plot_view *view, uint32_t player)
{
    return view->data->categories && view->data->categories[player].count;
}

struct ig_str ig_plot_value_text(const struct ig_plot_view *view, uint32_t player, double value,
                                 char text[IG_PLOT_NUMBER_MAX])
{
    if (!ig_plot_is_category(view, player) || isnan(value))
        return ig_plot_number_alone(text, value);
    const struct ig_plot_categories *categories = &view->data->categories[player];
    if (!(value >= 0 && value < categories->count)) return IG_STR("unseen");
    return categories->texts[(uint32_t)value];
}

struct ig_str ig_plot_own_value(const struct ig_plot_view *view, uint32_t player,
                                char text[IG_PLOT_NUMBER_MAX])
{
    if (view->data->value_texts) return view->data->value_texts[player];
    if (!view->data->values) return IG_STR("");
    if (view->data->valueless && view->data->valueless[player]) return IG_STR("");
    return ig_plot_value_text(view, player, ig_plot_value(view, view->options.row, player), text);
}

/* "3 others" in a small text. */
static struct ig_str put_counted(char text[IG_PLOT_NUMBER_MAX], const char *before, double count,
                                 const char *after)
{
    struct ig_plot_words words = {0};
    ig_plot_words_put(&words, before);
    ig_plot_words_number(&words, count, (struct ig_plot_digits){0}, false);
    ig_plot_words_put(&words, after);
    size_t length = words.len < IG_PLOT_NUMBER_MAX ? words.len : IG_PLOT_NUMBER_MAX;
    memcpy(text, words.text, length);
    return (struct ig_str){text, length};
}

struct ig_str ig_plot_others_name(const struct ig_plot_view *view, char text[IG_PLOT_NUMBER_MAX])
{
    return put_counted(text, "", view->others, " other features");
}

struct ig_str ig_plot_row_name(const struct ig_plot_view *view, size_t row,
                               char text[IG_PLOT_NUMBER_MAX])
{
    if (view->data->row_names) return view->data->row_names[row];
    return put_counted(text, "row ", (double)row + 1, "");
}

/* Finaliser of splitmix64. */
static uint64_t mix(uint64_t number)
{
    number += 0x9E3779B97F4A7C15;
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9;
    number = (number ^ number >> 27) * 0x94D049BB133111EB;
    return number ^ number >> 31;
}

size_t ig_plot_sample(size_t *rows, size_t most, size_t rows_count)
{
    if (rows_count <= most) {
        for (size_t i = 0; i < rows_count; i++) rows[i] = i;
        return rows_count;
    }
    size_t whole = rows_count / most, rest = rows_count % most, first = 0;
    for (size_t i = 0; i < most; i++) {
        size_t width = whole + (i < rest);
        rows[i] = first + mix(i) % width;
        first += width;
    }
    return most;
}

void ig_plot_put_unit(const struct ig_plot_view *view, struct ig_plot_words *words)
{
    if (!view->data->unit.len) return;
    ig_plot_words_put(words, " ");
    ig_plot_words_name(words, view->data->unit);
}

void ig_plot_put_output(const struct ig_plot_view *view, struct ig_plot_words *words,
                        const char *what)
{
    ig_plot_words_put(words, what);
    if (!view->data->output.len) return;
    ig_plot_words_put(words, " to ");
    ig_plot_words_name(words, view->data->output);
}

struct ig_plot_digits ig_plot_digits_phi(double largest)
{
    return ig_plot_digits_of(largest, largest, 3);
}

struct ig_plot_digits ig_plot_digits_total(double low, double high, double step)
{
    return ig_plot_digits_of(fmax(fabs(low), fabs(high)), step, 3);
}

static void put_link_value(const struct ig_plot_view *view, double margin,
                           struct ig_plot_words *words)
{
    if (view->data->link == IG_PLOT_LINK_IDENTITY) return;
    char text[IG_PLOT_NUMBER_MAX];
    double value = ig_plot_link_value(view->data, margin);
    ig_plot_words_put(words, " (");
    if (view->data->link_unit.len) {
        ig_plot_words_name(words, view->data->link_unit);
        ig_plot_words_put(words, " ");
    }
    if (view->data->link == IG_PLOT_LINK_LOGIT && value > 0.9999 && value < 1) {
        ig_plot_words_put(words, "1 \u2212 ");
        value = ig_plot_link_value(view->data, -margin);
    }
    struct ig_plot_digits digits = ig_plot_digits_of(value, value, 3);
    ig_plot_words_add(words, isfinite(value) ? ig_plot_number(text, value, digits, false)
                                             : ig_plot_number_alone(text, value));
    ig_plot_words_put(words, ")");
}

void ig_plot_put_margin(const struct ig_plot_view *view, size_t row, struct ig_plot_digits digits,
                        struct ig_plot_words *words)
{
    double margin = ig_plot_margin(view, row);
    ig_plot_words_put(words, "f(x) = ");
    ig_plot_words_number(words, margin, digits, false);
    ig_plot_put_unit(view, words);
    put_link_value(view, margin, words);
}

void ig_plot_put_totals(const struct ig_plot_view *view, size_t row, struct ig_plot_words *words)
{
    double base = ig_plot_base(view, row), margin = ig_plot_margin(view, row), sum = base;
    for (uint32_t i = 0; i < view->data->players_count; i++) sum += ig_plot_phi(view, row, i);
    double step = fmax(fabs(margin - base), view->order[0].size);
    struct ig_plot_digits digits = ig_plot_digits_total(base, margin, step);
    ig_plot_words_put(words, "base value E[f(x)] = ");
    ig_plot_words_number(words, base, digits, false);
    ig_plot_words_put(words, " \u2192 ");
    ig_plot_put_margin(view, row, digits, words);
    if (view->data->prediction.len) {
        ig_plot_words_put(words, " \u00b7 prediction ");
        ig_plot_words_name(words, view->data->prediction);
    }
    if (fabs(sum - margin) <= ADDITIVITY * step + 1e-9 * fabs(base)) return;
    ig_plot_words_put(words, " \u00b7 contributions lead to ");
    ig_plot_words_number(words, sum, ig_plot_digits_total(sum, margin, fabs(sum - margin)), false);
    ig_plot_words_put(words, ", not to f(x)");
}

void ig_plot_put_largest(const struct ig_plot_view *view, size_t row, struct ig_plot_words *words)
{
    char text[IG_PLOT_NUMBER_MAX];
    struct ig_plot_digits digits = ig_plot_digits_phi(view->order[0].size);
    ig_plot_words_put(words, "Largest contributions: ");
    for (uint32_t i = 0; i < view->shown && i < 3; i++) {
        uint32_t player = view->order[i].player;
        struct ig_str value = ig_plot_own_value(view, player, text);
        if (i) ig_plot_words_put(words, ", ");
        ig_plot_words_name(words, view->data->names[player]);
        if (value.len) ig_plot_words_put(words, " = ");
        ig_plot_words_name(words, value);
        ig_plot_words_put(words, " ");
        ig_plot_words_number(words, ig_plot_phi(view, row, player), digits, true);
    }
    ig_plot_words_put(words, ".");
}

/* Cuts the first line off `rest`, at a space, as far as there is room; the last line takes all. */
static struct ig_str cut_line(struct ig_str *rest, double room, bool is_last)
{
    size_t end = 0;
    for (size_t at = 0; at < rest->len && !is_last; at++) {
        if (rest->ptr[at] != ' ') continue;
        if (ig_plot_text_width((struct ig_str){rest->ptr, at}, IG_PLOT_SIZE) > room) break;
        end = at;
    }
    if (!end || ig_plot_text_width(*rest, IG_PLOT_SIZE) <= room) end = rest->len;
    struct ig_str line = {rest->ptr, end};
    *rest = (struct ig_str){rest->ptr + end, rest->len - end};
    if (rest->len) *rest = (struct ig_str){rest->ptr + 1, rest->len - 1};
    return line;
}

/* Draws text.sub when asked to; returns its lines. */
static int put_sub(struct ig_plot_view *view, const struct ig_plot_text *text, bool is_drawn)
{
    /* A wide font may need more than the table's means say. */
    double room = (view->options.width - 2 * IG_PLOT_EDGE) / WIDEST;
    struct ig_str rest = ig_plot_words_view(&text->sub);
    int lines = 0;
    while (rest.len && lines < LINES_MAX) {
        struct ig_str line = cut_line(&rest, room, lines == LINES_MAX - 1);
        struct ig_plot_label label = {"s", IG_PLOT_EDGE, SUB + LINE * lines, IG_PLOT_SIZE, room};
        if (is_drawn) ig_plot_svg_label(view->svg, &label, line);
        lines++;
    }
    return lines;
}

void ig_plot_heading(struct ig_plot_view *view, const struct ig_plot_text *text)
{
    view->top = SUB - 1 + LINE * put_sub(view, text, false);
}

void ig_plot_begin(struct ig_plot_view *view, double height, const struct ig_plot_text *text)
{
    struct ig_buf *svg = view->svg;
    double width = view->options.width, room = (width - 2 * IG_PLOT_EDGE) / WIDEST;
    struct ig_str heading =
        view->options.title.len ? view->options.title : ig_plot_words_view(&text->heading);
    ig_plot_svg_begin(svg, width, height);
    ig_plot_text_add(svg, heading);
    ig_plot_svg_desc(svg);
    ig_plot_text_add(svg, ig_plot_words_view(&text->desc));
    ig_plot_svg_style(svg, view->options.theme, width, height);
    ig_plot_svg_label(
        svg, &(struct ig_plot_label){"h", IG_PLOT_EDGE, 24, IG_PLOT_HEADING * 1.06, room}, heading);
    (void)put_sub(view, text, true);
}

double ig_plot_gutter(const struct ig_plot_view *view, double widest, double share)
{
    double most = view->options.width * share;
    return IG_PLOT_EDGE + fmin(fmax(widest, 64), most) + 12;
}

/* `first`: where texts may begin. */
static void draw_ticks(const struct ig_plot_view *view, const struct ig_plot_ticks *ticks,
                       const double ys[2], double first)
{
    struct ig_buf *svg = view->svg;
    for (unsigned i = 0; i < ticks->count; i++) {
        double at = ticks->ticks[i].at;
        ig_plot_svg_line(svg, ys[1] < ys[0] - 5 ? "g" : "a", (double[]){at, ys[1]},
                         (double[]){at, ys[0]});
    }
    for (unsigned i = 0; i < ticks->count; i++) {
        struct ig_str text = ig_str_view(ticks->ticks[i].text);
        double at = ticks->ticks[i].at, half = ig_plot_text_width(text, IG_PLOT_SMALL) / 2;
        if (at - half < first || at + half > view->options.width - 2) continue;
        ig_plot_svg_label(svg, &(struct ig_plot_label){"t m", at, ys[0] + 15, IG_PLOT_SMALL, 0},
                          text);
    }
}

static void draw_title(const struct ig_plot_view *view, struct ig_str title, double y, double room)
{
    if (!title.len || !(room > 0)) return;
    ig_plot_svg_label(
        view->svg, &(struct ig_plot_label){"t e", IG_PLOT_EDGE + room, y + 15, IG_PLOT_SMALL, room},
        title);
}

static struct ig_str axis_title(const struct ig_plot_view *view)
{
    return view->data->unit.len ? view->data->unit : IG_STR("f(x)");
}

double ig_plot_axes_room(const struct ig_plot_view *view)
{
    double room = ig_plot_text_width(axis_title(view), IG_PLOT_SMALL);
    if (view->data->link == IG_PLOT_LINK_IDENTITY) return room;
    return fmax(room, ig_plot_text_width(view->data->link_unit, IG_PLOT_SMALL));
}

double ig_plot_axes_height(const struct ig_plot_view *view)
{
    return view->data->link == IG_PLOT_LINK_IDENTITY ? IG_PLOT_AXIS : 2 * IG_PLOT_AXIS;
}

void ig_plot_axes(const struct ig_plot_view *view, const struct ig_plot_scale *scale, double y,
                  double top, double room)
{
    struct ig_plot_ticks ticks;
    double first = IG_PLOT_EDGE + room + 5;
    ig_plot_ticks_nice(&ticks, scale, fmin(70, (scale->to - scale->from) / 4), true);
    draw_ticks(view, &ticks, (double[]){y, top}, first);
    ig_plot_svg_line(view->svg, "a", (double[]){scale->from, y}, (double[]){scale->to, y});
    draw_title(view, axis_title(view), y, room);
    if (view->data->link == IG_PLOT_LINK_IDENTITY) return;
    ig_plot_ticks_link(&ticks, scale, view->data);
    double below = y + IG_PLOT_AXIS;
    draw_ticks(view, &ticks, (double[]){below, below - 4}, first);
    ig_plot_svg_line(view->svg, "a", (double[]){scale->from, below - 4},
                     (double[]){scale->to, below - 4});
    draw_title(view, view->data->link_unit, below, room);
}

void ig_plot_axis_phi(const struct ig_plot_view *view, const struct ig_plot_scale *scale, double y,
                      double top)
{
    struct ig_plot_ticks ticks;
    ig_plot_ticks_nice(&ticks, scale, fmin(70, (scale->to - scale->from) / 4), true);
    draw_ticks(view, &ticks, (double[]){y, top}, 2);
    double zero = ig_plot_scale_at(scale, 0);
    if (scale->low <= 0 && scale->high >= 0)
        ig_plot_svg_line(view->svg, "a", (double[]){zero, top}, (double[]){zero, y});
}

void ig_plot_ramp(const struct ig_plot_view *view, const double at[2], struct ig_str low,
                  struct ig_str high)
{
    enum { STEP = 12 };
    double right = at[0] - ig_plot_text_width(high, IG_PLOT_SMALL) - 6;
    double left = right - IG_PLOT_RAMP * STEP;
    for (int i = 0; i < IG_PLOT_RAMP; i++) {
        char class[] = "r v0";
        class[3] = (char)('0' + i);
        ig_plot_svg_rect(view->svg, class,
                         (struct ig_plot_box){left + i * STEP, at[1] - 9, STEP + 0.5, 10});
        ig_plot_svg_close(view->svg);
    }
    ig_plot_svg_label(view->svg, &(struct ig_plot_label){"t e", at[0], at[1], IG_PLOT_SMALL, 0},
                      high);
    ig_plot_svg_label(view->svg, &(struct ig_plot_label){"t e", left - 6, at[1], IG_PLOT_SMALL, 0},
                      low);
}
