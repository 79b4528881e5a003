/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_FRONT_H
#define IG_API_FRONT_H

/* Between the HTTP server and the handlers: routing, access, classes, errors, counting. */

#include "api/call.h"
#include "net/http_server.h"

/* The server's handler; its context is the app, which must outlive the server. */
struct ig_http_handler ig_front_handler(struct ig_app *app);
/* A call in the arena, named by the client's X-Request-Id or one of our own, on the exchange's
 * loop; NULL when out of memory. */
struct ig_call *ig_front_begin(struct ig_app *app, struct ig_exchange *exchange,
                               struct ig_arena *arena);
/* From any thread, of a call with `later`: its reply is written, or `code` and call->err say why it
 * is not. */
void ig_front_answer(struct ig_call *call, enum ig_code code);
/* One line of the level debug for a call that ended, with the status of its protocol. */
void ig_front_log_call(const struct ig_exchange *exchange, int status, struct ig_str request_id);
/* Security headers that go with every response, for ig_http_server_options. */
extern const char IG_FRONT_HEADERS[];

#endif
