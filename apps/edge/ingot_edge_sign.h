/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGOT_EDGE_SIGN_H
#define INGOT_EDGE_SIGN_H

/* Verifies signatures on a device: Ed25519 (RFC 8032) with SHA-512 (FIPS 180-4) and BLAKE2b (RFC
 * 7693), and minisign's signatures made of them. C99, freestanding, no heap, about 1.5 KB of stack.
 * Nothing here is secret, so times may depend on the data. */

#include <stddef.h>
#include <stdint.h>

enum { IGE_HASH_BYTES = 64, IGE_SIGNATURE_BYTES = 74, IGE_KEY_BYTES = 42 };

void ige_blake2b(uint8_t digest[IGE_HASH_BYTES], const void *bytes, size_t size);

/* 1 when the signature is that of the message by the key's owner, else 0. */
int ige_ed25519_verify(const uint8_t signature[64], const uint8_t key[32], const void *message,
                       size_t size);
/* As minisign has them behind base64. Key: "Ed", 8 bytes of number, 32 of key. Signature: "ED" (of
 * the message's BLAKE2b) or "Ed" (of the message itself), the key's number, 64 of signature. */
int ige_minisign_verify(const uint8_t signature[IGE_SIGNATURE_BYTES],
                        const uint8_t key[IGE_KEY_BYTES], const void *message, size_t size);

#endif
