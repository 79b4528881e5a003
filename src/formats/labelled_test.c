/* SPDX-License-Identifier: Apache-2.0 */
/* Rows with labels, of classes by name and by number, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/labelled.h"

#include <math.h>

static struct ig_feature features[] = {{.name = {"a", 1}}, {.name = {"b", 1}}};
static struct ig_str classes[] = {{"no", 2}, {"yes", 3}};

static enum ig_code read(struct ig_labelled *out, struct ig_arena *arena, const char *csv,
                         const char *target, enum ig_task task, bool named, struct ig_err *err)
{
    struct ig_schema schema = {.features = features, .features_count = 2, .task = task};
    if (named) {
        schema.classes = classes;
        schema.classes_count = 2;
    }
    assert_int_equal(ig_schema_index(&schema, err), IG_OK);
    enum ig_code code =
        ig_labelled_read(out, arena, ig_str_view(csv), &schema, ig_str_view(target), err);
    ig_schema_deinit(&schema);
    return code;
}

static void test_rows_and_labels(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_labelled out;
    struct ig_arena arena;
    ig_arena_init(&arena, 4096, 1 << 20);
    assert_int_equal(
        read(&out, &arena, "b,x,y,a\n1,7,yes,2\n3,7,no,\n", "y", IG_TASK_BINARY, true, &err),
        IG_OK);
    assert_int_equal(out.rows_count, 2);
    assert_true(out.rows[0] == 2 && out.rows[1] == 1 && isnan(out.rows[2]) && out.rows[3] == 3);
    assert_true(out.labels[0] == 1 && out.labels[1] == 0);
    assert_int_equal(
        read(&out, &arena, "a,b,y\n1,2,2\n1,2,0\n", "y", IG_TASK_MULTICLASS, false, &err), IG_OK);
    assert_true(out.labels[0] == 2 && out.labels[1] == 0);
    assert_int_equal(read(&out, &arena, "a,b,y\n1,2,-2.5\n", "y", IG_TASK_REGRESSION, false, &err),
                     IG_OK);
    assert_true(out.labels[0] == -2.5);
    assert_int_equal(read(&out, &arena, "a,b\n1,2\n", "", IG_TASK_REGRESSION, false, &err), IG_OK);
    assert_null(out.labels);
    ig_arena_deinit(&arena);
}

static void refused(const char *csv, enum ig_task task, bool named, const char *message)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_labelled out;
    struct ig_arena arena;
    ig_arena_init(&arena, 4096, 1 << 20);
    assert_int_equal(read(&out, &arena, csv, "y", task, named, &err), IG_INVALID);
    if (!strstr(err.message, message)) fail_msg("'%s', expected '%s'", err.message, message);
    ig_arena_deinit(&arena);
}

static void test_refusals(void **state)
{
    (void)state;
    refused("a,b,z\n1,2,3\n", IG_TASK_REGRESSION, false, "'y' is no column");
    refused("a,b,y\n1,2,3\n1,2,\n", IG_TASK_REGRESSION, false,
            "column 'y', row 2: '' is no number");
    refused("a,b,y\n1,2,maybe\n", IG_TASK_BINARY, true, "row 1: 'maybe' is no class of the model");
    refused("a,b,y\n1,2,\n1,2,yes\n", IG_TASK_BINARY, true, "row 1: '' is no class of the model");
    refused("a,b,y\n1,2,0.5\n", IG_TASK_BINARY, false, "'0.5' is no number of a class");
    refused("a,y\n1,2\n", IG_TASK_REGRESSION, false, "b");
    refused("a,b,y\n", IG_TASK_REGRESSION, false, "no rows");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_and_labels),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
