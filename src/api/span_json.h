/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_SPAN_JSON_H
#define IG_API_SPAN_JSON_H

#include "base/json.h"

/* Writes a span that is kept as MLflow's clients write it into files (`content`) as OpenTelemetry's
 * Span in protobuf's JSON. CORRUPT when it is none. Pure. */
enum ig_code ig_span_json_write(struct ig_json_out *out, struct ig_str content,
                                struct ig_arena *arena, struct ig_err *err);

#endif
