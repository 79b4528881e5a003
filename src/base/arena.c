/* SPDX-License-Identifier: Apache-2.0 */
/* Chunked bump allocator.
 *
 * Invariants: 1. held_bytes <= max_bytes. 2. the newest chunk is the one being filled; an
 * allocation larger than a regular chunk gets a chunk of its own. 3. memory beyond `used` is
 * poisoned under ASan. */
#include "base/arena.h"

#include "base/err.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define IG_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IG_ASAN 1
#endif
#endif

#ifdef IG_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(address, size) ASAN_POISON_MEMORY_REGION(address, size)
#define UNPOISON(address, size) ASAN_UNPOISON_MEMORY_REGION(address, size)
enum { GAP_BYTES = 16 };
#else
#define POISON(address, size) ((void)(address), (void)(size))
#define UNPOISON(address, size) ((void)(address), (void)(size))
enum { GAP_BYTES = 0 };
#endif

struct ig_arena_chunk {
    struct ig_arena_chunk *older;
    size_t size_bytes; /* of data */
    size_t used_bytes;
    size_t unused;
    unsigned char data[];
};

void ig_arena_init(struct ig_arena *arena, size_t chunk_bytes, size_t max_bytes)
{
    *arena = (struct ig_arena){.chunk_bytes = chunk_bytes, .max_bytes = max_bytes};
}

static void chunk_free(struct ig_arena_chunk *chunk)
{
    UNPOISON(chunk->data, chunk->size_bytes);
    ig_free(chunk);
}

void ig_arena_deinit(struct ig_arena *arena)
{
    while (arena->chunks) {
        struct ig_arena_chunk *chunk = arena->chunks;
        arena->chunks = chunk->older;
        chunk_free(chunk);
    }
    arena->held_bytes = 0;
}

void ig_arena_reset(struct ig_arena *arena)
{
    struct ig_arena_chunk *kept = NULL;
    while (arena->chunks) {
        struct ig_arena_chunk *chunk = arena->chunks;
        arena->chunks = chunk->older;
        if (!kept && chunk->size_bytes == arena->chunk_bytes)
            kept = chunk;
        else
            chunk_free(chunk);
    }
    arena->overflowed = false;
    arena->held_bytes = 0;
    if (!kept) return;
    kept->older = NULL;
    kept->used_bytes = 0;
    POISON(kept->data, kept->size_bytes);
    arena->chunks = kept;
    arena->held_bytes = kept->size_bytes;
}

static struct ig_arena_chunk *chunk_add(struct ig_arena *arena, size_t need_bytes)
{
    size_t size = need_bytes > arena->chunk_bytes ? need_bytes : arena->chunk_bytes;
    if (size > arena->max_bytes - arena->held_bytes) size = need_bytes;
    size_t total;
    if (size > arena->max_bytes - arena->held_bytes) return NULL;
    if (!ig_add(&total, size, sizeof(struct ig_arena_chunk))) return NULL;
    struct ig_arena_chunk *chunk = ig_alloc(total);
    if (!chunk) return NULL;
    *chunk = (struct ig_arena_chunk){.older = arena->chunks, .size_bytes = size};
    POISON(chunk->data, size);
    arena->chunks = chunk;
    arena->held_bytes += size;
    return chunk;
}

static size_t aligned_start(const struct ig_arena_chunk *chunk, size_t alignment)
{
    uintptr_t base = (uintptr_t)chunk->data;
    uintptr_t at = (base + chunk->used_bytes + alignment - 1) & ~(uintptr_t)(alignment - 1);
    return at - base;
}

static inline void *take(struct ig_arena_chunk *chunk, size_t start, size_t size_bytes)
{
    chunk->used_bytes = start + size_bytes + GAP_BYTES;
    UNPOISON(chunk->data + start, size_bytes);
    return chunk->data + start;
}

static void *alloc_in_new(struct ig_arena *arena, size_t size_bytes, size_t alignment)
{
    size_t need;
    bool fits = ig_add(&need, size_bytes, alignment + GAP_BYTES);
    struct ig_arena_chunk *chunk = fits ? chunk_add(arena, need) : NULL;
    if (chunk) return take(chunk, aligned_start(chunk, alignment), size_bytes);
    arena->overflowed = true;
    return NULL;
}

static inline void *alloc(struct ig_arena *arena, size_t size_bytes, size_t alignment)
{
    struct ig_arena_chunk *chunk = arena->chunks;
    if (!chunk) return alloc_in_new(arena, size_bytes, alignment);
    size_t start = aligned_start(chunk, alignment);
    size_t left = chunk->size_bytes - start; /* wraps when start is behind the end */
    bool fits = start <= chunk->size_bytes && size_bytes <= left && size_bytes + GAP_BYTES <= left;
    return fits ? take(chunk, start, size_bytes) : alloc_in_new(arena, size_bytes, alignment);
}

void *ig_arena_alloc_aligned(struct ig_arena *arena, size_t size_bytes, size_t alignment)
{
    return alloc(arena, size_bytes, alignment);
}

void *ig_arena_alloc(struct ig_arena *arena, size_t size_bytes)
{
    return alloc(arena, size_bytes, 16);
}

void *ig_arena_zalloc(struct ig_arena *arena, size_t size_bytes)
{
    void *memory = alloc(arena, size_bytes, 16);
    return memory ? memset(memory, 0, size_bytes) : NULL;
}

void *ig_arena_array(struct ig_arena *arena, size_t count, size_t size_bytes)
{
    size_t total;
    if (!ig_mul(&total, count, size_bytes)) {
        arena->overflowed = true;
        return NULL;
    }
    return ig_arena_zalloc(arena, total);
}

void *ig_arena_copy(struct ig_arena *arena, const void *items, size_t count, size_t size_bytes)
{
    void *copy = ig_arena_array(arena, count ? count : 1, size_bytes);
    if (copy && count) memcpy(copy, items, count * size_bytes);
    return copy;
}

char *ig_arena_cstr(struct ig_arena *arena, struct ig_str text)
{
    char *copy = alloc(arena, text.len + 1, 16);
    if (!copy) return NULL;
    if (text.len) memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return copy;
}

void *ig_arena_grow(struct ig_arena *arena, void *items, size_t count, size_t *cap,
                    size_t item_bytes)
{
    size_t wanted = 8;
    if (count < *cap) return items;
    if (*cap && !ig_mul(&wanted, *cap, 2)) return NULL;
    size_t bytes;
    char *grown = ig_mul(&bytes, wanted, item_bytes) ? ig_arena_alloc(arena, bytes) : NULL;
    if (!grown) {
        arena->overflowed = true;
        return NULL;
    }
    if (count) memcpy(grown, items, count * item_bytes);
    memset(grown + count * item_bytes, 0, bytes - count * item_bytes);
    *cap = wanted;
    return grown;
}

struct ig_str ig_arena_dup(struct ig_arena *arena, struct ig_str text)
{
    char *copy = ig_arena_cstr(arena, text);
    return (struct ig_str){copy, copy ? text.len : 0};
}

char *ig_arena_printf(struct ig_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    IG_ASSERT(length >= 0);
    char *text = ig_arena_alloc(arena, (size_t)length + 1);
    if (text) vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}
