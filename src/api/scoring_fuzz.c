/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a scoring request: what is taken becomes JSON. */
#include "api/scoring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_arena arena;
    struct ig_buf out;
    struct ig_err err = IG_ERR_INIT, again = IG_ERR_INIT;
    struct ig_json json;
    const struct ig_str body = {(const char *)data, size};
    ig_arena_init(&arena, 4096, 16 << 20);
    ig_buf_init(&out, 8 << 20);
    if (ig_scoring_instances(&out, body, &arena, &err) == IG_OK) {
        ig_json_init(&json, ig_buf_view(&out), &arena, &again);
        json.allow_nan = true;
        IG_ASSERT(ig_json_skip(&json) || again.code == IG_NO_MEMORY);
    } else {
        IG_ASSERT(err.message[0]);
    }
    ig_scoring_is_oip(body, &arena);
    int64_t bytes = 0;
    again = IG_ERR_INIT;
    IG_ASSERT(ig_scoring_json_bytes(&bytes, body, &again) != IG_OK || bytes >= 0);
    ig_buf_deinit(&out);
    ig_arena_deinit(&arena);
    return 0;
}
