/* SPDX-License-Identifier: Apache-2.0 */
/* Reads deployment graphs. Nodes may nest in the text, so each is read from its own slice of it
 * when its turn comes in a list: no recursion, and the edges of a node lie together. Owns nothing;
 * everything is in the caller's arena. Thread rule: pure. */
#include "services/deploy/routing_spec.h"

#include "services/deploy/routing_spec_priv.h"
#include "services/registry/registry.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN_MAX = 64, PARTS = 4 };

static const char *const KINDS[IG_ROUTING_KINDS_COUNT] = {
#define IG_ROUTING_KIND(id, name, doc) [IG_ROUTING_##id] = name,
#include "services/deploy/routing_kinds.def"
#undef IG_ROUTING_KIND
};

/* The way to a value in the text, and where its node's text lies. */
struct waiting {
    struct ig_str json;
    const char *path;
};

struct reader {
    struct ig_routing_spec spec;
    struct waiting waiting[IG_ROUTING_NODES_MAX]; /* by node */
    uint32_t named_count;                         /* nodes of "nodes" come first */
    struct ig_arena *arena;
    struct ig_err *err;
};

const char *ig_routing_kind_name(enum ig_routing_kind kind)
{
    return KINDS[kind];
}

bool ig_routing_kind_answers(enum ig_routing_kind kind)
{
    return kind == IG_ROUTING_MODEL || kind == IG_ROUTING_ENSEMBLE;
}

static int shown(struct ig_str text)
{
    return (int)(text.len > SHOWN_MAX ? SHOWN_MAX : text.len);
}

int32_t ig_routing_spec_find(const struct ig_routing_spec *spec, struct ig_str name)
{
    for (uint32_t i = 0; i < spec->nodes_count; i++)
        if (ig_str_eq(spec->nodes[i].name, name)) return (int32_t)i;
    return -1;
}

static const char *join(struct reader *reader, const char *path, const char *more)
{
    char *text = ig_arena_printf(reader->arena, "%s%s", path, more);
    return text ? text : path;
}

static const char *at_index(struct reader *reader, const char *path, size_t index)
{
    char *text = ig_arena_printf(reader->arena, "%s[%zu]", path, index);
    return text ? text : path;
}

/* ---- nodes and edges as they come ---- */

static enum ig_code add_node(struct reader *reader, struct ig_str name, struct ig_str json,
                             const char *path)
{
    struct ig_routing_spec *spec = &reader->spec;
    if (spec->nodes_count == IG_ROUTING_NODES_MAX)
        return ig_fail(reader->err, IG_INVALID, "%s: more than %d nodes", path,
                       IG_ROUTING_NODES_MAX);
    spec->nodes[spec->nodes_count].name = ig_arena_dup(reader->arena, name);
    reader->waiting[spec->nodes_count++] = (struct waiting){json, path};
    return IG_OK;
}

/* A name for a node that has none: where it stands, else a number. */
static struct ig_str name_inline(struct reader *reader, uint32_t parent, struct ig_str edge)
{
    struct ig_str above = parent == IG_MODEL_NONE ? IG_STR("") : reader->spec.nodes[parent].name;
    char *text = above.len ? ig_arena_printf(reader->arena, "%.*s.%.*s", IG_STR_ARGS(above),
                                             shown(edge), edge.ptr)
                           : ig_arena_printf(reader->arena, "%.*s", shown(edge), edge.ptr);
    struct ig_err unused = IG_ERR_INIT;
    struct ig_str name = ig_str_view(text);
    for (uint32_t i = 2; ig_name_check(name, "node", &unused) != IG_OK ||
                         ig_routing_spec_find(&reader->spec, name) >= 0;
         i++) {
        ig_err_clear(&unused);
        name = ig_str_view(ig_arena_printf(reader->arena, "node-%u", i));
        if (!name.len) break; /* out of memory shows in the arena */
    }
    return name;
}

/* The text of the object that was just opened; the reader goes behind it. */
static bool take_object(struct ig_str *out, struct ig_json *json)
{
    const char *start = json->at - 1;
    if (!ig_json_skip_open(json)) return false;
    *out = (struct ig_str){start, (size_t)(json->at - start)};
    return true;
}

/* A value's text, of what was read between a member's name and the value's end. */
static struct ig_str value_between(const char *start, const char *end)
{
    while (start < end && strchr(" \t\r\n:", *start)) start++;
    return (struct ig_str){start, (size_t)(end - start)};
}

