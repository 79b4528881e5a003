/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a compact model as one C99 file: its data as arrays, and code whose widths are constants,
 * so that a compiler makes one instruction of a field. The texts below are the code; `@` stands for
 * the model's name. What the model has no use for is left out. Stateless. */
#include "formats/edge/edge_priv.h"

#include <inttypes.h>

struct writer {
    struct ig_buf *out;
    const struct ig_tree_compact *compact;
    struct ig_str name;
    const char *sum;  /* type of a margin */
    const char *word; /* type of a split */
};

static void text(struct writer *writer, const char *template)
{
    for (const char *at = template; *at; at++) {
        if (*at == '@')
            ig_buf_add_str(writer->out, writer->name);
        else
            ig_buf_add_char(writer->out, *at);
    }
}

/* An array is never empty: C99 has none such. */
static void array(struct writer *writer, const char *type, const char *what, size_t count)
{
    ig_buf_printf(writer->out, "static const %s %.*s_%s[] = {%s", type, IG_STR_ARGS(writer->name),
                  what, count ? "" : "0");
}

static void item(struct writer *writer, size_t index, uint64_t value)
{
    enum { A_LINE = 20 };
    ig_buf_printf(writer->out, "%s%" PRIu64,
                  !index           ? "\n    "
                  : index % A_LINE ? ", "
                                   : ",\n    ",
                  value);
}

static void bytes(struct writer *writer, const char *what, const uint8_t *items, size_t count)
{
    array(writer, "uint8_t", what, count);
    for (size_t i = 0; i < count; i++) item(writer, i, items[i]);
    ig_buf_add_cstr(writer->out, "};\n");
}

static void numbers(struct writer *writer, const char *what, const uint32_t *items, size_t count)
{
    uint32_t most = 0;
    for (size_t i = 0; i < count; i++)
        if (items[i] > most) most = items[i];
    const char *type = most > UINT16_MAX ? "uint32_t" : most > UINT8_MAX ? "uint16_t" : "uint8_t";
    array(writer, type, what, count);
    for (size_t i = 0; i < count; i++) item(writer, i, items[i]);
    ig_buf_add_cstr(writer->out, "};\n");
}

static void constant(struct writer *writer, const char *what, int64_t value)
{
    ig_buf_printf(writer->out, "#define %.*s_%s %s%" PRId64 "%s\n", IG_STR_ARGS(writer->name), what,
                  value < 0 ? "(" : "", value, value < 0 ? ")" : "");
}

static const char HEAD[] =
    "/* @: a tree ensemble in C99, written by Ingot. It needs no library, no heap and no other "
    "file.\n"
    " * @_margins: features in the model's order, NaN where missing, a category as its code; one\n"
    " * margin an output, the score before the objective's transform. @_class: the output that is\n"
    " * greatest; of a single one, 1 when it is over ";
static const char HEAD_INTEGER[] =
    "\n * Margins are integers: times 2^@_EXPONENT they are the model's, which differ by less "
    "than\n"
    " * the bound below. No float arithmetic is done. */\n\n#include <stdint.h>\n\n";

static void write_head(struct writer *writer)
{
    const struct ig_tree_compact *compact = writer->compact;
    bool integer = ig_compact_is_integer(compact->leaf);
    double bound = 0;
    for (uint32_t o = 0; o < compact->outputs_count; o++)
        if (compact->error_bounds[o] > bound) bound = compact->error_bounds[o];
    text(writer, HEAD);
    ig_buf_add_cstr(writer->out,
                    compact->transform == IG_TRANSFORM_PROBABILITY ? "one half." : "zero.");
    if (integer)
        text(writer, HEAD_INTEGER);
    else
        ig_buf_add_cstr(writer->out, " */\n\n#include <stdint.h>\n\n");
    if (bound > 0) ig_buf_printf(writer->out, "/* No margin is off by more than %.3g. */\n", bound);
    constant(writer, "FEATURES", compact->features_count);
    constant(writer, "OUTPUTS", compact->outputs_count);
    constant(writer, "TREES", compact->trees_count);
    if (integer) constant(writer, "EXPONENT", compact->scale_exponent);
    ig_buf_printf(writer->out, "\nvoid %.*s_margins(const float *features, %s *margins);\n",
                  IG_STR_ARGS(writer->name), writer->sum);
    text(writer, "int32_t @_class(const float *features);\n\n");
}

