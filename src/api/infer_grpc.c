/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC calls become the calls of their HTTP routes: access, routing, inference, log and counters
 * are the same; only messages are read and written here. Each message of a stream is a call of its
 * own, in the message's arena. */
#include "api/infer_grpc.h"

#include "api/access.h"
#include "api/front.h"
#include "api/infer_grpc_priv.h"
#include "api/metrics.h"
#include "api/oip_memory.h"
#include "api/oip_proto.h"
#include "api/route.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "services/deploy/responses.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_MAX = 64 << 20 };

struct method {
    const char *name;
    const char *verb, *path; /* of the HTTP route that does the same */
    ig_grpc_handler *run;    /* NULL: inference */
    bool blocks, streams;
};

/* Of one gRPC call, in its exchange's arena. */
struct session {
    const struct method *method;
    const struct ig_route *route;
    struct ig_principal who;
    struct ig_call *call; /* of a stream: the message at hand */
    /* For the counters, of all messages so far: */
    uint64_t rows;
    enum ig_code (*in_pool)(struct ig_call *call);
    bool gathered;
};

/* ---- replies ---- */

static enum ig_code write_live(struct ig_call *call, struct ig_str message, struct ig_buf *out)
{
    (void)call;
    (void)message;
    ig_proto_add_varint(out, 1, 1);
    return IG_OK;
}

static bool is_ready(const struct ig_call *call)
{
    return !atomic_load(&call->app->draining) && ig_deploy_ready(call->app->deploy);
}

static enum ig_code write_ready(struct ig_call *call, struct ig_str message, struct ig_buf *out)
{
    (void)message;
    ig_proto_add_varint(out, 1, is_ready(call));
    return IG_OK;
}

/* SERVING is 1, NOT_SERVING 2. */
static enum ig_code write_health(struct ig_call *call, struct ig_str message, struct ig_buf *out)
{
    (void)message;
    ig_proto_add_varint(out, 1, is_ready(call) ? 1 : 2);
    return IG_OK;
}

static enum ig_code write_server(struct ig_call *call, struct ig_str message, struct ig_buf *out)
{
    const char *name;
    (void)message;
    ig_proto_add_bytes(out, 1, IG_STR("ingot"));
    ig_proto_add_bytes(out, 2, IG_STR(INGOT_VERSION));
    for (size_t i = 0; (name = ig_oip_extension(call->app, i)); i++)
        ig_proto_add_bytes(out, 3, ig_str_view(name));
    return IG_OK;
}

static const struct ig_routing *find(struct ig_call *call, struct ig_str message)
{
    struct ig_oip_names names;
    if (ig_oip_proto_names(&names, message, &call->err) != IG_OK) return NULL;
    return ig_oip_find(call, names.model, names.version);
}

static enum ig_code write_model_ready(struct ig_call *call, struct ig_str message,
                                      struct ig_buf *out)
{
    struct ig_oip_names names;
    if (ig_oip_proto_names(&names, message, &call->err) != IG_OK) return call->err.code;
    enum ig_deploy_state state = ig_deploy_state(call->app->deploy, names.model);
    bool waits = state == IG_DEPLOY_PAUSED || state == IG_DEPLOY_FAILED;
    if (!waits && !ig_oip_find(call, names.model, names.version)) return call->err.code;
    ig_proto_add_varint(out, 1, !waits);
    return IG_OK;
}

static void add_version(struct ig_buf *out, uint32_t number, int64_t version)
{
    size_t at = ig_proto_open(out, number);
    ig_buf_add_i64(out, version);
    ig_proto_close(out, at);
}

/* TensorMetadata {1 name, 2 datatype, 3 shape}. */
static void add_metadata(struct ig_buf *out, uint32_t number, const struct ig_oip_port *port)
{
    size_t at = ig_proto_open(out, number);
    ig_proto_add_bytes(out, 1, port->name);
    ig_proto_add_bytes(out, 2, ig_str_view(ig_oip_type_name(port->type)));
    ig_proto_add_varint(out, 3, (uint64_t)-1);
    for (size_t i = 0; i < port->rank; i++) ig_proto_add_varint(out, 3, (uint64_t)port->extents[i]);
    ig_proto_close(out, at);
}

