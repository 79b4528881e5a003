/* SPDX-License-Identifier: Apache-2.0 */
/* NIST SP 800-38D with random nonces of 96 bits, by OpenSSL. Buffers that held a secret are wiped.
 *
 * Thread rule: stateless. */
#include "services/gateway/secret_box.h"

#include "base/base64.h"
#include "base/random.h"

#include <openssl/evp.h>

enum { SECRET_MAX = 1 << 20 };

enum ig_code ig_secret_key_derive(unsigned char key[IG_SECRET_KEY_BYTES], struct ig_str passphrase,
                                  const unsigned char salt[IG_SECRET_SALT_BYTES], int rounds,
                                  struct ig_err *err)
{
    if (PKCS5_PBKDF2_HMAC(passphrase.ptr, (int)passphrase.len, salt, IG_SECRET_SALT_BYTES, rounds,
                          EVP_sha256(), IG_SECRET_KEY_BYTES, key) == 1)
        return IG_OK;
    return ig_fail(err, IG_INTERNAL, "the key of secrets cannot be derived");
}

struct box {
    EVP_CIPHER_CTX *cipher;
    bool good;
};

/* Begins with the key, the nonce and the name, which is authenticated alone. */
static struct box begin(const unsigned char *key, const unsigned char *nonce, struct ig_str name,
                        bool seal)
{
    struct box box = {EVP_CIPHER_CTX_new(), false};
    int length;
    box.good = box.cipher &&
               EVP_CipherInit_ex(box.cipher, EVP_aes_256_gcm(), NULL, key, nonce, seal) == 1 &&
               EVP_CipherUpdate(box.cipher, NULL, &length, (const unsigned char *)name.ptr,
                                (int)name.len) == 1;
    return box;
}

enum ig_code ig_secret_seal(struct ig_buf *out, const unsigned char key[IG_SECRET_KEY_BYTES],
                            struct ig_str name, struct ig_str secret, struct ig_err *err)
{
    size_t size = IG_SECRET_NONCE_BYTES + secret.len + IG_SECRET_TAG_BYTES;
    struct ig_buf bytes;
    int length = 0, rest = 0;
    if (secret.len > SECRET_MAX)
        return ig_fail(err, IG_TOO_LARGE, "secret: more than %d bytes", SECRET_MAX);
    ig_buf_init(&bytes, SECRET_MAX + 64);
    if (!ig_buf_reserve(&bytes, size)) {
        ig_buf_deinit(&bytes);
        return ig_fail(err, IG_NO_MEMORY, "secret");
    }
    unsigned char *nonce = (unsigned char *)bytes.ptr, *sealed = nonce + IG_SECRET_NONCE_BYTES;
    ig_random_bytes(nonce, IG_SECRET_NONCE_BYTES);
    struct box box = begin(key, nonce, name, true);
    bool good = box.good &&
                EVP_CipherUpdate(box.cipher, sealed, &length, (const unsigned char *)secret.ptr,
                                 (int)secret.len) == 1 &&
                EVP_CipherFinal_ex(box.cipher, sealed + length, &rest) == 1 &&
                EVP_CIPHER_CTX_ctrl(box.cipher, EVP_CTRL_GCM_GET_TAG, IG_SECRET_TAG_BYTES,
                                    sealed + secret.len) == 1;
    EVP_CIPHER_CTX_free(box.cipher);
    if (good) ig_base64_add(out, (struct ig_str){bytes.ptr, size});
    ig_buf_deinit(&bytes);
    if (!good) return ig_fail(err, IG_INTERNAL, "a secret cannot be sealed");
    return out->overflowed ? ig_fail(err, IG_NO_MEMORY, "secret") : IG_OK;
}

static bool open_bytes(struct ig_buf *out, const unsigned char *key, struct ig_str name,
                       struct ig_str bytes)
{
    const unsigned char *nonce = (const unsigned char *)bytes.ptr;
    size_t size = bytes.len - IG_SECRET_NONCE_BYTES - IG_SECRET_TAG_BYTES, before = out->len;
    unsigned char tag[IG_SECRET_TAG_BYTES];
    int length = 0, rest = 0;
    if (!ig_buf_reserve(out, size + 1)) return false;
    memcpy(tag, nonce + bytes.len - sizeof tag, sizeof tag);
    struct box box = begin(key, nonce, name, false);
    unsigned char *to = (unsigned char *)out->ptr + before;
    bool good =
        box.good &&
        EVP_CipherUpdate(box.cipher, to, &length, nonce + IG_SECRET_NONCE_BYTES, (int)size) == 1 &&
        EVP_CIPHER_CTX_ctrl(box.cipher, EVP_CTRL_GCM_SET_TAG, sizeof tag, tag) == 1 &&
        EVP_CipherFinal_ex(box.cipher, to + length, &rest) == 1;
    EVP_CIPHER_CTX_free(box.cipher);
    if (!good) explicit_bzero(to, size);
    if (good) out->len = before + size;
    if (good) out->ptr[out->len] = '\0';
    return good;
}

enum ig_code ig_secret_open(struct ig_buf *out, const unsigned char key[IG_SECRET_KEY_BYTES],
                            struct ig_str name, struct ig_str sealed, struct ig_err *err)
{
    struct ig_buf bytes;
    ig_buf_init(&bytes, 2 * SECRET_MAX);
    bool good = ig_base64_decode(&bytes, sealed) && !bytes.overflowed &&
                bytes.len >= IG_SECRET_NONCE_BYTES + IG_SECRET_TAG_BYTES &&
                open_bytes(out, key, name, ig_buf_view(&bytes));
    ig_buf_deinit(&bytes);
    if (good) return IG_OK;
    return ig_fail(err, IG_DENIED,
                   "the passphrase is not the one that the secrets were sealed with");
}
