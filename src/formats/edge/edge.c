/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the compact file into the in-memory model, so that everything that runs models runs it too;
 * a network's section is read by edge_network_read.c.
 * Believes nothing: every array lies within the file, every node within its tree. A device rounds
 * inputs to float; where the model does not, its thresholds are put at the numbers that round to
 * them, so that comparisons are the device's for every double. Owns nothing; stateless. */
#include "formats/edge/edge_priv.h"

#include "formats/format.h"
#include "formats/network_model.h"

#include <math.h>
#include <string.h>

enum { NUMBERS_FLOOR = 1 << 16 };
enum { INNER_RULES = 31, CATEGORY_RULES = 96, INFINITE_KEY = 0x7f800000, SHIFT_MAX = 30 };
enum { BUCKET_BITS_MAX = 16, BUCKETED_MAX = 255 };

struct span {
    const uint8_t *at;
    size_t bytes;
};

struct reader {
    struct ig_str file;
    struct span left;      /* of the section */
    bool network;          /* it is a network's */
    struct ig_str encoder; /* its section; of 0 bytes: there is none */
    struct ig_tree_compact facts;
    uint8_t flags, leaf_index_bytes, tree_width, output_width, set_width;
    uint32_t set_pool_bytes;
    struct span bases, set_starts, tree_bytes, tree_outputs, shifts, table, stream;
    struct column *columns; /* columns_count */
    uint32_t *pending;      /* nodes whose right child is still to come */
    struct ig_arena scratch;
    struct ig_model *model;
    struct ig_err *err;
};

struct column {
    uint32_t source;
    enum ig_compact_rule rule;
};

