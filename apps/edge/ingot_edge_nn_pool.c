/* SPDX-License-Identifier: Apache-2.0 */
/* AVERAGE_POOL_2D and MAX_POOL_2D, over the cells inside, and MEAN. Stateless. */
#include "ingot_edge_nn_core.h"

/* Cells of a window, and the distances of neighbours. */
struct ige_nn_cells {
    const int8_t *first;
    int32_t rows, columns, row, column;
};

static int32_t ige_nn_pool_begin(int32_t start)
{
    return start > 0 ? start : 0;
}

static int32_t ige_nn_pool_end(int32_t start, int32_t filter, int32_t size)
{
    return start + filter < size ? start + filter : size;
}

IGE_NN_SMALL static struct ige_nn_cells ige_nn_pool_cells(const struct ige_nn_pool *pool,
                                                          int32_t index)
{
    const struct ige_nn_window *w = &pool->window;
    int32_t x = index % pool->out_w, line = index / pool->out_w, y = line % pool->out_h;
    int32_t top = y * w->stride_h - w->pad_h, left = x * w->stride_w - w->pad_w;
    int32_t first_row = ige_nn_pool_begin(top), first_column = ige_nn_pool_begin(left);
    struct ige_nn_cells cells;
    cells.rows = ige_nn_pool_end(top, w->filter_h, pool->in_h) - first_row;
    cells.columns = ige_nn_pool_end(left, w->filter_w, pool->in_w) - first_column;
    cells.column = pool->channels;
    cells.row = (pool->in_w - cells.columns) * pool->channels;
    cells.first = pool->input;
    cells.first += ((line / pool->out_h * pool->in_h + first_row) * pool->in_w + first_column) *
                   pool->channels;
    return cells;
}

static int32_t ige_nn_pool_sum(const struct ige_nn_cells *cells, int32_t channel)
{
    const int8_t *x = cells->first + channel;
    int32_t sum = 0;
    for (int32_t row = cells->rows; row > 0; row--, x += cells->row)
        for (int32_t column = cells->columns; column > 0; column--, x += cells->column) sum += *x;
    return sum;
}

static int32_t ige_nn_pool_greatest(const struct ige_nn_cells *cells, int32_t channel)
{
    const int8_t *x = cells->first + channel;
    int32_t greatest = -128;
    for (int32_t row = cells->rows; row > 0; row--, x += cells->row)
        for (int32_t column = cells->columns; column > 0; column--, x += cells->column)
            if (*x > greatest) greatest = *x;
    return greatest;
}

void ige_nn_average_pool(const struct ige_nn_pool *pool)
{
    int32_t positions = pool->images * pool->out_h * pool->out_w;
    for (int32_t i = 0; i < positions; i++) {
        struct ige_nn_cells cells = ige_nn_pool_cells(pool, i);
        int32_t count = cells.rows * cells.columns;
        int8_t *out = pool->output + i * pool->channels;
        for (int32_t c = 0; c < pool->channels; c++) {
            int32_t sum = ige_nn_pool_sum(&cells, c);
            out[c] = (int8_t)((sum > 0 ? sum + count / 2 : sum - count / 2) / count);
        }
        ige_nn_clamp(out, pool->channels, pool->least, pool->most);
    }
}

IGE_NN_SMALL void ige_nn_max_pool(const struct ige_nn_pool *pool)
{
    int32_t positions = pool->images * pool->out_h * pool->out_w;
    for (int32_t i = 0; i < positions; i++) {
        struct ige_nn_cells cells = ige_nn_pool_cells(pool, i);
        int8_t *out = pool->output + i * pool->channels;
        for (int32_t c = 0; c < pool->channels; c++)
            out[c] = (int8_t)ige_nn_pool_greatest(&cells, c);
        ige_nn_clamp(out, pool->channels, pool->least, pool->most);
    }
}

IGE_NN_SMALL void ige_nn_mean(const struct ige_nn_mean *mean)
{
    struct ige_nn_cells cells = {mean->input, 1, mean->cells, 0, mean->inner};
    int8_t *out = mean->output;
    for (int32_t o = 0; o < mean->outer; o++, cells.first += mean->cells * mean->inner)
        for (int32_t i = 0; i < mean->inner; i++) {
            int32_t sum = ige_nn_pool_sum(&cells, i) - mean->input_zero * mean->cells;
            int32_t value = ige_nn_scale(sum, mean->multiplier, mean->rounding);
            *out++ = (int8_t)ige_nn_byte(value + mean->zero);
        }
}
