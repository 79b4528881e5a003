/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's issues. */
#include "api/mlflow_issues.h"

#include "api/mlflow_request.h"
#include "api/route.h"

#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void write_texts(struct ig_json_out *out, const char *name, struct ig_issue_texts texts)
{
    if (!texts.count) return;
    ig_json_out_key(out, ig_str_view(name));
    ig_json_out_array(out);
    for (size_t i = 0; i < texts.count; i++) ig_json_out_str(out, texts.items[i]);
    ig_json_out_array_end(out);
}

void ig_mlflow_write_issue(struct ig_json_out *out, const struct ig_issue *issue, bool counted)
{
    char experiment[24];
    snprintf(experiment, sizeof experiment, "%lld", (long long)issue->experiment);
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "issue_id", issue->id);
    ig_json_out_kv_str(out, "experiment_id", ig_str_view(experiment));
    ig_json_out_kv_str(out, "name", issue->name);
    ig_json_out_kv_str(out, "description", issue->description);
    ig_json_out_kv_str(out, "status", issue->status);
    if (issue->severity.len) ig_json_out_kv_str(out, "severity", issue->severity);
    write_texts(out, "root_causes", issue->causes);
    if (issue->source_run.len) ig_json_out_kv_str(out, "source_run_id", issue->source_run);
    ig_json_out_kv_i64(out, "created_timestamp", issue->created_ms);
    ig_json_out_kv_i64(out, "last_updated_timestamp", issue->updated_ms);
    if (issue->created_by.len) ig_json_out_kv_str(out, "created_by", issue->created_by);
    write_texts(out, "categories", issue->categories);
    if (counted) ig_json_out_kv_i64(out, "trace_count", issue->traces_count);
    ig_json_out_object_end(out);
}

/* The answer of a call that came out with `code`. */
static enum ig_code reply(struct ig_call *call, enum ig_code code, const struct ig_issue *issue)
{
    struct ig_json_out out;
    if (code != IG_OK) return code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("issue"));
    ig_mlflow_write_issue(&out, issue, false);
    ig_json_out_object_end(&out);
    return IG_OK;
}

static const struct ig_issue EMPTY = {.name = {"", 0},
                                      .description = {"", 0},
                                      .status = {"", 0},
                                      .severity = {"", 0},
                                      .source_run = {"", 0},
                                      .created_by = {"", 0}};

enum ig_code ig_mlflow_issue_create(struct ig_call *call)
{
    struct ig_issue spec = EMPTY, made;
    struct ig_mlflow_texts causes = {0}, categories = {0};
    struct ig_str experiment = IG_STR("");
    const struct ig_mlflow_field fields[] = {
        {"experiment_id", IG_MLFLOW_TEXT, &experiment, true},
        {"name", IG_MLFLOW_TEXT, &spec.name, true},
        {"description", IG_MLFLOW_TEXT, &spec.description, true},
        {"status", IG_MLFLOW_TEXT, &spec.status, false},
        {"severity", IG_MLFLOW_TEXT, &spec.severity, false},
        {"root_causes", IG_MLFLOW_TEXTS, &causes, false},
        {"source_run_id", IG_MLFLOW_TEXT, &spec.source_run, false},
        {"created_by", IG_MLFLOW_TEXT, &spec.created_by, false},
        {"categories", IG_MLFLOW_TEXTS, &categories, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK ||
        ig_tracking_experiment_id(&spec.experiment, experiment, &call->err) != IG_OK)
        return call->err.code;
    spec.causes = (struct ig_issue_texts){causes.items, causes.count};
    spec.categories = (struct ig_issue_texts){categories.items, categories.count};
    return reply(call, ig_issue_create(&made, call->app->db, &spec, call->arena, &call->err),
                 &made);
}

enum ig_code ig_mlflow_issue_get(struct ig_call *call)
{
    struct ig_issue found;
    return reply(call,
                 ig_issue_get(&found, call->app->db, call->params[0], call->arena, &call->err),
                 &found);
}

enum ig_code ig_mlflow_issue_update(struct ig_call *call)
{
    struct ig_issue spec = EMPTY, made;
    const struct ig_mlflow_field fields[] = {
        {"name", IG_MLFLOW_TEXT, &spec.name, false},
        {"description", IG_MLFLOW_TEXT, &spec.description, false},
        {"status", IG_MLFLOW_TEXT, &spec.status, false},
        {"severity", IG_MLFLOW_TEXT, &spec.severity, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    spec.id = call->params[0];
    return reply(call, ig_issue_update(&made, call->app->db, &spec, call->arena, &call->err),
                 &made);
}
