/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an encoder: what is taken encodes any row to finite inputs, and is written and read
 * as the same. */
#include "kernels/train/encoder.h"

#include "base/mem.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const double VALUES[] = {0, -1, 1e300, 3.5, -1e300, 2};
    struct ig_arena arena;
    struct ig_encoder encoder, again;
    struct ig_err err = IG_ERR_INIT;
    struct ig_json_out out;
    struct ig_buf first, second;
    ig_arena_init(&arena, 4096, 64 << 20);
    ig_buf_init(&first, 16 << 20);
    ig_buf_init(&second, 16 << 20);
    if (ig_encoder_read(&encoder, &arena, (struct ig_str){(const char *)data, size}, &err)) {
        IG_ASSERT(err.message[0]);
    } else {
        double *row = ig_zalloc_array(encoder.features_count, sizeof *row);
        float *inputs = ig_zalloc_array(encoder.inputs_count, sizeof *inputs);
        for (uint32_t i = 0; row && i < encoder.features_count; i++)
            row[i] = i % 7 == 6 ? NAN : VALUES[i % 7];
        if (row && inputs) ig_encoder_run(&encoder, row, 1, inputs);
        for (uint32_t i = 0; inputs && i < encoder.inputs_count; i++)
            IG_ASSERT(isfinite(inputs[i]));
        ig_free(inputs);
        ig_free(row);
        ig_json_out_init(&out, &first);
        ig_encoder_write(&out, &encoder);
        IG_ASSERT(ig_encoder_read(&again, &arena, ig_buf_view(&first), &err) == IG_OK);
        ig_json_out_init(&out, &second);
        ig_encoder_write(&out, &again);
        IG_ASSERT(ig_str_eq(ig_buf_view(&first), ig_buf_view(&second)));
    }
    ig_buf_deinit(&first);
    ig_buf_deinit(&second);
    ig_arena_deinit(&arena);
    return 0;
}
