/* SPDX-License-Identifier: Apache-2.0 */
/* The public library's face: a thin layer over packages and the engine that turns views into C
 * strings and checks what only a foreign caller can get wrong. Owns the C strings in an arena of
 * the model. Invariant: a workspace remembers its model, so a call with another one is refused. */
#include <ingot/ingot.h>

#include "base/file.h"
#include "base/mem.h"
#include "formats/ingot_priv.h"

#include <stdio.h>
#include <string.h>

struct ingot_workspace {
    const struct ingot_model *model;
    size_t rows_max;
    void *scratch; /* enough for both operations */
    double *margins;
    double *additivity;
};

const char *ingot_version(void)
{
    return INGOT_VERSION;
}

static enum ingot_code public_code(enum ig_code code)
{
    switch (code) {
    case IG_OK:
        return INGOT_OK;
    case IG_NOT_FOUND:
        return INGOT_NOT_FOUND;
    case IG_NO_MEMORY:
    case IG_TOO_LARGE:
    case IG_EXHAUSTED:
        return INGOT_NO_MEMORY;
    case IG_IO:
    case IG_DENIED:
        return INGOT_IO;
    case IG_UNSUPPORTED:
        return INGOT_UNSUPPORTED;
    case IG_INTERNAL:
        return INGOT_FAILED;
    case IG_CORRUPT:
        return INGOT_CORRUPT;
    default:
        return INGOT_INVALID;
    }
}

enum ingot_code ingot_report(struct ingot_error *error, const struct ig_err *err)
{
    enum ingot_code code = public_code(err->code);
    if (!error) return code;
    error->code = code;
    error->position = err->at_byte;
    snprintf(error->message, sizeof error->message, "%s", err->message);
    return code;
}

static void copy_names(struct ingot_model *model)
{
    const struct ig_schema *schema = &model->package->schema;
    struct ig_arena *arena = &model->arena;
    model->feature_names = ig_arena_array(arena, schema->features_count, sizeof(char *));
    model->class_names = ig_arena_array(arena, schema->classes_count, sizeof(char *));
    if (arena->overflowed) return;
    for (uint32_t i = 0; i < schema->features_count; i++)
        model->feature_names[i] = ig_arena_cstr(arena, schema->features[i].name);
    for (uint32_t i = 0; i < schema->classes_count; i++)
        model->class_names[i] = ig_arena_cstr(arena, schema->classes[i]);
}

/* Takes the package over. */
static enum ingot_code wrap(struct ingot_model **out, struct ig_package *package,
                            struct ingot_error *error)
{
    struct ig_err err = IG_ERR_INIT;
    struct ingot_model *model = ig_zalloc(sizeof *model);
    if (!model) {
        ig_package_free(package);
        ig_fail(&err, IG_NO_MEMORY, "no memory for the model");
        return ingot_report(error, &err);
    }
    model->package = package;
    ig_arena_init(&model->arena, 4096, (size_t)1 << 30);
    copy_names(model);
    if (model->arena.overflowed) {
        ingot_model_free(model);
        ig_fail(&err, IG_NO_MEMORY, "no memory for the model's names");
        return ingot_report(error, &err);
    }
    *out = model;
    return INGOT_OK;
}

static struct ig_package_limits limits_of(const struct ingot_options *options)
{
    struct ig_package_limits limits = {0};
    if (options && options->size >= sizeof *options)
        limits.file_max_bytes = options->file_max_bytes;
    return limits;
}

enum ingot_code ingot_model_open_file(struct ingot_model **out, const char *path,
                                      const struct ingot_options *options,
                                      struct ingot_error *error)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_package_limits limits = limits_of(options);
    struct ig_package *package;
    if (ig_package_open(&package, IG_FILE_CWD, path, &limits, &err) != IG_OK)
        return ingot_report(error, &err);
    return wrap(out, package, error);
}

enum ingot_code ingot_model_open_bytes(struct ingot_model **out, const void *bytes, size_t size,
                                       const struct ingot_options *options,
                                       struct ingot_error *error)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_package_limits limits = limits_of(options);
    struct ig_package *package;
    if (ig_package_open_bytes(&package, (struct ig_str){bytes, size}, &limits, &err) != IG_OK)
        return ingot_report(error, &err);
    return wrap(out, package, error);
}

void ingot_model_free(struct ingot_model *model)
{
    if (!model) return;
    ig_package_free(model->package);
    ig_arena_deinit(&model->arena);
    ig_free(model);
}

uint32_t ingot_model_features_count(const struct ingot_model *model)
{
    return model->package->model->features_count;
}

uint32_t ingot_model_outputs_count(const struct ingot_model *model)
{
    return model->package->model->outputs_count;
}

