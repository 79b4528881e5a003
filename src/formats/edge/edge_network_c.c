/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a compact network as one C99 file: the text of the kernels that it needs, its constants as
 * an array, and a descriptor and a call for each layer. No interpreter: what a kernel takes is
 * constant and can lie in flash. Stateless. */
#include "formats/edge/edge_encoder_c.h"
#include "formats/edge/edge_kernels.h"
#include "formats/edge/edge_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { A_LINE = 24 };

struct writer {
    struct ig_buf *out;
    const struct ig_network_compact *compact;
    struct ig_str name;
    bool f32_in, f32_out;
};

static void text(struct writer *writer, const char *template)
{
    for (const char *at = template; *at; at++) {
        if (*at == '@')
            ig_buf_add_str(writer->out, writer->name);
        else
            ig_buf_add_char(writer->out, *at);
    }
}

static void constant(struct writer *writer, const char *what, int64_t value)
{
    ig_buf_printf(writer->out, "#define %.*s_%s %s%" PRId64 "%s\n", IG_STR_ARGS(writer->name), what,
                  value < 0 ? "(" : "", value, value < 0 ? ")" : "");
}

static bool rounds_twice(const struct writer *writer)
{
    return writer->compact->network->rounding == IG_NETWORK_ROUNDING_DOUBLE;
}

static uint32_t elements(const struct ig_network_compact *compact, const uint32_t *tensors,
                         uint32_t count)
{
    size_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += ig_network_tensor_count(compact->tensors[tensors[i]].tensor);
    return (uint32_t)sum;
}

static const char HEAD[] =
    "/* SPDX-License-Identifier: Apache-2.0 */\n"
    "/* @: a network in C99, written by Ingot. It needs no library, no heap and no other file.\n"
    " * @_invoke: all inputs in order, all outputs. @_class: the output that is greatest; of a\n"
    " * single one 1 when it is over ";
static const char INCLUDES[] =
    "\n#include <stddef.h>\n#include <stdint.h>\n\n"
    "#ifdef __GNUC__\n#define IGE_NN_API static __attribute__((unused))\n#else\n"
    "#define IGE_NN_API static\n#endif\n";

static void scale(struct writer *writer, const char *what, const struct ig_compact_tensor *tensor)
{
    const struct ig_network_quantization *q = &tensor->tensor->quantization;
    if (tensor->tensor->type != IG_NETWORK_I8) return;
    ig_buf_printf(writer->out, "#define %.*s_%s_SCALE %aF /* %.9g */\n", IG_STR_ARGS(writer->name),
                  what, (double)q->scales[0], (double)q->scales[0]);
    ig_buf_printf(writer->out, "#define %.*s_%s_ZERO_POINT (%d)\n", IG_STR_ARGS(writer->name), what,
                  q->zero_points[0]);
}

static void write_head(struct writer *writer)
{
    const struct ig_network_compact *compact = writer->compact;
    text(writer, HEAD);
    text(writer, compact->probability ? "one half." : "zero.");
    if (compact->encoder)
        text(writer, "\n * `in` is a row of the table: NaN is missing, a category is its code.");
    ig_buf_printf(writer->out, " Rounding: %s. Not for two threads at once. */\n",
                  rounds_twice(writer) ? "double" : "single");
    text(writer, INCLUDES);
    ig_buf_printf(writer->out, "#define IGE_NN_ROUNDINGS %d\n", rounds_twice(writer) ? 2 : 1);
    ig_buf_add_char(writer->out, '\n');
    constant(writer, "INPUTS",
             compact->encoder ? compact->encoder->features_count
                              : elements(compact, compact->inputs, compact->inputs_count));
    constant(writer, "OUTPUTS", elements(compact, compact->outputs, compact->outputs_count));
    constant(writer, "ARENA_BYTES", compact->arena_bytes);
    if (!compact->encoder) scale(writer, "INPUT", &compact->tensors[compact->inputs[0]]);
    scale(writer, "OUTPUT", &compact->tensors[compact->outputs[0]]);
    text(writer, writer->f32_in ? "\nvoid @_invoke(const float *in, "
                                : "\nvoid @_invoke(const int8_t *in, ");
    text(writer, writer->f32_out ? "float *out);\n" : "int8_t *out);\n");
    text(writer, writer->f32_in ? "int32_t @_class(const float *in);\n\n"
                                : "int32_t @_class(const int8_t *in);\n\n");
}

