/* SPDX-License-Identifier: Apache-2.0 */
/* C source of encoders: tables of the columns, and code that reads them as ig_encoder_run does, in
 * float, then steps of the network's int8 input. Stateless. */
#include "formats/edge/edge_encoder_c.h"

#include "formats/edge/edge_priv.h"

#include <stdio.h>

enum { NAME_MAX_BYTES = 64, SHOWN_MAX = 40 };
_Static_assert(IG_ENCODER_CLIP == 5, "the bits of 5 stand in the text");

struct writer {
    struct ig_buf *out;
    const struct ig_edge_encoder *encoder;
    bool int8, alone;
    char name[NAME_MAX_BYTES + 1];
};

/* A feature's name within a comment: what could end it, or is no plain letter, is a line. */
static void add_shown(struct ig_buf *out, struct ig_str text)
{
    for (size_t i = 0; i < text.len && i < SHOWN_MAX; i++) {
        char c = text.ptr[i];
        bool plain = c >= ' ' && c <= '~' && c != '*' && c != '/' && c != '\\' && c != '?';
        ig_buf_add_char(out, plain ? c : '_');
    }
}

static uint32_t knots_of(const struct ig_encoder_feature *feature)
{
    return feature->knots_count > 1 ? feature->knots_count : 0;
}

static void write_head(const struct writer *w)
{
    const struct ig_encoder *encoder = w->encoder->encoder;
    ig_buf_printf(w->out,
                  "/* From a row of a table to the inputs of the network %s. C99, no library.\n"
                  " * row[%u]: NaN is missing, a category is its code; inputs[%u]. */\n"
                  "#include <stdint.h>\n\n"
                  "void %s_encode(const float *row, %s *inputs);\n\n",
                  w->name, encoder->features_count, encoder->inputs_count, w->name,
                  w->int8 ? "int8_t" : "float");
}

/* A float with its point, as C wants before an F. */
static void put_float(const struct writer *w, float value)
{
    ig_buf_printf(w->out, "%.8eF", (double)value);
}

static void write_gains(const struct writer *w)
{
    const struct ig_encoder *encoder = w->encoder->encoder;
    if (!encoder->gains) return;
    ig_buf_printf(w->out, "static const float %s_gains[%u] = {\n", w->name, encoder->inputs_count);
    for (uint32_t i = 0; i < encoder->inputs_count; i++) {
        ig_buf_add_cstr(w->out, "    ");
        put_float(w, encoder->gains[i]);
        ig_buf_add_cstr(w->out, ",\n");
    }
    ig_buf_add_cstr(w->out, "};\n");
}

static void write_columns(const struct writer *w)
{
    const struct ig_encoder *encoder = w->encoder->encoder;
    uint32_t first = 0;
    ig_buf_printf(w->out,
                  "/* categories, whether it has an input for missing, its knots: first, count */\n"
                  "static const uint32_t %s_columns[%u][4] = {\n",
                  w->name, encoder->features_count);
    for (uint32_t i = 0; i < encoder->features_count; i++) {
        const struct ig_encoder_feature *feature = &encoder->features[i];
        ig_buf_printf(w->out, "    {%u, %d, %u, %u}, /* ", feature->categories, feature->missing,
                      first, knots_of(feature));
        if (w->encoder->schema) add_shown(w->out, w->encoder->schema->features[i].name);
        ig_buf_add_cstr(w->out, " */\n");
        first += knots_of(feature);
    }
    ig_buf_printf(w->out, "};\n/* mean, deviation */\nstatic const float %s_scales[%u][2] = {\n",
                  w->name, encoder->features_count);
    for (uint32_t i = 0; i < encoder->features_count; i++) {
        ig_buf_add_cstr(w->out, "    {");
        put_float(w, encoder->features[i].mean);
        ig_buf_add_cstr(w->out, ", ");
        put_float(w, encoder->features[i].deviation);
        ig_buf_add_cstr(w->out, "},\n");
    }
    ig_buf_printf(w->out, "};\nstatic const float %s_knots[] = {\n", w->name);
    for (uint32_t i = 0; i < encoder->features_count; i++)
        for (uint32_t k = 0; k < knots_of(&encoder->features[i]); k++) {
            ig_buf_add_cstr(w->out, "    ");
            put_float(w, encoder->features[i].knots[k]);
            ig_buf_add_cstr(w->out, ",\n");
        }
    ig_buf_add_cstr(w->out, "    0,\n};\n");
    write_gains(w);
    ig_buf_add_char(w->out, '\n');
}

