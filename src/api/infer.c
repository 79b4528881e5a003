/* SPDX-License-Identifier: Apache-2.0 */
/* POST /predict-with-explanation, and the path that all inference fronts share.
 *
 * On the loop a servable is only borrowed: it lives until the turn ends. A call that goes to the
 * pool takes its reference before the hand-off (call->held), one that waits for another turn's end
 * as well; the loop drops it at the end. */
#include "api/infer.h"

#include "api/gather.h"
#include "api/infer_record.h"
#include "api/oip_settings.h"
#include "api/route.h"
#include "base/clock.h"
#include "services/deploy/replica_set.h"
#include "services/deploy/residency.h"
#include "services/deploy/responses.h"

#include <string.h>

enum { RECORD_MAX = 128 << 20 };
enum { LOOP_BODY_MAX = 64 << 10 }; /* decoding more is work for the pool */

/* On the loop borrowed, in the pool with a reference. What the loop took one of is the only one. */
static const struct ig_routing *acquire(struct ig_call *call, struct ig_str name)
{
    struct ig_infer *infer = call->state;
    struct ig_deploy *deploy = call->app->deploy;
    if (!infer->in_pool)
        return name.len ? ig_deploy_acquire(deploy, name) : ig_deploy_acquire_only(deploy);
    if (call->held) return !name.len || ig_str_is(name, call->held->name) ? call->held : NULL;
    if (name.len && !infer->model.len) call->held = ig_deploy_get_routing(deploy, name);
    return call->held;
}

void ig_infer_fail_absent(struct ig_call *call, struct ig_str name, struct ig_err *err)
{
    int length = (int)(name.len > 128 ? 128 : name.len);
    switch (name.len ? ig_deploy_state(call->app->deploy, name) : IG_DEPLOY_ABSENT) {
    case IG_DEPLOY_PAUSED:
        ig_fail(err, IG_UNAVAILABLE, "model '%.*s': the deployment is paused", length, name.ptr);
        break;
    case IG_DEPLOY_FAILED:
        ig_fail(err, IG_UNAVAILABLE, "model '%.*s': the deployment could not be loaded", length,
                name.ptr);
        break;
    default:
        if (name.len)
            ig_fail(err, IG_NOT_FOUND, "model '%.*s': there is no such deployment", length,
                    name.ptr);
        else
            ig_fail(err, IG_INVALID,
                    "model: missing; it may be left out only when there is one deployment");
    }
}

bool ig_infer_find(struct ig_predict_target *out, void *context, struct ig_str model,
                   struct ig_err *err)
{
    struct ig_call *call = context;
    struct ig_infer *infer = call->state;
    struct ig_str name = infer->model.len ? infer->model : model;
    infer->routing = acquire(call, name);
    if (!infer->routing) {
        ig_infer_fail_absent(call, name, err);
        return false;
    }
    *out = (struct ig_predict_target){infer->routing->schema, infer->routing->attributes,
                                      infer->routing->spec.attributes_count};
    return true;
}

/* The field that an error of an explanation is about. */
static const char *field_of(const struct ig_err *err)
{
    static const char *const FIELDS[] = {
        "method",        "unit",       "budget_us",  "plot",     "plot_feature",
        "plot_color_by", "plot_theme", "plot_width", "plot_row", NULL};
    for (unsigned i = 0; i < IG_EXPLAIN_OPTIONS_COUNT; i++) {
        const char *const name[] = {
            ig_explain_option_name((enum ig_explain_option)i, IG_EXPLAIN_OF_REQUESTS), NULL};
        if (ig_call_field(err, name)) return name[0];
    }
    return ig_call_field(err, FIELDS);
}

/* The records are on disk before the explanations go out. */
static enum ig_code leave_record(struct ig_call *call, struct ig_infer *infer,
                                 struct ig_infer_part *part)
{
    struct ig_buf content;
    ig_buf_init(&content, RECORD_MAX);
    if (ig_infer_record_write(&content, call, infer, part, &call->err) == IG_OK &&
        ig_records_add(part->record, call->app->records, ig_str_view(infer->routing->name),
                       ig_buf_view(&content), &call->err) == IG_OK)
        ig_exchange_header(call->exchange, "X-Explanation-Record", ig_str_view(part->record),
                           &call->err);
    ig_buf_deinit(&content);
    return call->err.code;
}