/* ---- kernels ---- */

/* Files of kernels, and the operators that ask for them; 0: all do. */
#define IG_BIT(op) (UINT32_C(1) << IG_NETWORK_##op)
static const struct {
    const char *name;
    uint32_t ops;
} KERNELS[] = {
    {"ingot_edge_nn.h", 0},
    {"ingot_edge_nn_core.h", 0},
    {"ingot_edge_nn_core.c", 0},
    {"ingot_edge_nn_portable.c", 0},
    {"ingot_edge_nn_dsp.c", 0},
    {"ingot_edge_nn_neon.c", 0},
    {"ingot_edge_nn_conv.c", IG_BIT(CONV_2D)},
    {"ingot_edge_nn_depthwise.c", IG_BIT(DEPTHWISE_CONV_2D)},
    {"ingot_edge_nn_connected.c", IG_BIT(FULLY_CONNECTED)},
    {"ingot_edge_nn_pool.c", IG_BIT(AVERAGE_POOL_2D) | IG_BIT(MAX_POOL_2D) | IG_BIT(MEAN)},
    {"ingot_edge_nn_arithmetic.c", IG_BIT(ADD) | IG_BIT(SUB) | IG_BIT(MUL)},
    {"ingot_edge_nn_move.c", IG_BIT(PAD) | IG_BIT(CONCATENATION) | IG_BIT(LOGISTIC) | IG_BIT(TANH) |
                                 IG_BIT(RELU) | IG_BIT(RELU6) | IG_BIT(RELU_N1_TO_1) |
                                 IG_BIT(QUANTIZE)},
    {"ingot_edge_nn_softmax.c", IG_BIT(SOFTMAX)},
    {"ingot_edge_nn_real.c", IG_BIT(QUANTIZE) | IG_BIT(DEQUANTIZE)},
};
#undef IG_BIT
enum { KERNELS_COUNT = sizeof KERNELS / sizeof *KERNELS };

static bool wants(const struct writer *writer, size_t kernel)
{
    const struct ig_network *network = writer->compact->network;
    for (uint32_t i = 0; i < network->layers_count; i++)
        if (KERNELS[kernel].ops >> network->layers[i].op & 1) return true;
    return KERNELS[kernel].ops == 0;
}

static struct ig_str text_of(const char *name)
{
    const struct ig_edge_kernel *kernel = ig_edge_kernels;
    while (kernel->name && strcmp(kernel->name, name) != 0) kernel++;
    IG_ASSERT(kernel->name);
    return (struct ig_str){(const char *)kernel->text, kernel->size};
}

static bool contains(struct ig_str text, struct ig_str word)
{
    for (size_t i = 0; i + word.len <= text.len; i++)
        if (memcmp(text.ptr + i, word.ptr, word.len) == 0) return true;
    return false;
}

/* Whether the function that a prototype's line names is in the file. */
static bool is_defined(const struct writer *writer, struct ig_str line)
{
    struct ig_str name = ig_str_cut(&line, '(');
    while (contains(name, IG_STR(" "))) ig_str_cut(&name, ' ');
    char word[64];
    int length = snprintf(word, sizeof word, "%.*s(", IG_STR_ARGS(name));
    for (size_t i = 0; i < KERNELS_COUNT; i++)
        if (strchr(KERNELS[i].name, '.')[1] == 'c' && wants(writer, i) &&
            contains(text_of(KERNELS[i].name), (struct ig_str){word, (size_t)length}))
            return true;
    return false;
}

/* Lines that stand elsewhere, or that one file has no use for. */
static bool is_skipped(const struct writer *writer, struct ig_str line)
{
    static const char *const SKIPPED[] = {"#include \"", "#include <std", "/* SPDX"};
    for (size_t i = 0; i < sizeof SKIPPED / sizeof *SKIPPED; i++)
        if (ig_str_starts(line, ig_str_view(SKIPPED[i]))) return true;
    return ig_str_starts(line, IG_STR("IGE_NN_API ")) && !is_defined(writer, line);
}

