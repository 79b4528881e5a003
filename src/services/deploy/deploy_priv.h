/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_DEPLOY_PRIV_H
#define IG_SERVICES_DEPLOY_DEPLOY_PRIV_H

/* The rows of deployments; of deploy*.c alone. */

#include "services/deploy/deploy.h"

/* The row of one deployment (or of all, by an empty name), with the graph it serves. */
enum ig_code ig_deploy_rows_read(struct ig_deployments *out, struct ig_db *db, struct ig_str name,
                                 size_t max, struct ig_arena *arena, struct ig_err *err);
/* The graph of a revision as text; NOT_FOUND. */
enum ig_code ig_deploy_rows_graph(struct ig_str *out, struct ig_db *db, struct ig_str name,
                                  int64_t revision, struct ig_arena *arena, struct ig_err *err);
/* The number that the next new revision takes. */
enum ig_code ig_deploy_rows_next(int64_t *out, struct ig_db *db, struct ig_str name,
                                 struct ig_err *err);
enum ig_code ig_deploy_rows_history(struct ig_deployment_changes *out, struct ig_db *db,
                                    struct ig_str name, struct ig_arena *arena, struct ig_err *err);

/* What one transaction writes. */
struct ig_deploy_change {
    const struct ig_principal *who;
    const char *action; /* "create", ...; "delete" drops all there is */
    struct ig_str name, why;
    const struct ig_routing *routing; /* serves from now on; its revision is written if it is new */
    bool is_new;
    struct ig_str ref;
    bool paused;
    int64_t previous_revision; /* 0: none */
    struct ig_str previous_model;
    int64_t previous_version;
};
enum ig_code ig_deploy_rows_commit(struct ig_db *db, struct ig_deploy_change *change,
                                   struct ig_err *err);

/* Changed graphs (deploy_graph.c); in `arena`. */
enum ig_code ig_deploy_graph_canary(struct ig_routing_spec *out,
                                    const struct ig_routing_spec *serving,
                                    const struct ig_deployment_spec *spec, struct ig_arena *arena,
                                    struct ig_err *err);
/* The model's default version and the others that its policy lets answer. */
enum ig_code ig_deploy_graph_versions(struct ig_routing_spec *out, struct ig_registry *registry,
                                      const struct ig_deployment_spec *spec, struct ig_arena *arena,
                                      struct ig_err *err);
enum ig_code ig_deploy_graph_promote(struct ig_routing_spec *out,
                                     const struct ig_routing_spec *serving, struct ig_str node,
                                     struct ig_str arm, struct ig_arena *arena, struct ig_err *err);

#endif
