/* SPDX-License-Identifier: Apache-2.0 */
#include "explain_print.h"

#include <math.h>
#include <string.h>

/* A CSV field, quoted when it must be. */
static void print_field(FILE *out, struct ig_str text)
{
    bool plain = text.len > 0;
    for (size_t i = 0; i < text.len; i++) plain = plain && !strchr(",\"\r\n;\t", text.ptr[i]);
    if (plain) {
        fprintf(out, "%.*s", IG_STR_ARGS(text));
        return;
    }
    fputc('"', out);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"') fputc('"', out);
        fputc(text.ptr[i], out);
    }
    fputc('"', out);
}

static void print_header(struct ig_explain_print *print)
{
    const struct ig_answer *answer = print->answer;
    uint32_t outputs = answer->values_count;
    for (uint32_t k = 0; k < outputs; k++) {
        for (uint32_t i = 0; i < answer->players_count; i++) {
            print_field(print->out, ig_answer_player(answer, i));
            fputc(',', print->out);
        }
        fputs(k + 1 < outputs ? "bias," : "bias\n", print->out);
    }
}

/* All contributions of an output; with --top, cells beyond the K largest stay empty. */
static void print_csv(struct ig_explain_print *print)
{
    const struct ig_answer *answer = print->answer;
    uint32_t features = answer->players_count, outputs = answer->values_count;
    FILE *out = print->out;
    bool all = answer->top >= features;
    for (uint32_t k = 0; k < outputs; k++) {
        const double *values = answer->contributions + (size_t)k * (features + 1);
        size_t ranked = all ? 0 : ig_answer_rank(answer, k);
        for (uint32_t i = 0; i < features; i++) {
            bool shown = all;
            for (size_t r = 0; r < ranked && !shown; r++) shown = answer->order[r] == i;
            if (shown) fprintf(out, "%.17g", values[i]);
            fputc(',', out);
        }
        fprintf(out, "%.17g%c", values[features], k + 1 < outputs ? ',' : '\n');
    }
}

/* "a:b" for each entry of the matrix, row by row; the base value's names are `bias`. */
static void print_matrix_header(struct ig_explain_print *print)
{
    const struct ig_answer *answer = print->answer;
    uint32_t last = answer->players_count;
    FILE *out = print->out;
    for (uint32_t k = 0; k < answer->values_count; k++)
        for (uint32_t a = 0; a <= last; a++)
            for (uint32_t b = 0; b <= last; b++) {
                char text[512];
                struct ig_str bias = IG_STR("bias");
                struct ig_str first = a < last ? ig_answer_player(answer, a) : bias;
                struct ig_str second = b < last ? ig_answer_player(answer, b) : bias;
                snprintf(text, sizeof text, "%.*s:%.*s", IG_STR_ARGS(first), IG_STR_ARGS(second));
                print_field(out, ig_str_view(text));
                bool ends = k + 1 == answer->values_count && a == last && b == last;
                fputc(ends ? '\n' : ',', out);
            }
}

static void print_matrix_csv(struct ig_explain_print *print)
{
    const struct ig_answer *answer = print->answer;
    size_t stride = answer->players_count + (size_t)1;
    size_t count = answer->values_count * stride * stride;
    for (size_t i = 0; i < count; i++)
        fprintf(print->out, "%.17g%c", ig_answer_interaction(answer, i),
                i + 1 < count ? ',' : '\n');
}

/* The surrogate's coefficients in their columns, its intercept as the bias. */
static void print_surrogate_csv(struct ig_explain_print *print)
{
    const struct ig_lime_result *surrogate = print->answer->surrogate;
    FILE *out = print->out;
    for (uint32_t i = 0; i < print->answer->players_count; i++) {
        uint32_t k = 0;
        while (k < surrogate->count && surrogate->features[k] != i) k++;
        if (k < surrogate->count) fprintf(out, "%.17g", surrogate->coefficients[k]);
        fputc(',', out);
    }
    fprintf(out, "%.17g\n", surrogate->intercept);
}

/* The row's number, the distance, and the changed row: one line an alternative. */
static void print_changes_header(struct ig_explain_print *print)
{
    const struct ig_schema *schema = print->answer->schema;
    fputs("row,distance", print->out);
    for (uint32_t f = 0; f < schema->features_count; f++) {
        fputc(',', print->out);
        print_field(print->out, schema->features[f].name);
    }
    fputc('\n', print->out);
}

