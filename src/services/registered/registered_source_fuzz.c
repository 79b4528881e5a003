/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a source and, behind the first line, as a root: what lies within a root by its path
 * alone leads down from it. */
#include "services/registered/registered_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_arena arena;
    struct ig_str root = {(const char *)data, size < 4096 ? size : 4096};
    struct ig_str source = ig_str_cut(&root, '\n');
    ig_arena_init(&arena, 4096, 4 << 20);
    struct ig_str model = ig_registered_source_model(source);
    IG_ASSERT(!model.len ||
              (model.ptr > source.ptr && model.ptr + model.len <= source.ptr + source.len));
    ig_registered_source_is_proxied(source, &arena);
    ig_registered_source_leads_down(source, &arena);
    if (root.ptr) ig_registered_source_within(source, root, &arena);
    if (ig_registered_source_within(source, source, &arena) && !arena.overflowed)
        IG_ASSERT(source.len > 1);
    ig_arena_deinit(&arena);
    return 0;
}