static bool draws(const struct ig_infer *infer)
{
    return infer->explain && infer->request.explain.picture.plot.ptr;
}

/* Whether the deployment keeps answers and has those of all rows. */
static bool find_answers(struct ig_call *call, struct ig_infer *infer)
{
    bool all = infer->routing->responses && !infer->explain;
    for (size_t i = 0; all && i < infer->parts_count; i++) {
        struct ig_infer_part *part = &infer->parts[i];
        part->answered = ig_responses_find(&part->result, infer->routing, part->route.node,
                                           &part->inference, call->arena);
        all = part->answered;
    }
    return all;
}

static enum ig_code compute(struct ig_call *call, struct ig_infer_part *part)
{
    const struct ig_infer *infer = call->state;
    if (ig_inference_run(&part->result, part->servable, &part->inference, call->arena,
                         &call->err) == IG_OK &&
        infer->routing->responses && !infer->explain)
        ig_responses_keep(infer->routing, part->route.node, &part->inference, &part->result);
    return call->err.code;
}

static enum ig_code run_part(struct ig_call *call, struct ig_infer_part *part)
{
    if (!part->gathered) part->started_ns = ig_clock_ns();
    part->before_ns = part->started_ns - call->started_ns;
    if (part->gathered) return IG_OK;
    part->inference.deadline_ns = call->exchange->deadline_ns;
    if (!part->answered && compute(call, part) != IG_OK) {
        call->field = field_of(&call->err);
        part->result.rows_count = 0;
    }
    part->spent_ns = ig_clock_ns() - part->started_ns;
    return call->err.code;
}

static enum ig_code run_parts(struct ig_call *call)
{
    struct ig_infer *infer = call->state;
    for (size_t i = 0; i < infer->parts_count; i++) {
        if (run_part(call, &infer->parts[i]) == IG_OK) continue;
        if (ig_code_http_status(call->err.code) >= 500) ig_infer_note_decisions(call, infer);
        return call->err.code;
    }
    return IG_OK;
}

/* Of a deployment whose CPU time is limited, each call pays for what it took. */
static enum ig_code run_limited(struct ig_call *call)
{
    const struct ig_routing *routing = ((const struct ig_infer *)call->state)->routing;
    uint64_t wait_ns = ig_routing_cpu_wait_ns(routing);
    if (wait_ns)
        return ig_fail(&call->err, IG_EXHAUSTED,
                       "model '%s': it has used its CPU time, %g cores on average, for the next "
                       "%llu ms",
                       routing->name, routing->spec.resources.cpu_thousandths / 1000.0,
                       (unsigned long long)(wait_ns / 1000000 + 1));
    uint64_t before_ns = ig_clock_thread_cpu_ns();
    run_parts(call);
    ig_routing_cpu_spend(routing, ig_clock_thread_cpu_ns() - before_ns);
    return call->err.code;
}

static bool has_answers(const struct ig_infer *infer)
{
    size_t i = 0;
    while (i < infer->parts_count && infer->parts[i].answered) i++;
    return i == infer->parts_count;
}

static enum ig_code run(struct ig_call *call)
{
    struct ig_infer *infer = call->state;
    bool limited = infer->routing->spec.resources.cpu_thousandths && !infer->routing->replicas &&
                   !has_answers(infer);
    if ((limited ? run_limited : run_parts)(call) != IG_OK ||
        ig_infer_tell_skipped(call, infer) != IG_OK)
        return call->err.code;
    for (size_t i = 0; infer->recorded && i < infer->parts_count; i++)
        if (leave_record(call, infer, &infer->parts[i]) != IG_OK) return call->err.code;
    if ((draws(infer) ? ig_infer_picture(call, infer) : infer->encode(call, infer)) == IG_OK) {
        ig_infer_note_decisions(call, infer);
        ig_infer_mirror(call, infer);
        if (call->taken_ns) ig_oip_trace_answered(call, infer);
    } else if (draws(infer)) {
        call->field = field_of(&call->err);
    }
    return call->err.code;
}

