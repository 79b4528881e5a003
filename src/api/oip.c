/* SPDX-License-Identifier: Apache-2.0 */
/* Reads requests of the Open Inference Protocol. All memory is the arena; every size is bounded by
 * the body's. Thread rule: pure. */
#include "api/oip.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { SHOWN_MAX = 64 };

static const struct {
    const char *name;
    size_t name_length, bytes;
    const char *config;
} TYPES[IG_OIP_TYPES_COUNT] = {
#define IG_OIP_TYPE(id, name, bytes, config)                                                       \
    [IG_OIP_##id] = {name, sizeof(name) - 1, bytes, config},
#include "api/oip_types.def"
#undef IG_OIP_TYPE
};

const char *ig_oip_type_name(enum ig_oip_type type)
{
    return TYPES[type].name;
}

const char *ig_oip_type_config(enum ig_oip_type type)
{
    return TYPES[type].config;
}

struct reader {
    struct ig_oip_request *out;
    struct ig_json json;
    struct ig_arena *arena;
    struct ig_err *err;
    struct ig_str raw; /* what is left of the tensors behind the JSON */
};

static int shown(struct ig_str text)
{
    return (int)(text.len > SHOWN_MAX ? SHOWN_MAX : text.len);
}

/* ---- elements ---- */

/* IEEE half precision. */
static double from_half(uint16_t bits)
{
    int exponent = bits >> 10 & 31, mantissa = bits & 1023;
    double magnitude = exponent == 31 ? (mantissa ? (double)NAN : (double)INFINITY)
                       : exponent     ? ldexp(mantissa + 1024, exponent - 25)
                                      : ldexp(mantissa, -24);
    return bits >> 15 ? -magnitude : magnitude;
}

#define TAKE(id, c_type)                                                                           \
    case IG_OIP_##id: {                                                                            \
        c_type value;                                                                              \
        memcpy(&value, at, sizeof value);                                                          \
        return (double)value;                                                                      \
    }

static double element(enum ig_oip_type type, const char *at)
{
    uint16_t half;
    uint32_t word;
    float single;
    switch (type) {
        TAKE(UINT8, uint8_t)
        TAKE(UINT16, uint16_t)
        TAKE(UINT32, uint32_t)
        TAKE(UINT64, uint64_t)
        TAKE(INT8, int8_t)
        TAKE(INT16, int16_t)
        TAKE(INT32, int32_t)
        TAKE(INT64, int64_t)
        TAKE(FP32, float)
        TAKE(FP64, double)
    case IG_OIP_FP16:
        memcpy(&half, at, sizeof half);
        return from_half(half);
    case IG_OIP_BF16:
        memcpy(&half, at, sizeof half);
        word = (uint32_t)half << 16;
        memcpy(&single, &word, sizeof single);
        return single;
    default: /* BOOL */
        return *at != 0;
    }
}

static enum ig_code fail_size(const struct ig_oip_tensor *tensor, size_t bytes, struct ig_err *err)
{
    return ig_fail(
        err, IG_INVALID, "input '%.*s': %zu bytes of data do not hold %zu elements of %s",
        shown(tensor->name), tensor->name.ptr, bytes, tensor->count, TYPES[tensor->type].name);
}

static enum ig_code take_texts(struct ig_oip_tensor *tensor, struct ig_str bytes,
                               struct ig_arena *arena, struct ig_err *err)
{
    size_t at = 0, i = 0;
    if (tensor->count > bytes.len / 4) return fail_size(tensor, bytes.len, err);
    tensor->texts = ig_arena_array(arena, tensor->count + 1, sizeof *tensor->texts);
    if (!tensor->texts) return ig_fail(err, IG_NO_MEMORY, "inputs");
    for (; i < tensor->count && bytes.len - at >= 4; i++) {
        uint32_t length;
        memcpy(&length, bytes.ptr + at, 4);
        at += 4;
        if (length > bytes.len - at) return fail_size(tensor, bytes.len, err);
        tensor->texts[i] = (struct ig_str){bytes.ptr + at, length};
        at += length;
    }
    return i == tensor->count && at == bytes.len ? IG_OK : fail_size(tensor, bytes.len, err);
}

