/* SPDX-License-Identifier: Apache-2.0 */
/* Lays an ensemble out for interventional SHAP values: which states a row passes through, and which
 * units its trees end in, with the size of each table. Nothing here depends on the background, so
 * that memory is known before it is taken.
 *
 * Sizes follow the number of nodes. Trees are walked with a stack; each frame remembers how many
 * players its path had. */
#include "base/mem.h"
#include "base/vec.h"
#include "kernels/tree/tree_interventional_priv.h"

#include <string.h>

struct frame {
    uint32_t node;
    uint32_t state;   /* its number within the job */
    uint32_t players; /* different ones above it */
};

struct layer {
    struct ig_tree_interventional *self;
    const struct ig_shap_compiler *c;
    struct ig_err *err;
    size_t memory_left;
    const struct ig_node *nodes; /* of the tree in hand */
    const struct ig_shap_node *infos;
    uint32_t node_first;
    uint8_t *height; /* of its nodes, cut at UNIT_LEVELS + 1 */
    uint32_t *path;  /* players of the path in hand, in order */
    struct frame *stack;
    struct {
        struct ig_interventional_step *items;
        size_t count, cap;
    } steps;
    struct {
        struct ig_interventional_unit *items;
        size_t count, cap;
    } units;
    struct {
        uint32_t *items;
        size_t count, cap;
    } players;
};

static bool no_memory(struct layer *l)
{
    ig_fail(l->err, IG_NO_MEMORY, "no memory for interventional SHAP values");
    return false;
}

static void find_heights(struct layer *l, const struct ig_tree *tree)
{
    for (uint32_t i = tree->nodes_count; i-- > 0;) {
        const struct ig_node *node = &l->nodes[i];
        l->height[i] = 0;
        if (node->op == IG_NODE_LEAF) continue;
        uint8_t left = l->height[node->left], right = l->height[node->right];
        uint8_t most = left > right ? left : right;
        l->height[i] = most > IG_INTERVENTIONAL_UNIT_LEVELS ? most : (uint8_t)(most + 1);
    }
}

/* Place of a player among the first `count` of the path; count when it is new. */
static uint32_t place_on(const uint32_t *path, uint32_t count, uint32_t player)
{
    uint32_t i = 0;
    while (i < count && path[i] != player) i++;
    return i;
}

/* Appends the players of a unit's splits to those of its path: at most UNIT_SPLITS more. */
static void take_splits(const struct layer *l, uint32_t root, uint32_t players,
                        struct ig_interventional_unit *unit, uint32_t *width)
{
    uint32_t pending[IG_INTERVENTIONAL_UNIT_SPLITS + 1] = {root}, count = 1;
    *width = players;
    while (count > 0) {
        uint32_t at = pending[--count];
        const struct ig_node *node = &l->nodes[at];
        if (node->op == IG_NODE_LEAF) continue;
        unit->splits[unit->splits_count++] = l->node_first + at;
        uint32_t player = l->infos[at].player;
        if (place_on(l->path, *width, player) == *width) l->path[(*width)++] = player;
        pending[count++] = (uint32_t)node->right;
        pending[count++] = (uint32_t)node->left;
    }
}

/* An entry's values. */
static uint32_t values_of(const struct layer *l, uint32_t width)
{
    return l->self->interactions ? width * (width + 1) / 2 : width;
}

/* Where a row's matrix has the values of an entry: players on the diagonal, pairs above it. */
static bool push_places(struct layer *l, uint32_t width)
{
    uint32_t stride = l->self->keys.players.count;
    for (uint32_t a = 0; a < width; a++) {
        uint32_t p = l->c->shap->used[l->path[a]];
        if (!IG_VEC_PUSH(&l->players, p * stride + p, UINT32_MAX)) return no_memory(l);
    }
    for (uint32_t a = 0; a < width; a++)
        for (uint32_t b = a + 1; b < width; b++) {
            uint32_t p = l->c->shap->used[l->path[a]], q = l->c->shap->used[l->path[b]];
            uint32_t place = p < q ? p * stride + q : q * stride + p;
            if (!IG_VEC_PUSH(&l->players, place, UINT32_MAX)) return no_memory(l);
        }
    return true;
}

