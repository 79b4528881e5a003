/* SPDX-License-Identifier: Apache-2.0 */
/* The Open Inference Protocol over HTTP: /v2. */
#include "api/oip_memory.h"
#include "api/route.h"
#include "api/scoring.h"
#include "base/mem.h"
#include "services/deploy/responses.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

enum { INFLATED_MAX = 64 << 20 };

/* ---- health, metadata, repository ---- */

static enum ig_code reply_flag(struct ig_call *call, const char *name, bool value)
{
    struct ig_json_out out;
    if (!value) call->exchange->status = 503;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_bool(&out, name, value);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_oip_live(struct ig_call *call)
{
    return reply_flag(call, "live", true);
}

enum ig_code ig_oip_ready(struct ig_call *call)
{
    return reply_flag(call, "ready",
                      !atomic_load(&call->app->draining) && ig_deploy_ready(call->app->deploy));
}

enum ig_code ig_oip_server(struct ig_call *call)
{
    const char *name;
    struct ig_json_out out;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "name", IG_STR("ingot"));
    ig_json_out_kv_str(&out, "version", IG_STR(INGOT_VERSION));
    ig_json_out_key(&out, IG_STR("extensions"));
    ig_json_out_array(&out);
    for (size_t i = 0; (name = ig_oip_extension(call->app, i)); i++)
        ig_json_out_str(&out, ig_str_view(name));
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

static void kv_version(struct ig_json_out *out, const char *key, int64_t version)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)version);
    ig_json_out_kv_str(out, key, ig_str_view(text));
}

/* A tensor as metadata has it, or as a configuration has it, where the rows are not told. */
static void write_port(struct ig_json_out *out, const struct ig_oip_port *port, bool config)
{
    const char *type = config ? ig_oip_type_config(port->type) : ig_oip_type_name(port->type);
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "name", port->name);
    ig_json_out_kv_str(out, config ? "data_type" : "datatype", ig_str_view(type));
    ig_json_out_key(out, config ? IG_STR("dims") : IG_STR("shape"));
    ig_json_out_array(out);
    if (!config) ig_json_out_i64(out, -1);
    if (config && !port->rank) ig_json_out_i64(out, 1);
    for (size_t i = 0; i < port->rank; i++) ig_json_out_i64(out, port->extents[i]);
    ig_json_out_array_end(out);
    ig_json_out_object_end(out);
}

static void write_ports(struct ig_json_out *out, const struct ig_routing *routing, bool config)
{
    struct ig_oip_port port;
    ig_json_out_key(out, config ? IG_STR("input") : IG_STR("inputs"));
    ig_json_out_array(out);
    for (size_t i = 0; i < ig_oip_inputs_count(routing->schema); i++) {
        port = ig_oip_input(routing->schema, i);
        write_port(out, &port, config);
    }
    ig_json_out_array_end(out);
    ig_json_out_key(out, config ? IG_STR("output") : IG_STR("outputs"));
    ig_json_out_array(out);
    for (int i = 0; i < IG_OIP_RESULTS_COUNT; i++)
        if (ig_oip_output(&port, routing->face, (enum ig_oip_result)i))
            write_port(out, &port, config);
    ig_json_out_array_end(out);
}

