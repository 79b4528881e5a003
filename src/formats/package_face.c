/* SPDX-License-Identifier: Apache-2.0 */
/* A package without its model, as bytes: what a process has to know of a model that another one
 * runs. Thread rule: pure. */
#include "formats/package_priv.h"

#include "base/mem.h"
#include "base/pack.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ARENA_CHUNK = 16 << 10, NAMES_MAX = 1 << 24 };

static void pack_texts(struct ig_buf *out, const struct ig_str *texts, uint32_t count)
{
    ig_pack_u64(out, count);
    for (uint32_t i = 0; i < count; i++) ig_pack_text(out, texts[i]);
}

static void pack_schema(struct ig_buf *out, const struct ig_schema *schema)
{
    ig_pack_u64(out, (uint64_t)schema->task);
    ig_pack_text(out, schema->target);
    pack_texts(out, schema->classes, schema->classes_count);
    ig_pack_u64(out, schema->features_count);
    for (uint32_t i = 0; i < schema->features_count; i++) {
        const struct ig_feature *feature = &schema->features[i];
        ig_pack_text(out, feature->name);
        ig_pack_u64(out, (uint64_t)feature->type);
        pack_texts(out, feature->categories, feature->categories_count);
        ig_pack_u64(out, feature->hashed);
        ig_pack_u64(out, feature->hash_coded);
        ig_pack_u64(out, feature->required);
        ig_pack_u64(out, feature->named);
    }
}

/* Each kind: whether the model has it, and its values. */
static void pack_importances(struct ig_buf *out, const struct ig_package *package)
{
    uint32_t count = package->model->features_count;
    double *values = ig_zalloc_array(count + (size_t)1, sizeof *values);
    for (int kind = 0; kind < IG_IMPORTANCES_COUNT; kind++) {
        struct ig_err none = IG_ERR_INIT;
        bool has = values && ig_package_importance(values, package, (enum ig_importance)kind, NULL,
                                                   &none) == IG_OK;
        ig_pack_u64(out, has);
        if (has) ig_pack_array(out, values, count, sizeof *values);
    }
    out->overflowed = out->overflowed || !values;
    ig_free(values);
}

void ig_package_face_write(struct ig_buf *out, const struct ig_package *package)
{
    const struct ig_model *model = package->model;
    ig_pack_u64(out, (uint64_t)model->kind);
    ig_pack_u64(out, model->features_count);
    ig_pack_u64(out, model->outputs_count);
    ig_pack_u64(out, model->predictions_count);
    ig_pack_u64(out, (uint64_t)model->transform);
    ig_pack_f64(out, model->transform_parameter);
    ig_pack_u64(out, model->inputs_f32); /* in which precision it transforms */
    ig_pack_text(out, package->name);
    ig_pack_text(out, package->runtime);
    ig_pack_text(out, package->runtime_version);
    ig_pack_text(out, package->runtime_reason);
    ig_pack_text(out, package->metadata_json);
    ig_pack_text(out, ig_str_view(package->model_digest));
    ig_pack_u64(out, package->memory_bytes);
    pack_schema(out, &package->schema);
    pack_importances(out, package);
}

struct reading {
    struct ig_unpack in;
    struct ig_package *package;
};

static struct ig_str read_text(struct reading *reading)
{
    return ig_arena_dup(&reading->package->arena, ig_unpack_text(&reading->in));
}

/* A number of which each takes some bytes, so that what is made for them is bounded. */
static uint32_t read_count(struct reading *reading)
{
    uint64_t count = ig_unpack_u64(&reading->in);
    if (count > NAMES_MAX || count > reading->in.left / 8) reading->in.failed = true;
    return reading->in.failed ? 0 : (uint32_t)count;
}

static struct ig_str *read_texts(struct reading *reading, uint32_t *count)
{
    *count = read_count(reading);
    struct ig_str *texts = ig_arena_array(&reading->package->arena, *count, sizeof *texts);
    if (!texts) *count = 0;
    for (uint32_t i = 0; i < *count; i++) texts[i] = read_text(reading);
    return *count ? texts : NULL;
}

static void read_schema(struct reading *reading)
{
    struct ig_schema *schema = &reading->package->schema;
    uint64_t task = ig_unpack_u64(&reading->in);
    schema->target = read_text(reading);
    schema->classes = read_texts(reading, &schema->classes_count);
    uint32_t count = read_count(reading);
    struct ig_feature *features =
        ig_arena_zalloc(&reading->package->arena, count * sizeof *features + 1);
    for (uint32_t i = 0; features && i < count; i++) {
        features[i].name = read_text(reading);
        uint64_t type = ig_unpack_u64(&reading->in);
        features[i].type = (enum ig_feature_type)type;
        features[i].categories = read_texts(reading, &features[i].categories_count);
        features[i].hashed = ig_unpack_u64(&reading->in) != 0;
        features[i].hash_coded = ig_unpack_u64(&reading->in) != 0;
        features[i].required = ig_unpack_u64(&reading->in) != 0;
        features[i].named = ig_unpack_u64(&reading->in) != 0;
        if (type > IG_FEATURE_CATEGORICAL) reading->in.failed = true;
    }
    if (task > IG_TASK_RANKING) reading->in.failed = true;
    schema->task = (enum ig_task)task;
    schema->features = features;
    schema->features_count = features ? count : 0;
}

