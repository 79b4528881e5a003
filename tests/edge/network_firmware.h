/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_TESTS_EDGE_NETWORK_FIRMWARE_H
#define IG_TESTS_EDGE_NETWORK_FIRMWARE_H

/* What network_device.py writes about the networks. */

#include "firmware.h"

struct firmware_network {
    const uint8_t *bytes;
    uint32_t size;
    const int8_t *inputs, *outputs; /* rows_count rows */
    uint32_t rows_count;
    void (*invoke)(const int8_t *in, int8_t *out); /* of the exported C file */
};

extern const struct firmware_network firmware_networks[];
extern const uint32_t firmware_networks_count, firmware_arena_bytes;
extern uint8_t firmware_arena[]; /* aligned to 8 */
extern int8_t firmware_output[];

#endif
