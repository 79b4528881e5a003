/* SPDX-License-Identifier: Apache-2.0 */
#include "services/deploy/rollout_plan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static enum ig_code read_steps(struct ig_rollout_plan *plan, struct ig_json *json)
{
    double percent;
    uint32_t before = 0;
    plan->steps_count = 0;
    if (!ig_json_expect(json, IG_JSON_ARRAY, "rollout.steps")) return json->err->code;
    while (ig_json_element(json)) {
        if (plan->steps_count == IG_ROLLOUT_STEPS_MAX)
            return ig_fail(json->err, IG_INVALID, "rollout.steps: more than %d",
                           IG_ROLLOUT_STEPS_MAX);
        if (!ig_json_f64(json, &percent, "rollout.steps")) return json->err->code;
        double points = percent * 100;
        if (!(points > before) || !(points <= IG_ROUTING_WHOLE) ||
            fabs(points - round(points)) > 1e-6)
            return ig_fail(json->err, IG_INVALID,
                           "rollout.steps: %g, expected rising percentages in steps of 0.01",
                           percent);
        before = plan->steps[plan->steps_count++] = (uint32_t)lround(points);
    }
    if (json->err->code != IG_OK) return json->err->code;
    if (before != IG_ROUTING_WHOLE)
        return ig_fail(json->err, IG_INVALID, "rollout.steps: the last one is to be 100");
    return IG_OK;
}

/* A member with a number in a range. */
struct number {
    const char *name;
    double *out;
    double least, most;
};

static enum ig_code read_number(struct ig_json *json, const struct number *numbers, size_t count,
                                const char *path)
{
    struct ig_str key = json->text;
    char name[96];
    for (size_t i = 0; i < count; i++) {
        if (!ig_str_is(key, numbers[i].name)) continue;
        snprintf(name, sizeof name, "%s.%s", path, numbers[i].name);
        if (!ig_json_f64(json, numbers[i].out, name)) return json->err->code;
        if (*numbers[i].out >= numbers[i].least && *numbers[i].out <= numbers[i].most) return IG_OK;
        return ig_fail(json->err, IG_INVALID, "%s: %g, expected %g to %g", name, *numbers[i].out,
                       numbers[i].least, numbers[i].most);
    }
    return ig_fail(json->err, IG_INVALID, "%s: unknown member '%.*s'", path,
                   (int)(key.len > 64 ? 64 : key.len), key.ptr);
}

static enum ig_code read_guard(struct ig_rollout_plan *plan, struct ig_json *json)
{
    const struct number errors[] = {{"max_increase", &plan->errors_max_increase, 0, 1}};
    const struct number latency[] = {{"quantile", &plan->latency_quantile, 0.01, 0.9999},
                                     {"max_ratio", &plan->latency_max_ratio, 1, 1000}};
    const struct number drift[] = {{"max_psi", &plan->drift_max_psi, 0, 100}};
    const struct number metric[] = {{"max_drop", &plan->metric_max_drop, 0, 1e12}};
    const struct {
        const char *name, *path;
        const struct number *numbers;
        size_t count;
        bool *guards;
    } GUARDS[] = {{"errors", "rollout.guardrails.errors", errors, 1, &plan->guards_errors},
                  {"latency", "rollout.guardrails.latency", latency, 2, &plan->guards_latency},
                  {"score_drift", "rollout.guardrails.score_drift", drift, 1, &plan->guards_drift},
                  {"metric", "rollout.guardrails.metric", metric, 1, &plan->guards_metric}};
    size_t i = 0;
    struct ig_str key = json->text, text;
    while (i < 4 && !ig_str_is(key, GUARDS[i].name)) i++;
    if (i == 4)
        return ig_fail(json->err, IG_INVALID,
                       "rollout.guardrails: unknown '%.*s'; known are errors, latency, "
                       "score_drift, metric",
                       (int)(key.len > 64 ? 64 : key.len), key.ptr);
    *GUARDS[i].guards = true;
    if (!ig_json_expect(json, IG_JSON_OBJECT, GUARDS[i].path)) return json->err->code;
    while (ig_json_member(json)) {
        if (i == 3 && ig_str_is(json->text, "name")) {
            if (!ig_json_string(json, &text, "rollout.guardrails.metric.name") ||
                ig_name_check(text, "rollout.guardrails.metric", json->err) != IG_OK)
                return json->err->code;
            snprintf(plan->metric, sizeof plan->metric, "%.*s", IG_STR_ARGS(text));
        } else if (read_number(json, GUARDS[i].numbers, GUARDS[i].count, GUARDS[i].path) != IG_OK) {
            return json->err->code;
        }
    }
    if (json->err->code == IG_OK && i == 3 && !plan->metric[0])
        ig_fail(json->err, IG_INVALID, "rollout.guardrails.metric.name: missing");
    return json->err->code;
}

