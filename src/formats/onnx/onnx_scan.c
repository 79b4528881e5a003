/* SPDX-License-Identifier: Apache-2.0 */
/* A walk over an ONNX file by a table of which field of which message holds which message. The
 * stack is explicit and bounded. Source: onnx.proto (ONNX IR). */
#include "formats/onnx/onnx_scan.h"

#include "formats/onnx/onnx_wire.h"

enum { DEPTH_MAX = 64 };

enum message { MODEL, GRAPH, NODE, ATTRIBUTE, TENSOR, SPARSE, FUNCTION, TRAINING };

static const struct {
    enum message outer;
    uint32_t field;
    enum message inner;
} edges[] = {
    {MODEL, 7, GRAPH},         {MODEL, 20, TRAINING},   {MODEL, 25, FUNCTION},
    {TRAINING, 1, GRAPH},      {TRAINING, 2, GRAPH},    {FUNCTION, 7, NODE},
    {FUNCTION, 11, ATTRIBUTE}, {GRAPH, 1, NODE},        {GRAPH, 5, TENSOR},
    {GRAPH, 15, SPARSE},       {NODE, 5, ATTRIBUTE},    {ATTRIBUTE, 5, TENSOR},
    {ATTRIBUTE, 6, GRAPH},     {ATTRIBUTE, 10, TENSOR}, {ATTRIBUTE, 11, GRAPH},
    {ATTRIBUTE, 22, SPARSE},   {ATTRIBUTE, 23, SPARSE}, {SPARSE, 1, TENSOR},
    {SPARSE, 2, TENSOR},
};

enum { MODEL_PRODUCER = 2, MODEL_VERSION = 3, NODE_OP = 4 };
enum { TENSOR_NAME = 8, TENSOR_EXTERNAL = 13, TENSOR_LOCATION = 14 };

struct scan {
    struct ig_err *err;
    struct ig_str producer, version;
    struct ig_str op, tensor; /* of the node and tensor in hand */
    bool classifier, last;    /* last: of the main graph's last node */
    bool branches;
    size_t depth;
    struct {
        struct ig_onnx_wire wire;
        enum message kind;
    } stack[DEPTH_MAX];
};

/* The message that a field holds; false: none that is walked. */
static bool find_inner(enum message *inner, enum message outer, uint32_t field)
{
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
        if (edges[i].outer != outer || edges[i].field != field) continue;
        *inner = edges[i].inner;
        return true;
    }
    return false;
}

static bool refuse_external(struct scan *scan)
{
    ig_fail(scan->err, IG_UNSUPPORTED,
            "tensor '%.*s': its data lies in another file; save the model with all data inside",
            (int)(scan->tensor.len < 80 ? scan->tensor.len : 80),
            scan->tensor.len ? scan->tensor.ptr : "");
    return false;
}

static void see_op(struct scan *scan, struct ig_str op)
{
    if (ig_str_ends(op, IG_STR("Classifier")) || ig_str_is(op, "ZipMap")) scan->classifier = true;
    if (scan->depth == 3) /* a node of the main graph */
        scan->last = ig_str_is(op, "Softmax") || ig_str_is(op, "Sigmoid");
}

static bool see_field(struct scan *scan, enum message kind, const struct ig_onnx_field *field)
{
    bool is_bytes = field->type == IG_ONNX_WIRE_BYTES;
    if (kind == MODEL && is_bytes && field->number == MODEL_PRODUCER) scan->producer = field->bytes;
    if (kind == MODEL && is_bytes && field->number == MODEL_VERSION) scan->version = field->bytes;
    if (kind == NODE && is_bytes && field->number == NODE_OP) see_op(scan, field->bytes);
    if (kind == TENSOR && is_bytes && field->number == TENSOR_NAME) scan->tensor = field->bytes;
    if (kind == TENSOR && (field->number == TENSOR_EXTERNAL ||
                           (field->number == TENSOR_LOCATION && field->value != 0)))
        return refuse_external(scan);
    return true;
}

static bool enter(struct scan *scan, enum message kind, struct ig_onnx_wire wire)
{
    if (scan->depth == DEPTH_MAX) {
        ig_fail(scan->err, IG_PARSE, "messages nest more than %d deep", DEPTH_MAX);
        return false;
    }
    if (kind == GRAPH && scan->depth > 1) scan->branches = true;
    if (kind == TENSOR) scan->tensor = (struct ig_str){0};
    scan->stack[scan->depth].wire = wire;
    scan->stack[scan->depth++].kind = kind;
    return true;
}

static bool walk(struct scan *scan)
{
    while (scan->depth > 0) {
        struct ig_onnx_wire *wire = &scan->stack[scan->depth - 1].wire;
        enum message kind = scan->stack[scan->depth - 1].kind, inner;
        struct ig_onnx_field field;
        if (!ig_onnx_wire_next(wire, &field)) {
            if (scan->err->code != IG_OK) return false;
            scan->depth--;
            continue;
        }
        if (!see_field(scan, kind, &field)) return false;
        if (field.type == IG_ONNX_WIRE_BYTES && find_inner(&inner, kind, field.number) &&
            !enter(scan, inner, ig_onnx_wire_enter(wire, field.bytes)))
            return false;
    }
    return true;
}

enum ig_code ig_onnx_scan(struct ig_onnx_facts *out, struct ig_str bytes, struct ig_arena *arena,
                          struct ig_err *err)
{
    struct scan scan = {.err = err};
    enter(&scan, MODEL, ig_onnx_wire_begin(bytes, err));
    if (!walk(&scan)) return ig_err_code(err);
    char *producer =
        ig_arena_printf(arena, "%.*s %.*s", (int)(scan.producer.len & 0xFF),
                        scan.producer.len ? scan.producer.ptr : "", (int)(scan.version.len & 0xFF),
                        scan.version.len ? scan.version.ptr : "");
    if (!producer) return ig_fail(err, IG_NO_MEMORY, "out of memory");
    *out = (struct ig_onnx_facts){.probabilities = scan.classifier || scan.last,
                                  .branches = scan.branches,
                                  .producer = ig_str_trim(ig_str_view(producer))};
    return IG_OK;
}
