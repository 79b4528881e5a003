/* SPDX-License-Identifier: Apache-2.0 */
/* POST /api/v1/rewards: what answers turned out to be worth. */
#include "api/rest.h"
#include "api/route.h"
#include "base/clock.h"

#include <math.h>

enum { REWARDS_MAX = 1000 };

struct reward {
    struct ig_str request_id, metric;
    double value;
};

struct rewards {
    struct reward *items;
    size_t count;
};

/* The object that was just opened. */
static enum ig_code read_members(struct reward *out, struct ig_json *json)
{
    bool has_value = false;
    *out = (struct reward){.metric = IG_STR("reward")};
    while (ig_json_member(json)) {
        struct ig_str key = json->text;
        if (ig_str_is(key, "request_id")) {
            ig_json_string(json, &out->request_id, "request_id");
        } else if (ig_str_is(key, "metric")) {
            ig_json_string(json, &out->metric, "metric");
        } else if (ig_str_is(key, "value")) {
            has_value = ig_json_f64(json, &out->value, "value");
        } else {
            return ig_fail_at(json->err, IG_INVALID, ig_json_position(json),
                              "%.*s: unknown member; known are request_id, metric, value",
                              (int)(key.len > 64 ? 64 : key.len), key.ptr);
        }
        if (json->err->code != IG_OK) return json->err->code;
    }
    if (json->err->code != IG_OK) return json->err->code;
    if (!out->request_id.len) return ig_fail(json->err, IG_INVALID, "request_id: missing");
    if (!has_value) return ig_fail(json->err, IG_INVALID, "value: missing");
    if (!isfinite(out->value)) return ig_fail(json->err, IG_INVALID, "value: not finite");
    return ig_name_check(out->metric, "metric", json->err);
}

static enum ig_code read_list(void *out, struct ig_json *json)
{
    struct rewards *rewards = out;
    if (!ig_json_expect(json, IG_JSON_ARRAY, "rewards")) return json->err->code;
    for (size_t i = 0; ig_json_element(json); i++) {
        if (i == REWARDS_MAX)
            return ig_fail(json->err, IG_TOO_LARGE, "rewards: more than %d in one call",
                           REWARDS_MAX);
        if (!ig_json_expect(json, IG_JSON_OBJECT, "rewards") ||
            read_members(&rewards->items[i], json) != IG_OK) {
            ig_err_prefix(json->err, "rewards[%zu]", i);
            return json->err->code;
        }
        rewards->count = i + 1;
    }
    return json->err->code;
}

static enum ig_code read_rewards(struct rewards *out, struct ig_call *call)
{
    const struct ig_rest_field fields[] = {{"rewards", IG_REST_CALL, out, true, read_list}};
    out->items = ig_arena_array(call->arena, REWARDS_MAX, sizeof *out->items);
    if (!out->items) return ig_fail(&call->err, IG_NO_MEMORY, "no memory for the call");
    return ig_rest_read(call, fields, 1);
}

struct outcome {
    int64_t taken, repeated, unmatched;
};

static enum ig_code take(struct ig_call *call, const struct reward *reward, struct outcome *outcome)
{
    char deployment[IG_NAME_SIZE];
    switch (
        ig_learning_match(call->app->learning, reward->request_id, reward->metric, deployment)) {
    case IG_REWARD_UNKNOWN:
        outcome->unmatched++;
        return IG_OK;
    case IG_REWARD_AGAIN:
        outcome->repeated++;
        return IG_OK;
    case IG_REWARD_TOO_MANY_METRICS:
        call->field = "metric";
        return ig_fail(&call->err, IG_INVALID,
                       "metric: deployment '%s' has %d metrics already, '%.*s' is one too many",
                       deployment, IG_LEARNING_METRICS_MAX, IG_STR_ARGS(reward->metric));
    default:
        break;
    }
    const struct ig_decision decision = {.kind = IG_DECISION_REWARD,
                                         .at_ms = ig_clock_unix_ms(),
                                         .value = reward->value,
                                         .request_id = reward->request_id,
                                         .deployment = ig_str_view(deployment),
                                         .principal = ig_str_view(call->who.id),
                                         .metric = reward->metric};
    if (!ig_decision_log_put_shared(call->app->decisions, &decision)) {
        ig_decision_log_flush(call->app->decisions); /* the ring was full */
        if (!ig_decision_log_put_shared(call->app->decisions, &decision))
            return ig_fail(&call->err, IG_UNAVAILABLE, "the decision log does not keep up");
    }
    outcome->taken++;
    return IG_OK;
}

enum ig_code ig_rest_rewards_post(struct ig_call *call)
{
    struct rewards rewards = {0};
    struct outcome outcome = {0};
    struct ig_json_out out;
    if (read_rewards(&rewards, call) != IG_OK) return call->err.code;
    ig_decision_log_flush(call->app->decisions); /* answers of a moment ago are known then */
    for (size_t i = 0; i < rewards.count; i++)
        if (take(call, &rewards.items[i], &outcome) != IG_OK) return call->err.code;
    ig_decision_log_flush(call->app->decisions);
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_i64(&out, "taken", outcome.taken);
    ig_json_out_kv_i64(&out, "repeated", outcome.repeated);
    ig_json_out_kv_i64(&out, "unmatched", outcome.unmatched);
    ig_json_out_object_end(&out);
    return IG_OK;
}
