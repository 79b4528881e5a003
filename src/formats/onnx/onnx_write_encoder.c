/* SPDX-License-Identifier: Apache-2.0 */
/* The encoder of a network as ONNX's operators, all features at once: columns are gathered by what
 * is made of them (scaled numbers, ranks, categories, flags of what is missing), computed, and put
 * in the network's order. A rank, which is linear between its knots, is the sum of the shares of
 * the parts between them. Stateless. */
#include "formats/onnx/onnx_write_priv.h"
#include "kernels/train/encoder.h"

enum group { NUMBERS, RANKS, CODES, FLAGS, GROUPS };
enum { PARTS = IG_ENCODER_KNOTS - 1 };

struct columns {
    struct onnx_writer *w;
    const struct ig_encoder *encoder;
    uint32_t counts[GROUPS];
    int64_t *features[GROUPS]; /* of each column of the group */
    int64_t *places;           /* of each input, among all groups' columns */
    float *means, *scales;     /* NUMBERS */
    float *starts, *slopes;    /* RANKS x PARTS */
    float *halves;             /* RANKS: 2 over the parts that there are */
    float *codes;              /* CODES */
    uint8_t *is_code;          /* FLAGS: a category is missing below 0, too */
};

static void count_columns(struct columns *c)
{
    for (uint32_t f = 0; f < c->encoder->features_count; f++) {
        const struct ig_encoder_feature *feature = &c->encoder->features[f];
        c->counts[CODES] += feature->categories;
        c->counts[NUMBERS] += feature->categories == 0;
        c->counts[RANKS] += feature->categories == 0 && feature->knots_count > 1;
        c->counts[FLAGS] += feature->missing;
    }
}

static bool make_columns(struct columns *c)
{
    struct ig_arena *arena = &c->w->arena;
    for (int g = 0; g < GROUPS; g++)
        c->features[g] = ig_arena_array(arena, c->counts[g] + (size_t)1, sizeof(int64_t));
    c->places = ig_arena_array(arena, c->encoder->inputs_count + (size_t)1, sizeof(int64_t));
    c->means = ig_arena_array(arena, c->counts[NUMBERS] + (size_t)1, sizeof(float));
    c->scales = ig_arena_array(arena, c->counts[NUMBERS] + (size_t)1, sizeof(float));
    c->starts = ig_arena_array(arena, c->counts[RANKS] + (size_t)1, PARTS * sizeof(float));
    c->slopes = ig_arena_array(arena, c->counts[RANKS] + (size_t)1, PARTS * sizeof(float));
    c->halves = ig_arena_array(arena, c->counts[RANKS] + (size_t)1, sizeof(float));
    c->codes = ig_arena_array(arena, c->counts[CODES] + (size_t)1, sizeof(float));
    c->is_code = ig_arena_array(arena, c->counts[FLAGS] + (size_t)1, 1);
    return !arena->overflowed;
}

/* A column of a group for input `input`; gives its place in the group. */
static uint32_t add_column(struct columns *c, enum group group, uint32_t feature, uint32_t input,
                           uint32_t at[GROUPS])
{
    uint32_t before = 0;
    for (int g = 0; g < (int)group; g++) before += c->counts[g];
    c->features[group][at[group]] = feature;
    c->places[input] = before + at[group];
    return at[group]++;
}

static void add_rank(struct columns *c, const struct ig_encoder_feature *feature, uint32_t place)
{
    c->halves[place] = 2.0F / (float)(feature->knots_count - 1);
    for (uint32_t k = 0; k + 1 < feature->knots_count; k++) {
        c->starts[place * PARTS + k] = feature->knots[k];
        c->slopes[place * PARTS + k] = 1 / (feature->knots[k + 1] - feature->knots[k]);
    }
}

static void fill_columns(struct columns *c)
{
    uint32_t at[GROUPS] = {0};
    for (uint32_t f = 0; f < c->encoder->features_count; f++) {
        const struct ig_encoder_feature *feature = &c->encoder->features[f];
        uint32_t input = feature->first;
        for (uint32_t code = 0; code < feature->categories; code++, input++)
            c->codes[add_column(c, CODES, f, input, at)] = (float)code;
        if (!feature->categories) {
            uint32_t place = add_column(c, NUMBERS, f, input++, at);
            c->means[place] = feature->mean;
            c->scales[place] = 1 / feature->deviation;
            if (feature->knots_count > 1)
                add_rank(c, feature, add_column(c, RANKS, f, input++, at));
        }
        if (feature->missing)
            c->is_code[add_column(c, FLAGS, f, input, at)] = feature->categories > 0;
    }
}

/* ---- nodes ---- */

static const char *gather(struct onnx_writer *w, const char *from, const int64_t *which,
                          uint32_t count)
{
    const char *out = onnx_new_name(w, "columns");
    onnx_open_node(
        w, "", "Gather",
        &(struct onnx_ends){{from, onnx_constant_i64s(w, "which", which, count)}, {out}});
    onnx_attribute_i64(w, "axis", 1);
    onnx_close_node(w);
    return out;
}

static const char *clip(struct onnx_writer *w, const char *from, float least, float most)
{
    const char *out = onnx_new_name(w, "kept");
    onnx_open_node(w, "", "Clip",
                   &(struct onnx_ends){
                       {from, onnx_constant_f32(w, least), onnx_constant_f32(w, most)}, {out}});
    onnx_close_node(w);
    return out;
}

