/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the trees of a loaded model. Inputs become ranks first, by integer comparisons of the
 * floats' bits; then a split costs one comparison of small integers. Float arithmetic is in the
 * sums of float leaves alone. Stateless. */
#include "ingot_edge_file.h"

#ifndef IGE_NO_TREES

enum {
    NAN_LEFT = 1,
    NAN_RIGHT = 2,
    NAN_ZERO = 4,
    ZERO_LEFT = 8,
    ZERO_RIGHT = 16,
    CATEGORY = 32,
    CATEGORY_ZERO = 64,
    MISSING = 1, /* of categories' columns */
    UNKNOWN = 2,
};
#ifdef __GNUC__
#define IGE_APART __attribute__((noinline))
#define IGE_WITHIN __attribute__((always_inline)) inline
#else
#define IGE_APART
#define IGE_WITHIN inline
#endif
#define FORM 0xff0007ffU /* of the last word of a source */
#define INFINITE 0x7f800000U
#define TINY 0x0554ad2eU /* 1e-35 */

/* ---- arena: output, input, columns ---- */

static size_t output_bytes(const struct ige_model *model)
{
    return (size_t)model->outputs * (model->leaf == IGE_LEAF_F64 ? 8 : 4);
}

size_t ige_trees_arena_bytes(const struct ige_model *model)
{
    return output_bytes(model) + (size_t)model->features * sizeof(float) +
           (size_t)model->columns * model->rank_bytes;
}

void ige_trees_allocate(struct ige_interpreter *interpreter, uint8_t *arena)
{
    const struct ige_model *model = interpreter->model;
    struct ige_tensor *input = &interpreter->input, *output = &interpreter->output;
    int integers = model->leaf >= IGE_LEAF_I16;
    output->count = model->outputs;
    output->exponent = integers ? model->exponent : 0;
    output->type = model->leaf == IGE_LEAF_F32 ? IGE_FLOAT32 : IGE_FLOAT64;
    if (integers) output->type = IGE_INT32;
    output->data.f64 = (double *)(void *)arena;
    input->type = IGE_FLOAT32;
    input->count = model->features;
    input->exponent = 0;
    input->data.f32 = (float *)(void *)(arena + output_bytes(model));
    interpreter->columns = input->data.f32 + model->features;
    for (uint32_t i = 0; i < model->features; i++) input->data.f32[i] = 0;
}

/* ---- inputs ---- */

static uint32_t bits_of(const float *value)
{
    union {
        float f;
        uint32_t u;
    } pun;
    pun.f = *value;
    return pun.u;
}

/* The exponent of the greatest power of 2 that is at most `value`, which is not 0. */
#ifdef __GNUC__
static inline uint32_t log2_of(uint32_t value)
{
    return 31U - (uint32_t)__builtin_clz(value);
}
#else
static uint32_t log2_of(uint32_t value)
{
    uint32_t log = 0;
    while (value >>= 1) log++;
    return log;
}
#endif

/* Keys of three bytes are read as four: trees follow them, so that is inside the file. */
static inline uint32_t key_at(const uint8_t *at, uint32_t width)
{
    return width == 3 ? ige_u32(at) & 0xffffffU : ige_get(at, width);
}

/* How many of `count` keys, at least one, are at most `distance`: by steps of powers of 2, a bit of
 * the answer each. */
static inline uint32_t search(const uint8_t *keys, uint32_t count, uint32_t width,
                              uint32_t distance)
{
    const uint8_t *before = keys - width;
    uint32_t step = 1U << log2_of(count), reached = 0;
    if (key_at(before + step * width, width) <= distance) reached = count + 1 - step;
    while ((step >>= 1))
        if (key_at(before + (reached + step) * width, width) <= distance) reached += step;
    return reached;
}

static IGE_APART uint32_t count_reached(const uint8_t *keys, uint32_t count, uint32_t width,
                                        uint32_t distance)
{
    if (!count) return 0;
    switch (width) {
    case 1:
        return search(keys, count, 1, distance);
    case 2:
        return search(keys, count, 2, distance);
    case 3:
        return search(keys, count, 3, distance);
    default:
        return search(keys, count, 4, distance);
    }
}

