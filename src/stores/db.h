/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_STORES_DB_H
#define IG_STORES_DB_H

/* The relational store: numbered migrations, one writer, many readers.
 *
 * Single-writer rule: one thread with one connection runs every write and every checkpoint. Callers
 * hand it a function; those that wait together share one transaction and one fsync (group commit,
 * full durability), each inside its own savepoint, so one failing changes nothing of the others.
 * ig_db_write returns OK only after the commit is on disk. Readers have their own read-only
 * connections, see a snapshot, and wait for no writer. The data directory is locked with flock, and
 * a database elsewhere by its own means: a second process gets CONFLICT. A failed fsync ends the
 * process, and so does another server that took the database over.
 *
 * SQL: the dialect that SQLite and PostgreSQL share; parameters are $1, $2, ... After a statement
 * failed, the work function has to fail: PostgreSQL runs nothing more of it.
 *
 * Errors: a unique or primary key taken = EXISTS, a foreign key in the way = CONFLICT, a full disk
 * = EXHAUSTED, damage = CORRUPT, a text with a NUL (PostgreSQL) = INVALID, a database that is away
 * = UNAVAILABLE, else INTERNAL or IO. A write that fails has kept nothing; only when PostgreSQL
 * stays away after it was lost in the middle of a commit the message says that this is not known.
 * Thread-safe; never call from an event loop.
 */

#include "base/arena.h"
#include "base/err.h"

struct ig_db;
struct ig_db_tx;   /* a running transaction, valid inside its work function only */
struct ig_db_rows; /* a running query */

struct ig_db_options {
    /* NULL, "" or "sqlite": ingot.db in the directory. postgresql://USER:PASSWORD@HOST/DATABASE?...
     * as libpq takes it; a schema that it names (options=-csearch_path%3DNAME) is made. */
    const char *database;
    const char *password;   /* goes over that of `database`; or NULL */
    int dirfd;              /* the data directory; borrowed until ig_db_close */
    unsigned readers;       /* read-only connections at most; 0: 4 */
    unsigned queue_max;     /* writes that may wait; 0: 4096; more give EXHAUSTED */
    uint64_t wal_max_bytes; /* checkpoint when the log grew past this; 0: 16 MiB */
};

/* `database` for people: without passwords; cut at `size`. */
void ig_db_url_redact(char *out, size_t size, const char *database);

/* Locks the directory, opens (or makes) the database and brings it to the newest migration. A
 * database from a newer program is refused (UNSUPPORTED). */
enum ig_code ig_db_open(struct ig_db **out, const struct ig_db_options *options,
                        struct ig_err *err);
/* Finishes the queued writes, checkpoints, closes. No call may run or follow. NULL is allowed. */
void ig_db_close(struct ig_db *db);

/* Returns its own verdict: anything but OK undoes all it did. Runs exactly once, on the writer's
 * thread for writes and the caller's for reads. Must not call ig_db_write or ig_db_read. */
typedef enum ig_code ig_db_work(struct ig_db_tx *tx, void *context, struct ig_err *err);
enum ig_code ig_db_write(struct ig_db *db, ig_db_work *work, void *context, struct ig_err *err);
/* The same for what can be made again from what is on disk: OK may mean only that readers see it.
 */
enum ig_code ig_db_write_derived(struct ig_db *db, ig_db_work *work, void *context,
                                 struct ig_err *err);
enum ig_code ig_db_read(struct ig_db *db, ig_db_work *work, void *context, struct ig_err *err);

/* A write whose caller does not wait, so it may come from an event loop. The struct is the caller's
 * until `done`, which runs once, on the writer's thread, holds up the writes behind it, and may
 * free the struct. */
struct ig_db_pending {
    ig_db_work *work;
    void *context;
    struct ig_err *err;
    void (*done)(struct ig_db_pending *pending);
    bool derived;               /* as ig_db_write_derived */
    enum ig_code code;          /* the verdict, in `done` */
    struct ig_db_pending *next; /* private */
};
/* Anything but OK, also in pending->err: too many wait, and `done` will not run. */
enum ig_code ig_db_write_later(struct ig_db *db, struct ig_db_pending *pending);

