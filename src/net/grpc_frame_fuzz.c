/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as frames, as a compressed message, as a timeout and as a text: caps hold, and what is
 * built from what was parsed is parsed to the same. */
#include "net/grpc_frame.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MESSAGE_MAX_BYTES = 4096 };

static void check_frames(struct ig_str rest)
{
    struct ig_grpc_frame frame, again;
    struct ig_buf built;
    ig_buf_init(&built, 1 << 20);
    for (;;) {
        enum ig_grpc_frame_result got = ig_grpc_frame_parse(&frame, rest, MESSAGE_MAX_BYTES);
        if (got != IG_GRPC_FRAME_WHOLE) break;
        if (frame.message.len > MESSAGE_MAX_BYTES || frame.whole_bytes > rest.len) abort();
        ig_buf_reset(&built);
        size_t at = ig_grpc_frame_open(&built);
        ig_buf_add_str(&built, frame.message);
        if (!ig_grpc_frame_close(&built, at)) abort();
        if (ig_grpc_frame_parse(&again, ig_buf_view(&built), MESSAGE_MAX_BYTES) !=
            IG_GRPC_FRAME_WHOLE)
            abort();
        if (again.compressed || !ig_str_eq(again.message, frame.message)) abort();
        rest = (struct ig_str){rest.ptr + frame.whole_bytes, rest.len - frame.whole_bytes};
    }
    ig_buf_deinit(&built);
}

static void check_inflate(struct ig_str bytes)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf out;
    ig_buf_init(&out, 1 << 20);
    ig_buf_add_cstr(&out, "kept");
    enum ig_code code = ig_grpc_inflate(&out, bytes, MESSAGE_MAX_BYTES, &err);
    if (out.len < 4 || memcmp(out.ptr, "kept", 4) != 0) abort();
    if (code && out.len != 4) abort();
    if (out.len - 4 > MESSAGE_MAX_BYTES) abort();
    ig_buf_deinit(&out);
}

static void check_text(struct ig_str text)
{
    struct ig_buf out;
    size_t at = 0;
    ig_buf_init(&out, 1 << 20);
    ig_grpc_message_encode(&out, text, 300);
    if (out.len > 300) abort();
    for (size_t i = 0; i < out.len; i++, at++) {
        int c = (unsigned char)out.ptr[i];
        if (c < 0x20 || c > 0x7e) abort();
        if (c == '%') {
            char hex[3] = {0};
            if (out.len - i < 3) abort();
            memcpy(hex, out.ptr + i + 1, 2);
            c = (int)strtol(hex, NULL, 16);
            i += 2;
        }
        if (c != (unsigned char)text.ptr[at]) abort();
    }
    ig_buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_str text = {(const char *)data, size};
    uint64_t ns = 0;
    (void)ig_grpc_timeout_parse(&ns, text);
    (void)ig_grpc_encoding_of(text);
    check_frames(text);
    check_inflate(text);
    check_text(text);
    return 0;
}
