/* SPDX-License-Identifier: Apache-2.0 */
/* Layers with weights: sums of products and their gradients. Convolutions are products with the
 * columns of some images at a time (im2col); depthwise ones are computed as they stand. */
#include "kernels/train/backprop_priv.h"
#include "kernels/train/blas.h"

static void start_with_bias(float *out, size_t rows, const struct ig_parameter *bias,
                            uint32_t channels)
{
    for (size_t i = 0; i < rows; i++)
        if (bias)
            memcpy(out + i * channels, bias->values, channels * sizeof *out);
        else
            memset(out + i * channels, 0, channels * sizeof *out);
}

/* A batch norm's bias comes after it. */
static const struct ig_parameter *bias_of(const struct bp_layer *layer)
{
    return layer->norm ? NULL : layer->bias;
}

static void bias_gradient(const struct bp_layer *layer, const float *gradient, size_t rows)
{
    if (!bias_of(layer)) return;
    uint32_t channels = layer->bias->channels;
    for (size_t i = 0; i < rows; i++)
        for (uint32_t c = 0; c < channels; c++)
            layer->bias->gradients[c] += gradient[i * channels + c];
}

/* ---- dense ---- */

struct dense {
    size_t rows, inner, outer;
};

static struct dense dense_size(const struct ig_backprop *bp, const struct bp_layer *layer)
{
    size_t outer = layer->weights->channels, inner = layer->weights->count / outer;
    return (struct dense){bp->rows_count * layer->in->count / inner, inner, outer};
}

void bp_dense_forward(struct ig_backprop *bp, const struct bp_layer *layer)
{
    struct dense size = dense_size(bp, layer);
    start_with_bias(layer->out->values, size.rows, bias_of(layer), (uint32_t)size.outer);
    ig_blas_multiply(&(struct ig_blas_product){layer->out->values,
                                               size.rows,
                                               size.outer,
                                               size.inner,
                                               {layer->in->values, size.inner, false},
                                               {layer->weights->used, size.inner, true},
                                               1});
}

void bp_dense_backward(struct ig_backprop *bp, const struct bp_layer *layer)
{
    struct dense size = dense_size(bp, layer);
    const float *gradient = layer->out->gradients;
    bias_gradient(layer, gradient, size.rows);
    ig_blas_multiply(&(struct ig_blas_product){layer->weights->gradients,
                                               size.outer,
                                               size.inner,
                                               size.rows,
                                               {gradient, size.outer, true},
                                               {layer->in->values, size.inner, false},
                                               1});
    ig_blas_multiply(&(struct ig_blas_product){layer->in->gradients,
                                               size.rows,
                                               size.inner,
                                               size.outer,
                                               {gradient, size.outer, false},
                                               {layer->weights->used, size.inner, false},
                                               1});
}

/* ---- convolution ---- */

/* columns[out_h x out_w][filter_h][filter_w][in_c] of one image; what lies outside is 0. */
static void to_columns(float *columns, const float *image, const struct bp_geometry *g)
{
    size_t cell_bytes = g->in_c * sizeof *image;
    for (uint32_t y = 0; y < g->out_h; y++)
        for (uint32_t x = 0; x < g->out_w; x++)
            for (uint32_t at = 0; at < g->filter_h * g->filter_w; at++, columns += g->in_c) {
                uint32_t row, column;
                bool inside = bp_cell(g, y, at / g->filter_w, true, &row);
                if (bp_cell(g, x, at % g->filter_w, false, &column) && inside)
                    memcpy(columns, image + ((size_t)row * g->in_w + column) * g->in_c, cell_bytes);
                else
                    memset(columns, 0, cell_bytes);
            }
}

static void from_columns(float *image, const float *columns, const struct bp_geometry *g)
{
    for (uint32_t y = 0; y < g->out_h; y++)
        for (uint32_t x = 0; x < g->out_w; x++)
            for (uint32_t at = 0; at < g->filter_h * g->filter_w; at++, columns += g->in_c) {
                uint32_t row, column;
                bool inside = bp_cell(g, y, at / g->filter_w, true, &row);
                if (!bp_cell(g, x, at % g->filter_w, false, &column) || !inside) continue;
                float *cell = image + ((size_t)row * g->in_w + column) * g->in_c;
                for (uint32_t c = 0; c < g->in_c; c++) cell[c] += columns[c];
            }
}

struct images {
    size_t cells, inner, in_count, out_count; /* of one image */
    uint32_t first, count;
};

static struct images images_from(const struct ig_backprop *bp, const struct bp_layer *layer,
                                 uint32_t first)
{
    const struct bp_geometry *g = &layer->geometry;
    uint32_t left = bp->rows_count - first;
    return (struct images){(size_t)g->out_h * g->out_w,
                           (size_t)g->filter_h * g->filter_w * g->in_c,
                           layer->in->count,
                           layer->out->count,
                           first,
                           left < bp->columns_images ? left : bp->columns_images};
}

