/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-512 (FIPS 180-4) and unkeyed BLAKE2b-512 (RFC 7693). Stateless. */
#include "ingot_edge_hash.h"

static const uint64_t INITIAL[8] = {0x6a09e667f3bcc908U, 0xbb67ae8584caa73bU, 0x3c6ef372fe94f82bU,
                                    0xa54ff53a5f1d36f1U, 0x510e527fade682d1U, 0x9b05688c2b3e6c1fU,
                                    0x1f83d9abfb41bd6bU, 0x5be0cd19137e2179U};

static uint64_t rotate(uint64_t value, unsigned by)
{
    return value >> by | value << (64 - by);
}

/* ---- SHA-512 ---- */

static const uint64_t ROUNDS[80] = {
    0x428a2f98d728ae22U, 0x7137449123ef65cdU, 0xb5c0fbcfec4d3b2fU, 0xe9b5dba58189dbbcU,
    0x3956c25bf348b538U, 0x59f111f1b605d019U, 0x923f82a4af194f9bU, 0xab1c5ed5da6d8118U,
    0xd807aa98a3030242U, 0x12835b0145706fbeU, 0x243185be4ee4b28cU, 0x550c7dc3d5ffb4e2U,
    0x72be5d74f27b896fU, 0x80deb1fe3b1696b1U, 0x9bdc06a725c71235U, 0xc19bf174cf692694U,
    0xe49b69c19ef14ad2U, 0xefbe4786384f25e3U, 0x0fc19dc68b8cd5b5U, 0x240ca1cc77ac9c65U,
    0x2de92c6f592b0275U, 0x4a7484aa6ea6e483U, 0x5cb0a9dcbd41fbd4U, 0x76f988da831153b5U,
    0x983e5152ee66dfabU, 0xa831c66d2db43210U, 0xb00327c898fb213fU, 0xbf597fc7beef0ee4U,
    0xc6e00bf33da88fc2U, 0xd5a79147930aa725U, 0x06ca6351e003826fU, 0x142929670a0e6e70U,
    0x27b70a8546d22ffcU, 0x2e1b21385c26c926U, 0x4d2c6dfc5ac42aedU, 0x53380d139d95b3dfU,
    0x650a73548baf63deU, 0x766a0abb3c77b2a8U, 0x81c2c92e47edaee6U, 0x92722c851482353bU,
    0xa2bfe8a14cf10364U, 0xa81a664bbc423001U, 0xc24b8b70d0f89791U, 0xc76c51a30654be30U,
    0xd192e819d6ef5218U, 0xd69906245565a910U, 0xf40e35855771202aU, 0x106aa07032bbd1b8U,
    0x19a4c116b8d2d0c8U, 0x1e376c085141ab53U, 0x2748774cdf8eeb99U, 0x34b0bcb5e19b48a8U,
    0x391c0cb3c5c95a63U, 0x4ed8aa4ae3418acbU, 0x5b9cca4f7763e373U, 0x682e6ff3d6b2b8a3U,
    0x748f82ee5defb2fcU, 0x78a5636f43172f60U, 0x84c87814a1f0ab72U, 0x8cc702081a6439ecU,
    0x90befffa23631e28U, 0xa4506cebde82bde9U, 0xbef9a3f7b2c67915U, 0xc67178f2e372532bU,
    0xca273eceea26619cU, 0xd186b8c721c0c207U, 0xeada7dd6cde0eb1eU, 0xf57d4f7fee6ed178U,
    0x06f067aa72176fbaU, 0x0a637dc5a2c898a6U, 0x113f9804bef90daeU, 0x1b710b35131c471bU,
    0x28db77f523047d84U, 0x32caab7b40c72493U, 0x3c9ebe0a15c9bebcU, 0x431d67c49c100d4cU,
    0x4cc5d4becb3e42b6U, 0x597f299cfc657e2aU, 0x5fcb6fab3ad6faecU, 0x6c44198c4a475817U};