enum ig_code ig_oip_tensor_take(struct ig_oip_tensor *tensor, struct ig_str bytes,
                                struct ig_arena *arena, struct ig_err *err)
{
    size_t each = TYPES[tensor->type].bytes;
    if (!each) return take_texts(tensor, bytes, arena, err);
    if (bytes.len / each != tensor->count || bytes.len % each)
        return fail_size(tensor, bytes.len, err);
    tensor->numbers = ig_arena_array(arena, tensor->count + 1, sizeof *tensor->numbers);
    if (!tensor->numbers) return ig_fail(err, IG_NO_MEMORY, "inputs");
    if (tensor->type == IG_OIP_FP64 && bytes.len) memcpy(tensor->numbers, bytes.ptr, bytes.len);
    for (size_t i = 0; tensor->type != IG_OIP_FP64 && i < tensor->count; i++)
        tensor->numbers[i] = element(tensor->type, bytes.ptr + i * each);
    return IG_OK;
}

bool ig_oip_number_fit(double *number, enum ig_oip_type type)
{
    size_t bits = 8 * TYPES[type].bytes;
    double value = *number;
    switch (type) {
    case IG_OIP_BOOL:
        return value == 0 || value == 1;
    case IG_OIP_UINT8:
    case IG_OIP_UINT16:
    case IG_OIP_UINT32:
    case IG_OIP_UINT64:
        return value == floor(value) && value >= 0 && value < ldexp(1, (int)bits);
    case IG_OIP_INT8:
    case IG_OIP_INT16:
    case IG_OIP_INT32:
    case IG_OIP_INT64:
        return value == floor(value) && value >= -ldexp(1, (int)bits - 1) &&
               value < ldexp(1, (int)bits - 1);
    case IG_OIP_FP32:
        if (isfinite(value) && fabs(value) > (double)FLT_MAX) return false;
        *number = (double)(float)value;
        return true;
    case IG_OIP_FP64:
        return true;
    default:
        return false;
    }
}

/* One value of "data". */
static enum ig_code take_value(struct reader *reader, struct ig_oip_tensor *tensor, size_t at,
                               enum ig_json_event event)
{
    struct ig_json *json = &reader->json;
    bool fits, number = false;
    if (event == IG_JSON_ERROR) return reader->err->code;
    if (tensor->type == IG_OIP_BYTES) {
        fits = event == IG_JSON_STRING;
        if (fits) tensor->texts[at] = json->text;
    } else if (event == IG_JSON_BOOL) {
        fits = tensor->type == IG_OIP_BOOL;
        tensor->numbers[at] = json->boolean;
    } else if (event == IG_JSON_NULL) {
        fits = tensor->type == IG_OIP_FP32 || tensor->type == IG_OIP_FP64;
        tensor->numbers[at] = NAN;
    } else {
        number = event == IG_JSON_NUMBER && ig_str_to_f64(json->text, &tensor->numbers[at]);
        fits = number && ig_oip_number_fit(&tensor->numbers[at], tensor->type);
    }
    if (fits) return IG_OK;
    if (number)
        return ig_fail_at(reader->err, IG_INVALID, ig_json_position(json),
                          "input '%.*s': element %zu: %.*s is no %s%s", shown(tensor->name),
                          tensor->name.ptr, at, shown(json->text), json->text.ptr,
                          TYPES[tensor->type].name,
                          tensor->type == IG_OIP_FP16 || tensor->type == IG_OIP_BF16
                              ? " in JSON: send it as binary data"
                              : "");
    return ig_fail_at(reader->err, IG_INVALID, ig_json_position(json),
                      "input '%.*s': element %zu is %s, expected %s", shown(tensor->name),
                      tensor->name.ptr, at, ig_json_event_name(event), TYPES[tensor->type].name);
}

