/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_EXPLAIN_ASK_H
#define IG_API_EXPLAIN_ASK_H

/* What a request asks of an explanation, in the words of the service: names looked up in the
 * model's package. */

#include "api/predict_request.h"
#include "formats/package.h"
#include "services/deploy/explaining.h"

struct ig_explain_asked {
    struct ig_explain_ask ask; /* its options point to `counterfactual`: not to be copied */
    struct ig_counterfactual_ask counterfactual;
    bool whole_interactions; /* each cell beside the diagonal tells its pair's whole effect */
};

/* Whom it is asked of. */
struct ig_explain_subject {
    const struct ig_package *package;
    const struct ig_feature_map *map; /* from the request's rows; NULL: it takes them so */
};

/* `request` outlives the result; no deadline is set. Groups and constraints are in the model's own
 * order. INVALID: an unknown method, unit or class, a number out of range; *field then names the
 * member. */
enum ig_code ig_explain_ask_read(struct ig_explain_asked *out,
                                 const struct ig_predict_request *request,
                                 const struct ig_explain_subject *subject, struct ig_arena *arena,
                                 const char **field, struct ig_err *err);
/* The default method, without anything that would need preparing. */
bool ig_explain_ask_is_plain(const struct ig_explain_ask *ask);

#endif
