/* SPDX-License-Identifier: Apache-2.0 */
/* What a deployment's graph must hold as a whole, the order of its nodes, and its text. */
#include "services/deploy/decision_log.h"
#include "services/deploy/routing_spec_priv.h"

#include <string.h>

/* Of "node=arm@0123abcd:0.123456789" all but the names. */
enum { ARM_TEXT_REST = 26, ARM_NAMES_MAX = IG_DECISION_ARMS_SIZE - 1 - ARM_TEXT_REST };

/* ---- each node ---- */

/* The decision log must be able to say which arm was taken: nothing is learned of it otherwise. */
static enum ig_code check_names(const struct ig_routing_spec *spec,
                                const struct ig_routing_node *node, struct ig_err *err)
{
    for (uint32_t i = 0; i < node->edges_count; i++) {
        size_t length = node->name.len + spec->edges[node->first_edge + i].name.len;
        if (length > ARM_NAMES_MAX)
            return ig_fail(err, IG_INVALID,
                           "graph.nodes.%.*s: its name and that of branch %u are %zu bytes "
                           "together, at most %d",
                           IG_STR_ARGS(node->name), i + 1, length, ARM_NAMES_MAX);
    }
    return IG_OK;
}

static enum ig_code check_arms(const struct ig_routing_spec *spec,
                               const struct ig_routing_node *node, struct ig_err *err)
{
    uint32_t sum = 0;
    if (check_names(spec, node, err) != IG_OK) return err->code;
    if (node->edges_count < 2)
        return ig_fail(err, IG_INVALID, "graph.nodes.%.*s: %u arms, at least 2 are expected",
                       IG_STR_ARGS(node->name), node->edges_count);
    if (node->kind == IG_ROUTING_BANDIT) {
        if (node->floor * node->edges_count <= 1) return IG_OK;
        return ig_fail(err, IG_INVALID,
                       "graph.nodes.%.*s: a floor of %g for each of %u arms is more than 1",
                       IG_STR_ARGS(node->name), node->floor, node->edges_count);
    }
    for (uint32_t i = 0; i < node->edges_count; i++)
        sum += spec->edges[node->first_edge + i].basis_points;
    if (sum == IG_ROUTING_WHOLE) return IG_OK;
    return ig_fail(err, IG_INVALID,
                   "graph.nodes.%.*s: the weights are %u.%02u%% together, not 100%%",
                   IG_STR_ARGS(node->name), sum / 100, sum % 100);
}

/* Members and mirrors answer themselves; a meta model is one model. */
static enum ig_code check_answers(const struct ig_routing_spec *spec,
                                  const struct ig_routing_node *node, uint32_t first,
                                  struct ig_err *err)
{
    for (uint32_t i = first; i < node->edges_count; i++) {
        const struct ig_routing_node *to = &spec->nodes[spec->edges[node->first_edge + i].to];
        if (ig_routing_kind_answers(to->kind)) continue;
        return ig_fail(err, IG_INVALID,
                       "graph.nodes.%.*s: '%.*s' is a %s, but only models and ensembles can be %s; "
                       "put the %s above",
                       IG_STR_ARGS(node->name), IG_STR_ARGS(to->name),
                       ig_routing_kind_name(to->kind),
                       node->kind == IG_ROUTING_SHADOW ? "mirrored to" : "members",
                       ig_routing_kind_name(to->kind));
    }
    return IG_OK;
}

/* Only a stack needs all; and what is left out is told of the ensemble that answers a call. */
static enum ig_code check_skips(const struct ig_routing_spec *spec,
                                const struct ig_routing_node *node, struct ig_err *err)
{
    const struct ig_routing_edge *edges = &spec->edges[node->first_edge];
    if (node->skips && ig_combine_takes_meta(node->combine))
        return ig_fail(err, IG_INVALID,
                       "graph.nodes.%.*s.ensemble.on_failure: skip, but combining by %s needs the "
                       "predictions of every member",
                       IG_STR_ARGS(node->name), ig_combine_name(node->combine));
    for (uint32_t i = 0; i < node->edges_count; i++) {
        const struct ig_routing_node *to = &spec->nodes[edges[i].to];
        if (!to->skips) continue;
        return ig_fail(err, IG_INVALID,
                       "graph.nodes.%.*s.ensemble.on_failure: skip, but it is a member of '%.*s'; "
                       "of ensembles only the outermost can skip",
                       IG_STR_ARGS(to->name), IG_STR_ARGS(node->name));
    }
    return IG_OK;
}

