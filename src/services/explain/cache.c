/* SPDX-License-Identifier: Apache-2.0 */
/* PARTS independent tables, each a hash of chains and a list by last use under its own lock. An
 * entry holds the whole key (context and row), so equal hashes are told apart; only the context is
 * a hash, of 128 bits with a secret key.
 *
 * Invariant: part->bytes is the sum of its entries' sizes and at most part_bytes.
 * Thread rule: locks are only tried. */
#include "services/explain/cache.h"

#include "base/mem.h"
#include "base/random.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { PARTS = 16, BUCKET_BYTES = 2048, BUCKETS_MIN = 64, PACKED_MAX = 16 << 20 };

struct entry {
    struct entry *next;          /* of the bucket */
    struct entry *older, *newer; /* by last use */
    uint64_t hash;
    unsigned char context[16];
    size_t row_bytes, value_bytes, size_bytes;
    _Alignas(16) char data[]; /* the row, then the value, each padded to eight bytes */
};

struct part {
    pthread_mutex_t lock;
    struct entry **buckets;
    struct entry *oldest, *newest;
    size_t bytes;
};

struct ig_explain_cache {
    struct part parts[PARTS];
    size_t part_bytes, buckets_count; /* of a part; a power of two */
    unsigned char secret[2][16];
    _Atomic uint64_t hits, misses, entries, bytes, evicted;
};

static size_t padded(size_t bytes)
{
    return (bytes + 7) / 8 * 8;
}

enum ig_code ig_explain_cache_new(struct ig_explain_cache **out, size_t max_bytes,
                                  struct ig_err *err)
{
    struct ig_explain_cache *cache = ig_zalloc(sizeof *cache);
    if (!cache) return ig_fail(err, IG_NO_MEMORY, "explanation cache");
    cache->part_bytes = max_bytes / PARTS;
    cache->buckets_count = BUCKETS_MIN;
    while (cache->buckets_count < cache->part_bytes / BUCKET_BYTES) cache->buckets_count *= 2;
    ig_random_bytes(cache->secret, sizeof cache->secret);
    bool ok = true;
    for (int i = 0; i < PARTS; i++) {
        pthread_mutex_init(&cache->parts[i].lock, NULL);
        cache->parts[i].buckets = ig_zalloc_array(cache->buckets_count, sizeof(void *));
        ok = ok && cache->parts[i].buckets;
    }
    if (ok) {
        *out = cache;
        return IG_OK;
    }
    ig_explain_cache_free(cache);
    return ig_fail(err, IG_NO_MEMORY, "explanation cache");
}

void ig_explain_cache_free(struct ig_explain_cache *cache)
{
    if (!cache) return;
    for (int i = 0; i < PARTS; i++) {
        struct part *part = &cache->parts[i];
        for (struct entry *at = part->oldest, *next; at; at = next) {
            next = at->newer;
            ig_free(at);
        }
        ig_free(part->buckets);
        pthread_mutex_destroy(&part->lock);
    }
    ig_free(cache);
}

/* ---- keys ---- */

static void add_text(struct ig_buf *out, struct ig_str text)
{
    uint64_t length = text.len;
    ig_buf_add(out, &length, sizeof length);
    ig_buf_add(out, text.ptr, text.len);
}

static void add_number(struct ig_buf *out, const void *number, size_t bytes)
{
    ig_buf_add(out, number, bytes);
}

#define ADD(out, value) add_number((out), &(value), sizeof(value))

static void add_counterfactual(struct ig_buf *out, const struct ig_counterfactual_ask *ask,
                               uint32_t features)
{
    uint64_t flags = (uint64_t)ask->has_low + 2 * ask->has_high + 4 * ask->decides;
    ADD(out, flags);
    ADD(out, ask->low);
    ADD(out, ask->high);
    ADD(out, ask->class);
    ADD(out, ask->price);
    ADD(out, ask->changes_max);
    ADD(out, ask->count);
    for (uint32_t f = 0; ask->constraints && f < features; f++) {
        const struct ig_counterfactual_constraint *own = &ask->constraints[f];
        uint64_t bits = (uint64_t)own->immutable + 2 * own->only_up + 4 * own->only_down +
                        8 * own->has_low + 16 * own->has_high + 32 * own->may_go_missing;
        ADD(out, bits);
        ADD(out, own->low);
        ADD(out, own->high);
        ADD(out, own->step);
        ADD(out, own->scale);
    }
}

void ig_explain_cache_key_of(struct ig_explain_cache_key *out, const struct ig_explain_cache *cache,
                             const struct ig_explain_cache_context *context)
{
    const struct ig_explain_options *options = context->options;
    uint64_t method = context->method, probability = context->probability;
    struct ig_buf text;
    ig_buf_init(&text, PACKED_MAX);
    add_text(&text, context->model_digest);
    add_text(&text, context->background_digest);
    ADD(&text, method);
    ADD(&text, probability);
    ADD(&text, context->players.count);
    if (context->players.of_feature)
        ig_buf_add(&text, context->players.of_feature, context->features * sizeof(uint32_t));
    ADD(&text, options->seed);
    ADD(&text, options->samples);
    ADD(&text, options->target_se);
    ADD(&text, options->output);
    ADD(&text, options->features);
    if (options->counterfactual)
        add_counterfactual(&text, options->counterfactual, context->features);
    for (int i = 0; i < 2; i++) {
        uint64_t hash = ig_siphash(cache->secret[i], text.ptr, text.len);
        memcpy(out->context + 8 * i, &hash, sizeof hash);
    }
    out->features = context->features;
    ig_buf_deinit(&text);
}

