/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of MLflow's prompt laboratory: a prompt, what a model answered, and the files that make a
 * pyfunc model of the two, so that its console shows them and its clients load them. YAML is
 * written as JSON, which is YAML too. As with MLflow, a run whose files cannot be kept is there and
 * has FAILED. */
#include "api/mlflow_request.h"
#include "api/mlflow_tracking.h"
#include "api/route.h"
#include "base/clock.h"
#include "base/thread.h"
#include "services/tracking/artifacts.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
enum { PAIRS_MAX = 100, FILE_BYTES_MAX = 4 << 20 };

struct lab {
    struct ig_call *call;
    struct ig_tracking_run_spec spec;
    struct ig_str experiment, template, route, input, output, version;
    struct ig_tracking_pairs inputs, params, outputs; /* of the prompt, the model, its answer */
    struct ig_tracking_run run;
    struct ig_str directory; /* where its artifacts lie */
    struct ig_buf text;
    struct ig_json_out out;
};

/* ---- the request ---- */

/* As Python's str() has the value that comes next. */
static bool read_word(struct ig_str *out, struct ig_json *json)
{
    struct ig_json ahead = *json;
    switch (ig_json_next(&ahead)) {
    case IG_JSON_STRING:
    case IG_JSON_NUMBER:
        *out = ahead.text;
        break;
    case IG_JSON_BOOL:
        *out = ahead.boolean ? IG_STR("True") : IG_STR("False");
        break;
    case IG_JSON_NULL:
        *out = IG_STR("None");
        break;
    default:
        return ig_json_string(json, out, "value");
    }
    return ig_json_skip(json);
}

static enum ig_code read_pairs(struct ig_tracking_pairs *out, struct ig_json *json,
                               const char *field)
{
    struct ig_tracking_pair *items = ig_arena_array(json->arena, PAIRS_MAX, sizeof *items);
    size_t count = 0;
    if (!items) return ig_fail(json->err, IG_NO_MEMORY, "%s", field);
    if (!ig_json_expect(json, IG_JSON_ARRAY, field)) return json->err->code;
    while (ig_json_element(json)) {
        if (count == PAIRS_MAX)
            return ig_fail(json->err, IG_INVALID, "%s: more than %d", field, PAIRS_MAX);
        items[count] = (struct ig_tracking_pair){IG_STR(""), IG_STR("")};
        if (!ig_json_expect(json, IG_JSON_OBJECT, field)) break;
        while (ig_json_member(json))
            if (!(ig_str_is(json->text, "key")     ? read_word(&items[count].key, json)
                  : ig_str_is(json->text, "value") ? read_word(&items[count].value, json)
                                                   : ig_json_skip(json)))
                return json->err->code;
        count++;
    }
    *out = (struct ig_tracking_pairs){items, count};
    return json->err->code;
}

static enum ig_code read_member(struct lab *lab, struct ig_json *json)
{
    const struct {
        const char *name;
        struct ig_str *text;
        struct ig_tracking_pairs *pairs;
    } members[] = {{"experiment_id", &lab->experiment, NULL},
                   {"run_name", &lab->spec.name, NULL},
                   {"user_id", &lab->spec.user_id, NULL},
                   {"tags", NULL, &lab->spec.tags},
                   {"prompt_template", &lab->template, NULL},
                   {"prompt_parameters", NULL, &lab->inputs},
                   {"model_route", &lab->route, NULL},
                   {"model_parameters", NULL, &lab->params},
                   {"model_input", &lab->input, NULL},
                   {"model_output", &lab->output, NULL},
                   {"model_output_parameters", NULL, &lab->outputs},
                   {"mlflow_version", &lab->version, NULL}};
    struct ig_json ahead = *json;
    struct ig_str name = json->text;
    if (ig_json_next(&ahead) == IG_JSON_NULL) return ig_json_skip(json) ? IG_OK : json->err->code;
    if (ig_str_is(name, "start_time")) {
        ig_json_i64(json, &lab->spec.start_ms, "start_time");
        return json->err->code;
    }
    for (size_t i = 0; i < COUNT(members); i++) {
        if (!ig_str_is(name, members[i].name)) continue;
        if (members[i].pairs) return read_pairs(members[i].pairs, json, members[i].name);
        read_word(members[i].text, json);
        return json->err->code;
    }
    ig_json_skip(json);
    return json->err->code;
}

