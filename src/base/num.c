/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as text. Thread-safe: the table of powers is made once and constant after.
 *
 * Reading: at most 19 digits go into a 64-bit integer; small cases are one exact multiplication
 * (Clinger 1990), the others the 128-bit product of Eisel and Lemire (Lemire 2021, "Number parsing
 * at a gigabyte per second"). What that cannot decide (more digits that matter) goes to strtod
 * under the C locale. Writing: Schubfach (Giulietti 2020, "The Schubfach way to render doubles"),
 * the shortest decimal that reads back, nearest to the value among those.
 *
 * Both need 5^q for q in [-342, 324] normalised to 128 bits; the table is computed exactly at first
 * use. */
#include "base/num.h"

#include "base/err.h"
#include "base/int128.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { POWER_MIN = -342, POWER_MAX = 324, EXACT_POWER_MAX = 55, BIG_WORDS = 36 };

struct power {
    uint64_t high, low; /* 5^q cut (not rounded) to 128 bits with the top bit set */
};

static struct power powers[POWER_MAX - POWER_MIN + 1];
static locale_t c_locale;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static atomic_bool tables_made;

/* The top 128 bits of a little-endian big number. */
static struct power top_bits(const uint64_t big[BIG_WORDS])
{
    int word = BIG_WORDS - 1;
    while (big[word] == 0) word--;
    uint64_t a = big[word], b = word > 0 ? big[word - 1] : 0, c = word > 1 ? big[word - 2] : 0;
    int shift = __builtin_clzll(a);
    if (shift == 0) return (struct power){a, b};
    return (struct power){a << shift | b >> (64 - shift), b << shift | c >> (64 - shift)};
}

static void make_tables(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    uint64_t big[BIG_WORDS] = {1};
    for (int q = 0; q <= POWER_MAX; q++) {
        powers[q - POWER_MIN] = top_bits(big);
        uint64_t carry = 0;
        for (int i = 0; i < BIG_WORDS; i++) {
            ig_u128 product = (ig_u128)big[i] * 5 + carry;
            big[i] = (uint64_t)product;
            carry = (uint64_t)(product >> 64);
        }
    }
    memset(big, 0, sizeof big);
    big[BIG_WORDS - 1] = 1; /* 2^2240: 128 bits and more are left after 342 divisions by 5 */
    for (int q = -1; q >= POWER_MIN; q--) {
        uint64_t rest = 0;
        for (int i = BIG_WORDS - 1; i >= 0; i--) {
            ig_u128 part = (ig_u128)rest << 64 | big[i];
            big[i] = (uint64_t)(part / 5);
            rest = (uint64_t)(part % 5);
        }
        powers[q - POWER_MIN] = top_bits(big);
    }
    atomic_store_explicit(&tables_made, true, memory_order_release);
}

static void need_tables(void)
{
    if (!atomic_load_explicit(&tables_made, memory_order_acquire)) pthread_once(&once, make_tables);
}

/* Reading. */

struct binary_format {
    int mantissa_bits; /* stored */
    int exponent_bias; /* of the biased exponent */
    int infinite_power;
    int decimal_min, decimal_max; /* outside: zero, infinity */
    int even_min, even_max;       /* powers where an exact tie is possible */
};

static const struct binary_format f64_format = {52, 1023, 0x7FF, -342, 308, -4, 23};
static const struct binary_format f32_format = {23, 127, 0xFF, -64, 38, -17, 10};

/* w * 10^q as bits of the format (sign excluded). False when 128 bits cannot decide. */
static bool eisel_lemire(const struct binary_format *f, uint64_t w, int64_t q, uint64_t *bits)
{
    uint64_t infinity = (uint64_t)f->infinite_power << f->mantissa_bits;
    *bits = 0;
    if (w == 0 || q < f->decimal_min) return true;
    if (q > f->decimal_max) {
        *bits = infinity;
        return true;
    }
    int lz = __builtin_clzll(w);
    w <<= lz;
    struct power power = powers[q - POWER_MIN];
    /* The published table rounds reciprocals of small powers up. */
    if (q < 0 && q >= -27 && ++power.low == 0) power.high++;
    ig_u128 product = (ig_u128)w * power.high;
    uint64_t mask = UINT64_MAX >> (f->mantissa_bits + 3);
    if (((uint64_t)(product >> 64) & mask) == mask) product += (ig_u128)w * power.low >> 64;
    uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product;
    if (low == UINT64_MAX && (q < -27 || q > EXACT_POWER_MAX)) return false;
    int upper = (int)(high >> 63), shift = upper + 64 - f->mantissa_bits - 3;
    uint64_t mantissa = high >> shift;
    int exponent = (int)((217706 * q) >> 16) + 63 + upper - lz + f->exponent_bias;
    if (exponent <= 0) {
        if (1 - exponent >= 64) return true;
        mantissa >>= 1 - exponent;
        mantissa = (mantissa + (mantissa & 1)) >> 1;
        *bits = mantissa; /* a carry into the exponent makes the smallest normal */
        return true;
    }
    if (low <= 1 && q >= f->even_min && q <= f->even_max && (mantissa & 3) == 1 &&
        mantissa << shift == high)
        mantissa &= ~(uint64_t)1;
    mantissa = (mantissa + (mantissa & 1)) >> 1;
    if (mantissa >= (uint64_t)2 << f->mantissa_bits) {
        mantissa = (uint64_t)1 << f->mantissa_bits;
        exponent++;
    }
    mantissa &= ~((uint64_t)1 << f->mantissa_bits);
    *bits = exponent >= f->infinite_power ? infinity
                                          : (uint64_t)exponent << f->mantissa_bits | mantissa;
    return true;
}

struct decimal {
    bool negative;
    bool truncated; /* digits beyond the 19th were dropped */
    uint64_t digits;
    int64_t exponent;
};

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

/* Adds the digits, at most eight, that eight bytes begin with (after Lemire 2021; the first is the
 * lowest byte). Returns how many. */
static inline int some_digits(const char *p, uint64_t *sum)
{
    static const uint32_t TENS[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    uint64_t word;
    memcpy(&word, p, sizeof word);
    word ^= 0x3030303030303030u; /* a digit is now its value; a carry harms only what follows */
    uint64_t others = (word | (word + 0x0606060606060606u)) & 0xF0F0F0F0F0F0F0F0u;
    int count = others ? __builtin_ctzll(others) / 8 : 8;
    if (!count) return 0;
    word <<= 64 - 8 * count;        /* zeros before them */
    word = word * 10 + (word >> 8); /* pairs in the even bytes */
    uint64_t low = (word & 0x000000FF000000FFu) * 0x000F424000000064u;
    uint64_t high = (word >> 16 & 0x000000FF000000FFu) * 0x0000271000000001u;
    *sum = *sum * TENS[count] + ((low + high) >> 32 & 0xFFFFFFFFu);
    return count;
}

static const char *scan_digits(const char *p, const char *end, uint64_t *value)
{
    uint64_t sum = *value;
    int count = 8;
    while (count == 8 && end - p >= 8) {
        count = some_digits(p, &sum);
        p += count;
    }
    for (; count == 8 && p < end && is_digit(*p); p++) sum = sum * 10 + (unsigned char)(*p - '0');
    *value = sum;
    return p;
}

/* Digits before the point: mostly one, for which eight at a time are too many. */
static const char *scan_whole(const char *p, const char *end, uint64_t *value)
{
    if (end - p < 2 || !is_digit(p[0]) || is_digit(p[1])) return scan_digits(p, end, value);
    *value = (unsigned char)(*p - '0');
    return p + 1;
}

enum { DIGITS_MAX = 19 }; /* that many always fit into 64 bits */

/* The same digits again when there are more than fit: the first 19 significant ones are kept. */
static void take_long(const char *p, const char *end, struct decimal *d)
{
    int kept = 0;
    bool fraction = false;
    d->digits = 0;
    d->exponent = 0;
    for (; p < end; p++) {
        if (*p == '.') {
            fraction = true;
            continue;
        }
        unsigned digit = (unsigned char)(*p - '0');
        if (kept < DIGITS_MAX) {
            d->digits = d->digits * 10 + digit;
            kept += d->digits != 0;
            d->exponent -= fraction;
        } else {
            d->truncated |= digit != 0;
            d->exponent += !fraction;
        }
    }
}

static bool take_exponent(const char *p, const char *end, struct decimal *d)
{
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) p++;
    if (p == end) return false;
    int64_t exponent = 0;
    for (; p < end; p++) {
        if (*p < '0' || *p > '9') return false;
        if (exponent < 1000000) exponent = exponent * 10 + (*p - '0');
    }
    d->exponent += negative ? -exponent : exponent;
    return true;
}

static bool parse_decimal(struct ig_str text, struct decimal *d)
{
    *d = (struct decimal){0};
    if (!text.len) return false; /* and perhaps no pointer */
    const char *p = text.ptr, *end = text.ptr + text.len;
    d->negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) p++;
    const char *start = p;
    p = scan_whole(p, end, &d->digits);
    int64_t count = p - start;
    if (p < end && *p == '.') {
        const char *fraction = ++p;
        p = scan_digits(p, end, &d->digits);
        d->exponent = fraction - p;
        count += p - fraction;
    }
    if (!count) return false;
    if (count > DIGITS_MAX) take_long(start, p, d);
    if (p == end) return true;
    return (*p == 'e' || *p == 'E') && take_exponent(p + 1, end, d);
}

