/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_ROUTE_H
#define IG_API_ROUTE_H

/* The table of routes (routes.def) and the matcher built from it at start. */

#include "api/call.h"
#include "services/users/users.h"

enum ig_route_class {
    IG_ROUTE_INLINE, /* runs on the loop; must not block */
    IG_ROUTE_WORK,   /* runs in the worker pool with the whole body */
    IG_ROUTE_STREAM, /* runs on a stream worker and reads or writes piece by piece */
};

/* What a call of a user who is no administrator is about. */
enum ig_need {
    IG_NEED_KEY, /* nothing of a user: the route is for keys and administrators */
#define IG_NEED(id, find, kind, doc) IG_NEED_##id,
#include "api/needs.def"
#undef IG_NEED
};
const char *ig_need_doc(enum ig_need need);

enum {
    IG_SCOPE_NONE = 0,        /* open to everyone */
    IG_SCOPE_DEVICE = 1 << 30 /* a device's own token alone, which the handler asks for */
};

struct ig_route {
    const char *method;
    const char *path; /* template: "/api/v1/models/{model}"; a last "{path*}" takes all the rest */
    unsigned scope;   /* enum ig_scope, or one of these */
    enum ig_route_class class;
    uint64_t body_max_bytes;
    enum ig_code (*handler)(struct ig_call *call);
    const char *request_schema; /* a name of schemas.def, "" for none */
    const char *reply_schema;
    const char *doc;
    enum ig_need need; /* of MLflow's routes alone */
    enum ig_permission permission;
};

extern const struct ig_route IG_ROUTES[];
size_t ig_routes_count(void);
/* Index of a route of the table. */
size_t ig_route_index(const struct ig_route *route);

struct ig_router;

enum ig_code ig_router_new(struct ig_router **out, struct ig_err *err);
void ig_router_free(struct ig_router *router);
/* OK with *out and the decoded params; NOT_FOUND; METHOD with `allow` ("GET, PUT") filled; INVALID
 * for a path whose escapes are wrong. HEAD matches GET. Thread-safe. */
enum ig_code ig_router_match(const struct ig_route **out, const struct ig_router *router,
                             struct ig_call *call, char allow[64]);

#define IG_ROUTE(method, path, scope, class, cap, handler, request, reply, doc)                    \
    enum ig_code handler(struct ig_call *call);
#include "api/routes.def"
#undef IG_ROUTE

#endif
