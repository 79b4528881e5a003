/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's scorers. */
#include "api/mlflow_request.h"
#include "api/rest.h"
#include "api/route.h"
#include "services/tracking/scorers.h"

#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void write_scorer(struct ig_json_out *out, const struct ig_scorer *scorer)
{
    ig_json_out_object(out);
    ig_json_out_kv_i64(out, "experiment_id", scorer->experiment);
    ig_json_out_kv_str(out, "scorer_name", scorer->name);
    ig_json_out_kv_i64(out, "scorer_version", scorer->version);
    ig_json_out_kv_str(out, "serialized_scorer", scorer->content);
    ig_json_out_kv_i64(out, "creation_time", scorer->created_ms);
    ig_json_out_kv_str(out, "scorer_id", scorer->id);
    ig_json_out_object_end(out);
}

static void write_experiment(struct ig_json_out *out, int64_t id)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)id);
    ig_json_out_kv_str(out, "experiment_id", ig_str_view(text));
}

static enum ig_code reply_scorers(struct ig_call *call, enum ig_code code,
                                  const struct ig_scorers *scorers)
{
    struct ig_json_out out;
    if (code != IG_OK) return code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    if (scorers->count) {
        ig_json_out_key(&out, IG_STR("scorers"));
        ig_json_out_array(&out);
        for (size_t i = 0; i < scorers->count; i++) write_scorer(&out, &scorers->items[i]);
        ig_json_out_array_end(&out);
    }
    ig_json_out_object_end(&out);
    return out.buf->overflowed
               ? ig_fail(&call->err, IG_TOO_LARGE, "scorers: more than a reply may hold")
               : IG_OK;
}

/* Which scorer a request means, and its further fields from fields[3] on. */
static enum ig_code read_ref(struct ig_scorer_ref *out, struct ig_call *call,
                             struct ig_mlflow_field *fields, size_t count)
{
    struct ig_str experiment = IG_STR("");
    *out = (struct ig_scorer_ref){.name = IG_STR(""), .version = IG_SCORER_ANY_VERSION};
    fields[0] = (struct ig_mlflow_field){"experiment_id", IG_MLFLOW_TEXT, &experiment, true};
    fields[1] = (struct ig_mlflow_field){"name", IG_MLFLOW_TEXT, &out->name, true};
    fields[2] = (struct ig_mlflow_field){"version", IG_MLFLOW_I64, &out->version, false};
    if (ig_mlflow_read(call, fields, count) != IG_OK) return call->err.code;
    return ig_tracking_experiment_id(&out->experiment, experiment, &call->err);
}

