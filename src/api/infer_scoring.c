/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's scoring server and SageMaker's containers: /ping, /version, /invocations for the only
 * deployment, /models/{model}/invoke for one of many, and /models to load and unload them. The
 * body is MLflow's JSON or CSV, or a
 * request of the Open Inference Protocol. */
#include "api/mlflow_request.h"
#include "api/oip_model.h"
#include "api/rest.h"
#include "api/route.h"
#include "api/scoring.h"
#include "formats/rows.h"

#include <math.h>
#include <string.h>

enum { REQUEST_MAX = 64 << 20, ROWS_BLOCK = 256 };

static bool is_csv(const struct ig_call *call)
{
    struct ig_str type = ig_http_header(&call->exchange->request, IG_STR("Content-Type"));
    return ig_str_eq_nocase(ig_str_trim(ig_str_cut(&type, ';')), IG_STR("text/csv"));
}

static enum ig_code decode_csv(struct ig_call *call, struct ig_infer *infer)
{
    struct ig_predict_target target;
    struct ig_rows *rows = NULL;
    size_t cap = 0, count = 0, got = 1;
    double *values = NULL;
    const struct ig_rows_options options = {.ignore_others = false};
    if (!ig_infer_find(&target, call, infer->model, &call->err)) return call->err.code;
    size_t width = target.schema->features_count;
    ig_rows_open_bytes(&rows, call->exchange->body, target.schema, &options, &call->err);
    while (call->err.code == IG_OK && got) {
        if (cap - count < ROWS_BLOCK) {
            cap = cap * 2 + ROWS_BLOCK;
            double *grown = ig_arena_alloc(call->arena, cap * width * sizeof *grown);
            if (!grown) ig_fail(&call->err, IG_TOO_LARGE, "rows exceed the memory of a call");
            if (grown && count) memcpy(grown, values, count * width * sizeof *grown);
            values = grown;
        }
        if (call->err.code == IG_OK &&
            ig_rows_next(rows, values + count * width, ROWS_BLOCK, &got, &call->err) == IG_OK)
            count += got;
        if (call->err.code == IG_INVALID) call->err.code = IG_PARSE; /* a value, not the schema */
        if (count > call->app->rows_max)
            ig_fail(&call->err, IG_TOO_LARGE, "more than %zu rows in one call",
                    call->app->rows_max);
    }
    ig_rows_close(rows);
    if (call->err.code == IG_OK && !count)
        ig_fail(&call->err, IG_INVALID, "at least one row is expected");
    infer->request.schema = target.schema;
    infer->request.rows = values;
    infer->request.rows_count = count;
    infer->request.many = true;
    if (call->err.code != IG_OK || !target.attributes_count) return call->err.code;
    infer->request.attributes =
        ig_arena_array(call->arena, target.attributes_count, sizeof *infer->request.attributes);
    return infer->request.attributes ? IG_OK
                                     : ig_fail(&call->err, IG_NO_MEMORY, "no memory for the call");
}

static enum ig_code decode_json(struct ig_call *call, struct ig_infer *infer)
{
    struct ig_json *json = ig_arena_alloc(call->arena, sizeof *json);
    struct ig_buf turned;
    struct ig_str request = IG_STR("");
    const struct ig_predict_source source = {.find = ig_infer_find,
                                             .context = call,
                                             .rows_max = call->app->rows_max,
                                             .kserve = true,
                                             .kind_code = IG_PARSE};
    if (!json) return ig_fail(&call->err, IG_NO_MEMORY, "no memory for the call");
    ig_buf_init(&turned, REQUEST_MAX);
    if (ig_scoring_instances(&turned, call->exchange->body, call->arena, &call->err) == IG_OK)
        request = ig_arena_dup(call->arena, ig_buf_view(&turned));
    ig_buf_deinit(&turned);
    if (call->err.code == IG_OK && !request.ptr)
        ig_fail(&call->err, IG_NO_MEMORY, "no memory for the call");
    if (call->err.code != IG_OK) return call->err.code;
    ig_json_init(json, request, call->arena, &call->err);
    ig_predict_request_decode(&infer->request, json, &source, &call->field);
    call->err.at_byte = -1; /* of the turned request */
    return call->err.code;
}