/* What is inline may be left unused too, which some compilers warn of. */
static void add_line(struct writer *writer, struct ig_str line)
{
    const struct ig_str word = IG_STR("static inline");
    for (size_t i = 0; i + word.len <= line.len; i++) {
        if (memcmp(line.ptr + i, word.ptr, word.len) != 0) continue;
        ig_buf_add_str(writer->out, (struct ig_str){line.ptr, i});
        ig_buf_add_cstr(writer->out, "IGE_NN_API inline");
        line.ptr += i + word.len;
        line.len -= i + word.len;
        break;
    }
    ig_buf_add_str(writer->out, line);
    ig_buf_add_char(writer->out, '\n');
}

static void add_kernel(struct writer *writer, const char *name)
{
    struct ig_str left = text_of(name);
    bool within = false; /* what is skipped goes on to a semicolon */
    while (left.len) {
        struct ig_str line = ig_str_cut(&left, '\n');
        bool skipped = within || is_skipped(writer, line);
        within = skipped && (within || ig_str_starts(line, IG_STR("IGE_NN_API "))) &&
                 !contains(line, IG_STR(";"));
        /* Its intrinsics are many compilers' trouble, and its speed no device's. */
        if (ig_str_is(line, "#define IGE_NN_HAS_X86 1")) line = IG_STR("#define IGE_NN_HAS_X86 0");
        if (!skipped) add_line(writer, line);
    }
    ig_buf_add_char(writer->out, '\n');
}

static void write_kernels(struct writer *writer)
{
    for (size_t i = 0; i < KERNELS_COUNT; i++)
        if (wants(writer, i)) add_kernel(writer, KERNELS[i].name);
}

/* ---- data ---- */

static void write_data(struct writer *writer)
{
    const struct ig_buf *constants = &writer->compact->constants;
    ig_buf_printf(writer->out, "static const int8_t %.*s_constants[] = {%s",
                  IG_STR_ARGS(writer->name), constants->len ? "" : "0");
    for (size_t i = 0; i < constants->len; i++)
        ig_buf_printf(writer->out, "%s%d",
                      !i           ? "\n    "
                      : i % A_LINE ? ", "
                                   : ",\n    ",
                      (int8_t)constants->ptr[i]);
    text(writer, "};\nstatic uint32_t @_arena[(@_ARENA_BYTES + 3) / 4];\n");
    text(writer, "#define @_AT(offset) ((int8_t *)@_arena + (offset))\n\n");
}

static void put_place(struct writer *writer, const char *field, uint32_t tensor)
{
    const struct ig_compact_tensor *t = &writer->compact->tensors[tensor];
    ig_buf_printf(writer->out,
                  t->constant ? "    .%s = %.*s_constants + %u,\n" : "    .%s = %.*s_AT(%u),\n",
                  field, IG_STR_ARGS(writer->name), t->offset);
}

static void put_number(struct writer *writer, const char *field, int64_t value)
{
    ig_buf_printf(writer->out, "    .%s = %" PRId64 ",\n", field, value);
}

static void put_multiplier(struct writer *writer, const char *field, struct nn_multiplier m)
{
    ig_buf_printf(writer->out, "    .%s = {%d, %d},\n", field, m.fraction, m.shift);
}

static int32_t zero_of(const struct writer *writer, uint32_t tensor)
{
    return writer->compact->tensors[tensor].tensor->quantization.zero_points[0];
}

static uint32_t count_of(const struct writer *writer, uint32_t tensor)
{
    return (uint32_t)ig_network_tensor_count(writer->compact->tensors[tensor].tensor);
}

