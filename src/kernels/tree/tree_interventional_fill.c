/* SPDX-License-Identifier: Apache-2.0 */
/* Fills the tables of interventional SHAP values from a background.
 *
 * A leaf with value v and d players on its path gives, for a row of pattern c and a background row
 * of pattern b (one bit a player: it passes all of the player's splits), nothing unless c|b is all
 * ones. With s players of c alone and n - s of b alone, each of the former gets
 * v (s-1)! (n-s)! / n!, each of the latter -v s! (n-s-1)! / n!. So the background matters by the
 * shares of its patterns alone, and what remains is a table over c (after Woodelf, arXiv
 * 2511.09376, here one table a unit of up to four leaves).
 *
 * The background is read in chunks of rows; jobs are taken in groups whose counts fit GROUP_BYTES.
 */
#include "base/mem.h"
#include "kernels/tree/tree_interventional_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 256, KEY_LANES = 16, LEAVES = IG_INTERVENTIONAL_UNIT_SPLITS + 1 };

static const size_t GROUP_BYTES = (size_t)64 << 20;

/* A leaf of a unit: the unit's splits on the way to it. */
struct route {
    uint32_t leaf; /* model node */
    uint32_t width;
    uint32_t steps_count;
    struct {
        uint32_t split; /* of the unit */
        uint32_t place; /* of its player, in the order of the leaf's path */
        uint32_t slot;  /* the same among the unit's players */
        bool is_new, left;
    } steps[IG_INTERVENTIONAL_UNIT_LEVELS];
};

struct chunk {
    size_t first, rows;
};

struct filler {
    struct ig_tree_interventional *self;
    const struct ig_shap_compiler *c;
    const struct ig_background *background;
    struct ig_err *err;
    double *counts; /* shares of patterns, leaf after leaf of a group's table units */
    struct ig_interventional_pattern *lists; /* background rows of each walked leaf of a group */
    float *keys;                             /* slots x CHUNK */
    float *some_keys;                        /* slots x KEY_LANES */
    uint64_t *states;                        /* states_max x CHUNK */
    double *leaf;                            /* table of a leaf */
    double *unit;                            /* table of a unit */
    uint32_t *parents;                       /* of the nodes of the tree in hand */
};

/* ---- routes ---- */

static uint32_t player_of(const struct filler *f, uint32_t node)
{
    return f->c->shap->used[f->c->infos[node].player];
}

static uint32_t slot_of(const struct filler *f, const struct ig_interventional_unit *unit,
                        uint32_t node)
{
    const uint32_t *players = f->self->players + unit->players_first;
    uint32_t player = player_of(f, node), i = 0;
    while (players[i] != player) i++;
    return i;
}

/* Adds a split of the unit to a route. */
static void extend(const struct filler *f, const struct ig_interventional_unit *unit,
                   struct route *route, uint32_t split, bool left)
{
    uint32_t slot = slot_of(f, unit, unit->splits[split]);
    uint32_t place = slot, step = route->steps_count++;
    bool is_new = slot >= unit->state_bits;
    for (uint32_t i = 0; is_new && i < step; i++)
        if (route->steps[i].slot == slot) {
            is_new = false;
            place = route->steps[i].place;
        }
    if (is_new) place = route->width++;
    route->steps[step].split = split;
    route->steps[step].place = place;
    route->steps[step].slot = slot;
    route->steps[step].is_new = is_new;
    route->steps[step].left = left;
}

/* The unit's splits in the order of tree_interventional_lay.c; returns the number of leaves. Its
 * tree's nodes begin at `first`. */
static uint32_t find_routes(const struct filler *f, const struct ig_interventional_unit *unit,
                            uint32_t first, struct route routes[LEAVES])
{
    struct {
        uint32_t node;
        struct route route;
    } pending[LEAVES];
    const struct ig_model *model = f->c->model;
    uint32_t count = 1, leaves = 0, split = 0;
    pending[0].node = unit->root;
    pending[0].route = (struct route){.width = unit->state_bits};
    while (count > 0) {
        struct route route = pending[--count].route;
        uint32_t at = pending[count].node;
        const struct ig_node *node = &model->nodes[at];
        if (node->op == IG_NODE_LEAF) {
            routes[leaves] = route;
            routes[leaves++].leaf = at;
            continue;
        }
        pending[count].route = pending[count + 1].route = route;
        pending[count].node = first + (uint32_t)node->right;
        extend(f, unit, &pending[count++].route, split, false);
        pending[count].node = first + (uint32_t)node->left;
        extend(f, unit, &pending[count++].route, split++, true);
    }
    return leaves;
}