static enum ig_code read_member(struct ig_rollout_plan *plan, struct ig_json *json)
{
    double seconds = (double)plan->step_seconds, answers = (double)plan->min_answers;
    const struct number numbers[] = {{"step_seconds", &seconds, 0, 30 * 86400},
                                     {"min_answers", &answers, IG_SEQUENTIAL_MIN, 1e9},
                                     {"alpha", &plan->alpha, 1e-6, 0.5}};
    if (ig_str_is(json->text, "steps")) return read_steps(plan, json);
    if (ig_str_is(json->text, "guardrails")) {
        if (!ig_json_expect(json, IG_JSON_OBJECT, "rollout.guardrails")) return json->err->code;
        while (ig_json_member(json))
            if (read_guard(plan, json) != IG_OK) return json->err->code;
        return json->err->code;
    }
    read_number(json, numbers, 3, "rollout");
    plan->step_seconds = (int64_t)seconds;
    plan->min_answers = (uint64_t)answers;
    return json->err->code;
}

enum ig_code ig_rollout_plan_read(struct ig_rollout_plan *out, struct ig_json *json)
{
    struct ig_rollout_plan plan = {.steps = {100, 500, 2500, IG_ROUTING_WHOLE},
                                   .steps_count = 4,
                                   .step_seconds = 600,
                                   .min_answers = 500,
                                   .alpha = 0.05,
                                   .errors_max_increase = 0.01,
                                   .latency_quantile = 0.99,
                                   .latency_max_ratio = 1.5,
                                   .drift_max_psi = 0.25};
    if (!ig_json_expect(json, IG_JSON_OBJECT, "rollout")) return json->err->code;
    while (ig_json_member(json))
        if (read_member(&plan, json) != IG_OK) return json->err->code;
    if (json->err->code == IG_OK) *out = plan;
    return json->err->code;
}

static void open(struct ig_json_out *out, const char *key)
{
    ig_json_out_key(out, ig_str_view(key));
    ig_json_out_object(out);
}

void ig_rollout_plan_write(struct ig_json_out *out, const struct ig_rollout_plan *plan)
{
    ig_json_out_object(out);
    ig_json_out_key(out, IG_STR("steps"));
    ig_json_out_array(out);
    for (uint32_t i = 0; i < plan->steps_count; i++) ig_json_out_f64(out, plan->steps[i] / 100.0);
    ig_json_out_array_end(out);
    ig_json_out_kv_i64(out, "step_seconds", plan->step_seconds);
    ig_json_out_kv_i64(out, "min_answers", (int64_t)plan->min_answers);
    ig_json_out_kv_f64(out, "alpha", plan->alpha);
    open(out, "guardrails");
    if (plan->guards_errors) {
        open(out, "errors");
        ig_json_out_kv_f64(out, "max_increase", plan->errors_max_increase);
        ig_json_out_object_end(out);
    }
    if (plan->guards_latency) {
        open(out, "latency");
        ig_json_out_kv_f64(out, "quantile", plan->latency_quantile);
        ig_json_out_kv_f64(out, "max_ratio", plan->latency_max_ratio);
        ig_json_out_object_end(out);
    }
    if (plan->guards_drift) {
        open(out, "score_drift");
        ig_json_out_kv_f64(out, "max_psi", plan->drift_max_psi);
        ig_json_out_object_end(out);
    }
    if (plan->guards_metric) {
        open(out, "metric");
        ig_json_out_kv_str(out, "name", ig_str_view(plan->metric));
        ig_json_out_kv_f64(out, "max_drop", plan->metric_max_drop);
        ig_json_out_object_end(out);
    }
    ig_json_out_object_end(out);
    ig_json_out_object_end(out);
}

/* ---- judging ---- */

