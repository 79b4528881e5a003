/* SPDX-License-Identifier: Apache-2.0 */
/* Filters and orders against MLflow's own verdicts (tests/golden/mlflow_search), and the caps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"
#include "services/tracking/tracking_filter.h"

#include <fcntl.h>
#include <string.h>

enum { SHOWN_MAX = 4096, TEXT_MAX = 128 << 10 };

static struct ig_arena arena;

static int setup(void **state)
{
    (void)state;
    ig_arena_init(&arena, 1 << 16, 16 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_arena_deinit(&arena);
    return 0;
}

/* The form in which the golden script shows a comparison. */
static void show_term(struct ig_buf *out, const struct ig_tracking_term *term)
{
    ig_buf_printf(out, "%s %.*s %s ", ig_tracking_entity_name(term->what.entity),
                  IG_STR_ARGS(term->what.key), ig_tracking_op_name(term->op));
    if (term->numeric) ig_buf_printf(out, "%.17g", term->number);
    for (size_t i = 0; i < term->values_count; i++)
        ig_buf_printf(out, "%s%.*s", i ? "|" : "", IG_STR_ARGS(term->values[i]));
}

static void judge_filter(struct ig_buf *out, enum ig_tracking_kind kind, struct ig_str text)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_tracking_filter filter;
    if (ig_tracking_filter_parse(&filter, kind, text, &arena, &err) != IG_OK) {
        ig_buf_printf(out, "error %s", err.message);
        return;
    }
    ig_buf_add_cstr(out, "ok ");
    for (size_t i = 0; i < filter.count; i++) {
        if (i) ig_buf_add_cstr(out, " & ");
        show_term(out, &filter.terms[i]);
    }
}

static void judge_order(struct ig_buf *out, enum ig_tracking_kind kind, struct ig_str text)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_tracking_order order;
    if (ig_tracking_order_parse(&order, kind, text, &err) != IG_OK)
        ig_buf_printf(out, "error %s", err.message);
    else
        ig_buf_printf(out, "ok %s %.*s %s", ig_tracking_entity_name(order.what.entity),
                      IG_STR_ARGS(order.what.key), order.descending ? "desc" : "asc");
}

static void check_case(struct ig_str kind, struct ig_str text, struct ig_str verdict)
{
    struct ig_buf shown;
    enum ig_tracking_kind of = ig_str_ends(kind, IG_STR("experiments")) ? IG_TRACKING_EXPERIMENTS
                               : ig_str_ends(kind, IG_STR("models"))    ? IG_TRACKING_MODELS
                               : ig_str_ends(kind, IG_STR("versions"))  ? IG_TRACKING_VERSIONS
                                                                        : IG_TRACKING_RUNS;
    ig_buf_init(&shown, SHOWN_MAX);
    if (ig_str_starts(kind, IG_STR("order_")))
        judge_order(&shown, of, text);
    else
        judge_filter(&shown, of, text);
    bool error = ig_str_starts(verdict, IG_STR("error "));
    bool same = error ? ig_str_starts(ig_buf_view(&shown), verdict)
                      : ig_str_eq(ig_buf_view(&shown), verdict);
    if (!same)
        fail_msg("%.*s: %.*s\nis     %.*s\nMLflow %.*s", IG_STR_ARGS(kind), IG_STR_ARGS(text),
                 IG_STR_ARGS(ig_buf_view(&shown)), IG_STR_ARGS(verdict));
    ig_buf_deinit(&shown);
}

