/* SPDX-License-Identifier: Apache-2.0 */
/* Any text read as a number agrees with the C library to the bit; any bits written as text read
 * back as the same bits. */
#include "base/num.h"

#include "base/err.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FOLLOWING = 40 }; /* bytes */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same_bits(double a, double b)
{
    uint64_t left, right;
    memcpy(&left, &a, sizeof left);
    memcpy(&right, &b, sizeof right);
    return left == right;
}

static bool same_bits32(float a, float b)
{
    uint32_t left, right;
    memcpy(&left, &a, sizeof left);
    memcpy(&right, &b, sizeof right);
    return left == right;
}

static void check_text(const char *text, size_t length)
{
    double ours = 7, libc = strtod(text, NULL);
    float ours32 = 7, libc32 = strtof(text, NULL);
    struct ig_str view = {text, length};
    bool read = ig_num_parse_f64(view, &ours);
    IG_ASSERT(read == ig_num_parse_f32(view, &ours32));
    if (!read) {
        IG_ASSERT(ours == 7 && ours32 == 7);
        return;
    }
    IG_ASSERT(isnan(ours) == isnan(libc) && isnan(ours32) == isnan(libc32));
    if (isnan(ours)) return;
    IG_ASSERT(same_bits(ours, libc));
    IG_ASSERT(same_bits32(ours32, libc32));
}

/* What is scanned is what the same bytes are parsed to, whatever follows them. */
static void check_scan(char *text, size_t length)
{
    double scanned = 7, parsed = 8, beside = 7;
    const char *end = ig_num_scan_f64(text, text + length, &scanned);
    memset(text + length, ',', FOLLOWING);
    const char *same = ig_num_scan_f64(text, text + length + FOLLOWING, &beside);
    IG_ASSERT(same == end && same_bits(beside, scanned));
    if (!end) {
        IG_ASSERT(scanned == 7);
        return;
    }
    IG_ASSERT(end > text && end <= text + length);
    IG_ASSERT(ig_num_parse_f64((struct ig_str){text, (size_t)(end - text)}, &parsed));
    IG_ASSERT(same_bits(scanned, parsed));
}

static void check_bits(const uint8_t *data)
{
    double value, back = 0;
    float single, back32 = 0;
    char text[IG_NUM_TEXT_MAX];
    memcpy(&value, data, sizeof value);
    memcpy(&single, data, sizeof single);
    size_t length = ig_num_format_f64(text, value);
    IG_ASSERT(length == strlen(text) && length <= 24);
    IG_ASSERT(ig_num_parse_f64((struct ig_str){text, length}, &back));
    IG_ASSERT(same_bits(back, value) || isnan(value));
    length = ig_num_format_f32(text, single);
    IG_ASSERT(length == strlen(text) && length <= 24);
    IG_ASSERT(ig_num_parse_f32((struct ig_str){text, length}, &back32));
    IG_ASSERT(same_bits32(back32, single) || isnan(single));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1 + FOLLOWING);
    IG_ASSERT(text);
    memcpy(text, data, size);
    text[size] = '\0';
    if (size == strlen(text)) check_text(text, size);
    check_scan(text, size);
    if (size >= 8) check_bits(data);
    free(text);
    return 0;
}
