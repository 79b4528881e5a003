/* SPDX-License-Identifier: Apache-2.0 */
#include "api/oip_model.h"

#include "api/oip_classes.h"
#include "api/oip_memory.h"
#include "api/route.h"
#include "base/num.h"

#include <math.h>
#include <string.h>

enum { DEFAULT_RESULTS = 2 };

static const struct {
    const char *name;
    enum ig_oip_type type;
} RESULTS[IG_OIP_RESULTS_COUNT] = {
    [IG_OIP_PREDICTIONS] = {"predictions", IG_OIP_FP64},
    [IG_OIP_LABELS] = {"labels", IG_OIP_BYTES},
    [IG_OIP_MARGINS] = {"margins", IG_OIP_FP64},
    [IG_OIP_SHAP_VALUES] = {"shap_values", IG_OIP_FP64},
    [IG_OIP_BASE_VALUE] = {"base_value", IG_OIP_FP64},
};

const char *ig_oip_extension(const struct ig_app *app, size_t at)
{
    static const char *const NAMES[] = {
        "binary_tensor_data", "parameters",     "statistics", "model_configuration",
        "model_repository",   "classification", "logging",    "trace"};
    size_t always = sizeof NAMES / sizeof *NAMES;
    if (at < always) return NAMES[at];
    return at == always && app->regions ? "system_shared_memory" : NULL;
}

/* ---- models ---- */

static bool has_words(const struct ig_schema *schema)
{
    for (uint32_t i = 0; i < schema->features_count; i++)
        if (ig_feature_takes_text(&schema->features[i])) return true;
    return false;
}

size_t ig_oip_inputs_count(const struct ig_schema *schema)
{
    return has_words(schema) ? schema->features_count : 1;
}

struct ig_oip_port ig_oip_input(const struct ig_schema *schema, size_t index)
{
    const struct ig_feature *feature = &schema->features[index];
    if (!has_words(schema))
        return (struct ig_oip_port){IG_STR("input"), IG_OIP_FP64, {schema->features_count}, 1};
    return (struct ig_oip_port){
        feature->name, ig_feature_takes_text(feature) ? IG_OIP_BYTES : IG_OIP_FP64, {1}, 1};
}

bool ig_oip_output(struct ig_oip_port *out, const struct ig_servable *face,
                   enum ig_oip_result result)
{
    const struct ig_model *model = face->package->model;
    struct ig_oip_port port = {ig_str_view(RESULTS[result].name), RESULTS[result].type, {0}, 0};
    bool many = model->outputs_count > 1;
    if (result == IG_OIP_LABELS && !face->package->schema.classes_count) return false;
    if (result == IG_OIP_PREDICTIONS && model->predictions_count > 1)
        port.extents[port.rank++] = model->predictions_count;
    if (result >= IG_OIP_MARGINS && many) port.extents[port.rank++] = model->outputs_count;
    if (result == IG_OIP_SHAP_VALUES) port.extents[port.rank++] = model->features_count;
    *out = port;
    return true;
}

struct ig_str ig_oip_platform(const struct ig_routing *routing)
{
    return routing->face->package->runtime.len ? IG_STR("onnxruntime_onnx") : IG_STR("ingot");
}

struct ig_str ig_oip_backend(const struct ig_routing *routing)
{
    struct ig_str runtime = routing->face->package->runtime;
    return runtime.len ? runtime : IG_STR("ingot");
}

int64_t ig_oip_version(const struct ig_routing *routing)
{
    const struct ig_servable *face = routing->face;
    while (face->members_count) face = face->members[0].servable;
    return face->version;
}

size_t ig_oip_versions(int64_t *out, size_t max, const struct ig_routing *routing)
{
    const struct ig_routing_spec *spec = &routing->spec;
    size_t count = 0;
    out[count++] = ig_oip_version(routing);
    for (uint32_t i = 0; i < spec->nodes_count; i++) {
        const struct ig_routing_node *node = &spec->nodes[i];
        for (uint32_t e = 0; node->kind == IG_ROUTING_VERSIONS && e < node->edges_count; e++) {
            int64_t version = spec->nodes[spec->edges[node->first_edge + e].to].version;
            if (version != out[0] && count < max) out[count++] = version;
        }
    }
    return count;
}

int64_t ig_oip_answered(const struct ig_infer *infer)
{
    return infer->version ? infer->version : ig_oip_version(infer->routing);
}