enum ig_code ig_oip_model(struct ig_call *call)
{
    struct ig_json_out out;
    int64_t versions[IG_DEPLOY_VERSIONS_MAX];
    char version[24];
    const struct ig_routing *routing = ig_oip_find(call, call->params[0], call->params[1]);
    if (!routing) return call->err.code;
    size_t count = ig_oip_versions(versions, IG_DEPLOY_VERSIONS_MAX, routing);
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "name", ig_str_view(routing->name));
    ig_json_out_key(&out, IG_STR("versions"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < count; i++) {
        snprintf(version, sizeof version, "%lld", (long long)versions[i]);
        ig_json_out_str(&out, ig_str_view(version));
    }
    ig_json_out_array_end(&out);
    ig_json_out_kv_str(&out, "platform", ig_oip_platform(routing));
    write_ports(&out, routing, false);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_oip_config(struct ig_call *call)
{
    struct ig_json_out out;
    size_t rows_max = call->app->rows_max;
    const struct ig_routing *routing = ig_oip_find(call, call->params[0], call->params[1]);
    if (!routing) return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "name", ig_str_view(routing->name));
    ig_json_out_kv_str(&out, "platform", ig_oip_platform(routing));
    ig_json_out_kv_str(&out, "backend", ig_oip_backend(routing));
    ig_json_out_kv_i64(&out, "max_batch_size",
                       (int64_t)(rows_max < INT32_MAX ? rows_max : INT32_MAX));
    write_ports(&out, routing, true);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_oip_model_ready(struct ig_call *call)
{
    struct ig_str name = call->params[0];
    enum ig_deploy_state state = ig_deploy_state(call->app->deploy, name);
    if (state == IG_DEPLOY_PAUSED || state == IG_DEPLOY_FAILED)
        return reply_flag(call, "ready", false);
    return ig_oip_find(call, name, call->params[1]) ? reply_flag(call, "ready", true)
                                                    : call->err.code;
}

/* {"ready": true} asks for those alone that serve. */
static enum ig_code read_index_ask(bool *ready, struct ig_call *call)
{
    struct ig_json json;
    *ready = false;
    if (!call->exchange->body.len) return IG_OK;
    ig_json_init(&json, call->exchange->body, call->arena, &call->err);
    if (!ig_json_expect(&json, IG_JSON_OBJECT, "the body")) return call->err.code;
    while (ig_json_member(&json)) {
        bool known = ig_str_is(json.text, "ready");
        if (known ? !ig_json_bool(&json, ready, "ready") : !ig_json_skip(&json)) break;
    }
    if (call->err.code == IG_OK) (void)ig_json_next(&json); /* nothing may follow */
    return call->err.code;
}

enum ig_code ig_oip_index(struct ig_call *call)
{
    struct ig_deployments list;
    struct ig_json_out out;
    char version[24];
    bool ready;
    if (read_index_ask(&ready, call) != IG_OK) return call->err.code;
    if (ig_deploy_list(&list, call->app->deploy, call->arena, &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_array(&out);
    for (size_t i = 0; i < list.count; i++) {
        bool serving = ig_str_is(list.items[i].state, "serving");
        if (ready && !serving) continue;
        snprintf(version, sizeof version, "%lld", (long long)list.items[i].version);
        ig_json_out_object(&out);
        ig_json_out_kv_str(&out, "name", list.items[i].name);
        ig_json_out_kv_str(&out, "version", ig_str_view(version));
        ig_json_out_kv_str(&out, "state", serving ? IG_STR("READY") : IG_STR("UNAVAILABLE"));
        ig_json_out_kv_str(&out, "reason", list.items[i].error);
        ig_json_out_object_end(&out);
    }
    ig_json_out_array_end(&out);
    return IG_OK;
}

/* ---- statistics ---- */

static void kv_duration(struct ig_json_out *out, const char *key, uint64_t count, uint64_t ns)
{
    ig_json_out_key(out, ig_str_view(key));
    ig_json_out_object(out);
    ig_json_out_key(out, IG_STR("count"));
    ig_json_out_u64(out, count);
    ig_json_out_key(out, IG_STR("ns"));
    ig_json_out_u64(out, ns);
    ig_json_out_object_end(out);
}

static void write_batch(struct ig_json_out *out, const struct ig_learned_batch *batch)
{
    ig_json_out_object(out);
    ig_json_out_kv_i64(out, "batch_size", batch->rows);
    kv_duration(out, "compute_input", batch->answers, batch->before_ns);
    kv_duration(out, "compute_infer", batch->answers, batch->compute_ns);
    kv_duration(out, "compute_output", batch->answers, batch->after_ns);
    ig_json_out_object_end(out);
}

/* What the decision log counted. Requests do not queue apart from being read, so all that comes
 * before the inference is compute_input, and what comes behind it compute_output. Kept answers are
 * counted by rows. */
static void write_statistics(struct ig_json_out *out, const struct ig_call *call,
                             const struct ig_routing *routing)
{
    struct ig_learned_totals totals;
    ig_learning_totals(&totals, call->app->learning, ig_str_view(routing->name));
    const struct ig_responses_stats kept = ig_responses_stats(routing);
    uint64_t known = totals.before_ns + totals.compute_ns;
    uint64_t after_ns = totals.latency_ns > known ? totals.latency_ns - known : 0;
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "name", ig_str_view(routing->name));
    kv_version(out, "version", ig_oip_version(routing));
    ig_json_out_kv_i64(out, "last_inference", totals.last_ms);
    ig_json_out_kv_i64(out, "inference_count", (int64_t)totals.rows);
    ig_json_out_kv_i64(out, "execution_count", (int64_t)totals.answers);
    ig_json_out_key(out, IG_STR("inference_stats"));
    ig_json_out_object(out);
    kv_duration(out, "success", totals.answers, totals.latency_ns);
    kv_duration(out, "fail", totals.errors, totals.error_ns);
    kv_duration(out, "queue", totals.answers, 0);
    kv_duration(out, "compute_input", totals.answers, totals.before_ns);
    kv_duration(out, "compute_infer", totals.answers, totals.compute_ns);
    kv_duration(out, "compute_output", totals.answers, after_ns);
    kv_duration(out, "cache_hit", kept.hits, kept.hit_ns);
    kv_duration(out, "cache_miss", kept.misses, kept.miss_ns);
    ig_json_out_object_end(out);
    ig_json_out_key(out, IG_STR("batch_stats"));
    ig_json_out_array(out);
    for (size_t i = 0; i < totals.batches_count; i++) write_batch(out, &totals.batches[i]);
    ig_json_out_array_end(out);
    ig_json_out_object_end(out);
}

enum ig_code ig_oip_stats(struct ig_call *call)
{
    struct ig_json_out out;
    struct ig_err err = IG_ERR_INIT;
    const struct ig_routing **routings = NULL;
    size_t count = 0, written = 0;
    struct ig_str name = call->params[0];
    if (ig_deploy_get_all(&routings, &count, call->app->deploy, &err) != IG_OK)
        return ig_fail(&call->err, err.code, "%s", err.message);
    ig_decision_log_flush(call->app->decisions);
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("model_stats"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < count; i++) {
        if (!name.ptr || ig_str_is(name, routings[i]->name)) {
            ig_oip_check_version(call, routings[i], call->params[1]);
            write_statistics(&out, call, routings[i]);
            written++;
        }
        ig_routing_unref(routings[i]);
    }
    ig_free(routings);
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    if (name.ptr && !written) ig_infer_fail_absent(call, name, &call->err);
    return call->err.code;
}

enum ig_code ig_oip_load(struct ig_call *call)
{
    if (ig_oip_read_load(call) != IG_OK) return call->err.code;
    return ig_oip_set_loaded(call, call->params[0], true);
}

enum ig_code ig_oip_unload(struct ig_call *call)
{
    return ig_oip_set_loaded(call, call->params[0], false);
}

/* ---- inference ---- */

static enum ig_code fail_inflate(struct ig_call *call)
{
    return ig_fail(&call->err, IG_INVALID, "Content-Encoding: the body is not valid gzip or zlib");
}

/* The body behind its Content-Encoding. */
static enum ig_code inflate_body(struct ig_str *out, struct ig_call *call, struct ig_str body)
{
    z_stream stream = {.next_in = (unsigned char *)(uintptr_t)body.ptr,
                       .avail_in = (unsigned)body.len};
    size_t cap = body.len < 4096 ? 4096 : body.len, used = 0;
    int status = Z_OK;
    char *bytes = NULL;
    if (inflateInit2(&stream, 15 + 32) != Z_OK) /* 32: gzip or zlib, by its header */
        return ig_fail(&call->err, IG_NO_MEMORY, "no memory for the call");
    while (status == Z_OK && used < INFLATED_MAX) {
        cap = cap < INFLATED_MAX / 4 ? cap * 4 : INFLATED_MAX;
        char *grown = ig_arena_alloc(call->arena, cap);
        if (!grown) break;
        if (used) memcpy(grown, bytes, used);
        bytes = grown;
        stream.next_out = (unsigned char *)bytes + used;
        stream.avail_out = (unsigned)(cap - used);
        status = inflate(&stream, Z_NO_FLUSH);
        used = cap - stream.avail_out;
        if (stream.avail_out && status == Z_OK) status = Z_BUF_ERROR; /* it ends too early */
    }
    bool whole = status == Z_STREAM_END && !stream.avail_in;
    inflateEnd(&stream);
    *out = (struct ig_str){bytes, used};
    if (whole) return IG_OK;
    if (status != Z_OK) return fail_inflate(call);
    if (used < INFLATED_MAX)
        return ig_fail(&call->err, IG_NO_MEMORY, "no memory for the unpacked body");
    return ig_fail(&call->err, IG_TOO_LARGE, "the body is more than %d bytes when unpacked",
                   INFLATED_MAX);
}

/* How much of the body is JSON. */
static enum ig_code read_json_bytes(int64_t *out, struct ig_call *call,
                                    const struct ig_oip_ask *ask)
{
    const struct ig_http_request *http = &call->exchange->request;
    struct ig_str type = ig_http_header(http, IG_STR("Content-Type"));
    struct ig_str header = ig_http_header(http, IG_STR("Inference-Header-Content-Length"));
    *out = IG_OIP_ALL_JSON;
    if (ask->sagemaker && ig_scoring_is_binary(type))
        return ig_scoring_json_bytes(out, type, &call->err);
    if (!header.len || (ig_str_to_i64(header, out) && *out >= 0)) return IG_OK;
    return ig_fail(&call->err, IG_INVALID, "Inference-Header-Content-Length: '%.*s' is no length",
                   (int)(header.len > 32 ? 32 : header.len), header.ptr);
}

static enum ig_code read_body(struct ig_call *call, struct ig_oip_ask *ask)
{
    struct ig_str body = call->exchange->body;
    struct ig_str encoding = ig_http_header(&call->exchange->request, IG_STR("Content-Encoding"));
    int64_t json_bytes;
    bool packed =
        ig_str_eq_nocase(encoding, IG_STR("gzip")) || ig_str_eq_nocase(encoding, IG_STR("deflate"));
    if (encoding.len && !packed && !ig_str_eq_nocase(encoding, IG_STR("identity")))
        return ig_fail(&call->err, IG_MEDIA_TYPE,
                       "Content-Encoding: '%.*s', expected gzip or deflate",
                       (int)(encoding.len > 32 ? 32 : encoding.len), encoding.ptr);
    if (read_json_bytes(&json_bytes, call, ask) != IG_OK) return call->err.code;
    if (packed && inflate_body(&body, call, body) != IG_OK) return call->err.code;
    return ig_oip_request_read(&ask->request, body, json_bytes, call->arena, &call->err);
}

static enum ig_code decode(struct ig_call *call, struct ig_infer *infer)
{
    if (read_body(call, infer->front) != IG_OK) return call->err.code;
    return ig_oip_prepare(call, infer);
}

static void write_output(struct ig_json_out *out, struct ig_call *call,
                         const struct ig_oip_given *given, struct ig_buf *raw)
{
    struct ig_infer *infer = call->state;
    const struct ig_oip_ask *ask = infer->front;
    struct ig_oip_port port = ig_oip_given_port(given, infer->routing->face);
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "name", port.name);
    ig_json_out_kv_str(out, "datatype", ig_str_view(ig_oip_type_name(port.type)));
    ig_json_out_key(out, IG_STR("shape"));
    ig_json_out_array(out);
    ig_json_out_i64(out, (int64_t)infer->request.rows_count);
    for (size_t i = 0; i < port.rank; i++) ig_json_out_i64(out, port.extents[i]);
    ig_json_out_array_end(out);
    if (given->asked && given->asked->memory.region.ptr) {
        ig_oip_memory_put(call, given);
    } else if (given->asked ? given->asked->binary : ask->request.binary) {
        size_t before = raw->len;
        ig_oip_write_raw(raw, infer, given);
        ig_json_out_key(out, IG_STR("parameters"));
        ig_json_out_object(out);
        ig_json_out_kv_i64(out, "binary_data_size", (int64_t)(raw->len - before));
        ig_json_out_object_end(out);
    } else {
        ig_json_out_key(out, IG_STR("data"));
        ig_json_out_array(out);
        ig_oip_write_json(out, infer, given);
        ig_json_out_array_end(out);
    }
    ig_json_out_object_end(out);
}

/* Tensors follow on the JSON that is in the reply. */
static void mark_binary(struct ig_call *call, bool sagemaker)
{
    struct ig_exchange *exchange = call->exchange;
    const char *length = ig_arena_printf(call->arena, "%zu", exchange->reply.len);
    const char *type = ig_arena_printf(call->arena, IG_SCORING_BINARY "%zu", exchange->reply.len);
    if (!length || !type) {
        ig_fail(&call->err, IG_NO_MEMORY, "no memory for the answer");
        return;
    }
    exchange->content_type = sagemaker ? type : "application/octet-stream";
    if (!sagemaker)
        ig_exchange_header(exchange, "Inference-Header-Content-Length", ig_str_view(length),
                           &call->err);
}

static enum ig_code encode(struct ig_call *call, struct ig_infer *infer)
{
    const struct ig_oip_ask *ask = infer->front;
    struct ig_json_out out;
    struct ig_buf raw;
    if (ig_oip_check(call, infer) != IG_OK) return call->err.code;
    ig_buf_init(&raw, call->exchange->reply.max_bytes);
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "model_name", ig_str_view(infer->routing->name));
    kv_version(&out, "model_version", ig_oip_answered(infer));
    if (ask->request.id.ptr) ig_json_out_kv_str(&out, "id", ask->request.id);
    ig_json_out_key(&out, IG_STR("outputs"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < ask->given_count; i++) write_output(&out, call, &ask->given[i], &raw);
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    if (raw.overflowed)
        ig_fail(&call->err, IG_TOO_LARGE, "the answer exceeds the cap of a response");
    if (raw.len) {
        mark_binary(call, ask->sagemaker);
        ig_buf_add(&call->exchange->reply, raw.ptr, raw.len);
    }
    ig_buf_deinit(&raw);
    return call->err.code;
}

static enum ig_code start(struct ig_call *call, struct ig_str model, struct ig_str version,
                          bool sagemaker)
{
    struct ig_infer *infer = ig_arena_zalloc(call->arena, sizeof *infer);
    struct ig_oip_ask *ask = ig_arena_zalloc(call->arena, sizeof *ask);
    if (!infer || !ask) return ig_fail(&call->err, IG_NO_MEMORY, "no memory for the call");
    ask->version = version;
    ask->sagemaker = sagemaker;
    infer->model = model;
    bool packed = ig_http_header(&call->exchange->request, IG_STR("Content-Encoding")).len != 0;
    infer->decode_bytes = packed ? SIZE_MAX : 0;
    infer->decode = decode;
    infer->encode = encode;
    infer->front = ask;
    return ig_infer_start_as(call, infer);
}

enum ig_code ig_oip_infer(struct ig_call *call)
{
    return start(call, call->params[0], call->params[1], false);
}

enum ig_code ig_oip_infer_sagemaker(struct ig_call *call, struct ig_str model)
{
    return start(call, model, IG_STR(""), true);
}
