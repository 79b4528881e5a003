/* SPDX-License-Identifier: Apache-2.0 */
/* Job directories have an end: those of jobs that ended more than keep_days ago are removed at
 * open. Rows stay, and so does a directory that no row names. Thread rule: before the supervisor
 * runs. */
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "services/job/job_priv.h"

#include <string.h>

static const int64_t DAY_MS = 24 * 3600 * 1000;

static void forget(const struct ig_jobs *jobs, const char *id)
{
    struct ig_err err = IG_ERR_INIT;
    if (ig_dir_remove_tree(jobs->root, id, &err) != IG_OK)
        ig_log_err(IG_LOG_WARN, "old job's directory", &err);
}

static enum ig_code forget_old(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct ig_jobs *jobs = context;
    struct ig_db_rows *rows = NULL;
    int64_t before = ig_clock_unix_ms() - (int64_t)jobs->options.keep_days * DAY_MS;
    enum ig_code code = ig_db_query(
        &rows, tx, "select id from jobs where state <> $1 and state <> $2 and finished_ms < $3",
        IG_DB_VALUES(IG_DB_I(IG_JOB_QUEUED), IG_DB_I(IG_JOB_RUNNING), IG_DB_I(before)), err);
    while (code == IG_OK && ig_db_next(rows, err)) {
        char id[IG_ID_SIZE];
        struct ig_str text = ig_db_text(rows, 0);
        if (text.len != sizeof id - 1) continue;
        memcpy(id, text.ptr, text.len);
        id[text.len] = 0;
        forget(jobs, id);
    }
    ig_db_finish(rows);
    return err->code;
}

enum ig_code ig_jobs_forget_old(struct ig_jobs *jobs, struct ig_err *err)
{
    if (!jobs->options.keep_days) return IG_OK;
    return ig_db_read(jobs->options.db, forget_old, jobs, err);
}