static enum ig_code check_ensemble(const struct ig_routing_spec *spec,
                                   const struct ig_routing_node *node, struct ig_err *err)
{
    const struct ig_routing_edge *edges = &spec->edges[node->first_edge];
    uint32_t count = node->edges_count;
    bool has_meta = count && ig_str_is(edges[count - 1].name, "meta");
    if (has_meta != ig_combine_takes_meta(node->combine))
        return ig_fail(err, IG_INVALID, "graph.nodes.%.*s: combining by %s %s",
                       IG_STR_ARGS(node->name), ig_combine_name(node->combine),
                       has_meta ? "takes no meta model" : "needs a meta model");
    if (count - has_meta < 1 || count - has_meta > IG_COMPOSITE_MEMBERS_MAX)
        return ig_fail(err, IG_INVALID, "graph.nodes.%.*s: %u members, expected 1 to %d",
                       IG_STR_ARGS(node->name), count - has_meta, IG_COMPOSITE_MEMBERS_MAX);
    if (check_skips(spec, node, err) != IG_OK) return err->code;
    if (has_meta && spec->nodes[edges[count - 1].to].kind != IG_ROUTING_MODEL)
        return ig_fail(err, IG_INVALID, "graph.nodes.%.*s: meta is not a model",
                       IG_STR_ARGS(node->name));
    for (uint32_t i = 0; i < count; i++)
        if (!(edges[i].weight > 0 && edges[i].weight <= 1e9))
            return ig_fail(err, IG_INVALID,
                           "graph.nodes.%.*s: member %u has weight %g, expected a positive number",
                           IG_STR_ARGS(node->name), i + 1, edges[i].weight);
    return check_answers(spec, node, 0, err);
}

static enum ig_code check_versions(const struct ig_routing_spec *spec,
                                   const struct ig_routing_node *node, struct ig_err *err)
{
    const struct ig_routing_edge *edges = &spec->edges[node->first_edge];
    if (!node->edges_count || !ig_str_is(edges[0].name, "default"))
        return ig_fail(err, IG_INVALID, "graph.nodes.%.*s.versions.default: missing",
                       IG_STR_ARGS(node->name));
    for (uint32_t i = 0; i < node->edges_count; i++)
        if (spec->nodes[edges[i].to].kind != IG_ROUTING_MODEL)
            return ig_fail(err, IG_INVALID, "graph.nodes.%.*s: '%.*s' is a %s, expected a model",
                           IG_STR_ARGS(node->name), IG_STR_ARGS(spec->nodes[edges[i].to].name),
                           ig_routing_kind_name(spec->nodes[edges[i].to].kind));
    return IG_OK;
}

static enum ig_code check_node(const struct ig_routing_spec *spec,
                               const struct ig_routing_node *node, struct ig_err *err)
{
    const struct ig_routing_edge *edges = &spec->edges[node->first_edge];
    switch (node->kind) {
    case IG_ROUTING_SPLIT:
    case IG_ROUTING_CANARY:
    case IG_ROUTING_BANDIT:
        return check_arms(spec, node, err);
    case IG_ROUTING_ENSEMBLE:
        return check_ensemble(spec, node, err);
    case IG_ROUTING_SEGMENT:
        if (!node->edges_count || edges[node->edges_count - 1].when.len)
            return ig_fail(err, IG_INVALID, "graph.nodes.%.*s.segment.default: missing",
                           IG_STR_ARGS(node->name));
        if (node->edges_count > 1) return IG_OK;
        return ig_fail(err, IG_INVALID, "graph.nodes.%.*s.segment.rules: at least one is expected",
                       IG_STR_ARGS(node->name));
    case IG_ROUTING_SHADOW:
        if (!node->edges_count || !ig_str_is(edges[0].name, "primary"))
            return ig_fail(err, IG_INVALID, "graph.nodes.%.*s.shadow.primary: missing",
                           IG_STR_ARGS(node->name));
        if (node->edges_count < 2)
            return ig_fail(err, IG_INVALID,
                           "graph.nodes.%.*s.shadow.mirrors: at least one is expected",
                           IG_STR_ARGS(node->name));
        if (check_names(spec, node, err) != IG_OK) return err->code;
        return check_answers(spec, node, 1, err);
    case IG_ROUTING_VERSIONS:
        return check_versions(spec, node, err);
    default:
        return IG_OK;
    }
}

