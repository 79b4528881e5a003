/* SPDX-License-Identifier: Apache-2.0 */
/* Numbered migrations, each in a transaction of its own together with its row in ig_schema, so a
 * kill between two leaves a database that the next open carries on from; those of a new database
 * are one transaction, which waits for the disk once. Runs on the writer's connection before its
 * thread starts. */
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

/* Which of ours the database has; *newest: of any program. */
static enum ig_code read_applied(bool applied[MIGRATIONS_COUNT], int64_t *newest,
                                 const struct ig_db_driver *driver, struct ig_db_conn *conn,
                                 struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    enum ig_code code =
        driver->query(&rows, conn, "select version from ig_schema order by version", NULL, 0, err);
    if (code != IG_OK) return code;
    while (driver->next(rows, err)) {
        *newest = driver->column_i64(rows, 0);
        for (size_t i = 0; i < MIGRATIONS_COUNT; i++)
            applied[i] = applied[i] || MIGRATIONS[i].number == *newest;
    }
    driver->finish(rows);
    return err->code;
}

static enum ig_code apply_one(const struct migration *migration, const struct ig_db_driver *driver,
                              struct ig_db_conn *conn, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    enum ig_code code = driver->script(conn, migration->sql, err);
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
    if (code != IG_OK)
        ig_err_prefix(err, "migration %d (%s)", (int)migration->number, migration->name);
    return code;
}

/* In one transaction. */
static enum ig_code apply(const struct migration *migrations, size_t count,
                          const struct ig_db_driver *driver, struct ig_db_conn *conn,
                          struct ig_err *err)
{
    struct ig_err ignored = IG_ERR_INIT;
    enum ig_code code = driver->begin(conn, err);
    for (size_t i = 0; i < count && code == IG_OK; i++)
        code = apply_one(&migrations[i], driver, conn, err);
    if (code == IG_OK) code = driver->commit(conn, err);
    if (code != IG_OK && driver->in_transaction(conn)) driver->script(conn, "rollback", &ignored);
    return code;
}

enum ig_code ig_db_migrate(int64_t *version, const struct ig_db_driver *driver,
                           struct ig_db_conn *conn, struct ig_err *err)
{
    const int64_t last = MIGRATIONS[MIGRATIONS_COUNT - 1].number;
    bool applied[MIGRATIONS_COUNT] = {false};
    int64_t newest = 0;
    enum ig_code code = driver->script(
        conn,
        "create table if not exists ig_schema (version bigint primary key, name text not null,"
        " applied_ms bigint not null)",
        err);
    if (code == IG_OK) code = read_applied(applied, &newest, driver, conn, err);
    if (code != IG_OK) return code;
    if (newest > last)
        return ig_fail(err, IG_UNSUPPORTED,
                       "the database is of schema %lld, this program knows up to %lld: use a newer "
                       "ingot",
                       (long long)newest, (long long)last);
    for (size_t i = 1; i < MIGRATIONS_COUNT; i++)
        IG_ASSERT(MIGRATIONS[i].number > MIGRATIONS[i - 1].number);
    if (!newest && apply(MIGRATIONS, MIGRATIONS_COUNT, driver, conn, err) != IG_OK)
        return err->code;
    for (size_t i = 0; newest && i < MIGRATIONS_COUNT; i++)
        if (!applied[i] && apply(&MIGRATIONS[i], 1, driver, conn, err) != IG_OK) return err->code;
    *version = last;
    return IG_OK;
}
