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
#else
#define IGE_APART
#endif
#define MAGNITUDE 0x7fffffffU
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

/* How many of `left` keys are at most `distance`. Keys are read as four bytes, whatever their
 * width: trees follow them, so that is inside the file. Apart, for the sake of its registers. */
static IGE_APART uint32_t count_reached(const uint8_t *keys, uint32_t left, uint32_t width,
                                        uint32_t distance)
{
    const uint8_t *from = keys;
    uint32_t mask = ~0U >> (32 - 8 * width);
    while (left) {
        uint32_t half = left / 2;
        const uint8_t *middle = from + half * width;
        if ((ige_u32(middle) & mask) <= distance) {
            from = middle + width;
            left -= half + 1;
        } else {
            left = half;
        }
    }
    return (uint32_t)(from - keys) / width;
}

/* How many thresholds a number reaches. */
static inline uint32_t rank_of(const uint8_t *source, const uint8_t *keys, uint32_t bits)
{
    int32_t key = (int32_t)(bits >> 31 ? 0x80000000U - bits : bits);
    int32_t base = (int32_t)ige_u32(source + 4);
    if (key < base) return 0;
    return count_reached(keys, ige_u16(source + 2), source[9],
                         ((uint32_t)key - (uint32_t)base) >> source[10]);
}

/* A number's column by one of its rules; `rank` is that of the number, or of 0 for NaN. */
static uint32_t number_column(const struct ige_model *model, uint32_t rank, uint32_t bits,
                              uint32_t rule)
{
    uint32_t size = bits & MAGNITUDE;
    int missing = size > INFINITE || (rule >= ZERO_LEFT && size <= TINY);
    if (!missing || rule == NAN_ZERO) return rank;
    return rule & (NAN_RIGHT | ZERO_RIGHT) ? model->missing_rank : 0;
}

