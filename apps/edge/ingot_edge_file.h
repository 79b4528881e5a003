/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGOT_EDGE_FILE_H
#define INGOT_EDGE_FILE_H

/* The file's numbers (docs/edge-format.md) and how they are read. */

#include "ingot_edge.h"

#ifdef IGE_NO_FLOAT
#define IGE_HAS_FLOAT 0
#else
#define IGE_HAS_FLOAT 1
#endif

enum { IGE_LEAF_F32, IGE_LEAF_F64, IGE_LEAF_I16, IGE_LEAF_I8 };
enum {
    IGE_BASE_FIRST = 1,
    IGE_AVERAGE = 2,
    IGE_TRUNCATES = 4,
    IGE_VECTORS = 8,
    IGE_SHIFTS = 16,
};
enum { IGE_SOURCE_BYTES = 12, IGE_CODE = 3, IGE_TRANSFORM_PROBABILITY = 11 };

/* A split: its fields, and the number of bytes up to its right child. */
struct ige_split {
    uint32_t threshold, skip, column;
    int left_leaf, right_leaf;
};

static inline uint32_t ige_u16(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8;
}

static inline uint32_t ige_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* A number of 0 to 4 bytes. */
static inline uint32_t ige_get(const uint8_t *at, uint32_t bytes)
{
    uint32_t value = 0;
    if (bytes) value = at[0];
    if (bytes > 1) value |= (uint32_t)at[1] << 8;
    if (bytes > 2) value |= (uint32_t)at[2] << 16;
    if (bytes > 3) value |= (uint32_t)at[3] << 24;
    return value;
}

/* The split at `at`; the model's widths are checked already. */
struct ige_split ige_read_split(const struct ige_model *model, const uint8_t *at);
enum ige_status ige_load_trees(struct ige_model *model, const uint8_t *section, size_t size);

#endif