/* Text in which `@` stands for the model's name. */
static void text(const struct writer *w, const char *template)
{
    for (const char *at = template; *at; at++) {
        if (*at == '@')
            ig_buf_add_cstr(w->out, w->name);
        else
            ig_buf_add_char(w->out, *at);
    }
}

static const char REALS[] =
    "static uint32_t @_bits_of(float value)\n"
    "{\n"
    "    union {\n        float f;\n        uint32_t u;\n    } pun;\n"
    "    pun.f = value;\n"
    "    return pun.u;\n"
    "}\n\n"
    "static float @_real_of(uint32_t bits)\n"
    "{\n"
    "    union {\n        uint32_t u;\n        float f;\n    } pun;\n"
    "    pun.u = bits;\n"
    "    return pun.f;\n"
    "}\n\n"
    "#if defined(__SOFTFP__) && defined(__ARM_FEATURE_IDIV)\n"
    "/* a / b, rounded as it: without a float unit the compiler's own is slower. */\n"
    "static float @_divide(float a, float b)\n"
    "{\n"
    "    uint32_t x = @_bits_of(a), y = @_bits_of(b), i, quotient = 1;\n"
    "    uint32_t x_power = x >> 23 & 255, y_power = y >> 23 & 255, power = x_power + 127 - "
    "y_power;\n"
    "    uint32_t rest = (x & 0x7fffffU) | 0x800000U, by = (y & 0x7fffffU) | 0x800000U;\n"
    "    if (rest < by) {\n"
    "        rest <<= 1;\n"
    "        power--;\n"
    "    }\n"
    "    if (x_power - 1 >= 254 || y_power - 1 >= 254 || power - 1 >= 254) return a / b;\n"
    "    rest -= by;\n"
    "    for (i = 0; i < 3; i++) {\n"
    "        uint32_t bits = (rest << 8) / by;\n"
    "        rest = (rest << 8) - bits * by;\n"
    "        quotient = quotient << 8 | bits;\n"
    "    }\n"
    "    return @_real_of(((x ^ y) & 0x80000000U) |\n"
    "                     ((power << 23) + ((quotient + 1) >> 1) - 0x800000U));\n"
    "}\n"
    "#else\n"
    "static float @_divide(float a, float b)\n"
    "{\n"
    "    return a / b;\n"
    "}\n"
    "#endif\n\n";

/* As the server quantizes: the nearest step, ties away from zero. */
static void write_put(const struct writer *w)
{
    const struct ig_network_quantization *q = &w->encoder->input->quantization;
    if (!w->int8) {
        text(w, "static float @_put(float real)\n{\n    return real;\n}\n\n");
        return;
    }
    text(w, "static int8_t @_put(float real)\n"
            "{\n"
            "    uint32_t bits, size, power;\n"
            "    int32_t step = 0;\n");
    ig_buf_printf(w->out,
                  "    if (%s_bits_of(real) == 0) return %d;\n"
                  "    bits = %s_bits_of(%s_divide(real, %.8eF));\n",
                  w->name, q->zero_points[0], w->name, w->name, (double)q->scales[0]);
    text(w, "    size = bits & 0x7fffffffU;\n"
            "    if (size > 0x44000000U) size = 0x44000000U;\n"
            "    power = size >> 23;\n"
            "    if (power >= 126)\n"
            "        step = (int32_t)(((((size & 0x7fffffU) | 0x800000U) >> (149 - power)) + 1) >> "
            "1);\n"
            "    if (bits >> 31) step = -step;\n");
    ig_buf_printf(w->out, "    step += %d;\n", q->zero_points[0]);
    text(w, "    return (int8_t)(step < -128 ? -128 : step > 127 ? 127 : step);\n"
            "}\n\n");
}

