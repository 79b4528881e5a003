/* SPDX-License-Identifier: Apache-2.0 */
/* Model, subgraph and tensors of a TensorFlow Lite file. Source: LiteRT's schema.fbs, and what its
 * interpreter_builder.cc and verifier.cc ask of a file. */
#include "base/mem.h"
#include "formats/tflite/tflite_priv.h"

#include <string.h>

enum { MEMORY_FACTOR = 16, MEMORY_FLOOR_BYTES = 1 << 20 };

bool tflite_ok(const struct tflite_reader *reader)
{
    return reader->err->code == IG_OK;
}

bool tflite_no_memory(struct tflite_reader *reader)
{
    (void)ig_fail(reader->err, IG_TOO_LARGE,
                  "the network needs more memory than a file of this size may take");
    return false;
}

/* A buffer's bytes; empty when it has none. */
static bool buffer_bytes(struct tflite_reader *reader, uint32_t index, struct ig_str *bytes)
{
    *bytes = (struct ig_str){0};
    if (index >= reader->buffers.count) {
        (void)ig_fail(reader->err, IG_PARSE, "buffer %u of %u", index, reader->buffers.count);
        return false;
    }
    struct ig_flatbuffer_table table =
        ig_flatbuffer_table_at(&reader->buffer, reader->buffers, index);
    if (ig_flatbuffer_has(&reader->buffer, table, BUFFER_OFFSET)) {
        (void)ig_fail(reader->err, IG_UNSUPPORTED, "buffer %u lies behind the flatbuffer", index);
        return false;
    }
    *bytes = ig_flatbuffer_text(&reader->buffer, table, BUFFER_DATA);
    return tflite_ok(reader);
}

static struct ig_flatbuffer_table file_tensor(struct tflite_reader *reader, int32_t index)
{
    if (index >= 0 && (uint32_t)index < reader->tensors.count)
        return ig_flatbuffer_table_at(&reader->buffer, reader->tensors, (uint32_t)index);
    (void)ig_fail(reader->err, IG_PARSE, "tensor %d of %u", index, reader->tensors.count);
    return (struct ig_flatbuffer_table){0};
}

bool tflite_numbers(struct tflite_reader *reader, int32_t index, int64_t *numbers, uint32_t most,
                    uint32_t *count)
{
    struct ig_flatbuffer_table table = file_tensor(reader, index);
    struct ig_flatbuffer *buffer = &reader->buffer;
    struct ig_str bytes;
    if (!tflite_ok(reader) ||
        !buffer_bytes(reader, (uint32_t)ig_flatbuffer_i32(buffer, table, TENSOR_BUFFER, 0), &bytes))
        return false;
    uint8_t type = ig_flatbuffer_u8(buffer, table, TENSOR_TYPE, TYPE_FLOAT32);
    size_t each = type == TYPE_INT64 ? sizeof(int64_t) : sizeof(int32_t);
    if ((type != TYPE_INT32 && type != TYPE_INT64) || bytes.len == 0 || bytes.len % each != 0 ||
        bytes.len / each > most) {
        (void)ig_fail(reader->err, IG_UNSUPPORTED,
                      "tensor %d is no constant of at most %u whole numbers", index, most);
        return false;
    }
    *count = (uint32_t)(bytes.len / each);
    struct ig_flatbuffer_vector vector = {(uint32_t)(bytes.ptr - (const char *)buffer->bytes),
                                          *count};
    for (uint32_t i = 0; i < *count; i++)
        numbers[i] = type == TYPE_INT64 ? ig_flatbuffer_i64_at(buffer, vector, i)
                                        : ig_flatbuffer_i32_at(buffer, vector, i);
    return true;
}

static bool read_type(struct tflite_reader *reader, uint8_t type, enum ig_network_type *out)
{
    static const struct {
        uint8_t code;
        enum ig_network_type type;
    } known[] = {
        {TYPE_FLOAT32, IG_NETWORK_F32},
        {TYPE_FLOAT16, IG_NETWORK_F16},
        {TYPE_INT32, IG_NETWORK_I32},
        {TYPE_INT8, IG_NETWORK_I8},
    };
    static const char *const names[] = {
        "FLOAT32", "FLOAT16",   "INT32", "UINT8",   "INT64",      "STRING", "BOOL",
        "INT16",   "COMPLEX64", "INT8",  "FLOAT64", "COMPLEX128", "UINT64",
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].code == type) {
            *out = known[i].type;
            return true;
        }
    (void)ig_fail(reader->err, IG_UNSUPPORTED,
                  "type %u (%s), expected FLOAT32, INT8, or FLOAT16 and INT32 of constants", type,
                  type < sizeof names / sizeof *names ? names[type] : "newer");
    return false;
}

