/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_ROUTING_FAIRNESS_H
#define IG_SERVICES_DEPLOY_ROUTING_FAIRNESS_H

/* A fairness report of what a deployment decides, whatever its graph: each row of the table goes
 * the way that a request of its own would. Attributes of the context come from columns of their
 * names and are missing where the table has none; the unit is that of the column "unit_id", else
 * the row's number from 1 on; there is no tenant, no header and no version. Nothing is logged or
 * mirrored. */

#include "formats/fairness_report.h"
#include "services/deploy/routing.h"

/* As ig_fairness_table_run; may wait for other processes and for loads, so not for a loop. INVALID
 * besides: "context.NAME: ..." for text in the column of a number. */
enum ig_code ig_routing_fairness(struct ig_fairness_table *out, struct ig_str csv,
                                 const struct ig_fairness_spec *spec,
                                 const struct ig_routing *routing, struct ig_arena *arena,
                                 struct ig_err *err);

#endif
