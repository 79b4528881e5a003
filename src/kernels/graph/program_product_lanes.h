/* SPDX-License-Identifier: Apache-2.0 */
/* No include guard: the body of an instruction set's prog_product_run. The including file defines
 * LANES and, for vectors of so many doubles, `lanes`, `lanes_mask`, lanes_first, lanes_zero,
 * lanes_set, lanes_load, lanes_load_masked, lanes_multiply, lanes_add, lanes_add_product,
 * lanes_store, lanes_put and lanes_put_masked. */

enum { TILE_ROWS = 4 };

/* Four rows of two vectors, or one row of two or eight. */
struct tile {
    const double *left[TILE_ROWS]; /* the rows; beyond `rows` the last again */
    size_t row, rows, column;
    const float *right; /* of its columns */
    size_t right_row;
};

/* How the right side is read. */
enum right_form { RIGHT_FULL, RIGHT_MASKED };

static inline __attribute__((always_inline)) lanes_mask mask_of(const struct prog_product *product,
                                                                size_t column)
{
    return lanes_first(product->columns > column ? product->columns - column : 0);
}

/* One vector of the bias, times beta. */
static inline lanes shift_of(const struct prog_product *product, size_t row, size_t column)
{
    const float *bias = product->bias + row * product->bias_row;
    lanes shift = product->bias_column == 0
                      ? lanes_set((double)*bias)
                      : lanes_load_masked(bias + column, mask_of(product, column));
    return lanes_multiply(lanes_set(product->beta), shift);
}

/* Rounds sums into the output; products and sums are those of the scalar form. */
static inline __attribute__((always_inline)) void put_tile(const struct prog_product *product,
                                                           const struct tile *tile,
                                                           const lanes *sums, const size_t rows,
                                                           const size_t vectors)
{
    const size_t columns = product->columns;
    const lanes alpha = lanes_set(product->alpha);
#pragma GCC unroll 8
    for (size_t v = 0; v < vectors; v++) {
        const size_t column = tile->column + v * LANES;
        lanes shift = lanes_zero();
        if (column >= columns) continue;
        if (product->bias) shift = shift_of(product, tile->row, column);
#pragma GCC unroll 4
        for (size_t i = 0; i < rows; i++) {
            if (i >= tile->rows) continue;
            float *out = product->out + (tile->row + i) * columns + column;
            lanes value = lanes_multiply(sums[i * vectors + v], alpha);
            if (i > 0 && product->bias_row) shift = shift_of(product, tile->row + i, column);
            if (product->bias) value = lanes_add(value, shift);
            if (column + LANES <= columns)
                lanes_put(out, value);
            else
                lanes_put_masked(out, mask_of(product, column), value);
        }
    }
}

/* The loops over rows and vectors unroll, so that sums stay in registers. */
static inline __attribute__((always_inline)) void run_tile(const struct prog_product *product,
                                                           const struct tile *tile,
                                                           const size_t rows, const size_t vectors,
                                                           const enum right_form form)
{
    const float *right = tile->right;
    lanes_mask masks[8];
    lanes sums[8];
#pragma GCC unroll 8
    for (size_t v = 0; v < vectors; v++) masks[v] = mask_of(product, tile->column + v * LANES);
#pragma GCC unroll 8
    for (size_t i = 0; i < rows * vectors; i++) sums[i] = lanes_zero();
    for (size_t k = 0; k < product->depth; k++, right += tile->right_row) {
#pragma GCC unroll 8
        for (size_t v = 0; v < vectors; v++) {
            lanes x = form == RIGHT_FULL ? lanes_load(right + v * LANES)
                                         : lanes_load_masked(right + v * LANES, masks[v]);
#pragma GCC unroll 4
            for (size_t i = 0; i < rows; i++)
                sums[i * vectors + v] =
                    lanes_add_product(sums[i * vectors + v], tile->left[i] + k, x);
        }
    }
    put_tile(product, tile, sums, rows, vectors);
}

/* The rows as doubles, one after the other. */
static void widen(const struct prog_product *product, size_t row, size_t rows, double *to)
{
    const size_t depth = product->depth, step = product->left_column;
    for (size_t i = row; i < row + rows; i++, to += depth) {
        const float *left = product->left + i * product->left_row;
        size_t k = 0;
        for (; step == 1 && k + LANES <= depth; k += LANES)
            lanes_store(to + k, lanes_load(left + k));
        for (; k < depth; k++) to[k] = (double)left[k * step];
    }
}

static void run_row(const struct prog_product *product, struct tile *tile)
{
    size_t left = product->columns - tile->column;
    if (left >= 8 * LANES)
        run_tile(product, tile, 1, 8, RIGHT_FULL);
    else if (left > 2 * LANES)
        run_tile(product, tile, 1, 8, RIGHT_MASKED);
    else
        run_tile(product, tile, 1, 2, RIGHT_MASKED);
    tile->column += left > 2 * LANES ? 8 * LANES : 2 * LANES;
}

static void run_one(const struct prog_product *product, size_t row, const double *wide)
{
    struct tile tile = {.left = {wide}, .row = row, .rows = 1, .right_row = product->right_row};
    while (tile.column < product->columns) {
        tile.right = product->right + tile.column;
        run_row(product, &tile);
    }
}

static void run_group(const struct prog_product *product, size_t row, size_t rows, double *wide)
{
    const size_t width = 2 * LANES, depth = product->depth;
    widen(product, row, rows, wide);
    if (rows == 1 && !product->packed) {
        run_one(product, row, wide);
        return;
    }
    struct tile tile = {.right_row = product->packed ? width : product->right_row};
    for (; tile.column < product->columns; tile.column += width) {
        tile.right =
            product->packed ? product->packed + tile.column * depth : product->right + tile.column;
        for (size_t first = 0; first < rows; first += TILE_ROWS) {
            tile.row = row + first;
            tile.rows = rows - first < TILE_ROWS ? rows - first : TILE_ROWS;
            for (size_t i = 0; i < TILE_ROWS; i++)
                tile.left[i] = wide + (first + (i < tile.rows ? i : tile.rows - 1)) * depth;
            if (product->packed || tile.column + width <= product->columns)
                run_tile(product, &tile, TILE_ROWS, 2, RIGHT_FULL);
            else
                run_tile(product, &tile, TILE_ROWS, 2, RIGHT_MASKED);
        }
    }
}
