/* SPDX-License-Identifier: Apache-2.0 */
/* Encoding of predictions and explanations. On the hot path: one pass over each array, no
 * allocation but the buffer's own growth. */
#include "api/answer.h"

#include "base/str.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { INSERTION_MAX = 32 };

static bool is_classification(const struct ig_answer *answer)
{
    return answer->schema->task == IG_TASK_BINARY || answer->schema->task == IG_TASK_MULTICLASS;
}

static int32_t greatest(const double *values, uint32_t count)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++)
        if (values[i] > values[best]) best = i;
    return (int32_t)best;
}

int32_t ig_answer_class(const struct ig_answer *answer)
{
    const struct ig_model *model = answer->model;
    if (!is_classification(answer)) return -1;
    if (model->predictions_count > 1)
        return greatest(answer->predictions, model->predictions_count);
    double only = answer->predictions[0];
    if (model->transform == IG_TRANSFORM_ARGMAX)
        return only >= 0 && only < (double)INT32_MAX ? (int32_t)only : 0;
    if (model->transform == IG_TRANSFORM_IDENTITY) return answer->margins[0] > 0;
    return only > 0.5;
}

uint32_t ig_answer_output(const struct ig_answer *answer)
{
    int32_t class = ig_answer_class(answer);
    if (answer->values_count == 1 || class < 0) return 0;
    return (uint32_t) class < answer->values_count ? (uint32_t) class : 0;
}

struct ig_str ig_answer_output_name(const struct ig_answer *answer, uint32_t output, char text[16])
{
    if (answer->schema->classes && output < answer->schema->classes_count)
        return answer->schema->classes[output];
    int length = snprintf(text, 16, "%u", output);
    return (struct ig_str){text, (size_t)length};
}

static const double *contributions_of(const struct ig_answer *answer, uint32_t output)
{
    return answer->contributions + (size_t)output * (answer->players_count + 1);
}

/* True when feature a ranks before b. */
static bool before(const double *values, uint32_t a, uint32_t b)
{
    double x = fabs(values[a]), y = fabs(values[b]);
    return x > y || (x == y && a < b);
}

static int compare_rank(const void *a, const void *b, void *values)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return before(values, x, y) ? -1 : before(values, y, x);
}

size_t ig_answer_rank(const struct ig_answer *answer, uint32_t output)
{
    const double *values = contributions_of(answer, output);
    uint32_t count = answer->players_count;
    size_t top = answer->top < count ? answer->top : count;
    if (top > INSERTION_MAX) {
        for (uint32_t i = 0; i < count; i++) answer->order[i] = i;
        qsort_r(answer->order, count, sizeof *answer->order, compare_rank, (void *)values);
        return top;
    }
    size_t held = 0;
    for (uint32_t i = 0; i < count && top; i++) {
        if (held == top && !before(values, i, answer->order[held - 1])) continue;
        size_t at = held < top ? held++ : held - 1;
        for (; at && before(values, i, answer->order[at - 1]); at--)
            answer->order[at] = answer->order[at - 1];
        answer->order[at] = i;
    }
    return top;
}

void ig_answer_value(struct ig_json_out *out, const struct ig_feature *feature, double value)
{
    if (isnan(value)) {
        ig_json_out_null(out);
        return;
    }
    if (ig_feature_takes_text(feature)) {
        char hash[IG_FEATURE_HASH_SIZE];
        struct ig_str text = ig_feature_category_text(feature, value, hash);
        if (text.ptr)
            ig_json_out_str(out, text);
        else
            ig_json_out_null(out);
        return;
    }
    ig_json_out_f64(out, value);
}

static void write_class(struct ig_json_out *out, const struct ig_answer *answer, int32_t class)
{
    const struct ig_schema *schema = answer->schema;
    if (schema->classes && (uint32_t) class < schema->classes_count)
        ig_json_out_str(out, schema->classes[class]);
    else
        ig_json_out_i64(out, class);
}