static void put_finish(struct writer *writer, const struct ig_compact_layer *layer)
{
    uint32_t at = layer->constants, count = layer->per_channel ? layer->channels : 1;
    uint32_t fractions = at + 4 * layer->channels, shifts = fractions + 4 * count;
    struct ig_str name = writer->name;
    ig_buf_printf(writer->out, "    .weights = %.*s_constants + %u,\n", IG_STR_ARGS(name),
                  shifts + count);
    ig_buf_printf(writer->out,
                  "    .finish = {%.*s_constants + %u, %.*s_constants + %u, %.*s_constants + %u, "
                  "%d, %u, %s, %d, %d, %d},\n",
                  IG_STR_ARGS(name), at, IG_STR_ARGS(name), fractions, IG_STR_ARGS(name), shifts,
                  layer->per_channel, layer->sum_bits,
                  rounds_twice(writer) ? "IGE_NN_DOUBLE" : "IGE_NN_SINGLE",
                  zero_of(writer, layer->output), layer->least, layer->most);
}

static void put_window(struct writer *writer, const struct ig_compact_layer *layer)
{
    const struct ig_network_window *w = &layer->layer->window;
    const uint32_t *in = writer->compact->tensors[layer->inputs[0]].dims;
    uint32_t dilation_h = w->dilation_h ? w->dilation_h : 1;
    uint32_t dilation_w = w->dilation_w ? w->dilation_w : 1;
    ig_buf_printf(
        writer->out, "    .window = {%u, %u, %u, %u, %u, %u, %u, %u},\n", layer->filter_h,
        layer->filter_w, w->stride_h, w->stride_w, dilation_h, dilation_w,
        ig_network_pad_before(w->padding, in[1], layer->filter_h, w->stride_h, dilation_h),
        ig_network_pad_before(w->padding, in[2], layer->filter_w, w->stride_w, dilation_w));
}

/* ---- layers ---- */

/* Opens a descriptor; its input and output are those of the layer. */
static void begin(struct writer *writer, const char *type, uint32_t number)
{
    const struct ig_compact_layer *layer = &writer->compact->layers[number];
    ig_buf_printf(writer->out, "static const struct %s %.*s_layer%u = {\n", type,
                  IG_STR_ARGS(writer->name), number);
    put_place(writer, "input", layer->inputs[0]);
    put_place(writer, "output", layer->output);
}

static void put_conv(struct writer *writer, uint32_t number)
{
    const struct ig_compact_layer *layer = &writer->compact->layers[number];
    const uint32_t *in = writer->compact->tensors[layer->inputs[0]].dims;
    const uint32_t *out = writer->compact->tensors[layer->output].dims;
    begin(writer, "ige_nn_conv", number);
    if (layer->scratch_bytes)
        ig_buf_printf(writer->out, "    .scratch = %.*s_AT(%u),\n", IG_STR_ARGS(writer->name),
                      layer->scratch);
    put_number(writer, "images", in[0]);
    put_number(writer, "in_h", in[1]);
    put_number(writer, "in_w", in[2]);
    put_number(writer, "in_c", in[3]);
    put_number(writer, "out_h", out[1]);
    put_number(writer, "out_w", out[2]);
    put_number(writer, "out_c", out[3]);
    put_number(writer, "input_zero", zero_of(writer, layer->inputs[0]));
    put_window(writer, layer);
    put_finish(writer, layer);
}

static void put_connected(struct writer *writer, uint32_t number)
{
    const struct ig_compact_layer *layer = &writer->compact->layers[number];
    uint32_t rows = count_of(writer, layer->output) / layer->channels;
    begin(writer, "ige_nn_fully_connected", number);
    put_number(writer, "rows", rows);
    put_number(writer, "depth", count_of(writer, layer->inputs[0]) / rows);
    put_number(writer, "channels", layer->channels);
    put_finish(writer, layer);
}

static void put_pool(struct writer *writer, uint32_t number)
{
    const struct ig_compact_layer *layer = &writer->compact->layers[number];
    const uint32_t *in = writer->compact->tensors[layer->inputs[0]].dims;
    const uint32_t *out = writer->compact->tensors[layer->output].dims;
    begin(writer, "ige_nn_pool", number);
    put_number(writer, "images", in[0]);
    put_number(writer, "in_h", in[1]);
    put_number(writer, "in_w", in[2]);
    put_number(writer, "channels", in[3]);
    put_number(writer, "out_h", out[1]);
    put_number(writer, "out_w", out[2]);
    put_window(writer, layer);
    put_number(writer, "least", layer->least);
    put_number(writer, "most", layer->most);
}