/* ---- the whole ---- */

/* Depth-first over nodes in hand; `depth` of a node is its place in the chain, from 1. A node that
 * is done is not searched again, wherever it is met: its height tells how deep it goes. */
struct search {
    uint32_t chain[IG_ROUTING_NODES_MAX + 1], next_edge[IG_ROUTING_NODES_MAX + 1], depth;
    uint32_t height[IG_ROUTING_NODES_MAX]; /* nodes on the longest way down; 0: not done */
    bool on_chain[IG_ROUTING_NODES_MAX];
};

static void note_height(const struct ig_routing_spec *spec, struct search *search, uint32_t node)
{
    uint32_t below = 0;
    for (uint32_t i = 0; i < spec->nodes[node].edges_count; i++) {
        uint32_t own = search->height[spec->edges[spec->nodes[node].first_edge + i].to];
        if (own > below) below = own;
    }
    search->height[node] = below + 1;
    search->on_chain[node] = false;
}

static enum ig_code fail_cycle(const struct ig_routing_spec *spec, const struct search *search,
                               uint32_t again, struct ig_err *err)
{
    char text[200] = "";
    size_t used = 0;
    uint32_t at = 0;
    while (search->chain[at] != again) at++;
    for (; at < search->depth && used < sizeof text - IG_STR("...").len - 40; at++) {
        struct ig_str name = spec->nodes[search->chain[at]].name;
        int length = (int)(name.len > 32 ? 32 : name.len);
        memcpy(text + used, name.ptr, (size_t)length);
        memcpy(text + used + length, " -> ", 5);
        used += (size_t)length + 4;
    }
    return ig_fail(err, IG_INVALID, "graph.nodes.%.*s: a cycle: %s%.*s",
                   IG_STR_ARGS(spec->nodes[again].name), text,
                   IG_STR_ARGS(spec->nodes[again].name));
}

static enum ig_code check_paths(const struct ig_routing_spec *spec, uint32_t root,
                                struct search *search, struct ig_err *err)
{
    search->chain[0] = root;
    search->depth = 1;
    search->on_chain[root] = true;
    while (search->depth) {
        uint32_t node = search->chain[search->depth - 1];
        uint32_t edge = search->next_edge[search->depth - 1]++;
        if (edge == spec->nodes[node].edges_count) {
            note_height(spec, search, node);
            search->depth--;
            continue;
        }
        uint32_t to = spec->edges[spec->nodes[node].first_edge + edge].to;
        if (search->on_chain[to]) return fail_cycle(spec, search, to, err);
        if (search->depth + (search->height[to] ? search->height[to] : 1) > IG_ROUTING_DEPTH_MAX)
            return ig_fail(err, IG_INVALID, "graph.nodes.%.*s: more than %d nodes deep",
                           IG_STR_ARGS(spec->nodes[to].name), IG_ROUTING_DEPTH_MAX);
        if (search->height[to]) continue;
        search->chain[search->depth] = to;
        search->next_edge[search->depth++] = 0;
        search->on_chain[to] = true;
    }
    for (uint32_t i = 0; i < spec->nodes_count; i++)
        if (!search->height[i])
            return ig_fail(err, IG_INVALID, "graph.nodes.%.*s: nothing leads to it",
                           IG_STR_ARGS(spec->nodes[i].name));
    return IG_OK;
}

