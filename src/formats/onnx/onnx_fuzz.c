/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "formats/onnx/onnx.h"
#include "formats/onnx/onnx_scan.h"
#include "kernels/graph/program.h"
#include "model/network.h"

#include <math.h>

enum { SCRATCH_MAX = 1 << 22, ROWS = 5 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_equal(const double *a, const double *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        IG_ASSERT((a[i] == b[i] && !signbit(a[i]) == !signbit(b[i])) ||
                  (isnan(a[i]) && isnan(b[i])));
}

/* What was planned must be fit to run, unless it wants text; rows together are what they are
 * alone. */
static void run_rows(const struct ig_program *program)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_predictor predictor;
    if (ig_program_predictor(&predictor, program, &err) != IG_OK) return;
    const size_t features = predictor.features_count, count = predictor.values_count;
    size_t bytes = predictor.scratch_bytes(&predictor, ROWS);
    if (bytes > SCRATCH_MAX || features > SCRATCH_MAX || count > SCRATCH_MAX) return;
    double *rows = ig_zalloc_array(ROWS * features, sizeof *rows);
    double *values = ig_zalloc_array((ROWS + 1) * count, sizeof *values);
    void *scratch = ig_alloc_aligned(64, bytes);
    bool good = rows && values && scratch;
    for (size_t i = features; good && i < ROWS * features; i++)
        rows[i] = (double)(i % 17) * 0.5 - 3;
    if (good) predictor.run(&predictor, rows, ROWS, values, scratch);
    for (size_t i = 0; good && i < ROWS; i++) {
        predictor.run(&predictor, rows + i * features, 1, values + ROWS * count, scratch);
        expect_equal(values + i * count, values + ROWS * count, count);
    }
    ig_free(rows);
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
    struct ig_program_options options = {.batch = 1, .max_bytes = SCRATCH_MAX, .blocks = true};
    if (ig_program_new(&program, graph, &options, &again) == IG_OK)
        run_rows(program);
    else
        IG_ASSERT(!program && again.message[0]);
    ig_program_free(program);
    (void)ig_onnx_is_trees(graph);
    read_network(graph);
    ig_graph_free(graph);
    return 0;
}
