/* SPDX-License-Identifier: Apache-2.0 */
/* The PostgreSQL driver, by libpq (loaded when it is first needed).
 *
 * 1. Values travel in binary both ways, so that every one comes back bit for bit. A value's kind is
 *    the parameter's type; a statement is prepared once a connection for each text (by address) and
 *    kinds. Those of ig_db_query_once are not kept.
 * 2. A read that loses its connection before its first query was answered is made again, once, over
 *    a new one; its work function does not notice.
 *
 * Thread rule: a connection belongs to one thread at a time. */
#include "stores/db_postgres_priv.h"

#include "base/mem.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { VALUES_MAX = 65535, KINDS_MAX = 21 * PG_KINDS, SQL_BYTES_MAX = 1 << 20 };

/* ---- values ---- */

struct parameters {
    int count;
    Oid *types;
    const char **values;
    int *lengths, *formats;
    uint64_t (*numbers)[1];
    void *memory;
};

static uint64_t big_endian(uint64_t value)
{
    return __builtin_bswap64(value);
}

static enum ig_code make_room(struct parameters *parameters, size_t count, struct ig_err *err)
{
    size_t each = sizeof(uint64_t) + sizeof(char *) + sizeof(Oid) + 2 * sizeof(int);
    *parameters = (struct parameters){.count = (int)count};
    if (count == 0) return IG_OK;
    if (count > VALUES_MAX)
        return ig_fail(err, IG_TOO_LARGE, "database: %zu values, at most %d", count, VALUES_MAX);
    char *memory = ig_zalloc_array(count, each);
    if (!memory) return ig_fail(err, IG_NO_MEMORY, "database values");
    parameters->memory = memory;
    parameters->numbers = (void *)memory;
    parameters->values = (void *)(memory += count * sizeof(uint64_t));
    parameters->types = (void *)(memory += count * sizeof(char *));
    parameters->lengths = (void *)(memory += count * sizeof(Oid));
    parameters->formats = (void *)(memory + count * sizeof(int));
    return IG_OK;
}

static void set_number(struct parameters *parameters, size_t at, uint64_t bits, Oid type)
{
    uint64_t *number = parameters->numbers[at];
    *number = big_endian(bits);
    parameters->values[at] = (const char *)number;
    parameters->lengths[at] = (int)sizeof *number;
    parameters->types[at] = type;
}

static enum ig_code set_value(struct parameters *parameters, size_t at,
                              const struct ig_db_value *value, struct ig_err *err)
{
    uint64_t bits;
    parameters->formats[at] = 1;
    switch (value->kind) {
    case IG_DB_NULL:
        return IG_OK; /* of the type that its place has */
    case IG_DB_I64:
        set_number(parameters, at, (uint64_t)value->integer, PG_INT8);
        return IG_OK;
    case IG_DB_F64:
        memcpy(&bits, &value->real, sizeof bits);
        set_number(parameters, at, bits, PG_FLOAT8);
        return IG_OK;
    case IG_DB_TEXT:
    case IG_DB_BYTES:
        break;
    }
    if (value->text.len > INT_MAX)
        return ig_fail(err, IG_TOO_LARGE, "database: a value of %zu bytes", value->text.len);
    if (value->kind == IG_DB_TEXT && value->text.len && memchr(value->text.ptr, 0, value->text.len))
        return ig_fail(err, IG_INVALID,
                       "a text with a NUL character ('%.40s...') cannot be stored in PostgreSQL",
                       value->text.ptr);
    /* An empty view may have no pointer, which libpq would take for NULL. */
    parameters->values[at] = value->text.ptr ? value->text.ptr : "";
    parameters->lengths[at] = (int)value->text.len;
    parameters->types[at] = value->kind == IG_DB_TEXT ? PG_TEXT : PG_BYTEA;
    return IG_OK;
}

static enum ig_code bind(struct parameters *parameters, const struct ig_db_value *values,
                         size_t values_count, struct ig_err *err)
{
    enum ig_code code = make_room(parameters, values_count, err);
    for (size_t i = 0; i < values_count && code == IG_OK; i++)
        code = set_value(parameters, i, &values[i], err);
    return code;
}