static enum ig_code check(const struct lab *lab, struct ig_err *err)
{
    const struct {
        const char *name;
        bool given;
    } needed[] = {{"experiment_id", lab->experiment.len},   {"prompt_template", lab->template.len},
                  {"prompt_parameters", lab->inputs.count}, {"model_route", lab->route.len},
                  {"model_input", lab->input.len},          {"mlflow_version", lab->version.len}};
    for (size_t i = 0; i < COUNT(needed); i++)
        if (!needed[i].given)
            return ig_fail(err, IG_INVALID, "CreatePromptlabRun request must specify %s.",
                           needed[i].name);
    return IG_OK;
}

static enum ig_code read_request(struct lab *lab)
{
    struct ig_call *call = lab->call;
    struct ig_json json;
    if (ig_mlflow_expect_json(call) != IG_OK) return call->err.code;
    ig_json_init(&json, call->exchange->body, call->arena, &call->err);
    if (!ig_json_expect(&json, IG_JSON_OBJECT, "body")) return call->err.code;
    while (ig_json_member(&json))
        if (read_member(lab, &json) != IG_OK) return call->err.code;
    if (call->err.code == IG_OK) ig_json_next(&json); /* END, or an error */
    if (call->err.code != IG_OK || check(lab, &call->err) != IG_OK) return call->err.code;
    return ig_tracking_experiment_id(&lab->spec.experiment, lab->experiment, &call->err);
}

/* ---- what the run logs ---- */

static enum ig_code log_run(struct lab *lab, struct ig_err *err)
{
    const struct ig_tracking_pair tags[] = {
        {IG_STR("mlflow.loggedArtifacts"),
         IG_STR("[{\"path\": \"eval_results_table.json\", \"type\": \"table\"}]")},
        {IG_STR("mlflow.runSourceType"), IG_STR("PROMPT_ENGINEERING")}};
    struct ig_tracking_pair params[PAIRS_MAX + 2];
    size_t count = lab->params.count;
    if (count) memcpy(params, lab->params.items, count * sizeof *params);
    params[count++] = (struct ig_tracking_pair){IG_STR("model_route"), lab->route};
    params[count++] = (struct ig_tracking_pair){IG_STR("prompt_template"), lab->template};
    const struct ig_tracking_batch batch = {.params = {params, count}, .tags = {tags, COUNT(tags)}};
    return ig_tracking_log(lab->call->app->tracking, lab->run.id, &batch, err);
}

/* ---- files ---- */

static void write_schema(struct lab *lab, const char *key, struct ig_tracking_pairs columns)
{
    struct ig_buf text;
    struct ig_json_out schema;
    ig_buf_init(&text, FILE_BYTES_MAX);
    ig_json_out_init(&schema, &text);
    ig_json_out_array(&schema);
    for (size_t i = 0; i < columns.count; i++) {
        ig_json_out_object(&schema);
        ig_json_out_kv_str(&schema, "type", IG_STR("string"));
        ig_json_out_kv_str(&schema, "name", columns.items[i].key);
        ig_json_out_kv_bool(&schema, "required", true);
        ig_json_out_object_end(&schema);
    }
    ig_json_out_array_end(&schema);
    ig_json_out_kv_str(&lab->out, key, ig_buf_view(&text));
    lab->text.overflowed = lab->text.overflowed || text.overflowed;
    ig_buf_deinit(&text);
}

