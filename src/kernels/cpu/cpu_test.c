/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

static void test_names_go_both_ways(void **state)
{
    (void)state;
    for (unsigned i = 0; i < IG_ISAS_COUNT; i++) {
        enum ig_isa isa = IG_ISAS_COUNT;
        assert_true(ig_isa_parse(ig_str_view(ig_isa_name((enum ig_isa)i)), &isa));
        assert_int_equal(isa, i);
    }
    enum ig_isa isa = IG_ISA_AVX2;
    assert_false(ig_isa_parse(IG_STR("sse9"), &isa));
    assert_int_equal(isa, IG_ISA_AVX2);
}

static void test_environment_caps_but_never_raises(void **state)
{
    (void)state;
    unsetenv("INGOT_ISA");
    enum ig_isa greatest = ig_cpu_isa();
    for (unsigned i = 0; i < IG_ISAS_COUNT; i++) {
        setenv("INGOT_ISA", ig_isa_name((enum ig_isa)i), 1);
        assert_int_equal(ig_cpu_isa(), i < greatest ? i : greatest);
        if (i < IG_ISA_AVX512) assert_false(ig_cpu_permutes_bytes());
    }
    setenv("INGOT_ISA", "fastest", 1);
    assert_int_equal(ig_cpu_isa(), greatest);
    unsetenv("INGOT_ISA");
}

static void test_model_name_is_cut_to_the_room(void **state)
{
    (void)state;
    char whole[64];
    char cut[5];
    ig_cpu_model(whole, sizeof whole);
    ig_cpu_model(cut, sizeof cut);
    assert_memory_equal(cut, whole, strlen(cut));
    assert_true(strlen(cut) <= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_go_both_ways),
        cmocka_unit_test(test_environment_caps_but_never_raises),
        cmocka_unit_test(test_model_name_is_cut_to_the_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
