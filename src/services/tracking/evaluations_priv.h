/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_TRACKING_EVALUATIONS_PRIV_H
#define IG_SERVICES_TRACKING_EVALUATIONS_PRIV_H

/* Shared by the files of evaluation datasets. */

#include "base/hash.h"
#include "base/json.h"
#include "services/tracking/evaluations.h"
#include "stores/db.h"

enum { IG_EVALUATION_DIGEST = 8, IG_EVALUATION_ID_SIZE = 40 };

void ig_evaluation_digest(char out[IG_EVALUATION_DIGEST + 1], struct ig_str name, int64_t at_ms);
/* The prefix and 32 hex digits. */
void ig_evaluation_new_id(char out[IG_EVALUATION_ID_SIZE], const char *prefix);
/* A column that may be null: ptr NULL then. */
struct ig_str ig_evaluation_optional(struct ig_db_rows *rows, int column, struct ig_arena *arena);
/* The value of the tag mlflow.user; ptr NULL when there is none. */
struct ig_str ig_evaluation_user(struct ig_tracking_pairs tags);

/* Which fields records have: {"inputs": {"name": "string", ...}, "outputs", "expectations",
 * "version"}, from what was there (ptr NULL: nothing) and the new ones. */
enum ig_code ig_evaluation_schema(struct ig_str *out, struct ig_str before,
                                  struct ig_evaluation_records records, struct ig_arena *arena,
                                  struct ig_err *err);
/* The members of `before` (ptr NULL: none), those of `now` in their place and behind them. */
enum ig_code ig_evaluation_merge(struct ig_str *out, struct ig_str before, struct ig_str now,
                                 struct ig_arena *arena, struct ig_err *err);

#endif
