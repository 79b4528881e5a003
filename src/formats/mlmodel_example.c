/* SPDX-License-Identifier: Apache-2.0 */
/* Input examples as MLflow saves them beside an MLmodel (mlflow/models/utils.py): a table split
 * into columns and data, alone or as a request has it, or an array of rows in the model's order.
 *
 * Invariant: whatever comes, at most IG_MLMODEL_EXAMPLE_ROWS_MAX rows are kept. Thread rule: pure.
 */
#include "formats/mlmodel.h"

#include "base/json.h"

#include <math.h>
#include <string.h>

/* Names are matched one by one: of more features only those in the model's own order. */
enum { MATCHED_MAX = 2000 };

struct example {
    const struct ig_schema *schema;
    struct ig_json *json;
    uint32_t *places; /* feature of each column; NULL: the model's order */
    double *rows;
    size_t count;
};

static uint32_t find_feature(const struct ig_schema *schema, struct ig_str name, uint32_t at)
{
    uint32_t count = schema->features_count < MATCHED_MAX ? schema->features_count : MATCHED_MAX;
    if (at < schema->features_count && ig_str_eq(schema->features[at].name, name)) return at;
    for (uint32_t i = 0; i < count; i++)
        if (ig_str_eq(schema->features[i].name, name)) return i;
    return UINT32_MAX;
}

static enum ig_code read_columns(struct example *example)
{
    struct ig_json *json = example->json;
    const uint32_t features = example->schema->features_count;
    uint32_t count = 0;
    uint32_t *places = ig_arena_array(json->arena, features, sizeof *places);
    bool *seen = ig_arena_zalloc(json->arena, features);
    if (!places || !seen) return ig_fail(json->err, IG_NO_MEMORY, "input example");
    if (!ig_json_expect(json, IG_JSON_ARRAY, "columns")) return json->err->code;
    while (ig_json_element(json)) {
        struct ig_str name;
        if (!ig_json_string(json, &name, "columns")) return json->err->code;
        uint32_t place = count < features ? find_feature(example->schema, name, count) : UINT32_MAX;
        if (place == UINT32_MAX || seen[place])
            return ig_fail(json->err, IG_INVALID, "columns: '%.*s' is no feature, or there twice",
                           name.len > 64 ? 64 : (int)name.len, name.ptr);
        seen[place] = true;
        places[count++] = place;
    }
    if (json->err->code == IG_OK && count != features)
        ig_fail(json->err, IG_INVALID, "columns: %u, the model has %u features", count, features);
    example->places = places;
    return json->err->code;
}

static bool read_category(double *out, const struct ig_feature *feature, struct ig_str text)
{
    for (uint32_t i = 0; i < feature->categories_count; i++) {
        if (!ig_str_eq(feature->categories[i], text)) continue;
        *out = i;
        return true;
    }
    return false;
}

static enum ig_code read_cell(struct example *example, double *out,
                              const struct ig_feature *feature)
{
    struct ig_json *json = example->json;
    enum ig_json_event event = ig_json_next(json);
    bool texts = feature->categories_count > 0;
    bool good = event == IG_JSON_NULL;
    *out = NAN;
    if (event == IG_JSON_NUMBER && !texts && !feature->hashed)
        good = ig_str_to_f64(json->text, out);
    else if (event == IG_JSON_BOOL && !texts && !feature->hashed) {
        *out = json->boolean;
        good = true;
    } else if (event == IG_JSON_STRING && texts && !feature->hashed)
        good = read_category(out, feature, json->text);
    if (good || json->err->code != IG_OK) return json->err->code;
    return ig_fail(json->err, IG_INVALID, "data: %s is no value of '%.*s'",
                   ig_json_event_name(event), feature->name.len > 64 ? 64 : (int)feature->name.len,
                   feature->name.ptr);
}

static enum ig_code read_row(struct example *example, double *row)
{
    struct ig_json *json = example->json;
    const struct ig_schema *schema = example->schema;
    uint32_t count = 0;
    if (!ig_json_expect(json, IG_JSON_ARRAY, "data")) return json->err->code;
    while (ig_json_element(json)) {
        if (count >= schema->features_count)
            return ig_fail(json->err, IG_INVALID, "data: a row of more than %u values",
                           schema->features_count);
        uint32_t place = example->places ? example->places[count] : count;
        if (read_cell(example, &row[place], &schema->features[place]) != IG_OK) break;
        count++;
    }
    if (json->err->code == IG_OK && count != schema->features_count)
        ig_fail(json->err, IG_INVALID, "data: a row of %u values, the model has %u features", count,
                schema->features_count);
    return json->err->code;
}

/* Behind "[" when `opened`. */
static enum ig_code read_rows(struct example *example, bool opened)
{
    struct ig_json *json = example->json;
    const uint32_t features = example->schema->features_count;
    double *rows =
        ig_arena_array(json->arena, (size_t)IG_MLMODEL_EXAMPLE_ROWS_MAX * features, sizeof *rows);
    if (!rows) return ig_fail(json->err, IG_NO_MEMORY, "input example");
    if (!opened && !ig_json_expect(json, IG_JSON_ARRAY, "data")) return json->err->code;
    example->count = 0;
    while (ig_json_element(json)) {
        if (example->count == IG_MLMODEL_EXAMPLE_ROWS_MAX) {
            if (!ig_json_skip(json)) break;
            continue;
        }
        if (read_row(example, rows + example->count * features) != IG_OK) break;
        example->count++;
    }
    example->rows = rows;
    return json->err->code;
}

/* Behind "{". A request has the table one level down. */
static enum ig_code read_object(struct example *example, bool inner)
{
    struct ig_json *json = example->json;
    while (ig_json_member(json)) {
        if (ig_str_is(json->text, "columns"))
            read_columns(example);
        else if (ig_str_is(json->text, "data") || ig_str_is(json->text, "inputs"))
            read_rows(example, false);
        else if (!inner && ig_str_is(json->text, "dataframe_split") &&
                 ig_json_expect(json, IG_JSON_OBJECT, "dataframe_split"))
            read_object(example, true);
        else
            ig_json_skip(json);
        if (json->err->code != IG_OK) return json->err->code;
    }
    return json->err->code;
}

enum ig_code ig_mlmodel_example(struct ig_mlmodel_rows *out, const struct ig_schema *schema,
                                struct ig_str text, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_json json;
    struct example example = {.schema = schema, .json = &json};
    ig_json_init(&json, text, arena, err);
    json.allow_nan = true;
    enum ig_json_event event = ig_json_next(&json);
    if (event == IG_JSON_OBJECT)
        read_object(&example, false);
    else if (event == IG_JSON_ARRAY)
        read_rows(&example, true);
    else if (err->code == IG_OK)
        ig_fail(err, IG_INVALID, "expected a table or rows, found %s", ig_json_event_name(event));
    if (err->code == IG_OK) ig_json_next(&json); /* END, or an error */
    if (err->code != IG_OK) return err->code;
    if (!example.count) return ig_fail(err, IG_INVALID, "it has no rows");
    if (ig_schema_check_rows(schema, example.rows, example.count, err) != IG_OK) return err->code;
    *out = (struct ig_mlmodel_rows){example.rows, example.count};
    return IG_OK;
}
