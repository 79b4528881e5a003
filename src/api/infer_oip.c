/* SPDX-License-Identifier: Apache-2.0 */
/* The Open Inference Protocol over HTTP: /v2. A deployment is a model, the version of what its
 * graph leads to by default its only version. Tensors out: predictions, labels, margins, and when
 * asked for shap_values and base_value. */
#include "api/infer.h"
#include "api/oip.h"
#include "api/route.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

enum { INFLATED_MAX = 64 << 20, DEFAULT_OUTPUTS = 2 };

enum output { PREDICTIONS, LABELS, MARGINS, SHAP_VALUES, BASE_VALUE, OUTPUTS_COUNT };

static const struct {
    const char *name;
    enum ig_oip_type type;
} OUTPUTS[OUTPUTS_COUNT] = {
    [PREDICTIONS] = {"predictions", IG_OIP_FP64}, [LABELS] = {"labels", IG_OIP_BYTES},
    [MARGINS] = {"margins", IG_OIP_FP64},         [SHAP_VALUES] = {"shap_values", IG_OIP_FP64},
    [BASE_VALUE] = {"base_value", IG_OIP_FP64},
};

/* A front's own part of a call. */
struct oip {
    struct ig_oip_request request;
    enum output outputs[IG_OIP_OUTPUTS_MAX];
    bool binary[IG_OIP_OUTPUTS_MAX];
    size_t outputs_count;
};

static bool has_labels(const struct ig_schema *schema)
{
    return schema->classes_count > 0;
}

/* ---- what a model is ---- */

/* Extents of an output behind the rows; 0 dimensions: one number a row. */
static size_t extents(int64_t out[2], enum output output, const struct ig_model *model)
{
    size_t count = 0;
    bool many = model->outputs_count > 1;
    switch (output) {
    case PREDICTIONS:
        if (model->predictions_count > 1) out[count++] = model->predictions_count;
        break;
    case MARGINS:
    case BASE_VALUE:
        if (many) out[count++] = model->outputs_count;
        break;
    case SHAP_VALUES:
        if (many) out[count++] = model->outputs_count;
        out[count++] = model->features_count;
        break;
    default:
        break;
    }
    return count;
}

/* Calls for each tensor that goes in: one of all features where all are numbers, else one each. */
static void each_input(const struct ig_schema *schema,
                       void (*each)(struct ig_json_out *out, struct ig_str name,
                                    enum ig_oip_type type, int64_t width),
                       struct ig_json_out *out)
{
    bool words = false;
    for (uint32_t i = 0; i < schema->features_count; i++)
        words = words || schema->features[i].categories_count;
    if (!words) {
        each(out, IG_STR("input"), IG_OIP_FP64, schema->features_count);
        return;
    }
    for (uint32_t i = 0; i < schema->features_count; i++)
        each(out, schema->features[i].name,
             schema->features[i].categories_count ? IG_OIP_BYTES : IG_OIP_FP64, 1);
}

static void write_metadata_input(struct ig_json_out *out, struct ig_str name, enum ig_oip_type type,
                                 int64_t width)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "name", name);
    ig_json_out_kv_str(out, "datatype", ig_str_view(ig_oip_type_name(type)));
    ig_json_out_key(out, IG_STR("shape"));
    ig_json_out_array(out);
    ig_json_out_i64(out, -1);
    ig_json_out_i64(out, width);
    ig_json_out_array_end(out);
    ig_json_out_object_end(out);
}

static void write_config_input(struct ig_json_out *out, struct ig_str name, enum ig_oip_type type,
                               int64_t width)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "name", name);
    ig_json_out_kv_str(out, "data_type", ig_str_view(ig_oip_type_config(type)));
    ig_json_out_key(out, IG_STR("dims"));
    ig_json_out_array(out);
    ig_json_out_i64(out, width);
    ig_json_out_array_end(out);
    ig_json_out_object_end(out);
}

