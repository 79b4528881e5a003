/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as text against the C library. */
#include "base/num.h"
#include "base/random.h"

#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long repeats(long few, long many)
{
    return getenv("INGOT_LONG") ? many : few;
}

/* The digits of a decimal without zeros at either end; how many. */
static int significant_digits(const char *text, char *digits)
{
    int count = 0, last = 0;
    for (const char *p = text; *p && *p != 'e'; p++) {
        if (*p < '0' || *p > '9' || (!count && *p == '0')) continue;
        digits[count++] = *p;
        if (*p != '0') last = count;
    }
    digits[last] = '\0';
    return last ? last : 1;
}

static void check_f64(double value)
{
    char text[IG_NUM_TEXT_MAX], shorter[64];
    size_t length = ig_num_format_f64(text, value);
    assert_int_equal(length, strlen(text));
    double back = 0, libc = strtod(text, NULL);
    assert_true(ig_num_parse_f64((struct ig_str){text, length}, &back));
    assert_memory_equal(&back, &value, sizeof back);
    assert_memory_equal(&libc, &value, sizeof libc);
    /* The same digits as the nearest decimal of that many, and one digit less does not do. */
    char ours_digits[32], nearest[64];
    int count = significant_digits(text, ours_digits);
    snprintf(nearest, sizeof nearest, "%.*e", count - 1, value);
    if (strtod(nearest, NULL) == value) {
        char digits[64];
        significant_digits(nearest, digits);
        assert_string_equal(ours_digits, digits);
    }
    if (count > 1) {
        snprintf(shorter, sizeof shorter, "%.*e", count - 2, value);
        assert_true(strtod(shorter, NULL) != value);
    }
}

static void check_f32(float value)
{
    char text[IG_NUM_TEXT_MAX];
    size_t length = ig_num_format_f32(text, value);
    float back = 0, libc = strtof(text, NULL);
    assert_true(ig_num_parse_f32((struct ig_str){text, length}, &back));
    assert_memory_equal(&back, &value, sizeof back);
    assert_memory_equal(&libc, &value, sizeof libc);
}

static void check_parse(const char *text)
{
    double ours = 0, libc = strtod(text, NULL);
    float ours32 = 0, libc32 = strtof(text, NULL);
    assert_true(ig_num_parse_f64(ig_str_view(text), &ours));
    assert_true(ig_num_parse_f32(ig_str_view(text), &ours32));
    assert_memory_equal(&ours, &libc, sizeof ours);
    assert_memory_equal(&ours32, &libc32, sizeof ours32);
}

static void test_random_bits(void **state)
{
    (void)state;
    struct ig_rng rng;
    ig_rng_seed(&rng, 20);
    for (long i = repeats(60000, 6000000); i > 0; i--) {
        uint64_t bits = ig_rng_u64(&rng);
        if (i % 4 == 0) bits &= 0x800FFFFFFFFFFFFFu; /* subnormal */
        if (i % 4 == 1) bits &= 0xFFF0000000000007u; /* near a power of two */
        double value;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value)) continue;
        check_f64(value);
        uint32_t narrow = (uint32_t)bits ^ (uint32_t)(bits >> 32);
        float single;
        memcpy(&single, &narrow, sizeof single);
        if (isfinite(single)) check_f32(single);
        char text[64];
        snprintf(text, sizeof text, "%.*e", (int)(i % 30), value);
        check_parse(text);
        snprintf(text, sizeof text, "%.*e", (int)(i % 20), (double)single);
        if (isfinite(single)) check_parse(text);
    }
}

