/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGOT_EDGE_H
#define INGOT_EDGE_H

/* Runs Ingot's compact model files (docs/edge-format.md) on a device, trees and int8 networks: C99,
 * freestanding, no heap, no stdio, no threads. The model's bytes are used where they lie, in flash
 * for instance, and must stay there; the rest is in the caller's structs and the caller's arena,
 * whose size is known from the file alone. Thread rule: a model may be shared, an interpreter
 * belongs to one thread.
 *
 *     static uint8_t arena[ARENA_BYTES];             aligned to 8; `ingot edge inspect` tells how
 * many struct ige_model model; struct ige_interpreter interpreter; ige_load(&model, bytes, size);
 *     ige_allocate_tensors(&interpreter, &model, arena, sizeof arena);
 *     ige_input(&interpreter)->data.f32[0] = 39.0F;  NaN: missing; a category: its code; of a
 *                                                    network data.i8[0], or f32 as its type says
 *     ige_invoke(&interpreter);
 *     int32_t class_index = ige_class(&interpreter);
 *
 * Compiled with IGE_NO_FLOAT it has no float arithmetic at all, and refuses files with float
 * leaves, float tensors or encoders. IGE_NO_TREES and IGE_NO_NETWORKS leave out what only the other
 * needs; IGE_OPS=0x... is a mask of the operators that a program's networks have (`ingot edge
 * inspect` tells it): bit n for operator n of the format. IGE_NN_ROUNDINGS=1 is for networks that
 * round once alone, 2 for such that round twice. IGE_NO_ENCODERS leaves out what makes a network's
 * inputs of a table's rows, and refuses files that have it. All files of a program are compiled
 * with the same.
 */

#include <stddef.h>
#include <stdint.h>

enum ige_status {
    IGE_OK,
    IGE_BAD_FILE,        /* no compact file, or a broken one */
    IGE_BAD_CRC,         /* its bytes have changed */
    IGE_UNSUPPORTED,     /* another version, or what this build cannot run */
    IGE_ARENA_TOO_SMALL, /* or not aligned to 8 */
};

enum ige_type { IGE_FLOAT32, IGE_FLOAT64, IGE_INT32, IGE_INT8 };

struct ige_tensor {
    enum ige_type type;
    uint32_t count;
    int32_t exponent; /* INT32: a value is the integer times 2^exponent */
    int32_t zero_point;
    float scale; /* INT8: a value is the integer less zero_point, times scale */
    union {
        float *f32;
        double *f64;
        int32_t *i32;
        int8_t *i8;
    } data;
};

#if !defined(IGE_NO_NETWORKS) && !defined(IGE_NO_FLOAT) && !defined(IGE_NO_ENCODERS)
#define IGE_ENCODERS
#endif

#ifndef IGE_NO_NETWORKS
struct ige_network {
    const uint8_t *ends, *tensors, *layers, *constants; /* tensors NULL: the model is of trees */
    uint32_t arena_bytes, constants_bytes, layers_bytes;
    uint16_t tensors_count, layers_count, inputs, outputs;
    uint8_t flags;
    int8_t threshold;
#ifdef IGE_ENCODERS
    const uint8_t *encoder, *gains; /* encoder NULL: inputs are the network's own */
    uint32_t features, row_at, row_arena_bytes;
#endif
};
#endif

/* A loaded file; its fields are the runtime's own. */
struct ige_model {
#ifndef IGE_NO_NETWORKS
    struct ige_network network;
#endif
#ifndef IGE_NO_TREES
    uint32_t features, outputs, sources, columns, first_category, missing_rank, trees;
    uint32_t deep; /* so many trees at the beginning have no leaf beside their first splits */
    uint32_t table_rows, sets, iterations;
    int32_t exponent;
    uint8_t node_bytes, threshold_bits, skip_bits, column_bits;
    uint8_t leaf, value_bytes, index_bytes, flags, transform;
    uint8_t tree_width, output_width, set_width, rank_bytes, stumps;
    uint32_t leaf_values, leaf_bytes;
    const uint8_t *base, *source, *keys, *set_starts, *set_bytes;
    const uint8_t *tree_bytes, *tree_outputs, *tree_shifts, *table, *nodes;
    uint32_t nodes_bytes, set_pool_bytes;
#endif
};

struct ige_interpreter {
    const struct ige_model *model;
    struct ige_tensor input, output; /* of a network the first ones */
    void *columns;                   /* of a network its arena */
};

/* Checks all of the file, so that nothing need be checked later: no file, however broken, makes the
 * runtime read outside it or loop. */
enum ige_status ige_load(struct ige_model *model, const void *bytes, size_t size);
/* What ige_allocate_tensors needs, to the byte. */
size_t ige_arena_bytes(const struct ige_model *model);
enum ige_status ige_allocate_tensors(struct ige_interpreter *interpreter,
                                     const struct ige_model *model, void *arena, size_t size);
/* One float a feature; of a network its first input, or, where the file has an encoder, a row of
 * the table: NaN is missing, a category its code. */
struct ige_tensor *ige_input(struct ige_interpreter *interpreter);
void ige_invoke(struct ige_interpreter *interpreter);
/* One margin an output: the model's score before its objective's transform; of a network its first
 * output. */
const struct ige_tensor *ige_output(const struct ige_interpreter *interpreter);
/* All inputs and outputs of a network, by number; with no elements where there is none. Inputs are
 * overwritten by ige_invoke. */
struct ige_tensor ige_input_at(const struct ige_interpreter *interpreter, uint32_t index);
struct ige_tensor ige_output_at(const struct ige_interpreter *interpreter, uint32_t index);
/* The class of the last row: the output that is greatest, the first of equals; of a single output 1
 * when it is over 0 (over one half where it is a probability), else 0. */
int32_t ige_class(const struct ige_interpreter *interpreter);
#ifndef IGE_NO_FLOAT
/* An element of the output as a float, whatever its type. */
float ige_margin(const struct ige_interpreter *interpreter, uint32_t output);
#endif

#endif
