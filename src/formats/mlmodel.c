/* SPDX-License-Identifier: Apache-2.0 */
/* Thread rule: pure. */
#include "formats/mlmodel.h"

#include "base/yaml.h"
#include "formats/onnx/onnx_inline.h"

#include <stdio.h>
#include <string.h>

#define AS_ONNX                                                                                    \
    "mlflow.onnx.log_model(skl2onnx.to_onnx(model, X[:1].to_numpy('float32')), name='model')"

/* Flavors whose files are read, by the member that names the file, and what to do where that is
 * none that can be. */
static const struct flavor {
    const char *name;
    const char *endings; /* of files that are read */
    const char *instead;
} FLAVORS[] = {
    {"xgboost", ".ubj .json .xgb", "log it with model_format='ubj'"},
    {"lightgbm", ".lgb .txt", "log its booster: mlflow.lightgbm.log_model(model.booster_, ...)"},
    {"catboost", ".cb .cbm .json", "log it as a cbm file, which is the default"},
    {"onnx", ".onnx", "log it with mlflow.onnx.log_model"},
    {"pmml", ".pmml .xml", "log it as a .pmml file"},
};
enum { FLAVORS_COUNT = sizeof FLAVORS / sizeof FLAVORS[0] };

/* Flavors of which none is: how to convert what they hold. */
static const struct {
    const char *name, *how;
} CONVERSIONS[] = {
    {"sklearn", AS_ONNX},
    {"pytorch", "torch.onnx.export(model, example, 'model.onnx'), then mlflow.onnx.log_model"},
    {"tensorflow", "tf2onnx.convert.from_keras(model), then mlflow.onnx.log_model"},
    {"keras", "tf2onnx.convert.from_keras(model), then mlflow.onnx.log_model"},
    {"python_function", "log the model inside it with its own library or as ONNX"},
};

static bool ends_with_any(struct ig_str file, const char *endings)
{
    struct ig_str rest = ig_str_view(endings);
    while (rest.ptr)
        if (ig_str_ends(file, ig_str_cut(&rest, ' '))) return true;
    return false;
}

/* A scalar that is no null, or an empty text. */
static struct ig_str text_of(const struct ig_yaml *mapping, const char *key, struct ig_arena *arena)
{
    const struct ig_yaml *node = mapping ? ig_yaml_get(mapping, key) : NULL;
    if (!node || node->kind != IG_YAML_SCALAR) return IG_STR("");
    if (!node->quoted && (ig_str_is(node->text, "null") || ig_str_is(node->text, "~")))
        return IG_STR("");
    return ig_arena_dup(arena, node->text);
}

static enum ig_code no_native_file(const struct ig_yaml *flavors, struct ig_err *err)
{
    for (size_t i = 0; i < sizeof CONVERSIONS / sizeof CONVERSIONS[0]; i++) {
        if (!ig_yaml_get(flavors, CONVERSIONS[i].name)) continue;
        return ig_fail(err, IG_UNSUPPORTED,
                       "the %s flavor holds Python objects or code, which are never opened; "
                       "convert it: %s",
                       CONVERSIONS[i].name, CONVERSIONS[i].how);
    }
    const struct ig_yaml *first = flavors->first;
    return ig_fail(err, IG_UNSUPPORTED,
                   "the flavor '%.*s' is none that is read (xgboost, lightgbm, catboost, onnx, "
                   "pmml); log the model as ONNX: mlflow.onnx.log_model",
                   first ? (int)(first->key.len > 60 ? 60 : first->key.len) : 0,
                   first ? first->key.ptr : "");
}

static enum ig_code find_file(struct ig_mlmodel *out, const struct ig_yaml *flavors,
                              struct ig_arena *arena, struct ig_err *err)
{
    for (size_t i = 0; i < FLAVORS_COUNT; i++) {
        const struct flavor *flavor = &FLAVORS[i];
        const struct ig_yaml *node = ig_yaml_get(flavors, flavor->name);
        if (!node || node->kind != IG_YAML_MAPPING) continue;
        struct ig_str file = text_of(node, "data", arena);
        if (!file.len || !ends_with_any(file, flavor->endings))
            return ig_fail(err, IG_UNSUPPORTED,
                           "the %s flavor's file '%.*s' is no native model file (%s) and is not "
                           "opened; %s",
                           flavor->name, (int)(file.len > 100 ? 100 : file.len), file.ptr,
                           flavor->endings, flavor->instead);
        out->flavor = ig_str_view(flavor->name);
        out->file = file;
        out->model_class = text_of(node, "model_class", arena);
        return IG_OK;
    }
    return no_native_file(flavors, err);
}

