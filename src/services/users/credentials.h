/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_USERS_CREDENTIALS_H
#define IG_SERVICES_USERS_CREDENTIALS_H

/* What is remembered of names and passwords that were tried, in memory alone and bounded: those
 * that were right, by a keyed digest, so that a request need not hash slowly again; and how often a
 * name was tried in vain. Thread-safe; nothing here waits but for a short lock. */

#include "base/hash.h"

struct ig_credentials;

enum {
    IG_CREDENTIALS_KEPT = 4096,   /* at most; the oldest of its set goes */
    IG_CREDENTIALS_FAILURES = 10, /* of one name within a minute; further tries are refused */
    IG_CREDENTIALS_MINUTE_MS = 60000,
};

struct ig_credentials *ig_credentials_new(void); /* NULL when out of memory */
void ig_credentials_free(struct ig_credentials *credentials);

/* Depends on a key made at random for this process. */
void ig_credentials_digest(unsigned char digest[IG_SHA256_BYTES],
                           const struct ig_credentials *credentials, struct ig_str name,
                           struct ig_str password);
/* `version` is that of the user's password: what was kept with another one is not found. */
bool ig_credentials_find(struct ig_credentials *credentials,
                         const unsigned char digest[IG_SHA256_BYTES], int64_t version);
void ig_credentials_keep(struct ig_credentials *credentials,
                         const unsigned char digest[IG_SHA256_BYTES], int64_t version);

/* By the clock now_ms; names share counts now and then, as their hashes do. */
bool ig_credentials_may_try(struct ig_credentials *credentials, struct ig_str name, int64_t now_ms);
void ig_credentials_failed(struct ig_credentials *credentials, struct ig_str name, int64_t now_ms);

#endif
