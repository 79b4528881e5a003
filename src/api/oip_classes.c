/* SPDX-License-Identifier: Apache-2.0 */
/* Texts as Triton writes them (src/classification.cc of its server): std::to_string of the score,
 * which is "%f". Equal scores stand in the order of their classes. Thread rule: pure. */
#include "api/oip_classes.h"

#include <math.h>
#include <stdlib.h>

enum ig_code ig_oip_classes_new(struct ig_oip_classes **out, enum ig_oip_result result,
                                const struct ig_servable *face, uint32_t wanted,
                                struct ig_arena *arena, struct ig_err *err)
{
    const struct ig_model *model = face->package->model;
    size_t count = result == IG_OIP_MARGINS ? model->outputs_count : model->predictions_count;
    if (result != IG_OIP_PREDICTIONS && result != IG_OIP_MARGINS)
        return ig_fail(err, IG_INVALID,
                       "classification: only predictions and margins are scores of classes");
    struct ig_oip_classes *classes = ig_arena_zalloc(arena, sizeof *classes);
    if (!classes) return ig_fail(err, IG_NO_MEMORY, "no memory for the call");
    classes->both =
        result == IG_OIP_PREDICTIONS && count == 1 && ig_model_gives_probabilities(model);
    classes->scores_count = classes->both ? 2 : count;
    classes->count = wanted < classes->scores_count ? wanted : classes->scores_count;
    classes->scores = ig_arena_array(arena, classes->scores_count, sizeof *classes->scores);
    if (!classes->scores) return ig_fail(err, IG_NO_MEMORY, "no memory for the call");
    *out = classes;
    return IG_OK;
}

static int compare(const void *left, const void *right)
{
    const struct ig_oip_score *a = left, *b = right;
    bool a_less = isnan(a->value) ? !isnan(b->value) : a->value < b->value;
    bool b_less = isnan(b->value) ? !isnan(a->value) : b->value < a->value;
    if (a_less != b_less) return a_less ? 1 : -1;
    return a->index < b->index ? -1 : 1;
}

void ig_oip_classes_rank(struct ig_oip_classes *classes, const double *numbers)
{
    struct ig_oip_score *scores = classes->scores;
    for (uint32_t i = 0; i < classes->scores_count; i++)
        scores[i] = (struct ig_oip_score){
            classes->both ? (i ? numbers[0] : 1 - numbers[0]) : numbers[i], i};
    qsort(scores, classes->scores_count, sizeof *scores, compare);
}

void ig_oip_classes_write(struct ig_buf *out, const struct ig_oip_classes *classes, size_t at,
                          const struct ig_schema *schema)
{
    const struct ig_oip_score *score = &classes->scores[at];
    ig_buf_printf(out, "%f:%u", score->value, score->index);
    if (schema->classes_count != classes->scores_count) return;
    ig_buf_add_char(out, ':');
    ig_buf_add_str(out, schema->classes[score->index]);
}
