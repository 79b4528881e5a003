/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "formats/plot/plot_priv.h"
#include "formats/plot/plot_testing.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLAYERS_MAX = 310, ROWS_MAX = 6000 };

/* A case to draw: plain arrays behind an ig_plot_data. */
static struct {
    struct ig_plot_data data;
    struct ig_plot_options options;
    struct ig_str names[PLAYERS_MAX];
    char texts[PLAYERS_MAX][16];
    struct ig_plot_categories categories[PLAYERS_MAX];
    double *contributions, *values;
    uint32_t cohorts[ROWS_MAX];
} the;

static struct ig_arena arena;
static struct ig_buf svg;

static int setup(void **state)
{
    (void)state;
    ig_arena_init(&arena, 1 << 16, 1 << 24);
    ig_buf_init(&svg, 4 << 20);
    the.contributions = ig_zalloc_array((size_t)ROWS_MAX * 8, sizeof(double));
    the.values = ig_zalloc_array((size_t)ROWS_MAX * 8, sizeof(double));
    return the.contributions && the.values ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    ig_free(the.contributions);
    ig_free(the.values);
    ig_arena_deinit(&arena);
    ig_buf_deinit(&svg);
    return 0;
}

/* Random rows; the last player of four or more is a category, a tenth of the values missing. */
static void fill(size_t rows, uint32_t players)
{
    static const struct ig_str COLOURS[] = {{"red", 3}, {"green", 5}, {"blue", 4}};
    struct ig_rng rng;
    ig_rng_seed(&rng, 7);
    assert_true(rows * (players + 1) <= (size_t)ROWS_MAX * 8);
    memset(the.categories, 0, sizeof the.categories);
    for (uint32_t i = 0; i < players; i++) {
        snprintf(the.texts[i], sizeof the.texts[i], "feature_%u", i);
        the.names[i] = ig_str_view(the.texts[i]);
    }
    if (players >= 4) the.categories[players - 1] = (struct ig_plot_categories){COLOURS, 3};
    for (size_t row = 0; row < rows; row++) {
        for (uint32_t i = 0; i < players; i++) {
            double value = ig_rng_unit(&rng) * 10 - 5;
            if (i + 1 == players && players >= 4) value = (double)ig_rng_below(&rng, 3);
            if (ig_rng_below(&rng, 10) == 0) value = NAN;
            the.values[row * players + i] = value;
            the.contributions[row * (players + 1) + i] = (ig_rng_unit(&rng) - 0.5) / (1 + i);
        }
        the.contributions[row * (players + 1) + players] = -0.75;
    }
    the.data = (struct ig_plot_data){.rows_count = rows,
                                     .players_count = players,
                                     .names = the.names,
                                     .contributions = the.contributions,
                                     .values = the.values,
                                     .categories = the.categories,
                                     .output = IG_STR("churn"),
                                     .unit = IG_STR("log-odds"),
                                     .link = IG_PLOT_LINK_LOGIT,
                                     .link_unit = IG_STR("probability")};
    the.options = IG_PLOT_OPTIONS_INIT;
}

static enum ig_code try_draw(enum ig_plot_kind kind, struct ig_err *err)
{
    *err = IG_ERR_INIT;
    ig_buf_reset(&svg);
    ig_arena_reset(&arena);
    return ig_plot_write(&svg, kind, &the.data, &the.options, &arena, err);
}

static size_t count(const char *text)
{
    size_t found = 0;
    for (const char *at = svg.ptr; (at = strstr(at, text)); at += strlen(text)) found++;
    return found;
}

static const char *after(const char *text)
{
    const char *found = strstr(svg.ptr, text);
    assert_non_null(found);
    return found + strlen(text);
}

/* Numbers of paths lie within the picture. */
static void assert_within(void)
{
    double width = strtod(after("width=\""), NULL), height = strtod(after("height=\""), NULL);
    for (const char *at = svg.ptr; (at = strstr(at, " d=\"")); at++) {
        for (const char *p = at + 4; *p != '"'; p++) {
            if (*p != 'M' && *p != 'L') continue;
            char *end;
            double x = strtod(p + 1, &end), y = strtod(end, NULL);
            assert_true(x >= 0 && x <= width && y >= 0 && y <= height);
        }
    }
}

