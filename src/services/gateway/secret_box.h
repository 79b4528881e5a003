/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_GATEWAY_SECRET_BOX_H
#define IG_SERVICES_GATEWAY_SECRET_BOX_H

/* Secrets at rest: AES-256-GCM under a key that PBKDF2-HMAC-SHA-256 derives from a passphrase, with
 * a name that what is sealed belongs to. Thread-safe. */

#include "base/err.h"
#include "base/str.h"

enum {
    IG_SECRET_KEY_BYTES = 32,
    IG_SECRET_SALT_BYTES = 16,
    IG_SECRET_ROUNDS = 600000,   /* of a passphrase that people make up (OWASP 2023) */
    IG_SECRET_KEY_ROUNDS = 1000, /* of one that is random: it cannot be guessed */
    IG_SECRET_NONCE_BYTES = 12,
    IG_SECRET_TAG_BYTES = 16,
};

/* A passphrase's rounds take a tenth of a second and more. */
enum ig_code ig_secret_key_derive(unsigned char key[IG_SECRET_KEY_BYTES], struct ig_str passphrase,
                                  const unsigned char salt[IG_SECRET_SALT_BYTES], int rounds,
                                  struct ig_err *err);
/* Appends the base64 of nonce, sealed bytes and tag. */
enum ig_code ig_secret_seal(struct ig_buf *out, const unsigned char key[IG_SECRET_KEY_BYTES],
                            struct ig_str name, struct ig_str secret, struct ig_err *err);
/* Appends the secret; DENIED when the key, the name or the bytes are not those of the sealing. */
enum ig_code ig_secret_open(struct ig_buf *out, const unsigned char key[IG_SECRET_KEY_BYTES],
                            struct ig_str name, struct ig_str sealed, struct ig_err *err);

#endif