/* Of decimals (1 to 8), of what is above their halves (9 to 16), or any. */
static bool has_grids(const struct ig_tree_compact *compact, uint32_t least, uint32_t most)
{
    for (uint32_t i = 0; i < compact->sources_count; i++)
        if (compact->sources[i].grid >= least && compact->sources[i].grid <= most) return true;
    return false;
}

static bool has_buckets(const struct ig_tree_compact *compact)
{
    for (uint32_t i = 0; i < compact->sources_count; i++)
        if (compact->sources[i].bucket_bits) return true;
    return false;
}

/* 10^decimals, or twice that, from bit 30 down, the exponent of a float of which a key would be
 * below 1 bit, and of the latter IS_ABOVE. */
static uint32_t power_of(const struct ig_compact_source *source)
{
    enum { EXPONENT_OF_1 = 127, IS_ABOVE = 256 };
    bool above = source->grid > IG_COMPACT_DECIMALS;
    uint32_t power = above ? 2 : 1, up;
    if (!source->grid) return 0;
    for (uint32_t d = (source->grid - 1U) % IG_COMPACT_DECIMALS; d > 0; d--) power *= 10;
    up = 31 - ig_compact_bits(power);
    return power << up | (EXPONENT_OF_1 - 1 + up) | (above ? IS_ABOVE : 0);
}

static void write_sources(struct writer *writer)
{
    const struct ig_tree_compact *compact = writer->compact;
    size_t keys = 0;
    text(writer, "struct @_source {\n    int32_t base;\n    uint32_t keys;\n    uint16_t feature, "
                 "count;\n    uint8_t rules, width, shift, log;\n");
    if (has_grids(compact, 1, IG_COMPACT_GRIDS)) text(writer, "    uint32_t power;\n");
    if (has_buckets(compact)) text(writer, "    uint32_t bits;\n");
    text(writer, "};\n");
    ig_buf_printf(writer->out, "static const struct %.*s_source %.*s_sources[] = {\n",
                  IG_STR_ARGS(writer->name), IG_STR_ARGS(writer->name));
    for (uint32_t i = 0; i < compact->sources_count; i++) {
        const struct ig_compact_source *source = &compact->sources[i];
        ig_buf_printf(writer->out, "    {%d, %zu, %u, %u, %u, %u, %u, %u", source->base, keys,
                      source->feature, source->keys_count, source->rules, source->key_bytes,
                      source->key_shift, ig_compact_bits(source->keys_count) - 1);
        if (has_grids(compact, 1, IG_COMPACT_GRIDS))
            ig_buf_printf(writer->out, ", %uU", power_of(source));
        if (has_buckets(compact)) ig_buf_printf(writer->out, ", %u", source->bucket_bits);
        ig_buf_add_cstr(writer->out, "},\n");
        keys += source->keys_size;
    }
    ig_buf_add_cstr(writer->out, "};\n");
    array(writer, "uint8_t", "keys", keys + 3);
    size_t index = 0;
    for (uint32_t i = 0; i < compact->sources_count; i++) {
        const struct ig_compact_source *source = &compact->sources[i];
        for (size_t k = 0; k < source->keys_size; k++) item(writer, index++, source->keys[k]);
    }
    for (int i = 0; i < 3; i++) item(writer, index++, 0); /* keys are read by four */
    ig_buf_add_cstr(writer->out, "};\n");
}

static uint64_t base_bits(const struct ig_tree_compact *compact, uint32_t output)
{
    union {
        double d;
        uint64_t u;
    } wide = {.d = compact->base[output]};
    union {
        float f;
        uint32_t u;
    } narrow = {.f = (float)compact->base[output]};
    if (compact->leaf == IG_COMPACT_FLOAT64) return wide.u;
    if (compact->leaf == IG_COMPACT_FLOAT32) return narrow.u;
    return (uint32_t)(int32_t)compact->base[output];
}