enum ig_code ig_oip_check_version(struct ig_call *call, const struct ig_routing *routing,
                                  struct ig_str version)
{
    int64_t number;
    if (!version.len || (ig_str_to_i64(version, &number) && ig_routing_serves(routing, number)))
        return IG_OK;
    return ig_fail(&call->err, IG_NOT_FOUND, "model '%s': version %.*s is not served, %lld is",
                   routing->name, (int)(version.len > 32 ? 32 : version.len), version.ptr,
                   (long long)ig_oip_version(routing));
}

const struct ig_routing *ig_oip_find(struct ig_call *call, struct ig_str name,
                                     struct ig_str version)
{
    const struct ig_routing *routing = ig_deploy_acquire(call->app->deploy, name);
    if (!routing) ig_infer_fail_absent(call, name, &call->err);
    return routing && ig_oip_check_version(call, routing, version) == IG_OK ? routing : NULL;
}

enum ig_code ig_oip_set_loaded(struct ig_call *call, struct ig_str name, bool loaded)
{
    struct ig_deploy *deploy = call->app->deploy;
    struct ig_str why = loaded ? IG_STR("loaded through the model repository")
                               : IG_STR("unloaded through the model repository");
    if (ig_deploy_state(deploy, name) == (loaded ? IG_DEPLOY_SERVING : IG_DEPLOY_PAUSED))
        return IG_OK;
    return ig_deploy_pause(deploy, &call->who, name, !loaded, why, &call->err);
}

bool ig_oip_brings_model(struct ig_str parameter)
{
    return ig_str_is(parameter, "config") || ig_str_starts(parameter, IG_STR("file:"));
}

enum ig_code ig_oip_fail_load(struct ig_str parameter, struct ig_err *err)
{
    return ig_fail(err, IG_UNSUPPORTED,
                   "parameters: '%.*s' is not taken: a deployment serves registered versions, "
                   "which /api/v1/deployments changes",
                   (int)(parameter.len > 64 ? 64 : parameter.len), parameter.ptr);
}

enum ig_code ig_oip_check_repository(struct ig_str name, struct ig_err *err)
{
    if (!name.len) return IG_OK;
    return ig_fail(err, IG_UNSUPPORTED,
                   "repository '%.*s': there is one repository, which has no name; leave it out",
                   (int)(name.len > 64 ? 64 : name.len), name.ptr);
}

static enum ig_code read_load_parameters(struct ig_call *call, struct ig_json *json)
{
    if (!ig_json_expect(json, IG_JSON_OBJECT, "parameters")) return call->err.code;
    while (ig_json_member(json)) {
        if (ig_oip_brings_model(json->text)) return ig_oip_fail_load(json->text, &call->err);
        if (!ig_json_skip(json)) break;
    }
    return call->err.code;
}

enum ig_code ig_oip_read_load(struct ig_call *call)
{
    struct ig_json json;
    if (!call->exchange->body.len) return IG_OK;
    ig_json_init(&json, call->exchange->body, call->arena, &call->err);
    if (!ig_json_expect(&json, IG_JSON_OBJECT, "the body")) return call->err.code;
    while (ig_json_member(&json)) {
        if (ig_str_is(json.text, "parameters"))
            read_load_parameters(call, &json);
        else
            (void)ig_json_skip(&json);
        if (call->err.code != IG_OK) break;
    }
    if (call->err.code == IG_OK) (void)ig_json_next(&json); /* nothing may follow */
    return call->err.code;
}

enum ig_code ig_oip_repository(struct ig_call *call)
{
    return ig_oip_check_repository(call->params[0], &call->err);
}

/* ---- calls ---- */

static enum ig_code find_result(enum ig_oip_result *out, struct ig_call *call, struct ig_str name,
                                const struct ig_routing *routing)
{
    struct ig_oip_port unused;
    int i = 0;
    while (i < IG_OIP_RESULTS_COUNT && !ig_str_is(name, RESULTS[i].name)) i++;
    *out = (enum ig_oip_result)i;
    if (i < IG_OIP_RESULTS_COUNT && ig_oip_output(&unused, routing->face, *out)) return IG_OK;
    return ig_fail(&call->err, IG_INVALID, "output '%.*s': model '%s' has no such output",
                   (int)(name.len > 64 ? 64 : name.len), name.ptr, routing->name);
}

