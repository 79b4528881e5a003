/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs of `ingot edge` do with networks that trees need not. */
#include "cmd_edge.h"
#include "ingot_edge_file.h"

#include "base/json.h"
#include "base/mem.h"
#include "formats/edge/edge.h"
#include "kernels/nn/nn_fixed.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const size_t MEMORY_MAX = (size_t)8 << 30;

/* ---- packing ---- */

static enum ig_code pack_network(struct ig_cmd_edge_compact *compact, const struct ig_cli *cli,
                                 const struct ig_network *network, struct ig_err *err)
{
    const char *rounding = ig_cli_text(cli, "rounding");
    if (strcmp(rounding, "model") != 0) {
        compact->copy = ig_network_dup(network, MEMORY_MAX);
        if (!compact->copy) return ig_fail(err, IG_NO_MEMORY, "no memory for the network");
        compact->copy->rounding = strcmp(rounding, "double") == 0 ? IG_NETWORK_ROUNDING_DOUBLE
                                                                  : IG_NETWORK_ROUNDING_SINGLE;
        network = compact->copy;
    }
    return ig_network_compact_new(&compact->network, network, err);
}

enum ig_code ig_cmd_edge_compact(struct ig_cmd_edge_compact *compact, const struct ig_cli *cli,
                                 const struct ig_model *model, struct ig_err *err)
{
    *compact = (struct ig_cmd_edge_compact){0};
    if (model->kind == IG_MODEL_NETWORK) return pack_network(compact, cli, model->network, err);
    return ig_tree_compact_new(&compact->trees, model, ig_cmd_edge_want(cli), err);
}

void ig_cmd_edge_compact_free(struct ig_cmd_edge_compact *compact)
{
    ig_tree_compact_free(compact->trees);
    ig_network_compact_free(compact->network);
    ig_network_free(compact->copy);
}

enum ig_code ig_cmd_edge_write(struct ig_buf *out, const struct ig_cmd_edge_compact *compact,
                               struct ig_err *err)
{
    return compact->network ? ig_edge_write_network(out, compact->network, err)
                            : ig_edge_write(out, compact->trees, err);
}

/* ---- what it takes ---- */

struct facts {
    uint32_t counts[IGE_OPS_COUNT]; /* of each operator */
    uint64_t products;
    unsigned long mask;
};

static uint64_t products_of(const struct ige_network *network, const struct ige_layer *layer)
{
    const uint8_t *out = ige_tensor_at(network, ige_u16(layer->tensors));
    const uint8_t *in = ige_tensor_at(network, ige_u16(layer->tensors + 2));
    uint64_t count = ige_count(out);
    if (layer->op == IGE_OP_FULLY_CONNECTED) return (uint64_t)ige_count(in) * ige_last_dim(out);
    if (layer->op > IGE_OP_DEPTHWISE_CONV_2D) return 0;
    count *= (uint64_t)ige_u16(layer->numbers + 8) * ige_u16(layer->numbers + 10);
    return layer->op == IGE_OP_CONV_2D ? count * ige_dim(in, 3) : count;
}

static struct facts measure(const struct ige_network *network)
{
    struct facts facts = {0};
    const uint8_t *at = network->layers, *end = at + network->layers_bytes;
    while (at < end) {
        struct ige_layer layer = ige_layer_at(at, (size_t)(end - at));
        facts.counts[layer.op]++;
        facts.mask |= 1UL << layer.op;
        facts.products += products_of(network, &layer);
        at = layer.next;
    }
    return facts;
}

static const char *rounding_name(const struct ige_network *network)
{
    return network->flags & IGE_DOUBLE_ROUNDING ? "double" : "single";
}

static const char *op_name(uint32_t code)
{
    enum ig_network_op op = IG_NETWORK_CONV_2D;
    return ig_edge_op_of(&op, (uint8_t)code) ? ig_network_op_name(op) : "";
}

static void print_end(const char *name, const struct ige_tensor *tensor)
{
    printf("%-15s%u of ", name, tensor->count);
    if (tensor->type == IGE_INT8)
        printf("int8, scale %.9g, zero point %d\n", (double)tensor->scale, tensor->zero_point);
    else
        printf("float32\n");
}

