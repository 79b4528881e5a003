/* SPDX-License-Identifier: Apache-2.0 */
/* Numbered migrations, each in a transaction of its own together with its row in ig_schema, so a
 * kill between two leaves a database that the next open carries on from. Runs on the writer's
 * connection before its thread starts. */
#include "base/clock.h"
#include "stores/db_priv.h"

struct migration {
    int64_t number;
    const char *name;
    const char *sql;
};

static const struct migration MIGRATIONS[] = {
#define IG_MIGRATION(number, name, sql) {number, name, sql},
#include "stores/migrations.def"
#undef IG_MIGRATION
};
enum { MIGRATIONS_COUNT = sizeof MIGRATIONS / sizeof MIGRATIONS[0] };

static enum ig_code read_version(int64_t *version, const struct ig_db_driver *driver,
                                 struct ig_db_conn *conn, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    enum ig_code code =
        driver->query(&rows, conn, "select max(version) from ig_schema", NULL, 0, err);
    if (code != IG_OK) return code;
    if (driver->next(rows, err)) *version = driver->column_i64(rows, 0);
    driver->finish(rows);
    return err->code;
}

static enum ig_code apply(const struct migration *migration, const struct ig_db_driver *driver,
                          struct ig_db_conn *conn, struct ig_err *err)
{
    struct ig_err ignored = IG_ERR_INIT;
    struct ig_db_rows *rows = NULL;
    enum ig_code code = driver->begin(conn, err);
    if (code == IG_OK) code = driver->script(conn, migration->sql, err);
    if (code == IG_OK)
        code = driver->query(&rows, conn,
                             "insert into ig_schema(version, name, applied_ms) values($1, $2, $3)",
                             IG_DB_VALUES(IG_DB_I(migration->number), IG_DB_C(migration->name),
                                          IG_DB_I(ig_clock_unix_ms())),
                             err);
    if (code == IG_OK) {
        driver->next(rows, err);
        code = err->code;
    }
    if (rows) driver->finish(rows);
    if (code == IG_OK) code = driver->commit(conn, err);
    if (code != IG_OK) {
        if (driver->in_transaction(conn)) driver->script(conn, "rollback", &ignored);
        ig_err_prefix(err, "migration %d (%s)", (int)migration->number, migration->name);
    }
    return code;
}

enum ig_code ig_db_migrate(int64_t *version, const struct ig_db_driver *driver,
                           struct ig_db_conn *conn, struct ig_err *err)
{
    int64_t at = 0;
    enum ig_code code = driver->script(
        conn,
        "create table if not exists ig_schema (version bigint primary key, name text not null,"
        " applied_ms bigint not null)",
        err);
    if (code == IG_OK) code = read_version(&at, driver, conn, err);
    if (code != IG_OK) return code;
    if (at > MIGRATIONS_COUNT)
        return ig_fail(err, IG_UNSUPPORTED,
                       "the database is of schema %lld, this program knows up to %d: use a newer "
                       "ingot",
                       (long long)at, MIGRATIONS_COUNT);
    for (; at < MIGRATIONS_COUNT; at++) {
        IG_ASSERT(MIGRATIONS[at].number == at + 1);
        code = apply(&MIGRATIONS[at], driver, conn, err);
        if (code != IG_OK) return code;
    }
    *version = at;
    return IG_OK;
}