static void write_data(struct writer *writer)
{
    const struct ig_tree_compact *compact = writer->compact;
    uint32_t base = ig_edge_base_bytes(compact->leaf);
    if (compact->splits_count) write_sources(writer);
    array(writer, "uint8_t", "base", 1);
    for (uint32_t i = 0; i < compact->outputs_count * base; i++)
        item(writer, i, base_bits(compact, i / base) >> (8 * (i % base)) & 255);
    ig_buf_add_cstr(writer->out, "};\n");
    if (compact->sets_count) {
        numbers(writer, "set_starts", compact->set_starts, (size_t)compact->sets_count + 1);
        bytes(writer, "sets", compact->set_bytes, compact->set_starts[compact->sets_count]);
    }
    if (!compact->trees_count) return;
    numbers(writer, "tree_bytes", compact->tree_bytes, compact->trees_count);
    if (compact->tree_outputs)
        numbers(writer, "tree_outputs", compact->tree_outputs, compact->trees_count);
    if (compact->tree_shifts)
        bytes(writer, "tree_shifts", compact->tree_shifts, compact->trees_count);
    if (compact->leaf_indexed)
        bytes(writer, "table", compact->table,
              (size_t)compact->table_rows * compact->leaf_values *
                  ig_edge_value_bytes(compact->leaf));
    bytes(writer, "nodes", compact->stream, compact->stream_bytes);
}

/* ---- inputs ---- */

static const char BITS[] = "static uint32_t @_bits(const float *value)\n"
                           "{\n"
                           "    union {\n        float f;\n        uint32_t u;\n    } pun;\n"
                           "    pun.f = *value;\n"
                           "    return pun.u;\n"
                           "}\n\n";
static const char KEY[] =
    "static uint32_t @_key(const struct @_source *source, uint32_t index)\n"
    "{\n"
    "    const uint8_t *at = @_keys + source->keys + index * source->width;\n"
    "    uint32_t value = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |\n"
    "                     (uint32_t)at[3] << 24;\n"
    "    return value & 0xffffffffU >> (32 - 8 * source->width);\n"
    "}\n\n";
/* Of thresholds that are k / 10^decimals: the greatest k whose float is at most the number. */
static const char GRID[] =
    "/* The greatest k whose k / 10^decimals, rounded to a float, is at most the number. */\n"
    "static int32_t @_grid_key(uint32_t bits, uint32_t power)\n"
    "{\n"
    "    uint32_t negative = bits > 0x80000000U, key = 0;\n"
    "    uint32_t size = (bits & 0x7fffffffU) - negative, shift = (power & 255) - (size >> 23);\n"
    "    uint32_t fraction = size << 8 | 0x80000080U;\n"
    "    if (shift < 32)\n"
    "        key = (uint32_t)((uint64_t)fraction * (power & ~255U) >> 32) >> shift;\n"
    "    else if (shift > 255)\n"
    "        key = 1U << 30;\n"
    "    return (int32_t)(negative ? ~key : key);\n"
    "}\n\n";
static const char ABOVE[] =
    "/* The greatest k whose k / (2 * 10^decimals) is less than the number. */\n"
    "static int32_t @_above_key(uint32_t bits, uint32_t power)\n"
    "{\n"
    "    uint32_t positive = bits - 1 < 0x7fffffffU, key = 0, size = bits & 0x7fffffffU;\n"
    "    uint32_t fraction = size << 8 | 0x80000000U, shift = (power & 255) - (size >> 23);\n"
    "    if (shift < 32)\n"
    "        key = (uint32_t)(((uint64_t)fraction * (power & ~511U) - positive) >> 32) >> shift;\n"
    "    else if (shift > 255)\n"
    "        key = 1U << 30;\n"
    "    return (int32_t)(positive ? key : ~key);\n"
    "}\n\n";