static void test_golden(void **state)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf file;
    struct ig_json json;
    size_t cases = 0;
    (void)state;
    ig_buf_init(&file, 1 << 20);
    assert_int_equal(ig_file_read(&file, AT_FDCWD, "tests/golden/mlflow_search/cases.json", &err),
                     IG_OK);
    ig_json_init(&json, ig_buf_view(&file), &arena, &err);
    assert_true(ig_json_expect(&json, IG_JSON_ARRAY, "cases"));
    for (; ig_json_element(&json); cases++) {
        struct ig_str kind = {0}, text = {0}, verdict = {0};
        assert_true(ig_json_expect(&json, IG_JSON_OBJECT, "case"));
        while (ig_json_member(&json)) {
            struct ig_str name = json.text;
            struct ig_str *out = ig_str_is(name, "kind")   ? &kind
                                 : ig_str_is(name, "text") ? &text
                                                           : &verdict;
            assert_true(ig_json_string(&json, out, "member"));
        }
        check_case(kind, text, verdict);
    }
    assert_int_equal(err.code, IG_OK);
    assert_true(cases > 120);
    ig_buf_deinit(&file);
}

static enum ig_code parse(struct ig_err *err, struct ig_str text)
{
    struct ig_tracking_filter filter;
    *err = IG_ERR_INIT;
    ig_arena_reset(&arena);
    return ig_tracking_filter_parse(&filter, IG_TRACKING_RUNS, text, &arena, err);
}

/* `count` times `piece`, `between` between them, in parts `before` and `after`. */
static struct ig_str repeat(struct ig_buf *buf, const char *const parts[4], size_t count)
{
    ig_buf_reset(buf);
    ig_buf_add_cstr(buf, parts[0]);
    for (size_t i = 0; i < count; i++) {
        if (i) ig_buf_add_cstr(buf, parts[1]);
        ig_buf_add_cstr(buf, parts[2]);
    }
    ig_buf_add_cstr(buf, parts[3]);
    return ig_buf_view(buf);
}

static void test_caps(void **state)
{
    static const char *const terms[] = {"", " AND ", "metrics.a > 1", ""};
    static const char *const values[] = {"run_id IN (", ",", "'a'", ")"};
    static const char *const bytes[] = {"params.a = '", "", "a", "'"};
    struct ig_err err;
    struct ig_buf buf;
    (void)state;
    ig_buf_init(&buf, TEXT_MAX);
    assert_int_equal(parse(&err, repeat(&buf, terms, IG_TRACKING_TERMS_MAX)), IG_OK);
    assert_int_equal(parse(&err, repeat(&buf, terms, IG_TRACKING_TERMS_MAX + 1)), IG_TOO_LARGE);
    assert_string_equal(err.message, "filter: more than 64 comparisons");
    assert_int_equal(parse(&err, repeat(&buf, values, IG_TRACKING_VALUES_MAX)), IG_OK);
    assert_int_equal(parse(&err, repeat(&buf, values, IG_TRACKING_VALUES_MAX + 1)), IG_TOO_LARGE);
    assert_string_equal(err.message, "filter: more than 1000 values");
    assert_int_equal(parse(&err, repeat(&buf, bytes, IG_TRACKING_FILTER_BYTES_MAX - 13)), IG_OK);
    assert_int_equal(parse(&err, repeat(&buf, bytes, IG_TRACKING_FILTER_BYTES_MAX)), IG_TOO_LARGE);
    ig_buf_deinit(&buf);
}

/* What sqlparse does not look at. */
static void test_stricter_than_upstream(void **state)
{
    static const char *const texts[] = {"AND metrics.a > 1", "metrics.a > 1 AND",
                                        "metrics.a > 1 metrics.b > 2", "run_id IN ('a\\n')",
                                        "run_id IN ('a' 'b')"};
    struct ig_err err;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(parse(&err, ig_str_view(texts[i])), IG_INVALID);
    assert_int_equal(parse(&err, IG_STR("metrics.a > 1 OR metrics.b > 2")), IG_INVALID);
    assert_string_equal(err.message, "Invalid clause(s) in filter string: 'OR'");
    assert_int_equal(err.at_byte, 14);
    assert_int_equal(parse(&err, IG_STR(" \n")), IG_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_golden, setup, teardown),
        cmocka_unit_test_setup_teardown(test_caps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stricter_than_upstream, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
