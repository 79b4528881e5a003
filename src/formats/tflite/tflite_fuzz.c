/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "formats/tflite/tflite.h"
#include "kernels/nn/nn.h"

enum { SCRATCH_MAX = 1 << 22, WORK_MAX = 1 << 22 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was planned must be fit to run. */
static void run_once(const struct ig_nn *nn)
{
    struct ig_predictor predictor = ig_nn_predictor(nn);
    double *row = ig_zalloc_array(predictor.features_count + (size_t)1, sizeof *row);
    double *values = ig_zalloc_array(predictor.values_count, sizeof *values);
    void *scratch = ig_alloc_aligned(64, ig_nn_scratch_bytes(nn) + 1);
    if (row && values && scratch) predictor.run(&predictor, row, 1, values, scratch);
    ig_free(row);
    ig_free(values);
    ig_free(scratch);
}

/* What was read can be written, and read again. */
static void write_again(const struct ig_network *network)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_network *again = NULL;
    struct ig_buf out;
    ig_buf_init(&out, 1 << 22);
    if (ig_tflite_write(&out, network, &err) == IG_OK &&
        ig_tflite_network(&again, ig_buf_view(&out), &err) == IG_OK)
        IG_ASSERT(again->layers_count == network->layers_count);
    IG_ASSERT(err.code == IG_OK || err.code == IG_NO_MEMORY || err.code == IG_TOO_LARGE ||
              err.code == IG_UNSUPPORTED);
    ig_network_free(again);
    ig_buf_deinit(&out);
}

/* Whatever loads has passed its check, and plans or refuses. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_err err = IG_ERR_INIT, again = IG_ERR_INIT;
    struct ig_network *network = NULL;
    if (ig_tflite_network(&network, (struct ig_str){(const char *)data, size}, &err) != IG_OK) {
        IG_ASSERT(!network && err.message[0]);
        return 0;
    }
    IG_ASSERT(ig_network_check(network, &again) == IG_OK);
    IG_ASSERT(network->arena.held_bytes <= 16 * size + (1 << 20));
    for (int isa = IG_ISA_SCALAR; isa <= (int)ig_cpu_isa(); isa++) {
        struct ig_nn *nn = NULL;
        const struct ig_nn_options options = {SCRATCH_MAX, (enum ig_isa)isa, WORK_MAX};
        ig_err_clear(&again);
        if (ig_nn_new(&nn, network, &options, &again) == IG_OK) {
            run_once(nn);
            write_again(network);
        } else {
            IG_ASSERT(!nn && again.message[0]);
        }
        ig_nn_free(nn);
    }
    ig_network_free(network);
    return 0;
}