static uint64_t get(const uint8_t *at, uint32_t bytes)
{
    uint64_t value = 0;
    for (uint32_t i = 0; i < bytes; i++) value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static double get_f64(const uint8_t *at)
{
    uint64_t bits = get(at, 8);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double get_f32(const uint8_t *at)
{
    uint32_t bits = (uint32_t)get(at, 4);
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

static bool bad(struct reader *reader, const char *field, uint64_t value, const char *expected)
{
    ig_fail(reader->err, IG_CORRUPT, "%s is %llu, expected %s", field, (unsigned long long)value,
            expected);
    return false;
}

static bool take(struct reader *reader, struct span *out, uint64_t count, uint32_t each,
                 const char *what)
{
    if (each && count > reader->left.bytes / each) {
        ig_fail(reader->err, IG_CORRUPT, "%s: %llu of %u bytes, and %zu bytes are left", what,
                (unsigned long long)count, each, reader->left.bytes);
        return false;
    }
    *out = (struct span){reader->left.at, (size_t)count * each};
    reader->left.at += out->bytes;
    reader->left.bytes -= out->bytes;
    return true;
}

/* ---- header ---- */

bool ig_edge_probe(struct ig_str bytes)
{
    return ig_str_starts(bytes, IG_STR(IG_EDGE_MAGIC));
}

static bool find_section(struct reader *reader)
{
    const uint8_t *at = (const uint8_t *)reader->file.ptr;
    uint32_t count = at[5];
    size_t table = IG_EDGE_HEADER_BYTES + (size_t)count * IG_EDGE_SECTION_BYTES;
    if (count > IG_EDGE_SECTIONS_MAX || table > reader->file.len)
        return bad(reader, "count of sections", count, "a table within the file, at most 16");
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *entry = at + IG_EDGE_HEADER_BYTES + (size_t)i * IG_EDGE_SECTION_BYTES;
        uint64_t start = get(entry + 4, 4), bytes = get(entry + 8, 4);
        if (start < table || start > reader->file.len || bytes > reader->file.len - start)
            return bad(reader, "a section's place", start, "all of it within the file");
        bool network = memcmp(entry, IG_EDGE_NETWORK, 4) == 0;
        if (network || memcmp(entry, IG_EDGE_TREES, 4) == 0) {
            if (reader->left.at) return bad(reader, "sections TREE or NNET", 2, "one");
            reader->left = (struct span){at + start, (size_t)bytes};
            reader->network = network;
        } else if (memcmp(entry, IG_EDGE_ENCODER, 4) == 0) {
            if (reader->encoder.ptr) return bad(reader, "sections ENCO", 2, "one");
            reader->encoder = (struct ig_str){(const char *)at + start, (size_t)bytes};
        } else if (entry[0] < 'a' || entry[0] > 'z') {
            ig_fail(reader->err, IG_UNSUPPORTED, "section '%.4s' is not known here",
                    (const char *)entry);
            return false;
        }
    }
    if (reader->encoder.ptr && !reader->network)
        return bad(reader, "sections ENCO", 1, "none without a section NNET");
    return reader->left.at ? true : bad(reader, "sections TREE or NNET", 0, "one");
}

static bool read_header(struct reader *reader)
{
    const uint8_t *at = (const uint8_t *)reader->file.ptr;
    if (reader->file.len < IG_EDGE_HEADER_BYTES)
        return bad(reader, "file size", reader->file.len, "at least 16");
    if (!ig_edge_probe(reader->file)) return bad(reader, "magic", get(at, 4), "that of the format");
    if (at[4] != IG_EDGE_VERSION) {
        ig_fail(reader->err, IG_UNSUPPORTED, "version %u of the format, known is %d", at[4],
                IG_EDGE_VERSION);
        return false;
    }
    if (get(at + 8, 4) != reader->file.len)
        return bad(reader, "file size in the header", get(at + 8, 4), "that of the file");
    uint32_t crc = ig_edge_crc(reader->file.ptr, reader->file.len);
    if (get(at + IG_EDGE_CRC_AT, 4) != crc)
        return bad(reader, "CRC", get(at + IG_EDGE_CRC_AT, 4), "that of the bytes");
    return find_section(reader);
}

/* ---- facts ---- */

static bool check_facts(struct reader *reader)
{
    const struct ig_tree_compact *facts = &reader->facts;
    uint32_t bits = 2U + facts->threshold_bits + facts->skip_bits + facts->column_bits;
    if (facts->features_count == 0) return bad(reader, "features", 0, "at least 1");
    if (facts->outputs_count == 0) return bad(reader, "outputs", 0, "at least 1");
    if (facts->sources_count > 2 * facts->features_count)
        return bad(reader, "sources", facts->sources_count, "at most two a feature");
    if (facts->first_category > facts->columns_count)
        return bad(reader, "first category column", facts->first_category, "a column");
    if (facts->node_bytes < 2 || facts->node_bytes > 8)
        return bad(reader, "bytes of a split", facts->node_bytes, "2 to 8");
    if (bits > 8U * facts->node_bytes || facts->threshold_bits > 32 || facts->skip_bits > 32 ||
        facts->column_bits > 32)
        return bad(reader, "bits of a split", bits, "at most 8 a byte and 32 a field");
    if (facts->leaf > IG_COMPACT_INT8) return bad(reader, "leaf kind", facts->leaf, "0 to 3");
    if (reader->leaf_index_bytes > 2)
        return bad(reader, "bytes of a leaf's number", reader->leaf_index_bytes, "0 to 2");
    if (facts->average && facts->iterations_count == 0)
        return bad(reader, "iterations", 0, "at least 1");
    if (facts->scale_exponent < -120 || facts->scale_exponent > 120)
        return bad(reader, "scale exponent", (uint32_t)facts->scale_exponent, "-120 to 120");
    return true;
}

static bool read_facts(struct reader *reader)
{
    struct span span;
    struct ig_tree_compact *facts = &reader->facts;
    if (!take(reader, &span, 1, IG_EDGE_TREE_BYTES, "facts")) return false;
    const uint8_t *at = span.at;
    facts->features_count = (uint32_t)get(at, 2);
    facts->outputs_count = (uint32_t)get(at + 2, 2);
    facts->sources_count = (uint32_t)get(at + 4, 2);
    facts->columns_count = (uint32_t)get(at + 6, 2);
    facts->first_category = (uint32_t)get(at + 8, 2);
    facts->missing_rank = (uint32_t)get(at + 10, 2);
    facts->trees_count = (uint32_t)get(at + 12, 4);
    facts->stream_bytes = (uint32_t)get(at + 16, 4);
    facts->node_bytes = at[20];
    facts->threshold_bits = at[21];
    facts->skip_bits = at[22];
    facts->column_bits = at[23];
    facts->leaf = (enum ig_compact_leaf)at[24];
    reader->leaf_index_bytes = at[25];
    reader->flags = at[26];
    if (!ig_edge_transform_of(&facts->transform, at[27]))
        return bad(reader, "transform", at[27], "a known one");
    reader->tree_width = at[28];
    reader->output_width = at[29];
    reader->set_width = at[30];
    facts->transform_parameter = get_f64(at + 32);
    facts->table_rows = (uint32_t)get(at + 40, 4);
    facts->sets_count = (uint32_t)get(at + 44, 4);
    reader->set_pool_bytes = (uint32_t)get(at + 48, 4);
    facts->iterations_count = (uint32_t)get(at + 52, 4);
    facts->scale_exponent = (int32_t)(uint32_t)get(at + 56, 4);
    facts->splits_count = (uint32_t)get(at + 60, 4);
    facts->average = reader->flags & IG_EDGE_AVERAGE;
    facts->leaf_values = reader->flags & IG_EDGE_VECTORS ? facts->outputs_count : 1;
    return check_facts(reader);
}

/* ---- sources ---- */

static bool read_source(struct reader *reader, struct ig_compact_source *source, const uint8_t *at)
{
    *source = (struct ig_compact_source){.feature = (uint32_t)get(at, 2),
                                         .keys_count = (uint32_t)get(at + 2, 2),
                                         .base = (int32_t)(uint32_t)get(at + 4, 4),
                                         .rules = at[8],
                                         .key_bytes = at[9] & IG_EDGE_KEPT,
                                         .bucket_bits = at[9] >> IG_EDGE_BUCKET_SHIFT,
                                         .key_shift = at[10],
                                         .grid = at[11]};
    bool category = source->rules & CATEGORY_RULES;
    if (source->feature >= reader->facts.features_count)
        return bad(reader, "a source's feature", source->feature, "a feature");
    if (!source->rules || (source->rules & 128) || (category && (source->rules & INNER_RULES)))
        return bad(reader, "a source's rules", source->rules, "numbers' or categories'");
    if (source->key_shift > 31)
        return bad(reader, "a threshold's shift", source->key_shift, "0 to 31");
    if (source->grid > IG_COMPACT_GRIDS)
        return bad(reader, "a source's grid", source->grid, "0 to 16");
    bool buckets = source->key_bytes > IG_EDGE_BUCKETS;
    if (buckets) source->key_bytes = (uint8_t)(source->key_bytes - IG_EDGE_BUCKETS);
    if (buckets != (source->bucket_bits > 0) || source->bucket_bits > BUCKET_BITS_MAX ||
        (buckets && (category || source->key_bytes != (source->bucket_bits + 7) / 8)))
        return bad(reader, "bits of a bucket", source->bucket_bits,
                   "none, or at most 16 and those of a threshold's bytes");
    if (buckets && source->keys_count > BUCKETED_MAX)
        return bad(reader, "thresholds in buckets", source->keys_count, "at most 255");
    if (category && source->keys_count > UINT16_MAX - IG_COMPACT_CODE + 1)
        return bad(reader, "categories of a feature", source->keys_count, "at most 65533");
    if (!category && source->keys_count >= reader->facts.missing_rank)
        return bad(reader, "thresholds of a feature", source->keys_count,
                   "less than the missing rank");
    return true;
}

/* Ascending numbers: of floats up to infinity, of a grid within its bounds. */
static bool check_keys(struct reader *reader, const struct ig_compact_source *source)
{
    int64_t most = source->grid ? IG_COMPACT_GRID_END - 1 : INFINITE_KEY, before = INT64_MIN;
    uint32_t first = source->key_bytes || !source->keys_count ? 0 : source->keys_count - 1;
    for (uint32_t i = first; i < source->keys_count; i++) {
        int64_t number = ig_compact_threshold_number(source, i);
        if (number <= before || source->base < -most || number > most)
            return bad(reader, "a threshold's key", (uint64_t)number, "an ascending number");
        before = number;
    }
    return true;
}

/* The counts before buckets ascend to that of all, and no key reaches past its bucket. */
static bool read_buckets(struct reader *reader, struct ig_compact_source *source)
{
    struct span head, starts, keys;
    if (!take(reader, &head, 1, 1, "buckets") ||
        !take(reader, &starts, head.at[0] + 1U, 1, "buckets") ||
        !take(reader, &keys, source->keys_count, source->key_bytes, "thresholds"))
        return false;
    for (uint32_t b = 0; b <= head.at[0]; b++) {
        uint32_t least = b ? starts.at[b - 1] : 0, most = b ? source->keys_count : 0;
        if (b == head.at[0]) least = source->keys_count;
        if (starts.at[b] < least || starts.at[b] > most)
            return bad(reader, "thresholds before a bucket", starts.at[b],
                       "ascending from 0 to all of them");
    }
    for (uint32_t i = 0; i < source->keys_count; i++) {
        uint64_t low = get(keys.at + (size_t)i * source->key_bytes, source->key_bytes);
        if (low >> source->bucket_bits)
            return bad(reader, "a threshold's key", low, "one within its bucket");
    }
    source->keys = head.at;
    return true;
}

static bool read_keys(struct reader *reader, struct ig_compact_source *source)
{
    struct span keys;
    if (source->bucket_bits) return read_buckets(reader, source) && check_keys(reader, source);
    if (!take(reader, &keys, source->keys_count, source->key_bytes, "thresholds")) return false;
    source->keys = keys.at;
    return check_keys(reader, source);
}

static bool read_sources(struct reader *reader)
{
    struct ig_tree_compact *facts = &reader->facts;
    struct span span;
    if (!take(reader, &span, facts->sources_count, IG_EDGE_SOURCE_BYTES, "sources")) return false;
    facts->sources =
        ig_arena_array(&reader->scratch, facts->sources_count + 1U, sizeof *facts->sources);
    reader->columns =
        ig_arena_array(&reader->scratch, facts->columns_count + 1U, sizeof *reader->columns);
    if (reader->scratch.overflowed) {
        ig_fail(reader->err, IG_NO_MEMORY, "no memory for the inputs");
        return false;
    }
    uint32_t columns = 0;
    for (uint32_t i = 0; i < facts->sources_count; i++) {
        struct ig_compact_source *source = &facts->sources[i];
        if (!read_source(reader, source, span.at + (size_t)i * IG_EDGE_SOURCE_BYTES)) return false;
        source->first_column = columns;
        for (uint32_t rule = 1; rule <= IG_COMPACT_CATEGORY_ZERO; rule <<= 1) {
            if (!(source->rules & rule)) continue;
            if (columns == facts->columns_count)
                return bad(reader, "columns", columns, "one a rule of each source");
            if ((rule >= IG_COMPACT_CATEGORY) != (columns >= facts->first_category))
                return bad(reader, "first category column", facts->first_category,
                           "numbers before categories");
            reader->columns[columns++] = (struct column){i, (enum ig_compact_rule)rule};
        }
    }
    if (columns != facts->columns_count)
        return bad(reader, "columns", facts->columns_count, "one a rule of each source");
    for (uint32_t i = 0; i < facts->sources_count; i++) {
        struct ig_compact_source *source = &facts->sources[i];
        if (!(source->rules & CATEGORY_RULES) && !read_keys(reader, source)) return false;
    }
    return true;
}

/* ---- arrays ---- */

static bool check_width(struct reader *reader, const char *what, uint32_t width)
{
    return width == 1 || width == 2 || width == 4 ? true : bad(reader, what, width, "1, 2 or 4");
}

static bool read_sets(struct reader *reader)
{
    struct ig_tree_compact *facts = &reader->facts;
    struct span pool;
    if (!facts->sets_count) return true;
    if (!check_width(reader, "width of a set's start", reader->set_width) ||
        !take(reader, &reader->set_starts, (uint64_t)facts->sets_count + 1, reader->set_width,
              "category sets") ||
        !take(reader, &pool, reader->set_pool_bytes, 1, "category sets"))
        return false;
    facts->set_starts =
        ig_arena_array(&reader->scratch, (size_t)facts->sets_count + 1, sizeof(uint32_t));
    facts->set_bytes = (uint8_t *)(uintptr_t)pool.at;
    if (!facts->set_starts) {
        ig_fail(reader->err, IG_NO_MEMORY, "no memory for %u sets", facts->sets_count);
        return false;
    }
    for (uint32_t i = 0; i <= facts->sets_count; i++) {
        uint32_t start =
            (uint32_t)get(reader->set_starts.at + (size_t)i * reader->set_width, reader->set_width);
        uint32_t least = i ? facts->set_starts[i - 1] + 1 : 0;
        if (start < least || start > pool.bytes || (i == 0 && start))
            return bad(reader, "a set's start", start, "ascending from 0 within the sets");
        facts->set_starts[i] = start;
    }
    return true;
}

static bool read_arrays(struct reader *reader)
{
    struct ig_tree_compact *facts = &reader->facts;
    uint32_t trees = facts->trees_count;
    uint64_t row = (uint64_t)facts->leaf_values * ig_edge_value_bytes(facts->leaf);
    facts->leaf_bytes = reader->leaf_index_bytes ? reader->leaf_index_bytes : (uint32_t)row;
    if (facts->outputs_count > 1 && facts->leaf_values == 1) {
        if (!check_width(reader, "width of a tree's output", reader->output_width)) return false;
    } else if (reader->output_width) {
        return bad(reader, "width of a tree's output", reader->output_width, "0");
    }
    if (!reader->leaf_index_bytes && facts->table_rows)
        return bad(reader, "rows of the leaf table", facts->table_rows, "0");
    return check_width(reader, "width of a tree's size", reader->tree_width) &&
           take(reader, &reader->tree_bytes, trees, reader->tree_width, "tree sizes") &&
           take(reader, &reader->tree_outputs, trees, reader->output_width, "tree outputs") &&
           take(reader, &reader->shifts, reader->flags & IG_EDGE_SHIFTS ? trees : 0, 1,
                "tree shifts") &&
           take(reader, &reader->table, facts->table_rows, (uint32_t)row, "leaf table") &&
           take(reader, &reader->stream, facts->stream_bytes, 1, "nodes");
}

static double value_at(const struct reader *reader, const uint8_t *at)
{
    switch (reader->facts.leaf) {
    case IG_COMPACT_FLOAT32:
        return get_f32(at);
    case IG_COMPACT_FLOAT64:
        return get_f64(at);
    case IG_COMPACT_INT16:
        return ldexp((int16_t)(uint16_t)get(at, 2), reader->facts.scale_exponent);
    default:
        return ldexp((int8_t)at[0], reader->facts.scale_exponent);
    }
}

/* ---- model ---- */

/* The least double that, rounded to float, reaches the float of this key. A tie goes to the even
 * one, so where the lower neighbour is even the midpoint itself does not reach it. */
static void place_threshold(struct ig_node *node, int32_t key)
{
    double here = (double)ig_compact_value(key);
    double below = (double)ig_compact_value(key - 1);
    if (key == -INFINITE_KEY) { /* everything goes right */
        node->op = IG_NODE_LT;
        node->value = -(double)INFINITY;
        return;
    }
    if (isinf(here)) here = 0x1p128;
    if (isinf(below)) below = -0x1p128;
    node->op = key % 2 ? IG_NODE_LE : IG_NODE_LT;
    node->value = below + (here - below) / 2;
}

static void fill_number(struct reader *reader, struct ig_node *node, uint32_t threshold)
{
    const struct ig_compact_source *source = &reader->facts.sources[node->extra];
    node->extra = IG_MODEL_NONE;
    if (threshold > source->keys_count) { /* no number goes right */
        node->op = IG_NODE_LE;
        node->value = (double)INFINITY;
        return;
    }
    int32_t key = (int32_t)ig_compact_threshold_key(source, threshold - 1);
    if (!reader->model->inputs_f32) {
        place_threshold(node, key);
        return;
    }
    node->op = IG_NODE_LT;
    node->value = (double)ig_compact_value(key);
}

static bool fill_test(struct reader *reader, struct ig_node *node, uint32_t column,
                      uint32_t threshold)
{
    struct ig_tree_compact *facts = &reader->facts;
    if (column >= facts->columns_count) return bad(reader, "a split's column", column, "a column");
    const struct column *own = &reader->columns[column];
    bool category = column >= facts->first_category;
    node->feature = facts->sources[own->source].feature;
    bool left = own->rule & (IG_COMPACT_NAN_LEFT | IG_COMPACT_ZERO_LEFT);
    bool zero =
        own->rule & (IG_COMPACT_ZERO_LEFT | IG_COMPACT_ZERO_RIGHT | IG_COMPACT_CATEGORY_ZERO);
    node->missing = zero ? IG_NODE_MISSING_ZERO : IG_NODE_MISSING_NAN;
    if (own->rule == IG_COMPACT_NAN_ZERO) node->missing = IG_NODE_MISSING_NONE;
    if (!category) {
        if (threshold == 0 || threshold > facts->missing_rank)
            return bad(reader, "a split's threshold", threshold, "1 to the missing rank");
        node->flags = left ? IG_NODE_DEFAULT_LEFT : 0;
        node->extra = own->source;
        fill_number(reader, node, threshold);
        return true;
    }
    if (threshold >= facts->sets_count) return bad(reader, "a split's set", threshold, "a set");
    uint8_t first = facts->set_bytes[facts->set_starts[threshold]];
    bool inverted = first >> IG_COMPACT_INVERTED & 1;
    bool missing_right = (first >> IG_COMPACT_MISSING & 1) != inverted;
    if (first >> IG_COMPACT_UNKNOWN & 1)
        return bad(reader, "the bit of unknown categories", 1, "0");
    node->op = IG_NODE_IN;
    node->extra = threshold;
    node->flags =
        (uint8_t)((missing_right ? 0 : IG_NODE_DEFAULT_LEFT) | (inverted ? IG_NODE_SET_LEFT : 0));
    uint32_t words = reader->model->sets[threshold].bits;
    if (words > facts->sources[own->source].keys_count)
        return bad(reader, "a category of a set", words - 1, "one that the source knows");
    return true;
}

/* The sets with their bits moved to where codes begin. */
static bool fill_sets(struct reader *reader)
{
    struct ig_model *model = reader->model;
    const struct ig_tree_compact *facts = &reader->facts;
    model->sets_count = facts->sets_count;
    model->sets = ig_arena_array(&model->arena, (size_t)facts->sets_count + 1, sizeof *model->sets);
    for (uint32_t i = 0; i < facts->sets_count && !model->arena.overflowed; i++) {
        const uint8_t *bytes = facts->set_bytes + facts->set_starts[i];
        uint32_t bits = 8 * (facts->set_starts[i + 1] - facts->set_starts[i]);
        while (bits > IG_COMPACT_CODE && !(bytes[(bits - 1) / 8] >> ((bits - 1) % 8) & 1)) bits--;
        uint32_t codes = bits - IG_COMPACT_CODE;
        uint32_t *words = ig_arena_array(&model->arena, codes / 32 + 1U, sizeof *words);
        for (uint32_t c = 0; words && c < codes; c++) {
            uint32_t bit = c + IG_COMPACT_CODE;
            if (bytes[bit / 8] >> (bit % 8) & 1) words[c / 32] |= 1U << (c % 32);
        }
        model->sets[i] = (struct ig_category_set){words, codes};
    }
    if (!model->arena.overflowed) return true;
    ig_fail(reader->err, IG_NO_MEMORY, "no memory for %u sets", facts->sets_count);
    return false;
}

static bool fill_leaf(struct reader *reader, struct ig_node *node, const uint8_t *at)
{
    const struct ig_tree_compact *facts = &reader->facts;
    uint32_t bytes = ig_edge_value_bytes(facts->leaf);
    struct ig_model *model = reader->model;
    node->op = IG_NODE_LEAF;
    node->left = node->right = -1;
    node->cover = 1;
    node->extra = IG_MODEL_NONE;
    uint32_t row = IG_MODEL_NONE;
    if (reader->leaf_index_bytes) {
        row = (uint32_t)get(at, reader->leaf_index_bytes);
        if (row >= facts->table_rows) return bad(reader, "a leaf's number", row, "a row");
        at = reader->table.at + (size_t)row * facts->leaf_values * bytes;
    }
    if (!model->leaf_vectors) {
        node->value = value_at(reader, at);
        return true;
    }
    if (row != IG_MODEL_NONE) {
        node->extra = row;
        return true;
    }
    node->extra = model->leaf_values_count++;
    for (uint32_t o = 0; o < facts->leaf_values; o++)
        model->leaf_values[(size_t)node->extra * facts->leaf_values + o] =
            value_at(reader, at + (size_t)o * bytes);
    return true;
}

static bool fill_table(struct reader *reader)
{
    const struct ig_tree_compact *facts = &reader->facts;
    struct ig_model *model = reader->model;
    uint32_t bytes = ig_edge_value_bytes(facts->leaf);
    size_t rows = reader->leaf_index_bytes ? facts->table_rows
                                           : facts->splits_count + (size_t)1 + facts->trees_count;
    if (!model->leaf_vectors) return true;
    if (!reader->leaf_index_bytes && rows > reader->stream.bytes / facts->leaf_bytes + 1)
        rows = reader->stream.bytes / facts->leaf_bytes + 1;
    size_t count = rows * facts->leaf_values;
    model->leaf_values = ig_arena_array(&model->arena, count + 1, sizeof(double));
    if (!model->leaf_values) {
        ig_fail(reader->err, IG_NO_MEMORY, "no memory for %zu leaf values", count);
        return false;
    }
    if (!reader->leaf_index_bytes) return true;
    model->leaf_values_count = facts->table_rows;
    for (size_t i = 0; i < count; i++)
        model->leaf_values[i] = value_at(reader, reader->table.at + i * bytes);
    return true;
}

/* The place in a tree that is to be read next. */
struct place {
    struct ig_tree *tree;
    struct span left;
    uint32_t pending_count;
    bool leaf; /* what stands there */
};

/* Reads a split; the place moves to its left child. */
static bool read_split(struct reader *reader, struct place *place)
{
    const struct ig_tree_compact *facts = &reader->facts;
    struct ig_model *model = reader->model;
    if (place->left.bytes < facts->node_bytes)
        return bad(reader, "bytes left of a tree", place->left.bytes, "a split");
    if (model->nodes_count + 1 >= facts->splits_count * (uint64_t)2 + facts->trees_count ||
        place->pending_count == facts->splits_count)
        return bad(reader, "splits", facts->splits_count, "as many as there are");
    uint64_t word = get(place->left.at, facts->node_bytes);
    uint32_t top = 8U * facts->node_bytes - 1;
    struct ig_node *node = &model->nodes[model->nodes_count];
    uint64_t threshold = word & (((uint64_t)1 << facts->threshold_bits) - 1);
    uint64_t skip = word >> facts->threshold_bits & (((uint64_t)1 << facts->skip_bits) - 1);
    uint64_t column = word >> (facts->threshold_bits + facts->skip_bits) &
                      (((uint64_t)1 << facts->column_bits) - 1);
    place->left.at += facts->node_bytes;
    place->left.bytes -= facts->node_bytes;
    if (skip >= place->left.bytes) return bad(reader, "a split's skip", skip, "less than its tree");
    if (!fill_test(reader, node, (uint32_t)column, (uint32_t)threshold)) return false;
    node->left = (int32_t)(model->nodes_count - place->tree->first_node + 1);
    node->right = word >> (top - 1) & 1; /* until it is there */
    node->source_id = (int32_t)(place->left.bytes - skip);
    place->leaf = word >> top & 1;
    reader->pending[place->pending_count++] = model->nodes_count++;
    return true;
}

/* Reads a leaf; the place moves to the right child that is due, or to the end. */
static bool read_leaf(struct reader *reader, struct place *place)
{
    const struct ig_tree_compact *facts = &reader->facts;
    struct ig_model *model = reader->model;
    if (place->left.bytes < facts->leaf_bytes)
        return bad(reader, "bytes left of a tree", place->left.bytes, "a leaf");
    if (model->nodes_count >= facts->splits_count * (uint64_t)2 + facts->trees_count)
        return bad(reader, "splits", facts->splits_count, "as many as there are");
    struct ig_node *node = &model->nodes[model->nodes_count];
    node->source_id = (int32_t)(model->nodes_count - place->tree->first_node);
    if (!fill_leaf(reader, node, place->left.at)) return false;
    model->nodes_count++;
    place->left.at += facts->leaf_bytes;
    place->left.bytes -= facts->leaf_bytes;
    if (!place->pending_count) return true;
    struct ig_node *parent = &model->nodes[reader->pending[--place->pending_count]];
    if ((size_t)parent->source_id != place->left.bytes)
        return bad(reader, "a split's skip", (uint32_t)parent->source_id,
                   "the size of what is left of it");
    place->leaf = parent->right;
    parent->right = (int32_t)(model->nodes_count - place->tree->first_node);
    parent->source_id = (int32_t)(reader->pending[place->pending_count] - place->tree->first_node);
    return true;
}

static bool read_tree(struct reader *reader, struct ig_tree *tree, struct span span)
{
    struct ig_model *model = reader->model;
    struct place place = {tree, span, 0, span.bytes == reader->facts.leaf_bytes};
    uint64_t splits = 0, leaves = 0;
    tree->first_node = model->nodes_count;
    while (leaves == 0 || leaves <= splits) {
        bool leaf = place.leaf;
        if (!(leaf ? read_leaf(reader, &place) : read_split(reader, &place))) return false;
        leaves += leaf;
        splits += !leaf;
    }
    tree->nodes_count = model->nodes_count - tree->first_node;
    return place.left.bytes ? bad(reader, "bytes left of a tree", place.left.bytes, "0") : true;
}

static bool read_trees(struct reader *reader)
{
    const struct ig_tree_compact *facts = &reader->facts;
    struct ig_model *model = reader->model;
    size_t at = 0;
    for (uint32_t t = 0; t < facts->trees_count; t++) {
        struct ig_tree *tree = &model->trees[t];
        size_t bytes =
            (size_t)get(reader->tree_bytes.at + (size_t)t * reader->tree_width, reader->tree_width);
        if (bytes > reader->stream.bytes - at)
            return bad(reader, "a tree's size", bytes, "within the nodes");
        if (reader->output_width)
            tree->output = (uint32_t)get(reader->tree_outputs.at + (size_t)t * reader->output_width,
                                         reader->output_width);
        tree->weight = 1;
        if (reader->flags & IG_EDGE_SHIFTS) {
            if (reader->shifts.at[t] > SHIFT_MAX)
                return bad(reader, "a tree's shift", reader->shifts.at[t], "at most 30");
            tree->weight = ldexp(1, reader->shifts.at[t]);
        }
        model->trees_count++;
        if (!read_tree(reader, tree, (struct span){reader->stream.at + at, bytes})) return false;
        at += bytes;
    }
    if (at != reader->stream.bytes)
        return bad(reader, "bytes of nodes", reader->stream.bytes, "the sum of all trees");
    if (model->nodes_count != facts->splits_count * (uint64_t)2 + facts->trees_count)
        return bad(reader, "splits", facts->splits_count, "as many as there are");
    return true;
}

/* Leaves count as one row each. */
static void fill_covers(struct ig_model *model)
{
    for (uint32_t t = 0; t < model->trees_count; t++) {
        struct ig_node *nodes = model->nodes + model->trees[t].first_node;
        for (uint32_t i = model->trees[t].nodes_count; i-- > 0;)
            if (nodes[i].op != IG_NODE_LEAF)
                nodes[i].cover = nodes[nodes[i].left].cover + nodes[nodes[i].right].cover;
    }
    model->covers_counted = true;
}

static bool fill_bases(struct reader *reader)
{
    const struct ig_tree_compact *facts = &reader->facts;
    uint32_t bytes = ig_edge_base_bytes(facts->leaf);
    for (uint32_t o = 0; o < facts->outputs_count; o++) {
        const uint8_t *at = reader->bases.at + (size_t)o * bytes;
        double *base = &reader->model->base_margin[o];
        if (ig_compact_is_integer(facts->leaf))
            *base = ldexp((int32_t)(uint32_t)get(at, 4), facts->scale_exponent);
        else
            *base = bytes == 8 ? get_f64(at) : get_f32(at);
    }
    return true;
}

static bool fill_model(struct reader *reader)
{
    struct ig_model *model = reader->model;
    const struct ig_tree_compact *facts = &reader->facts;
    uint64_t nodes = facts->splits_count * (uint64_t)2 + facts->trees_count;
    if (nodes > reader->stream.bytes)
        return bad(reader, "splits", facts->splits_count, "no more than the bytes of nodes hold");
    bool narrow = facts->leaf == IG_COMPACT_FLOAT32;
    model->kind = IG_MODEL_TREES;
    model->features_count = facts->features_count;
    model->outputs_count = facts->outputs_count;
    model->transform = facts->transform;
    model->transform_parameter = facts->transform_parameter;
    model->predictions_count = facts->transform == IG_TRANSFORM_ARGMAX ? 1 : facts->outputs_count;
    model->iterations_count = facts->iterations_count;
    model->average = facts->average;
    model->inputs_f32 = narrow && !(reader->flags & IG_EDGE_DOUBLE);
    model->category_truncates = reader->flags & IG_EDGE_TRUNCATES;
    model->leaf_vectors = reader->flags & IG_EDGE_VECTORS;
    model->sum_rule = IG_SUM_F64;
    if (narrow)
        model->sum_rule =
            reader->flags & IG_EDGE_BASE_FIRST ? IG_SUM_F32_BASE_FIRST : IG_SUM_F32_BASE_LAST;
    model->source_version = IG_STR("1");
    model->base_margin = ig_arena_array(&model->arena, facts->outputs_count, sizeof(double));
    model->trees =
        ig_arena_array(&model->arena, (size_t)facts->trees_count + 1, sizeof *model->trees);
    model->nodes = ig_arena_array(&model->arena, (size_t)nodes + 1, sizeof *model->nodes);
    reader->pending = ig_arena_array(&reader->scratch, (size_t)facts->splits_count + 1, 4);
    if (model->arena.overflowed || reader->scratch.overflowed) {
        ig_fail(reader->err, IG_NO_MEMORY, "no memory for %llu nodes", (unsigned long long)nodes);
        return false;
    }
    if (!fill_bases(reader) || !fill_sets(reader) || !fill_table(reader) || !read_trees(reader))
        return false;
    fill_covers(model);
    return ig_model_check(model, reader->err) == IG_OK;
}

static bool read_trees_section(struct reader *reader)
{
    return read_facts(reader) &&
           take(reader, &reader->bases, reader->facts.outputs_count,
                ig_edge_base_bytes(reader->facts.leaf), "base margins") &&
           read_sources(reader) && read_sets(reader) && read_arrays(reader) && fill_model(reader);
}

/* The model then takes a table's rows; what the network's inputs are called says nothing of them.
 */
static bool read_encoder(struct reader *reader, struct ig_str network_section)
{
    struct ig_model *model = reader->model;
    struct ig_encoder *encoder;
    const struct ig_edge_encoded from = {reader->encoder, network_section, model->network};
    if (!reader->encoder.ptr) return true;
    if (ig_edge_read_encoder(&encoder, &from, &model->arena, reader->err) != IG_OK) return false;
    model->encoder = encoder;
    model->features_count = encoder->features_count;
    model->inputs = NULL;
    return true;
}

static bool read_network_section(struct reader *reader, size_t max_bytes)
{
    const struct ig_str section = {(const char *)reader->left.at, reader->left.bytes};
    return ig_edge_read_network(&reader->model->network, section, max_bytes, reader->err) ==
               IG_OK &&
           ig_network_model_fill(reader->model, IG_STR("1"), reader->file.len + NUMBERS_FLOOR,
                                 reader->err) == IG_OK &&
           read_encoder(reader, section);
}

enum ig_code ig_edge_load(struct ig_model **out, struct ig_str bytes, struct ig_err *err)
{
    size_t most = ((size_t)1 << 24) + bytes.len * 256;
    struct reader reader = {.file = bytes, .model = ig_model_new(most), .err = err};
    ig_arena_init(&reader.scratch, 64 * 1024, most);
    if (!reader.model) {
        ig_fail(err, IG_NO_MEMORY, "no memory for a model");
    } else if (read_header(&reader) && (reader.network ? read_network_section(&reader, most)
                                                       : read_trees_section(&reader))) {
        *out = reader.model;
        reader.model = NULL;
    }
    ig_arena_deinit(&reader.scratch);
    ig_model_free(reader.model);
    return err->code;
}
