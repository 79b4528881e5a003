/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON of a fairness report: nulls where undefined, parts that are left out. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/fairness_json.h"

#include <string.h>

static const char TABLE[] = "sex,d,y\nF,1,1\nF,0,\nM,0,0\nM,0,0\n";

static void write(struct ig_buf *buf, struct ig_str label)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_arena arena;
    struct ig_fairness_table table;
    struct ig_json_out out;
    const struct ig_str sex = IG_STR("sex");
    const struct ig_fairness_spec spec = {.columns = &sex,
                                          .columns_count = 1,
                                          .decision = IG_STR("d"),
                                          .label = label,
                                          .rows_min = 1};
    ig_arena_init(&arena, 1 << 14, 1 << 20);
    assert_int_equal(ig_fairness_table_run(&table, ig_str_view(TABLE), &spec, NULL, &arena, &err),
                     IG_OK);
    ig_buf_reset(buf);
    ig_json_out_init(&out, buf);
    ig_fairness_write(&out, &table, 5);
    ig_arena_deinit(&arena);
}

static void test_json(void **state)
{
    (void)state;
    struct ig_buf buf;
    ig_buf_init(&buf, 1 << 16);
    write(&buf, IG_STR(""));
    assert_non_null(strstr(buf.ptr, "{\"rows\":4,\"positive\":\"1\",\"protected\":[{\"column\":"
                                    "\"sex\",\"groups\":[{\"group\":\"F\",\"rows\":2,"
                                    "\"compared\":true,\"selection_rate\":{\"value\":0.5,"));
    assert_non_null(strstr(buf.ptr, "\"demographic_parity\":{\"difference\":{\"value\":0.5,"));
    assert_non_null(strstr(buf.ptr, "\"most\":\"F\",\"least\":\"M\"},\"four_fifths\":\""));
    assert_null(strstr(buf.ptr, "base_rate"));
    assert_null(strstr(buf.ptr, "attribution_gaps"));
    write(&buf, IG_STR("y"));
    assert_non_null(strstr(buf.ptr, "\"labelled\":1,\"base_rate\":{\"value\":1,"));
    assert_non_null(strstr(buf.ptr, "\"false_positive_rate\":null")); /* F has no negative */
    assert_non_null(strstr(buf.ptr, "\"equal_opportunity\":{\"difference\":{\"value\":0,"));
    assert_non_null(strstr(buf.ptr, "\"equalized_odds_difference\":{\"value\":0,\"low\":"));
    assert_null(strstr(buf.ptr, "mean_score"));
    ig_buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_json)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
