/* SPDX-License-Identifier: Apache-2.0 */
/* Thread rule: stateless over the store. */
#include "services/tracking/owners.h"

#include "services/tracking/tracking_check.h"

struct asked {
    const char *sql, *before, *behind; /* the id, in an error */
    struct ig_str id;
    int64_t experiment;
};

static enum ig_code read_owner(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct asked *asked = context;
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, asked->sql, IG_DB_VALUES(IG_DB_T(asked->id)), err) != IG_OK)
        return err->code;
    if (ig_db_next(rows, err))
        asked->experiment = ig_db_i64(rows, 0);
    else if (err->code == IG_OK)
        ig_fail(err, IG_NOT_FOUND, "%s%.*s%s", asked->before,
                IG_STR_ARGS(ig_tracking_cut(asked->id, 100)), asked->behind);
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code ask(int64_t *experiment, struct ig_db *db, struct asked asked,
                        struct ig_err *err)
{
    if (ig_db_read(db, read_owner, &asked, err) == IG_OK) *experiment = asked.experiment;
    return err->code;
}

enum ig_code ig_tracking_owner(int64_t *experiment, struct ig_db *db, enum ig_tracking_owned kind,
                               struct ig_str id, struct ig_err *err)
{
    static const struct asked kinds[] = {
        [IG_TRACKING_OWNED_RUN] = {.sql = "select experiment from runs where id = $1",
                                   .before = "Run with id=",
                                   .behind = " not found"},
        [IG_TRACKING_OWNED_MODEL] = {.sql = "select experiment from logged_models where id = $1",
                                     .before = "Logged model with ID '",
                                     .behind = "' not found."},
        [IG_TRACKING_OWNED_TRACE] = {.sql = "select experiment from traces where id = $1",
                                     .before = "Trace with ID '",
                                     .behind = "' not found."},
    };
    struct asked asked = kinds[kind];
    asked.id = id;
    return ask(experiment, db, asked, err);
}

enum ig_code ig_tracking_owner_named(int64_t *experiment, struct ig_db *db, struct ig_str name,
                                     struct ig_err *err)
{
    const struct asked asked = {.sql = "select id from experiments where name = $1",
                                .before = "Could not find experiment with name '",
                                .behind = "'",
                                .id = name};
    return ask(experiment, db, asked, err);
}
