/* SPDX-License-Identifier: Apache-2.0 */
/* Cleaning, measuring and cutting text for pictures, and numbers with few digits. A renderer's font
 * is not known, so widths come from a table: the means of Liberation Sans (metrics of Arial and
 * Helvetica) and DejaVu Sans. Owns nothing; stateless. */
#include "formats/plot/plot_text.h"

#include <math.h>
#include <string.h>

enum { REPLACEMENT = 0xFFFD, ELLIPSIS_WIDTH = 100, NAME_CHARACTERS = 60 };

/* Hundredths of the font's size, U+0020 to U+007E. */
static const unsigned char WIDTHS[] = {
    30, 34, 41, 70, 60, 92, 72, 23, 36,  36, 44, 71, 30, 35, 30, 31, 60, 60, 60, 60, 60, 60, 60, 60,
    60, 60, 31, 31, 71, 71, 71, 54, 101, 68, 68, 71, 75, 65, 59, 78, 74, 29, 40, 66, 56, 85, 74, 78,
    64, 78, 71, 65, 61, 73, 68, 97, 68,  64, 65, 33, 31, 33, 65, 53, 42, 58, 60, 52, 60, 59, 31, 60,
    59, 25, 25, 54, 25, 90, 59, 58, 60,  60, 37, 51, 33, 59, 55, 77, 55, 55, 51, 49, 30, 49, 71};

struct range {
    uint32_t first, last;
};

/* Not shown: controls, direction marks and overrides, what XML 1.0 forbids. */
static const struct range DROPPED[] = {
    {0x0, 0x8},       {0xB, 0xC},       {0xE, 0x1F},       {0x7F, 0x9F},     {0x61C, 0x61C},
    {0x200E, 0x200F}, {0x202A, 0x202E}, {0x2060, 0x206F},  {0xFDD0, 0xFDEF}, {0xFEFF, 0xFEFF},
    {0xFFF9, 0xFFFB}, {0xFFFE, 0xFFFF}, {0xE0000, 0xE007F}};
/* Combining marks, joiners, variation selectors. */
static const struct range NARROW[] = {
    {0x300, 0x36F}, {0x200B, 0x200D}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}};
/* East Asian scripts and pictographs. */
static const struct range WIDE[] = {{0x1100, 0x115F},   {0x2E80, 0xA4CF},   {0xAC00, 0xD7A3},
                                    {0xF900, 0xFAFF},   {0xFE30, 0xFE4F},   {0xFF00, 0xFF60},
                                    {0x1F000, 0x1FAFF}, {0x20000, 0x3FFFD}, {0x2190, 0x21FF}};

#define IN(table, code) in_table((table), sizeof(table) / sizeof *(table), (code))

static bool in_table(const struct range *table, size_t count, uint32_t code)
{
    for (size_t i = 0; i < count; i++)
        if (code >= table[i].first && code <= table[i].last) return true;
    return false;
}

/* Code point that `text` (not empty) begins with; its bytes in *length. */
static uint32_t decode(struct ig_str text, size_t *length)
{
    const unsigned char *bytes = (const unsigned char *)text.ptr;
    size_t size = ig_str_utf8_length(text);
    *length = size ? size : 1;
    switch (size) {
    case 1:
        return bytes[0];
    case 2:
        return (bytes[0] & 0x1FU) << 6 | (bytes[1] & 0x3FU);
    case 3:
        return (bytes[0] & 0xFU) << 12 | (bytes[1] & 0x3FU) << 6 | (bytes[2] & 0x3FU);
    case 4:
        return (bytes[0] & 0x7U) << 18 | (bytes[1] & 0x3FU) << 12 | (bytes[2] & 0x3FU) << 6 |
               (bytes[3] & 0x3FU);
    default:
        return REPLACEMENT;
    }
}

static bool is_dropped(uint32_t code)
{
    return IN(DROPPED, code) || (code & 0xFFFE) == 0xFFFE;
}

static bool is_break(uint32_t code)
{
    return (code >= 0x9 && code <= 0xD && code != 0xB && code != 0xC) || code == 0x2028 ||
           code == 0x2029;
}

