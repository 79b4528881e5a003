/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_ARENA_H
#define IG_BASE_ARENA_H

/* A region of memory freed at once. Its maximum is given at birth; reaching it (or the heap's end)
 * returns NULL and sets a sticky flag that a caller may test once at the end. Thread rule: one
 * thread at a time. With AddressSanitizer every allocation is followed by a poisoned gap. */

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

struct ig_arena_chunk;

struct ig_arena {
    struct ig_arena_chunk *chunks; /* newest first */
    size_t chunk_bytes;            /* size of a regular chunk */
    size_t max_bytes;              /* upper bound over all chunks */
    size_t held_bytes;             /* over all chunks */
    bool overflowed;
};

/* Allocates nothing yet. */
void ig_arena_init(struct ig_arena *arena, size_t chunk_bytes, size_t max_bytes);
void ig_arena_deinit(struct ig_arena *arena);
/* Forgets all allocations; keeps one regular chunk for reuse. */
void ig_arena_reset(struct ig_arena *arena);

void *ig_arena_alloc(struct ig_arena *arena,
                     size_t size_bytes); /* 16-byte aligned, uninitialised */
void *ig_arena_zalloc(struct ig_arena *arena, size_t size_bytes); /* 16-byte aligned, zeroed */
void *ig_arena_alloc_aligned(struct ig_arena *arena, size_t size_bytes, size_t alignment);
/* Zeroed array; NULL on arithmetic overflow too. */
void *ig_arena_array(struct ig_arena *arena, size_t count, size_t size_bytes);
/* A copy of an array, not NULL for one of no items. NULL on arithmetic overflow too. */
void *ig_arena_copy(struct ig_arena *arena, const void *items, size_t count, size_t size_bytes);

/* Room for one item more behind `count` of them: the array itself, or a copy twice as long, with
 * *cap new. Starts from NULL, 0, 0. NULL when the arena is full. */
void *ig_arena_grow(struct ig_arena *arena, void *items, size_t count, size_t *cap,
                    size_t item_bytes);

struct ig_str ig_arena_dup(struct ig_arena *arena,
                           struct ig_str text);                  /* ptr NULL when out of memory */
char *ig_arena_cstr(struct ig_arena *arena, struct ig_str text); /* NUL-terminated copy */
char *ig_arena_printf(struct ig_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
