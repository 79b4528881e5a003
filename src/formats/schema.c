/* SPDX-License-Identifier: Apache-2.0 */
/* Schemas: names to indices, category texts to codes, cells to row values. A schema is immutable
 * once indexed and may then be shared by threads. */
#include "formats/schema.h"

#include "base/city.h"
#include "base/table.h"

#include <math.h>
#include <stdio.h>

static const char *const type_names[] = {"numeric", "integer", "categorical"};
static const char *const task_names[] = {"regression", "binary", "multiclass", "ranking"};

enum { SHOWN_MAX = 80 }; /* bytes of a cell that a message repeats */

static enum ig_code index_categories(struct ig_feature *feature, struct ig_err *err)
{
    ig_map_init(&feature->code_by_category, (size_t)feature->categories_count + 1);
    for (uint32_t code = 0; code < feature->categories_count; code++) {
        struct ig_str text = feature->categories[code];
        if (ig_map_get(&feature->code_by_category, text))
            return ig_fail(err, IG_INVALID, "feature '%.*s': category '%.*s' stands twice",
                           IG_STR_ARGS(feature->name), IG_STR_ARGS(text));
        if (!ig_map_put(&feature->code_by_category, text, (void *)(uintptr_t)(code + 1)))
            return ig_fail(err, IG_NO_MEMORY, "feature '%.*s': out of memory",
                           IG_STR_ARGS(feature->name));
    }
    return IG_OK;
}

enum ig_code ig_schema_index(struct ig_schema *schema, struct ig_err *err)
{
    ig_map_init(&schema->feature_by_name, (size_t)schema->features_count + 1);
    schema->numbers_count = 0;
    for (uint32_t i = 0; i < schema->features_count; i++) {
        struct ig_feature *feature = &schema->features[i];
        if (schema->numbers_count == i && !ig_feature_takes_text(feature)) schema->numbers_count++;
        schema->has_required = schema->has_required || feature->required;
        schema->has_named = schema->has_named || feature->named;
        if (ig_map_get(&schema->feature_by_name, feature->name))
            return ig_fail(err, IG_INVALID, "feature '%.*s' stands twice",
                           IG_STR_ARGS(feature->name));
        if (!ig_map_put(&schema->feature_by_name, feature->name, (void *)(uintptr_t)(i + 1)))
            return ig_fail(err, IG_NO_MEMORY, "schema: out of memory");
        if (index_categories(feature, err) != IG_OK) return err->code;
    }
    return IG_OK;
}

void ig_schema_deinit(struct ig_schema *schema)
{
    for (uint32_t i = 0; i < schema->features_count; i++)
        ig_map_deinit(&schema->features[i].code_by_category);
    ig_map_deinit(&schema->feature_by_name);
}

static int32_t found(const struct ig_map *map, struct ig_str key)
{
    return (int32_t)(uintptr_t)ig_map_get(map, key) - 1;
}

int32_t ig_schema_feature_index(const struct ig_schema *schema, struct ig_str name)
{
    return found(&schema->feature_by_name, name);
}

uint32_t ig_category_hash(struct ig_str category)
{
    return (uint32_t)ig_city_hash64(category);
}

int32_t ig_feature_category_code(const struct ig_feature *feature, struct ig_str category)
{
    char hash[16];
    if (feature->hash_coded) return (int32_t)ig_category_hash(category);
    if (!feature->hashed) return found(&feature->code_by_category, category);
    snprintf(hash, sizeof hash, "%u", ig_category_hash(category));
    return found(&feature->code_by_category, ig_str_view(hash));
}

struct ig_str ig_feature_category_text(const struct ig_feature *feature, double code,
                                       char hash[IG_FEATURE_HASH_SIZE])
{
    if (feature->hash_coded && code >= INT32_MIN && code <= INT32_MAX) {
        snprintf(hash, IG_FEATURE_HASH_SIZE, "%u", (uint32_t)(int32_t)code);
        return ig_str_view(hash);
    }
    if (!(code >= 0 && code < feature->categories_count)) return (struct ig_str){NULL, 0};
    return feature->categories[(uint32_t)code];
}

