/* SPDX-License-Identifier: Apache-2.0 */
/* Reads any bytes as JSON; what is accepted is written again and must be accepted again. */
#include "base/json.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Copies the document through the writer; false on a refusal. */
static bool copy(struct ig_str input, struct ig_buf *buf, struct ig_arena *arena, bool allow_nan)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_json json;
    struct ig_json_out out;
    ig_json_init(&json, input, arena, &err);
    json.allow_nan = allow_nan;
    ig_json_out_init(&out, buf);
    for (;;) {
        enum ig_json_event event = ig_json_next(&json);
        double number;
        switch (event) {
        case IG_JSON_ERROR:
            IG_ASSERT(err.code != IG_OK && err.at_byte <= (int64_t)input.len);
            return false;
        case IG_JSON_END:
            return true;
        case IG_JSON_NULL:
            ig_json_out_null(&out);
            break;
        case IG_JSON_BOOL:
            ig_json_out_bool(&out, json.boolean);
            break;
        case IG_JSON_NUMBER:
            IG_ASSERT(ig_str_to_f64(json.text, &number));
            ig_json_out_f64(&out, number);
            break;
        case IG_JSON_STRING:
            ig_json_out_str(&out, json.text);
            break;
        case IG_JSON_KEY:
            ig_json_out_key(&out, json.text);
            break;
        case IG_JSON_ARRAY:
            ig_json_out_array(&out);
            break;
        case IG_JSON_OBJECT:
            ig_json_out_object(&out);
            break;
        case IG_JSON_ARRAY_END:
            ig_json_out_array_end(&out);
            break;
        case IG_JSON_OBJECT_END:
            ig_json_out_object_end(&out);
            break;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_arena arena;
    struct ig_buf first, second;
    ig_arena_init(&arena, 4096, (size_t)64 << 20);
    ig_buf_init(&first, (size_t)64 << 20);
    ig_buf_init(&second, (size_t)64 << 20);
    if (copy((struct ig_str){(const char *)data, size}, &first, &arena, size & 1)) {
        IG_ASSERT(copy(ig_buf_view(&first), &second, &arena, false));
        IG_ASSERT(ig_str_eq(ig_buf_view(&first), ig_buf_view(&second)));
    }
    ig_buf_deinit(&first);
    ig_buf_deinit(&second);
    ig_arena_deinit(&arena);
    return 0;
}
