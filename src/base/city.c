/* SPDX-License-Identifier: Apache-2.0 */
/* CityHash64 as its version 1.0 defines it (Pike and Alakuijala, 2011); later versions differ for
 * every length. All arithmetic is modulo 2^64, words are little-endian. Thread rule: pure. */
#include "base/city.h"

static const uint64_t K0 = 0xc3a5c85c97cb3127, K1 = 0xb492b66fbe98f273, K2 = 0x9ae16a3b2f90404f,
                      K3 = 0xc949d7c7509e6557;

struct pair {
    uint64_t first, second;
};

static uint64_t load(const unsigned char *at, size_t bytes)
{
    uint64_t word = 0;
    for (size_t i = bytes; i-- > 0;) word = word << 8 | at[i];
    return word;
}

static uint64_t load64(const unsigned char *at)
{
    return load(at, 8);
}

/* By 1..63 bits. */
static uint64_t rotate(uint64_t word, unsigned bits)
{
    return word >> bits | word << (64 - bits);
}

static uint64_t fold(uint64_t word)
{
    return word ^ word >> 47;
}

static uint64_t mix(uint64_t low, uint64_t high)
{
    const uint64_t multiplier = 0x9ddfea08eb382d69;
    uint64_t a = fold((low ^ high) * multiplier);
    return fold((high ^ a) * multiplier) * multiplier;
}

static uint64_t hash_to_16(const unsigned char *s, size_t length)
{
    if (length > 8) {
        uint64_t last = load64(s + length - 8);
        return mix(load64(s), rotate(last + length, (unsigned)length)) ^ last;
    }
    if (length >= 4) return mix(length + (load(s, 4) << 3), load(s + length - 4, 4));
    if (!length) return K2;
    uint64_t y = s[0] + ((uint64_t)s[length / 2] << 8);
    uint64_t z = length + ((uint64_t)s[length - 1] << 2);
    return fold(y * K2 ^ z * K3) * K2;
}

static uint64_t hash_to_32(const unsigned char *s, size_t length)
{
    uint64_t a = load64(s) * K1, b = load64(s + 8);
    uint64_t c = load64(s + length - 8) * K2, d = load64(s + length - 16) * K0;
    return mix(rotate(a - b, 43) + rotate(c, 30) + d, a + rotate(b ^ K3, 20) - c + length);
}

/* One half of hash_to_64, over the first or the last 32 bytes. */
static struct pair half(const unsigned char *s, uint64_t a, uint64_t z)
{
    uint64_t b = rotate(a + z, 52), c = rotate(a, 37);
    a += load64(s + 8);
    c += rotate(a, 7);
    a += load64(s + 16);
    return (struct pair){a + z, b + rotate(a, 31) + c};
}

static uint64_t hash_to_64(const unsigned char *s, size_t length)
{
    const unsigned char *end = s + length;
    struct pair v = half(s, load64(s) + (length + load64(end - 16)) * K0, load64(s + 24));
    struct pair w = half(end - 32, load64(s + 16) + load64(end - 32), load64(end - 8));
    uint64_t r = fold((v.first + w.second) * K2 + (w.first + v.second) * K0);
    return fold(r * K0 + v.second) * K2;
}

static struct pair weak_32(const unsigned char *s, uint64_t a, uint64_t b)
{
    uint64_t z = load64(s + 24);
    a += load64(s);
    b = rotate(b + a + z, 21);
    uint64_t c = a;
    a += load64(s + 8) + load64(s + 16);
    b += rotate(a, 44);
    return (struct pair){a + z, b + c};
}

static uint64_t hash_long(const unsigned char *s, size_t length)
{
    const unsigned char *end = s + length;
    uint64_t x = load64(s), y = load64(end - 16) ^ K1, z = load64(end - 56) ^ K0;
    struct pair v = weak_32(end - 64, length, y), w = weak_32(end - 32, length * K1, K0);
    z += fold(v.second) * K1;
    x = rotate(z + x, 39) * K1;
    y = rotate(y, 33) * K1;
    for (size_t blocks = (length - 1) / 64; blocks > 0; blocks--, s += 64) {
        x = rotate(x + y + v.first + load64(s + 16), 37) * K1;
        y = rotate(y + v.second + load64(s + 48), 42) * K1;
        x ^= w.second;
        y ^= v.first;
        uint64_t turned = rotate(z ^ w.first, 33);
        v = weak_32(s, v.second * K1, x + w.first);
        w = weak_32(s + 32, turned + w.second, y);
        z = x;
        x = turned;
    }
    return mix(mix(v.first, w.first) + fold(y) * K1 + z, mix(v.second, w.second) + x);
}

uint64_t ig_city_hash64(struct ig_str text)
{
    const unsigned char *s = (const unsigned char *)text.ptr;
    if (text.len <= 16) return hash_to_16(s, text.len);
    if (text.len <= 32) return hash_to_32(s, text.len);
    if (text.len <= 64) return hash_to_64(s, text.len);
    return hash_long(s, text.len);
}
