/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over the body. When rows or groups come before the model's name the reader's state is
 * kept, the value passed over, and read again behind the last member: a reader is a plain value.
 * Features are first looked for where the schema says the next one stands, so rows in schema order
 * need no hash lookups. Invariant: nothing is allocated but rows, in the arena, doubling up to
 * rows_max. */
#include "api/predict_request.h"

#include "api/groups_json.h"

#include <math.h>
#include <string.h>

enum { TOP_DEFAULT = 5 };

/* Members that are read by the model's schema. */
enum by_schema { ROWS, GROUPS, CONSTRAINTS, CONTEXT, BY_SCHEMA_COUNT };

enum { UNIT_ID_MAX = 256 };

struct decoder {
    struct ig_predict_request request;
    const struct ig_predict_source *source;
    struct ig_predict_target target;
    struct ig_json *json;
    size_t rows_cap;
    const char **field;
    struct ig_json late[BY_SCHEMA_COUNT]; /* where the value of one that came too early begins */
    bool is_late[BY_SCHEMA_COUNT];
    bool seen[BY_SCHEMA_COUNT];
    bool in_list; /* the row is an element of instances */
};

static struct ig_err *errors(struct decoder *decoder)
{
    return decoder->json->err;
}

/* "features.age", "instances[3].age", "instances[3]". */
static const char *path_of(struct decoder *decoder, struct ig_str name)
{
    struct ig_arena *arena = decoder->json->arena;
    size_t row = decoder->request.rows_count - 1;
    const char *path;
    int length = (int)(name.len > 128 ? 128 : name.len);
    if (!decoder->in_list)
        path = ig_arena_printf(arena, "features.%.*s", length, name.ptr);
    else if (name.len)
        path = ig_arena_printf(arena, "instances[%zu].%.*s", row, length, name.ptr);
    else
        path = ig_arena_printf(arena, "instances[%zu]", row);
    *decoder->field = path;
    return path ? path : "features";
}

#define FAIL(decoder, code, ...)                                                                   \
    ig_fail_at(errors(decoder), (code), ig_json_position((decoder)->json), __VA_ARGS__)

static enum ig_code fail_kind(struct decoder *decoder, const struct ig_feature *feature,
                              enum ig_json_event event)
{
    const char *path = path_of(decoder, feature->name);
    struct ig_str text = decoder->json->text;
    const char *wanted = ig_feature_takes_text(feature) ? "the text of a category" : "a number";
    enum ig_code code = decoder->source->kind_code ? decoder->source->kind_code : IG_INVALID;
    if (event == IG_JSON_STRING)
        return FAIL(decoder, code, "%s: expected %s, found the string '%.*s'", path, wanted,
                    (int)(text.len > 64 ? 64 : text.len), text.ptr);
    return FAIL(decoder, code, "%s: expected %s, found %s", path, wanted,
                ig_json_event_name(event));
}

/* A category by its text; a number is taken by the text it was written with. */
static enum ig_code category_value(struct decoder *decoder, const struct ig_feature *feature,
                                   enum ig_json_event event, double *out)
{
    struct ig_str text = decoder->json->text;
    if (event == IG_JSON_BOOL) text = decoder->json->boolean ? IG_STR("true") : IG_STR("false");
    int32_t code = ig_feature_category_code(feature, text);
    if (event != IG_JSON_STRING && code < 0 && !feature->hash_coded)
        return fail_kind(decoder, feature, event);
    *out = code;
    return IG_OK;
}

static enum ig_code number_value(struct decoder *decoder, const struct ig_feature *feature,
                                 double *out)
{
    if (ig_str_to_f64(decoder->json->text, out)) return IG_OK; /* NaN and Infinity as well */
    return fail_kind(decoder, feature, IG_JSON_NUMBER);
}