enum ig_code ig_mlflow_scorer_register(struct ig_call *call)
{
    struct ig_scorer_ref ref;
    struct ig_scorer scorer = {.content = IG_STR("")}, made;
    struct ig_json_out out;
    struct ig_mlflow_field fields[4] = {
        [3] = {"serialized_scorer", IG_MLFLOW_TEXT, &scorer.content, true}};
    if (read_ref(&ref, call, fields, 4) != IG_OK) return call->err.code;
    scorer.name = ref.name;
    const struct ig_scorer_by by = {&call->who, ref.experiment};
    if (ig_scorer_register(&made, call->app->db, &by, &scorer, call->arena, &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_i64(&out, "version", made.version);
    ig_json_out_kv_str(&out, "scorer_id", made.id);
    write_experiment(&out, made.experiment);
    ig_json_out_kv_str(&out, "name", made.name);
    ig_json_out_kv_str(&out, "serialized_scorer", made.content);
    ig_json_out_kv_i64(&out, "creation_time", made.created_ms);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_mlflow_scorer_get(struct ig_call *call)
{
    struct ig_scorer_ref ref;
    struct ig_scorer found;
    struct ig_json_out out;
    struct ig_mlflow_field fields[3];
    if (read_ref(&ref, call, fields, 3) != IG_OK ||
        ig_scorer_get(&found, call->app->db, &ref, call->arena, &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("scorer"));
    write_scorer(&out, &found);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_mlflow_scorer_versions(struct ig_call *call)
{
    struct ig_scorer_ref ref;
    struct ig_scorers found;
    struct ig_mlflow_field fields[3];
    if (read_ref(&ref, call, fields, 3) != IG_OK) return call->err.code;
    return reply_scorers(
        call, ig_scorer_versions(&found, call->app->db, &ref, call->arena, &call->err), &found);
}

enum ig_code ig_mlflow_scorer_list(struct ig_call *call)
{
    struct ig_str one = IG_STR("");
    struct ig_mlflow_texts several = {0};
    struct ig_scorers found;
    const struct ig_mlflow_field fields[] = {{"experiment_id", IG_MLFLOW_TEXT, &one, false},
                                             {"experiment_ids", IG_MLFLOW_TEXTS, &several, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (one.len && several.count)
        return ig_fail(&call->err, IG_INVALID,
                       "Cannot specify both 'experiment_id' and 'experiment_ids'. Use "
                       "'experiment_ids' to scope the query to multiple experiments, or "
                       "'experiment_id' to scope it to a single experiment.");
    if (one.len) several = (struct ig_mlflow_texts){&one, 1, 1};
    int64_t *ids = ig_arena_array(call->arena, several.count + 1, sizeof *ids);
    if (!ids) return ig_fail(&call->err, IG_NO_MEMORY, "experiment_ids: too many");
    for (size_t i = 0; i < several.count; i++)
        if (ig_tracking_experiment_id(&ids[i], several.items[i], &call->err) != IG_OK)
            return call->err.code;
    const struct ig_scorer_list list = {ids, several.count, !several.count, one.len > 0};
    return reply_scorers(
        call, ig_scorer_last(&found, call->app->db, &list, call->arena, &call->err), &found);
}

enum ig_code ig_mlflow_scorer_delete(struct ig_call *call)
{
    struct ig_scorer_ref ref;
    struct ig_mlflow_field fields[3];
    if (read_ref(&ref, call, fields, 3) != IG_OK ||
        ig_scorer_delete(call->app->db, &call->who, &ref, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

static void write_config(struct ig_json_out *out, const struct ig_scorer_config *config)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "online_scoring_config_id", config->id);
    ig_json_out_kv_str(out, "scorer_id", config->scorer);
    ig_json_out_kv_f64(out, "sample_rate", config->sample_rate);
    write_experiment(out, config->experiment);
    if (config->filter.ptr) ig_json_out_kv_str(out, "filter_string", config->filter);
    ig_json_out_object_end(out);
}

enum ig_code ig_mlflow_scorer_config_put(struct ig_call *call)
{
    struct ig_scorer_ref ref;
    struct ig_scorer_config config = {.filter = {NULL, 0}}, made;
    struct ig_json_out out;
    struct ig_mlflow_field fields[5] = {
        [3] = {"sample_rate", IG_MLFLOW_F64, &config.sample_rate, true},
        [4] = {"filter_string", IG_MLFLOW_TEXT, &config.filter, false}};
    if (read_ref(&ref, call, fields, 5) != IG_OK ||
        ig_scorer_config_put(&made, call->app->db, &ref, &config, call->arena, &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("config"));
    write_config(&out, &made);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_mlflow_scorer_configs(struct ig_call *call)
{
    struct ig_mlflow_texts ids = {0};
    struct ig_scorer_configs found;
    struct ig_json_out out;
    const struct ig_mlflow_field fields[] = {{"scorer_ids", IG_MLFLOW_TEXTS, &ids, true}};
    if (ig_mlflow_read(call, fields, 1) != IG_OK ||
        ig_scorer_configs(&found, call->app->db, ids.items, ids.count, call->arena, &call->err) !=
            IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("configs"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < found.count; i++) write_config(&out, &found.items[i]);
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}