static uint64_t hash_of(const struct ig_explain_cache *cache,
                        const struct ig_explain_cache_key *key)
{
    return ig_siphash(key->context, key->row, key->features * sizeof *key->row) ^
           cache->secret[0][0];
}

/* ---- entries ---- */

static struct entry **bucket_of(const struct ig_explain_cache *cache, struct part *part,
                                uint64_t hash)
{
    return &part->buckets[(hash / PARTS) & (cache->buckets_count - 1)];
}

static struct entry *find(const struct ig_explain_cache *cache, struct part *part, uint64_t hash,
                          const struct ig_explain_cache_key *key)
{
    size_t bytes = key->features * sizeof *key->row;
    for (struct entry *at = *bucket_of(cache, part, hash); at; at = at->next)
        if (at->hash == hash && at->row_bytes == bytes && memcmp(at->data, key->row, bytes) == 0 &&
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

static void remove_entry(struct ig_explain_cache *cache, struct part *part, struct entry *entry)
{
    struct entry **at = bucket_of(cache, part, entry->hash);
    while (*at != entry) at = &(*at)->next;
    *at = entry->next;
    unlist(part, entry);
    part->bytes -= entry->size_bytes;
    atomic_fetch_sub_explicit(&cache->bytes, entry->size_bytes, memory_order_relaxed);
    atomic_fetch_sub_explicit(&cache->entries, 1, memory_order_relaxed);
    ig_free(entry);
}

static void add_entry(struct ig_explain_cache *cache, struct part *part, struct entry *entry)
{
    struct entry **bucket = bucket_of(cache, part, entry->hash);
    while (part->oldest && part->bytes + entry->size_bytes > cache->part_bytes) {
        remove_entry(cache, part, part->oldest);
        atomic_fetch_add_explicit(&cache->evicted, 1, memory_order_relaxed);
    }
    entry->next = *bucket;
    *bucket = entry;
    list_newest(part, entry);
    part->bytes += entry->size_bytes;
    atomic_fetch_add_explicit(&cache->bytes, entry->size_bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&cache->entries, 1, memory_order_relaxed);
}

bool ig_explain_cache_get(struct ig_explanations *out, struct ig_explain_cache *cache,
                          const struct ig_explain_cache_key *key, const struct ig_model *model,
                          struct ig_arena *arena)
{
    uint64_t hash = hash_of(cache, key);
    struct part *part = &cache->parts[hash % PARTS];
    char *copy = NULL;
    size_t bytes = 0;
    if (pthread_mutex_trylock(&part->lock) == 0) {
        struct entry *entry = find(cache, part, hash, key);
        if (entry) {
            unlist(part, entry);
            list_newest(part, entry);
            bytes = entry->value_bytes;
            copy = ig_arena_alloc(arena, bytes);
            if (copy) memcpy(copy, entry->data + padded(entry->row_bytes), bytes);
        }
        pthread_mutex_unlock(&part->lock);
    }
    bool found = copy && ig_explanations_unpack(out, (struct ig_str){copy, bytes}, model, arena);
    atomic_fetch_add_explicit(found ? &cache->hits : &cache->misses, 1, memory_order_relaxed);
    return found;
}

static struct entry *make_entry(const struct ig_explain_cache *cache,
                                const struct ig_explain_cache_key *key, struct ig_str value)
{
    size_t row_bytes = key->features * sizeof *key->row;
    size_t size_bytes = sizeof(struct entry) + padded(row_bytes) + value.len;
    struct entry *entry = size_bytes <= cache->part_bytes ? ig_alloc(size_bytes) : NULL;
    if (!entry) return NULL;
    *entry = (struct entry){.hash = hash_of(cache, key),
                            .row_bytes = row_bytes,
                            .value_bytes = value.len,
                            .size_bytes = size_bytes};
    memcpy(entry->context, key->context, sizeof entry->context);
    memcpy(entry->data, key->row, row_bytes);
    memcpy(entry->data + padded(row_bytes), value.ptr, value.len);
    return entry;
}

void ig_explain_cache_put(struct ig_explain_cache *cache, const struct ig_explain_cache_key *key,
                          const struct ig_explanations *one, const struct ig_model *model)
{
    struct ig_buf value;
    struct entry *entry = NULL;
    if (!cache->part_bytes) return;
    ig_buf_init(&value, PACKED_MAX);
    ig_explanations_pack(&value, one, model);
    if (!value.overflowed) entry = make_entry(cache, key, ig_buf_view(&value));
    ig_buf_deinit(&value);
    if (!entry) return;
    struct part *part = &cache->parts[entry->hash % PARTS];
    if (pthread_mutex_trylock(&part->lock) != 0) {
        ig_free(entry);
        return;
    }
    if (find(cache, part, entry->hash, key))
        ig_free(entry);
    else
        add_entry(cache, part, entry);
    pthread_mutex_unlock(&part->lock);
}

void ig_explain_cache_stats(struct ig_explain_cache *cache, struct ig_explain_cache_stats *out)
{
    *out = (struct ig_explain_cache_stats){
        .hits = atomic_load_explicit(&cache->hits, memory_order_relaxed),
        .misses = atomic_load_explicit(&cache->misses, memory_order_relaxed),
        .entries = atomic_load_explicit(&cache->entries, memory_order_relaxed),
        .bytes = atomic_load_explicit(&cache->bytes, memory_order_relaxed),
        .evicted = atomic_load_explicit(&cache->evicted, memory_order_relaxed),
    };
}
