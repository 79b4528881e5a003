/* SPDX-License-Identifier: Apache-2.0 */
/* Removal of channels. Every activation has a group: the channels of its last dimension, which are
 * the same ones as long as layers pass them on. Layers with weights begin a group; sums join two.
 * Owns what it needs in one arena. Source: Li et al. 2017, Pruning Filters for Efficient ConvNets;
 * the measure looks at both sides of a channel. */
#include "kernels/train/shrink.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

enum { CHUNK_BYTES = 1 << 16 };
static const size_t BYTES_MAX = (size_t)1 << 30;

struct group {
    uint32_t parent; /* itself: a root; what follows is of roots */
    uint32_t width, kept;
    bool frozen, between;            /* between: depthwise filters lie along it */
    double *before, *behind, *along; /* squares of each channel's weights */
    uint32_t *channels;              /* kept ones, in order */
};

struct shrinker {
    struct ig_arena arena;
    const struct ig_network *network;
    struct group *groups;
    uint32_t groups_count;
    uint32_t *group_of; /* by tensor; NONE of constants */
};

static bool has_weights(const struct ig_network_layer *layer)
{
    return layer->op == IG_NETWORK_CONV_2D || layer->op == IG_NETWORK_DEPTHWISE_CONV_2D ||
           layer->op == IG_NETWORK_FULLY_CONNECTED;
}

static struct group *root_of(const struct shrinker *s, uint32_t tensor)
{
    uint32_t at = s->group_of[tensor];
    while (s->groups[at].parent != at) at = s->groups[at].parent;
    return &s->groups[at];
}

static uint32_t last_dimension(const struct ig_network_tensor *tensor)
{
    return tensor->rank ? tensor->dims[tensor->rank - 1] : 1;
}

static void begin_group(struct shrinker *s, uint32_t tensor, bool frozen)
{
    uint32_t index = s->groups_count++;
    s->groups[index] = (struct group){
        .parent = index, .width = last_dimension(&s->network->tensors[tensor]), .frozen = frozen};
    s->group_of[tensor] = index;
}

static void join(struct shrinker *s, uint32_t tensor, uint32_t other)
{
    struct group *a = root_of(s, tensor), *b = root_of(s, other);
    if (a == b) return;
    a->frozen |= b->frozen || a->width != b->width;
    a->between |= b->between;
    b->parent = (uint32_t)(a - s->groups);
}

/* ---- which channels belong together ---- */

static bool shared(const struct shrinker *s, uint32_t tensor)
{
    uint32_t uses = 0;
    for (uint32_t i = 0; i < s->network->layers_count; i++)
        for (uint32_t k = 0; k < s->network->layers[i].inputs_count; k++)
            uses += s->network->layers[i].inputs[k] == tensor;
    return uses > 1;
}

static void weigh(struct shrinker *s, const struct ig_network_layer *layer)
{
    const struct ig_network_tensor *w = ig_network_input(s->network, layer, 1);
    struct group *in = root_of(s, layer->inputs[0]);
    bool fixed = !w->data || shared(s, layer->inputs[1]) ||
                 (ig_network_input(s->network, layer, 2) && shared(s, layer->inputs[2]));
    if (layer->op == IG_NETWORK_DEPTHWISE_CONV_2D && w->dims[3] == in->width) {
        s->group_of[layer->output] = s->group_of[layer->inputs[0]];
        in->between = true;
        in->frozen |= fixed;
        return;
    }
    bool depthwise = layer->op == IG_NETWORK_DEPTHWISE_CONV_2D;
    begin_group(s, layer->output, fixed || depthwise);
    in->frozen |= fixed || depthwise || last_dimension(w) % in->width != 0;
}

static void pass_on(struct shrinker *s, const struct ig_network_layer *layer)
{
    const struct ig_network_tensor *out = &s->network->tensors[layer->output];
    struct group *in = root_of(s, layer->inputs[0]);
    switch (layer->op) {
    case IG_NETWORK_AVERAGE_POOL_2D:
    case IG_NETWORK_MAX_POOL_2D:
    case IG_NETWORK_RELU:
    case IG_NETWORK_RELU6:
    case IG_NETWORK_RELU_N1_TO_1:
    case IG_NETWORK_TANH:
    case IG_NETWORK_LOGISTIC:
        s->group_of[layer->output] = s->group_of[layer->inputs[0]];
        return;
    case IG_NETWORK_RESHAPE: /* cells before channels, as they were */
        s->group_of[layer->output] = s->group_of[layer->inputs[0]];
        in->frozen |= last_dimension(out) % in->width != 0;
        return;
    case IG_NETWORK_ADD:
        if (s->network->tensors[layer->inputs[1]].data) break;
        join(s, layer->inputs[0], layer->inputs[1]);
        s->group_of[layer->output] = s->group_of[layer->inputs[0]];
        return;
    default:
        break;
    }
    begin_group(s, layer->output, true);
    for (uint32_t i = 0; i < layer->inputs_count; i++)
        if (!s->network->tensors[layer->inputs[i]].data)
            root_of(s, layer->inputs[i])->frozen = true;
}