void ig_cmd_edge_network_text(const struct ige_interpreter *interpreter, size_t file_bytes)
{
    const struct ige_model *model = interpreter->model;
    struct facts facts = measure(&model->network);
    for (uint32_t i = 0; i < ige_inputs_count(model); i++) {
        struct ige_tensor end = ige_input_at(interpreter, i);
        print_end("input", &end);
    }
    for (uint32_t i = 0; i < ige_outputs_count(model); i++) {
        struct ige_tensor end = ige_output_at(interpreter, i);
        print_end("output", &end);
    }
    printf("rounding       %s\nfile           %zu bytes\n", rounding_name(&model->network),
           file_bytes);
    printf("  constants    %u\n  layers       %u, of %u bytes\n", model->network.constants_bytes,
           model->network.layers_count, model->network.layers_bytes);
    printf("RAM            %zu bytes of arena\nproducts       %llu\noperators      IGE_OPS=0x%lx\n",
           ige_arena_bytes(model), (unsigned long long)facts.products, facts.mask);
    for (uint32_t op = 0; op < IGE_OPS_COUNT; op++)
        if (facts.counts[op]) printf("  %-24s %u\n", op_name(op), facts.counts[op]);
}

static void end_json(struct ig_json_out *out, const struct ige_tensor *tensor)
{
    ig_json_out_object(out);
    ig_json_out_kv_i64(out, "count", tensor->count);
    ig_json_out_kv_str(out, "type", ig_str_view(tensor->type == IGE_INT8 ? "int8" : "float32"));
    if (tensor->type == IGE_INT8) {
        ig_json_out_kv_f64(out, "scale", (double)tensor->scale);
        ig_json_out_kv_i64(out, "zero_point", tensor->zero_point);
    }
    ig_json_out_object_end(out);
}

static void ends_json(struct ig_json_out *out, const struct ige_interpreter *interpreter)
{
    ig_json_out_key(out, IG_STR("inputs"));
    ig_json_out_array(out);
    for (uint32_t i = 0; i < ige_inputs_count(interpreter->model); i++) {
        struct ige_tensor end = ige_input_at(interpreter, i);
        end_json(out, &end);
    }
    ig_json_out_array_end(out);
    ig_json_out_key(out, IG_STR("outputs"));
    ig_json_out_array(out);
    for (uint32_t i = 0; i < ige_outputs_count(interpreter->model); i++) {
        struct ige_tensor end = ige_output_at(interpreter, i);
        end_json(out, &end);
    }
    ig_json_out_array_end(out);
}

void ig_cmd_edge_network_json(struct ig_json_out *out, const struct ige_interpreter *interpreter,
                              size_t file_bytes)
{
    const struct ige_network *network = &interpreter->model->network;
    struct facts facts = measure(network);
    ends_json(out, interpreter);
    ig_json_out_kv_str(out, "rounding", ig_str_view(rounding_name(network)));
    ig_json_out_kv_i64(out, "file_bytes", (int64_t)file_bytes);
    ig_json_out_kv_i64(out, "constant_bytes", network->constants_bytes);
    ig_json_out_kv_i64(out, "layer_bytes", network->layers_bytes);
    ig_json_out_kv_i64(out, "arena_bytes", (int64_t)ige_arena_bytes(interpreter->model));
    ig_json_out_kv_i64(out, "products", (int64_t)facts.products);
    ig_json_out_kv_i64(out, "operators_mask", (int64_t)facts.mask);
    ig_json_out_key(out, IG_STR("operators"));
    ig_json_out_object(out);
    for (uint32_t op = 0; op < IGE_OPS_COUNT; op++)
        if (facts.counts[op]) ig_json_out_kv_i64(out, op_name(op), facts.counts[op]);
    ig_json_out_object_end(out);
}

/* ---- rows ---- */

uint32_t ig_cmd_edge_values(const struct ige_interpreter *interpreter)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < ige_outputs_count(interpreter->model); i++)
        sum += ige_output_at(interpreter, i).count;
    return sum;
}

void ig_cmd_edge_set_row(struct ige_interpreter *interpreter, const double *row)
{
    for (uint32_t i = 0; i < ige_inputs_count(interpreter->model); i++) {
        struct ige_tensor input = ige_input_at(interpreter, i);
        for (uint32_t k = 0; k < input.count; k++, row++)
            if (input.type == IGE_INT8)
                input.data.i8[k] = nn_quantize((float)*row, input.scale, input.zero_point);
            else
                input.data.f32[k] = (float)*row;
    }
}

double ig_cmd_edge_value(const struct ige_interpreter *interpreter, uint32_t index)
{
    struct ige_tensor tensor = ige_output_at(interpreter, 0);
    for (uint32_t i = 0; index >= tensor.count;) {
        index -= tensor.count;
        tensor = ige_output_at(interpreter, ++i);
    }
    if (tensor.type == IGE_INT32) return ldexp(tensor.data.i32[index], tensor.exponent);
    if (tensor.type == IGE_FLOAT64) return tensor.data.f64[index];
    if (tensor.type == IGE_FLOAT32) return (double)tensor.data.f32[index];
    return (double)(tensor.scale * (float)(tensor.data.i8[index] - tensor.zero_point));
}