static bool push_unit(struct layer *l, const struct ig_interventional_unit *unit, uint32_t width)
{
    struct ig_interventional_unit own = *unit;
    own.width = (uint8_t)width;
    own.values = (uint16_t)values_of(l, width);
    if (l->self->interactions && !push_places(l, width)) return false;
    own.players_first = (uint32_t)l->players.count;
    for (uint32_t i = 0; i < width; i++)
        if (!IG_VEC_PUSH(&l->players, l->c->shap->used[l->path[i]], UINT32_MAX))
            return no_memory(l);
    return IG_VEC_PUSH(&l->units, own, UINT32_MAX) || no_memory(l);
}

/* A unit with its table, if it and every leaf below are small enough and memory is left. */
static bool try_unit(struct layer *l, const struct frame *frame, bool *done)
{
    struct ig_tree_interventional *self = l->self;
    struct ig_interventional_unit unit = {.root = l->node_first + frame->node,
                                          .state = frame->state};
    uint32_t levels = l->height[frame->node];
    uint32_t width;
    *done = false;
    if (levels > IG_INTERVENTIONAL_UNIT_LEVELS) return true;
    if (frame->players + levels > IG_INTERVENTIONAL_LEAF_PLAYERS) return true;
    take_splits(l, frame->node, frame->players, &unit, &width);
    uint32_t bits = frame->players + unit.splits_count;
    if (bits > IG_INTERVENTIONAL_INDEX_BITS) return true;
    size_t values = (size_t)values_of(l, width) << bits;
    size_t bytes = values * (self->is_double ? sizeof(double) : sizeof(float));
    if (bytes > l->memory_left) return true;
    l->memory_left -= bytes;
    unit.state_bits = (uint8_t)frame->players;
    unit.table = self->values_count;
    self->values_count += values;
    self->plan.table_bytes += bytes;
    self->plan.leaves_count += unit.splits_count + 1U;
    *done = true;
    return push_unit(l, &unit, width);
}

static bool walked_leaf(struct layer *l, const struct frame *frame)
{
    struct ig_interventional_unit unit = {.root = l->node_first + frame->node,
                                          .state = frame->state,
                                          .state_bits = (uint8_t)frame->players,
                                          .walked = true};
    l->self->plan.leaves_count++;
    l->self->plan.walked_count++;
    return push_unit(l, &unit, frame->players);
}

/* The split's step; its children go onto the stack. */
static bool step_down(struct layer *l, const struct frame *frame, uint32_t *top, uint32_t *states)
{
    uint32_t player = l->infos[frame->node].player;
    uint32_t place = place_on(l->path, frame->players, player);
    bool is_new = place == frame->players;
    if (place == IG_INTERVENTIONAL_PLAYERS_MAX) {
        ig_fail(l->err, IG_TOO_LARGE,
                "a path of more than %d different features has no interventional SHAP values",
                IG_INTERVENTIONAL_PLAYERS_MAX);
        return false;
    }
    struct ig_interventional_step step = {
        .first = is_new ? UINT64_MAX : 0,
        .keep = is_new ? UINT64_MAX : ~((uint64_t)1 << place),
        .split = l->node_first + frame->node,
        .from = frame->state,
        .left = *states,
        .right = *states + 1,
        .bit = (uint8_t)place,
    };
    const struct ig_node *node = &l->nodes[frame->node];
    uint32_t below = frame->players + is_new;
    *states += 2;
    if (!IG_VEC_PUSH(&l->steps, step, UINT32_MAX)) return no_memory(l);
    l->path[place] = player;
    l->stack[(*top)++] = (struct frame){(uint32_t)node->right, step.right, below};
    l->stack[(*top)++] = (struct frame){(uint32_t)node->left, step.left, below};
    return true;
}

/* Depth first, left before right: a frame's path is what its ancestors wrote, since whatever lies
 * between was written at deeper places. */
static bool lay_tree(struct layer *l, const struct ig_tree *tree, uint32_t *states)
{
    uint32_t top = 1;
    *states = 1;
    l->stack[0] = (struct frame){0, 0, 0};
    while (top > 0) {
        struct frame frame = l->stack[--top];
        bool done;
        if (!try_unit(l, &frame, &done)) return false;
        if (done) continue;
        if (l->nodes[frame.node].op == IG_NODE_LEAF) {
            if (!walked_leaf(l, &frame)) return false;
        } else if (!step_down(l, &frame, &top, states)) {
            return false;
        }
    }
    return tree->nodes_count > 0;
}

