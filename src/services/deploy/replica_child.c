/* SPDX-License-Identifier: Apache-2.0 */
/* The replica's side: loads the graph that the server names, then answers one call after another.
 *
 * 1. It dies with the server. Its memory limit holds before any model is read.
 * 2. Whatever a model does, it does here: the server sees a closed socket at worst.
 *
 * Thread rule: one thread. */
#include "services/deploy/replica_child.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"
#include "services/deploy/replica_wire.h"

#include <stdio.h>
#include <unistd.h>

static const size_t FRAME_MAX_BYTES = (size_t)2 << 30, ARENA_MAX_BYTES = (size_t)8 << 30;
static const size_t PACKAGE_MAX_BYTES = (size_t)2 << 30;
enum { ARENA_CHUNK = 1 << 20, READY_MAX_BYTES = 256 << 20 };

struct child {
    struct ig_replica_setup setup;
    struct ig_routing_spec graph;
    struct ig_blob_store *blobs;
    struct ig_backgrounds *backgrounds;
    const struct ig_routing *routing;
    struct ig_arena setup_arena, arena; /* the second: of one call */
    struct ig_buf in, out;
    uint64_t loaded_bytes; /* of data, once the models are there */
    struct ig_replica_usage usage;
};

/* Data: what the limit is about. */
static void measure_memory(uint64_t *resident_bytes, uint64_t *data_bytes)
{
    unsigned long resident = 0, data = 0;
    uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    FILE *file = fopen("/proc/self/statm", "re");
    if (file && fscanf(file, "%*u %lu %*u %*u %*u %lu", &resident, &data) != 2) resident = data = 0;
    if (file) fclose(file);
    *resident_bytes = resident * page_bytes;
    *data_bytes = data * page_bytes;
}

/* Of what loading the models left, more than half is taken, and an eighth of all at most is left.
 */
static bool is_full(const struct child *child, uint64_t data_bytes)
{
    uint64_t limit = child->setup.memory_bytes, loaded = child->loaded_bytes;
    return limit > loaded && data_bytes > limit - limit / 8 &&
           data_bytes > loaded + (limit - loaded) / 2;
}

static enum ig_code open_package(struct ig_package **out, void *context,
                                 const struct ig_routing_node *node, struct ig_err *err)
{
    struct child *child = context;
    struct ig_buf bytes;
    int32_t index = ig_routing_spec_find(&child->graph, node->name);
    if (index < 0 || (size_t)index >= child->setup.digests_count)
        return ig_fail(err, IG_INTERNAL, "replica: no package for the node");
    ig_buf_init(&bytes, PACKAGE_MAX_BYTES);
    if (ig_blob_read(&bytes, child->blobs, child->setup.digests[index], err) == IG_OK)
        ig_package_open_bytes(out, ig_buf_view(&bytes), NULL, err);
    ig_buf_deinit(&bytes);
    if (err->code != IG_OK)
        ig_err_prefix(err, "model '%.*s' version %lld", IG_STR_ARGS(node->model),
                      (long long)node->version);
    return err->code;
}

static enum ig_code load(struct child *child, struct ig_err *err)
{
    const struct ig_servable_source servables = {.tables_max_bytes =
                                                     (size_t)child->setup.tables_max_bytes};
    const struct ig_routing_source source = {
        .servables = &servables, .open = open_package, .context = child};
    const struct ig_blob_options blobs = {
        .where = ig_arena_cstr(&child->setup_arena, child->setup.blobs)};
    if (ig_process_limit_memory(child->setup.memory_bytes, err) != IG_OK ||
        ig_blob_open_reader(&child->blobs, &blobs, IG_REPLICA_DIR_FD, err) != IG_OK ||
        ig_backgrounds_open(&child->backgrounds, NULL, child->blobs, NULL, err) != IG_OK ||
        ig_routing_spec_read(&child->graph, child->setup.graph, &child->setup_arena, err) != IG_OK)
        return err->code;
    return ig_routing_new(&child->routing, &source, child->setup.deployment, 0, &child->graph, err);
}

static void write_ready(struct child *child)
{
    const struct ig_routing *routing = child->routing;
    ig_buf_reset(&child->out);
    for (uint32_t i = 0; i < routing->spec.nodes_count; i++)
        if (ig_routing_kind_answers(routing->spec.nodes[i].kind))
            ig_replica_face_write(&child->out, i, ig_routing_servable(routing, i)->package);
}

/* The choice of an explainer, and its preparation, happen here. */
static enum ig_code run(struct ig_inference_result *result, struct child *child,
                        const struct ig_servable *servable, struct ig_replica_call *call,
                        struct ig_err *err)
{
    struct ig_explain_choice *choice = ig_arena_zalloc(&child->arena, sizeof *choice);
    if (!choice) return ig_fail(err, IG_NO_MEMORY, "replica");
    if (call->request.ask) {
        ig_explaining_choose(choice, servable, child->backgrounds, &call->ask, true, err);
        if (err->code != IG_OK) return err->code;
        call->request.choice = choice;
        call->request.options = call->ask.options;
        call->request.ask = NULL;
    }
    return ig_inference_run(result, servable, &call->request, &child->arena, err);
}