/* Scales and zero points, gathered in the network's memory. */
static bool read_quantization(struct tflite_reader *reader, struct ig_flatbuffer_table table,
                              struct ig_network_quantization *out)
{
    struct ig_flatbuffer *buffer = &reader->buffer;
    struct ig_flatbuffer_vector scales =
        ig_flatbuffer_vector(buffer, table, QUANTIZATION_SCALE, sizeof(float));
    struct ig_flatbuffer_vector zeros =
        ig_flatbuffer_vector(buffer, table, QUANTIZATION_ZERO_POINT, sizeof(int64_t));
    if (!tflite_ok(reader)) return false;
    if (ig_flatbuffer_u8(buffer, table, QUANTIZATION_DETAILS_TYPE, 0) != 0) {
        (void)ig_fail(reader->err, IG_UNSUPPORTED, "quantization of another kind than affine");
        return false;
    }
    if (scales.count == 0) return true;
    if (scales.count != zeros.count) {
        (void)ig_fail(reader->err, IG_INVALID, "%u scales, %u zero points", scales.count,
                      zeros.count);
        return false;
    }
    float *scale = ig_arena_array(&reader->network->arena, scales.count, sizeof *scale);
    int32_t *zero = ig_arena_array(&reader->network->arena, scales.count, sizeof *zero);
    if (!scale || !zero) return tflite_no_memory(reader);
    for (uint32_t i = 0; i < scales.count; i++) {
        int32_t bits = ig_flatbuffer_i32_at(buffer, scales, i);
        int64_t point = ig_flatbuffer_i64_at(buffer, zeros, i);
        memcpy(&scale[i], &bits, sizeof bits);
        zero[i] = point < INT32_MIN || point > INT32_MAX ? INT32_MIN : (int32_t)point;
    }
    int32_t dimension = ig_flatbuffer_i32(buffer, table, QUANTIZATION_DIMENSION, 0);
    *out = (struct ig_network_quantization){scale, zero, scales.count,
                                            scales.count == 1 ? 0 : (uint32_t)dimension};
    return true;
}

static bool read_shape(struct tflite_reader *reader, struct ig_flatbuffer_table table,
                       struct ig_network_tensor *out)
{
    struct ig_flatbuffer_vector shape =
        ig_flatbuffer_vector(&reader->buffer, table, TENSOR_SHAPE, sizeof(int32_t));
    if (shape.count > IG_NETWORK_RANK_MAX) {
        (void)ig_fail(reader->err, IG_UNSUPPORTED, "rank %u, at most %d", shape.count,
                      IG_NETWORK_RANK_MAX);
        return false;
    }
    out->rank = shape.count;
    for (uint32_t i = 0; i < shape.count; i++) {
        int32_t dim = ig_flatbuffer_i32_at(&reader->buffer, shape, i);
        out->dims[i] = dim > 0 ? (uint32_t)dim : 0; /* 0 is refused by the check */
    }
    return tflite_ok(reader);
}

/* A constant's elements: the file's own bytes, or a copy where they are not aligned. */
static bool read_data(struct tflite_reader *reader, struct ig_flatbuffer_table table,
                      struct ig_network_tensor *out)
{
    struct ig_str bytes;
    size_t wanted = ig_network_type_bytes(out->type);
    uint32_t index = (uint32_t)ig_flatbuffer_i32(&reader->buffer, table, TENSOR_BUFFER, 0);
    if (!tflite_ok(reader) || !buffer_bytes(reader, index, &bytes)) return false;
    if (bytes.len == 0) return true;
    for (uint32_t i = 0; i < out->rank; i++)
        if (!ig_mul(&wanted, wanted, out->dims[i])) wanted = 0;
    if (wanted != bytes.len) {
        (void)ig_fail(reader->err, IG_INVALID, "%zu bytes of data, expected %zu", bytes.len,
                      wanted);
        return false;
    }
    bool aligned = (uintptr_t)bytes.ptr % ig_network_type_bytes(out->type) == 0;
    out->data = aligned ? bytes.ptr : ig_network_keep(reader->network, bytes.ptr, bytes.len);
    return out->data || tflite_no_memory(reader);
}

