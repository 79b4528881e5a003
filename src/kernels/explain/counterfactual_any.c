/* SPDX-License-Identifier: Apache-2.0 */
/* What each feature may become, and one answer after the other. Immutable after `new`; a call's
 * state lies in its arena. */
#include "kernels/explain/counterfactual_any.h"

#include "base/mem.h"
#include "kernels/explain/counterfactual_any_priv.h"
#include "model/foreign.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    PREDICTIONS = 20000,
    QUANTILES = 24,
    ROWS_KEPT = 256,
    CODES_MAX = 256,
    AROUND = 9,  /* distances from the row on either side, each twice the one before */
    ROUNDS = 16, /* of trying single changes that the predictions should do for */
    ENDS = 3,    /* both ends of the range, and missing */
    ALIGNMENT = 64,
};

static const size_t ARENA_MAX = (size_t)1 << 30;

static enum ig_code no_memory(struct ig_err *err)
{
    return ig_fail(err, IG_NO_MEMORY, "no memory for counterfactuals");
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorted, each once; how many. */
static uint32_t unique(double *values, size_t count)
{
    uint32_t left = 0;
    if (count) qsort(values, count, sizeof *values, compare_doubles);
    for (size_t i = 0; i < count; i++)
        if (left == 0 || values[i] != values[left - 1]) values[left++] = values[i];
    return left;
}

/* ---- features ---- */

static bool find_codes(struct ig_counterfactual_any *any, struct cf_any_feature *own,
                       uint32_t codes)
{
    own->count = codes < CODES_MAX ? codes : CODES_MAX;
    own->values = ig_arena_array(&any->arena, own->count, sizeof *own->values);
    for (uint32_t i = 0; own->values && i < own->count; i++) own->values[i] = i;
    return own->values != NULL;
}

/* Quantiles, from the least to the greatest; of a category's codes each. */
static bool find_values(struct ig_counterfactual_any *any, struct cf_any_feature *own,
                        const struct ig_background *background, uint32_t feature, double *sorted)
{
    size_t count = 0;
    for (size_t i = 0; background && i < background->rows_count; i++) {
        double value = background->rows[i * background->features_count + feature];
        if (isfinite(value)) sorted[count++] = value;
    }
    uint32_t most = own->is_category ? CODES_MAX : QUANTILES;
    if (own->is_category) count = unique(sorted, count);
    if (!own->is_category && count) qsort(sorted, count, sizeof *sorted, compare_doubles);
    uint32_t kept = count < most ? (uint32_t)count : most;
    own->values = ig_arena_array(&any->arena, kept, sizeof *own->values);
    if (!own->values) return false;
    for (uint32_t i = 0; i < kept; i++)
        own->values[i] = sorted[kept < 2 ? 0 : i * (count - 1) / (kept - 1)];
    own->count = unique(own->values, kept);
    return true;
}

static bool find_features(struct ig_counterfactual_any *any,
                          const struct ig_counterfactual_any_spec *spec)
{
    const struct ig_background *background = spec->background;
    size_t rows = background ? background->rows_count : 1;
    double *scratch = ig_zalloc_array(rows, sizeof *scratch);
    bool ok = scratch != NULL;
    for (uint32_t f = 0; ok && f < any->predictor.features_count; f++) {
        struct cf_any_feature *own = &any->features[f];
        uint32_t codes = spec->categories ? spec->categories[f] : 0;
        double scale = background ? cf_spread(background, f, scratch) : 0;
        own->scale = scale > 0 && isfinite(scale) ? scale : 1;
        own->is_category = codes > 0 || (spec->categorical && spec->categorical[f]);
        ok = codes ? find_codes(any, own, codes) : find_values(any, own, background, f, scratch);
    }
    ig_free(scratch);
    return ok;
}

/* Rows of the background, evenly over it. */
static bool keep_rows(struct ig_counterfactual_any *any, const struct ig_background *background)
{
    size_t features = any->predictor.features_count;
    if (!background) return true;
    size_t count = background->rows_count < ROWS_KEPT ? background->rows_count : ROWS_KEPT;
    any->rows = ig_arena_array(&any->arena, count * features, sizeof *any->rows);
    if (!any->rows) return false;
    for (size_t i = 0; i < count; i++)
        memcpy(any->rows + i * features,
               background->rows + i * background->rows_count / count * features,
               features * sizeof *any->rows);
    any->rows_count = count;
    return true;
}

enum ig_code ig_counterfactual_any_new(struct ig_counterfactual_any **out,
                                       const struct ig_counterfactual_any_spec *spec,
                                       struct ig_err *err)
{
    uint32_t features = spec->predictor.features_count;
    if (spec->background && spec->background->features_count != features)
        return ig_fail(err, IG_INVALID, "background: %u features, the model has %u",
                       spec->background->features_count, features);
    struct ig_counterfactual_any *any = ig_zalloc(sizeof *any);
    if (!any) return no_memory(err);
    ig_arena_init(&any->arena, 1 << 16, ARENA_MAX);
    any->predictor = spec->predictor;
    any->weights = spec->weights;
    any->features = ig_arena_zalloc(&any->arena, (features + (size_t)1) * sizeof *any->features);
    if (!any->features || !find_features(any, spec) || !keep_rows(any, spec->background)) {
        ig_counterfactual_any_free(any);
        return no_memory(err);
    }
    *out = any;
    return IG_OK;
}

void ig_counterfactual_any_free(struct ig_counterfactual_any *any)
{
    if (!any) return;
    ig_arena_deinit(&any->arena);
    ig_free(any);
}

size_t ig_counterfactual_any_memory_bytes(const struct ig_counterfactual_any *any)
{
    return sizeof *any + any->arena.held_bytes;
}

double ig_counterfactual_any_scale(const struct ig_counterfactual_any *any, uint32_t feature)
{
    return any->features[feature].scale;
}

/* ---- axes ---- */

static void add_value(struct cf_any_axis *axis, double own, double value)
{
    if (!axis->is_category) value = cf_any_allowed(&axis->constraint, own, value);
    if (!isnan(value) && value != own) axis->values[axis->count++] = value;
}

/* Steps of doubling width from the row, and the ends of the range. */
static void add_numbers(struct cf_any_axis *axis, double own)
{
    const struct ig_counterfactual_constraint *constraint = &axis->constraint;
    double from = isnan(own) ? 0 : own;
    double width = fmax(axis->scale / 8, constraint->step);
    for (int k = 0; k < AROUND; k++, width *= 2) {
        add_value(axis, own, from - width);
        add_value(axis, own, from + width);
    }
    if (constraint->has_low) add_value(axis, own, constraint->low);
    if (constraint->has_high) add_value(axis, own, constraint->high);
}

static bool fill_axis(struct cf_any_search *search, uint32_t feature)
{
    const struct cf_any_feature *own = &search->any->features[feature];
    struct cf_any_axis *axis = &search->axes[feature];
    double from = search->row[feature];
    axis->is_category = own->is_category;
    axis->scale = axis->constraint.scale > 0 ? axis->constraint.scale : own->scale;
    if (axis->constraint.immutable) return true;
    axis->values =
        ig_arena_array(search->arena, own->count + 2 * (size_t)AROUND + ENDS, sizeof(double));
    if (!axis->values) return false;
    for (uint32_t i = 0; i < own->count; i++) add_value(axis, from, own->values[i]);
    if (!axis->is_category) add_numbers(axis, from);
    axis->count = unique(axis->values, axis->count);
    if (axis->constraint.may_go_missing && !isnan(from)) axis->values[axis->count++] = NAN;
    if (axis->count) search->active[search->active_count++] = feature;
    return true;
}

static enum ig_code make_axes(struct cf_any_search *search)
{
    const struct ig_counterfactual_constraint *constraints = search->options->constraints;
    for (uint32_t f = 0; f < search->features; f++) {
        struct cf_any_axis *axis = &search->axes[f];
        *axis = (struct cf_any_axis){0};
        if (constraints) axis->constraint = constraints[f];
        if (cf_check_constraint(&axis->constraint, f, search->err) != IG_OK)
            return search->err->code;
        if (!fill_axis(search, f)) return no_memory(search->err);
    }
    return IG_OK;
}

/* ---- the call ---- */

static enum ig_code prepare(struct cf_any_search *search)
{
    const struct ig_counterfactual_options *options = search->options;
    const struct ig_predictor *predictor = &search->any->predictor;
    struct ig_arena *arena = search->arena;
    size_t rows = CF_BATCH + CF_STARTS, features = search->features;
    size_t bytes = predictor->scratch_bytes(predictor, CF_BATCH);
    search->axes = ig_arena_array(arena, features, sizeof *search->axes);
    search->active = ig_arena_array(arena, features, sizeof *search->active);
    search->order = ig_arena_array(arena, features, sizeof *search->order);
    search->batch = ig_arena_array(arena, rows * features, sizeof(double));
    search->margins = ig_arena_array(arena, CF_BATCH * (size_t)search->outputs, sizeof(double));
    search->point = ig_arena_array(arena, features, sizeof(double));
    search->best = ig_arena_array(arena, features, sizeof(double));
    search->scratch = ig_arena_alloc_aligned(arena, bytes ? bytes : ALIGNMENT, ALIGNMENT);
    if (arena->overflowed) return no_memory(search->err);
    search->changes_max = options->changes_max ? options->changes_max : UINT32_MAX;
    search->evals_max = options->boxes_max ? options->boxes_max : PREDICTIONS;
    ig_rng_seed(&search->rng, options->seed);
    return make_axes(search);
}

/* The row was wanted when it was found. Ingot's own kernels answer a row alike each time; a model
 * in another library's hands need not, and may fail. */
static enum ig_code no_longer_wanted(struct cf_any_search *search)
{
    if (ig_foreign_marked(search->margins, search->outputs))
        return ig_fail(search->err, IG_INTERNAL, "the model failed on a counterfactual");
    return ig_fail(search->err, IG_INTERNAL,
                   "the model answers the same row differently a second time: output %u, "
                   "which was as wanted, is now %g",
                   search->options->output, search->margins[search->options->output]);
}

static enum ig_code keep_answer(struct ig_counterfactual *out, struct cf_any_search *search,
                                bool proved)
{
    struct ig_arena *arena = search->arena;
    uint32_t *changes = ig_arena_array(arena, search->features, sizeof *changes), count = 0;
    double *row = ig_arena_array(arena, search->features, sizeof *row);
    double *margins = ig_arena_array(arena, search->outputs, sizeof *margins);
    if (!changes || !row || !margins) return no_memory(search->err);
    memcpy(row, search->best, search->features * sizeof *row);
    if (!cf_any_is_wanted(search, row)) return no_longer_wanted(search);
    memcpy(margins, search->margins, search->outputs * sizeof *margins);
    for (uint32_t f = 0; f < search->features; f++) {
        double cost = cf_any_cost(search, f, row[f]);
        uint32_t at = count;
        if (cf_same(row[f], search->row[f])) continue;
        for (; at && cf_any_cost(search, changes[at - 1], row[changes[at - 1]]) < cost; at--)
            changes[at] = changes[at - 1];
        changes[at] = f;
        count++;
    }
    *out = (struct ig_counterfactual){.row = row,
                                      .changes_count = count,
                                      .changes = changes,
                                      .distance = search->best_cost,
                                      .bound = proved ? search->best_cost : 0,
                                      .is_nearest = proved,
                                      .margins = margins};
    return IG_OK;
}

/* The next answer leaves the dearest change of this one as the row has it. */
static void leave_out(struct cf_any_search *search, const struct ig_counterfactual *item)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < search->active_count; i++)
        if (search->active[i] != item->changes[0]) search->active[left++] = search->active[i];
    search->active_count = left;
}

