/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_APP_JSON_VIEW_H
#define IG_APP_JSON_VIEW_H

/* Small readings of a JSON reply. All results live in the arena or are views of the text. */

#include "base/json.h"

#include <stdio.h>

/* Puts `json` before the value at "explanation.margin" or "rows.0.margin"; false when there is
 * none.
 */
bool ig_json_view_at(struct ig_json *json, struct ig_str text, const char *path,
                     struct ig_arena *arena, struct ig_err *err);
/* The value there as text: a string's own, a number as written; empty when absent or another. */
struct ig_str ig_json_view_text(struct ig_str text, const char *path, struct ig_arena *arena);
double ig_json_view_number(struct ig_str text, const char *path, struct ig_arena *arena); /* NaN */
/* Indented by two spaces; what lies deep stands on one line. */
void ig_json_view_print(FILE *out, struct ig_str text);

#endif