static void put_pad(struct writer *writer, uint32_t number)
{
    const struct ig_compact_layer *layer = &writer->compact->layers[number];
    const uint32_t *in = writer->compact->tensors[layer->inputs[0]].dims;
    const uint32_t(*pads)[2] = layer->layer->pads;
    begin(writer, "ige_nn_pad", number);
    put_number(writer, "rank", IG_COMPACT_RANK_MAX);
    ig_buf_printf(writer->out, "    .dims = {%u, %u, %u, %u},\n", in[0], in[1], in[2], in[3]);
    ig_buf_printf(writer->out, "    .before = {%u, %u, %u, %u},\n", pads[0][0], pads[1][0],
                  pads[2][0], pads[3][0]);
    ig_buf_printf(writer->out, "    .after = {%u, %u, %u, %u},\n", pads[0][1], pads[1][1],
                  pads[2][1], pads[3][1]);
    put_number(writer, "zero", zero_of(writer, layer->output));
}

static void put_arithmetic(struct writer *writer, uint32_t number)
{
    static const char *const NAMES[] = {"IGE_NN_ADD", "IGE_NN_SUB", "IGE_NN_MUL"};
    const struct ig_compact_layer *layer = &writer->compact->layers[number];
    ig_buf_printf(writer->out, "static const struct ige_nn_arithmetic %.*s_layer%u = {\n",
                  IG_STR_ARGS(writer->name), number);
    put_place(writer, "a", layer->inputs[0]);
    put_place(writer, "b", layer->inputs[1]);
    put_place(writer, "output", layer->output);
    put_number(writer, "count", count_of(writer, layer->output));
    put_number(writer, "a_count", count_of(writer, layer->inputs[0]));
    put_number(writer, "b_count", count_of(writer, layer->inputs[1]));
    ig_buf_printf(writer->out, "    .operation = %s,\n", NAMES[layer->layer->op - IG_NETWORK_ADD]);
    put_number(writer, "rounding", rounds_twice(writer));
    put_number(writer, "a_zero", zero_of(writer, layer->inputs[0]));
    put_number(writer, "b_zero", zero_of(writer, layer->inputs[1]));
    put_number(writer, "zero", zero_of(writer, layer->output));
    put_number(writer, "least", layer->least);
    put_number(writer, "most", layer->most);
    put_multiplier(writer, "a_multiplier", layer->multipliers[0]);
    put_multiplier(writer, "b_multiplier", layer->multipliers[1]);
    put_multiplier(writer, "multiplier", layer->multipliers[2]);
}

/* A descriptor for each input. */
static void put_concatenation(struct writer *writer, uint32_t number)
{
    const struct ig_compact_layer *layer = &writer->compact->layers[number];
    const uint32_t *out = writer->compact->tensors[layer->output].dims;
    uint32_t axis = layer->layer->axis, inner = 1, at = 0;
    for (uint32_t d = axis + 1; d < IG_COMPACT_RANK_MAX; d++) inner *= out[d];
    uint32_t stride = inner * out[axis];
    ig_buf_printf(writer->out, "static const struct ige_nn_lines %.*s_layer%u[] = {",
                  IG_STR_ARGS(writer->name), number);
    for (uint32_t i = 0; i < layer->inputs_count; i++) {
        uint32_t bytes = inner * writer->compact->tensors[layer->inputs[i]].dims[axis];
        ig_buf_add_cstr(writer->out, i ? "}, {\n" : "{\n");
        put_place(writer, "input", layer->inputs[i]);
        put_place(writer, "output", layer->output);
        put_number(writer, "lines", count_of(writer, layer->output) / stride);
        put_number(writer, "bytes", bytes);
        put_number(writer, "stride", stride);
        put_number(writer, "at", at);
        at += bytes;
    }
    ig_buf_add_char(writer->out, '}');
}