static enum ig_mlmodel_type type_of(struct ig_str name)
{
    if (ig_str_is(name, "double") || ig_str_is(name, "float")) return IG_MLMODEL_REAL;
    if (ig_str_is(name, "integer") || ig_str_is(name, "long")) return IG_MLMODEL_WHOLE;
    if (ig_str_is(name, "boolean")) return IG_MLMODEL_BOOLEAN;
    return ig_str_is(name, "string") ? IG_MLMODEL_TEXT : IG_MLMODEL_OTHER;
}

/* {"name", "type", "required", before 2.10 "optional"}; other members are passed over. */
static bool read_input(struct ig_mlmodel_input *out, struct ig_json *json)
{
    bool required = true, optional = false;
    *out = (struct ig_mlmodel_input){.name = IG_STR(""), .type_name = IG_STR("")};
    if (!ig_json_expect(json, IG_JSON_OBJECT, "signature.inputs")) return false;
    while (ig_json_member(json)) {
        if (ig_str_is(json->text, "name"))
            ig_json_string(json, &out->name, "name");
        else if (ig_str_is(json->text, "type"))
            ig_json_string(json, &out->type_name, "type");
        else if (ig_str_is(json->text, "required"))
            ig_json_bool(json, &required, "required");
        else if (ig_str_is(json->text, "optional"))
            ig_json_bool(json, &optional, "optional");
        else
            ig_json_skip(json);
        if (json->err->code != IG_OK) return false;
    }
    out->type = type_of(out->type_name);
    out->optional = optional || !required;
    return json->err->code == IG_OK;
}

static enum ig_code read_inputs(struct ig_mlmodel *out, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_mlmodel_input *items = NULL;
    struct ig_json json;
    size_t count = 0, cap = 0, named = 0;
    bool tensors = false;
    ig_json_init(&json, out->signature, arena, err);
    if (!ig_json_expect(&json, IG_JSON_ARRAY, "signature.inputs")) return err->code;
    while (ig_json_element(&json)) {
        if (count == IG_MLMODEL_INPUTS_MAX)
            return ig_fail(err, IG_TOO_LARGE, "signature: more than %d inputs",
                           IG_MLMODEL_INPUTS_MAX);
        items = ig_arena_grow(arena, items, count, &cap, sizeof *items);
        if (!items) return ig_fail(err, IG_NO_MEMORY, "signature");
        if (!read_input(&items[count], &json)) return err->code;
        tensors = tensors || ig_str_is(items[count].type_name, "tensor");
        named += items[count++].name.len > 0;
    }
    if (err->code != IG_OK || ig_json_next(&json) != IG_JSON_END) return err->code;
    if (tensors || named < count) return IG_OK;
    out->inputs = items;
    out->inputs_count = count;
    return IG_OK;
}

enum ig_code ig_mlmodel_read(struct ig_mlmodel *out, struct ig_str yaml, struct ig_arena *arena,
                             struct ig_err *err)
{
    struct ig_mlmodel mlmodel = {.signature = IG_STR("")};
    const struct ig_yaml *root = NULL;
    if (yaml.len > IG_MLMODEL_BYTES_MAX)
        return ig_fail(err, IG_TOO_LARGE, "MLmodel: %zu bytes, at most %d", yaml.len,
                       IG_MLMODEL_BYTES_MAX);
    if (ig_yaml_parse(&root, yaml, arena, err) != IG_OK) {
        ig_err_prefix(err, "MLmodel");
        return err->code;
    }
    const struct ig_yaml *flavors =
        root->kind == IG_YAML_MAPPING ? ig_yaml_get(root, "flavors") : NULL;
    if (!flavors || flavors->kind != IG_YAML_MAPPING)
        return ig_fail(err, IG_INVALID, "MLmodel: flavors: expected a mapping");
    if (find_file(&mlmodel, flavors, arena, err) != IG_OK) return err->code;
    const struct ig_yaml *signature = ig_yaml_get(root, "signature");
    if (signature && signature->kind == IG_YAML_MAPPING)
        mlmodel.signature = text_of(signature, "inputs", arena);
    const struct ig_yaml *example = ig_yaml_get(root, "saved_input_example_info");
    if (example && example->kind == IG_YAML_MAPPING)
        mlmodel.example = text_of(example, "artifact_path", arena);
    if (mlmodel.signature.len && read_inputs(&mlmodel, arena, err) != IG_OK) {
        ig_err_prefix(err, "MLmodel: signature");
        return err->code;
    }
    if (arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "MLmodel");
    *out = mlmodel;
    return IG_OK;
}