static const char BUCKETS[] =
    "/* How many keys are reached, which are the count of buckets, for each how many keys come\n"
    " * before it, and what of the keys lies within their buckets. */\n"
    "static uint32_t @_reached(const struct @_source *source, uint32_t distance)\n"
    "{\n"
    "    const uint8_t *keys = @_keys + source->keys;\n"
    "    uint32_t bucket = distance >> source->bits, width = source->width, reached, count;\n"
    "    if (bucket >= keys[0]) return source->count;\n"
    "    reached = keys[bucket + 1];\n"
    "    count = keys[bucket + 2] - reached;\n"
    "    distance -= bucket << source->bits;\n"
    "    keys += keys[0] + 2 + width * reached;\n"
    "    while (count > 8) {\n"
    "        uint32_t half = count / 2;\n"
    "        const uint8_t *at = keys + width * (half - 1);\n"
    "        if ((width > 1 ? at[0] | (uint32_t)at[1] << 8 : at[0]) <= distance) {\n"
    "            reached += half;\n"
    "            keys += width * half;\n"
    "        }\n"
    "        count -= half;\n"
    "    }\n"
    "    for (; count; count--, reached++, keys += width)\n"
    "        if ((width > 1 ? keys[0] | (uint32_t)keys[1] << 8 : keys[0]) > distance) break;\n"
    "    return reached;\n"
    "}\n\n";
static const char RANK_HEAD[] =
    "/* How many of the feature's thresholds the number reaches. */\n"
    "static uint32_t @_rank(const struct @_source *source, uint32_t bits)\n"
    "{\n"
    "    int32_t key = (int32_t)(bits >> 31 ? 0x80000000U - bits : bits);\n"
    "    uint32_t distance, count = source->count, step = 1U << source->log, reached = 0;\n";
static const char RANK_GRID[] = "    if (source->power) key = @_grid_key(bits, source->power);\n";
static const char RANK_ABOVE[] =
    "    if (source->power & 256U) key = @_above_key(bits, source->power);\n";
static const char RANK_DISTANCE[] =
    "    if (key < source->base) return 0;\n"
    "    distance = ((uint32_t)key - (uint32_t)source->base) >> source->shift;\n"
    "    if (!source->width) return distance < count ? distance + 1 : count;\n";
static const char RANK_BUCKETS[] = "    if (source->bits) return @_reached(source, distance);\n";
static const char RANK_SEARCH[] =
    "    if (@_key(source, step - 1) <= distance) reached = count + 1 - step;\n"
    "    while ((step >>= 1))\n"
    "        if (@_key(source, reached + step - 1) <= distance) reached += step;\n"
    "    return reached;\n"
    "}\n\n"
    "/* A number's column by a rule; `rank` is that of the number, or of 0 for NaN. */\n"
    "static uint32_t @_number(uint32_t rank, uint32_t bits, uint32_t rule)\n"
    "{\n"
    "    uint32_t size = bits & 0x7fffffffU;\n"
    "    uint32_t missing = size > 0x7f800000U || (rule >= 8 && size <= 0x0554ad2eU);\n"
    "    if (!missing || rule == 4) return rank;\n"
    "    return rule & 18U ? @_MISSING_RANK : 0;\n"
    "}\n\n";
static const char CATEGORY[] =
    "static uint32_t @_category(const struct @_source *source, uint32_t bits, uint32_t rule)\n"
    "{\n"
    "    uint32_t size = bits & 0x7fffffffU, exponent = size >> 23, code = 0;\n"
    "    if (size > 0x7f800000U || (rule == 64 && size <= 0x0554ad2eU)) return 1;\n"
    "    if (exponent >= 127) {\n"
    "        if (bits != size || exponent > 150) return 2;\n"
    "        code = ((size & 0x7fffffU) | 0x800000U) >> (150 - exponent);\n"
    "    }";
static const char CATEGORY_BELOW_ZERO[] = " else if (bits != size && size) {\n"
                                          "        return 2;\n"
                                          "    }";
static const char CATEGORY_END[] = "\n    return code < source->count ? code + 3 : 2;\n"
                                   "}\n\n";
static const char NUMBERS[] =
    "    for (i = 0; i < @_NUMBERS; i++) {\n"
    "        const struct @_source *source = &@_sources[i];\n"
    "        uint32_t rules = source->rules, bits = @_bits(features + source->feature);\n"
    "        uint32_t missing = (bits & 0x7fffffffU) > 0x7f800000U;\n"
    "        uint32_t rank = @_rank(source, missing ? 0 : bits);\n"
    "        do {\n"
    "            uint32_t value = rank;\n"
    "            if (missing || rules >= 8) value = @_number(rank, bits, rules & (0U - rules));\n"
    "            columns[column++] = (@_column)(value << @_COLUMN_SHIFT);\n"
    "            rules &= rules - 1;\n"
    "        } while (rules);\n"
    "    }\n";
