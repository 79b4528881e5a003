/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_TESTS_EDGE_NETWORK_FIRMWARE_H
#define IG_TESTS_EDGE_NETWORK_FIRMWARE_H

/* What network_device.py writes about the networks. */

#include "firmware.h"

struct firmware_network {
    const uint8_t *bytes;
    uint32_t size;
    const void *inputs; /* rows_count rows: int8, or of a network behind an encoder floats */
    const int8_t *outputs;
    uint32_t rows_count;
    void (*invoke)(const void *in, int8_t *out); /* of the exported C file */
};

extern const struct firmware_network firmware_networks[];
extern const uint32_t firmware_networks_count, firmware_arena_bytes;
extern uint8_t firmware_arena[]; /* aligned to 8 */
extern int8_t firmware_output[];

#endif