/* ---- the schema ---- */

/* "f3", "Column_3", "X[3]": a name that a library makes up for feature 3. */
static bool is_made_up(struct ig_str name, uint32_t index)
{
    char digits[12];
    int length = snprintf(digits, sizeof digits, "%u", index);
    if (name.len && name.ptr[name.len - 1] == ']') name.len--;
    if (!ig_str_ends(name, (struct ig_str){digits, (size_t)length})) return false;
    name.len -= (size_t)length;
    return name.len > 0 && (name.ptr[name.len - 1] < '0' || name.ptr[name.len - 1] > '9');
}

/* As libraries write names: blanks become underscores. */
static struct ig_str plain_name(struct ig_str name, struct ig_arena *arena)
{
    char *text = ig_arena_cstr(arena, name);
    for (size_t i = 0; text && i < name.len; i++)
        if (text[i] == ' ') text[i] = '_';
    return text ? (struct ig_str){text, name.len} : IG_STR("");
}

/* The input of each feature: by its name, or by its place where the names are made up. */
static enum ig_code match(struct ig_mlmodel_input *inputs, const struct ig_mlmodel *mlmodel,
                          const struct ig_schema *own, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_map by_name;
    bool made_up = true;
    uint32_t missing = UINT32_MAX;
    ig_map_init(&by_name, IG_MLMODEL_INPUTS_MAX);
    for (size_t i = 0; i < mlmodel->inputs_count; i++) {
        struct ig_str name = plain_name(mlmodel->inputs[i].name, arena);
        if (!name.len || ig_map_get(&by_name, name) ||
            !ig_map_put(&by_name, name, (void *)&mlmodel->inputs[i])) {
            ig_fail(err, IG_UNSUPPORTED, "the signature's input '%.*s': no name, or there twice",
                    IG_STR_ARGS(mlmodel->inputs[i].name));
            goto out;
        }
    }
    for (uint32_t i = 0; i < own->features_count; i++) {
        made_up = made_up && is_made_up(own->features[i].name, i);
        const struct ig_mlmodel_input *input =
            ig_map_get(&by_name, plain_name(own->features[i].name, arena));
        if (input) inputs[i] = *input;
        if (!input && missing == UINT32_MAX) missing = i;
    }
    if (missing == UINT32_MAX) goto out;
    if (!made_up)
        ig_fail(err, IG_UNSUPPORTED,
                "the model file's feature '%.*s' is none of the signature's inputs",
                IG_STR_ARGS(own->features[missing].name));
    for (uint32_t i = 0; i < own->features_count; i++) inputs[i] = mlmodel->inputs[i];
out:
    ig_map_deinit(&by_name);
    return err->code;
}

static enum ig_code fit(struct ig_feature *feature, const struct ig_mlmodel_input *input,
                        struct ig_err *err)
{
    bool takes_text = ig_feature_takes_text(feature);
    if (input->type == IG_MLMODEL_OTHER || (input->type == IG_MLMODEL_TEXT && !takes_text))
        return ig_fail(err, IG_UNSUPPORTED,
                       "the signature's input '%.*s' is of type %.*s, the model file's feature is "
                       "%s; log the model without the steps before it, or all of it as ONNX",
                       IG_STR_ARGS(input->name), IG_STR_ARGS(input->type_name),
                       ig_feature_type_name(feature->type));
    feature->name = input->name;
    feature->named = !input->optional;
    /* MLflow has no missing values of these types, but of optional columns. */
    if (!input->optional && (input->type == IG_MLMODEL_WHOLE || input->type == IG_MLMODEL_BOOLEAN))
        feature->required = true;
    if (input->type == IG_MLMODEL_WHOLE && feature->type == IG_FEATURE_NUMERIC)
        feature->type = IG_FEATURE_INTEGER;
    return IG_OK;
}

