/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to PostgreSQL: opening it, the lock that keeps a second server out, and going on
 * after it was lost.
 *
 * 1. The writer's session holds an advisory lock on the schema. Whoever has it puts its own name
 *    into the one row of ig_writer; each transaction of a writer begins with numbering that row, if
 *    the name is still there. So a writer that lost its session, and with it the lock, to another
 *    server finds that out before it writes again, and the process ends: what it has in memory is
 *    the past.
 * 2. When the session is lost during a commit, the number in ig_writer tells whether the commit
 *    was kept. The lock is taken anew first: while the old session may still commit, it has it.
 * 3. A connection that is found lost where nothing was done with it is made anew unseen; the first
 *    call that finds it so waits for the server for a while, those after it only try.
 *
 * Thread rule: as its connection, a thread at a time. */
#include "stores/db_postgres_priv.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* LOCK_MS: a server that was killed has its session end a moment later. */
enum { RETRY_MS = 50, LOCK_MS = 1500, REOPEN_MS = 5000, VERIFY_MS = 30000, VERSION_LEAST = 120000 };

static _Noreturn void die(const char *why)
{
    fprintf(stderr, "ingot: %s: stopping, since what this server knows may be out of date\n", why);
    abort();
}

/* ---- errors ---- */

static enum ig_code map_state(const struct ig_db_conn *conn, const char *state)
{
    static const struct {
        const char *prefix;
        enum ig_code code;
    } table[] = {
        {"23505", IG_EXISTS},    {"23503", IG_CONFLICT},  {"23001", IG_CONFLICT},
        {"53100", IG_EXHAUSTED}, {"53200", IG_NO_MEMORY}, {"53", IG_UNAVAILABLE},
        {"08", IG_UNAVAILABLE},  {"40", IG_UNAVAILABLE},  {"55P03", IG_UNAVAILABLE},
        {"57", IG_UNAVAILABLE},  {"22021", IG_INVALID},   {"22P05", IG_INVALID},
        {"54000", IG_TOO_LARGE}, {"58", IG_IO},           {"XX001", IG_CORRUPT},
        {"XX002", IG_CORRUPT},
    };
    /* A primary that became a standby; a reader is read-only by itself. */
    if (strcmp(state, "25006") == 0) return conn->writer ? IG_UNAVAILABLE : IG_IO;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strncmp(state, table[i].prefix, strlen(table[i].prefix)) == 0) return table[i].code;
    return IG_INTERNAL;
}

bool pg_session_lost(const struct ig_db_conn *conn)
{
    return !conn->handle || conn->api->PQstatus(conn->handle) != CONNECTION_OK;
}

/* libpq may hold a connection for good when a write to it has failed; what it says itself has no
 * state of the server's. */
static bool is_loss(const struct ig_db_conn *conn, const char *state)
{
    return pg_session_lost(conn) || !state || strncmp(state, "57P0", 4) == 0 ||
           strncmp(state, "08", 2) == 0;
}

enum ig_code pg_session_fail(struct ig_db_conn *conn, const PGresult *result, const char *sql,
                             struct ig_err *err)
{
    const struct pg_api *api = conn->api;
    const char *state = result ? api->PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *why = result ? api->PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    if (!why) why = conn->handle ? api->PQerrorMessage(conn->handle) : "not connected";
    int length = (int)strcspn(why, "\n");
    if (!is_loss(conn, state))
        return ig_fail(err, map_state(conn, state), "database: %.*s (in \"%.60s\")",
                       length > 300 ? 300 : length, why, sql);
    ig_fail(err, IG_UNAVAILABLE,
            "database: the connection was lost, nothing of this call was kept: %.*s",
            length > 200 ? 200 : length, why);
    pg_session_close(conn);
    return err->code;
}

enum ig_code pg_session_run(PGresult **result, struct ig_db_conn *conn, const char *sql,
                            struct ig_err *err)
{
    pg_rows_absorb(conn);
    PGresult *answer = conn->handle ? conn->api->PQexec(conn->handle, sql) : NULL;
    ExecStatusType status = conn->api->PQresultStatus(answer);
    enum ig_code code = IG_OK;
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_EMPTY_QUERY)
        code = pg_session_fail(conn, answer, sql, err);
    if (result && code == IG_OK)
        *result = answer;
    else
        conn->api->PQclear(answer);
    return code;
}

