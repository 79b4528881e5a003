/* SPDX-License-Identifier: Apache-2.0 */
/* Spans of traces: in by OpenTelemetry's protocol, out with their traces. */
#include "api/mlflow_request.h"
#include "api/mlflow_traces.h"
#include "api/otlp.h"
#include "api/rest.h"
#include "api/route.h"
#include "api/span_json.h"
#include "net/grpc_frame.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
enum {
    UNPACKED_MAX = 64 << 20,
    UNPROCESSABLE = 422,
    WHOLE_TRACES_MAX = 500, /* of one call */
};

/* ---- in ---- */

struct packet {
    struct ig_buf unpacked, proto;
    struct ig_str body;
    bool json;
};

/* What stands behind Content-Encoding and Content-Type. */
static enum ig_code open_packet(struct packet *packet, struct ig_call *call)
{
    const struct ig_http_request *http = &call->exchange->request;
    struct ig_str type = ig_http_header(http, IG_STR("Content-Type")), rest = type;
    struct ig_str encoding = ig_http_header(http, IG_STR("Content-Encoding"));
    struct ig_str media = ig_str_trim(ig_str_cut(&rest, ';'));
    packet->json = ig_str_eq_nocase(media, IG_STR("application/json"));
    if (!packet->json && !ig_str_eq_nocase(media, IG_STR("application/x-protobuf")))
        return ig_fail(&call->err, IG_INVALID,
                       "Invalid Content-Type: %.*s. Expected: application/x-protobuf or "
                       "application/json",
                       (int)(type.len > 64 ? 64 : type.len), type.ptr);
    packet->body = call->exchange->body;
    if (!encoding.len || ig_str_eq_nocase(encoding, IG_STR("identity"))) return IG_OK;
    if (!ig_str_eq_nocase(encoding, IG_STR("gzip")) &&
        !ig_str_eq_nocase(encoding, IG_STR("deflate")))
        return ig_fail(&call->err, IG_INVALID, "Unsupported Content-Encoding: %.*s",
                       (int)(encoding.len > 64 ? 64 : encoding.len), encoding.ptr);
    if (ig_grpc_inflate(&packet->unpacked, packet->body, UNPACKED_MAX, &call->err) != IG_OK)
        ig_err_prefix(&call->err, "Failed to decompress %.*s payload", IG_STR_ARGS(encoding));
    packet->body = ig_buf_view(&packet->unpacked);
    return call->err.code;
}

/* The words of MLflow before ours. */
static enum ig_code explain(struct ig_call *call)
{
    if (call->err.code == IG_PARSE) ig_err_prefix(&call->err, "Invalid OpenTelemetry format");
    if (call->err.code == IG_INVALID) {
        ig_err_prefix(&call->err, "Cannot convert OpenTelemetry span to MLflow span");
        call->status = UNPROCESSABLE;
    }
    return call->err.code;
}

static enum ig_code read_packet(struct ig_trace_spans_batch *batch, struct packet *packet,
                                struct ig_call *call)
{
    struct ig_trace_span *spans = NULL;
    size_t groups = 0;
    if (open_packet(packet, call) != IG_OK) return call->err.code;
    if (packet->json) {
        if (ig_otlp_json_to_proto(&packet->proto, packet->body, call->arena, &call->err) != IG_OK)
            return explain(call);
        packet->body = ig_buf_view(&packet->proto);
    }
    if (ig_otlp_read(&spans, &batch->count, &groups, packet->body, call->arena, &call->err) !=
        IG_OK)
        return explain(call);
    if (!groups)
        return ig_fail(&call->err, IG_INVALID, "Invalid OpenTelemetry format - no spans found");
    batch->spans = spans;
    return IG_OK;
}

static enum ig_code take(struct ig_call *call, struct packet *packet)
{
    const struct ig_http_request *http = &call->exchange->request;
    struct ig_str experiment = ig_http_header(http, IG_STR("x-mlflow-experiment-id"));
    struct ig_trace_spans_batch batch = {.run = ig_http_header(http, IG_STR("x-mlflow-run-id"))};
    if (!experiment.len) {
        call->status = UNPROCESSABLE;
        return ig_fail(&call->err, IG_INVALID, "header x-mlflow-experiment-id: Field required");
    }
    if (read_packet(&batch, packet, call) != IG_OK ||
        ig_tracking_experiment_id(&batch.experiment, experiment, &call->err) != IG_OK)
        return call->err.code;
    return ig_trace_spans_put(call->app->db, &batch, call->arena, &call->err);
}