/* What holds for every picture. */
static void assert_sound(void)
{
    assert_true(xml_is_well_formed(ig_buf_view(&svg)));
    assert_null(strstr(svg.ptr, "<script"));
    assert_null(strstr(svg.ptr, " id="));
    assert_null(strstr(svg.ptr, "href"));
    assert_null(strstr(svg.ptr, "url("));
    assert_null(strstr(svg.ptr, "@import"));
    assert_int_equal(count("http"), 1); /* the name space */
    assert_int_equal(count("role=\"img\""), 1);
    assert_int_equal(count("<desc>"), 1);
    assert_true(strncmp(strchr(svg.ptr, '>'), ">\n<title>", 9) == 0);
    assert_within();
}

static void draw(enum ig_plot_kind kind)
{
    struct ig_err err;
    enum ig_code code = try_draw(kind, &err);
    if (code != IG_OK) print_error("%s: %s\n", ig_plot_at(kind)->name, err.message);
    assert_int_equal(code, IG_OK);
    assert_sound();
}

static void draw_all(void)
{
    for (int kind = 0; kind < IG_PLOT_KINDS_COUNT; kind++) draw((enum ig_plot_kind)kind);
}

static void test_table(void **state)
{
    enum ig_plot_kind kind = IG_PLOT_FORCE;
    (void)state;
    for (int i = 0; i < IG_PLOT_KINDS_COUNT; i++) {
        const struct ig_plot_info *info = ig_plot_at((enum ig_plot_kind)i);
        assert_true(ig_plot_parse(ig_str_view(info->name), &kind) && (int)kind == i);
        assert_true(strlen(info->doc) > 10);
    }
    assert_false(ig_plot_parse(IG_STR("pie"), &kind));
    assert_false(ig_plot_parse(IG_STR(""), &kind));
    ig_buf_reset(&svg);
    ig_plot_list(&svg);
    assert_string_equal(svg.ptr, "waterfall, force, bar, beeswarm, dependence, decision");
    assert_int_equal(ig_plot_at(IG_PLOT_WATERFALL)->rows, IG_PLOT_ROWS_ONE);
    assert_int_equal(ig_plot_at(IG_PLOT_BAR)->rows, IG_PLOT_ROWS_ANY);
}

static void test_sizes(void **state)
{
    static const size_t ROWS[] = {1, 2, 50, 150};
    static const uint32_t PLAYERS[] = {1, 2, 5, 11, 12, 300};
    (void)state;
    for (size_t r = 0; r < 4; r++)
        for (size_t p = 0; p < 6; p++) {
            fill(ROWS[r], PLAYERS[p]);
            draw_all();
        }
    the.options.width = IG_PLOT_WIDTH_MIN;
    draw_all();
    the.options.width = IG_PLOT_WIDTH_MAX;
    the.options.top = IG_PLOT_TOP_MAX;
    draw_all();
}

/* Paths of the classes (" up dn "), in order: each point of the polygon. */
struct polygon {
    double x[8], y[8];
    size_t count;
};

static size_t polygons(struct polygon *out, size_t most, const char *classes)
{
    size_t found = 0;
    for (const char *at = svg.ptr; found < most && (at = strstr(at, "<path class=\"")); at++) {
        const char *class = at + strlen("<path class=\"");
        size_t length = strcspn(class, "\" ");
        char word[8] = " ";
        if (length > 3) continue;
        memcpy(word + 1, class, length);
        word[length + 1] = ' ';
        if (!strstr(classes, word)) continue;
        struct polygon *polygon = &out[found++];
        *polygon = (struct polygon){0};
        for (const char *p = strstr(class, "d=\"") + 3; *p != '"' && polygon->count < 8; p++) {
            if (*p != 'M' && *p != 'L') continue;
            char *end;
            polygon->x[polygon->count] = strtod(p + 1, &end);
            polygon->y[polygon->count++] = strtod(end, NULL);
        }
    }
    return found;
}

/* Arrows point from where they begin (first point) to their tip (third); each begins where the one
 * before ended; their lengths are in the proportion of the contributions. */
static void test_waterfall_chains(void **state)
{
    struct polygon arrows[16];
    (void)state;
    fill(1, 14);
    draw(IG_PLOT_WATERFALL);
    assert_int_equal(polygons(arrows, 16, " up dn "), 11);
    double sum = 0, per_unit = 0;
    for (size_t i = 0; i < 11; i++) {
        double length = arrows[i].x[2] - arrows[i].x[0];
        if (i) assert_true(fabs(arrows[i].x[0] - arrows[i - 1].x[2]) < 0.011);
        assert_true(arrows[i].x[1] == arrows[i].x[3]); /* symmetric about the tip */
        sum += length;
        if (i == 10) continue;
        double largest = 0;
        for (uint32_t k = 0; k < 14; k++) largest = fmax(largest, fabs(the.contributions[k]));
        if (i == 0) per_unit = fabs(length) / largest;
    }
    double total = 0;
    for (uint32_t k = 0; k < 14; k++) total += the.contributions[k];
    assert_true(fabs(sum - total * per_unit) < 0.1);
    assert_non_null(strstr(svg.ptr, "4 other features"));
}