/* "data": flat or nested as one likes, in row-major order. */
static enum ig_code take_json(struct reader *reader, struct ig_oip_tensor *tensor)
{
    struct ig_json *json = &reader->json;
    size_t count = 0;
    int depth = 1;
    bool texts = tensor->type == IG_OIP_BYTES;
    if (tensor->count > (size_t)(json->end - json->at)) /* a byte each at least */
        return ig_fail(reader->err, IG_INVALID,
                       "input '%.*s': the body is too short for the %zu elements of its shape",
                       shown(tensor->name), tensor->name.ptr, tensor->count);
    void *room = ig_arena_array(reader->arena, tensor->count + 1,
                                texts ? sizeof *tensor->texts : sizeof *tensor->numbers);
    if (!room) return ig_fail(reader->err, IG_NO_MEMORY, "inputs");
    tensor->texts = texts ? room : NULL;
    tensor->numbers = texts ? NULL : room;
    if (!ig_json_expect(json, IG_JSON_ARRAY, "data")) return reader->err->code;
    while (depth) {
        if (tensor->type == IG_OIP_FP64)
            count += ig_json_numbers(json, tensor->numbers + count, tensor->count - count);
        if (!ig_json_element(json)) {
            if (reader->err->code != IG_OK) return reader->err->code;
            depth--;
            continue;
        }
        enum ig_json_event event = ig_json_next(json);
        if (event == IG_JSON_ARRAY) {
            depth++;
            continue;
        }
        if (count == tensor->count && event != IG_JSON_ERROR)
            return ig_fail(reader->err, IG_INVALID,
                           "input '%.*s': more than the %zu elements of its shape",
                           shown(tensor->name), tensor->name.ptr, tensor->count);
        if (take_value(reader, tensor, count, event) != IG_OK) return reader->err->code;
        count++;
    }
    if (count == tensor->count) return IG_OK;
    return ig_fail(reader->err, IG_INVALID, "input '%.*s': %zu elements, its shape holds %zu",
                   shown(tensor->name), tensor->name.ptr, count, tensor->count);
}

enum ig_code ig_oip_type_parse(enum ig_oip_type *out, struct ig_str name, struct ig_err *err)
{
    for (int i = 0; i < IG_OIP_TYPES_COUNT; i++) {
        if (!ig_str_eq(name, (struct ig_str){TYPES[i].name, TYPES[i].name_length})) continue;
        *out = (enum ig_oip_type)i;
        return IG_OK;
    }
    return ig_fail(err, IG_INVALID, "datatype: unknown '%.*s'", shown(name), name.ptr);
}

enum ig_code ig_oip_tensor_extend(struct ig_oip_tensor *tensor, int64_t extent, struct ig_err *err)
{
    if (!tensor->rank) tensor->count = 1;
    if (tensor->rank == IG_OIP_RANK_MAX)
        return ig_fail(err, IG_INVALID, "shape: more than %d dimensions", IG_OIP_RANK_MAX);
    if (extent < 0 || extent > IG_OIP_ELEMENTS_MAX ||
        (extent && tensor->count > IG_OIP_ELEMENTS_MAX / (size_t)extent))
        return ig_fail(err, IG_INVALID, "shape: %lld, expected at most %d elements",
                       (long long)extent, IG_OIP_ELEMENTS_MAX);
    tensor->shape[tensor->rank++] = extent;
    tensor->count *= (size_t)extent;
    return IG_OK;
}

/* ---- the parts of a request ---- */

static enum ig_code read_type(struct reader *reader, struct ig_oip_tensor *tensor)
{
    struct ig_str text;
    if (!ig_json_string(&reader->json, &text, "datatype")) return reader->err->code;
    return ig_oip_type_parse(&tensor->type, text, reader->err);
}