static enum ig_code write_model(struct ig_call *call, struct ig_str message, struct ig_buf *out)
{
    struct ig_oip_port port;
    const struct ig_routing *routing = find(call, message);
    if (!routing) return call->err.code;
    int64_t versions[IG_DEPLOY_VERSIONS_MAX];
    size_t count = ig_oip_versions(versions, IG_DEPLOY_VERSIONS_MAX, routing);
    ig_proto_add_bytes(out, 1, ig_str_view(routing->name));
    for (size_t i = 0; i < count; i++) add_version(out, 2, versions[i]);
    ig_proto_add_bytes(out, 3, ig_oip_platform(routing));
    for (size_t i = 0; i < ig_oip_inputs_count(routing->schema); i++) {
        port = ig_oip_input(routing->schema, i);
        add_metadata(out, 4, &port);
    }
    for (int i = 0; i < IG_OIP_RESULTS_COUNT; i++)
        if (ig_oip_output(&port, routing->face, (enum ig_oip_result)i)) add_metadata(out, 5, &port);
    return IG_OK;
}

/* DataType of model_config.proto, for the types that we give and take by ourselves. */
static uint64_t config_type(enum ig_oip_type type)
{
    return type == IG_OIP_BYTES ? 13 : 12;
}

/* ModelInput {1 name, 2 data_type, 4 dims}; ModelOutput {1 name, 2 data_type, 3 dims}. */
static void add_config(struct ig_buf *out, uint32_t number, const struct ig_oip_port *port)
{
    uint32_t dims = number == 5 ? 4 : 3;
    size_t at = ig_proto_open(out, number);
    ig_proto_add_bytes(out, 1, port->name);
    ig_proto_add_varint(out, 2, config_type(port->type));
    if (!port->rank) ig_proto_add_varint(out, dims, 1);
    for (size_t i = 0; i < port->rank; i++)
        ig_proto_add_varint(out, dims, (uint64_t)port->extents[i]);
    ig_proto_close(out, at);
}

static enum ig_code write_config(struct ig_call *call, struct ig_str message, struct ig_buf *out)
{
    struct ig_oip_port port;
    size_t rows_max = call->app->rows_max < INT32_MAX ? call->app->rows_max : INT32_MAX;
    const struct ig_routing *routing = find(call, message);
    if (!routing) return call->err.code;
    size_t at = ig_proto_open(out, 1);
    ig_proto_add_bytes(out, 1, ig_str_view(routing->name));
    ig_proto_add_bytes(out, 2, ig_oip_platform(routing));
    ig_proto_add_varint(out, 4, rows_max);
    for (size_t i = 0; i < ig_oip_inputs_count(routing->schema); i++) {
        port = ig_oip_input(routing->schema, i);
        add_config(out, 5, &port);
    }
    for (int i = 0; i < IG_OIP_RESULTS_COUNT; i++)
        if (ig_oip_output(&port, routing->face, (enum ig_oip_result)i)) add_config(out, 6, &port);
    ig_proto_add_bytes(out, 17, ig_oip_backend(routing));
    ig_proto_close(out, at);
    return IG_OK;
}

/* StatisticDuration {1 count, 2 ns}. */
static void add_duration(struct ig_buf *out, uint32_t number, uint64_t count, uint64_t ns)
{
    size_t at = ig_proto_open(out, number);
    ig_proto_add_varint(out, 1, count);
    ig_proto_add_varint(out, 2, ns);
    ig_proto_close(out, at);
}

/* InferBatchStatistics {1 batch_size, 2 compute_input, 3 compute_infer, 4 compute_output}. */
static void add_batch(struct ig_buf *out, const struct ig_learned_batch *batch)
{
    size_t at = ig_proto_open(out, 7);
    ig_proto_add_varint(out, 1, batch->rows);
    add_duration(out, 2, batch->answers, batch->before_ns);
    add_duration(out, 3, batch->answers, batch->compute_ns);
    add_duration(out, 4, batch->answers, batch->after_ns);
    ig_proto_close(out, at);
}

