/* SPDX-License-Identifier: Apache-2.0 */
/* What filters and orders may name, of each kind that is searched.
 *
 * Thread rule: pure. */
#include "services/tracking/tracking_filter_priv.h"

#include "services/tracking/tracking_traces.h"

#include <string.h>

#define ISSUE_WORDS " Supported fields: {'source_run_id', 'status'}"

struct field {
    const char *name;
    enum ig_tracking_field field;
    bool numeric;
    bool ordered;    /* may stand in an order */
    bool unfiltered; /* may not stand in a filter */
};

static const struct field RUN_FIELDS[] = {
    {"artifact_uri", IG_TRACKING_BY_ARTIFACT_URI, false, true, false},
    {"end_time", IG_TRACKING_BY_END_TIME, true, true, false},
    {"run_id", IG_TRACKING_BY_RUN_ID, false, true, false},
    {"run_name", IG_TRACKING_BY_RUN_NAME, false, true, false},
    {"start_time", IG_TRACKING_BY_START_TIME, true, true, false},
    {"status", IG_TRACKING_BY_STATUS, false, true, false},
    {"user_id", IG_TRACKING_BY_USER_ID, false, true, false},
    {"created", IG_TRACKING_BY_START_TIME, true, true, false},
    {"Created", IG_TRACKING_BY_START_TIME, true, true, false},
    {"run name", IG_TRACKING_BY_RUN_NAME, false, false, false},
    {"Run name", IG_TRACKING_BY_RUN_NAME, false, false, false},
    {"Run Name", IG_TRACKING_BY_RUN_NAME, false, false, false},
    {NULL, IG_TRACKING_NO_FIELD, false, false, false},
};
static const struct field EXPERIMENT_FIELDS[] = {
    {"name", IG_TRACKING_BY_NAME, false, true, false},
    {"experiment_id", IG_TRACKING_BY_EXPERIMENT_ID, false, true, false},
    {"creation_time", IG_TRACKING_BY_CREATION_TIME, true, true, false},
    {"last_update_time", IG_TRACKING_BY_LAST_UPDATE_TIME, true, true, false},
    {NULL, IG_TRACKING_NO_FIELD, false, false, false},
};
static const struct field MODEL_FIELDS[] = {
    {"name", IG_TRACKING_BY_NAME, false, true, false},
    {"timestamp", IG_TRACKING_BY_LAST_UPDATE_TIME, true, true, true},
    {"last_updated_timestamp", IG_TRACKING_BY_LAST_UPDATE_TIME, true, true, true},
    {NULL, IG_TRACKING_NO_FIELD, false, false, false},
};
static const struct field VERSION_FIELDS[] = {
    {"name", IG_TRACKING_BY_NAME, false, true, false},
    {"version_number", IG_TRACKING_BY_VERSION_NUMBER, true, true, false},
    {"run_id", IG_TRACKING_BY_RUN_ID, false, false, false},
    {"source_path", IG_TRACKING_BY_SOURCE_PATH, false, false, false},
    {"creation_timestamp", IG_TRACKING_BY_CREATION_TIME, true, true, true},
    {"last_updated_timestamp", IG_TRACKING_BY_LAST_UPDATE_TIME, true, true, true},
    {NULL, IG_TRACKING_NO_FIELD, false, false, false},
};
static const struct field LOGGED_FIELDS[] = {
    {"name", IG_TRACKING_BY_NAME, false, true, false},
    {"model_id", IG_TRACKING_BY_MODEL_ID, false, true, false},
    {"model_type", IG_TRACKING_BY_MODEL_TYPE, false, true, false},
    {"status", IG_TRACKING_BY_STATUS, false, true, false},
    {"source_run_id", IG_TRACKING_BY_SOURCE_RUN, false, true, false},
    {"artifact_location", IG_TRACKING_BY_ARTIFACT_URI, false, true, false},
    {"lifecycle_stage", IG_TRACKING_BY_STAGE, false, true, false},
    {"creation_time", IG_TRACKING_BY_CREATION_TIME, true, true, false},
    {"creation_timestamp", IG_TRACKING_BY_CREATION_TIME, true, true, false},
    {"creation_timestamp_ms", IG_TRACKING_BY_CREATION_TIME, true, true, false},
    {"last_updated_timestamp", IG_TRACKING_BY_LAST_UPDATE_TIME, true, true, false},
    {"last_updated_timestamp_ms", IG_TRACKING_BY_LAST_UPDATE_TIME, true, true, false},
    {NULL, IG_TRACKING_NO_FIELD, false, false, false},
};
/* Those without a field are a tag or metadata by another name. */
static const struct field TRACE_FIELDS[] = {
    {"request_id", IG_TRACKING_BY_TRACE_ID, false, true, false},
    {"timestamp", IG_TRACKING_BY_START_TIME, true, true, false},
    {"timestamp_ms", IG_TRACKING_BY_START_TIME, true, true, false},
    {"execution_time", IG_TRACKING_BY_DURATION, true, true, false},
    {"execution_time_ms", IG_TRACKING_BY_DURATION, true, true, false},
    {"end_time", IG_TRACKING_BY_END_TIME, true, true, false},
    {"end_time_ms", IG_TRACKING_BY_END_TIME, true, true, false},
    {"status", IG_TRACKING_BY_STATUS, false, true, false},
    {"client_request_id", IG_TRACKING_BY_CLIENT_ID, false, false, false},
    {"experiment_id", IG_TRACKING_BY_EXPERIMENT_ID, false, true, true},
    {"name", IG_TRACKING_NO_FIELD, false, true, false},
    {"run_id", IG_TRACKING_NO_FIELD, false, true, false},
    {"text", IG_TRACKING_BY_SPAN_TEXT, false, false, false},
    {NULL, IG_TRACKING_NO_FIELD, false, false, false},
};
static const struct field SPAN_FIELDS[] = {
    {"name", IG_TRACKING_BY_SPAN_NAME, false, false, false},
    {"type", IG_TRACKING_BY_SPAN_TYPE, false, false, false},
    {"status", IG_TRACKING_BY_SPAN_STATUS, false, false, false},
    {"content", IG_TRACKING_BY_SPAN_TEXT, false, false, false},
    {NULL, IG_TRACKING_NO_FIELD, false, false, false},
};
static const struct field EVALUATION_FIELDS[] = {
    {"name", IG_TRACKING_BY_NAME, false, true, false},
    {"created_time", IG_TRACKING_BY_CREATION_TIME, true, true, false},
    {"last_update_time", IG_TRACKING_BY_LAST_UPDATE_TIME, true, true, false},
    {"created_by", IG_TRACKING_BY_CREATOR, false, false, false},
    {"last_updated_by", IG_TRACKING_BY_UPDATER, false, false, false},
    {NULL, IG_TRACKING_NO_FIELD, false, false, false},
};
static const struct field ISSUE_FIELDS[] = {
    {"status", IG_TRACKING_BY_STATUS, false, false, false},
    {"source_run_id", IG_TRACKING_BY_SOURCE_RUN, false, false, false},
    {NULL, IG_TRACKING_NO_FIELD, false, false, false},
};
static const struct field DATASET_FIELDS[] = {
    {"name", IG_TRACKING_BY_DATASET_NAME, false, false, false},
    {"digest", IG_TRACKING_BY_DATASET_DIGEST, false, false, false},
    {"context", IG_TRACKING_BY_DATASET_CONTEXT, false, false, false},
    {NULL, IG_TRACKING_NO_FIELD, false, false, false},
};