struct ig_db_value {
    enum { IG_DB_NULL, IG_DB_I64, IG_DB_F64, IG_DB_TEXT, IG_DB_BYTES } kind;
    int64_t integer;
    double real;
    struct ig_str text; /* TEXT and BYTES; borrowed during the call (query: until finish) */
};
#define IG_DB_N() ((struct ig_db_value){.kind = IG_DB_NULL})
#define IG_DB_I(v) ((struct ig_db_value){.kind = IG_DB_I64, .integer = (v)})
#define IG_DB_F(v) ((struct ig_db_value){.kind = IG_DB_F64, .real = (v)})
#define IG_DB_T(v) ((struct ig_db_value){.kind = IG_DB_TEXT, .text = (v)})
#define IG_DB_C(v) IG_DB_T(ig_str_view(v))
#define IG_DB_B(v) ((struct ig_db_value){.kind = IG_DB_BYTES, .text = (v)})
#define IG_DB_VALUES(...)                                                                          \
    (const struct ig_db_value[]){__VA_ARGS__},                                                     \
        sizeof((const struct ig_db_value[]){__VA_ARGS__}) / sizeof(struct ig_db_value)

/* Runs one statement: ig_db_exec(tx, "delete from t where id = $1", IG_DB_VALUES(IG_DB_I(7)), err).
 * `sql` is a string literal: statements are cached by its address. */
enum ig_code ig_db_exec(struct ig_db_tx *tx, const char *sql, const struct ig_db_value *values,
                        size_t values_count, struct ig_err *err);
int64_t ig_db_changes(const struct ig_db_tx *tx); /* rows touched by the last ig_db_exec */

/* Query: while (ig_db_next(rows, err)) read columns; then always ig_db_finish. */
enum ig_code ig_db_query(struct ig_db_rows **out, struct ig_db_tx *tx, const char *sql,
                         const struct ig_db_value *values, size_t values_count, struct ig_err *err);
/* The same of a text put together for this call: prepared for it alone, and copied. Only constants
 * make up the text; what a client sent is a value. */
enum ig_code ig_db_query_once(struct ig_db_rows **out, struct ig_db_tx *tx, const char *sql,
                              const struct ig_db_value *values, size_t values_count,
                              struct ig_err *err);
/* A query for one number: the first column of the first row. `*out` stays as it is without a row.
 */
enum ig_code ig_db_get_i64(int64_t *out, struct ig_db_tx *tx, const char *sql,
                           const struct ig_db_value *values, size_t values_count,
                           struct ig_err *err);
bool ig_db_next(struct ig_db_rows *rows, struct ig_err *err); /* false at the end or on error */
void ig_db_finish(struct ig_db_rows *rows);                   /* NULL is allowed */
/* Columns of the current row, from 0. NULL reads as 0, 0.0 and empty. Text is borrowed until the
 * next ig_db_next; ig_db_text_dup copies it (NUL-terminated; ptr NULL when the arena is full). */
int64_t ig_db_i64(struct ig_db_rows *rows, int column);
double ig_db_f64(struct ig_db_rows *rows, int column);
struct ig_str ig_db_text(struct ig_db_rows *rows, int column);
struct ig_str ig_db_text_dup(struct ig_db_rows *rows, int column, struct ig_arena *arena);
bool ig_db_is_null(struct ig_db_rows *rows, int column);

/* Numbers for /metrics and tests. */
struct ig_db_stats {
    uint64_t writes;      /* work functions committed */
    uint64_t commits;     /* transactions, each one fsync */
    uint64_t checkpoints; /* finished */
    int64_t schema_version;
};
void ig_db_stats(struct ig_db *db, struct ig_db_stats *out);

/* Tests only: the n-th store call (exec, query, next, commit) from now on fails with IO, and all
 * after it; 0 = none. */
void ig_db_fail_after(uint64_t calls);
bool ig_db_failed(void); /* whether one was refused since the last ig_db_fail_after */

#endif