/* The first column of the first row as text, "" without one. */
static enum ig_code ask(char *out, size_t size, struct ig_db_conn *conn, const char *sql,
                        struct ig_err *err)
{
    PGresult *result = NULL;
    if (pg_session_run(&result, conn, sql, err) != IG_OK) return err->code;
    bool any = conn->api->PQntuples(result) > 0;
    snprintf(out, size, "%s", any ? conn->api->PQgetvalue(result, 0, 0) : "");
    conn->api->PQclear(result);
    return IG_OK;
}

/* ---- connecting ---- */

static void log_notice(void *context, const char *message)
{
    (void)context;
    ig_log(IG_LOG_WARN, "postgresql",
           IG_LOG_S("notice", ((struct ig_str){message, strcspn(message, "\n")})));
}

/* Texts of libpq about an URL that it does not understand may hold pieces of a password. */
static enum ig_code check_url(const struct pg_api *api, const char *url, struct ig_err *err)
{
    char *unused = NULL;
    PQconninfoOption *options = api->PQconninfoParse(url, &unused);
    api->PQfreemem(unused);
    if (!options)
        return ig_fail(err, IG_INVALID,
                       "database: not an URL of the form "
                       "postgresql://USER:PASSWORD@HOST:PORT/DATABASE?OPTION=VALUE; special "
                       "characters are written as %%40 (@), %%2F (/), %%25 (%%)");
    const char *host = "";
    for (PQconninfoOption *option = options; option->keyword; option++)
        if (strcmp(option->keyword, "host") == 0 && option->val) host = option->val;
    bool good = !strchr(host, '@');
    api->PQconninfoFree(options);
    if (good) return IG_OK;
    return ig_fail(err, IG_INVALID,
                   "database: two '@' before the host: in a user's name or password it is %%40");
}

static void connect_now(struct ig_db_conn *conn)
{
    char host[65] = "", name[128];
    const char *password = conn->place->password;
    gethostname(host, sizeof host - 1);
    snprintf(name, sizeof name, "ingot process %ld on %s", (long)getpid(), host);
    /* What stands before dbname are defaults that the URL goes over. */
    const char *const keywords[] = {
        "connect_timeout",  "keepalives_idle", "keepalives_interval",        "keepalives_count",
        "tcp_user_timeout", "gssencmode",      "fallback_application_name",  "target_session_attrs",
        "dbname",           "client_encoding", password ? "password" : NULL, NULL};
    const char *const values[] = {
        "10",   "10",     "5", "3", "30000", "disable", name, "read-write", conn->place->url,
        "UTF8", password, NULL};
    conn->handle = conn->api->PQconnectdbParams(keywords, values, 1);
    conn->statements_count = 0;
}

static enum ig_code check_server(struct ig_db_conn *conn, struct ig_err *err)
{
    const char *encoding = conn->api->PQparameterStatus(conn->handle, "server_encoding");
    int version = conn->api->PQserverVersion(conn->handle);
    if (version < VERSION_LEAST)
        return ig_fail(err, IG_UNSUPPORTED, "database: PostgreSQL %d, 12 or later is needed",
                       version / 10000);
    if (!encoding || strcmp(encoding, "UTF8") != 0)
        return ig_fail(err, IG_UNSUPPORTED, "database: its encoding is %s, UTF8 is needed",
                       encoding ? encoding : "unknown");
    return IG_OK;
}

/* No time limit of the database or the role may end the session that holds the lock; a commit is
 * on the disk when it is told. */
static enum ig_code set_up(struct ig_db_conn *conn, struct ig_err *err)
{
    static const char common[] =
        "set statement_timeout = 0; set lock_timeout = 0;"
        " set idle_in_transaction_session_timeout = 0; set standard_conforming_strings = on;"
        " set client_min_messages = warning; set tcp_keepalives_idle = 10;"
        " set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3;"
        " select set_config('synchronous_commit', 'on', false)"
        " where current_setting('synchronous_commit') = 'off';"
        " select set_config('idle_session_timeout', '0', false) from pg_settings"
        " where name = 'idle_session_timeout';";
    if (check_server(conn, err) != IG_OK || pg_session_run(NULL, conn, common, err) != IG_OK)
        return err->code;
    return pg_session_run(NULL, conn,
                          conn->writer ? "set session characteristics as transaction isolation"
                                         " level read committed, read write"
                                       : "set session characteristics as transaction isolation"
                                         " level repeatable read, read only",
                          err);
}

