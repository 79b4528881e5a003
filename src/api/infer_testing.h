/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_INFER_TESTING_H
#define IG_API_INFER_TESTING_H

/* A real deployment "d" of a model file behind a call without a server. */

#include "api/call_testing.h"
#include "api/infer.h"
#include "base/file.h"
#include "stores/db_testing.h"

#include <stdio.h>

struct ig_infer_testing {
    struct ig_call_testing test;
    char dir[32];
    int dirfd;
};

static inline enum ig_code ig_infer_testing_deploy(struct ig_app *app, const char *model_path,
                                                   struct ig_err *err)
{
    struct ig_buf model;
    char digest[IG_SHA256_HEX];
    int64_t version;
    struct ig_version_spec spec = {.model = IG_STR("m")};
    struct ig_deployment_spec deployment = {
        .name = IG_STR("d"), .model = IG_STR("m"), .ref = IG_STR("1")};
    ig_buf_init(&model, 64 << 20);
    if (ig_file_read(&model, IG_FILE_CWD, model_path, err) == IG_OK &&
        ig_blob_put(digest, app->blobs, ig_buf_view(&model), err) == IG_OK) {
        spec.digest = ig_str_view(digest);
        if (ig_registry_version_create(&version, app->registry, &IG_PRINCIPAL_LOCAL, &spec, err) ==
            IG_OK)
            ig_deploy_set(app->deploy, &IG_PRINCIPAL_LOCAL, &deployment, err);
    }
    ig_buf_deinit(&model);
    return err->code;
}

static inline enum ig_code ig_infer_testing_open(struct ig_infer_testing *testing,
                                                 const char *model_path, struct ig_err *err)
{
    struct ig_app *app = &testing->test.app;
    ig_call_testing_init(&testing->test);
    snprintf(testing->dir, sizeof testing->dir, "/tmp/ingot-infer-XXXXXX");
    testing->dirfd = -1;
    if (!mkdtemp(testing->dir)) return ig_fail(err, IG_IO, "no temporary directory");
    if (ig_dir_open(&testing->dirfd, IG_FILE_CWD, testing->dir, err) != IG_OK) return err->code;
    struct ig_db_options db = ig_db_testing_options(testing->dirfd);
    if (ig_db_open(&app->db, &db, err) != IG_OK) return err->code;
    if (ig_blob_open(&app->blobs, NULL, testing->dirfd, err) != IG_OK) return err->code;
    if (ig_registry_open(&app->registry, app->db, app->blobs, err) != IG_OK) return err->code;
    if (ig_backgrounds_open(&app->backgrounds, app->db, app->blobs, app->registry, err) != IG_OK)
        return err->code;
    if (ig_reasons_open(&app->reasons, app->db, app->blobs, app->registry, app->backgrounds, err) !=
        IG_OK)
        return err->code;
    if (ig_explain_cache_new(&app->explain_cache, 1 << 20, err) != IG_OK) return err->code;
    if (ig_records_open(&app->records, app->db, err) != IG_OK) return err->code;
    struct ig_deploy_options deploy = {
        .db = app->db, .blobs = app->blobs, .registry = app->registry};
    if (ig_deploy_open(&app->deploy, &deploy, err) != IG_OK) return err->code;
    app->rows_max = 100;
    app->inline_max_ns = UINT64_MAX;
    return ig_infer_testing_deploy(app, model_path, err);
}

/* Deploys "d" anew: a graph as JSON. */
static inline enum ig_code ig_infer_testing_graph(struct ig_infer_testing *testing,
                                                  const char *graph)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_routing_spec read;
    struct ig_arena arena;
    const struct ig_deployment_spec spec = {.name = IG_STR("d"), .graph = &read};
    ig_arena_init(&arena, 4096, 1 << 20);
    if (ig_routing_spec_read(&read, ig_str_view(graph), &arena, &err) == IG_OK)
        ig_deploy_set(testing->test.app.deploy, &IG_PRINCIPAL_LOCAL, &spec, &err);
    ig_arena_deinit(&arena);
    return err.code;
}

static inline void ig_infer_testing_close(struct ig_infer_testing *testing)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_app *app = &testing->test.app;
    ig_deploy_close(app->deploy);
    ig_records_close(app->records);
    ig_explain_cache_free(app->explain_cache);
    ig_reasons_close(app->reasons);
    ig_backgrounds_close(app->backgrounds);
    ig_registry_close(app->registry);
    ig_blob_close(app->blobs);
    ig_db_close(app->db);
    ig_file_close(&testing->dirfd);
    ig_dir_remove_tree(IG_FILE_CWD, testing->dir, &err);
    ig_call_testing_deinit(&testing->test);
}

#endif
