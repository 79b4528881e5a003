/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_CONSTRAINTS_H
#define IG_FORMATS_CONSTRAINTS_H

/* Constraints of counterfactuals by feature name. Features of whole numbers step by 1 unless told
 * otherwise. Everything lives in the arena. */

#include "formats/schema.h"
#include "kernels/explain/counterfactual.h"

struct ig_constraints {
    const struct ig_schema *schema;
    struct ig_counterfactual_constraint *items; /* features_count */
};

enum ig_code ig_constraints_begin(struct ig_constraints *out, const struct ig_schema *schema,
                                  struct ig_arena *arena, struct ig_err *err);
/* The feature's own; NULL with err set (the message begins with "constraints") when the model has
 * no such feature. */
struct ig_counterfactual_constraint *ig_constraints_find(struct ig_constraints *constraints,
                                                         struct ig_str feature, struct ig_err *err);
/* One word: "immutable", "up", "down", "missing" (may become missing), "LOW..HIGH" (either end may
 * be left out), "step:X", "scale:X". INVALID, the message begins with "constraints". */
enum ig_code ig_constraint_parse(struct ig_counterfactual_constraint *constraint,
                                 struct ig_str word, struct ig_err *err);

#endif