static enum ig_code feature_value(struct decoder *decoder, const struct ig_feature *feature,
                                  double *out)
{
    enum ig_json_event event = ig_json_next(decoder->json);
    bool by_text = ig_feature_takes_text(feature);
    switch (event) {
    case IG_JSON_ERROR:
        return errors(decoder)->code;
    case IG_JSON_NULL:
        *out = NAN;
        return IG_OK;
    case IG_JSON_NUMBER:
        if (by_text) return category_value(decoder, feature, event, out);
        return number_value(decoder, feature, out);
    case IG_JSON_BOOL:
        if (by_text) return category_value(decoder, feature, event, out);
        *out = decoder->json->boolean;
        return IG_OK;
    case IG_JSON_STRING:
        if (by_text) return category_value(decoder, feature, event, out);
        return fail_kind(decoder, feature, event);
    default:
        return fail_kind(decoder, feature, event);
    }
}

/* ---- attributes ---- */

static int32_t find_attribute(const struct decoder *decoder, struct ig_str name)
{
    for (uint32_t i = 0; i < decoder->target.attributes_count; i++)
        if (ig_str_eq(decoder->target.attributes[i].name, name)) return (int32_t)i;
    return -1;
}

static enum ig_code attribute_value(struct decoder *decoder, uint32_t index, const char *within)
{
    const struct ig_rules_attribute *attribute = &decoder->target.attributes[index];
    struct ig_rules_value *value = &decoder->request.attributes[index];
    bool is_text = attribute->type == IG_RULES_TEXT;
    enum ig_json_event event = ig_json_next(decoder->json);
    if (event == IG_JSON_ERROR) return errors(decoder)->code;
    *value = (struct ig_rules_value){.present = event != IG_JSON_NULL, .number = NAN};
    if (event == IG_JSON_NULL) return IG_OK;
    bool fits = is_text
                    ? event == IG_JSON_STRING
                    : event == IG_JSON_NUMBER && ig_str_to_f64(decoder->json->text, &value->number);
    if (fits) {
        value->present = is_text || !isnan(value->number);
        if (is_text) value->text = ig_arena_dup(decoder->json->arena, decoder->json->text);
        if (!is_text || value->text.ptr) return IG_OK;
        return FAIL(decoder, IG_NO_MEMORY, "no memory for the call");
    }
    *decoder->field =
        ig_arena_printf(decoder->json->arena, "%s.%.*s", within, IG_STR_ARGS(attribute->name));
    return FAIL(decoder, IG_INVALID, "%s.%.*s: expected %s, found %s", within,
                IG_STR_ARGS(attribute->name), is_text ? "a text" : "a number",
                ig_json_event_name(event));
}

static enum ig_code read_context(struct decoder *decoder)
{
    struct ig_json *json = decoder->json;
    *decoder->field = "context";
    if (!ig_json_expect(json, IG_JSON_OBJECT, "context")) return errors(decoder)->code;
    while (ig_json_member(json)) {
        struct ig_str name = json->text;
        int32_t index = find_attribute(decoder, name);
        if (index < 0)
            return FAIL(decoder, IG_INVALID, "context.%.*s: the deployment declares no such name",
                        (int)(name.len > 64 ? 64 : name.len), name.ptr);
        if (attribute_value(decoder, (uint32_t)index, "context") != IG_OK)
            return errors(decoder)->code;
    }
    return errors(decoder)->code;
}

/* ---- rows ---- */

static enum ig_code row_object(struct decoder *decoder, double *row)
{
    const struct ig_schema *schema = decoder->request.schema;
    uint32_t next = 0;
    ig_schema_begin_row(schema, row);
    while (ig_json_member(decoder->json)) {
        struct ig_str name = decoder->json->text;
        int32_t index = (int32_t)next;
        if (next >= schema->features_count || !ig_str_eq(name, schema->features[next].name))
            index = ig_schema_feature_index(schema, name);
        if (index < 0) {
            int32_t attribute = decoder->in_list ? -1 : find_attribute(decoder, name);
            if (attribute < 0)
                return FAIL(decoder, IG_INVALID, "%s: the model has no such feature",
                            path_of(decoder, name));
            if (attribute_value(decoder, (uint32_t)attribute, "features") != IG_OK)
                return errors(decoder)->code;
            continue;
        }
        if (feature_value(decoder, &schema->features[index], &row[index]) != IG_OK)
            return errors(decoder)->code;
        next = (uint32_t)index + 1;
    }
    int32_t unnamed = errors(decoder)->code == IG_OK ? ig_schema_unnamed(schema, row) : -1;
    if (unnamed < 0) return errors(decoder)->code;
    return FAIL(decoder, IG_INVALID, "%s: is not given, and the model's signature requires it",
                path_of(decoder, schema->features[unnamed].name));
}

