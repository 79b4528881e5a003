/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the compact file. Every number is little-endian, whatever the machine. Stateless. */
#include "formats/edge/edge_priv.h"

#include <string.h>
#include <zlib.h>

/* By their numbers in files: only ever appended to. */
static const enum ig_transform TRANSFORMS[] = {
    IG_TRANSFORM_IDENTITY,
    IG_TRANSFORM_SIGMOID,
    IG_TRANSFORM_EXP,
    IG_TRANSFORM_SOFTMAX,
    IG_TRANSFORM_ARGMAX,
    IG_TRANSFORM_HINGE,
    IG_TRANSFORM_SIGMOID_EACH,
    IG_TRANSFORM_SIGNED_SQUARE,
    IG_TRANSFORM_LOG1P_EXP,
    IG_TRANSFORM_SORT,
    IG_TRANSFORM_CUMULATIVE_SOFTPLUS,
    IG_TRANSFORM_PROBABILITY,
};
enum { TRANSFORMS_COUNT = sizeof TRANSFORMS / sizeof *TRANSFORMS };
_Static_assert((int)TRANSFORMS_COUNT == (int)IG_TRANSFORMS_COUNT, "a transform without a number");

uint8_t ig_edge_transform_code(enum ig_transform transform)
{
    uint8_t code = 0;
    while (TRANSFORMS[code] != transform) code++;
    return code;
}

bool ig_edge_transform_of(enum ig_transform *out, uint8_t code)
{
    if (code >= TRANSFORMS_COUNT) return false;
    *out = TRANSFORMS[code];
    return true;
}

static uint32_t width_of(uint32_t greatest)
{
    if (greatest <= UINT8_MAX) return 1;
    return greatest <= UINT16_MAX ? 2 : 4;
}

uint32_t ig_edge_tree_width(const struct ig_tree_compact *compact)
{
    uint32_t most = 0;
    for (uint32_t t = 0; t < compact->trees_count; t++)
        if (compact->tree_bytes[t] > most) most = compact->tree_bytes[t];
    return width_of(most);
}

uint32_t ig_edge_output_width(const struct ig_tree_compact *compact)
{
    return compact->tree_outputs ? width_of(compact->outputs_count - 1) : 0;
}

uint32_t ig_edge_set_width(const struct ig_tree_compact *compact)
{
    return compact->sets_count ? width_of(compact->set_starts[compact->sets_count]) : 0;
}

uint32_t ig_edge_value_bytes(enum ig_compact_leaf leaf)
{
    static const uint8_t BYTES[] = {4, 8, 2, 1};
    return BYTES[leaf];
}

uint32_t ig_edge_base_bytes(enum ig_compact_leaf leaf)
{
    return leaf == IG_COMPACT_FLOAT64 ? 8 : 4;
}

uint32_t ig_edge_crc(const char *bytes, size_t count)
{
    const unsigned char *at = (const unsigned char *)bytes;
    uLong crc = crc32_z(0, at, IG_EDGE_CRC_AT);
    return (uint32_t)crc32_z(crc, at + IG_EDGE_HEADER_BYTES, count - IG_EDGE_HEADER_BYTES);
}

static void put(struct ig_buf *out, uint64_t value, uint32_t bytes)
{
    char text[8];
    for (uint32_t i = 0; i < bytes; i++) text[i] = (char)(value >> (8 * i));
    ig_buf_add(out, text, bytes);
}

static void put_f64(struct ig_buf *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put(out, bits, 8);
}

static void put_array(struct ig_buf *out, const uint32_t *items, size_t count, uint32_t width)
{
    for (size_t i = 0; i < count && width; i++) put(out, items[i], width);
}

static uint8_t flags_of(const struct ig_tree_compact *compact)
{
    int flags = 0;
    if (compact->base_first) flags |= IG_EDGE_BASE_FIRST;
    if (compact->average) flags |= IG_EDGE_AVERAGE;
    if (compact->inputs_truncate) flags |= IG_EDGE_TRUNCATES;
    if (compact->leaf_values > 1) flags |= IG_EDGE_VECTORS;
    if (compact->tree_shifts) flags |= IG_EDGE_SHIFTS;
    if (compact->transform_f64) flags |= IG_EDGE_DOUBLE;
    return (uint8_t)flags;
}

static void put_facts(struct ig_buf *out, const struct ig_tree_compact *compact)
{
    put(out, compact->features_count, 2);
    put(out, compact->outputs_count, 2);
    put(out, compact->sources_count, 2);
    put(out, compact->columns_count, 2);
    put(out, compact->first_category, 2);
    put(out, compact->missing_rank, 2);
    put(out, compact->trees_count, 4);
    put(out, compact->stream_bytes, 4);
    put(out, compact->node_bytes, 1);
    put(out, compact->threshold_bits, 1);
    put(out, compact->skip_bits, 1);
    put(out, compact->column_bits, 1);
    put(out, compact->leaf, 1);
    put(out, compact->leaf_indexed ? compact->leaf_bytes : 0, 1);
    put(out, flags_of(compact), 1);
    put(out, ig_edge_transform_code(compact->transform), 1);
    put(out, ig_edge_tree_width(compact), 1);
    put(out, ig_edge_output_width(compact), 1);
    put(out, ig_edge_set_width(compact), 1);
    put(out, 0, 1);
    put_f64(out, compact->transform_parameter);
    put(out, compact->table_rows, 4);
    put(out, compact->sets_count, 4);
    put(out, compact->sets_count ? compact->set_starts[compact->sets_count] : 0, 4);
    put(out, compact->iterations_count, 4);
    put(out, (uint32_t)compact->scale_exponent, 4);
    put(out, compact->splits_count, 4);
}