bool ig_feature_takes_text(const struct ig_feature *feature)
{
    return feature->categories_count > 0 || feature->hashed;
}

static enum ig_code missing(double *out, const struct ig_feature *feature, struct ig_err *err)
{
    *out = NAN;
    if (!feature->required) return IG_OK;
    return ig_fail(err, IG_INVALID,
                   "feature '%.*s' is missing, without which the model has no prediction",
                   IG_STR_ARGS(feature->name));
}

enum ig_code ig_schema_check_rows(const struct ig_schema *schema, const double *rows, size_t count,
                                  struct ig_err *err)
{
    double value;
    for (size_t row = 0; schema->has_required && row < count; row++)
        for (uint32_t i = 0; i < schema->features_count; i++) {
            if (!isnan(rows[row * schema->features_count + i]) ||
                missing(&value, &schema->features[i], err) == IG_OK)
                continue;
            ig_err_prefix(err, "row %zu", row);
            return err->code;
        }
    return IG_OK;
}

/* A NaN of its own, which no reader of values makes. */
static const uint64_t UNNAMED = UINT64_C(0x7ff8000000756e6e);

void ig_schema_begin_row(const struct ig_schema *schema, double *row)
{
    double unnamed;
    memcpy(&unnamed, &UNNAMED, sizeof unnamed);
    for (uint32_t i = 0; i < schema->features_count; i++)
        row[i] = schema->features[i].named ? unnamed : NAN;
}

int32_t ig_schema_unnamed(const struct ig_schema *schema, const double *row)
{
    for (uint32_t i = 0; schema->has_named && i < schema->features_count; i++) {
        uint64_t bits;
        memcpy(&bits, &row[i], sizeof bits);
        if (schema->features[i].named && bits == UNNAMED) return (int32_t)i;
    }
    return -1;
}

enum ig_code ig_feature_parse_cell(double *out, const struct ig_feature *feature,
                                   struct ig_str cell, struct ig_err *err)
{
    struct ig_str trimmed = ig_str_trim(cell);
    if (ig_feature_takes_text(feature)) {
        int32_t code = ig_feature_category_code(feature, cell);
        if (code == -1 && !feature->hash_coded) code = ig_feature_category_code(feature, trimmed);
        if (code == -1 && !feature->hash_coded && ig_table_is_missing(trimmed))
            return missing(out, feature, err);
        *out = code;
        return IG_OK;
    }
    if (ig_table_is_missing(trimmed)) return missing(out, feature, err);
    if (ig_str_to_f64(trimmed, out)) return IG_OK;
    return ig_fail(err, IG_INVALID, "feature '%.*s': value '%.*s' is not a number%s",
                   IG_STR_ARGS(feature->name), (int)(cell.len < SHOWN_MAX ? cell.len : SHOWN_MAX),
                   cell.ptr,
                   feature->type == IG_FEATURE_CATEGORICAL ? " (the code of a category)" : "");
}

const char *ig_feature_type_name(enum ig_feature_type type)
{
    return (unsigned)type < sizeof type_names / sizeof *type_names ? type_names[type] : "unknown";
}

const char *ig_task_name(enum ig_task task)
{
    return (unsigned)task < sizeof task_names / sizeof *task_names ? task_names[task] : "unknown";
}

bool ig_feature_type_parse(struct ig_str name, enum ig_feature_type *out)
{
    for (unsigned i = 0; i < sizeof type_names / sizeof *type_names; i++)
        if (ig_str_is(name, type_names[i])) {
            *out = (enum ig_feature_type)i;
            return true;
        }
    return false;
}

bool ig_task_parse(struct ig_str name, enum ig_task *out)
{
    for (unsigned i = 0; i < sizeof task_names / sizeof *task_names; i++)
        if (ig_str_is(name, task_names[i])) {
            *out = (enum ig_task)i;
            return true;
        }
    return false;
}
