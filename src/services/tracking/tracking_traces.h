/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_TRACKING_TRACKING_TRACES_H
#define IG_SERVICES_TRACKING_TRACKING_TRACES_H

/* MLflow's traces: what is known of a call that a client watched. Its spans are of trace_spans.h,
 * or a file that the client puts where the tag mlflow.artifactLocation says. Errors have MLflow's
 * words.
 *
 * Deleting removes and is audited; the rest is logging. Thread-safe; worker threads only. What is
 * read lives in the caller's arena. */

#include "services/tracking/assessments.h"
#include "services/tracking/tracking.h"

enum {
    IG_TRACKING_TRACE_ID_MAX = 50,
    IG_TRACKING_TRACE_ID = 35, /* of one that is made here: "tr-" and 32 hex digits */
    IG_TRACKING_TRACES_DELETED_MAX = 1000,
    IG_TRACKING_TRACES_LINKED_MAX = 100, /* by one call */
};
#define IG_TRACKING_TRACE_NAME "mlflow.traceName"       /* the tag that is a trace's name */
#define IG_TRACKING_TRACE_SOURCE_RUN "mlflow.sourceRun" /* the metadata that is its run */

/* MLflow's numbers: 0 unspecified, 1 OK, 2 ERROR, 3 IN_PROGRESS. */
const char *ig_tracking_trace_status_name(int64_t status);
bool ig_tracking_trace_status_parse(int64_t *out, struct ig_str name);

struct ig_tracking_trace {
    struct ig_str id; /* empty: one is made */
    int64_t experiment, status, start_ms;
    int64_t duration_ms;                                        /* -1: not told */
    struct ig_str client_id, request_preview, response_preview; /* ptr NULL: not told */
    struct ig_assessments assessments;
    struct ig_tracking_pairs metadata, tags;
};
/* A trace that is there already takes what is told, and keeps the tags and metadata that are not
 * told again; of another experiment it is EXISTS. */
enum ig_code ig_tracking_trace_put(struct ig_tracking_trace *out, struct ig_db *db,
                                   const struct ig_tracking_trace *trace, struct ig_arena *arena,
                                   struct ig_err *err);
/* Its status, metadata and tags; its end is at `end_ms`. */
struct ig_tracking_trace_end {
    struct ig_str id;
    int64_t end_ms, status;
    struct ig_tracking_pairs metadata, tags;
};
enum ig_code ig_tracking_trace_end(struct ig_tracking_trace *out, struct ig_db *db,
                                   const struct ig_tracking_trace_end *end, struct ig_arena *arena,
                                   struct ig_err *err);
enum ig_code ig_tracking_trace_get(struct ig_tracking_trace *out, struct ig_db *db,
                                   struct ig_str id, struct ig_arena *arena, struct ig_err *err);
enum ig_code ig_tracking_trace_tag(struct ig_db *db, struct ig_str id, struct ig_tracking_pair tag,
                                   struct ig_err *err);
enum ig_code ig_tracking_trace_untag(struct ig_db *db, struct ig_str id, struct ig_str key,
                                     struct ig_err *err);

/* Says that traces belong to a run that did not make them; they may be there later only, since
 * clients send traces behind their program's back. */
enum ig_code ig_tracking_traces_link(struct ig_db *db, const struct ig_str *ids, size_t count,
                                     struct ig_str run, struct ig_err *err);
/* Where its files lie, as a URI. NOT_FOUND. */
enum ig_code ig_tracking_trace_place(struct ig_str *out, struct ig_db *db, struct ig_str id,
                                     struct ig_arena *arena, struct ig_err *err);

/* Deletes traces of an experiment with their files: those named, or the oldest up to a time. */
struct ig_tracking_trace_deletion {
    int64_t experiment;
    const struct ig_str *ids; /* NULL: by time */
    size_t ids_count;
    int64_t until_ms;
    size_t max; /* at most IG_TRACKING_TRACES_DELETED_MAX at once */
};
enum ig_code ig_tracking_traces_delete(size_t *count, struct ig_db *db,
                                       const struct ig_principal *who,
                                       const struct ig_tracking_trace_deletion *deletion,
                                       struct ig_arena *arena, struct ig_err *err);

#endif
