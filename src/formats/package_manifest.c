/* SPDX-License-Identifier: Apache-2.0 */
/* ingot.yaml: a package's name, schema and training metadata; docs/package.md describes it.
 *
 * Metadata is any YAML mapping. It is kept as one JSON object: quoted scalars become strings, plain
 * ones null, booleans, numbers or strings, as YAML's JSON schema reads them. It is written back as
 * JSON values, which are YAML too. The conversion keeps its own stack, since YAML bounds its depth.
 */
#include "base/json.h"
#include "base/yaml.h"
#include "formats/package_priv.h"

#include <math.h>
#include <string.h>

enum { STACK_MAX = 64, FEATURES_MAX = 10000000 };

struct reading {
    struct ig_package *package;
    struct ig_arena *arena; /* the package's */
    struct ig_err *err;
};

static bool fail(struct reading *reading, const struct ig_yaml *node, const char *what,
                 const char *expected)
{
    ig_fail(reading->err, IG_INVALID, "line %d: %s: expected %s", node->line, what, expected);
    return false;
}

static bool copy(struct reading *reading, struct ig_str *out, const struct ig_yaml *node,
                 const char *what)
{
    struct ig_str text;
    if (ig_yaml_str(&text, node, what, reading->err) != IG_OK) return false;
    *out = ig_arena_dup(reading->arena, text);
    if (out->ptr) return true;
    ig_fail(reading->err, IG_NO_MEMORY, "%s: out of memory", what);
    return false;
}

/* An optional text member. */
static bool read_text(struct reading *reading, struct ig_str *out, const struct ig_yaml *mapping,
                      const char *key)
{
    const struct ig_yaml *node = ig_yaml_get(mapping, key);
    return !node || copy(reading, out, node, key);
}

/* An optional list of texts. */
static bool read_texts(struct reading *reading, struct ig_str **out, uint32_t *count,
                       const struct ig_yaml *mapping, const char *key)
{
    const struct ig_yaml *node = ig_yaml_get(mapping, key);
    if (!node) return true;
    if (node->kind != IG_YAML_SEQUENCE || node->count > FEATURES_MAX)
        return fail(reading, node, key, "a list");
    struct ig_str *texts = ig_arena_array(reading->arena, node->count + 1, sizeof *texts);
    if (!texts) {
        ig_fail(reading->err, IG_NO_MEMORY, "%s: out of memory", key);
        return false;
    }
    uint32_t at = 0;
    for (const struct ig_yaml *item = node->first; item; item = item->next)
        if (!copy(reading, &texts[at++], item, key)) return false;
    *out = texts;
    *count = at;
    return true;
}

static bool read_hashed(struct reading *reading, struct ig_feature *feature,
                        const struct ig_yaml *mapping)
{
    const struct ig_yaml *node = ig_yaml_get(mapping, "categories_hashed");
    return !node ||
           ig_yaml_bool(&feature->hashed, node, "categories_hashed", reading->err) == IG_OK;
}

/* `name` or `value`: of the feature a row by names must have that. */
static bool read_required(struct reading *reading, struct ig_feature *feature,
                          const struct ig_yaml *mapping)
{
    struct ig_str what = IG_STR("");
    if (!read_text(reading, &what, mapping, "required")) return false;
    feature->required = ig_str_is(what, "value");
    feature->named = feature->required || ig_str_is(what, "name");
    return !what.ptr || !what.len || feature->named ||
           fail(reading, mapping, "required", "name or value");
}

static bool read_feature(struct reading *reading, struct ig_feature *feature,
                         const struct ig_yaml *node)
{
    struct ig_str type = IG_STR("numeric");
    if (node->kind != IG_YAML_MAPPING || !ig_yaml_get(node, "name"))
        return fail(reading, node, "features", "a mapping with a name");
    if (!read_text(reading, &feature->name, node, "name") ||
        !read_text(reading, &type, node, "type") ||
        !read_texts(reading, &feature->categories, &feature->categories_count, node,
                    "categories") ||
        !read_hashed(reading, feature, node) || !read_required(reading, feature, node))
        return false;
    if (!ig_feature_type_parse(type, &feature->type))
        return fail(reading, node, "type", "numeric, integer or categorical");
    if (ig_feature_takes_text(feature) && feature->type != IG_FEATURE_CATEGORICAL)
        return fail(reading, node, "categories", "type: categorical with them");
    return true;
}