/* `keys` are the count of buckets, for each and the end how many keys are before it, then what of
 * the keys lies within their buckets, which hold few as a rule. */
static inline uint32_t count_in_buckets(const uint8_t *keys, uint32_t count, uint32_t bits,
                                        uint32_t width, uint32_t distance)
{
    uint32_t bucket = distance >> bits, buckets = keys[0];
    if (bucket >= buckets) return count;
    uint32_t before = keys[bucket + 1], own = keys[bucket + 2] - before;
    distance -= bucket << bits;
    keys += buckets + 2 + before * width;
    while (own > 8) {
        uint32_t half = own / 2;
        if (ige_get(keys + (half - 1) * width, width) <= distance) {
            before += half;
            keys += half * width;
        }
        own -= half;
    }
    for (own += before; before < own && ige_get(keys, width) <= distance; before++) keys += width;
    return before;
}

/* How many thresholds a number reaches. */
static IGE_APART uint32_t rank_of(const uint8_t *source, const uint8_t *keys, uint32_t bits)
{
    int32_t key = source[11] ? ige_grid_key(bits, source[11]) : ige_order_key(bits);
    int32_t base = (int32_t)ige_u32(source + 4);
    uint32_t count = ige_u16(source + 2), kept = source[9], bucket = kept >> IGE_BUCKET_SHIFT;
    if (key < base) return 0;
    uint32_t distance = ((uint32_t)key - (uint32_t)base) >> source[10];
    if (!kept) return distance < count ? distance + 1 : count;
    return bucket ? count_in_buckets(keys, count, bucket, bucket > 8 ? 2 : 1, distance)
                  : count_reached(keys, count, kept, distance);
}

/* A number's column by one of its rules; `rank` is that of the number, or of 0 for NaN. */
static uint32_t number_column(const struct ige_model *model, uint32_t rank, uint32_t bits,
                              uint32_t rule)
{
    uint32_t size = bits & IGE_MAGNITUDE;
    int missing = size > INFINITE || (rule >= ZERO_LEFT && size <= TINY);
    if (!missing || rule == NAN_ZERO) return rank;
    return rule & (NAN_RIGHT | ZERO_RIGHT) ? model->missing_rank : 0;
}

static uint32_t category_column(const struct ige_model *model, const uint8_t *source, uint32_t bits,
                                uint32_t rule)
{
    uint32_t size = bits & IGE_MAGNITUDE, exponent = size >> 23, code = 0;
    if (size > INFINITE || (rule == CATEGORY_ZERO && size <= TINY)) return MISSING;
    if (exponent >= 127) {
        if (bits != size || exponent > 127 + 23) return UNKNOWN;
        code = ((size & 0x7fffffU) | 0x800000U) >> (150 - exponent);
    } else if (bits != size && size && !(model->flags & IGE_TRUNCATES)) {
        return UNKNOWN;
    }
    return code < ige_u16(source + 2) ? code + IGE_CODE : UNKNOWN;
}

/* The columns of a source, one a rule, from `column` on; where the next ones begin. */
static IGE_APART uint32_t fill_rules(const struct ige_interpreter *interpreter,
                                     const uint8_t *source, uint32_t rank, uint32_t column)
{
    const struct ige_model *model = interpreter->model;
    uint8_t *narrow = interpreter->columns;
    uint16_t *wide = interpreter->columns;
    uint32_t *shifted = interpreter->columns;
    uint32_t bits = bits_of(interpreter->input.data.f32 + ige_u16(source));
    for (uint32_t rules = source[8]; rules; rules &= rules - 1, column++) {
        uint32_t rule = rules & (0U - rules);
        uint32_t value = rule < CATEGORY ? number_column(model, rank, bits, rule)
                                         : category_column(model, source, bits, rule);
        if (model->rank_bytes == 4)
            shifted[column] = value << (32U - model->threshold_bits);
        else if (model->rank_bytes == 1)
            narrow[column] = (uint8_t)value;
        else
            wide[column] = (uint16_t)value;
    }
    return column;
}

