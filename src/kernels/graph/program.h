/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_GRAPH_PROGRAM_H
#define IG_KERNELS_GRAPH_PROGRAM_H

/* A graph made ready to run: shapes inferred, constants folded, every tensor given its place in one
 * block of scratch memory that lifetimes share. `new` can fail and names the node and operator; run
 * allocates nothing, returns void, and is bit-identical for the same inputs. Immutable after `new`,
 * shared by all threads; it borrows the graph.
 *
 * Numbers: sums of products (Gemm, MatMul, Conv, SVM) accumulate in double, in index order, and are
 * rounded once; tree ensembles sum in float as ONNX Runtime does. Operators: ops.def. */

#include "kernels/predictor.h"
#include "model/graph.h"

struct ig_program;

struct ig_program_options {
    int64_t batch;    /* what an input's first dimension is where the file leaves it open; >= 1 */
    size_t max_bytes; /* bound over constants, state and scratch; 0: 1 GiB */
    bool blocks; /* of batch 1: the predictor may run several rows at once where they stay apart
                    whatever the graph, and where that is no slower */
};

/* A caller's end of the graph: shapes are those of one run. */
struct ig_program_port {
    struct ig_str name;
    enum ig_tensor_type type;
    uint32_t rank;
    int64_t dims[IG_GRAPH_RANK_MAX];
    size_t count; /* elements */
};

enum ig_code ig_program_new(struct ig_program **out, const struct ig_graph *graph,
                            const struct ig_program_options *options, struct ig_err *err);
void ig_program_free(struct ig_program *program);

uint32_t ig_program_inputs_count(const struct ig_program *program);
uint32_t ig_program_outputs_count(const struct ig_program *program);
const struct ig_program_port *ig_program_input(const struct ig_program *program, uint32_t index);
const struct ig_program_port *ig_program_output(const struct ig_program *program, uint32_t index);

size_t ig_program_scratch_bytes(const struct ig_program *program);
/* inputs[i] points to port i's elements, outputs[i] receives port i's (NULL: not wanted). String
 * outputs view the inputs' or the graph's text. `scratch` is 64-byte aligned. */
void ig_program_run(const struct ig_program *program, const void *const *inputs,
                    void *const *outputs, void *scratch);

/* The program as a function of rows, planned with batch 1; a row's values have the same bits in any
 * number of rows: features are all inputs' elements in
 * order (numeric inputs only, NaN goes in as NaN), values the elements of one numeric output: the
 * last of a float type, else the last numeric one. Fails when an input or every output is text. */
enum ig_code ig_program_predictor(struct ig_predictor *out, const struct ig_program *program,
                                  struct ig_err *err);

#endif