/* The model's reason codes, and their baseline where the request names no background. False: it has
 * to wait for the pool. */
static bool find_reasons(struct ig_call *call, struct ig_infer_part *part, bool wait)
{
    const struct ig_infer *infer = call->state;
    struct ig_explain_ask *ask = &part->asked.ask;
    struct ig_str model = ig_str_view(part->servable->model);
    enum ig_reasons_found found = IG_REASONS_ABSENT;
    if (!infer->request.explain.reasons) return true;
    found = ig_reasons_find(&part->codes, call->app->reasons, model, call->arena, wait);
    if (found == IG_REASONS_BUSY) return false;
    if (found == IG_REASONS_ABSENT) {
        call->field = "reasons";
        ig_fail(&call->err, IG_INVALID, "reasons: model '%.*s' has no reason codes",
                IG_STR_ARGS(model));
    } else if (ask->method_given && ig_explainer_form(ask->method) != IG_EXPLAIN_ADDITIVE) {
        call->field = "reasons";
        ig_fail(&call->err, IG_INVALID, "reasons: method %s gives no contributions",
                ig_explainer_name(ask->method));
    }
    bool takes = !ask->method_given || ig_explainer_takes(ask->method, IG_EXPLAINER_BACKGROUND);
    if (!ask->background.ptr && part->codes.baseline.len && takes)
        ask->background = part->codes.baseline;
    return true;
}

/* Of another process: the choice is made there, only names are looked up here. */
static bool ask_elsewhere(struct ig_call *call, struct ig_infer_part *part, bool wait)
{
    struct ig_explain_ask *ask = &part->asked.ask;
    struct ig_str model = ig_str_view(part->servable->model);
    char *digest = ig_arena_zalloc(call->arena, IG_SHA256_HEX);
    if (!digest) {
        ig_fail(&call->err, IG_NO_MEMORY, "no memory for the call");
        return true;
    }
    if (!ig_explaining_find_background(digest, call->app->backgrounds, model, ask->background, wait,
                                       &call->err))
        return false;
    if (call->err.code != IG_OK) call->field = "background";
    ask->background_digest = ig_str_view(digest);
    part->inference.ask = ask;
    return true;
}

static bool choose_part(struct ig_call *call, struct ig_infer_part *part, bool wait)
{
    struct ig_infer *infer = call->state;
    struct ig_explain_ask *ask = &part->asked.ask;
    const struct ig_explain_subject subject = {part->servable->package,
                                               ig_routing_map(infer->routing, part->route.node)};
    if (ig_explain_ask_read(&part->asked, &infer->request, &subject, call->arena, &call->field,
                            &call->err) != IG_OK)
        return true;
    ask->rows_count = part->inference.rows_count;
    if (!find_reasons(call, part, wait)) return false;
    if (call->err.code != IG_OK || ig_explain_ask_is_plain(ask)) return true;
    if (ask->budget_ns) ask->options.deadline_ns = call->started_ns + ask->budget_ns;
    if (part->servable->replicas) return ask_elsewhere(call, part, wait);
    part->inference.options = ask->options;
    part->inference.cache = call->app->explain_cache;
    part->inference.cache_min_ns = call->app->cache_min_ns;
    if (!ig_explaining_choose(&part->choice, part->servable, call->app->backgrounds, ask, wait,
                              &call->err))
        return false;
    if (call->err.code != IG_OK)
        call->field = field_of(&call->err);
    else
        part->inference.choice = &part->choice;
    return true;
}

