/* SPDX-License-Identifier: Apache-2.0 */
/* Tables: types, categories, missing cells, caps. */
#include "base/arena.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/table.h"

#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct ig_table *read_text(const char *text, const struct ig_table_options *options,
                                  struct ig_err *err)
{
    struct ig_csv *csv = NULL;
    struct ig_table *table = NULL;
    *err = IG_ERR_INIT;
    if (ig_csv_open_bytes(&csv, ig_str_view(text), NULL, err) != IG_OK) return NULL;
    ig_table_read(&table, csv, options, err);
    ig_csv_close(csv);
    return table;
}

static void test_types(void **state)
{
    (void)state;
    struct ig_err err;
    struct ig_table *table = read_text(
        "n,x,c,late,all\n1,1.5,b,1,\n2,,a,2,NA\n-3,nan,b,x,?\n4,1e3,,2,null\n", NULL, &err);
    assert_non_null(table);
    assert_int_equal(table->rows_count, 4);
    const struct ig_column *c = table->columns;
    assert_true(c[0].type == IG_COLUMN_NUMERIC && c[0].integral && c[0].missing_count == 0);
    assert_true(c[1].type == IG_COLUMN_NUMERIC && !c[1].integral && c[1].missing_count == 2);
    assert_true(isnan(c[1].values[1]) && c[1].values[3] == 1000);
    assert_true(c[2].type == IG_COLUMN_CATEGORICAL && c[2].categories_count == 2 &&
                c[2].missing_count == 1);
    assert_true(ig_str_is(c[2].categories[0], "a") && c[2].codes[0] == 1 && c[2].codes[1] == 0 &&
                c[2].codes[3] == -1);
    assert_int_equal(c[3].type, IG_COLUMN_CATEGORICAL);
    assert_true(ig_str_is(c[3].categories[0], "1") && c[3].categories_count == 3);
    assert_true(c[4].type == IG_COLUMN_NUMERIC && c[4].missing_count == 4);
    assert_ptr_equal(ig_table_column(table, IG_STR("late")), &c[3]);
    assert_null(ig_table_column(table, IG_STR("none")));
    ig_table_free(table);
}

/* The type and the categories do not depend on the order of rows. */
static void test_order_does_not_matter(void **state)
{
    (void)state;
    static const char *const texts[] = {"c\n1.0\n1\nNAN\nx\n?\n1.0\n",
                                        "c\nx\n1.0\n1\nNAN\n?\n1.0\n",
                                        "c\n?\n1.0\n1\n1.0\nNAN\nx\n"};
    for (size_t i = 0; i < 3; i++) {
        struct ig_err err;
        struct ig_table *table = read_text(texts[i], NULL, &err);
        assert_non_null(table);
        const struct ig_column *c = table->columns;
        assert_int_equal(c->type, IG_COLUMN_CATEGORICAL);
        assert_int_equal(c->missing_count, 1);
        assert_int_equal(c->categories_count, 4);
        static const char *const names[] = {"1", "1.0", "NAN", "x"};
        int counts[4] = {0};
        for (size_t k = 0; k < 4; k++) assert_true(ig_str_is(c->categories[k], names[k]));
        for (size_t row = 0; row < 6; row++)
            if (c->codes[row] >= 0) counts[c->codes[row]]++;
        assert_true(counts[0] == 1 && counts[1] == 2 && counts[2] == 1 && counts[3] == 1);
        ig_table_free(table);
    }
    struct ig_err err;
    struct ig_table *table = read_text("c\n1\n-nan\nNaN\ninf\n", NULL, &err);
    assert_int_equal(table->columns->type, IG_COLUMN_NUMERIC);
    assert_int_equal(table->columns->missing_count, 2);
    assert_true(isnan(table->columns->values[1]) && isinf(table->columns->values[3]));
    ig_table_free(table);
}

static void test_many_categories(void **state)
{
    (void)state;
    struct ig_buf buf;
    struct ig_err err;
    ig_buf_init(&buf, 1 << 20);
    ig_buf_add_cstr(&buf, "c,late\n");
    for (int i = 0; i < 3000; i++) ig_buf_printf(&buf, "k%d,%d\n", i * 7919 % 1000, i);
    ig_buf_add_cstr(&buf, "k0,word\n");
    struct ig_table *table = read_text(buf.ptr, NULL, &err);
    assert_non_null(table);
    assert_int_equal(table->columns[0].categories_count, 1000);
    assert_int_equal(table->columns[1].categories_count, 3001);
    for (size_t row = 0; row < 3000; row++) {
        char cell[16];
        for (int k = 0; k < 2; k++) {
            snprintf(cell, sizeof cell, k ? "%zu" : "k%zu", k ? row : row * 7919 % 1000);
            const struct ig_column *c = &table->columns[k];
            assert_true(ig_str_is(c->categories[c->codes[row]], cell));
        }
    }
    ig_table_free(table);
    ig_buf_deinit(&buf);
}