static uint32_t pattern_of(const struct route *route, uint32_t state, uint32_t outcomes)
{
    for (uint32_t i = 0; i < route->steps_count; i++) {
        bool passes = (outcomes >> route->steps[i].split & 1) == route->steps[i].left;
        uint32_t bit = 1U << route->steps[i].place;
        if (route->steps[i].is_new)
            state |= passes ? bit : 0;
        else if (!passes)
            state &= ~bit;
    }
    return state;
}

/* ---- counting the background's patterns ---- */

/* What a unit needs of a group's counts (table) or lists (walked). */
static size_t room_of(const struct filler *f, const struct ig_interventional_unit *unit,
                      const struct route *routes, uint32_t leaves)
{
    size_t room = unit->walked && f->background ? f->background->rows_count : 0;
    for (uint32_t i = 0; !unit->walked && i < leaves; i++) room += (size_t)1 << routes[i].width;
    return room;
}

static void read_keys(const struct filler *f, const struct chunk *chunk)
{
    const struct ig_tree_shap *shap = &f->self->keys;
    size_t features = f->background->features_count;
    for (size_t row = 0; row < chunk->rows; row += KEY_LANES) {
        size_t lanes = chunk->rows - row < KEY_LANES ? chunk->rows - row : KEY_LANES;
        ig_tree_shap_keys(shap, f->background->rows + (chunk->first + row) * features, lanes,
                          KEY_LANES, f->some_keys);
        for (uint32_t slot = 0; slot < shap->slots_count; slot++)
            memcpy(f->keys + (size_t)slot * CHUNK + row, f->some_keys + slot * KEY_LANES,
                   KEY_LANES * sizeof(float));
    }
}

static void run_steps(const struct filler *f, const struct ig_interventional_job *job)
{
    memset(f->states, 0, CHUNK * sizeof *f->states);
    for (uint32_t i = 0; i < job->steps_count; i++) {
        const struct ig_interventional_step *step = &f->self->steps[job->steps_first + i];
        const float *keys = f->keys + (size_t)f->self->slot[step->split] * CHUNK;
        float threshold = f->self->threshold[step->split];
        const uint64_t *from = f->states + (size_t)step->from * CHUNK;
        uint64_t *left = f->states + (size_t)step->left * CHUNK;
        uint64_t *right = f->states + (size_t)step->right * CHUNK;
        for (size_t row = 0; row < CHUNK; row++)
            ig_interventional_step(step, from[row], keys[row] <= threshold, &left[row],
                                   &right[row]);
    }
}

static double share_of(const struct filler *f, size_t row)
{
    const struct ig_background *background = f->background;
    return background->weights ? background->weights[row] : 1 / (double)background->rows_count;
}

static uint32_t outcomes_of(const struct filler *f, const struct ig_interventional_unit *unit,
                            size_t row)
{
    uint32_t outcomes = 0;
    for (uint32_t i = 0; i < unit->splits_count; i++) {
        float key = f->keys[(size_t)f->self->slot[unit->splits[i]] * CHUNK + row];
        outcomes |= (uint32_t)(key <= f->self->threshold[unit->splits[i]]) << i;
    }
    return outcomes;
}

/* Counts are of rows while weights are equal: whole numbers, so that no order matters. */
static void count_unit(const struct filler *f, const struct ig_interventional_unit *unit,
                       const struct route *routes, uint32_t leaves, double *counts,
                       const struct chunk *chunk)
{
    const uint64_t *states = f->states + (size_t)unit->state * CHUNK;
    for (size_t row = 0; row < chunk->rows; row++) {
        double weight = f->background->weights ? f->background->weights[chunk->first + row] : 1;
        uint32_t outcomes = outcomes_of(f, unit, row);
        double *own = counts;
        for (uint32_t i = 0; i < leaves; i++) {
            own[pattern_of(&routes[i], (uint32_t)states[row], outcomes)] += weight;
            own += (size_t)1 << routes[i].width;
        }
    }
}

