/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_JOB_EDGE_TRAIN_TESTING_H
#define IG_SERVICES_JOB_EDGE_TRAIN_TESTING_H

/* For tests of small networks: tables of a number that may be missing, a colour and their sum, and
 * packages of trees as teachers. */

#include "base/random.h"
#include "services/job/edge_rows.h"
#include "stores/temp_testing.h"

#include <string.h>

struct edge_world {
    struct ig_arena arena;
    struct ig_table *table;
    struct ig_train_data data;
    struct ig_job_params params;
};

/* A table with the target y. */
static inline void edge_world_read(struct edge_world *world, struct ig_str text)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_csv *csv = NULL;
    const struct ig_table_options none = {0};
    const struct ig_train_options options = {
        .target = IG_STR("y"), .objective = "auto", .validation_fraction = 0.25, .seed = 1};
    ig_arena_init(&world->arena, 1 << 16, (size_t)256 << 20);
    ig_params_defaults(&world->params, IG_JOB_EDGE);
    ASSERT_OK(ig_csv_open_bytes(&csv, text, NULL, &err));
    ASSERT_OK(ig_table_read(&world->table, csv, &none, &err));
    ig_csv_close(csv);
    ASSERT_OK(ig_train_data_init(&world->data, world->table, &options, &world->arena, &err));
}

/* y: the sum, whether it is over 6, or which of three parts of its range it is in. */
static inline void edge_world_open(struct edge_world *world, size_t rows, enum ig_task task)
{
    static const char *const colours[] = {"blue", "green", "red"};
    struct ig_buf text;
    struct ig_rng rng;
    ig_rng_seed(&rng, 3);
    ig_buf_init(&text, 4 << 20);
    ig_buf_add_cstr(&text, "x,colour,y\n");
    for (size_t i = 0; i < rows; i++) {
        double x = ig_rng_unit(&rng) * 8;
        unsigned colour = (unsigned)ig_rng_below(&rng, 3);
        double sum = (i % 9 ? x : 4) + colour * 2;
        if (i % 9) ig_buf_printf(&text, "%.4f", x);
        ig_buf_printf(&text, ",%s,", colours[colour]);
        if (task == IG_TASK_REGRESSION)
            ig_buf_printf(&text, "%.4f\n", sum);
        else if (task == IG_TASK_BINARY)
            ig_buf_printf(&text, "%s\n", sum > 6 ? "yes" : "no");
        else
            ig_buf_printf(&text, "%c\n", sum > 7 ? 'c' : sum > 4 ? 'b' : 'a');
    }
    edge_world_read(world, ig_buf_view(&text));
    ig_buf_deinit(&text);
}

static inline void edge_world_close(struct edge_world *world)
{
    ig_train_data_deinit(&world->data);
    ig_table_free(world->table);
    ig_arena_deinit(&world->arena);
}

static inline void edge_world_set(struct edge_world *world, const char *name, const char *value)
{
    struct ig_err err = IG_ERR_INIT;
    ASSERT_OK(ig_params_set(&world->params, ig_str_view(name), ig_str_view(value), &err));
}

/* A teacher of two classes whose features stand in another order and whose categories have other
 * codes: red, blue, green; the margin is -2 or 2 by x at 4, plus 1 of red. */
static inline struct ig_package *edge_teacher(const char *classes)
{
    static const char model[] = "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\n"
                                "label_index=0\nmax_feature_idx=1\nobjective=binary sigmoid:1\n"
                                "feature_names=colour x\nfeature_infos=0:1:2 [0:9]\n"
                                "tree_sizes=1 1\n\n"
                                "Tree=0\nnum_leaves=2\nnum_cat=0\nsplit_feature=1\nthreshold=4\n"
                                "decision_type=8\nleft_child=-1\nright_child=-2\n"
                                "leaf_value=-2 2\nleaf_count=5 5\ninternal_count=10\n\n"
                                "Tree=1\nnum_leaves=2\nnum_cat=1\nsplit_feature=0\nthreshold=0\n"
                                "decision_type=1\nleft_child=-1\nright_child=-2\n"
                                "leaf_value=1 0\nleaf_count=5 5\ninternal_count=10\n"
                                "cat_boundaries=0 1\ncat_threshold=1\n\nend of trees\n";
    struct ig_err err = IG_ERR_INIT;
    struct ig_package *package = NULL;
    struct ig_str colours[] = {IG_STR("red"), IG_STR("blue"), IG_STR("green")};
    struct ig_str names[] = {{classes, 2}, {classes + 2, strlen(classes) - 2}};
    struct ig_feature features[] = {{.name = IG_STR("colour"),
                                     .type = IG_FEATURE_CATEGORICAL,
                                     .categories = colours,
                                     .categories_count = 3},
                                    {.name = IG_STR("x")}};
    const struct ig_schema schema = {.features = features,
                                     .features_count = 2,
                                     .task = IG_TASK_BINARY,
                                     .classes = names,
                                     .classes_count = 2};
    const struct ig_package_spec spec = {.model_bytes = {model, sizeof model - 1},
                                         .schema = &schema};
    struct ig_buf zip;
    ig_buf_init(&zip, 1 << 20);
    ASSERT_OK(ig_package_write(&zip, &spec, &err));
    ASSERT_OK(ig_package_open_bytes(&package, ig_buf_view(&zip), NULL, &err));
    ig_buf_deinit(&zip);
    return package;
}

#endif
