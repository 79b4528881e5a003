/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 (RFC 4648). Thread rule: pure. */
#include "base/base64.h"

static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void ig_base64_add(struct ig_buf *out, struct ig_str bytes)
{
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t group = (uint32_t)(unsigned char)bytes.ptr[i] << 16;
        if (left > 1) group |= (uint32_t)(unsigned char)bytes.ptr[i + 1] << 8;
        if (left > 2) group |= (unsigned char)bytes.ptr[i + 2];
        const char text[4] = {DIGITS[group >> 18], DIGITS[group >> 12 & 63],
                              (char)(left > 1 ? DIGITS[group >> 6 & 63] : '='),
                              (char)(left > 2 ? DIGITS[group & 63] : '=')};
        ig_buf_add(out, text, sizeof text);
    }
}

static int digit_value(char digit)
{
    if (digit >= 'A' && digit <= 'Z') return digit - 'A';
    if (digit >= 'a' && digit <= 'z') return digit - 'a' + 26;
    if (digit >= '0' && digit <= '9') return digit - '0' + 52;
    if (digit == '+' || digit == '-') return 62;
    return digit == '/' || digit == '_' ? 63 : -1;
}

bool ig_base64_decode(struct ig_buf *out, struct ig_str text)
{
    size_t before = out->len, padding = 0;
    uint32_t bits = 0;
    for (; padding < 2 && text.len && text.ptr[text.len - 1] == '='; padding++) text.len--;
    bool good = text.len % 4 != 1 && (!padding || (text.len + padding) % 4 == 0);
    for (size_t i = 0; good && i < text.len; i++) {
        int value = digit_value(text.ptr[i]);
        good = value >= 0;
        bits = bits << 6 | (uint32_t)(value & 63);
        if (i % 4) ig_buf_add_char(out, (char)(bits >> (6 - 2 * (i % 4)) & 255));
    }
    if (!good) out->len = before;
    return good;
}