static enum ig_code read_shape(struct reader *reader, struct ig_oip_tensor *tensor)
{
    int64_t extent;
    tensor->rank = 0;
    tensor->count = 1;
    if (!ig_json_expect(&reader->json, IG_JSON_ARRAY, "shape")) return reader->err->code;
    while (ig_json_element(&reader->json))
        if (!ig_json_i64(&reader->json, &extent, "shape") ||
            ig_oip_tensor_extend(tensor, extent, reader->err) != IG_OK)
            return reader->err->code;
    return reader->err->code;
}

struct parameters {
    uint64_t binary_bytes;
    bool has_binary_bytes, binary, has_binary, explain;
    struct ig_str unit_id;
    uint32_t classes;
    struct ig_region_part memory;
};

enum ig_code ig_oip_classes_take(uint32_t *out, uint64_t classes, struct ig_err *err)
{
    if (classes > INT32_MAX)
        return ig_fail(err, IG_INVALID, "classification: %llu, expected a number of classes",
                       (unsigned long long)classes);
    *out = (uint32_t)classes;
    return IG_OK;
}

enum ig_code ig_oip_check_parameter(struct ig_str key, struct ig_err *err)
{
    if (!ig_str_starts(key, IG_STR("triton_")) ||
        ig_str_is(key, "triton_enable_empty_final_response"))
        return IG_OK;
    return ig_fail(err, IG_INVALID,
                   "parameters: '%.*s': names that begin with 'triton_' are reserved", shown(key),
                   key.ptr);
}

enum ig_code ig_oip_output_check(const struct ig_oip_output *output, struct ig_err *err)
{
    if (err->code != IG_OK || !output->classes || !output->memory.region.ptr) return err->code;
    return ig_fail(err, IG_INVALID,
                   "output '%.*s': give one of classification and shared_memory_region",
                   shown(output->name), output->name.ptr);
}

static enum ig_code read_parameter(struct reader *reader, struct parameters *out)
{
    struct ig_json *json = &reader->json;
    struct ig_str key = json->text;
    uint64_t classes;
    if (ig_str_is(key, "binary_data_size")) {
        out->has_binary_bytes = ig_json_u64(json, &out->binary_bytes, "binary_data_size");
    } else if (ig_str_is(key, "binary_data") || ig_str_is(key, "binary_data_output")) {
        out->has_binary = ig_json_bool(json, &out->binary, "binary_data");
    } else if (ig_str_is(key, "explain")) {
        ig_json_bool(json, &out->explain, "explain");
    } else if (ig_str_is(key, "unit_id")) {
        enum ig_json_event event = ig_json_next(json);
        if (event == IG_JSON_STRING || event == IG_JSON_NUMBER)
            out->unit_id = json->text;
        else if (event != IG_JSON_ERROR)
            ig_fail(reader->err, IG_INVALID, "unit_id: expected a text or a number");
    } else if (ig_str_is(key, "shared_memory_region")) {
        ig_json_string(json, &out->memory.region, "shared_memory_region");
    } else if (ig_str_is(key, "shared_memory_offset")) {
        ig_json_u64(json, &out->memory.offset, "shared_memory_offset");
    } else if (ig_str_is(key, "shared_memory_byte_size")) {
        ig_json_u64(json, &out->memory.size_bytes, "shared_memory_byte_size");
    } else if (ig_str_is(key, "classification")) {
        if (ig_json_u64(json, &classes, "classification"))
            ig_oip_classes_take(&out->classes, classes, reader->err);
    } else if (ig_oip_check_parameter(key, reader->err) == IG_OK) {
        ig_json_skip(json);
    }
    return reader->err->code;
}

static enum ig_code read_parameters(struct reader *reader, struct parameters *out)
{
    if (!ig_json_expect(&reader->json, IG_JSON_OBJECT, "parameters")) return reader->err->code;
    while (ig_json_member(&reader->json))
        if (read_parameter(reader, out) != IG_OK) return reader->err->code;
    return reader->err->code;
}

