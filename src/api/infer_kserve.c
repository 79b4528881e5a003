/* SPDX-License-Identifier: Apache-2.0 */
/* KServe V1: /v1/models. Predictions are what the source library's predict gives: a number a row,
 * or an array where the model has several outputs. Explanations are Ingot's own objects. */
#include "api/infer.h"
#include "api/route.h"

static bool add_name(void *context, const struct ig_routing *routing)
{
    ig_json_out_str(context, ig_str_view(routing->name));
    return true;
}

enum ig_code ig_infer_kserve_list(struct ig_call *call)
{
    struct ig_json_out out;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("models"));
    ig_json_out_array(&out);
    ig_deploy_each(call->app->deploy, add_name, &out);
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_infer_kserve_ready(struct ig_call *call)
{
    struct ig_json_out out;
    struct ig_str name = call->params[0];
    bool ready = ig_deploy_acquire(call->app->deploy, name) != NULL;
    if (!ready && ig_deploy_state(call->app->deploy, name) == IG_DEPLOY_ABSENT)
        return ig_fail(&call->err, IG_NOT_FOUND, "Model with name %.*s does not exist.",
                       (int)(name.len > 128 ? 128 : name.len), name.ptr);
    if (!ready) call->exchange->status = 503;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "name", name);
    ig_json_out_kv_bool(&out, "ready", ready);
    ig_json_out_object_end(&out);
    return IG_OK;
}

static void write_prediction(struct ig_json_out *out, const struct ig_answer *answer)
{
    uint32_t count = answer->model->predictions_count;
    if (count > 1) ig_json_out_array(out);
    for (uint32_t i = 0; i < count; i++) ig_json_out_f64(out, answer->predictions[i]);
    if (count > 1) ig_json_out_array_end(out);
}

enum ig_code ig_infer_encode_predictions(struct ig_call *call, struct ig_infer *infer)
{
    struct ig_json_out out;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("predictions"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < infer->request.rows_count; i++) {
        struct ig_answer answer = ig_infer_answer(infer, i, NULL);
        write_prediction(&out, &answer);
    }
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

static enum ig_code encode_explanations(struct ig_call *call, struct ig_infer *infer)
{
    struct ig_json_out out;
    uint32_t features = infer->request.schema->features_count;
    uint32_t *order = ig_arena_alloc(call->arena, features * sizeof(uint32_t) + 1);
    if (!order) return ig_fail(&call->err, IG_NO_MEMORY, "no memory for the answer");
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("explanations"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < infer->request.rows_count; i++) {
        struct ig_answer answer = ig_infer_answer(infer, i, order);
        ig_json_out_object(&out);
        ig_answer_prediction(&out, &answer);
        ig_answer_explanation(&out, &answer);
        if (ig_infer_reasons(&out, call, ig_infer_part_of(infer, i), &answer) != IG_OK)
            return call->err.code;
        ig_json_out_object_end(&out);
    }
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_infer_kserve_predict(struct ig_call *call)
{
    return ig_infer_start(call, call->params[0], false, ig_infer_encode_predictions);
}

enum ig_code ig_infer_kserve_explain(struct ig_call *call)
{
    return ig_infer_start(call, call->params[0], true, encode_explanations);
}
