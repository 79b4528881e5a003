/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_CALL_H
#define IG_API_CALL_H

/* One request on its way through the fronts. It lives in the exchange's arena and belongs to
 * whoever runs a callback for the exchange. */

#include "api/app.h"
#include "base/json.h"
#include "net/http_server.h"

struct ig_route;

enum { IG_CALL_PARAMS_MAX = 4, IG_REQUEST_ID_SIZE = 65 };

struct ig_call {
    struct ig_exchange *exchange;
    struct ig_arena *arena; /* the exchange's */
    struct ig_app *app;
    const struct ig_route *route; /* NULL while unknown */
    uint64_t started_ns;          /* ig_clock_ns when its head, or its message of a stream, came */
    struct ig_principal who;
    struct ig_credentials_given *given; /* of a user, while they are not verified; else NULL */
    bool permitted;                     /* what a user needs was looked at */
    char request_id[IG_REQUEST_ID_SIZE];
    struct ig_str params[IG_CALL_PARAMS_MAX]; /* of the path, decoded, in the template's order */
    struct ig_err err;
    int status;        /* of an error, when not the code's own; else 0 */
    const char *field; /* what the error is about, "features.age"; or NULL */
    /* An INLINE handler sets it to go on in the worker pool: it then runs there. */
    enum ig_code (*in_pool)(struct ig_call *call);
    /* It sets this one to go on when the loop has read all of this turn, where it may. */
    enum ig_code (*at_turn_end)(struct ig_call *call);
    bool may_wait; /* for that */
    /* Or this one, before it hands the call to who answers it by ig_front_answer; it may be gone
     * when the handler returns. */
    bool later;
    /* Behind it, in a front of its own; NULL: HTTP's. */
    void (*finish)(struct ig_call *call);
    struct ig_call *next;          /* of those that wait for it */
    bool gathered;                 /* computed together with others of them */
    struct ig_decision *decisions; /* of an answered inference; or NULL */
    size_t decisions_count;
    const struct ig_routing *held;        /* reference taken for the pool, or a later turn */
    bool entered;                         /* it has a place in the pool */
    const struct ig_servable **residents; /* references on models that come and go; or NULL */
    size_t residents_count;
    void *state; /* a handler's own, in the arena */
    /* Of an inference while anything is traced, by ig_clock_ns; else 0. */
    uint64_t taken_ns, decoded_ns, done_ns;
    struct ig_trace_sample traced; /* once it is answered */
    struct ig_buf tensors;         /* of a traced one, where they are wanted */
    struct ig_str client_id;       /* the request's own id in its protocol; ptr NULL: none */
};

/* The member that an error is about: its message begins with the name and a colon; `names` ends
 * with NULL. NULL when none fits. */
const char *ig_call_field(const struct ig_err *err, const char *const *names);
/* Starts a JSON reply in the exchange's buffer. */
void ig_call_json(struct ig_call *call, struct ig_json_out *out);
/* Gives back the place and the reference. */
void ig_call_release(struct ig_call *call);
/* Turns call->err into the reply: Ingot's form, or that of the protocol that the path is of. */
void ig_call_reply_error(struct ig_call *call);
/* The body of an error in Ingot's form; `request_id` may be empty. */
void ig_call_write_error(struct ig_buf *buf, const struct ig_err *err, const char *field,
                         struct ig_str request_id);
/* Whether errors of this path have KServe's form: {"error": "text"}. */
bool ig_call_is_kserve(struct ig_str path);
void ig_call_write_kserve_error(struct ig_buf *buf, const struct ig_err *err);
/* Whether a path is one of MLflow's tracking and registry: of its API 2.0 or 3.0, for clients
 * ("/api/") or for its console ("/ajax-api/"). */
bool ig_call_is_mlflow(struct ig_str path);
/* The code whose HTTP status this is; INTERNAL when none has it. */
enum ig_code ig_call_code_of_status(int status);

/* Query parameters; `fallback` when absent. INVALID names the parameter. */
enum ig_code ig_call_query_u64(uint64_t *out, struct ig_call *call, const char *name,
                               uint64_t fallback);
enum ig_code ig_call_query_str(struct ig_str *out, struct ig_call *call, const char *name);
/* The body is to be as it is: MEDIA_TYPE when Content-Encoding says otherwise. */
enum ig_code ig_call_expect_identity(struct ig_call *call);
/* The body is to be JSON: MEDIA_TYPE when Content-Type or Content-Encoding say otherwise. Besides
 * application/json, the type that curl sends by default is taken, as is none. */
enum ig_code ig_call_expect_json(struct ig_call *call);
/* A reader over the body, its errors going to call->err. */
enum ig_code ig_call_json_reader(struct ig_call *call, struct ig_json *json);

#endif
