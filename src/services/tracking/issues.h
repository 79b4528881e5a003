/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_TRACKING_ISSUES_H
#define IG_SERVICES_TRACKING_ISSUES_H

/* MLflow's issues: what is wrong with an application, as somebody found in an experiment's traces.
 * Errors have MLflow's words. Thread-safe; worker threads only. What is read lives in the caller's
 * arena. Searches: tracking_search.h. */

#include "services/tracking/tracking.h"

enum {
    IG_ISSUE_NAME_MAX = 250,
    IG_ISSUE_DESCRIPTION_MAX = 65535,
    IG_ISSUE_USER_MAX = 255,
    IG_ISSUE_LIST_MAX = 100, /* texts of one list */
};

struct ig_issue_texts {
    const struct ig_str *items;
    size_t count;
};
struct ig_issue {
    struct ig_str id, name, description;
    struct ig_str status;                 /* "pending", "rejected", "resolved" */
    struct ig_str severity;               /* "not_an_issue", "low", "medium", "high"; or empty */
    struct ig_str source_run, created_by; /* or empty */
    struct ig_issue_texts causes, categories;
    int64_t experiment, created_ms, updated_ms;
    int64_t traces_count; /* that have it as an assessment */
};
/* Makes one of what is told; an empty status is "pending". The experiment is active, the run there.
 */
enum ig_code ig_issue_create(struct ig_issue *out, struct ig_db *db, const struct ig_issue *spec,
                             struct ig_arena *arena, struct ig_err *err);
enum ig_code ig_issue_get(struct ig_issue *out, struct ig_db *db, struct ig_str id,
                          struct ig_arena *arena, struct ig_err *err);
/* Of spec->id: name, description, status and severity, where they are not empty. */
enum ig_code ig_issue_update(struct ig_issue *out, struct ig_db *db, const struct ig_issue *spec,
                             struct ig_arena *arena, struct ig_err *err);

#endif
