/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "formats/plot/plot_svg.h"
#include "formats/plot/plot_testing.h"
#include "formats/plot/plot_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ig_buf svg;

static int setup(void **state)
{
    (void)state;
    ig_buf_init(&svg, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_buf_deinit(&svg);
    return 0;
}

static void assert_written(const char *wanted)
{
    assert_string_equal(svg.ptr, wanted);
    ig_buf_reset(&svg);
}

static void test_coordinates(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0"},       {-0.001, "0"},    {12, "12"}, {12.5, "12.5"},  {12.345, "12.35"},
                 {-0.5, "-0.5"}, {-7.05, "-7.05"}, {NAN, "0"}, {INFINITY, "0"}, {1e300, "0"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ig_plot_svg_number(&svg, cases[i].value);
        assert_written(cases[i].text);
    }
}

static void test_elements(void **state)
{
    (void)state;
    ig_plot_svg_rect(&svg, "up", (struct ig_plot_box){1, 2.5, 30, 4});
    ig_plot_svg_close(&svg);
    assert_written("<rect class=\"up\" x=\"1\" y=\"2.5\" width=\"30\" height=\"4\"/>\n");
    ig_plot_svg_line(&svg, "g", (double[]){1, 2}, (double[]){3, 4});
    assert_written("<path class=\"g\" d=\"M1 2L3 4\"/>\n");
    ig_plot_svg_dot(&svg, "v3", 5, 6);
    ig_plot_svg_tip(&svg);
    ig_plot_text_add(&svg, IG_STR("a<b"));
    ig_plot_svg_tip_end(&svg, "path");
    assert_written("<path class=\"v3\" d=\"M5 6h0\"><title>a&lt;b</title></path>\n");
}

static void test_labels(void **state)
{
    struct ig_plot_label label = {"e", 10, 20, 12, 60};
    (void)state;
    ig_plot_svg_label(&svg, &label, IG_STR("short"));
    assert_written("<text class=\"e\" x=\"10\" y=\"20\">short</text>\n");
    ig_plot_svg_label(&svg, &label, IG_STR("a long & winding name"));
    assert_written("<text class=\"e\" x=\"10\" y=\"20\"><title>a long &amp; winding name</title>"
                   "a long &amp;\u2026</text>\n");
    label.room = 0;
    ig_plot_svg_pair(&svg, &label, IG_STR("age"), IG_STR("39"));
    assert_written("<text class=\"e\" x=\"10\" y=\"20\"><tspan>age</tspan>"
                   "<tspan class=\"s\" dx=\"3.6\">=\u00a039</tspan></text>\n");
    ig_plot_svg_pair(&svg, &label, IG_STR("age"), IG_STR(""));
    assert_written("<text class=\"e\" x=\"10\" y=\"20\">age</text>\n");
}

/* Whichever is too long is cut; a short one is left whole. */
static void test_pairs_are_cut(void **state)
{
    struct ig_plot_label label = {"e", 10, 20, 12, 150};
    struct ig_str wordy = IG_STR("abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz");
    (void)state;
    ig_plot_svg_pair(&svg, &label, IG_STR("age"), wordy);
    assert_non_null(strstr(svg.ptr, "<tspan>age</tspan>"));
    assert_non_null(strstr(svg.ptr, "\u2026</tspan></text>"));
    ig_buf_reset(&svg);
    ig_plot_svg_pair(&svg, &label, wordy, IG_STR("39"));
    assert_non_null(
        strstr(svg.ptr, "\u2026</tspan><tspan class=\"s\" dx=\"3.6\">=\u00a039</tspan>"));
    ig_buf_reset(&svg);
    ig_plot_svg_pair(&svg, &label, wordy, wordy);
    assert_non_null(strstr(svg.ptr, "\u2026</tspan><tspan class=\"s\" dx=\"3.6\">=\u00a0a"));
    ig_buf_reset(&svg);
}

static double linear(unsigned long byte)
{
    double c = (double)byte / 255;
    return c <= 0.04045 ? c / 12.92 : pow((c + 0.055) / 1.055, 2.4);
}

/* Relative luminance (WCAG 2) of what a rule of the sheet paints with. */
static double luminance(const char *sheet, const char *selector)
{
    char key[24];
    snprintf(key, sizeof key, ".ig-plot %s{fill:#", selector);
    const char *found = strstr(sheet, key);
    assert_non_null(found);
    found += strlen(key);
    size_t digits = strspn(found, "0123456789abcdef");
    unsigned long colour = strtoul(found, NULL, 16);
    if (digits == 3)
        colour = (colour >> 8) * 0x110000 + (colour >> 4 & 15) * 0x1100 + (colour & 15) * 0x11;
    return 0.2126 * linear(colour >> 16) + 0.7152 * linear(colour >> 8 & 255) +
           0.0722 * linear(colour & 255);
}

static double contrast(const char *sheet, const char *a, const char *b)
{
    double x = luminance(sheet, a), y = luminance(sheet, b);
    return (fmax(x, y) + 0.05) / (fmin(x, y) + 0.05);
}

/* Texts 4.5 to 1 (WCAG AA), marks 3 to 1, the ramp's lightness rises from end to end: in light and
 * in dark. */
static void test_contrast(void **state)
{
    static const char *const TEXTS[] = {"text", ".s", ".up", ".dn"};
    static const char *const UNDER[] = {".up", ".dn", ".n"};
    static const char *const MARKS[] = {".vn", ".n", ".c0", ".c1", ".c2", ".c3", ".c4", ".c5"};
    (void)state;
    for (int theme = IG_PLOT_THEME_LIGHT; theme <= IG_PLOT_THEME_DARK; theme++) {
        ig_buf_reset(&svg);
        ig_plot_svg_style(&svg, (enum ig_plot_theme)theme, 100, 100);
        for (size_t i = 0; i < 4; i++) assert_true(contrast(svg.ptr, TEXTS[i], ".b") >= 4.5);
        for (size_t i = 0; i < 3; i++) assert_true(contrast(svg.ptr, UNDER[i], ".o") >= 4.5);
        for (size_t i = 0; i < 8; i++) assert_true(contrast(svg.ptr, MARKS[i], ".b") >= 3);
        double before = 0;
        for (int i = 0; i < IG_PLOT_RAMP; i++) {
            char name[] = {'.', 'v', (char)('0' + i), 0};
            assert_true(contrast(svg.ptr, name, ".b") >= 3);
            assert_true(luminance(svg.ptr, name) > before);
            before = luminance(svg.ptr, name);
        }
    }
    ig_buf_reset(&svg);
}

/* A theme that was asked for needs nothing of a renderer but plain rules; the viewer's is the light
 * one with the dark one's paints in a media query. */
static void test_themes(void **state)
{
    static const char QUERY[] = "@media(prefers-color-scheme:dark){";
    char *sheets[2], *paints, *end;
    (void)state;
    for (int theme = IG_PLOT_THEME_LIGHT; theme <= IG_PLOT_THEME_DARK; theme++) {
        ig_plot_svg_style(&svg, (enum ig_plot_theme)theme, 100, 100);
        assert_null(strstr(svg.ptr, "var("));
        assert_null(strstr(svg.ptr, "@media"));
        sheets[theme == IG_PLOT_THEME_DARK] = ig_buf_take(&svg);
    }
    assert_non_null(strstr(sheets[0], ".ig-plot .b{fill:#fff}"));
    assert_non_null(strstr(sheets[1], ".ig-plot .b{fill:#15181d}"));
    assert_non_null(strstr(sheets[1], ".ig-plot text{fill:#e8eaed}"));
    ig_plot_svg_style(&svg, IG_PLOT_THEME_AUTO, 100, 100);
    const char *query = strstr(svg.ptr, QUERY);
    assert_non_null(query);
    assert_memory_equal(svg.ptr, sheets[0], (size_t)(query - svg.ptr));
    paints = strstr(sheets[1], ".ig-plot text{fill:");
    end = strstr(sheets[1], ".ig-plot .h{");
    query += strlen(QUERY);
    assert_memory_equal(query, paints, (size_t)(end - paints));
    query += end - paints;
    assert_int_equal(*query++, '}');
    assert_string_equal(query, end); /* shapes after all paints */
    ig_free(sheets[0]);
    ig_free(sheets[1]);
    ig_buf_reset(&svg);
}

static void test_ramp(void **state)
{
    (void)state;
    assert_string_equal(ig_plot_svg_ramp(0), "v0");
    assert_string_equal(ig_plot_svg_ramp(-3), "v0");
    assert_string_equal(ig_plot_svg_ramp(0.5), "v4");
    assert_string_equal(ig_plot_svg_ramp(0.9999), "v8");
    assert_string_equal(ig_plot_svg_ramp(INFINITY), "v8");
    assert_string_equal(ig_plot_svg_ramp(NAN), "v0");
}

/* The tests' reader of XML is strict itself. */
static void test_reader(void **state)
{
    static const char *const BAD[] = {
        "<svg a=\"1\"><g></svg></g>\n",
        "<svg a=\"1\" a=\"2\"/>\n",
        "<svg a=\"<\"/>\n",
        "<svg a=\"1\">&nbsp;</svg>\n",
        "<svg a=\"1\">a & b</svg>\n",
        "<svg a=\"1\"/><g/>\n",
        "<svg a=1/>\n",
        "<svg a=\"1\">\x01</svg>\n",
        "<svg a=\"1\">\xff</svg>\n",
        "<svg a=\"1\">\uffff</svg>\n",
        "<svg a=\"1\">",
    };
    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        assert_false(xml_is_well_formed(ig_str_view(BAD[i])));
    assert_true(xml_is_well_formed(IG_STR("<svg a=\"&lt;\">\u20ac<g/>x &amp;</svg>\n")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_coordinates), cmocka_unit_test(test_elements),
        cmocka_unit_test(test_labels),      cmocka_unit_test(test_pairs_are_cut),
        cmocka_unit_test(test_contrast),    cmocka_unit_test(test_themes),
        cmocka_unit_test(test_ramp),        cmocka_unit_test(test_reader),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
