/* SPDX-License-Identifier: Apache-2.0 */
/* PAD and CONCATENATION: bytes that move. Stateless. */
#include "kernels/nn/nn_priv.h"

#include <string.h>

static void run_pad(const struct nn_run *run, const struct nn_step *step)
{
    const struct ig_network_tensor *in = nn_in(run->nn, step, 0), *out = nn_out(run->nn, step);
    const uint32_t(*pads)[2] = step->layer->pads;
    size_t each = ig_network_type_bytes(in->type), stride = 1, at = 0;
    size_t strides[IG_NETWORK_RANK_MAX] = {0};
    uint32_t counters[IG_NETWORK_RANK_MAX] = {0};
    const char *from = nn_read(run, step->layer->inputs[0]);
    char *to = nn_write(run, step->layer->output);
    bool i8 = in->type == IG_NETWORK_I8;
    memset(to, i8 ? out->quantization.zero_points[0] : 0, ig_network_tensor_bytes(out));
    for (uint32_t d = in->rank; d-- > 0;) {
        strides[d] = stride;
        at += stride * pads[d][0];
        stride *= out->dims[d];
    }
    /* Line by line of the innermost dimension. */
    size_t line = in->rank ? in->dims[in->rank - 1] : 1;
    for (size_t i = 0; i < ig_network_tensor_count(in); i += line) {
        memcpy(to + at * each, from + i * each, line * each);
        for (uint32_t d = in->rank ? in->rank - 1 : 0; d-- > 0;) {
            at += strides[d];
            if (++counters[d] < in->dims[d]) break;
            at -= strides[d] * in->dims[d];
            counters[d] = 0;
        }
    }
}

static void run_concatenation(const struct nn_run *run, const struct nn_step *step)
{
    const struct ig_network_layer *layer = step->layer;
    const struct ig_network_tensor *out = nn_out(run->nn, step);
    size_t outer = 1, inner = ig_network_type_bytes(out->type), at = 0;
    char *to = nn_write(run, layer->output);
    for (uint32_t d = 0; d < layer->axis; d++) outer *= out->dims[d];
    for (uint32_t d = layer->axis + 1; d < out->rank; d++) inner *= out->dims[d];
    size_t line = out->dims[layer->axis] * inner;
    for (uint32_t k = 0; k < layer->inputs_count; k++) {
        const char *from = nn_read(run, layer->inputs[k]);
        size_t bytes = nn_in(run->nn, step, k)->dims[layer->axis] * inner;
        for (size_t i = 0; i < outer; i++) memcpy(to + i * line + at, from + i * bytes, bytes);
        at += bytes;
    }
}

enum ig_code nn_prepare_pad(struct ig_nn *nn, struct nn_step *step, struct ig_err *err)
{
    (void)nn;
    (void)err;
    step->run = run_pad;
    return IG_OK;
}

enum ig_code nn_prepare_concatenation(struct ig_nn *nn, struct nn_step *step, struct ig_err *err)
{
    (void)nn;
    (void)err;
    step->run = run_concatenation;
    return IG_OK;
}
