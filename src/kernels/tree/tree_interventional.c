/* SPDX-License-Identifier: Apache-2.0 */
/* Interventional SHAP values of tree ensembles: life of the compiled form, and the run over rows.
 *
 * Owns its tables; how rows become keys is shared with path-dependent values (tree_shap_scan.c).
 * Everything at run time is the same scalar code in the same order, so bits do not depend on the
 * instruction set or the batch. Thread rule: immutable after `new`; all that changes is in the
 * caller's scratch. */
#include "kernels/tree/tree_interventional.h"

#include "base/mem.h"
#include "kernels/tree/tree_interventional_priv.h"

#include <math.h>
#include <string.h>

enum { ALIGN = 64 };

static const size_t MEMORY_DEFAULT = (size_t)512 << 20;
/* As in tree_shap.c: the sum over trees of the span of leaves up to which tables are floats. */
static const double FLOAT_SCALE_MAX = 64;

/* ---- life ---- */

static double span_of_tree(const struct ig_model *model, const struct ig_tree *tree,
                           uint32_t output)
{
    double low = INFINITY, high = -INFINITY;
    for (uint32_t i = 0; i < tree->nodes_count; i++) {
        const struct ig_node *node = &model->nodes[tree->first_node + i];
        if (node->op != IG_NODE_LEAF) continue;
        double value = ig_tree_shap_leaf_value(model, tree, node, output);
        low = fmin(low, value);
        high = fmax(high, value);
    }
    return high - low;
}

static bool needs_doubles(const struct ig_model *model)
{
    for (uint32_t o = 0; o < model->outputs_count; o++) {
        double span = 0;
        for (uint32_t t = 0; t < model->trees_count; t++)
            if (model->leaf_vectors || model->trees[t].output == o)
                span += span_of_tree(model, &model->trees[t], o);
        if (!(span <= FLOAT_SCALE_MAX)) return true;
    }
    return false;
}

static bool make_weights(struct ig_tree_interventional *self)
{
    enum { N = IG_INTERVENTIONAL_PLAYERS_MAX + 1, RULES = IG_INTERVENTIONAL_PLAYERS_MAX / 2 };
    struct ig_arena *arena = &self->keys.arena;
    self->weight = ig_arena_array(arena, (size_t)N * N, sizeof *self->weight);
    self->pair_weight = ig_arena_array(arena, (size_t)N * N, sizeof *self->pair_weight);
    self->points = ig_arena_array(arena, RULES * (RULES + 1) / 2, sizeof *self->points);
    self->point_weights = ig_arena_array(arena, RULES * (RULES + 1) / 2, sizeof(double));
    if (arena->overflowed) return false;
    for (uint32_t m = 1; m <= RULES; m++) {
        size_t first = (size_t)m * (m - 1) / 2;
        ig_tree_shap_quadrature(m, self->points + first, self->point_weights + first);
    }
    for (uint32_t others = 0; others < N; others++) {
        double choose = 1; /* C(others, s) */
        for (uint32_t s = 0; s <= others; s++) {
            self->pair_weight[s * N + others] = 1 / ((others + 1) * choose);
            choose = choose * (others - s) / (s + 1);
        }
    }
    for (uint32_t n = 1; n < N; n++) {
        double choose = 1; /* C(n, s) */
        for (uint32_t s = 1; s <= n; s++) {
            choose = choose * (n - s + 1) / s;
            self->weight[s * N + n] = 1 / (s * choose);
        }
    }
    return true;
}

static bool keep_splits(struct ig_tree_interventional *self, const struct ig_shap_compiler *c)
{
    uint32_t nodes = c->model->nodes_count;
    self->slot = ig_arena_array(&self->keys.arena, nodes + (size_t)1, sizeof *self->slot);
    self->threshold = ig_arena_array(&self->keys.arena, nodes + (size_t)1, sizeof(float));
    self->base = ig_arena_array(&self->keys.arena, c->model->outputs_count, sizeof *self->base);
    if (self->keys.arena.overflowed) return false;
    for (uint32_t i = 0; i < nodes; i++) {
        self->slot[i] = c->infos[i].slot;
        self->threshold[i] = c->infos[i].threshold;
    }
    return true;
}