static void list_unit(const struct filler *f, const struct ig_interventional_unit *unit,
                      struct ig_interventional_pattern *list, const struct chunk *chunk)
{
    const uint64_t *states = f->states + (size_t)unit->state * CHUNK;
    for (size_t row = 0; row < chunk->rows; row++)
        list[chunk->first + row] =
            (struct ig_interventional_pattern){states[row], share_of(f, chunk->first + row)};
}

static void count_job(const struct filler *f, const struct ig_interventional_job *job,
                      size_t *counts_at, size_t *lists_at, const struct chunk *chunk)
{
    uint32_t tree_first = f->c->model->trees[job->tree].first_node;
    run_steps(f, job);
    for (uint32_t i = 0; i < job->units_count; i++) {
        const struct ig_interventional_unit *unit = &f->self->units[job->units_first + i];
        struct route routes[LEAVES];
        uint32_t leaves = find_routes(f, unit, tree_first, routes);
        size_t room = room_of(f, unit, routes, leaves);
        if (unit->walked)
            list_unit(f, unit, f->lists + *lists_at, chunk);
        else
            count_unit(f, unit, routes, leaves, f->counts + *counts_at, chunk);
        *(unit->walked ? lists_at : counts_at) += room;
    }
}

/* ---- tables ---- */

static uint32_t leaf_values(const struct filler *f, uint32_t width)
{
    return f->self->interactions ? width * (width + 1) / 2 : width;
}

/* What one pattern of the row (`c`) and one of the background give: `alone` are the players of c
 * alone, `lacks` those of the background alone. */
struct meeting {
    uint32_t alone, lacks;
    uint32_t s, n; /* how many in `alone`, and in both */
    double value;
};

/* own[player] of those alone; those that lack share one value, added to *missed. */
static void add_players(const struct filler *f, const struct meeting *m, double *own,
                        double *missed)
{
    if (m->s) {
        double given = m->value * ig_interventional_weight(f->self, m->s, m->n);
        for (uint32_t left = m->alone; left; left &= left - 1) own[__builtin_ctz(left)] += given;
    }
    if (m->lacks) *missed += m->value * ig_interventional_weight(f->self, m->n - m->s, m->n);
}

/* Pairs within `alone` at their places; pairs across share mixed[player], pairs within `lacks` one
 * value. */
static void add_pairs(const struct filler *f, const struct meeting *m, uint32_t width, double *own,
                      double *mixed)
{
    const struct ig_tree_interventional *self = f->self;
    if (m->n < 2) return;
    if (m->s >= 2) {
        double given = m->value * ig_interventional_pair(self, m->s - 2, m->n);
        for (uint32_t i = m->alone; i; i &= i - 1)
            for (uint32_t k = i & (i - 1); k; k &= k - 1)
                own[ig_interventional_place(width, (uint32_t)__builtin_ctz(i),
                                            (uint32_t)__builtin_ctz(k))] += given;
    }
    if (m->s >= 1 && m->n > m->s) {
        double given = m->value * ig_interventional_pair(self, m->s - 1, m->n);
        for (uint32_t i = m->alone; i; i &= i - 1) mixed[__builtin_ctz(i)] -= given;
    }
    if (m->n - m->s >= 2) mixed[width] += m->value * ig_interventional_pair(self, m->s, m->n);
}

static void spread_pairs(uint32_t lacks, uint32_t width, const double *mixed, double *own)
{
    for (uint32_t a = 0; a < width; a++)
        for (uint32_t b = a + 1; b < width; b++) {
            bool first = lacks >> a & 1, second = lacks >> b & 1;
            if (!first && !second) continue;
            own[ig_interventional_place(width, a, b)] +=
                first && second ? mixed[width] : mixed[first ? b : a];
        }
}