static enum ig_code choose_results(struct ig_call *call, struct ig_infer *infer)
{
    struct ig_oip_ask *ask = infer->front;
    const struct ig_oip_request *request = &ask->request;
    struct ig_oip_port unused;
    infer->explain = request->explain;
    ask->given_count = 0;
    for (size_t i = 0; i < request->outputs_count; i++) {
        struct ig_oip_given *given = &ask->given[ask->given_count++];
        given->asked = &request->outputs[i];
        given->classes = NULL;
        if (find_result(&given->result, call, given->asked->name, infer->routing) != IG_OK)
            return call->err.code;
        if (given->asked->classes &&
            ig_oip_classes_new(&given->classes, given->result, infer->routing->face,
                               given->asked->classes, call->arena, &call->err) != IG_OK)
            return call->err.code;
        infer->explain = infer->explain || given->result >= IG_OIP_SHAP_VALUES;
    }
    if (request->outputs_count) return IG_OK;
    for (int i = 0; i < IG_OIP_RESULTS_COUNT; i++) {
        bool wanted = i < DEFAULT_RESULTS || (i >= IG_OIP_SHAP_VALUES && infer->explain);
        if (!wanted || !ig_oip_output(&unused, infer->routing->face, (enum ig_oip_result)i))
            continue;
        ask->given[ask->given_count++] = (struct ig_oip_given){.result = (enum ig_oip_result)i};
    }
    return IG_OK;
}

enum ig_code ig_oip_prepare(struct ig_call *call, struct ig_infer *infer)
{
    struct ig_oip_ask *ask = infer->front;
    struct ig_predict_target target;
    struct ig_oip_rows rows;
    if (ig_infer_too_long(infer, ig_oip_memory_bytes(&ask->request))) return IG_OK;
    if (ig_oip_memory_take(call, &ask->request) != IG_OK) return call->err.code;
    if (!ig_infer_find(&target, call, infer->model, &call->err)) return call->err.code;
    if (ig_oip_check_version(call, infer->routing, ask->version) != IG_OK ||
        choose_results(call, infer) != IG_OK ||
        ig_oip_rows(&rows, &ask->request, target.schema, call->app->rows_max, call->arena,
                    &call->err) != IG_OK)
        return call->err.code;
    if (ask->version.len) ig_str_to_i64(ask->version, &infer->version);
    if (call->taken_ns && ask->request.id.len)
        call->client_id = ig_arena_dup(call->arena, ask->request.id);
    infer->request.schema = target.schema;
    infer->request.rows = rows.rows;
    infer->request.rows_count = rows.rows_count;
    infer->request.many = true;
    infer->request.unit_id = ask->request.unit_id;
    infer->request.explain.wanted_low = infer->request.explain.wanted_high = NAN;
    if (!target.attributes_count) return IG_OK;
    infer->request.attributes =
        ig_arena_array(call->arena, target.attributes_count, sizeof *infer->request.attributes);
    return infer->request.attributes ? IG_OK
                                     : ig_fail(&call->err, IG_NO_MEMORY, "no memory for the call");
}

/* Only when every explanation is additive over features can it be a tensor of that shape. */
enum ig_code ig_oip_check(struct ig_call *call, const struct ig_infer *infer)
{
    for (size_t i = 0; infer->explain && i < infer->parts_count; i++)
        if (!infer->parts[i].result.explanations.contributions)
            return ig_fail(&call->err, IG_INVALID, "shap_values: the model has none");
    return IG_OK;
}

/* ---- elements ---- */

/* The numbers of a row for an output, and how many. */
static size_t row_numbers(const double **out, enum ig_oip_result output,
                          const struct ig_answer *answer)
{
    const struct ig_model *model = answer->model;
    switch (output) {
    case IG_OIP_PREDICTIONS:
        *out = answer->predictions;
        return model->predictions_count;
    case IG_OIP_MARGINS:
        *out = answer->margins;
        return model->outputs_count;
    default:
        *out = answer->contributions;
        return (size_t)model->outputs_count * (model->features_count + (size_t)1);
    }
}

/* Where elements go. */
struct writing {
    struct ig_json_out *json; /* or: */
    struct ig_buf *raw;
    struct ig_buf *plain;
    struct ig_buf text; /* of the class at hand */
};

