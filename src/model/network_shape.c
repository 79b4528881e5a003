/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes of layers: what each operator makes of its inputs' dimensions, as TensorFlow Lite computes
 * them. All sizes are at most IG_NETWORK_ELEMENTS_MAX, so 64-bit products of two cannot overflow.
 */
#include "model/network.h"

#include <string.h>

struct shape {
    uint32_t dims[IG_NETWORK_RANK_MAX];
    uint32_t rank;
};

/* A filter's extent in cells with its holes. */
static uint64_t extent(uint32_t filter, uint32_t dilation)
{
    return (uint64_t)(filter - 1) * (dilation ? dilation : 1) + 1;
}

/* Cells of the output along one side; 0 when no window fits. */
static uint32_t side(enum ig_network_padding padding, uint32_t size, uint64_t covered,
                     uint32_t stride)
{
    if (padding == IG_NETWORK_PADDING_SAME)
        return (uint32_t)(((uint64_t)size + stride - 1) / stride);
    return size < covered ? 0 : (uint32_t)((size - covered) / stride + 1);
}

uint32_t ig_network_pad_before(enum ig_network_padding padding, uint32_t size, uint32_t filter,
                               uint32_t stride, uint32_t dilation)
{
    uint64_t covered = extent(filter, dilation);
    uint64_t needed = ((uint64_t)side(padding, size, covered, stride) - 1) * stride + covered;
    if (padding != IG_NETWORK_PADDING_SAME || needed <= size) return 0;
    return (uint32_t)((needed - size) / 2);
}

void ig_network_filter(const struct ig_network *network, const struct ig_network_layer *layer,
                       uint32_t *filter_h, uint32_t *filter_w)
{
    bool pool = layer->op == IG_NETWORK_AVERAGE_POOL_2D || layer->op == IG_NETWORK_MAX_POOL_2D;
    const struct ig_network_tensor *weights = pool ? NULL : ig_network_input(network, layer, 1);
    *filter_h = weights ? weights->dims[1] : layer->window.filter_h;
    *filter_w = weights ? weights->dims[2] : layer->window.filter_w;
}

static enum ig_code window_check(const struct ig_network_layer *layer, uint32_t filter_h,
                                 uint32_t filter_w, struct ig_err *err)
{
    const struct ig_network_window *w = &layer->window;
    bool pool = layer->op == IG_NETWORK_AVERAGE_POOL_2D || layer->op == IG_NETWORK_MAX_POOL_2D;
    const struct {
        const char *name;
        uint32_t value, least;
    } fields[] = {
        {"stride_h", w->stride_h, 1},
        {"stride_w", w->stride_w, 1},
        {"dilation_h", w->dilation_h, pool ? 0 : 1},
        {"dilation_w", w->dilation_w, pool ? 0 : 1},
        {"filter_h", filter_h, 1},
        {"filter_w", filter_w, 1},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        uint32_t most = pool && i / 2 == 1 ? 1 : IG_NETWORK_ELEMENTS_MAX;
        if (fields[i].value < fields[i].least || fields[i].value > most)
            return ig_fail(err, IG_INVALID, "%s is %u, expected %u to %u", fields[i].name,
                           fields[i].value, fields[i].least, most);
    }
    if (w->padding != IG_NETWORK_PADDING_SAME && w->padding != IG_NETWORK_PADDING_VALID)
        return ig_fail(err, IG_INVALID, "padding %d is unknown", (int)w->padding);
    return IG_OK;
}

/* Convolutions and pools: `channels` of the output. */
static enum ig_code infer_window(const struct ig_network *network,
                                 const struct ig_network_layer *layer, uint32_t channels,
                                 struct shape *out, struct ig_err *err)
{
    const struct ig_network_tensor *in = ig_network_input(network, layer, 0);
    const struct ig_network_window *w = &layer->window;
    uint32_t filter_h, filter_w;
    ig_network_filter(network, layer, &filter_h, &filter_w);
    if (window_check(layer, filter_h, filter_w, err)) return ig_err_code(err);
    uint32_t rows = side(w->padding, in->dims[1], extent(filter_h, w->dilation_h), w->stride_h);
    uint32_t columns = side(w->padding, in->dims[2], extent(filter_w, w->dilation_w), w->stride_w);
    if (rows == 0 || columns == 0)
        return ig_fail(err, IG_INVALID, "a filter of %u x %u does not fit into %u x %u", filter_h,
                       filter_w, in->dims[1], in->dims[2]);
    *out = (struct shape){{in->dims[0], rows, columns, channels}, 4};
    return IG_OK;
}

