/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a request to export traces, in protobuf and in JSON: what is read is within its
 * caps, and every span can be written as an answer. */
#include "api/otlp.h"
#include "api/span_json.h"

static void check(struct ig_str request, struct ig_arena *arena)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_trace_span *spans = NULL;
    size_t count = 0, groups = 0;
    enum ig_code code = ig_otlp_read(&spans, &count, &groups, request, arena, &err);
    IG_ASSERT(code == err.code && (code == IG_OK || err.message[0]));
    for (size_t i = 0; code == IG_OK && i < count; i++) {
        struct ig_buf buf;
        struct ig_json_out out;
        IG_ASSERT(spans[i].trace.len == 35 && spans[i].id.len == 16);
        ig_buf_init(&buf, 32 << 20);
        ig_json_out_init(&out, &buf);
        if (ig_span_json_write(&out, spans[i].content, arena, &err) != IG_OK)
            IG_ASSERT(err.code == IG_NO_MEMORY);
        ig_buf_deinit(&buf);
        ig_err_clear(&err);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct ig_str bytes = {(const char *)data, size};
    struct ig_err err = IG_ERR_INIT;
    struct ig_arena arena;
    struct ig_buf proto;
    ig_arena_init(&arena, 4096, 8 << 20);
    ig_buf_init(&proto, 8 << 20);
    check(bytes, &arena);
    if (ig_otlp_json_to_proto(&proto, bytes, &arena, &err) == IG_OK)
        check(ig_buf_view(&proto), &arena);
    ig_buf_deinit(&proto);
    ig_arena_deinit(&arena);
    return 0;
}
