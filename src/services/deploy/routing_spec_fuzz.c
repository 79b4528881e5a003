/* SPDX-License-Identifier: Apache-2.0 */
/* Deployment graphs: any bytes are read or refused, and what is read writes a text that reads back
 * as the same. */
#include "services/deploy/routing_spec.h"

#include <string.h>

static void write(struct ig_buf *out, const struct ig_routing_spec *spec)
{
    struct ig_json_out json;
    ig_buf_init(out, 4 << 20);
    ig_json_out_init(&json, out);
    ig_routing_spec_write(&json, spec);
    IG_ASSERT(!out->overflowed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_arena arena;
    struct ig_routing_spec spec, again;
    struct ig_err err = IG_ERR_INIT;
    ig_arena_init(&arena, 16 << 10, 64 << 20);
    const struct ig_str json = {(const char *)data, size};
    if (ig_routing_spec_read(&spec, json, &arena, &err) == IG_OK) {
        struct ig_buf first, second;
        write(&first, &spec);
        IG_ASSERT(ig_routing_spec_read(&again, ig_buf_view(&first), &arena, &err) == IG_OK);
        write(&second, &again);
        IG_ASSERT(ig_str_eq(ig_buf_view(&first), ig_buf_view(&second)));
        ig_buf_deinit(&first);
        ig_buf_deinit(&second);
    } else {
        IG_ASSERT(err.message[0]);
    }
    ig_arena_deinit(&arena);
    return 0;
}
