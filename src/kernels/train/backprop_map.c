/* SPDX-License-Identifier: Apache-2.0 */
/* Layers without weights: pools, copies, sums and functions of elements, with their gradients. */
#include "kernels/train/backprop_priv.h"

#include <math.h>

/* ---- pools ---- */

/* The cells of the input that one cell of the output looks at. */
struct window {
    uint32_t top, bottom, left, right; /* ends are past the last */
    size_t in, out;                    /* first elements, of the image and of the cell */
};

static void clip(uint32_t *begin, uint32_t *end, int64_t start, uint32_t filter, uint32_t size)
{
    int64_t stop = start + filter;
    *begin = (uint32_t)(start < 0 ? 0 : start);
    *end = (uint32_t)(stop > size ? size : stop);
}

static struct window window_of(const struct bp_layer *layer, size_t cell)
{
    const struct bp_geometry *g = &layer->geometry;
    size_t cells = (size_t)g->out_h * g->out_w, place = cell % cells;
    struct window window = {.in = cell / cells * layer->in->count, .out = cell * g->out_c};
    clip(&window.top, &window.bottom, (int64_t)(place / g->out_w) * g->stride_h - g->pad_h,
         g->filter_h, g->in_h);
    clip(&window.left, &window.right, (int64_t)(place % g->out_w) * g->stride_w - g->pad_w,
         g->filter_w, g->in_w);
    return window;
}

static size_t cells_of(const struct ig_backprop *bp, const struct bp_layer *layer)
{
    return (size_t)bp->rows_count * layer->geometry.out_h * layer->geometry.out_w;
}

static void window_sum(float *sum, const float *image, const struct window *window,
                       const struct bp_geometry *g)
{
    for (uint32_t y = window->top; y < window->bottom; y++)
        for (uint32_t x = window->left; x < window->right; x++)
            for (uint32_t c = 0; c < g->in_c; c++)
                sum[c] += image[((size_t)y * g->in_w + x) * g->in_c + c];
}

static float window_cells(const struct window *window)
{
    return (float)((window->bottom - window->top) * (window->right - window->left));
}

void bp_average_forward(struct ig_backprop *bp, const struct bp_layer *layer)
{
    const struct bp_geometry *g = &layer->geometry;
    for (size_t cell = 0, cells = cells_of(bp, layer); cell < cells; cell++) {
        struct window window = window_of(layer, cell);
        float *out = layer->out->values + window.out;
        memset(out, 0, g->out_c * sizeof *out);
        window_sum(out, layer->in->values + window.in, &window, g);
        for (uint32_t c = 0; c < g->out_c; c++) out[c] /= window_cells(&window);
    }
}

static void window_spread(float *image, const float *gradient, const struct window *window,
                          const struct bp_geometry *g)
{
    for (uint32_t y = window->top; y < window->bottom; y++)
        for (uint32_t x = window->left; x < window->right; x++)
            for (uint32_t c = 0; c < g->in_c; c++)
                image[((size_t)y * g->in_w + x) * g->in_c + c] +=
                    gradient[c] / window_cells(window);
}

void bp_average_backward(struct ig_backprop *bp, const struct bp_layer *layer)
{
    for (size_t cell = 0, cells = cells_of(bp, layer); cell < cells; cell++) {
        struct window window = window_of(layer, cell);
        window_spread(layer->in->gradients + window.in, layer->out->gradients + window.out, &window,
                      &layer->geometry);
    }
}

/* Element of the image that is greatest in the window; the first of equals. */
static size_t window_greatest(const float *image, const struct window *window,
                              const struct bp_geometry *g, uint32_t c)
{
    size_t best = ((size_t)window->top * g->in_w + window->left) * g->in_c + c;
    for (uint32_t y = window->top; y < window->bottom; y++)
        for (uint32_t x = window->left; x < window->right; x++) {
            size_t at = ((size_t)y * g->in_w + x) * g->in_c + c;
            if (image[at] > image[best]) best = at;
        }
    return best;
}

void bp_max_forward(struct ig_backprop *bp, const struct bp_layer *layer)
{
    const struct bp_geometry *g = &layer->geometry;
    for (size_t cell = 0, cells = cells_of(bp, layer); cell < cells; cell++) {
        struct window window = window_of(layer, cell);
        const float *image = layer->in->values + window.in;
        for (uint32_t c = 0; c < g->out_c; c++)
            layer->out->values[window.out + c] = image[window_greatest(image, &window, g, c)];
    }
}

void bp_max_backward(struct ig_backprop *bp, const struct bp_layer *layer)
{
    const struct bp_geometry *g = &layer->geometry;
    for (size_t cell = 0, cells = cells_of(bp, layer); cell < cells; cell++) {
        struct window window = window_of(layer, cell);
        const float *image = layer->in->values + window.in;
        for (uint32_t c = 0; c < g->out_c; c++)
            layer->in->gradients[window.in + window_greatest(image, &window, g, c)] +=
                layer->out->gradients[window.out + c];
    }
}

/* ---- by element ---- */

static size_t elements(const struct ig_backprop *bp, const struct bp_layer *layer)
{
    return bp->rows_count * layer->out->count;
}

