/* SPDX-License-Identifier: Apache-2.0 */
/* minisign's files: a comment line, then a line of base64 of fixed size, and behind a signature a
 * trusted comment and the signature of both. Stateless. */
#include "formats/edge/minisign.h"

#include <openssl/evp.h>
#include <string.h>

enum { TEXT_MAX = 256, NUMBER_BYTES = 8, COMMENT_MAX = 128 };

static void add_base64(struct ig_buf *out, const unsigned char *bytes, int size)
{
    unsigned char text[TEXT_MAX];
    int length = EVP_EncodeBlock(text, bytes, size);
    ig_buf_add(out, text, (size_t)length);
    ig_buf_add_char(out, '\n');
}

/* The second line of a file: base64 of `size` bytes, no more. */
static enum ig_code read_line(unsigned char *out, size_t size, struct ig_str file, const char *what,
                              struct ig_err *err)
{
    unsigned char bytes[TEXT_MAX];
    struct ig_str rest = file;
    ig_str_cut(&rest, '\n');
    struct ig_str line = ig_str_trim(ig_str_cut(&rest, '\n'));
    size_t padded = (size + 2) / 3 * 3;
    if (line.len == padded / 3 * 4 &&
        EVP_DecodeBlock(bytes, (const unsigned char *)line.ptr, (int)line.len) == (int)padded &&
        bytes[0] == 'E') {
        memcpy(out, bytes, size);
        return IG_OK;
    }
    return ig_fail(err, IG_PARSE, "no minisign %s: its second line is not %zu bytes in base64",
                   what, size);
}

static enum ig_code public_of(unsigned char out[IG_MINISIGN_KEY_BYTES],
                              const unsigned char seed[IG_ED25519_BYTES], struct ig_err *err)
{
    unsigned char digest[IG_BLAKE2B_BYTES];
    unsigned char *key = out + 2 + NUMBER_BYTES;
    if (ig_ed25519_public(key, seed, err) != IG_OK ||
        ig_blake2b(digest, (struct ig_str){(const char *)key, IG_ED25519_BYTES}, err) != IG_OK)
        return err->code;
    memcpy(out, "Ed", 2);
    memcpy(out + 2, digest, NUMBER_BYTES);
    return IG_OK;
}

enum ig_code ig_minisign_public_write(struct ig_buf *out,
                                      const unsigned char seed[IG_ED25519_BYTES],
                                      struct ig_err *err)
{
    unsigned char key[IG_MINISIGN_KEY_BYTES];
    if (public_of(key, seed, err) != IG_OK) return err->code;
    ig_buf_add_cstr(out, "untrusted comment: minisign public key of ingot edge\n");
    add_base64(out, key, sizeof key);
    return IG_OK;
}

enum ig_code ig_minisign_sign(struct ig_buf *out, const unsigned char seed[IG_ED25519_BYTES],
                              struct ig_str message, struct ig_str comment, struct ig_err *err)
{
    unsigned char key[IG_MINISIGN_KEY_BYTES], digest[IG_BLAKE2B_BYTES];
    unsigned char block[IG_MINISIGN_SIGNATURE_BYTES];
    unsigned char global[IG_ED25519_SIGNATURE_BYTES];
    unsigned char both[IG_ED25519_SIGNATURE_BYTES + COMMENT_MAX];
    unsigned char *signature = block + 2 + NUMBER_BYTES;
    if (comment.len > COMMENT_MAX || memchr(comment.ptr, '\n', comment.len))
        return ig_fail(err, IG_INVALID, "a trusted comment is one line of at most %d bytes",
                       COMMENT_MAX);
    if (public_of(key, seed, err) != IG_OK || ig_blake2b(digest, message, err) != IG_OK)
        return err->code;
    memcpy(block, "ED", 2);
    memcpy(block + 2, key + 2, NUMBER_BYTES);
    struct ig_str hashed = {(const char *)digest, sizeof digest};
    if (ig_ed25519_sign(signature, seed, hashed, err) != IG_OK) return err->code;
    memcpy(both, signature, IG_ED25519_SIGNATURE_BYTES);
    memcpy(both + IG_ED25519_SIGNATURE_BYTES, comment.ptr, comment.len);
    struct ig_str whole = {(const char *)both, IG_ED25519_SIGNATURE_BYTES + comment.len};
    if (ig_ed25519_sign(global, seed, whole, err) != IG_OK) return err->code;
    ig_buf_add_cstr(out, "untrusted comment: signature by ingot edge\n");
    add_base64(out, block, sizeof block);
    ig_buf_printf(out, "trusted comment: %.*s\n", IG_STR_ARGS(comment));
    add_base64(out, global, sizeof global);
    return IG_OK;
}

enum ig_code ig_minisign_public_read(unsigned char out[IG_MINISIGN_KEY_BYTES], struct ig_str file,
                                     struct ig_err *err)
{
    return read_line(out, IG_MINISIGN_KEY_BYTES, file, "public key", err);
}

enum ig_code ig_minisign_signature_read(unsigned char out[IG_MINISIGN_SIGNATURE_BYTES],
                                        struct ig_str file, struct ig_err *err)
{
    return read_line(out, IG_MINISIGN_SIGNATURE_BYTES, file, "signature", err);
}

enum ig_code ig_minisign_verify(const unsigned char signature[IG_MINISIGN_SIGNATURE_BYTES],
                                const unsigned char key[IG_MINISIGN_KEY_BYTES],
                                struct ig_str message, struct ig_err *err)
{
    unsigned char digest[IG_BLAKE2B_BYTES];
    const unsigned char *own = key + 2 + NUMBER_BYTES;
    struct ig_str signed_bytes = message;
    if (memcmp(signature + 2, key + 2, NUMBER_BYTES) != 0)
        return ig_fail(err, IG_INVALID, "it is signed by another key");
    if (signature[1] == 'D') {
        if (ig_blake2b(digest, message, err) != IG_OK) return err->code;
        signed_bytes = (struct ig_str){(const char *)digest, sizeof digest};
    }
    if (ig_ed25519_verify(signature + 2 + NUMBER_BYTES, own, signed_bytes)) return IG_OK;
    return ig_fail(err, IG_CORRUPT, "it is not what was signed");
}