static bool read_tensor(struct tflite_reader *reader, struct ig_flatbuffer_table table,
                        struct ig_network_tensor *out)
{
    struct ig_flatbuffer *buffer = &reader->buffer;
    out->name = ig_flatbuffer_text(buffer, table, TENSOR_NAME);
    uint8_t type = ig_flatbuffer_u8(buffer, table, TENSOR_TYPE, TYPE_FLOAT32);
    const char *refused = ig_flatbuffer_u8(buffer, table, TENSOR_VARIABLE, 0)    ? "a variable"
                          : ig_flatbuffer_has(buffer, table, TENSOR_SPARSITY)    ? "sparse"
                          : ig_flatbuffer_i32(buffer, table, TENSOR_EXTERNAL, 0) ? "in another file"
                                                                                 : NULL;
    if (!tflite_ok(reader)) return false;
    if (refused) {
        (void)ig_fail(reader->err, IG_UNSUPPORTED, "it is %s", refused);
        return false;
    }
    if (!read_type(reader, type, &out->type) || !read_shape(reader, table, out) ||
        !read_quantization(reader, ig_flatbuffer_child(buffer, table, TENSOR_QUANTIZATION),
                           &out->quantization) ||
        !read_data(reader, table, out))
        return false;
    /* Converters leave scales at tensors that have become floats again. */
    if (out->type == IG_NETWORK_F32 || out->type == IG_NETWORK_F16)
        out->quantization = (struct ig_network_quantization){0};
    return tflite_ok(reader);
}

bool tflite_tensor(struct tflite_reader *reader, int32_t index, uint32_t *tensor)
{
    struct ig_flatbuffer_table table = file_tensor(reader, index);
    if (!tflite_ok(reader)) return false;
    if (!reader->tensor_of[index]) {
        struct ig_network_tensor read = {0};
        if (!read_tensor(reader, table, &read)) {
            ig_err_prefix(reader->err, "tensor %d '%.*s'", index, (int)(read.name.len & 0xFF),
                          read.name.ptr ? read.name.ptr : "");
            return false;
        }
        uint32_t added = ig_network_add_tensor(reader->network, &read);
        if (added == IG_NETWORK_NONE) return tflite_no_memory(reader);
        reader->tensor_of[index] = added + 1;
    }
    *tensor = reader->tensor_of[index] - 1;
    return true;
}

static bool read_ends(struct tflite_reader *reader, struct ig_flatbuffer_table subgraph,
                      uint32_t field, bool (*set)(struct ig_network *, const uint32_t *, uint32_t))
{
    struct ig_flatbuffer_vector ends =
        ig_flatbuffer_vector(&reader->buffer, subgraph, field, sizeof(int32_t));
    if (!tflite_ok(reader)) return false;
    if (ends.count > IG_NETWORK_LAYER_INPUTS_MAX) {
        (void)ig_fail(reader->err, IG_UNSUPPORTED, "%u %s, at most %d", ends.count,
                      field == SUBGRAPH_INPUTS ? "inputs" : "outputs", IG_NETWORK_LAYER_INPUTS_MAX);
        return false;
    }
    uint32_t tensors[IG_NETWORK_LAYER_INPUTS_MAX];
    for (uint32_t i = 0; i < ends.count; i++)
        if (!tflite_tensor(reader, ig_flatbuffer_i32_at(&reader->buffer, ends, i), &tensors[i]))
            return false;
    return set(reader->network, tensors, ends.count) || tflite_no_memory(reader);
}

static bool read_operators(struct tflite_reader *reader)
{
    for (uint32_t i = 0; i < reader->operators.count; i++) {
        struct ig_flatbuffer_table table =
            ig_flatbuffer_table_at(&reader->buffer, reader->operators, i);
        if (tflite_ok(reader) && tflite_operator(reader, table)) continue;
        struct ig_err found = *reader->err;
        ig_err_clear(reader->err); /* so that the name can be read */
        struct ig_str name = tflite_operator_name(reader, table);
        *reader->err = found;
        ig_err_prefix(reader->err, "operator %u (%.*s)", i, IG_STR_ARGS(name));
        return false;
    }
    return true;
}