static enum ig_code row_array(struct decoder *decoder, double *row)
{
    const struct ig_schema *schema = decoder->request.schema;
    uint32_t numeric = schema->numbers_count;
    uint32_t count = (uint32_t)ig_json_numbers(decoder->json, row, numeric);
    while (ig_json_element(decoder->json)) {
        if (count == schema->features_count)
            return FAIL(decoder, IG_INVALID, "%s: more than the model's %u features",
                        path_of(decoder, IG_STR("")), schema->features_count);
        if (feature_value(decoder, &schema->features[count], &row[count]) != IG_OK)
            return errors(decoder)->code;
        count++;
        if (count < numeric)
            count += (uint32_t)ig_json_numbers(decoder->json, row + count, numeric - count);
    }
    if (errors(decoder)->code != IG_OK || count == schema->features_count)
        return errors(decoder)->code;
    return FAIL(decoder, IG_INVALID, "%s: %u values, the model has %u features",
                path_of(decoder, IG_STR("")), count, schema->features_count);
}

/* A new row, not written yet; NULL with err set when there are too many. */
static double *row_new(struct decoder *decoder)
{
    struct ig_predict_request *request = &decoder->request;
    size_t features = request->schema->features_count;
    if (request->rows_count == decoder->source->rows_max) {
        FAIL(decoder, IG_TOO_LARGE, "instances: more than %zu rows in one call",
             decoder->source->rows_max);
        return NULL;
    }
    if (request->rows_count == decoder->rows_cap) {
        size_t cap = decoder->rows_cap ? decoder->rows_cap * 2 : decoder->in_list ? 16 : 1;
        double *grown = ig_arena_alloc(decoder->json->arena, cap * features * sizeof(double));
        if (!grown) {
            FAIL(decoder, IG_TOO_LARGE, "instances: %zu rows exceed the memory of a call", cap);
            return NULL;
        }
        if (request->rows_count)
            memcpy(grown, request->rows, request->rows_count * features * sizeof(double));
        request->rows = grown;
        decoder->rows_cap = cap;
    }
    return request->rows + request->rows_count++ * features;
}

static enum ig_code one_row(struct decoder *decoder)
{
    double *row = row_new(decoder);
    if (!row) return errors(decoder)->code;
    enum ig_json_event event = ig_json_next(decoder->json);
    if (event == IG_JSON_OBJECT) return row_object(decoder, row);
    if (event == IG_JSON_ARRAY && decoder->in_list) return row_array(decoder, row);
    if (event == IG_JSON_ERROR) return errors(decoder)->code;
    const char *path = decoder->in_list ? path_of(decoder, IG_STR("")) : "features";
    *decoder->field = path;
    return FAIL(decoder, IG_INVALID, "%s: expected an object of features%s, found %s", path,
                decoder->in_list ? " or an array" : "", ig_json_event_name(event));
}

static enum ig_code read_rows(struct decoder *decoder)
{
    decoder->in_list = decoder->request.many;
    if (!decoder->in_list) return one_row(decoder);
    *decoder->field = "instances";
    if (!ig_json_expect(decoder->json, IG_JSON_ARRAY, "instances")) return errors(decoder)->code;
    while (ig_json_element(decoder->json))
        if (one_row(decoder) != IG_OK) return errors(decoder)->code;
    if (errors(decoder)->code == IG_OK && decoder->request.rows_count == 0)
        return FAIL(decoder, IG_INVALID, "instances: at least one row is expected");
    return errors(decoder)->code;
}

