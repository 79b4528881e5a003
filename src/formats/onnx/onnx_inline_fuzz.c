/* SPDX-License-Identifier: Apache-2.0 */
/* Reads any bytes as a model with files beside it, which are its own bytes; what comes out asks for
 * no file again. */
#include "base/err.h"
#include "formats/onnx/onnx_inline.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum ig_code read_itself(struct ig_str *out, void *context, struct ig_str location,
                                struct ig_err *err)
{
    const struct ig_str *bytes = context;
    (void)err;
    *out = (struct ig_str){bytes->ptr, location.len < bytes->len ? location.len : bytes->len};
    return IG_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_str bytes = {(const char *)data, size};
    struct ig_buf out, again;
    ig_buf_init(&out, 4 << 20);
    ig_buf_init(&again, 4 << 20);
    enum ig_code code = ig_onnx_inline(&out, bytes, read_itself, &bytes, &err);
    IG_ASSERT(code == err.code && (code == IG_OK || out.len == 0));
    if (out.len) {
        code = ig_onnx_inline(&again, ig_buf_view(&out), read_itself, &bytes, &err);
        IG_ASSERT(code == IG_OK && again.len == 0);
    }
    ig_buf_deinit(&out);
    ig_buf_deinit(&again);
    return 0;
}