static enum ig_code connect_once(struct ig_db_conn *conn, struct ig_err *err)
{
    pg_session_close(conn);
    connect_now(conn);
    if (!conn->handle) return ig_fail(err, IG_NO_MEMORY, "database connection");
    if (pg_session_lost(conn)) {
        const char *why = conn->api->PQerrorMessage(conn->handle);
        return ig_fail(err, IG_UNAVAILABLE, "database: %.*s", (int)strcspn(why, "\n"), why);
    }
    conn->api->PQsetNoticeProcessor(conn->handle, log_notice, NULL);
    return set_up(conn, err);
}

/* A schema that the URL names and that is not there yet. */
static enum ig_code make_schema(struct ig_db_conn *conn, struct ig_err *err)
{
    char path[256], sql[320];
    if (ask(path, sizeof path, conn,
            "select case when current_schema() is null then current_setting('search_path')"
            " else '' end",
            err) != IG_OK)
        return err->code;
    path[strcspn(path, ",")] = '\0';
    if (!path[0]) return IG_OK;
    snprintf(sql, sizeof sql, "create schema %s", path);
    return pg_session_run(NULL, conn, sql, err);
}

/* ---- the lock ---- */

#define LOCK_KEY                                                                                   \
    "(1768843119::bigint << 32) | (select oid from pg_namespace where nspname = current_schema())" \
    "::bigint"

static enum ig_code fail_locked(struct ig_db_conn *conn, struct ig_err *err)
{
    struct ig_err ignored = IG_ERR_INIT;
    char holder[160] = "";
    ask(holder, sizeof holder, conn,
        "select application_name from pg_locks l join pg_stat_activity a on a.pid = l.pid"
        " where l.locktype = 'advisory' and l.granted and l.classid = 1768843119"
        " and l.objid = (select oid from pg_namespace where nspname = current_schema())"
        " and l.database = (select oid from pg_database where datname = current_database())",
        &ignored);
    return ig_fail(err, IG_CONFLICT, "database is in use by another server (%s)",
                   holder[0] ? holder : "unknown");
}

static enum ig_code take_lock(struct ig_db_conn *conn, uint64_t until_ns, struct ig_err *err)
{
    char got[8] = "";
    for (;;) {
        if (ask(got, sizeof got, conn, "select pg_try_advisory_lock(" LOCK_KEY ")", err) != IG_OK)
            return err->code;
        if (got[0] == 't') return IG_OK;
        if (ig_clock_ns() >= until_ns) return fail_locked(conn, err);
        usleep(RETRY_MS * 1000);
    }
}

/* The owner's name is of letters and digits. */
static enum ig_code sign_in(struct ig_db_conn *conn, struct ig_err *err)
{
    char sql[320];
    ig_id_new(conn->owner);
    conn->batch = 0;
    snprintf(sql, sizeof sql,
             "create table if not exists ig_writer"
             " (one bigint primary key, owner text not null, batch bigint not null);"
             " insert into ig_writer(one, owner, batch) values(1, '%s', 0)"
             " on conflict (one) do update set owner = excluded.owner, batch = 0",
             conn->owner);
    return pg_session_run(NULL, conn, sql, err);
}

static enum ig_code check_owner(struct ig_db_conn *conn, struct ig_err *err)
{
    char sql[128], batch[32] = "";
    snprintf(sql, sizeof sql, "select batch from ig_writer where owner = '%s'", conn->owner);
    if (ask(batch, sizeof batch, conn, sql, err) != IG_OK) return err->code;
    if (!batch[0]) die("another server took the database over");
    conn->batch_kept = strtoull(batch, NULL, 10);
    return IG_OK;
}

enum ig_code pg_session_open(struct ig_db_conn *conn, struct ig_err *err)
{
    uint64_t until = ig_clock_ns() + LOCK_MS * UINT64_C(1000000);
    if (check_url(conn->api, conn->place->url, err) != IG_OK) return err->code;
    if (connect_once(conn, err) != IG_OK || !conn->writer) return err->code;
    if (make_schema(conn, err) != IG_OK || take_lock(conn, until, err) != IG_OK) return err->code;
    return sign_in(conn, err);
}

