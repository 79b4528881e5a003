/* SPDX-License-Identifier: Apache-2.0 */
/* Adverse reasons of an additive explanation. Contributions of one text are added: the sum of its
 * features' values. */
#include "api/answer.h"

#include <math.h>
#include <stdlib.h>

struct reason {
    struct ig_str text;
    double contribution; /* of all its features */
    double adverse;      /* positive: adverse */
};

struct reasons {
    struct reason *items;
    uint32_t *of_player; /* players_count */
    size_t count;
};

static struct ig_str text_of(const struct ig_reason_codes *codes, struct ig_str name)
{
    for (size_t i = 0; i < codes->count; i++)
        if (ig_str_eq(codes->texts[i].feature, name)) return codes->texts[i].text;
    return name;
}

static uint32_t find_reason(struct reasons *reasons, struct ig_str text)
{
    for (uint32_t i = 0; i < reasons->count; i++)
        if (ig_str_eq(reasons->items[i].text, text)) return i;
    reasons->items[reasons->count] = (struct reason){.text = text};
    return (uint32_t)reasons->count++;
}

static void collect(struct reasons *reasons, const struct ig_answer *answer,
                    const struct ig_reason_codes *codes)
{
    const double *values = answer->contributions +
                           (size_t)ig_answer_output(answer) * (answer->players_count + (size_t)1);
    for (uint32_t p = 0; p < answer->players_count; p++) {
        uint32_t at = find_reason(reasons, text_of(codes, ig_answer_player(answer, p)));
        reasons->of_player[p] = at;
        reasons->items[at].contribution += values[p];
    }
    for (size_t i = 0; i < reasons->count; i++) {
        double own = reasons->items[i].contribution;
        reasons->items[i].adverse = codes->adverse_high ? own : -own;
    }
}

/* The most adverse one below `limit`, the first of equals; SIZE_MAX: none. */
static size_t next_adverse(const struct reasons *reasons, const bool *told)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < reasons->count; i++) {
        if (told[i] || !(reasons->items[i].adverse > 0)) continue;
        if (best == SIZE_MAX || reasons->items[i].adverse > reasons->items[best].adverse) best = i;
    }
    return best;
}

static void write_reason(struct ig_json_out *out, const struct ig_answer *answer,
                         const struct reasons *reasons, size_t which)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "reason", reasons->items[which].text);
    ig_json_out_key(out, IG_STR("features"));
    ig_json_out_array(out);
    for (uint32_t p = 0; p < answer->players_count; p++)
        if (reasons->of_player[p] == which) ig_json_out_str(out, ig_answer_player(answer, p));
    ig_json_out_array_end(out);
    ig_json_out_kv_f64(out, "contribution", reasons->items[which].contribution);
    ig_json_out_object_end(out);
}

enum ig_code ig_answer_reasons(struct ig_json_out *out, const struct ig_answer *answer,
                               const struct ig_reason_codes *codes, size_t top,
                               struct ig_arena *arena, struct ig_err *err)
{
    size_t players = answer->players_count + (size_t)1;
    struct reasons reasons = {.items = ig_arena_array(arena, players, sizeof(struct reason)),
                              .of_player = ig_arena_array(arena, players, sizeof(uint32_t))};
    bool *told = ig_arena_zalloc(arena, players);
    double last = NAN;
    if (!reasons.items || !reasons.of_player || !told)
        return ig_fail(err, IG_NO_MEMORY, "reasons: no memory");
    collect(&reasons, answer, codes);
    ig_json_out_key(out, IG_STR("reasons"));
    ig_json_out_array(out);
    size_t at = next_adverse(&reasons, told);
    for (size_t k = 0; k < top && at != SIZE_MAX; k++, at = next_adverse(&reasons, told)) {
        told[at] = true;
        last = reasons.items[at].adverse;
        write_reason(out, answer, &reasons, at);
    }
    ig_json_out_array_end(out);
    ig_json_out_key(out, IG_STR("margin_to_next_reason"));
    if (at == SIZE_MAX || isnan(last))
        ig_json_out_null(out);
    else
        ig_json_out_f64(out, last - reasons.items[at].adverse);
    return IG_OK;
}
