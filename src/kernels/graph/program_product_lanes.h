/* SPDX-License-Identifier: Apache-2.0 */
/* No include guard: the body of an instruction set's prog_product_sum. The including file defines
 * LANES and, for vectors of so many doubles, `lanes`, `lanes_mask`, lanes_first, lanes_load,
 * lanes_load_masked, lanes_add_product and lanes_store. */

/* The loops over rows and vectors unroll, so that sums stay in registers. */
static inline __attribute__((always_inline)) void sum_tile(const struct prog_product *product,
                                                           struct prog_product_tile *tile,
                                                           const size_t rows, const size_t vectors,
                                                           const bool full)
{
    const double *left = tile->left;
    const float *right = tile->right;
    lanes_mask masks[8];
    lanes sums[8];
#pragma GCC unroll 8
    for (size_t v = 0; v < vectors; v++) {
        size_t before = v * LANES;
        masks[v] = lanes_first(tile->columns > before ? tile->columns - before : 0);
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < rows * vectors; i++) sums[i] = lanes_zero();
    for (size_t k = 0; k < product->depth; k++, left += rows, right += product->right_row) {
#pragma GCC unroll 8
        for (size_t v = 0; v < vectors; v++) {
            lanes x = full ? lanes_load(right + v * LANES)
                           : lanes_load_masked(right + v * LANES, masks[v]);
#pragma GCC unroll 4
            for (size_t i = 0; i < rows; i++)
                sums[i * vectors + v] = lanes_add_product(sums[i * vectors + v], left + i, x);
        }
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < rows * vectors; i++) lanes_store(tile->sums + i * LANES, sums[i]);
}

static void sum_any_tile(const struct prog_product *product, struct prog_product_tile *tile)
{
    bool full = tile->columns == tile->width;
    if (tile->height > 1 && full)
        sum_tile(product, tile, PROG_PRODUCT_ROWS, 2, true);
    else if (tile->height > 1)
        sum_tile(product, tile, PROG_PRODUCT_ROWS, 2, false);
    else if (tile->width > 2 * LANES && full)
        sum_tile(product, tile, 1, 8, true);
    else if (tile->width > 2 * LANES)
        sum_tile(product, tile, 1, 8, false);
    else
        sum_tile(product, tile, 1, 2, false);
}
