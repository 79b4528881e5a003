/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "kernels/stats/sketch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 20001 };

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double draw(int kind, struct ig_rng *rng)
{
    double u = ig_rng_unit(rng), v = ig_rng_unit(rng);
    switch (kind) {
    case 0:
        return u;
    case 1:
        return -log(1 - u) * 1e-3;
    case 2:
        return 1 / pow(1 - u, 2); /* heavy */
    case 3:
        return sqrt(-2 * log(1 - u)) * cos(6.283185307179586 * v); /* both signs */
    default:
        return floor(u * 3) - 1; /* -1, 0, 1 */
    }
}

/* Every quantile within the stated error of the value at its rank. */
static void test_quantiles(void **state)
{
    (void)state;
    static double values[N];
    static struct ig_sketch sketch;
    struct ig_rng rng;
    ig_rng_seed(&rng, 4);
    for (int kind = 0; kind < 5; kind++) {
        memset(&sketch, 0, sizeof sketch);
        double sum = 0;
        for (int i = 0; i < N; i++) {
            values[i] = draw(kind, &rng);
            ig_sketch_add(&sketch, values[i]);
            sum += values[i];
        }
        qsort(values, N, sizeof *values, compare);
        assert_true(sketch.sum == sum);
        for (int i = 0; i <= 1000; i++) {
            double q = i / 1000.0, got = ig_sketch_quantile(&sketch, q);
            double want = values[(size_t)(q * (N - 1))];
            if (!(fabs(got - want) <= IG_SKETCH_ERROR * fabs(want) * 1.0001 + IG_SKETCH_MIN))
                fail_msg("kind %d q %g: %g, wanted %g", kind, q, got, want);
        }
        for (int i = 0; i < N; i += 97) {
            uint64_t above = ig_sketch_above(&sketch, values[i]);
            size_t low = 0, high = 0; /* beyond the bucket's width on either side */
            double width = 2.1 * IG_SKETCH_ERROR * fabs(values[i]) + IG_SKETCH_MIN;
            for (int j = 0; j < N; j++) {
                low += values[j] > values[i] + width;
                high += values[j] > values[i] - width;
            }
            assert_true(above >= low && above <= high);
        }
    }
}

static void test_merge_is_concatenation(void **state)
{
    (void)state;
    static struct ig_sketch all, parts[2];
    struct ig_rng rng;
    ig_rng_seed(&rng, 5);
    for (int i = 0; i < 5000; i++) {
        double value = draw(3, &rng);
        ig_sketch_add(&all, value);
        ig_sketch_add(&parts[i % 2], value);
    }
    ig_sketch_merge(&parts[0], &parts[1]);
    assert_true(fabs(parts[0].sum - all.sum) < 1e-9);
    parts[0].sum = all.sum;
    assert_memory_equal(&parts[0], &all, sizeof all);
}

static void test_edges(void **state)
{
    (void)state;
    static struct ig_sketch sketch, other;
    assert_true(isnan(ig_sketch_quantile(&sketch, 0.5)));
    assert_true(isnan(ig_sketch_psi(&sketch, &other)));
    ig_sketch_add(&sketch, NAN);
    assert_int_equal(sketch.count, 0);
    ig_sketch_add(&sketch, 1e300);
    ig_sketch_add(&sketch, INFINITY);
    ig_sketch_add(&sketch, -INFINITY);
    ig_sketch_add(&sketch, 0);
    assert_int_equal(sketch.count, 4);
    assert_true(ig_sketch_quantile(&sketch, 0) < -9e8);
    assert_true(ig_sketch_quantile(&sketch, 1) > 9e8);
}

static void test_psi(void **state)
{
    (void)state;
    static struct ig_sketch base, same, shifted;
    struct ig_rng rng;
    ig_rng_seed(&rng, 6);
    for (int i = 0; i < 20000; i++) {
        ig_sketch_add(&base, draw(3, &rng));
        ig_sketch_add(&same, draw(3, &rng));
        ig_sketch_add(&shifted, draw(3, &rng) + 0.5);
    }
    assert_true(ig_sketch_psi(&base, &base) == 0);
    assert_true(ig_sketch_psi(&base, &same) < 0.01);
    double psi = ig_sketch_psi(&base, &shifted); /* 0.25 for normals half a deviation apart */
    assert_true(psi > 0.2 && psi < 0.3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantiles),
        cmocka_unit_test(test_merge_is_concatenation),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_psi),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
