/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/plot/plot_text.h"

#include <float.h>
#include <math.h>
#include <string.h>

static void assert_clean(struct ig_str text, const char *wanted)
{
    struct ig_buf xml;
    ig_buf_init(&xml, 4096);
    ig_plot_text_add(&xml, text);
    ig_buf_add_char(&xml, 0);
    assert_string_equal(xml.ptr, wanted);
    ig_buf_deinit(&xml);
}

static void test_cleaning(void **state)
{
    (void)state;
    assert_clean(IG_STR("a <b> & \"c\" 'd'"), "a &lt;b&gt; &amp; &quot;c&quot; 'd'");
    assert_clean(IG_STR("gr\u00f6\u00dfe \u5ba2 \U0001F680"), "gr\u00f6\u00dfe \u5ba2 \U0001F680");
    assert_clean(IG_STR("a\xff\xc3(\xe2\x82"), "a\uFFFD\uFFFD(\uFFFD\uFFFD");
    assert_clean(IG_STR("\xed\xa0\x80"), "\uFFFD\uFFFD\uFFFD"); /* a surrogate */
    assert_clean(IG_STR("a\tb\nc\rd\u2028e"), "a b c d e");
    assert_clean(((struct ig_str){"a\0b\x01\x1b[31m\x7f", 11}), "ab[31m");
    assert_clean(IG_STR("\u202eevil\u2066x\u200f\ufeff\uffff\ufdd0"), "evilx");
    assert_clean(IG_STR("\U0001FFFE\U000E0041tag"), "tag");
    assert_clean(IG_STR(""), "");
}

static void test_widths(void **state)
{
    (void)state;
    assert_true(ig_plot_text_width(IG_STR(""), 12) == 0);
    assert_true(ig_plot_text_width(IG_STR("W"), 12) > 3 * ig_plot_text_width(IG_STR("i"), 12));
    assert_true(ig_plot_text_width(IG_STR("ab"), 24) == 2 * ig_plot_text_width(IG_STR("ab"), 12));
    assert_true(ig_plot_text_width(IG_STR("\u5ba2"), 12) == 12);
    assert_true(ig_plot_text_width(IG_STR("e\u0301"), 12) == ig_plot_text_width(IG_STR("e"), 12));
    /* Liberation Sans 24.04, DejaVu Sans 26.70 hundredfold: between them. */
    double width =
        ig_plot_text_width(IG_STR("education_num = Some-college 0.3512 CAPITAL gain"), 100);
    assert_true(width > 2404 && width < 2670);
}

static void test_cutting(void **state)
{
    (void)state;
    struct ig_str text = IG_STR("na\u00efve \u5ba2\u6237 name");
    for (double room = 0; room < 200; room++) {
        size_t fits = ig_plot_text_fit(text, 12, room);
        struct ig_str head = {text.ptr, fits};
        assert_true(ig_str_utf8_valid(head));
        double wide = ig_plot_text_width(head, 12) + (fits < text.len ? 12 : 0);
        assert_true(fits == 0 || wide <= room + 0.01);
    }
    assert_int_equal(ig_plot_text_fit(text, 12, ig_plot_text_width(text, 12)), text.len);
    assert_int_equal(ig_plot_text_fit(text, 12, -5), 0);
    assert_int_equal(ig_plot_text_head(text, 3).len, 4);
    assert_int_equal(ig_plot_text_head(text, 99).len, text.len);
}

static void assert_number(double value, struct ig_plot_digits digits, const char *wanted)
{
    char text[IG_PLOT_NUMBER_MAX];
    struct ig_str number = ig_plot_number(text, value, digits, true);
    assert_string_equal(text, wanted);
    assert_int_equal(number.len, strlen(wanted));
}

static void test_numbers(void **state)
{
    (void)state;
    struct ig_plot_digits two = {.decimals = 2}, trim = {.decimals = 4, .trim = true};
    struct ig_plot_digits commas = {.commas = true}, e = {.decimals = 2, .exponent = true};
    assert_number(0.345678, two, "+0.35");
    assert_number(-2, two, "\u22122.00");
    assert_number(0, two, "0");
    assert_number(-0.0, two, "0");
    assert_number(-0.001, two, "\u22120.00");
    assert_number(0.999, two, "+1.00");
    assert_number(1.25, trim, "+1.25");
    assert_number(3, trim, "+3");
    assert_number(1234567, commas, "+1,234,567");
    assert_number(999, commas, "+999");
    assert_number(1000, commas, "+1,000");
    assert_number(1.23456e-7, e, "+1.23e-7");
    assert_number(-9.999e12, e, "\u22121.00e13");
    assert_number(5e-324, e, "+4.94e-324");
    assert_number(DBL_MAX, e, "+1.80e308");
    assert_number(1e9, two, "+1.00e9");
    /* More decimals than a double has are not made up beyond 17 digits. */
    assert_number(12345678.5, (struct ig_plot_digits){.decimals = 12}, "+12345678.500000000");
}

static void assert_digits(double largest, double step, int decimals, bool exponent)
{
    struct ig_plot_digits digits = ig_plot_digits_of(largest, step, 3);
    assert_int_equal(digits.decimals, decimals);
    assert_int_equal(digits.exponent, exponent);
}

static void test_digits(void **state)
{
    (void)state;
    assert_digits(2.5, 2.5, 2, false);
    assert_digits(0.25, 0.25, 3, false);
    assert_digits(71400, 71400, 0, false);
    assert_digits(1e6, 0.002, 5, false);
    assert_digits(3e-9, 3e-9, 2, true);
    assert_digits(5e12, 5e11, 3, true);
    assert_digits(0, 0, 2, false);
    assert_digits(1e15, 1e-9, 12, true);
}

static void test_alone(void **state)
{
    char text[IG_PLOT_NUMBER_MAX];
    (void)state;
    assert_true(ig_str_is(ig_plot_number_alone(text, 77516), "77516"));
    assert_true(ig_str_is(ig_plot_number_alone(text, 0.1f), "0.1"));
    assert_true(ig_str_is(ig_plot_number_alone(text, -122.2345), "\u2212122.2"));
    assert_true(ig_str_is(ig_plot_number_alone(text, 1e300), "1e300"));
    assert_true(ig_str_is(ig_plot_number_alone(text, 1.23456789e-9), "1.235e-9"));
    assert_true(ig_str_is(ig_plot_number_alone(text, NAN), "missing"));
    assert_true(ig_str_is(ig_plot_number_alone(text, INFINITY), "\u221e"));
    assert_true(ig_str_is(ig_plot_number_alone(text, -INFINITY), "\u2212\u221e"));
}

static void test_words(void **state)
{
    struct ig_plot_words words = {0};
    (void)state;
    ig_plot_words_count(&words, 1, "row");
    ig_plot_words_put(&words, ", ");
    ig_plot_words_count(&words, 12345, "feature");
    assert_true(ig_str_is(ig_plot_words_view(&words), "1 row, 12,345 features"));
    for (int i = 0; i < 2000; i++) ig_plot_words_put(&words, "\u20ac");
    assert_true(words.len <= sizeof words.text && words.len > sizeof words.text - 3);
    assert_true(ig_str_utf8_valid(ig_plot_words_view(&words)));
    words.len = 0;
    ig_plot_words_name(&words, IG_STR("0123456789012345678901234567890123456789"
                                      "0123456789012345678901234567890123456789"));
    assert_int_equal(words.len, 60 + strlen("\u2026"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cleaning), cmocka_unit_test(test_widths),
        cmocka_unit_test(test_cutting),  cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_digits),   cmocka_unit_test(test_alone),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