static void write_plain(struct writing *writing, struct ig_str text)
{
    if (writing->plain->len) ig_buf_add_char(writing->plain, ',');
    ig_buf_add_str(writing->plain, text);
}

static void write_number(struct writing *writing, double value)
{
    char text[IG_NUM_TEXT_MAX];
    if (writing->json)
        ig_json_out_f64(writing->json, value);
    else if (writing->raw)
        ig_buf_add(writing->raw, &value, sizeof value);
    else
        write_plain(writing, (struct ig_str){text, ig_num_format_f64(text, value)});
}

static void write_text(struct writing *writing, struct ig_str text)
{
    uint32_t length = (uint32_t)text.len;
    if (writing->json) {
        ig_json_out_str(writing->json, text);
        return;
    }
    if (writing->plain) {
        write_plain(writing, text);
        return;
    }
    ig_buf_add(writing->raw, &length, sizeof length);
    ig_buf_add_str(writing->raw, text);
}

static void write_row(struct writing *writing, enum ig_oip_result output,
                      const struct ig_answer *answer)
{
    const double *numbers;
    size_t count = row_numbers(&numbers, output, answer);
    size_t each = answer->model->features_count + (size_t)1;
    for (size_t i = 0; i < count; i++) {
        bool base = i % each == each - 1;
        if (output == IG_OIP_PREDICTIONS || output == IG_OIP_MARGINS ||
            base == (output == IG_OIP_BASE_VALUE))
            write_number(writing, numbers[i]);
    }
}

static void write_classes(struct writing *writing, const struct ig_oip_given *given,
                          const struct ig_answer *answer)
{
    const double *numbers;
    row_numbers(&numbers, given->result, answer);
    ig_oip_classes_rank(given->classes, numbers);
    for (size_t i = 0; i < given->classes->count; i++) {
        ig_buf_reset(&writing->text);
        ig_oip_classes_write(&writing->text, given->classes, i, answer->schema);
        write_text(writing, ig_buf_view(&writing->text));
    }
}

static void write_label(struct writing *writing, struct ig_infer *infer, size_t row)
{
    const struct ig_infer_part *part = ig_infer_part_of(infer, row);
    size_t own = infer->places ? infer->places[row].row : row;
    int32_t class = ig_inference_class(part->servable, &part->result, own);
    const struct ig_schema *schema = &part->servable->package->schema;
    write_text(writing, class >= 0 && (uint32_t) class < schema->classes_count
                            ? schema->classes[class]
                            : IG_STR(""));
}

static void write_data(struct writing *writing, struct ig_infer *infer,
                       const struct ig_oip_given *given)
{
    for (size_t i = 0; i < infer->request.rows_count; i++) {
        if (given->result == IG_OIP_LABELS) {
            write_label(writing, infer, i);
            continue;
        }
        struct ig_answer answer = ig_infer_answer(infer, i, NULL);
        if (given->classes)
            write_classes(writing, given, &answer);
        else
            write_row(writing, given->result, &answer);
    }
}

void ig_oip_write_json(struct ig_json_out *out, struct ig_infer *infer,
                       const struct ig_oip_given *given)
{
    struct writing writing = {.json = out};
    ig_buf_init(&writing.text, out->buf->max_bytes);
    write_data(&writing, infer, given);
    ig_buf_deinit(&writing.text);
}

void ig_oip_write_raw(struct ig_buf *out, struct ig_infer *infer, const struct ig_oip_given *given)
{
    struct writing writing = {.raw = out};
    ig_buf_init(&writing.text, out->max_bytes);
    write_data(&writing, infer, given);
    ig_buf_deinit(&writing.text);
}

void ig_oip_write_plain(struct ig_buf *out, struct ig_infer *infer,
                        const struct ig_oip_given *given)
{
    struct writing writing = {.plain = out};
    ig_buf_init(&writing.text, out->max_bytes);
    write_data(&writing, infer, given);
    ig_buf_deinit(&writing.text);
}

struct ig_oip_port ig_oip_given_port(const struct ig_oip_given *given,
                                     const struct ig_servable *face)
{
    struct ig_oip_port port;
    ig_oip_output(&port, face, given->result);
    if (given->classes)
        port = (struct ig_oip_port){port.name, IG_OIP_BYTES, {(int64_t)given->classes->count}, 1};
    return port;
}
