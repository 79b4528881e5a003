/* SPDX-License-Identifier: Apache-2.0 */
/* Counterfactuals as JSON: each alternative's changes, distance and the answer it leads to. */
#include "api/answer.h"

#include <math.h>

bool ig_answer_find_class(const struct ig_schema *schema, struct ig_str name, uint32_t *out)
{
    uint64_t number;
    for (uint32_t i = 0; i < schema->classes_count; i++) {
        if (!ig_str_eq(schema->classes[i], name)) continue;
        *out = i;
        return true;
    }
    if (schema->classes_count || !ig_str_to_u64(name, &number) || number >= UINT32_MAX)
        return false;
    *out = (uint32_t)number;
    return true;
}

static void write_change(struct ig_json_out *out, const struct ig_answer *answer, uint32_t feature,
                         double to)
{
    const struct ig_feature *own = &answer->schema->features[feature];
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "feature", own->name);
    ig_json_out_key(out, IG_STR("from"));
    ig_answer_value(out, own, answer->row[feature]);
    ig_json_out_key(out, IG_STR("to"));
    ig_answer_value(out, own, to);
    ig_json_out_object_end(out);
}

static void write_item(struct ig_json_out *out, const struct ig_answer *answer,
                       const struct ig_counterfactual *item)
{
    struct ig_answer changed = *answer;
    ig_json_out_object(out);
    ig_json_out_key(out, IG_STR("changes"));
    ig_json_out_array(out);
    for (uint32_t i = 0; i < item->changes_count; i++)
        write_change(out, answer, item->changes[i], item->row[item->changes[i]]);
    ig_json_out_array_end(out);
    ig_json_out_kv_f64(out, "distance", item->distance);
    ig_json_out_kv_bool(out, "nearest", item->is_nearest);
    if (!item->is_nearest && item->bound > 0)
        ig_json_out_kv_f64(out, "none_nearer_than", item->bound);
    changed.margins = item->margins;
    changed.predictions = item->predictions;
    ig_answer_prediction(out, &changed);
    ig_json_out_object_end(out);
}

void ig_answer_counterfactual(struct ig_json_out *out, const struct ig_answer *answer)
{
    const struct ig_counterfactual_result *result = answer->counterfactual;
    const char *outcome = result->is_there_already ? "wanted_already"
                          : result->count          ? "found"
                          : result->none           ? "none_exists"
                                                   : "none_found";
    ig_json_out_kv_str(out, "outcome", ig_str_view(outcome));
    ig_json_out_key(out, IG_STR("counterfactuals"));
    ig_json_out_array(out);
    for (uint32_t i = 0; i < result->count; i++) write_item(out, answer, &result->items[i]);
    ig_json_out_array_end(out);
}
