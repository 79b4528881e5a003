/* SPDX-License-Identifier: Apache-2.0 */
/* Deployments. */
#include "api/rest.h"
#include "api/route.h"
#include "services/deploy/replica_set.h"

#include <math.h>
#include <string.h>

/* The processes of an isolated one. */
static void write_replicas(struct ig_json_out *out, struct ig_app *app, struct ig_str name)
{
    const struct ig_routing *routing = ig_deploy_get_routing(app->deploy, name);
    struct ig_replicas_stats stats;
    if (routing && routing->replicas) {
        ig_replicas_stats(&stats, routing->replicas);
        ig_json_out_key(out, IG_STR("replicas"));
        ig_json_out_object(out);
        ig_json_out_kv_i64(out, "running", stats.running);
        ig_json_out_kv_i64(out, "busy", stats.busy);
        ig_json_out_kv_i64(out, "starting", stats.starting);
        ig_json_out_kv_i64(out, "waiting_calls", stats.waiting);
        ig_json_out_kv_i64(out, "calls", (int64_t)stats.calls);
        ig_json_out_kv_i64(out, "started", (int64_t)stats.started);
        ig_json_out_kv_i64(out, "failed", (int64_t)stats.crashed);
        ig_json_out_kv_f64(out, "cpu_seconds", (double)stats.cpu_ns * 1e-9);
        ig_json_out_kv_i64(out, "memory_bytes", (int64_t)stats.memory_bytes);
        if (stats.failure[0]) ig_json_out_kv_str(out, "last_failure", ig_str_view(stats.failure));
        ig_json_out_key(out, IG_STR("pids"));
        ig_json_out_array(out);
        for (uint32_t i = 0; i < stats.running; i++) ig_json_out_i64(out, stats.pids[i]);
        ig_json_out_array_end(out);
        ig_json_out_object_end(out);
    }
    ig_routing_unref(routing);
}

static void write_deployment(struct ig_json_out *out, struct ig_app *app,
                             const struct ig_deployment *deployment)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "name", deployment->name);
    ig_json_out_kv_str(out, "state", deployment->state);
    if (deployment->error.len) ig_json_out_kv_str(out, "error", deployment->error);
    ig_json_out_kv_str(out, "model", deployment->model);
    ig_json_out_kv_str(out, "ref", deployment->ref);
    ig_json_out_kv_i64(out, "version", deployment->version);
    ig_json_out_kv_str(out, "digest", deployment->digest);
    if (deployment->engine.len) ig_json_out_kv_str(out, "engine", deployment->engine);
    if (deployment->engine_reason.len) {
        ig_json_out_kv_str(out, "engine_version", deployment->engine_version);
        ig_json_out_kv_str(out, "engine_reason", deployment->engine_reason);
    }
    ig_json_out_kv_i64(out, "revision", deployment->revision);
    ig_rest_kv_raw(out, "graph", deployment->graph);
    ig_json_out_key(out, IG_STR("previous"));
    if (deployment->previous_version) {
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "model", deployment->previous_model);
        ig_json_out_kv_i64(out, "version", deployment->previous_version);
        ig_json_out_kv_i64(out, "revision", deployment->previous_revision);
        ig_json_out_object_end(out);
    } else {
        ig_json_out_null(out);
    }
    ig_rest_kv_time(out, "created_at", deployment->created_ms);
    ig_rest_kv_time(out, "updated_at", deployment->updated_ms);
    write_replicas(out, app, deployment->name);
    ig_json_out_object_end(out);
}