static const char CATEGORIES[] =
    "    for (i = @_NUMBERS; i < @_SOURCES; i++) {\n"
    "        const struct @_source *source = &@_sources[i];\n"
    "        uint32_t rules = source->rules, bits = @_bits(features + source->feature);\n"
    "        for (; rules; rules &= rules - 1)\n"
    "            columns[column++] = (@_column)@_category(source, bits, rules & (0U - rules));\n"
    "    }\n";

static void write_rank(struct writer *writer)
{
    const struct ig_tree_compact *compact = writer->compact;
    bool decimals = has_grids(compact, 1, IG_COMPACT_DECIMALS), buckets = has_buckets(compact);
    bool above = has_grids(compact, IG_COMPACT_DECIMALS + 1, IG_COMPACT_GRIDS);
    text(writer, KEY);
    if (decimals) text(writer, GRID);
    if (above) text(writer, ABOVE);
    if (buckets) text(writer, BUCKETS);
    text(writer, RANK_HEAD);
    if (above) text(writer, RANK_ABOVE);
    if (decimals) text(writer, above ? "    else\n    " : "");
    if (decimals) text(writer, RANK_GRID);
    text(writer, RANK_DISTANCE);
    if (buckets) text(writer, RANK_BUCKETS);
    text(writer, RANK_SEARCH);
}

static void write_inputs(struct writer *writer)
{
    const struct ig_tree_compact *compact = writer->compact;
    bool categories = compact->first_category < compact->columns_count;
    ig_buf_printf(writer->out, "typedef uint%u_t %.*s_column;\n\n", 8 * compact->rank_bytes,
                  IG_STR_ARGS(writer->name));
    text(writer, BITS);
    if (compact->first_category) write_rank(writer);
    if (categories) {
        text(writer, CATEGORY);
        if (!compact->inputs_truncate) text(writer, CATEGORY_BELOW_ZERO);
        text(writer, CATEGORY_END);
    }
    text(writer, "static void @_fill(const float *features, @_column *columns)\n"
                 "{\n"
                 "    uint32_t i, column = 0;\n");
    if (compact->first_category) text(writer, NUMBERS);
    if (categories) text(writer, CATEGORIES);
    text(writer, "}\n\n");
}

/* ---- trees ---- */

static const char WALK[] =
    "/* The leaf that is reached from the root. A split is threshold, skip and column; its top "
    "bits\n"
    " * say whether its children are leaves. */\n"
    "#ifdef __GNUC__\n"
    "__attribute__((noinline))\n"
    "#endif\n"
    "static const uint8_t *@_walk(const uint8_t *at, const @_column *columns)\n"
    "{\n"
    "    for (;;) {\n"
    "        @_word word = (@_word)at[0]";
static const char WALK_FIELDS[] =
    ";\n"
    "        uint32_t threshold = (uint32_t)(word & (((@_word)1 << @_THRESHOLD_BITS) - 1));\n"
    "        uint32_t column = (uint32_t)(word >> (@_THRESHOLD_BITS + @_SKIP_BITS) &\n"
    "                                     (((@_word)1 << @_COLUMN_BITS) - 1));\n"
    "        uint32_t value = columns[column];\n"
    "        at += @_NODE_BYTES;\n";
static const char WALK_NUMBERS[] = "        if (value >= threshold) {\n";
/* Columns hold ranks where the shift brings the threshold. */
static const char WALK_SHIFTED[] =
    ";\n"
    "        uint32_t column = (uint32_t)(word >> (@_THRESHOLD_BITS + @_SKIP_BITS) &\n"
    "                                     (((@_word)1 << @_COLUMN_BITS) - 1));\n"
    "        at += @_NODE_BYTES;\n"
    "        if (columns[column] >= word << @_COLUMN_SHIFT) {\n";