static const struct entity {
    const char *name;
    enum ig_tracking_entity entity;
    bool of_all; /* not of runs alone */
} ENTITIES[] = {
    {"metric", IG_TRACKING_METRIC, false},
    {"metrics", IG_TRACKING_METRIC, false},
    {"parameter", IG_TRACKING_PARAM, false},
    {"parameters", IG_TRACKING_PARAM, false},
    {"param", IG_TRACKING_PARAM, false},
    {"params", IG_TRACKING_PARAM, false},
    {"tag", IG_TRACKING_TAG, true},
    {"tags", IG_TRACKING_TAG, true},
    {"attribute", IG_TRACKING_ATTRIBUTE, true},
    {"attr", IG_TRACKING_ATTRIBUTE, false},
    {"attributes", IG_TRACKING_ATTRIBUTE, false},
    {"run", IG_TRACKING_ATTRIBUTE, false},
    {"dataset", IG_TRACKING_DATASET, false},
    {"datasets", IG_TRACKING_DATASET, false},
};

bool ig_tracking_unquote(struct ig_str *text, char quote)
{
    if (text->len < 2 || text->ptr[0] != quote || text->ptr[text->len - 1] != quote) return false;
    *text = (struct ig_str){text->ptr + 1, text->len - 2};
    return true;
}