/* ---- statements ---- */

static void kinds_of(uint64_t kinds[PG_KINDS], const struct ig_db_value *values,
                     size_t values_count)
{
    memset(kinds, 0, PG_KINDS * sizeof *kinds);
    for (size_t i = 0; i < values_count; i++)
        kinds[i / 21] |= (uint64_t)(values[i].kind + 1) << 3 * (i % 21);
}

static enum ig_code prepare(struct ig_db_conn *conn, const char *name, const char *sql,
                            const struct parameters *parameters, struct ig_err *err)
{
    struct ig_buf text;
    ig_buf_init(&text, SQL_BYTES_MAX);
    bool plain = pg_is_plain(sql, false);
    enum ig_code code = plain ? IG_OK : pg_render(&text, sql, false, err);
    if (code == IG_OK) {
        PGresult *result = conn->api->PQprepare(conn->handle, name, plain ? sql : text.ptr,
                                                parameters->count, parameters->types);
        if (conn->api->PQresultStatus(result) != PGRES_COMMAND_OK)
            code = pg_session_fail(conn, result, sql, err);
        conn->api->PQclear(result);
    }
    ig_buf_deinit(&text);
    return code;
}

/* The unnamed statement ("") stands in for one too many. */
static enum ig_code find_statement(char name[16], struct ig_db_conn *conn, const char *sql,
                                   const struct parameters *parameters,
                                   const uint64_t kinds[PG_KINDS], struct ig_err *err)
{
    int at = 0;
    for (; at < conn->statements_count; at++) {
        const struct pg_statement *known = &conn->statements[at];
        if (known->sql == sql && memcmp(known->kinds, kinds, sizeof known->kinds) == 0) break;
    }
    name[0] = '\0';
    if (at < PG_STATEMENTS_MAX) snprintf(name, 16, "s%d", at);
    if (at < conn->statements_count) return IG_OK;
    if (prepare(conn, name, sql, parameters, err) != IG_OK) return err->code;
    if (at < PG_STATEMENTS_MAX) {
        conn->statements[at].sql = sql;
        memcpy(conn->statements[at].kinds, kinds, sizeof conn->statements[at].kinds);
        conn->statements_count++;
    }
    return IG_OK;
}

struct question {
    const char *sql;
    bool once;
    uint64_t kinds[PG_KINDS];
    struct parameters parameters;
};

static enum ig_code ask(struct pg_rows *rows, const struct question *question, struct ig_err *err)
{
    const struct parameters *values = &question->parameters;
    struct ig_db_conn *conn = rows->conn;
    char name[16] = "";
    pg_rows_absorb(conn);
    enum ig_code code =
        question->once ? prepare(conn, name, question->sql, values, err)
                       : find_statement(name, conn, question->sql, values, question->kinds, err);
    if (code != IG_OK) return code;
    if (conn->api->PQsendQueryPrepared(conn->handle, name, values->count, values->values,
                                       values->lengths, values->formats, 1) != 1)
        return pg_session_fail(conn, NULL, question->sql, err);
    return pg_rows_start(rows, question->sql, err);
}

static enum ig_code ask_again(struct pg_rows *rows, const struct question *question,
                              struct ig_err *err)
{
    struct ig_err first = IG_ERR_INIT;
    struct ig_db_conn *conn = rows->conn;
    bool fresh = conn->unseen && !conn->writer;
    if (pg_session_lost(conn)) return pg_session_fail(conn, NULL, question->sql, err);
    if (ask(rows, question, &first) == IG_OK) return IG_OK;
    if (!fresh || !pg_session_lost(conn)) return ig_fail(err, first.code, "%s", first.message);
    if (pg_session_begin(conn, err) != IG_OK) return err->code;
    return ask(rows, question, err);
}

