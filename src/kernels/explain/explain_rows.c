/* SPDX-License-Identifier: Apache-2.0 */
/* A row's bytes: its head, then each array that it has, in the order of struct head's flags. Every
 * part is a multiple of eight bytes. */
#include "kernels/explain/explain_rows.h"

#include "base/pack.h"

#include <string.h>

enum { CONTRIBUTIONS = 1, SE = 2, INTERACTIONS = 4, SURROGATE = 8, COUNTERFACTUAL = 16 };

struct head {
    uint64_t flags;
    struct ig_explain_note note; /* but for `stopped` */
    uint32_t form, players_count, values_count, stopped;
};

/* Why sampling ended; a row's bytes hold the index. */
static const char *const STOPPED[] = {"", "samples", "target_se", "budget_us"};
enum { STOPPED_COUNT = sizeof STOPPED / sizeof *STOPPED };

static uint32_t index_of_stopped(const char *stopped)
{
    uint32_t i = 0;
    while (i + 1 < STOPPED_COUNT && strcmp(STOPPED[i], stopped) != 0) i++;
    return i;
}

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
    ig_pack_array(out, values, count, sizeof *values);
}

static void add_indices(struct ig_buf *out, const uint32_t *values, size_t count)
{
    ig_pack_array(out, values, count, sizeof *values);
}

static void pack_surrogate(struct ig_buf *out, const struct ig_lime_result *own)
{
    ig_pack_array(out, own, 1, sizeof *own);
    add_indices(out, own->features, own->count);
    add_doubles(out, own->coefficients, own->count);
    add_doubles(out, own->se, own->count);
    add_doubles(out, own->low, own->count);
    add_doubles(out, own->high, own->count);
}

static void pack_counterfactual(struct ig_buf *out, const struct ig_counterfactual_result *own,
                                const struct ig_model *model)
{
    ig_pack_array(out, own, 1, sizeof *own);
    for (uint32_t i = 0; i < own->count; i++) {
        ig_pack_array(out, &own->items[i], 1, sizeof own->items[i]);
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
        .stopped = index_of_stopped(one->notes->stopped),
    };
    head.note.stopped = NULL;
    ig_pack_array(out, &head, 1, sizeof head);
    add_doubles(out, one->margins, sizes.margins);
    if (one->contributions) add_doubles(out, one->contributions, sizes.each);
    if (one->se) add_doubles(out, one->se, sizes.each);
    if (one->interactions) add_doubles(out, one->interactions, sizes.matrix);
    if (one->surrogates) pack_surrogate(out, one->surrogates);
    if (one->counterfactuals) pack_counterfactual(out, one->counterfactuals, model);
}

/* ---- unpacking ---- */

struct cursor {
    struct ig_unpack in;
    const struct ig_model *model;
    struct ig_arena *arena;
};

static const void *take(struct cursor *cursor, size_t count, size_t each)
{
    return ig_unpack_array(&cursor->in, count, each);
}

static const double *take_doubles(struct cursor *cursor, size_t count)
{
    return take(cursor, count, sizeof(double));
}

static void *take_copy(struct cursor *cursor, size_t bytes)
{
    const void *from = take(cursor, 1, bytes);
    void *to = from ? ig_arena_alloc(cursor->arena, bytes) : NULL;
    cursor->in.failed = cursor->in.failed || !to;
    if (to) memcpy(to, from, bytes);
    return to;
}

static void unpack_surrogate(struct ig_explanations *out, struct cursor *cursor)
{
    struct ig_lime_result *own = take_copy(cursor, sizeof *own);
    if (!own) return;
    own->features = take(cursor, own->count, sizeof *own->features);
    own->coefficients = take_doubles(cursor, own->count);
    own->se = take_doubles(cursor, own->count);
    own->low = take_doubles(cursor, own->count);
    own->high = take_doubles(cursor, own->count);
    for (uint32_t i = 0; !cursor->in.failed && i < own->count; i++)
        cursor->in.failed = own->features[i] >= cursor->model->features_count;
    out->surrogates = own;
}

static void unpack_change(struct ig_counterfactual *item, struct cursor *cursor)
{
    const struct ig_counterfactual *own = take(cursor, 1, sizeof *own);
    if (!own) return;
    memcpy(item, own, sizeof *item);
    item->row = take_doubles(cursor, cursor->model->features_count);
    item->margins = take_doubles(cursor, cursor->model->outputs_count);
    item->changes = take(cursor, item->changes_count, sizeof *item->changes);
    for (uint32_t i = 0; !cursor->in.failed && i < item->changes_count; i++)
        cursor->in.failed = item->changes[i] >= cursor->model->features_count;
}

static void unpack_counterfactual(struct ig_explanations *out, struct cursor *cursor)
{
    struct ig_counterfactual_result *own = take_copy(cursor, sizeof *own);
    if (!own) return;
    if (own->count > IG_COUNTERFACTUALS_MAX) cursor->in.failed = true;
    struct ig_counterfactual *items =
        cursor->in.failed ? NULL : ig_arena_array(cursor->arena, own->count, sizeof *items);
    cursor->in.failed = cursor->in.failed || !items;
    for (uint32_t i = 0; !cursor->in.failed && i < own->count; i++)
        unpack_change(&items[i], cursor);
    own->items = items;
    out->counterfactuals = own;
}

/* Whether what follows a head has the shape that the model gives. */
static bool fits(const struct head *head, const struct ig_model *model)
{
    static const uint64_t NEEDED[] = {[IG_EXPLAIN_ADDITIVE] = CONTRIBUTIONS,
                                      [IG_EXPLAIN_INTERACTIONS] = INTERACTIONS,
                                      [IG_EXPLAIN_SURROGATE] = SURROGATE,
                                      [IG_EXPLAIN_COUNTERFACTUAL] = COUNTERFACTUAL};
    return head->form <= IG_EXPLAIN_COUNTERFACTUAL && head->flags & NEEDED[head->form] &&
           head->stopped < STOPPED_COUNT &&
           head->players_count <= model->features_count &&
           (head->values_count <= model->outputs_count ||
            head->values_count <= model->predictions_count);
}

bool ig_explanations_unpack(struct ig_explanations *out, struct ig_str bytes,
                            const struct ig_model *model, struct ig_arena *arena)
{
    struct cursor cursor = {{bytes.ptr, bytes.len, false}, model, arena};
    const struct head *head = take(&cursor, 1, sizeof *head);
    struct ig_explain_note *note = ig_arena_alloc(arena, sizeof *note);
    if (!head || !note || !fits(head, model)) return false;
    *note = head->note;
    note->stopped = STOPPED[head->stopped];
    *out = (struct ig_explanations){.form = (enum ig_explain_form)head->form,
                                    .rows_count = 1,
                                    .players_count = head->players_count,
                                    .values_count = head->values_count,
                                    .notes = note};
    struct sizes sizes = sizes_of(out, model);
    out->margins = take_doubles(&cursor, sizes.margins);
    if (head->flags & CONTRIBUTIONS) out->contributions = take_doubles(&cursor, sizes.each);
    if (head->flags & SE) out->se = take_doubles(&cursor, sizes.each);
    if (head->flags & INTERACTIONS) out->interactions = take_doubles(&cursor, sizes.matrix);
    if (head->flags & SURROGATE) unpack_surrogate(out, &cursor);
    if (head->flags & COUNTERFACTUAL) unpack_counterfactual(out, &cursor);
    return !cursor.in.failed;
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