/* The parameters of a media type, as MLflow's scoring server judges them. */
static enum ig_code expect_parameters(struct ig_call *call, struct ig_str parameters)
{
    struct ig_str unknown = {NULL, 0};
    while (parameters.ptr) {
        struct ig_str value = ig_str_trim(ig_str_cut(&parameters, ';'));
        struct ig_str name = ig_str_trim(ig_str_cut(&value, '='));
        bool is_charset = ig_str_eq_nocase(name, IG_STR("charset"));
        value = ig_str_trim(value.ptr ? value : IG_STR(""));
        if (is_charset && !ig_str_eq_nocase(value, IG_STR("utf-8")) &&
            !ig_str_eq_nocase(value, IG_STR("\"utf-8\"")))
            return ig_fail(&call->err, IG_MEDIA_TYPE, "The scoring server only supports UTF-8");
        if (!is_charset && name.len && !unknown.ptr) unknown = name;
    }
    if (!unknown.ptr) return IG_OK;
    return ig_fail(&call->err, IG_MEDIA_TYPE, "Unrecognized content type parameters: %.*s",
                   IG_STR_ARGS(unknown));
}

/* Besides the two types, what curl sends by default is taken, as is none. */
static enum ig_code expect_type(struct ig_call *call)
{
    struct ig_str type = ig_http_header(&call->exchange->request, IG_STR("Content-Type"));
    struct ig_str rest = type, kind = ig_str_trim(ig_str_cut(&rest, ';'));
    if (ig_call_expect_identity(call) != IG_OK || expect_parameters(call, rest) != IG_OK)
        return call->err.code;
    if (!kind.len || is_csv(call) || ig_str_eq_nocase(kind, IG_STR("application/json")) ||
        ig_str_eq_nocase(kind, IG_STR("application/x-www-form-urlencoded")))
        return IG_OK;
    return ig_fail(&call->err, IG_MEDIA_TYPE,
                   "This predictor only supports the following content types: Types: "
                   "['text/csv', 'application/json']. Got '%.*s'.",
                   IG_STR_ARGS(type));
}

static enum ig_code decode(struct ig_call *call, struct ig_infer *infer)
{
    if (expect_type(call) != IG_OK) return call->err.code;
    return is_csv(call) ? decode_csv(call, infer) : decode_json(call, infer);
}

static enum ig_code invoke(struct ig_call *call, struct ig_str model)
{
    struct ig_infer *infer = ig_arena_zalloc(call->arena, sizeof *infer);
    if (!infer) return ig_fail(&call->err, IG_NO_MEMORY, "no memory for the call");
    if (ig_scoring_is_binary(ig_http_header(&call->exchange->request, IG_STR("Content-Type"))) ||
        (!is_csv(call) && ig_scoring_is_oip(call->exchange->body, call->arena)))
        return ig_oip_infer_sagemaker(call, model);
    infer->model = model;
    infer->decode = decode;
    infer->encode = ig_infer_encode_predictions;
    return ig_infer_start_as(call, infer);
}

enum ig_code ig_scoring_invocations(struct ig_call *call)
{
    const struct ig_routing *only = ig_deploy_acquire_only(call->app->deploy);
    if (!only)
        return ig_fail(
            &call->err, IG_CONFLICT,
            "/invocations answers for the only deployment; there is not exactly one that "
            "serves, so call /models/NAME/invoke");
    return invoke(call, ig_arena_dup(call->arena, ig_str_view(only->name)));
}

enum ig_code ig_scoring_invoke(struct ig_call *call)
{
    return invoke(call, call->params[0]);
}

enum ig_code ig_scoring_ping(struct ig_call *call)
{
    call->exchange->content_type = "application/json";
    ig_buf_add_char(&call->exchange->reply, '\n');
    if (!ig_deploy_ready(call->app->deploy)) call->exchange->status = 503;
    return IG_OK;
}