static bool read_features(struct reading *reading, const struct ig_yaml *root)
{
    struct ig_schema *schema = &reading->package->schema;
    const struct ig_yaml *list = ig_yaml_get(root, "features");
    if (!list || list->kind != IG_YAML_SEQUENCE || !list->count || list->count > FEATURES_MAX)
        return fail(reading, list ? list : root, "features", "a list of the model's inputs");
    schema->features = ig_arena_array(reading->arena, list->count, sizeof *schema->features);
    if (!schema->features) {
        ig_fail(reading->err, IG_NO_MEMORY, "features: out of memory");
        return false;
    }
    for (const struct ig_yaml *node = list->first; node; node = node->next)
        if (!read_feature(reading, &schema->features[schema->features_count++], node)) return false;
    return true;
}

/* Whether a plain scalar is null, a boolean or a number as JSON writes it. */
static bool is_json_literal(struct ig_str text)
{
    struct ig_err ignored = IG_ERR_INIT;
    struct ig_arena arena;
    struct ig_json json;
    ig_arena_init(&arena, 256, 256);
    ig_json_init(&json, text, &arena, &ignored);
    enum ig_json_event event = ig_json_next(&json);
    bool literal = (event == IG_JSON_NULL || event == IG_JSON_BOOL || event == IG_JSON_NUMBER) &&
                   ig_json_next(&json) == IG_JSON_END;
    ig_arena_deinit(&arena);
    return literal;
}

static void open_json(struct ig_json_out *out, const struct ig_yaml *node)
{
    if (node->kind == IG_YAML_MAPPING)
        ig_json_out_object(out);
    else
        ig_json_out_array(out);
}

static void close_json(struct ig_json_out *out, const struct ig_yaml *node)
{
    if (node->kind == IG_YAML_MAPPING)
        ig_json_out_object_end(out);
    else
        ig_json_out_array_end(out);
}

static void scalar_json(struct ig_json_out *out, const struct ig_yaml *node)
{
    if (!node->quoted && is_json_literal(node->text))
        ig_json_out_raw(out, node->text);
    else
        ig_json_out_str(out, node->text);
}

/* A YAML tree as JSON text. */
static bool yaml_to_json(struct reading *reading, const struct ig_yaml *root, struct ig_buf *buf)
{
    const struct ig_yaml *open[STACK_MAX];
    const struct ig_yaml *next[STACK_MAX];
    size_t depth = 1;
    struct ig_json_out out;
    ig_json_out_init(&out, buf);
    open_json(&out, root);
    open[0] = root;
    next[0] = root->first;
    while (depth > 0) {
        const struct ig_yaml *node = next[depth - 1];
        if (!node) {
            close_json(&out, open[--depth]);
            continue;
        }
        next[depth - 1] = node->next;
        if (open[depth - 1]->kind == IG_YAML_MAPPING) ig_json_out_key(&out, node->key);
        if (node->kind == IG_YAML_SCALAR) {
            scalar_json(&out, node);
            continue;
        }
        if (depth == STACK_MAX) return fail(reading, node, "metadata", "less nesting");
        open_json(&out, node);
        open[depth] = node;
        next[depth++] = node->first;
    }
    return true;
}

static bool read_metadata(struct reading *reading, const struct ig_yaml *root)
{
    const struct ig_yaml *node = ig_yaml_get(root, "metadata");
    struct ig_buf buf;
    reading->package->metadata_json = IG_STR("{}");
    if (!node) return true;
    if (node->kind != IG_YAML_MAPPING) return fail(reading, node, "metadata", "a mapping");
    ig_buf_init(&buf, PKG_MANIFEST_MAX_BYTES);
    bool good = yaml_to_json(reading, node, &buf);
    if (good) {
        reading->package->metadata_json = ig_arena_dup(reading->arena, ig_buf_view(&buf));
        good = !buf.overflowed && reading->package->metadata_json.ptr;
        if (!good) ig_fail(reading->err, IG_NO_MEMORY, "metadata: out of memory");
    }
    ig_buf_deinit(&buf);
    return good;
}

/* A name without a folder: no entry or file but one of the package's own can be meant. */
static bool is_plain_name(struct ig_str name)
{
    return name.len > 0 && name.len < 256 && !memchr(name.ptr, '/', name.len) &&
           !memchr(name.ptr, '\\', name.len) && !memchr(name.ptr, '\0', name.len) &&
           !ig_str_is(name, ".") && !ig_str_is(name, "..");
}

