/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_MAP_H
#define IG_BASE_MAP_H

/* Hash map from text to a pointer, open addressing, keys copied. Thread rule: writers exclude all
 * others. */

#include "base/str.h"

struct ig_map_slot;

struct ig_map {
    struct ig_map_slot *slots;
    size_t cap;
    size_t count;
    size_t max_count;
};

void ig_map_init(struct ig_map *map, size_t max_count);
void ig_map_deinit(struct ig_map *map);                        /* values are the caller's */
void *ig_map_get(const struct ig_map *map, struct ig_str key); /* NULL when absent */
/* False when full or out of memory; replaces an existing value. `value` is not NULL. */
bool ig_map_put(struct ig_map *map, struct ig_str key, void *value);
void *ig_map_remove(struct ig_map *map, struct ig_str key); /* the value, or NULL */
/* Iterates: start with *at = 0; false at the end. No change of the map meanwhile. */
bool ig_map_each(const struct ig_map *map, size_t *at, struct ig_str *key, void **value);

#endif