/* The data stand last, as their size and type come from the other members. */
static enum ig_code finish_input(struct reader *reader, struct ig_oip_tensor *tensor,
                                 const struct ig_json *data, const struct parameters *parameters)
{
    bool memory = parameters->memory.region.ptr != NULL;
    int ways = parameters->has_binary_bytes + (data != NULL) + memory;
    if (ways != 1)
        return ig_fail(reader->err, IG_INVALID,
                       ways ? "input '%.*s': give one of data, binary_data_size and "
                              "shared_memory_region"
                            : "input '%.*s': it has no data",
                       shown(tensor->name), tensor->name.ptr);
    if (memory) {
        tensor->memory = parameters->memory;
        return IG_OK;
    }
    if (parameters->has_binary_bytes) {
        if (parameters->binary_bytes > reader->raw.len)
            return ig_fail(reader->err, IG_INVALID,
                           "input '%.*s': binary_data_size %llu, %zu bytes are left",
                           shown(tensor->name), tensor->name.ptr,
                           (unsigned long long)parameters->binary_bytes, reader->raw.len);
        struct ig_str bytes = {reader->raw.ptr, parameters->binary_bytes};
        reader->raw.ptr += bytes.len;
        reader->raw.len -= bytes.len;
        return ig_oip_tensor_take(tensor, bytes, reader->arena, reader->err);
    }
    struct ig_json after = reader->json;
    reader->json = *data;
    if (take_json(reader, tensor) != IG_OK) return reader->err->code;
    reader->json = after;
    return IG_OK;
}

static enum ig_code read_input(struct reader *reader, struct ig_oip_tensor *tensor)
{
    struct ig_json *json = &reader->json, data;
    struct parameters parameters = {0};
    bool has_data = false, has_type = false, has_shape = false;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "inputs")) return reader->err->code;
    while (ig_json_member(json)) {
        if (ig_str_is(json->text, "name")) {
            ig_json_string(json, &tensor->name, "name");
        } else if (ig_str_is(json->text, "datatype")) {
            has_type = read_type(reader, tensor) == IG_OK;
        } else if (ig_str_is(json->text, "shape")) {
            has_shape = read_shape(reader, tensor) == IG_OK;
        } else if (ig_str_is(json->text, "parameters")) {
            read_parameters(reader, &parameters);
        } else {
            has_data = has_data || ig_str_is(json->text, "data");
            if (ig_str_is(json->text, "data")) data = *json;
            ig_json_skip(json);
        }
        if (reader->err->code != IG_OK) return reader->err->code;
    }
    if (reader->err->code != IG_OK) return reader->err->code;
    const char *missing = !tensor->name.len ? "name" : !has_type ? "datatype" : NULL;
    if (!missing && !has_shape) missing = "shape";
    if (missing) return ig_fail(reader->err, IG_INVALID, "%s: missing", missing);
    return finish_input(reader, tensor, has_data ? &data : NULL, &parameters);
}

static enum ig_code read_inputs(struct reader *reader)
{
    struct ig_oip_request *out = reader->out;
    size_t cap = 0;
    if (out->inputs) return ig_fail(reader->err, IG_INVALID, "inputs: given twice");
    if (!ig_json_expect(&reader->json, IG_JSON_ARRAY, "inputs")) return reader->err->code;
    while (ig_json_element(&reader->json)) {
        if (out->inputs_count == IG_OIP_INPUTS_MAX)
            return ig_fail(reader->err, IG_INVALID, "inputs: more than %d", IG_OIP_INPUTS_MAX);
        if (out->inputs_count >= cap) {
            cap = cap ? cap * 4 : 4;
            struct ig_oip_tensor *grown = ig_arena_array(reader->arena, cap, sizeof *grown);
            if (!grown) return ig_fail(reader->err, IG_NO_MEMORY, "inputs");
            if (out->inputs) memcpy(grown, out->inputs, out->inputs_count * sizeof *grown);
            out->inputs = grown;
        }
        if (read_input(reader, &out->inputs[out->inputs_count]) != IG_OK) {
            ig_err_prefix(reader->err, "inputs[%zu]", out->inputs_count);
            return reader->err->code;
        }
        out->inputs_count++;
    }
    return reader->err->code;
}