static void test_halfway_and_edges(void **state)
{
    (void)state;
    static const char *const texts[] = {"0",
                                        "-0",
                                        "0.0",
                                        "1",
                                        "9007199254740993",
                                        "9007199254740992.5",
                                        "9007199254740993.0000000001",
                                        "1.7976931348623157e308",
                                        "1.7976931348623158e308",
                                        "1.7976931348623159e308",
                                        "1e309",
                                        "-1e999999999",
                                        "4.9406564584124654e-324",
                                        "2.4703282292062327e-324",
                                        "2.4703282292062328e-324",
                                        "1e-400",
                                        "2.2250738585072011e-308",
                                        "2.2250738585072014e-308",
                                        "1.00000017881393432617187499",
                                        "1.00000017881393432617187500",
                                        "1.00000017881393432617187501",
                                        "3.4028235677973366e38",
                                        "1.401298464324817e-45",
                                        "7.006492321624085e-46",
                                        "7.0064923216240854e-46",
                                        "16777217",
                                        "16777219",
                                        "1e22",
                                        "1e23",
                                        "123456789012345678901234567890",
                                        "0.000000000000000000000000000000000012345",
                                        "8.5e-1",
                                        "1E5",
                                        "1e+5",
                                        "100000000000000000000000000000000000000e-38"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) check_parse(texts[i]);
    for (double v = 1; v < 1e300; v *= 1.7) check_f64(v), check_f64(-v), check_f64(1 / v);
    for (int e = -1074; e < 1024; e++) check_f64(ldexp(1, e)), check_f64(nextafter(ldexp(1, e), 0));
    for (int e = -149; e < 128; e++)
        check_f32(ldexpf(1, e)), check_f32(nextafterf(ldexpf(1, e), 0));
}

/* Exact midpoints of neighbours, and a little to either side: long double holds them. */
static void test_random_midpoints(void **state)
{
    (void)state;
    struct ig_rng rng;
    ig_rng_seed(&rng, 21);
    static char text[2000], beside[2001];
    for (long i = repeats(600, 200000); i > 0; i--) {
        uint64_t bits = ig_rng_u64(&rng) & ~((uint64_t)1 << 63);
        if (i % 3 == 0) bits = bits % 64 << 52 | 0x3E00000000000000u | (bits >> 12);
        double value;
        memcpy(&value, &bits, sizeof value);
        double above = nextafter(value, (double)INFINITY);
        if (!isfinite(above)) continue;
        long double middle = ((long double)value + (long double)above) / 2;
        snprintf(text, sizeof text, "%.780Le", middle);
        check_parse(text);
        char *exponent = strchr(text, 'e'), *last = exponent - 1;
        snprintf(beside, sizeof beside, "%.*s1%s", (int)(exponent - text), text, exponent);
        check_parse(beside);
        while (*last == '0') last--;
        if (*last == '.') continue;
        --*last; /* a digit less at the last place that is not zero */
        check_parse(text);
    }
}

static void test_many_digits(void **state)
{
    (void)state;
    char text[8000];
    /* 2^53 + 1 is a tie; digits far behind it break the tie. */
    int used = snprintf(text, sizeof text, "9007199254740993.");
    memset(text + used, '0', 6000);
    text[used + 6000] = '\0';
    check_parse(text);
    text[used + 5999] = '1';
    check_parse(text);
    /* An exact tie of 53 digits behind many zeros: to even, and up with one digit more. */
    memset(text, '0', 5000);
    snprintf(text + 5000, sizeof text - 5000,
             "1.00000000000000011102230246251565404236316680908203125");
    check_parse(text);
    strncat(text, "1", sizeof text - strlen(text) - 1);
    check_parse(text);
    memset(text, '0', 5000);
    text[1] = '.';
    snprintf(text + 5000, sizeof text - 5000,
             "100000000000000011102230246251565404236316680908203125e4998");
    check_parse(text);
    memset(text, '7', 400);
    memcpy(text + 400, "e-100", 6);
    check_parse(text);
    memset(text, '0', 500);
    text[1] = '.';
    memcpy(text + 500, "123e5", 6);
    check_parse(text);
}

static void test_refusals(void **state)
{
    (void)state;
    static const char *const bad[] = {"",        "-",     "+",   ".",    "e5",  "1e",
                                      "1e+",     "0x10",  "1 ",  " 1",   "1,5", "nan(1)",
                                      "infinit", "1.2.3", "--1", "1e5.5"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        double out = 42;
        float out32 = 42;
        assert_false(ig_num_parse_f64(ig_str_view(bad[i]), &out));
        assert_false(ig_num_parse_f32(ig_str_view(bad[i]), &out32));
        assert_true(out == 42 && out32 == 42);
    }
    double value;
    assert_false(ig_num_parse_f64((struct ig_str){NULL, 0}, &value));
    assert_true(ig_num_parse_f64(IG_STR("-Infinity"), &value) && isinf(value) && value < 0);
    assert_true(ig_num_parse_f64(IG_STR("NaN"), &value) && isnan(value));
}