static void add_character(struct ig_buf *xml, uint32_t code, struct ig_str bytes)
{
    if (is_break(code))
        ig_buf_add_char(xml, ' ');
    else if (is_dropped(code))
        return;
    else if (code == '&')
        ig_buf_add_cstr(xml, "&amp;");
    else if (code == '<')
        ig_buf_add_cstr(xml, "&lt;");
    else if (code == '>')
        ig_buf_add_cstr(xml, "&gt;");
    else if (code == '"')
        ig_buf_add_cstr(xml, "&quot;");
    else if (code == REPLACEMENT)
        ig_buf_add_cstr(xml, "\uFFFD");
    else
        ig_buf_add_str(xml, bytes);
}

void ig_plot_text_add(struct ig_buf *xml, struct ig_str text)
{
    while (text.len) {
        size_t length;
        uint32_t code = decode(text, &length);
        add_character(xml, code, (struct ig_str){text.ptr, length});
        text = (struct ig_str){text.ptr + length, text.len - length};
    }
}

static unsigned width_of(uint32_t code)
{
    if (is_break(code) || code == 0xA0) return WIDTHS[0];
    if (code >= 0x20 && code <= 0x7E) return WIDTHS[code - 0x20];
    if (is_dropped(code) || IN(NARROW, code)) return 0;
    if (IN(WIDE, code)) return 100;
    return code == 0x2026 || code == REPLACEMENT ? 100 : 68;
}

double ig_plot_text_width(struct ig_str text, double size)
{
    double hundredths = 0;
    for (size_t at = 0, length; at < text.len; at += length)
        hundredths += width_of(decode((struct ig_str){text.ptr + at, text.len - at}, &length));
    return hundredths * size / 100;
}

size_t ig_plot_text_fit(struct ig_str text, double size, double room)
{
    double hundredths = 0, whole = room * 100 / size + 0.01, cut = whole - ELLIPSIS_WIDTH;
    size_t fits = 0;
    for (size_t at = 0, length; at < text.len; at += length) {
        if (hundredths <= cut) fits = at;
        hundredths += width_of(decode((struct ig_str){text.ptr + at, text.len - at}, &length));
        if (hundredths > whole) return fits;
    }
    return text.len;
}

struct ig_str ig_plot_text_head(struct ig_str text, size_t characters)
{
    size_t at = 0;
    for (size_t length; at < text.len && characters; at += length, characters--)
        (void)decode((struct ig_str){text.ptr + at, text.len - at}, &length);
    return (struct ig_str){text.ptr, at};
}

static int exponent_of(double size)
{
    return size > 0 ? (int)floor(log10(size)) : 0;
}

