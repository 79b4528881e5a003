/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_INFER_H
#define IG_API_INFER_H

/* What the inference fronts share: decode, choose loop or pool, run, and let the front encode. */

#include "api/answer.h"
#include "api/call.h"
#include "api/explain_ask.h"
#include "api/predict_request.h"
#include "services/deploy/inference.h"

struct ig_infer {
    struct ig_predict_request request;
    const struct ig_servable *servable; /* until the loop's turn ends; in the pool: held */
    struct ig_inference_request inference;
    struct ig_explain_choice choice;
    struct ig_inference_result result;
    struct ig_explain_asked asked;
    struct ig_answer_details details; /* of the row at hand */
    struct ig_str model;              /* of the path, or empty */
    struct ig_reason_codes codes;     /* of the model, when reasons are asked for */
    bool recorded;                    /* the explanation leaves a record */
    char record[IG_ID_SIZE];          /* its id */
    bool in_pool;                     /* decoded there: the servable is call->held */
    enum ig_code (*encode)(struct ig_call *call, struct ig_infer *infer);
};

/* From an INLINE handler: decodes the body and either runs and encodes at once or hands the call to
 * the pool. `model` is the path's deployment, or empty when the body names it. */
enum ig_code ig_infer_start(struct ig_call *call, struct ig_str model, bool explain,
                            enum ig_code (*encode)(struct ig_call *, struct ig_infer *));
/* Encodes a reply as the plot that the request asks for. */
enum ig_code ig_infer_picture(struct ig_call *call, struct ig_infer *infer);
/* The reasons of a row's answer, when they are asked for, as members of the object that is open. */
enum ig_code ig_infer_reasons(struct ig_json_out *out, struct ig_call *call,
                              const struct ig_answer *answer);
/* The row's answer, for ig_answer_*; `order` is scratch of features_count entries. Valid
 * until the next. */
struct ig_answer ig_infer_answer(struct ig_infer *infer, size_t row, uint32_t *order);

#endif
