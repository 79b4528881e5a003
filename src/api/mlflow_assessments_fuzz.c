/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an assessment: what is taken can be written, and is JSON then. */
#include "api/mlflow_assessments.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_assessment assessment;
    struct ig_json_out out;
    struct ig_arena arena;
    struct ig_json json;
    struct ig_buf buf;
    ig_arena_init(&arena, 4096, 8 << 20);
    ig_buf_init(&buf, 32 << 20);
    ig_json_init(&json, (struct ig_str){(const char *)data, size}, &arena, &err);
    if (ig_mlflow_assessment_read(&assessment, &json, NULL) == IG_OK) {
        ig_json_out_init(&out, &buf);
        ig_mlflow_assessment_write(&out, &assessment);
        ig_json_init(&json, ig_buf_view(&buf), &arena, &err);
        bool whole = ig_json_skip(&json) && ig_json_next(&json) == IG_JSON_END;
        IG_ASSERT(whole || arena.overflowed);
    }
    ig_buf_deinit(&buf);
    ig_arena_deinit(&arena);
    return 0;
}