/* ModelStatistics {1 name, 2 version, 3 last_inference, 4 inference_count, 5 execution_count, 6
 * inference_stats {1 success to 8 cache_miss}, 7 batch_stats}; what the times are see infer_oip.c.
 */
static void add_statistics(struct ig_buf *out, struct ig_call *call,
                           const struct ig_routing *routing)
{
    struct ig_learned_totals totals;
    ig_learning_totals(&totals, call->app->learning, ig_str_view(routing->name));
    const struct ig_responses_stats kept = ig_responses_stats(routing);
    uint64_t known = totals.before_ns + totals.compute_ns;
    size_t at = ig_proto_open(out, 1);
    ig_proto_add_bytes(out, 1, ig_str_view(routing->name));
    add_version(out, 2, ig_oip_version(routing));
    ig_proto_add_varint(out, 3, (uint64_t)totals.last_ms);
    ig_proto_add_varint(out, 4, totals.rows);
    ig_proto_add_varint(out, 5, totals.answers);
    size_t within = ig_proto_open(out, 6);
    add_duration(out, 1, totals.answers, totals.latency_ns);
    add_duration(out, 2, totals.errors, totals.error_ns);
    add_duration(out, 3, totals.answers, 0);
    add_duration(out, 4, totals.answers, totals.before_ns);
    add_duration(out, 5, totals.answers, totals.compute_ns);
    add_duration(out, 6, totals.answers, totals.latency_ns > known ? totals.latency_ns - known : 0);
    add_duration(out, 7, kept.hits, kept.hit_ns);
    add_duration(out, 8, kept.misses, kept.miss_ns);
    ig_proto_close(out, within);
    for (size_t i = 0; i < totals.batches_count; i++) add_batch(out, &totals.batches[i]);
    ig_proto_close(out, at);
}

static enum ig_code write_statistics(struct ig_call *call, struct ig_str message,
                                     struct ig_buf *out)
{
    struct ig_oip_names names;
    const struct ig_routing **routings = NULL;
    size_t count = 0, written = 0;
    if (ig_oip_proto_names(&names, message, &call->err) != IG_OK ||
        ig_deploy_get_all(&routings, &count, call->app->deploy, &call->err) != IG_OK)
        return call->err.code;
    ig_decision_log_flush(call->app->decisions);
    for (size_t i = 0; i < count; i++) {
        if (!names.model.len || ig_str_is(names.model, routings[i]->name)) {
            ig_oip_check_version(call, routings[i], names.version);
            add_statistics(out, call, routings[i]);
            written++;
        }
        ig_routing_unref(routings[i]);
    }
    ig_free(routings);
    if (names.model.len && !written) ig_infer_fail_absent(call, names.model, &call->err);
    return call->err.code;
}

static enum ig_code write_index(struct ig_call *call, struct ig_str message, struct ig_buf *out)
{
    struct ig_deployments list;
    struct ig_oip_names names;
    if (ig_oip_proto_repository(&names, message, &call->err) != IG_OK ||
        ig_oip_check_repository(names.repository, &call->err) != IG_OK ||
        ig_deploy_list(&list, call->app->deploy, call->arena, &call->err) != IG_OK)
        return call->err.code;
    for (size_t i = 0; i < list.count; i++) {
        bool serving = ig_str_is(list.items[i].state, "serving");
        if (names.ready && !serving) continue;
        size_t at = ig_proto_open(out, 1);
        ig_proto_add_bytes(out, 1, list.items[i].name);
        add_version(out, 2, list.items[i].version);
        ig_proto_add_bytes(out, 3, serving ? IG_STR("READY") : IG_STR("UNAVAILABLE"));
        ig_proto_add_bytes(out, 4, list.items[i].error);
        ig_proto_close(out, at);
    }
    return IG_OK;
}