static void write_numbers(struct ig_json_out *out, const double *values, uint32_t count)
{
    if (count == 1) {
        ig_json_out_f64(out, values[0]);
        return;
    }
    ig_json_out_array(out);
    for (uint32_t i = 0; i < count; i++) ig_json_out_f64(out, values[i]);
    ig_json_out_array_end(out);
}

/* {output name: value} of `count` values, or the lone one. */
static void write_by_output(struct ig_json_out *out, const struct ig_answer *answer,
                            const double *values, size_t stride, uint32_t count)
{
    char text[16];
    if (count == 1) {
        ig_json_out_f64(out, values[0]);
        return;
    }
    ig_json_out_object(out);
    for (uint32_t i = 0; i < count; i++) {
        ig_json_out_key(out, ig_answer_output_name(answer, i, text));
        ig_json_out_f64(out, values[(size_t)i * stride]);
    }
    ig_json_out_object_end(out);
}

struct ig_str ig_answer_player(const struct ig_answer *answer, uint32_t player)
{
    if (answer->player_of_feature) return answer->player_names[player];
    return answer->schema->features[player].name;
}

int32_t ig_answer_feature(const struct ig_answer *answer, uint32_t player)
{
    int32_t found = -1;
    if (!answer->player_of_feature) return (int32_t)player;
    for (uint32_t f = 0; f < answer->model->features_count; f++) {
        if (answer->player_of_feature[f] != player) continue;
        if (found >= 0) return -1;
        found = (int32_t)f;
    }
    return found;
}

void ig_answer_prediction(struct ig_json_out *out, const struct ig_answer *answer)
{
    int32_t class = ig_answer_class(answer);
    ig_json_out_key(out, IG_STR("prediction"));
    if (class >= 0)
        write_class(out, answer, class);
    else
        write_numbers(out, answer->predictions, answer->model->predictions_count);
    if (class < 0 || !ig_model_gives_probabilities(answer->model)) return;
    ig_json_out_key(out, IG_STR("probability"));
    write_by_output(out, answer, answer->predictions, 1, answer->model->outputs_count);
}

/* {player: number}: contributions, or their standard errors. */
static void write_players(struct ig_json_out *out, const struct ig_answer *answer,
                          const double *values)
{
    ig_json_out_object(out);
    for (uint32_t i = 0; i < answer->players_count; i++) {
        ig_json_out_key(out, ig_answer_player(answer, i));
        ig_json_out_f64(out, values[i]);
    }
    ig_json_out_object_end(out);
}

static void write_top(struct ig_json_out *out, const struct ig_answer *answer)
{
    uint32_t output = ig_answer_output(answer);
    const double *values = contributions_of(answer, output);
    size_t count = ig_answer_rank(answer, output);
    ig_json_out_array(out);
    for (size_t i = 0; i < count; i++) {
        uint32_t index = answer->order[i];
        int32_t feature = ig_answer_feature(answer, index);
        ig_json_out_object(out);
        ig_json_out_key(out, IG_STR("feature"));
        ig_json_out_str(out, ig_answer_player(answer, index));
        if (feature >= 0) {
            ig_json_out_key(out, IG_STR("value"));
            ig_answer_value(out, &answer->schema->features[feature], answer->row[feature]);
        }
        ig_json_out_key(out, IG_STR("contribution"));
        ig_json_out_f64(out, values[index]);
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
}

/* By player, or by class and then by player. */
static void write_by_player(struct ig_json_out *out, const struct ig_answer *answer,
                            const double *values)
{
    char text[16];
    size_t stride = answer->players_count + (size_t)1;
    if (answer->values_count == 1) {
        write_players(out, answer, values);
        return;
    }
    ig_json_out_object(out);
    for (uint32_t i = 0; i < answer->values_count; i++) {
        ig_json_out_key(out, ig_answer_output_name(answer, i, text));
        write_players(out, answer, values + i * stride);
    }
    ig_json_out_object_end(out);
}

static void write_kv(struct ig_json_out *out, const char *key, const char *text)
{
    if (text && text[0]) ig_json_out_kv_str(out, key, ig_str_view(text));
}

static void write_details(struct ig_json_out *out, const struct ig_answer *answer)
{
    const struct ig_answer_details *details = answer->details;
    const struct ig_explain_note *note = details->note;
    ig_json_out_kv_bool(out, "exact", note->exact);
    ig_json_out_kv_str(out, "unit", ig_str_view(details->unit));
    write_kv(out, "variant", details->variant);
    if (note->samples) ig_json_out_kv_i64(out, "samples", (int64_t)note->samples);
    if (!note->exact && note->samples) {
        ig_json_out_key(out, IG_STR("seed"));
        ig_json_out_u64(out, note->seed);
        write_kv(out, "stopped_by", note->stopped);
        if (note->quantile > 0) ig_json_out_kv_f64(out, "interval_se", note->quantile);
        if (details->se) {
            ig_json_out_key(out, IG_STR("standard_errors"));
            write_by_player(out, answer, details->se);
        }
    }
    if (details->background.len) {
        ig_json_out_key(out, IG_STR("background"));
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "name", details->background);
        ig_json_out_kv_str(out, "digest", details->background_digest);
        ig_json_out_object_end(out);
    }
    write_kv(out, "chosen", details->why);
}

