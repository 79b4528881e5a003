/* SPDX-License-Identifier: Apache-2.0 */
/* Ed25519 (RFC 8032): a signature (R, s) is good when s is below the group's order and [s]B - [h]A
 * encodes to R. Numbers of the field are 16 limbs of 16 bits in 64, which leaves room for sums and
 * products without a carry in between. Stateless. */
#include "ingot_edge_hash.h"

struct number {
    int64_t limb[16];
};

/* A point (X/Z, Y/Z) with T = XY/Z. */
struct point {
    struct number x, y, z, t;
};

static const struct number ZERO = {{0}};
static const struct number ONE = {{1}};
/* d and 2d of the curve -x^2 + y^2 = 1 + d x^2 y^2, the root of -1, and the base point. */
static const struct number CURVE = {{0x78a3, 0x1359, 0x4dca, 0x75eb, 0xd8ab, 0x4141, 0x0a4d, 0x0070,
                                     0xe898, 0x7779, 0x4079, 0x8cc7, 0xfe73, 0x2b6f, 0x6cee,
                                     0x5203}};
static const struct number CURVE_TWICE = {{0xf159, 0x26b2, 0x9b94, 0xebd6, 0xb156, 0x8283, 0x149a,
                                           0x00e0, 0xd130, 0xeef3, 0x80f2, 0x198e, 0xfce7, 0x56df,
                                           0xd9dc, 0x2406}};
static const struct number ROOT = {{0xa0b0, 0x4a0e, 0x1b27, 0xc4ee, 0xe478, 0xad2f, 0x1806, 0x2f43,
                                    0xd7a7, 0x3dfb, 0x0099, 0x2b4d, 0xdf0b, 0x4fc1, 0x2480,
                                    0x2b83}};
static const struct number BASE_X = {{0xd51a, 0x8f25, 0x2d60, 0xc956, 0xa7b2, 0x9525, 0xc760,
                                      0x692c, 0xdc5c, 0xfdd6, 0xe231, 0xc0a4, 0x53fe, 0xcd6e,
                                      0x36d3, 0x2169}};
static const struct number BASE_Y = {{0x6658, 0x6666, 0x6666, 0x6666, 0x6666, 0x6666, 0x6666,
                                      0x6666, 0x6666, 0x6666, 0x6666, 0x6666, 0x6666, 0x6666,
                                      0x6666, 0x6666}};
static const uint8_t ORDER[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                                  0xa2, 0xde, 0xf9, 0xde, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                  0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10};

/* ---- the field of 2^255 - 19 ---- */

/* A limb's part above 16 bits, rounded down, negative ones too; limbs are below 2^49 in size. */
static int64_t above(int64_t limb)
{
    return (int64_t)((uint64_t)(limb + ((int64_t)1 << 50)) >> 16) - ((int64_t)1 << 34);
}

static void carry(struct number *number)
{
    for (unsigned i = 0; i < 16; i++) {
        int64_t over = above(number->limb[i]);
        number->limb[i] -= over * 65536;
        if (i < 15)
            number->limb[i + 1] += over;
        else
            number->limb[0] += 38 * over;
    }
}

static void add(struct number *out, const struct number *a, const struct number *b)
{
    for (unsigned i = 0; i < 16; i++) out->limb[i] = a->limb[i] + b->limb[i];
}

static void subtract(struct number *out, const struct number *a, const struct number *b)
{
    for (unsigned i = 0; i < 16; i++) out->limb[i] = a->limb[i] - b->limb[i];
}

static void multiply(struct number *out, const struct number *a, const struct number *b)
{
    int64_t sums[31] = {0};
    for (unsigned i = 0; i < 16; i++)
        for (unsigned j = 0; j < 16; j++) sums[i + j] += a->limb[i] * b->limb[j];
    for (unsigned i = 0; i < 16; i++) out->limb[i] = sums[i] + (i < 15 ? 38 * sums[i + 16] : 0);
    carry(out);
    carry(out);
}

/* a^(2^255 - 21) = 1/a, or with `root` a^((2^255 - 24)/8): all bits of the exponent are 1 but two.
 */