/* All but the tables' contents. The compiler stays the caller's. */
static enum ig_code lay(struct ig_tree_interventional *self, struct ig_shap_compiler *c,
                        const struct ig_model *model,
                        const struct ig_tree_interventional_options *options, struct ig_err *err)
{
    const struct ig_tree_interventional_options none = {0};
    if (!options) options = &none;
    size_t memory = options->memory_max_bytes ? options->memory_max_bytes : MEMORY_DEFAULT;
    if (ig_tree_shap_admit(model, err) != IG_OK) return err->code;
    ig_arena_init(&self->keys.arena, 64 * 1024, SIZE_MAX / 2);
    self->keys.model = model;
    *c = (struct ig_shap_compiler){.shap = &self->keys, .model = model};
    self->keys.base = ig_arena_array(&self->keys.arena, model->outputs_count, sizeof(double));
    if (!self->keys.base) return ig_fail(err, IG_NO_MEMORY, "no memory for SHAP values");
    if (ig_tree_shap_copy_players(&self->keys, options->players, err) != IG_OK) return err->code;
    if (ig_tree_shap_scan(c, err) != IG_OK) return err->code;
    self->is_double = needs_doubles(model);
    self->interactions = options->interactions;
    self->patterns_max = memory / sizeof *self->patterns;
    if (!ig_tree_shap_settle_keys(c) || !keep_splits(self, c) || !make_weights(self))
        return ig_fail(err, IG_NO_MEMORY, "no memory for interventional SHAP values");
    return ig_tree_interventional_lay(self, c, memory, err);
}

enum ig_code ig_tree_interventional_plan(struct ig_tree_interventional_plan *out,
                                         const struct ig_model *model,
                                         const struct ig_tree_interventional_options *options,
                                         struct ig_err *err)
{
    struct ig_shap_compiler c = {0};
    struct ig_tree_interventional *self = ig_zalloc(sizeof *self);
    if (!self) return ig_fail(err, IG_NO_MEMORY, "no memory for interventional SHAP values");
    if (lay(self, &c, model, options, err) == IG_OK) *out = self->plan;
    ig_tree_shap_compiler_deinit(&c);
    ig_tree_interventional_free(self);
    return err->code;
}

static enum ig_code check_background(const struct ig_model *model,
                                     const struct ig_background *background, struct ig_err *err)
{
    if (background->features_count != model->features_count)
        return ig_fail(err, IG_INVALID, "background: %u features, the model has %u",
                       background->features_count, model->features_count);
    if (background->rows_count == 0) return ig_fail(err, IG_INVALID, "background: no rows");
    return IG_OK;
}

enum ig_code ig_tree_interventional_new(struct ig_tree_interventional **out,
                                        const struct ig_model *model,
                                        const struct ig_background *background,
                                        const struct ig_tree_interventional_options *options,
                                        struct ig_err *err)
{
    struct ig_shap_compiler c = {0};
    if (background && check_background(model, background, err) != IG_OK) return err->code;
    struct ig_tree_interventional *self = ig_zalloc(sizeof *self);
    if (!self) return ig_fail(err, IG_NO_MEMORY, "no memory for interventional SHAP values");
    self->by_covers = background == NULL;
    if (lay(self, &c, model, options, err) == IG_OK) {
        self->tables = ig_alloc_aligned(ALIGN, self->plan.table_bytes + ALIGN);
        if (!self->tables)
            ig_fail(err, IG_NO_MEMORY, "no memory for %zu MB of SHAP tables",
                    self->plan.table_bytes >> 20);
        else
            ig_tree_interventional_fill(self, &c, background, err);
    }
    ig_tree_shap_compiler_deinit(&c);
    if (err->code == IG_OK)
        *out = self;
    else
        ig_tree_interventional_free(self);
    return err->code;
}

void ig_tree_interventional_free(struct ig_tree_interventional *self)
{
    if (!self) return;
    ig_arena_deinit(&self->keys.arena);
    ig_free(self->tables);
    ig_free(self->patterns);
    ig_free(self);
}