static bool read_root(struct reading *reading, struct pkg_manifest *out, const struct ig_yaml *root)
{
    struct ig_schema *schema = &reading->package->schema;
    struct ig_str task = {0};
    const struct ig_yaml *tolerance;
    if (root->kind != IG_YAML_MAPPING) return fail(reading, root, "manifest", "a mapping");
    if (!ig_yaml_get(root, "model") || !ig_yaml_get(root, "task"))
        return fail(reading, root, "manifest", "at least model, task and features");
    if (!read_text(reading, &reading->package->name, root, "name") ||
        !read_text(reading, &out->model_file, root, "model") ||
        !read_text(reading, &out->format, root, "format") ||
        !read_text(reading, &out->encoder_file, root, "encoder") ||
        !read_text(reading, &task, root, "task") ||
        !read_text(reading, &schema->target, root, "target") ||
        !read_texts(reading, &schema->classes, &schema->classes_count, root, "classes") ||
        !read_features(reading, root) || !read_metadata(reading, root))
        return false;
    if (!is_plain_name(out->model_file))
        return fail(reading, ig_yaml_get(root, "model"), "model",
                    "the name of a file without a folder");
    if (out->encoder_file.ptr && !is_plain_name(out->encoder_file))
        return fail(reading, ig_yaml_get(root, "encoder"), "encoder",
                    "the name of a file without a folder");
    if (!ig_task_parse(task, &schema->task))
        return fail(reading, ig_yaml_get(root, "task"), "task",
                    "regression, binary, multiclass or ranking");
    tolerance = ig_yaml_get(root, "golden_tolerance");
    if (!tolerance) return true;
    return ig_yaml_f64(&out->golden_tolerance, tolerance, "golden_tolerance", reading->err) ==
               IG_OK &&
           ((out->golden_tolerance >= 0 && isfinite(out->golden_tolerance)) ||
            fail(reading, tolerance, "golden_tolerance", "a number from 0"));
}

enum ig_code pkg_manifest_read(struct pkg_manifest *out, struct ig_package *package,
                               struct ig_str yaml, struct ig_err *err)
{
    struct reading reading = {package, &package->arena, err};
    const struct ig_yaml *root;
    struct ig_arena scratch;
    ig_arena_init(&scratch, 64 * 1024, ((size_t)1 << 20) + yaml.len * 96);
    *out = (struct pkg_manifest){0};
    if (ig_yaml_parse(&root, yaml, &scratch, err) == IG_OK) read_root(&reading, out, root);
    ig_arena_deinit(&scratch);
    return err->code;
}

static bool add_text(struct ig_buf *yaml, struct ig_str text, const char *what, struct ig_err *err)
{
    if (!ig_str_utf8_valid(text)) {
        ig_fail(err, IG_INVALID, "%s '%.*s' is not UTF-8", what, IG_STR_ARGS(text));
        return false;
    }
    ig_yaml_add_quoted(yaml, text);
    return true;
}

static bool add_texts(struct ig_buf *yaml, const struct ig_str *texts, uint32_t count,
                      const char *what, struct ig_err *err)
{
    ig_buf_add_char(yaml, '[');
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) ig_buf_add_cstr(yaml, ", ");
        if (!add_text(yaml, texts[i], what, err)) return false;
    }
    ig_buf_add_cstr(yaml, "]\n");
    return true;
}

static bool add_feature(struct ig_buf *yaml, const struct ig_feature *feature, struct ig_err *err)
{
    ig_buf_add_cstr(yaml, "  - name: ");
    if (!add_text(yaml, feature->name, "feature", err)) return false;
    ig_buf_printf(yaml, "\n    type: %s\n", ig_feature_type_name(feature->type));
    if (feature->hashed) ig_buf_add_cstr(yaml, "    categories_hashed: true\n");
    if (feature->named)
        ig_buf_printf(yaml, "    required: %s\n", feature->required ? "value" : "name");
    if (feature->categories_count == 0) return true;
    ig_buf_add_cstr(yaml, "    categories: ");
    return add_texts(yaml, feature->categories, feature->categories_count, "category", err);
}

