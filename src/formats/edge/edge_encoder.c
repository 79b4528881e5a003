/* SPDX-License-Identifier: Apache-2.0 */
/* The section of an encoder (docs/edge-format.md), written and read. What is read is written again
 * and must be the same bytes, so there is one way to say each encoder. Stateless. */
#include "formats/edge/edge_priv.h"

#include <math.h>
#include <string.h>

enum { FACTS_BYTES = 20, VERSION = 1, CATEGORY = 1, MISSING = 2, GAINS = 1 };
enum { FEATURE_BYTES_LEAST = 8 };
static const size_t SECTION_MAX = (size_t)64 << 20;

/* ---- writing ---- */

static void put(struct ig_buf *out, uint64_t value, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) ig_buf_add_char(out, (char)(value >> (8 * i)));
}

static void put_f32(struct ig_buf *out, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put(out, bits, 4);
}

/* Before the input where there is room, else behind it: whatever else lies there comes later. */
static struct ig_edge_row place_row(uint32_t features, uint32_t input_at, size_t input_bytes,
                                    uint32_t arena_bytes)
{
    struct ig_edge_row row = {.arena_bytes = arena_bytes};
    uint32_t bytes = 4 * features, end = input_at + (uint32_t)input_bytes;
    if (bytes > input_at) row.at = (end + 3) / 4 * 4;
    if (row.arena_bytes < row.at + bytes) row.arena_bytes = row.at + bytes;
    return row;
}

struct ig_edge_row ig_edge_row_of(const struct ig_network_compact *compact)
{
    const struct ig_compact_tensor *input = &compact->tensors[compact->inputs[0]];
    return place_row(compact->encoder->features_count, input->offset,
                     ig_network_tensor_bytes(input->tensor), compact->arena_bytes);
}

static void put_feature(struct ig_buf *out, const struct ig_encoder_feature *feature)
{
    uint32_t knots = feature->knots_count > 1 ? feature->knots_count : 0;
    put(out, (feature->categories ? CATEGORY : 0U) | (feature->missing ? MISSING : 0U), 1);
    put(out, knots, 1);
    put(out, 0, 2);
    if (feature->categories) {
        put(out, feature->categories, 4);
        return;
    }
    put_f32(out, feature->mean);
    put_f32(out, feature->deviation);
    for (uint32_t k = 0; k < knots; k++) put_f32(out, feature->knots[k]);
}

static void put_encoder(struct ig_buf *out, const struct ig_encoder *encoder,
                        struct ig_edge_row row)
{
    put(out, VERSION, 1);
    put(out, encoder->gains ? GAINS : 0, 1);
    put(out, 0, 2);
    put(out, encoder->features_count, 4);
    put(out, encoder->inputs_count, 4);
    put(out, row.at, 4);
    put(out, row.arena_bytes, 4);
    for (uint32_t i = 0; i < encoder->features_count; i++) put_feature(out, &encoder->features[i]);
    for (uint32_t i = 0; encoder->gains && i < encoder->inputs_count; i++)
        put_f32(out, encoder->gains[i]);
}

void ig_edge_put_encoder(struct ig_buf *out, const struct ig_network_compact *compact)
{
    put_encoder(out, compact->encoder, ig_edge_row_of(compact));
}

/* ---- reading ---- */

struct reader {
    const uint8_t *at;
    size_t left;
};

static uint32_t get(const uint8_t *at, uint32_t bytes)
{
    uint32_t value = 0;
    for (uint32_t i = 0; i < bytes; i++) value |= (uint32_t)at[i] << (8 * i);
    return value;
}

static bool take(uint32_t *out, struct reader *reader, uint32_t bytes)
{
    if (reader->left < bytes) return false;
    *out = get(reader->at, bytes);
    reader->at += bytes;
    reader->left -= bytes;
    return true;
}

static bool take_f32(float *out, struct reader *reader)
{
    uint32_t bits;
    if (!take(&bits, reader, 4)) return false;
    memcpy(out, &bits, sizeof bits);
    return isfinite(*out);
}

static bool take_knots(struct ig_encoder_feature *feature, struct reader *reader, uint32_t count)
{
    if (count == 1 || count > IG_ENCODER_KNOTS) return false;
    feature->knots_count = count;
    for (uint32_t k = 0; k < count; k++) {
        if (!take_f32(&feature->knots[k], reader) ||
            !isfinite(feature->knots[k] - feature->knots[0]) ||
            (k && !(feature->knots[k] > feature->knots[k - 1])))
            return false;
    }
    return true;
}

static bool take_feature(struct ig_encoder_feature *feature, struct reader *reader)
{
    uint32_t kind, knots, zeros;
    *feature = (struct ig_encoder_feature){.deviation = 1};
    if (!take(&kind, reader, 1) || !take(&knots, reader, 1) || !take(&zeros, reader, 2))
        return false;
    feature->missing = kind & MISSING;
    if (kind & CATEGORY)
        return take(&feature->categories, reader, 4) && feature->categories >= 1 &&
               feature->categories <= IG_ENCODER_INPUTS_MAX;
    return take_f32(&feature->mean, reader) && take_f32(&feature->deviation, reader) &&
           feature->deviation > 0 && take_knots(feature, reader, knots);
}