static bool read_rounding(struct tflite_reader *reader, struct ig_flatbuffer_table model)
{
    struct ig_flatbuffer *buffer = &reader->buffer;
    struct ig_flatbuffer_vector all = ig_flatbuffer_vector(buffer, model, MODEL_METADATA, 4);
    for (uint32_t i = 0; i < all.count && tflite_ok(reader); i++) {
        struct ig_flatbuffer_table entry = ig_flatbuffer_table_at(buffer, all, i);
        struct ig_str word;
        if (!ig_str_is(ig_flatbuffer_text(buffer, entry, METADATA_NAME), TFLITE_ROUNDING)) continue;
        uint32_t index = (uint32_t)ig_flatbuffer_i32(buffer, entry, METADATA_BUFFER, 0);
        if (!tflite_ok(reader) || !buffer_bytes(reader, index, &word)) return false;
        if (ig_str_is(word, "double"))
            reader->network->rounding = IG_NETWORK_ROUNDING_DOUBLE;
        else if (!ig_str_is(word, "single"))
            (void)ig_fail(reader->err, IG_INVALID, "metadata %s is neither single nor double",
                          TFLITE_ROUNDING);
    }
    return tflite_ok(reader);
}

static bool read_subgraph(struct tflite_reader *reader, struct ig_flatbuffer_table subgraph)
{
    struct ig_flatbuffer *buffer = &reader->buffer;
    reader->tensors = ig_flatbuffer_vector(buffer, subgraph, SUBGRAPH_TENSORS, 4);
    reader->operators = ig_flatbuffer_vector(buffer, subgraph, SUBGRAPH_OPERATORS, 4);
    if (!tflite_ok(reader)) return false;
    if (reader->tensors.count > IG_NETWORK_TENSORS_MAX ||
        reader->operators.count > IG_NETWORK_LAYERS_MAX) {
        (void)ig_fail(reader->err, IG_UNSUPPORTED, "%u tensors, %u operators: at most %d and %d",
                      reader->tensors.count, reader->operators.count, IG_NETWORK_TENSORS_MAX,
                      IG_NETWORK_LAYERS_MAX);
        return false;
    }
    reader->tensor_of = ig_arena_array(&reader->network->arena, reader->tensors.count + (size_t)1,
                                       sizeof *reader->tensor_of);
    if (!reader->tensor_of) return tflite_no_memory(reader);
    return read_ends(reader, subgraph, SUBGRAPH_INPUTS, ig_network_set_inputs) &&
           read_operators(reader) &&
           read_ends(reader, subgraph, SUBGRAPH_OUTPUTS, ig_network_set_outputs);
}

static bool read_model(struct tflite_reader *reader, struct ig_str bytes)
{
    struct ig_flatbuffer *buffer = &reader->buffer;
    struct ig_flatbuffer_table model =
        ig_flatbuffer_root(buffer, bytes, TFLITE_IDENTIFIER, reader->err);
    int32_t version = ig_flatbuffer_i32(buffer, model, MODEL_VERSION, 0);
    reader->codes = ig_flatbuffer_vector(buffer, model, MODEL_OPERATOR_CODES, 4);
    reader->buffers = ig_flatbuffer_vector(buffer, model, MODEL_BUFFERS, 4);
    struct ig_flatbuffer_vector subgraphs = ig_flatbuffer_vector(buffer, model, MODEL_SUBGRAPHS, 4);
    struct ig_str description = ig_flatbuffer_text(buffer, model, MODEL_DESCRIPTION);
    if (!tflite_ok(reader)) return false;
    if (version != TFLITE_VERSION)
        (void)ig_fail(reader->err, IG_UNSUPPORTED, "schema version %d, expected %d", version,
                      TFLITE_VERSION);
    else if (subgraphs.count != 1)
        (void)ig_fail(reader->err, IG_UNSUPPORTED, "%u subgraphs, expected 1", subgraphs.count);
    if (!tflite_ok(reader)) return false;
    if (description.len)
        reader->network->description = ig_arena_dup(&reader->network->arena, description);
    struct ig_flatbuffer_table subgraph = ig_flatbuffer_table_at(buffer, subgraphs, 0);
    return tflite_ok(reader) && read_rounding(reader, model) && read_subgraph(reader, subgraph);
}

enum ig_code ig_tflite_network(struct ig_network **out, struct ig_str bytes, struct ig_err *err)
{
    size_t max_bytes;
    if (!ig_mul(&max_bytes, bytes.len, MEMORY_FACTOR) ||
        !ig_add(&max_bytes, max_bytes, MEMORY_FLOOR_BYTES))
        return ig_fail(err, IG_TOO_LARGE, "%zu bytes", bytes.len);
    struct tflite_reader reader = {.err = err, .network = ig_network_new(max_bytes)};
    if (!reader.network) return ig_fail(err, IG_NO_MEMORY, "out of memory");
    if (read_model(&reader, bytes) && ig_network_check(reader.network, err) == IG_OK) {
        *out = reader.network;
        return IG_OK;
    }
    ig_network_free(reader.network);
    return ig_err_code(err);
}
