/* SPDX-License-Identifier: Apache-2.0 */
/* Schedules and masks. Owns masks and room to sort in. Source: tensorflow_model_optimization 0.8,
 * pruning_schedule.py and pruning_impl.py; Zhu and Gupta 2017, To prune, or not to prune. */
#include "kernels/train/pruning.h"

#include "base/arena.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

static const size_t BYTES_MAX = (size_t)1 << 30;
enum { CHUNK_BYTES = 1 << 16, BLOCK_MAX = 4096 };

struct masked {
    struct ig_parameter *parameter;
    struct ig_pruning_weights weights;
    uint8_t *mask;
};

struct ig_pruning {
    struct ig_arena arena;
    struct ig_pruning_schedule schedule;
    struct ig_pruning_pattern pattern;
    struct masked *items;
    uint32_t count;
    float *scratch;
};

/* ---- schedule ---- */

static enum ig_code check_steps(const struct ig_pruning_schedule *s, struct ig_err *err)
{
    if (s->begin < 0) return ig_fail(err, IG_INVALID, "begin is %lld", (long long)s->begin);
    if (s->end < -1 || (s->end == -1 && s->kind == IG_PRUNING_POLYNOMIAL))
        return ig_fail(err, IG_INVALID, "end is %lld", (long long)s->end);
    if (s->kind == IG_PRUNING_POLYNOMIAL && s->end == s->begin)
        return ig_fail(err, IG_INVALID, "end is %lld, which is begin", (long long)s->end);
    if (s->end != -1 && s->end < s->begin)
        return ig_fail(err, IG_INVALID, "end is %lld, before begin %lld", (long long)s->end,
                       (long long)s->begin);
    if (s->frequency <= 0)
        return ig_fail(err, IG_INVALID, "frequency is %lld, expected at least 1",
                       (long long)s->frequency);
    return IG_OK;
}

enum ig_code ig_pruning_check(const struct ig_pruning_schedule *s,
                              const struct ig_pruning_pattern *pattern, struct ig_err *err)
{
    if (!(s->initial >= 0 && s->initial < 1))
        return ig_fail(err, IG_INVALID, "initial is %g, expected 0 up to 1", s->initial);
    if (!(s->final >= 0 && s->final < 1))
        return ig_fail(err, IG_INVALID, "final is %g, expected 0 up to 1", s->final);
    if (s->kind == IG_PRUNING_POLYNOMIAL && !(s->power > 0 && isfinite(s->power)))
        return ig_fail(err, IG_INVALID, "power is %g, expected a positive number", s->power);
    if (check_steps(s, err)) return ig_err_code(err);
    if (pattern->kind == IG_PRUNING_BLOCKS &&
        (pattern->block_inputs == 0 || pattern->block_inputs > BLOCK_MAX ||
         pattern->block_outputs == 0 || pattern->block_outputs > BLOCK_MAX))
        return ig_fail(err, IG_INVALID, "blocks of %u inputs x %u outputs, expected 1 to %d",
                       pattern->block_inputs, pattern->block_outputs, BLOCK_MAX);
    if (pattern->kind == IG_PRUNING_M_BY_N &&
        (pattern->group == 0 || pattern->group > BLOCK_MAX || pattern->zeros >= pattern->group))
        return ig_fail(err, IG_INVALID, "%u zeros of %u", pattern->zeros, pattern->group);
    return IG_OK;
}

bool ig_pruning_due(const struct ig_pruning_schedule *s, int64_t step)
{
    return step >= s->begin && (s->end < 0 || step <= s->end) &&
           (step - s->begin) % s->frequency == 0;
}

float ig_pruning_sparsity(const struct ig_pruning_schedule *s, int64_t step)
{
    if (s->kind == IG_PRUNING_CONSTANT) return (float)s->final;
    float p = (float)(step - s->begin) / (float)(s->end - s->begin);
    p = fminf(fmaxf(p, 0), 1);
    return (float)(s->initial - s->final) * powf(1 - p, (float)s->power) + (float)s->final;
}

/* ---- masks ---- */

static int descending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

/* The least magnitude that is kept. */
static float threshold_of(const float *magnitudes, size_t count, float sparsity, float *sorted)
{
    float kept = fmaxf(rintf((float)count * (1 - sparsity)), 1);
    memcpy(sorted, magnitudes, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, descending);
    return sorted[(size_t)kept - 1];
}

static void mask_elements(uint8_t *mask, const struct ig_pruning_weights *w, float sparsity,
                          float *scratch)
{
    size_t count = w->rows * w->columns;
    for (size_t i = 0; i < count; i++) scratch[i] = fabsf(w->values[i]);
    float threshold = threshold_of(scratch, count, sparsity, scratch + count);
    for (size_t i = 0; i < count; i++) mask[i] = scratch[i] >= threshold;
}

static float pool_block(const struct ig_pruning_weights *w, size_t row, size_t column,
                        const struct ig_pruning_pattern *pattern)
{
    size_t rows = row + pattern->block_outputs, columns = column + pattern->block_inputs;
    float sum = 0, most = 0;
    if (rows > w->rows) rows = w->rows;
    if (columns > w->columns) columns = w->columns;
    for (size_t r = row; r < rows; r++)
        for (size_t c = column; c < columns; c++) {
            float magnitude = fabsf(w->values[r * w->columns + c]);
            sum += magnitude;
            most = fmaxf(most, magnitude);
        }
    return pattern->block_max ? most : sum / (float)((rows - row) * (columns - column));
}