/* Where the columns of all sources are made. */
struct filling {
    const uint8_t *source, *end, *keys;
    const float *input;
    uint32_t *column; /* of words, which hold ranks in their topmost bits */
    uint32_t up;
};

/* What is the same of sources that are filled in one run: rules, how keys are kept, grid. */
static inline uint32_t form_of(const uint8_t *source)
{
    return ige_u32(source + 8) & FORM;
}

/* Keys are their own ranks, or in buckets of bytes, or kept in any way. */
enum keys { IMPLIED, BUCKETS, ANY_KEYS };
enum grids { NO_GRID, NEAR, ABOVE };

static inline int32_t key_of(uint32_t bits, enum grids grids, uint32_t power)
{
    if (grids == NO_GRID) return ige_order_key(bits);
    return grids == NEAR ? ige_near_key(bits, power) : ige_above_key(bits, power);
}

/* Sources side by side of one form, as long as no value is missing; a column for each of the rules.
 */
static IGE_WITHIN void fill_run(struct filling *filling, enum grids grids, enum keys kind)
{
    const uint8_t *source = filling->source, *keys = filling->keys, *end = filling->end;
    const float *input = filling->input;
    uint32_t form = form_of(source), power = ige_power(source[11]), up = filling->up;
    uint32_t others = source[8] & (source[8] - 1U), *column = filling->column;
    for (; source < end && form_of(source) == form; source += IGE_SOURCE_BYTES) {
        uint32_t bits = bits_of(input + ige_u16(source)), rank = 0;
        if ((bits & IGE_MAGNITUDE) > INFINITE) break;
        if (kind == ANY_KEYS) {
            rank = rank_of(source, keys, bits);
            keys += ige_keys_bytes(source, keys);
        } else {
            int32_t key = key_of(bits, grids, power);
            int32_t base = (int32_t)ige_u32(source + 4);
            uint32_t count = ige_u16(source + 2), bucket = source[9] >> IGE_BUCKET_SHIFT;
            uint32_t distance = ((uint32_t)key - (uint32_t)base) >> source[10];
            if (key >= base && kind == IMPLIED)
                rank = distance < count ? distance + 1 : count;
            else if (key >= base)
                rank = count_in_buckets(keys, count, bucket, 1, distance);
            if (kind == BUCKETS) keys += keys[0] + count + 2;
        }
        rank <<= up;
        *column++ = rank;
        for (uint32_t rules = others; rules; rules &= rules - 1) *column++ = rank;
    }
    filling->source = source;
    filling->keys = keys;
    filling->column = column;
}

static IGE_APART void fill_numbers(struct filling *filling)
{
    fill_run(filling, NO_GRID, IMPLIED);
}

static IGE_APART void fill_grids(struct filling *filling)
{
    fill_run(filling, NEAR, IMPLIED);
}

static IGE_APART void fill_buckets(struct filling *filling)
{
    fill_run(filling, NEAR, BUCKETS);
}

static IGE_APART void fill_buckets_above(struct filling *filling)
{
    fill_run(filling, ABOVE, BUCKETS);
}

static IGE_APART void fill_any(struct filling *filling)
{
    fill_run(filling, NO_GRID, ANY_KEYS);
}

/* Sources whose columns are ranks; whether there were any. */
static int fill_ranks(struct filling *filling)
{
    const uint8_t *source = filling->source;
    uint32_t kept = source[9] & IGE_KEPT, grid = source[11];
    if (source[8] >= ZERO_LEFT) return 0;
    if (!kept && grid <= IGE_DECIMALS)
        (grid ? fill_grids : fill_numbers)(filling);
    else if (grid && kept == IGE_BUCKETS + 1)
        (grid > IGE_DECIMALS ? fill_buckets_above : fill_buckets)(filling);
    else
        fill_any(filling);
    return filling->source > source;
}

