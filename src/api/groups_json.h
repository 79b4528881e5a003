/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_GROUPS_JSON_H
#define IG_API_GROUPS_JSON_H

/* "groups" of a request: {"where": ["lat", "lon"], ...}. */

#include "base/json.h"
#include "formats/groups.h"

/* The value that comes next, in the reader's arena; its err as of formats/groups.h, with the place
 * in the body. */
enum ig_code ig_groups_json_read(struct ig_groups *out, struct ig_json *json,
                                 const struct ig_schema *schema);

#endif