/* Rightwards segments end at f(x), leftwards ones begin there; widths are proportional to the
 * contributions; segments of a side touch. */
static void test_force_is_proportional(void **state)
{
    static const double PHI[] = {0.8, -0.5, 0.4, -0.25, 0.2, -1.7};
    struct polygon segments[8];
    (void)state;
    fill(1, 5);
    memcpy(the.contributions, PHI, sizeof PHI);
    draw(IG_PLOT_FORCE);
    assert_int_equal(polygons(segments, 8, " up dn "), 5);
    /* Middle points: near end at 1, far end at 4. Order: up by size, down by size. */
    static const double SIZES[] = {0.8, 0.4, 0.2, 0.5, 0.25};
    double unit = fabs(segments[0].x[4] - segments[0].x[1]) / 0.8;
    for (size_t i = 0; i < 5; i++)
        assert_true(fabs(fabs(segments[i].x[4] - segments[i].x[1]) - SIZES[i] * unit) < 0.03);
    assert_true(segments[0].x[1] == segments[3].x[1]);
    for (size_t i = 0; i < 4; i++)
        if (i != 2) assert_true(segments[i].x[4] == segments[i + 1].x[1]);
    assert_true(segments[0].x[4] < segments[0].x[1] && segments[3].x[4] > segments[3].x[1]);
    assert_non_null(strstr(svg.ptr, "raise f(x): +1.400"));
    assert_non_null(strstr(svg.ptr, "lower f(x): \u22120.750"));
    assert_non_null(strstr(svg.ptr, "f(x) = \u22121.050 log-odds (probability 0.259)"));
}

static void test_bars(void **state)
{
    (void)state;
    fill(3, 4);
    for (size_t row = 0; row < 3; row++)
        for (uint32_t i = 0; i < 4; i++)
            the.contributions[row * 5 + i] = (row == 1 ? -1.0 : 1.0) * (i + 1);
    draw(IG_PLOT_BAR);
    assert_int_equal(count("</title></rect>"), 4);
    assert_non_null(strstr(svg.ptr, "Most important: feature_3 4.00, feature_2 3.00"));
    double first = strtod(strstr(after("<rect class=\"n r\""), "width=\"") + 7, NULL);
    const char *last = strstr(svg.ptr, "feature_0: 1.00");
    while (strncmp(last, "width=\"", 7) != 0) last--;
    assert_true(fabs(first - 4 * strtod(last + 7, NULL)) < 0.03);
    the.options.top = 2; /* two others: their mean sizes summed */
    draw(IG_PLOT_BAR);
    assert_int_equal(count("</title></rect>"), 3);
    assert_non_null(strstr(svg.ptr, "other features: 3.00"));
    fill(1, 4); /* signed */
    draw(IG_PLOT_BAR);
    assert_int_equal(count("class=\"up r\"") + count("class=\"dn r\""), 4);
}

static void test_cohorts(void **state)
{
    static const struct ig_str NAMES[] = {{"men & women", 11}, {"others", 6}, {"nobody", 6}};
    struct ig_err err;
    (void)state;
    fill(4, 2);
    for (size_t row = 0; row < 4; row++) {
        the.cohorts[row] = row == 3;
        the.contributions[row * 3] = row == 3 ? -8 : 2;
    }
    the.data.cohort_of_row = the.cohorts;
    the.data.cohort_names = NAMES;
    the.data.cohorts_count = 3;
    draw(IG_PLOT_BAR);
    assert_int_equal(count("</title></rect>"), 6);
    assert_non_null(strstr(svg.ptr, ">2.00 men &amp; women</text>"));
    assert_non_null(strstr(svg.ptr, ">8.00 others</text>"));
    assert_non_null(strstr(svg.ptr, "4 rows: men &amp; women 3, others 1, nobody 0"));
    the.cohorts[2] = 3;
    assert_int_equal(try_draw(IG_PLOT_BAR, &err), IG_INVALID);
    assert_string_equal(err.message, "row 3: cohort 3, but there are 3");
}