void ig_tree_interventional_base(const struct ig_tree_interventional *self, double *base)
{
    memcpy(base, self->base, self->keys.model->outputs_count * sizeof *base);
}

size_t ig_tree_interventional_memory_bytes(const struct ig_tree_interventional *self)
{
    return sizeof *self + self->keys.arena.held_bytes + self->plan.table_bytes +
           self->patterns_cap * sizeof *self->patterns;
}

const char *ig_tree_interventional_variant(const struct ig_tree_interventional *self)
{
    if (self->plan.walked_count == 0) return "tables";
    return self->plan.walked_count == self->plan.leaves_count ? "walk" : "mixed";
}

/* ---- running ---- */

struct run {
    const struct ig_tree_interventional *self;
    float *keys;
    uint64_t *states;
    size_t *entries; /* of the job's units, in tables */
    double *values;  /* outputs x values_each */
};

static size_t take(size_t *at, size_t bytes)
{
    size_t from = *at;
    *at += (bytes + ALIGN - 1) / ALIGN * ALIGN;
    return from;
}

/* Keys are written for whole vectors of slots. */
static size_t keys_bytes(const struct ig_tree_interventional *self)
{
    return ((size_t)self->keys.slots_count + IG_SHAP_LANES_MAX) * sizeof(float);
}

/* Of one output: a value a player, or a matrix over players of which a <= b is used. */
static size_t values_each(const struct ig_tree_interventional *self)
{
    size_t players = self->keys.players.count;
    return self->interactions ? players * players : players;
}

static size_t values_count(const struct ig_tree_interventional *self)
{
    return self->keys.model->outputs_count * values_each(self);
}

size_t ig_tree_interventional_scratch_bytes(const struct ig_tree_interventional *self)
{
    size_t end = 0;
    take(&end, keys_bytes(self));
    take(&end, self->states_max * sizeof(uint64_t));
    take(&end, self->units_max * sizeof(size_t));
    take(&end, values_count(self) * sizeof(double));
    return end + ALIGN;
}

static bool goes_left(const struct run *run, uint32_t split)
{
    return run->keys[run->self->slot[split]] <= run->self->threshold[split];
}

static void run_steps(const struct run *run, const struct ig_interventional_job *job)
{
    const struct ig_interventional_step *step = run->self->steps + job->steps_first;
    run->states[0] = 0;
    for (uint32_t i = 0; i < job->steps_count; i++, step++)
        ig_interventional_step(step, run->states[step->from], goes_left(run, step->split),
                               &run->states[step->left], &run->states[step->right]);
}

/* Where the value of a unit's player, or of a pair of them, is added up. */
static double *player_at(const struct run *run, const struct ig_interventional_unit *unit,
                         double *values, uint32_t a)
{
    const struct ig_tree_interventional *self = run->self;
    size_t player = self->players[unit->players_first + a];
    return values + player * (self->interactions ? self->keys.players.count + (size_t)1 : 1);
}

static double *pair_at(const struct run *run, const struct ig_interventional_unit *unit,
                       double *values, uint32_t a, uint32_t b)
{
    const uint32_t *players = run->self->players + unit->players_first;
    size_t p = players[a], q = players[b];
    return values +
           (p < q ? p * run->self->keys.players.count + q : q * run->self->keys.players.count + p);
}