/* The node that an edge leads to: a name, or a node in place. */
static enum ig_code read_target(struct reader *reader, struct ig_json *json, uint32_t parent,
                                struct ig_str edge, const char *path, uint32_t *to)
{
    struct ig_str text;
    switch (ig_json_next(json)) {
    case IG_JSON_STRING: {
        int32_t found = ig_routing_spec_find(&reader->spec, json->text);
        if (found < 0 || (uint32_t)found >= reader->named_count)
            return ig_fail(reader->err, IG_INVALID, "%s: there is no node '%.*s' in graph.nodes",
                           path, shown(json->text), json->text.ptr);
        *to = (uint32_t)found;
        return IG_OK;
    }
    case IG_JSON_OBJECT:
        *to = reader->spec.nodes_count;
        if (!take_object(&text, json)) return reader->err->code;
        return add_node(reader, name_inline(reader, parent, edge), text, path);
    case IG_JSON_ERROR:
        return reader->err->code;
    default:
        return ig_fail(reader->err, IG_INVALID,
                       "%s: a node is expected: the name of one, or an object", path);
    }
}

static enum ig_code add_edge(struct reader *reader, uint32_t node,
                             const struct ig_routing_edge *edge, const char *path)
{
    struct ig_routing_spec *spec = &reader->spec;
    struct ig_routing_node *own = &spec->nodes[node];
    if (spec->edges_count == IG_ROUTING_EDGES_MAX)
        return ig_fail(reader->err, IG_INVALID, "%s: more than %d branches in all", path,
                       IG_ROUTING_EDGES_MAX);
    for (uint32_t i = own->first_edge; i < spec->edges_count; i++)
        if (edge->name.len && ig_str_eq(spec->edges[i].name, edge->name))
            return ig_fail(reader->err, IG_INVALID, "%s: the name '%.*s' is there already", path,
                           shown(edge->name), edge->name.ptr);
    spec->edges[spec->edges_count] = *edge;
    spec->edges[spec->edges_count].name = ig_arena_dup(reader->arena, edge->name);
    spec->edges[spec->edges_count++].when = ig_arena_dup(reader->arena, edge->when);
    own->edges_count++;
    return IG_OK;
}

/* ---- the members of a branch: arms, rules, members, mirrors ---- */

/* A percentage in steps of 0.01. */
static enum ig_code read_percent(struct reader *reader, struct ig_json *json, const char *path,
                                 uint32_t *basis_points)
{
    double percent;
    if (!ig_json_f64(json, &percent, path)) return reader->err->code;
    double steps = percent * 100;
    if (!(steps >= 0 && steps <= IG_ROUTING_WHOLE) || fabs(steps - round(steps)) > 1e-6)
        return ig_fail(reader->err, IG_INVALID,
                       "%s: %g, expected a percentage from 0 to 100 in steps of 0.01", path,
                       percent);
    *basis_points = (uint32_t)lround(steps);
    return IG_OK;
}

/* Which members an object of a branch may and must have. */
struct branch {
    const char *list;   /* "arms" */
    const char *target; /* "node" */
    const char *amount; /* "weight", "percent"; NULL: none */
    bool named, ruled, percent, timed;
};

static enum ig_code read_timeout(struct reader *reader, struct ig_json *json, const char *path,
                                 uint32_t *timeout_ms)
{
    int64_t given;
    if (!ig_json_i64(json, &given, path)) return reader->err->code;
    if (given < 1 || given > IG_ROUTING_TIMEOUT_MAX_MS)
        return ig_fail(reader->err, IG_INVALID, "%s: %lld, expected a number from 1 to %d", path,
                       (long long)given, IG_ROUTING_TIMEOUT_MAX_MS);
    *timeout_ms = (uint32_t)given;
    return IG_OK;
}

