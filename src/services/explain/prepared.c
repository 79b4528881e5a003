/* SPDX-License-Identifier: Apache-2.0 */
/* A list that only grows: loops walk it without a lock while workers, one at a time, put new
 * entries before its head. Entries are never changed nor removed, so no reader needs a reference of
 * its own beyond that of the loaded model. The bound on entries and bytes keeps a client that
 * invents groups from filling the memory. */
#include "services/explain/prepared.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { ENTRIES_MAX = 64, TRIES = 3 };

struct entry {
    struct entry *next;
    struct ig_prepared_key key;
    struct ig_explain *explain;
};

struct ig_prepared_set {
    _Atomic(struct entry *) head;
    pthread_mutex_t lock; /* of those who prepare */
    size_t memory_max_bytes;
    atomic_size_t memory_bytes, count;
};

void ig_prepared_groups(unsigned char groups[IG_SHA256_BYTES], const struct ig_players *players,
                        uint32_t features_count)
{
    memset(groups, 0, IG_SHA256_BYTES);
    if (players && players->of_feature)
        ig_sha256(players->of_feature, features_count * sizeof *players->of_feature, groups);
}

static bool same(const struct ig_prepared_key *a, const struct ig_prepared_key *b)
{
    return a->method == b->method && a->probability == b->probability &&
           strcmp(a->background, b->background) == 0 &&
           memcmp(a->groups, b->groups, sizeof a->groups) == 0;
}

enum ig_code ig_prepared_new(struct ig_prepared_set **out, size_t memory_max_bytes,
                             struct ig_err *err)
{
    struct ig_prepared_set *set = ig_zalloc(sizeof *set);
    if (!set) return ig_fail(err, IG_NO_MEMORY, "prepared explanations");
    pthread_mutex_init(&set->lock, NULL);
    set->memory_max_bytes = memory_max_bytes ? memory_max_bytes : (size_t)1 << 30;
    *out = set;
    return IG_OK;
}

void ig_prepared_free(struct ig_prepared_set *set)
{
    if (!set) return;
    for (struct entry *entry = atomic_load(&set->head), *next; entry; entry = next) {
        next = entry->next;
        ig_explain_free(entry->explain);
        ig_free(entry);
    }
    pthread_mutex_destroy(&set->lock);
    ig_free(set);
}

const struct ig_explain *ig_prepared_find(const struct ig_prepared_set *set,
                                          const struct ig_prepared_key *key)
{
    const struct entry *entry = atomic_load_explicit(&set->head, memory_order_acquire);
    while (entry && !same(&entry->key, key)) entry = entry->next;
    return entry ? entry->explain : NULL;
}

static enum ig_code full(const struct ig_prepared_set *set, struct ig_err *err)
{
    return ig_fail(err, IG_EXHAUSTED,
                   "explanation: this deployment already holds %zu prepared explanations, at most "
                   "%d; deploying anew forgets them",
                   atomic_load(&set->count), ENTRIES_MAX);
}

static enum ig_code too_much(const struct ig_prepared_set *set, enum ig_explainer method,
                             size_t needed, struct ig_err *err)
{
    return ig_fail(err, IG_EXHAUSTED,
                   "explanation: %s needs %zu KB here, %zu of the deployment's %zu KB "
                   "(explanation_tables_mb) are taken; others may fit, and deploying anew forgets "
                   "what is held",
                   ig_explainer_name(method), (needed >> 10) + 1,
                   atomic_load(&set->memory_bytes) >> 10, set->memory_max_bytes >> 10);
}

/* Tables keep to what they are given; for what stands beside them, they are given less in a further
 * try. */
static enum ig_code prepare(struct entry *entry, struct ig_prepared_set *set,
                            const struct ig_engine *engine, const struct ig_explain_spec *spec,
                            struct ig_err *err)
{
    struct ig_explain_spec bounded = *spec;
    size_t held = atomic_load(&set->memory_bytes), needed = 1;
    size_t left = set->memory_max_bytes > held ? set->memory_max_bytes - held : 0;
    if (atomic_load(&set->count) >= ENTRIES_MAX) return full(set, err);
    if (!bounded.memory_max_bytes || bounded.memory_max_bytes > left)
        bounded.memory_max_bytes = left;
    for (int i = 0; i < TRIES && bounded.memory_max_bytes > 0; i++) {
        if (ig_explain_new(&entry->explain, engine, &bounded, err) != IG_OK) return err->code;
        needed = ig_explain_memory_bytes(entry->explain);
        if (needed <= left) return IG_OK;
        ig_explain_free(entry->explain);
        entry->explain = NULL;
        size_t less = 2 * (needed - left);
        bounded.memory_max_bytes -=
            less < bounded.memory_max_bytes ? less : bounded.memory_max_bytes;
    }
    return too_much(set, spec->method, needed, err);
}

enum ig_code ig_prepared_make(const struct ig_explain **out, struct ig_prepared_set *set,
                              const struct ig_prepared_key *key, const struct ig_engine *engine,
                              const struct ig_explain_spec *spec, struct ig_err *err)
{
    pthread_mutex_lock(&set->lock);
    const struct ig_explain *found = ig_prepared_find(set, key);
    struct entry *entry = found ? NULL : ig_zalloc(sizeof *entry);
    if (!found && !entry) ig_fail(err, IG_NO_MEMORY, "prepared explanation");
    if (entry && prepare(entry, set, engine, spec, err) == IG_OK) {
        entry->key = *key;
        entry->next = atomic_load_explicit(&set->head, memory_order_relaxed);
        atomic_fetch_add(&set->memory_bytes, ig_explain_memory_bytes(entry->explain));
        atomic_fetch_add(&set->count, 1);
        atomic_store_explicit(&set->head, entry, memory_order_release);
        found = entry->explain;
    } else {
        ig_free(entry);
    }
    pthread_mutex_unlock(&set->lock);
    if (found) *out = found;
    return err->code;
}

size_t ig_prepared_memory_bytes(const struct ig_prepared_set *set)
{
    return atomic_load(&set->memory_bytes);
}

size_t ig_prepared_count(const struct ig_prepared_set *set)
{
    return atomic_load(&set->count);
}