static enum ig_code find_logged_entity(struct ig_tracking_identifier *out, struct ig_str word,
                                       struct ig_err *err)
{
    static const struct {
        const char *name;
        enum ig_tracking_entity entity;
    } entities[] = {{"attributes", IG_TRACKING_ATTRIBUTE},
                    {"metrics", IG_TRACKING_METRIC},
                    {"params", IG_TRACKING_PARAM},
                    {"tags", IG_TRACKING_TAG}};
    for (size_t i = 0; i < sizeof entities / sizeof entities[0]; i++) {
        if (!ig_str_is(word, entities[i].name)) continue;
        out->entity = entities[i].entity;
        return IG_OK;
    }
    return ig_fail(err, IG_INVALID,
                   "Invalid entity type: '%.*s'. Expected one of ['attributes', 'metrics', "
                   "'params', 'tags'].",
                   IG_STR_ARGS(word));
}

static enum ig_code find_trace_entity(struct ig_tracking_identifier *out, struct ig_str word,
                                      struct ig_err *err)
{
    static const struct {
        const char *name;
        enum ig_tracking_entity entity;
    } entities[] = {{"attribute", IG_TRACKING_ATTRIBUTE},
                    {"attributes", IG_TRACKING_ATTRIBUTE},
                    {"trace", IG_TRACKING_ATTRIBUTE},
                    {"tag", IG_TRACKING_TAG},
                    {"tags", IG_TRACKING_TAG},
                    {"metadata", IG_TRACKING_PARAM},
                    {"request_metadata", IG_TRACKING_PARAM},
                    {"span", IG_TRACKING_SPAN},
                    {"feedback", IG_TRACKING_FEEDBACK},
                    {"expectation", IG_TRACKING_EXPECTATION},
                    {"issue", IG_TRACKING_ISSUE}};
    for (size_t i = 0; i < sizeof entities / sizeof entities[0]; i++) {
        if (!ig_str_is(word, entities[i].name)) continue;
        out->entity = entities[i].entity;
        return IG_OK;
    }
    return ig_fail(err, IG_INVALID,
                   "Invalid entity type '%.*s'. Valid values are {'attribute', 'attributes', "
                   "'expectation', 'feedback', 'issue', 'metadata', 'request_metadata', 'span', "
                   "'tag', 'tags', 'trace'}",
                   IG_STR_ARGS(word));
}

