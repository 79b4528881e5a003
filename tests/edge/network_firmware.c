/* SPDX-License-Identifier: Apache-2.0 */
/* Runs each network on its rows and compares its outputs with those it was given; then with what
 * the exported C file gives, and says how long both took in ticks of the clock. Memory is painted
 * before, so that what was touched behind the arena shows. */
#include "network_firmware.h"

#include "ingot_edge.h"

enum { PAINT = 0xa5, MARGIN = 64 };

static struct ige_model model;
static struct ige_interpreter interpreter;

static void put_value(const char *name, uint32_t value)
{
    char text[10];
    for (int i = 0; i < 8; i++) text[i] = "0123456789abcdef"[value >> (28 - 4 * i) & 15];
    text[8] = ' ';
    text[9] = 0;
    platform_put(name);
    platform_put(text);
}

static uint32_t row_bytes(void)
{
    const struct ige_tensor *input = ige_input(&interpreter);
    return input->count * (input->type == IGE_FLOAT32 ? 4 : 1);
}

static const int8_t *row_of(const struct firmware_network *network, uint32_t row)
{
    return (const int8_t *)network->inputs + row * row_bytes();
}

static void set_row(const struct firmware_network *network, uint32_t row)
{
    const int8_t *bytes = row_of(network, row);
    for (uint32_t i = 0; i < row_bytes(); i++) ige_input(&interpreter)->data.i8[i] = bytes[i];
}

static uint32_t differences(const struct firmware_network *network, uint32_t row,
                            const int8_t *computed)
{
    uint32_t count = ige_output(&interpreter)->count, wrong = 0;
    for (uint32_t i = 0; i < count; i++) wrong += computed[i] != network->outputs[row * count + i];
    return wrong;
}

static uint32_t ticks(uint32_t start)
{
    return (start - platform_ticks()) & 0xffffffU;
}

static void run_network(const struct firmware_network *network)
{
    uint32_t wrong = 0, wrong_c = 0, time = 0, time_c = 0, spilt = 0;
    uint32_t bytes = (uint32_t)ige_arena_bytes(&model);
    for (uint32_t i = bytes; i < bytes + MARGIN; i++) firmware_arena[i] = PAINT;
    for (uint32_t row = 0; row < network->rows_count; row++) {
        set_row(network, row);
        uint32_t start = platform_ticks();
        ige_invoke(&interpreter);
        time += ticks(start);
        wrong += differences(network, row, ige_output(&interpreter)->data.i8);
        start = platform_ticks();
        network->invoke(row_of(network, row), firmware_output);
        time_c += ticks(start);
        wrong_c += differences(network, row, firmware_output);
    }
    for (uint32_t i = bytes; i < bytes + MARGIN; i++) spilt += firmware_arena[i] != PAINT;
    put_value("wrong ", wrong);
    put_value("exported ", wrong_c);
    put_value("spilt ", spilt);
    put_value("arena ", bytes);
    put_value("structs ", (uint32_t)(sizeof model + sizeof interpreter));
    put_value("ticks ", time);
    put_value("ticks_exported ", time_c);
}

int main(void)
{
    for (uint32_t i = 0; i < firmware_networks_count; i++) {
        const struct firmware_network *network = &firmware_networks[i];
        enum ige_status status = ige_load(&model, network->bytes, network->size);
        if (status == IGE_OK)
            status = ige_allocate_tensors(&interpreter, &model, firmware_arena,
                                          firmware_arena_bytes - MARGIN);
        put_value("status ", (uint32_t)status);
        if (status == IGE_OK) run_network(network);
        platform_put("\n");
    }
    platform_put("end\n");
    platform_exit(0);
    return 0;
}
