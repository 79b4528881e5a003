/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_QUANTIZE_TREE_COMPACT_H
#define IG_KERNELS_QUANTIZE_TREE_COMPACT_H

/* A tree ensemble in few bytes, for devices. Inputs are floats. Decisions are the model's own for
 * every float, missing values and categories included: a split compares the rank of the input among
 * the feature's different thresholds, which are kept exactly. Leaves are kept exactly or rounded to
 * float, int16 or int8; integer leaves are summed exactly.
 *
 * Columns. A source turns one feature into columns of small integers, one for each way in which
 * splits treat a missing value (the bits of `rules`, in ascending order). Numeric sources come
 * first. A number's column is how many of the feature's thresholds it reaches; a category's is its
 * code + IG_COMPACT_CODE, or IG_COMPACT_UNKNOWN, or IG_COMPACT_MISSING.
 *
 * Stream. Each tree is its nodes in preorder, a leaf where it is reached. A split is node_bytes
 * little-endian: threshold, skip, column (fields from bit 0), and in the top two bits whether the
 * right and the left child is a leaf (the left one topmost). The left child follows at once, the
 * right one after `skip` bytes more. Right iff the column >= threshold; for a column from
 * first_category on, iff bit `column` of set `threshold` is set. A tree of one leaf has leaf_bytes.
 *
 * Immutable after `new`. */

#include "model/model.h"

enum ig_compact_leaf { IG_COMPACT_FLOAT32, IG_COMPACT_FLOAT64, IG_COMPACT_INT16, IG_COMPACT_INT8 };

/* What the caller wants of leaves; EXACT is float32 or float64, whatever the model sums in. */
enum ig_compact_want {
    IG_COMPACT_WANT_EXACT,
    IG_COMPACT_WANT_FLOAT32,
    IG_COMPACT_WANT_INT16,
    IG_COMPACT_WANT_INT8,
};

enum ig_compact_rule {
    IG_COMPACT_NAN_LEFT = 1,       /* missing is 0: below every threshold */
    IG_COMPACT_NAN_RIGHT = 2,      /* missing is missing_rank */
    IG_COMPACT_NAN_ZERO = 4,       /* missing has the rank of 0 */
    IG_COMPACT_ZERO_LEFT = 8,      /* as NAN_LEFT, and |x| <= 1e-35 is missing too */
    IG_COMPACT_ZERO_RIGHT = 16,    /* as NAN_RIGHT, likewise */
    IG_COMPACT_CATEGORY = 32,      /* a category's code */
    IG_COMPACT_CATEGORY_ZERO = 64, /* the same, and |x| <= 1e-35 is missing too */
};

/* Bits of a set: INVERTED flips all others; what lies past its end is 0 before that. */
enum { IG_COMPACT_INVERTED, IG_COMPACT_MISSING, IG_COMPACT_UNKNOWN, IG_COMPACT_CODE };

/* The order key of a float with bits b is b, or 0x80000000 - b for a negative one, as a signed
 * number. The i-th threshold of a feature is the float whose order key is base + (distance <<
 * key_shift), or, where it has a grid, the float nearest to that number / 10^(grid - 1), from grid
 * 9 on the least float above that number / (2 * 10^(grid - 9)), which is where libraries split that
 * take the middle of two decimals. Distances ascend and are key_bytes wide, little-endian; with 0
 * bytes a distance is i and nothing is kept, nor is there anything to search. With bucket_bits they
 * are kept without what lies above these bits, behind the count of buckets and, for each and the
 * end, how many keys lie before it. */
enum { IG_COMPACT_DECIMALS = 8, IG_COMPACT_GRIDS = 16, IG_COMPACT_GRID_END = 1 << 24 };

struct ig_compact_source {
    uint32_t feature;
    uint32_t first_column;
    uint32_t keys_count; /* categories: how many codes are known */
    int32_t base;
    uint8_t rules;
    uint8_t key_bytes; /* 0 to 4 */
    uint8_t key_shift;
    uint8_t bucket_bits; /* 0: no buckets */
    uint8_t grid;        /* 0: keys of floats; else numbers are below GRID_END */
    const uint8_t *keys; /* NULL with 0 bytes */
    uint32_t keys_size;
};

struct ig_tree_compact {
    struct ig_arena arena; /* owns all below */
    uint32_t features_count, outputs_count, trees_count;
    uint32_t splits_count, leaves_count;
    bool inputs_truncate;   /* a category's code in (-1, 0) is 0; else it is unknown */
    uint32_t codes_end_log; /* codes from 2^this on are unknown */

    struct ig_compact_source *sources;
    uint32_t sources_count, columns_count, first_category;
    uint32_t missing_rank; /* above every rank of a number */
    uint32_t rank_bytes;   /* of a column in memory: 1 or 2; 4 with short splits over numbers alone,
                              where the rank stands in the topmost threshold_bits */
    uint32_t sets_count;
    uint32_t *set_starts; /* sets_count + 1, into set_bytes */
    uint8_t *set_bytes;

    uint8_t node_bytes, threshold_bits, skip_bits, column_bits;
    uint8_t *stream;
    uint32_t stream_bytes;
    uint32_t *tree_bytes;   /* of each tree in the stream */
    uint32_t *tree_outputs; /* NULL: one output, or leaves for all outputs */
    uint8_t *tree_shifts;   /* integer leaves: tree's value is q << shift; NULL: none is shifted */

    enum ig_compact_leaf leaf;
    uint32_t leaf_values; /* in a leaf: 1 or outputs_count */
    uint32_t value_bytes; /* of one of them */
    uint32_t leaf_bytes;  /* of a leaf in the stream */
    bool leaf_indexed;    /* a leaf is the number of a row of `table` */
    uint32_t table_rows;
    uint8_t *table;         /* table_rows x leaf_values */
    int32_t scale_exponent; /* integer leaves: a margin is its sum * 2^this */
    bool base_first; /* float32: the sum starts from the base margin; else it is added last */
    bool average;    /* float leaves: divide the sum by iterations_count */
    uint32_t iterations_count;
    double *base;         /* outputs_count; integer leaves: in units of the scale */
    double *error_bounds; /* outputs_count: no margin differs by more, but for the order of
                             the model's own float sums; 0 for exact leaves */
    enum ig_transform transform;
    bool transform_f64; /* computed in double */
    double transform_parameter;
};

/* IG_UNSUPPORTED: not trees, or trees whose leaves are linear; IG_TOO_LARGE: it passes a limit of
 * the form, which the message names. */
enum ig_code ig_tree_compact_new(struct ig_tree_compact **out, const struct ig_model *model,
                                 enum ig_compact_want want, struct ig_err *err);
void ig_tree_compact_free(struct ig_tree_compact *compact);
/* The order key of a float that is no NaN, and the float of a key. */
int32_t ig_compact_key(float value);
float ig_compact_value(int32_t key);
/* A source's i-th threshold: its number (of the grid, or its order key), and its order key. */
int64_t ig_compact_threshold_number(const struct ig_compact_source *source, uint32_t index);
int64_t ig_compact_threshold_key(const struct ig_compact_source *source, uint32_t index);
/* The least float that goes right at a split by a number; NaN where none does. */
float ig_compact_threshold(const struct ig_node *node);
/* Bits that `value` needs, at least 1. */
uint32_t ig_compact_bits(uint32_t value);
bool ig_compact_is_integer(enum ig_compact_leaf leaf);

#endif
