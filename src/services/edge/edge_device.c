/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a compact file, by the device runtime's view of it. */
#include "services/edge/edge_device.h"

#include "formats/edge/edge.h"

#include <math.h>
#include <string.h>

enum { FILE_MAX = INT32_MAX };

void ig_edge_device_init(struct ig_edge_device *device)
{
    *device = (struct ig_edge_device){.bound = (double)NAN};
    ig_buf_init(&device->file, FILE_MAX);
    ig_arena_init(&device->memory, 4096, FILE_MAX);
}

void ig_edge_device_deinit(struct ig_edge_device *device)
{
    ig_buf_deinit(&device->file);
    ig_arena_deinit(&device->memory);
}

static enum ig_code keep_order(struct ig_edge_device *device, const struct ig_edge_pack *pack,
                               uint32_t count, struct ig_err *err)
{
    if (!pack->source.features) return IG_OK;
    device->features = ig_arena_array(&device->memory, count, sizeof *device->features);
    if (!device->features) return ig_fail(err, IG_NO_MEMORY, "no memory for %u features", count);
    memcpy(device->features, pack->source.features, count * sizeof *device->features);
    return IG_OK;
}

enum ig_code ig_edge_device_pack(struct ig_edge_device *device, const struct ig_package *package,
                                 const struct ig_edge_choice *choice, struct ig_err *err)
{
    const struct ig_model *model = package->model;
    struct ig_edge_pack pack;
    if (ig_edge_pack_init(&pack, package, choice, err) == IG_OK &&
        keep_order(device, &pack, model->features_count, err) == IG_OK) {
        device->bound = 0;
        for (uint32_t o = 0; pack.trees && o < model->outputs_count; o++)
            device->bound = fmax(device->bound, pack.trees->error_bounds[o]);
        ig_edge_pack_write(&device->file, &pack, err);
    }
    ig_edge_pack_deinit(&pack);
    return err->code;
}

enum ig_code ig_edge_device_start(struct ig_edge_device *device, struct ig_err *err)
{
    static const char *const WORDS[] = {"", "it is broken", "its bytes have changed",
                                        "it asks for what the runtime does not do", ""};
    enum ige_status status = ige_load(&device->model, device->file.ptr, device->file.len);
    if (status != IGE_OK)
        return ig_fail(err, IG_CORRUPT, "the device runtime refuses the file: %s", WORDS[status]);
    size_t bytes = ige_arena_bytes(&device->model);
    void *arena = ig_arena_alloc_aligned(&device->memory, bytes, 8);
    if (!arena) return ig_fail(err, IG_NO_MEMORY, "no memory for an arena of %zu", bytes);
    ige_allocate_tensors(&device->interpreter, &device->model, arena, bytes);
    return IG_OK;
}

bool ig_edge_device_is_network(const struct ig_edge_device *device)
{
    return device->model.network.tensors != NULL;
}

/* ---- trees ---- */

struct ig_edge_tree_facts ig_edge_device_trees(const struct ig_edge_device *device)
{
    static const char *const LEAVES[] = {"float32", "float64", "int16", "int8"};
    const struct ige_model *model = &device->model;
    struct ig_edge_tree_facts facts = {.leaf = LEAVES[model->leaf]};
    const uint8_t *end = model->sets ? model->set_starts : model->tree_bytes;
    uint32_t splits = (model->nodes_bytes - model->trees * model->leaf_bytes) /
                      (model->node_bytes + model->leaf_bytes);
    facts.nodes = 2 * (uint64_t)splits + model->trees;
    facts.splits = splits * model->node_bytes;
    facts.leaves = (splits + model->trees) * model->leaf_bytes +
                   model->table_rows * model->value_bytes * model->leaf_values;
    facts.thresholds = (uint32_t)(end - model->keys);
    if (model->sets) facts.sets = (uint32_t)(model->tree_bytes - model->set_starts);
    facts.rest =
        (uint32_t)device->file.len - facts.splits - facts.leaves - facts.thresholds - facts.sets;
    return facts;
}

static void write_trees(struct ig_json_out *out, const struct ig_edge_device *device)
{
    const struct ige_model *model = &device->model;
    struct ig_edge_tree_facts facts = ig_edge_device_trees(device);
    ig_json_out_kv_i64(out, "features", model->features);
    ig_json_out_kv_i64(out, "outputs", model->outputs);
    ig_json_out_kv_i64(out, "trees", model->trees);
    ig_json_out_kv_i64(out, "nodes", (int64_t)facts.nodes);
    ig_json_out_kv_str(out, "leaves", ig_str_view(facts.leaf));
    ig_json_out_kv_i64(out, "scale_exponent", ige_output(&device->interpreter)->exponent);
    ig_json_out_kv_i64(out, "file_bytes", (int64_t)device->file.len);
    ig_json_out_kv_i64(out, "split_bytes", facts.splits);
    ig_json_out_kv_i64(out, "leaf_bytes", facts.leaves);
    ig_json_out_kv_i64(out, "threshold_bytes", facts.thresholds);
    ig_json_out_kv_i64(out, "category_bytes", facts.sets);
    ig_json_out_kv_i64(out, "other_bytes", facts.rest);
    ig_json_out_kv_i64(out, "arena_bytes", (int64_t)ige_arena_bytes(model));
    if (!isnan(device->bound)) {
        ig_json_out_key(out, IG_STR("margin_error_bound"));
        ig_json_out_f64(out, device->bound);
    }
}