static enum ig_code set_loaded(struct ig_call *call, struct ig_str message, bool loaded)
{
    struct ig_oip_names names;
    if (ig_oip_proto_repository(&names, message, &call->err) != IG_OK ||
        ig_oip_check_repository(names.repository, &call->err) != IG_OK)
        return call->err.code;
    if (loaded && names.parameter.len) return ig_oip_fail_load(names.parameter, &call->err);
    return ig_oip_set_loaded(call, names.model, loaded);
}

static enum ig_code load(struct ig_call *call, struct ig_str message, struct ig_buf *out)
{
    (void)out;
    return set_loaded(call, message, true);
}

static enum ig_code unload(struct ig_call *call, struct ig_str message, struct ig_buf *out)
{
    (void)out;
    return set_loaded(call, message, false);
}

#define HTTP_MODEL "/v2/models/{model}"
/* In the order in which they are looked for. */
static const struct method METHODS[] = {
    {"ModelInfer", "POST", HTTP_MODEL "/infer", NULL, false, false},
    {"ServerLive", "GET", "/v2/health/live", write_live, false, false},
    {"ServerReady", "GET", "/v2/health/ready", write_ready, false, false},
    {"ModelReady", "GET", HTTP_MODEL "/ready", write_model_ready, false, false},
    {"ServerMetadata", "GET", "/v2", write_server, false, false},
    {"ModelMetadata", "GET", HTTP_MODEL, write_model, false, false},
    {"ModelConfig", "GET", HTTP_MODEL "/config", write_config, false, false},
    {"ModelStreamInfer", "POST", HTTP_MODEL "/infer", NULL, false, true},
    {"ModelStatistics", "GET", "/v2/models/stats", write_statistics, true, false},
    {"RepositoryIndex", "POST", "/v2/repository/index", write_index, true, false},
    {"RepositoryModelLoad", "POST", "/v2/repository/models/{model}/load", load, true, false},
    {"RepositoryModelUnload", "POST", "/v2/repository/models/{model}/unload", unload, true, false},
    {"SystemSharedMemoryStatus", "GET", "/v2/systemsharedmemory/status", ig_grpc_memory_status,
     false, false},
    {"SystemSharedMemoryRegister", "POST", "/v2/systemsharedmemory/region/{region}/register",
     ig_grpc_memory_register, true, false},
    {"SystemSharedMemoryUnregister", "POST", "/v2/systemsharedmemory/unregister",
     ig_grpc_memory_unregister, true, false},
    {"CudaSharedMemoryStatus", "GET", "/v2/cudasharedmemory/status", ig_grpc_memory_cuda_status,
     false, false},
    {"CudaSharedMemoryRegister", "POST", "/v2/cudasharedmemory/region/{region}/register",
     ig_grpc_memory_cuda_register, false, false},
    {"CudaSharedMemoryUnregister", "POST", "/v2/cudasharedmemory/unregister",
     ig_grpc_memory_cuda_unregister, false, false},
    {"TraceSetting", "GET", "/v2/trace/setting", ig_grpc_trace_setting, true, false},
    {"LogSettings", "GET", "/v2/logging", ig_grpc_log_settings, true, false},
    {"Check", "GET", "/v2/health/ready", write_health, false, false},
};

enum { METHODS_COUNT = sizeof METHODS / sizeof *METHODS };

/* By method; written before the server starts. */
static const struct ig_route *routes[METHODS_COUNT];

/* ---- inference ---- */

/* InferOutputTensor {1 name, 2 datatype, 3 shape}; the elements follow as raw_output_contents. */
static void add_output(struct ig_buf *out, struct ig_infer *infer, const struct ig_oip_given *given)
{
    struct ig_oip_port port = ig_oip_given_port(given, infer->routing->face);
    size_t at = ig_proto_open(out, 5);
    ig_proto_add_bytes(out, 1, port.name);
    ig_proto_add_bytes(out, 2, ig_str_view(ig_oip_type_name(port.type)));
    ig_proto_add_varint(out, 3, infer->request.rows_count);
    for (size_t i = 0; i < port.rank; i++) ig_proto_add_varint(out, 3, (uint64_t)port.extents[i]);
    ig_proto_close(out, at);
}

