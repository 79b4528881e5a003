/* SPDX-License-Identifier: Apache-2.0 */
/* The tensors of a traced call, written down when its answer is there: its rows and results may be
 * gone when it is noted. A call of the Open Inference Protocol has the tensors that it was sent and
 * gives; of any other the model's inputs and predictions are told. */
#include "api/infer.h"
#include "api/oip_model.h"
#include "api/oip_settings.h"
#include "base/clock.h"
#include "base/num.h"

/* One tensor, as it is put together. */
struct writing {
    struct ig_buf *out;
    struct ig_buf shape, data;
};

static void begin(struct writing *writing)
{
    ig_buf_reset(&writing->shape);
    ig_buf_reset(&writing->data);
}

static void add_extent(struct writing *writing, int64_t extent)
{
    if (writing->shape.len) ig_buf_add_char(&writing->shape, ',');
    ig_buf_add_i64(&writing->shape, extent);
}

static void add_text(struct writing *writing, size_t at, struct ig_str text)
{
    if (at) ig_buf_add_char(&writing->data, ',');
    ig_buf_add_str(&writing->data, text);
}

static void add_number(struct writing *writing, size_t at, double value)
{
    char text[IG_NUM_TEXT_MAX];
    add_text(writing, at, (struct ig_str){text, ig_num_format_f64(text, value)});
}

static void end(struct writing *writing, const char *activity, struct ig_str name,
                enum ig_oip_type type)
{
    const struct ig_trace_tensor tensor = {.activity = activity,
                                           .dtype = ig_oip_type_name(type),
                                           .name = name,
                                           .shape = ig_buf_view(&writing->shape),
                                           .data = ig_buf_view(&writing->data)};
    ig_trace_tensor_write(writing->out, &tensor);
    if (writing->shape.overflowed || writing->data.overflowed) writing->out->overflowed = true;
}

static void add_extents(struct writing *writing, const struct ig_infer *infer,
                        const struct ig_oip_port *port)
{
    add_extent(writing, (int64_t)infer->request.rows_count);
    for (size_t i = 0; i < port->rank; i++) add_extent(writing, port->extents[i]);
}

/* ---- inputs ---- */

static void write_sent(struct writing *writing, const struct ig_oip_tensor *tensor)
{
    begin(writing);
    for (uint32_t i = 0; i < tensor->rank; i++) add_extent(writing, tensor->shape[i]);
    for (size_t i = 0; i < tensor->count && !writing->data.overflowed; i++) {
        if (tensor->texts)
            add_text(writing, i, tensor->texts[i]);
        else
            add_number(writing, i, tensor->numbers[i]);
    }
    end(writing, "TENSOR_QUEUE_INPUT", tensor->name, tensor->type);
}

static void add_cell(struct writing *writing, size_t at, const struct ig_feature *feature,
                     double value)
{
    if (value >= 0 && value < feature->categories_count)
        add_text(writing, at, feature->categories[(uint32_t)value]);
    else
        add_number(writing, at, value);
}

/* A column of the rows, or all of them. */
static void write_rows(struct writing *writing, const struct ig_infer *infer, size_t input)
{
    const struct ig_schema *schema = infer->request.schema;
    size_t width = schema->features_count, count = infer->request.rows_count * width, at = 0;
    bool whole = ig_oip_inputs_count(schema) == 1;
    struct ig_oip_port port = ig_oip_input(schema, input);
    begin(writing);
    add_extents(writing, infer, &port);
    for (size_t i = input; i < count && !writing->data.overflowed; i += whole ? 1 : width)
        add_cell(writing, at++, &schema->features[i % width], infer->request.rows[i]);
    end(writing, "TENSOR_QUEUE_INPUT", port.name, port.type);
}

/* ---- outputs ---- */

static void write_given(struct writing *writing, struct ig_infer *infer,
                        const struct ig_oip_given *given)
{
    struct ig_oip_port port = ig_oip_given_port(given, infer->routing->face);
    begin(writing);
    add_extents(writing, infer, &port);
    ig_oip_write_plain(&writing->data, infer, given);
    end(writing, "TENSOR_BACKEND_OUTPUT", port.name, port.type);
}

/* ---- all ---- */

static void write_all(struct ig_buf *out, struct ig_infer *infer)
{
    static const struct ig_oip_given PREDICTIONS = {.result = IG_OIP_PREDICTIONS};
    const struct ig_oip_ask *ask = infer->front;
    struct writing writing = {.out = out};
    ig_buf_init(&writing.shape, IG_TRACES_BLOCK_MAX);
    ig_buf_init(&writing.data, IG_TRACES_BLOCK_MAX);
    for (size_t i = 0; ask && i < ask->request.inputs_count; i++)
        write_sent(&writing, &ask->request.inputs[i]);
    for (size_t i = 0; !ask && i < ig_oip_inputs_count(infer->request.schema); i++)
        write_rows(&writing, infer, i);
    for (size_t i = 0; ask && i < ask->given_count; i++)
        write_given(&writing, infer, &ask->given[i]);
    if (!ask) write_given(&writing, infer, &PREDICTIONS);
    ig_buf_deinit(&writing.shape);
    ig_buf_deinit(&writing.data);
}

void ig_oip_trace_answered(struct ig_call *call, struct ig_infer *infer)
{
    struct ig_str deployment = ig_str_view(infer->routing->name);
    call->done_ns = ig_clock_ns();
    if (!call->decisions_count) return;
    call->traced = ig_traces_sample(call->app->traces, deployment);
    if (!(call->traced.level & IG_TRACE_TENSORS)) return;
    ig_buf_init(&call->tensors, IG_TRACES_BLOCK_MAX);
    write_all(&call->tensors, infer);
}