static bool to_bits(const struct binary_format *f, const struct decimal *d, uint64_t *bits)
{
    need_tables();
    if (!eisel_lemire(f, d->digits, d->exponent, bits)) return false;
    uint64_t above;
    return !d->truncated || (eisel_lemire(f, d->digits + 1, d->exponent, &above) && above == *bits);
}

/* "nan", "inf", "infinity" with an optional sign, in any case. */
static bool parse_word(struct ig_str text, double *out)
{
    bool negative = text.len && text.ptr[0] == '-';
    if (text.len && (text.ptr[0] == '-' || text.ptr[0] == '+')) {
        text.ptr++;
        text.len--;
    }
    double value;
    if (ig_str_eq_nocase(text, IG_STR("nan")))
        value = (double)NAN;
    else if (ig_str_eq_nocase(text, IG_STR("inf")) || ig_str_eq_nocase(text, IG_STR("infinity")))
        value = (double)INFINITY;
    else
        return false;
    *out = negative ? -value : value;
    return true;
}

enum { SLOW_TEXT_MAX = 4096 };

static void put_exponent(char *at, int64_t exponent)
{
    *at++ = 'e';
    if (exponent < 0) *at++ = '-';
    uint64_t magnitude = (uint64_t)(exponent < 0 ? -exponent : exponent);
    char digits[20];
    int count = 0;
    do digits[count++] = (char)('0' + magnitude % 10);
    while (magnitude /= 10);
    while (count) *at++ = digits[--count];
    *at = '\0';
}

