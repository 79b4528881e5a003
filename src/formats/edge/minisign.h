/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_EDGE_MINISIGN_H
#define IG_FORMATS_EDGE_MINISIGN_H

/* Public keys and signatures in minisign's files (https://jedisct1.github.io/minisign/), made with
 * a secret key in OpenSSL's PEM (`openssl genpkey -algorithm ed25519`). */

#include "base/ed25519.h"

enum { IG_MINISIGN_KEY_BYTES = 42, IG_MINISIGN_SIGNATURE_BYTES = 74 };

/* Appends the file of the seed's public key. A key's number is the start of its BLAKE2b. */
enum ig_code ig_minisign_public_write(struct ig_buf *out,
                                      const unsigned char seed[IG_ED25519_BYTES],
                                      struct ig_err *err);
/* Appends the signature's file: of the message's BLAKE2b, and with it of `comment`, one line of at
 * most 128 bytes. */
enum ig_code ig_minisign_sign(struct ig_buf *out, const unsigned char seed[IG_ED25519_BYTES],
                              struct ig_str message, struct ig_str comment, struct ig_err *err);
/* What a device takes of these files: "Ed", number, key; "ED" or "Ed", number, signature. */
enum ig_code ig_minisign_public_read(unsigned char out[IG_MINISIGN_KEY_BYTES], struct ig_str file,
                                     struct ig_err *err);
enum ig_code ig_minisign_signature_read(unsigned char out[IG_MINISIGN_SIGNATURE_BYTES],
                                        struct ig_str file, struct ig_err *err);
/* Whether the signature is the message's by the key: OK, INVALID when another key made it, CORRUPT
 * when the message is not what was signed. */
enum ig_code ig_minisign_verify(const unsigned char signature[IG_MINISIGN_SIGNATURE_BYTES],
                                const unsigned char key[IG_MINISIGN_KEY_BYTES],
                                struct ig_str message, struct ig_err *err);

#endif
