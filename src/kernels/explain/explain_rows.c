/* SPDX-License-Identifier: Apache-2.0 */
/* A row's bytes: its head, then each array that it has, in the order of struct head's flags. Every
 * part is a multiple of eight bytes. */
#include "kernels/explain/explain_rows.h"

#include <string.h>

enum { CONTRIBUTIONS = 1, SE = 2, INTERACTIONS = 4, SURROGATE = 8, COUNTERFACTUAL = 16 };

struct head {
    uint64_t flags;
    struct ig_explain_note note; /* `stopped` points to constants */
    uint32_t form, players_count, values_count, reserved;
};

/* Sizes in doubles. */
struct sizes {
    size_t margins, each, matrix;
};

static struct sizes sizes_of(const struct ig_explanations *explanations,
                             const struct ig_model *model)
{
    size_t stride = explanations->players_count + (size_t)1;
    size_t each = explanations->values_count * stride;
    return (struct sizes){model->outputs_count, each, each * stride};
}

struct ig_explanations ig_explanations_row(const struct ig_explanations *many, size_t row,
                                           const struct ig_model *model)
{
    struct sizes sizes = sizes_of(many, model);
    struct ig_explanations one = *many;
    one.rows_count = 1;
    one.margins += row * sizes.margins;
    one.notes += row;
    if (one.contributions) one.contributions += row * sizes.each;
    if (one.se) one.se += row * sizes.each;
    if (one.interactions) one.interactions += row * sizes.matrix;
    if (one.surrogates) one.surrogates += row;
    if (one.counterfactuals) one.counterfactuals += row;
    return one;
}

/* ---- packing ---- */

static void add_doubles(struct ig_buf *out, const double *values, size_t count)
{
    if (count) ig_buf_add(out, values, count * sizeof *values);
}

/* Padded to eight bytes. */
static void add_indices(struct ig_buf *out, const uint32_t *values, size_t count)
{
    uint32_t none = 0;
    if (count) ig_buf_add(out, values, count * sizeof *values);
    if (count % 2) ig_buf_add(out, &none, sizeof none);
}

static void pack_surrogate(struct ig_buf *out, const struct ig_lime_result *own)
{
    ig_buf_add(out, own, sizeof *own);
    add_indices(out, own->features, own->count);
    add_doubles(out, own->coefficients, own->count);
    add_doubles(out, own->se, own->count);
    add_doubles(out, own->low, own->count);
    add_doubles(out, own->high, own->count);
}

static void pack_counterfactual(struct ig_buf *out, const struct ig_counterfactual_result *own,
                                const struct ig_model *model)
{
    ig_buf_add(out, own, sizeof *own);
    for (uint32_t i = 0; i < own->count; i++) {
        ig_buf_add(out, &own->items[i], sizeof own->items[i]);
        add_doubles(out, own->items[i].row, model->features_count);
        add_doubles(out, own->items[i].margins, model->outputs_count);
        add_indices(out, own->items[i].changes, own->items[i].changes_count);
    }
}

void ig_explanations_pack(struct ig_buf *out, const struct ig_explanations *one,
                          const struct ig_model *model)
{
    struct sizes sizes = sizes_of(one, model);
    struct head head = {
        .flags = (one->contributions ? CONTRIBUTIONS : 0U) | (one->se ? SE : 0U) |
                 (one->interactions ? INTERACTIONS : 0U) | (one->surrogates ? SURROGATE : 0U) |
                 (one->counterfactuals ? COUNTERFACTUAL : 0U),
        .note = *one->notes,
        .form = one->form,
        .players_count = one->players_count,
        .values_count = one->values_count,
    };
    ig_buf_add(out, &head, sizeof head);
    add_doubles(out, one->margins, sizes.margins);
    if (one->contributions) add_doubles(out, one->contributions, sizes.each);
    if (one->se) add_doubles(out, one->se, sizes.each);
    if (one->interactions) add_doubles(out, one->interactions, sizes.matrix);
    if (one->surrogates) pack_surrogate(out, one->surrogates);
    if (one->counterfactuals) pack_counterfactual(out, one->counterfactuals, model);
}

/* ---- unpacking ---- */

static const void *take(const char **at, size_t bytes)
{
    const void *here = *at;
    *at += (bytes + 7) / 8 * 8;
    return here;
}

static const double *take_doubles(const char **at, size_t count)
{
    return take(at, count * sizeof(double));
}