enum ig_code ig_mlmodel_schema(struct ig_schema *out, const struct ig_mlmodel *mlmodel,
                               const struct ig_package *file, struct ig_arena *arena,
                               struct ig_err *err)
{
    const struct ig_schema *own = &file->schema;
    struct ig_schema schema = {.features_count = own->features_count,
                               .task = own->task,
                               .target = own->target,
                               .classes = own->classes,
                               .classes_count = own->classes_count};
    struct ig_mlmodel_input *inputs = NULL;
    if (mlmodel->inputs_count && mlmodel->inputs_count != own->features_count)
        return ig_fail(err, IG_UNSUPPORTED,
                       "the signature has %zu inputs, the model file %u features",
                       mlmodel->inputs_count, own->features_count);
    schema.features = ig_arena_array(arena, own->features_count, sizeof *schema.features);
    inputs = ig_arena_array(arena, own->features_count, sizeof *inputs);
    if (!schema.features || !inputs) return ig_fail(err, IG_NO_MEMORY, "schema");
    if (mlmodel->inputs_count && match(inputs, mlmodel, own, arena, err) != IG_OK) return err->code;
    for (uint32_t i = 0; i < own->features_count; i++) {
        struct ig_feature *feature = &schema.features[i];
        *feature = own->features[i];
        memset(&feature->code_by_category, 0, sizeof feature->code_by_category);
        if (mlmodel->inputs_count && fit(feature, &inputs[i], err) != IG_OK) return err->code;
        schema.has_required = schema.has_required || feature->required;
        schema.has_named = schema.has_named || feature->named;
    }
    *out = schema;
    return IG_OK;
}

/* What the package tells of where its model comes from. */
static struct ig_str origin(const struct ig_mlmodel *mlmodel, struct ig_str example,
                            struct ig_arena *arena)
{
    struct ig_buf text;
    struct ig_json_out out;
    ig_buf_init(&text, 2 * IG_MLMODEL_BYTES_MAX);
    ig_json_out_init(&out, &text);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "mlflow_flavor", mlmodel->flavor);
    if (mlmodel->model_class.len)
        ig_json_out_kv_str(&out, "mlflow_model_class", mlmodel->model_class);
    if (mlmodel->signature.len)
        ig_json_out_kv_str(&out, "mlflow_signature_inputs", mlmodel->signature);
    if (example.len) ig_json_out_kv_str(&out, "mlflow_input_example", example);
    ig_json_out_object_end(&out);
    struct ig_str copy = text.overflowed ? IG_STR("") : ig_arena_dup(arena, ig_buf_view(&text));
    ig_buf_deinit(&text);
    return copy;
}

struct example {
    struct ig_str text; /* ptr NULL: there is none */
    struct ig_err why;  /* it cannot be used */
};

/* A model without golden rows is better than none: an example is never what fails. */
static struct example read_example(const struct ig_mlmodel *mlmodel,
                                   const struct ig_mlmodel_files *files, struct ig_arena *arena)
{
    struct example example = {.text = {NULL, 0}, .why = IG_ERR_INIT};
    struct ig_str bytes = {NULL, 0};
    if (!mlmodel->example.len) return example;
    if (files->read(&bytes, files->context, mlmodel->example, &example.why) != IG_OK)
        return example;
    if (bytes.len > IG_MLMODEL_EXAMPLE_BYTES_MAX)
        ig_fail(&example.why, IG_TOO_LARGE, "%zu bytes, at most %d are read", bytes.len,
                IG_MLMODEL_EXAMPLE_BYTES_MAX);
    else
        example.text = ig_arena_dup(arena, bytes);
    return example;
}

