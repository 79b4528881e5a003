/* SPDX-License-Identifier: Apache-2.0 */
/* Splits a network in front, core and tail, has the core quantized on rows that went through the
 * front, and joins the three. Tensors join when a layer needs them, so the core's float weights do
 * not. Stateless. */
#include "kernels/quantize/quantize_core.h"

#include "base/mem.h"
#include "kernels/nn/nn.h"

static const size_t BYTES_MAX = (size_t)1 << 31;

struct split {
    const struct ig_network *network;
    uint32_t first, end; /* layers of the core */
    uint32_t in, out;    /* its tensors */
};

static bool is_constant(const struct ig_network *network, const struct ig_network_layer *layer,
                        uint32_t input)
{
    const struct ig_network_tensor *tensor = ig_network_input(network, layer, input);
    return tensor && tensor->data;
}

/* A step of a scaler: the tensor so far and a constant that does not widen it. */
static bool scales(const struct ig_network *network, const struct ig_network_layer *layer,
                   uint32_t tensor)
{
    if (layer->op != IG_NETWORK_ADD && layer->op != IG_NETWORK_SUB && layer->op != IG_NETWORK_MUL)
        return false;
    uint32_t other = layer->inputs[0] == tensor ? 1 : 0;
    return layer->inputs[!other] == tensor && is_constant(network, layer, other) &&
           ig_network_tensor_count(&network->tensors[layer->output]) ==
               ig_network_tensor_count(&network->tensors[tensor]);
}

static uint32_t uses_of(const struct ig_network *network, uint32_t tensor)
{
    uint32_t uses = 0;
    for (uint32_t i = 0; i < network->layers_count; i++)
        for (uint32_t k = 0; k < network->layers[i].inputs_count; k++)
            uses += network->layers[i].inputs[k] == tensor;
    for (uint32_t i = 0; i < network->outputs_count; i++) uses += network->outputs[i] == tensor;
    return uses;
}

static bool trains(const struct ig_network *network, const struct ig_network_layer *layer,
                   bool symmetric)
{
    struct ig_steps steps;
    if (symmetric && ig_steps_fixed(layer->op, &steps) && steps.zero_point) return false;
    bool weights = layer->op == IG_NETWORK_CONV_2D || layer->op == IG_NETWORK_DEPTHWISE_CONV_2D ||
                   layer->op == IG_NETWORK_FULLY_CONNECTED;
    for (uint32_t k = 0; !weights && k < layer->inputs_count; k++)
        if (is_constant(network, layer, k)) return false;
    return ig_backprop_trains(layer->op);
}

/* Whether the tail reads one tensor of what is before it; that tensor. */
static bool stands_on_one(const struct ig_network *network, uint32_t end, uint32_t *tensor)
{
    *tensor = IG_NETWORK_NONE;
    for (uint32_t i = end; i < network->layers_count; i++) {
        const struct ig_network_layer *layer = &network->layers[i];
        for (uint32_t k = 0; k < layer->inputs_count; k++) {
            uint32_t input = layer->inputs[k];
            bool own = input == IG_NETWORK_NONE || is_constant(network, layer, k);
            for (uint32_t j = end; !own && j < i; j++) own = network->layers[j].output == input;
            if (own || input == *tensor) continue;
            if (*tensor != IG_NETWORK_NONE) return false;
            *tensor = input;
        }
    }
    for (uint32_t i = 0; i < network->outputs_count; i++) {
        bool made = false;
        for (uint32_t j = end; j < network->layers_count; j++)
            made |= network->layers[j].output == network->outputs[i];
        if (!made) return false;
    }
    return *tensor != IG_NETWORK_NONE;
}

static struct split split(const struct ig_network *network, bool symmetric)
{
    struct split s = {.network = network, .end = network->layers_count};
    if (network->inputs_count != 1) return s;
    s.in = network->inputs[0];
    while (s.first < network->layers_count && scales(network, &network->layers[s.first], s.in) &&
           uses_of(network, s.in) == 1)
        s.in = network->layers[s.first++].output;
    uint32_t end = s.first;
    while (end < network->layers_count && trains(network, &network->layers[end], symmetric)) end++;
    if (network->outputs_count == 1) s.out = network->outputs[0];
    if (end > s.first && end < network->layers_count && stands_on_one(network, end, &s.out))
        s.end = end;
    return s;
}

/* ---- parts as networks of their own ---- */

static enum ig_code no_memory(struct ig_err *err)
{
    return ig_fail(err, IG_NO_MEMORY, "no memory for the parts of the network");
}

/* Layers first..end from one tensor to another; borrows nothing of the whole. */
static struct ig_network *part_of(const struct ig_network *network, uint32_t first, uint32_t end,
                                  uint32_t in, uint32_t out)
{
    struct ig_network *part = ig_network_dup(network, BYTES_MAX);
    if (!part) return NULL;
    part->layers += first;
    part->layers_count = end - first;
    part->layers_cap = part->layers_count;
    if (ig_network_set_inputs(part, &in, 1) && ig_network_set_outputs(part, &out, 1)) return part;
    ig_network_free(part);
    return NULL;
}

/* Rows through the front, in the arena. */
static enum ig_code run_front(float **out, struct ig_arena *arena, const struct split *s,
                              const float *rows, size_t count, struct ig_err *err)
{
    const struct ig_nn_options options = {.isa = ig_cpu_isa()};
    struct ig_network *front = part_of(s->network, 0, s->first, s->network->inputs[0], s->in);
    size_t width = ig_network_tensor_count(&s->network->tensors[s->network->inputs[0]]);
    struct ig_nn *nn = NULL;
    float *made = ig_arena_array(arena, count * width + 1, sizeof *made);
    if (!front || !made) {
        no_memory(err);
    } else if (ig_network_check(front, err) == IG_OK &&
               ig_nn_new(&nn, front, &options, err) == IG_OK) {
        void *scratch = ig_arena_alloc_aligned(arena, ig_nn_scratch_bytes(nn) + 1, 64);
        for (size_t i = 0; scratch && i < count; i++) {
            const void *input = rows + i * width;
            void *output = made + i * width;
            ig_nn_run(nn, &input, &output, scratch);
        }
        if (!scratch) no_memory(err);
    }
    ig_nn_free(nn);
    ig_network_free(front);
    *out = made;
    return err->code;
}