static const char WALK_SETS[] =
    "        uint32_t right = value >= threshold;\n"
    "        if (column >= @_FIRST_CATEGORY) {\n"
    "            const uint8_t *set = @_sets + @_set_starts[threshold];\n"
    "            uint32_t end = (uint32_t)(@_set_starts[threshold + 1] - "
    "@_set_starts[threshold]);\n"
    "            right = value / 8 < end ? (uint32_t)set[value / 8] >> (value % 8) : 0;\n"
    "            right = (right ^ set[0]) & 1U;\n"
    "        }\n"
    "        if (right) {\n";
static const char WALK_END[] =
    "            at += (uint32_t)(word >> @_THRESHOLD_BITS & (((@_word)1 << @_SKIP_BITS) - 1));\n"
    "            if (word >> (8 * @_NODE_BYTES - 2) & 1) return at;\n"
    "        } else if (word >> (8 * @_NODE_BYTES - 1) & 1) {\n"
    "            return at;\n"
    "        }\n"
    "    }\n"
    "}\n\n";

/* Three bytes are read as four, which is one instruction: two leaves follow a split at least. */
static uint32_t bytes_read(const struct ig_tree_compact *compact)
{
    return compact->node_bytes == 3 ? 4 : compact->node_bytes;
}

static void write_walk(struct writer *writer)
{
    const struct ig_tree_compact *compact = writer->compact;
    ig_buf_printf(writer->out, "typedef %s %.*s_word;\n\n", writer->word,
                  IG_STR_ARGS(writer->name));
    text(writer, WALK);
    for (uint32_t i = 1; i < bytes_read(compact); i++) {
        ig_buf_add_cstr(writer->out, i % 3 ? " | " : " |\n                      ");
        text(writer, "(@_word)at[");
        ig_buf_printf(writer->out, "%u] << %u", i, 8 * i);
    }
    if (compact->rank_bytes == 4) {
        text(writer, WALK_SHIFTED);
    } else {
        text(writer, WALK_FIELDS);
        text(writer, compact->sets_count ? WALK_SETS : WALK_NUMBERS);
    }
    text(writer, WALK_END);
}

/* How a leaf's value is read, by its kind. */
static const char *const VALUES[] = {
    "static float @_value(const uint8_t *at)\n"
    "{\n"
    "    union {\n        uint32_t u;\n        float f;\n    } pun;\n"
    "    pun.u = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |\n"
    "            (uint32_t)at[3] << 24;\n"
    "    return pun.f;\n"
    "}\n\n",
    "static double @_value(const uint8_t *at)\n"
    "{\n"
    "    union {\n        uint64_t u;\n        double d;\n    } pun;\n"
    "    uint32_t i = 8;\n"
    "    pun.u = 0;\n"
    "    while (i--) pun.u = pun.u << 8 | at[i];\n"
    "    return pun.d;\n"
    "}\n\n",
    "static int32_t @_value(const uint8_t *at)\n"
    "{\n"
    "    return (int32_t)(((uint32_t)at[0] | (uint32_t)at[1] << 8) ^ 0x8000U) - 0x8000;\n"
    "}\n\n",
    "static int32_t @_value(const uint8_t *at)\n"
    "{\n"
    "    return (int32_t)(at[0] ^ 0x80U) - 0x80;\n"
    "}\n\n"};
static const char BASE_INTEGER[] =
    "static int32_t @_base_value(const uint8_t *at)\n"
    "{\n"
    "    return (int32_t)((uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |\n"
    "                     (uint32_t)at[3] << 24);\n"
    "}\n\n";

static const char MARGINS_TREE[] = "    for (i = 0; i < @_TREES; i++) {\n"
                                   "        uint32_t bytes = @_tree_bytes[i];\n"
                                   "        const uint8_t *leaf = ";

