/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs made of the one that serves: a canary in front of it, an arm in its node's place. Thread
 * rule: pure; all is in the caller's arena. */
#include "services/deploy/deploy_priv.h"

#include <string.h>

/* A copy with room for more. */
static enum ig_code copy(struct ig_routing_spec *out, const struct ig_routing_spec *spec,
                         struct ig_arena *arena, struct ig_err *err)
{
    *out = *spec;
    out->nodes = ig_arena_array(arena, IG_ROUTING_NODES_MAX + 2, sizeof *out->nodes);
    out->edges = ig_arena_array(arena, IG_ROUTING_EDGES_MAX + 2, sizeof *out->edges);
    if (!out->nodes || !out->edges) return ig_fail(err, IG_NO_MEMORY, "graph");
    memcpy(out->nodes, spec->nodes, spec->nodes_count * sizeof *out->nodes);
    memcpy(out->edges, spec->edges, spec->edges_count * sizeof *out->edges);
    return IG_OK;
}

static struct ig_str free_name(const struct ig_routing_spec *spec, const char *wanted,
                               struct ig_arena *arena)
{
    struct ig_str name = ig_str_view(wanted);
    for (unsigned i = 2; ig_routing_spec_find(spec, name) >= 0; i++)
        name = ig_str_view(ig_arena_printf(arena, "%s-%u", wanted, i));
    return name;
}

static uint32_t add_model(struct ig_routing_spec *spec, const struct ig_deployment_spec *asked,
                          struct ig_arena *arena)
{
    spec->nodes[spec->nodes_count] =
        (struct ig_routing_node){.kind = IG_ROUTING_MODEL,
                                 .name = free_name(spec, "candidate", arena),
                                 .model = ig_arena_dup(arena, asked->model),
                                 .ref = ig_arena_dup(arena, asked->ref)};
    return spec->nodes_count++;
}

static void set_weights(struct ig_routing_spec *spec, uint32_t basis_points)
{
    struct ig_routing_edge *edges = &spec->edges[spec->nodes[0].first_edge];
    edges[0].basis_points = IG_ROUTING_WHOLE - basis_points;
    edges[1].basis_points = basis_points;
}

/* What answers now goes to a new place, as nothing leads to the root. */
static void put_canary_in_front(struct ig_routing_spec *spec, struct ig_arena *arena)
{
    struct ig_routing_node *stable = &spec->nodes[spec->nodes_count];
    *stable = spec->nodes[0];
    spec->nodes[0].name = IG_STR("");
    stable->name = free_name(spec, "stable", arena);
    spec->nodes[0] = (struct ig_routing_node){.kind = IG_ROUTING_CANARY,
                                              .name = free_name(spec, "canary", arena),
                                              .first_edge = spec->edges_count,
                                              .edges_count = 2};
    spec->edges[spec->edges_count++] =
        (struct ig_routing_edge){.name = IG_STR("stable"), .to = spec->nodes_count++, .weight = 1};
    spec->edges[spec->edges_count++] =
        (struct ig_routing_edge){.name = IG_STR("candidate"), .weight = 1};
}

enum ig_code ig_deploy_graph_canary(struct ig_routing_spec *out,
                                    const struct ig_routing_spec *serving,
                                    const struct ig_deployment_spec *spec, struct ig_arena *arena,
                                    struct ig_err *err)
{
    if (!serving)
        return ig_fail(err, IG_INVALID,
                       "canary_percent: deployment '%.*s' does not exist, so there is nothing to "
                       "compare with",
                       IG_STR_ARGS(spec->name));
    enum ig_routing_kind kind = serving->nodes[0].kind;
    if (kind != IG_ROUTING_CANARY && !ig_routing_kind_answers(kind))
        return ig_fail(err, IG_INVALID,
                       "canary_percent: the deployment's graph begins with a %s; give a graph that "
                       "holds the canary",
                       ig_routing_kind_name(kind));
    if (kind != IG_ROUTING_CANARY && !spec->model.len)
        return ig_fail(err, IG_INVALID, "model: missing; there is no canary yet");
    if (serving->nodes_count + 2 > IG_ROUTING_NODES_MAX ||
        serving->edges_count + 2 > IG_ROUTING_EDGES_MAX)
        return ig_fail(err, IG_INVALID, "canary_percent: the graph has no room for a canary");
    if (copy(out, serving, arena, err) != IG_OK) return err->code;
    if (kind != IG_ROUTING_CANARY) put_canary_in_front(out, arena);
    if (spec->model.len) out->edges[out->nodes[0].first_edge + 1].to = add_model(out, spec, arena);
    set_weights(out, spec->canary_basis_points);
    return ig_routing_spec_prune(out, arena, err);
}

/* The edge of the node with that arm, or NULL. */
static const struct ig_routing_edge *find_arm(const struct ig_routing_spec *spec, uint32_t index,
                                              struct ig_str arm)
{
    const struct ig_routing_node *node = &spec->nodes[index];
    if (ig_routing_kind_answers(node->kind) || node->kind == IG_ROUTING_SEGMENT ||
        node->kind == IG_ROUTING_VERSIONS)
        return NULL;
    for (uint32_t i = 0; i < node->edges_count; i++)
        if (ig_str_eq(spec->edges[node->first_edge + i].name, arm))
            return &spec->edges[node->first_edge + i];
    return NULL;
}

