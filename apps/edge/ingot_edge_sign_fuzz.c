/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include "ingot_edge_sign.h"

#include <openssl/evp.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Key, signature, message: good by the device iff good by OpenSSL. Keys with a part of small order
 * are the one exception: what multiplies them may be taken modulo the order of the base or not. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 96) return 0;
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, data, 32);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int device = ige_ed25519_verify(data + 32, data, data + 96, size - 96);
    int expected = key && context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
                   EVP_DigestVerify(context, data + 32, 64, data + 96, size - 96) == 1;
    IG_ASSERT(!device || expected);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return 0;
}