static const char RANK[] =
    "/* Floats in their order as integers. */\n"
    "static int32_t @_key(float value)\n"
    "{\n"
    "    uint32_t bits = @_bits_of(value);\n"
    "    return (int32_t)(bits >> 31 ? 0x80000000U - bits : bits);\n"
    "}\n\n"
    "/* 2 * y / last. A power of two is taken from the exponent, where that has enough. */\n"
    "static float @_scaled(float y, uint32_t last)\n"
    "{\n"
    "    uint32_t log = 0, bits = @_bits_of(y);\n"
    "    while (1U << log < last) log++;\n"
    "    if (1U << log == last && bits >> 23 > log) return @_real_of(bits + ((1 - log) << 23));\n"
    "    return @_divide(2 * y, (float)last);\n"
    "}\n\n"
    "static float @_rank(const float *knots, uint32_t count, float value)\n"
    "{\n"
    "    uint32_t last = count - 1, k = 0, end = last;\n"
    "    int32_t key = @_key(value);\n"
    "    if (key <= @_key(knots[0])) return -1;\n"
    "    if (key >= @_key(knots[last])) return 1;\n"
    "    while (end - k > 1) {\n"
    "        uint32_t middle = (k + end) / 2;\n"
    "        if (key >= @_key(knots[middle]))\n"
    "            k = middle;\n"
    "        else\n"
    "            end = middle;\n"
    "    }\n"
    "    value = @_divide(value - knots[k], knots[k + 1] - knots[k]);\n"
    "    return @_scaled((float)k + value, last) - 1;\n"
    "}\n\n";

static void write_run(const struct writer *w)
{
    const char *n = w->name;
    ig_buf_printf(w->out,
                  "%svoid %s_encode(const float *row, %s *inputs)\n{\n"
                  "    uint32_t f, k, at = 0;\n"
                  "    for (f = 0; f < %u; f++) {\n"
                  "        const uint32_t *column = %s_columns[f];\n"
                  "        float value = row[f];\n"
                  "        uint32_t bits = %s_bits_of(value);\n"
                  "        int missing = (bits & 0x7fffffffU) > 0x7f800000U ||\n"
                  "            (column[0] && bits > 0x80000000U);\n"
                  "        uint32_t own = column[0] ? column[0] : column[3] ? 2 : 1;\n"
                  "        uint32_t one = missing ? own : column[0] && value < (float)column[0]\n"
                  "            ? (uint32_t)value : own + column[1];\n",
                  w->alone ? "" : "static ", n, w->int8 ? "int8_t" : "float",
                  w->encoder->encoder->features_count, n, n);
    text(w, "        for (k = 0; k < own + column[1]; k++, at++) {\n"
            "            float real = k == one;\n"
            "            if (!missing && !column[0] && k == 0) {\n"
            "                real = @_divide(value - @_scales[f][0], @_scales[f][1]);\n"
            "                if ((@_bits_of(real) & 0x7fffffffU) > 0x40a00000U)\n"
            "                    real = @_bits_of(real) >> 31 ? -5 : 5;\n"
            "            } else if (!missing && !column[0] && k < own) {\n"
            "                real = @_rank(@_knots + column[2], column[3], value);\n"
            "            }\n"
            "            inputs[at] = @_put(real");
    if (w->encoder->encoder->gains) text(w, " * @_gains[at]");
    ig_buf_add_cstr(w->out, ");\n        }\n    }\n}\n");
}

static void write_body(const struct writer *w)
{
    write_columns(w);
    text(w, REALS);
    write_put(w);
    text(w, RANK);
    write_run(w);
}

void ig_edge_encoder_c_put(struct ig_buf *out, const struct ig_edge_encoder *encoder)
{
    struct writer w = {
        .out = out, .encoder = encoder, .int8 = encoder->input->type == IG_NETWORK_I8};
    IG_ASSERT(ig_edge_is_identifier(encoder->name));
    snprintf(w.name, sizeof w.name, "%.*s", IG_STR_ARGS(encoder->name));
    write_body(&w);
}

enum ig_code ig_edge_encoder_c_write(struct ig_buf *out, const struct ig_edge_encoder *encoder,
                                     struct ig_err *err)
{
    const struct ig_network_tensor *input = encoder->input;
    struct writer w = {
        .out = out, .encoder = encoder, .int8 = input->type == IG_NETWORK_I8, .alone = true};
    if (!ig_edge_is_identifier(encoder->name))
        return ig_fail(err, IG_INVALID, "name: '%.*s' is no C identifier of at most 64 letters",
                       IG_STR_ARGS(encoder->name));
    if (encoder->schema && encoder->schema->features_count != encoder->encoder->features_count)
        return ig_fail(err, IG_INVALID, "%u features in the schema, %u of the encoder",
                       encoder->schema->features_count, encoder->encoder->features_count);
    snprintf(w.name, sizeof w.name, "%.*s", IG_STR_ARGS(encoder->name));
    write_head(&w);
    write_body(&w);
    if (out->overflowed)
        return ig_fail(err, IG_TOO_LARGE, "the C file exceeds %zu bytes", out->max_bytes);
    return IG_OK;
}
