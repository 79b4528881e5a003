/* SPDX-License-Identifier: Apache-2.0 */
/* Reads any bytes as YAML; scalars quoted anew must read back the same. */
#include "base/yaml.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_arena arena;
    const struct ig_yaml *root = NULL, *again = NULL;
    struct ig_buf buf;
    ig_arena_init(&arena, 4096, (size_t)16 << 20);
    ig_buf_init(&buf, 1 << 20);
    if (ig_yaml_parse(&root, (struct ig_str){(const char *)data, size}, &arena, &err) == IG_OK) {
        struct ig_str text = root->kind == IG_YAML_SCALAR ? root->text
                             : root->first                ? root->first->text
                                                          : IG_STR("");
        struct ig_json_out json;
        ig_json_out_init(&json, &buf);
        ig_yaml_write_json(&json, root);
        struct ig_err unused = IG_ERR_INIT;
        struct ig_json reader;
        ig_json_init(&reader, ig_buf_view(&buf), &arena, &unused);
        IG_ASSERT(buf.overflowed || ig_json_skip(&reader));
        ig_buf_reset(&buf);
        ig_yaml_add_quoted(&buf, text);
        if (ig_str_utf8_valid(text) && !buf.overflowed &&
            ig_yaml_parse(&again, ig_buf_view(&buf), &arena, &err) == IG_OK)
            IG_ASSERT(ig_str_eq(again->text, text));
    }
    ig_buf_deinit(&buf);
    ig_arena_deinit(&arena);
    return 0;
}