/* Models that come and go are there until the call ends. False: it has to wait for the pool. */
static bool find_residents(struct ig_call *call, struct ig_infer *infer, bool wait)
{
    for (size_t i = 0; i < infer->parts_count; i++) {
        struct ig_infer_part *part = &infer->parts[i];
        if (!part->servable->residency) continue;
        if (!call->residents)
            call->residents = ig_arena_zalloc(call->arena, infer->parts_count *
                                                               sizeof(const struct ig_servable *));
        if (!call->residents) {
            ig_fail(&call->err, IG_NO_MEMORY, "no memory for the call");
            return true;
        }
        const struct ig_servable *loaded = ig_residency_get(part->servable, wait, &call->err);
        if (!loaded) return call->err.code != IG_OK;
        call->residents[call->residents_count++] = loaded;
        part->servable = loaded;
    }
    return true;
}

/* False: it has to wait for the pool. */
static bool choose(struct ig_call *call, bool wait)
{
    struct ig_infer *infer = call->state;
    if (!find_residents(call, infer, wait)) return false;
    if (!infer->explain || call->err.code != IG_OK) return true;
    enum ig_records_wanted wanted =
        ig_records_wanted(call->app->records, ig_str_view(infer->routing->name), wait);
    infer->recorded = wanted == IG_RECORDS_YES;
    if (!wait && wanted != IG_RECORDS_NO) return false;
    for (size_t i = 0; call->err.code == IG_OK && i < infer->parts_count; i++)
        if (!choose_part(call, &infer->parts[i], wait)) return false;
    return true;
}

static enum ig_code choose_and_run(struct ig_call *call)
{
    choose(call, true);
    return call->err.code == IG_OK ? run(call) : call->err.code;
}

static enum ig_code decode_json(struct ig_call *call, struct ig_infer *infer)
{
    struct ig_json *json = ig_arena_alloc(call->arena, sizeof *json);
    struct ig_predict_source source = {.find = ig_infer_find,
                                       .context = call,
                                       .rows_max = call->app->rows_max,
                                       .kserve = infer->model.len > 0,
                                       .explains = infer->explain};
    if (!json) return ig_fail(&call->err, IG_NO_MEMORY, "no memory for the call");
    if (ig_call_json_reader(call, json) != IG_OK) return call->err.code;
    return ig_predict_request_decode(&infer->request, json, &source, &call->field);
}

static enum ig_code decode(struct ig_call *call)
{
    struct ig_infer *infer = call->state;
    if (infer->decode(call, infer) != IG_OK) return call->err.code;
    if (!infer->too_long) ig_infer_route(call, infer);
    if (call->taken_ns) call->decoded_ns = ig_clock_ns();
    return call->err.code;
}

bool ig_infer_too_long(struct ig_infer *infer, uint64_t bytes)
{
    infer->too_long = !infer->in_pool && bytes > LOOP_BODY_MAX;
    return infer->too_long;
}

/* A heavy model holds as many workers as its deployment may. */
static enum ig_code enter(struct ig_call *call)
{
    const struct ig_infer *infer = call->state;
    call->entered = ig_routing_enter(infer->routing);
    if (call->entered) return IG_OK;
    return ig_fail(&call->err, IG_EXHAUSTED,
                   "model '%s': %u calls are under way, as many as it may have at a time",
                   infer->routing->name, infer->routing->spec.resources.concurrency);
}

static enum ig_code enter_and_run(struct ig_call *call)
{
    if (!call->exchange->pool && call->held->replicas)
        return ig_fail(&call->err, IG_UNAVAILABLE, "model '%s': too many calls wait for a worker",
                       call->held->name);
    return enter(call) == IG_OK ? choose_and_run(call) : call->err.code;
}

/* A deployment with processes of its own, which only the body named, is to hold no worker of the
 * others. */
static enum ig_code decode_and_run(struct ig_call *call)
{
    struct ig_exchange *exchange = call->exchange;
    if (decode(call) != IG_OK) return call->err.code;
    if (find_answers(call, call->state)) return run(call);
    if (!call->held->replicas || exchange->pool) return enter_and_run(call);
    exchange->pool = ig_replicas_pool(call->held->replicas);
    exchange->again = true;
    call->in_pool = enter_and_run;
    return IG_OK;
}

/* For the pool: the server's, or that of the deployment's own processes. */
static void hold(struct ig_call *call, const struct ig_routing *routing)
{
    call->held = ig_routing_ref(routing);
    if (routing && routing->replicas) call->exchange->pool = ig_replicas_pool(routing->replicas);
}

