/* SPDX-License-Identifier: Apache-2.0 */
/* No include guard: the body of an instruction set's prog_conv_fill. The including file defines
 * LANES, PARTS (LANES x PARTS = PROG_CONV_LANES) and, for vectors of so many doubles, `lanes`,
 * lanes_zero, lanes_set, lanes_load, lanes_add, lanes_add_product and lanes_put. */

#include <string.h>

/* One tap at all positions, for some of the block's channels. The loops unroll, so that sums stay
 * in registers. */
static inline __attribute__((always_inline)) void add_tap(lanes *sums, const double *tap,
                                                          const lanes *x, const size_t channels)
{
#pragma GCC unroll 8
    for (size_t k = 0; k < channels; k++)
#pragma GCC unroll 2
        for (size_t part = 0; part < PARTS; part++)
            sums[k * PARTS + part] = lanes_add_product(sums[k * PARTS + part], tap + k, x[part]);
}

/* One channel's sums, rounded. */
static inline __attribute__((always_inline)) void put_channel(const struct prog_conv_tile *tile,
                                                              size_t channel, const lanes *sums)
{
    float *out = tile->out + channel * tile->plane, part_of[PROG_CONV_LANES];
    const bool whole = tile->lanes == PROG_CONV_LANES;
    float *to = whole ? out : part_of;
#pragma GCC unroll 2
    for (size_t part = 0; part < PARTS; part++)
        lanes_put(to + part * LANES, lanes_add(sums[part], lanes_set(tile->bias[channel])));
    if (!whole) memcpy(out, part_of, tile->lanes * sizeof *out);
}

static inline __attribute__((always_inline)) void fill_channels(const struct prog_conv *conv,
                                                                const struct prog_conv_tile *tile,
                                                                const size_t first,
                                                                const size_t channels)
{
    const struct prog_window *window = &conv->window;
    const size_t columns = (size_t)window->kernel[1];
    const size_t *views = conv->views;
    const double *tap = tile->kernel + first;
    const float *lines = tile->lines;
    lanes sums[8], x[PARTS];
#pragma GCC unroll 8
    for (size_t i = 0; i < channels * PARTS; i++) sums[i] = lanes_zero();
    for (size_t c = 0; c < conv->in_channels; c++, lines += (size_t)window->in[0] * conv->line)
        for (int64_t y = 0; y < window->kernel[0]; y++) {
            int64_t row = tile->row + y * window->dilation[0];
            if (row < 0 || row >= window->in[0]) {
                tap += columns * PROG_CONV_BLOCK;
                continue;
            }
            const float *line = lines + (size_t)row * conv->line;
            for (size_t i = 0; i < columns; i++, tap += PROG_CONV_BLOCK) {
#pragma GCC unroll 2
                for (size_t part = 0; part < PARTS; part++)
                    x[part] = lanes_load(line + views[i] + part * LANES);
                add_tap(sums, tap, x, channels);
            }
        }
#pragma GCC unroll 8
    for (size_t k = 0; k < channels; k++)
        if (first + k < tile->channels) put_channel(tile, first + k, sums + k * PARTS);
}