size_t ig_answer_pairs(const struct ig_answer *answer, uint32_t output, struct ig_answer_pair *out,
                       size_t most)
{
    size_t stride = answer->players_count + (size_t)1, count = 0;
    const double *matrix = answer->interactions + output * stride * stride;
    if (answer->top < most) most = answer->top;
    for (uint32_t a = 0; a < answer->players_count; a++)
        for (uint32_t b = a + 1; b < answer->players_count; b++) {
            const struct ig_answer_pair own = {a, b, 2 * matrix[a * stride + b]};
            size_t at = count < most ? count++ : most;
            for (; at > 0 && fabs(own.interaction) > fabs(out[at - 1].interaction); at--)
                if (at < most) out[at] = out[at - 1];
            if (at < most) out[at] = own;
        }
    return count;
}

static void write_pairs(struct ig_json_out *out, const struct ig_answer *answer, uint32_t output)
{
    struct ig_answer_pair pairs[INSERTION_MAX];
    size_t count = ig_answer_pairs(answer, output, pairs, INSERTION_MAX);
    ig_json_out_array(out);
    for (size_t i = 0; i < count; i++) {
        ig_json_out_object(out);
        ig_json_out_key(out, IG_STR("features"));
        ig_json_out_array(out);
        ig_json_out_str(out, ig_answer_player(answer, pairs[i].first));
        ig_json_out_str(out, ig_answer_player(answer, pairs[i].second));
        ig_json_out_array_end(out);
        ig_json_out_kv_f64(out, "interaction", pairs[i].interaction);
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
}

double ig_answer_interaction(const struct ig_answer *answer, size_t place)
{
    size_t stride = answer->players_count + (size_t)1;
    bool beside = place % stride != place / stride % stride;
    return answer->interactions[place] * (answer->whole_interactions && beside ? 2 : 1);
}

const char *ig_answer_interactions_name(const struct ig_answer *answer)
{
    return answer->whole_interactions ? "whole" : "halved";
}

/* {player: {player: number}} */
static void write_matrix(struct ig_json_out *out, const struct ig_answer *answer, uint32_t output)
{
    size_t stride = answer->players_count + (size_t)1;
    ig_json_out_object(out);
    for (uint32_t a = 0; a < answer->players_count; a++) {
        ig_json_out_key(out, ig_answer_player(answer, a));
        ig_json_out_object(out);
        for (uint32_t b = 0; b < answer->players_count; b++) {
            ig_json_out_key(out, ig_answer_player(answer, b));
            ig_json_out_f64(out, ig_answer_interaction(answer, (output * stride + a) * stride + b));
        }
        ig_json_out_object_end(out);
    }
    ig_json_out_object_end(out);
}

static void write_interactions(struct ig_json_out *out, const struct ig_answer *answer)
{
    size_t stride = answer->players_count + (size_t)1, each = stride * stride;
    char text[16];
    ig_json_out_key(out, IG_STR("top_interactions"));
    write_pairs(out, answer, ig_answer_output(answer));
    ig_json_out_kv_str(out, "interactions_convention",
                       ig_str_view(ig_answer_interactions_name(answer)));
    ig_json_out_key(out, IG_STR("interactions"));
    if (answer->values_count == 1) {
        write_matrix(out, answer, 0);
    } else {
        ig_json_out_object(out);
        for (uint32_t i = 0; i < answer->values_count; i++) {
            ig_json_out_key(out, ig_answer_output_name(answer, i, text));
            write_matrix(out, answer, i);
        }
        ig_json_out_object_end(out);
    }
    ig_json_out_key(out, IG_STR("base_value"));
    write_by_output(out, answer, answer->interactions + each - 1, each, answer->values_count);
}

/* A bound of the row's bin that there is. */
static void write_bound(struct ig_json_out *out, const char *key, double bound)
{
    if (isfinite(bound)) ig_json_out_kv_f64(out, key, bound);
}

static void write_term(struct ig_json_out *out, const struct ig_answer *answer, uint32_t i)
{
    const struct ig_lime_result *surrogate = answer->surrogate;
    const struct ig_feature *feature = &answer->schema->features[surrogate->features[i]];
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "feature", feature->name);
    ig_json_out_key(out, IG_STR("value"));
    ig_answer_value(out, feature, answer->row[surrogate->features[i]]);
    write_bound(out, "above", surrogate->low[i]);
    write_bound(out, "up_to", surrogate->high[i]);
    ig_json_out_kv_f64(out, "coefficient", surrogate->coefficients[i]);
    ig_json_out_kv_f64(out, "standard_error", surrogate->se[i]);
    ig_json_out_object_end(out);
}