static enum ig_code read_branch_member(struct reader *reader, struct ig_json *json,
                                       const struct branch *branch, struct ig_routing_edge *edge,
                                       const char *path)
{
    struct ig_str key = json->text, text;
    if (branch->named && ig_str_is(key, "name")) {
        if (!ig_json_string(json, &text, join(reader, path, ".name"))) return reader->err->code;
        edge->name = ig_arena_dup(reader->arena, text);
        if (ig_name_check(text, "branch", reader->err) != IG_OK)
            ig_err_prefix(reader->err, "%s", path);
        return reader->err->code;
    }
    if (branch->ruled && ig_str_is(key, "when")) {
        if (!ig_json_string(json, &text, join(reader, path, ".when"))) return reader->err->code;
        edge->when = ig_arena_dup(reader->arena, text);
        return IG_OK;
    }
    if (branch->timed && ig_str_is(key, "timeout_ms"))
        return read_timeout(reader, json, join(reader, path, ".timeout_ms"), &edge->timeout_ms);
    if (branch->amount && ig_str_is(key, branch->amount)) {
        const char *amount = join(reader, join(reader, path, "."), branch->amount);
        if (branch->percent) return read_percent(reader, json, amount, &edge->basis_points);
        ig_json_f64(json, &edge->weight, amount);
        return reader->err->code;
    }
    return ig_fail(reader->err, IG_INVALID, "%s: unknown member '%.*s'", path, shown(key), key.ptr);
}

/* The target is read last, as its name comes from the branch's. */
static enum ig_code read_branch(struct reader *reader, struct ig_str text, uint32_t node,
                                const struct branch *branch, const char *path)
{
    struct ig_routing_edge edge = {.weight = 1,
                                   .basis_points = branch->percent ? IG_MODEL_NONE : 0};
    struct ig_json json;
    struct ig_str target = {0};
    const char *at_target = join(reader, join(reader, path, "."), branch->target);
    ig_json_init(&json, text, reader->arena, reader->err);
    ig_json_next(&json);
    while (ig_json_member(&json)) {
        if (!ig_str_is(json.text, branch->target)) {
            if (read_branch_member(reader, &json, branch, &edge, path) != IG_OK)
                return reader->err->code;
            continue;
        }
        const char *start = json.at;
        if (!ig_json_skip(&json)) return reader->err->code;
        target = value_between(start, json.at);
    }
    if (reader->err->code != IG_OK) return reader->err->code;
    if (!target.ptr) return ig_fail(reader->err, IG_INVALID, "%s: missing", at_target);
    if (branch->named && !edge.name.len && !branch->ruled)
        return ig_fail(reader->err, IG_INVALID, "%s.name: missing", path);
    if (branch->ruled && !edge.when.len)
        return ig_fail(reader->err, IG_INVALID, "%s.when: missing", path);
    if (edge.basis_points == IG_MODEL_NONE) {
        if (branch->amount && strcmp(branch->amount, "percent") != 0)
            return ig_fail(reader->err, IG_INVALID, "%s.%s: missing", path, branch->amount);
        edge.basis_points = IG_ROUTING_WHOLE;
    }
    struct ig_json own;
    struct ig_str name = edge.name;
    if (!name.len)
        name = ig_str_view(ig_arena_printf(reader->arena, "%.*s%u", branch->ruled ? 4 : 6,
                                           branch->ruled ? "rule" : "member",
                                           reader->spec.nodes[node].edges_count + 1));
    ig_json_init(&own, target, reader->arena, reader->err);
    if (read_target(reader, &own, node, name, at_target, &edge.to) != IG_OK)
        return reader->err->code;
    return add_edge(reader, node, &edge, path);
}

/* True when an object has a member of that name. */
static bool has_member(struct reader *reader, struct ig_str text, const char *name)
{
    struct ig_json json;
    struct ig_err unused = IG_ERR_INIT;
    ig_json_init(&json, text, reader->arena, &unused);
    ig_json_next(&json);
    while (ig_json_member(&json)) {
        if (ig_str_is(json.text, name)) return true;
        if (!ig_json_skip(&json)) return false;
    }
    return false;
}

/* An element that is a node itself: only members of ensembles, which need nothing else. */
static enum ig_code read_bare(struct reader *reader, struct ig_json *json, uint32_t node,
                              const char *path)
{
    struct ig_routing_edge edge = {.weight = 1};
    char name[24];
    snprintf(name, sizeof name, "member%u", reader->spec.nodes[node].edges_count + 1);
    if (read_target(reader, json, node, ig_str_view(name), path, &edge.to) != IG_OK)
        return reader->err->code;
    return add_edge(reader, node, &edge, path);
}