static int clamp(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

struct ig_plot_digits ig_plot_digits_of(double largest, double step, int significant)
{
    struct ig_plot_digits digits = {0};
    largest = fabs(largest);
    if (!(step > 0)) step = largest;
    if (!(largest > 0)) largest = step;
    int big = exponent_of(largest), small = exponent_of(step);
    digits.exponent = big >= 7 || big < -4;
    digits.commas = big >= 4 && !digits.exponent;
    digits.decimals = digits.exponent ? big - small + significant - 1 : significant - 1 - small;
    digits.decimals = clamp(digits.decimals, 0, digits.exponent ? 12 : 12 - clamp(big, 0, 7));
    return digits;
}

/* `size` below 1e8; at most 17 digits in all. Returns the length. */
static size_t put_fixed(char *text, double size, struct ig_plot_digits digits)
{
    uint64_t power = 1;
    int decimals = 0;
    for (; decimals < digits.decimals && size * (double)power < 1e16; decimals++) power *= 10;
    uint64_t scaled = (uint64_t)(size * (double)power + 0.5);
    uint64_t whole = scaled / power, rest = scaled % power;
    char reversed[32];
    size_t count = 0, length = 0;
    for (uint64_t left = whole; left || !count; left /= 10) {
        if (digits.commas && count % 4 == 3) reversed[count++] = ',';
        reversed[count++] = (char)('0' + left % 10);
    }
    while (count) text[length++] = reversed[--count];
    for (; digits.trim && decimals && rest % 10 == 0; decimals--) rest /= 10;
    if (decimals) text[length] = '.';
    for (int i = decimals; i > 0; i--, rest /= 10)
        text[length + (size_t)i] = (char)('0' + rest % 10);
    return decimals ? length + 1 + (size_t)decimals : length;
}

static size_t put_exponent(char *text, double size, struct ig_plot_digits digits)
{
    int exponent = exponent_of(size);
    /* In two steps: a power of a denormal's exponent alone may not be a double. */
    int half = exponent / 2;
    double mantissa = size / pow(10, half) / pow(10, exponent - half);
    if (mantissa + 0.5 * pow(10, -digits.decimals) >= 10) {
        mantissa /= 10;
        exponent++;
    }
    size_t length = put_fixed(text, mantissa, digits);
    text[length++] = 'e';
    if (exponent < 0) text[length++] = '-';
    unsigned left = (unsigned)(exponent < 0 ? -exponent : exponent);
    if (left >= 100) text[length++] = (char)('0' + left / 100);
    if (left >= 10) text[length++] = (char)('0' + left / 10 % 10);
    text[length++] = (char)('0' + left % 10);
    return length;
}

struct ig_str ig_plot_number(char text[IG_PLOT_NUMBER_MAX], double value,
                             struct ig_plot_digits digits, bool plus)
{
    double size = fabs(value);
    size_t length = 0;
    if (value < 0) {
        memcpy(text, "\u2212", 3);
        length = 3;
    } else if (plus && value > 0) {
        text[length++] = '+';
    }
    if (!(size > 0))
        text[length++] = '0';
    else if (digits.exponent || size >= 1e8)
        length += put_exponent(text + length, size, digits);
    else
        length += put_fixed(text + length, size, digits);
    text[length] = 0;
    return (struct ig_str){text, length};
}

struct ig_str ig_plot_number_alone(char text[IG_PLOT_NUMBER_MAX], double value)
{
    if (isnan(value)) return IG_STR("missing");
    if (isinf(value)) return value > 0 ? IG_STR("\u221e") : IG_STR("\u2212\u221e");
    struct ig_plot_digits digits = ig_plot_digits_of(value, 0, 4);
    digits.trim = true;
    digits.commas = false; /* it may be a postal code */
    /* Whole numbers stay whole. */
    if (fabs(value) < 1e7 && value == floor(value)) digits = (struct ig_plot_digits){0};
    return ig_plot_number(text, value, digits, false);
}

void ig_plot_words_add(struct ig_plot_words *words, struct ig_str text)
{
    size_t room = sizeof words->text - words->len;
    if (text.len > room) {
        size_t fits = 0;
        for (size_t length; fits < text.len; fits += length) {
            (void)decode((struct ig_str){text.ptr + fits, text.len - fits}, &length);
            if (fits + length > room) break;
        }
        text.len = fits;
    }
    if (text.len) memcpy(words->text + words->len, text.ptr, text.len);
    words->len += text.len;
}

void ig_plot_words_put(struct ig_plot_words *words, const char *text)
{
    ig_plot_words_add(words, ig_str_view(text));
}

void ig_plot_words_name(struct ig_plot_words *words, struct ig_str name)
{
    struct ig_str head = ig_plot_text_head(name, NAME_CHARACTERS);
    ig_plot_words_add(words, head);
    if (head.len < name.len) ig_plot_words_put(words, "\u2026");
}

void ig_plot_words_number(struct ig_plot_words *words, double value, struct ig_plot_digits digits,
                          bool plus)
{
    char text[IG_PLOT_NUMBER_MAX];
    ig_plot_words_add(words, ig_plot_number(text, value, digits, plus));
}

void ig_plot_words_count(struct ig_plot_words *words, size_t count, const char *thing)
{
    char number[IG_PLOT_NUMBER_MAX];
    ig_plot_words_add(words, ig_plot_number(number, (double)count, IG_PLOT_COUNT, false));
    ig_plot_words_put(words, " ");
    ig_plot_words_put(words, thing);
    if (count != 1) ig_plot_words_put(words, "s");
}

struct ig_str ig_plot_words_view(const struct ig_plot_words *words)
{
    return (struct ig_str){words->text, words->len};
}
