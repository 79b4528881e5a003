/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's search routes: the search gives ids in their order, each is then read and written, so
 * that a page holds one run in memory besides its text. */
#include "api/mlflow_access.h"
#include "api/mlflow_evaluations.h"
#include "api/mlflow_issues.h"
#include "api/mlflow_logged.h"
#include "api/mlflow_models.h"
#include "api/mlflow_request.h"
#include "api/mlflow_search_request.h"
#include "api/mlflow_traces.h"
#include "api/mlflow_tracking.h"
#include "api/route.h"
#include "services/tracking/run_texts.h"

enum { ITEM_BYTES_MAX = 256 << 20 }; /* of one run with its datasets */

static enum ig_code leave_readable(struct ig_tracking_search *search, struct ig_call *call)
{
    size_t count = search->experiments_count;
    int64_t *ids = ig_arena_array(call->arena, count + 1, sizeof *ids);
    if (!search->viewer.user || !count) return IG_OK;
    if (!ids) return ig_fail(&call->err, IG_NO_MEMORY, "experiments of a search");
    memcpy(ids, search->experiments, count * sizeof *ids);
    if (ig_mlflow_readable(ids, &count, call) != IG_OK) return call->err.code;
    search->experiments = ids;
    search->experiments_count = count;
    search->nowhere = !count;
    return IG_OK;
}

static enum ig_code search(struct ig_tracking_found *out, struct ig_call *call,
                           enum ig_tracking_kind kind)
{
    const struct ig_exchange *exchange = call->exchange;
    struct ig_tracking_search search = {0};
    enum ig_code code;
    if (ig_mlflow_asks_by_query(call))
        code = ig_mlflow_search_decode_query(&search, kind, exchange->request.query, call->arena,
                                             &call->err);
    else if (ig_mlflow_expect_json(call) == IG_OK)
        code = ig_mlflow_search_decode(&search, kind, exchange->body, call->arena, &call->err);
    else
        code = call->err.code;
    if (code != IG_OK) return code;
    if (kind == IG_TRACKING_LOGGED && !search.experiments_count)
        return ig_fail(&call->err, IG_INVALID,
                       "Missing value for required parameter 'experiment_ids'.");
    if (kind == IG_TRACKING_TRACES && !search.experiments_count)
        return ig_fail(&call->err, IG_INVALID, "Missing value for required parameter 'locations'.");
    search.viewer = ig_mlflow_viewer(call);
    if (leave_readable(&search, call) != IG_OK) return call->err.code;
    ig_tracking_search(out, call->app->db, &search, call->arena, &call->err);
    out->traces_counted = search.traces_counted;
    return call->err.code;
}

static void write_experiment(struct ig_json_out *out, struct ig_call *call, struct ig_str id,
                             struct ig_arena *arena)
{
    struct ig_tracking_experiment experiment;
    int64_t number = 0;
    IG_ASSERT(ig_str_to_i64(id, &number));
    if (ig_tracking_experiment_get(&experiment, call->app->tracking, number, arena, &call->err) ==
        IG_OK)
        ig_mlflow_write_experiment(out, &experiment);
}

/* What was deleted since the search found it is left out. */
static void pass_over_gone(struct ig_call *call)
{
    if (call->err.code == IG_NOT_FOUND) ig_err_clear(&call->err);
}

static void write_model(struct ig_json_out *out, struct ig_call *call, struct ig_str id,
                        struct ig_arena *arena)
{
    struct ig_registered_model model;
    int64_t number = 0;
    IG_ASSERT(ig_str_to_i64(id, &number));
    if (ig_registered_get_by_id(&model, call->app->db, number, arena, &call->err) == IG_OK)
        ig_mlflow_write_model(out, &model);
    else
        pass_over_gone(call);
}

static void write_version(struct ig_json_out *out, struct ig_call *call, struct ig_str id,
                          struct ig_arena *arena)
{
    struct ig_registered_version version;
    int64_t number = 0;
    IG_ASSERT(ig_str_to_i64(id, &number));
    if (ig_registered_version_get_by_id(&version, call->app->db, number, arena, &call->err) ==
        IG_OK)
        ig_mlflow_write_version(out, &version);
    else
        pass_over_gone(call);
}