static void write_mlmodel(struct lab *lab)
{
    const struct ig_tracking_pair answer = {IG_STR("output"), IG_STR("")};
    static const char FLAVOR[] =
        "{\"python_function\":{\"env\":{\"conda\":\"conda.yaml\",\"virtualenv\":"
        "\"python_env.yaml\"},\"loader_module\":\"mlflow.prompt.promptlab_model\","
        "\"parameters_path\":\"parameters.yaml\",\"python_version\":\"3.11\"}}";
    static const char EXAMPLE[] =
        "{\"artifact_path\":\"input_example.json\",\"serving_input_path\":"
        "\"serving_input_example.json\",\"type\":\"json_object\"}";
    struct ig_json_out *out = &lab->out;
    char now[IG_CLOCK_ISO_SIZE];
    ig_clock_iso(now, ig_clock_unix_ms());
    now[10] = ' ';
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "artifact_path", IG_STR("model"));
    ig_json_out_key(out, IG_STR("flavors"));
    ig_json_out_raw(out, ig_str_view(FLAVOR));
    ig_json_out_kv_str(out, "mlflow_version", IG_STR(IG_MLFLOW_VERSION));
    ig_json_out_kv_str(out, "run_id", lab->run.id);
    ig_json_out_key(out, IG_STR("saved_input_example_info"));
    ig_json_out_raw(out, ig_str_view(EXAMPLE));
    ig_json_out_key(out, IG_STR("signature"));
    ig_json_out_object(out);
    write_schema(lab, "inputs", lab->inputs);
    write_schema(lab, "outputs", (struct ig_tracking_pairs){&answer, 1});
    ig_json_out_object_end(out);
    ig_json_out_kv_str(out, "utc_time_created", (struct ig_str){now, strlen(now) - 1}); /* no Z */
    ig_json_out_object_end(out);
}

static void write_parameters(struct lab *lab)
{
    struct ig_json_out *out = &lab->out;
    ig_json_out_object(out);
    ig_mlflow_write_object(out, "model_parameters", lab->params);
    ig_json_out_kv_str(out, "model_route", lab->route);
    ig_mlflow_write_object(out, "prompt_parameters", lab->inputs);
    ig_json_out_kv_str(out, "prompt_template", lab->template);
    ig_json_out_object_end(out);
}

static void write_values(struct ig_json_out *out, struct ig_tracking_pairs pairs, bool keys)
{
    for (size_t i = 0; i < pairs.count; i++)
        ig_json_out_str(out, keys ? pairs.items[i].key : pairs.items[i].value);
}

static void write_example(struct lab *lab)
{
    struct ig_json_out *out = &lab->out;
    ig_json_out_object(out);
    ig_json_out_key(out, IG_STR("inputs"));
    ig_json_out_array(out);
    write_values(out, lab->inputs, false);
    ig_json_out_array_end(out);
    ig_json_out_object_end(out);
}

static void write_serving_example(struct lab *lab)
{
    ig_json_out_object(&lab->out);
    ig_json_out_key(&lab->out, IG_STR("inputs"));
    write_example(lab);
    ig_json_out_object_end(&lab->out);
}

static void write_table(struct lab *lab)
{
    struct ig_json_out *out = &lab->out;
    ig_json_out_object(out);
    ig_json_out_key(out, IG_STR("columns"));
    ig_json_out_array(out);
    write_values(out, lab->inputs, true);
    ig_json_out_str(out, IG_STR("prompt"));
    ig_json_out_str(out, IG_STR("output"));
    write_values(out, lab->outputs, true);
    ig_json_out_array_end(out);
    ig_json_out_key(out, IG_STR("data"));
    ig_json_out_array(out);
    ig_json_out_array(out);
    write_values(out, lab->inputs, false);
    ig_json_out_str(out, lab->input);
    if (lab->output.ptr)
        ig_json_out_str(out, lab->output);
    else
        ig_json_out_null(out);
    write_values(out, lab->outputs, false);
    ig_json_out_array_end(out);
    ig_json_out_array_end(out);
    ig_json_out_object_end(out);
}

#define REQUIREMENT "mlflow[gateway]==" IG_MLFLOW_VERSION

static void write_requirements(struct lab *lab)
{
    ig_buf_add_cstr(&lab->text, REQUIREMENT);
}