/* leaf[c * values + ...] from the shares of the background's patterns. */
static void solve_leaf(const struct filler *f, const double *counts, uint32_t width, double value)
{
    const uint32_t all = (1U << width) - 1, values = leaf_values(f, width);
    memset(f->leaf, 0, ((size_t)values << width) * sizeof *f->leaf);
    for (uint32_t c = 0; c <= all; c++) {
        double *own = f->leaf + (size_t)c * values, missed = 0;
        double mixed[IG_INTERVENTIONAL_LEAF_PLAYERS + 1] = {0};
        uint32_t lacks = all & ~c, lacks_count = (uint32_t)__builtin_popcount(lacks);
        for (uint32_t both = c;; both = (both - 1) & c) {
            uint32_t alone = c & ~both, s = (uint32_t)__builtin_popcount(alone);
            struct meeting m = {alone, lacks, s, s + lacks_count, value * counts[lacks | both]};
            if (counts[lacks | both] > 0 && m.n > 0) {
                add_players(f, &m, own, &missed);
                if (f->self->interactions) add_pairs(f, &m, width, own, mixed);
            }
            if (both == 0) break;
        }
        for (uint32_t left = lacks; left; left &= left - 1) own[__builtin_ctz(left)] -= missed;
        if (f->self->interactions) spread_pairs(lacks, width, mixed, own);
    }
}

/* places[i]: where value i of the leaf goes in the unit's entry. */
static void map_values(const struct filler *f, const struct ig_interventional_unit *unit,
                       const struct route *route, uint32_t *places)
{
    uint32_t slots[IG_INTERVENTIONAL_LEAF_PLAYERS] = {0};
    for (uint32_t i = 0; i < unit->state_bits; i++) slots[i] = i;
    for (uint32_t i = 0; i < route->steps_count; i++)
        slots[route->steps[i].place] = route->steps[i].slot;
    for (uint32_t a = 0; a < route->width; a++) {
        places[a] = slots[a];
        for (uint32_t b = a + 1; f->self->interactions && b < route->width; b++) {
            uint32_t low = slots[a] < slots[b] ? slots[a] : slots[b];
            uint32_t high = slots[a] < slots[b] ? slots[b] : slots[a];
            places[ig_interventional_place(route->width, a, b)] =
                ig_interventional_place(unit->width, low, high);
        }
    }
}

static void add_leaf(const struct filler *f, const struct ig_interventional_unit *unit,
                     const struct route *route)
{
    enum { MOST = IG_INTERVENTIONAL_LEAF_PLAYERS };
    uint32_t places[MOST * (MOST + 1) / 2];
    uint32_t values = leaf_values(f, route->width);
    uint32_t states = 1U << unit->state_bits, entries = states << unit->splits_count;
    map_values(f, unit, route, places);
    for (uint32_t entry = 0; entry < entries; entry++) {
        uint32_t c = pattern_of(route, entry & (states - 1), entry >> unit->state_bits);
        const double *from = f->leaf + (size_t)c * values;
        double *to = f->unit + (size_t)entry * unit->values;
        for (uint32_t i = 0; i < values; i++) to[places[i]] += from[i];
    }
}

static size_t unit_size(const struct ig_interventional_unit *unit)
{
    return (size_t)unit->values << (unit->state_bits + unit->splits_count);
}

static void store_unit(const struct filler *f, const struct ig_interventional_unit *unit)
{
    size_t count = unit_size(unit);
    if (f->self->is_double) {
        memcpy((double *)f->self->tables + unit->table, f->unit, count * sizeof *f->unit);
        return;
    }
    float *to = (float *)f->self->tables + unit->table;
    for (size_t i = 0; i < count; i++) to[i] = (float)f->unit[i];
}

/* ---- shares of the covers ---- */

