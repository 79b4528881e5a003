/* SPDX-License-Identifier: Apache-2.0 */
/* PARTS independent tables, each a hash of chains and a list by last use under its own lock. An
 * entry holds the whole key (context and bytes), so equal hashes are told apart; only the context
 * is a hash, of 128 bits with a secret key.
 *
 * Invariant: part->bytes is the sum of its entries' sizes and at most part_bytes.
 * Thread rule: locks are only tried. */
#include "base/lru.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/random.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { PARTS = 16, BUCKET_BYTES = 2048, BUCKETS_MIN = 64 };

static const struct ig_str NONE = {NULL, 0};

struct entry {
    struct entry *next;          /* of the bucket */
    struct entry *older, *newer; /* by last use */
    uint64_t hash, put_ns;
    unsigned char context[16];
    size_t key_bytes, value_bytes, size_bytes;
    _Alignas(16) char data[]; /* the key's bytes, then the value, each padded to eight bytes */
};

struct part {
    pthread_mutex_t lock;
    struct entry **buckets;
    struct entry *oldest, *newest;
    size_t bytes;
};

struct ig_lru {
    struct part parts[PARTS];
    size_t part_bytes, buckets_count; /* of a part; a power of two */
    unsigned char secret[2][16];
    _Atomic uint64_t hits, misses, entries, bytes, evicted;
};

static size_t padded(size_t bytes)
{
    return (bytes + 7) / 8 * 8;
}

enum ig_code ig_lru_new(struct ig_lru **out, size_t max_bytes, struct ig_err *err)
{
    struct ig_lru *lru = ig_zalloc(sizeof *lru);
    if (!lru) return ig_fail(err, IG_NO_MEMORY, "cache");
    lru->part_bytes = max_bytes / PARTS;
    lru->buckets_count = BUCKETS_MIN;
    while (lru->buckets_count < lru->part_bytes / BUCKET_BYTES) lru->buckets_count *= 2;
    ig_random_bytes(lru->secret, sizeof lru->secret);
    bool ok = true;
    for (int i = 0; i < PARTS; i++) {
        pthread_mutex_init(&lru->parts[i].lock, NULL);
        lru->parts[i].buckets = ig_zalloc_array(lru->buckets_count, sizeof(void *));
        ok = ok && lru->parts[i].buckets;
    }
    if (ok) {
        *out = lru;
        return IG_OK;
    }
    ig_lru_free(lru);
    return ig_fail(err, IG_NO_MEMORY, "cache");
}

void ig_lru_free(struct ig_lru *lru)
{
    if (!lru) return;
    for (int i = 0; i < PARTS; i++) {
        struct part *part = &lru->parts[i];
        for (struct entry *at = part->oldest, *next; at; at = next) {
            next = at->newer;
            ig_free(at);
        }
        ig_free(part->buckets);
        pthread_mutex_destroy(&part->lock);
    }
    ig_free(lru);
}

static struct entry **bucket_of(const struct ig_lru *lru, struct part *part, uint64_t hash)
{
    return &part->buckets[(hash / PARTS) & (lru->buckets_count - 1)];
}

static struct entry *find(const struct ig_lru *lru, struct part *part, uint64_t hash,
                          const struct ig_lru_key *key)
{
    for (struct entry *at = *bucket_of(lru, part, hash); at; at = at->next)
        if (at->hash == hash && at->key_bytes == key->bytes.len &&
            memcmp(at->data, key->bytes.ptr, key->bytes.len) == 0 &&
            memcmp(at->context, key->context, sizeof key->context) == 0)
            return at;
    return NULL;
}

static void unlist(struct part *part, struct entry *entry)
{
    *(entry->older ? &entry->older->newer : &part->oldest) = entry->newer;
    *(entry->newer ? &entry->newer->older : &part->newest) = entry->older;
}

static void list_newest(struct part *part, struct entry *entry)
{
    entry->older = part->newest;
    entry->newer = NULL;
    *(part->newest ? &part->newest->newer : &part->oldest) = entry;
    part->newest = entry;
}

static void remove_entry(struct ig_lru *lru, struct part *part, struct entry *entry)
{
    struct entry **at = bucket_of(lru, part, entry->hash);
    while (*at != entry) at = &(*at)->next;
    *at = entry->next;
    unlist(part, entry);
    part->bytes -= entry->size_bytes;
    atomic_fetch_sub_explicit(&lru->bytes, entry->size_bytes, memory_order_relaxed);
    atomic_fetch_sub_explicit(&lru->entries, 1, memory_order_relaxed);
    ig_free(entry);
}

