/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs that route. A routing owns an arena with a copy of its spec, one reference on each loaded
 * model, and the compiled rules. Built on a worker, read by loops without a lock.
 *
 * A unit's bucket is SipHash-2-4 of its id under a key made of the node's salt, scaled to 10,000:
 * the same unit keeps its arm as long as weights move at the arms' common border only.
 *
 * The shares of a bandit are one small array under a sequence lock: its single writer is the
 * learner, readers try again when it was at work. */
#include "services/deploy/routing.h"

#include "base/clock.h"
#include "base/mem.h"
#include "formats/schema_map.h"
#include "services/deploy/cpu_share.h"
#include "services/deploy/replica_set.h"
#include "services/deploy/replica_wire.h"
#include "services/deploy/residency.h"
#include "services/deploy/responses.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { ARENA_CHUNK = 16 << 10, ARENA_MAX = 64 << 20 };

struct shares {
    atomic_uint sequence;                        /* odd: being written */
    _Atomic(uint64_t) upto[IG_ROUTING_ARMS_MAX]; /* cumulative, in 2^-63 */
};

/* What stands behind a node. */
struct place {
    const struct ig_servable *servable; /* of one that answers; a reference */
    struct ig_feature_map map;
    struct ig_rules *rules; /* SEGMENT */
    unsigned char key[16];  /* of a node that splits */
    struct shares *shares;  /* BANDIT */
};

struct counted {
    struct ig_routing routing; /* first: what callers hold */
    struct ig_arena arena;
    struct place places[IG_ROUTING_NODES_MAX];
    uint64_t tags[IG_ROUTING_NODES_MAX]; /* what stands there and behind, in one number */
    atomic_uint references;
    atomic_uint entered; /* calls in the worker pool */
    struct ig_cpu_share cpu;
};

static const struct counted *counted_of(const struct ig_routing *routing)
{
    return (const struct counted *)(const void *)routing;
}

static const struct place *place_of(const struct ig_routing *routing, uint32_t node)
{
    return &counted_of(routing)->places[node];
}

static bool is_split(enum ig_routing_kind kind)
{
    return kind == IG_ROUTING_SPLIT || kind == IG_ROUTING_CANARY || kind == IG_ROUTING_BANDIT;
}

/* ---- building ---- */

struct build {
    struct counted *counted;
    const struct ig_routing_source *source;
    struct ig_err *err;
    /* Of an isolated one, by node: what its replicas said that it is. */
    struct ig_package *faces[IG_ROUTING_NODES_MAX];
};

static enum ig_code copy_spec(struct build *build, const struct ig_routing_spec *spec)
{
    struct ig_buf text;
    ig_buf_init(&text, IG_ROUTING_SPEC_MAX_BYTES * 2);
    struct ig_json_out out;
    ig_json_out_init(&out, &text);
    ig_routing_spec_write(&out, spec);
    struct ig_arena *arena = &build->counted->arena;
    struct ig_str kept = ig_arena_dup(arena, ig_buf_view(&text));
    if (text.overflowed || !kept.ptr)
        ig_fail(build->err, IG_NO_MEMORY, "graph");
    else
        ig_routing_spec_read(&build->counted->routing.spec, kept, arena, build->err);
    ig_buf_deinit(&text);
    return build->err->code;
}

/* One that is there already; `pointed`: whose model comes and goes. */
static const struct ig_servable *find_loaded(const struct ig_routing *routing, struct ig_str model,
                                             int64_t version, bool pointed)
{
    for (uint32_t i = 0; routing && !routing->replicas && i < routing->spec.nodes_count; i++) {
        const struct ig_servable *own = place_of(routing, i)->servable;
        if (own && !own->members_count && own->version == version && ig_str_is(model, own->model) &&
            (own->residency != NULL) == pointed)
            return own;
    }
    return NULL;
}

static void prefix_node(struct build *build, const struct ig_routing_node *node)
{
    if (build->counted->routing.spec.nodes_count > 1)
        ig_err_prefix(build->err, "graph.nodes.%.*s", IG_STR_ARGS(node->name));
}

static enum ig_code own_package(struct build *build, uint32_t index)
{
    const struct ig_routing_source *source = build->source;
    const struct ig_routing *routing = &build->counted->routing;
    const struct ig_routing_node *node = &routing->spec.nodes[index];
    struct place *place = &build->counted->places[index];
    const struct ig_servable *found = find_loaded(routing, node->model, node->version, false);
    struct ig_package *package;
    if (found) {
        place->servable = ig_servable_ref(found);
    } else if (source->open(&package, source->context, node, build->err) != IG_OK ||
               ig_servable_own(&place->servable, package, node->model, node->version,
                               source->servables ? source->servables->tables_max_bytes : 0,
                               build->err) != IG_OK) {
        prefix_node(build, node);
    }
    return build->err->code;
}

