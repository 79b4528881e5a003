/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_MLFLOW_REQUEST_H
#define IG_API_MLFLOW_REQUEST_H

/* Arguments of MLflow's requests, in JSON or, for GET, in the query, as protobuf's JSON has them:
 * whole numbers and doubles as numbers or strings ("NaN", "Infinity"), null as absent, unknown
 * members passed over, the last of members given twice. Errors have MLflow's words. */

#include "api/call.h"
#include "services/tracking/tracking.h"

#define IG_MLFLOW_VERSION "3.17.2" /* of the server whose behaviour this is: clients ask */

struct ig_mlflow_texts {
    struct ig_str *items;
    size_t count, cap;
};

struct ig_mlflow_field {
    const char *name; /* "run_id" is also taken as "run_uuid" */
    enum {
        IG_MLFLOW_TEXT,
        IG_MLFLOW_WORD, /* an enumeration's name or number, as a text */
        IG_MLFLOW_I64,
        IG_MLFLOW_F64,
        IG_MLFLOW_BOOL,
        IG_MLFLOW_TEXTS,    /* ["text"]; in a query the name given again */
        IG_MLFLOW_PAIRS,    /* [{"key", "value"}] */
        IG_MLFLOW_DATASETS, /* [{"dataset": {"name", "digest", ...}, "tags"}] */
        IG_MLFLOW_MODELS,   /* [{"model_id", "step"}] */
        IG_MLFLOW_PARTS,    /* [{"part_number", "etag"}] of uploads */
        IG_MLFLOW_METRICS,  /* [{"key", "value", "timestamp", "step"}] */
        IG_MLFLOW_EVENTS,   /* [{"entity", "action"}], of webhooks: pairs of these words */
        IG_MLFLOW_EVENT,    /* one of them: a pair, ptr NULL when absent */
    } kind;
    /* struct ig_str *, int64_t *, double *, bool *, struct ig_mlflow_texts *; to pairs, datasets,
     * metrics or uses of models of services/tracking. Stays as it is when absent. */
    void *out;
    bool required; /* an empty text is missing as well */
};
enum { IG_MLFLOW_FIELDS_MAX = 32 };

/* Whether `name` is this field's: "trace_id", or "traceId" as protobuf's JSON has it as well. */
bool ig_mlflow_named(struct ig_str name, const char *field);
/* {"key": "value"}, which comes next. */
enum ig_code ig_mlflow_map_read(struct ig_tracking_pairs *out, struct ig_json *json,
                                const char *field);

/* Whether the arguments stand in the query (GET, HEAD), not in the body. */
bool ig_mlflow_asks_by_query(const struct ig_call *call);
/* INVALID unless the body is said to be application/json: a page of another site can send other
 * types without asking first. MEDIA_TYPE when it is compressed or not UTF-8. */
enum ig_code ig_mlflow_expect_json(struct ig_call *call);
/* From the call's query or body. Texts live as long as the call. */
enum ig_code ig_mlflow_read(struct ig_call *call, const struct ig_mlflow_field *fields,
                            size_t count);
/* From JSON: an object, or a string that holds one, as old clients send; empty counts as {}. */
enum ig_code ig_mlflow_decode(const struct ig_mlflow_field *fields, size_t count,
                              struct ig_str body, struct ig_arena *arena, struct ig_err *err);

#endif
