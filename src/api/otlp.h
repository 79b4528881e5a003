/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_OTLP_H
#define IG_API_OTLP_H

/* OpenTelemetry's protocol (opentelemetry-proto 1.x): requests to export traces, as the spans that
 * MLflow keeps. Everything is capped, nothing recurses. Pure; thread-safe. */

#include "services/tracking/trace_spans.h"

enum {
    IG_OTLP_SPANS_MAX = 10000,     /* of one request */
    IG_OTLP_ATTRIBUTES_MAX = 1000, /* of a span, an event, a link or a resource; events and links */
    IG_OTLP_DEPTH_MAX = 16,        /* of values within values */
    IG_OTLP_SPAN_BYTES_MAX = 16 << 20,
};

/* ExportTraceServiceRequest in protobuf's bytes. Texts live in the arena or in `request`. PARSE:
 * malformed; INVALID: a span without its ids; TOO_LARGE. `groups`: resources with spans that the
 * request has, also empty ones. */
enum ig_code ig_otlp_read(struct ig_trace_span **out, size_t *count, size_t *groups,
                          struct ig_str request, struct ig_arena *arena, struct ig_err *err);
/* Appends to `out` what a request in JSON is in protobuf's bytes; members that are not known are
 * passed over. */
enum ig_code ig_otlp_json_to_proto(struct ig_buf *out, struct ig_str json, struct ig_arena *arena,
                                   struct ig_err *err);

#endif