void pg_session_close(struct ig_db_conn *conn)
{
    if (conn->handle) conn->api->PQfinish(conn->handle);
    conn->handle = NULL;
    conn->streaming = NULL;
}

static enum ig_code reopen_once(struct ig_db_conn *conn, struct ig_err *err)
{
    enum ig_code code = connect_once(conn, err);
    if (code == IG_OK && conn->writer) code = take_lock(conn, 0, err);
    if (code == IG_OK && conn->writer) code = check_owner(conn, err);
    if (code != IG_OK) pg_session_close(conn);
    return code;
}

/* Whatever it fails with, a later try may succeed: UNAVAILABLE. */
static enum ig_code reopen(struct ig_db_conn *conn, unsigned wait_ms, struct ig_err *err)
{
    uint64_t until = ig_clock_ns() + wait_ms * UINT64_C(1000000);
    struct ig_err last;
    do {
        last = IG_ERR_INIT;
        if (reopen_once(conn, &last) == IG_OK) {
            if (conn->writer) ig_log(IG_LOG_WARN, "database", IG_LOG_C("connection", "made anew"));
            conn->waited = false;
            return IG_OK;
        }
        if (ig_clock_ns() < until) usleep(RETRY_MS * 1000);
    } while (ig_clock_ns() < until);
    conn->waited = true;
    return ig_fail(err, IG_UNAVAILABLE, "database cannot be reached, try again: %s", last.message);
}

/* ---- transactions ---- */

static enum ig_code begin_once(struct ig_db_conn *conn, struct ig_err *err)
{
    char sql[160];
    PGresult *result = NULL;
    if (!conn->writer) return pg_session_run(NULL, conn, "begin", err);
    snprintf(sql, sizeof sql, "begin; update ig_writer set batch = %llu where owner = '%s'",
             (unsigned long long)++conn->batch, conn->owner);
    if (pg_session_run(&result, conn, sql, err) != IG_OK) return err->code;
    if (strcmp(conn->api->PQcmdTuples(result), "1") != 0)
        die("another server took the database over");
    conn->api->PQclear(result);
    return IG_OK;
}

enum ig_code pg_session_begin(struct ig_db_conn *conn, struct ig_err *err)
{
    struct ig_err first = IG_ERR_INIT;
    conn->unseen = true;
    if (!pg_session_lost(conn) && begin_once(conn, &first) == IG_OK) return IG_OK;
    if (!pg_session_lost(conn)) return ig_fail(err, first.code, "%s", first.message);
    if (reopen(conn, conn->waited ? 0 : REOPEN_MS, err) != IG_OK) return err->code;
    return begin_once(conn, err);
}

/* The session was lost at the commit: was it kept? */
static enum ig_code settle(struct ig_db_conn *conn, struct ig_err *err)
{
    struct ig_err why = IG_ERR_INIT;
    if (reopen(conn, VERIFY_MS, &why) != IG_OK)
        return ig_fail(err, IG_UNAVAILABLE,
                       "database: the connection was lost during the commit; whether this write "
                       "was kept is not known, look before repeating it");
    if (conn->batch_kept == conn->batch) return IG_OK;
    return ig_fail(err, IG_UNAVAILABLE,
                   "database: the connection was lost before the commit, nothing of this write was "
                   "kept: try again");
}

enum ig_code pg_session_commit(struct ig_db_conn *conn, struct ig_err *err)
{
    struct ig_err local = IG_ERR_INIT;
    PGresult *result = NULL;
    if (pg_session_run(&result, conn, "commit", &local) == IG_OK) {
        bool kept = strcmp(conn->api->PQcmdStatus(result), "COMMIT") == 0;
        conn->api->PQclear(result);
        if (kept) return IG_OK;
        return ig_fail(err, IG_INTERNAL, "database: the transaction was rolled back");
    }
    if (pg_session_lost(conn)) return settle(conn, err);
    return ig_fail(err, local.code, "%s", local.message);
}

void pg_session_idle(struct ig_db_conn *conn)
{
    struct ig_err err = IG_ERR_INIT;
    bool known = conn->waited;
    if (!pg_session_lost(conn) && conn->api->PQconsumeInput(conn->handle) == 1 &&
        !pg_session_lost(conn))
        return;
    if (reopen(conn, 0, &err) != IG_OK && !known) ig_log_err(IG_LOG_ERROR, "database", &err);
}