static enum ig_code find_schema(struct decoder *decoder)
{
    const struct ig_predict_source *source = decoder->source;
    struct ig_predict_target *target = &decoder->target;
    if (target->schema) return IG_OK;
    if (!source->find(target, source->context, decoder->request.model, errors(decoder))) {
        *decoder->field = "model";
        return errors(decoder)->code;
    }
    decoder->request.schema = target->schema;
    if (!target->attributes_count) return IG_OK;
    decoder->request.attributes = ig_arena_array(decoder->json->arena, target->attributes_count,
                                                 sizeof *decoder->request.attributes);
    if (decoder->request.attributes) return IG_OK;
    return FAIL(decoder, IG_NO_MEMORY, "no memory for the call");
}

/* ---- groups ---- */

static enum ig_code read_groups(struct decoder *decoder)
{
    *decoder->field = "groups";
    return ig_groups_json_read(&decoder->request.explain.groups, decoder->json,
                               decoder->request.schema);
}

/* ---- constraints ---- */

/* An error of the constraints gets its place in the body. */
static enum ig_code place_error(struct decoder *decoder)
{
    struct ig_err *err = errors(decoder);
    if (err->code != IG_OK && err->at_byte < 0)
        err->at_byte = (int64_t)ig_json_position(decoder->json);
    return err->code;
}

/* {"age": "immutable", "hours": "up,20..60"} */
static enum ig_code read_constraints(struct decoder *decoder)
{
    struct ig_json *json = decoder->json;
    struct ig_constraints *constraints = &decoder->request.explain.constraints;
    *decoder->field = "constraints";
    if (ig_constraints_begin(constraints, decoder->request.schema, json->arena, errors(decoder)) !=
        IG_OK)
        return errors(decoder)->code;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "constraints")) return errors(decoder)->code;
    while (ig_json_member(json)) {
        struct ig_counterfactual_constraint *own =
            ig_constraints_find(constraints, json->text, errors(decoder));
        if (!own) return place_error(decoder);
        if (!ig_json_expect(json, IG_JSON_STRING, "constraints")) return errors(decoder)->code;
        for (struct ig_str rest = json->text; rest.len;)
            if (ig_constraint_parse(own, ig_str_cut(&rest, ','), errors(decoder)) != IG_OK)
                return place_error(decoder);
    }
    return errors(decoder)->code;
}

/* ---- members ---- */

static enum ig_code (*const READ_BY_SCHEMA[BY_SCHEMA_COUNT])(struct decoder *decoder) = {
    [ROWS] = read_rows,
    [GROUPS] = read_groups,
    [CONSTRAINTS] = read_constraints,
    [CONTEXT] = read_context,
};

/* At once when the model is known, else behind the last member. */
static enum ig_code schema_member(struct decoder *decoder, enum by_schema which)
{
    decoder->seen[which] = true;
    if (decoder->request.schema || decoder->source->kserve || decoder->request.model.ptr) {
        if (find_schema(decoder) != IG_OK) return errors(decoder)->code;
        return READ_BY_SCHEMA[which](decoder);
    }
    decoder->late[which] = *decoder->json;
    decoder->is_late[which] = true;
    ig_json_skip(decoder->json);
    return errors(decoder)->code;
}

static enum ig_code rows_member(struct decoder *decoder, bool many)
{
    if (decoder->seen[ROWS])
        return FAIL(decoder, IG_INVALID, "give rows once: either features or instances");
    decoder->request.many = many;
    return schema_member(decoder, ROWS);
}

static enum ig_code named_member(struct decoder *decoder, enum by_schema which, const char *name)
{
    *decoder->field = name;
    if (decoder->seen[which]) return FAIL(decoder, IG_INVALID, "%s: given twice", name);
    return schema_member(decoder, which);
}

enum kind { TEXT, COUNT, TIME, NUMBER, FLAG }; /* TIME: a count of at least 1 */

