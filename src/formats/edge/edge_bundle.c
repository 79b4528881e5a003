/* SPDX-License-Identifier: Apache-2.0 */
/* Writes bundles. The golden outputs are those of the server's own engine, run on the model as it
 * is read back from the compact file. Stateless. */
#include "formats/edge/edge_bundle.h"

#include "base/mem.h"
#include "formats/edge/edge_priv.h"
#include "formats/format.h"
#include "kernels/nn/nn.h"
#include "kernels/tree/tree_predict_walk.h"

#include <math.h>
#include <string.h>

enum {
    HEADER_BYTES = 112,
    VERSION = 1,
    ROWS = 16,
    ROWS_MIN = 2,   /* of a network, whose rows otherwise take at most */
    ROWS_SHARE = 8, /* one part in so many of the model */
    ALIGN = 8,
    FILE_MAX = INT32_MAX,
};

static void put(struct ig_buf *out, uint64_t value, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) ig_buf_add_char(out, (char)(value >> (8 * i)));
}

static void put_text(struct ig_buf *out, struct ig_str text, size_t size)
{
    ig_buf_add_str(out, text);
    for (size_t i = text.len; i < size; i++) ig_buf_add_char(out, 0);
}

static uint32_t words_of(const struct ig_tree_compact *compact)
{
    return compact->outputs_count * (compact->leaf == IG_COMPACT_FLOAT64 ? 2 : 1);
}

uint32_t ig_edge_arena_bytes(const struct ig_tree_compact *compact)
{
    return 4 * words_of(compact) + 4 * compact->features_count +
           compact->columns_count * compact->rank_bytes;
}

/* The feature's value in a golden row: a threshold, the float below one, a code, or missing. */
static double golden_value(const struct ig_compact_source *source, uint32_t row)
{
    uint32_t pick = (row * 7 + source->feature * 3) % (source->keys_count + 1);
    if ((row + source->feature) % 5 == 4) return (double)NAN;
    if (source->rules >= IG_COMPACT_CATEGORY) return pick;
    if (!source->keys_count) return row;
    int64_t whole = ig_compact_threshold_key(source, pick % source->keys_count);
    return (double)ig_compact_value((int32_t)(row % 3 && whole > -0x7f800000 ? whole - 1 : whole));
}

static void put_f32(struct ig_buf *out, double value)
{
    float narrow = (float)value;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    put(out, isnan(value) ? 0x7fc00000U : bits, 4);
}

static void put_margin(struct ig_buf *out, const struct ig_tree_compact *compact, double margin)
{
    uint64_t bits;
    memcpy(&bits, &margin, sizeof bits);
    if (compact->leaf == IG_COMPACT_FLOAT64)
        put(out, bits, 8);
    else if (compact->leaf == IG_COMPACT_FLOAT32)
        put_f32(out, margin);
    else
        put(out, (uint32_t)(int32_t)ldexp(margin, -compact->scale_exponent), 4);
}

static enum ig_code put_rows(struct ig_buf *out, const struct ig_tree_compact *compact,
                             const struct ig_model *model, struct ig_err *err)
{
    double *row = ig_zalloc_array(compact->features_count, sizeof *row);
    double *margins = ig_zalloc_array(compact->outputs_count, sizeof *margins);
    for (uint32_t r = 0; row && margins && r < ROWS; r++) {
        for (uint32_t i = compact->sources_count; i-- > 0;)
            row[compact->sources[i].feature] = golden_value(&compact->sources[i], r);
        for (uint32_t f = 0; f < compact->features_count; f++) put_f32(out, row[f]);
        ig_tree_walk_margin(model, row, margins);
        for (uint32_t o = 0; o < compact->outputs_count; o++) put_margin(out, compact, margins[o]);
    }
    if (!row || !margins) ig_fail(err, IG_NO_MEMORY, "no memory for golden rows");
    ig_free(row);
    ig_free(margins);
    return err->code;
}

/* ---- networks ---- */

static uint32_t bytes_of(const struct ig_network *network, const uint32_t *tensors, uint32_t count)
{
    size_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += ig_network_tensor_bytes(&network->tensors[tensors[i]]);
    return (uint32_t)sum;
}

/* What a bundle says of its rows. */
struct rows {
    uint32_t count, input_words, output_words, arena_bytes;
};