/* Whether it is proved; of further answers not, since another change of the ones before might be
 * left out. */
static bool solve(struct cf_any_search *search, uint32_t number)
{
    bool line = search->any->weights && search->options->want != IG_COUNTERFACTUAL_CLASS;
    if (line && cf_any_solve_line(search)) return number == 0;
    cf_any_solve(search);
    return false;
}

enum ig_code ig_counterfactual_any_run(struct ig_counterfactual_result *out,
                                       const struct ig_counterfactual_any *any, const double *row,
                                       const struct ig_counterfactual_options *options,
                                       struct ig_arena *arena, struct ig_err *err)
{
    struct cf_any_search search = {.any = any,
                                   .options = options,
                                   .row = row,
                                   .features = any->predictor.features_count,
                                   .outputs = any->predictor.values_count,
                                   .arena = arena,
                                   .err = err};
    uint32_t count = options->count ? options->count : 1;
    *out = (struct ig_counterfactual_result){0};
    if (cf_check_options(options, search.outputs, err) != IG_OK || prepare(&search) != IG_OK)
        return err->code;
    struct ig_counterfactual *items = ig_arena_array(arena, count, sizeof *items);
    if (!items) return no_memory(err);
    out->items = items;
    out->is_there_already = cf_any_is_wanted(&search, row);
    while (!out->is_there_already && out->count < count) {
        uint64_t most = options->boxes_max ? options->boxes_max : PREDICTIONS;
        search.evals_max = search.evals + most / count + 1;
        search.tries_max = most / count / ROUNDS + CF_BATCH;
        bool proved = solve(&search, out->count);
        if (isinf(search.best_cost)) {
            if (!out->count && search.failed)
                return ig_fail(err, IG_INTERNAL,
                               "no counterfactual is found, and the model failed on rows that "
                               "were tried");
            out->none = proved;
            break;
        }
        if (keep_answer(&items[out->count], &search, proved) != IG_OK) return err->code;
        leave_out(&search, &items[out->count]);
        out->count++;
    }
    out->boxes = search.evals;
    return IG_OK;
}