static void write_logged(struct ig_json_out *out, struct ig_call *call, struct ig_str id,
                         struct ig_arena *arena)
{
    struct ig_logged_model model;
    if (ig_logged_get(&model, call->app->db, id, false, arena, &call->err) == IG_OK)
        ig_mlflow_write_logged(out, &model);
    else
        pass_over_gone(call);
}

static void write_trace(struct ig_json_out *out, struct ig_call *call, struct ig_str id,
                        struct ig_arena *arena)
{
    struct ig_tracking_trace trace;
    if (ig_tracking_trace_get(&trace, call->app->db, id, arena, &call->err) == IG_OK)
        ig_mlflow_write_trace(out, &trace);
    else
        pass_over_gone(call);
}

static void write_trace_v2(struct ig_json_out *out, struct ig_call *call, struct ig_str id,
                           struct ig_arena *arena)
{
    struct ig_tracking_trace trace;
    if (ig_tracking_trace_get(&trace, call->app->db, id, arena, &call->err) == IG_OK)
        ig_mlflow_write_trace_v2(out, &trace);
    else
        pass_over_gone(call);
}

static void write_evaluation(struct ig_json_out *out, struct ig_call *call, struct ig_str id,
                             struct ig_arena *arena)
{
    struct ig_evaluation evaluation;
    if (ig_evaluation_get(&evaluation, call->app->db, id, arena, &call->err) == IG_OK)
        ig_mlflow_write_evaluation(out, &evaluation);
    else
        pass_over_gone(call);
}

static void write_one_issue(struct ig_json_out *out, struct ig_call *call, struct ig_str id,
                            struct ig_arena *arena, bool counted)
{
    struct ig_issue issue;
    if (ig_issue_get(&issue, call->app->db, id, arena, &call->err) == IG_OK)
        ig_mlflow_write_issue(out, &issue, counted);
    else
        pass_over_gone(call);
}

static void write_issue(struct ig_json_out *out, struct ig_call *call, struct ig_str id,
                        struct ig_arena *arena)
{
    write_one_issue(out, call, id, arena, false);
}

static void write_counted_issue(struct ig_json_out *out, struct ig_call *call, struct ig_str id,
                                struct ig_arena *arena)
{
    write_one_issue(out, call, id, arena, true);
}

typedef void write_one(struct ig_json_out *out, struct ig_call *call, struct ig_str id,
                       struct ig_arena *arena);

static bool is_long(const struct ig_json_out *out)
{
    return out->buf->len > out->buf->max_bytes / 2;
}

static void write_run(struct ig_json_out *out, struct ig_tracking *tracking,
                      const struct ig_run_text_key *key, const struct ig_tracking_run *run)
{
    size_t before = out->buf->len;
    ig_mlflow_write_run(out, run);
    struct ig_str text = {out->buf->ptr + before, out->buf->len - before};
    if (text.len && *text.ptr == ',') text = (struct ig_str){text.ptr + 1, text.len - 1};
    if (!out->buf->overflowed) ig_run_text_keep(tracking, key, text);
}

/* The first run, if its text is kept; else all up to the next one whose text is, many at a time
 * unless that is more than the arena holds. Returns how many were passed. */
static size_t write_runs(struct ig_json_out *out, struct ig_call *call,
                         const struct ig_tracking_found *found, size_t at, struct ig_arena *arena)
{
    struct ig_tracking *tracking = call->app->tracking;
    struct ig_run_text_key keys[IG_TRACKING_RUNS_AT_ONCE];
    struct ig_tracking_run runs[IG_TRACKING_RUNS_AT_ONCE];
    size_t count = 0;
    while (count < IG_TRACKING_RUNS_AT_ONCE && at + count < found->count) {
        struct ig_str text =
            ig_run_text_find(&keys[count], tracking, found->ids[at + count], arena);
        if (text.ptr && !count) ig_json_out_raw(out, text);
        if (text.ptr) break;
        count++;
    }
    if (!count) return 1;
    ig_tracking_runs_get(runs, tracking, found->ids + at, count, arena, &call->err);
    if (call->err.code == IG_NO_MEMORY && count > 1) {
        ig_err_clear(&call->err);
        ig_arena_reset(arena);
        count = 1;
        ig_tracking_runs_get(runs, tracking, found->ids + at, 1, arena, &call->err);
    }
    for (size_t i = 0; call->err.code == IG_OK && i < count; i++) {
        if (i && is_long(out)) return i;
        if (runs[i].id.len) write_run(out, tracking, &keys[i], &runs[i]);
    }
    return count;
}