static const char *to_float(struct onnx_writer *w, const char *from)
{
    const char *out = onnx_new_name(w, "flags");
    onnx_open_node(w, "", "Cast", &(struct onnx_ends){{from}, {out}});
    onnx_attribute_i64(w, "to", IG_TENSOR_F32);
    onnx_close_node(w);
    return out;
}

/* `value`, or 0 where x is missing. */
static const char *or_zero(struct onnx_writer *w, const char *x, const char *value)
{
    const char *out = onnx_new_name(w, "known");
    const char *known = onnx_node(w, "Equal", x, x, NULL); /* NaN is not itself */
    onnx_open_node(w, "", "Where",
                   &(struct onnx_ends){{known, value, onnx_constant_f32(w, 0)}, {out}});
    onnx_close_node(w);
    return out;
}

static const char *write_numbers(struct columns *c, const char *x)
{
    struct onnx_writer *w = c->w;
    uint32_t count = c->counts[NUMBERS];
    const char *made =
        onnx_node(w, "Sub", x, onnx_constant_f32s(w, "means", c->means, count), NULL);
    made = onnx_node(w, "Mul", made, onnx_constant_f32s(w, "scales", c->scales, count), NULL);
    return or_zero(w, x, clip(w, made, -IG_ENCODER_CLIP, IG_ENCODER_CLIP));
}

static const char *write_ranks(struct columns *c, const char *x)
{
    struct onnx_writer *w = c->w;
    const int64_t count = c->counts[RANKS], deep[] = {-1, count, 1};
    const struct ig_tensor starts = {
        IG_TENSOR_F32, 3, {1, count, PARTS}, (size_t)count * PARTS, c->starts};
    const struct ig_tensor slopes = {
        IG_TENSOR_F32, 3, {1, count, PARTS}, (size_t)count * PARTS, c->slopes};
    static const int64_t AXIS[] = {2};
    const char *made = onnx_node(w, "Reshape", x, onnx_constant_i64s(w, "shape", deep, 3), NULL);
    made = onnx_node(w, "Sub", made, onnx_constant(w, "starts", &starts), NULL);
    made = onnx_node(w, "Mul", made, onnx_constant(w, "slopes", &slopes), NULL);
    const char *shares = clip(w, made, 0, 1), *mean = onnx_new_name(w, "mean");
    onnx_open_node(w, "", "ReduceMean", &(struct onnx_ends){{shares}, {mean}});
    onnx_attribute_i64s(w, "axes", AXIS, 1);
    onnx_attribute_i64(w, "keepdims", 0);
    onnx_close_node(w);
    for (int64_t i = 0; i < count; i++) c->halves[i] *= PARTS; /* a mean over all parts */
    made = onnx_node(w, "Mul", mean, onnx_constant_f32s(w, "halves", c->halves, count), NULL);
    return or_zero(w, x, onnx_node(w, "Sub", made, onnx_constant_f32(w, 1), NULL));
}

static const char *write_codes(struct columns *c, const char *x)
{
    struct onnx_writer *w = c->w;
    const char *codes = onnx_constant_f32s(w, "codes", c->codes, c->counts[CODES]);
    const char *whole = onnx_node(w, "Floor", x, NULL, NULL);
    return to_float(w, onnx_node(w, "Equal", whole, codes, NULL));
}

static const char *write_flags(struct columns *c, const char *x)
{
    struct onnx_writer *w = c->w;
    const int64_t count = c->counts[FLAGS];
    const struct ig_tensor is_code = {IG_TENSOR_BOOL, 1, {count}, (size_t)count, c->is_code};
    const char *unknown = onnx_node(w, "Not", onnx_node(w, "Equal", x, x, NULL), NULL, NULL);
    const char *below = onnx_node(w, "Less", x, onnx_constant_f32(w, 0), NULL);
    below = onnx_node(w, "And", below, onnx_constant(w, "is_code", &is_code), NULL);
    return to_float(w, onnx_node(w, "Or", unknown, below, NULL));
}

const char *onnx_write_encoder(struct onnx_writer *w, const struct ig_encoder *encoder)
{
    typedef const char *write_fn(struct columns *, const char *);
    static write_fn *const by_group[GROUPS] = {write_numbers, write_ranks, write_codes,
                                               write_flags};
    struct columns c = {.w = w, .encoder = encoder};
    const char *parts[GROUPS], *joined = onnx_new_name(w, "joined");
    uint32_t count = 0;
    count_columns(&c);
    if (!make_columns(&c)) return NULL;
    fill_columns(&c);
    const int64_t dims[] = {ONNX_OPEN_DIM, encoder->features_count};
    onnx_input(w, ONNX_INPUT, IG_TENSOR_F32, dims, 2);
    for (int g = 0; g < GROUPS; g++)
        if (c.counts[g])
            parts[count++] = by_group[g](&c, gather(w, ONNX_INPUT, c.features[g], c.counts[g]));
    onnx_open_node_of(w, "Concat", parts, count, joined);
    onnx_attribute_i64(w, "axis", 1);
    onnx_close_node(w);
    const char *inputs = gather(w, joined, c.places, encoder->inputs_count);
    if (!encoder->gains) return inputs;
    return onnx_node(w, "Mul", inputs,
                     onnx_constant_f32s(w, "gains", encoder->gains, encoder->inputs_count), NULL);
}