static enum ig_code read_branches(struct reader *reader, struct ig_json *json, uint32_t node,
                                  const struct branch *branch, const char *path)
{
    const char *list = join(reader, join(reader, path, "."), branch->list);
    bool bare = !branch->named;
    if (!ig_json_expect(json, IG_JSON_ARRAY, list)) return reader->err->code;
    for (size_t i = 0; ig_json_element(json); i++) {
        const char *own = at_index(reader, list, i);
        struct ig_json before = *json;
        struct ig_str text;
        if (ig_json_next(json) == IG_JSON_OBJECT) {
            if (!take_object(&text, json)) return reader->err->code;
            if (!bare || has_member(reader, text, branch->target)) {
                if (read_branch(reader, text, node, branch, own) != IG_OK) return reader->err->code;
                continue;
            }
        } else if (!bare) {
            return reader->err->code != IG_OK
                       ? reader->err->code
                       : ig_fail(reader->err, IG_INVALID, "%s: an object is expected", own);
        }
        *json = before;
        if (read_bare(reader, json, node, own) != IG_OK) return reader->err->code;
    }
    return reader->err->code;
}

/* ---- each kind's members ---- */

static const struct branch MEMBERS = {"members", "node", "weight", false, false, false, true};
static const struct branch RULES = {"rules", "then", NULL, true, true, false, false};
static const struct branch ARMS = {"arms", "node", "weight", true, false, true, false};
static const struct branch EQUAL_ARMS = {"arms", "node", NULL, true, false, false, false};
static const struct branch OTHERS = {"others", "node", NULL, false, false, false, false};
static const struct branch MIRRORS = {"mirrors", "node", "percent", true, false, true, false};

static enum ig_code read_text(struct reader *reader, struct ig_json *json, struct ig_str *out,
                              const char *path)
{
    struct ig_str text;
    if (!ig_json_string(json, &text, path)) return reader->err->code;
    if (text.len > IG_NAME_MAX)
        return ig_fail(reader->err, IG_INVALID, "%s: longer than %d bytes", path, IG_NAME_MAX);
    *out = ig_arena_dup(reader->arena, text);
    return IG_OK;
}

/* One edge of a fixed name: a segment's default, a shadow's primary, an ensemble's meta. */
static enum ig_code read_fixed(struct reader *reader, struct ig_json *json, uint32_t node,
                               struct ig_routing_edge *edge, const char *path)
{
    edge->weight = 1;
    edge->to = IG_MODEL_NONE;
    return read_target(reader, json, node, edge->name, path, &edge->to);
}

static enum ig_code read_on_failure(struct reader *reader, struct ig_json *json,
                                    struct ig_routing_node *own, const char *path)
{
    struct ig_str text;
    if (!ig_json_string(json, &text, join(reader, path, ".on_failure"))) return reader->err->code;
    own->skips = ig_str_is(text, "skip");
    if (own->skips || ig_str_is(text, "fail")) return IG_OK;
    return ig_fail(reader->err, IG_INVALID, "%s.on_failure: '%.*s', expected fail or skip", path,
                   shown(text), text.ptr);
}

static enum ig_code read_ensemble_member(struct reader *reader, struct ig_json *json, uint32_t node,
                                         struct ig_routing_edge *last, const char *path)
{
    struct ig_routing_node *own = &reader->spec.nodes[node];
    struct ig_str text;
    if (ig_str_is(json->text, "members")) return read_branches(reader, json, node, &MEMBERS, path);
    if (ig_str_is(json->text, "meta")) {
        last->name = IG_STR("meta");
        return read_fixed(reader, json, node, last, join(reader, path, ".meta"));
    }
    if (ig_str_is(json->text, "on_failure")) return read_on_failure(reader, json, own, path);
    if (!ig_str_is(json->text, "combine")) return IG_NOT_FOUND;
    if (!ig_json_string(json, &text, join(reader, path, ".combine"))) return reader->err->code;
    if (ig_combine_parse(text, &own->combine)) return IG_OK;
    return ig_fail(reader->err, IG_INVALID,
                   "%s.combine: '%.*s', expected one of mean, soft_vote, mean_margin, median, "
                   "vote, stack",
                   path, shown(text), text.ptr);
}

static enum ig_code read_policy(struct reader *reader, struct ig_json *json, uint32_t node,
                                const char *path)
{
    struct ig_routing_node *own = &reader->spec.nodes[node];
    struct ig_str text;
    bool is_reward = ig_str_is(json->text, "reward");
    const char *words = is_reward ? "conversion, value" : "thompson, epsilon_greedy";
    path = join(reader, path, is_reward ? ".reward" : ".policy");
    if (!ig_json_string(json, &text, path)) return reader->err->code;
    if (is_reward)
        own->rewards_are_values = ig_str_is(text, "value");
    else
        own->policy = ig_str_is(text, "thompson") ? IG_BANDIT_THOMPSON : IG_BANDIT_EPSILON_GREEDY;
    if (ig_str_is(text, is_reward ? "conversion" : "thompson") ||
        ig_str_is(text, is_reward ? "value" : "epsilon_greedy"))
        return IG_OK;
    return ig_fail(reader->err, IG_INVALID, "%s: '%.*s', expected one of %s", path, shown(text),
                   text.ptr, words);
}

