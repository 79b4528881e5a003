/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_APPROVAL_APPROVAL_TESTING_H
#define IG_SERVICES_APPROVAL_APPROVAL_TESTING_H

/* For tests of gates and reports: a database in which model m has one version. */

#include "base/arena.h"
#include "stores/db_testing.h"
#include "stores/statement_testing.h"
#include "stores/temp_testing.h"

static struct ig_temp temp;
static struct ig_db *db;
static struct ig_arena arena;
static struct ig_err err;

static inline int setup(void **state)
{
    (void)state;
    err = IG_ERR_INIT;
    temp = ig_temp_make();
    struct ig_db_options options = ig_db_testing_options(temp.fd);
    ig_arena_init(&arena, 64 << 10, 64 << 20);
    ASSERT_OK(ig_db_open(&db, &options, &err));
    ig_statement_write(
        db,
        "insert into models(name, description, created_ms, last_version) values('m', '', 1, 1)");
    ig_statement_write(
        db,
        "insert into versions(model, version, digest, model_digest, size_bytes, created_ms,"
        " job_id, metrics, format, state) values('m', 1, 'd1', '', 1, 1, '', '{}', 'x', 'ready')");
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    ig_db_close(db);
    ig_arena_deinit(&arena);
    ig_temp_remove(&temp);
    return 0;
}

#endif