/* Shares of the leaf's players, in the order of its path: shares[place]. */
static void find_shares(const struct filler *f, const struct ig_interventional_unit *unit,
                        const struct route *route, uint32_t first, double *shares)
{
    const struct ig_model *model = f->c->model;
    const struct ig_node *nodes = model->nodes + first;
    const uint32_t *players = f->self->players + unit->players_first;
    uint32_t of_place[IG_INTERVENTIONAL_PLAYERS_MAX] = {0};
    for (uint32_t i = 0; i < unit->state_bits; i++) of_place[i] = players[i];
    for (uint32_t i = 0; i < route->steps_count; i++)
        of_place[route->steps[i].place] = players[route->steps[i].slot];
    for (uint32_t i = 0; i < route->width; i++) shares[i] = 1;
    for (uint32_t at = route->leaf - first; at != 0; at = f->parents[at]) {
        const struct ig_node *parent = &nodes[f->parents[at]];
        double share = ig_tree_shap_left_share(nodes, parent);
        uint32_t player = player_of(f, first + f->parents[at]), place = 0;
        while (place + 1 < route->width && of_place[place] != player) place++;
        shares[place] *= parent->left == (int32_t)at ? share : 1 - share;
    }
}

/* Each player passes on its own: the shares of patterns are products. */
static void count_by_covers(const double *shares, uint32_t width, double *counts)
{
    for (uint32_t b = 0; b < 1U << width; b++) {
        counts[b] = 1;
        for (uint32_t i = 0; i < width; i++) counts[b] *= b >> i & 1 ? shares[i] : 1 - shares[i];
    }
}

static void find_parents(const struct filler *f, const struct ig_tree *tree)
{
    const struct ig_node *nodes = f->c->model->nodes + tree->first_node;
    for (uint32_t i = 0; i < tree->nodes_count; i++) {
        if (nodes[i].op == IG_NODE_LEAF) continue;
        f->parents[nodes[i].left] = f->parents[nodes[i].right] = i;
    }
}

static void solve_unit(const struct filler *f, const struct ig_interventional_job *job,
                       const struct ig_interventional_unit *unit, double *counts)
{
    const struct ig_tree *tree = &f->c->model->trees[job->tree];
    struct route routes[LEAVES];
    uint32_t leaves = find_routes(f, unit, tree->first_node, routes);
    const struct ig_background *background = f->background;
    double part = background && !background->weights ? 1 / (double)background->rows_count : 1;
    double shares[IG_INTERVENTIONAL_PLAYERS_MAX];
    memset(f->unit, 0, unit_size(unit) * sizeof *f->unit);
    for (uint32_t i = 0; i < leaves; i++) {
        size_t patterns = (size_t)1 << routes[i].width;
        double value = ig_tree_shap_leaf_value(f->c->model, tree,
                                               &f->c->model->nodes[routes[i].leaf], job->output);
        if (f->self->by_covers) {
            find_shares(f, unit, &routes[i], tree->first_node, shares);
            count_by_covers(shares, routes[i].width, counts);
        }
        for (size_t b = 0; b < patterns; b++) counts[b] *= part;
        f->self->base[job->output] += value * counts[patterns - 1];
        solve_leaf(f, counts, routes[i].width, value);
        add_leaf(f, unit, &routes[i]);
        counts += patterns;
    }
    store_unit(f, unit);
}

static int compare_patterns(const void *a, const void *b)
{
    const struct ig_interventional_pattern *x = a, *y = b;
    if (x->state != y->state) return x->state < y->state ? -1 : 1;
    return (x->share > y->share) - (x->share < y->share);
}

/* Room for `count` more patterns of walked leaves, doubling up to patterns_max. */
static bool reserve_patterns(struct filler *f, size_t count)
{
    struct ig_tree_interventional *self = f->self;
    size_t needed = self->patterns_count + count, cap = self->patterns_cap * 2;
    if (needed <= self->patterns_cap) return true;
    if (needed > self->patterns_max) {
        ig_fail(
            f->err, IG_TOO_LARGE,
            "interventional SHAP values: the background has more different patterns than %zu KB "
            "hold; a smaller one is needed",
            self->patterns_max * sizeof *self->patterns >> 10);
        return false;
    }
    if (cap < needed) cap = needed;
    if (cap > self->patterns_max) cap = self->patterns_max;
    void *grown = ig_realloc(self->patterns, cap * sizeof *self->patterns);
    if (!grown) {
        ig_fail(f->err, IG_NO_MEMORY, "no memory for interventional SHAP values");
        return false;
    }
    self->patterns = grown;
    self->patterns_cap = cap;
    return true;
}

