/* SPDX-License-Identifier: Apache-2.0 */
/* Ed25519 (RFC 8032) and BLAKE2b (RFC 7693) as OpenSSL has them. Owns nothing; stateless. */
#include "base/ed25519.h"

#include <openssl/evp.h>
#include <openssl/pem.h>

static EVP_PKEY *key_of(const unsigned char seed[IG_ED25519_BYTES])
{
    return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, IG_ED25519_BYTES);
}

enum ig_code ig_ed25519_public(unsigned char key[IG_ED25519_BYTES],
                               const unsigned char seed[IG_ED25519_BYTES], struct ig_err *err)
{
    size_t size = IG_ED25519_BYTES;
    EVP_PKEY *secret = key_of(seed);
    bool good = secret && EVP_PKEY_get_raw_public_key(secret, key, &size) == 1;
    EVP_PKEY_free(secret);
    return good ? IG_OK : ig_fail(err, IG_INTERNAL, "OpenSSL makes no Ed25519 key");
}

enum ig_code ig_ed25519_sign(unsigned char signature[IG_ED25519_SIGNATURE_BYTES],
                             const unsigned char seed[IG_ED25519_BYTES], struct ig_str message,
                             struct ig_err *err)
{
    size_t size = IG_ED25519_SIGNATURE_BYTES;
    EVP_PKEY *secret = key_of(seed);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = secret && context && EVP_DigestSignInit(context, NULL, NULL, NULL, secret) == 1 &&
                EVP_DigestSign(context, signature, &size, (const unsigned char *)message.ptr,
                               message.len) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(secret);
    return good ? IG_OK : ig_fail(err, IG_INTERNAL, "OpenSSL signs nothing with Ed25519");
}

bool ig_ed25519_verify(const unsigned char signature[IG_ED25519_SIGNATURE_BYTES],
                       const unsigned char key[IG_ED25519_BYTES], struct ig_str message)
{
    EVP_PKEY *owner = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, IG_ED25519_BYTES);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = owner && context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, owner) == 1 &&
                EVP_DigestVerify(context, signature, IG_ED25519_SIGNATURE_BYTES,
                                 (const unsigned char *)message.ptr, message.len) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(owner);
    return good;
}

enum ig_code ig_ed25519_pem_write(struct ig_buf *out, const unsigned char seed[IG_ED25519_BYTES],
                                  struct ig_err *err)
{
    char *text = NULL;
    EVP_PKEY *secret = key_of(seed);
    BIO *memory = BIO_new(BIO_s_mem());
    bool good = secret && memory &&
                PEM_write_bio_PKCS8PrivateKey(memory, secret, NULL, NULL, 0, NULL, NULL) == 1;
    long length = good ? BIO_get_mem_data(memory, &text) : 0;
    if (length > 0) ig_buf_add(out, text, (size_t)length);
    BIO_free(memory);
    EVP_PKEY_free(secret);
    return length > 0 ? IG_OK : ig_fail(err, IG_INTERNAL, "OpenSSL writes no PEM");
}

/* Instead of asking the terminal for a password. */
static int no_password(char *buffer, int size, int writes, void *context)
{
    (void)buffer, (void)size, (void)writes, (void)context;
    return -1;
}

enum ig_code ig_ed25519_pem_read(unsigned char seed[IG_ED25519_BYTES], struct ig_str pem,
                                 struct ig_err *err)
{
    size_t size = IG_ED25519_BYTES;
    BIO *memory = BIO_new_mem_buf(pem.ptr, pem.len > INT32_MAX ? INT32_MAX : (int)pem.len);
    EVP_PKEY *secret = memory ? PEM_read_bio_PrivateKey(memory, NULL, no_password, NULL) : NULL;
    bool good = secret && EVP_PKEY_get_id(secret) == EVP_PKEY_ED25519 &&
                EVP_PKEY_get_raw_private_key(secret, seed, &size) == 1;
    EVP_PKEY_free(secret);
    BIO_free(memory);
    if (good) return IG_OK;
    return ig_fail(err, IG_PARSE,
                   "no Ed25519 secret key in PEM without a password "
                   "(openssl genpkey -algorithm ed25519)");
}

enum ig_code ig_blake2b(unsigned char digest[IG_BLAKE2B_BYTES], struct ig_str message,
                        struct ig_err *err)
{
    unsigned size = IG_BLAKE2B_BYTES;
    if (EVP_Digest(message.ptr, message.len, digest, &size, EVP_blake2b512(), NULL) == 1)
        return IG_OK;
    return ig_fail(err, IG_INTERNAL, "OpenSSL has no BLAKE2b");
}