static uint32_t category_column(const struct ige_model *model, const uint8_t *source, uint32_t bits,
                                uint32_t rule)
{
    uint32_t size = bits & MAGNITUDE, exponent = size >> 23, code = 0;
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

static IGE_APART void fill_columns(const struct ige_interpreter *interpreter)
{
    const struct ige_model *model = interpreter->model;
    const uint8_t *keys = model->keys, *source = model->source;
    uint32_t *shifted = interpreter->columns;
    uint32_t column = 0, shift = 32U - model->threshold_bits;
    for (uint32_t i = model->sources; i; i--, source += IGE_SOURCE_BYTES) {
        uint32_t bits = bits_of(interpreter->input.data.f32 + ige_u16(source));
        uint32_t rules = source[8], missing = (bits & MAGNITUDE) > INFINITE, rank = 0;
        if (rules < CATEGORY) {
            rank = rank_of(source, keys, missing ? 0 : bits);
            keys += ige_u16(source + 2) * source[9];
        }
        if (model->rank_bytes == 4 && rules <= NAN_ZERO && rules != 3 && !missing)
            shifted[column++] = rank << shift; /* the usual case */
        else
            column = fill_rules(interpreter, source, rank, column);
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
static IGE_APART const uint8_t *walk_short(const struct ige_model *model, const uint32_t *columns,
                                           const uint8_t *at)
{
    uint32_t bytes = model->node_bytes, shift = 32 - 8 * bytes;
    uint32_t up = 32U - model->threshold_bits, skip = (1U << model->skip_bits) - 1;
    uint32_t skip_at = model->threshold_bits, column_at = skip_at + model->skip_bits;
    uint32_t column = (1U << model->column_bits) - 1;
    for (;;) {
        uint32_t word = ige_u32(at), flags = word << shift;
        at += bytes;
        if (columns[word >> column_at & column] >= word << up) {
            at += word >> skip_at & skip;
            if (flags & 0x40000000U) return at;
        } else if (flags & 0x80000000U) {
            return at;
        }
    }
}

/* The usual layouts of splits in three and in four bytes, where all widths are constants: `column`
 * and `skip` are taken from `word`. On Cortex-M4 a compiler makes two or three instructions more of
 * a step. */
#if defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
#define WALK(bytes, column, threshold, skip, right_leaf, left_leaf)                                \
    uint32_t word, cell;                                                                           \
    __asm__("1:  ldr %1, [%0], #" bytes "\n"                                                       \
            "    ubfx %2, %1, #" column "\n"                                                       \
            "    ldr %2, [%3, %2, lsl #2]\n"                                                       \
            "    cmp %2, %1, lsl #" threshold "\n"                                                 \
            "    bhs.n 2f\n"                                                                       \
            "    lsls %2, %1, #" left_leaf "\n"                                                    \
            "    bpl.n 1b\n"                                                                       \
            "    b.n 3f\n"                                                                         \
            "2:  " skip "\n"                                                                       \
            "    lsls %2, %1, #" right_leaf "\n"                                                   \
            "    bpl.n 1b\n"                                                                       \
            "3:\n"                                                                                 \
            : "+&r"(at), "=&r"(word), "=&r"(cell)                                                  \
            : "r"(columns)                                                                         \
            : "cc", "memory");                                                                     \
    return at;

static inline const uint8_t *walk_three(const uint32_t *columns, const uint8_t *at)
{
    WALK("3", "16, #6", "24", "uxtab %0, %0, %1, ror #8", "9", "8")
}

static inline const uint8_t *walk_nine(const uint32_t *columns, const uint8_t *at)
{
    WALK("3", "18, #4", "23", "ubfx %2, %1, #9, #9\n    add %0, %2", "9", "8")
}

static inline const uint8_t *walk_four(const uint32_t *columns, const uint8_t *at)
{
    WALK("4", "24, #6", "20", "ubfx %2, %1, #12, #12\n    add %0, %2", "1", "0")
}
#else
#define WALK(bytes, column, threshold, skip, right_leaf, left_leaf)                                \
    for (;;) {                                                                                     \
        uint32_t word = ige_u32(at);                                                               \
        at += (bytes);                                                                             \
        if (columns[column] >= word << (threshold)) {                                              \
            at += skip;                                                                            \
            if (word & (right_leaf)) return at;                                                    \
        } else if (word & (left_leaf)) {                                                           \
            return at;                                                                             \
        }                                                                                          \
    }

static inline const uint8_t *walk_three(const uint32_t *columns, const uint8_t *at)
{
    WALK(3, word >> 16 & 63, 24, word >> 8 & 255, 0x400000U, 0x800000U)
}

static inline const uint8_t *walk_nine(const uint32_t *columns, const uint8_t *at)
{
    WALK(3, word >> 18 & 15, 23, word >> 9 & 511, 0x400000U, 0x800000U)
}

static inline const uint8_t *walk_four(const uint32_t *columns, const uint8_t *at)
{
    WALK(4, word >> 24 & 63, 20, word >> 12 & 4095, 0x40000000U, 0x80000000U)
}
#endif

enum layout { ANY, SHORT, THREE, NINE, FOUR };

static int is_layout(const struct ige_model *model, uint32_t bytes, uint32_t threshold,
                     uint32_t skip, uint32_t column)
{
    return model->node_bytes == bytes && model->threshold_bits == threshold &&
           model->skip_bits == skip && model->column_bits == column;
}

static enum layout layout_of(const struct ige_model *model)
{
    if (model->rank_bytes < 4) return ANY;
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
static float f32_at(const uint8_t *at)
{
    union {
        uint32_t u;
        float f;
    } pun;
    pun.u = ige_u32(at);
    return pun.f;
}

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
        interpreter->output.data.f32[output] += f32_at(values);
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
        if (last) *narrow += f32_at(model->base + 4 * o);
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
static inline void add_integer(int32_t *sum, const uint8_t *at, int narrow, uint32_t shift)
{
    uint32_t value = narrow ? (uint32_t)((const int8_t *)at)[0] : (ige_u16(at) ^ 0x8000U) - 0x8000U;
    *sum = (int32_t)((uint32_t)*sum + (value << shift));
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

/* The commonest model: one output, integer leaves that stand in the trees, short splits. A loop a
 * layout, since its few variables then all fit a Cortex-M's registers. */
#define SUM_INTEGERS(name, walk_on)                                                                \
    static IGE_APART int32_t name(const struct ige_model *model, const uint32_t *columns,          \
                                  int32_t sum)                                                     \
    {                                                                                              \
        const uint8_t *at = model->nodes, *sizes = model->tree_bytes, *end = model->tree_outputs;  \
        static const uint8_t none = 0;                                                             \
        uint32_t next = (model->flags & IGE_SHIFTS) != 0;                                          \
        const uint8_t *shift = next ? model->tree_shifts : &none;                                  \
        uint32_t width = model->tree_width, leaf_bytes = model->leaf_bytes;                        \
        uint32_t mask = width == 1 ? 0xffU : 0xffffU;                                              \
        while (sizes < end) {                                                                      \
            uint32_t bytes = ige_u16(sizes) & mask;                                                \
            const uint8_t *leaf = at;                                                              \
            if (bytes != leaf_bytes) leaf = walk_on;                                               \
            add_integer(&sum, leaf, leaf_bytes == 1, *shift);                                      \
            shift += next;                                                                         \
            sizes += width;                                                                        \
            at += bytes;                                                                           \
        }                                                                                          \
        return sum;                                                                                \
    }
SUM_INTEGERS(sum_three, walk_three(columns, at))
SUM_INTEGERS(sum_nine, walk_nine(columns, at))
SUM_INTEGERS(sum_four, walk_four(columns, at))
SUM_INTEGERS(sum_short, walk_short(model, columns, at))

static int32_t sum_integers(const struct ige_model *model, const uint32_t *columns, int32_t sum)
{
    enum layout layout = layout_of(model);
    return layout == THREE  ? sum_three(model, columns, sum)
           : layout == NINE ? sum_nine(model, columns, sum)
           : layout == FOUR ? sum_four(model, columns, sum)
                            : sum_short(model, columns, sum);
}

static int is_common(const struct ige_model *model)
{
    return model->outputs == 1 && model->leaf >= IGE_LEAF_I16 && !model->index_bytes &&
           model->tree_width < 4 && layout_of(model) != ANY;
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
                   : layout == THREE ? walk_three(columns, at)
                   : layout == NINE  ? walk_nine(columns, at)
                   : layout == FOUR  ? walk_four(columns, at)
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
    int32_t *sums = interpreter->output.data.i32;
    fill_columns(interpreter);
    start_sums(interpreter);
    if (is_common(model))
        sums[0] = sum_integers(model, interpreter->columns, sums[0]);
    else
        run_trees(interpreter);
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
