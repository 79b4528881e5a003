/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/plot/plot_axis.h"

#include <math.h>
#include <string.h>

static struct ig_plot_scale scale_of(double low, double high, double from, double to)
{
    struct ig_plot_scale scale = ig_plot_scale_over(low, high);
    scale.from = from;
    scale.to = to;
    return scale;
}

static void test_scale(void **state)
{
    (void)state;
    struct ig_plot_scale scale = scale_of(-1, 3, 100, 500);
    assert_true(ig_plot_scale_at(&scale, -1) == 100 && ig_plot_scale_at(&scale, 3) == 500);
    assert_true(ig_plot_scale_at(&scale, 0) == 200);
    static const double POINTS[] = {0, -2.5, 1e-320, 1e15, -1e290, 7e-9};
    for (size_t i = 0; i < sizeof POINTS / sizeof *POINTS; i++) {
        scale = scale_of(POINTS[i], POINTS[i], 0, 100);
        assert_true(scale.high > scale.low);
        assert_true(fabs(ig_plot_scale_at(&scale, POINTS[i]) - 50) < 1e-6);
    }
}

static void assert_texts(const struct ig_plot_ticks *ticks, const char *wanted)
{
    char joined[1024] = "";
    for (unsigned i = 0; i < ticks->count; i++) {
        strncat(joined, i ? " " : "", sizeof joined - strlen(joined) - 1);
        strncat(joined, ticks->ticks[i].text, sizeof joined - strlen(joined) - 1);
    }
    assert_string_equal(joined, wanted);
}

static void test_nice_ticks(void **state)
{
    struct ig_plot_ticks ticks;
    (void)state;
    struct ig_plot_scale scale = scale_of(-1.3, 2.2, 0, 500);
    ig_plot_ticks_nice(&ticks, &scale, 70, true);
    assert_texts(&ticks, "\u22121.0 \u22120.5 0 0.5 1.0 1.5 2.0");
    scale = scale_of(0, 83000, 0, 500);
    ig_plot_ticks_nice(&ticks, &scale, 70, true);
    assert_texts(&ticks, "0 20,000 40,000 60,000 80,000");
    scale = scale_of(0, 3e-9, 0, 300);
    ig_plot_ticks_nice(&ticks, &scale, 70, true);
    assert_texts(&ticks, "0 1e-9 2e-9 3e-9");
}

/* Whatever the range: on the axis, evenly spread, texts that differ and do not touch. */
static void test_ticks_hold(void **state)
{
    static const double LOWS[] = {0, -1, 999999.5, -3e12, 1e-9, -1e289, 1e15, 0.3};
    static const double SPANS[] = {1, 1e-3, 7.3, 1e6, 2e12, 3e-10, 1.9e289, 1e-290};
    struct ig_plot_ticks ticks;
    (void)state;
    for (size_t i = 0; i < sizeof LOWS / sizeof *LOWS; i++)
        for (size_t k = 0; k < sizeof SPANS / sizeof *SPANS; k++) {
            struct ig_plot_scale scale = scale_of(LOWS[i], LOWS[i] + SPANS[k], 50, 700);
            ig_plot_ticks_nice(&ticks, &scale, 70, true);
            assert_true(ticks.count <= IG_PLOT_TICKS_MAX);
            for (unsigned t = 0; t < ticks.count; t++) {
                assert_true(ticks.ticks[t].at > 49.9 && ticks.ticks[t].at < 700.1);
                if (!t) continue;
                double width = ig_plot_text_width(ig_str_view(ticks.ticks[t].text), IG_PLOT_TICK);
                assert_true(ticks.ticks[t].at - ticks.ticks[t - 1].at >= width);
                assert_string_not_equal(ticks.ticks[t].text, ticks.ticks[t - 1].text);
            }
        }
}

static void test_link_values(void **state)
{
    (void)state;
    struct ig_plot_data logit = {.link = IG_PLOT_LINK_LOGIT}, scaled = logit;
    scaled.link_scale = 2;
    struct ig_plot_data power = {.link = IG_PLOT_LINK_LOG}, none = {0};
    assert_true(fabs(ig_plot_link_value(&logit, 1) - 0.73105857863000490) < 1e-15);
    assert_true(ig_plot_link_value(&scaled, 0.5) == ig_plot_link_value(&logit, 1));
    assert_true(fabs(ig_plot_link_value(&power, 2) - 7.3890560989306504) < 1e-14);
    assert_true(ig_plot_link_value(&none, -3) == -3);
}

static void test_link_ticks(void **state)
{
    struct ig_plot_ticks ticks;
    struct ig_plot_data data = {.link = IG_PLOT_LINK_LOGIT};
    (void)state;
    struct ig_plot_scale scale = scale_of(-8, 8, 0, 700);
    ig_plot_ticks_link(&ticks, &scale, &data);
    assert_texts(&ticks, "0.5 0.1 0.9 0.25 0.75 0.01 0.99 0.001 0.999");
    for (unsigned i = 0; i < ticks.count; i++) {
        double p = ticks.ticks[i].value, at = ig_plot_scale_at(&scale, log(p / (1 - p)));
        assert_true(fabs(ticks.ticks[i].at - at) < 1e-9);
    }
    scale = scale_of(15, 40, 0, 700);
    ig_plot_ticks_link(&ticks, &scale, &data);
    assert_texts(&ticks, "1\u22121e-8 1\u22121e-12");
    scale = scale_of(0.1, 0.3, 0, 700);
    ig_plot_ticks_link(&ticks, &scale, &data);
    assert_true(ticks.count >= 4);
    data.link = IG_PLOT_LINK_LOG;
    scale = scale_of(0, 4.7, 0, 700);
    ig_plot_ticks_link(&ticks, &scale, &data);
    assert_texts(&ticks, "1 10 100 5 50 2 20");
    scale = scale_of(-800, 800, 0, 700); /* beyond a double */
    ig_plot_ticks_link(&ticks, &scale, &data);
    data.link = IG_PLOT_LINK_IDENTITY;
    ig_plot_ticks_link(&ticks, &scale, &data);
    assert_int_equal(ticks.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scale),      cmocka_unit_test(test_nice_ticks),
        cmocka_unit_test(test_ticks_hold), cmocka_unit_test(test_link_values),
        cmocka_unit_test(test_link_ticks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