/* Breadth-first from `root`: what is not reached falls out. */
static enum ig_code number_anew(struct ig_routing_spec *spec, uint32_t root, struct ig_arena *arena,
                                struct ig_err *err)
{
    uint32_t order[IG_ROUTING_NODES_MAX], place[IG_ROUTING_NODES_MAX], count = 0;
    struct ig_routing_node *nodes = ig_arena_array(arena, IG_ROUTING_NODES_MAX, sizeof *nodes);
    struct ig_routing_edge *edges = ig_arena_array(arena, IG_ROUTING_EDGES_MAX, sizeof *edges);
    uint32_t edges_count = 0;
    if (!nodes || !edges) return ig_fail(err, IG_NO_MEMORY, "graph");
    memset(place, 0xff, sizeof place);
    order[count++] = root;
    place[root] = 0;
    for (uint32_t i = 0; i < count; i++) {
        nodes[i] = spec->nodes[order[i]];
        nodes[i].first_edge = edges_count;
        for (uint32_t e = 0; e < nodes[i].edges_count; e++) {
            struct ig_routing_edge *edge = &edges[edges_count++];
            *edge = spec->edges[spec->nodes[order[i]].first_edge + e];
            if (place[edge->to] == UINT32_MAX) {
                place[edge->to] = count;
                order[count++] = edge->to;
            }
            edge->to = place[edge->to];
        }
    }
    spec->nodes = nodes;
    spec->nodes_count = count;
    spec->edges = edges;
    spec->edges_count = edges_count;
    return IG_OK;
}

enum ig_code ig_routing_spec_settle(struct ig_routing_spec *spec, uint32_t root,
                                    struct ig_arena *arena, struct ig_err *err)
{
    struct search search = {0};
    for (uint32_t i = 0; i < spec->nodes_count; i++)
        if (check_node(spec, &spec->nodes[i], err) != IG_OK) return err->code;
    if (check_paths(spec, root, &search, err) != IG_OK) return err->code;
    return number_anew(spec, root, arena, err);
}

enum ig_code ig_routing_spec_prune(struct ig_routing_spec *spec, struct ig_arena *arena,
                                   struct ig_err *err)
{
    return number_anew(spec, 0, arena, err);
}

/* ---- text ---- */

static void write_percent(struct ig_json_out *out, const char *key, uint32_t basis_points)
{
    ig_json_out_kv_f64(out, key, (double)basis_points / 100);
}

static void write_target(struct ig_json_out *out, const char *key,
                         const struct ig_routing_spec *spec, const struct ig_routing_edge *edge)
{
    ig_json_out_kv_str(out, key, spec->nodes[edge->to].name);
}