static enum ig_code find_entity(struct ig_tracking_identifier *out, enum ig_tracking_kind kind,
                                struct ig_str word, struct ig_err *err)
{
    bool runs = kind == IG_TRACKING_RUNS;
    if (kind == IG_TRACKING_LOGGED) return find_logged_entity(out, word, err);
    if (kind == IG_TRACKING_TRACES) return find_trace_entity(out, word, err);
    if (kind == IG_TRACKING_ISSUES)
        return ig_fail(err, IG_INVALID, "Invalid filter field '%.*s'." ISSUE_WORDS,
                       IG_STR_ARGS(out->key));
    if (kind == IG_TRACKING_EVALUATIONS) {
        out->entity = IG_TRACKING_TAG;
        if (ig_str_is(word, "tags")) return IG_OK;
        return ig_fail(err, IG_INVALID, "Invalid identifier token '%.*s' specified",
                       IG_STR_ARGS(word));
    }
    if (runs) ig_tracking_unquote(&word, '`');
    for (size_t i = 0; i < sizeof ENTITIES / sizeof ENTITIES[0]; i++) {
        if (!ig_str_is(word, ENTITIES[i].name) || !(runs || ENTITIES[i].of_all)) continue;
        out->entity = ENTITIES[i].entity;
        return IG_OK;
    }
    if (runs)
        return ig_fail(err, IG_INVALID,
                       "Invalid entity type '%.*s'. Valid values are ['metric', 'parameter', "
                       "'tag', 'attribute', 'dataset']",
                       IG_STR_ARGS(word));
    return ig_fail(err, IG_INVALID,
                   "Invalid entity type '%.*s'. Valid entity types are ('attribute', 'tag', "
                   "'tags')",
                   IG_STR_ARGS(word));
}

static bool allowed(const struct field *field, bool ordering)
{
    return ordering ? field->ordered : !field->unfiltered;
}

static enum ig_code bad_field(const struct field *fields, enum ig_tracking_kind kind,
                              const struct ig_tracking_identifier *what, bool ordering,
                              struct ig_err *err)
{
    bool models = kind == IG_TRACKING_MODELS && ordering;
    char names[320] = "";
    if (kind == IG_TRACKING_ISSUES)
        return ig_fail(err, IG_INVALID, "Invalid filter field '%.*s'." ISSUE_WORDS,
                       IG_STR_ARGS(what->key));
    if (kind == IG_TRACKING_LOGGED && ordering)
        return ig_fail(err, IG_INVALID, "Invalid order by field name: %.*s",
                       IG_STR_ARGS(what->key));
    for (size_t used = 0; fields->name; fields++) {
        size_t length = strlen(fields->name);
        if (!allowed(fields, ordering) || used + length + 4 >= sizeof names) continue;
        if (used) memcpy(names + used, ", ", 3), used += 2;
        memcpy(names + used, fields->name, length + 1);
        used += length;
    }
    return ig_fail(err, IG_INVALID, "Invalid %s key '%.*s' specified. Valid keys are '{%s}'",
                   models ? "order by" : ig_tracking_entity_name(what->entity),
                   IG_STR_ARGS(what->key), names);
}

static const struct field *fields_of(enum ig_tracking_kind kind)
{
    switch (kind) {
    case IG_TRACKING_RUNS:
        return RUN_FIELDS;
    case IG_TRACKING_EXPERIMENTS:
        return EXPERIMENT_FIELDS;
    case IG_TRACKING_MODELS:
        return MODEL_FIELDS;
    case IG_TRACKING_LOGGED:
        return LOGGED_FIELDS;
    case IG_TRACKING_TRACES:
        return TRACE_FIELDS;
    case IG_TRACKING_EVALUATIONS:
        return EVALUATION_FIELDS;
    case IG_TRACKING_ISSUES:
        return ISSUE_FIELDS;
    default:
        return VERSION_FIELDS;
    }
}

static void rename_trace_key(struct ig_tracking_identifier *what)
{
    bool name = ig_str_is(what->key, "name");
    what->entity = name ? IG_TRACKING_TAG : IG_TRACKING_PARAM;
    what->key = name ? IG_STR(IG_TRACKING_TRACE_NAME) : IG_STR(IG_TRACKING_TRACE_SOURCE_RUN);
}