static size_t dots(void)
{
    return count("</title></path>");
}

static void test_dots_are_counted(void **state)
{
    (void)state;
    fill(40, 5);
    draw(IG_PLOT_BEESWARM);
    assert_int_equal(dots(), 40 * 5);
    assert_null(strstr(svg.ptr, "sample"));
    draw(IG_PLOT_DEPENDENCE);
    assert_int_equal(dots(), 40);
    draw(IG_PLOT_DECISION);
    assert_int_equal(dots(), 40);
    the.options.top = 3;
    draw(IG_PLOT_BEESWARM);
    assert_int_equal(dots(), 40 * 4);
    fill(ROWS_MAX, 4);
    draw(IG_PLOT_BEESWARM); /* and two extremes a lane */
    assert_in_range(dots(), IG_PLOT_DOTS_MAX, IG_PLOT_DOTS_MAX + 8);
    assert_non_null(strstr(svg.ptr, "6,000 rows, drawn: an even sample of 500 and each"));
    draw(IG_PLOT_DEPENDENCE);
    assert_in_range(dots(), IG_PLOT_DOTS_MAX, IG_PLOT_DOTS_MAX + 2);
    assert_non_null(strstr(svg.ptr, "drawn (an even sample and the extremes)"));
    draw(IG_PLOT_DECISION);
    assert_int_equal(dots(), IG_PLOT_LINES_MAX);
    assert_non_null(strstr(svg.ptr, "6,000 rows, 100 drawn (an even sample)"));
}

static void test_sample(void **state)
{
    size_t rows[100];
    (void)state;
    assert_int_equal(ig_plot_sample(rows, 100, 7), 7);
    assert_int_equal(rows[6], 6);
    assert_int_equal(ig_plot_sample(rows, 100, 100003), 100);
    size_t odd = 0;
    for (size_t i = 0; i < 100; i++) {
        assert_in_range(rows[i], i * 1000, i * 1000 + 1003); /* its stratum */
        odd += rows[i] % 2;
    }
    assert_in_range(odd, 30, 70); /* no period */
}

static const char *row_tip(size_t row, const char *rest)
{
    static char text[64];
    snprintf(text, sizeof text, "<title>row %zu: %s", row + 1, rest);
    return text;
}

/* An extreme row is drawn though it is in no sample; chosen rows and outliers are strong. */
static void test_special_rows(void **state)
{
    static const size_t CHOSEN[] = {17, 17, 4242};
    (void)state;
    fill(ROWS_MAX, 4);
    size_t far = 3333;
    the.contributions[far * 5] = 9;
    draw(IG_PLOT_BEESWARM);
    assert_non_null(strstr(svg.ptr, row_tip(far, "")));
    draw(IG_PLOT_DEPENDENCE);
    assert_non_null(strstr(svg.ptr, row_tip(far, "")));
    the.options.highlight = CHOSEN;
    the.options.highlight_count = 3;
    the.options.outliers = 2;
    draw(IG_PLOT_DECISION);
    assert_int_equal(dots(), IG_PLOT_LINES_MAX);
    const char *strong = after("<g class=\"k\">");
    assert_non_null(strstr(strong, row_tip(17, "f(x)")));
    assert_non_null(strstr(strong, row_tip(4242, "f(x)")));
    assert_non_null(strstr(strong, row_tip(far, "f(x)")));
    assert_non_null(strstr(svg.ptr, "row 3334 (outlier): f(x) = "));
    assert_non_null(strstr(svg.ptr, ">D</text>"));
    assert_null(strstr(svg.ptr, ">E</text>"));
}

/* Lines begin at the base value, end at the sum, one level a feature. */
static void test_decision_lines(void **state)
{
    static const double PHI[] = {0.5, -0.25, 1, 0.125, 0};
    struct polygon line[2] = {0};
    (void)state;
    fill(1, 4);
    memcpy(the.contributions, PHI, sizeof PHI);
    draw(IG_PLOT_DECISION);
    assert_int_equal(polygons(line, 2, " v4 "), 1);
    assert_int_equal(line[0].count, 5);
    static const double TOTALS[] = {0, 0.125, -0.125, 0.375, 1.375};
    double unit = (line[0].x[4] - line[0].x[0]) / 1.375;
    for (size_t i = 0; i < 5; i++) {
        assert_true(fabs(line[0].x[i] - line[0].x[0] - TOTALS[i] * unit) < 0.02);
        assert_true(i == 0 || line[0].y[i] < line[0].y[i - 1]);
    }
}

