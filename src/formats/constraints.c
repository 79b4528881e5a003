/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/constraints.h"

enum { SHOWN_MAX = 64 };

static int shown(struct ig_str text)
{
    return (int)(text.len > SHOWN_MAX ? SHOWN_MAX : text.len);
}

enum ig_code ig_constraints_begin(struct ig_constraints *out, const struct ig_schema *schema,
                                  struct ig_arena *arena, struct ig_err *err)
{
    out->schema = schema;
    out->items = ig_arena_zalloc(arena, (schema->features_count + (size_t)1) * sizeof *out->items);
    if (!out->items) return ig_fail(err, IG_NO_MEMORY, "constraints: no memory");
    for (uint32_t f = 0; f < schema->features_count; f++)
        out->items[f].step = schema->features[f].type == IG_FEATURE_INTEGER ? 1 : 0;
    return IG_OK;
}

struct ig_counterfactual_constraint *ig_constraints_find(struct ig_constraints *constraints,
                                                         struct ig_str feature, struct ig_err *err)
{
    int32_t index = ig_schema_feature_index(constraints->schema, feature);
    if (index >= 0) return &constraints->items[index];
    ig_fail(err, IG_INVALID, "constraints: the model has no feature '%.*s'", shown(feature),
            feature.ptr);
    return NULL;
}

static enum ig_code parse_number(double *out, struct ig_str text, struct ig_err *err)
{
    if (ig_str_to_f64(text, out)) return IG_OK;
    return ig_fail(err, IG_INVALID, "constraints: '%.*s' is no number", shown(text), text.ptr);
}

/* Where ".." begins; SIZE_MAX: nowhere. */
static size_t find_dots(struct ig_str word)
{
    for (size_t i = 0; i + 1 < word.len; i++)
        if (word.ptr[i] == '.' && word.ptr[i + 1] == '.') return i;
    return SIZE_MAX;
}

static enum ig_code parse_range(struct ig_counterfactual_constraint *constraint, struct ig_str word,
                                size_t dots, struct ig_err *err)
{
    struct ig_str low = {word.ptr, dots}, high = {word.ptr + dots + 2, word.len - dots - 2};
    constraint->has_low = low.len > 0;
    constraint->has_high = high.len > 0;
    if (low.len && parse_number(&constraint->low, low, err) != IG_OK) return err->code;
    if (high.len && parse_number(&constraint->high, high, err) != IG_OK) return err->code;
    if (low.len && high.len && !(constraint->low <= constraint->high))
        ig_fail(err, IG_INVALID, "constraints: '%.*s' ends below its beginning", shown(word),
                word.ptr);
    return err->code;
}

static enum ig_code parse_size(double *out, struct ig_str word, struct ig_str text,
                               struct ig_err *err)
{
    if (parse_number(out, text, err) == IG_OK && !(*out >= 0))
        ig_fail(err, IG_INVALID, "constraints: '%.*s' is below 0", shown(word), word.ptr);
    return err->code;
}

enum ig_code ig_constraint_parse(struct ig_counterfactual_constraint *constraint,
                                 struct ig_str word, struct ig_err *err)
{
    struct ig_str rest = word, first = ig_str_cut(&rest, ':');
    size_t dots = find_dots(word);
    if (ig_str_is(word, "immutable"))
        constraint->immutable = true;
    else if (ig_str_is(word, "up"))
        constraint->only_up = true;
    else if (ig_str_is(word, "down"))
        constraint->only_down = true;
    else if (ig_str_is(word, "missing"))
        constraint->may_go_missing = true;
    else if (rest.ptr && ig_str_is(first, "step"))
        parse_size(&constraint->step, word, rest, err);
    else if (rest.ptr && ig_str_is(first, "scale"))
        parse_size(&constraint->scale, word, rest, err);
    else if (dots != SIZE_MAX)
        parse_range(constraint, word, dots, err);
    else
        ig_fail(err, IG_INVALID,
                "constraints: '%.*s' is none of immutable, up, down, missing, LOW..HIGH, step:X, "
                "scale:X",
                shown(word), word.ptr);
    return err->code;
}
