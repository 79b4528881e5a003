/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing with linear probing and backward-shift deletion. Invariants: cap is 0 or a power
 * of two; count <= 3/4 cap; a slot is free iff its value is NULL. */
#include "base/map.h"

#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"

#include <string.h>

struct ig_map_slot {
    uint64_t hash;
    char *key;
    size_t key_len;
    void *value;
};

void ig_map_init(struct ig_map *map, size_t max_count)
{
    *map = (struct ig_map){.max_count = max_count};
}

void ig_map_deinit(struct ig_map *map)
{
    for (size_t i = 0; i < map->cap; i++) ig_free(map->slots[i].key);
    ig_free(map->slots);
    *map = (struct ig_map){.max_count = map->max_count};
}

/* The slot that holds the key, or the free one where it would go. The map has room. */
static size_t locate(const struct ig_map *map, uint64_t hash, struct ig_str key)
{
    size_t at = hash & (map->cap - 1);
    while (map->slots[at].value) {
        const struct ig_map_slot *slot = &map->slots[at];
        if (slot->hash == hash && ig_str_eq((struct ig_str){slot->key, slot->key_len}, key)) break;
        at = (at + 1) & (map->cap - 1);
    }
    return at;
}

void *ig_map_get(const struct ig_map *map, struct ig_str key)
{
    if (!map->count) return NULL;
    return map->slots[locate(map, ig_hash64(key.ptr, key.len), key)].value;
}

static bool grow(struct ig_map *map)
{
    size_t cap = map->cap ? map->cap * 2 : 16;
    struct ig_map_slot *slots = ig_zalloc_array(cap, sizeof *slots);
    if (!slots) return false;
    for (size_t i = 0; i < map->cap; i++) {
        if (!map->slots[i].value) continue;
        size_t at = map->slots[i].hash & (cap - 1);
        while (slots[at].value) at = (at + 1) & (cap - 1);
        slots[at] = map->slots[i];
    }
    ig_free(map->slots);
    map->slots = slots;
    map->cap = cap;
    return true;
}

bool ig_map_put(struct ig_map *map, struct ig_str key, void *value)
{
    IG_ASSERT(value != NULL);
    uint64_t hash = ig_hash64(key.ptr, key.len);
    if (map->count) {
        struct ig_map_slot *slot = &map->slots[locate(map, hash, key)];
        if (slot->value) {
            slot->value = value;
            return true;
        }
    }
    if (map->count >= map->max_count) return false;
    if ((map->count + 1) * 4 > map->cap * 3 && !grow(map)) return false;
    char *copy = ig_alloc(key.len);
    if (!copy) return false;
    if (key.len) memcpy(copy, key.ptr, key.len);
    map->slots[locate(map, hash, key)] = (struct ig_map_slot){hash, copy, key.len, value};
    map->count++;
    return true;
}

void *ig_map_remove(struct ig_map *map, struct ig_str key)
{
    if (!map->count) return NULL;
    size_t hole = locate(map, ig_hash64(key.ptr, key.len), key), mask = map->cap - 1;
    void *value = map->slots[hole].value;
    if (!value) return NULL;
    ig_free(map->slots[hole].key);
    for (size_t at = (hole + 1) & mask; map->slots[at].value; at = (at + 1) & mask) {
        size_t home = map->slots[at].hash & mask;
        if (((at - home) & mask) < ((at - hole) & mask)) continue;
        map->slots[hole] = map->slots[at];
        hole = at;
    }
    map->slots[hole] = (struct ig_map_slot){0};
    map->count--;
    return value;
}

bool ig_map_each(const struct ig_map *map, size_t *at, struct ig_str *key, void **value)
{
    while (*at < map->cap) {
        const struct ig_map_slot *slot = &map->slots[(*at)++];
        if (!slot->value) continue;
        *key = (struct ig_str){slot->key, slot->key_len};
        *value = slot->value;
        return true;
    }
    return false;
}
