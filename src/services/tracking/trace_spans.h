/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_TRACKING_TRACE_SPANS_H
#define IG_SERVICES_TRACKING_TRACE_SPANS_H

/* Spans of traces that are kept here, not in a file of the client's. The first span makes its
 * trace; what a client tells of the trace itself goes over what spans say of it. Thread-safe;
 * worker threads only. */

#include "services/tracking/tracking_traces.h"

enum { IG_TRACE_SPANS_MAX = 10000 /* of one trace */ };
#define IG_TRACE_SPANS_TAG "mlflow.trace.spansLocation" /* TRACKING_STORE: they are here */

enum ig_trace_tokens {
    IG_TRACE_INPUT_TOKENS,
    IG_TRACE_OUTPUT_TOKENS,
    IG_TRACE_TOTAL_TOKENS,
    IG_TRACE_CACHE_READ_TOKENS,
    IG_TRACE_CACHE_CREATION_TOKENS,
    IG_TRACE_TOKENS_COUNT,
};
enum ig_trace_costs {
    IG_TRACE_INPUT_COST,
    IG_TRACE_OUTPUT_COST,
    IG_TRACE_TOTAL_COST,
    IG_TRACE_COSTS_COUNT,
};

struct ig_trace_span {
    struct ig_str trace, id;    /* "tr-" and 32 hex digits; 16 hex digits */
    struct ig_str parent, type; /* ptr NULL: none */
    struct ig_str name, status; /* UNSET, OK or ERROR */
    int64_t start_ns, end_ns;   /* 0: not over */
    struct ig_str inputs, outputs, model, provider, session, user; /* ptr NULL: not told */
    int64_t tokens[IG_TRACE_TOKENS_COUNT];                         /* -1: not told */
    double costs[IG_TRACE_COSTS_COUNT];                            /* NaN: not told */
    struct ig_tracking_pairs tags;                                 /* for the trace */
    struct ig_str content; /* JSON, as MLflow's clients write spans into files */
};
struct ig_trace_spans_batch {
    int64_t experiment; /* of traces that are not there yet */
    struct ig_str run;  /* that the traces are of whose root is among the spans; or empty */
    const struct ig_trace_span *spans;
    size_t count;
};
/* All or none. A span that is there already is replaced. */
enum ig_code ig_trace_spans_put(struct ig_db *db, const struct ig_trace_spans_batch *batch,
                                struct ig_arena *arena, struct ig_err *err);

struct ig_trace_spans {
    struct ig_str *contents; /* the root first, then by start */
    size_t count;
    bool here;  /* false: they are a file of the client's, if anywhere */
    bool whole; /* as many as the client said that there are */
};
/* NOT_FOUND when there is no such trace. */
enum ig_code ig_trace_spans_read(struct ig_trace_spans *out, struct ig_db *db, struct ig_str trace,
                                 struct ig_arena *arena, struct ig_err *err);

#endif