static struct rows rows_of(const struct ig_edge_bundle *bundle, size_t model_bytes)
{
    const struct ig_tree_compact *trees = bundle->compact;
    if (trees)
        return (struct rows){ROWS, trees->features_count, words_of(trees),
                             ig_edge_arena_bytes(trees)};
    const struct ig_network_compact *compact = bundle->network;
    const struct ig_network *network = compact->network;
    const struct ig_encoder *encoder = compact->encoder;
    struct rows rows = {.arena_bytes =
                            encoder ? ig_edge_row_of(compact).arena_bytes : compact->arena_bytes};
    rows.input_words = encoder
                           ? encoder->features_count
                           : (bytes_of(network, network->inputs, network->inputs_count) + 3) / 4;
    rows.output_words = (bytes_of(network, network->outputs, network->outputs_count) + 3) / 4;
    /* Wide rows would be larger than the model. */
    size_t words = (size_t)rows.input_words + rows.output_words;
    size_t count = model_bytes / ROWS_SHARE / 4 / (words ? words : 1);
    rows.count = (uint32_t)(count < ROWS_MIN ? ROWS_MIN : count > ROWS ? ROWS : count);
    return rows;
}

static void put_bytes(struct ig_buf *out, const struct ig_network_tensor *tensor, const void *data)
{
    for (size_t i = 0; i < ig_network_tensor_count(tensor); i++)
        if (tensor->type == IG_NETWORK_I8)
            put(out, (uint8_t)((const int8_t *)data)[i], 1);
        else
            put_f32(out, (double)((const float *)data)[i]);
}

static uint32_t next_random(uint64_t *random)
{
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*random >> 33);
}

static void fill_noise(const struct ig_network_tensor *tensor, void *data, uint64_t *random)
{
    for (size_t i = 0; i < ig_network_tensor_count(tensor); i++) {
        uint32_t bits = next_random(random);
        if (tensor->type == IG_NETWORK_I8)
            ((int8_t *)data)[i] = (int8_t)(bits >> 8);
        else
            ((float *)data)[i] = (float)((int32_t)(bits % 4001) - 2000) / 512;
    }
}

/* Memory of all inputs or outputs. */
static void **take_ends(struct ig_arena *arena, const struct ig_network *network,
                        const uint32_t *tensors, uint32_t count)
{
    void **data = ig_arena_array(arena, count, sizeof *data);
    for (uint32_t i = 0; data && i < count; i++)
        data[i] = ig_arena_zalloc(arena, ig_network_tensor_bytes(&network->tensors[tensors[i]]));
    return data;
}

static void put_ends(struct ig_buf *out, const struct ig_network *network, const uint32_t *tensors,
                     uint32_t count, void *const *data)
{
    uint32_t bytes = bytes_of(network, tensors, count);
    for (uint32_t i = 0; i < count; i++) put_bytes(out, &network->tensors[tensors[i]], data[i]);
    for (; bytes % 4; bytes++) put(out, 0, 1);
}

/* A cell of a table: a knot, a number within four deviations of the mean, a code (one that training
 * had not as well), or missing. */
static double cell_of(const struct ig_encoder_feature *feature, uint64_t *random)
{
    uint32_t bits = next_random(random), knots = feature->knots_count;
    if (bits % 8 == 7) return (double)NAN;
    if (feature->categories) return bits / 8 % (feature->categories + 1);
    if (knots > 1 && bits / 8 % 4 == 3) return (double)feature->knots[bits / 32 % knots];
    double deviations = ((double)(bits / 32 % 4001) - 2000) / 500;
    return (double)(float)((double)feature->mean + deviations * (double)feature->deviation);
}

/* A row of the table, and the network's input of it. */
struct table_row {
    const struct ig_encoder *encoder;
    double *cells;
    float *floats;
};

static void fill_row(const struct table_row *row, const struct ig_network_tensor *input, void *data,
                     uint64_t *random)
{
    for (uint32_t f = 0; f < row->encoder->features_count; f++)
        row->cells[f] = cell_of(&row->encoder->features[f], random);
    ig_encoder_run(row->encoder, row->cells, 1, row->floats);
    const struct ig_network_quantization *q = &input->quantization;
    for (uint32_t i = 0; i < row->encoder->inputs_count; i++)
        if (input->type == IG_NETWORK_I8)
            ((int8_t *)data)[i] = nn_quantize(row->floats[i], q->scales[0], q->zero_points[0]);
        else
            ((float *)data)[i] = row->floats[i];
}