static void write_surrogate(struct ig_json_out *out, const struct ig_answer *answer)
{
    const struct ig_lime_result *surrogate = answer->surrogate;
    char text[16];
    if (answer->model->outputs_count > 1)
        ig_json_out_kv_str(out, "class",
                           ig_answer_output_name(answer, answer->details->note->output, text));
    ig_json_out_key(out, IG_STR("surrogate"));
    ig_json_out_array(out);
    for (uint32_t i = 0; i < surrogate->count; i++) write_term(out, answer, i);
    ig_json_out_array_end(out);
    ig_json_out_kv_f64(out, "intercept", surrogate->intercept);
    ig_json_out_kv_f64(out, "local_prediction", surrogate->local_prediction);
    ig_json_out_kv_f64(out, "explained_value", surrogate->prediction);
    ig_json_out_kv_f64(out, "r2", surrogate->r2);
    ig_json_out_kv_f64(out, "stability", surrogate->stability);
}

static void write_additive(struct ig_json_out *out, const struct ig_answer *answer)
{
    uint32_t players = answer->players_count;
    ig_json_out_key(out, IG_STR("top_features"));
    write_top(out, answer);
    ig_json_out_key(out, IG_STR("shap_values"));
    write_by_player(out, answer, answer->contributions);
    ig_json_out_key(out, IG_STR("base_value"));
    write_by_output(out, answer, answer->contributions + players, players + 1,
                    answer->values_count);
}

void ig_answer_explanation(struct ig_json_out *out, const struct ig_answer *answer)
{
    ig_json_out_key(out, IG_STR("explanation"));
    ig_json_out_object(out);
    if (answer->interactions)
        write_interactions(out, answer);
    else if (answer->surrogate)
        write_surrogate(out, answer);
    else if (answer->counterfactual)
        ig_answer_counterfactual(out, answer);
    else
        write_additive(out, answer);
    ig_json_out_key(out, IG_STR("margin"));
    write_by_output(out, answer, answer->margins, 1, answer->model->outputs_count);
    ig_json_out_key(out, IG_STR("method"));
    ig_json_out_str(out, ig_str_view(answer->method));
    if (!answer->surrogate && !answer->counterfactual) {
        ig_json_out_key(out, IG_STR("additivity_error"));
        ig_json_out_f64(out, answer->additivity_error);
    }
    if (answer->details) write_details(out, answer);
    ig_json_out_object_end(out);
}
