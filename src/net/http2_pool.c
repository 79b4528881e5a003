/* SPDX-License-Identifier: Apache-2.0 */
/* A piece is a header and the memory behind it; sizes are rounded up to steps, which are the
 * classes. What is larger goes to the heap each time. */
#include "net/http2_pool.h"

#include "base/mem.h"

#include <string.h>

struct ig_http2_piece {
    struct ig_http2_piece *next;
    size_t size_bytes; /* that may be used */
    max_align_t memory[];
};

enum { SMALL_BYTES = IG_HTTP2_POOL_STEP_BYTES * IG_HTTP2_POOL_CLASSES };

static size_t class_of(size_t size_bytes)
{
    return size_bytes ? (size_bytes - 1) / IG_HTTP2_POOL_STEP_BYTES : 0;
}

static void *take(size_t size_bytes, void *context)
{
    struct ig_http2_pool *pool = context;
    size_t class = class_of(size_bytes), room = size_bytes, whole;
    struct ig_http2_piece *piece = NULL;
    if (size_bytes <= SMALL_BYTES) {
        room = (class + 1) * IG_HTTP2_POOL_STEP_BYTES;
        piece = pool->kept[class].first;
    }
    if (piece) {
        pool->kept[class].first = piece->next;
        pool->kept[class].count--;
        return piece->memory;
    }
    if (!ig_add(&whole, sizeof *piece, room)) return NULL;
    piece = ig_alloc(whole);
    if (!piece) return NULL;
    piece->size_bytes = room;
    return piece->memory;
}

static struct ig_http2_piece *piece_of(void *memory)
{
    return (struct ig_http2_piece *)((char *)memory - offsetof(struct ig_http2_piece, memory));
}

static void give_back(void *memory, void *context)
{
    struct ig_http2_pool *pool = context;
    if (!memory) return;
    struct ig_http2_piece *piece = piece_of(memory);
    size_t class = class_of(piece->size_bytes);
    if (piece->size_bytes > SMALL_BYTES || pool->kept[class].count == IG_HTTP2_POOL_KEPT_MAX) {
        ig_free(piece);
        return;
    }
    piece->next = pool->kept[class].first;
    pool->kept[class].first = piece;
    pool->kept[class].count++;
}

static void *take_zeroed(size_t count, size_t size_bytes, void *context)
{
    size_t total;
    void *memory = ig_mul(&total, count, size_bytes) ? take(total, context) : NULL;
    return memory ? memset(memory, 0, total) : NULL;
}

static void *resize(void *memory, size_t size_bytes, void *context)
{
    if (!memory) return take(size_bytes, context);
    size_t held = piece_of(memory)->size_bytes;
    if (size_bytes <= held) return memory;
    void *grown = take(size_bytes, context);
    if (!grown) return NULL;
    memcpy(grown, memory, held);
    give_back(memory, context);
    return grown;
}

void ig_http2_pool_init(struct ig_http2_pool *pool)
{
    *pool = (struct ig_http2_pool){.mem = {.mem_user_data = pool,
                                           .malloc = take,
                                           .free = give_back,
                                           .calloc = take_zeroed,
                                           .realloc = resize}};
}

void ig_http2_pool_deinit(struct ig_http2_pool *pool)
{
    for (size_t i = 0; i < IG_HTTP2_POOL_CLASSES; i++) {
        while (pool->kept[i].first) {
            struct ig_http2_piece *piece = pool->kept[i].first;
            pool->kept[i].first = piece->next;
            ig_free(piece);
        }
        pool->kept[i].count = 0;
    }
}