static void put_softmax(struct writer *writer, uint32_t number)
{
    const struct ig_compact_layer *layer = &writer->compact->layers[number];
    const struct ig_network_tensor *in = writer->compact->tensors[layer->inputs[0]].tensor;
    uint32_t width = in->rank ? in->dims[in->rank - 1] : 1;
    begin(writer, "ige_nn_softmax", number);
    put_number(writer, "rows", count_of(writer, layer->inputs[0]) / width);
    put_number(writer, "width", width);
    put_number(writer, "rounding", rounds_twice(writer));
    if (!rounds_twice(writer)) {
        ig_buf_printf(writer->out, "    .step = %uU,\n", layer->step);
        return;
    }
    put_multiplier(writer, "multiplier", layer->multipliers[2]);
    put_number(writer, "radius", layer->step);
}

static void put_mean(struct writer *writer, uint32_t number)
{
    const struct ig_compact_layer *layer = &writer->compact->layers[number];
    const uint32_t *in = writer->compact->tensors[layer->inputs[0]].dims;
    uint32_t outer = 1, cells = 1, inner = 1;
    for (uint32_t d = 0; d < IG_COMPACT_RANK_MAX; d++)
        if (layer->layer->axes >> d & 1)
            cells *= in[d];
        else if (cells > 1)
            inner *= in[d];
        else
            outer *= in[d];
    begin(writer, "ige_nn_mean", number);
    put_number(writer, "outer", outer);
    put_number(writer, "cells", cells);
    put_number(writer, "inner", inner);
    put_number(writer, "input_zero", zero_of(writer, layer->inputs[0]));
    put_number(writer, "zero", zero_of(writer, layer->output));
    put_number(writer, "rounding", rounds_twice(writer));
    put_multiplier(writer, "multiplier", layer->multipliers[2]);
}

static void put_table(struct writer *writer, uint32_t number)
{
    const struct ig_compact_layer *layer = &writer->compact->layers[number];
    begin(writer, "ige_nn_table", number);
    ig_buf_printf(writer->out, "    .table = %.*s_constants + %u,\n", IG_STR_ARGS(writer->name),
                  layer->constants);
    put_number(writer, "count", count_of(writer, layer->output));
}

/* What is no descriptor: RESHAPE, and what goes between int8 and float. */
static bool is_real(const struct writer *writer, const struct ig_compact_layer *layer)
{
    return writer->compact->tensors[layer->inputs[0]].tensor->type !=
           writer->compact->tensors[layer->output].tensor->type;
}

static void write_layer(struct writer *writer, uint32_t number)
{
    const struct ig_compact_layer *layer = &writer->compact->layers[number];
    enum ig_network_op op = layer->layer->op;
    if (op == IG_NETWORK_RESHAPE || is_real(writer, layer)) return;
    if (op == IG_NETWORK_CONV_2D || op == IG_NETWORK_DEPTHWISE_CONV_2D)
        put_conv(writer, number);
    else if (op == IG_NETWORK_FULLY_CONNECTED)
        put_connected(writer, number);
    else if (op == IG_NETWORK_AVERAGE_POOL_2D || op == IG_NETWORK_MAX_POOL_2D)
        put_pool(writer, number);
    else if (op == IG_NETWORK_PAD)
        put_pad(writer, number);
    else if (op >= IG_NETWORK_ADD && op <= IG_NETWORK_MUL)
        put_arithmetic(writer, number);
    else if (op == IG_NETWORK_CONCATENATION)
        put_concatenation(writer, number);
    else if (op == IG_NETWORK_SOFTMAX)
        put_softmax(writer, number);
    else if (op == IG_NETWORK_MEAN)
        put_mean(writer, number);
    else
        put_table(writer, number);
    ig_buf_add_cstr(writer->out, "};\n");
}

/* ---- calls ---- */

