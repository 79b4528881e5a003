/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/quantize/steps.h"

#include <math.h>
#include <stdlib.h>

static void ranges_hold_zero(void **state)
{
    (void)state;
    static const struct {
        struct ig_range range;
        float scale;
        int32_t zero_point;
    } cases[] = {
        {{0, 255}, 1, -128},
        {{-255, 0}, 1, 127},
        {{-127.5F, 127.5F}, 1, 0}, /* -0.5 rounds away */
        {{10, 51}, 0.2F, -128},
        {{-51, -10}, 0.2F, 127},
        {{0, 0}, 1, 0},
        {{-2, 3.1F}, 0.02F, -28},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ig_steps steps = ig_steps_of_range(cases[i].range);
        assert_float_equal(steps.scale, cases[i].scale, 1e-7);
        assert_true(abs(steps.zero_point - cases[i].zero_point) <= (i == 2));
        assert_int_equal(ig_steps_quantize(steps, 0), steps.zero_point);
        struct ig_range ends = ig_steps_range(steps);
        assert_float_equal(ends.most - ends.least, 255 * steps.scale, 1e-4);
    }
}

static void rounds_and_saturates(void **state)
{
    (void)state;
    const struct ig_steps steps = {0.5F, 10};
    assert_int_equal(ig_steps_quantize(steps, 0.25F), 11);
    assert_int_equal(ig_steps_quantize(steps, -0.25F), 9);
    assert_int_equal(ig_steps_quantize(steps, 0.24F), 10);
    assert_int_equal(ig_steps_quantize(steps, 1e30F), 127);
    assert_int_equal(ig_steps_quantize(steps, -1e30F), -128);
    assert_int_equal(ig_steps_quantize(steps, INFINITY), 127);
    assert_int_equal(ig_steps_quantize(steps, NAN), 10);
}

static void operators_prescribe(void **state)
{
    (void)state;
    struct ig_steps steps;
    assert_true(ig_steps_fixed(IG_NETWORK_SOFTMAX, &steps));
    assert_true(steps.scale == 1.0F / 256 && steps.zero_point == -128);
    assert_true(ig_steps_fixed(IG_NETWORK_TANH, &steps));
    assert_true(steps.scale == 1.0F / 128 && steps.zero_point == 0);
    assert_false(ig_steps_fixed(IG_NETWORK_ADD, &steps));
    assert_true(ig_steps_shared(IG_NETWORK_RESHAPE) && ig_steps_shared(IG_NETWORK_AVERAGE_POOL_2D));
    assert_false(ig_steps_shared(IG_NETWORK_FULLY_CONNECTED));
}

static void weights_leave_room_for_the_bias(void **state)
{
    (void)state;
    const float values[] = {1, 9, -2.54F, 9, 0.5F, 9};
    struct ig_steps_weights weights = {values, 3, 2, 0, 0};
    assert_float_equal(ig_steps_weight_scale(&weights), 0.02F, 1e-8);
    weights.bias_most = 5;
    weights.input_scale = 0.1F;
    assert_float_equal(ig_steps_weight_scale(&weights), 0.02F, 1e-8);
    const float none[] = {0, 0};
    weights = (struct ig_steps_weights){none, 2, 1, 3, 0.1F};
    float scale = ig_steps_weight_scale(&weights);
    assert_float_equal(3 / (scale * 0.1F), 0x1p24F, 10); /* a bias alone keeps its number */
    weights.bias_most = 0;
    assert_true(ig_steps_weight_scale(&weights) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_hold_zero), cmocka_unit_test(rounds_and_saturates),
        cmocka_unit_test(operators_prescribe), cmocka_unit_test(weights_leave_room_for_the_bias)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