/* ---- networks ---- */

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

static void measure_encoder(struct ig_edge_network_facts *facts,
                            const struct ig_edge_device *device)
{
    enum { ENCODER_FACTS_BYTES = 20 };
    const struct ige_network *network = &device->model.network;
    const uint8_t *end = network->encoder;
    for (uint32_t f = 0; f < network->features; f++) end = ige_encoded_at(end).next;
    facts->encoded = ige_network_end(&device->interpreter, 0).count;
    facts->encoder_bytes = ENCODER_FACTS_BYTES + (uint32_t)(end - network->encoder) +
                           (network->gains ? 4 * facts->encoded : 0);
}

struct ig_edge_network_facts ig_edge_device_network(const struct ig_edge_device *device)
{
    const struct ige_network *network = &device->model.network;
    struct ig_edge_network_facts facts = {
        .rounding = network->flags & IGE_DOUBLE_ROUNDING ? "double" : "single"};
    const uint8_t *at = network->layers, *end = at + network->layers_bytes;
    while (at < end) {
        struct ige_layer layer = ige_layer_at(at, (size_t)(end - at));
        facts.counts[layer.op]++;
        facts.mask |= 1UL << layer.op;
        facts.products += products_of(network, &layer);
        at = layer.next;
    }
    if (network->encoder) measure_encoder(&facts, device);
    return facts;
}

const char *ig_edge_device_op_name(uint32_t code)
{
    enum ig_network_op op = IG_NETWORK_CONV_2D;
    return ig_edge_op_of(&op, (uint8_t)code) ? ig_network_op_name(op) : "";
}

static void write_end(struct ig_json_out *out, const struct ige_tensor *tensor)
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

static void write_ends(struct ig_json_out *out, const struct ige_interpreter *interpreter)
{
    ig_json_out_key(out, IG_STR("inputs"));
    ig_json_out_array(out);
    for (uint32_t i = 0; i < ige_inputs_count(interpreter->model); i++) {
        struct ige_tensor end = ige_input_at(interpreter, i);
        write_end(out, &end);
    }
    ig_json_out_array_end(out);
    ig_json_out_key(out, IG_STR("outputs"));
    ig_json_out_array(out);
    for (uint32_t i = 0; i < ige_outputs_count(interpreter->model); i++) {
        struct ige_tensor end = ige_output_at(interpreter, i);
        write_end(out, &end);
    }
    ig_json_out_array_end(out);
}

static void write_network(struct ig_json_out *out, const struct ig_edge_device *device)
{
    const struct ige_network *network = &device->model.network;
    struct ig_edge_network_facts facts = ig_edge_device_network(device);
    write_ends(out, &device->interpreter);
    if (facts.encoded) ig_json_out_kv_i64(out, "encoded_inputs", facts.encoded);
    if (facts.encoded) ig_json_out_kv_i64(out, "encoder_bytes", facts.encoder_bytes);
    ig_json_out_kv_str(out, "rounding", ig_str_view(facts.rounding));
    ig_json_out_kv_i64(out, "file_bytes", (int64_t)device->file.len);
    ig_json_out_kv_i64(out, "constant_bytes", network->constants_bytes);
    ig_json_out_kv_i64(out, "layer_bytes", network->layers_bytes);
    ig_json_out_kv_i64(out, "arena_bytes", (int64_t)ige_arena_bytes(&device->model));
    ig_json_out_kv_i64(out, "products", (int64_t)facts.products);
    ig_json_out_kv_i64(out, "operators_mask", (int64_t)facts.mask);
    ig_json_out_key(out, IG_STR("operators"));
    ig_json_out_object(out);
    for (uint32_t op = 0; op < IGE_OPS_COUNT; op++)
        if (facts.counts[op]) ig_json_out_kv_i64(out, ig_edge_device_op_name(op), facts.counts[op]);
    ig_json_out_object_end(out);
}

void ig_edge_device_write(struct ig_json_out *out, const struct ig_edge_device *device)
{
    if (ig_edge_device_is_network(device))
        write_network(out, device);
    else
        write_trees(out, device);
}