static bool breaks_errors(char reason[256], const struct ig_rollout_plan *plan,
                          const struct ig_learned_arm *stable,
                          const struct ig_learned_arm *candidate)
{
    struct ig_moments a = ig_moments_of_counts(stable->errors, stable->answers);
    struct ig_moments b = ig_moments_of_counts(candidate->errors, candidate->answers);
    const struct ig_sequential test = ig_sequential_difference(&a, &b, plan->alpha);
    if (!(test.low > plan->errors_max_increase)) return false;
    snprintf(reason, 256,
             "errors: the candidate fails more by %.4g (at least %.4g), at most %.4g is allowed",
             test.estimate, test.low, plan->errors_max_increase);
    return true;
}

/* How many of the candidate's answers are slower than the stable side's quantile allows. */
static bool breaks_latency(char reason[256], const struct ig_rollout_plan *plan,
                           const struct ig_learned_arm *stable,
                           const struct ig_learned_arm *candidate)
{
    if (stable->latencies.count < plan->min_answers) return false;
    double limit =
        plan->latency_max_ratio * ig_sketch_quantile(&stable->latencies, plan->latency_quantile);
    struct ig_moments slow = ig_moments_of_counts(ig_sketch_above(&candidate->latencies, limit),
                                                  candidate->latencies.count);
    const struct ig_sequential test = ig_sequential_mean(&slow, plan->alpha);
    if (!(test.low > 1 - plan->latency_quantile)) return false;
    snprintf(reason, 256,
             "latency: %.4g of the candidate's answers take longer than %.4g ms, at most %.4g is "
             "allowed",
             test.estimate, limit * 1e3, 1 - plan->latency_quantile);
    return true;
}

static bool breaks_drift(char reason[256], const struct ig_rollout_plan *plan,
                         const struct ig_learned_arm *stable,
                         const struct ig_learned_arm *candidate)
{
    if (stable->scores.count < plan->min_answers || candidate->scores.count < plan->min_answers)
        return false;
    double psi = ig_sketch_psi(&stable->scores, &candidate->scores);
    if (!(psi > plan->drift_max_psi)) return false;
    snprintf(reason, 256, "score_drift: PSI %.4g, at most %.4g is allowed", psi,
             plan->drift_max_psi);
    return true;
}

static bool breaks_metric(char reason[256], const struct ig_rollout_plan *plan,
                          const struct ig_learned_arm *stable,
                          const struct ig_learned_arm *candidate)
{
    const struct ig_learned_metric *a = ig_learned_metric(stable, ig_str_view(plan->metric));
    const struct ig_learned_metric *b = ig_learned_metric(candidate, ig_str_view(plan->metric));
    if (!a || !b) return false;
    const struct ig_sequential test =
        ig_sequential_difference(&a->rewards, &b->rewards, plan->alpha);
    if (!(test.high < -plan->metric_max_drop)) return false;
    snprintf(reason, 256, "metric %.64s: it drops by %.4g (at least %.4g), at most %.4g is allowed",
             plan->metric, -test.estimate, -test.high, plan->metric_max_drop);
    return true;
}

enum ig_rollout_verdict ig_rollout_judge(char reason[256], const struct ig_rollout_plan *plan,
                                         const struct ig_learned_arm *stable,
                                         const struct ig_learned_arm *candidate,
                                         int64_t seconds_in_step)
{
    if ((plan->guards_errors && breaks_errors(reason, plan, stable, candidate)) ||
        (plan->guards_latency && breaks_latency(reason, plan, stable, candidate)) ||
        (plan->guards_drift && breaks_drift(reason, plan, stable, candidate)) ||
        (plan->guards_metric && breaks_metric(reason, plan, stable, candidate)))
        return IG_ROLLOUT_BACK;
    if (candidate->answers < plan->min_answers || stable->answers < plan->min_answers) {
        snprintf(reason, 256,
                 "%llu answers of the candidate and %llu of the stable side, %llu each",
                 (unsigned long long)candidate->answers, (unsigned long long)stable->answers,
                 (unsigned long long)plan->min_answers);
        return IG_ROLLOUT_WAIT;
    }
    if (seconds_in_step < plan->step_seconds) {
        snprintf(reason, 256, "%lld more seconds",
                 (long long)(plan->step_seconds - seconds_in_step));
        return IG_ROLLOUT_WAIT;
    }
    snprintf(reason, 256, "no guardrail is broken after %llu answers of the candidate",
             (unsigned long long)candidate->answers);
    return IG_ROLLOUT_ADVANCE;
}