static bool lay_job(struct layer *l, struct ig_interventional_job *job)
{
    const struct ig_model *model = l->c->model;
    const struct ig_tree *tree = &model->trees[job->tree];
    uint32_t states;
    l->node_first = tree->first_node;
    l->nodes = model->nodes + tree->first_node;
    l->infos = l->c->infos + tree->first_node;
    job->steps_first = (uint32_t)l->steps.count;
    job->units_first = (uint32_t)l->units.count;
    find_heights(l, tree);
    if (!lay_tree(l, tree, &states)) return false;
    job->steps_count = (uint32_t)l->steps.count - job->steps_first;
    job->units_count = (uint32_t)l->units.count - job->units_first;
    if (states > l->self->states_max) l->self->states_max = states;
    if (job->units_count > l->self->units_max) l->self->units_max = job->units_count;
    return true;
}

static bool lay_all(struct layer *l)
{
    struct ig_tree_interventional *self = l->self;
    const struct ig_model *model = l->c->model;
    uint32_t copies = model->leaf_vectors ? model->outputs_count : 1;
    self->jobs =
        ig_arena_array(&self->keys.arena, (size_t)model->trees_count * copies, sizeof *self->jobs);
    if (!self->jobs) return no_memory(l);
    for (uint32_t t = 0; t < model->trees_count; t++)
        for (uint32_t o = 0; o < copies; o++) {
            struct ig_interventional_job *job = &self->jobs[self->jobs_count++];
            *job = (struct ig_interventional_job){
                .tree = t, .output = model->leaf_vectors ? o : model->trees[t].output};
            if (!lay_job(l, job)) return false;
        }
    return true;
}

static void *keep(struct ig_arena *arena, const void *from, size_t count, size_t each)
{
    void *to = ig_arena_alloc(arena, count * each + 1);
    if (to && count) memcpy(to, from, count * each);
    return to;
}

static bool settle(struct layer *l)
{
    struct ig_tree_interventional *self = l->self;
    struct ig_arena *arena = &self->keys.arena;
    self->steps = keep(arena, l->steps.items, l->steps.count, sizeof *self->steps);
    self->units = keep(arena, l->units.items, l->units.count, sizeof *self->units);
    self->players = keep(arena, l->players.items, l->players.count, sizeof *self->players);
    self->steps_count = (uint32_t)l->steps.count;
    self->units_count = (uint32_t)l->units.count;
    self->players_count = (uint32_t)l->players.count;
    return !arena->overflowed || no_memory(l);
}

/* Frames that wait at once: one a level, and the players that a unit adds. */
static size_t depth_of(const struct ig_model *model)
{
    size_t depth = 0;
    for (uint32_t t = 0; t < model->trees_count; t++)
        if (model->trees[t].depth > depth) depth = model->trees[t].depth;
    return depth + 2;
}

enum ig_code ig_tree_interventional_lay(struct ig_tree_interventional *self,
                                        const struct ig_shap_compiler *c, size_t memory_max_bytes,
                                        struct ig_err *err)
{
    size_t depth = depth_of(c->model), nodes = 0;
    if (self->interactions && self->keys.players.count > IG_INTERVENTIONAL_MATRIX_MAX)
        return ig_fail(err, IG_TOO_LARGE, "interactions take at most %d features or groups",
                       IG_INTERVENTIONAL_MATRIX_MAX);
    struct layer l = {.self = self, .c = c, .err = err, .memory_left = memory_max_bytes};
    for (uint32_t t = 0; t < c->model->trees_count; t++)
        if (c->model->trees[t].nodes_count > nodes) nodes = c->model->trees[t].nodes_count;
    l.height = ig_zalloc_array(nodes + 1, sizeof *l.height);
    l.path = ig_zalloc_array(depth + IG_INTERVENTIONAL_UNIT_SPLITS, sizeof *l.path);
    l.stack = ig_zalloc_array(depth + 1, sizeof *l.stack);
    if (!l.height || !l.path || !l.stack)
        no_memory(&l);
    else if (lay_all(&l))
        settle(&l);
    ig_free(l.height);
    ig_free(l.path);
    ig_free(l.stack);
    IG_VEC_FREE(&l.steps);
    IG_VEC_FREE(&l.units);
    IG_VEC_FREE(&l.players);
    return err->code;
}
