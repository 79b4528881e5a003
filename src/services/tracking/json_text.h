/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_TRACKING_JSON_TEXT_H
#define IG_SERVICES_TRACKING_JSON_TEXT_H

/* JSON as Python's json.dumps writes it: ", " and ": " between, doubles with a point. What MLflow's
 * clients compare texts of JSON with. Pure. */

#include "base/arena.h"
#include "base/err.h"

/* Appends `json` anew; `doubles`: whole numbers become doubles ("5.0"), as those of protobuf's
 * Value are. NaN and Infinity are taken. PARSE with the byte position. */
enum ig_code ig_json_text_add(struct ig_buf *out, struct ig_str json, bool doubles,
                              struct ig_arena *arena, struct ig_err *err);
void ig_json_text_add_f64(struct ig_buf *out, double value); /* "1.0", "NaN" */
void ig_json_text_add_str(struct ig_buf *out, struct ig_str value);

#endif
