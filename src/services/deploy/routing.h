/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_ROUTING_H
#define IG_SERVICES_DEPLOY_ROUTING_H

/* A deployment's graph made ready to route: models loaded, rules compiled, weights laid out. One
 * request walks from the root to one model or ensemble; no lock, no allocation.
 *
 * Immutable but for its count of references and the shares of its bandits; the last unref, on
 * whatever thread, frees it. */

#include "services/deploy/routing_spec.h"
#include "services/deploy/rules.h"
#include "services/deploy/servable_priv.h"

enum { IG_ROUTING_ARMS_MAX = 32 };

struct ig_responses;
struct ig_replica_host;
struct ig_residency;

struct ig_routing {
    char name[IG_NAME_SIZE]; /* the deployment's */
    int64_t revision;
    struct ig_routing_spec spec;
    const struct ig_schema *schema;              /* of the rows that it takes */
    const struct ig_servable *face;              /* whose schema that is: where the defaults lead */
    const struct ig_servable *single;            /* where every request ends; NULL: it depends */
    const struct ig_rules_attribute *attributes; /* as spec.attributes */
    struct ig_replicas *replicas;                /* that run its models; NULL: this process does */
    struct ig_responses *responses;              /* see services/deploy/responses.h; or NULL */
    uint64_t load_ns;                            /* that loading it took */
};

struct ig_routing_source {
    const struct ig_servable_source *servables;
    struct ig_registry *registry;
    /* Whose loaded models may be used again; each may be NULL. */
    const struct ig_routing *current, *previous;
    /* Instead of registry and stores: the package of a MODEL node whose version is pinned, which
     * becomes the routing's. NULL: none. */
    enum ig_code (*open)(struct ig_package **out, void *context, const struct ig_routing_node *node,
                         struct ig_err *err);
    void *context;
    /* Where processes of isolated deployments come from; NULL: none can be isolated. With `open`
     * all models are loaded here, whatever the graph says. */
    struct ig_replica_host *host;
    struct ig_residency *residency; /* of models that come and go; NULL: all stay loaded */
};

/* Loads what the spec names and checks that it fits together; pins the version of every model in
 * the spec's copy that it keeps. INVALID and NOT_FOUND begin with the path of the fault. One
 * reference is the caller's. */
enum ig_code ig_routing_new(const struct ig_routing **out, const struct ig_routing_source *source,
                            struct ig_str deployment, int64_t revision,
                            const struct ig_routing_spec *spec, struct ig_err *err);
const struct ig_routing *ig_routing_ref(const struct ig_routing *routing); /* NULL is allowed */
void ig_routing_unref(const struct ig_routing *routing);                   /* NULL is allowed */

struct ig_routing_input {
    const double *row;                       /* in the order of `schema` */
    const struct ig_rules_value *attributes; /* in the order of spec.attributes */
    struct ig_str tenant;
    struct ig_str (*header)(void *context, struct ig_str name); /* ptr NULL: absent */
    void *context;
    int64_t version;    /* of the model, that the request names; 0: none */
    struct ig_str unit; /* what sticks to an arm: a customer, a session; else the request's id */
};

struct ig_routing_step {
    uint16_t node, edge; /* edge: index among the node's */
};

/* The way of one row. */
struct ig_routing_path {
    uint16_t node; /* where it ended: a model or an ensemble */
    uint16_t steps_count;
    struct ig_routing_step steps[IG_ROUTING_DEPTH_MAX];
    double propensity;                    /* probability of the arms taken; 1 without any */
    double chances[IG_ROUTING_DEPTH_MAX]; /* by step: of the arm taken; 1 of other branches */
    int16_t arm_step;                     /* of the last arm taken; -1: none */
    int16_t mirror_node;                  /* the last SHADOW passed; -1: none */
};

/* Loop-safe. */
void ig_routing_route(struct ig_routing_path *out, const struct ig_routing *routing,
                      const struct ig_routing_input *input);
bool ig_routing_path_same(const struct ig_routing_path *a, const struct ig_routing_path *b);
/* Of a node that answers. */
const struct ig_servable *ig_routing_servable(const struct ig_routing *routing, uint32_t node);
/* How it reads rows of `schema`. */
const struct ig_feature_map *ig_routing_map(const struct ig_routing *routing, uint32_t node);
/* "segment1/premium": names of the branches taken, joined; empty for a plain deployment. */
struct ig_str ig_routing_path_text(const struct ig_routing *routing,
                                   const struct ig_routing_path *route, struct ig_arena *arena);
/* "node=arm@tag": a branch together with what stands behind it, for the tag changes when a model,
 * a rule or a member there does. Returns its length; 0 when it does not fit. */
size_t ig_routing_arm_text(char *out, size_t size, const struct ig_routing *routing, uint32_t node,
                           uint32_t edge);
/* "node=arm@tag:probability" of each arm taken, with ';' between; the outermost first, as many as
 * fit. */
size_t ig_routing_path_arms(char *out, size_t size, const struct ig_routing *routing,
                            const struct ig_routing_path *path);
/* The edge of a step. */
const struct ig_routing_edge *ig_routing_edge(const struct ig_routing *routing,
                                              struct ig_routing_step step);
/* Where a unit falls for a node that splits: 0 to IG_ROUTING_WHOLE - 1. */
uint32_t ig_routing_bucket(const struct ig_routing *routing, uint32_t node, struct ig_str unit);

/* Whether a request that names that version is answered by it: one of a VERSIONS node, or what the
 * graph leads to by default. */
bool ig_routing_serves(const struct ig_routing *routing, int64_t version);
/* How long a call has to wait for its turn in the graph's CPU time; 0: it has it. An isolated
 * one's processes see to that themselves. Loop-safe. */
uint64_t ig_routing_cpu_wait_ns(const struct ig_routing *routing);
/* CPU time that a call took. */
void ig_routing_cpu_spend(const struct ig_routing *routing, uint64_t spent_ns);
/* A call's place in the worker pool; false: the graph's concurrency is used up. Loop-safe. */
bool ig_routing_enter(const struct ig_routing *routing);
void ig_routing_leave(const struct ig_routing *routing);

/* The shares of a bandit's arms, which sum to 1, from now on; any one thread at a time. */
void ig_routing_set_shares(const struct ig_routing *routing, uint32_t node, const double *shares);
void ig_routing_get_shares(const struct ig_routing *routing, uint32_t node, double *shares);

#endif
