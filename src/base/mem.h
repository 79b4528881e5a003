/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_MEM_H
#define IG_BASE_MEM_H

/* The only way to the heap; malloc and its kin are banned outside base. All functions are
 * thread-safe and return NULL when memory (or the test's allocation budget) is out. Freed with
 * ig_free. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *ig_alloc(size_t size_bytes);                      /* uninitialised */
void *ig_zalloc(size_t size_bytes);                     /* zeroed */
void *ig_zalloc_array(size_t count, size_t size_bytes); /* zeroed; NULL on overflow */
void *ig_realloc(void *memory, size_t size_bytes);
void *ig_alloc_aligned(size_t alignment, size_t size_bytes); /* alignment: power of two */
void ig_free(void *memory);                                  /* NULL is allowed */

/* For a server: a thread keeps up to 8 MiB of what it frees from now on for what it needs next, so
 * that not every large answer's memory is unmapped and faulted in again. */
void ig_mem_keep(void);

/* Tests only: the n-th allocation from now on fails, and all after it (0 = none fails). */
void ig_mem_fail_after(uint64_t allocations);
bool ig_mem_failed(void); /* whether one was refused since the last ig_mem_fail_after */

/* Checked size arithmetic: false on overflow, `out` untouched. */
static inline bool ig_mul(size_t *out, size_t a, size_t b)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product)) return false;
    *out = product;
    return true;
}

static inline bool ig_add(size_t *out, size_t a, size_t b)
{
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum)) return false;
    *out = sum;
    return true;
}

#endif
