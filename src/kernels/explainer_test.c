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

/* By the options that have been told apart before there was a table. */
static void test_options(void **state)
{
    (void)state;
    const enum ig_explainer exact[] = {IG_EXPLAINER_EXACT}, lime[] = {IG_EXPLAINER_LIME},
                            any[] = {IG_EXPLAINER_EXACT, IG_EXPLAINER_LEVERAGE};
    const unsigned samples = 1U << IG_EXPLAIN_OPTION_SAMPLES,
                   class_name = 1U << IG_EXPLAIN_OPTION_CLASS;
    struct ig_err err = IG_ERR_INIT;
    for (unsigned i = 0; i < IG_EXPLAIN_OPTIONS_COUNT; i++) {
        enum ig_explain_option found = IG_EXPLAIN_OPTIONS_COUNT, option = (enum ig_explain_option)i;
        unsigned takers = 0;
        const char *name = ig_explain_option_name(option, IG_EXPLAIN_OF_REQUESTS);
        assert_true(ig_explain_option_parse(ig_str_view(name), &found));
        assert_int_equal(found, i);
        for (unsigned m = 0; m < IG_EXPLAINERS_COUNT; m++)
            takers += ig_explainer_takes_option((enum ig_explainer)m, option);
        assert_true(takers > 0 && takers < IG_EXPLAINERS_COUNT);
    }
    assert_int_equal(ig_explain_options_check(samples, any, 2, IG_EXPLAIN_OF_CLI, &err), IG_OK);
    assert_int_equal(
        ig_explain_options_check(samples | class_name, lime, 1, IG_EXPLAIN_OF_CLI, &err), IG_OK);
    assert_int_equal(ig_explain_options_check(samples, exact, 1, IG_EXPLAIN_OF_CLI, &err),
                     IG_INVALID);
    assert_string_equal(err.message, "--samples: method exact takes none; it is for leverage, "
                                     "permutation, lime, lime_exact, counterfactual");
    err = IG_ERR_INIT;
    assert_int_equal(ig_explain_options_check(class_name, any, 2, IG_EXPLAIN_OF_REQUESTS, &err),
                     IG_INVALID);
    assert_string_equal(err.message, "class: what may be chosen by time takes none; it is for "
                                     "lime, lime_exact");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_method_has_its_own_name_and_doc),
        cmocka_unit_test(test_unknown_name_is_refused),
        cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
