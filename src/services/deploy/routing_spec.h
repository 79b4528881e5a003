/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_ROUTING_SPEC_H
#define IG_SERVICES_DEPLOY_ROUTING_SPEC_H

/* What a deployment is, as its owner describes it: a small graph of nodes that route a request to
 * one model or ensemble. JSON in, plain arrays, JSON out; no model is looked at.
 *
 *   {"root": NODE, "nodes": {NAME: NODE, ...}, "context": {NAME: "text" | "number", ...},
 *    "resources": {...}}                            (services/deploy/routing_resources.h)
 *   NODE: a NAME of "nodes", or one of
 *   {"model": MODEL, "version": NUMBER | ALIAS}             (no version: the latest)
 *   {"ensemble": {"combine": HOW, "on_failure": "fail" | "skip",
 *                 "members": [NODE | {"node": NODE, "weight": W, "timeout_ms": T}, ...],
 *                 "meta": NODE}}                            (members are models or ensembles)
 *   {"segment": {"rules": [{"name": NAME, "when": RULE, "then": NODE}, ...], "default": NODE}}
 *   {"split": {"arms": [{"name": NAME, "weight": PERCENT, "node": NODE}, ...], "salt": TEXT}}
 *   {"canary": {"stable": NODE, "candidate": NODE, "canary_percent": PERCENT, "salt": TEXT}}
 *   {"bandit": {"policy": "thompson" | "epsilon_greedy", "epsilon": E, "floor": F,
 *               "reward": "conversion" | "value", "metric": NAME,
 *               "arms": [{"name": NAME, "node": NODE}, ...], "salt": TEXT}}
 *   {"versions": {"default": NODE, "others": [NODE, ...]}}     (models)
 *   {"shadow": {"primary": NODE, "mirrors": [{"name": NAME, "node": NODE, "percent": P}, ...]}}
 *
 * docs/serving.md says what each does. Everything lives in the caller's arena. */

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "kernels/composite.h"
#include "services/deploy/routing_resources.h"

enum {
    IG_ROUTING_NODES_MAX = 64,
    IG_ROUTING_EDGES_MAX = 256,
    IG_ROUTING_DEPTH_MAX = 16,
    IG_ROUTING_ATTRIBUTES_MAX = 32,
    IG_ROUTING_SPEC_MAX_BYTES = 256 << 10,
    IG_ROUTING_TIMEOUT_MAX_MS = 600000,
    IG_ROUTING_WHOLE = 10000, /* 100 %, in steps of 0.01 % */
};

enum ig_routing_kind {
#define IG_ROUTING_KIND(id, name, doc) IG_ROUTING_##id,
#include "services/deploy/routing_kinds.def"
#undef IG_ROUTING_KIND
    IG_ROUTING_KINDS_COUNT
};
const char *ig_routing_kind_name(enum ig_routing_kind kind);

enum ig_bandit_policy { IG_BANDIT_THOMPSON, IG_BANDIT_EPSILON_GREEDY };

struct ig_routing_edge {
    struct ig_str name; /* of an arm, a rule, a mirror; else the member it stands under */
    struct ig_str when; /* of a rule */
    uint32_t to;
    double weight;         /* of an ensemble's member */
    uint32_t timeout_ms;   /* likewise; 0: none */
    uint32_t basis_points; /* of arms and mirrors: IG_ROUTING_WHOLE is all */
};

struct ig_routing_node {
    enum ig_routing_kind kind;
    struct ig_str name; /* unique */
    uint32_t first_edge, edges_count;
    /* SEGMENT: rules, then the default. SHADOW: the primary, then the mirrors. VERSIONS: the
     * default, then the others. ENSEMBLE: members, then the meta model where there is one. */

    struct ig_str model, ref; /* MODEL: as asked for; ref empty: the latest */
    int64_t version;          /* MODEL: pinned; 0: not yet */
    enum ig_combine combine;  /* ENSEMBLE */
    bool skips;               /* ENSEMBLE: answers without the members that fail */
    struct ig_str salt;       /* SPLIT, BANDIT; empty: deployment and node */
    struct ig_str metric;     /* BANDIT: whose rewards it learns from */
    enum ig_bandit_policy policy;
    bool rewards_are_values; /* else conversions, 0 or 1 */
    double epsilon, floor;   /* BANDIT: of exploring; least probability of each arm */
};

struct ig_routing_attribute {
    struct ig_str name;
    bool is_text; /* else a number */
};

struct ig_routing_spec {
    struct ig_routing_node *nodes; /* the root is nodes[0] */
    uint32_t nodes_count;
    struct ig_routing_edge *edges; /* each node's lie together, in order */
    uint32_t edges_count;
    struct ig_routing_attribute *attributes;
    uint32_t attributes_count;
    struct ig_resources resources;
};

/* INVALID or PARSE; the message begins with the path of the fault ("graph.nodes.a.split.arms[1]:").
 * Refuses cycles, nodes that nothing leads to, weights that are not 100 % together. */
enum ig_code ig_routing_spec_read(struct ig_routing_spec *out, struct ig_str json,
                                  struct ig_arena *arena, struct ig_err *err);
/* One model, and nothing else. */
enum ig_code ig_routing_spec_single(struct ig_routing_spec *out, struct ig_str model,
                                    struct ig_str ref, struct ig_arena *arena, struct ig_err *err);
/* Every node under its name, every model with the version it is pinned to. What is written reads as
 * the same graph. */
void ig_routing_spec_write(struct ig_json_out *out, const struct ig_routing_spec *spec);
/* The same graph without what no edge leads to any more; edges and nodes are numbered anew. */
enum ig_code ig_routing_spec_prune(struct ig_routing_spec *spec, struct ig_arena *arena,
                                   struct ig_err *err);
/* Index of the node of that name; -1: none. */
int32_t ig_routing_spec_find(const struct ig_routing_spec *spec, struct ig_str name);
/* Whether a request ends there: a model or an ensemble. */
bool ig_routing_kind_answers(enum ig_routing_kind kind);

#endif