/* Empty lists and tokens are left out, as protobuf's JSON does. A reply that grows near to what the
 * server sends at once ends its page early. `write` NULL: of runs. */
static enum ig_code reply(struct ig_call *call, const char *name, struct ig_tracking_found *found,
                          write_one *write)
{
    struct ig_arena arena;
    struct ig_json_out out;
    ig_arena_init(&arena, 1 << 16, ITEM_BYTES_MAX);
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    if (found->count) {
        ig_json_out_key(&out, ig_str_view(name));
        ig_json_out_array(&out);
        for (size_t i = 0; i < found->count && call->err.code == IG_OK;) {
            if (i && is_long(&out)) ig_tracking_found_cut(found, i, call->arena, &call->err);
            if (i == found->count) break;
            ig_arena_reset(&arena);
            if (write)
                write(&out, call, found->ids[i++], &arena);
            else
                i += write_runs(&out, call, found, i, &arena);
        }
        ig_json_out_array_end(&out);
    }
    bool issues = write == write_issue || write == write_counted_issue;
    if (found->token.len || issues) /* of issues MLflow always tells it */
        ig_json_out_kv_str(&out, "next_page_token", found->token);
    ig_json_out_object_end(&out);
    ig_arena_deinit(&arena);
    if (out.buf->overflowed && call->err.code == IG_OK)
        ig_fail(&call->err, IG_TOO_LARGE, "%s: one of them is larger than a reply may be", name);
    return call->err.code;
}

enum ig_code ig_mlflow_runs_search(struct ig_call *call)
{
    struct ig_tracking_found found;
    if (search(&found, call, IG_TRACKING_RUNS) != IG_OK) return call->err.code;
    return reply(call, "runs", &found, NULL);
}

enum ig_code ig_mlflow_experiments_search(struct ig_call *call)
{
    struct ig_tracking_found found;
    if (search(&found, call, IG_TRACKING_EXPERIMENTS) != IG_OK) return call->err.code;
    return reply(call, "experiments", &found, write_experiment);
}

enum ig_code ig_mlflow_models_search(struct ig_call *call)
{
    struct ig_tracking_found found;
    if (search(&found, call, IG_TRACKING_MODELS) != IG_OK) return call->err.code;
    return reply(call, "registered_models", &found, write_model);
}

enum ig_code ig_mlflow_versions_search(struct ig_call *call)
{
    struct ig_tracking_found found;
    if (search(&found, call, IG_TRACKING_VERSIONS) != IG_OK) return call->err.code;
    return reply(call, "model_versions", &found, write_version);
}

enum ig_code ig_mlflow_logged_search(struct ig_call *call)
{
    struct ig_tracking_found found;
    if (search(&found, call, IG_TRACKING_LOGGED) != IG_OK) return call->err.code;
    return reply(call, "models", &found, write_logged);
}

enum ig_code ig_mlflow_traces_search(struct ig_call *call)
{
    struct ig_tracking_found found;
    if (search(&found, call, IG_TRACKING_TRACES) != IG_OK) return call->err.code;
    return reply(call, "traces", &found, write_trace);
}

enum ig_code ig_mlflow_traces_search_v2(struct ig_call *call)
{
    struct ig_tracking_found found;
    if (search(&found, call, IG_TRACKING_TRACES) != IG_OK) return call->err.code;
    return reply(call, "traces", &found, write_trace_v2);
}

enum ig_code ig_mlflow_evaluations_search(struct ig_call *call)
{
    struct ig_tracking_found found;
    if (search(&found, call, IG_TRACKING_EVALUATIONS) != IG_OK) return call->err.code;
    return reply(call, "datasets", &found, write_evaluation);
}

enum ig_code ig_mlflow_issues_search(struct ig_call *call)
{
    struct ig_tracking_found found;
    if (search(&found, call, IG_TRACKING_ISSUES) != IG_OK) return call->err.code;
    return reply(call, "issues", &found, found.traces_counted ? write_counted_issue : write_issue);
}