enum ig_code ig_mlflow_spans_put(struct ig_call *call)
{
    struct packet packet = {.json = false};
    ig_buf_init(&packet.unpacked, UNPACKED_MAX);
    ig_buf_init(&packet.proto, UNPACKED_MAX);
    if (take(call, &packet) == IG_OK) {
        call->exchange->content_type = packet.json ? "application/json" : "application/x-protobuf";
        if (packet.json) ig_buf_add_cstr(&call->exchange->reply, "{}");
    }
    ig_buf_deinit(&packet.unpacked);
    ig_buf_deinit(&packet.proto);
    return call->err.code;
}

/* ---- out ---- */

static enum ig_code write_whole(struct ig_json_out *out, struct ig_call *call,
                                const struct ig_tracking_trace *trace,
                                const struct ig_trace_spans *spans)
{
    ig_json_out_object(out);
    ig_json_out_key(out, IG_STR("trace_info"));
    ig_mlflow_write_trace(out, trace);
    if (spans->count) {
        ig_json_out_key(out, IG_STR("spans"));
        ig_json_out_array(out);
        for (size_t i = 0; call->err.code == IG_OK && i < spans->count; i++)
            ig_span_json_write(out, spans->contents[i], call->arena, &call->err);
        ig_json_out_array_end(out);
    }
    ig_json_out_object_end(out);
    if (out->buf->overflowed && call->err.code == IG_OK)
        ig_fail(&call->err, IG_TOO_LARGE, "traces: larger than a reply may be");
    return call->err.code;
}

enum ig_code ig_mlflow_trace_whole(struct ig_call *call)
{
    struct ig_trace_spans spans;
    struct ig_tracking_trace trace;
    struct ig_json_out out;
    struct ig_str id = IG_STR("");
    bool partial = false;
    const struct ig_mlflow_field fields[] = {{"trace_id", IG_MLFLOW_TEXT, &id, true},
                                             {"allow_partial", IG_MLFLOW_BOOL, &partial, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK ||
        ig_trace_spans_read(&spans, call->app->db, id, call->arena, &call->err) != IG_OK)
        return call->err.code;
    if (!spans.here)
        return ig_fail(&call->err, IG_INVALID, "Trace data not stored in tracking store");
    if (!partial && (!spans.count || !spans.whole))
        return ig_fail(&call->err, IG_NOT_FOUND,
                       "Trace with ID %.*s is not fully exported yet, please try again later.",
                       IG_STR_ARGS(id));
    if (ig_tracking_trace_get(&trace, call->app->db, id, call->arena, &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("trace"));
    if (write_whole(&out, call, &trace, &spans) != IG_OK) return call->err.code;
    ig_json_out_object_end(&out);
    return IG_OK;
}

/* Those that are there with all their spans. */
enum ig_code ig_mlflow_traces_whole(struct ig_call *call)
{
    struct ig_mlflow_texts ids = {0};
    struct ig_json_out out;
    const struct ig_mlflow_field fields[] = {{"trace_ids", IG_MLFLOW_TEXTS, &ids, true}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (ids.count > WHOLE_TRACES_MAX)
        return ig_fail(&call->err, IG_INVALID, "trace_ids: %zu given, expected at most %d",
                       ids.count, WHOLE_TRACES_MAX);
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("traces"));
    ig_json_out_array(&out);
    for (size_t i = 0; call->err.code == IG_OK && i < ids.count; i++) {
        struct ig_trace_spans spans;
        struct ig_tracking_trace trace;
        bool found = ig_trace_spans_read(&spans, call->app->db, ids.items[i], call->arena,
                                         &call->err) == IG_OK &&
                     ig_tracking_trace_get(&trace, call->app->db, ids.items[i], call->arena,
                                           &call->err) == IG_OK;
        if (call->err.code == IG_NOT_FOUND) ig_err_clear(&call->err);
        if (found && spans.here && spans.whole && spans.count)
            write_whole(&out, call, &trace, &spans);
    }
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return call->err.code;
}