/* ---- joining ---- */

struct join {
    struct ig_network *to;
    const struct ig_network *from;
    uint32_t *map; /* by tensor of `from`; NONE: not there yet */
};

static uint32_t join_tensor(struct join *j, uint32_t tensor)
{
    if (tensor == IG_NETWORK_NONE || j->map[tensor] != IG_NETWORK_NONE)
        return tensor == IG_NETWORK_NONE ? tensor : j->map[tensor];
    struct ig_network_tensor copy = j->from->tensors[tensor];
    if (copy.data) copy.data = ig_network_keep(j->to, copy.data, ig_network_tensor_bytes(&copy));
    return j->map[tensor] = ig_network_add_tensor(j->to, &copy);
}

static void join_layers(struct join *j, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end && !j->to->arena.overflowed; i++) {
        struct ig_network_layer layer = j->from->layers[i];
        uint32_t inputs[IG_NETWORK_LAYER_INPUTS_MAX];
        for (uint32_t k = 0; k < layer.inputs_count; k++)
            inputs[k] = join_tensor(j, layer.inputs[k]);
        layer.inputs = inputs;
        layer.output = join_tensor(j, layer.output);
        ig_network_add_layer(j->to, &layer);
    }
}

static bool start_join(struct join *j, struct ig_arena *arena, const struct ig_network *from,
                       struct ig_network *to)
{
    *j = (struct join){.to = to, .from = from};
    j->map = ig_arena_array(arena, from->tensors_count + (size_t)1, sizeof *j->map);
    for (uint32_t i = 0; j->map && i < from->tensors_count; i++) j->map[i] = IG_NETWORK_NONE;
    return j->map != NULL;
}

static bool join_ends(struct join *j)
{
    uint32_t input = j->map[j->from->inputs[0]], outputs[IG_NETWORK_LAYER_INPUTS_MAX];
    uint32_t count = j->from->outputs_count;
    if (count > IG_NETWORK_LAYER_INPUTS_MAX) return false;
    for (uint32_t i = 0; i < count; i++) outputs[i] = join_tensor(j, j->from->outputs[i]);
    return ig_network_set_inputs(j->to, &input, 1) &&
           ig_network_set_outputs(j->to, outputs, count) && !j->to->arena.overflowed;
}

static struct ig_network *join_parts(struct ig_arena *arena, const struct split *s,
                                     const struct ig_network *core)
{
    struct ig_network *to = ig_network_new(BYTES_MAX);
    struct join whole, part;
    if (!to || !start_join(&whole, arena, s->network, to) || !start_join(&part, arena, core, to))
        goto out;
    to->rounding = core->rounding;
    if (s->network->description.len)
        to->description = ig_arena_dup(&to->arena, s->network->description);
    join_tensor(&whole, s->network->inputs[0]);
    join_layers(&whole, 0, s->first);
    part.map[core->inputs[0]] = join_tensor(&whole, s->in);
    part.map[core->outputs[0]] = join_tensor(&whole, s->out);
    join_layers(&part, 0, core->layers_count);
    join_layers(&whole, s->end, s->network->layers_count);
    if (join_ends(&whole)) return to;
out:
    ig_network_free(to);
    return NULL;
}

/* ---- the whole ---- */

static enum ig_code run_parts(struct ig_quantize_result *out, struct ig_arena *arena,
                              const struct split *s, const struct ig_quantize_options *options,
                              struct ig_err *err)
{
    struct ig_quantize_options of_core = *options;
    struct ig_quantize_result result = {0};
    struct ig_network *joined = NULL;
    float *rows = NULL, *held_out = NULL;
    struct ig_network *core = part_of(s->network, s->first, s->end, s->in, s->out);
    if (!core) return no_memory(err);
    of_core.float_ends = true;
    of_core.gains = false; /* its inputs are the front's */
    if (ig_network_check(core, err) != IG_OK ||
        run_front(&rows, arena, s, options->rows, options->rows_count, err) != IG_OK)
        goto out;
    of_core.rows = rows;
    if (options->held_out &&
        run_front(&held_out, arena, s, options->held_out, options->held_out_count, err) != IG_OK)
        goto out;
    of_core.held_out = held_out;
    if (ig_quantize_run(&result, arena, core, &of_core, err) != IG_OK) goto out;
    joined = join_parts(arena, s, result.network);
    if (!joined) {
        no_memory(err);
        goto out;
    }
    if (ig_network_check(joined, err) != IG_OK) goto out;
    *out = (struct ig_quantize_result){.network = joined, .report = result.report};
    for (uint32_t i = 0; i < out->report.layers_count; i++) out->report.layers[i].layer += s->first;
    joined = NULL;
out:
    ig_network_free(joined);
    ig_network_free(result.network);
    ig_network_free(core);
    return err->code;
}

enum ig_code ig_quantize_core_run(struct ig_quantize_result *out, struct ig_arena *arena,
                                  const struct ig_network *network,
                                  const struct ig_quantize_options *options, struct ig_err *err)
{
    struct split s = split(network, options->symmetric);
    if (s.first == 0 && s.end == network->layers_count)
        return ig_quantize_run(out, arena, network, options, err);
    return run_parts(out, arena, &s, options, err);
}
