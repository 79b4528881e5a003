/* SPDX-License-Identifier: Apache-2.0 */
/* How a directory changes its database, so that a kill at any point leaves one that decides itself:
 * database.moving ("ID to NAME") is there before the target is touched and goes last, and between
 * the two the one thing that counts is whether the target has the id. Only the target can say so,
 * but the source needs no answer: nobody has written to either while the file is there.
 *
 * Thread rule: by who holds the directory's lock. */
#include "base/file.h"
#include "stores/db_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MARK_MAX = 128 };

static const char MOVING[] = "database.moving";
static const char *const SQLITE_FILES[] = {"ingot.db-wal", "ingot.db-shm", "ingot.db"};

static bool is_there(const struct ig_db_place *place, const char *name)
{
    struct stat info;
    return fstatat(place->dirfd, name, &info, AT_SYMLINK_NOFOLLOW) == 0;
}

static enum ig_code sync_directory(const struct ig_db_place *place, struct ig_err *err)
{
    if (fsync(place->dirfd) == 0) return IG_OK;
    return ig_fail(err, IG_IO, "data directory: %s", strerror(errno));
}

enum ig_code ig_db_place_begin(char id[IG_ID_SIZE], const struct ig_db_place *place,
                               const struct ig_db_driver *to, struct ig_err *err)
{
    char text[MARK_MAX];
    ig_id_new(id);
    snprintf(text, sizeof text, "%s to %s", id, to->name);
    return ig_file_replace(place->dirfd, MOVING, ig_str_view(text), err);
}

static enum ig_code step(int64_t *rows_count, const struct ig_db_driver *driver,
                         struct ig_db_conn *conn, const char *sql, const char *id,
                         struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    *rows_count = 0;
    if (driver->query_once(&rows, conn, sql, IG_DB_VALUES(IG_DB_C(id)), err) != IG_OK)
        return err->code;
    while (driver->next(rows, err)) ++*rows_count;
    driver->finish(rows);
    return err->code;
}

static enum ig_code make_table(const struct ig_db_driver *driver, struct ig_db_conn *conn,
                               struct ig_err *err)
{
    return driver->script(conn, "create table if not exists ig_moved (id text primary key)", err);
}

enum ig_code ig_db_place_mark(const struct ig_db_driver *driver, struct ig_db_conn *conn,
                              const char *id, struct ig_err *err)
{
    int64_t rows;
    if (make_table(driver, conn, err) != IG_OK) return err->code;
    return step(&rows, driver, conn, "insert into ig_moved(id) values($1)", id, err);
}

static void remove_sqlite(const struct ig_db_place *place)
{
    for (size_t i = 0; i < sizeof SQLITE_FILES / sizeof SQLITE_FILES[0]; i++)
        unlinkat(place->dirfd, SQLITE_FILES[i], 0);
}

/* The file that is left says which database it is. */
static enum ig_code put_aside(const struct ig_db_place *place, const struct ig_db_driver *driver,
                              struct ig_err *err)
{
    if (driver == &ig_db_sqlite) return ig_file_remove(place->dirfd, IG_DB_NOTE, err);
    if (ig_db_place_note(place, driver, err) != IG_OK) return err->code;
    unlinkat(place->dirfd, SQLITE_FILES[0], 0); /* closed, so empty */
    unlinkat(place->dirfd, SQLITE_FILES[1], 0);
    if (renameat(place->dirfd, "ingot.db", place->dirfd, "ingot.db.moved") != 0)
        return ig_fail(err, IG_IO, "ingot.db: cannot be put aside: %s", strerror(errno));
    return sync_directory(place, err);
}

enum ig_code ig_db_place_moved(const struct ig_db_place *place, const struct ig_db_driver *driver,
                               struct ig_err *err)
{
    if (put_aside(place, driver, err) != IG_OK) return err->code;
    return ig_file_remove(place->dirfd, MOVING, err);
}

void ig_db_place_abandon(const struct ig_db_place *place, const struct ig_db_driver *to)
{
    struct ig_err ignored = IG_ERR_INIT;
    if (to == &ig_db_sqlite) remove_sqlite(place);
    if (sync_directory(place, &ignored) == IG_OK) ig_file_remove(place->dirfd, MOVING, &ignored);
}

/* Whether the target has the id. */
static enum ig_code look(bool *kept, const struct ig_db_place *place,
                         const struct ig_db_driver *driver, const char *id, struct ig_err *err)
{
    struct ig_err ignored = IG_ERR_INIT;
    struct ig_db_conn *conn = NULL;
    int64_t rows = 0;
    if (driver->open(&conn, place, true, err) != IG_OK) return err->code;
    if (make_table(driver, conn, err) == IG_OK)
        step(&rows, driver, conn, "select 1 from ig_moved where id = $1", id, err);
    driver->checkpoint(conn, true, &ignored);
    driver->close(conn);
    *kept = rows > 0;
    return err->code;
}

static enum ig_code settle(bool *kept, const struct ig_db_place *place, struct ig_str mark,
                           const struct ig_db_driver *driver, struct ig_err *err)
{
    struct ig_str id = ig_str_cut(&mark, ' ');
    const bool home = ig_str_is(mark, "to sqlite"), asked_home = driver == &ig_db_sqlite;
    char text[IG_ID_SIZE];
    bool finished = home ? !is_there(place, IG_DB_NOTE) : !is_there(place, "ingot.db");
    snprintf(text, sizeof text, "%.*s", IG_STR_ARGS(id));
    if (!finished && home == asked_home) {
        if ((!home || is_there(place, "ingot.db")) && look(kept, place, driver, text, err) != IG_OK)
            return err->code;
        if (*kept) return ig_db_place_moved(place, driver, err);
        if (!home) return IG_OK; /* perhaps another database than that of the move is asked for */
    }
    if (!finished && !home && ig_file_remove(place->dirfd, IG_DB_NOTE, err) != IG_OK)
        return err->code;
    if (!finished && home) remove_sqlite(place);
    if (sync_directory(place, err) != IG_OK) return err->code;
    return ig_file_remove(place->dirfd, MOVING, err);
}

enum ig_code ig_db_place_settle(bool *kept, const struct ig_db_place *place,
                                const struct ig_db_driver *driver, struct ig_err *err)
{
    struct ig_buf mark;
    *kept = false;
    if (!is_there(place, MOVING)) return IG_OK;
    ig_buf_init(&mark, MARK_MAX);
    if (ig_file_read(&mark, place->dirfd, MOVING, err) == IG_OK)
        settle(kept, place, ig_buf_view(&mark), driver, err);
    ig_buf_deinit(&mark);
    return err->code;
}