struct writing {
    struct ig_buf *zip;
    const struct ig_mlmodel *mlmodel;
    struct ig_str bytes, name;
    const struct ig_schema *schema;
    struct ig_arena *arena;
};

static enum ig_code write_zip(const struct writing *writing, struct ig_mlmodel_rows rows,
                              const char *example, struct ig_err *err)
{
    const struct ig_package_spec spec = {
        .model_bytes = writing->bytes,
        .schema = writing->schema,
        .name = writing->name,
        .metadata_json = origin(writing->mlmodel, ig_str_view(example), writing->arena),
        .golden_rows = rows.items,
        .golden_count = rows.count};
    return ig_package_write(writing->zip, &spec, err);
}

static enum ig_code write_with_example(const struct writing *writing, struct example *example,
                                       struct ig_err *err)
{
    struct ig_mlmodel_rows rows = {NULL, 0};
    char told[sizeof example->why.message + 16] = "";
    if (example->text.ptr && ig_mlmodel_example(&rows, writing->schema, example->text,
                                                writing->arena, &example->why) == IG_OK) {
        snprintf(told, sizeof told, "%zu golden rows", rows.count);
        if (write_zip(writing, rows, told, &example->why) == IG_OK) return IG_OK;
        ig_buf_reset(writing->zip);
    }
    if (example->why.code != IG_OK)
        snprintf(told, sizeof told, "not used: %s", example->why.message);
    return write_zip(writing, (struct ig_mlmodel_rows){NULL, 0}, told, err);
}

static enum ig_code write_package(struct writing writing, struct example *example,
                                  struct ig_err *err)
{
    struct ig_package *file = NULL;
    struct ig_schema schema;
    if (ig_package_open_bytes(&file, writing.bytes, NULL, err) == IG_OK &&
        ig_mlmodel_schema(&schema, writing.mlmodel, file, writing.arena, err) == IG_OK) {
        writing.schema = &schema;
        write_with_example(&writing, example, err);
    }
    ig_package_free(file);
    return err->code;
}

/* A file that an ONNX model names lies beside it. */
struct beside {
    const struct ig_mlmodel_files *files;
    struct ig_str directory; /* with its slash, or empty */
    struct ig_arena *arena;
};

static enum ig_code read_beside(struct ig_str *out, void *context, struct ig_str location,
                                struct ig_err *err)
{
    const struct beside *beside = context;
    const char *name = ig_arena_printf(beside->arena, "%.*s%.*s", IG_STR_ARGS(beside->directory),
                                       IG_STR_ARGS(location));
    if (!name) return ig_fail(err, IG_NO_MEMORY, "path of a file");
    return beside->files->read(out, beside->files->context, ig_str_view(name), err);
}

enum ig_code ig_mlmodel_package(struct ig_buf *zip, const struct ig_mlmodel *mlmodel,
                                const struct ig_mlmodel_files *files, struct ig_str name,
                                struct ig_arena *arena, struct ig_err *err)
{
    struct beside beside = {files, mlmodel->file, arena};
    struct ig_buf own, whole;
    struct ig_str bytes;
    struct ig_str *directory = &beside.directory;
    while (directory->len && directory->ptr[directory->len - 1] != '/') directory->len--;
    ig_buf_init(&own, zip->max_bytes);
    ig_buf_init(&whole, zip->max_bytes);
    struct example example = read_example(mlmodel, files, arena); /* before the model file, which
                                                                     takes its place */
    if (files->read(&bytes, files->context, mlmodel->file, err) != IG_OK) goto out;
    if (ig_str_is(mlmodel->flavor, "onnx")) {
        ig_buf_add_str(&own, bytes); /* the next file that is read takes its place */
        if (own.overflowed) ig_fail(err, IG_NO_MEMORY, "model file");
        bytes = ig_buf_view(&own);
        if (err->code != IG_OK || ig_onnx_inline(&whole, bytes, read_beside, &beside, err) != IG_OK)
            goto out;
        if (whole.len) bytes = ig_buf_view(&whole);
    }
    write_package((struct writing){zip, mlmodel, bytes, name, NULL, arena}, &example, err);
out:
    ig_buf_deinit(&own);
    ig_buf_deinit(&whole);
    return err->code;
}