/* The feature that a contribution interacts with is found: numeric, category, missing or none. */
static void test_strongest(void **state)
{
    struct ig_err err = IG_ERR_INIT;
    uint32_t other;
    (void)state;
    for (uint32_t wanted = 1; wanted < 5; wanted++) {
        fill(900, 4);
        for (size_t row = 0; row < 900; row++) {
            const double *value = the.values + row * 4;
            double x = isnan(value[0]) ? 0 : value[0], pull = 0;
            if (wanted < 3) pull = isnan(value[wanted]) ? 0 : value[wanted];
            if (wanted == 3) pull = isnan(value[3]) ? 0 : value[3] == 1 ? 4 : 0;
            if (wanted == 4) pull = isnan(value[2]) ? 5 : 0;
            the.contributions[row * 5] = x * 10 + pull;
        }
        struct ig_plot_view view = {.data = &the.data,
                                    .arena = &arena,
                                    .values_stride = 4,
                                    .contributions_stride = 5,
                                    .svg = &svg};
        assert_int_equal(ig_plot_strongest(&other, &view, 0, &err), IG_OK);
        assert_int_equal(other, wanted == 4 ? 2 : wanted);
    }
    fill(900, 1);
    the.options.feature = 0;
    draw(IG_PLOT_DEPENDENCE);
    assert_null(strstr(svg.ptr, "coloured by"));
    fill(900, 4);
    the.options.feature = 2;
    the.options.colour_by = 3;
    draw(IG_PLOT_DEPENDENCE);
    assert_non_null(strstr(svg.ptr, "<title>Contribution of feature_2 to churn</title>"));
    assert_non_null(strstr(svg.ptr, "coloured by feature_3"));
    the.options.colour_by = IG_PLOT_NONE;
    draw(IG_PLOT_DEPENDENCE);
    assert_null(strstr(svg.ptr, "coloured by"));
}

/* Histogram bars stand for all rows; rows without a value have a lane. */
static void test_histogram(void **state)
{
    size_t total = 0, missing = 0;
    (void)state;
    fill(3000, 4);
    for (uint32_t player = 0; player < 4; player += 3, total = missing = 0) {
        the.options.feature = player;
        draw(IG_PLOT_DEPENDENCE);
        for (const char *at = svg.ptr; (at = strstr(at, "<rect class=\"vn r\"")); at++) {
            size_t rows = 0;
            for (const char *p = strstr(at, "<title>") + 7; *p != ' '; p++)
                if (*p != ',') rows = rows * 10 + (size_t)(*p - '0');
            total += rows;
        }
        assert_int_equal(total, 3000);
        for (size_t row = 0; row < 3000; row++)
            missing += isnan(the.values[row * 4 + player]) ? 1 : 0;
        char text[64];
        snprintf(text, sizeof text, "%zu rows without a value", missing);
        assert_non_null(strstr(svg.ptr, text));
        assert_non_null(strstr(svg.ptr, ">missing</text>"));
    }
}

static void test_missing_and_infinite(void **state)
{
    static const double VALUES[] = {NAN, INFINITY, -INFINITY, 0, 1e308, -1e308};
    (void)state;
    fill(60, 5);
    for (size_t i = 0; i < 300; i++) the.values[i] = VALUES[(i * 7 + i / 5) % 6];
    draw_all();
    the.options.feature = 4;
    draw_all();
    for (size_t i = 0; i < 300; i++) the.values[i] = NAN;
    draw_all();
    assert_int_equal(try_draw(IG_PLOT_WATERFALL, &(struct ig_err){0}), IG_OK);
    assert_non_null(strstr(svg.ptr, "= missing"));
    the.data.values = NULL;
    for (int kind = 0; kind < IG_PLOT_KINDS_COUNT; kind++)
        if (kind != IG_PLOT_DEPENDENCE) draw((enum ig_plot_kind)kind);
    struct ig_err err;
    assert_int_equal(try_draw(IG_PLOT_DEPENDENCE, &err), IG_INVALID);
}

