/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a ModelInferRequest. */
#include "api/oip_proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_arena arena;
    struct ig_oip_request request;
    struct ig_oip_names names;
    struct ig_region region;
    struct ig_oip_settings settings;
    struct ig_err err = IG_ERR_INIT;
    const struct ig_str message = {(const char *)data, size};
    ig_arena_init(&arena, 4096, 8 << 20);
    if (ig_oip_proto_infer(&request, &names, message, &arena, &err) == IG_OK) {
        IG_ASSERT(request.inputs_count > 0);
        for (size_t i = 0; i < request.inputs_count; i++)
            IG_ASSERT(request.inputs[i].numbers || request.inputs[i].texts ||
                      request.inputs[i].memory.region.ptr);
    } else {
        IG_ASSERT(err.message[0]);
    }
    err = IG_ERR_INIT;
    ig_oip_proto_names(&names, message, &err);
    ig_oip_proto_model(message);
    ig_oip_proto_region(&region, message, &err);
    err = IG_ERR_INIT;
    if (ig_oip_proto_settings(&settings, message, &arena, &err) == IG_OK)
        for (size_t i = 0; i < settings.count; i++)
            IG_ASSERT(settings.items[i].count <= IG_OIP_SETTING_VALUES_MAX);
    ig_arena_deinit(&arena);
    return 0;
}