static void test_missing_words(void **state)
{
    (void)state;
    static const char *const yes[] = {"", "NA", "NaN", "nan", "null", "None", "?"};
    static const char *const no[] = {"na",  "0",    "-",       "NaN ", "none",
                                     "N/A", "nanx", "unknown", "nu",   "??"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        assert_true(ig_table_is_missing(ig_str_view(yes[i])));
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        assert_false(ig_table_is_missing(ig_str_view(no[i])));
}

static void test_no_header(void **state)
{
    (void)state;
    struct ig_err err;
    struct ig_table_options options = {.no_header = true};
    struct ig_table *table = read_text("1,a\n2,b\n", &options, &err);
    assert_int_equal(table->rows_count, 2);
    assert_true(ig_str_is(table->columns[1].name, "f1"));
    ig_table_free(table);
}

static void refuses(const char *text, const struct ig_table_options *options, enum ig_code code,
                    const char *message)
{
    struct ig_err err;
    assert_null(read_text(text, options, &err));
    assert_int_equal(err.code, code);
    if (!strstr(err.message, message)) fail_msg("'%s' lacks '%s'", err.message, message);
}

static void test_errors(void **state)
{
    (void)state;
    refuses("", NULL, IG_INVALID, "empty");
    refuses("a,b\n1\n", NULL, IG_INVALID, "line 2 has 1 fields, expected 2");
    refuses("a,a\n1,2\n", NULL, IG_INVALID, "column 'a' twice");
    refuses("a,\n1,2\n", NULL, IG_INVALID, "column 2 has an empty name");
    struct ig_table_options rows = {.rows_max = 1};
    refuses("a\n1\n2\n", &rows, IG_TOO_LARGE, "more than 1 rows");
    struct ig_table_options memory = {.memory_max_bytes = 2000};
    refuses("a\n1\n2\n", &memory, IG_TOO_LARGE, "memory");
}

static void test_out_of_memory(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct ig_err err;
        ig_mem_fail_after(n);
        struct ig_table *table = read_text("a,b,c\n1,x,5\n2,y,\n3,x,word\n", NULL, &err);
        bool failed = ig_mem_failed();
        ig_mem_fail_after(0);
        assert_true(failed == (table == NULL));
        ig_table_free(table);
        if (!failed) break;
        assert_true(err.code == IG_NO_MEMORY || err.code == IG_TOO_LARGE);
    }
}

/* Published row, column and missing-cell counts of real tables, where they are at hand. */
static void test_real_tables(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t rows, columns, numeric, missing;
    } tables[] = {
        {"adult.csv.gz", 32561, 15, 6, 4262},    {"bank_marketing.csv.gz", 45211, 17, 7, 0},
        {"covertype_10k.csv", 10000, 55, 55, 0}, {"california_housing.csv", 20640, 10, 9, 207},
        {"bike_hourly.csv", 17379, 14, 13, 0},   {"diamonds.csv.gz", 53940, 10, 7, 0},
        {"weather_drift.csv", 18159, 9, 9, 0},   {"flights_200k.csv.gz", 200000, 3, 3, 0},
        {"telco_churn.csv", 7043, 21, 4, 11},    {"higgs_7k.csv", 7500, 29, 29, 0},
        {"nyc_taxis_6k.csv", 6433, 12, 4, 186}};
    const char *shared = getenv("INGOT_SHARED_DIR");
    unsigned read = 0;
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/data/%s", shared ? shared : "../shared", tables[i].name);
        struct ig_err err = IG_ERR_INIT;
        int fd = -1;
        if (ig_file_open_read(&fd, IG_FILE_CWD, path, &err) != IG_OK) continue;
        struct ig_table *table = NULL;
        assert_int_equal(ig_table_read_fd(&table, fd, NULL, &err), IG_OK);
        ig_file_close(&fd);
        size_t missing = 0, numeric = 0;
        for (size_t k = 0; k < table->columns_count; k++)
            missing += table->columns[k].missing_count,
                numeric += table->columns[k].type == IG_COLUMN_NUMERIC;
        assert_int_equal(table->rows_count, tables[i].rows);
        assert_int_equal(table->columns_count, tables[i].columns);
        assert_int_equal(numeric, tables[i].numeric);
        assert_int_equal(missing, tables[i].missing);
        ig_table_free(table);
        read++;
    }
    if (!read) skip();
}

static void test_from_a_descriptor(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_table *table = NULL;
    int fd = memfd_create("table", MFD_CLOEXEC);
    assert_int_equal(write(fd, "a;b\n1;x\n", 8), 8);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(ig_table_read_fd(&table, fd, NULL, &err), IG_OK);
    assert_int_equal(table->rows_count, 1);
    assert_true(table->columns[0].values[0] == 1);
    ig_table_free(table);
    table = NULL;
    ig_mem_fail_after(1);
    assert_int_equal(ig_table_read_fd(&table, fd, NULL, &err), IG_NO_MEMORY);
    ig_mem_fail_after(0);
    assert_null(table);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_a_descriptor),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_order_does_not_matter),
        cmocka_unit_test(test_many_categories),
        cmocka_unit_test(test_missing_words),
        cmocka_unit_test(test_no_header),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_real_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
