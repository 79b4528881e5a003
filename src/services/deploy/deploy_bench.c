/* SPDX-License-Identifier: Apache-2.0 */
/* What a request pays for around the kernel, on one thread: key, deployment, inference buffers,
 * digests, decision record. */
#include "base/clock.h"
#include "base/file.h"
#include "services/deploy/decision_log.h"
#include "services/deploy/inference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RING = 4096 };

static const char MODEL[] = "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\n"
                            "label_index=0\nmax_feature_idx=0\nobjective=binary sigmoid:1\n"
                            "feature_names=size\nfeature_infos=[0:9]\ntree_sizes=1\n\nTree=0\n"
                            "num_leaves=2\nnum_cat=0\nsplit_feature=0\nthreshold=1.5\n"
                            "decision_type=8\nleft_child=-1\nright_child=-2\nleaf_value=-1 1\n"
                            "leaf_count=5 5\ninternal_count=10\n\nend of trees\n";

struct world {
    struct ig_db *db;
    struct ig_blob_store *blobs;
    struct ig_registry *registry;
    struct ig_auth *auth;
    struct ig_deploy *deploy;
    struct ig_decision_log *decisions;
    struct ig_key_created key;
};

#define MUST(call) IG_ASSERT((call) == IG_OK)

static void open_world(struct world *world, int fd)
{
    struct ig_err err = IG_ERR_INIT;
    char digest[IG_SHA256_HEX];
    int64_t version;
    const struct ig_principal *who = &IG_PRINCIPAL_LOCAL;
    struct ig_db_options db = {.dirfd = fd};
    MUST(ig_db_open(&world->db, &db, &err));
    MUST(ig_blob_open(&world->blobs, NULL, fd, &err));
    MUST(ig_registry_open(&world->registry, world->db, world->blobs, &err));
    struct ig_auth_options auth = {.db = world->db};
    MUST(ig_auth_open(&world->auth, &auth, &err));
    struct ig_deploy_options deploy = {
        .db = world->db, .blobs = world->blobs, .registry = world->registry};
    MUST(ig_deploy_open(&world->deploy, &deploy, &err));
    struct ig_decision_log_options decisions = {.dirfd = fd, .rings = 1, .flush_ms = 1};
    MUST(ig_decision_log_open(&world->decisions, &decisions, &err));

    const struct ig_key_spec key = {IG_STR("bench"), IG_SCOPE_INFER, 0};
    for (int i = 0; i < 10; i++) MUST(ig_auth_key_create(&world->key, world->auth, &key, &err));
    MUST(ig_blob_put(digest, world->blobs, ig_str_view(MODEL), &err));
    const struct ig_version_spec spec = {.model = IG_STR("m"), .digest = ig_str_view(digest)};
    MUST(ig_registry_version_create(&version, world->registry, who, &spec, &err));
    for (int i = 0; i < 10; i++) {
        char name[16];
        snprintf(name, sizeof name, "model-%d", i);
        const struct ig_deployment_spec one = {.name = ig_str_view(name), .model = IG_STR("m")};
        MUST(ig_deploy_set(world->deploy, who, &one, &err));
    }
}

static void close_world(struct world *world)
{
    ig_decision_log_close(world->decisions);
    ig_deploy_close(world->deploy);
    ig_auth_close(world->auth);
    ig_registry_close(world->registry);
    ig_blob_close(world->blobs);
    ig_db_close(world->db);
}

static void show(const char *what, uint64_t from, size_t times)
{
    printf("request: %-34s %8.0f ns\n", what, (double)(ig_clock_ns() - from) / (double)times);
}

static void measure(struct world *world, size_t times)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_principal who;
    struct ig_arena arena;
    struct ig_inference_result result;
    double row = 1;
    struct ig_decision decision = {.rows = 1,
                                   .status = 200,
                                   .propensity = 1,
                                   .request_id = IG_STR("01m85d7k9h7bx8kqc04mhj7nga"),
                                   .deployment = IG_STR("model-7"),
                                   .model = IG_STR("m")};
    const struct ig_routing *routing = NULL;
    ig_arena_init(&arena, 64 << 10, 1 << 20);
    uint64_t from = ig_clock_ns();
    for (size_t i = 0; i < times; i++)
        MUST(ig_auth_authenticate(&who, world->auth, ig_str_view(world->key.token), &err));
    show("authenticate a key", from, times);
    from = ig_clock_ns();
    for (size_t i = 0; i < times; i++)
        routing = ig_deploy_acquire(world->deploy, IG_STR("model-7"));
    show("find the deployment", from, times);
    const struct ig_inference_request request = {.rows = &row, .rows_count = 1};
    from = ig_clock_ns();
    for (size_t i = 0; i < times; i++) {
        ig_arena_reset(&arena);
        MUST(ig_inference_run(&result, routing->single, &request, &arena, &err));
    }
    show("inference on a stump", from, times);
    from = ig_clock_ns();
    for (size_t i = 0; i < times; i++) {
        ig_sha256(&row, sizeof row, decision.input_digest);
        ig_sha256(result.margins, sizeof row, decision.output_digest);
    }
    show("digests of input and output", from, times);
    uint64_t took = 0;
    for (size_t i = 0; i < times; i += RING) { /* the ring is emptied outside the measurement */
        size_t count = times - i < RING ? times - i : RING;
        ig_decision_log_flush(world->decisions);
        from = ig_clock_ns();
        for (size_t at = 0; at < count; at++)
            IG_ASSERT(ig_decision_log_put(world->decisions, 0, &decision));
        took += ig_clock_ns() - from;
    }
    show("decision record", ig_clock_ns() - took, times);
    ig_arena_deinit(&arena);
}

int main(int argc, char **argv)
{
    bool smoke = argc > 1 && strcmp(argv[1], "--smoke") == 0;
    char path[] = "/tmp/ingot-bench-XXXXXX";
    struct ig_err err = IG_ERR_INIT;
    struct world world = {0};
    int fd = -1;
    IG_ASSERT(mkdtemp(path) != NULL);
    MUST(ig_dir_open(&fd, IG_FILE_CWD, path, &err));
    open_world(&world, fd);
    measure(&world, smoke ? 100 : 200000);
    close_world(&world);
    ig_file_close(&fd);
    return ig_dir_remove_tree(IG_FILE_CWD, path, &err) == IG_OK ? 0 : 1;
}