static void power(struct number *out, const struct number *a, int root)
{
    struct number result = *a;
    int top = root ? 250 : 253, zero = root ? 1 : 2, other = root ? 1 : 4;
    for (int bit = top; bit >= 0; bit--) {
        multiply(&result, &result, &result);
        if (bit != zero && bit != other) multiply(&result, &result, a);
    }
    *out = result;
}

/* The least number that is the same in the field, as 32 bytes. */
static void encode_number(uint8_t bytes[32], const struct number *number)
{
    struct number least = *number;
    for (int i = 0; i < 3; i++) carry(&least);
    for (int pass = 0; pass < 2; pass++) {
        struct number less;
        int64_t borrow = 0;
        for (unsigned i = 0; i < 16; i++) {
            int64_t prime = i == 0 ? 0xffed : i == 15 ? 0x7fff : 0xffff;
            less.limb[i] = least.limb[i] - prime - borrow;
            borrow = less.limb[i] < 0;
            if (i < 15) less.limb[i] += borrow * 65536;
        }
        if (!borrow) least = less;
    }
    for (unsigned i = 0; i < 32; i++) bytes[i] = (uint8_t)(least.limb[i / 2] >> (i % 2 ? 8 : 0));
}

static int is_equal(const struct number *a, const struct number *b)
{
    uint8_t one[32], other[32];
    unsigned differences = 0;
    encode_number(one, a);
    encode_number(other, b);
    for (unsigned i = 0; i < 32; i++) differences |= (unsigned)(one[i] ^ other[i]);
    return differences == 0;
}

/* ---- points ---- */

/* Complete: for any two points, equal ones too. */
static void add_points(struct point *out, const struct point *p, const struct point *q)
{
    struct number a, b, c, d, e, f, g, h;
    subtract(&a, &p->y, &p->x);
    subtract(&b, &q->y, &q->x);
    multiply(&a, &a, &b);
    add(&b, &p->x, &p->y);
    add(&c, &q->x, &q->y);
    multiply(&b, &b, &c);
    multiply(&c, &p->t, &q->t);
    multiply(&c, &c, &CURVE_TWICE);
    multiply(&d, &p->z, &q->z);
    add(&d, &d, &d);
    subtract(&e, &b, &a);
    subtract(&f, &d, &c);
    add(&g, &d, &c);
    add(&h, &b, &a);
    multiply(&out->x, &e, &f);
    multiply(&out->y, &g, &h);
    multiply(&out->t, &e, &h);
    multiply(&out->z, &f, &g);
}

static void encode_point(uint8_t bytes[32], const struct point *point)
{
    struct number inverse, x, y;
    uint8_t sign[32];
    power(&inverse, &point->z, 0);
    multiply(&x, &point->x, &inverse);
    multiply(&y, &point->y, &inverse);
    encode_number(bytes, &y);
    encode_number(sign, &x);
    bytes[31] = (uint8_t)(bytes[31] | (sign[0] & 1) << 7);
}

/* x from y: the root of (y^2 - 1)/(d y^2 + 1) with the given lowest bit. 0: there is none. */
static int find_x(struct number *x, const struct number *y, unsigned sign)
{
    struct number square, above_line, below, cube, check;
    uint8_t bytes[32];
    multiply(&square, y, y);
    subtract(&above_line, &square, &ONE);
    multiply(&below, &square, &CURVE);
    add(&below, &below, &ONE);
    multiply(&cube, &below, &below);
    multiply(&cube, &cube, &below);
    multiply(x, &cube, &cube);
    multiply(x, x, &below);
    multiply(x, x, &above_line);
    power(x, x, 1);
    multiply(x, x, &cube);
    multiply(x, x, &above_line);
    multiply(&check, x, x);
    multiply(&check, &check, &below);
    if (!is_equal(&check, &above_line)) multiply(x, x, &ROOT);
    multiply(&check, x, x);
    multiply(&check, &check, &below);
    if (!is_equal(&check, &above_line)) return 0;
    encode_number(bytes, x);
    if ((bytes[0] & 1) != sign) subtract(x, &ZERO, x);
    return 1;
}

