/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_MLFLOW_TRACES_H
#define IG_API_MLFLOW_TRACES_H

/* Traces in MLflow's JSON. */

#include "api/call.h"
#include "base/json.h"
#include "services/tracking/tracking_traces.h"

/* As clients 3.x know it, and 2.x. */
void ig_mlflow_write_trace(struct ig_json_out *out, const struct ig_tracking_trace *trace);
void ig_mlflow_write_trace_v2(struct ig_json_out *out, const struct ig_tracking_trace *trace);

/* Protobuf's times as JSON: RFC 3339, and seconds with an "s". */
bool ig_mlflow_time_parse(int64_t *unix_ms, struct ig_str text);
bool ig_mlflow_duration_parse(int64_t *ms, struct ig_str text);
/* Which trace a request to keep one is about, and of which experiment it says that it is. */
enum ig_code ig_mlflow_trace_named(struct ig_str *id, struct ig_str *experiment,
                                   struct ig_call *call);

#endif
