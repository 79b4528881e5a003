/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "kernels/quantize/histogram.h"

#include <math.h>
#include <string.h>

static uint64_t total(const struct ig_histogram *h)
{
    uint64_t sum = 0;
    for (int i = 0; i < IG_HISTOGRAM_BINS; i++) sum += h->bins[i];
    return sum;
}

static void ranges_double(void **state)
{
    (void)state;
    static struct ig_histogram h;
    memset(&h, 0, sizeof h);
    const float small[] = {0, 0.5F, 1}, up[] = {1000}, down[] = {-1e6F}, odd[] = {NAN, INFINITY, 3};
    ig_histogram_add(&h, small, 3);
    assert_true(h.low == 0 && total(&h) == 3);
    ig_histogram_add(&h, up, 1);
    ig_histogram_add(&h, down, 1);
    ig_histogram_add(&h, odd, 3);
    assert_true(total(&h) == 6 && h.count == 6);
    assert_true(h.low <= -1e6 && h.low + h.width * IG_HISTOGRAM_BINS >= 1000);
    assert_float_equal(h.ends.least, -1e6F, 0);
    assert_float_equal(h.ends.most, 1000, 0);
    size_t first = (size_t)((-1e6 - h.low) / h.width);
    assert_int_equal(h.bins[first], 1);
    struct ig_range all = ig_histogram_range(&h, IG_CALIBRATE_MIN_MAX);
    assert_true(all.least == -1e6F && all.most == 1000);
    const float same[] = {7, 7};
    memset(&h, 0, sizeof h);
    for (int c = 0; c < IG_CALIBRATORS_COUNT; c++) {
        struct ig_range none = ig_histogram_range(&h, (enum ig_calibrator)c);
        assert_true(none.least == 0 && none.most == 0);
    }
    ig_histogram_add(&h, same, 2);
    for (int c = 0; c < IG_CALIBRATORS_COUNT; c++) {
        struct ig_range one = ig_histogram_range(&h, (enum ig_calibrator)c);
        assert_float_equal(one.most, 7, 1e-5);
    }
}

/* A million numbers of a bell with one far off. */
static void fill_bell(struct ig_histogram *h, float outlier)
{
    enum { BATCH = 1000 };
    float values[BATCH];
    struct ig_rng rng;
    ig_rng_seed(&rng, 3);
    memset(h, 0, sizeof *h);
    for (int batch = 0; batch < 300; batch++) {
        for (int i = 0; i < BATCH; i++) {
            double sum = -3;
            for (int k = 0; k < 3; k++) sum += 2 * ig_rng_unit(&rng);
            values[i] = (float)sum;
        }
        if (batch == 20) values[5] = outlier;
        ig_histogram_add(h, values, BATCH);
    }
}

static void calibrators_cut_outliers(void **state)
{
    (void)state;
    static struct ig_histogram h;
    fill_bell(&h, 20);
    assert_int_equal(h.count, 300000);
    assert_float_equal(ig_histogram_range(&h, IG_CALIBRATE_MIN_MAX).most, 20, 0);
    struct ig_range average = ig_histogram_range(&h, IG_CALIBRATE_MOVING_AVERAGE);
    assert_true(average.most > 2.3F && average.most < 3.5F && average.least < -2.3F);
    struct ig_range percentile = ig_histogram_range(&h, IG_CALIBRATE_PERCENTILE);
    assert_true(percentile.most > 2.8F && percentile.most < 3.1F && percentile.least > -3.1F);
    struct ig_range mse = ig_histogram_range(&h, IG_CALIBRATE_MSE);
    struct ig_range kl = ig_histogram_range(&h, IG_CALIBRATE_KL);
    if (!(mse.most < 20 && mse.most > 2)) fail_msg("mse %g", (double)mse.most);
    if (!(kl.most < 20 && kl.most > 2)) fail_msg("kl %g", (double)kl.most);
}

/* Numbers spread from -0.9 to 0.9 and one 100: with few others, what 100 would lose is more than
 * all their rounding; with many it is less. */
static void mse_weighs_both(void **state)
{
    (void)state;
    static struct ig_histogram h;
    static float values[30000];
    memset(&h, 0, sizeof h);
    for (int i = 0; i < 30000; i++) values[i] = (float)(i - 15000) * 6e-5F;
    values[0] = 100;
    ig_histogram_add(&h, values, 30000);
    assert_true(ig_histogram_range(&h, IG_CALIBRATE_MSE).most > 50);
    values[0] = 0;
    for (int i = 0; i < 300; i++) ig_histogram_add(&h, values, 30000);
    struct ig_range kept = ig_histogram_range(&h, IG_CALIBRATE_MSE);
    assert_true(kept.most < 50 && kept.least <= -0.89F);
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(ig_calibrator_name(IG_CALIBRATE_MIN_MAX), "min_max");
    assert_string_equal(ig_calibrator_name(IG_CALIBRATE_MSE), "mse");
    assert_string_equal(ig_calibrator_name(IG_CALIBRATORS_COUNT), "unknown");
    assert_true(sizeof(struct ig_histogram) <= 32 * 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ranges_double),
                                       cmocka_unit_test(calibrators_cut_outliers),
                                       cmocka_unit_test(mse_weighs_both), cmocka_unit_test(names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
