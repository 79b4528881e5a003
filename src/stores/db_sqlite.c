/* SPDX-License-Identifier: Apache-2.0 */
/* The SQLite driver: ingot.db in the data directory, WAL, synchronous=FULL.
 *
 * 1. Debian's 3.40.1 can lose commits when one connection writes while another checkpoints
 *    (sqlite.org/wal.html#walresetbug): automatic checkpoints are off on every connection, so is
 *    the one at close; only the writer's connection ever checkpoints.
 * 2. Nothing here opens or closes the database file itself: that would drop SQLite's locks.
 * 3. After a failed fsync the page cache can no longer be trusted, and no retry helps ("Can
 *    applications recover from fsync failures?", ATC 2020): the process ends.
 * 4. Statements are prepared once a connection and kept, keyed by the address of their text, but
 *    those of ig_db_query_once.
 * 5. LIKE tells capitals from small letters, as PostgreSQL's does.
 * 6. The log's file is filled with zeros ahead of its end: to sync what lies over bytes that are
 *    there is half the work of syncing a file that grows. A frame of zeros has no checksum, so to
 *    recovery the log ends before it.
 * 7. $1 is given to SQLite as ?1, whose place is its number; the name would have to be looked up.
 *
 * Thread rule: a connection belongs to one thread at a time (SQLITE_OPEN_NOMUTEX). */
#include "base/log.h"
#include "base/mem.h"
#include "stores/db_priv.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STATEMENTS_MAX = 256, PAGE_BYTES = 4096, BUSY_MS = 10000 };
enum { LOG_KEPT = 16777216, LOG_STEP = 1 << 20, LOG_AHEAD = 256 << 10, LOG_FRAME = 4096 + 24 };

struct statement {
    struct ig_db_rows rows; /* first: a statement is what callers hold */
    struct ig_db_conn *conn;
    const char *sql;
    sqlite3_stmt *handle;
    bool busy;
    bool has_row;
    bool once; /* its own allocation, gone when finished */
};

struct ig_db_conn {
    sqlite3 *handle;
    bool writer, unsynced;
    int log_pages;          /* of the WAL, as told by the last commit */
    int64_t log_file_bytes; /* of its file, at least */
    int statements_count;
    struct statement statements[STATEMENTS_MAX];
};

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "ingot: %s failed (%s): stopping, since what reached the disk is unknown\n",
            what, why);
    abort();
}

static enum ig_code map_code(int extended)
{
    switch (extended) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
        return IG_EXISTS;
    case SQLITE_CONSTRAINT_FOREIGNKEY:
    case SQLITE_CONSTRAINT_TRIGGER:
        return IG_CONFLICT;
    default:
        break;
    }
    switch (extended & 0xff) {
    case SQLITE_FULL:
        return IG_EXHAUSTED;
    case SQLITE_NOMEM:
        return IG_NO_MEMORY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return IG_CORRUPT;
    case SQLITE_BUSY:
        return IG_UNAVAILABLE;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
        return IG_IO;
    default:
        return IG_INTERNAL;
    }
}

static enum ig_code fail(struct ig_db_conn *conn, const char *sql, struct ig_err *err)
{
    int extended = sqlite3_extended_errcode(conn->handle);
    const char *why = sqlite3_errmsg(conn->handle);
    if (extended == SQLITE_IOERR_FSYNC || extended == SQLITE_IOERR_DIR_FSYNC) die("fsync", why);
    return ig_fail(err, map_code(extended), "database: %s (in \"%.60s\")", why, sql);
}

static int note_log(void *context, sqlite3 *handle, const char *name, int pages)
{
    struct ig_db_conn *conn = context;
    (void)handle;
    (void)name;
    conn->log_pages = pages;
    return SQLITE_OK;
}

static enum ig_code sqlite_script(struct ig_db_conn *conn, const char *sql, struct ig_err *err)
{
    if (sqlite3_exec(conn->handle, sql, NULL, NULL, NULL) != SQLITE_OK) return fail(conn, sql, err);
    return IG_OK;
}

static void sqlite_close(struct ig_db_conn *conn)
{
    for (int i = 0; i < conn->statements_count; i++) sqlite3_finalize(conn->statements[i].handle);
    IG_ASSERT(sqlite3_close(conn->handle) == SQLITE_OK);
    ig_free(conn);
}