static const char *kernel_of(enum ig_network_op op)
{
    switch (op) {
    case IG_NETWORK_CONV_2D:
        return "conv";
    case IG_NETWORK_DEPTHWISE_CONV_2D:
        return "depthwise";
    case IG_NETWORK_FULLY_CONNECTED:
        return "fully_connected";
    case IG_NETWORK_AVERAGE_POOL_2D:
        return "average_pool";
    case IG_NETWORK_MAX_POOL_2D:
        return "max_pool";
    case IG_NETWORK_PAD:
        return "pad";
    case IG_NETWORK_ADD:
    case IG_NETWORK_SUB:
    case IG_NETWORK_MUL:
        return "arithmetic";
    case IG_NETWORK_SOFTMAX:
        return "softmax";
    case IG_NETWORK_MEAN:
        return "mean";
    default:
        return "table";
    }
}

static void call_real(struct writer *writer, const struct ig_compact_layer *layer)
{
    const struct ig_compact_tensor *in = &writer->compact->tensors[layer->inputs[0]];
    const struct ig_compact_tensor *out = &writer->compact->tensors[layer->output];
    bool quantizes = layer->layer->op == IG_NETWORK_QUANTIZE;
    const struct ig_network_quantization *q = &(quantizes ? out : in)->tensor->quantization;
    const char *form = quantizes
                           ? "    ige_nn_quantize(%.*s_AT(%u), (const float *)(const void *)"
                             "%.*s_AT(%u), %u, %aF, %d);\n"
                           : "    ige_nn_dequantize((float *)(void *)%.*s_AT(%u), %.*s_AT(%u), %u, "
                             "%aF, %d);\n";
    if (in->constant)
        form = "    ige_nn_dequantize((float *)(void *)%.*s_AT(%u), %.*s_constants + %u, %u, %aF, "
               "%d);\n";
    ig_buf_printf(writer->out, form, IG_STR_ARGS(writer->name), out->offset,
                  IG_STR_ARGS(writer->name), in->offset, count_of(writer, layer->output),
                  (double)q->scales[0], q->zero_points[0]);
}

static void call_layer(struct writer *writer, uint32_t number)
{
    const struct ig_compact_layer *layer = &writer->compact->layers[number];
    enum ig_network_op op = layer->layer->op;
    if (op == IG_NETWORK_RESHAPE) return;
    if (is_real(writer, layer)) {
        call_real(writer, layer);
        return;
    }
    if (op != IG_NETWORK_CONCATENATION) {
        ig_buf_printf(writer->out, "    ige_nn_%s(&%.*s_layer%u);\n", kernel_of(op),
                      IG_STR_ARGS(writer->name), number);
        return;
    }
    for (uint32_t i = 0; i < layer->inputs_count; i++)
        ig_buf_printf(writer->out, "    ige_nn_lines(&%.*s_layer%u[%u]);\n",
                      IG_STR_ARGS(writer->name), number, i);
}

/* The network's input of the row. */
static void call_encoder(struct writer *writer)
{
    const struct ig_network_compact *compact = writer->compact;
    const struct ig_compact_tensor *input = &compact->tensors[compact->inputs[0]];
    ig_buf_printf(writer->out,
                  input->tensor->type == IG_NETWORK_I8
                      ? "    %.*s_encode(in, %.*s_AT(%u));\n"
                      : "    %.*s_encode(in, (float *)(void *)%.*s_AT(%u));\n",
                  IG_STR_ARGS(writer->name), IG_STR_ARGS(writer->name), input->offset);
}

/* Moves inputs into the arena, or outputs out of it. */
static void copy_ends(struct writer *writer, bool outputs)
{
    const struct ig_network_compact *compact = writer->compact;
    const uint32_t *tensors = outputs ? compact->outputs : compact->inputs;
    uint32_t count = outputs ? compact->outputs_count : compact->inputs_count, at = 0;
    bool f32 = outputs ? writer->f32_out : writer->f32_in;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t elements_count = count_of(writer, tensors[i]);
        struct ig_buf *out = writer->out;
        ig_buf_printf(out, "    for (uint32_t i = 0; i < %u; i++) ", elements_count);
        if (outputs) ig_buf_printf(out, "out[%u + i] = ", at);
        ig_buf_printf(out, f32 ? "((float *)(void *)%.*s_AT(%u))[i]" : "%.*s_AT(%u)[i]",
                      IG_STR_ARGS(writer->name), compact->tensors[tensors[i]].offset);
        if (!outputs) ig_buf_printf(out, " = in[%u + i]", at);
        ig_buf_add_cstr(out, ";\n");
        at += elements_count;
    }
}

