/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters of small networks as a client may write them: a JSON object. What is accepted has
 * layers that a network can be made of, or says why not. */
#include "services/job/edge_plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_job_params params;
    struct ig_edge_network network;
    struct ig_arena arena;
    struct ig_json json;
    ig_arena_init(&arena, 4096, 1 << 20);
    ig_params_defaults(&params, IG_JOB_EDGE);
    ig_json_init(&json, (struct ig_str){(const char *)data, size}, &arena, &err);
    if (ig_params_read(&params, &json) == IG_OK &&
        ig_edge_plan_check(&params.edge, &err) == IG_OK) {
        IG_ASSERT(ig_edge_plan_network(&network, &params.edge, IG_FIT_SOFTMAX, 3, &err) == IG_OK);
        IG_ASSERT(network.count >= 2 && network.count <= IG_LAYERS_MAX);
        for (uint32_t i = 0; i < network.count; i++) {
            const struct ig_layer *layer = &network.items[i];
            IG_ASSERT(layer->kind != IG_LAYER_DENSE ||
                      (layer->units > 0 && layer->units <= IG_LAYERS_UNITS_MAX));
            IG_ASSERT(layer->kind != IG_LAYER_CONV || (network.height && layer->filter > 0));
        }
    } else {
        IG_ASSERT(err.message[0]);
    }
    ig_arena_deinit(&arena);
    return 0;
}
