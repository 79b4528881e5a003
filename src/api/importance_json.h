/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_IMPORTANCE_JSON_H
#define IG_API_IMPORTANCE_JSON_H

/* An importance report as JSON: what POST /api/v1/importance and `ingot importance` have in common.
 * Pure. */

#include "base/json.h"
#include "formats/importance_report.h"

/* The report's object; at most `top` features, of each model where there are several. */
void ig_importance_write(struct ig_json_out *out, const struct ig_importance_report *report,
                         size_t top);

#endif
