/* SPDX-License-Identifier: Apache-2.0 */
/* Heap access with a switch that makes the n-th allocation fail, for tests of every out-of-memory
 * path. Thread rule: all functions may be called from any thread. */
#include "base/mem.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_BYTES = 8 << 20, MAPPED_BYTES = 4 << 20 };

static atomic_uint_fast64_t budget; /* 0: unlimited; else allocations left + 1 */
static atomic_bool refused;

static bool admit(void)
{
    uint_fast64_t left = atomic_load_explicit(&budget, memory_order_relaxed);
    while (left > 1) {
        if (atomic_compare_exchange_weak(&budget, &left, left - 1)) return true;
    }
    if (left == 0) return true;
    atomic_store(&refused, true);
    return false;
}

void ig_mem_fail_after(uint64_t allocations)
{
    atomic_store(&refused, false);
    atomic_store(&budget, allocations);
}

bool ig_mem_failed(void)
{
    return atomic_load(&refused);
}

void *ig_alloc(size_t size_bytes)
{
    return admit() ? malloc(size_bytes ? size_bytes : 1) : NULL;
}

void *ig_zalloc(size_t size_bytes)
{
    return admit() ? calloc(1, size_bytes ? size_bytes : 1) : NULL;
}

void *ig_zalloc_array(size_t count, size_t size_bytes)
{
    size_t total;
    return ig_mul(&total, count, size_bytes) ? ig_zalloc(total) : NULL;
}

void *ig_realloc(void *memory, size_t size_bytes)
{
    return admit() ? realloc(memory, size_bytes ? size_bytes : 1) : NULL;
}

void *ig_alloc_aligned(size_t alignment, size_t size_bytes)
{
    size_t padded;
    if (!ig_add(&padded, size_bytes, alignment - 1)) return NULL;
    return admit() ? aligned_alloc(alignment, padded & ~(alignment - 1)) : NULL;
}

void ig_free(void *memory)
{
    free(memory);
}

/* The second, which a chunk that is freed would otherwise move, keeps such chunks from being mapped
 * each by itself. */
void ig_mem_keep(void)
{
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
}
