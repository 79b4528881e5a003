/* SPDX-License-Identifier: Apache-2.0 */
/* A row's bytes: its head, then each array that it has, in the order of struct head's flags. Every
 * part is a multiple of eight bytes. */
#include "kernels/explain/explain_rows.h"

#include "base/pack.h"

#include <string.h>

enum {
    CONTRIBUTIONS = 1,
    SE = 2,
    INTERACTIONS = 4,
    SURROGATE = 8,
    COUNTERFACTUAL = 16,
    EXACT = 32, /* of the note */
};

/* With the row's note. No bool: any bytes are a head. */
struct head {
    uint64_t flags, seed, samples;
    double quantile, additivity;
    uint32_t form, players_count, values_count, stopped, output, reserved;
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
    ig_pack_u64(out, own->is_there_already);
    ig_pack_u64(out, own->none);
    ig_pack_u64(out, own->boxes);
    ig_pack_u64(out, own->count);
    for (uint32_t i = 0; i < own->count; i++) {
        const struct ig_counterfactual *item = &own->items[i];
        ig_pack_f64(out, item->distance);
        ig_pack_f64(out, item->bound);
        ig_pack_u64(out, item->is_nearest);
        add_doubles(out, item->row, model->features_count);
        add_doubles(out, item->margins, model->outputs_count);
        add_doubles(out, item->predictions, model->predictions_count);
        ig_pack_u64(out, item->changes_count);
        add_indices(out, item->changes, item->changes_count);
    }
}

static struct head head_of(const struct ig_explanations *one)
{
    const struct ig_explain_note *note = one->notes;
    return (struct head){
        .flags = (one->contributions ? CONTRIBUTIONS : 0U) | (one->se ? SE : 0U) |
                 (one->interactions ? INTERACTIONS : 0U) | (one->surrogates ? SURROGATE : 0U) |
                 (one->counterfactuals ? COUNTERFACTUAL : 0U) | (note->exact ? EXACT : 0U),
        .seed = note->seed,
        .samples = note->samples,
        .quantile = note->quantile,
        .additivity = note->additivity,
        .form = one->form,
        .players_count = one->players_count,
        .values_count = one->values_count,
        .stopped = index_of_stopped(note->stopped),
        .output = note->output,
    };
}

void ig_explanations_pack(struct ig_buf *out, const struct ig_explanations *one,
                          const struct ig_model *model)
{
    struct sizes sizes = sizes_of(one, model);
    const struct head head = head_of(one);
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

static const uint32_t *take_indices(struct cursor *cursor, size_t count)
{
    const uint32_t *indices = take(cursor, count, sizeof *indices);
    for (size_t i = 0; indices && i < count; i++)
        if (indices[i] >= cursor->model->features_count) cursor->in.failed = true;
    return indices;
}

static void *room_for(struct cursor *cursor, size_t count, size_t each)
{
    void *room = cursor->in.failed ? NULL : ig_arena_array(cursor->arena, count, each);
    if (!room) cursor->in.failed = true;
    return room;
}

static void unpack_surrogate(struct ig_explanations *out, struct cursor *cursor)
{
    const struct ig_lime_result *from = take(cursor, 1, sizeof *from);
    struct ig_lime_result *own = room_for(cursor, 1, sizeof *own);
    if (!own) return;
    memcpy(own, from, sizeof *own);
    own->features = take_indices(cursor, own->count);
    own->coefficients = take_doubles(cursor, own->count);
    own->se = take_doubles(cursor, own->count);
    own->low = take_doubles(cursor, own->count);
    own->high = take_doubles(cursor, own->count);
    out->surrogates = own;
}

/* A count of things of which each takes at least eight bytes. */
static uint32_t take_count(struct cursor *cursor, uint64_t most)
{
    uint64_t count = ig_unpack_u64(&cursor->in);
    if (count > most) cursor->in.failed = true;
    return cursor->in.failed ? 0 : (uint32_t)count;
}

static void unpack_counterfactual(struct ig_explanations *out, struct cursor *cursor)
{
    struct ig_counterfactual_result own = {.is_there_already = ig_unpack_u64(&cursor->in) != 0};
    own.none = ig_unpack_u64(&cursor->in) != 0;
    own.boxes = ig_unpack_u64(&cursor->in);
    own.count = take_count(cursor, IG_COUNTERFACTUALS_MAX);
    struct ig_counterfactual *items = room_for(cursor, own.count, sizeof *items);
    struct ig_counterfactual_result *kept = room_for(cursor, 1, sizeof *kept);
    for (uint32_t i = 0; kept && i < own.count; i++) {
        struct ig_counterfactual item = {.distance = ig_unpack_f64(&cursor->in)};
        item.bound = ig_unpack_f64(&cursor->in);
        item.is_nearest = ig_unpack_u64(&cursor->in) != 0;
        item.row = take_doubles(cursor, cursor->model->features_count);
        item.margins = take_doubles(cursor, cursor->model->outputs_count);
        item.predictions = take_doubles(cursor, cursor->model->predictions_count);
        item.changes_count = take_count(cursor, cursor->model->features_count);
        item.changes = take_indices(cursor, item.changes_count);
        items[i] = item;
    }
    if (!kept) return;
    own.items = items;
    *kept = own;
    out->counterfactuals = kept;
}

/* Whether what follows a head has the shape that the model gives. */
static bool fits(const struct head *head, const struct ig_model *model)
{
    static const uint64_t NEEDED[] = {[IG_EXPLAIN_ADDITIVE] = CONTRIBUTIONS,
                                      [IG_EXPLAIN_INTERACTIONS] = INTERACTIONS,
                                      [IG_EXPLAIN_SURROGATE] = SURROGATE,
                                      [IG_EXPLAIN_COUNTERFACTUAL] = COUNTERFACTUAL};
    return head->form <= IG_EXPLAIN_COUNTERFACTUAL && head->flags & NEEDED[head->form] &&
           head->stopped < STOPPED_COUNT && head->players_count <= model->features_count &&
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
    *note = (struct ig_explain_note){.exact = (head->flags & EXACT) != 0,
                                     .seed = head->seed,
                                     .samples = head->samples,
                                     .stopped = STOPPED[head->stopped],
                                     .quantile = head->quantile,
                                     .output = head->output,
                                     .additivity = head->additivity};
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

bool ig_explanations_alike(const struct ig_explanations *a, const struct ig_explanations *b)
{
    return a->form == b->form && a->players_count == b->players_count &&
           a->values_count == b->values_count && !a->contributions == !b->contributions &&
           !a->se == !b->se && !a->interactions == !b->interactions &&
           !a->surrogates == !b->surrogates && !a->counterfactuals == !b->counterfactuals;
}

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