static enum ig_code find_node(uint32_t *out, const struct ig_routing_spec *spec, struct ig_str node,
                              struct ig_str arm, struct ig_err *err)
{
    uint32_t found = 0;
    if (node.len) {
        int32_t index = ig_routing_spec_find(spec, node);
        if (index < 0)
            return ig_fail(err, IG_INVALID, "node: the graph has no node '%.*s'",
                           (int)(node.len > 64 ? 64 : node.len), node.ptr);
        *out = (uint32_t)index;
        found = find_arm(spec, *out, arm) != NULL;
    }
    for (uint32_t i = 0; !node.len && i < spec->nodes_count; i++) {
        if (!find_arm(spec, i, arm)) continue;
        *out = i;
        found++;
    }
    if (found == 1) return IG_OK;
    if (found > 1)
        return ig_fail(err, IG_INVALID, "node: missing; %u nodes have an arm '%.*s'", found,
                       IG_STR_ARGS(arm));
    return ig_fail(err, IG_CONFLICT, "arm: there is no arm '%.*s' to promote",
                   (int)(arm.len > 64 ? 64 : arm.len), arm.ptr);
}

enum ig_code ig_deploy_graph_promote(struct ig_routing_spec *out,
                                     const struct ig_routing_spec *serving, struct ig_str node,
                                     struct ig_str arm, struct ig_arena *arena, struct ig_err *err)
{
    uint32_t index;
    if (!arm.len) arm = IG_STR("candidate");
    if (find_node(&index, serving, node, arm, err) != IG_OK ||
        copy(out, serving, arena, err) != IG_OK)
        return err->code;
    uint32_t to = find_arm(serving, index, arm)->to;
    for (uint32_t i = 0; i < out->edges_count; i++)
        if (out->edges[i].to == index) out->edges[i].to = to;
    if (index == 0) out->nodes[0] = out->nodes[to];
    return ig_routing_spec_prune(out, arena, err);
}

/* ---- versions ---- */

struct chosen {
    int64_t items[IG_DEPLOY_VERSIONS_MAX]; /* without the default */
    uint32_t count;
};

static enum ig_code choose(struct chosen *chosen, int64_t version, int64_t default_version,
                           struct ig_err *err)
{
    for (uint32_t i = 0; i < chosen->count; i++)
        if (chosen->items[i] == version)
            return ig_fail(err, IG_INVALID, "versions: %lld stands twice", (long long)version);
    if (version == default_version) return IG_OK;
    if (chosen->count == IG_DEPLOY_VERSIONS_MAX - 1)
        return ig_fail(err, IG_INVALID, "versions: more than %d", IG_DEPLOY_VERSIONS_MAX);
    chosen->items[chosen->count++] = version;
    return IG_OK;
}

static enum ig_code choose_all(struct chosen *chosen, const struct ig_registry_version *found,
                               struct ig_registry *registry, const struct ig_deployment_spec *spec,
                               struct ig_arena *arena, struct ig_err *err)
{
    struct ig_registry_versions list = {0};
    if (spec->policy == IG_VERSIONS_LISTED) {
        for (uint32_t i = 0; err->code == IG_OK && i < spec->versions_count; i++)
            choose(chosen, spec->versions[i], found->version, err);
        return err->code;
    }
    if (ig_registry_version_list(&list, registry, found->model, arena, err) != IG_OK)
        return err->code;
    size_t count =
        spec->policy == IG_VERSIONS_LATEST && spec->latest < list.count ? spec->latest : list.count;
    for (size_t i = 0; err->code == IG_OK && i < count; i++)
        choose(chosen, list.items[i].version, found->version, err);
    return err->code;
}

static struct ig_routing_node model_node(const struct ig_deployment_spec *spec, const char *name,
                                         struct ig_str ref, int64_t version)
{
    return (struct ig_routing_node){.kind = IG_ROUTING_MODEL,
                                    .name = ig_str_view(name),
                                    .model = spec->model,
                                    .ref = ref,
                                    .version = version};
}

enum ig_code ig_deploy_graph_versions(struct ig_routing_spec *out, struct ig_registry *registry,
                                      const struct ig_deployment_spec *spec, struct ig_arena *arena,
                                      struct ig_err *err)
{
    struct ig_registry_version found;
    struct chosen chosen = {.count = 0};
    struct ig_routing_spec graph = {0};
    if (ig_registry_find(&found, registry, spec->model, spec->ref, arena, err) != IG_OK ||
        choose_all(&chosen, &found, registry, spec, arena, err) != IG_OK)
        return err->code;
    graph.nodes = ig_arena_array(arena, chosen.count + (size_t)2, sizeof *graph.nodes);
    graph.edges = ig_arena_array(arena, chosen.count + (size_t)1, sizeof *graph.edges);
    if (!graph.nodes || !graph.edges) return ig_fail(err, IG_NO_MEMORY, "graph");
    graph.nodes[0] = (struct ig_routing_node){
        .kind = IG_ROUTING_VERSIONS, .name = IG_STR("versions"), .edges_count = chosen.count + 1};
    graph.nodes[1] = model_node(spec, "default", spec->ref, found.version);
    graph.edges[0] = (struct ig_routing_edge){.name = IG_STR("default"), .to = 1, .weight = 1};
    for (uint32_t i = 0; i < chosen.count; i++) {
        char *ref = ig_arena_printf(arena, "%lld", (long long)chosen.items[i]);
        char *name = ig_arena_printf(arena, "version-%lld", (long long)chosen.items[i]);
        if (!ref || !name) return ig_fail(err, IG_NO_MEMORY, "graph");
        graph.nodes[i + 2] = model_node(spec, name, ig_str_view(ref), chosen.items[i]);
        graph.edges[i + 1] = (struct ig_routing_edge){.to = i + 2, .weight = 1};
    }
    graph.nodes_count = chosen.count + 2;
    graph.edges_count = chosen.count + 1;
    *out = graph;
    return IG_OK;
}
