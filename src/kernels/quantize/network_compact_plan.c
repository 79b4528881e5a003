/* SPDX-License-Identifier: Apache-2.0 */
/* Lives of activations and scratch, and how far below its input an output may lie: what the
 * device's kernels (apps/edge/ingot_edge_nn.h) promise of the order in which they read and write. A
 * RESHAPE's output lies where its input does. Stateless. */
#include "kernels/quantize/arena_plan.h"
#include "kernels/quantize/network_compact_priv.h"

enum {
    GROUP = 4, /* positions that a depthwise convolution or pool takes at once, at most */
    POSITIONS_MAX = 1 << 20,
};

struct lives {
    struct ig_network_compact *compact;
    uint32_t *root;   /* by tensor: the one in whose memory it lies */
    uint32_t *buffer; /* by root: its buffer + 1; 0: none yet */
    struct ig_arena_buffer *buffers;
    struct ig_arena_overlap *overlaps;
    uint32_t buffers_count, overlaps_count;
    uint64_t bytes;
};

static void live(struct lives *lives, uint32_t tensor, uint32_t step)
{
    uint32_t root = lives->root[tensor];
    const struct ig_compact_tensor *t = &lives->compact->tensors[root];
    if (t->constant) return;
    if (!lives->buffer[root]) {
        uint64_t bytes = ig_network_tensor_bytes(t->tensor);
        lives->bytes += bytes + IG_ARENA_PLAN_ALIGNMENT;
        lives->buffers[lives->buffers_count++] =
            (struct ig_arena_buffer){.size_bytes = (uint32_t)bytes, .first = step};
        lives->buffer[root] = lives->buffers_count;
    }
    lives->buffers[lives->buffer[root] - 1].last = step;
}

/* The first input byte that each position reads or one after it. */
static void reaches(const struct ig_network_compact *compact, const struct ig_compact_layer *made,
                    uint32_t *least, uint32_t positions)
{
    const struct ig_network_tensor *in = compact_in(compact, made, 0);
    const struct ig_network_tensor *out = compact_out(compact, made);
    const struct ig_network_window *w = &made->layer->window;
    uint32_t dilation_h = w->dilation_h ? w->dilation_h : 1;
    uint32_t dilation_w = w->dilation_w ? w->dilation_w : 1;
    uint32_t pad_h =
        ig_network_pad_before(w->padding, in->dims[1], made->filter_h, w->stride_h, dilation_h);
    uint32_t pad_w =
        ig_network_pad_before(w->padding, in->dims[2], made->filter_w, w->stride_w, dilation_w);
    least[positions] = UINT32_MAX;
    for (uint32_t p = positions; p-- > 0;) {
        uint32_t x = p % out->dims[2] * w->stride_w, y = p / out->dims[2] % out->dims[1];
        uint32_t image = p / out->dims[2] / out->dims[1];
        y *= w->stride_h;
        y = y > pad_h ? y - pad_h : 0;
        x = x > pad_w ? x - pad_w : 0;
        uint32_t at = ((image * in->dims[1] + y) * in->dims[2] + x) * in->dims[3];
        least[p] = at < least[p + 1] ? at : least[p + 1];
    }
}

/* A position's outputs come after all inputs of its pair (CONV_2D), or of none but those before its
 * group. */
static uint32_t window_distance(const struct ig_network_compact *compact,
                                const struct ig_compact_layer *made, const uint32_t *least,
                                uint32_t positions)
{
    bool pairs = made->layer->op == IG_NETWORK_CONV_2D;
    uint32_t channels = compact_out(compact, made)->dims[3], distance = 0;
    for (uint32_t p = 0; p < positions; p++) {
        uint32_t next = pairs ? (p | 1) + 1 : p < GROUP ? 0 : p - GROUP + 1;
        uint32_t end = (p + 1) * channels, need = least[next < positions ? next : positions];
        if (end > need && end - need > distance) distance = end - need;
    }
    return distance;
}

/* Whether an output may lie over input `index` at some distance. */
static enum ig_code distance_of(const struct ig_network_compact *compact,
                                const struct ig_compact_layer *made, uint32_t index, int64_t *out,
                                struct ig_err *err)
{
    const struct ig_network_tensor *in = compact_in(compact, made, index);
    size_t count = ig_network_tensor_count(compact_out(compact, made));
    *out = -1;
    switch (made->layer->op) {
    case IG_NETWORK_CONV_2D:
    case IG_NETWORK_DEPTHWISE_CONV_2D:
    case IG_NETWORK_AVERAGE_POOL_2D:
    case IG_NETWORK_MAX_POOL_2D: {
        uint32_t positions = (uint32_t)(count / compact_out(compact, made)->dims[3]);
        if (positions > POSITIONS_MAX) return IG_OK;
        uint32_t *least = ig_zalloc_array(positions + (size_t)1, sizeof *least);
        if (!least) return ig_fail(err, IG_NO_MEMORY, "no memory for %u positions", positions);
        reaches(compact, made, least, positions);
        *out = window_distance(compact, made, least, positions);
        ig_free(least);
        return IG_OK;
    }
    case IG_NETWORK_ADD:
    case IG_NETWORK_SUB:
    case IG_NETWORK_MUL:
        if (ig_network_tensor_count(in) == count) *out = 0;
        return IG_OK;
    case IG_NETWORK_LOGISTIC:
    case IG_NETWORK_TANH:
    case IG_NETWORK_RELU:
    case IG_NETWORK_RELU6:
    case IG_NETWORK_RELU_N1_TO_1:
    case IG_NETWORK_QUANTIZE:
        *out = 0;
        return IG_OK;
    default:
        return IG_OK;
    }
}