static void find_groups(struct shrinker *s)
{
    for (uint32_t i = 0; i < s->network->tensors_count; i++) s->group_of[i] = IG_NETWORK_NONE;
    for (uint32_t i = 0; i < s->network->inputs_count; i++)
        begin_group(s, s->network->inputs[i], true);
    for (uint32_t i = 0; i < s->network->layers_count; i++)
        if (has_weights(&s->network->layers[i]))
            weigh(s, &s->network->layers[i]);
        else
            pass_on(s, &s->network->layers[i]);
    for (uint32_t i = 0; i < s->network->outputs_count; i++)
        root_of(s, s->network->outputs[i])->frozen = true;
}

/* ---- which of them go ---- */

static void measure_layer(struct shrinker *s, const struct ig_network_layer *layer)
{
    const struct ig_network_tensor *w = ig_network_input(s->network, layer, 1);
    struct group *in = root_of(s, layer->inputs[0]), *out = root_of(s, layer->output);
    const float *values = w->data;
    size_t count = ig_network_tensor_count(w);
    bool depthwise = layer->op == IG_NETWORK_DEPTHWISE_CONV_2D;
    size_t each = count / w->dims[depthwise ? 3 : 0];
    for (size_t i = 0; values && i < count; i++) {
        double square = (double)values[i] * (double)values[i];
        if (depthwise) {
            if (in == out) in->along[i % in->width] += square;
            continue;
        }
        out->before[i / each] += square;
        in->behind[i % in->width] += square;
    }
}

static double worth(const struct group *group, uint32_t channel)
{
    double along = group->between ? group->along[channel] : 1;
    return group->before[channel] * group->behind[channel] * along;
}

/* The kept channels: a heap is not worth it, groups are a few hundred wide. */
static void choose(struct group *group, double fraction)
{
    uint32_t gone = group->frozen ? 0 : (uint32_t)floor(group->width * fraction);
    if (gone >= group->width) gone = group->width - 1;
    for (uint32_t c = 0; c < group->width; c++) {
        uint32_t below = 0;
        for (uint32_t other = 0; other < group->width; other++)
            below += worth(group, other) < worth(group, c) ||
                     (worth(group, other) == worth(group, c) && other > c);
        if (below >= gone) group->channels[group->kept++] = c;
    }
}

static bool choose_all(struct shrinker *s, double fraction)
{
    for (uint32_t i = 0; i < s->groups_count; i++) {
        struct group *group = &s->groups[i];
        group->before = ig_arena_array(&s->arena, group->width, sizeof(double));
        group->behind = ig_arena_array(&s->arena, group->width, sizeof(double));
        group->along = ig_arena_array(&s->arena, group->width, sizeof(double));
        group->channels = ig_arena_array(&s->arena, group->width, sizeof(uint32_t));
    }
    if (s->arena.overflowed) return false;
    for (uint32_t i = 0; i < s->network->layers_count; i++)
        if (has_weights(&s->network->layers[i])) measure_layer(s, &s->network->layers[i]);
    for (uint32_t i = 0; i < s->groups_count; i++)
        if (s->groups[i].parent == i) choose(&s->groups[i], fraction);
    return true;
}

/* ---- the smaller network ---- */

/* How a constant's elements are cut: by the channels of its rows, and of its columns. */
static const void *cut(struct ig_network *out, struct ig_network_tensor *tensor,
                       const struct group *rows, const struct group *columns)
{
    const float *from = tensor->data;
    size_t length = last_dimension(tensor), each = ig_network_tensor_count(tensor) / length;
    size_t cells = length / columns->width, height = rows ? each / rows->width : each;
    size_t rows_kept = rows ? rows->kept : 1, at = 0;
    float *to =
        ig_arena_array(&out->arena, rows_kept * height * cells * columns->kept + 1, sizeof *to);
    if (!to) return NULL;
    for (size_t r = 0; r < rows_kept; r++)
        for (size_t h = 0; h < height; h++)
            for (size_t k = 0; k < cells * columns->kept; k++) {
                size_t row = rows ? rows->channels[r] * height + h : h;
                size_t column =
                    k / columns->kept * columns->width + columns->channels[k % columns->kept];
                to[at++] = from[row * length + column];
            }
    if (rows) tensor->dims[0] = rows->kept;
    tensor->dims[tensor->rank - 1] = (uint32_t)(cells * columns->kept);
    return to;
}