static enum ig_code read_output(struct reader *reader)
{
    struct ig_oip_request *out = reader->out;
    struct ig_json *json = &reader->json;
    struct parameters parameters = {0};
    if (out->outputs_count == IG_OIP_OUTPUTS_MAX)
        return ig_fail(reader->err, IG_INVALID, "outputs: more than %d", IG_OIP_OUTPUTS_MAX);
    struct ig_oip_output *output = &out->outputs[out->outputs_count++];
    if (!ig_json_expect(json, IG_JSON_OBJECT, "outputs")) return reader->err->code;
    while (ig_json_member(json)) {
        if (ig_str_is(json->text, "name"))
            ig_json_string(json, &output->name, "name");
        else if (ig_str_is(json->text, "parameters"))
            read_parameters(reader, &parameters);
        else
            ig_json_skip(json);
        if (reader->err->code != IG_OK) return reader->err->code;
    }
    if (reader->err->code == IG_OK && !output->name.len)
        ig_fail(reader->err, IG_INVALID, "outputs: name: missing");
    output->binary = parameters.has_binary ? parameters.binary : out->binary;
    output->memory = parameters.memory;
    output->classes = parameters.classes;
    if (output->memory.region.ptr && parameters.has_binary && parameters.binary)
        ig_fail(reader->err, IG_INVALID,
                "output '%.*s': give one of binary_data and shared_memory_region",
                shown(output->name), output->name.ptr);
    return ig_oip_output_check(output, reader->err);
}

static enum ig_code read_outputs(struct reader *reader)
{
    if (!ig_json_expect(&reader->json, IG_JSON_ARRAY, "outputs")) return reader->err->code;
    while (ig_json_element(&reader->json))
        if (read_output(reader) != IG_OK) return reader->err->code;
    return reader->err->code;
}

static enum ig_code read_members(struct reader *reader)
{
    struct ig_json *json = &reader->json, outputs;
    struct parameters parameters = {0};
    bool has_outputs = false;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "request")) return reader->err->code;
    while (ig_json_member(json)) {
        if (ig_str_is(json->text, "id")) {
            ig_json_string(json, &reader->out->id, "id");
        } else if (ig_str_is(json->text, "inputs")) {
            read_inputs(reader);
        } else if (ig_str_is(json->text, "parameters")) {
            read_parameters(reader, &parameters);
        } else {
            has_outputs = has_outputs || ig_str_is(json->text, "outputs");
            if (ig_str_is(json->text, "outputs")) outputs = *json;
            ig_json_skip(json);
        }
        if (reader->err->code != IG_OK) return reader->err->code;
    }
    if (reader->err->code == IG_OK) ig_json_next(json); /* END, or an error */
    if (reader->err->code != IG_OK) return reader->err->code;
    reader->out->binary = parameters.binary;
    reader->out->explain = parameters.explain;
    reader->out->unit_id = parameters.unit_id;
    if (!has_outputs) return IG_OK;
    *json = outputs;
    return read_outputs(reader);
}

/* The whole body is one row. */
static enum ig_code read_bare(struct reader *reader, struct ig_str body)
{
    struct ig_oip_tensor *tensor = ig_arena_zalloc(reader->arena, sizeof *tensor);
    if (!tensor) return ig_fail(reader->err, IG_NO_MEMORY, "inputs");
    *tensor = (struct ig_oip_tensor){.name = IG_STR("input"),
                                     .type = IG_OIP_FP64,
                                     .rank = 2,
                                     .shape = {1, (int64_t)(body.len / sizeof(double))},
                                     .count = body.len / sizeof(double)};
    reader->out->inputs = tensor;
    reader->out->inputs_count = 1;
    reader->out->binary = true;
    return ig_oip_tensor_take(tensor, body, reader->arena, reader->err);
}

