/* SPDX-License-Identifier: Apache-2.0 */
/* The cost is that of werkzeug, which MLflow hashes with. Thread rule: stateless but for the cost,
 * which only tests change. */
#include "services/users/password.h"
#include "services/users/password_testing.h"

#include "base/hash.h"
#include "base/random.h"

#include <openssl/evp.h>
#include <stdio.h>

enum {
    BLOCK = 8,
    PARALLEL = 1,
    KEY_BYTES = 64,
    SALT_BYTES = 8, /* kept as hex digits, which are the salt */
    SALT_LEN = 2 * SALT_BYTES,
    MEMORY_MAX = 64 << 20,
    PREFIX_SIZE = 40,
};

static unsigned cost = 32768;

void ig_password_set_cost(unsigned rounds)
{
    cost = rounds;
}

static struct ig_str prefix_of(char out[PREFIX_SIZE])
{
    int length = snprintf(out, PREFIX_SIZE, "scrypt:%u:%d:%d$", cost, BLOCK, PARALLEL);
    return (struct ig_str){out, (size_t)length};
}

static bool derive(char hex[2 * KEY_BYTES + 1], struct ig_str salt, struct ig_str password)
{
    unsigned char key[KEY_BYTES];
    bool good = EVP_PBE_scrypt(password.ptr ? password.ptr : "", password.len,
                               (const unsigned char *)salt.ptr, salt.len, cost, BLOCK, PARALLEL,
                               MEMORY_MAX, key, sizeof key) == 1;
    if (good) ig_hex(hex, key, sizeof key);
    explicit_bzero(key, sizeof key);
    return good;
}

enum ig_code ig_password_hash(char out[IG_PASSWORD_HASH_SIZE], struct ig_str password,
                              struct ig_err *err)
{
    unsigned char random[SALT_BYTES];
    char prefix[PREFIX_SIZE], salt[SALT_LEN + 1], hex[2 * KEY_BYTES + 1];
    ig_random_bytes(random, sizeof random);
    ig_hex(salt, random, sizeof random);
    if (!derive(hex, ig_str_view(salt), password))
        return ig_fail(err, IG_NO_MEMORY, "a password cannot be hashed");
    snprintf(out, IG_PASSWORD_HASH_SIZE, "%s%s$%s", prefix_of(prefix).ptr, salt, hex);
    return IG_OK;
}

bool ig_password_matches(struct ig_str hash, struct ig_str password)
{
    struct ig_str rest = hash, salt = IG_STR("0000000000000000");
    char text[PREFIX_SIZE], hex[2 * KEY_BYTES + 1];
    struct ig_str prefix = prefix_of(text);
    bool known = ig_str_starts(hash, prefix);
    if (known) {
        rest = (struct ig_str){hash.ptr + prefix.len, hash.len - prefix.len};
        salt = ig_str_cut(&rest, '$');
    }
    if (!derive(hex, salt, password)) return false;
    return known && rest.len == 2 * KEY_BYTES &&
           ig_equal_constant_time(hex, rest.ptr, 2 * KEY_BYTES);
}
