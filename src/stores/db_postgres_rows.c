/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of PostgreSQL, a row at a time as they arrive, so that a scan of any length takes the
 * memory of a row. A statement that comes while another's rows are still arriving has them all
 * taken in first: queries may stand within queries.
 *
 * Thread rule: as their connection. */
#include "stores/db_postgres_priv.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool readable(Oid type)
{
    switch (type) {
    case PG_BOOL:
    case PG_BYTEA:
    case PG_INT8:
    case PG_INT4:
    case PG_TEXT:
    case PG_FLOAT8:
    case PG_UNKNOWN:
    case PG_VARCHAR:
        return true;
    default:
        return false;
    }
}

/* ---- arriving ---- */

static void note_changes(struct ig_db_conn *conn, PGresult *result)
{
    if (conn->api->PQcmdStatus(result)[0] != 'S') /* a SELECT changes nothing */
        conn->changes = strtoll(conn->api->PQcmdTuples(result), NULL, 10);
}

/* The next row off the connection; NULL at the end or after an error. */
static PGresult *receive(struct pg_rows *rows, struct ig_err *err)
{
    struct ig_db_conn *conn = rows->conn;
    const struct pg_api *api = conn->api;
    PGresult *result = api->PQgetResult(conn->handle);
    ExecStatusType status = api->PQresultStatus(result);
    if (status == PGRES_SINGLE_TUPLE) return result;
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        note_changes(conn, result);
    else
        pg_session_fail(conn, result, rows->sql, err);
    api->PQclear(result);
    while (conn->handle && (result = api->PQgetResult(conn->handle))) api->PQclear(result);
    conn->streaming = NULL;
    rows->over = true;
    return NULL;
}

static bool keep(struct pg_rows *rows, PGresult *result)
{
    if (rows->kept_count == rows->kept_room) {
        size_t room = rows->kept_room ? 2 * rows->kept_room : 16, bytes;
        if (!ig_mul(&bytes, room, sizeof(PGresult *))) return false;
        PGresult **more = ig_realloc(rows->kept, bytes);
        if (!more) return false;
        rows->kept = more;
        rows->kept_room = room;
    }
    rows->kept[rows->kept_count++] = result;
    return true;
}

void pg_rows_absorb(struct ig_db_conn *conn)
{
    struct pg_rows *rows = conn->streaming;
    while (rows && !rows->over) {
        PGresult *result = receive(rows, &rows->err);
        if (!result || keep(rows, result)) continue;
        conn->api->PQclear(result);
        ig_fail(&rows->err, IG_NO_MEMORY, "database rows");
    }
}

static enum ig_code check_types(const struct pg_rows *rows, struct ig_err *err)
{
    const struct pg_api *api = rows->conn->api;
    for (int i = 0; i < api->PQnfields(rows->ahead); i++) {
        Oid type = api->PQftype(rows->ahead, i);
        if (!readable(type))
            return ig_fail(err, IG_INTERNAL,
                           "database: column %d is of type %u: cast it (\"%.60s\")", i, type,
                           rows->sql);
    }
    return IG_OK;
}

enum ig_code pg_rows_start(struct pg_rows *rows, const char *sql, struct ig_err *err)
{
    rows->sql = sql;
    rows->over = false;
    rows->conn->streaming = rows;
    rows->conn->api->PQsetSingleRowMode(rows->conn->handle);
    rows->ahead = receive(rows, err);
    return rows->ahead ? check_types(rows, err) : err->code;
}

bool pg_rows_next(struct ig_db_rows *rows, struct ig_err *err)
{
    struct pg_rows *mine = (struct pg_rows *)rows;
    const struct pg_api *api = mine->conn->api;
    api->PQclear(mine->result);
    mine->result = mine->ahead;
    mine->ahead = NULL;
    if (!mine->result && mine->kept_next < mine->kept_count)
        mine->result = mine->kept[mine->kept_next++];
    if (mine->result) return true;
    if (mine->err.code != IG_OK)
        ig_fail(err, mine->err.code, "%s", mine->err.message);
    else if (!mine->over && mine->conn->streaming != mine)
        ig_fail(err, IG_UNAVAILABLE, "database: the connection was lost");
    else if (!mine->over)
        mine->result = receive(mine, err);
    return mine->result != NULL;
}

void pg_rows_finish(struct ig_db_rows *rows)
{
    struct pg_rows *mine = (struct pg_rows *)rows;
    const struct pg_api *api = mine->conn->api;
    struct ig_err ignored = IG_ERR_INIT;
    while (mine->conn->streaming == mine) api->PQclear(receive(mine, &ignored));
    api->PQclear(mine->result);
    api->PQclear(mine->ahead);
    while (mine->kept_next < mine->kept_count) api->PQclear(mine->kept[mine->kept_next++]);
    ig_free(mine->kept);
    ig_free(mine);
}

/* ---- columns ---- */

bool pg_rows_is_null(struct ig_db_rows *rows, int column)
{
    struct pg_rows *mine = (struct pg_rows *)rows;
    return mine->conn->api->PQgetisnull(mine->result, 0, column) == 1;
}

struct ig_str pg_rows_text(struct ig_db_rows *rows, int column)
{
    struct pg_rows *mine = (struct pg_rows *)rows;
    const struct pg_api *api = mine->conn->api;
    if (pg_rows_is_null(rows, column)) return (struct ig_str){"", 0};
    return (struct ig_str){api->PQgetvalue(mine->result, 0, column),
                           (size_t)api->PQgetlength(mine->result, 0, column)};
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
    struct pg_rows *mine = (struct pg_rows *)rows;
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
int64_t pg_rows_i64(struct ig_db_rows *rows, int column)
{
    struct ig_str bytes = pg_rows_text(rows, column);
    if (pg_rows_is_null(rows, column)) return 0;
    switch (type_of(rows, column)) {
    case PG_INT8:
    case PG_BOOL:
        return (int64_t)read_bits(bytes);
    case PG_INT4:
        return (int32_t)read_bits(bytes);
    case PG_FLOAT8: {
        double real = real_of(bytes);
        if (isnan(real)) return 0;
        if (real >= 9223372036854775807.0) return INT64_MAX;
        return real <= -9223372036854775808.0 ? INT64_MIN : (int64_t)real;
    }
    default:
        return strtoll(bytes.ptr, NULL, 10); /* libpq ends every value with a NUL */
    }
}

double pg_rows_f64(struct ig_db_rows *rows, int column)
{
    if (pg_rows_is_null(rows, column)) return 0;
    struct ig_str bytes = pg_rows_text(rows, column);
    switch (type_of(rows, column)) {
    case PG_FLOAT8:
        return real_of(bytes);
    case PG_INT8:
    case PG_INT4:
    case PG_BOOL:
        return (double)pg_rows_i64(rows, column);
    default:
        return strtod(bytes.ptr, NULL);
    }
}
