/* SPDX-License-Identifier: Apache-2.0 */
/* Sketches: counts of keys between edges. Owns nothing. */
#include "ingot_edge_telemetry.h"

#include "ingot_edge_file.h"

static const uint32_t SIGN = 0x80000000U;
enum { CATEGORY_RULES = 32 | 64, GOLDEN_MAX = 32, FEATURES_AT = 96 };
enum { WORDS_AT = 100, HEADER_TO_ID = 16, SKETCH_HEADER = 32 };

void ige_sketch_clear(struct ige_sketch *sketch)
{
    sketch->rows = sketch->missing = 0;
    sketch->low = INT32_MAX;
    sketch->high = INT32_MIN;
    for (unsigned i = 0; i <= IGE_SKETCH_EDGES_MAX; i++) sketch->counts[i] = 0;
}

/* An edge is of use only above the one before. */
static void add_edge(struct ige_sketch *sketch, int32_t edge)
{
    if (sketch->edges_count == IGE_SKETCH_EDGES_MAX ||
        (sketch->edges_count && sketch->edges[sketch->edges_count - 1] >= edge))
        return;
    sketch->edges[sketch->edges_count++] = edge;
}

static void begin(struct ige_sketch *sketch, uint16_t feature, uint8_t integers)
{
    sketch->feature = feature;
    sketch->integers = integers;
    sketch->edges_count = 0;
    ige_sketch_clear(sketch);
}

/* Which of `count` thresholds is the edge behind bin i, spread evenly. */
static uint32_t spread(uint32_t i, uint32_t count)
{
    return (uint32_t)((uint64_t)(i + 1) * count / (IGE_SKETCH_EDGES_MAX + 1));
}

/* The bits of a whole number below 2^24 as a float. */
static uint32_t bits_of_whole(uint32_t number)
{
    uint32_t exponent = 127 + 23;
    if (!number) return 0;
    while (!(number & 1U << 23)) {
        number <<= 1;
        exponent--;
    }
    return exponent << 23 | (number & 0x7fffffU);
}

#ifdef IGE_NO_TREES
static void add_tree_edges(struct ige_sketch *sketch, const struct ige_model *model)
{
    (void)sketch;
    (void)model;
}
#else
/* The order key of the first float that reaches a number of a grid. */
static int32_t key_on_grid(int32_t number, uint32_t grid)
{
    const uint32_t least = (uint32_t)-0x4b800000; /* -2^24; numbers are less far from 0 */
    uint32_t before = 0;
    for (uint32_t step = 1U << 31; step; step >>= 1) {
        int32_t key = (int32_t)(least + before + step - 1);
        uint32_t bits = key < 0 ? SIGN - (uint32_t)key : (uint32_t)key;
        if (before + step <= 2 * 0x4b800000U && ige_grid_key(bits, grid) < number) before += step;
    }
    return (int32_t)(least + before);
}

/* The order key of a number's threshold. */
static int32_t threshold_key(const uint8_t *source, const uint8_t *keys, uint32_t index)
{
    uint32_t bytes = source[9] & IGE_KEPT, bits = source[9] >> IGE_BUCKET_SHIFT, bucket = 0;
    uint32_t distance = bytes ? 0 : index;
    if (bits) {
        bytes -= IGE_BUCKETS;
        while (keys[bucket + 2] <= index) bucket++;
        distance = bucket << bits;
        keys += keys[0] + 2U;
    }
    distance += ige_get(keys + (size_t)index * bytes, bytes);
    int32_t number = (int32_t)(ige_u32(source + 4) + (distance << source[10]));
    return source[11] ? key_on_grid(number, source[11]) : number;
}

static void add_edges(struct ige_sketch *sketch, const uint8_t *source, const uint8_t *keys)
{
    uint32_t count = ige_u16(source + 2);
    int is_category = source[8] & CATEGORY_RULES;
    for (uint32_t i = 0; i < IGE_SKETCH_EDGES_MAX && count; i++) {
        uint32_t at = count <= IGE_SKETCH_EDGES_MAX ? i : spread(i, count);
        if (at >= count) break;
        add_edge(sketch,
                 is_category ? ige_order_key(bits_of_whole(at)) : threshold_key(source, keys, at));
    }
}

