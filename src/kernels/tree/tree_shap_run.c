/* SPDX-License-Identifier: Apache-2.0 */
/* Rows through the SHAP kernels: keys in, sums of each output's blocks out, additivity checked.
 * All state lies in the caller's scratch. */
#include "kernels/tree/tree_shap_priv.h"

#include <math.h>
#include <string.h>

enum { KEYS_MIN = 128 }; /* kernels of one row may read so many */

static const double LIMIT = 1e-5; /* of additivity, relative to 1 + |margin| */

/* Offsets within the scratch. */
struct layout {
    size_t keys;
    size_t sums;
    size_t values;
    size_t phi;
    size_t chosen;
    size_t went;
    size_t end;
};

static size_t take(size_t *end, size_t size_bytes)
{
    size_t start = *end;
    *end += (size_bytes + IG_SHAP_ALIGN - 1) / IG_SHAP_ALIGN * IG_SHAP_ALIGN;
    return start;
}

static const struct ig_shap_kernel *kernel_of(const struct ig_tree_shap *shap)
{
    return shap->is_double ? &shap->variant->f64 : &shap->variant->f32;
}

static struct layout layout_of(const struct ig_tree_shap *shap)
{
    const struct ig_shap_kernel *kernel = kernel_of(shap);
    const size_t lanes = kernel->lanes;
    const size_t splits = shap->splits_max;
    size_t chosen = 2 * (splits + 1) * kernel->mask_bytes;
    if (chosen < splits * sizeof(double)) chosen = splits * sizeof(double);
    struct layout at = {0};
    size_t keys = (size_t)shap->slots_count * lanes;
    at.keys = take(&at.end, (keys < KEYS_MIN ? KEYS_MIN : keys) * sizeof(float));
    at.sums = take(&at.end, (size_t)shap->used_count * lanes * sizeof(double));
    at.values = take(&at.end, (size_t)shap->values_max * IG_SHAP_PASS * IG_SHAP_ALIGN);
    at.phi = take(&at.end, (size_t)shap->features_max * IG_SHAP_PASS * IG_SHAP_ALIGN);
    at.chosen = take(&at.end, chosen);
    at.went = take(&at.end, splits * sizeof(int32_t));
    return at;
}

size_t ig_tree_shap_scratch_bytes(const struct ig_tree_shap *shap, size_t rows_count)
{
    (void)rows_count;
    return layout_of(shap).end + IG_SHAP_ALIGN;
}

struct run {
    const struct ig_tree_shap *shap;
    const struct ig_tree_shap_io *io;
    struct ig_shap_work work;
    float *keys;
};

static size_t row_stride(const struct ig_tree_shap *shap)
{
    return shap->players.count + (size_t)1;
}

/* Writes one output's values of `count` rows from their sums. */
static void put(const struct run *run, size_t first, size_t count, size_t lanes, uint32_t output)
{
    const struct ig_tree_shap *shap = run->shap;
    const struct ig_model *model = shap->model;
    for (size_t i = 0; i < count; i++) {
        size_t at = (first + i) * model->outputs_count + output;
        double *own = run->io->contributions + at * row_stride(shap);
        memset(own, 0, shap->players.count * sizeof *own);
        double sum = 0;
        for (uint32_t f = 0; f < shap->used_count; f++) {
            own[shap->used[f]] = run->work.sums[f * lanes + i];
            sum += run->work.sums[f * lanes + i];
        }
        own[shap->players.count] = shap->base[output];
        double apart = fabs(sum + shap->base[output] - run->io->margins[at]);
        double *worst = &run->io->additivity[first + i];
        /* Written so that a NaN stays. */
        if (!(apart <= *worst)) *worst = apart;
    }
}

typedef void (*block_run)(const struct ig_tree_shap *shap, const struct ig_shap_block *block,
                          const struct ig_shap_work *work);

static void rows_at_once(const struct run *run, block_run run_block, size_t lanes, size_t first,
                         size_t count)
{
    const struct ig_tree_shap *shap = run->shap;
    uint32_t block = 0;
    ig_tree_shap_keys(shap, run->io->rows + first * shap->model->features_count, count, lanes,
                      run->keys);
    for (size_t i = 0; i < count; i++) run->io->additivity[first + i] = 0;
    for (uint32_t output = 0; output < shap->model->outputs_count; output++) {
        memset(run->work.sums, 0, shap->used_count * lanes * sizeof(double));
        for (; block < shap->blocks_count && shap->blocks[block].output == output; block++)
            run_block(shap, &shap->blocks[block], &run->work);
        put(run, first, count, lanes, output);
    }
}

static bool is_over(const struct run *run, size_t row)
{
    const struct ig_model *model = run->shap->model;
    const double *margins = run->io->margins + row * model->outputs_count;
    size_t stride = row_stride(run->shap);
    const double *values = run->io->contributions + row * model->outputs_count * stride;
    if (run->io->additivity[row] <= LIMIT) return false;
    for (uint32_t o = 0; o < model->outputs_count; o++) {
        double sum = 0;
        for (size_t f = 0; f < stride; f++) sum += values[o * stride + f];
        if (!(fabs(sum - margins[o]) <= LIMIT * (1 + fabs(margins[o])))) return true;
    }
    return false;
}

void ig_tree_shap_run(const struct ig_tree_shap *shap, const struct ig_tree_shap_io *io,
                      void *scratch)
{
    const struct ig_shap_kernel *kernel = kernel_of(shap);
    const struct layout at = layout_of(shap);
    char *memory = scratch;
    struct run run = {.shap = shap, .io = io, .keys = (float *)(memory + at.keys)};
    run.work = (struct ig_shap_work){.keys = run.keys,
                                     .sums = (double *)(memory + at.sums),
                                     .values = memory + at.values,
                                     .phi = memory + at.phi,
                                     .chosen = memory + at.chosen,
                                     .went = (int32_t *)(memory + at.went)};
    for (size_t row = 0; row < io->rows_count;) {
        size_t left = io->rows_count - row;
        size_t count = left < kernel->lanes ? left : kernel->lanes;
        if (count < kernel->batch_from) {
            count = 1;
            rows_at_once(&run, kernel->one, 1, row, 1);
        } else {
            rows_at_once(&run, kernel->batch, kernel->lanes, row, count);
        }
        row += count;
    }
    for (size_t row = 0; !shap->is_double && row < io->rows_count; row++)
        if (is_over(&run, row)) rows_at_once(&run, shap->variant->f64.one, 1, row, 1);
}