static enum ig_code infer_conv(const struct ig_network *network,
                               const struct ig_network_layer *layer, struct shape *out,
                               struct ig_err *err)
{
    const struct ig_network_tensor *in = ig_network_input(network, layer, 0);
    const struct ig_network_tensor *weights = ig_network_input(network, layer, 1);
    bool depthwise = layer->op == IG_NETWORK_DEPTHWISE_CONV_2D;
    if (in->rank != 4 || weights->rank != 4)
        return ig_fail(err, IG_INVALID, "input and weights have rank %u and %u, expected 4",
                       in->rank, weights->rank);
    if (!depthwise && weights->dims[3] != in->dims[3])
        return ig_fail(err, IG_UNSUPPORTED, "weights take %u channels, the input has %u",
                       weights->dims[3], in->dims[3]);
    if (depthwise && (weights->dims[0] != 1 || weights->dims[3] % in->dims[3] != 0))
        return ig_fail(err, IG_INVALID,
                       "weights %u x ... x %u, expected 1 x ... x a multiple of %u channels",
                       weights->dims[0], weights->dims[3], in->dims[3]);
    return infer_window(network, layer, weights->dims[depthwise ? 3 : 0], out, err);
}

static enum ig_code infer_pool(const struct ig_network *network,
                               const struct ig_network_layer *layer, struct shape *out,
                               struct ig_err *err)
{
    const struct ig_network_tensor *in = ig_network_input(network, layer, 0);
    if (in->rank != 4)
        return ig_fail(err, IG_INVALID, "the input has rank %u, expected 4", in->rank);
    return infer_window(network, layer, in->dims[3], out, err);
}

static enum ig_code infer_fully_connected(const struct ig_network *network,
                                          const struct ig_network_layer *layer, struct shape *out,
                                          struct ig_err *err)
{
    const struct ig_network_tensor *in = ig_network_input(network, layer, 0);
    const struct ig_network_tensor *weights = ig_network_input(network, layer, 1);
    size_t count = ig_network_tensor_count(in);
    if (weights->rank != 2)
        return ig_fail(err, IG_INVALID, "weights have rank %u, expected 2", weights->rank);
    uint32_t depth = weights->dims[1];
    if (layer->keep_dims) {
        if (in->rank == 0 || in->dims[in->rank - 1] != depth)
            return ig_fail(err, IG_INVALID, "the input's last dimension is not the weights' %u",
                           depth);
        memcpy(out->dims, in->dims, sizeof out->dims);
        out->rank = in->rank;
        out->dims[in->rank - 1] = weights->dims[0];
        return IG_OK;
    }
    if (count % depth != 0)
        return ig_fail(err, IG_INVALID, "%zu inputs are no multiple of the weights' %u", count,
                       depth);
    *out = (struct shape){{(uint32_t)(count / depth), weights->dims[0]}, 2};
    return IG_OK;
}

static enum ig_code infer_pad(const struct ig_network *network,
                              const struct ig_network_layer *layer, struct shape *out,
                              struct ig_err *err)
{
    const struct ig_network_tensor *in = ig_network_input(network, layer, 0);
    out->rank = in->rank;
    for (uint32_t d = 0; d < in->rank; d++) {
        uint64_t size = (uint64_t)in->dims[d] + layer->pads[d][0] + layer->pads[d][1];
        if (size > IG_NETWORK_ELEMENTS_MAX)
            return ig_fail(err, IG_INVALID, "pads %u and %u of dimension %u are too large",
                           layer->pads[d][0], layer->pads[d][1], d);
        out->dims[d] = (uint32_t)size;
    }
    return IG_OK;
}

static enum ig_code infer_broadcast(const struct ig_network *network,
                                    const struct ig_network_layer *layer, struct shape *out,
                                    struct ig_err *err)
{
    const struct ig_network_tensor *a = ig_network_input(network, layer, 0);
    const struct ig_network_tensor *b = ig_network_input(network, layer, 1);
    out->rank = a->rank > b->rank ? a->rank : b->rank;
    for (uint32_t d = 1; d <= out->rank; d++) { /* from behind */
        uint32_t x = d <= a->rank ? a->dims[a->rank - d] : 1;
        uint32_t y = d <= b->rank ? b->dims[b->rank - d] : 1;
        if (x != y && x != 1 && y != 1)
            return ig_fail(err, IG_INVALID, "dimension %u from behind is %u and %u", d - 1, x, y);
        out->dims[out->rank - d] = x > y ? x : y;
    }
    return IG_OK;
}