void bp_copy_forward(struct ig_backprop *bp, const struct bp_layer *layer)
{
    memcpy(layer->out->values, layer->in->values, elements(bp, layer) * sizeof(float));
}

void bp_copy_backward(struct ig_backprop *bp, const struct bp_layer *layer)
{
    for (size_t i = 0, count = elements(bp, layer); i < count; i++)
        layer->in->gradients[i] += layer->out->gradients[i];
}

/* Where element i of a row lies once zeros are around. */
static size_t padded_place(const struct ig_backprop *bp, const struct bp_layer *layer, size_t i)
{
    const struct ig_network_tensor *in = &bp->network->tensors[layer->layer->inputs[0]];
    const struct ig_network_tensor *out = &bp->network->tensors[layer->layer->output];
    size_t place = 0, step = 1;
    for (uint32_t d = in->rank; d-- > 0; i /= in->dims[d], step *= out->dims[d])
        place += (i % in->dims[d] + layer->layer->pads[d][0]) * step;
    return place;
}

void bp_pad_forward(struct ig_backprop *bp, const struct bp_layer *layer)
{
    size_t inner = layer->in->count, outer = layer->out->count;
    memset(layer->out->values, 0, elements(bp, layer) * sizeof(float));
    for (size_t i = 0; i < inner; i++) {
        size_t place = padded_place(bp, layer, i);
        for (uint32_t row = 0; row < bp->rows_count; row++)
            layer->out->values[row * outer + place] = layer->in->values[row * inner + i];
    }
}

void bp_pad_backward(struct ig_backprop *bp, const struct bp_layer *layer)
{
    size_t inner = layer->in->count, outer = layer->out->count;
    for (size_t i = 0; i < inner; i++) {
        size_t place = padded_place(bp, layer, i);
        for (uint32_t row = 0; row < bp->rows_count; row++)
            layer->in->gradients[row * inner + i] += layer->out->gradients[row * outer + place];
    }
}

void bp_add_forward(struct ig_backprop *bp, const struct bp_layer *layer)
{
    for (size_t i = 0, count = elements(bp, layer); i < count; i++)
        layer->out->values[i] = layer->in->values[i] + layer->other->values[i];
}

void bp_add_backward(struct ig_backprop *bp, const struct bp_layer *layer)
{
    for (size_t i = 0, count = elements(bp, layer); i < count; i++) {
        layer->in->gradients[i] += layer->out->gradients[i];
        layer->other->gradients[i] += layer->out->gradients[i];
    }
}

void bp_logistic_forward(struct ig_backprop *bp, const struct bp_layer *layer)
{
    for (size_t i = 0, count = elements(bp, layer); i < count; i++)
        layer->out->values[i] = 1 / (1 + expf(-layer->in->values[i]));
}

void bp_logistic_backward(struct ig_backprop *bp, const struct bp_layer *layer)
{
    for (size_t i = 0, count = elements(bp, layer); i < count; i++) {
        float y = layer->out->values[i];
        layer->in->gradients[i] += layer->out->gradients[i] * y * (1 - y);
    }
}

void bp_tanh_forward(struct ig_backprop *bp, const struct bp_layer *layer)
{
    for (size_t i = 0, count = elements(bp, layer); i < count; i++)
        layer->out->values[i] = tanhf(layer->in->values[i]);
}

void bp_tanh_backward(struct ig_backprop *bp, const struct bp_layer *layer)
{
    for (size_t i = 0, count = elements(bp, layer); i < count; i++) {
        float y = layer->out->values[i];
        layer->in->gradients[i] += layer->out->gradients[i] * (1 - y * y);
    }
}

/* ---- softmax ---- */

static uint32_t last_dimension(const struct ig_backprop *bp, const struct bp_layer *layer)
{
    const struct ig_network_tensor *tensor = &bp->network->tensors[layer->layer->output];
    return tensor->rank ? tensor->dims[tensor->rank - 1] : 1;
}

void bp_softmax_forward(struct ig_backprop *bp, const struct bp_layer *layer)
{
    uint32_t classes = last_dimension(bp, layer);
    float beta = layer->layer->beta;
    for (size_t at = 0, count = elements(bp, layer); at < count; at += classes) {
        const float *in = layer->in->values + at;
        float *out = layer->out->values + at, most = in[0], sum = 0;
        for (uint32_t c = 1; c < classes; c++) most = fmaxf(most, in[c]);
        for (uint32_t c = 0; c < classes; c++) sum += out[c] = expf(beta * (in[c] - most));
        for (uint32_t c = 0; c < classes; c++) out[c] /= sum;
    }
}

void bp_softmax_backward(struct ig_backprop *bp, const struct bp_layer *layer)
{
    uint32_t classes = last_dimension(bp, layer);
    float beta = layer->layer->beta;
    for (size_t at = 0, count = elements(bp, layer); at < count; at += classes) {
        const float *y = layer->out->values + at, *gradient = layer->out->gradients + at;
        float mean = 0;
        for (uint32_t c = 0; c < classes; c++) mean += y[c] * gradient[c];
        for (uint32_t c = 0; c < classes; c++)
            layer->in->gradients[at + c] += beta * y[c] * (gradient[c] - mean);
    }
}