static IGE_APART void fill_columns(const struct ige_interpreter *interpreter)
{
    const struct ige_model *model = interpreter->model;
    struct filling filling = {
        model->source,        model->source + model->sources * IGE_SOURCE_BYTES,
        model->keys,          interpreter->input.data.f32,
        interpreter->columns, 0};
    uint32_t *columns = interpreter->columns, column = 0;
    int words = model->rank_bytes == 4;
    if (words) filling.up = 32U - model->threshold_bits;
    while (filling.source < filling.end) {
        const uint8_t *source = filling.source;
        if (words && fill_ranks(&filling)) continue;
        uint32_t bits = bits_of(filling.input + ige_u16(source)), rank = 0;
        if ((bits & IGE_MAGNITUDE) > INFINITE) bits = 0;
        if (source[8] < CATEGORY) {
            rank = rank_of(source, filling.keys, bits);
            filling.keys += ige_keys_bytes(source, filling.keys);
        }
        if (words) column = (uint32_t)(filling.column - columns);
        column = fill_rules(interpreter, source, rank, column);
        if (words) filling.column = columns + column;
        filling.source += IGE_SOURCE_BYTES;
    }
}

/* ---- trees ---- */

static int goes_right(const struct ige_model *model, const struct ige_split *split, uint32_t value)
{
    if (split->column < model->first_category) return value >= split->threshold;
    const uint8_t *starts = model->set_starts + split->threshold * model->set_width;
    uint32_t start = ige_get(starts, model->set_width);
    uint32_t bytes = ige_get(starts + model->set_width, model->set_width) - start;
    const uint8_t *set = model->set_bytes + start;
    uint32_t bit = value / 8 < bytes ? (uint32_t)set[value / 8] >> (value % 8) : 0;
    return (int)((bit ^ set[0]) & 1);
}

/* Any layout. */
static const uint8_t *walk(const struct ige_interpreter *interpreter, const uint8_t *at)
{
    const struct ige_model *model = interpreter->model;
    const uint8_t *narrow = interpreter->columns;
    const uint16_t *wide = interpreter->columns;
    for (;;) {
        struct ige_split split = ige_read_split(model, at);
        uint32_t value = model->rank_bytes == 1 ? narrow[split.column] : wide[split.column];
        at += model->node_bytes;
        if (goes_right(model, &split, value)) {
            at += split.skip;
            if (split.right_leaf) return at;
        } else if (split.left_leaf) {
            return at;
        }
    }
}

/* Splits of at most four bytes over numbers: the columns hold ranks in their topmost bits, where a
 * shift brings the threshold as well. Always reads four bytes, which is one instruction: two leaves
 * follow a split at least. */
static inline const uint8_t *walk_short(const struct ige_model *model, const uint32_t *columns,
                                        const uint8_t *at)
{
    uint32_t bytes = model->node_bytes, top = 32 - 8 * bytes;
    uint32_t up = 32U - model->threshold_bits, skip_up = up - model->skip_bits;
    uint32_t column_up = skip_up - model->column_bits;
    uint32_t column = 32U - model->column_bits, skip = 32U - model->skip_bits;
    for (;;) {
        uint32_t word = ige_u32(at), flags = word << top;
        at += bytes;
        if (columns[word << column_up >> column] >= word << up) {
            at += word << skip_up >> skip;
            if (flags & 0x40000000U) return at;
        } else if (flags & 0x80000000U) {
            return at;
        }
    }
}

/* The usual layouts of splits in two, three and four bytes, where all widths are constants:
 * `column` and `skip` are taken from `word`. On Cortex-M4 a compiler makes two or three
 * instructions more of a step. Deep trees are walked without a look for leaves at first. */
#if defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
#define STEP(bytes, column, threshold)                                                             \
    "   ldr %1, [%0], #" bytes "\n"                                                                \
    "   ubfx %2, %1, #" column "\n"                                                                \
    "   ldr %2, [%3, %2, lsl #2]\n"                                                                \
    "   cmp %2, %1, lsl #" threshold "\n"
#define PASS(bytes, column, threshold, skip)                                                       \
    STEP(bytes, column, threshold) "    blo.n 4f\n" skip "\n4:\n"
#define TWICE(bytes, column, threshold, skip)                                                      \
    PASS(bytes, column, threshold, skip) PASS(bytes, column, threshold, skip)
