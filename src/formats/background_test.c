/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/background.h"

#include <math.h>
#include <string.h>

static struct ig_feature features[] = {{.name = {"a", 1}}, {.name = {"b", 1}}};
static struct ig_schema schema = {.features = features, .features_count = 2};

static int setup(void **state)
{
    struct ig_err err = IG_ERR_INIT;
    (void)state;
    return ig_schema_index(&schema, &err) == IG_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    ig_schema_deinit(&schema);
    return 0;
}

/* More rows than a block holds, columns in another order, one that is no feature. */
static void test_rows(void **state)
{
    struct ig_background_table *table;
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf csv;
    (void)state;
    ig_buf_init(&csv, 1 << 20);
    ig_buf_add_cstr(&csv, "id,b,a\n");
    for (int i = 0; i < 700; i++) ig_buf_printf(&csv, "x%d,%s,%d\n", i, i % 2 ? "" : "0.5", i);
    assert_int_equal(ig_background_table_read(&table, ig_buf_view(&csv), &schema, &err), IG_OK);
    assert_int_equal(table->background.rows_count, 700);
    assert_int_equal(table->background.features_count, 2);
    assert_null(table->background.weights);
    assert_true(table->background.rows[2 * 699] == 699);
    assert_true(isnan(table->background.rows[2 * 699 + 1]));
    assert_true(table->background.rows[2 * 300 + 1] == 0.5);
    ig_background_table_free(table);
    ig_buf_deinit(&csv);
}

static void refuse(const char *csv, const char *message)
{
    struct ig_background_table *table = NULL;
    struct ig_err err = IG_ERR_INIT;
    assert_int_equal(ig_background_table_read(&table, ig_str_view(csv), &schema, &err) == IG_OK, 0);
    if (!strstr(err.message, message)) fail_msg("'%s', wanted '%s'", err.message, message);
    assert_null(table);
}

static void test_refusals(void **state)
{
    struct ig_buf csv;
    (void)state;
    refuse("a,b\n", "background: the table has no rows");
    refuse("", "background: the table is empty");
    refuse("a,c\n1,2\n", "background: the header lacks 1 of the model's features: 'b'");
    refuse("a,b\n1,2\nold,2\n", "background: line 3: ");
    ig_buf_init(&csv, 1 << 20);
    ig_buf_add_cstr(&csv, "a,b\n");
    for (int i = 0; i <= IG_BACKGROUND_ROWS_MAX; i++) ig_buf_add_cstr(&csv, "1,2\n");
    ig_buf_add_char(&csv, '\0');
    refuse(csv.ptr, "background: more than 100000 rows");
    ig_buf_deinit(&csv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