static void put_bases(struct ig_buf *out, const struct ig_tree_compact *compact)
{
    for (uint32_t o = 0; o < compact->outputs_count; o++) {
        float narrow = (float)compact->base[o];
        uint32_t bits;
        memcpy(&bits, &narrow, sizeof bits);
        if (compact->leaf == IG_COMPACT_FLOAT64)
            put_f64(out, compact->base[o]);
        else if (compact->leaf == IG_COMPACT_FLOAT32)
            put(out, bits, 4);
        else
            put(out, (uint32_t)(int32_t)compact->base[o], 4);
    }
}

static uint8_t kept_as(const struct ig_compact_source *source)
{
    if (!source->bucket_bits) return source->key_bytes;
    return (uint8_t)(source->bucket_bits << IG_EDGE_BUCKET_SHIFT |
                     (IG_EDGE_BUCKETS + source->key_bytes));
}

static void put_sources(struct ig_buf *out, const struct ig_tree_compact *compact)
{
    for (uint32_t i = 0; i < compact->sources_count; i++) {
        const struct ig_compact_source *source = &compact->sources[i];
        put(out, source->feature, 2);
        put(out, source->keys_count, 2);
        put(out, (uint32_t)source->base, 4);
        put(out, source->rules, 1);
        put(out, kept_as(source), 1);
        put(out, source->key_shift, 1);
        put(out, source->grid, 1);
    }
    for (uint32_t i = 0; i < compact->sources_count; i++) {
        const struct ig_compact_source *source = &compact->sources[i];
        if (source->keys) ig_buf_add(out, source->keys, source->keys_size);
    }
}

static size_t table_bytes(const struct ig_tree_compact *compact)
{
    return (size_t)compact->table_rows * compact->leaf_values * ig_edge_value_bytes(compact->leaf);
}

static void put_section(struct ig_buf *out, const struct ig_tree_compact *compact)
{
    uint32_t sets = compact->sets_count;
    put_facts(out, compact);
    put_bases(out, compact);
    put_sources(out, compact);
    if (sets) {
        put_array(out, compact->set_starts, (size_t)sets + 1, ig_edge_set_width(compact));
        ig_buf_add(out, compact->set_bytes, compact->set_starts[sets]);
    }
    put_array(out, compact->tree_bytes, compact->trees_count, ig_edge_tree_width(compact));
    put_array(out, compact->tree_outputs, compact->trees_count, ig_edge_output_width(compact));
    if (compact->tree_shifts) ig_buf_add(out, compact->tree_shifts, compact->trees_count);
    ig_buf_add(out, compact->table, table_bytes(compact));
    ig_buf_add(out, compact->stream, compact->stream_bytes);
}

size_t ig_edge_begin(struct ig_buf *out, uint32_t sections)
{
    size_t start = out->len;
    ig_buf_add_cstr(out, IG_EDGE_MAGIC);
    for (size_t i = out->len - start; i < IG_EDGE_HEADER_BYTES; i++) put(out, 0, 1);
    for (uint32_t i = 0; i < sections * IG_EDGE_SECTION_BYTES; i++) put(out, 0, 1);
    return start;
}

static void set(uint8_t *at, uint64_t value)
{
    for (uint32_t i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (8 * i));
}

void ig_edge_end_section(struct ig_buf *out, size_t start, uint32_t index, const char *type,
                         size_t from)
{
    size_t bytes = out->len - from;
    while ((out->len - start) % IG_EDGE_ALIGN && !out->overflowed) put(out, 0, 1);
    if (out->overflowed) return;
    uint8_t *at =
        (uint8_t *)out->ptr + start + IG_EDGE_HEADER_BYTES + (size_t)index * IG_EDGE_SECTION_BYTES;
    memcpy(at, type, 4);
    set(at + 4, from - start);
    set(at + 8, bytes);
}

enum ig_code ig_edge_end(struct ig_buf *out, size_t start, uint32_t sections, struct ig_err *err)
{
    size_t total = out->len - start;
    if (out->overflowed || total > INT32_MAX)
        return ig_fail(err, IG_TOO_LARGE, "no room for a compact file of over %zu bytes", total);
    uint8_t *at = (uint8_t *)out->ptr + start;
    at[4] = IG_EDGE_VERSION;
    at[5] = (uint8_t)sections;
    set(at + 8, total);
    set(at + IG_EDGE_CRC_AT, ig_edge_crc((const char *)at, total));
    return IG_OK;
}

enum ig_code ig_edge_write(struct ig_buf *out, const struct ig_tree_compact *compact,
                           struct ig_err *err)
{
    size_t start = ig_edge_begin(out, 1), from = out->len;
    put_section(out, compact);
    ig_edge_end_section(out, start, 0, IG_EDGE_TREES, from);
    return ig_edge_end(out, start, 1, err);
}