#define WALK(first, bytes, column, threshold, skip, right_leaf, left_leaf)                         \
    uint32_t word, cell;                                                                           \
    (void)model;                                                                                   \
    __asm__(first(bytes, column, threshold,                                                        \
                  skip) "1:\n" STEP(bytes, column, threshold) "    bhs.n 2f\n"                     \
                                                              "    lsls %2, %1, #" left_leaf "\n"  \
                                                              "    bpl.n 1b\n"                     \
                                                              "    b.n 3f\n"                       \
                                                              "2:  " skip "\n"                     \
                                                              "    lsls %2, %1, #" right_leaf "\n" \
                                                              "    bpl.n 1b\n"                     \
                                                              "3:\n"                               \
            : "+&r"(at), "=&r"(word), "=&r"(cell)                                                  \
            : "r"(columns)                                                                         \
            : "cc", "memory");                                                                     \
    return at;
#define WALK_TWO(first)                                                                            \
    WALK(first, "2", "10, #4", "27", "ubfx %2, %1, #5, #5\n    add %0, %2", "17", "16")
#define WALK_THREE(first) WALK(first, "3", "16, #6", "24", "uxtab %0, %0, %1, ror #8", "9", "8")
#define WALK_NINE(first)                                                                           \
    WALK(first, "3", "18, #4", "23", "ubfx %2, %1, #9, #9\n    add %0, %2", "9", "8")
#define WALK_FOUR(first)                                                                           \
    WALK(first, "4", "24, #6", "20", "ubfx %2, %1, #12, #12\n    add %0, %2", "1", "0")
#else
#define STEP(bytes, column, threshold)                                                             \
    word = ige_u32(at);                                                                            \
    at += (bytes);                                                                                 \
    right = columns[column] >= word << (threshold);
#define PASS(bytes, column, threshold, skip)                                                       \
    STEP(bytes, column, threshold)                                                                 \
    if (right) at += skip;
#define TWICE(bytes, column, threshold, skip)                                                      \
    PASS(bytes, column, threshold, skip)                                                           \
    PASS(bytes, column, threshold, skip)
#define WALK(first, bytes, column, threshold, skip, right_leaf, left_leaf)                         \
    uint32_t word;                                                                                 \
    int right;                                                                                     \
    (void)model;                                                                                   \
    first(bytes, column, threshold, skip) for (;;)                                                 \
    {                                                                                              \
        STEP(bytes, column, threshold)                                                             \
        if (right) {                                                                               \
            at += skip;                                                                            \
            if (word & (right_leaf)) return at;                                                    \
        } else if (word & (left_leaf)) {                                                           \
            return at;                                                                             \
        }                                                                                          \
    }
#define WALK_TWO(first) WALK(first, 2, word >> 10 & 15, 27, word >> 5 & 31, 0x4000U, 0x8000U)
#define WALK_THREE(first) WALK(first, 3, word >> 16 & 63, 24, word >> 8 & 255, 0x400000U, 0x800000U)
#define WALK_NINE(first) WALK(first, 3, word >> 18 & 15, 23, word >> 9 & 511, 0x400000U, 0x800000U)
#define WALK_FOUR(first)                                                                           \
    WALK(first, 4, word >> 24 & 63, 20, word >> 12 & 4095, 0x40000000U, 0x80000000U)
#endif
#define NEVER(bytes, column, threshold, skip)
#define WALKER(name, body, first)                                                                  \
    static inline const uint8_t *name(const struct ige_model *model, const uint32_t *columns,      \
                                      const uint8_t *at)                                           \
    {                                                                                              \
        body(first)                                                                                \
    }
WALKER(walk_two, WALK_TWO, NEVER)
WALKER(walk_three, WALK_THREE, NEVER)
WALKER(walk_nine, WALK_NINE, NEVER)
WALKER(walk_four, WALK_FOUR, NEVER)
WALKER(walk_deep_three, WALK_THREE, TWICE)
WALKER(walk_deep_nine, WALK_NINE, TWICE)

enum layout { ANY, SHORT, TWO, THREE, NINE, FOUR };

static int is_layout(const struct ige_model *model, uint32_t bytes, uint32_t threshold,
                     uint32_t skip, uint32_t column)
{
    return model->node_bytes == bytes && model->threshold_bits == threshold &&
           model->skip_bits == skip && model->column_bits == column;
}