static void write_leaf(struct writer *writer)
{
    const struct ig_tree_compact *compact = writer->compact;
    bool vectors = compact->leaf_values > 1;
    if (compact->leaf_indexed) {
        text(writer, "        leaf = @_table + ");
        ig_buf_printf(writer->out, "%u * ",
                      compact->leaf_values * ig_edge_value_bytes(compact->leaf));
        text(writer, compact->leaf_bytes == 1 ? "(uint32_t)leaf[0];\n"
                                              : "((uint32_t)leaf[0] | (uint32_t)leaf[1] << 8);\n");
    }
    if (vectors)
        text(writer, "        for (o = 0; o < @_OUTPUTS; o++) margins[o] += ");
    else
        text(writer,
             compact->tree_outputs ? "        margins[@_tree_outputs[i]] += " : "        sum += ");
    text(writer, "@_value(leaf");
    if (vectors) ig_buf_printf(writer->out, " + %u * o", ig_edge_value_bytes(compact->leaf));
    ig_buf_add_cstr(writer->out, ")");
    if (compact->tree_shifts) text(writer, " * ((int32_t)1 << @_tree_shifts[i])");
    ig_buf_add_cstr(writer->out, ";\n    }\n");
}

/* How a base margin is read: of output i. */
static const char *base_of(enum ig_compact_leaf leaf)
{
    if (ig_compact_is_integer(leaf)) return "@_base_value(@_base + 4 * i)";
    return leaf == IG_COMPACT_FLOAT64 ? "@_value(@_base + 8 * i)" : "@_value(@_base + 4 * i)";
}

/* Trees of one leaf beside such with splits. */
static bool has_stumps(const struct ig_tree_compact *compact)
{
    for (uint32_t t = 0; t < compact->trees_count; t++)
        if (compact->tree_bytes[t] == compact->leaf_bytes) return true;
    return false;
}

static void write_trees(struct writer *writer)
{
    const struct ig_tree_compact *compact = writer->compact;
    if (!compact->trees_count) return;
    text(writer, MARGINS_TREE);
    text(writer, !compact->splits_count ? "at;\n"
                 : has_stumps(compact)  ? "bytes == @_LEAF_BYTES ? at : @_walk(at, place);\n"
                                        : "@_walk(at, place);\n");
    ig_buf_add_cstr(writer->out, "        at += bytes;\n");
    write_leaf(writer);
}

/* A place on the stack would be computed again at each split. */
static const char KEPT[] =
    "    @_column *volatile kept = columns; /* keeps the address in a register */\n"
    "    const @_column *place = kept;\n";

static void write_margins(struct writer *writer)
{
    const struct ig_tree_compact *compact = writer->compact;
    bool integer = ig_compact_is_integer(compact->leaf);
    bool first = integer || compact->base_first;
    if (!integer || compact->trees_count) text(writer, VALUES[compact->leaf]);
    if (integer) text(writer, BASE_INTEGER);
    ig_buf_printf(writer->out, "void %.*s_margins(const float *features, %s *margins)\n{\n",
                  IG_STR_ARGS(writer->name), writer->sum);
    if (compact->splits_count) {
        ig_buf_printf(writer->out, "    %.*s_column columns[%u];\n", IG_STR_ARGS(writer->name),
                      compact->columns_count);
        text(writer, KEPT);
    }
    if (compact->trees_count) text(writer, "    const uint8_t *at = @_nodes;\n");
    ig_buf_add_cstr(writer->out, compact->leaf_values > 1 && compact->trees_count
                                     ? "    uint32_t i, o;\n"
                                     : "    uint32_t i;\n");
    bool one = compact->outputs_count == 1 && compact->trees_count;
    if (one) ig_buf_printf(writer->out, "    %s sum;\n", writer->sum);
    text(writer,
         compact->splits_count ? "    @_fill(features, columns);\n" : "    (void)features;\n");
    text(writer, "    for (i = 0; i < @_OUTPUTS; i++) margins[i] = ");
    text(writer, first ? base_of(compact->leaf) : "0");
    ig_buf_add_cstr(writer->out, ";\n");
    if (one) text(writer, "    sum = margins[0];\n");
    write_trees(writer);
    if (one) text(writer, "    margins[0] = sum;\n");
    if (compact->average)
        ig_buf_printf(writer->out,
                      "    for (i = 0; i < %.*s_OUTPUTS; i++)\n"
                      "        margins[i] = (%s)((double)margins[i] / %u.0);\n",
                      IG_STR_ARGS(writer->name), writer->sum, compact->iterations_count);
    if (!first) {
        text(writer, "    for (i = 0; i < @_OUTPUTS; i++) margins[i] += ");
        text(writer, base_of(compact->leaf));
        ig_buf_add_cstr(writer->out, ";\n");
    }
    ig_buf_add_cstr(writer->out, "}\n\n");
}

