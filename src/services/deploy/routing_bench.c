/* SPDX-License-Identifier: Apache-2.0 */
/* What routing adds to a prediction: a decision of each kind of node, and an ensemble next to the
 * sum of its members. */
#include "base/clock.h"
#include "base/file.h"
#include "services/deploy/routing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL "tests/golden/xgboost/binary_missing/model.json"
#define M1 "{\"model\":\"m\",\"version\":1}"
#define M2 "{\"model\":\"m\",\"version\":2}"
#define M3 "{\"model\":\"m\",\"version\":3}"
#define CANARY "{\"canary\":{\"stable\":" M1 ",\"candidate\":" M2 ",\"canary_percent\":5}}"

static const struct {
    const char *what, *graph;
} GRAPHS[] = {
    {"one model", "{\"root\":" M1 "}"},
    {"canary", "{\"root\":" CANARY "}"},
    {"segment of 4 rules, then canary",
     "{\"root\":{\"segment\":{\"rules\":[{\"when\":\"`first feature` > 900\",\"then\":" M3 "},{"
     "\"when\":\"plan == 'gold' and `first feature` < 3\",\"then\":" M3 "},{\"when\":"
     "\"plan in ('a', 'b', 'c')\",\"then\":" M3
     "},{\"when\":\"plan starts_with 'pre'\",\"then\":" CANARY "}],\"default\":" M1
     "}},\"context\":{\"plan\":\"text\"}}"},
    {"bandit of 3 arms", "{\"root\":{\"bandit\":{\"arms\":[{\"name\":\"a\",\"node\":" M1
                         "},{\"name\":\"b\",\"node\":" M2 "},{\"name\":\"c\",\"node\":" M3 "}]}}}"},
};
static const char ENSEMBLE[] =
    "{\"root\":{\"ensemble\":{\"combine\":\"mean\",\"members\":[" M1 "," M2 "," M3 "]}}}";

struct bench {
    struct ig_db *db;
    struct ig_blob_store *blobs;
    struct ig_registry *registry;
    struct ig_arena arena;
};

#define MUST(call)                                                                                 \
    do {                                                                                           \
        if ((call) != IG_OK) {                                                                     \
            fprintf(stderr, "routing_bench: %s\n", err.message);                                   \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static void fill(struct bench *bench, int dirfd)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf model;
    char digest[IG_SHA256_HEX];
    int64_t version;
    const struct ig_db_options db = {.dirfd = dirfd};
    ig_buf_init(&model, 64 << 20);
    ig_arena_init(&bench->arena, 64 << 10, 64 << 20);
    MUST(ig_db_open(&bench->db, &db, &err));
    MUST(ig_blob_open(&bench->blobs, NULL, dirfd, &err));
    MUST(ig_registry_open(&bench->registry, bench->db, bench->blobs, &err));
    MUST(ig_file_read(&model, IG_FILE_CWD, MODEL, &err));
    MUST(ig_blob_put(digest, bench->blobs, ig_buf_view(&model), &err));
    for (int i = 0; i < 3; i++) {
        const struct ig_version_spec spec = {.model = IG_STR("m"), .digest = ig_str_view(digest)};
        MUST(ig_registry_version_create(&version, bench->registry, &IG_PRINCIPAL_LOCAL, &spec,
                                        &err));
    }
    ig_buf_deinit(&model);
}

static const struct ig_routing *build(struct bench *bench, const char *graph)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_routing_spec spec;
    const struct ig_routing *routing = NULL;
    const struct ig_servable_source servables = {.blobs = bench->blobs};
    const struct ig_routing_source source = {.servables = &servables, .registry = bench->registry};
    MUST(ig_routing_spec_read(&spec, ig_str_view(graph), &bench->arena, &err));
    MUST(ig_routing_new(&routing, &source, IG_STR("d"), 1, &spec, &err));
    return routing;
}

static double route(const struct ig_routing *routing, size_t times)
{
    const double row[6] = {4, 1, 2, 3, 4, 5};
    const struct ig_rules_value plan = {.present = true, .text = IG_STR("premium")};
    char unit[16] = "user-0000000";
    struct ig_routing_input input = {
        .row = row, .attributes = &plan, .unit = {unit, sizeof "user-0000000" - 1}};
    struct ig_routing_path path;
    uint64_t from = ig_clock_cpu_ns(), ends = 0;
    for (size_t i = 0; i < times; i++) {
        memcpy(unit + 5, &i, 4); /* another unit each time */
        ig_routing_route(&path, routing, &input);
        ends += path.node;
    }
    double ns = (double)(ig_clock_cpu_ns() - from) / (double)times;
    return ends > times * IG_ROUTING_NODES_MAX ? 0 : ns;
}

static double predict(const struct ig_servable *servable, size_t times)
{
    const double row[6] = {4, 1, 2, 3, 4, 5};
    double margin, prediction;
    static _Alignas(64) char scratch[1 << 20];
    const struct ig_engine *engine = servable->package->engine;
    IG_ASSERT(ig_engine_scratch_bytes(engine, IG_ENGINE_MARGIN, 1) <= sizeof scratch);
    uint64_t from = ig_clock_cpu_ns();
    for (size_t i = 0; i < times; i++)
        ig_engine_predict(engine, row, 1, (struct ig_engine_scores){&margin, &prediction, NULL},
                          scratch);
    return (double)(ig_clock_cpu_ns() - from) / (double)times;
}

int main(int argc, char **argv)
{
    size_t times = argc > 1 && strcmp(argv[1], "--smoke") == 0 ? 100 : 2000000;
    char path[] = "/tmp/ingot-bench-XXXXXX";
    struct ig_err err = IG_ERR_INIT;
    struct bench bench;
    int fd = -1;
    IG_ASSERT(mkdtemp(path) != NULL);
    MUST(ig_dir_open(&fd, IG_FILE_CWD, path, &err));
    fill(&bench, fd);
    for (size_t i = 0; i < sizeof GRAPHS / sizeof *GRAPHS; i++) {
        const struct ig_routing *routing = build(&bench, GRAPHS[i].graph);
        printf("route: %-34s %8.1f ns\n", GRAPHS[i].what, route(routing, times));
        ig_routing_unref(routing);
    }
    const struct ig_routing *routing = build(&bench, ENSEMBLE);
    double sum = 0, ensemble = predict(routing->single, times / 10);
    for (size_t i = 0; i < 3; i++) sum += predict(routing->single->members[i].servable, times / 10);
    printf("ensemble of 3 models               %8.1f ns, its members alone %.1f ns\n", ensemble,
           sum);
    ig_routing_unref(routing);
    ig_registry_close(bench.registry);
    ig_blob_close(bench.blobs);
    ig_db_close(bench.db);
    ig_arena_deinit(&bench.arena);
    ig_file_close(&fd);
    return ig_dir_remove_tree(IG_FILE_CWD, path, &err) == IG_OK ? 0 : 1;
}