static enum ig_code read_bandit_member(struct reader *reader, struct ig_json *json, uint32_t node,
                                       const char *path)
{
    struct ig_routing_node *own = &reader->spec.nodes[node];
    if (ig_str_is(json->text, "arms")) return read_branches(reader, json, node, &EQUAL_ARMS, path);
    if (ig_str_is(json->text, "policy") || ig_str_is(json->text, "reward"))
        return read_policy(reader, json, node, path);
    if (ig_str_is(json->text, "metric"))
        return read_text(reader, json, &own->metric, join(reader, path, ".metric"));
    bool is_floor = ig_str_is(json->text, "floor");
    if (!is_floor && !ig_str_is(json->text, "epsilon")) return IG_NOT_FOUND;
    double *out = is_floor ? &own->floor : &own->epsilon;
    path = join(reader, path, is_floor ? ".floor" : ".epsilon");
    if (!ig_json_f64(json, out, path)) return reader->err->code;
    if (*out >= 0 && *out <= 1) return IG_OK;
    return ig_fail(reader->err, IG_INVALID, "%s: %g, expected 0 to 1", path, *out);
}

static enum ig_code read_canary_member(struct reader *reader, struct ig_json *json, uint32_t node,
                                       struct ig_routing_edge edges[2], const char *path)
{
    bool is_candidate = ig_str_is(json->text, "candidate");
    if (ig_str_is(json->text, "canary_percent"))
        return read_percent(reader, json, join(reader, path, ".canary_percent"),
                            &edges[1].basis_points);
    if (!is_candidate && !ig_str_is(json->text, "stable")) return IG_NOT_FOUND;
    struct ig_routing_edge *edge = &edges[is_candidate];
    edge->name = is_candidate ? IG_STR("candidate") : IG_STR("stable");
    return read_fixed(reader, json, node, edge,
                      join(reader, path, is_candidate ? ".candidate" : ".stable"));
}

/* What a node's object said outside of its list. */
struct fixed {
    struct ig_routing_edge edges[2]; /* default, primary, meta; or stable and candidate */
};

static enum ig_code read_kind_member(struct reader *reader, struct ig_json *json, uint32_t node,
                                     struct fixed *fixed, const char *path)
{
    struct ig_routing_node *own = &reader->spec.nodes[node];
    bool salted = own->kind == IG_ROUTING_SPLIT || own->kind == IG_ROUTING_CANARY ||
                  own->kind == IG_ROUTING_BANDIT;
    if (salted && ig_str_is(json->text, "salt"))
        return read_text(reader, json, &own->salt, join(reader, path, ".salt"));
    switch (own->kind) {
    case IG_ROUTING_ENSEMBLE:
        return read_ensemble_member(reader, json, node, &fixed->edges[0], path);
    case IG_ROUTING_BANDIT:
        return read_bandit_member(reader, json, node, path);
    case IG_ROUTING_CANARY:
        return read_canary_member(reader, json, node, fixed->edges, path);
    case IG_ROUTING_SPLIT:
        if (!ig_str_is(json->text, "arms")) return IG_NOT_FOUND;
        return read_branches(reader, json, node, &ARMS, path);
    default:
        break;
    }
    bool shadow = own->kind == IG_ROUTING_SHADOW;
    const struct branch *branch = shadow                             ? &MIRRORS
                                  : own->kind == IG_ROUTING_VERSIONS ? &OTHERS
                                                                     : &RULES;
    if (ig_str_is(json->text, branch->list)) return read_branches(reader, json, node, branch, path);
    if (!ig_str_is(json->text, shadow ? "primary" : "default")) return IG_NOT_FOUND;
    fixed->edges[0].name = shadow ? IG_STR("primary") : IG_STR("default");
    return read_fixed(reader, json, node, &fixed->edges[0],
                      join(reader, path, shadow ? ".primary" : ".default"));
}

