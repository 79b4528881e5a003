/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "formats/onnx/onnx.h"
#include "formats/onnx/onnx_scan.h"
#include "kernels/graph/program.h"
#include "model/network.h"

enum { SCRATCH_MAX = 1 << 22 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was planned must be fit to run: on zeros, unless it wants text. */
static void run_once(const struct ig_program *program)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_predictor predictor;
    if (ig_program_predictor(&predictor, program, &err) != IG_OK) return;
    size_t bytes = predictor.scratch_bytes(&predictor, 1);
    if (bytes > SCRATCH_MAX) return;
    double *row = ig_zalloc_array(predictor.features_count, sizeof *row);
    double *values = ig_zalloc_array(predictor.values_count, sizeof *values);
    void *scratch = ig_alloc_aligned(64, bytes);
    if (row && values && scratch) predictor.run(&predictor, row, 1, values, scratch);
    ig_free(row);
    ig_free(values);
    ig_free(scratch);
}

/* What is said of a file before another library opens it: it walks or refuses. */
static void scan(struct ig_str bytes)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_onnx_facts facts;
    struct ig_arena arena;
    ig_arena_init(&arena, 1024, 1 << 16);
    if (ig_onnx_scan(&facts, bytes, &arena, &err) != IG_OK) IG_ASSERT(err.message[0]);
    ig_arena_deinit(&arena);
}

/* What is read as a network has passed its check, and is written again or refused. */
static void read_network(const struct ig_graph *graph)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_onnx_network made;
    struct ig_model model = {.kind = IG_MODEL_NETWORK};
    struct ig_buf out;
    if (ig_onnx_network(&made, graph, &err) != IG_OK) {
        IG_ASSERT(err.message[0]);
        return;
    }
    ig_buf_init(&out, SCRATCH_MAX);
    model.network = made.network;
    if (ig_onnx_write(&out, &model, NULL, &err) != IG_OK) IG_ASSERT(err.message[0]);
    ig_buf_deinit(&out);
    ig_network_free(made.network);
}

/* Whatever loads has passed its check and plans or refuses. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_graph *graph = NULL;
    struct ig_str bytes = {(const char *)data, size};
    scan(bytes);
    if (ig_onnx_graph(&graph, bytes, &err) != IG_OK) {
        IG_ASSERT(!graph && err.message[0]);
        return 0;
    }
    struct ig_err again = IG_ERR_INIT;
    IG_ASSERT(ig_graph_check(graph, &again) == IG_OK);
    struct ig_program *program = NULL;
    struct ig_program_options options = {.batch = 1, .max_bytes = SCRATCH_MAX};
    if (ig_program_new(&program, graph, &options, &again) == IG_OK)
        run_once(program);
    else
        IG_ASSERT(!program && again.message[0]);
    ig_program_free(program);
    (void)ig_onnx_is_trees(graph);
    read_network(graph);
    ig_graph_free(graph);
    return 0;
}