static enum layout layout_of(const struct ige_model *model)
{
    if (model->rank_bytes < 4) return ANY;
    if (is_layout(model, 2, 5, 5, 4)) return TWO;
    if (is_layout(model, 3, 8, 8, 6)) return THREE;
    if (is_layout(model, 3, 9, 9, 4)) return NINE;
    return is_layout(model, 4, 12, 12, 6) ? FOUR : SHORT;
}

/* ---- sums ---- */

#ifdef IGE_NO_FLOAT
static void add_float(const struct ige_interpreter *interpreter, const uint8_t *values,
                      uint32_t output)
{
    (void)interpreter, (void)values, (void)output;
}

static void end_float(const struct ige_interpreter *interpreter)
{
    (void)interpreter;
}
#else
static double f64_at(const uint8_t *at)
{
    union {
        uint64_t u;
        double d;
    } pun;
    pun.u = (uint64_t)ige_u32(at) | (uint64_t)ige_u32(at + 4) << 32;
    return pun.d;
}

static void add_float(const struct ige_interpreter *interpreter, const uint8_t *values,
                      uint32_t output)
{
    if (interpreter->model->leaf == IGE_LEAF_F64)
        interpreter->output.data.f64[output] += f64_at(values);
    else
        interpreter->output.data.f32[output] += ige_f32(values);
}

static void end_float(const struct ige_interpreter *interpreter)
{
    const struct ige_model *model = interpreter->model;
    int average = (model->flags & IGE_AVERAGE) != 0, last = !(model->flags & IGE_BASE_FIRST);
    for (uint32_t o = 0; o < model->outputs; o++) {
        double *wide = interpreter->output.data.f64 + o;
        float *narrow = interpreter->output.data.f32 + o;
        if (model->leaf == IGE_LEAF_F64) {
            if (average) *wide /= (double)model->iterations;
            *wide += f64_at(model->base + 8 * o);
            continue;
        }
        if (average) *narrow = (float)((double)*narrow / (double)model->iterations);
        if (last) *narrow += ige_f32(model->base + 4 * o);
    }
}
#endif

static void start_sums(const struct ige_interpreter *interpreter)
{
    const struct ige_model *model = interpreter->model;
    uint32_t words = model->leaf == IGE_LEAF_F64 ? 2 * model->outputs : model->outputs;
    int base = model->leaf >= IGE_LEAF_I16 ||
               (model->leaf == IGE_LEAF_F32 && (model->flags & IGE_BASE_FIRST));
    for (uint32_t i = 0; i < words; i++)
        interpreter->output.data.i32[i] = base ? (int32_t)ige_u32(model->base + 4 * i) : 0;
}

/* Unsigned, so that a sum past 31 bits, which no good file has, is no trap. */
static inline void add_to(int32_t *sum, uint32_t value)
{
    *sum = (int32_t)((uint32_t)*sum + value);
}

static inline void add_integer(int32_t *sum, const uint8_t *at, int narrow, uint32_t shift)
{
    int32_t value = narrow ? ((const int8_t *)at)[0] : (int16_t)ige_u16(at);
    add_to(sum, (uint32_t)value << shift);
}

static void add_leaf(const struct ige_interpreter *interpreter, const uint8_t *leaf,
                     uint32_t output, uint32_t shift)
{
    const struct ige_model *model = interpreter->model;
    if (model->index_bytes)
        leaf = model->table +
               ige_get(leaf, model->index_bytes) * model->value_bytes * model->leaf_values;
    for (uint32_t i = 0; i < model->leaf_values; i++, leaf += model->value_bytes) {
        if (model->leaf < IGE_LEAF_I16)
            add_float(interpreter, leaf, output + i);
        else
            add_integer(interpreter->output.data.i32 + output + i, leaf, model->leaf == IGE_LEAF_I8,
                        shift);
    }
}

/* The commonest models: short splits, integer leaves that stand in the trees and have shifts. A
 * loop a layout and width of sizes, since its few variables then all fit a Cortex-M's registers. A
 * leaf of one byte is read with the one before it. */
