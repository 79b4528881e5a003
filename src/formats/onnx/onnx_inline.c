/* SPDX-License-Identifier: Apache-2.0 */
/* Everything but the tensors in question is copied byte for byte. Tensors elsewhere (in nodes'
 * attributes) are left as they are, and refused by whoever loads the model.
 *
 * Thread rule: pure, but for the reader. */
#include "formats/onnx/onnx_inline.h"

#include "base/proto.h"

enum { /* field numbers of onnx.proto */
       MODEL_GRAPH = 7,
       GRAPH_INITIALIZER = 5,
       TENSOR_NAME = 8,
       TENSOR_RAW_DATA = 9,
       TENSOR_EXTERNAL_DATA = 13,
       TENSOR_DATA_LOCATION = 14,
       ENTRY_KEY = 1,
       ENTRY_VALUE = 2,
};

struct inlining {
    struct ig_buf *out;
    ig_onnx_read *read;
    void *context;
    struct ig_str location, bytes; /* of the file that was read last */
    struct ig_err *err;
};

struct external {
    bool is, has_length; /* without one it is all to the file's end */
    struct ig_str name, location;
    uint64_t offset, length;
};

static void read_entry(struct external *out, struct ig_str entry)
{
    struct ig_proto proto;
    struct ig_proto_field field;
    struct ig_str key = IG_STR(""), value = IG_STR("");
    uint64_t number;
    ig_proto_init(&proto, entry);
    while (ig_proto_next(&proto, &field)) {
        if (field.number == ENTRY_KEY && field.wire == IG_PROTO_BYTES) key = field.bytes;
        if (field.number == ENTRY_VALUE && field.wire == IG_PROTO_BYTES) value = field.bytes;
    }
    if (ig_str_is(key, "location")) out->location = value;
    if (ig_str_is(key, "offset") && ig_str_to_u64(value, &number)) out->offset = number;
    if (ig_str_is(key, "length") && ig_str_to_u64(value, &number)) {
        out->length = number;
        out->has_length = true;
    }
}

static struct external look_at(struct ig_str tensor)
{
    struct external out = {.name = IG_STR(""), .location = IG_STR("")};
    struct ig_proto proto;
    struct ig_proto_field field;
    ig_proto_init(&proto, tensor);
    while (ig_proto_next(&proto, &field)) {
        bool bytes = field.wire == IG_PROTO_BYTES;
        if (field.number == TENSOR_NAME && bytes) out.name = field.bytes;
        if (field.number == TENSOR_EXTERNAL_DATA && bytes) read_entry(&out, field.bytes);
        if (field.number == TENSOR_DATA_LOCATION && field.wire == IG_PROTO_VARINT)
            out.is = field.value == 1;
    }
    return out;
}

/* The field that was read from `before` on, as it stands. */
static void copy(struct inlining *call, const unsigned char *before, const struct ig_proto *proto)
{
    ig_buf_add_str(call->out, (struct ig_str){(const char *)before, (size_t)(proto->at - before)});
}

static enum ig_code fetch(struct ig_str *data, struct inlining *call,
                          const struct external *external)
{
    struct ig_str name = external->name;
    if (name.len > 80) name.len = 80;
    if (!call->bytes.ptr || !ig_str_eq(call->location, external->location)) {
        call->bytes = (struct ig_str){NULL, 0};
        if (call->read(&call->bytes, call->context, external->location, call->err) != IG_OK) {
            ig_err_prefix(call->err, "tensor '%.*s'", IG_STR_ARGS(name));
            return call->err->code;
        }
        call->location = external->location;
    }
    uint64_t size = call->bytes.len, offset = external->offset;
    uint64_t length = external->length;
    if (!external->has_length && offset <= size) length = size - offset;
    if (offset > size || length > size - offset)
        return ig_fail(call->err, IG_INVALID,
                       "tensor '%.*s': its data at %llu is beyond the file's %llu bytes",
                       IG_STR_ARGS(name), (unsigned long long)offset, (unsigned long long)size);
    *data = (struct ig_str){call->bytes.ptr + offset, (size_t)length};
    return IG_OK;
}

static enum ig_code add_tensor(struct inlining *call, struct ig_str tensor,
                               const struct external *external)
{
    struct ig_proto proto;
    struct ig_proto_field field;
    struct ig_str data = IG_STR("");
    if (fetch(&data, call, external) != IG_OK) return call->err->code;
    size_t at = ig_proto_open(call->out, GRAPH_INITIALIZER);
    ig_proto_init(&proto, tensor);
    for (const unsigned char *before = proto.at; ig_proto_next(&proto, &field); before = proto.at)
        if (field.number != TENSOR_RAW_DATA && field.number != TENSOR_EXTERNAL_DATA &&
            field.number != TENSOR_DATA_LOCATION)
            copy(call, before, &proto);
    ig_proto_add_bytes(call->out, TENSOR_RAW_DATA, data);
    ig_proto_close(call->out, at);
    return IG_OK;
}

static enum ig_code add_graph(struct inlining *call, struct ig_str graph, bool *any)
{
    struct ig_proto proto;
    struct ig_proto_field field;
    size_t at = ig_proto_open(call->out, MODEL_GRAPH);
    ig_proto_init(&proto, graph);
    for (const unsigned char *before = proto.at; ig_proto_next(&proto, &field); before = proto.at) {
        bool tensor = field.number == GRAPH_INITIALIZER && field.wire == IG_PROTO_BYTES;
        struct external external = tensor ? look_at(field.bytes) : (struct external){.is = false};
        *any = *any || external.is;
        if (!external.is)
            copy(call, before, &proto);
        else if (add_tensor(call, field.bytes, &external) != IG_OK)
            return call->err->code;
        if (call->out->overflowed)
            return ig_fail(call->err, IG_TOO_LARGE,
                           "the model with all its data inside has more "
                           "than %zu bytes",
                           call->out->max_bytes);
    }
    ig_proto_close(call->out, at);
    return IG_OK;
}

enum ig_code ig_onnx_inline(struct ig_buf *out, struct ig_str model, ig_onnx_read *read,
                            void *context, struct ig_err *err)
{
    struct inlining call = {.out = out, .read = read, .context = context, .err = err};
    struct ig_proto proto;
    struct ig_proto_field field;
    bool any = false;
    ig_buf_reset(out);
    ig_proto_init(&proto, model);
    for (const unsigned char *before = proto.at; ig_proto_next(&proto, &field); before = proto.at) {
        if (field.number != MODEL_GRAPH || field.wire != IG_PROTO_BYTES)
            copy(&call, before, &proto);
        else if (add_graph(&call, field.bytes, &any) != IG_OK)
            break;
    }
    if (err->code == IG_OK && any && out->overflowed)
        ig_fail(err, IG_TOO_LARGE, "the model with all its data inside is too large");
    if (err->code != IG_OK || !any || proto.bad) ig_buf_reset(out);
    return err->code;
}