static void measure(struct child *child, uint64_t before_ns)
{
    uint64_t data_bytes;
    measure_memory(&child->usage.memory_bytes, &data_bytes);
    child->usage.cpu_ns = ig_clock_cpu_ns() - before_ns;
    child->usage.full = is_full(child, data_bytes);
}

static enum ig_code answer(struct child *child, struct ig_err *err)
{
    struct ig_replica_call call;
    struct ig_replica_result result = {0};
    struct ig_str bytes = ig_buf_view(&child->in);
    uint32_t node;
    ig_arena_reset(&child->arena);
    if (ig_replica_call_node(&node, bytes, err) != IG_OK) return err->code;
    const struct ig_servable *servable = ig_routing_servable(child->routing, node);
    if (!servable) return ig_fail(err, IG_INTERNAL, "replica: node %u answers nothing", node);
    const struct ig_model *model = servable->package->model;
    uint64_t before_ns = ig_clock_cpu_ns();
    if (ig_replica_call_read(&call, bytes, model->features_count, err) == IG_OK)
        run(&result.result, child, servable, &call, err);
    measure(child, before_ns);
    if (err->code != IG_OK) return err->code;
    result.usage = child->usage;
    ig_buf_reset(&child->out);
    ig_replica_result_write(&child->out, &result, model);
    if (child->out.overflowed)
        ig_fail(err, IG_NO_MEMORY, "the answer for %zu rows", call.request.rows_count);
    return err->code;
}

static enum ig_code say(struct child *child, enum ig_replica_message kind,
                        const struct ig_err *failure)
{
    struct ig_err err = IG_ERR_INIT;
    if (failure->code != IG_OK) {
        kind = IG_REPLICA_ERROR;
        child->out.overflowed = false;
        ig_buf_reset(&child->out);
        ig_replica_error_write(&child->out, &child->usage, failure);
    }
    return ig_replica_send(IG_REPLICA_SOCKET_FD, kind, ig_buf_view(&child->out), 0, &err);
}

static enum ig_code hear(struct child *child, enum ig_replica_message expected)
{
    struct ig_err err = IG_ERR_INIT;
    enum ig_replica_message kind;
    if (ig_replica_receive(&kind, &child->in, IG_REPLICA_SOCKET_FD, 0, &err) != IG_OK)
        return err.code;
    return kind == expected ? IG_OK : IG_CORRUPT;
}

static int serve(struct child *child)
{
    struct ig_err err = IG_ERR_INIT;
    if (hear(child, IG_REPLICA_SETUP) != IG_OK) return 1;
    struct ig_str setup = ig_arena_dup(&child->setup_arena, ig_buf_view(&child->in));
    if (ig_replica_setup_read(&child->setup, setup, &child->setup_arena, &err) == IG_OK &&
        load(child, &err) == IG_OK) {
        write_ready(child);
        measure_memory(&child->usage.memory_bytes, &child->loaded_bytes);
    }
    if (child->out.overflowed) ig_fail(&err, IG_TOO_LARGE, "the models' descriptions");
    if (say(child, IG_REPLICA_READY, &err) != IG_OK || err.code != IG_OK) return 1;
    while (hear(child, IG_REPLICA_CALL) == IG_OK) {
        ig_err_clear(&err);
        answer(child, &err);
        if (say(child, IG_REPLICA_RESULT, &err) != IG_OK) return 1;
    }
    return 0;
}

int ig_replica_child(long parent_pid)
{
    struct ig_err err = IG_ERR_INIT;
    struct child child = {0};
    if (ig_process_die_with(parent_pid, &err) != IG_OK || ig_process_no_core(&err) != IG_OK) {
        ig_log_err(IG_LOG_ERROR, "replica", &err);
        return 1;
    }
    ig_arena_init(&child.setup_arena, ARENA_CHUNK, READY_MAX_BYTES);
    ig_arena_init(&child.arena, ARENA_CHUNK, ARENA_MAX_BYTES);
    ig_buf_init(&child.in, FRAME_MAX_BYTES);
    ig_buf_init(&child.out, FRAME_MAX_BYTES);
    int status = serve(&child);
    ig_routing_unref(child.routing);
    ig_backgrounds_close(child.backgrounds);
    ig_blob_close(child.blobs);
    ig_buf_deinit(&child.out);
    ig_buf_deinit(&child.in);
    ig_arena_deinit(&child.arena);
    ig_arena_deinit(&child.setup_arena);
    return status;
}