uint32_t ingot_model_predictions_count(const struct ingot_model *model)
{
    return model->package->model->predictions_count;
}

const char *ingot_model_format(const struct ingot_model *model)
{
    return model->package->format->name;
}

const char *ingot_model_digest(const struct ingot_model *model)
{
    return model->package->model_digest;
}

const char *ingot_model_feature_name(const struct ingot_model *model, uint32_t feature)
{
    return feature < model->package->schema.features_count ? model->feature_names[feature] : NULL;
}

int32_t ingot_model_feature_index(const struct ingot_model *model, const char *name)
{
    return ig_schema_feature_index(&model->package->schema, ig_str_view(name));
}

int32_t ingot_model_category_code(const struct ingot_model *model, uint32_t feature,
                                  const char *category)
{
    const struct ig_schema *schema = &model->package->schema;
    if (feature >= schema->features_count) return -1;
    return ig_feature_category_code(&schema->features[feature], ig_str_view(category));
}

uint32_t ingot_model_classes_count(const struct ingot_model *model)
{
    return model->package->schema.classes_count;
}

const char *ingot_model_class_name(const struct ingot_model *model, uint32_t class_index)
{
    const struct ig_schema *schema = &model->package->schema;
    return class_index < schema->classes_count ? model->class_names[class_index] : NULL;
}

struct ingot_workspace *ingot_workspace_new(const struct ingot_model *model, size_t rows_max)
{
    struct ingot_workspace *work = ig_zalloc(sizeof *work);
    const struct ig_engine *engine = model->package->engine;
    size_t margins;
    if (!work || rows_max == 0) goto fail;
    if (!ig_mul(&margins, rows_max, ingot_model_outputs_count(model))) goto fail;
    size_t a = ig_engine_scratch_bytes(engine, IG_ENGINE_MARGIN, rows_max);
    size_t b = ig_engine_explains(engine)
                   ? ig_engine_scratch_bytes(engine, IG_ENGINE_CONTRIBUTIONS, rows_max)
                   : 0;
    work->model = model;
    work->rows_max = rows_max;
    work->scratch = ig_alloc_aligned(64, (a > b ? a : b) + 64);
    work->margins = ig_zalloc_array(margins, sizeof(double));
    work->additivity = ig_zalloc_array(rows_max, sizeof(double));
    if (work->scratch && work->margins && work->additivity) return work;
fail:
    ingot_workspace_free(work);
    return NULL;
}

void ingot_workspace_free(struct ingot_workspace *work)
{
    if (!work) return;
    ig_free(work->scratch);
    ig_free(work->margins);
    ig_free(work->additivity);
    ig_free(work);
}

static bool fits(const struct ingot_model *model, const struct ingot_workspace *work,
                 const double *rows, size_t rows_count)
{
    struct ig_err err = IG_ERR_INIT;
    return work && work->model == model && rows_count <= work->rows_max &&
           ig_schema_check_rows(&model->package->schema, rows, rows_count, &err) == IG_OK;
}

enum ingot_code ingot_margin(const struct ingot_model *model, struct ingot_workspace *work,
                             const double *rows, size_t rows_count, double *margins)
{
    if (!fits(model, work, rows, rows_count)) return INGOT_INVALID;
    const struct ig_engine *engine = model->package->engine;
    struct ig_err err = IG_ERR_INIT;
    ig_engine_margin(engine, rows, rows_count, margins, work->scratch);
    return public_code(
        ig_engine_check(engine, margins, rows_count * model->package->model->outputs_count, &err));
}

enum ingot_code ingot_predict(const struct ingot_model *model, struct ingot_workspace *work,
                              const double *rows, size_t rows_count, double *predictions)
{
    if (!fits(model, work, rows, rows_count)) return INGOT_INVALID;
    const struct ig_model *inner = model->package->model;
    enum ingot_code code = ingot_margin(model, work, rows, rows_count, work->margins);
    if (code != INGOT_OK) return code;
    for (size_t i = 0; i < rows_count; i++)
        ig_model_transform(inner, work->margins + i * inner->outputs_count,
                           predictions + i * inner->predictions_count);
    return INGOT_OK;
}

enum ingot_code ingot_explain(const struct ingot_model *model, struct ingot_workspace *work,
                              const double *rows, size_t rows_count, double *contributions,
                              double *additivity_errors)
{
    if (!fits(model, work, rows, rows_count)) return INGOT_INVALID;
    const struct ig_engine *engine = model->package->engine;
    if (!ig_engine_explains(engine)) return INGOT_UNSUPPORTED;
    struct ig_engine_io io = {rows, rows_count, contributions,
                              additivity_errors ? additivity_errors : work->additivity, NULL};
    ig_engine_explain(engine, &io, work->scratch);
    return INGOT_OK;
}
