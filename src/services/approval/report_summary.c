/* SPDX-License-Identifier: Apache-2.0 */
/* Reads of a report what a card says of it. Thread rule: pure. */
#include "services/approval/report.h"

#include "base/json.h"

#include <math.h>

/* Calls `read` for each member of the object that comes next; it reads the member's value. */
typedef enum ig_code read_member(void *out, struct ig_json *json, struct ig_str name);

static enum ig_code read_object(void *out, struct ig_json *json, const char *what,
                                read_member *read)
{
    if (!ig_json_expect(json, IG_JSON_OBJECT, what)) return json->err->code;
    while (ig_json_member(json)) {
        struct ig_str name = json->text;
        if (read(out, json, name) != IG_OK) break;
    }
    return json->err->code;
}

static enum ig_code pass_over(struct ig_json *json)
{
    ig_json_skip(json);
    return json->err->code;
}

/* null: not known. */
static enum ig_code read_number(double *out, struct ig_json *json, const char *what)
{
    enum ig_json_event event = ig_json_next(json);
    *out = NAN;
    if (event == IG_JSON_NULL || event == IG_JSON_ERROR) return json->err->code;
    if (event != IG_JSON_NUMBER || !ig_str_to_f64(json->text, out))
        return ig_fail(json->err, IG_INVALID, "%s: expected a number, found %s", what,
                       ig_json_event_name(event));
    return IG_OK;
}

static enum ig_code rate_member(void *out, struct ig_json *json, struct ig_str name)
{
    struct ig_report_rate *rate = out;
    if (ig_str_is(name, "value")) return read_number(&rate->value, json, "value");
    if (ig_str_is(name, "low")) return read_number(&rate->low, json, "low");
    if (ig_str_is(name, "high")) return read_number(&rate->high, json, "high");
    return pass_over(json);
}

/* The rest of {"value", "low", "high"}, or null. */
static enum ig_code read_rate(struct ig_report_rate *out, struct ig_json *json, const char *what)
{
    enum ig_json_event event = ig_json_next(json);
    *out = (struct ig_report_rate){false, NAN, NAN, NAN};
    if (event == IG_JSON_NULL || event == IG_JSON_ERROR) return json->err->code;
    if (event != IG_JSON_OBJECT)
        return ig_fail(json->err, IG_INVALID, "%s: expected an object, found %s", what,
                       ig_json_event_name(event));
    while (ig_json_member(json))
        if (rate_member(out, json, json->text) != IG_OK) break;
    out->known = isfinite(out->value);
    return json->err->code;
}

static enum ig_code parity_member(void *out, struct ig_json *json, struct ig_str name)
{
    struct ig_report_column *column = out;
    if (ig_str_is(name, "difference")) return read_rate(&column->parity, json, "difference");
    if (ig_str_is(name, "most")) {
        ig_json_string(json, &column->most, "most");
        return json->err->code;
    }
    if (ig_str_is(name, "least")) {
        ig_json_string(json, &column->least, "least");
        return json->err->code;
    }
    return pass_over(json);
}

/* A gap, or null. */
static enum ig_code read_parity(struct ig_report_column *column, struct ig_json *json)
{
    enum ig_json_event event = ig_json_next(json);
    if (event == IG_JSON_NULL || event == IG_JSON_ERROR) return json->err->code;
    if (event != IG_JSON_OBJECT)
        return ig_fail(json->err, IG_INVALID, "demographic_parity: expected an object, found %s",
                       ig_json_event_name(event));
    while (ig_json_member(json))
        if (parity_member(column, json, json->text) != IG_OK) break;
    return json->err->code;
}

static enum ig_code column_member(void *out, struct ig_json *json, struct ig_str name)
{
    struct ig_report_column *column = out;
    if (ig_str_is(name, "demographic_parity")) return read_parity(column, json);
    if (ig_str_is(name, "equalized_odds_difference"))
        return read_rate(&column->odds, json, "equalized_odds_difference");
    if (ig_str_is(name, "column"))
        ig_json_string(json, &column->name, "column");
    else if (ig_str_is(name, "four_fifths"))
        ig_json_string(json, &column->four_fifths, "four_fifths");
    else
        ig_json_skip(json);
    return json->err->code;
}