/* Nobody asks SQLite how much memory it has, so it need not count it under a lock of the process.
 */
static void set_up(void)
{
    IG_ASSERT(sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) == SQLITE_OK);
}

/* The directory is reached through its descriptor, so the path given at start may move. */
static enum ig_code sqlite_open(struct ig_db_conn **out, const struct ig_db_place *place,
                                bool writer, struct ig_err *err)
{
    static const char *const settings[] = {"pragma foreign_keys=on", "pragma trusted_schema=off",
                                           "pragma temp_store=memory",
                                           "pragma case_sensitive_like=on"};
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int flags = writer ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
    char path[64];
    struct ig_db_conn *conn = ig_zalloc(sizeof *conn);
    if (!conn) return ig_fail(err, IG_NO_MEMORY, "database connection");
    conn->writer = writer;
    pthread_once(&once, set_up);
    snprintf(path, sizeof path, "/proc/self/fd/%d/ingot.db", place->dirfd);
    int result = sqlite3_open_v2(path, &conn->handle, flags | SQLITE_OPEN_NOMUTEX, NULL);
    enum ig_code code = IG_OK;
    if (!conn->handle) {
        ig_free(conn);
        return ig_fail(err, IG_NO_MEMORY, "database connection");
    }
    sqlite3_extended_result_codes(conn->handle, 1);
    if (result != SQLITE_OK) code = fail(conn, "open ingot.db", err);
    sqlite3_busy_timeout(conn->handle, BUSY_MS);
    sqlite3_wal_autocheckpoint(conn->handle, 0);
    sqlite3_db_config(conn->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_db_config(conn->handle, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    if (code == IG_OK && writer) {
        code = sqlite_script(conn, "pragma journal_mode=wal", err);
        if (code == IG_OK) code = sqlite_script(conn, "pragma synchronous=full", err);
        if (code == IG_OK) code = sqlite_script(conn, "pragma cache_size=-8192", err);
        if (code == IG_OK) code = sqlite_script(conn, "pragma journal_size_limit=16777216", err);
        sqlite3_wal_hook(conn->handle, note_log, conn);
    }
    for (size_t i = 0; code == IG_OK && i < sizeof settings / sizeof settings[0]; i++)
        code = sqlite_script(conn, settings[i], err);
    if (code == IG_OK &&
        !writer) /* the schema is read now, not by the first call that is lent it */
        code = sqlite_script(conn, "select 1 from sqlite_schema limit 0", err);
    if (code != IG_OK) {
        sqlite_close(conn);
        return code;
    }
    *out = conn;
    return IG_OK;
}

static bool sqlite_in_transaction(struct ig_db_conn *conn)
{
    return !sqlite3_get_autocommit(conn->handle);
}

/* Outside of quotes `$` stands before a parameter's number alone. */
static enum ig_code prepare(struct statement *out, struct ig_db_conn *conn, const char *sql,
                            unsigned flags, struct ig_err *err)
{
    size_t length = strlen(sql);
    char *text = ig_alloc(length + 1), quote = 0;
    if (!text) return ig_fail(err, IG_NO_MEMORY, "database statement");
    memcpy(text, sql, length + 1);
    for (char *at = text; *at; at++) {
        if (quote ? *at == quote : *at == '\'' || *at == '"') quote = quote ? 0 : *at;
        if (!quote && *at == '$') *at = '?';
    }
    if (sqlite3_prepare_v3(conn->handle, text, (int)length + 1, flags, &out->handle, NULL) !=
        SQLITE_OK)
        fail(conn, sql, err);
    ig_free(text);
    return err->code;
}

static enum ig_code find_statement(struct statement **out, struct ig_db_conn *conn, const char *sql,
                                   struct ig_err *err)
{
    for (int i = 0; i < conn->statements_count; i++) {
        struct statement *known = &conn->statements[i];
        if (known->sql == sql && !known->busy) {
            *out = known;
            return IG_OK;
        }
    }
    IG_ASSERT(conn->statements_count < STATEMENTS_MAX);
    struct statement *fresh = &conn->statements[conn->statements_count];
    enum ig_code code = prepare(fresh, conn, sql, SQLITE_PREPARE_PERSISTENT, err);
    if (code != IG_OK) return code;
    fresh->sql = sql;
    fresh->conn = conn;
    fresh->rows.driver = &ig_db_sqlite;
    conn->statements_count++;
    *out = fresh;
    return IG_OK;
}

static int bind(sqlite3_stmt *handle, int at, const struct ig_db_value *value)
{
    /* An empty view may have no pointer, which SQLite would take for NULL. */
    const char *text = value->text.ptr ? value->text.ptr : "";
    switch (value->kind) {
    case IG_DB_NULL:
        return sqlite3_bind_null(handle, at);
    case IG_DB_I64:
        return sqlite3_bind_int64(handle, at, value->integer);
    case IG_DB_F64:
        return sqlite3_bind_double(handle, at, value->real);
    case IG_DB_TEXT:
        return sqlite3_bind_text64(handle, at, text, value->text.len, SQLITE_STATIC, SQLITE_UTF8);
    case IG_DB_BYTES:
        break;
    }
    return sqlite3_bind_blob64(handle, at, text, value->text.len, SQLITE_STATIC);
}

static void sqlite_finish(struct ig_db_rows *rows)
{
    struct statement *statement = (struct statement *)rows;
    if (statement->once) {
        sqlite3_finalize(statement->handle);
        ig_free(statement);
        return;
    }
    sqlite3_reset(statement->handle);
    sqlite3_clear_bindings(statement->handle);
    statement->busy = false;
    statement->has_row = false;
}

static enum ig_code bind_all(struct statement *statement, const struct ig_db_value *values,
                             size_t values_count, struct ig_err *err)
{
    IG_ASSERT((size_t)sqlite3_bind_parameter_count(statement->handle) == values_count);
    for (size_t i = 0; i < values_count; i++)
        if (bind(statement->handle, (int)i + 1, &values[i]) != SQLITE_OK)
            return fail(statement->conn, statement->sql, err);
    return IG_OK;
}

static enum ig_code sqlite_query(struct ig_db_rows **out, struct ig_db_conn *conn, const char *sql,
                                 const struct ig_db_value *values, size_t values_count,
                                 struct ig_err *err)
{
    struct statement *statement;
    enum ig_code code = find_statement(&statement, conn, sql, err);
    if (code != IG_OK) return code;
    code = bind_all(statement, values, values_count, err);
    if (code != IG_OK) {
        sqlite_finish(&statement->rows);
        return code;
    }
    statement->busy = true;
    *out = &statement->rows;
    return IG_OK;
}

static enum ig_code sqlite_query_once(struct ig_db_rows **out, struct ig_db_conn *conn,
                                      const char *sql, const struct ig_db_value *values,
                                      size_t values_count, struct ig_err *err)
{
    struct statement *statement = ig_zalloc(sizeof *statement);
    if (!statement) return ig_fail(err, IG_NO_MEMORY, "database statement");
    *statement = (struct statement){{&ig_db_sqlite}, conn, "", NULL, true, false, true};
    if (prepare(statement, conn, sql, 0, err) != IG_OK) {
        ig_free(statement);
        return err->code;
    }
    statement->sql = sqlite3_sql(statement->handle);
    enum ig_code code = bind_all(statement, values, values_count, err);
    if (code != IG_OK) {
        sqlite_finish(&statement->rows);
        return code;
    }
    *out = &statement->rows;
    return IG_OK;
}

static bool sqlite_next(struct ig_db_rows *rows, struct ig_err *err)
{
    struct statement *statement = (struct statement *)rows;
    int result = sqlite3_step(statement->handle);
    statement->has_row = result == SQLITE_ROW;
    if (result != SQLITE_ROW && result != SQLITE_DONE) fail(statement->conn, statement->sql, err);
    return statement->has_row;
}

static enum ig_code sqlite_step(struct ig_db_conn *conn, const char *sql, struct ig_err *err)
{
    struct ig_db_rows *rows;
    struct ig_err local = IG_ERR_INIT;
    enum ig_code code = sqlite_query(&rows, conn, sql, NULL, 0, err);
    if (code != IG_OK) return code;
    sqlite_next(rows, &local);
    sqlite_finish(rows);
    return local.code == IG_OK ? IG_OK : ig_fail(err, local.code, "%s", local.message);
}

static enum ig_code sqlite_begin(struct ig_db_conn *conn, struct ig_err *err)
{
    return sqlite_step(conn, conn->writer ? "begin immediate" : "begin", err);
}

static enum ig_code sqlite_commit(struct ig_db_conn *conn, struct ig_err *err)
{
    return sqlite_step(conn, "commit", err);
}

/* A commit that is not synced is on disk with the next that is, which lies behind it in the log; a
 * power failure before that loses it alone. The pragma acts as it is prepared, so it is not kept.
 */
static enum ig_code sqlite_sync_commits(struct ig_db_conn *conn, bool sync, struct ig_err *err)
{
    if (conn->unsynced == !sync) return IG_OK;
    enum ig_code code =
        sqlite_script(conn, sync ? "pragma synchronous=full" : "pragma synchronous=normal", err);
    if (code == IG_OK) conn->unsynced = !sync;
    return code;
}

static enum ig_code sqlite_only_read(struct ig_db_conn *conn, bool only, struct ig_err *err)
{
    conn->writer = !only; /* how transactions begin */
    return sqlite_script(conn, only ? "pragma query_only=on" : "pragma query_only=off", err);
}

static int64_t sqlite_changes(struct ig_db_conn *conn)
{
    return sqlite3_changes64(conn->handle);
}

static int64_t sqlite_i64(struct ig_db_rows *rows, int column)
{
    return sqlite3_column_int64(((struct statement *)rows)->handle, column);
}

static double sqlite_f64(struct ig_db_rows *rows, int column)
{
    return sqlite3_column_double(((struct statement *)rows)->handle, column);
}

static struct ig_str sqlite_text(struct ig_db_rows *rows, int column)
{
    sqlite3_stmt *handle = ((struct statement *)rows)->handle;
    const char *text = sqlite3_column_blob(handle, column);
    return (struct ig_str){text ? text : "", (size_t)sqlite3_column_bytes(handle, column)};
}

static bool sqlite_is_null(struct ig_db_rows *rows, int column)
{
    return sqlite3_column_type(((struct statement *)rows)->handle, column) == SQLITE_NULL;
}

static uint64_t sqlite_log_bytes(struct ig_db_conn *conn)
{
    return (uint64_t)conn->log_pages * PAGE_BYTES;
}

/* What cannot be written ahead, on a full disk say, is left to the commit that needs it. */
static void sqlite_extend_log(struct ig_db_conn *conn)
{
    static const char zeros[16 << 10];
    sqlite3_file *file = NULL;
    sqlite3_int64 end;
    int64_t used = (int64_t)conn->log_pages * LOG_FRAME, until = used + LOG_STEP;
    if (!used || used + LOG_AHEAD <= conn->log_file_bytes || until > LOG_KEPT) return;
    if (sqlite3_file_control(conn->handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file) ||
        !file->pMethods || file->pMethods->xFileSize(file, &end))
        return;
    conn->log_file_bytes = until;
    if (end >= until) return;
    while (end < until && file->pMethods->xWrite(file, zeros, sizeof zeros, end) == SQLITE_OK)
        end += (sqlite3_int64)sizeof zeros;
    if (file->pMethods->xSync(file, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY) != SQLITE_OK)
        die("fsync", "log");
}

static enum ig_code sqlite_checkpoint(struct ig_db_conn *conn, bool last, struct ig_err *err)
{
    int mode = last ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;
    int result = sqlite3_wal_checkpoint_v2(conn->handle, NULL, mode, NULL, NULL);
    if (result != SQLITE_OK && (result & 0xff) != SQLITE_BUSY) return fail(conn, "checkpoint", err);
    conn->log_pages = 0;
    return IG_OK;
}

const struct ig_db_driver ig_db_sqlite = {
    .name = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .script = sqlite_script,
    .step = sqlite_step,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .sync_commits = sqlite_sync_commits,
    .only_read = sqlite_only_read,
    .in_transaction = sqlite_in_transaction,
    .query = sqlite_query,
    .query_once = sqlite_query_once,
    .next = sqlite_next,
    .finish = sqlite_finish,
    .changes = sqlite_changes,
    .column_i64 = sqlite_i64,
    .column_f64 = sqlite_f64,
    .column_text = sqlite_text,
    .column_is_null = sqlite_is_null,
    .log_bytes = sqlite_log_bytes,
    .extend_log = sqlite_extend_log,
    .checkpoint = sqlite_checkpoint,
};
