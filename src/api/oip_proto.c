/* SPDX-License-Identifier: Apache-2.0 */
/* Every size is bounded by the message's; texts are views of it. Thread rule: pure. */
#include "api/oip_proto.h"

#include "api/oip_model.h"

#include <string.h>

enum { SHOWN_MAX = 64, FIRST_FIELDS = 8 };

struct reader {
    struct ig_oip_request *out;
    struct ig_oip_names *names;
    struct ig_arena *arena;
    struct ig_err *err;
    struct ig_str *contents; /* by input: InferTensorContents, ptr NULL when not given */
    struct ig_str *raw;
    size_t raw_count;
};

static enum ig_code fail_parse(struct ig_err *err)
{
    return ig_fail(err, IG_PARSE, "the message is no valid protobuf of its type");
}

enum ig_code ig_oip_proto_names(struct ig_oip_names *out, struct ig_str message, struct ig_err *err)
{
    struct ig_proto proto;
    struct ig_proto_field field;
    *out = (struct ig_oip_names){0};
    ig_proto_init(&proto, message);
    while (ig_proto_next(&proto, &field)) {
        if (field.number == 1) out->model = field.bytes;
        if (field.number == 2) out->version = field.bytes;
    }
    return proto.bad ? fail_parse(err) : IG_OK;
}

struct ig_str ig_oip_proto_model(struct ig_str message)
{
    struct ig_proto proto;
    struct ig_proto_field field;
    ig_proto_init(&proto, message);
    for (int i = 0; i < FIRST_FIELDS && ig_proto_next(&proto, &field); i++)
        if (field.number == 1 && field.wire == IG_PROTO_BYTES) return field.bytes;
    return (struct ig_str){NULL, 0};
}

/* The key of an entry of a map. */
static struct ig_str key_of(struct ig_str entry)
{
    struct ig_proto proto;
    struct ig_proto_field field;
    struct ig_str key = {"", 0};
    ig_proto_init(&proto, entry);
    while (ig_proto_next(&proto, &field))
        if (field.number == 1 && field.wire == IG_PROTO_BYTES) key = field.bytes;
    return key;
}

enum ig_code ig_oip_proto_repository(struct ig_oip_names *out, struct ig_str message,
                                     struct ig_err *err)
{
    struct ig_proto proto;
    struct ig_proto_field field;
    *out = (struct ig_oip_names){0};
    ig_proto_init(&proto, message);
    while (ig_proto_next(&proto, &field)) {
        if (field.number == 1) out->repository = field.bytes;
        if (field.number == 2) {
            out->model = field.bytes;
            out->ready = field.value != 0;
        }
        if (field.number != 3 || field.wire != IG_PROTO_BYTES) continue;
        struct ig_str key = key_of(field.bytes);
        if (!out->parameter.len && ig_oip_brings_model(key)) out->parameter = key;
    }
    return proto.bad ? fail_parse(err) : IG_OK;
}

enum ig_code ig_oip_proto_region(struct ig_region *out, struct ig_str message, struct ig_err *err)
{
    struct ig_proto proto;
    struct ig_proto_field field;
    *out = (struct ig_region){0};
    ig_proto_init(&proto, message);
    while (ig_proto_next(&proto, &field)) {
        if (field.number == 1) out->name = field.bytes;
        if (field.number == 2) out->key = field.bytes;
        if (field.number == 3) out->offset = field.value;
        if (field.number == 4) out->size_bytes = field.value;
    }
    return proto.bad ? fail_parse(err) : IG_OK;
}

/* ---- settings ---- */

