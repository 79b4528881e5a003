/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_LRU_H
#define IG_BASE_LRU_H

/* Bytes that were found out before, by a key of bytes. Bounded; the least recently used go first.
 * Never waits: a part that another thread is in counts as a miss, so an event loop may ask. */

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct ig_lru;

/* max_bytes 0: nothing is ever kept. */
enum ig_code ig_lru_new(struct ig_lru **out, size_t max_bytes, struct ig_err *err);
void ig_lru_free(struct ig_lru *lru); /* NULL is allowed */

struct ig_lru_key {
    unsigned char context[16]; /* a hash of what most keys have in common, see ig_lru_context */
    struct ig_str bytes;       /* compared whole */
};

/* 128 bits, keyed with a secret of the table. */
void ig_lru_context(unsigned char context[16], const struct ig_lru *lru, struct ig_str text);
/* A copy in the arena, aligned to 16; ptr NULL when it is not there, was put before `since_ns` (by
 * ig_clock_ns), or does not fit. */
struct ig_str ig_lru_get(struct ig_lru *lru, const struct ig_lru_key *key, uint64_t since_ns,
                         struct ig_arena *arena);
/* Replaces nothing: what is there, and not older than `since_ns`, stays. */
void ig_lru_put(struct ig_lru *lru, const struct ig_lru_key *key, struct ig_str value,
                uint64_t since_ns);

struct ig_lru_stats {
    uint64_t hits, misses, entries, bytes, evicted;
};
void ig_lru_stats(struct ig_lru *lru, struct ig_lru_stats *out);

#endif
