/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_INFER_H
#define IG_API_INFER_H

/* What the inference fronts share: decode, route each row, choose loop or pool, run, and let the
 * front encode. */

#include "api/answer.h"
#include "api/call.h"
#include "api/explain_ask.h"
#include "api/predict_request.h"
#include "services/deploy/inference.h"

/* The rows of a request that went one way through the deployment's graph: mostly all of them. */
struct ig_infer_part {
    struct ig_routing_path route;
    const struct ig_servable *servable; /* where they ended */
    struct ig_inference_request inference;
    struct ig_explain_asked asked;
    struct ig_explain_choice choice;
    struct ig_inference_result result;
    struct ig_reason_codes codes; /* of the model, when reasons are asked for */
    char record[IG_ID_SIZE];      /* of the explanation, when it leaves one */
    size_t *rows;                 /* places in the request; NULL: all, in order */
    const double *asked_rows;     /* as the deployment reads them */
    uint64_t started_ns;          /* computing */
    uint64_t spent_ns;            /* computing */
    uint64_t before_ns;           /* from the request's head to that */
    bool answered;                /* the result is there already, from the deployment's cache */
    bool gathered;                /* or it was computed together with other calls' */
};

/* Where a row's answer is. */
struct ig_infer_place {
    uint32_t part, row;
};

struct ig_infer {
    struct ig_predict_request request;
    const struct ig_routing *routing; /* until the loop's turn ends; in the pool: held */
    struct ig_infer_part *parts;
    size_t parts_count;
    struct ig_infer_place *places;    /* by row; NULL with one part */
    struct ig_answer_details details; /* of the row at hand */
    struct ig_str model;              /* of the path, or empty */
    int64_t version;                  /* that the request names; 0: none */
    bool explain;
    bool recorded;  /* explanations leave records */
    bool in_stream; /* behind the reply's headers: one message of several */
    bool in_pool;   /* decoded there: the routing is call->held */
    bool too_long;  /* by `decode`: it is to be asked again in the pool */
    /* Fills request.schema and rows, by ig_infer_find; and `explain`. */
    enum ig_code (*decode)(struct ig_call *call, struct ig_infer *infer);
    enum ig_code (*encode)(struct ig_call *call, struct ig_infer *infer);
    size_t decode_bytes; /* that it reads when they are not the body; SIZE_MAX: not known */
    void *front;         /* the front's own */
};

/* From an INLINE handler: decodes the body and either runs and encodes at once or hands the call to
 * the pool. `model` is the path's deployment, or empty when the body names it. */
enum ig_code ig_infer_start(struct ig_call *call, struct ig_str model, bool explain,
                            enum ig_code (*encode)(struct ig_call *, struct ig_infer *));

/* For `decode`, which may then return at once: whether so many bytes are not for the loop. */
bool ig_infer_too_long(struct ig_infer *infer, uint64_t bytes);
/* The same for a front with a form of its own. */
enum ig_code ig_infer_start_as(struct ig_call *call, struct ig_infer *infer);
/* For `decode`: acquires the deployment of the path, else that of the name (empty: the only one).
 * False with err set. */
bool ig_infer_find(struct ig_predict_target *out, void *call, struct ig_str name,
                   struct ig_err *err);

/* Why that deployment does not answer: absent, paused, failed. */
void ig_infer_fail_absent(struct ig_call *call, struct ig_str name, struct ig_err *err);

/* Sends every row of the request on its way: fills the parts. */
enum ig_code ig_infer_route(struct ig_call *call, struct ig_infer *infer);
/* The part of a row. */
const struct ig_infer_part *ig_infer_part_of(const struct ig_infer *infer, size_t row);
/* {"path", "node", "revision"} of a row's way as the member "route", for graphs of several nodes.
 */
void ig_infer_write_route(struct ig_json_out *out, struct ig_call *call,
                          const struct ig_infer_part *part);
/* The members of ensembles that were left out of an answer, because they failed on a row of it:
 * "careful/3, other/1", of at most about 4 KiB; empty when none was. Initialises `names`. */
void ig_infer_list_skipped(struct ig_buf *names, const struct ig_infer *infer);
/* The same as the header X-Skipped-Members, but in a stream. */
enum ig_code ig_infer_tell_skipped(struct ig_call *call, const struct ig_infer *infer);
/* What answered: a model version, or an ensemble with its members; a value. */
void ig_infer_write_model(struct ig_json_out *out, const struct ig_servable *servable);
/* What the log keeps of the answered call: a decision a part, in call->decisions. */
void ig_infer_note_decisions(struct ig_call *call, const struct ig_infer *infer);
/* Lets the mirrors of the shadows that were passed compute the same. */
void ig_infer_mirror(struct ig_call *call, const struct ig_infer *infer);

/* {"predictions": [...]}: a number a row, or an array where the model gives several. */
enum ig_code ig_infer_encode_predictions(struct ig_call *call, struct ig_infer *infer);
/* Encodes a reply as the plot that the request asks for. */
enum ig_code ig_infer_picture(struct ig_call *call, struct ig_infer *infer);
/* The reasons of a row's answer, when they are asked for, as members of the object that is open. */
enum ig_code ig_infer_reasons(struct ig_json_out *out, struct ig_call *call,
                              const struct ig_infer_part *part, const struct ig_answer *answer);
/* The row's answer, for ig_answer_*; `order` is scratch of features_count entries. Valid
 * until the next. */
struct ig_answer ig_infer_answer(struct ig_infer *infer, size_t row, uint32_t *order);

#endif
