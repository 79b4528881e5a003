/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_STORES_DB_PRIV_H
#define IG_STORES_DB_PRIV_H

/* What a database driver gives to db.c. A connection belongs to one thread at a time. Drivers map
 * their errors to the codes of db.h and end the process on a failed fsync. */

#include "base/random.h"
#include "stores/db.h"

struct ig_db_conn;

#define IG_DB_NOTE "database" /* the file that names a database elsewhere */

/* Where the database is. */
struct ig_db_place {
    int dirfd;
    char *url;      /* what the option said; "" for the default */
    char *password; /* or NULL */
};

struct ig_db_driver {
    const char *name;
    bool elsewhere; /* whoever reads mostly waits */
    /* The writer is opened first and makes the database when absent; readers are read-only. */
    enum ig_code (*open)(struct ig_db_conn **out, const struct ig_db_place *place, bool writer,
                         struct ig_err *err); /* the place outlives the connection */
    void (*close)(struct ig_db_conn *conn);
    /* Statements without parameters, outside the cache: migrations, what undoes. */
    enum ig_code (*script)(struct ig_db_conn *conn, const char *sql, struct ig_err *err);
    /* One statement of many times, by a literal: it may be kept as those of `query` are. */
    enum ig_code (*step)(struct ig_db_conn *conn, const char *sql, struct ig_err *err);
    /* A reader's transaction sees a snapshot; a writer's may write from the start. A commit that
     * fails has kept nothing, unless its message says that this is not known. */
    enum ig_code (*begin)(struct ig_db_conn *conn, struct ig_err *err);
    enum ig_code (*commit)(struct ig_db_conn *conn, struct ig_err *err);
    /* On a writer between transactions: whether a commit waits for the disk, as at first all do, or
     * is on disk with the next that does; NULL where all do. */
    enum ig_code (*sync_commits)(struct ig_db_conn *conn, bool sync, struct ig_err *err);
    /* On a writer between transactions: it is as a reader is, or a writer again; NULL where it has
     * duties without any write. */
    enum ig_code (*only_read)(struct ig_db_conn *conn, bool only, struct ig_err *err);
    /* Called now and then on a writer between transactions; NULL where there is nothing to do. */
    void (*idle)(struct ig_db_conn *conn);
    bool (*in_transaction)(struct ig_db_conn *conn);
    enum ig_code (*query)(struct ig_db_rows **out, struct ig_db_conn *conn, const char *sql,
                          const struct ig_db_value *values, size_t values_count,
                          struct ig_err *err);
    enum ig_code (*query_once)(struct ig_db_rows **out, struct ig_db_conn *conn, const char *sql,
                               const struct ig_db_value *values, size_t values_count,
                               struct ig_err *err); /* the text is copied, nothing is kept */
    bool (*next)(struct ig_db_rows *rows, struct ig_err *err);
    void (*finish)(struct ig_db_rows *rows);
    int64_t (*changes)(struct ig_db_conn *conn);
    int64_t (*column_i64)(struct ig_db_rows *rows, int column);
    double (*column_f64)(struct ig_db_rows *rows, int column);
    struct ig_str (*column_text)(struct ig_db_rows *rows, int column);
    bool (*column_is_null)(struct ig_db_rows *rows, int column);
    /* Bytes of log that a checkpoint would move; 0 where there is no such thing. */
    uint64_t (*log_bytes)(struct ig_db_conn *conn);
    /* On a writer between transactions, nobody waiting: readies the log's file for what is appended
     * next; NULL where there is nothing to do. */
    void (*extend_log)(struct ig_db_conn *conn);
    /* `last`: nothing else is open, and the log ends up empty, so that the next open reads none. */
    enum ig_code (*checkpoint)(struct ig_db_conn *conn, bool last, struct ig_err *err);
};

/* Every driver's rows begin with this. */
struct ig_db_rows {
    const struct ig_db_driver *driver;
};

#define IG_STORE_DB(name, symbol, doc) extern const struct ig_db_driver symbol;
#include "stores/stores.def"
#undef IG_STORE_DB

/* CONFLICT: another process has it. Closing the descriptor gives it back. */
enum ig_code ig_db_directory_lock(int *out, int dirfd, struct ig_err *err);

/* Chooses the driver by the options and copies what it needs. Deinit also after a failure. */
enum ig_code ig_db_place_choose(struct ig_db_place *place, const struct ig_db_driver **driver,
                                const struct ig_db_options *options, struct ig_err *err);
/* The same, and sees that the directory belongs to the same database as before. */
enum ig_code ig_db_place_init(struct ig_db_place *place, const struct ig_db_driver **driver,
                              const struct ig_db_options *options, struct ig_err *err);
void ig_db_place_deinit(struct ig_db_place *place);
/* For a database elsewhere, once it is open: notes it in the directory. */
enum ig_code ig_db_place_note(const struct ig_db_place *place, const struct ig_db_driver *driver,
                              struct ig_err *err);

/* A move between databases (db_move.h) decides itself by one commit, that of its target, which
 * keeps the move's id in ig_moved. The file database.moving tells that one was begun, and which;
 * what the directory then holds of the other database is settled before it is opened again. */
enum ig_code ig_db_place_begin(char id[IG_ID_SIZE], const struct ig_db_place *place,
                               const struct ig_db_driver *to, struct ig_err *err);
/* Inside the target's transaction. */
enum ig_code ig_db_place_mark(const struct ig_db_driver *driver, struct ig_db_conn *conn,
                              const char *id, struct ig_err *err);
/* Behind the commit: the directory's rows are there from now on. An ingot.db is put aside as
 * ingot.db.moved, a note of a database elsewhere removed. */
enum ig_code ig_db_place_moved(const struct ig_db_place *place, const struct ig_db_driver *driver,
                               struct ig_err *err);
/* Nothing was kept: removes an ingot.db that no row has come to. */
void ig_db_place_abandon(const struct ig_db_place *place, const struct ig_db_driver *to);
/* Of a move that was cut short, for whoever asks for `driver`: its target is asked whether the move
 * was kept, which *kept says, and is finished then; its source is whole, so that stays. */
enum ig_code ig_db_place_settle(bool *kept, const struct ig_db_place *place,
                                const struct ig_db_driver *driver, struct ig_err *err);

/* Brings the database behind `conn` to the newest migration; *version is then its number. */
enum ig_code ig_db_migrate(int64_t *version, const struct ig_db_driver *driver,
                           struct ig_db_conn *conn, struct ig_err *err);

#endif
