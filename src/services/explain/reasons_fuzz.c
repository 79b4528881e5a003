/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as reason codes; what is taken is written and read back the same. */
#include "services/explain/reasons.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool read_codes(struct ig_reason_codes *out, struct ig_str text, struct ig_arena *arena)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_json json;
    ig_json_init(&json, text, arena, &err);
    enum ig_code code = ig_reason_codes_read(out, &json);
    IG_ASSERT(code == err.code);
    return code == IG_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_reason_codes codes, again;
    struct ig_json_out out;
    struct ig_arena arena;
    struct ig_buf text;
    ig_arena_init(&arena, 4096, 4 << 20);
    ig_buf_init(&text, 4 << 20);
    if (read_codes(&codes, (struct ig_str){(const char *)data, size}, &arena)) {
        IG_ASSERT(codes.count > 0 && codes.count <= IG_REASON_TEXTS_MAX);
        ig_json_out_init(&out, &text);
        ig_reason_codes_write(&out, &codes);
        IG_ASSERT(read_codes(&again, ig_buf_view(&text), &arena) && again.count == codes.count &&
                  again.adverse_high == codes.adverse_high);
        for (size_t i = 0; i < codes.count; i++)
            IG_ASSERT(ig_str_eq(codes.texts[i].text, again.texts[i].text));
    }
    ig_buf_deinit(&text);
    ig_arena_deinit(&arena);
    return 0;
}