static void write_edges(struct ig_json_out *out, const struct ig_routing_spec *spec,
                        const struct ig_routing_node *node, const char *list)
{
    bool rules = node->kind == IG_ROUTING_SEGMENT, mirrors = node->kind == IG_ROUTING_SHADOW;
    uint32_t first = mirrors || node->kind == IG_ROUTING_VERSIONS ? 1 : 0,
             last = node->edges_count - (rules ? 1 : 0);
    if (node->kind == IG_ROUTING_ENSEMBLE && ig_combine_takes_meta(node->combine)) last--;
    ig_json_out_key(out, ig_str_view(list));
    ig_json_out_array(out);
    for (uint32_t i = first; i < last; i++) {
        const struct ig_routing_edge *edge = &spec->edges[node->first_edge + i];
        ig_json_out_object(out);
        if (edge->name.len) ig_json_out_kv_str(out, "name", edge->name);
        if (rules) ig_json_out_kv_str(out, "when", edge->when);
        if (node->kind == IG_ROUTING_ENSEMBLE) ig_json_out_kv_f64(out, "weight", edge->weight);
        if (edge->timeout_ms) ig_json_out_kv_i64(out, "timeout_ms", edge->timeout_ms);
        if (node->kind == IG_ROUTING_SPLIT) write_percent(out, "weight", edge->basis_points);
        if (mirrors) write_percent(out, "percent", edge->basis_points);
        write_target(out, rules ? "then" : "node", spec, edge);
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
}

static void write_bandit(struct ig_json_out *out, const struct ig_routing_node *node)
{
    bool thompson = node->policy == IG_BANDIT_THOMPSON;
    ig_json_out_kv_str(out, "policy", thompson ? IG_STR("thompson") : IG_STR("epsilon_greedy"));
    ig_json_out_kv_str(out, "reward",
                       node->rewards_are_values ? IG_STR("value") : IG_STR("conversion"));
    ig_json_out_kv_str(out, "metric", node->metric);
    if (!thompson) ig_json_out_kv_f64(out, "epsilon", node->epsilon);
    ig_json_out_kv_f64(out, "floor", node->floor);
}

static void write_kind(struct ig_json_out *out, const struct ig_routing_spec *spec,
                       const struct ig_routing_node *node)
{
    const struct ig_routing_edge *edges = &spec->edges[node->first_edge];
    const struct ig_routing_edge *last = edges + node->edges_count - 1;
    if (node->salt.len) ig_json_out_kv_str(out, "salt", node->salt);
    switch (node->kind) {
    case IG_ROUTING_ENSEMBLE:
        ig_json_out_kv_str(out, "combine", ig_str_view(ig_combine_name(node->combine)));
        if (node->skips) ig_json_out_kv_str(out, "on_failure", IG_STR("skip"));
        write_edges(out, spec, node, "members");
        if (ig_combine_takes_meta(node->combine)) write_target(out, "meta", spec, last);
        break;
    case IG_ROUTING_SEGMENT:
        write_edges(out, spec, node, "rules");
        write_target(out, "default", spec, last);
        break;
    case IG_ROUTING_CANARY:
        write_target(out, "stable", spec, edges);
        write_target(out, "candidate", spec, edges + 1);
        write_percent(out, "canary_percent", edges[1].basis_points);
        break;
    case IG_ROUTING_SHADOW:
        write_target(out, "primary", spec, edges);
        write_edges(out, spec, node, "mirrors");
        break;
    case IG_ROUTING_VERSIONS:
        write_target(out, "default", spec, edges);
        write_edges(out, spec, node, "others");
        break;
    case IG_ROUTING_BANDIT:
        write_bandit(out, node);
        write_edges(out, spec, node, "arms");
        break;
    default:
        write_edges(out, spec, node, "arms");
    }
}

static void write_node(struct ig_json_out *out, const struct ig_routing_spec *spec,
                       const struct ig_routing_node *node)
{
    ig_json_out_key(out, node->name);
    ig_json_out_object(out);
    if (node->kind == IG_ROUTING_MODEL) {
        ig_json_out_kv_str(out, "model", node->model);
        if (node->version) ig_json_out_kv_i64(out, "version", node->version);
        if (node->ref.len) ig_json_out_kv_str(out, "ref", node->ref);
    } else {
        ig_json_out_key(out, ig_str_view(ig_routing_kind_name(node->kind)));
        ig_json_out_object(out);
        write_kind(out, spec, node);
        ig_json_out_object_end(out);
    }
    ig_json_out_object_end(out);
}

void ig_routing_spec_write(struct ig_json_out *out, const struct ig_routing_spec *spec)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "root", spec->nodes[0].name);
    ig_json_out_key(out, IG_STR("nodes"));
    ig_json_out_object(out);
    for (uint32_t i = 0; i < spec->nodes_count; i++) write_node(out, spec, &spec->nodes[i]);
    ig_json_out_object_end(out);
    if (spec->attributes_count) {
        ig_json_out_key(out, IG_STR("context"));
        ig_json_out_object(out);
        for (uint32_t i = 0; i < spec->attributes_count; i++) {
            ig_json_out_key(out, spec->attributes[i].name);
            ig_json_out_str(out, spec->attributes[i].is_text ? IG_STR("text") : IG_STR("number"));
        }
        ig_json_out_object_end(out);
    }
    if (ig_resources_given(&spec->resources)) {
        ig_json_out_key(out, IG_STR("resources"));
        ig_resources_write(out, &spec->resources);
    }
    ig_json_out_object_end(out);
}