static enum ig_code go_on_in_pool(struct ig_call *call, enum ig_code (*work)(struct ig_call *))
{
    const struct ig_infer *infer = call->state;
    hold(call, infer->routing);
    if (enter(call) == IG_OK) call->in_pool = work;
    return call->err.code;
}

static uint64_t cost_ns(const struct ig_infer *infer)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < infer->parts_count; i++)
        sum += ig_inference_cost_ns(infer->parts[i].servable, &infer->parts[i].inference);
    return sum;
}

enum ig_code ig_infer_start(struct ig_call *call, struct ig_str model, bool explain,
                            enum ig_code (*encode)(struct ig_call *, struct ig_infer *))
{
    struct ig_infer *infer = ig_arena_zalloc(call->arena, sizeof *infer);
    if (!infer) return ig_fail(&call->err, IG_NO_MEMORY, "no memory for the call");
    infer->model = model;
    infer->decode = decode_json;
    infer->encode = encode;
    infer->explain = explain;
    return ig_infer_start_as(call, infer);
}

static enum ig_code decode_in_pool(struct ig_call *call, struct ig_infer *infer)
{
    struct ig_deploy *deploy = call->app->deploy;
    hold(call, infer->model.len ? ig_deploy_acquire(deploy, infer->model)
                                : ig_deploy_acquire_only(deploy));
    infer->in_pool = true;
    call->in_pool = decode_and_run;
    return IG_OK;
}

enum ig_code ig_infer_start_as(struct ig_call *call, struct ig_infer *infer)
{
    size_t body = call->exchange->body.len;
    call->state = infer;
    if (ig_traces_on(call->app->traces)) call->taken_ns = ig_clock_ns();
    if ((infer->decode_bytes > body ? infer->decode_bytes : body) > LOOP_BODY_MAX)
        return decode_in_pool(call, infer);
    if (decode(call) != IG_OK) return call->err.code;
    if (infer->too_long) return decode_in_pool(call, infer);
    if (find_answers(call, infer)) return run(call);
    if (!choose(call, false)) return go_on_in_pool(call, choose_and_run);
    if (call->err.code != IG_OK) return call->err.code;
    if (draws(infer) || cost_ns(infer) > call->app->inline_max_ns) return go_on_in_pool(call, run);
    if (call->may_wait && ig_gather_add(call->app->gather, call, infer, run)) return IG_OK;
    return run(call);
}

static void fill_explanation(struct ig_infer *infer, const struct ig_infer_part *part, size_t row,
                             struct ig_answer *answer)
{
    const struct ig_explanations *explanations = &part->result.explanations;
    const struct ig_explain_choice *choice = part->result.choice;
    size_t each = explanations->values_count * (explanations->players_count + (size_t)1);
    if (explanations->interactions)
        answer->interactions =
            explanations->interactions + row * each * (explanations->players_count + (size_t)1);
    else if (explanations->surrogates)
        answer->surrogate = &explanations->surrogates[row];
    else if (explanations->counterfactuals)
        answer->counterfactual = &explanations->counterfactuals[row];
    else
        answer->contributions = explanations->contributions + row * each;
    answer->values_count = explanations->values_count;
    answer->players_count = explanations->players_count;
    answer->player_of_feature = part->asked.ask.players.of_feature;
    answer->player_names = infer->request.explain.groups.names;
    answer->whole_interactions = part->asked.whole_interactions;
    answer->additivity_error = explanations->notes[row].additivity;
    answer->method = ig_explainer_name(choice ? choice->method : IG_EXPLAINER_TREE_PATH_DEPENDENT);
    if (!choice) return;
    infer->details = (struct ig_answer_details){
        .note = &explanations->notes[row],
        .se = explanations->se ? explanations->se + row * each : NULL,
        .unit = choice->unit,
        .variant = choice->variant,
        .why = choice->why,
        .background_digest = ig_str_view(choice->background),
    };
    if (choice->background[0]) infer->details.background = part->asked.ask.background;
    answer->details = &infer->details;
}