static void set_value(const struct filler *f, const struct ig_interventional_job *job,
                      struct ig_interventional_unit *unit)
{
    unit->value = ig_tree_shap_leaf_value(f->c->model, &f->c->model->trees[job->tree],
                                          &f->c->model->nodes[unit->root], job->output);
}

/* A walked leaf of the path-dependent game keeps its players' shares. */
static bool keep_shares(struct filler *f, const struct ig_interventional_job *job,
                        struct ig_interventional_unit *unit)
{
    double shares[IG_INTERVENTIONAL_PLAYERS_MAX] = {0}, all = 1;
    struct route route = {.leaf = unit->root, .width = unit->state_bits};
    if (!reserve_patterns(f, unit->state_bits)) return false;
    set_value(f, job, unit);
    find_shares(f, unit, &route, f->c->model->trees[job->tree].first_node, shares);
    unit->table = f->self->patterns_count;
    unit->patterns_count = unit->state_bits;
    for (uint32_t i = 0; i < unit->state_bits; i++) {
        f->self->patterns[f->self->patterns_count++] =
            (struct ig_interventional_pattern){0, shares[i]};
        all *= shares[i];
    }
    f->self->base[job->output] += unit->value * all;
    return true;
}

/* Sorts the leaf's rows by pattern and keeps one of each. */
static bool solve_walked(struct filler *f, const struct ig_interventional_job *job,
                         struct ig_interventional_unit *unit,
                         struct ig_interventional_pattern *list)
{
    size_t rows = f->background->rows_count, count = 0;
    uint64_t all = unit->state_bits ? UINT64_MAX >> (64 - unit->state_bits) : 0;
    qsort(list, rows, sizeof *list, compare_patterns);
    for (size_t i = 0; i < rows; i++) {
        if (count && list[count - 1].state == list[i].state)
            list[count - 1].share += list[i].share;
        else
            list[count++] = list[i];
    }
    if (!reserve_patterns(f, count)) return false;
    memcpy(f->self->patterns + f->self->patterns_count, list, count * sizeof *list);
    unit->table = f->self->patterns_count;
    unit->patterns_count = (uint32_t)count;
    set_value(f, job, unit);
    f->self->patterns_count += count;
    if (list[count - 1].state == all)
        f->self->base[job->output] += unit->value * list[count - 1].share;
    return true;
}

/* ---- groups of jobs ---- */

struct group {
    uint32_t first, end;
    size_t counts, lists; /* entries */
};

/* Jobs from `first` on whose counts and lists fit GROUP_BYTES, but at least one. */
static struct group next_group(const struct filler *f, uint32_t first)
{
    struct group group = {.first = first, .end = first};
    while (group.end < f->self->jobs_count) {
        const struct ig_interventional_job *job = &f->self->jobs[group.end];
        uint32_t tree_first = f->c->model->trees[job->tree].first_node;
        size_t counts = group.counts, lists = group.lists;
        for (uint32_t i = 0; i < job->units_count; i++) {
            const struct ig_interventional_unit *unit = &f->self->units[job->units_first + i];
            struct route routes[LEAVES];
            uint32_t leaves = find_routes(f, unit, tree_first, routes);
            *(unit->walked ? &lists : &counts) += room_of(f, unit, routes, leaves);
        }
        if (group.end > first &&
            counts * sizeof *f->counts + lists * sizeof *f->lists > GROUP_BYTES)
            break;
        group.counts = counts;
        group.lists = lists;
        group.end++;
    }
    return group;
}

