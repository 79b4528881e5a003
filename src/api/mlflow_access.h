/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_MLFLOW_ACCESS_H
#define IG_API_MLFLOW_ACCESS_H

/* What a user who is no administrator may do, as MLflow's server decides it: the route says what a
 * call is about and which permission it takes (api/routes.def, api/needs.def). Worker threads. */

#include "api/route.h"

/* DENIED, "Permission denied"; errors of the request's arguments, in the words of its handler. */
enum ig_code ig_mlflow_access_check(struct ig_call *call);
/* The part of it for roles and what users are given (api/mlflow_roles.c). */
enum ig_code ig_mlflow_roles_check(struct ig_call *call);
/* Who sees what a search finds; user 0: all. */
struct ig_viewer ig_mlflow_viewer(const struct ig_call *call);
/* Leaves those of the experiments that the caller may see. */
enum ig_code ig_mlflow_readable(int64_t *experiments, size_t *count, struct ig_call *call);
/* Whether the caller has the permission of each of them; on the way to an answer that leaves out
 * the rest. `kind` is that of all. */
enum ig_code ig_mlflow_has(bool *has, struct ig_call *call, enum ig_permission permission,
                           enum ig_object kind, struct ig_str object);
/* An experiment's number as permissions name it: "7" for " 007"; what is none stays. */
struct ig_str ig_mlflow_experiment_object(struct ig_call *call, struct ig_str text);
/* The object of a scorer: "7/name". */
struct ig_str ig_mlflow_scorer_object(struct ig_call *call, struct ig_str experiment,
                                      struct ig_str name);

#endif
