/* SPDX-License-Identifier: Apache-2.0 */
/* Encoders as JSON: {"version": 1, "features": [{"mean": 3, "deviation": 2, "knots": [1, 5]},
 * {"categories": 4, "missing": true}], "gains": [1, 2, ...]}, in the order of the schema's
 * features; gains, where they are not all 1, in that of the inputs. */
#include "kernels/train/encoder.h"

#include "base/vec.h"

#include <math.h>

enum { VERSION = 1 };

void ig_encoder_write(struct ig_json_out *out, const struct ig_encoder *encoder)
{
    ig_json_out_object(out);
    ig_json_out_kv_i64(out, "version", VERSION);
    ig_json_out_key(out, IG_STR("features"));
    ig_json_out_array(out);
    for (uint32_t i = 0; i < encoder->features_count; i++) {
        const struct ig_encoder_feature *feature = &encoder->features[i];
        ig_json_out_object(out);
        if (feature->categories) {
            ig_json_out_kv_i64(out, "categories", feature->categories);
        } else {
            ig_json_out_kv_f64(out, "mean", (double)feature->mean);
            ig_json_out_kv_f64(out, "deviation", (double)feature->deviation);
        }
        if (feature->missing) ig_json_out_kv_bool(out, "missing", true);
        if (feature->knots_count > 1) {
            ig_json_out_key(out, IG_STR("knots"));
            ig_json_out_array(out);
            for (uint32_t k = 0; k < feature->knots_count; k++)
                ig_json_out_f64(out, (double)feature->knots[k]);
            ig_json_out_array_end(out);
        }
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
    if (encoder->gains) {
        ig_json_out_key(out, IG_STR("gains"));
        ig_json_out_array(out);
        for (uint32_t i = 0; i < encoder->inputs_count; i++)
            ig_json_out_f64(out, (double)encoder->gains[i]);
        ig_json_out_array_end(out);
    }
    ig_json_out_object_end(out);
}

static enum ig_code read_knots(struct ig_encoder_feature *feature, struct ig_json *json)
{
    if (!ig_json_expect(json, IG_JSON_ARRAY, "knots")) return ig_err_code(json->err);
    while (ig_json_element(json)) {
        double number;
        if (!ig_json_f64(json, &number, "knot")) return ig_err_code(json->err);
        uint32_t count = feature->knots_count;
        float knot = (float)number;
        if (count == IG_ENCODER_KNOTS || !isfinite(knot) ||
            (count && (!(knot > feature->knots[count - 1]) || !isfinite(knot - feature->knots[0]))))
            return ig_fail_at(json->err, IG_INVALID, ig_json_position(json),
                              "knot %u is %g, expected at most %d floats that ascend", count,
                              number, IG_ENCODER_KNOTS);
        feature->knots[feature->knots_count++] = knot;
    }
    return json->err->code;
}

static enum ig_code read_member(struct ig_encoder_feature *feature, struct ig_json *json)
{
    struct ig_str name = json->text;
    uint64_t categories;
    double number = 0;
    bool good = true;
    if (ig_str_is(name, "knots")) return read_knots(feature, json);
    if (ig_str_is(name, "mean")) {
        good = ig_json_f64(json, &number, "mean");
        feature->mean = (float)number;
    } else if (ig_str_is(name, "deviation")) {
        good = ig_json_f64(json, &number, "deviation");
        feature->deviation = (float)number;
    } else if (ig_str_is(name, "missing")) {
        good = ig_json_bool(json, &feature->missing, "missing");
    } else if (ig_str_is(name, "categories")) {
        good = ig_json_u64(json, &categories, "categories");
        if (good && (categories == 0 || categories > IG_ENCODER_INPUTS_MAX))
            return ig_fail_at(json->err, IG_INVALID, ig_json_position(json),
                              "categories is %llu, expected 1 to %d",
                              (unsigned long long)categories, IG_ENCODER_INPUTS_MAX);
        if (good) feature->categories = (uint32_t)categories;
    } else {
        return ig_fail_at(json->err, IG_INVALID, ig_json_position(json),
                          "an encoder's feature has no '%.*s'",
                          (int)(name.len < 64 ? name.len : 64), name.ptr);
    }
    return good ? IG_OK : ig_err_code(json->err);
}

static enum ig_code read_feature(struct ig_encoder_feature *feature, struct ig_json *json)
{
    *feature = (struct ig_encoder_feature){.deviation = 1};
    if (!ig_json_expect(json, IG_JSON_OBJECT, "feature")) return ig_err_code(json->err);
    while (ig_json_member(json))
        if (read_member(feature, json)) return ig_err_code(json->err);
    if (json->err->code) return json->err->code;
    if (!isfinite(feature->mean) || !isfinite(feature->deviation) || !(feature->deviation > 0))
        return ig_fail_at(json->err, IG_INVALID, ig_json_position(json),
                          "mean %g and deviation %g, expected a float and one over 0",
                          (double)feature->mean, (double)feature->deviation);
    if (feature->knots_count == 1 || (feature->categories && feature->knots_count))
        return ig_fail_at(json->err, IG_INVALID, ig_json_position(json), "%u knots of %s",
                          feature->knots_count, feature->categories ? "categories" : "a number");
    return IG_OK;
}

struct features {
    struct ig_encoder_feature *items;
    size_t count, cap;
};

struct gains {
    float *items;
    size_t count, cap;
};

static enum ig_code read_gains(struct gains *gains, struct ig_json *json)
{
    if (!ig_json_expect(json, IG_JSON_ARRAY, "gains")) return ig_err_code(json->err);
    while (ig_json_element(json)) {
        double gain;
        if (!ig_json_f64(json, &gain, "gain")) return ig_err_code(json->err);
        if (!(gain >= IG_ENCODER_GAIN_LEAST && gain <= IG_ENCODER_GAIN_MOST))
            return ig_fail_at(json->err, IG_INVALID, ig_json_position(json),
                              "gain %zu is %g, expected %g to %g", gains->count, gain,
                              IG_ENCODER_GAIN_LEAST, IG_ENCODER_GAIN_MOST);
        if (!IG_VEC_PUSH(gains, (float)gain, IG_ENCODER_INPUTS_MAX))
            return ig_fail(json->err, IG_INVALID, "more than %d gains", IG_ENCODER_INPUTS_MAX);
    }
    return json->err->code;
}

static enum ig_code read_features(struct features *features, struct ig_json *json)
{
    if (!ig_json_expect(json, IG_JSON_ARRAY, "features")) return ig_err_code(json->err);
    while (ig_json_element(json)) {
        struct ig_encoder_feature feature;
        if (read_feature(&feature, json)) return ig_err_code(json->err);
        if (features->count == IG_ENCODER_INPUTS_MAX)
            return ig_fail(json->err, IG_INVALID, "more than %d features", IG_ENCODER_INPUTS_MAX);
        if (!IG_VEC_PUSH(features, feature, IG_ENCODER_INPUTS_MAX))
            return ig_fail(json->err, IG_NO_MEMORY, "the encoder");
    }
    return json->err->code;
}

static enum ig_code read_all(struct features *features, struct gains *gains, struct ig_json *json)
{
    int64_t version = 0;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "encoder")) return ig_err_code(json->err);
    while (ig_json_member(json)) {
        if (ig_str_is(json->text, "version")) {
            if (!ig_json_i64(json, &version, "version")) return ig_err_code(json->err);
        } else if (ig_str_is(json->text, "features") && features->count == 0) {
            if (read_features(features, json)) return ig_err_code(json->err);
        } else if (ig_str_is(json->text, "gains") && gains->count == 0) {
            if (read_gains(gains, json)) return ig_err_code(json->err);
        } else {
            return ig_fail_at(json->err, IG_INVALID, ig_json_position(json),
                              "an encoder has no '%.*s', or only one",
                              (int)(json->text.len < 64 ? json->text.len : 64), json->text.ptr);
        }
    }
    if (json->err->code || ig_json_next(json) == IG_JSON_ERROR) return ig_err_code(json->err);
    if (version != VERSION)
        return ig_fail(json->err, IG_UNSUPPORTED, "version %lld of an encoder, expected %d",
                       (long long)version, VERSION);
    if (features->count == 0) return ig_fail(json->err, IG_INVALID, "an encoder of no features");
    return IG_OK;
}

