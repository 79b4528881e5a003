/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of the Open Inference Protocol: two bytes say how much is JSON, the rest is the body. */
#include "api/oip.h"
#include "api/oip_settings.h"

#include <string.h>

/* What lies in shared memory is the rest of the input. */
static bool take_memory(struct ig_oip_request *request, struct ig_str bytes, struct ig_arena *arena)
{
    struct ig_err err = IG_ERR_INIT;
    for (size_t i = 0; i < request->inputs_count; i++) {
        struct ig_oip_tensor *tensor = &request->inputs[i];
        if (!tensor->memory.region.ptr) continue;
        if (bytes.len > tensor->memory.size_bytes) bytes.len = tensor->memory.size_bytes;
        if (ig_oip_tensor_take(tensor, bytes, arena, &err) != IG_OK) return false;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ig_str colours[] = {{"blue", 4}, {"red", 3}};
    static struct ig_feature features[] = {
        {.name = {"age", 3}, .type = IG_FEATURE_NUMERIC},
        {.name = {"colour", 6},
         .type = IG_FEATURE_CATEGORICAL,
         .categories = colours,
         .categories_count = 2},
    };
    static struct ig_schema schema = {.features = features, .features_count = 2};
    struct ig_arena arena;
    struct ig_oip_request request;
    struct ig_err err = IG_ERR_INIT;
    uint16_t json_bytes;
    struct ig_oip_rows rows;
    struct ig_oip_settings settings;
    if (!schema.feature_by_name.slots) ig_schema_index(&schema, &err);
    if (size < 2) return 0;
    memcpy(&json_bytes, data, 2);
    ig_arena_init(&arena, 4096, 8 << 20);
    const struct ig_str body = {(const char *)data + 2, size - 2};
    if (ig_oip_request_read(&request, body, json_bytes == 0xffff ? IG_OIP_ALL_JSON : json_bytes,
                            &arena, &err) == IG_OK &&
        take_memory(&request, body, &arena) &&
        ig_oip_rows(&rows, &request, &schema, 100, &arena, &err) == IG_OK)
        IG_ASSERT(rows.rows_count > 0 && rows.rows_count <= 100);
    IG_ASSERT(err.code == IG_OK || err.message[0]);
    err = IG_ERR_INIT;
    if (ig_oip_settings_read(&settings, body, &arena, &err) == IG_OK)
        IG_ASSERT(settings.count <= IG_OIP_SETTINGS_MAX);
    else
        IG_ASSERT(err.message[0]);
    ig_arena_deinit(&arena);
    return 0;
}