#define TREES(leaf_bytes)                                                                          \
    const uint8_t *at = model->nodes, *sizes = model->tree_bytes, *shift = model->tree_shifts;     \
    const uint8_t *end;                                                                            \
    uint32_t behind = 2U - (leaf_bytes), drop = 8 * behind;
#define EACH_TREE(until, width, walk_on, add)                                                      \
    end = until;                                                                                   \
    while (sizes < end) {                                                                          \
        const uint8_t *leaf = walk_on(model, columns, at) - behind;                                \
        uint32_t value = (uint32_t)((int16_t)ige_u16(leaf) >> drop) << *shift++;                   \
        add;                                                                                       \
        at += ige_get(sizes, width);                                                               \
        sizes += (width);                                                                          \
    }
#define SUM_OF_ONE(name, width, leaf_bytes, walk_on)                                               \
    static IGE_APART int32_t name(const struct ige_model *model, const uint32_t *columns,          \
                                  int32_t start)                                                   \
    {                                                                                              \
        uint32_t sum = (uint32_t)start;                                                            \
        TREES(leaf_bytes)                                                                          \
        EACH_TREE(model->tree_outputs, width, walk_on, sum += value)                               \
        return (int32_t)sum;                                                                       \
    }
#define SUM_OF_DEEP(name, width, leaf_bytes, layout)                                               \
    static IGE_APART int32_t name(const struct ige_model *model, const uint32_t *columns,          \
                                  int32_t start)                                                   \
    {                                                                                              \
        uint32_t sum = (uint32_t)start;                                                            \
        TREES(leaf_bytes)                                                                          \
        EACH_TREE(sizes + (width)*model->deep, width, walk_deep_##layout, sum += value)            \
        EACH_TREE(model->tree_outputs, width, walk_##layout, sum += value)                         \
        return (int32_t)sum;                                                                       \
    }
#define SUMS_OF_SEVERAL(name, width, layout)                                                       \
    static IGE_APART void name(const struct ige_model *model, const uint32_t *columns,             \
                               int32_t *sums)                                                      \
    {                                                                                              \
        const uint8_t *output = model->tree_outputs;                                               \
        TREES(model->leaf_bytes)                                                                   \
        EACH_TREE(sizes + (width)*model->deep, width, walk_deep_##layout,                          \
                  add_to(sums + *output++, value))                                                 \
        EACH_TREE(model->tree_outputs, width, walk_##layout, add_to(sums + *output++, value))      \
    }

SUM_OF_ONE(sum_two, 1, model->leaf_bytes, walk_two)
SUM_OF_DEEP(sum_small, 1, model->leaf_bytes, three)
SUM_OF_DEEP(sum_small_int16, 1, 2, three)
SUM_OF_DEEP(sum_three, 2, model->leaf_bytes, three)
SUM_OF_DEEP(sum_three_int16, 2, 2, three)
SUM_OF_DEEP(sum_nine, 2, model->leaf_bytes, nine)
SUM_OF_DEEP(sum_nine_int16, 2, 2, nine)
SUM_OF_ONE(sum_four, 2, model->leaf_bytes, walk_four)
SUM_OF_ONE(sum_short, model->tree_width, model->leaf_bytes, walk_short)
SUMS_OF_SEVERAL(add_small, 1, three)
SUMS_OF_SEVERAL(add_three, 2, three)

static int32_t sum_one(const struct ige_model *model, enum layout layout, const uint32_t *columns,
                       int32_t sum)
{
    int wide = model->leaf_bytes == 2;
    if (model->tree_width == 1 && layout == TWO) return sum_two(model, columns, sum);
    if (model->tree_width == 1 && layout == THREE)
        return (wide ? sum_small_int16 : sum_small)(model, columns, sum);
    if (model->tree_width != 2 || layout == TWO || layout == SHORT)
        return sum_short(model, columns, sum);
    if (layout == THREE) return (wide ? sum_three_int16 : sum_three)(model, columns, sum);
    if (layout == NINE) return (wide ? sum_nine_int16 : sum_nine)(model, columns, sum);
    return sum_four(model, columns, sum);
}

/* Whether the model is one of the commonest. */
static int run_common(const struct ige_interpreter *interpreter)
{
    const struct ige_model *model = interpreter->model;
    int32_t *sums = interpreter->output.data.i32;
    enum layout layout = layout_of(model);
    if (model->leaf < IGE_LEAF_I16 || model->index_bytes || model->leaf_values > 1 ||
        model->stumps || !(model->flags & IGE_SHIFTS) || layout == ANY)
        return 0;
    if (model->outputs == 1)
        sums[0] = sum_one(model, layout, interpreter->columns, sums[0]);
    else if (layout == THREE && model->output_width == 1 && model->tree_width == 1)
        add_small(model, interpreter->columns, sums);
    else if (layout == THREE && model->output_width == 1 && model->tree_width == 2)
        add_three(model, interpreter->columns, sums);
    else
        return 0;
    return 1;
}

static IGE_APART void run_trees(const struct ige_interpreter *interpreter)
{
    const struct ige_model *model = interpreter->model;
    const uint8_t *at = model->nodes, *sizes = model->tree_bytes, *outputs = model->tree_outputs;
    const uint8_t *shifts = model->flags & IGE_SHIFTS ? model->tree_shifts : NULL;
    const uint32_t *columns = interpreter->columns;
    int simple = model->leaf_values == 1 && !model->index_bytes && model->leaf >= IGE_LEAF_I16;
    int narrow = model->leaf == IGE_LEAF_I8;
    uint32_t width = model->tree_width, output_width = model->output_width;
    uint32_t leaf_bytes = model->leaf_bytes;
    enum layout layout = layout_of(model);
    for (uint32_t t = 0; t < model->trees; t++) {
        uint32_t bytes = ige_get(sizes, width), output = ige_get(outputs, output_width);
        uint32_t shift = shifts ? shifts[t] : 0;
        const uint8_t *leaf = at;
        if (bytes != leaf_bytes)
            leaf = layout == ANY     ? walk(interpreter, at)
                   : layout == TWO   ? walk_two(model, columns, at)
                   : layout == THREE ? walk_three(model, columns, at)
                   : layout == NINE  ? walk_nine(model, columns, at)
                   : layout == FOUR  ? walk_four(model, columns, at)
                                     : walk_short(model, columns, at);
        if (simple)
            add_integer(interpreter->output.data.i32 + output, leaf, narrow, shift);
        else
            add_leaf(interpreter, leaf, output, shift);
        at += bytes;
        sizes += width;
        outputs += output_width;
    }
}

void ige_trees_invoke(struct ige_interpreter *interpreter)
{
    const struct ige_model *model = interpreter->model;
    fill_columns(interpreter);
    start_sums(interpreter);
    if (!run_common(interpreter)) run_trees(interpreter);
    if (model->leaf < IGE_LEAF_I16) end_float(interpreter);
}

/* ---- classes ---- */

/* 1 when output a is over output b. */
static int is_over(const struct ige_tensor *tensor, uint32_t a, uint32_t b)
{
    if (tensor->type == IGE_INT32) return tensor->data.i32[a] > tensor->data.i32[b];
    if (!IGE_HAS_FLOAT) return 0;
    if (tensor->type == IGE_FLOAT32) return tensor->data.f32[a] > tensor->data.f32[b];
    return tensor->data.f64[a] > tensor->data.f64[b];
}

int32_t ige_trees_class(const struct ige_interpreter *interpreter)
{
    const struct ige_tensor *tensor = &interpreter->output;
    int probability = interpreter->model->transform == IGE_TRANSFORM_PROBABILITY;
    uint32_t best = 0;
    for (uint32_t o = 1; o < tensor->count; o++)
        if (is_over(tensor, o, best)) best = o;
    if (tensor->count > 1) return (int32_t)best;
    int32_t half = -1 - tensor->exponent;
    if (tensor->type == IGE_INT32)
        return tensor->data.i32[0] > (probability && half >= 0 && half < 31 ? 1 << half : 0);
    if (!IGE_HAS_FLOAT) return 0;
    if (tensor->type == IGE_FLOAT32) return tensor->data.f32[0] > (probability ? 0.5F : 0.0F);
    return tensor->data.f64[0] > (probability ? 0.5 : 0.0);
}
#endif
