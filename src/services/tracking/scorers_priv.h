/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_TRACKING_SCORERS_PRIV_H
#define IG_SERVICES_TRACKING_SCORERS_PRIV_H

/* Shared by the files of scorers. */

#include "base/json.h"
#include "services/tracking/scorers.h"

enum { IG_SCORER_ID_SIZE = 37 };

/* The model that a scorer asks; ptr NULL: none. INVALID when the content is no JSON object, or has
 * a member "call_source" that is not null, however deep. */
enum ig_code ig_scorer_content_read(struct ig_str *model, struct ig_str content,
                                    struct ig_arena *arena, struct ig_err *err);
/* The same content with another model, ptr NULL being null, where it has one. */
enum ig_code ig_scorer_content_with(struct ig_str *out, struct ig_str content, struct ig_str model,
                                    struct ig_arena *arena, struct ig_err *err);

#endif
