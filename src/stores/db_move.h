/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_STORES_DB_MOVE_H
#define IG_STORES_DB_MOVE_H

/* Moves all rows of a data directory between SQLite and PostgreSQL, while no server holds it.
 *
 * Table by table in one transaction of the target, which has to be without rows; then every table
 * is read back and compared by its count and a digest of its rows. Only then is the directory the
 * target's: ingot.db is kept as ingot.db.moved, rows in PostgreSQL stay where they are. A move that
 * fails leaves the source as it was; one that is cut short is settled by whoever opens the
 * directory next, also by a second move. */

#include "base/hash.h"
#include "stores/db.h"

struct ig_db_moved_table {
    struct ig_str name;
    int64_t rows;
    char
        digest[IG_SHA256_HEX]; /* of the rows, in the order of the primary key, or of all columns */
};

struct ig_db_move {
    int dirfd;             /* borrowed */
    const char *from, *to; /* as ig_db_options.database: one of them is SQLite */
    const char *password;  /* of the other; or NULL */
    void (*told)(void *context, const struct ig_db_moved_table *table); /* after each; or NULL */
    void *context;
};
/* *kept: the same move had been cut short behind its commit, so it was finished and nothing copied.
 * CONFLICT: the directory is in use, belongs to another database, or the target has rows.
 * INTERNAL: what was read back is not what was written. */
enum ig_code ig_db_move(bool *kept, const struct ig_db_move *move, struct ig_err *err);

#endif