static void print_changes_csv(struct ig_explain_print *print)
{
    const struct ig_schema *schema = print->answer->schema;
    const struct ig_counterfactual_result *result = print->answer->counterfactual;
    FILE *out = print->out;
    for (uint32_t i = 0; i < result->count; i++) {
        const struct ig_counterfactual *item = &result->items[i];
        fprintf(out, "%llu,%.17g", (unsigned long long)print->row, item->distance);
        for (uint32_t f = 0; f < schema->features_count; f++) {
            const struct ig_feature *feature = &schema->features[f];
            double value = item->row[f];
            fputc(',', out);
            if (isnan(value)) continue;
            if (value >= 0 && value < feature->categories_count)
                print_field(out, feature->categories[(uint32_t)value]);
            else
                fprintf(out, "%.17g", value);
        }
        fputc('\n', out);
    }
}

static void print_json(struct ig_explain_print *print)
{
    struct ig_json_out out;
    ig_buf_reset(&print->buf);
    ig_json_out_init(&out, &print->buf);
    ig_json_out_object(&out);
    ig_json_out_kv_i64(&out, "row", (int64_t)print->row);
    if (!print->raw) ig_answer_prediction(&out, print->answer);
    ig_answer_explanation(&out, print->answer);
    ig_json_out_object_end(&out);
    fprintf(print->out, "%.*s\n", IG_STR_ARGS(ig_buf_view(&print->buf)));
}

static struct ig_str text_of(const struct ig_feature *feature, double value,
                             char text[IG_EXPLAIN_VALUE_SIZE])
{
    if (isnan(value)) return IG_STR("missing");
    if (ig_feature_takes_text(feature)) {
        struct ig_str category = ig_feature_category_text(feature, value, text);
        return category.ptr ? category : IG_STR("(unknown)");
    }
    int length = snprintf(text, IG_EXPLAIN_VALUE_SIZE, "%.7g", value);
    return (struct ig_str){text, (size_t)length};
}

/* Empty for a group, which has no value of its own. */
static struct ig_str value_text(const struct ig_answer *answer, uint32_t player,
                                char text[IG_EXPLAIN_VALUE_SIZE])
{
    int32_t index = ig_answer_feature(answer, player);
    if (index < 0) return IG_STR("");
    return text_of(&answer->schema->features[index], answer->row[index], text);
}

static void print_title(struct ig_explain_print *print, uint32_t output)
{
    const struct ig_answer *answer = print->answer;
    FILE *out = print->out;
    int32_t class = ig_answer_class(answer);
    char text[16];
    fprintf(out, "row %llu", (unsigned long long)print->row);
    if (print->raw) {
        fputs("\n", out);
        return;
    }
    if (class < 0) {
        fprintf(out, "   prediction %.7g\n", answer->predictions[0]);
        return;
    }
    fprintf(out, "   prediction %.*s",
            IG_STR_ARGS(ig_answer_output_name(answer, (uint32_t) class, text)));
    if (ig_model_gives_probabilities(answer->model)) {
        uint32_t positive = answer->model->outputs_count == 1 ? 1 : output;
        fprintf(out, "   probability of %.*s %.4f",
                IG_STR_ARGS(ig_answer_output_name(answer, positive, text)),
                answer->predictions[answer->model->outputs_count == 1 ? 0 : output]);
    }
    fputc('\n', out);
}

/* The same picture for a surrogate: from its intercept to its prediction. */
static void print_surrogate_text(struct ig_explain_print *print)
{
    const struct ig_answer *answer = print->answer;
    const struct ig_lime_result *surrogate = answer->surrogate;
    size_t shown = surrogate->count < answer->top ? surrogate->count : answer->top;
    struct ig_waterfall waterfall = {.bars = print->bars,
                                     .bars_count = shown,
                                     .others_count = surrogate->count - shown,
                                     .base_value = surrogate->intercept,
                                     .margin = surrogate->local_prediction,
                                     .from = "intercept",
                                     .to = "surrogate"};
    for (size_t i = shown; i < surrogate->count; i++)
        waterfall.others += surrogate->coefficients[i];
    for (size_t i = 0; i < shown; i++)
        print->bars[i] =
            (struct ig_waterfall_bar){ig_answer_player(answer, surrogate->features[i]),
                                      value_text(answer, surrogate->features[i], print->values[i]),
                                      surrogate->coefficients[i]};
    print_title(print, 0);
    ig_waterfall_print(print->out, &waterfall);
    if (print->answer->details->note->exact)
        fprintf(print->out, "surrogate of %.7g without sampling\n\n", surrogate->prediction);
    else
        fprintf(print->out, "surrogate of %.7g: R2 %.3f, stability %.2f\n\n", surrogate->prediction,
                surrogate->r2, surrogate->stability);
}

