/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_TRACKING_ASSESSMENTS_H
#define IG_SERVICES_TRACKING_ASSESSMENTS_H

/* What people, judges and code say of a trace: feedback, expectations, and issues that it has. One
 * may stand in the place of another, which is then not valid until the first is deleted. Errors
 * have MLflow's words. Thread-safe; worker threads only. */

#include "services/tracking/tracking.h"

enum {
    IG_ASSESSMENT_TEXT_MAX = 1 << 20, /* a value, rationale, error or all metadata */
    IG_ASSESSMENTS_MAX = 1000,        /* of one trace */
};

enum ig_assessment_kind { IG_ASSESSMENT_FEEDBACK, IG_ASSESSMENT_EXPECTATION, IG_ASSESSMENT_ISSUE };
const char *ig_assessment_kind_name(enum ig_assessment_kind kind); /* "feedback" */

struct ig_assessment {
    enum ig_assessment_kind kind;
    struct ig_str id, trace; /* id empty: one is made */
    struct ig_str name;
    struct ig_str value;                                 /* JSON; of an issue {"issue_name": ...} */
    struct ig_str source_type;                           /* HUMAN */
    struct ig_str source_id, span, rationale, overrides; /* ptr NULL: none */
    struct ig_str error;                                 /* of feedback, JSON; ptr NULL: none */
    struct ig_tracking_pairs metadata;
    bool valid;
    int64_t created_ms, updated_ms; /* 0: now */
};
struct ig_assessments {
    const struct ig_assessment *items; /* as they were made */
    size_t count;
};

enum ig_code ig_assessment_create(struct ig_assessment *out, struct ig_db *db,
                                  const struct ig_assessment *assessment, struct ig_arena *arena,
                                  struct ig_err *err);
enum ig_code ig_assessment_get(struct ig_assessment *out, struct ig_db *db, struct ig_str trace,
                               struct ig_str id, struct ig_arena *arena, struct ig_err *err);

struct ig_assessment_change {
    struct ig_str trace, id;
    struct ig_str name, rationale;     /* ptr NULL: stays */
    const struct ig_assessment *value; /* NULL: stays; else its kind, value and error */
    struct ig_tracking_pairs metadata; /* go over those that are there */
};
enum ig_code ig_assessment_update(struct ig_assessment *out, struct ig_db *db,
                                  const struct ig_assessment_change *change, struct ig_arena *arena,
                                  struct ig_err *err);
/* One that is not there is no error. */
enum ig_code ig_assessment_delete(struct ig_db *db, struct ig_str trace, struct ig_str id,
                                  struct ig_err *err);

/* Traces that were kept before assessments had rows hold them as one text, MLflow's JSON list: puts
 * these into rows, a trace at a time, so it may be ended anywhere. A text that `read` refuses stays
 * and is logged. */
typedef enum ig_code ig_assessments_reader(struct ig_assessments *out, struct ig_str content,
                                           struct ig_arena *arena, struct ig_err *err);
enum ig_code ig_assessments_carry(struct ig_db *db, ig_assessments_reader *read,
                                  struct ig_err *err);

#endif