static void test_magnitudes(void **state)
{
    static const double SCALES[] = {0, 1e-300, 1e-12, 1e9, 1e280};
    static const double BASES[] = {0, -3, 1e6, -1e288, 1e-310};
    (void)state;
    for (size_t s = 0; s < 5; s++)
        for (size_t b = 0; b < 5; b++) {
            fill(30, 5);
            for (size_t i = 0; i < 180; i++)
                the.contributions[i] = i % 6 == 5 ? BASES[b] : the.contributions[i] * SCALES[s];
            draw_all();
            the.data.link = IG_PLOT_LINK_LOG;
            draw_all();
        }
}

static void assert_refused(const char *message)
{
    struct ig_err err;
    for (int kind = 0; kind < IG_PLOT_KINDS_COUNT; kind++) {
        assert_int_equal(try_draw((enum ig_plot_kind)kind, &err), IG_INVALID);
        assert_string_equal(err.message, message);
        assert_int_equal(svg.len, 0);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    fill(3, 4);
    the.data.rows_count = 0;
    assert_refused("there are no rows to draw");
    fill(3, 4);
    the.data.players_count = 0;
    assert_refused("there are no features to draw");
    fill(3, 4);
    the.contributions[6] = NAN;
    assert_refused("row 2: contribution of 'feature_1' is nan, a finite number is expected");
    the.contributions[6] = 1e291;
    assert_refused("row 2: margin and contributions are too large to draw");
    fill(3, 4);
    the.contributions[4] = INFINITY;
    assert_refused("row 1: base value inf, a finite number is expected");
    fill(3, 4);
    the.options.width = 100;
    assert_refused("width: 100, 360 to 4000 pixels are expected");
    the.options.width = 0;
    the.options.top = 101;
    assert_refused("top: 101, at most 100 is expected");
    the.options.top = 0;
    the.options.row = 3;
    assert_refused("row: 3, but there are 3 rows");
    the.options.row = 0;
    the.options.feature = 4;
    assert_refused("feature: 4, but there are 4");
    the.options.feature = 0;
    the.options.colour_by = 9;
    assert_refused("colour_by: 9, but there are 4 features");
    the.options = IG_PLOT_OPTIONS_INIT;
    the.options.outliers = 11;
    assert_refused("outliers: 11, at most 10 is expected");
    the.options.outliers = 0;
    the.options.highlight = (size_t[]){3};
    the.options.highlight_count = 1;
    assert_refused("highlight: row 3, but there are 3 rows");
}

/* Texts that would break out of the document, of every kind a caller can give. */
static void test_hostile_texts(void **state)
{
    static char huge[5000];
    memset(huge, 'W', sizeof huge);
    const struct ig_str hostile[] = {
        IG_STR("<script>alert(1)</script>"),
        IG_STR("\"><svg onload=x>&"),
        IG_STR("</title></desc></style>"),
        IG_STR("\xff\xfe\x80 \xed\xa0\x80"),
        {"nul\0\x01\x1b[0m", 9},
        IG_STR("\u202egnp.exe\u2066"),
        {huge, sizeof huge},
        IG_STR(""),
        IG_STR("]]>&#0;&amp;"),
        IG_STR("\U0001F680\u5ba2\u05d0\uffff"),
    };
    enum { COUNT = sizeof hostile / sizeof *hostile };
    (void)state;
    for (size_t shift = 0; shift < COUNT; shift++) {
        fill(20, 5);
        struct ig_str texts[20];
        for (size_t i = 0; i < 20; i++) texts[i] = hostile[(shift + i) % COUNT];
        for (size_t row = 0; row < 20; row++) the.cohorts[row] = (uint32_t)(row % 6);
        the.data.names = texts;
        the.data.row_names = texts;
        the.data.cohort_of_row = the.cohorts;
        the.data.cohort_names = texts;
        the.data.cohorts_count = 6;
        the.categories[0] = the.categories[1] = (struct ig_plot_categories){texts, 5};
        the.data.output = texts[0];
        the.data.unit = texts[1];
        the.data.link_unit = texts[2];
        the.data.prediction = texts[3];
        the.options.outliers = 3;
        draw_all();
        the.options.feature = 0;
        the.options.colour_by = 1;
        the.data.value_texts = texts + 2;
        the.options.title = texts[4];
        draw_all();
        the.data.rows_count = 1;
        the.options.width = 360;
        draw_all();
    }
    assert_non_null(strstr(svg.ptr, "&lt;script&gt;alert(1)&lt;/script&gt;"));
}

/* Whatever the limit, a failure is told and leaves the buffer as it was. */
static void test_buffer_limits(void **state)
{
    (void)state;
    fill(30, 5);
    for (int kind = 0; kind < IG_PLOT_KINDS_COUNT; kind++) {
        draw((enum ig_plot_kind)kind);
        size_t whole = svg.len;
        for (size_t room = 0; room < whole; room += whole / 23) {
            struct ig_buf small;
            struct ig_err err = IG_ERR_INIT;
            ig_buf_init(&small, room + 6);
            ig_buf_add_cstr(&small, "before");
            ig_arena_reset(&arena);
            assert_int_equal(ig_plot_write(&small, (enum ig_plot_kind)kind, &the.data, &the.options,
                                           &arena, &err),
                             IG_TOO_LARGE);
            assert_string_equal(small.ptr, "before");
            assert_int_equal(small.len, 6);
            assert_false(small.overflowed);
            ig_buf_deinit(&small);
        }
    }
}

static void test_memory_runs_out(void **state)
{
    (void)state;
    fill(30, 5);
    the.options.outliers = 2;
    for (int kind = 0; kind < IG_PLOT_KINDS_COUNT; kind++) {
        enum ig_code code = IG_NO_MEMORY;
        for (uint64_t n = 1; code != IG_OK; n++) {
            struct ig_arena own;
            struct ig_buf out;
            struct ig_err err = IG_ERR_INIT;
            ig_arena_init(&own, 256, 1 << 20);
            ig_buf_init(&out, 1 << 20);
            ig_mem_fail_after(n);
            code =
                ig_plot_write(&out, (enum ig_plot_kind)kind, &the.data, &the.options, &own, &err);
            ig_mem_fail_after(0);
            assert_true(code == IG_OK || code == IG_NO_MEMORY || code == IG_TOO_LARGE);
            if (code != IG_OK) assert_int_equal(out.len, 0);
            ig_buf_deinit(&out);
            ig_arena_deinit(&own);
            assert_true(n < 200);
        }
        struct ig_arena tiny;
        struct ig_err err = IG_ERR_INIT;
        ig_arena_init(&tiny, 16, 16);
        ig_buf_reset(&svg);
        assert_int_equal(
            ig_plot_write(&svg, (enum ig_plot_kind)kind, &the.data, &the.options, &tiny, &err),
            IG_NO_MEMORY);
        assert_int_equal(svg.len, 0);
        ig_arena_deinit(&tiny);
    }
}

/* The same bytes again, in any locale; options NULL are the defaults; strides skip other outputs.
 */
static void test_same_bytes(void **state)
{
    static double wide[200 * 3 * 6];
    struct ig_err err = IG_ERR_INIT;
    (void)state;
    fill(200, 5);
    for (size_t row = 0; row < 200; row++)
        for (size_t i = 0; i < 18; i++)
            wide[row * 18 + i] = i / 6 == 1 ? the.contributions[row * 6 + i % 6] : NAN;
    for (int kind = 0; kind < IG_PLOT_KINDS_COUNT; kind++) {
        draw((enum ig_plot_kind)kind);
        size_t length = svg.len;
        char *first = ig_buf_take(&svg);
        setlocale(LC_ALL, "de_DE.UTF-8");
        draw((enum ig_plot_kind)kind);
        setlocale(LC_ALL, "C");
        assert_int_equal(svg.len, length);
        assert_memory_equal(svg.ptr, first, length);
        ig_buf_reset(&svg);
        assert_int_equal(
            ig_plot_write(&svg, (enum ig_plot_kind)kind, &the.data, NULL, &arena, &err), IG_OK);
        assert_memory_equal(svg.ptr, first, length);
        the.data.contributions = wide + 6;
        the.data.contributions_stride = 18;
        draw((enum ig_plot_kind)kind);
        assert_memory_equal(svg.ptr, first, length);
        the.data.contributions = the.contributions;
        the.data.contributions_stride = 0;
        ig_free(first);
    }
}

static void test_options(void **state)
{
    (void)state;
    fill(20, 5);
    the.options.theme = IG_PLOT_THEME_LIGHT;
    the.options.title = IG_STR("A title & more");
    draw_all();
    assert_null(strstr(svg.ptr, "prefers-color-scheme"));
    assert_null(strstr(svg.ptr, "#15181d"));
    assert_non_null(strstr(svg.ptr, "<title>A title &amp; more</title>"));
    the.options.theme = IG_PLOT_THEME_DARK;
    draw_all();
    assert_non_null(strstr(svg.ptr, ".b{fill:#15181d}"));
    the.options.theme = IG_PLOT_THEME_AUTO;
    the.options.row = 7;
    draw(IG_PLOT_WATERFALL);
    char *seventh = ig_buf_take(&svg);
    the.options.row = 0;
    draw(IG_PLOT_WATERFALL);
    assert_string_not_equal(svg.ptr, seventh);
    ig_free(seventh);
}

/* Contributions that do not lead to the margin are said not to. */
static void test_additivity_is_watched(void **state)
{
    double margin;
    (void)state;
    fill(1, 4);
    draw(IG_PLOT_WATERFALL);
    assert_null(strstr(svg.ptr, "contributions lead to"));
    margin = the.contributions[4];
    for (uint32_t i = 0; i < 4; i++) margin += the.contributions[i];
    the.data.margins = &margin;
    draw(IG_PLOT_WATERFALL);
    assert_null(strstr(svg.ptr, "contributions lead to"));
    margin += 0.1;
    draw(IG_PLOT_WATERFALL);
    assert_non_null(strstr(svg.ptr, "contributions lead to"));
}

/* Byte for byte as committed. With INGOT_WRITE_GOLDEN set, the files are written instead. */
static void test_golden(void **state)
{
    static const struct ig_str TEXTS[] = {{"basic", 5}, {"higher <2nd>", 12}};
    static const struct ig_str NAMES[] = {{"age", 3},
                                          {"education & training", 20},
                                          {"capital_gain_of_the_last_twelve_months_in_all", 45},
                                          {"gr\u00f6\u00dfe", 7}};
    static const double ROWS[6][9] = {{39, 1, 2174, 1.82, 0.25, 0.5, -1.25, 0.125, -0.75},
                                      {50, 0, 0, 1.7, 0.375, -0.25, -0.0625, 0, -0.75},
                                      {38, 0, 0, NAN, 0.1875, -0.3125, -0.0625, -0.25, -0.75},
                                      {53, 1, 15024, 1.65, 0.4375, 0.4375, 2.5, 0.0625, -0.75},
                                      {28, -1, 0, 1.91, -0.5, 0.125, -0.125, 0.25, -0.75},
                                      {17, NAN, 594, 1.74, -2.25, -0.1875, -0.5, 0.0625, -0.75}};
    double values[24], contributions[30];
    const char *write = getenv("INGOT_WRITE_GOLDEN");
    (void)state;
    for (size_t row = 0; row < 6; row++) {
        memcpy(values + row * 4, ROWS[row], 4 * sizeof(double));
        memcpy(contributions + row * 5, ROWS[row] + 4, 5 * sizeof(double));
    }
    fill(6, 4);
    memset(the.categories, 0, sizeof the.categories);
    the.categories[1] = (struct ig_plot_categories){TEXTS, 2};
    the.data.names = NAMES;
    the.data.values = values;
    the.data.contributions = contributions;
    the.data.output = IG_STR("income >50K");
    the.data.prediction = IG_STR("<=50K");
    the.options.outliers = 1;
    for (int kind = 0; kind < IG_PLOT_KINDS_COUNT; kind++) {
        char path[96];
        struct ig_buf wanted;
        struct ig_err err = IG_ERR_INIT;
        snprintf(path, sizeof path, "tests/golden/plots/%s.svg",
                 ig_plot_at((enum ig_plot_kind)kind)->name);
        draw((enum ig_plot_kind)kind);
        if (write)
            assert_int_equal(ig_file_replace(IG_FILE_CWD, path, ig_buf_view(&svg), &err), IG_OK);
        ig_buf_init(&wanted, 1 << 20);
        assert_int_equal(ig_file_read(&wanted, IG_FILE_CWD, path, &err), IG_OK);
        assert_string_equal(svg.ptr, wanted.ptr);
        ig_buf_deinit(&wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_waterfall_chains),
        cmocka_unit_test(test_force_is_proportional),
        cmocka_unit_test(test_bars),
        cmocka_unit_test(test_cohorts),
        cmocka_unit_test(test_dots_are_counted),
        cmocka_unit_test(test_sample),
        cmocka_unit_test(test_special_rows),
        cmocka_unit_test(test_decision_lines),
        cmocka_unit_test(test_strongest),
        cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_missing_and_infinite),
        cmocka_unit_test(test_magnitudes),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_hostile_texts),
        cmocka_unit_test(test_buffer_limits),
        cmocka_unit_test(test_memory_runs_out),
        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_additivity_is_watched),
        cmocka_unit_test(test_golden),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