/* The version that the node names, to which it is pinned from then on. */
static enum ig_code find_version(struct ig_registry_version *out, struct build *build,
                                 uint32_t index)
{
    struct ig_routing_node *node = &build->counted->routing.spec.nodes[index];
    struct ig_registry *registry = build->source->registry;
    struct ig_arena *arena = &build->counted->arena;
    if (node->version)
        ig_registry_version_get(out, registry, node->model, node->version, arena, build->err);
    else
        ig_registry_find(out, registry, node->model, node->ref, arena, build->err);
    if (build->err->code == IG_OK)
        node->version = out->version;
    else
        prefix_node(build, node);
    return build->err->code;
}

static struct ig_servable_elsewhere take_face(struct build *build, uint32_t index)
{
    struct ig_package *face = build->faces[index];
    build->faces[index] = NULL;
    return (struct ig_servable_elsewhere){
        .face = face, .replicas = build->counted->routing.replicas, .node = index};
}

static enum ig_code load_model(struct build *build, uint32_t index)
{
    struct ig_routing *routing = &build->counted->routing;
    struct ig_routing_node *node = &routing->spec.nodes[index];
    const struct ig_routing_source *source = build->source;
    struct place *place = &build->counted->places[index];
    struct ig_registry_version version;
    const struct ig_servable *found;
    if (source->open) return own_package(build, index);
    if (find_version(&version, build, index) != IG_OK) return build->err->code;
    if (routing->replicas) {
        const struct ig_servable_elsewhere elsewhere = take_face(build, index);
        return ig_servable_point(&place->servable, &elsewhere, ig_str_view(routing->name), &version,
                                 build->err);
    }
    bool pointed = source->residency != NULL;
    found = find_loaded(source->current, node->model, node->version, pointed);
    if (!found) found = find_loaded(source->previous, node->model, node->version, pointed);
    if (!found) found = find_loaded(routing, node->model, node->version, pointed);
    if (found) {
        place->servable = ig_servable_ref(found);
        return IG_OK;
    }
    struct ig_str name = ig_str_view(routing->name);
    if (pointed)
        ig_residency_point(&place->servable, source->residency, name, &version, build->err);
    else
        ig_servable_load(&place->servable, source->servables, name, &version, build->err);
    if (build->err->code != IG_OK) prefix_node(build, node);
    return build->err->code;
}

static enum ig_code combine(struct build *build, uint32_t index)
{
    const struct ig_routing_spec *spec = &build->counted->routing.spec;
    const struct ig_routing_node *node = &spec->nodes[index];
    const struct ig_routing_edge *edges = &spec->edges[node->first_edge];
    struct place *places = build->counted->places;
    struct ig_servable_member members[IG_COMPOSITE_MEMBERS_MAX + 1];
    bool has_meta = ig_combine_takes_meta(node->combine);
    for (uint32_t i = 0; i < node->edges_count; i++)
        members[i] = (struct ig_servable_member){places[edges[i].to].servable, edges[i].weight,
                                                 edges[i].timeout_ms};
    const struct ig_servable_elsewhere elsewhere = take_face(build, index);
    const struct ig_servable_combination combination = {
        .combine = node->combine,
        .skips = node->skips,
        .elsewhere = build->counted->routing.replicas ? &elsewhere : NULL,
        .members = members,
        .members_count = node->edges_count - has_meta,
        .meta = has_meta ? places[edges[node->edges_count - 1].to].servable : NULL,
    };
    const struct ig_routing_source *source = build->source;
    if (source->residency && !combination.elsewhere && !source->open)
        ig_residency_combine(&places[index].servable, source->residency, node->name, &combination,
                             build->err);
    else
        ig_servable_combine(&places[index].servable, node->name, &combination,
                            source->servables->tables_max_bytes, build->err);
    if (build->err->code != IG_OK) prefix_node(build, node);
    return build->err->code;
}

/* ---- isolated deployments ---- */

static enum ig_code find_digests(struct ig_str *digests, struct build *build)
{
    const struct ig_routing_spec *spec = &build->counted->routing.spec;
    struct ig_registry_version version;
    for (uint32_t i = 0; i < spec->nodes_count; i++) {
        digests[i] = IG_STR("");
        if (spec->nodes[i].kind != IG_ROUTING_MODEL) continue;
        if (find_version(&version, build, i) != IG_OK) return build->err->code;
        digests[i] = version.digest;
    }
    return IG_OK;
}