static const char CLASS[] =
    "    for (uint32_t i = 1; i < sizeof out / sizeof *out; i++)\n"
    "        if (out[i] > out[best]) best = i;\n    return (int32_t)best;\n}\n";

static void write_class(struct writer *writer)
{
    const struct ig_network_compact *compact = writer->compact;
    uint32_t count = count_of(writer, compact->outputs[0]);
    text(writer, writer->f32_in ? "\nint32_t @_class(const float *in)\n{\n"
                                : "\nint32_t @_class(const int8_t *in)\n{\n");
    text(writer, writer->f32_out ? "    float out[@_OUTPUTS];\n" : "    int8_t out[@_OUTPUTS];\n");
    if (count > 1) text(writer, "    uint32_t best = 0;\n");
    text(writer, "    @_invoke(in, out);\n");
    if (count == 1 && writer->f32_out)
        text(writer, compact->probability ? "    return out[0] > 0.5F;\n}\n"
                                          : "    return out[0] > 0;\n}\n");
    else if (count == 1)
        ig_buf_printf(writer->out, "    return out[0] > %d;\n}\n", compact->class_threshold);
    else if (compact->outputs_count == 1)
        text(writer, CLASS);
    else
        ig_buf_printf(writer->out,
                      "    for (uint32_t i = 1; i < %u; i++)\n"
                      "        if (out[i] > out[best]) best = i;\n    return (int32_t)best;\n}\n",
                      count);
}

static void write_invoke(struct writer *writer)
{
    text(writer, writer->f32_in ? "\nvoid @_invoke(const float *in, "
                                : "\nvoid @_invoke(const int8_t *in, ");
    text(writer, writer->f32_out ? "float *out)\n{\n" : "int8_t *out)\n{\n");
    if (writer->compact->encoder)
        call_encoder(writer);
    else
        copy_ends(writer, false);
    for (uint32_t i = 0; i < writer->compact->layers_count; i++) call_layer(writer, i);
    copy_ends(writer, true);
    ig_buf_add_cstr(writer->out, "}\n");
}

/* Whether all are of one type, which *f32 tells. */
static bool same_type(const struct ig_network_compact *compact, const uint32_t *tensors,
                      uint32_t count, bool *f32)
{
    *f32 = compact->tensors[tensors[0]].tensor->type == IG_NETWORK_F32;
    for (uint32_t i = 1; i < count; i++)
        if ((compact->tensors[tensors[i]].tensor->type == IG_NETWORK_F32) != *f32) return false;
    return true;
}

enum ig_code ig_edge_write_network_c(struct ig_buf *out, const struct ig_network_compact *compact,
                                     struct ig_str name, struct ig_err *err)
{
    struct writer writer = {.out = out, .compact = compact, .name = name};
    if (!ig_edge_is_identifier(name))
        return ig_fail(err, IG_INVALID, "name: '%.*s' is no C identifier of at most 64 letters",
                       IG_STR_ARGS(name));
    if (!same_type(compact, compact->inputs, compact->inputs_count, &writer.f32_in) ||
        !same_type(compact, compact->outputs, compact->outputs_count, &writer.f32_out))
        return ig_fail(err, IG_UNSUPPORTED, "inputs or outputs of both int8 and float32");
    if (compact->encoder) writer.f32_in = true;
    write_head(&writer);
    write_kernels(&writer);
    write_data(&writer);
    if (compact->encoder) {
        const struct ig_network_tensor *input = compact->tensors[compact->inputs[0]].tensor;
        ig_edge_encoder_c_put(out, &(struct ig_edge_encoder){compact->encoder, input, NULL, name});
    }
    for (uint32_t i = 0; i < compact->layers_count; i++) write_layer(&writer, i);
    write_invoke(&writer);
    write_class(&writer);
    if (out->overflowed)
        return ig_fail(err, IG_TOO_LARGE, "no room for a C file of %zu bytes of constants",
                       compact->constants.len);
    return IG_OK;
}
