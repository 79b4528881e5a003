/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_ED25519_H
#define IG_BASE_ED25519_H

/* Ed25519 signatures and BLAKE2b-512, by OpenSSL. Thread-safe. */

#include "base/err.h"
#include "base/str.h"

enum { IG_ED25519_BYTES = 32, IG_ED25519_SIGNATURE_BYTES = 64, IG_BLAKE2B_BYTES = 64 };

/* The public key of a secret one (a seed of 32 random bytes). */
enum ig_code ig_ed25519_public(unsigned char key[IG_ED25519_BYTES],
                               const unsigned char seed[IG_ED25519_BYTES], struct ig_err *err);
enum ig_code ig_ed25519_sign(unsigned char signature[IG_ED25519_SIGNATURE_BYTES],
                             const unsigned char seed[IG_ED25519_BYTES], struct ig_str message,
                             struct ig_err *err);
/* Whether the key's owner signed the message. */
bool ig_ed25519_verify(const unsigned char signature[IG_ED25519_SIGNATURE_BYTES],
                       const unsigned char key[IG_ED25519_BYTES], struct ig_str message);
/* A secret key as OpenSSL's PEM (PKCS #8, without a password). */
enum ig_code ig_ed25519_pem_write(struct ig_buf *out, const unsigned char seed[IG_ED25519_BYTES],
                                  struct ig_err *err);
enum ig_code ig_ed25519_pem_read(unsigned char seed[IG_ED25519_BYTES], struct ig_str pem,
                                 struct ig_err *err);
enum ig_code ig_blake2b(unsigned char digest[IG_BLAKE2B_BYTES], struct ig_str message,
                        struct ig_err *err);

#endif