static void print_changes_text(struct ig_explain_print *print)
{
    const struct ig_answer *answer = print->answer;
    const struct ig_counterfactual_result *result = answer->counterfactual;
    FILE *out = print->out;
    print_title(print, 0);
    if (result->is_there_already) fputs("  is what is wanted already\n", out);
    if (result->none) fputs("  no allowed change leads there (proved)\n", out);
    if (!result->count && !result->none && !result->is_there_already)
        fputs("  no change was found that leads there\n", out);
    for (uint32_t i = 0; i < result->count; i++) {
        const struct ig_counterfactual *item = &result->items[i];
        fprintf(out, "  %u. distance %.4g%s\n", i + 1, item->distance,
                item->is_nearest ? ", the nearest" : "");
        for (uint32_t k = 0; k < item->changes_count; k++) {
            char from[IG_EXPLAIN_VALUE_SIZE], to[IG_EXPLAIN_VALUE_SIZE];
            const struct ig_feature *feature = &answer->schema->features[item->changes[k]];
            struct ig_str old = text_of(feature, answer->row[item->changes[k]], from);
            struct ig_str new = text_of(feature, item->row[item->changes[k]], to);
            fprintf(out, "     %.*s: %.*s -> %.*s\n", IG_STR_ARGS(feature->name), IG_STR_ARGS(old),
                    IG_STR_ARGS(new));
        }
    }
    fputc('\n', out);
}

static void print_matrix_text(struct ig_explain_print *print)
{
    struct ig_answer_pair pairs[IG_EXPLAIN_TEXT_TOP];
    const struct ig_answer *answer = print->answer;
    uint32_t output = ig_answer_output(answer);
    size_t count = ig_answer_pairs(answer, output, pairs, IG_EXPLAIN_TEXT_TOP);
    print_title(print, output);
    for (size_t i = 0; i < count; i++) {
        struct ig_str first = ig_answer_player(answer, pairs[i].first);
        struct ig_str second = ig_answer_player(answer, pairs[i].second);
        fprintf(print->out, "%+12.6g  %.*s x %.*s\n", pairs[i].interaction, IG_STR_ARGS(first),
                IG_STR_ARGS(second));
    }
    fputc('\n', print->out);
}

/* How far sampled values may be off. */
static void print_sampling(struct ig_explain_print *print, uint32_t output)
{
    const struct ig_answer_details *details = print->answer->details;
    uint32_t players = print->answer->players_count;
    double worst = 0;
    if (details->note->exact || !details->se) return;
    const double *se = details->se + (size_t)output * (players + 1);
    for (uint32_t i = 0; i < players; i++) worst = fmax(worst, se[i]);
    fprintf(print->out, "%llu samples, standard errors at most %.2g\n",
            (unsigned long long)details->note->samples, worst);
}

static void print_text(struct ig_explain_print *print)
{
    const struct ig_answer *answer = print->answer;
    uint32_t features = answer->players_count;
    uint32_t output = ig_answer_output(answer);
    const double *values = answer->contributions + (size_t)output * (features + 1);
    struct ig_waterfall waterfall = {.bars = print->bars,
                                     .bars_count = ig_answer_rank(answer, output),
                                     .base_value = values[features]};
    double shown = 0, sum = 0;
    for (uint32_t i = 0; i < features; i++) sum += values[i];
    waterfall.margin = values[features] + sum;
    if (strcmp(answer->details->unit, "margin") == 0)
        waterfall.margin = answer->margins[output];
    else
        waterfall.to = "probability";
    for (size_t r = 0; r < waterfall.bars_count; r++) {
        uint32_t i = answer->order[r];
        shown += values[i];
        print->bars[r] = (struct ig_waterfall_bar){
            ig_answer_player(answer, i), value_text(answer, i, print->values[r]), values[i]};
    }
    waterfall.others_count = features - waterfall.bars_count;
    waterfall.others = sum - shown;
    print_title(print, output);
    ig_waterfall_print(print->out, &waterfall);
    print_sampling(print, output);
    fputc('\n', print->out);
}

static const struct ig_explain_format JSON = {NULL, print_json};

static const struct ig_explain_format CSV[] = {
    [IG_EXPLAIN_ADDITIVE] = {print_header, print_csv},
    [IG_EXPLAIN_INTERACTIONS] = {print_matrix_header, print_matrix_csv},
    [IG_EXPLAIN_SURROGATE] = {print_header, print_surrogate_csv},
    [IG_EXPLAIN_COUNTERFACTUAL] = {print_changes_header, print_changes_csv},
};

static const struct ig_explain_format TEXT[] = {
    [IG_EXPLAIN_ADDITIVE] = {NULL, print_text},
    [IG_EXPLAIN_INTERACTIONS] = {NULL, print_matrix_text},
    [IG_EXPLAIN_SURROGATE] = {NULL, print_surrogate_text},
    [IG_EXPLAIN_COUNTERFACTUAL] = {NULL, print_changes_text},
};

const struct ig_explain_format *ig_explain_format(const char *name, enum ig_explain_form form)
{
    if (strcmp(name, "json") == 0) return &JSON;
    return strcmp(name, "text") == 0 ? &TEXT[form] : &CSV[form];
}
