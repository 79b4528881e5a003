/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_STORES_DB_TESTING_H
#define IG_STORES_DB_TESTING_H

/* For tests: which database a directory's rows are in. That is SQLite, unless INGOT_TEST_DATABASE
 * is the URL of a PostgreSQL database (tests/support/with_postgres.c): then each directory has a
 * schema of its own there. */

#include "stores/db.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* `database`, which has a query part, with a schema for the directory at `path`. Static memory. */
static inline const char *ig_db_testing_url(const char *database, const char *path)
{
    static char url[512];
    char schema[33] = "";
    struct ig_str name = ig_str_view(path);
    if (ig_str_ends(name, IG_STR("/data"))) name.len -= strlen("/data");
    size_t from = name.len > 12 ? name.len - 12 : 0;
    for (size_t i = from, at = 0; i < name.len; i++, at += 2) /* capitals are others */
        snprintf(schema + at, 3, "%02x", (unsigned char)name.ptr[i]);
    snprintf(url, sizeof url, "%s&options=-csearch_path%%3Dt%s", database, schema);
    return url;
}

/* NULL: SQLite. */
static inline const char *ig_db_testing_database(const char *path)
{
    const char *database = getenv("INGOT_TEST_DATABASE");
    return database && *database ? ig_db_testing_url(database, path) : NULL;
}

static inline bool ig_db_testing_is_sqlite(void)
{
    return !ig_db_testing_database("");
}

static inline struct ig_db_options ig_db_testing_options(int dirfd)
{
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = '\0';
    return (struct ig_db_options){.dirfd = dirfd, .database = ig_db_testing_database(path)};
}

#endif
