/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_ACCESS_H
#define IG_API_ACCESS_H

/* Who may call what. Loop-safe. */

#include "api/call.h"

/* Host must be an allowed name (else status 421) and Origin, when sent, this server itself or an
 * allowed one (else DENIED): a page of another site can neither read nor act, by rebinding neither.
 */
enum ig_code ig_access_check_source(struct ig_call *call);
/* Fills call->who and checks the route's scope. Without any key or user the caller must be on
 * loopback and is the local user; else a valid key is needed: UNAUTHENTICATED, or DENIED when it
 * lacks the scope. A scope of several bits is met by any of them; admin meets all. Of a route of
 * devices nothing is checked here. */
enum ig_code ig_access_check_scope(struct ig_call *call);
/* The same where a user's name and password will do as well; then the call may be left open. */
enum ig_code ig_access_begin(struct ig_call *call);
/* Of a call without route: where there are users, MLflow's API tells nobody what it lacks. */
enum ig_code ig_access_check_known(struct ig_call *call);
/* Whether ig_access_settle has to say yes before the handler runs. */
bool ig_access_is_open(const struct ig_call *call);
/* In a worker, with the body if it is buffered: verifies a user's password that was not right
 * before, and what the user may do with what the call is about. */
enum ig_code ig_access_settle(struct ig_call *call);
/* Tells the client how to authenticate, behind UNAUTHENTICATED. */
void ig_access_challenge(struct ig_call *call);

enum { IG_ACCESS_BASIC_MAX = 4096 }; /* bytes of an Authorization header with a name and password */
struct ig_credentials_given {
    struct ig_str name, password;
};
/* Of "Basic ..." (RFC 7617). INVALID when it is none. */
enum ig_code ig_access_parse_basic(struct ig_credentials_given *out, struct ig_str header,
                                   struct ig_arena *arena, struct ig_err *err);

/* The key or token that a request brings; empty when there is none. */
struct ig_str ig_access_token(const struct ig_http_request *request);
/* For a call that does more than its route says: DENIED unless its principal is an admin. */
enum ig_code ig_access_check_admin(struct ig_call *call);

#endif
