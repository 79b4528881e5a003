/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON of an importance report, letter by letter. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/importance_json.h"

#include <math.h>

static void test_json(void **state)
{
    static const struct ig_importance_item ITEMS[] = {
        {{"age", 3}, 2, 0.5, 0.25, NAN, NAN},
        {{"sex", 3}, 1, NAN, NAN, -0.5, 3},
    };
    struct ig_importance_report report = {.kind = IG_STR("permutation"),
                                          .metric = "auc",
                                          .score = 0.75,
                                          .rows_count = 7,
                                          .items = ITEMS,
                                          .count = 2};
    struct ig_json_out out;
    struct ig_buf buf;
    (void)state;
    ig_buf_init(&buf, 1 << 12);
    ig_json_out_init(&out, &buf);
    ig_importance_write(&out, &report, 5);
    assert_string_equal(buf.ptr,
                        "{\"kind\":\"permutation\",\"metric\":\"auc\",\"score\":0.75,\"rows\":7,"
                        "\"features\":[{\"feature\":\"age\",\"importance\":2,\"low\":1.5,"
                        "\"high\":2.5,\"sd\":0.25},{\"feature\":\"sex\",\"importance\":1,"
                        "\"mean_contribution\":-0.5,\"max_contribution\":3}]}");
    ig_buf_reset(&buf);
    report.metric = NULL;
    report.rows_count = 0;
    ig_json_out_init(&out, &buf);
    ig_importance_write(&out, &report, 0);
    assert_string_equal(buf.ptr, "{\"kind\":\"permutation\",\"features\":[]}");
    const struct ig_row_answered answered[] = {
        {IG_STR("a"), 4, "leverage"}, {IG_STR("b"), 0, NULL}, {IG_STR("c"), 3, NULL}};
    report.answered = answered;
    report.answered_count = 3;
    ig_buf_reset(&buf);
    ig_json_out_init(&out, &buf);
    ig_importance_write(&out, &report, 0);
    assert_string_equal(buf.ptr,
                        "{\"kind\":\"permutation\",\"answered\":[{\"node\":\"a\",\"rows\":4,"
                        "\"method\":\"leverage\"},{\"node\":\"c\",\"rows\":3}],"
                        "\"features\":[]}");
    const struct ig_importance_part parts[] = {
        {.name = IG_STR("a"), .model = IG_STR("m"), .version = 2, .items = ITEMS, .count = 2},
        {.name = IG_STR("b"), .model = IG_STR("m"), .version = 3, .failure = IG_STR("no trees")}};
    report =
        (struct ig_importance_report){.kind = IG_STR("gain"), .parts = parts, .parts_count = 2};
    ig_buf_reset(&buf);
    ig_json_out_init(&out, &buf);
    ig_importance_write(&out, &report, 1);
    assert_string_equal(buf.ptr,
                        "{\"kind\":\"gain\",\"models\":[{\"node\":\"a\",\"model\":\"m\","
                        "\"version\":2,\"features\":[{\"feature\":\"age\",\"importance\":2,"
                        "\"low\":1.5,\"high\":2.5,\"sd\":0.25}]},{\"node\":\"b\",\"model\":\"m\","
                        "\"version\":3,\"failure\":\"no trees\"}]}");
    ig_buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_json)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