static enum ig_code read_faces(struct build *build)
{
    const struct ig_routing *routing = &build->counted->routing;
    struct ig_str faces = ig_replicas_faces(routing->replicas);
    struct ig_unpack in = {faces.ptr, faces.len, false};
    struct ig_package *face;
    uint32_t node;
    while (ig_replica_face_read(&node, &face, &in, build->err)) {
        ig_package_free(build->faces[node]);
        build->faces[node] = face;
    }
    for (uint32_t i = 0; build->err->code == IG_OK && i < routing->spec.nodes_count; i++)
        if (ig_routing_kind_answers(routing->spec.nodes[i].kind) && !build->faces[i])
            ig_fail(build->err, IG_CORRUPT, "replica: nothing said of node %u", i);
    return build->err->code;
}

/* Starts the first process; what its nodes are it says itself. */
static enum ig_code isolate(struct build *build)
{
    struct ig_routing *routing = &build->counted->routing;
    struct ig_str digests[IG_ROUTING_NODES_MAX];
    struct ig_buf graph;
    struct ig_json_out out;
    if (!build->source->host)
        return ig_fail(build->err, IG_UNSUPPORTED,
                       "graph.resources.isolation: process, but none can be started here");
    if (find_digests(digests, build) != IG_OK) return build->err->code;
    ig_buf_init(&graph, IG_ROUTING_SPEC_MAX_BYTES * 2);
    ig_json_out_init(&out, &graph);
    ig_routing_spec_write(&out, &routing->spec);
    const struct ig_replicas_spec spec = {
        .resources = &routing->spec.resources,
        .deployment = ig_str_view(routing->name),
        .graph = ig_buf_view(&graph),
        .digests = digests,
        .digests_count = routing->spec.nodes_count,
        .tables_max_bytes = build->source->servables->tables_max_bytes,
    };
    if (graph.overflowed)
        ig_fail(build->err, IG_NO_MEMORY, "graph");
    else if (ig_replicas_new(&routing->replicas, build->source->host, &spec, build->err) == IG_OK)
        read_faces(build);
    ig_buf_deinit(&graph);
    return build->err->code;
}

/* Nodes lie breadth-first, so members come after their ensemble. */
static enum ig_code load_answers(struct build *build)
{
    const struct ig_routing_spec *spec = &build->counted->routing.spec;
    for (uint32_t i = spec->nodes_count; i-- > 0;) {
        enum ig_routing_kind kind = spec->nodes[i].kind;
        if (kind == IG_ROUTING_MODEL && load_model(build, i) != IG_OK) return build->err->code;
    }
    /* an ensemble's members may be ensembles that lie before it when others lead to them as well */
    for (uint32_t round = 0, left = 1; left && round < IG_ROUTING_DEPTH_MAX; round++) {
        left = 0;
        for (uint32_t i = spec->nodes_count; i-- > 0;) {
            const struct ig_routing_node *node = &spec->nodes[i];
            bool ready = node->kind == IG_ROUTING_ENSEMBLE && !build->counted->places[i].servable;
            if (!ready) continue;
            for (uint32_t e = 0; e < node->edges_count; e++)
                ready =
                    ready && build->counted->places[spec->edges[node->first_edge + e].to].servable;
            if (!ready)
                left++;
            else if (combine(build, i) != IG_OK)
                return build->err->code;
        }
    }
    return IG_OK;
}

/* Where the defaults lead: a segment's default, the first arm, the primary. */
static uint32_t find_face(const struct ig_routing_spec *spec, bool *depends)
{
    uint32_t node = 0;
    *depends = false;
    while (!ig_routing_kind_answers(spec->nodes[node].kind)) {
        const struct ig_routing_node *own = &spec->nodes[node];
        uint32_t edge = own->kind == IG_ROUTING_SEGMENT ? own->edges_count - 1 : 0;
        *depends = *depends || (own->kind != IG_ROUTING_SHADOW && own->kind != IG_ROUTING_VERSIONS);
        node = spec->edges[own->first_edge + edge].to;
    }
    return node;
}

/* Whether a request can end there; members of ensembles and meta models are only parts. */
static bool is_end(const struct ig_routing_spec *spec, uint32_t index)
{
    if (index == 0) return true;
    for (uint32_t i = 0; i < spec->nodes_count; i++) {
        const struct ig_routing_node *node = &spec->nodes[i];
        for (uint32_t e = 0; node->kind != IG_ROUTING_ENSEMBLE && e < node->edges_count; e++)
            if (spec->edges[node->first_edge + e].to == index) return true;
    }
    return false;
}

