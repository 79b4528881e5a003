/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_ROUTING_REPORTS_H
#define IG_SERVICES_DEPLOY_ROUTING_REPORTS_H

/* Reports on what a deployment answers, whatever its graph and wherever its models run: each row of
 * the table goes the way that a request of its own would. Attributes of the context come from
 * columns of their names and are missing where the table has none; the unit is that of the column
 * "unit_id", else the row's number from 1 on; there is no tenant, no header and no version. Nothing
 * is logged or mirrored. All may wait for other processes and for loads, so not for a loop. INVALID
 * besides: "context.NAME: ..." for text in the column of a number. */

#include "formats/fairness_report.h"
#include "formats/importance_report.h"
#include "services/deploy/routing.h"

/* As ig_fairness_table_run. */
enum ig_code ig_routing_reports_fairness(struct ig_fairness_table *out, struct ig_str csv,
                                         const struct ig_fairness_spec *spec,
                                         const struct ig_routing *routing, struct ig_arena *arena,
                                         struct ig_err *err);

/* As ig_importance_models_run. Parts: every model of the graph, by the names of its nodes. */
enum ig_code ig_routing_reports_importance(struct ig_importance_report *out,
                                           const struct ig_importance_spec *spec,
                                           const struct ig_routing *routing, struct ig_arena *arena,
                                           struct ig_err *err);

#endif