static void write_python(struct lab *lab)
{
    ig_buf_add_cstr(&lab->text,
                    "python: '3.11'\nbuild_dependencies:\n- pip\n- setuptools\n- wheel\n"
                    "dependencies:\n- -r requirements.txt\n");
}

static void write_conda(struct lab *lab)
{
    ig_buf_add_cstr(&lab->text, "channels:\n- conda-forge\ndependencies:\n- python=3.11\n- pip\n"
                                "- pip:\n  - " REQUIREMENT "\nname: mlflow-env\n");
}

static const struct {
    const char *path;
    void (*write)(struct lab *lab);
} FILES[] = {{"model/MLmodel", write_mlmodel},
             {"model/parameters.yaml", write_parameters},
             {"model/requirements.txt", write_requirements},
             {"model/python_env.yaml", write_python},
             {"model/conda.yaml", write_conda},
             {"model/input_example.json", write_example},
             {"model/serving_input_example.json", write_serving_example},
             {"eval_results_table.json", write_table}};

static enum ig_code keep_file(struct lab *lab, const char *name, struct ig_err *err)
{
    struct ig_app *app = lab->call->app;
    struct ig_artifact artifact = {.size_bytes = (int64_t)lab->text.len};
    const char *path =
        ig_arena_printf(lab->call->arena, "%.*s/%s", IG_STR_ARGS(lab->directory), name);
    if (lab->text.overflowed) return ig_fail(err, IG_TOO_LARGE, "%s: too large", name);
    if (!path) return ig_fail(err, IG_NO_MEMORY, "path of an artifact");
    if (ig_blob_put(artifact.digest, app->blobs, ig_buf_view(&lab->text), err) != IG_OK)
        return err->code;
    return ig_artifacts_put(app->db, &lab->call->who, ig_str_view(path), &artifact, err);
}

static enum ig_code keep_files(struct lab *lab, struct ig_err *err)
{
    struct ig_call *call = lab->call;
    struct ig_str uri;
    if (ig_artifacts_of_run(&uri, &lab->directory, call->app->db, lab->run.id, call->arena, err) !=
        IG_OK)
        return err->code;
    ig_buf_init(&lab->text, FILE_BYTES_MAX);
    for (size_t i = 0; err->code == IG_OK && i < COUNT(FILES); i++) {
        ig_buf_reset(&lab->text);
        ig_json_out_init(&lab->out, &lab->text);
        FILES[i].write(lab);
        if (i == 0) /* the run's history of models has MLmodel as it is */
            ig_tracking_model_note(call->app->tracking, lab->run.id, ig_buf_view(&lab->text), err);
        if (err->code == IG_OK) keep_file(lab, FILES[i].path, err);
    }
    ig_buf_deinit(&lab->text);
    return err->code;
}

enum ig_code ig_mlflow_promptlab_create(struct ig_call *call)
{
    struct ig_tracking *tracking = call->app->tracking;
    struct ig_err why = IG_ERR_INIT;
    struct lab lab = {.call = call,
                      .spec = {.user_id = IG_STR("unknown"), .start_ms = ig_clock_unix_ms()}};
    if (read_request(&lab) != IG_OK ||
        ig_tracking_run_create(&lab.run, tracking, &lab.spec, call->arena, &call->err) != IG_OK)
        return call->err.code;
    ig_pool_wait_begin();
    if (log_run(&lab, &why) == IG_OK) keep_files(&lab, &why);
    ig_pool_wait_end();
    const struct ig_tracking_run_update update = {.id = lab.run.id,
                                                  .status = why.code == IG_OK ? IG_TRACKING_FINISHED
                                                                              : IG_TRACKING_FAILED,
                                                  .end_ms = ig_clock_unix_ms()};
    if (ig_tracking_run_update(&lab.run, tracking, &update, call->arena, &call->err) != IG_OK ||
        ig_tracking_run_get(&lab.run, tracking, lab.run.id, call->arena, &call->err) != IG_OK)
        return call->err.code;
    return ig_mlflow_reply_run(call, &lab.run);
}