static void mask_blocks(uint8_t *mask, const struct ig_pruning_weights *w,
                        const struct ig_pruning_pattern *pattern, float sparsity, float *scratch)
{
    size_t across = (w->columns + pattern->block_inputs - 1) / pattern->block_inputs;
    size_t down = (w->rows + pattern->block_outputs - 1) / pattern->block_outputs;
    size_t count = across * down;
    for (size_t i = 0; i < count; i++)
        scratch[i] = pool_block(w, i / across * pattern->block_outputs,
                                i % across * pattern->block_inputs, pattern);
    float threshold = threshold_of(scratch, count, sparsity, scratch + count);
    for (size_t r = 0; r < w->rows; r++)
        for (size_t c = 0; c < w->columns; c++)
            mask[r * w->columns + c] =
                scratch[r / pattern->block_outputs * across + c / pattern->block_inputs] >=
                threshold;
}

/* The least go, of equals the later; a group that is shorter keeps as many. */
static void mask_group(uint8_t *mask, const float *values, size_t size, size_t keep)
{
    for (size_t gone = 0; gone + keep < size; gone++) {
        size_t least = size;
        for (size_t i = 0; i < size; i++)
            if (mask[i] && (least == size || fabsf(values[i]) <= fabsf(values[least]))) least = i;
        mask[least] = 0;
    }
}

static void mask_groups(uint8_t *mask, const struct ig_pruning_weights *w,
                        const struct ig_pruning_pattern *pattern)
{
    memset(mask, 1, w->rows * w->columns);
    for (size_t row = 0; row < w->rows; row++)
        for (size_t at = 0; at < w->columns; at += pattern->group) {
            size_t left = w->columns - at, first = row * w->columns + at;
            mask_group(mask + first, w->values + first,
                       left < pattern->group ? left : pattern->group,
                       pattern->group - pattern->zeros);
        }
}

void ig_pruning_mask(uint8_t *mask, const struct ig_pruning_weights *weights,
                     const struct ig_pruning_pattern *pattern, float sparsity, float *scratch)
{
    if (pattern->kind == IG_PRUNING_M_BY_N)
        mask_groups(mask, weights, pattern);
    else if (pattern->kind == IG_PRUNING_BLOCKS && weights->dense)
        mask_blocks(mask, weights, pattern, sparsity, scratch);
    else
        mask_elements(mask, weights, sparsity, scratch);
}

/* ---- of a network ---- */

static void collect(struct ig_pruning *pruning, struct ig_backprop *backprop)
{
    const struct ig_network *network = ig_backprop_network(backprop);
    uint32_t count;
    size_t most = 0;
    struct ig_parameter *parameters = ig_backprop_parameters(backprop, &count);
    pruning->items = ig_arena_array(&pruning->arena, count, sizeof *pruning->items);
    for (uint32_t i = 0; i < count && pruning->items; i++) {
        struct ig_parameter *p = &parameters[i];
        enum ig_network_op op = network->layers[p->layer].op;
        if (p->kind != IG_PARAMETER_WEIGHTS || op == IG_NETWORK_DEPTHWISE_CONV_2D) continue;
        size_t columns = op == IG_NETWORK_FULLY_CONNECTED ? p->count / p->channels
                                                          : network->tensors[p->tensor].dims[3];
        struct masked *item = &pruning->items[pruning->count++];
        *item = (struct masked){
            p,
            {p->values, p->count / columns, columns, op == IG_NETWORK_FULLY_CONNECTED},
            ig_arena_alloc(&pruning->arena, p->count)};
        if (item->mask) memset(item->mask, 1, p->count);
        if (p->count > most) most = p->count;
    }
    pruning->scratch = ig_arena_array(&pruning->arena, 2 * most, sizeof(float));
}

enum ig_code ig_pruning_new(struct ig_pruning **out, struct ig_backprop *backprop,
                            const struct ig_pruning_schedule *schedule,
                            const struct ig_pruning_pattern *pattern, struct ig_err *err)
{
    if (ig_pruning_check(schedule, pattern, err)) return ig_err_code(err);
    struct ig_pruning *pruning = ig_zalloc(sizeof *pruning);
    if (!pruning) return ig_fail(err, IG_NO_MEMORY, "pruning");
    ig_arena_init(&pruning->arena, CHUNK_BYTES, BYTES_MAX);
    pruning->schedule = *schedule;
    pruning->pattern = *pattern;
    collect(pruning, backprop);
    if (pruning->arena.overflowed) {
        ig_pruning_free(pruning);
        return ig_fail(err, IG_NO_MEMORY, "pruning");
    }
    *out = pruning;
    return IG_OK;
}

void ig_pruning_free(struct ig_pruning *pruning)
{
    if (!pruning) return;
    ig_arena_deinit(&pruning->arena);
    ig_free(pruning);
}

void ig_pruning_step(struct ig_pruning *pruning, int64_t step)
{
    if (!ig_pruning_due(&pruning->schedule, step)) return;
    float sparsity = ig_pruning_sparsity(&pruning->schedule, step);
    for (uint32_t i = 0; i < pruning->count; i++)
        ig_pruning_mask(pruning->items[i].mask, &pruning->items[i].weights, &pruning->pattern,
                        sparsity, pruning->scratch);
    ig_pruning_apply(pruning);
}

void ig_pruning_apply(struct ig_pruning *pruning)
{
    for (uint32_t i = 0; i < pruning->count; i++) {
        struct ig_parameter *p = pruning->items[i].parameter;
        for (size_t k = 0; k < p->count; k++)
            if (!pruning->items[i].mask[k]) p->values[k] = p->used[k] = 0;
    }
}

double ig_pruning_zeros(const struct ig_pruning *pruning)
{
    size_t zeros = 0, count = 0;
    for (uint32_t i = 0; i < pruning->count; i++) {
        const struct ig_parameter *p = pruning->items[i].parameter;
        for (size_t k = 0; k < p->count; k++) zeros += p->values[k] == 0;
        count += p->count;
    }
    return count ? (double)zeros / (double)count : 0;
}
