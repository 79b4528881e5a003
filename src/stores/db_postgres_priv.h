/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_STORES_DB_POSTGRES_PRIV_H
#define IG_STORES_DB_POSTGRES_PRIV_H

/* What the files of the PostgreSQL driver share. */

#include "base/random.h"
#include "stores/db_priv.h"

#include <libpq-fe.h>

/* ---- the library, loaded when the first PostgreSQL database is opened ---- */

#define PG_FUNCTIONS(use)                                                                          \
    use(PQconnectdbParams) use(PQfinish) use(PQstatus) use(PQerrorMessage) use(PQconsumeInput)     \
        use(PQserverVersion) use(PQparameterStatus) use(PQtransactionStatus) use(PQexec)           \
            use(PQprepare) use(PQsendQueryPrepared) use(PQsetSingleRowMode) use(PQgetResult)       \
                use(PQresultStatus) use(PQresultErrorField) use(PQcmdStatus) use(PQcmdTuples)      \
                    use(PQntuples) use(PQnfields) use(PQftype) use(PQgetvalue) use(PQgetlength)    \
                        use(PQgetisnull) use(PQclear) use(PQconninfoParse) use(PQconninfoFree)     \
                            use(PQfreemem) use(PQsetNoticeProcessor)

struct pg_api {
#define PG_FUNCTION(name) __typeof__(name) *name;
    PG_FUNCTIONS(PG_FUNCTION)
#undef PG_FUNCTION
};

/* One a process, never unloaded. UNSUPPORTED when it is not installed. */
enum ig_code pg_library_get(const struct pg_api **out, struct ig_err *err);

/* ---- the dialect ---- */

/* The text for PostgreSQL of a text in the common dialect; `schema` for migrations, where types
 * stand. NO_MEMORY past the buffer's maximum. */
bool pg_is_plain(const char *sql, bool schema); /* it stays as it is, if this says so */
enum ig_code pg_render(struct ig_buf *out, const char *sql, bool schema, struct ig_err *err);

/* ---- a session ---- */

enum { PG_STATEMENTS_MAX = 256, PG_KINDS = 12 }; /* 21 values a word */

struct pg_statement {
    const char *sql;
    uint64_t kinds[PG_KINDS]; /* of the values that it was prepared for */
};

struct ig_db_conn {
    const struct pg_api *api;
    const struct ig_db_place *place;
    PGconn *handle; /* NULL or bad: made anew when next needed */
    bool writer;
    bool unseen;               /* no query of the running transaction was answered */
    bool waited;               /* a call has waited for the server in vain since it went away */
    struct pg_rows *streaming; /* those that are still arriving */
    int64_t changes;
    int statements_count;
    struct pg_statement statements[PG_STATEMENTS_MAX]; /* prepared as "s0", "s1", ... */
    /* The writer's mark in the table ig_writer. */
    char owner[IG_ID_SIZE];
    uint64_t batch, batch_kept;
};

enum ig_code pg_session_open(struct ig_db_conn *conn, struct ig_err *err);
void pg_session_close(struct ig_db_conn *conn);
bool pg_session_lost(const struct ig_db_conn *conn);
enum ig_code pg_session_begin(struct ig_db_conn *conn, struct ig_err *err);
enum ig_code pg_session_commit(struct ig_db_conn *conn, struct ig_err *err);
void pg_session_idle(struct ig_db_conn *conn);
/* Runs a text without parameters as it stands; *result, when asked for, is the caller's. */
enum ig_code pg_session_run(PGresult **result, struct ig_db_conn *conn, const char *sql,
                            struct ig_err *err);
/* Fills err from a failed result (NULL: the connection's own word), by SQLSTATE. */
enum ig_code pg_session_fail(struct ig_db_conn *conn, const PGresult *result, const char *sql,
                             struct ig_err *err);

/* ---- rows ---- */

/* Types by their numbers in pg_type.dat, which never change. */
enum {
    PG_BOOL = 16,
    PG_BYTEA = 17,
    PG_INT8 = 20,
    PG_INT4 = 23,
    PG_TEXT = 25,
    PG_FLOAT8 = 701,
    PG_UNKNOWN = 705,
    PG_VARCHAR = 1043
};

struct pg_rows {
    struct ig_db_rows rows; /* first: it is what callers hold */
    struct ig_db_conn *conn;
    const char *sql;
    PGresult *result; /* the current row */
    PGresult *ahead;  /* the first, until it is asked for */
    PGresult **kept;  /* those that were taken in for another statement's sake */
    size_t kept_count, kept_room, kept_next;
    struct ig_err err; /* what befell while they were taken in */
    bool over;         /* nothing more arrives */
};

/* After the statement was sent; `rows` is zeroed but for its driver, connection and err. On failure
 * only pg_rows_finish may follow, or another start. `sql` stays until the end of the rows. */
enum ig_code pg_rows_start(struct pg_rows *rows, const char *sql, struct ig_err *err);
/* Makes the connection free for another statement. */
void pg_rows_absorb(struct ig_db_conn *conn);
bool pg_rows_next(struct ig_db_rows *rows, struct ig_err *err);
void pg_rows_finish(struct ig_db_rows *rows);
int64_t pg_rows_i64(struct ig_db_rows *rows, int column);
double pg_rows_f64(struct ig_db_rows *rows, int column);
struct ig_str pg_rows_text(struct ig_db_rows *rows, int column);
bool pg_rows_is_null(struct ig_db_rows *rows, int column);

#endif