static enum ig_code reply_deployment(struct ig_call *call)
{
    struct ig_deployment deployment;
    struct ig_json_out out;
    if (ig_deploy_get(&deployment, call->app->deploy, call->params[0], call->arena, &call->err) !=
        IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    write_deployment(&out, call->app, &deployment);
    return IG_OK;
}

enum ig_code ig_rest_deployment_list(struct ig_call *call)
{
    struct ig_deployments list;
    struct ig_json_out out;
    if (ig_deploy_list(&list, call->app->deploy, call->arena, &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("deployments"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < list.count; i++) write_deployment(&out, call->app, &list.items[i]);
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_rest_deployment_get(struct ig_call *call)
{
    return reply_deployment(call);
}

/* "models:/NAME/REF", "models:/NAME@ALIAS" or "models:/NAME" into its parts. */
static void cut_uri(struct ig_str *model, struct ig_str *ref)
{
    struct ig_str prefix = IG_STR("models:/");
    if (!ig_str_starts(*model, prefix)) return;
    struct ig_str rest = {model->ptr + prefix.len, model->len - prefix.len};
    struct ig_str whole = rest, name = ig_str_cut(&rest, '/');
    if (!rest.ptr) {
        rest = whole;
        name = ig_str_cut(&rest, '@');
    }
    *model = name;
    if (rest.ptr) *ref = rest;
}

/* The value's own text. */
static enum ig_code read_graph(void *out, struct ig_json *json)
{
    struct ig_str *text = out;
    const char *start = json->at;
    if (!ig_json_skip(json)) return json->err->code;
    *text = ig_str_trim((struct ig_str){start, (size_t)(json->at - start)});
    if (text->len && *text->ptr == ':') *text = (struct ig_str){text->ptr + 1, text->len - 1};
    return IG_OK;
}

/* A percentage in steps of 0.01, as basis points. */
static enum ig_code read_percent(void *out, struct ig_json *json)
{
    uint32_t *basis_points = out;
    double percent;
    if (!ig_json_f64(json, &percent, "canary_percent")) return json->err->code;
    double steps = percent * 100;
    if (!(steps >= 0 && steps <= IG_ROUTING_WHOLE) || fabs(steps - round(steps)) > 1e-6)
        return ig_fail_at(json->err, IG_INVALID, ig_json_position(json),
                          "canary_percent: %g, expected 0 to 100 in steps of 0.01", percent);
    *basis_points = (uint32_t)lround(steps);
    return IG_OK;
}

struct policy_member {
    struct ig_deployment_spec *spec;
    int64_t versions[IG_DEPLOY_VERSIONS_MAX];
};

/* "all", {"latest": N}, or [N, ...]. */
static enum ig_code read_policy(void *out, struct ig_json *json)
{
    struct policy_member *member = out;
    struct ig_deployment_spec *spec = member->spec;
    uint64_t latest = 0;
    switch (ig_json_next(json)) {
    case IG_JSON_STRING:
        spec->policy = IG_VERSIONS_ALL;
        if (ig_str_is(json->text, "all")) return IG_OK;
        break;
    case IG_JSON_OBJECT:
        spec->policy = IG_VERSIONS_LATEST;
        while (ig_json_member(json))
            if (!ig_str_is(json->text, "latest") || !ig_json_u64(json, &latest, "versions.latest"))
                break;
        if (json->err->code == IG_OK && latest >= 1 && latest <= IG_DEPLOY_VERSIONS_MAX) {
            spec->latest = (uint32_t)latest;
            return IG_OK;
        }
        break;
    case IG_JSON_ARRAY:
        spec->policy = IG_VERSIONS_LISTED;
        spec->versions = member->versions;
        while (ig_json_element(json) && spec->versions_count < IG_DEPLOY_VERSIONS_MAX)
            if (!ig_json_i64(json, &member->versions[spec->versions_count++], "versions")) break;
        if (json->err->code == IG_OK && spec->versions_count < IG_DEPLOY_VERSIONS_MAX) return IG_OK;
        break;
    default:
        break;
    }
    if (json->err->code != IG_OK) return json->err->code;
    return ig_fail_at(json->err, IG_INVALID, ig_json_position(json),
                      "versions: expected \"all\", {\"latest\": 1 to %d}, or a list of numbers",
                      IG_DEPLOY_VERSIONS_MAX);
}

struct plan_member {
    struct ig_rollout_plan plan;
    bool given;
};

static enum ig_code read_plan(void *out, struct ig_json *json)
{
    struct plan_member *member = out;
    member->given = true;
    return ig_rollout_plan_read(&member->plan, json);
}

/* Members that errors of a change begin with. */
static const char *const FIELDS[] = {"model",    "version",  "canary_percent", "graph",
                                     "why",      "revision", "node",           "arm",
                                     "versions", NULL};

static enum ig_code finish(struct ig_call *call)
{
    if (call->err.code == IG_OK) return reply_deployment(call);
    call->field = ig_call_field(&call->err, FIELDS);
    if (!call->field && strncmp(call->err.message, "graph.", 6) == 0) call->field = "graph";
    if (!call->field && strncmp(call->err.message, "rollout.", 8) == 0) call->field = "rollout";
    return call->err.code;
}

enum ig_code ig_rest_deployment_put(struct ig_call *call)
{
    enum { NO_CANARY = IG_ROUTING_WHOLE + 1 };
    struct ig_deployment_spec spec = {.name = call->params[0], .canary_basis_points = NO_CANARY};
    struct ig_routing_spec graph;
    struct ig_str text = {0};
    struct plan_member rollout = {0};
    struct policy_member policy = {.spec = &spec};
    const struct ig_rest_field fields[] = {
        {"versions", IG_REST_CALL, &policy, false, read_policy},
        {"rollout", IG_REST_CALL, &rollout, false, read_plan},
        {"model", IG_REST_STR, &spec.model, false, NULL},
        {"version", IG_REST_TEXT_OR_I64, &spec.ref, false, NULL},
        {"canary_percent", IG_REST_CALL, &spec.canary_basis_points, false, read_percent},
        {"graph", IG_REST_CALL, &text, false, read_graph},
        {"why", IG_REST_STR, &spec.why, false, NULL},
    };
    if (ig_rest_read(call, fields, sizeof fields / sizeof *fields) != IG_OK) return call->err.code;
    spec.canary = spec.canary_basis_points != NO_CANARY;
    if (rollout.given && (!spec.model.len || spec.canary || text.ptr)) {
        call->field = "rollout";
        return ig_fail(&call->err, IG_INVALID,
                       "rollout: give it with a model, and its share by rollout.steps");
    }
    if (spec.policy != IG_VERSIONS_DEFAULT &&
        (!spec.model.len || spec.canary || text.ptr || rollout.given)) {
        call->field = "versions";
        return ig_fail(&call->err, IG_INVALID, "versions: give them with a model alone");
    }
    if (text.ptr && (spec.model.len || spec.ref.len || spec.canary)) {
        call->field = "graph";
        return ig_fail(&call->err, IG_INVALID,
                       "graph: give either a graph or a model with its version");
    }
    if (!text.ptr && !spec.model.len && !spec.canary) {
        call->field = "model";
        return ig_fail(&call->err, IG_INVALID, "model: missing");
    }
    if (text.ptr && ig_routing_spec_read(&graph, text, call->arena, &call->err) != IG_OK)
        return finish(call);
    if (text.ptr) spec.graph = &graph;
    cut_uri(&spec.model, &spec.ref);
    if (rollout.given)
        ig_rollouts_start(call->app->rollouts, &call->who, &spec, &rollout.plan, &call->err);
    else
        ig_deploy_set(call->app->deploy, &call->who, &spec, &call->err);
    /* A graph of one node is kept as a model alone, whose messages tell no path. */
    if (text.ptr && call->err.code == IG_NOT_FOUND && graph.nodes_count == 1)
        ig_err_prefix(&call->err, "graph.nodes.%.*s", IG_STR_ARGS(graph.nodes[0].name));
    return finish(call);
}

enum ig_code ig_rest_deployment_delete(struct ig_call *call)
{
    if (ig_deploy_delete(call->app->deploy, &call->who, call->params[0], &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_rest_deployment_rollback(struct ig_call *call)
{
    struct ig_str why = IG_STR("");
    int64_t revision = 0;
    const struct ig_rest_field fields[] = {
        {"revision", IG_REST_I64, &revision, false, NULL},
        {"why", IG_REST_STR, &why, false, NULL},
    };
    if (ig_rest_read(call, fields, 2) != IG_OK) return call->err.code;
    if (revision < 0) ig_fail(&call->err, IG_INVALID, "revision: expected a number from 1");
    if (call->err.code == IG_OK)
        ig_deploy_rollback(call->app->deploy, &call->who, call->params[0], revision, why,
                           &call->err);
    return finish(call);
}

enum ig_code ig_rest_deployment_promote(struct ig_call *call)
{
    struct ig_deploy_promotion promotion = {.name = call->params[0]};
    const struct ig_rest_field fields[] = {
        {"node", IG_REST_STR, &promotion.node, false, NULL},
        {"arm", IG_REST_STR, &promotion.arm, false, NULL},
        {"why", IG_REST_STR, &promotion.why, false, NULL},
    };
    if (ig_rest_read(call, fields, 3) != IG_OK) return call->err.code;
    ig_deploy_promote(call->app->deploy, &call->who, &promotion, &call->err);
    return finish(call);
}

static enum ig_code set_paused(struct ig_call *call, bool paused)
{
    struct ig_str why = IG_STR("");
    const struct ig_rest_field fields[] = {{"why", IG_REST_STR, &why, false, NULL}};
    if (ig_rest_read(call, fields, 1) != IG_OK) return call->err.code;
    ig_deploy_pause(call->app->deploy, &call->who, call->params[0], paused, why, &call->err);
    return finish(call);
}

enum ig_code ig_rest_deployment_pause(struct ig_call *call)
{
    return set_paused(call, true);
}

enum ig_code ig_rest_deployment_resume(struct ig_call *call)
{
    return set_paused(call, false);
}

enum ig_code ig_rest_deployment_history(struct ig_call *call)
{
    struct ig_deployment_changes changes;
    struct ig_json_out out;
    if (ig_deploy_history(&changes, call->app->deploy, call->params[0], call->arena, &call->err) !=
        IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("changes"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < changes.count; i++) {
        const struct ig_deployment_change *change = &changes.items[i];
        ig_json_out_object(&out);
        ig_json_out_kv_i64(&out, "seq", change->seq);
        ig_rest_kv_time(&out, "at", change->at_ms);
        ig_json_out_kv_str(&out, "action", change->action);
        ig_json_out_kv_i64(&out, "revision", change->revision);
        ig_json_out_kv_str(&out, "principal", change->principal_name);
        ig_json_out_kv_str(&out, "principal_id", change->principal_id);
        ig_json_out_kv_str(&out, "why", change->why);
        ig_rest_kv_raw(&out, "graph", change->graph);
        ig_json_out_object_end(&out);
    }
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

static enum ig_code reply_rollout(struct ig_call *call)
{
    struct ig_rollout rollout;
    struct ig_json_out out;
    if (ig_rollouts_get(&rollout, call->app->rollouts, call->params[0], call->arena, &call->err) !=
        IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "deployment", rollout.deployment);
    ig_json_out_kv_str(&out, "state", rollout.state);
    ig_json_out_kv_str(&out, "reason", rollout.reason);
    ig_json_out_kv_i64(&out, "step", rollout.step + 1);
    ig_json_out_kv_f64(&out, "percent", rollout.plan.steps[rollout.step] / 100.0);
    ig_rest_kv_time(&out, "step_since", rollout.step_ms);
    ig_rest_kv_time(&out, "started_at", rollout.started_ms);
    ig_json_out_key(&out, IG_STR("plan"));
    ig_rollout_plan_write(&out, &rollout.plan);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_rest_rollout_get(struct ig_call *call)
{
    return reply_rollout(call);
}

enum ig_code ig_rest_rollout_post(struct ig_call *call)
{
    struct ig_str why = IG_STR(""), word = IG_STR("");
    enum ig_rollout_action action = IG_ROLLOUT_PAUSE;
    const struct ig_rest_field fields[] = {
        {"action", IG_REST_STR, &word, true, NULL},
        {"why", IG_REST_STR, &why, false, NULL},
    };
    if (ig_rest_read(call, fields, 2) != IG_OK) return call->err.code;
    if (ig_str_is(word, "resume")) action = IG_ROLLOUT_RESUME;
    if (ig_str_is(word, "abort")) action = IG_ROLLOUT_ABORT;
    if (action == IG_ROLLOUT_PAUSE && !ig_str_is(word, "pause")) {
        call->field = "action";
        return ig_fail(&call->err, IG_INVALID, "action: '%.*s', expected pause, resume or abort",
                       (int)(word.len > 64 ? 64 : word.len), word.ptr);
    }
    if (ig_rollouts_act(call->app->rollouts, &call->who, call->params[0], action, why,
                        &call->err) != IG_OK)
        return call->err.code;
    return reply_rollout(call);
}