/* The edges with fixed places around those of the list. */
static enum ig_code place_fixed(struct reader *reader, uint32_t node, struct fixed *fixed,
                                const char *path)
{
    struct ig_routing_spec *spec = &reader->spec;
    struct ig_routing_node *own = &spec->nodes[node];
    struct ig_routing_edge *edges = fixed->edges;
    if (own->kind == IG_ROUTING_CANARY) {
        if (!edges[0].name.len || !edges[1].name.len)
            return ig_fail(reader->err, IG_INVALID, "%s.%s: missing", path,
                           edges[0].name.len ? "candidate" : "stable");
        edges[0].basis_points = IG_ROUTING_WHOLE - edges[1].basis_points;
        if (add_edge(reader, node, &edges[0], path) != IG_OK) return reader->err->code;
        return add_edge(reader, node, &edges[1], path);
    }
    if (!edges[0].name.len) return IG_OK;
    if (add_edge(reader, node, &edges[0], path) != IG_OK) return reader->err->code;
    if (own->kind == IG_ROUTING_SHADOW || own->kind == IG_ROUTING_VERSIONS) { /* it comes first */
        struct ig_routing_edge *first = &spec->edges[own->first_edge];
        struct ig_routing_edge primary = first[own->edges_count - 1];
        memmove(first + 1, first, (own->edges_count - 1) * sizeof *first);
        *first = primary;
    }
    return IG_OK;
}

static enum ig_code read_model(struct reader *reader, struct ig_json *json, uint32_t node,
                               const char *path)
{
    struct ig_routing_node *own = &reader->spec.nodes[node];
    struct ig_str text;
    do {
        struct ig_str key = json->text;
        if (ig_str_is(key, "model")) {
            if (read_text(reader, json, &own->model, join(reader, path, ".model")) != IG_OK)
                return reader->err->code;
        } else if (ig_str_is(key, "version")) {
            enum ig_json_event event = ig_json_next(json);
            if (event == IG_JSON_ERROR) return reader->err->code;
            text = json->text;
            if ((event != IG_JSON_NUMBER && event != IG_JSON_STRING) || text.len > IG_NAME_MAX)
                return ig_fail(reader->err, IG_INVALID,
                               "%s.version: a number or an alias is expected", path);
            if (!own->ref.len || event == IG_JSON_STRING)
                own->ref = ig_arena_dup(reader->arena, text);
            if (event == IG_JSON_NUMBER &&
                (!ig_str_to_i64(text, &own->version) || own->version < 1))
                return ig_fail(reader->err, IG_INVALID, "%s.version: %.*s, expected 1 or more",
                               path, shown(text), text.ptr);
        } else if (ig_str_is(key, "ref")) {
            if (read_text(reader, json, &own->ref, join(reader, path, ".ref")) != IG_OK)
                return reader->err->code;
        } else {
            return ig_fail(reader->err, IG_INVALID, "%s: unknown member '%.*s'", path, shown(key),
                           key.ptr);
        }
    } while (ig_json_member(json));
    if (reader->err->code == IG_OK && !own->model.len)
        ig_fail(reader->err, IG_INVALID, "%s.model: missing", path);
    return reader->err->code;
}

static bool find_kind(struct ig_str key, enum ig_routing_kind *out)
{
    for (int i = 0; i < IG_ROUTING_KINDS_COUNT; i++) {
        if (!ig_str_is(key, KINDS[i])) continue;
        *out = (enum ig_routing_kind)i;
        return true;
    }
    return ig_str_is(key, "version") || ig_str_is(key, "ref"); /* of a model */
}

static enum ig_code read_kind(struct reader *reader, struct ig_json *json, uint32_t node,
                              const char *path)
{
    struct fixed fixed = {0};
    if (!ig_json_expect(json, IG_JSON_OBJECT, path)) return reader->err->code;
    while (ig_json_member(json)) {
        struct ig_str key = json->text;
        enum ig_code code = read_kind_member(reader, json, node, &fixed, path);
        if (code == IG_NOT_FOUND && reader->err->code == IG_OK)
            ig_fail(reader->err, IG_INVALID, "%s: unknown member '%.*s'", path, shown(key),
                    key.ptr);
        if (reader->err->code != IG_OK) return reader->err->code;
    }
    if (reader->err->code != IG_OK) return reader->err->code;
    return place_fixed(reader, node, &fixed, path);
}