static void cut_layer(const struct shrinker *s, struct ig_network *out,
                      const struct ig_network_layer *layer)
{
    const struct group *in = root_of(s, layer->inputs[0]), *to = root_of(s, layer->output);
    struct ig_network_tensor *weights = &out->tensors[layer->inputs[1]];
    bool depthwise = layer->op == IG_NETWORK_DEPTHWISE_CONV_2D;
    bool untouched = in->kept == in->width && to->kept == to->width;
    if (untouched) return;
    weights->data = cut(out, weights, depthwise ? NULL : to, depthwise ? to : in);
    if (!ig_network_input(s->network, layer, 2)) return;
    struct ig_network_tensor *bias = &out->tensors[layer->inputs[2]];
    bias->data = cut(out, bias, NULL, to);
}

static enum ig_code build(struct ig_network **out, const struct shrinker *s, struct ig_err *err)
{
    struct ig_network *network =
        ig_network_dup(s->network, 4 * ig_network_bytes(s->network) + (size_t)(1 << 20));
    if (!network) return ig_fail(err, IG_NO_MEMORY, "the smaller network");
    for (uint32_t i = 0; i < network->tensors_count; i++) {
        struct ig_network_tensor *tensor = &network->tensors[i];
        if (tensor->data || tensor->rank == 0 || s->group_of[i] == IG_NETWORK_NONE) continue;
        const struct group *group = root_of(s, i);
        uint32_t *last = &tensor->dims[tensor->rank - 1];
        *last = *last / group->width * group->kept;
    }
    for (uint32_t i = 0; i < network->layers_count; i++)
        if (has_weights(&s->network->layers[i])) cut_layer(s, network, &s->network->layers[i]);
    if (ig_network_check(network, err) != IG_OK) {
        ig_network_free(network);
        return ig_err_code(err);
    }
    *out = network;
    return IG_OK;
}

static void count_network(const struct ig_network *network, uint64_t *parameters,
                          uint64_t *products)
{
    for (uint32_t i = 0; i < network->layers_count; i++) {
        const struct ig_network_layer *layer = &network->layers[i];
        if (!has_weights(layer)) continue;
        const struct ig_network_tensor *w = ig_network_input(network, layer, 1);
        const struct ig_network_tensor *b = ig_network_input(network, layer, 2);
        uint64_t weights = ig_network_tensor_count(w);
        uint64_t outputs = ig_network_tensor_count(&network->tensors[layer->output]);
        bool depthwise = layer->op == IG_NETWORK_DEPTHWISE_CONV_2D;
        *parameters += weights + (b ? ig_network_tensor_count(b) : 0);
        *products += outputs * (weights / w->dims[depthwise ? 3 : 0]);
    }
}

static enum ig_code shrink(struct ig_network **out, struct ig_shrink_report *report,
                           struct shrinker *s, double fraction, struct ig_err *err)
{
    size_t groups = s->network->layers_count + (size_t)s->network->inputs_count;
    struct ig_shrink_report counts = {0};
    s->groups = ig_arena_array(&s->arena, groups, sizeof *s->groups);
    s->group_of = ig_arena_array(&s->arena, s->network->tensors_count, sizeof *s->group_of);
    if (s->arena.overflowed) return ig_fail(err, IG_NO_MEMORY, "groups of channels");
    find_groups(s);
    if (!choose_all(s, fraction)) return ig_fail(err, IG_NO_MEMORY, "groups of channels");
    for (uint32_t i = 0; i < s->groups_count; i++) {
        if (s->groups[i].parent != i || s->groups[i].frozen) continue;
        counts.channels_before += s->groups[i].width;
        counts.channels_after += s->groups[i].kept;
    }
    if (counts.channels_before == 0)
        return ig_fail(err, IG_UNSUPPORTED, "no channel of the network can be removed");
    if (build(out, s, err)) return ig_err_code(err);
    count_network(s->network, &counts.parameters_before, &counts.products_before);
    count_network(*out, &counts.parameters_after, &counts.products_after);
    *report = counts;
    return IG_OK;
}

enum ig_code ig_shrink_run(struct ig_network **out, struct ig_shrink_report *report,
                           const struct ig_network *network,
                           const struct ig_shrink_options *options, struct ig_err *err)
{
    struct shrinker s = {.network = network};
    if (!(options->fraction >= 0 && options->fraction < 1))
        return ig_fail(err, IG_INVALID, "fraction is %g, expected 0 up to 1", options->fraction);
    for (uint32_t i = 0; i < network->tensors_count; i++)
        if (network->tensors[i].type != IG_NETWORK_F32)
            return ig_fail(err, IG_UNSUPPORTED, "tensor %u is of type %s, expected float32", i,
                           ig_network_type_name(network->tensors[i].type));
    ig_arena_init(&s.arena, CHUNK_BYTES, BYTES_MAX);
    enum ig_code code = shrink(out, report, &s, options->fraction, err);
    ig_arena_deinit(&s.arena);
    return code;
}
