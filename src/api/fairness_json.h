/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_FAIRNESS_JSON_H
#define IG_API_FAIRNESS_JSON_H

/* A fairness report as JSON: what POST /api/v1/fairness and `ingot fairness` have in common. Rates
 * are {"value", "low", "high"}, null where undefined. Pure. */

#include "base/json.h"
#include "formats/fairness_report.h"

/* The report's object; at most `top` attributions a column. */
void ig_fairness_write(struct ig_json_out *out, const struct ig_fairness_table *table, size_t top);
/* "pass", "fail", "open", "unknown". */
const char *ig_fairness_verdict_name(enum ig_fairness_verdict verdict);

#endif