#define MEMBER(name, kind, member)                                                                 \
    {                                                                                              \
        name, kind, offsetof(struct ig_explain_request, member)                                    \
    }
static const struct {
    const char *name;
    enum kind kind;
    size_t offset;
} MEMBERS[] = {
    MEMBER("method", TEXT, method),
    MEMBER("background", TEXT, background),
    MEMBER("unit", TEXT, unit),
    MEMBER("interactions", TEXT, interactions),
    MEMBER("class", TEXT, class_name),
    MEMBER("surrogate_features", COUNT, surrogate_features),
    MEMBER("top", COUNT, top),
    MEMBER("reasons", COUNT, reasons),
    MEMBER("precompute", FLAG, precompute),
    MEMBER("budget_us", TIME, budget_us),
    MEMBER("seed", COUNT, seed),
    MEMBER("samples", COUNT, samples),
    MEMBER("target_se", NUMBER, target_se),
    MEMBER("wanted_class", TEXT, wanted_class),
    MEMBER("wanted_low", NUMBER, wanted_low),
    MEMBER("wanted_high", NUMBER, wanted_high),
    MEMBER("max_changes", COUNT, max_changes),
    MEMBER("alternatives", COUNT, alternatives),
    MEMBER("change_price", NUMBER, change_price),
    MEMBER("plot", TEXT, picture.plot),
    MEMBER("plot_feature", TEXT, picture.feature),
    MEMBER("plot_color_by", TEXT, picture.color_by),
    MEMBER("plot_theme", TEXT, picture.theme),
    MEMBER("plot_width", COUNT, picture.width),
    MEMBER("plot_row", COUNT, picture.row),
    MEMBER("plot_top", COUNT, picture.top),
};
enum { MEMBERS_COUNT = sizeof MEMBERS / sizeof *MEMBERS };

/* False when it is none of the plain members that say how to explain. */
static bool plain_member(struct decoder *decoder, struct ig_str name)
{
    for (size_t i = 0; i < MEMBERS_COUNT; i++) {
        void *out = (char *)&decoder->request.explain + MEMBERS[i].offset;
        if (!ig_str_is(name, MEMBERS[i].name)) continue;
        *decoder->field = MEMBERS[i].name;
        if (MEMBERS[i].kind == TEXT) ig_json_string(decoder->json, out, MEMBERS[i].name);
        if (MEMBERS[i].kind == COUNT || MEMBERS[i].kind == TIME)
            ig_json_u64(decoder->json, out, MEMBERS[i].name);
        if (MEMBERS[i].kind == TIME && errors(decoder)->code == IG_OK && *(uint64_t *)out == 0)
            FAIL(decoder, IG_INVALID, "%s: 0 is no time, expected at least 1", MEMBERS[i].name);
        if (MEMBERS[i].kind == NUMBER) ig_json_f64(decoder->json, out, MEMBERS[i].name);
        if (MEMBERS[i].kind == FLAG) ig_json_bool(decoder->json, out, MEMBERS[i].name);
        return true;
    }
    return false;
}

static enum ig_code unknown_member(struct decoder *decoder, struct ig_str name)
{
    struct ig_buf known;
    ig_buf_init(&known, 1024);
    for (size_t i = 0; i < MEMBERS_COUNT; i++) ig_buf_printf(&known, ", %s", MEMBERS[i].name);
    *decoder->field = ig_arena_cstr(decoder->json->arena, name);
    FAIL(decoder, IG_INVALID,
         "%.*s: unknown member; known are model, features, instances, unit_id, context, groups, "
         "constraints%.*s",
         (int)(name.len > 64 ? 64 : name.len), name.ptr, IG_STR_ARGS(ig_buf_view(&known)));
    ig_buf_deinit(&known);
    return errors(decoder)->code;
}

