/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_REGISTERED_REGISTERED_TESTING_H
#define IG_SERVICES_REGISTERED_REGISTERED_TESTING_H

/* For tests: a registry in a directory that goes away. */

#include "services/registered/registered.h"
#include "stores/db_testing.h"
#include "stores/temp_testing.h"

#include <string.h>

struct ig_registered_testing {
    struct ig_temp temp;
    struct ig_db *db;
    struct ig_tracking *tracking;
    struct ig_arena arena;
    struct ig_registered_by by;
};

static inline int ig_registered_testing_open(struct ig_registered_testing *world)
{
    struct ig_err err = IG_ERR_INIT;
    memset(world, 0, sizeof *world);
    world->temp = ig_temp_make();
    struct ig_db_options options = ig_db_testing_options(world->temp.fd);
    ig_arena_init(&world->arena, 64 << 10, 64 << 20);
    ASSERT_OK(ig_db_open(&world->db, &options, &err));
    ASSERT_OK(ig_tracking_open(&world->tracking, world->db, &err));
    world->by = (struct ig_registered_by){
        .db = world->db, .who = &IG_PRINCIPAL_LOCAL, .arena = &world->arena};
    return 0;
}

static inline int ig_registered_testing_close(struct ig_registered_testing *world)
{
    ig_tracking_close(world->tracking);
    ig_db_close(world->db);
    ig_arena_deinit(&world->arena);
    ig_temp_remove(&world->temp);
    return 0;
}

static inline void ig_registered_testing_model(struct ig_registered_testing *world,
                                               const char *name, struct ig_tracking_pairs tags)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_registered_model model;
    const struct ig_registered_spec spec = {ig_str_view(name), IG_STR(""), tags};
    ASSERT_OK(ig_registered_create(&model, &world->by, &spec, &err));
}

static inline int64_t ig_registered_testing_version(struct ig_registered_testing *world,
                                                    const char *name, const char *source,
                                                    struct ig_tracking_pairs tags)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_registered_version version = {.version = 0};
    const struct ig_registered_version_spec spec = {.name = ig_str_view(name),
                                                    .source = ig_str_view(source),
                                                    .description = IG_STR(""),
                                                    .run_link = IG_STR(""),
                                                    .tags = tags};
    ASSERT_OK(ig_registered_version_create(&version, &world->by, &spec, &err));
    return version.version;
}

#endif