/* ModelInferResponse.parameters: map of name to InferParameter {3 string_param}. */
static void add_skipped(struct ig_buf *out, const struct ig_infer *infer)
{
    struct ig_buf names;
    ig_infer_list_skipped(&names, infer);
    if (names.len) {
        size_t entry = ig_proto_open(out, 4);
        ig_proto_add_bytes(out, 1, IG_STR("skipped_members"));
        size_t value = ig_proto_open(out, 2);
        ig_proto_add_bytes(out, 3, ig_buf_view(&names));
        ig_proto_close(out, value);
        ig_proto_close(out, entry);
    }
    out->overflowed = out->overflowed || names.overflowed;
    ig_buf_deinit(&names);
}

static void add_answer(struct ig_buf *out, struct ig_infer *infer)
{
    const struct ig_oip_ask *ask = infer->front;
    ig_proto_add_bytes(out, 1, ig_str_view(infer->routing->name));
    add_version(out, 2, ig_oip_answered(infer));
    if (ask->request.id.ptr) ig_proto_add_bytes(out, 3, ask->request.id);
    add_skipped(out, infer);
    for (size_t i = 0; i < ask->given_count; i++) add_output(out, infer, &ask->given[i]);
    for (size_t i = 0; i < ask->given_count; i++) {
        const struct ig_oip_given *given = &ask->given[i];
        size_t at = ig_proto_open(out, 6); /* empty when it is in shared memory */
        if (!given->asked || !given->asked->memory.region.ptr) ig_oip_write_raw(out, infer, given);
        ig_proto_close(out, at);
    }
}

/* The gRPC call of a call. */
static struct ig_grpc_call *grpc_of(const struct ig_call *call)
{
    const struct ig_infer *infer = call->state;
    return ((struct ig_oip_ask *)infer->front)->grpc;
}

static enum ig_code decode_infer(struct ig_call *call, struct ig_infer *infer)
{
    struct ig_oip_ask *ask = infer->front;
    struct ig_oip_names names;
    if (ig_oip_proto_infer(&ask->request, &names, grpc_of(call)->message, call->arena,
                           &call->err) != IG_OK)
        return call->err.code;
    ask->version = names.version;
    infer->model = names.model;
    return ig_oip_prepare(call, infer);
}

static enum ig_code encode_infer(struct ig_call *call, struct ig_infer *infer)
{
    struct ig_grpc_call *grpc = grpc_of(call);
    const struct session *session = grpc->user;
    const struct ig_oip_ask *ask = infer->front;
    size_t at;
    if (ig_oip_check(call, infer) != IG_OK) return call->err.code;
    for (size_t i = 0; i < ask->given_count; i++)
        if (ig_oip_memory_put(call, &ask->given[i]) != IG_OK) return call->err.code;
    struct ig_buf *out = ig_grpc_reply_open(grpc, &at);
    size_t within = session->method->streams ? ig_proto_open(out, 2) : 0;
    add_answer(out, infer);
    if (within) ig_proto_close(out, within);
    return ig_grpc_reply_close(grpc, at, &call->err);
}

static enum ig_code start_infer(struct ig_call *call, struct ig_grpc_call *grpc)
{
    struct ig_infer *infer = ig_arena_zalloc(call->arena, sizeof *infer);
    struct ig_oip_ask *ask = ig_arena_zalloc(call->arena, sizeof *ask);
    if (!infer || !ask) return ig_fail(&call->err, IG_NO_MEMORY, "no memory for the call");
    infer->model = ig_oip_proto_model(grpc->message);
    ask->grpc = grpc;
    infer->in_stream = ((const struct session *)grpc->user)->method->streams;
    infer->decode = decode_infer;
    infer->encode = encode_infer;
    infer->decode_bytes = grpc->message.len;
    infer->front = ask;
    return ig_infer_start_as(call, infer);
}

