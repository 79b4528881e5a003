/* SPDX-License-Identifier: Apache-2.0 */
/* The PostgreSQL driver, by libpq (loaded when it is first needed).
 *
 * 1. Values travel in binary both ways, so that every one comes back bit for bit. A value's kind is
 *    the parameter's type; a statement is prepared once a connection for each text (by address) and
 *    kinds. Those of ig_db_query_once are not kept.
 * 2. An answer is held whole until it is finished: queries may stand within queries.
 * 3. A read that loses its connection before its first query was answered is made again, once, over
 *    a new one; its work function does not notice.
 *
 * Thread rule: a connection belongs to one thread at a time. */
#include "stores/db_postgres_priv.h"

#include "base/mem.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Types by their numbers in pg_type.dat, which never change. */
enum {
    TYPE_ANY = 0,
    TYPE_BOOL = 16,
    TYPE_BYTEA = 17,
    TYPE_INT8 = 20,
    TYPE_INT4 = 23,
    TYPE_TEXT = 25,
    TYPE_FLOAT8 = 701,
    TYPE_UNKNOWN = 705,
    TYPE_VARCHAR = 1043
};
enum { VALUES_MAX = 65535, KINDS_MAX = 42, SQL_BYTES_MAX = 1 << 20 };

struct rows {
    struct ig_db_rows rows; /* first: it is what callers hold */
    struct ig_db_conn *conn;
    PGresult *result;
    int row, rows_count;
};

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
        set_number(parameters, at, (uint64_t)value->integer, TYPE_INT8);
        return IG_OK;
    case IG_DB_F64:
        memcpy(&bits, &value->real, sizeof bits);
        set_number(parameters, at, bits, TYPE_FLOAT8);
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
    parameters->types[at] = value->kind == IG_DB_TEXT ? TYPE_TEXT : TYPE_BYTEA;
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

static void kinds_of(uint64_t kinds[2], const struct ig_db_value *values, size_t values_count)
{
    kinds[0] = kinds[1] = 0;
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
                                   const struct parameters *parameters, const uint64_t kinds[2],
                                   struct ig_err *err)
{
    int at = 0;
    for (; at < conn->statements_count; at++) {
        const struct pg_statement *known = &conn->statements[at];
        if (known->sql == sql && known->kinds[0] == kinds[0] && known->kinds[1] == kinds[1]) break;
    }
    name[0] = '\0';
    if (at < PG_STATEMENTS_MAX) snprintf(name, 16, "s%d", at);
    if (at < conn->statements_count) return IG_OK;
    if (prepare(conn, name, sql, parameters, err) != IG_OK) return err->code;
    if (at < PG_STATEMENTS_MAX) {
        conn->statements[at] = (struct pg_statement){sql, {kinds[0], kinds[1]}};
        conn->statements_count++;
    }
    return IG_OK;
}

static bool readable(Oid type)
{
    switch (type) {
    case TYPE_BOOL:
    case TYPE_BYTEA:
    case TYPE_INT8:
    case TYPE_INT4:
    case TYPE_TEXT:
    case TYPE_FLOAT8:
    case TYPE_UNKNOWN:
    case TYPE_VARCHAR:
        return true;
    default:
        return false;
    }
}

static enum ig_code check_result(struct ig_db_conn *conn, const PGresult *result, const char *sql,
                                 struct ig_err *err)
{
    const struct pg_api *api = conn->api;
    ExecStatusType status = api->PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        return pg_session_fail(conn, result, sql, err);
    for (int i = 0; i < api->PQnfields(result); i++)
        if (!readable(api->PQftype(result, i)))
            return ig_fail(err, IG_INTERNAL,
                           "database: column %d is of type %u: cast it (\"%.60s\")", i,
                           api->PQftype(result, i), sql);
    return IG_OK;
}

struct question {
    const char *sql;
    bool once;
    uint64_t kinds[2];
    struct parameters parameters;
};

static enum ig_code ask(PGresult **out, struct ig_db_conn *conn, const struct question *question,
                        struct ig_err *err)
{
    const struct parameters *values = &question->parameters;
    char name[16] = "";
    enum ig_code code =
        question->once ? prepare(conn, name, question->sql, values, err)
                       : find_statement(name, conn, question->sql, values, question->kinds, err);
    if (code != IG_OK) return code;
    PGresult *result = conn->api->PQexecPrepared(conn->handle, name, values->count, values->values,
                                                 values->lengths, values->formats, 1);
    code = check_result(conn, result, question->sql, err);
    if (code == IG_OK)
        *out = result;
    else
        conn->api->PQclear(result);
    return code;
}

static enum ig_code ask_again(PGresult **out, struct ig_db_conn *conn,
                              const struct question *question, struct ig_err *err)
{
    struct ig_err first = IG_ERR_INIT;
    bool fresh = conn->unseen && !conn->writer;
    if (pg_session_lost(conn)) return pg_session_fail(conn, NULL, question->sql, err);
    if (ask(out, conn, question, &first) == IG_OK) return IG_OK;
    if (!fresh || !pg_session_lost(conn)) return ig_fail(err, first.code, "%s", first.message);
    if (pg_session_begin(conn, err) != IG_OK) return err->code;
    return ask(out, conn, question, err);
}