static void add_tree_edges(struct ige_sketch *sketch, const struct ige_model *model)
{
    const uint8_t *keys = model->keys;
    for (uint32_t s = 0; s < model->sources; s++) {
        const uint8_t *source = model->source + (size_t)s * IGE_SOURCE_BYTES;
        if (ige_u16(source) == sketch->feature) {
            add_edges(sketch, source, keys);
            return;
        }
        if (!(source[8] & CATEGORY_RULES)) keys += ige_keys_bytes(source, keys);
    }
}
#endif

#ifdef IGE_ENCODERS
/* Of the knots, where there are some; else deviations from the mean, each by a sum alone. */
static void add_number_edges(struct ige_sketch *sketch, const struct ige_encoded *feature)
{
    union {
        uint32_t u;
        float f;
    } mean, deviation, edge;
    for (uint32_t i = 0; feature->knots && i < IGE_SKETCH_EDGES_MAX; i++) {
        uint32_t at = feature->knots <= IGE_SKETCH_EDGES_MAX ? i : spread(i, feature->knots);
        if (at < feature->knots)
            add_edge(sketch, ige_order_key(ige_u32(feature->numbers + 8 + 4 * at)));
    }
    mean.u = ige_u32(feature->numbers);
    deviation.u = ige_u32(feature->numbers + 4);
    edge.f = mean.f - deviation.f - deviation.f;
    for (uint32_t i = 0; !feature->knots && i < 5; i++, edge.f += deviation.f)
        add_edge(sketch, ige_order_key(edge.u));
}

static void add_row_edges(struct ige_sketch *sketch, const struct ige_model *model)
{
    if (!ige_has_encoder(model)) return;
    struct ige_encoded feature = ige_encoded_at(model->network.encoder);
    for (uint32_t f = 0; f < sketch->feature; f++) feature = ige_encoded_at(feature.next);
    if (!feature.categories) add_number_edges(sketch, &feature);
    for (uint32_t i = 0; i < IGE_SKETCH_EDGES_MAX && i < feature.categories; i++)
        add_edge(sketch, ige_order_key(bits_of_whole(feature.categories <= IGE_SKETCH_EDGES_MAX
                                                         ? i
                                                         : spread(i, feature.categories))));
}
#else
static void add_row_edges(struct ige_sketch *sketch, const struct ige_model *model)
{
    (void)sketch;
    (void)model;
}
#endif

/* Edges over all that int8 can be. */
static void begin_int8(struct ige_sketch *sketch, uint16_t feature)
{
    begin(sketch, feature, 1);
    for (int32_t edge = -96; edge <= 96; edge += 32) add_edge(sketch, edge);
}

int ige_sketch_of_feature(struct ige_sketch *sketch, const struct ige_interpreter *interpreter,
                          uint16_t feature)
{
    struct ige_tensor input = ige_input_at(interpreter, 0);
    if (feature >= input.count) return 0;
    if (input.type == IGE_INT8) {
        begin_int8(sketch, feature);
        return 1;
    }
    begin(sketch, feature, 0);
    if (ige_is_network(interpreter->model))
        add_row_edges(sketch, interpreter->model);
    else
        add_tree_edges(sketch, interpreter->model);
    return sketch->edges_count != 0;
}