static bool solve_group(struct filler *f, const struct group *group)
{
    size_t counts_at = 0, lists_at = 0;
    for (uint32_t j = group->first; j < group->end; j++) {
        const struct ig_interventional_job *job = &f->self->jobs[j];
        uint32_t tree_first = f->c->model->trees[job->tree].first_node;
        if (f->self->by_covers) find_parents(f, &f->c->model->trees[job->tree]);
        for (uint32_t i = 0; i < job->units_count; i++) {
            struct ig_interventional_unit *unit = &f->self->units[job->units_first + i];
            struct route routes[LEAVES];
            size_t room = room_of(f, unit, routes, find_routes(f, unit, tree_first, routes));
            if (unit->walked && f->self->by_covers) {
                if (!keep_shares(f, job, unit)) return false;
            } else if (unit->walked) {
                if (!solve_walked(f, job, unit, f->lists + lists_at)) return false;
                lists_at += room;
            } else {
                solve_unit(f, job, unit, f->counts + counts_at);
                counts_at += room;
            }
        }
    }
    return true;
}

static bool run_group(struct filler *f, const struct group *group)
{
    size_t rows = f->background ? f->background->rows_count : 0;
    f->counts = ig_zalloc_array(group->counts + 1, sizeof *f->counts);
    f->lists = ig_zalloc_array(group->lists + 1, sizeof *f->lists);
    bool ok = f->counts && f->lists;
    if (!ok) ig_fail(f->err, IG_NO_MEMORY, "no memory for interventional SHAP values");
    for (size_t first = 0; ok && first < rows; first += CHUNK) {
        size_t counts_at = 0, lists_at = 0;
        const struct chunk chunk = {first, rows - first < CHUNK ? rows - first : CHUNK};
        read_keys(f, &chunk);
        for (uint32_t j = group->first; j < group->end; j++)
            count_job(f, &f->self->jobs[j], &counts_at, &lists_at, &chunk);
    }
    ok = ok && solve_group(f, group);
    ig_free(f->counts);
    ig_free(f->lists);
    return ok;
}

enum ig_code ig_tree_interventional_fill(struct ig_tree_interventional *self,
                                         const struct ig_shap_compiler *c,
                                         const struct ig_background *background, struct ig_err *err)
{
    struct filler f = {.self = self, .c = c, .background = background, .err = err};
    size_t slots = self->keys.slots_count + (size_t)1, cells;
    uint32_t most = IG_INTERVENTIONAL_LEAF_PLAYERS + IG_INTERVENTIONAL_UNIT_SPLITS;
    size_t leaf = (size_t)leaf_values(&f, IG_INTERVENTIONAL_LEAF_PLAYERS)
                  << IG_INTERVENTIONAL_LEAF_PLAYERS;
    size_t unit = (size_t)leaf_values(&f, most) << IG_INTERVENTIONAL_INDEX_BITS, nodes = 0;
    for (uint32_t t = 0; t < c->model->trees_count; t++)
        if (c->model->trees[t].nodes_count > nodes) nodes = c->model->trees[t].nodes_count;
    f.parents = ig_zalloc_array(nodes + 1, sizeof *f.parents);
    f.keys = ig_zalloc_array(slots, CHUNK * sizeof *f.keys);
    f.some_keys = ig_alloc_aligned(64, slots * KEY_LANES * sizeof *f.some_keys);
    if (ig_mul(&cells, self->states_max + (size_t)1, CHUNK))
        f.states = ig_zalloc_array(cells, sizeof *f.states);
    f.leaf = ig_zalloc_array(leaf, sizeof *f.leaf);
    f.unit = ig_zalloc_array(unit, sizeof *f.unit);
    bool ok = f.keys && f.some_keys && f.states && f.leaf && f.unit && f.parents;
    if (!ok) ig_fail(err, IG_NO_MEMORY, "no memory for interventional SHAP values");
    for (uint32_t first = 0; ok && first < self->jobs_count;) {
        struct group group = next_group(&f, first);
        ok = run_group(&f, &group);
        first = group.end;
    }
    for (uint32_t o = 0; ok && o < c->model->outputs_count; o++)
        self->base[o] += ig_tree_shap_base_margin(c->model, o);
    ig_free(f.keys);
    ig_free(f.some_keys);
    ig_free(f.states);
    ig_free(f.leaf);
    ig_free(f.unit);
    ig_free(f.parents);
    return err->code;
}