/* ---- calls ---- */

static void log_decisions(struct ig_call *call, bool on_loop)
{
    struct ig_decision_log *log = call->app->decisions;
    for (size_t i = 0; log && i < call->decisions_count; i++) {
        struct ig_decision *decision = &call->decisions[i];
        decision->at_ms = ig_clock_unix_ms();
        decision->latency_ns = ig_clock_ns() - call->started_ns;
        decision->status = (uint16_t)ig_code_http_status(call->err.code);
        decision->request_id = ig_str_view(call->request_id);
        decision->principal = ig_str_view(call->who.id);
        if (on_loop)
            ig_decision_log_put(log, call->exchange->loop, decision);
        else
            ig_decision_log_put_shared(log, decision);
    }
}

static void note_counts(struct session *session, const struct ig_call *call)
{
    for (size_t i = 0; i < call->decisions_count; i++) session->rows += call->decisions[i].rows;
    if (call->in_pool) session->in_pool = call->in_pool;
    if (call->gathered) session->gathered = true;
}

/* A stream goes on behind a request that failed: {1 error_message}. */
static void reply_error(struct ig_grpc_call *grpc, const struct ig_err *why)
{
    const struct session *session = grpc->user;
    struct ig_err err = IG_ERR_INIT;
    size_t at;
    if (!session->method->streams) {
        ig_grpc_fail_err(grpc, why);
        return;
    }
    struct ig_buf *out = ig_grpc_reply_open(grpc, &at);
    ig_proto_add_bytes(out, 1, ig_str_view(why->message));
    if (ig_grpc_reply_close(grpc, at, &err) != IG_OK) ig_grpc_fail_err(grpc, &err);
}

static void finish(struct ig_grpc_call *grpc, struct ig_call *call, bool on_loop)
{
    if (call->err.code == IG_OK && call->arena->overflowed)
        ig_fail(&call->err, IG_NO_MEMORY, "the call exceeds its memory");
    if (ig_code_http_status(call->err.code) >= 500)
        ig_log_err(IG_LOG_WARN, "gRPC call failed", &call->err);
    if (call->err.code != IG_OK) reply_error(grpc, &call->err);
    log_decisions(call, on_loop);
    note_counts(grpc->user, call);
    ig_oip_trace_note(call, "GRPC_WAITREAD", NULL);
    ig_call_release(call);
}

static void run_plain(struct ig_grpc_call *grpc, struct ig_call *call)
{
    const struct session *session = grpc->user;
    struct ig_buf out;
    ig_buf_init(&out, MESSAGE_MAX);
    if (session->method->run(call, grpc->message, &out) == IG_OK)
        ig_grpc_reply(grpc, ig_buf_view(&out), &call->err);
    ig_buf_deinit(&out);
}

static void work_plain(void *context, struct ig_grpc_call *grpc)
{
    struct session *session = grpc->user;
    (void)context;
    run_plain(grpc, session->call);
    finish(grpc, session->call, false);
}

static void work_infer(void *context, struct ig_grpc_call *grpc)
{
    struct session *session = grpc->user;
    (void)context;
    session->call->in_pool(session->call);
    finish(grpc, session->call, false);
}

static void finish_at_turn_end(struct ig_call *call)
{
    finish(grpc_of(call), call, true);
}

/* Of a stream each message is a call. */
static bool begin_message(struct ig_app *app, struct ig_grpc_call *grpc)
{
    struct session *session = grpc->user;
    struct ig_call *call = ig_front_begin(app, grpc->exchange, grpc->arena);
    if (!call) return false;
    call->route = session->route;
    call->who = session->who;
    call->started_ns = ig_clock_ns();
    session->call = call;
    return true;
}

