/* SPDX-License-Identifier: Apache-2.0 */
/* TensorProto: raw bytes or one of the typed lists, packed or not. Source: onnx.proto (ONNX IR). */
#include "formats/onnx/onnx_priv.h"

#include <string.h>

enum {
    DIMS = 1,
    DATA_TYPE = 2,
    FLOAT_DATA = 4,
    INT32_DATA = 5,
    STRING_DATA = 6,
    INT64_DATA = 7,
    NAME = 8,
    RAW_DATA = 9,
    DOUBLE_DATA = 10,
    UINT64_DATA = 11,
    EXTERNAL_DATA = 13,
    DATA_LOCATION = 14,
    EXTERNAL = 1,
};

struct message {
    struct onnx_reader *reader;
    struct ig_onnx_wire wire;
    struct onnx_numbers dims;
    struct ig_str name, raw;
    uint64_t type;
    size_t strings_count;
    uint32_t list; /* number of the typed list that was seen, or 0 */
    bool has_raw, external;
};

float onnx_float(uint64_t bits)
{
    uint32_t narrow = (uint32_t)bits;
    float value;
    memcpy(&value, &narrow, sizeof value);
    return value;
}

double onnx_double(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static bool tensor_fail(const struct message *message, enum ig_code code, const char *what)
{
    ig_fail(message->reader->err, code, "tensor '%.*s': %s", IG_STR_ARGS(message->name), what);
    return false;
}

static bool read_list(struct message *message, const struct ig_onnx_field *field)
{
    enum ig_onnx_wire_type wide = IG_ONNX_WIRE_VARINT;
    if (field->number == FLOAT_DATA) wide = IG_ONNX_WIRE_32;
    if (field->number == DOUBLE_DATA) wide = IG_ONNX_WIRE_64;
    if (message->list && message->list != field->number)
        return tensor_fail(message, IG_INVALID, "two kinds of data");
    message->list = field->number;
    return onnx_numbers_add(message->reader, &message->reader->numbers, &message->wire, field,
                            wide);
}

static bool read_field(struct message *message, const struct ig_onnx_field *field)
{
    switch (field->number) {
    case DIMS:
        return onnx_numbers_add(message->reader, &message->dims, &message->wire, field,
                                IG_ONNX_WIRE_VARINT);
    case DATA_TYPE:
        message->type = field->value;
        return true;
    case NAME:
        message->name = field->bytes;
        return true;
    case RAW_DATA:
        message->raw = field->bytes;
        message->has_raw = true;
        return true;
    case STRING_DATA:
        message->strings_count++;
        return true;
    case EXTERNAL_DATA:
        message->external = true;
        return true;
    case DATA_LOCATION:
        message->external |= field->value == EXTERNAL;
        return true;
    case FLOAT_DATA:
    case INT32_DATA:
    case INT64_DATA:
    case DOUBLE_DATA:
    case UINT64_DATA:
        return read_list(message, field);
    default:
        return true;
    }
}

static bool set_shape(struct message *message, struct ig_tensor *out)
{
    const struct onnx_numbers *dims = &message->dims;
    if (message->external)
        return tensor_fail(message, IG_UNSUPPORTED,
                           "its data lies in another file; save the model with its data inside");
    out->type = message->type <= IG_TENSOR_F64 ? (enum ig_tensor_type)message->type : 0;
    if (ig_tensor_type_bytes(out->type) == 0) {
        ig_fail(message->reader->err, IG_UNSUPPORTED,
                "tensor '%.*s': element type %llu is not read here", IG_STR_ARGS(message->name),
                (unsigned long long)message->type);
        return false;
    }
    if (dims->count > IG_GRAPH_RANK_MAX)
        return tensor_fail(message, IG_UNSUPPORTED, "more than 8 dimensions");
    out->rank = (uint32_t)dims->count;
    for (size_t i = 0; i < dims->count; i++) out->dims[i] = (int64_t)dims->items[i];
    if (!ig_tensor_size(&out->count, out->dims, out->rank))
        return tensor_fail(message, IG_INVALID, "its dimensions make no size");
    return true;
}

static bool fill_raw(const struct message *message, const struct ig_tensor *out, void *data)
{
    if (out->type == IG_TENSOR_STRING || message->list ||
        message->raw.len != out->count * ig_tensor_type_bytes(out->type))
        return tensor_fail(message, IG_INVALID, "its raw data do not fit its shape");
    if (out->count) memcpy(data, message->raw.ptr, message->raw.len);
    return true;
}

static bool fill_strings(struct message *message, const struct ig_tensor *out, struct ig_str *texts)
{
    struct ig_onnx_field field;
    size_t at = 0;
    while (ig_onnx_wire_next(&message->wire, &field)) {
        if (field.number != STRING_DATA) continue;
        if (at == out->count || field.type != IG_ONNX_WIRE_BYTES) break;
        if (!onnx_text(message->reader, &texts[at++], field.bytes)) return false;
    }
    return at == out->count || tensor_fail(message, IG_INVALID, "its strings do not fit its shape");
}

static void fill_numbers(const struct onnx_numbers *numbers, enum ig_tensor_type type, void *data)
{
    for (size_t i = 0; i < numbers->count; i++) {
        uint64_t bits = numbers->items[i];
        switch (type) {
        case IG_TENSOR_F32:
            ((float *)data)[i] = onnx_float(bits);
            break;
        case IG_TENSOR_F64:
            ((double *)data)[i] = onnx_double(bits);
            break;
        case IG_TENSOR_I64:
            ((int64_t *)data)[i] = (int64_t)bits;
            break;
        case IG_TENSOR_I32:
            ((int32_t *)data)[i] = (int32_t)bits;
            break;
        default:
            ((uint8_t *)data)[i] = (uint8_t)bits;
            break;
        }
    }
}

static uint32_t list_of(enum ig_tensor_type type)
{
    switch (type) {
    case IG_TENSOR_F32:
        return FLOAT_DATA;
    case IG_TENSOR_F64:
        return DOUBLE_DATA;
    case IG_TENSOR_I64:
        return INT64_DATA;
    default:
        return INT32_DATA;
    }
}

/* A size is believed only once that many elements are there. */
static bool fill(struct message *message, struct ig_tensor *out)
{
    struct onnx_reader *reader = message->reader;
    size_t given = reader->numbers.count;
    if (message->has_raw) given = message->raw.len / ig_tensor_type_bytes(out->type);
    if (out->type == IG_TENSOR_STRING) given = message->strings_count;
    if (given != out->count)
        return tensor_fail(message, IG_INVALID, "its data do not fit its shape");
    void *data = ig_arena_array(reader->arena, out->count + 1, ig_tensor_type_bytes(out->type));
    if (!data) return onnx_no_memory(reader);
    out->data = data;
    if (message->has_raw) {
        if (!fill_raw(message, out, data)) return false;
    } else if (out->type == IG_TENSOR_STRING) {
        return fill_strings(message, out, data);
    } else if (out->count && message->list != list_of(out->type)) {
        return tensor_fail(message, IG_INVALID, "its data are not of its type");
    } else {
        fill_numbers(&reader->numbers, out->type, data);
    }
    if (out->type == IG_TENSOR_BOOL)
        for (size_t i = 0; i < out->count; i++) ((uint8_t *)data)[i] = ((uint8_t *)data)[i] != 0;
    return true;
}

bool onnx_tensor_read(struct onnx_reader *reader, struct ig_tensor *out, struct ig_str *name,
                      const struct ig_onnx_wire *outer, struct ig_str bytes)
{
    struct message message = {.reader = reader, .wire = ig_onnx_wire_enter(outer, bytes)};
    struct ig_onnx_field field;
    reader->numbers.count = 0;
    bool good = true;
    while (good && ig_onnx_wire_next(&message.wire, &field)) good = read_field(&message, &field);
    message.wire = ig_onnx_wire_enter(outer, bytes);
    good = good && reader->err->code == IG_OK && set_shape(&message, out) && fill(&message, out) &&
           (!name || onnx_text(reader, name, message.name));
    IG_VEC_FREE(&message.dims);
    return good;
}

enum ig_code ig_onnx_tensor(struct ig_tensor *out, struct ig_str bytes, struct ig_arena *arena,
                            struct ig_err *err)
{
    struct onnx_reader reader = {.err = err, .arena = arena, .bytes_count = bytes.len};
    struct ig_onnx_wire wire = ig_onnx_wire_begin(bytes, err);
    struct ig_tensor tensor = {0};
    bool good = onnx_tensor_read(&reader, &tensor, NULL, &wire, bytes);
    IG_VEC_FREE(&reader.numbers);
    if (!good) return ig_err_code(err);
    *out = tensor;
    return IG_OK;
}