static enum ig_code run(struct ig_db_rows **out, struct ig_db_conn *conn, struct question *question,
                        const struct ig_db_value *values, size_t values_count, struct ig_err *err)
{
    struct rows *rows = ig_zalloc(sizeof *rows);
    if (!rows) return ig_fail(err, IG_NO_MEMORY, "database rows");
    enum ig_code code = bind(&question->parameters, values, values_count, err);
    if (code == IG_OK) code = ask_again(&rows->result, conn, question, err);
    ig_free(question->parameters.memory);
    if (code != IG_OK) {
        ig_free(rows);
        return code;
    }
    if (conn->api->PQcmdStatus(rows->result)[0] != 'S') /* a SELECT changes nothing */
        conn->changes = strtoll(conn->api->PQcmdTuples(rows->result), NULL, 10);
    conn->unseen = false;
    rows->rows.driver = &ig_db_postgresql;
    rows->conn = conn;
    rows->row = -1;
    rows->rows_count = conn->api->PQntuples(rows->result);
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

/* ---- rows ---- */

static bool postgres_next(struct ig_db_rows *rows, struct ig_err *err)
{
    struct rows *mine = (struct rows *)rows;
    (void)err;
    if (mine->row + 1 >= mine->rows_count) return false;
    mine->row++;
    return true;
}

static void postgres_finish(struct ig_db_rows *rows)
{
    struct rows *mine = (struct rows *)rows;
    mine->conn->api->PQclear(mine->result);
    ig_free(mine);
}

static int64_t postgres_changes(struct ig_db_conn *conn)
{
    return conn->changes;
}

static bool postgres_is_null(struct ig_db_rows *rows, int column)
{
    struct rows *mine = (struct rows *)rows;
    return mine->conn->api->PQgetisnull(mine->result, mine->row, column) == 1;
}

static struct ig_str postgres_text(struct ig_db_rows *rows, int column)
{
    struct rows *mine = (struct rows *)rows;
    const struct pg_api *api = mine->conn->api;
    if (postgres_is_null(rows, column)) return (struct ig_str){"", 0};
    return (struct ig_str){api->PQgetvalue(mine->result, mine->row, column),
                           (size_t)api->PQgetlength(mine->result, mine->row, column)};
}

static uint64_t read_bits(struct ig_str bytes)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < bytes.len && i < sizeof bits; i++)
        bits = bits << 8 | (unsigned char)bytes.ptr[i];
    return bits;
}

static Oid type_of(struct ig_db_rows *rows, int column)
{
    struct rows *mine = (struct rows *)rows;
    return mine->conn->api->PQftype(mine->result, column);
}

static double real_of(struct ig_str bytes)
{
    uint64_t bits = read_bits(bytes);
    double real;
    memcpy(&real, &bits, sizeof real);
    return real;
}

/* As SQLite reads one kind as another. */
static int64_t postgres_i64(struct ig_db_rows *rows, int column)
{
    struct ig_str bytes = postgres_text(rows, column);
    if (postgres_is_null(rows, column)) return 0;
    switch (type_of(rows, column)) {
    case TYPE_INT8:
    case TYPE_BOOL:
        return (int64_t)read_bits(bytes);
    case TYPE_INT4:
        return (int32_t)read_bits(bytes);
    case TYPE_FLOAT8: {
        double real = real_of(bytes);
        if (isnan(real)) return 0;
        if (real >= 9223372036854775807.0) return INT64_MAX;
        return real <= -9223372036854775808.0 ? INT64_MIN : (int64_t)real;
    }
    default:
        return strtoll(bytes.ptr, NULL, 10); /* libpq ends every value with a NUL */
    }
}

static double postgres_f64(struct ig_db_rows *rows, int column)
{
    if (postgres_is_null(rows, column)) return 0;
    struct ig_str bytes = postgres_text(rows, column);
    switch (type_of(rows, column)) {
    case TYPE_FLOAT8:
        return real_of(bytes);
    case TYPE_INT8:
    case TYPE_INT4:
    case TYPE_BOOL:
        return (double)postgres_i64(rows, column);
    default:
        return strtod(bytes.ptr, NULL);
    }
}

/* ---- connections ---- */

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

static enum ig_code postgres_checkpoint(struct ig_db_conn *conn, struct ig_err *err)
{
    (void)conn;
    (void)err;
    return IG_OK;
}

const struct ig_db_driver ig_db_postgresql = {
    .name = "postgresql",
    .open = postgres_open,
    .close = postgres_close,
    .script = postgres_script,
    .begin = pg_session_begin,
    .commit = pg_session_commit,
    .idle = pg_session_idle,
    .in_transaction = postgres_in_transaction,
    .query = postgres_query,
    .query_once = postgres_query_once,
    .next = postgres_next,
    .finish = postgres_finish,
    .changes = postgres_changes,
    .column_i64 = postgres_i64,
    .column_f64 = postgres_f64,
    .column_text = postgres_text,
    .column_is_null = postgres_is_null,
    .log_bytes = postgres_log_bytes,
    .checkpoint = postgres_checkpoint,
};