static enum ig_code fit_end(struct build *build, uint32_t index, const struct ig_servable *face)
{
    const struct ig_routing_node *node = &build->counted->routing.spec.nodes[index];
    struct place *place = &build->counted->places[index];
    const struct ig_model *own = place->servable->package->model, *other = face->package->model;
    if (ig_schema_map(&place->map, &place->servable->package->schema, &face->package->schema,
                      &build->counted->arena, build->err) == IG_OK &&
        (own->predictions_count != other->predictions_count ||
         own->outputs_count != other->outputs_count))
        ig_fail(build->err, IG_INVALID,
                "it gives %u predictions and %u margins a row, expected %u and %u",
                own->predictions_count, own->outputs_count, other->predictions_count,
                other->outputs_count);
    if (build->err->code == IG_OK) return IG_OK;
    ig_err_prefix(build->err, "graph.nodes.%.*s: schema: '%.*s' does not fit '%s'",
                  IG_STR_ARGS(node->name), IG_STR_ARGS(node->model.len ? node->model : node->name),
                  face->model);
    return build->err->code;
}

static enum ig_code fit_ends(struct build *build)
{
    struct ig_routing *routing = &build->counted->routing;
    const struct ig_routing_spec *spec = &routing->spec;
    bool depends;
    uint32_t face = find_face(spec, &depends);
    routing->face = build->counted->places[face].servable;
    routing->schema = &routing->face->package->schema;
    routing->single = depends ? NULL : routing->face;
    for (uint32_t i = 0; i < spec->nodes_count; i++) {
        if (!ig_routing_kind_answers(spec->nodes[i].kind)) continue;
        if (i != face && is_end(spec, i) && fit_end(build, i, routing->face) != IG_OK)
            return build->err->code;
        if (i == face)
            build->counted->places[i].map.features_count = routing->schema->features_count;
    }
    return IG_OK;
}

static enum ig_code compile_rules(struct build *build, uint32_t index)
{
    struct ig_routing *routing = &build->counted->routing;
    const struct ig_routing_node *node = &routing->spec.nodes[index];
    struct ig_str *texts = ig_arena_array(&build->counted->arena, node->edges_count, sizeof *texts);
    if (!texts) return ig_fail(build->err, IG_NO_MEMORY, "rules");
    for (uint32_t i = 0; i + 1 < node->edges_count; i++)
        texts[i] = routing->spec.edges[node->first_edge + i].when;
    const struct ig_rules_spec spec = {.schema = routing->schema,
                                       .attributes = routing->attributes,
                                       .attributes_count = routing->spec.attributes_count,
                                       .texts = texts,
                                       .texts_count = node->edges_count - 1};
    if (ig_rules_new(&build->counted->places[index].rules, &spec, build->err) != IG_OK)
        ig_err_prefix(build->err, "graph.nodes.%.*s.segment", IG_STR_ARGS(node->name));
    return build->err->code;
}

static enum ig_code salt_node(struct build *build, uint32_t index)
{
    const struct ig_routing *routing = &build->counted->routing;
    const struct ig_routing_node *node = &routing->spec.nodes[index];
    struct place *place = &build->counted->places[index];
    unsigned char digest[IG_SHA256_BYTES];
    char text[2 * IG_NAME_SIZE + 16];
    if (node->edges_count > IG_ROUTING_ARMS_MAX)
        return ig_fail(build->err, IG_INVALID, "graph.nodes.%.*s: %u arms, at most %d",
                       IG_STR_ARGS(node->name), node->edges_count, IG_ROUTING_ARMS_MAX);
    if (node->salt.len)
        snprintf(text, sizeof text, "%.*s", IG_STR_ARGS(node->salt));
    else
        snprintf(text, sizeof text, "%s/%.*s", routing->name, IG_STR_ARGS(node->name));
    ig_sha256(text, strlen(text), digest);
    memcpy(place->key, digest, sizeof place->key);
    if (node->kind != IG_ROUTING_BANDIT) return IG_OK;
    place->shares = ig_arena_zalloc(&build->counted->arena, sizeof *place->shares);
    if (!place->shares) return ig_fail(build->err, IG_NO_MEMORY, "bandit");
    double equal[IG_ROUTING_ARMS_MAX] = {0};
    for (uint32_t i = 0; i < node->edges_count; i++) equal[i] = 1.0 / node->edges_count;
    ig_routing_set_shares(routing, index, equal);
    return IG_OK;
}