static enum ig_code put_network_rows(struct ig_buf *out, const struct rows *rows,
                                     const struct ig_model *model, struct ig_err *err)
{
    const struct ig_network *network = model->network;
    const struct ig_encoder *encoder = model->encoder;
    struct ig_nn *nn = NULL;
    struct ig_arena arena;
    const struct ig_nn_options options = {.isa = ig_cpu_isa()};
    uint64_t random = 1;
    if (ig_nn_new(&nn, network, &options, err) != IG_OK) return err->code;
    ig_arena_init(&arena, 65536, SIZE_MAX / 2);
    void **inputs = take_ends(&arena, network, network->inputs, network->inputs_count);
    void **outputs = take_ends(&arena, network, network->outputs, network->outputs_count);
    void *scratch = ig_arena_alloc_aligned(&arena, ig_nn_scratch_bytes(nn) + 1, 64);
    struct table_row table = {.encoder = encoder};
    if (encoder) {
        table.cells = ig_arena_array(&arena, encoder->features_count, sizeof *table.cells);
        table.floats = ig_arena_array(&arena, encoder->inputs_count, sizeof *table.floats);
    }
    for (uint32_t row = 0; !arena.overflowed && row < rows->count; row++) {
        if (encoder) fill_row(&table, &network->tensors[network->inputs[0]], inputs[0], &random);
        for (uint32_t i = 0; !encoder && i < network->inputs_count; i++)
            fill_noise(&network->tensors[network->inputs[i]], inputs[i], &random);
        ig_nn_run(nn, (const void *const *)inputs, outputs, scratch);
        for (uint32_t f = 0; encoder && f < encoder->features_count; f++)
            put_f32(out, table.cells[f]);
        if (!encoder) put_ends(out, network, network->inputs, network->inputs_count, inputs);
        put_ends(out, network, network->outputs, network->outputs_count, outputs);
    }
    if (arena.overflowed) ig_fail(err, IG_NO_MEMORY, "no memory for golden rows");
    ig_arena_deinit(&arena);
    ig_nn_free(nn);
    return err->code;
}

/* ---- the bundle ---- */

static enum ig_code check_text(struct ig_str text, const char *name, size_t max, struct ig_err *err)
{
    if (text.len > max)
        return ig_fail(err, IG_INVALID, "%s: '%.*s' is longer than %zu bytes", name,
                       text.len > 80 ? 80 : (int)text.len, text.ptr, max);
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < ' ')
            return ig_fail(err, IG_INVALID, "%s: byte %zu is a control character", name, i + 1);
    if (ig_str_utf8_valid(text)) return IG_OK;
    return ig_fail(err, IG_INVALID, "%s: expected UTF-8", name);
}

static enum ig_code check(const struct ig_edge_bundle *bundle, struct ig_err *err)
{
    if (check_text(bundle->id, "id", IG_EDGE_ID_MAX, err) != IG_OK ||
        check_text(bundle->target, "target", IG_EDGE_TARGET_MAX, err) != IG_OK)
        return err->code;
    if (bundle->counter == 0 || bundle->counter > INT64_MAX)
        return ig_fail(err, IG_INVALID, "counter: %llu is not from 1 to %lld",
                       (unsigned long long)bundle->counter, (long long)INT64_MAX);
    return IG_OK;
}

static void put_header(struct ig_buf *out, const struct ig_edge_bundle *bundle, size_t model_bytes)
{
    const struct rows rows = rows_of(bundle, model_bytes);
    size_t rows_at = HEADER_BYTES + (model_bytes + ALIGN - 1) / ALIGN * ALIGN;
    size_t row_bytes = 4 * ((size_t)rows.input_words + rows.output_words);
    ig_buf_add_cstr(out, "IGB\x1a");
    put(out, VERSION, 4);
    put(out, rows_at + rows.count * row_bytes, 4);
    put(out, rows.count, 4);
    put_text(out, bundle->id, IG_EDGE_ID_MAX);
    put(out, bundle->counter, 8);
    put(out, bundle->expiry, 8);
    put_text(out, bundle->target, IG_EDGE_TARGET_MAX);
    put(out, rows.arena_bytes, 4);
    put(out, HEADER_BYTES, 4);
    put(out, model_bytes, 4);
    put(out, rows_at, 4);
    put(out, rows.input_words, 4);
    put(out, rows.output_words, 4);
    put(out, 0, 8);
}

enum ig_code ig_edge_bundle_write(struct ig_buf *out, const struct ig_edge_bundle *bundle,
                                  struct ig_err *err)
{
    struct ig_buf file;
    struct ig_model *model = NULL;
    if (check(bundle, err) != IG_OK) return err->code;
    ig_buf_init(&file, FILE_MAX);
    if (bundle->compact)
        ig_edge_write(&file, bundle->compact, err);
    else
        ig_edge_write_network(&file, bundle->network, err);
    if (err->code == IG_OK && ig_edge_load(&model, ig_buf_view(&file), err) == IG_OK) {
        const struct rows rows = rows_of(bundle, file.len);
        put_header(out, bundle, file.len);
        ig_buf_add(out, file.ptr, file.len);
        for (size_t i = file.len; i % ALIGN; i++) put(out, 0, 1);
        if (bundle->compact)
            put_rows(out, bundle->compact, model, err);
        else
            put_network_rows(out, &rows, model, err);
        if (out->overflowed)
            ig_fail(err, IG_TOO_LARGE, "the bundle is larger than %zu bytes", out->max_bytes);
    }
    ig_model_free(model);
    ig_buf_deinit(&file);
    return err->code;
}