enum ig_code ig_scoring_version(struct ig_call *call)
{
    call->exchange->content_type = "application/json"; /* as MLflow says of these bare digits */
    ig_buf_add_cstr(&call->exchange->reply, IG_MLFLOW_VERSION);
    return IG_OK;
}

static bool add_model(void *context, const struct ig_routing *routing)
{
    struct ig_json_out *out = context;
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "modelName", ig_str_view(routing->name));
    ig_json_out_kv_str(out, "modelUrl", ig_str_view(routing->face->model));
    ig_json_out_object_end(out);
    return true;
}

enum ig_code ig_scoring_models(struct ig_call *call)
{
    struct ig_json_out out;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("models"));
    ig_json_out_array(&out);
    ig_deploy_each(call->app->deploy, add_model, &out);
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

static enum ig_code fail_not_loaded(struct ig_call *call)
{
    struct ig_str name = call->params[0];
    return ig_fail(&call->err, IG_NOT_FOUND, "model '%.*s' is not loaded",
                   (int)(name.len > 64 ? 64 : name.len), name.ptr);
}

enum ig_code ig_scoring_model(struct ig_call *call)
{
    struct ig_json_out out;
    const struct ig_routing *routing = ig_deploy_acquire(call->app->deploy, call->params[0]);
    if (!routing) return fail_not_loaded(call);
    ig_call_json(call, &out);
    add_model(&out, routing);
    return IG_OK;
}

/* A deployment of a registered version: "models:/NAME/VERSION-OR-ALIAS". */
static enum ig_code deploy_url(struct ig_call *call, struct ig_str name, struct ig_str url)
{
    struct ig_deployment_spec spec = {.name = name, .why = IG_STR("loaded as a container's model")};
    struct ig_str prefix = IG_STR("models:/");
    struct ig_str rest = url;
    if (ig_str_starts(url, prefix)) {
        rest = (struct ig_str){url.ptr + prefix.len, url.len - prefix.len};
        spec.model = ig_str_cut(&rest, '/');
        spec.ref = rest.ptr ? rest : IG_STR("");
    }
    if (spec.model.len && spec.ref.len)
        return ig_deploy_set(call->app->deploy, &call->who, &spec, &call->err);
    call->field = "url";
    return ig_fail(&call->err, IG_INVALID,
                   "url: '%.*s' names no registered version, expected "
                   "models:/NAME/VERSION-OR-ALIAS",
                   (int)(url.len > 256 ? 256 : url.len), url.ptr);
}

enum ig_code ig_scoring_load(struct ig_call *call)
{
    struct ig_str name = {0}, url = {0};
    const struct ig_rest_field fields[] = {
        {"model_name", IG_REST_STR, &name, true, NULL},
        {"url", IG_REST_STR, &url, true, NULL},
    };
    if (ig_rest_read(call, fields, sizeof fields / sizeof *fields) != IG_OK) return call->err.code;
    enum ig_deploy_state state = ig_deploy_state(call->app->deploy, name);
    if (state == IG_DEPLOY_SERVING) {
        call->field = "model_name";
        return ig_fail(&call->err, IG_CONFLICT, "model_name: '%.*s' is loaded already",
                       IG_STR_ARGS(name));
    }
    if (state == IG_DEPLOY_PAUSED)
        ig_oip_set_loaded(call, name, true);
    else
        deploy_url(call, name, url);
    if (call->err.code == IG_NO_MEMORY) call->status = 507; /* as SageMaker knows it */
    return call->err.code == IG_OK ? ig_rest_done(call) : call->err.code;
}

enum ig_code ig_scoring_unload(struct ig_call *call)
{
    if (ig_deploy_state(call->app->deploy, call->params[0]) != IG_DEPLOY_SERVING)
        return fail_not_loaded(call);
    if (ig_oip_set_loaded(call, call->params[0], false) != IG_OK) return call->err.code;
    return ig_rest_done(call);
}