static void make_columns(struct ig_backprop *bp, const struct bp_layer *layer,
                         const struct images *images)
{
    for (uint32_t i = 0; i < images->count; i++)
        to_columns(bp->columns + i * images->cells * images->inner,
                   layer->in->values + (images->first + i) * images->in_count, &layer->geometry);
}

void bp_conv_forward(struct ig_backprop *bp, const struct bp_layer *layer)
{
    uint32_t channels = layer->geometry.out_c;
    struct images images;
    for (uint32_t first = 0; first < bp->rows_count; first += images.count) {
        images = images_from(bp, layer, first);
        size_t rows = images.count * images.cells;
        float *out = layer->out->values + first * images.out_count;
        make_columns(bp, layer, &images);
        start_with_bias(out, rows, bias_of(layer), channels);
        ig_blas_multiply(&(struct ig_blas_product){out,
                                                   rows,
                                                   channels,
                                                   images.inner,
                                                   {bp->columns, images.inner, false},
                                                   {layer->weights->used, images.inner, true},
                                                   1});
    }
}

void bp_conv_backward(struct ig_backprop *bp, const struct bp_layer *layer)
{
    uint32_t channels = layer->geometry.out_c;
    struct images images;
    for (uint32_t first = 0; first < bp->rows_count; first += images.count) {
        images = images_from(bp, layer, first);
        size_t rows = images.count * images.cells;
        const float *gradient = layer->out->gradients + first * images.out_count;
        make_columns(bp, layer, &images);
        bias_gradient(layer, gradient, rows);
        ig_blas_multiply(&(struct ig_blas_product){layer->weights->gradients,
                                                   channels,
                                                   images.inner,
                                                   rows,
                                                   {gradient, channels, true},
                                                   {bp->columns, images.inner, false},
                                                   1});
        ig_blas_multiply(&(struct ig_blas_product){bp->column_gradients,
                                                   rows,
                                                   images.inner,
                                                   channels,
                                                   {gradient, channels, false},
                                                   {layer->weights->used, images.inner, false},
                                                   0});
        for (uint32_t i = 0; i < images.count; i++)
            from_columns(layer->in->gradients + (first + i) * images.in_count,
                         bp->column_gradients + i * images.cells * images.inner, &layer->geometry);
    }
}

/* ---- depthwise ---- */

/* One cell of the input under one place of the filter, for all channels. */
struct tap {
    const float *in, *weights, *gradient;
    float *out, *in_gradients, *weight_gradients;
    uint32_t channels, multiplier;
};

static void tap_forward(const struct tap *tap)
{
    for (uint32_t c = 0; c < tap->channels; c++)
        tap->out[c] += tap->in[c / tap->multiplier] * tap->weights[c];
}

static void tap_backward(const struct tap *tap)
{
    for (uint32_t c = 0; c < tap->channels; c++) {
        tap->weight_gradients[c] += tap->in[c / tap->multiplier] * tap->gradient[c];
        tap->in_gradients[c / tap->multiplier] += tap->weights[c] * tap->gradient[c];
    }
}

/* All places of the filter of one cell of one image's output. */
static void each_tap(const struct bp_layer *layer, size_t cell, void (*run)(const struct tap *))
{
    const struct bp_geometry *g = &layer->geometry;
    size_t cells = (size_t)g->out_h * g->out_w, image = cell / cells, place = cell % cells;
    for (uint32_t at = 0; at < g->filter_h * g->filter_w; at++) {
        uint32_t row, column;
        bool inside = bp_cell(g, (uint32_t)(place / g->out_w), at / g->filter_w, true, &row);
        if (!bp_cell(g, (uint32_t)(place % g->out_w), at % g->filter_w, false, &column) || !inside)
            continue;
        size_t in = image * layer->in->count + ((size_t)row * g->in_w + column) * g->in_c;
        size_t out = cell * g->out_c, weight = (size_t)at * g->out_c;
        run(&(struct tap){layer->in->values + in, layer->weights->used + weight,
                          layer->out->gradients + out, layer->out->values + out,
                          layer->in->gradients + in, layer->weights->gradients + weight, g->out_c,
                          g->out_c / g->in_c});
    }
}

static size_t cells_of(const struct ig_backprop *bp, const struct bp_layer *layer)
{
    return (size_t)bp->rows_count * layer->geometry.out_h * layer->geometry.out_w;
}

void bp_depthwise_forward(struct ig_backprop *bp, const struct bp_layer *layer)
{
    size_t cells = cells_of(bp, layer);
    start_with_bias(layer->out->values, cells, bias_of(layer), layer->geometry.out_c);
    for (size_t cell = 0; cell < cells; cell++) each_tap(layer, cell, tap_forward);
}

void bp_depthwise_backward(struct ig_backprop *bp, const struct bp_layer *layer)
{
    size_t cells = cells_of(bp, layer);
    bias_gradient(layer, layer->out->gradients, cells);
    for (size_t cell = 0; cell < cells; cell++) each_tap(layer, cell, tap_backward);
}
