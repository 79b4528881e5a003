/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_TESTS_EDGE_FIRMWARE_H
#define IG_TESTS_EDGE_FIRMWARE_H

/* What device.py writes about the models, and what a platform gives. */

#include <stdint.h>

struct firmware_model {
    const uint8_t *bytes;
    uint32_t size;
    const uint32_t *rows; /* rows_count rows of the floats' bits */
    uint32_t rows_count;
    void (*margins)(const float *features, void *margins); /* of the exported C file */
};

extern const struct firmware_model firmware_models[];
extern const uint32_t firmware_models_count;
extern const uint32_t firmware_repeats; /* for counting; 0: none */

void platform_put(const char *text);
void platform_exit(int status);
uint32_t platform_ticks(void); /* counts down, 24 bits; 0: there is no clock */

#endif