static void write_class(struct writer *writer)
{
    const struct ig_tree_compact *compact = writer->compact;
    bool integer = ig_compact_is_integer(compact->leaf);
    bool probability = compact->transform == IG_TRANSFORM_PROBABILITY;
    int32_t half = -1 - compact->scale_exponent;
    text(writer, "int32_t @_class(const float *features)\n{\n");
    ig_buf_printf(writer->out, "    %s margins[%u];\n", writer->sum, compact->outputs_count);
    if (compact->outputs_count > 1)
        text(writer, "    int32_t o, best = 0;\n"
                     "    @_margins(features, margins);\n"
                     "    for (o = 1; o < @_OUTPUTS; o++)\n"
                     "        if (margins[o] > margins[best]) best = o;\n"
                     "    return best;\n}\n");
    else if (integer)
        ig_buf_printf(
            writer->out, "    %.*s_margins(features, margins);\n    return margins[0] > %d;\n}\n",
            IG_STR_ARGS(writer->name), probability && half >= 0 && half < 31 ? 1 << half : 0);
    else
        ig_buf_printf(writer->out,
                      "    %.*s_margins(features, margins);\n    return margins[0] > %s%s;\n}\n",
                      IG_STR_ARGS(writer->name), probability ? "0.5" : "0.0",
                      compact->leaf == IG_COMPACT_FLOAT32 ? "F" : "");
}

static void write_constants(struct writer *writer)
{
    const struct ig_tree_compact *compact = writer->compact;
    uint32_t numbers_count = 0;
    while (numbers_count < compact->sources_count && compact->sources[numbers_count].rules < 32)
        numbers_count++;
    constant(writer, "SOURCES", compact->sources_count);
    constant(writer, "NUMBERS", numbers_count);
    constant(writer, "MISSING_RANK", compact->missing_rank);
    if (compact->sets_count) constant(writer, "FIRST_CATEGORY", compact->first_category);
    constant(writer, "NODE_BYTES", compact->node_bytes);
    constant(writer, "THRESHOLD_BITS", compact->threshold_bits);
    constant(writer, "COLUMN_SHIFT", compact->rank_bytes == 4 ? 32U - compact->threshold_bits : 0);
    constant(writer, "SKIP_BITS", compact->skip_bits);
    constant(writer, "COLUMN_BITS", compact->column_bits);
    constant(writer, "LEAF_BYTES", compact->leaf_bytes);
    ig_buf_add_char(writer->out, '\n');
}

bool ig_edge_is_identifier(struct ig_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(i && c >= '0' && c <= '9')) return false;
    }
    return name.len > 0 && name.len <= 64;
}

enum ig_code ig_edge_write_c(struct ig_buf *out, const struct ig_tree_compact *compact,
                             struct ig_str name, struct ig_err *err)
{
    static const char *const SUMS[] = {"float", "double", "int32_t", "int32_t"};
    if (!ig_edge_is_identifier(name))
        return ig_fail(err, IG_INVALID, "name: '%.*s' is no C identifier of at most 64 letters",
                       IG_STR_ARGS(name));
    struct writer writer = {.out = out,
                            .compact = compact,
                            .name = name,
                            .sum = SUMS[compact->leaf],
                            .word = compact->node_bytes > 4 ? "uint64_t" : "uint32_t"};
    write_head(&writer);
    write_constants(&writer);
    write_data(&writer);
    ig_buf_add_char(out, '\n');
    if (compact->splits_count) {
        write_inputs(&writer);
        write_walk(&writer);
    }
    write_margins(&writer);
    write_class(&writer);
    if (out->overflowed)
        return ig_fail(err, IG_TOO_LARGE, "no room for a C file of %u bytes of trees",
                       compact->stream_bytes);
    return IG_OK;
}
