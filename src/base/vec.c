/* SPDX-License-Identifier: Apache-2.0 */
/* Growth of typed arrays. */
#include "base/vec.h"

bool ig_vec_room(void **items, size_t count, size_t *cap, size_t item_bytes, size_t limit)
{
    if (count >= limit) return false;
    if (count < *cap) return true;
    size_t grown = *cap ? *cap * 2 : 8;
    if (grown > limit) grown = limit;
    size_t bytes;
    if (!ig_mul(&bytes, grown, item_bytes)) return false;
    void *memory = ig_realloc(*items, bytes);
    if (!memory) return false;
    *items = memory;
    *cap = grown;
    return true;
}