static enum ig_grpc_next on_message(void *context, struct ig_grpc_call *grpc)
{
    struct session *session = grpc->user;
    if (session->method->streams && !begin_message(context, grpc)) {
        ig_grpc_fail(grpc, IG_GRPC_RESOURCE_EXHAUSTED, "no memory for the call");
        return IG_GRPC_NEXT;
    }
    struct ig_call *call = session->call;
    if (session->method->blocks) {
        grpc->work = work_plain;
        return IG_GRPC_TO_POOL;
    }
    /* The messages of a stream come one by one: each would wait for a turn of its own. */
    call->may_wait = call->app->gather && !session->method->streams;
    if (session->method->run) {
        run_plain(grpc, call);
    } else if (start_infer(call, grpc) == IG_OK && call->in_pool) {
        grpc->work = work_infer;
        return IG_GRPC_TO_POOL;
    } else if (call->at_turn_end) {
        call->finish = finish_at_turn_end;
        return IG_GRPC_AT_TURN_END;
    }
    finish(grpc, call, true);
    return IG_GRPC_NEXT;
}

static void on_dropped(void *context, struct ig_grpc_call *grpc)
{
    struct session *session = grpc->user;
    (void)context;
    ig_call_release(session->call);
}

static const struct ig_route *find_route(const struct method *method)
{
    size_t i = 0;
    while (strcmp(IG_ROUTES[i].method, method->verb) != 0 ||
           strcmp(IG_ROUTES[i].path, method->path) != 0)
        i++;
    return &IG_ROUTES[i];
}

static void on_call(void *context, struct ig_grpc_call *grpc)
{
    struct session *session = ig_arena_zalloc(&grpc->exchange->arena, sizeof *session);
    struct ig_call *call = ig_front_begin(context, grpc->exchange, &grpc->exchange->arena);
    size_t i = 0;
    while (i < METHODS_COUNT && !ig_str_is(grpc->method, METHODS[i].name)) i++;
    if (i == METHODS_COUNT) {
        ig_grpc_fail(grpc, IG_GRPC_UNIMPLEMENTED, "unknown method '%.*s'",
                     (int)(grpc->method.len > 64 ? 64 : grpc->method.len), grpc->method.ptr);
        return;
    }
    if (!session || !call) {
        ig_grpc_fail(grpc, IG_GRPC_RESOURCE_EXHAUSTED, "no memory for the call");
        return;
    }
    session->method = &METHODS[i];
    session->route = call->route = routes[i];
    if (ig_access_check_source(call) != IG_OK || ig_access_check_scope(call) != IG_OK) {
        ig_grpc_fail_err(grpc, &call->err);
        return;
    }
    session->who = call->who;
    session->call = call;
    grpc->user = session;
    grpc->streaming = session->method->streams;
    grpc->message_max_bytes = MESSAGE_MAX;
}

static void on_end(void *context, struct ig_grpc_call *grpc)
{
    const struct ig_app *app = context;
    const struct session *session = grpc->user;
    if (!session) return;
    const struct ig_call counted = {.exchange = grpc->exchange,
                                    .route = session->route,
                                    .in_pool = session->in_pool,
                                    .gathered = session->gathered};
    ig_metrics_count(app->metrics, &counted, ig_clock_ns() - grpc->exchange->started_ns,
                     session->rows);
    ig_front_log_call(grpc->exchange, (int)grpc->status, IG_STR(""));
}

void ig_grpc_services(struct ig_grpc_service out[IG_GRPC_SERVICES], struct ig_app *app)
{
    static const char *const PREFIXES[IG_GRPC_SERVICES] = {"/inference.GRPCInferenceService/",
                                                           "/grpc.health.v1.Health/"};
    for (size_t i = 0; i < METHODS_COUNT; i++) routes[i] = find_route(&METHODS[i]);
    for (size_t i = 0; i < IG_GRPC_SERVICES; i++)
        out[i] = (struct ig_grpc_service){.prefix = PREFIXES[i],
                                          .context = app,
                                          .on_call = on_call,
                                          .on_message = on_message,
                                          .on_dropped = on_dropped,
                                          .on_end = on_end};
}