static enum ig_code copy_attributes(struct build *build)
{
    struct ig_routing *routing = &build->counted->routing;
    uint32_t count = routing->spec.attributes_count;
    struct ig_rules_attribute *own =
        ig_arena_array(&build->counted->arena, count + (size_t)1, sizeof *own);
    if (!own) return ig_fail(build->err, IG_NO_MEMORY, "graph");
    for (uint32_t i = 0; i < count; i++) {
        struct ig_str name = routing->spec.attributes[i].name;
        if (ig_schema_feature_index(routing->schema, name) >= 0)
            return ig_fail(build->err, IG_INVALID, "graph.context.%.*s: a feature has that name",
                           IG_STR_ARGS(name));
        own[i] = (struct ig_rules_attribute){
            name, routing->spec.attributes[i].is_text ? IG_RULES_TEXT : IG_RULES_NUMBER};
    }
    routing->attributes = own;
    return IG_OK;
}

static enum ig_code check_versions(struct build *build, const struct ig_routing_node *node)
{
    const struct ig_routing_spec *spec = &build->counted->routing.spec;
    const struct ig_routing_edge *edges = &spec->edges[node->first_edge];
    for (uint32_t i = 0; i < node->edges_count; i++)
        for (uint32_t j = 0; j < i; j++)
            if (spec->nodes[edges[i].to].version == spec->nodes[edges[j].to].version)
                return ig_fail(
                    build->err, IG_INVALID, "graph.nodes.%.*s: version %lld stands twice",
                    IG_STR_ARGS(node->name), (long long)spec->nodes[edges[i].to].version);
    return IG_OK;
}

static uint64_t mix(uint64_t tag, const void *bytes, size_t size)
{
    static const unsigned char KEY[16] = "graph";
    return tag * UINT64_C(0x9E3779B97F4A7C15) ^ ig_siphash(KEY, bytes, size);
}

static uint64_t tag_node(const struct counted *counted, const struct ig_routing_node *node)
{
    uint64_t tag = mix(0, &node->kind, sizeof node->kind);
    tag = mix(tag, node->model.ptr, node->model.len);
    tag = mix(tag, &node->version, sizeof node->version);
    tag = mix(tag, &node->combine, sizeof node->combine);
    for (uint32_t i = 0; i < node->edges_count; i++) {
        const struct ig_routing_edge *edge = &counted->routing.spec.edges[node->first_edge + i];
        tag = mix(tag, &counted->tags[edge->to], sizeof *counted->tags);
        tag = mix(tag, &edge->weight, sizeof edge->weight);
        tag = mix(tag, edge->when.ptr, edge->when.len);
    }
    return tag;
}

/* Each round settles one more layer from the leaves up. */
static void tag_nodes(struct counted *counted)
{
    const struct ig_routing_spec *spec = &counted->routing.spec;
    for (int round = 0; round < IG_ROUTING_DEPTH_MAX; round++)
        for (uint32_t i = 0; i < spec->nodes_count; i++)
            counted->tags[i] = tag_node(counted, &spec->nodes[i]);
}

/* Shared models are measured once they are here; a process has its limit before it loads any. */
static enum ig_code check_memory(struct build *build)
{
    const struct ig_routing *routing = &build->counted->routing;
    uint64_t limit = (uint64_t)routing->spec.resources.memory_mb << 20, sum = 0;
    if (!limit || routing->replicas || routing->spec.resources.isolated) return IG_OK;
    for (uint32_t i = 0; i < routing->spec.nodes_count; i++) {
        const struct ig_servable *own = place_of(routing, i)->servable;
        for (uint32_t j = 0; own && j < i; j++)
            if (place_of(routing, j)->servable == own) own = NULL;
        if (own) sum += own->package->memory_bytes;
    }
    if (sum <= limit) return IG_OK;
    return ig_fail(build->err, IG_INVALID,
                   "graph.resources.memory_mb: the models take about %llu MB, more than %u",
                   (unsigned long long)((sum >> 20) + 1), routing->spec.resources.memory_mb);
}