static enum ig_code infer_concatenation(const struct ig_network *network,
                                        const struct ig_network_layer *layer, struct shape *out,
                                        struct ig_err *err)
{
    const struct ig_network_tensor *first = ig_network_input(network, layer, 0);
    if (layer->axis >= first->rank)
        return ig_fail(err, IG_INVALID, "axis %u of rank %u", layer->axis, first->rank);
    memcpy(out->dims, first->dims, sizeof out->dims);
    out->rank = first->rank;
    uint64_t along = first->dims[layer->axis];
    for (uint32_t i = 1; i < layer->inputs_count; i++) {
        const struct ig_network_tensor *in = ig_network_input(network, layer, i);
        bool fits = in->rank == first->rank;
        for (uint32_t d = 0; fits && d < in->rank; d++)
            fits = d == layer->axis || in->dims[d] == first->dims[d];
        if (!fits) return ig_fail(err, IG_INVALID, "input %u has another shape than input 0", i);
        along += in->dims[layer->axis];
    }
    if (along > IG_NETWORK_ELEMENTS_MAX)
        return ig_fail(err, IG_INVALID, "the axis would have %llu cells",
                       (unsigned long long)along);
    out->dims[layer->axis] = (uint32_t)along;
    return IG_OK;
}

static enum ig_code infer_mean(const struct ig_network *network,
                               const struct ig_network_layer *layer, struct shape *out,
                               struct ig_err *err)
{
    const struct ig_network_tensor *in = ig_network_input(network, layer, 0);
    if (layer->axes == 0 || layer->axes >> in->rank != 0)
        return ig_fail(err, IG_INVALID, "axes 0x%x of rank %u", layer->axes, in->rank);
    for (uint32_t d = 0; d < in->rank; d++)
        if (!(layer->axes >> d & 1))
            out->dims[out->rank++] = in->dims[d];
        else if (layer->keep_dims)
            out->dims[out->rank++] = 1;
    return IG_OK;
}

static enum ig_code infer_reshape(const struct ig_network *network,
                                  const struct ig_network_layer *layer, struct shape *out,
                                  struct ig_err *err)
{
    const struct ig_network_tensor *in = ig_network_input(network, layer, 0);
    const struct ig_network_tensor *given = &network->tensors[layer->output];
    size_t count = ig_network_tensor_count(in), after = ig_network_tensor_count(given);
    if (count != after) return ig_fail(err, IG_INVALID, "%zu elements become %zu", count, after);
    memcpy(out->dims, given->dims, sizeof out->dims);
    out->rank = given->rank;
    return IG_OK;
}

enum ig_code ig_network_infer(const struct ig_network *network,
                              const struct ig_network_layer *layer,
                              uint32_t dims[IG_NETWORK_RANK_MAX], uint32_t *rank,
                              struct ig_err *err)
{
    typedef enum ig_code infer_fn(const struct ig_network *, const struct ig_network_layer *,
                                  struct shape *, struct ig_err *);
    static infer_fn *const by_op[IG_NETWORK_OPS_COUNT] = {
        [IG_NETWORK_CONV_2D] = infer_conv,
        [IG_NETWORK_DEPTHWISE_CONV_2D] = infer_conv,
        [IG_NETWORK_FULLY_CONNECTED] = infer_fully_connected,
        [IG_NETWORK_AVERAGE_POOL_2D] = infer_pool,
        [IG_NETWORK_MAX_POOL_2D] = infer_pool,
        [IG_NETWORK_RESHAPE] = infer_reshape,
        [IG_NETWORK_PAD] = infer_pad,
        [IG_NETWORK_ADD] = infer_broadcast,
        [IG_NETWORK_SUB] = infer_broadcast,
        [IG_NETWORK_MUL] = infer_broadcast,
        [IG_NETWORK_CONCATENATION] = infer_concatenation,
        [IG_NETWORK_MEAN] = infer_mean,
    };
    struct shape out = {{0}, 0};
    const struct ig_network_tensor *in = ig_network_input(network, layer, 0);
    if (by_op[layer->op]) {
        if (by_op[layer->op](network, layer, &out, err)) return ig_err_code(err);
    } else { /* element by element */
        memcpy(out.dims, in->dims, sizeof out.dims);
        out.rank = in->rank;
    }
    memcpy(dims, out.dims, sizeof out.dims);
    *rank = out.rank;
    return IG_OK;
}
