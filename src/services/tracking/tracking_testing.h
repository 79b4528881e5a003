/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_TRACKING_TRACKING_TESTING_H
#define IG_SERVICES_TRACKING_TRACKING_TESTING_H

/* For tests of what is kept about runs and traces: a database of their own for each. */

#include "services/tracking/tracking.h"
#include "stores/db_testing.h"
#include "stores/temp_testing.h"

static struct ig_temp temp;
static struct ig_db *db;
static struct ig_tracking *tracking;
static struct ig_arena arena;
static struct ig_err err;

static inline int setup(void **state)
{
    (void)state;
    err = IG_ERR_INIT;
    temp = ig_temp_make();
    const struct ig_db_options options = ig_db_testing_options(temp.fd);
    ASSERT_OK(ig_db_open(&db, &options, &err));
    ASSERT_OK(ig_tracking_open(&tracking, db, &err));
    ig_arena_init(&arena, 64 << 10, 64 << 20);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    ig_tracking_close(tracking);
    ig_db_close(db);
    ig_arena_deinit(&arena);
    ig_temp_remove(&temp);
    return 0;
}

static inline int64_t make_experiment(const char *name)
{
    int64_t id = -1;
    const struct ig_tracking_experiment_spec spec = {.name = ig_str_view(name)};
    ASSERT_OK(ig_tracking_experiment_create(&id, tracking, &IG_PRINCIPAL_LOCAL, &spec, &err));
    return id;
}

#endif