static enum ig_code finish(struct build *build)
{
    const struct ig_routing_spec *spec = &build->counted->routing.spec;
    bool isolated = spec->resources.isolated && !build->source->open;
    if (isolated && isolate(build) != IG_OK) return build->err->code;
    if (load_answers(build) != IG_OK || check_memory(build) != IG_OK || fit_ends(build) != IG_OK ||
        copy_attributes(build) != IG_OK)
        return build->err->code;
    for (uint32_t i = 0; i < spec->nodes_count; i++) {
        if (spec->nodes[i].kind == IG_ROUTING_SEGMENT && compile_rules(build, i) != IG_OK)
            return build->err->code;
        if (is_split(spec->nodes[i].kind) && salt_node(build, i) != IG_OK) return build->err->code;
        if (spec->nodes[i].kind == IG_ROUTING_VERSIONS &&
            check_versions(build, &spec->nodes[i]) != IG_OK)
            return build->err->code;
    }
    tag_nodes(build->counted);
    if (spec->resources.cache_mb &&
        ig_responses_new(&build->counted->routing.responses, (size_t)spec->resources.cache_mb << 20,
                         build->err) != IG_OK)
        return build->err->code;
    if (!build->counted->routing.replicas)
        build->counted->cpu.thousandths = spec->resources.cpu_thousandths;
    return IG_OK;
}

enum ig_code ig_routing_new(const struct ig_routing **out, const struct ig_routing_source *source,
                            struct ig_str deployment, int64_t revision,
                            const struct ig_routing_spec *spec, struct ig_err *err)
{
    uint64_t began_ns = ig_clock_ns();
    struct counted *counted = ig_zalloc(sizeof *counted);
    if (!counted) return ig_fail(err, IG_NO_MEMORY, "deployment");
    struct build build = {.counted = counted, .source = source, .err = err};
    ig_arena_init(&counted->arena, ARENA_CHUNK, ARENA_MAX);
    atomic_init(&counted->references, 1);
    counted->routing.revision = revision;
    snprintf(counted->routing.name, sizeof counted->routing.name, "%.*s", IG_STR_ARGS(deployment));
    if (copy_spec(&build, spec) == IG_OK) finish(&build);
    for (uint32_t i = 0; i < IG_ROUTING_NODES_MAX; i++) ig_package_free(build.faces[i]);
    if (err->code != IG_OK) {
        ig_routing_unref(&counted->routing);
        return err->code;
    }
    counted->routing.load_ns = ig_clock_ns() - began_ns;
    *out = &counted->routing;
    return IG_OK;
}

const struct ig_routing *ig_routing_ref(const struct ig_routing *routing)
{
    struct counted *counted = (struct counted *)(uintptr_t)routing;
    if (counted) atomic_fetch_add_explicit(&counted->references, 1, memory_order_relaxed);
    return routing;
}

void ig_routing_unref(const struct ig_routing *routing)
{
    struct counted *counted = (struct counted *)(uintptr_t)routing;
    if (!counted) return;
    if (atomic_fetch_sub_explicit(&counted->references, 1, memory_order_acq_rel) != 1) return;
    for (uint32_t i = 0; i < IG_ROUTING_NODES_MAX; i++) {
        ig_servable_unref(counted->places[i].servable);
        ig_rules_free(counted->places[i].rules);
    }
    ig_replicas_unref(counted->routing.replicas);
    ig_responses_free(counted->routing.responses);
    ig_arena_deinit(&counted->arena);
    ig_free(counted);
}

bool ig_routing_serves(const struct ig_routing *routing, int64_t version)
{
    const struct ig_routing_spec *spec = &routing->spec;
    const struct ig_servable *face = routing->face;
    while (face->members_count) face = face->members[0].servable;
    if (face->version == version) return true;
    for (uint32_t i = 0; i < spec->nodes_count; i++) {
        const struct ig_routing_node *node = &spec->nodes[i];
        for (uint32_t e = 0; node->kind == IG_ROUTING_VERSIONS && e < node->edges_count; e++)
            if (spec->nodes[spec->edges[node->first_edge + e].to].version == version) return true;
    }
    return false;
}

uint64_t ig_routing_cpu_wait_ns(const struct ig_routing *routing)
{
    return ig_cpu_share_wait_ns(&counted_of(routing)->cpu, ig_clock_ns());
}

void ig_routing_cpu_spend(const struct ig_routing *routing, uint64_t spent_ns)
{
    struct counted *counted = (struct counted *)(uintptr_t)routing;
    ig_cpu_share_spend(&counted->cpu, spent_ns, ig_clock_ns());
}

bool ig_routing_enter(const struct ig_routing *routing)
{
    struct counted *counted = (struct counted *)(uintptr_t)routing;
    uint32_t most = routing->spec.resources.concurrency;
    unsigned before = atomic_fetch_add_explicit(&counted->entered, 1, memory_order_relaxed);
    if (!most || before < most) return true;
    atomic_fetch_sub_explicit(&counted->entered, 1, memory_order_relaxed);
    return false;
}

