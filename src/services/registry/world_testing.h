/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_REGISTRY_WORLD_TESTING_H
#define IG_SERVICES_REGISTRY_WORLD_TESTING_H

/* For tests of services: stores and registry in a directory that goes away, and small models that
 * can be told apart by their margins. */

#include "services/registry/registry.h"
#include "stores/db_testing.h"
#include "stores/temp_testing.h"

#include <string.h>

struct ig_world {
    struct ig_temp temp;
    struct ig_db *db;
    struct ig_blob_store *blobs;
    struct ig_registry *registry;
    struct ig_arena arena;
};

static inline void ig_world_start(struct ig_world *world)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_db_options db = ig_db_testing_options(world->temp.fd);
    ASSERT_OK(ig_db_open(&world->db, &db, &err));
    ASSERT_OK(ig_blob_open(&world->blobs, NULL, world->temp.fd, &err));
    ASSERT_OK(ig_registry_open(&world->registry, world->db, world->blobs, &err));
}

static inline void ig_world_stop(struct ig_world *world)
{
    ig_registry_close(world->registry);
    ig_blob_close(world->blobs);
    ig_db_close(world->db);
}

static inline void ig_world_open(struct ig_world *world)
{
    memset(world, 0, sizeof *world);
    world->temp = ig_temp_make();
    ig_arena_init(&world->arena, 64 << 10, 64 << 20);
    ig_world_start(world);
}

static inline void ig_world_close(struct ig_world *world)
{
    ig_world_stop(world);
    ig_arena_deinit(&world->arena);
    ig_temp_remove(&world->temp);
}

/* A stump in LightGBM's text: size <= 1.5 ? low : high, with a sigmoid over it. */
static inline struct ig_str ig_world_model(char text[1024], double low, double high)
{
    int length = snprintf(text, 1024,
                          "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\n"
                          "max_feature_idx=0\nobjective=binary sigmoid:1\nfeature_names=size\n"
                          "feature_infos=[0:9]\ntree_sizes=1\n\nTree=0\nnum_leaves=2\nnum_cat=0\n"
                          "split_feature=0\nthreshold=1.5\ndecision_type=8\nleft_child=-1\n"
                          "right_child=-2\nleaf_value=%.17g %.17g\nleaf_count=5 5\n"
                          "internal_count=10\n\nend of trees\n",
                          low, high);
    return (struct ig_str){text, (size_t)length};
}

/* Registers the stump (low, high = -low) as the next version of `model`. */
static inline int64_t ig_world_register(struct ig_world *world, const char *model, double low)
{
    struct ig_err err = IG_ERR_INIT;
    char text[1024], digest[IG_SHA256_HEX];
    int64_t version = 0;
    ASSERT_OK(ig_blob_put(digest, world->blobs, ig_world_model(text, low, -low), &err));
    const struct ig_version_spec spec = {.model = ig_str_view(model),
                                         .digest = ig_str_view(digest)};
    ASSERT_OK(
        ig_registry_version_create(&version, world->registry, &IG_PRINCIPAL_LOCAL, &spec, &err));
    return version;
}

#endif
