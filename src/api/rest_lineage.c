/* SPDX-License-Identifier: Apache-2.0 */
/* Lineage, from a version both ways and from anything to versions. */
#include "api/rest.h"
#include "api/route.h"
#include "services/lineage/lineage.h"

static void write_text(struct ig_json_out *out, const char *key, struct ig_str text)
{
    if (text.len) ig_json_out_kv_str(out, key, text);
}

static void write_uses(struct ig_json_out *out, const struct ig_lineage_version *version)
{
    ig_json_out_key(out, IG_STR("deployments"));
    ig_json_out_array(out);
    for (size_t i = 0; i < version->uses_count; i++) {
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "deployment", version->uses[i].deployment);
        ig_json_out_kv_i64(out, "revision", version->uses[i].revision);
        ig_json_out_kv_bool(out, "current", version->uses[i].current);
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
}

static void write_members(struct ig_json_out *out, const struct ig_lineage_version *version)
{
    ig_json_out_kv_str(out, "model", version->model);
    ig_json_out_kv_i64(out, "version", version->version);
    ig_rest_kv_time(out, "created_at", version->created_ms);
    write_text(out, "digest", version->digest);
    write_text(out, "source", version->source);
}

static void write_versions(struct ig_json_out *out, const struct ig_lineage_versions *versions)
{
    ig_json_out_key(out, IG_STR("versions"));
    ig_json_out_array(out);
    for (size_t i = 0; i < versions->count; i++) {
        const struct ig_lineage_version *version = &versions->items[i];
        ig_json_out_object(out);
        write_members(out, version);
        write_text(out, "run_id", version->run);
        write_text(out, "model_id", version->model_id);
        write_text(out, "job_id", version->job);
        write_uses(out, version);
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
    if (versions->more) ig_json_out_kv_bool(out, "more", true);
}

static void write_job(struct ig_json_out *out, const struct ig_lineage_job *job)
{
    ig_json_out_key(out, IG_STR("job"));
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "id", job->id);
    ig_json_out_kv_str(out, "state", job->state);
    ig_json_out_kv_str(out, "engine", job->engine);
    ig_json_out_kv_str(out, "target", job->target);
    ig_rest_kv_raw(out, "params", job->params_json);
    write_text(out, "data_digest", job->data_digest);
    write_text(out, "data_path", job->data_path);
    ig_rest_kv_time(out, "finished_at", job->finished_ms);
    ig_json_out_object_end(out);
}

static void write_run(struct ig_json_out *out, const struct ig_lineage *lineage)
{
    const struct ig_lineage_run *run = lineage->run;
    ig_json_out_key(out, IG_STR("run"));
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "run_id", run->id);
    ig_json_out_kv_i64(out, "experiment_id", run->experiment);
    ig_json_out_kv_str(out, "name", run->name);
    write_text(out, "user_id", run->user_id);
    ig_json_out_kv_str(out, "lifecycle_stage", run->stage);
    ig_rest_kv_time(out, "started_at", run->start_ms);
    ig_json_out_key(out, IG_STR("datasets"));
    ig_json_out_array(out);
    for (size_t i = 0; i < lineage->datasets_count; i++) {
        const struct ig_lineage_dataset *dataset = &lineage->datasets[i];
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "name", dataset->name);
        ig_json_out_kv_str(out, "digest", dataset->digest);
        ig_json_out_kv_str(out, "source_type", dataset->source_type);
        ig_json_out_kv_str(out, "source", dataset->source);
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
    ig_json_out_object_end(out);
}

static void write_bundles(struct ig_json_out *out, const struct ig_lineage *lineage)
{
    ig_json_out_key(out, IG_STR("bundles"));
    ig_json_out_array(out);
    for (size_t i = 0; i < lineage->bundles_count; i++) {
        const struct ig_lineage_bundle *bundle = &lineage->bundles[i];
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "group", bundle->group);
        ig_json_out_kv_i64(out, "counter", bundle->counter);
        ig_json_out_kv_str(out, "digest", bundle->digest);
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
}

enum ig_code ig_rest_version_lineage(struct ig_call *call)
{
    struct ig_lineage lineage = {0};
    struct ig_json_out out;
    int64_t version;
    if (ig_rest_version_number(&version, call, call->params[1]) != IG_OK ||
        ig_lineage_get(&lineage, call->app->db, call->params[0], version, call->arena,
                       &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    write_members(&out, &lineage.of);
    ig_json_out_key(&out, IG_STR("upstream"));
    ig_json_out_object(&out);
    if (lineage.job) write_job(&out, lineage.job);
    if (lineage.run) write_run(&out, &lineage);
    write_text(&out, "model_id", lineage.of.model_id);
    ig_json_out_object_end(&out);
    ig_json_out_key(&out, IG_STR("downstream"));
    ig_json_out_object(&out);
    write_uses(&out, &lineage.of);
    write_versions(&out, &lineage.copies);
    write_bundles(&out, &lineage);
    ig_json_out_object_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_rest_lineage(struct ig_call *call)
{
    static const char *const NAMES[] = {"data", "run", "job", "model_id"};
    struct ig_lineage_versions versions;
    struct ig_json_out out;
    struct ig_str id = {NULL, 0}, text;
    enum ig_lineage_kind kind = IG_LINEAGE_DATA;
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        if (ig_call_query_str(&text, call, NAMES[i]) != IG_OK) return call->err.code;
        if (!text.len) continue;
        if (id.len) return ig_fail(&call->err, IG_INVALID, "%s: expected one of these", NAMES[i]);
        id = text;
        kind = (enum ig_lineage_kind)i;
    }
    if (!id.len)
        return ig_fail(&call->err, IG_INVALID,
                       "query: expected data=DIGEST, run=ID, job=ID or model_id=ID");
    if (ig_lineage_from(&versions, call->app->db, kind, id, call->arena, &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    write_versions(&out, &versions);
    ig_json_out_object_end(&out);
    return IG_OK;
}