static enum ig_code run(struct ig_db_rows **out, struct ig_db_conn *conn, struct question *question,
                        const struct ig_db_value *values, size_t values_count, struct ig_err *err)
{
    struct pg_rows *rows = ig_zalloc(sizeof *rows);
    if (!rows) return ig_fail(err, IG_NO_MEMORY, "database rows");
    rows->rows.driver = &ig_db_postgresql;
    rows->conn = conn;
    rows->err = IG_ERR_INIT;
    enum ig_code code = bind(&question->parameters, values, values_count, err);
    if (code == IG_OK) code = ask_again(rows, question, err);
    ig_free(question->parameters.memory);
    if (code != IG_OK) {
        pg_rows_finish(&rows->rows);
        return code;
    }
    conn->unseen = false;
    *out = &rows->rows;
    return IG_OK;
}

static enum ig_code postgres_query(struct ig_db_rows **out, struct ig_db_conn *conn,
                                   const char *sql, const struct ig_db_value *values,
                                   size_t values_count, struct ig_err *err)
{
    struct question question = {.sql = sql, .once = values_count > KINDS_MAX};
    if (!question.once) kinds_of(question.kinds, values, values_count);
    return run(out, conn, &question, values, values_count, err);
}

static enum ig_code postgres_query_once(struct ig_db_rows **out, struct ig_db_conn *conn,
                                        const char *sql, const struct ig_db_value *values,
                                        size_t values_count, struct ig_err *err)
{
    struct question question = {.sql = sql, .once = true};
    return run(out, conn, &question, values, values_count, err);
}

/* ---- connections ---- */

static int64_t postgres_changes(struct ig_db_conn *conn)
{
    return conn->changes;
}

static void postgres_close(struct ig_db_conn *conn)
{
    pg_session_close(conn);
    ig_free(conn);
}

static enum ig_code postgres_open(struct ig_db_conn **out, const struct ig_db_place *place,
                                  bool writer, struct ig_err *err)
{
    const struct pg_api *api;
    if (pg_library_get(&api, err) != IG_OK) return err->code;
    struct ig_db_conn *conn = ig_zalloc(sizeof *conn);
    if (!conn) return ig_fail(err, IG_NO_MEMORY, "database connection");
    conn->api = api;
    conn->place = place;
    conn->writer = writer;
    enum ig_code code = pg_session_open(conn, err);
    if (code == IG_OK)
        *out = conn;
    else
        postgres_close(conn);
    return code;
}

static enum ig_code postgres_script(struct ig_db_conn *conn, const char *sql, struct ig_err *err)
{
    struct ig_buf text;
    /* Savepoints: they must not fail for lack of memory. */
    if (pg_is_plain(sql, true)) return pg_session_run(NULL, conn, sql, err);
    ig_buf_init(&text, SQL_BYTES_MAX);
    enum ig_code code = pg_render(&text, sql, true, err);
    if (code == IG_OK) code = pg_session_run(NULL, conn, text.ptr, err);
    ig_buf_deinit(&text);
    return code;
}

static bool postgres_in_transaction(struct ig_db_conn *conn)
{
    if (pg_session_lost(conn)) return false;
    return conn->api->PQtransactionStatus(conn->handle) != PQTRANS_IDLE;
}

static uint64_t postgres_log_bytes(struct ig_db_conn *conn)
{
    (void)conn;
    return 0;
}

static enum ig_code postgres_checkpoint(struct ig_db_conn *conn, bool last, struct ig_err *err)
{
    (void)conn;
    (void)last;
    (void)err;
    return IG_OK;
}

const struct ig_db_driver ig_db_postgresql = {
    .name = "postgresql",
    .elsewhere = true,
    .open = postgres_open,
    .close = postgres_close,
    .script = postgres_script,
    .step = postgres_script,
    .begin = pg_session_begin,
    .commit = pg_session_commit,
    .idle = pg_session_idle,
    .in_transaction = postgres_in_transaction,
    .query = postgres_query,
    .query_once = postgres_query_once,
    .next = pg_rows_next,
    .finish = pg_rows_finish,
    .changes = postgres_changes,
    .column_i64 = pg_rows_i64,
    .column_f64 = pg_rows_f64,
    .column_text = pg_rows_text,
    .column_is_null = pg_rows_is_null,
    .log_bytes = postgres_log_bytes,
    .checkpoint = postgres_checkpoint,
};