static void write_outputs(struct ig_json_out *out, const struct ig_servable *face, bool config)
{
    int64_t shape[2];
    ig_json_out_array(out);
    for (int i = 0; i < OUTPUTS_COUNT; i++) {
        if (i == LABELS && !has_labels(&face->package->schema)) continue;
        size_t rank = extents(shape, (enum output)i, face->package->model);
        const char *type =
            config ? ig_oip_type_config(OUTPUTS[i].type) : ig_oip_type_name(OUTPUTS[i].type);
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "name", ig_str_view(OUTPUTS[i].name));
        ig_json_out_kv_str(out, config ? "data_type" : "datatype", ig_str_view(type));
        ig_json_out_key(out, config ? IG_STR("dims") : IG_STR("shape"));
        ig_json_out_array(out);
        if (!config) ig_json_out_i64(out, -1);
        if (config && !rank) ig_json_out_i64(out, 1);
        for (size_t d = 0; d < rank; d++) ig_json_out_i64(out, shape[d]);
        ig_json_out_array_end(out);
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
}

static int64_t version_of(const struct ig_routing *routing)
{
    const struct ig_servable *face = routing->face;
    while (face->members_count) face = face->members[0].servable;
    return face->version;
}

static void kv_version(struct ig_json_out *out, const char *key, const struct ig_routing *routing)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)version_of(routing));
    ig_json_out_kv_str(out, key, ig_str_view(text));
}

