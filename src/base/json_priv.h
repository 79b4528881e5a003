/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_JSON_PRIV_H
#define IG_BASE_JSON_PRIV_H

#include <stdint.h>

/* The high bit of each byte of eight that a JSON string cannot simply hold: a quote, a backslash, a
 * control character, or one beyond ASCII (allowed, but to be checked). 0 exactly when there is
 * none; the lowest bit set is right, those above it may be false. */
static inline uint64_t ig_json_special_bytes(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';
    return ((quote - ones) | (backslash - ones) | (word - ones * 0x20) | word) & tops;
}

#endif
