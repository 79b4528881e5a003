/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs of `ingot edge` do with networks that trees need not. */
#include "cmd_edge.h"

#include "kernels/nn/nn_fixed.h"

#include <math.h>
#include <stdio.h>

/* ---- what it takes ---- */

static void print_end(const char *name, const struct ige_tensor *tensor)
{
    printf("%-15s%u of ", name, tensor->count);
    if (tensor->type == IGE_INT8)
        printf("int8, scale %.9g, zero point %d\n", (double)tensor->scale, tensor->zero_point);
    else
        printf("float32\n");
}

void ig_cmd_edge_print_network(const struct ig_edge_device *device)
{
    const struct ige_interpreter *interpreter = &device->interpreter;
    const struct ige_model *model = &device->model;
    struct ig_edge_network_facts facts = ig_edge_device_network(device);
    for (uint32_t i = 0; i < ige_inputs_count(model); i++) {
        struct ige_tensor end = ige_input_at(interpreter, i);
        print_end("input", &end);
    }
    if (facts.encoded)
        printf("encoder        %u columns to %u inputs, %u bytes\n",
               ige_input_at(interpreter, 0).count, facts.encoded, facts.encoder_bytes);
    for (uint32_t i = 0; i < ige_outputs_count(model); i++) {
        struct ige_tensor end = ige_output_at(interpreter, i);
        print_end("output", &end);
    }
    printf("rounding       %s\nfile           %zu bytes\n", facts.rounding, device->file.len);
    printf("  constants    %u\n  layers       %u, of %u bytes\n", model->network.constants_bytes,
           model->network.layers_count, model->network.layers_bytes);
    printf("RAM            %zu bytes of arena\nproducts       %llu\noperators      IGE_OPS=0x%lx\n",
           ige_arena_bytes(model), (unsigned long long)facts.products, facts.mask);
    for (uint32_t op = 0; op < IGE_OPS_COUNT; op++)
        if (facts.counts[op]) printf("  %-24s %u\n", ig_edge_device_op_name(op), facts.counts[op]);
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
