/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_FRONT_H
#define IG_API_FRONT_H

/* Between the HTTP server and the handlers: routing, access, classes, errors, counting. */

#include "api/app.h"
#include "net/http_server.h"

/* The server's handler; its context is the app, which must outlive the server. */
struct ig_http_handler ig_front_handler(struct ig_app *app);
/* Security headers that go with every response, for ig_http_server_options. */
extern const char IG_FRONT_HEADERS[];

#endif