/* The deployment of the path, in the version that the path names. NULL with err. */
static const struct ig_routing *find_model(struct ig_call *call)
{
    struct ig_str name = call->params[0], version = call->params[1];
    const struct ig_routing *routing = ig_deploy_acquire(call->app->deploy, name);
    int64_t number = 0;
    if (!routing) {
        ig_infer_fail_absent(call, name, &call->err);
        return NULL;
    }
    if (version.ptr && (!ig_str_to_i64(version, &number) || number != version_of(routing))) {
        ig_fail(&call->err, IG_NOT_FOUND, "model '%s': version %.*s is not served, %lld is",
                routing->name, (int)(version.len > 32 ? 32 : version.len), version.ptr,
                (long long)version_of(routing));
        return NULL;
    }
    return routing;
}

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
    static const char *const EXTENSIONS[] = {"binary_tensor_data", "parameters", "statistics",
                                             "model_configuration", "model_repository"};
    struct ig_json_out out;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "name", IG_STR("ingot"));
    ig_json_out_kv_str(&out, "version", IG_STR(INGOT_VERSION));
    ig_json_out_key(&out, IG_STR("extensions"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < sizeof EXTENSIONS / sizeof *EXTENSIONS; i++)
        ig_json_out_str(&out, ig_str_view(EXTENSIONS[i]));
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_oip_model(struct ig_call *call)
{
    struct ig_json_out out;
    char version[24];
    const struct ig_routing *routing = find_model(call);
    if (!routing) return call->err.code;
    snprintf(version, sizeof version, "%lld", (long long)version_of(routing));
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "name", ig_str_view(routing->name));
    ig_json_out_key(&out, IG_STR("versions"));
    ig_json_out_array(&out);
    ig_json_out_str(&out, ig_str_view(version));
    ig_json_out_array_end(&out);
    ig_json_out_kv_str(&out, "platform", IG_STR("ingot"));
    ig_json_out_key(&out, IG_STR("inputs"));
    ig_json_out_array(&out);
    each_input(routing->schema, write_metadata_input, &out);
    ig_json_out_array_end(&out);
    ig_json_out_key(&out, IG_STR("outputs"));
    write_outputs(&out, routing->face, false);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_oip_config(struct ig_call *call)
{
    struct ig_json_out out;
    const struct ig_routing *routing = find_model(call);
    if (!routing) return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "name", ig_str_view(routing->name));
    ig_json_out_kv_str(&out, "platform", IG_STR("ingot"));
    ig_json_out_kv_str(&out, "backend", IG_STR("ingot"));
    ig_json_out_kv_i64(
        &out, "max_batch_size",
        (int64_t)(call->app->rows_max < INT32_MAX ? call->app->rows_max : INT32_MAX));
    ig_json_out_key(&out, IG_STR("input"));
    ig_json_out_array(&out);
    each_input(routing->schema, write_config_input, &out);
    ig_json_out_array_end(&out);
    ig_json_out_key(&out, IG_STR("output"));
    write_outputs(&out, routing->face, true);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_oip_model_ready(struct ig_call *call)
{
    struct ig_str name = call->params[0];
    bool ready = ig_deploy_acquire(call->app->deploy, name) != NULL;
    if (!ready && ig_deploy_state(call->app->deploy, name) == IG_DEPLOY_ABSENT)
        return find_model(call) ? IG_OK : call->err.code;
    if (ready && !find_model(call)) return call->err.code;
    return reply_flag(call, "ready", ready);
}

enum ig_code ig_oip_index(struct ig_call *call)
{
    struct ig_deployments list;
    struct ig_json_out out;
    char version[24];
    if (ig_deploy_list(&list, call->app->deploy, call->arena, &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_array(&out);
    for (size_t i = 0; i < list.count; i++) {
        bool serving = ig_str_is(list.items[i].state, "serving");
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

static enum ig_code set_paused(struct ig_call *call, bool paused, const char *why)
{
    enum ig_deploy_state state = ig_deploy_state(call->app->deploy, call->params[0]);
    if (state == (paused ? IG_DEPLOY_PAUSED : IG_DEPLOY_SERVING)) return IG_OK;
    return ig_deploy_pause(call->app->deploy, &call->who, call->params[0], paused, ig_str_view(why),
                           &call->err);
}

enum ig_code ig_oip_load(struct ig_call *call)
{
    return set_paused(call, false, "loaded through the model repository");
}

enum ig_code ig_oip_unload(struct ig_call *call)
{
    return set_paused(call, true, "unloaded through the model repository");
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
    size_t cap = body.len < 4096 ? 16384 : body.len * 4, used = 0;
    int status = Z_OK;
    char *bytes = NULL;
    if (inflateInit2(&stream, 15 + 32) != Z_OK) /* 32: gzip or zlib, by its header */
        return ig_fail(&call->err, IG_NO_MEMORY, "no memory for the call");
    while (status == Z_OK && cap <= INFLATED_MAX) {
        char *grown = ig_arena_alloc(call->arena, cap);
        if (!grown) break;
        if (used) memcpy(grown, bytes, used);
        bytes = grown;
        stream.next_out = (unsigned char *)bytes + used;
        stream.avail_out = (unsigned)(cap - used);
        status = inflate(&stream, Z_NO_FLUSH);
        used = cap - stream.avail_out;
        if (stream.avail_out && status == Z_OK) status = Z_BUF_ERROR; /* it ends too early */
        cap *= 4;
    }
    bool whole = status == Z_STREAM_END && !stream.avail_in;
    inflateEnd(&stream);
    *out = (struct ig_str){bytes, used};
    if (whole) return IG_OK;
    if (status != Z_OK) return fail_inflate(call);
    return ig_fail(&call->err, IG_TOO_LARGE, "the body is more than %d bytes when unpacked",
                   INFLATED_MAX);
}

static enum ig_code find_output(enum output *out, struct ig_call *call, struct ig_str name,
                                const struct ig_routing *routing)
{
    int i = 0;
    while (i < OUTPUTS_COUNT && !ig_str_is(name, OUTPUTS[i].name)) i++;
    *out = (enum output)i;
    if (i < OUTPUTS_COUNT && (i != LABELS || has_labels(routing->schema))) return IG_OK;
    return ig_fail(&call->err, IG_INVALID, "output '%.*s': model '%s' has no such output",
                   (int)(name.len > 64 ? 64 : name.len), name.ptr, routing->name);
}

static enum ig_code choose_outputs(struct ig_call *call, struct ig_infer *infer, struct oip *oip)
{
    const struct ig_oip_request *request = &oip->request;
    infer->explain = request->explain;
    for (size_t i = 0; i < request->outputs_count; i++) {
        enum output *output = &oip->outputs[oip->outputs_count];
        if (find_output(output, call, request->outputs[i].name, infer->routing) != IG_OK)
            return call->err.code;
        oip->binary[oip->outputs_count++] = request->outputs[i].binary;
        infer->explain = infer->explain || *output == SHAP_VALUES || *output == BASE_VALUE;
    }
    if (request->outputs_count) return IG_OK;
    for (int i = 0; i < OUTPUTS_COUNT; i++) {
        bool wanted = i == LABELS ? has_labels(infer->routing->schema)
                                  : i < DEFAULT_OUTPUTS || (i > MARGINS && infer->explain);
        if (!wanted) continue;
        oip->outputs[oip->outputs_count] = (enum output)i;
        oip->binary[oip->outputs_count++] = request->binary;
    }
    return IG_OK;
}

static enum ig_code read_body(struct ig_call *call, struct oip *oip)
{
    const struct ig_http_request *http = &call->exchange->request;
    struct ig_str body = call->exchange->body;
    struct ig_str encoding = ig_http_header(http, IG_STR("Content-Encoding"));
    struct ig_str header = ig_http_header(http, IG_STR("Inference-Header-Content-Length"));
    int64_t json_bytes = IG_OIP_ALL_JSON;
    bool packed =
        ig_str_eq_nocase(encoding, IG_STR("gzip")) || ig_str_eq_nocase(encoding, IG_STR("deflate"));
    if (encoding.len && !packed && !ig_str_eq_nocase(encoding, IG_STR("identity")))
        return ig_fail(&call->err, IG_MEDIA_TYPE,
                       "Content-Encoding: '%.*s', expected gzip or deflate",
                       (int)(encoding.len > 32 ? 32 : encoding.len), encoding.ptr);
    if (header.len && (!ig_str_to_i64(header, &json_bytes) || json_bytes < 0))
        return ig_fail(&call->err, IG_INVALID,
                       "Inference-Header-Content-Length: '%.*s' is no length",
                       (int)(header.len > 32 ? 32 : header.len), header.ptr);
    if (packed && inflate_body(&body, call, body) != IG_OK) return call->err.code;
    return ig_oip_request_read(&oip->request, body, json_bytes, call->arena, &call->err);
}

static enum ig_code decode(struct ig_call *call, struct ig_infer *infer)
{
    struct oip *oip = infer->front;
    struct ig_predict_target target;
    struct ig_oip_rows rows;
    struct ig_str version = call->params[1];
    int64_t number = 0;
    if (read_body(call, oip) != IG_OK) return call->err.code;
    if (!ig_infer_find(&target, call, infer->model, &call->err)) return call->err.code;
    if (version.ptr && (!ig_str_to_i64(version, &number) || number != version_of(infer->routing)))
        return ig_fail(&call->err, IG_NOT_FOUND, "model '%s': version %.*s is not served",
                       infer->routing->name, (int)(version.len > 32 ? 32 : version.len),
                       version.ptr);
    if (choose_outputs(call, infer, oip) != IG_OK ||
        ig_oip_rows(&rows, &oip->request, target.schema, call->app->rows_max, call->arena,
                    &call->err) != IG_OK)
        return call->err.code;
    infer->request.schema = target.schema;
    infer->request.rows = rows.rows;
    infer->request.rows_count = rows.rows_count;
    infer->request.many = true;
    infer->request.unit_id = oip->request.unit_id;
    infer->request.explain.wanted_low = infer->request.explain.wanted_high = NAN;
    if (!target.attributes_count) return IG_OK;
    infer->request.attributes =
        ig_arena_array(call->arena, target.attributes_count, sizeof *infer->request.attributes);
    return infer->request.attributes ? IG_OK
                                     : ig_fail(&call->err, IG_NO_MEMORY, "no memory for the call");
}

/* The numbers of a row for an output, and how many. */
static size_t row_numbers(const double **out, enum output output, const struct ig_answer *answer)
{
    const struct ig_model *model = answer->model;
    switch (output) {
    case PREDICTIONS:
        *out = answer->predictions;
        return model->predictions_count;
    case MARGINS:
        *out = answer->margins;
        return model->outputs_count;
    default:
        *out = answer->contributions;
        return (size_t)model->outputs_count * (model->features_count + (size_t)1);
    }
}

/* Calls with each number of an output, in order. */
struct writing {
    struct ig_json_out *json; /* or: */
    struct ig_buf *raw;
};

static void write_number(struct writing *writing, double value)
{
    if (writing->json)
        ig_json_out_f64(writing->json, value);
    else
        ig_buf_add(writing->raw, &value, sizeof value);
}

static void write_row(struct writing *writing, enum output output, const struct ig_answer *answer)
{
    const double *numbers;
    size_t count = row_numbers(&numbers, output, answer);
    size_t each = answer->model->features_count + (size_t)1;
    for (size_t i = 0; i < count; i++) {
        bool base = i % each == each - 1;
        if (output == PREDICTIONS || output == MARGINS || base == (output == BASE_VALUE))
            write_number(writing, numbers[i]);
    }
}

static void write_label(struct writing *writing, struct ig_infer *infer, size_t row)
{
    const struct ig_infer_part *part = ig_infer_part_of(infer, row);
    size_t own = infer->places ? infer->places[row].row : row;
    int32_t class = ig_inference_class(part->servable, &part->result, own);
    const struct ig_schema *schema = &part->servable->package->schema;
    struct ig_str text = class >= 0 && (uint32_t) class < schema->classes_count
                             ? schema->classes[class]
                             : IG_STR("");
    if (writing->json) {
        ig_json_out_str(writing->json, text);
        return;
    }
    uint32_t length = (uint32_t)text.len;
    ig_buf_add(writing->raw, &length, sizeof length);
    ig_buf_add_str(writing->raw, text);
}

static void write_data(struct writing *writing, struct ig_infer *infer, enum output output)
{
    for (size_t i = 0; i < infer->request.rows_count; i++) {
        if (output == LABELS) {
            write_label(writing, infer, i);
            continue;
        }
        struct ig_answer answer = ig_infer_answer(infer, i, NULL);
        write_row(writing, output, &answer);
    }
}

static void write_output(struct ig_json_out *out, struct ig_infer *infer, enum output output,
                         struct ig_buf *raw)
{
    int64_t shape[2];
    size_t rank = extents(shape, output, infer->routing->face->package->model);
    struct writing writing = {raw ? NULL : out, raw};
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "name", ig_str_view(OUTPUTS[output].name));
    ig_json_out_kv_str(out, "datatype", ig_str_view(ig_oip_type_name(OUTPUTS[output].type)));
    ig_json_out_key(out, IG_STR("shape"));
    ig_json_out_array(out);
    ig_json_out_i64(out, (int64_t)infer->request.rows_count);
    for (size_t d = 0; d < rank; d++) ig_json_out_i64(out, shape[d]);
    ig_json_out_array_end(out);
    if (raw) {
        size_t before = raw->len;
        write_data(&writing, infer, output);
        ig_json_out_key(out, IG_STR("parameters"));
        ig_json_out_object(out);
        ig_json_out_kv_i64(out, "binary_data_size", (int64_t)(raw->len - before));
        ig_json_out_object_end(out);
    } else {
        ig_json_out_key(out, IG_STR("data"));
        ig_json_out_array(out);
        write_data(&writing, infer, output);
        ig_json_out_array_end(out);
    }
    ig_json_out_object_end(out);
}

/* Only when every explanation is additive over features can it be a tensor of that shape. */
static enum ig_code check_explained(struct ig_call *call, const struct ig_infer *infer)
{
    for (size_t i = 0; infer->explain && i < infer->parts_count; i++)
        if (!infer->parts[i].result.explanations.contributions)
            return ig_fail(&call->err, IG_INVALID, "shap_values: the model has none");
    return IG_OK;
}

static enum ig_code encode(struct ig_call *call, struct ig_infer *infer)
{
    struct oip *oip = infer->front;
    struct ig_json_out out;
    struct ig_buf raw;
    char length[24];
    if (check_explained(call, infer) != IG_OK) return call->err.code;
    ig_buf_init(&raw, call->exchange->reply.max_bytes);
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "model_name", ig_str_view(infer->routing->name));
    kv_version(&out, "model_version", infer->routing);
    if (oip->request.id.ptr) ig_json_out_kv_str(&out, "id", oip->request.id);
    ig_json_out_key(&out, IG_STR("outputs"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < oip->outputs_count; i++)
        write_output(&out, infer, oip->outputs[i], oip->binary[i] ? &raw : NULL);
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    if (raw.overflowed)
        ig_fail(&call->err, IG_TOO_LARGE, "the answer exceeds the cap of a response");
    if (raw.len) {
        snprintf(length, sizeof length, "%zu", call->exchange->reply.len);
        ig_exchange_header(call->exchange, "Inference-Header-Content-Length", ig_str_view(length),
                           &call->err);
        call->exchange->content_type = "application/octet-stream";
        ig_buf_add(&call->exchange->reply, raw.ptr, raw.len);
    }
    ig_buf_deinit(&raw);
    return call->err.code;
}

enum ig_code ig_oip_infer(struct ig_call *call)
{
    struct ig_infer *infer = ig_arena_zalloc(call->arena, sizeof *infer);
    struct oip *oip = ig_arena_zalloc(call->arena, sizeof *oip);
    if (!infer || !oip) return ig_fail(&call->err, IG_NO_MEMORY, "no memory for the call");
    infer->model = call->params[0];
    infer->decode = decode;
    infer->encode = encode;
    infer->front = oip;
    return ig_infer_start_as(call, infer);
}
