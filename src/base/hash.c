/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 through OpenSSL, SipHash-2-4 (Aumasson and Bernstein, 2012). Thread-safe but for one
 * ig_sha256 object, which belongs to one thread.
 *
 * What is hashed at once goes through the functions of SHA-256 itself: every prediction is, and EVP
 * costs more than so few bytes do. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/hash.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/random.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

struct ig_sha256 {
    EVP_MD_CTX *context;
};

/* Fetched once: EVP_sha256() is looked up anew, under a lock, by every use. Kept until exit. */
static EVP_MD *sha256_method;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;

static void fetch_sha256(void)
{
    sha256_method = EVP_MD_fetch(NULL, "SHA256", NULL);
    IG_ASSERT(sha256_method != NULL);
}

static const EVP_MD *sha256(void)
{
    pthread_once(&sha256_once, fetch_sha256);
    return sha256_method;
}

struct ig_sha256 *ig_sha256_new(void)
{
    struct ig_sha256 *hash = ig_alloc(sizeof *hash);
    if (!hash) return NULL;
    hash->context = EVP_MD_CTX_new();
    if (!hash->context || EVP_DigestInit_ex(hash->context, sha256(), NULL) != 1) {
        ig_sha256_free(hash);
        return NULL;
    }
    return hash;
}

void ig_sha256_update(struct ig_sha256 *hash, const void *bytes, size_t size_bytes)
{
    IG_ASSERT(EVP_DigestUpdate(hash->context, bytes, size_bytes) == 1);
}

void ig_sha256_final(struct ig_sha256 *hash, unsigned char digest[IG_SHA256_BYTES])
{
    IG_ASSERT(EVP_DigestFinal_ex(hash->context, digest, NULL) == 1);
}

void ig_sha256_free(struct ig_sha256 *hash)
{
    if (!hash) return;
    EVP_MD_CTX_free(hash->context);
    ig_free(hash);
}

void ig_sha256(const void *bytes, size_t size_bytes, unsigned char digest[IG_SHA256_BYTES])
{
    SHA256_CTX context;
    IG_ASSERT(SHA256_Init(&context) == 1 && SHA256_Update(&context, bytes, size_bytes) == 1 &&
              SHA256_Final(digest, &context) == 1);
}

void ig_hex(char *text, const unsigned char *bytes, size_t size_bytes)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size_bytes; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * size_bytes] = '\0';
}

int ig_hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

void ig_sha256_hex(const void *bytes, size_t size_bytes, char text[IG_SHA256_HEX])
{
    unsigned char digest[IG_SHA256_BYTES];
    ig_sha256(bytes, size_bytes, digest);
    ig_hex(text, digest, sizeof digest);
}

void ig_hmac_sha256(unsigned char mac[IG_SHA256_BYTES], struct ig_str key, struct ig_str bytes)
{
    unsigned int length = 0;
    IG_ASSERT(key.len <= INT32_MAX &&
              HMAC(sha256(), key.ptr, (int)key.len, (const unsigned char *)bytes.ptr, bytes.len,
                   mac, &length) &&
              length == IG_SHA256_BYTES);
}

void ig_sha256_base64(char text[IG_SHA256_BASE64], const unsigned char digest[IG_SHA256_BYTES])
{
    EVP_EncodeBlock((unsigned char *)text, digest, IG_SHA256_BYTES);
}

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline struct sip sip_rounds(struct sip s, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        s.v0 += s.v1;
        s.v1 = rotate(s.v1, 13) ^ s.v0;
        s.v0 = rotate(s.v0, 32);
        s.v2 += s.v3;
        s.v3 = rotate(s.v3, 16) ^ s.v2;
        s.v0 += s.v3;
        s.v3 = rotate(s.v3, 21) ^ s.v0;
        s.v2 += s.v1;
        s.v1 = rotate(s.v1, 17) ^ s.v2;
        s.v2 = rotate(s.v2, 32);
    }
    return s;
}

/* The up to seven bytes behind the last whole word, with the length's low byte on top; by whole
 * loads, which may overlap, since a copy of unknown size is a call. */
static inline uint64_t last_word(const unsigned char *p, size_t left, size_t size_bytes)
{
    uint64_t last = 0;
    uint32_t low, high;
    if (left && size_bytes >= 8) {
        memcpy(&last, p + left - 8, 8);
        last >>= 64 - 8 * left;
    } else if (left >= 4) {
        memcpy(&low, p, 4);
        memcpy(&high, p + left - 4, 4);
        last = low | (uint64_t)high << (8 * left - 32);
    } else if (left) {
        last = p[0] | (uint64_t)p[left / 2] << (left / 2 * 8);
        last |= (uint64_t)p[left - 1] << (8 * left - 8);
    }
    return last | (uint64_t)size_bytes << 56;
}

static inline uint64_t sip_hash(const uint64_t key[2], struct ig_str text, int each, int end)
{
    struct sip s = {key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du,
                    key[0] ^ 0x6c7967656e657261u, key[1] ^ 0x7465646279746573u};
    const unsigned char *p = (const unsigned char *)text.ptr;
    size_t left = text.len;
    for (; left >= 8; p += 8, left -= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        s.v3 ^= word;
        s = sip_rounds(s, each);
        s.v0 ^= word;
    }
    uint64_t last = last_word(p, left, text.len);
    s.v3 ^= last;
    s = sip_rounds(s, each);
    s.v0 ^= last;
    s.v2 ^= 0xff;
    s = sip_rounds(s, end);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t ig_siphash(const unsigned char key[16], const void *bytes, size_t size_bytes)
{
    uint64_t words[2];
    memcpy(words, key, sizeof words);
    return sip_hash(words, (struct ig_str){bytes, size_bytes}, 2, 4);
}

static uint64_t process_key[2];
static pthread_once_t process_key_once = PTHREAD_ONCE_INIT;
static atomic_bool process_key_made;

static void make_process_key(void)
{
    ig_random_bytes(process_key, sizeof process_key);
    atomic_store_explicit(&process_key_made, true, memory_order_release);
}

uint64_t ig_hash64(const void *bytes, size_t size_bytes)
{
    if (!atomic_load_explicit(&process_key_made, memory_order_acquire))
        pthread_once(&process_key_once, make_process_key);
    return sip_hash(process_key, (struct ig_str){bytes, size_bytes}, 1, 3);
}

bool ig_equal_constant_time(const void *a, const void *b, size_t size_bytes)
{
    return CRYPTO_memcmp(a, b, size_bytes) == 0;
}
