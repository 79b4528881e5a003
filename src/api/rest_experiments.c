/* SPDX-License-Identifier: Apache-2.0 */
/* GET /api/v1/deployments/{name}/experiments: what the decision log says of the arms and mirrors of
 * the graph that serves. Every interval holds at all times together, so it may be read as often as
 * one likes. */
#include "api/rest.h"
#include "api/route.h"

#include <math.h>
#include <stdlib.h>

static const double ALPHA_DEFAULT = 0.05, SHARES_ALPHA = 0.001;

struct report {
    struct ig_call *call;
    const struct ig_routing *routing;
    struct ig_learned_arm *arms; /* of the node at hand, by edge */
    double alpha;
};

static bool splits(enum ig_routing_kind kind)
{
    return kind == IG_ROUTING_SPLIT || kind == IG_ROUTING_CANARY || kind == IG_ROUTING_BANDIT;
}

/* A number that JSON can hold, else null. */
static void kv_number(struct ig_json_out *out, const char *key, double value)
{
    if (isfinite(value)) {
        ig_json_out_kv_f64(out, key, value);
        return;
    }
    ig_json_out_key(out, ig_str_view(key));
    ig_json_out_null(out);
}

static void write_quantiles(struct ig_json_out *out, const char *key,
                            const struct ig_sketch *sketch, double scale)
{
    static const struct {
        const char *name;
        double q;
    } QUANTILES[] = {{"p10", 0.1}, {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}};
    ig_json_out_key(out, ig_str_view(key));
    ig_json_out_object(out);
    kv_number(out, "mean", sketch->count ? scale * sketch->sum / (double)sketch->count : NAN);
    for (size_t i = 0; i < sizeof QUANTILES / sizeof *QUANTILES; i++)
        kv_number(out, QUANTILES[i].name, scale * ig_sketch_quantile(sketch, QUANTILES[i].q));
    ig_json_out_object_end(out);
}

static void write_arm(struct ig_json_out *out, const struct report *report, uint32_t index,
                      uint32_t edge)
{
    const struct ig_routing_node *node = &report->routing->spec.nodes[index];
    const struct ig_routing_edge *taken = &report->routing->spec.edges[node->first_edge + edge];
    const struct ig_learned_arm *arm = &report->arms[edge];
    double shares[IG_ROUTING_ARMS_MAX];
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "arm", taken->name);
    ig_json_out_kv_str(out, "node", report->routing->spec.nodes[taken->to].name);
    if (node->kind == IG_ROUTING_BANDIT) {
        ig_routing_get_shares(report->routing, index, shares);
        ig_json_out_kv_f64(out, "share", shares[edge]);
    } else {
        ig_json_out_kv_f64(out, "share", (double)taken->basis_points / IG_ROUTING_WHOLE);
    }
    ig_json_out_kv_i64(out, "answers", (int64_t)arm->answers);
    ig_json_out_kv_i64(out, "rows", (int64_t)arm->rows);
    ig_json_out_kv_i64(out, "errors", (int64_t)arm->errors);
    ig_rest_kv_time(out, "first_at", arm->first_ms);
    ig_rest_kv_time(out, "last_at", arm->last_ms);
    write_quantiles(out, "latency_ms", &arm->latencies, 1e3);
    write_quantiles(out, "score", &arm->scores, 1);
    ig_json_out_key(out, IG_STR("metrics"));
    ig_json_out_object(out);
    for (size_t i = 0; i < arm->metrics_count; i++) {
        const struct ig_learned_metric *metric = &arm->metrics[i];
        ig_json_out_key(out, ig_str_view(metric->name));
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "kind",
                           metric->conversions ? IG_STR("conversion") : IG_STR("value"));
        ig_json_out_kv_i64(out, "rewards", (int64_t)metric->rewards.count);
        ig_json_out_kv_f64(out, "mean", metric->rewards.mean);
        ig_json_out_object_end(out);
    }
    ig_json_out_object_end(out);
    ig_json_out_object_end(out);
}

static void write_comparison(struct ig_json_out *out, const struct report *report,
                             struct ig_str metric, const struct ig_moments *control,
                             const struct ig_moments *arm)
{
    const struct ig_sequential test = ig_sequential_difference(control, arm, report->alpha);
    ig_json_out_key(out, metric);
    ig_json_out_object(out);
    ig_json_out_kv_f64(out, "difference", test.estimate);
    kv_number(out, "low", test.low);
    kv_number(out, "high", test.high);
    ig_json_out_kv_f64(out, "p_value", test.p_value);
    ig_json_out_kv_bool(out, "decided", test.p_value <= report->alpha);
    ig_json_out_object_end(out);
}

static struct ig_moments errors_of(const struct ig_learned_arm *arm)
{
    return ig_moments_of_counts(arm->errors, arm->answers);
}

/* Every arm against the first. */
static void write_comparisons(struct ig_json_out *out, const struct report *report,
                              const struct ig_routing_node *node)
{
    const struct ig_learned_arm *control = &report->arms[0];
    const struct ig_routing_edge *edges = &report->routing->spec.edges[node->first_edge];
    struct ig_moments control_errors = errors_of(control);
    ig_json_out_key(out, IG_STR("comparisons"));
    ig_json_out_array(out);
    for (uint32_t i = 1; i < node->edges_count; i++) {
        const struct ig_learned_arm *arm = &report->arms[i];
        struct ig_moments errors = errors_of(arm);
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "arm", edges[i].name);
        ig_json_out_kv_str(out, "against", edges[0].name);
        write_comparison(out, report, IG_STR("errors"), &control_errors, &errors);
        write_comparison(out, report, IG_STR("latency_s"), &control->latency, &arm->latency);
        kv_number(out, "score_drift_psi", ig_sketch_psi(&control->scores, &arm->scores));
        ig_json_out_key(out, IG_STR("metrics"));
        ig_json_out_object(out);
        for (size_t m = 0; m < control->metrics_count; m++) {
            struct ig_str name = ig_str_view(control->metrics[m].name);
            const struct ig_learned_metric *own = ig_learned_metric(arm, name);
            if (own)
                write_comparison(out, report, name, &control->metrics[m].rewards, &own->rewards);
        }
        ig_json_out_object_end(out);
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
}