/* {1 repeated string} of a trace's, or {1 bool, 2 uint32, 3 string} of the log's. */
static enum ig_code read_setting_value(struct ig_oip_setting *out, struct ig_str message,
                                       struct ig_arena *arena, struct ig_err *err)
{
    struct ig_proto proto;
    struct ig_proto_field field;
    ig_proto_init(&proto, message);
    while (ig_proto_next(&proto, &field)) {
        struct ig_str value = field.bytes;
        if (field.wire != IG_PROTO_BYTES && field.number == 1)
            value = field.value ? IG_STR("true") : IG_STR("false");
        else if (field.wire != IG_PROTO_BYTES)
            value = ig_str_view(ig_arena_printf(arena, "%llu", (unsigned long long)field.value));
        if (out->count == IG_OIP_SETTING_VALUES_MAX)
            return ig_fail(err, IG_INVALID, "%.*s: more than %d values",
                           (int)(out->name.len > SHOWN_MAX ? SHOWN_MAX : out->name.len),
                           out->name.ptr, IG_OIP_SETTING_VALUES_MAX);
        out->values[out->count++] = value;
    }
    return proto.bad ? fail_parse(err) : IG_OK;
}

static enum ig_code read_setting(struct ig_oip_setting *out, struct ig_str entry,
                                 struct ig_arena *arena, struct ig_err *err)
{
    struct ig_proto proto;
    struct ig_proto_field field;
    struct ig_str value = {NULL, 0};
    *out = (struct ig_oip_setting){0};
    ig_proto_init(&proto, entry);
    while (ig_proto_next(&proto, &field)) {
        if (field.number == 1) out->name = field.bytes;
        if (field.number == 2) value = field.bytes;
    }
    return proto.bad ? fail_parse(err) : read_setting_value(out, value, arena, err);
}

enum ig_code ig_oip_proto_settings(struct ig_oip_settings *out, struct ig_str message,
                                   struct ig_arena *arena, struct ig_err *err)
{
    struct ig_proto proto;
    struct ig_proto_field field;
    *out = (struct ig_oip_settings){0};
    ig_proto_init(&proto, message);
    while (ig_proto_next(&proto, &field)) {
        if (field.number == 2) out->model = field.bytes;
        if (field.number != 1) continue;
        if (out->count == IG_OIP_SETTINGS_MAX)
            return ig_fail(err, IG_INVALID, "more than %d settings", IG_OIP_SETTINGS_MAX);
        if (read_setting(&out->items[out->count++], field.bytes, arena, err) != IG_OK)
            return err->code;
    }
    return proto.bad ? fail_parse(err) : IG_OK;
}

/* ---- parameters ---- */

struct parameter {
    struct ig_str key, text; /* text: of a string, ptr NULL of others */
    uint64_t number;         /* of a bool and of integers */
};

/* An entry of map<string, InferParameter>. */
static enum ig_code read_parameter(struct parameter *out, struct ig_str entry, struct ig_err *err)
{
    struct ig_proto proto, value;
    struct ig_proto_field field;
    *out = (struct parameter){0};
    ig_proto_init(&proto, entry);
    while (ig_proto_next(&proto, &field)) {
        if (field.number == 1) out->key = field.bytes;
        if (field.number != 2 || field.wire != IG_PROTO_BYTES) continue;
        ig_proto_init(&value, field.bytes);
        while (ig_proto_next(&value, &field)) {
            if (field.number == 3) out->text = field.bytes;
            if (field.number == 1 || field.number == 2 || field.number == 5)
                out->number = field.value;
        }
        if (value.bad) return fail_parse(err);
    }
    return proto.bad ? fail_parse(err) : IG_OK;
}

static enum ig_code take_parameter(struct reader *reader, struct ig_str entry)
{
    struct parameter parameter;
    if (read_parameter(&parameter, entry, reader->err) != IG_OK) return reader->err->code;
    if (ig_str_is(parameter.key, "explain")) reader->out->explain = parameter.number != 0;
    if (!ig_str_is(parameter.key, "unit_id"))
        return ig_oip_check_parameter(parameter.key, reader->err);
    reader->out->unit_id = parameter.text;
    if (!parameter.text.ptr)
        reader->out->unit_id =
            ig_str_view(ig_arena_printf(reader->arena, "%lld", (long long)parameter.number));
    return IG_OK;
}

