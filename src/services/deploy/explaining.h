/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_EXPLAINING_H
#define IG_SERVICES_DEPLOY_EXPLAINING_H

/* Which explainer answers a request: the method that was asked for, or the best one that fits a
 * budget, by the costs that were measured when each was prepared. */

#include "kernels/explain/explain_budget.h"
#include "services/deploy/deploy.h"
#include "services/explain/backgrounds.h"

struct ig_explain_ask {
    bool method_given;
    enum ig_explainer method;
    bool probability;
    struct ig_str background;        /* a name of the model's, or empty */
    struct ig_str background_digest; /* what that name stands for, when it is known already */
    struct ig_players players;
    uint64_t budget_ns; /* for all rows; 0: none */
    size_t rows_count;
    unsigned given; /* 1 << enum ig_explain_option */
    struct ig_explain_options options;
};

struct ig_explain_choice {
    enum ig_explainer method;
    const struct ig_explain *explain; /* NULL: the engine's own path-dependent values */
    bool probability;
    struct ig_players players;      /* as asked for */
    char background[IG_SHA256_HEX]; /* digest, or empty */
    uint64_t cost_ns;               /* estimated for all rows */
    char why[IG_EXPLAIN_WHY_SIZE];  /* with a budget: why this one */
    const char *unit, *variant;     /* as ig_explain_unit and ig_explain_variant give them */
};

/* The digest of the background that is asked for, where there is one; false: a name is being
 * changed, and `wait` was not given. Else true, or err: INVALID. */
bool ig_explaining_find_background(char digest[IG_SHA256_HEX], struct ig_backgrounds *backgrounds,
                                   struct ig_str model, struct ig_str name, bool wait,
                                   struct ig_err *err);
/* False with err untouched: not all that is needed has been prepared, or a name is being changed;
 * call again with `wait` on a worker thread, which prepares it. Else true, with *out set or err:
 * INVALID for a background that is unknown or of another schema, a method that does not fit the
 * model, a budget that no method keeps; the message begins with the field. Without `wait`
 * loop-safe. */
bool ig_explaining_choose(struct ig_explain_choice *out, const struct ig_servable *servable,
                          struct ig_backgrounds *backgrounds, const struct ig_explain_ask *ask,
                          bool wait, struct ig_err *err);

#endif
