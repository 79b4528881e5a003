/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_ACCESS_H
#define IG_API_ACCESS_H

/* Who may call what. Loop-safe. */

#include "api/call.h"

/* Host must be an allowed name (else status 421) and Origin, when sent, this server itself or an
 * allowed one (else DENIED): a page of another site can neither read nor act, by rebinding neither.
 */
enum ig_code ig_access_check_source(struct ig_call *call);
/* Fills call->who and checks the route's scope. Without any key the caller must be on loopback and
 * is the local user; with keys a valid one is needed: UNAUTHENTICATED, or DENIED when it lacks the
 * scope. A scope of several bits is met by any of them; admin meets all. Of a route of devices
 * nothing is checked here. */
enum ig_code ig_access_check_scope(struct ig_call *call);

/* The key or token that a request brings; empty when there is none. */
struct ig_str ig_access_token(const struct ig_http_request *request);
/* For a call that does more than its route says: DENIED unless its principal is an admin. */
enum ig_code ig_access_check_admin(struct ig_call *call);

#endif