/* 0: the bytes are no point, or not written as a point is. */
static int decode_point(struct point *point, const uint8_t bytes[32])
{
    uint8_t again[32];
    for (unsigned i = 0; i < 16; i++)
        point->y.limb[i] = bytes[2 * i] | (int64_t)(i < 15 ? bytes[2 * i + 1] : bytes[31] & 127)
                                              << 8;
    if (!find_x(&point->x, &point->y, bytes[31] >> 7)) return 0;
    point->z = ONE;
    multiply(&point->t, &point->x, &point->y);
    encode_point(again, point);
    for (unsigned i = 0; i < 32; i++)
        if (again[i] != bytes[i]) return 0;
    return 1;
}

/* ---- scalars ---- */

static int is_below_order(const uint8_t scalar[32])
{
    for (unsigned i = 32; i-- > 0;)
        if (scalar[i] != ORDER[i]) return scalar[i] < ORDER[i];
    return 0;
}

/* A number of 512 bits, less the order as often as it goes, bit by bit from the top. */
static void reduce(uint8_t out[32], const uint8_t wide[64])
{
    for (unsigned i = 0; i < 32; i++) out[i] = 0;
    for (unsigned bit = 512; bit-- > 0;) {
        unsigned over = (unsigned)wide[bit / 8] >> (bit % 8) & 1U;
        for (unsigned i = 0; i < 32; i++) {
            over |= (unsigned)out[i] << 1;
            out[i] = (uint8_t)over;
            over >>= 8;
        }
        if (is_below_order(out)) continue;
        unsigned borrow = 0;
        for (unsigned i = 0; i < 32; i++) {
            unsigned less = (unsigned)out[i] - ORDER[i] - borrow;
            out[i] = (uint8_t)less;
            borrow = less >> 8 & 1;
        }
    }
}

/* [s]B + [h]P, both at once. */
static void multiply_points(struct point *out, const uint8_t s[32], const uint8_t h[32],
                            const struct point *p)
{
    struct point base = {BASE_X, BASE_Y, ONE, ZERO}, both;
    multiply(&base.t, &BASE_X, &BASE_Y);
    add_points(&both, &base, p);
    *out = (struct point){ZERO, ONE, ONE, ZERO};
    for (unsigned bit = 256; bit-- > 0;) {
        unsigned first = (unsigned)s[bit / 8] >> (bit % 8) & 1U;
        unsigned second = (unsigned)h[bit / 8] >> (bit % 8) & 1U;
        add_points(out, out, out);
        if (first || second) add_points(out, out, first && second ? &both : first ? &base : p);
    }
}

int ige_ed25519_verify(const uint8_t signature[64], const uint8_t key[32], const void *message,
                       size_t size)
{
    struct ige_sha512 hash;
    struct point owner, found;
    uint8_t wide[IGE_HASH_BYTES], scalar[32], encoded[32];
    unsigned differences = 0;
    if (!is_below_order(signature + 32) || !decode_point(&owner, key)) return 0;
    ige_sha512_init(&hash);
    ige_sha512_update(&hash, signature, 32);
    ige_sha512_update(&hash, key, 32);
    ige_sha512_update(&hash, message, size);
    ige_sha512_final(&hash, wide);
    reduce(scalar, wide);
    subtract(&owner.x, &ZERO, &owner.x);
    subtract(&owner.t, &ZERO, &owner.t);
    multiply_points(&found, signature + 32, scalar, &owner);
    encode_point(encoded, &found);
    for (unsigned i = 0; i < 32; i++) differences |= (unsigned)(encoded[i] ^ signature[i]);
    return differences == 0;
}

int ige_minisign_verify(const uint8_t signature[IGE_SIGNATURE_BYTES],
                        const uint8_t key[IGE_KEY_BYTES], const void *message, size_t size)
{
    uint8_t digest[IGE_HASH_BYTES];
    if (key[0] != 'E' || key[1] != 'd' || signature[0] != 'E') return 0;
    for (unsigned i = 2; i < 10; i++)
        if (signature[i] != key[i]) return 0;
    if (signature[1] == 'd') return ige_ed25519_verify(signature + 10, key + 10, message, size);
    if (signature[1] != 'D') return 0;
    ige_blake2b(digest, message, size);
    return ige_ed25519_verify(signature + 10, key + 10, digest, sizeof digest);
}