static void add_entry(struct ig_lru *lru, struct part *part, struct entry *entry)
{
    struct entry **bucket = bucket_of(lru, part, entry->hash);
    while (part->oldest && part->bytes + entry->size_bytes > lru->part_bytes) {
        remove_entry(lru, part, part->oldest);
        atomic_fetch_add_explicit(&lru->evicted, 1, memory_order_relaxed);
    }
    entry->next = *bucket;
    *bucket = entry;
    list_newest(part, entry);
    part->bytes += entry->size_bytes;
    atomic_fetch_add_explicit(&lru->bytes, entry->size_bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&lru->entries, 1, memory_order_relaxed);
}

void ig_lru_context(unsigned char context[16], const struct ig_lru *lru, struct ig_str text)
{
    for (int i = 0; i < 2; i++) {
        uint64_t hash = ig_siphash(lru->secret[i], text.ptr, text.len);
        memcpy(context + 8 * i, &hash, sizeof hash);
    }
}

static uint64_t hash_of(const struct ig_lru *lru, const struct ig_lru_key *key)
{
    return ig_siphash(key->context, key->bytes.ptr, key->bytes.len) ^ lru->secret[0][0];
}

/* A copy of the value, which is the latest used from now on. Under the part's lock. */
static struct ig_str use(struct ig_lru *lru, struct part *part, struct entry *entry,
                         uint64_t since_ns, struct ig_arena *arena)
{
    if (entry->put_ns < since_ns) {
        remove_entry(lru, part, entry);
        return NONE;
    }
    unlist(part, entry);
    list_newest(part, entry);
    char *copy = ig_arena_alloc(arena, entry->value_bytes + 1);
    if (!copy) return NONE;
    memcpy(copy, entry->data + padded(entry->key_bytes), entry->value_bytes);
    return (struct ig_str){copy, entry->value_bytes};
}

struct ig_str ig_lru_get(struct ig_lru *lru, const struct ig_lru_key *key, uint64_t since_ns,
                         struct ig_arena *arena)
{
    uint64_t hash = hash_of(lru, key);
    struct part *part = &lru->parts[hash % PARTS];
    struct ig_str found = NONE;
    if (pthread_mutex_trylock(&part->lock) == 0) {
        struct entry *entry = find(lru, part, hash, key);
        if (entry) found = use(lru, part, entry, since_ns, arena);
        pthread_mutex_unlock(&part->lock);
    }
    atomic_fetch_add_explicit(found.ptr ? &lru->hits : &lru->misses, 1, memory_order_relaxed);
    return found;
}

static struct entry *make_entry(const struct ig_lru *lru, const struct ig_lru_key *key,
                                struct ig_str value)
{
    size_t size_bytes = sizeof(struct entry) + padded(key->bytes.len) + value.len;
    struct entry *entry = size_bytes <= lru->part_bytes ? ig_alloc(size_bytes) : NULL;
    if (!entry) return NULL;
    *entry = (struct entry){.hash = hash_of(lru, key),
                            .put_ns = ig_clock_ns(),
                            .key_bytes = key->bytes.len,
                            .value_bytes = value.len,
                            .size_bytes = size_bytes};
    memcpy(entry->context, key->context, sizeof entry->context);
    memcpy(entry->data, key->bytes.ptr, key->bytes.len);
    memcpy(entry->data + padded(key->bytes.len), value.ptr, value.len);
    return entry;
}

void ig_lru_put(struct ig_lru *lru, const struct ig_lru_key *key, struct ig_str value,
                uint64_t since_ns)
{
    struct entry *entry = lru->part_bytes ? make_entry(lru, key, value) : NULL;
    if (!entry) return;
    struct part *part = &lru->parts[entry->hash % PARTS];
    if (pthread_mutex_trylock(&part->lock) != 0) {
        ig_free(entry);
        return;
    }
    struct entry *there = find(lru, part, entry->hash, key);
    if (there && there->put_ns < since_ns) {
        remove_entry(lru, part, there);
        there = NULL;
    }
    if (there)
        ig_free(entry);
    else
        add_entry(lru, part, entry);
    pthread_mutex_unlock(&part->lock);
}

void ig_lru_stats(struct ig_lru *lru, struct ig_lru_stats *out)
{
    *out = (struct ig_lru_stats){
        .hits = atomic_load_explicit(&lru->hits, memory_order_relaxed),
        .misses = atomic_load_explicit(&lru->misses, memory_order_relaxed),
        .entries = atomic_load_explicit(&lru->entries, memory_order_relaxed),
        .bytes = atomic_load_explicit(&lru->bytes, memory_order_relaxed),
        .evicted = atomic_load_explicit(&lru->evicted, memory_order_relaxed),
    };
}