static enum ig_code read_node(struct reader *reader, uint32_t node)
{
    const struct waiting *waiting = &reader->waiting[node];
    struct ig_routing_node *own = &reader->spec.nodes[node];
    enum ig_routing_kind kind = IG_ROUTING_MODEL;
    struct ig_json json;
    ig_json_init(&json, waiting->json, reader->arena, reader->err);
    ig_json_next(&json);
    own->first_edge = reader->spec.edges_count;
    if (!ig_json_member(&json) && reader->err->code == IG_OK)
        ig_fail(reader->err, IG_INVALID, "%s: an empty node", waiting->path);
    if (reader->err->code != IG_OK) return reader->err->code;
    if (!find_kind(json.text, &kind))
        return ig_fail(reader->err, IG_INVALID,
                       "%s: unknown kind of node '%.*s'; known are model, ensemble, segment, "
                       "split, canary, bandit, shadow, versions",
                       waiting->path, shown(json.text), json.text.ptr);
    own->kind = kind;
    if (kind == IG_ROUTING_MODEL) return read_model(reader, &json, node, waiting->path);
    own->floor = kind == IG_ROUTING_BANDIT ? 0.01 : 0;
    own->epsilon = kind == IG_ROUTING_BANDIT ? 0.1 : 0;
    own->metric = kind == IG_ROUTING_BANDIT ? IG_STR("reward") : IG_STR("");
    const char *path = join(reader, join(reader, waiting->path, "."), KINDS[kind]);
    if (read_kind(reader, &json, node, path) != IG_OK) return reader->err->code;
    if (ig_json_member(&json))
        ig_fail(reader->err, IG_INVALID, "%s: unknown member '%.*s' beside %s", waiting->path,
                shown(json.text), json.text.ptr, KINDS[kind]);
    return reader->err->code;
}

/* ---- the whole ---- */

static enum ig_code read_named(struct reader *reader, struct ig_json *json)
{
    if (!ig_json_expect(json, IG_JSON_OBJECT, "graph.nodes")) return reader->err->code;
    while (ig_json_member(json)) {
        struct ig_str name = ig_arena_dup(reader->arena, json->text), text;
        const char *path =
            ig_arena_printf(reader->arena, "graph.nodes.%.*s", shown(name), name.ptr);
        if (!path) return ig_fail(reader->err, IG_NO_MEMORY, "graph");
        if (ig_name_check(name, "node", reader->err) != IG_OK) {
            ig_err_prefix(reader->err, "graph.nodes");
            return reader->err->code;
        }
        if (ig_routing_spec_find(&reader->spec, name) >= 0)
            return ig_fail(reader->err, IG_INVALID, "%s: the name is there already", path);
        if (!ig_json_expect(json, IG_JSON_OBJECT, path) || !take_object(&text, json) ||
            add_node(reader, name, text, path) != IG_OK)
            return reader->err->code;
    }
    reader->named_count = reader->spec.nodes_count;
    return reader->err->code;
}

static enum ig_code read_context(struct reader *reader, struct ig_json *json)
{
    struct ig_routing_spec *spec = &reader->spec;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "graph.context")) return reader->err->code;
    while (ig_json_member(json)) {
        struct ig_str name = ig_arena_dup(reader->arena, json->text), text;
        if (spec->attributes_count == IG_ROUTING_ATTRIBUTES_MAX)
            return ig_fail(reader->err, IG_INVALID, "graph.context: more than %d attributes",
                           IG_ROUTING_ATTRIBUTES_MAX);
        if (!ig_json_string(json, &text, "graph.context")) return reader->err->code;
        if (!ig_str_is(text, "text") && !ig_str_is(text, "number"))
            return ig_fail(reader->err, IG_INVALID,
                           "graph.context.%.*s: '%.*s', expected text or number", shown(name),
                           name.ptr, shown(text), text.ptr);
        for (uint32_t i = 0; i < spec->attributes_count; i++)
            if (ig_str_eq(spec->attributes[i].name, name))
                return ig_fail(reader->err, IG_INVALID, "graph.context.%.*s: given twice",
                               shown(name), name.ptr);
        spec->attributes[spec->attributes_count++] =
            (struct ig_routing_attribute){name, ig_str_is(text, "text")};
    }
    return reader->err->code;
}