/* The text is known to be a decimal number; only its rounding is open. A text too long for the copy
 * is written anew as its significant digits and an exponent; digits that still do not fit only tell
 * "above half", so one '1' stands for them. */
static void slow_copy(char copy[SLOW_TEXT_MAX + 32], struct ig_str text, const struct decimal *d)
{
    if (text.len < SLOW_TEXT_MAX) {
        memcpy(copy, text.ptr, text.len);
        copy[text.len] = '\0';
        return;
    }
    const char *p = text.ptr, *end = text.ptr + text.len;
    int64_t exponent = d->exponent;
    size_t used = 0;
    bool more = false;
    for (; p < end && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.' || *p == '-' || *p == '+' || (!used && *p == '0')) continue;
        if (used == SLOW_TEXT_MAX) {
            more |= *p != '0';
            continue;
        }
        copy[used++] = *p;
        exponent -= used > DIGITS_MAX;
    }
    if (more) {
        copy[used++] = '1';
        exponent--;
    }
    put_exponent(copy + used, exponent);
}

/* The magnitude where one exact operation gives it. */
static inline bool exact_f64(uint64_t digits, int64_t exponent, double *out)
{
    static const double exact[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (digits > (uint64_t)1 << 53 || exponent < -22 || exponent > 22) return false;
    double value = (double)digits;
    *out = exponent < 0 ? value / exact[-exponent] : value * exact[exponent];
    return true;
}

/* The magnitude; false when 128 bits cannot decide. */
static bool to_f64(const struct decimal *d, double *out)
{
    if (!d->truncated && exact_f64(d->digits, d->exponent, out)) return true;
    uint64_t bits;
    if (!to_bits(&f64_format, d, &bits)) return false;
    memcpy(out, &bits, sizeof *out);
    return true;
}

bool ig_num_parse_f64(struct ig_str text, double *out)
{
    struct decimal d;
    double value;
    if (!parse_decimal(text, &d)) return parse_word(text, out);
    if (!to_f64(&d, &value)) {
        char copy[SLOW_TEXT_MAX + 32];
        slow_copy(copy, text, &d);
        value = fabs(strtod_l(copy, NULL, c_locale));
    }
    *out = d.negative ? -value : value;
    return true;
}

static __attribute__((noinline)) bool rounded_f64(uint64_t digits, int64_t exponent, double *out)
{
    return to_f64(&(struct decimal){.digits = digits, .exponent = exponent}, out);
}

enum { NEAR_BYTES = 1 + 7 + 1 + 16 + 1 }; /* sign, whole digits, point, fraction, what follows */

/* What most numbers are: at most 7 digits and a fraction of at most 16. NULL: it is another, or
 * none. NEAR_BYTES can be read. */
static const char *scan_near(const char *at, double *out)
{
    bool negative = *at == '-';
    int whole = 1, fraction = 0;
    at += negative;
    uint64_t digits = (unsigned char)(*at - '0');
    if (digits > 9) return NULL;
    if (is_digit(at[1])) {
        digits = 0;
        whole = some_digits(at, &digits);
        if (whole == 8 || *at == '0') return NULL;
    }
    at += whole;
    if (*at == '.') {
        fraction = some_digits(++at, &digits);
        if (fraction == 8) fraction += some_digits(at + 8, &digits);
        if (!fraction || (fraction == 16 && is_digit(at[16])) || whole + fraction > DIGITS_MAX)
            return NULL;
        at += fraction;
    }
    if (*at == 'e' || *at == 'E') return NULL;
    if (!exact_f64(digits, -fraction, out) && !rounded_f64(digits, -fraction, out)) return NULL;
    uint64_t bits;
    memcpy(&bits, out, sizeof bits);
    bits |= (uint64_t)negative << 63; /* no branch: signs are not foreseen */
    memcpy(out, &bits, sizeof bits);
    return at;
}

static __attribute__((noinline)) const char *scan_any(const char *at, const char *end, double *out)
{
    struct decimal d = {.negative = at < end && *at == '-'};
    double value;
    const char *start = at += d.negative;
    at = scan_whole(at, end, &d.digits);
    int64_t count = at - start;
    if (!count || (count > 1 && *start == '0')) return NULL;
    if (at < end && *at == '.') {
        const char *fraction = ++at;
        at = scan_digits(at, end, &d.digits);
        d.exponent = fraction - at;
        if (!d.exponent) return NULL;
        count -= d.exponent;
    }
    bool more = at < end && (*at == 'e' || *at == 'E');
    if (more || count > DIGITS_MAX || !to_f64(&d, &value)) return NULL;
    *out = d.negative ? -value : value;
    return at;
}

const char *ig_num_scan_f64(const char *at, const char *end, double *out)
{
    const char *behind = end - at >= NEAR_BYTES ? scan_near(at, out) : NULL;
    return behind ? behind : scan_any(at, end, out);
}

bool ig_num_parse_f32(struct ig_str text, float *out)
{
    struct decimal d;
    double word;
    if (!parse_decimal(text, &d)) {
        if (!parse_word(text, &word)) return false;
        *out = (float)word;
        return true;
    }
    static const float exact[] = {1e0F, 1e1F, 1e2F, 1e3F, 1e4F, 1e5F,
                                  1e6F, 1e7F, 1e8F, 1e9F, 1e10F};
    uint64_t bits;
    float value;
    if (!d.truncated && d.digits <= 1 << 24 && d.exponent >= -10 && d.exponent <= 10) {
        value = (float)d.digits;
        value = d.exponent < 0 ? value / exact[-d.exponent] : value * exact[d.exponent];
    } else if (to_bits(&f32_format, &d, &bits)) {
        uint32_t narrow = (uint32_t)bits;
        memcpy(&value, &narrow, sizeof value);
    } else {
        char copy[SLOW_TEXT_MAX + 32];
        slow_copy(copy, text, &d);
        value = fabsf(strtof_l(copy, NULL, c_locale));
    }
    *out = d.negative ? -value : value;
    return true;
}

/* Writing. */

struct shortest {
    uint64_t digits;
    int exponent;
};

static int floor_shift(int64_t value, int bits)
{
    return (int)(value >> bits); /* arithmetic shift: floor */
}

static uint64_t round_to_odd(struct power g, uint64_t cp)
{
    uint64_t x1 = (uint64_t)((ig_u128)g.low * cp >> 64);
    ig_u128 y = (ig_u128)g.high * cp + x1;
    return (uint64_t)(y >> 64) | ((uint64_t)y > 1);
}

/* The shortest decimal for c * 2^q; `closer`: the lower neighbour is half as far as the upper one.
 */
static struct shortest schubfach(uint64_t c, int q, bool closer)
{
    bool even = (c & 1) == 0;
    int k = floor_shift((int64_t)q * 1262611 - (closer ? 524031 : 0), 22);
    int h = q + floor_shift((int64_t)-k * 1741647, 19) + 1;
    struct power g = powers[-k - POWER_MIN];
    if (-k < 0 || -k > EXACT_POWER_MAX)
        if (++g.low == 0) g.high++;
    uint64_t vbl = round_to_odd(g, (4 * c - 2 + closer) << h);
    uint64_t vb = round_to_odd(g, (4 * c) << h);
    uint64_t vbr = round_to_odd(g, (4 * c + 2) << h);
    uint64_t lower = vbl + !even, upper = vbr - !even, s = vb / 4;
    if (s >= 10) {
        uint64_t sp = s / 10;
        bool up = lower <= 40 * sp, wp = 40 * sp + 40 <= upper;
        if (up != wp) return (struct shortest){sp + wp, k + 1};
    }
    bool u = lower <= 4 * s, w = 4 * s + 4 <= upper;
    if (u != w) return (struct shortest){s + w, k};
    uint64_t mid = 4 * s + 2;
    bool round_up = vb > mid || (vb == mid && (s & 1) != 0);
    return (struct shortest){s + round_up, k};
}

/* Decimal digits of a value in [1, 10^17): without leading zeros, and zeros behind them. */
struct digits {
    char text[40];
    int count;    /* without trailing zeros, at least 1 */
    int position; /* with them */
};

/* Eight decimal digits, one a byte, the first in the lowest byte. */
static uint64_t split_eight(uint64_t value)
{
    uint64_t x = value / 10000 | value % 10000 << 32;
    uint64_t q = (x * 10486 >> 20) & 0x0000007F0000007Fu;
    x = q | (x - q * 100) << 16;
    q = (x * 103 >> 10) & 0x000F000F000F000Fu;
    return q | (x - q * 10) << 8;
}

static void split_digits(struct digits *out, uint64_t value)
{
    char all[56];
    memset(all, '0', sizeof all);
    uint64_t top = value / 10000000000000000u, rest = value - top * 10000000000000000u;
    uint64_t upper = split_eight(rest / 100000000), lower = split_eight(rest % 100000000);
    int count = top ? 17 : upper ? 16 - __builtin_ctzll(upper) / 8 : 8 - __builtin_ctzll(lower) / 8;
    int last = lower ? 17 - __builtin_clzll(lower) / 8 : upper ? 9 - __builtin_clzll(upper) / 8 : 1;
    upper += 0x3030303030303030u;
    lower += 0x3030303030303030u;
    all[0] = (char)('0' + top);
    memcpy(all + 1, &upper, 8);
    memcpy(all + 9, &lower, 8);
    memcpy(out->text, all + 17 - count, sizeof out->text - 1);
    out->position = count;
    out->count = last - (17 - count);
}

static size_t put_scientific(char *out, const struct digits *d, int point)
{
    out[0] = d->text[0];
    out[1] = '.';
    memcpy(out + 2, d->text + 1, 16);
    size_t used = d->count > 1 ? (size_t)d->count + 1 : 1;
    int exponent = point - 1;
    out[used++] = 'e';
    out[used++] = exponent < 0 ? '-' : '+';
    if (exponent < 0) exponent = -exponent;
    if (exponent >= 100) out[used++] = (char)('0' + exponent / 100);
    out[used++] = (char)('0' + exponent / 10 % 10);
    out[used++] = (char)('0' + exponent % 10);
    return used;
}

/* digits * 10^exponent as text: positional between 1e-5 and 1e17, else scientific. The copies are
 * of fixed size, longer than what counts: up to 35 bytes of the caller's text. */
static size_t put_decimal(char *out, struct shortest value)
{
    struct digits d;
    split_digits(&d, value.digits);
    int point = d.position + value.exponent; /* digits before the decimal point */
    if (point <= -5 || point > 17) return put_scientific(out, &d, point);
    if (point <= 0) {
        memcpy(out, "0.0000", 6);
        memcpy(out + 2 - point, d.text, 20);
        return (size_t)2 + (size_t)(d.count - point);
    }
    memcpy(out, d.text, 20);
    if (point >= d.count) return (size_t)point;
    memcpy(out + point + 1, d.text + point, 16);
    out[point] = '.';
    return (size_t)d.count + 1;
}

static size_t put_value(char *text, bool negative, struct shortest value)
{
    text[0] = '-';
    size_t used = (size_t)negative + put_decimal(text + negative, value);
    text[used] = '\0';
    return used;
}

static size_t put_special(char *text, bool negative, const char *word)
{
    size_t length = strlen(word);
    text[0] = '-';
    memcpy(text + negative, word, length + 1);
    return length + negative;
}

size_t ig_num_format_f64(char text[IG_NUM_TEXT_MAX], double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    bool negative = bits >> 63;
    uint64_t fraction = bits & (((uint64_t)1 << 52) - 1);
    int exponent = (int)(bits >> 52 & 0x7FF);
    if (exponent == 0x7FF)
        return put_special(text, negative && !fraction, fraction ? "nan" : "inf");
    if (exponent == 0 && fraction == 0) return put_special(text, negative, "0");
    need_tables();
    uint64_t c = exponent ? fraction | (uint64_t)1 << 52 : fraction;
    int q = (exponent ? exponent : 1) - 1075;
    if (q <= 0 && q > -53 && (c & (((uint64_t)1 << -q) - 1)) == 0)
        return put_value(text, negative, (struct shortest){c >> -q, 0});
    return put_value(text, negative, schubfach(c, q, fraction == 0 && exponent > 1));
}

size_t ig_num_format_f32(char text[IG_NUM_TEXT_MAX], float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bool negative = bits >> 31;
    uint32_t fraction = bits & (((uint32_t)1 << 23) - 1);
    int exponent = (int)(bits >> 23 & 0xFF);
    if (exponent == 0xFF) return put_special(text, negative && !fraction, fraction ? "nan" : "inf");
    if (exponent == 0 && fraction == 0) return put_special(text, negative, "0");
    need_tables();
    uint64_t c = exponent ? fraction | (uint32_t)1 << 23 : fraction;
    int q = (exponent ? exponent : 1) - 150;
    if (q <= 0 && q > -24 && (c & (((uint64_t)1 << -q) - 1)) == 0)
        return put_value(text, negative, (struct shortest){c >> -q, 0});
    return put_value(text, negative, schubfach(c, q, fraction == 0 && exponent > 1));
}

size_t ig_num_format_i64(char text[IG_NUM_TEXT_MAX], int64_t value)
{
    const uint64_t zeros = 0x3030303030303030u;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    uint64_t groups[3] = {rest % 100000000, rest / 100000000};
    int top = groups[1] != 0;
    if (groups[1] >= 100000000) {
        groups[2] = groups[1] / 100000000;
        groups[1] %= 100000000;
        top = 2;
    }
    char *at = text;
    if (value < 0) *at++ = '-';
    uint64_t eight = split_eight(groups[top]);
    int leading = eight ? __builtin_ctzll(eight) / 8 : 7;
    eight = (eight + zeros) >> 8 * leading;
    memcpy(at, &eight, sizeof eight);
    at += 8 - leading;
    while (top) {
        eight = split_eight(groups[--top]) + zeros;
        memcpy(at, &eight, sizeof eight);
        at += sizeof eight;
    }
    *at = '\0';
    return (size_t)(at - text);
}

double ig_num_last_to_f32(float bound, bool *included)
{
    uint32_t bits;
    float next = nextafterf(bound, INFINITY);
    memcpy(&bits, &bound, sizeof bits);
    *included = !(bits & 1);
    if (isinf(next)) return (double)bound + ((double)bound - (double)nextafterf(bound, 0)) / 2;
    return (double)bound + ((double)next - (double)bound) / 2;
}