static enum ig_code read_unit_id(struct decoder *decoder)
{
    struct ig_json *json = decoder->json;
    *decoder->field = "unit_id";
    enum ig_json_event event = ig_json_next(json);
    if (event == IG_JSON_ERROR) return errors(decoder)->code;
    if (event != IG_JSON_STRING && event != IG_JSON_NUMBER)
        return FAIL(decoder, IG_INVALID, "unit_id: expected a text or a number, found %s",
                    ig_json_event_name(event));
    if (json->text.len > UNIT_ID_MAX)
        return FAIL(decoder, IG_INVALID, "unit_id: %zu bytes, at most %d", json->text.len,
                    UNIT_ID_MAX);
    decoder->request.unit_id = ig_arena_dup(json->arena, json->text);
    return decoder->request.unit_id.ptr ? IG_OK
                                        : FAIL(decoder, IG_NO_MEMORY, "no memory for the call");
}

static enum ig_code member(struct decoder *decoder)
{
    struct ig_json *json = decoder->json;
    struct ig_str name = json->text;
    bool kserve = decoder->source->kserve;
    *decoder->field = NULL;
    if (ig_str_is(name, "instances")) return rows_member(decoder, true);
    if (kserve && ig_str_is(name, "inputs")) return rows_member(decoder, true);
    if (!kserve && ig_str_is(name, "features")) return rows_member(decoder, false);
    if (!kserve && ig_str_is(name, "model")) {
        *decoder->field = "model";
        ig_json_string(json, &decoder->request.model, "model");
        return errors(decoder)->code;
    }
    if (!kserve && ig_str_is(name, "unit_id")) return read_unit_id(decoder);
    if (!kserve && ig_str_is(name, "context")) return named_member(decoder, CONTEXT, "context");
    if (decoder->source->explains) {
        enum ig_explain_option option;
        if (ig_explain_option_parse(name, &option)) decoder->request.explain.given |= 1U << option;
        if (ig_str_is(name, "groups")) return named_member(decoder, GROUPS, "groups");
        if (ig_str_is(name, "constraints"))
            return named_member(decoder, CONSTRAINTS, "constraints");
        if (plain_member(decoder, name)) return errors(decoder)->code;
    }
    if (!kserve) return unknown_member(decoder, name);
    ig_json_skip(json);
    return errors(decoder)->code;
}

static enum ig_code late_members(struct decoder *decoder)
{
    if (!decoder->seen[ROWS])
        return FAIL(decoder, IG_INVALID, "%s: missing",
                    decoder->source->kserve ? "instances" : "features");
    if (find_schema(decoder) != IG_OK) return errors(decoder)->code;
    for (int which = 0; which < BY_SCHEMA_COUNT; which++) {
        if (!decoder->is_late[which]) continue;
        *decoder->json = decoder->late[which];
        if (READ_BY_SCHEMA[which](decoder) != IG_OK) return errors(decoder)->code;
    }
    return IG_OK;
}

static enum ig_code read_request(struct decoder *decoder)
{
    struct ig_json *json = decoder->json;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "request")) return json->err->code;
    while (ig_json_member(json))
        if (member(decoder) != IG_OK) return json->err->code;
    if (json->err->code != IG_OK) return json->err->code;
    *decoder->field = NULL;
    if (ig_json_next(json) != IG_JSON_END) return json->err->code;
    const struct ig_explain_request *explain = &decoder->request.explain;
    if (explain->precompute && explain->picture.plot.ptr) {
        *decoder->field = "plot";
        return FAIL(decoder, IG_INVALID, "plot: precompute gives no picture; ask for one of both");
    }
    return late_members(decoder);
}

enum ig_code ig_predict_request_decode(struct ig_predict_request *out, struct ig_json *json,
                                       const struct ig_predict_source *source, const char **field)
{
    struct decoder decoder = {
        .request = {.explain = {.top = TOP_DEFAULT, .wanted_low = NAN, .wanted_high = NAN}},
        .source = source,
        .json = json,
        .field = field};
    json->allow_nan = true;
    enum ig_code code = read_request(&decoder);
    if (code == IG_OK || code == IG_PARSE) *field = NULL; /* broken syntax is no member's fault */
    if (code == IG_OK) *out = decoder.request;
    return code;
}
