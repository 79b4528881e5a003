/* SPDX-License-Identifier: Apache-2.0 */
/* 16 hexadecimal digits of the time at which it ends, then 64 of the MAC. */
#include "api/form_token.h"

#include <stdio.h>

enum { TIME_DIGITS = 16 };

static void seal(char token[IG_FORM_TOKEN_SIZE], const unsigned char key[IG_SHA256_BYTES],
                 const struct ig_principal *who, uint64_t ends_ms)
{
    char text[TIME_DIGITS + 1 + IG_ID_SIZE];
    unsigned char mac[IG_SHA256_BYTES];
    snprintf(text, sizeof text, "%016llx %s", (unsigned long long)ends_ms, who->id);
    ig_hmac_sha256(mac, (struct ig_str){(const char *)key, IG_SHA256_BYTES}, ig_str_view(text));
    memcpy(token, text, TIME_DIGITS);
    ig_hex(token + TIME_DIGITS, mac, sizeof mac);
}

void ig_form_token_new(char token[IG_FORM_TOKEN_SIZE], const unsigned char key[IG_SHA256_BYTES],
                       const struct ig_principal *who, int64_t now_ms)
{
    seal(token, key, who, (uint64_t)now_ms + IG_FORM_TOKEN_LIFE_MS);
}

enum ig_code ig_form_token_check(struct ig_str token, const unsigned char key[IG_SHA256_BYTES],
                                 const struct ig_principal *who, int64_t now_ms, struct ig_err *err)
{
    char good[IG_FORM_TOKEN_SIZE];
    uint64_t ends_ms = 0;
    if (!token.len) return ig_fail(err, IG_INVALID, "The CSRF token is missing.");
    for (size_t i = 0; i < TIME_DIGITS && i < token.len; i++)
        ends_ms = ends_ms << 4 | (unsigned)(ig_hex_digit(token.ptr[i]) & 15);
    seal(good, key, who, ends_ms);
    if (token.len != sizeof good - 1 || !ig_equal_constant_time(good, token.ptr, token.len))
        return ig_fail(err, IG_INVALID, "The CSRF token is invalid.");
    if ((uint64_t)now_ms >= ends_ms) return ig_fail(err, IG_INVALID, "The CSRF token has expired.");
    return IG_OK;
}
