/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_STORES_STATEMENT_TESTING_H
#define IG_STORES_STATEMENT_TESTING_H

/* For tests: single statements, to look into a database or to change it behind a service's back. */

#include "stores/db.h"
#include "stores/temp_testing.h"

struct ig_statement {
    const char *sql;
    int64_t number;
};

static inline enum ig_code ig_statement_run(struct ig_db_tx *tx, void *context,
                                            struct ig_err *failure)
{
    struct ig_statement *statement = context;
    struct ig_db_rows *rows = NULL;
    if (ig_db_query_once(&rows, tx, statement->sql, NULL, 0, failure) != IG_OK)
        return failure->code;
    while (ig_db_next(rows, failure)) statement->number = ig_db_i64(rows, 0);
    ig_db_finish(rows);
    return failure->code;
}

/* What a query for one number finds; -1 when it finds no row. */
static inline int64_t ig_statement_number(struct ig_db *from, const char *sql)
{
    struct ig_err failure = IG_ERR_INIT;
    struct ig_statement statement = {.sql = sql, .number = -1};
    if (ig_db_read(from, ig_statement_run, &statement, &failure) != IG_OK)
        fail_msg("%s: %s", sql, failure.message);
    return statement.number;
}

static inline void ig_statement_write(struct ig_db *from, const char *sql)
{
    struct ig_err failure = IG_ERR_INIT;
    struct ig_statement statement = {.sql = sql};
    if (ig_db_write(from, ig_statement_run, &statement, &failure) != IG_OK)
        fail_msg("%s: %s", sql, failure.message);
}

#endif