/* A leaf against one of the background's patterns: the formulas of tree_interventional_fill.c. */
static void walk_pattern(const struct run *run, const struct ig_interventional_unit *unit,
                         const struct ig_interventional_pattern *pattern, double *values)
{
    const struct ig_tree_interventional *self = run->self;
    uint64_t all = unit->state_bits ? UINT64_MAX >> (64 - unit->state_bits) : 0;
    uint64_t c = run->states[unit->state], alone = c & ~pattern->state, lacks = all & ~c;
    uint32_t s = (uint32_t)__builtin_popcountll(alone);
    uint32_t n = s + (uint32_t)__builtin_popcountll(lacks);
    double value = unit->value * pattern->share;
    if ((pattern->state | c) != all || n == 0) return;
    for (uint64_t i = alone; i; i &= i - 1)
        *player_at(run, unit, values, (uint32_t)__builtin_ctzll(i)) +=
            value * ig_interventional_weight(self, s, n);
    for (uint64_t i = lacks; i; i &= i - 1)
        *player_at(run, unit, values, (uint32_t)__builtin_ctzll(i)) -=
            value * ig_interventional_weight(self, n - s, n);
    for (uint64_t i = alone | lacks; self->interactions && i; i &= i - 1)
        for (uint64_t k = i & (i - 1); k; k &= k - 1) {
            uint32_t a = (uint32_t)__builtin_ctzll(i), b = (uint32_t)__builtin_ctzll(k);
            uint32_t needed = (uint32_t)((alone >> a & 1) + (alone >> b & 1));
            double given = value * ig_interventional_pair(self, s - needed, n);
            *pair_at(run, unit, values, a, b) += needed == 1 ? -given : given;
        }
}

/* A leaf of the path-dependent game, by quadrature as in tree_shap.c. */
static void walk_covers(const struct run *run, const struct ig_interventional_unit *unit,
                        double *values)
{
    const struct ig_tree_interventional *self = run->self;
    const struct ig_interventional_pattern *shares = self->patterns + unit->table;
    uint64_t c = run->states[unit->state];
    uint32_t d = unit->state_bits, m = (d + 1) / 2;
    const double *t = self->points + (size_t)m * (m - 1) / 2;
    const double *w = self->point_weights + (size_t)m * (m - 1) / 2;
    for (uint32_t k = 0; d > 0 && k < m; k++) {
        double before[IG_INTERVENTIONAL_PLAYERS_MAX + 1] = {w[k] * unit->value}, after = 1;
        double factor[IG_INTERVENTIONAL_PLAYERS_MAX], gain[IG_INTERVENTIONAL_PLAYERS_MAX];
        for (uint32_t i = 0; i < d; i++) {
            double one = c >> i & 1 ? 1 : 0, zero = shares[i].share;
            factor[i] = (1 - t[k]) * zero + t[k] * one;
            gain[i] = one - zero;
            before[i + 1] = before[i] * factor[i];
        }
        for (uint32_t i = d; i-- > 0; after *= factor[i]) {
            double between = after * gain[i]; /* of the factors from b + 1 on, but i's */
            *player_at(run, unit, values, i) += before[i] * between;
            for (uint32_t b = i; self->interactions && b-- > 0; between *= factor[b])
                *pair_at(run, unit, values, b, i) += before[b] * gain[b] * between;
        }
    }
}

static void walk(const struct run *run, const struct ig_interventional_unit *unit, double *values)
{
    if (run->self->by_covers) {
        walk_covers(run, unit, values);
        return;
    }
    for (uint32_t i = 0; i < unit->patterns_count; i++)
        walk_pattern(run, unit, &run->self->patterns[unit->table + i], values);
}

static size_t entry_of(const struct run *run, const struct ig_interventional_unit *unit)
{
    uint64_t entry = run->states[unit->state];
    for (uint32_t i = 0; i < unit->splits_count; i++)
        entry |= (uint64_t)goes_left(run, unit->splits[i]) << (unit->state_bits + i);
    return unit->table + (size_t)entry * unit->values;
}

/* An entry's values to their places: one a player, or one a player and pair. */
static void add_entry(const struct ig_tree_interventional *self,
                      const struct ig_interventional_unit *unit, size_t at, double *values)
{
    const uint32_t *places = self->players + unit->players_first;
    if (self->interactions) places -= unit->values;
    if (self->is_double) {
        const double *from = (const double *)self->tables + at;
        for (uint32_t k = 0; k < unit->values; k++) values[places[k]] += from[k];
    } else {
        const float *from = (const float *)self->tables + at;
        for (uint32_t k = 0; k < unit->values; k++) values[places[k]] += (double)from[k];
    }
}

