/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_HASH_H
#define IG_BASE_HASH_H

/* SHA-256 (OpenSSL), SipHash-2-4, and a fast keyed 64-bit hash (SipHash-1-3 with a per-process key)
 * for tables. Thread-safe; a running SHA-256 belongs to one thread. */

#include "base/str.h"

enum { IG_SHA256_BYTES = 32, IG_SHA256_HEX = 65 }; /* hex with NUL */

struct ig_sha256;

struct ig_sha256 *ig_sha256_new(void); /* NULL when out of memory */
void ig_sha256_update(struct ig_sha256 *hash, const void *bytes, size_t size_bytes);
void ig_sha256_final(struct ig_sha256 *hash,
                     unsigned char digest[IG_SHA256_BYTES]); /* then free it */
void ig_sha256_free(struct ig_sha256 *hash);
void ig_sha256(const void *bytes, size_t size_bytes, unsigned char digest[IG_SHA256_BYTES]);
void ig_hex(char *text, const unsigned char *bytes, size_t size_bytes); /* lower case + NUL */
int ig_hex_digit(char digit); /* its value, in either case; -1: none */
void ig_sha256_hex(const void *bytes, size_t size_bytes, char text[IG_SHA256_HEX]);
/* RFC 2104. `mac` may be the key. */
void ig_hmac_sha256(unsigned char mac[IG_SHA256_BYTES], struct ig_str key, struct ig_str bytes);
enum { IG_SHA256_BASE64 = 45 };
void ig_sha256_base64(char text[IG_SHA256_BASE64], const unsigned char digest[IG_SHA256_BYTES]);

uint64_t ig_hash64(const void *bytes, size_t size_bytes); /* stable within the process only */
uint64_t ig_siphash(const unsigned char key[16], const void *bytes, size_t size_bytes);
bool ig_equal_constant_time(const void *a, const void *b, size_t size_bytes);

#endif