void ig_routing_leave(const struct ig_routing *routing)
{
    struct counted *counted = (struct counted *)(uintptr_t)routing;
    atomic_fetch_sub_explicit(&counted->entered, 1, memory_order_relaxed);
}

/* ---- routing ---- */

static uint64_t hash_unit(const struct ig_routing *routing, uint32_t node, struct ig_str unit)
{
    return ig_siphash(place_of(routing, node)->key, unit.ptr, unit.len);
}

uint32_t ig_routing_bucket(const struct ig_routing *routing, uint32_t node, struct ig_str unit)
{
    return (uint32_t)((hash_unit(routing, node, unit) >> 32) * IG_ROUTING_WHOLE >> 32);
}

/* The arm of a bucket; arms lie in order, so the border between two moves alone. */
static uint32_t pick_arm(const struct ig_routing *routing, const struct ig_routing_node *node,
                         uint32_t bucket, double *chance)
{
    const struct ig_routing_edge *edges = &routing->spec.edges[node->first_edge];
    uint32_t arm = 0, upto = edges[0].basis_points;
    while (bucket >= upto && arm + 1 < node->edges_count) upto += edges[++arm].basis_points;
    *chance = (double)edges[arm].basis_points / IG_ROUTING_WHOLE;
    return arm;
}

static const double TWO63 = 9223372036854775808.0;

static void read_upto(const struct shares *shares, uint32_t count, uint64_t *upto)
{
    unsigned before, after;
    do {
        before = atomic_load_explicit(&shares->sequence, memory_order_acquire);
        for (uint32_t i = 0; i < count; i++)
            upto[i] = atomic_load_explicit(&shares->upto[i], memory_order_relaxed);
        atomic_thread_fence(memory_order_acquire);
        after = atomic_load_explicit(&shares->sequence, memory_order_relaxed);
    } while (before != after || before & 1);
}

static uint32_t pick_bandit(const struct ig_routing *routing, uint32_t index, struct ig_str unit,
                            double *chance)
{
    uint64_t upto[IG_ROUTING_ARMS_MAX] = {0}, point = hash_unit(routing, index, unit) >> 1;
    uint32_t count = routing->spec.nodes[index].edges_count, arm = 0;
    read_upto(place_of(routing, index)->shares, count, upto);
    while (arm + 1 < count && point >= upto[arm]) arm++;
    *chance = (double)(upto[arm] - (arm ? upto[arm - 1] : 0)) / TWO63;
    return arm;
}

static uint32_t pick_version(const struct ig_routing *routing, const struct ig_routing_node *node,
                             int64_t version)
{
    const struct ig_routing_edge *edges = &routing->spec.edges[node->first_edge];
    for (uint32_t i = 0; version && i < node->edges_count; i++)
        if (routing->spec.nodes[edges[i].to].version == version) return i;
    return 0;
}

static uint32_t pick(struct ig_routing_path *path, const struct ig_routing *routing, uint32_t index,
                     const struct ig_routing_input *input)
{
    const struct ig_routing_node *node = &routing->spec.nodes[index];
    double *chance = &path->chances[path->steps_count];
    *chance = 1;
    if (node->kind == IG_ROUTING_SHADOW) {
        path->mirror_node = (int16_t)index;
        return 0;
    }
    if (node->kind == IG_ROUTING_VERSIONS) return pick_version(routing, node, input->version);
    if (node->kind == IG_ROUTING_SEGMENT) {
        const struct ig_rules_input own = {input->row, input->attributes, input->tenant,
                                           input->header, input->context};
        return ig_rules_first(place_of(routing, index)->rules, &own);
    }
    path->arm_step = (int16_t)path->steps_count;
    uint32_t arm =
        node->kind == IG_ROUTING_BANDIT
            ? pick_bandit(routing, index, input->unit, chance)
            : pick_arm(routing, node, ig_routing_bucket(routing, index, input->unit), chance);
    path->propensity *= *chance;
    return arm;
}

void ig_routing_route(struct ig_routing_path *out, const struct ig_routing *routing,
                      const struct ig_routing_input *input)
{
    const struct ig_routing_spec *spec = &routing->spec;
    uint32_t node = 0;
    out->steps_count = 0;
    out->propensity = 1;
    out->arm_step = -1;
    out->mirror_node = -1;
    while (!ig_routing_kind_answers(spec->nodes[node].kind)) {
        uint32_t edge = pick(out, routing, node, input);
        out->steps[out->steps_count++] = (struct ig_routing_step){(uint16_t)node, (uint16_t)edge};
        node = spec->edges[spec->nodes[node].first_edge + edge].to;
    }
    out->node = (uint16_t)node;
}

