/* SPDX-License-Identifier: Apache-2.0 */
/* Names, and what counts as a split; the values of real models are in formats. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/explain/importance.h"

#include <string.h>

static struct ig_node nodes[] = {
    {.op = IG_NODE_LE, .feature = 1, .cover = 10, .left = 1, .right = 2},
    {.op = IG_NODE_LEAF, .cover = 4},
    {.op = IG_NODE_LE, .feature = 1, .cover = 6, .left = 3, .right = 4},
    {.op = IG_NODE_LEAF, .cover = 2},
    {.op = IG_NODE_LEAF, .cover = 4},
};
static double gains[] = {8, 0, 0, 0, 0};

static void test_kinds(void **state)
{
    static const double WANT[][2] = {
        /* XGBoost counts both splits, LightGBM the one that gained. */
        [IG_IMPORTANCE_SPLIT] = {2, 1},         [IG_IMPORTANCE_GAIN] = {4, 8},
        [IG_IMPORTANCE_TOTAL_GAIN] = {8, 8},    [IG_IMPORTANCE_COVER] = {8, 10},
        [IG_IMPORTANCE_TOTAL_COVER] = {16, 10},
    };
    struct ig_model model = {.nodes = nodes, .nodes_count = 5, .gains = gains, .features_count = 3};
    struct ig_err err = IG_ERR_INIT;
    (void)state;
    for (int library = 0; library < 2; library++)
        for (int kind = 0; kind < IG_IMPORTANCES_COUNT; kind++) {
            double out[3];
            model.sum_rule = library ? IG_SUM_F64 : IG_SUM_F32_BASE_FIRST;
            assert_int_equal(ig_importance_run(out, &model, (enum ig_importance)kind, &err), IG_OK);
            assert_true(out[0] == 0 && out[2] == 0);
            assert_true(out[1] == WANT[kind][library]);
        }
    double out[3];
    model.gains = NULL;
    model.covers_counted = true;
    assert_int_equal(ig_importance_run(out, &model, IG_IMPORTANCE_SPLIT, &err), IG_OK);
    assert_int_equal(ig_importance_run(out, &model, IG_IMPORTANCE_GAIN, &err), IG_UNSUPPORTED);
    assert_string_equal(err.message, "kind: the model's file has no gains of splits");
    err = IG_ERR_INIT;
    assert_int_equal(ig_importance_run(out, &model, IG_IMPORTANCE_COVER, &err), IG_UNSUPPORTED);
    assert_string_equal(err.message, "kind: the model's file has no covers of nodes");
}

static void test_gather(void **state)
{
    static const double VALUES[] = {1, 2, 4, 8};
    static const uint32_t OF[] = {1, 0, 1, 2};
    const struct ig_players players = {OF, 3};
    double out[3];
    (void)state;
    ig_importance_gather(out, VALUES, 4, &players);
    assert_true(out[0] == 2 && out[1] == 5 && out[2] == 8);
    assert_int_equal(ig_importance_sum(IG_IMPORTANCE_GAIN), IG_IMPORTANCE_TOTAL_GAIN);
    assert_int_equal(ig_importance_sum(IG_IMPORTANCE_COVER), IG_IMPORTANCE_TOTAL_COVER);
    assert_int_equal(ig_importance_sum(IG_IMPORTANCE_TOTAL_COVER), IG_IMPORTANCE_TOTAL_COVER);
    assert_int_equal(ig_importance_sum(IG_IMPORTANCE_SPLIT), IG_IMPORTANCE_SPLIT);
}

static void test_names(void **state)
{
    enum ig_importance kind = IG_IMPORTANCE_SPLIT;
    (void)state;
    assert_true(ig_importance_parse(IG_STR("total_gain"), &kind));
    assert_int_equal(kind, IG_IMPORTANCE_TOTAL_GAIN);
    assert_false(ig_importance_parse(IG_STR("gains"), &kind));
    assert_string_equal(ig_importance_name(IG_IMPORTANCE_COVER), "cover");
    assert_true(strlen(ig_importance_doc(IG_IMPORTANCE_COVER)) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_gather),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