/* Of spans and assessments, which orders may not name. */
static enum ig_code read_within_trace(struct ig_tracking_identifier *what, bool ordering,
                                      struct ig_err *err)
{
    const struct ig_str attributes = IG_STR("attributes.");
    if (ordering)
        return ig_fail(err, IG_INVALID, "Invalid order_by entity `%s` with key `%.*s`",
                       ig_tracking_entity_name(what->entity), IG_STR_ARGS(what->key));
    if (what->entity == IG_TRACKING_ISSUE)
        return ig_str_is(what->key, "id")
                   ? IG_OK
                   : ig_fail(err, IG_INVALID,
                             "Invalid issue attribute '%.*s'. Supported attributes: id",
                             IG_STR_ARGS(what->key));
    if (what->entity != IG_TRACKING_SPAN)
        return what->key.len ? IG_OK
                             : ig_fail(err, IG_INVALID, "Assessment field name cannot be empty");
    for (const struct field *field = SPAN_FIELDS; field->name; field++)
        if (ig_str_is(what->key, field->name)) what->field = field->field;
    if (what->field) return IG_OK;
    if (!ig_str_starts(what->key, attributes))
        return ig_fail(err, IG_INVALID,
                       "Invalid span attribute '%.*s'. Supported attributes: name, status, type, "
                       "attributes.<attribute_name>.",
                       IG_STR_ARGS(what->key));
    what->key.ptr += attributes.len;
    what->key.len -= attributes.len;
    ig_tracking_unquote(&what->key, '`');
    what->field = IG_TRACKING_BY_SPAN_ATTRIBUTE;
    if (what->key.len) return IG_OK;
    return ig_fail(err, IG_INVALID, "Span attribute name cannot be empty after 'attributes.'");
}

/* "metrics.`a b`": what it is of, by the first point, and the key without its quotes. */
enum ig_code ig_tracking_identifier_read(struct ig_tracking_identifier *out, bool *numeric,
                                         enum ig_tracking_kind kind, struct ig_str text,
                                         bool ordering, struct ig_err *err)
{
    struct ig_str rest = text, first = ig_str_cut(&rest, '.');
    const struct field *fields = DATASET_FIELDS;
    *out = (struct ig_tracking_identifier){IG_TRACKING_ATTRIBUTE, IG_TRACKING_NO_FIELD, text};
    *numeric = false;
    if (rest.ptr) {
        if (find_entity(out, kind, first, err) != IG_OK) return err->code;
        out->key = rest;
    }
    if (!ig_tracking_unquote(&out->key, '\'')) ig_tracking_unquote(&out->key, '"');
    ig_tracking_unquote(&out->key, '`');
    *numeric = out->entity == IG_TRACKING_METRIC;
    if (out->entity >= IG_TRACKING_SPAN) return read_within_trace(out, ordering, err);
    if (out->entity != IG_TRACKING_ATTRIBUTE && out->entity != IG_TRACKING_DATASET) return IG_OK;
    if (out->entity == IG_TRACKING_ATTRIBUTE) fields = fields_of(kind);
    for (const struct field *field = fields; field->name; field++) {
        if (!ig_str_is(out->key, field->name) || !allowed(field, ordering)) continue;
        out->field = field->field;
        *numeric = field->numeric;
        if (kind == IG_TRACKING_TRACES && !field->field) rename_trace_key(out);
        if (field->field == IG_TRACKING_BY_SPAN_TEXT)
            *out = (struct ig_tracking_identifier){IG_TRACKING_SPAN, IG_TRACKING_BY_SPAN_TEXT,
                                                   IG_STR("content")};
        return IG_OK;
    }
    return bad_field(fields, kind, out, ordering, err);
}

const char *ig_tracking_entity_name(enum ig_tracking_entity entity)
{
    static const char *const names[] = {"metric",    "parameter",   "tag",
                                        "attribute", "dataset",     "span",
                                        "feedback",  "expectation", "issue"};
    return names[entity];
}