enum ig_code ig_encoder_read(struct ig_encoder *encoder, struct ig_arena *arena, struct ig_str text,
                             struct ig_err *err)
{
    struct features features = {0};
    struct gains gains = {0};
    struct ig_encoder made = {0};
    struct ig_json json;
    ig_json_init(&json, text, arena, err);
    enum ig_code code = read_all(&features, &gains, &json);
    if (code == IG_OK) {
        made.features_count = (uint32_t)features.count;
        made.features = ig_arena_array(arena, features.count, sizeof *made.features);
        if (!made.features) code = ig_fail(err, IG_NO_MEMORY, "the encoder");
    }
    for (uint32_t i = 0; i < features.count && code == IG_OK; i++) {
        made.features[i] = features.items[i];
        made.features[i].first = made.inputs_count;
        made.inputs_count += ig_encoder_columns(&made.features[i]);
        if (made.inputs_count > IG_ENCODER_INPUTS_MAX)
            code = ig_fail(err, IG_INVALID, "feature %u: more than %d inputs", i,
                           IG_ENCODER_INPUTS_MAX);
    }
    if (code == IG_OK && gains.count && gains.count != made.inputs_count)
        code = ig_fail(err, IG_INVALID, "%zu gains of %u inputs", gains.count, made.inputs_count);
    if (code == IG_OK && gains.count) {
        float *kept = ig_arena_array(arena, gains.count, sizeof *kept);
        if (kept) memcpy(kept, gains.items, gains.count * sizeof *kept);
        made.gains = kept;
        if (!kept) code = ig_fail(err, IG_NO_MEMORY, "the encoder");
    }
    IG_VEC_FREE(&features);
    IG_VEC_FREE(&gains);
    if (code == IG_OK) *encoder = made;
    return code;
}
