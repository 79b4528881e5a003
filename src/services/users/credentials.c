/* SPDX-License-Identifier: Apache-2.0 */
/* Digests lie in sets of four slots, filled in turn. Thread rule: everything behind `lock`. */
#include "services/users/credentials.h"

#include "base/mem.h"
#include "base/random.h"

#include <pthread.h>

enum { WAYS = 4, SETS = IG_CREDENTIALS_KEPT / WAYS, NAMES = 1024 };

struct slot {
    unsigned char digest[IG_SHA256_BYTES];
    int64_t version; /* 0: empty */
};
struct set {
    struct slot slots[WAYS];
    unsigned next;
};
struct failures {
    int64_t since_ms;
    unsigned count;
};

struct ig_credentials {
    unsigned char key[IG_SHA256_BYTES];
    pthread_mutex_t lock;
    struct set sets[SETS];
    struct failures names[NAMES];
};

struct ig_credentials *ig_credentials_new(void)
{
    struct ig_credentials *credentials = ig_zalloc(sizeof *credentials);
    if (!credentials) return NULL;
    ig_random_bytes(credentials->key, sizeof credentials->key);
    pthread_mutex_init(&credentials->lock, NULL);
    return credentials;
}

void ig_credentials_free(struct ig_credentials *credentials)
{
    if (!credentials) return;
    pthread_mutex_destroy(&credentials->lock);
    explicit_bzero(credentials, sizeof *credentials);
    ig_free(credentials);
}

void ig_credentials_digest(unsigned char digest[IG_SHA256_BYTES],
                           const struct ig_credentials *credentials, struct ig_str name,
                           struct ig_str password)
{
    const struct ig_str key = {(const char *)credentials->key, sizeof credentials->key};
    unsigned char inner[2 * IG_SHA256_BYTES];
    ig_hmac_sha256(inner, key, name);
    ig_hmac_sha256(inner + IG_SHA256_BYTES, key, password);
    ig_hmac_sha256(digest, key, (struct ig_str){(const char *)inner, sizeof inner});
    explicit_bzero(inner, sizeof inner);
}

static struct set *set_of(struct ig_credentials *credentials, const unsigned char *digest)
{
    return &credentials->sets[(digest[0] | (unsigned)digest[1] << 8) % SETS];
}

bool ig_credentials_find(struct ig_credentials *credentials,
                         const unsigned char digest[IG_SHA256_BYTES], int64_t version)
{
    bool found = false;
    pthread_mutex_lock(&credentials->lock);
    const struct set *set = set_of(credentials, digest);
    for (size_t i = 0; i < WAYS; i++)
        if (set->slots[i].version == version &&
            ig_equal_constant_time(set->slots[i].digest, digest, IG_SHA256_BYTES))
            found = true;
    pthread_mutex_unlock(&credentials->lock);
    return found && version;
}

void ig_credentials_keep(struct ig_credentials *credentials,
                         const unsigned char digest[IG_SHA256_BYTES], int64_t version)
{
    pthread_mutex_lock(&credentials->lock);
    struct set *set = set_of(credentials, digest);
    struct slot *slot = &set->slots[set->next++ % WAYS];
    memcpy(slot->digest, digest, IG_SHA256_BYTES);
    slot->version = version;
    pthread_mutex_unlock(&credentials->lock);
}

static struct failures *failures_of(struct ig_credentials *credentials, struct ig_str name)
{
    return &credentials->names[ig_siphash(credentials->key, name.ptr, name.len) % NAMES];
}

bool ig_credentials_may_try(struct ig_credentials *credentials, struct ig_str name, int64_t now_ms)
{
    pthread_mutex_lock(&credentials->lock);
    const struct failures *failures = failures_of(credentials, name);
    bool may = failures->count < IG_CREDENTIALS_FAILURES ||
               now_ms - failures->since_ms >= IG_CREDENTIALS_MINUTE_MS;
    pthread_mutex_unlock(&credentials->lock);
    return may;
}

void ig_credentials_failed(struct ig_credentials *credentials, struct ig_str name, int64_t now_ms)
{
    pthread_mutex_lock(&credentials->lock);
    struct failures *failures = failures_of(credentials, name);
    if (!failures->count || now_ms - failures->since_ms >= IG_CREDENTIALS_MINUTE_MS)
        *failures = (struct failures){now_ms, 0};
    failures->count++;
    pthread_mutex_unlock(&credentials->lock);
}