int ige_sketch_of_score(struct ige_sketch *sketch, const struct ige_bundle *bundle,
                        const struct ige_interpreter *interpreter)
{
    int32_t keys[GOLDEN_MAX];
    enum ige_type type = ige_output(interpreter)->type;
    const uint8_t *header = bundle->id - HEADER_TO_ID;
    size_t inputs = ige_u32(header + FEATURES_AT), words = ige_u32(header + WORDS_AT);
    uint32_t count = bundle->rows_count < GOLDEN_MAX ? bundle->rows_count : GOLDEN_MAX;
    if (type == IGE_INT8) {
        begin_int8(sketch, IGE_SKETCH_SCORE);
        return 1;
    }
    if (type == IGE_FLOAT64 || !count || !words) return 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t word = ige_u32(bundle->rows + 4 * (i * (inputs + words) + inputs)), at = i;
        int32_t key = type == IGE_INT32 ? (int32_t)word : ige_order_key(word);
        for (; at > 0 && keys[at - 1] > key; at--) keys[at] = keys[at - 1];
        keys[at] = key;
    }
    begin(sketch, IGE_SKETCH_SCORE, type == IGE_INT32);
    for (uint32_t i = 0; i < IGE_SKETCH_EDGES_MAX; i++) add_edge(sketch, keys[spread(i, count)]);
    return 1;
}

static void add_key(struct ige_sketch *sketch, int32_t key)
{
    unsigned bin = 0;
    while (bin < sketch->edges_count && key >= sketch->edges[bin]) bin++;
    sketch->counts[bin]++;
    if (key < sketch->low) sketch->low = key;
    if (key > sketch->high) sketch->high = key;
}

void ige_sketch_add_float(struct ige_sketch *sketch, uint32_t bits)
{
    sketch->rows++;
    if ((bits & ~SIGN) > 0x7f800000U)
        sketch->missing++;
    else
        add_key(sketch, ige_order_key(bits));
}

void ige_sketch_add_integer(struct ige_sketch *sketch, int32_t value)
{
    sketch->rows++;
    add_key(sketch, value);
}

static void add_element(struct ige_sketch *sketch, const struct ige_tensor *tensor, uint32_t index)
{
    union {
        float f;
        uint32_t bits;
    } word;
    if (tensor->type == IGE_INT32) ige_sketch_add_integer(sketch, tensor->data.i32[index]);
    if (tensor->type == IGE_INT8) ige_sketch_add_integer(sketch, tensor->data.i8[index]);
    if (tensor->type != IGE_FLOAT32) return;
    word.f = tensor->data.f32[index];
    ige_sketch_add_float(sketch, word.bits);
}

void ige_sketch_add_input(struct ige_sketch *sketch, struct ige_interpreter *interpreter)
{
    add_element(sketch, ige_input(interpreter), sketch->feature);
}

void ige_sketch_add_score(struct ige_sketch *sketch, const struct ige_interpreter *interpreter)
{
    add_element(sketch, ige_output(interpreter), 0);
}

static size_t put(uint8_t *out, size_t at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) out[at + i] = (uint8_t)(value >> (8 * i));
    return at + bytes;
}

size_t ige_sketch_write(uint8_t out[IGE_SKETCH_BYTES_MAX], const struct ige_sketch *sketch,
                        uint64_t counter, uint32_t day)
{
    size_t at = put(out, 0, counter, 8);
    at = put(out, at, day, 4);
    at = put(out, at, sketch->feature, 2);
    at = put(out, at, sketch->edges_count, 1);
    at = put(out, at, sketch->integers, 1);
    at = put(out, at, sketch->rows, 4);
    at = put(out, at, sketch->missing, 4);
    at = put(out, at, (uint32_t)sketch->low, 4);
    at = put(out, at, (uint32_t)sketch->high, 4);
    for (unsigned i = 0; i < sketch->edges_count; i++)
        at = put(out, at, (uint32_t)sketch->edges[i], 4);
    for (unsigned i = 0; i <= sketch->edges_count; i++) at = put(out, at, sketch->counts[i], 4);
    return at;
}

int ige_sketch_log(struct ige_log *log, const struct ige_sketch *sketch, uint64_t counter,
                   uint32_t day)
{
    uint8_t payload[IGE_SKETCH_BYTES_MAX];
    return ige_log_add(log, IGE_RECORD_SKETCH, payload,
                       ige_sketch_write(payload, sketch, counter, day));
}