/* Copies one JSON value, event by event, so that what is written is known to be JSON. */
static bool copy_value(struct ig_json *json, struct ig_json_out *out)
{
    int depth = 0;
    do {
        switch (ig_json_next(json)) {
        case IG_JSON_NULL:
            ig_json_out_null(out);
            break;
        case IG_JSON_BOOL:
            ig_json_out_bool(out, json->boolean);
            break;
        case IG_JSON_NUMBER:
            ig_json_out_raw(out, json->text);
            break;
        case IG_JSON_STRING:
            ig_json_out_str(out, json->text);
            break;
        case IG_JSON_KEY:
            ig_json_out_key(out, json->text);
            continue;
        case IG_JSON_ARRAY:
            ig_json_out_array(out), depth++;
            break;
        case IG_JSON_OBJECT:
            ig_json_out_object(out), depth++;
            break;
        case IG_JSON_ARRAY_END:
            ig_json_out_array_end(out), depth--;
            break;
        case IG_JSON_OBJECT_END:
            ig_json_out_object_end(out), depth--;
            break;
        default:
            return false;
        }
    } while (depth > 0);
    return true;
}

/* One line a member: "  "KEY": VALUE". */
static bool add_members(struct ig_buf *yaml, struct ig_json *json)
{
    if (!ig_json_expect(json, IG_JSON_OBJECT, "metadata")) return false;
    while (ig_json_member(json)) {
        struct ig_json_out out;
        ig_buf_add_cstr(yaml, "  ");
        ig_yaml_add_quoted(yaml, json->text);
        ig_buf_add_cstr(yaml, ": ");
        ig_json_out_init(&out, yaml);
        if (!copy_value(json, &out)) return false;
        ig_buf_add_char(yaml, '\n');
    }
    return json->err->code == IG_OK && ig_json_next(json) == IG_JSON_END;
}

static bool add_metadata(struct ig_buf *yaml, struct ig_str metadata, struct ig_err *err)
{
    struct ig_json json;
    struct ig_arena arena;
    struct ig_str trimmed = ig_str_trim(metadata);
    if (trimmed.len == 0 || ig_str_is(trimmed, "{}")) return true;
    ig_arena_init(&arena, 4096, 65536 + metadata.len * 2);
    ig_json_init(&json, metadata, &arena, err);
    ig_buf_add_cstr(yaml, "metadata:\n");
    size_t before = yaml->len;
    bool good = add_members(yaml, &json);
    if (yaml->len == before) ig_buf_add_cstr(yaml, "  {}\n");
    ig_arena_deinit(&arena);
    if (!good) ig_err_prefix(err, "metadata");
    return good;
}

static bool write_manifest(struct ig_buf *yaml, const struct ig_package_spec *spec,
                           const struct ig_format *format, struct ig_err *err)
{
    const struct ig_schema *schema = spec->schema;
    ig_buf_add_cstr(yaml, "# Ingot model package. docs/package.md describes this file.\n");
    if (spec->name.len) {
        ig_buf_add_cstr(yaml, "name: ");
        if (!add_text(yaml, spec->name, "name", err)) return false;
        ig_buf_add_char(yaml, '\n');
    }
    ig_buf_printf(yaml, "model: %s\nformat: %s\ntask: %s\n", format->file_name, format->name,
                  ig_task_name(schema->task));
    if (spec->encoder_json.len) ig_buf_printf(yaml, "encoder: %s\n", PKG_ENCODER_NAME);
    if (schema->target.len) {
        ig_buf_add_cstr(yaml, "target: ");
        if (!add_text(yaml, schema->target, "target", err)) return false;
        ig_buf_add_char(yaml, '\n');
    }
    if (schema->classes_count) {
        ig_buf_add_cstr(yaml, "classes: ");
        if (!add_texts(yaml, schema->classes, schema->classes_count, "class", err)) return false;
    }
    ig_buf_add_cstr(yaml, "features:\n");
    for (uint32_t i = 0; i < schema->features_count; i++)
        if (!add_feature(yaml, &schema->features[i], err)) return false;
    return add_metadata(yaml, spec->metadata_json, err);
}

enum ig_code pkg_manifest_write(struct ig_buf *yaml, const struct ig_package_spec *spec,
                                const struct ig_format *format, struct ig_err *err)
{
    if (write_manifest(yaml, spec, format, err) && yaml->overflowed)
        ig_fail(err, IG_TOO_LARGE, "ingot.yaml: more than %zu bytes", yaml->max_bytes);
    return err->code;
}