/* The first `used` bytes are scanned as they are parsed; 0: they are not scanned. */
static void assert_scans(struct ig_str text, int used)
{
    double scanned = 42, parsed = 0;
    const char *end = ig_num_scan_f64(text.ptr, text.ptr + text.len, &scanned);
    if (!used) {
        assert_null(end);
        assert_true(scanned == 42);
        return;
    }
    assert_non_null(end);
    assert_int_equal(end - text.ptr, used);
    assert_true(ig_num_parse_f64((struct ig_str){text.ptr, (size_t)used}, &parsed));
    assert_memory_equal(&scanned, &parsed, sizeof parsed);
}

static void test_scan(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int used; /* 0: it is to be read otherwise */
    } rows[] = {{"0", 1},
                {"-0,", 2},
                {"12.5]", 4},
                {"-3.25 ", 5},
                {"0.1", 3},
                {"100", 3},
                {"1x", 1},
                {"1234567890123456789", 19},
                {"-0.0000001", 10},
                {"1.2.3", 3},
                {"0.12345678901234567", 19},
                {"", 0},
                {"-", 0},
                {"+1", 0},
                {"12345678901234567890", 0},
                {"01", 0},
                {"-01", 0},
                {".5", 0},
                {"1.", 0},
                {"1.x", 0},
                {"1e5", 0},
                {"1.5E-3", 0},
                {"NaN", 0},
                {"null", 0},
                {"0.123456789012345678901", 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ig_str text = ig_str_view(rows[i].text);
        char with_more[80];
        int length = snprintf(with_more, sizeof with_more, "%s, 123456789012345678901234567890]",
                              rows[i].text);
        assert_scans(text, rows[i].used);
        assert_scans((struct ig_str){with_more, (size_t)length}, rows[i].used);
    }
}

/* Numbers of every length before and behind the point, alone and with more bytes behind them. */
static void test_scan_lengths(void **state)
{
    static const char DIGITS[] = "9081726354463728190";
    (void)state;
    for (int whole = 1; whole <= 19; whole++) {
        for (int fraction = 0; whole + fraction <= 19; fraction++) {
            char text[80];
            int used = snprintf(text, sizeof text, "-%.*s%s%.*s", whole, DIGITS,
                                fraction ? "." : "", fraction, DIGITS + whole);
            assert_scans((struct ig_str){text, (size_t)used}, used);
            memset(text + used, ',', 40);
            assert_scans((struct ig_str){text, (size_t)used + 40}, used);
        }
    }
}

static void test_form(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } rows[] = {{0.1, "0.1"},
                {-0.0, "-0"},
                {123, "123"},
                {1e15, "1000000000000000"},
                {1e21, "1e+21"},
                {1e-7, "1e-07"},
                {0.0001, "0.0001"},
                {1.5e300, "1.5e+300"},
                {-2.5, "-2.5"},
                {NAN, "nan"},
                {-INFINITY, "-inf"},
                {5e-324, "5e-324"},
                {1e16, "10000000000000000"}};
    setlocale(LC_ALL, "de_DE.UTF-8");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[IG_NUM_TEXT_MAX];
        ig_num_format_f64(text, rows[i].value);
        assert_string_equal(text, rows[i].text);
    }
    char text[IG_NUM_TEXT_MAX];
    ig_num_format_f32(text, 0.1f);
    assert_string_equal(text, "0.1");
}

static void test_integers(void **state)
{
    (void)state;
    char text[IG_NUM_TEXT_MAX], wanted[IG_NUM_TEXT_MAX];
    uint64_t draw = 7;
    for (int i = 0; i < 200000; i++) {
        static const int64_t edges[] = {0, 9, 10, 99999999, 100000000, INT64_MAX, INT64_MIN, -1};
        draw = draw * 6364136223846793005u + 1442695040888963407u;
        int64_t value = i < 8 ? edges[i] : (int64_t)draw >> (draw >> 58);
        int length = snprintf(wanted, sizeof wanted, "%lld", (long long)value);
        assert_int_equal(ig_num_format_i64(text, value), length);
        assert_string_equal(text, wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_bits),  cmocka_unit_test(test_halfway_and_edges),
        cmocka_unit_test(test_many_digits),  cmocka_unit_test(test_random_midpoints),
        cmocka_unit_test(test_refusals),     cmocka_unit_test(test_scan),
        cmocka_unit_test(test_scan_lengths), cmocka_unit_test(test_form),
        cmocka_unit_test(test_integers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
