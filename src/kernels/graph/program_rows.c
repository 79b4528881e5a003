/* SPDX-License-Identifier: Apache-2.0 */
/* Proves that the rows of a block stay apart: going back from the values, every step keeps the
 * slices of its inputs apart (step->apart), every tensor on the way has the shape that it has for
 * one row but for its first dimension, and every constant is the same in both plans. Thread rule:
 * none shared. */
#include "kernels/graph/program_rows.h"

#include "base/mem.h"

#include <string.h>

static bool same_shape(const struct prog_tensor *a, const struct prog_tensor *b, uint32_t from)
{
    if (a->type != b->type || a->rank != b->rank) return false;
    for (uint32_t i = from; i < a->rank; i++)
        if (a->dims[i] != b->dims[i]) return false;
    return true;
}

static bool is_by_row(const struct prog_tensor *one, const struct prog_tensor *block)
{
    return !one->constant && same_shape(one, block, 1) && one->rank > 0 && one->dims[0] == 1 &&
           block->dims[0] == PROG_BLOCK;
}

/* What a file's Shape computes differs; text is compared by its place. */
static bool same_constant(const struct prog_tensor *one, const struct prog_tensor *block)
{
    size_t bytes = one->count * ig_tensor_type_bytes(one->type);
    if (!one->constant || !block->constant || !same_shape(one, block, 0)) return false;
    return bytes == 0 || memcmp(one->constant, block->constant, bytes) == 0;
}

/* A new shape may differ: the output's dimensions say what came of it. */
static bool is_shape(const struct prog_step *step, uint32_t input)
{
    return input == 1 && ig_str_is(step->node->op, "Reshape");
}

static bool writes_needed(const struct prog_step *step, const bool *needed)
{
    for (uint32_t i = 0; i < step->out_count; i++)
        if (step->out[i] && needed[step->out[i]->index]) return true;
    return false;
}

/* Marks what the values come of; NULL where a step on the way may mix rows. */
static bool *mark_needed(const struct ig_program *program)
{
    const struct ig_graph *graph = program->graph;
    bool *needed = ig_zalloc_array(graph->values_count + (size_t)1, sizeof *needed);
    bool apart = needed && program->values_port != IG_GRAPH_NONE;
    if (apart) needed[graph->outputs[program->values_port]] = true;
    for (uint32_t s = program->steps_count; apart && s-- > 0;) {
        const struct prog_step *step = &program->steps[s];
        if (!writes_needed(step, needed)) continue;
        apart = step->apart;
        for (uint32_t i = 0; i < step->in_count; i++)
            if (step->in[i] && !step->in[i]->constant) needed[step->in[i]->index] = true;
    }
    if (apart) return needed;
    ig_free(needed);
    return NULL;
}

bool prog_rows_may_be_apart(const struct ig_program *one)
{
    bool *needed = mark_needed(one);
    bool apart = needed != NULL;
    ig_free(needed);
    return apart;
}

static bool same_constants(const struct prog_step *one, const struct prog_step *block)
{
    if (one->node != block->node) return false;
    for (uint32_t i = 0; i < one->in_count; i++) {
        bool checked = one->in[i] && one->in[i]->constant && !is_shape(one, i);
        if (checked && !same_constant(one->in[i], block->in[i])) return false;
    }
    return true;
}

bool prog_rows_apart(const struct ig_program *one, const struct ig_program *block)
{
    const struct ig_graph *graph = one->graph;
    bool *needed = mark_needed(block);
    bool apart =
        needed && one->steps_count == block->steps_count && one->values_port == block->values_port;
    for (uint32_t i = 0; apart && i < one->steps_count; i++)
        if (writes_needed(&block->steps[i], needed))
            apart = same_constants(&one->steps[i], &block->steps[i]);
    for (uint32_t i = 0; apart && i < graph->values_count; i++)
        if (needed[i]) apart = is_by_row(&one->tensors[i], &block->tensors[i]);
    for (uint32_t i = 0; apart && i < graph->inputs_count; i++)
        apart = is_by_row(&one->tensors[graph->inputs[i]], &block->tensors[graph->inputs[i]]);
    ig_free(needed);
    return apart;
}