struct ig_answer ig_infer_answer(struct ig_infer *infer, size_t row, uint32_t *order)
{
    const struct ig_infer_part *part = ig_infer_part_of(infer, row);
    const struct ig_inference_result *result = &part->result;
    const struct ig_package *package = part->servable->package;
    if (infer->places) row = infer->places[row].row;
    struct ig_answer answer = {
        .schema = &package->schema,
        .model = package->model,
        .row = part->inference.rows + row * result->features_count,
        .margins = result->margins + row * result->outputs_count,
        .predictions = result->predictions + row * result->predictions_count,
        .top = infer->request.explain.top,
        .order = order,
    };
    if (infer->explain) fill_explanation(infer, part, row, &answer);
    return answer;
}

enum ig_code ig_infer_reasons(struct ig_json_out *out, struct ig_call *call,
                              const struct ig_infer_part *part, const struct ig_answer *answer)
{
    const struct ig_infer *infer = call->state;
    size_t top = infer->request.explain.reasons;
    if (!top || !answer->contributions) return IG_OK;
    return ig_answer_reasons(out, answer, &part->codes, top, call->arena, &call->err);
}

static enum ig_code write_result(struct ig_json_out *out, struct ig_call *call,
                                 const struct ig_infer_part *part, const struct ig_answer *answer)
{
    const struct ig_infer *infer = call->state;
    uint64_t spent_ns = ig_clock_ns() - call->started_ns;
    ig_json_out_object(out);
    ig_answer_prediction(out, answer);
    ig_answer_explanation(out, answer);
    if (ig_infer_reasons(out, call, part, answer) != IG_OK) return call->err.code;
    ig_json_out_key(out, IG_STR("model"));
    ig_infer_write_model(out, part->servable);
    ig_infer_write_route(out, call, part);
    if (infer->recorded) ig_json_out_kv_str(out, "record", ig_str_view(part->record));
    ig_json_out_kv_str(out, "request_id", ig_str_view(call->request_id));
    ig_json_out_kv_i64(out, "duration_us", (int64_t)(spent_ns / 1000));
    ig_json_out_object_end(out);
    return IG_OK;
}

/* {"rows", "cached", "computed"}, of a request that only fills the cache. */
static enum ig_code encode_precomputed(struct ig_call *call, struct ig_infer *infer)
{
    struct ig_json_out out;
    size_t rows = infer->request.rows_count, cached = 0;
    for (size_t i = 0; i < infer->parts_count; i++) cached += infer->parts[i].result.cached;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_i64(&out, "rows", (int64_t)rows);
    ig_json_out_kv_i64(&out, "cached", (int64_t)cached);
    ig_json_out_kv_i64(&out, "computed", (int64_t)(rows - cached));
    ig_json_out_object_end(&out);
    return IG_OK;
}

static enum ig_code encode_explained(struct ig_call *call, struct ig_infer *infer)
{
    struct ig_json_out out;
    if (infer->request.explain.precompute) return encode_precomputed(call, infer);
    uint32_t features = infer->request.schema->features_count;
    uint32_t *order = ig_arena_alloc(call->arena, features * sizeof(uint32_t) + 1);
    if (!order) return ig_fail(&call->err, IG_NO_MEMORY, "no memory for the answer");
    ig_call_json(call, &out);
    if (infer->request.many) {
        ig_json_out_object(&out);
        ig_json_out_key(&out, IG_STR("results"));
        ig_json_out_array(&out);
    }
    for (size_t i = 0; i < infer->request.rows_count; i++) {
        struct ig_answer answer = ig_infer_answer(infer, i, order);
        if (write_result(&out, call, ig_infer_part_of(infer, i), &answer) != IG_OK)
            return call->err.code;
    }
    if (infer->request.many) {
        ig_json_out_array_end(&out);
        ig_json_out_object_end(&out);
    }
    return IG_OK;
}

enum ig_code ig_infer_explained(struct ig_call *call)
{
    return ig_infer_start(call, IG_STR(""), true, encode_explained);
}
