/* SPDX-License-Identifier: Apache-2.0 */
/* The cost is that of werkzeug, which MLflow hashes with. Thread rule: stateless. */
#include "services/users/password.h"

#include "base/hash.h"
#include "base/random.h"

#include <openssl/evp.h>
#include <stdio.h>

enum {
    COST = 32768,
    BLOCK = 8,
    PARALLEL = 1,
    KEY_BYTES = 64,
    SALT_BYTES = 8, /* kept as hex digits, which are the salt */
    SALT_LEN = 2 * SALT_BYTES,
    MEMORY_MAX = 64 << 20,
};
static const char PREFIX[] = "scrypt:32768:8:1$";

static bool derive(char hex[2 * KEY_BYTES + 1], struct ig_str salt, struct ig_str password)
{
    unsigned char key[KEY_BYTES];
    bool good = EVP_PBE_scrypt(password.ptr ? password.ptr : "", password.len,
                               (const unsigned char *)salt.ptr, salt.len, COST, BLOCK, PARALLEL,
                               MEMORY_MAX, key, sizeof key) == 1;
    if (good) ig_hex(hex, key, sizeof key);
    explicit_bzero(key, sizeof key);
    return good;
}

enum ig_code ig_password_hash(char out[IG_PASSWORD_HASH_SIZE], struct ig_str password,
                              struct ig_err *err)
{
    unsigned char random[SALT_BYTES];
    char salt[SALT_LEN + 1], hex[2 * KEY_BYTES + 1];
    ig_random_bytes(random, sizeof random);
    ig_hex(salt, random, sizeof random);
    if (!derive(hex, ig_str_view(salt), password))
        return ig_fail(err, IG_NO_MEMORY, "a password cannot be hashed");
    snprintf(out, IG_PASSWORD_HASH_SIZE, "%s%s$%s", PREFIX, salt, hex);
    return IG_OK;
}

bool ig_password_matches(struct ig_str hash, struct ig_str password)
{
    struct ig_str rest = hash, salt = IG_STR("0000000000000000");
    char hex[2 * KEY_BYTES + 1];
    bool known = ig_str_starts(hash, ig_str_view(PREFIX));
    if (known) {
        rest = (struct ig_str){hash.ptr + sizeof PREFIX - 1, hash.len - (sizeof PREFIX - 1)};
        salt = ig_str_cut(&rest, '$');
    }
    if (!derive(hex, salt, password)) return false;
    return known && rest.len == 2 * KEY_BYTES &&
           ig_equal_constant_time(hex, rest.ptr, 2 * KEY_BYTES);
}
