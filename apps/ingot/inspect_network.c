/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot inspect` of neural networks. Memory for a run is what a plan made here says. */
#include "inspect_network.h"

#include <stdio.h>

struct facts {
    uint64_t parameters, constant_bytes, products;
    size_t arena_bytes;
    bool planned, int8;
};

static struct facts gather(const struct ig_network *network)
{
    struct facts facts = {0};
    struct ig_err err = IG_ERR_INIT;
    struct ig_nn *nn;
    const struct ig_nn_options options = {.isa = IG_ISA_SCALAR};
    for (uint32_t i = 0; i < network->tensors_count; i++) {
        const struct ig_network_tensor *tensor = &network->tensors[i];
        if (!tensor->data) facts.int8 = facts.int8 || tensor->type == IG_NETWORK_I8;
        if (!tensor->data) continue;
        facts.parameters += ig_network_tensor_count(tensor);
        facts.constant_bytes += ig_network_tensor_bytes(tensor);
    }
    if (ig_nn_new(&nn, network, &options, &err) != IG_OK) return facts;
    facts.planned = true;
    facts.products = ig_nn_products(nn);
    facts.arena_bytes = ig_nn_arena_bytes(nn);
    ig_nn_free(nn);
    return facts;
}

static const char *rounding_name(const struct ig_network *network)
{
    return network->rounding == IG_NETWORK_ROUNDING_SINGLE ? "single" : "double";
}

static void print_end(const char *title, const struct ig_network_tensor *tensor)
{
    const struct ig_network_quantization *q = &tensor->quantization;
    printf("%-14s %.*s: %s [", title, IG_STR_ARGS(tensor->name),
           ig_network_type_name(tensor->type));
    for (uint32_t d = 0; d < tensor->rank; d++) printf("%s%u", d ? ", " : "", tensor->dims[d]);
    putchar(']');
    if (q->count) printf(", scale %.9g, zero point %d", (double)q->scales[0], q->zero_points[0]);
    putchar('\n');
}

void ig_inspect_network_print(const struct ig_network *network)
{
    struct facts facts = gather(network);
    printf("network        %u layers, %llu parameters in %llu bytes, %s\n", network->layers_count,
           (unsigned long long)facts.parameters, (unsigned long long)facts.constant_bytes,
           facts.int8 ? "int8" : "float32");
    if (facts.int8) printf("rounding       %s\n", rounding_name(network));
    if (facts.planned)
        printf("a row          %llu products, %zu bytes of activations\n",
               (unsigned long long)facts.products, facts.arena_bytes);
    for (uint32_t i = 0; i < network->inputs_count; i++)
        print_end("input", &network->tensors[network->inputs[i]]);
    for (uint32_t i = 0; i < network->outputs_count; i++)
        print_end("output", &network->tensors[network->outputs[i]]);
}

static void write_ends(struct ig_json_out *out, const struct ig_network *network, const char *key,
                       const uint32_t *tensors, uint32_t count)
{
    ig_json_out_key(out, ig_str_view(key));
    ig_json_out_array(out);
    for (uint32_t i = 0; i < count; i++) {
        const struct ig_network_tensor *tensor = &network->tensors[tensors[i]];
        const struct ig_network_quantization *q = &tensor->quantization;
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "name",
                           ig_str_utf8_valid(tensor->name) ? tensor->name : IG_STR(""));
        ig_json_out_kv_str(out, "type", ig_str_view(ig_network_type_name(tensor->type)));
        ig_json_out_key(out, IG_STR("shape"));
        ig_json_out_array(out);
        for (uint32_t d = 0; d < tensor->rank; d++) ig_json_out_i64(out, tensor->dims[d]);
        ig_json_out_array_end(out);
        if (q->count) {
            ig_json_out_key(out, IG_STR("scale"));
            ig_json_out_f64(out, (double)q->scales[0]);
            ig_json_out_kv_i64(out, "zero_point", q->zero_points[0]);
        }
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
}

void ig_inspect_network_write(struct ig_json_out *out, const struct ig_network *network)
{
    struct facts facts = gather(network);
    ig_json_out_key(out, IG_STR("network"));
    ig_json_out_object(out);
    ig_json_out_kv_i64(out, "layers", network->layers_count);
    ig_json_out_kv_i64(out, "parameters", (int64_t)facts.parameters);
    ig_json_out_kv_i64(out, "constant_bytes", (int64_t)facts.constant_bytes);
    ig_json_out_kv_bool(out, "int8", facts.int8);
    if (facts.int8) ig_json_out_kv_str(out, "rounding", ig_str_view(rounding_name(network)));
    if (facts.planned) {
        ig_json_out_kv_i64(out, "products", (int64_t)facts.products);
        ig_json_out_kv_i64(out, "activation_bytes", (int64_t)facts.arena_bytes);
    }
    write_ends(out, network, "inputs", network->inputs, network->inputs_count);
    write_ends(out, network, "outputs", network->outputs, network->outputs_count);
    ig_json_out_object_end(out);
}