static bool unpack_surrogate(struct ig_explanations *out, const char **at, struct ig_arena *arena)
{
    struct ig_lime_result *own = ig_arena_alloc(arena, sizeof *own);
    if (!own) return false;
    memcpy(own, take(at, sizeof *own), sizeof *own);
    own->features = take(at, own->count * sizeof *own->features);
    own->coefficients = take_doubles(at, own->count);
    own->se = take_doubles(at, own->count);
    own->low = take_doubles(at, own->count);
    own->high = take_doubles(at, own->count);
    out->surrogates = own;
    return true;
}

static bool unpack_counterfactual(struct ig_explanations *out, const char **at,
                                  const struct ig_model *model, struct ig_arena *arena)
{
    struct ig_counterfactual_result *own = ig_arena_alloc(arena, sizeof *own);
    if (!own) return false;
    memcpy(own, take(at, sizeof *own), sizeof *own);
    struct ig_counterfactual *items = ig_arena_array(arena, own->count, sizeof *items);
    if (!items) return false;
    for (uint32_t i = 0; i < own->count; i++) {
        memcpy(&items[i], take(at, sizeof items[i]), sizeof items[i]);
        items[i].row = take_doubles(at, model->features_count);
        items[i].margins = take_doubles(at, model->outputs_count);
        items[i].changes = take(at, items[i].changes_count * sizeof(uint32_t));
    }
    own->items = items;
    out->counterfactuals = own;
    return true;
}

bool ig_explanations_unpack(struct ig_explanations *out, const void *bytes,
                            const struct ig_model *model, struct ig_arena *arena)
{
    const char *at = bytes;
    const struct head *head = take(&at, sizeof *head);
    *out = (struct ig_explanations){.form = (enum ig_explain_form)head->form,
                                    .rows_count = 1,
                                    .players_count = head->players_count,
                                    .values_count = head->values_count,
                                    .notes = &head->note};
    struct sizes sizes = sizes_of(out, model);
    out->margins = take_doubles(&at, sizes.margins);
    if (head->flags & CONTRIBUTIONS) out->contributions = take_doubles(&at, sizes.each);
    if (head->flags & SE) out->se = take_doubles(&at, sizes.each);
    if (head->flags & INTERACTIONS) out->interactions = take_doubles(&at, sizes.matrix);
    if (head->flags & SURROGATE && !unpack_surrogate(out, &at, arena)) return false;
    return !(head->flags & COUNTERFACTUAL) || unpack_counterfactual(out, &at, model, arena);
}

/* ---- joining ---- */

static void copy(double *to, size_t row, const double *from, size_t each)
{
    if (to && from && each) memcpy(to + row * each, from, each * sizeof *to);
}

static double *room(struct ig_arena *arena, bool wanted, size_t rows, size_t each)
{
    return wanted ? ig_arena_array(arena, rows, each * sizeof(double)) : NULL;
}

bool ig_explanations_join(struct ig_explanations *out, const struct ig_explanations *rows,
                          size_t count, const struct ig_model *model, struct ig_arena *arena)
{
    const struct ig_explanations *first = &rows[0];
    struct sizes sizes = sizes_of(first, model);
    double *margins = room(arena, true, count, sizes.margins);
    double *contributions = room(arena, first->contributions, count, sizes.each);
    double *se = room(arena, first->se, count, sizes.each);
    double *interactions = room(arena, first->interactions, count, sizes.matrix);
    struct ig_explain_note *notes = ig_arena_array(arena, count, sizeof *notes);
    struct ig_lime_result *surrogates =
        first->surrogates ? ig_arena_array(arena, count, sizeof *surrogates) : NULL;
    struct ig_counterfactual_result *counterfactuals =
        first->counterfactuals ? ig_arena_array(arena, count, sizeof *counterfactuals) : NULL;
    if (arena->overflowed) return false;
    for (size_t i = 0; i < count; i++) {
        copy(margins, i, rows[i].margins, sizes.margins);
        copy(contributions, i, rows[i].contributions, sizes.each);
        copy(se, i, rows[i].se, sizes.each);
        copy(interactions, i, rows[i].interactions, sizes.matrix);
        notes[i] = *rows[i].notes;
        if (surrogates) surrogates[i] = *rows[i].surrogates;
        if (counterfactuals) counterfactuals[i] = *rows[i].counterfactuals;
    }
    *out = *first;
    out->rows_count = count;
    out->margins = margins;
    out->contributions = contributions;
    out->se = se;
    out->interactions = interactions;
    out->notes = notes;
    out->surrogates = surrogates;
    out->counterfactuals = counterfactuals;
    return true;
}