enum ig_code ig_oip_request_read(struct ig_oip_request *out, struct ig_str body, int64_t json_bytes,
                                 struct ig_arena *arena, struct ig_err *err)
{
    struct reader reader = {.out = out, .arena = arena, .err = err};
    *out = (struct ig_oip_request){0};
    if (json_bytes == 0) return read_bare(&reader, body);
    if (json_bytes > 0 && (uint64_t)json_bytes > body.len)
        return ig_fail(err, IG_INVALID,
                       "Inference-Header-Content-Length: %lld, the body has %zu bytes",
                       (long long)json_bytes, body.len);
    size_t head = json_bytes < 0 ? body.len : (size_t)json_bytes;
    reader.raw = (struct ig_str){body.ptr + head, body.len - head};
    ig_json_init(&reader.json, (struct ig_str){body.ptr, head}, arena, err);
    reader.json.allow_nan = true;
    if (read_members(&reader) != IG_OK) return err->code;
    if (!out->inputs_count) return ig_fail(err, IG_INVALID, "inputs: missing");
    if (!reader.raw.len) return IG_OK;
    return ig_fail(err, IG_INVALID, "%zu bytes behind the last tensor", reader.raw.len);
}

uint64_t ig_oip_memory_bytes(const struct ig_oip_request *request)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < request->inputs_count; i++)
        if (__builtin_add_overflow(sum, request->inputs[i].memory.size_bytes, &sum))
            return UINT64_MAX;
    return sum;
}

/* ---- rows ---- */

static enum ig_code check_numeric(const struct ig_feature *feature,
                                  const struct ig_oip_tensor *tensor, struct ig_err *err)
{
    if (!ig_feature_takes_text(feature)) return IG_OK;
    return ig_fail(err, IG_INVALID, "feature '%.*s' is categorical, expected BYTES, found %s",
                   shown(feature->name), feature->name.ptr, TYPES[tensor->type].name);
}

static enum ig_code put_element(double *out, const struct ig_oip_tensor *tensor, size_t at,
                                const struct ig_feature *feature, struct ig_err *err)
{
    if (tensor->type == IG_OIP_BYTES)
        return ig_feature_parse_cell(out, feature, tensor->texts[at], err);
    if (check_numeric(feature, tensor, err) != IG_OK) return err->code;
    *out = tensor->numbers[at];
    return IG_OK;
}

struct filling {
    const struct ig_schema *schema;
    struct ig_arena *arena;
    struct ig_err *err;
    size_t rows_max, rows_count;
    double *rows;
};

/* Room for that many rows. */
static enum ig_code make_rows(struct filling *filling, size_t rows)
{
    size_t count = rows * filling->schema->features_count;
    if (!rows) return ig_fail(filling->err, IG_INVALID, "shape: at least one row is expected");
    if (rows > filling->rows_max)
        return ig_fail(filling->err, IG_TOO_LARGE, "shape: %zu rows, at most %zu in one call", rows,
                       filling->rows_max);
    filling->rows_count = rows;
    filling->rows = ig_arena_array(filling->arena, count + 1, sizeof *filling->rows);
    if (!filling->rows)
        return ig_fail(filling->err, IG_TOO_LARGE, "%zu rows exceed the memory of a call", rows);
    return IG_OK;
}

/* A matrix of numbers, which lies as the rows do. */
static enum ig_code put_numbers(struct filling *filling, const struct ig_oip_tensor *tensor)
{
    const struct ig_schema *schema = filling->schema;
    if (schema->numbers_count < schema->features_count)
        return check_numeric(&schema->features[schema->numbers_count], tensor, filling->err);
    memcpy(filling->rows, tensor->numbers, tensor->count * sizeof *filling->rows);
    return IG_OK;
}

