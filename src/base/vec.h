/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_VEC_H
#define IG_BASE_VEC_H

/* Growable typed array: declare `struct { T *items; size_t count, cap; } v = {0};`. The limit is
 * given with each push. Elements are plain bytes. */

#include "base/mem.h"

/* Evaluates to false (nothing pushed) at `limit` elements or when memory is out. */
#define IG_VEC_PUSH(vec, item, limit)                                                              \
    (ig_vec_room((void **)&(vec)->items, (vec)->count, &(vec)->cap, sizeof *(vec)->items, (limit)) \
         ? ((vec)->items[(vec)->count++] = (item), true)                                           \
         : false)
#define IG_VEC_FREE(vec) (ig_free((vec)->items), (vec)->items = NULL, (vec)->count = (vec)->cap = 0)

bool ig_vec_room(void **items, size_t count, size_t *cap, size_t item_bytes, size_t limit);

#endif
