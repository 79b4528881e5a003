/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as what a scorer holds. */
#include "services/tracking/scorers_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    struct ig_str model;
    ig_arena_init(&arena, 4096, 16 << 20);
    enum ig_code code =
        ig_scorer_content_read(&model, (struct ig_str){(const char *)data, size}, &arena, &err);
    IG_ASSERT(code == err.code && (code == IG_OK || code == IG_INVALID));
    IG_ASSERT(!model.ptr || (code == IG_OK && model.len < size));
    struct ig_str changed, again;
    if (model.ptr &&
        ig_scorer_content_with(&changed, (struct ig_str){(const char *)data, size},
                               IG_STR("gateway:/\"x"), &arena, &err) == IG_OK &&
        ig_scorer_content_read(&again, changed, &arena, &err) == IG_OK)
        IG_ASSERT(ig_str_is(again, "gateway:/\"x"));
    ig_arena_deinit(&arena);
    return 0;
}