static enum ig_code take_features(struct ig_encoder *encoder, struct reader *reader,
                                  struct ig_err *err)
{
    for (uint32_t i = 0; i < encoder->features_count; i++) {
        if (!take_feature(&encoder->features[i], reader))
            return ig_fail(err, IG_CORRUPT, "encoder: feature %u is none", i);
        encoder->features[i].first = encoder->inputs_count;
        encoder->inputs_count += ig_encoder_columns(&encoder->features[i]);
        if (encoder->inputs_count > IG_ENCODER_INPUTS_MAX)
            return ig_fail(err, IG_CORRUPT, "encoder: feature %u: more than %d inputs", i,
                           IG_ENCODER_INPUTS_MAX);
    }
    return IG_OK;
}

static enum ig_code take_gains(struct ig_encoder *encoder, struct reader *reader,
                               struct ig_arena *arena, struct ig_err *err)
{
    float *gains = ig_arena_array(arena, encoder->inputs_count, sizeof *gains);
    if (!gains) return ig_fail(err, IG_NO_MEMORY, "encoder: out of memory");
    for (uint32_t i = 0; i < encoder->inputs_count; i++)
        if (!take_f32(&gains[i], reader) || !((double)gains[i] >= IG_ENCODER_GAIN_LEAST) ||
            !((double)gains[i] <= IG_ENCODER_GAIN_MOST))
            return ig_fail(err, IG_CORRUPT, "encoder: the gain of input %u is none", i);
    encoder->gains = gains;
    return IG_OK;
}

/* Where the network's section, which was read already, has its input. */
static struct ig_edge_row read_row(struct ig_str section, const struct ig_network *network,
                                   uint32_t features)
{
    const uint8_t *at = (const uint8_t *)section.ptr;
    uint32_t ends = get(at + 4, 2) + get(at + 6, 2), input = get(at + IG_EDGE_NETWORK_BYTES, 2);
    const uint8_t *tensor =
        at + IG_EDGE_NETWORK_BYTES + (size_t)2 * ends + (size_t)input * IG_EDGE_TENSOR_BYTES;
    return place_row(features, get(tensor + 8, 4),
                     ig_network_tensor_bytes(&network->tensors[network->inputs[0]]),
                     get(at + 8, 4));
}

/* Against what would be written of it. */
static enum ig_code check_same(const struct ig_edge_encoded *from, const struct ig_encoder *encoder,
                               struct ig_err *err)
{
    struct ig_buf again;
    ig_buf_init(&again, SECTION_MAX);
    put_encoder(&again, encoder,
                read_row(from->network_section, from->network, encoder->features_count));
    if (!ig_str_eq(ig_buf_view(&again), from->section))
        ig_fail(err, IG_CORRUPT, "encoder: it is not as it would be written");
    ig_buf_deinit(&again);
    return err->code;
}

static enum ig_code take_all(struct ig_encoder *encoder, const struct ig_edge_encoded *from,
                             struct ig_arena *arena, struct ig_err *err)
{
    struct reader reader = {(const uint8_t *)from->section.ptr + FACTS_BYTES,
                            from->section.len - FACTS_BYTES};
    const struct ig_network *network = from->network;
    bool gains = from->section.ptr[1] & GAINS;
    encoder->features_count = get((const uint8_t *)from->section.ptr + 4, 4);
    if (encoder->features_count == 0 || encoder->features_count > reader.left / FEATURE_BYTES_LEAST)
        return ig_fail(err, IG_CORRUPT, "encoder: %u features in %zu bytes",
                       encoder->features_count, from->section.len);
    encoder->features = ig_arena_array(arena, encoder->features_count, sizeof *encoder->features);
    if (!encoder->features) return ig_fail(err, IG_NO_MEMORY, "encoder: out of memory");
    if (take_features(encoder, &reader, err) != IG_OK) return ig_err_code(err);
    if (network->inputs_count != 1 ||
        ig_network_tensor_count(&network->tensors[network->inputs[0]]) != encoder->inputs_count)
        return ig_fail(err, IG_CORRUPT, "encoder: it gives %u inputs, the network takes others",
                       encoder->inputs_count);
    return gains ? take_gains(encoder, &reader, arena, err) : IG_OK;
}

enum ig_code ig_edge_read_encoder(struct ig_encoder **out, const struct ig_edge_encoded *from,
                                  struct ig_arena *arena, struct ig_err *err)
{
    struct ig_encoder *encoder = ig_arena_zalloc(arena, sizeof *encoder);
    if (!encoder) return ig_fail(err, IG_NO_MEMORY, "encoder: out of memory");
    if (from->section.len < FACTS_BYTES)
        return ig_fail(err, IG_CORRUPT, "encoder: %zu bytes, expected at least %d",
                       from->section.len, FACTS_BYTES);
    if (from->section.ptr[0] != VERSION)
        return ig_fail(err, IG_UNSUPPORTED, "encoder: version %u, known is %d",
                       (unsigned char)from->section.ptr[0], VERSION);
    if (take_all(encoder, from, arena, err) != IG_OK || check_same(from, encoder, err) != IG_OK)
        return ig_err_code(err);
    *out = encoder;
    return IG_OK;
}