size_t ig_routing_arm_text(char *out, size_t size, const struct ig_routing *routing, uint32_t node,
                           uint32_t edge)
{
    const struct ig_routing_node *own = &routing->spec.nodes[node];
    const struct ig_routing_edge *taken = &routing->spec.edges[own->first_edge + edge];
    int length = snprintf(out, size, "%.*s=%.*s@%08x", IG_STR_ARGS(own->name),
                          IG_STR_ARGS(taken->name), (unsigned)counted_of(routing)->tags[taken->to]);
    return length > 0 && (size_t)length < size ? (size_t)length : 0;
}

size_t ig_routing_path_arms(char *out, size_t size, const struct ig_routing *routing,
                            const struct ig_routing_path *path)
{
    char arm[2 * IG_NAME_SIZE + 16];
    size_t used = 0;
    for (uint32_t i = 0; i < path->steps_count; i++) {
        const struct ig_routing_step step = path->steps[i];
        if (!is_split(routing->spec.nodes[step.node].kind)) continue;
        if (!ig_routing_arm_text(arm, sizeof arm, routing, step.node, step.edge)) break;
        int length =
            snprintf(out + used, size - used, "%s%s:%.9g", used ? ";" : "", arm, path->chances[i]);
        if (length < 0 || (size_t)length >= size - used) break;
        used += (size_t)length;
    }
    return used;
}

bool ig_routing_path_same(const struct ig_routing_path *a, const struct ig_routing_path *b)
{
    return a->node == b->node && a->steps_count == b->steps_count &&
           memcmp(a->steps, b->steps, a->steps_count * sizeof *a->steps) == 0;
}

const struct ig_servable *ig_routing_servable(const struct ig_routing *routing, uint32_t node)
{
    return place_of(routing, node)->servable;
}

const struct ig_feature_map *ig_routing_map(const struct ig_routing *routing, uint32_t node)
{
    return &place_of(routing, node)->map;
}

const struct ig_routing_edge *ig_routing_edge(const struct ig_routing *routing,
                                              struct ig_routing_step step)
{
    return &routing->spec.edges[routing->spec.nodes[step.node].first_edge + step.edge];
}

struct ig_str ig_routing_path_text(const struct ig_routing *routing,
                                   const struct ig_routing_path *route, struct ig_arena *arena)
{
    struct ig_str names[IG_ROUTING_DEPTH_MAX];
    size_t length = 0;
    for (uint32_t i = 0; i < route->steps_count; i++) {
        names[i] = ig_routing_edge(routing, route->steps[i])->name;
        if (!names[i].len) names[i] = IG_STR("rule");
        length += names[i].len + 1;
    }
    char *text = ig_arena_alloc(arena, length + 1), *at = text;
    if (!text) return IG_STR("");
    for (uint32_t i = 0; i < route->steps_count; i++) {
        if (i) *at++ = '/';
        memcpy(at, names[i].ptr, names[i].len);
        at += names[i].len;
    }
    return (struct ig_str){text, (size_t)(at - text)};
}

/* ---- bandits ---- */

void ig_routing_set_shares(const struct ig_routing *routing, uint32_t node, const double *shares)
{
    struct shares *own = place_of(routing, node)->shares;
    uint32_t count = routing->spec.nodes[node].edges_count;
    double sum = 0;
    unsigned sequence = atomic_load_explicit(&own->sequence, memory_order_relaxed);
    atomic_store_explicit(&own->sequence, sequence + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    for (uint32_t i = 0; i < count; i++) {
        sum += shares[i];
        uint64_t upto = i + 1 == count || sum >= 1 ? (uint64_t)1 << 63 : (uint64_t)(sum * TWO63);
        atomic_store_explicit(&own->upto[i], upto, memory_order_relaxed);
    }
    atomic_store_explicit(&own->sequence, sequence + 2, memory_order_release);
}

void ig_routing_get_shares(const struct ig_routing *routing, uint32_t node, double *shares)
{
    uint64_t upto[IG_ROUTING_ARMS_MAX] = {0};
    uint32_t count = routing->spec.nodes[node].edges_count;
    read_upto(place_of(routing, node)->shares, count, upto);
    for (uint32_t i = 0; i < count; i++)
        shares[i] = (double)(upto[i] - (i ? upto[i - 1] : 0)) / TWO63;
}