static enum ig_code write_node(struct ig_json_out *out, struct report *report, uint32_t index)
{
    struct ig_call *call = report->call;
    const struct ig_routing_node *node = &report->routing->spec.nodes[index];
    uint64_t units;
    double p = ig_learning_shares_p(call->app->learning, report->routing, index, &units);
    report->arms = ig_arena_array(call->arena, node->edges_count, sizeof *report->arms);
    if (!report->arms) return ig_fail(&call->err, IG_NO_MEMORY, "no memory for the report");
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "node", node->name);
    ig_json_out_kv_str(out, "kind", ig_str_view(ig_routing_kind_name(node->kind)));
    ig_json_out_kv_i64(out, "units", (int64_t)units);
    ig_json_out_kv_f64(out, "shares_p_value", p);
    ig_json_out_kv_bool(out, "sample_ratio_mismatch", p < SHARES_ALPHA);
    ig_json_out_key(out, IG_STR("arms"));
    ig_json_out_array(out);
    for (uint32_t i = 0; i < node->edges_count; i++) {
        ig_learning_arm(&report->arms[i], call->app->learning, report->routing, index, i);
        write_arm(out, report, index, i);
    }
    ig_json_out_array_end(out);
    write_comparisons(out, report, node);
    ig_json_out_object_end(out);
    return IG_OK;
}

static enum ig_code write_mirror(struct ig_json_out *out, const struct report *report,
                                 uint32_t index, uint32_t edge)
{
    struct ig_call *call = report->call;
    const struct ig_routing_node *node = &report->routing->spec.nodes[index];
    const struct ig_routing_edge *to = &report->routing->spec.edges[node->first_edge + edge];
    struct ig_learned_mirror *mirror = ig_arena_zalloc(call->arena, sizeof *mirror);
    if (!mirror) return ig_fail(&call->err, IG_NO_MEMORY, "no memory for the report");
    ig_learning_mirror(mirror, call->app->learning, report->routing, index, edge);
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "node", node->name);
    ig_json_out_kv_str(out, "mirror", to->name);
    ig_json_out_kv_f64(out, "share", (double)to->basis_points / IG_ROUTING_WHOLE);
    ig_json_out_kv_i64(out, "answers", (int64_t)mirror->answers);
    ig_json_out_kv_i64(out, "rows", (int64_t)mirror->rows);
    ig_json_out_kv_i64(out, "failures", (int64_t)mirror->failures);
    ig_json_out_kv_i64(out, "decision_flips", (int64_t)mirror->flips);
    write_quantiles(out, "score_difference", &mirror->differences, 1);
    write_quantiles(out, "latency_ms", &mirror->latencies, 1e3);
    write_quantiles(out, "primary_latency_ms", &mirror->primary_latencies, 1e3);
    ig_json_out_object_end(out);
    return IG_OK;
}

static enum ig_code write_report(struct report *report)
{
    struct ig_call *call = report->call;
    const struct ig_routing_spec *spec = &report->routing->spec;
    struct ig_json_out out;
    ig_decision_log_flush(call->app->decisions);
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "deployment", ig_str_view(report->routing->name));
    ig_json_out_kv_i64(&out, "revision", report->routing->revision);
    ig_json_out_kv_f64(&out, "alpha", report->alpha);
    ig_json_out_key(&out, IG_STR("experiments"));
    ig_json_out_array(&out);
    for (uint32_t i = 0; i < spec->nodes_count; i++)
        if (splits(spec->nodes[i].kind) && write_node(&out, report, i) != IG_OK)
            return call->err.code;
    ig_json_out_array_end(&out);
    ig_json_out_key(&out, IG_STR("shadows"));
    ig_json_out_array(&out);
    for (uint32_t i = 0; i < spec->nodes_count; i++)
        for (uint32_t e = 1;
             spec->nodes[i].kind == IG_ROUTING_SHADOW && e < spec->nodes[i].edges_count; e++)
            if (write_mirror(&out, report, i, e) != IG_OK) return call->err.code;
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_rest_experiments_get(struct ig_call *call)
{
    struct report report = {.call = call, .alpha = ALPHA_DEFAULT};
    struct ig_str alpha;
    struct ig_deployment deployment;
    if (ig_call_query_str(&alpha, call, "alpha") != IG_OK) return call->err.code;
    if (alpha.len &&
        (!ig_str_to_f64(alpha, &report.alpha) || !(report.alpha > 0) || !(report.alpha < 0.5))) {
        call->field = "alpha";
        return ig_fail(&call->err, IG_INVALID, "alpha: '%.*s', expected more than 0 and below 0.5",
                       (int)(alpha.len > 32 ? 32 : alpha.len), alpha.ptr);
    }
    report.routing = ig_deploy_get_routing(call->app->deploy, call->params[0]);
    if (!report.routing) {
        if (ig_deploy_get(&deployment, call->app->deploy, call->params[0], call->arena,
                          &call->err) == IG_OK)
            ig_fail(&call->err, IG_CONFLICT, "deployment '%.*s' does not serve",
                    IG_STR_ARGS(deployment.name));
        return call->err.code;
    }
    write_report(&report);
    ig_routing_unref(report.routing);
    return call->err.code;
}