/* Of an input or an output. */
static enum ig_code take_own_parameter(struct reader *reader, struct ig_region_part *memory,
                                       uint32_t *classes, struct ig_str entry)
{
    struct parameter parameter;
    if (read_parameter(&parameter, entry, reader->err) != IG_OK) return reader->err->code;
    if (ig_str_is(parameter.key, "shared_memory_offset")) memory->offset = parameter.number;
    if (ig_str_is(parameter.key, "shared_memory_byte_size")) memory->size_bytes = parameter.number;
    if (ig_str_is(parameter.key, "shared_memory_region")) {
        if (!parameter.text.ptr)
            return ig_fail(reader->err, IG_INVALID, "shared_memory_region: expected a text");
        memory->region = parameter.text;
    }
    if (ig_str_is(parameter.key, "classification"))
        return ig_oip_classes_take(classes, parameter.number, reader->err);
    return IG_OK;
}

/* ---- tensors ---- */

static enum ig_code read_shape(struct reader *reader, struct ig_oip_tensor *tensor,
                               const struct ig_proto_field *field)
{
    struct ig_proto packed;
    uint64_t extent;
    if (field->wire == IG_PROTO_VARINT)
        return ig_oip_tensor_extend(tensor, (int64_t)field->value, reader->err);
    ig_proto_init(&packed, field->bytes);
    while (ig_proto_varint(&packed, &extent))
        if (ig_oip_tensor_extend(tensor, (int64_t)extent, reader->err) != IG_OK)
            return reader->err->code;
    return packed.bad ? fail_parse(reader->err) : IG_OK;
}

static enum ig_code read_input(struct reader *reader, size_t index, struct ig_str message)
{
    struct ig_oip_tensor *tensor = &reader->out->inputs[index];
    struct ig_proto proto;
    struct ig_proto_field field;
    bool has_type = false;
    uint32_t unused;
    ig_proto_init(&proto, message);
    while (reader->err->code == IG_OK && ig_proto_next(&proto, &field)) {
        if (field.number == 1) tensor->name = field.bytes;
        if (field.number == 2)
            has_type = ig_oip_type_parse(&tensor->type, field.bytes, reader->err) == IG_OK;
        if (field.number == 3) read_shape(reader, tensor, &field);
        if (field.number == 4) take_own_parameter(reader, &tensor->memory, &unused, field.bytes);
        if (field.number == 5) reader->contents[index] = field.bytes;
    }
    if (proto.bad) return fail_parse(reader->err);
    if (reader->err->code == IG_OK && (!tensor->name.len || !has_type || !tensor->rank))
        ig_fail(reader->err, IG_INVALID, "%s: missing",
                !tensor->name.len ? "name"
                : !has_type       ? "datatype"
                                  : "shape");
    return reader->err->code;
}

/* The field of InferTensorContents that holds elements of a type; 0: raw only. */
static uint32_t contents_field(enum ig_oip_type type)
{
    static const uint32_t FIELDS[IG_OIP_TYPES_COUNT] = {
        [IG_OIP_BOOL] = 1,   [IG_OIP_INT8] = 2,  [IG_OIP_INT16] = 2,  [IG_OIP_INT32] = 2,
        [IG_OIP_INT64] = 3,  [IG_OIP_UINT8] = 4, [IG_OIP_UINT16] = 4, [IG_OIP_UINT32] = 4,
        [IG_OIP_UINT64] = 5, [IG_OIP_FP32] = 6,  [IG_OIP_FP64] = 7,   [IG_OIP_BYTES] = 8};
    return FIELDS[type];
}

static double as_number(enum ig_oip_type type, uint64_t bits)
{
    uint32_t word = (uint32_t)bits;
    float single;
    double number;
    switch (contents_field(type)) {
    case 1:
        return bits != 0;
    case 2:
    case 3:
        return (double)(int64_t)bits;
    case 6:
        memcpy(&single, &word, sizeof single);
        return single;
    case 7:
        memcpy(&number, &bits, sizeof number);
        return number;
    default:
        return (double)bits;
    }
}