/* One tensor of all features. */
static enum ig_code put_matrix(struct filling *filling, const struct ig_oip_tensor *tensor)
{
    size_t width = filling->schema->features_count, rows = tensor->rank == 1 ? 1 : 0;
    if (tensor->rank == 2) rows = (size_t)tensor->shape[0];
    if (!tensor->rank || tensor->rank > 2 || (uint64_t)tensor->shape[tensor->rank - 1] != width)
        return ig_fail(filling->err, IG_INVALID,
                       "input '%.*s': expected the shape [rows, %zu], one value a feature",
                       shown(tensor->name), tensor->name.ptr, width);
    if (make_rows(filling, rows) != IG_OK) return filling->err->code;
    if (tensor->type != IG_OIP_BYTES) return put_numbers(filling, tensor);
    for (size_t i = 0; i < tensor->count; i++)
        if (put_element(&filling->rows[i], tensor, i, &filling->schema->features[i % width],
                        filling->err) != IG_OK)
            return filling->err->code;
    return IG_OK;
}

/* What no tensor holds is missing. */
static void begin_rows(struct filling *filling)
{
    size_t width = filling->schema->features_count;
    for (size_t row = 0; row < filling->rows_count; row++)
        ig_schema_begin_row(filling->schema, filling->rows + row * width);
}

static enum ig_code put_column(struct filling *filling, const struct ig_oip_tensor *tensor)
{
    const struct ig_schema *schema = filling->schema;
    int32_t index = ig_schema_feature_index(schema, tensor->name);
    if (index < 0)
        return ig_fail(filling->err, IG_INVALID, "input '%.*s': the model has no such feature",
                       shown(tensor->name), tensor->name.ptr);
    bool column = tensor->rank == 1 || (tensor->rank == 2 && tensor->shape[1] == 1);
    if (!column || tensor->count != filling->rows_count)
        return ig_fail(filling->err, IG_INVALID,
                       "input '%.*s': expected the shape [%zu] or [%zu, 1]", shown(tensor->name),
                       tensor->name.ptr, filling->rows_count, filling->rows_count);
    for (size_t i = 0; i < filling->rows_count; i++)
        if (put_element(&filling->rows[i * schema->features_count + (size_t)index], tensor, i,
                        &schema->features[index], filling->err) != IG_OK)
            return filling->err->code;
    return IG_OK;
}

/* Whether the only tensor is a feature's own and not the whole. */
static bool is_column(const struct ig_oip_tensor *tensor, const struct ig_schema *schema)
{
    bool whole = tensor->rank == 2 && (uint64_t)tensor->shape[1] == schema->features_count;
    return !whole && schema->features_count > 1 &&
           ig_schema_feature_index(schema, tensor->name) >= 0;
}

enum ig_code ig_oip_rows(struct ig_oip_rows *out, const struct ig_oip_request *request,
                         const struct ig_schema *schema, size_t rows_max, struct ig_arena *arena,
                         struct ig_err *err)
{
    struct filling filling = {schema, arena, err, rows_max, 0, NULL};
    const struct ig_oip_tensor *first = &request->inputs[0];
    if (request->inputs_count == 1 && !is_column(first, schema)) {
        put_matrix(&filling, first);
    } else if (make_rows(&filling, first->count) == IG_OK) {
        begin_rows(&filling);
        for (size_t i = 0; err->code == IG_OK && i < request->inputs_count; i++)
            put_column(&filling, &request->inputs[i]);
        int32_t unnamed = err->code == IG_OK ? ig_schema_unnamed(schema, filling.rows) : -1;
        if (unnamed >= 0)
            ig_fail(err, IG_INVALID,
                    "input '%.*s': is not given, and the model's signature requires it",
                    shown(schema->features[unnamed].name), schema->features[unnamed].name.ptr);
    }
    *out = (struct ig_oip_rows){filling.rows, filling.rows_count};
    return err->code;
}