/* Finds the texts of the parts; a part's text begins with its value. */
static enum ig_code find_parts(struct reader *reader, struct ig_str text,
                               struct ig_str parts[PARTS])
{
    static const char *const NAMES[PARTS] = {"root", "nodes", "context", "resources"};
    struct ig_json json;
    ig_json_init(&json, text, reader->arena, reader->err);
    if (!ig_json_expect(&json, IG_JSON_OBJECT, "graph")) return reader->err->code;
    while (ig_json_member(&json)) {
        size_t i = 0;
        while (i < PARTS && !ig_str_is(json.text, NAMES[i])) i++;
        if (i == PARTS)
            return ig_fail(reader->err, IG_INVALID,
                           "graph: unknown member '%.*s'; known are root, nodes, context, "
                           "resources",
                           shown(json.text), json.text.ptr);
        if (parts[i].ptr)
            return ig_fail(reader->err, IG_INVALID, "graph.%s: given twice", NAMES[i]);
        const char *start = json.at;
        if (!ig_json_skip(&json)) return reader->err->code;
        parts[i] = value_between(start, json.at);
    }
    if (reader->err->code == IG_OK) ig_json_next(&json); /* END, or an error */
    if (reader->err->code == IG_OK && !parts[0].ptr)
        ig_fail(reader->err, IG_INVALID, "graph.root: missing");
    return reader->err->code;
}

static enum ig_code read_all(struct reader *reader, struct ig_str text)
{
    struct ig_str parts[PARTS] = {{0}};
    struct ig_json json;
    uint32_t root = 0;
    if (find_parts(reader, text, parts) != IG_OK) return reader->err->code;
    ig_json_init(&json, parts[1], reader->arena, reader->err);
    if (parts[1].ptr && read_named(reader, &json) != IG_OK) return reader->err->code;
    ig_json_init(&json, parts[2], reader->arena, reader->err);
    if (parts[2].ptr && read_context(reader, &json) != IG_OK) return reader->err->code;
    ig_json_init(&json, parts[3], reader->arena, reader->err);
    if (parts[3].ptr && ig_resources_read(&reader->spec.resources, &json) != IG_OK)
        return reader->err->code;
    ig_json_init(&json, parts[0], reader->arena, reader->err);
    if (read_target(reader, &json, IG_MODEL_NONE, IG_STR("root"), "graph.root", &root) != IG_OK)
        return reader->err->code;
    for (uint32_t i = 0; i < reader->spec.nodes_count; i++)
        if (read_node(reader, i) != IG_OK) return reader->err->code;
    if (reader->arena->overflowed) return ig_fail(reader->err, IG_NO_MEMORY, "graph");
    return ig_routing_spec_settle(&reader->spec, root, reader->arena, reader->err);
}

static bool reader_init(struct reader *reader, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_routing_spec *spec = &reader->spec;
    spec->nodes = ig_arena_array(arena, IG_ROUTING_NODES_MAX, sizeof *spec->nodes);
    spec->edges = ig_arena_array(arena, IG_ROUTING_EDGES_MAX, sizeof *spec->edges);
    spec->attributes = ig_arena_array(arena, IG_ROUTING_ATTRIBUTES_MAX, sizeof *spec->attributes);
    reader->arena = arena;
    reader->err = err;
    if (spec->nodes && spec->edges && spec->attributes) return true;
    ig_fail(err, IG_NO_MEMORY, "graph");
    return false;
}

enum ig_code ig_routing_spec_read(struct ig_routing_spec *out, struct ig_str json,
                                  struct ig_arena *arena, struct ig_err *err)
{
    struct reader *reader = ig_arena_zalloc(arena, sizeof *reader);
    if (!reader) return ig_fail(err, IG_NO_MEMORY, "graph");
    if (json.len > IG_ROUTING_SPEC_MAX_BYTES)
        return ig_fail(err, IG_TOO_LARGE, "graph: %zu bytes, at most %d", json.len,
                       IG_ROUTING_SPEC_MAX_BYTES);
    if (!reader_init(reader, arena, err) || read_all(reader, json) != IG_OK) return err->code;
    *out = reader->spec;
    return IG_OK;
}

enum ig_code ig_routing_spec_single(struct ig_routing_spec *out, struct ig_str model,
                                    struct ig_str ref, struct ig_arena *arena, struct ig_err *err)
{
    struct reader reader = {0};
    if (!reader_init(&reader, arena, err)) return err->code;
    reader.spec.nodes_count = 1;
    reader.spec.nodes[0] = (struct ig_routing_node){
        .kind = IG_ROUTING_MODEL, .name = IG_STR("root"), .model = model, .ref = ref};
    *out = reader.spec;
    return IG_OK;
}