static void sha512_block(uint64_t state[8], const uint8_t *block)
{
    uint64_t w[16], v[8];
    for (unsigned i = 0; i < 16; i++) {
        w[i] = 0;
        for (unsigned b = 0; b < 8; b++) w[i] = w[i] << 8 | block[8 * i + b];
    }
    for (unsigned i = 0; i < 8; i++) v[i] = state[i];
    for (unsigned i = 0; i < 80; i++) {
        uint64_t *own = &w[i % 16], a = w[(i + 1) % 16], b = w[(i + 14) % 16];
        uint64_t e = v[4], first = v[0];
        uint64_t one = v[7] + (rotate(e, 14) ^ rotate(e, 18) ^ rotate(e, 41)) +
                       ((e & v[5]) ^ (~e & v[6])) + ROUNDS[i] + *own;
        uint64_t two = (rotate(first, 28) ^ rotate(first, 34) ^ rotate(first, 39)) +
                       ((first & v[1]) ^ (first & v[2]) ^ (v[1] & v[2]));
        *own += (rotate(a, 1) ^ rotate(a, 8) ^ a >> 7) + w[(i + 9) % 16] +
                (rotate(b, 19) ^ rotate(b, 61) ^ b >> 6);
        for (unsigned j = 7; j > 0; j--) v[j] = v[j - 1];
        v[4] += one;
        v[0] = one + two;
    }
    for (unsigned i = 0; i < 8; i++) state[i] += v[i];
}

void ige_sha512_init(struct ige_sha512 *hash)
{
    hash->size = 0;
    for (unsigned i = 0; i < 8; i++) hash->state[i] = INITIAL[i];
}

void ige_sha512_update(struct ige_sha512 *hash, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < size; i++) {
        hash->block[hash->size++ % 128] = at[i];
        if (hash->size % 128 == 0) sha512_block(hash->state, hash->block);
    }
}

void ige_sha512_final(struct ige_sha512 *hash, uint8_t digest[IGE_HASH_BYTES])
{
    static const uint8_t END = 0x80, ZERO = 0;
    uint64_t bits = hash->size * 8;
    uint8_t length[16] = {0};
    for (unsigned i = 0; i < 8; i++) length[8 + i] = (uint8_t)(bits >> (56 - 8 * i));
    ige_sha512_update(hash, &END, 1);
    while (hash->size % 128 != 112) ige_sha512_update(hash, &ZERO, 1);
    ige_sha512_update(hash, length, 16);
    for (unsigned i = 0; i < IGE_HASH_BYTES; i++)
        digest[i] = (uint8_t)(hash->state[i / 8] >> (56 - 8 * (i % 8)));
}

/* ---- BLAKE2b ---- */

static const uint8_t ORDER[10][16] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                      {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
                                      {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
                                      {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
                                      {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
                                      {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
                                      {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
                                      {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
                                      {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
                                      {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};

static void mix(uint64_t *v, const uint8_t *order, const uint64_t *words, unsigned column)
{
    unsigned turn = column / 4, lane = column % 4;
    uint64_t *a = &v[lane], *b = &v[4 + (lane + turn) % 4], *c = &v[8 + (lane + 2 * turn) % 4],
             *d = &v[12 + (lane + 3 * turn) % 4];
    *a += *b + words[order[2 * column]];
    *d = rotate(*d ^ *a, 32);
    *c += *d;
    *b = rotate(*b ^ *c, 24);
    *a += *b + words[order[2 * column + 1]];
    *d = rotate(*d ^ *a, 16);
    *c += *d;
    *b = rotate(*b ^ *c, 63);
}

/* `end`: bytes up to the end of this block; `last`: there is none after it. */
static void blake2b_block(uint64_t state[8], const uint8_t block[128], uint64_t end, int last)
{
    uint64_t v[16], words[16];
    for (unsigned i = 0; i < 16; i++) {
        words[i] = 0;
        for (unsigned b = 8; b-- > 0;) words[i] = words[i] << 8 | block[8 * i + b];
        v[i] = i < 8 ? state[i] : INITIAL[i - 8];
    }
    v[12] ^= end;
    if (last) v[14] = ~v[14];
    for (unsigned round = 0; round < 12; round++)
        for (unsigned column = 0; column < 8; column++) mix(v, ORDER[round % 10], words, column);
    for (unsigned i = 0; i < 8; i++) state[i] ^= v[i] ^ v[i + 8];
}

void ige_blake2b(uint8_t digest[IGE_HASH_BYTES], const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    uint64_t state[8];
    uint8_t block[128];
    size_t left = size;
    for (unsigned i = 0; i < 8; i++) state[i] = INITIAL[i];
    state[0] ^= 0x01010000U ^ IGE_HASH_BYTES;
    for (; left > 128; left -= 128, at += 128)
        blake2b_block(state, at, (uint64_t)(size - left) + 128, 0);
    for (unsigned i = 0; i < 128; i++) block[i] = i < left ? at[i] : 0;
    blake2b_block(state, block, size, 1);
    for (unsigned i = 0; i < IGE_HASH_BYTES; i++)
        digest[i] = (uint8_t)(state[i / 8] >> (8 * (i % 8)));
}
