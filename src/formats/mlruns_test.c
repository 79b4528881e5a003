/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/mlruns.h"

#include <math.h>
#include <string.h>

static struct ig_arena arena;

static int setup(void **state)
{
    (void)state;
    ig_arena_init(&arena, 4096, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_arena_deinit(&arena);
    return 0;
}

static void test_meta(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    const struct ig_yaml *meta = NULL;
    struct ig_buf text;
    ig_buf_init(&text, 1 << 16);
    ig_mlruns_add_text(&text, "name", IG_STR("it's \"so\": #1\n"));
    ig_mlruns_add_i64(&text, "status", 3);
    ig_buf_add_cstr(&text, "tags: []\nuser_id: null\nword: 'null'\n");
    assert_int_equal(ig_mlruns_meta_read(&meta, ig_buf_view(&text), &arena, &err), IG_OK);
    assert_true(ig_str_is(ig_mlruns_text(meta, "name"), "it's \"so\": #1\n"));
    assert_int_equal(ig_mlruns_i64(meta, "status", -1), 3);
    assert_int_equal(ig_mlruns_i64(meta, "name", -1), -1);
    assert_int_equal(ig_mlruns_text(meta, "tags").len, 0);
    assert_int_equal(ig_mlruns_text(meta, "user_id").len, 0);
    assert_true(ig_str_is(ig_mlruns_text(meta, "word"), "null"));
    assert_int_equal(ig_mlruns_text(meta, "none").len, 0);
    assert_int_equal(ig_mlruns_meta_read(&meta, IG_STR("- a\n"), &arena, &err), IG_PARSE);
    assert_non_null(strstr(err.message, "a mapping was expected"));
    ig_buf_deinit(&text);
}

static void test_points(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_mlruns_points points = {0};
    struct ig_buf text;
    assert_int_equal(
        ig_mlruns_points_read(&points, IG_STR("5 0.1 7\n\n6 nan\n7 -inf -1 d 1\n"), &arena, &err),
        IG_OK);
    assert_int_equal(points.count, 3);
    assert_true(points.items[0].value == 0.1 && points.items[0].step == 7);
    assert_int_equal(points.items[0].at_ms, 5);
    assert_true(isnan(points.items[1].value) && points.items[1].step == 0);
    assert_true(isinf(points.items[2].value) && points.items[2].step == -1);
    ig_buf_init(&text, 1 << 10);
    for (size_t i = 0; i < points.count; i++) ig_mlruns_point_write(&text, points.items[i]);
    assert_string_equal(text.ptr, "5 0.1 7\n6 nan 0\n7 -inf -1\n");
    ig_buf_deinit(&text);
    assert_int_equal(ig_mlruns_points_read(&points, IG_STR("1 2 3\n1 x 3\n"), &arena, &err),
                     IG_PARSE);
    assert_non_null(strstr(err.message, "line 2: '1 x 3' is not a time"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_meta, setup, teardown),
        cmocka_unit_test_setup_teardown(test_points, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