/* Elements as they come, packed or one by one. */
struct filling {
    struct ig_oip_tensor *tensor;
    size_t count;
};

static bool put_number(struct filling *filling, uint64_t bits)
{
    if (filling->count == filling->tensor->count) return false;
    double *number = &filling->tensor->numbers[filling->count++];
    *number = as_number(filling->tensor->type, bits);
    return ig_oip_number_fit(number, filling->tensor->type);
}

static bool put_packed(struct filling *filling, struct ig_str bytes)
{
    struct ig_proto packed;
    uint32_t number = contents_field(filling->tensor->type);
    size_t each = number == 6 ? 4 : number == 7 ? 8 : 0;
    uint64_t bits;
    if (each && bytes.len % each) return false;
    for (size_t at = 0; each && at < bytes.len; at += each) {
        bits = 0;
        memcpy(&bits, bytes.ptr + at, each);
        if (!put_number(filling, bits)) return false;
    }
    ig_proto_init(&packed, bytes);
    while (!each && ig_proto_varint(&packed, &bits))
        if (!put_number(filling, bits)) return false;
    return !packed.bad;
}

static enum ig_code fail_contents(struct reader *reader, const struct ig_oip_tensor *tensor)
{
    return ig_fail(reader->err, IG_INVALID, "input '%.*s': its contents are not %zu elements of %s",
                   (int)(tensor->name.len > SHOWN_MAX ? SHOWN_MAX : tensor->name.len),
                   tensor->name.ptr, tensor->count, ig_oip_type_name(tensor->type));
}

static enum ig_code read_contents(struct reader *reader, struct ig_oip_tensor *tensor,
                                  struct ig_str message)
{
    struct filling filling = {tensor, 0};
    struct ig_proto proto;
    struct ig_proto_field field;
    uint32_t number = contents_field(tensor->type);
    bool texts = tensor->type == IG_OIP_BYTES;
    bool fits = number != 0 && tensor->count <= message.len; /* a byte each at least */
    if (!fits) return fail_contents(reader, tensor);
    void *room = ig_arena_array(reader->arena, tensor->count + 1,
                                texts ? sizeof *tensor->texts : sizeof *tensor->numbers);
    if (!room) return ig_fail(reader->err, IG_NO_MEMORY, "inputs");
    tensor->texts = texts ? room : NULL;
    tensor->numbers = texts ? NULL : room;
    ig_proto_init(&proto, message);
    while (fits && ig_proto_next(&proto, &field)) {
        if (field.number != number) {
            fits = false;
        } else if (texts) {
            fits = filling.count < tensor->count;
            if (fits) tensor->texts[filling.count++] = field.bytes;
        } else if (field.wire == IG_PROTO_BYTES) {
            fits = put_packed(&filling, field.bytes);
        } else {
            fits = put_number(&filling, field.value);
        }
    }
    if (proto.bad) return fail_parse(reader->err);
    if (fits && filling.count == tensor->count) return IG_OK;
    return fail_contents(reader, tensor);
}

/* ---- requests ---- */

static enum ig_code read_output(struct reader *reader, struct ig_str message)
{
    struct ig_proto proto;
    struct ig_proto_field field;
    if (reader->out->outputs_count == IG_OIP_OUTPUTS_MAX)
        return ig_fail(reader->err, IG_INVALID, "outputs: more than %d", IG_OIP_OUTPUTS_MAX);
    struct ig_oip_output *output = &reader->out->outputs[reader->out->outputs_count++];
    output->binary = true;
    ig_proto_init(&proto, message);
    while (reader->err->code == IG_OK && ig_proto_next(&proto, &field)) {
        if (field.number == 1) output->name = field.bytes;
        if (field.number == 2)
            take_own_parameter(reader, &output->memory, &output->classes, field.bytes);
    }
    return proto.bad ? fail_parse(reader->err) : ig_oip_output_check(output, reader->err);
}