static void read_model(struct reading *reading)
{
    struct ig_model *model = reading->package->model;
    struct ig_unpack *in = &reading->in;
    uint64_t kind = ig_unpack_u64(in), features = ig_unpack_u64(in), outputs = ig_unpack_u64(in);
    uint64_t predictions = ig_unpack_u64(in), transform = ig_unpack_u64(in);
    if (kind >= IG_MODEL_KINDS_COUNT || transform >= IG_TRANSFORMS_COUNT || features > NAMES_MAX ||
        !outputs || outputs > NAMES_MAX || !predictions || predictions > NAMES_MAX)
        in->failed = true;
    model->kind = (enum ig_model_kind)kind;
    model->features_count = (uint32_t)features;
    model->outputs_count = (uint32_t)outputs;
    model->predictions_count = (uint32_t)predictions;
    model->transform = (enum ig_transform)transform;
    model->transform_parameter = ig_unpack_f64(in);
    model->inputs_f32 = ig_unpack_u64(in) != 0;
}

static void read_importances(struct reading *reading)
{
    struct ig_package *package = reading->package;
    uint32_t count = package->model->features_count;
    for (int kind = 0; kind < IG_IMPORTANCES_COUNT; kind++) {
        if (!ig_unpack_u64(&reading->in)) continue;
        const double *values = ig_unpack_array(&reading->in, count, sizeof *values);
        double *copy = values ? ig_arena_array(&package->arena, count, sizeof *copy) : NULL;
        for (uint32_t i = 0; copy && i < count; i++) {
            copy[i] = values[i];
            if (!isfinite(copy[i])) reading->in.failed = true;
        }
        package->importances[kind] = copy;
    }
    package->model->covers_counted = !package->importances[IG_IMPORTANCE_COVER];
}

static void read_all(struct reading *reading, struct ig_err *err)
{
    struct ig_package *package = reading->package;
    read_model(reading);
    package->name = read_text(reading);
    package->runtime = read_text(reading);
    package->runtime_version = read_text(reading);
    package->runtime_reason = read_text(reading);
    package->metadata_json = read_text(reading);
    struct ig_str digest = ig_unpack_text(&reading->in);
    if (digest.len < sizeof package->model_digest)
        snprintf(package->model_digest, sizeof package->model_digest, "%.*s", IG_STR_ARGS(digest));
    package->memory_bytes = ig_unpack_u64(&reading->in);
    read_schema(reading);
    read_importances(reading);
    if (reading->in.failed || package->schema.features_count != package->model->features_count)
        ig_fail(err, IG_CORRUPT, "description of a model: %zu bytes are left, cut or damaged",
                reading->in.left);
    else if (package->arena.overflowed)
        ig_fail(err, IG_NO_MEMORY, "description of a model");
    else
        ig_schema_index(&package->schema, err);
}

enum ig_code ig_package_face_read(struct ig_package **out, struct ig_str bytes, struct ig_err *err)
{
    struct ig_package *package = ig_zalloc(sizeof *package);
    if (!package) return ig_fail(err, IG_NO_MEMORY, "description of a model");
    ig_arena_init(&package->arena, ARENA_CHUNK, ((size_t)1 << 20) + bytes.len * 8);
    package->model = ig_model_new(1 << 16);
    struct reading reading = {{bytes.ptr, bytes.len, false}, package};
    if (package->model)
        read_all(&reading, err);
    else
        ig_fail(err, IG_NO_MEMORY, "description of a model");
    if (err->code == IG_OK)
        *out = package;
    else
        ig_package_free(package);
    return err->code;
}

static enum ig_code features_importance(double *out, const struct ig_package *package,
                                        enum ig_importance kind, struct ig_err *err)
{
    const double *known = package->importances[kind];
    uint32_t count = package->model->features_count;
    if (!known) return ig_importance_run(out, package->model, kind, err);
    if (count) memcpy(out, known, count * sizeof *out);
    return IG_OK;
}

/* `values`: of features, of the sums' kind. */
static enum ig_code find_means(double *out, double *values, const struct ig_package *package,
                               const struct ig_players *players, struct ig_err *err)
{
    uint32_t features = package->model->features_count;
    double *splits = ig_zalloc_array(players->count + (size_t)1, sizeof *splits);
    if (!splits) return ig_fail(err, IG_NO_MEMORY, "no memory for importances");
    if (features_importance(values, package, IG_IMPORTANCE_SPLIT, err) == IG_OK)
        ig_importance_gather(splits, values, features, players);
    for (uint32_t p = 0; p < players->count; p++)
        if (splits[p] > 0) out[p] /= splits[p];
    ig_free(splits);
    return err->code;
}

enum ig_code ig_package_importance(double *out, const struct ig_package *package,
                                   enum ig_importance kind, const struct ig_players *players,
                                   struct ig_err *err)
{
    uint32_t features = package->model->features_count;
    enum ig_importance sum = ig_importance_sum(kind);
    if (!players || !players->of_feature) return features_importance(out, package, kind, err);
    double *values = ig_zalloc_array(features + (size_t)1, sizeof *values);
    if (!values) return ig_fail(err, IG_NO_MEMORY, "no memory for importances");
    if (features_importance(values, package, kind, err) == IG_OK &&
        (sum == kind || features_importance(values, package, sum, err) == IG_OK)) {
        ig_importance_gather(out, values, features, players);
        if (sum != kind) find_means(out, values, package, players, err);
    }
    ig_free(values);
    return err->code;
}

bool ig_package_has_gains(const struct ig_package *package)
{
    return package->model->gains || package->importances[IG_IMPORTANCE_GAIN];
}