/* Where the layer reads an input for the last time, the output may lie over it. */
static enum ig_code add_overlaps(struct lives *lives, uint32_t number, struct ig_err *err)
{
    const struct ig_compact_layer *made = &lives->compact->layers[number];
    for (uint32_t i = 0; i < made->inputs_count; i++) {
        uint32_t input = lives->buffer[lives->root[made->inputs[i]]];
        int64_t distance;
        if (!input || lives->buffers[input - 1].last != number + 1) continue;
        if (distance_of(lives->compact, made, i, &distance, err) != IG_OK) return err->code;
        if (distance < 0) continue;
        lives->overlaps[lives->overlaps_count++] = (struct ig_arena_overlap){
            input - 1, lives->buffer[lives->root[made->output]] - 1, (uint32_t)distance};
    }
    return IG_OK;
}

static enum ig_code gather(struct lives *lives, struct ig_err *err)
{
    const struct ig_network_compact *compact = lives->compact;
    for (uint32_t i = 0; i < compact->inputs_count; i++) live(lives, compact->inputs[i], 0);
    for (uint32_t i = 0; i < compact->layers_count; i++) {
        const struct ig_compact_layer *made = &compact->layers[i];
        if (made->layer->op == IG_NETWORK_RESHAPE)
            lives->root[made->output] = lives->root[made->inputs[0]];
        for (uint32_t k = 0; k < made->inputs_count; k++) live(lives, made->inputs[k], i + 1);
        live(lives, made->output, i + 1);
    }
    for (uint32_t i = 0; i < compact->outputs_count; i++) {
        if (compact->tensors[lives->root[compact->outputs[i]]].constant)
            return ig_fail(err, IG_UNSUPPORTED, "output %u is a constant", i);
        live(lives, compact->outputs[i], compact->layers_count + 1);
    }
    for (uint32_t i = 0; i < compact->layers_count; i++) {
        const struct ig_compact_layer *made = &compact->layers[i];
        if (made->layer->op != IG_NETWORK_RESHAPE && add_overlaps(lives, i, err) != IG_OK)
            return err->code;
        if (!made->scratch_bytes) continue;
        lives->bytes += made->scratch_bytes;
        lives->buffers[lives->buffers_count++] =
            (struct ig_arena_buffer){made->scratch_bytes, i + 1, i + 1, 0};
    }
    if (lives->bytes <= IG_COMPACT_NETWORK_BYTES_MAX) return IG_OK;
    return ig_fail(err, IG_TOO_LARGE, "activations of over %d bytes", IG_COMPACT_NETWORK_BYTES_MAX);
}

static void store(const struct lives *lives)
{
    struct ig_network_compact *compact = lives->compact;
    uint32_t scratch = lives->buffers_count;
    for (uint32_t i = compact->layers_count; i-- > 0;)
        if (compact->layers[i].scratch_bytes)
            compact->layers[i].scratch = lives->buffers[--scratch].offset;
    for (uint32_t i = 0; i < compact->tensors_count; i++) {
        uint32_t root = lives->root[i];
        compact->tensors[i].constant = compact->tensors[root].constant;
        compact->tensors[i].offset = compact->tensors[root].constant
                                         ? compact->tensors[root].offset
                                         : lives->buffers[lives->buffer[root] - 1].offset;
    }
}

enum ig_code compact_plan(struct ig_network_compact *compact, struct ig_err *err)
{
    struct lives lives = {.compact = compact};
    size_t tensors = compact->tensors_count + (size_t)1, inputs = 0;
    for (uint32_t i = 0; i < compact->layers_count; i++) inputs += compact->layers[i].inputs_count;
    lives.root = ig_zalloc_array(tensors, sizeof *lives.root);
    lives.buffer = ig_zalloc_array(tensors, sizeof *lives.buffer);
    lives.buffers = ig_zalloc_array(tensors + compact->layers_count, sizeof *lives.buffers);
    lives.overlaps = ig_zalloc_array(inputs + 1, sizeof *lives.overlaps);
    if (!lives.root || !lives.buffer || !lives.buffers || !lives.overlaps)
        ig_fail(err, IG_NO_MEMORY, "no memory to plan %zu activations", tensors);
    for (uint32_t i = 0; err->code == IG_OK && i < compact->tensors_count; i++) lives.root[i] = i;
    if (err->code == IG_OK && gather(&lives, err) == IG_OK &&
        ig_arena_plan(&compact->arena_bytes, lives.buffers, lives.buffers_count, lives.overlaps,
                      lives.overlaps_count, err) == IG_OK)
        store(&lives);
    ig_free(lives.root);
    ig_free(lives.buffer);
    ig_free(lives.buffers);
    ig_free(lives.overlaps);
    return err->code;
}