static enum ig_code feature_member(void *out, struct ig_json *json, struct ig_str name)
{
    struct ig_report_feature *feature = out;
    if (ig_str_is(name, "importance"))
        return read_number(&feature->importance.value, json, "importance");
    if (ig_str_is(name, "low")) return read_number(&feature->importance.low, json, "low");
    if (ig_str_is(name, "high")) return read_number(&feature->importance.high, json, "high");
    if (!ig_str_is(name, "feature")) return pass_over(json);
    ig_json_string(json, &feature->name, "feature");
    return json->err->code;
}

/* ---- reports ---- */

struct reading {
    struct ig_report_summary summary;
    struct ig_report_column *columns;
    struct ig_report_feature *features;
    bool has_list; /* that makes it a report of its kind */
};

static enum ig_code read_columns(struct reading *reading, struct ig_json *json)
{
    if (!ig_json_expect(json, IG_JSON_ARRAY, "protected")) return json->err->code;
    reading->has_list = true;
    while (ig_json_element(json)) {
        struct ig_report_column column = {.four_fifths = IG_STR("unknown")};
        if (read_object(&column, json, "protected", column_member) != IG_OK) break;
        if (reading->summary.columns_count < IG_REPORT_COLUMNS_MAX)
            reading->columns[reading->summary.columns_count++] = column;
    }
    return json->err->code;
}

static enum ig_code fairness_member(void *out, struct ig_json *json, struct ig_str name)
{
    struct reading *reading = out;
    if (ig_str_is(name, "protected")) return read_columns(reading, json);
    if (ig_str_is(name, "rows"))
        ig_json_i64(json, &reading->summary.rows, "rows");
    else if (ig_str_is(name, "positive"))
        ig_json_string(json, &reading->summary.positive, "positive");
    else
        ig_json_skip(json);
    return json->err->code;
}

static enum ig_code read_features(struct reading *reading, struct ig_json *json)
{
    if (!ig_json_expect(json, IG_JSON_ARRAY, "features")) return json->err->code;
    reading->has_list = true;
    while (ig_json_element(json)) {
        struct ig_report_feature feature = {.importance = {true, NAN, NAN, NAN}};
        if (read_object(&feature, json, "features", feature_member) != IG_OK) break;
        feature.importance.known = isfinite(feature.importance.value);
        if (reading->summary.features_count < IG_REPORT_FEATURES_MAX)
            reading->features[reading->summary.features_count++] = feature;
    }
    return json->err->code;
}

static enum ig_code importance_member(void *out, struct ig_json *json, struct ig_str name)
{
    struct reading *reading = out;
    if (ig_str_is(name, "features")) return read_features(reading, json);
    if (ig_str_is(name, "rows"))
        ig_json_i64(json, &reading->summary.rows, "rows");
    else if (ig_str_is(name, "kind"))
        ig_json_string(json, &reading->summary.kind, "kind");
    else
        ig_json_skip(json);
    return json->err->code;
}

enum ig_code ig_report_summarize(struct ig_report_summary *out, enum ig_report_kind kind,
                                 struct ig_str text, struct ig_arena *arena, struct ig_err *err)
{
    bool fairness = kind == IG_REPORT_FAIRNESS;
    struct reading reading = {
        .columns = ig_arena_array(arena, IG_REPORT_COLUMNS_MAX, sizeof *reading.columns),
        .features = ig_arena_array(arena, IG_REPORT_FEATURES_MAX, sizeof *reading.features)};
    struct ig_json json;
    if (!reading.columns || !reading.features) return ig_fail(err, IG_NO_MEMORY, "report");
    ig_json_init(&json, text, arena, err);
    if (read_object(&reading, &json, "report", fairness ? fairness_member : importance_member) ==
        IG_OK)
        ig_json_next(&json); /* nothing follows */
    if (err->code != IG_OK) return err->code;
    if (!reading.has_list)
        return ig_fail(err, IG_INVALID, "%s: missing; expected a report of %s",
                       fairness ? "protected" : "features", ig_report_kind_name(kind));
    reading.summary.columns = reading.columns;
    reading.summary.features = reading.features;
    *out = reading.summary;
    return IG_OK;
}
