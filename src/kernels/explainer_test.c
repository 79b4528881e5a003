/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/explainer.h"

#include <string.h>

static void test_every_method_has_its_own_name_and_doc(void **state)
{
    (void)state;
    for (unsigned i = 0; i < IG_EXPLAINERS_COUNT; i++) {
        enum ig_explainer found = IG_EXPLAINERS_COUNT;
        const char *name = ig_explainer_name((enum ig_explainer)i);
        assert_true(ig_explainer_parse(ig_str_view(name), &found));
        assert_int_equal(found, i);
        assert_true(strlen(ig_explainer_doc((enum ig_explainer)i)) > 20);
    }
}

static void test_unknown_name_is_refused(void **state)
{
    (void)state;
    enum ig_explainer found = IG_EXPLAINERS_COUNT;
    assert_false(ig_explainer_parse(IG_STR("tree_path"), &found));
    assert_int_equal(found, IG_EXPLAINERS_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_method_has_its_own_name_and_doc),
        cmocka_unit_test(test_unknown_name_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
