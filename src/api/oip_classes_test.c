/* SPDX-License-Identifier: Apache-2.0 */
/* Ranks and texts; the wanted texts are those of std::to_string. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/oip_classes.h"

#include <math.h>
#include <string.h>

static struct ig_str names[] = {{"apple", 5}, {"pear", 4}, {"fig", 3}, {"plum", 4}};
static const struct ig_schema four = {.classes = names, .classes_count = 4};
static const struct ig_schema two = {.classes = names, .classes_count = 2};
static const struct ig_schema none = {0};
static struct ig_arena arena;

static void check(const struct ig_oip_classes *classes, const struct ig_schema *schema,
                  const char *const *wanted)
{
    struct ig_buf text;
    ig_buf_init(&text, 4096);
    for (size_t i = 0; i < classes->count; i++) {
        ig_buf_reset(&text);
        ig_oip_classes_write(&text, classes, i, schema);
        assert_string_equal(text.ptr, wanted[i]);
    }
    ig_buf_deinit(&text);
}

static struct ig_oip_classes *make(struct ig_model *model, enum ig_oip_result result,
                                   uint32_t wanted)
{
    struct ig_package package = {.model = model};
    const struct ig_servable face = {.package = &package};
    struct ig_err err = IG_ERR_INIT;
    struct ig_oip_classes *classes = NULL;
    assert_int_equal(ig_oip_classes_new(&classes, result, &face, wanted, &arena, &err), IG_OK);
    return classes;
}

static void test_ranks(void **state)
{
    (void)state;
    static const double ROW[] = {1, 5, 10, 4}, TIES[] = {0.5, (double)NAN, 0.5, 1e10};
    struct ig_model model = {.outputs_count = 4, .predictions_count = 4};
    struct ig_oip_classes *classes = make(&model, IG_OIP_MARGINS, 3);
    assert_int_equal(classes->count, 3);
    ig_oip_classes_rank(classes, ROW);
    check(classes, &four,
          (const char *const[]){"10.000000:2:fig", "5.000000:1:pear", "4.000000:3:plum"});
    check(classes, &two, (const char *const[]){"10.000000:2", "5.000000:1", "4.000000:3"});
    classes = make(&model, IG_OIP_PREDICTIONS, 99);
    assert_int_equal(classes->count, 4);
    ig_oip_classes_rank(classes, TIES);
    check(classes, &none,
          (const char *const[]){"10000000000.000000:3", "0.500000:0", "0.500000:2", "nan:1"});
}

static void test_binary(void **state)
{
    (void)state;
    static const double LOW = 0.25;
    struct ig_model model = {
        .outputs_count = 1, .predictions_count = 1, .transform = IG_TRANSFORM_SIGMOID};
    struct ig_oip_classes *classes = make(&model, IG_OIP_PREDICTIONS, 5);
    ig_oip_classes_rank(classes, &LOW);
    check(classes, &two, (const char *const[]){"0.750000:0:apple", "0.250000:1:pear"});
    classes = make(&model, IG_OIP_MARGINS, 5);
    ig_oip_classes_rank(classes, &LOW);
    assert_int_equal(classes->count, 1);
    check(classes, &two, (const char *const[]){"0.250000:0"});
    model.transform = IG_TRANSFORM_IDENTITY;
    classes = make(&model, IG_OIP_PREDICTIONS, 1);
    ig_oip_classes_rank(classes, &LOW);
    check(classes, &none, (const char *const[]){"0.250000:0"});
}

static void test_refuses(void **state)
{
    (void)state;
    static const enum ig_oip_result OTHERS[] = {IG_OIP_LABELS, IG_OIP_SHAP_VALUES,
                                                IG_OIP_BASE_VALUE};
    struct ig_model model = {.outputs_count = 1, .predictions_count = 1};
    struct ig_package package = {.model = &model};
    const struct ig_servable face = {.package = &package};
    for (int i = 0; i < 3; i++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_oip_classes *classes = NULL;
        assert_int_equal(ig_oip_classes_new(&classes, OTHERS[i], &face, 1, &arena, &err),
                         IG_INVALID);
        assert_non_null(strstr(err.message, "classification: only"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_refuses),
    };
    ig_arena_init(&arena, 4096, 1 << 20);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ig_arena_deinit(&arena);
    return failed;
}
