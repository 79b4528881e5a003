/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_EDGE_EDGE_PRIV_H
#define IG_FORMATS_EDGE_EDGE_PRIV_H

#include "formats/edge/edge.h"

/* Numbers of the file: docs/edge-format.md has them all. */
#define IG_EDGE_MAGIC "IGE\x1a"
#define IG_EDGE_TREES "TREE"
#define IG_EDGE_NETWORK "NNET"
#define IG_EDGE_ENCODER "ENCO"

enum {
    IG_EDGE_VERSION = 1,
    IG_EDGE_HEADER_BYTES = 16,
    IG_EDGE_SECTION_BYTES = 12,
    IG_EDGE_CRC_AT = 12,
    IG_EDGE_ALIGN = 4,
    IG_EDGE_TREE_BYTES = 64, /* of the tree section before its arrays */
    IG_EDGE_SOURCE_BYTES = 12,
    IG_EDGE_KEPT = 7, /* how a source's keys are kept: bytes of a key, with buckets 4 more */
    IG_EDGE_BUCKETS = 4,
    IG_EDGE_BUCKET_SHIFT = 3, /* of the bits of a bucket, above that */
    IG_EDGE_SECTIONS_MAX = 16,
};

enum ig_edge_flags {
    IG_EDGE_BASE_FIRST = 1,
    IG_EDGE_AVERAGE = 2,
    IG_EDGE_TRUNCATES = 4,
    IG_EDGE_VECTORS = 8,
    IG_EDGE_SHIFTS = 16,
    IG_EDGE_DOUBLE = 32, /* the source's transform computes in double */
};

/* Widths of the integers of the arrays that have several. */
uint32_t ig_edge_tree_width(const struct ig_tree_compact *compact);
uint32_t ig_edge_output_width(const struct ig_tree_compact *compact); /* 0: no such array */
uint32_t ig_edge_set_width(const struct ig_tree_compact *compact);
uint32_t ig_edge_value_bytes(enum ig_compact_leaf leaf);
uint32_t ig_edge_base_bytes(enum ig_compact_leaf leaf);
/* The file's number of a transform, and the transform of a number (false: unknown). */
uint8_t ig_edge_transform_code(enum ig_transform transform);
bool ig_edge_transform_of(enum ig_transform *out, uint8_t code);
/* Whether it is a C identifier of at most 64 letters. */
bool ig_edge_is_identifier(struct ig_str name);
uint32_t ig_edge_crc(const char *bytes, size_t count);

/* A file of so many sections. Gives where it starts. */
size_t ig_edge_begin(struct ig_buf *out, uint32_t sections);
/* What was written since `from` is section `index` of the file that starts at `start`. */
void ig_edge_end_section(struct ig_buf *out, size_t start, uint32_t index, const char *type,
                         size_t from);
enum ig_code ig_edge_end(struct ig_buf *out, size_t start, uint32_t sections, struct ig_err *err);

/* ---- networks ---- */

enum {
    IG_EDGE_NETWORK_BYTES = 24, /* of the section before its arrays */
    IG_EDGE_TENSOR_BYTES = 20,
};

enum ig_edge_network_flags { IG_EDGE_DOUBLE_ROUNDING = 1, IG_EDGE_PROBABILITY = 2 };
enum ig_edge_tensor_kind { IG_EDGE_F32, IG_EDGE_I8, IG_EDGE_CONSTANT = 128 };
enum ig_edge_layer_flags { IG_EDGE_VALID = 1, IG_EDGE_PER_CHANNEL = 2, IG_EDGE_KEEP_DIMS = 4 };

/* The section alone, whose start is a multiple of 4 in its file. */
void ig_edge_put_network(struct ig_buf *out, const struct ig_network_compact *compact);
/* The network of a section, in `*out`; at most `max_bytes`. */
enum ig_code ig_edge_read_network(struct ig_network **out, struct ig_str section, size_t max_bytes,
                                  struct ig_err *err);

/* ---- encoders ---- */

/* Where a row lies in the arena, which may be larger for it. */
struct ig_edge_row {
    uint32_t at, arena_bytes;
};
/* Of a network that has an encoder. */
struct ig_edge_row ig_edge_row_of(const struct ig_network_compact *compact);
void ig_edge_put_encoder(struct ig_buf *out, const struct ig_network_compact *compact);
struct ig_edge_encoded {
    struct ig_str section, network_section;
    const struct ig_network *network; /* as it was read of its section */
};
/* The encoder of a section, in the arena. */
enum ig_code ig_edge_read_encoder(struct ig_encoder **out, const struct ig_edge_encoded *from,
                                  struct ig_arena *arena, struct ig_err *err);

#endif