static enum ig_code count_inputs(struct reader *reader, struct ig_str message)
{
    struct ig_proto proto;
    struct ig_proto_field field;
    size_t inputs = 0, raw = 0;
    ig_proto_init(&proto, message);
    while (ig_proto_next(&proto, &field)) {
        inputs += field.number == 5;
        raw += field.number == 7;
    }
    if (proto.bad) return fail_parse(reader->err);
    if (!inputs) return ig_fail(reader->err, IG_INVALID, "inputs: missing");
    if (inputs > IG_OIP_INPUTS_MAX || raw > IG_OIP_INPUTS_MAX)
        return ig_fail(reader->err, IG_INVALID, "inputs: more than %d", IG_OIP_INPUTS_MAX);
    reader->out->inputs = ig_arena_array(reader->arena, inputs, sizeof *reader->out->inputs);
    reader->contents = ig_arena_array(reader->arena, inputs, sizeof *reader->contents);
    reader->raw = ig_arena_array(reader->arena, raw + 1, sizeof *reader->raw);
    if (reader->out->inputs && reader->contents && reader->raw) return IG_OK;
    return ig_fail(reader->err, IG_NO_MEMORY, "inputs");
}

static enum ig_code read_field(struct reader *reader, const struct ig_proto_field *field)
{
    struct ig_oip_request *out = reader->out;
    switch (field->number) {
    case 1:
        reader->names->model = field->bytes;
        break;
    case 2:
        reader->names->version = field->bytes;
        break;
    case 3:
        out->id = field->bytes;
        break;
    case 4:
        return take_parameter(reader, field->bytes);
    case 5:
        if (read_input(reader, out->inputs_count, field->bytes) != IG_OK)
            ig_err_prefix(reader->err, "inputs[%zu]", out->inputs_count);
        out->inputs_count++;
        break;
    case 6:
        return read_output(reader, field->bytes);
    case 7:
        reader->raw[reader->raw_count++] = field->bytes;
        break;
    default:
        break;
    }
    return reader->err->code;
}

/* Inputs in shared memory have no contents, and no place among the raw ones. */
static enum ig_code fill_inputs(struct reader *reader)
{
    struct ig_oip_request *out = reader->out;
    size_t along = 0, at = 0;
    for (size_t i = 0; i < out->inputs_count; i++) along += !out->inputs[i].memory.region.ptr;
    if (reader->raw_count && reader->raw_count != along)
        return ig_fail(reader->err, IG_INVALID, "raw_input_contents: %zu, there are %zu inputs%s",
                       reader->raw_count, along,
                       along < out->inputs_count ? " outside shared memory" : "");
    for (size_t i = 0; reader->err->code == IG_OK && i < out->inputs_count; i++) {
        struct ig_oip_tensor *tensor = &out->inputs[i];
        if (!tensor->memory.region.ptr && reader->raw_count)
            ig_oip_tensor_take(tensor, reader->raw[at++], reader->arena, reader->err);
        else if (!tensor->memory.region.ptr)
            read_contents(reader, tensor, reader->contents[i]);
        else if (reader->contents[i].len)
            ig_fail(reader->err, IG_INVALID,
                    "input '%.*s': give one of contents and shared_memory_region",
                    IG_STR_ARGS(tensor->name));
    }
    return reader->err->code;
}

enum ig_code ig_oip_proto_infer(struct ig_oip_request *out, struct ig_oip_names *names,
                                struct ig_str message, struct ig_arena *arena, struct ig_err *err)
{
    struct reader reader = {.out = out, .names = names, .arena = arena, .err = err};
    struct ig_proto proto;
    struct ig_proto_field field;
    *out = (struct ig_oip_request){.binary = true};
    *names = (struct ig_oip_names){0};
    if (count_inputs(&reader, message) != IG_OK) return err->code;
    ig_proto_init(&proto, message);
    while (ig_proto_next(&proto, &field))
        if (read_field(&reader, &field) != IG_OK) return err->code;
    return fill_inputs(&reader);
}