static void fetch(const struct ig_tree_interventional *self,
                  const struct ig_interventional_unit *unit, size_t at)
{
    size_t each = self->is_double ? sizeof(double) : sizeof(float);
    const char *first = (const char *)self->tables + at * each;
    for (size_t byte = 0; byte < unit->values * each; byte += ALIGN)
        __builtin_prefetch(first + byte);
}

/* Tables are far larger than caches: what is read soon is asked for early. */
static void run_units(const struct run *run, const struct ig_interventional_job *job,
                      double *values)
{
    const struct ig_tree_interventional *self = run->self;
    const struct ig_interventional_unit *units = self->units + job->units_first;
    for (uint32_t i = 0; i < job->units_count; i++) {
        if (units[i].walked) continue;
        run->entries[i] = entry_of(run, &units[i]);
        fetch(self, &units[i], run->entries[i]);
    }
    for (uint32_t i = 0; i < job->units_count; i++) {
        if (units[i].walked)
            walk(run, &units[i], values);
        else
            add_entry(self, &units[i], run->entries[i], values);
    }
}

/* Contributions and their sum. */
static double put_players(double *out, const double *values, uint32_t players, double base)
{
    double sum = base;
    memcpy(out, values, players * sizeof *out);
    for (uint32_t p = 0; p < players; p++) sum += out[p];
    out[players] = base;
    return sum;
}

/* The matrix, from contributions on the diagonal and whole interactions above it. */
static double put_matrix(double *out, const double *values, uint32_t players, double base)
{
    size_t stride = players + (size_t)1;
    double sum = base;
    memset(out, 0, stride * stride * sizeof *out);
    for (uint32_t p = 0; p < players; p++) {
        const double *row = values + (size_t)p * players;
        out[p * stride + p] += row[p];
        sum += row[p];
        for (uint32_t q = p + 1; q < players; q++) {
            double half = row[q] / 2;
            out[p * stride + q] = out[q * stride + p] = half;
            out[p * stride + p] -= half;
            out[q * stride + q] -= half;
        }
    }
    out[stride * stride - 1] = base;
    return sum;
}

static void run_row(const struct run *run, const double *row, const double *margins,
                    double *contributions, double *additivity)
{
    const struct ig_tree_interventional *self = run->self;
    uint32_t outputs = self->keys.model->outputs_count, players = self->keys.players.count;
    memset(run->values, 0, values_count(self) * sizeof *run->values);
    ig_tree_shap_keys(&self->keys, row, 1, 1, run->keys);
    for (uint32_t j = 0; j < self->jobs_count; j++) {
        const struct ig_interventional_job *job = &self->jobs[j];
        run_steps(run, job);
        run_units(run, job, run->values + job->output * values_each(self));
    }
    *additivity = 0;
    size_t each = players + (size_t)1;
    if (self->interactions) each *= each;
    for (uint32_t o = 0; o < outputs; o++) {
        const double *values = run->values + o * values_each(self);
        double sum = self->interactions
                         ? put_matrix(contributions + o * each, values, players, self->base[o])
                         : put_players(contributions + o * each, values, players, self->base[o]);
        double apart = fabs(sum - margins[o]);
        if (!(apart <= *additivity)) *additivity = apart; /* a NaN stays */
    }
}

void ig_tree_interventional_run(const struct ig_tree_interventional *self,
                                const struct ig_tree_interventional_io *io, void *scratch)
{
    const struct ig_model *model = self->keys.model;
    size_t end = 0, each = self->keys.players.count + (size_t)1;
    if (self->interactions) each *= each;
    each *= model->outputs_count;
    char *memory = scratch;
    struct run run = {.self = self};
    run.keys = (float *)(memory + take(&end, keys_bytes(self)));
    run.states = (uint64_t *)(memory + take(&end, self->states_max * sizeof(uint64_t)));
    run.entries = (size_t *)(memory + take(&end, self->units_max * sizeof(size_t)));
    run.values = (double *)(memory + take(&end, values_count(self) * sizeof(double)));
    for (size_t i = 0; i < io->rows_count; i++)
        run_row(&run, io->rows + i * model->features_count, io->margins + i * model->outputs_count,
                io->contributions + i * each, &io->additivity[i]);
}
